"""The diagram of a computation graph is read back: boxes, arrows, letters, and where they stand."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.text import Text
from tools.pictures import (
    DRAWN,
    Array,
    contains,
    network,
    penalised_loss,
    trained_once,
    unreadable,
    whole,
)
from tools.refusals import assert_refused

from autonn import Layer, Sequential, Tanh, Tensor, checkpoint, no_grad, op, plots


def chain(length: int) -> Any:
    """Return the result of so many ops in a row."""
    value: Any = Tensor(0.5, requires_grad=True)
    for _ in range(length):
        value = np.sin(value)
    return value


def deep(layers: int) -> Any:
    """Return a loss behind so many layers, each with its weight and bias."""
    model = Sequential(*(part for _ in range(layers) for part in (Layer(9, 9, rng=0), Tanh())))
    return np.sum(model(np.ones((5, 9))))


def with_dollars() -> tuple[Tensor, dict[str, Tensor]]:
    """Return a loss of something whose name looks like a formula in TeX."""
    price = Tensor(2.0, requires_grad=True)
    return price * price, {"$p_$ in cents": price}


Edge = tuple[str, str, str]


def frames_of(ax: Axes) -> list[FancyBboxPatch]:
    """Return the boxes of a graph."""
    return [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]


def arrows_of(ax: Axes) -> list[Array]:
    """Return the way of each arrow, from its start to its tip, as points close to each other."""
    shafts = [p.get_path() for p in ax.patches if isinstance(p, FancyArrowPatch)]
    polygons: list[Any] = [shaft.to_polygons(closed_only=False)[0] for shaft in shafts]
    return [np.asarray(polygon) for polygon in polygons]


def holds(frame: FancyBboxPatch, points: Array, rim: float) -> bool:
    """Whether a point, or any of some points, is in a box, or at most so far outside."""
    low = np.array([frame.get_x(), frame.get_y()]) - rim
    high = low + [frame.get_width(), frame.get_height()] + 2 * rim
    return bool(((low <= points) & (points <= high)).all(axis=-1).any())


def read_graph(ax: Axes) -> tuple[dict[str, str], list[Edge]]:
    """Read back what each box says, and which arrows go from where to where, with their letters.

    Everything is found by its place: texts in boxes, the ends of arrows at boxes.
    """
    frames = frames_of(ax)
    inside: dict[int, list[Text]] = {k: [] for k in range(len(frames))}
    for text in ax.texts:
        inside[box_at(frames, np.array(text.get_position()))].append(text)
    titles, bodies = {}, {}
    for k, texts in inside.items():
        (titles[k],) = [text.get_text() for text in texts if text.get_fontweight() == "bold"]
        bodies[titles[k]] = max((text.get_text() for text in texts), key=len)
    edges = []
    for way in arrows_of(ax):
        source, target = box_at(frames, way[0]), box_at(frames, way[-1])
        at = [t for t in inside[target] if abs(t.get_position()[0] - way[-1, 0]) < 2]
        letters = [t.get_text() for t in at if len(t.get_text()) == 1]
        edges.append((titles[source], "".join(letters), titles[target]))
    return bodies, sorted(edges)


def box_at(frames: list[FancyBboxPatch], point: Array) -> int:
    """Return which box is there, or at most the half of an arrow's head away."""
    (found,) = [k for k, frame in enumerate(frames) if holds(frame, point, rim=3)]
    return found


def test_a_graph_is_drawn_with_values_and_gradients() -> None:
    """Boxes, arrows and letters of L = (w^2 - b) / e^b + 1, w = 3, b = 2, checked by hand."""
    w, b = Tensor(3.0, requires_grad=True), Tensor(2.0, requires_grad=True)
    e = np.exp(b)
    bodies, edges = read_graph(plots.computation_graph((w**2 - b) / e + 1, {"w": w, "b": b}))
    assert bodies == {
        "w": "value 3\ngradient 0.812",
        "b": "value 2\ngradient -1.083",
        "power": "z = x^y\ny = 2\nvalue 9\ngradient 0.1353",
        "exp": "z = e^x\nvalue 7.389\ngradient -0.1282",
        "subtract": "z = x - y\nvalue 7\ngradient 0.1353",
        "divide": "z = x / y\nvalue 0.9473\ngradient 1",
        "add": "z = x + y\ny = 1\nvalue 1.947\ngradient 1",
    }
    assert edges == [
        ("b", "", "exp"),
        ("b", "y", "subtract"),
        ("divide", "", "add"),
        ("exp", "y", "divide"),
        ("power", "x", "subtract"),
        ("subtract", "x", "divide"),
        ("w", "", "power"),
    ]


