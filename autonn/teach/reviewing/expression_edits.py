"""Small changes of the expressions in a line: an operator, a number, a slice, another value."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from autonn.teach.reviewing.atoms import written
from autonn.teach.reviewing.edits import (
    OPERATORS,
    OPPOSITE,
    Edit,
    Surroundings,
    assignments,
    expressions,
    factors,
    root_of,
    swap,
)

__all__ = ["factor_edits", "flow_edits", "form_edits", "other_edits", "simple_edits"]


def simple_edits(s: Surroundings) -> Iterator[Edit]:
    """Yield the small changes of a line, the likely ones first."""
    yield from factors(s)
    yield from _renamed(s)
    for node in expressions(s.line):
        yield from _other_values(s, node)
        yield from _formed(s, node)


def form_edits(s: Surroundings) -> Iterator[Edit]:
    """Yield the small changes of a line that computes no numbers of its own: counts, loops."""
    yield from assignments(s)
    for node in expressions(s.line):
        if isinstance(s.value(node), np.ndarray):
            yield from _other_values(s, node)
        yield from _formed(s, node)


def _formed(s: Surroundings, node: Any) -> Iterator[Edit]:
    """Yield the changes of how an expression is written."""
    yield from _operators(s, node)
    yield from _squares(s, node)
    yield from _other_places(s, node)
    yield from _constants(s, node)
    yield from _transpositions(s, node)
    yield from _slices(s, node)


def factor_edits(s: Surroundings) -> Iterator[Edit]:
    """Yield the changes by a factor alone."""
    yield from (edit for edit in factors(s) if edit.scales)


def flow_edits(s: Surroundings) -> Iterator[Edit]:
    """Yield the changes of how a value is assigned."""
    yield from assignments(s)


def other_edits(s: Surroundings) -> Iterator[Edit]:
    """Yield the changes that take another value or function that the program names."""
    for node in expressions(s.line):
        yield from _other_calls(s, node)


# ---- inside an expression


def _operators(s: Surroundings, node: Any) -> Iterator[Edit]:
    """Take another operator, or one operand alone."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        cause = f"the sign is wrong: `{ast.unparse(node)}` has a minus too much"
        yield Edit(swap(s.slots, node, node.operand), 0.1, cause, node is root_of(s.line))
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        flipped: dict[type, type] = {
            ast.Gt: ast.Lt,
            ast.Lt: ast.Gt,
            ast.GtE: ast.LtE,
            ast.LtE: ast.GtE,
            ast.Eq: ast.NotEq,
            ast.NotEq: ast.Eq,
        }
        other = flipped.get(type(node.ops[0]))
        if other is not None:
            new = ast.Compare(node.left, [other()], node.comparators)
            yield Edit(
                swap(s.slots, node, new),
                0.3,
                f"the comparison is the wrong way round in `{ast.unparse(node)}`",
            )
    if isinstance(node, ast.BinOp):
        yield from _other_operators(s, node)


def _other_operators(s: Surroundings, node: ast.BinOp) -> Iterator[Edit]:
    """Take another operator between two operands."""
    text = ast.unparse(node)
    opposite = OPPOSITE.get(type(node.op))
    sign = OPERATORS.get(type(node.op), "?")
    if opposite is not None:
        is_sum = isinstance(node.op, ast.Add | ast.Sub)
        cause = (
            f"a sign is wrong in `{text}`: `{OPERATORS[opposite]}` "
            f"should stand in place of `{sign}`"
        )
        if not is_sum:
            does = "divided" if opposite is ast.Div else "multiplied"
            cause = f"in `{text}` it should be {does}: `{OPERATORS[opposite]}` in place of `{sign}`"
        yield Edit(swap(s.slots, node, ast.BinOp(node.left, opposite(), node.right)), 0.25, cause)
    if isinstance(node.op, ast.Mult | ast.MatMult):
        by_elements = isinstance(node.op, ast.MatMult)
        other_op: ast.operator = ast.Mult() if by_elements else ast.MatMult()
        swapped_op = ast.BinOp(node.left, other_op, node.right)
        what = "element by element, `*`" if by_elements else "of matrices, `@`"
        cause = f"`{text}` should be a product {what}"
        yield Edit(swap(s.slots, node, swapped_op), 0.35, cause)
    yield from _operands(s, node, text)


