"""Arrays by name in NumPy's own .npz archives; nothing is ever unpickled."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.lib import format as npy

from autonn.files.atomic import write_together
from autonn.files.errors import Damage, parsing
from autonn.files.reading import FRESH_COPY, MAX_BYTES, Array, ArrayHeader, PathLike, read_bytes

Accept: TypeAlias = Callable[[Mapping[str, ArrayHeader]], None]

# NumPy itself reads no longer header: of what it says, most is room for the shape to grow.
NPY_HEADER_BYTES = 10_000 + 12


def read_npz(path: PathLike, accept: Accept, most: int = MAX_BYTES) -> dict[str, Array]:
    """Read the arrays of a .npz archive, once `accept` has seen their headers and not complained.

    So nothing large is unpacked for a file that is not the right one. Neither it nor what it
    unpacks to may pass `most` bytes. The archive's checksums are compared, names never become
    paths, and Python objects, which only pickle could read, are refused.

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "some.npz"
    ...     write_npz(path, {"a": np.ones((2, 3), np.float32)})
    ...     read_npz(path, lambda headers: print(headers["a"]))["a"].shape
    float32 of shape (2, 3)
    (2, 3)
    """
    content = read_bytes(path, most)
    with parsing(f"{path}: content", "a whole .npz archive of numbers", FRESH_COPY):
        archive = zipfile.ZipFile(io.BytesIO(content))
        members = _npz_members(archive, most)
        accept({name: member.header for name, member in members.items()})
        return {name: member.read() for name, member in members.items()}


def _npz_members(archive: zipfile.ZipFile, most: int) -> dict[str, _NpzMember]:
    """Return the arrays by name, their headers read, if they unpack to `most` bytes or less."""
    members: dict[str, _NpzMember] = {}
    total = sum(info.file_size for info in archive.infolist())
    if total > most:
        raise Damage(f"what unpacks to {total:,} bytes, more than {most:,}")
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        # Python cuts a name off at a zero byte; what is behind it would be somebody's trick.
        if name == info.filename or info.filename != info.orig_filename:
            raise Damage(f"a member called {info.orig_filename!r}, not NAME.npy")
        if name in members:
            raise Damage(f"that two arrays are called {name}")
        members[name] = _NpzMember(archive, info)
    return members


class _NpzMember:
    """An array in an archive, of which only the header has been unpacked."""

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
        # NumPy writes no other methods, and lzma would let the file choose how much memory to take.
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Damage(f"that {info.filename} is packed by method {info.compress_type}")
        self._archive, self._info = archive, info
        with archive.open(info) as member:
            start = io.BytesIO(member.read(NPY_HEADER_BYTES))
        first = npy.read_magic(start) == (1, 0)  # of (2, 0), the header's length has 32 bits
        read_header = npy.read_array_header_1_0 if first else npy.read_array_header_2_0
        shape, self._fortran, dtype = read_header(start)
        self._offset = start.tell()
        self.header = ArrayHeader(dtype, shape)
        if dtype.kind not in "iuf":
            pickled = ", which would have to be unpickled" if dtype.hasobject else ""
            raise Damage(f"that {info.filename} holds {dtype} values{pickled}, not real numbers")
        size = info.file_size - self._offset
        if size != math.prod(shape) * dtype.itemsize:
            raise Damage(f"that {info.filename} has {size:,} bytes for {self.header}")

    def read(self) -> Array:
        with self._archive.open(self._info) as member:
            content = member.read()  # as far as the end, where zipfile compares the checksum
        values = np.frombuffer(content, self.header.dtype, offset=self._offset)
        return values.reshape(self.header.shape, order="F" if self._fortran else "C")


def write_npz(path: PathLike, fields: Mapping[str, Array]) -> None:
    """Write arrays of numbers to a .npz archive, whole or not at all; `numpy.load` reads it too.

    The same arrays give the same bytes on any day. Objects, which would need pickle, raise
    ValueError.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, values in fields.items():
            packed = io.BytesIO()
            npy.write_array(packed, values, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), packed.getbuffer())
    write_together([path], [buffer.getvalue()])
