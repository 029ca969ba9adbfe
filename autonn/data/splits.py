"""Rows dealt out: some of each class held out, or all of them in batches."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autonn.files.reading import Array
from autonn.habits import answers_keywords


@answers_keywords("data()")
def split(
    X: ArrayLike, y: ArrayLike, test: int = 1000, *, rng: np.random.Generator | int
) -> tuple[Array, Array, Array, Array]:
    """Hold out `test` rows, each class in proportion: X_train, y_train, X_test, y_test.

    A class of c rows among m gives test * c / m of them; where that is no whole number, the
    largest remainders are rounded up, so that exactly `test` rows are held out. Which rows is
    drawn from `rng`, a generator or a seed. Both parts keep the order of the data:
    of rows sorted by class, as the digits are, take a share by ``X_train[::4]``, not the first.

    A `test` that is negative or above m, and X and y of different lengths, raise ValueError.

    >>> X, y = np.arange(8).reshape(8, 1), np.array([0, 0, 0, 0, 0, 0, 1, 1])
    >>> X_train, y_train, X_test, y_test = split(X, y, test=4, rng=0)
    >>> y_test
    array([0, 0, 0, 1])
    """
    rows, labels = _paired_rows(X, y)
    shares = _shares(labels, count("test", test))
    order = np.random.default_rng(rng).permutation(len(labels))
    held_out = np.zeros(len(labels), dtype=bool)
    for label, share in shares:
        held_out[order[labels[order] == label][:share]] = True
    return rows[~held_out], labels[~held_out], rows[held_out], labels[held_out]


def _paired_rows(X: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    rows, labels = np.asarray(X), np.asarray(y)
    if labels.ndim != 1:
        raise ValueError(f"split: y must be a vector of labels (m,), not shape {labels.shape}")
    if not rows.ndim or len(rows) != len(labels):
        raise ValueError(f"split: X of shape {rows.shape} does not match {len(labels)} labels")
    return rows, labels


def _shares(labels: Array, test: int) -> list[tuple[Any, int]]:
    """Return (label, rows to hold out) by the method of the largest remainder."""
    if test > len(labels):
        raise ValueError(f"split: test={test} rows, but the data has only {len(labels)}")
    kinds, counts = np.unique(labels, return_counts=True)
    shares, remainders = np.divmod(test * counts, max(len(labels), 1))
    shares[np.argsort(-remainders, kind="stable")[: test - shares.sum()]] += 1
    return list(zip(kinds, shares.tolist(), strict=True))


@answers_keywords("data()")
def batches(
    m: int, size: int, rng: np.random.Generator | int
) -> Iterator[NDArray[np.integer[Any]]]:
    """Deal m rows in random order into index arrays of `size`; the last may be shorter.

    A negative m or a size below 1 raises ValueError, at the call.

    >>> [len(rows) for rows in batches(10, 4, rng=0)]
    [4, 4, 2]
    """
    m, size = count("m", m), positive("size", size)
    order = np.random.default_rng(rng).permutation(m)
    return (order[start : start + size] for start in range(0, m, size))


def count(name: str, value: int, least: int = 0) -> int:
    """Return a whole number that is not below `least`."""
    if operator.index(value) < least:
        raise ValueError(f"{name} must be {least} or more, not {value}")
    return operator.index(value)


def positive(name: str, value: int) -> int:
    """Return a whole number above 0."""
    return count(name, value, least=1)
