"""Sharing rows out: where a cost is a sum over rows, its parts can be computed side by side.

NumPy lets go of Python's lock inside its loops and products, so that threads compute at the same
time. A graph is cut in three: what does not depend on the rows; what each slice of the rows adds
to the sums over them; and what is made of the sums, gradients among them. Only a graph where every
value is of one of these kinds is cut; see `kinds`.
"""

from __future__ import annotations

import contextvars
import functools
import itertools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from autonn.engine import ops
from autonn.engine.graph import Argument, Node, behind
from autonn.engine.program import Sheet, is_ufunc

# Below so many rows the threads cost more than they save, as each call has to wait for Python's
# lock; so too where slices are short: of 5,000 rows, two slices take 0.9 x the time of the whole,
# four 1.05 x, eight 1.4 x (the digit network on 2 cores, float64).
LEAST_ROWS, SLICE = 4096, 2500

# What a node is: it depends on no row, it is a sum over rows or made of such, or the number of
# the axis along which its rows lie.
FREE, SUMMED = "free", "summed"
Kind = str | int

# Calls, beside the ufuncs, that treat each element, or each row, for itself.
_ELEMENTWISE = frozenset({"where", "over", "times", "cast", "bell", "phi", "share_below", "silu"})
# Calls that look at whole columns: they are made before the rows are dealt out.
_BEFOREHAND = frozenset({"one_hot", "random"})


class _CannotBeCut(Exception):
    """A value depends on the rows in another way than those above."""


def cut(
    sheet: Sheet, inputs: Sequence[Node], outputs: Sequence[Argument], template: str | None
) -> bool:
    """Write a program that shares rows out, if the graph allows; say whether it did."""
    m = max((node.shape[0] for node in inputs if node.shape), default=0)
    rows = {node.serial for node in inputs if node.shape and node.shape[0] == m}
    if m < LEAST_ROWS:
        return False
    try:
        found = kinds(behind(outputs), rows, m)
    except _CannotBeCut:
        return False
    if not any(kind == SUMMED for kind in found.values()):
        return False
    for output in outputs:
        if isinstance(output, Node) and isinstance(found[output.serial], int):
            return False
    _write(sheet, inputs, outputs, template, found, m)
    return True


def kinds(nodes: Sequence[Node], rows: set[int], m: int) -> dict[int, Kind]:
    """Tell by serial what each node is; `_CannotBeCut` where one is something else."""
    found: dict[int, Kind] = {}
    for node in nodes:
        if node.given is not None:
            even = node.given == "constant" and node.shape[:1] == (m,) and _is_even(node.value)
            found[node.serial] = 0 if node.serial in rows or even else FREE
            continue
        own = [found[a.serial] for a in node.nodes()]
        if node.is_call("random") and node.shape[:1] == (m,):
            found[node.serial] = 0
        elif all(kind == FREE for kind in own):
            found[node.serial] = 0 if _spreads_over_rows(node, m) else FREE
        elif SUMMED in own:
            if any(isinstance(kind, int) for kind in own):
                raise _CannotBeCut  # rows that need a sum over all rows first
            found[node.serial] = SUMMED
        else:
            found[node.serial] = _kind(node, found)
    return found


def _spreads_over_rows(node: Node, m: int) -> bool:
    """Whether it repeats the same row m times."""
    if not node.is_call("broadcast_to") or node.shape[:1] != (m,):
        return False
    x = node.args[0]
    return bool(x.ndim < node.ndim or x.shape[0] == 1 < m)


def _is_even(value: Any) -> bool:
    """Whether all rows are the same, so that any slice of them is as good as another."""
    return bool((value == value[:1]).all())


def _kind(node: Node, found: dict[int, Kind]) -> Kind:
    """Tell what a call is of which at least one argument has rows, and none is a sum."""
    axes = {a.serial: found[a.serial] for a in node.nodes()}
    if _is_elementwise(node):
        return _elementwise(node, axes)
    if node.is_call("dot") and all(kind == 0 for kind in axes.values()):
        return SUMMED
    if node.is_call("matmul"):
        x, y = node.args
        return _product(axes[x.serial], axes[y.serial], x.ndim, y.ndim)
    first = node.args[0]
    axis = axes.get(first.serial, FREE) if isinstance(first, Node) else FREE
    if not isinstance(axis, int):
        raise _CannotBeCut
    if node.is_call("transpose"):
        place: int = node.static["axes"].index(axis)
        return place
    if node.is_call("sum", "max", "min", "count_nonzero"):
        return _reduced(node, axis)
    if node.is_call("broadcast_to"):
        lead: int = node.ndim - first.ndim
        return lead + axis
    if axis == 0 and _keeps_first_axis(node, first):
        return 0
    raise _CannotBeCut


