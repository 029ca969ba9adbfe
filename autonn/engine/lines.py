"""The user's lines: which one is under way, what stands there, and how its writer calls it.

A cell of a notebook is compiled from a file of a made-up name, a number, which its writer never
sees: only IPython knows which cell that is.
"""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Iterable
from pathlib import Path
from types import CodeType, FrameType

__all__ = [
    "callee_at",
    "line_of",
    "shown_file",
    "shown_line",
    "shown_start",
    "source_of",
    "users_line",
]

# Packages whose lines are not the user's own when a message names one.
_OURS = frozenset({"autonn", "numpy", "copy"})


class _Packages(dict[str, str]):
    """The package of each module, by its name: looked up, as calls are what a trace pays for."""

    def __missing__(self, module: str) -> str:
        self[module] = package = module.partition(".")[0]
        return package


_packages = _Packages()


def users_line(ours: Iterable[str] = _OURS) -> str:
    """Return the line outside this package from which it was called, as "file:number"."""
    frame: FrameType | None = sys._getframe(1)
    try:
        while frame and _packages[frame.f_globals["__name__"]] in ours:
            frame = frame.f_back
    except KeyError:  # a module without a name is the user's
        pass
    return line_of(frame) if frame else "unknown line"


def line_of(frame: FrameType) -> str:
    """Return the line that a frame is at, as "file:number"."""
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def shown_line(line: str) -> str:
    """Name a line as its writer knows it: by its cell, where it stands in one.

    >>> shown_line("net.py:3")
    'net.py:3'
    """
    file, _, number = line.rpartition(":")
    cell = _cell(file)
    return f"{cell}, line {number}" if cell else line


def shown_start(code: CodeType) -> str:
    """Name the line that a code begins in, as its writer knows it."""
    return shown_line(f"{code.co_filename}:{code.co_firstlineno}")


def shown_file(file: str) -> str:
    """Name a file as its writer knows it: without its folder, or as a cell.

    >>> shown_file("work/net.py")
    'net.py'
    """
    return _cell(file) or Path(file).name


def _cell(file: str) -> str:
    """Return the name that IPython gives a cell in its own tracebacks; "" of another file."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    named = getattr(getattr(shell, "compile", None), "format_code_name", lambda file: None)(file)
    return f"cell {named[1]}" if named else ""


def source_of(line: str) -> str:
    """Return the text of a line; "" where its file can't be read.

    >>> source_of("nowhere.py:3")
    ''
    """
    file, _, number = line.rpartition(":")
    return linecache.getline(file, int(number)).strip() if number.isdigit() else ""


def callee_at(frame: FrameType) -> str:
    """Return how the function is written that a frame is calling; "" where that can't be read."""
    code = frame.f_code
    first, last, start, end = list(code.co_positions())[frame.f_lasti // 2]
    if first is None or last is None or start is None or end is None:
        return ""
    lines = [line.encode() for line in linecache.getlines(code.co_filename)[first - 1 : last]]
    if len(lines) != last - first + 1:
        return ""
    lines[-1] = lines[-1][:end]
    lines[0] = lines[0][start:]
    try:
        call = ast.parse(b"(" + b"".join(lines) + b")", mode="eval").body
    except SyntaxError:  # the file was written to since
        return ""
    return ast.unparse(call.func) if isinstance(call, ast.Call) else ""
