"""What a network made of its pictures: its worst mistakes, and its probabilities as bars."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from autonn.engine.tensor import Array
from autonn.plots.arguments import _array, _classes, _probabilities, _require, _same_length
from autonn.plots.grids import _captions, digits
from autonn.plots.style import _BLUE, _PALE, _VERMILION, _figure, _open

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    Canvas = Figure | SubFigure


def worst_mistakes(
    images: ArrayLike,
    probabilities: ArrayLike,
    actual: ArrayLike,
    *,
    count: int = 25,
    figure: Canvas | None = None,
) -> Figure:
    """Draw the wrongly read pictures that the network was surest of, the surest first.

    `images` is (n, height, width), `probabilities` (n, classes) and `actual` (n,) class numbers; at
    most `count` pictures are drawn, each titled like "5 read as 3 (0.98)". Without a mistake the
    figure says so. ValueError if a shape, a length, a class or a probability doesn't fit.

    >>> figure = worst_mistakes(np.ones((2, 20, 20)), [[0.1, 0.9], [0.2, 0.8]], [1, 0])
    >>> [ax.get_title() for ax in figure.axes]
    ['0 read as 1 (0.80)']
    """
    here = "worst_mistakes"
    pictures = _array(f"{here}: images", images, "n", "height", "width")
    chances = _probabilities(here, probabilities, "n", "classes")
    truth = _classes(f"{here}: actual", actual, chances.shape[1])
    _same_length(here, images=pictures, probabilities=chances, actual=truth)
    _require(count >= 1, f"{here}: got count={count}, expected at least 1")
    mistakes = _by_confidence(chances, truth)
    if not mistakes.size:
        return _message(figure, f"No mistakes in {len(truth):,} pictures")
    shown = mistakes[:count]
    titles = [_misreading(truth[i], chances[i]) for i in shown]
    return digits(pictures[shown], titles, figure=figure)


def _message(figure: Canvas | None, text: str) -> Figure:
    figure = _figure(5.0, 1.5) if figure is None else figure
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

    `probabilities` is (classes,); `actual`, where it is known, is pointed out by name. ValueError
    if a probability is not within [0, 1] or `actual` isn't a class.

    >>> ax = probability_bars([0.1, 0.7, 0.2], actual=2)
    >>> [text.get_text() for text in ax.texts]
    ['0.10', '0.70 predicted', '0.20 actual']
    """
    chances = _probabilities("probability_bars", probabilities, "classes")
    count, predicted = len(chances), int(chances.argmax())
    if actual is not None:
        _classes("probability_bars: actual", [actual], count)
    ax = _figure(5.0, _bars_height(count)).subplots() if ax is None else ax
    bars = ax.barh(range(count), chances, color=_PALE)
    bars[predicted].set_color(_BLUE if actual in (None, predicted) else _VERMILION)
    verdicts = _verdicts(predicted, actual)
    texts = [f"{chance:.2f} {verdicts.get(k, '')}".strip() for k, chance in enumerate(chances)]
    ax.bar_label(bars, texts, padding=3)
    ax.set(xlim=(0, 1), yticks=range(count), xlabel="probability", ylabel="class")
    ax.invert_yaxis()
    _open(ax)
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

    `images` is (n, height, width), drawn as by `digits`; `probabilities` is (n, classes), drawn as
    by `probability_bars`; `titles` holds n texts or labels for the pictures. ValueError if a shape,
    a length or a probability doesn't fit.

    >>> figure = readings(np.ones((1, 20, 20)), [[0.1, 0.9]], ["photo.png"])
    >>> [ax.get_title() for ax in figure.axes]
    ['photo.png', '']
    """
    pictures = _array("readings: images", images, "n", "height", "width")
    chances = _probabilities("readings", probabilities, "n", "classes")
    _same_length("readings", images=pictures, probabilities=chances)
    captions = _captions("readings", titles, len(pictures))
    if figure is None:
        figure = _figure(8.0, len(pictures) * max(3.2, _bars_height(chances.shape[1])))
    rows = figure.subfigures(len(pictures), 1, squeeze=False)[:, 0]
    for row, picture, chance, caption in zip(rows, pictures, chances, captions, strict=True):
        seen, bars = row.subfigures(1, 2, width_ratios=[0.8, 1])
        digits(picture[None], [caption], figure=seen)
        probability_bars(chance, ax=bars.subplots())
    return figure.figure
