"""A shorter graph that computes the same: taken apart, each value made once, algebra spared.

What an op is made of is written in other ops (`Op.decompose`), so that a sigmoid and its slope
share an exponential. A node that was made before is not made again, what is constant is computed,
and what algebra can spare is spared while the nodes are made, so that one pass is enough.

The algebra is that of one floating dtype: for booleans, integers, float16, complex numbers and
mixtures NumPy's own steps stay as they were written. It never changes a result beyond rounding,
nor the sign of a zero, nor what overflows and what does not: each rule says why that is so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from autonn.compiler import loops, parts, products
from autonn.compiler.bounds import is_above_zero, is_bounded
from autonn.compiler.centred import without_centred
from autonn.compiler.graph import Argument, Graph, Node, behind, is_even, stand_in
from autonn.engine import ops
from autonn.engine.lineage import age_of, ancestors, attributes_of, op_of, operands_of, tensors_of
from autonn.engine.looping import PICK, SCAN
from autonn.engine.modes import Trace, tracing
from autonn.engine.op import OPS, STOP_GRADIENT, Function, Memory, Op, elementwise
from autonn.engine.op import is_elementwise_ufunc as is_plain_ufunc
from autonn.engine.ops.rowwise import spelled_axes
from autonn.engine.tensor import Tensor, leaf, record, values_of

__all__ = ["DOT", "simplify"]

# All elements of two arrays in pairs, added up: what sums of products and squares become.
DOT = Op(
    "dot", np.vdot, "z = sum x y", (None, None),
    rows=lambda call, axes: "sum" if all(axis == 0 for axis in axes) else None,
    memory=Memory.NEW, prints="np.vdot({0}, {1})",
)  # fmt: skip

_WHOLE = frozenset({np.dtype(np.float32), np.dtype(np.float64)})


def simplify(graph: Graph) -> Graph:
    """Return a graph that computes the same in fewer and simpler calls.

    >>> from autonn.compiler import trace
    >>> from autonn.compiler.trace import trace
    >>> print(simplify(trace(lambda x: np.sum(x * x * 1.0), np.ones(3))))
    <lambda>:
      x = input  # (3,) float64
      t1 = dot(x, x)  # () float64
      return t1
    """
    builder = _Builder()
    made: dict[Node, Argument] = {}
    for node in behind(graph.outputs):
        made[node] = builder.again(node, made)
    outputs = [made[a] if isinstance(a, Node) else a for a in graph.outputs]
    return Graph(graph.inputs, outputs, graph.name, graph.form)


class _Builder:
    """Makes nodes, each once; simplifies while it does."""

    def __init__(self) -> None:
        self.made: dict[Any, Node] = {}
        self.loops = loops.Loops()

    def again(self, node: Node, made: dict[Node, Argument]) -> Argument:
        """Make a node of another graph here, or what stands for it; what is given stays itself."""
        if node.is_constant:
            return self.constant(node.value, node.label)
        if node.given is not None or node.op is None:
            return node
        args = tuple(made[a] if isinstance(a, Node) else a for a in node.args)
        result = self.convert(node, args)
        if isinstance(result, Node):
            result.label = result.label or node.label
            result.place = result.place or node.place
        return result

    def constant(self, value: Any, label: str = "") -> Node:
        """Make the node of a constant, one for all that have the same bits."""
        array = np.asarray(value)
        key = ("constant", array.dtype, array.shape, array.tobytes())
        if key not in self.made:
            self.made[key] = Node.constant(array)
            self.made[key].label = label
        return self.made[key]

    def convert(self, node: Node, args: tuple[Argument, ...]) -> Argument:
        """Make a call, or the calls that it is made of, of these operands."""
        op = node.op
        assert op is not None
        if op is SCAN:
            return loops.again(self, node, args)
        if op.decompose is None or not _is_whole(node):
            return self.make(op, args, node.attributes, node.shape, node.dtype)
        known: dict[int, Argument] = {}
        operands = [self.lifted(a, known) for a in args]
        token = tracing.set(Trace())
        try:
            with np.errstate(all="ignore"):
                result = op.decompose(*operands, **node.attributes)
        finally:
            tracing.reset(token)
        if not isinstance(result, Tensor):
            return self.constant(result)
        for tensor in ancestors([result], tensors_of, known):
            known[age_of(tensor)] = self.read(tensor, known)
        return known[age_of(result)]

    def lifted(self, a: Argument, known: dict[int, Argument]) -> Any:
        """Make the Tensor that stands for an operand; it remembers the call that made it."""
        if not isinstance(a, Node):
            return a
        tensor = leaf(stand_in(a))
        known[age_of(tensor)] = a
        if a.op is not None:
            inputs = []
            for inner in a.args:
                if isinstance(inner, Node):
                    below = leaf(stand_in(inner))
                    known[age_of(below)] = inner
                    inner = below
                inputs.append(inner)
            record(tensor, a.op, tuple(inputs), tuple(map(values_of, inputs)), a.attributes)
        return tensor

    def read(self, tensor: Tensor, known: dict[int, Argument]) -> Argument:
        """Make the node of a Tensor of a decomposition."""
        op, values = op_of(tensor), values_of(tensor)
        if op is None:
            return self.constant(values)
        operands, attributes = op.bind(operands_of(tensor), attributes_of(tensor))
        args = tuple(
            known[age_of(a)] if isinstance(a, Tensor)
            else self.constant(a) if isinstance(a, ndarray | np.generic) else a
            for a in operands
        )  # fmt: skip
        node = Node(op, args, attributes, values.shape, values.dtype)
        return self.convert(node, args)

    def call(self, function: Function, *args: Argument, **attributes: Any) -> Argument:
        """Make a call of an op of the library, finding its shape and dtype."""
        values = [stand_in(a) if isinstance(a, Node) else a for a in args]
        with np.errstate(all="ignore"):
            shape, dtype = _outcome(function.op, values, attributes)
        return self.make(function.op, args, attributes, shape, dtype)

    def make(
        self,
        op: Op,
        args: tuple[Argument, ...],
        attributes: dict[str, Any],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
    ) -> Argument:
        """Make a node, or find the simpler one that stands for it."""
        nodes = [a for a in args if isinstance(a, Node)]
        if not op.draws and all(a.is_constant for a in nodes):
            values = [a.value if isinstance(a, Node) else a for a in args]
            with np.errstate(all="ignore"):
                return self.constant(op.forward(*values, **attributes))
        args = self.without_broadcast(op, args, shape, dtype)
        node = Node(op, args, attributes, shape, dtype)
        simpler = _simpler(self, node)
        if simpler is not None:
            return simpler
        if op.draws:  # each draw is another
            return node
        named = tuple((name, _key(value)) for name, value in attributes.items())
        return self.made.setdefault((op, tuple(map(_key, args)), named), node)

    def without_broadcast(
        self, op: Op, args: tuple[Argument, ...], shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> tuple[Argument, ...]:
        """Leave a stretching out that the op does by itself; take a row of equal numbers as one.

        Only what works element by element stretches its operands itself: no product of matrices.
        """
        plain = is_plain_ufunc(op.forward)
        if not (plain or (op.rows is elementwise and OPS.get(op.name) is op)):
            return args
        for k, a in enumerate(args):
            narrow = self.narrower(a)
            if narrow is not a:
                spared = (*args[:k], narrow, *args[k + 1 :])
                shapes = (b.shape if isinstance(b, Node) else np.shape(b) for b in spared)
                if np.broadcast_shapes(*shapes) == shape:
                    args = spared
        return tuple(_immediate(a, args, dtype) for a in args) if plain else args

    def narrower(self, a: Argument) -> Argument:
        """Return what an operand was stretched from."""
        if not isinstance(a, Node):
            return a
        if a.calls(ops.broadcast_to):
            return a.args[0]
        if a.is_constant and a.ndim and a.size and is_even(a.value.reshape(-1)):
            return self.constant(a.value.flat[0])
        return a


def _simpler(builder: _Builder, node: Node) -> Argument | None:
    op = node.op
    rule = _OF_SHAPES.get(op)
    if rule is None and _is_whole(node):
        rule = _OF_FLOATS.get(op)
    return None if rule is None else rule(builder, node)


def _is_whole(node: Node) -> bool:
    """Whether it computes in one floating dtype, float32 or float64, throughout."""
    return node.dtype in _WHOLE and all(a.dtype == node.dtype for a in node.nodes())


def _outcome(
    op: Op, values: list[Any], attributes: dict[str, Any]
) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Find shape and dtype of a call; of an element-wise ufunc on one number of each array."""
    if not is_plain_ufunc(op.forward):
        result = np.asarray(op.forward(*values, **attributes))
        return result.shape, result.dtype
    ones = [np.zeros((1,) * v.ndim, v.dtype) if isinstance(v, ndarray) else v for v in values]
    dtype = np.asarray(op.forward(*ones)).dtype
    return np.broadcast_shapes(*(np.shape(v) for v in values)), dtype


