"""Products of matrices and vectors, the affine layer among them."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from autonn.engine.apply import define, implements
from autonn.engine.op import SUM, Memory
from autonn.engine.ops.contraction import einsum
from autonn.engine.tensor import Array, Operand, implementations


def swap_last(x: Any) -> Any:
    """Return ``x'``, the last two axes exchanged."""
    return np.transpose(x) if x.ndim == 2 else np.swapaxes(x, -1, -2)


def _matmul_left(g: Any, z: Any, x: Any, y: Any) -> Any:
    """Use ``G Y'``, for vectors with the axes that they lack."""
    if y.ndim == 1:
        return np.expand_dims(g, -1) * y
    if x.ndim == 1:
        return np.matmul(y, np.expand_dims(g, -1))[..., 0]
    return np.matmul(g, swap_last(y))


def _matmul_right(g: Any, z: Any, x: Any, y: Any) -> Any:
    """Use ``X' G``, for vectors with the axes that they lack."""
    if x.ndim == 1:
        return np.expand_dims(x, -1) * np.expand_dims(g, -2) if y.ndim > 1 else g * x
    if y.ndim == 1:
        return np.matmul(swap_last(x), np.expand_dims(g, -1))[..., 0]
    return np.matmul(swap_last(x), g)


def _multiplies_rows(call: Any, axes: Sequence[int | None]) -> int | str | None:
    """Say that rows pass through a product of matrices and vectors, or are summed over."""
    (x, y), (left, right) = call.args, axes
    if max(x.ndim, y.ndim) > 2:
        passes = left == 0 and right is None and y.ndim == 2
        stacked = left == right == 0 and x.ndim == y.ndim > 2
        return 0 if passes or stacked else None
    if left == 0 and x.ndim == 2 and right is None:
        return 0
    if left is None and right == 1:
        return int(x.ndim) - 1
    return SUM if left == x.ndim - 1 and right == 0 else None


def _out_of_matrices(call: Any) -> Memory:
    """Take ``out=`` for matrices of one dtype; a product of vectors is no array."""
    plain = call.ndim >= 2 and all(a.dtype == call.dtype for a in call.args)
    return Memory.OUT if plain else Memory.NEW


matmul = define(
    "matmul",
    np.matmul,
    "Z = X Y",
    _matmul_left,
    _matmul_right,
    rows=_multiplies_rows,
    memory=_out_of_matrices,
    prints="np.matmul({0}, {1})",
    hint="the last axis of the left must be as long as the last but one of the right; "
    "is a transpose (.T) missing?",
)


def _affine_forward(x: Array, weight: Array, bias: Array) -> Array:
    z = x.dot(weight.T) if x.ndim == 2 else x @ weight.T  # dot starts half a microsecond sooner
    z += bias
    return z


def flat_rows(x: Any) -> Any:
    """Return ``x`` as a matrix, all axes but the last behind one another."""
    return x if x.ndim == 2 else np.reshape(x, (-1, x.shape[-1]))


affine = define(
    "affine",
    _affine_forward,
    "Z = X W' + b",
    lambda g, z, x, w, b: np.matmul(g, w),
    lambda g, z, x, w, b: flat_rows(g).T @ flat_rows(x),
    lambda g, z, x, w, b: g,
    hint="X is (..., in), W (out, in) and b (out,)",
    composite=True,
)


@implements(np.tensordot)
def tensordot(a: Operand, b: Operand, axes: Any = 2) -> Any:
    """Sum products over pairs of axes, as `numpy.tensordot`."""
    if np.ndim(axes) == 0:
        axes = (range(-axes, 0), range(axes))
    left, right = ((k,) if np.ndim(k) == 0 else tuple(k) for k in axes)
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


@implements(np.dot)
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


@implements(np.vecdot)
def vecdot(a: Operand, b: Operand, /, *, axis: int = -1) -> Any:
    """Multiply vectors in pairs and add up, along one axis."""
    z = np.multiply(a, b)
    return np.sum(z, axis=axis).astype(z.dtype)  # small whole numbers are not widened


implementations[np.vecdot, "__call__"] = vecdot  # with an axis


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
