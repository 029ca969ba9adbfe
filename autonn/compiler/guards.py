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
from types import CodeType
from typing import Any

import numpy as np
from numpy import ndarray

from autonn.compiler.reads import (
    MISSING,
    Read,
    Reads,
    bytes_of,
    contents_of,
    items_of,
)  # fmt: skip
from autonn.compiler.watching import is_users
from autonn.engine.modes import Changes, Notes, changes, evaluated, is_recording, is_tracing
from autonn.engine.tensor import Tensor, values_of

__all__ = ["MISS", "Guards", "fingerprint", "is_same", "same_items"]

# What a quick look returns where anything is not as it was.
MISS = object()

# Arrays up to this size are compared as they are, of larger ones some numbers of all parts.
_WHOLE_BYTES = 4096
_SAMPLES = 64


class _Tests:
    """Tests as text, of things that were read and of others, and by name what they compare with."""

    def __init__(self, things: Sequence[Read] = ()) -> None:
        self.known: dict[str, Any] = {}
        self.names: dict[int, str] = {}
        hidden: dict[int, tuple[Any, set[str]]] = {}  # names that are built in, and no global's
        self.tests = []
        for read in things:
            if read.kind == "key" and read.value is MISSING:
                hidden.setdefault(id(read.owner), (read.owner, set()))[1].add(read.key)
            else:
                self.tests.append(self.about(read))
        for names, keys in hidden.values():
            self.tests.append(f"{self.named(names)}.keys().isdisjoint({self.named(keys)})")

    @functools.cached_property
    def hold(self) -> Callable[[], bool]:
        """The function that says whether all tests hold; made at the first question."""
        return self.made("hold", [], self.tests, "True", "False")

    def named(self, value: Any) -> str:
        """Name something for the tests, one name for each."""
        if id(value) not in self.names:
            self.names[id(value)] = f"v{len(self.known)}"
            self.known[self.names[id(value)]] = value
        return self.names[id(value)]

    def unchanged(self, now: str, value: Any) -> str:
        """Write the test whether an expression is what it was."""
        old = self.named(value)
        if isinstance(value, _BY_VALUE):
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
            *first, "try:", f"    fits = {' and '.join(tests) or True}", "except failures:",
            f"    return {otherwise}", f"return {result} if fits else {otherwise}",
        ]  # fmt: skip
        text = "\n".join([f"def {name}({', '.join(parameters)}):", *(f"    {b}" for b in body)])
        scope = self.known | _SCOPE
        exec(_code(text), scope)
        function: Callable[..., Any] = scope.pop(name)  # or it would hold itself
        return function

    def about(self, read: Read) -> str:
        """Write the test whether one thing that was read is as it was.

        A key has a name in it as well: so one text, compiled once, is that of many functions.
        """
        owner, key = self.named(read.owner), self.named(read.key)
        if read.kind == "items":
            return f"same_items({owner}, {self.named(read.value)})"
        if read.kind == "cell" and read.value is MISSING:
            return f"contents_of({owner}) is MISSING"
        now = _NOW[read.kind].format(owner=owner, key=key)
        if read.kind in ("bytes", "answer"):
            return f"{now} == {self.named(read.value)}"
        return self.unchanged(now, read.value)


# What is compared by its value; all else by being the very same.
_BY_VALUE = (bool, int, float, complex, str, bytes, tuple, frozenset)

# How each kind of read is read again.
_NOW = {
    "key": "{owner}.get({key}, MISSING)", "cell": "{owner}.cell_contents",
    "context": "{owner}.get(MISSING)", "bytes": "bytes_of({owner})", "answer": "{owner}()",
    "size": "len({owner})", "class": "{owner}.__class__",
    "attribute": "{owner}.__dict__.get({key}, MISSING)",
    "shown": "getattr({owner}, {key}, MISSING)", "slot": "getattr({owner}, {key}, MISSING)",
    "kind": "type({owner}.__dict__.get({key}, MISSING))",
}  # fmt: skip


