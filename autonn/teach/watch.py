"""`Watch`: a callback of `fit` that shows how a network learns, in a notebook or in a window.

It takes care of its own time: what it measures and draws is at most a share of the time of the fit,
so that of a short fit only the end is shown.
"""

from __future__ import annotations

import importlib
import io
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from autonn import checks
from autonn.engine import ops
from autonn.engine.tensor import Array, values_of
from autonn.nn.module import Module
from autonn.optim.base import Optimizer
from autonn.teach.dashboard import MISTAKES, MOST_UNITS, SIZES, Dashboard, Seen
from autonn.teach.trial import Trial
from autonn.teach.vitals import Vitals, vitals_of
from autonn.training import History, Loss
from autonn.training.examples import Examples
from autonn.training.loss import checked_loss
from autonn.training.parts import checked_parts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS, PLANE = 200, 60  # of the data that are looked at; places along each side of a plane
MEASURING = 0.35  # of the time it may take; the rest is for drawing


class Budget:
    """What may be spent of the time that goes by: a share of it, and no more.

    >>> budget = Budget(0.02, cost=0.1)
    >>> budget.allows(now=4.0), budget.allows(now=5.5)
    (False, True)
    """

    def __init__(self, share: float, cost: float = 0.0) -> None:
        self.share, self.cost, self.spent = share, cost, 0.0

    def allows(self, now: float) -> bool:
        """Whether one more, as dear as the dearest of the last ones, is within the share."""
        return self.spent + self.cost <= self.share * now

    def note(self, cost: float) -> None:
        """Note what one took: soon forgotten if it was dear once, as the first is."""
        self.spent += cost
        self.cost = max(cost, 0.5 * self.cost)


