"""Functions of one number and of two that have a name in every textbook."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from autonn.engine.apply import define
from autonn.engine.op import Function, Memory, elementwise
from autonn.engine.ops.arithmetic import BROADCAST
from autonn.engine.ops.safe import larger, lift, safe_divide, safe_multiply


def _closer(z: Any, x: Any) -> Any:
    """Take a step of Newton's to the cube root: some C libraries' are off by 4 units."""
    return z - (z - safe_divide(x, z * z)) / 3


cbrt = define(
    "cbrt",
    np.cbrt,
    "z = x^(1/3)",
    lambda g, z, x: safe_divide(
        g, 3 * safe_divide(x, _closer(z, x))
    ),  # z^2 would double the error of z
    kinks="At 0 the gradient is inf.",
)

exp = define("exp", np.exp, "z = e^x", lambda g, z, x: g * z)


def _exp2_rule(g: Any, z: Any, x: Any) -> Any:
    """Use ``2^(x/2) ln 2 2^(x/2)``, which is finite to x = 1024.53; 2^x only to 1024."""
    root = np.exp2(x / 2)
    return g * (root * math.log(2) * root)


exp2 = define("exp2", np.exp2, "z = 2^x", _exp2_rule)

expm1 = define("expm1", np.expm1, "z = e^x - 1", lambda g, z, x: g * np.exp(x))  # z + 1 cancels

log = define("log", np.log, "z = ln x", lambda g, z, x: safe_divide(g, x))

log2 = define("log2", np.log2, "z = log2 x", lambda g, z, x: safe_divide(g / math.log(2), x))


# 1 / x overflows below 10^-308, 1 / (x ln 10) only below 10^-308.6
log10 = define("log10", np.log10, "z = log10 x", lambda g, z, x: safe_divide(g / math.log(10), x))

log1p = define("log1p", np.log1p, "z = ln(1 + x)", lambda g, z, x: safe_divide(g, 1 + x))

sin = define("sin", np.sin, "z = sin x", lambda g, z, x: g * np.cos(x))

cos = define("cos", np.cos, "z = cos x", lambda g, z, x: -g * np.sin(x))

tan = define("tan", np.tan, "z = tan x", lambda g, z, x: g * (1 + z * z))

arcsin = define(
    "arcsin",
    np.arcsin,
    "z = arcsin x",
    lambda g, z, x: safe_divide(g, np.sqrt((1 - x) * (1 + x))),  # 1 - x^2 cancels near 1
    kinks="At -1 and 1 the gradient is inf.",
)

arccos = define(
    "arccos",
    np.arccos,
    "z = arccos x",
    lambda g, z, x: -safe_divide(g, np.sqrt((1 - x) * (1 + x))),
    kinks="At -1 and 1 the gradient is -inf.",
)


def _squash(g: Any, x: Any) -> Any:
    """Compute ``g / (1 + x^2)``, in two steps so that x^2 cannot overflow."""
    h = np.hypot(1, x)
    return g / h / h


arctan = define("arctan", np.arctan, "z = arctan x", lambda g, z, x: _squash(g, x))

sinh = define("sinh", np.sinh, "z = sinh x", lambda g, z, x: g * np.cosh(x))

cosh = define("cosh", np.cosh, "z = cosh x", lambda g, z, x: g * np.sinh(x))


def _tanh_slope(x: Any) -> Any:
    """Use ``4q / (1 + q)^2`` with ``q = e^(-2|x|)``: 1 - tanh^2 cancels; 400 is past underflow."""
    q = np.exp(-2 * np.minimum(np.absolute(x), 400))
    return 4 * q / np.square(1 + q)


tanh = define("tanh", np.tanh, "z = tanh x", lambda g, z, x: g * _tanh_slope(x))

arcsinh = define("arcsinh", np.arcsinh, "z = arsinh x", lambda g, z, x: g / np.hypot(1, x))

arccosh = define(
    "arccosh",
    np.arccosh,
    "z = arcosh x",
    lambda g, z, x: safe_divide(safe_divide(g, np.sqrt(x - 1)), np.sqrt(x + 1)),
    kinks="At 1 the gradient is inf.",
)

arctanh = define(
    "arctanh",
    np.arctanh,
    "z = artanh x",
    lambda g, z, x: safe_divide(g, (1 - x) * (1 + x)),
    kinks="At -1 and 1 the gradient is inf.",
)


def _bell_forward(x: Any, c: float) -> Any:
    """Split x, so that the rounding of its square, 2^-53 of 700, is not magnified by exp.

    The first 24 bits of x have an exact square, also times a power of two c; beyond 80 the result
    is 0 in any case.
    """
    if np.asarray(x).dtype.kind == "c":
        return np.exp(-c * x * x)
    wide = np.clip(x, -80.0, 80.0).astype(np.float64)
    head = wide.astype(np.float32).astype(np.float64)
    bell = np.exp(-c * head * head) * np.exp(c * (head - wide) * (head + wide))
    return bell.astype(np.result_type(x, np.float32), copy=False)


bell: Function = define(
    "bell",
    lambda x, c=1.0: _bell_forward(x, c),
    "z = e^(-c x^2)",
    lambda g, z, x, c=1.0: -g * (2 * c * x * z),
    rows=elementwise,
    memory=Memory.NEW,
)

erf = define(
    "erf",
    special.erf,
    "z = 2/sqrt(pi) times the integral of e^(-t^2) from 0 to x",
    lambda g, z, x: g * (2 / math.sqrt(math.pi) * bell(x)),
)


def scaled_normal_cdf(x: Any, factor: Any = 1) -> Any:
    """Use erfc; below -1 the scaled one, which the rounding of its argument does not disturb."""
    right = factor * (0.5 * special.erfc(x * -math.sqrt(0.5)))
    if np.asarray(x).dtype.kind == "c":
        return right
    root = _bell_forward(x, 0.25)
    scaled = special.erfcx(np.minimum(x, 0) * -math.sqrt(0.5))
    return np.where(np.less(x, -1), root * (0.5 * factor * scaled) * root, right)


normal_cdf: Function = define(
    "normal_cdf",
    scaled_normal_cdf,
    "z = the share of the standard normal distribution below x",
    lambda g, z, x: g * (bell(x, c=0.5) / math.sqrt(2 * math.pi)),
    numpy=(special.ndtr,),
    rows=elementwise,
    memory=Memory.NEW,
)


def _cosine(x: Any, y: Any) -> Any:
    """Compute ``x / sqrt(x^2 + y^2)``."""
    c = lift(larger(x, y))
    return safe_divide(x * c, np.hypot(x * c, y * c))


def divide_by_squares(g: Any, x: Any, y: Any) -> Any:
    """Compute ``g / (x^2 + y^2)``."""
    c = lift(larger(x, y))
    h = np.hypot(x * c, y * c)
    return safe_divide(safe_divide(g * c * c, h), h)


hypot = define(
    "hypot",
    np.hypot,
    "z = sqrt(x^2 + y^2)",
    lambda g, z, x, y: g * _cosine(x, y),
    lambda g, z, x, y: g * _cosine(y, x),
    kinks="At (0, 0) both gradients are 0.",
    hint=BROADCAST,
)

arctan2 = define(
    "arctan2",
    np.arctan2,
    "z = the angle of the point (y, x)",
    lambda g, z, y, x: divide_by_squares(safe_multiply(g, x), x, y),
    lambda g, z, y, x: -divide_by_squares(safe_multiply(g, y), x, y),
    kinks="At (0, 0) both gradients are 0.",
    hint=BROADCAST,
)
