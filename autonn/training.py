"""Training: show the examples to the model again and again, and keep the history.

Nothing is printed here. Whoever wants to watch passes callbacks, of which `ProgressBar` is one.
"""

from __future__ import annotations

import inspect
import math
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from itertools import islice
from types import FrameType
from typing import Any, NoReturn, Self, cast

import numpy as np
from numpy.typing import ArrayLike

from autonn.checkpoints import (
    generators,
    group,
    random_states,
    read_checkpoint,
    reading,
    refuse_differences,
    restore_random_states,
    write_checkpoint,
)
from autonn.compiler import compile as compiled
from autonn.data import batches
from autonn.engine.higher import hessian_products as _hessian_products
from autonn.engine.modes import changes, no_grad
from autonn.engine.ownership import writable
from autonn.engine.tensor import Array, Tensor
from autonn.engine.transforms import gradients
from autonn.files.reading import PathLike
from autonn.nn.losses import l2_penalty, logits_of
from autonn.nn.module import Module
from autonn.optim import Newton, Optimizer, StepOptimizer, _differences

Loss = Callable[..., Tensor]  # of predictions, targets and, where there are any, weights of rows


@dataclass
class History:
    """What `fit` saw, one entry an epoch; what was not measured stays empty.

    The cost is that of the training, penalty included: of gradient descent before each step, of
    mini-batches the mean over the epoch, of L-BFGS after each iteration. The accuracy belongs to
    the same parameters as the cost; where probabilities round to the same number, their logits tell
    which is larger. Validation is measured after the epoch, without penalty.
    """

    cost: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    validation_cost: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    interrupted: bool = False  # by Ctrl-C or SIGTERM
    diverged: bool = False  # the cost or the weights were no longer finite

    def __len__(self) -> int:
        return len(self.cost)


SERIES = [entry.name for entry in fields(History) if entry.name not in ("interrupted", "diverged")]

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
    class_weights: ArrayLike | None = None,
    sample_weights: ArrayLike | None = None,
    patience: int | None = None,
    checkpoint: PathLike | None = None,
    every: int | None = None,
    resume: bool = False,
    compile: bool = True,
) -> History:
    """Train the model, ``min J = loss(model(X), y) + l2 / (2m) sum of squares of the weights``.

    Ctrl-C or SIGTERM finishes the step and keeps what was learned; a second one stops at once,
    but never within an update. A cost that is no longer finite ends training with a warning and
    the last finite weights. The same seed gives the same bits, also after `resume`.

    Parameters
    ----------
    model
        The module whose parameters are changed, in place.
    X, y
        Examples, one a row, and their targets, as the loss takes them.
    loss
        A function of predictions and targets, as `CrossEntropy()`; and of the weights of the
        rows, if there are any.
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
    class_weights, sample_weights
        How much each class counts, (k,), and each example, (m,); their product multiplies the
        example's part of the loss, which is still divided by m.
    patience
        Stop after so many epochs without a new best cost of the validation, and end, however
        training ends, with the weights that had the best.
    checkpoint
        A file for all that the run depends on, written whole or not at all: each `every` steps
        (None: after each epoch) and at the end.
    resume
        Whether to go on from `checkpoint`, if the file is there, as if nothing had happened: bit
        for bit, but for the searches by SciPy, which begin anew from the weights.
    compile
        Whether to derive a flat program from the step, see `autonn.compile`. Where that fails,
        since the model or the loss reads values, or a module draws random numbers in plain NumPy
        or sets its own attributes, the step runs as it is, and gives the same. What else a
        `forward` does beside computing, such as append to a list, it does at each step only with
        ``compile=False``.

    Raises
    ------
    ValueError, TypeError
        For NaN or inf in X or y, with row and column; for X and y of different lengths; for
        sizes that are not positive; for a loss that takes no weights.
    FloatingPointError
        For rows whose cost or gradient is not finite whatever was learned: it names them, and
        the model keeps its last finite weights.
    OSError, FileFormatError
        For a checkpoint that can't be written, before the first step or later, when the model
        keeps what it has learned; for one that is damaged, or of another run.

    Examples
    --------
    >>> from autonn import CrossEntropy, Layer, Sequential, Sigmoid, optim
    >>> X, y = np.array([[0.0], [1.0]]), np.array([0, 1])
    >>> model = Sequential(Layer(1, 2, rng=0), Sigmoid())
    >>> history = fit(model, X, y, loss=CrossEntropy(), optimizer=optim.SGD(lr=1.0), epochs=50)
    >>> history.cost[-1] < history.cost[0], history.accuracy[-1]
    (True, 1.0)
    """
    examples = _Examples.checked(X, y, "fit").weighted(class_weights, sample_weights)
    held_out = None if validation is None else _Examples.checked(*validation, "fit: validation")
    _check_counts(epochs=epochs, batch_size=batch_size, patience=patience, every=every)
    if patience is not None and held_out is None:
        raise ValueError("fit: patience waits for the validation cost; give validation=(X, y)")
    if checkpoint is None and (resume or every is not None):
        raise ValueError("fit: resume and every speak of a checkpoint; give checkpoint=path")
    if batch_size is not None and not isinstance(optimizer, StepOptimizer):
        raise ValueError(
            f"fit: {optimizer!r} looks at all examples at each step; leave batch_size=None"
        )
    if examples.weights is not None and not _takes_weights(loss):
        raise TypeError(
            f"fit: the loss {loss!r} takes no weights of examples; write one that is a function "
            "of predictions, targets and weights"
        )
    optimizer.bind(model)
    model.train()
    task = _Task(model, loss, l2, examples)
    rng = np.random.default_rng(seed)
    store = None if checkpoint is None else _Store(checkpoint, every)
    run = _Run(task, optimizer, held_out, tuple(callbacks), batch_size, rng, patience, store)
    run.begin(resume)
    with _interruptible(run):
        try:
            run.train(epochs, compile)
        finally:
            run.keep_the_best()
    return run.history