class Watch:
    """A callback of `fit` that draws how a network learns, while it does.

    The cost and the accuracy; for each layer ||gradient|| / ||weight||, ||update|| / ||weight|| of
    a step, and the share of units that are dead (a ReLU that gives 0 for all rows) or flat (a
    sigmoid or tanh with less than 2 % of its steepest slope); what the first layer looks for, or
    what each place of a plane is taken for; and the worst mistakes. Nothing of it changes what is
    learned, bit for bit.

    Parameters
    ----------
    model, X, y, loss, optimizer
        As for `fit`. 200 rows of X, spread over all, are looked at. Without an optimiser that takes
        steps, the updates are left out.
    images
        For data that are pictures, a function of rows of X that returns them, (n, height, width),
        as `data.as_images` of the digits'.
    show
        "notebook", "window", or "nowhere", where only `figure` is drawn, at the end; None finds
        out: a notebook where it runs in one, a window if Matplotlib can open one, or else nowhere.
    share
        How much of the time of a fit it may take, above 0, below 1.

    Attributes
    ----------
    figure
        The Matplotlib figure.
    measured
        What was measured, a `Vitals` each time.
    spent
        The seconds that it took so far, within the fit.

    Raises
    ------
    ValueError, TypeError
        For what `fit` refuses; for numbers out of their range.
    RuntimeError
        For a window or a notebook where there is none.

    Examples
    --------
    >>> from autonn import Layer, Sequential, SoftmaxCrossEntropy, Tanh, fit, optim
    >>> X, y = np.random.default_rng(0).normal(size=(30, 2)), np.arange(30) % 3
    >>> model = Sequential(Layer(2, 8, rng=0), Tanh(), Layer(8, 3, rng=1))
    >>> given = {"loss": SoftmaxCrossEntropy(), "optimizer": optim.Adam(lr=0.01)}
    >>> with Watch(model, X, y, **given, show="nowhere") as watch:
    ...     history = fit(model, X, y, **given, epochs=50, callbacks=[watch])
    >>> [ax.get_title() for ax in watch.figure.axes][2:5]
    ['what it takes each place for', 'log10 |gradient| / |weight|', 'log10 |update| / |weight|']
    """

    def __init__(
        self,
        model: Module,
        X: ArrayLike,
        y: ArrayLike,
        *,
        loss: Loss,
        optimizer: Optimizer | None = None,
        images: Callable[[Array], Array] | None = None,
        show: str | None = None,
        share: float = 0.02,
    ) -> None:
        checked_parts("Watch", model, optimizer or Optimizer())
        examples = Examples.checked(X, y, "Watch")
        checks.one_of("Watch: show", show, (None, "notebook", "window", "nowhere"))
        share = checks.number("Watch: share", share, least=0, most=1)
        rows = np.linspace(0, len(examples) - 1, min(len(examples), ROWS)).astype(int)
        few = Examples.checked(*examples[rows][:2], "Watch")
        given = checked_loss(loss, "Watch")
        self.trial = Trial(model, few, given, optimizer, 0.0, None, None, None)
        self.images = images
        self.screen = screen(show, SIZES[images is not None])
        self.measured: list[Vitals] = []
        self.history = History()
        self.began: float | None = None
        self.measuring, self.drawing = Budget(MEASURING * share), Budget((1 - MEASURING) * share)
        self.dashboard = Dashboard(self.screen.figure, mistakes=images is not None)
        self._learn_the_costs()

    @property
    def figure(self) -> Figure:
        """The figure, as it was drawn last."""
        return self.dashboard.figure

    @property
    def spent(self) -> float:
        """The seconds that measuring and drawing took, within the fit."""
        return self.measuring.spent + self.drawing.spent

    def _learn_the_costs(self) -> None:
        """Measure and draw once before the fit, which also imports what is needed."""
        for budget, work in ((self.measuring, self._measure), (self.drawing, self._draw)):
            work()  # the first time takes longer
            start = time.perf_counter()
            work()
            budget.cost = time.perf_counter() - start
        del self.measured[:-1]  # one remains, of the beginning

    def __call__(self, history: History) -> None:
        """Measure and draw, if it is time to."""
        now = time.perf_counter()
        self.history = history
        if self.began is None:
            self.began = now
        for budget, work in ((self.measuring, self._measure), (self.drawing, self._draw)):
            if budget.allows(now - self.began):
                start = time.perf_counter()
                work()
                budget.note(time.perf_counter() - start)

    def show(self) -> Figure:
        """Measure and draw now, whatever it takes."""
        self._measure()
        self._draw()
        return self.figure

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if len(self.history):
            self.show()

    # ---- what is measured and drawn

    def _measure(self) -> None:
        self.measured.append(vitals_of(self.trial, len(self.history)))

    def _draw(self) -> None:
        self.screen.put(self.dashboard.draw(self.history, self.measured, self._seen()))

    def _seen(self) -> Seen:
        """Bring together the pictures that there are."""
        X, model = self.trial.examples.X, self.trial.model
        predictions = np.asarray(model.predict(X))
        classes = self.trial.examples.classes
        if X.ndim == 2 and X.shape[1] == 2 and classes is not None:
            return Seen(plane=_plane(model, X, classes))
        if self.images is None:
            return Seen()
        units = _first_units(model, X)
        seen = Seen(None if units is None else self.images(units))
        if classes is None or predictions.ndim != 2 or predictions.shape[1] < 2:
            return seen
        return seen._replace(**_mistakes(self.images(X), predictions, classes))


def _first_units(model: Module, X: Array) -> Array | None:
    """Return the weights of the first layer, a row for each unit, if they are as wide as X."""
    for weight in model.weights():
        values = values_of(weight)
        if values.ndim == 2 and X.ndim == 2 and values.shape[1] == X.shape[1]:
            return np.array(values[:MOST_UNITS])
    return None


