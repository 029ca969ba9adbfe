"""The loss in the neighbourhood of the parameters: along one direction, or on a map of two.

Whether a minimum is flat or sharp, and how a network's depth roughens the way to it, can be seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike

from autonn.engine.modes import no_grad
from autonn.engine.ownership import restored
from autonn.engine.tensor import Array, Tensor, values_of
from autonn.nn.module import Module
from autonn.plots.arguments import norm, parameters_of, require
from autonn.plots.style import BLUE, new_axes, open_frame
from autonn.training import Loss

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def loss_surface(
    model: Module,
    loss: Loss,
    X: ArrayLike,
    y: ArrayLike,
    *,
    directions: int | Sequence[Sequence[ArrayLike]] = 2,
    rng: np.random.Generator | int | None = None,
    span: float = 1.0,
    points: int = 25,
    ax: Axes | None = None,
) -> Axes:
    """Draw the loss in the neighbourhood of the parameters, ``J(theta + a d1 + b d2)``.

    Along one direction it is a curve, along two a map with its lines of equal loss. Random
    directions are normalised filter by filter, after Li et al., "Visualizing the loss landscape of
    neural nets" (2018): each unit's row of weights gets a random direction of the row's own norm,
    and biases stay, so that pictures of different networks can be compared.

    Parameters
    ----------
    model, loss, X, y
        As for `fit`; the loss is computed in evaluation mode, without a graph. The parameters come
        back as they were, also after an exception.
    directions
        1 or 2, to be drawn at random; or one or two directions, each an array for every parameter,
        in the order of ``model.parameters()``, which are used as they are.
    rng
        A `numpy.random.Generator`, or a seed for one.
    span
        a and b run from -span to span.
    points
        How many values each of them takes; an odd number has 0 among them. A map takes
        points^2 evaluations of the loss.
    ax
        The axes to draw on.

    Raises
    ------
    TypeError, ValueError
        If `model` isn't a module or has no parameters; if the directions are neither one nor two,
        don't fit the parameters, or are zero; if no loss on the slice is finite.

    Examples
    --------
    >>> from autonn import Layer, MeanSquaredError
    >>> layer = Layer(1, 1, weight=[[1.0]])
    >>> data = layer, MeanSquaredError(), np.ones((4, 1)), np.ones((4, 1))
    >>> ax = loss_surface(*data, directions=[[[[1.0]], [0.0]]], points=3)
    >>> ax.get_lines()[0].get_ydata()
    array([1., 0., 1.])
    """
    here = "loss_surface"
    parameters = parameters_of(here, model)
    require(points >= 2, f"{here}: got points={points}, expected at least 2")
    require(0 < span < math.inf, f"{here}: got span={span}, expected a number above 0, finite")
    if isinstance(directions, int):
        ways = _random_directions(model, directions, np.random.default_rng(rng))
    else:
        ways = [_given_direction(parameters, way) for way in directions]
    _check_directions(ways)
    steps = np.linspace(-span, span, points)
    centre, heights = _heights(model, lambda: loss(model(X), y), ways, steps)
    require(bool(np.isfinite(heights).any()), f"{here}: no loss on the slice is finite")
    ax = new_axes(6.4, 3.6 if len(ways) == 1 else 5.2) if ax is None else ax
    (_draw_slice if len(ways) == 1 else _draw_map)(ax, steps, heights, centre)
    return ax


Direction = list[Array]  # an array for each parameter


def _random_directions(model: Module, count: int, rng: np.random.Generator) -> list[Direction]:
    """Draw directions in which each unit's weights move by their own norm, and biases stay."""
    weights = {id(weight) for weight in model.weights()}
    return [
        [
            _filter_normalised(rng.standard_normal(parameter.shape), values_of(parameter))
            if id(parameter) in weights
            else np.zeros(parameter.shape)
            for parameter in model.parameters()
        ]
        for _ in range(count)
    ]


def _filter_normalised(direction: Array, weight: Array) -> Array:
    """Give each unit's part of a direction the norm of that unit's weights."""
    axes = tuple(range(1, weight.ndim)) or None

    def norms(array: Array) -> Array:
        return cast(Array, np.sqrt(np.sum(np.square(array), axis=axes, keepdims=True)))

    drawn = norms(direction)
    return direction * (norms(weight) / np.where(drawn == 0, 1, drawn))