@functools.lru_cache(maxsize=1024)
def _code(text: str) -> CodeType:
    """Compile the text of a guard, which takes a tenth of a small program's derivation."""
    return compile(text, "<guards>", "exec")


class Guards(_Tests):
    """What a program depends on beside its arguments, and the functions that look at it.

    Attributes
    ----------
    hold
        Whether all is as it was when the program was derived.
    """

    def __init__(self, reads: Reads, modules: Sequence[Any], live: Sequence[Any]) -> None:
        super().__init__()
        self.reads, self.live = reads, live
        self.modules = list({id(m): m for m in (*reads.modules.values(), *modules)}.values())
        self.watched: dict[int, Callable[[], bool]] = {}  # arrays, by id
        if reads.tests is None:  # or they were written for another look at the same
            reads.tests = _Tests(reads.things)
        self.known |= reads.tests.known
        self.names |= reads.tests.names
        self.known["as_read"] = reads.tests.hold
        on = bool(is_recording())
        self.tests += [f"(recording() is {on} or recording_is({on}))", *self.about_modules()]
        self.tests += self.about_parameters()

    @functools.cached_property
    def hold(self) -> Callable[[], bool]:
        """The function that says whether all is as it was; made at the first question."""
        return self.made("hold", [], [*self.tests, "as_read()"], "True", "False")

    def about_modules(self) -> list[str]:
        """Write the tests whether modules are in the same mode, and ours hold the same."""
        if not self.modules:
            return []
        modes = [(m, m.training) for m in self.modules]
        self.known["modes_hold"] = lambda: all(m.training is t for m, t in modes)
        tests = ["(evaluated() is None or modes_hold())"]
        if evaluated.get() is not None:
            tests = ["modes_hold()"]
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

    def changed(self) -> str:
        """Name the first thing that is not as it was, for a message."""
        for read in self.reads.things:
            if not _Tests([read]).hold():
                return read.name
        arrays = self.reads.arrays.items()
        other = (
            name for key, (_, name) in arrays if key in self.watched and not self.watched[key]()
        )
        return next(other, "a module, or its mode")

    def watch(self, array: ndarray[Any, Any], whole: bool) -> None:
        """Look at an array's numbers too: at all, or where there are many at some."""
        if id(array) not in self.watched:
            then = fingerprint(array, whole)
            self.watched[id(array)] = lambda: fingerprint(array, whole) == then
            self.tests.append(f"{self.named(self.watched[id(array)])}()")
            self.__dict__.pop("hold", None)  # it is made with all the tests, once

    def quick(self, args: tuple[Any, ...], function: Any, finish: Any) -> Callable[..., Any]:
        """Write the function that looks whether all is as it was, and only then runs the program.

        It is as flat as the program: the same in loops takes 2 microseconds more, of 50.
        """
        self.known |= {"function": function, "finish": finish}
        inputs, parameters = [], [f"a{k}" for k in range(len(args))]
        row = "".join(f"{name}, " for name in parameters)
        tests = ["tracing() is None"]
        for name, a in zip(parameters, args, strict=True):
            if type(a) is ndarray:
                inputs.append(name)
                tests += [f"type({name}) is ndarray", f"{name}.shape == {self.named(a.shape)}"]
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
        tests += [*self.tests, *self.reads.tests.tests]
        return self.made("quick", ["args"], tests, call, "MISS", first)


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


# What all tests may name.
_SCOPE = {
    "__name__": __name__,
    "MISS": MISS, "MISSING": MISSING, "all": all, "bytes_of": bytes_of, "changes": changes,
    "contents_of": contents_of, "eq": operator.eq, "evaluated": evaluated.get,
    "failures": (ValueError, AttributeError, TypeError, KeyError), "getattr": getattr,
    "is_same": is_same, "len": len, "map": map, "ndarray": ndarray, "recording": is_recording,
    "recording_is": _recording_is, "same_items": same_items, "tracing": is_tracing,
    "values_of": values_of,
}  # fmt: skip
