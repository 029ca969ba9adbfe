"""Whether the step of a run can be a flat program, found by trying."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from autonn.engine.compile import compile as compiled
from autonn.engine.tensor import changes
from autonn.nn.module import Module
from autonn.training.checkpoints import generators, random_states, restore_random_states


def or_none(f: Callable[..., Any], model: Module, trials: Iterable[tuple[Any, ...]]) -> Any:
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
