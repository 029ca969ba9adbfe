"""What a line could have been made of: the values that its program names, as they were there."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import numpy as np

from autonn.teach.reviewing.programs import Part
from autonn.teach.reviewing.recording import plain
from autonn.teach.reviewing.watching import Line

__all__ = ["Atom", "atoms_of", "callees_of", "counted", "evaluated", "written"]


@dataclass
class Atom:
    """A value by the expression that reads it."""

    text: str
    tree: ast.expr
    value: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape; () of a number."""
        return np.shape(self.value)

    @property
    def is_number(self) -> bool:
        """Whether it is a single number."""
        return self.shape == ()


_JOINERS = (type(np.c_), type(np.r_))


def written(text: str) -> ast.expr:
    """Parse an expression."""
    return ast.parse(text, mode="eval").body


def evaluated(tree: ast.expr, line: Line) -> Any:
    """Evaluate an expression where a line ran first; None where it has no value there."""
    try:
        code = compile(ast.Expression(tree), "<review>", "eval")
        with np.errstate(all="ignore"):
            value = plain(eval(code, dict(line.part.function.__globals__), line.env))
            # np.c_ and np.r_ have items without end: who asks for their shape waits for ever.
            return None if isinstance(value, _JOINERS) else value
    except Exception:
        return None


def _is_numeric(x: Any) -> bool:
    """Whether something is a number or an array of numbers; truth is none."""
    if isinstance(x, bool | np.bool_):
        return False
    return isinstance(x, int | float | np.number) or (
        isinstance(x, np.ndarray) and x.dtype.kind in "fiub"
    )


def _references(part: Part) -> Iterator[ast.expr]:
    """Yield what a function reads by name, attribute and item, and items at each other's places."""
    containers: dict[str, ast.expr] = {}
    places: dict[str, ast.expr] = {}
    for node in ast.walk(part.definition):
        if isinstance(node, ast.Name | ast.Attribute):
            yield node
            containers.setdefault(ast.unparse(node), node)
        elif isinstance(node, ast.Subscript) and _is_plain(node.slice):
            yield node
            if not any(isinstance(n, ast.Slice) for n in ast.walk(node.slice)):
                places.setdefault(ast.unparse(node.slice), node.slice)
    for place in list(places.values()):
        for other in _beside(place):
            places.setdefault(ast.unparse(other), other)
    for container in containers.values():
        for place in list(places.values())[:24]:
            yield ast.Subscript(container, place, ast.Load())


def _beside(place: ast.expr) -> Iterator[ast.expr]:
    """Yield the places before and after one that is a name, or a name and a number."""
    name, shift = place, 0
    if isinstance(place, ast.BinOp) and isinstance(place.right, ast.Constant):
        by = place.right.value
        sign = {ast.Add: 1, ast.Sub: -1}.get(type(place.op), 0)
        name, shift = (place.left, sign * by) if sign and isinstance(by, int) else (place, 0)
    if isinstance(name, ast.Name):
        for k in (shift - 1, shift + 1):
            op: ast.operator = ast.Add() if k > 0 else ast.Sub()
            yield ast.BinOp(name, op, ast.Constant(abs(k))) if k else name


def counted(atoms: list[Atom], line: Line) -> dict[int, str]:
    """Say which whole numbers that a program names are lengths of its arrays, and no counters."""
    loops = (n for n in ast.walk(line.part.definition) if isinstance(n, ast.For))
    counters = {ast.unparse(n.target) for n in loops}
    first = {a.shape[0] for a in atoms if a.shape}
    lengths = {n for a in atoms for n in a.shape}
    whole = (a for a in atoms if isinstance(a.value, int) and a.text not in counters)
    numbers = {a.value for a in whole if a.value > 1}
    return {n: "examples" if n in first else "values" for n in numbers & lengths}


def _is_plain(index: ast.expr) -> bool:
    """Whether an index calls nothing."""
    return not any(isinstance(n, ast.Call) for n in ast.walk(index))


def _may_hold(container: ast.expr, line: Line, held: dict[str, bool]) -> bool:
    """Whether something has items: a list, tuple or dict, or an array."""
    text = ast.unparse(container)
    if text not in held:
        held[text] = isinstance(evaluated(container, line), list | tuple | dict | np.ndarray)
    return held[text]