def _operands(s: Surroundings, node: ast.BinOp, text: str) -> Iterator[Edit]:
    """Leave an operand out, swap the two, or square one of them no longer."""
    left, right = ast.unparse(node.left), ast.unparse(node.right)
    if isinstance(node.op, ast.Mult | ast.Div):
        kind = "factor" if isinstance(node.op, ast.Mult) else "division by"
        yield Edit(
            swap(s.slots, node, node.left), 0.3, f"the {kind} `{right}` is too much in `{text}`"
        )
    yield from _two_factors(s, node)
    if isinstance(node.op, ast.Mult):
        yield Edit(
            swap(s.slots, node, node.right), 0.3, f"the factor `{left}` is too much in `{text}`"
        )
    if isinstance(node.op, ast.Add | ast.Sub):
        yield Edit(
            swap(s.slots, node, node.left), 0.35, f"the term `{right}` is too much in `{text}`"
        )
        yield Edit(
            swap(s.slots, node, node.right), 0.4, f"the term `{left}` is too much in `{text}`"
        )
    if isinstance(node.op, ast.Pow):
        yield Edit(
            swap(s.slots, node, node.left),
            0.25,
            f"`{text}` should not be squared: `{left}` itself is wanted",
        )
    if isinstance(node.op, ast.Sub | ast.MatMult):
        new = ast.BinOp(node.right, node.op, node.left)
        what = (
            "the sign is wrong"
            if isinstance(node.op, ast.Sub)
            else "the product is the wrong way round"
        )
        yield Edit(
            swap(s.slots, node, new),
            0.25 if isinstance(node.op, ast.MatMult) else 0.12,
            f"{what}: `{ast.unparse(new)}` in place of `{text}`",
            node is root_of(s.line),
        )


def _squares(s: Surroundings, node: Any) -> Iterator[Edit]:
    """Square a value in a sum, product or quotient."""
    parent = s.slots[id(node)][0]
    if not isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
        return
    if not isinstance(parent, ast.BinOp) or isinstance(parent.op, ast.Pow | ast.MatMult):
        return
    if isinstance(s.value(node), np.ndarray | np.number | float):
        new = ast.BinOp(node, ast.Pow(), ast.Constant(2))
        cause = f"a square is missing: `{ast.unparse(new)}` in place of `{ast.unparse(node)}`"
        yield Edit(swap(s.slots, node, new), 0.28, cause)


def _other_places(s: Surroundings, node: Any) -> Iterator[Edit]:
    """Write to, or read, other places: those that the program names elsewhere."""
    parent, name, _ = s.slots[id(node)]
    if not isinstance(parent, ast.Subscript) or name != "slice":
        return
    value = s.value(parent.value)
    if not isinstance(value, np.ndarray):
        return
    for text, place in s.places().items():
        if text != ast.unparse(node):
            cause = (
                f"the wrong places of `{ast.unparse(parent.value)}` are taken: `[{text}]` "
                f"in place of `[{ast.unparse(node)}]`"
            )
            yield Edit(swap(s.slots, node, copy.deepcopy(place)), 0.4, cause)


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
            yield Edit(
                swap(s.slots, node, kept),
                0.5,
                f"the factor `{text}` is too much in `{ast.unparse(node)}`",
            )


def _constants(s: Surroundings, node: Any) -> Iterator[Edit]:
    """Change a whole number by one, or a number by the factor 2; the order of unrolling."""
    if not isinstance(node, ast.Constant):
        return
    value = node.value
    if isinstance(value, str) and value in ("C", "F"):
        other = "F" if value == "C" else "C"
        cause = f"the order of unrolling is wrong: {other!r} in place of {value!r}"
        yield Edit(swap(s.slots, node, ast.Constant(other)), 0.3, cause)
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield from _other_numbers(s, node, value)


