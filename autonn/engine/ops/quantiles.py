"""Statistics: medians, weighted averages, covariances, and those that pass NaN over."""

from __future__ import annotations

from typing import Any

import numpy as np

from autonn.engine.apply import define, implements
from autonn.engine.op import Memory, elementwise
from autonn.engine.ops.joining import brought
from autonn.engine.ops.reductions import max_, min_
from autonn.engine.ops.rowwise import Axis, counted_axis, spelled_axes
from autonn.engine.ops.totals import average_of_all, deviation, product, total, variance
from autonn.engine.tensor import Array, Operand, Tensor


def _flat_along(x: Any, axis: Axis) -> tuple[Any, tuple[int, ...]]:
    """Lay the axes behind one another in one, the last; return which they were."""
    x = brought(x)
    given = axis if isinstance(axis, tuple | list) else (axis,)
    axes = spelled_axes(None, x.ndim) if axis is None else tuple(
        counted_axis(a, x.ndim) for a in given
    )  # fmt: skip
    last = tuple(range(-len(axes), 0))
    moved = np.moveaxis(x, axes, last) if axes else x
    return np.reshape(moved, (*moved.shape[: x.ndim - len(axes)], -1)), axes


def _without_nan(z: Any, rows: Any) -> Any:
    """Give NaN where there is one in a row: sorting puts it last, where it would be passed over."""
    return np.where(np.any(np.isnan(rows), axis=-1), np.nan, z) if rows.dtype.kind == "f" else z


