"""Grids of pictures are read back: which picture stands where, upright, with which title."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from tools.pictures import LETTER_L, assert_readable, image_of, rendered, titles_of

from autonn import Tensor, plots

IMAGES = np.stack([LETTER_L] * 2)


@given(st.integers(1, 400))
def test_grid_holds_all_and_is_no_tower(count: int) -> None:
    """Every picture has a place, no row stays empty, and the grid is at least as wide as tall."""
    rows, columns = plots.grid_shape(count)
    assert rows * columns >= count > (rows - 1) * columns
    assert rows <= columns <= 2 * rows + 1


def test_grid_with_chosen_columns() -> None:
    """The caller's number of columns is kept."""
    assert plots.grid_shape(7, columns=3) == (3, 3)
    assert plots.grid_shape(2, columns=5) == (1, 5)


def test_digits_are_upright_and_in_order() -> None:
    """Each axes shows its own picture, not transposed, with its own title."""
    images = np.stack([LETTER_L * k for k in range(1, 6)])
    figure = plots.digits(images, np.arange(5))
    assert titles_of(figure) == ["0", "1", "2", "3", "4"]
    for ax, image in zip(figure.axes, images, strict=True):
        np.testing.assert_array_equal(image_of(ax), image)


def test_digits_are_dark_ink_on_white_paper() -> None:
    """In the saved pixels the L stands at the left and the bottom, and the rest is white."""
    pixels = rendered(plots.digits(LETTER_L[None]))[..., :3].mean(axis=2)
    height, width = pixels.shape
    stem, foot, paper = (
        pixels[height // 2, width // 6],
        pixels[height * 7 // 8, width // 2],
        pixels[height // 4, width * 2 // 3],
    )
    assert stem < 0.3
    assert foot < 0.6
    assert paper == 1.0


def test_digits_share_one_ink() -> None:
    """A faint picture stays faint beside a dark one, and values below zero are plain paper."""
    figure = plots.digits(np.stack([LETTER_L, LETTER_L / 10 - 0.1]))
    assert {ax.get_images()[0].get_clim() for ax in figure.axes} == {(0.0, 9.0)}


def test_wrong_digits_are_marked_by_sign_frame_and_colour() -> None:
    """The mark doesn't depend on colour alone."""
    figure = plots.digits(np.stack([LETTER_L] * 2), ["5", "3"], wrong=[False, True])
    right, wrong = figure.axes
    assert (right.get_title(), wrong.get_title()) == ("5", "\N{MULTIPLICATION SIGN} 3")
    assert wrong.spines["left"].get_linewidth() > 2 * right.spines["left"].get_linewidth()
    assert wrong.title.get_color() != right.title.get_color()


def test_one_digit_has_a_large_title() -> None:
    """A single picture is titled larger than one in a crowd."""
    alone: Any = plots.digits(LETTER_L[None], ["seven"]).axes[0].title
    crowd: Any = plots.digits(np.stack([LETTER_L] * 10), ["seven"] * 10).axes[0].title
    assert alone.get_fontsize() > crowd.get_fontsize() >= 8


@pytest.mark.parametrize(("count", "columns"), [(15, None), (5, 2), (30, 30)])
def test_digits_with_small_pictures_waste_no_room(count: int, columns: int | None) -> None:
    """However many stand in a row, they take most of its width."""
    figure = plots.digits(np.ones((count, 4, 4)), columns=columns)
    figure.draw_without_rendering()
    row = figure.axes[: columns or plots.grid_shape(count)[1]]
    assert sum(ax.get_window_extent().width for ax in row) > 0.85 * figure.bbox.width


def test_digits_draw_into_a_subfigure() -> None:
    """Given a part of a figure, the grid goes there, and the whole figure comes back."""
    figure = Figure()
    parts: Any = figure.subfigures(1, 2)
    left, right = parts
    assert plots.digits(LETTER_L[None], figure=left) is figure
    plots.probability_bars([0.2, 0.8], ax=right.subplots())
    assert (len(left.axes), len(right.axes)) == (1, 1)
    assert rendered(figure).size


def test_hidden_units_fold_column_by_column() -> None:
    """A picture unrolled as the digits are comes back as itself, square or not."""
    weight = np.stack([LETTER_L.ravel(order="F"), -LETTER_L.ravel(order="F")])
    figure = plots.hidden_units(weight, (4, 3))
    np.testing.assert_array_equal(image_of(figure.axes[0]), LETTER_L)
    np.testing.assert_array_equal(image_of(figure.axes[1]), -LETTER_L)
    square = np.arange(9.0).reshape(3, 3)
    learned = Tensor(square.T.reshape(1, 9), requires_grad=True)
    shown = image_of(plots.hidden_units(learned).axes[0])
    np.testing.assert_array_equal(shown, square)


def test_hidden_units_share_one_symmetric_scale() -> None:
    """Zero has the middle colour in every unit, and there is one colour bar."""
    weight = np.random.default_rng(0).normal(1.0, 2.0, (6, 400))
    *units, bar = plots.hidden_units(weight).axes
    limits = {ax.get_images()[0].get_clim() for ax in units}
    ((low, high),) = limits
    assert len(units) == 6
    assert -low == high > 0
    assert bar.get_xlabel() == "weight"


def test_one_outlier_does_not_bleach_the_rest() -> None:
    """The scale follows the many weights, not the single largest."""
    weight = np.random.default_rng(0).normal(size=(4, 400))
    weight[3, 7] = 1e6
    _, high = plots.hidden_units(weight).axes[0].get_images()[0].get_clim()
    assert 2 < high < 4


def test_a_lone_weight_still_sets_the_scale() -> None:
    """Where nearly all weights are zero, the scale doesn't shrink to nothing."""
    weight = np.zeros((2, 400))
    weight[0, 0] = -3.0
    assert plots.hidden_units(weight).axes[0].get_images()[0].get_clim() == (-3.0, 3.0)


def test_given_figures_are_drawn_on() -> None:
    """What the caller hands in is what comes back."""
    figure = Figure()
    assert plots.hidden_units(np.ones((2, 4)), figure=figure) is figure


PICTURES: dict[str, Callable[[], Figure]] = {
    "digits": lambda: plots.digits(np.stack([LETTER_L] * 7), range(7), wrong=[True] * 7),
    "digits, crowded": lambda: plots.digits(
        np.ones((40, 2, 2)), [f"predicted {k}" for k in range(40)], wrong=[False, True] * 20
    ),
    "digits, long titles": lambda: plots.digits(
        np.ones((6, 2, 2)), [f"this may be a {k}, I think,\nor not" for k in range(6)], columns=5
    ),
    "digits, blank": lambda: plots.digits(np.zeros((2, 20, 20))),
    "digits, all below zero": lambda: plots.digits(-np.ones((2, 20, 20))),
    "digits, bytes": lambda: plots.digits(np.full((1, 28, 28), 255, dtype=np.uint8)),
    "digits, truth values": lambda: plots.digits(np.eye(5, dtype=bool)[None]),
    "hidden units": lambda: plots.hidden_units(np.random.default_rng(0).normal(size=(25, 400))),
    "hidden units, dead": lambda: plots.hidden_units(np.zeros((1, 4))),
}


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_can_be_drawn_and_read(name: str) -> None:
    assert_readable(PICTURES[name]())


BAD_CALLS: dict[str, tuple[Callable[[], object], str]] = {
    "no pictures": (lambda: plots.grid_shape(0), r"grid_shape: got count=0"),
    "no columns": (lambda: plots.grid_shape(3, columns=0), r"grid_shape: got columns=0"),
    "one flat image": (
        lambda: plots.digits(LETTER_L),
        r"digits: images has shape \(4, 3\), expected \(n, height, width\)",
    ),
    "empty images": (lambda: plots.digits(np.zeros((0, 2, 2))), r"shape \(0, 2, 2\).*not empty"),
    "NaN in an image": (lambda: plots.digits([[[np.nan]]]), r"digits: images .*finite"),
    "images of text": (lambda: plots.digits([[["a"]]]), r"digits: images .*real numbers"),
    "too few titles": (lambda: plots.digits(IMAGES, ["1"]), r"digits: got 1 titles, expected 2"),
    "indices for wrong": (
        lambda: plots.digits(IMAGES, wrong=[0, 1]),
        r"digits: wrong is int64 of shape \(2,\), expected bool of shape \(2,\)",
    ),
    "a short mask": (lambda: plots.digits(IMAGES, wrong=[True]), r"wrong is bool of shape \(1,\)"),
    "bias column": (
        lambda: plots.hidden_units(np.ones((25, 401))),
        r"hidden_units: got 401 inputs for a 20 x 20 picture.*bias",
    ),
    "wrong shape": (
        lambda: plots.hidden_units(np.ones((2, 6)), (2, 2)),
        r"hidden_units: got 6 inputs for a 2 x 2 picture, expected 4",
    ),
    "one unit's vector": (
        lambda: plots.hidden_units(np.ones(400)),
        r"hidden_units: weight has shape \(400,\), expected \(units, inputs\)",
    ),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_calls_say_what_came_and_what_was_expected(name: str) -> None:
    """Each names the function, the argument, what it was given and what it needs."""
    call, message = BAD_CALLS[name]
    with pytest.raises(ValueError, match=message):
        call()
