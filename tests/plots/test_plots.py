"""A picture that shows the wrong thing is worse than none, so what was drawn is read back here."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from tools.pictures import (
    DRAWN,
    Array,
    network,
    penalised_loss,
    rendered,
    trained_once,
    unreadable,
    whole,
)
from tools.refusals import assert_refused

from autonn import (
    Dropout,
    Layer,
    MeanSquaredError,
    Module,
    ReLU,
    Sequential,
    Sigmoid,
    SoftmaxCrossEntropy,
    Tensor,
    fit,
    optim,
    plots,
)

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
    crowd: Any = plots.digits(np.stack([LETTER_L] * 10), ["seven"] * 10).axes[0].title
    assert alone.get_fontsize() > crowd.get_fontsize() >= 8


@pytest.mark.parametrize("columns", [None, 2, 30])
def test_digits_with_small_pictures_waste_no_room(columns: int | None) -> None:
    """However many stand in a row, they take most of its width."""
    figure = plots.digits(np.ones((30, 4, 4)), columns=columns)
    rendered(figure)
    row = figure.axes[: columns or plots.grid_shape(30)[1]]
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
    assert training.get_marker() != validation.get_marker()


def test_learning_curve_takes_what_fit_returns() -> None:
    """No unpacking is needed; what was not measured is left out."""
    model, X, y = Layer(2, 2, rng=0), np.eye(2), np.array([0, 1])
    history = fit(model, X, y, loss=SoftmaxCrossEntropy(), optimizer=optim.SGD(lr=1.0), epochs=3)
    cost, accuracy = plots.learning_curve(history).axes
    np.testing.assert_array_equal(cost.get_lines()[0].get_ydata(), history.cost)
    np.testing.assert_array_equal(accuracy.get_lines()[0].get_ydata(), history.accuracy)


@pytest.mark.parametrize("gap", [0.0, 0.01, 0.3, 3.0])
@pytest.mark.parametrize(("start", "end"), [(5.0, 0.0), (500.0, 0.1)])
def test_names_of_lines_that_end_together_stay_apart(gap: float, start: float, end: float) -> None:
    """The two names never overlap, whichever line ends higher, on both kinds of scales."""
    for first, second in ((end, end + gap), (end + gap, end)):
        figure = plots.learning_curve({"cost": [start, first], "validation_cost": [start, second]})
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


@pytest.mark.parametrize(
    ("costs", "scale"),
    [([7.0, 0.1], "linear"), ([7.0, 0.05], "log"), ([7.0, 0.0], "linear"), ([-7.0, 9], "linear")],
)
def test_a_cost_that_falls_far_is_drawn_by_its_ratios(costs: list[float], scale: str) -> None:
    """To less than a hundredth; 0 has no place there. Accuracies are never drawn so."""
    shares = [1e-4, 0.9]
    cost, accuracy = plots.learning_curve({"cost": costs, "accuracy": shares}).axes
    assert (cost.get_yscale(), accuracy.get_yscale()) == (scale, "linear")


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


class Sectors(Layer):
    """Gives each place the class of the direction, among so many, that is nearest to its own."""

    def __init__(self, classes: int) -> None:
        turns = 2 * np.pi * np.arange(classes) / classes
        super().__init__(2, classes, weight=np.stack([np.cos(turns), np.sin(turns)], axis=1))


def places(classes: int, count: int = 8) -> tuple[Array, Array]:
    """Return places around the middle, the same number for each class of `Sectors`."""
    turns = 2 * np.pi * (np.arange(classes * count) / count - 0.4) / classes
    return np.stack([np.cos(turns), np.sin(turns)], axis=1), np.repeat(np.arange(classes), count)


def pixels_at(ax: Axes, points: Array) -> Array:
    """Return the colours that a figure has at points given in the axes' own coordinates."""
    image = rendered(whole(ax))
    across, up = ax.transData.transform(points).astype(int).T
    return image[len(image) - 1 - up, across, :3]


