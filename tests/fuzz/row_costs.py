"""Costs of rows, shared out among threads: they give what the whole gives, eager."""

from __future__ import annotations

from tools.drawn_row_costs import draw_row_cost, few_rows_are_shared
from tools.program import Program, examine
from tools.shrinking import kind_of, shrunk
from tools.trials import Trial
from tools.trials import check as check_trial

__all__ = ["check", "trial"]


def trial(seed: int, shorten: bool = True) -> Trial:
    """Draw a cost, run it both ways, and shorten it where it shows a fault."""
    program = draw_row_cost(seed)
    with few_rows_are_shared():
        found = examine(program)
        if found.finding and shorten:
            short = shrunk(program, lambda p: _same_fault(p, found.finding))
            found.text, found.kind = short.text(), kind_of(short, found.finding)
    return found


def _same_fault(program: Program, finding: str) -> bool:
    return examine(program).finding.split(",")[0] == finding.split(",")[0]


def check(seed: int) -> None:
    """Raise an AssertionError with a short cost where shared rows and eager differ."""
    check_trial(trial(seed), seed)
