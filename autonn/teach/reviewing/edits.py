"""Small changes to a line: each is what a mistake of one kind looks like, taken back.

A change is tried by running the program with it. If all gradients come out right then, that is the
line, and the change is the cause.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autonn.teach.reviewing.atoms import Atom, evaluated, written
from autonn.teach.reviewing.programs import Part
from autonn.teach.reviewing.watching import Line

__all__ = ["Edit", "Slots", "Surroundings", "factor_edits", "flow_edits", "form_edits", "other_edits", "simple_edits", "swap"]

Slots = dict[int, tuple[Any, str, int | None]]


@dataclass
class Edit:
    """One change: `do` makes it and returns what takes it back.

    Attributes
    ----------
    cost
        How far it is from what was written: of several that repair, the smallest is believed.
    cause
        The sentence that says what was wrong, if this is the repair.
    scales
        Whether it changes the value by a factor alone.
    """

    do: Callable[[], Callable[[], None]]
    cost: float
    cause: str
    scales: bool = False
    flows: bool = False  # whether it changes when, or how often, a right value is taken
    late: bool = False  # whether of several lines that it would repair, the last is meant


@dataclass
class Surroundings:
    """What a change of a line can draw on: the values and functions that are named around it."""

    line: Line
    slots: Slots
    atoms: list[Atom]
    callees: dict[str, int]
    sizes: dict[int, str]  # numbers that lengths in the data have, and what they count
    parts: list[Part]
    known: dict[Any, Any] = field(default_factory=dict)

    def is_own(self, name: str) -> bool:
        """Whether a function is the learner's own."""
        value = self.function(name)
        code = getattr(getattr(value, "__func__", value), "__code__", None)
        files = {part.file for part in self.parts}
        return code is not None and code.co_filename in files

    def function(self, name: str) -> Any:
        """Return a function by the name that the line calls it by."""
        if name not in self.known:
            self.known[name] = evaluated(written(name), self.line)
        return self.known[name]

    def value(self, node: Any) -> Any:
        """Return what an expression of the line was, when it first ran; None if that is unknown."""
        if id(node) not in self.known:
            self.known[id(node)] = evaluated(node, self.line)
        return self.known[id(node)]


def swap(slots: Slots, node: ast.AST, new: Any) -> Callable[[], Callable[[], None]]:
    """Make the change that puts another expression in the place of one."""
    parent, name, k = slots[id(node)]

    def do() -> Callable[[], None]:
        """Put it there."""
        ast.copy_location(new, node)
        ast.fix_missing_locations(new)
        if k is None:
            setattr(parent, name, new)
            return lambda: setattr(parent, name, node)
        getattr(parent, name)[k] = new
        return lambda: getattr(parent, name).__setitem__(k, node)

    return do


def root_of(line: Line) -> Any:
    """Return the expression whose value a line gives; None where it gives several."""
    s = line.statement
    if isinstance(s, ast.Expr):
        return s.value.args[0] if len(s.value.args) == 1 else None
    return s.iter if isinstance(s, ast.For) else getattr(s, "value", None)


def expressions(line: Line) -> list[Any]:
    """List the expressions in what a line computes, the outermost first; no names of functions."""
    s = line.statement
    roots = [s.iter] if isinstance(s, ast.For) else [s.test] if hasattr(s, "test") else []
    roots = roots or [s.value]
    for target in [*getattr(s, "targets", []), getattr(s, "target", None)]:
        if isinstance(target, ast.Subscript) and not isinstance(s, ast.For):
            roots.append(target.slice)
    found: list[Any] = []
    stack = roots[::-1]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.expr) and not isinstance(node, ast.Slice):
            found.append(node)
        children = [c for c in ast.iter_child_nodes(node) if not isinstance(c, ast.Lambda)]
        if isinstance(node, ast.Call):
            children.remove(node.func)
            if isinstance(node.func, ast.Attribute):
                children.insert(0, node.func.value)
        stack += children[::-1]
    return found