@pytest.mark.parametrize("classes", [2, 3, 6])
def test_the_plane_has_the_colour_of_the_class_that_the_model_gives(classes: int) -> None:
    """At places drawn at random, but for those too near to a boundary or an example."""
    model, (X, y) = Sectors(classes), places(classes)
    ax = plots.decision_boundary(model, X, y, points=50)
    drawn = np.random.default_rng(0).uniform(-1.1, 1.1, (300, 2))
    leads = np.sort(model.predict(drawn), axis=1)
    apart = np.linalg.norm(drawn[:, None] - X, axis=2).min(axis=1)
    drawn = drawn[(leads[:, -1] - leads[:, -2] > 0.05) & (apart > 0.1)]
    colours, given = pixels_at(ax, drawn), model.predict(drawn).argmax(axis=1)
    tints = [np.unique(colours[given == k].round(2), axis=0) for k in range(classes)]
    assert [len(tint) for tint in tints] == [1] * classes
    lightness = [116 * np.cbrt(luminance(tint[0])) - 16 for tint in tints]  # L*, from 0 to 100
    assert np.diff(np.sort(lightness)).min() > 3  # they differ in grey print too


def test_examples_lie_in_the_area_of_their_class_with_its_colour() -> None:
    """A mark and a colour for each class; around it the same colour, but paler."""
    ax = plots.decision_boundary(Sectors(3), *places(3), points=50)
    marks = [line for line in ax.get_lines() if line.get_label() in list("012")]
    assert len({line.get_marker() for line in marks}) == 3
    for k, line in enumerate(marks):
        drawn = np.array(line.get_xydata())
        np.testing.assert_array_equal(drawn, places(3)[0][8 * k : 8 * k + 8])
        mark, area = 1 - np.array(to_rgb(line.get_color())), 1 - pixels_at(ax, drawn / 2)[3]
        share = area @ mark / (mark @ mark)
        np.testing.assert_allclose(area, share * mark, atol=0.01)
        assert 0.1 < share < 0.6


def test_examples_that_are_taken_for_another_class_are_ringed() -> None:
    """They keep the mark of their own class, and the legend says what the ring means."""
    X, y = places(3)
    y[[2, 20]] = 1
    ax = plots.decision_boundary(Sectors(3), X, y, points=50)
    ringed = [line for line in ax.get_lines() if line.get_markeredgecolor() == "black"]
    drawn = np.concatenate([np.array(line.get_xydata()) for line in ringed])
    np.testing.assert_array_equal(drawn, X[[2, 20]])
    own = next(line for line in ax.get_lines() if line.get_label() == "1")
    shapes = {line.get_marker() for line in ringed if np.size(line.get_xdata())}
    assert shapes == {own.get_marker()}
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["0", "1", "2", "wrong"]
    assert ax.get_title() == "22 of 24 right (91.7%)"


def test_a_boundary_reaches_beyond_the_examples() -> None:
    """All of them are well inside, also where they have all the same place."""
    for X in (places(2)[0], np.full((16, 2), 3.0)):
        ax = plots.decision_boundary(Sectors(2), X, places(2)[1], points=20)
        for limits, column in ((ax.get_xlim(), X[:, 0]), (ax.get_ylim(), X[:, 1])):
            assert limits[0] < column.min() <= column.max() < limits[1]


def test_a_boundary_is_drawn_in_evaluation_mode() -> None:
    """Dropout is silent, and the model stays as it was."""
    model = Sequential(Sectors(2), Dropout(0.5, rng=0))
    ax = plots.decision_boundary(model, *places(2), points=20)
    assert ax.get_title() == "16 of 16 right (100.0%)"
    assert model[1].training


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


def with_gradient(gradient: object) -> Layer:
    """Return a layer of one input with this gradient of its weights, and none of its bias."""
    values = np.array(gradient)
    layer = Layer(1, len(values), weight=np.ones(values.shape))
    layer.weight.grad = values
    return layer


class Residuals(Module):
    """Calls its parameter by a long name."""

    def __init__(self, layer: Layer) -> None:
        self.a_layer_within_a_block = layer


