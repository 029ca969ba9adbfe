"""Write the tables of the benchmarks into the pages that show them, from what the runs wrote down.

python benchmarks/figures.py
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from report import Figure, number, read

BENCHMARKS = Path(__file__).parent

# Of the first benchmark, what the README shows.
PROBLEMS = (
    "400-25-10, m = 32", "400-25-10, m = 500", "400-25-10, m = 5,000", "784-512-256-10, m = 128",
)  # fmt: skip
ROWS = ("best by hand", "autonn, compiled", "PyTorch")
DTYPES = ("float64", "float32")


def figures(name: str) -> list[Figure]:
    """Read the figures that a run wrote down."""
    return read(str(BENCHMARKS / name))


def machine(name: str) -> str:
    """Say what a run was measured on."""
    setting = json.loads((BENCHMARKS / name).read_text())["setting"]
    return str(setting["machine"])


def table(header: list[str], lines: list[list[str]]) -> str:
    """Lay lines out as a table of Markdown, numbers to the right."""
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join("| " + " | ".join(line) + " |" for line in [header, rule, *lines])


def by_hand(run: Sequence[Figure], rows: Sequence[str] | None = None) -> str:
    """Write the table of backprop.py: milliseconds, float64 / float32; some rows or all."""
    found = {(f.title, f.row): f for f in run}
    problems = list(dict.fromkeys(title.rpartition(", ")[0] for title, _ in found))
    problems = [p for p in problems if rows is None or p in PROBLEMS]
    lines = []
    for row in rows or dict.fromkeys(row for _, row in found):
        cells = []
        for problem in problems:
            pair = [found.get((f"{problem}, {dtype}", row)) for dtype in DTYPES]
            cells.append(" / ".join(number(f.median) for f in pair if f))
        lines.append([f"**{row}**" if row.startswith("autonn") else row, *cells])
    return table(["ms, float64 / float32", *problems], lines)


def models() -> str:
    """Write the table of models.py: milliseconds, and multiples of PyTorch's time."""
    found = {(f.title, f.row): f for f in figures("models.json")}
    names = list(dict.fromkeys(title.rpartition(", ")[0] for title, _ in found))
    lines = []
    for name in names:
        cells = [name]
        for dtype in ("float32", "float64"):
            ours, theirs = (
                found[f"{name}, {dtype}", row] for row in ("autonn, compiled", "PyTorch")
            )
            assert ours.ratios is not None
            cells += [number(ours.median), number(theirs.median), f"{ours.ratios[1]:.2f}"]
        lines.append(cells)
    header = ["one step, ms", "float32", "PyTorch", "ratio", "float64", "PyTorch", "ratio"]
    return table(header, lines)


# The mark before a table in a page, and what writes it.
TABLES: dict[str, Callable[[], str]] = {
    "backprop, three rows": lambda: by_hand(figures("backprop.json"), ROWS),
    "backprop": lambda: by_hand(figures("backprop.json")),
    "models": models,
    "machine": lambda: f"Measured on {machine('backprop.json')}.",
}
PAGES = [BENCHMARKS.parent / page for page in ("README.md", "docs/explanations/performance.md")]


def renewed(text: str) -> str:
    """Return a page with its tables written anew, between their marks and the next end."""

    def written(mark: re.Match[str]) -> str:
        return f"<!-- figures: {mark[1]} -->\n\n{TABLES[mark[1]]()}\n\n<!-- end -->"

    return re.sub(r"<!-- figures: (.*?) -->\n.*?<!-- end -->", written, text, flags=re.DOTALL)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(renewed(path.read_text()))
        sys.stdout.write(f"wrote {path}\n")
