"""Grids of pictures: digits with their titles, and what hidden units look for.

No picture is so small, and no title so long, that it could not be read.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from autonn.engine.tensor import Array
from autonn.plots.arguments import finite_array, mask_of, require
from autonn.plots.style import PALE, VERMILION, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from autonn.plots.style import Canvas


_CROSS = "\N{MULTIPLICATION SIGN}"


def grid_shape(count: int, columns: int | None = None) -> tuple[int, int]:
    """Choose the (rows, columns) of a grid for `count` pictures, square or somewhat wider.

    Among such shapes the one that leaves the fewest empty places wins; `columns` fixes the width
    instead.

    Raises
    ------
    ValueError
        If either number is below 1.

    Examples
    --------
    >>> grid_shape(25), grid_shape(10), grid_shape(10, columns=4)
    ((5, 5), (2, 5), (3, 4))
    """
    require(count >= 1, f"grid_shape: got count={count}, expected at least 1")
    if columns is None:
        widths = range(math.ceil(math.sqrt(count)), math.ceil(math.sqrt(2 * count)) + 1)
        columns = min(widths, key=lambda width: -count % width)
    require(columns >= 1, f"grid_shape: got columns={columns}, expected at least 1")
    return math.ceil(count / columns), columns


def digits(
    images: ArrayLike,
    titles: Iterable[object] | None = None,
    *,
    wrong: ArrayLike | None = None,
    columns: int | None = None,
    figure: Canvas | None = None,
) -> Figure:
    """Draw a grid of pictures, dark ink on white paper, each with its title.

    Parameters
    ----------
    images
        (n, height, width), where 0 and below is paper and the largest value is ink.
    titles
        n texts or labels, which are broken into lines if they are long.
    wrong
        n booleans: where it is true, the picture gets a thick frame and its title a cross.
    columns
        How many stand side by side; by default as `grid_shape` says, and fewer if titles are long.
    figure
        An empty figure or subfigure to draw into. The whole figure is returned.

    Raises
    ------
    ValueError
        If a shape or a length doesn't fit, or a number isn't finite.

    Examples
    --------
    >>> figure = digits(np.eye(20)[None], ["a stroke"])
    >>> figure.axes[0].get_title()
    'a stroke'
    """
    pictures = finite_array("digits: images", images, "n", "height", "width")
    count, height, width = pictures.shape
    mask = mask_of("digits: wrong", np.zeros(count, bool) if wrong is None else wrong, count)
    captions = _crossed(captions_of("digits", titles, count), mask)
    if columns is None:
        columns = min(grid_shape(count)[1], _columns_for(captions))
    rows, columns = grid_shape(count, columns)
    size = 16 if columns == 1 else 12 if columns <= 3 else 9
    across = _grid_width(columns) if figure is None else figure.bbox.width / figure.figure.dpi
    captions = [_wrapped(text, across / columns, size) for text in captions]
    if figure is None:
        figure = _grid_figure(rows, columns, height / width, captions)
    axes, ink = _picture_axes(figure, rows, columns, count), max(pictures.max(), 0)
    for ax, picture, caption, bad in zip(axes, pictures, captions, mask, strict=True):
        ax.imshow(picture, cmap="Greys", vmin=0, vmax=ink)
        _frame(ax, wrong=bad)
        _caption(ax, caption, size, wrong=bad)
    return figure.figure


def hidden_units(
    weight: ArrayLike, shape: tuple[int, int] | None = None, *, figure: Canvas | None = None
) -> Figure:
    """Draw what each hidden unit looks for: its row of weights, folded back into a picture.

    All units share one colour scale, symmetric about zero.

    Parameters
    ----------
    weight
        (units, inputs), without the bias.
    shape
        The (height, width) of the inputs, by default a square. They are unrolled column by column,
        as the digits are.
    figure
        An empty figure or subfigure to draw into. The whole figure is returned.

    Raises
    ------
    ValueError
        If the inputs don't fill the shape, or a weight isn't finite.

    Examples
    --------
    >>> figure = hidden_units([[0.5, -2.0, 1.0, 0.0], [2.0, 2.0, 0.0, 1.0]])
    >>> figure.axes[0].get_images()[0].get_array().tolist()
    [[0.5, 1.0], [-2.0, 0.0]]
    """
    rows_of_weights = finite_array("hidden_units: weight", weight, "units", "inputs")
    units, inputs = rows_of_weights.shape
    height, width = (math.isqrt(inputs),) * 2 if shape is None else shape
    require(
        height * width == inputs,
        f"hidden_units: got {inputs} inputs for a {height} x {width} picture, expected "
        f"{height * width}; give shape=(height, width), and leave the bias column out",
    )
    rows, columns = grid_shape(units)
    if figure is None:
        figure = _grid_figure(rows, columns, height / width, below=0.6)
    limit = _scale_limit(rows_of_weights)
    axes = _picture_axes(figure, rows, columns, units)
    for ax, row in zip(axes, rows_of_weights, strict=True):
        picture = row.reshape((height, width), order="F")
        image = ax.imshow(picture, cmap="PuOr_r", vmin=-limit, vmax=limit)
        _frame(ax)
    bar = figure.colorbar(image, ax=axes, location="bottom", extend="both", shrink=0.6, aspect=40)
    bar.set_label("weight")
    return figure.figure


def _grid_width(columns: int) -> float:
    return min(7.5, 3.5 * columns)


def _grid_figure(
    rows: int, columns: int, aspect: float, captions: Iterable[str] = (), below: float = 0.0
) -> Figure:
    """Make a figure for a grid of pictures, with captions above and something below them all."""
    width = _grid_width(columns)
    lines = max((text.count("\n") + 1 for text in captions if text), default=0)
    figure = new_figure(width, rows * (width / columns * aspect + 0.22 * lines) + below)
    # Matplotlib's usual margin of 3 points would be wide beside small pictures.
    margin = min(0.04167, width / columns / 18)
    figure.set_layout_engine("constrained", w_pad=margin, h_pad=margin)
    return figure


def _columns_for(captions: list[str]) -> int:
    """Return how many pictures can stand side by side, so that no caption runs into the next."""
    longest = max(len(line) for text in captions for line in text.split("\n"))
    return max(4, _letters_in(7.5, size=9) // max(longest, 1))


def _wrapped(text: str, width: float, size: int) -> str:
    """Break a caption into lines of a width in inches."""
    letters = max(1, _letters_in(width, size))
    return "\n".join(textwrap.fill(line, letters) for line in text.split("\n"))


def _letters_in(width: float, size: int) -> int:
    # A letter is on average 0.6 of its size wide, and 0.7 in bold.
    return int(width * 72 / (0.65 * size))


def _picture_axes(figure: Canvas, rows: int, columns: int, count: int) -> list[Axes]:
    """Make axes without ticks in reading order, and none where no picture is left."""
    bare: dict[str, Any] = {"xticks": [], "yticks": []}
    axes = figure.subplots(rows, columns, squeeze=False, subplot_kw=bare).ravel()
    for spare in axes[count:]:
        spare.remove()
    return list(axes[:count])


def captions_of(where: str, titles: Iterable[object] | None, count: int) -> list[str]:
    """Return a text for each picture, empty ones if there are no titles."""
    captions = [""] * count if titles is None else [str(title) for title in titles]
    require(
        len(captions) == count,
        f"{where}: got {len(captions)} titles, expected {count}, one for each image",
    )
    return captions


def _crossed(captions: list[str], mask: Array) -> list[str]:
    pairs = zip(captions, mask, strict=True)
    return [f"{_CROSS} {text}".strip() if wrong else text for text, wrong in pairs]


def _frame(ax: Axes, *, wrong: bool = False) -> None:
    # Thickness and the cross say "wrong" to a reader who can't tell the colours apart.
    ax.spines[:].set(color=VERMILION if wrong else PALE, linewidth=3.0 if wrong else 0.8)


def _caption(ax: Axes, text: str, size: int, *, wrong: bool) -> None:
    title = ax.set_title(text, size=size)
    if wrong:
        title.set(color=VERMILION, weight="bold")


def _scale_limit(weights: Array) -> float:
    # A few outliers would bleach all other weights, so the scale ends below them and is left open.
    sizes = np.abs(weights)
    return float(np.percentile(sizes, 99.5) or sizes.max() or 1.0)
