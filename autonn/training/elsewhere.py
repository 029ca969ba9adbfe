"""The programs of a run whose rows others hold: sums that they compute, slice by slice."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from autonn.compiler.partition import slices_of
from autonn.distributed.sums import NoSumError
from autonn.engine.modes import CannotCompileError, no_grad
from autonn.engine.tensor import values_of
from autonn.training.away import Away
from autonn.training.compiling import Programs, untouched
from autonn.training.examples import Examples
from autonn.training.state import Run, Values
from autonn.training.structures import call
from autonn.training.task import Task

__all__ = ["is_finite_away", "programs_away", "rows_without_cost_away"]


def programs_away(run: Run) -> Programs:
    """Derive what the optimiser needs, and let the workers learn it.

    Raises
    ------
    NoSumError, CannotCompileError
        For a cost that is no sum over rows, and what can be no program: it runs where the rows
        are, and so can't do without.
    """
    task, model, examples = run.task, run.model, run.task.examples
    assert isinstance(examples, Away)
    with untouched(model), no_grad():
        task.look_at(call(model, examples.sample.X, task.way), len(examples.sample))
    bare = copy.copy(task)  # or all that leads to the workers would be looked at before each step
    bare.examples = bare.held_out = None
    run.sums = step = examples.sums(bare.step, lambda: untouched(model))
    with _said_of_workers():
        step.current(())
    task.findings = bare.findings
    task.show_targets()  # again: what the loss noted of them while it was traced is put back
    product = _product(run, bare, examples) if run.optimizer.needs_products else None
    run.history.compiled, run.history.why_not = True, ""
    return Programs(lambda *stand_ins: step(), product)


def _product(run: Run, task: Task, examples: Away) -> Callable[..., Any]:
    """Derive the products of the Hessian and a vector."""

    def product(X: Any, y: Any, classes: Any, weights: Any, vectors: list[Any]) -> list[Any]:
        """Leave the classes out, which the cost does not depend on."""
        return task.product(X, y, weights, vectors)

    sums = examples.sums(product, lambda: untouched(run.model))
    with _said_of_workers():
        sums.current(([*Values.of(run.model).weights.values()],))
    return lambda X, y, weights, vectors: sums(vectors)


@contextmanager
def _said_of_workers() -> Iterator[None]:
    """Say of what can't be a program, or is no sum, that this is what workers compute."""
    try:
        yield
    except NoSumError as error:
        raise NoSumError(
            f"fit: workers add up sums over their rows, and {error}; leave workers out, or what "
            "does that: a LayerNorm needs no other rows, as a batch norm does, and l2 no chance, "
            "as dropout does"
        ) from error
    except CannotCompileError as error:
        raise CannotCompileError(
            f"fit: workers run the step as a program, and it can't be one: {error}"
        ) from error


def is_finite_away(run: Run) -> bool:
    """Whether cost and gradients of all rows are finite at the present weights."""
    assert run.sums is not None
    with np.errstate(all="ignore"):
        cost, _, found = run.sums()
    return math.isfinite(cost) and all(bool(np.isfinite(values_of(g)).all()) for g in found)


def rows_without_cost_away(run: Run, examples: Away) -> list[int]:
    """List the rows without a finite cost, of the first slice that has one.

    The slice comes here for that.
    """
    with np.errstate(all="ignore"):
        finite = [True] if run.sums is None else run.sums.finite_slices()
    if all(finite):
        return []
    start, stop = slices_of(len(examples))[finite.index(False)]
    rows = Examples(*examples.taken(start, stop))
    return [start + k for k in range(len(rows)) if not run.task.is_finite(rows[k : k + 1])]
