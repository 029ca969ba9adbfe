"""The pages of docs: what they name, and their blocks, run as the site's build runs them.

``python -m tools.pages docs/course/1-the-digits.md`` (with ``PYTHONPATH=.:tests``) runs a page and
prints what each block prints.
"""

from __future__ import annotations

import ast
import importlib.util
import linecache
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import autonn

ROOT = Path(__file__).parents[2]
HOUSE = Path(autonn.__file__).parent  # in a wheel, far from the pages

FOLDERS = "autonn|tests|examples|benchmarks|data|docs|\\.ci|\\.github"

# ---- what a page names


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
    prose = re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.DOTALL | re.MULTILINE)
    links = re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", prose)
    named = re.findall(rf"(?<![\w/])((?:{FOLDERS})/[\w/.-]*\w)", text)
    here = {name for name in links if not place(name, page.parent).exists()}
    return here | {name for name in named if not place(name).exists()}


# ---- what it runs

CELL = re.compile(r"^```(?:\{code-cell\} (?:i?python\d?)|python)\n(.*?)^```$", re.M | re.S)
NEEDS = re.compile(r"^needs: \[(.*)\]$", re.M)


def cells(text: str) -> list[tuple[int, str]]:
    """Return the Python blocks of a page, each with the number of its first line.

    Lines such as ``:tags: [remove-cell]`` at the top of a block are the build's, not Python's.

    >>> cells("One:\\n\\n```python\\nx = 1\\n```\\n")
    [(4, 'x = 1\\n')]
    """
    found = []
    for match in CELL.finditer(text):
        code = re.sub(r"^:.*$", "", match[1], flags=re.M) if match[1][:1] == ":" else match[1]
        found.append((text[: match.start(1)].count("\n") + 1, code))
    return found


def lacking(text: str) -> list[str]:
    """Return which packages of the page's ``needs: [...]`` are not there."""
    named = NEEDS.search(text)
    names = [name.strip() for name in named[1].split(",")] if named else []
    return [name for name in names if importlib.util.find_spec(name) is None]


def run(page: Path) -> dict[str, Any]:
    """Run the blocks of a page in order, in one namespace; return it.

    A block that ends in an expression shows its value, as a notebook does. The blocks know their
    source, so `review` and error messages can show lines of it.
    """
    space: dict[str, Any] = {"__name__": "__main__"}
    for line, code in cells(page.read_text()):
        name = f"<{page.name}, line {line}>"
        linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
        tree = ast.parse(code)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, name, "exec"), space)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), name, "eval"), space)
            if value is not None:
                print(repr(value))
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")  # as a notebook does; of more than 20 pyplot warns
    return space


if __name__ == "__main__":
    os.environ.setdefault("MPLBACKEND", "agg")  # no window waits to be closed
    for path in [Path(argument).resolve() for argument in sys.argv[1:]]:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            run(path)
