"""Writing what an op did as text that Python can evaluate, and that reads as a person wrote it.

A text is believed only when it was evaluated: each way to write a call is tried on the numbers that
the op was given, and the first that gives the op's own result is taken.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray
from scipy import special

from autonn.compiler.sources import dtype_text, literal
from autonn.engine import ops
from autonn.engine.lineage import attributes_of, op_of, operands_of, saved_values
from autonn.engine.op import OPS, STOP_GRADIENT, Op
from autonn.engine.tensor import Array, Tensor, implementations, values_of
from autonn.teach.recording import Pull

__all__ = ["Piece", "Writer", "bracketed", "evaluate", "is_close", "library"]


@functools.lru_cache(4096)
def bracketed(text: str) -> str:
    """Return a formula so that it can stand beside an operator, or before a bracket.

    >>> bracketed("a + b"), bracketed("np.exp(a)"), bracketed("-1")
    ('(a + b)', 'np.exp(a)', '(-1)')
    """
    kind = ast.parse(text, mode="eval").body
    atoms = (ast.Name, ast.Call, ast.Subscript, ast.Attribute, ast.Constant, ast.List, ast.Tuple)
    return text if isinstance(kind, atoms) else f"({text})"


Way = Callable[[list[str]], str]  # from the texts of what is needed to that of the whole


class Piece(NamedTuple):
    """How to write one value: what is needed for it, and the way from their texts to its own."""

    children: tuple[Any, ...]
    write: Way


def _of_some(way: Way, used: list[int], count: int) -> Way:
    """Write by a way that is told of those operands alone that it needs."""

    def write(args: list[str]) -> str:
        full = ["0"] * count
        for k, arg in zip(used, args, strict=True):
            full[k] = arg
        return way(full)

    return write


def _way(text: str, shape: tuple[int, ...] = (), n: int = 0) -> Way:
    """Write by a template of the operands; of the result's shape, and how many make one number."""
    plain = text.removeprefix("one: ")
    return lambda args: plain.format(*map(bracketed, args), shape=shape, n=n)


# What rules give, as textbooks write it: of {0} the incoming gradient, {1} the result, and {2}, ...
# the operands; after "one: " where the incoming gradient is 1. Each is tried on the numbers: near 0
# and 1 a sigmoid's slope is written otherwise.
_SLOPES: dict[tuple[Op, int], tuple[str, ...]] = {
    (ops.sigmoid.op, 0): ("{0} * {1} * (1 - {1})", "{0} * sigmoid({2}) * sigmoid(-{2})"),
    (ops.tanh.op, 0): ("{0} * (1 - {1} ** 2)", "{0} / np.cosh({2}) ** 2"),
    (ops.relu.op, 0): ("{0} * ({2} > 0)",),
    (ops.exp.op, 0): ("{0} * {1}",),
    (ops.log.op, 0): ("{0} / {2}",),
    (ops.sqrt.op, 0): ("{0} / (2 * {1})",),
    (ops.divide.op, 0): ("{0} / {3}",),
    (ops.divide.op, 1): ("-{0} * {1} / {3}", "-{0} * {2} / {3} ** 2"),
    (ops.square.op, 0): ("{0} * 2 * {2}",),
    (ops.power.op, 0): ("{0} * 2 * {2}", "{0} * {3} * {2} ** ({3} - 1)"),
    (ops.affine.op, 1): ("{0}.T @ {2}", "np.einsum('...o,...i->oi', {0}, {2})"),
    (ops.affine.op, 2): ("np.sum({0}, axis=0)", "np.einsum('...o->o', {0})"),
    (ops.sum.op, 0): ("one: np.ones({shape})", "np.broadcast_to({0}, {shape})"),
    (ops.mean.op, 0): ("one: np.full({shape}, 1 / {n})", "np.broadcast_to({0} / {n}, {shape})"),
    (ops.softmax.op, 0): ("{1} * ({0} - np.sum({0} * {1}, axis=-1, keepdims=True))",),
    (ops.sigmoid_cross_entropy.op, 0): ("one: (sigmoid({2}) - {3}) / len({2})",),
    (ops.softmax_cross_entropy.op, 0): ("one: (softmax({2}) - {3}) / len({2})",),
    (ops.add.op, 0): ("{0}", "np.sum({0}, axis=0)"),
    (ops.add.op, 1): ("{0}", "np.sum({0}, axis=0)"),
}  # fmt: skip


