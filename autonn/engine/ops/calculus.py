"""Differences, sums under curves, interpolation, convolutions and polynomials."""

from __future__ import annotations

from typing import Any

import numpy as np

from autonn.engine.apply import define, implements
from autonn.engine.op import Function, Memory, mixes_rows
from autonn.engine.ops.decompositions import least_squares
from autonn.engine.ops.indexing import getitem, take
from autonn.engine.ops.joining import brought, concatenate
from autonn.engine.ops.rowwise import counted_axis
from autonn.engine.tensor import Operand

_NOTHING: Any = object()


def _along(axis: int, start: Any, stop: Any, step: Any = None) -> Any:
    return (slice(None),) * axis + (slice(start, stop, step),)


def _edge(values: Any, x: Any, axis: int) -> Any:
    values = brought(values)
    shape = [1 if k == axis else n for k, n in enumerate(x.shape)]
    return np.broadcast_to(values, shape) if values.ndim == 0 else values


@implements(np.diff)
def diff(
    a: Operand, n: int = 1, axis: int = -1, prepend: Operand = _NOTHING, append: Operand = _NOTHING
) -> Any:
    """Subtract each element from the next along an axis, n times."""
    a = brought(a)
    if n == 0:
        return a  # as NumPy does, whatever is to be joined
    if n < 0:
        raise ValueError(f"diff: n is at least 0, not {n}")
    axis = counted_axis(axis, a.ndim)
    before = [] if prepend is _NOTHING else [_edge(prepend, a, axis)]
    after = [] if append is _NOTHING else [_edge(append, a, axis)]
    if before or after:
        a = concatenate([*before, a, *after], axis)
    for _ in range(n):
        later, earlier = a[_along(axis, 1, None)], a[_along(axis, None, -1)]
        a = np.not_equal(later, earlier) if a.dtype == np.bool_ else later - earlier
    return a


@implements(np.ediff1d)
def ediff1d(a: Operand, to_end: Any = None, to_begin: Any = None) -> Any:
    """Subtract each element from the next, all in one row, with others at the ends."""
    between = diff(np.ravel(a))
    parts = [x for x in (to_begin, between, to_end) if x is not None]
    if len(parts) == 1:
        return between
    return concatenate([np.ravel(brought(x)).astype(between.dtype) for x in parts])