def test_letters_go_with_their_arrows_where_these_change_sides() -> None:
    """One of the quotients has its divisor on the left."""
    s, t = np.sin(chain(0)), np.cos(chain(0))
    loss = np.tanh(s / t) - np.exp(t / s)
    names = {"s": s, "t": t, "u": loss}
    _, edges = read_graph(plots.computation_graph(loss, names))
    into = [(source, letter) for source, letter, target in edges if target == "divide"]
    assert into == [("s: sin", "x"), ("s: sin", "y"), ("t: cos", "x"), ("t: cos", "y")]


def test_a_value_used_twice_gets_two_arrows() -> None:
    """And the sum of both gradients."""
    bodies, edges = read_graph(plots.computation_graph(*with_dollars()))
    assert edges == [("$p_$ in cents", "x", "multiply"), ("$p_$ in cents", "y", "multiply")]
    assert bodies["$p_$ in cents"] == "value 2\ngradient 4"


def test_a_network_is_drawn_with_its_names() -> None:
    """Large values by shape and norm; matrices are called as in their formula; X by its name."""
    layer, X = Layer(6, 4, rng=0), np.random.default_rng(1).normal(size=(5, 6))
    loss = np.sum(np.square(layer(X)))
    bodies, edges = read_graph(
        plots.computation_graph(loss, {**dict(layer.named_parameters()), "X": X, "J": loss})
    )
    loss.backward()
    norm = np.linalg.norm
    assert bodies["X"] == f"value 5 x 6, norm {norm(X):.3g}"
    assert bodies["weight"] == (
        f"value 4 x 6, norm {norm(layer.weight.data):.3g}\n"
        f"gradient norm {norm(layer.weight.grad):.3g}"
    )
    zeros = " ".join(["0."] * 4)
    gradient = " ".join(np.array2string(layer.bias.grad, precision=3).split())
    assert bodies["bias"] == f"value [{zeros}]\ngradient {gradient}"
    assert [edge for edge in edges if edge[2] == "affine"] == [
        ("X", "X", "affine"),
        ("bias", "b", "affine"),
        ("weight", "W", "affine"),
    ]
    assert bodies["J: sum"].startswith("z = sum of x over axis\nvalue ")


def test_a_module_gives_the_names_and_others_are_told_by_kind() -> None:
    """What has no name is a leaf or a constant."""
    other = Tensor([1.0, 2.0], requires_grad=True)
    layer = Layer(2, 2, rng=0)
    loss: Any = np.sum(layer(np.eye(2)) * other)
    assert set(read_graph(plots.computation_graph(loss, layer))[0]) == {
        *("weight", "bias", "affine", "constant", "leaf", "multiply", "sum")
    }


def test_options_and_constants_are_written() -> None:
    """Axes, indices, numbers, masks and lists of operands each find their place."""
    x = Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    mask = np.array([True, False])
    kept = np.where(mask, x[:, 1:], 0.25)
    joined = np.concatenate([kept, x[:, :1]], axis=1)
    loss = np.sum(np.sum(np.clip(joined, None, 2.0), axis=0) / np.float64(4))
    names = {"x": x, "mask": mask, "left": kept}
    bodies, edges = read_graph(plots.computation_graph(loss, names, limit=20))
    assert "key = :, 1:" in bodies["getitem"] or "key = :, :1" in bodies["getitem"]
    assert "y = 0.25" in bodies["left: where"].splitlines()
    assert bodies["mask"] == "value [ True False]"
    assert ("mask", "c", "left: where") in edges
    assert "axis = 1" in bodies["concatenate"].splitlines()
    assert {letter for _, letter, target in edges if target == "concatenate"} == {"0", "1"}
    assert "high = 2" in bodies["clip"].splitlines()
    assert "y = 4" in bodies["divide"].splitlines()


def test_ops_of_ones_own_and_checkpoints_are_drawn() -> None:
    """With the formula declared, and the letters of the rules."""

    @op(lambda g, z, u, v: g * v, lambda g, z, u, v: g * u, formula="z = u v, by hand")
    def product(u: Any, v: Any) -> Any:
        return u * v

    a, b = Tensor(2.0, requires_grad=True), Tensor(5.0, requires_grad=True)
    loss = checkpoint(np.exp)(product(a, b))
    bodies, edges = read_graph(plots.computation_graph(loss, {"a": a, "b": b}))
    assert bodies["product"].splitlines()[:2] == ["z = u v, by hand", "value 10"]
    assert bodies["a"] == "value 2\ngradient 1.101e+05"
    assert edges == [("a", "u", "product"), ("b", "v", "product"), ("product", "", "checkpoint")]


