"""Writing ONNX nodes: names, constants, shapes that depend on the number of rows.

A writer goes through a graph and collects nodes; how an op is written stands in the tables of
`onnx_elements`, `onnx_moves` and `onnx_windows`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from autonn.compiler.graph import Argument, Given, Node
from autonn.engine.lineage import path_of
from autonn.engine.op import Memory, elementwise
from autonn.engine.tensor import Array, Tensor, values_of
from autonn.exits.batches import BatchGraph, Length, refusal

__all__ = ["Writer", "Written", "need"]

Written = Callable[["Writer", Node], str]  # how an op is written; it returns the result's name


def need(package: str) -> Any:
    """Import a package that is no dependency, or say how to install it."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ImportError(
            f"ONNX files need the package {package}, which is not installed; install it with: "
            "pip install 'autonn[onnx]'",
            name=package,
        ) from error


class Writer:
    """Collects the nodes and the initialisers of one graph.

    Attributes
    ----------
    made, dtype, opset
        The graph with its twin; the floating dtype and the version of what is written.
    nodes, initialisers
        What was written: nodes in order, arrays by name.
    """

    def __init__(
        self, made: BatchGraph, table: Mapping[Any, Written], dtype: Any, opset: int
    ) -> None:
        self.made, self.table = made, table
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.opset = opset
        self.helper = need("onnx.helper")
        self.nodes: list[Any] = []
        self.initialisers: dict[str, Array] = {}
        self.names: dict[Node, str] = {}
        self.taken: set[str] = set()
        self._constants: dict[Any, str] = {}
        self._rows: str | None = None
        self.layers: dict[Any, list[str]] = {}  # the results of layers that are nodes of their own
        self.layer = ""

    # ---- the whole

    def write(self, inputs: Mapping[Node, str], outputs: Sequence[str]) -> None:
        """Write all that the outputs need, and name what goes in and out."""
        self.names |= inputs
        self.taken |= {*inputs.values(), *outputs}
        for node in self.made.graph.nodes():
            if node.op is not None:
                self.names[node] = self.call(node)
        for node, name in zip(self.made.outputs, outputs, strict=True):
            self.nodes.append(self.helper.make_node("Identity", [self.name_of(node)], [name]))
        self.prune(outputs)

    def call(self, node: Node) -> str:
        """Write the call of an op as its table says."""
        op = node.op
        assert op is not None
        self.layer = path_of(node.place) if node.place else ""
        if op.rows is elementwise and op.memory is Memory.VIEW:
            return self.name_of(node.args[0])  # it looks at the numbers, and leaves them
        write = self.table.get(op) or self.table.get(op.forward)
        if write is None:
            raise refusal(node, "has no counterpart among the ops of ONNX that are written here")
        return write(self, node)

    def name_of(self, node: Node) -> str:
        """Name a value; what is given is written when it is first read."""
        if node not in self.names:
            self.names[node] = self.given(node)
        return self.names[node]

    def given(self, node: Node) -> str:
        """Write a parameter as an initialiser, and what else is given as a constant."""
        if node.given is Given.PARAMETER:
            name = self.made.names.get(id(node.value)) or node.label or "parameter"
            return self.initialiser(name, values_of(node.value))
        if node.given is Given.INPUT:
            raise refusal(node, "is an argument that no name was given for")
        value = node.value.data if isinstance(node.value, Tensor) else np.asarray(node.value)
        if self.made.is_fixed(node):
            return self.constant(value)
        return self.repeated(node, value)

    def initialiser(self, name: str, array: Array) -> str:
        """Write an array as an initialiser, which can be trained where the file is read."""
        name = self.fresh(name)
        self.initialisers[name] = self.cast_array(array)
        return name

    def repeated(self, node: Node, value: Array) -> str:
        """Write a constant with as many rows as the input: all of them have to be the same."""
        lengths = self.made.lengths(node)
        one = value[tuple(slice(None, None if not length.a else 1) for length in lengths)]
        other = self.made.twin[node].value
        if not (np.array_equal(np.broadcast_to(one, value.shape), value)
                and np.array_equal(np.broadcast_to(one, other.shape), other)):  # fmt: skip
            raise refusal(node, "has a row for each row of the batch, which are not all the same")
        return self.node("Expand", self.constant(one), self.shape(lengths))

    def prune(self, outputs: Sequence[str]) -> None:
        """Leave out what no output needs."""
        needed, kept = set(outputs), []
        for node in reversed(self.nodes):
            if needed.intersection(node.output):
                needed.update(node.input)
                kept.append(node)
        self.nodes = kept[::-1]
        self.initialisers = {k: v for k, v in self.initialisers.items() if k in needed}

    # ---- nodes and names

    def fresh(self, name: str) -> str:
        """Take a name that nothing has yet."""
        free, k = name, 0
        while free in self.taken:
            k += 1
            free = f"{name}_{k}"
        self.taken.add(free)
        return free

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Write a node of one result, and return its name, which tells the layer."""
        name = self.fresh(self.layer_name(kind))
        self.nodes.append(self.helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def several(self, kind: str, inputs: Sequence[str], count: int, **attributes: Any) -> list[str]:
        """Write a node of several results, and return their names."""
        first = self.layer_name(kind)
        names = [self.fresh(f"{first}:{k}") for k in range(count)]
        made = self.helper.make_node(kind, inputs, names, name=names[0], **attributes)
        self.nodes.append(made)
        return names

    def layer_name(self, kind: str) -> str:
        """Name a node after its layer and its type."""
        return f"{self.layer}/{kind}" if self.layer else kind

    def constant(self, value: Any) -> str:
        """Write a constant, once for all of the same bits; floats in the dtype of the file."""
        array = self.cast_array(np.asarray(value))
        key = array.dtype.str, array.shape, array.tobytes()
        if key not in self._constants:
            name = self.fresh("constant")
            tensor = need("onnx.numpy_helper").from_array(array, name)
            self.nodes.append(self.helper.make_node("Constant", [], [name], value=tensor))
            self._constants[key] = name
        return self._constants[key]

    def whole(self, *numbers: int) -> str:
        """Write a row of whole numbers, as axes and shapes are."""
        return self.constant(np.array(numbers, np.int64))

    # ---- dtypes

    def own(self, dtype: Any) -> np.dtype[Any]:
        """Tell which dtype stands for one of NumPy's: one kind of floats, and int64."""
        kind = np.dtype(dtype).kind
        if kind == "f":
            return self.dtype
        return np.dtype(bool) if kind == "b" else np.dtype(np.int64)

    def cast_array(self, array: Array) -> Array:
        """Bring an array to the dtype that stands for its own; large numbers stay finite."""
        with np.errstate(over="ignore", under="ignore"):
            cast = np.asarray(array, order="C").astype(self.own(array.dtype))
        if cast.dtype.kind == "f" and array.dtype.kind == "f":
            most = np.finfo(cast.dtype).max
            cast = np.where(np.isinf(cast) & np.isfinite(array), np.copysign(most, array), cast)
            cast = np.asarray(cast, self.dtype)
        return cast

    def cast(self, name: str, old: Any, new: Any) -> str:
        """Write a change of dtype, if it is one."""
        if self.own(old) == self.own(new):
            return name
        to = self.helper.np_dtype_to_tensor_dtype(self.own(new))
        return self.node("Cast", name, to=to)

    def text(self, a: Argument, dtype: Any = None) -> str:
        """Name an operand, a node or a number, in this dtype."""
        if isinstance(a, Node):
            name = self.name_of(a)
            return name if dtype is None else self.cast(name, a.dtype, dtype)
        return self.constant(np.asarray(a) if dtype is None else np.asarray(a, dtype))

    def operands(self, call: Node, args: Sequence[Argument] | None = None) -> list[str]:
        """Name the operands of an element-wise call, all in the dtype that NumPy computes in."""
        args = call.args if args is None else args
        dtype = call.dtype
        if dtype.kind != "f":
            plain = (a.dtype if isinstance(a, Node) else a for a in args)
            dtype = np.result_type(*plain)
        return [self.text(a, dtype) for a in args]

    # ---- shapes

    def shape(self, lengths: Sequence[Length]) -> str:
        """Write a shape, of which some lengths depend on the number of rows."""
        if not any(length.a for length in lengths):
            return self.whole(*(length.b for length in lengths))
        parts = [self.length(length) for length in lengths]
        return parts[0] if len(parts) == 1 else self.node("Concat", *parts, axis=0)

    def length(self, length: Length) -> str:
        """Write one length as a row of one number."""
        if not length.a:
            return self.whole(length.b)
        name = self.rows()
        if length.a != 1:
            name = self.node("Mul", name, self.whole(length.a))
        return self.node("Add", name, self.whole(length.b)) if length.b else name

    def rows(self) -> str:
        """Write the number of rows, asked of the first input."""
        if self._rows is None:
            first = self.names[self.made.graph.inputs[0]]
            self._rows = self.node("Shape", first, start=0, end=1)
        return self._rows

    def reshaped(self, name: str, lengths: Sequence[Length], source: Sequence[Length] = ()) -> str:
        """Write a reshape; -1 stands for the one length that depends on the number of rows."""
        free = [k for k, length in enumerate(lengths) if length.a]
        fixed = all(length.b for length in lengths if not length.a)
        if len(free) > 1 or not fixed:
            return self.node("Reshape", name, self.shape(lengths))
        sides = (-1 if length.a else length.b for length in lengths)
        return self.node("Reshape", name, self.whole(*sides))
