"""Findings: what is wrong with a training, as values, and how `fit` tells of them.

What is certain is found while `fit` runs its first step; all else by `autonn.lint`.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from types import FrameType


class LintWarning(UserWarning):
    """What `fit` warns with where a training can't do what was meant, whatever it learns.

    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", LintWarning)  # what it says is known and meant
    ...     warnings.warn("2 found", LintWarning)
    """


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a training.

    >>> print(Finding("dead-units", "model.1", "25 of 25 give 0", "take a smaller lr"))
    dead-units, in model.1
      25 of 25 give 0
      cure: take a smaller lr

    Attributes
    ----------
    name
        Of the rule that found it, the same in every version.
    where
        In what: a module, a parameter, an argument.
    evidence
        What was seen, in numbers.
    cure
        What to do about it.
    """

    name: str
    where: str
    evidence: str
    cure: str

    def __str__(self) -> str:
        return f"{self.name}, in {self.where}\n  {self.evidence}\n  cure: {self.cure}"


def warn_of(findings: Iterable[Finding], caller: str = "fit") -> None:
    """Warn of each finding at the user's line, and say how to hear no more of it."""
    for found in findings:
        title = f"{caller}: {found.name}"
        warnings.warn(
            f"{title}, in {found.where}: {found.evidence}. Cure: {found.cure}. (To hear no more of "
            f'it: warnings.filterwarnings("ignore", "{title}"); `autonn.lint` looks for more.)',
            LintWarning,
            stacklevel=_frames_of_ours(),
        )


def _frames_of_ours() -> int:
    """Count the frames up to the line outside this package that called it, for `stacklevel`."""
    frame: FrameType | None = sys._getframe(1)
    count = 0
    while frame and frame.f_globals.get("__name__", "").partition(".")[0] == "autonn":
        frame, count = frame.f_back, count + 1
    return count + 1
