"""What a traced function computes, as a short list of calls: recorded, made simpler, named.

`compile` runs a function once on Tensors; the graph behind its results, forward and backward, is
read here into nodes. A node that was made before is not made again, what is constant is computed,
and what algebra can spare is spared while the nodes are made, so that one pass is enough; what no
result needs is never reached.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from autonn.engine import ops
from autonn.engine.tensor import OPS, Array, Op, Tensor, Trace, _leaf, _tracing

# Node, number, or another Python value that an op was given: an axis, a shape, a dtype.
Argument = Any


class Node:
    """One value of the program: a call of an op, or something given: see `Graph`.

    `given` is None for a call; "input" for an argument of the function, "owned" for one that may
    be overwritten, "live" for a Tensor that it closes over, "array" for an array that it read,
    "constant" for a value of the trace.
    """

    __slots__ = ("args", "dtype", "given", "label", "op", "serial", "shape", "static", "value")

    def __init__(
        self, op: Op | None, args: tuple[Argument, ...], static: dict[str, Any], value: Any,
        given: str | None = None,
    ) -> None:  # fmt: skip
        self.op, self.args, self.static, self.given = op, args, static, given
        self.value = value  # an example, from the trace
        self.shape: tuple[int, ...] = value.shape
        self.dtype: np.dtype[Any] = value.dtype
        self.serial = next(_serials)  # arguments are made before what is made of them
        self.label = ""  # what a person would call it, if anything

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    def nodes(self) -> Iterator[Node]:
        """Yield the nodes among the arguments."""
        return (a for a in self.args if isinstance(a, Node))

    def is_call(self, *names: str) -> bool:
        """Whether it calls one of the ops of these names."""
        return self.op is not None and self.op.name in names


_serials = itertools.count()

DOT = Op("dot", np.vdot, "z = sum x y", ())


class Graph:
    """Makes nodes, each once; simplifies while it does."""

    def __init__(self) -> None:
        self.made: dict[Any, Node] = {}
        self.opposites: dict[int, Node] = {}  # by the id of -x, the x
        self.private: set[int] = set()  # arrays, by their ids, that the graph alone holds
        self.given: dict[int, Node] = {}  # by the id of what was given, which the nodes keep alive

    def give(self, kind: str, thing: Any, value: Array) -> Node:
        """Make the node of an input, a live Tensor, an array or a constant."""
        if id(thing) not in self.given:
            node = Node(None, (thing,), {}, value, kind)
            self.given[id(thing)] = node
        return self.given[id(thing)]

    def constant(self, value: Any) -> Node:
        """Make the node of a constant, one for all that are equal."""
        array = np.asarray(value)
        key = ("constant", array.dtype, array.shape, array.tobytes())
        if key not in self.made:
            self.made[key] = Node(None, (array,), {}, array, "constant")
        return self.made[key]

    def call(self, name: str, *args: Argument, **static: Any) -> Argument:
        """Make a node for an op of the library, computing its example."""
        op = OPS[name]
        values = [a.value if isinstance(a, Node) else a for a in args]
        with np.errstate(all="ignore"):
            value = np.asarray(op.forward(*values, **static))
        return self.make(op, args, static, value)

    def dot(self, x: Node, y: Node) -> Node:
        """Make the sum of the products of all elements."""
        if x.shape != y.shape:
            x, y = self.call("reshape", x, (x.size,)), self.call("reshape", y, (y.size,))
        made: Node = self.make(DOT, (x, y), {}, np.asarray(np.vdot(x.value, y.value)))
        return made

    def make(self, op: Op, args: tuple[Argument, ...], static: dict[str, Any], value: Any) -> Any:
        """Make a node, or find the simpler one that stands for it."""
        nodes = [a for a in args if isinstance(a, Node)]
        if op.name != "random" and all(a.given == "constant" for a in nodes):
            return self.constant(value)
        args = _without_broadcast(op, args, value)
        rule = SIMPLER.get(op.name)
        simpler = rule(self, args, static, value) if rule is not None else None
        if simpler is not None:
            return simpler
        if op.name == "random":  # each draw is another
            return Node(op, args, static, value)
        key = (id(op), tuple(map(_key, args)), tuple((k, _key(v)) for k, v in static.items()))
        if key not in self.made:
            self.made[key] = Node(op, args, static, value)
        return self.made[key]


def _without_broadcast(op: Op, args: tuple[Argument, ...], value: Array) -> tuple[Any, ...]:
    """Leave a stretching out that the op does by itself; take a row of equal numbers as one."""
    if not isinstance(op.forward, np.ufunc) and op.name not in ("where", "over", "times"):
        return args
    for k, a in enumerate(args):
        narrow = _narrower(a)
        if narrow is not a:
            spared = (*args[:k], narrow, *args[k + 1 :])
            shapes = (b.shape if isinstance(b, Node) else np.shape(b) for b in spared)
            if np.broadcast_shapes(*shapes) == value.shape:
                args = spared
    return tuple(_immediate(a, value.dtype, op) for a in args)


def _narrower(a: Argument) -> Argument:
    if isinstance(a, Node) and a.is_call("broadcast_to"):
        return a.args[0]
    if isinstance(a, Node) and a.given == "constant" and a.value.ndim and a.size:
        first = a.value.flat[0]
        if (a.value == first).all():
            return Node(None, (np.array(first),), {}, np.array(first), "constant")
    return a


def _key(a: Argument) -> Any:
    """Tell arguments apart: nodes by identity, values by what they look like, 1 from 1.0."""
    if isinstance(a, Node | ndarray | np.random.Generator):
        return id(a)
    if isinstance(a, tuple | list):
        return type(a), tuple(map(_key, a))
    return type(a), repr(a)


def _immediate(a: Argument, dtype: np.dtype[Any], op: Op) -> Argument:
    """Take a constant of one element as a Python number, where that gives the same result."""
    if (
        isinstance(a, Node)
        and a.given == "constant"
        and a.shape == ()
        and isinstance(op.forward, np.ufunc)
        and (a.dtype == dtype or dtype.kind == "b")
        and a.dtype.kind in "fi"
    ):
        return a.value.item()
    return a


# ---- reading a trace


def read(
    outputs: Sequence[Any], inputs: Sequence[Tensor], start: int, names: dict[int, str]
) -> tuple[list[Any], dict[int, Node]]:
    """Read the graph behind the outputs of a traced function.

    Tensors from before `start` are live: their data are read at each call. `names` says by index
    what tensors are called. Returns the node (or plain value) of each output, and which tensor,
    by index, became which node.
    """
    graph = Graph()
    nodes: dict[int, Any] = {}
    for tensor in inputs:
        nodes[tensor._index] = graph.give("input", tensor, tensor._data)
    tensors = _oldest_first(outputs, nodes)
    graph.private = _private(tensors, start)
    for index in names.keys() & nodes.keys():
        nodes[index].label = names[index]
    for tensor in tensors:
        node = _node(graph, tensor, nodes, start)
        nodes[tensor._index] = node
        if isinstance(node, Node) and not node.label:
            node.label = names.get(tensor._index) or _layer_label(tensor, nodes)
    results = [nodes[t._index] if isinstance(t, Tensor) else _returned(graph, t) for t in outputs]
    return results, nodes


def _layer_label(tensor: Tensor, nodes: dict[int, Any]) -> str:
    """Call ``x W' + b`` z, and what an activation makes of it a, with the number of its layer."""
    if tensor._origin is None:
        return ""
    op, args = tensor._origin[:2]
    labels = [getattr(nodes.get(a._index), "label", "") for a in args if isinstance(a, Tensor)]
    if op.name == "affine":
        return next(("z" + label[6:] for label in labels if label.startswith("weight_")), "")
    if len(labels) == len(args) == 1 and labels[0].startswith("z_"):
        return "a" + labels[0][1:]
    return ""


