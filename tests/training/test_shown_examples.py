"""Examples and their weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tools.refusals import assert_refused
from tools.runs import X, Y, close, network, train

from autonn import CrossEntropy, Sequential, Tensor, fit, optim
from autonn.training import accuracy


def test_a_weight_counts_like_so_many_copies_of_the_example() -> None:
    counts = np.arange(60) % 4
    model, other = network(), network()
    train(model, sample_weight=counts * (60 / counts.sum()))
    fit(
        other, np.repeat(X, counts, axis=0), np.repeat(Y, counts),
        loss=CrossEntropy(), optimizer=optim.SGD(lr=0.5), epochs=5,
    )  # fmt: skip
    close(model, other, 1e-12)
    by_class = np.array([0.5, 1.0, 3.0])
    one, same = network(), network()
    histories = [
        train(one, class_weight=by_class, batch_size=20, seed=0),
        train(same, sample_weight=by_class[Y], batch_size=20, seed=0),
    ]
    assert histories[0] == histories[1]
    assert histories[0].cost != train(network(), batch_size=20, seed=0).cost


# ---- weights by class


def test_weights_by_class_may_be_a_dict_or_balanced() -> None:
    y = np.where(np.arange(60) < 40, 0, np.where(np.arange(60) < 55, 1, 2))
    balanced = 60 / (3 * np.array([40, 15, 5]))
    same_weights: list[tuple[Any, Any]] = [
        ({0: 2.0, 2: 0.5}, [2.0, 1.0, 0.5]), ({}, [1.0, 1.0, 1.0]), ("balanced", balanced),
        ({np.int64(1): 3}, [1.0, 3.0, 1.0]),
    ]  # fmt: skip
    for given, weights in same_weights:
        one = weighted(y, class_weight=given)
        other = weighted(y, class_weight=weights)
        assert one == other
    missing = np.where(y == 1, 2, y)  # a class that nobody belongs to does not count
    assert weighted(missing, class_weight="balanced") == weighted(
        missing, class_weight=60 / (2 * np.array([40.0, 1.0, 20.0]))
    )


def test_both_weights_are_multiplied() -> None:
    by_class, by_sample = np.array([0.5, 1.0, 3.0]), np.linspace(0, 2, 60)
    both = weighted(Y, class_weight=by_class, sample_weight=by_sample)
    assert both == weighted(Y, sample_weight=by_class[Y] * by_sample)
    assert both.cost != weighted(Y, sample_weight=by_sample).cost


def weighted(y: Any, **weights: Any) -> Any:
    return fit(network(), X, y, loss=CrossEntropy(), optimizer=optim.SGD(lr=0.5), **weights)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({0: 1.0, 3: 2.0, "a": 1.0}, ValueError, ["3, 'a'", "0, 1, 2"]),
        ({0: -1.0}, ValueError, ["class_weight[0]", "at least 0", "-1"]),
        ({0: "much"}, TypeError, ["class_weight[0]", "number", "'much'"]),
        ("balance", ValueError, ["class_weight", "'balanced'", "'balance'"]),
        (["a", "b", "c"], TypeError, ["class_weight", "numbers"]),
    ],
)
def test_weights_by_class_that_make_no_sense_are_refused(
    given: Any, error: type[Exception], words: list[str]
) -> None:
    assert_refused(lambda: weighted(Y, class_weight=given), error, words)


# ---- what can be shown


class Frame:
    """A frame of mixed columns as pandas gives it: its array is one of objects."""

    dtypes = columns = tuple("abcde")

    def __init__(self, values: Any) -> None:
        self.values = values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(self.values, dtype=object if dtype is None else dtype)


class Sparse:
    """What SciPy's sparse matrices have in common."""

    nnz, shape = 3, (60, 5)

    def toarray(self) -> Any:
        return X


