"""A picture that shows the wrong thing is worse than none, so what was drawn is read back here."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import imread
from numpy.typing import NDArray

from autonn import plots

Array = NDArray[Any]

# A stem at the left and a foot at the bottom: any flip or turn shows.
LETTER_L = np.array([[6.0, 0, 0], [7, 0, 0], [8, 0, 0], [9, 5, 4]])
HISTORY = {
    "cost": [7.0, 3.0, 1.0, 0.5],
    "validation_cost": [7.1, 3.2, 1.4, 0.9],
    "accuracy": [0.1, 0.5, 0.8, 0.95],
    "validation_accuracy": [0.1, 0.4, 0.7, 0.9],
}


def image_of(ax: Axes, which: int = 0) -> Array:
    """Return the numbers behind a picture, having seen that the first row is drawn on top."""
    image = ax.get_images()[which]
    bottom, top = ax.get_ylim()
    left, right = ax.get_xlim()
    assert (image.origin, bottom > top, left < right) == ("upper", True, True)
    return np.ma.asarray(image.get_array())


def titles_of(figure: Figure) -> list[str]:
    """Return the titles of a figure's axes in reading order."""
    return [ax.get_title() for ax in figure.axes]


def rendered(figure: Figure) -> Array:
    """Return the figure's pixels as saved in a PNG file; a warning would be an error here."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return np.asarray(imread(io.BytesIO(buffer.getvalue())))


def whole(ax: Axes) -> Figure:
    """Return the figure that the axes belong to."""
    assert isinstance(ax, Axes)
    assert isinstance(ax.figure, Figure)
    return ax.figure


def answers(classes: list[int], confidences: list[float]) -> Array:
    """Return rows of ten probabilities, each with that confidence in that class."""
    rows = np.full((len(classes), 10), 0.01)
    rows[np.arange(len(classes)), classes] = confidences
    return rows


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
    crowd: Any = plots.digits(np.stack([LETTER_L] * 20), ["seven"] * 20).axes[0].title
    assert alone.get_fontsize() > crowd.get_fontsize() >= 8


def test_digits_draw_into_a_subfigure() -> None:
    """Given a part of a figure, the grid goes there, and the whole figure comes back."""
    figure = Figure()
    parts: Any = figure.subfigures(1, 2)
    left, right = parts
    assert plots.digits(LETTER_L[None], figure=left) is figure
    plots.probability_bars([0.2, 0.8], ax=right.subplots())
    assert (len(left.axes), len(right.axes)) == (1, 1)
    assert rendered(figure).size


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
    images, chances = np.stack([LETTER_L] * 30), answers([1] * 30, [0.9] * 30)
    actual = np.zeros(30, dtype=np.uint8)
    assert len(plots.worst_mistakes(images, chances, actual, count=7).axes) == 7
    last = plots.worst_mistakes(images, chances, actual, count=30).axes[-1].get_subplotspec()
    assert last is not None
    assert last.get_gridspec().ncols == 5


def test_no_mistakes_are_said_in_words() -> None:
    """A perfect network gets a sentence, also in a figure of the caller's."""
    args = (LETTER_L[None], answers([4], [0.9]), [4])
    figure = Figure()
    assert plots.worst_mistakes(*args, figure=figure) is figure
    for drawn in (figure, plots.worst_mistakes(*args)):
        assert [text.get_text() for text in drawn.texts] == ["No mistakes in 1 pictures"]


def test_hidden_units_fold_column_by_column() -> None:
    """A picture unrolled as the digits are comes back as itself, square or not."""
    weight = np.stack([LETTER_L.ravel(order="F"), -LETTER_L.ravel(order="F")])
    figure = plots.hidden_units(weight, (4, 3))
    np.testing.assert_array_equal(image_of(figure.axes[0]), LETTER_L)
    np.testing.assert_array_equal(image_of(figure.axes[1]), -LETTER_L)
    square = np.arange(9.0).reshape(3, 3)
    shown = image_of(plots.hidden_units(square.T.reshape(1, 9)).axes[0])
    np.testing.assert_array_equal(shown, square)


def test_hidden_units_share_one_symmetric_scale() -> None:
    """Zero has the middle colour in every unit, and there is one colour bar."""
    weight = np.random.default_rng(0).normal(1.0, 2.0, (25, 400))
    *units, bar = plots.hidden_units(weight).axes
    limits = {ax.get_images()[0].get_clim() for ax in units}
    ((low, high),) = limits
    assert len(units) == 25
    assert -low == high > 0
    assert bar.get_xlabel() == "weight"


