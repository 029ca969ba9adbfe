"""The 5,000 handwritten digits of the course, rebuilt from the pixels of MNIST."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autonn.data.course import unroll
from autonn.data.resample import shrink
from autonn.files.errors import FileFormatError, complaint
from autonn.files.npz import read_npz
from autonn.files.reading import Array, ArrayHeader, Floats, PathLike, require_names
from autonn.habits import answers_keywords


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


@answers_keywords("data()")
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
    here = Path(__file__).parents[1]
    candidates = [here / "digits.npz", here.parent / "data" / "digits.npz"]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    cure = "reinstall autonn, or rebuild it with `python data/build_digits.py`"
    raise FileNotFoundError(errno.ENOENT, f"digits.npz is missing; {cure}", str(candidates[0]))


def _load_pixels(path: Path) -> tuple[Array, Array]:
    """Read pictures (m, 28, 28) and labels (m,), both uint8, or say which of them is wrong."""

    def accept(headers: Mapping[str, ArrayHeader]) -> None:
        require_names(path, headers, ["images", "labels"])
        images, labels = headers["images"], headers["labels"]
        _require_bytes(f"{path}: images", images, (*(labels.shape or (0,))[:1], 28, 28))
        _require_bytes(f"{path}: labels", labels, images.shape[:1])

    archive = read_npz(path, accept)
    images, labels = archive["images"], archive["labels"]
    if labels.max() > 9:
        row = int(labels.argmax())
        found = f"{labels[row]} in row {row}"
        raise FileFormatError(complaint(f"{path}: labels", found, "digits 0..9"))
    return images, labels


def _require_bytes(where: str, header: ArrayHeader, shape: tuple[int, ...]) -> None:
    if header != ArrayHeader(np.dtype(np.uint8), shape) or 0 in shape:
        expected = f"uint8 of shape {shape}, not empty"
        raise FileFormatError(complaint(where, header, expected))
