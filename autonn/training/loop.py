"""The loop: epochs of steps, and all that is looked after between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, cast

from autonn.data import batches
from autonn.optim.steps import StepOptimizer
from autonn.training.checkpoints import Store
from autonn.training.compiling import Programs, programs
from autonn.training.selfcheck import CheckedStep
from autonn.training.state import Run, Values
from autonn.training.stopping import (
    end_without_number,
    epochs_since_best,
    is_finite,
    is_out_of_patience,
)
from autonn.training.task import Step


def train(run: Run, store: Store | None, epochs: int, compile: bool | None) -> None:
    """Go through the epochs that are still to come."""
    left = epochs - len(run.history)
    if left <= 0 or is_out_of_patience(run.history, run.patience):
        return
    made = programs(run, compile)
    if made.step is not None:
        made = made._replace(step=CheckedStep(run, made.step))
    if run.task.findings:  # seen while the step was traced
        run.task.tell(compiled=made.step is not None)
    try:
        if run.optimizer.full_batch:
            _search(run, store, left, made)
        else:
            for _ in range(left):
                _one_epoch(run, store, made.step or run.task.step)
    except StopIteration:
        pass
    if store is not None and store.written != run.progress.steps and not run.history.diverged:
        store.save(run)


def _one_epoch(run: Run, store: Store | None, step: Step) -> None:
    """Show all examples once, in a new order if there is more than one batch."""
    run.finite = Values.of(run.model)
    examples, progress, interrupts = run.task.examples, run.progress, run.interrupts
    apply, m = cast(StepOptimizer, run.optimizer).apply, len(examples)
    for rows in _rows_to_come(run):
        batch = examples[rows]
        cost, correct, gradients = step(*batch)
        if not math.isfinite(cost):
            end_without_number(run, f"the cost was {cost:g}", rows)
        interrupts.updating = True
        apply(gradients)
        progress.add(float(cost) * (len(batch[1]) / m), correct)
        interrupts.updating = False
        if interrupts.count or (store is not None and store.is_due(progress.steps)):
            _between_steps(run, store)
    if not is_finite(run):
        end_without_number(run, "a step led to weights that are not finite", slice(None))
    total, correct = progress.end_epoch()
    run.optimizer.costs.append(total)
    _after_epoch(run, store, total, correct)


def _rows_to_come(run: Run) -> Iterator[Any]:
    """Yield the rows of each batch that is still to come in this epoch."""
    if run.batch_size is None:
        return iter([slice(None)])
    generator, progress, now = run.rng.bit_generator, run.progress, None
    if progress.order is not None:  # resumed within an epoch: draw the same order again
        now, generator.state = generator.state, progress.order
    progress.order = generator.state
    drawn = batches(len(run.task.examples), run.batch_size, run.rng)
    if now is not None:
        generator.state = now
    return islice(drawn, progress.batch, None)


def _search(run: Run, store: Store | None, iterations: int, made: Programs) -> None:
    """Let an optimiser that looks at everything at once do the whole search."""
    task, everything = run.task, run.task.examples[:]
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
        _after_epoch(run, store, cost, None if correct is None else int(correct))

    if not task.is_finite(slice(None)):
        end_without_number(run, "the cost was not finite", slice(None))
    options = _products(run, made.product)
    run.optimizer.minimize(cost, iterations, after_each, **options)


def _products(run: Run, product: Callable[..., Any] | None) -> dict[str, Any]:
    """Give the optimiser the products of the Hessian and a vector, where there is a program."""
    if product is None:
        return {}
    X, y, _, weights = run.task.examples[:]
    return {"product": lambda vectors: product(X, y, weights, vectors)}


# ---- between


def _after_epoch(run: Run, store: Store | None, cost: float, correct: int | None) -> None:
    """Write the history, tell the callbacks, stop if asked to."""
    history, progress = run.history, run.progress
    history.cost.append(cost)
    if correct is not None:
        history.accuracy.append(correct / len(run.task.examples))
    if run.held_out is not None:
        _validate(run)
    if run.patience is not None and epochs_since_best(history) == 0:
        progress.best = Values.of(run.model)
    stop = _tell_callbacks(run)
    run.task.require_same_parameters()
    if store is not None and (store.every is None or store.is_due(progress.steps)):
        store.save(run)
    _stop_if_interrupted(run)
    if stop or is_out_of_patience(history, run.patience):
        raise StopIteration


def _validate(run: Run) -> None:
    assert run.held_out is not None
    cost, accuracy = run.task.validate(run.held_out)
    run.history.validation_cost.append(cost)
    if accuracy is not None:
        run.history.validation_accuracy.append(accuracy)


def _tell_callbacks(run: Run) -> bool:
    """Call all the callbacks; return whether one of them wants to stop."""
    stop = False
    for callback in run.callbacks:
        try:
            callback(run.history)
        except StopIteration:
            stop = True
    return stop


def _between_steps(run: Run, store: Store | None) -> None:
    """Write a checkpoint within an epoch, stop if asked to; an epoch's end sees to itself."""
    m = len(run.task.examples)
    if run.progress.batch * (run.batch_size or m) >= m:
        return
    if store is not None and store.is_due(run.progress.steps):
        store.save(run)
    _stop_if_interrupted(run)


def _stop_if_interrupted(run: Run) -> None:
    if run.interrupts.count:
        run.history.interrupted = True
        raise StopIteration
