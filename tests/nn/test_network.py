"""The engine against the tutorials' hand-derived backprop, and each oracle seen to fail."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import reference
from oracles.digit_networks import WAYS, Case, Network, cases, with_modules
from tools.planting import planted

from autonn import (
    CrossEntropy,
    Layer,
    Sequential,
    Sigmoid,
    Tensor,
    l2_penalty,
    load_digits,
    no_grad,
)
from autonn.data import split
from autonn.files import load_weights

TOLERANCE = {np.dtype(np.float64): 1e-12, np.dtype(np.float32): 1e-5}


ORACLES = [reference.looped, reference.vectorised]


def assert_agree(case: Case, network: Network, oracle: Network) -> None:
    assert_same_gradients(case.run(network), case.run(oracle))


def assert_same_gradients(result: tuple[Any, ...], expected: tuple[Any, ...]) -> None:
    """Compare cost and gradients, relative to the largest entry of the gradient."""
    cost, *gradients = result
    true_cost, *true_gradients = expected
    dtype = true_gradients[0].dtype
    tolerance = TOLERANCE[dtype]
    assert np.asarray(cost).dtype == dtype
    assert abs(cost - true_cost) <= tolerance * abs(true_cost)
    size = max(np.abs(g).max() for g in true_gradients)
    for gradient, true in zip(gradients, true_gradients, strict=True):
        assert gradient.dtype == dtype
        assert gradient.shape == true.shape
        assert np.abs(gradient - true).max() <= tolerance * size


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@given(data=st.data())
def test_every_way_of_writing_the_network_has_both_tutorials_hand_derived_gradient(
    dtype: Any, data: st.DataObject
) -> None:
    case = data.draw(cases(dtype))
    results = [case.run(oracle) for oracle in ORACLES]
    assert_same_gradients(*results)
    for way in WAYS.values():
        gradients = case.run(way)
        for true in results:
            assert_same_gradients(gradients, true)


def square_case() -> Case:
    """Return a fixed case whose matrices are square, so that a transpose hides in no shape."""
    rng = np.random.default_rng(5)
    theta1, theta2 = (rng.standard_normal((4, 5)) for _ in range(2))
    return Case(theta1, theta2, rng.standard_normal((4, 4)), np.eye(4), 1.0)


def twice(d: Any, *args: Any) -> Any:
    return d * 2.001


def transposed(d: Any, g: Any, z: Any, *args: Any) -> Any:
    return d.T


FAULTS = [
    ("modules", "affine", 0, twice),
    ("modules", "affine", 0, lambda d, g, z, x, w, b: g @ w.T),
    ("modules", "affine", 1, transposed),
    ("modules", "affine", 2, twice),
    ("modules", "sigmoid", 0, twice),
    ("modules", "sigmoid_cross_entropy", 0, lambda d, g, z, x, y, kept: d * len(x)),
    ("modules", "sum_of_squares", 0, lambda d, *args: d / 2),
    ("operators", "matmul", 1, transposed),
    ("operators", "add", 1, lambda d, *args: d * 1.0001),
    ("operators", "log", 0, lambda d, *args: -d),
    ("tutorial cost", "exp", 0, twice),
    ("tutorial cost", "divide", 1, lambda d, *args: d * (1 + 1e-9)),
    ("tutorial cost", "matmul", 0, transposed),
    ("tutorial cost", "getitem", 0, twice),
]


@pytest.mark.parametrize("oracle", ORACLES)
@pytest.mark.parametrize(("way", "op", "position", "wrong"), FAULTS)
def test_the_oracle_catches_a_wrong_rule(
    way: str, op: str, position: int, wrong: Callable[..., Any], oracle: Network
) -> None:
    assert_agree(square_case(), WAYS[way], oracle)
    with planted(op, position, wrong), pytest.raises(AssertionError):
        assert_agree(square_case(), WAYS[way], oracle)


def test_the_oracle_catches_a_regularised_bias(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Layer, "biases", ())
    with pytest.raises(AssertionError):
        assert_agree(square_case(), with_modules, reference.vectorised)


@pytest.mark.parametrize(
    "fault",
    [
        lambda t1, t2, x, y, lam: reference.looped(t1, t2.T.copy().T * 1.001, x, y, lam),
        lambda t1, t2, x, y, lam: reference.looped(t1, t2, x, y, lam + 1e-6),
        lambda t1, t2, x, y, lam: reference.looped(t1, t2, x, np.roll(y, 1, axis=1), lam),
    ],
)
def test_the_comparison_catches_a_wrong_reference(fault: Network) -> None:
    with pytest.raises(AssertionError):
        assert_agree(square_case(), with_modules, fault)


# ---- the real digits


def digit_model() -> Sequential:
    return Sequential(Layer(400, 25), Sigmoid(), Layer(25, 10), Sigmoid())


def test_the_published_figures_of_the_course() -> None:
    folder = os.environ.get("AUTONN_COURSE_DATA")
    if folder is None:
        pytest.skip("AUTONN_COURSE_DATA names no folder with ex4weights.mat")

    digits = load_digits()
    model = digit_model()
    load_weights(model, os.path.join(folder, "ex4weights.mat"))
    cost = CrossEntropy()(model(digits.X), digits.y)
    assert abs(cost.item() - 0.28762916516131876) < 1e-12
    regularised = cost + l2_penalty(model, 1.0, examples=len(digits.X))
    assert abs(regularised.item() - 0.38376985909092381) < 1e-12
    right = model.predict(digits.X).argmax(axis=1) == digits.y
    assert right.mean() == 0.9752


def test_the_digit_network_equals_hand_derived_backprop_on_real_digits() -> None:
    digits = load_digits()
    X, y, _, _ = split(digits.X, digits.y, test=4500, rng=0)
    rng = np.random.default_rng(0)
    theta1, theta2 = (rng.uniform(-0.3, 0.3, shape) for shape in ((25, 401), (10, 26)))
    case = Case(theta1, theta2, X, np.eye(10)[y], 1.0)
    cost, *gradients = case.run(with_modules)
    true_cost, *true_gradients = case.run(reference.vectorised)
    assert abs(cost - true_cost) <= 1e-14 * true_cost
    for gradient, true in zip(gradients, true_gradients, strict=True):
        assert np.linalg.norm(gradient - true) <= 1e-13 * np.linalg.norm(true)
        assert np.abs(gradient - true).max() <= 1e-12 * np.abs(true).max()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("logit", [1e4, -1e4, 800.0, -800.0, 40.0, -40.0, 0.0])
@pytest.mark.parametrize("target", [0.0, 1.0, 0.25])
def test_saturated_logits_give_no_warning_and_the_exact_gradient(
    dtype: Any, logit: float, target: float
) -> None:
    z = Tensor(np.full((2, 3), logit), requires_grad=True, dtype=dtype)
    y = np.full((2, 3), target, dtype)
    with np.errstate(all="raise", under="ignore"):
        cost = CrossEntropy()(Sigmoid()(z), y)
        cost.backward()
    tail = np.exp(-abs(np.float64(logit)))  # s(-|z|), up to a relative error of itself
    true = 3 * ((max(logit, 0) - logit * target) + np.log1p(tail))
    assert cost.item() == pytest.approx(true, rel=1e-6 if dtype == np.float32 else 1e-15)
    s, t = (1 / (1 + tail), tail / (1 + tail))[:: 1 if logit >= 0 else -1]  # s(z), s(-z)
    exact = ((1 - target) * s - target * t) / 2
    eps = np.finfo(dtype).eps
    assert np.all(np.abs(z.grad - exact) <= 4 * eps * abs(exact) + np.finfo(dtype).tiny)


def test_without_a_graph_saturation_is_exact_as_well() -> None:
    model = Sequential(Layer(1, 2, weight=[[1e4], [-1e4]]), Sigmoid())
    with no_grad():
        cost = CrossEntropy()(model(np.ones((1, 1))), np.array([[0.0, 1.0]]))
    assert cost.item() == 2e4
