"""The byte level of files: arrays in .npz, .safetensors, MATLAB 5 and text; whole-or-not writing.

Whatever is wrong with a file's content becomes one exception that says where, what was found and
what was expected; nothing is ever unpickled, and no memory is spent on what a file only claims to
hold. What the numbers mean is for `data.py` and `files.py` to know.
"""

from __future__ import annotations

import errno
import io
import math
import os
import secrets
import shutil
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Floats: TypeAlias = NDArray[np.float64]
PathLike: TypeAlias = str | os.PathLike[str]

# Of a file, and of what it unpacks to. MNIST's 70,000 pictures as float64 take 439 MB.
MAX_BYTES = 2**29

FRESH_COPY = "fetch a fresh copy, or save it again"
MAT_CURE = "save it again in MATLAB or Octave with `save -v7`, or fetch a fresh copy"
TEXT_CURE = "write it with one line per row, numbers parted by commas, each line ended"


class FileFormatError(ValueError):
    """A file was found and read, but what is in it is not what it should be.

    The message names the file, the field, what was found, what was expected and, where there
    is one, the cure. A missing file stays a `FileNotFoundError`.

    >>> issubclass(FileFormatError, ValueError)
    True
    """


class FileNamesError(FileFormatError, KeyError):
    """A file whose arrays have other names than they should: some are missing, or too many.

    >>> FileNamesError("w.npz: found no 0.bias")
    FileNamesError('w.npz: found no 0.bias')
    >>> issubclass(FileNamesError, KeyError)
    True
    """

    __str__ = Exception.__str__  # KeyError would show the message in quotes


def complaint(where: str, found: object, expected: str, cure: str = "") -> str:
    """Say in one sentence what is wrong, where, and what to do."""
    return f"{where}: found {found}, expected {expected}" + (f"; {cure}" if cure else "")


@contextmanager
def atomic_write(path: PathLike) -> Iterator[IO[bytes]]:
    """Yield a binary file that takes `path`'s place only when it is complete and on the disk.

    What is written goes to a temporary file in the same folder; leaving the block flushes it,
    syncs it, renames it over `path` and syncs the folder. If anything fails, also on a full
    disk, the old file is untouched and the temporary one is removed. A missing folder raises
    FileNotFoundError.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "note"
    ...     with atomic_write(path) as file:
    ...         _ = file.write(b"whole")
    ...     path.read_bytes()
    b'whole'
    """
    target = Path(os.path.realpath(path))  # so that a link keeps pointing at the file
    if not target.parent.exists():
        raise FileNotFoundError(errno.ENOENT, "no such folder to write into", str(target.parent))
    temporary = target.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.is_file():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder, and renames durably by itself
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_mat(path: PathLike) -> bool:
    """Whether a path is that of a MATLAB file."""
    return Path(path).suffix.lower() == ".mat"


def read_fields(paths: Sequence[PathLike], names: Sequence[str]) -> dict[str, Array | str]:
    """Read the named fields from one .mat file, or one from each text file."""
    if not is_mat(paths[0]):
        return {name: read_text(path, name) for path, name in zip(paths, names, strict=True)}
    fields = read_mat(paths[0])
    require_names(paths[0], fields, names)
    return fields


def write_fields(paths: Sequence[PathLike], fields: dict[str, Array]) -> None:
    """Write all fields to one .mat file, or one to each text file."""
    if is_mat(paths[0]):
        _write_together(paths, [_mat_bytes(fields)])
    else:
        _write_together(paths, [_text_bytes(values) for values in fields.values()])


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


@contextmanager
def parsing(where: str, expected: str, cure: str = "") -> Iterator[None]:
    """Turn whatever a parser raises, or warns of, into a FileFormatError.

    Hostile bytes make parsers raise nearly anything: zlib.error, struct.error, KeyError,
    TypeError, OverflowError, MemoryError. The bytes are in memory by then, so no
    error of the disk can be mistaken for one of the content.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", DeprecationWarning)  # a parser's age is no fault
            yield
    except FileFormatError:
        raise  # it says already what is wrong
    except Exception as error:
        found = f"{type(error).__name__} ({str(error) or 'no details'})"
        raise FileFormatError(complaint(where, found, expected, cure)) from error


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


def _text_bytes(values: Array) -> bytes:
    """Return one line per row; a float's repr is the shortest text that reads back the same."""
    return "".join(f"{','.join(map(repr, row))}\n" for row in values.tolist()).encode("ascii")


