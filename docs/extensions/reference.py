"""Write the pages of the reference from ``__all__``, before Sphinx reads them."""

from __future__ import annotations

import importlib
import inspect
import re
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import names
from sphinx.application import Sphinx

FOLDER = "reference/api"


def title_and_rest(module: ModuleType) -> tuple[str, str]:
    """Split the docstring of a module: what it is called, and what else it says.

    A title ends at the first colon or full stop; what says in which order to read is left out.
    """
    said = inspect.cleandoc(module.__doc__ or "")
    said = re.sub(r"\n*^Read in this order: .*?(?:\n\n|\Z)", "\n\n", said, flags=re.M | re.S)
    title, mark, rest = re.match(r"((?:[^:.`]|`[^`]*`|\.(?=\w))+)([:.])\s*(.*)", said, re.S).groups()
    rest = rest.strip()
    return title.replace("`", "").strip(), rest[:1].upper() + rest[1:]


def head(title: str, mark: str) -> str:
    """Write a title as reStructuredText."""
    return f"{title}\n{mark * len(title)}\n"


def entry_text(entry: names.Entry) -> str:
    """Write the directive of an entry, and by which other names the thing is known."""
    options = "   :members:\n   :show-inheritance:\n" if entry.kind == "class" else ""
    also = ", ".join(f"``{name}``" for name in entry.others)
    said = f"\n   Also {also}.\n" if also else ""
    return f".. auto{entry.kind}:: {entry.name}\n{options}{said}\n"


def page_text(page: str, inside: list[names.Entry]) -> str:
    """Write a page: what the room or file says of itself, then each of its names."""
    home = importlib.import_module(f"autonn.{page.replace('/', '.')}")
    title, rest = title_and_rest(home)
    parts = [head(title, "="), rest, ""]
    file = ""
    for entry in inside:
        if entry.file not in (file, home.__name__):
            file = entry.file
            about, more = title_and_rest(importlib.import_module(file))
            parts += [head(about, "-"), more, ""]
        parts.append(entry_text(entry))
    return "\n".join(parts)


def room_text(room: str, pages: list[str]) -> str:
    """Write the page of a room that has a page for each of its files."""
    title, rest = title_and_rest(importlib.import_module(f"autonn.{room}"))
    listed = "\n".join(f"   {page}" for page in pages)
    return f"{head(title, '=')}\n{rest}\n\n.. toctree::\n   :maxdepth: 1\n\n{listed}\n"


def write(folder: Path) -> None:
    """Write all pages into a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    rooms: dict[str, list[str]] = {}
    for page, inside in names.pages().items():
        path = folder / f"{page}.rst"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page_text(page, inside))
        rooms.setdefault(page.split("/")[0], []).append(page)
    for room, pages in rooms.items():
        if pages != [room]:
            (folder / f"{room}.rst").write_text(room_text(room, pages))
    listed = "\n".join(f"   {room}" for room in rooms)
    (folder / "index.rst").write_text(
        f"{head('Every name', '=')}\n.. toctree::\n   :maxdepth: 2\n\n{listed}\n"
    )


def before(app: Sphinx) -> None:
    """Write the pages where Sphinx looks for them."""
    write(Path(app.srcdir) / FOLDER)


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx."""
    app.connect("builder-inited", before)
    return {"parallel_read_safe": True}
