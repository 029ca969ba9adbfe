"""What `fit` asks of a loss: weights, targets that it can't take, and whether there are classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tools.pairs import combinations
from tools.runs import X, Y, close, network, train

from autonn import CrossEntropy, MeanSquaredError, SoftmaxCrossEntropy, Tensor, fit, optim
from autonn.training import Loss

WEIGHTS = np.linspace(0, 2, 60)


class Declared:
    """Says that it takes weights, which its parameters do not tell."""

    takes_weights = True

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        return CrossEntropy()(*args, **kwargs)


class Declines(CrossEntropy):
    takes_weights = False


def by_name(a: Any, y: Any, *, weights: Any = None) -> Tensor:
    return CrossEntropy()(a, y, weights)


def by_position(a: Any, y: Any, counts: Any = None) -> Tensor:
    return CrossEntropy()(a, y, counts)


def by_position_alone(a: Any, y: Any, weights: Any = None, /) -> Tensor:
    return CrossEntropy()(a, y, weights)


@pytest.mark.parametrize("loss", [Declared(), by_name, by_position, by_position_alone])
def test_a_loss_gets_the_weights_in_its_own_way(loss: Loss) -> None:
    model, same = network(), network()
    history = train(model, loss=loss, sample_weight=WEIGHTS)
    assert history == train(same, sample_weight=WEIGHTS)
    close(model, same, 0.0)
    assert history.cost != train(network(), loss=loss).cost


@pytest.mark.parametrize("loss", [Declines(), lambda a, y: np.sum(a), lambda a, y, **more: a, max])
def test_a_loss_that_takes_no_weights_is_refused_with_them(loss: Any) -> None:
    model, same = network(), network()
    with pytest.raises(TypeError, match="takes no weights"):
        train(model, loss=loss, sample_weight=WEIGHTS)
    close(model, same, 0.0)


# ---- targets are looked at once, wherever they stand


def wrong_class(row: int) -> Any:
    return np.where(np.arange(60) == row, 7, Y)


def negative_class(row: int) -> Any:
    return np.where(np.arange(60) == row, -3, Y)


def sums_to_three(row: int) -> Any:
    targets = np.eye(3)[Y]
    targets[row] = 1.0
    return targets


def above_one(row: int) -> Any:
    targets = np.eye(3)[Y]
    targets[row] = [-1.0, 0.0, 2.0]
    return targets


BAD_TARGETS: list[tuple[Any, Callable[[int], Any], type[Exception]]] = [
    (CrossEntropy(), wrong_class, IndexError),
    (CrossEntropy(), negative_class, IndexError),
    (CrossEntropy(), above_one, ValueError),
    (SoftmaxCrossEntropy(), wrong_class, IndexError),
    (SoftmaxCrossEntropy(), negative_class, IndexError),
    (SoftmaxCrossEntropy(), above_one, ValueError),
    (SoftmaxCrossEntropy(), sums_to_three, ValueError),
]


@pytest.mark.parametrize(
    ("bad", "batch_size", "compiled"), combinations(BAD_TARGETS, [None, 7, 20], [None, False])
)
def test_a_bad_target_in_any_row_is_refused_before_the_first_step(
    bad: tuple[Any, Callable[[int], Any], type[Exception]],
    batch_size: int | None, compiled: bool | None,
) -> None:  # fmt: skip
    loss, spoilt, error = bad
    options: dict[str, Any] = {
        "loss": loss, "optimizer": optim.SGD(lr=0.5), "batch_size": batch_size, "seed": 0,
        "compile": compiled, "epochs": 2,
    }  # fmt: skip
    seen: list[Any] = []
    for row in (0, 6, 19, 20, 50, 59):
        model, same, y = network(), network(), spoilt(row)
        with pytest.raises(error, match=rf"row {row}\b|\({row}, "):
            fit(model, X, y, **options)
        with pytest.raises(error, match=rf"row {row}\b|\({row}, "):
            fit(model, X, Y, validation=(X, y), callbacks=[seen.append], **options)
        close(model, same, 0.0)
    assert not seen


@pytest.mark.parametrize("compiled", [None, False])
def test_targets_of_another_shape_are_refused_before_the_first_step(compiled: bool | None) -> None:
    model, same = network(), network()
    for y in (X, np.eye(4)[Y]):
        for loss in (CrossEntropy(), SoftmaxCrossEntropy(), MeanSquaredError()):
            with pytest.raises(ValueError, match="shape"):
                train_on(model, y, loss, compiled)
            with pytest.raises(ValueError, match="shape"):
                train_on(model, np.eye(3)[Y], loss, compiled, validation=(X, y))
    close(model, same, 0.0)


def train_on(model: Any, y: Any, loss: Any, compiled: bool | None, **more: Any) -> Any:
    given = {"loss": loss, "optimizer": optim.SGD(lr=0.5), "compile": compiled}
    return fit(model, X, y, **given, **more)


@pytest.mark.parametrize("compiled", [None, False])
def test_a_loss_of_ones_own_is_asked_once_about_all_targets(compiled: bool | None) -> None:
    asked: list[Any] = []

    class Asked(CrossEntropy):
        def check(self, targets: Any, shape: tuple[int, ...]) -> None:
            asked.append((targets, shape))

    given: dict[str, Any] = {"batch_size": 25, "compile": compiled}
    train(network(), loss=Asked(), validation=(X[:9], Y[:9]), **given)
    assert [shape for _, shape in asked] == [(60, 3), (9, 3)]
    assert np.array_equal(asked[0][0], Y)


def test_a_subclass_that_reads_targets_in_its_own_way_may_take_others() -> None:
    class Shifted(CrossEntropy):
        """Takes the classes 1 to 3."""

        def __call__(self, a: Any, y: Any, weights: Any = None) -> Tensor:
            return super().__call__(a, y - 1, weights)

    model, same = network(), network()
    given: dict[str, Any] = {"optimizer": optim.SGD(lr=0.5), "epochs": 5}
    assert fit(model, X, Y + 1, loss=Shifted(), **given).cost == train(same).cost
    close(model, same, 0.0)


@pytest.mark.parametrize("compiled", [None, False])
def test_what_is_no_cost_is_refused_with_the_cure(compiled: bool | None) -> None:
    losses: dict[str, Any] = {
        "a float": lambda a, y: 0.5, "a tuple": lambda a, y: (np.sum(a), a), "a NoneType": print_,
        "shape (60, 3)": lambda a, y: a, "shape (60,)": lambda a, y: np.sum(a, axis=1),
    }  # fmt: skip
    for what, loss in losses.items():
        with pytest.raises(TypeError, match="returned") as caught:
            train(network(), loss=loss, compile=compiled)
        assert what in str(caught.value)
    with pytest.raises(TypeError, match="the model returned a tuple"):
        train(Pair(*network().modules), compile=compiled)


def print_(a: Any, y: Any) -> None:
    """Return nothing, as one that only looks."""


class Pair(type(network())):  # type: ignore[misc]
    def forward(self, x: Any) -> Any:
        return super().forward(x), x
