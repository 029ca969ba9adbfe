"""Watching a function run: which of the user's code came by, and what it may not do.

Python tells a profiler of every frame and of every function written in C. From the frames follows
what was read (`reads`); from the others, that the function asked for the time, for input or for
random numbers, which a program can't repeat. NumPy's own draws are not told, so the states of
generators are compared. What can be refused before it runs is: an iterator can't be put back.
"""

from __future__ import annotations

import builtins
import dis
import functools
import gc
import importlib
import os
import random
import re
import sys
import sysconfig
import threading
import time
import weakref
from abc import get_cache_token
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import CodeType, FrameType, MappingProxyType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from autonn.engine.lines import callee_at, line_of, shown_line, shown_start
from autonn.engine.modes import CannotCompileError

__all__ = [
    "AN_ARGUMENT", "BY_ANY_NAME", "Names", "Seen", "a_default_of", "is_users", "names_in",
    "watched",
]  # fmt: skip

# Packages whose functions are no part of what the user wrote.
_LIBRARIES = frozenset({"autonn", "numpy", "scipy", "threadpoolctl", *sys.stdlib_module_names})
_LIBRARIES -= {"__main__"}

# Those of them that read nothing of the user's by names of their own.
_OURS = frozenset({"autonn", "numpy", "scipy", "threadpoolctl"})

# What gives another answer each time, beside the methods of `random.Random`.
_CHANGING = frozenset({
    time.time, time.time_ns, time.perf_counter, time.perf_counter_ns, time.monotonic,
    time.monotonic_ns, time.process_time, time.process_time_ns, time.thread_time,
    time.thread_time_ns, time.localtime, time.gmtime, time.ctime, time.asctime, time.strftime,
    os.urandom, os.times,
    builtins.input, builtins.open, os.stat, os.listdir, os.scandir, os.getcwd,
})  # fmt: skip

# Modules whose functions answer from a state that is not seen: what to ask for that state.
_STATES: dict[str, Callable[[], Any]] = {
    "numpy._core.arrayprint": np.get_printoptions, "os": os.environ.copy,
}  # fmt: skip

# Functions written in C that answer from such a state: they are asked themselves.
_ASKED = frozenset({
    sys.getrecursionlimit, sys.getswitchinterval, gc.isenabled, gc.get_threshold, os.getpid,
    threading.get_ident,
})  # fmt: skip

# Modules whose objects answer from what is outside of the process, by methods of such names.
_OUTSIDE = frozenset({"_io", "_socket", "socket", "sqlite3", "_dbm", "_gdbm", "_multiprocessing"})
_ASKS_OUTSIDE = re.compile("read|recv|fetch|execute|get|keys|poll")

# Functions that read attributes whose names no code loads; and modules whose functions do.
BY_ANY_NAME = frozenset({getattr, hasattr, vars, dir})
_OF_ALL_NAMES = frozenset({"copy", "dataclasses", "inspect", "operator"})

_is_abstract_instance = getattr(sys.modules["_abc"], "_abc_instancecheck", None)

# What is looked at of all that modules have that is written in C.
_TOLD = BY_ANY_NAME | _CHANGING | _ASKED | {_is_abstract_instance}


