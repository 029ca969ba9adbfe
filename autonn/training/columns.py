"""Targets in a column or in a row: as the model predicts them, where both mean the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from autonn.engine.tensor import Array
from autonn.nn.module import Module
from autonn.training.examples import Examples
from autonn.training.loss import Loss, classifies


def lay_out(model: Module, loss: Loss, *given: Examples | None) -> None:
    """Give targets (m,) and (m, 1) the shape of the predictions, where that is the only question.

    One number for each row is the same as a column or not; broadcasting would make (m, m) of both.
    The model is asked once, with one row, and only where it matters.

    >>> from autonn import Layer, MeanSquaredError
    >>> examples = Examples.checked([[1.0], [2.0]], [3.0, 4.0], "fit")
    >>> lay_out(Layer(1, 1), MeanSquaredError(), examples)
    >>> examples.y.shape
    (2, 1)
    """
    first = given[0]
    if first is None or not isinstance(first.X, np.ndarray) or not isinstance(first.y, np.ndarray):
        return
    width = None
    for examples in given:
        if examples is None or not _may_differ(examples.y, loss):
            continue
        width = _width(model, first.X[:1]) if width is None else width
        if examples.y.ndim == 1 and width == (1,):
            examples.take_targets(examples.y[:, None])
        elif examples.y.ndim == 2 and len(width) == 1 and width != (1,):
            examples.take_targets(examples.y[:, 0])


def _may_differ(y: Array, loss: Loss) -> bool:
    """Whether targets are one number for each row, and no classes of a single output."""
    if y.ndim == 1:
        return y.dtype.kind == "f" or classifies(loss) is False
    return y.ndim == 2 and y.shape[1] == 1


def _width(model: Module, row: Array) -> tuple[Any, ...]:
    """Return the shape of what the model predicts for a row; empty if it can't be told."""
    try:
        return np.shape(model.predict(row))[1:]
    except Exception:  # training says what is wrong, and better
        return ()
