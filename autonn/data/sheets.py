"""The sheet of paper in a photo: where it lies on a darker desk, and the light that falls on it."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from autonn.files.reading import Floats

Mask = NDArray[np.bool_]

LEAST_SHEET = 0.15  # of the picture; who takes so small a one can crop the photo
MOST_BRIGHT = 0.6  # the desk's brightness by the sheet's: shadows of a lamp leave 0.5 and more
LEAST_FIT = 0.88  # what a quadrilateral and the bright part share; an ellipse has 0.64
LEAST_WIDTH = 0.4  # of the longer side; a slimmer bright part is a light 1
DARKEST = 0.03  # what is darker still is no paper in a shadow
LEAST_INK = 0.002  # of the sheet; what is empty may be what a stroke cuts off
UNEVEN = 0.04  # of the mean light; a lamp leaves 0.03 at most, a hand's shadow 0.08 and more
EDGE = 0.02  # of the sheet's side goes with its edge, where it is not flat and the desk shines


def on_sheet(pixels: Floats) -> Floats:
    """Return the sheet (h, w, channels) as seen from above, or all if it lies on no darker desk.

    The bright part is a sheet if it nearly fills a quadrilateral that has at least two corners
    inside the picture, and something is on it. One edge alone can be that of a shadow, and a light
    digit on a dark ground is no quadrilateral, or a slim one, or has nothing on it.
    """
    grey = _smoothed(pixels.mean(axis=2))
    bright = _sheet(grey)
    if not LEAST_SHEET < bright.mean() < 0.97:
        return pixels
    if grey[~bright].mean() > MOST_BRIGHT * grey[bright].mean():
        return pixels
    corners = _quadrilateral(bright)
    if corners is None or not _fits(bright, corners):
        return pixels
    return _from_above(pixels, corners)


def _smoothed(grey: Floats) -> Floats:
    """Return a picture without its noise and grain."""
    from scipy import ndimage

    smooth: Floats = ndimage.gaussian_filter(grey, min(grey.shape) / 100)
    return smooth


def _threshold(grey: Floats) -> float:
    """Return Otsu's threshold, from a histogram of 256 bins."""
    counts, edges = np.histogram(grey, 256)
    middles = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)[:-1]
    above = grey.size - below
    sums = np.cumsum(counts * middles)
    means = (sums[-1] - sums[:-1]) / np.maximum(above, 1) - sums[:-1] / np.maximum(below, 1)
    return float(edges[1 + np.argmax(below * above * means**2)])


def _sheet(grey: Floats) -> Mask:
    """Return the largest bright piece with all that is on it; nothing if nothing is."""
    from scipy import ndimage

    pieces, _ = ndimage.label(grey > _threshold(grey))
    areas = np.bincount(pieces.ravel())
    areas[0] = 0
    piece = pieces == areas.argmax()
    sheet: Mask = ndimage.binary_fill_holes(piece)
    empty = (sheet & ~piece).sum() < LEAST_INK * sheet.sum()
    return np.zeros_like(sheet) if empty else sheet


def _quadrilateral(mask: Mask) -> Floats | None:
    """Return the corners (4, 2) of the largest quadrilateral with corners on the mask's hull.

    They are (x, y), clockwise from the one at the top left.
    """
    y = np.flatnonzero(mask.any(axis=1)).repeat(2)
    x = np.stack([mask.argmax(axis=1), mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)], axis=1)
    x = x[y[::2]].ravel()
    turns = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    outermost = np.unique((np.outer(np.cos(turns), x) + np.outer(np.sin(turns), y)).argmax(axis=1))
    points = np.stack([x[outermost], y[outermost]], axis=1).astype(float)
    best, corners = 0.0, None
    for one, other in itertools.combinations(points, 2):
        across = other - one
        sides = across[0] * (points - one)[:, 1] - across[1] * (points - one)[:, 0]
        area = (sides.max() - sides.min()) / 2
        first, last = sides.argmin(), sides.argmax()
        if area > best and sides[last] > 0 > sides[first]:
            best, corners = area, np.array([one, points[first], other, points[last]])
    if corners is None:
        return None
    return np.roll(corners, -int(corners.sum(axis=1).argmin()), axis=0)


