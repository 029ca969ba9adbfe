"""Every differentiable op: its formula, its forward and its derivative rules in one paragraph.

A rule reads ``lambda g, z, x, y: g * y``: the incoming gradient, the output and the arguments
give the gradient for one argument. It is the formula and nothing else. Shapes are the edge's
business (`autodiff.py` sums a gradient back over what was broadcast) and so are dtypes. Rules are
plain NumPy: on arrays they give numbers, on Tensors they give a graph that can be differentiated
again. Linear ops come in pairs, each the other's rule, so that no order runs out of rules.

Where a derivative is a quotient, `_over` divides: a gradient of zero stays zero there, also where
the derivative is infinite, so that what a `where` has masked out cannot come back as NaN.
"""

from __future__ import annotations

import builtins
import math
import string
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray
from scipy import special

from autonn.engine.tensor import (
    Array,
    Function,
    Op,
    Operand,
    Tensor,
    _is_tracing,
    _leaf,
    define,
    implements,
)

Axis = int | tuple[int, ...] | None

# ---- arithmetic

_BROADCAST = "lengths on an axis must be equal or 1, counted from the last axis"

add = define(
    "add",
    np.add,
    "z = x + y",
    lambda g, z, x, y: g,
    lambda g, z, x, y: g,
    method="__add__",
    reflected="__radd__",
    cure=_BROADCAST,
)

subtract = define(
    "subtract",
    np.subtract,
    "z = x - y",
    lambda g, z, x, y: g,
    lambda g, z, x, y: -g,
    method="__sub__",
    reflected="__rsub__",
    cure=_BROADCAST,
)

multiply = define(
    "multiply",
    np.multiply,
    "z = x y",
    lambda g, z, x, y: g * y,
    lambda g, z, x, y: g * x,
    method="__mul__",
    reflected="__rmul__",
    cure=_BROADCAST,
)


def _times_forward(x: Any, y: Any) -> Any:
    with np.errstate(invalid="ignore"):
        z = np.multiply(x, y)
    return np.where(np.equal(x, 0) | np.equal(y, 0), 0, z) if np.any(np.isnan(z)) else z


_times: Function = define(
    "times",
    _times_forward,
    "z = x y, and 0 where either is 0",
    lambda g, z, x, y: _times(g, y),
    lambda g, z, x, y: _times(g, x),
    kinks="0 times inf is 0, and so is its gradient.",
)


def _over_forward(g: Any, d: Any) -> Any:
    if np.all(g):
        return g / d
    shape = np.broadcast_shapes(np.shape(g), np.shape(d))
    return np.divide(g, d, out=np.zeros(shape, np.result_type(g, d)), where=np.not_equal(g, 0))


_over: Function = define(
    "over",
    _over_forward,
    "z = g / d, and 0 where g = 0",
    lambda c, z, g, d: _over(c, d),
    lambda c, z, g, d: -_over_square(_times(c, g), d),
    kinks="0 / 0 is 0, and so is its gradient for d.",
)


def _lift(size: Any) -> Any:
    """Choose a power of two that brings sizes away from both ends of the range, exactly.

    Quotients like x / y^2 are representable where x / y or y^2 are not, or have lost digits below
    the smallest normal number. These factors suit float32 as well as float64.
    """
    small, huge, one = np.float32(2.0**60), np.float32(0.25), np.float32(1)
    return np.where(np.less(size, 1), small, np.where(np.greater(size, 2.0**100), huge, one))


def _larger(x: Any, y: Any) -> Any:
    return np.maximum(np.absolute(x), np.absolute(y))


def _over_square(g: Any, d: Any) -> Any:
    """Compute ``g / d^2``."""
    lift = _lift(_larger(g, d))
    return _over(_over(g * lift, d), d * lift)


divide = define(
    "divide",
    np.divide,
    "z = x / y",
    lambda g, z, x, y: _over(g, y),
    lambda g, z, x, y: -_over_square(g * x, y),
    method="__truediv__",
    reflected="__rtruediv__",
    kinks="At y = 0 the gradient is infinite, and 0 where the incoming one is.",
    cure=_BROADCAST,
)

reciprocal = define(
    "reciprocal",
    np.reciprocal,
    "z = 1 / x",
    lambda g, z, x: -_over(_over(g, x), x),
    kinks="At 0 the gradient is infinite.",
)

negative = define("negative", np.negative, "z = -x", lambda g, z, x: -g, method="__neg__")

positive = define("positive", np.positive, "z = +x", lambda g, z, x: g, method="__pos__")


def _is_known(x: Any) -> bool:
    """Whether its values may be looked at: not while a function of it is being compiled."""
    return not (isinstance(x, Tensor) and _is_tracing())


def _power_base(g: Any, z: Any, x: Any, y: Any) -> Any:
    """Use ``y x^(y-1)``; below y = 1 as a quotient, which is infinite at x = 0.

    The general form is ``y x^a / x^b`` with a - b = y - 1 exactly: y - 1 is rounded below 1/2 and
    from 2^53 on, which could cost 350 ulp.
    """
    if _is_known(y) and np.all(np.greater_equal(y, 1) & np.less_equal(y, 8)):
        return g * (y * x ** (y - 1))
    rounded = np.less(y, 0.5) | np.greater(y, 2.0**53)
    split = rounded & np.not_equal(x, 0) & np.isfinite(x)
    a = np.where(split, y, np.maximum(y - 1, 0))
    b = np.where(split, 1, np.maximum(1 - y, 0))
    half = np.rint(a / 2)  # x^a alone may underflow where y x^a does not
    return _over(_times(g, y * x**half * x ** (a - half)), x**b)


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
    method="__pow__",
    reflected="__rpow__",
    kinks="The gradient of x^0 for x is 0, and so is that of 0^y for y.",
    cure=_BROADCAST,
)

square = define("square", np.square, "z = x^2", lambda g, z, x: g * (2 * x))

# ---- functions of one number

absolute = define(
    "absolute",
    np.absolute,
    "z = |x|",
    lambda g, z, x: g * np.sign(x),
    numpy=(np.absolute, np.fabs),
    method="__abs__",
    kinks="At 0 the gradient is 0.",
)

sqrt = define(
    "sqrt",
    np.sqrt,
    "z = sqrt(x)",
    lambda g, z, x: _over(g, 2 * z),
    kinks="At 0 the gradient is inf.",
)


def _closer(z: Any, x: Any) -> Any:
    """Take a step of Newton's to the cube root: some C libraries' are off by 4 units."""
    return z - (z - _over(x, z * z)) / 3


cbrt = define(
    "cbrt",
    np.cbrt,
    "z = x^(1/3)",
    lambda g, z, x: _over(g, 3 * _over(x, _closer(z, x))),  # z^2 would double the error of z
    kinks="At 0 the gradient is inf.",
)

exp = define("exp", np.exp, "z = e^x", lambda g, z, x: g * z)


def _exp2_rule(g: Any, z: Any, x: Any) -> Any:
    """Use ``2^(x/2) ln 2 2^(x/2)``, which is finite to x = 1024.53; 2^x only to 1024."""
    root = np.exp2(x / 2)
    return g * (root * math.log(2) * root)


exp2 = define("exp2", np.exp2, "z = 2^x", _exp2_rule)

expm1 = define("expm1", np.expm1, "z = e^x - 1", lambda g, z, x: g * np.exp(x))  # z + 1 cancels

log = define("log", np.log, "z = ln x", lambda g, z, x: _over(g, x))

log2 = define("log2", np.log2, "z = log2 x", lambda g, z, x: _over(g / math.log(2), x))

# 1 / x overflows below 10^-308, 1 / (x ln 10) only below 10^-308.6
log10 = define("log10", np.log10, "z = log10 x", lambda g, z, x: _over(g / math.log(10), x))

log1p = define("log1p", np.log1p, "z = ln(1 + x)", lambda g, z, x: _over(g, 1 + x))

sin = define("sin", np.sin, "z = sin x", lambda g, z, x: g * np.cos(x))

cos = define("cos", np.cos, "z = cos x", lambda g, z, x: -g * np.sin(x))

tan = define("tan", np.tan, "z = tan x", lambda g, z, x: g * (1 + z * z))

arcsin = define(
    "arcsin",
    np.arcsin,
    "z = arcsin x",
    lambda g, z, x: _over(g, np.sqrt((1 - x) * (1 + x))),  # 1 - x^2 cancels near 1
    kinks="At -1 and 1 the gradient is inf.",
)

arccos = define(
    "arccos",
    np.arccos,
    "z = arccos x",
    lambda g, z, x: -_over(g, np.sqrt((1 - x) * (1 + x))),
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
    lambda g, z, x: _over(_over(g, np.sqrt(x - 1)), np.sqrt(x + 1)),
    kinks="At 1 the gradient is inf.",
)

