"""Training: show the examples to the model again and again, and keep the history.

Nothing is printed here. Whoever wants to watch passes callbacks, of which `ProgressBar` is one.
"""

from __future__ import annotations

import functools
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Self, cast

import numpy as np
from numpy.typing import ArrayLike

from autonn.engine.tensor import Array, Tensor, no_grad
from autonn.nn.losses import l2_penalty
from autonn.nn.module import Module
from autonn.optim import Optimizer, StepOptimizer

Loss = Callable[[Tensor, Any], Tensor]


@dataclass
class History:
    """What `fit` saw, one entry an epoch; what was not measured stays empty.

    The cost is that of the training, penalty included: of gradient descent before each step, of
    mini-batches the mean over the epoch, of L-BFGS after each iteration. The accuracy belongs to
    the same parameters as the cost. Validation is measured after the epoch, without penalty.
    """

    cost: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    validation_cost: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    interrupted: bool = False

    def __len__(self) -> int:
        return len(self.cost)


Callback = Callable[[History], Any]


def fit(
    model: Module,
    X: ArrayLike,
    y: ArrayLike,
    *,
    loss: Loss,
    optimizer: Optimizer,
    l2: float = 0.0,
    epochs: int = 1,
    batch_size: int | None = None,
    validation: tuple[ArrayLike, ArrayLike] | None = None,
    seed: int | np.random.Generator | None = None,
    callbacks: Iterable[Callback] = (),
) -> History:
    """Train the model, ``min J = loss(model(X), y) + l2 / (2m) sum of squares of the weights``.

    Ctrl-C finishes the step and keeps what was learned; a second one stops at once.

    Parameters
    ----------
    model
        The module whose parameters are changed, in place.
    X, y
        Examples, one a row, and their targets, as the loss takes them.
    loss
        A function of predictions and targets, as `CrossEntropy()`.
    optimizer
        What changes the parameters; it is bound to the model's.
    l2
        The tutorials' lambda; biases are never penalised.
    epochs
        How often all examples are shown; for L-BFGS, its iterations.
    batch_size
        Examples per step, drawn anew each epoch; None shows all at once. The last batch of an
        epoch may be short.
    validation
        Held-out examples and targets, measured after each epoch.
    seed
        For the order of mini-batches: a whole number or a `numpy.random.Generator`.
    callbacks
        Functions of the history, called after each epoch; raising `StopIteration` ends training.

    Raises
    ------
    ValueError
        For NaN or inf in X, with row and column; for X and y of different lengths; for sizes
        that are not positive.

    Examples
    --------
    >>> from autonn import CrossEntropy, Layer, Sequential, Sigmoid, optim
    >>> X, y = np.array([[0.0], [1.0]]), np.array([0, 1])
    >>> model = Sequential(Layer(1, 2, rng=0), Sigmoid())
    >>> history = fit(model, X, y, loss=CrossEntropy(), optimizer=optim.SGD(lr=1.0), epochs=50)
    >>> history.cost[-1] < history.cost[0], history.accuracy[-1]
    (True, 1.0)
    """
    examples = _Examples.checked(X, y, "fit")
    held_out = None if validation is None else _Examples.checked(*validation, "fit: validation")
    _check_counts(epochs, batch_size)
    optimizer.bind(model)
    model.train()
    run = _Run(model, loss, l2, examples, held_out, tuple(callbacks))
    with _interruptible() as interrupted:
        run.interrupted = interrupted
        if batch_size is None:
            run.full_batches(optimizer, epochs)
        else:
            run.mini_batches(optimizer, epochs, batch_size, np.random.default_rng(seed))
    return run.history


def accuracy(model: Module, X: ArrayLike, y: ArrayLike) -> float:
    """Return the share of examples whose most probable class is the right one.

    >>> from autonn import Layer
    >>> accuracy(Layer(2, 2, weight=np.eye(2)), np.eye(2), [0, 0])
    0.5
    """
    examples = _Examples.checked(X, y, "accuracy")
    if examples.classes is None:
        raise ValueError("accuracy: targets are classes of shape (m,), or one-hot rows")
    return _right(model.predict(examples.X), examples.classes) / len(examples)


class ProgressBar:
    """A callback of `fit` that shows cost, accuracy and the time left, on a terminal only.

    >>> with ProgressBar(epochs=100) as bar:
    ...     pass  # fit(..., callbacks=[bar])
    """

    def __init__(self, epochs: int) -> None:
        from tqdm import tqdm

        self._bar = tqdm(total=epochs, disable=None, unit="epoch", dynamic_ncols=True)

    def __call__(self, history: History) -> None:
        """Show the last entry of the history."""
        shown = {"cost": f"{history.cost[-1]:.4f}"}
        if history.accuracy:
            shown["accuracy"] = f"{history.accuracy[-1]:.2%}"
        if history.validation_accuracy:
            shown["held out"] = f"{history.validation_accuracy[-1]:.2%}"
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.close()


