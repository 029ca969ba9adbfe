"""How ops that move numbers to other places are written in ONNX: one entry an op."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from autonn.compiler.graph import Node
from autonn.engine import ops
from autonn.engine.lineage import op_behind
from autonn.engine.ops.indexing import is_basic
from autonn.engine.ops.rowwise import counted_axis, spelled_axes
from autonn.exits.batches import Length, refusal
from autonn.exits.onnx_writer import Writer, Written

__all__ = ["MOVES"]

_END = sys.maxsize  # ONNX holds ends within the axis, as Python does


def _reshape(writer: Writer, call: Node) -> str:
    return writer.reshaped(writer.text(call.args[0], call.dtype), writer.made.lengths(call))


def _transposed(writer: Writer, x: str, order: Sequence[int]) -> str:
    if list(order) == list(range(len(order))):
        return x
    return writer.node("Transpose", x, perm=[int(a) for a in order])


def _transpose(writer: Writer, call: Node) -> str:
    axes = call.attribute("axes")
    order = range(call.ndim)[::-1] if axes is None else np.atleast_1d(axes) % call.ndim
    return _transposed(writer, writer.text(call.args[0]), list(order))


def _exchanged(*names: str) -> Any:
    """Write what exchanges axes, as NumPy's own function says of an array of the same shape."""

    def write(writer: Writer, call: Node) -> str:
        x = call.args[0]
        steps = np.lib.stride_tricks.as_strided(np.zeros(1), x.shape, tuple(range(x.ndim)))
        assert call.op is not None
        order = call.op.forward(steps, *(call.attribute(name) for name in names)).strides
        return _transposed(writer, writer.text(x), order)

    return write


def _flip(writer: Writer, call: Node) -> str:
    """Write a slice from the end to the beginning of each axis."""
    axes = spelled_axes(call.attribute("axis"), call.ndim)
    n = len(axes)
    ends = writer.whole(*[-1] * n), writer.whole(*[-_END] * n)
    steps = writer.whole(*axes), writer.whole(*[-1] * n)
    x = writer.text(call.args[0])
    return writer.node("Slice", x, *ends, *steps) if n else x


def _roll(writer: Writer, call: Node) -> str:
    """Write each axis as its end before its beginning; without an axis all lies in one row."""
    x, axis = writer.text(call.args[0]), call.attribute("axis")
    shift = call.attribute("shift")
    if axis is None:
        flat = _rolled(writer, writer.node("Reshape", x, writer.whole(-1)), int(shift), 0)
        return writer.reshaped(flat, writer.made.lengths(call))
    axes = axis if isinstance(axis, tuple | list) else (axis,)
    shifts = shift if isinstance(shift, tuple | list) else (shift,) * len(axes)
    for k, by in zip(axes, shifts, strict=True):
        if writer.made.lengths(call)[k % call.ndim].a:
            raise refusal(call, "shifts the rows of the batch around")
        x = _rolled(writer, x, int(by) % max(1, call.shape[k]), int(k) % call.ndim)
    return x


def _rolled(writer: Writer, x: str, by: int, axis: int) -> str:
    if not by:
        return x
    ends = _sliced(writer, x, axis, -by, None, 1), _sliced(writer, x, axis, 0, -by, 1)
    return writer.node("Concat", *ends, axis=axis)


def _sliced(writer: Writer, x: str, axis: int, start: Any, stop: Any, step: int) -> str:
    """Write ``x[start:stop:step]`` along an axis."""
    first = (0 if step > 0 else -1) if start is None else start
    last = (_END if step > 0 else -_END) if stop is None else stop
    whole = writer.whole
    return writer.node("Slice", x, whole(first), whole(last), whole(axis), whole(step))


def _broadcast_to(writer: Writer, call: Node) -> str:
    shape = writer.shape(writer.made.lengths(call))
    return writer.node("Expand", writer.text(call.args[0], call.dtype), shape)


def _concatenate(writer: Writer, call: Node) -> str:
    parts = [writer.text(a, call.dtype) for a in call.args]
    axis = counted_axis(call.attribute("axis"), call.ndim)
    return parts[0] if len(parts) == 1 else writer.node("Concat", *parts, axis=axis)


# ---- reading places


def _keys(call: Node, key: Any, ndim: int) -> list[Any]:
    """Spell a key out, one part for each axis and each None."""
    keys = list(key) if isinstance(key, tuple) else [key]
    masks = [k for k in keys if isinstance(k, np.ndarray | list) and np.asarray(k).dtype == bool]
    if any(np.ndim(k) != 1 for k in masks):
        raise refusal(call, "reads by a mask of several axes", "read x.reshape(...)[...] instead")
    named = sum(k is not None and k is not Ellipsis for k in keys)
    at = next((i for i, k in enumerate(keys) if k is Ellipsis), len(keys))
    keys[at : at + 1] = [slice(None)] * (ndim - named)
    return keys


def _is_all(k: Any, n: int) -> bool:
    return isinstance(k, slice) and range(n)[k] == range(n)


def _getitem(writer: Writer, call: Node) -> str:
    """Write slices as Slice, places as Gather, new axes as Unsqueeze."""
    x = call.args[0]
    keys = _keys(call, call.attribute("key"), x.ndim)
    others = _keys(call, writer.made.twin[call].attribute("key"), x.ndim)
    return _Reading(writer, call, ()).read(keys, others)