def test_one_outlier_does_not_bleach_the_rest() -> None:
    """The scale follows the many weights, not the single largest."""
    weight = np.random.default_rng(0).normal(size=(25, 400))
    weight[3, 7] = 1e6
    _, high = plots.hidden_units(weight).axes[0].get_images()[0].get_clim()
    assert 2 < high < 4


def test_a_lone_weight_still_sets_the_scale() -> None:
    """Where nearly all weights are zero, the scale doesn't shrink to nothing."""
    weight = np.zeros((25, 400))
    weight[0, 0] = -3.0
    assert plots.hidden_units(weight).axes[0].get_images()[0].get_clim() == (-3.0, 3.0)


def test_learning_curve_draws_each_series() -> None:
    """Cost above, accuracy below, iterations counted from 1, each line named at its end."""
    figure = plots.learning_curve(HISTORY, xlabel="epoch")
    cost, accuracy = figure.axes
    drawn = [line.get_ydata() for ax in (cost, accuracy) for line in ax.get_lines()]
    np.testing.assert_array_equal(np.array(drawn), list(HISTORY.values()))
    np.testing.assert_array_equal(cost.get_lines()[0].get_xdata(), [1, 2, 3, 4])
    assert {text.get_text() for text in cost.texts} == {"training 0.5", "validation 0.9"}
    assert {text.get_text() for text in accuracy.texts} == {"training 95.0%", "validation 90.0%"}
    assert (cost.get_xlabel(), accuracy.get_xlabel()) == ("", "epoch")


def test_names_have_the_colour_of_their_line() -> None:
    """The name at a line's end can't be taken for the other's, nor the lines in grey print."""
    ax = plots.learning_curve(HISTORY).axes[0]
    training, validation = ax.get_lines()
    colors = {text.get_text().split()[0]: text.get_color() for text in ax.texts}
    assert colors == {"training": training.get_color(), "validation": validation.get_color()}
    assert training.get_linestyle() != validation.get_linestyle()


@pytest.mark.parametrize("gap", [0.0, 0.01, 0.3, 3.0])
def test_names_of_lines_that_end_together_stay_apart(gap: float) -> None:
    """The two names never overlap, whichever line ends higher."""
    for first, second in ((0.0, gap), (gap, 0.0)):
        figure = plots.learning_curve({"cost": [5, first], "validation_cost": [5, second]})
        figure.draw_without_rendering()
        low, high = sorted(
            (text.get_window_extent() for text in figure.axes[0].texts), key=lambda box: box.y0
        )
        assert low.y1 <= high.y0 + 1


def test_learning_curve_skips_what_is_missing() -> None:
    """Empty, absent and unknown series leave no line and no panel."""
    figure = plots.learning_curve({"cost": [3.0, 2.0], "validation_cost": [], "seconds": [1.0]})
    (ax,) = figure.axes
    assert len(ax.get_lines()) == 1
    assert plots.learning_curve({"accuracy": [0.5]}).axes[0].get_ylabel() == "accuracy"


def test_learning_curve_joins_over_gaps() -> None:
    """A validation measured now and then is drawn where it was measured, and named at its end."""
    rare = [5.0, np.nan, 3.0, np.nan]
    ax = plots.learning_curve({"cost": [4.0, 3, 2, 1], "validation_cost": rare}).axes[0]
    np.testing.assert_array_equal(ax.get_lines()[1].get_xydata(), [[1, 5], [3, 3]])
    assert "validation 3" in [text.get_text() for text in ax.texts]


def cell_counts(ax: Axes, classes: int) -> Array:
    """Read the numbers written in the cells, by where they stand."""
    counts = np.zeros((classes, classes), dtype=int)
    for text in ax.texts:
        column, row = (int(place) for place in text.get_position())
        counts[row, column] = int(text.get_text().replace(",", ""))
    return counts


@settings(max_examples=15, deadline=None)
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
    labels = np.repeat(np.arange(30, dtype=np.uint8), 2)
    ax = plots.confusion_matrix(labels, labels, classes=30)
    np.testing.assert_array_equal(cell_counts(ax, 30), 2 * np.eye(30))


def test_confusion_is_labelled() -> None:
    """Axes, title and the recall of each row are given in words and numbers."""
    ax = plots.confusion_matrix([0, 0, 1, 1, 1], [0, 0, 0, 1, 1], classes=3)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted", "actual")
    assert ax.get_title() == "4 of 5 right (80.0%)"
    whole(ax).draw_without_rendering()
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


