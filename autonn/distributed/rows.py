"""Rows before they are dealt out: arrays, memory maps or Dask arrays, and their slices."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autonn import checks
from autonn.compiler.partition import slices_of
from autonn.engine.tensor import Array

__all__ = ["BLOCK", "Rows", "blocks", "checked_source", "digest_of_rows", "is_of_dask"]

# How many numbers are taken at a time where all rows go through the caller: 8 MB of float64.
BLOCK = 2**20


def is_of_dask(value: Any) -> bool:
    """Whether a value is one of Dask's collections.

    >>> is_of_dask(np.ones(3))
    False
    """
    return hasattr(value, "__dask_graph__")


def checked_source(name: str, given: Any) -> Any:
    """Return what rows can be taken from, one an example; their numbers are not looked at.

    Raises
    ------
    TypeError, ValueError
        For what `checks.plain` refuses; for a single number; for a Dask array of anything but
        numbers, of unknown lengths, or that is cut across its columns; for other collections.
    """
    values = _of_dask(name, given) if is_of_dask(given) else checks.plain(name, given)
    if values.ndim == 0:
        raise ValueError(f"{name} is a single number; give one row for each example")
    return values


def _of_dask(name: str, given: Any) -> Any:
    own = name.rpartition(" ")[2]
    if not hasattr(type(given), "numblocks"):  # of the type: a Delayed has any attribute
        kind = type(given).__name__
        raise TypeError(
            f"{name} is Dask's {kind}; give an array of Dask's, as frames become by "
            f"{own}.to_dask_array(lengths=True)"
        )
    if any(np.isnan(n) for n in given.shape):
        raise ValueError(
            f"{name} is a Dask array of an unknown number of rows; call "
            f"{own}.compute_chunk_sizes() first"
        )
    if given.dtype.kind not in "biufc":
        raise TypeError(f"{name} is a Dask array of {given.dtype}, expected numbers")
    if any(count > 1 for count in given.numblocks[1:]):
        wanted = ", ".join(["rows", *["-1"] * (given.ndim - 1)])
        raise ValueError(
            f"{name} is a Dask array that is cut across its columns, into chunks of "
            f"{given.chunksize}; workers hold whole rows: give {own}.rechunk(({wanted}))"
        )
    return given


def digest_of_rows(rows: Array) -> bytes:
    """Return a short name of the numbers of some rows, the same whoever holds them.

    >>> digest_of_rows(np.zeros(2)) == digest_of_rows(np.zeros(4)[::2])
    True
    >>> digest_of_rows(np.zeros((9, 2))) == digest_of_rows(np.eye(9, 2)[::-1])
    False
    """
    return hashlib.blake2b(np.ascontiguousarray(rows).data, digest_size=16).digest()


@dataclass
class Rows:
    """m rows of one or several arrays, to be dealt out in slices.

    Attributes
    ----------
    arrays
        NumPy's, memory maps among them, or Dask's, each with m rows.

    >>> Rows([np.ones((5000, 2))]).slices
    [(0, 2500), (2500, 5000)]
    """

    arrays: Sequence[Any]

    @property
    def slices(self) -> list[tuple[int, int]]:
        """The first row of each slice, and the one after its last: by m alone."""
        return slices_of(int(self.arrays[0].shape[0]))


def blocks(arrays: Sequence[Any]) -> Iterator[tuple[int, int]]:
    """Yield the first and last row of blocks that are small enough to be held, of all arrays."""
    m = int(arrays[0].shape[0])
    width = sum(int(np.prod(array.shape[1:], dtype=int)) for array in arrays)
    step = max(1, BLOCK // max(width, 1))
    for start in range(0, m, step):
        yield start, min(start + step, m)
