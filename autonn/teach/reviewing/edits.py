"""Small changes to a line: each is what a mistake of one kind looks like, taken back.

A change is tried by running the program with it. If all gradients come out right then, that is the
line, and the change is the cause.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from autonn.teach.reviewing.atoms import Atom, evaluated, written
from autonn.teach.reviewing.programs import Part
from autonn.teach.reviewing.watching import Line

__all__ = [
    "OPERATORS",
    "OPPOSITE",
    "Edit",
    "Slots",
    "Surroundings",
    "assignments",
    "expressions",
    "factors",
    "root_of",
    "swap",
    "terms_of",
]

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
    flows
        Whether it changes when, or how often, a right value is taken.
    late
        Whether of several lines that it would repair, the last is meant.
    times
        Whether it multiplies what stands there, or a part of it, by a number.
    """

    do: Callable[[], Callable[[], None]]
    cost: float
    cause: str
    scales: bool = False
    flows: bool = False
    late: bool = False
    times: bool = False


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

    def places(self) -> dict[str, ast.expr]:
        """Return the indices by which the function takes single places, by their texts."""
        found: dict[str, ast.expr] = {}
        for node in ast.walk(self.line.part.definition):
            place = node.slice if isinstance(node, ast.Subscript) else None
            if place is None or isinstance(place, ast.Constant):
                continue
            if not any(isinstance(n, ast.Slice) for n in ast.walk(place)):
                found.setdefault(ast.unparse(place), place)
        return found

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
    s: Any = line.statement
    if isinstance(s, ast.Expr):
        call: Any = s.value
        return call.args[0] if len(call.args) == 1 else None
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


# ---- how the value is assigned

OPERATORS: dict[type, str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**", ast.MatMult: "@",
}  # fmt: skip
OPPOSITE: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
}  # fmt: skip


def assignments(s: Surroundings) -> Iterator[Edit]:
    """Add in place of overwriting, overwrite in place of adding, subtract in place of adding."""
    statement: Any = s.line.statement
    target = s.line.target
    if isinstance(s.line.statement, ast.Assign) and len(statement.targets) == 1:
        last = "the last example" if s.line.loops == 1 else "the last one"
        placed = isinstance(statement.targets[0], ast.Subscript)
        for op in (ast.Add(), ast.Sub()) if s.line.loops or placed else (ast.Add(),):
            new: ast.stmt = ast.AugAssign(cast(Any, statement.targets[0]), op, statement.value)
            cause = (
                f"`{target}` is overwritten each time round the loop, so that only {last} is left: "
                f"the sum over all is wanted, `{OPERATORS[type(op)]}=` in place of `=`"
                if s.line.loops
                else f"`{target}` is overwritten where a term was to be added to it: "
                f"`{OPERATORS[type(op)]}=` in place of `=`"
            )
            yield Edit(swap(s.slots, statement, new), 0.2, cause, flows=True)
    if isinstance(statement, ast.AugAssign):
        load = ast.Assign([statement.target], statement.value)
        cause = f"`{target}` is added to where it should be set: `=` in place of `{{}}=`"
        sign = OPERATORS.get(type(statement.op), "")
        yield Edit(swap(s.slots, statement, load), 0.3, cause.format(sign), flows=True)
        other = OPPOSITE.get(type(statement.op))
        if other is not None:
            changed = ast.AugAssign(statement.target, other(), statement.value)
            what = "the sign is wrong" if sign in "+-" else "it multiplies where it should divide"
            what = what if sign != "/" else "it divides where it should multiply"
            cause = f"{what}: `{OPERATORS[other]}=` in place of `{sign}=`"
            yield Edit(swap(s.slots, statement, changed), 0.2, cause)


# ---- factors and signs


def _times(node: Any, factor: ast.expr, op: ast.operator | None = None) -> ast.BinOp:
    return ast.BinOp(node, op or ast.Mult(), factor)


def factors(s: Surroundings) -> Iterator[Edit]:
    """Multiply what a line computes, or a term of it, by -1, 2, 1/2, m, 1/m, numbers at hand."""
    root = root_of(s.line)
    if root is None:
        return
    beside = _scaled_beside(root) if isinstance(s.line.statement, ast.Return) else set()
    for depth, node in enumerate(terms_of(root)):
        if not isinstance(node, ast.expr) or isinstance(node, ast.Constant):
            continue
        cost = 0.1 + 0.05 * min(0 if id(node) in beside else depth, 4)
        of = "" if depth == 0 else f" of `{ast.unparse(node)}`"
        scales = depth == 0 or id(node) in beside
        yield from _struck(s, node, cost, scales)
        yield Edit(
            swap(s.slots, node, ast.UnaryOp(ast.USub(), node)), cost,
            f"the sign{of} is wrong: it is the negative of what it should be", scales,
            times=True,
        )  # fmt: skip
        for factor, op, text in _knownfactors(s):
            yield Edit(swap(s.slots, node, _times(node, factor, op)), cost + 0.05, text + of,
                       scales, late="mean should" in text, times=True)  # fmt: skip


def _struck(s: Surroundings, node: Any, cost: float, scales: bool) -> Iterator[Edit]:
    """Strike a number that a value is divided by, which is likelier than that one is missing."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and np.ndim(
        s.value(node.right)
    ) == 0:  # fmt: skip
        by = ast.unparse(node.right)
        cause = f"the factor 1/{by} is there once too often in `{ast.unparse(node)}`"
        yield Edit(swap(s.slots, node, node.left), cost + 0.02, cause, scales, times=True)


def _scaled_beside(root: Any) -> set[int]:
    """Find the bare names among returned values of which others are multiplied or divided."""
    found: set[int] = set()
    for node in ast.walk(root):
        parts = node.values if isinstance(node, ast.Dict) else getattr(node, "elts", [])
        scaled = [isinstance(p, ast.BinOp) and isinstance(p.op, ast.Mult | ast.Div) for p in parts]
        if any(scaled):
            found |= {id(p) for p in parts if isinstance(p, ast.Name | ast.Attribute)}
    return found


def _knownfactors(s: Surroundings) -> Iterator[tuple[ast.expr, ast.operator, str]]:
    """Yield numbers to multiply and to divide by, and what it means if they repair a line."""
    names = _names_of_sizes(s)
    for size, what in s.sizes.items():
        if size > 2 or (size == 2 and "example" in what):
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
        if not _is_a_factor(s, atom):
            continue
        yield atom.tree, ast.Mult(), f"the factor `{atom.text}` is missing"
        yield atom.tree, ast.Div(), f"it has to be divided by `{atom.text}`"
        for size, what in s.sizes.items():
            if size > 1 and "example" in what and not isinstance(atom.value, int):
                both = ast.BinOp(atom.tree, ast.Div(), ast.Constant(size))
                yield both, ast.Mult(), f"the factor `{atom.text}`/m is missing (m = {size})"


def _is_a_factor(s: Surroundings, atom: Any) -> bool:
    """Whether it is a number that is worth trying, and is not tried as a size."""
    known = isinstance(atom.value, int | float | np.floating) or np.ndim(atom.value) == 0
    tried = atom.is_number and known and (atom.value in (0, 1, -1, 2) or atom.value in s.sizes)
    return bool(atom.is_number and known and not tried)


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