def terms_of(node: Any) -> list[Any]:
    """List the terms of a sum; those of each element of a tuple, and of the first argument."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        return [node, *terms_of(node.left), *terms_of(node.right)]
    if isinstance(node, ast.Tuple | ast.List):
        return [t for e in node.elts for t in terms_of(e)]
    if isinstance(node, ast.Dict):
        return [t for e in node.values for t in terms_of(e)]
    if isinstance(node, ast.Call) and node.args:
        return [node, *terms_of(node.args[0])]
    return [node]


def simple_edits(s: Surroundings) -> Iterator[Edit]:
    """Yield the small changes of a line, the likely ones first."""
    yield from _factors(s)
    for node in expressions(s.line):
        yield from _other_values(s, node)
        yield from _formed(s, node)


def form_edits(s: Surroundings) -> Iterator[Edit]:
    """Yield the small changes of a line that computes no numbers of its own: counts, loops."""
    yield from _assignments(s)
    for node in expressions(s.line):
        if isinstance(s.value(node), np.ndarray):
            yield from _other_values(s, node)
        yield from _formed(s, node)


def _formed(s: Surroundings, node: Any) -> Iterator[Edit]:
    """Yield the changes of how an expression is written."""
    yield from _operators(s, node)
    yield from _constants(s, node)
    yield from _transpositions(s, node)
    yield from _slices(s, node)


def factor_edits(s: Surroundings) -> Iterator[Edit]:
    """Yield the changes by a factor alone."""
    yield from (edit for edit in _factors(s) if edit.scales)


def flow_edits(s: Surroundings) -> Iterator[Edit]:
    """Yield the changes of how a value is assigned."""
    yield from _assignments(s)


def other_edits(s: Surroundings) -> Iterator[Edit]:
    """Yield the changes that take another value or function that the program names."""
    for node in expressions(s.line):
        yield from _other_calls(s, node)


# ---- how the value is assigned

_OPERATORS: dict[type, str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**", ast.MatMult: "@",
}  # fmt: skip
_OPPOSITE: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
}  # fmt: skip


def _assignments(s: Surroundings) -> Iterator[Edit]:
    """Add in place of overwriting, overwrite in place of adding, subtract in place of adding."""
    statement, target = s.line.statement, s.line.target
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        last = "the last example" if s.line.loops == 1 else "the last one"
        for op in (ast.Add(), ast.Sub()) if s.line.loops else (ast.Add(),):
            new: ast.stmt = ast.AugAssign(statement.targets[0], op, statement.value)
            cause = (
                f"`{target}` is overwritten each time round the loop, so that only {last} is left: "
                f"the sum over all is wanted, `{_OPERATORS[type(op)]}=` in place of `=`"
                if s.line.loops
                else f"`{target}` is overwritten where a term was to be added to it: "
                f"`{_OPERATORS[type(op)]}=` in place of `=`"
            )
            yield Edit(swap(s.slots, statement, new), 0.2, cause, flows=True)
    if isinstance(statement, ast.AugAssign):
        load = ast.Assign([statement.target], statement.value)
        cause = f"`{target}` is added to where it should be set: `=` in place of `{{}}=`"
        sign = _OPERATORS.get(type(statement.op), "")
        yield Edit(swap(s.slots, statement, load), 0.3, cause.format(sign), flows=True)
        other = _OPPOSITE.get(type(statement.op))
        if other is not None:
            changed = ast.AugAssign(statement.target, other(), statement.value)
            what = "the sign is wrong" if sign in "+-" else "it multiplies where it should divide"
            what = what if sign != "/" else "it divides where it should multiply"
            cause = f"{what}: `{_OPERATORS[other]}=` in place of `{sign}=`"
            yield Edit(swap(s.slots, statement, changed), 0.2, cause)


# ---- factors and signs


def _times(node: Any, factor: ast.expr, op: ast.operator | None = None) -> ast.BinOp:
    return ast.BinOp(node, op or ast.Mult(), factor)


def _factors(s: Surroundings) -> Iterator[Edit]:
    """Multiply what a line computes, or a term of it, by -1, 2, 1/2, m, 1/m, numbers at hand."""
    root = root_of(s.line)
    if root is None:
        return
    for depth, node in enumerate(terms_of(root)):
        if not isinstance(node, ast.expr) or isinstance(node, ast.Constant):
            continue
        cost = 0.1 + 0.05 * min(depth, 4)
        of = "" if depth == 0 else f" of `{ast.unparse(node)}`"
        yield Edit(
            swap(s.slots, node, ast.UnaryOp(ast.USub(), node)), cost,
            f"the sign{of} is wrong: it is the negative of what it should be", depth == 0,
        )  # fmt: skip
        for factor, op, text in _known_factors(s):
            yield Edit(swap(s.slots, node, _times(node, factor, op)), cost + 0.05, text + of,
                       depth == 0, late="mean should" in text)  # fmt: skip


def _known_factors(s: Surroundings) -> Iterator[tuple[ast.expr, ast.operator, str]]:
    """Yield numbers to multiply and to divide by, and what it means if they repair a line."""
    names = _names_of_sizes(s)
    for size, what in s.sizes.items():
        if size > 1:
            name = names.get(size, "m" if "example" in what else str(size))
            constant = ast.Constant(size)
            yield (constant, ast.Div(),
                   f"the factor 1/{name} is missing ({name} = {size}, the number of {what}): the "
                   "sum stands where the mean should")  # fmt: skip
            yield (constant, ast.Mult(),
                   f"the factor 1/{name} is there once too often ({name} = {size}, the number of "
                   f"{what})")  # fmt: skip
    yield ast.Constant(2), ast.Mult(), "a factor of 2 is missing (it is half of what it should be)"
    yield ast.Constant(2), ast.Div(), "a factor of 2 is too much (it is twice what it should be)"
    for atom in s.atoms:
        known = isinstance(atom.value, int | float | np.floating) or np.ndim(atom.value) == 0
        if not atom.is_number or not known or atom.value in (0, 1, -1, 2) or atom.value in s.sizes:
            continue
        yield atom.tree, ast.Mult(), f"the factor `{atom.text}` is missing"
        yield atom.tree, ast.Div(), f"it has to be divided by `{atom.text}`"
        for size, what in s.sizes.items():
            if size > 1 and "example" in what and not isinstance(atom.value, int):
                both = ast.BinOp(atom.tree, ast.Div(), ast.Constant(size))
                yield both, ast.Mult(), f"the factor `{atom.text}`/m is missing (m = {size})"


def _names_of_sizes(s: Surroundings) -> dict[int, str]:
    """Name numbers as the program does, best by what it divides by."""
    divisors: set[str] = set()
    for n in ast.walk(s.line.part.definition):
        if isinstance(n, ast.BinOp | ast.AugAssign) and isinstance(n.op, ast.Div):
            by = n.right if isinstance(n, ast.BinOp) else n.value
            divisors |= {x.id for x in ast.walk(by) if isinstance(x, ast.Name)}
    numbers = [a for a in s.atoms if a.is_number and a.text.isidentifier() and a.text != "_"]
    numbers.sort(key=lambda a: (a.text in divisors, -len(a.text)))
    return {a.value: a.text for a in numbers}


# ---- inside an expression


def _operators(s: Surroundings, node: Any) -> Iterator[Edit]:
    """Take another operator, or one operand alone."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        cause = f"the sign is wrong: `{ast.unparse(node)}` has a minus too much"
        yield Edit(swap(s.slots, node, node.operand), 0.1, cause, node is root_of(s.line))
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        flipped: dict[type, type] = {ast.Gt: ast.Lt, ast.Lt: ast.Gt, ast.GtE: ast.LtE,
                                     ast.LtE: ast.GtE, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}  # fmt: skip
        other = flipped.get(type(node.ops[0]))
        if other is not None:
            new = ast.Compare(node.left, [other()], node.comparators)
            yield Edit(swap(s.slots, node, new), 0.3, f"the comparison is the wrong way round in `{ast.unparse(node)}`")  # fmt: skip
    if not isinstance(node, ast.BinOp):
        return
    text = ast.unparse(node)
    opposite = _OPPOSITE.get(type(node.op))
    sign = _OPERATORS.get(type(node.op), "?")
    if opposite is not None:
        is_sum = isinstance(node.op, ast.Add | ast.Sub)
        cause = f"a sign is wrong in `{text}`: `{_OPERATORS[opposite]}` should stand in place of `{sign}`"
        if not is_sum:
            does = "divided" if opposite is ast.Div else "multiplied"
            cause = f"in `{text}` it should be {does}: `{_OPERATORS[opposite]}` in place of `{sign}`"
        yield Edit(swap(s.slots, node, ast.BinOp(node.left, opposite(), node.right)), 0.25, cause)
    if isinstance(node.op, ast.Mult | ast.MatMult):
        other_op = ast.MatMult() if isinstance(node.op, ast.Mult) else ast.Mult()
        swapped_op = ast.BinOp(node.left, other_op, node.right)
        cause = f"`{text}` should be a product {'of matrices, `@`' if isinstance(other_op, ast.MatMult) else 'element by element, `*`'}"  # fmt: skip
        yield Edit(swap(s.slots, node, swapped_op), 0.35, cause)
    yield from _operands(s, node, text)


