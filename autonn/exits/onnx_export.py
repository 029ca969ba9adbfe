"""A network as an ONNX file, for whatever runs those: phones, servers, browsers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autonn.checks import one_of
from autonn.compiler.graph import Node
from autonn.exits.batches import evaluated_graph
from autonn.exits.onnx_elements import ELEMENTS
from autonn.exits.onnx_moves import MOVES
from autonn.exits.onnx_norms import NORMS
from autonn.exits.onnx_sequences import SEQUENCES
from autonn.exits.onnx_windows import WINDOWS
from autonn.exits.onnx_writer import Writer, need
from autonn.exits.whole_layers import layer_call

__all__ = ["BUFFERS", "IR_VERSIONS", "TABLE", "onnx_model"]

_LAYERS = SEQUENCES | NORMS  # what is one node, by the layer's type


def _layer(writer: Writer, call: Node) -> str:
    return _LAYERS[type(call.attribute("module"))](writer, call)


# How each op is written; of sums and means those that look for windows first.
TABLE = ELEMENTS | MOVES | WINDOWS | {layer_call.op: _layer}

# By opset the version of the file: the oldest that has it, so that old runtimes load it too.
# https://github.com/onnx/onnx/blob/main/docs/Versioning.md
IR_VERSIONS = {17: 8, 18: 8, 19: 9, 20: 9, 21: 10}

BUFFERS = "buffers"  # among the metadata: which initialisers were not trained
_MOST_BYTES = 2**31 - 1  # what a protobuf can be long


def onnx_model(
    model: Any,
    example: Any,
    *,
    input_name: str | Sequence[str] = "input",
    output_name: str | Sequence[str] = "output",
    opset: int = 17,
    dtype: str = "float32",
    metadata: Mapping[str, Any] | None = None,
) -> Any:
    """Return the ``onnx.ModelProto`` of ``model(example)``: see `export`."""
    onnx = need("onnx")
    need("onnx.checker")
    one_of("export: opset", opset, IR_VERSIONS)
    one_of("export: dtype", getattr(dtype, "__name__", str(dtype)), ("float32", "float64"))
    examples = example if isinstance(example, tuple) else (example,)
    # In float64 step by step: onnxruntime has no LSTM and no GRU of it, and the epsilon of a
    # normalisation is a float32 in the file whatever the dtype, which is seen from 1e-12 on.
    made = evaluated_graph(model, examples, _LAYERS if np.dtype(dtype) == np.float32 else ())
    writer = Writer(made, TABLE, dtype, opset)
    inputs = _names("input_name", input_name, len(made.graph.inputs))
    outputs = _names("output_name", output_name, len(made.outputs))
    if {*inputs} & {*outputs}:
        raise ValueError(f"export: {inputs} and {outputs} share a name; give each its own")
    writer.write(dict(zip(made.graph.inputs, inputs, strict=True)), outputs)
    graph = onnx.helper.make_graph(
        writer.nodes,
        type(model).__name__,
        [
            _declared(writer, name, node)
            for name, node in zip(inputs, made.graph.inputs, strict=True)
        ],
        [_declared(writer, name, node) for name, node in zip(outputs, made.outputs, strict=True)],
        [onnx.numpy_helper.from_array(a, name) for name, a in writer.initialisers.items()],
    )
    size = sum(a.nbytes for a in writer.initialisers.values())
    if size > _MOST_BYTES:
        raise ValueError(f"export: the weights are {size:,} bytes; one ONNX file holds 2 GB")
    return _finished(onnx, graph, opset, _texts(metadata, made.buffers))


def _finished(onnx: Any, graph: Any, opset: int, texts: Mapping[str, str]) -> Any:
    """Make the model of a graph, and have it checked."""
    made = onnx.helper.make_model(
        graph,
        producer_name="autonn",
        opset_imports=[onnx.helper.make_opsetid("", opset)],
        ir_version=IR_VERSIONS[opset],
    )
    onnx.helper.set_model_props(made, texts)
    onnx.checker.check_model(made, full_check=True)
    return made


def _names(argument: str, given: str | Sequence[str], count: int) -> list[str]:
    """Name what goes in or out: of several with one name, by their numbers."""
    if isinstance(given, str):
        return [given] if count == 1 else [f"{given}_{k}" for k in range(count)]
    names = list(given) if isinstance(given, Sequence) else [given]
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"export: {argument} is a name or a list of names, not {given!r}")
    if len(names) != count or len({*names}) != count or not all(names):
        raise ValueError(f"export: {argument} is {names}, expected {count} different names")
    return names


def _declared(writer: Writer, name: str, node: Node) -> Any:
    """Declare the dtype and shape of what goes in or out; lengths of the batch by a name."""
    kind = writer.helper.np_dtype_to_tensor_dtype(writer.own(node.dtype))
    shape = [_symbol(length) if length.a else length.b for length in writer.made.lengths(node)]
    return writer.helper.make_tensor_value_info(name, kind, shape)


def _symbol(length: Any) -> str:
    factor = f"{length.a}*" if length.a != 1 else ""
    return f"{factor}batch{f'+{length.b}' if length.b else ''}"


def _texts(metadata: Mapping[str, Any] | None, buffers: Sequence[str]) -> dict[str, str]:
    """Write metadata as texts: what is none as JSON."""
    if metadata is not None and not isinstance(metadata, Mapping):
        raise TypeError(f"export: metadata is a dict, as {{'classes': [...]}}, not {metadata!r}")
    given = dict(metadata or {})
    if buffers:
        given.setdefault(BUFFERS, list(buffers))
    return {str(k): v if isinstance(v, str) else _as_json(k, v) for k, v in given.items()}


def _as_json(name: Any, value: Any) -> str:
    try:
        return json.dumps(value)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"export: metadata[{name!r}] can't be written as JSON: {error}; give texts, numbers, "
            "and lists and dicts of them"
        ) from error
