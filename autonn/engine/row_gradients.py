"""The gradient of a table of which few rows were looked up: those rows alone.

An embedding of 10,000 words of which a batch holds 300 has a gradient that is 0 but for 300 rows.
It is the gradient of what was looked up, so nothing else is needed than to ask for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from autonn.engine.lineage import age_of, ancestors, inputs_of
from autonn.engine.ops.indexing import put, rows_read, sums_of_rows
from autonn.engine.tensor import Array, Tensor

__all__ = ["RowGradient", "Wanted"]


# From so many rows on a parameter may be a table: of fewer, steps of a few save nothing, and for
# the weights of common layers nobody needs to walk through the graph, 1 microsecond a result.
MANY = 1000


class RowGradient(NamedTuple):
    """A gradient that is 0 but for some rows: ``g[rows[k]] += values[k]``.

    `rows` (n,) are numbers of rows, a row may stand there several times; `values` (n, ...) is what
    each adds. It is a tuple, so it goes through compiled functions as any result does.

    >>> g = RowGradient(np.array([2, 0, 2]), np.array([[1.0], [2.0], [4.0]]))
    >>> g.dense((3, 1))
    array([[2.],
           [0.],
           [5.]])
    >>> g.summed(3)
    RowGradient(rows=array([0, 2]), values=array([[2.],
           [5.]]))
    """

    rows: Any
    values: Any

    def dense(self, shape: tuple[int, ...]) -> Array:
        """Return the whole gradient, an array as large as the table."""
        whole: Array = put(self.values, self.rows, shape)
        return whole

    def summed(self, count: int) -> RowGradient:
        """Return the same with each row once, in order; `count` is how many the table has."""
        return RowGradient(*sums_of_rows(self.values, self.rows, count))


class Wanted:
    """What a pass is to reach so that the gradients of parameters follow from what it finds.

    Of a parameter that is only read by the numbers of at most half of its rows, these are the
    results of reading; of any other, itself.
    """

    def __init__(self, result: Tensor, parameters: Sequence[Tensor]) -> None:
        self.parameters = parameters
        tables = [p for p in parameters if p.ndim and p.shape[0] >= MANY and p.dtype.char in "fd"]
        uses: dict[int, list[Tensor]] = {age_of(p): [] for p in tables}
        for tensor in ancestors([result]) if tables else ():
            for a in inputs_of(tensor):
                if age_of(a) in uses:
                    uses[age_of(a)].append(tensor)
        self.readings = [_readings(p, uses.get(age_of(p), [])) for p in parameters]

    def tensors(self) -> list[Tensor]:
        """List what the pass is to reach."""
        pairs = zip(self.parameters, self.readings, strict=True)
        return [t for p, readings in pairs for t in ([z for z, _ in readings] or [p])]

    def gradients(self, found: Sequence[Any]) -> list[Any]:
        """Return the gradients of the parameters, from those of what was reached."""
        left = iter(found)
        return [
            _joined(p, readings, [next(left) for _ in readings]) if readings else next(left)
            for p, readings in zip(self.parameters, self.readings, strict=True)
        ]


def _readings(parameter: Tensor, uses: Sequence[Tensor]) -> list[tuple[Tensor, Any]]:
    """List the results of reading rows, with the numbers; none where it is used otherwise."""
    read = [(z, rows_read(z, parameter)) for z in uses]
    if any(rows is None for _, rows in read):
        return []
    many = 2 * sum(rows.size for _, rows in read) > parameter.shape[0]
    return [] if many else read


def _joined(parameter: Tensor, readings: Sequence[tuple[Tensor, Any]], found: Any) -> RowGradient:
    """Lay the gradients of all readings of a parameter behind one another."""
    rows = [np.reshape(rows, (-1,)) for _, rows in readings]
    values = [np.reshape(g, (-1, *parameter.shape[1:])) for g in found]
    if len(rows) == 1:
        return RowGradient(rows[0], values[0])
    return RowGradient(np.concatenate(rows), np.concatenate(values))
