"""How recurrent layers are written in ONNX: one node for each layer of theirs."""

from __future__ import annotations

from typing import Any

import numpy as np

from autonn.compiler.graph import Node
from autonn.engine.tensor import Array, values_of
from autonn.exits.onnx_writer import Writer, Written
from autonn.exits.whole_layers import RECURRENT
from autonn.nn.recurrent import GRU, LSTM, RNN

__all__ = ["SEQUENCES"]

# How the gates of ours lie in the weights of ONNX, whose orders are i o f c, and z r h.
_GATES: dict[type, list[int]] = {RNN: [0], GRU: [1, 0, 2], LSTM: [0, 3, 1, 2]}


def _recurrent(writer: Writer, call: Node) -> str:
    """Write the nodes of a layer once, and name the result that is asked for."""
    module, x = call.attribute("module"), writer.text(call.args[0], call.dtype)
    key = x, id(module)
    if key not in writer.layers:
        writer.layers[key] = _written(writer, module, x)
    return writer.layers[key][int(call.attribute("which"))]


def _written(writer: Writer, module: Any, x: str) -> list[str]:
    """Write node after node, each on the outputs of the one below; steps come first in ONNX."""
    kind, states = type(module).__name__, module.states
    z = writer.node("Transpose", x, perm=[1, 0, 2])
    ends: list[list[str]] = [[] for _ in range(states)]
    for k in range(module.layers):
        suffixes = (f"_l{k}", f"_l{k}_reverse")[: 1 + module.bidirectional]
        outputs = writer.several(
            kind, [z, *_weights(writer, module, k, suffixes)], 1 + states,
            hidden_size=module.units,
            direction="bidirectional" if module.bidirectional else "forward",
            **({"linear_before_reset": 1} if type(module) is GRU else {}),
        )  # fmt: skip
        turned = writer.node("Transpose", outputs[0], perm=[0, 2, 1, 3])
        z = writer.node("Reshape", turned, writer.whole(0, 0, -1))
        for end, output in zip(ends, outputs[1:], strict=True):
            end.append(output)
    last = [e[0] if len(e) == 1 else writer.node("Concat", *e, axis=0) for e in ends]
    return [writer.node("Transpose", z, perm=[1, 0, 2]), *last]


def _weights(writer: Writer, module: Any, k: int, suffixes: tuple[str, ...]) -> list[str]:
    """Write the weights of both products and the biases, the gates in the order of ONNX."""
    order, path = _GATES[type(module)], f"{writer.layer}." if writer.layer else ""

    def stacked(name: str) -> Array:
        arrays = [values_of(getattr(module, f"{name}{suffix}")) for suffix in suffixes]
        return np.stack([_in_order(array, order) for array in arrays])

    found = {"weight_ih": stacked("weight_ih"), "weight_hh": stacked("weight_hh")}
    if getattr(module, f"bias_ih{suffixes[0]}") is not None:
        found["bias"] = np.concatenate([stacked("bias_ih"), stacked("bias_hh")], axis=1)
    return [writer.initialiser(f"{path}{name}_l{k}", array) for name, array in found.items()]


def _in_order(array: Array, order: list[int]) -> Array:
    parts = np.split(array, len(order))
    return np.concatenate([parts[k] for k in order])


SEQUENCES: dict[type, Written] = dict.fromkeys(RECURRENT, _recurrent)