@implements(np.median)
def median(
    a: Operand, axis: Axis = None, out: Any = None, overwrite_input: bool = False,
    keepdims: bool = False,
) -> Any:  # fmt: skip
    """Take the middle element, or the mean of the two in the middle."""
    rows, axes = _flat_along(a, axis)
    n = rows.shape[-1]
    middle = np.sort(rows, axis=-1)[..., (n - 1) // 2 : n // 2 + 1]
    z = _without_nan(np.mean(middle, axis=-1), rows)
    return np.expand_dims(z, tuple(sorted(axes))) if keepdims else z


@implements(np.quantile)
def quantile(
    a: Operand, q: Any, axis: Axis = None, out: Any = None, overwrite_input: bool = False,
    method: Any = "linear", keepdims: bool = False, *, weights: Any = None,
) -> Any:  # fmt: skip
    """Take what lies at a share q of the sorted elements, between two of them as `method` says.

    Where that is NumPy says itself: asked about 0, 1, ..., n - 1 it returns the place.
    """
    if weights is not None or isinstance(q, Tensor):
        raise TypeError(
            "quantile takes plain numbers for q and no weights=, where it has gradients"
        )
    rows, axes = _flat_along(a, axis)
    n = rows.shape[-1]
    places = np.quantile(np.arange(n, dtype=float), q, method=method)
    low = np.floor(places).astype(int)
    weak = np.ndim(q) == 0 and rows.dtype.kind == "f"
    share = (places - low).astype(rows.dtype if weak else np.float64)
    ordered = np.sort(rows, axis=-1)
    below, above = ordered[..., low], ordered[..., np.minimum(low + 1, n - 1)]
    nan = np.reshape(rows, (*rows.shape[:-1], *(1,) * np.ndim(q), n))
    z = _without_nan(below + (above - below) * share, nan)
    count = z.ndim - np.ndim(q)
    z = np.moveaxis(z, tuple(range(count, z.ndim)), tuple(range(np.ndim(q))))
    return np.expand_dims(z, tuple(np.ndim(q) + k for k in sorted(axes))) if keepdims else z


@implements(np.percentile)
def percentile(a: Operand, q: Any, axis: Axis = None, *more: Any, **options: Any) -> Any:
    """Take what lies at q percent of the sorted elements."""
    return quantile(
        a, q if isinstance(q, Tensor) else np.true_divide(q, 100), axis, *more, **options
    )


@implements(np.ptp)
def ptp(a: Operand, axis: Axis = None, out: Any = None, keepdims: bool = False) -> Any:
    """Subtract the smallest from the largest."""
    return max_(a, axis, keepdims=keepdims) - min_(a, axis, keepdims=keepdims)


_ZERO = "the weights sum to zero, and can't be divided by; give some that do not"
_NEGATIVE = "cov: aweights cannot be negative"


def _look(x: Array, what: str) -> Array:
    """Raise what NumPy raises of such numbers."""
    if what is _ZERO and np.any(np.equal(x, 0)):
        raise ZeroDivisionError(what)
    if what is _NEGATIVE and np.any(np.less(x, 0)):
        raise ValueError(what)
    return x


# As an op, so that a program looks at the numbers of each call.
_looked_at = define(
    "looked_at",
    _look,
    "z = x, which is looked at",
    lambda g, z, x, what: g,
    numpy=(),
    listed=False,
    rows=elementwise,
    memory=Memory.VIEW,
)


@implements(np.average)
def average(
    a: Operand, axis: Axis = None, weights: Operand | None = None, returned: bool = False,
    *, keepdims: bool = False,
) -> Any:  # fmt: skip
    """Average with weights, which may be differentiated too."""
    a = brought(a)
    if weights is None:
        z = np.mean(a, axis=axis, keepdims=keepdims)
        scale = np.full(np.shape(z), a.size / max(np.size(z), 1))
        return (z, scale) if returned else z
    a = a if a.dtype.kind == "f" else a.astype(np.float64)
    weights = brought(weights)
    weights = weights.astype(np.result_type(a, weights))
    if weights.shape != a.shape:
        axes = tuple(
            counted_axis(k, a.ndim) for k in (axis if isinstance(axis, tuple) else (axis,))
        )
        if weights.shape != tuple(a.shape[k] for k in axes):
            raise ValueError(
                f"average of shape {a.shape} over {axis} with weights of shape {weights.shape}: "
                "they must be as long as the axes"
            )
        order = tuple(int(k) for k in np.argsort(axes))
        lengths = [a.shape[k] if k in axes else 1 for k in range(a.ndim)]
        weights = np.reshape(np.transpose(weights, order), lengths)
        weights = np.broadcast_to(weights, a.shape)
    scale = _looked_at(np.sum(weights, axis=axis, keepdims=keepdims), what=_ZERO)
    z = np.sum(a * weights, axis=axis, keepdims=keepdims) / scale
    return (z, scale) if returned else z


@implements(np.cov)
def cov(
    m: Operand, y: Operand | None = None, rowvar: bool = True, bias: bool = False,
    ddof: Any = None, fweights: Any = None, aweights: Operand | None = None, *, dtype: Any = None,
) -> Any:  # fmt: skip
    """Compute the covariances of variables, which are rows, unless `rowvar` is False."""
    x = _variables(m, rowvar)
    if y is not None:
        x = np.concatenate([x, _variables(y, rowvar)], axis=0)
    x = x if dtype is None else x.astype(dtype)
    ddof = (0 if bias else 1) if ddof is None else ddof
    n = x.shape[1]
    weights = None if fweights is None else np.asarray(fweights, x.dtype)
    if aweights is not None:
        aweights = _looked_at(brought(aweights).astype(np.float64), what=_NEGATIVE)
        weights = aweights if weights is None else weights * aweights
    scale = n if weights is None else _looked_at(np.sum(weights), what=_ZERO)
    mean = np.sum(x if weights is None else x * weights, axis=1, keepdims=True) / scale
    freedom = scale - ddof
    if weights is not None and ddof and aweights is not None:
        freedom = scale - ddof * np.sum(weights * aweights) / scale
    apart = x - mean
    return np.squeeze(np.matmul(apart if weights is None else apart * weights, apart.T) / freedom)


def _variables(m: Operand, rowvar: bool) -> Any:
    x = brought(m)
    x = x.astype(np.result_type(x, np.float64))
    x = np.reshape(x, (1, -1)) if x.ndim < 2 else x
    return x if rowvar or np.ndim(m) < 2 or x.shape[0] == 1 else x.T


@implements(np.corrcoef)
def corrcoef(
    x: Operand, y: Operand | None = None, rowvar: bool = True, *, dtype: Any = None
) -> Any:
    """Compute the correlations of variables, from -1 to 1."""
    c = cov(x, y, rowvar, dtype=dtype)
    if np.ndim(c) == 0:
        return c / c
    s = np.sqrt(np.diagonal(c))
    return np.clip(c / np.expand_dims(s, -1) / s, -1, 1)


# ---- NaN passed over


def _there(x: Any) -> Any:
    return ~np.isnan(x)


@implements(np.nansum)
def nansum(a: Operand, axis: Axis = None, *more: Any, **options: Any) -> Any:
    """Add up, NaN as 0."""
    return total(np.where(_there(a), a, np.zeros((), a.dtype)), axis, *more, **options)


@implements(np.nanprod)
def nanprod(a: Operand, axis: Axis = None, *more: Any, **options: Any) -> Any:
    """Multiply up, NaN as 1."""
    return product(np.where(_there(a), a, np.ones((), a.dtype)), axis, *more, **options)


@implements(np.nancumsum)
def nancumsum(a: Operand, axis: int | None = None, *more: Any) -> Any:
    """Add up along an axis, NaN as 0."""
    return np.cumsum(np.where(_there(a), a, np.zeros((), a.dtype)), axis, *more)


@implements(np.nancumprod)
def nancumprod(a: Operand, axis: int | None = None, *more: Any) -> Any:
    """Multiply up along an axis, NaN as 1."""
    return np.cumprod(np.where(_there(a), a, np.ones((), a.dtype)), axis, *more)


@implements(np.nanmean)
def nanmean(
    a: Operand, axis: Axis = None, dtype: Any = None, out: Any = None, keepdims: bool = False
) -> Any:
    """Average what is not NaN."""
    return average_of_all(a, axis, dtype, out, keepdims, where=_there(a))


@implements(np.nanvar)
def nanvar(a: Operand, axis: Axis = None, *more: Any, **options: Any) -> Any:
    """Compute the variance of what is not NaN."""
    return variance(a, axis, *more, where=_there(a), **options)


@implements(np.nanstd)
def nanstd(a: Operand, axis: Axis = None, *more: Any, **options: Any) -> Any:
    """Compute the standard deviation of what is not NaN."""
    return deviation(a, axis, *more, where=_there(a), **options)


def _nan_extreme(op: Any, a: Any, axis: Any, keepdims: bool, worst: float) -> Any:
    z = op(np.where(_there(a), a, np.asarray(worst, a.dtype)), axis, keepdims=keepdims)
    nothing = ~np.any(_there(a), axis=axis, keepdims=keepdims)
    return np.where(nothing, np.asarray(np.nan, a.dtype), z)


@implements(np.nanmax)
def nanmax(a: Operand, axis: Axis = None, out: Any = None, keepdims: bool = False) -> Any:
    """Take the largest that is not NaN; NaN where there is none."""
    return _nan_extreme(max_, a, axis, keepdims, -np.inf)


@implements(np.nanmin)
def nanmin(a: Operand, axis: Axis = None, out: Any = None, keepdims: bool = False) -> Any:
    """Take the smallest that is not NaN; NaN where there is none."""
    return _nan_extreme(min_, a, axis, keepdims, np.inf)
