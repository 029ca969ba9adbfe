"""The loop: epochs of steps, and all that is looked after between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from autonn.engine.tensor import values_of
from autonn.optim.steps import StepOptimizer
from autonn.training.away import Away
from autonn.training.checkpoints import Store
from autonn.training.compiling import Programs, programs
from autonn.training.cores import alone
from autonn.training.elsewhere import is_finite_away, programs_away
from autonn.training.examples import Batch, Examples
from autonn.training.feeds import StreamFeed
from autonn.training.selfcheck import CheckedStep
from autonn.training.state import Run, Values
from autonn.training.stopping import (
    end_without_number,
    epochs_since_best,
    is_finite,
    is_out_of_patience,
)
from autonn.training.structures import rows_of
from autonn.training.task import Step
from autonn.training.validation import validate

Held = Examples | StreamFeed | None


def train(run: Run, store: Store | None, epochs: int, compile: bool | None, held: Held) -> None:
    """Go through the epochs that are still to come."""
    left = epochs - len(run.history)
    if left <= 0 or is_out_of_patience(run.history, run.patience):
        return
    examples = run.task.examples
    away = isinstance(examples, Away)
    made = programs_away(run) if away else programs(run, compile)
    holding = alone(run, made.step)
    if made.step is not None and not away:
        checked = CheckedStep(run, made.step)
        checked.asked = run.task.examples is not None or compile is True
        made = made._replace(step=checked)
    if run.task.findings:  # seen while the step was traced
        run.task.tell(compiled=made.step is not None)
    with holding:
        _go_through(run, store, left, made, held)
    if store is not None and store.written != run.progress.steps and not run.history.diverged:
        store.save(run)
    run.hooks.tell("on_end")


def _go_through(run: Run, store: Store | None, left: int, made: Programs, held: Held) -> None:
    """Go through so many epochs, or until somebody stops it."""
    stopped = run.hooks.begin(run.model, run.optimizer, run.history)
    run.hooks.note(run.progress.steps, run.progress.batch)
    try:
        if stopped:
            raise StopIteration
        if run.optimizer.full_batch:
            _search(run, store, left, made, held)
        else:
            for _ in range(left):
                _one_epoch(run, store, made.step or run.task.step, held)
    except StopIteration:
        pass


class Update:
    """The update of the parameters after a batch, or after so many whose gradients add up.

    What is added up are gradients times rows, so that batches count by their rows, as if they were
    one.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.sums, self.batches, self.rows = run, list[Any](), 0, 0
        self.apply = cast(StepOptimizer, run.optimizer).apply

    def takes(self, gradients: Sequence[Any], rows: int) -> bool:
        """Take the gradients of a batch; return whether the parameters were changed."""
        arrays = [values_of(gradient) for gradient in gradients]
        if self.batches == 0:
            self.sums = [rows * array for array in arrays]
        else:
            for total, array in zip(self.sums, arrays, strict=True):
                total += rows * array
        self.batches, self.rows = self.batches + 1, self.rows + rows
        return self.batches == self.run.accumulate and self.flush()

    def flush(self) -> bool:
        """Change the parameters by what was added up, if there is something."""
        if self.batches == 0:
            return False
        for total in self.sums:
            total /= self.rows
        self.apply(self.sums)
        self.sums, self.batches, self.rows = [], 0, 0
        return True


def _one_epoch(run: Run, store: Store | None, step: Step, held: Held) -> None:
    """Show all examples once, in a new order if there is more than one batch."""
    run.finite = Values.of(run.model)
    task, progress, interrupts = run.task, run.progress, run.interrupts
    update, m, looks = Update(run), run.feed.examples, run.hooks.each_step
    apply, at_once, streams = update.apply, run.accumulate == 1, task.examples is None
    for batch, rows in run.feed.epoch(run.rng, progress):
        if streams:
            task.begin(Examples(*batch))
        cost, correct, gradients = step(*batch)
        if not math.isfinite(cost):
            end_without_number(run, f"the cost was {cost:g}", rows, batch)
        n = _rows(batch)
        interrupts.updating = True
        if at_once:
            apply(gradients)
            changed = True
        else:
            changed = update.takes(gradients, n)
        progress.add(float(cost) * (n / m if m else n), correct, n)
        if not changed and run.feed.is_last(progress):
            changed = update.flush()
        if changed:
            _count_update(run)
        interrupts.updating = False
        if changed and (looks or interrupts.count or store is not None):
            _after_update(run, store, float(cost), gradients)
    if update.flush():  # of a stream, which does not tell its last batch
        _count_update(run)
        _show_step(run)
    if not is_finite(run):
        end_without_number(run, "a step led to weights that are not finite", slice(None), None)
    total, accuracy = progress.end_epoch(m)
    run.optimizer.costs.append(total)
    _after_epoch(run, store, held, total, accuracy)


