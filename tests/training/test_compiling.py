"""Compiled steps: the same as those that run as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tools.runs import OPTIMIZERS, X, Y, close, dropping, network, train

from autonn import (
    CrossEntropy,
    Sequential,
    Tensor,
    fit,
)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("batch_size", [None, 25])
@pytest.mark.parametrize("way", OPTIMIZERS)
def test_compiled_and_eager_training_agree(way: str, batch_size: int | None, dtype: Any) -> None:
    steps = way in ("SGD", "Adam")
    if batch_size and not steps:
        return
    results = []
    for compiled in (True, False):
        model = dropping(dtype)
        if not steps:
            model[2].p = 0.0  # a search needs a cost that stays as it is
        history = fit(
            model, X.astype(dtype), Y, loss=CrossEntropy(), optimizer=OPTIMIZERS[way](), l2=0.5,
            epochs=4, batch_size=batch_size, seed=0, compile=compiled,
            validation=(X[:10].astype(dtype), Y[:10]),
            class_weights=[1.0, 2.0, 0.5], sample_weights=np.linspace(0, 2, 60),
        )  # fmt: skip
        results.append((model, history))
    (one, seen), (other, expected) = results
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    close(one, other, tolerance)
    np.testing.assert_allclose(seen.cost, expected.cost, rtol=tolerance)
    assert seen.accuracy == expected.accuracy
    assert seen.validation_accuracy == expected.validation_accuracy
    assert one[0].weight.dtype == dtype
    # Beside the validation it only runs while being traced, for gradients and for products, and
    # once before a search.
    assert len(one.calls) - len(seen.cost) <= 3 < len(other.calls) - len(expected.cost)


class Reads(Sequential):
    def forward(self, x: Any) -> Tensor:
        out = super().forward(x)
        return out if float(np.sum(out)) < 1e9 else out * 0.0


class Draws(Sequential):
    """Draws its numbers in plain NumPy: a program would use the first ones for ever."""

    def __init__(self, *modules: Any) -> None:
        super().__init__(*modules)
        self.rng = np.random.default_rng(3)

    def forward(self, x: Any) -> Tensor:
        return super().forward(x) * self.rng.uniform(0.5, 1.0, 3)


class Remembers(Sequential):
    """Scales by what it saw before, as a layer that normalises does."""

    def forward(self, x: Any) -> Tensor:
        self.shown = getattr(self, "shown", 0) + len(x)
        return super().forward(x) * (1 + 1 / self.shown)


@pytest.mark.parametrize("kind", [Reads, Draws, Remembers])
@pytest.mark.parametrize("way", OPTIMIZERS)
def test_what_cannot_be_compiled_is_trained_all_the_same(kind: Any, way: str) -> None:
    models, histories = [], []
    for compiled in (True, False):
        models.append(kind(*network().modules))
        histories.append(train(models[-1], optimizer=OPTIMIZERS[way](), compile=compiled))
    assert histories[0] == histories[1]
    close(models[0], models[1], 0.0)
    assert len(set(histories[0].cost)) > 1