@dataclass
class Seen:
    """What ran: the user's code, each with the names around it; and what can't be repeated.

    Attributes
    ----------
    codes
        The user's, each with its globals, of which one code may have several; by their ids.
    libraries
        What Python's own modules and installed packages ran: they read attributes, too.
    by_any_name
        Whether attributes were read whose names stand in no code, as `getattr` does.
    states
        What to ask for the states that were read.
    given
        What functions of libraries returned to the user's code, by id and as long as it lives: a
        logger or a thread can be asked again, what was made for the call is gone after it.
    refused
        Why a program can't repeat it.
    """

    codes: dict[tuple[int, int], tuple[CodeType, dict[str, Any]]] = field(default_factory=dict)
    libraries: dict[int, CodeType] = field(default_factory=dict)
    by_any_name: bool = False
    states: set[Callable[[], Any]] = field(default_factory=set)
    given: dict[int, weakref.ref[Any]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    def refuse(self) -> None:
        """Raise `CannotCompileError` if anything came by that a program can't repeat."""
        if self.refused:
            raise CannotCompileError(self.refused[0])

    def note_code(self, frame: FrameType, iterators: Mapping[str, str]) -> None:
        """Note a code that runs for the first time; one of the user's may be refused at once."""
        code, around, module = frame.f_code, frame.f_globals, _module_of(frame)
        if module in _STATES:
            self.states.add(_STATES[module])
        self.by_any_name |= module in _OF_ALL_NAMES
        if is_users(module):
            self.codes[id(code), id(around)] = code, around
            _refuse_at_once(self, code, iterators)
        elif not _is_ours(module):
            self.libraries[id(code)] = code
        elif code is np.geterr.__code__ and is_users(_module_of(frame.f_back)):
            self.refused.append(f"np.geterr() {_ANOTHER_EACH_TIME}")  # a trace ignores all

    def note_asked(self, frame: FrameType, function: Any) -> None:
        """Note what a function written in C may read, is asked for, or answers from."""
        module = _module_of(frame)
        if function in BY_ANY_NAME:
            self.by_any_name |= not _is_ours(module)
        elif _changes(function):
            if not _is_for_its_own_ends(frame):
                self.refused.append(f"{_users_call(frame, function)} {_ANOTHER_EACH_TIME}")
        elif function is _is_abstract_instance:
            if is_users(_module_of(frame.f_back)):
                self.states.add(get_cache_token)  # another after each `register` of a class
        elif function in _ASKED and is_users(module):
            self.states.add(function)
        elif function.__module__ == "decimal" and is_users(module):
            self.states.add(_decimal_context)

    def note_given(self, asks: FrameType | None, answer: Any) -> None:
        """Note an object that a function of a library returned to the user's code."""
        if type(answer).__module__ != "builtins" and is_users(_module_of(asks)):
            with suppress(TypeError):  # what has no weak references is of C, or a number
                self.given[id(answer)] = weakref.ref(answer)


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


# Runs what imports a module that is not there yet. What a library does meanwhile is nothing that
# the function asks of its own things: with SciPy's sparse matrices a GPT had 136 guards, not 79.
_IMPORT = importlib._bootstrap._find_and_load.__code__  # type: ignore[attr-defined]

_INSTALLED = tuple({sysconfig.get_path(kind) + os.sep for kind in ("purelib", "platlib")})


@contextmanager
def watched(iterators: Mapping[str, str] = MappingProxyType({})) -> Iterator[Seen]:
    """Note what runs in this thread; a profiler that is at work goes on hearing all of it.

    A code that loads one of the names of `iterators` is refused before it runs.
    """
    seen, before = Seen(), sys.getprofile()
    known: dict[int, Any] = {}  # by the id of a code, the globals that it last ran with
    tell = before if callable(before) else None

    # It is called some thousand times: half of what it took was to hash a code, or any function.
    def note(frame: FrameType, event: Any, arg: Any) -> None:
        if event == "call":
            code = frame.f_code
            if code is _IMPORT:
                hears = functools.partial(_note_import, sys.getprofile(), tell, frame)
                sys.setprofile(hears)
            elif known.get(id(code)) is not frame.f_globals:
                known[id(code)] = frame.f_globals
                seen.note_code(frame, iterators)
        elif event == "c_call":
            owner: Any = type(arg.__self__)
            if arg in _TOLD or arg.__module__ == "decimal" if owner is ModuleType else _asks(owner):
                seen.note_asked(frame, arg)
        elif event == "return" and id(frame.f_code) in seen.libraries:
            seen.note_given(frame.f_back, arg)
        if tell is not None:
            tell(frame, event, arg)

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


def _note_import(
    note: Any, tell: Any, importing: FrameType, frame: FrameType, event: Any, arg: Any
) -> None:
    """Note of what runs while something is imported the user's code alone."""
    if frame is importing and event == "return":
        sys.setprofile(note)
    if is_users(_module_of(frame)):
        note(frame, event, arg)
    elif tell is not None:
        tell(frame, event, arg)


def _decimal_context() -> str:
    """Say how decimal numbers are computed in this thread."""
    return repr(sys.modules["decimal"].getcontext())


_ANOTHER_EACH_TIME = (
    "may give another answer each time, which a program can't repeat; ask before, and pass the "
    "answer as an argument, or draw by autonn's own Dropout and random"
)


def _refuse_at_once(seen: Seen, code: CodeType, iterators: Mapping[str, str]) -> None:
    """Refuse a code of the user's that has not run yet: what it would do can't be undone."""
    names = names_in(code)
    if names.assigned:
        seen.refused.append(
            f"{shown_start(code)}: {code.co_name} sets the global {min(names.assigned)!r}, which a "
            "program does not do"
        )
    loaded = names.globals.union(names.attributes, code.co_freevars)
    loaded |= {AN_ARGUMENT, a_default_of(code.co_name)}
    seen.refused += [iterators[name] for name in sorted(iterators.keys() & loaded)]
    seen.refuse()


# What messages call what has no name around the code.
AN_ARGUMENT = "an argument"


def a_default_of(name: str) -> str:
    """Name the default of a parameter of a function, for messages."""
    return f"a default of {name}"


@functools.lru_cache(maxsize=512)
def _asks(kind: type) -> bool:
    """Whether methods of such objects, written in C, may give another answer each time."""
    return issubclass(kind, type | random.Random) or kind.__module__ in _OUTSIDE


def _changes(function: Any) -> bool:
    """Whether a function written in C gives another answer at each call."""
    owner = function.__self__
    if isinstance(owner, random.Random):
        return function.__name__ not in ("getstate", "setstate", "seed")
    if isinstance(owner, type):
        return owner.__module__ == "datetime" and function.__name__ in ("now", "today", "utcnow")
    if type(owner).__module__ in _OUTSIDE:
        return _ASKS_OUTSIDE.match(function.__name__) is not None
    return function in _CHANGING


# Libraries that read files, or draw, for the user; others do it for ends of their own, as a
# garbage collector's callback asks for the time, or `linecache` opens a file for a message.
_FOR_THE_USER = frozenset({"random", "numpy", "scipy", "pandas", "datetime", "pathlib"})


def _module_of(frame: FrameType | None) -> str:
    return "" if frame is None else str(frame.f_globals.get("__name__"))


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in _OURS


def _way_to_the_user(frame: FrameType | None) -> Iterator[FrameType]:
    """Go from a frame to the one of the user's that leads to it, the last if there is one."""
    while frame is not None:
        yield frame
        frame = None if is_users(_module_of(frame)) else frame.f_back


def _users_call(frame: FrameType, function: Any) -> str:
    """Say what the user called that asked for a function written in C, and where."""
    *between, last = _way_to_the_user(frame)
    name = between[-1].f_code.co_qualname if between else getattr(function, "__qualname__", "")
    return f"{shown_line(line_of(last))}: {callee_at(last) or name}()"


def _is_for_its_own_ends(frame: FrameType) -> bool:
    asks: FrameType | None = frame
    while _module_of(asks) in _OF_PATHS and asks is not None:  # for whoever asks them
        asks = asks.f_back
    name = _module_of(asks)
    return not is_users(name) and name.partition(".")[0] not in _FOR_THE_USER


_OF_PATHS = frozenset({"os", "genericpath", "posixpath", "ntpath", "glob"})


class Names(NamedTuple):
    """What a code reads from around it, its attributes, the globals it sets, and its imports."""

    globals: frozenset[str]
    attributes: frozenset[str]
    assigned: frozenset[str]
    imported: frozenset[str]

    @property
    def is_by_any_name(self) -> bool:
        """Whether it reads attributes whose names it does not load."""
        return not _LOADED_BY_ANY_NAME.isdisjoint(self.globals | self.attributes)


@functools.lru_cache(maxsize=8192)
def names_in(code: CodeType) -> Names:
    """List the names that a code reads from around it.

    >>> names_in((lambda x: len(x.shape)).__code__)[:2]
    (frozenset({'len'}), frozenset({'shape'}))
    """
    found: dict[str, set[str]] = {
        "global": set(), "attribute": set(), "assigned": set(), "imported": set()
    }  # fmt: skip
    for instruction in dis.get_instructions(code):
        if instruction.opname == "MATCH_CLASS":  # `case Point(x, y)`: its class names them
            found["attribute"].add("__getattribute__")
        kind = _KINDS.get(instruction.opname)
        if kind is not None:
            found[kind].add(str(instruction.argval))
    return Names(*map(frozenset, found.values()))


# `globals` is looked at where it is called: by `reads`.
_LOADED_BY_ANY_NAME = frozenset({
    "getattr", "hasattr", "vars", "dir", "attrgetter", "methodcaller", "__dict__", "__getattr__",
    "__getattribute__", "__getstate__", "__reduce__", "__reduce_ex__",
})  # fmt: skip

_KINDS = {
    "LOAD_GLOBAL": "global", "LOAD_NAME": "global", "LOAD_ATTR": "attribute",
    "LOAD_METHOD": "attribute", "LOAD_SUPER_ATTR": "attribute", "IMPORT_FROM": "attribute",
    "STORE_GLOBAL": "assigned", "DELETE_GLOBAL": "assigned", "IMPORT_NAME": "imported",
}  # fmt: skip
