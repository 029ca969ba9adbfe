"""What was read: things to compare at each call, and what has to be treated in its own way.

What is immutable is compared by value, functions, classes and other objects by identity, containers
by what they hold, memory of other languages by its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from numpy import ndarray

__all__ = ["MISSING", "Read", "Reads", "bytes_of", "items_of", "slots_of"]

MISSING: Any = type("Missing", (), {"__repr__": lambda self: "nothing"})()


class Read(NamedTuple):
    """One thing that was read: where it stands, under which key, and what stood there.

    `kind` is "key" for a dict's item, "cell", "attribute", "shown" for what an object of another
    language shows as one, "kind" for what type an attribute has, "items" for a whole list, dict or
    set, "size" for how many a dict has, "class", "bytes" for memory, "context" for a context
    variable, and "answer" for what a function of a library answers.
    """

    kind: str
    owner: Any
    key: Any
    value: Any
    name: str  # as a message calls it


@dataclass
class Reads:
    """What a function reads: `things` to compare, and what has to be treated in its own way."""

    things: list[Read] = field(default_factory=list)
    arrays: dict[int, tuple[ndarray[Any, Any], str]] = field(default_factory=dict)  # by id
    modules: dict[int, Any] = field(default_factory=dict)  # autonn's, by id
    generators: list[Any] = field(default_factory=list)
    iterators: dict[str, str] = field(default_factory=dict)  # by name, and why not


def items_of(value: Any) -> list[Any]:
    """List what a container holds: the pairs of a dict, or of a view of one."""
    return list(value.items() if hasattr(value, "items") else value)


def slots_of(kind: type) -> Iterator[str]:
    """Yield the slots of a class that is not autonn's, as attributes: private ones mangled.

    >>> class Point:
    ...     __slots__ = ("x", "__y")
    >>> Point.__module__ = "users"
    >>> list(slots_of(Point))
    ['x', '_Point__y']
    """
    for base in (b for b in kind.__mro__ if str(b.__module__).partition(".")[0] != "autonn"):
        slots = base.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            private = slot.startswith("__") and not slot.endswith("__")
            yield f"_{base.__name__.lstrip('_')}{slot}" if private else slot


def bytes_of(value: Any) -> bytes | None:
    r"""Return the memory of an object that shows it, as those of ctypes and mmap do, or None.

    >>> import ctypes
    >>> bytes_of(ctypes.c_uint8(7)), bytes_of(object())
    (b'\x07', None)
    """
    try:
        with memoryview(value) as view:
            return view.tobytes()
    except (TypeError, ValueError, BufferError):
        return None
