"""Write the pages of the reference from ``__all__``, before Sphinx reads them."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import op_table
import public
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

FOLDER = "reference/api"

# Titles where the name of the file would not say it, by its last part or the room.
TITLES = {
    "engine": "Tensors and derivatives", "compiler": "autonn.compiler", "checks": "Errors of names",
    "higher": "Jacobians and Hessians", "op": "What an op says of itself", "modes": "Modes",
    "activations": "Activations", "ops/activations": "Activations as functions",
    "ops/probability": "Sigmoid, softmax and their logarithms", "adaptive": "Adam and its kin",
    "search": "Searches: L-BFGS and Newton", "base": "What optimisers share",
    "steps": "What optimisers of single steps share", "init": "Initialisers: nn.init",
    "cells": "Cells: one step of a recurrence", "sgd": "SGD", "shape": "Shapes",
    "losses": "Losses", "averaged": "Averages in loops of one's own", "rates": "Learning rates",
    "transforms": "Gradients of functions", "thetas": "Weights of the course",
    "grouped": "Groups of parameters", "onnx_import": "ONNX",
}  # fmt: skip


def title_of(noun: str, inside: list[public.Entry]) -> str:
    """Return what a page or a part of it is called."""
    room, _, rest = noun.partition("/")
    if rest and len(inside) == 1:
        return inside[0].bare
    last = noun.rpartition("/")[2]
    title = TITLES.get(rest) or TITLES.get(last)
    return title or (last.replace("_", " ").capitalize() if rest else f"autonn.{room}")


def said_of(module: str) -> str:
    """Return what a module says of itself, but for the order in which to read its files."""
    said = inspect.cleandoc(importlib.import_module(module).__doc__ or "")
    return re.sub(r"^Read in this order: .*?(?:\n\n|\Z)", "", said, flags=re.M | re.S)


def head(title: str, mark: str) -> str:
    """Write a title as reStructuredText."""
    return f"{title}\n{mark * len(title)}\n"


def entry_text(entry: public.Entry) -> str:
    """Write the directive of an entry, and by which other names the thing is known."""
    options = ""
    if entry.kind == "class":
        bases = [base.__name__ for base in entry.thing.__mro__[1:-1]]
        options = "   :members:\n" + "   :show-inheritance:\n" * bool(bases)
    also = ", ".join(f"``{name}``" for name in entry.others)
    said = f"\n   Also {also}.\n" if also else ""
    return f".. auto{entry.kind}:: {entry.name}\n{options}{said}\n"


def page_text(page: str, inside: list[public.Entry]) -> str:
    """Write a page: what the room or file says of itself, then each of its names."""
    parts = [head(title_of(page, inside), "="), said_of(f"autonn.{page.replace('/', '.')}"), ""]
    noun = page
    for entry in inside:
        if entry.noun != noun:
            noun = entry.noun
            together = [other for other in inside if other.noun == noun]
            parts += [head(title_of(noun, together), "-"), said_of(entry.file), ""]
        parts.append(entry_text(entry))
    return "\n".join(parts)


def room_text(room: str, pages: dict[str, list[public.Entry]]) -> str:
    """Write the page of a room that has a page for each of its files."""
    listed = "\n".join(
        f"* :doc:`{page}`: " + ", ".join(f"`{entry.name[7:]}`" for entry in inside)
        if len(inside) > 1
        else f"* `{inside[0].name[7:]}`: {public.says(inside[0])}"
        for page, inside in pages.items()
    )
    listed = re.sub(rf"(?<=:doc:`){room}/", f"{room}/", listed)
    tree = "\n".join(f"   {page}" for page in pages)
    title = head(title_of(room, []), "=")
    said = said_of(f"autonn.{room}")
    return f"{title}\n{said}\n\n{listed}\n\n.. toctree::\n   :hidden:\n\n{tree}\n"


def all_text(rooms: list[str]) -> str:
    """Write the page of all names, from A to Z, with what each says of itself."""
    rows = sorted(public.unique(), key=lambda entry: (entry.bare.lower(), entry.name))
    listed = "\n".join(
        f"   * - :py:obj:`{entry.name[7:]} <{entry.name}>`\n     - {public.says(entry)}"
        for entry in rows
    )
    tree = "\n".join(f"   {room}" for room in rooms)
    return (
        f"{head('Every name', '=')}\nAll that is public, from A to Z, as it is imported: "
        "``from autonn import fit``, ``from autonn import optim``. The rooms stand at the side.\n\n"
        f".. list-table::\n   :widths: 35 65\n\n{listed}\n\n"
        f".. toctree::\n   :hidden:\n\n{tree}\n"
    )


def texts() -> dict[str, str]:
    """Return the text of each page, by its path."""
    pages = public.pages()
    rooms = list(dict.fromkeys(page.partition("/")[0] for page in pages))
    found = {page: page_text(page, inside) for page, inside in pages.items()}
    for room in rooms:
        if room not in found:
            of_room = {page: inside for page, inside in pages.items() if page[: len(room)] == room}
            found[room] = room_text(room, of_room)
    return found | {"index": all_text(rooms)}


def write(app: Sphinx) -> None:
    """Write the pages where Sphinx looks for them; what is the same stays, and is not read anew."""
    if "autonn.sklearn.Net" not in public.entries():
        raise ExtensionError("the reference has scikit-learn's room too: pip install '.[docs]'")
    folder = Path(app.srcdir) / FOLDER
    wanted = {folder / f"{page}.rst": text for page, text in texts().items()}
    wanted[folder.with_name("op-table.md")] = op_table.page()
    for path in set(folder.rglob("*.rst")) - set(wanted):
        path.unlink()
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx."""
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True}
