"""How convolutions and what slides windows are written in ONNX: one entry an op."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autonn.compiler.graph import Node
from autonn.engine import ops
from autonn.engine.ops.rowwise import spelled_axes
from autonn.engine.ops.windows import positions
from autonn.exits.batches import Length, refusal
from autonn.exits.onnx_elements import ELEMENTS
from autonn.exits.onnx_writer import Writer, Written

__all__ = ["WINDOWS"]


def _pads(frame: Any) -> list[int]:
    """Lay out what is added before each axis, then what is behind each, as ONNX has it."""
    return [before for before, _ in frame] + [behind for _, behind in frame]


def _conv(writer: Writer, call: Node) -> str:
    """Write a convolution; both have channels first, and the kernels of a group behind another."""
    x, w = call.args
    return writer.node(
        "Conv", *(writer.text(a, call.dtype) for a in (x, w)), kernel_shape=list(w.shape[2:]),
        strides=list(call.attribute("stride")), dilations=list(call.attribute("dilation")),
        pads=_pads(call.attribute("padding")), group=int(call.attribute("groups")),
    )  # fmt: skip


def _conv_transpose(writer: Writer, call: Node) -> str:
    """Write kernels laid down; what the sides have beyond the least is output_padding."""
    x, w = call.args
    stride, dilation = call.attribute("stride"), call.attribute("dilation")
    frame = call.attribute("padding")
    axes = zip(x.shape[2:], w.shape[2:], stride, dilation, frame, call.shape[2:], strict=True)
    more = [n - ((p - 1) * s - sum(f) + d * (k - 1) + 1) for p, k, s, d, f, n in axes]
    return writer.node(
        "ConvTranspose", *(writer.text(a, call.dtype) for a in (x, w)),
        kernel_shape=list(w.shape[2:]), strides=list(stride), dilations=list(dilation),
        pads=_pads(frame), group=int(call.attribute("groups")), output_padding=more,
    )  # fmt: skip


def _pooled(writer: Writer, kind: str, x: Node, call: Node, how: Node, **more: Any) -> str:
    """Write a pooling of the last axes, as pictures (m, channels, ...)."""
    n = len(how.attribute("size"))
    name, lengths = writer.text(x, call.dtype), writer.made.lengths(call)
    plain = x.ndim == n + 2
    if not plain:
        flat = [Length(0, 1), *writer.made.lengths(x)[x.ndim - n - 1 :]]
        if x.ndim > n + 1:
            flat[0] = _product(call, writer.made.lengths(x)[: x.ndim - n - 1])
        name = writer.reshaped(name, flat)
    name = writer.node(
        kind, name, kernel_shape=list(how.attribute("size")), strides=list(how.attribute("stride")),
        pads=_pads(how.attribute("padding")), **more,
    )  # fmt: skip
    return name if plain else writer.reshaped(name, lengths)


def _product(call: Node, lengths: list[Length]) -> Length:
    """Multiply lengths, of which one at most depends on the number of rows."""
    free = [length for length in lengths if length.a]
    fixed = math.prod(length.b for length in lengths if not length.a)
    if len(free) > 1:
        raise refusal(call, "has several axes that depend on the number of rows")
    return Length(free[0].a * fixed, free[0].b * fixed) if free else Length(0, fixed)


def _pool_max(writer: Writer, call: Node) -> str:
    dilations = list(call.attribute("dilation"))
    return _pooled(writer, "MaxPool", call.args[0], call, call, dilations=dilations)


def _over_windows(usual: Written, as_sum: bool) -> Written:
    """Write a mean or a sum over the places of windows as AveragePool."""

    def write(writer: Writer, call: Node) -> str:
        """Write what is over all places of dense windows as AveragePool, and all else as usual."""
        slid = call.args[0]
        if not (isinstance(slid, Node) and slid.calls(ops.windows)):
            return usual(writer, call)
        size = slid.attribute("size")
        n = len(size)
        axes = spelled_axes(call.attribute("axis"), slid.ndim)
        dense = all(d == 1 for d in slid.attribute("dilation"))
        whole = sorted(axes) == list(range(slid.ndim - 2 * n, slid.ndim - n))
        if not (whole and dense) or call.attribute("keepdims"):
            return usual(writer, call)
        mean = _pooled(writer, "AveragePool", slid.args[0], call, slid, count_include_pad=1)
        return writer.node("Mul", mean, writer.constant(float(math.prod(size)))) if as_sum else mean

    return write


def _windows(writer: Writer, call: Node) -> str:
    """Write windows as a frame of zeros, and a reading of places along each axis."""
    x = call.args[0]
    size, stride = call.attribute("size"), call.attribute("stride")
    dilation, frame = call.attribute("dilation"), call.attribute("padding")
    n, lead = len(size), x.ndim - len(size)
    counts = positions(x.shape[lead:], size, stride, dilation, frame)
    lengths = writer.made.lengths(x)
    if any(length.a for length in lengths[lead:]):
        raise refusal(call, "slides along the rows of the batch")
    name = writer.text(x)
    if any(map(any, frame)):
        none = [0] * lead
        pads = [*none, *(a for a, _ in frame), *none, *(b for _, b in frame)]
        name = writer.node("Pad", name, writer.whole(*pads))
    for k in range(n):
        places = dilation[k] * np.arange(size[k])[:, None] + stride[k] * np.arange(counts[k])
        name = writer.node("Gather", name, writer.constant(places), axis=lead + 2 * k)
    order = [*range(lead), *(lead + 2 * k for k in range(n)), *(lead + 2 * k + 1 for k in range(n))]
    return writer.node("Transpose", name, perm=order)


def _add_windows(writer: Writer, call: Node) -> str:
    """Write blocks that lie side by side, as `Upsample` makes them, as a transpose."""
    x = call.args[0]
    size, stride = tuple(call.attribute("size")), tuple(call.attribute("stride"))
    n, lead = len(size), call.ndim - len(size)
    side_by_side = size == stride and not any(map(any, call.attribute("padding")))
    fills = all(k * p == m for k, p, m in zip(size, x.shape[-n:], call.shape[-n:], strict=True))
    if not side_by_side or not fills or any(d != 1 for d in call.attribute("dilation")):
        raise refusal(call, "adds windows up that lie over each other")
    order = [*range(lead)]
    for k in range(n):
        order += [lead + n + k, lead + k]
    turned = writer.node("Transpose", writer.text(x, call.dtype), perm=order)
    return writer.reshaped(turned, writer.made.lengths(call))


WINDOWS: dict[Any, Written] = {
    ops.conv.op: _conv,
    ops.conv_transpose.op: _conv_transpose,
    ops.pool_max.op: _pool_max,
    ops.windows.op: _windows,
    ops.add_windows.op: _add_windows,
    ops.mean.op: _over_windows(ELEMENTS[ops.mean.op], as_sum=False),
    ops.sum.op: _over_windows(ELEMENTS[ops.sum.op], as_sum=True),
}
