"""A network out of an ONNX file: a Module of our ops, differentiable and trainable."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from autonn.engine.tensor import Tensor
from autonn.exits.onnx_arithmetic import ARITHMETIC, Call, Rule
from autonn.exits.onnx_export import BUFFERS
from autonn.exits.onnx_layers import LAYERS
from autonn.exits.onnx_recurrent import RECURRENT
from autonn.exits.onnx_writer import need
from autonn.files.errors import parsing
from autonn.files.reading import PathLike, read_bytes
from autonn.nn.module import Module, as_tensor

__all__ = ["RULES", "OnnxModule", "from_onnx"]

# What the types of nodes compute.
RULES: dict[str, Rule] = ARITHMETIC | LAYERS | RECURRENT


class OnnxModule(Module):
    """What an ONNX file computes: its nodes, one after another.

    Attributes
    ----------
    tensors
        The initialisers of floating point by name: parameters, and buffers where they were some.
    inputs, outputs
        The names of what goes in and out, in order.
    metadata
        What the file says of itself, by name.

    Examples
    --------
    >>> import tempfile
    >>> from autonn import Layer, export, from_onnx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = export(Layer(3, 2, rng=0), f"{folder}/layer.onnx", example=np.ones((1, 3)))
    ...     model = from_onnx(f"{folder}/layer.onnx")
    >>> model.inputs, model.outputs, model(np.ones((4, 3))).shape
    (('input',), ('output',), (4, 2))
    """

    def __init__(self, proto: Any) -> None:
        onnx = need("onnx")
        self.metadata = {prop.key: prop.value for prop in proto.metadata_props}
        self.opset = max([o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")])
        graph = proto.graph
        arrays = {a.name: onnx.numpy_helper.to_array(a) for a in graph.initializer}
        self.inputs = tuple(i.name for i in graph.input if i.name not in arrays)
        self.outputs = tuple(o.name for o in graph.output)
        self.nodes = tuple(_node(onnx, node) for node in graph.node)
        fixed = _buffers(self.metadata) | _running(self.nodes)
        self.constants = {k: a for k, a in arrays.items() if a.dtype.kind != "f"}
        self.tensors = {
            name: Tensor(a, requires_grad=name not in fixed)
            for name, a in arrays.items()
            if a.dtype.kind == "f"
        }

    def held(self) -> Iterable[tuple[str, Any]]:
        """Name the parameters as the file does."""
        return self.tensors.items()

    def forward(self, *given: Any) -> Any:
        """Compute the outputs of the inputs in order: one, or a tuple of several."""
        if len(given) != len(self.inputs):
            raise TypeError(f"{self!r} was given {len(given)} inputs; it takes {self.inputs}")
        values: dict[str, Any] = {**self.constants, **self.tensors}
        values |= {k: _fed(a) for k, a in zip(self.inputs, given, strict=True)}
        for kind, inputs, outputs, attributes in self.nodes:
            found = [values[name] if name else None for name in inputs]
            count = sum(map(bool, outputs))
            result = RULES[kind](Call(kind, found, attributes, self.opset, count))
            results = result if isinstance(result, tuple) else (result,)
            values |= zip(outputs, results, strict=False)
        results = tuple(as_tensor(values[name]) for name in self.outputs)
        return results[0] if len(results) == 1 else results

    def __repr__(self) -> str:
        return f"OnnxModule({', '.join(self.inputs)} -> {', '.join(self.outputs)})"


def from_onnx(path: PathLike) -> OnnxModule:
    """Read an ONNX file as a Module of our ops, which can be differentiated, trained, compiled.

    Parameters
    ----------
    path
        The file; all is in it, weights too.

    Returns
    -------
    A Module. Its parameters are the file's initialisers of floating point, under their names; the
    running means of normalisations, and what `export` says is none, are buffers. ``metadata`` holds
    what the file says of itself, texts by name.

    Raises
    ------
    FileNotFoundError, FileFormatError
        For a file that is missing, damaged or something else.
    NotImplementedError
        For node types that we have no op for, with all of them.
    ImportError
        Without the package onnx: ``pip install 'autonn[onnx]'``.

    Examples
    --------
    >>> from_onnx("nowhere.onnx")
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'nowhere.onnx'
    """
    content = read_bytes(path)
    onnx = need("onnx")
    with parsing(f"{path}: content", "an ONNX file", "export it again"):
        try:
            proto = onnx.load_model_from_string(content)
            onnx.checker.check_model(proto)
        except Exception as error:  # protobuf's and the checker's errors have no common base
            raise ValueError(str(error).strip().splitlines()[0]) from error
    _require_known(proto)
    return OnnxModule(proto)


def _require_known(proto: Any) -> None:
    """Refuse nodes that there is no rule for, all at once."""
    unknown = sorted({n.op_type for n in proto.graph.node if n.op_type not in RULES or n.domain})
    if unknown:
        raise NotImplementedError(
            f"from_onnx: the file has nodes of type {', '.join(unknown)}, which have no "
            f"counterpart among our ops; known are {', '.join(sorted(RULES))}"
        )


def _node(onnx: Any, node: Any) -> tuple[str, tuple[str, ...], tuple[str, ...], dict[str, Any]]:
    """Read a node: its type, its inputs and outputs by name, its attributes."""
    attributes = {}
    for attribute in node.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            value = value.decode()
        elif isinstance(value, onnx.TensorProto):
            value = onnx.numpy_helper.to_array(value)
        elif attribute.name == "to":
            value = _dtype(onnx, value)
        attributes[attribute.name] = value
    return node.op_type, tuple(node.input), tuple(node.output), attributes


def _dtype(onnx: Any, kind: int) -> Any:
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind))
    return dtype if dtype.kind in "fiub" else None


def _buffers(metadata: Mapping[str, str]) -> set[str]:
    """Read which initialisers were not trained, where the file says so."""
    try:
        names = json.loads(metadata.get(BUFFERS, "[]"))
    except ValueError:
        return set()
    return {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()


def _running(nodes: Iterable[Any]) -> set[str]:
    """Name the running means and variances of normalisations."""
    return {
        name for kind, inputs, *_ in nodes if kind == "BatchNormalization" for name in inputs[3:]
    }


def _fed(a: Any) -> Any:
    """Take an input as it is; numbers and lists as an array."""
    return a if isinstance(a, Tensor | np.ndarray) else np.asarray(a)
