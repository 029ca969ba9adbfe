"""The pieces of ink in a picture: those of one digit, of several, or of none."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autonn.files.errors import complaint

Mask = NDArray[np.bool_]
Labels = NDArray[np.integer[Any]]

DIGIT = "picture"
DIGIT_WANTED = "one handwritten digit"
TOO_FAINT = "draw it larger or darker, or crop the picture to it"
CROP = "crop the picture to it"

MIN_AREA = 6  # pixels, of the largest piece of ink: a thin 1 of this height can still be read
MOST_PIECES = 12  # a digit has one or two, and some more where a pen runs dry; noise has hundreds
LEAST_PIECE = 0.03  # of the largest's area; smaller ones are dust
INNER = 0.2  # of the picture's shorter side is a digit's least beside what comes in at the border
APART = 0.02  # of the shorter side from the border is what does not come in there
CROPPED = 0.1  # of the longer side: so near are the sides of a picture that was cropped to it

# Of the 5,000 digits 82 have pieces apart from the largest, the bar of a 5 for the most part.
FAR = 0.2  # of the largest piece's longer side: few of a digit's pieces are farther from it
LIKE = 0.4  # of the largest piece's longer side has what may be a digit of its own
THICKEST = 0.65  # of the longer side is the widest stroke; a digit's has 0.61 at most
WIDEST = 1.75  # by the height: 5 of the 5,000 digits are wider
MOST_HOLES = 3  # 4 of the 5,000 digits have so many, and none has more
LEAST_HOLE = 0.002  # of the square around the digit


class Piece(NamedTuple):
    """A connected piece of ink: its number among the labels, its area and its box."""

    number: int
    area: int
    top: int
    bottom: int
    left: int
    right: int

    @property
    def side(self) -> int:
        """The longer side of its box."""
        return max(self.bottom - self.top, self.right - self.left)

    def gaps(self, height: int, width: int) -> tuple[int, ...]:
        """Return how far it is from each side of the picture."""
        return self.top, self.left, height - self.bottom, width - self.right


def one_digit(mask: Mask) -> Mask:
    """Return the pieces of ink (h, w) that are the digit's; refuse none, and more than one."""
    from scipy import ndimage

    labels, _ = ndimage.label(mask, np.ones((3, 3)))
    pieces = _without_outer(labels, _pieces(labels))
    largest = pieces[0].area if pieces else 0
    pieces = [p for p in pieces if p.area >= LEAST_PIECE * largest]
    if largest < MIN_AREA or len(pieces) > MOST_PIECES:
        raise ValueError(complaint(DIGIT, "specks only", DIGIT_WANTED, TOO_FAINT))
    digit: Mask = np.isin(labels, [p.number for p in _together(labels, pieces)])
    _require_shape(digit)
    return digit


def inner_width(mask: Mask) -> int:
    """Return the width of the largest piece's strokes that does not come in at the border, or 0.

    Only pieces as large as a digit count.
    """
    from scipy import ndimage

    labels, _ = ndimage.label(mask, np.ones((3, 3)))
    inner = [p for p in _pieces(labels) if _is_inner(p, mask.shape)]
    if not inner:
        return 0
    inside = ndimage.distance_transform_edt(labels == inner[0].number)
    return 2 * math.ceil(float(inside.max()))


def is_doubtful(mask: Mask) -> bool:
    """Whether something comes in at a side or a corner, or no digit would be found.

    A picture that was cropped to its digit is not in doubt: its ink comes near to all four sides.
    """
    from scipy import ndimage

    try:
        one_digit(mask)
    except ValueError:
        return True
    pieces = _pieces(ndimage.label(mask, np.ones((3, 3)))[0])
    gaps = [p.gaps(*mask.shape) for p in pieces if p.area >= LEAST_PIECE * pieces[0].area]
    return bool(np.min(gaps) == 0 and np.min(gaps, axis=0).max() > CROPPED * max(mask.shape))


