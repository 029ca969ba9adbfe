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

SECONDS = 10.0  # for the search; most repairs are found in a tenth of it


def review(
    f: Callable[..., Any],
    *args: Any,
    argnums: int | tuple[int, ...] = 0,
    cost: Callable[..., Any] | None = None,
) -> Review:
    """Check a gradient written by hand against dJ/dx of its own J, and find the line that is wrong.

    `f` runs as it is, and its lines are watched. The right gradient is that of the J that it
    returns, differentiated by autonn. Then changes of single lines are tried, each of which takes
    back one kind of mistake: a factor, a sign, a slope, a transposition, a term, another variable,
    a line outside its loop. The line is the one whose change makes all gradients right.

    Parameters
    ----------
    f
        A function in plain NumPy that returns ``(J, *gradients)`` or ``(J, gradients)``: arrays,
        tuples, lists, dicts of them or one flat vector. A method is one too. It is called many
        times, on copies of its arguments, and what it prints is not shown.
    args
        What it is called with. Of many examples a few are taken, where `f` takes them.
    argnums
        Which arguments the gradients belong to: one position, or a tuple of them.
    cost
        A function of the same arguments that returns the right J, where that of `f` is in doubt.

    Returns
    -------
    A `Review`: `right`, `line`, `file`, `variable`, `expected`, `cause`; printed, the listing.

    Raises
    ------
    TypeError
        If `f` does not return a cost and gradients.
    ValueError
        If there are not as many gradients as arguments named; if the cost, or its gradient, is not
        finite with these arguments.

    Examples
    --------
    >>> def line(w, x, y):
    ...     error = x @ w - y
    ...     J = np.sum(error**2) / (2 * len(x))
    ...     return J, x.T @ error / len(x)
    >>> x = np.array([[1.0, 2.0], [3.0, 1.0], [0.5, 1.0]])
    >>> review(line, np.array([0.3, -0.2]), x, np.array([1.0, 0.0, 2.0])).right
    True
    """
    positions = within(positions_of(argnums), args)
    call = Call(f, args, positions)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        return _reviewed(call, cost)


def _reviewed(call: Call, cost: Callable[..., Any] | None) -> Review:
    """Judge with a few examples, or with all where these show nothing; then search the line."""
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
        search = Search(judgement, program, pool, _sizes(judgement, m), SECONDS)
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
        if judgement.is_finite:
            return judgement
    except (ArithmeticError, ValueError):
        pass
    judgement = judged(call, program, cost)
    if not judgement.is_finite:
        raise ValueError(
            f"review: the cost is {judgement.cost:g} here, or a slope of it is not finite, so that "
            "no gradient can be called right or wrong; give other arguments"
        )
    return judgement


def _sizes(judgement: Judgement, m: int | None) -> dict[int, str]:
    """Say which numbers the lengths of the data are, and what they count."""
    found: dict[int, str] = {}
    if m is not None:
        found[m] = "examples"
    for k, a in enumerate(judgement.call.args):
        for n in np.shape(a) if isinstance(a, np.ndarray) else ():
            found.setdefault(int(n), "values" if k not in judgement.call.positions else "units")
    return found
