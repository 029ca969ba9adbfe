"""Sets of labelled pictures in the files that others keep them in: MNIST, and all in its image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autonn.files.errors import Damage, FileFormatError, complaint, parsing
from autonn.files.idx import is_idx, read_idx
from autonn.files.npz import read_npz
from autonn.files.packed import unpacked
from autonn.files.reading import (
    FRESH_COPY,
    MAX_BYTES,
    Array,
    ArrayHeader,
    Floats,
    PathLike,
    read_bytes,
    require_names,
)
from autonn.files.text import TEXT_CURE, rows_of

KERAS = ["x_train", "y_train", "x_test", "y_test"]
LABELS = ("label", "class", "target", "y")  # how a table's column of labels is called
KNOWN = "an idx file, an .npz archive or a table of labels and pixels, parted by commas"


def load_images(path: PathLike, labels: PathLike | None = None) -> tuple[Floats, NDArray[np.int64]]:
    r"""Load labelled pictures: images (m, h, w) float64 in 0..1, and labels (m,) int64.

    What kind of file it is, is seen from its content. gzip may have packed idx files and tables.

    - idx, MNIST's own format, in which Fashion-MNIST and others come, too. The labels are in a file
      beside it: that of ``train-images-idx3-ubyte.gz`` is ``train-labels-idx1-ubyte.gz``.
    - ``mnist.npz`` as Keras has it, with ``x_train``, ``y_train``, ``x_test`` and ``y_test``: the
      training's pictures come first, then those of the test. Or ``images`` and ``labels``.
    - a table with a line for each picture: its label, then its pixels row by row, 0 to 255. The
      names of the columns may stand above; if the last is "label" or "class", it comes last.
    - the table of optdigits: 8 x 8 pixels from 0 to 16, then the label.

    Parameters
    ----------
    path
        The file of the pictures.
    labels
        The idx file of the labels, where it has another name or place than MNIST's.

    Raises
    ------
    FileNotFoundError, FileFormatError
        For a file that is missing; for one that is damaged or something else.
    ValueError
        If there is no file of labels beside an idx file, or one is given where none belongs.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "mine.csv"
    ...     _ = path.write_text("label,a,b,c,d\n7,0,255,0,51\n")
    ...     load_images(path)
    (array([[[0. , 1. ],
            [0. , 0.2]]]), array([7]))
    """
    content = read_bytes(path)
    with parsing(f"{path}: content", KNOWN, FRESH_COPY):
        has_labels_beside = is_idx(content)
    if has_labels_beside:
        return _from_idx(path, _labels_beside(path) if labels is None else labels)
    if labels is not None:
        raise ValueError(f"load_images: labels={labels} goes with an idx file; {path} has its own")
    if content.startswith(b"PK"):
        return _from_npz(path)
    return _from_table(path, content)


def _scaled(pixels: Array, labels: Array, most: int = 255) -> tuple[Floats, NDArray[np.int64]]:
    return np.divide(pixels, most, dtype=np.float64), labels.astype(np.int64)


# ---- idx


def _from_idx(path: PathLike, labels: PathLike) -> tuple[Floats, NDArray[np.int64]]:
    pixels, numbers = read_idx(path), read_idx(labels)
    _require_pictures(f"{path}: content", ArrayHeader(pixels.dtype, pixels.shape))
    _require_labels(f"{labels}: content", ArrayHeader(numbers.dtype, numbers.shape), len(pixels))
    _require_not_negative(f"{labels}: content", numbers)
    return _scaled(pixels, numbers)


def _labels_beside(path: PathLike) -> Path:
    """Return where the labels of MNIST's pictures are, packed or not."""
    pictures = Path(path)
    name = pictures.name.replace("images", "labels").replace("idx3", "idx1").removesuffix(".gz")
    endings = (".gz", "") if pictures.suffix == ".gz" else ("", ".gz")
    for place in [pictures.with_name(name + ending) for ending in endings]:
        if place.is_file() and place != pictures:
            return place
    raise ValueError(
        f"load_images: {path} holds pictures alone, and no file {name} with their labels is "
        "beside it; give labels=path"
    )


def _require_pictures(where: str, header: ArrayHeader) -> None:
    if header.dtype != np.uint8 or len(header.shape) != 3 or 0 in header.shape:
        expected = "grey pictures, uint8 of shape (m, h, w), not empty"
        raise FileFormatError(complaint(where, header, expected))


