"""`Film`: a callback of `fit` that keeps the weights as they were, and makes a film of them."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from autonn import checks
from autonn.engine.tensor import values_of
from autonn.files.atomic import atomic_write
from autonn.nn.module import Module
from autonn.plots import decision_boundary, hidden_units
from autonn.plots.style import new_figure
from autonn.teach.watch import png_of
from autonn.training import History
from autonn.training.state import Values

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw = Callable[["Figure", Module], Any]


class Film:
    """A callback of `fit` that keeps what a model was after some epochs, to be shown as a film.

    It shows the decision boundary, where X and y are given, and else what the hidden units of the
    first layer look for, which have a square number of inputs. While `fit` runs only weights are
    copied, at most `frames` times in the end: when there are more, every second one is dropped, so
    that nobody has to say how long the fit will be. Drawing is done by `save`.

    Parameters
    ----------
    model
        The module that is trained.
    X, y
        Places in a plane, (n, 2), and their classes, for the decision boundary.
    draw
        A function of an empty figure and the model, which draws something else.
    frames
        How many pictures there are at most, at least 2.

    Raises
    ------
    ValueError, TypeError
        For X without y; for what is no model; for a number out of its range.

    Examples
    --------
    >>> from autonn import Layer, fit, optim, SoftmaxCrossEntropy
    >>> X, y = np.eye(2), np.array([0, 1])
    >>> model, loss = Layer(2, 2, rng=0), SoftmaxCrossEntropy()
    >>> film = Film(model, X, y, frames=10)
    >>> _ = fit(model, X, y, loss=loss, optimizer=optim.SGD(lr=1.0), epochs=25, callbacks=[film])
    >>> film.epochs
    [0, 4, 8, 12, 16, 20, 24]
    """

    def __init__(
        self,
        model: Module,
        X: ArrayLike | None = None,
        y: ArrayLike | None = None,
        *,
        draw: Draw | None = None,
        frames: int = 60,
    ) -> None:
        if not isinstance(model, Module):
            raise TypeError(f"Film: model is a Module, not {model!r}")
        if (X is None) != (y is None):
            raise ValueError("Film: X and y are given together, for the decision boundary")
        self.model = model
        self.most = checks.whole("Film: frames", frames, least=2)
        self.every = 1
        self.shots: list[tuple[int, float | None, Values]] = []
        self.draw: Draw = draw or (_units if X is None else _boundary(np.asarray(X), np.asarray(y)))
        self._take(0, None)

    @property
    def epochs(self) -> list[int]:
        """After how many epochs each picture was taken."""
        return [epoch for epoch, _, _ in self.shots]

    def __call__(self, history: History) -> None:
        """Keep the weights, if it is time to."""
        epoch = len(history)
        if epoch % self.every == 0:
            self._take(epoch, history.cost[-1])
            if len(self.shots) > self.most:
                self.every *= 2
                self.shots = [shot for shot in self.shots if shot[0] % self.every == 0]

    def _take(self, epoch: int, cost: float | None) -> None:
        self.shots.append((epoch, cost, Values.of(self.model)))

    def save(self, path: str | os.PathLike[str], *, fps: int = 10, dpi: int = 80) -> None:
        """Draw the pictures, and write them as an animated GIF that goes on for ever.

        The last picture stays for two seconds. The model has its own weights again afterwards.

        Parameters
        ----------
        path
            The file to write, whole or not at all.
        fps, dpi
            Pictures a second, and dots an inch.
        """
        from PIL import Image

        milliseconds = round(1000 / checks.whole("Film.save: fps", fps, most=50))
        pictures = [Image.open(io.BytesIO(png)) for png in self._pictures(dpi)]
        gif = io.BytesIO()
        durations = [milliseconds] * (len(pictures) - 1) + [2000]
        pictures[0].save(
            gif, "gif", save_all=True, append_images=pictures[1:], duration=durations, loop=0
        )
        with atomic_write(path) as file:
            file.write(gif.getvalue())

    def _pictures(self, dpi: int) -> list[bytes]:
        """Draw all pictures, and give the model its own weights back."""
        figure = new_figure(6.4, 5.4)
        figure.set_dpi(checks.whole("Film.save: dpi", dpi))
        own = Values.of(self.model)
        drawn = []
        try:
            for epoch, cost, values in self.shots:
                values.put_into(self.model)
                figure.clear()
                self.draw(figure, self.model)
                known = "" if cost is None else f", cost {cost:.4g}"
                figure.suptitle(f"epoch {epoch}{known}", size=11)
                drawn.append(png_of(figure))
        finally:
            own.put_into(self.model)
        return drawn


def _units(figure: Figure, model: Module) -> None:
    """Draw what the units of the first layer look for."""
    matrices = [values_of(weight) for weight in model.weights() if weight.ndim == 2]
    if not matrices:
        raise ValueError(f"Film: {model!r} has no weights (units, inputs) to draw; give draw=")
    hidden_units(matrices[0], figure=figure)


def _boundary(X: Any, y: Any) -> Draw:
    """Draw what each place of the plane is taken for."""
    return lambda figure, model: decision_boundary(model, X, y, points=100, ax=figure.add_subplot())
