"""Whether a program may be trusted: the function is run again, and has to do the same.

A function that draws random numbers in plain NumPy, counts its calls or reads the clock is another
one each time; one that asks ``isinstance(x, np.ndarray)`` is another for a trace. Both are found by
running it, and refused.
"""

from __future__ import annotations

import contextlib
import random
import threading
from array import array as numbers
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from autonn.compiler.graph import difference
from autonn.compiler.guards import Guards, same_items
from autonn.compiler.reads import MISSING, Read, Reads, slots_of
from autonn.compiler.trace import Traced, run_traced
from autonn.compiler.watching import is_users
from autonn.engine.modes import CannotCompileError, changes
from autonn.engine.tensor import Tensor, leaf, values_of
from autonn.engine.trees import tree_form, tree_leaves, tree_unflatten

__all__ = ["as_it_is", "disagreement", "trace_twice", "verify", "watch_arrays"]

# Up to this size the numbers of an array are compared at each call, which takes 60 microseconds
# for that much; a larger one that is computed with beside Tensors has to be an argument.
_COMPARED_BYTES = 1 << 20

# So many roundings of the largest of all outputs are never a difference: a sum that cancels has up
# to 6 of them, as measured of the biases before a batch norm, of 8 to 5,000 rows.
_ROUNDINGS = 64

# How often it is looked whether a function draws from the generators of a whole process, before it
# is blamed: other threads, if there are any, draw from them as well, as those of a client of Dask's
# do now and then.
_LOOKS = 8

# How often an array's numbers may have changed without changing the program until it is believed
# that they are only read where they stand.
_ENOUGH = 2


def trace_twice(f: Any, args: Any, kwargs: Any, leaves: Sequence[Any], near: Reads) -> Traced:
    """Trace a function twice; raise `CannotCompileError` where it did not do the same.

    What it could read and change, `near`, is as before at the end.
    """
    with _all_put_back(near):
        for _ in range(_LOOKS if threading.active_count() > 1 else 1):
            states = _states(near.generators)
            traced = run_traced(f, args, kwargs, leaves, near)
            if all(map(_is_same_state, states, _states(near.generators))):
                break
        else:
            raise _refusal(f, "it draws random numbers in plain NumPy or Python")
        guards = Guards(traced.reads, traced.modules, [])
        for array, _ in traced.reads.arrays.values():
            guards.watch(array, whole=array.nbytes <= _COMPARED_BYTES)
        again = run_traced(f, args, kwargs, leaves, near)
    if not guards.hold():
        raise _refusal(f, f"it changes what it reads ({guards.changed()})")
    what = difference(traced.graph, again.graph)
    if what:
        raise _refusal(f, f"it computes something else each time: {what} differs")
    return traced


def as_it_is(
    f: Any, args: Any, kwargs: Any, leaves: Sequence[Any], near: Reads, traced: Traced
) -> tuple[Any, list[bool]]:
    """Run a function without a program, and tell which leaves of its result are Tensors.

    What it could read and change, `near`, is put back. A function that does not take arrays is run
    on Tensors: its program gives arrays for arrays.
    """
    given = tree_leaves((args, kwargs))
    with (
        _all_put_back(near),
        np.errstate(all="ignore"),
        _put_back_later([*traced.reads.modules.values(), *traced.modules], traced.buffers),
    ):
        try:
            result = f(*args, **kwargs)
        except (TypeError, AttributeError):
            full, named = tree_unflatten((args, kwargs), _lifted(given, leaves))
            result = f(*full, **named)
            wraps = any(isinstance(a, Tensor) for a in given)
            return result, [wraps and tensor for tensor in traced.tensors]
    return result, [isinstance(a, Tensor) for a in tree_leaves(result)]


def _lifted(given: Sequence[Any], leaves: Sequence[Any]) -> list[Any]:
    """Return the arrays among the leaves of arguments as Tensors, and all else as it was given."""
    return [
        leaf(np.array(a)) if isinstance(a, ndarray) and type(own) is not float else own
        for own, a in zip(given, leaves, strict=True)
    ]


