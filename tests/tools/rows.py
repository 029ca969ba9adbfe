"""What an op says it does to rows, asked of a graph, and seen on slices of the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tools.oprows import Array, Random, Row

from autonn import Tensor
from autonn.compiler.graph import Graph
from autonn.compiler.simplify import simplify
from autonn.compiler.trace import trace
from autonn.engine.modes import TracedValueError
from autonn.engine.op import SUM, mixes_rows

LARGEST = 200_000  # elements of a result: beyond, a case takes seconds
Place = int | str | None  # the axis of the rows, `SUM`, or None where there are none


class MixedError(Exception):
    """What becomes of a row depends on the others."""


@dataclass
class Case:
    """A call of which some arguments have rows along their first axis, and where its rows lie."""

    f: Callable[..., Any]
    args: tuple[Array, ...]
    long: tuple[bool, ...]  # which of the arguments have rows
    axis: int
    names: set[str]  # of the ops that it calls, before they are taken apart

    @property
    def count(self) -> int:
        """How many rows there are."""
        return next(len(a) for a, long in zip(self.args, self.long, strict=True) if long)

    def slice(self, start: int, stop: int) -> tuple[Array, ...]:
        """Take some of the rows of each argument that has any."""
        pairs = zip(self.args, self.long, strict=True)
        return tuple(a[start:stop] if long else a for a, long in pairs)


def place_of_rows(graph: Graph) -> Place:
    """Ask the op of each call where the rows of its result lie; those of the inputs lie first."""
    m = max(node.shape[0] for node in graph.inputs if node.shape)
    places: dict[Any, Place] = {}
    for node in graph.nodes():
        if node.op is None or node.given is not None:
            has_rows = node in graph.inputs and node.shape[:1] == (m,)
            places[node] = 0 if has_rows else None
            continue
        axes = [places.get(a) for a in node.args]
        if all(axis is None for axis in axes):
            places[node] = None
        elif SUM in axes:
            raise MixedError
        else:
            made = (node.op.rows or mixes_rows)(node, axes)  # type: ignore[arg-type]
            if made is None or (isinstance(made, int) and node.shape[made] % m):
                raise MixedError
            places[node] = made
    return places[graph.outputs[0]]


def cases(row: Row, rng: Random, m: int) -> Iterator[Case]:
    """Give a row of the table m rows, in the ways that it takes them and says to let them pass."""
    for args, long in _lengthened(row, rng, m):
        case = passing(row.f, args, long)
        if case is not None:
            yield case


def passing(
    f: Callable[..., Any], args: tuple[Array, ...], long: tuple[bool, ...] | None = None
) -> Case | None:
    """Make the case of a call, if it can be called so and its ops say that rows pass through."""
    try:
        with np.errstate(all="ignore"):
            graph = trace(f, *args)
            axis = place_of_rows(simplify(graph))
    except (MixedError, ValueError, IndexError, TypeError, TracedValueError):
        return None
    names = {node.op.name for node in graph.nodes() if node.op is not None}
    found = Case(f, args, long or (True,) * len(args), axis, names)  # type: ignore[arg-type]
    large = graph.outputs[0].size > LARGEST
    return found if isinstance(axis, int) and not large else None


def _lengthened(
    row: Row, rng: Random, m: int
) -> Iterator[tuple[tuple[Array, ...], tuple[bool, ...]]]:
    if row.arity:
        args = tuple(domain.draw(rng, (m, 3), True) for domain in row.domains)
        yield args, (True,) * len(args)
        return
    drawn = row.draw(rng, True)
    n = len(drawn)
    for long in dict.fromkeys([(True,) * n, (True, *(False,) * (n - 1))]):
        if all(a.ndim for a, is_long in zip(drawn, long, strict=True) if is_long):
            pairs = zip(drawn, long, strict=True)
            yield tuple(_resized(a, m, rng) if is_long else a for a, is_long in pairs), long


def _resized(a: Array, m: int, rng: Random) -> Array:
    """Repeat rows, each with another factor, so that no two are equal."""
    factors = rng.uniform(0.9, 1.1, (m, *(1,) * (a.ndim - 1)))
    return np.asarray(np.resize(a, (m, *a.shape[1:])) * factors)


def assert_rows_pass(case: Case, start: int, stop: int) -> None:
    """See that slices of the arguments give that slice of the result."""
    whole, part = (_value(case.f, args) for args in (case.args, case.slice(start, stop)))
    assert 0 <= case.axis < whole.ndim, "rows do not pass through"
    each = whole.shape[case.axis] // case.count  # a row may become several
    expected = np.take(whole, range(start * each, stop * each), axis=case.axis)
    assert part.shape == expected.shape, "rows do not pass through"
    scale = np.max(np.abs(expected), initial=1e-300)
    assert np.all(np.abs(part - expected) <= 1e-12 * scale), "rows do not pass through"


def assert_elementwise(case: Case) -> None:
    """See that slices along any other axis give slices too, where all arguments have that axis."""
    whole = _value(case.f, case.args)
    for axis in range(1, whole.ndim):
        n = whole.shape[axis]
        if all(a.shape == whole.shape for a in case.args):
            parts = [np.take(a, range(1, n), axis=axis) for a in case.args]
            expected = np.take(whole, range(1, n), axis=axis)
            np.testing.assert_array_equal(_value(case.f, parts), expected, "not element by element")


def _value(f: Callable[..., Any], args: Sequence[Array]) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(f(*map(Tensor, args)).data)
