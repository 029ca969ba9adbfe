"""What came of one seed of a fuzzer, and the counts over many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

__all__ = ["Summary", "Trial", "check", "summary"]


@dataclass
class Trial:
    """One drawn program: how many of its calls were compared, or refused, and what was found.

    Attributes
    ----------
    shared
        Whether rows were shared out.
    finding, kind, text
        How a result differs, what kind of fault it is, and a short program that shows it.
    """

    compared: int = 0
    refused: int = 0
    shared: bool = False
    finding: str = ""
    kind: str = ""
    text: str = ""


@dataclass
class Summary:
    """The counts over many trials, and the first program of each kind of fault."""

    trials: int = 0
    compared: int = 0
    refused: int = 0
    shared: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    examples: dict[str, tuple[int, str]] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """Return which share of the calls was compared."""
        return self.compared / max(self.compared + self.refused, 1)

    def add(self, seed: int, trial: Trial) -> None:
        """Count one trial."""
        self.trials += 1
        self.compared += trial.compared
        self.refused += trial.refused
        self.shared += trial.shared
        if trial.finding:
            self.kinds[trial.kind] += 1
            self.examples.setdefault(trial.kind, (seed, trial.text))

    def text(self) -> str:
        """Write the counts, each kind of fault, most frequent first, and its first program."""
        lines = [
            f"{self.trials} programs, {self.compared} calls compared, {self.refused} refused "
            f"({1 - self.share:.1%}), rows shared in {self.shared}; "
            f"{sum(self.kinds.values())} faults of {len(self.kinds)} kinds"
        ]
        for kind, count in self.kinds.most_common():
            seed, text = self.examples[kind]
            indented = "\n".join(f"    {line}" for line in text.splitlines())
            lines += [f"\n{count} x {kind} (seed {seed})", indented]
        return "\n".join(lines)


def summary(trial: Callable[[int], Trial], seeds: Iterable[int]) -> Summary:
    """Run the trials of some seeds and count."""
    found = Summary()
    for seed in seeds:
        found.add(seed, trial(seed))
    return found


def check(trial: Trial, seed: int) -> None:
    """Raise an AssertionError with the program where a trial found something."""
    assert not trial.finding, f"seed {seed}: {trial.kind}\n{trial.text}"
