"""Joining tensors, and cutting them apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autonn.engine.apply import define, implements, operand
from autonn.engine.op import Memory
from autonn.engine.ops.indexing import getitem
from autonn.engine.ops.rowwise import counted_axis
from autonn.engine.tensor import Operand, Tensor


def brought(x: Operand) -> Any:
    """Bring what is no Tensor to an array; masks and matrices are refused.

    A memory map stays what it is, so that it is held while a graph needs it.
    """
    if isinstance(x, Tensor) or type(x) is np.ndarray:
        return x
    plain = operand(x, "NumPy's function on a Tensor")
    return x if isinstance(x, np.ndarray) else np.asarray(plain)


def _part(k: int, xs: Sequence[Any], axis: int) -> tuple[Any, ...]:
    """Return the key ``[..., start:stop]`` of the places that x_k takes along axis."""
    axis %= xs[0].ndim
    start = sum(x.shape[axis] for x in xs[:k])
    return (slice(None),) * axis + (slice(start, start + xs[k].shape[axis]),)


def _joins(call: Any, axes: Sequence[int | None]) -> int | None:
    """Say that rows stay rows where all operands have them along one axis, not the joined one."""
    axis = call.attribute("axis") % call.ndim
    return axes[0] if len(set(axes)) == 1 and axes[0] != axis else None


def _joined(call: Any, text: Callable[[Any], str]) -> str:
    parts = ", ".join(map(text, call.args))
    comma = "," * (len(call.args) == 1)
    return f"np.concatenate(({parts}{comma}), axis={call.attribute('axis')})"


_concatenate = define(
    "concatenate",
    lambda *xs, axis: np.concatenate(xs, axis=axis),
    "z = the x_k behind one another along an axis",
    lambda k, g, z, *xs, axis: getitem(g, _part(k, xs, axis)),
    numpy=(),
    hint="all lengths but that of the joined axis must agree",
    variadic=True,
    rows=_joins,
    memory=Memory.NEW,
    prints=_joined,
)


concatenate_op = _concatenate.op


@implements(np.concatenate)
def concatenate(tensors: Sequence[Operand], axis: int | None = 0) -> Any:
    """Join tensors along an axis that they have already."""
    if axis is None:
        return _concatenate(*(np.ravel(t) for t in tensors), axis=0)
    return _concatenate(*tensors, axis=axis)


@implements(np.stack)
def stack(tensors: Sequence[Operand], axis: int = 0) -> Any:
    """Join tensors of equal shape along a new axis."""
    shapes = {np.shape(t) for t in tensors}
    if len(shapes) != 1:
        raise ValueError(f"stack of shapes {sorted(shapes)}: all must be equal")
    return concatenate([np.expand_dims(t, axis) for t in tensors], axis)


@implements(np.vstack)
def vstack(tensors: Sequence[Operand]) -> Any:
    """Join tensors below one another; vectors are rows."""
    return concatenate([np.reshape(t, (1, -1)) if np.ndim(t) < 2 else t for t in tensors], 0)


@implements(np.hstack)
def hstack(tensors: Sequence[Operand]) -> Any:
    """Join tensors beside one another."""
    flat = [np.reshape(t, (-1,)) if np.ndim(t) == 0 else t for t in tensors]
    return concatenate(flat, 0 if np.ndim(flat[0]) == 1 else 1)


@implements(np.array_split)
def array_split(x: Operand, indices_or_sections: Any, axis: int = 0) -> Any:
    """Cut along an axis into so many parts, or at these positions."""
    axis = counted_axis(axis, x.ndim)
    cuts = np.array_split(np.arange(x.shape[axis]), indices_or_sections)
    lead = (slice(None),) * axis
    return [
        getitem(x, (*lead, slice(int(c[0]), int(c[-1]) + 1) if c.size else slice(0))) for c in cuts
    ]


@implements(np.split)
def split(x: Operand, indices_or_sections: Any, axis: int = 0) -> Any:
    """Cut along an axis into equal parts, or at these positions."""
    n, parts = x.shape[counted_axis(axis, x.ndim)], indices_or_sections
    if isinstance(parts, int | np.integer) and n % parts:
        raise ValueError(f"split of {n} into {parts} equal parts; use np.array_split")
    return array_split(x, parts, axis)