def test_drawing_a_graph_changes_nothing() -> None:
    """No gradient is left behind, and the graph can still be used, even drawn again after."""
    model = network()
    loss = penalised_loss(model)
    first = read_graph(plots.computation_graph(loss, model))
    assert all(parameter.grad is None for parameter in model.parameters())
    loss.backward(retain_graph=True)
    assert read_graph(plots.computation_graph(loss, model)) == first
    expected = trained_once(network())
    for one, other in zip(model.parameters(), expected.parameters(), strict=True):
        np.testing.assert_array_equal(one.grad, other.grad)


def test_a_graph_shows_what_the_ops_saw() -> None:
    """A leaf that got new data since is drawn with the value that the gradient belongs to."""
    w = Tensor(3.0, requires_grad=True)
    loss = w * w
    w.data = np.array(100.0)
    bodies, _ = read_graph(plots.computation_graph(loss, {"w": w}))
    assert bodies == {"w": "value 3\ngradient 6", "multiply": "z = x y\nvalue 9\ngradient 1"}


@st.composite
def graphs(draw: st.DrawFn) -> Any:
    """Draw a graph of a few leaves and up to fifteen sums and sines, all used in the end."""
    values: list[Any] = [
        Tensor(float(k + 1), requires_grad=True) for k in range(draw(st.integers(1, 4)))
    ]
    for _ in range(draw(st.integers(1, 15))):
        first, second = (draw(st.sampled_from(values)) for _ in range(2))
        values.append(first + second if draw(st.booleans()) else np.sin(first))
    total = values[-1]
    for value in draw(st.lists(st.sampled_from(values), max_size=4)):
        total = total + value
    return total


@settings(max_examples=DRAWN)
@given(graphs())
def test_boxes_stand_apart_and_arrows_go_down_between_them(loss: Tensor) -> None:
    """Whatever the graph: no box on another, no arrow upwards or through a box, all in sight."""
    ax = plots.computation_graph(loss)
    frames = frames_of(ax)
    for one, other in itertools.combinations(frames, 2):
        beside = abs(centre(one)[0] - centre(other)[0]) - (one.get_width() + other.get_width()) / 2
        apart = abs(centre(one)[1] - centre(other)[1]) - (one.get_height() + other.get_height()) / 2
        assert max(beside, apart) > 5
    for way in arrows_of(ax):
        points = np.concatenate([np.linspace(a, b, 9) for a, b in itertools.pairwise(way)])
        assert (np.diff(points[:, 1]) > -1e-6).all()
        assert not any(holds(frame, points, rim=-0.5) for frame in frames)
    assert unreadable(whole(ax)) == []


def centre(frame: FancyBboxPatch) -> tuple[float, float]:
    """Return the middle of a box."""
    return frame.get_x() + frame.get_width() / 2, frame.get_y() + frame.get_height() / 2


@pytest.fixture(scope="module")
def network_graph() -> Axes:
    """Draw the graph of a network at 71 dots per inch."""
    with rc_context({"figure.dpi": 71}):
        ax = plots.computation_graph(penalised_loss(network()))
        whole(ax).draw_without_rendering()
    return ax


def test_texts_stay_inside_their_boxes(network_graph: Axes) -> None:
    """Also at another resolution, set from outside."""
    assert whole(network_graph).dpi == 71
    assert_texts_in_boxes(network_graph)


def test_texts_stay_inside_their_boxes_when_the_axes_shrink() -> None:
    """As a layout does that finds a wide neighbour later."""
    figure = Figure(figsize=(12, 8), layout="constrained")
    left, right = figure.subplots(1, 2)
    plots.computation_graph(chain(3), ax=left)
    before = left.get_window_extent().width
    right.set_ylabel("many words\n" * 20)
    figure.draw_without_rendering()
    assert left.get_window_extent().width < 0.8 * before
    assert all(contains(left.bbox, frame.get_window_extent()) for frame in frames_of(left))
    assert_texts_in_boxes(left)


def test_a_graph_counts_on_the_room_that_the_layout_will_give() -> None:
    """Axes fresh from subplots are smaller than a constrained layout makes them in the end."""
    needed = whole(plots.computation_graph(chain(5))).get_size_inches()
    figure = Figure(figsize=tuple(needed + 0.3), layout="constrained")
    ax = plots.computation_graph(chain(5), ax=figure.subplots())
    assert unreadable(figure) == []
    assert all(contains(figure.bbox, frame.get_window_extent()) for frame in frames_of(ax))


