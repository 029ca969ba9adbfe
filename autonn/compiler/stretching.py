"""A graph of any number of rows, told from those of few: for rows that no one can hold at once.

What differs between graphs of one function for other numbers of rows follows from that number: a
length is ``a m + b``, a number that a sum was divided by is m, and one that it was scaled by
``a / m``. Two of the graphs tell a and b; the others have to be what these say, bit for bit. Then
the graph of m rows is written down without m rows being there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from autonn.compiler.graph import Argument, Given, Graph, Node, is_even
from autonn.compiler.simplify import simplify
from autonn.engine.modes import CannotCompileError

__all__ = ["SIZES", "Stretchable", "stretchable"]

Law = Callable[[int], Any]  # what a value is, for so many rows

# Of so many rows a function is traced. Ops do otherwise with up to 1,000 numbers than with more;
# and they are primes, none a usual number of units, so that a length is hardly a coincidence.
SIZES = 1009, 1013, 1511

# Of so many rows it is simplified: 0.3 / m and 0.3 (1 / m) have the same bits for two of three m.
MORE = 1019, 1021, 1031, 1033, 1039


def stretchable(trace: Callable[[int], Graph]) -> Stretchable:
    """Return the simplified graph of a function for any number of rows.

    Parameters
    ----------
    trace
        Gives the graph of so many rows, as it was traced. It is asked for `SIZES`, and what it
        gives is not run again: the graphs of other sizes follow.

    Raises
    ------
    CannotCompileError
        Where it is another function for other numbers of rows; it names the op and the line.
    """
    traced = Stretchable([trace(m) for m in SIZES], SIZES)
    sizes = (*SIZES, *MORE)
    return Stretchable([simplify(traced.graph(m)) for m in sizes], sizes)


class Stretchable:
    """What graphs of some numbers of rows have in common, to be written down for any other.

    Parameters
    ----------
    graphs, sizes
        Three or more graphs of one function, and how many rows each is of.

    Raises
    ------
    CannotCompileError
        Where they do not do the same, or a number in them follows from that of the rows in no
        simple way; it names the op and the line.

    Examples
    --------
    >>> from autonn.compiler.simplify import simplify
    >>> from autonn.compiler.trace import trace
    >>> graphs = [simplify(trace(lambda x: np.mean(np.exp(x)), np.ones(m))) for m in (7, 11, 13)]
    >>> print(Stretchable(graphs, (7, 11, 13)).graph(10**9))
    <lambda>:
      x = input  # (1000000000,) float64
      t1 = exp(x)  # (1000000000,) float64
      t2 = sum(t1)  # () float64
      t3 = divide(t2, 1000000000.0)  # () float64
      return t3
    """

    def __init__(self, graphs: Sequence[Graph], sizes: Sequence[int]) -> None:
        self.graphs, self.sizes = tuple(graphs), tuple(sizes)
        columns = [graph.nodes() for graph in graphs]
        if len({len(column) for column in columns}) > 1:
            raise _refusal(None, "computes in another number of steps")
        inputs = zip(*(graph.inputs for graph in graphs), strict=True)
        self.rows = dict.fromkeys(inputs) | dict.fromkeys(zip(*columns, strict=True))
        self.place = {row[0]: row for row in self.rows}
        m = self.sizes[0]
        self.widths = sorted({row[0].size // m for row in self.rows if m in row[0].shape} - {1})
        for row in self.rows:
            self._require_alike(row)

    def graph(self, m: int) -> Graph:
        """Write down the graph of m rows; it takes as much memory as one of few rows.

        Only constants that have a row for each of the m are made as long.
        """
        made: dict[Node, Node] = {}
        for row in sorted(self.rows, key=lambda row: row[0].serial):
            made[row[0]] = self._node(row, m, made)
        first = self.graphs[0]
        ends = zip(*(graph.outputs for graph in self.graphs), strict=True)
        outputs = [made[a[0]] if isinstance(a[0], Node) else self.value(a, m, None) for a in ends]
        return Graph([made[node] for node in first.inputs], outputs, first.name, first.form)

    # ---- one node

    def _require_alike(self, row: tuple[Node, ...]) -> None:
        """Refuse nodes that are something else with other numbers of rows."""
        first = row[0]
        for other in row[1:]:
            if (first.op, first.given, first.ndim, first.dtype, len(first.args)) != (
                other.op, other.given, other.ndim, other.dtype, len(other.args)
            ) or first.attributes.keys() != other.attributes.keys():  # fmt: skip
                raise _refusal(first, "is something else")
        self.value(tuple(node.shape for node in row), self.sizes[0], first)
        for operands in zip(*(node.args for node in row), strict=True):
            self._operand(operands, self.sizes[0], first)
        for name in first.attributes:
            self.value(tuple(node.attributes[name] for node in row), self.sizes[0], first)

    def _operand(self, operands: tuple[Argument, ...], m: int, node: Node) -> Argument:
        """Return an operand for m rows: the first of the nodes, or a value."""
        if not isinstance(operands[0], Node):
            return self.value(operands, m, node)
        if self.place[operands[0]] != operands:
            raise _refusal(node, "takes other operands")
        return operands[0]

    def _node(self, row: tuple[Node, ...], m: int, made: dict[Node, Node]) -> Node:
        first = row[0]
        shape = self.value(tuple(node.shape for node in row), m, first)
        if first.given is not None:
            return self._given(row, shape, m)
        parts = zip(*(node.args for node in row), strict=True)
        operands = [self._operand(part, m, first) for part in parts]
        args = tuple(made[a] if isinstance(a, Node) else a for a in operands)
        attributes = {
            name: self.value(tuple(node.attributes[name] for node in row), m, first)
            for name in first.attributes
        }
        node = first.copy_with(args, attributes, shape)
        node.place = first.place
        return node

    def _given(self, row: tuple[Node, ...], shape: tuple[int, ...], m: int) -> Node:
        first = row[0]
        if first.given is Given.INPUT:
            node = Node(None, (), {}, shape, first.dtype)
            node.given, node.label = first.given, first.label
            return node
        if not first.is_constant:
            if any(node.value is not first.value for node in row):
                raise _refusal(first, "reads another array")
            return first
        values = [node.value for node in row]
        if all(_same(values[0], value) for value in values[1:]):
            return first
        if shape == ():
            number = self.value(tuple(value.item() for value in values), m, first)
            return Node.constant(np.asarray(number, first.dtype))
        if shape[0] == first.shape[0] or not all(map(is_even, values)):
            raise _refusal(first, "has numbers that depend on the number of rows")
        return Node.constant(np.broadcast_to(values[0][:1], shape))

    def value(self, values: tuple[Any, ...], m: int, node: Node | None) -> Any:
        """Return what a value is for m rows, given what it is for each of the sizes."""
        first = values[0]
        if isinstance(first, tuple | list) and len({len(v) for v in values}) == 1:
            return type(first)(self.value(part, m, node) for part in zip(*values, strict=True))
        if isinstance(first, slice):
            ends = [(v.start, v.stop, v.step) for v in values]
            return slice(*self.value(tuple(ends), m, node))
        if all(_same(first, value) for value in values[1:]):
            return first
        law = self._law(values)
        if law is None:
            raise _refusal(node, "has a number that depends on that of the rows in no simple way")
        return law(m)

    def _law(self, values: tuple[Any, ...]) -> Law | None:
        """Return how numbers follow from those of the rows, if they do so simply."""
        first, kinds = values[0], {type(value) for value in values}
        if kinds == {int} or (kinds == {float} and all(v.is_integer() for v in values)):
            a, left = divmod(int(values[1]) - int(first), self.sizes[1] - self.sizes[0])
            b = int(first) - a * self.sizes[0]
            line: Law = lambda m: type(first)(a * m + b)  # noqa: E731
            if not left and self._is(values, line):
                return line
        found = _laws(first, self.sizes[0], self.widths) if kinds == {float} else ()
        return next((law for law in found if self._is(values, law)), None)

    def _is(self, values: tuple[Any, ...], law: Law) -> bool:
        """Whether a law gives the values that there are."""
        return all(law(size) == value for size, value in zip(self.sizes, values, strict=True))


def _same(a: Any, b: Any) -> bool:
    """Whether two values of a trace have the same bits; nodes are compared in their own place."""
    if isinstance(a, np.ndarray):
        same = isinstance(b, np.ndarray) and (a.shape, a.dtype) == (b.shape, b.dtype)
        return same and a.tobytes() == b.tobytes()
    return a is b or (type(a) is type(b) and repr(a) == repr(b))


# ---- values that follow from the number of rows


def _laws(first: float, size: int, widths: Iterable[int]) -> Iterator[Law]:
    """Yield what a number may be made of m by: ``a / (k m)``, of k numbers a row, however rounded.

    a is as somebody would write it, with few digits, or else what the number itself tells.
    """
    for k in (1, *widths):
        near = first * size * k
        written = [float(f"{near:.{digits}g}") for digits in (6, 12)]
        for a in (*written, near, math.nextafter(near, math.inf), math.nextafter(near, -math.inf)):
            for to in (float, _narrow):
                yield lambda m, a=a, k=k, to=to: to(a / (k * m))  # type: ignore[misc]
                yield lambda m, a=a, k=k, to=to: to(a * (1 / (k * m)))  # type: ignore[misc]


def _narrow(x: float) -> float:
    """Round as beside float32."""
    return float(np.float32(x))


def _refusal(node: Node | None, why: str) -> CannotCompileError:
    what = "it" if node is None or node.op is None else node.op.name
    where = f" at {node.place.shown}" if node is not None and node.place else ""
    return CannotCompileError(f"{what}{where} {why} with other numbers of rows")
