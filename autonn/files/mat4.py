"""The bytes of MATLAB's level 4 files: `save -v4`, and what SciPy and Octave write as such.

The layout is in MathWorks' "MAT-File Format", chapter 2: for each variable five whole numbers, its
name, and the columns one after the other. There is no checksum.
"""

from __future__ import annotations

import struct

import numpy as np

from autonn.files.errors import Damage
from autonn.files.reading import Array

NUMBERS = ["f8", "f4", "i4", "i2", "u2", "u1"]  # by the tens of a variable's type
FORMS = {1: "text", 2: "sparse"}  # by its ones; 0 is a full matrix
HEADER = 20


def is_level_4(content: bytes) -> bool:
    """Whether the content can only be of level 4: a type below 10,000 leaves zero bytes.

    >>> is_level_4(bytes(4) + b"...."), is_level_4(b"MATLAB 5.0 MAT-file")
    (True, False)
    """
    return 0 in content[:4]


def level_4_fields(content: bytes) -> dict[str, Array | str]:
    """Return each variable by name: an array, or a word for what is no array of real numbers."""
    fields: dict[str, Array | str] = {}
    rest = memoryview(content)
    while rest:
        name, value, rest = _variable(rest)
        if name in fields:
            raise Damage(f"that two variables are called {name}")
        fields[name] = value
    return fields


def _variable(content: memoryview) -> tuple[str, Array | str, memoryview]:
    """Return a variable's name and value, and what comes after it."""
    order = "<" if struct.unpack_from("<I", content)[0] < 1000 else ">"
    kind, rows, columns, imaginary, length = struct.unpack_from(f"{order}5i", content)
    machine, kind = divmod(kind, 1000)  # 0 counts from the little end, 1 from the big one
    numbers, form = divmod(kind, 10)
    if machine != (order == ">") or numbers >= len(NUMBERS) or form > 2:
        raise Damage("a variable of no known type")
    if min(rows, columns) < 0 or imaginary not in (0, 1):
        raise Damage(f"a variable of {rows} x {columns} numbers")
    name = bytes(content[HEADER : HEADER + max(length, 0)])
    if len(name) < 2 or len(name) != length or name.find(b"\0") != length - 1:
        raise Damage("a variable without a name")
    dtype = np.dtype(order + NUMBERS[numbers])
    size = rows * columns * dtype.itemsize * (1 + imaginary)
    body, rest = content[HEADER + length :][:size], content[HEADER + length :][size:]
    if len(body) < size:
        raise Damage(f"that a variable of {size} bytes has only {len(body)}")
    value = _value(body, dtype, (rows, columns), form, imaginary)
    return str(name[:-1], "latin-1"), value, rest


def _value(
    body: memoryview, dtype: np.dtype[np.generic], sides: tuple[int, int], form: int, imaginary: int
) -> Array | str:
    if form or imaginary:
        return FORMS.get(form, "complex")
    return np.frombuffer(body, dtype).reshape(sides, order="F")