def luminance(rgb: Array) -> float:
    """Return the relative luminance of a colour, as the web's contrast rules define it."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


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


PICTURES: dict[str, Callable[[], Figure]] = {
    "digits": lambda: plots.digits(np.stack([LETTER_L] * 7), range(7), wrong=[True] * 7),
    "digits, blank": lambda: plots.digits(np.zeros((2, 20, 20))),
    "digits, all below zero": lambda: plots.digits(-np.ones((2, 20, 20))),
    "digits, bytes": lambda: plots.digits(np.full((1, 28, 28), 255, dtype=np.uint8)),
    "digits, truth values": lambda: plots.digits(np.eye(5, dtype=bool)[None]),
    "mistakes": lambda: plots.worst_mistakes(LETTER_L[None], answers([1], [0.9]), [2]),
    "no mistakes": lambda: plots.worst_mistakes(LETTER_L[None], answers([1], [0.9]), [1]),
    "hidden units": lambda: plots.hidden_units(np.random.default_rng(0).normal(size=(25, 400))),
    "hidden units, dead": lambda: plots.hidden_units(np.zeros((1, 4))),
    "curve": lambda: plots.learning_curve(HISTORY),
    "curve, one iteration": lambda: plots.learning_curve({"cost": [1.0], "accuracy": [0.5]}),
    "curve, flat": lambda: plots.learning_curve({"cost": [1.0] * 9, "validation_cost": [1.0] * 9}),
    "confusion": lambda: whole(plots.confusion_matrix(np.arange(90) % 10, np.arange(90) % 9)),
    "confusion, one class": lambda: whole(plots.confusion_matrix([0], [0], classes=1)),
    "bars": lambda: whole(plots.probability_bars(np.linspace(0, 1, 10, dtype="f4"), actual=3)),
    "readings": lambda: plots.readings(np.ones((3, 20, 20)), answers([1, 2, 3], [0.9] * 3), "abc"),
    "one reading": lambda: plots.readings(LETTER_L[None], [[0.2, 0.8]]),
}


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_can_be_saved(name: str) -> None:
    """Each draws without a warning, is no wider than a page, and has no letter below 8 points."""
    figure = PICTURES[name]()
    assert isinstance(figure, Figure)
    assert rendered(figure).size
    assert figure.get_figwidth() <= 8
    texts: Any = figure.findobj(lambda artist: hasattr(artist, "get_fontsize"))
    assert min((text.get_fontsize() for text in texts), default=8) >= 8


def test_given_axes_and_figures_are_drawn_on() -> None:
    """What the caller hands in is what comes back."""
    one, two = Figure().subplots(2)
    assert plots.confusion_matrix([0], [0], ax=one) is one
    assert plots.probability_bars([1.0], ax=two) is two
    figure = Figure()
    assert plots.hidden_units(np.ones((2, 4)), figure=figure) is figure
    figure = Figure()
    assert plots.learning_curve(HISTORY, figure=figure) is figure
    figure = Figure()
    assert plots.worst_mistakes(LETTER_L[None], answers([1], [1]), [0], figure=figure) is figure
    figure = Figure()
    assert plots.readings(LETTER_L[None], [[0.2, 0.8]], figure=figure) is figure


def test_pictures_leave_no_trace() -> None:
    """Importing needs no Matplotlib; drawing needs no pyplot, which would keep every figure."""
    program = (
        "import sys, autonn.plots as plots\n"
        "assert 'matplotlib' not in sys.modules\n"
        "plots.learning_curve({'cost': [2.0, 1.0]}).savefig(sys.stdout.buffer)\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.startswith(b"\x89PNG")


IMAGES = np.stack([LETTER_L] * 2)
CHANCES = answers([1, 2], [0.9, 0.8])

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
    "nothing to draw": (
        lambda: plots.learning_curve({"loss": [1.0], "cost": []}),
        r"learning_curve: got \['cost', 'loss'\] without a number to draw",
    ),
    "unequal histories": (
        lambda: plots.learning_curve({"cost": [2, 1], "accuracy": [0.5]}),
        r"learning_curve: got 2 cost, 1 accuracy, expected equally many",
    ),
    "a table of costs": (
        lambda: plots.learning_curve({"cost": np.ones((2, 2))}),
        r"learning_curve: cost has shape \(2, 2\), expected \(iterations,\)",
    ),
    "accuracy in percent": (
        lambda: plots.learning_curve({"accuracy": [9.0, 95.0]}),
        r"learning_curve: accuracy holds 9 to 95, expected numbers within \[0, 1\]",
    ),
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


def test_a_bare_list_is_no_history() -> None:
    """A list of costs gets told how a history looks."""
    with pytest.raises(TypeError, match=r'learning_curve: got a list.*\{"cost"'):
        plots.learning_curve([3.0, 2.0])  # type: ignore[arg-type]


def test_a_series_that_was_never_measured_is_left_out() -> None:
    history = {"cost": [2.0, 1.0], "accuracy": [np.nan, np.nan], "validation_accuracy": []}
    assert len(plots.learning_curve(history).axes) == 1
