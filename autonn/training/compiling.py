"""Whether the step of a run can be a flat program, found by trying.

Only what means "this cannot be compiled" lets the step run as it is; a fault of the compiler's own
is raised, and so is what the model raises without it.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from autonn.compiler import compile as compiled
from autonn.compiler.search import reads_near
from autonn.engine.modes import CannotCompileError, changes
from autonn.nn.module import Module
from autonn.training.state import Run, Values, generators, random_states, set_random_states
from autonn.training.task import Step

Arguments = tuple[Any, ...]


class Programs(NamedTuple):
    """The programs of a run, or why there are none."""

    step: Step | None = None
    product: Callable[..., Any] | None = None  # of the Hessian and a vector
    why_not: str = ""


def programs(run: Run, compile: bool | None) -> Programs:
    """Derive what the optimiser needs, and write down whether that could be done.

    True asks for it, and is told by a warning if it can't be; None is for programs if they can be.
    """
    made = Programs(why_not="compile=False") if compile is False else _derived(run)
    run.history.compiled, run.history.why_not = not made.why_not, made.why_not
    if made.why_not and compile:
        warnings.warn(
            f"fit: compile=True, but the step can't be compiled and runs as it is: {made.why_not}",
            RuntimeWarning,
            stacklevel=4,  # the line that calls fit
        )
    return made


def _derived(run: Run) -> Programs:
    """Derive a program of the step and, for an optimiser that needs them, of the products."""
    step, why_not = attempt(run.task.step, run.model, run.feed.trials(run.rng))
    run.task.show_targets()  # again: what the loss noted of them while it was traced is put back
    if step is None or not run.optimizer.needs_products:
        return Programs(step, why_not=why_not)
    assert run.task.examples is not None  # a search is given no batches
    X, y, _, weights = run.task.examples[:]
    vectors = [*Values.of(run.model).weights.values()]
    product, why_not = attempt(run.task.product, run.model, [(X, y, weights, vectors)])
    if product is None:  # the products need the graph of the cost, which a program has not
        return Programs(why_not=why_not)
    return Programs(step, product)


class Attempt(NamedTuple):
    """The program of a function, or why there is none."""

    program: Callable[..., Any] | None
    why_not: str = ""


def attempt(
    f: Callable[..., Any],
    model: Module,
    trials: Iterable[Arguments],
    program: Callable[..., Any] | None = None,
) -> Attempt:
    """Compile a function, and try it on each kind of arguments that it will see.

    The trials leave no trace in the model. What was compiled before may be given as `program`, to
    be tried on more.

    Raises
    ------
    Exception
        What the function itself raises for these arguments; or else a fault of the compiler.
    """
    program = compiled(f) if program is None else program
    with np.errstate(all="ignore"):  # the training itself will warn
        for arguments in trials:
            why_not = _why_not(program, f, model, arguments)
            if why_not:
                return Attempt(None, why_not)
    return Attempt(program)


def _why_not(
    program: Callable[..., Any], f: Callable[..., Any], model: Module, arguments: Arguments
) -> str:
    """Say why a program can't stand for the function; nothing if it can."""
    chance = drawn_from(f, arguments)
    try:
        with untouched(model, chance):
            program(*arguments)
        return ""
    except CannotCompileError as error:
        return str(error)
    except Exception as error:
        fault = error
    if _came_from_user(fault):  # if it is raised without a program too, the first step will do so
        return f"{type(fault).__name__} while tracing: {fault}"
    with untouched(model, chance):
        f(*arguments)  # what is wrong without a program too is raised here, and said better
    raise fault


def drawn_from(f: Callable[..., Any], arguments: Arguments) -> list[np.random.Generator]:
    """Find the generators that a step could draw from, also those that stand beside the model."""
    near = reads_near(f, arguments).generators
    return [g for g in near if isinstance(g, np.random.Generator)]


@contextmanager
def untouched(model: Module, chance: Iterable[np.random.Generator] = ()) -> Iterator[None]:
    """Undo all that happens to the modules, their numbers and their chance, and to that given."""
    attributes = [(module, module.edits, dict(vars(module))) for _, module in model.named_modules()]
    beside = {f"beside the model: {k}": generator for k, generator in enumerate(chance)}
    found, values = generators(model) | beside, Values.of(model)
    states = random_states(found)
    try:
        yield
    finally:
        for module, edits, own in attributes:
            if module.edits != edits:
                own["edits"] = module.edits + 1  # never a number that was there before
                vars(module).clear()
                vars(module).update(own)
                changes.count += 1
        values.put_into(model)
        set_random_states(found, states)


def _came_from_user(error: BaseException) -> bool:
    """Whether a line of the model's or the loss's own raised it, or called what did.

    Such a line takes arrays, but not the Tensors that stand for them while it is compiled.
    """
    ours = {"autonn", "numpy", "scipy", None, *sys.stdlib_module_names}
    place = error.__traceback__
    while place is not None:
        name = place.tb_frame.f_globals.get("__name__")  # a derived program has none
        if (name and name.partition(".")[0]) not in ours:
            return True
        place = place.tb_next
    return False
