"""Targets in a column or in a row: as the model predicts them, where both mean the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from autonn.engine.modes import no_grad
from autonn.engine.tensor import Array
from autonn.nn.module import Module
from autonn.training.examples import Examples
from autonn.training.loss import Loss, classifies, has_check
from autonn.training.losses import Losses
from autonn.training.structures import arrays_of, call, way_of_calling


def lay_out(model: Module, loss: Loss, *given: Examples | None) -> None:
    """Give targets (m,) and (m, 1) the shape of the predictions, where that is the only question.

    One number for each row is the same as a column or not; broadcasting would make (m, m) of both.
    The model is asked once, with one row, and only where it matters. Of several outputs, each that
    has a loss of its own is laid out as if it were alone; a loss without a check gets its targets
    as they are.

    >>> from autonn import Layer, MeanSquaredError
    >>> examples = Examples.checked([[1.0], [2.0]], [3.0, 4.0], "fit")
    >>> lay_out(Layer(1, 1), MeanSquaredError(), examples)
    >>> examples.y.shape
    (2, 1)
    """
    first = given[0]
    if first is None:
        return
    row = first.part(slice(1)).X

    @cache
    def outputs() -> Any:
        """Predict one row; nothing where that can't be done: training says why, and better."""
        try:
            with model.evaluating(), no_grad():
                return arrays_of(call(model, row, way_of_calling(model, row)))
        except Exception:
            return None

    for examples in given:
        if examples is not None and examples.y is not None:
            y = _laid(examples.y, loss, outputs, ())
            if y is not examples.y:
                examples.take_targets(y)


def _laid(y: Any, loss: Loss | None, outputs: Callable[[], Any], path: tuple[Any, ...]) -> Any:
    """Return targets in the shape of the output at a path; themselves where nothing changes."""
    if isinstance(y, np.ndarray):
        return y if loss is None or not _may_differ(y, loss) else _in_shape(y, outputs, path)
    if not isinstance(loss, Losses):
        return y
    keys = [*y] if isinstance(y, Mapping) else range(len(y))
    laid = {key: _laid(y[key], loss.losses.get(key), outputs, (*path, key)) for key in keys}
    if all(laid[key] is y[key] for key in keys):
        return y
    return laid if isinstance(y, Mapping) else tuple(laid.values())


def _in_shape(y: Array, outputs: Callable[[], Any], path: tuple[Any, ...]) -> Array:
    """Make a column of a row, or a row of a column, as the output is one or not."""
    width = _width(outputs(), path)
    if y.ndim == 1 and width == (1,):
        return y[:, None]
    if y.ndim == 2 and len(width) == 1 and width != (1,):
        return y[:, 0]
    return y


def _may_differ(y: Array, loss: Loss) -> bool:
    """Whether targets are one number for each row, and no classes of a single output.

    A loss without a check may want either: of ``np.mean((a[:, 0] - y) ** 2)`` a column would make
    m by m differences.
    """
    if not has_check(loss):
        return False
    if y.ndim == 1:
        return y.dtype.kind == "f" or classifies(loss) is False
    return y.ndim == 2 and y.shape[1] == 1


def _width(output: Any, path: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the shape of an output for a row; empty if it is not there."""
    for key in path:
        try:
            output = output[key]
        except (KeyError, IndexError, TypeError):
            return ()
    return output.shape[1:] if isinstance(output, np.ndarray) else ()
