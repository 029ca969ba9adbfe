"""Arrays made of others: grids, blocks, columns, and arrays that are like others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autonn.engine.apply import implements
from autonn.engine.ops.joining import brought, concatenate, split
from autonn.engine.ops.rowwise import counted_axis
from autonn.engine.tensor import Operand


def _each(xs: tuple[Operand, ...], lift: Any) -> Any:
    lifted = tuple(lift(brought(x)) for x in xs)
    return lifted[0] if len(lifted) == 1 else lifted


@implements(np.atleast_1d)
def atleast_1d(*xs: Operand) -> Any:
    """Make vectors of numbers."""
    return _each(xs, lambda x: x if x.ndim else np.reshape(x, (1,)))


def _two(x: Any) -> Any:
    return x if x.ndim > 1 else np.reshape(x, (1, -1))


@implements(np.atleast_2d)
def atleast_2d(*xs: Operand) -> Any:
    """Make matrices of one row of numbers and vectors."""
    return _each(xs, _two)


def _three(x: Any) -> Any:
    return x if x.ndim > 2 else np.expand_dims(_two(x), -1)


@implements(np.atleast_3d)
def atleast_3d(*xs: Operand) -> Any:
    """Add axes of length 1 up to three."""
    return _each(xs, _three)


@implements(np.column_stack)
def column_stack(tensors: Sequence[Operand]) -> Any:
    """Set vectors beside one another as columns, and matrices as they are."""
    xs = [brought(t) for t in tensors]
    return concatenate([np.reshape(x, (-1, 1)) if x.ndim < 2 else x for x in xs], 1)


@implements(np.dstack)
def dstack(tensors: Sequence[Operand]) -> Any:
    """Join along the third axis."""
    return concatenate([_three(brought(t)) for t in tensors], 2)


@implements(np.dsplit)
def dsplit(x: Operand, indices_or_sections: Any) -> Any:
    """Cut along the third axis."""
    if np.ndim(x) < 3:
        raise ValueError(f"dsplit takes at least three axes, not shape {np.shape(x)}")
    return split(x, indices_or_sections, 2)


@implements(np.hsplit)
def hsplit(x: Operand, indices_or_sections: Any) -> Any:
    """Cut along the second axis, of a vector along its only one."""
    if not np.ndim(x):
        raise ValueError("hsplit takes at least one axis, not a number")
    return split(x, indices_or_sections, int(np.ndim(x) > 1))


@implements(np.vsplit)
def vsplit(x: Operand, indices_or_sections: Any) -> Any:
    """Cut along the first axis."""
    if np.ndim(x) < 2:
        raise ValueError(f"vsplit takes at least two axes, not shape {np.shape(x)}")
    return split(x, indices_or_sections, 0)


if hasattr(np, "unstack"):  # of NumPy 2.1

    @implements(np.unstack)
    def unstack(x: Operand, /, *, axis: int = 0) -> Any:
        """Return the slices along an axis, one by one."""
        moved = np.moveaxis(x, axis, 0)
        return tuple(moved[k] for k in range(moved.shape[0]))


@implements(np.block)
def block(arrays: Any) -> Any:
    """Join nested lists of blocks: the innermost along the last axis, the next along that before.

    Vectors and numbers are rows.
    """
    depth = _depth(arrays)
    ndim = max(depth, _most_axes(arrays))
    return _joined_blocks(arrays, depth, ndim)


def _depth(arrays: Any) -> int:
    return 1 + max(map(_depth, arrays)) if isinstance(arrays, list) and arrays else 0


def _most_axes(arrays: Any) -> int:
    return max(map(_most_axes, arrays)) if isinstance(arrays, list) else int(np.ndim(arrays))


def _joined_blocks(arrays: Any, depth: int, ndim: int) -> Any:
    if not isinstance(arrays, list):
        x = brought(arrays)
        return np.reshape(x, (1,) * (ndim - x.ndim) + x.shape)
    if not arrays:
        raise ValueError("block: a list of blocks is empty")
    return concatenate([_joined_blocks(a, depth - 1, ndim) for a in arrays], axis=-depth)


@implements(np.broadcast_arrays)
def broadcast_arrays(*xs: Operand, subok: bool = False) -> Any:
    """Stretch all to the shape that they have together."""
    shape = np.broadcast_shapes(*map(np.shape, xs))
    return tuple(np.broadcast_to(x, shape) for x in xs)


@implements(np.meshgrid)
def meshgrid(*xs: Operand, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> Any:
    """Make a grid of vectors: each varies along an axis of its own."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing is 'xy' or 'ij', not {indexing!r}")
    axes = list(range(len(xs)))
    if indexing == "xy" and len(xs) > 1:
        axes[:2] = [1, 0]
    shapes = ([-1 if axis == k else 1 for axis in range(len(xs))] for k in axes)
    lifted = [np.reshape(x, shape) for x, shape in zip(xs, shapes, strict=True)]
    return tuple(lifted) if sparse else broadcast_arrays(*lifted)


