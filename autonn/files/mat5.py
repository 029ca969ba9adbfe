"""The bytes of MATLAB's level 5 files, which `save -v6` and `save -v7` write.

The layout is in MathWorks' "MAT-File Format", chapter 1: a header of 128 bytes, then elements of
type, length and data. SciPy's reader is not used, since some damaged files crash the interpreter
in it (a segmentation fault, seen in SciPy 1.17), and no exception can be made of a crash.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np

from autonn.files.errors import Damage
from autonn.files.reading import MAX_BYTES, Array

MATRIX, COMPRESSED = 14, 15  # types of elements; those below hold numbers
NUMBERS = dict(enumerate(["i1", "u1", "i2", "u2", "i4", "u4", "f4", "", "f8"], start=1))
NUMBERS |= {12: "i8", 13: "u8"}
FIRST_NUMBERS, LAST_NUMBERS, COMPLEX_FLAG = 6, 15, 0x0800  # classes of matrices of numbers
CLASSES = {1: "cell", 2: "struct", 3: "object", 4: "text", 5: "sparse", 16: "function handle"}

# Strings, tables and all other objects of MATLAB's own classes. Chapter 1 does not tell of them:
# as SciPy's reader has it, they have no sides, and after the name come two more, of the system
# ("MCOS") and of the class. Their content is in a variable without a name at the file's end.
OPAQUE = 17


def level_5_fields(content: bytes) -> dict[str, Array | str]:
    """Return each variable by name: an array, or a word for what is no array of real numbers."""
    order = _byte_order(content)
    fields: dict[str, Array | str] = {}
    room = MAX_BYTES
    for kind, body in _elements(memoryview(content)[128:], order):
        if kind == COMPRESSED:
            unpacked = _inflated(body, order, room)
            room -= len(unpacked)
            [(kind, body)] = _elements(unpacked, order)
        name, value = _variable(kind, body, order)
        if name and name in fields:
            raise Damage(f"that two variables are called {name}")
        fields[name] = value
    fields.pop("", None)
    return fields


def _byte_order(content: bytes) -> str:
    """Return the mark of the byte order, or say what the content is instead of level 5."""
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    version = struct.unpack_from(f"{order}H", content, 124)[0] if order else 0
    if version == 0x0200 or content.startswith(b"\x89HDF"):
        raise Damage("a file of MATLAB 7.3, which is HDF5")
    if version != 0x0100 or order is None:
        raise Damage("no MATLAB header" if content else "that the file is empty")
    return order


def _inflated(body: memoryview, order: str, room: int) -> memoryview:
    """Unpack a compressed element, as far as its first eight bytes say how long it is."""
    stream = zlib.decompressobj()
    tag = stream.decompress(body, 8)
    size = struct.unpack(f"{order}II", tag)[1]
    if size > room:
        raise Damage(f"variables that unpack to more than {MAX_BYTES:,} bytes")
    rest = stream.decompress(stream.unconsumed_tail, size + 8)  # and room to align the next
    if not stream.eof:
        raise Damage(f"that a packed element of {size} bytes has no end there")
    return memoryview(tag + rest)


def _elements(buffer: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Yield (type, data) of each element; one of 4 bytes or fewer may share its type's word."""
    while buffer:
        kind, size = struct.unpack_from(f"{order}II", buffer)
        body, after = buffer[8:], 8 + size + (0 if kind == COMPRESSED else -size % 8)
        if kind >> 16:
            kind, size, body, after = kind & 0xFFFF, kind >> 16, buffer[4:8], 8
        if size > len(body):
            raise Damage(f"that an element of {size} bytes has only {len(body)}")
        yield kind, body[:size]
        buffer = buffer[after:]


def _variable(kind: int, body: memoryview, order: str) -> tuple[str, Array | str]:
    """Return a variable's name, and its array or the word for what it is."""
    if kind != MATRIX:
        raise Damage(f"an element of type {kind} where a variable should be")
    (_, flags), *parts = _elements(body, order)
    word = struct.unpack_from(f"{order}I", flags)[0]
    if word & 0xFF == OPAQUE:
        (_, name), _, (_, of), *_ = parts
        return str(name, "latin-1"), f"MATLAB {str(of, 'latin-1')}"
    (_, shape), (_, name), *parts = parts
    return str(name, "latin-1"), _value(word, shape, parts, order)


def _value(
    flags: int, shape: memoryview, parts: list[tuple[int, memoryview]], order: str
) -> Array | str:
    """Return an array of real numbers, or the word for another class."""
    if not FIRST_NUMBERS <= flags & 0xFF <= LAST_NUMBERS or flags & COMPLEX_FLAG:
        return CLASSES.get(flags & 0xFF, "complex or unknown")
    [(kind, numbers)] = parts
    sides = np.frombuffer(shape, f"{order}u4").tolist()  # unsigned, so that none can be -1
    values = np.frombuffer(numbers, f"{order}{NUMBERS[kind]}")
    return values.reshape(sides, order="F")
