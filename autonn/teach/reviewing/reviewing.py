"""`review`: a gradient written by hand, checked, and the line found that makes it wrong."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from autonn.engine.transforms import positions_of, within
from autonn.teach.reviewing.judging import Judgement, Program, judged
from autonn.teach.reviewing.matching import Pool
from autonn.teach.reviewing.rows import examples_of, fewer_rows
from autonn.teach.reviewing.searching import Search
from autonn.teach.reviewing.showing import Review, shown
from autonn.teach.reviewing.trials import Call

__all__ = ["review"]

_SECONDS = 8.0  # for the search; most repairs are found in a tenth of it


def review(
    f: Callable[..., Any],
    *args: Any,
    argnums: int | tuple[int, ...] = 0,
    cost: Callable[..., Any] | None = None,
) -> Review:
    """Check a gradient written by hand, and find the line that makes it wrong."""
    positions = within(positions_of(argnums), args)
    call = Call(f, args, positions)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _reviewed(call, cost)


def _reviewed(call: Call, cost: Callable[..., Any] | None) -> Review:
    fewer = fewer_rows(call)
    rows: list[int] | None = None
    judgement: Judgement | None = None
    program = None
    if fewer is not None:
        few, rows = fewer
        try:
            program = Program.of(few)
            judgement = _at_a_general_point(few, program, cost)
        except Exception:
            judgement = None
        if judgement is None or judgement.is_right:
            judgement, rows = None, None
    if judgement is None:
        program = Program.of(call)
        judgement = _at_a_general_point(call, program, cost)
    assert program is not None
    m = examples_of(judgement.call)
    pool = Pool(judgement, m)
    finding, search = None, None
    if not judgement.is_right:
        search = Search(judgement, program, pool, _sizes(judgement, m), _SECONDS)
        finding = search.run()
    return shown(judgement, program, pool, search, finding, rows)


def _at_a_general_point(call: Call, program: Program, cost: Any) -> Judgement:
    """Judge near the point given, where no two numbers are equal by chance, and none is 0."""
    rng = np.random.default_rng(0)
    leaves = [np.asarray(leaf) for _, leaf in call.leaves()]
    moved = [
        leaf + rng.uniform(0.5, 1.0, leaf.shape) * rng.choice([-1, 1], leaf.shape)
        * (0.1 * float(np.std(leaf)) or 0.1)
        for leaf in leaves
    ]  # fmt: skip
    try:
        judgement = judged(call.with_leaves(moved), program, cost)
        if np.isfinite(judgement.cost) and all(np.isfinite(r).all() for r in judgement.rights):
            return judgement
    except (ArithmeticError, ValueError):
        pass
    return judged(call, program, cost)


def _sizes(judgement: Judgement, m: int | None) -> dict[int, str]:
    """Say which numbers the lengths of the data are, and what they count."""
    found: dict[int, str] = {}
    if m is not None:
        found[m] = "examples"
    for k, a in enumerate(judgement.call.args):
        for n in np.shape(a) if isinstance(a, np.ndarray) else ():
            found.setdefault(int(n), "values" if k not in judgement.call.positions else "units")
    return found
