"""Losses: their values and gradients, exact where a network is sure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from oracles.digit_networks import small_network as network

from autonn import (
    CrossEntropy,
    MeanSquaredError,
    Softmax,
    SoftmaxCrossEntropy,
    Tensor,
    sigmoid,
    softmax,
)


def test_cross_entropy_on_probabilities_equals_the_formula() -> None:
    rng = np.random.default_rng(0)
    a, y = rng.uniform(0.1, 0.9, (6, 3)), rng.uniform(0, 1, (6, 3))
    expected = -np.sum(y * np.log(a) + (1 - y) * np.log(1 - a)) / 6
    assert CrossEntropy()(a, y).item() == pytest.approx(expected, rel=1e-15)
    t = Tensor(a, requires_grad=True)
    CrossEntropy()(t, y).backward()
    np.testing.assert_allclose(t.grad, ((1 - y) / (1 - a) - y / a) / 6, rtol=1e-13)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i8", "?"])
def test_targets_from_0_to_1_are_taken_whatever_their_dtype(dtype: str) -> None:
    a = sigmoid(Tensor([[0.5, -2.0, 3.0], [1.0, 2.0, -1.0]], requires_grad=True))
    y = np.array([[0.0, 1.0, -0.0], [1.0, 0.0, 1.0]])
    right = CrossEntropy()(a, y).item()
    assert CrossEntropy()(a, y.astype(dtype)).item() == pytest.approx(right, rel=1e-14)


@pytest.mark.parametrize("bad", [-1e-45, -0.5, 1 + 2**-23, 1.5, -np.inf, np.inf, np.nan])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_single_target_outside_of_0_to_1_is_found(dtype: str, bad: float) -> None:
    y = np.full((3, 4), 0.5, dtype)
    y[1, 2] = bad
    with pytest.raises(ValueError, match=r"targets are from 0 to 1, not .* as at \(1, 2\)"):
        CrossEntropy()(sigmoid(Tensor(np.zeros((3, 4), dtype))), y)


def test_certain_and_right_probabilities_cost_nothing() -> None:
    a = Tensor([[0.0, 1.0]], requires_grad=True)
    with np.errstate(all="raise"):
        loss = CrossEntropy()(a, [1])
        loss.backward()
    assert loss.item() == 0
    np.testing.assert_array_equal(a.grad, [[1, -1]])
    assert CrossEntropy()(np.array([[1.0, 0.0]]), [1]).item() == np.inf


def test_classes_and_one_hot_rows_cost_the_same() -> None:
    model, x, y = network(), np.ones((3, 4)), np.array([0, 1, 1])
    loss = CrossEntropy()
    assert loss(model(x), y).item() == loss(model(x), np.eye(2)[y]).item()
    assert loss(model(x), Tensor(np.eye(2)[y])).item() == loss(model(x), y).item()


def test_softmax_cross_entropy_takes_logits_or_what_softmax_made_of_them() -> None:
    z = Tensor(np.random.default_rng(0).standard_normal((4, 3)), requires_grad=True)
    y = np.array([0, 2, 1, 1])
    loss = SoftmaxCrossEntropy()(z, y)
    a = np.exp(z.data) / np.exp(z.data).sum(axis=1, keepdims=True)
    assert loss.item() == pytest.approx(-np.log(a[np.arange(4), y]).mean(), rel=1e-14)
    loss.backward()
    np.testing.assert_allclose(z.grad, (a - np.eye(3)[y]) / 4, rtol=1e-13, atol=1e-16)
    assert SoftmaxCrossEntropy()(Softmax()(z), np.eye(3)[y]).item() == loss.item()


def test_softmax_cross_entropy_is_exact_where_softmax_saturates() -> None:
    z = Tensor([[1e4, 0.0], [0.0, 1e4]], requires_grad=True)
    with np.errstate(all="raise", under="ignore"):
        loss = SoftmaxCrossEntropy()(Softmax()(z), [0, 0])
        loss.backward()
    assert loss.item() == 5e3
    np.testing.assert_array_equal(z.grad, [[0, 0], [-0.5, 0.5]])


def test_cross_entropy_on_a_softmax_equals_the_formula() -> None:
    rng = np.random.default_rng(0)
    z = Tensor(3 * rng.standard_normal((5, 4)), requires_grad=True)
    y = rng.uniform(0, 1, (5, 4))
    loss = CrossEntropy()(Softmax()(z), y)
    a = softmax(z)
    formula = -np.sum(y * np.log(a) + (1 - y) * np.log(1 - a)) / 5
    assert loss.item() == pytest.approx(formula.item(), rel=1e-14)
    loss.backward()
    exact = z.grad
    z.grad = None
    formula.backward()
    np.testing.assert_allclose(exact, z.grad, rtol=1e-12)


@pytest.mark.parametrize("recorded", [True, False])
def test_cross_entropy_is_exact_where_softmax_saturates(recorded: bool) -> None:
    z = Tensor([[1e4, 0.0, -1e4], [1e4, 0.0, -1e4]], requires_grad=recorded)
    with np.errstate(all="raise", under="ignore"):
        loss = CrossEntropy()(Softmax()(z), [1, 0])
        if recorded:
            loss.backward()
            np.testing.assert_array_equal(z.grad, [[1, -1, 0], [0, 0, 0]])
    assert loss.item() == 1e4


def test_cross_entropy_on_a_single_softmax_is_that_of_certainty() -> None:
    z = Tensor([[3.0]], requires_grad=True)
    with np.errstate(all="raise"):
        loss = CrossEntropy()(Softmax()(z), np.ones((1, 1)))
        loss.backward()
    assert loss.item() == 0
    assert z.grad == 0
    assert CrossEntropy()(Softmax()(z), np.zeros((1, 1))).item() == np.inf


@pytest.mark.parametrize("loss", [CrossEntropy(), SoftmaxCrossEntropy()])
def test_a_softmax_over_the_examples_is_not_undone(loss: Any) -> None:
    z = Tensor([[1.0, 2.0], [3.0, 5.0]], requires_grad=True)
    for a in (softmax(z, axis=0), softmax(z, 0), softmax(z, -2)):
        assert loss(a, [0, 1]).item() == loss(a.detach(), [0, 1]).item()
    assert loss(softmax(z, axis=1), [0, 1]).item() == loss(softmax(z), [0, 1]).item()


def test_softmax_cross_entropy_cancels_no_digits_where_it_is_sure() -> None:
    z = Tensor([[50.0, 0.0, -3.0]], requires_grad=True)
    SoftmaxCrossEntropy()(z, [0]).backward()
    rest = np.exp([-50.0, -53.0])
    np.testing.assert_allclose(z.grad, [[-rest.sum(), *rest]], rtol=1e-14)


def test_mean_squared_error_is_a_mean_over_all_numbers() -> None:
    a = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    loss = MeanSquaredError()(a, np.zeros((2, 2)))
    assert loss.item() == 30 / 4
    loss.backward()
    np.testing.assert_array_equal(a.grad, a.data / 2)


def test_weights_multiply_the_squares_of_their_rows() -> None:
    a = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    loss = MeanSquaredError()(a, np.zeros((2, 2)), [2.0, 0.5])
    assert loss.item() == (2 * (1 + 4) + 0.5 * (9 + 16)) / 4
    loss.backward()
    np.testing.assert_array_equal(a.grad, [[1, 2], [0.75, 1]])
