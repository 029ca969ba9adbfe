"""Every row is dealt once, and each class gives its share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from tools.made_files import same_bits

from autonn.data import Digits, batches, split


@given(st.lists(st.integers(0, 5), max_size=60), st.data())
def test_split_is_fair(labels: list[int], data: st.DataObject) -> None:
    """Every row lands on one side; each class gives its share, rounded up or down."""
    y, m = np.array(labels, dtype=int), len(labels)
    test = data.draw(st.integers(0, m))
    rows = np.arange(m)
    train_rows, y_train, test_rows, y_test = split(rows, y, test, rng=data.draw(st.integers(0, 9)))
    assert len(test_rows) == test
    assert_array_equal(np.sort(np.concatenate([train_rows, test_rows])), rows)
    assert_array_equal(y_train, y[train_rows])
    assert_array_equal(y_test, y[test_rows])
    assert_array_equal(train_rows, np.sort(train_rows))
    for label in set(labels):
        share = test * np.sum(y == label) / m
        assert np.floor(share) <= np.sum(y_test == label) <= np.ceil(share)


def test_split_gives_the_odd_rows_to_the_largest_remainders() -> None:
    """Shares 2.4, 1.8 and 0.8 of 5 rows: the last two are rounded up, the first down."""
    y = np.repeat([0, 1, 2], [12, 9, 4])
    *_, y_test = split(y, y, 5, rng=0)
    assert np.bincount(y_test).tolist() == [2, 2, 1]


def test_split_of_the_digits(digits: Digits) -> None:
    """4,000 and 1,000, a hundred of each digit; the seed decides which."""
    parts = split(digits.X, digits.y, rng=3)
    assert [len(part) for part in parts] == [4000, 4000, 1000, 1000]
    assert np.bincount(parts[3]).tolist() == [100] * 10
    again = split(digits.X, digits.y, rng=np.random.default_rng(3))
    assert all(same_bits(a, b) for a, b in zip(parts, again, strict=True))
    assert not np.array_equal(split(digits.X, digits.y, rng=4)[2], parts[2])


@pytest.mark.parametrize(
    ("rows", "labels", "test", "says"),
    [
        (4, 4, -1, "test must be 0 or more, not -1"),
        (4, 4, 5, "test=5 rows, but the data has only 4"),
        (3, 4, 1, "does not match 4 labels"),
        (4, (4, 1), 1, "vector of labels"),
    ],
)
def test_splits_that_cannot_be(rows: int, labels: Any, test: int, says: str) -> None:
    """A ValueError that says which number is wrong."""
    with pytest.raises(ValueError, match=says):
        split(np.zeros((rows, 2)), np.zeros(labels, dtype=int), test, rng=0)


def test_split_needs_a_whole_number() -> None:
    """A fraction is not taken for a number of rows."""
    with pytest.raises(TypeError):
        split(np.zeros(4), np.zeros(4), 0.25, rng=0)  # type: ignore[arg-type]


@given(st.integers(0, 50), st.integers(1, 60), st.integers(0, 5))
def test_batches_deal_every_row_once(m: int, size: int, seed: int) -> None:
    """All full but the last, in an order that the seed decides."""
    hands = list(batches(m, size, seed))
    assert all(len(hand) == size for hand in hands[:-1])
    assert all(0 < len(hand) <= size for hand in hands)
    dealt = np.concatenate([*hands, np.empty(0, int)])
    assert_array_equal(np.sort(dealt), np.arange(m))
    assert_array_equal(dealt, np.random.default_rng(seed).permutation(m))


@pytest.mark.parametrize(("m", "size"), [(-1, 2), (4, 0), (4, -3)])
def test_batches_refuse_at_the_call(m: int, size: int) -> None:
    """Not only at the first batch."""
    with pytest.raises(ValueError, match="must be"):
        batches(m, size, 0)
