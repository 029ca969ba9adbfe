"""More functions of one number and of two: angles, parts of complex numbers, what NaN is for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from autonn.engine.apply import define, implements
from autonn.engine.op import Function, Memory, elementwise
from autonn.engine.ops.arithmetic import BROADCAST, positive
from autonn.engine.ops.joining import brought
from autonn.engine.ops.probability import logaddexp
from autonn.engine.ops.selection import trunc
from autonn.engine.ops.shapes import cast
from autonn.engine.tensor import Operand

radians = define(
    "radians",
    np.radians,
    "z = x pi / 180",
    lambda g, z, x: g * (math.pi / 180),
    numpy=(np.radians, np.deg2rad),
)

degrees = define(
    "degrees",
    np.degrees,
    "z = 180 x / pi",
    lambda g, z, x: g * (180 / math.pi),
    numpy=(np.degrees, np.rad2deg),
)


def _prevails(g: Any, x: Any, y: Any, better: np.ufunc) -> Any:
    """Compute ``g`` where x is better or y is NaN, and ``g / 2`` where both are equal."""
    first = better(x, y) | (np.not_equal(y, y) & np.equal(x, x))
    neither = np.equal(x, y) | (np.not_equal(x, x) & np.not_equal(y, y))
    return np.where(neither, g / 2, np.where(first, g, 0))


fmax = define(
    "fmax",
    np.fmax,
    "z = max(x, y), or the one that is not NaN",
    lambda g, z, x, y: _prevails(g, x, y, np.greater),
    lambda g, z, x, y: _prevails(g, y, x, np.greater),
    kinks="Equal operands get half the gradient each.",
    hint=BROADCAST,
)

fmin = define(
    "fmin",
    np.fmin,
    "z = min(x, y), or the one that is not NaN",
    lambda g, z, x, y: _prevails(g, x, y, np.less),
    lambda g, z, x, y: _prevails(g, y, x, np.less),
    kinks="Equal operands get half the gradient each.",
    hint=BROADCAST,
)


@implements(np.fabs)
def fabs(x: Operand) -> Any:
    """Take the size, of whole numbers too as a float."""
    a = brought(x)
    return np.absolute(a if a.dtype.kind == "f" else a.astype(np.fabs(np.zeros((), a.dtype)).dtype))


@implements(np.logaddexp2)
def logaddexp2(x: Operand, y: Operand) -> Any:
    """Compute ``log2(2^x + 2^y)``."""
    return logaddexp(_times_log2(x), _times_log2(y)) / _LOG2


_LOG2 = math.log(2)


def _times_log2(x: Operand) -> Any:
    """Scale, and leave a Python number one, which takes on the dtype that is beside it."""
    return x * _LOG2 if isinstance(x, int | float) else np.multiply(x, _LOG2)


@implements(np.fix)
def fix(x: Operand) -> Any:
    """Take the next whole number towards 0."""
    return trunc(x)


@implements(np.i0)
def i0(x: Operand) -> Any:
    """Compute Bessel's modified function of order 0."""
    return special.i0(x)


def _sphere_forward(x: Any, n: int) -> Any:
    """Use ``sin x / x`` for n = 0, and SciPy's function, which has no float32, beyond."""
    if n == 0:
        return np.sinc(np.divide(x, np.pi))
    z = special.spherical_jn(n, np.where(np.less(np.absolute(x), 1e-290), 0, x))  # NaN there
    return z.astype(np.result_type(x, np.float32), copy=False)


def _sphere_rule(g: Any, z: Any, x: Any, n: int = 0) -> Any:
    """Use ``g (n j_(n-1)(x) - (n+1) j_(n+1)(x)) / (2n+1)``, which cancels no digits beside 0."""
    after = spherical_bessel(x, n=n + 1)
    if n == 0:
        return -g * after
    return g * (n * spherical_bessel(x, n=n - 1) - (n + 1) * after) / (2 * n + 1)


spherical_bessel: Function = define(
    "spherical_bessel",
    lambda x, n=0: _sphere_forward(x, n),
    "z = j_n(x), j_0(x) = sin x / x",
    _sphere_rule,
    numpy=(),
    rows=elementwise,
    memory=Memory.NEW,
)


@implements(np.sinc)
def sinc(x: Operand) -> Any:
    """Compute ``sin(pi x) / (pi x)``, 1 at 0."""
    return spherical_bessel(np.multiply(x, np.pi))


@implements(np.nan_to_num)
def nan_to_num(
    x: Operand, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    """Replace NaN and infinities by numbers; what is finite passes, and its gradient."""
    if x.dtype.kind != "f":
        return positive(x)
    limits = np.finfo(x.dtype)
    high = limits.max if posinf is None else posinf
    low = limits.min if neginf is None else neginf
    bounded = np.where(np.equal(x, np.inf), high, np.where(np.equal(x, -np.inf), low, x))
    return np.where(np.isnan(x), np.asarray(nan, x.dtype), bounded)


# ---- complex numbers, which only the complex step of gradcheck brings here

_real = define(
    "real",
    lambda x: np.array(x.real),
    "z = Re x",
    lambda g, z, x: g,
    numpy=(),
    listed=False,
    rows=elementwise,
    memory=Memory.NEW,
)


@implements(np.real)
def real(x: Operand) -> Any:
    """Return the real part: x itself of real numbers."""
    return _real(x) if x.dtype.kind == "c" else x


imag = define(
    "imag",
    lambda x: np.array(x.imag),
    "z = Im x, 0 of real numbers",
    lambda g, z, x: np.zeros(x.shape, x.dtype),
    numpy=(np.imag,),
    kinks="The gradient is 0.",
    rows=elementwise,
    memory=Memory.NEW,
)


@implements(np.conjugate)
def conj(x: Operand) -> Any:
    """Return the conjugate: x itself of real numbers."""
    return _conjugate(x) if x.dtype.kind == "c" else x


_conjugate = define(
    "conjugate",
    lambda x: np.conjugate(x),
    "z = Re x - i Im x",
    lambda g, z, x: g,
    numpy=(),
    listed=False,
    rows=elementwise,
    memory=Memory.NEW,
)


@implements(np.copy)
def copy(x: Operand, order: str = "K", subok: bool = False) -> Any:
    """Return a copy, through which the gradient passes."""
    return cast(x, x.dtype)
