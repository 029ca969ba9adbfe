"""A compiled step that looks at itself: now and then the step is run as it is too, and compared.

What a function reads is guarded, and it is run again before it is trusted. What is beyond both, as
a clock that an object of C reads, or a file that changes, shows here: after at most twice as many
steps as it took to begin.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from autonn.compiler.verify import disagreement
from autonn.engine.modes import CannotCompileError
from autonn.engine.trees import tree_leaves, tree_unflatten
from autonn.training.compiling import attempt, untouched
from autonn.training.state import Run, drawn_from
from autonn.training.task import Step


def fault_of(step: Step, batch: tuple[Any, ...], expected: Any, found: Any, model: Any) -> str:
    """Say where a program differs from what the step gives by more than rounding explains."""
    what = disagreement(expected, found)
    return "" if what and is_unsteady(step, batch, expected, model) else what


def is_unsteady(step: Step, batch: tuple[Any, ...], expected: Any, model: Any) -> bool:
    """Whether the step itself gives something else of inputs that differ by a rounding.

    Then that a program does so is no fault: a unit is at the kink of a relu, or a deviation that a
    norm divides by is nearly 0. In a plain network of nineteen layers, in float32, either moved
    gradients by 2 %.
    """
    for roundings in (8, -8, 32):
        inputs = tree_unflatten(batch[0], [_nudged(a, roundings) for a in tree_leaves(batch[0])])
        with untouched(model, drawn_from(step, batch)), np.errstate(all="ignore"):
            if disagreement(expected, step(inputs, *batch[1:])):
                return True
    return False


def _nudged(a: Any, roundings: int) -> Any:
    """Move numbers by so many roundings; whole ones stay."""
    floating = isinstance(a, np.ndarray) and a.dtype.kind == "f"
    return a * a.dtype.type(1 + roundings * np.finfo(a.dtype).eps) if floating else a


class CheckedStep:
    """Runs the program of a step; at steps 2, 4, 8, 16, ... of the run the step itself, too.

    Where they differ by more than rounding explains, or where the program would have to be derived
    anew and can't be, training goes on without it; there is a warning, and the history says so.
    Where batches come from elsewhere the first step shows whether there can be a program, and there
    is only a warning if one was asked for.
    """

    def __init__(self, run: Run, program: Step) -> None:
        self.run, self.asked = run, True
        self.program: Step | None = program
        self.count = run.progress.steps  # a resumed run looks where the whole one does

    def __call__(self, *batch: Any) -> Any:
        """Compute what the step computes."""
        self.count = count = self.count + 1
        if self.program is None:
            return self.run.task.step(*batch)
        try:
            if count & (count - 1) == 0 and count > 1:
                self.compare(self.program, batch)
            if self.program is not None:
                return self.program(*batch)
        except CannotCompileError as error:
            self.give_up(str(error))
        except Exception:
            # Of batches that were not seen before it is raised without a program too, and said
            # better; or it was the model's way with what stands for them.
            made = attempt(self.run.task.step, self.run.model, [batch], self.program)
            if made.program is not None:
                raise
            self.give_up(made.why_not)
        return self.run.task.step(*batch)

    def compare(self, program: Step, batch: tuple[Any, ...]) -> None:
        """Run both, and leave no trace of it."""
        chance = drawn_from(self.run.task.step, batch)
        with untouched(self.run.model, chance):
            expected = self.run.task.step(*batch)
        with untouched(self.run.model, chance):
            found = program(*batch)
        what = fault_of(self.run.task.step, batch, expected, found, self.run.model)
        if what:
            self.give_up(f"in step {self.count} it did not give what the step gives ({what})")

    def give_up(self, why: str) -> None:
        """Go on without the program, and say so."""
        self.program = None
        self.run.history.compiled, self.run.history.why_not = False, why
        if self.count == 1 and not self.asked:
            return
        warnings.warn(
            f"fit: the compiled step is given up, and training goes on as it is: {why}",
            RuntimeWarning,
            stacklevel=7,
        )