def drawn_row(ax: Axes, row: int) -> tuple[Array, Array, float]:
    """Read the ends, the quartiles and the median of a row off the gradient flow."""
    ends, quartiles, median = (
        x for x, y in (np.transpose(line.get_xydata()) for line in ax.get_lines()) if row in y
    )
    return ends, quartiles, float(median[0])


def margin_of(ax: Axes) -> list[str]:
    """Return the texts at the right of each row."""
    return [label.get_text() for label in ax.child_axes[0].get_yticklabels()]


def test_gradient_flow_shows_percentiles_in_order_of_layers() -> None:
    """A row for each parameter, the first layer on top, on a logarithmic axis that holds all."""
    model = trained_once(network())
    ax = plots.gradient_flow(model)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert (ax.get_xscale(), ax.get_ylim()) == ("log", (3.5, -0.5))
    for row, parameter in enumerate(model.parameters()):
        ends, quartiles, median = drawn_row(ax, row)
        sizes = np.abs(parameter.grad)
        np.testing.assert_allclose(ends, np.percentile(sizes, (5, 95)))
        np.testing.assert_allclose(quartiles, np.percentile(sizes, (25, 75)))
        assert median == np.median(sizes)
        low, high = ax.get_xlim()
        assert low < ends[0] < ends[1] < high


def test_gradient_flow_tells_weights_from_biases_without_colour() -> None:
    """Their markers differ, as do their colours."""
    ax = plots.gradient_flow(trained_once(network()))
    medians = [line for line in ax.get_lines() if len(np.asarray(line.get_xdata())) == 1]
    assert [line.get_marker() for line in medians] == ["o", "s", "o", "s"]
    colors = [to_hex(line.get_markeredgecolor()) for line in medians]
    assert colors[0] == colors[2] != colors[1] == colors[3]


def test_gradient_flow_gives_the_relative_size() -> None:
    """The ratio of the norms; of a parameter that is 0, that there is none."""
    model = trained_once(network())
    norm = np.linalg.norm
    ratios = [f"{norm(p.grad) / norm(p.data):.2g}" for p in (model[0].weight, model[2].weight)]
    first, second = ratios
    margin = margin_of(plots.gradient_flow(model))
    assert margin == [first, "parameter 0", second, "parameter 0"]


@pytest.mark.parametrize(
    ("gradient", "remark"),
    [
        ([[0.0], [0.0]], "0, 100% zero"),
        ([[0.0], [2.0]], "1.4, 50% zero"),
        ([[np.nan], [2.0]], "NaN or inf in 1 of 2"),
        ([[np.inf], [-np.inf]], "NaN or inf in 2 of 2"),
        ([[3e200], [4e200]], "3.5e+200"),
    ],
)
def test_gradient_flow_says_what_no_logarithm_shows(gradient: object, remark: str) -> None:
    """Zeros, NaN and missing gradients are told in words."""
    assert margin_of(plots.gradient_flow(with_gradient(gradient))) == [remark, "no gradient"]


def test_gradient_flow_leaves_zeros_out_of_the_percentiles() -> None:
    """What a dead unit leaves at 0 does not pull the others down."""
    ends, _, median = drawn_row(plots.gradient_flow(with_gradient([[0.0], [0.0], [-0.5]])), 0)
    assert (ends.tolist(), median) == ([0.5, 0.5], 0.5)


def test_gradient_flow_cuts_a_tail_of_tiny_gradients() -> None:
    """Between the ends of the axis is what the quartiles tell, and three powers of ten below."""
    gradient = np.repeat([1e-30, 1e-3, 1e-1], [10, 60, 30])[:, None]
    ax = plots.gradient_flow(with_gradient(gradient))
    assert drawn_row(ax, 0)[0][0] == pytest.approx(1e-30)
    np.testing.assert_allclose(ax.get_xlim(), [1e-7, 1])


def test_gradient_flow_reads_gradients_that_are_tensors() -> None:
    """After create_graph=True they are, and look the same."""
    first, second = network(), network()
    penalised_loss(first).backward()
    penalised_loss(second).backward(create_graph=True)
    texts = [margin_of(plots.gradient_flow(model)) for model in (first, second)]
    assert texts[0] == texts[1]


