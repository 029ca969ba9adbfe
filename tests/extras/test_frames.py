"""Frames and series of pandas and polars, sparse matrices: taken as arrays are, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from tools.runs import X, Y, network

from autonn import CrossEntropy, Layer, SigmoidCrossEntropy, fit, optim
from autonn.training import accuracy

pd: Any = pytest.importorskip("pandas", reason="needs pandas")
NAMES = ["width", "height", "depth", "age"][: X.shape[1]] + [f"x{k}" for k in range(4, X.shape[1])]
FRAME = pd.DataFrame(X, columns=NAMES)


def polars() -> Any:
    return pytest.importorskip("polars", reason="needs polars")


def costs(features: Any, targets: Any, **settings: Any) -> list[float]:
    sgd = optim.SGD(lr=0.5)
    return fit(network(), features, targets, CrossEntropy(), sgd, epochs=2, **settings).cost


PLAIN = costs(X, Y)


@pytest.mark.parametrize(
    ("features", "targets"),
    [
        (lambda: FRAME, lambda: pd.Series(Y)),
        (lambda: FRAME.set_index(FRAME.index[::-1]), lambda: pd.Series(Y, name="kind")),
        (lambda: FRAME.convert_dtypes(), lambda: pd.Series(Y).convert_dtypes()),
        (lambda: FRAME.astype(object), lambda: pd.Series(Y).astype("category")),
        (lambda: FRAME, lambda: pd.DataFrame({"kind": Y})),
        (lambda: FRAME, lambda: pd.get_dummies(pd.Series(Y))),
        (lambda: FRAME, lambda: Y[:, None]),
        (lambda: polars().DataFrame(X, schema=NAMES), lambda: polars().Series(Y)),
        (lambda: polars().DataFrame(X, schema=NAMES), lambda: polars().Series(Y).to_dummies()),
        (lambda: X.tolist(), lambda: tuple(Y)),
    ],
)
def test_it_is_taken_as_the_array_is(features: Any, targets: Any) -> None:
    assert costs(features(), targets()) == PLAIN


def test_weights_and_held_out_rows_come_as_series_and_frames_too() -> None:
    weights = np.arange(1.0, len(X) + 1)
    by_class = costs(X, Y, class_weight={0: 2.0}, sample_weight=weights, validation=(X, Y))
    frames = {"validation": (FRAME, pd.Series(Y)), "sample_weight": pd.Series(weights)}
    assert costs(FRAME, pd.Series(Y), class_weight={0: 2.0}, **frames) == by_class


def test_a_memory_map_is_read_in_batches(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    for size in (None, 20):
        assert costs(mapped, Y, batch_size=size, seed=0) == costs(X, Y, batch_size=size, seed=0)


def test_booleans_beside_numbers_are_numbers() -> None:
    mixed = FRAME.assign(width=FRAME["width"] > 0, height=1)
    expected = X.copy()
    expected[:, 0], expected[:, 1] = X[:, 0] > 0, 1
    assert costs(mixed, Y) == costs(expected, Y)
    assert accuracy(network(), mixed, Y) == accuracy(network(), expected, Y)
    np.testing.assert_array_equal(network().predict(mixed), network().predict(expected))
    assert network().predict(mixed).dtype == np.float64


@pytest.mark.parametrize(
    ("features", "error", "words"),
    [
        (lambda: FRAME.mask(X[7, 1] == FRAME), ValueError, "nan in row 7, column 'height'"),
        (lambda: FRAME.assign(height="tall"), TypeError, "'tall' in row 0, column 'height'"),
        (
            lambda: FRAME.convert_dtypes().astype(object).mask(X[7, 1] == FRAME, pd.NA),
            TypeError,
            "<NA> in row 7, column 'height'; fill the gaps",
        ),
        (lambda: polars().DataFrame(X, schema=NAMES).with_columns(height=None), ValueError,
         "nan in row 0, column 'height'"),
        (lambda: sparse.csr_array(X), TypeError, r"sparse matrix; give X\.toarray\(\)"),
    ],
)  # fmt: skip
def test_what_is_no_number_is_named_by_its_column(features: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        costs(features(), Y)


def test_labels_that_are_words_get_a_cure() -> None:
    words = pd.Series(np.array(["a", "b", "c"])[Y])
    with pytest.raises(TypeError, match="makes them of labels"):
        costs(X, words)
    assert costs(X, np.unique(words, return_inverse=True)[1]) == PLAIN
    with pytest.raises(TypeError, match=r"predict: x is a sparse matrix; give x\.toarray"):
        network().predict(sparse.csr_array(X))


def test_a_dask_array_is_not_loaded_in_silence() -> None:
    array = pytest.importorskip("dask.array", reason="needs dask").from_array(X)
    with pytest.raises(TypeError, match=r"may not fit in memory; give X\.compute\(\)"):
        costs(array, Y)


def test_booleans_are_targets_of_one_output() -> None:
    histories = [
        fit(Layer(X.shape[1], 1, rng=0), X, targets, SigmoidCrossEntropy(), "adam", epochs=2)
        for targets in (Y == 1, pd.Series(Y == 1), (Y == 1)[:, None], pd.DataFrame({"y": Y == 1}))
    ]
    assert all(history == histories[0] for history in histories)