def test_a_frame_of_numbers_and_booleans_counts_as_numbers() -> None:
    mixed: list[list[Any]] = [
        [bool(row[0] > 0), int(10 * row[1]), *map(float, row[2:])] for row in X
    ]
    mixed[3][0] = np.bool_(mixed[3][0])
    plain = np.array(mixed, dtype=np.float64)
    options: dict[str, Any] = {"loss": CrossEntropy(), "optimizer": optim.SGD(lr=0.5)}
    histories = [fit(network(), x, Y, **options) for x in (Frame(mixed), plain)]
    assert histories[0] == histories[1]
    assert accuracy(network(), Frame(mixed), Y) == accuracy(network(), plain, Y)
    names = Frame(mixed).columns
    for bad in ("1.5", None, 1j):
        for row, column in ((0, 0), (7, 3), (59, 4)):
            spoilt = [list(entries) for entries in mixed]
            spoilt[row][column] = bad
            with pytest.raises(
                TypeError, match=rf"X has .* in row {row}, column '{names[column]}'"
            ):
                fit(network(), Frame(spoilt), Y, **options)


SHOWN: list[tuple[Any, type[Exception], list[str]]] = [
    (np.full((60, 5), "a"), TypeError, ["X", "<U1", "numbers"]),
    (np.full((60, 5), None), TypeError, ["X", "object"]),
    (None, TypeError, ["X", "None"]),
    ("digits.npz", TypeError, ["X", "<U10"]),
    (Sparse(), TypeError, ["X", "sparse", "X.toarray()"]),
    (np.ma.masked_less(X, 0), TypeError, ["X", "masked", "filled"]),
    ([[1.0], [1.0, 2.0]], ValueError, ["X", "ragged"]),
    (3.0, ValueError, ["X", "single number", "one row"]),
    (X[:0], ValueError, ["60", "0 examples"]),
]


@pytest.mark.parametrize("place", ["X", "validation", "accuracy"])
@pytest.mark.parametrize(("shown", "error", "words"), SHOWN, ids=range(len(SHOWN)))
def test_what_holds_no_numbers_is_refused_with_the_cure(
    shown: Any, error: type[Exception], words: list[str], place: str
) -> None:
    calls: dict[str, Callable[[], Any]] = {
        "X": lambda: fit(network(), shown, Y, loss=CrossEntropy(), optimizer=optim.SGD(lr=0.5)),
        "validation": lambda: train(network(), validation=(shown, Y)),
        "accuracy": lambda: accuracy(network(), shown, Y),
    }
    assert_refused(calls[place], error, words)


@pytest.mark.parametrize(
    ("validation", "error", "words"),
    [
        ((X, Y, Y), TypeError, ["validation", "(X, y)", "3 things"]),
        ((X,), TypeError, ["validation", "1 things"]),
        ({"X": X, "y": Y}, TypeError, ["validation", "(X, y)", "dict"]),
        (X, TypeError, ["validation", "(X, y)", "ndarray"]),
        (1.2, ValueError, ["validation", "below 1"]),
        ((X[:, :4], Y), ValueError, ["validation", "(60, 4)", "(60, 5)"]),
        ((X[0], Y[:5]), ValueError, ["validation", "(5,)", "(60, 5)"]),
    ],
    ids=range(7),
)
def test_validation_is_looked_at_before_training(
    validation: Any, error: type[Exception], words: list[str]
) -> None:
    model, same = network(), network()
    assert_refused(lambda: train(model, validation=validation), error, words)
    close(model, same, 0.0)


def test_validation_may_have_rows_of_another_shape_if_the_model_takes_them() -> None:
    class Means(Sequential):
        """Takes sequences of any length."""

        def forward(self, x: Any) -> Tensor:
            return super().forward(np.mean(x, axis=1))

    X_long, X_short = np.stack([X] * 4, axis=1), X[:, None]
    model = Means(*network().modules)
    options: dict[str, Any] = {"loss": CrossEntropy(), "optimizer": optim.SGD(lr=0.5)}
    history = fit(model, X_long, Y, validation=(X_short, Y), epochs=2, **options)
    assert len(history.validation_cost) == 2
