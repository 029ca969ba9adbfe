"""One target a row: a column and a row of them are the same, whichever the model predicts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autonn import (
    HuberLoss,
    Layer,
    MeanSquaredError,
    Module,
    SoftmaxCrossEntropy,
    fit,
    optim,
)

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


def test_a_tuple_of_numbers_is_a_row_of_targets() -> None:
    loss = MeanSquaredError()
    assert history(1, tuple(VALUES.tolist()), loss) == history(1, VALUES, loss)
    assert history(1, tuple(VALUES), loss) == history(1, VALUES, loss)


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


class Twofold(Module):
    """A number, as a column or not, and classes; of the examples in two parts."""

    def __init__(self, column: bool, named: bool) -> None:
        self.value, self.kind = Layer(3, 1, rng=0), Layer(3, 3, rng=1)
        self.column, self.named = column, named

    def forward(self, left: Any, right: Any) -> Any:  # type: ignore[override]
        value = self.value(left)
        pair = value if self.column else value[:, 0], self.kind(right)
        return dict(zip(("value", "kind"), pair, strict=True)) if self.named else pair


@pytest.mark.parametrize("column", [True, False])
@pytest.mark.parametrize("named", [True, False])
def test_each_of_several_targets_is_a_column_or_not(column: bool, named: bool) -> None:
    def trained(value: Any, kind: Any) -> Any:
        losses: Any = (MeanSquaredError(), SoftmaxCrossEntropy())
        targets: Any = (value, kind)
        if named:
            losses, targets = (
                dict(zip(("value", "kind"), p, strict=True)) for p in (losses, targets)
            )
        validation = ((X, X), targets)
        model = Twofold(column, named)
        return fit(model, (X, X), targets, losses, optim.Adam(), epochs=2, validation=validation)

    assert trained(VALUES, CLASSES) == trained(VALUES[:, None], CLASSES[:, None])


class Sum(Module):
    """One output of several inputs."""

    def __init__(self) -> None:
        self.layer = Layer(3, 1, rng=0)

    def forward(self, left: Any, right: Any) -> Any:  # type: ignore[override]
        return self.layer(left + right)


def test_the_target_of_several_inputs_is_a_column_or_not() -> None:
    rows = [fit(Sum(), (X, X), y, "mse", optim.Adam()) for y in (VALUES, VALUES[:, None])]
    assert rows[0] == rows[1]


def test_a_loss_of_ones_own_gets_the_targets_as_they_are() -> None:
    def squares(a: Any, y: Any) -> Any:
        return np.mean((a[:, 0] - y) ** 2)

    assert np.allclose(history(1, VALUES, squares).cost, history(1, VALUES, "mse").cost)
