"""Frames around arrays: constants, copies of what is inside, and what is computed from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autonn.engine.apply import implements
from autonn.engine.ops.assembling import linspace
from autonn.engine.ops.indexing import getitem, put
from autonn.engine.ops.joining import concatenate
from autonn.engine.ops.rearranging import rearranged
from autonn.engine.tensor import Operand

_COPIES = ("edge", "reflect", "symmetric", "wrap", "empty")


def _pairs(value: Any, ndim: int) -> Any:
    """Spell out what is given once for all, or once for both sides, as NumPy's pad does."""
    if isinstance(value, dict):
        given = (value.get(k, value.get(k - ndim, (0, 0))) for k in range(ndim))
        return [np.broadcast_to(np.asarray(pair), (2,)).tolist() for pair in given]
    return np.broadcast_to(np.asarray(value), (ndim, 2)).tolist()


def _slice(x: Any, axis: int, start: Any, stop: Any) -> Any:
    return getitem(x, (slice(None),) * axis + (slice(start, stop),))


def _constant(x: Any, widths: Any, constant_values: Any = 0) -> Any:
    shape = tuple(n + a + b for n, (a, b) in zip(x.shape, widths, strict=True))
    inside = tuple(slice(a, a + n) for n, (a, _) in zip(x.shape, widths, strict=True))
    framed = put(x, inside, shape)
    if np.all(np.equal(constant_values, 0)):
        return framed
    return framed + np.pad(np.zeros(x.shape, x.dtype), widths, constant_values=constant_values)


def _ramp(x: Any, axis: int, width: int, end: Any, left: bool) -> Any:
    n = x.shape[axis]
    edge = _slice(x, axis, 0, 1) if left else _slice(x, axis, n - 1, n)
    start, stop = np.full(edge.shape, end, x.dtype), edge
    steps = linspace(start, stop, width, endpoint=False)
    steps = np.squeeze(np.moveaxis(steps, 0, axis), axis + 1)
    return steps if left else np.flip(steps, axis)


def _statistic(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make what fills a side with a statistic of the nearest elements, all if nothing is said."""

    def side(x: Any, axis: int, width: int, length: Any, left: bool) -> Any:
        n = x.shape[axis]
        length = n if length is None else min(int(length), n)
        part = _slice(x, axis, 0, length) if left else _slice(x, axis, n - length, n)
        value = function(part, axis=axis, keepdims=True)
        shape = [width if k == axis else m for k, m in enumerate(value.shape)]
        return np.broadcast_to(value, shape)

    return side


_COMPUTED: dict[str, Callable[..., Any]] = {
    "linear_ramp": _ramp,
    "mean": _statistic(np.mean),
    "maximum": _statistic(np.max),
    "minimum": _statistic(np.min),
    "median": _statistic(np.median),
}


@implements(np.pad)
def pad(x: Operand, pad_width: Any, mode: Any = "constant", **options: Any) -> Any:
    """Surround x with a frame: constant, copied from inside, or computed from it."""
    widths = _pairs(pad_width, x.ndim)
    if mode == "constant":
        return _constant(x, widths, **options)
    if mode in _COPIES and options.get("reflect_type", "even") == "even":
        plain: Any = "edge" if mode == "empty" else mode
        return rearranged(x, lambda places: np.pad(places, widths, plain, **options))
    if mode not in _COMPUTED:
        odd = " with reflect_type='odd'" if mode in _COPIES else ""
        raise TypeError(
            f"np.pad with mode={mode!r}{odd} is not differentiable here; join the parts by "
            "np.concatenate"
        )
    given = options.get("end_values", 0) if mode == "linear_ramp" else options.get("stat_length")
    ends = [[None, None]] * x.ndim if given is None else _pairs(given, x.ndim)
    for axis, ((a, b), (left, right)) in enumerate(zip(widths, ends, strict=True)):
        before = _COMPUTED[mode](x, axis, a, left, True)
        after = _COMPUTED[mode](x, axis, b, right, False)
        x = concatenate([before, x, after], axis)
    return x
