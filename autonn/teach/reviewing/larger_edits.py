"""Larger changes: a slope, a term or a whole step that is missing, a line that stands elsewhere."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from autonn.teach.reviewing.atoms import Atom, written
from autonn.teach.reviewing.edits import (
    OPERATORS,
    Edit,
    Surroundings,
    expressions,
    root_of,
    swap,
    terms_of,
)
from autonn.teach.reviewing.programs import HOOKS

__all__ = [
    "Helpers",
    "bias_edits",
    "factor_slope_edits",
    "moves",
    "placed_edits",
    "slope_edits",
    "step_edits",
    "term_edits",
]


class Helpers:
    """What changed programs may call besides their own functions."""

    @staticmethod
    def unbiased(x: Any, axis: int) -> Any:
        """Return a copy with its first row or column set to 0, that of the bias."""
        out = np.array(x, dtype=float)
        out[(slice(None),) * axis + (0,)] = 0
        return out


def bias_edits(s: Surroundings) -> Iterator[Edit]:
    """Yield the changes that leave the bias out."""
    if root_of(s.line) is not None:
        yield from _unbiased(s)


def factor_slope_edits(s: Surroundings) -> Iterator[Edit]:
    """Yield the changes that multiply by a slope, or by another value at hand."""
    root = root_of(s.line)
    for k, node in enumerate(_places(s, root)) if root is not None else ():
        yield from _slopes(s, node, k)
        yield from _chains(s, node, k)


def term_edits(s: Surroundings) -> Iterator[Edit]:
    """Yield the changes that add a term."""
    root = root_of(s.line)
    for node in terms_of(root) if root is not None else ():
        yield from _terms(s, node)
        yield from _indicators(s, node)
    if root is not None and s.line.loops:
        yield from _products(s, root)


def step_edits(s: Surroundings) -> Iterator[Edit]:
    """Yield the changes that insert a step after a line."""
    if root_of(s.line) is not None:
        yield from _steps(s)


def placed_edits(s: Surroundings) -> Iterator[Edit]:
    """Yield the changes that insert a step at some places after a line."""
    if root_of(s.line) is not None:
        yield from _placed_steps(s)


def slope_edits(s: Surroundings) -> Iterator[Edit]:
    """Yield the changes that take the slope of another activation."""
    root = root_of(s.line)
    for node in expressions(s.line):
        parent = s.slots[id(node)][0]
        product = isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Mult)
        if product or node is root:
            yield from _other_slopes(s, node)
        yield from _other_slopes_of_two(s, node)


def _places(s: Surroundings, root: Any) -> list[Any]:
    """List what a factor or a term may be missing from: the value, its terms, factors, pieces."""
    found = []
    for node in terms_of(root):
        found.append(node)
        if isinstance(node, ast.BinOp):
            found += [n for n in (node.left, node.right) if not isinstance(n, ast.Constant)]
        if isinstance(node, ast.Call):
            found += [a for a in node.args if not isinstance(a, ast.Starred | ast.Constant)]
    unique = {id(n): n for n in found if isinstance(n, ast.expr)}
    return list(unique.values())


# ---- slopes of activations


def _squashed(text: str) -> Iterator[tuple[str, str]]:
    """Yield the slopes of activations by what they give, with their names."""
    yield f"({text} * (1 - {text}))", f"a(1 - a), that of the sigmoid, a = `{text}`"
    yield f"(1 - {text} ** 2)", f"1 - a^2, that of tanh, a = `{text}`"
    yield f"({text} > 0)", f"1 where `{text}` > 0, that of ReLU"


def _slopes(s: Surroundings, node: Any, k: int) -> Iterator[Edit]:
    """Multiply by the slope of an activation, by another value, or divide by one."""
    value = s.value(node)
    if not isinstance(value, np.ndarray | float | np.floating):
        return
    of = "" if k == 0 else f" in `{ast.unparse(node)}`"
    for atom in s.atoms:
        if not _fits(atom, np.shape(value)):
            if atom.shape and atom.shape == np.shape(value)[-len(atom.shape) :]:
                cause = f"the factor `{atom.text}` is missing{of}"
                yield Edit(_multiplied(s, node, atom.text), 1.15 + 0.05 * (k > 0), cause)
            continue
        own = list(_own(s, atom))
        calls = [pair for f, _ in own for pair in _squashed(f)]
        for text, name in [*_squashed(atom.text), *own, *calls]:
            cause = f"the slope of the activation is missing{of}: a factor {name}"
            yield Edit(_multiplied(s, node, text), 1.0 + 0.05 * (k > 0), cause)
        cause = f"the factor `1 - {atom.text}` is missing{of}: the slope is a(1 - a)"
        yield Edit(_multiplied(s, node, f"(1 - {atom.text})"), 1.05 + 0.05 * (k > 0), cause)
        cause = f"the factor `{atom.text}` is missing{of}"
        yield Edit(_multiplied(s, node, atom.text), 1.1 + 0.05 * (k > 0), cause)


def _chains(s: Surroundings, node: Any, k: int) -> Iterator[Edit]:
    """Multiply and divide by all that another value of the program is multiplied and divided by."""
    value = s.value(node)
    if not isinstance(value, np.ndarray):
        return
    for other in ast.walk(s.line.part.definition):
        inner = getattr(other, "left", None)
        if not isinstance(other, ast.BinOp) or not isinstance(inner, ast.BinOp):
            continue
        if not all(isinstance(b.op, ast.Mult | ast.Div) for b in (other, inner)):
            continue
        new = ast.BinOp(ast.BinOp(node, inner.op, inner.right), other.op, other.right)
        if np.shape(s.value(other)) != value.shape:
            continue
        by = "".join(f" {OPERATORS[type(b.op)]} {ast.unparse(b.right)}" for b in (inner, other))
        of = "" if k == 0 else f" in `{ast.unparse(node)}`"
        cause = f"the factor is missing{of} that `{ast.unparse(inner.left)}` has: `{by.strip()}`"
        yield Edit(swap(s.slots, node, copy.deepcopy(new)), 1.2, cause)


def _own(s: Surroundings, atom: Atom) -> Iterator[tuple[str, str]]:
    """Yield the program's own functions of one value, as slopes."""
    for callee, count in s.callees.items():
        if count == 1 and s.is_own(callee):
            yield f"{callee}({atom.text})", f"`{callee}({atom.text})`"


