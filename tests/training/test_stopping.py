"""Patience: the best weights are kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tools.runs import X, Y, network, train

from autonn import CrossEntropy, Tensor
from autonn.training import History

Array = NDArray[Any]


def test_patience_ends_with_the_best_weights() -> None:
    costs = iter([3.0, 2.0, 2.5, 1.0, 1.5, 1.0, 4.0, 9.0, 9.0])
    kept: list[Array] = []
    model = network()

    def script(history: History) -> None:
        kept.append(model[0].theta)

    class Scripted(CrossEntropy):
        def __call__(self, a: Any, y: Any, weights: Any = None) -> Tensor:
            return Tensor(next(costs)) if len(y) == 7 else super().__call__(a, y, weights)

    options: dict[str, Any] = {"validation": (X[:7], Y[:7]), "epochs": 9, "callbacks": [script]}
    history = train(model, loss=Scripted(), patience=3, **options)
    assert history.validation_cost == [3.0, 2.0, 2.5, 1.0, 1.5, 1.0, 4.0]  # a tie is no new best
    assert np.array_equal(model[0].theta, kept[3])
    assert not np.array_equal(model[0].theta, kept[-1])


def test_patience_keeps_the_best_weights_however_training_ends() -> None:
    kept: list[Array] = []
    costs: list[float] = []
    model = network()

    def fail(history: History) -> None:
        kept.append(model[0].theta)
        costs[:] = history.validation_cost
        if len(history) == 40:
            raise KeyError("mine")

    flipped = (X, (Y + 1) % 3)  # the better it learns, the worse this
    with pytest.raises(KeyError):
        train(model, validation=flipped, patience=99, callbacks=[fail], epochs=99)
    best = int(np.argmin(costs))
    assert best < 39
    assert np.array_equal(model[0].theta, kept[best])
