"""What ops do to rows, for those that are not element by element: see `Rows` in `op.py`."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from numpy.lib.array_utils import normalize_axis_index

from autonn.engine.op import SUM

Axis = int | tuple[int, ...] | None


def spelled_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """Spell the axes of a reduction out, counted from 0.

    >>> spelled_axes(-1, 2), spelled_axes(None, 2)
    ((1,), (0, 1))
    """
    if axis is None:
        return tuple(range(ndim))
    if ndim == 0:
        return ()  # NumPy takes the axes 0 and -1 of a number, of which there are none
    return tuple(a % ndim for a in (axis if isinstance(axis, tuple | list) else (axis,)))


def counted_axis(axis: Any, ndim: int) -> int:
    """Count an axis from 0; `AxisError` where there is none.

    >>> counted_axis(-1, 3)
    2
    """
    return int(normalize_axis_index(operator.index(axis), ndim))


def reduces(call: Any, axes: Sequence[int | None]) -> int | None:
    """Say that it reduces each row for itself, where its axes are not that of the rows."""
    rows, x = axes[0], call.args[0]
    over = spelled_axes(call.attribute("axis"), x.ndim)
    if rows is None or rows in over:
        return None
    kept = bool(call.attributes.get("keepdims"))
    return rows if kept else rows - sum(axis < rows for axis in over)


def sums(call: Any, axes: Sequence[int | None]) -> int | str | None:
    """Say that it adds up: over the rows, or within each row."""
    over = spelled_axes(call.attribute("axis"), call.args[0].ndim)
    return SUM if axes[0] in over else reduces(call, axes)


def along_axis(call: Any, axes: Sequence[int | None]) -> int | None:
    """Say that it changes the order or adds up along an axis, which is not that of the rows."""
    over = spelled_axes(call.attribute("axis"), call.args[0].ndim)
    return None if axes[0] in over else axes[0]