def _fits(atom: Atom, shape: tuple[int, ...]) -> bool:
    """Whether a value could be a factor of one of that shape: all its elements have their own."""
    if not shape:
        return isinstance(atom.value, float)
    squeezed = tuple(n for n in atom.shape if n != 1)
    return bool(atom.shape) and squeezed == tuple(n for n in shape if n != 1)


def _multiplied(s: Surroundings, node: Any, text: str) -> Callable[[], Callable[[], None]]:
    return swap(s.slots, node, ast.BinOp(node, ast.Mult(), written(text)))


def _other_slopes(s: Surroundings, node: Any) -> Iterator[Edit]:
    """Take the slope of another activation, or that at another value."""
    value = s.value(node)
    if not isinstance(value, np.ndarray | np.number | float):
        return
    text = ast.unparse(node)
    for new, name in _slopes_of_shape(s, np.shape(value)):
        if new.strip("()") != text:
            cause = f"the slope `{text}` is the wrong one: {name}, is wanted"
            yield Edit(swap(s.slots, node, written(new)), 1.3, cause)


def _other_slopes_of_two(s: Surroundings, node: Any) -> Iterator[Edit]:
    """Take another slope in the place of one that is two factors of a longer product.

    Of ``delta * a * (1 - a)`` Python makes ``(delta * a) * (1 - a)``, and the slope is no part.
    """
    inner = getattr(node, "left", None)
    if not isinstance(node, ast.BinOp) or not isinstance(inner, ast.BinOp):
        return
    if not isinstance(node.op, ast.Mult | ast.Div) or not isinstance(inner.op, ast.Mult):
        return
    text = ast.unparse(ast.BinOp(inner.right, node.op, node.right))
    for new, name in _slopes_of_shape(s, np.shape(s.value(node))):
        cause = f"the slope `{text}` is the wrong one: {name}, is wanted"
        changed = ast.BinOp(inner.left, ast.Mult(), written(new))
        yield Edit(swap(s.slots, node, changed), 1.35, cause)


