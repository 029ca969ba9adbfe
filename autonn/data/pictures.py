"""A picture of one handwritten digit becomes what MNIST made of its scans."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autonn.data.photos import border, read_image
from autonn.data.pieces import DIGIT, DIGIT_WANTED, TOO_FAINT, inner_width, is_doubtful, one_digit
from autonn.data.resample import resampling_matrix, shrink
from autonn.data.rulings import FAINTEST, without_rulings
from autonn.data.sheets import evened, is_shaded, on_sheet
from autonn.files.errors import FileFormatError, complaint
from autonn.files.reading import Floats, PathLike

MIN_CONTRAST = 0.05  # a JPEG's blocks and a light's ripples stay below


def read_digit(path: PathLike) -> Floats:
    """Read one handwritten digit from a picture file: (20, 20), like one of `digits.images`.

    This is `digit_from_image(read_image(path))`, and every error names the file. What is no such
    picture, or shows no digit, raises FileFormatError, a missing file FileNotFoundError.

    >>> read_digit("nowhere.png")
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'nowhere.png'
    """
    image = read_image(path)
    try:
        return digit_from_image(image)
    except ValueError as error:
        raise FileFormatError(f"{path}: {error}") from error


def digit_from_image(image: ArrayLike) -> Floats:
    """Make of a picture of one digit what MNIST made of its scans: (20, 20), as `digits.images`.

    `image` is (h, w) or (h, w, 3), floats in 0..1 or whole numbers of a uint type, of any size,
    dark on light or light on dark. A sheet on a darker desk is looked at alone, as seen from above.
    The border shows the paper, whose light may be uneven; what differs from it is ink, whose grey
    levels are kept. Thin straight lines from border to border, frames, shadows and what else comes
    in at the border are left out, as long as they leave a digit. The ink is scaled into 20 x 20
    pixels, its aspect kept, and laid into 28 x 28 with its centre of mass in the middle (Y. LeCun,
    C. Cortes and C. Burges, "The MNIST database of handwritten digits"); then `shrink` makes it
    20 x 20.

    A picture of another shape raises ValueError, and so does one that shows no digit, or several:
    large pieces apart from each other, or one that is wider, more solid or has more holes than any
    digit. Letters and what else has a digit's shape are not told from digits here.

    >>> seven = np.zeros((90, 60))
    >>> seven[10:16, 10:40] = seven[10:60, 34:40] = 1
    >>> bool(np.allclose(digit_from_image(seven), digit_from_image(1 - seven / 2)))
    True
    """
    ink, level = _found(on_sheet(_pixels(image)))
    mask = one_digit(ink > level / 2)
    side = max(int(np.ptp(where)) for where in np.nonzero(mask)) + 1
    near = _grown(mask, math.ceil(side / 20))  # by a pixel of MNIST's, for the soft edges
    seen = _centred(np.where(near, ink / level, 0.0), side).clip(0, 1)
    return shrink(seen / seen.max(), 20)  # MNIST's darkest pixel is black, also of thin strokes


def _found(pixels: Floats) -> tuple[Floats, float]:
    """Return the ink of a sheet (h, w) without lines and shadows, and the contrast of full ink."""
    found, refusal = None, None
    try:
        found = _unruled(pixels)
    except ValueError as error:
        refusal = error
    if found is None or is_doubtful(found[0] > found[1] / 2):
        found = _in_even_light(pixels) or found
    if found is None:
        raise refusal or AssertionError("neither found nor refused")
    return found


def _in_even_light(pixels: Floats) -> tuple[Floats, float] | None:
    """Return ink and level as `_found` does, or None if there is no shadow, or no digit in it."""
    widest, found = min(pixels.shape[:2]) // 3, None
    if widest < 2 or not is_shaded(pixels, widest):
        return None
    try:
        for _ in range(2):  # a closing hardly wider than the strokes follows the shadow's edge
            even = evened(pixels, widest)
            ink, level = _unruled(even)
            width = inner_width(ink > level / 2)
            if not width or (ink * (even - even.mean(axis=(0, 1))).sum(axis=2)).sum() > 0:
                break  # nothing is left, or it is lighter than the paper
            found, widest = (ink, level), math.ceil(1.5 * width)
        if found is not None:
            one_digit(found[0] > found[1] / 2)
    except ValueError:
        return None
    return found


def _unruled(pixels: Floats) -> tuple[Floats, float]:
    """Return the contrast of a sheet (h, w) without its lines, and the level of full ink."""
    ink = _contrast(pixels)
    level = first = _ink_level(ink)
    for _ in range(2):  # without the darkest lines the light can be told better, and faint ones
        unruled = without_rulings(ink, level)
        if unruled is ink:
            break
        ink = _contrast(unruled[..., None])
        level = _ink_level(ink)
        if level < FAINTEST * first or not inner_width(ink > level / 2):
            raise ValueError(complaint(DIGIT, "lines only", DIGIT_WANTED, TOO_FAINT))
    return ink, level


def _pixels(image: ArrayLike) -> Floats:
    """Return a picture as floats (h, w, channels), or say why it is none."""
    pixels = np.asarray(image)
    most = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
    if pixels.dtype.kind not in "buf" or pixels.ndim not in (2, 3) or not pixels.size:
        found = f"{pixels.dtype} of shape {pixels.shape}"
        raise ValueError(complaint(DIGIT, found, "floats in 0..1, (h, w) or (h, w, 3)"))
    if pixels.ndim == 3 and pixels.shape[2] != 3:
        found = f"{pixels.shape[2]} channels"
        raise ValueError(complaint(DIGIT, found, "3, or none: (h, w)", "lay it on its paper first"))
    values = pixels.reshape(*pixels.shape[:2], -1) / float(most)
    if not (np.abs(values) <= 2).all():  # resampling overshoots 1; NaN is no number at all
        found = f"values from {values.min():g} to {values.max():g}"
        raise ValueError(complaint(DIGIT, found, "0..1", "divide by the largest value there is"))
    return values


def _contrast(pixels: Floats) -> Floats:
    """Return how far each pixel (h, w) differs from the paper, towards the ink's colour."""
    apart = pixels - _paper(pixels)
    flat = apart.reshape(-1, apart.shape[2])
    direction = np.linalg.eigh(flat.T @ flat)[1][:, -1]  # of the largest differences
    contrast: Floats = apart @ direction
    # Noise goes either way; ink is the side with the heavy tail.
    return contrast if (contrast**3).sum() >= 0 else -contrast