def verify(
    program: Any, f: Any, expected: Any, args: Any, kwargs: Any, leaves: Sequence[Any], near: Reads
) -> None:
    """See that the program gives what the function gives as it is; `near` is put back.

    Raises
    ------
    CannotCompileError
        Where it does not: the function goes another way for arrays than for Tensors.
    """
    with (
        _chance_put_back(near),
        np.errstate(all="ignore"),
        _put_back_later(program.guards.modules, program.buffers),
    ):
        inputs = [a for a in leaves if isinstance(a, ndarray)]
        found = program.run(inputs, args, kwargs)
    what = disagreement(expected, found)
    if what:
        raise _refusal(f, f"its program does not give what it gives as it is ({what})")


def disagreement(expected: Any, found: Any) -> str:
    """Say where two results differ by more than rounding could; "" where they do not."""
    if repr(tree_form(expected)) != repr(tree_form(found)):
        return "the form of the result"
    ours, theirs = (list(map(values_of, tree_leaves(tree))) for tree in (expected, found))
    largest = max(map(_largest, ours), default=0.0)
    for k, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if not isinstance(a, ndarray | np.generic | float | int | complex):
            if type(a) is not type(b) or repr(a) != repr(b):
                return f"output {k}: {b!r} for {a!r}"
            continue
        a, b = np.asarray(a), np.asarray(b)
        if a.shape != b.shape or a.dtype != b.dtype:
            return f"output {k}: {b.shape} {b.dtype} for {a.shape} {a.dtype}"
        if not _is_close(a, b, largest):
            return f"output {k} differs"
    return ""


def _largest(a: Any) -> float:
    """Return the size of the largest finite number of an output; 0 of what has no rounding."""
    if not isinstance(a, ndarray | np.floating | float) or np.asarray(a).dtype.kind != "f":
        return 0.0
    return float(np.abs(a, where=np.isfinite(a), out=np.zeros(np.shape(a))).max(initial=0))


def _is_close(a: Any, b: Any, largest: float) -> bool:
    """Whether two arrays agree, relative to their largest number; loosely, as rounding may grow.

    What is 0 but for rounding, as the gradient of a bias before a batch norm, is no larger than
    some roundings of the `largest` of all outputs, and need not agree.
    """
    if a.dtype.kind in "mM":  # not a time, the largest negative number, is not equal to itself
        return bool(np.array_equal(a.view(np.int64), b.view(np.int64)))
    if a.dtype.kind not in "fc":
        return bool(np.array_equal(a, b))
    finite = np.isfinite(a)
    if not np.array_equal(finite, np.isfinite(b)):
        return False
    with np.errstate(all="ignore"):
        scale = np.abs(a[finite]).max(initial=0)
        off = np.abs(a[finite] - b[finite]).max(initial=0)
    tolerance = {2: 1e-1, 4: 1e-2, 8: 1e-4}.get(a.real.dtype.itemsize, 1e-4)
    rounding = _ROUNDINGS * float(np.finfo(a.real.dtype).eps) * largest
    return bool(off <= tolerance * scale or off <= rounding or off < np.finfo(a.real.dtype).tiny)


def watch_arrays(program: Any, reads: Reads, before: Sequence[Any]) -> dict[int, int]:
    """Let the guards look at the arrays that a function closes over; raise where that can't be.

    One that is an operand is read where it stands. Whether plain NumPy computes with it as well
    can't be seen: so it is looked at until its numbers were seen to change without changing the
    program. Returns by id how often that was seen.
    """
    live = {id(root) for thing in program.live for root in _roots(values_of(thing))}
    seen: dict[int, int] = {}
    for old in before:
        if old.source.text() == program.source.text():
            for key, count in old.arrays.items():
                seen[key] = max(seen.get(key, 0), count + 1)
    for array, name in reads.arrays.values():
        is_live = any(id(root) in live for root in _roots(array))
        count = seen.setdefault(id(array), 0)
        if is_live and count >= _ENOUGH:
            continue
        if not is_live and array.nbytes > _COMPARED_BYTES:
            raise CannotCompileError(
                f"{name}, an array of {array.nbytes / 2**20:.0f} MB, is read in plain NumPy; what "
                "was computed from it would be kept though it may change: make it an argument"
            )
        program.guards.watch(array, whole=not is_live)
    return seen


def _roots(array: Any) -> Iterator[Any]:
    while isinstance(array, ndarray):
        yield array
        array = array.base


# ---- as if nothing had run


