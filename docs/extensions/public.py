"""Which names the reference has, and on which page: read off ``__all__``, for site and tests alike.

A page is a room, or, of a large room, a noun: what stands in one file. What is exported from
several rooms has one entry.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any

# The rooms that users meet; `checks`, `habits` and `threads` serve the others.
ROOMS = (
    "autonn", "autonn.nn", "autonn.nn.init", "autonn.optim", "autonn.training", "autonn.data",
    "autonn.files", "autonn.plots", "autonn.teach", "autonn.exits", "autonn.sklearn",
    "autonn.random", "autonn.compiler", "autonn.distributed",
)  # fmt: skip
# What users meet of others: errors, and what an op of one's own says of itself.
MET = {
    "autonn.checks": ["NamesError"],
    "autonn.engine.op": ["Op", "Memory", "NotDifferentiableError", "elementwise", "mixes_rows"],
    "autonn.engine.modes": ["CannotCompileError", "TracedValueError"],
}
ORDER = (
    "engine", "nn", "optim", "training", "data", "files", "plots", "teach", "exits", "sklearn",
    "random", "compiler", "distributed", "checks",
)  # fmt: skip
LARGEST_ROOM = 16  # names; a larger room has a page for each of its files


@dataclass
class Entry:
    """A public thing: the shortest name that it is imported by, its others, and its file."""

    name: str
    thing: Any
    file: str
    others: list[str] = field(default_factory=list)

    @property
    def bare(self) -> str:
        """Return the name without its room."""
        return self.name.rpartition(".")[2]

    @property
    def noun(self) -> str:
        """Return the file as a path, ``nn/convolution``."""
        return "/".join(self.file.split(".")[1:])

    @property
    def room(self) -> str:
        """Return the room of the file, ``nn``."""
        return self.file.split(".")[1]

    @property
    def kind(self) -> str:
        """Return what it is to autodoc: a class, a function, or else data."""
        if inspect.isclass(self.thing):
            return "class"
        return "function" if inspect.isroutine(self.thing) else "data"


def names_of(room: ModuleType) -> list[str]:
    """Return the public names of a room: its ``__all__``, or what its file defines."""
    if hasattr(room, "__all__"):
        return list(room.__all__)
    return [
        name for name, thing in vars(room).items()
        if name[0] != "_" and getattr(thing, "__module__", None) == room.__name__
    ]  # fmt: skip


def exported() -> Iterator[tuple[str, str, Any]]:
    """Yield each room, each of its public names and what it names; rooms themselves are left out.

    >>> ("autonn.optim", "Adam") in [(room, name) for room, name, _ in exported()]
    True
    """
    for path in (*ROOMS, *MET):
        try:
            room = importlib.import_module(path)
        except ImportError:
            continue  # that of an extra which is not installed
        for name in MET.get(path) or names_of(room):
            thing = getattr(room, name)
            if not inspect.ismodule(thing):
                yield path, name, thing


def file_of(thing: Any, name: str) -> str:
    """Return the module that defines a thing; of data and ops, the one that assigns the name."""
    home = getattr(thing, "__module__", None)
    is_op = inspect.isroutine(thing) and hasattr(thing, "op")
    if home and home.startswith("autonn.") and not is_op:
        return str(home)
    for path, module in sorted(sys.modules.items()):
        has_it = path.startswith("autonn.") and vars(module).get(name) is thing
        if has_it and re.search(rf"^{name}(: .*)? = ", inspect.getsource(module), re.M):
            return path
    raise LookupError(f"no file of autonn assigns {name}")


@cache
def entries() -> dict[str, Entry]:
    """Return the entry of each public thing, by each name that it has."""
    found: dict[str, Entry] = {}
    things: dict[int, Entry] = {}
    for room, name, thing in exported():
        full = f"{room}.{name}"
        if id(thing) in things:
            things[id(thing)].others.append(full)
        found[full] = things.setdefault(id(thing), Entry(full, thing, file_of(thing, name)))
    return found


def unique() -> list[Entry]:
    """Return every entry once."""
    return list({id(entry): entry for entry in entries().values()}.values())


def pages() -> dict[str, list[Entry]]:
    """Return the entries of each page, the pages in the order of the rooms.

    >>> [entry.bare for entry in pages()["nn/pooling"]][:2]
    ['AvgPool1d', 'AvgPool2d']
    """
    found: dict[str, list[Entry]] = {}
    for room in ORDER:
        inside = [entry for entry in unique() if entry.room == room]
        for entry in sorted(inside, key=lambda entry: entry.noun):
            page = entry.noun if len(inside) > LARGEST_ROOM else room
            found.setdefault(page, []).append(entry)
    return found


def says(entry: Entry) -> str:
    """Return what an entry says of itself first, up to a full stop or a colon.

    >>> says(entries()["autonn.data.split"])
    'Hold out `test` rows, each class in proportion.'
    """
    said = "" if entry.kind == "data" else inspect.getdoc(entry.thing) or ""
    first = re.match(r"(?:``.*?``|[^.:]|[.:](?!\s|$))*", said.split("\n\n")[0], re.S)
    return " ".join(first[0].split()) + "." if first and said else ""
