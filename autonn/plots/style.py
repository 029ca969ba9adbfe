"""What all pictures look like: the palette, the figure to draw into, frames and margins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# Two of Okabe and Ito's colours, which differ for every kind of colour vision. In grey print they
# are close: dashes, markers, frames and words always say the same.
_BLUE = "#0072B2"
_VERMILION = "#D55E00"
_PALE = "#D9D9D9"


# How classes look in a plane: six of their colours, each with a mark, and with its opacity in the
# area of the class. Such areas have the lightness L* = 72, 92, 82, 77, 87 and 96, which tells them
# apart in grey print too.
_MARKS = [
    ("#0072B2", "o", 0.50),
    ("#E69F00", "s", 0.25),
    ("#009E73", "^", 0.40),
    ("#D55E00", "D", 0.47),
    ("#56B4E9", "v", 0.42),
    ("#CC79A7", "P", 0.10),
]


def _figure(width: float, height: float) -> Figure:
    # A bare Figure, made without pyplot: it opens no window and goes when the caller drops it.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _open(ax: Axes, grid: Literal["x", "both"] | None = None) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    if grid:
        ax.grid(axis=grid, color=_PALE, linewidth=0.5)


def _write_margin(ax: Axes, label: str, texts: Sequence[str]) -> None:
    """Write a text at the right of each row."""
    margin = ax.secondary_yaxis("right")
    margin.set_yticks(range(len(texts)), texts)
    margin.set_ylabel(label)
    margin.tick_params(length=0)
    margin.spines[:].set_visible(False)
