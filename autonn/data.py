"""The digits come in here, the course's examples, and pictures of one's own handwriting.

Inside autonn the output unit k means digit k and a picture is an upright array. The machine
learning course that the digits come from lists the digit 0 last, as class 10, and unrolls its
pictures column by column. Only this file and `files.py` translate between the two.

A photo or a scan goes through `read_digit`, which makes of it what MNIST made of its scans.
"""

from __future__ import annotations

import errno
import io
import math
import operator
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autonn.engine.ops import one_hot
from autonn.formats import (
    Array,
    ArrayHeader,
    FileFormatError,
    Floats,
    PathLike,
    complaint,
    finite_matrix,
    is_mat,
    parsing,
    read_bytes,
    read_fields,
    read_npz,
    require_names,
    write_fields,
)

if TYPE_CHECKING:
    from PIL import Image


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


def resampling_matrix(
    old: int = 28, new: int = 20, window: tuple[float, float] | None = None
) -> Floats:
    """Return M (new, old) that resamples a line of pixels: `M @ line`, or `M @ image @ M.T`.

    Of the line, where pixel i reaches from i to i + 1, the output shows the window (p, q), by
    default all of it, (0, old). Output pixel i sits at p + s (i + 1/2) - 1/2 with
    s = (q - p) / new, so that both share their outer edges. Its weights are R. Keys' cubic
    convolution kernel with a = -1/2 (IEEE Trans. ASSP 29, 1981), stretched by s where the picture
    shrinks (s > 1), which averages away detail too fine for the new grid. Pixels beyond the edge
    repeat the edge; each row sums to 1.

    Sizes below 1, and a window without a width, raise ValueError.

    >>> resampling_matrix(28, 20).shape
    (20, 28)
    >>> resampling_matrix(2, 1)
    array([[0.5, 0.5]])
    >>> resampling_matrix(3, 2, window=(1, 3))
    array([[0., 1., 0.],
           [0., 0., 1.]])
    """
    old, new = _positive("old", old), _positive("new", new)
    first, last = (0.0, float(old)) if window is None else window
    if not -math.inf < first < last < math.inf:
        raise ValueError(f"resampling_matrix: got window={window}, expected (p, q) with p < q")
    scale = (last - first) / new
    stretch = max(scale, 1.0)
    centres = first + scale * (np.arange(new)[:, None] + 0.5) - 0.5
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


# Phones take photos of 50 million pixels. Unpacked, a pixel takes 4 bytes, or 8 while its
# transparency is averaged; a large JPEG is averaged as it is decoded.
MAX_PIXELS = 80_000_000
MAX_FILE_BYTES = 2**28
MAX_SIDE = 1000  # a digit of a twentieth of that is still larger than MNIST's
IMAGE_CURE = "export the picture as PNG or JPEG"
SMALLER = "scale the picture down"