def _slopes_of_shape(s: Surroundings, shape: tuple[int, ...]) -> Iterator[tuple[str, str]]:
    """Yield the slopes that the values at hand of a shape give, each once, with their names."""
    seen: set[bytes] = set()
    for atom in s.atoms:
        if atom.shape != shape:
            continue
        calls = [pair for f, _ in _own(s, atom) for pair in _squashed(f)]
        for new, name in [*_squashed(atom.text), *_own(s, atom), *calls]:
            known = s.function(new)
            key = np.asarray(known, dtype=float).tobytes() if np.shape(known) == atom.shape else b""
            if key and key not in seen:
                seen.add(key)
                yield new, name


# ---- terms


def _products(s: Surroundings, node: Any) -> Iterator[Edit]:
    """Add a product that is missing: what comes back through a matrix, on another way."""
    value = s.value(node)
    if not isinstance(value, np.ndarray) or not value.shape:
        return
    matrices = [a for a in s.atoms if len(a.shape) == 2 and a.text.isidentifier()]
    others = [a for a in s.atoms if len(a.shape) == value.ndim and a.text.isidentifier()]
    for m in matrices[:8]:
        for v in others[:12]:
            forms = (f"{m.text}.T @ {v.text}", f"{v.text} @ {m.text}", f"{v.text} @ {m.text}.T")
            for text in forms:
                if np.shape(s.function(text)) == value.shape and m is not v:
                    new = ast.BinOp(node, ast.Add(), written(text))
                    cause = f"the term + {text} is missing: what comes back through `{m.text}`"
                    yield Edit(swap(s.slots, node, new), 1.3, cause)


def _coefficients(s: Surroundings) -> Iterator[tuple[str, str]]:
    """Yield the numbers that a term may stand with."""
    yield "1", ""
    sizes = [(n, what) for n, what in s.sizes.items() if "example" in what][:2]
    computed = _assigned(s)
    for atom in s.atoms:
        if atom.is_number and isinstance(atom.value, float) and atom.text not in computed:
            yield atom.text, f"{atom.text} * "
            for n, _ in sizes:
                yield f"{atom.text} / {n}", f"{atom.text}/m * "
            yield f"1 / {atom.text}", f"1/{atom.text} * "
    for n, _ in sizes:
        yield f"1 / {n}", "1/m * "


def _is_number(x: Any) -> bool:
    return isinstance(x, float | np.floating | np.ndarray) and np.ndim(x) == 0


def _indicators(s: Surroundings, node: Any) -> Iterator[Edit]:
    """Take off 1 where two whole numbers are equal, as a class and the right one."""
    for part in (node.left, node.right) if isinstance(node, ast.BinOp) else (node,):
        if not s.line.loops or not _is_number(s.value(part)):
            continue
        whole = [a for a in s.atoms if isinstance(a.value, int)]
        for a in whole:
            for b in whole:
                if a.text.isidentifier() and isinstance(b.tree, ast.Subscript):
                    text = f"({a.text} == {b.text})"
                    new = ast.BinOp(part, ast.Sub(), written(text))
                    cause = f"the term - {text} is missing beside `{ast.unparse(part)}`"
                    yield Edit(swap(s.slots, part, new), 1.2, cause)


def _assigned(s: Surroundings) -> set[str]:
    """Return the names that the function of a line gives values to."""
    names = (n for n in ast.walk(s.line.part.definition) if isinstance(n, ast.Name))
    return {n.id for n in names if isinstance(n.ctx, ast.Store)}


