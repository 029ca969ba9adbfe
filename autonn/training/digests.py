"""Digests: short names of arrays and structures, by which a run knows its data again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from autonn.compiler.partition import slices_of
from autonn.distributed.rows import digest_of_rows
from autonn.engine.tensor import Array
from autonn.training.structures import is_structure, mapped

__all__ = [
    "by_slices_of",
    "digest",
    "digest_of",
    "digest_of_data",
    "digest_of_pieces",
    "is_by_slices",
]

# How the name of data begins that was made of the names of their slices, where no one has all rows.
_BY_SLICES = "slices "


def digest(values: Array | None) -> str | None:
    """Return a short name of an array, its shape and dtype included; None of None.

    >>> digest(np.zeros(2)) == digest(np.zeros(2)), digest(np.zeros(2)) == digest(np.zeros((2, 1)))
    (True, False)
    """
    return None if values is None else digest_of_pieces(values, [values])


def digest_of_pieces(values: Any, pieces: Iterable[Array]) -> str:
    """Return the name that `digest` gives to an array, whose rows come in pieces."""
    form = f"{values.dtype.str} {values.shape}".encode()
    found = hashlib.blake2b(form, digest_size=16)  # 5,000 digits in 20 ms
    for piece in pieces:
        found.update(np.ascontiguousarray(piece).data)
    return found.hexdigest()


def digest_of(values: Any, of_array: Callable[[Any], str | None] = digest) -> str | None:
    """Return a short name of an array, or of a structure of arrays and texts; None of None.

    >>> digest_of({"a": np.zeros(2)}) == digest_of({"b": np.zeros(2)})
    False
    """
    if not is_structure(values):
        return values if isinstance(values, str) else of_array(values)
    text = repr(mapped(lambda _, part: digest_of(part, of_array), values))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def digest_of_data(values: Any, by_slices: bool) -> str | None:
    """Return the name of data that are here: in one, or of the names of their slices.

    >>> digest_of_data(np.zeros(2), False) == digest(np.zeros(2))
    True
    >>> is_by_slices(digest_of_data(np.zeros(2), True))
    True
    """
    if values is None or not by_slices:
        return digest_of(values)

    def of_array(array: Array) -> str | None:
        ends = slices_of(len(array))
        return by_slices_of(array, [digest_of_rows(array[start:stop]) for start, stop in ends])

    return f"{_BY_SLICES}{digest_of(values, of_array)}"


def by_slices_of(array: Any, parts: Sequence[bytes]) -> str:
    """Return the name of an array, by the names of its slices."""
    form = f"{array.dtype.str} {array.shape}".encode()
    return hashlib.blake2b(form + b"".join(parts), digest_size=16).hexdigest()


def is_by_slices(name: Any) -> bool:
    """Whether a name of data was made of those of slices."""
    return isinstance(name, str) and name.startswith(_BY_SLICES)
