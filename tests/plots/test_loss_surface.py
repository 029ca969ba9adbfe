"""The surface of a loss is read back, and the model comes back as it was."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from tools.pictures import Array, assert_readable, network, whole
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
    checkpoint,
    plots,
)
from autonn.engine.tensor import values_of

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
    arrays = [values_of(parameter) for parameter in model.parameters()]
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
    assert all(values_of(p) is array for p, array in zip(model.parameters(), arrays, strict=True))
    assert [module.training for _, module in model.named_modules()] == modes
    assert all(parameter.grad is None for parameter in model.parameters())
    again = Sequential(Layer(6, 4, rng=0), ReLU(), Dropout(0.5, rng=0), Layer(4, 3, rng=1))
    again[2].eval()
    SoftmaxCrossEntropy()(again(X), y).backward()
    waiting.backward()
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        np.testing.assert_array_equal(one.grad, other.grad)


def test_the_arrays_that_others_hold_are_still_those_of_the_parameters() -> None:
    """The caller's own, which is written to later, and that of a checkpoint that waits."""
    layer, loss, X, y = quadratic()
    held = layer.weight.data
    waiting = checkpoint(lambda x: np.sum(layer(x)))(X)
    plots.loss_surface(layer, loss, X, y, rng=0, points=3)
    waiting.backward()
    np.testing.assert_array_equal(layer.weight.grad, [[0.0, 0.0]])
    squares: Any = np.sum(layer.weight * layer.weight)
    held += 1.0
    np.testing.assert_array_equal(layer.weight.numpy(), [[2.0, 3.0]])
    squares.backward()  # at the values from before
    np.testing.assert_array_equal(layer.weight.grad, [[2.0, 4.0]])


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


def test_given_axes_are_drawn_on() -> None:
    """What the caller hands in is what comes back."""
    ax = Figure().subplots()
    assert plots.loss_surface(*quadratic(), rng=0, points=3, ax=ax) is ax


PICTURES: dict[str, Callable[[], Figure]] = {
    "surface": lambda: whole(plots.loss_surface(*quadratic(), rng=0)),
    "surface, flat": lambda: whole(plots.loss_surface(*flat(), rng=0, points=9)),
    "slice": lambda: whole(plots.loss_surface(*quadratic(), directions=1, rng=0)),
    "surface, flat but for rounding": lambda: whole(
        plots.loss_surface(*flat(1e-16), rng=0, points=9)
    ),
    "slice, flat": lambda: whole(plots.loss_surface(*flat(), directions=1, rng=0)),
}


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_can_be_drawn_and_read(name: str) -> None:
    assert_readable(PICTURES[name]())


BAD_CALLS: dict[str, tuple[Callable[[], object], str]] = {
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
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_calls_say_what_came_and_what_was_expected(name: str) -> None:
    """Each names the function, the argument, what it was given and what it needs."""
    call, message = BAD_CALLS[name]
    with pytest.raises(ValueError, match=message):
        call()


WRONG_STATES: dict[str, tuple[Callable[[], object], type[Exception], list[str]]] = {
    "a surface of no module": (
        lambda: plots.loss_surface(np.tanh, *flat()[1:]),  # type: ignore[arg-type]
        TypeError,
        ["loss_surface: got a ufunc, expected a Module"],
    ),
}


@pytest.mark.parametrize("name", WRONG_STATES)
def test_wrong_kinds_and_states_are_refused(name: str) -> None:
    """Each is told what came and the cure."""
    assert_refused(*WRONG_STATES[name])