def _require_labels(where: str, header: ArrayHeader, count: int) -> None:
    if header.dtype.kind not in "iu" or header.shape != (count,):
        expected = f"whole numbers of shape ({count},), a label for each picture"
        raise FileFormatError(complaint(where, header, expected))


def _require_not_negative(where: str, labels: Array) -> None:
    if (labels < 0).any():
        row = int((labels < 0).argmax())
        raise FileFormatError(complaint(where, f"{labels[row]} in row {row}", "labels from 0 on"))


# ---- archives


def _from_npz(path: PathLike) -> tuple[Floats, NDArray[np.int64]]:
    """Read Keras's four arrays, or our own two."""
    names: list[str] = []

    def accept(headers: Mapping[str, ArrayHeader]) -> None:
        names[:] = ["images", "labels"] if "images" in headers else KERAS
        require_names(path, headers, names)
        for x, y in zip(names[::2], names[1::2], strict=True):
            _require_pictures(f"{path}: {x}", headers[x])
            _require_labels(f"{path}: {y}", headers[y], headers[x].shape[0])

    arrays = read_npz(path, accept)
    for name in names[1::2]:
        _require_not_negative(f"{path}: {name}", arrays[name])
    x, y = ([arrays[name] for name in names[start::2]] for start in (0, 1))
    if len({pictures.shape[1:] for pictures in x}) > 1:
        shapes = " and ".join(str(pictures.shape) for pictures in x)
        raise FileFormatError(complaint(f"{path}: {', '.join(names[::2])}", shapes, "one size"))
    return _scaled(np.concatenate(x), np.concatenate(y))


# ---- tables


def _from_table(path: PathLike, content: bytes) -> tuple[Floats, NDArray[np.int64]]:
    """Read a line for each picture, with the label first or last."""
    with parsing(f"{path}: content", KNOWN, TEXT_CURE):
        text = unpacked(content, MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise Damage(f"more than {MAX_BYTES:,} bytes")
        names = _column_names(text)
        # float32 has every whole number below 16 million, and MNIST takes 220 MB in place of 440.
        rows = rows_of(text, np.float32, skip=1 if names else 0)
    _require_square(path, rows)
    _require_whole(path, rows, first=2 if names else 1)
    if _label_is_last(path, names, rows):
        labels, pixels = rows[:, -1], rows[:, :-1]
    else:
        labels, pixels = rows[:, 0], rows[:, 1:]
    n = math.isqrt(pixels.shape[1])
    most = 16 if n == 8 and pixels.max() <= 16 else 255
    return _scaled(pixels.reshape(-1, n, n), labels, most)


def _column_names(text: bytes) -> list[str]:
    """Return what stands above the columns, or nothing if the first line is of numbers."""
    line = text.partition(b"\n")[0].decode("utf-8-sig")
    names = [name.strip("\"' \r").lower() for name in line.split(",")]
    try:
        list(map(float, names))
    except ValueError:
        return names
    return []


def _require_square(path: PathLike, rows: Array) -> None:
    pixels = rows.shape[1] - 1
    if not rows.size or pixels < 1 or math.isqrt(pixels) ** 2 != pixels:
        found = f"{rows.shape[0]} rows of {rows.shape[1]} columns"
        expected = "a label and n * n pixels in each row, as 1 + 28 * 28 = 785"
        raise FileFormatError(complaint(f"{path}: columns", found, expected))


def _require_whole(path: PathLike, rows: Array, first: int) -> None:
    """Refuse what is no pixel and no label; `first` is the number of the line of row 0."""
    wrong = ~((rows >= 0) & (rows <= 255) & (rows == np.floor(rows)))
    if wrong.any():
        row, column = (int(i) for i in np.unravel_index(wrong.argmax(), rows.shape))
        found = f"{rows[row, column]:g} in line {row + first}, column {column + 1}"
        raise FileFormatError(complaint(f"{path}: pixels", found, "whole numbers from 0 to 255"))


def _label_is_last(path: PathLike, names: list[str], rows: Array) -> bool:
    """Whether the last column is the label, and not the first, as its name or else its form says.

    Rows without names are those of optdigits if 8 x 8 pixels are from 0 to 16, and the last of all
    is a digit.
    """
    if not names:
        return bool(rows.shape[1] == 65 and rows.max() <= 16 and rows[:, -1].max() <= 9)
    if names[0] not in LABELS and names[-1] not in LABELS:
        found = f"columns from {names[0]} to {names[-1]}"
        expected = "one called label or class, first or last"
        raise FileFormatError(complaint(f"{path}: header", found, expected))
    return names[0] not in LABELS
