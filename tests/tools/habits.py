"""What is read off a source without running it: sizes, turns, private names and names of ops."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator, Set


@functools.lru_cache(512)
def parsed(source: str) -> ast.Module:
    """Parse a source once for all who look at it; nobody changes the tree."""
    return ast.parse(source)


@functools.lru_cache(512)
def nodes(source: str) -> list[ast.AST]:
    """List all nodes of a source, as `ast.walk` yields them."""
    return list(ast.walk(parsed(source)))


Function = ast.FunctionDef | ast.AsyncFunctionDef
Scope = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)

# Ways on which a function may go or not go; `a and b and c` are two.
TURNS = (
    ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.comprehension,
    ast.match_case, ast.Assert,
)  # fmt: skip


# ---- sizes


def body_lines(function: Function) -> int:
    """Count the lines of a body, from its first statement after the docstring to its end."""
    first = function.body[0]
    after = function.body[1:] if ast.get_docstring(function, clean=False) else function.body
    if not after:
        return 0
    start = (first.end_lineno or 0) + 1 if after is not function.body else first.lineno
    return (function.end_lineno or 0) - start + 1


def own(node: ast.AST) -> Iterator[ast.AST]:
    """Walk through what a function does itself, not through the functions written in it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, Scope):
            yield child
            yield from own(child)


def turns(function: Function) -> int:
    """Count the independent ways through a function: McCabe's cyclomatic number."""
    number = 1
    for node in own(function):
        number += isinstance(node, TURNS)
        if isinstance(node, ast.BoolOp):
            number += len(node.values) - 1
        elif isinstance(node, ast.comprehension):
            number += len(node.ifs)
    return number


def functions(source: str) -> Iterator[Function]:
    """Yield all functions of a source, the nested ones too."""
    for node in nodes(source):
        if isinstance(node, Function):
            yield node


@functools.lru_cache(512)
def sizes(source: str) -> list[tuple[str, int, int]]:
    """List the functions of a source, each with its lines and its ways."""
    return [(f.name, body_lines(f), turns(f)) for f in functions(source)]


def oversized(source: str, lines: int = 40, ways: int = 15) -> list[str]:
    """List the functions that are longer, or turn more often, than they may."""
    return [f"{f}: {n} lines, {t} ways" for f, n, t in sizes(source) if n > lines or t > ways]


# ---- private names


def is_private(name: str) -> bool:
    if name.startswith("_repr_"):  # what IPython asks of anything, as `_repr_html_`
        return False
    return name.startswith("_") and not name.endswith("__") and name.strip("_") != ""


def private_names(source: str) -> set[str]:
    """Return the private names that a source defines: of functions, classes, values and slots."""
    found: set[str] = set()
    for node in nodes(source):
        if isinstance(node, Function | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found |= {node.attr} if getattr(node.value, "id", "") == "self" else set()
        elif isinstance(node, ast.Assign) and strings(node.value):
            of_slots = any(getattr(target, "id", "") == "__slots__" for target in node.targets)
            found |= set(strings(node.value)) if of_slots else set()
    return {name for name in found if is_private(name)}


def room_of(module: str) -> str:
    """Return the room of a module: what follows `autonn` in its name."""
    return module.split(".")[1]


def modules_of_others(source: str, room: str) -> set[str]:
    """Return the names under which a source knows other rooms or what is in them."""
    imports = (node for node in nodes(source) if isinstance(node, ast.ImportFrom))
    return {
        alias.asname or alias.name
        for node in imports
        for alias in node.names
        if f"{node.module}.".startswith("autonn.")
        and room_of(f"{node.module}.{alias.name}") != room
    }


def docstrings(source: str) -> set[ast.AST]:
    """Return the nodes that are docstrings."""
    owners = (n for n in nodes(source) if isinstance(n, ast.Module | ast.ClassDef | Function))
    firsts = (n.body[0] for n in owners if ast.get_docstring(n, clean=False) is not None)
    return {first.value for first in firsts if isinstance(first, ast.Expr)}


REACHING = {"getattr", "setattr", "hasattr", "delattr", "__setattr__", "attrgetter"}


def reached(node: ast.AST) -> list[str]:
    """Return the names that a node takes from something: after a dot, also in a program's text."""
    if isinstance(node, ast.Attribute):
        return [node.attr]
    if isinstance(node, ast.Call) and called(node) in REACHING:
        return [text for argument in node.args for text in strings(argument)]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.findall(r"(?<=\.)_[a-z]\w*", node.value)
    return []


def taken(source: str, room: str, ours: Set[str], theirs: Set[str]) -> list[str]:
    """List the private names that a source takes from other rooms.

    One is taken if it is imported from there, or if it follows a dot (in the text of a program
    too, or spelled for `getattr`) and only other rooms define it, or if it follows the dot of
    something that was imported from there.
    """
    others, said, theirs = modules_of_others(source, room), docstrings(source), theirs - ours
    found: set[tuple[int, str]] = set()
    for node in nodes(source):
        if isinstance(node, ast.ImportFrom):
            module = f"{node.module}."
            elsewhere = module.startswith("autonn.") and room_of(module) != room
            names = {alias.name for alias in node.names} if elsewhere else set()
            found |= {(node.lineno, name) for name in names if is_private(name)}
        elif node not in said:
            names = {name for name in reached(node) if is_private(name)}
            base = getattr(getattr(node, "value", None), "id", "")
            alien = names if base in others else names & theirs
            found |= {(getattr(node, "lineno", 0), name) for name in alien}
    return [f"line {line}: {name}" for line, name in sorted(found)]


def called(call: ast.Call) -> str:
    """Return the last name of what is called."""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


# ---- names of ops


def strings(node: ast.AST) -> list[str]:
    """Return the strings of a literal: one, or those of a tuple, a list or a set."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return [text for element in node.elts for text in strings(element)]
    return []


def askings(node: ast.AST, strict: bool) -> list[ast.AST]:
    """Return the parts of a node in which a text decides: compared, looked up, or in a table."""
    if isinstance(node, ast.Compare):
        return [node.left, *node.comparators]
    if isinstance(node, ast.Dict):
        return [key for key in node.keys if key is not None]
    if isinstance(node, ast.Subscript):
        return [node.slice]
    if isinstance(node, ast.MatchValue):
        return [node.value]
    if strict and isinstance(node, ast.Call):
        return [] if called(node) == "define" else [*node.args]
    return [node] if strict and isinstance(node, ast.Set | ast.Tuple | ast.List) else []


def asked_by_name(source: str, ops: Set[str], strict: bool = True) -> list[str]:
    """List where a source knows ops by their names as text, and not by themselves.

    That is where the name of an op is compared, is the key of a dict or an index, or, in a strict
    look, is an element of a table or given to any function but `define`. A strict look is for the
    engine and the compiler; elsewhere "log" may well be the name of a scale.
    """
    names = {id(n.value) for n in nodes(source) if isinstance(n, ast.Assign) and any(
        getattr(t, "id", "") in ("__all__", "__slots__") for t in n.targets)}  # fmt: skip
    found = {
        (getattr(node, "lineno", getattr(part, "lineno", 0)), text)
        for node in nodes(source)
        if id(node) not in names
        for part in askings(node, strict)
        for text in strings(part)
        if text in ops
    }
    return [f"line {line}: {text!r}" for line, text in sorted(found)]
