"""A function of rows as a program whose sums over the rows others compute."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy import ndarray

from autonn.compiler.emit import template_of, write_parts
from autonn.compiler.graph import Graph, Node
from autonn.compiler.guards import Guards
from autonn.compiler.partition import CannotBeCutError, cut
from autonn.compiler.search import reads_near
from autonn.compiler.sources import Source
from autonn.compiler.stretching import stretchable
from autonn.compiler.trace import Traced, as_array, run_traced
from autonn.compiler.unrolling import unrolled
from autonn.compiler.verify import Before, trace_twice
from autonn.distributed.holders import Holders
from autonn.engine.lineage import whereabouts
from autonn.engine.modes import CannotCompileError
from autonn.engine.tensor import Array, values_of
from autonn.engine.trees import tree_leaves

__all__ = ["NoSumError", "Sums"]

_numbers = itertools.count()


class NoSumError(CannotCompileError):
    """What is computed is no sum over rows: that of a row depends on the others, or on chance.

    >>> issubclass(NoSumError, CannotCompileError)
    True
    """


class Sums:
    """A function of all the rows, of which the holders compute the sums over their slices.

    The sums of the slices are added in the order of the slices, so that the result has the bits of
    the program that `compile` derives, whoever holds which of them.

    Parameters
    ----------
    f
        A function of the rows' arrays, and of others.
    sample
        Gives the first arguments with so many rows, for `f` to be traced.
    count, holders
        How many rows there are, and who hold them.
    places
        For each array among the first arguments, which of the holders' it is.
    around
        What is to be undone after `f` was traced.

    Raises
    ------
    NoSumError
        At the first call, where `f` is no sum over rows; it names the op, and the layer or line.
    CannotCompileError
        For what can be no program: see `compile`.

    Examples
    --------
    >>> from autonn.distributed.holders import Threads
    >>> from autonn.distributed.rows import Rows
    >>> X = np.linspace(0, 1, 5000)[:, None]
    >>> holders = Threads().deal(Rows([X]))
    >>> mean = Sums(lambda x, w: np.mean(x * w), lambda m: (X[:m],), 5000, holders, [0])
    >>> round(float(mean(np.array([3.0]))), 12)
    1.5
    """

    def __init__(
        self,
        f: Callable[..., Any],
        sample: Callable[[int], tuple[Any, ...]],
        count: int,
        holders: Holders,
        places: Sequence[int],
        around: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        self.f, self.sample, self.count = f, sample, count
        self.holders, self.places, self.around = holders, places, around
        self.program: _Program | None = None

    def __call__(self, *others: Any) -> Any:
        """Compute the function of all the rows; `others` follow its first arguments."""
        return self.current(others).run(self.holders, others)

    def finite_slices(self, *others: Any) -> list[bool]:
        """Say for each slice whether what it adds to the sums is finite."""
        answers = self.current(others).ask(self.holders, others)
        return [all(bool(np.isfinite(a).all()) for a in sums) for sums in answers]

    def current(self, others: tuple[Any, ...]) -> _Program:
        """Return the program, derived anew where what `f` reads is not what it was."""
        if self.program is None or not self.program.guards.hold():
            with self.around():
                self.program = _Program(self, others)
            self.holders.ask("learn", *self.program.lesson)
        return self.program


class _Program:
    """The program of a function, for the caller and for those who hold the rows."""

    def __init__(self, sums: Sums, others: tuple[Any, ...]) -> None:
        f, self.first = sums.f, len(sums.places)
        near = reads_near(f, (*sums.sample(1), *others))
        found: list[Traced] = []

        def traced(m: int) -> Graph:
            args = (*sums.sample(m), *others)
            leaves = [as_array(a) for a in tree_leaves((args, {}))]
            if found:
                found.append(run_traced(f, args, {}, leaves, near))
            else:
                found.append(trace_twice(f, args, {}, leaves, Before(near)))
            _require_no_buffers(f, found[-1])
            return unrolled(found[-1].graph)

        graph = stretchable(traced).graph(sums.count)
        source = Source(graph.name)
        parts = _cut(f, graph, set(graph.inputs[: self.first]), sums.count)
        template = template_of(graph.form)
        assert template is not None  # of the cost and the gradients
        write_parts(source, parts, template)
        self.function = source.load()["program"]
        self.live = [node.value for node in source.given]
        self.guards = Guards(found[0].reads, found[0].modules, self.live)
        rest = len(graph.inputs) - self.first + len(self.live)
        order = [*sums.places, *[-1] * rest]
        self.lesson = f"{source.name}_{next(_numbers)}", source.text(), order, source.outside

    def values(self, others: tuple[Any, ...]) -> list[Array]:
        """List what the caller gives: the arrays among the other arguments, and parameters."""
        arrays = [a for a in map(as_array, tree_leaves(others)) if isinstance(a, ndarray)]
        return [*arrays, *map(values_of, self.live)]

    def ask(self, holders: Holders, others: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """Ask for the sums of each slice."""
        return holders.ask("sums", self.lesson[0], self.values(others))

    def run(self, holders: Holders, others: tuple[Any, ...]) -> Any:
        """Compute the function; where the program shares the rows out, the holders are asked."""
        values = self.values(others)

        def asked(part: Any, slices: Sequence[slice]) -> list[tuple[Any, ...]]:
            return holders.ask("sums", self.lesson[0], values)

        return self.function(*[None] * self.first, *values, share=asked)


# ---- what can't be dealt out


def _require_no_buffers(f: Any, traced: Traced) -> None:
    """Refuse a function that sets buffers, as a batch norm does of all rows of a batch."""
    if not traced.buffers:
        return
    held = [(len(list(m.named_modules())), k, m) for k, m in enumerate(traced.modules)
            if any(b is t for t in m.buffers() for b in traced.buffers)]  # fmt: skip
    named = f"{min(held)[2]!r} sets" if held else "it sets"
    raise NoSumError(f"{named} a buffer, from all rows at once")


_IN_LAYER = " in layer {path}, {module!r},"


def _cut(f: Any, graph: Graph, rows: set[Node], m: int) -> Any:
    try:
        return cut(graph, rows, m, apart=True)
    except CannotBeCutError as error:
        node = error.node
        if node is None or node.op is None:
            raise NoSumError("the cost does not depend on the rows") from error
        what = f"{node.op.name}{whereabouts(node.place, _IN_LAYER)}"
        if node.op.draws:
            raise NoSumError(f"{what} draws random numbers") from error
        raise NoSumError(f"{what} needs all rows, or a sum over them, to compute one") from error
