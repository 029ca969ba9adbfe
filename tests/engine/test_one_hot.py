"""Classes become rows with a single 1, and no wrong label wraps around."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from autonn import one_hot


@given(st.lists(st.integers(0, 6)), st.sampled_from([np.float64, np.float32, np.int64]))
def test_one_hot(labels: list[int], dtype: Any) -> None:
    """A single 1 in each row, at the label."""
    rows = one_hot(np.array(labels, dtype=np.uint8), classes=7, dtype=dtype)
    assert rows.shape == (len(labels), 7)
    assert rows.dtype == dtype
    assert_array_equal(rows.sum(axis=1), 1)
    assert rows.argmax(axis=1).tolist() == labels


@pytest.mark.parametrize(
    ("labels", "error", "says"),
    [
        ([0, 3], IndexError, "class 3 of 3 in row 1"),
        ([1, 3, 2], IndexError, "in row 1; labels run from 0 to 2 and never wrap: write y - 1, or"),
        ([-1, 3], IndexError, "class -1 of 3 in row 0; labels run from 0 to 2 and never wrap"),
        ([0.0, 1.0], TypeError, "float64"),
        ([True, False], TypeError, "bool"),
        (["a"], TypeError, "integers"),
        ([0.0, np.nan], ValueError, "NaN in row 1"),
        ([[0], [1]], ValueError, "y.ravel()"),
        (1, ValueError, "vector"),
    ],
)
def test_labels_that_one_hot_refuses(labels: Any, error: type[Exception], says: str) -> None:
    """Each kind of wrong label gets its own exception."""
    with pytest.raises(error) as caught:
        one_hot(labels, classes=3)
    assert says in str(caught.value)


def test_one_hot_needs_a_class() -> None:
    """No classes, no rows."""
    with pytest.raises(ValueError, match="classes is at least 1, not 0"):
        one_hot([], classes=0)
