"""A traced graph as a value: calls of ops on what is given, without the numbers.

`trace` reads one from a function, `simplify` makes a shorter one of it, `partition` cuts it along
its rows, and `emit` writes it down. None of them changes a graph that it is given.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

from autonn.engine.flowchart import arrow, box
from autonn.engine.modes import Place
from autonn.engine.op import Function, Memory, Op
from autonn.engine.tensor import Array

__all__ = [
    "Argument",
    "Given",
    "Graph",
    "Node",
    "behind",
    "difference",
    "is_even",
    "remade",
    "signature",
    "stand_in",
    "uses_of",
]

# Node, number, or another Python value that an op was given: an axis, a shape, a dtype.
Argument = Any


class Given(Enum):
    """What a node is that is no call."""

    INPUT = "an argument of the function"
    DONATED = "an argument that may be overwritten"
    PARAMETER = "a Tensor that the function closes over, read at each call"
    ARRAY = "an array or a generator that it closes over, read where it stands"
    CONSTANT = "a value of the trace"


_serials = itertools.count()


class Node:
    """One value of a graph: a call of an op, or something given.

    Attributes
    ----------
    op, args, attributes
        The call: its operands, which are nodes or plain numbers, and what else it was given by
        name. `op` is None for what is given.
    given, value
        What is given, and the Tensor, array or constant itself; None for an input.
    shape, dtype
        Those of the result; its numbers are not kept.
    serial
        Arguments are made before what is made of them, so this number orders every graph.
    label
        What a person would call it, if anything.
    place
        The user's line and the modules that it was computed in, where that is known.

    Examples
    --------
    >>> from autonn.compiler import trace
    >>> graph = trace(lambda x: np.sum(x, axis=0), np.zeros((2, 3)))
    >>> total = graph.outputs[0]
    >>> total.op.formula, total.attributes, total.shape
    ('z = sum of x over axis', {'axis': 0}, (3,))
    """

    __slots__ = (
        "args", "attributes", "dtype", "given", "label", "op", "place", "serial", "shape", "value",
    )  # fmt: skip

    def __init__(
        self,
        op: Op | None,
        args: tuple[Argument, ...],
        attributes: dict[str, Any],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
    ) -> None:
        self.op, self.args, self.attributes = op, args, attributes
        self.shape, self.dtype = shape, dtype
        self.given: Given | None = None
        self.value: Any = None
        self.serial = next(_serials)
        self.label = ""
        self.place: Place | None = None

    @classmethod
    def of(cls, given: Given, value: Any, array: Array, label: str = "") -> Node:
        """Make the node of something given, of an array's shape and dtype."""
        node = cls(None, (), {}, array.shape, array.dtype)
        node.given, node.value, node.label = given, value, label
        return node

    @classmethod
    def constant(cls, value: Any) -> Node:
        """Make the node of a constant."""
        array = np.asarray(value)
        return cls.of(Given.CONSTANT, array, array)

    def __repr__(self) -> str:
        what = self.op.name if self.op is not None else self.given and self.given.name.lower()
        return f"<node {self.serial}: {what} {self.shape} {self.dtype}>"

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def is_constant(self) -> bool:
        """Whether it is a value of the trace."""
        return self.given is Given.CONSTANT

    def nodes(self) -> Iterator[Node]:
        """Yield the nodes among the operands."""
        return (a for a in self.args if isinstance(a, Node))

    def calls(self, *functions: Function) -> bool:
        """Whether it calls one of these ops."""
        return self.op is not None and any(self.op is function.op for function in functions)

    def attribute(self, name: str) -> Any:
        """Return an attribute, given or by default."""
        if name in self.attributes:
            return self.attributes[name]
        assert self.op is not None
        return self.op.defaults()[name]

    def memory(self) -> Memory:
        """Say where its result lies."""
        if self.op is None or self.op.memory is None:
            return Memory.MAY_ALIAS
        return self.op.memory if isinstance(self.op.memory, Memory) else self.op.memory(self)

    def copy_with(
        self, args: tuple[Argument, ...], attributes: dict[str, Any], shape: tuple[int, ...]
    ) -> Node:
        """Make the same call of other operands."""
        node = Node(self.op, args, attributes, shape, self.dtype)
        node.label = self.label
        return node


@dataclass
class Graph:
    """What a function computes: its inputs, and its outputs, which lead to all else.

    Attributes
    ----------
    inputs
        The arrays among the arguments of the function, in order.
    outputs
        The leaves of its result, then its gradients, if it closes over parameters: nodes, or
        plain Python values.
    name
        What the function is called.
    form
        The form of the result, with None in the place of each leaf.

    Examples
    --------
    >>> from autonn.compiler import trace
    >>> graph = trace(lambda x: np.exp(x) + 1, np.zeros(3))
    >>> [node.op.name for node in graph.calls()]
    ['exp', 'add']
    """

    inputs: list[Node]
    outputs: list[Argument]
    name: str = "f"
    form: Any = field(default=None)

    def nodes(self) -> list[Node]:
        """List all that the outputs need, in the order in which it was made."""
        return behind(self.outputs)

    def calls(self) -> list[Node]:
        """List the calls among them."""
        return [node for node in self.nodes() if node.given is None]

    def mermaid(self) -> str:
        """Return a picture of the graph as text, in Mermaid, which README files draw."""
        names = {node: f"n{k}" for k, node in enumerate(self.nodes())}
        lines = ["flowchart TD"]
        for node, name in names.items():
            what = (
                node.op.formula if node.op is not None else node.given and node.given.name.lower()
            )
            label = " ".join(filter(None, [node.label, str(what), str(node.shape)]))
            given = "([])" if node.op is None else "[]"
            lines.append(f"    {box(name, label, given)}")
            lines += [f"    {arrow(names[a], name)}" for a in node.nodes()]
        for k, output in enumerate(self.outputs):
            if isinstance(output, Node):
                lines += [f"    {box(f'r{k}', f'result {k}', '(())')}"]
                lines += [f"    {arrow(names[output], f'r{k}')}"]
        return "\n".join(lines)

    def __str__(self) -> str:
        names: dict[Node, str] = {}
        lines = [f"{self.name}:"]
        for node in self.nodes():
            names[node] = node.label or f"t{len(names)}"
            shown = (names[a] if isinstance(a, Node) else repr(a) for a in node.args)
            what = node.op.name if node.op else node.given.name.lower() if node.given else ""
            given = "" if node.op is None else f"({', '.join(shown)})"
            lines.append(f"  {names[node]} = {what}{given}  # {node.shape} {node.dtype}")
        returned = (names[a] if isinstance(a, Node) else repr(a) for a in self.outputs)
        return "\n".join([*lines, f"  return {', '.join(returned)}"])


