"""Watching a function run: which of the user's code came by, and what it may not do.

Python tells a profiler of every frame and of every function written in C. From the frames follows
what was read (`reads`); from the others, that the function asked for the time, for input or for
random numbers, which a program can't repeat. NumPy's own draws are not told, so the states of
generators are compared.
"""

from __future__ import annotations

import builtins
import dis
import functools
import os
import random
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any, NamedTuple

from autonn.engine.modes import CannotCompileError

__all__ = ["Names", "Seen", "is_users", "names_in", "watched"]

# Packages whose functions are no part of what the user wrote.
_LIBRARIES = frozenset({"autonn", "numpy", "scipy", "threadpoolctl", *sys.stdlib_module_names})
_LIBRARIES -= {"__main__"}

# What gives another answer each time, beside the methods of `random.Random`.
_CHANGING = frozenset({
    time.time, time.time_ns, time.perf_counter, time.perf_counter_ns, time.monotonic,
    time.monotonic_ns, time.process_time, time.localtime, time.gmtime, os.urandom,
    builtins.input, builtins.open,
})  # fmt: skip


@dataclass
class Seen:
    """What ran: the user's code, each with the names around it; and what can't be repeated."""

    codes: dict[CodeType, dict[str, Any]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    def refuse(self) -> None:
        """Raise `CannotCompileError` if anything came by that a program can't repeat."""
        if self.refused:
            raise CannotCompileError(
                f"{self.refused[0]}, which a program can't repeat; leave it out of what is "
                "compiled, or draw by autonn's own Dropout and random"
            )


@functools.lru_cache(maxsize=4096)
def is_users(module: str | None) -> bool:
    """Whether a module's name is that of code that the user wrote: not installed, not Python's.

    >>> is_users("__main__"), is_users("numpy.linalg"), is_users("my_layers")
    (True, False, True)
    """
    name = str(module or "")
    if name == "__main__":  # also where an installed program runs it, as a notebook's kernel
        return True
    if name.partition(".")[0] in _LIBRARIES or name.startswith("namedtuple_"):
        return False
    file = getattr(sys.modules.get(name), "__file__", None) or ""
    return not any(file.startswith(folder) for folder in _INSTALLED)


_INSTALLED = tuple({sysconfig.get_path(kind) + os.sep for kind in ("purelib", "platlib")})


@contextmanager
def watched() -> Iterator[Seen]:
    """Note what runs in this thread; a profiler that is at work goes on hearing all of it."""
    seen = Seen()
    known: set[CodeType] = set()
    before = sys.getprofile()

    def note(frame: FrameType, event: Any, arg: Any) -> None:
        if event == "call":
            code = frame.f_code
            if code not in known:
                known.add(code)
                if is_users(frame.f_globals.get("__name__")):
                    seen.codes[code] = frame.f_globals
        elif event == "c_call" and _changes(arg) and not _is_for_its_own_ends(frame):
            name = getattr(arg, "__qualname__", repr(arg))
            where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
            seen.refused.append(f"{where}: {name}() gives another answer each time")
        if callable(before):
            before(frame, event, arg)

    pause = getattr(before, "disable", None)  # cProfile's object, which can't be called
    if pause is not None:
        pause()
    sys.setprofile(note)
    try:
        yield seen
    finally:
        sys.setprofile(None if pause is not None else before)
        if pause is not None:
            before.enable()  # type: ignore[union-attr]


def _changes(function: Any) -> bool:
    """Whether a function written in C gives another answer at each call."""
    owner = getattr(function, "__self__", None)
    if isinstance(owner, random.Random):
        return function.__name__ not in ("getstate", "setstate", "seed")
    if getattr(owner, "__module__", "") == "datetime" and isinstance(owner, type):
        return function.__name__ in ("now", "today", "utcnow")
    return function in _CHANGING


# Libraries that read files, or draw, for the user; others do it for ends of their own, as a
# garbage collector's callback asks for the time, or `linecache` opens a file for a message.
_FOR_THE_USER = frozenset({"random", "numpy", "scipy", "pandas", "datetime", "pathlib"})


def _is_for_its_own_ends(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__")
    return not is_users(name) and str(name).partition(".")[0] not in _FOR_THE_USER


class Names(NamedTuple):
    """The names that a code reads from around it, its attributes, and the globals it sets."""

    globals: frozenset[str]
    attributes: frozenset[str]
    assigned: frozenset[str]


@functools.lru_cache(maxsize=512)
def names_in(code: CodeType) -> Names:
    """List the names that a code reads from around it.

    >>> names_in((lambda x: len(x.shape)).__code__)[:2]
    (frozenset({'len'}), frozenset({'shape'}))
    """
    found: dict[str, set[str]] = {"global": set(), "attribute": set(), "assigned": set()}
    for instruction in dis.get_instructions(code):
        kind = _KINDS.get(instruction.opname)
        if kind is not None:
            found[kind].add(str(instruction.argval))
    return Names(*map(frozenset, found.values()))


_KINDS = {
    "LOAD_GLOBAL": "global", "LOAD_NAME": "global", "LOAD_ATTR": "attribute",
    "LOAD_METHOD": "attribute", "LOAD_SUPER_ATTR": "attribute", "IMPORT_FROM": "attribute",
    "STORE_GLOBAL": "assigned", "DELETE_GLOBAL": "assigned",
}  # fmt: skip