arctanh = define(
    "arctanh",
    np.arctanh,
    "z = artanh x",
    lambda g, z, x: _over(g, (1 - x) * (1 + x)),
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


_bell: Function = define(
    "bell",
    lambda x, c=1.0: _bell_forward(x, c),
    "z = e^(-c x^2)",
    lambda g, z, x, c=1.0: -g * (2 * c * x * z),
)

erf = define(
    "erf",
    special.erf,
    "z = 2/sqrt(pi) times the integral of e^(-t^2) from 0 to x",
    lambda g, z, x: g * (2 / math.sqrt(math.pi) * _bell(x)),
)

# Steps: constant between their jumps, so that their gradient is zero everywhere.


def _zeros(g: Any, z: Any, x: Any, *rest: Any, **static: Any) -> Any:
    return np.zeros(np.shape(x), z.dtype)


def _step(function: Any, formula: str, *more: Any, method: str = "") -> Function:
    return define(
        function.__name__,
        function,
        formula,
        _zeros,
        numpy=(function, *more),
        method=method,
        kinks="The gradient is 0 everywhere.",
    )


sign = _step(np.sign, "z = -1, 0 or 1")
floor = _step(np.floor, "z = the next whole number below")
ceil = _step(np.ceil, "z = the next whole number above")
trunc = _step(np.trunc, "z = the next whole number towards 0")
rint = _step(np.rint, "z = the nearest whole number")
round_ = _step(np.round, "z = x to so many decimals", np.around, method="round")
heaviside = define(
    "heaviside",
    np.heaviside,
    "z = 0 below 0, y at 0, 1 above",
    _zeros,
    lambda g, z, x, y: np.where(np.equal(x, 0), g, 0),
    kinks="The gradient for x is 0 everywhere.",
)

# ---- activations


def _sigmoid_forward(x: Any) -> tuple[Any, Any]:
    """Use ``1 / (1 + e^-x)`` where NumPy's vectorised exp is faster and cannot overflow.

    There s(-x) is kept. SciPy's `expit` takes about 4 times as long for many elements, less for a
    few hundred.
    """
    x = np.asarray(x)
    if x.dtype.kind == "c":
        return 1 / (1 + np.exp(-x)), None
    if x.size < 500 or x.dtype.kind != "f" or x.min() < (-80 if x.dtype == np.float32 else -700):
        z = special.expit(x)
        if np.count_nonzero(z) < z.size:  # expit is 0 from -710 on, e^x only from -746 on
            z = np.where(np.equal(z, 0), np.exp(np.minimum(x, 0)), z)
        return z, None
    e = np.negative(x)
    np.exp(e, out=e)
    z = 1 + e
    opposite = np.divide(e, z, out=e)
    return np.reciprocal(z, out=z), opposite


def _sigmoid_rule(g: Any, z: Any, x: Any, opposite: Any) -> Any:
    """Use ``g s'(x), s'(x) = s(x) s(-x)``, the latter kept or found anew."""
    if opposite is None:
        return _times_slope(g, x)
    slope = z * opposite
    slope *= g
    return slope


sigmoid: Function = define(
    "sigmoid",
    _sigmoid_forward,
    "z = s(x) = 1 / (1 + e^-x)",
    _sigmoid_rule,
    numpy=(special.expit,),
    keeps_input=True,
    keeps=True,
)

# In the next two q = e^-|x| is in (0, 1]: nothing overflows, and each side of 0 keeps its digits.


def _times_slope_forward(g: Any, x: Any) -> Any:
    if x.dtype.kind == "c":
        z = sigmoid(x)
        return g * (z * (1 - z))
    q = np.exp(-np.absolute(x))
    square = 1 + q
    square *= square
    q /= square
    return g * q


_times_slope: Function = define(
    "times_slope",
    lambda g, x: _times_slope_forward(g, np.asarray(x)),
    "z = g s'(x), s'(x) = s(x) s(-x) = q / (1 + q)^2 with q = e^-|x|",
    lambda c, z, g, x: _times_slope(c, x),
    lambda c, z, g, x: _times_slope(-c * g, x) * np.tanh(x / 2),
)


def _step_less(x: Any, y: Any) -> Any:
    """Compute ``[x > 0] - y`` as ``(1/2 - y) +- 1/2``: exact for y = 0 and 1, also beside -0."""
    return (0.5 - y) + np.copysign(0.5, x)


def _less_targets(x: Any, step: Any, q: Any) -> Any:
    """Use ``s(x) - y = [x > 0] - y -+ q / (1 + q)``."""
    return step - np.copysign(q / (1 + q), x)


def _below_zero(x: Any) -> Any:
    """Compute -|x|: of a few numbers in one call, of more in two that are vectorised."""
    return np.copysign(x, -1.0) if np.size(x) < 1000 else -np.absolute(x)


_residual: Function = define(
    "residual",
    lambda x, y: _less_targets(x, _step_less(x, y), np.exp(_below_zero(x))),
    "z = s(x) - y, which cancels no digits for y = 0 nor for y = 1",
    lambda g, z, x, y: _times_slope(g, x),
    lambda g, z, x, y: -g,
    composite=True,
)

log_sigmoid = define(
    "log_sigmoid",
    special.log_expit,
    "z = ln s(x)",
    lambda g, z, x: g * sigmoid(-x),
)

softplus = define(
    "softplus",
    lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.absolute(x))),
    "z = ln(1 + e^x)",
    lambda g, z, x: g * sigmoid(x),
    composite=True,
)

relu = define(
    "relu",
    lambda x: np.maximum(x, 0),
    "z = max(x, 0)",
    lambda g, z, x: g * np.sign(z),  # sign keeps NaN, x > 0 would hide it
    kinks="At 0 the gradient is 0, at NaN it is NaN.",
    composite=True,
)

leaky_relu = define(
    "leaky_relu",
    lambda x, slope=0.01: np.where(np.greater(x, 0), x, np.multiply(slope, x)),
    "z = x above 0, slope x below",
    lambda g, z, x, slope=0.01: g * np.where(np.greater(x, 0), 1, slope),
    kinks="At 0 the gradient is the slope.",
    composite=True,
)

elu = define(
    "elu",
    lambda x, alpha=1.0: np.where(np.greater(x, 0), x, alpha * np.expm1(np.minimum(x, 0))),
    "z = x above 0, alpha (e^x - 1) below",
    lambda g, z, x, alpha=1.0: g * np.where(np.greater(x, 0), 1, alpha * np.exp(np.minimum(x, 0))),
    kinks="At 0 the gradient is alpha.",
    composite=True,
)

# Below -708 e^x loses digits, which a factor of 700 would magnify: silu and gelu take it apart.


def _silu_forward(x: Any) -> Any:
    if x.dtype.kind == "c" or np.min(x, initial=0) >= -80:
        return x * _sigmoid_forward(x)[0]
    return _sigmoid_forward(np.maximum(x, -80))[0] * x * np.exp(np.minimum(x + 80, 0))


# Where silu' is 0, in two parts; float64 beside float32 too, which has too few digits there.
_SILU_ROOT, _SILU_REST = np.float64(-1.2784645427610737), -1.0946994183093437e-16


def _silu_slope(x: Any) -> Any:
    """Use ``s(x) (1 + x s(-x))``, and below -1/2 ``s(x) s(-x) (1 + x + e^x)``.

    With t the distance to the root r of 1 + x + e^x, that is t + e^r (e^t - 1): it cancels nothing.
    """
    x = np.clip(x, -1000, 1000)  # where it is 0 and 1 to all digits
    t = (np.minimum(x, 0) - _SILU_ROOT) - _SILU_REST
    left = t - (1 + _SILU_ROOT + _SILU_REST) * np.expm1(t)
    far = np.less(x, -0.5)
    slope = sigmoid(-x) * np.where(far, left, x) + np.where(far, 0, 1)
    return sigmoid(np.maximum(x, -80)) * slope * np.exp(np.minimum(x + 80, 0))


silu = define(
    "silu",
    lambda x: _silu_forward(np.asarray(x)),
    "z = x s(x)",
    lambda g, z, x: g * _silu_slope(x),
)


def _normal_cdf(x: Any, factor: Any = 1) -> Any:
    """Use erfc; below -1 the scaled one, which the rounding of its argument does not disturb."""
    right = factor * (0.5 * special.erfc(x * -math.sqrt(0.5)))
    if np.asarray(x).dtype.kind == "c":
        return right
    root = _bell_forward(x, 0.25)
    scaled = special.erfcx(np.minimum(x, 0) * -math.sqrt(0.5))
    return np.where(np.less(x, -1), root * (0.5 * factor * scaled) * root, right)


_phi: Function = define(
    "phi",
    _normal_cdf,
    "z = the share of the standard normal distribution below x",
    lambda g, z, x: g * (_bell(x, c=0.5) / math.sqrt(2 * math.pi)),
    numpy=(special.ndtr,),
)

_GELU_ROOT, _GELU_REST = -0.7517915246935645, 1.4956759177009883e-17  # where gelu' is 0
_GELU_LEAST = -0.12890414518515478  # gelu' at -sqrt(2), where it is least
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(9)  # on [-1, 1]; on [0, 1] with phi's factor:
_NODES, _WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / math.sqrt(8 * math.pi)

_share_below: Function = define(
    "share_below",
    lambda x: 0.5 * special.erfcx(x * -math.sqrt(0.5)),
    "z = Phi(x) e^(x^2 / 2)",
    lambda g, z, x: g * (x * z + 1 / math.sqrt(2 * math.pi)),
)


