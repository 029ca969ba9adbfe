"""Random programs: compiled they give what they give eager, or are refused."""

from __future__ import annotations

from tools.drawn_programs import draw_program
from tools.program import Program, examine
from tools.shrinking import kind_of, shrunk
from tools.trials import Trial
from tools.trials import check as check_trial

__all__ = ["check", "trial"]


def trial(seed: int, shorten: bool = True) -> Trial:
    """Draw a program, run it both ways, and shorten it where it shows a fault."""
    program = draw_program(seed)
    found = examine(program)
    if found.finding and shorten:
        short = shrunk(program, lambda p: _same_fault(p, found.finding))
        found.text, found.kind = short.text(), kind_of(short, found.finding)
    return found


def _same_fault(program: Program, finding: str) -> bool:
    return examine(program).finding.split(",")[0] == finding.split(",")[0]


def check(seed: int) -> None:
    """Raise an AssertionError with a short program where compiled and eager differ."""
    check_trial(trial(seed), seed)