def _returned(graph: Graph, a: Any) -> Argument:
    """Take what a function returned that is not a Tensor: arrays are read at each call."""
    if isinstance(a, np.generic):
        return graph.constant(a)
    return graph.give("array", a, a) if isinstance(a, ndarray) else a


def behind(results: Iterable[Any], known: Container[int] = ()) -> list[Node]:
    """List the nodes that results need, in the order in which they were made.

    Those whose serials are known are left out, and what they alone need.
    """
    found: dict[int, Node] = {}
    stack = [node for node in results if isinstance(node, Node)]
    while stack:
        node = stack.pop()
        if node.serial not in found and node.serial not in known:
            found[node.serial] = node
            stack += node.nodes()
    return [found[serial] for serial in sorted(found)]


def _oldest_first(outputs: Sequence[Any], known: dict[int, Any]) -> list[Tensor]:
    found: dict[int, Tensor] = {}
    stack = [t for t in outputs if isinstance(t, Tensor)]
    while stack:
        tensor = stack.pop()
        if tensor._index not in found and tensor._index not in known:
            found[tensor._index] = tensor
            args = tensor._origin[1] if tensor._origin else None
            stack += [a for a in args or () if isinstance(a, Tensor)]
    return [found[index] for index in sorted(found)]


def _node(graph: Graph, tensor: Tensor, nodes: dict[int, Any], start: int) -> Any:
    if tensor._index < start:
        return graph.give("live", tensor, tensor._data)
    if tensor._origin is None:
        return graph.constant(tensor._data)
    op, given, _, static, _ = tensor._origin
    args = tuple(
        nodes[a._index] if isinstance(a, Tensor) else _outside(graph, a, op) for a in given
    )
    return convert(graph, op, args, static, tensor._data)


