"""What a network made of pictures is read back: its worst mistakes and its bars."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from tools.pictures import LETTER_L, Array, assert_readable, image_of, titles_of, whole

from autonn import plots


def answers(classes: list[int], confidences: list[float]) -> Array:
    """Return rows of ten probabilities, each with that confidence in that class."""
    rows = np.full((len(classes), 10), 0.01)
    rows[np.arange(len(classes)), classes] = confidences
    return rows


IMAGES = np.stack([LETTER_L] * 2)
CHANCES = answers([1, 2], [0.9, 0.8])


def test_worst_mistakes_come_surest_first() -> None:
    """Only mistakes are drawn, ordered by the confidence in the wrong class."""
    images = np.stack([LETTER_L * k for k in range(1, 6)])
    chances = answers([3, 1, 7, 2, 0], [0.6, 0.999, 0.98, 0.7, 0.3])
    figure = plots.worst_mistakes(images, chances, [5, 1, 2, 8, 6])
    assert titles_of(figure) == [
        "2 read as 7 (0.98)",
        "8 read as 2 (0.70)",
        "5 read as 3 (0.60)",
        "6 read as 0 (0.30)",
    ]
    for ax, k in zip(figure.axes, (2, 3, 0, 4), strict=True):
        np.testing.assert_array_equal(image_of(ax), images[k])


def test_worst_mistakes_stop_at_count() -> None:
    """No more pictures than asked for, and no more than five in a row."""
    images, chances = np.stack([LETTER_L] * 18), answers([1] * 18, [0.9] * 18)
    actual = np.zeros(18, dtype=np.uint8)
    assert len(plots.worst_mistakes(images, chances, actual, count=2).axes) == 2
    last = plots.worst_mistakes(images, chances, actual, count=18).axes[-1].get_subplotspec()
    assert last is not None
    assert last.get_gridspec().ncols == 5


def test_no_mistakes_are_said_in_words() -> None:
    """A perfect network gets a sentence, also in a figure of the caller's."""
    args = (LETTER_L[None], answers([4], [0.9]), [4])
    figure = Figure()
    assert plots.worst_mistakes(*args, figure=figure) is figure
    for drawn in (figure, plots.worst_mistakes(*args)):
        assert [text.get_text() for text in drawn.texts] == ["No mistakes in 1 picture"]
    many = plots.worst_mistakes(np.ones((1200, 2, 2)), answers([4] * 1200, [0.9]), [4] * 1200)
    assert [text.get_text() for text in many.texts] == ["No mistakes in 1,200 pictures"]


def test_bars_have_the_lengths_of_the_probabilities() -> None:
    """Class 0 is on top, and the longest bar alone is coloured."""
    chances = [0.1, 0.15, 0.7, 0.05]
    ax = plots.probability_bars(chances)
    assert [bar.get_width() for bar in ax.patches] == chances  # type: ignore[attr-defined]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    colors = [to_hex(bar.get_facecolor()) for bar in ax.patches]
    assert colors.count(colors[2]) == 1
    assert len(set(colors)) == 2
    assert [text.get_text() for text in ax.texts] == ["0.10", "0.15", "0.70 predicted", "0.05"]


def test_bars_name_the_actual_class() -> None:
    """A right prediction is called so; a wrong one has another colour and names both classes."""
    right = plots.probability_bars([0.2, 0.8], actual=1)
    wrong = plots.probability_bars([0.2, 0.8], actual=0)
    assert [text.get_text() for text in right.texts] == ["0.20", "0.80 right"]
    assert [text.get_text() for text in wrong.texts] == ["0.20 actual", "0.80 predicted"]
    assert right.patches[1].get_facecolor() != wrong.patches[1].get_facecolor()


def test_readings_show_each_picture_beside_its_bars() -> None:
    """A row for each: the picture upright at the left, its own probabilities at the right."""
    images, chances = np.stack([LETTER_L, 2 * LETTER_L]), answers([3, 7], [0.9, 0.8])
    figure = plots.readings(images, chances, ["a.png", "b.png"])
    figure.draw_without_rendering()
    assert titles_of(figure) == ["a.png", "", "b.png", ""]
    pictures, bars = figure.axes[::2], figure.axes[1::2]
    for row in range(2):
        np.testing.assert_array_equal(image_of(pictures[row]), images[row])
        widths = [bar.get_width() for bar in bars[row].patches]  # type: ignore[attr-defined]
        assert widths == chances[row].tolist()
        left, right = (ax.get_window_extent() for ax in (pictures[row], bars[row]))
        assert left.x1 < right.x0
        assert right.y0 < (left.y0 + left.y1) / 2 < right.y1
    assert pictures[0].get_window_extent().y0 > pictures[1].get_window_extent().y1


