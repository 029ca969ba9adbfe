"""What a network made of its pictures: its worst mistakes, and its probabilities as bars.

A number like 92 % right says how often it fails; these say at what, and how sure it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from autonn.engine.tensor import Array
from autonn.plots.arguments import (
    class_numbers,
    class_probabilities,
    finite_array,
    require,
    require_same_length,
)
from autonn.plots.grids import captions_of, digits
from autonn.plots.style import BLUE, PALE, VERMILION, new_axes, new_figure, open_frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from autonn.plots.style import Canvas


def worst_mistakes(
    images: ArrayLike,
    probabilities: ArrayLike,
    actual: ArrayLike,
    *,
    count: int = 25,
    figure: Canvas | None = None,
) -> Figure:
    """Draw the wrongly read pictures that the network was surest of, the surest first.

    Each is titled like "5 read as 3 (0.98)". Without a mistake the figure says so.

    Parameters
    ----------
    images
        (n, height, width), drawn as by `digits`.
    probabilities
        (n, classes), of which the largest decides.
    actual
        (n,) class numbers.
    count
        How many pictures are drawn at most.
    figure
        An empty figure or subfigure to draw into. The whole figure is returned.

    Raises
    ------
    ValueError
        If a shape or a length doesn't fit, a number isn't a class, or a probability is not within
        [0, 1].

    Examples
    --------
    >>> figure = worst_mistakes(np.ones((2, 20, 20)), [[0.1, 0.9], [0.2, 0.8]], [1, 0])
    >>> [ax.get_title() for ax in figure.axes]
    ['0 read as 1 (0.80)']
    """
    here = "worst_mistakes"
    pictures = finite_array(f"{here}: images", images, "n", "height", "width")
    chances = class_probabilities(here, probabilities, "n", "classes")
    truth = class_numbers(f"{here}: actual", actual, chances.shape[1])
    require_same_length(here, images=pictures, probabilities=chances, actual=truth)
    require(count >= 1, f"{here}: got count={count}, expected at least 1")
    mistakes = _by_confidence(chances, truth)
    if not mistakes.size:
        return _message(figure, f"No mistakes in {len(truth):,} picture{'s' * (len(truth) > 1)}")
    shown = mistakes[:count]
    titles = [_misreading(truth[i], chances[i]) for i in shown]
    return digits(pictures[shown], titles, figure=figure)


def _message(figure: Canvas | None, text: str) -> Figure:
    figure = new_figure(5.0, 1.5) if figure is None else figure
    figure.text(0.5, 0.5, text, ha="center", va="center", size=14)
    return figure.figure


def _by_confidence(chances: Array, truth: Array) -> Array:
    mistakes = np.flatnonzero(chances.argmax(axis=1) != truth)
    return mistakes[np.argsort(-chances[mistakes].max(axis=1), kind="stable")]


def _misreading(truth: int, chances: Array) -> str:
    return f"{truth} read as {chances.argmax()} ({chances.max():.2f})"


def probability_bars(
    probabilities: ArrayLike, *, actual: int | None = None, ax: Axes | None = None
) -> Axes:
    """Draw one prediction as bars, a bar for each class, the predicted class in colour.

    Parameters
    ----------
    probabilities
        (classes,), each within [0, 1].
    actual
        The actual class, where it is known: it is pointed out by name.
    ax
        The axes to draw on.

    Raises
    ------
    ValueError
        If a probability is not within [0, 1], or `actual` isn't a class.

    Examples
    --------
    >>> ax = probability_bars([0.1, 0.7, 0.2], actual=2)
    >>> [text.get_text() for text in ax.texts]
    ['0.10', '0.70 predicted', '0.20 actual']
    """
    chances = class_probabilities("probability_bars", probabilities, "classes")
    count, predicted = len(chances), int(chances.argmax())
    if actual is not None:
        class_numbers("probability_bars: actual", [actual], count)
    ax = new_axes(5.0, _bars_height(count)) if ax is None else ax
    bars = ax.barh(range(count), chances, color=PALE)
    bars[predicted].set_color(BLUE if actual in (None, predicted) else VERMILION)
    verdicts = _verdicts(predicted, actual)
    texts = [f"{chance:.2f} {verdicts.get(k, '')}".strip() for k, chance in enumerate(chances)]
    ax.bar_label(bars, texts, padding=3)
    ax.set(xlim=(0, 1), yticks=range(count), xlabel="probability", ylabel="class")
    ax.invert_yaxis()
    open_frame(ax)
    return ax


def _bars_height(count: int) -> float:
    return 0.8 + 0.28 * count


def _verdicts(predicted: int, actual: int | None) -> dict[int | None, str]:
    if predicted == actual:
        return {predicted: "right"}
    return {predicted: "predicted", actual: "actual"}


def readings(
    images: ArrayLike,
    probabilities: ArrayLike,
    titles: Iterable[object] | None = None,
    *,
    figure: Canvas | None = None,
) -> Figure:
    """Draw what the network saw beside what it made of it: in each row a picture and its bars.

    Parameters
    ----------
    images
        (n, height, width), drawn as by `digits`.
    probabilities
        (n, classes), drawn as by `probability_bars`.
    titles
        n texts or labels for the pictures.
    figure
        An empty figure or subfigure to draw into. The whole figure is returned.

    Raises
    ------
    ValueError
        If a shape, a length or a probability doesn't fit.

    Examples
    --------
    >>> figure = readings(np.ones((1, 20, 20)), [[0.1, 0.9]], ["photo.png"])
    >>> [ax.get_title() for ax in figure.axes]
    ['photo.png', '']
    """
    pictures = finite_array("readings: images", images, "n", "height", "width")
    chances = class_probabilities("readings", probabilities, "n", "classes")
    require_same_length("readings", images=pictures, probabilities=chances)
    captions = captions_of("readings", titles, len(pictures))
    if figure is None:
        figure = new_figure(8.0, len(pictures) * max(3.2, _bars_height(chances.shape[1])))
    rows = figure.subfigures(len(pictures), 1, squeeze=False)[:, 0]
    for row, picture, chance, caption in zip(rows, pictures, chances, captions, strict=True):
        seen, bars = row.subfigures(1, 2, width_ratios=[0.8, 1])
        digits(picture[None], [caption], figure=seen)
        probability_bars(chance, ax=bars.subplots())
    return figure.figure