def _is_elementwise(node: Node) -> bool:
    return is_ufunc(node) or node.is_call(*_ELEMENTWISE)


def _keeps_first_axis(node: Node, x: Node) -> bool:
    """Whether each row of the result is made of the same row of x alone."""
    if node.is_call("one_hot"):
        return x.given == "input"
    if node.is_call("reshape"):
        return node.shape[:1] == x.shape[:1] and x.shape[0] > 0
    if node.is_call("getitem"):
        key = node.args[1] if isinstance(node.args[1], tuple) else (node.args[1],)
        return bool(key) and isinstance(key[0], slice) and key[0] == slice(None)
    if node.is_call("argmax", "argmin"):
        axis = node.static.get("axis", node.args[1] if len(node.args) > 1 else None)
        return axis is not None and axis % x.ndim != 0
    return False


def _elementwise(node: Node, axes: dict[int, Kind]) -> Kind:
    """Rows must lie along the same axis, and what has none must be stretched along it."""
    place = {kind - a.ndim for a in node.nodes() if isinstance(kind := axes[a.serial], int)}
    if len(place) != 1:
        raise _CannotBeCut
    (from_last,) = place
    for a in node.nodes():
        if axes[a.serial] == FREE and a.ndim >= -from_last and a.shape[from_last] != 1:
            raise _CannotBeCut
    return node.ndim + from_last


def _product(x: Kind, y: Kind, x_ndim: int, y_ndim: int) -> Kind:
    """Products of matrices and vectors: rows pass through, or are summed over."""
    if max(x_ndim, y_ndim) > 2:
        raise _CannotBeCut
    if x == 0 and x_ndim == 2 and y == FREE:
        return 0
    if x == FREE and y == 1:
        return x_ndim - 1
    if x == x_ndim - 1 and y == 0:
        return SUMMED
    raise _CannotBeCut


def _reduced(node: Node, axis: int) -> Kind:
    """Sum over the rows, or reduce each row for itself."""
    x = node.args[0]
    given = node.static.get("axis", node.args[1] if len(node.args) > 1 else None)
    over = ops._axes(given, x.ndim)
    if axis in over:
        if node.is_call("sum", "count_nonzero"):
            return SUMMED
        raise _CannotBeCut
    return axis if node.static.get("keepdims") else axis - sum(a < axis for a in over)


# ---- writing the three parts


def _write(
    sheet: Sheet, inputs: Sequence[Node], outputs: Sequence[Argument], template: str | None,
    found: dict[int, Kind], m: int,
) -> None:  # fmt: skip
    """Write what comes before, a part for each length of slice, what comes after, the whole."""
    sums = [
        n for n in behind(outputs)
        if found[n.serial] == SUMMED and any(isinstance(found[a.serial], int) for a in n.nodes())
    ]  # fmt: skip
    early = _before(sums, found)
    entries = [*inputs, *early]
    calls: dict[str, list[Node]] = {}  # what each function takes
    if early:
        calls["before"] = sheet.write("before", _used(inputs, early), early, None)
    slices = _slices(m)
    for length in dict.fromkeys(stop - start for start, stop in slices):
        stand_ins, results = _sliced(sums, entries, found, length)
        own = [stand_ins[n.serial] for n in entries if n.serial in stand_ins]
        taken = sheet.write(f"part_{length}", own, results, None)
        back = {id(node): n for n in entries if (node := stand_ins.get(n.serial))}
        calls[f"part_{length}"] = [back.get(id(node), node) for node in taken]
    totals = {n.serial: _given(n, n.value, "owned") for n in sums}
    finals = [_copied(output, totals) for output in outputs]  # (adds what it copies to totals)
    stand = [totals[n.serial] for n in sums]
    calls["after"] = sheet.write("after", [*_used(inputs, finals), *stand], finals, template)
    sheet.functions += _driver(inputs, early, sheet.given, stand, found, slices, calls)