def _other_numbers(s: Surroundings, node: ast.Constant, value: Any) -> Iterator[Edit]:
    """Change a number by one, by the factor 2, or its sign."""
    others: list[int | float] = [value + 1, value - 1] if isinstance(value, int) else []
    others += [value * 2, value / 2, -value, value + 1.0, value - 1.0]
    parent = s.slots[id(node)][0]
    if isinstance(parent, ast.Compare):
        others.append(0)
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
        cause = (
            f"a transposition is too much: `{ast.unparse(node.value)}` "
            f"in place of `{ast.unparse(node)}`"
        )
        yield Edit(swap(s.slots, node, node.value), 0.2, cause)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in ("transpose", "dot", "outer") and len(node.args) == 2:
            new = ast.Call(node.func, node.args[::-1], node.keywords)
            yield Edit(
                swap(s.slots, node, new),
                0.25,
                f"the product is the wrong way round: "
                f"`{ast.unparse(new)}` in place of `{ast.unparse(node)}`",
            )
        if node.func.attr == "transpose" and not node.args:
            yield Edit(
                swap(s.slots, node, node.func.value),
                0.2,
                f"a transposition is too much in `{ast.unparse(node)}`",
            )
    if not isinstance(node, ast.Name | ast.Attribute | ast.Subscript | ast.BinOp | ast.Call):
        return
    value = s.value(node)
    if isinstance(value, np.ndarray) and value.ndim == 2 and 1 not in value.shape:
        new_node = ast.Attribute(node, "T", ast.Load())
        cause = (
            f"a transposition is missing: `{ast.unparse(new_node)}` "
            f"in place of `{ast.unparse(node)}`"
        )
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
            cause = (
                f"the places are exchanged: `{ast.unparse(swapped)}` "
                f"in place of `{ast.unparse(node)}`"
            )
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
        return (
            f"the first row or column, that of the bias, is "
            f"left in by `{text}`: {after} in place of {before}"
        )
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
        cost = _cost_of_another(value, atom)
        cause = f"the wrong value is taken: `{atom.text}` in place of `{text}`"
        if isinstance(s.slots[id(node)][0], ast.Call) and np.ndim(value):
            cause = (
                f"the function is taken at the wrong value: at `{atom.text}` in place of `{text}`"
            )
        yield Edit(swap(s.slots, node, atom.tree), cost, cause)


def _cost_of_another(value: Any, atom: Any) -> float:
    """Say how unlikely it is that this value was meant."""
    index = np.ndim(value) == 0 and isinstance(value, int) and isinstance(atom.value, int)
    cost = 0.45 if index else 0.3 if np.shape(value) == atom.shape else 0.4
    return cost + 0.1 * ("+ 1]" in atom.text or "- 1]" in atom.text)


def _renamed(s: Surroundings) -> Iterator[Edit]:
    """Read another value wherever a line names one twice, best one that is computed for nothing."""
    root = root_of(s.line)
    if root is None:
        return
    named: dict[str, list[ast.Name]] = {}
    for node in expressions(s.line):
        if isinstance(node, ast.Name):
            named.setdefault(node.id, []).append(node)
    loads = _names_read(s.line.part.definition)
    for name, nodes in named.items():
        value = s.value(nodes[0])
        if len(nodes) < 2 or not isinstance(value, np.ndarray):
            continue
        for atom in s.atoms:
            if atom.text.isidentifier() and atom.text != name and atom.shape == value.shape:
                new = _with_name(root, name, atom.text)
                cause = f"the wrong value is taken: `{atom.text}` in place of `{name}`"
                cost = 0.46 if atom.text in loads else 0.29
                yield Edit(swap(s.slots, root, new), cost, cause)


def _names_read(tree: ast.AST) -> set[str]:
    """List the names that are read in a function."""
    names = (n for n in ast.walk(tree) if isinstance(n, ast.Name))
    return {n.id for n in names if isinstance(n.ctx, ast.Load)}


def _with_name(root: Any, name: str, other: str) -> Any:
    """Copy an expression with another name in the place of one."""
    new = copy.deepcopy(root)
    for n in ast.walk(new):
        if isinstance(n, ast.Name) and n.id == name:
            n.id = other
    return new


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
                new = ast.Call(
                    ast.Attribute(node.func.value, other, ast.Load()), node.args, node.keywords
                )
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
