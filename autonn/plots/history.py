"""How the cost fell and the accuracy rose while a network learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from autonn.engine.tensor import Array
from autonn.plots.arguments import _fractions, _require, _same_length
from autonn.plots.style import _BLUE, _VERMILION, _figure, _open
from autonn.training import SERIES, History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    Canvas = Figure | SubFigure


_COLORS = {"training": _BLUE, "validation": _VERMILION}
_STYLES = {"training": "o-", "validation": "s--"}


def learning_curve(
    history: History | Mapping[str, ArrayLike],
    *,
    xlabel: str = "iteration",
    figure: Canvas | None = None,
) -> Figure:
    """Draw how the cost fell and the accuracy rose, in training and on the validation examples.

    `history` is what `fit` returns, or maps "cost", "validation_cost", "accuracy" and
    "validation_accuracy" (fractions of 1) to one number for each iteration; other keys are ignored,
    as are missing and empty ones, and NaN marks an iteration that wasn't measured. Accuracies get a
    panel of their own below the cost, which is on a logarithmic scale where it falls to less than a
    hundredth. ValueError if there is nothing to draw, lengths differ, or an accuracy is not within
    [0, 1]; TypeError for anything but a history or a mapping.

    >>> figure = learning_curve({"cost": [7.0, 2.0, 1.0], "accuracy": [0.1, 0.6, 0.8]})
    >>> [ax.get_ylabel() for ax in figure.axes]
    ['cost', 'accuracy']
    """
    measured = vars(history) if isinstance(history, History) else history
    series = _series(measured)
    panels = [name for name in ("cost", "accuracy") if _lines_of(name, series)]
    _require(
        bool(panels),
        f"learning_curve: got {sorted(measured)} without a number to draw, "
        f"expected some of {', '.join(SERIES)}",
    )
    if figure is None:
        figure = _figure(7.0, 1.0 + 2.4 * len(panels))
    axes = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for ax, name in zip(axes, panels, strict=True):
        _curves(ax, name, _lines_of(name, series))
    axes[-1].set_xlabel(xlabel)
    return figure.figure


def _series(history: Mapping[str, ArrayLike]) -> dict[str, Array]:
    if not isinstance(history, Mapping):
        kind = type(history).__name__
        raise TypeError(f'learning_curve: got a {kind}, expected a mapping like {{"cost": [...]}}')
    known = [name for name in SERIES if history.get(name) is not None]
    series = {name: _measurements(name, history[name]) for name in known}
    given = {name: values for name, values in series.items() if np.isfinite(values).any()}
    _same_length("learning_curve", **given)
    return given


def _measurements(name: str, values: ArrayLike) -> Array:
    where, numbers = f"learning_curve: {name}", np.asarray(values, dtype=float)
    _require(numbers.ndim == 1, f"{where} has shape {numbers.shape}, expected (iterations,)")
    if name.endswith("accuracy"):
        _fractions(where, numbers[np.isfinite(numbers)])
    return numbers


def _lines_of(panel: str, series: dict[str, Array]) -> dict[str, Array]:
    named = {"training": panel, "validation": f"validation_{panel}"}
    return {label: _points(series[name]) for label, name in named.items() if name in series}


def _points(values: Array) -> Array:
    measured = np.flatnonzero(np.isfinite(values))
    return np.array([measured + 1, values[measured]])


def _curves(ax: Axes, panel: str, lines: dict[str, Array]) -> None:
    for label, points in lines.items():
        ax.plot(*points, _STYLES[label], color=_COLORS[label], markersize=4, markevery=[-1])
    ax.set_ylabel(panel)
    ax.margins(x=0.01)
    if panel == "cost" and _falls_far(lines):
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter("{x:g}")
    _open(ax, grid="both")
    ax.locator_params(axis="x", integer=True, min_n_ticks=1)
    if panel == "accuracy":
        _percent(ax)
    _name_ends(ax, lines, "{:.1%}" if panel == "accuracy" else "{:.3g}")


def _falls_far(lines: dict[str, Array]) -> bool:
    values = np.concatenate([points[1] for points in lines.values()])
    return bool(0 < 100 * values.min() < values.max())


def _percent(ax: Axes) -> None:
    from matplotlib.ticker import PercentFormatter

    ax.yaxis.set_major_formatter(PercentFormatter(1.0))


def _name_ends(ax: Axes, lines: dict[str, Array], number: str) -> None:
    # A name at the end of its line is read faster than a legend, but two lines may end together.
    ends = sorted((points[1, -1], points[0, -1], label) for label, points in lines.items())
    ax.autoscale_view()
    heights = ax.transData.transform([(x, y) for y, x, _ in ends])[:, 1] / ax.bbox.height
    close = np.ptp(heights) < 0.12
    sides = ("top", "bottom") if close and len(ends) == 2 else ("center", "center")
    for (y, x, label), side in zip(ends, sides, strict=False):
        ax.annotate(
            f"{label} {number.format(y)}",
            (x, y),
            (8, 0),
            textcoords="offset points",
            va=side,
            color=_COLORS[label],
        )