def accuracy(model: Module, X: ArrayLike, y: ArrayLike) -> float:
    """Return the share of examples whose most probable class is the right one.

    >>> from autonn import Layer
    >>> accuracy(Layer(2, 2, weight=np.eye(2)), np.eye(2), [0, 0])
    0.5
    """
    predictions, classes = _predicted(model, X, y, "accuracy")
    return int(_right(predictions, classes)) / len(classes)


def top_k(model: Module, X: ArrayLike, y: ArrayLike, k: int = 5) -> float:
    """Return the share of examples whose right class is among the k most probable.

    Equal probabilities do not help: a class is among the k if fewer than k others reach its own.

    >>> from autonn import Layer
    >>> top_k(Layer(3, 3, weight=np.eye(3)), [[0.2, 0.5, 0.3]] * 3, [0, 1, 2], k=2)
    0.6666666666666666
    """
    predictions, classes = _predicted(model, X, y, "top_k")
    if not 1 <= k <= predictions.shape[1]:
        raise ValueError(f"top_k: k is from 1 to the {predictions.shape[1]} classes, not {k}")
    own = np.take_along_axis(predictions, classes[:, None], axis=1)
    reach = np.count_nonzero(predictions >= own, axis=1)  # itself among them
    return float(np.mean(reach <= k))


def confusion_matrix(model: Module, X: ArrayLike, y: ArrayLike) -> Array:
    """Count which class was read as which: a row for each actual class, a column for each read.

    >>> from autonn import Layer
    >>> confusion_matrix(Layer(2, 2, weight=np.eye(2)), np.eye(2), [0, 0])
    array([[1, 1],
           [0, 0]])
    """
    predictions, classes = _predicted(model, X, y, "confusion_matrix")
    return count_readings(classes, predictions.argmax(axis=1), predictions.shape[1])


def count_readings(actual: Array, read: Array, classes: int) -> Array:
    """Count the pairs of class numbers, a row for each actual class.

    >>> count_readings(np.array([0, 0, 1]), np.array([0, 1, 1]), classes=2)
    array([[1, 1],
           [0, 1]])
    """
    counts = np.bincount(actual * classes + read, minlength=classes**2)
    return counts.reshape(classes, classes)


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
        self._bar.update(len(history) - self._bar.n)  # more than one where a run was resumed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.close()


