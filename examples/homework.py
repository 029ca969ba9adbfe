"""Review a backpropagation written by hand: which line is wrong, why, and what should stand there.

    python examples/homework.py

The network is the course's, with a column of ones for the bias. Its gradient is a little off, as
gradient checking would tell; the review tells where. Then it is mended, and reviewed again.
"""

from typing import Any

import numpy as np

from autonn import review


def sigmoid(z: Any) -> Any:
    """Squash to between 0 and 1."""
    return 1 / (1 + np.exp(-z))


def backprop(Theta1: Any, Theta2: Any, X: Any, Y: Any, lam: float) -> tuple[Any, Any, Any]:
    """Compute the cost and its gradients, as they were handed in: one line is wrong."""
    m = len(X)
    a1 = np.column_stack((np.ones(m), X))
    z2 = a1 @ Theta1.T
    a2 = np.column_stack((np.ones(m), sigmoid(z2)))
    a3 = sigmoid(a2 @ Theta2.T)
    J = -np.sum(Y * np.log(a3) + (1 - Y) * np.log(1 - a3)) / m
    J += lam / (2 * m) * (np.sum(Theta1[:, 1:] ** 2) + np.sum(Theta2[:, 1:] ** 2))
    delta3 = a3 - Y
    delta2 = delta3 @ Theta2[:, 1:]
    grad1 = delta2.T @ a1 / m
    grad2 = delta3.T @ a2 / m
    grad1[:, 1:] += lam / m * Theta1[:, 1:]
    grad2[:, 1:] += lam / m * Theta2[:, 1:]
    return J, grad1, grad2


def mended(Theta1: Any, Theta2: Any, X: Any, Y: Any, lam: float) -> tuple[Any, Any, Any]:
    """Compute the same with delta2 times the slope of the sigmoid, a2 (1 - a2)."""
    m = len(X)
    a1 = np.column_stack((np.ones(m), X))
    a2 = np.column_stack((np.ones(m), sigmoid(a1 @ Theta1.T)))
    a3 = sigmoid(a2 @ Theta2.T)
    J = -np.sum(Y * np.log(a3) + (1 - Y) * np.log(1 - a3)) / m
    J += lam / (2 * m) * (np.sum(Theta1[:, 1:] ** 2) + np.sum(Theta2[:, 1:] ** 2))
    delta3 = a3 - Y
    delta2 = (delta3 @ Theta2[:, 1:]) * a2[:, 1:] * (1 - a2[:, 1:])
    grad1 = delta2.T @ a1 / m
    grad2 = delta3.T @ a2 / m
    grad1[:, 1:] += lam / m * Theta1[:, 1:]
    grad2[:, 1:] += lam / m * Theta2[:, 1:]
    return J, grad1, grad2


def main() -> None:
    """Review what was handed in, and what became of it."""
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(100, 4)), np.eye(3)[rng.integers(0, 3, 100)]
    thetas = rng.normal(size=(5, 5)), rng.normal(size=(3, 6))
    print(review(backprop, *thetas, X, Y, 1.0, argnums=(0, 1)))
    print()
    print("mended:", review(mended, *thetas, X, Y, 1.0, argnums=(0, 1)).cause)


if __name__ == "__main__":
    main()
