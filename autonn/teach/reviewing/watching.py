"""Statements watched: what each assigns, written down, and on demand replaced by another value.

The tree of a function is rewritten so that each value that a statement assigns, adds, returns or
hands over goes through a hook, under the number of the statement.
"""

from __future__ import annotations

import ast
import copy
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

import numpy as np

from autonn.engine.tensor import Array
from autonn.engine.trees import tree_leaves
from autonn.teach.reviewing.programs import HOOKS, Part
from autonn.teach.reviewing.recording import Node, Watched, called, indexed, node_of, plain

__all__ = ["Event", "Hooks", "Line", "instrumented", "lines_of", "set_parents"]


@dataclass(eq=False)
class Line:
    """One statement of the learner's that gives a value to something.

    Attributes
    ----------
    part, statement, number
        The function it stands in, its tree, and the number by which hooks know it.
    loops
        How many loops it stands in.
    """

    part: Part
    statement: Any
    number: int
    loops: int = 0
    env: dict[str, Any] = field(default_factory=dict)

    @property
    def lineno(self) -> int:
        """The line of the file where it begins."""
        return int(self.statement.lineno)

    @property
    def target(self) -> str:
        """What it gives a value to, as it is written."""
        s = self.statement
        if isinstance(s, ast.Assign):
            return ast.unparse(s.targets[0]).strip("()")
        if isinstance(s, ast.AugAssign | ast.AnnAssign):
            return ast.unparse(s.target)
        if isinstance(s, ast.For):
            return ast.unparse(s.target)
        if isinstance(s, ast.Return):
            return "the returned value"
        call = s.value
        return ast.unparse(call.func.value if isinstance(call.func, ast.Attribute) else call.func)


@dataclass
class Event:
    """One run of a line: the values it gave, copied, and their records."""

    line: Line
    values: list[Array]
    nodes: list[Node]


def set_parents(tree: ast.AST) -> None:
    """Let every node of a tree know where it hangs."""
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            for k, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if isinstance(child, ast.AST):
                    child.slot = (parent, name, k)  # type: ignore[attr-defined]


def lines_of(parts: Iterable[Part]) -> list[Line]:
    """List the statements of functions that give values, in the order in which they stand."""
    found: list[Line] = []
    for part in parts:
        body = getattr(part.definition, "body", None)
        if isinstance(body, list):
            _collect(part, body, 0, found)
    return found


def _collect(part: Part, body: list[Any], loops: int, found: list[Line]) -> None:
    """Collect the lines of a body, and of the bodies in it; functions within are parts too."""
    for s in body:
        valued = isinstance(s, ast.Return | ast.AnnAssign) and s.value is not None
        spoken = isinstance(s, ast.Expr) and isinstance(s.value, ast.Call)
        if isinstance(s, ast.Assign | ast.AugAssign | ast.For) or valued or spoken:
            s.number = len(found)
            found.append(Line(part, s, len(found), loops))
        deeper = loops + isinstance(s, ast.For | ast.While)
        for name in ("body", "orelse", "finalbody"):
            inner = getattr(s, name, None)
            if isinstance(inner, list) and not isinstance(s, ast.ClassDef):
                _collect(part, inner, deeper, found)


def _hook(name: str, *args: ast.expr) -> ast.Call:
    function = ast.Attribute(ast.Name(HOOKS, ast.Load()), name, ast.Load())
    return ast.Call(function, list(args), [])


_AS_THEY_ARE = frozenset({"super", "locals", "vars", "globals", "eval", "exec", "dir", "print"})


class _Rewriting(ast.NodeTransformer):
    """Sends calls, items and the values of statements through the hooks."""

    def visit_Call(self, node: ast.Call) -> Any:
        """Send a call through the hook."""
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id in _AS_THEY_ARE:
            return node
        call = _hook("call", node.func, *node.args)
        call.keywords = node.keywords
        return call

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        """Send the reading of an item through the hook, but not slices of plain syntax."""
        self.generic_visit(node)
        is_attribute = isinstance(node.value, ast.Attribute)
        if not isinstance(node.ctx, ast.Load) or not is_attribute:
            return node
        if any(isinstance(n, ast.Slice) for n in ast.walk(node.slice)):
            return node
        return _hook("item", node.value, node.slice)

    def generic_visit(self, node: ast.AST) -> Any:
        """Watch the value of a statement that has a number."""
        number = getattr(node, "number", None)
        if isinstance(node, ast.FunctionDef):
            node.body = [s for b in node.body for s in _listed(self.visit(b))]
            return node
        super().generic_visit(node)
        if number is None or not isinstance(node, ast.stmt) or isinstance(node, ast.For):
            return node
        place = ast.Constant(number)
        if isinstance(node, ast.AugAssign):
            read = copy.deepcopy(node.target)
            read.ctx = ast.Load()
            return [node, ast.Assign([node.target], _hook("see", place, read))]
        if isinstance(node, ast.Expr):
            assert isinstance(node.value, ast.Call)
            _watch_arguments(node.value, place)
            return node
        node.value = _hook("see", place, node.value)  # type: ignore[attr-defined]
        return node


def _watch_arguments(call: ast.Call, place: ast.expr) -> None:
    """Watch what a call on its own is given; of a hook, what comes after its place."""
    start = 1 if _is_hook(call) else 0
    call.args[start:] = [
        a if isinstance(a, ast.Starred | ast.Constant) else _hook("see", place, a)
        for a in call.args[start:]
    ]


def _is_hook(call: ast.Call) -> bool:
    f = call.func
    return isinstance(f, ast.Attribute) and isinstance(f.value, ast.Name) and f.value.id == HOOKS


def _listed(x: Any) -> list[Any]:
    return x if isinstance(x, list) else [] if x is None else [x]


def instrumented(parts: Iterable[Part]) -> dict[Part, CodeType]:
    """Compile the functions so that their values go through the hooks."""
    codes = {}
    for part in parts:
        top = _Rewriting().visit(copy.deepcopy(part.top))
        ast.fix_missing_locations(top)
        code = part.compiled(top)
        if code is not None:
            codes[part] = code
    return codes


class Hooks:
    """What the rewritten functions call: it writes down values, or replaces them.

    Attributes
    ----------
    events
        What was assigned, in order.
    replace
        By number of a line: from the value and how often it came before to another value.
    """

    def __init__(self, lines: list[Line], record: bool = True) -> None:
        self.lines, self.record = lines, record
        self.events: list[Event] = []
        self.replace: dict[int, Callable[[Any, int], Any]] = {}
        self.counts: dict[int, int] = {}
        self.call = called if record else _call
        self.item = indexed if record else _item

    def see(self, number: int, value: Any) -> Any:
        """Take a value on its way to where it is assigned."""
        count = self.counts.get(number, 0)
        self.counts[number] = count + 1
        if number in self.replace:
            return self.replace[number](value, count)
        if self.record and count < 2000:
            line = self.lines[number]
            if not line.env:
                frame = sys._getframe(1)
                line.env = {**frame.f_locals}
            arrays = [a for a in tree_leaves(value) if _is_floating(a)]
            copies = [np.array(plain(a)) for a in arrays]
            self.events.append(Event(line, copies, [node_of(a) for a in arrays]))
        return value


def _is_floating(a: Any) -> bool:
    if isinstance(a, Watched | np.floating | float):
        return True
    return isinstance(a, np.ndarray) and a.dtype.kind == "f"


def _call(function: Any, *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


def _item(thing: Any, key: Any) -> Any:
    return thing[key]
