"""A confusion matrix is read back: each count, its place and its colour."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tools.pictures import DRAWN, Array, assert_readable, image_of, luminance, whole

from autonn import plots


def cell_counts(ax: Axes, classes: int) -> Array:
    """Read the numbers written in the cells, by where they stand."""
    counts = np.zeros((classes, classes), dtype=int)
    for text in ax.texts:
        column, row = (int(place) for place in text.get_position())
        counts[row, column] = int(text.get_text().replace(",", ""))
    return counts


@settings(max_examples=DRAWN)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1))
def test_confusion_counts_every_example(pairs: list[tuple[int, int]]) -> None:
    """Rows are the actual classes and columns the predicted, counted one by one."""
    expected = np.zeros((4, 4), dtype=int)
    for guess, truth in pairs:
        expected[truth, guess] += 1
    predicted, actual = np.array(pairs).T
    shown = cell_counts(plots.confusion_matrix(predicted, actual, classes=4), 4)
    np.testing.assert_array_equal(shown, expected)
    assert shown.sum() == len(pairs)


def test_confusion_of_small_integers_does_not_overflow() -> None:
    """Labels in uint8, as files hold them, are counted like any other."""
    labels = np.repeat(np.arange(17, dtype=np.uint8), 2)  # the last cell is number 288
    ax = plots.confusion_matrix(labels, labels, classes=17)
    np.testing.assert_array_equal(cell_counts(ax, 17), 2 * np.eye(17))


def test_confusion_is_labelled() -> None:
    """Axes, title and the recall of each row are given in words and numbers."""
    ax = plots.confusion_matrix([0, 0, 1, 1, 1], [0, 0, 0, 1, 1], classes=3)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted", "actual")
    assert ax.get_title() == "4 of 5 right (80.0%)"
    margin = ax.child_axes[0]
    recall = [label.get_text() for label in margin.get_yticklabels()]
    assert (margin.get_ylabel(), recall) == ("recall", ["66.7%", "100.0%", ""])


def test_confusion_colours_the_mistakes_only() -> None:
    """Neither the diagonal nor an empty cell takes part in the colours; row 1 read as 0 does."""
    ax = plots.confusion_matrix([0] * 500 + [0, 0, 0], [0] * 500 + [1, 1, 1], classes=2)
    mistakes = image_of(ax)
    np.testing.assert_array_equal(np.ma.getmaskarray(mistakes), [[True, True], [False, True]])
    assert mistakes[1, 0] == 3
    assert mistakes.sum() == 3


def test_confusion_numbers_stand_out_from_their_cell() -> None:
    """From the palest cell to the darkest, ink and paper contrast by 4 to 1 or more."""
    actual = np.repeat(np.arange(1, 9), np.arange(1, 9))
    ax = plots.confusion_matrix(np.zeros(36, int), actual)
    for text in ax.texts:
        column, row = (int(place) for place in text.get_position())
        image = ax.get_images()[0]
        paper = luminance(image.to_rgba(image_of(ax))[row, column, :3])
        ink = luminance(np.full(3, 1.0 if text.get_color() == "white" else 0.0))
        light, dark = max(paper, ink), min(paper, ink)
        assert (light + 0.05) / (dark + 0.05) > 4


def test_given_axes_are_drawn_on() -> None:
    """What the caller hands in is what comes back."""
    ax = Figure().subplots()
    assert plots.confusion_matrix([0], [0], ax=ax) is ax


PICTURES: dict[str, Callable[[], Figure]] = {
    "confusion": lambda: whole(plots.confusion_matrix(np.arange(90) % 10, np.arange(90) % 9)),
    "confusion, one class": lambda: whole(plots.confusion_matrix([0], [0], classes=1)),
    "confusion, many classes": lambda: whole(
        plots.confusion_matrix(np.arange(48_000) % 24, np.arange(48_000) // 2 % 24, classes=24)
    ),
}


# Many classes need more width than a page has: they are for the screen.
WIDE = ["confusion, many classes"]


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_can_be_drawn_and_read(name: str) -> None:
    assert_readable(PICTURES[name](), wide=name in WIDE)


BAD_CALLS: dict[str, tuple[Callable[[], object], str]] = {
    "unequal predictions": (
        lambda: plots.confusion_matrix([1], [1, 2]),
        r"confusion_matrix: got 1 predicted, 2 actual, expected equally many",
    ),
    "probabilities as classes": (
        lambda: plots.confusion_matrix([0.5], [1]),
        r"confusion_matrix: predicted is float64, expected whole numbers",
    ),
    "one-hot classes": (
        lambda: plots.confusion_matrix([1], [[0, 1]]),
        r"confusion_matrix: actual has shape \(1, 2\), expected \(n,\)",
    ),
    "a class below zero": (
        lambda: plots.confusion_matrix([-1], [0]),
        r"confusion_matrix: predicted holds -1 to -1, expected classes from 0 to 9",
    ),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_calls_say_what_came_and_what_was_expected(name: str) -> None:
    """Each names the function, the argument, what it was given and what it needs."""
    call, message = BAD_CALLS[name]
    with pytest.raises(ValueError, match=message):
        call()
