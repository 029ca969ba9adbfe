"""MATLAB's .mat files: variables by name, arrays of numbers among them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from autonn.files.errors import parsing
from autonn.files.mat4 import is_level_4, level_4_fields
from autonn.files.mat5 import level_5_fields
from autonn.files.reading import Array, PathLike, read_bytes

MAT_CURE = "save it again in MATLAB or Octave with `save -v7`, or fetch a fresh copy"
HEADER = b"MATLAB 5.0 MAT-file, written by autonn".ljust(116)


def read_mat(path: PathLike) -> dict[str, Array | str]:
    """Read a file of MATLAB 4 to 7: each variable an array, or a word for what is none of numbers.

    Text, cells, structs, strings, tables and MATLAB's other objects may stand beside the numbers.

    Raises
    ------
    FileNotFoundError, FileFormatError
        For a file that is missing; for one that is damaged or something else, HDF5 (-v7.3) as well.
    """
    content = read_bytes(path)
    with parsing(f"{path}: content", "a whole MATLAB file (-v4, -v6 or -v7)", MAT_CURE):
        return level_4_fields(content) if is_level_4(content) else level_5_fields(content)


def mat_bytes(fields: Mapping[str, Array]) -> bytes:
    """Return a MATLAB 5 file of doubles: the same fields give the same bytes on any day.

    >>> mat_bytes({"a": np.eye(2)})[:38]
    b'MATLAB 5.0 MAT-file, written by autonn'
    """
    from scipy.io import savemat

    doubles = {name: np.asarray(values, np.float64) for name, values in fields.items()}
    file: Any = io.BytesIO()  # SciPy's types know of no files in memory
    # Compressed, since zlib's checksum finds the damage that plain floats would hide.
    savemat(file, doubles, do_compression=True)
    content: bytes = file.getvalue()
    return HEADER + content[len(HEADER) :]  # SciPy's own says the time of day