def _write_together(paths: Sequence[PathLike], contents: Sequence[bytes]) -> None:
    """Write every file beside its place before any takes it, so a full disk changes none."""
    if len({os.path.realpath(path) for path in paths}) < len(paths):
        raise ValueError(f"each matrix needs a path of its own, got {paths}")
    with ExitStack() as stack:
        files = [stack.enter_context(atomic_write(path)) for path in paths]
        for file, content in zip(files, contents, strict=True):
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


class ArrayHeader(NamedTuple):
    """What a file says of an array before its numbers come."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.dtype} of shape {self.shape}"


Accept: TypeAlias = Callable[[Mapping[str, ArrayHeader]], None]

# NumPy itself reads no longer header: of what it says, most is room for the shape to grow.
NPY_HEADER_BYTES = 10_000 + 12


def read_npz(path: PathLike, accept: Accept, most: int = MAX_BYTES) -> dict[str, Array]:
    """Read the arrays of a .npz archive, once `accept` has seen their headers and not complained.

    So nothing large is unpacked for a file that is not the right one. Neither it nor what it
    unpacks to may pass `most` bytes. The archive's checksums are compared, names never become
    paths, and Python objects, which only pickle could read, are refused.

    >>> import tempfile
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
    members: dict[str, _NpzMember] = {}
    total = sum(info.file_size for info in archive.infolist())
    if total > most:
        raise ValueError(f"it unpacks to {total:,} bytes, more than {most:,}")
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        # Python cuts a name off at a zero byte; what is behind it would be somebody's trick.
        if name == info.filename or info.filename != info.orig_filename:
            raise ValueError(f"a member called {info.orig_filename!r}, not NAME.npy")
        if name in members:
            raise ValueError(f"two arrays are called {name}")
        members[name] = _NpzMember(archive, info)
    return members


class _NpzMember:
    """An array in an archive, of which only the header has been unpacked."""

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
        # NumPy writes no other methods, and lzma would let the file choose how much memory to take.
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{info.filename} is packed by method {info.compress_type}")
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
            raise ValueError(f"{info.filename} holds {dtype} values{pickled}, not real numbers")
        size = info.file_size - self._offset
        if size != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"{info.filename} has {size:,} bytes for {self.header}")

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
    _write_together([path], [buffer.getvalue()])


def read_safetensors(path: PathLike, most: int = MAX_BYTES) -> dict[str, Array]:
    """Read the arrays of a .safetensors file of at most `most` bytes, by the package safetensors.

    The format (github.com/huggingface/safetensors, "Format") is a header and plain numbers without
    gaps: the header's length, names, types, shapes and places are checked against one another and
    against the file's length. There is no checksum: a bit that flips in a number goes unseen.
    """
    codec = _safetensors()
    content = read_bytes(path, most)
    with parsing(f"{path}: content", "a whole .safetensors file of NumPy's types", FRESH_COPY):
        arrays: dict[str, Array] = codec.load(content)
        return arrays


def write_safetensors(path: PathLike, fields: Mapping[str, Array]) -> None:
    """Write arrays to a .safetensors file, whole or not at all.

    The same arrays give the same bytes on any day. Types that the format does not know, such as
    longdouble, raise ValueError.
    """
    codec = _safetensors()
    for name, values in fields.items():
        if values.dtype.kind not in "biuf" or values.dtype.itemsize > 8:
            expected = "integers or floats of at most 64 bits, as .safetensors knows them"
            raise ValueError(complaint(f"{path}: {name}", values.dtype, expected, "use .npz"))
    # The package passes on an array's memory as it lies there, so it has to lie in order.
    content = codec.save({name: np.asarray(a, order="C") for name, a in fields.items()})
    _write_together([path], [content])


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            ".safetensors files need the package safetensors, which is not installed; "
            "install it with: pip install 'autonn[safetensors]'",
            name="safetensors",
        ) from error
    return safetensors.numpy


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


def _mat_bytes(fields: dict[str, Array]) -> bytes:
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