def _operands(s: Surroundings, node: ast.BinOp, text: str) -> Iterator[Edit]:
    """Leave an operand out, swap the two, or square one of them no longer."""
    left, right = ast.unparse(node.left), ast.unparse(node.right)
    if isinstance(node.op, ast.Mult | ast.Div):
        kind = "factor" if isinstance(node.op, ast.Mult) else "division by"
        yield Edit(swap(s.slots, node, node.left), 0.3, f"the {kind} `{right}` is too much in `{text}`")  # fmt: skip
    yield from _two_factors(s, node)
    if isinstance(node.op, ast.Mult):
        yield Edit(swap(s.slots, node, node.right), 0.3, f"the factor `{left}` is too much in `{text}`")  # fmt: skip
    if isinstance(node.op, ast.Add | ast.Sub):
        yield Edit(swap(s.slots, node, node.left), 0.35, f"the term `{right}` is too much in `{text}`")  # fmt: skip
        yield Edit(swap(s.slots, node, node.right), 0.4, f"the term `{left}` is too much in `{text}`")  # fmt: skip
    if isinstance(node.op, ast.Pow):
        yield Edit(swap(s.slots, node, node.left), 0.25, f"`{text}` should not be squared: `{left}` itself is wanted")  # fmt: skip
    if isinstance(node.op, ast.Sub | ast.MatMult):
        new = ast.BinOp(node.right, node.op, node.left)
        what = "the sign is wrong" if isinstance(node.op, ast.Sub) else "the product is the wrong way round"  # fmt: skip
        yield Edit(swap(s.slots, node, new), 0.25 if isinstance(node.op, ast.MatMult) else 0.12, f"{what}: `{ast.unparse(new)}` in place of `{text}`", node is root_of(s.line))  # fmt: skip


