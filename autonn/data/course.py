"""The border to the course that the digits come from: its files, its order, its unrolling.

Inside autonn the output unit k means digit k and a picture is an upright array. The machine
learning course lists the digit 0 last, as class 10, and unrolls its pictures column by column.
Only this file, and `files/thetas.py` for the weights, translate between the two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autonn.engine.ops import one_hot
from autonn.files.errors import FileFormatError, complaint
from autonn.files.fields import is_mat, read_fields, write_fields
from autonn.files.reading import Array, Floats, PathLike, finite_matrix


def unroll(images: ArrayLike) -> Array:
    """Lay square pictures (..., n, n) out as rows (..., n * n), column by column like MATLAB.

    Pictures that are not square raise ValueError, since `as_images` could not undo them.

    >>> unroll([[1, 2], [3, 4]])
    array([1, 3, 2, 4])
    """
    pictures = np.asarray(images)
    if pictures.ndim < 2 or pictures.shape[-1] != pictures.shape[-2]:
        raise ValueError(f"unroll: expected square pictures (..., n, n), not {pictures.shape}")
    n = pictures.shape[-1]
    return pictures.swapaxes(-1, -2).reshape(*pictures.shape[:-2], n * n)


def as_images(X: ArrayLike) -> Array:
    """Fold rows (..., n * n) back into upright pictures (..., n, n); the inverse of `unroll`.

    The pictures are a view of X. A row length that is no square raises ValueError.

    >>> as_images([1, 3, 2, 4])
    array([[1, 2],
           [3, 4]])
    """
    rows = np.asarray(X)
    n = math.isqrt(rows.shape[-1]) if rows.ndim else 0
    if not rows.ndim or n * n != rows.shape[-1]:
        raise ValueError(f"as_images: expected rows of n * n pixels, not shape {rows.shape}")
    return rows.reshape(*rows.shape[:-1], n, n).swapaxes(-1, -2)


def read_examples(*paths: PathLike) -> tuple[Floats, NDArray[np.int64]]:
    """Read the course's examples: X (m, n) float64 and y (m,) int64, the digits 0-9.

    One `.mat` file holds `X` (m, n) and `y`, a vector of classes 1..10 where 10 is the digit 0
    (ex4data1.mat). Two comma-separated text files, X.in and y.in, hold the same with one-hot
    rows for y, the digit 0 last.

    Wrong content raises FileFormatError, a missing file FileNotFoundError, and any other
    number or kind of paths ValueError.

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "two.mat"
    ...     write_examples([[0.5, 1.0], [0.25, 0.0]], [0, 3], path)
    ...     X, y = read_examples(path)
    >>> y
    array([0, 3])
    """
    X_path, y_path = _example_paths(paths)
    fields = read_fields(paths, ["X", "y"])
    X = finite_matrix(f"{X_path}: X", fields["X"], FileFormatError)
    read_labels = _from_classes if is_mat(y_path) else _from_one_hot
    y = read_labels(f"{y_path}: y", finite_matrix(f"{y_path}: y", fields["y"], FileFormatError))
    if len(X) != len(y):
        raise FileFormatError(complaint(f"{y_path}: y", f"{len(y)} labels", f"{len(X)}, as in X"))
    return X, y


def write_examples(X: ArrayLike, y: ArrayLike, *paths: PathLike) -> None:
    """Write X (m, n) and the digits y (m,) in the course's form; `read_examples` undoes it.

    X comes back bit for bit. The files appear whole or not at all (see `atomic_write`). NaN,
    infinities and other shapes raise ValueError, labels as in `one_hot`.

    >>> write_examples([[0.5]], [10], "never-written.mat")
    Traceback (most recent call last):
    IndexError: one_hot: class 10 of 10 in row 0; labels run from 0 to 9 and never wrap
    """
    X_path, _ = _example_paths(paths)
    rows, hot = finite_matrix("X", np.asarray(X), ValueError), one_hot(y, dtype=np.int64)
    if len(rows) != len(hot):
        raise ValueError(f"write_examples: {len(rows)} rows in X, but {len(hot)} labels in y")
    hot = np.roll(hot, -1, axis=1)
    classes = hot.argmax(axis=1, keepdims=True) + 1.0
    write_fields(paths, {"X": rows, "y": classes if is_mat(X_path) else hot})


def _example_paths(paths: Sequence[PathLike]) -> tuple[PathLike, PathLike]:
    """Return where X and y are: in one .mat file, or in two text files."""
    mats = [is_mat(path) for path in paths]
    if mats not in ([True], [False, False]):
        raise ValueError(f"examples take one .mat path, or two text paths X.in, y.in; got {paths}")
    return paths[0], paths[-1]


def _from_classes(where: str, values: Floats) -> NDArray[np.int64]:
    """Turn the course's classes 1..10 in a row or column into digits, 10 into 0."""
    if 1 not in values.shape:
        raise FileFormatError(complaint(where, f"shape {values.shape}", "a vector of labels"))
    classes = values.ravel()
    wrong = ~np.isin(classes, np.arange(1, 11))
    if wrong.any():
        row = int(wrong.argmax())
        found = f"label {classes[row]:.17g} in row {row}"
        raise FileFormatError(complaint(where, found, "whole numbers 1..10, 10 for the digit 0"))
    return _digits(classes)


def _digits(classes: Array) -> NDArray[np.int64]:
    return np.where(classes == 10, 0, classes).astype(np.int64)


def _from_one_hot(where: str, values: Floats) -> NDArray[np.int64]:
    """Turn one-hot rows in the course's order, 1 to 9 and then 0, into digits."""
    if values.shape[1] != 10:
        raise FileFormatError(complaint(where, f"shape {values.shape}", "10 columns, one a class"))
    hot = values.argmax(axis=1)
    wrong = (values != np.eye(10)[hot]).any(axis=1)
    if wrong.any():
        row = int(wrong.argmax())
        found = f"row {row} = {values[row].tolist()}"
        raise FileFormatError(complaint(where, found, "a single 1 among zeros in each row"))
    return _digits(hot + 1)
