"""The gradients of each parameter are read back: percentiles, order, remarks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from tools.pictures import Array, assert_readable, network, penalised_loss, trained_once, whole
from tools.refusals import assert_refused

from autonn import Layer, Module, Sigmoid, Tensor, plots


def with_gradient(gradient: object) -> Layer:
    """Return a layer of one input with this gradient of its weights, and none of its bias."""
    values = np.array(gradient)
    layer = Layer(1, len(values), weight=np.ones(values.shape))
    layer.weight.grad = values
    return layer


class Nested(Module):
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


def test_given_axes_are_drawn_on() -> None:
    """What the caller hands in is what comes back."""
    ax = Figure().subplots()
    assert plots.gradient_flow(trained_once(network()), ax=ax) is ax


PICTURES: dict[str, Callable[[], Figure]] = {
    "flow": lambda: whole(plots.gradient_flow(trained_once(network()))),
    "flow, long names": lambda: whole(
        plots.gradient_flow(Nested(with_gradient(np.logspace(-15, 0)[:, None])))
    ),
    "flow, nothing to draw": lambda: whole(plots.gradient_flow(with_gradient([[0.0], [np.nan]]))),
}


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_can_be_drawn_and_read(name: str) -> None:
    assert_readable(PICTURES[name]())


BAD_CALLS: dict[str, tuple[Callable[[], object], str]] = {
    "no parameters": (
        lambda: plots.gradient_flow(Sigmoid()),
        r"gradient_flow: Sigmoid\(\) has no parameters, expected at least one",
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
}


@pytest.mark.parametrize("name", WRONG_STATES)
def test_wrong_kinds_and_states_are_refused(name: str) -> None:
    """Each is told what came and the cure."""
    assert_refused(*WRONG_STATES[name])
