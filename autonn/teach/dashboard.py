"""The dashboard: one figure that tells how a network learns, drawn again and again.

It is made for speed, for it is drawn while others wait: all units are in one picture, all mistakes
in another, and the margins are set once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from autonn.engine.tensor import Array
from autonn.plots.style import BLUE, CLASS_STYLES, DARK, GREY, PALE, VERMILION, new_figure
from autonn.teach.vitals import Vitals
from autonn.training import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZES = {True: (11.0, 5.6), False: (8.6, 5.2)}  # with mistakes, and without; in inches
MOST_LINES, MOST_UNITS, MISTAKES = 8, 64, 12


class Seen(NamedTuple):
    """What is shown beside the curves, where the data are pictures or places in a plane."""

    units: Array | None = None  # (n, height, width): the weights of the first layer
    mistakes: Array | None = None  # (n, height, width): pictures, the worst first
    titles: Sequence[str] = ()
    wrong: int | None = None  # how many mistakes there are among the rows
    plane: tuple[Array, Array, Array, Array, Array] | None = None  # two sides, classes, X and y


class Dashboard:
    """A figure with a panel for each vital sign, and one for mistakes if there are pictures."""

    def __init__(self, figure: Figure | None = None, mistakes: bool = True) -> None:
        self.figure: Figure = new_figure(*SIZES[mistakes]) if figure is None else figure
        self.figure.set_layout_engine("none")
        self.figure.set_dpi(80)
        grid = self.figure.add_gridspec(
            2, 4 if mistakes else 3, left=0.06, right=0.985, top=0.93, bottom=0.1, wspace=0.32,
            hspace=0.42,
        )  # fmt: skip
        places = ("cost", "accuracy", "units"), ("gradients", "updates", "quiet")
        self.axes: dict[str, Axes] = {
            name: self.figure.add_subplot(grid[row, column])
            for row, names in enumerate(places)
            for column, name in enumerate(names)
        }
        if mistakes:
            self.axes["mistakes"] = self.figure.add_subplot(grid[:, 3])

    def draw(self, history: History, measured: Sequence[Vitals], seen: Seen) -> Figure:
        """Draw everything as it is now."""
        for ax in self.axes.values():
            _empty(ax)
        _curves(self.axes["cost"], "cost", history.cost, history.validation_cost)
        _curves(self.axes["accuracy"], "accuracy", history.accuracy, history.validation_accuracy)
        epochs = [vitals.epoch for vitals in measured]
        _by_layer(
            self.axes["gradients"], "log10 |gradient| / |weight|", epochs,
            [vitals.gradients for vitals in measured], np.log10,
        )  # fmt: skip
        _by_layer(
            self.axes["updates"], "log10 |update| / |weight|", epochs,
            [vitals.updates for vitals in measured], np.log10,
        )  # fmt: skip
        _by_layer(
            self.axes["quiet"], "dead or flat units", epochs,
            [vitals.quiet for vitals in measured], None,
        )  # fmt: skip
        if any(vitals.updates for vitals in measured):  # where a step is neither lost nor a leap
            self.axes["updates"].axhspan(-4, -2, color=PALE, alpha=0.5, zorder=0)
        self._pictures(seen)
        return self.figure

    def _pictures(self, seen: Seen) -> None:
        """Draw what the first layer looks for, or the plane; and the mistakes."""
        units, mistakes = self.axes["units"], self.axes.get("mistakes")
        if seen.plane is not None:
            _plane(units, *seen.plane)
        elif seen.units is not None:
            limit = float(np.percentile(np.abs(seen.units), 99.5)) or 1.0
            units.imshow(mosaic(seen.units / limit), cmap="PuOr_r", vmin=-1, vmax=1)
            _title(units, "hidden units")
        else:
            _nothing(units)
        if mistakes is None:
            return
        if seen.mistakes is None:
            _nothing(mistakes)
            return
        _title(mistakes, "worst mistakes" if len(seen.mistakes) else "no mistakes")
        if len(seen.mistakes):
            _named_pictures(mistakes, seen.mistakes, seen.titles)
            _title(mistakes, f"worst of {seen.wrong} mistakes")
        mistakes.set_axis_off()


def mosaic(pictures: Array, columns: int | None = None, gap: int = 1, empty: float = 0.0) -> Array:
    """Lay (n, height, width) pictures side by side in one, with a gap between.

    >>> mosaic(np.ones((3, 2, 2))).shape
    (5, 5)
    """
    n, height, width = pictures.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = -(-n // columns)
    whole = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), empty)
    for k, picture in enumerate(pictures):
        top, left = (k // columns) * (height + gap), (k % columns) * (width + gap)
        whole[top : top + height, left : left + width] = picture
    return whole


def _named_pictures(ax: Axes, pictures: Array, titles: Sequence[str]) -> None:
    """Draw pictures in three columns, each with its title above."""
    n, height, width = pictures.shape
    gap = max(2, height // 3)
    ink = max(float(pictures.max()), 1e-12)
    whole = mosaic(np.clip(pictures, 0, ink), 3, gap)
    ax.imshow(whole, cmap="Greys", vmin=0, vmax=ink)
    for k, title in enumerate(titles[:n]):
        x, y = (k % 3) * (width + gap) + width / 2, (k // 3) * (height + gap) - 1
        ax.text(x, y, title, ha="center", va="bottom", size=7, color=VERMILION)
    ax.set_ylim(whole.shape[0], -gap)


def _plane(ax: Axes, across: Array, up: Array, classes: Array, X: Array, y: Array) -> None:
    """Draw which class each place of a plane is taken for, and the examples."""
    from matplotlib.colors import ListedColormap

    colors = [color for color, *_ in CLASS_STYLES]
    extent = (across[0], across[-1], up[0], up[-1])
    ax.imshow(
        classes, extent=extent, origin="lower", aspect="auto", alpha=0.35,
        cmap=ListedColormap(colors), vmin=0, vmax=len(colors) - 1,
    )  # fmt: skip
    for k in range(int(y.max()) + 1):
        own = y == k
        ax.plot(*X[own].T, CLASS_STYLES[k % 6][1], color=colors[k % 6], markersize=3)
    _title(ax, "what it takes each place for")


def _curves(ax: Axes, name: str, own: Sequence[float], held_out: Sequence[float]) -> None:
    """Draw how a number went, in training and on held-out examples."""
    if not own and not held_out:
        _nothing(ax)
        return
    _plain(ax)
    for values, color, style, word in (
        (own, BLUE, "-", "training"),
        (held_out, VERMILION, "--", "held out"),
    ):
        if values:
            ax.plot(np.arange(1, len(values) + 1), values, style, color=color, label=word)
    last = own[-1] if own else held_out[-1]
    shown = f"{last:.1%}" if name == "accuracy" else f"{last:.4g}"
    _title(ax, f"{name} {shown}")
    positive = [value for value in (*own, *held_out) if value > 0]
    if name == "cost" and len(positive) == len(own) + len(held_out) and _falls_far(positive):
        ax.semilogy()
    if held_out:
        ax.legend(frameon=False, fontsize=7)


def _falls_far(values: Sequence[float]) -> bool:
    return max(values) > 30 * min(values)


def _by_layer(
    ax: Axes, title: str, epochs: Sequence[int], found: Sequence[dict[str, float]],
    scale: Callable[[Any], Any] | None,
) -> None:  # fmt: skip
    """Draw a line for each layer, the first dark and the last bright."""
    from matplotlib import colormaps

    names = list(dict.fromkeys(name for each in found for name in each))
    if not names:
        _nothing(ax)
        return
    if len(names) > MOST_LINES:
        chosen = np.linspace(0, len(names) - 1, MOST_LINES).astype(int)
        names = [names[k] for k in chosen]
    _plain(ax)
    colors = colormaps["viridis"](np.linspace(0, 0.85, len(names)))
    for name, color in zip(names, colors, strict=True):
        values = np.array([each.get(name, math.nan) for each in found])
        with np.errstate(divide="ignore"):
            values = scale(values) if scale else values
        values = np.where(np.isfinite(values), values, math.nan)
        style = "o-" if len(epochs) < 3 else "-"
        ax.plot(epochs, values, style, color=color, label=_short(name), markersize=3, linewidth=1.2)
    if scale is None:
        ax.set_ylim(-0.03, 1.03)
    _title(ax, title)
    ax.legend(frameon=False, fontsize=6.5, handlelength=1.2)


def _short(name: str) -> str:
    """Leave out of a layer's name what all have.

    >>> _short("model.1 Sigmoid()")
    '1 Sigmoid'
    """
    return name.removeprefix("model.").removesuffix("()")[:18]


def _empty(ax: Axes) -> None:
    """Take away what was drawn, and leave the ticks: `clear` makes them anew, in twice the time."""
    for artist in (*ax.lines, *ax.texts, *ax.images, *ax.patches, *ax.artists):
        artist.remove()
    legend = ax.get_legend()
    if legend is not None:
        legend.remove()
    ax.set_axis_on()
    ax.relim()
    ax.autoscale()


def _plain(ax: Axes) -> None:
    """Draw a pale grid with few numbers, once."""
    if ax.get_xlabel():
        return
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color=PALE, linewidth=0.5)
    ax.tick_params(labelsize=7, colors=DARK)
    ax.set_xlabel("epoch", size=7, color=GREY, labelpad=1)
    ax.locator_params(axis="x", integer=True, nbins=4, min_n_ticks=1)
    ax.locator_params(axis="y", nbins=4)


def _title(ax: Axes, text: str) -> None:
    ax.set_title(text, size=9, color=DARK, y=1.02)  # to look for the place takes a third of a draw
    if ax.images:
        ax.set(xticks=[], yticks=[])


def _nothing(ax: Axes) -> None:
    ax.set_axis_off()