Problem = tuple[Layer, MeanSquaredError, Array, Array]


def quadratic() -> Problem:
    """Return a layer without error on its data, which are such that J = |dw|^2 + db^2."""
    layer = Layer(2, 1, weight=[[1.0, 2.0]], bias=[3.0])
    X = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    return layer, MeanSquaredError(), X, layer.predict(X)


def flat(slope: float = 0.0) -> tuple[Layer, Callable[[Tensor, Any], Tensor], Array, Array]:
    """Return a loss that is 2 everywhere, or nearly so."""
    return Layer(2, 1, rng=0), lambda z, y: np.sum(z * slope) + 2.0, np.eye(2), np.zeros(2)


ONE_WAY = [np.array([[0.6, 0.8]]), np.array([0.0])]
OTHER_WAY = [np.zeros((1, 2)), np.array([2.0])]


def test_a_slice_is_the_loss_along_the_direction() -> None:
    """Along a unit vector of the parabola: the squares of the steps."""
    ax = plots.loss_surface(*quadratic(), directions=[ONE_WAY], span=2.0, points=5)
    curve, here = ax.get_lines()
    np.testing.assert_allclose(
        np.array(curve.get_xydata()), [[a, a * a] for a in (-2, -1, 0, 1, 2)]
    )
    np.testing.assert_array_equal(here.get_xydata(), [[0, 0]])
    assert [text.get_text() for text in ax.texts] == ["here 0"]


def test_a_map_has_each_direction_on_its_axis() -> None:
    """Of a loss that is linear, each line of the map lies where the formula says."""
    layer, X = Layer(2, 1, weight=[[1.0, 2.0]], bias=[3.0]), np.array([[1.0, 1.0]])
    model: Any = (layer, lambda z, y: np.sum(z), X, X)
    ax = plots.loss_surface(*model, directions=[ONE_WAY, OTHER_WAY], points=4)
    areas, lines = ax.collections[:2]
    assert (ax.get_xlim(), ax.get_ylim()) == ((-1, 1), (-1, 1))
    for level, path in zip(lines.levels, lines.get_paths(), strict=True):  # type: ignore[attr-defined]
        a, b = np.transpose(path.vertices)
        np.testing.assert_allclose(6 + 1.4 * a + 2 * b, level)
    ends = areas.levels[[0, -1]]  # type: ignore[attr-defined]
    np.testing.assert_allclose(ends, [6 - 3.4, 6 + 3.4])
    assert [text.get_text() for text in ax.texts] == ["here 6"]


def seen_by_the_loss(model: Sequential, **options: Any) -> list[list[Array]]:
    """Return the parameters at every point of a slice, the first without a step."""
    seen = []

    def loss(z: Tensor, y: Any) -> Tensor:
        assert not z.requires_grad
        assert not any(module.training for _, module in model.named_modules())
        seen.append([parameter.numpy() for parameter in model.parameters()])
        return np.sum(z)

    plots.loss_surface(model, loss, np.ones((1, 6)), np.ones(1), **options)
    return seen


def test_random_directions_are_normalised_by_filter() -> None:
    """At step 1 each unit's weights moved by their own norm; biases stay where they are."""
    model = network()
    model[0].bias.data = np.ones(4)
    start, *_, end = seen_by_the_loss(model, directions=1, rng=3, points=2)
    for k, (before, after) in enumerate(zip(start, end, strict=True)):
        moved = np.atleast_2d(after - before)
        expected = np.linalg.norm(before, axis=1) if k % 2 == 0 else 0.0
        np.testing.assert_allclose(np.linalg.norm(moved, axis=1), expected)


