"""Guards: what must hold for a program to be the right one, and the quick look whether it does.

A program was derived from one run of a function. It runs again only on arguments of the same form,
with the modules in the same mode, and with all that the function reads as it was (`reads`). The
guards are written as text, one flat expression: the same in loops takes 2 microseconds more, of 50.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import numpy as np
from numpy import ndarray

from autonn.compiler.reads import MISSING, Read, Reads, bytes_of, items_of, slots_of
from autonn.compiler.watching import is_users
from autonn.engine.modes import Changes, Notes, changes, evaluated, is_recording, is_tracing
from autonn.engine.tensor import Tensor, values_of

__all__ = ["MISS", "Guards", "fingerprint", "is_same", "same_items"]

# What a quick look returns where anything is not as it was.
MISS = object()

# Arrays up to this size are compared as they are, of larger ones some numbers of all parts.
_WHOLE_BYTES = 4096
_SAMPLES = 64


class Guards:
    """What a program depends on beside its arguments, and the functions that look at it.

    Attributes
    ----------
    hold
        Whether all is as it was when the program was derived.
    """

    def __init__(self, reads: Reads, modules: Sequence[Any], live: Sequence[Any]) -> None:
        self.reads, self.live = reads, live
        self.modules = list({id(m): m for m in (*reads.modules.values(), *modules)}.values())
        self.known: dict[str, Any] = {}  # what the guards compare with, by name
        self.names: dict[int, str] = {}
        self.prints: dict[int, Any] = {}  # of arrays, by id
        on = bool(is_recording())
        tests = [f"(recording() is {on} or recording_is({on}))", *self.about_modules()]
        tests += self.about_parameters()
        tests += [test for read in reads.things if (test := self.about(read))]
        self.tests = [*tests, *self.about_builtins()]

    @functools.cached_property
    def hold(self) -> Callable[[], bool]:
        """The function that says whether all is as it was; made at the first question."""
        return self.made("guards", [], self.tests, "True", "False")

    # ---- text

    def named(self, value: Any) -> str:
        """Name something for the guards, one name for each."""
        if id(value) not in self.names:
            self.names[id(value)] = f"v{len(self.known)}"
            self.known[self.names[id(value)]] = value
        return self.names[id(value)]

    def unchanged(self, now: str, value: Any) -> str:
        """Write the test whether an expression is what it was."""
        old = self.named(value)
        if isinstance(value, bool | int | float | complex | str | bytes | tuple | frozenset):
            return f"({now} is {old} or is_same({now}, {old}))"
        return f"{now} is {old}"

    def made(
        self, name: str, parameters: list[str], tests: list[str], result: str, otherwise: str,
        first: Sequence[str] = (),
    ) -> Callable[..., Any]:  # fmt: skip
        """Make a function that returns a result where all tests hold, and else another.

        What raises, as an emptied cell does, does not hold.
        """
        body = [
            *first, "try:", f"    fits = {' and '.join(tests)}", "except failures:",
            f"    return {otherwise}", f"return {result} if fits else {otherwise}",
        ]  # fmt: skip
        text = "\n".join([f"def {name}({', '.join(parameters)}):", *(f"    {b}" for b in body)])
        scope = self.known | {
            "__name__": __name__,
            "ndarray": ndarray, "tracing": is_tracing, "recording": is_recording,
            "recording_is": _recording_is,
            "evaluated": evaluated.get, "is_same": is_same, "same_items": same_items,
            "MISS": MISS, "MISSING": MISSING, "changes": changes, "values_of": values_of,
            "failures": (ValueError, AttributeError, TypeError, KeyError), "all": all, "map": map,
            "eq": operator.eq, "fingerprint": fingerprint, "getattr": getattr, "len": len,
            "bytes_of": bytes_of,
        }  # fmt: skip
        exec(text, scope)
        function: Callable[..., Any] = scope.pop(name)  # or it would hold itself
        return function

    # ---- what they look at

    def about_modules(self) -> list[str]:
        """Write the tests whether modules are in the same mode, and ours hold the same."""
        modes = [(m, m.training) for m in self.modules]
        self.known["modes_hold"] = lambda: all(m.training is t for m, t in modes)
        tests = []
        if evaluated.get() is None:
            tests.append("(evaluated() is None or modes_hold())")
        else:
            tests.append("modes_hold()")
        held = [vars(m) for m in self.modules if not is_users(type(m).__module__)]
        if held:  # a dict's comparison asks first whether its values are the very same
            then = self.named([dict(attributes) for attributes in held])
            tests.append(f"all(map(eq, {self.named(held)}, {then}))")
        return tests

    def about_parameters(self) -> list[str]:
        """Write the test whether Tensors are of the same dtypes, and the same require gradients.

        It is looked at if any changed.
        """
        held = (t for m in self.modules for t in (*m.parameters(), *m.buffers()))
        found = {id(t): t for t in (*self.live, *held) if type(t) is Tensor}
        wanted = [(t, t.requires_grad, t.dtype) for t in found.values()]
        if not wanted:
            return []
        seen = Changes(changes.count)

        def hold() -> bool:
            count = changes.count
            if any(t.requires_grad is not w or t.dtype != dtype for t, w, dtype in wanted):
                return False
            seen.count = count
            return True

        self.known["seen"], self.known["parameters_hold"] = seen, hold
        return ["(changes.count == seen.count or parameters_hold())"]

    def about(self, read: Read) -> str:
        """Write the test whether one thing that was read is as it was."""
        owner = self.named(read.owner)
        if read.kind == "key" and read.value is not MISSING:
            return self.unchanged(f"{owner}.get({read.key!r}, MISSING)", read.value)
        if read.kind == "cell" and read.value is not MISSING:
            return self.unchanged(f"{owner}.cell_contents", read.value)
        if read.kind == "context":
            return self.unchanged(f"{owner}.get(MISSING)", read.value)
        if read.kind == "bytes":
            return f"bytes_of({owner}) == {self.named(read.value)}"
        if read.kind == "answer":
            return f"{owner}() == {self.named(read.value)}"
        if read.kind == "size":
            return f"len({owner}) == {read.value}"
        if read.kind == "class":
            return f"{owner}.__class__ is {self.named(read.value)}"
        if read.kind == "items":
            return f"same_items({owner}, {self.named(read.value)})"
        if read.kind == "kind":
            kind = self.named(read.value)
            return f"type({owner}.__dict__.get({read.key!r}, MISSING)) is {kind}"
        if read.kind == "shown":
            return self.unchanged(f"getattr({owner}, {read.key!r}, MISSING)", read.value)
        if read.kind == "attribute":
            return self.unchanged(self.attribute(owner, read), read.value)
        return ""

    def attribute(self, owner: str, read: Read) -> str:
        """Write an attribute: a function's own, what an object's dict holds, or a slot."""
        if isinstance(read.owner, FunctionType | type) and read.key in _BESIDE_THE_DICT:
            return f"{owner}.{read.key}"
        if hasattr(read.owner, "__dict__") and read.key not in slots_of(type(read.owner)):
            return f"{owner}.__dict__.get({read.key!r}, MISSING)"
        return f"getattr({owner}, {read.key!r}, MISSING)"

    def about_builtins(self) -> list[str]:
        """Write the tests whether no global hides a name that is built in."""
        hidden: dict[int, tuple[Any, set[str]]] = {}
        for read in self.reads.things:
            if read.kind == "key" and read.value is MISSING:
                hidden.setdefault(id(read.owner), (read.owner, set()))[1].add(read.key)
        pairs = hidden.values()
        return [f"{self.named(d)}.keys().isdisjoint({self.named(n)})" for d, n in pairs]

    def changed(self) -> str:
        """Name the first thing that is not as it was, for a message."""
        for read in self.reads.things:
            test = self.about(read)
            if test and not self.made("guard", [], [test], "True", "False")():
                return read.name
        return "a module, or its mode"

    def watch(self, array: ndarray[Any, Any], whole: bool) -> None:
        """Look at an array's numbers too: at all, or where there are many at some."""
        if id(array) not in self.prints:
            self.prints[id(array)] = fingerprint(array, whole)
            old = self.named(self.prints[id(array)])
            self.tests.append(f"fingerprint({self.named(array)}, {whole}) == {old}")
            self.__dict__.pop("hold", None)  # it is made with all the tests, once

    def quick(self, args: tuple[Any, ...], function: Any, finish: Any) -> Callable[..., Any]:
        """Write the function that looks whether all is as it was, and only then runs the program.

        It is as flat as the program: the same in loops takes 2 microseconds more, of 50.
        """
        self.known |= {"function": function, "finish": finish}
        inputs, parameters = [], [f"a{k}" for k in range(len(args))]
        row = "".join(f"{name}, " for name in parameters)
        tests = ["tracing() is None", *self.tests]
        for name, a in zip(parameters, args, strict=True):
            if type(a) is ndarray:
                inputs.append(name)
                tests += [f"type({name}) is ndarray", f"{name}.shape == {a.shape}"]
                tests.append(f"{name}.dtype is {self.named(a.dtype)}")
            else:
                tests.append(self.unchanged(name, a))
        for thing in self.live:
            name = self.named(thing)
            inputs.append(f"values_of({name})" if type(thing) is Tensor else name)
        call = f"function({', '.join(inputs)})"
        if finish is not None:
            call = f"finish({call}, args, {{}})"
        first = [f"if len(args) != {len(args)}:", "    return MISS"]
        first += [f"{row}= args"] if args else []
        return self.made("quick", ["args"], tests, call, "MISS", first)


