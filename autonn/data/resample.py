"""Pictures of another size: one matrix for each direction, so that resampling is a product."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from autonn.data.splits import positive
from autonn.files.reading import Floats


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
    old, new = positive("old", old), positive("new", new)
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