def _key(a: Argument) -> Any:
    """Tell arguments apart: nodes by identity, values by what they look like, 1 from 1.0."""
    if isinstance(a, Node):
        return a
    if isinstance(a, ndarray | np.random.Generator):
        return id(a)
    if isinstance(a, tuple | list):
        return type(a), tuple(map(_key, a))
    return type(a), repr(a)


# ---- stretching and constants


def _immediate(a: Argument, args: tuple[Argument, ...], dtype: np.dtype[Any]) -> Argument:
    """Take a constant of one number as Python's own, where that gives the same result.

    Python's numbers take the dtype of what stands beside them: so that has to be the constant's.
    """
    if not (isinstance(a, Node) and a.is_constant and a.shape == () and a.dtype in _WHOLE):
        return a
    others = [b for b in args if isinstance(b, Node) and b is not a]
    same = dtype in (a.dtype, np.dtype(bool)) and all(b.dtype == a.dtype for b in others)
    return a.value.item() if others and same else a


# ---- simpler forms, by the op that is about to be made

Simpler = Callable[[_Builder, Node], Argument | None]


def _is_number(a: Argument) -> bool:
    return isinstance(a, int | float) and not isinstance(a, bool)


def _is(a: Argument, number: float) -> bool:
    return _is_number(a) and a == number


