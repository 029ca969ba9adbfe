"""Pictures, because a network that can be looked at is a network that can be understood.

What a network learned is drawn from plain arrays; how it learns, from the model or the loss itself.
Every function gives back a Matplotlib figure, or the axes it drew on; showing and saving are the
caller's (`figure.savefig("digits.png")`). Nothing here needs a display, touches Matplotlib's global
state, or imports Matplotlib before a picture is asked for.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import ArrayLike

from autonn.diagram import _BLUE, _VERMILION, _norm, computation_graph
from autonn.engine.modes import no_grad
from autonn.engine.tensor import Array, Tensor
from autonn.nn.module import Module
from autonn.training import SERIES, History, Loss, count_readings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    Canvas = Figure | SubFigure

__all__ = [
    "computation_graph",
    "confusion_matrix",
    "decision_boundary",
    "digits",
    "gradient_flow",
    "grid_shape",
    "hidden_units",
    "learning_curve",
    "loss_surface",
    "probability_bars",
    "readings",
    "worst_mistakes",
]

_PALE = "#D9D9D9"
_CROSS = "\N{MULTIPLICATION SIGN}"
_COLORS = {"training": _BLUE, "validation": _VERMILION}
_STYLES = {"training": "o-", "validation": "s--"}

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


def grid_shape(count: int, columns: int | None = None) -> tuple[int, int]:
    """Choose the (rows, columns) of a grid for `count` pictures, square or somewhat wider.

    Among such shapes the one that leaves the fewest empty places wins; `columns` fixes the width
    instead. ValueError if either number is below 1.

    >>> grid_shape(25), grid_shape(10), grid_shape(10, columns=4)
    ((5, 5), (2, 5), (3, 4))
    """
    _require(count >= 1, f"grid_shape: got count={count}, expected at least 1")
    if columns is None:
        widths = range(math.ceil(math.sqrt(count)), math.ceil(math.sqrt(2 * count)) + 1)
        columns = min(widths, key=lambda width: -count % width)
    _require(columns >= 1, f"grid_shape: got columns={columns}, expected at least 1")
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

    `images` is (n, height, width), where 0 and below is paper and the largest value is ink.
    `titles` holds n texts or labels, which are broken into lines if they are long; where `wrong`, n
    booleans, is true, the picture gets a thick frame and its title a cross. `figure` is an empty
    figure or subfigure to draw into. Returns the whole figure. ValueError if a shape or a length
    doesn't fit.

    >>> figure = digits(np.eye(20)[None], ["a stroke"])
    >>> figure.axes[0].get_title()
    'a stroke'
    """
    pictures = _array("digits: images", images, "n", "height", "width")
    count, height, width = pictures.shape
    mask = _mask("digits: wrong", np.zeros(count, bool) if wrong is None else wrong, count)
    captions = _crossed(_captions("digits", titles, count), mask)
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


