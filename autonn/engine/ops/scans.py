"""Running sums and products along an axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autonn.engine.apply import define, implements
from autonn.engine.op import Memory
from autonn.engine.ops.indexing import take_along_axis
from autonn.engine.ops.rowwise import along_axis, counted_axis
from autonn.engine.refusals import no_output
from autonn.engine.tensor import Array, Operand, implementations


def _flipped_cumsum(g: Any, axis: int) -> Any:
    """Compute ``g_k + g_(k+1) + ...``, the sums from behind."""
    return np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis)


_cumsum = define(
    "cumsum",
    lambda x, axis: np.cumsum(x, axis=axis),
    "z_k = x_0 + ... + x_k along axis",
    lambda g, z, x, axis: _flipped_cumsum(g, axis),
    numpy=(),
    rows=along_axis,
    memory=Memory.NEW,
)


def _accumulates(*ufuncs: np.ufunc) -> Callable[[Any], Any]:
    """Decorate what ``ufunc.accumulate`` is, which goes along the first axis if nothing is said."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for ufunc in ufuncs:
            implementations[ufunc, "accumulate"] = lambda x, axis=0: function(x, axis)
        return function

    return decorate


@_accumulates(np.add)
@implements(np.cumsum)
def cumsum(x: Operand, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    """Add up along an axis; all elements in C order without one."""
    if out is not None:
        raise no_output(np.cumsum)
    x = x if dtype is None else x.astype(dtype)
    if axis is None:
        return _cumsum(np.ravel(x), 0)
    return _cumsum(x if np.ndim(x) else np.reshape(x, (1,)), axis)


def _cumprod_rule(g: Any, z: Any, x: Any, axis: int) -> Any:
    """Use ``t_k`` times the product before k, where ``t_k = g_k + x_(k+1) t_(k+1)``.

    These are summed up by doubling. Nothing is divided, so zeros and tiny numbers lose no digits.
    """
    x, t = np.moveaxis(x, axis, -1), np.moveaxis(g, axis, -1)
    n = x.shape[-1]
    zeros = np.zeros(x.shape, x.dtype)
    ones = zeros[..., :1] + 1
    before = np.cumprod(np.concatenate([ones, x[..., :-1]], axis=-1), axis=-1)
    factor = np.concatenate([x[..., 1:], zeros[..., :1]], axis=-1)
    for step in (2**k for k in range(max(n - 1, 0).bit_length())):
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
    rows=along_axis,
    memory=Memory.NEW,
)


@_accumulates(np.multiply)
@implements(np.cumprod)
def cumprod(x: Operand, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    """Multiply up along an axis; all elements in C order without one."""
    if out is not None:
        raise no_output(np.cumprod)
    x = x if dtype is None else x.astype(dtype)
    if axis is None:
        return _cumprod(np.ravel(x), 0)
    return _cumprod(x if np.ndim(x) else np.reshape(x, (1,)), axis)


def _places_forward(x: Array, axis: int, largest: bool) -> Any:
    extreme = np.maximum if largest else np.minimum
    steps = np.arange(x.shape[axis]).reshape(-1, *(1,) * (x.ndim - 1 - axis))
    running = extreme.accumulate(x, axis)
    hit = np.equal(x, running) | np.not_equal(x, x)
    fresh = hit & (np.not_equal(running, np.roll(running, 1, axis)) | (steps == 0))
    return np.maximum.accumulate(np.where(fresh, steps, 0), axis)


_running_places = define(
    "running_places",
    _places_forward,
    "z_k = where the first extreme of x_0, ..., x_k along axis is",
    None,
    numpy=(),
    listed=False,
    rows=along_axis,
    memory=Memory.NEW,
)


def _running(x: Any, axis: int, largest: bool) -> Any:
    axis = counted_axis(axis, x.ndim)
    return take_along_axis(x, _running_places(x, axis=axis, largest=largest), axis)


@_accumulates(np.maximum)
def running_max(x: Operand, axis: int = 0) -> Any:
    """Take the largest element so far; of equal ones the first."""
    return _running(x, axis, True)


@_accumulates(np.minimum)
def running_min(x: Operand, axis: int = 0) -> Any:
    """Take the smallest element so far; of equal ones the first."""
    return _running(x, axis, False)
