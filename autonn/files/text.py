"""A matrix as text: numbers parted by commas, one line a row."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import DTypeLike

from autonn.files.errors import Damage, parsing
from autonn.files.reading import Array, Floats, PathLike, read_bytes

TEXT_CURE = "write it with one line per row, numbers parted by commas, each line ended"


def read_text(path: PathLike, name: str) -> Floats:
    """Read a matrix of comma-separated numbers, one line a row; `name` is what to call it."""
    content = read_bytes(path)
    with parsing(f"{path}: {name}", "comma-separated numbers in equal rows", TEXT_CURE):
        return rows_of(content)


def rows_of(content: bytes, dtype: DTypeLike = np.float64, skip: int = 0) -> Array:
    r"""Return the matrix that comma-separated numbers make, after `skip` lines of something else.

    >>> rows_of(b"a,b\n1,2\n3,4\n", skip=1)
    array([[1., 2.],
           [3., 4.]])
    """
    # A last line without its end is how a cut-off file looks: 0.1 may have been 0.125.
    if not content.endswith(b"\n"):
        raise Damage("that the last line has no end" if content else "that the file is empty")
    # Not decoded as a whole, which would take four bytes for each of what may be 100 million.
    lines = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline="\n")
    # A stray # is damage: as a comment it would hide the end of a number.
    return np.loadtxt(lines, dtype, comments=None, delimiter=",", ndmin=2, skiprows=skip)


def text_bytes(values: Array) -> bytes:
    """Return one line per row; a float's repr is the shortest text that reads back the same."""
    return "".join(f"{','.join(map(repr, row))}\n" for row in values.tolist()).encode("ascii")
