"""Which ops there are, the unlisted ones too, and which of them do not say all of themselves.

``python -m tools.traits`` prints the names of the latter, of the library's own ops.
"""

from __future__ import annotations

import gc
import importlib
import pkgutil
from collections.abc import Iterable

import autonn
from autonn.engine.op import Op


def all_ops() -> list[Op]:
    """Import every file of the engine and the compiler, and list the ops that live."""
    for room in ("engine", "compiler"):
        home = importlib.import_module(f"autonn.{room}")
        for found in pkgutil.walk_packages(home.__path__, f"autonn.{room}."):
            importlib.import_module(found.name)
    return [thing for thing in gc.get_objects() if isinstance(thing, Op)]


def unstated(ops: Iterable[Op]) -> list[str]:
    """Name the ops that are whole, and do not say what they do with rows, or with memory."""
    return [
        f"{op.name}: {trait}"
        for op in ops
        if op.decompose is None
        for trait in ("rows", "memory")
        if getattr(op, trait) is None
    ]


if __name__ == "__main__":
    found = all_ops()
    print(len(found), autonn.__name__)
    print(*unstated(found), sep="\n", end="")
