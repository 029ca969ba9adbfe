"""Arrays in idx files, in which MNIST's authors keep pictures and labels, packed by gzip or not.

The layout is on their page (yann.lecun.com/exdb/mnist): two bytes of zero, one of the type, one of
the number of axes; a length for each axis; the numbers, row by row, high byte first.
"""

from __future__ import annotations

import math
import struct

import numpy as np

from autonn.files.errors import Damage, parsing
from autonn.files.packed import unpacked
from autonn.files.reading import FRESH_COPY, MAX_BYTES, Array, PathLike, read_bytes

TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def is_idx(content: bytes) -> bool:
    """Whether a content, or what gzip made of it, begins as an idx file does.

    >>> is_idx(bytes([0, 0, 8, 1]) + bytes(4)), is_idx(b"0,0,8,1")
    (True, False)
    """
    start = unpacked(content, 4)
    return len(start) == 4 and start[:2] == b"\0\0" and start[2] in TYPES


def read_idx(path: PathLike) -> Array:
    """Read the array of an idx file, packed by gzip or not.

    Raises
    ------
    FileNotFoundError, FileFormatError
        For a file that is missing; for one that is no idx file, is cut off or goes on too long.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "labels-idx1-ubyte"
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]))
    ...     read_idx(path)
    array([5, 0, 4], dtype=uint8)
    """
    content = read_bytes(path)
    with parsing(f"{path}: content", "a whole idx file, as MNIST's own are", FRESH_COPY):
        if not is_idx(content):
            raise Damage("other first bytes than an idx file's" if content else "nothing")
        start = unpacked(content, 4)
        header = 4 + 4 * start[3]
        sides = struct.unpack(f">{start[3]}I", unpacked(content, header)[4:])
        dtype = np.dtype(TYPES[start[2]])
        size = math.prod(sides) * dtype.itemsize
        if size > MAX_BYTES:
            raise Damage(f"an array of {size:,} bytes, more than {MAX_BYTES:,}")
        numbers = unpacked(content, header + size + 1)[header:]  # one more, if there is one
        if len(numbers) != size:
            more = "more" if len(numbers) > size else f"only {len(numbers):,}"
            raise Damage(f"{more} bytes where {size:,} belong to shape {sides}")
        return np.frombuffer(numbers, dtype).reshape(sides)