def test_random_directions_come_from_the_seed() -> None:
    """The same seed gives the same picture, another one another, and two directions differ."""
    seeds = (5, 5, np.random.default_rng(5), 6)
    one, *same, other = (seen_by_the_loss(network(), rng=seed, points=2) for seed in seeds)
    for again in same:
        np.testing.assert_array_equal(one[1][0], again[1][0])
    assert not np.allclose(one[1][0], other[1][0])
    corner, along_second, along_first = (one[k][0] for k in (1, 2, 3))
    assert not np.allclose(along_first - corner, along_second - corner)


def test_a_weight_vector_is_one_filter() -> None:
    """The role decides, not the shape: a vector that is no bias moves by its own norm."""

    class Scale(Module):
        def __init__(self) -> None:
            self.factor = Tensor([3.0, 4.0], requires_grad=True)

        def forward(self, x: Any) -> Any:
            return self.factor * x

    steps = []
    model = Scale()

    def loss(z: Tensor, y: Any) -> Tensor:
        steps.append(model.factor.numpy() - [3.0, 4.0])
        return np.sum(z)

    plots.loss_surface(model, loss, np.ones(2), np.ones(2), directions=1, rng=0, points=2)
    np.testing.assert_allclose(np.linalg.norm(steps, axis=1), [0, 5, 5])


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_comes_back_as_it_was(fails: bool) -> None:
    """Arrays, gradients, modes and a graph that waits for backward, also after an exception."""
    model = Sequential(Layer(6, 4, rng=0), ReLU(), Dropout(0.5, rng=0), Layer(4, 3, rng=1))
    model[2].eval()
    X, y = np.random.default_rng(2).normal(size=(2, 6)), np.array([0, 1])
    waiting = SoftmaxCrossEntropy()(model(X), y)
    arrays = [parameter._data for parameter in model.parameters()]
    modes = [module.training for _, module in model.named_modules()]
    calls = itertools.count()

    def loss(z: Tensor, y: Any) -> Tensor:
        if fails and next(calls) == 7:
            raise ZeroDivisionError("the loss failed")
        return SoftmaxCrossEntropy()(z, y)

    if fails:
        with pytest.raises(ZeroDivisionError):
            plots.loss_surface(model, loss, X, y, rng=0, points=5)
    else:
        plots.loss_surface(model, loss, X, y, rng=0, points=5)
    assert all(p._data is array for p, array in zip(model.parameters(), arrays, strict=True))
    assert [module.training for _, module in model.named_modules()] == modes
    assert all(parameter.grad is None for parameter in model.parameters())
    again = Sequential(Layer(6, 4, rng=0), ReLU(), Dropout(0.5, rng=0), Layer(4, 3, rng=1))
    again[2].eval()
    SoftmaxCrossEntropy()(again(X), y).backward()
    waiting.backward()
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        np.testing.assert_array_equal(one.grad, other.grad)


def test_a_surface_in_float32_stays_there() -> None:
    """The loss sees parameters of the dtype they have."""
    model = Sequential(Layer(6, 4, rng=0, dtype=np.float32))
    seen = seen_by_the_loss(model, rng=0, points=3)
    assert {array.dtype for arrays in seen for array in arrays} == {np.dtype(np.float32)}


def test_a_surface_is_blank_where_the_loss_is_not_finite() -> None:
    """An overflow far out neither warns nor hides the rest."""
    layer, X = Layer(2, 1, weight=[[1.0, 2.0]], bias=[3.0]), np.array([[0.6, 0.8]])
    model: Any = (layer, lambda z, y: np.sum(np.exp(z * 130.0)), X, X)
    ax = plots.loss_surface(*model, directions=[ONE_WAY], points=3)
    drawn = np.asarray(ax.get_lines()[0].get_ydata())
    np.testing.assert_allclose(drawn, [np.exp(130 * 4.2), np.exp(130 * 5.2), np.nan])
    logs: Any = (layer, lambda z, y: np.sum(np.log(z - 5.2)), X, X)  # of -1, 0 and 1
    drawn = np.asarray(
        plots.loss_surface(*logs, directions=[ONE_WAY], points=3).lines[0].get_ydata()
    )
    np.testing.assert_allclose(drawn, [np.nan, np.nan, 0], atol=1e-12)
    with pytest.raises(ValueError, match="no loss on the slice is finite"):
        plots.loss_surface(layer, lambda z, y: Tensor(np.nan), X, X, rng=0, points=3)