# What functions and classes have, but not in their dicts.
_BESIDE_THE_DICT = frozenset({
    "__code__", "__defaults__", "__kwdefaults__", "__name__", "__qualname__", "__doc__",
    "__annotations__", "__bases__",
})  # fmt: skip


def _recording_is(wanted: bool) -> bool:
    """Whether results are recorded or not; never where functions have to run as they are."""
    mode = is_recording()
    if isinstance(mode, Notes) and mode.running():
        return False
    return bool(mode) is wanted


def same_items(now: Any, then: list[Any]) -> bool:
    """Whether a list, dict or set holds the same things, in the same order."""
    if len(now) != len(then):
        return False
    return all(a is b or is_same(a, b) for a, b in zip(items_of(now), then, strict=True))


def is_same(a: Any, b: Any) -> bool:
    """Whether two immutable values are the same: 1 is not True, nor 0.0 -0.0; NaN is itself.

    >>> is_same(1.0, 1), is_same(0.0, -0.0), is_same(float("nan"), float("nan")), is_same(2, 2)
    (False, False, True, True)
    """
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (a == b and math.copysign(1, a) == math.copysign(1, b)) or (a != a and b != b)
    if isinstance(a, tuple):
        same = (x is y or is_same(x, y) for x, y in zip(a, b, strict=False))
        return len(a) == len(b) and all(same)
    if isinstance(a, int | str | bytes | frozenset | complex | np.dtype | range):
        return bool(a == b) and repr(a) == repr(b)
    if isinstance(a, np.generic):
        return bool(a.dtype == b.dtype) and a.tobytes() == b.tobytes()
    return False


def fingerprint(array: ndarray[Any, Any], whole: bool = True) -> Any:
    """Return what tells an array's numbers apart: all of a small one, some of a large one."""
    if whole or array.nbytes <= _WHOLE_BYTES or array.dtype.hasobject:
        return array.shape, array.dtype, array.tobytes()
    step = max(1, array.size // _SAMPLES)
    sample = array.reshape(-1)[::step] if array.flags.c_contiguous else array.flat[::step]
    return array.shape, array.dtype, sample.tobytes()
