"""Which class was read as which."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from autonn.engine.tensor import Array
from autonn.plots.arguments import _classes, _same_length
from autonn.plots.style import _PALE, _figure, _write_margin
from autonn.training import count_readings

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def confusion_matrix(
    predicted: ArrayLike, actual: ArrayLike, *, classes: int = 10, ax: Axes | None = None
) -> Axes:
    """Draw which class was read as which: a row for each actual class, a column for each predicted.

    `predicted` and `actual` are (n,) class numbers below `classes`. Only the mistakes are coloured,
    for else the diagonal would drown them; at the right stands each row's recall, the share of that
    class which was read rightly. ValueError if lengths differ or a number isn't a class.

    >>> ax = confusion_matrix([0, 1, 1, 1], [0, 1, 1, 0], classes=2)
    >>> [text.get_text() for text in ax.texts]
    ['1', '1', '2']
    """
    guess = _classes("confusion_matrix: predicted", predicted, classes)
    truth = _classes("confusion_matrix: actual", actual, classes)
    _same_length("confusion_matrix", predicted=guess, actual=truth)
    counts = count_readings(truth, guess, classes)
    ax = _figure(*_matrix_size(counts)).subplots() if ax is None else ax
    _draw_counts(ax, counts)
    _draw_recall(ax, counts)
    right, total = int(np.trace(counts)), len(truth)
    ax.set_title(f"{right:,} of {total:,} right ({right / total:.1%})")
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
    ax.spines[:].set_color(_PALE)


def _colour_mistakes(ax: Axes, counts: Array) -> Array:
    diagonal = np.eye(len(counts))
    mistakes = np.where(diagonal, 0, counts)
    # Blank where nothing was mistaken; short of the darkest colours, for the numbers to be read.
    top = 1.3 * max(mistakes.max(), 1)
    image = ax.imshow(np.ma.masked_equal(mistakes, 0), cmap="Oranges", vmin=0, vmax=top)
    ax.imshow(np.ma.masked_equal(diagonal, 0), cmap="Greys", vmin=0, vmax=8)
    return image.to_rgba(mistakes)


def _write_counts(ax: Axes, counts: Array, papers: Array) -> None:
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
    _write_margin(ax, "recall", shares)