@dataclass
class _Examples:
    """Examples and their targets; also as classes, where the targets are that; and weights."""

    X: Array
    y: Array
    classes: Array | None
    weights: Array | None = None

    @classmethod
    def checked(cls, X: ArrayLike, y: ArrayLike, name: str) -> Self:
        X, y = np.asarray(X), np.asarray(y)
        if len(X) != len(y):
            raise ValueError(f"{name}: {len(X)} examples against {len(y)} targets")
        if len(X) == 0:
            raise ValueError(f"{name}: there are no examples")
        _require_finite(X, f"{name}: X")
        if y.dtype.kind == "f":
            _require_finite(y, f"{name}: y")
        return cls(X, y, _as_classes(y))

    def weighted(self, by_class: ArrayLike | None, by_sample: ArrayLike | None) -> Self:
        """Take in how much each example counts: the product of both weights."""
        for name, given, count in (
            ("class_weights", by_class, None),
            ("sample_weights", by_sample, len(self)),
        ):
            if given is None:
                continue
            weights = _checked_weights(f"fit: {name}", given, count)
            if count is None:
                if self.classes is None:
                    raise ValueError("fit: class_weights need targets that are classes")
                if self.classes.max() >= len(weights) or self.classes.min() < 0:
                    raise ValueError(
                        f"fit: {len(weights)} class_weights, but the classes run from "
                        f"{self.classes.min()} to {self.classes.max()}; give one for each"
                    )
                weights = weights[self.classes]
            if self.X.dtype == np.float32:
                weights = weights.astype(np.float32)
            self.weights = weights if self.weights is None else self.weights * weights
        return self

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, rows: Any) -> _Batch:
        y = _taken(self.y, rows)
        classes = y if self.classes is self.y else _of(self.classes, rows)
        return _taken(self.X, rows), y, classes, _of(self.weights, rows)


# Rows of examples: X, y, the classes and the weights of the rows, where there are any.
_Batch = tuple[Array, Array, Array | None, Array | None]


def _of(values: Array | None, rows: Any) -> Array | None:
    return None if values is None else _taken(values, rows)


def _taken(values: Array, rows: Any) -> Array:
    if isinstance(rows, np.ndarray) and values.flags.c_contiguous:
        return values.take(rows, axis=0)  # for 32 rows of 400 in 7 microseconds, by index in 12
    return cast(Array, values[rows])


def _require_finite(values: Array, name: str) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        row, *rest = (int(k) for k in np.unravel_index(int(finite.argmin()), values.shape))
        column = f", column {', '.join(map(str, rest))}" if rest else ""
        raise ValueError(f"{name} has {values[row, *rest]} in row {row}{column}")


def _checked_weights(name: str, given: ArrayLike, count: int | None) -> Array:
    weights = np.asarray(given, np.float64)
    if weights.ndim != 1 or (count is not None and len(weights) != count):
        wanted = "k" if count is None else count
        raise ValueError(f"{name} has shape {weights.shape}, expected ({wanted},)")
    _require_finite(weights, name)
    if weights.min(initial=0) < 0:
        raise ValueError(f"{name} are at least 0, not {weights.min()} as in row {weights.argmin()}")
    return weights


def _as_classes(y: Array) -> Array | None:
    """Return the classes if the targets are whole numbers in one row, or one-hot rows."""
    if y.ndim == 1 and y.dtype.kind in "iu":
        return y
    if y.ndim == 2 and np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all():
        return cast(Array, y.argmax(axis=1))
    return None


