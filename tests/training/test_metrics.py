"""Metrics: how often a model is right."""

from __future__ import annotations

import numpy as np
import pytest
from tools.runs import X, Y, network

from autonn import (
    Layer,
)
from autonn.training import accuracy, confusion_matrix, top_k


def test_metrics_count_what_they_say() -> None:
    model = network()
    predictions = model.predict(X)
    ranks = np.array([list(np.argsort(-row)).index(y) for row, y in zip(predictions, Y)])  # noqa: B905
    for k in (1, 2, 3):
        assert top_k(model, X, Y, k) == pytest.approx(np.mean(ranks < k))
    assert top_k(model, X, Y, 1) == accuracy(model, X, Y)
    counts = confusion_matrix(model, X, np.eye(3)[Y])
    expected = np.zeros((3, 3), int)
    for row, y in zip(predictions, Y, strict=True):
        expected[y, row.argmax()] += 1
    assert np.array_equal(counts, expected)
    flat = Layer(5, 3, weight=np.zeros((3, 5)))
    assert top_k(flat, X, Y, 2) == 0.0  # where all are equal, none is among the best two