def behind(results: Iterable[Any], known: Container[Node] = ()) -> list[Node]:
    """List the nodes that results need, in the order in which they were made.

    Those that are known are left out, and what they alone need.
    """
    found: dict[Node, None] = {}
    stack = [node for node in results if isinstance(node, Node)]
    while stack:
        node = stack.pop()
        if node not in found and node not in known:
            found[node] = None
            stack += node.nodes()
    return sorted(found, key=lambda node: node.serial)


def uses_of(outputs: Sequence[Any]) -> Counter[Node]:
    """Count how often each value is read or returned."""
    uses = Counter(a for node in behind(outputs) for a in node.nodes())
    uses.update(a for a in outputs if isinstance(a, Node))
    return uses


def remade(
    outputs: Sequence[Any], made: dict[Node, Node], before: Callable[[Node], None] | None = None
) -> list[Any]:
    """Make a graph again where `made` says what stands for some of its nodes.

    `before` is called with each of them before it is made, and may add to what is made.
    """
    for node in behind(outputs):
        if before is not None:
            before(node)
        if node in made:
            continue
        args = tuple(made.get(a, a) if isinstance(a, Node) else a for a in node.args)
        same = all(a is b for a, b in zip(args, node.args, strict=True))
        draws = node.op is not None and node.op.draws  # which keep their order
        keeps = node.given is not None or (same and not draws)
        made[node] = node if keeps else node.copy_with(args, node.attributes, node.shape)
    return [made[a] if isinstance(a, Node) else a for a in outputs]


def stand_in(node: Node) -> Array:
    """Make an array that has a node's shape and dtype, and takes no memory."""
    if node.is_constant:
        array: Array = node.value
        return array
    return np.broadcast_to(np.zeros((), node.dtype), node.shape)


def is_even(value: Any) -> bool:
    """Whether all rows have the same bits, so that one is as good as another."""
    rows = np.ascontiguousarray(value)
    width = rows.itemsize * math.prod(rows.shape[1:])
    raw = rows.reshape(-1).view(np.uint8).reshape(len(rows), width)
    return bool((raw == raw[:1]).all())


def difference(a: Graph, b: Graph) -> str:
    """Say what two graphs of one function compute differently; "" where they are the same."""
    before, after = a.nodes(), b.nodes()
    place_a = {node: k for k, node in enumerate(before)}
    place_b = {node: k for k, node in enumerate(after)}
    for x, y in zip(before, after, strict=False):
        if _described(x, place_a) != _described(y, place_b):
            where = f" at {x.place.shown}" if x.place else ""
            what = x.op.name if x.op is not None else "a value"
            return f"{what}{where}"
    ends = [[p.get(o, o) if isinstance(o, Node) else repr(o) for o in g.outputs]
            for g, p in ((a, place_a), (b, place_b))]  # fmt: skip
    return "" if len(before) == len(after) and ends[0] == ends[1] else "its result"


def _described(node: Node, places: dict[Node, int]) -> Any:
    """Describe a node so that the same one of another run is described alike."""
    if node.is_constant:
        return node.shape, node.dtype, node.value.tobytes()
    args = tuple(places.get(a, -1) if isinstance(a, Node) else repr(a) for a in node.args)
    named = tuple((k, _bits(v)) for k, v in node.attributes.items())
    thing: Any = id(node.value)
    if isinstance(node.value, np.ndarray):  # another view of the same numbers is as good
        thing = node.value.ctypes.data, node.value.strides
    return node.op, node.given, thing, node.shape, node.dtype, args, named


def _bits(value: Any) -> Any:
    if isinstance(value, Graph):  # of a loop
        return signature(value)
    if isinstance(value, tuple | list):
        return tuple(_bits(v) for v in value)
    return value.tobytes() if isinstance(value, np.ndarray) else repr(value)


def signature(graph: Graph) -> Any:
    """Describe what a graph computes of its inputs: another that does the same is described alike.

    >>> x, y = (Node(None, (), {}, (2,), np.dtype(float)) for _ in range(2))
    >>> signature(Graph([x], [x])) == signature(Graph([y], [y]))
    True
    """
    nodes = graph.nodes()
    places = {node: k for k, node in enumerate(nodes)}
    ends = tuple(places[a] if isinstance(a, Node) else repr(a) for a in graph.outputs)
    inputs = tuple(places.get(a, -1) for a in graph.inputs)
    return tuple(_described(node, places) for node in nodes), inputs, ends