def _kept(line: Line) -> Iterator[ast.expr]:
    """Yield what the objects and dicts at hand keep: what another method has put there."""
    names = {n.id for n in ast.walk(line.part.definition) if isinstance(n, ast.Name)}
    names |= {a.arg for a in line.part.definition.args.args}
    for name, thing in line.env.items():
        if name not in names:
            continue
        if isinstance(thing, dict):
            for key in list(thing)[:40]:
                if isinstance(key, str):
                    yield ast.Subscript(ast.Name(name, ast.Load()), ast.Constant(key), ast.Load())
        elif not isinstance(thing, np.ndarray | type | FunctionType):
            for key, value in list(getattr(thing, "__dict__", {}).items())[:40]:
                if isinstance(value, np.ndarray):
                    yield ast.Attribute(ast.Name(name, ast.Load()), key, ast.Load())


def atoms_of(line: Line) -> list[Atom]:
    """List the numbers and arrays that the function of a line names and that were there."""
    found: dict[str, Atom] = {}
    held: dict[str, bool] = {}
    for node in (*_references(line.part), *_kept(line)):
        tree = _to_be_read(node)
        text = ast.unparse(tree)
        if text in found or text == "self" or text.count(".T") > 1:
            continue
        ast.fix_missing_locations(tree)
        if isinstance(tree, ast.Subscript) and not _may_hold(tree.value, line, held):
            continue
        if not hasattr(node, "lineno") and isinstance(evaluated(tree.value, line), np.ndarray):
            continue  # rows of arrays are of use only where the program takes them itself
        value = evaluated(tree, line)
        if _is_numeric(value):
            if np.ndim(value) == 0:
                value = np.asarray(value).item()
            found[text] = Atom(text, tree, value)
    for atom in list(found.values()):
        for less in _without_bias(atom):
            found.setdefault(less.text, less)
    return _different(list(found.values()))


def _to_be_read(node: Any) -> Any:
    """Copy an expression as one that is read, not set."""
    tree = copy.deepcopy(node)
    for inner in ast.walk(tree):
        if hasattr(inner, "ctx"):
            inner.ctx = ast.Load()
    return tree


def _without_bias(atom: Atom) -> Iterator[Atom]:
    """Yield an array without its first column, and without its first row."""
    parts = {1: ("[1:]",), 2: ("[:, 1:]", "[1:]")}
    for part in parts.get(len(atom.shape), ()):
        value = atom.value[:, 1:] if part == "[:, 1:]" else atom.value[1:]
        yield Atom(atom.text + part, written(atom.text + part), value)


def _different(atoms: list[Atom]) -> list[Atom]:
    """Of several with the same array keep the shortest name; numbers keep all of theirs."""
    kept: list[Atom] = []
    seen: set[Any] = set()
    for atom in sorted(atoms, key=lambda a: (not a.text.isidentifier(), len(a.text))):
        index = atom.tree.slice if isinstance(atom.tree, ast.Subscript) else None
        moves = index is not None and any(isinstance(n, ast.Name) for n in ast.walk(index))
        key: Any = (atom.shape, np.asarray(atom.value, dtype=float).tobytes(), moves)
        if atom.text.isidentifier() and (atom.is_number or not np.any(atom.value)):
            kept.append(atom)  # equal by chance, as counters and sums are at first
            seen.add(key)
        elif key not in seen:
            seen.add(key)
            kept.append(atom)
    return kept


def callees_of(part: Part, parts: list[Part], line: Line) -> dict[str, int]:
    """Map what the functions of a program call to the number of arguments it is given.

    The learner's own functions of one value, which may be slopes, have -1.
    """
    found: dict[str, int] = {}
    for other in (part, *parts):
        for node in ast.walk(other.definition):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
                value = evaluated(node.func, line)
                own = getattr(value, "__func__", value) is line.part.function
                if callable(value) and not isinstance(value, type) and not own:
                    found.setdefault(ast.unparse(node.func), len(node.args))
    for name, value in line.part.function.__globals__.items():
        if isinstance(value, FunctionType) and value.__code__.co_filename == line.part.file:
            if value is line.part.function:
                continue
            found.setdefault(name, value.__code__.co_argcount)
    return found
