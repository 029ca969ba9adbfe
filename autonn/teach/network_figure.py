"""A small network of layers as a picture: units with their values, edges with their weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from autonn.engine.tensor import Array
from autonn.plots.style import (
    BLUE,
    DARK,
    GREY,
    PALE_BLUE,
    PALE_VERMILION,
    PALEST,
    VERMILION,
    new_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_network"]

_MOST = 40  # edges of one layer, and
_UNITS = 8  # units of one layer: the numbers on more can't be read
_ACROSS, _DOWN = 3.2, 1.25  # inches between layers, and between units
_RADIUS = 0.3


def draw_network(names: Mapping[str, Any], example: int = 0, ax: Axes | None = None) -> Axes:
    """Draw a network with the numbers of one example, and the gradients of its weights.

    In a circle stands the unit's value a, below it its delta; on an edge its weight, and below it
    the gradient of J for it, which is a mean over all examples. A circle with 1 feeds the biases.
    What is negative is orange and dashed, what is positive blue.

    Parameters
    ----------
    names
        The values by name: a1, a2, delta2, Theta1, dTheta1 and so on.
    example
        The row that is shown.
    ax
        The axes to draw on; without them the figure is as large as the network needs.

    Raises
    ------
    ValueError
        For a network with more than 8 units in a layer, or 40 edges between two.
    IndexError
        If there is no such example.
    """
    count = sum(name[:5] == "Theta" for name in names)
    thetas = [np.asarray(names[f"Theta{k}"]) for k in range(1, count + 1)]
    values = [np.asarray(names[f"a{k}"]) for k in range(1, count + 2)]
    if not -len(values[0]) <= example < len(values[0]):
        raise IndexError(f"figure: example {example} of {len(values[0])}")
    sizes = [value.shape[1] for value in values]
    if max(sizes) > _UNITS or max(theta.size for theta in thetas) > _MOST:
        raise ValueError(
            f"figure: a network of {sizes} units; it draws up to {_UNITS} in a layer and {_MOST} "
            "edges between two, of which the numbers can be read"
        )
    if ax is None:
        ax = new_axes((len(sizes) - 1) * _ACROSS + 1.4, max(sizes) * _DOWN + 1.8)
    ax.set_axis_off()
    ax.set_aspect(1)
    for k, theta in enumerate(thetas):
        bias = theta.shape[1] == sizes[k] + 1
        _draw_edges(ax, k, sizes, theta, np.asarray(names[f"dTheta{k + 1}"]), bias)
        if bias:
            _draw_unit(ax, _place(k, -1, sizes), "1", "", PALEST, GREY)
    for k, value in enumerate(values):
        _draw_layer(ax, k, sizes, value[example], names.get(f"delta{k + 1}"), example)
    right, bottom = (len(sizes) - 1) * _ACROSS, -(max(sizes) - 1) / 2 * _DOWN - 0.95
    caption = "on an edge the weight, and below it dJ/dweight; below a unit δ of this example"
    ax.text(right / 2, bottom, caption, ha="center", va="bottom", fontsize=8, color=DARK)
    ax.set_xlim(-0.7, right + 0.7)
    ax.set_ylim(bottom - 0.1, (max(sizes) + 1) / 2 * _DOWN + 0.75)
    return ax


def _place(layer: int, unit: int, sizes: list[int]) -> tuple[float, float]:
    """Return where a unit stands; -1 is the one that feeds the biases, above the others."""
    n = sizes[layer]
    return layer * _ACROSS, ((n - 1) / 2 - unit) * _DOWN


def _draw_layer(ax: Axes, k: int, sizes: list[int], row: Array, delta: Any, example: int) -> None:
    """Draw the units of a layer with their values, their deltas, and the layer's letter."""
    for unit, value in enumerate(row):
        below = "" if delta is None else f"δ {_short(np.asarray(delta)[example, unit])}"
        paper = PALE_BLUE if value >= 0 else PALE_VERMILION
        edge = BLUE if value >= 0 else VERMILION
        _draw_unit(ax, _place(k, unit, sizes), _short(value), below, paper, edge)
    x, y = _place(k, -1 if k < len(sizes) - 1 else 0, sizes)
    letters = "a1 = x" if k == 0 else f"a{k + 1}"
    ax.text(x, y + 0.42, letters, ha="center", va="bottom", fontsize=10, fontweight="bold")


def _draw_unit(
    ax: Axes, place: tuple[float, float], text: str, below: str, paper: str, edge: str
) -> None:
    from matplotlib.patches import Circle

    ax.add_patch(Circle(place, _RADIUS, facecolor=paper, edgecolor=edge, linewidth=1.3, zorder=3))
    ax.text(*place, text, ha="center", va="center", fontsize=8, zorder=4)
    if below:
        ax.text(place[0], place[1] - _RADIUS - 0.03, below, ha="center", va="top", fontsize=7,
                color=DARK, zorder=4)  # fmt: skip


def _draw_edges(
    ax: Axes, k: int, sizes: list[int], theta: Array, gradient: Array, bias: bool
) -> None:
    """Draw the edges to the next layer, each with its weight and the gradient for it."""
    largest = max(float(np.abs(theta).max()), 1e-300)
    for out in range(sizes[k + 1]):
        for column in range(theta.shape[1]):
            source = _place(k, column - bias, sizes)
            target = _place(k + 1, out, sizes)
            weight = float(theta[out, column])
            color = BLUE if weight >= 0 else VERMILION
            width = 0.5 + 2.0 * abs(weight) / largest
            style = "-" if weight >= 0 else "--"
            ax.plot(*zip(source, target, strict=True), color=color, linewidth=width,
                    linestyle=style, alpha=0.7, zorder=1)  # fmt: skip
            # Where the labels of edges to one unit, and those from one, do not meet.
            share = 0.3 + 0.4 * (out + 0.5) / sizes[k + 1]
            x, y = (s + share * (t - s) for s, t in zip(source, target, strict=True))
            ax.text(x, y, f"{_short(weight)}\n{_short(gradient[out, column])}", ha="center",
                    va="center", fontsize=6.5, linespacing=1.05, zorder=2,
                    bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": color,
                          "linewidth": 0.4})  # fmt: skip


def _short(number: float) -> str:
    """Write a number in few letters.

    >>> _short(0.123456), _short(-0.00012), _short(12.5)
    ('0.123', '-0.00012', '12.5')
    """
    return f"{float(number):.3g}"
