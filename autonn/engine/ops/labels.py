"""Classes as rows with a single 1."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from autonn.engine.apply import define
from autonn.engine.op import Memory
from autonn.engine.tensor import Array, Tensor


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
    if isinstance(y, Tensor):
        rows: Array = one_hot_rows(y, classes=classes, dtype=dtype)
        return rows
    if operator.index(classes) < 1:
        raise ValueError(f"one_hot: classes is at least 1, not {classes}")
    labels = class_labels(y, classes)
    rows = np.zeros((len(labels), classes), dtype)
    rows[np.arange(len(labels)), labels] = 1
    return rows


def _keeps_rows(call: Any, axes: Sequence[int | None]) -> int | None:
    """Say that each label becomes a row."""
    return axes[0]


# As an op, so that a compiled cost makes the rows anew, and checks the classes, at each call.
one_hot_rows = define(
    "one_hot",
    one_hot,
    "Y = 0 but Y[i, y_i] = 1",
    None,
    numpy=(),
    listed=False,
    rows=_keeps_rows,
    memory=Memory.NEW,
    undivided=True,  # an error names the row among all
)


def class_labels(y: ArrayLike, classes: int) -> Array:
    """Return classes as a vector of whole numbers, each from 0 to ``classes - 1``.

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
        row = int(np.flatnonzero(np.isnan(labels))[0])
        raise ValueError(f"labels: NaN in row {row}; drop or relabel such rows")
    if labels.dtype.kind not in "iu":
        raise TypeError(f"labels must be integers, not {labels.dtype}; try y.astype(int)")
    if labels.ndim != 1:
        raise ValueError(f"labels must be a vector (m,), not {labels.shape}; try y.ravel()")
    outside = (labels < 0) | (labels >= classes)
    if outside.any():
        row = int(outside.argmax())
        raise IndexError(
            f"one_hot: class {labels[row]} of {classes} in row {row}; "
            f"labels run from 0 to {classes - 1} and never wrap"
        )
    return labels