def _outside(graph: Graph, a: Any, op: Op) -> Argument:
    """Take what an op was given beside Tensors.

    An array of the user's is read where it stands, at each call; one that the graph alone holds,
    as a derivative rule makes them, nobody can change. An index was copied when it was given.
    """
    if isinstance(a, np.generic):
        return graph.constant(a)
    if not isinstance(a, ndarray):
        return a
    if op.name in ("getitem", "put", "gather", "scatter") or id(a) in graph.private:
        return graph.constant(a)
    return graph.give("array", a, a)


def _private(tensors: Sequence[Tensor], start: int) -> set[int]:
    """Find the arrays, by id, that nobody but these tensors holds, and so nobody can change.

    CPython counts the references: one for each time that an op was given the array, one for each
    view of it, and as many as a new array has that only stands in the list.
    """
    found: list[list[Any]] = [[np.zeros(1), 0]]
    place: dict[int, int] = {}

    def hold(array: Any) -> None:  # a loop: a function that knows itself outlives its call
        is_new = True
        while is_new and isinstance(array, ndarray):
            is_new = id(array) not in place
            if is_new:
                place[id(array)] = len(found)
                found.append([array, 0])
            found[place[id(array)]][1] += 1
            array = array.base

    def hold_all() -> None:  # a function, whose variables are gone when the counting begins
        for tensor in tensors:
            if tensor._index >= start and tensor._origin is not None:
                for a in (*tensor._origin[1], *tensor._origin[2]):
                    if isinstance(a, ndarray):
                        hold(a)

    hold_all()
    others = [sys.getrefcount(array) - count for array, count in found]
    alone = {key for key, k in place.items() if others[k] == others[0]}
    bases = {key: found[k][0].base for key, k in place.items()}
    return {key for key in alone if bases[key] is None or id(bases[key]) in alone}