def library() -> dict[str, Any]:
    """Return what formulas may call by name: NumPy, SciPy's functions, and all ops on arrays."""
    known = {name: op.forward for name, op in OPS.items()}
    return known | {"np": np, "special": special}


def evaluate(text: str, names: Mapping[str, Any]) -> Any:
    """Evaluate a formula; what it says of numbers that overflow is left to the numbers.

    >>> evaluate("np.sum(x ** 2)", library() | {"x": np.array([1.0, 2.0])})
    np.float64(5.0)
    """
    with np.errstate(all="ignore"):
        return eval(text, dict(names))


def is_close(found: Any, expected: Array) -> bool:
    """Whether two arrays agree to 1e-12 of the largest number; to 1e-5 in float32.

    >>> is_close([1.0, 1e-13], np.array([1.0, 0.0])), is_close([1.0], np.array([1.1]))
    (True, False)
    """
    found = np.asarray(found)
    if found.shape != expected.shape or expected.dtype.kind not in "fiub":
        return False
    if expected.dtype.kind != "f":
        return bool(np.array_equal(found, expected))
    finite = np.isfinite(expected)
    if not np.array_equal(found[~finite], expected[~finite], equal_nan=True):
        return False
    relative = 1e-12 if expected.dtype == np.float64 else 1e-5
    scale = np.abs(expected[finite]).max(initial=0)
    off = np.abs(found[finite].astype(float) - expected[finite]).max(initial=0)
    return bool(off <= relative * scale)


# ---- one call


class Writer:
    """Writes the calls of Tensors; `name_of` says how something given is called, if it has a name.

    `names` is what formulas are evaluated with. What a call was given that has no text, as an
    array or a generator, is added to it.
    """

    def __init__(self, names: dict[str, Any], name_of: Callable[[Any], str]) -> None:
        self.names, self.name_of = names, name_of
        self.constants: dict[int, tuple[Any, str]] = {}  # with the thing, so that its id is its own

    def piece(self, tensor: Tensor) -> Piece:
        """Find how to write the call that made a Tensor."""
        op = op_of(tensor)
        assert op is not None
        operands, attributes = op.bind(operands_of(tensor), attributes_of(tensor))
        given = saved_values(tensor)[: len(operands)]
        ways = self.ways(op, tensor, attributes)
        return self.first(ways, operands, given, tensor) or self.opaque(tensor, op.name)

    def opaque(self, tensor: Tensor, letter: str) -> Piece:
        """Take a value as it is, where nothing says how it was made."""
        own = self.constant(values_of(tensor), letter)
        return Piece((), lambda args: own)

    def pulled(self, pull: Pull) -> Piece | None:
        """Find a short way to write what a rule gave, if the course or the textbooks have one."""
        op, given = op_of(pull.tensor), saved_values(pull.tensor)
        short = _SLOPES.get((op, pull.k)) if op is not None else None
        if op is None or short is None or not isinstance(pull.given, Tensor):
            return None
        operands = op.bind(operands_of(pull.tensor), {})[0]
        children = (pull.incoming, pull.tensor, *operands)
        values = (values_of(pull.incoming), values_of(pull.tensor), *given[: len(operands)])
        is_one = np.ndim(values[0]) == 0 and values[0] == 1
        shape, n = pull.given.shape, pull.given.size // max(1, pull.tensor.size)
        ways = [_way(text, shape, n) for text in short if is_one or text[:5] != "one: "]
        return self.first(ways, children, values, pull.given)

    def first(
        self, ways: Iterable[Way], children: Sequence[Any], values: Sequence[Any], result: Tensor
    ) -> Piece | None:
        """Find the first way that gives a result's numbers, tried on stand-ins for the children."""
        stand_ins = {f"_{k}": value for k, value in enumerate(values)}
        own = list(stand_ins)
        for way in ways:
            try:
                text = way(own)
                trial = evaluate(text, self.names | stand_ins)
            except Exception:  # any: it is no way to write this call
                continue
            if is_close(trial, values_of(result)):
                tree = ast.walk(ast.parse(text))
                names = {node.id for node in tree if isinstance(node, ast.Name)}
                used = [k for k, name in enumerate(own) if name in names]
                return Piece(tuple(children[k] for k in used), _of_some(way, used, len(own)))
        return None

    def operand(self, a: Any) -> str:
        """Write what an op was given: by its name, as a number, or as a constant with a name."""
        if known := self.name_of(a):
            return known
        if isinstance(a, Tensor):
            value = values_of(a)
            return self.constant(value, "c") if value.shape else self.value(value)
        if isinstance(a, bool | int | float):
            return literal(a)
        return self.value(a)

    def value(self, a: Any) -> str:
        """Write a Python value; name what has no text."""
        if known := self.name_of(a):
            return known
        if isinstance(a, ndarray | np.floating) and np.ndim(a) == 0:
            return repr(float(a)) if np.asarray(a).dtype == np.float64 else literal_number(a)
        if type(a) in (tuple, list):
            inside = ", ".join(map(self.value, a))
            return f"[{inside}]" if isinstance(a, list) else f"({inside}{',' * (len(a) == 1)})"
        try:
            return literal(a)
        except TypeError:
            return self.constant(values_of(a), "c")

    def named(self, key: str, value: Any) -> str:
        """Write what a call is given by name; one axis without brackets."""
        one = key == "axis" and isinstance(value, tuple) and len(value) == 1
        return self.value(value[0] if one else value)

    def constant(self, value: Any, letter: str) -> str:
        """Name something that has no text, once."""
        for name, other in self.names.items():
            if _is_same(other, value):
                return name
            if isinstance(other, ndarray) and _is_same(other.T, value):  # as X' of the rule X' G
                return f"{name}.T"
        if id(value) not in self.constants:
            taken = {name for _, name in self.constants.values()} | set(self.names)
            name = next(n for k in range(1, 10**6) if (n := f"{letter}{k}") not in taken)
            self.constants[id(value)] = value, name
            self.names[name] = value
        return self.constants[id(value)][1]

    def ways(self, op: Op, tensor: Tensor, attributes: dict[str, Any]) -> Iterator[Way]:
        """Yield the ways to write a call, the best to read first."""
        if op.draws:
            return
        yield from map(_way, _SPELLED.get(op, ()))
        if op in _SHORT:
            yield lambda args: _SHORT[op](self, tensor, args, attributes)
        if op.symbol:
            yield _way(op.symbol)
        named = "".join(f", {key}={self.named(key, value)}" for key, value in attributes.items())
        for name in _names_of(op):
            yield _calling(name, named)
            if op.variadic:
                yield _calling(name, named, "[{}]")
        own = next((n for n, v in self.names.items() if v is op.forward), "")
        if not own and not op.variadic | ("again" in attributes):
            own = op.name if op.name.isidentifier() and op.name not in self.names else ""
            own = own or self.constant(op.forward, "op")
            self.names[own] = op.forward
        if own:
            yield _calling(own, named)


