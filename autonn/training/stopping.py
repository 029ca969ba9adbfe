"""When training stops by itself: out of patience, or with a cost that is no number."""

from __future__ import annotations

import math
import warnings
from typing import Any, NoReturn

import numpy as np

from autonn.engine.tensor import values_of
from autonn.training.away import Away
from autonn.training.elsewhere import rows_without_cost_away
from autonn.training.examples import Batch, Examples
from autonn.training.history import History
from autonn.training.state import Run, Values

# ---- patience


def epochs_since_best(history: History) -> int:
    """Count the epochs since the best validation cost; all of them if none was a number.

    >>> epochs_since_best(History(validation_cost=[3.0, 1.0, 2.0, 1.0]))  # a tie is no new best
    2
    """
    costs = history.validation_cost
    return len(costs) - int(np.nanargmin([math.inf, *costs]))


def is_out_of_patience(history: History, patience: int | None) -> bool:
    """Whether so many epochs went by without a new best cost of the validation."""
    return (
        patience is not None
        and bool(history.validation_cost)
        and epochs_since_best(history) >= patience
    )


# ---- costs that are no number


def is_finite(run: Run) -> bool:
    """Whether the weights are finite, and the buffers that were so when the epoch began."""
    before = run.finite.buffers
    held = list(run.task.parameters)
    for name, buffer in run.model.named_buffers():
        if np.isfinite(before.get(name, np.nan)).all():
            held.append(buffer)
    return all(bool(np.isfinite(values_of(tensor)).all()) for tensor in held)


def end_without_number(run: Run, what: str, rows: Any, batch: Batch | None) -> NoReturn:
    """Name the rows that are to blame; or else the weights are, and training ends."""
    where = f"in epoch {len(run.history) + 1}"
    if not is_finite(run):
        run.finite.put_into(run.model)
        rows = slice(None)  # any rows of this epoch may have led there
    blamed = _rows_without_cost(run, rows, batch)
    if blamed:
        shown = ", ".join(map(str, blamed[:10])) + (", ..." if len(blamed) > 10 else "")
        raise FloatingPointError(
            f"fit: {what} {where}; that of row {shown}, or its gradient, was not finite even "
            "before training. Look at X and y there; the model keeps its last finite weights"
        )
    run.history.diverged = True
    warnings.warn(
        f"fit: {what} {where}; training ends, and the model keeps its last finite weights. "
        "A smaller learning rate may keep the cost finite",
        RuntimeWarning,
        stacklevel=5,  # the line that calls fit
    )
    raise StopIteration


def _rows_without_cost(run: Run, rows: Any, batch: Batch | None) -> list[int]:
    """List the rows not even finite at the weights that training began with.

    Of batches that come from elsewhere, or that were augmented, only the last one is there to be
    looked at.
    """
    task = run.task
    looked_at = task.examples if task.examples is not None else None
    if looked_at is None:
        if batch is None:
            return []
        looked_at, rows = Examples(*batch), slice(None)
    here = Values.of(run.model)
    run.start.put_into(run.model)
    try:
        if isinstance(looked_at, Away):
            return rows_without_cost_away(run, looked_at)
        numbers = np.arange(len(looked_at))[rows]
        if task.is_finite(looked_at[rows]):
            return []
        return [int(row) for row in numbers if not task.is_finite(looked_at[row : row + 1])]
    finally:
        here.put_into(run.model)
