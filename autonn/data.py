"""The digits come in here, and the course's examples, so that no other room knows their order.

Inside autonn the output unit k means digit k and a picture is an upright array. The machine
learning course that the digits come from lists the digit 0 last, as class 10, and unrolls its
pictures column by column. Only this file and `files.py` translate between the two.
"""

from __future__ import annotations

import errno
import io
import math
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autonn.formats import (
    Array,
    FileFormatError,
    Floats,
    PathLike,
    complaint,
    finite_matrix,
    is_mat,
    parsing,
    read_bytes,
    read_fields,
    require_names,
    write_fields,
)
from autonn.nn.losses import one_hot


@dataclass(frozen=True, eq=False, repr=False)
class Digits:
    """The 5,000 handwritten digits: rows to learn from, labels, and pictures to look at.

    `X` (5000, 400) float64 has one picture per row, unrolled column by column; `y` (5000,)
    int64 holds the digits 0-9; `images` (5000, 20, 20) float64 holds the same pictures upright.

    >>> one = np.ones((1, 2, 2))
    >>> Digits(X=unroll(one), y=np.array([7]), images=one)
    Digits(X=(1, 4), y=(1,), images=(1, 2, 2))
    """

    X: Floats
    y: NDArray[np.int64]
    images: Floats

    def __repr__(self) -> str:
        return f"Digits(X={self.X.shape}, y={self.y.shape}, images={self.images.shape})"


def load_digits(path: PathLike | None = None) -> Digits:
    """Load the handwritten digits: 5,000 pictures of 20 x 20 pixels, 500 of each, sorted from 0.

    They are MNIST's pixels / 255, shrunk from 28 x 28 by `shrink`. This rebuilds the course's
    data set: its published costs and accuracy are met to 1e-13. The bicubic rule overshoots,
    so the values run from -0.132 to 1.128.

    `path` names another file of the same form: `images` (m, 28, 28) and `labels` (m,), both
    uint8. A missing file raises FileNotFoundError, a damaged one FileFormatError.

    >>> digits = load_digits()
    >>> digits
    Digits(X=(5000, 400), y=(5000,), images=(5000, 20, 20))
    >>> digits.y[[0, 499, 500, 4999]]
    array([0, 0, 1, 9])
    """
    pixels, labels = _load_pixels(_digits_file() if path is None else Path(path))
    images = shrink(pixels / 255.0, 20)
    return Digits(X=unroll(images), y=labels.astype(np.int64), images=images)


def _digits_file() -> Path:
    """Return where the digits are: inside an installed package, or in the checkout's data/."""
    here = Path(__file__).parent
    candidates = [here / "digits.npz", here.parent / "data" / "digits.npz"]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    cure = "reinstall autonn, or rebuild it with `python data/build_digits.py`"
    raise FileNotFoundError(errno.ENOENT, f"digits.npz is missing; {cure}", str(candidates[0]))


def _load_pixels(path: Path) -> tuple[Array, Array]:
    content = read_bytes(path)
    with parsing(f"{path}: content", "a .npz archive of `images` and `labels`"):
        archive = dict(np.load(io.BytesIO(content), allow_pickle=False))
    require_names(path, archive, ["images", "labels"])
    images, labels = archive["images"], archive["labels"]
    _require_bytes(f"{path}: images", images, (len(labels) if labels.ndim else 0, 28, 28))
    _require_bytes(f"{path}: labels", labels, images.shape[:1])
    if labels.max() > 9:
        row = int(labels.argmax())
        found = f"{labels[row]} in row {row}"
        raise FileFormatError(complaint(f"{path}: labels", found, "digits 0..9"))
    return images, labels


def _require_bytes(where: str, values: Array, shape: tuple[int, ...]) -> None:
    if values.dtype != np.uint8 or values.shape != shape or not values.size:
        found = f"{values.dtype} of shape {values.shape}"
        raise FileFormatError(complaint(where, found, f"uint8 of shape {shape}, not empty"))


def resampling_matrix(old: int = 28, new: int = 20) -> Floats:
    """Return M (new, old) that resamples a line of pixels: `M @ line`, or `M @ image @ M.T`.

    Output pixel i sits at s (i + 1/2) - 1/2 with s = old / new, so that both grids share their
    outer edges. Its weights are R. Keys' cubic convolution kernel with a = -1/2 (IEEE Trans.
    ASSP 29, 1981), stretched by s where the picture shrinks (s > 1), which averages away
    detail too fine for the new grid. Pixels beyond the edge repeat the edge; each row sums to 1.

    Sizes below 1 raise ValueError.

    >>> resampling_matrix(28, 20).shape
    (20, 28)
    >>> resampling_matrix(2, 1)
    array([[0.5, 0.5]])
    """
    old, new = _positive("old", old), _positive("new", new)
    scale = old / new
    stretch = max(scale, 1.0)
    centres = scale * (np.arange(new)[:, None] + 0.5) - 0.5
    reach = math.ceil(2 * stretch)  # the kernel ends at distance 2
    pixels = np.floor(centres).astype(int) + np.arange(-reach, reach + 2)
    weights = _keys_kernel((pixels - centres) / stretch)
    M = np.zeros((new, old))
    np.add.at(M, (np.arange(new)[:, None], pixels.clip(0, old - 1)), weights)
    M /= M.sum(axis=1, keepdims=True)
    return M