def _is_cheap(node: Node) -> bool:
    return node.is_call("transpose", "reshape") and all(a.given for a in node.nodes())


def _before(sums: Sequence[Node], found: dict[int, Kind]) -> list[Node]:
    """List the calls whose results the slices need, and that are made once for all of them."""
    early: dict[int, Node] = {}
    seen: set[int] = set()
    stack = list(sums)
    while stack:
        for a in stack.pop().nodes():
            if a.serial in seen or a.given is not None:
                continue
            seen.add(a.serial)
            if a.is_call(*_BEFOREHAND) or (found[a.serial] == FREE and not _is_cheap(a)):
                early[a.serial] = a
            else:
                stack.append(a)
    return [early[serial] for serial in sorted(early)]


def _used(inputs: Sequence[Node], outputs: Sequence[Argument]) -> list[Node]:
    needed = {node.serial for node in behind(outputs)}
    return [node for node in inputs if node.serial in needed]


def _given(node: Node, value: Any, kind: str = "input") -> Node:
    """Make the input that stands for a node in another function."""
    stand_in = Node(None, (), {}, value, kind)
    stand_in.label = node.label
    return stand_in


def _sliced(
    sums: Sequence[Node], entries: Sequence[Node], found: dict[int, Kind], length: int
) -> tuple[dict[int, Node], list[Node]]:
    """Make the nodes of a slice: those of the whole with so many rows."""
    made: dict[int, Node] = {}
    for node in entries:
        rows = found.get(node.serial) == 0
        made[node.serial] = _given(node, node.value[:length] if rows else node.value)
    for node in behind(sums, made):
        if node.given == "constant" and found[node.serial] == 0:
            rows = node.value[:length]
            made[node.serial] = Node(None, (rows,), {}, rows, "constant")
            continue
        if node.given is not None:
            made[node.serial] = node
            continue
        assert node.op is not None
        args = tuple(made[a.serial] if isinstance(a, Node) else a for a in node.args)
        kind = found[node.serial]
        if node.is_call("reshape", "broadcast_to") and isinstance(kind, int):
            shape = (*node.shape[:kind], length, *node.shape[kind + 1 :])
            args = (args[0], shape)
        values = [a.value if isinstance(a, Node) else a for a in args]
        with np.errstate(all="ignore"):
            value = np.asarray(node.op.forward(*values, **node.static))
        made[node.serial] = Node(node.op, args, node.static, value)
        made[node.serial].label = node.label
    needed = {n.serial for n in behind([made[n.serial] for n in sums])}
    stand_ins = {n.serial: made[n.serial] for n in entries if made[n.serial].serial in needed}
    return stand_ins, [made[n.serial] for n in sums]


def _copied(output: Argument, known: dict[int, Node]) -> Argument:
    """Copy what lies between an output and the sums; what has no sum behind it stays itself."""
    if not isinstance(output, Node):
        return output
    for node in behind([output], known):
        changed = any(known.get(a.serial, a) is not a for a in node.nodes())
        copied = node
        if changed:
            args = tuple(known.get(a.serial, a) if isinstance(a, Node) else a for a in node.args)
            copied = Node(node.op, args, node.static, node.value)
            copied.label = node.label
        known[node.serial] = copied
    return known[output.serial]


def _slices(m: int) -> list[tuple[int, int]]:
    """Cut m rows into slices of nearly `SLICE` rows, as even as can be: by m alone."""
    count = max(2, round(m / SLICE))
    edges = [round(m * k / count) for k in range(count + 1)]
    return list(itertools.pairwise(edges))