def convert(
    graph: Graph, op: Op, args: tuple[Argument, ...], static: dict[str, Any], value: Array
) -> Argument:
    """Make the node of an op, or the nodes of the ops that its forward is made of."""
    lower = LOWER.get(op.name) or (op.forward if op.composite else None)
    if op is OPS["sigmoid"] and id(args[0]) in graph.opposites:
        args, lower = (graph.opposites[id(args[0])],), _opposite_sigmoid
    if lower is None:
        made = graph.make(op, args, static, value)
        if op is OPS["negative"] and isinstance(made, Node):
            graph.opposites[id(made)] = args[0]
        return made
    tensors = [_leaf(a.value) if isinstance(a, Node) else a for a in args]
    token = _tracing.set(Trace())
    try:
        with np.errstate(all="ignore"):
            result = lower(*tensors, **static)
    finally:
        _tracing.reset(token)
    nodes = {t._index: a for t, a in zip(tensors, args, strict=True) if isinstance(t, Tensor)}
    for tensor in _oldest_first([result], nodes):
        nodes[tensor._index] = _node(
            graph, tensor, nodes, start=0
        )  # the arguments are all it reads
    return nodes[result._index] if isinstance(result, Tensor) else graph.constant(result)


def _exponential(x: Any) -> Any:
    """Compute e^x, held where it would overflow: there s(x) is 1 to all digits."""
    return np.exp(np.minimum(x, 88.0 if x.dtype == np.float32 else 709.0))


def _sigmoid(x: Any) -> Any:
    """Use ``e^x / (1 + e^x)``."""
    e = _exponential(x)
    return e / (1 + e)


def _opposite_sigmoid(x: Any) -> Any:
    """Use ``s(-x) = 1 / (1 + e^x)``, of which s(x) has all but the quotient."""
    return 1 / (1 + _exponential(x))


def _times_slope(g: Any, x: Any) -> Any:
    """Use ``s'(x) = s(x) / (1 + e^x)``."""
    return g * (_sigmoid(x) / (1 + _exponential(x)))