def _gelu_slope(x: Any) -> Any:
    """Use ``Phi(x) + x phi(x)`` below 0, of which it is the complement above.

    From -2 to 0, where that cancels, integrate (2 - u^2) phi(u) from the root or from the minimum:
    with 9 nodes Gauss' rule is exact to the last digit.
    """
    x = np.clip(x, -50, 50)  # where it is 0 and 1 to all digits
    v = np.where(np.less(x, 0), x, -x)
    tail = np.less(v, -37.66)  # from where on the bell loses digits: its root has them all
    bell = np.where(tail, _bell(v, c=0.25), _bell(v, c=0.5))
    far = bell * (_share_below(v) + v / math.sqrt(2 * math.pi)) * np.where(tail, bell, 1)
    low = np.less(v, -1.1)
    start = np.where(low, -math.sqrt(2), _GELU_ROOT)
    t = np.clip((v - start) - np.where(low, 0, _GELU_REST), -0.6, 0.76)
    near: Any = 0
    for node, weight in zip(_NODES.tolist(), _WEIGHTS.tolist(), strict=True):
        u = start + t * node
        near = near + weight * (2 - u * u) * np.exp(u * u / -2)
    near = np.where(low, _GELU_LEAST, 0) + t * near
    below = np.where(np.greater(v, -2), near, far)
    return np.where(np.less(x, 0), below, 1 - below)


gelu = define(
    "gelu",
    lambda x: _normal_cdf(x, x),
    "z = x Phi(x), Phi the normal distribution",
    lambda g, z, x: g * _gelu_slope(x),
)

# ---- functions of two numbers


def _cosine(x: Any, y: Any) -> Any:
    """Compute ``x / sqrt(x^2 + y^2)``."""
    lift = _lift(_larger(x, y))
    return _over(x * lift, np.hypot(x * lift, y * lift))


def _over_squares(g: Any, x: Any, y: Any) -> Any:
    """Compute ``g / (x^2 + y^2)``."""
    lift = _lift(_larger(x, y))
    h = np.hypot(x * lift, y * lift)
    return _over(_over(g * lift * lift, h), h)


hypot = define(
    "hypot",
    np.hypot,
    "z = sqrt(x^2 + y^2)",
    lambda g, z, x, y: g * _cosine(x, y),
    lambda g, z, x, y: g * _cosine(y, x),
    kinks="At (0, 0) both gradients are 0.",
    cure=_BROADCAST,
)


arctan2 = define(
    "arctan2",
    np.arctan2,
    "z = the angle of the point (y, x)",
    lambda g, z, y, x: _over_squares(_times(g, x), x, y),
    lambda g, z, y, x: -_over_squares(_times(g, y), x, y),
    kinks="At (0, 0) both gradients are 0.",
    cure=_BROADCAST,
)


def _softmax_share(g: Any, x: Any, y: Any) -> Any:
    """Compute ``g s(x - y)``, with the part of x - y that its rounding lost (Knuth's two-sum).

    At -700 that part, 2^-44, would be 512 ulp of the result. Infinities count as the largest
    numbers: two of them would subtract to NaN, as would halves that were not halved first.
    """
    top = np.finfo(np.result_type(x, y, np.float32)).max
    a, b = np.clip(x, -top, top) / 2, np.clip(y, -top, top) / 2
    half = a - b
    lost = (a - (half - (half - a))) - (b + (half - a))
    d = 2 * np.clip(half, -1000, 1000)
    share = sigmoid(d) * (1 + 2 * lost * sigmoid(-d))
    return g * np.where(np.equal(x, y) & np.equal(x, -np.inf), 0.0, share)


logaddexp = define(
    "logaddexp",
    np.logaddexp,
    "z = ln(e^x + e^y)",
    lambda g, z, x, y: _softmax_share(g, x, y),
    lambda g, z, x, y: _softmax_share(g, y, x),
    kinks="At (-inf, -inf) both gradients are 0.",
    cure=_BROADCAST,
)


def _share(g: Any, first: Any, equal: Any) -> Any:
    return np.where(equal, g / 2, np.where(first, g, 0))


maximum = define(
    "maximum",
    np.maximum,
    "z = max(x, y)",
    lambda g, z, x, y: _share(g, np.greater(x, y), np.equal(x, y)),
    lambda g, z, x, y: _share(g, np.greater(y, x), np.equal(x, y)),
    kinks="Equal operands get half the gradient each.",
    cure=_BROADCAST,
)

minimum = define(
    "minimum",
    np.minimum,
    "z = min(x, y)",
    lambda g, z, x, y: _share(g, np.less(x, y), np.equal(x, y)),
    lambda g, z, x, y: _share(g, np.less(y, x), np.equal(x, y)),
    kinks="Equal operands get half the gradient each.",
    cure=_BROADCAST,
)

_clip = define(
    "clip",
    lambda x, low, high: np.clip(x, low, high),
    "z = min(max(x, low), high)",
    lambda g, z, x, low, high: np.where(np.less(x, low) | np.greater(x, high), 0, g),
    lambda g, z, x, low, high: np.where(np.less(x, low) & np.less_equal(low, high), g, 0),
    lambda g, z, x, low, high: np.where(np.greater(x, high) | np.greater(low, high), g, 0),
    numpy=(),
    kinks="At its bounds it passes the whole gradient to x.",
    cure=_BROADCAST,
)


@implements(np.clip, method="clip")
def clip(x: Operand, a_min: Operand = None, a_max: Operand = None) -> Any:
    """Limit x to the range from `a_min` to `a_max`; None leaves a side open."""
    return _clip(x, -math.inf if a_min is None else a_min, math.inf if a_max is None else a_max)


copysign = define(
    "copysign",
    np.copysign,
    "z = |x| with the sign of y",
    lambda g, z, x, y: g * (np.sign(x) * np.copysign(1.0, y)),
    lambda g, z, x, y: np.zeros(np.shape(y), z.dtype),
    kinks="At x = 0 the gradient is 0; for y it is 0 everywhere.",
    cure=_BROADCAST,
)

where = define(
    "where",
    np.where,
    "z = x where the condition holds, else y",
    None,
    lambda g, z, c, x, y: np.where(c, g, 0),
    lambda g, z, c, x, y: np.where(c, 0, g),
    kinks="Each branch gets only its own part.",
    cure=_BROADCAST,
)

# ---- comparisons: booleans, which have no gradient


def _comparison(function: np.ufunc, formula: str, method: str = "", reflected: str = "") -> Any:
    return define(function.__name__, function, formula, method=method, reflected=reflected)


equal = _comparison(np.equal, "z = [x = y]", "__eq__")
not_equal = _comparison(np.not_equal, "z = [x != y]", "__ne__")
less = _comparison(np.less, "z = [x < y]", "__lt__")
less_equal = _comparison(np.less_equal, "z = [x <= y]", "__le__")
greater = _comparison(np.greater, "z = [x > y]", "__gt__")
greater_equal = _comparison(np.greater_equal, "z = [x >= y]", "__ge__")
bitwise_and = _comparison(np.bitwise_and, "z = [x and y]", "__and__", "__rand__")
bitwise_or = _comparison(np.bitwise_or, "z = [x or y]", "__or__", "__ror__")
invert = _comparison(np.invert, "z = [not x]", "__invert__")
logical_and = _comparison(np.logical_and, "z = [x and y]")
logical_or = _comparison(np.logical_or, "z = [x or y]")
logical_not = _comparison(np.logical_not, "z = [not x]")
signbit = _comparison(np.signbit, "z = [x is negative, -0 too]")
isnan = _comparison(np.isnan, "z = [x is NaN]")
isinf = _comparison(np.isinf, "z = [x is inf or -inf]")
isfinite = _comparison(np.isfinite, "z = [x is a finite number]")


def _question(function: Any, method: str = "", gives_array: bool = True) -> None:
    """Let a NumPy function that asks about values answer for Tensors, without a gradient.

    Where it gives an array, it can be compiled.
    """
    name = function.__name__
    recorded: Function | None = None
    if gives_array:
        recorded = define(name, function, f"z = {name}(x)", None, None, numpy=(), listed=False)

    def answer(*args: Any, **options: Any) -> Any:
        if recorded is not None and _is_tracing():
            return recorded(*args, **options)
        return function(*(_values(a, name) for a in args), **options)

    implements(function, method=method)(answer)


def _values(a: Any, asked: str) -> Any:
    if isinstance(a, Tensor):
        a._refuse_tracing(f"{asked} of")
        return a._data
    return a


for _function, _method in (
    (np.any, "any"),
    (np.all, "all"),
    (np.argmax, "argmax"),
    (np.argmin, "argmin"),
    (np.argsort, "argsort"),
    (np.count_nonzero, ""),
    (np.isclose, ""),
):
    _question(_function, _method)
for _asker in (
    np.nonzero, np.array_equal, np.allclose, np.array2string, np.array_repr, np.array_str,
):  # fmt: skip
    _question(_asker, gives_array=False)


@implements(np.shape)
def _shape(x: Tensor) -> tuple[int, ...]:
    return x.shape


@implements(np.ndim)
def _ndim(x: Tensor) -> int:
    return x.ndim


@implements(np.size)
def _size(x: Tensor, axis: int | None = None) -> int:
    return x.size if axis is None else x.shape[axis]


