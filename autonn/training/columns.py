"""Targets in a column or in a row: as the model predicts them, where both mean the same."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from autonn.engine.modes import no_grad
from autonn.engine.tensor import Array
from autonn.nn.module import Module
from autonn.training.examples import Examples
from autonn.training.loss import Loss, classifies, has_check
from autonn.training.losses import Losses
from autonn.training.structures import arrays_of, call, is_structure, way_of_calling


def lay_out(model: Module, loss: Loss, *given: Examples | None) -> None:
    """Give targets (m,) and (m, 1) the shape of the predictions, where that is the only question.

    One number for each row is the same as a column or not; broadcasting would make (m, m) of both.
    So is each of several targets. The model is asked once, with one row, and only where it matters.

    >>> from autonn import Layer, MeanSquaredError
    >>> examples = Examples.checked([[1.0], [2.0]], [3.0, 4.0], "fit")
    >>> lay_out(Layer(1, 1), MeanSquaredError(), examples)
    >>> examples.y.shape
    (2, 1)
    """
    first = given[0]
    if first is None:
        return
    told = functools.cache(lambda: _predicted(model, first.part(slice(1)).X))
    for examples in given:
        if examples is None:
            continue
        y = examples.y
        if isinstance(y, np.ndarray):
            made = _as_predicted(y, loss, told)
        elif isinstance(loss, Losses) and is_structure(y):
            made = _each_as_predicted(y, loss, told)
        else:
            continue
        if made is not y:
            examples.take_targets(made)


def _each_as_predicted(y: Any, losses: Losses, told: Callable[[], Any]) -> Any:
    """Give each of several targets the shape of its own output."""

    def part(key: Any, values: Any) -> Any:
        """Change what has a loss, and is an array."""
        if key not in losses.losses or not isinstance(values, np.ndarray):
            return values
        return _as_predicted(values, losses.losses[key], lambda: _output(told(), key))

    if isinstance(y, Mapping):
        return {key: part(key, values) for key, values in y.items()}
    return tuple(part(key, values) for key, values in enumerate(y))


def _as_predicted(y: Array, loss: Loss, told: Callable[[], Any]) -> Array:
    """Return the targets in the shape of the predictions, if that is a column or none."""
    if not _may_differ(y, loss):
        return y
    predictions = told()
    if not isinstance(predictions, np.ndarray) or not predictions.ndim:
        return y
    width = predictions.shape[1:]
    if y.ndim == 1 and width == (1,):
        return y[:, None]
    if y.ndim == 2 and len(width) == 1 and width != (1,):
        return y[:, 0]
    if y.ndim == 2 and not width:
        return y[:, 0]
    return y


def _may_differ(y: Array, loss: Loss) -> bool:
    """Whether targets are one number for each row, and no classes of a single output.

    A loss of one's own gets them as they are: of ``np.mean((a[:, 0] - y) ** 2)`` a column would
    make m by m differences.
    """
    if not has_check(loss):
        return False
    if y.ndim == 1:
        return y.dtype.kind == "f" or classifies(loss) is False
    return y.ndim == 2 and y.shape[1] == 1


def _predicted(model: Module, row: Any) -> Any:
    """Return what the model predicts for a row, as arrays; None if it can't be told."""
    try:
        with no_grad(), model.evaluating():
            return arrays_of(call(model, row, way_of_calling(model, row)))
    except Exception:  # training says what is wrong, and better
        return None


def _output(predictions: Any, key: Any) -> Any:
    """Return one of several outputs; None where there is no such one."""
    try:
        return predictions[key]
    except (KeyError, IndexError, TypeError):
        return None