def _fits(bright: Mask, corners: Floats) -> bool:
    """Whether the bright part is a quadrilateral that shows two of its corners, and is not slim."""
    height, width = bright.shape
    y, x = np.mgrid[:height, :width]
    inside = np.ones(bright.shape, dtype=bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        inside &= (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) >= 0
    near = 0.01 * min(height, width)
    edge = np.minimum(corners, np.array([width - 1, height - 1]) - corners).min(axis=1)
    fit = (inside & bright).sum() / (inside | bright).sum()
    across, along = sorted(_lengths(corners))
    return bool(fit > LEAST_FIT and (edge > near).sum() >= 2 and across > LEAST_WIDTH * along)


def _lengths(corners: Floats) -> tuple[float, float]:
    """Return the mean lengths of the upper and lower side, and of the left and the right."""
    sides = np.hypot(*(np.roll(corners, -1, axis=0) - corners).T)
    return (sides[0] + sides[2]) / 2, (sides[1] + sides[3]) / 2


def _from_above(pixels: Floats, corners: Floats) -> Floats:
    """Return what lies between the corners as a rectangle, its edge left out."""
    from scipy import ndimage

    width, height = (math.ceil((1 - 2 * EDGE) * length) for length in _lengths(corners))
    square = np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)])
    rows = [
        [(u, v, 1, 0, 0, 0, -u * x, -v * x), (0, 0, 0, u, v, 1, -u * y, -v * y)]
        for (u, v), (x, y) in zip(square, corners, strict=True)
    ]
    matrix = np.append(np.linalg.solve(np.reshape(rows, (8, 8)), corners.ravel()), 1).reshape(3, 3)
    v, u = (EDGE + (1 - 2 * EDGE) * (np.arange(n) + 0.5) / n for n in (height, width))
    places = matrix @ np.stack([g.ravel() for g in (*np.meshgrid(u, v), np.ones((height, width)))])
    x, y = (places[:2] / places[2]).reshape(2, height, width)
    layers = np.moveaxis(pixels, 2, 0)
    seen = [ndimage.map_coordinates(layer, [y, x], order=1) for layer in layers]
    return np.stack(seen, axis=2)


def is_shaded(pixels: Floats, widest: int) -> bool:
    """Whether there is a shadow on light paper, which no quadratic surface follows."""
    low, middle, high = np.percentile(pixels.mean(axis=2), [5, 50, 95])
    if 2 * middle < low + high:
        return False
    light = _light(pixels, widest)
    step = math.ceil(min(light.shape) / 50)
    some = light[::step, ::step]
    y, x = (np.linspace(-1, 1, n) for n in some.shape)
    y, x = (places.ravel() for places in np.meshgrid(y, x, indexing="ij"))
    surface = np.stack([y**0, y, x, y * y, x * y, x * x], axis=1)
    rest = some.ravel() - surface @ np.linalg.lstsq(surface, some.ravel(), rcond=None)[0]
    return bool(rest.std() > UNEVEN * some.mean())


def evened(pixels: Floats, widest: int) -> Floats:
    """Divide a picture by the light on its paper, so that a shadow is as bright as the rest.

    The light is what a closing with a square of `widest` pixels leaves: strokes are narrower, and
    shadows are wider.
    """
    light = _light(pixels, widest)
    even: Floats = (pixels * (np.percentile(light, 90) / light)[..., None]).clip(0, 2)
    return even


def _light(pixels: Floats, widest: int) -> Floats:
    """Return the brightness of the paper (h, w), also where there is ink on it."""
    from scipy import ndimage

    grey = ndimage.gaussian_filter(pixels.mean(axis=2), 1)
    light: Floats = ndimage.grey_closing(grey, (widest, widest)).clip(DARKEST, None)
    return light
