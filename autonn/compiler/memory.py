"""Planning the memory of a program: which call writes where.

Each value that a later call may overwrite is overwritten; what else is needed in between lies in a
workspace that is made once, and its buffers are shared by values that are never needed at the same
time. Only what is returned is made anew at each call.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

import numpy as np

from autonn.compiler.exchange import rounds_of
from autonn.compiler.graph import Argument, Given, Node, behind
from autonn.compiler.layout import ScaledSum, by_columns, is_ufunc, pictures_last, scaled_sums
from autonn.compiler.lowering import FILLED
from autonn.compiler.parts import PARTS, blocks_of_rows
from autonn.engine import ops
from autonn.engine.op import Memory

__all__ = ["Plan", "Stretch", "plan", "whole_of", "writes"]


@dataclass(eq=False)
class Stretch:
    """One stretch of memory, and how long the values that lie in it one by one are needed.

    `first` is the call that makes it, -1 for an input; `last` the last that reads it, infinite
    for a result. A result may be `placed` in memory that is given. In the workspace it is `size`
    numbers of buffer number `buffer`, the first ones, or where others lie `beside` it from `start`.
    """

    first: int
    last: float
    returned: bool = False
    placed: bool = False
    buffer: int | None = None
    size: int = 0
    start: int = 0
    beside: Sequence[Stretch] = ()


@dataclass
class Plan:
    """What to compute in which order, and where the results lie.

    Attributes
    ----------
    order, calls
        All nodes, and the calls among them, in the order in which they are written.
    stretches
        By node, the memory that it is written to; what has none is made by its call.
    buffers
        The workspace: dtype and number of elements of each buffer.
    columns, pictures
        The values that are laid out column by column, and those where pictures lie last.
    sums, spared
        The ``a x + y`` that are added to y where it lies, and the multiples that are not written.
    beside
        The stretches of parts that lie behind one another, by the call that lays them into rows.
    """

    order: list[Node]
    calls: list[Node]
    outputs: Sequence[Argument]
    columns: set[Node] = field(default_factory=set)
    pictures: set[Node] = field(default_factory=set)
    stretches: dict[Node, Stretch] = field(default_factory=dict)
    sums: dict[Node, ScaledSum] = field(default_factory=dict)
    spared: set[Node] = field(default_factory=set)
    beside: dict[Node, Sequence[Stretch]] = field(default_factory=dict)
    buffers: list[tuple[np.dtype[Any], int]] = field(default_factory=list)


def plan(
    inputs: Sequence[Node], outputs: Sequence[Argument], stacked: Sequence[Node] = (),
    summed: Sequence[Node] = (),
) -> Plan:  # fmt: skip
    """Decide what each call writes to, where the inputs that are donated may be overwritten.

    What is `stacked` has memory of its own to be written to; that, and what is `summed`, is needed
    to the end, and so is what a slice gives away on the way.
    """
    given = [*outputs, *itertools.chain(*rounds_of(behind(outputs)))]
    ends = [*given, *stacked, *summed]
    order = _order(ends)
    made = Plan(order, [node for node in order if node.given is None], outputs)
    made.columns = by_columns(made.calls, ends)
    made.pictures = pictures_last(made.calls)
    roots = _roots(made.calls, inputs)
    last = _last_uses(made.calls, ends, roots)
    made.sums, made.spared = scaled_sums(made.calls, ends, last, made.columns)
    for node, (_, x, y) in made.sums.items():
        y.label = y.label or node.label
        for root in roots.get(x, ()):  # it is read later than its multiple would be
            last[root] = max(last[root], made.calls.index(node))
    wholes = {whole_of(output) for output in given if isinstance(output, Node)}
    for node in inputs:
        if node.given is Given.DONATED and node.shape:
            made.stretches[node] = Stretch(-1, last.get(node, -1))
    for k, node in enumerate(made.calls):
        if node in made.spared or not _has_memory(node):
            continue
        stretch = _overwritten(made, k, node, roots, last) or Stretch(k, k)
        stretch.last = max(stretch.last, last.get(node, k))
        stretch.returned |= node in wholes
        made.stretches[node] = stretch
    _place_stacks(made, stacked)
    _lay_parts_beside(made)
    _share_buffers(made)
    return made


def _place_stacks(made: Plan, stacked: Sequence[Node]) -> None:
    """Leave out of the workspace what is stacked elsewhere, and stacks that are returned."""
    for node in made.calls:
        if node.op is FILLED and any(node is output for output in made.outputs):
            made.stretches[node] = made.stretches.get(node.args[0], Stretch(-1, math.inf))
            made.stretches[node].returned = True
    for value in stacked:
        found = made.stretches.get(value)
        if found is not None and found.first >= 0:
            found.placed = writes(made.calls[found.first])


def whole_of(node: Node) -> Node:
    """Return what all its numbers were made as, where it is that in another shape."""
    while node.calls(ops.reshape):
        node = node.args[0]
    return node


def writes(node: Node) -> bool:
    """Whether the call takes memory to write its result to."""
    return node.shape != () and node.memory() is Memory.OUT


def _has_memory(node: Node) -> bool:
    """Whether its result lies in memory that nothing else does."""
    return node.shape != () and node.memory() in (Memory.OUT, Memory.NEW)


def _order(outputs: Iterable[Argument]) -> list[Node]:
    """List the nodes that the outputs need in the order in which they were made.

    A call of what is given alone waits until it is needed: its result would only take up memory.
    """
    order: dict[Node, None] = {}
    waiting: list[Node] = []
    for node in behind(outputs):
        if node.given is None and node.args and all(a.given for a in node.nodes()):
            waiting.append(node)
            continue
        for a in node.nodes():
            order.setdefault(a)
        order.setdefault(node)
    return [*order, *(node for node in waiting if node not in order)]


def _roots(calls: Sequence[Node], inputs: Sequence[Node]) -> dict[Node, list[Node]]:
    """List for each value the calls in whose memory it may lie."""
    roots: dict[Node, list[Node]] = {
        node: [node] for node in inputs if node.given is Given.DONATED and node.shape
    }
    for node in calls:
        if node.memory() is Memory.VIEW:
            roots[node] = roots.get(node.args[0], [])
        elif node.shape == () or _has_memory(node):
            roots[node] = [node]
        else:  # a function of the user's may return what it was given
            roots[node] = [node, *(root for a in node.nodes() for root in roots.get(a, ()))]
    return roots


def _last_uses(
    calls: Sequence[Node], outputs: Sequence[Argument], roots: dict[Node, list[Node]]
) -> dict[Node, float]:
    """Tell which call is the last that reads the memory of each; what is returned is for ever."""
    last: dict[Node, float] = {}
    for k, node in enumerate(calls):
        for a in node.nodes():
            last.update(dict.fromkeys(roots.get(a, ()), k))
    for output in outputs:
        if isinstance(output, Node):
            last.update(dict.fromkeys(roots.get(output, ()), math.inf))
    return last


def _overwritten(
    made: Plan, k: int, node: Node, roots: dict[Node, list[Node]], last: dict[Node, float]
) -> Stretch | None:
    """Find an operand that is not needed any more, and has the form of the result."""
    if node in made.sums:
        return made.stretches[made.sums[node].y]
    if not is_ufunc(node) or node.calls(ops.sign):
        return None  # sign takes ten times as long where it lies: 1.1 ms of 205,000 numbers
    for a in node.nodes():
        if (
            a in made.stretches
            and (a.shape, a.dtype) == (node.shape, node.dtype)
            and all((a in laid) == (node in laid) for laid in (made.columns, made.pictures))
            and last.get(a) == k
            and not any(a in roots.get(b, ()) for b in node.nodes() if b is not a)
        ):
            return made.stretches[a]
    return None


def _lay_parts_beside(made: Plan) -> None:
    """Let blocks of rows be computed behind one another, to be laid into the rows in one call.

    Of the gates of an LSTM, 32 x 64 numbers each, laying them in one by one takes 6.6 microseconds,
    and all at once 2.6 (float32).
    """
    for node in made.calls:
        if node.op is not PARTS or node not in made.stretches:
            continue
        turned = made.columns | made.pictures
        found = [made.stretches.get(a) for a in blocks_of_rows(node) if a not in turned]
        stretches = [s for s in found if s is not None and _is_free(made, s)]
        if len(set(map(id, stretches))) == len(node.args):
            made.beside[node] = stretches
            for stretch in stretches:
                stretch.beside = stretches


def _is_free(made: Plan, stretch: Stretch) -> bool:
    """Whether it may lie anywhere in the workspace."""
    own = stretch.first >= 0 and writes(made.calls[stretch.first])
    return own and not (stretch.placed or stretch.returned or stretch.beside)


def _share_buffers(made: Plan) -> None:
    """Share buffers out, each to values that are never needed at the same time."""
    busy: list[tuple[float, int]] = []  # a heap: until when a buffer is needed, and which
    free: dict[Any, list[tuple[int, int]]] = {}  # by dtype, in order of size: (size, which)
    for place, node in enumerate(made.calls):
        stretch = made.stretches.get(node)
        if stretch is None or stretch.first != place or not writes(node):
            continue
        if stretch.returned or stretch.placed or stretch.buffer is not None:
            continue
        while busy and busy[0][0] < stretch.first:
            k = heappop(busy)[1]
            dtype, size = made.buffers[k]
            insort(free.setdefault(dtype, []), (size, k))
        together = stretch.beside or (stretch,)
        size = node.size * len(together)
        idle = free.get(node.dtype)
        if idle:  # the smallest that is large enough, or else the largest, which then grows
            k = idle.pop(min(bisect_left(idle, (size, 0)), len(idle) - 1))[1]
        else:
            k = len(made.buffers)
            made.buffers.append((node.dtype, 0))
        made.buffers[k] = node.dtype, max(made.buffers[k][1], size)
        heappush(busy, (max(s.last for s in together), k))
        for j, part in enumerate(together):
            part.buffer, part.size, part.start = k, node.size, j * node.size
