"""Which runs hold BLAS to one thread: where its threads would be in the way, and nobody's gain."""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from autonn.nn.linear import Layer
from autonn.threads import one_thread
from autonn.training.state import Run

__all__ = ["SMALL", "alone"]

# Multiplications in one product. Of fewer, a second thread saves less than 0.2 ms of the 0.4 that
# one takes, and its waking, and its spinning while others work, cost as much.
SMALL = 2**22


def alone(run: Run, program: Any) -> AbstractContextManager[Any]:
    """Return what holds NumPy's BLAS to one thread while a run lasts, or does nothing.

    It is held where the program shares rows out to threads of its own: after a product with two
    threads, as validation has them, those of OpenBLAS spin for some 30 ms and take the cores from
    them, so that a step of 2.9 ms took 5.1. And it is held where all products are small. Large ones
    that nobody else shares out keep their threads. The rule asks for no time, so that a run has the
    same bits each time.
    """
    return one_thread if _shares_rows(program) or _is_small(run) else nullcontext()


def _shares_rows(program: Any) -> bool:
    """Whether one of the programs that were derived has a part for each slice of the rows."""
    derived = getattr(program, "programs", None)
    kept = [] if derived is None else [p for some in derived.kept.values() for p in some]
    return any(isinstance(each.function, functools.partial) for each in kept)


def _is_small(run: Run) -> bool:
    """Whether a batch makes small products in layers, and in nothing else."""
    rows = run.batch_rows
    if rows is None:
        return False
    for _, module in run.model.named_modules():
        own = module.own_parameters().values()
        if own and not isinstance(module, Layer):
            return False
        if any(rows * parameter.size > SMALL for parameter in own):
            return False
    return True
