"""Trainings whose model, loss or callback changes things: compiled they train as eager."""

from __future__ import annotations

from tools.drawn_fits import draw_fit
from tools.script import examine_script
from tools.trials import Trial
from tools.trials import check as check_trial

__all__ = ["check", "trial"]


def trial(seed: int, shorten: bool = True) -> Trial:
    """Draw a training and run it both ways."""
    return examine_script(draw_fit(seed), shorten)


def check(seed: int) -> None:
    """Raise an AssertionError with the script where compiled and eager differ."""
    check_trial(trial(seed), seed)
