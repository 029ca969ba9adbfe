"""What a benchmark says: the machine, its figures as JSON, and two runs side by side."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Figure:
    """One measured quantity: the median of the rounds, and their middle half.

    `title` and `row` together name it; two runs are compared by them. `ratios` are the lower
    quartile, median and upper quartile of its ratios to another row, round by round: a machine
    whose clock changes from minute to minute changes them little.
    """

    title: str
    row: str
    unit: str
    median: float
    low: float
    high: float
    rounds: int
    ratios: tuple[float, float, float] | None = None

    @classmethod
    def of(
        cls, title: str, row: str, unit: str, values: Sequence[float],
        base: Sequence[float] | None = None,
    ) -> Figure:  # fmt: skip
        """Sum rounds up, beside those of another row if there is one."""
        low, median, high = _quartiles(values)
        ratios = _quartiles(by_round(values, base)) if base else None
        return cls(title, row, unit, median, low, high, len(values), ratios)


def by_round(values: Sequence[float], base: Sequence[float]) -> list[float]:
    """Divide by another row, round by round, as far as both went."""
    return [a / b for a, b in zip(values, base, strict=False)]


def _quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    low, median, high = (float(q) for q in np.percentile(values, [25, 50, 75]))
    return low, median, high


def machine() -> str:
    """Say what the figures were measured on."""
    return (
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, "
        f"{processor()}, {os.cpu_count()} CPUs"
    )


def processor() -> str:
    """Name the processor, if the system says what it is."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def chosen(row: str, names: Sequence[str]) -> bool:
    """Whether `--only` lets a row take part: it contains one of the names, or none is given."""
    return not names or any(name.lower() in row.lower() for name in names)


def number(value: float) -> str:
    """Write a figure with three digits, or more before the point."""
    return f"{value:,.{max(0, 2 - int(np.floor(np.log10(abs(value) or 1))))}f}"


def table(figures: Sequence[Figure], base: str) -> str:
    """Lay out medians, spreads, and ratios to one of the rows where the units are the same.

    Ratios are taken round by round, where there are such, or else of the medians.
    """
    bases = {f.unit: f.median for f in figures if f.row == base}
    width = max(len(f.row) for f in figures) + 2
    lines = []
    for f in figures:
        spread = f"({number(f.low)} - {number(f.high)})"
        times = f.ratios[1] if f.ratios else f.median / bases[f.unit] if f.unit in bases else None
        ratio = "" if times is None else f"{number(times)} x"
        lines.append(
            f"  {f.row:<{width}}{number(f.median):>8} {f.unit:<3}{spread:>20}{ratio:>10}"
            f"{f.rounds:>6} rounds"
        )
    return "\n".join(lines)


def write(path: str, setting: dict[str, Any], figures: Sequence[Figure]) -> None:
    """Write a run as JSON."""
    run = {"setting": setting, "figures": [asdict(f) for f in figures]}
    Path(path).write_text(json.dumps(run, indent=1) + "\n")


def read(path: str) -> list[Figure]:
    """Read the figures of a run that `write` wrote."""
    return [Figure(**f) for f in json.loads(Path(path).read_text())["figures"]]


def compared(old: Sequence[Figure], new: Sequence[Figure]) -> str:
    """Lay two runs out side by side, what both measured."""
    before = {(f.title, f.row): f for f in old}
    both = [(before[f.title, f.row], f) for f in new if (f.title, f.row) in before]
    width = max((len(f.row) for _, f in both), default=0) + 4
    lines, title = [f"{'':{width}}{'then':>9}{'now':>9}     now / then"], ""
    for then, now in both:
        if now.title != title:
            title = now.title
            lines.append(title)
        apart = now.low > then.high or now.high < then.low
        lines.append(
            f"  {now.row:<{width - 2}}{number(then.median):>9}{number(now.median):>9} {now.unit:<3}"
            f"{now.median / then.median:>8.2f} x{' *' * apart}"
        )
    return "\n".join([*lines, "* the middle halves of the rounds don't overlap"])