def _same(a: Argument, node: Node) -> bool:
    """Whether an argument has the form of the result, so that it can stand for it."""
    return isinstance(a, Node) and a.shape == node.shape and a.dtype == node.dtype


def _calls(a: Argument, function: Function) -> bool:
    return isinstance(a, Node) and a.calls(function)


def _scaled(a: Argument) -> bool:
    """Whether it is ``x c`` with a number c."""
    return _calls(a, ops.multiply) and _is_number(a.args[1])


def _negated(a: float) -> float:
    """Return -a, which for a whole 0 is not 0 but -0.0."""
    return -a if a else math.copysign(0.0, -math.copysign(1.0, a))


def _merged(a: float, b: float) -> float | None:
    """Return a b where ``x a b`` and ``x (a b)`` overflow alike, and underflow alike.

    So they do where both factors are at least 1 in size, or both at most: the first product then
    lies between x and the last.
    """
    product = a * b
    both = (abs(a) >= 1 and abs(b) >= 1) or (0 < abs(a) <= 1 and 0 < abs(b) <= 1)
    return product if both and 1e-30 < abs(product) < 1e30 else None


def _multiply(builder: _Builder, node: Node) -> Argument | None:
    x, y = node.args
    if _is_number(x):
        return builder.call(ops.multiply, y, x)
    if _is(y, 1) and _same(x, node):
        return x
    if _is(y, -1) and _same(x, node):
        return builder.call(ops.negative, x)
    if _is_number(y) and _scaled(x):
        product = _merged(x.args[1], y)
        return None if product is None else builder.call(ops.multiply, x.args[0], product)
    if _is_number(y) and _calls(x, ops.negative):
        return builder.call(ops.multiply, x.args[0], _negated(y))
    if x is y:
        return builder.call(ops.square, x)
    if _calls(x, ops.negative):
        return builder.call(ops.negative, builder.call(ops.multiply, x.args[0], y))
    if _calls(y, ops.negative):
        return builder.call(ops.negative, builder.call(ops.multiply, x, y.args[0]))
    return None


