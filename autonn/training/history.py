"""The history of a run: what `fit` saw, one entry an epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from autonn.checks import NamesError
from autonn.habits import HABITS, answer_attributes
from autonn.training.showing import curve_of, last_entries, rows_of


@dataclass(repr=False)
class History:
    """What `fit` saw, one entry an epoch; what was not measured stays empty.

    The cost is that of the training, penalty included: of gradient descent before each step, of
    mini-batches the mean over the epoch, of L-BFGS after each iteration. The accuracy belongs to
    the same parameters as the cost; where probabilities round to the same number, their logits tell
    which is larger. Validation is measured after the epoch, without penalty, and so are the metrics
    that `fit` was asked for: of the held-out examples, or else of those of the training.

    How it was computed is no part of what was seen: two histories are equal whether their runs were
    compiled or not.

    >>> history = History(cost=[0.5, 0.4], accuracy=[0.5, 0.75])
    >>> len(history), history.cost[-1], history.validation_cost
    (2, 0.4, [])
    """

    cost: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    validation_cost: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    interrupted: bool = False  # by Ctrl-C or SIGTERM
    diverged: bool = False  # the cost or the weights were no longer finite
    compiled: bool | None = field(default=None, compare=False)  # None: there was nothing to do
    why_not: str = field(default="", compare=False)  # why it was not compiled

    def __len__(self) -> int:
        return len(self.cost)

    def __repr__(self) -> str:
        """Say how long it is, and where it ended: the numbers are in the series.

        >>> History(cost=[0.5, 0.4], accuracy=[0.5, 0.75])
        History(2 epochs: cost 0.4000, accuracy 75.00%)
        """
        said = (
            [f"{name} {value}" for name, value in last_entries(self).items()] if self.cost else []
        )
        said += [word for word in ("interrupted", "diverged") if getattr(self, word)]
        many = f"{len(self)} epoch{'' if len(self) == 1 else 's'}"
        return f"History({many}{': ' if said else ''}{', '.join(said)})"

    def _repr_html_(self) -> str:
        """Show a notebook the last epochs, and the curve of the costs."""
        return f"<div>{self!r}</div>{curve_of(self)}{rows_of(self, 5)}"

    def __getitem__(self, name: str) -> list[float]:
        """Return a series by name, as ``history["cost"]``."""
        if name not in SERIES:
            habit = HABITS.get(("History", name))
            meant = habit.answer if habit else f"there are {', '.join(SERIES)}"
            raise NamesError(f"a history has no {name!r}; {meant}")
        series: list[float] = getattr(self, name)
        return series

    def series(self) -> dict[str, list[float]]:
        """Return what was measured, by name, a number an epoch, as a frame of pandas takes it.

        >>> History(cost=[0.5, 0.4]).series()
        {'cost': [0.5, 0.4]}
        """
        return {name: list(getattr(self, name)) for name in SERIES if getattr(self, name)}


#: What a `History` has as lists with one entry an epoch, by name.
SERIES = [entry.name for entry in fields(History) if entry.default_factory is list]

answer_attributes(History)

# A function of the history; or whatever has some of the methods that `Hooks` tells of.
Callback = Callable[[History], Any] | Any