def _two_factors(s: Surroundings, node: ast.BinOp) -> Iterator[Edit]:
    """Leave out two factors of a product of three, as a slope a(1 - a) that is too much."""
    inner = node.left
    if not isinstance(node.op, ast.Mult) or not isinstance(inner, ast.BinOp):
        return
    if isinstance(inner.op, ast.Mult):
        for kept, out in ((inner.left, (inner.right, node.right)),
                          (node.right, (inner.left, inner.right)),
                          (inner.right, (inner.left, node.right))):  # fmt: skip
            text = " * ".join(f"({ast.unparse(x)})" if isinstance(x, ast.BinOp) else ast.unparse(x)
                              for x in out)  # fmt: skip
            yield Edit(swap(s.slots, node, kept), 0.5, f"the factor `{text}` is too much in `{ast.unparse(node)}`")  # fmt: skip


def _constants(s: Surroundings, node: Any) -> Iterator[Edit]:
    """Change a whole number by one, or a number by the factor 2; the order of unrolling."""
    if not isinstance(node, ast.Constant):
        return
    value = node.value
    if isinstance(value, str) and value in ("C", "F"):
        other = "F" if value == "C" else "C"
        cause = f"the order of unrolling is wrong: {other!r} in place of {value!r}"
        yield Edit(swap(s.slots, node, ast.Constant(other)), 0.3, cause)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    others: list[int | float] = [value + 1, value - 1] if isinstance(value, int) else []
    others += [value * 2, value / 2, -value, value + 1.0, value - 1.0]
    parent = s.slots[id(node)][0]
    placed = isinstance(parent, ast.BinOp) and isinstance(s.slots[id(parent)][0], ast.Subscript)
    for new in dict.fromkeys(others):
        if new == value or (isinstance(parent, ast.keyword) and not isinstance(new, int)):
            continue
        what = f"`{ast.unparse(parent)}`"
        cause = f"the number {value} in {what} should be {new:g}"
        if isinstance(parent, ast.keyword) and parent.arg == "axis":
            cause = f"it is summed over the wrong axis: axis={new} in place of axis={value}"
        if isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Pow):
            cause = f"the power in {what} is wrong: {new:g} in place of {value}"
            if new == 2:
                cause = f"a square is missing: {what} should have the power 2"
        yield Edit(swap(s.slots, node, ast.Constant(new)), 0.5 if placed else 0.3, cause)


