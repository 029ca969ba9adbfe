"""Functions that read what changes: compiled they see it, or refuse; they are never stale."""

from __future__ import annotations

from tools.drawn_impure import draw_impure
from tools.script import examine_script
from tools.trials import Trial
from tools.trials import check as check_trial

__all__ = ["check", "trial"]


def trial(seed: int, shorten: bool = True) -> Trial:
    """Draw a script and run it both ways."""
    return examine_script(draw_impure(seed), shorten)


def check(seed: int) -> None:
    """Raise an AssertionError with the script where compiled and eager differ."""
    check_trial(trial(seed), seed)