def _given_direction(parameters: Mapping[str, Tensor], way: Sequence[ArrayLike]) -> Direction:
    """Return the arrays of a direction, one of the right shape for each parameter."""
    arrays = [np.asarray(array, dtype=float) for array in way]
    shapes = [array.shape for array in arrays]
    expected = [parameter.shape for parameter in parameters.values()]
    require(
        shapes == expected,
        f"loss_surface: got a direction of shapes {shapes}, expected {expected}, "
        f"an array for each of {', '.join(parameters)}",
    )
    return arrays


def _check_directions(ways: Sequence[Direction]) -> None:
    """Refuse other numbers of directions than one and two, and those that lead nowhere."""
    require(len(ways) in (1, 2), f"loss_surface: got {len(ways)} directions, expected one or two")
    for k, way in enumerate(ways, 1):
        lengths = [norm(array) for array in way]
        require(
            0 < sum(lengths) < math.inf,
            f"loss_surface: direction {k} has norms {lengths}, expected finite ones, not all 0; "
            "a random direction is 0 where the weights are: initialise them first",
        )


def _heights(
    model: Module, evaluate: Callable[[], Any], ways: Sequence[Direction], steps: Array
) -> tuple[float, Array]:
    """Compute the loss where the parameters are, and at every point of the slice."""
    parameters = model.parameters()
    heights = np.empty((len(steps),) * len(ways))
    # A slice goes on purpose to where a loss may be infinite; such points are left blank.
    quiet = np.errstate(divide="ignore", over="ignore", invalid="ignore")
    with restored(parameters) as starts, model.evaluating(), no_grad(), quiet:
        centre = float(evaluate())
        for index in np.ndindex(heights.shape):
            for k, (parameter, start) in enumerate(zip(parameters, starts, strict=True)):
                shift = sum(steps[i] * way[k] for i, way in zip(index, ways, strict=True))
                parameter.data = (start + shift).astype(start.dtype)
            heights[index] = float(evaluate())
    return centre, np.where(np.isfinite(heights), heights, np.nan)


def _draw_slice(ax: Axes, steps: Array, heights: Array, centre: float) -> None:
    ax.plot(steps, heights, color=BLUE)
    ax.set(xlabel="step along the direction", ylabel="loss")
    open_frame(ax, grid="both")
    _mark_centre(ax, 0, centre, centre)


def _draw_map(ax: Axes, steps: Array, heights: Array, centre: float) -> None:
    """Draw areas of about equal loss, and the lines between them."""
    from matplotlib.colors import BoundaryNorm

    values, levels = np.ma.masked_invalid(heights.T), _levels(heights)
    norm = BoundaryNorm(levels, 256)
    ticks = levels[::2] if len(levels) > 2 else levels[:0]  # those of a flat one mean nothing
    areas = ax.contourf(steps, steps, values, levels, cmap="viridis", norm=norm)
    if len(levels) > 2:
        ax.contour(steps, steps, values, levels[1:-1], colors="black", linewidths=0.4)
    ax.figure.colorbar(areas, ax=ax, label="loss", ticks=ticks, format="{x:.3g}")
    ax.set(xlabel="step along direction 1", ylabel="step along direction 2")
    _mark_centre(ax, 0, 0, centre)


def _levels(heights: Array) -> Array:
    """Choose where the lines of a map run: in equal steps, or in equal ratios if it is steep."""
    low, high = np.nanmin(heights), np.nanmax(heights)
    largest = max(abs(low), abs(high))
    if high - low <= 1e-9 * largest:  # flat but for rounding: a single area
        return np.array([low, high]) + (largest or 1.0) * np.array([-0.5, 0.5])
    # Beyond a ratio of 20 equal steps would leave the valley, which one looks for, empty.
    levels = np.geomspace(low, high, 17) if 0 < 20 * low < high else np.linspace(low, high, 17)
    levels[[0, -1]] = low, high  # geomspace may round the ends inwards, and leave holes there
    return cast(Array, levels)


def _mark_centre(ax: Axes, x: float, y: float, centre: float) -> None:
    """Mark where the parameters are, with the loss there, if it is finite."""
    if not math.isfinite(centre):
        return
    ax.plot(x, y, "o", color="white", markeredgecolor="black", markersize=7)
    ax.annotate(
        f"here {centre:.3g}",
        (x, y),
        (0, 9),
        textcoords="offset points",
        ha="center",
        va="bottom",
        bbox={"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none"},
    )