def test_levels_follow_ratios_where_a_surface_is_steep() -> None:
    """From 1 to 10,000 each level is the same multiple of the one before; from 0, equal steps."""
    X = np.ones((1, 2))
    for loss, same in ((lambda z: np.exp(z * 6.0), np.log), (lambda z: z + 9.0, np.asarray)):
        model: Any = (Layer(2, 1, weight=[[0.0, 0.0]]), lambda z, y, f=loss: np.sum(f(z)), X, X)
        ways = [[np.array([[1.0, 0.0]]), np.zeros(1)], [np.array([[0.0, 1.0]]), np.zeros(1)]]
        ax = plots.loss_surface(*model, directions=ways, points=3)
        levels = same(ax.collections[0].levels)  # type: ignore[attr-defined]
        np.testing.assert_allclose(np.diff(levels), np.diff(levels)[0])


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
    "mistakes": lambda: plots.worst_mistakes(LETTER_L[None], answers([1], [0.9]), [2]),
    "mistakes of many classes": lambda: plots.worst_mistakes(
        np.ones((25, 2, 2)), np.eye(25, 300), 100 + np.arange(25)
    ),
    "no mistakes": lambda: plots.worst_mistakes(LETTER_L[None], answers([1], [0.9]), [1]),
    "hidden units": lambda: plots.hidden_units(np.random.default_rng(0).normal(size=(25, 400))),
    "hidden units, dead": lambda: plots.hidden_units(np.zeros((1, 4))),
    "curve": lambda: plots.learning_curve(HISTORY),
    "curve, one iteration": lambda: plots.learning_curve({"cost": [1.0], "accuracy": [0.5]}),
    "curve, flat": lambda: plots.learning_curve({"cost": [1.0] * 9, "validation_cost": [1.0] * 9}),
    "confusion": lambda: whole(plots.confusion_matrix(np.arange(90) % 10, np.arange(90) % 9)),
    "confusion, one class": lambda: whole(plots.confusion_matrix([0], [0], classes=1)),
    "confusion, many classes": lambda: whole(
        plots.confusion_matrix(np.arange(48_000) % 24, np.arange(48_000) // 2 % 24, classes=24)
    ),
    "bars": lambda: whole(plots.probability_bars(np.linspace(0, 1, 10, dtype="f4"), actual=3)),
    "bars, one sure": lambda: whole(plots.probability_bars([0.0, 1.0], actual=1)),
    "boundary": lambda: whole(plots.decision_boundary(Sectors(3), places(3)[0], places(3)[1] % 2)),
    "boundary, six classes": lambda: whole(plots.decision_boundary(Sectors(6), *places(6))),
    "boundary, one class": lambda: whole(
        plots.decision_boundary(Layer(2, 2, weight=np.zeros((2, 2)), bias=[0, 1]), [[0, 1]], [1])
    ),
    "boundary, undecided": lambda: whole(
        plots.decision_boundary(Layer(2, 2, weight=np.zeros((2, 2))), [[0, 1]], [1])
    ),
    "flow": lambda: whole(plots.gradient_flow(trained_once(network()))),
    "flow, long names": lambda: whole(
        plots.gradient_flow(Residuals(with_gradient(np.logspace(-15, 0)[:, None])))
    ),
    "flow, nothing to draw": lambda: whole(plots.gradient_flow(with_gradient([[0.0], [np.nan]]))),
    "surface": lambda: whole(plots.loss_surface(*quadratic(), rng=0)),
    "surface, flat": lambda: whole(plots.loss_surface(*flat(), rng=0, points=9)),
    "slice": lambda: whole(plots.loss_surface(*quadratic(), directions=1, rng=0)),
    "surface, flat but for rounding": lambda: whole(
        plots.loss_surface(*flat(1e-16), rng=0, points=9)
    ),
    "slice, flat": lambda: whole(plots.loss_surface(*flat(), directions=1, rng=0)),
    "readings": lambda: plots.readings(np.ones((2, 20, 20)), answers([1, 2], [0.9] * 2), "ab"),
    "readings of long names": lambda: plots.readings(
        np.ones((2, 20, 20)), answers([1, 2], [0.9] * 2), [k * "holiday_" + ".jpg" for k in (4, 9)]
    ),
    "one reading": lambda: plots.readings(LETTER_L[None], [[0.2, 0.8]]),
}