def _transpositions(s: Surroundings, node: Any) -> Iterator[Edit]:
    """Transpose a matrix, or leave a transposition out."""
    if isinstance(node, ast.Attribute) and node.attr == "T":
        cause = f"a transposition is too much: `{ast.unparse(node.value)}` in place of `{ast.unparse(node)}`"  # fmt: skip
        yield Edit(swap(s.slots, node, node.value), 0.2, cause)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in ("transpose", "dot", "outer") and len(node.args) == 2:
            new = ast.Call(node.func, node.args[::-1], node.keywords)
            yield Edit(swap(s.slots, node, new), 0.25, f"the product is the wrong way round: `{ast.unparse(new)}` in place of `{ast.unparse(node)}`")  # fmt: skip
        if node.func.attr == "transpose" and not node.args:
            yield Edit(swap(s.slots, node, node.func.value), 0.2, f"a transposition is too much in `{ast.unparse(node)}`")  # fmt: skip
    if not isinstance(node, ast.Name | ast.Attribute | ast.Subscript | ast.BinOp | ast.Call):
        return
    value = s.value(node)
    if isinstance(value, np.ndarray) and value.ndim == 2 and 1 not in value.shape:
        new_node = ast.Attribute(node, "T", ast.Load())
        cause = f"a transposition is missing: `{ast.unparse(new_node)}` in place of `{ast.unparse(node)}`"  # fmt: skip
        yield Edit(swap(s.slots, node, new_node), 0.2, cause)


def _slices(s: Surroundings, node: Any) -> Iterator[Edit]:
    """Move the bounds of a slice by one, or leave one out; exchange two places."""
    if not isinstance(node, ast.Subscript):
        return
    if isinstance(node.slice, ast.Tuple):
        elts = node.slice.elts
        for k in range(len(elts) - 1):
            order = [*elts[:k], elts[k + 1], elts[k], *elts[k + 2 :]]
            swapped = ast.Subscript(node.value, ast.Tuple(order, ast.Load()), node.ctx)
            cause = f"the places are exchanged: `{ast.unparse(swapped)}` in place of `{ast.unparse(node)}`"  # fmt: skip
            yield Edit(swap(s.slots, node, swapped), 0.3, cause)
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    for k, part in enumerate(parts):
        if not isinstance(part, ast.Slice) or part.step is not None:
            continue
        shape = np.shape(s.value(node.value))
        spans = [(1, None), (None, -1), (None, None)] if k < len(shape) else []
        for low, high in spans:
            new = ast.Slice(
                None if low is None else ast.Constant(low),
                None if high is None else ast.UnaryOp(ast.USub(), ast.Constant(-high)),
            )
            if ast.dump(new) != ast.dump(part):
                yield Edit(swap(s.slots, part, new), 0.3, _slice_cause(node, part, new))