@implements(np.zeros_like)
def _zeros_like(x: Tensor, dtype: Any = None) -> Tensor:
    return Tensor(np.zeros(x.shape, dtype or x.dtype), copy=False)


@implements(np.ones_like)
def _ones_like(x: Tensor, dtype: Any = None) -> Tensor:
    return Tensor(np.ones(x.shape, dtype or x.dtype), copy=False)


@implements(np.result_type)
def _result_type(*operands: Any) -> Any:
    return np.result_type(*(x.dtype if isinstance(x, Tensor) else x for x in operands))


# ---- reductions


def _axes(axis: Axis, ndim: int) -> tuple[int, ...]:
    """Spell the axes of a reduction out, counted from 0."""
    if axis is None:
        return tuple(range(ndim))
    return tuple(a % ndim for a in (axis if isinstance(axis, tuple) else (axis,)))


def _kept(g: Any, axis: Axis, keepdims: bool) -> Any:
    """Put the axes that a reduction took away back with length 1."""
    return g if axis is None or keepdims else np.expand_dims(g, axis)


def _along(g: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    """Give what a reduction over `axis` left, back to every element it came from."""
    return np.broadcast_to(_kept(g, axis, keepdims), x.shape)


sum = define(
    "sum",
    lambda x, axis=None, *, keepdims=False: np.sum(x, axis=axis, keepdims=keepdims),
    "z = sum of x over axis",
    lambda g, z, x, axis=None, keepdims=False: _along(g, x, axis, keepdims),
    numpy=(np.sum,),
    method="sum",
)

mean = define(
    "mean",
    lambda x, axis=None, *, keepdims=False: np.mean(x, axis=axis, keepdims=keepdims),
    "z = sum of x over axis / n",
    lambda g, z, x, axis=None, keepdims=False: _along(
        g * (z.size / builtins.max(x.size, 1)), x, axis, keepdims
    ),
    numpy=(np.mean,),
    method="mean",
    kinks="The mean of nothing is NaN.",
)


def _sum_to_forward(x: Array, shape: tuple[int, ...]) -> Any:
    lead = x.ndim - len(shape)
    if lead == 1 and x.ndim == 2 and x.shape[1:] == shape and x.dtype.kind == "f":
        row = np.empty(x.shape[0], x.dtype)
        row.fill(1)
        return row.dot(x)  # 4 times as fast as x.sum(axis=0) when narrow
    ones = tuple(lead + i for i, n in enumerate(shape) if n == 1)
    return np.sum(x, axis=(*range(lead), *ones), keepdims=True).reshape(shape)


sum_to = define(
    "sum_to",
    _sum_to_forward,
    "z = x summed over the axes that broadcasting added or stretched",
    lambda g, z, x, shape: np.broadcast_to(g, x.shape),
)

broadcast_to = define(
    "broadcast_to",
    np.broadcast_to,
    "z = x repeated to the shape",
    lambda g, z, x, shape: g,  # the edge sums it back
)


def _extreme(g: Any, z: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Share the gradient evenly among the elements that are equal to the extreme."""
    z = _kept(z, axis, keepdims)
    hit = np.equal(x, z) | (np.not_equal(x, x) & np.not_equal(z, z))  # NaN is where NaN came from
    count = np.sum(np.where(hit, 1.0, 0.0), axis=axis, keepdims=True)
    return np.where(hit, _kept(g, axis, keepdims) / count, 0)


max = define(
    "max",
    lambda x, axis=None, *, keepdims=False: np.max(x, axis=axis, keepdims=keepdims),
    "z = the largest x over axis",
    _extreme,
    numpy=(np.max, np.amax),
    method="max",
    kinks="k equal maxima get 1/k of the gradient each.",
)

min = define(
    "min",
    lambda x, axis=None, *, keepdims=False: np.min(x, axis=axis, keepdims=keepdims),
    "z = the smallest x over axis",
    _extreme,
    numpy=(np.min, np.amin),
    method="min",
    kinks="k equal minima get 1/k of the gradient each.",
)


def _others(x: Any) -> Any:
    """Multiply, for each element along the last axis, all the others: right with zeros too."""
    ones = np.ones((*x.shape[:-1], 1), x.dtype)
    n = x.shape[-1]
    before = np.cumprod(np.concatenate([ones, x], axis=-1)[..., :n], axis=-1)
    after = np.cumprod(np.concatenate([ones, np.flip(x, -1)], axis=-1)[..., :n], axis=-1)
    return before * np.flip(after, -1)


def _prod_rule(g: Any, z: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Lay the reduced axes side by side at the end, multiply the others, and lay them back."""
    axes = _axes(axis, x.ndim)
    kept = [a for a in range(x.ndim) if a not in axes]
    order = (*kept, *axes)
    rows = np.transpose(x, order)
    flat = np.reshape(rows, (*rows.shape[: len(kept)], math.prod(rows.shape[len(kept) :])))
    others = np.reshape(_others(flat), rows.shape)
    return _along(g, x, axis, keepdims) * np.transpose(others, _inverse(order, x.ndim))


prod = define(
    "prod",
    lambda x, axis=None, *, keepdims=False: np.prod(x, axis=axis, keepdims=keepdims),
    "z = product of x over axis",
    _prod_rule,
    numpy=(np.prod,),
    method="prod",
    kinks="Right with zeros: each element's gradient is the product of the others.",
)


def _deviation(x: Any, axis: Axis) -> tuple[Any, Any]:
    """Subtract the mean; equal values deviate by exactly 0, whatever the rounding of the mean.

    Their mean is their maximum, whose gradient they share evenly, as they do that of the mean.
    Returns the deviation and where all values are equal.
    """
    top = np.max(x, axis=axis, keepdims=True)
    equal = np.equal(top, np.min(x, axis=axis, keepdims=True))
    return x - np.where(equal, top, np.mean(x, axis=axis, keepdims=True)), equal


def _freedom(x: Any, z: Any, ddof: float) -> Any:
    freedom = x.size / builtins.max(z.size, 1) - ddof
    return freedom if freedom else math.nan


var = define(
    "var",
    lambda x, axis=None, *, ddof=0, keepdims=False: np.var(
        x, axis=axis, ddof=ddof, keepdims=keepdims
    ),
    "z = sum (x - mean)^2 / (n - ddof) over axis",
    lambda g, z, x, axis=None, ddof=0, keepdims=False: (
        _kept(g, axis, keepdims) * (_deviation(x, axis)[0] * (2 / _freedom(x, z, ddof)))
    ),
    numpy=(np.var,),
    method="var",
    kinks="The gradient of equal values is 0.",
)


def _std_slope(z: Any, x: Any, axis: Axis, freedom: float) -> Any:
    """Use ``(x - mean) / (n - ddof) / z``, and 0 at the kink, equal values, in every order."""
    deviation, equal = _deviation(x, axis)
    kink = equal | np.equal(z, 0)  # z of equal values may be 1e-17
    return np.where(kink, 0, deviation / freedom) / np.where(kink, 1, z)


std = define(
    "std",
    lambda x, axis=None, *, ddof=0, keepdims=False: np.std(
        x, axis=axis, ddof=ddof, keepdims=keepdims
    ),
    "z = sqrt(sum (x - mean)^2 / (n - ddof)) over axis",
    lambda g, z, x, axis=None, ddof=0, keepdims=False: (
        _kept(g, axis, keepdims)
        * _std_slope(_kept(z, axis, keepdims), x, axis, _freedom(x, z, ddof))
    ),
    numpy=(np.std,),
    method="std",
    kinks="The gradient of equal values is 0.",
)

_norm = define(
    "norm",
    lambda x, axis=None, *, keepdims=False: np.linalg.norm(x, axis=axis, keepdims=keepdims),
    "z = sqrt(sum x^2) over axis",
    lambda g, z, x, axis=None, keepdims=False: (
        _kept(g, axis, keepdims) * _over(x, _kept(z, axis, keepdims))
    ),
    numpy=(),
    kinks="At 0 the gradient is 0.",
)


@implements(np.linalg.norm)
def norm(x: Operand, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Any:
    """Compute the norms of vectors, and of matrices all but the 2-norm and the nuclear one.

    A pair of axes, or a matrix without an axis, is measured as a matrix, as NumPy does.
    """
    axes = _axes(axis, x.ndim)
    if ord is None or ord == "fro" or (ord == 2 and len(axes) == 1):
        return _norm(x, axis=axis, keepdims=keepdims)
    size = np.absolute(x)
    if len(axes) == 2 and ord in (1, -1, math.inf, -math.inf):
        inner, outer = axes if builtins.abs(ord) == 1 else axes[::-1]
        extreme = np.max if ord > 0 else np.min
        result = extreme(np.sum(size, axis=inner, keepdims=True), axis=outer, keepdims=True)
        return result if keepdims else np.squeeze(result, axes)
    if len(axes) != 1 or isinstance(ord, str):
        raise TypeError(
            f"the norm of order {ord!r} over the axes {axes} is not differentiable here"
        )
    if builtins.abs(ord) == math.inf:
        return (np.max if ord > 0 else np.min)(size, axis=axes[0], keepdims=keepdims)
    return np.sum(size**ord, axis=axes[0], keepdims=keepdims) ** (1 / ord)


def _finite_or_zero(x: Any) -> Any:
    return np.where(np.isfinite(x), x, 0)


def _logsumexp_forward(x: Array, axis: Axis = None, keepdims: bool = False) -> Any:
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):  # the logarithm of 0 is the answer where all are -inf
        z = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return z if keepdims else np.squeeze(z, _axes(axis, x.ndim))


logsumexp = define(
    "logsumexp",
    lambda x, axis=None, *, keepdims=False: _logsumexp_forward(np.asarray(x), axis, keepdims),
    "z = ln sum e^x over axis",
    lambda g, z, x, axis=None, keepdims=False: (
        _kept(g, axis, keepdims) * np.exp(x - _finite_or_zero(_kept(z, axis, keepdims)))
    ),
    numpy=(special.logsumexp,),
    kinks="Where all x are -inf, so is z, and the gradient is 0.",
)


def _softmax_forward(x: Array, axis: Any) -> Any:
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    e /= np.sum(e, axis=axis, keepdims=True)
    return e


softmax = define(
    "softmax",
    lambda x, axis=-1: _softmax_forward(np.asarray(x), axis),
    "z = e^x / sum e^x along axis",
    lambda g, z, x, axis=-1: z * (g - np.sum(g * z, axis=axis, keepdims=True)),
    keeps_input=True,
)


def _log_softmax_forward(x: Array, axis: Any) -> Any:
    """Subtract the largest x first: after the sum, its rounding would be that of the result."""
    top = np.max(x, axis=axis, keepdims=True)
    x = x - np.where(np.isfinite(top), top, 0)
    return x - _logsumexp_forward(x, axis, True)


log_softmax = define(
    "log_softmax",
    lambda x, axis=-1: _log_softmax_forward(np.asarray(x), axis),
    "z = x - ln sum e^x along axis",
    lambda g, z, x, axis=-1: g - np.exp(z) * np.sum(g, axis=axis, keepdims=True),
)


def _log_rest_forward(x: Array) -> Any:
    """Use ``ln(1 - p)`` up to p = 1/2; beyond, where it cancels, the others' own sum."""
    log_p = _log_softmax_forward(x, -1)
    most = np.greater(log_p, -math.log(2))
    rest = _logsumexp_forward(np.where(most, -np.inf, log_p), -1, True)
    return np.where(most, rest, np.log1p(-np.exp(np.where(most, -np.inf, log_p))))


def _log_rest_rule(g: Any, z: Any, x: Any) -> Any:
    """Use ``p_j (sum_(k != j) g_k / (1 - p_k) - sum g)``, p = softmax x.

    A p over 1/2 may leave nothing of 1 - p, nor of the p_j that it divides: ln p_j - z_k is exact.
    """
    p = softmax(x)
    most = np.greater(p, 0.5)
    shares = np.where(most, 0, g * np.exp(-np.where(most, 0, z)))
    small = p * (_total(shares) - shares - _total(g))
    far = np.where(most, 0, log_softmax(x) - _total(np.where(most, z, 0)))
    return small + np.where(most, 0, _total(np.where(most, g, 0)) * np.exp(far))


def _total(x: Any) -> Any:
    return np.sum(x, axis=-1, keepdims=True)


_log_rest: Function = define(
    "log_rest",
    lambda x: _log_rest_forward(np.asarray(x)),
    "z_k = ln(1 - softmax(x)_k) = ln sum of the other e^x_j - ln sum e^x_j, along the last axis",
    _log_rest_rule,
    numpy=(),
    kinks="Of a single x it is -inf, with gradient 0.",
)


def _flipped_cumsum(g: Any, axis: int) -> Any:
    return np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis)


_cumsum = define(
    "cumsum",
    lambda x, axis: np.cumsum(x, axis=axis),
    "z_k = x_0 + ... + x_k along axis",
    lambda g, z, x, axis: _flipped_cumsum(g, axis),
    numpy=(),
)


@implements(np.cumsum, method="cumsum")
def cumsum(x: Operand, axis: int | None = None) -> Any:
    """Add up along an axis; all elements in C order without one."""
    return _cumsum(np.ravel(x), 0) if axis is None else _cumsum(x, axis)


def _cumprod_rule(g: Any, z: Any, x: Any, axis: int) -> Any:
    """Multiply the product before k by ``t_k = g_k + x_(k+1) t_(k+1)``, summed up by doubling.

    Nothing is divided, so zeros and tiny numbers lose no digits.
    """
    x, t = np.moveaxis(x, axis, -1), np.moveaxis(g, axis, -1)
    n = x.shape[-1]
    zeros = np.zeros(x.shape, x.dtype)
    ones = zeros[..., :1] + 1
    before = np.cumprod(np.concatenate([ones, x[..., :-1]], axis=-1), axis=-1)
    factor = np.concatenate([x[..., 1:], zeros[..., :1]], axis=-1)
    for step in (2**k for k in range(builtins.max(n - 1, 0).bit_length())):
        later = (np.concatenate([y[..., step:], zeros[..., :step]], axis=-1) for y in (t, factor))
        t, factor = (part + factor * y for part, y in zip((t, 0), later, strict=True))
    return np.moveaxis(before * t, -1, axis)


_cumprod = define(
    "cumprod",
    lambda x, axis: np.cumprod(x, axis=axis),
    "z_k = x_0 ... x_k along axis",
    _cumprod_rule,
    numpy=(),
    kinks="Right with zeros.",
)


@implements(np.cumprod, method="cumprod")
def cumprod(x: Operand, axis: int | None = None) -> Any:
    """Multiply up along an axis; all elements in C order without one."""
    return _cumprod(np.ravel(x), 0) if axis is None else _cumprod(x, axis)


# ---- products of matrices


def _swap(x: Any) -> Any:
    return np.transpose(x) if x.ndim == 2 else np.swapaxes(x, -1, -2)


def _matmul_left(g: Any, z: Any, x: Any, y: Any) -> Any:
    if y.ndim == 1:
        return np.expand_dims(g, -1) * y
    if x.ndim == 1:
        return np.matmul(y, np.expand_dims(g, -1))[..., 0]
    return np.matmul(g, _swap(y))


def _matmul_right(g: Any, z: Any, x: Any, y: Any) -> Any:
    if x.ndim == 1:
        return np.expand_dims(x, -1) * np.expand_dims(g, -2) if y.ndim > 1 else g * x
    if y.ndim == 1:
        return np.matmul(_swap(x), np.expand_dims(g, -1))[..., 0]
    return np.matmul(_swap(x), g)


matmul = define(
    "matmul",
    np.matmul,
    "Z = X Y",
    _matmul_left,
    _matmul_right,
    method="__matmul__",
    reflected="__rmatmul__",
    cure="the last axis of the left must be as long as the last but one of the right; "
    "is a transpose (.T) missing?",
)


def _affine_forward(x: Array, weight: Array, bias: Array) -> Array:
    z = x.dot(weight.T) if x.ndim == 2 else x @ weight.T  # dot starts half a microsecond sooner
    z += bias
    return z


def _rows(x: Any) -> Any:
    return x if x.ndim == 2 else np.reshape(x, (-1, x.shape[-1]))


affine = define(
    "affine",
    _affine_forward,
    "Z = X W' + b",
    lambda g, z, x, w, b: np.matmul(g, w),
    lambda g, z, x, w, b: _rows(g).T @ _rows(x),
    lambda g, z, x, w, b: g,
    cure="X is (..., in), W (out, in) and b (out,)",
    composite=True,
)


def _einsum_rule(k: int, g: Any, z: Any, *operands: Any, subscripts: str) -> Any:
    """Contract the gradient with all operands but the k-th.

    Axes that only operand k has are multiplied by ones, so that the gradient reaches all of them;
    an axis that it has twice, as in ``ii``, gets its gradient on the diagonal.
    """
    inputs, output = subscripts.split("->")
    labels = inputs.split(",")
    own = labels[k]
    parts = [(output, g)]
    parts += [(labels[i], x) for i, x in enumerate(operands) if i != k]
    known = set("".join(label for label, _ in parts))
    sizes = dict(zip(own, operands[k].shape, strict=True))
    parts += [(c, np.ones(n, g.dtype)) for c, n in sizes.items() if c not in known]
    target = ""
    for c in own:
        if c in target:
            twin = next(
                letter for letter in string.ascii_letters if letter not in subscripts + target
            )
            parts.append((c + twin, np.eye(sizes[c], dtype=g.dtype)))
            c = twin
        target += c
    equation = ",".join(label for label, _ in parts) + "->" + target
    return np.einsum(equation, *(x for _, x in parts))


_einsum = define(
    "einsum",
    lambda *operands, subscripts: np.einsum(subscripts, *operands, optimize=len(operands) > 2),
    "z = sum of the product of the operands over the indices that the output lacks",
    _einsum_rule,
    numpy=(),
    variadic=True,
    cure="equal letters stand for equal lengths",
)


@implements(np.einsum)
def einsum(subscripts: str, *operands: Operand, optimize: Any = False) -> Any:
    """Sum products over repeated indices, as `numpy.einsum` with subscripts in letters."""
    return _einsum(*operands, subscripts=_explicit(subscripts, [np.ndim(x) for x in operands]))


def _explicit(subscripts: str, ranks: Sequence[int]) -> str:
    """Spell out the ellipses and the output of subscripts."""
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    labels = inputs.split(",")
    if len(labels) != len(ranks):
        raise ValueError(
            f"einsum of {len(ranks)} operands by {subscripts!r}, which names {len(labels)}"
        )
    free = [c for c in string.ascii_letters if c not in subscripts]
    hidden = [
        rank - len(label.replace("...", "")) for label, rank in zip(labels, ranks, strict=True)
    ]
    longest = builtins.max(
        [h for h, label in zip(hidden, labels, strict=True) if "..." in label] + [0]
    )
    dots = "".join(free[:longest])
    spelled = [
        label.replace("...", dots[longest - h :] if h > 0 else "")
        for label, h in zip(labels, hidden, strict=True)
    ]
    if not arrow:
        letters = "".join(spelled)
        once = sorted(c for c in set(letters) if letters.count(c) == 1 and c not in dots)
        return ",".join(spelled) + "->" + dots + "".join(once)
    return ",".join(spelled) + "->" + output.replace("...", dots)


@implements(np.tensordot)
def tensordot(a: Operand, b: Operand, axes: Any = 2) -> Any:
    """Sum products over pairs of axes, as `numpy.tensordot`."""
    if isinstance(axes, int):
        axes = (range(-axes, 0), range(axes))
    left, right = ((k,) if isinstance(k, int) else tuple(k) for k in axes)
    letters = iter(string.ascii_letters)
    first = [next(letters) for _ in range(np.ndim(a))]
    second = [next(letters) for _ in range(np.ndim(b))]
    for i, j in zip(left, right, strict=True):
        if np.shape(a)[i] != np.shape(b)[j]:
            raise ValueError(
                f"tensordot of shapes {np.shape(a)} and {np.shape(b)}: axis {i} of the first and "
                f"axis {j} of the second differ"
            )
        second[j] = first[i]
    shared = {first[i] for i in left}
    output = [c for c in first + second if c not in shared]
    return einsum(f"{''.join(first)},{''.join(second)}->{''.join(output)}", a, b)


@implements(np.dot, method="dot")
def dot(a: Operand, b: Operand) -> Any:
    """Multiply as `numpy.dot`: numbers, vectors and matrices; last axis by last but one."""
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return a * b
    if np.ndim(a) <= 2 and np.ndim(b) <= 2:
        return matmul(a, b)
    return tensordot(a, b, axes=((-1,), (-2 if np.ndim(b) > 1 else -1,)))


@implements(np.vdot)
def vdot(a: Operand, b: Operand) -> Any:
    """Multiply all elements in pairs and add up."""
    return matmul(np.ravel(a), np.ravel(b))


@implements(np.inner)
def inner(a: Operand, b: Operand) -> Any:
    """Multiply along the last axes and add up."""
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return a * b
    return tensordot(a, b, axes=((-1,), (-1,)))


@implements(np.outer)
def outer(a: Operand, b: Operand) -> Any:
    """Multiply each element of the one with each of the other, ``z_ij = a_i b_j``."""
    return np.expand_dims(np.ravel(a), 1) * np.ravel(b)


# ---- linear algebra

inv: Function = define(
    "inv",
    np.linalg.inv,
    "Z = X^-1",
    lambda g, z, x: -np.matmul(_swap(z), np.matmul(g, _swap(z))),
)


def _solve_right(g: Any, z: Any, a: Any, b: Any) -> Any:
    return np.linalg.solve(_swap(a), g)


def _solve_left(g: Any, z: Any, a: Any, b: Any) -> Any:
    right = np.linalg.solve(_swap(a), g)
    if b.ndim == 1:
        right, z = np.expand_dims(right, -1), np.expand_dims(z, -1)
    return -np.matmul(right, _swap(z))


solve = define(
    "solve",
    np.linalg.solve,
    "Z = A^-1 B",
    _solve_left,
    _solve_right,
    cure="A is (..., n, n) and B (n,) or (..., n, k)",
)


def _cofactor_forward(x: Array) -> Any:
    """Use ``X = U S V'``: the cofactors are det(U V') U S* V', S* the products of the others."""
    u, s, v = np.linalg.svd(x)
    direction = np.linalg.det(np.matmul(u, v))[..., None, None]
    return direction * np.matmul(u * _others(s)[..., None, :], v)


def _cofactor_rule(g: Any, z: Any, x: Any) -> Any:
    """Differentiate ``det(X) X^-T``; at a singular X this is an error of `inv`."""
    inverse = np.linalg.inv(x)
    total = np.sum(g * _swap(inverse), axis=(-2, -1), keepdims=True)
    return total * z - np.matmul(z, np.matmul(_swap(g), _swap(inverse)))


_cofactor: Function = define(
    "cofactor", _cofactor_forward, "Z = det(X) X^-T, also of singular X", _cofactor_rule
)

det = define(
    "det",
    np.linalg.det,
    "z = det X",
    lambda g, z, x: np.expand_dims(g, (-2, -1)) * _cofactor(x),
    kinks="Right for singular matrices too, at first order.",
)

_logdet = define(
    "logdet",
    lambda x: np.linalg.slogdet(x)[1],
    "z = ln |det X|",
    lambda g, z, x: np.expand_dims(g, (-2, -1)) * _swap(np.linalg.inv(x)),
)


_detsign = define(
    "detsign", lambda x: np.linalg.slogdet(x)[0], "z = sign of det X", None, listed=False, numpy=()
)


class SlogdetResult(NamedTuple):
    """The sign of a determinant, which has no gradient, and the logarithm of its size."""

    sign: Any
    logabsdet: Any


@implements(np.linalg.slogdet)
def slogdet(x: Operand) -> SlogdetResult:
    """Compute sign and logarithm of the determinant."""
    return SlogdetResult(_detsign(x).detach(), _logdet(x))


def _half_diagonal(x: Any) -> Any:
    """Keep the lower triangle, half of the diagonal."""
    n = x.shape[-1]
    return x * (np.tri(n, dtype=x.dtype) - np.eye(n, dtype=x.dtype) / 2)


def _cholesky_rule(g: Any, z: Any, x: Any) -> Any:
    """Use Murray (2016), "Differentiation of the Cholesky decomposition", equation 10."""
    inverse = np.linalg.inv(z)
    middle = _half_diagonal(np.matmul(_swap(z), g))
    s = np.matmul(_swap(inverse), np.matmul(middle, inverse))
    return _half_diagonal(s + _swap(s))


cholesky = define(
    "cholesky",
    np.linalg.cholesky,
    "X = Z Z', Z lower triangular",
    _cholesky_rule,
    kinks="Only the lower triangle of X is read, so only it gets a gradient.",
)

# ---- shapes


def _inverse(axes: Sequence[int] | None, ndim: int) -> tuple[int, ...] | None:
    if axes is None:
        return None
    return tuple(int(i) for i in np.argsort([a % ndim for a in axes]))


transpose = define(
    "transpose",
    np.transpose,
    "z = x with its axes permuted",
    lambda g, z, x, axes=None: np.transpose(g, _inverse(axes, x.ndim)),
)

reshape = define(
    "reshape",
    lambda x, shape: np.reshape(x, shape),
    "z = x in another shape, C order",
    lambda g, z, x, shape: np.reshape(g, x.shape),
    numpy=(np.reshape,),
)

expand_dims = define(
    "expand_dims",
    np.expand_dims,
    "z = x with new axes of length 1",
    lambda g, z, x, axis: np.reshape(g, x.shape),
)

swapaxes = define(
    "swapaxes",
    np.swapaxes,
    "z = x with two axes exchanged",
    lambda g, z, x, axis1, axis2: np.swapaxes(g, axis1, axis2),
    method="swapaxes",
)

moveaxis = define(
    "moveaxis",
    np.moveaxis,
    "z = x with axes moved to other places",
    lambda g, z, x, source, destination: np.moveaxis(g, destination, source),
)

squeeze = define(
    "squeeze",
    lambda x, axis=None: np.squeeze(x, axis=axis),
    "z = x without axes of length 1",
    lambda g, z, x, axis=None: np.reshape(g, x.shape),
    numpy=(np.squeeze,),
    method="squeeze",
)

cast = define(
    "cast",
    lambda x, dtype: x.astype(dtype),
    "z = x in another dtype",
    lambda g, z, x, dtype: g,  # the edge casts it back
    method="astype",
)

flip = define(
    "flip",
    lambda x, axis=None: np.flip(x, axis),
    "z = x backwards along axes",
    lambda g, z, x, axis=None: np.flip(g, axis),
    numpy=(np.flip,),
)

roll = define(
    "roll",
    lambda x, shift, axis=None: np.roll(x, shift, axis),
    "z = x shifted around along axes",
    lambda g, z, x, shift, axis=None: np.roll(g, _opposite(shift), axis),
    numpy=(np.roll,),
)


def _opposite(shift: Any) -> Any:
    return tuple(-s for s in shift) if isinstance(shift, tuple) else -shift


@implements(np.ravel, method="ravel")
def ravel(x: Operand) -> Any:
    """Lay all elements in one row, in C order."""
    return reshape(x, (-1,))


def _spread(args: tuple[Any, ...]) -> Any:
    return args[0] if len(args) == 1 else args


@implements(method="reshape")
def _reshape_method(self: Tensor, *shape: Any) -> Any:
    return reshape(self, _spread(shape))


@implements(method="transpose")
def _transpose_method(self: Tensor, *axes: Any) -> Any:
    return transpose(self, _spread(axes) if axes else None)


# ---- indexing and its adjoint: what was read twice gets the sum of both gradients


def _is_basic(key: Any) -> bool:
    keys = key if isinstance(key, tuple) else (key,)
    plain = (int, slice, np.integer, type(None), type(Ellipsis))
    return builtins.all(isinstance(k, plain) for k in keys)


def _put_forward(g: Array, key: Any, shape: tuple[int, ...]) -> Array:
    out = np.zeros(shape, g.dtype)
    if _is_basic(key):
        out[key] = g
    else:
        np.add.at(out, key, g)
    return out


put: Function = define(
    "put",
    _put_forward,
    "z = 0 but z[key] = x, repeated keys add up",
    lambda g, z, x, key, shape: getitem(g, key),
)

getitem: Function = define(
    "getitem",
    lambda x, key: x[key],
    "z = x[key]",
    lambda g, z, x, key: put(g, key, x.shape),
    kinks="An element read several times gets the sum of the gradients.",
)


class _Slot(int):
    """Stands in a key for the n-th of the indices that are given beside it."""


def _filled(key: Any, indices: Sequence[Any]) -> Any:
    if isinstance(key, tuple):
        return tuple(_filled(k, indices) for k in key)
    return indices[key] if isinstance(key, _Slot) else key


_scatter: Function = define(
    "scatter",
    lambda g, *indices, key, shape: _put_forward(g, _filled(key, indices), shape),
    "z = 0 but z[indices] = x, repeated ones add up",
    lambda k, g, z, x, *indices, key, shape: _gather(g, *indices, key=key),
    variadic=True,
)

_gather: Function = define(
    "gather",
    lambda x, *indices, key: x[_filled(key, indices)],
    "z = x[indices], which are data too",
    lambda k, g, z, x, *indices, key: _scatter(g, *indices, key=key, shape=x.shape),
    variadic=True,
)


def _read(x: Any, key: Any) -> Any:
    """Read ``x[key]``; indices that are being traced are arguments of the op, as data are."""
    indices: list[Tensor] = []

    def slotted(k: Any) -> Any:
        if isinstance(k, tuple):
            return tuple(slotted(part) for part in k)
        if not isinstance(k, Tensor) or _is_known(k):
            return _key(k)
        indices.append(k)
        return _Slot(len(indices) - 1)

    key = slotted(key)
    return _gather(x, *indices, key=key) if indices else getitem(x, key)


@implements(method="__getitem__")
def _getitem_method(self: Tensor, key: Any) -> Any:
    return _read(self, key)


def _key(key: Any) -> Any:
    """Copy what could be changed before the gradient comes back; take the values of Tensors."""
    if isinstance(key, tuple):
        return tuple(_key(k) for k in key)
    if isinstance(key, Tensor):
        return key.numpy()
    return np.array(key) if isinstance(key, ndarray | list) else key


_set: Function = define(
    "set",
    lambda x, v, key: _replaced(x, v, key),
    "z = x but z[key] = v",
    lambda g, z, x, v, key: _set(g, 0.0, key),
    lambda g, z, x, v, key: getitem(g, key),
)


def _replaced(x: Array, v: Any, key: Any) -> Array:
    out = np.array(x)
    out[key] = v
    return out


class _At:
    """``t.at[key].set(v)`` and ``t.at[key].add(v)``: a new Tensor, where arrays are written to."""

    def __init__(self, tensor: Tensor, key: Any = None) -> None:
        self._tensor, self._at = tensor, key

    def __getitem__(self, key: Any) -> _At:
        return _At(self._tensor, _key(key))

    def set(self, value: Operand) -> Tensor:
        """Replace the elements; where an index repeats, `ValueError`, for the last is not known."""
        rows = np.arange(self._tensor.size).reshape(self._tensor.shape)[self._at]
        if np.unique(rows).size < rows.size:
            raise ValueError(
                "at[...].set with an index that repeats: which value stays is not said"
            )
        result: Tensor = _set(self._tensor, value, self._at)
        return result

    def add(self, value: Operand) -> Tensor:
        """Add to the elements; where an index repeats, each time."""
        shape = np.empty(self._tensor.shape, bool)[self._at].shape
        spread = np.broadcast_to(value, shape)
        result: Tensor = self._tensor + put(spread, self._at, self._tensor.shape)
        return result


setattr(Tensor, "at", property(_At, doc=_At.__doc__))  # noqa: B010


@implements(np.take, method="take")
def take(x: Operand, indices: Any, axis: int | None = None) -> Any:
    """Read the elements, or the slices along an axis, with these positions."""
    if axis is None:
        return _read(np.ravel(x), indices)
    return _read(x, (slice(None),) * (axis % x.ndim) + (indices,))


@implements(np.take_along_axis)
def take_along_axis(x: Operand, indices: Any, axis: int | None = -1) -> Any:
    """Read along an axis, at each place its own position."""
    if axis is None:
        return _read(np.ravel(x), indices)
    index = indices if isinstance(indices, Tensor) else np.asarray(indices)
    grid: list[Any] = list(np.ogrid[tuple(slice(n) for n in index.shape)])
    grid[axis % x.ndim] = index
    return _read(x, tuple(grid))


@implements(np.sort)
def sort(x: Operand, axis: int | None = -1) -> Any:
    """Sort along an axis; the gradient follows the permutation, equal elements keep their order."""
    order = np.argsort(x, axis=axis, kind="stable")
    return take_along_axis(x, order, axis)


@implements(np.repeat, method="repeat")
def repeat(x: Operand, repeats: Any, axis: int | None = None) -> Any:
    """Repeat each element, or each slice along an axis."""
    n = x.size if axis is None else x.shape[axis]
    return take(x, np.repeat(np.arange(n), repeats), axis)


@implements(np.tile)
def tile(x: Operand, reps: Any) -> Any:
    """Lay copies of x side by side, ``reps`` along each axis."""
    reps = (reps,) if isinstance(reps, int) else tuple(reps)
    rank = builtins.max(len(reps), x.ndim)
    reps = (1,) * (rank - len(reps)) + reps
    shape = (1,) * (rank - x.ndim) + x.shape
    pairs = [side for r, n in zip(reps, shape, strict=True) for side in (r, n)]
    split = np.reshape(x, [side for n in shape for side in (1, n)])
    return np.reshape(
        np.broadcast_to(split, pairs), [r * n for r, n in zip(reps, shape, strict=True)]
    )


@implements(np.diagonal, method="diagonal")
def diagonal(x: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Read a diagonal of the matrices in two axes; it becomes the last axis."""
    flat = np.moveaxis(x, (axis1, axis2), (-2, -1))
    rows, columns = flat.shape[-2:]
    start, aside = builtins.max(-offset, 0), builtins.max(offset, 0)
    i = np.arange(builtins.max(builtins.min(rows - start, columns - aside), 0))
    return getitem(flat, (Ellipsis, i + start, i + aside))


@implements(np.diag)
def diag(x: Operand, k: int = 0) -> Any:
    """Make a matrix with x on a diagonal, or read the diagonal of a matrix."""
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ValueError(f"diag takes a vector or a matrix, not shape {x.shape}")
    n = x.size + builtins.abs(k)
    i = np.arange(x.size)
    return put(x, (i + builtins.max(-k, 0), i + builtins.max(k, 0)), (n, n))


@implements(np.trace, method="trace")
def trace(x: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Add up a diagonal."""
    return np.sum(diagonal(x, offset, axis1, axis2), axis=-1)


def _below(x: Any, k: int) -> Array:
    rows, columns = x.shape[-2:]
    return np.tri(rows, columns, k, dtype=bool)


@implements(np.tril)
def tril(x: Operand, k: int = 0) -> Any:
    """Keep what lies on and below a diagonal."""
    return np.where(_below(x, k), x, 0)


@implements(np.triu)
def triu(x: Operand, k: int = 0) -> Any:
    """Keep what lies on and above a diagonal."""
    return np.where(_below(x, k - 1), 0, x)


@implements(np.pad)
def pad(x: Operand, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Any:
    """Surround x with a constant."""
    if mode != "constant":
        raise TypeError(f"np.pad is differentiable here with mode='constant', not {mode!r}")
    widths = np.broadcast_to(pad_width, (x.ndim, 2)).tolist()
    shape = tuple(n + a + b for n, (a, b) in zip(x.shape, widths, strict=True))
    inside = tuple(slice(a, a + n) for n, (a, _) in zip(x.shape, widths, strict=True))
    frame = np.pad(np.zeros(x.shape, x.dtype), widths, constant_values=constant_values)
    return put(x, inside, shape) + frame


# ---- chance

_RANDOM = Op("random", lambda *, rng, shape: rng.random(shape), "z uniform in [0, 1)", ())


def random(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Draw uniform numbers from [0, 1): an array; in a compiled function, anew at each call.

    >>> random(np.random.default_rng(0), (2,))
    array([0.63696169, 0.26978671])
    """
    if not _is_tracing():
        return rng.random(shape)
    drawn = _leaf(np.full(shape, 0.5))  # tracing draws nothing: the first call gets the first draw
    drawn._origin = (_RANDOM, (), (), {"rng": rng, "shape": shape}, None)
    return drawn


# ---- joining and splitting


def _part(k: int, xs: Sequence[Any], axis: int) -> tuple[Any, ...]:
    axis %= xs[0].ndim
    start = builtins.sum(x.shape[axis] for x in xs[:k])
    return (slice(None),) * axis + (slice(start, start + xs[k].shape[axis]),)


_concatenate = define(
    "concatenate",
    lambda *xs, axis: np.concatenate(xs, axis=axis),
    "z = the x_k behind one another along an axis",
    lambda k, g, z, *xs, axis: getitem(g, _part(k, xs, axis)),
    numpy=(),
    cure="all lengths but that of the joined axis must agree",
    variadic=True,
)


@implements(np.concatenate)
def concatenate(tensors: Sequence[Operand], axis: int | None = 0) -> Any:
    """Join tensors along an axis that they have already."""
    if axis is None:
        return _concatenate(*(np.ravel(t) for t in tensors), axis=0)
    return _concatenate(
        *(t if isinstance(t, Tensor) else np.asarray(t) for t in tensors), axis=axis
    )


@implements(np.stack)
def stack(tensors: Sequence[Operand], axis: int = 0) -> Any:
    """Join tensors of equal shape along a new axis."""
    shapes = {np.shape(t) for t in tensors}
    if len(shapes) != 1:
        raise ValueError(f"stack of shapes {sorted(shapes)}: all must be equal")
    return concatenate([np.expand_dims(t, axis) for t in tensors], axis)


@implements(np.vstack)
def vstack(tensors: Sequence[Operand]) -> Any:
    """Join tensors below one another; vectors are rows."""
    return concatenate([np.reshape(t, (1, -1)) if np.ndim(t) < 2 else t for t in tensors], 0)


@implements(np.hstack)
def hstack(tensors: Sequence[Operand]) -> Any:
    """Join tensors beside one another."""
    flat = [np.reshape(t, (-1,)) if np.ndim(t) == 0 else t for t in tensors]
    return concatenate(flat, 0 if np.ndim(flat[0]) == 1 else 1)


@implements(np.array_split)
def array_split(x: Operand, indices_or_sections: Any, axis: int = 0) -> Any:
    """Cut along an axis into so many parts, or at these positions."""
    index = np.arange(x.shape[axis])
    cuts = np.array_split(index, indices_or_sections)
    lead = (slice(None),) * (axis % x.ndim)
    return [
        getitem(x, (*lead, slice(int(c[0]), int(c[-1]) + 1) if c.size else slice(0))) for c in cuts
    ]


@implements(np.split)
def split(x: Operand, indices_or_sections: Any, axis: int = 0) -> Any:
    """Cut along an axis into equal parts, or at these positions."""
    n, parts = x.shape[axis], indices_or_sections
    if isinstance(parts, int) and n % parts:
        raise ValueError(f"split of {n} into {parts} equal parts; use np.array_split")
    return array_split(x, parts, axis)


# ---- where the mathematics has a name: fused losses


def _sum_log1p(q: Any) -> Any:
    """Compute the sum of ln(1 + q), for q in [0, 1].

    NumPy's log1p takes 2 to 6 times as long as its log, from a few hundred numbers on: so add to
    ln u, where u = 1 + q is rounded, what the rounding lost, q - (u - 1). (It should be divided by
    u; but where u is not 1, that is less than half of the last digit of ln u.)
    """
    if q.size < 500:
        return np.log1p(q).sum()
    u = 1 + q
    return (np.log(u) + (q - (u - 1))).sum()


def _cross_entropy_forward(x: Any, y: Any) -> Any:
    """Share q = e^-|x| and ``[x > 0] - y`` with the gradient: no term is negative, none cancels."""
    step, q = _step_less(x, y), np.exp(_below_zero(x))
    return (np.vdot(x, step) + _sum_log1p(q)) / x.shape[0], (step, q)


def _cross_entropy_rule(g: Any, z: Any, x: Any, y: Any, kept: Any) -> Any:
    """Use ``(s(x) - y) / m``."""
    residual = _residual(x, y) if kept is None else _less_targets(x, *kept)
    return g / x.shape[0] * residual


sigmoid_cross_entropy = define(
    "sigmoid_cross_entropy",
    _cross_entropy_forward,
    "J = -1/m sum [y ln s(x) + (1 - y) ln(1 - s(x))] = 1/m sum [x ([x > 0] - y) + ln(1 + e^-|x|)]",
    _cross_entropy_rule,
    lambda g, z, x, y, kept: -g / x.shape[0] * x,
    composite=True,
    keeps=True,
)


def _softmax_parts(x: Any) -> tuple[Any, Any, Any]:
    """Compute ``s = x - max x``, ``e^s``, and the sum of each row's e^s but one that is 1.

    So ``sum e^s = 1 + rest`` keeps all digits of the rest, however sure the row is.
    """
    s = x - x.max(axis=-1, keepdims=True)
    e = np.exp(s)
    top = cast(np.equal(e, 1), e.dtype)
    rest = (e - top).sum(axis=-1, keepdims=True) + (top.sum(axis=-1, keepdims=True) - 1)
    return s, e, rest


def _softmax_cross_entropy_forward(x: Any, y: Any) -> Any:
    """Use ``-sum y ln p = sum y ln(1 + rest) - sum y s``: no term is negative, none cancels."""
    s, e, rest = _softmax_parts(x)
    right = np.where(np.equal(y, 0), 0.0, s)  # 0 ln 0 is 0
    total = _total(y)
    return (np.vdot(total, np.log1p(rest)) - np.vdot(right, y)) / x.shape[0], (e, rest)


def _softmax_less_targets(y: Any, e: Any, rest: Any) -> Any:
    """Use ``p sum y - y = ((e^s sum y - y) - y rest) / (1 + rest)``, exact where e^s = y = 1."""
    return ((e * _total(y) - y) - y * rest) / (1 + rest)


def _softmax_residual_rule(g: Any, z: Any, x: Any, y: Any) -> Any:
    """Use ``(sum y) p (g - sum g p)``, p = softmax x."""
    p = softmax(x)
    return _total(y) * (p * (g - _total(g * p)))


_softmax_residual: Function = define(
    "softmax_residual",
    lambda x, y: _softmax_less_targets(y, *_softmax_parts(x)[1:]),
    "z = softmax(x) sum y - y, along the last axis",
    _softmax_residual_rule,
    lambda g, z, x, y: _total(g * softmax(x)) - g,
    numpy=(),
    composite=True,
)


def _softmax_cross_entropy_rule(g: Any, z: Any, x: Any, y: Any, kept: Any) -> Any:
    """Use ``(softmax(x) sum y - y) / m``."""
    residual = _softmax_residual(x, y) if kept is None else _softmax_less_targets(y, *kept)
    return g / x.shape[0] * residual


softmax_cross_entropy = define(
    "softmax_cross_entropy",
    _softmax_cross_entropy_forward,
    "J = -1/m sum y ln softmax(x)",
    _softmax_cross_entropy_rule,
    lambda g, z, x, y, kept: -g / x.shape[0] * log_softmax(x),
    numpy=(),
    composite=True,
    keeps=True,
)


def softmax_each_cross_entropy(x: Operand, y: Operand) -> Any:
    """Compute ``-1/m sum [y ln a + (1 - y) ln(1 - a)]`` with a = softmax(x), from x itself."""
    return weighted_cross_entropy(log_softmax(x), _log_rest(x), y)


def weighted_cross_entropy(log_a: Any, log_rest: Any, y: Operand, weights: Any = None) -> Any:
    """Compute ``-1/m sum w [y ln a + (1 - y) ln(1 - a)]`` from both logarithms, 0 ln 0 = 0."""
    parts = _times(y, log_a) + _times(1 - y, log_rest)
    return np.sum(parts if weights is None else parts * weights) / -log_a.shape[0]


cross_entropy = define(
    "cross_entropy",
    lambda a, y: -np.sum(special.xlogy(y, a) + special.xlog1py(1 - y, -a)) / a.shape[0],
    "J = -1/m sum [y ln a + (1 - y) ln(1 - a)], where 0 ln 0 = 0",
    lambda g, z, a, y: g / a.shape[0] * (_over(1 - y, 1 - a) - _over(y, a)),
    lambda g, z, a, y: g / a.shape[0] * (np.log(1 - a) - np.log(a)),
)


def _sum_of_squares_forward(*xs: Any, factor: float = 1.0) -> Any:
    total: Any = 0
    for x in xs:
        total = total + np.vdot(x, x)
    return factor * total


sum_of_squares = define(
    "sum_of_squares",
    _sum_of_squares_forward,
    "z = factor times the sum of the squares of all elements of all x",
    lambda k, g, z, *xs, factor=1.0: g * (2 * factor) * xs[k],
    variadic=True,
)
