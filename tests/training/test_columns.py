"""One target a row: a column and a row of them are the same, whichever the model predicts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autonn import HuberLoss, Layer, MeanSquaredError, Module, SoftmaxCrossEntropy, fit, optim

RNG = np.random.default_rng(0)
X = RNG.standard_normal((30, 3))
VALUES = X[:, 0] - X[:, 1]
CLASSES = RNG.integers(0, 3, 30)


def history(outputs: int, y: Any, loss: Any, **settings: Any) -> Any:
    return fit(Layer(3, outputs, rng=0), X, y, loss, optim.Adam(), epochs=3, **settings)


@pytest.mark.parametrize("loss", [MeanSquaredError(), HuberLoss()])
@pytest.mark.parametrize("y", [VALUES, np.round(VALUES).astype(int)])
def test_values_are_a_column_or_not(loss: Any, y: Any) -> None:
    column = history(1, y[:, None], loss, validation=(X, y[:, None]))
    assert history(1, y, loss, validation=(X, y)) == column
    assert history(1, y.tolist(), loss, validation=(X, y[:, None])) == column


def test_a_loss_of_ones_own_gets_the_targets_as_they_are() -> None:
    def squares(a: Any, y: Any) -> Any:
        return np.mean((a[:, 0] - y) ** 2)

    assert np.allclose(history(1, VALUES, squares).cost, history(1, VALUES, "mse").cost)


def test_a_tuple_of_numbers_is_a_row_of_targets() -> None:
    loss = MeanSquaredError()
    assert history(1, tuple(VALUES.tolist()), loss) == history(1, VALUES, loss)
    assert history(1, tuple(VALUES), loss) == history(1, VALUES, loss)


class Two(Module):
    """Two outputs, of one number and of three classes, from inputs by name."""

    def __init__(self) -> None:
        self.value, self.kind = Layer(3, 1, rng=0), Layer(3, 3, rng=1)

    def forward(self, x: Any, more: Any) -> Any:  # type: ignore[override]
        return {"value": self.value(x * more), "kind": self.kind(x)}


def test_of_several_inputs_and_outputs_too() -> None:
    both = {"value": MeanSquaredError(), "kind": SoftmaxCrossEntropy()}
    given: Any = {"x": X, "more": np.ones_like(X)}
    costs = []
    for value in (VALUES, VALUES[:, None]):
        for kind in (CLASSES, CLASSES[:, None]):
            y = {"value": value, "kind": kind}
            run: Any = {"epochs": 2, "validation": (given, y)}
            costs.append(fit(Two(), given, y, both, optim.Adam(), **run))
    assert costs[1:] == costs[:1] * 3
    one = {"value": VALUES}
    assert fit(Two(), given, one, {"value": HuberLoss()}, optim.Adam()).cost


def test_of_one_output_of_a_structure_too() -> None:
    class One(Module):
        def __init__(self) -> None:
            self.value = Layer(3, 1, rng=0)

        def forward(self, x: Any, more: Any) -> Any:  # type: ignore[override]
            return self.value(x * more)

    costs = [
        fit(One(), (X, X), y, MeanSquaredError(), optim.Adam(), epochs=2)
        for y in (VALUES, VALUES[:, None])
    ]
    assert costs[0] == costs[1]


def test_classes_are_a_column_or_not() -> None:
    loss = SoftmaxCrossEntropy()
    weighted = {"class_weight": "balanced"}
    expected = history(3, CLASSES, loss)
    assert history(3, CLASSES[:, None], loss) == expected
    assert len(expected.accuracy) == 3
    assert history(2, CLASSES[:, None] > 0, loss) == history(2, CLASSES > 0, loss)
    assert history(2, CLASSES[:, None] > 0, loss, **weighted) == history(
        2, CLASSES > 0, loss, **weighted
    )


def test_other_shapes_are_refused_as_before() -> None:
    with pytest.raises(ValueError, match=r"targets of shape \(30, 2\) against .* \(30, 1\)"):
        history(1, np.ones((30, 2)), MeanSquaredError())
    with pytest.raises(ValueError, match=r"targets of shape \(30,\) against .* \(30, 2\)"):
        history(2, VALUES, MeanSquaredError())
    with pytest.raises(TypeError, match=r"try y\.astype\(int\)"):
        history(3, CLASSES[:, None].astype(float), SoftmaxCrossEntropy())
