"""Functions of one number and of two that have a name in every textbook."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from autonn.engine.apply import define
from autonn.engine.op import Function, Memory, elementwise
from autonn.engine.ops.arithmetic import BROADCAST
from autonn.engine.ops.safe import safe_divide, safe_multiply

cbrt = define(
    "cbrt",
    np.cbrt,
    "z = x^(1/3)",
    lambda g, z, x: safe_divide(g, 3 * np.absolute(safe_divide(x, z))),  # z^2 doubles z's error
    kinks="At 0 the gradient is inf.",
)

exp = define("exp", np.exp, "z = e^x", lambda g, z, x: g * z)


exp2 = define("exp2", np.exp2, "z = 2^x", lambda g, z, x: g * (z * math.log(2)))

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
    """Use ``4q / (1 + q)^2`` with ``q = e^(-2|x|)``: 1 - tanh^2 cancels."""
    if getattr(x, "dtype", np.dtype(float)).kind == "c":  # of which |x| has no derivative
        return 1 / np.square(np.cosh(x))
    q = np.exp(-2 * np.minimum(np.absolute(x), 400))  # past underflow
    return 4 * q / np.square(1 + q)


# An op, with a rule of its own: by those of its parts a cost with u_xx in it took 3.2 ms, not 0.9.
tanh_slope = define(
    "tanh_slope",
    _tanh_slope,
    "z = 1 / cosh^2 x = 4q / (1 + q)^2 with q = e^(-2|x|)",
    lambda g, z, x: -2 * g * np.tanh(x) * z,
    composite=True,
)

tanh = define("tanh", np.tanh, "z = tanh x", lambda g, z, x: g * tanh_slope(x))

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


def bell(x: Any, c: float) -> Any:
    """Compute ``e^(-c x^2)``, which for c = 1/2 and 1 is 0 beyond 40, where x^2 may overflow."""
    return np.exp(-c * np.square(np.clip(x, -40, 40)))


erf = define(
    "erf",
    special.erf,
    "z = 2/sqrt(pi) times the integral of e^(-t^2) from 0 to x",
    lambda g, z, x: g * (2 / math.sqrt(math.pi) * bell(x, 1.0)),
    example="""
>>> erf(np.array([0.0, 1.0]))
array([0.        , 0.84270079])
""",
)


def normal_density(x: Any) -> Any:
    """Compute ``phi(x) = e^(-x^2 / 2) / sqrt(2 pi)``."""
    return bell(x, 0.5) / math.sqrt(2 * math.pi)


# Of many float32 numbers SciPy's `ndtr` takes 11 to 14 nanoseconds each, where a gelu is the
# largest part of a step of a small GPT; a polynomial takes 3, right to 2e-7. In float64 it would
# need 20 terms, and take as long as `ndtr`. Blocks of so many numbers stay in the cache.
_MANY, _BLOCK = 4096, 32768

# P in ``Phi(-y) = e^(-y^2 / 2) s P(s)`` with ``s = 1 / (1 + 0.3 y)``: least in the largest error
# for y from 0 to 14, which is 8e-9, and 4e-7 of Phi; the highest power first.
_TAIL = (
    0.03564868, -0.15666934, 0.2046548, -0.05137478, 0.12694438, 0.10051797, 0.12064075, 0.11963756,
)  # fmt: skip


def _normal_cdf_forward(x: Any, out: Any = None) -> Any:
    """Use `ndtr`, or for many numbers of float32 a polynomial: see above."""
    if getattr(x, "dtype", None) != np.float32 or x.size < _MANY:
        return special.ndtr(x, out=out)
    z = np.empty(x.shape, x.dtype) if out is None else out
    flat, into = x.reshape(-1), z.reshape(-1)
    y, s = np.empty((2, min(x.size, _BLOCK)), x.dtype)
    for k in range(0, x.size, _BLOCK):
        part = flat[k : k + _BLOCK]
        _normal_shares(part, into[k : k + _BLOCK], y[: part.size], s[: part.size])
    return z


def _normal_shares(x: Any, z: Any, y: Any, s: Any) -> None:
    """Compute ``Phi(x) = |[x > 0] - Phi(-|x|)|`` by the polynomial, in memory that is given."""
    np.absolute(x, out=y)
    np.multiply(y, 0.3, out=s)
    np.add(s, 1, out=s)
    np.divide(1, s, out=s)
    np.multiply(s, _TAIL[0], out=z)
    for c in _TAIL[1:]:
        np.add(z, c, out=z)
        np.multiply(z, s, out=z)
    with np.errstate(over="ignore"):  # of what is inf, e^-inf is 0
        np.square(y, out=y)
    np.multiply(y, -0.5, out=y)
    np.multiply(z, np.exp(y, out=y), out=z)
    np.subtract(np.greater(x, 0, out=y), z, out=z)
    np.absolute(z, out=z)


normal_cdf: Function = define(
    "normal_cdf",
    _normal_cdf_forward,
    "z = Phi(x), the share of the standard normal distribution below x",
    lambda g, z, x: g * normal_density(x),
    numpy=(special.ndtr,),
    rows=elementwise,
    memory=Memory.OUT,
)


hypot = define(
    "hypot",
    np.hypot,
    "z = sqrt(x^2 + y^2)",
    lambda g, z, x, y: g * safe_divide(x, z),
    lambda g, z, x, y: g * safe_divide(y, z),
    kinks="At (0, 0) both gradients are 0.",
    hint=BROADCAST,
)


def _divide_by_squares(g: Any, x: Any, y: Any) -> Any:
    """Compute ``g / (x^2 + y^2)``, in two steps so that the squares cannot overflow."""
    h = np.hypot(x, y)
    return safe_divide(safe_divide(g, h), h)


arctan2 = define(
    "arctan2",
    np.arctan2,
    "z = the angle of the point (y, x)",
    lambda g, z, y, x: _divide_by_squares(safe_multiply(g, x), x, y),
    lambda g, z, y, x: -_divide_by_squares(safe_multiply(g, y), x, y),
    kinks="At (0, 0) both gradients are 0.",
    hint=BROADCAST,
)
