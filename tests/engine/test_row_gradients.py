"""Gradients of tables that are kept to their rows: the same gradient, in fewer numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonn import Embedding, Tensor, compile, gradients
from autonn.engine.ops import indexing
from autonn.engine.row_gradients import RowGradient


def table(dtype: Any = np.float64, rows: int = 1000) -> Tensor:
    rng = np.random.default_rng(0)
    return Tensor(rng.standard_normal((rows, 8)).astype(dtype), requires_grad=True)


def both(cost: Any, x: Tensor) -> tuple[Any, Any]:
    (kept,) = gradients(cost, [x], by_rows=True)
    (whole,) = gradients(cost, [x])
    return kept, whole


@given(
    seed=st.integers(0, 2**32 - 1), shape=st.sampled_from([(3,), (40,), (6, 5), (2, 3, 4)]),
    twice=st.booleans(), few=st.sampled_from([3, 1000]),
    dtype=st.sampled_from([np.float64, np.float32]), compiled=st.booleans(),
)  # fmt: skip
def test_a_kept_gradient_is_the_gradient(
    seed: int, shape: tuple[int, ...], twice: bool, few: int, dtype: Any, compiled: bool
) -> None:
    rng, x = np.random.default_rng(seed), table(dtype)
    keys = [rng.integers(-few, few, shape) for _ in range(1 + twice)]

    def both_kinds(*keys: Any) -> Any:
        cost = sum(np.sum(np.sin(x[key])) for key in keys)
        return gradients(cost, [x], by_rows=True), gradients(cost, [x])

    (kept,), (whole,) = (compile(both_kinds) if compiled else both_kinds)(*keys)
    assert isinstance(kept, RowGradient)
    assert kept.values.dtype == dtype
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(kept.dense(x.shape), whole, rtol=tolerance, atol=tolerance)
    once = kept.summed(len(x))
    assert np.array_equal(
        once.rows, np.unique(np.where(kept.rows < 0, kept.rows + 1000, kept.rows))
    )
    assert once.dense(x.shape).tobytes() == kept.dense(x.shape).tobytes()


@pytest.mark.parametrize(
    "use",
    [
        lambda x: np.sum(x[[1, 2]]) + np.sum(x * x),  # tied to something else
        lambda x: np.sum(x[np.arange(1000) > 990]),
        lambda x: np.sum(x[[1, 2], [3, 4]]),
        lambda x: np.sum(x[3:5]),
        lambda x: np.sum(x[np.zeros(501, int)]),  # more than half of the rows
        lambda x: np.sum((2.0 * x)[[1, 2]]),
        lambda x: np.sum(x.T[[1, 2]]),
    ],
)
def test_what_is_used_otherwise_has_a_whole_gradient(use: Any) -> None:
    x = table()
    kept, whole = both(use(x), x)
    assert isinstance(kept, np.ndarray)
    np.testing.assert_array_equal(kept, whole)


def test_small_tables_and_half_precision_are_whole() -> None:
    for x in (table(rows=20), table(np.float16)):
        kept, _ = both(np.sum(x[[1, 2]]), x)
        assert isinstance(kept, np.ndarray)


def test_a_table_that_is_not_reached_gets_zeros() -> None:
    x, y = table(), table()
    kept, other = gradients(np.sum(x[[1]]), [x, y], by_rows=True)
    assert isinstance(kept, RowGradient)
    assert not other.any()
    assert other.shape == y.shape


def test_a_row_that_comes_often_is_added_by_another_way_to_the_same_bits() -> None:
    rng = np.random.default_rng(0)
    g = rng.standard_normal((50, 4))
    rows = rng.integers(0, 3, 50)
    there, sums = indexing.sums_of_rows(g, rows, 1000)
    whole = np.zeros((1000, 4))
    np.add.at(whole, rows, g)
    assert there.tolist() == [0, 1, 2]
    assert sums.tobytes() == whole[:3].tobytes()
    assert np.unique(rows, return_counts=True)[1].max() > 8


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint64])
@pytest.mark.parametrize("count", [4, 600])
def test_numbers_of_rows_in_few_bits_are_added_up(dtype: Any, count: int) -> None:
    x, key = table(), np.resize(np.arange(100), count).astype(dtype)
    kept, whole = both(np.sum(np.sin(x[key])), x)
    expected = np.zeros(x.shape)
    np.add.at(expected, key.astype(int), np.cos(x.data[key]))
    np.testing.assert_allclose(whole, expected, rtol=1e-12, atol=1e-12)
    if count == 4:
        assert kept.summed(len(x)).rows.tolist() == [0, 1, 2, 3]


def test_rows_of_padding_have_no_gradient() -> None:
    layer = Embedding(1000, 8, padding_idx=3, rng=0)
    kept, whole = both(np.sum(np.sin(layer([3, 4, 3]))), layer.weight)
    np.testing.assert_array_equal(kept.dense(whole.shape), whole)
    assert not kept.dense(whole.shape)[3].any()
