"""Which names the reference has, and on which page: read off ``__all__``, once for site and tests.

A page is a room, or, of a large room, a noun: what stands in one file. What is exported from several
rooms has one entry.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

# The rooms that users meet, in the order of the reference.
ROOMS = (
    "autonn", "autonn.nn", "autonn.nn.init", "autonn.optim", "autonn.training", "autonn.data",
    "autonn.files", "autonn.plots", "autonn.teach", "autonn.exits", "autonn.sklearn",
    "autonn.random", "autonn.compiler",
)  # fmt: skip
# What users meet of rooms that serve the others: errors, and what an op of one's own says of itself.
MET = {
    "autonn.checks": ("NamesError",),
    "autonn.engine.op": ("Op", "Memory", "NotDifferentiableError", "elementwise", "mixes_rows"),
    "autonn.engine.modes": ("CannotCompileError", "TracedValueError"),
}


@dataclass
class Entry:
    """A public thing: the shortest name that it is imported by, its others, and its file."""

    name: str
    thing: Any
    file: str
    others: list[str] = field(default_factory=list)

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


def exported() -> Iterator[tuple[ModuleType, str]]:
    """Yield each room and each of its public names, the rooms that are names themselves left out."""
    for path, names in [(path, None) for path in ROOMS] + list(MET.items()):
        room = importlib.import_module(path)
        for name in names or names_of(room):
            if not inspect.ismodule(getattr(room, name)):
                yield room, name


def file_of(thing: Any, name: str) -> str:
    """Return the module that defines a thing; of data and ops, the one that assigns the name."""
    home = getattr(thing, "__module__", None)
    if home and home.startswith("autonn.") and (inspect.isclass(thing) or not hasattr(thing, "op")):
        return str(home)
    for path, module in sorted(sys.modules.items()):
        if path.startswith("autonn.") and vars(module).get(name) is thing:
            if re.search(rf"^{name}(: .*)? = ", inspect.getsource(module), re.M):
                return path
    raise LookupError(f"no file of autonn assigns {name}")


def entries() -> dict[str, Entry]:
    """Return an entry for each public thing, by each name that it has."""
    found: dict[str, Entry] = {}
    things: dict[int, Entry] = {}
    for room, name in exported():
        thing, full = getattr(room, name), f"{room.__name__}.{name}"
        entry = things.get(id(thing))
        if entry is None:
            entry = things[id(thing)] = Entry(full, thing, file_of(thing, name))
        else:
            entry.others.append(full)
        found[full] = entry
    return found


LARGEST_ROOM = 16  # names; a larger room has a page for each of its files


def pages() -> dict[str, list[Entry]]:
    """Return the entries of each page, the pages in the order of the rooms."""
    by_room: dict[str, list[Entry]] = {}
    for entry in unique():
        by_room.setdefault(entry.room, []).append(entry)
    found: dict[str, list[Entry]] = {}
    for room, inside in by_room.items():
        for entry in inside:
            page = entry.noun if len(inside) > LARGEST_ROOM else room
            found.setdefault(page, []).append(entry)
    return found


def unique() -> list[Entry]:
    """Return every entry once."""
    return list({id(entry): entry for entry in entries().values()}.values())
