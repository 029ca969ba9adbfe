"""Runs of training that several tests share: their data, a network, and ways to train it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autonn import CrossEntropy, Dropout, Layer, Sequential, Sigmoid, fit, optim
from autonn.training import History, checkpoints
from autonn.training.checkpoints import write_checkpoint

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((60, 5)), RNG.integers(0, 3, 60)


def network(seed: int = 0, dtype: Any = np.float64) -> Sequential:
    rng = np.random.default_rng(seed)
    return Sequential(
        Layer(5, 4, rng=rng, dtype=dtype), Sigmoid(), Layer(4, 3, rng=rng, dtype=dtype), Sigmoid()
    )


def train(model: Sequential, **options: Any) -> History:
    given: dict[str, Any] = {"loss": CrossEntropy(), "optimizer": optim.SGD(lr=0.5), "epochs": 5}
    return fit(model, X, Y, **(given | options))


def dropping(dtype: Any = np.float64) -> Sequential:
    rng = np.random.default_rng(0)
    return Sequential(
        Layer(5, 4, rng=rng, dtype=dtype), Sigmoid(), Dropout(0.3, rng=1),
        Layer(4, 3, rng=rng, dtype=dtype), Sigmoid(),
    )  # fmt: skip


def close(one: Any, other: Any, tolerance: float) -> None:
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=tolerance, atol=tolerance)


OPTIMIZERS: dict[str, Callable[[], optim.Optimizer]] = {
    "SGD": lambda: optim.SGD(lr=0.5, momentum=0.9, weight_decay=0.01),
    "Adam": lambda: optim.Adam(lr=0.05),
    "LBFGS": optim.LBFGS,
    "Newton": optim.Newton,
}


def every_checkpoint(
    path: Path, monkeypatch: pytest.MonkeyPatch, job: Callable[[], Any]
) -> list[bytes]:
    """Do the job, and return the checkpoint as it was after each time that it was written."""
    versions: list[bytes] = []

    def write(*args: Any) -> None:
        write_checkpoint(*args)
        versions.append(path.read_bytes())

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "write_checkpoint", write)
        job()
    return versions