def _mean(x: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    total = np.sum(x, axis=axis, keepdims=keepdims)
    return total / (x.size / max(1, total.size))


# How compile writes ops whose forward looks at the values, or has no simpler parts to share.
LOWER: dict[str, Callable[..., Any]] = {
    "sigmoid": _sigmoid,
    "times_slope": _times_slope,
    "log_sigmoid": lambda x: -ops.softplus(-x),
    "mean": _mean,
    "softmax": lambda x, axis=-1: ops._softmax_forward(x, axis),
    "log_softmax": lambda x, axis=-1: ops._log_softmax_forward(x, axis),
    "logsumexp": lambda x, axis=None, *, keepdims=False: ops._logsumexp_forward(x, axis, keepdims),
    "sum_of_squares": lambda *xs, factor=1.0: factor * sum(np.sum(np.square(x)) for x in xs),
    "sum_to": lambda x, shape: _summed_to(x, shape),
    "expand_dims": lambda x, axis: np.reshape(x, np.expand_dims(_blank(x), axis).shape),
    "squeeze": lambda x, axis=None: np.reshape(x, np.squeeze(_blank(x), axis).shape),
    "swapaxes": lambda x, axis1, axis2: np.transpose(x, _order(np.swapaxes, x, axis1, axis2)),
    "moveaxis": lambda x, source, destination: np.transpose(
        x, _order(np.moveaxis, x, source, destination)
    ),
}


def _blank(x: Any) -> Array:
    """Make an array of x's shape that takes no memory, to ask NumPy about shapes."""
    return np.broadcast_to(np.zeros(()), x.shape)


def _order(function: Callable[..., Array], x: Any, *args: Any) -> tuple[int, ...]:
    """Tell which axis comes where when axes are exchanged: by their steps in memory."""
    labelled = np.lib.stride_tricks.as_strided(np.zeros(1), x.shape, tuple(range(x.ndim)))
    return tuple(function(labelled, *args).strides)


def _summed_to(x: Any, shape: tuple[int, ...]) -> Any:
    lead = x.ndim - len(shape)
    stretched = (lead + i for i, n in enumerate(shape) if n == 1 and x.shape[lead + i] != 1)
    return np.reshape(np.sum(x, axis=(*range(lead), *stretched)), shape)


# ---- simpler forms, by the op that is about to be made

Simpler = Callable[[Graph, tuple[Any, ...], dict[str, Any], Array], Any]


def _is_number(a: Argument) -> bool:
    return isinstance(a, int | float) and not isinstance(a, bool)


def _is(a: Argument, number: float) -> bool:
    return _is_number(a) and a == number


def _same(a: Argument, value: Array) -> bool:
    """Whether an argument has the form of the result, so that it can stand for it."""
    return isinstance(a, Node) and a.shape == value.shape and a.dtype == value.dtype


def _calls(a: Argument, *names: str) -> bool:
    return isinstance(a, Node) and a.is_call(*names)


def _scaled(a: Argument) -> bool:
    """Whether it is ``x c`` with a number c."""
    return _calls(a, "multiply") and _is_number(a.args[1])


def _multiply(graph: Graph, args: tuple[Any, ...], static: Any, value: Array) -> Any:
    x, y = args
    if _is_number(x):
        return graph.call("multiply", y, x)
    if _is(y, 1) and _same(x, value):
        return x
    if _is(y, -1) and _same(x, value):
        return graph.call("negative", x)
    if _is_number(y) and _scaled(x):
        return graph.call("multiply", x.args[0], x.args[1] * y)
    if _is_number(y) and _calls(x, "negative"):
        return graph.call("multiply", x.args[0], -y)
    if x is y:
        return graph.call("square", x)
    if _calls(x, "negative"):
        return graph.call("negative", graph.call("multiply", x.args[0], y))
    if _calls(y, "negative"):
        return graph.call("negative", graph.call("multiply", x, y.args[0]))
    return None


def _divide(graph: Graph, args: tuple[Any, ...], static: Any, value: Array) -> Any:
    x, y = args
    if not _is_number(y):
        return None
    if y == 1 and _same(x, value):
        return x
    if y and math.frexp(y)[0] in (0.5, -0.5) and abs(y) < 1e30:  # then 1 / y is exact
        return graph.call("multiply", x, 1 / y)
    if y and _scaled(x):
        return graph.call("multiply", x.args[0], x.args[1] / y)
    return None


def _add(graph: Graph, args: tuple[Any, ...], static: Any, value: Array) -> Any:
    x, y = args
    if _is_number(x):
        return graph.call("add", y, x)
    if _is(y, 0) and _same(x, value):
        return x
    if x is y:
        return graph.call("multiply", x, 2)
    if _calls(y, "negative"):
        return graph.call("subtract", x, y.args[0])
    if _calls(x, "negative"):
        return graph.call("subtract", y, x.args[0])
    return None


def _subtract(graph: Graph, args: tuple[Any, ...], static: Any, value: Array) -> Any:
    x, y = args
    if _is(y, 0) and _same(x, value):
        return x
    if _is(x, 0) and _same(y, value):
        return graph.call("negative", y)
    if _calls(y, "negative"):
        return graph.call("add", x, y.args[0])
    return None


def _negative(graph: Graph, args: tuple[Any, ...], static: Any, value: Array) -> Any:
    (x,) = args
    if _calls(x, "negative"):
        return x.args[0]
    if _calls(x, "subtract"):
        return graph.call("subtract", x.args[1], x.args[0])
    if _scaled(x):
        return graph.call("multiply", x.args[0], -x.args[1])
    return None


def _sign(graph: Graph, args: tuple[Any, ...], static: Any, value: Array) -> Any:
    """Ask whether a rectified x is 0: its sign is 0 or 1, and a comparison takes a fifth of it."""
    (x,) = args
    if _calls(x, "maximum") and _is(x.args[1], 0):
        return graph.call("not_equal", x, 0.0)
    return None


def _itself(graph: Graph, args: tuple[Any, ...], static: Any, value: Array) -> Any:
    return args[0] if _same(args[0], value) else None


def _power(graph: Graph, args: tuple[Any, ...], static: Any, value: Array) -> Any:
    if _is(args[1], 2) and _same(args[0], value):
        return graph.call("square", args[0])
    return args[0] if _is(args[1], 1) and _same(args[0], value) else None


def _over(graph: Graph, args: tuple[Any, ...], static: Any, value: Array) -> Any:
    """Divide plainly where neither the numerator nor the denominator can be 0."""
    g, d = args
    safe = any(_is_number(a) and a != 0 for a in (g, d))
    return graph.call("divide", g, d) if safe else None


def _times(graph: Graph, args: tuple[Any, ...], static: Any, value: Array) -> Any:
    safe = any(_is_number(a) and math.isfinite(a) for a in args)
    return graph.call("multiply", *args) if safe and 0 not in args else None


def _reshape(graph: Graph, args: tuple[Any, ...], static: Any, value: Array) -> Any:
    x = args[0]
    if _same(x, value):
        return x
    if _calls(x, "reshape"):
        return graph.call("reshape", x.args[0], value.shape)
    return None if args[1:] == (value.shape,) else graph.call("reshape", x, value.shape)


def _transpose(graph: Graph, args: tuple[Any, ...], static: dict[str, Any], value: Array) -> Any:
    x, n = args[0], value.ndim
    axes = static.get("axes", args[1] if len(args) > 1 else None)
    axes = tuple(range(n))[::-1] if axes is None else tuple(a % n for a in axes)
    if _calls(x, "transpose"):
        x, axes = x.args[0], tuple(x.static["axes"][a] for a in axes)
    if axes == tuple(range(n)):
        return x
    return None if (x, axes) == (args[0], static.get("axes")) and len(args) == 1 else (
        graph.call("transpose", x, axes=axes)
    )  # fmt: skip


def _broadcast_to(graph: Graph, args: tuple[Any, ...], static: Any, value: Array) -> Any:
    x = args[0]
    if _same(x, value):
        return x
    return graph.call("broadcast_to", x.args[0], value.shape) if _calls(x, "broadcast_to") else None


def _sum(graph: Graph, args: tuple[Any, ...], static: dict[str, Any], value: Array) -> Any:
    x = args[0]
    axis = static.get("axis", args[1] if len(args) > 1 else None)
    keepdims = bool(static.get("keepdims", False))
    axes = ops._axes(axis, x.ndim)
    if not axes:
        return x
    full = len(axes) == x.ndim and value.shape == ()
    if full and _calls(x, "broadcast_to") and x.args[0].shape == ():
        return graph.call("multiply", x.args[0], float(x.size))
    if full and _calls(x, "multiply", "divide") and _is_number(x.args[1]):
        return graph.call(x.op.name, graph.call("sum", x.args[0]), x.args[1])
    if full and _calls(x, "negative"):
        return graph.call("negative", graph.call("sum", x.args[0]))
    if full and _calls(x, "square"):
        return graph.dot(x.args[0], x.args[0])
    if full and _calls(x, "multiply") and all(_same(a, x.value) for a in x.args):
        return graph.dot(*x.args)
    spelled = {"axis": axes, "keepdims": keepdims}
    return None if len(args) == 1 and static == spelled else graph.call("sum", x, **spelled)


def _matmul(graph: Graph, args: tuple[Any, ...], static: Any, value: Array) -> Any:
    x, y = args
    if isinstance(x, Node) and isinstance(y, Node) and x.ndim == y.ndim == 1:
        return graph.dot(_flat(x), _flat(y))
    return None


def _flat(x: Node) -> Node:
    """Undo a ravel: the sum of products does not depend on the shape."""
    return x.args[0] if x.is_call("reshape") and isinstance(x.args[0], Node) else x


def _where(graph: Graph, args: tuple[Any, ...], static: Any, value: Array) -> Any:
    return args[1] if args[1] is args[2] and _same(args[1], value) else None


SIMPLER: dict[str, Simpler] = {
    "multiply": _multiply,
    "divide": _divide,
    "add": _add,
    "subtract": _subtract,
    "negative": _negative,
    "sign": _sign,
    "positive": _itself,
    "stop_gradient": _itself,
    "cast": _itself,
    "power": _power,
    "over": _over,
    "times": _times,
    "reshape": _reshape,
    "transpose": _transpose,
    "broadcast_to": _broadcast_to,
    "sum": _sum,
    "matmul": _matmul,
    "where": _where,
}