def _divide(builder: _Builder, node: Node) -> Argument | None:
    x, y = node.args
    if not _is_number(y) or y == 0:
        return None
    if y == 1 and _same(x, node):
        return x
    if math.frexp(y)[0] in (0.5, -0.5) and 1e-30 < abs(y) < 1e30:  # then 1 / y is exact
        return builder.call(ops.multiply, x, 1 / y)
    if _scaled(x):
        product = _merged(x.args[1], 1 / y)
        return None if product is None else builder.call(ops.multiply, x.args[0], x.args[1] / y)
    return None


def _add(builder: _Builder, node: Node) -> Argument | None:
    """Spare no ``x + 0``: of x = -0.0 it is 0.0."""
    x, y = node.args
    if _is_number(x):
        return builder.call(ops.add, y, x)
    if x is y:
        return builder.call(ops.multiply, x, 2.0)
    if _calls(y, ops.negative):
        return builder.call(ops.subtract, x, y.args[0])
    if _calls(x, ops.negative):
        return builder.call(ops.subtract, y, x.args[0])
    return parts.joined(builder, node)


def _subtract(builder: _Builder, node: Node) -> Argument | None:
    """Spare no ``0 - x``: of x = 0.0 it is 0.0, and -x is -0.0."""
    x, y = node.args
    if _is(y, 0) and math.copysign(1, y) > 0 and _same(x, node):
        return x
    return builder.call(ops.add, x, y.args[0]) if _calls(y, ops.negative) else None


def _negative(builder: _Builder, node: Node) -> Argument | None:
    """Turn no ``-(a - b)`` around: of a = b it is -0.0."""
    (x,) = node.args
    if _calls(x, ops.negative):
        return x.args[0]
    return builder.call(ops.multiply, x.args[0], _negated(x.args[1])) if _scaled(x) else None


def _power(builder: _Builder, node: Node) -> Argument | None:
    x, y = node.args
    if _is(y, 2) and _same(x, node):
        return builder.call(ops.square, x)
    return x if _is(y, 1) and _same(x, node) else None


def _safe_divide(builder: _Builder, node: Node) -> Argument | None:
    """Divide plainly by what is above 0, which leaves a 0 its sign, and what is a number not 0."""
    g, d = node.args
    safe = is_above_zero(d, node.dtype) or (_is_number(g) and node.dtype.type(g) != 0)
    return builder.call(ops.divide, g, d) if safe else None


def _safe_multiply(builder: _Builder, node: Node) -> Argument | None:
    """Multiply plainly by what is above 0, which leaves a 0 its sign, and is not infinite."""
    safe = any(is_bounded(a, node.dtype) for a in node.args)
    return builder.call(ops.multiply, *node.args) if safe else None


def _sum(builder: _Builder, node: Node) -> Argument | None:
    """Sum products of all elements by one call; other sums by their axes, spelled out."""
    x = node.args[0]
    if len(spelled_axes(node.attribute("axis"), x.ndim)) == x.ndim and node.shape == ():
        if _calls(x, ops.broadcast_to) and x.args[0].shape == () and x.size:
            return builder.call(ops.multiply, x.args[0], float(x.size))
        if _calls(x, ops.square):
            return _dot(builder, x.args[0], x.args[0])
        if _calls(x, ops.multiply) and all(_same(a, x) for a in x.args):
            return _dot(builder, *x.args)
    return _spelled_sum(builder, node)