def _predicted(model: Module, X: ArrayLike, y: ArrayLike, name: str) -> tuple[Array, Array]:
    """Return the predictions (m, k) and the right classes, each of which is below k."""
    examples = _Examples.checked(X, y, name)
    if examples.classes is None:
        raise ValueError(f"{name}: targets are classes of shape (m,), or one-hot rows")
    predictions = model.predict(examples.X)
    if predictions.ndim != 2:
        raise ValueError(
            f"{name}: the model predicts shape {predictions.shape}, expected (examples, classes)"
        )
    k = predictions.shape[1]
    outside = (examples.classes < 0) | (examples.classes >= k)
    if outside.any():
        row = int(outside.argmax())
        raise IndexError(f"{name}: class {examples.classes[row]} of {k} in row {row}")
    return predictions, examples.classes


def _right(predictions: Any, classes: Any) -> Any:
    """Count the rows whose most probable class is the right one."""
    return np.count_nonzero(np.equal(np.argmax(predictions, axis=1), classes))


# ---- what is made small, and the step


Step = Callable[..., tuple[Any, Any, Sequence[Any]]]


@dataclass
class _Task:
    """What is made small: the cost of examples and, whatever is shown, the penalty of the whole."""

    model: Module
    loss: Loss
    l2: float
    examples: _Examples

    def __post_init__(self) -> None:
        self.parameters = self.model.parameters()

    def cost(self, X: Any, y: Any, classes: Any = None, weights: Any = None) -> tuple[Tensor, Any]:
        """Compute the cost, and how many were predicted rightly if the targets are classes."""
        predictions = self.model(X)
        total = self.loss(predictions, y) if weights is None else self.loss(predictions, y, weights)
        if self.l2:
            total = total + l2_penalty(self.model, self.l2, len(self.examples))
        counts = classes is not None and predictions.ndim == 2
        # Of the logits, as the loss needs them: the probabilities need not be computed.
        return total, _right(logits_of(predictions), classes) if counts else None

    def step(self, X: Any, y: Any, classes: Any, weights: Any) -> tuple[Any, Any, list[Any]]:
        """Compute the cost, the number of right predictions, and the gradients."""
        total, right = self.cost(X, y, classes, weights)
        return total.detach(), right, gradients(total, self.parameters)

    def product(self, X: Any, y: Any, weights: Any, vectors: list[Any]) -> list[Any]:
        """Compute the product of the Hessian and a vector; only while it is compiled."""
        total, _ = self.cost(X, y, None, weights)
        return _hessian_products(total, self.parameters)(vectors)

    def is_finite(self, rows: Any) -> bool:
        """Whether cost and gradients of some rows are finite at the present weights."""
        with self.model.evaluating(), np.errstate(all="ignore"):
            cost, _, slopes = self.step(*self.examples[rows])
        return math.isfinite(cost) and all(bool(np.isfinite(g).all()) for g in slopes)


def _takes_weights(loss: Loss) -> bool:
    try:
        inspect.signature(loss).bind(None, None, None)
    except TypeError:
        return False
    return True


def _or_none(f: Callable[..., Any], model: Module, trials: Iterable[tuple[Any, ...]]) -> Any:
    """Compile a function; None if that fails for any of the arguments that it will see.

    A program draws the same numbers at each call; where the first call drew others, it was tracing
    that drew them, in plain NumPy, and the program would use them again and again. Nor would it
    set attributes. The trials leave no trace in either.
    """
    program, found = compiled(f), generators(model)
    before, attributes = random_states(found), _attributes(model)
    try:
        with np.errstate(all="ignore"):  # the training itself will warn
            for arguments in trials:
                drawn = []
                for _ in range(2 if found else 1):
                    restore_random_states(found, before)
                    program(*arguments)
                    drawn.append(repr(random_states(found)))
                if len(set(drawn)) > 1 or any(module.edits != n for module, n, _ in attributes):
                    return None
    except Exception:  # whatever it is, without compiling it either works or is said better
        return None
    finally:
        restore_random_states(found, before)
        for module, edits, own in attributes:
            if module.edits != edits:
                own["edits"] = module.edits + 1  # never a number that was there before
                vars(module).clear()
                vars(module).update(own)
                changes.count += 1
    return program