def _terms(s: Surroundings, node: Any) -> Iterator[Edit]:
    """Add a term that is missing: a value at hand, with a number."""
    value = s.value(node)
    if not isinstance(value, np.ndarray) or not value.shape:
        return
    assigned = _assigned(s)
    for atom in s.atoms:
        if atom.shape != value.shape:
            continue
        for number, shown in _coefficients(s):
            if shown and s.line.loops and atom.text in assigned:
                continue  # what a loop computes is no parameter, which alone is penalised
            for axis, op, sign in _ways_to_add(value.ndim, bool(shown)):
                of = atom.text if axis is None else f"{HOOKS}.unbiased({atom.text}, {axis})"
                new = ast.BinOp(node, op, written(f"({number}) * {of}"))
                penalty = " (the penalty)" if shown else ""
                without = "" if axis is None else ", but for the bias"
                cause = f"the term {sign} {shown}{atom.text}{penalty} is missing{without}"
                yield Edit(swap(s.slots, node, new), 1.2 + 0.02 * (axis or 0), cause)


def _ways_to_add(axes: int, penalty: bool) -> Iterator[tuple[int | None, ast.operator, str]]:
    """Yield how a term may be added: of a penalty, also without the bias along an axis."""
    yield None, ast.Add(), "+"
    if not penalty:
        yield None, ast.Sub(), "-"
        return
    for axis in (1, 0):
        if axis < axes:
            yield axis, ast.Add(), "+"


def _unbiased(s: Surroundings) -> Iterator[Edit]:
    """Leave the bias out of what a line adds."""
    statement = s.line.statement
    for node in expressions(s.line):
        if not isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
            continue
        value = s.value(node)
        if not isinstance(value, np.ndarray) or value.ndim > 2 or not value.shape:
            continue
        for axis in range(value.ndim):
            new = ast.Call(written(f"{HOOKS}.unbiased"), [node, ast.Constant(axis)], [])
            which = "row" if axis == 0 and value.ndim == 2 else "column" if axis else "entry"
            cause = (
                f"the bias is penalised too: the first {which} of `{ast.unparse(node)}` does not "
                "belong in it"
            )
            yield Edit(swap(s.slots, node, new), 0.6, cause)
    del statement


# ---- steps


def _steps(s: Surroundings) -> Iterator[Edit]:
    """Insert a step after a line that changes a part: a factor, a slope or a term left out."""
    statement = s.line.statement
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    if isinstance(statement, ast.AugAssign):
        target = statement.target
    elif not isinstance(target, ast.Subscript):
        return
    base = target.value if isinstance(target, ast.Subscript) else target
    slot = s.slots[id(statement)]
    if not isinstance(base, ast.Name | ast.Attribute) or slot[2] is None:
        return
    text, value = ast.unparse(base), s.value(base)
    if not isinstance(value, np.ndarray):
        return
    for new, cause, cost in _steps_on(s, value):
        step = ast.parse(f"{text} = {text} {new}").body[0]
        why = f"after this line a step is missing: `{text} = {text} {new}`: {cause}"
        yield Edit(_inserted(getattr(slot[0], slot[1]), statement, step), cost, why)


def _placed_steps(s: Surroundings) -> Iterator[Edit]:
    """Insert a step that takes 1 off at places which the program names: p - y of a softmax."""
    statement = s.line.statement
    slot = s.slots[id(statement)]
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    if not isinstance(target, ast.Name | ast.Attribute) or slot[2] is None:
        return
    values = s.value(root_of(s.line))
    if not isinstance(values, np.ndarray) or not values.shape:
        return
    for place in s.places():
        text = f"{ast.unparse(target)}[{place}] -= 1"
        why = f"after this line a step is missing: `{text}`: p - y is wanted, with y = 1 there"
        text = text.replace("[(", "[").replace(")] -= 1", "] -= 1") if "[(" in text else text
        step = ast.parse(text).body[0]
        yield Edit(_inserted(getattr(slot[0], slot[1]), statement, step), 0.5, why)


