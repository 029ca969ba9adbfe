"""The operators: sums, products, quotients and powers, element by element."""

from __future__ import annotations

from typing import Any

import numpy as np

from autonn.engine.apply import define
from autonn.engine.ops.safe import is_known, safe_divide, safe_divide_square, safe_multiply

BROADCAST = "lengths on an axis must be equal or 1, counted from the last axis"

add = define(
    "add",
    np.add,
    "z = x + y",
    lambda g, z, x, y: g,
    lambda g, z, x, y: g,
    symbol="{0} + {1}",
    hint=BROADCAST,
)

subtract = define(
    "subtract",
    np.subtract,
    "z = x - y",
    lambda g, z, x, y: g,
    lambda g, z, x, y: -g,
    symbol="{0} - {1}",
    hint=BROADCAST,
)

multiply = define(
    "multiply",
    np.multiply,
    "z = x y",
    lambda g, z, x, y: g * y,
    lambda g, z, x, y: g * x,
    symbol="{0} * {1}",
    hint=BROADCAST,
)

divide = define(
    "divide",
    np.divide,
    "z = x / y",
    lambda g, z, x, y: safe_divide(g, y),
    lambda g, z, x, y: -safe_divide_square(g * x, y),
    kinks="At y = 0 the gradient is infinite, and 0 where the incoming one is.",
    symbol="{0} / {1}",
    hint=BROADCAST,
)

reciprocal = define(
    "reciprocal",
    np.reciprocal,
    "z = 1 / x",
    lambda g, z, x: -safe_divide(safe_divide(g, x), x),
    kinks="At 0 the gradient is infinite.",
)

negative = define("negative", np.negative, "z = -x", lambda g, z, x: -g, symbol="-{0}")

positive = define("positive", np.positive, "z = +x", lambda g, z, x: g)


def _power_base(g: Any, z: Any, x: Any, y: Any) -> Any:
    """Use ``y x^(y-1)``; below y = 1 as a quotient, which is infinite at x = 0.

    The general form is ``y x^a / x^b`` with a - b = y - 1 exactly: y - 1 is rounded below 1/2 and
    from 2^53 on, which could cost 350 ulp.
    """
    if is_known(y) and np.all(np.greater_equal(y, 1) & np.less_equal(y, 8)):
        return g * (y * x ** (y - 1))
    rounded = np.less(y, 0.5) | np.greater(y, 2.0**53)
    split = rounded & np.not_equal(x, 0) & np.isfinite(x)
    a = np.where(split, y, np.maximum(y - 1, 0))
    b = np.where(split, 1, np.maximum(1 - y, 0))
    half = np.rint(a / 2)  # x^a alone may underflow where y x^a does not
    return safe_divide(safe_multiply(g, y * x**half * x ** (a - half)), x**b)


def _power_exponent(g: Any, z: Any, x: Any, y: Any) -> Any:
    """Use ``z ln x``; where z has lost digits or overflows, in two halves around the logarithm."""
    slope = np.log(np.where(np.equal(x, 0), 1, x))
    inside = np.greater(z, 2.0**-100) & np.isfinite(z)
    root = np.where(inside, 1, x) ** (y / 2)
    return g * np.where(inside, z * slope, root * slope * root)


power = define(
    "power",
    np.power,
    "z = x^y",
    _power_base,
    _power_exponent,
    kinks="The gradient of x^0 for x is 0, and so is that of 0^y for y.",
    hint=BROADCAST,
)

square = define("square", np.square, "z = x^2", lambda g, z, x: g * (2 * x))

absolute = define(
    "absolute",
    np.absolute,
    "z = |x|",
    lambda g, z, x: g * np.sign(x),
    numpy=(np.absolute, np.fabs),
    kinks="At 0 the gradient is 0.",
)

sqrt = define(
    "sqrt",
    np.sqrt,
    "z = sqrt(x)",
    lambda g, z, x: safe_divide(g, 2 * z),
    kinks="At 0 the gradient is inf.",
)