@contextlib.contextmanager
def _all_put_back(near: Reads) -> Iterator[None]:
    """Undo, at the end, what a function changed of all that it could have read, or drew.

    Its counters, lists, arrays and chance are then as if nobody had looked at it.
    """
    copies = [(a, a.copy()) for a, _ in near.arrays.values() if a.nbytes <= _COMPARED_BYTES]
    try:
        with _chance_put_back(near):
            yield
    finally:
        for array, copy in copies:
            if array.tobytes() != copy.tobytes():
                array[...] = copy
        for read in near.things:
            _put_back(read)


def _put_back(read: Read) -> None:
    """Give one thing that was read its value back, where it has another."""
    owner, value = read.owner, read.value
    if read.kind == "cell" and value is not MISSING:
        with contextlib.suppress(ValueError):
            if owner.cell_contents is not value:
                owner.cell_contents = value
    elif read.kind == "key" and owner.get(read.key, MISSING) is not value:
        _put_key_back(owner, read.key, value)
    elif read.kind == "items" and not same_items(owner, value):
        _put_items_back(owner, value)
    elif read.kind == "attribute" and not isinstance(owner, type):
        _put_attribute_back(owner, read.key, value)


def _put_attribute_back(owner: Any, key: str, value: Any) -> None:
    if key in slots_of(type(owner)):
        if value is not MISSING and getattr(owner, key, MISSING) is not value:
            setattr(owner, key, value)
        return
    held = getattr(owner, "__dict__", {})
    counts = key == "edits"  # of what is set on a module: a number comes only once
    if is_users(type(owner).__module__) and not counts and held.get(key, MISSING) is not value:
        _put_key_back(held, key, value)
        changes.count += 1  # modules are looked at anew


def _put_items_back(owner: Any, value: list[Any]) -> None:
    if isinstance(owner, list | bytearray):
        owner[:] = value
    elif isinstance(owner, numbers):
        owner[:] = numbers(owner.typecode, value)
    elif hasattr(owner, "clear"):  # a dict, a set or a deque
        owner.clear()
        (owner.extend if isinstance(owner, deque) else owner.update)(value)


def _put_key_back(held: dict[str, Any], key: str, value: Any) -> None:
    if value is MISSING:
        held.pop(key, None)
    else:
        held[key] = value


@contextlib.contextmanager
def _chance_put_back(near: Reads) -> Iterator[None]:
    """Give random generators, and the ones of NumPy and Python, their states back at the end."""
    states = _states(near.generators)
    try:
        yield
    finally:
        now = [*near.generators, np.random.mtrand._rand, random]
        for generator, state in zip(now, states, strict=True):
            _set_state(generator, state)


def _states(generators: Sequence[Any]) -> list[Any]:
    return [_state(g) for g in (*generators, np.random.mtrand._rand, random)]


def _state(generator: Any) -> Any:
    """Return the state of a generator of NumPy's two kinds, or of Python's."""
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    if isinstance(generator, np.random.RandomState):
        return generator.get_state(legacy=False)
    return generator.getstate()


def _set_state(generator: Any, state: Any) -> None:
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif isinstance(generator, np.random.RandomState):
        generator.set_state(state)
    else:
        generator.setstate(state)


def _is_same_state(a: Any, b: Any) -> bool:
    """Whether two states are the same: dicts that hold arrays, or tuples."""
    if isinstance(a, dict):
        return all(_is_same_state(value, b[key]) for key, value in a.items())
    return bool(np.array_equal(a, b)) if isinstance(a, ndarray) else bool(a == b)


@contextlib.contextmanager
def _put_back_later(modules: Sequence[Any], buffers: Sequence[Tensor]) -> Iterator[None]:
    """Give the buffers of modules, and what else a program sets, their values back at the end."""
    held = [b for m in modules for b in m.buffers()] + [*buffers]
    buffers = list({id(b): b for b in held}.values())
    values = [b.numpy() for b in buffers]
    try:
        yield
    finally:
        for buffer, value in zip(buffers, values, strict=True):
            if not np.array_equal(values_of(buffer), value, equal_nan=value.dtype.kind == "f"):
                buffer.data = value


def _refusal(f: Any, why: str) -> CannotCompileError:
    name = getattr(f, "__name__", "the function")
    return CannotCompileError(f"{name} cannot be compiled: {why}")
