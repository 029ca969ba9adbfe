"""Ruled lines, grids, margins and frames: straight, thin and long, and no part of a digit."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autonn.files.reading import Floats

Mask = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
Places = NDArray[np.intp]

GRID = 250  # lines are looked for in at most so many pixels along the shorter side
THICKNESS = 0.03  # of the shorter side; a pen's strokes have 0.05, and where this is 1 pixel, too
LENGTH = 0.25  # of the shorter side: so far a line goes straight, without a gap above 2 pixels
STEEPEST = 0.45  # rise by run: the lines of a page that is turned by 24 degrees
REACH = 0.06  # of the shorter side: so near to the border a line reaches it
LEAST_FRAME = 0.08  # of the picture; smaller loops are a digit's
LEAST_INSIDE = 0.2  # of a frame's height is the height of what it frames
FAINTEST = 0.3  # of the contrast of full ink


LONG = 0.4  # of the shorter side: a line may be lost before it reaches the border again


class Lines(NamedTuple):
    """The dark pixels of nearly level lines: of every one, and of those that span the picture."""

    every: Mask
    spanning: Mask
    thin: Mask


def without_rulings(ink: Floats, full: float) -> Floats:
    """Return the ink (h, w) without lines that span the picture, and without a frame of lines.

    A line is thin and straight. It goes where it reaches the picture's border at both ends, or
    where it helps to frame something; strokes that cross it stay. Where there is none, the same
    array is returned.
    """
    dark = ink > FAINTEST * full
    thick = math.ceil(THICKNESS * min(ink.shape))
    if thick < 2:
        return ink
    level, upright = _lines(dark, thick), _lines(dark.T, thick)
    frame = _frame(dark, level.every | upright.every.T, thick)
    gone = level.spanning | (level.every & frame)
    if gone.any():
        ink = _erased(ink, gone, level.thin)
    gone = upright.spanning | (upright.every & frame.T)
    if gone.any():
        ink = _erased(ink.T, gone, upright.thin).T
    return ink


def _lines(dark: Mask, thick: int) -> Lines:
    """Find the nearly level lines among the dark pixels that are at most so many pixels high."""
    from scipy import ndimage

    thin = dark & ~ndimage.binary_opening(dark, np.ones((thick + 1, 1), dtype=bool))
    lines = Lines(np.zeros_like(dark), np.zeros_like(dark), thin)
    step = math.ceil(min(dark.shape) / GRID)
    least = max(8, LENGTH * min(dark.shape) / step)
    y, x = np.nonzero(dark)
    is_thin, column = thin[y, x], x // step
    for slope in np.arange(-STEEPEST, STEEPEST, 1.5 / least):
        height = np.round((y - slope * x) / step).astype(int)  # where the line meets the left side
        if np.bincount(height[is_thin] - height.min(initial=0)).max(initial=0) < least * step / 3:
            continue  # no row has a third of the least line, which three rows may share
        row = height - height.min() + 1
        tables = np.zeros((2, row.max() + 2, column.max() + 1), dtype=np.uint8)
        tables[0, row, column] = 1
        tables[1, row[is_thin], column[is_thin]] = 1
        wide = ndimage.maximum_filter1d(tables, 3, axis=1)
        runs = _runs(wide[0], wide[1], least)
        ends = [(runs[0] + height.min() - 1 + slope * end, end) for end in runs[1:]]
        reached = sum(_is_near_border(*end, dark.shape, step).astype(int) for end in ends)
        spanning = reached + (runs[2] - runs[1] > LONG / LENGTH * least) >= 2
        lines.every[y, x] |= _covered(tables.shape[1:], runs)[row, column]
        lines.spanning[y, x] |= _covered(tables.shape[1:], runs[:, spanning])[row, column]
    return lines


def _runs(dark: Bytes, thin: Bytes, least: float) -> Places:
    """Return row, start and end (3, n) of the long runs in a row, if most of a run is thin."""
    from scipy import ndimage

    wider = ndimage.maximum_filter1d(np.pad(dark, ((0, 0), (2, 2))), 3, axis=1)
    closed = ndimage.minimum_filter1d(wider, 3, axis=1)[:, 1:-1].astype(np.int8)
    edges = np.diff(closed, axis=1)
    (rows, starts), (_, ends) = np.nonzero(edges == 1), np.nonzero(edges == -1)
    long = ends - starts >= least
    rows, starts, ends = rows[long], starts[long], ends[long]
    so_far = np.pad(thin.cumsum(axis=1), ((0, 0), (1, 0)))
    mostly = 2 * (so_far[rows, ends] - so_far[rows, starts]) > ends - starts
    return np.stack([rows, starts, ends])[:, mostly]


def _covered(shape: tuple[int, ...], runs: Places) -> Mask:
    """Return a mask of the places that are in a run."""
    rows, starts, ends = runs
    steps = np.zeros((shape[0], shape[1] + 1), dtype=np.int32)
    np.add.at(steps, (rows, starts), 1)
    np.add.at(steps, (rows, ends), -1)
    covered: Mask = steps.cumsum(axis=1) > 0
    return covered


def _is_near_border(y: Floats, x: Places, shape: tuple[int, ...], step: int) -> Mask:
    """Whether a point of the grid lies near the picture's border."""
    height, width = (n / step for n in shape)
    near: Mask = np.minimum.reduce([y, x, height - y, width - x]) < REACH * min(height, width)
    return near


def _frame(dark: Mask, lines: Mask, thick: int) -> Mask:
    """Return the lines that close around something large, or none."""
    from scipy import ndimage

    wide = ndimage.binary_dilation(lines, iterations=2)
    holes, _ = ndimage.label(ndimage.binary_fill_holes(wide) & ~wide)
    framed = np.zeros_like(dark)
    for number, where in enumerate(ndimage.find_objects(holes), 1):
        hole = holes[where] == number
        if hole.sum() < LEAST_FRAME * dark.size:
            continue
        pieces = ndimage.find_objects(ndimage.label(dark[where] & hole)[0])
        tallest = max((max(n.stop - n.start for n in piece) for piece in pieces), default=0)
        if tallest > LEAST_INSIDE * max(hole.shape):
            hole = ndimage.binary_fill_holes(holes == number)
            framed |= ndimage.maximum_filter(hole, 2 * thick + 5) & ~hole
    return framed & lines


def _erased(ink: Floats, gone: Mask, thin: Mask) -> Floats:
    """Take out nearly level lines where they are not crossed.

    An opening by an upright stroke, longer than the lines are thick, leaves what reaches further up
    and down than they do.
    """
    from scipy import ndimage

    columns, _ = ndimage.label(gone & thin, np.array([[0, 1, 0]] * 3))
    height = math.ceil(1.3 * np.percentile(np.bincount(columns.ravel())[1:], 90)) + 3
    near = ndimage.maximum_filter(gone, (height, 3))
    return np.where(near, ndimage.grey_opening(ink, (height, 1)), ink)
