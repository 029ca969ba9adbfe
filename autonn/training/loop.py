"""The loop: epochs of steps, and all that is looked after between them."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NoReturn

import numpy as np

from autonn.data import batches
from autonn.engine.tensor import Array, no_grad
from autonn.formats import PathLike
from autonn.optim.base import Optimizer
from autonn.optim.refusals import _differences
from autonn.optim.search import Newton
from autonn.optim.steps import StepOptimizer
from autonn.training.checkpoints import (
    generators,
    group,
    random_states,
    read_checkpoint,
    reading,
    refuse_differences,
    restore_random_states,
    write_checkpoint,
)
from autonn.training.compiling import or_none
from autonn.training.examples import Batch, Examples
from autonn.training.history import SERIES, Callback, History
from autonn.training.metrics import right as _right
from autonn.training.task import Step, Task


@dataclass
class Store:
    """Where checkpoints go, and how often."""

    path: PathLike
    every: int | None  # steps; None: each epoch
    written: int = -1  # the number of steps at the last one


@dataclass
class Run:
    """One call of `fit`: what it does, and how far it is."""

    task: Task
    optimizer: Optimizer
    held_out: Examples | None
    callbacks: Sequence[Callback]
    size: int | None
    rng: np.random.Generator
    patience: int | None
    store: Store | None
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
            parameter._writable()[...] = value

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
                    step = or_none(step, self.task.model, self.batches_of_each_size()) or step
                for _ in range(left):
                    self.one_epoch(self.optimizer, step)
            else:
                self.search(left, compile)
        except StopIteration:
            pass
        store = self.store
        if store is not None and store.written != self.steps and not self.history.diverged:
            self.save(store)

    def batches_of_each_size(self) -> list[Batch]:
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
        step = or_none(task.step, task.model, [everything]) if compile else None
        if isinstance(self.optimizer, Newton) and step is not None:
            trial = (X, y, weights, self.values())
            product = or_none(task.product, task.model, [trial])
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

    def validate(self, held_out: Examples) -> None:
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

    def is_due(self, store: Store) -> bool:
        return store.every is not None and self.steps % store.every == 0

    def save(self, store: Store) -> None:
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

    def go_on(self, store: Store) -> None:
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
