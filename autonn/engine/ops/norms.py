"""Norms of vectors and of matrices, of every order that NumPy has."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autonn.engine.apply import implements
from autonn.engine.ops.decompositions import singular_values
from autonn.engine.ops.reductions import euclidean
from autonn.engine.ops.rowwise import Axis, counted_axis, spelled_axes
from autonn.engine.tensor import Operand


def _of_vectors(x: Any, ord: Any, axis: int, keepdims: bool) -> Any:
    size = np.absolute(x)
    if isinstance(ord, str):
        raise ValueError(f"norm: the order {ord!r} is for matrices, over two axes")
    if ord in (math.inf, -math.inf):
        return (np.max if ord > 0 else np.min)(size, axis=axis, keepdims=keepdims)
    if ord == 0:
        count = np.sum(np.where(np.not_equal(x, 0), 1.0, 0.0), axis=axis, keepdims=keepdims)
        return count.astype(x.dtype) + 0 * np.sum(size, axis=axis, keepdims=keepdims)
    if ord == 1:
        return np.sum(size, axis=axis, keepdims=keepdims)
    return np.sum(size**ord, axis=axis, keepdims=keepdims) ** (1 / ord)


def _of_matrices(x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    if ord in (2, -2, "nuc"):
        s = singular_values(np.moveaxis(x, axes, (-2, -1)))
        extreme = np.sum if ord == "nuc" else np.max if ord == 2 else np.min
        result = extreme(s, axis=-1)
        return np.expand_dims(result, tuple(sorted(axes))) if keepdims else result
    if ord not in (1, -1, math.inf, -math.inf):
        raise ValueError(f"norm: {ord!r} is no order of a matrix; 1, 2, inf, 'fro' or 'nuc' are")
    inner, outer = axes if abs(ord) == 1 else axes[::-1]
    extreme = np.max if ord > 0 else np.min
    sums = np.sum(np.absolute(x), axis=inner, keepdims=True)
    result = extreme(sums, axis=outer, keepdims=True)
    return result if keepdims else np.squeeze(result, axes)


@implements(np.linalg.norm)
def norm(x: Operand, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Any:
    """Compute the norms of vectors and of matrices.

    A pair of axes, or a matrix without an axis, is measured as a matrix, as NumPy does.
    """
    if axis is None and ord is None:
        return euclidean(x, keepdims=keepdims)
    given = axis if isinstance(axis, tuple | list) else (axis,)
    axes = spelled_axes(None, x.ndim) if axis is None else tuple(
        counted_axis(a, x.ndim) for a in given
    )  # fmt: skip
    if len(axes) not in (1, 2):
        raise ValueError(f"norm: over one axis or two, not over {len(axes)}")
    if ord is None or (ord == "fro" and len(axes) == 2) or (ord == 2 and len(axes) == 1):
        return euclidean(x, axis=axes, keepdims=keepdims)
    return (
        _of_matrices(x, ord, axes, keepdims)
        if len(axes) == 2
        else _of_vectors(x, ord, axes[0], keepdims)
    )


@implements(np.linalg.vector_norm)
def vector_norm(x: Operand, /, *, axis: Axis = None, keepdims: bool = False, ord: float = 2) -> Any:
    """Compute the norms of vectors; without an axis of all elements as one."""
    if axis is None:
        result = norm(np.ravel(x), ord)
        return np.reshape(result, (1,) * x.ndim) if keepdims else result
    axes = tuple(counted_axis(a, x.ndim) for a in (axis if isinstance(axis, tuple) else (axis,)))
    last = tuple(range(-len(axes), 0))
    moved = np.moveaxis(x, axes, last)
    result = norm(np.reshape(moved, (*moved.shape[: x.ndim - len(axes)], -1)), ord, axis=-1)
    return np.expand_dims(result, tuple(sorted(axes))) if keepdims else result


@implements(np.linalg.matrix_norm)
def matrix_norm(x: Operand, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """Compute the norms of the matrices in the last two axes."""
    return norm(x, ord, axis=(-2, -1), keepdims=keepdims)


@implements(np.linalg.cond)
def cond(x: Operand, p: Any = None) -> Any:
    """Compute how much a solution may magnify an error: the largest singular value by the least.

    It is infinite where it is no number though all of x are, as NumPy has it.
    """
    if p is None or p in (2, -2):
        s = singular_values(x)
        z = s[..., 0] / s[..., -1] if p != -2 else s[..., -1] / s[..., 0]
    else:
        z = norm(x, p, axis=(-2, -1)) * norm(np.linalg.inv(x), p, axis=(-2, -1))
    numbers = ~np.any(np.isnan(x), axis=(-2, -1))
    return np.where(np.isnan(z) & numbers, np.inf, z)
