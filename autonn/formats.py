"""The byte level of the course's files: MATLAB 5, comma-separated text, and whole-or-not writing.

Whatever is wrong with a file's content becomes one exception that says where, what was found and
what was expected; nothing is ever unpickled. What the numbers mean is for `data.py` and
`files.py` to know.
"""

from __future__ import annotations

import errno
import io
import os
import secrets
import shutil
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Floats: TypeAlias = NDArray[np.float64]
PathLike: TypeAlias = str | os.PathLike[str]

MAT_CURE = "save it again in MATLAB or Octave with `save -v7`, or fetch a fresh copy"
TEXT_CURE = "write it with one line per row, numbers parted by commas, each line ended"


class FileFormatError(ValueError):
    """A file was found and read, but what is in it is not what it should be.

    The message names the file, the field, what was found, what was expected and, where there
    is one, the cure. A missing file stays a `FileNotFoundError`.

    >>> issubclass(FileFormatError, ValueError)
    True
    """


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
        raise FileFormatError(complaint(where, found, f"the fields {', '.join(names)}"))


def finite_matrix(where: str, values: Array | str, error: type[ValueError]) -> Floats:
    """Return `values` as a float64 matrix, or raise `error` saying what it is instead."""
    if isinstance(values, str) or values.dtype.kind not in "biuf":
        found = f"{values if isinstance(values, str) else values.dtype} values"
        raise error(complaint(where, found, "a full matrix of real numbers"))
    if values.ndim != 2 or not values.size:
        raise error(complaint(where, f"shape {values.shape}", "a matrix with rows and columns"))
    wrong = ~np.isfinite(values)
    if wrong.any():
        row, column = _first(wrong)
        found = f"{values[row, column]} in row {row}, column {column}"
        raise error(complaint(where, found, "finite numbers"))
    return np.ascontiguousarray(values, dtype=np.float64)


def _first(wrong: NDArray[np.bool_]) -> tuple[int, ...]:
    """Return the index of the first True."""
    return tuple(int(i) for i in np.unravel_index(wrong.argmax(), wrong.shape))


def read_bytes(path: PathLike, most: int | None = None) -> bytes:
    """Read the whole file, of `most` bytes; a missing one raises FileNotFoundError.

    A folder and a file above `most` bytes, of which no more is read, raise FileFormatError.
    """
    if Path(path).is_dir():
        raise FileFormatError(complaint(f"{path}: content", "a folder", "a file"))
    with open(path, "rb") as file:
        content = file.read(-1 if most is None else most + 1)
    if most is not None and len(content) > most:
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
        return np.loadtxt(lines, dtype=np.float64, delimiter=",", ndmin=2)


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
    for kind, body in _elements(memoryview(content)[128:], order):
        if kind == MAT_COMPRESSED:
            [(kind, body)] = _elements(memoryview(zlib.decompress(body)), order)
        name, value = _mat_variable(kind, body, order)
        if name in fields:
            raise ValueError(f"two variables are called {name}")
        fields[name] = value
    return fields


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
