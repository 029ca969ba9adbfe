"""The plane of a decision boundary is read back: its colours, marks and rings."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from tools.pictures import Array, assert_readable, luminance, rendered, whole
from tools.refusals import assert_refused

from autonn import Dropout, Layer, Sequential, plots


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


def test_given_axes_are_drawn_on() -> None:
    """What the caller hands in is what comes back."""
    ax = Figure().subplots()
    assert plots.decision_boundary(Sectors(2), *places(2), points=5, ax=ax) is ax


PICTURES: dict[str, Callable[[], Figure]] = {
    "boundary": lambda: whole(plots.decision_boundary(Sectors(3), places(3)[0], places(3)[1] % 2)),
    "boundary, six classes": lambda: whole(plots.decision_boundary(Sectors(6), *places(6))),
    "boundary, one class": lambda: whole(
        plots.decision_boundary(Layer(2, 2, weight=np.zeros((2, 2)), bias=[0, 1]), [[0, 1]], [1])
    ),
    "boundary, undecided": lambda: whole(
        plots.decision_boundary(Layer(2, 2, weight=np.zeros((2, 2))), [[0, 1]], [1])
    ),
}


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_can_be_drawn_and_read(name: str) -> None:
    assert_readable(PICTURES[name]())


BAD_CALLS: dict[str, tuple[Callable[[], object], str]] = {
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
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_calls_say_what_came_and_what_was_expected(name: str) -> None:
    """Each names the function, the argument, what it was given and what it needs."""
    call, message = BAD_CALLS[name]
    with pytest.raises(ValueError, match=message):
        call()


WRONG_STATES: dict[str, tuple[Callable[[], object], type[Exception], list[str]]] = {
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