def hidden_units(
    weight: ArrayLike, shape: tuple[int, int] | None = None, *, figure: Canvas | None = None
) -> Figure:
    """Draw what each hidden unit looks for: its row of weights, folded back into a picture.

    `weight` is (units, inputs), without the bias; `shape` is the (height, width) of the inputs, by
    default a square, unrolled column by column as the digits are. All units share one colour scale,
    symmetric about zero. ValueError if the inputs don't fill the shape.

    >>> figure = hidden_units([[0.5, -2.0, 1.0, 0.0], [2.0, 2.0, 0.0, 1.0]])
    >>> figure.axes[0].get_images()[0].get_array().tolist()
    [[0.5, 1.0], [-2.0, 0.0]]
    """
    rows_of_weights = _array("hidden_units: weight", weight, "units", "inputs")
    units, inputs = rows_of_weights.shape
    height, width = (math.isqrt(inputs),) * 2 if shape is None else shape
    _require(
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


def learning_curve(
    history: History | Mapping[str, ArrayLike],
    *,
    xlabel: str = "iteration",
    figure: Canvas | None = None,
) -> Figure:
    """Draw how the cost fell and the accuracy rose, in training and on the validation examples.

    `history` is what `fit` returns, or maps "cost", "validation_cost", "accuracy" and
    "validation_accuracy" (fractions of 1) to one number for each iteration; other keys are ignored,
    as are missing and empty ones, and NaN marks an iteration that wasn't measured. Accuracies get a
    panel of their own below the cost, which is on a logarithmic scale where it falls to less than a
    hundredth. ValueError if there is nothing to draw, lengths differ, or an accuracy is not within
    [0, 1]; TypeError for anything but a history or a mapping.

    >>> figure = learning_curve({"cost": [7.0, 2.0, 1.0], "accuracy": [0.1, 0.6, 0.8]})
    >>> [ax.get_ylabel() for ax in figure.axes]
    ['cost', 'accuracy']
    """
    measured = vars(history) if isinstance(history, History) else history
    series = _series(measured)
    panels = [name for name in ("cost", "accuracy") if _lines_of(name, series)]
    _require(
        bool(panels),
        f"learning_curve: got {sorted(measured)} without a number to draw, "
        f"expected some of {', '.join(SERIES)}",
    )
    if figure is None:
        figure = _figure(7.0, 1.0 + 2.4 * len(panels))
    axes = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for ax, name in zip(axes, panels, strict=True):
        _curves(ax, name, _lines_of(name, series))
    axes[-1].set_xlabel(xlabel)
    return figure.figure


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


def decision_boundary(
    model: Module, X: ArrayLike, y: ArrayLike, *, points: int = 300, ax: Axes | None = None
) -> Axes:
    """Draw which class the model takes each place of a plane for, and the examples on top.

    `X` is (n, 2), the place of each example, and `y` (n,) its class number. The model returns a
    number for each class, logit or probability, of which the largest decides; it is asked in
    evaluation mode, on a grid of `points` x `points`. Each class has a colour and a mark of its
    own, and examples that are taken for another class are ringed in black. TypeError if the model
    is no module; ValueError if it tells fewer than 2 or more than 6 classes apart, if a shape or a
    length doesn't fit, or a number isn't a class.

    >>> from autonn import Layer
    >>> ax = decision_boundary(Layer(2, 2, weight=np.eye(2)), [[1, 0], [0, 1], [2, 3]], [0, 1, 0])
    >>> ax.get_title()
    '2 of 3 right (66.7%)'
    """
    here = "decision_boundary"
    _parameters(here, model)
    places = _array(f"{here}: X", X, "n", "2")
    _require(places.shape[1] == 2, f"{here}: X has shape {places.shape}, expected (n, 2)")
    _require(points >= 2, f"{here}: got points={points}, expected at least 2")
    scores = _scores(model, places)
    truth = _classes(f"{here}: y", y, scores.shape[1])
    _same_length(here, X=places, y=truth)
    right = scores.argmax(axis=1) == truth
    ax = _figure(6.4, 5.4).subplots() if ax is None else ax
    _draw_areas(ax, model, [_stretch(column, points) for column in places.T])
    _draw_examples(ax, places, truth, right, scores.shape[1])
    count, total = np.count_nonzero(right), len(truth)
    title = f"{count:,} of {total:,} right ({count / total:.1%})"
    ax.set(title=title, xlabel="X[:, 0]", ylabel="X[:, 1]")
    return ax


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


def _figure(width: float, height: float) -> Figure:
    # A bare Figure, made without pyplot: it opens no window and goes when the caller drops it.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _bars_height(count: int) -> float:
    return 0.8 + 0.28 * count


def _grid_width(columns: int) -> float:
    return min(7.5, 3.5 * columns)


def _grid_figure(
    rows: int, columns: int, aspect: float, captions: Iterable[str] = (), below: float = 0.0
) -> Figure:
    """Make a figure for a grid of pictures, with captions above and something below them all."""
    width = _grid_width(columns)
    lines = max((text.count("\n") + 1 for text in captions if text), default=0)
    figure = _figure(width, rows * (width / columns * aspect + 0.22 * lines) + below)
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
    bare: dict[str, Any] = {"xticks": [], "yticks": []}
    axes = figure.subplots(rows, columns, squeeze=False, subplot_kw=bare).ravel()
    for spare in axes[count:]:
        spare.remove()
    return list(axes[:count])


def _captions(where: str, titles: Iterable[object] | None, count: int) -> list[str]:
    captions = [""] * count if titles is None else [str(title) for title in titles]
    _require(
        len(captions) == count,
        f"{where}: got {len(captions)} titles, expected {count}, one for each image",
    )
    return captions


def _crossed(captions: list[str], mask: Array) -> list[str]:
    pairs = zip(captions, mask, strict=True)
    return [f"{_CROSS} {text}".strip() if wrong else text for text, wrong in pairs]


def _frame(ax: Axes, *, wrong: bool = False) -> None:
    # Thickness and the cross say "wrong" to a reader who can't tell the colours apart.
    ax.spines[:].set(color=_VERMILION if wrong else _PALE, linewidth=3.0 if wrong else 0.8)


def _caption(ax: Axes, text: str, size: int, *, wrong: bool) -> None:
    title = ax.set_title(text, size=size)
    if wrong:
        title.set(color=_VERMILION, weight="bold")


def _scale_limit(weights: Array) -> float:
    # A few outliers would bleach all other weights, so the scale ends below them and is left open.
    sizes = np.abs(weights)
    return float(np.percentile(sizes, 99.5) or sizes.max() or 1.0)


def _message(figure: Canvas | None, text: str) -> Figure:
    figure = _figure(5.0, 1.5) if figure is None else figure
    figure.text(0.5, 0.5, text, ha="center", va="center", size=14)
    return figure.figure


def _by_confidence(chances: Array, truth: Array) -> Array:
    mistakes = np.flatnonzero(chances.argmax(axis=1) != truth)
    return mistakes[np.argsort(-chances[mistakes].max(axis=1), kind="stable")]


def _misreading(truth: int, chances: Array) -> str:
    return f"{truth} read as {chances.argmax()} ({chances.max():.2f})"


def _series(history: Mapping[str, ArrayLike]) -> dict[str, Array]:
    if not isinstance(history, Mapping):
        kind = type(history).__name__
        raise TypeError(f'learning_curve: got a {kind}, expected a mapping like {{"cost": [...]}}')
    known = [name for name in SERIES if history.get(name) is not None]
    series = {name: _measurements(name, history[name]) for name in known}
    given = {name: values for name, values in series.items() if np.isfinite(values).any()}
    _same_length("learning_curve", **given)
    return given


def _measurements(name: str, values: ArrayLike) -> Array:
    where, numbers = f"learning_curve: {name}", np.asarray(values, dtype=float)
    _require(numbers.ndim == 1, f"{where} has shape {numbers.shape}, expected (iterations,)")
    if name.endswith("accuracy"):
        _fractions(where, numbers[np.isfinite(numbers)])
    return numbers


def _lines_of(panel: str, series: dict[str, Array]) -> dict[str, Array]:
    named = {"training": panel, "validation": f"validation_{panel}"}
    return {label: _points(series[name]) for label, name in named.items() if name in series}


def _points(values: Array) -> Array:
    measured = np.flatnonzero(np.isfinite(values))
    return np.array([measured + 1, values[measured]])


def _curves(ax: Axes, panel: str, lines: dict[str, Array]) -> None:
    for label, points in lines.items():
        ax.plot(*points, _STYLES[label], color=_COLORS[label], markersize=4, markevery=[-1])
    ax.set_ylabel(panel)
    ax.margins(x=0.01)
    if panel == "cost" and _falls_far(lines):
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter("{x:g}")
    _open(ax, grid="both")
    ax.locator_params(axis="x", integer=True, min_n_ticks=1)
    if panel == "accuracy":
        _percent(ax)
    _name_ends(ax, lines, "{:.1%}" if panel == "accuracy" else "{:.3g}")


def _open(ax: Axes, grid: Literal["x", "both"] | None = None) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    if grid:
        ax.grid(axis=grid, color=_PALE, linewidth=0.5)


def _falls_far(lines: dict[str, Array]) -> bool:
    values = np.concatenate([points[1] for points in lines.values()])
    return bool(0 < 100 * values.min() < values.max())


def _percent(ax: Axes) -> None:
    from matplotlib.ticker import PercentFormatter

    ax.yaxis.set_major_formatter(PercentFormatter(1.0))


def _name_ends(ax: Axes, lines: dict[str, Array], number: str) -> None:
    # A name at the end of its line is read faster than a legend, but two lines may end together.
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


def _write_margin(ax: Axes, label: str, texts: Sequence[str]) -> None:
    """Write a text at the right of each row."""
    margin = ax.secondary_yaxis("right")
    margin.set_yticks(range(len(texts)), texts)
    margin.set_ylabel(label)
    margin.tick_params(length=0)
    margin.spines[:].set_visible(False)


def _scores(model: Module, places: Array) -> Array:
    here = "decision_boundary"
    scores = _array(f"{here}: the model's output", model.predict(places), "n", "classes")
    classes, most = scores.shape[1], len(_MARKS)
    _require(
        2 <= classes <= most,
        f"{here}: the model's output has shape {scores.shape}, expected (n, 2) to (n, {most}): "
        "a number for each class",
    )
    return scores


def _stretch(column: Array, points: int) -> Array:
    """Return so many numbers in equal steps, from below the least to above the largest."""
    low, high = float(column.min()), float(column.max())
    margin = 0.08 * (high - low) or 1.0
    return np.linspace(low - margin, high + margin, points)


def _draw_areas(ax: Axes, model: Module, sides: Sequence[Array]) -> None:
    grid = np.stack(np.meshgrid(*sides), axis=-1)
    scores = _scores(model, grid.reshape(-1, 2)).reshape(*grid.shape[:2], -1)
    for k, (color, _, opacity) in enumerate(_MARKS[: scores.shape[2]]):
        # By how much the class leads, a smooth function: the boundary has no stairs.
        lead = scores[..., k] - np.delete(scores, k, axis=2).max(axis=2)
        if lead.max() > 0:
            ax.contourf(*sides, lead, [0, lead.max()], colors=[color], alpha=opacity)
        if lead.min() < 0 < lead.max():
            ax.contour(*sides, lead, [0], colors="black", linewidths=0.6)


def _draw_examples(ax: Axes, places: Array, truth: Array, right: Array, classes: int) -> None:
    look: dict[str, Any] = {"linestyle": "none", "markersize": 7}
    ringed: dict[str, Any] = look | {"markeredgecolor": "black", "markeredgewidth": 2}
    look["markeredgecolor"] = "white"
    for k, (color, mark, _) in enumerate(_MARKS[:classes]):
        own = truth == k
        ax.plot(*places[own & right].T, mark, color=color, label=f"{k}", **look)
        ax.plot(*places[own & ~right].T, mark, color=color, **ringed)
    if not right.all():
        ax.plot([], [], "o", color="white", label="wrong", **ringed)
    ax.legend(title="class", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)


def _verdicts(predicted: int, actual: int | None) -> dict[int | None, str]:
    if predicted == actual:
        return {predicted: "right"}
    return {predicted: "predicted", actual: "actual"}


def _require(fits: bool, message: str) -> None:
    if not fits:
        raise ValueError(message)


def _array(where: str, values: ArrayLike, *axes: str) -> Array:
    array = np.asarray(values)
    shape = ", ".join(axes) + ("," if len(axes) == 1 else "")
    _require(
        array.ndim == len(axes) and array.size > 0,
        f"{where} has shape {array.shape}, expected ({shape}), not empty",
    )
    _require(
        array.dtype.kind in "biuf" and bool(np.isfinite(array).all()),
        f"{where} ({array.dtype}) holds something else than finite real numbers",
    )
    return array


def _mask(where: str, values: ArrayLike, count: int) -> Array:
    mask = np.asarray(values)
    _require(
        mask.dtype == bool and mask.shape == (count,),
        f"{where} is {mask.dtype} of shape {mask.shape}, expected bool of shape ({count},)",
    )
    return mask


def _classes(where: str, values: ArrayLike, classes: int) -> Array:
    numbers = _array(where, values, "n")
    _require(numbers.dtype.kind in "iu", f"{where} is {numbers.dtype}, expected whole numbers")
    low, high = numbers.min(), numbers.max()
    _require(
        low >= 0 and high < classes,
        f"{where} holds {low} to {high}, expected classes from 0 to {classes - 1}",
    )
    # A uint8 label would overflow where classes are counted.
    return numbers.astype(np.intp)


def _fractions(where: str, values: Array) -> Array:
    # float32 softmax may pass 1 by a rounding error; a logit or a percentage passes it by far.
    if values.size:
        low, high = values.min(), values.max()
        _require(
            bool(low > -1e-5 and high < 1 + 1e-5),
            f"{where} holds {low:g} to {high:g}, expected numbers within [0, 1]",
        )
    return values


def _probabilities(function: str, values: ArrayLike, *axes: str) -> Array:
    where = f"{function}: probabilities"
    return _fractions(where, _array(where, values, *axes))


def _same_length(where: str, **arrays: Array) -> None:
    lengths = ", ".join(f"{len(array)} {name}" for name, array in arrays.items())
    _require(
        len({len(array) for array in arrays.values()}) <= 1,
        f"{where}: got {lengths}, expected equally many",
    )


# ---- gradients, layer by layer


def gradient_flow(model: Module, *, ax: Axes | None = None) -> Axes:
    """Draw how large the gradient is at each parameter, from the first layer to the last.

    Call it after `backward()`. Each row spans the 5th to the 95th percentile of |gradient| without
    its zeros, thick between the quartiles, with a dot (of biases a square) at the median; where it
    goes on for more than three powers of ten below all quartiles, it leaves the picture. At the
    right stands ||gradient|| / ||parameter||. Rows that drift to the left towards the first layer
    are a gradient that vanishes. TypeError if `model` isn't a module, ValueError if it has no
    parameters, RuntimeError if none of them has a gradient.

    >>> from autonn import Layer
    >>> layer = Layer(2, 1, weight=[[3.0, 4.0]])
    >>> np.sum(layer(np.array([[0.6, 0.8]]))).backward()
    >>> ax = gradient_flow(layer)
    >>> [label.get_text() for label in ax.child_axes[0].get_yticklabels()]
    ['0.2', 'parameter 0']
    """
    parameters = _parameters("gradient_flow", model)
    _require_gradients(parameters)
    weights = {id(weight) for weight in model.weights()}
    sizes = [_gradient_sizes(parameter) for parameter in parameters.values()]
    ax = _figure(7.0, max(2.2, 1.0 + 0.3 * len(parameters))).subplots() if ax is None else ax
    for row, parameter in enumerate(parameters.values()):
        _draw_sizes(ax, row, sizes[row], bias=id(parameter) not in weights)
    _label_flow(ax, parameters, sizes)
    return ax


def _parameters(where: str, model: Module) -> dict[str, Tensor]:
    if not isinstance(model, Module):
        raise TypeError(f"{where}: got a {type(model).__name__}, expected a Module")
    parameters = model.named_parameters()
    _require(bool(parameters), f"{where}: {model!r} has no parameters, expected at least one")
    return parameters


def _require_gradients(parameters: Mapping[str, Tensor]) -> None:
    if all(parameter.grad is None for parameter in parameters.values()):
        raise RuntimeError(
            f"gradient_flow: no parameter has a gradient ({', '.join(parameters)}); "
            "call loss.backward() first, and zero_grad() only after the picture"
        )


def _gradient(parameter: Tensor) -> Array | None:
    grad = parameter.grad  # after backward(create_graph=True) it is a Tensor
    return cast("Array | None", grad._data if isinstance(grad, Tensor) else grad)


def _gradient_sizes(parameter: Tensor) -> Array:
    """Return |gradient| where that is a point of a logarithmic axis."""
    gradient = _gradient(parameter)
    sizes = np.abs(np.zeros(0) if gradient is None else gradient.ravel())
    return sizes[np.isfinite(sizes) & (sizes > 0)]


def _draw_sizes(ax: Axes, row: int, sizes: Array, *, bias: bool) -> None:
    if sizes.size:
        low, lower, middle, upper, high = np.percentile(sizes, (5, 25, 50, 75, 95))
        color, marker = (_VERMILION, "s") if bias else (_BLUE, "o")
        ax.plot([low, high], [row, row], "-|", color=color, linewidth=1.2, markersize=6)
        ax.plot([lower, upper], [row, row], color=color, linewidth=5, solid_capstyle="butt")
        ax.plot(middle, row, marker, color="white", markeredgecolor=color, markersize=7)


_FLOW_LABEL = "|gradient|: 5th to 95th percentile, quartiles, median"


def _label_flow(ax: Axes, parameters: Mapping[str, Tensor], sizes: Sequence[Array]) -> None:
    from matplotlib.ticker import LogLocator

    ax.set(yticks=range(len(parameters)), yticklabels=list(parameters), xlabel=_FLOW_LABEL)
    ax.set_ylim(len(parameters) - 0.5, -0.5)
    ax.set_xscale("log")
    ax.set_xlim(_decades(sizes))
    ax.xaxis.set_major_locator(LogLocator(numticks=7))  # more would touch each other
    ax.xaxis.set_major_formatter("{x:g}")
    if len(parameters) > 30:  # the foot is out of sight from the first rows
        ax.tick_params(axis="x", top=True, labeltop=True)
    _open(ax, grid="x")
    _write_margin(ax, "||gradient||\n/ ||parameter||", [_relative(p) for p in parameters.values()])


def _decades(sizes: Sequence[Array]) -> tuple[float, float]:
    """Return the powers of ten around what is drawn, two at least, for the axis to have ticks.

    Pixels that are nearly always blank give a tail of tiny gradients, which would take the room.
    """
    drawn = [np.percentile(some, (5, 25, 95)) for some in sizes if some.size] or [np.ones(3)]
    lows, quartiles, highs = np.transpose(drawn)
    low = math.log10(max(lows.min(), quartiles.min() / 1000)) - 0.1  # 0.1 for the markers
    first = max(math.floor(low), -300)  # 10^-324 is 0
    last = math.ceil(math.log10(highs.max()) + 0.1)
    return 10.0**first, 10.0 ** max(last, first + 1)


def _relative(parameter: Tensor) -> str:
    gradient = _gradient(parameter)
    if gradient is None:
        return "no gradient"
    bad, zero = np.count_nonzero(~np.isfinite(gradient)), np.count_nonzero(gradient == 0)
    if bad:
        return f"NaN or inf in {bad:,} of {gradient.size:,}"
    size = _norm(parameter._data)
    ratio = f"{_norm(gradient) / size:.2g}" if size else "parameter 0"
    return f"{ratio}, {zero / gradient.size:.0%} zero" if zero else ratio


# ---- the loss surface


def loss_surface(
    model: Module,
    loss: Loss,
    X: ArrayLike,
    y: ArrayLike,
    *,
    directions: int | Sequence[Sequence[ArrayLike]] = 2,
    rng: np.random.Generator | int | None = None,
    span: float = 1.0,
    points: int = 25,
    ax: Axes | None = None,
) -> Axes:
    """Draw the loss in the neighbourhood of the parameters, ``J(theta + a d1 + b d2)``.

    Along one direction it is a curve, along two a map with its lines of equal loss. Random
    directions are normalised filter by filter, after Li et al., "Visualizing the loss landscape of
    neural nets" (2018): each unit's row of weights gets a random direction of the row's own norm,
    and biases stay, so that pictures of different networks can be compared.

    Parameters
    ----------
    model, loss, X, y
        As for `fit`; the loss is computed in evaluation mode, without a graph. The parameters come
        back as they were, also after an exception.
    directions
        1 or 2, to be drawn at random; or one or two directions, each an array for every parameter,
        in the order of ``model.parameters()``, which are used as they are.
    rng
        A `numpy.random.Generator`, or a seed for one.
    span
        a and b run from -span to span.
    points
        How many values each of them takes; an odd number has 0 among them. A map takes
        points^2 evaluations of the loss.
    ax
        The axes to draw on.

    Raises
    ------
    TypeError, ValueError
        If `model` isn't a module or has no parameters; if the directions are neither one nor two,
        don't fit the parameters, or are zero; if no loss on the slice is finite.

    Examples
    --------
    >>> from autonn import Layer, MeanSquaredError
    >>> layer = Layer(1, 1, weight=[[1.0]])
    >>> data = layer, MeanSquaredError(), np.ones((4, 1)), np.ones((4, 1))
    >>> ax = loss_surface(*data, directions=[[[[1.0]], [0.0]]], points=3)
    >>> ax.get_lines()[0].get_ydata()
    array([1., 0., 1.])
    """
    here = "loss_surface"
    parameters = _parameters(here, model)
    _require(points >= 2, f"{here}: got points={points}, expected at least 2")
    _require(0 < span < math.inf, f"{here}: got span={span}, expected a number above 0, finite")
    if isinstance(directions, int):
        ways = _random_directions(model, directions, np.random.default_rng(rng))
    else:
        ways = [_given_direction(parameters, way) for way in directions]
    _check_directions(ways)
    steps = np.linspace(-span, span, points)
    centre, heights = _heights(model, lambda: loss(model(X), y), ways, steps)
    _require(bool(np.isfinite(heights).any()), f"{here}: no loss on the slice is finite")
    ax = _figure(6.4, 3.6 if len(ways) == 1 else 5.2).subplots() if ax is None else ax
    (_draw_slice if len(ways) == 1 else _draw_map)(ax, steps, heights, centre)
    return ax


Direction = list[Array]  # an array for each parameter


def _random_directions(model: Module, count: int, rng: np.random.Generator) -> list[Direction]:
    weights = {id(weight) for weight in model.weights()}
    return [
        [
            _filter_normalised(rng.standard_normal(parameter.shape), parameter._data)
            if id(parameter) in weights
            else np.zeros(parameter.shape)
            for parameter in model.parameters()
        ]
        for _ in range(count)
    ]


def _filter_normalised(direction: Array, weight: Array) -> Array:
    """Give each unit's part of a direction the norm of that unit's weights."""
    axes = tuple(range(1, weight.ndim)) or None

    def norms(array: Array) -> Array:
        return cast(Array, np.sqrt(np.sum(np.square(array), axis=axes, keepdims=True)))

    drawn = norms(direction)
    return direction * (norms(weight) / np.where(drawn == 0, 1, drawn))


def _given_direction(parameters: Mapping[str, Tensor], way: Sequence[ArrayLike]) -> Direction:
    arrays = [np.asarray(array, dtype=float) for array in way]
    shapes = [array.shape for array in arrays]
    expected = [parameter.shape for parameter in parameters.values()]
    _require(
        shapes == expected,
        f"loss_surface: got a direction of shapes {shapes}, expected {expected}, "
        f"an array for each of {', '.join(parameters)}",
    )
    return arrays


def _check_directions(ways: Sequence[Direction]) -> None:
    _require(len(ways) in (1, 2), f"loss_surface: got {len(ways)} directions, expected one or two")
    for k, way in enumerate(ways, 1):
        lengths = [_norm(array) for array in way]
        _require(
            0 < sum(lengths) < math.inf,
            f"loss_surface: direction {k} has norms {lengths}, expected finite ones, not all 0; "
            "a random direction is 0 where the weights are: initialise them first",
        )


def _heights(
    model: Module, evaluate: Callable[[], Any], ways: Sequence[Direction], steps: Array
) -> tuple[float, Array]:
    """Compute the loss where the parameters are, and at every point of the slice."""
    parameters = model.parameters()
    heights = np.empty((len(steps),) * len(ways))
    # A slice goes on purpose to where a loss may be infinite; such points are left blank.
    quiet = np.errstate(divide="ignore", over="ignore", invalid="ignore")
    with _restoring(parameters) as starts, model.evaluating(), no_grad(), quiet:
        centre = float(evaluate())
        for index in np.ndindex(heights.shape):
            for k, (parameter, start) in enumerate(zip(parameters, starts, strict=True)):
                shift = sum(steps[i] * way[k] for i, way in zip(index, ways, strict=True))
                parameter._data = (start + shift).astype(start.dtype)
            heights[index] = float(evaluate())
    return centre, np.where(np.isfinite(heights), heights, np.nan)


@contextmanager
def _restoring(parameters: Sequence[Tensor]) -> Iterator[list[Array]]:
    """Give the parameters their very arrays back, which a waiting graph may look for."""
    before = [parameter._data for parameter in parameters]
    try:
        yield before
    finally:
        for parameter, array in zip(parameters, before, strict=True):
            parameter._data = array


def _draw_slice(ax: Axes, steps: Array, heights: Array, centre: float) -> None:
    ax.plot(steps, heights, color=_BLUE)
    ax.set(xlabel="step along the direction", ylabel="loss")
    _open(ax, grid="both")
    _mark_centre(ax, 0, centre, centre)


def _draw_map(ax: Axes, steps: Array, heights: Array, centre: float) -> None:
    from matplotlib.colors import BoundaryNorm

    values, levels = np.ma.masked_invalid(heights.T), _levels(heights)
    norm = BoundaryNorm(levels, 256)
    ticks = levels[::2] if len(levels) > 2 else levels[:0]  # those of a flat one mean nothing
    areas = ax.contourf(steps, steps, values, levels, cmap="viridis", norm=norm)
    if len(levels) > 2:
        ax.contour(steps, steps, values, levels[1:-1], colors="black", linewidths=0.4)
    ax.figure.colorbar(areas, ax=ax, label="loss", ticks=ticks, format="{x:.3g}")
    ax.set(xlabel="step along direction 1", ylabel="step along direction 2")
    _mark_centre(ax, 0, 0, centre)


def _levels(heights: Array) -> Array:
    """Choose where the lines of a map run: in equal steps, or in equal ratios if it is steep."""
    low, high = np.nanmin(heights), np.nanmax(heights)
    largest = max(abs(low), abs(high))
    if high - low <= 1e-9 * largest:  # flat but for rounding: a single area
        return np.array([low, high]) + (largest or 1.0) * np.array([-0.5, 0.5])
    # Beyond a ratio of 20 equal steps would leave the valley, which one looks for, empty.
    levels = np.geomspace(low, high, 17) if 0 < 20 * low < high else np.linspace(low, high, 17)
    levels[[0, -1]] = low, high  # geomspace may round the ends inwards, and leave holes there
    return cast(Array, levels)


def _mark_centre(ax: Axes, x: float, y: float, centre: float) -> None:
    if not math.isfinite(centre):
        return
    ax.plot(x, y, "o", color="white", markeredgecolor="black", markersize=7)
    ax.annotate(
        f"here {centre:.3g}",
        (x, y),
        (0, 9),
        textcoords="offset points",
        ha="center",
        va="bottom",
        bbox={"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none"},
    )
