"""Declare an op of your own: a forward in NumPy, a rule for each argument, and a check.

    python examples/custom_op.py

The op here is the Huber function, which grows like a square near 0 and like |x| further out, so
that a regression by it is not thrown off by a few wild points.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

import autonn
from autonn import GradientError, Tensor, gradcheck


# A rule takes the incoming gradient g, the output z and the arguments, and returns the gradient
# for its argument. It is plain NumPy; then it works to any order.
@autonn.op(
    lambda g, z, x, delta: g * np.clip(x, -delta, delta),
    None,  # delta is a setting: it has no gradient
    formula="z = x^2 / 2 up to |x| = delta, delta (|x| - delta / 2) beyond",
)
def huber(x: Any, delta: float) -> Any:
    """Grow like a square up to delta, and in a straight line from there."""
    far = np.abs(x)
    return np.where(far <= delta, x * x / 2, delta * (far - delta / 2))


def fit_line(t: Any, y: Any, loss: Callable[[Any], Any]) -> tuple[float, float]:
    """Find the line with the smallest mean loss of its residuals."""
    line = Tensor([0.0, 0.0], requires_grad=True)
    autonn.optim.LBFGS([line]).minimize(lambda: np.mean(loss(line[0] * t + line[1] - y)), 100)
    return float(line[0]), float(line[1])


def main() -> None:
    """Check the rule, see a wrong one fail, and fit a line through points with outliers."""
    x = np.array([-3.0, -0.5, 0.2, 2.0])
    print("the rule is right:", gradcheck(lambda x: huber(x, 1.0), x, order=2))

    forgetful = autonn.op(lambda g, z, x: g * x)(lambda x: np.square(x))
    try:
        gradcheck(forgetful, x)
    except GradientError as error:
        print("a rule that forgets the 2:", error)

    rng = np.random.default_rng(0)
    t = np.linspace(0, 1, 50)
    y = 2 * t + 1 + rng.normal(0, 0.05, 50)
    y[::10] += 5  # wild points
    for name, loss in (("square", lambda r: r * r / 2), ("huber", lambda r: huber(r, 0.1))):
        slope, start = fit_line(t, y, loss)
        print(f"{name:>6}: y = {slope:.2f} t + {start:.2f}   (made with 2 t + 1)")


if __name__ == "__main__":
    main()
