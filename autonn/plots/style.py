"""What all pictures look like: the palette, the figures that they are drawn on, frames, margins.

Every colour is taken from here. Matplotlib is imported when the first picture is asked for.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    Canvas = Figure | SubFigure

# ---- the palette

# Two of Okabe and Ito's colours, which differ for every kind of colour vision. In grey print they
# are close: dashes, markers, frames and words always say the same.
BLUE = "#0072B2"
VERMILION = "#D55E00"

# Their tints and greys: the paper of boxes, and what must not draw the eye.
PALE_BLUE = "#DCEFFB"
PALE_VERMILION = "#FDEBD9"
PALEST = "#F2F2F2"
PALE = "#D9D9D9"
GREY = "#666666"
DARK = "#444444"

# How classes look in a plane: six of their colours, each with a mark, and with its opacity in the
# area of the class. Such areas have the lightness L* = 72, 92, 82, 77, 87 and 96, which tells them
# apart in grey print too.
CLASS_STYLES = [
    (BLUE, "o", 0.50),
    ("#E69F00", "s", 0.25),
    ("#009E73", "^", 0.40),
    (VERMILION, "D", 0.47),
    ("#56B4E9", "v", 0.42),
    ("#CC79A7", "P", 0.10),
]

# ---- what they are drawn on


class _Shown:
    """What a notebook shows as a picture where it is the last value of a cell."""

    figure: Any

    def _repr_png_(self) -> bytes:
        """Return the bytes of a PNG, which is what IPython asks of a value that it shows."""
        png = io.BytesIO()
        self.figure.figure.savefig(png, format="png")
        return png.getvalue()


@cache
def _classes() -> dict[str, Any]:
    """Make the figure and the axes of Matplotlib that show themselves, once it is needed."""
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    bases = {"Picture": Figure, "PictureAxes": Axes}
    return {n: type(n, (_Shown, b), {"__module__": __name__}) for n, b in bases.items()}


def __getattr__(name: str) -> Any:
    """Find a class for pickle, which asks the module for it by name."""
    if name in ("Picture", "PictureAxes"):
        return _classes()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure of so many inches, which a notebook shows by itself.

    Made without pyplot, it opens no window and goes when the caller drops it.
    """
    figure: Figure = _classes()["Picture"](figsize=(width, height), layout="constrained")
    return figure


def new_axes(width: float, height: float) -> Axes:
    """Make the only axes of a new figure of so many inches; a notebook shows them as a picture."""
    axes: Axes = new_figure(width, height).add_subplot(axes_class=_classes()["PictureAxes"])
    return axes


# ---- frames, margins and titles


def open_frame(ax: Axes, grid: Literal["x", "both"] | None = None) -> None:
    """Leave out the frame at the top and the right, and draw a pale grid."""
    ax.spines[["top", "right"]].set_visible(False)
    if grid:
        ax.grid(axis=grid, color=PALE, linewidth=0.5)


def write_margin(ax: Axes, label: str, texts: Sequence[str]) -> None:
    """Write a text at the right of each row."""
    margin = ax.secondary_yaxis("right")
    margin.set_yticks(range(len(texts)), texts)
    margin.set_ylabel(label)
    margin.tick_params(length=0)
    margin.spines[:].set_visible(False)


def score(right: int, total: int) -> str:
    """Say how many were right, and which share that is.

    >>> score(4120, 5000)
    '4,120 of 5,000 right (82.4%)'
    """
    return f"{right:,} of {total:,} right ({right / total:.1%})"
