"""Which class a network takes each place of a plane for.

With two features a network can be seen whole: every input that there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from autonn.engine.tensor import Array
from autonn.nn.module import Module
from autonn.plots.arguments import (
    class_numbers,
    finite_array,
    parameters_of,
    require,
    require_same_length,
)
from autonn.plots.style import CLASS_STYLES, new_axes, score

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def decision_boundary(
    model: Module, X: ArrayLike, y: ArrayLike, *, points: int = 300, ax: Axes | None = None
) -> Axes:
    """Draw which class the model takes each place of a plane for, and the examples on top.

    Each class has a colour and a mark of its own; examples that are taken for another class are
    ringed in black.

    Parameters
    ----------
    model
        Returns a number for each class, logit or probability, of which the largest decides. It is
        asked in evaluation mode.
    X, y
        (n, 2), the place of each example, and (n,), its class number.
    points
        The plane is asked on a grid of `points` x `points`.
    ax
        The axes to draw on.

    Raises
    ------
    TypeError
        If the model is no module.
    ValueError
        If it tells fewer than 2 or more than 6 classes apart, if a shape or a length doesn't fit,
        or a number isn't a class.

    Examples
    --------
    >>> from autonn import Layer
    >>> ax = decision_boundary(Layer(2, 2, weight=np.eye(2)), [[1, 0], [0, 1], [2, 3]], [0, 1, 0])
    >>> ax.get_title()
    '2 of 3 right (66.7%)'
    """
    here = "decision_boundary"
    parameters_of(here, model)
    places = finite_array(f"{here}: X", X, "n", "2")
    require(places.shape[1] == 2, f"{here}: X has shape {places.shape}, expected (n, 2)")
    require(points >= 2, f"{here}: got points={points}, expected at least 2")
    scores = _scores(model, places)
    truth = class_numbers(f"{here}: y", y, scores.shape[1])
    require_same_length(here, X=places, y=truth)
    right = scores.argmax(axis=1) == truth
    ax = new_axes(6.4, 5.4) if ax is None else ax
    _draw_areas(ax, model, [_stretch(column, points) for column in places.T])
    _draw_examples(ax, places, truth, right, scores.shape[1])
    title = score(int(np.count_nonzero(right)), len(truth))
    ax.set(title=title, xlabel="X[:, 0]", ylabel="X[:, 1]")
    return ax


def _scores(model: Module, places: Array) -> Array:
    """Return what the model gives for each place, (n, classes)."""
    here = "decision_boundary"
    scores = finite_array(f"{here}: the model's output", model.predict(places), "n", "classes")
    classes, most = scores.shape[1], len(CLASS_STYLES)
    require(
        2 <= classes <= most,
        f"{here}: the model's output has shape {scores.shape}, expected (n, 2) to (n, {most}): "
        "a number for each class",
    )
    return scores


def _stretch(column: Array, points: int) -> Array:
    """Return so many numbers in equal steps, from below the least to above the largest."""
    low, high = float(column.min()), float(column.max())
    margin = 0.08 * (high - low) or 1.0
    return np.linspace(low - margin, high + margin, points)


def _draw_areas(ax: Axes, model: Module, sides: Sequence[Array]) -> None:
    """Colour the area of each class, and draw the lines between them."""
    grid = np.stack(np.meshgrid(*sides), axis=-1)
    scores = _scores(model, grid.reshape(-1, 2)).reshape(*grid.shape[:2], -1)
    for k, (color, _, opacity) in enumerate(CLASS_STYLES[: scores.shape[2]]):
        # By how much the class leads, a smooth function: the boundary has no stairs.
        lead = scores[..., k] - np.delete(scores, k, axis=2).max(axis=2)
        if lead.max() > 0:
            ax.contourf(*sides, lead, [0, lead.max()], colors=[color], alpha=opacity)
        if lead.min() < 0 < lead.max():
            ax.contour(*sides, lead, [0], colors="black", linewidths=0.6)


def _draw_examples(ax: Axes, places: Array, truth: Array, right: Array, classes: int) -> None:
    """Mark each example with the mark of its own class, and write the legend."""
    look: dict[str, Any] = {"linestyle": "none", "markersize": 7}
    ringed: dict[str, Any] = look | {"markeredgecolor": "black", "markeredgewidth": 2}
    look["markeredgecolor"] = "white"
    for k, (color, mark, _) in enumerate(CLASS_STYLES[:classes]):
        own = truth == k
        ax.plot(*places[own & right].T, mark, color=color, label=f"{k}", **look)
        ax.plot(*places[own & ~right].T, mark, color=color, **ringed)
    if not right.all():
        ax.plot([], [], "o", color="white", label="wrong", **ringed)
    ax.legend(title="class", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