def _keys_kernel(x: Floats, a: float = -0.5) -> Floats:
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = a * (((x - 5) * x + 8) * x - 4)
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def shrink(images: ArrayLike, size: int = 20) -> Floats:
    """Resample pictures (..., h, w) to (..., size, size): `M @ image @ M.T`.

    M is `resampling_matrix`, one for each direction. Fewer than two axes raise ValueError.

    >>> shrink(np.ones((5, 28, 28))).shape
    (5, 20, 20)
    """
    pictures = np.asarray(images, dtype=np.float64)
    if pictures.ndim < 2:
        raise ValueError(f"shrink: pictures need two axes or more, not shape {pictures.shape}")
    height, width = pictures.shape[-2:]
    down, across = resampling_matrix(height, size), resampling_matrix(width, size)
    shrunk: Floats = down @ pictures @ across.T
    return shrunk


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


def split(
    X: ArrayLike, y: ArrayLike, test: int = 1000, *, rng: np.random.Generator | int
) -> tuple[Array, Array, Array, Array]:
    """Hold out `test` rows, each class in proportion: X_train, y_train, X_test, y_test.

    A class of c rows among m gives test * c / m of them; where that is no whole number, the
    largest remainders are rounded up, so that exactly `test` rows are held out. Which rows is
    drawn from `rng`, a generator or a seed. Both parts keep the order of the data.

    A `test` that is negative or above m, and X and y of different lengths, raise ValueError.

    >>> X, y = np.arange(8).reshape(8, 1), np.array([0, 0, 0, 0, 0, 0, 1, 1])
    >>> X_train, y_train, X_test, y_test = split(X, y, test=4, rng=0)
    >>> y_test
    array([0, 0, 0, 1])
    """
    rows, labels = _paired_rows(X, y)
    shares = _shares(labels, _count("test", test))
    order = np.random.default_rng(rng).permutation(len(labels))
    held_out = np.zeros(len(labels), dtype=bool)
    for label, share in shares:
        held_out[order[labels[order] == label][:share]] = True
    return rows[~held_out], labels[~held_out], rows[held_out], labels[held_out]


def _paired_rows(X: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    rows, labels = np.asarray(X), np.asarray(y)
    if labels.ndim != 1:
        raise ValueError(f"split: y must be a vector of labels (m,), not shape {labels.shape}")
    if not rows.ndim or len(rows) != len(labels):
        raise ValueError(f"split: X of shape {rows.shape} does not match {len(labels)} labels")
    return rows, labels


def _shares(labels: Array, test: int) -> list[tuple[Any, int]]:
    """Return (label, rows to hold out) by the method of the largest remainder."""
    if test > len(labels):
        raise ValueError(f"split: test={test} rows, but the data has only {len(labels)}")
    kinds, counts = np.unique(labels, return_counts=True)
    shares, remainders = np.divmod(test * counts, max(len(labels), 1))
    shares[np.argsort(-remainders, kind="stable")[: test - shares.sum()]] += 1
    return list(zip(kinds, shares.tolist(), strict=True))


def batches(
    m: int, size: int, rng: np.random.Generator | int
) -> Iterator[NDArray[np.integer[Any]]]:
    """Deal m rows in random order into index arrays of `size`; the last may be shorter.

    A negative m or a size below 1 raises ValueError, at the call.

    >>> [len(rows) for rows in batches(10, 4, rng=0)]
    [4, 4, 2]
    """
    m, size = _count("m", m), _positive("size", size)
    order = np.random.default_rng(rng).permutation(m)
    return (order[start : start + size] for start in range(0, m, size))


def _count(name: str, value: int, least: int = 0) -> int:
    if operator.index(value) < least:
        raise ValueError(f"{name} must be {least} or more, not {value}")
    return operator.index(value)


def _positive(name: str, value: int) -> int:
    return _count(name, value, least=1)


def read_examples(*paths: PathLike) -> tuple[Floats, NDArray[np.int64]]:
    """Read the course's examples: X (m, n) float64 and y (m,) int64, the digits 0-9.

    One `.mat` file holds `X` (m, n) and `y`, a vector of classes 1..10 where 10 is the digit 0
    (ex4data1.mat). Two comma-separated text files, X.in and y.in, hold the same with one-hot
    rows for y, the digit 0 last.

    Wrong content raises FileFormatError, a missing file FileNotFoundError, and any other
    number or kind of paths ValueError.

    >>> import tempfile
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
