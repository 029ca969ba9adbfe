"""See what second derivatives are good for: how long a step may be, and where it should lead.

    python examples/second_order.py

The Hessian H of a cost holds all its second derivatives, and says how the cost curves in every
direction. For the network here, of 17 parameters, it is a matrix of 17 x 17. For a large network
it would never fit into memory. But products H v with a vector do: `hvp` computes one at the price
of a few gradients, and much can be done with these alone.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from autonn import Tensor, grad, hessian, hvp, optim, softplus

Vector = NDArray[np.float64]

HIDDEN = 4
X = np.random.default_rng(0).normal(size=(60, 2))
y = X[:, 0] * X[:, 1] > 0  # whether both numbers have the same sign


def cost(theta: Any) -> Any:
    """Compute the cost of a 2-4-1 network whose parameters stand in one vector."""
    W1, b1, w2, b2 = np.split(theta, [2 * HIDDEN, 3 * HIDDEN, 4 * HIDDEN])
    z = np.tanh(X @ W1.reshape(HIDDEN, 2).T + b1) @ w2 + b2
    cross_entropy = np.mean(softplus(z) - y * z)
    return cross_entropy + 0.01 * np.sum(theta**2)


def walk(optimizer: optim.Optimizer, start: Vector, steps: int) -> list[Vector]:
    """Take so many steps, and return where each one led."""
    theta = Tensor(start, requires_grad=True)
    places: list[Vector] = []
    optimizer.bind([theta])
    optimizer.minimize(lambda: cost(theta), steps, lambda _: places.append(theta.numpy()))
    return places


def power_iteration(theta: Vector, products: int) -> tuple[float, Vector]:
    """Find the largest eigenvalue of H, and the direction in which the cost curves so.

    A product with H stretches the part of v in that direction most; soon nothing else is left.
    """
    v = np.ones_like(theta)
    for _ in range(products):
        v /= np.linalg.norm(v)
        before, v = v, hvp(cost, theta, v)
    return float(before @ v), v / np.linalg.norm(v)


def right_digits(theta: Vector, minimum: Vector) -> str:
    """Count the digits after the point that are right in all parameters."""
    return f"{-np.log10(np.abs(theta - minimum).max() + 1e-16):.1f}"


def main() -> None:
    """Measure how the cost curves at a minimum, and see what follows for the way there."""
    rng = np.random.default_rng(3)
    start = walk(optim.SGD(lr=0.5), rng.normal(size=4 * HIDDEN + 1), 300)[-1]
    near = walk(optim.Newton(), start, 100)[-1]
    H = hessian(cost)(near)
    minimum = near - np.linalg.solve(H, grad(cost)(near))  # one more step of Newton's, to be sure

    eigenvalues = np.linalg.eigvalsh(H)
    steepest, v = power_iteration(minimum, 100)
    print("How the cost curves at its minimum: the eigenvalues of H")
    print(f"  {len(eigenvalues)} of them, from {eigenvalues[0]:.6f} to {eigenvalues[-1]:.6f}")
    print(f"  the largest, h, by 100 products with H: {steepest:.6f}")

    print("\nHow long a step of gradient descent may be: less than 2 / h")
    print("  lr         distance from the minimum, and 25 steps later")
    for share in (1.9, 2.1):
        end = walk(optim.SGD(lr=share / steepest), minimum + 0.001 * v, 25)[-1]
        distance = np.linalg.norm(end - minimum)
        print(f"  {share} / h    0.001000                       {distance:.6f}")

    newton = walk(optim.Newton(tolerance=1e-13), start, 20)
    descent = walk(optim.SGD(lr=1 / steepest), start, 1000)
    print("\nWhere a step should lead: to where the gradient is 0, if H stays the same (Newton)")
    print("  step    right digits    by gradient descent")
    for k in [*range(1, len(newton) + 1), 100, 300, 1000]:
        here = right_digits(newton[k - 1], minimum) if k <= len(newton) else ""
        print(f"  {k:4}{here:>16}{right_digits(descent[k - 1], minimum):>23}")


if __name__ == "__main__":
    main()
