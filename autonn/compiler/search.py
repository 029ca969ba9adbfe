"""Finding what a function reads from around it: everything that could change its program.

It follows from the code that ran: the globals whose names it loads; the cells and defaults of the
functions within reach; the attributes whose names it loads of the objects within reach, or all of
them where `getattr` and its kin may name any; and what the lists, dicts and sets among these hold.
Modules of autonn count themselves what is set on them.
"""

from __future__ import annotations

import functools
import gc
import operator
import random
import sys
import weakref
from array import array
from collections import deque
from collections.abc import Iterator
from contextvars import ContextVar
from types import (
    BuiltinFunctionType,
    CellType,
    CodeType,
    FunctionType,
    GeneratorType,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any

import numpy as np
from numpy import ndarray

from autonn.compiler.reads import MISSING, Read, Reads, bytes_of, items_of, slots_of
from autonn.compiler.watching import (
    AN_ARGUMENT,
    BY_ANY_NAME,
    Seen,
    a_default_of,
    is_users,
    names_in,
)
from autonn.engine.lines import shown_start
from autonn.engine.modes import CannotCompileError
from autonn.engine.tensor import Tensor

__all__ = ["reads_near", "reads_of"]

# A container of more things would take longer to look through than most programs to run.
_MANY = 10_000

# Memory of other languages up to this size is compared at each call, which takes 60 microseconds.
_SHOWN_BYTES = 1 << 20

_PLAIN = (
    bool, int, float, complex, str, bytes, type(None), type(Ellipsis), range, slice,
    BuiltinFunctionType, np.ufunc, np.dtype, np.generic,
)  # fmt: skip


def reads_of(f: Any, args: Any, seen: Seen) -> Reads:
    """Find what a function read while this code was seen to run.

    Raises
    ------
    CannotCompileError
        For what cannot be compared, as an iterator.
    """
    search = _Search(seen)
    search.run(f, args)
    if search.by_any_name and not seen.by_any_name:  # found on the way: what came before it again
        seen.by_any_name = True
        return reads_of(f, args, seen)
    return search.reads


# Libraries whose data nobody sets: `math.pi`, `np.newaxis`.
_CONSTANT = frozenset({"autonn", "numpy", "scipy", "math", "cmath"})

# What is read of functions and classes themselves where the code loads such a name.
_OF_FUNCTIONS = frozenset({"__name__", "__qualname__", "__doc__", "__annotations__"})
_OF_CLASSES = frozenset({"__name__", "__qualname__"})

# What leads to all globals of a namespace, and to any module.
_TO_GLOBALS = frozenset({"globals", "__globals__", "f_globals"})
_TO_MODULES = frozenset({"__import__", "import_module"})

_NOTHING: dict[Any, Any] = {}
_VIEWS = (type(_NOTHING.keys()), type(_NOTHING.values()), type(_NOTHING.items()))

# Of these the value is a copy or a number: what a list or dict holds is followed by itself.
_NOT_FOLLOWED = frozenset({"items", "size", "answer", "bytes"})

# What autonn itself reads of a module and of its class.
_ALWAYS = ("forward", "training", "biases", "__call__")


class _Search:
    """Follows what is within reach, each thing once."""

    def __init__(self, seen: Seen, everything: bool = False) -> None:
        self.reads = Reads()
        self.everything = everything  # whether to follow all attributes, not those that are loaded
        self.seen = seen
        names = [names_in(code) for code in seen.codes]
        self.special = frozenset().union(*(n.attributes for n in names))  # what users load alone
        others = (names_in(code).attributes for code in seen.libraries)
        self.attributes = self.special.union(_ALWAYS, *others)
        # whether any attribute may be read, and so all of the user's are noted
        self.by_any_name = seen.by_any_name or any(n.is_by_any_name for n in names)
        self.done: dict[int, Any] = {}  # by id, and what it was, so that the id stays its own
        self.waiting: list[tuple[Any, str]] = []
        self.known: set[tuple[int, str, Any]] = set()
        self.looks: dict[type, Any] = {}  # how each kind is looked at

    def follow(self, value: Any, name: str) -> None:
        """Look at a thing later."""
        if id(value) not in self.done and not _is_plain(value):
            self.done[id(value)] = value
            self.waiting.append((value, name))

    def run(self, f: Any, args: Any) -> None:
        """Look at all that is within reach of a function, its arguments and the codes that ran."""
        for code, names in list(self.seen.codes.items()):
            self.globals_of(code, names)
        for ask in self.seen.states:
            self.note("answer", ask, None, ask(), f"what {ask.__qualname__}() answers")
        for given in (reference() for reference in self.seen.given.values()):
            if given is not None:  # what was made for the call is gone
                self.follow(given, f"a {type(given).__name__}")
        self.follow(f, "the function")
        for argument in args:
            self.follow(argument, AN_ARGUMENT)
        self.look_at_all()
        for code in self.codes_out_of_sight():
            self.function_of(code)
        self.look_at_all()

    def look_at_all(self) -> None:
        """Look at what waits, and at what that leads to."""
        while self.waiting:
            value, name = self.waiting.pop()
            self.look(value, name)

    def codes_out_of_sight(self) -> list[CodeType]:
        """List the codes that ran and close over something, in functions that were not found.

        Such is a function that an object of C calls, as what `np.frompyfunc` makes.
        """
        found = {id(f.__code__) for f in self.done.values() if type(f) is FunctionType}
        for code in self.seen.codes:  # what it defines is made anew each time that it runs
            found |= {id(inner) for inner in _with_inner(code) if inner is not code}
        return [c for c in self.seen.codes if c.co_freevars and id(c) not in found]

    def function_of(self, code: CodeType) -> None:
        """Follow the function of a code, wherever that is; refuse what is not to be found."""
        functions = [f for f in gc.get_referrers(code) if type(f) is FunctionType]
        if not functions:
            raise CannotCompileError(
                f"{shown_start(code)}: {code.co_name} is called by something "
                "that does not show it, so what it reads can't be followed; call it directly"
            )
        for f in functions:
            self.follow(f, f.__name__)

    def note(self, kind: str, owner: Any, key: Any, value: Any, name: str) -> None:
        """Note a thing that was read, once, and follow it."""
        if (id(owner), kind, key) not in self.known:
            self.known.add((id(owner), kind, key))
            self.reads.things.append(Read(kind, owner, key, value, name))
            if kind not in _NOT_FOLLOWED:
                self.follow(value, name)

    def globals_of(self, code: CodeType, names: dict[str, Any]) -> None:
        """Note the globals that a code loads; what is none must stay none."""
        loaded = names_in(code)
        both = loaded.globals | loaded.attributes
        every = not _TO_GLOBALS.isdisjoint(both)
        for name in sorted({*loaded.globals, *loaded.assigned, *(names if every else ())}):
            self.note("key", names, name, names.get(name, MISSING), name)
        if every:
            self.note("size", names, None, len(names), "how many globals there are")
        modules = loaded.imported
        if not _TO_MODULES.isdisjoint(both):
            modules = frozenset(name for name in sys.modules if is_users(name))
        for name in sorted(modules & sys.modules.keys()):
            self.follow(sys.modules[name], name)

    def look(self, value: Any, name: str) -> None:
        """Note what is read of one thing, by its kind."""
        kind = type(value)
        if kind not in self.looks:
            self.looks[kind] = next(
                (look for kinds, look in _LOOKS if issubclass(kind, kinds)),
                (_Search.iterator if hasattr(kind, "__next__") else _Search.instance),
            )
        self.looks[kind](self, value, name)

    def array(self, value: Any, name: str) -> None:
        """Note an array: what becomes of it is seen in the graph."""
        self.reads.arrays[id(value)] = value, name

    def tensor(self, value: Tensor, name: str) -> None:
        """Note nothing: it is read at each call, and whether it requires a gradient is guarded."""

    def context(self, value: ContextVar[Any], name: str) -> None:
        """Note what a context variable has."""
        self.note("context", value, None, value.get(MISSING), name)

    def chance(self, value: Any, name: str) -> None:
        """Note a generator, whose state tells whether it was drawn from."""
        self.reads.generators.append(value)

    def method(self, value: MethodType, name: str) -> None:
        """Follow what a method is of, and its function."""
        self.follow(value.__self__, name)
        self.follow(value.__func__, name)

    def partial(self, value: Any, name: str) -> None:
        """Follow what a partial was made of; of a compiled function what was compiled."""
        self.by_any_name |= value.func in BY_ANY_NAME
        programs = getattr(value, "programs", None)
        parts = (value.func, value.args, value.keywords) if programs is None else (programs.f,)
        for part in parts:
            self.follow(part, name)

    def wrapped(self, value: Any, name: str) -> None:
        """Follow the function of a static or class method, or of a property."""
        self.follow(value.fget if isinstance(value, property) else value.__func__, name)

    def library(self, value: ModuleType, name: str) -> None:
        """Note the attributes of a file of the user's; of a library's what is data."""
        if is_users(value.__name__):
            self.attributes_of(value, vars(value), name)
        elif value.__name__.partition(".")[0] not in _CONSTANT:
            for key in self.attributes & vars(value).keys():
                data = vars(value)[key]
                if not callable(data) and not isinstance(data, ModuleType):
                    self.note("attribute", value, key, data, f"{name}.{key}")

    def by_name(self, value: Any, name: str) -> None:
        """Note that attributes are read by names that stand in no code."""
        self.by_any_name = True

    def view(self, value: memoryview, name: str) -> None:
        """Follow what a view is of."""
        self.follow(value.obj, name)

    def reference(self, value: weakref.ref[Any], name: str) -> None:
        """Follow what a weak reference leads to."""
        self.follow(value(), name)

    def iterator(self, value: Any, name: str) -> None:
        """Refuse what gives another thing each time."""
        why = (
            f"{name} is an iterator ({type(value).__name__}), which gives another thing each time; "
            "take its items before, or leave it out of what is compiled"
        )
        if not self.everything:
            raise CannotCompileError(why)
        self.reads.iterators[name.rpartition(".")[2]] = why

    def function(self, f: FunctionType, name: str) -> None:
        """Note cells and defaults of a function; of autonn's own only what it was given."""
        name = f.__name__ if f.__name__ != "<lambda>" else name
        self.follow(getattr(f, "__wrapped__", None), name)
        for variable, cell in zip(f.__code__.co_freevars, f.__closure__ or (), strict=True):
            self.cell(cell, variable)
        if not is_users(f.__module__):
            return
        if self.everything:
            for code in _with_inner(f.__code__):
                self.globals_of(code, f.__globals__)
        self.note("attribute", f, "__code__", f.__code__, f"the code of {name}")
        self.note("attribute", f, "__defaults__", f.__defaults__, a_default_of(name))
        self.note("attribute", f, "__kwdefaults__", f.__kwdefaults__, a_default_of(name))
        if "__globals__" in self.special:
            self.container(f.__globals__, f"the globals of {name}")
        for key in sorted(self.special & _OF_FUNCTIONS):
            self.note("attribute", f, key, getattr(f, key), f"{name}.{key}")
        self.attributes_of(f, f.__dict__, name)

    def cell(self, cell: CellType, name: str) -> None:
        try:
            value = cell.cell_contents
        except ValueError:  # it is empty: not assigned yet
            value = MISSING
        self.note("cell", cell, None, value, name)

    def container(self, value: Any, name: str) -> None:
        """Note what a list, dict, tuple or set holds."""
        if len(value) > _MANY:
            if self.everything:
                return
            raise CannotCompileError(
                f"{name} holds {len(value):,} things, too many to look through at each call; pass "
                "what is needed of it as an argument"
            )
        items = items_of(value)
        if not isinstance(value, tuple | frozenset):
            self.note("items", value, None, items, name)
        for item in items:
            for part in item if hasattr(value, "items") else (item,):
                self.follow(part, name)
        if hasattr(value, "__dict__"):  # one of a class of its own
            self.instance(value, name)

    def view_of_dict(self, value: Any, name: str) -> None:
        """Follow what the keys, values or items are of."""
        self.container(value.mapping, name)

    def klass(self, value: type, name: str) -> None:
        """Note the attributes of a class of the user's, and of those above it."""
        if not is_users(value.__module__):
            return
        self.follow(type(value), name)
        for base in value.__mro__:
            if is_users(base.__module__):
                self.note("attribute", base, "__bases__", base.__bases__, f"what {name} is made of")
                for key in sorted(self.special & _OF_CLASSES):
                    self.note("attribute", base, key, getattr(base, key), f"{name}.{key}")
                self.attributes_of(base, vars(base), name)

    def instance(self, value: Any, name: str) -> None:
        """Note the attributes of an object: by the names that are loaded; of ours the plain."""
        self.follow(type(value), type(value).__name__)
        ours = not is_users(type(value).__module__)  # of which all is noted
        for slot in slots_of(type(value)):  # first: its class has it too, and a dict has not
            if ours or self.is_read(slot):
                found = getattr(value, slot, MISSING)
                self.note("attribute", value, slot, found, f"{name}.{slot}")
        attributes = getattr(value, "__dict__", None)
        if hasattr(type(value), "named_modules"):  # not of the value: `__getattr__` may raise
            self.module(value, attributes or {})
        elif isinstance(attributes, dict):
            if is_users(type(value).__module__):
                self.note("class", value, "__class__", type(value), f"the class of {name}")
            self.attributes_of(value, attributes, name)
        self.foreign(value, name)

    def foreign(self, value: Any, name: str) -> None:
        """Note what an object of another language shows: its memory, and attributes that are read.

        Only plain values of these: a bound method is another each time.
        """
        memory = bytes_of(value)
        if memory is not None and len(memory) <= _SHOWN_BYTES:
            self.note("bytes", value, None, memory, name)
        if is_users(type(value).__module__):
            return
        for key in sorted(self.attributes):
            kind = getattr(type(value), key, None)
            if isinstance(kind, GetSetDescriptorType | MemberDescriptorType):
                found = getattr(value, key, MISSING)
                if isinstance(found, (*_PLAIN, tuple)):
                    self.note("shown", value, key, found, f"{name}.{key}")

    def is_read(self, key: str) -> bool:
        """Whether an attribute of the user's of this name may be read."""
        return self.everything or self.by_any_name or key in self.attributes

    def module(self, value: Any, attributes: dict[str, Any]) -> None:
        """Note a module: of ours all is compared, of the user's what is read, and what it holds."""
        self.reads.modules[id(value)] = value
        kind = type(value).__name__
        if not is_users(type(value).__module__):
            for key, inner in attributes.items():
                self.follow(inner, f"{kind}.{key}")
            return
        for key, inner in attributes.items():
            holds = isinstance(inner, Tensor | list | dict | tuple)
            holds = holds or hasattr(type(inner), "children")
            read = self.is_read(key) and key != "edits"
            if holds and not read and isinstance(inner, list | dict) and len(inner) > _MANY:
                self.note("size", inner, None, len(inner), f"{kind}.{key}")  # as a vocabulary
                holds = False
            if holds or read:
                self.note("attribute", value, key, inner, f"{kind}.{key}")
            else:  # a Tensor or a module in its place would be a parameter, or hold some
                self.note("kind", value, key, type(inner), f"{kind}.{key}")
        self.note("size", attributes, None, len(attributes), f"the attributes of a {kind}")
        self.note("class", value, "__class__", type(value), f"the class of a {kind}")
        for key in self.attributes - attributes.keys():  # it may be set later
            if hasattr(type(value), key):
                self.note("attribute", value, key, MISSING, f"{kind}.{key}")

    def attributes_of(self, owner: Any, attributes: Any, name: str) -> None:
        """Note the attributes of something by the names that the code loads; of ours all."""
        single = not isinstance(owner, ModuleType | type | FunctionType)
        ours = single and not is_users(getattr(type(owner), "__module__", ""))
        wanted = self.is_wanted_of_ours if ours else self.is_wanted_of_users
        for key, value in list(attributes.items()):
            if wanted(owner, key, value):
                self.note("attribute", owner, key, value, f"{name}.{key}")
        if str(type(owner).__module__).partition(".")[0] == "autonn":
            return
        # what is missing may be set later, and hide what the class has
        self.note("size", attributes, None, len(attributes), f"the attributes of {name}")
        for key in self.attributes - attributes.keys() if single and not ours else ():
            if hasattr(type(owner), key):
                self.note("attribute", owner, key, MISSING, f"{name}.{key}")

    def is_wanted_of_users(self, owner: Any, key: str, value: Any) -> bool:
        """Whether it is read, or a method that is called without its name, as `__len__`."""
        special = key.startswith("__") and callable(value)
        called = special and (isinstance(owner, type) or key == "__getattr__")
        return called or self.is_read(key)

    def is_wanted_of_ours(self, owner: Any, key: str, value: Any) -> bool:
        """Leave out the data of a task of autonn's, and iterators nobody asks for, as a log's."""
        own_stream = hasattr(type(value), "__next__") and key not in self.attributes
        task = str(type(owner).__module__).partition(".")[0] == "autonn" and _is_data(value)
        return not task and not own_stream


_LOOKS: list[tuple[Any, Any]] = [
    (ndarray, _Search.array),
    (Tensor, _Search.tensor),
    ((np.random.Generator, np.random.RandomState, random.Random), _Search.chance),
    (ContextVar, _Search.context),
    (FunctionType, _Search.function),
    (MethodType, _Search.method),
    (functools.partial, _Search.partial),
    ((dict, MappingProxyType), _Search.container),
    ((list, tuple, set, frozenset, deque, bytearray, array), _Search.container),
    (_VIEWS, _Search.view_of_dict),
    (memoryview, _Search.view),
    (weakref.ref, _Search.reference),
    ((operator.attrgetter, operator.methodcaller), _Search.by_name),
    (ModuleType, _Search.library),
    (type, _Search.klass),
    ((staticmethod, classmethod, property), _Search.wrapped),
    (GeneratorType, _Search.iterator),
]


def _is_plain(value: Any) -> bool:
    """Whether a value tells all of itself: of a class of the user's it may have attributes."""
    return isinstance(value, _PLAIN) and not is_users(type(value).__module__)


def _is_data(value: Any) -> bool:
    """Whether it is an array, or a structure of nothing else, as the several inputs of a task."""
    if type(value) in (dict, tuple):
        parts = value.values() if type(value) is dict else value
        return len(value) > 0 and all(part is None or _is_data(part) for part in parts)
    return isinstance(value, ndarray)


def reads_near(f: Any, args: Any) -> Reads:
    """Find what a function could read, draw from or change, before it runs.

    By the names in all functions within reach, whether they will run or not.
    """
    search = _Search(Seen(), everything=True)
    search.run(f, args)
    return search.reads


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _with_inner(constant)
