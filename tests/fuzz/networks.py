"""Networks edited between calls: a compiled loss sees each edit, as an eager one does."""

from __future__ import annotations

from tools.drawn_networks import draw_network
from tools.script import examine_script
from tools.trials import Trial
from tools.trials import check as check_trial

__all__ = ["check", "trial"]


def trial(seed: int, shorten: bool = True) -> Trial:
    """Draw a network and run its loss both ways."""
    return examine_script(draw_network(seed), shorten)


def check(seed: int) -> None:
    """Raise an AssertionError with the script where compiled and eager differ."""
    check_trial(trial(seed), seed)