def _dot(builder: _Builder, x: Node, y: Node) -> Argument:
    if x.shape != y.shape:
        x, y = (builder.call(ops.reshape, a, shape=(a.size,)) for a in (x, y))
    return builder.make(DOT, (x, y), {}, (), np.dtype(x.dtype))


def _spelled_sum(builder: _Builder, node: Node) -> Argument | None:
    x = node.args[0]
    axes = spelled_axes(node.attribute("axis"), x.ndim)
    spelled = {"axis": axes, "keepdims": bool(node.attribute("keepdims"))}
    if without_centred(x, axes) is not x:
        return builder.call(ops.sum, without_centred(x, axes), **spelled)
    if node.attributes == spelled:
        return products.contracted(builder, node) if _calls(x, ops.multiply) else None
    return builder.make(ops.sum.op, (x,), spelled, node.shape, node.dtype)


def _matmul(builder: _Builder, node: Node) -> Argument | None:
    x, y = node.args
    vectors = all(isinstance(a, Node) and a.ndim == 1 for a in (x, y))
    return _dot(builder, _flat(x), _flat(y)) if vectors else products.as_one(builder, node)


def _flat(x: Node) -> Node:
    """Undo a ravel: the sum of products does not depend on the shape."""
    inner = x.args[0] if x.calls(ops.reshape) else None
    return inner if isinstance(inner, Node) else x


def _itself(builder: _Builder, node: Node) -> Argument | None:
    return node.args[0] if _same(node.args[0], node) else None


def _into_shape(builder: _Builder, node: Node) -> Argument | None:
    """Of two reshapes in a row, or two broadcasts, the last is enough; of the same shape none.

    The first stays where it lays numbers out anew, which others may need as well.
    """
    x, op = node.args[0], node.op
    assert op is not None
    if _same(x, node):
        return x
    inner = x.args[0] if isinstance(x, Node) and x.op is op else x
    if _calls(x, ops.reshape) and _calls(inner, ops.transpose) and not _same(inner, node):
        inner = x
    if inner is x and node.attributes == {"shape": node.shape}:
        return None
    return builder.make(op, (inner,), {"shape": node.shape}, node.shape, node.dtype)


def _transpose(builder: _Builder, node: Node) -> Argument | None:
    x, n = node.args[0], node.ndim
    order = node.attribute("axes")
    axes = tuple(range(n))[::-1] if order is None else tuple(int(a) % n for a in order)
    if _calls(x, ops.transpose):
        x, axes = x.args[0], tuple(x.attributes["axes"][a] for a in axes)
    if axes == tuple(range(n)):
        return x
    if n == 2 and _calls(x, ops.matmul) and _calls(x.args[0], ops.transpose):
        return products.turned(builder, x)
    if x is node.args[0] and order == axes:
        return None
    return builder.make(ops.transpose.op, (x,), {"axes": axes}, node.shape, node.dtype)


def _picked(builder: _Builder, node: Node) -> Argument | None:
    return builder.loops.picked.get((node.args[0], node.attributes["key"]))


def _where(builder: _Builder, node: Node) -> Argument | None:
    x, y = node.args[1:]
    return x if x is y and _same(x, node) else None


# Right for every dtype: they move numbers, and compute none.
_OF_SHAPES: dict[Op | None, Simpler] = {
    ops.positive.op: _itself,
    STOP_GRADIENT: _itself,
    ops.cast.op: _itself,
    ops.reshape.op: _into_shape,
    ops.transpose.op: _transpose,
    ops.broadcast_to.op: _into_shape,
    ops.where.op: _where,
    PICK: _picked,
}

# Right for one floating dtype throughout.
_OF_FLOATS: dict[Op | None, Simpler] = {
    ops.multiply.op: _multiply,
    ops.divide.op: _divide,
    ops.add.op: _add,
    ops.subtract.op: _subtract,
    ops.negative.op: _negative,
    ops.power.op: _power,
    ops.safe_divide.op: _safe_divide,
    ops.safe_multiply.op: _safe_multiply,
    ops.sum.op: _sum,
    ops.matmul.op: _matmul,
}
