"""What modules and losses refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from oracles.digit_networks import small_network as network
from tools.refusals import assert_refused

from autonn import (
    BatchNorm1d,
    CrossEntropy,
    Dropout,
    Layer,
    MeanSquaredError,
    Module,
    Sequential,
    Sigmoid,
    SoftmaxCrossEntropy,
    l2_penalty,
    one_hot,
)

P = np.full((2, 3), 0.5)
BAD: list[tuple[Callable[[], Any], type[Exception], list[str]]] = [
    (lambda: Layer(-1, 2), ValueError, ["Layer(-1, 2)", "at least 1"]),
    (lambda: Layer("a", 2), TypeError, ["Layer('a', 2)", "whole"]),  # type: ignore[arg-type]
    (lambda: Layer(2.5, 2), TypeError, ["Layer(2.5, 2)", "whole"]),  # type: ignore[arg-type]
    (lambda: Layer(2, 3, weight=np.ones((2, 3))), ValueError, ["(2, 3)", "(3, 2)"]),
    (lambda: network()(np.ones((5, 3))), ValueError, ["Layer(4, 3)", "(5, 3)", "(..., 4)"]),
    (lambda: Layer(4, 3)(2.0), ValueError, ["Layer(4, 3)", "()"]),
    (lambda: Sequential(Sigmoid), TypeError, ["Sequential", "class", "Sigmoid()"]),
    (lambda: Sequential("relu"), TypeError, ["Sequential", "'relu'", "ReLU()"]),
    (lambda: Sequential([Sigmoid(), None]), TypeError, ["Sequential", "None"]),
    (lambda: Sequential(CrossEntropy()), TypeError, ["Sequential", "CrossEntropy()", "loss"]),
    (lambda: Sequential(np.tanh)(["a"]), TypeError, ["U1"]),
    (lambda: Module()(1), NotImplementedError, ["forward"]),
    (lambda: BatchNorm1d(3)(np.ones(3)), ValueError, ["fed shape (3,)", "x[None]"]),
    (lambda: CrossEntropy()(P, [0, 3]), IndexError, ["class 3 of 3", "row 1"]),
    (lambda: CrossEntropy()(P, [-1, 0]), IndexError, ["class -1 of 3", "never wrap"]),
    (lambda: CrossEntropy()(P, [0.0, 1.0]), TypeError, ["integers", "float64"]),
    (lambda: CrossEntropy()(P, [0.0, np.nan]), ValueError, ["NaN", "row 1"]),
    (lambda: CrossEntropy()(P, [0, 1, 2]), ValueError, ["CrossEntropy", "2 pred", "3 targets"]),
    (lambda: CrossEntropy()(P, np.ones((2, 1))), ValueError, ["(2, 1)", "(2, 3)", "y.ravel()"]),
    (lambda: CrossEntropy()(P[0], [1]), ValueError, ["CrossEntropy", "(3,)"]),
    (lambda: CrossEntropy()(P * 3, [0, 1]), ValueError, ["probabilities", "1.5", "(0, 0)"]),
    (lambda: CrossEntropy()(P, P - 1), ValueError, ["targets", "-0.5"]),
    (lambda: CrossEntropy()(P * np.nan, [0, 1]), ValueError, ["nan"]),
    (lambda: l2_penalty(network(), -1.0, 5), ValueError, ["lambda", "-1.0"]),
    (lambda: l2_penalty(network(), 1.0, 0), ValueError, ["0 examples"]),
    (lambda: l2_penalty(Sigmoid(), 1.0, 5), ValueError, ["no weights"]),
    (lambda: SoftmaxCrossEntropy()(P, P), ValueError, ["row 0", "sum to 1.5"]),
    (lambda: SoftmaxCrossEntropy()(P, [3, 0]), IndexError, ["class 3 of 3"]),
    (lambda: MeanSquaredError()(P, P[:, :1]), ValueError, ["(2, 1)", "(2, 3)"]),
    (lambda: Dropout(1.0), ValueError, ["below 1"]),
    (lambda: Dropout("a"), TypeError, ["'a'"]),  # type: ignore[arg-type]
    (lambda: one_hot([1], classes=0), ValueError, ["classes"]),
]


@pytest.mark.parametrize(("call", "error", "words"), BAD, ids=range(len(BAD)))
def test_bad_calls_say_what_came_and_what_to_do(
    call: Callable[[], Any], error: type[Exception], words: list[str]
) -> None:
    assert_refused(call, error, words)