def _rows(batch: Batch) -> int:
    """Count the rows of a batch."""
    X = batch[0]
    return len(X) if isinstance(X, np.ndarray) else rows_of(X)


def _count_update(run: Run) -> None:
    """Count an update of the parameters, and let them count in their average."""
    run.progress.steps += 1
    if run.average is not None:
        run.add_to_average()


def _after_update(run: Run, store: Store | None, cost: float, gradients: Sequence[Any]) -> None:
    """Tell the hooks, write a checkpoint if one is due, stop if anybody wants to."""
    if run.hooks.each_step:
        _show_step(run, cost, gradients)
    if run.interrupts.count or (store is not None and store.is_due(run.progress.steps)):
        _between_steps(run, store)


def _show_step(run: Run, cost: float | None = None, gradients: Sequence[Any] = ()) -> None:
    """Tell the hooks of a step, and stop if one of them wants to."""
    progress = run.progress
    run.hooks.note(progress.steps, progress.batch, cost, gradients)
    stop = run.hooks.tell("on_step")
    run.task.require_same_parameters()
    if stop and not run.feed.is_last(progress):
        raise StopIteration
    run.stopping = stop


def _search(run: Run, store: Store | None, iterations: int, made: Programs, held: Held) -> None:
    """Let an optimiser that looks at everything at once do the whole search."""
    task, examples = run.task, run.task.examples
    assert examples is not None  # a search is given no batches
    everything, m = examples[:], len(examples)
    correct: Any = None

    def cost() -> Any:
        nonlocal correct
        if made.step is None:
            total, correct = task.cost(*everything)
            return total
        value, correct, gradients = made.step(*everything)
        return value, gradients

    def after_each(cost: float) -> None:
        run.progress.steps += 1
        run.hooks.note(run.progress.steps, 0, cost)
        run.stopping = run.hooks.tell("on_step")
        _after_epoch(run, store, held, cost, None if correct is None else int(correct) / m)

    away = isinstance(examples, Away)
    if not (is_finite_away(run) if away else task.is_finite(everything)):
        end_without_number(run, "the cost was not finite", slice(None), None)
    options = _products(run, made.product)
    run.optimizer.minimize(cost, iterations, after_each, **options)


def _products(run: Run, product: Callable[..., Any] | None) -> dict[str, Any]:
    """Give the optimiser the products of the Hessian and a vector, where there is a program."""
    if product is None:
        return {}
    assert run.task.examples is not None
    X, y, _, weights = run.task.examples[:]
    return {"product": lambda vectors: product(X, y, weights, vectors)}


# ---- between


def _after_epoch(
    run: Run, store: Store | None, held: Held, cost: float, accuracy: float | None
) -> None:
    """Write the history, tell the callbacks, stop if asked to."""
    history, progress = run.history, run.progress
    history.cost.append(cost)
    if accuracy is not None:
        history.accuracy.append(accuracy)
    with run.averaged():
        validate(run, held)
        if run.patience is not None and epochs_since_best(history) == 0:
            progress.best = Values.of(run.model)
    run.hooks.note(progress.steps, progress.batch)
    stop = run.hooks.after_epoch(history) or run.stopping
    run.task.require_same_parameters()
    if store is not None and (store.every is None or store.is_due(progress.steps)):
        store.save(run)
    _stop_if_interrupted(run)
    if stop or is_out_of_patience(history, run.patience):
        raise StopIteration


def _between_steps(run: Run, store: Store | None) -> None:
    """Write a checkpoint within an epoch, stop if asked to; an epoch's end sees to itself."""
    if run.feed.is_last(run.progress):
        return
    if store is not None and store.is_due(run.progress.steps):
        store.save(run)
    _stop_if_interrupted(run)


def _stop_if_interrupted(run: Run) -> None:
    if run.interrupts.count:
        run.history.interrupted = True
        raise StopIteration
