"""A learning curve is read back: each line, its name and its scale."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure
from tools.pairs import combinations
from tools.pictures import assert_readable

from autonn import Layer, SoftmaxCrossEntropy, fit, optim, plots

HISTORY = {
    "cost": [7.0, 3.0, 1.0, 0.5],
    "validation_cost": [7.1, 3.2, 1.4, 0.9],
    "accuracy": [0.1, 0.5, 0.8, 0.95],
    "validation_accuracy": [0.1, 0.4, 0.7, 0.9],
}


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


def test_the_labels_of_both_panels_stand_below_one_another() -> None:
    """However wide the numbers at their axes are."""
    figure = plots.learning_curve(HISTORY)
    figure.draw_without_rendering()
    cost, accuracy = (ax.yaxis.label.get_window_extent() for ax in figure.axes)
    assert cost.x1 == pytest.approx(accuracy.x1)


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


@pytest.mark.parametrize(
    ("gap", "ends", "higher"),
    combinations([0.0, 0.01, 0.3, 3.0], [(5.0, 0.0), (500.0, 0.1)], [0, 1]),
)
def test_names_of_lines_that_end_together_stay_apart(
    gap: float, ends: tuple[float, float], higher: int
) -> None:
    """The two names never overlap, whichever line ends higher, on both kinds of scales."""
    start, end = ends
    first, second = (end + gap * (line == higher) for line in range(2))
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


def test_a_bare_list_is_no_history() -> None:
    """A list of costs gets told how a history looks."""
    with pytest.raises(TypeError, match=r'learning_curve: got a list.*\{"cost"'):
        plots.learning_curve([3.0, 2.0])  # type: ignore[arg-type]


def test_a_series_that_was_never_measured_is_left_out() -> None:
    history = {"cost": [2.0, 1.0], "accuracy": [np.nan, np.nan], "validation_accuracy": []}
    assert len(plots.learning_curve(history).axes) == 1


def test_a_given_figure_is_drawn_on() -> None:
    """What the caller hands in is what comes back."""
    figure = Figure()
    assert plots.learning_curve(HISTORY, figure=figure) is figure


PICTURES: dict[str, Callable[[], Figure]] = {
    "curve": lambda: plots.learning_curve(HISTORY),
    "curve, one iteration": lambda: plots.learning_curve({"cost": [1.0], "accuracy": [0.5]}),
    "curve, flat": lambda: plots.learning_curve({"cost": [1.0] * 9, "validation_cost": [1.0] * 9}),
}


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_can_be_drawn_and_read(name: str) -> None:
    assert_readable(PICTURES[name]())


BAD_CALLS: dict[str, tuple[Callable[[], object], str]] = {
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
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_calls_say_what_came_and_what_was_expected(name: str) -> None:
    """Each names the function, the argument, what it was given and what it needs."""
    call, message = BAD_CALLS[name]
    with pytest.raises(ValueError, match=message):
        call()
