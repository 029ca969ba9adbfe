"""The learner's own functions: found where they run, read from their files, run in changed forms.

A function is changed by giving it another code for a while: whoever holds it, a class or another
function, calls the changed one then. The code comes from its file's syntax tree, so that lines
keep their numbers, closures their cells, and methods their class.
"""

from __future__ import annotations
import __future__

import ast
import dis
import functools
import inspect
import linecache
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

__all__ = ["Part", "Statement", "parts_of", "swapped"]

Definition = ast.FunctionDef | ast.Lambda


class Part:
    """One function of the learner's: its code, and its place in the tree of its file.

    Attributes
    ----------
    function, code
        The function as it is, and its code.
    file, lines
        Where it stands.
    top
        The statement of the file that it stands in, which is what is compiled.
    definition
        Its own definition.
    """

    def __init__(self, function: FunctionType, tree: ast.Module, lines: list[str]) -> None:
        self.function, self.code = function, function.__code__
        self.file, self.lines = self.code.co_filename, lines
        self.top, self.definition = _placed(tree, self.code)

    def compiled(self, top: ast.stmt | None = None) -> CodeType | None:
        """Compile the statement of the file, as it is or changed; return the function's code."""
        module = ast.Module([top or self.top], [])
        flags = self.code.co_flags & __future__.annotations.compiler_flag
        found = _code_in(
            compile(module, self.file, "exec", flags=flags, dont_inherit=True), self.code
        )
        if found is None or found.co_freevars != self.code.co_freevars or self._leaks(found):
            return None
        return found

    def _leaks(self, code: CodeType) -> bool:
        """Whether a changed code takes a name from the module that was the function's own.

        Where a change leaves no assignment to `grad`, ``grad += ...`` would write to the caller's.
        """
        own = {*self.code.co_varnames, *self.code.co_cellvars}.intersection(code.co_names)
        return bool(own) and any(
            step.opname == "LOAD_GLOBAL" and step.argval in own
            for step in dis.get_instructions(code)
        )


Statement = ast.stmt


def _first_line(node: Any) -> int:
    decorators = getattr(node, "decorator_list", [])
    return int(decorators[0].lineno if decorators else node.lineno)


def _placed(tree: ast.Module, code: CodeType) -> tuple[ast.stmt, Any]:
    """Find the definition of a code in the tree of its file; `LookupError` if it is not there."""
    for top in tree.body:
        for node in ast.walk(top):
            name = "<lambda>" if isinstance(node, ast.Lambda) else getattr(node, "name", None)
            if (
                isinstance(node, ast.FunctionDef | ast.Lambda)
                and name == code.co_name
                and _first_line(node) == code.co_firstlineno
            ):
                return _alone(top, node), node
    raise LookupError(code.co_name)


def _alone(top: ast.stmt, definition: ast.AST) -> ast.stmt:
    """Leave out of classes what is not the function: a part is compiled a thousand times."""
    if top is definition or not isinstance(top, ast.ClassDef):
        return top
    for inner in top.body:
        if any(node is definition for node in ast.walk(inner)):
            alone = ast.ClassDef(top.name, [], [], [_alone(inner, definition)], [])
            return ast.copy_location(alone, top)
    return top


def _code_in(code: CodeType, wanted: CodeType) -> CodeType | None:
    """Find the code of the same function among what a code holds."""
    for constant in code.co_consts:
        if not isinstance(constant, CodeType):
            continue
        same = constant.co_qualname == wanted.co_qualname
        if same and constant.co_firstlineno == wanted.co_firstlineno:
            return constant
        found = _code_in(constant, wanted)
        if found is not None:
            return found
    return None


# ---- which functions run