def _slice_cause(node: ast.Subscript, part: ast.Slice, new: ast.Slice) -> str:
    """Say what was wrong with a slice: most leave the bias in, or take the wrong column off."""
    before, after = (f"[{ast.unparse(x)}]" for x in (part, new))
    text = ast.unparse(node)
    if part.lower is None and part.upper is None and new.lower is not None:
        return f"the first row or column, that of the bias, is left in by `{text}`: {after} in place of {before}"  # fmt: skip
    return f"`{text}` takes the wrong part: {after} in place of {before}"


# ---- another value, another function


def _other_values(s: Surroundings, node: Any) -> Iterator[Edit]:
    """Read another value of the same shape."""
    if not isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
        return
    text = ast.unparse(node)
    value = s.value(node)
    if not isinstance(value, int | float | np.generic | np.ndarray):
        return
    parent = s.slots[id(node)][0]
    handed = isinstance(parent, ast.Call) and s.is_own(ast.unparse(parent.func))
    for atom in s.atoms:
        alike = np.shape(value) == atom.shape or (handed and np.ndim(value) == len(atom.shape))
        if atom.text == text or not alike or _same(atom.value, value):
            continue
        index = np.ndim(value) == 0 and isinstance(value, int) and isinstance(atom.value, int)
        cost = 0.45 if index else 0.3 if np.shape(value) == atom.shape else 0.4
        cost += 0.1 * ("+ 1]" in atom.text or "- 1]" in atom.text)
        cause = f"the wrong value is taken: `{atom.text}` in place of `{text}`"
        if isinstance(s.slots[id(node)][0], ast.Call) and np.ndim(value):
            cause = f"the function is taken at the wrong value: at `{atom.text}` in place of `{text}`"
        yield Edit(swap(s.slots, node, atom.tree), cost, cause)


def _same(a: Any, b: Any) -> bool:
    try:
        return bool(np.array_equal(a, b))
    except Exception:
        return False


_ALIKE = [("sum", "mean"), ("maximum", "minimum"), ("max", "min"), ("zeros_like", "ones_like")]


def _other_calls(s: Surroundings, node: Any) -> Iterator[Edit]:
    """Call another function, or none."""
    if not isinstance(node, ast.Call):
        return
    text = ast.unparse(node.func)
    if isinstance(node.func, ast.Attribute):
        for pair in _ALIKE:
            if node.func.attr in pair:
                other = pair[1 - pair.index(node.func.attr)]
                new = ast.Call(ast.Attribute(node.func.value, other, ast.Load()), node.args, node.keywords)  # fmt: skip
                yield Edit(swap(s.slots, node, new), 0.25, _call_cause(node.func.attr, other, node))
    for callee, count in s.callees.items():
        if callee != text and len(node.args) >= 1 and count in (len(node.args), len(node.args) + 1):
            new = ast.Call(written(callee), node.args, node.keywords)
            cause = f"the wrong function is called: `{callee}` in place of `{text}`"
            yield Edit(swap(s.slots, node, new), 0.5, cause)
    if len(node.args) == 1 and not node.keywords and not isinstance(node.args[0], ast.Starred):
        cause = f"`{text}` should not be called: `{ast.unparse(node.args[0])}` itself is wanted"
        yield Edit(swap(s.slots, node, node.args[0]), 0.4, cause)


def _call_cause(name: str, other: str, node: ast.Call) -> str:
    """Say what a sum in place of a mean means, and the like."""
    if {name, other} == {"sum", "mean"}:
        found = "the factor 1/m is too much" if name == "mean" else "the factor 1/m is missing"
        return f"{found}: `{name}` in `{ast.unparse(node)}`, where the {other} is wanted"
    return f"`{name}` in `{ast.unparse(node)}` should be `{other}`"


