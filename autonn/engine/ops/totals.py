"""Reductions with all the keywords that NumPy's have: ``where=``, ``dtype=``, ``initial=``.

The usual call, of an axis and `keepdims`, goes to the op at once; the keywords are written with
other ops: what `where` leaves out is replaced by what changes nothing.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from autonn.engine.apply import implements, stands_for
from autonn.engine.op import Function
from autonn.engine.ops.comparisons import answering
from autonn.engine.ops.reductions import euclidean, max_, mean, min_, prod, sum_
from autonn.engine.ops.rowwise import spelled_axes
from autonn.engine.ops.statistics import std, var
from autonn.engine.refusals import no_output
from autonn.engine.tensor import implementations
from autonn.habits import refuse_keywords

_MISSING: Any = object()


def _reduction(
    op: Function, *functions: Callable[..., Any], short: tuple[Any, ...] = ()
) -> Callable[[Callable[..., Any]], Function]:
    """Decorate what is done where more is given than an axis and `keepdims`."""

    def decorate(general: Callable[..., Any]) -> Function:
        def reduction(x: Any, axis: Any = None, *more: Any, **options: Any) -> Any:
            if not more and (not options or (len(options) == 1 and "keepdims" in options)):
                return op(x, **options) if axis is None else op(x, axis=axis, **options)
            refuse_keywords(op.__name__, "axis()", options)
            return general(x, axis, *more, **options)

        call = stands_for(op, reduction)
        call.__signature__ = inspect.signature(general)  # type: ignore[attr-defined]
        implements(*functions)(call)
        for ufunc in short:  # whose reductions are over the first axis, if nothing is said
            implementations[ufunc, "reduce"] = lambda x, axis=0, *a, **named: call(
                x, axis, *a, **named
            )
        return call

    return decorate


def _refuse_out(function: Any, out: Any) -> None:
    if out is not None:
        raise no_output(function)


def _cast(x: Any, dtype: Any) -> Any:
    return x if dtype is None else x.astype(dtype)


def _chosen(x: Any, where: Any, otherwise: Any) -> Any:
    """Keep x where the condition holds; it may be a condition for rows, to be broadcast."""
    if where is True or where is _MISSING:
        return x
    _require_fits(x, where)
    return np.where(where, x, np.asarray(otherwise, x.dtype))


def _require_fits(x: Any, where: Any) -> None:
    """Refuse a condition of more places than there are, as NumPy does."""
    if np.broadcast_shapes(np.shape(x), np.shape(where)) != np.shape(x):
        raise ValueError(
            f"where= of shape {np.shape(where)} has more places than x of shape {np.shape(x)}; "
            "broadcast x first"
        )


def _count(x: Any, where: Any, axis: Any) -> Any:
    """Count what `where` leaves, along the axes, which stay."""
    shape = np.broadcast_shapes(np.shape(x), np.shape(where))
    return np.sum(np.where(np.broadcast_to(where, shape), 1.0, 0.0), axis=axis, keepdims=True)


def _kept(z: Any, axis: Any, keepdims: bool) -> Any:
    """Take away the axes that a reduction left with length 1, unless they are to stay."""
    return z if keepdims else np.squeeze(z, spelled_axes(axis, z.ndim))


@_reduction(sum_, np.sum, short=(np.add,))
def total(
    x: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False,
    initial: Any = 0, where: Any = True,
) -> Any:  # fmt: skip
    """Add up."""
    _refuse_out(np.sum, out)
    z = sum_(_chosen(_cast(x, dtype), where, 0), axis=axis, keepdims=keepdims)
    return z if type(initial) is int and initial == 0 else z + initial


@_reduction(prod, np.prod, short=(np.multiply,))
def product(
    x: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False,
    initial: Any = 1, where: Any = True,
) -> Any:  # fmt: skip
    """Multiply up."""
    _refuse_out(np.prod, out)
    z = prod(_chosen(_cast(x, dtype), where, 1), axis=axis, keepdims=keepdims)
    return z if type(initial) is int and initial == 1 else z * initial


@_reduction(mean, np.mean)
def average_of_all(
    x: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False,
    *, where: Any = True,
) -> Any:  # fmt: skip
    """Average."""
    _refuse_out(np.mean, out)
    x = _cast(x, dtype)
    if where is True:
        return mean(x, axis=axis, keepdims=keepdims)
    z = sum_(_chosen(x, where, 0), axis=axis, keepdims=True)
    return _kept(z / _count(x, where, axis).astype(z.dtype), axis, keepdims)


def _extreme(op: Function, function: Any, pair: np.ufunc, worst: float) -> Callable[..., Any]:
    def extreme(
        x: Any, axis: Any = None, out: Any = None, keepdims: bool = False,
        initial: Any = _MISSING, where: Any = True,
    ) -> Any:  # fmt: skip
        _refuse_out(function, out)
        if where is not True and initial is _MISSING:
            raise ValueError(f"{function.__name__} with where= needs initial=, as NumPy's does")
        if initial is _MISSING:
            return op(x, axis=axis, keepdims=keepdims)
        if not np.size(x):  # nothing but the initial value
            empty = np.max(np.zeros(np.shape(x)), axis=axis, keepdims=keepdims, initial=0)
            return np.broadcast_to(initial, np.shape(empty)).astype(x.dtype)
        kept = _chosen(x, where, worst if x.dtype.kind == "f" else initial)
        return pair(op(kept, axis=axis, keepdims=keepdims), initial)

    extreme.__name__ = function.__name__
    return extreme


largest = _reduction(max_, np.max, np.amax, short=(np.maximum,))(
    _extreme(max_, np.max, np.maximum, -math.inf)
)
smallest = _reduction(min_, np.min, np.amin, short=(np.minimum,))(
    _extreme(min_, np.min, np.minimum, math.inf)
)


def _spread_of(op: Function, function: Any) -> Callable[..., Any]:
    def spread(
        x: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0,
        keepdims: bool = False, *, where: Any = True, mean: Any = None, correction: Any = None,
    ) -> Any:  # fmt: skip
        _refuse_out(function, out)
        x, ddof = _cast(x, dtype), ddof if correction is None else correction
        if where is True and mean is None:
            return op(x, axis=axis, ddof=ddof, keepdims=keepdims)
        count = _count(x, where, axis)
        if mean is None:
            mean = sum_(_chosen(x, where, 0), axis=axis, keepdims=True) / count
        apart, freedom = _chosen(x - mean, where, 0), np.maximum(count - ddof, 0)
        if op is std:
            for k in spelled_axes(axis, x.ndim):
                apart = euclidean(apart, axis=k, keepdims=True)
            z = apart / np.sqrt(freedom)
        else:
            z = sum_(apart * apart, axis=axis, keepdims=True) / freedom
        return _kept(z.astype(x.dtype), axis, keepdims)

    spread.__name__ = function.__name__
    return spread


variance = _reduction(var, np.var)(_spread_of(var, np.var))
deviation = _reduction(std, np.std)(_spread_of(std, np.std))

for _ufunc, _question in ((np.logical_and, np.all), (np.logical_or, np.any)):
    implementations[_ufunc, "reduce"] = answering(_question, axis=0)
