"""The history of a run, and the bar that shows it."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from tools.runs import X, Y, network, train

from autonn import CrossEntropy, Layer, MeanSquaredError, Sequential, Sigmoid, Tensor, fit, optim
from autonn.training import accuracy


def test_history_holds_accuracy_and_validation_of_the_right_weights() -> None:
    model, held_out = network(), (X[:20], Y[:20])
    before = accuracy(model, X, Y)
    history = train(model, validation=held_out)
    assert history.accuracy[0] == before
    assert len(history.accuracy) == len(history.validation_cost) == 5
    assert history.validation_accuracy[-1] == accuracy(model, *held_out)
    expected = CrossEntropy()(model(X[:20]), Y[:20]).item()
    assert history.validation_cost[-1] == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("compiled", [True, False])
def test_the_larger_of_two_probabilities_that_round_to_one_is_counted(compiled: bool) -> None:
    model = Sequential(Layer(1, 2, weight=[[50.0], [60.0]]), Sigmoid())
    options: dict[str, Any] = {"loss": CrossEntropy(), "optimizer": optim.SGD(lr=1e-9)}
    assert fit(model, [[1.0]], [1], compile=compiled, **options).accuracy == [1.0]


def test_one_hot_targets_count_as_classes_and_others_do_not() -> None:
    assert (
        train(network()).accuracy
        == fit(
            network(), X, np.eye(3)[Y], loss=CrossEntropy(), optimizer=optim.SGD(lr=0.5), epochs=5
        ).accuracy
    )
    for soft in (np.full((60, 3), 0.5), np.full((60, 3), 1 / 4) + np.eye(3)[Y] / 4):
        history = fit(network(), X, soft, loss=CrossEntropy(), optimizer=optim.SGD(lr=0.5))
        assert history.accuracy == []
        with pytest.raises(ValueError, match="classes"):
            accuracy(network(), X, soft)


def test_whole_numbers_may_be_targets_of_a_regression() -> None:
    class Flat(Sequential):
        def forward(self, x: Any) -> Tensor:
            return super().forward(x)[:, 0]

    model = Flat(Layer(5, 1, rng=0))
    options: dict[str, Any] = {"loss": MeanSquaredError(), "optimizer": optim.SGD(lr=0.1)}
    history = fit(model, X, Y, epochs=3, validation=(X, Y), **options)
    assert history.accuracy == history.validation_accuracy == []
    assert history.cost[2] < history.cost[0]


# ---- whether there is an accuracy


def one_output(*more: Any) -> Sequential:
    return Sequential(Layer(5, 1, rng=0), *more)


def squares(a: Any, y: Any) -> Tensor:
    return np.mean((a[:, 0] - y) ** 2)  # type: ignore[no-any-return]


def crossing(a: Any, y: Any) -> Tensor:
    p, q = a[:, 0], y * 1.0
    return -np.mean(q * np.log(p) + (1 - q) * np.log(1 - p))  # type: ignore[no-any-return]


@pytest.mark.parametrize("compiled", [None, False])
@pytest.mark.parametrize(
    ("model", "loss", "y"),
    [
        (one_output(), squares, Y),  # a regression on whole numbers
        (one_output(), squares, Y % 2),
        (one_output(), MeanSquaredError(), Y[:, None]),
        (one_output(), MeanSquaredError(), Y[:, None] % 2),
        (one_output(Sigmoid()), MeanSquaredError(), np.ones((60, 1), int)),
    ],
    ids=range(5),
)
def test_what_is_no_classification_has_no_accuracy(
    model: Sequential, loss: Any, y: Any, compiled: bool | None
) -> None:
    options: dict[str, Any] = {"optimizer": optim.SGD(lr=0.01), "validation": (X, y)}
    history = fit(model, X, y, loss=loss, compile=compiled, **options)
    assert len(history.cost) == len(history.validation_cost) == 1
    assert history.accuracy == history.validation_accuracy == []


@pytest.mark.parametrize("compiled", [None, False])
@pytest.mark.parametrize("batch_size", [None, 25])
def test_one_sigmoid_output_is_right_on_its_own_side_of_a_half(
    batch_size: int | None, compiled: bool | None
) -> None:
    model, y = one_output(Sigmoid()), (X[:, 0] > 0.3).astype(int)
    before = float(np.mean((model.predict(X)[:, 0] > 0.5) == y))
    options: dict[str, Any] = {"loss": crossing, "validation": (X[:30], y[:30]), "epochs": 9}
    history = fit(
        model, X, y, optimizer=optim.SGD(lr=1e-9), compile=compiled, batch_size=batch_size,
        seed=0, **options,
    )  # fmt: skip
    assert 0 < before < 1
    assert history.accuracy == [before] * 9
    assert history.validation_accuracy == [accuracy(model, X[:30], y[:30])] * 9
    options["epochs"] = 50
    history = fit(model, X, y, optimizer=optim.Adam(lr=0.1), compile=compiled, **options)
    assert history.accuracy[-1] > 0.9


@pytest.mark.parametrize("compiled", [None, False])
def test_the_cost_of_an_epoch_is_the_mean_over_its_examples(compiled: bool | None) -> None:
    for size in (7, 25, 59, 60):  # the last batch is short, and counts for less
        optimizer = optim.SGD(lr=1e-15)
        history = train(network(), batch_size=size, seed=0, optimizer=optimizer, compile=compiled)
        assert history.cost == pytest.approx([CrossEntropy()(network()(X), Y).item()] * 5, rel=1e-9)


@pytest.mark.parametrize("compiled", [None, False])
def test_one_output_reads_class_1_above_a_half_however_it_was_made(compiled: bool | None) -> None:
    class Clipped(Sequential):
        """Gives probabilities that no sigmoid made; that of half the rows is 1/2."""

        def forward(self, x: Any) -> Tensor:
            return cast(Tensor, np.clip(super().forward(x), 0.0, 1.0))

    x, y = np.array([[0.2], [0.5], [0.5], [0.9]]), np.array([1, 0, 0, 1])
    same: dict[str, Any] = {"weight": [[1.0]], "bias": [0.0]}
    options: dict[str, Any] = {"optimizer": optim.SGD(lr=1e-300), "compile": compiled}
    for model, rows in ((Clipped(Layer(1, 1, **same)), x), (one_sigmoid(**same), x - 0.5)):
        history = fit(model, rows, y, loss=CrossEntropy(), validation=(rows, y), **options)
        assert history.accuracy == history.validation_accuracy == [0.75]


def one_sigmoid(**values: Any) -> Sequential:
    return Sequential(Layer(1, 1, **values), Sigmoid())