def assert_texts_in_boxes(ax: Axes) -> None:
    """Demand that no text runs over the edge of its box."""
    frames = frames_of(ax)
    for text in ax.texts:
        frame = frames[box_at(frames, np.array(text.get_position()))]
        assert contains(frame.get_window_extent(), text.get_window_extent())


def test_the_network_is_drawn_without_a_crossing(network_graph: Axes) -> None:
    """The order within the layers is found by looking at the neighbours."""
    crossing = 0
    for one, other in itertools.combinations(arrows_of(network_graph), 2):
        low = max(one[0, 1], other[0, 1]) + 0.5  # arrows may start together
        heights = np.linspace(low, max(low, min(one[-1, 1], other[-1, 1])), 400)
        first, second = (np.interp(heights, way[:, 1], way[:, 0]) for way in (one, other))
        crossing += (first - second).min() < -0.01 and (first - second).max() > 0.01
    assert crossing == 0


def test_a_graph_has_a_limit_that_can_be_raised() -> None:
    """Forty boxes go on a sheet; more are refused with a summary, before any pass is run."""
    assert len(read_graph(plots.computation_graph(chain(41), limit=42))[0]) == 2
    with pytest.raises(ValueError, match=r"got a graph of 42 boxes \(most often 41 sin, 1 leaf\)"):
        plots.computation_graph(chain(41))
    with pytest.raises(ValueError, match=r"2,001 boxes"):
        plots.computation_graph(chain(2_000))


PICTURES: dict[str, Callable[[], Axes]] = {
    "graph": lambda: plots.computation_graph(penalised_loss(network())),
    "graph, long": lambda: plots.computation_graph(chain(39)),
    "graph, deep": lambda: plots.computation_graph(deep(10), limit=50),
    "graph, dollars": lambda: plots.computation_graph(*with_dollars()),
}


@pytest.mark.parametrize("name", PICTURES)
def test_every_graph_can_be_drawn_and_read(name: str) -> None:
    """Without a warning, no wider than a page, its texts neither small nor on one another."""
    figure = whole(PICTURES[name]())
    assert figure.get_figwidth() <= 8
    assert unreadable(figure) == []


def test_given_axes_are_drawn_on_unless_they_are_too_small() -> None:
    ax = Figure(layout="constrained").subplots()
    assert plots.computation_graph(chain(2), ax=ax) is ax
    sizes = r"got axes of 1.5 x 1.5 inches, expected at least 1.\d x \d+.\d; without ax"
    with pytest.raises(ValueError, match=f"computation_graph: {sizes}"):
        plots.computation_graph(chain(9), ax=Figure(figsize=(2, 2)).subplots())


def freed() -> Tensor:
    """Return a loss whose graph is gone."""
    loss = penalised_loss(network())
    loss.backward()
    return loss


def half_freed() -> Any:
    """Return a loss of which a part was freed by the backward pass of another."""
    part = np.sin(chain(2))
    loss = part * 2.0
    np.sum(part).backward()
    return loss


def without_graph() -> Tensor:
    """Return a loss computed where nothing is recorded."""
    with no_grad():
        return penalised_loss(network())


WRONG: dict[str, tuple[Callable[[], object], type[Exception], list[str]]] = {
    "several losses": (
        lambda: plots.computation_graph(Tensor([1.0, 2.0], requires_grad=True) * 2.0),
        ValueError,
        ["computation_graph: got a Tensor of shape (2,), expected a single number; sum or"],
    ),
    "the graph of a number": (
        lambda: plots.computation_graph(3.0),  # type: ignore[arg-type]
        TypeError,
        ["computation_graph: got a float, expected the Tensor of a loss"],
    ),
    "the graph of a leaf": (
        lambda: plots.computation_graph(chain(0)),
        RuntimeError,
        ["computation_graph: no graph leads to this Tensor", "requires_grad=True"],
    ),
    "a graph that was not recorded": (
        lambda: plots.computation_graph(without_graph()),
        RuntimeError,
        ["computation_graph: no graph leads to this Tensor", "outside no_grad"],
    ),
    "a graph that was freed": (
        lambda: plots.computation_graph(freed()),
        RuntimeError,
        ["computation_graph: the graph behind add was freed", "retain_graph=True"],
    ),
    "a graph that was freed in part": (
        lambda: plots.computation_graph(half_freed()),
        RuntimeError,
        ["the graph behind sin was freed", "draw before it", "compute the loss again"],
    ),
    "a list of names": (
        lambda: plots.computation_graph(chain(1), ["x"]),  # type: ignore[arg-type]
        TypeError,
        ["computation_graph: names is a list, expected a Module or a mapping"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_graph_is_refused(name: str) -> None:
    """Each is told what came and the cure."""
    assert_refused(*WRONG[name])
