"""A matrix as text: numbers parted by commas, one line a row."""

from __future__ import annotations

import io

import numpy as np

from autonn.files.errors import parsing
from autonn.files.reading import Array, Floats, PathLike, read_bytes

TEXT_CURE = "write it with one line per row, numbers parted by commas, each line ended"


def read_text(path: PathLike, name: str) -> Floats:
    """Read a matrix of comma-separated numbers, one line a row; `name` is what to call it."""
    content = read_bytes(path)
    with parsing(f"{path}: {name}", "comma-separated numbers in equal rows", TEXT_CURE):
        # A last line without its end is how a cut-off file looks: 0.1 may have been 0.125.
        if not content.endswith(b"\n"):
            raise EOFError("the last line has no end" if content else "the file is empty")
        lines = io.StringIO(content.decode("utf-8-sig"))
        # A stray # is damage: as a comment it would hide the end of a number.
        return np.loadtxt(lines, dtype=np.float64, comments=None, delimiter=",", ndmin=2)


def text_bytes(values: Array) -> bytes:
    """Return one line per row; a float's repr is the shortest text that reads back the same."""
    return "".join(f"{','.join(map(repr, row))}\n" for row in values.tolist()).encode("ascii")
