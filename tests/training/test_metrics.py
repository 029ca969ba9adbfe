"""Metrics: how often a model is right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tools.runs import X, Y, network

from autonn import Layer, Module, Tensor
from autonn.training import accuracy, confusion_matrix, count_readings, top_k


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


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int64])
def test_small_whole_numbers_never_wrap_around(dtype: Any) -> None:
    for classes in (2, 3, 10, 12, 16, 100):
        rng = np.random.default_rng(classes)
        actual, read = rng.integers(0, classes, (2, 500))
        expected = np.zeros((classes, classes), int)
        np.add.at(expected, (actual, read), 1)
        counts = count_readings(actual.astype(dtype), read.astype(dtype), classes)
        assert np.array_equal(counts, expected)
    model = Layer(20, 20, weight=np.eye(20))
    y = np.arange(20).astype(dtype)
    assert np.array_equal(confusion_matrix(model, np.eye(20), y), np.eye(20))


# ---- one output: the probability of class 1


class Probability(Module):
    """Predicts its input."""

    def forward(self, x: Any) -> Tensor:
        return Tensor(x)


P = np.array([[0.1], [0.9], [0.5], [0.6], [0.0], [1.0]])
LABELS = np.array([0, 1, 1, 0, 0, 1])


@pytest.mark.parametrize("y", [LABELS, LABELS[:, None], LABELS[:, None] * 1.0])
def test_one_probability_tells_two_classes_apart(y: Any) -> None:
    read = np.array([0, 1, 0, 1, 0, 1])  # 1/2 itself is no more than that of the other
    assert accuracy(Probability(), P, y) == np.mean(read == LABELS)
    assert np.array_equal(confusion_matrix(Probability(), P, y), [[2, 1], [1, 2]])
    assert top_k(Probability(), P, y, 2) == 1.0
    assert top_k(Probability(), P[P[:, 0] != 0.5], y[P[:, 0] != 0.5], 1) == 4 / 5
    assert accuracy(Probability(), np.ones((3, 1)), [0, 0, 0]) == 0.0
    assert accuracy(Probability(), np.zeros((3, 1)), [[0], [0], [0]]) == 1.0


@pytest.mark.parametrize("bad", [-0.1, 1.5, np.inf, np.nan])
def test_one_output_that_is_no_probability_is_refused(bad: float) -> None:
    class Bad(Probability):
        def forward(self, x: Any) -> Tensor:
            return Tensor(np.where(np.arange(6)[:, None] == 3, bad, x))

    for metric in (accuracy, confusion_matrix, top_k):
        with pytest.raises(ValueError, match=r"row 3; end the model with Sigmoid\(\)"):
            metric(Bad(), P, LABELS)
    for shift, named in ((2, "class 2 of 2 in row 0"), (-1, "class -1 of 2 in row 0")):
        with pytest.raises(IndexError, match=named):
            accuracy(Probability(), P, LABELS + shift)