def _driver(
    inputs: Sequence[Node],
    early: Sequence[Node],
    given: Sequence[Node],
    totals: Sequence[Node],
    found: dict[int, Kind],
    slices: list[tuple[int, int]],
    calls: dict[str, list[Node]],
) -> list[str]:
    """Write the function that deals the rows out and adds up what comes back."""
    own = ("program", "part", "rows", "share", "map", "added", "slice", "SLICES", *calls)
    names: dict[int, str] = {-1 - k: name for k, name in enumerate(own)}  # not to be taken
    for node in (*inputs, *given, *early, *totals):
        label = node.label if node.label.isidentifier() else "x" if node in early else "total"
        free = (f"{label}_{k}" if k else label for k in range(len(names) + 1))
        names[node.serial] = next(name for name in free if name not in names.values())

    def called(function: str, rows: bool = False) -> str:
        texts = [
            names[n.serial] + ("[rows]" if rows and found.get(n.serial) == 0 else "")
            for n in calls[function]
        ]
        return f"{function}({', '.join(texts)})"

    parameters = [names[node.serial] for node in (*inputs, *given)]
    lengths = {stop - start for start, stop in slices}
    parts = {length: called(f"part_{length}", rows=True) for length in sorted(lengths)}
    first, *others = parts.values()
    body = [f"        return {first}"]
    if others:
        (length, *_) = parts
        body = [f"        if rows.stop - rows.start == {length}:", f"            return {first}"]
        body += [f"        return {others[0]}"]
    made = ", ".join(names[node.serial] for node in early)
    summed = ", ".join(names[node.serial] for node in totals)
    return [
        "",
        "",
        f"SLICES = [{', '.join(f'slice({a}, {b})' for a, b in slices)}]",
        "",
        "",
        "def added(first, *others):",
        '    """Add up what the slices gave, in their order."""',
        "    for other in others:",
        "        first += other",
        "    return first",
        "",
        "",
        f"def program({', '.join(parameters)}, share=map):",
        *([f"    {made}{',' * (len(early) == 1)} = {called('before')}"] if early else []),
        "",
        "    def part(rows):",
        *body,
        "",
        f"    {summed}{',' * (len(totals) == 1)} = map(added, *share(part, SLICES))",
        f"    return {called('after')}",
    ]


# ---- threads


@functools.cache
def _workers() -> ThreadPoolExecutor:
    """Start the threads that help the caller's own; they end with the process."""
    return ThreadPoolExecutor(max(1, _cores() - 1), "autonn-rows")


def _cores() -> int:
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable else os.cpu_count() or 1


def share(part: Callable[[slice], Any], slices: Sequence[slice]) -> list[Any]:
    """Compute the parts side by side, NumPy's BLAS held to one thread each; as `map` does."""
    results: list[Any] = [None] * len(slices)
    turns = itertools.count()

    def work() -> None:
        while (k := next(turns)) < len(slices):
            results[k] = part(slices[k])

    with _one_thread:
        helpers = [
            _workers().submit(contextvars.copy_context().run, work)
            for _ in range(min(_cores(), len(slices)) - 1)
        ]
        try:
            work()
        finally:
            for helper in helpers:
                helper.result()
    return results


def libraries_beside(package: ModuleType) -> list[Any]:
    """List the controllers of the libraries with threads that a package brings.

    They are told by the folder: wheels keep theirs in numpy.libs or scipy.libs, or in .dylibs
    within the package on a Mac.
    """
    return _beside(package, ThreadpoolController().lib_controllers)


def _beside(package: ModuleType, found: Sequence[Any]) -> list[Any]:
    home = Path(str(package.__file__)).parent
    folders = {home, home.with_name(f"{home.name}.libs")}
    return [library for library in found if folders & set(Path(library.filepath).parents)]


@functools.cache
def _blas() -> list[Any]:
    """Find NumPy's own BLAS: what it brings, or all there are where it brings none."""
    found = ThreadpoolController().lib_controllers  # 8 ms: it looks at all that is loaded
    there = [library for library in found if library.user_api == "blas"]
    return _beside(np, there) or there


class _OneThread:
    """Holds NumPy's BLAS to one thread while any caller is inside; counts the callers."""

    def __init__(self) -> None:
        self.lock, self.callers, self.before = threading.Lock(), 0, [0]

    def __enter__(self) -> None:
        with self.lock:
            if self.callers == 0:
                self.before = [library.num_threads for library in _blas()]
                for library in _blas():
                    library.set_num_threads(1)
            self.callers += 1

    def __exit__(self, *exception: object) -> None:
        with self.lock:
            self.callers -= 1
            if self.callers == 0:
                for library, threads in zip(_blas(), self.before, strict=True):
                    library.set_num_threads(threads)


_one_thread = _OneThread()


def _begin_anew() -> None:
    """Forget the threads: a forked child has none of its parent's, but a copy of its locks."""
    _workers.cache_clear()
    _one_thread.__init__()  # type: ignore[misc]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
