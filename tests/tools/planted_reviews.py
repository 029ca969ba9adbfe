"""Programs with hand-written gradients, and mistakes planted in them, to be reviewed.

    PYTHONPATH=tests python -m tools.planted_reviews            # all, with the figures
    PYTHONPATH=tests python -m tools.planted_reviews recurrent  # those of one program

A program is a text in `tests/teach/programs`: the right one, then mistakes, each a part that is
replaced (`-`), by what (`+`), words of the cause to be found (`?`), and the line to be blamed
(`@`), where it is not the one replaced.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autonn.teach import Review, review

FOLDER = Path(__file__).parents[1] / "teach" / "programs"


@dataclass(frozen=True)
class Plant:
    """One mistake: a program's text with it, the line that has it, and words of its cause."""

    program: str
    number: int
    source: str
    line: int
    words: str
    change: str

    @property
    def name(self) -> str:
        return f"{self.program}-{self.number}"


def right_programs() -> dict[str, str]:
    """Read the programs as they should be, by name."""
    return {
        p.stem: p.read_text().partition("\n=====\n")[0] + "\n" for p in sorted(FOLDER.glob("*.txt"))
    }


def plants() -> Iterator[Plant]:
    """Yield all mistakes."""
    for name, source in right_programs().items():
        text = (FOLDER / f"{name}.txt").read_text().partition("\n=====\n")[2]
        for k, block in enumerate(filter(str.strip, text.split("\n\n")), 1):
            yield _plant(name, k, source, block.strip("\n"))


def _plant(name: str, number: int, source: str, block: str) -> Plant:
    """Put one mistake into a program."""
    parts = {line[:1]: line[2:].replace("\\n", "\n") for line in block.splitlines()}
    old, new = parts["-"], parts.get("+", "")
    assert source.count(old) == 1, f"{name}: {old!r} stands there {source.count(old)} times"
    wrong = source.replace(old, new)
    sought = parts.get("@", new.strip("\n"))
    lines = [k for k, text in enumerate(wrong.splitlines(), 1) if sought in text]
    assert lines, f"{name}: no line has {sought!r}"
    near = wrong[: source.index(old)].count("\n") + 1
    line = min(lines, key=lambda k: abs(k - near))
    return Plant(name, number, wrong, line, parts["?"], f"{old.strip()}  ->  {new.strip()}")


def reviewed(name: str, source: str, folder: Path, seed: int = 0) -> Review:
    """Write a program to a file of its own, and review it."""
    path = folder / f"{re.sub(r'[^a-z0-9]', '_', name)}.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    f, args, argnums = module.case(np.random.default_rng(seed))
    return review(f, *args, argnums=argnums)


def judged(plant: Plant, found: Review) -> tuple[bool, bool]:
    """Say whether the line and the cause are those of the mistake."""
    line = not found.right and found.line == plant.line
    return line, line and re.search(plant.words, found.cause, re.DOTALL) is not None


def main(*wanted: str) -> None:
    """Review all, print what was missed, and count."""
    counts: list[tuple[bool, bool]] = []
    blamed: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, source in right_programs().items():
            if not wanted or name in wanted:
                for seed in (0, 1):
                    found = reviewed(name, source, Path(folder), seed)
                    if not found.right:
                        blamed.append(name)
                        print(f"BLAMED {name}: {found.line} {found.cause}")
        for plant in plants():
            if wanted and plant.program not in wanted and plant.name not in wanted:
                continue
            start = time.perf_counter()
            found = reviewed(plant.name, plant.source, Path(folder))
            took = time.perf_counter() - start
            line, cause = judged(plant, found)
            counts.append((line, cause))
            if not cause:
                what: Any = "cause" if line else f"line {plant.line}, not {found.line}"
                print(f"{plant.name} ({took:.1f} s) {what}: {plant.change}")
                print(f"    said: {found.cause} | {found.expected}")
    lines, causes = (sum(c[k] for c in counts) for k in (0, 1))
    print(
        f"{len(counts)} mistakes: {lines} lines, {causes} causes; right programs blamed: {blamed}"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
