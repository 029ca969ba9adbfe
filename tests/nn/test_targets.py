"""Targets: which are taken, as what, and which are refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tools.pairs import combinations
from tools.refusals import assert_refused

from autonn import (
    CrossEntropy,
    Layer,
    MeanSquaredError,
    Sequential,
    Sigmoid,
    Softmax,
    SoftmaxCrossEntropy,
    Tensor,
    compile,
    sigmoid,
)

LOSSES: dict[str, Any] = {
    "CrossEntropy": CrossEntropy(),
    "SoftmaxCrossEntropy": SoftmaxCrossEntropy(),
    "MeanSquaredError": MeanSquaredError(),
}


@pytest.mark.parametrize(
    ("dtype", "recorded", "weighted"),
    combinations(["i8", "u1", "i4", "?"], [True, False], [True, False]),
)
@given(st.lists(st.integers(0, 1), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_the_classes_of_a_single_output_are_its_targets(
    dtype: str, recorded: bool, weighted: bool, labels: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    z = Tensor(rng.standard_normal((len(labels), 1)), requires_grad=recorded)
    y = np.array(labels).astype(dtype)
    weights = (rng.random(len(labels)),) if weighted else ()
    a = 1 / (1 + np.exp(-z.data))
    t, w = y.astype(float)[:, None], weights[0][:, None] if weights else 1
    expected = -np.sum(w * (t * np.log(a) + (1 - t) * np.log(1 - a))) / len(y)
    for probabilities in (sigmoid(z), sigmoid(z).detach()):
        cost = CrossEntropy()(probabilities, y, *weights)
        assert cost.item() == pytest.approx(expected, rel=1e-12)
    rows = CrossEntropy()(sigmoid(z), t, *weights)
    assert cost.item() == pytest.approx(rows.item(), rel=1e-13)


@pytest.mark.parametrize("dtype", ["i8", "u1", "i4", "?"])
@pytest.mark.parametrize("weighted", [True, False])
def test_and_so_they_are_where_the_loss_is_compiled(dtype: str, weighted: bool) -> None:
    rng = np.random.default_rng(0)
    for m in (1, 2, 6):
        z, y = rng.standard_normal((m, 1)), rng.integers(0, 2, m).astype(dtype)
        weights = (rng.random(m),) if weighted else ()

        def f(z: Any, y: Any, weights: Any = weights) -> Any:
            return CrossEntropy()(sigmoid(z), y, *weights)

        program = compile(f)
        for other in (y, y[::-1].copy(), 1 - y if dtype != "?" else ~y):
            assert program(z, other).item() == pytest.approx(float(f(z, other)), rel=1e-12)


def test_a_single_output_learns_both_classes() -> None:
    """All labels 0 would once have been taken for the one class there is, and so for certainty."""
    for label in (0, 1):
        z = Tensor([[0.3], [-0.2]], requires_grad=True)
        CrossEntropy()(sigmoid(z), np.full(2, label)).backward()
        assert np.all(np.sign(z.grad) == (-1 if label else 1))


@pytest.mark.parametrize("bad", [2, -1, 7])
def test_a_single_output_has_no_other_classes(bad: int) -> None:
    y = np.array([0, 1, bad])
    a = sigmoid(Tensor(np.zeros((3, 1))))
    words = [f"class {bad} of 1 in row 2", "0 and 1", "k outputs"]
    assert_refused(lambda: CrossEntropy()(a, y), IndexError, words)
    assert_refused(lambda: CrossEntropy().check(y, (3, 1)), IndexError, words)
    logits = Tensor(np.zeros((3, 1)))
    words = ["of 1 in row 1", "always 1", "Sigmoid"]
    assert_refused(lambda: SoftmaxCrossEntropy()(logits, y), IndexError, words)
    assert_refused(lambda: SoftmaxCrossEntropy().check(y, (3, 1)), IndexError, words)
    assert SoftmaxCrossEntropy()(logits, np.zeros(3, int)).item() == 0
    assert CrossEntropy()(Softmax()(logits), np.zeros(3, int)).item() == 0


def test_booleans_are_the_classes_of_two_outputs_and_no_more() -> None:
    z = np.random.default_rng(0).standard_normal((3, 2))
    y = np.array([True, False, True])
    losses: list[Any] = [CrossEntropy(), SoftmaxCrossEntropy()]
    for loss in losses:
        a = Sigmoid()(z) if isinstance(loss, CrossEntropy) else Tensor(z)
        assert loss(a, y).item() == loss(a, y.astype(int)).item()
        assert loss(a, np.eye(2, dtype=bool)[y.astype(int)]).item() == loss(a, y).item()
        wide = Tensor(np.full((3, 4), 0.5))
        words = ["integers", "bool"]
        assert_refused(partial(loss, wide, y), TypeError, words)
        assert_refused(partial(loss.check, y, (3, 4)), TypeError, words)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(
    ("targets", "words"),
    [
        (np.ma.masked_equal([[0, 1], [1, 0]], 0), ["masked array", "targets.filled"]),
        (np.eye(2).view(np.matrix), ["np.matrix", "np.asarray(targets)"]),
        ([["a", "b"], ["c", "d"]], ["<U1", "numbers"]),
        (None, ["None", "numbers"]),
    ],
)
def test_targets_that_mean_more_than_their_numbers_are_refused(
    name: str, targets: Any, words: list[str]
) -> None:
    predictions = Tensor(np.full((2, 2), 0.5))
    words = [f"{name}: targets", *words]
    assert_refused(lambda: LOSSES[name](predictions, targets), TypeError, words)
    assert_refused(lambda: LOSSES[name].check(targets, (2, 2)), TypeError, words)
    if isinstance(targets, np.ma.MaskedArray):
        row = targets[0]
        call = lambda: LOSSES[name](predictions, np.eye(2), row)  # noqa: E731
        assert_refused(call, TypeError, [f"{name}: weights", "masked"])


def test_logits_given_for_probabilities_are_told_the_cure() -> None:
    logits = Layer(2, 2, weight=5 * np.eye(2))(np.eye(2))
    words = ["probabilities", "0 to 1", "SoftmaxCrossEntropy", "Sigmoid"]
    assert_refused(lambda: CrossEntropy()(logits, [0, 1]), ValueError, words)
    with pytest.raises(ValueError, match=r"targets are from 0 to 1, not 5.0 as at \(0, 0\)$"):
        CrossEntropy()(Tensor(np.full((2, 2), 0.5)), logits.numpy())


# ---- all targets at once, before anything is computed


def outcome(call: Callable[[], Any]) -> Any:
    try:
        call()
    except (ValueError, TypeError, IndexError) as error:
        return type(error), str(error)
    return None


TARGETS: list[Any] = [
    [0, 1, 2], [0, 1, 1], [2, 2, 0], [0, -1, 1], [0.0, 1.0, 0.0], [0.0, np.nan, 1.0],
    [True, False, True], np.eye(3), np.eye(3)[:, :2], np.eye(3) * 2, np.full((3, 3), 1 / 3),
    np.full((3, 2), 0.5), np.full((3, 2), 0.7), -np.eye(3), np.eye(3, dtype=bool), np.ones((3, 1)),
    np.full((3, 1), 0.25), np.ones((3, 1, 1)), 1.0, np.full((3, 3), np.nan), Tensor(np.eye(3)),
    np.array([[0], [1], [0]]), np.array(["a", "b", "c"]),
]  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_check_refuses_what_the_call_does_in_the_same_words(name: str, k: int) -> None:
    model = Sequential(Layer(2, k, rng=0), Sigmoid() if name == "CrossEntropy" else Sequential())
    predictions = model(np.ones((3, 2)))
    refused = 0
    for targets in TARGETS:
        expected = outcome(partial(LOSSES[name], predictions, targets))
        found = outcome(partial(LOSSES[name].check, targets, predictions.shape))
        assert found == expected, (targets, k)
        refused += expected is not None
    assert 0 < refused < len(TARGETS)


@pytest.mark.parametrize("name", LOSSES)
def test_the_check_knows_more_rows_than_the_predictions(name: str) -> None:
    loss = LOSSES[name]
    y = np.eye(3)[np.arange(100) % 3]
    loss.check(y, (10, 3))
    y[77] = [0, 0, -1.0]
    if name == "MeanSquaredError":
        assert_refused(lambda: loss.check(y[:, :2], (10, 3)), ValueError, ["(100, 2)", "(100, 3)"])
    else:
        assert_refused(lambda: loss.check(y, (10, 3)), ValueError, ["-1.0", "(77, 2)"])
        labels = np.arange(100) % 3
        loss.check(labels, (10, 3))
        labels[93] = 3
        assert_refused(lambda: loss.check(labels, (10, 3)), IndexError, ["class 3 of 3 in row 93"])


def test_each_loss_says_that_it_takes_weights() -> None:
    assert all(loss.takes_weights for loss in LOSSES.values())


def test_the_first_row_that_is_wrong_is_named() -> None:
    a = Tensor(np.full((4, 3), 0.5))
    for targets, error, words in (
        ([0.0, np.nan, 1.0, np.nan], ValueError, ["NaN in row 1"]),
        ([0, 5, 1, 4], IndexError, ["class 5 of 3 in row 1"]),
        (np.full((4, 3), [[0], [2], [0], [3]]), ValueError, ["(1, 0)"]),
    ):
        assert_refused(partial(CrossEntropy(), a, targets), error, words)