def _pieces(labels: Labels) -> list[Piece]:
    """Return the pieces that are no dust, the largest first."""
    from scipy import ndimage

    areas = np.bincount(labels.ravel())
    areas[0] = 0
    boxes = ndimage.find_objects(labels)
    large = np.flatnonzero(areas >= max(0.1 * LEAST_PIECE * areas.max(), 1))
    order = large[np.argsort(-areas[large], kind="stable")]
    return [
        Piece(int(n), int(areas[n]), y.start, y.stop, x.start, x.stop)
        for n in order
        for y, x in [boxes[n - 1]]
    ]


def _is_inner(piece: Piece, shape: tuple[int, ...]) -> bool:
    least = min(shape)
    return piece.side >= INNER * least and min(piece.gaps(*shape)) > APART * least


def _without_outer(labels: Labels, pieces: list[Piece]) -> list[Piece]:
    """Drop what comes in at the border, and what goes around, where a digit is left without it."""
    inner = [p for p in pieces if _is_inner(p, labels.shape)]
    if inner:
        pieces = [p for p in pieces if min(p.gaps(*labels.shape)) > 0]
    return [p for p in pieces if not any(_goes_around(labels, p, other) for other in inner)]


def _goes_around(labels: Labels, piece: Piece, other: Piece) -> bool:
    """Whether a piece encloses another, which is large enough to be what it frames."""
    from scipy import ndimage

    y, x = slice(piece.top, piece.bottom), slice(piece.left, piece.right)
    within = (
        piece.top < other.top
        and other.bottom < piece.bottom
        and piece.left < other.left
        and other.right < piece.right
    )
    if not within or other.side < LIKE * piece.side:
        return False
    filled = ndimage.binary_fill_holes(labels[y, x] == piece.number)
    return bool(filled[labels[y, x] == other.number].all())


def _together(labels: Labels, pieces: list[Piece]) -> list[Piece]:
    """Return the largest piece and those around it; refuse another that may be a digit."""
    from scipy import ndimage

    digit, others = pieces[:1], pieces[1:]
    while others:
        away = ndimage.distance_transform_edt(~np.isin(labels, [p.number for p in digit]))
        gaps = [away[labels == p.number].min() for p in others]
        nearest = int(np.argmin(gaps))
        piece, main = others.pop(nearest), pieces[0]
        far = gaps[nearest] > FAR * main.side
        if piece.side >= LIKE * main.side and (far or _is_beside(piece, main)):
            found = "several pieces as large as a digit"
            raise ValueError(complaint(DIGIT, found, DIGIT_WANTED, CROP))
        if not far:
            digit.append(piece)
    return digit


def _is_beside(piece: Piece, main: Piece) -> bool:
    """Whether two pieces of like height stand side by side, as digits of one number do."""
    shared = min(piece.bottom, main.bottom) - max(piece.top, main.top)
    gap = max(piece.left, main.left) - min(piece.right, main.right)
    heights = sorted((piece.bottom - piece.top, main.bottom - main.top))
    return gap > 0 and shared > 0.6 * heights[1]


def _require_shape(digit: Mask) -> None:
    """Refuse what is wider, more solid, or has more holes, than digits are and have."""
    from scipy import ndimage

    y, x = ndimage.find_objects(digit.astype(int))[0]
    ink = np.pad(digit[y, x], 1)
    height, width = y.stop - y.start, x.stop - x.start
    side = max(height, width)
    areas = np.bincount(ndimage.label(~ink)[0].ravel())[2:]
    holes = int((areas > LEAST_HOLE * side**2).sum())
    stroke = 2 * ndimage.distance_transform_edt(ink).max() - 1
    if width > WIDEST * height:
        found = f"something {width / height:.1f} times as wide as high"
    elif stroke > THICKEST * side:
        found = "something solid"
    elif holes > MOST_HOLES:
        found = f"something with {holes} holes"
    else:
        return
    raise ValueError(complaint(DIGIT, found, DIGIT_WANTED, CROP))