def _paper(pixels: Floats) -> Floats:
    """Return the paper's colour everywhere, told from the border: flat, or a quadratic surface.

    The flat one is the border's median. The surface is its generalisation, of the least sum of
    absolute deviations; it has to halve them, or else what it follows is ink at the border and
    not the light.
    """
    height, width, _ = pixels.shape
    rim = border(height, width)
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    terms = [np.broadcast_to(t, rim.shape) for t in (np.ones((1, 1)), y, x, y * y, x * y, x * x)]
    some = slice(None, None, math.ceil(rim.sum() / 1000))
    colours = pixels[rim][some]
    median = np.median(colours, axis=0)
    basis = np.stack([term[rim][some] for term in terms], axis=1)
    surface = _least_deviations(basis, colours - median)
    flat, bent = (_sizes(colours - median - basis @ C).sum() for C in (0 * surface, surface))
    if 2 * bent >= flat:
        return np.broadcast_to(median, pixels.shape)
    return sum((t[..., None] * c for t, c in zip(terms, surface, strict=True)), median)


def _least_deviations(A: Floats, B: Floats) -> Floats:
    """Return C with the least sum of |B - A C| over the rows, by reweighted least squares."""
    C, deviations = np.zeros((A.shape[1], B.shape[1])), _sizes(B)
    for _ in range(20):
        # The floor bounds the weights: rows that are met nearly exactly count alike.
        weighted = A.T / np.maximum(deviations, 1e-3 * deviations.max() + 1e-12)
        C = np.linalg.lstsq(weighted @ A, weighted @ B, rcond=None)[0]
        deviations = _sizes(B - A @ C)
    return C


def _sizes(rows: Floats) -> Floats:
    """Return each row's length."""
    lengths: Floats = np.sqrt((rows * rows).sum(axis=1))
    return lengths


def _ink_level(contrast: Floats) -> float:
    """Return the contrast of full ink, or say that there is none.

    What rises above noise and JPEG's traces is parted by Otsu's threshold, so that a shadow does
    not count; of the upper part the soft edges are the lower quarter.
    """
    steps = [np.abs(np.diff(contrast, axis=axis)) for axis in (0, 1)]
    # Neighbours differ by noise only, but at the few edges: 1.4826 median(|x|) is a normal
    # variable's standard deviation, and a difference has the noise of two pixels.
    noise = 1.4826 / math.sqrt(2) * min((float(np.median(s)) for s in steps if s.size), default=0.0)
    peak = float(contrast.max())
    if peak < MIN_CONTRAST:
        raise ValueError(complaint(DIGIT, "a single colour", DIGIT_WANTED, TOO_FAINT))
    risen = contrast[contrast > max(4 * noise, 0.1 * peak)]
    if not risen.size:
        raise ValueError(complaint(DIGIT, "noise only", DIGIT_WANTED, TOO_FAINT))
    return float(np.percentile(risen[risen >= _otsu(risen)], 75))


def _otsu(values: Floats) -> float:
    """Return the least value of the upper of two classes that lie as far apart as possible.

    N. Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. SMC 9, 1979:
    n m (mean difference)^2 is to be largest, where n and m are the sizes of the classes.
    """
    ordered = np.sort(values)
    sums, below = np.cumsum(ordered), np.arange(1, len(ordered))
    above = len(ordered) - below
    means = (sums[-1] - sums[:-1]) / above - sums[:-1] / below
    return float(ordered[np.argmax(below * above * means**2) + 1]) if below.size else ordered[0]


def _grown(mask: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Return the pixels within `reach` of the mask, along either axis."""
    from scipy import ndimage

    grown: NDArray[np.bool_] = ndimage.maximum_filter(mask, 2 * reach + 1)
    return grown


def _centred(ink: Floats, side: int) -> Floats:
    """Resample ink to 28 x 28 so that `side` becomes 20 pixels, the centre of mass in the middle.

    MNIST's middle is the pixel 14, counted from 0: its 5,000 pictures here have their centres of
    mass at 13.99 and 14.00 on average, all within half a pixel of 14.
    """
    mass, edged = ink.clip(0, 1), np.pad(ink, 1)  # beyond the picture the empty edge is repeated
    unit = side / 20
    matrices = []
    for axis in (0, 1):
        along = mass.sum(axis=1 - axis)
        centre = along @ np.arange(len(along)) / along.sum() + 1.5
        window = centre - 14.5 * unit, centre + 13.5 * unit
        matrices.append(resampling_matrix(edged.shape[axis], 28, window))
    down, across = matrices
    return down @ edged @ across.T
