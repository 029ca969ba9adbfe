"""The map of the rooms, read where it stands: in the docstring of each `__init__.py`."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

from tools.habits import nodes, parsed

import autonn

HOUSE = Path(autonn.__file__).parent


@functools.cache
def map_of_rooms() -> dict[str, tuple[str, ...]]:
    """Return the rooms in the order of reading, each with those that it stands on."""
    rows = re.findall(r"^ {4}(\w+)  +(-|\w+(?:, \w+)*)  +\S", autonn.__doc__ or "", re.M)
    return {room: tuple(re.findall(r"\w+", below)) for room, below in rows}


@functools.cache
def order_of_files(folder: Path) -> list[str]:
    """Return the names of the files and folders that the docstring of a folder puts in order."""
    said = ast.get_docstring(parsed((folder / "__init__.py").read_text())) or ""
    found = re.search(r"Read in this order: (.*?)\.(?:\s|$)", said, re.DOTALL)
    return re.findall(r"`(\w+)`", found[1]) if found else []


def modules(room: str) -> Iterator[str]:
    """Yield the modules of a room or of a folder in it, in the order of reading."""
    folder = HOUSE / Path(*room.split("."))
    if not folder.is_dir():
        yield room
        return
    for name in order_of_files(folder):
        yield from modules(f"{room}.{name}")


def module_of(path: Path) -> str:
    """Name a file as it is imported, without `autonn`; a folder's `__init__` has its name."""
    parts = path.relative_to(HOUSE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def room_of(module: str) -> str:
    return module.partition(".")[0]


def stood_on(room: str, rooms: dict[str, tuple[str, ...]]) -> set[str]:
    """Return the rooms below a room: those that it stands on, and those they stand on."""
    return {lower for below in rooms[room] for lower in (below, *stood_on(below, rooms))}


def imports(source: str) -> Iterator[tuple[str, bool]]:
    """Yield the modules of autonn that a source imports, and whether at its top."""
    tree = parsed(source)
    top = set(tree.body) | {n for node in tree.body if isinstance(node, ast.If) for n in node.body}
    for node in nodes(source):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the whole path"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            if f"{name}.".startswith("autonn."):
                yield module_named(name), node in top


def module_named(name: str) -> str:
    """Return the module in a dotted name, whose last part may be something in that module."""
    inner = name.split(".")[1:]
    path = HOUSE.joinpath(*inner)
    is_module = path.is_dir() or path.with_suffix(".py").is_file()
    return ".".join(inner if is_module else inner[:-1])


def wrong_imports(module: str, source: str) -> list[str]:
    """List what a module imports and may not: from a room above, a later file, in a function."""
    rooms, room = map_of_rooms(), room_of(module)
    below = stood_on(room, rooms)
    files = list(modules(room))
    later = set(files[files.index(module) :]) if module in files else set()
    return [
        f"{module} imports {name or 'autonn'}{'' if at_top else ' inside a function'}"
        for name, at_top in imports(source)
        if not at_top
        or not (room_of(name) in below or room_of(name) == room)
        or (later and (name == room or any(f"{f}.".startswith(f"{name}.") for f in later)))
    ]