def _gather(writer: Writer, call: Node) -> str:
    """Write a reading by places that are data: along one axis."""
    x, *places = call.args
    keys = _keys(call, call.attribute("key"), x.ndim)
    return _Reading(writer, call, places).read(keys, keys)


class _Reading:
    """Writes a reading part by part: `axis` is that of x, `kept` that of what is written so far."""

    def __init__(self, writer: Writer, call: Node, places: Sequence[Any]) -> None:
        self.writer, self.call, self.places = writer, call, places
        self.x = writer.text(call.args[0])
        self.axis = self.kept = 0
        self.new: list[int] = []  # where axes of length 1 are to come
        self.taken = self.counted = False  # whether an array was read by, and a number

    def read(self, keys: list[Any], others: list[Any]) -> str:
        """Write all parts of a key; `others` are those with another number of rows."""
        for k, other in zip(keys, others, strict=True):
            if k is None:
                self.new.append(self.kept + len(self.new))
            elif isinstance(k, slice):
                self.slice(k, other)
            elif isinstance(k, ops.Slot) or not is_basic(k):
                self.array(k, other)
            else:
                self.number(k, other)
        if self.taken and self.counted:
            raise refusal(self.call, "reads by an array and a number, whose axes NumPy puts first")
        whole = self.writer.whole
        return self.writer.node("Unsqueeze", self.x, whole(*self.new)) if self.new else self.x

    def slice(self, k: slice, other: Any) -> None:
        """Write a slice, which may be all of an axis."""
        x, twin = self.call.args[0], self.writer.made.twin[self.call.args[0]]
        if not (_is_all(k, x.shape[self.axis]) and _is_all(other, twin.shape[self.axis])):
            self.same(k, other)
            self.x = _sliced(self.writer, self.x, self.kept, k.start, k.stop, k.step or 1)
        self.axis, self.kept = self.axis + 1, self.kept + 1

    def number(self, k: Any, other: Any) -> None:
        """Write one place, whose axis is gone then."""
        self.same(k, other)
        place = self.writer.constant(np.asarray(int(k)))
        self.x = self.writer.node("Gather", self.x, place, axis=self.kept)
        self.axis, self.counted = self.axis + 1, True

    def array(self, k: Any, other: Any) -> None:
        """Write places in an array, known or data, along one axis."""
        if self.taken or self.new:
            raise refusal(self.call, "reads by arrays along several axes")
        self.taken = True
        index = self.places[k] if isinstance(k, ops.Slot) else np.asarray(k)
        if isinstance(index, Node):
            if index.dtype == bool:
                raise refusal(self.call, "reads by a mask, whose number of places is not known")
            name = self.writer.text(index, np.int64)
        else:
            if not np.array_equal(index, other):
                raise refusal(self.call, "reads places that depend on the number of rows")
            index = np.flatnonzero(index) if index.dtype == bool else index
            name = self.writer.constant(index.astype(np.int64))
        self.x = self.writer.node("Gather", self.x, name, axis=self.kept)
        self.axis, self.kept = self.axis + 1, self.kept + index.ndim

    def same(self, k: Any, other: Any) -> None:
        """Refuse what is another with another number of rows."""
        if repr(k) != repr(other):
            raise refusal(self.call, "reads places that depend on the number of rows")


def _put(writer: Writer, call: Node) -> str:
    """Write what lies in a frame of zeros as Pad."""
    x, key = call.args[0], call.attribute("key")
    keys, lengths = _keys(call, key, call.ndim), writer.made.lengths(call)
    before, behind = [], []
    for k, n, length in zip(keys, call.shape, lengths, strict=True):
        whole = isinstance(k, slice) and k.step in (None, 1)
        start, stop, _ = k.indices(n) if whole else (0, 0, 0)
        if not whole or (length.a and not _is_all(k, n)):
            raise refusal(call, "puts numbers elsewhere than in a frame of zeros")
        before.append(start)
        behind.append(n - stop)
    if call.ndim != x.ndim or not call.ndim:
        raise refusal(call, "puts numbers elsewhere than in a frame of zeros")
    return writer.node("Pad", writer.text(x, call.dtype), writer.whole(*before, *behind))


def _of_length(writer: Writer, call: Node) -> str:
    """Write an axis more, or less, as a reshape."""
    lengths: list[Length] = writer.made.lengths(call)
    return writer.reshaped(writer.text(call.args[0], call.dtype), lengths)


MOVES: dict[Any, Written] = {
    ops.reshape.op: _reshape,
    ops.expand_dims.op: _of_length,
    ops.squeeze.op: _of_length,
    ops.transpose.op: _transpose,
    ops.swapaxes.op: _exchanged("axis1", "axis2"),
    ops.moveaxis.op: _exchanged("source", "destination"),
    ops.flip.op: _flip,
    ops.roll.op: _roll,
    ops.broadcast_to.op: _broadcast_to,
    op_behind(lambda x: np.concatenate([x, x])): _concatenate,
    ops.getitem.op: _getitem,
    ops.gather.op: _gather,
    ops.put.op: _put,
}
