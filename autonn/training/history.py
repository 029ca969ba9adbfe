"""The history of a run: what `fit` saw, one entry an epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from autonn.habits import answer_attributes


@dataclass
class History:
    """What `fit` saw, one entry an epoch; what was not measured stays empty.

    The cost is that of the training, penalty included: of gradient descent before each step, of
    mini-batches the mean over the epoch, of L-BFGS after each iteration. The accuracy belongs to
    the same parameters as the cost; where probabilities round to the same number, their logits tell
    which is larger. Validation is measured after the epoch, without penalty.

    How it was computed is no part of what was seen: two histories are equal whether their runs were
    compiled or not.
    """

    cost: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    validation_cost: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    interrupted: bool = False  # by Ctrl-C or SIGTERM
    diverged: bool = False  # the cost or the weights were no longer finite
    compiled: bool | None = field(default=None, compare=False)  # None: there was nothing to do
    why_not: str = field(default="", compare=False)  # why it was not compiled

    def __len__(self) -> int:
        return len(self.cost)


SERIES = [entry.name for entry in fields(History) if entry.default_factory is list]

answer_attributes(History)

Callback = Callable[[History], Any]
