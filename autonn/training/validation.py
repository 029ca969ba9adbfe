"""Validation: what is measured after each epoch, of held-out examples or batches of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from autonn import checks
from autonn.data import split
from autonn.engine.tensor import Array
from autonn.training.examples import Examples, held_out_examples
from autonn.training.feeds import StreamFeed, is_stream
from autonn.training.state import Progress, Run
from autonn.training.structures import arrays_of, is_structure, rows_of

__all__ = ["held_out_rows", "validate", "validation_of"]


def validation_of(given: Any) -> Examples | StreamFeed | None:
    """Take held-out examples, or what gives batches of them; a share is `held_out_rows`'s."""
    if given is None:
        return None
    if not isinstance(given, tuple) and is_stream(given):
        return StreamFeed(given, name="fit: validation")
    return held_out_examples(given)


def held_out_rows(share: float, held: Examples, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw which rows to learn from and which to hold out, of each class in proportion.

    >>> X, y = np.ones((8, 1)), np.array([0, 0, 0, 0, 0, 0, 1, 1])
    >>> kept, out = held_out_rows(0.5, Examples.checked(X, y, "f"), np.random.default_rng(0))
    >>> y[kept], y[out]
    (array([0, 0, 0, 1]), array([0, 0, 0, 1]))
    """
    share = checks.number("fit: validation, as a share,", share, above=0, below=1)
    m = len(held)
    count = max(1, round(share * m))
    if count >= m:
        raise ValueError(
            f"fit: validation={share} of {m} examples leaves none to learn from; give more, or "
            "validation=(X, y)"
        )
    rows = np.arange(m)
    classes = held.classes if held.classes is not None and held.classes.ndim == 1 else rows * 0
    kept, _, out, _ = split(rows, classes, count, rng=rng)
    return kept, out


def validate(run: Run, held_out: Examples | StreamFeed | None) -> None:
    """Measure, and add to the history."""
    task, history = run.task, run.history
    if held_out is not None:
        measured = _of_examples if isinstance(held_out, Examples) else _of_batches
        cost, accuracy, predictions, y = measured(run, held_out)
        history.validation_cost.append(cost)
        if accuracy is not None:
            history.validation_accuracy.append(accuracy)
    elif task.measures and task.examples is not None:
        y = task.examples.y
        predictions = task.predict(task.examples.X)
    else:
        return
    for name, value in task.measure(predictions, y).items():
        history.metrics.setdefault(name, []).append(value)


def _of_examples(run: Run, held_out: Any) -> tuple[float, float | None, Any, Any]:
    return (*run.task.validate(held_out[:]), held_out.y)


def _of_batches(run: Run, held_out: Any) -> tuple[float, float | None, Any, Any]:
    """Take the means over batches, by their rows; keep predictions where there are metrics."""
    total = right = rows = counted = 0.0
    predicted, targets = [], []
    rng = np.random.default_rng(0)  # each time the same, where the batches are drawn
    for batch, _ in held_out.epoch(rng, Progress()):
        cost, accuracy, predictions = run.task.validate(batch)
        n = rows_of(batch[0])
        total, rows = total + cost * n, rows + n
        if accuracy is not None:
            right, counted = right + accuracy * n, counted + n
        if run.task.measures:
            predicted.append(arrays_of(predictions))
            targets.append(batch[1])
    together = (_joined(predicted), _joined(targets)) if predicted else (None, None)
    return total / rows, right / rows if counted == rows else None, *together


def _joined(parts: list[Any]) -> Any:
    """Put the rows of batches together, of structures each part's."""
    first = parts[0]
    if not is_structure(first):
        if first is not None and len({part.shape[1:] for part in parts}) > 1:
            raise ValueError(
                "fit: metrics: the batches of the validation have other shapes a row, as "
                f"{first.shape[1:]}, and can't be put together; leave metrics out, or pad the "
                "batches alike"
            )
        return None if first is None else np.concatenate(parts)
    if isinstance(first, tuple):
        return tuple(_joined([part[k] for part in parts]) for k in range(len(first)))
    return {key: _joined([part[key] for part in parts]) for key in first}
