"""Pictures of another size are what Keys' kernel makes of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from autonn.data import as_images, resampling_matrix, shrink, unroll


def test_resampling_matrix_of_the_digits() -> None:
    """Entries worked out by hand from Keys' formula, one in each piece of the kernel."""
    M = resampling_matrix()
    assert M.shape == (20, 28)
    centre, a = 1.4 * 10.5 - 0.5, -0.5  # 14.2

    def keys(x: float) -> float:
        x = abs(x) / 1.4
        if x <= 1:
            return (a + 2) * x**3 - (a + 3) * x**2 + 1
        return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0

    row = np.array([keys(j - centre) for j in range(28)])
    assert_allclose(M[10], row / row.sum(), rtol=0, atol=1e-15)
    assert (M[10] < 0).any()


def test_pixels_beyond_the_edge_repeat_the_edge() -> None:
    """Padding the line with its ends changes nothing; the weights fold onto the ends."""
    line = np.random.default_rng(0).normal(size=28)
    padded = np.pad(line, 14, mode="edge")
    assert_allclose(resampling_matrix(56, 40)[10:30] @ padded, resampling_matrix() @ line, 1e-13)


def test_a_window_shows_a_part_of_the_line() -> None:
    """Away from its ends it is what the same part of a longer line gives; half a pixel moves it."""
    line = np.random.default_rng(0).normal(size=56)
    part = resampling_matrix(56, 20, window=(14, 42)) @ line
    assert_allclose(part[3:-3], (resampling_matrix(56, 40) @ line)[13:27], rtol=1e-12)
    assert_array_equal(resampling_matrix(9, 9, window=(0, 9)), np.eye(9))
    ramp = resampling_matrix(30, 10, window=(10.5, 20.5)) @ np.arange(30.0)
    assert_allclose(ramp, np.arange(10, 20) + 0.5, rtol=1e-12)
    beyond = resampling_matrix(5, 4, window=(5, 9)) @ np.arange(5.0)
    assert_allclose(beyond[-2:], 4, rtol=1e-12)


@given(st.integers(1, 40), st.integers(1, 40))
def test_resampling_matrix_of_any_size(old: int, new: int) -> None:
    """Rows sum to 1, a mirrored line gives a mirrored result, the same size changes nothing."""
    M = resampling_matrix(old, new)
    assert M.shape == (new, old)
    assert_allclose(M.sum(axis=1), 1, rtol=1e-14)
    assert_allclose(M, M[::-1, ::-1], rtol=0, atol=1e-13)
    assert_array_equal(resampling_matrix(old, old), np.eye(old))


def test_straight_lines_stay_straight() -> None:
    """Away from the edges the kernel reproduces a line exactly when it enlarges."""
    line = resampling_matrix(20, 40) @ np.arange(20.0)
    assert_allclose(np.diff(line)[6:-6], 0.5, rtol=1e-12)


def test_shrink_takes_stacks_and_oblong_pictures() -> None:
    """Each picture on its own: M @ image @ M.T."""
    images = np.random.default_rng(0).normal(size=(2, 3, 28, 14))
    small = shrink(images, 10)
    assert small.shape == (2, 3, 10, 10)
    expected = resampling_matrix(28, 10) @ images[1, 2] @ resampling_matrix(14, 10).T
    assert_allclose(small[1, 2], expected, rtol=1e-13)


@pytest.mark.parametrize(
    "call",
    [
        lambda: unroll(np.zeros((2, 3, 4))),
        lambda: unroll(np.zeros(4)),
        lambda: as_images(np.zeros((2, 5))),
        lambda: as_images(3.0),
        lambda: shrink(np.zeros(4)),
        lambda: shrink(np.zeros((4, 4)), 0),
        lambda: resampling_matrix(0, 3),
        lambda: resampling_matrix(3, -1),
        lambda: resampling_matrix(3, 2, window=(1, 1)),
        lambda: resampling_matrix(3, 2, window=(0, np.nan)),
    ],
)
def test_pictures_of_the_wrong_shape(call: Callable[[], object]) -> None:
    """A ValueError at the call."""
    with pytest.raises(ValueError, match=r"shrink|unroll|as_images|must be|window="):
        call()
