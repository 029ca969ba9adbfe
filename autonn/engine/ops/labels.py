"""Classes as rows with a single 1."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from autonn.engine.apply import define
from autonn.engine.op import Memory
from autonn.engine.tensor import Array
from autonn.habits import answers_keywords


@answers_keywords("data()")
def one_hot(y: ArrayLike, classes: int = 10, dtype: DTypeLike = np.float64) -> Array:
    """Turn classes into rows with a single 1, ``Y[i, y_i] = 1``.

    Parameters
    ----------
    y
        Whole numbers from 0 to classes - 1, shape (m,).

    Raises
    ------
    IndexError
        For a class outside 0..classes-1; -1 does not wrap.
    TypeError, ValueError
        For classes that are not whole numbers; for NaN.

    Examples
    --------
    >>> one_hot([2, 0], classes=3)
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    if operator.index(classes) < 1:
        raise ValueError(f"one_hot: classes is at least 1, not {classes}")
    if np.ndim(y) != 1:
        raise ValueError(f"labels must be a vector (m,), not {np.shape(y)}; try y.ravel()")
    rows: Array = one_hot_rows(y, classes=classes, dtype=dtype)
    return rows


def _rows_of_classes(
    y: ArrayLike, classes: int, dtype: DTypeLike, ignored: int | None = None
) -> Array:
    """Make a row for each label; one that is `ignored` gets zeros."""
    labels = class_labels(y, classes, ignored)
    flat, rows = labels.reshape(-1), np.zeros((labels.size, classes), dtype)
    if ignored is None:
        rows[np.arange(len(flat)), flat] = 1
    else:
        (counted,) = np.nonzero(flat != ignored)
        rows[counted, flat[counted]] = 1
    return rows if labels.ndim == 1 else rows.reshape(*labels.shape, classes)


def _keeps_rows(call: Any, axes: Sequence[int | None]) -> int | None:
    """Say that each label becomes a row."""
    return axes[0]


# As an op, so that a compiled cost makes the rows anew, and checks the classes, at each call.
one_hot_rows = define(
    "one_hot",
    _rows_of_classes,
    "Y = 0 but Y[i, y_i] = 1",
    None,
    numpy=(),
    listed=False,
    rows=_keeps_rows,
    memory=Memory.NEW,
    undivided=True,  # an error names the row among all
    raises=True,
)


def class_labels(y: ArrayLike, classes: int, ignored: int | None = None) -> Array:
    """Return classes as an array of whole numbers, each `ignored` or from 0 to ``classes - 1``.

    Raises
    ------
    IndexError, TypeError, ValueError
        As `one_hot`.

    Examples
    --------
    >>> class_labels([2, 0], classes=3)
    array([2, 0])
    """
    labels = np.asarray(y)
    if labels.dtype.kind == "f" and np.isnan(labels).any():
        raise ValueError(f"labels: NaN {_first(np.isnan(labels))[1]}; drop or relabel such rows")
    if labels.dtype.kind not in "iu":
        raise TypeError(f"labels must be integers, not {labels.dtype}; try y.astype(int)")
    outside = (labels < 0) | (labels >= classes)
    if ignored is not None:
        outside &= labels != ignored
    if outside.any():
        index, where = _first(outside)
        counted = labels.min() == 1 and labels.max() == classes  # as MATLAB does
        cure = f": write y - 1, or y % {classes} where {classes} stands for 0" if counted else ""
        if labels[index] == -100:  # PyTorch's mark for what does not count
            cure = "; give SoftmaxCrossEntropy(ignore_index=-100) where such do not count"
        raise IndexError(
            f"one_hot: class {labels[index]} of {classes} {where}; "
            f"labels run from 0 to {classes - 1} and never wrap{cure}"
        )
    return labels


def _first(wrong: Array) -> tuple[Any, str]:
    """Return the index of the first that is wrong, and in words where that is."""
    index = np.unravel_index(int(wrong.argmax()), wrong.shape)
    row, *columns = map(str, map(int, index))
    return index, f"in row {row}" + (f", column {', '.join(columns)}" if columns else "")