def _trapezoid(y: Operand, x: Operand | None = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """Add up the trapezoids under a curve along an axis."""
    y = brought(y)
    axis = counted_axis(axis, y.ndim)
    width = dx
    if x is not None:
        x = brought(x)
        width = diff(x, axis=axis if x.ndim > 1 else 0)
        if x.ndim == 1:
            width = np.reshape(width, (1,) * axis + (-1,) + (1,) * (y.ndim - 1 - axis))
    return np.sum(width * (y[_along(axis, 1, None)] + y[_along(axis, None, -1)]) / 2.0, axis=axis)


trapezoid = implements(np.trapezoid)(_trapezoid)


def _slopes(f: Any, axis: int, spacing: Any, edge_order: int) -> Any:
    """Take central differences, and differences of order 1 or 2 at both ends."""
    n = f.shape[axis]
    if n < edge_order + 1:
        raise ValueError(
            f"gradient along an axis of length {n}: it takes at least {edge_order + 1} elements"
        )
    spacing = brought(spacing).astype(f.dtype)
    steps = diff(spacing) if spacing.ndim else np.broadcast_to(spacing, (n - 1,))
    shape = (1,) * axis + (-1,) + (1,) * (f.ndim - 1 - axis)
    steps = np.reshape(steps, shape)
    rises = diff(f, axis=axis) / steps
    first, last = _along(axis, None, 1), _along(axis, -1, None)
    left, right = steps[_along(axis, None, -1)], steps[_along(axis, 1, None)]
    before, after = rises[_along(axis, None, -1)], rises[_along(axis, 1, None)]
    inside = (right * before + left * after) / (left + right)
    start, end = rises[first], rises[last]
    if edge_order == 2:
        start = start + (start - rises[_along(axis, 1, 2)]) * (
            steps[first] / (steps[first] + steps[_along(axis, 1, 2)])
        )
        end = end + (end - rises[_along(axis, -2, -1)]) * (
            steps[last] / (steps[last] + steps[_along(axis, -2, -1)])
        )
    return concatenate([start, inside, end], axis)


@implements(np.gradient)
def gradient(f: Operand, *spacings: Operand, axis: Any = None, edge_order: int = 1) -> Any:
    """Compute slopes along each axis by differences of second order, as `numpy.gradient`."""
    f = brought(f)
    f = f if f.dtype.kind == "f" else f.astype(np.float64)
    given = range(f.ndim) if axis is None else axis if isinstance(axis, tuple | list) else (axis,)
    axes = [counted_axis(k, f.ndim) for k in given]
    if len(spacings) not in (0, 1, len(axes)):
        raise TypeError(f"gradient over {len(axes)} axes takes as many spacings, or one, or none")
    if edge_order not in (1, 2):
        raise ValueError(f"gradient: edge_order is 1 or 2, not {edge_order}")
    apart = list(spacings) or [1.0]
    apart = apart * len(axes) if len(apart) == 1 else apart
    found = tuple(_slopes(f, k, h, edge_order) for k, h in zip(axes, apart, strict=True))
    return found[0] if len(found) == 1 else found


@implements(np.interp)
def interp(
    x: Operand, xp: Operand, fp: Operand, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    """Interpolate linearly between points; at one of them the slope is that on its right."""
    if period is not None:
        raise TypeError("interp with period= is not differentiable here; bring x into it by %")
    x, xp, fp = (brought(a).astype(np.float64) for a in (x, xp, fp))
    n = xp.shape[0]
    place = np.searchsorted(xp, x, side="right")
    low = np.clip(place - 1, 0, max(n - 2, 0))
    x0, x1 = take(xp, low), take(xp, np.minimum(low + 1, n - 1))
    y0, y1 = take(fp, low), take(fp, np.minimum(low + 1, n - 1))
    gap = np.where(np.equal(x1, x0), 1.0, x1 - x0)
    inside = y0 + (x - x0) * ((y1 - y0) / gap)
    first, last = fp[0] if left is None else left, fp[n - 1] if right is None else right
    beyond = np.where(np.equal(x, xp[n - 1]), fp[n - 1], last)
    return np.where(
        np.less(x, xp[0]), first, np.where(np.greater_equal(x, xp[n - 1]), beyond, inside)
    )


# ---- convolutions


def _convolve_rule(g: Any, x: Any, other: Any) -> Any:
    """Compute ``sum_k g_(i+k) other_k``."""
    m = other.shape[0]
    return getitem(_convolve(g, np.flip(other)), (slice(m - 1, m - 1 + x.shape[0]),))


_convolve: Function = define(
    "convolve",
    lambda a, v: np.convolve(a, v),
    "z_k = sum a_i v_(k-i)",
    lambda g, z, a, v: _convolve_rule(g, a, v),
    lambda g, z, a, v: _convolve_rule(g, v, a),
    numpy=(),
    rows=mixes_rows,
    memory=Memory.NEW,
)


def _middle(full: Any, n: int, m: int, mode: str, first: int) -> Any:
    """Cut out of a full convolution what `mode` asks for; first is where 'same' begins."""
    if mode == "full":
        return full
    if mode == "same":
        return full[first : first + max(n, m)]
    if mode == "valid":
        return full[min(n, m) - 1 : max(n, m)]
    raise ValueError(f"mode is 'full', 'same' or 'valid', not {mode!r}")


@implements(np.convolve)
def convolve(a: Operand, v: Operand, mode: str = "full") -> Any:
    """Convolve two vectors, ``z_k = sum_i a_i v_(k-i)``."""
    a, v = np.ravel(brought(a)), np.ravel(brought(v))
    n, m = a.shape[0], v.shape[0]
    return _middle(_convolve(a, v), n, m, mode, (min(n, m) - 1) // 2)


@implements(np.correlate)
def correlate(a: Operand, v: Operand, mode: str = "valid") -> Any:
    """Correlate two vectors, ``z_k = sum_i a_(i+k) v_i``."""
    a, v = np.ravel(brought(a)), np.ravel(brought(v))
    n, m = a.shape[0], v.shape[0]
    first = (m - 1) // 2 if n >= m else n // 2
    return _middle(_convolve(a, np.flip(v)), n, m, mode, first)


# ---- polynomials


@implements(np.polyval)
def polyval(p: Operand, x: Operand) -> Any:
    """Compute a polynomial by Horner's rule, the highest power first."""
    p, x = brought(p), brought(x)
    y = np.zeros(x.shape, np.result_type(p, x))
    for k in range(p.shape[0]):
        y = y * x + p[k]
    return y


@implements(np.vander)
def vander(x: Operand, N: int | None = None, increasing: bool = False) -> Any:
    """Set the powers of a vector beside one another, the highest first."""
    x = brought(x)
    powers = np.arange(x.shape[0] if N is None else N)
    return np.expand_dims(x, -1) ** (powers if increasing else powers[::-1])


@implements(np.polyfit)
def polyfit(
    x: Operand, y: Operand, deg: int, rcond: Any = None, full: bool = False,
    w: Operand | None = None, cov: Any = False,
) -> Any:  # fmt: skip
    """Fit a polynomial by least squares, as `numpy.polyfit` without `full` and `cov`."""
    if full or cov:
        raise TypeError("polyfit returns the coefficients alone, where it has gradients")
    x, y = brought(x) + 0.0, brought(y) + 0.0
    if rcond is None:
        rcond = x.shape[0] * float(np.finfo(x.dtype).eps)
    left, right = vander(x, deg + 1), y
    if w is not None:
        w = np.expand_dims(w, -1)
        left, right = left * w, right * (w if y.ndim > 1 else w[:, 0])
    scale = np.sqrt(np.sum(left * left, axis=0))
    z = least_squares(left / scale, right, rcond=rcond)
    return z / (scale if y.ndim == 1 else np.expand_dims(scale, -1))


# ---- products


@implements(np.kron)
def kron(a: Operand, b: Operand) -> Any:
    """Set b, times each element of a, side by side."""
    a, b = brought(a), brought(b)
    ndim = max(a.ndim, b.ndim)
    left, right = ((1,) * (ndim - x.ndim) + x.shape for x in (a, b))
    wide = np.reshape(a, [side for n in left for side in (n, 1)])
    deep = np.reshape(b, [side for n in right for side in (1, n)])
    return np.reshape(wide * deep, [m * n for m, n in zip(left, right, strict=True)])


def _third(x: Any) -> Any:
    """Add the third component of vectors in the plane, 0."""
    return concatenate([x, np.zeros((*x.shape[:-1], 1), x.dtype)], axis=-1)


@implements(np.cross, np.linalg.cross)
def cross(
    a: Operand, b: Operand, axisa: int = -1, axisb: int = -1, axisc: int = -1,
    axis: int | None = None,
) -> Any:  # fmt: skip
    """Compute the cross product of vectors in space; those in the plane have 0 as the third."""
    axisa, axisb, axisc = (axis,) * 3 if axis is not None else (axisa, axisb, axisc)
    a, b = np.moveaxis(brought(a), axisa, -1), np.moveaxis(brought(b), axisb, -1)
    plane = a.shape[-1] == b.shape[-1] == 2
    if not {a.shape[-1], b.shape[-1]} <= {2, 3}:
        raise ValueError(f"cross takes vectors of 3 components, not shapes {a.shape} and {b.shape}")
    a, b = (_third(x) if x.shape[-1] == 2 else x for x in (a, b))
    after, before = [1, 2, 0], [2, 0, 1]
    z = a[..., after] * b[..., before] - a[..., before] * b[..., after]
    return z[..., 2] if plane else np.moveaxis(z, -1, axisc)
