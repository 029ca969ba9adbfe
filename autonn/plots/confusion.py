"""Which class was read as which.

Two networks that are right equally often may fail at different classes: here it can be seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from autonn.engine.tensor import Array
from autonn.plots.arguments import class_numbers, require_same_length
from autonn.plots.style import PALE, new_axes, score, write_margin
from autonn.training import count_readings

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def confusion_matrix(
    predicted: ArrayLike, actual: ArrayLike, *, classes: int = 10, ax: Axes | None = None
) -> Axes:
    """Draw which class was read as which: a row for each actual class, a column for each predicted.

    Only the mistakes are coloured, for else the diagonal would drown them. At the right stands each
    row's recall, the share of that class which was read rightly.

    Parameters
    ----------
    predicted, actual
        (n,) class numbers below `classes`.
    classes
        How many classes there are.
    ax
        The axes to draw on.

    Raises
    ------
    ValueError
        If lengths differ or a number isn't a class.

    Examples
    --------
    >>> ax = confusion_matrix([0, 1, 1, 1], [0, 1, 1, 0], classes=2)
    >>> [text.get_text() for text in ax.texts]
    ['1', '1', '2']
    """
    guess = class_numbers("confusion_matrix: predicted", predicted, classes)
    truth = class_numbers("confusion_matrix: actual", actual, classes)
    require_same_length("confusion_matrix", predicted=guess, actual=truth)
    counts = count_readings(truth, guess, classes)
    ax = new_axes(*_matrix_size(counts)) if ax is None else ax
    _draw_counts(ax, counts)
    _draw_recall(ax, counts)
    ax.set_title(score(int(np.trace(counts)), len(truth)))
    return ax


def _matrix_size(counts: Array) -> tuple[float, float]:
    # Of many classes no cell may be narrower than its number: a digit of 8 points takes 0.08 inch.
    side = max(5.5, len(counts) * (0.12 + 0.08 * len(f"{counts.max():,}")))
    return side + 1.5, side + 0.7


def _draw_counts(ax: Axes, counts: Array) -> None:
    classes = len(counts)
    _write_counts(ax, counts, _colour_mistakes(ax, counts))
    ax.set(xticks=range(classes), yticks=range(classes), xlabel="predicted", ylabel="actual")
    ax.tick_params(length=0)
    ax.spines[:].set_color(PALE)


def _colour_mistakes(ax: Axes, counts: Array) -> Array:
    """Colour the cells, and return the colour of each, (classes, classes, 4)."""
    diagonal = np.eye(len(counts))
    mistakes = np.where(diagonal, 0, counts)
    # Blank where nothing was mistaken; short of the darkest colours, for the numbers to be read.
    top = 1.3 * max(mistakes.max(), 1)
    image = ax.imshow(np.ma.masked_equal(mistakes, 0), cmap="Oranges", vmin=0, vmax=top)
    ax.imshow(np.ma.masked_equal(diagonal, 0), cmap="Greys", vmin=0, vmax=8)
    return image.to_rgba(mistakes)


def _write_counts(ax: Axes, counts: Array, papers: Array) -> None:
    """Write each count but 0 on the colour of its cell."""
    size = 10 if len(counts) <= 12 else 8
    for row, column in np.argwhere(counts):
        text, color = f"{counts[row, column]:,}", _ink_on(papers[row, column])
        ax.text(column, row, text, color=color, size=size, ha="center", va="center")


def _ink_on(paper: Array) -> str:
    # The eye's weights for linear red, green and blue; at 0.18 black and white read equally well.
    return "black" if paper[:3] ** 2.2 @ (0.2126, 0.7152, 0.0722) > 0.18 else "white"


def _draw_recall(ax: Axes, counts: Array) -> None:
    totals = counts.sum(axis=1)
    shares = [f"{counts[k, k] / total:.1%}" if total else "" for k, total in enumerate(totals)]
    write_margin(ax, "recall", shares)
