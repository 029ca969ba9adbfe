"""How the cost fell and the accuracy rose while a network learned.

The first picture to look at: it shows whether a network still learns, and when it overfits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from autonn.engine.tensor import Array
from autonn.plots.arguments import fractions, require, require_same_length
from autonn.plots.style import BLUE, VERMILION, new_figure, open_frame
from autonn.training import SERIES, History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from autonn.plots.style import Canvas


_COLORS = {"training": BLUE, "validation": VERMILION}
_STYLES = {"training": "o-", "validation": "s--"}


def learning_curve(
    history: History | Mapping[str, ArrayLike],
    *,
    xlabel: str = "iteration",
    figure: Canvas | None = None,
) -> Figure:
    """Draw how the cost fell and the accuracy rose, in training and on the validation examples.

    Accuracies get a panel of their own below the cost, which is on a logarithmic scale where it
    falls to less than a hundredth.

    Parameters
    ----------
    history
        What `fit` returns, or a mapping of "cost", "validation_cost", "accuracy" and
        "validation_accuracy" (fractions of 1) to one number for each iteration. Other keys are
        ignored, as are missing and empty ones; NaN marks an iteration that wasn't measured.
    xlabel
        What an entry stands for, as "epoch".
    figure
        An empty figure or subfigure to draw into. The whole figure is returned.

    Raises
    ------
    ValueError
        If there is nothing to draw, lengths differ, or an accuracy is not within [0, 1].
    TypeError
        For anything but a history or a mapping.

    Examples
    --------
    >>> figure = learning_curve({"cost": [7.0, 2.0, 1.0], "accuracy": [0.1, 0.6, 0.8]})
    >>> [ax.get_ylabel() for ax in figure.axes]
    ['cost', 'accuracy']
    """
    measured = vars(history) if isinstance(history, History) else history
    series = _series(measured)
    panels = [name for name in ("cost", "accuracy") if _lines_of(name, series)]
    require(
        bool(panels),
        f"learning_curve: got {sorted(measured)} without a number to draw, "
        f"expected some of {', '.join(SERIES)}",
    )
    if figure is None:
        figure = new_figure(7.0, 1.0 + 2.4 * len(panels))
    axes = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for ax, name in zip(axes, panels, strict=True):
        _curves(ax, name, _lines_of(name, series))
    axes[-1].set_xlabel(xlabel)
    figure.align_ylabels(list(axes))
    return figure.figure


def _series(history: Mapping[str, ArrayLike]) -> dict[str, Array]:
    """Return what was measured at least once, by name."""
    if not isinstance(history, Mapping):
        kind = type(history).__name__
        raise TypeError(f'learning_curve: got a {kind}, expected a mapping like {{"cost": [...]}}')
    known = [name for name in SERIES if history.get(name) is not None]
    series = {name: _measurements(name, history[name]) for name in known}
    given = {name: values for name, values in series.items() if np.isfinite(values).any()}
    require_same_length("learning_curve", **given)
    return given


def _measurements(name: str, values: ArrayLike) -> Array:
    """Return one number for each iteration, NaN where there is none."""
    where, numbers = f"learning_curve: {name}", np.asarray(values, dtype=float)
    require(numbers.ndim == 1, f"{where} has shape {numbers.shape}, expected (iterations,)")
    if name.endswith("accuracy"):
        fractions(where, numbers[np.isfinite(numbers)])
    return numbers


def _lines_of(panel: str, series: dict[str, Array]) -> dict[str, Array]:
    named = {"training": panel, "validation": f"validation_{panel}"}
    return {label: _points(series[name]) for label, name in named.items() if name in series}


def _points(values: Array) -> Array:
    measured = np.flatnonzero(np.isfinite(values))
    return np.array([measured + 1, values[measured]])


def _curves(ax: Axes, panel: str, lines: dict[str, Array]) -> None:
    """Draw the lines of a panel, each ending in a marker with its name and last number."""
    for label, points in lines.items():
        ax.plot(*points, _STYLES[label], color=_COLORS[label], markersize=4, markevery=[-1])
    ax.set_ylabel(panel)
    ax.margins(x=0.01)
    if panel == "cost" and _falls_far(lines):
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter("{x:g}")
    open_frame(ax, grid="both")
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
    """Write the name of each line at its end.

    It is read faster there than in a legend. Two lines that end together are named above and below.
    """
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