def _steps_on(s: Surroundings, value: Any) -> Iterator[tuple[str, str, float]]:
    """Yield what a value could be changed by, why, and at what cost."""
    for n, what in s.sizes.items():
        if n > 1:
            yield f"/ {n}", f"the factor 1/m is missing (m = {n}, the number of {what})", 0.5
    yield "* -1", "the sign is wrong", 0.5
    for atom in s.atoms:
        if _fits(atom, value.shape) and not s.line.loops:
            for text, name in [*_squashed(atom.text), *_own(s, atom)]:
                yield f"* {text}", f"the slope of the activation is missing, a factor {name}", 1.05
        if atom.shape == value.shape:
            for number, _ in _coefficients(s):
                yield f"+ ({number}) * {atom.text}", f"the term `{atom.text}` is missing", 1.25
        if atom.is_number and atom.value not in (0, 1, -1):
            yield f"/ {atom.text}", f"it has to be divided by `{atom.text}`", 0.6
            yield f"* {atom.text}", f"the factor `{atom.text}` is missing", 0.6


def _inserted(body: list[Any], statement: Any, step: ast.stmt) -> Callable[[], Callable[[], None]]:
    """Make the change that inserts a step after a statement."""

    def do() -> Callable[[], None]:
        """Insert the step after the statement."""
        for node in ast.walk(step):
            ast.copy_location(node, statement)
        body.insert(body.index(statement) + 1, step)
        return lambda: body.remove(step)

    return do


# ---- lines that stand elsewhere, or are too much


def moves(s: Surroundings) -> Iterator[Edit]:
    """Move a line into the loop before it, out of its loop, past a neighbour, or leave it out."""
    statement = s.line.statement
    slot = s.slots.get(id(statement))
    if slot is None or slot[2] is None:
        return
    parent, name = slot[:2]
    k = int(slot[2])
    body = getattr(parent, name)
    target = s.line.target
    if k > 0 and isinstance(body[k - 1], ast.For | ast.While):
        loop = body[k - 1]
        cause = f"the line stands outside its loop: `{target}` should be computed each time round"
        yield Edit(_moved(body, statement, loop.body, len(loop.body)), 0.5, cause, flows=True)
    outer = s.slots.get(id(parent))
    if isinstance(parent, ast.For | ast.While) and outer is not None and outer[2] is not None:
        around = getattr(outer[0], outer[1])
        cause = f"the line stands inside the loop: `{target}` should be computed once, after it"
        at = around.index(parent)
        yield Edit(_moved(body, statement, around, at + 1), 0.5, cause, flows=True)
    if k > 0:
        cause = f"the line comes too late: it should stand before `{_first(body[k - 1])}`"
        yield Edit(_moved(body, statement, body, k - 1), 0.7, cause, flows=True)
    if k + 1 < len(body):
        cause = f"the line comes too early: it should stand after `{_first(body[k + 1])}`"
        yield Edit(_moved(body, statement, body, k + 1), 0.7, cause, flows=True)
    cause = f"the line is too much: without it `{target}` is right"
    if isinstance(statement, ast.Expr):
        cause = "the line is too much: without it all is right"
    whole = 0.05 * isinstance(statement, ast.For)  # of what is in a loop, the line is meant
    yield Edit(_replaced(body, statement, ast.Pass()), 0.6 + whole, cause, flows=True)


def _first(statement: Any) -> str:
    return ast.unparse(statement).splitlines()[0]


def _moved(
    body: list[Any], statement: Any, to: list[Any], at: int
) -> Callable[[], Callable[[], None]]:
    """Make the change that takes a statement from one place to another."""

    def do() -> Callable[[], None]:
        """Move it."""
        before, other = list(body), list(to)
        body.remove(statement)
        to.insert(at, statement)
        if not body:
            body.append(ast.copy_location(ast.Pass(), statement))

        def undo() -> None:
            to[:] = other
            body[:] = before

        return undo

    return do


def _replaced(body: list[Any], statement: Any, new: Any) -> Callable[[], Callable[[], None]]:
    """Make the change that puts another statement in the place of one."""

    def do() -> Callable[[], None]:
        """Put another statement in its place."""
        k = body.index(statement)
        body[k] = ast.copy_location(new, statement)
        return lambda: body.__setitem__(k, statement)

    return do