def read_digit(path: PathLike) -> Floats:
    """Read one handwritten digit from a PNG or JPEG file: (20, 20), like one of `digits.images`.

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


def read_image(path: PathLike) -> Floats:
    """Read a PNG or JPEG file of any kind: (height, width, 3), red, green and blue in 0..1.

    A picture with a side above 1,000 pixels is averaged over squares of k x k pixels, with the
    least k that ends below; a photo is turned upright as its EXIF data say. What is transparent
    shows the paper: the border's colour, or else white behind a dark drawing and black behind a
    light one. Files above 256 MiB or 80 million pixels are refused before they are unpacked.

    Any other content raises FileFormatError, a missing file FileNotFoundError.

    >>> import tempfile
    >>> from matplotlib.image import imsave
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "red.png"
    ...     imsave(path, np.full((2, 1), 0.5), cmap="Reds", vmin=0.5, vmax=1.0)
    ...     read_image(path).shape
    (2, 1, 3)
    """
    content = read_bytes(path, most=MAX_FILE_BYTES)
    where = f"{path}: content"
    if not content.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")):
        found = "neither kind's first bytes" if content else "nothing"
        raise FileFormatError(complaint(where, found, "a PNG or JPEG picture", IMAGE_CURE))
    with parsing(where, "a whole PNG or JPEG picture", "export it again, or fetch a fresh copy"):
        return _on_paper(_decoded(where, content))


def _decoded(where: str, content: bytes) -> Floats:
    """Return an upright picture (h, w, 4) of red, green, blue and opacity in 0..1."""
    # Pillow comes with Matplotlib, which can't read a JPEG without it.
    from PIL import Image, ImageOps, UnidentifiedImageError

    def opened() -> Image.Image:
        return Image.open(io.BytesIO(content), formats=["PNG", "JPEG"])

    # Pillow warns of odd but legible metadata, as some phones write; its limit of size is not ours.
    with warnings.catch_warnings(action="ignore"):
        limit = f"at most {MAX_PIXELS:,}"
        try:
            image = opened()
        except UnidentifiedImageError as error:
            raise ValueError("the header is damaged") from error
        except Image.DecompressionBombError as error:
            raise FileFormatError(complaint(where, "far more pixels", limit, SMALLER)) from error
        if math.prod(image.size) > MAX_PIXELS:
            found = f"{image.width:,} x {image.height:,} pixels"
            raise FileFormatError(complaint(where, found, limit, SMALLER))
        image.verify()  # a PNG file's checksums, which decoding alone passes over
        return _rgba(ImageOps.exif_transpose(_reduced(opened())))


def _reduced(image: Image.Image) -> Image.Image:
    """Average squares of pixels, as many as it takes for no side to pass MAX_SIDE."""
    image.draft(None, (MAX_SIDE, MAX_SIDE))  # a JPEG can be averaged as it is decoded
    if image.mode.startswith(("I", "F")):
        image = image.convert("F")  # 16 bits of grey; of such modes only this can be averaged
    elif image.mode in ("1", "P", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
    return image.reduce(math.ceil(max(image.size) / MAX_SIDE))


def _rgba(image: Image.Image) -> Floats:
    if image.mode == "F":
        grey = np.asarray(image, np.float64)[..., None] / 65535
        return np.concatenate([grey, grey, grey, np.ones_like(grey)], axis=2)
    return np.asarray(image.convert("RGBA"), np.float64) / 255


def _on_paper(picture: Floats) -> Floats:
    """Lay a picture (h, w, 4) on paper, which shows where it is transparent: (h, w, 3)."""
    colours, opacity = picture[..., :3], picture[..., 3:]
    rim = _rim(*opacity.shape[:2])
    opaque = rim & (opacity[..., 0] > 0.5)
    if 2 * opaque.sum() > rim.sum():
        paper = np.median(colours[opaque], axis=0)
    else:
        dark = (opacity * (colours - 0.5)).sum() < 0
        paper = np.full(3, float(dark or not opacity.any()))
    return colours * opacity + paper * (1 - opacity)


DIGIT = "picture"
DIGIT_WANTED = "one handwritten digit"
TOO_FAINT = "draw it larger or darker, or crop the picture to it"
MIN_AREA = 6  # pixels, of the largest piece of ink: a thin 1 of this height can still be read
MOST_PIECES = 12  # a digit has one or two, and some more where a pen runs dry; noise has hundreds
MIN_CONTRAST = 0.05  # a JPEG's blocks and a light's ripples stay below


def digit_from_image(image: ArrayLike) -> Floats:
    """Make of a picture of one digit what MNIST made of its scans: (20, 20), as `digits.images`.

    `image` is (h, w) or (h, w, 3), floats in 0..1 or whole numbers of a uint type, of any size,
    dark on light or light on dark. The border shows the paper, whose light may be uneven; what
    differs from it is ink, whose grey levels are kept. The ink is scaled into 20 x 20 pixels, its
    aspect kept, and laid into 28 x 28 with its centre of mass in the middle (Y. LeCun, C. Cortes
    and C. Burges, "The MNIST database of handwritten digits"); then `shrink` makes it 20 x 20.

    A picture of another shape, or in which no digit can be found, raises ValueError.

    >>> seven = np.zeros((90, 60))
    >>> seven[10:16, 10:40] = seven[10:60, 34:40] = 1
    >>> bool(np.allclose(digit_from_image(seven), digit_from_image(1 - seven / 2)))
    True
    """
    ink = _contrast(_pixels(image))
    level = _ink_level(ink)
    mask = _large_pieces(ink > level / 2)
    side = max(int(np.ptp(where)) for where in np.nonzero(mask)) + 1
    near = _grown(mask, math.ceil(side / 20))  # by a pixel of MNIST's, for the soft edges
    seen = _centred(np.where(near, ink / level, 0.0), side).clip(0, 1)
    return shrink(seen / seen.max(), 20)  # MNIST's darkest pixel is black, also of thin strokes


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
    rim = _rim(height, width)
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


def _rim(height: int, width: int) -> NDArray[np.bool_]:
    """Return a mask of the border, as wide as a twentieth of the shorter side."""
    wide = max(1, min(height, width) // 20)
    rim = np.ones((height, width), dtype=bool)
    rim[wide:-wide, wide:-wide] = False
    return rim


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


def _large_pieces(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Drop the pieces that are small beside the largest: dust. Refuse a mask of nothing else."""
    from scipy import ndimage

    pieces, _ = ndimage.label(mask, np.ones((3, 3)))
    areas = np.bincount(pieces.ravel())
    areas[0] = 0
    large: NDArray[np.bool_] = areas >= max(0.03 * areas.max(), 1)
    if areas.max() < MIN_AREA or large.sum() > MOST_PIECES:
        raise ValueError(complaint(DIGIT, "specks only", DIGIT_WANTED, TOO_FAINT))
    return large[pieces]


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