def test_given_axes_and_figures_are_drawn_on() -> None:
    """What the caller hands in is what comes back."""
    ax = Figure().subplots()
    assert plots.probability_bars([1.0], ax=ax) is ax
    figure = Figure()
    assert plots.worst_mistakes(LETTER_L[None], answers([1], [1]), [0], figure=figure) is figure
    figure = Figure()
    assert plots.readings(LETTER_L[None], [[0.2, 0.8]], figure=figure) is figure


PICTURES: dict[str, Callable[[], Figure]] = {
    "mistakes": lambda: plots.worst_mistakes(LETTER_L[None], answers([1], [0.9]), [2]),
    "mistakes of many classes": lambda: plots.worst_mistakes(
        np.ones((25, 2, 2)), np.eye(25, 300), 100 + np.arange(25)
    ),
    "no mistakes": lambda: plots.worst_mistakes(LETTER_L[None], answers([1], [0.9]), [1]),
    "bars": lambda: whole(plots.probability_bars(np.linspace(0, 1, 10, dtype="f4"), actual=3)),
    "bars, one sure": lambda: whole(plots.probability_bars([0.0, 1.0], actual=1)),
    "readings": lambda: plots.readings(np.ones((2, 20, 20)), answers([1, 2], [0.9] * 2), "ab"),
    "readings of long names": lambda: plots.readings(
        np.ones((2, 20, 20)), answers([1, 2], [0.9] * 2), [k * "holiday_" + ".jpg" for k in (4, 9)]
    ),
    "one reading": lambda: plots.readings(LETTER_L[None], [[0.2, 0.8]]),
}


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_can_be_drawn_and_read(name: str) -> None:
    assert_readable(PICTURES[name]())


BAD_CALLS: dict[str, tuple[Callable[[], object], str]] = {
    "flat probabilities": (
        lambda: plots.worst_mistakes(IMAGES, [0.5, 0.5], [0, 1]),
        r"worst_mistakes: probabilities has shape \(2,\), expected \(n, classes\)",
    ),
    "logits": (
        lambda: plots.worst_mistakes(IMAGES, CHANCES * 9, [0, 1]),
        r"worst_mistakes: probabilities holds 0.09 to 8.1, expected numbers within \[0, 1\]",
    ),
    "too few labels": (
        lambda: plots.worst_mistakes(IMAGES, CHANCES, [0]),
        r"worst_mistakes: got 2 images, 2 probabilities, 1 actual, expected equally many",
    ),
    "the course's ten for zero": (
        lambda: plots.worst_mistakes(IMAGES, CHANCES, [10, 1]),
        r"worst_mistakes: actual holds 1 to 10, expected classes from 0 to 9",
    ),
    "count of zero": (
        lambda: plots.worst_mistakes(IMAGES, CHANCES, [0, 1], count=0),
        r"worst_mistakes: got count=0",
    ),
    "bars of a table": (
        lambda: plots.probability_bars(CHANCES),
        r"probability_bars: probabilities has shape \(2, 10\), expected \(classes,\)",
    ),
    "bars of logits": (
        lambda: plots.probability_bars([-3.0, 4.0]),
        r"probability_bars: probabilities holds -3 to 4",
    ),
    "no such class": (
        lambda: plots.probability_bars([0.5, 0.5], actual=2),
        r"probability_bars: actual holds 2 to 2, expected classes from 0 to 1",
    ),
    "readings of one picture": (
        lambda: plots.readings(LETTER_L, CHANCES),
        r"readings: images has shape \(4, 3\), expected \(n, height, width\)",
    ),
    "readings without pictures": (
        lambda: plots.readings(IMAGES[:1], CHANCES),
        r"readings: got 1 images, 2 probabilities, expected equally many",
    ),
    "readings of logits": (
        lambda: plots.readings(IMAGES, CHANCES * 9),
        r"readings: probabilities holds 0.09 to 8.1",
    ),
    "readings with a title": (
        lambda: plots.readings(IMAGES, CHANCES, ["1"]),
        r"readings: got 1 titles, expected 2",
    ),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_calls_say_what_came_and_what_was_expected(name: str) -> None:
    """Each names the function, the argument, what it was given and what it needs."""
    call, message = BAD_CALLS[name]
    with pytest.raises(ValueError, match=message):
        call()
