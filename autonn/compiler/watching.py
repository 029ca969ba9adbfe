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
from types import CodeType, FrameType, MappingProxyType
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


@dataclass
class Seen:
    """What ran: the user's code, each with the names around it; and what can't be repeated.

    Attributes
    ----------
    codes
        The user's, each with its globals.
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

    codes: dict[CodeType, dict[str, Any]] = field(default_factory=dict)
    libraries: set[CodeType] = field(default_factory=set)
    by_any_name: bool = False
    states: set[Callable[[], Any]] = field(default_factory=set)
    given: dict[int, weakref.ref[Any]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    def refuse(self) -> None:
        """Raise `CannotCompileError` if anything came by that a program can't repeat."""
        if self.refused:
            raise CannotCompileError(self.refused[0])

    def note_code(self, code: CodeType, around: dict[str, Any]) -> None:
        """Note a code that runs for the first time."""
        module = str(around.get("__name__"))
        if module in _STATES:
            self.states.add(_STATES[module])
        if is_users(module):
            self.codes[code] = around
        elif module.partition(".")[0] not in _OURS:
            self.libraries.add(code)
        self.by_any_name |= module in _OF_ALL_NAMES


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
def watched(iterators: Mapping[str, str] = MappingProxyType({})) -> Iterator[Seen]:
    """Note what runs in this thread; a profiler that is at work goes on hearing all of it.

    A code that loads one of the names of `iterators` is refused before it runs.
    """
    seen = Seen()
    known: set[CodeType] = set()
    before = sys.getprofile()

    def note(frame: FrameType, event: Any, arg: Any) -> None:
        if event == "call":
            code = frame.f_code
            if code not in known:
                known.add(code)
                seen.note_code(code, frame.f_globals)
                if code in seen.codes:
                    _refuse_at_once(seen, code, iterators)
                elif code is np.geterr.__code__ and is_users(_module_of(frame.f_back)):
                    seen.refused.append(f"np.geterr() {_ANOTHER_EACH_TIME}")  # a trace ignores all
        elif event == "c_call":
            _note_call_of_c(seen, frame, arg)
        elif event == "return" and frame.f_code in seen.libraries:
            _note_given(seen, frame.f_back, arg)
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


def _note_call_of_c(seen: Seen, frame: FrameType, function: Any) -> None:
    """Note what a function written in C may read, is asked for, or answers from."""
    code = frame.f_code
    if _is_in(function, BY_ANY_NAME):
        seen.by_any_name |= code in seen.codes or code in seen.libraries
    elif _changes(function):
        if not _is_for_its_own_ends(frame):
            seen.refused.append(f"{_users_call(frame, function)} {_ANOTHER_EACH_TIME}")
    elif _is_in(function, _ASKED) and code in seen.codes:
        seen.states.add(function)
    elif getattr(function, "__module__", "") == "decimal" and code in seen.codes:
        seen.states.add(_decimal_context)
    elif function is _is_abstract_instance and is_users(_module_of(frame.f_back)):
        seen.states.add(get_cache_token)  # another after each `register` of an abstract class


def _note_given(seen: Seen, asks: FrameType | None, answer: Any) -> None:
    """Note an object that a function of a library returned to the user's code."""
    plain = type(answer).__module__ == "builtins"
    if not plain and asks is not None and asks.f_code in seen.codes:
        with suppress(TypeError):  # what has no weak references is of C, or a number
            seen.given[id(answer)] = weakref.ref(answer)


def _decimal_context() -> str:
    """Say how decimal numbers are computed in this thread."""
    return repr(sys.modules["decimal"].getcontext())


_is_abstract_instance = getattr(sys.modules["_abc"], "_abc_instancecheck", None)


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


def _is_in(function: Any, functions: frozenset[Any]) -> bool:
    try:
        return function in functions
    except TypeError:  # a method of what has no hash
        return False


def _changes(function: Any) -> bool:
    """Whether a function written in C gives another answer at each call."""
    owner = getattr(function, "__self__", None)
    if isinstance(owner, random.Random):
        return function.__name__ not in ("getstate", "setstate", "seed")
    if getattr(owner, "__module__", "") == "datetime" and isinstance(owner, type):
        return function.__name__ in ("now", "today", "utcnow")
    if type(owner).__module__ in _OUTSIDE:
        return _ASKS_OUTSIDE.match(function.__name__) is not None
    return _is_in(function, _CHANGING)


# Libraries that read files, or draw, for the user; others do it for ends of their own, as a
# garbage collector's callback asks for the time, or `linecache` opens a file for a message.
_FOR_THE_USER = frozenset({"random", "numpy", "scipy", "pandas", "datetime", "pathlib"})


def _module_of(frame: FrameType | None) -> str:
    return "" if frame is None else str(frame.f_globals.get("__name__"))


def _way_to_the_user(frame: FrameType | None) -> Iterator[FrameType]:
    """Go from a frame to the one of the user's that leads to it, which comes last if there is one."""
    while frame is not None:
        yield frame
        frame = None if is_users(_module_of(frame)) else frame.f_back


def _users_call(frame: FrameType, function: Any) -> str:
    """Say what the user called that asked for a function written in C, and where."""
    *between, last = _way_to_the_user(frame)
    name = between[-1].f_code.co_qualname if between else getattr(function, "__qualname__", "")
    return f"{shown_line(line_of(last))}: {callee_at(last) or name}()"


def _is_for_its_own_ends(frame: FrameType) -> bool:
    if any(_module_of(way) == _IMPORTS for way in _way_to_the_user(frame)):
        return True  # a module is loaded, once
    asks: FrameType | None = frame
    while _module_of(asks) in _OF_PATHS and asks is not None:  # for whoever asks them
        asks = asks.f_back
    name = _module_of(asks)
    return not is_users(name) and name.partition(".")[0] not in _FOR_THE_USER


_IMPORTS = "importlib._bootstrap"
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
