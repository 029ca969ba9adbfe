"""What the tests of pictures share: what was really drawn, and networks to draw."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from autonn import CrossEntropy, Layer, Module, Sequential, Sigmoid, Tensor, l2_penalty

Array = NDArray[Any]

# Drawing is slow: of the examples that a profile asks for, a twelfth are drawn, and at least five.
DRAWN = max(5, (settings.default.max_examples if settings.default else 0) // 12)

# A stem at the left and a foot at the bottom: any flip or turn shows.
LETTER_L = np.array([[6.0, 0, 0], [7, 0, 0], [8, 0, 0], [9, 5, 4]])


def rendered(figure: Figure) -> Array:
    """Return the figure's pixels, levels from 0 to 1; a warning would be an error here."""
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba()) / 255


def whole(ax: Axes) -> Figure:
    """Return the figure that the axes belong to."""
    assert isinstance(ax, Axes)
    assert isinstance(ax.figure, Figure)
    return ax.figure


def written(figure: Figure) -> list[tuple[Text, Bbox]]:
    """Return each text that drawing the figure writes, with the pixels that it takes."""
    drawn: list[Text] = []
    draw = Text.draw

    def note(text: Text, renderer: Any) -> None:
        if text.get_visible() and text.get_text():
            drawn.append(text)
        draw(text, renderer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", note)
        figure.draw_without_rendering()  # all that drawing does, but for the pixels
    return [(text, text.get_window_extent()) for text in drawn]


def unreadable(figure: Figure) -> list[str]:
    """List the texts that are below 8 points, overlap by a pixel, or are cut off."""
    drawn = written(figure)
    texts = [(text.get_text(), box.padded(-0.5)) for text, box in drawn]
    return [
        *(f"{text.get_text()} is small" for text, _ in drawn if float(text.get_fontsize()) < 8),
        *(f"{text} is clipped" for text, box in texts if not contains(figure.bbox, box)),
        *(
            f"{first} on {second}"
            for (first, box), (second, other) in itertools.combinations(texts, 2)
            if box.overlaps(other)
        ),
    ]


def contains(room: Any, box: Bbox) -> bool:
    """Whether a box lies in another, but for a pixel."""
    room = room.padded(1)
    return bool(room.contains(box.x0, box.y0) and room.contains(box.x1, box.y1))


def network() -> Sequential:
    """Return a small network, the same each time."""
    rng = np.random.default_rng(0)
    return Sequential(Layer(6, 4, rng=rng), Sigmoid(), Layer(4, 3, rng=rng), Sigmoid())


def penalised_loss(model: Module) -> Tensor:
    """Return the tutorials' cost of five examples, with its penalty."""
    X = np.random.default_rng(1).normal(size=(5, 6))
    return CrossEntropy()(model(X), [0, 1, 2, 0, 1]) + l2_penalty(model, 1.0, examples=5)


def trained_once(model: Sequential) -> Sequential:
    """Return the model with gradients."""
    penalised_loss(model).backward()
    return model


def image_of(ax: Axes, which: int = 0) -> Array:
    """Return the numbers behind a picture, having seen that the first row is drawn on top."""
    image = ax.get_images()[which]
    bottom, top = ax.get_ylim()
    left, right = ax.get_xlim()
    assert (image.origin, bottom > top, left < right) == ("upper", True, True)
    return np.ma.asarray(image.get_array())


def titles_of(figure: Figure) -> list[str]:
    """Return the titles of a figure's axes in reading order."""
    return [ax.get_title() for ax in figure.axes]


def luminance(rgb: Array) -> float:
    """Return the relative luminance of a colour, as the web's contrast rules define it."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def assert_readable(figure: Figure, *, wide: bool = False) -> None:
    """Demand a picture without a warning, no wider than a page, its texts neither small nor hidden.

    Measured on what is drawn: titles, ticks, labels, numbers in cells and boxes.
    """
    assert isinstance(figure, Figure)
    assert figure.get_figwidth() <= 8 or wide
    assert unreadable(figure) == []