def _not_the_learners() -> tuple[str, ...]:
    """List the folders whose functions are nobody's homework: Python, packages, this library."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = [sysconfig.get_path(name) for name in names]
    return tuple(f"{folder}/" for folder in (*folders, str(Path(__file__).parents[2])) if folder)


def parts_of(f: Callable[..., Any], run: Callable[[], Any]) -> tuple[list[Part], list[str]]:
    """Run something; return the learner's functions that were called, and the names of others.

    The others are those whose text is not to be had, or says something else than the code.
    """
    others = _not_the_learners()
    seen: dict[CodeType, FrameType] = {}

    def note(frame: FrameType, event: str, _: Any) -> None:
        """Remember a function where it is called; its lines are not asked for."""
        code = frame.f_code
        if code not in seen and not code.co_filename.startswith(others):
            seen[code] = frame

    before = sys.gettrace()
    sys.settrace(note)
    try:
        run()
    finally:
        sys.settrace(before)
    trees: dict[str, tuple[ast.Module, list[str]] | None] = {}
    found: list[Part] = []
    unread: list[str] = []
    for code, frame in seen.items():
        function = _function_of(code, frame, f)
        part = _read(function, trees) if function is not None else None
        if part is not None:
            found.append(part)
        elif function is not None and not code.co_name.startswith("__"):
            unread.append(code.co_name)
    return found, unread


def _read(function: FunctionType, trees: dict[str, Any]) -> Part | None:
    """Read the text of a function; None where there is none that fits."""
    file = function.__code__.co_filename
    if file not in trees:
        lines = linecache.getlines(file, function.__globals__)
        try:
            trees[file] = (ast.parse("".join(lines)), lines) if lines else None
        except SyntaxError:
            trees[file] = None
    if trees[file] is None:
        return None
    try:
        part = Part(function, *trees[file])
        again = part.compiled()
    except (LookupError, SyntaxError):
        return None
    return part if again is not None and _said(again) == _said(part.code) else None


def _said(code: CodeType) -> Any:
    """Return what two compilations of one text share: calls of what is imported above differ."""
    constants = [repr(c) for c in code.co_consts if not isinstance(c, CodeType)]
    return code.co_names, code.co_varnames, constants


def _function_of(code: CodeType, frame: FrameType, f: Any) -> FunctionType | None:
    """Find the function whose code it is, where the frame that ran it could have found it."""
    places: list[Any] = [f, *frame.f_globals.values()]
    if code.co_argcount and code.co_varnames:
        places.append(type(frame.f_locals.get(code.co_varnames[0])))
    if frame.f_back is not None:
        places += [*frame.f_back.f_locals.values(), *frame.f_back.f_globals.values()]
    seen: set[int] = set()
    for place in places:
        for function in _functions(place, seen):
            if function.__code__ is code:
                return function
    return None


def _functions(x: Any, seen: set[int]) -> Iterator[FunctionType]:
    """Yield the functions in a function, method, class or module-level value."""
    if id(x) in seen:
        return
    seen.add(id(x))
    if isinstance(x, FunctionType):
        yield x
        yield from _functions(getattr(x, "__wrapped__", None), seen)
        for cell in x.__closure__ or ():
            try:
                yield from _functions(cell.cell_contents, seen)
            except ValueError:  # not filled yet
                continue
    elif isinstance(x, dict | list | tuple) and len(x) < 50:
        for value in x.values() if isinstance(x, dict) else x:
            if callable(value):
                yield from _functions(value, seen)
    else:
        for value in _held(x):
            yield from _functions(value, seen)


def _held(x: Any) -> list[Any]:
    """List what may be functions in a method, a partial call, a property or a class."""
    if isinstance(x, functools.partial):
        return [x.func]
    if isinstance(x, staticmethod | classmethod) or inspect.ismethod(x):
        return [x.__func__]
    if isinstance(x, property):
        return [x.fget]
    if isinstance(x, type) and x is not object:
        return [value for base in x.__mro__[:-1] for value in vars(base).values()]
    return []


# ---- in changed forms

HOOKS = "__autonn_review__"


@contextmanager
def swapped(codes: Mapping[Any, CodeType], hooks: Any = None) -> Iterator[None]:
    """Give functions other codes for a while, and what these call, the hooks."""
    before = [(part.function, part.function.__code__) for part in codes]
    try:
        for part, code in codes.items():
            if hooks is not None:
                part.function.__globals__[HOOKS] = hooks
            part.function.__code__ = code
        yield
    finally:
        for function, code in before:
            function.__code__ = code
            function.__globals__.pop(HOOKS, None)
