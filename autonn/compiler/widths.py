"""How wide the numbers among the arguments are: as Python's own, which narrow beside float32.

A number that changes is an array to a program. Beside float32 it is to be float32, as Python's
number would become; alone, or beside whole numbers, it is float64, as Python's number is. A trace
can't know what it will meet: it takes the number as float32, and what met no float32 is widened in
the graph that was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from autonn.compiler.graph import Argument, Graph, Node, behind, stand_in
from autonn.engine import ops

__all__ = ["narrowed", "widened"]

_NARROW, _WIDE = np.dtype(np.float32), np.dtype(np.float64)


def narrowed(given: Sequence[Any], leaves: Sequence[Any]) -> list[Any]:
    """Return the leaves with the numbers as float32, where the arrays among them are.

    `given` are the leaves as the caller gave them, where numbers are still Python's own.
    """
    dtypes = {getattr(a, "dtype", None) for a in given}
    if _NARROW not in dtypes or _WIDE in dtypes:
        return list(leaves)
    with np.errstate(over="ignore"):  # the trace looks at no values
        return [
            np.asarray(leaf, _NARROW) if type(a) is float and isinstance(leaf, ndarray) else leaf
            for a, leaf in zip(given, leaves, strict=True)
        ]


def widened(graph: Graph, traced: Sequence[Any], leaves: Sequence[Any]) -> Graph:
    """Return the graph for the leaves as they are, where some were narrowed to be traced.

    >>> from autonn.compiler.trace import trace
    >>> narrow, wide = np.float32(0.1), np.float64(0.1)
    >>> graph = trace(lambda a: a * 3, np.asarray(narrow))
    >>> print(widened(graph, [np.asarray(narrow)], [np.asarray(wide)]))
    <lambda>:
      a = input  # () float64
      t1 = multiply(a, 3)  # () float64
      return t1
    """
    arrays = [(a, b) for a, b in zip(traced, leaves, strict=True) if isinstance(b, ndarray)]
    wide: dict[Node, Node] = {}  # of each number, and of what was made of numbers alone
    for node, (before, now) in zip(graph.inputs, arrays, strict=True):
        if before.dtype != now.dtype:
            assert node.given is not None
            wide[node] = Node.of(node.given, node.value, now, node.label)
    if not wide:
        return graph
    made: dict[Node, Node] = {}
    for node in behind(graph.outputs):
        made[node] = _again(node, made, wide)
    inputs = [wide.get(node, made.get(node, node)) for node in graph.inputs]
    outputs = [wide.get(a, made[a]) if isinstance(a, Node) else a for a in graph.outputs]
    return Graph(inputs, outputs, graph.name, graph.form)


def _again(node: Node, made: dict[Node, Node], wide: dict[Node, Node]) -> Node:
    """Make a node again, of wide numbers where nothing narrow stands beside them."""
    nodes = list(node.nodes())
    if not nodes:
        return node
    beside = [a for a in nodes if a not in wide]
    narrow = any(a.dtype == _NARROW for a in beside)

    def operand(a: Argument) -> Argument:
        if not isinstance(a, Node):
            return a
        if a not in wide:
            return made[a]
        number = wide[a]
        attributes = {"dtype": _NARROW}
        return Node(ops.cast.op, (number,), attributes, a.shape, _NARROW) if narrow else number

    args = tuple(operand(a) for a in node.args)
    if args == node.args:
        return node
    copy = Node(node.op, args, node.attributes, node.shape, node.dtype)
    copy.label, copy.place = node.label, node.place
    if len(beside) < len(nodes) and not narrow:
        copy.dtype = _dtype_of(copy)
        if not beside and copy.dtype == _WIDE:
            wide[node] = copy
    return copy


def _dtype_of(node: Node) -> np.dtype[Any]:
    """Find what a call gives of its operands as they are now."""
    assert node.op is not None
    values = [stand_in(a) if isinstance(a, Node) else a for a in node.args]
    with np.errstate(all="ignore"):
        return np.asarray(node.op.forward(*values, **node.attributes)).dtype
