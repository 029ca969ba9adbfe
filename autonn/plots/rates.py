"""The cost while the learning rate grew: where it falls, and from where on it is too much."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from autonn.plots.arguments import require
from autonn.plots.style import BLUE, VERMILION, new_figure, open_frame
from autonn.training.rates import RateSearch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from autonn.plots.style import Canvas


def rate_curve(found: RateSearch, *, figure: Canvas | None = None) -> Figure:
    """Draw the cost of each learning rate that `find_rate` tried, and the rate that it suggests.

    Parameters
    ----------
    found
        What `find_rate` returned.
    figure
        An empty figure or subfigure to draw into. The whole figure is returned.

    Raises
    ------
    TypeError, ValueError
        For anything else, and for a search of less than two steps.

    Examples
    --------
    >>> found = RateSearch([1e-3, 1e-2, 1e-1], [2.0, 1.5, 1.0], [2.0, 1.7, 1.4], 1e-2)
    >>> rate_curve(found).axes[0].get_xlabel()
    'learning rate'
    """
    if not isinstance(found, RateSearch):
        kind = type(found).__name__
        raise TypeError(f"rate_curve: got a {kind}, expected what find_rate returned")
    require(len(found) > 1, f"rate_curve: got {len(found)} rates, expected two or more")
    if figure is None:
        figure = new_figure(7.0, 3.6)
    ax = figure.subplots()
    open_frame(ax)
    ax.plot(found.rates, found.costs, ".", color=BLUE, alpha=0.4, label="cost of a batch")
    ax.plot(found.rates, found.smooth, "-", color=BLUE, label="moving mean")
    if found.suggestion is not None:
        height = float(np.interp(found.suggestion, found.rates, found.smooth))
        label = f"suggested: {found.suggestion:.2g}"
        ax.plot([found.suggestion], [height], "o", color=VERMILION, label=label)
    ax.set_xscale("log")
    highest = max(found.smooth)
    ax.set_ylim(top=highest + 0.1 * (highest - min(found.smooth)) if highest else None)
    ax.set_xlabel("learning rate")
    ax.set_ylabel("cost")
    ax.legend()
    return figure.figure
