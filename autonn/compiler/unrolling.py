"""A graph without loops, for who writes one down in a language that has none."""

from __future__ import annotations

from typing import Any

from autonn.compiler.graph import Argument, Graph, Node, behind
from autonn.compiler.loops import Body
from autonn.engine import ops
from autonn.engine.looping import PICK, SCAN, Key
from autonn.engine.ops.joining import concatenate_op

__all__ = ["unrolled"]


def unrolled(graph: Graph) -> Graph:
    """Return a graph that computes the same, each loop written out step by step.

    >>> import numpy as np
    >>> from autonn.compiler.trace import trace
    >>> from autonn.engine.scanning import scan
    >>> print(unrolled(trace(lambda x: scan(lambda c, x: (c + x, None), 0.0, x)[0], np.ones(2))))
    <lambda>:
      x = input  # (2,) float64
      t1 = constant  # () float64
      t2 = getitem(x)  # () float64
      t3 = add(t1, t2)  # () float64
      t4 = getitem(x)  # () float64
      t5 = add(t3, t4)  # () float64
      return t5
    """
    made: dict[Any, Argument] = {}
    _write(behind(graph.outputs), made)
    outputs = [made[a] if isinstance(a, Node) else a for a in graph.outputs]
    return Graph(graph.inputs, outputs, graph.name, graph.form)


def _write(nodes: list[Node], made: dict[Any, Argument]) -> None:
    """Make nodes again, of operands that are made; results of loops are made by their names."""
    for node in nodes:
        args = tuple(made[a] if isinstance(a, Node) else a for a in node.args)
        if node.op is SCAN:
            made[node] = node
            _write_loop(node, args, made)
        elif node.op is PICK:
            made[node] = made[_place(node.args[0], node.attributes["key"])]
        elif node.given is not None or all(a is b for a, b in zip(args, node.args, strict=True)):
            made[node] = node
        else:
            made[node] = copy = node.copy_with(args, node.attributes, node.shape)
            copy.place = node.place


def _write_loop(node: Node, args: tuple[Argument, ...], made: dict[Any, Argument]) -> None:
    """Write all steps of a loop, and note its results."""
    body: Body = node.attributes["body"]
    n, first = body.carries, body.carries + body.slices
    carries, found = list(args[:n]), {}
    order = range(body.steps)
    for t in reversed(order) if body.reverse else order:
        rows = [_call(ops.getitem.op, (a,), {"key": t}, a.shape[1:]) for a in args[n:first]]
        known: dict[Any, Argument]
        known = dict(zip(body.inputs, [*carries, *rows, *args[first:]], strict=True))
        _write([a for a in behind(body.outputs) if a not in known], known)
        found[t] = [known[a] for a in body.outputs]
        carries = found[t][:n]
    for key in body.results():
        each = [found[t][body.place(key)] for t in order]
        joined = {"stack": _stacked, "total": _summed}.get(key[0])
        made[_place(node, key)] = carries[key[1]] if joined is None else joined(each)


def _place(loop: Node, key: Key) -> Any:
    """Name a result of a loop among the nodes that are made."""
    return loop, key


def _call(op: Any, args: tuple[Any, ...], attributes: dict[str, Any], shape: Any) -> Node:
    return Node(op, args, attributes, tuple(shape), args[0].dtype)


def _stacked(each: list[Any]) -> Argument:
    shape = (1, *each[0].shape)
    rows = tuple(_call(ops.reshape.op, (a,), {"shape": shape}, shape) for a in each)
    whole = (len(each), *each[0].shape)
    return _call(concatenate_op, rows, {"axis": 0}, whole)


def _summed(each: list[Any]) -> Argument:
    total, *others = each
    for other in others:
        total = _call(ops.add.op, (total, other), {}, total.shape)
    return total
