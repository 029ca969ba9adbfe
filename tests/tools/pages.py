"""What a page names: its links and the files in its text, found where the tests run."""

from __future__ import annotations

import re
from pathlib import Path

import autonn

ROOT = Path(__file__).parents[2]
HOUSE = Path(autonn.__file__).parent  # in a wheel, far from the pages

FOLDERS = "autonn|tests|examples|benchmarks|data|docs|\\.ci|\\.github"


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of code in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def place(name: str, base: Path = ROOT) -> Path:
    """Return where a file of the repository is; the package may have been installed elsewhere."""
    path = (base / name).resolve()
    if path.is_relative_to(ROOT / "autonn"):
        return HOUSE / path.relative_to(ROOT / "autonn")
    return path


def missing(page: Path) -> set[str]:
    """Return the links of a page, and the files and folders in its text, that are not there."""
    text = page.read_text()
    links = re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", text)
    named = re.findall(rf"(?<![\w/])((?:{FOLDERS})/[\w/.-]*\w)", text)
    here = {name for name in links if not place(name, page.parent).exists()}
    return here | {name for name in named if not place(name).exists()}
