"""How normalisations are written in ONNX: one node each, which other tools know and can fuse.

In float32 those nodes are told numbers around 0. A LayerNormalization of onnxruntime 1.15.1 takes
the mean of squares less the square of the mean: where the mean is 8 times the deviation it is off
by 2e-5, where it is 1,000 times by all; 1.32.0 by 1e-5 there. Of numbers without their mean both
are off by 1.4e-7, and so is InstanceNormalization.
"""

from __future__ import annotations

import numpy as np

from autonn.compiler.graph import Node
from autonn.engine.tensor import values_of
from autonn.exits.onnx_elements import reduced
from autonn.exits.onnx_writer import Writer, Written
from autonn.nn.normalisation import BatchNorm, BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm

__all__ = ["NORMS"]

# The mean of a unit, in its deviations, up to which BatchNormalization is one node: runtimes
# compute x w / s + (b - mean w / s), which is off by 2e-8 for each deviation.
_FARTHEST = 30


def _batch_norm(writer: Writer, call: Node) -> str:
    """Write the node; where the mean is far from 0, x without it first."""
    module = call.attribute("module")
    x, *own = (writer.text(a, call.dtype) for a in call.args)
    count = module.features
    weight, bias = own[:2] if module.weight is not None else _neutral(writer, count)
    mean, variance = own[-2:]
    far = np.abs(values_of(module.running_mean)) > _FARTHEST * np.sqrt(
        values_of(module.running_var) + module.eps
    )
    if far.any():
        places = writer.whole(-1, *[1] * (call.ndim - 2))
        x = writer.node("Sub", x, writer.node("Reshape", mean, places))
        mean = writer.constant(np.zeros(count))
    parts = x, weight, bias, mean, variance
    return writer.node("BatchNormalization", *parts, epsilon=module.eps)


def _layer_norm(writer: Writer, call: Node) -> str:
    """Write x without its mean, and the node."""
    module = call.attribute("module")
    x, *own = (writer.text(a, call.dtype) for a in call.args)
    axes = tuple(range(-len(module.shape), 0))
    weight, bias = own or _neutral(writer, *module.shape)
    parts = _centred(writer, x, axes), weight, bias
    return writer.node("LayerNormalization", *parts, axis=axes[0], epsilon=module.eps)


def _group_norm(writer: Writer, call: Node) -> str:
    """Write the groups as instances of one channel, as PyTorch does, and then scale and shift."""
    module = call.attribute("module")
    x, *own = (writer.text(a, call.dtype) for a in call.args)
    lengths = writer.made.lengths(call)
    groups = writer.node("Reshape", x, writer.whole(0, module.groups, -1))
    parts = _centred(writer, groups, (-1,)), *_neutral(writer, module.groups)
    z = writer.node("InstanceNormalization", *parts, epsilon=module.eps)
    z = writer.reshaped(z, lengths)
    if not own:
        return z
    places = writer.whole(-1, *[1] * (call.ndim - 2))
    weight, bias = (writer.node("Reshape", name, places) for name in own)
    return writer.node("Add", writer.node("Mul", z, weight), bias)


def _centred(writer: Writer, x: str, axes: tuple[int, ...]) -> str:
    return writer.node("Sub", x, reduced(writer, "ReduceMean", x, axes, keep=True))


def _neutral(writer: Writer, *shape: int) -> tuple[str, str]:
    """Write a scale of 1 and a shift of 0."""
    return writer.constant(np.ones(shape)), writer.constant(np.zeros(shape))


NORMS: dict[type, Written] = {
    BatchNorm: _batch_norm,
    BatchNorm1d: _batch_norm,
    BatchNorm2d: _batch_norm,
    LayerNorm: _layer_norm,
    GroupNorm: _group_norm,
}
