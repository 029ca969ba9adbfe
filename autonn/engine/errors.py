"""Calls that a program makes for their errors alone.

What nobody uses is left out of a program. A call that can raise by its values, as that of a matrix
which has no inverse, is not: eager would have raised. Its op says so by `Op.raises`; while a
function is traced such calls are listed, and those that nothing uses are tied to a result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autonn.engine.apply import define
from autonn.engine.lineage import age_of, ancestors, tensors_of
from autonn.engine.op import Function, Memory
from autonn.engine.tensor import Tensor

__all__ = ["after", "tied"]


def _rows_of_first(call: Any, axes: Sequence[int | str | None]) -> Any:
    """Say that rows stay where they are, unless the others have some too."""
    return axes[0] if all(axis is None for axis in axes[1:]) else None


after: Function = define(
    "after",
    lambda x, *others: x,
    "z = x, after the others, which may be errors",
    lambda k, g, z, *values: g,
    listed=False,
    numpy=(),
    variadic=True,
    rows=_rows_of_first,
    memory=Memory.VIEW,
    prints="{0}",
)


def tied(
    results: Sequence[Any],
    calls: Sequence[Tensor],
    inputs: Callable[[Tensor], list[Tensor]] = tensors_of,
    others: Sequence[Any] = (),
) -> list[Any]:
    """Tie calls that neither these results nor the others use to the smallest of the results.

    >>> x = Tensor(2.0)
    >>> tied([x], [])
    [Tensor(2.)]
    """
    tensors = [(k, t) for k, t in enumerate(results) if isinstance(t, Tensor)]
    roots = [t for t in (*results, *others) if isinstance(t, Tensor)]
    used = {age_of(t) for t in ancestors(roots, inputs)} if calls else set()
    unused = [t.detach() for t in calls if age_of(t) not in used]
    tied_to = list(results)
    if unused and tensors:
        k, smallest = min(tensors, key=lambda pair: pair[1].size)
        tied_to[k] = after(smallest, *unused)
    return tied_to