def _is_same(a: Any, b: Any) -> bool:
    """Whether two arrays have the same bits, as copies of a mask that several ops were given."""
    if not (isinstance(a, ndarray) and isinstance(b, ndarray)):
        return False
    if a.shape != b.shape or a.dtype != b.dtype or a.size < 2 or (a == a.flat[0]).all():
        return a is b  # zeros are no bias because that is zero too
    return a.tobytes() == b.tobytes()


def literal_number(a: Any) -> str:
    """Write a number without axes, with its dtype.

    >>> literal_number(np.float32(0.5))
    'np.float32(0.5)'
    """
    value = np.asarray(a)
    return f"{dtype_text(value.dtype)}({value.item()!r})"


def _calling(name: str, named: str, row: str = "{}") -> Way:
    """Write a call by name, of the operands in a row and what else is given."""
    return lambda args: f"{name}({row.format(', '.join(args))}{named})"


def _names_of(op: Op) -> list[str]:
    """List the names by which NumPy and SciPy have what an op computes."""
    names = []
    for prefix, module in (("np", np), ("special", special)):
        base = getattr(op.forward, "__name__", op.name) if _is_ufunc(op) else op.name
        function = getattr(module, base, None)
        stands = function is not None and implementations.get(function)
        if function is op.forward or (stands and getattr(stands, "op", None) is op):
            names.append(f"{prefix}.{base}")
        elif stands and prefix == "np":
            names.append(f"np.{base}")  # it is tried before it is believed
    return names


def _is_ufunc(op: Op) -> bool:
    return isinstance(op.forward, np.ufunc)


# ---- ways of one's own