# Many classes need more width than a page has: they are for the screen.
WIDE = ["confusion, many classes"]


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_can_be_drawn_and_read(name: str) -> None:
    """Without a warning, no wider than a page, its texts neither small nor on one another.

    Measured on what is drawn: titles, ticks, labels, numbers in cells and boxes.
    """
    figure = PICTURES[name]()
    assert isinstance(figure, Figure)
    assert figure.get_figwidth() <= 8 or name in WIDE
    assert unreadable(figure) == []


def test_a_collision_a_clipped_and_a_small_text_are_seen() -> None:
    """The check above fails where it must."""
    figure = Figure()
    for x in (0.50, 0.51, 0.99):
        figure.text(x, 0.5, "some words")
    figure.text(0.1, 0.1, "whispered", fontsize=7)
    assert unreadable(figure) == [
        "whispered is small",
        "some words is clipped",
        "some words on some words",
    ]


def test_given_axes_and_figures_are_drawn_on() -> None:
    """What the caller hands in is what comes back."""
    one, two = Figure().subplots(2)
    assert plots.confusion_matrix([0], [0], ax=one) is one
    assert plots.probability_bars([1.0], ax=two) is two
    boundary = Figure().subplots()
    assert plots.decision_boundary(Sectors(2), *places(2), points=5, ax=boundary) is boundary
    flow, surface = Figure().subplots(2)
    assert plots.gradient_flow(trained_once(network()), ax=flow) is flow
    assert plots.loss_surface(*quadratic(), rng=0, points=3, ax=surface) is surface
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
    "places in space": (
        lambda: plots.decision_boundary(Sectors(2), np.ones((2, 3)), [0, 1]),
        r"decision_boundary: X has shape \(2, 3\), expected \(n, 2\)",
    ),
    "one place": (
        lambda: plots.decision_boundary(Sectors(2), [1.0, 2.0], [0, 1]),
        r"decision_boundary: X has shape \(2,\), expected \(n, 2\), not empty",
    ),
    "a class that the model doesn't know": (
        lambda: plots.decision_boundary(Sectors(2), np.ones((2, 2)), [0, 2]),
        r"decision_boundary: y holds 0 to 2, expected classes from 0 to 1",
    ),
    "fewer classes than places": (
        lambda: plots.decision_boundary(Sectors(2), np.ones((2, 2)), [0]),
        r"decision_boundary: got 2 X, 1 y, expected equally many",
    ),
    "a boundary of one number": (
        lambda: plots.decision_boundary(Layer(2, 1), np.ones((3, 2)), [0, 1, 0]),
        r"the model's output has shape \(3, 1\), expected \(n, 2\) to \(n, 6\): a number for each",
    ),
    "a boundary of many classes": (
        lambda: plots.decision_boundary(Sectors(7), np.ones((3, 2)), [0, 1, 0]),
        r"decision_boundary: the model's output has shape \(3, 7\)",
    ),
    "a boundary of NaN": (
        lambda: plots.decision_boundary(Layer(2, 2, bias=[0, np.nan]), np.ones((1, 2)), [0]),
        r"decision_boundary: the model's output .*finite",
    ),
    "a boundary on one point": (
        lambda: plots.decision_boundary(Sectors(2), np.ones((1, 2)), [0], points=1),
        r"decision_boundary: got points=1, expected at least 2",
    ),
    "bars of a table": (
        lambda: plots.probability_bars(CHANCES),
        r"probability_bars: probabilities has shape \(2, 10\), expected \(classes,\)",
    ),
    "bars of logits": (
        lambda: plots.probability_bars([-3.0, 4.0]),
        r"probability_bars: probabilities holds -3 to 4",
    ),
    "no parameters": (
        lambda: plots.gradient_flow(Sigmoid()),
        r"gradient_flow: Sigmoid\(\) has no parameters, expected at least one",
    ),
    "a surface without parameters": (
        lambda: plots.loss_surface(Sigmoid(), *flat()[1:]),
        r"loss_surface: Sigmoid\(\) has no parameters",
    ),
    "one point": (
        lambda: plots.loss_surface(*flat(), points=1),
        r"loss_surface: got points=1, expected at least 2",
    ),
    "no span": (lambda: plots.loss_surface(*flat(), span=0.0), r"loss_surface: got span=0.0"),
    "an endless span": (lambda: plots.loss_surface(*flat(), span=np.inf), r"got span=inf"),
    "no number as span": (lambda: plots.loss_surface(*flat(), span=np.nan), r"got span=nan"),
    "three random directions": (
        lambda: plots.loss_surface(*flat(), directions=3),
        r"loss_surface: got 3 directions, expected one or two",
    ),
    "no given directions": (
        lambda: plots.loss_surface(*flat(), directions=[]),
        r"loss_surface: got 0 directions, expected one or two",
    ),
    "a direction of other shapes": (
        lambda: plots.loss_surface(*flat(), directions=[[np.ones((2, 1)), np.ones(1)]]),
        r"direction of shapes \[\(2, 1\), \(1,\)\], expected \[\(1, 2\), \(1,\)\].*weight, bias",
    ),
    "a direction of zeros": (
        lambda: plots.loss_surface(*flat(), directions=[ONE_WAY, [np.zeros((1, 2)), [0.0]]]),
        r"loss_surface: direction 2 has norms \[0.0, 0.0\], expected finite ones, not all 0",
    ),
    "a direction of NaN": (
        lambda: plots.loss_surface(*flat(), directions=[[np.ones((1, 2)), [np.nan]]]),
        r"loss_surface: direction 1 has norms \[1.4\d*, nan\], expected finite",
    ),
    "weights of zeros": (
        lambda: plots.loss_surface(Layer(2, 1, weight=[[0.0, 0.0]]), *flat()[1:]),
        r"loss_surface: direction 1 .* initialise them first",
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


WRONG_STATES: dict[str, tuple[Callable[[], object], type[Exception], list[str]]] = {
    "gradients of no module": (
        lambda: plots.gradient_flow([Tensor(1.0)]),  # type: ignore[arg-type]
        TypeError,
        ["gradient_flow: got a list, expected a Module"],
    ),
    "gradients before backward": (
        lambda: plots.gradient_flow(network()),
        RuntimeError,
        ["gradient_flow", "no parameter has a gradient", "0.weight", "loss.backward() first"],
    ),
    "a surface of no module": (
        lambda: plots.loss_surface(np.tanh, *flat()[1:]),  # type: ignore[arg-type]
        TypeError,
        ["loss_surface: got a ufunc, expected a Module"],
    ),
    "the boundary of no module": (
        lambda: plots.decision_boundary(np.tanh, np.ones((1, 2)), [0]),  # type: ignore[arg-type]
        TypeError,
        ["decision_boundary: got a ufunc, expected a Module"],
    ),
}


@pytest.mark.parametrize("name", WRONG_STATES)
def test_wrong_kinds_and_states_are_refused(name: str) -> None:
    """Each is told what came and the cure."""
    assert_refused(*WRONG_STATES[name])


def test_a_bare_list_is_no_history() -> None:
    """A list of costs gets told how a history looks."""
    with pytest.raises(TypeError, match=r'learning_curve: got a list.*\{"cost"'):
        plots.learning_curve([3.0, 2.0])  # type: ignore[arg-type]


def test_a_series_that_was_never_measured_is_left_out() -> None:
    history = {"cost": [2.0, 1.0], "accuracy": [np.nan, np.nan], "validation_accuracy": []}
    assert len(plots.learning_curve(history).axes) == 1
