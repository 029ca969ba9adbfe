"""Repeating, diagonals and triangles: written with reading and putting."""

from __future__ import annotations

from typing import Any

import numpy as np

from autonn.engine.apply import implements
from autonn.engine.ops.indexing import getitem, put, take
from autonn.engine.ops.rowwise import counted_axis
from autonn.engine.tensor import Array, Operand


@implements(np.repeat)
def repeat(x: Operand, repeats: Any, axis: int | None = None) -> Any:
    """Repeat each element, or each slice along an axis."""
    x = x if np.ndim(x) else np.reshape(x, (1,))
    n = x.size if axis is None else x.shape[counted_axis(axis, x.ndim)]
    return take(x, np.repeat(np.arange(n), repeats), axis)


@implements(np.tile)
def tile(x: Operand, reps: Any) -> Any:
    """Lay copies of x side by side, ``reps`` along each axis."""
    reps = tuple(int(n) for n in np.atleast_1d(np.asarray(reps)))
    rank = max(len(reps), x.ndim)
    reps = (1,) * (rank - len(reps)) + reps
    shape = (1,) * (rank - x.ndim) + x.shape
    pairs = [side for r, n in zip(reps, shape, strict=True) for side in (r, n)]
    split = np.reshape(x, [side for n in shape for side in (1, n)])
    return np.reshape(
        np.broadcast_to(split, pairs), [r * n for r, n in zip(reps, shape, strict=True)]
    )


@implements(np.diagonal)
def diagonal(x: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Read a diagonal of the matrices in two axes; it becomes the last axis."""
    flat = np.moveaxis(x, (axis1, axis2), (-2, -1))
    rows, columns = flat.shape[-2:]
    start, aside = max(-offset, 0), max(offset, 0)
    i = np.arange(max(min(rows - start, columns - aside), 0))
    return getitem(flat, (Ellipsis, i + start, i + aside))


@implements(np.diag)
def diag(x: Operand, k: int = 0) -> Any:
    """Make a matrix with x on a diagonal, or read the diagonal of a matrix."""
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ValueError(f"diag takes a vector or a matrix, not shape {x.shape}")
    n = x.size + abs(k)
    i = np.arange(x.size)
    return put(x, (i + max(-k, 0), i + max(k, 0)), (n, n))


@implements(np.trace)
def trace(x: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Add up a diagonal."""
    return np.sum(diagonal(x, offset, axis1, axis2), axis=-1)


def _below(x: Any, k: int) -> Array:
    rows, columns = (*x.shape, x.shape[-1])[-2:] if x.ndim == 1 else x.shape[-2:]
    return np.tri(rows, columns, k, dtype=bool)


@implements(np.tril)
def tril(x: Operand, k: int = 0) -> Any:
    """Keep what lies on and below a diagonal."""
    return np.where(_below(x, k), x, 0)


@implements(np.triu)
def triu(x: Operand, k: int = 0) -> Any:
    """Keep what lies on and above a diagonal."""
    return np.where(_below(x, k - 1), 0, x)
