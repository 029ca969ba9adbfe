"""Reading without trust: no memory is spent on what a file only claims to hold.

What a reader returns is an array of plain numbers; what these have to be is asked here too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from autonn.files.errors import FileFormatError, FileNamesError, complaint

Array: TypeAlias = NDArray[Any]
Floats: TypeAlias = NDArray[np.float64]
PathLike: TypeAlias = str | os.PathLike[str]

# Of a file, and of what it unpacks to. MNIST's 70,000 pictures as float64 take 439 MB.
MAX_BYTES = 2**29
FRESH_COPY = "fetch a fresh copy, or save it again"


class ArrayHeader(NamedTuple):
    """What a file says of an array before its numbers come."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.dtype} of shape {self.shape}"


def read_bytes(path: PathLike, most: int = MAX_BYTES) -> bytes:
    """Read the whole file, of `most` bytes; a missing one raises FileNotFoundError.

    A folder and a file above `most` bytes, of which no more is read, raise FileFormatError.
    """
    if Path(path).is_dir():
        raise FileFormatError(complaint(f"{path}: content", "a folder", "a file"))
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size  # 0 for a pipe or a device
        # Python takes the memory for all that it may read before it reads.
        content = b"" if size > most else file.read((size or most) + 1)
    if max(size, len(content)) > most:
        found, cure = f"more than {most:,} bytes", "make it smaller"
        raise FileFormatError(complaint(f"{path}: content", found, f"at most {most:,}", cure))
    return content


def require_names(path: PathLike, fields: Mapping[str, object], names: Sequence[str]) -> None:
    """Refuse a file that lacks one of the fields."""
    missing = [name for name in names if name not in fields]
    if missing:
        where = f"{path}: {', '.join(missing)}"
        found = f"only {', '.join(sorted(fields))}" if fields else "no fields at all"
        raise FileNamesError(complaint(where, found, f"the fields {', '.join(names)}"))


def finite_matrix(where: str, values: Array | str, error: type[ValueError]) -> Floats:
    """Return `values` as a float64 matrix, or raise `error` saying what it is instead."""
    if isinstance(values, str) or values.dtype.kind not in "biuf":
        found = f"{values if isinstance(values, str) else values.dtype} values"
        raise error(complaint(where, found, "a full matrix of real numbers"))
    if values.ndim != 2 or not values.size:
        raise error(complaint(where, f"shape {values.shape}", "a matrix with rows and columns"))
    require_finite(where, values, error)
    return np.ascontiguousarray(values, dtype=np.float64)


def require_finite(where: str, values: Array, error: type[ValueError]) -> None:
    """Refuse NaN and infinities, by raising `error` with the place of the first."""
    wrong = ~np.isfinite(values)
    if wrong.any():
        index = tuple(int(i) for i in np.unravel_index(wrong.argmax(), wrong.shape))
        matrix = len(index) == 2
        place = f"in row {index[0]}, column {index[1]}" if matrix else f"at index {index}"
        raise error(complaint(where, f"{values[index]} {place}", "finite numbers"))