@implements(np.ix_)
def ix_(*xs: Operand) -> Any:
    """Make an open grid of vectors, to read a rectangle of places."""
    flat = [np.flatnonzero(x) if np.result_type(x) == np.bool_ else x for x in map(brought, xs)]
    return meshgrid(*flat, sparse=True, indexing="ij")


@implements(np.full_like)
def full_like(
    x: Operand, fill_value: Operand, dtype: Any = None, order: str = "K", subok: bool = True,
    shape: Any = None,
) -> Any:  # fmt: skip
    """Fill the shape of x with a number, or with what broadcasts to it."""
    shape, dtype = np.shape(x) if shape is None else shape, dtype or np.result_type(x)
    return np.broadcast_to(brought(fill_value).astype(dtype), shape)


@implements(np.linspace)
def linspace(
    start: Operand, stop: Operand, num: int = 50, endpoint: bool = True, retstep: bool = False,
    dtype: Any = None, axis: int = 0,
) -> Any:  # fmt: skip
    """Divide the way from start to stop into even steps."""
    start, stop = (brought(e) if isinstance(e, list | tuple) else e for e in (start, stop))
    kind = np.result_type(start, stop, 0.0)
    start, stop = brought(start).astype(kind), brought(stop).astype(kind)
    steps = num - 1 if endpoint else num
    step = (stop - start) / steps if steps > 0 else (stop - start) * np.nan
    ndim = max(start.ndim, stop.ndim)
    count = np.arange(num, dtype=kind).reshape(-1, *(1,) * ndim)
    points = start + count * step if steps > 0 else start + count * (stop - start)
    if endpoint and num > 1:
        last = np.broadcast_to(np.expand_dims(stop, 0), (1, *points.shape[1:]))
        points = concatenate([points[:-1], last.astype(points.dtype)])
    points = np.moveaxis(points, 0, axis) if axis != 0 else points
    points = points if dtype is None else points.astype(dtype)
    return (points, step) if retstep else points


@implements(np.logspace)
def logspace(
    start: Operand, stop: Operand, num: int = 50, endpoint: bool = True, base: Operand = 10.0,
    dtype: Any = None, axis: int = 0,
) -> Any:  # fmt: skip
    """Return powers of the base, the exponents in even steps."""
    powers = np.power(base, linspace(start, stop, num, endpoint, axis=axis))
    return powers if dtype is None else powers.astype(dtype)


@implements(np.geomspace)
def geomspace(
    start: Operand, stop: Operand, num: int = 50, endpoint: bool = True, dtype: Any = None,
    axis: int = 0,
) -> Any:  # fmt: skip
    """Divide the way from start to stop, both of one sign, into even factors."""
    start, stop = (brought(end) for end in (start, stop))
    sign = np.sign(start)
    both = (end.astype(np.result_type(end, np.float64)) * sign for end in (start, stop))
    points = sign * np.exp(linspace(*map(np.log, both), num, endpoint, axis=axis))
    return points if dtype is None else points.astype(dtype)


@implements(np.apply_along_axis)
def apply_along_axis(func1d: Any, axis: int, x: Operand, *args: Any, **kwargs: Any) -> Any:
    """Call a function on each vector along an axis, and join what it returns there."""
    axis = counted_axis(axis, np.ndim(x))
    rows = np.moveaxis(x, axis, -1)
    shape = rows.shape[:-1]
    found = [brought(func1d(rows[index], *args, **kwargs)) for index in np.ndindex(shape)]
    if not found:
        raise ValueError(f"apply_along_axis of shape {np.shape(x)}: there is no vector to call on")
    own = found[0].ndim
    result = np.reshape(np.stack(found), (*shape, *found[0].shape))
    source = tuple(range(len(shape), len(shape) + own))
    return np.moveaxis(result, source, tuple(range(axis, axis + own)))


if hasattr(np, "astype"):  # of NumPy 2.1

    @implements(np.astype)
    def astype(x: Operand, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
        """Return x in another dtype."""
        return x.astype(dtype)


@implements(np.rollaxis)
def rollaxis(x: Operand, axis: int, start: int = 0) -> Any:
    """Move an axis to before another."""
    axis = counted_axis(axis, np.ndim(x))
    start = start + np.ndim(x) if start < 0 else start
    return np.moveaxis(x, axis, start - (axis < start))
