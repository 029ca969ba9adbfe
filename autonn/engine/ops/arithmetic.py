"""The operators: sums, products, quotients and powers, element by element."""

from __future__ import annotations

from typing import Any

import numpy as np

from autonn.engine.apply import define
from autonn.engine.ops.safe import is_known, safe_divide, safe_multiply

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
    lambda g, z, x, y: -safe_divide(safe_multiply(g, z), y),
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
    """Compute ``g y x^(y-1)``; below y = 1 by a quotient, which is 0 where g or y is.

    That is ``y / x^(1-y)``, infinite at x = 0, and below y = 0, where that overflows, ``y z / x``.
    """
    if is_known(y) and np.all(np.greater_equal(y, 1)):
        return g * (y * x ** (y - 1))
    below, above = np.less(y, 0), np.greater_equal(y, 1)
    between = ~(below | above)
    power = np.where(below, z, x ** np.where(above, y - 1, 0))
    return safe_divide(
        safe_multiply(g, y * power), np.where(below, x, x ** np.where(between, 1 - y, 0))
    )


def _power_exponent(g: Any, z: Any, x: Any, y: Any) -> Any:
    """Compute ``g z ln x``, and 0 at x = 0."""
    return g * (z * np.log(np.where(np.equal(x, 0), 1, x)))


power = define(
    "power",
    np.power,
    "z = x^y",
    _power_base,
    _power_exponent,
    kinks="The gradient of x^0 for x is 0, and so is that of 0^y for y >= 0.",
    hint=BROADCAST,
    raises=lambda z: z.dtype.kind in "iu",  # of a negative exponent
)

square = define("square", np.square, "z = x^2", lambda g, z, x: g * (2 * x))

absolute = define(
    "absolute",
    np.absolute,
    "z = |x|",
    lambda g, z, x: g * np.sign(x),
    kinks="At 0 the gradient is 0.",
)

sqrt = define(
    "sqrt",
    np.sqrt,
    "z = sqrt(x)",
    lambda g, z, x: safe_divide(g, 2 * z),
    kinks="At 0 the gradient is inf.",
)