def _mistakes(pictures: Array, predictions: Array, classes: Array) -> dict[str, Any]:
    """Find the wrongly read pictures that the model was surest of."""
    chances = predictions
    if predictions.min() < 0 or predictions.max() > 1:  # logits
        chances = np.asarray(ops.softmax(predictions))
    read = chances.argmax(axis=1)
    wrong = np.flatnonzero(read != classes)
    worst = wrong[np.argsort(-chances[wrong].max(axis=1), kind="stable")][:MISTAKES]
    titles = [f"{classes[k]} as {read[k]}" for k in worst]
    return {"mistakes": pictures[worst], "titles": titles, "wrong": len(wrong)}


def _plane(model: Module, X: Array, y: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Ask which class each place of a plane is taken for."""
    sides = []
    for column in X.T:
        margin = 0.08 * float(np.ptp(column)) or 1.0
        sides.append(np.linspace(column.min() - margin, column.max() + margin, PLANE))
    places = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2).astype(X.dtype)
    scores = np.asarray(model.predict(places))
    one = scores.ndim == 2 and scores.shape[1] == 1
    classes = (scores[:, 0] > 0.5) if one else scores.argmax(axis=1)
    return sides[0], sides[1], classes.reshape(PLANE, PLANE).astype(float), X, y


# ---- where it is shown


class Nowhere:
    """Shows nothing: whoever wants the figure takes it."""

    figure: Figure | None = None

    def put(self, figure: Figure) -> None:
        """Do nothing: whoever saves the figure draws it."""


class Notebook(Nowhere):
    """Shows the figure in the output of a cell, always in the same place."""

    def __init__(self) -> None:
        self.display = importlib.import_module("IPython.display")
        self.handle: Any = None

    def put(self, figure: Figure) -> None:
        """Show the figure in place of the one before."""
        data = {"image/png": png_of(figure), "text/plain": "how the network learns"}
        if self.handle is None:
            self.handle = self.display.display(data, raw=True, display_id=True)
        else:
            self.handle.update(data, raw=True)


def png_of(figure: Figure) -> bytes:
    """Return a figure as PNG; `savefig` would draw it twice, once for the margins."""
    canvas = importlib.import_module("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    png = io.BytesIO()
    canvas.print_png(png)
    return png.getvalue()


class Window(Nowhere):
    """Shows the figure in a window of Matplotlib's."""

    def __init__(self, size: tuple[float, float]) -> None:
        self.pyplot = importlib.import_module("matplotlib.pyplot")
        self.figure = self.pyplot.figure(figsize=size)
        self.pyplot.show(block=False)

    def put(self, figure: Figure) -> None:
        """Draw the figure, and let the window answer the mouse meanwhile."""
        figure.canvas.draw()
        figure.canvas.flush_events()


def screen(show: str | None, size: tuple[float, float]) -> Nowhere:
    """Return where to show: as asked, or as can be found out."""
    if show is None:
        show = "notebook" if _in_notebook() else "window" if _has_windows() else "nowhere"
    if show == "notebook" and not _in_notebook():
        raise RuntimeError('Watch: this is no notebook; take show="window" or show="nowhere"')
    if show == "window" and not _has_windows():
        raise RuntimeError(
            "Watch: Matplotlib opens no window here; choose a backend that does, as by "
            'matplotlib.use("TkAgg"), or take show="nowhere"'
        )
    if show == "window":
        return Window(size)
    return Notebook() if show == "notebook" else Nowhere()


def _in_notebook() -> bool:
    """Whether it runs in the kernel of a notebook; nothing is imported to find out."""
    core = sys.modules.get("IPython")
    shell = core.get_ipython() if core is not None else None
    return shell is not None and hasattr(shell, "kernel")


def _has_windows() -> bool:
    """Whether pyplot draws into windows here."""
    pyplot = importlib.import_module("matplotlib.pyplot")
    backends = importlib.import_module("matplotlib.backends")
    interactive = backends.backend_registry.list_builtin(backends.BackendFilter.INTERACTIVE)
    return str(pyplot.get_backend()).lower() in {name.lower() for name in interactive}
