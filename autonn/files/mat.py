"""MATLAB's .mat files: variables by name, arrays of numbers among them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np

from autonn.files.errors import parsing
from autonn.files.reading import MAX_BYTES, Array, PathLike, read_bytes

MAT_CURE = "save it again in MATLAB or Octave with `save -v7`, or fetch a fresh copy"


def read_mat(path: PathLike) -> dict[str, Array | str]:
    """Read a MATLAB 5 file: each variable an array, or a word for what is no array of numbers."""
    content = read_bytes(path)
    with parsing(f"{path}: content", "a whole MATLAB 5 file (-v6 or -v7)", MAT_CURE):
        return _mat_fields(content)


# The layout is in MathWorks' "MAT-File Format", chapter 1: a header of 128 bytes, then elements of
# type, length and data. SciPy's reader is not used, since some damaged files crash the interpreter
# in it (a segmentation fault, seen in SciPy 1.17), and no exception can be made of a crash.
MAT_INT8, MAT_INT32, MAT_UINT32, MAT_DOUBLE, MAT_MATRIX, MAT_COMPRESSED = 1, 5, 6, 9, 14, 15
MAT_NUMBERS = dict(enumerate(["i1", "u1", "i2", "u2", "i4", "u4", "f4", "", "f8"], start=1))
MAT_NUMBERS |= {12: "i8", 13: "u8"}
MAT_CLASSES = {1: "cell", 2: "struct", 3: "object", 4: "text", 5: "sparse"}  # 6-15 are numbers
MAT_DOUBLE_CLASS, MAT_COMPLEX_FLAG = 6, 0x0800


def _mat_fields(content: bytes) -> dict[str, Array | str]:
    """Return each variable by name: an array, or a word for what is no array of real numbers."""
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None or struct.unpack_from(f"{order}H", content, 124) != (0x0100,):
        raise ValueError("no MATLAB 5 header" if content else "the file is empty")
    fields: dict[str, Array | str] = {}
    room = MAX_BYTES
    for kind, body in _elements(memoryview(content)[128:], order):
        if kind == MAT_COMPRESSED:
            unpacked = _inflated(body, order, room)
            room -= len(unpacked)
            [(kind, body)] = _elements(unpacked, order)
        name, value = _mat_variable(kind, body, order)
        if name in fields:
            raise ValueError(f"two variables are called {name}")
        fields[name] = value
    return fields


def _inflated(body: memoryview, order: str, room: int) -> memoryview:
    """Unpack a compressed element, as far as its first eight bytes say how long it is."""
    stream = zlib.decompressobj()
    tag = stream.decompress(body, 8)
    size = struct.unpack(f"{order}II", tag)[1]
    if size > room:
        raise ValueError(f"variables that unpack to more than {MAX_BYTES:,} bytes")
    rest = stream.decompress(stream.unconsumed_tail, size + 8)  # and room to align the next
    if not stream.eof:
        raise EOFError(f"a packed element of {size} bytes has no end there")
    return memoryview(tag + rest)


def _elements(buffer: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Yield (type, data) of each element; one of 4 bytes or fewer may share its type's word."""
    while buffer:
        kind, size = struct.unpack_from(f"{order}II", buffer)
        body, after = buffer[8:], 8 + size + (0 if kind == MAT_COMPRESSED else -size % 8)
        if kind >> 16:
            kind, size, body, after = kind & 0xFFFF, kind >> 16, buffer[4:8], 8
        if size > len(body):
            raise EOFError(f"an element of {size} bytes has only {len(body)}")
        yield kind, body[:size]
        buffer = buffer[after:]


def _mat_variable(kind: int, body: memoryview, order: str) -> tuple[str, Array | str]:
    if kind != MAT_MATRIX:
        raise ValueError(f"an element of type {kind} where a variable should be")
    (_, flags), (_, shape), (_, name), *parts = _elements(body, order)
    word = struct.unpack_from(f"{order}I", flags)[0]
    return str(name, "latin-1"), _mat_value(word, shape, parts, order)


def _mat_value(
    flags: int, shape: memoryview, parts: list[tuple[int, memoryview]], order: str
) -> Array | str:
    if not MAT_DOUBLE_CLASS <= flags & 0xFF <= 15 or flags & MAT_COMPLEX_FLAG:
        return MAT_CLASSES.get(flags & 0xFF, "complex or unknown")
    [(kind, numbers)] = parts
    sides = np.frombuffer(shape, f"{order}u4").tolist()  # unsigned, so that none can be -1
    values = np.frombuffer(numbers, f"{order}{MAT_NUMBERS[kind]}")
    return values.reshape(sides, order="F")


def mat_bytes(fields: dict[str, Array]) -> bytes:
    """Return a MATLAB 5 file of doubles: the same fields give the same bytes on any day."""
    header = b"MATLAB 5.0 MAT-file, written by autonn".ljust(124) + struct.pack(
        "<H2s", 0x0100, b"IM"
    )
    return header + b"".join(_mat_element(name, values) for name, values in fields.items())


def _mat_element(name: str, values: Array) -> bytes:
    variable = b"".join(
        [
            _element(MAT_UINT32, struct.pack("<II", MAT_DOUBLE_CLASS, 0)),
            _element(MAT_INT32, struct.pack("<ii", *values.shape)),
            _element(MAT_INT8, name.encode("ascii")),
            _element(MAT_DOUBLE, values.astype("<f8").tobytes("F")),
        ]
    )
    # Compressed, since zlib's checksum finds the damage that plain floats would hide.
    squeezed = zlib.compress(_element(MAT_MATRIX, variable))
    return struct.pack("<II", MAT_COMPRESSED, len(squeezed)) + squeezed


def _element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)