def _key(writer: Writer, key: Any) -> str:
    """Write a key as between brackets: ``:, 0:4``."""
    if isinstance(key, tuple) and key:
        return ", ".join(_key(writer, part) for part in key)
    if isinstance(key, slice):
        ends = ["" if end is None else writer.value(end) for end in (key.start, key.stop)]
        return ":".join(ends) + ("" if key.step is None else f":{writer.value(key.step)}")
    return "..." if key is Ellipsis else writer.value(key)


Short = Callable[[Writer, Tensor, list[str], dict[str, Any]], str]


def _plain(text: str) -> Short:
    """Write by a template: {0} an operand, {shape} the result's, {axis1} what else was given."""

    def write(writer: Writer, tensor: Tensor, args: list[str], how: dict[str, Any]) -> str:
        given = {key: writer.value(value) for key, value in how.items()}
        given |= {"shape": str(tensor.shape), "dtype": dtype_text(tensor.dtype)}
        return text.format(*map(bracketed, args), **given)

    return write


def _by_key(writer: Writer, tensor: Tensor, args: list[str], how: dict[str, Any]) -> str:
    return f"{bracketed(args[0])}[{_key(writer, how['key'])}]"


def _transposed(writer: Writer, tensor: Tensor, args: list[str], how: dict[str, Any]) -> str:
    axes = how.get("axes")
    is_plain = axes is None or list(axes) == [1, 0]
    return f"{bracketed(args[0])}.{'T' if is_plain else f'transpose({writer.value(axes)})'}"


def _summed(writer: Writer, tensor: Tensor, args: list[str], how: dict[str, Any]) -> str:
    """Write a sum over the axes that broadcasting added in front, then over those it stretched."""
    x = values_of(operands_of(tensor)[0]).shape
    added = len(x) - tensor.ndim
    kept = [k for k, n in enumerate(tensor.shape) if n != x[added + k]]
    text = args[0]
    if added:
        text = f"np.sum({text}, axis={_axes(range(added))})"
    return f"np.sum({text}, axis={_axes(kept)}, keepdims=True)" if kept else text


def _axes(axes: Iterable[int]) -> str:
    row = tuple(axes)
    return str(row[0] if len(row) == 1 else row)


def _put(writer: Writer, tensor: Tensor, args: list[str], how: dict[str, Any]) -> str:
    """Write zeros with a value at a key, by a key as between brackets."""
    return f"put({args[0]}, np.s_[{_key(writer, how['key'])}], {tensor.shape})"


def _squares(writer: Writer, tensor: Tensor, args: list[str], how: dict[str, Any]) -> str:
    squares = " + ".join(f"np.sum({bracketed(a)} ** 2)" for a in args)
    return f"{writer.value(how['factor'])} * ({squares})"


# What has a name in the course, spelled out; the first that gives the op's number is taken.
_SPELLED: dict[Op, tuple[str, ...]] = {
    ops.sigmoid_cross_entropy.op: (
        "-np.sum({1} * np.log(sigmoid({0})) + (1 - {1}) * np.log(1 - sigmoid({0}))) / len({0})",
        "-np.sum({1} * log_sigmoid({0}) + (1 - {1}) * log_sigmoid(-{0})) / len({0})",
    ),
    ops.softmax_cross_entropy.op: (
        "-np.sum({1} * np.log(softmax({0}))) / len({0})",
        "-np.sum({1} * log_softmax({0})) / len({0})",
    ),
}

_SHORT: dict[Op, Short] = {
    ops.affine.op: _plain("{0} @ {1}.T + {2}"),
    ops.matmul.op: _plain("{0} @ {1}"),
    ops.power.op: _plain("{0} ** {1}"),
    ops.square.op: _plain("{0} ** 2"),
    ops.greater.op: _plain("{0} > {1}"),
    ops.less.op: _plain("{0} < {1}"),
    ops.equal.op: _plain("{0} == {1}"),
    ops.getitem.op: _by_key,
    ops.transpose.op: _transposed,
    ops.reshape.op: _plain("{0}.reshape({shape})"),
    ops.swapaxes.op: _plain("{0}.swapaxes({axis1}, {axis2})"),
    ops.cast.op: _plain("{0}.astype({dtype})"),
    ops.broadcast_to.op: _plain("np.broadcast_to({0}, {shape})"),
    ops.sum_to.op: _summed,
    ops.sum_of_squares.op: _squares,
    ops.put.op: _put,
    ops.positive.op: _plain("{0}"),
    STOP_GRADIENT: _plain("{0}"),
}
