"""How large the gradients are, layer by layer.

A network that does not learn often shows here why: its gradients vanish, explode or are NaN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from autonn.engine.tensor import Array, Tensor, values_of
from autonn.nn.module import Module
from autonn.plots.arguments import norm, parameters_of
from autonn.plots.style import BLUE, VERMILION, new_axes, open_frame, write_margin

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def gradient_flow(model: Module, *, ax: Axes | None = None) -> Axes:
    """Draw how large the gradient is at each parameter, from the first layer to the last.

    Each row spans the 5th to the 95th percentile of ``|gradient|`` without
    its zeros, thick between the quartiles, with a dot (of biases a square) at the median; where it
    goes on for more than three powers of ten below all quartiles, it leaves the picture. At the
    right stands ``||gradient|| / ||parameter||``. Rows that drift to the left towards the first
    layer are a gradient that vanishes.

    Parameters
    ----------
    model
        A module after ``loss.backward()``, which is not changed.
    ax
        The axes to draw on.

    Raises
    ------
    TypeError, ValueError
        If `model` isn't a module, or has no parameters.
    RuntimeError
        If none of them has a gradient.

    Examples
    --------
    >>> from autonn import Layer
    >>> layer = Layer(2, 1, weight=[[3.0, 4.0]])
    >>> np.sum(layer(np.array([[0.6, 0.8]]))).backward()
    >>> ax = gradient_flow(layer)
    >>> [label.get_text() for label in ax.child_axes[0].get_yticklabels()]
    ['0.2', 'parameter 0']
    """
    parameters = parameters_of("gradient_flow", model)
    _require_gradients(parameters)
    weights = {id(weight) for weight in model.weights()}
    sizes = [_gradient_sizes(parameter) for parameter in parameters.values()]
    ax = new_axes(7.0, max(2.2, 1.0 + 0.3 * len(parameters))) if ax is None else ax
    for row, parameter in enumerate(parameters.values()):
        _draw_sizes(ax, row, sizes[row], bias=id(parameter) not in weights)
    _label_flow(ax, parameters, sizes)
    return ax


def _require_gradients(parameters: Mapping[str, Tensor]) -> None:
    if all(parameter.grad is None for parameter in parameters.values()):
        raise RuntimeError(
            f"gradient_flow: no parameter has a gradient ({', '.join(parameters)}); "
            "call loss.backward() first, and zero_grad() only after the picture"
        )


def _gradient(parameter: Tensor) -> Array | None:
    # After backward(create_graph=True) it is a Tensor.
    return None if parameter.grad is None else values_of(parameter.grad)


def _gradient_sizes(parameter: Tensor) -> Array:
    """Return |gradient| where that is a point of a logarithmic axis."""
    gradient = _gradient(parameter)
    sizes = np.abs(np.zeros(0) if gradient is None else gradient.ravel())
    return sizes[np.isfinite(sizes) & (sizes > 0)]


def _draw_sizes(ax: Axes, row: int, sizes: Array, *, bias: bool) -> None:
    """Draw the percentiles of a row, unless there is nothing to draw."""
    if sizes.size:
        low, lower, middle, upper, high = np.percentile(sizes, (5, 25, 50, 75, 95))
        color, marker = (VERMILION, "s") if bias else (BLUE, "o")
        ax.plot([low, high], [row, row], "-|", color=color, linewidth=1.2, markersize=6)
        ax.plot([lower, upper], [row, row], color=color, linewidth=5, solid_capstyle="butt")
        ax.plot(middle, row, marker, color="white", markeredgecolor=color, markersize=7)


_FLOW_LABEL = "|gradient|: 5th to 95th percentile, quartiles, median"


def _label_flow(ax: Axes, parameters: Mapping[str, Tensor], sizes: Sequence[Array]) -> None:
    """Name the rows, and set the logarithmic axis and the margin."""
    from matplotlib.ticker import LogLocator

    ax.set(yticks=range(len(parameters)), yticklabels=list(parameters), xlabel=_FLOW_LABEL)
    ax.set_ylim(len(parameters) - 0.5, -0.5)
    ax.set_xscale("log")
    ax.set_xlim(_decades(sizes))
    ax.xaxis.set_major_locator(LogLocator(numticks=7))  # more would touch each other
    ax.xaxis.set_major_formatter("{x:g}")
    if len(parameters) > 30:  # the foot is out of sight from the first rows
        ax.tick_params(axis="x", top=True, labeltop=True)
    open_frame(ax, grid="x")
    write_margin(ax, "||gradient||\n/ ||parameter||", [_relative(p) for p in parameters.values()])


def _decades(sizes: Sequence[Array]) -> tuple[float, float]:
    """Return the powers of ten around what is drawn, two at least, for the axis to have ticks.

    Pixels that are nearly always blank give a tail of tiny gradients, which would take the room.
    """
    drawn = [np.percentile(some, (5, 25, 95)) for some in sizes if some.size] or [np.ones(3)]
    lows, quartiles, highs = np.transpose(drawn)
    low = math.log10(max(lows.min(), quartiles.min() / 1000)) - 0.1  # 0.1 for the markers
    first = max(math.floor(low), -300)  # 10^-324 is 0
    last = math.ceil(math.log10(highs.max()) + 0.1)
    return 10.0**first, 10.0 ** max(last, first + 1)


def _relative(parameter: Tensor) -> str:
    """Write ||gradient|| / ||parameter||, or why there is none."""
    gradient = _gradient(parameter)
    if gradient is None:
        return "no gradient"
    bad, zero = np.count_nonzero(~np.isfinite(gradient)), np.count_nonzero(gradient == 0)
    if bad:
        return f"NaN or inf in {bad:,} of {gradient.size:,}"
    size = norm(values_of(parameter))
    ratio = f"{norm(gradient) / size:.2g}" if size else "parameter 0"
    return f"{ratio}, {zero / gradient.size:.0%} zero" if zero else ratio