@dataclass
class _Examples:
    """Examples and their targets; also as classes, where the targets are that."""

    X: Array
    y: Array
    classes: Array | None

    @classmethod
    def checked(cls, X: ArrayLike, y: ArrayLike, name: str) -> Self:
        X, y = np.asarray(X), np.asarray(y)
        if len(X) != len(y):
            raise ValueError(f"{name}: {len(X)} examples against {len(y)} targets")
        if len(X) == 0:
            raise ValueError(f"{name}: there are no examples")
        finite = np.isfinite(X)
        if not finite.all():
            row, *rest = (int(k) for k in np.unravel_index(int(finite.argmin()), X.shape))
            column = ", ".join(map(str, rest))
            raise ValueError(f"{name}: X has {X[row, *rest]} in row {row}, column {column}")
        return cls(X, y, _as_classes(y))

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, rows: Array) -> _Examples:
        classes = None if self.classes is None else self.classes[rows]
        return _Examples(self.X[rows], self.y[rows], classes)


def _as_classes(y: Array) -> Array | None:
    """Return the classes if the targets are whole numbers in one row, or one-hot rows."""
    if y.ndim == 1 and y.dtype.kind in "iu":
        return y
    if y.ndim == 2 and np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all():
        return cast(Array, y.argmax(axis=1))
    return None


def _right(predictions: Array, classes: Array) -> int:
    return int(np.count_nonzero(predictions.argmax(axis=1) == classes))


@dataclass
class _Run:
    """One call of `fit`: what it trains on, and the history so far."""

    model: Module
    loss: Loss
    l2: float
    examples: _Examples
    held_out: _Examples | None
    callbacks: Sequence[Callback]
    history: History = field(default_factory=History)
    interrupted: threading.Event = field(default_factory=threading.Event)
    right: int = 0  # how many of the examples just shown were predicted rightly

    def cost(self, shown: _Examples) -> Tensor:
        """Compute the cost of some of the examples; the penalty is that of the whole."""
        predictions = self.model(shown.X)
        if shown.classes is not None:
            self.right = _right(predictions._data, shown.classes)
        total = self.loss(predictions, shown.y)
        return total + l2_penalty(self.model, self.l2, len(self.examples)) if self.l2 else total

    def full_batches(self, optimizer: Optimizer, epochs: int) -> None:
        optimizer.minimize(
            lambda: self.cost(self.examples),
            epochs,
            lambda cost: self.after_epoch(cost, self.right),
        )

    def mini_batches(
        self, optimizer: Optimizer, epochs: int, size: int, rng: np.random.Generator
    ) -> None:
        if not isinstance(optimizer, StepOptimizer):
            raise ValueError(
                f"fit: {optimizer!r} looks at all examples at each step; leave batch_size=None"
            )
        for _ in range(epochs):
            try:
                self.after_epoch(*self.one_epoch(optimizer, size, rng))
            except StopIteration:
                return

    def one_epoch(
        self, optimizer: StepOptimizer, size: int, rng: np.random.Generator
    ) -> tuple[float, int]:
        """Show all examples once, in a new order; return the mean cost and how many were right."""
        total, right = 0.0, 0
        order = rng.permutation(len(self.examples))
        for start in range(0, len(order), size):
            shown = self.examples[order[start : start + size]]
            total += optimizer.evaluate(functools.partial(self.cost, shown)) * len(shown)
            right += self.right
            optimizer.step()
            self.stop_if_interrupted()
        return total / len(order), right

    def after_epoch(self, cost: float, right: int) -> None:
        """Write the history, tell the callbacks, stop if asked to."""
        self.history.cost.append(cost)
        if self.examples.classes is not None:
            self.history.accuracy.append(right / len(self.examples))
        if self.held_out is not None:
            self.validate(self.held_out)
        for callback in self.callbacks:
            callback(self.history)
        self.stop_if_interrupted()

    def stop_if_interrupted(self) -> None:
        if self.interrupted.is_set():
            self.history.interrupted = True
            raise StopIteration

    def validate(self, held_out: _Examples) -> None:
        with no_grad(), self.model.evaluating():
            predictions = self.model(held_out.X)
            self.history.validation_cost.append(float(self.loss(predictions, held_out.y)))
        if held_out.classes is not None:
            right = _right(predictions._data, held_out.classes)
            self.history.validation_accuracy.append(right / len(held_out))


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C into an event, so that no step is left half done."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event  # only the main thread gets signals
        return
    before = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: FrameType | None) -> None:
        event.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)


def _check_counts(epochs: int, batch_size: int | None) -> None:
    for name, count in (("epochs", epochs), ("batch_size", batch_size)):
        if count is not None and count < 1:
            raise ValueError(f"fit: {name} is at least 1, not {count}")