def _attributes(model: Module) -> list[tuple[Module, int, dict[str, Any]]]:
    """List the modules, each with the number of its edits and its attributes as they are."""
    return [(module, module.edits, dict(vars(module))) for _, module in model.named_modules()]


# ---- one call of fit


@dataclass
class _Store:
    """Where checkpoints go, and how often."""

    path: PathLike
    every: int | None  # steps; None: each epoch
    written: int = -1  # the number of steps at the last one


@dataclass
class _Run:
    """One call of `fit`: what it does, and how far it is."""

    task: _Task
    optimizer: Optimizer
    held_out: _Examples | None
    callbacks: Sequence[Callback]
    size: int | None
    rng: np.random.Generator
    patience: int | None
    store: _Store | None
    history: History = field(default_factory=History)
    signals: int = 0  # how often it was asked to stop
    updating: bool = False  # within an update of the parameters
    steps: int = 0
    # within an epoch: the batches shown, their mean cost so far, and how many were right
    batch: int = 0
    cost: float = 0.0
    right: int | None = None
    dealt: Mapping[str, Any] | None = None  # the state of `rng` before it dealt the rows

    def __post_init__(self) -> None:
        self.names = self.task.model.named_parameters()
        self.best: list[Array] | None = None
        self.start = self.finite = self.values()

    def values(self) -> list[Array]:
        """Copy the parameters' values."""
        return [parameter._data.copy() for parameter in self.task.parameters]

    def set_values(self, values: Sequence[Array]) -> None:
        for parameter, value in zip(self.task.parameters, values, strict=True):
            writable(parameter)[...] = value

    # ---- the loop

    def train(self, epochs: int, compile: bool) -> None:
        """Go through the epochs that are still to come."""
        left = epochs - len(self.history)
        if left <= 0 or self.is_out_of_patience():
            return
        try:
            if isinstance(self.optimizer, StepOptimizer):
                step = self.task.step
                if compile:
                    step = _or_none(step, self.task.model, self.batches_of_each_size()) or step
                for _ in range(left):
                    self.one_epoch(self.optimizer, step)
            else:
                self.search(left, compile)
        except StopIteration:
            pass
        store = self.store
        if store is not None and store.written != self.steps and not self.history.diverged:
            self.save(store)

    def batches_of_each_size(self) -> list[_Batch]:
        m = len(self.task.examples)
        size = min(self.size or m, m)
        return [self.task.examples[:k] for k in (size, m % size) if k]

    def one_epoch(self, optimizer: StepOptimizer, step: Step) -> None:
        """Show all examples once, in a new order if there is more than one batch."""
        self.finite = self.values()
        examples, m = self.task.examples, len(self.task.examples)
        for rows in self.deal():
            batch = examples[rows]
            cost, right, slopes = step(*batch)
            if not math.isfinite(cost):
                self.end_without_number(f"the cost was {cost:g}", rows)
            self.updating = True
            optimizer.apply(slopes)
            self.batch += 1
            self.cost += float(cost) * (len(batch[1]) / m)
            if right is not None:
                self.right = (self.right or 0) + int(right)
            self.steps += 1
            self.updating = False
            if self.signals or (self.store is not None and self.is_due(self.store)):
                self.between_steps()
        if not self.is_finite():
            self.end_without_number("a step led to weights that are not finite", slice(None))
        cost, right, self.cost, self.right = self.cost, self.right, 0.0, None
        self.batch, self.dealt = 0, None
        optimizer.costs.append(cost)
        self.after_epoch(cost, right)

    def deal(self) -> Iterator[Any]:
        """Yield the rows of each batch that is still to come in this epoch."""
        if self.size is None:
            return iter([slice(None)])
        now = None
        if self.dealt is not None:  # resumed within an epoch: deal the same rows again
            now, self.rng.bit_generator.state = self.rng.bit_generator.state, self.dealt
        self.dealt = self.rng.bit_generator.state
        hands = batches(len(self.task.examples), self.size, self.rng)
        if now is not None:
            self.rng.bit_generator.state = now
        return islice(hands, self.batch, None)

    def search(self, iterations: int, compile: bool) -> None:
        """Let an optimiser that looks at everything at once do the whole search."""
        task, everything = self.task, self.task.examples[:]
        X, y, _, weights = everything
        right: Any = None
        how: dict[str, Any] = {}
        step = _or_none(task.step, task.model, [everything]) if compile else None
        if isinstance(self.optimizer, Newton) and step is not None:
            trial = (X, y, weights, self.values())
            product = _or_none(task.product, task.model, [trial])
            if product is not None:
                how["product"] = lambda vectors: product(X, y, weights, vectors)
            else:
                step = None  # Newton needs the graph of the cost

        def cost() -> Any:
            nonlocal right
            if step is None:
                total, right = task.cost(*everything)
                return total
            value, right, slopes = step(*everything)
            return value, slopes

        def after_each(cost: float) -> None:
            self.steps += 1
            self.after_epoch(cost, None if right is None else int(right))

        if not task.is_finite(slice(None)):
            self.end_without_number("the cost was not finite", slice(None))
        self.optimizer.minimize(cost, iterations, after_each, **how)

    def after_epoch(self, cost: float, right: int | None) -> None:
        """Write the history, tell the callbacks, stop if asked to."""
        self.history.cost.append(cost)
        if right is not None:
            self.history.accuracy.append(right / len(self.task.examples))
        if self.held_out is not None:
            self.validate(self.held_out)
        if self.patience is not None and self.epochs_since_best() == 0:
            self.best = self.values()
        stop = False
        for callback in self.callbacks:
            try:
                callback(self.history)
            except StopIteration:
                stop = True
        if self.store is not None and (self.store.every is None or self.is_due(self.store)):
            self.save(self.store)
        self.stop_if_interrupted()
        if stop or self.is_out_of_patience():
            raise StopIteration

    def between_steps(self) -> None:
        """Write a checkpoint within an epoch, stop if asked to; an epoch's end sees to itself."""
        m = len(self.task.examples)
        if self.batch * (self.size or m) >= m:
            return
        if self.store is not None and self.is_due(self.store):
            self.save(self.store)
        self.stop_if_interrupted()

    def stop_if_interrupted(self) -> None:
        if self.signals:
            self.history.interrupted = True
            raise StopIteration

    def validate(self, held_out: _Examples) -> None:
        with no_grad(), self.task.model.evaluating():
            predictions = self.task.model(held_out.X)
            self.history.validation_cost.append(float(self.task.loss(predictions, held_out.y)))
        if held_out.classes is not None and predictions.ndim == 2:
            right = int(_right(predictions._data, held_out.classes))
            self.history.validation_accuracy.append(right / len(held_out))

    # ---- early stopping

    def epochs_since_best(self) -> int:
        costs = self.history.validation_cost
        return len(costs) - 1 - int(np.nanargmin([math.inf, *costs])) + 1

    def is_out_of_patience(self) -> bool:
        return (
            self.patience is not None
            and bool(self.history.validation_cost)
            and self.epochs_since_best() >= self.patience
        )

    def keep_the_best(self) -> None:
        if self.best is not None:
            self.set_values(self.best)

    # ---- costs that are no number

    def is_finite(self) -> bool:
        return all(bool(np.isfinite(p._data).all()) for p in self.task.parameters)

    def end_without_number(self, what: str, rows: Any) -> NoReturn:
        """Name the rows that are to blame; or else the weights are, and training ends."""
        where = f"in epoch {len(self.history) + 1}"
        if not self.is_finite():
            self.set_values(self.finite)
            rows = slice(None)  # any rows of this epoch may have led there
        blamed = self.rows_without_cost(rows)
        if blamed:
            shown = ", ".join(map(str, blamed[:10])) + (", ..." if len(blamed) > 10 else "")
            raise FloatingPointError(
                f"fit: {what} {where}; that of row {shown}, or its gradient, was not finite even "
                "before training. Look at X and y there; the model keeps its last finite weights"
            )
        self.history.diverged = True
        warnings.warn(
            f"fit: {what} {where}; training ends, and the model keeps its last finite weights. "
            "A smaller learning rate may keep the cost finite",
            RuntimeWarning,
            stacklevel=5,
        )
        raise StopIteration

    def rows_without_cost(self, rows: Any) -> list[int]:
        """List the rows not even finite at the weights that training began with."""
        numbers = np.arange(len(self.task.examples))[rows]
        here = self.values()
        self.set_values(self.start)
        try:
            if self.task.is_finite(rows):
                return []
            return [int(row) for row in numbers if not self.task.is_finite(slice(row, row + 1))]
        finally:
            self.set_values(here)

    # ---- checkpoints

    def begin(self, resume: bool) -> None:
        """Go on from the checkpoint, or write the first, so that a wrong path is known at once."""
        if self.store is None:
            return
        if resume and os.path.exists(self.store.path):
            self.go_on(self.store)
        else:
            self.save(self.store)

    def is_due(self, store: _Store) -> bool:
        return store.every is not None and self.steps % store.every == 0

    def save(self, store: _Store) -> None:
        """Write down all that the next step depends on."""
        arrays = {f"weights/{name}": p._data for name, p in self.names.items()}
        arrays |= {f"optimizer/{k}": np.asarray(v) for k, v in self.optimizer.state_dict().items()}
        arrays |= {f"history/{name}": np.array(getattr(self.history, name)) for name in SERIES}
        if self.best is not None:
            arrays |= {f"best/{n}": a for n, a in zip(self.names, self.best, strict=True)}
        notes = {
            "run": self.kind(),
            "random": random_states(self.generators()),
            "at": [self.steps, self.batch, self.cost, self.right, self.dealt],
        }
        write_checkpoint(store.path, arrays, notes)
        store.written = self.steps

    def kind(self) -> dict[str, Any]:
        """Return what has to be the same for a run to be continued."""
        return {
            "examples": len(self.task.examples),
            "batch_size": self.size,
            "l2": self.task.l2,
            "optimizer": type(self.optimizer).__name__,
        }

    def generators(self) -> dict[str, np.random.Generator]:
        return {"fit: seed": self.rng} | generators(self.task.model)

    def go_on(self, store: _Store) -> None:
        """Become what the checkpoint says; one of another run leaves the weights as they are."""
        arrays, notes = read_checkpoint(store.path)
        own = {name: parameter._data for name, parameter in self.names.items()}
        weights, state, best = (group(arrays, g) for g in ("weights", "optimizer", "best"))
        wrong = _differences(own, weights) + _differences(self.optimizer.state_dict(), state)
        wrong += _differences(own, best) if best else []
        with reading(store.path):
            kind, then = self.kind(), notes["run"]
            wrong += [f"{k} is {then[k]}, not {kind[k]}" for k in kind if then[k] != kind[k]]
            refuse_differences(store.path, wrong)
            series = {name: arrays[f"history/{name}"].tolist() for name in SERIES}
            self.steps, self.batch, self.cost, self.right, self.dealt = notes["at"]
            restore_random_states(self.generators(), notes["random"])
        self.history = History(**series)
        self.set_values([weights[name] for name in self.names])
        self.optimizer.load_state_dict(state)
        self.optimizer.costs.extend(self.history.cost)
        self.best = [best[name] for name in self.names] if best else None
        store.written = self.steps


@contextmanager
def _interruptible(run: _Run) -> Iterator[None]:
    """Turn the first Ctrl-C or SIGTERM into a note, so that no step is left half done."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread gets signals
        return

    def note(number: int, frame: FrameType | None) -> None:
        run.signals += 1
        if run.signals > 1 and not run.updating:
            raise KeyboardInterrupt

    # One that is ignored, as under nohup, stays so; None is a handler that Python can't set again.
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    ours = {n: old for n, old in before.items() if old not in (signal.SIG_IGN, None)}
    for number in ours:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number, old in ours.items():
            signal.signal(number, old)


def _check_counts(**counts: int | None) -> None:
    for name, count in counts.items():
        if count is not None and count < 1:
            raise ValueError(f"fit: {name} is at least 1, not {count}")
