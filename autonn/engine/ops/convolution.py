"""Convolution of pictures, as products of the kernels with the patches that they lie over.

The three ops are the three ways to read one sum, ``sum of g x w`` over pictures, positions and
places: what it is to g, to x and to w. So each one's rules are the other two, of every order.

Results lie in memory as `(h, c, w, m)`: row by row of all pictures, the pictures last. There the
patches that a row of positions sees are the rows below one another, `(kh kw c, w m)`, each copied
but once for each place along the width, in pieces as long as a row of all pictures; the next
position sees all but one of the same. So patches are a third of what a kernel of 3 x 3 sees, and
what a product gives is the result itself. Whatever works number by number keeps the order. They are
made for a strip at a time that stays in the cache, and made anew on the way back. Of 32 pictures,
16 x 20 x 20, by 16 kernels of 3 x 3, the product takes 0.65 ms so and the gradient for the kernels
0.75, in float64 1.4 and 1.5; with pictures one after the other, and all that each position sees,
1.05 and 1.15, 2.0 and 2.1. BLAS alone takes 0.52 and 1.03 (one thread of an EPYC 9004 with 1 MB of
L2).

A row, a picture of height 1, is taken for one of width 1: there no place needs a copy of its own.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from autonn.engine.apply import define
from autonn.engine.op import SUM, Function, Memory
from autonn.engine.ops.windows import Frame, Sides, places, positions
from autonn.engine.tensor import Array

PATCH_BYTES = 2**20  # a common second-level cache
LAID_BYTES = 2**21  # more where patches are added: there longer ones count for more
SMALL = 10**6  # OpenBLAS has kernels of their own for products of so few multiplications
ACROSS = 320  # numbers of a row in one product: a step of a ResNet took 25.3 ms with 256, now 24.0
MOST = 512  # so many, and pictures at once, where a product is large anyway

Strip = tuple[slice, slice, slice]  # pictures, rows and columns of positions
Slides = tuple[Sides, Sides, Sides, Frame]  # size, stride, dilation, padding


def by_rows(shape: Sides, dtype: Any) -> Array:
    """Make memory for pictures (m, c, h, w) that lies as (h, c, w, m).

    >>> by_rows((2, 3, 4, 5), float).strides
    (8, 80, 240, 16)
    """
    m, c, h, w = shape
    return np.empty((h, c, w, m), dtype).transpose(3, 1, 0, 2)


def _brought(x: Array) -> Array:
    """Bring pictures to lie by rows, some at a time: 64 of 16 x 28 x 28 in 0.4 ms, at once 0.7."""
    lies = x.transpose(2, 1, 3, 0)
    if lies.flags.c_contiguous:
        return x
    made = by_rows(x.shape, x.dtype)
    for start in range(0, len(x), 16):
        made[start : start + 16] = x[start : start + 16]
    return made


def _lying(x: Array, groups: int) -> Array:
    """View pictures in the order of memory, the channels in groups: (groups, h, c, w, m)."""
    m, c, h, w = x.shape
    return x.reshape(m, groups, c // groups, h, w).transpose(1, 3, 2, 4, 0)


def _even(n: int, most: int) -> int:
    """Cut n in as few equal parts as there must be of at most so many; return how long they are."""
    return -(-n // -(-n // max(1, most)))


def _lengths(
    m: int, counts: Sides, each: int, lines: Sides, line: int, result: int, cache: int
) -> tuple[int, int, int]:
    """Say how many pictures, rows and columns of positions make a strip that stays in a cache.

    `each` position takes so many multiplications; a row of positions needs so many `lines` of
    patches, and more for the first; a line, and a row of results, has so many bytes a number.
    """
    n = min(SMALL // max(1, each), ACROSS)
    row, more = lines[0] * line + result, lines[1] * line
    n = min(n if n >= 64 else MOST, cache // (4 * row + more))  # 4 rows, or most is made anew
    few = min(max(1, m), max(64, n))
    across = _even(counts[1], n // few)
    return few, _even(counts[0], (cache // (across * few) - more) // row), across


def _strips(
    x: Array, o: int, size: Sides, stride: Sides, dilation: Sides, padding: Frame, groups: int
) -> Iterator[tuple[Strip, Array]]:
    """Yield strips of positions, and their patches: (groups, rows, kh kw c, columns pictures)."""
    m = len(x)
    lies = _lying(_brought(x), groups)
    if max(*size, *stride) == 1 and not any(map(any, padding)):
        pixels = lies.reshape(*lies.shape[:3], -1)  # they are their own patches
        yield (slice(0, m), slice(0, x.shape[2]), slice(0, x.shape[3])), pixels
        return
    slides = size, stride, dilation, padding
    shape, by_place, step, strips = _cut(x.shape, o, groups, slides, x.itemsize, PATCH_BYTES)
    (_, _, kw, per_group, wide, few), high = shape, by_place[0]
    columns = np.empty(shape, x.dtype)
    lines = columns.reshape(groups, *by_place[1:], kw, per_group, wide, few)
    patches = np.lib.stride_tricks.as_strided(
        columns, (groups, high, size[0] * kw * per_group, wide * few),
        (columns.strides[0], step * columns.strides[1], columns.strides[3], columns.itemsize),
    )  # fmt: skip
    for part in _pieces(m, few):
        laid, seen = lines[..., : part.stop - part.start], lies[..., part]
        for rows, across, moves, outside, own in strips:
            for to, there in moves:
                laid[to] = seen[there]
            for to in outside:
                laid[to] = 0
            yield (part, rows, across), patches[own]


@functools.lru_cache(maxsize=256)
def _cut(
    shape: Sides, o: int, groups: int, slides: Slides, itemsize: int, cache: int
) -> tuple[Sides, Sides, int, tuple[Any, ...]]:
    """Cut positions in strips, and list what each copies.

    A line of patches serves all positions that see it: of dilated kernels, every second row or so.
    Returns the shape of the lines, how many rows of positions have how many lines for how many
    places, how many lines are between two rows, and of each strip the rows and columns of
    positions, what is copied where, what becomes 0, and where its patches are. Found anew each
    time, that made the product above take 0.81 ms in place of 0.67.
    """
    (m, c, h, w), (size, stride, dilation, padding) = shape, slides
    (kh, kw), per_group, (oh, ow) = size, c // groups, positions((h, w), *slides)
    shared = stride[0] < kh and min(stride[0], dilation[0]) == 1
    step, more, apart = (stride[0], kh - stride[0], dilation[0]) if shared else (kh, 0, 1)
    few, high, wide = _lengths(
        m, (-(-oh // apart), ow), per_group * kh * kw * (o // groups),
        (step, more), c * kw * itemsize, o * itemsize, cache,
    )  # fmt: skip
    strips = []
    for rows, across in _rectangles(oh, ow, high, wide, apart):
        count, n = len(range(oh)[rows]), across.stop - across.start
        tall = count * step + more if shared else count
        before = (
            p[0] - own.start * s for p, own, s in zip(padding, (rows, across), stride, strict=True)
        )
        there = places(
            (h, w), (tall, n), (1 if shared else kh, kw),
            (apart if shared else stride[0], stride[1]), dilation, tuple((p, 0) for p in before),
        )  # fmt: skip
        patches = slice(None), slice(0, count), slice(None), slice(0, n * few)
        strips.append((rows, across, *_moves(there, tall, n), patches))
    lines = high * step + more
    by_place = (high, lines, 1) if shared else (high, high, kh)
    return (groups, lines, kw, per_group, wide, few), by_place, step, tuple(strips)


def _rectangles(
    oh: int, ow: int, high: int, wide: int, apart: int
) -> Iterator[tuple[slice, slice]]:
    """Cut all positions in rectangles, those below one another first; rows may lie apart."""
    for across, first in itertools.product(_pieces(ow, wide), range(min(apart, oh))):
        for start in range(first, oh, high * apart):
            yield slice(start, min(oh, start + high * apart), apart), across


def _pieces(n: int, length: int) -> Iterator[slice]:
    return (slice(start, min(n, start + length)) for start in range(0, n, length))


def _moves(there: Iterator[Any], tall: int, n: int) -> tuple[list[Any], list[Any]]:
    """List what each place of the kernels sees of a strip, and where that lies outside."""
    moves, outside = [], []
    every = slice(None)
    for (i, j), (_, rows, across), (_, *read) in there:
        moves.append(((every, rows, i, j, every, across), (every, read[0], every, read[1])))
        for start, stop in ((0, rows.start), (rows.stop, tall)):
            outside += [(every, slice(start, stop), i, j, every, slice(0, n))] * (start < stop)
        for start, stop in ((0, across.start), (across.stop, n)):
            outside += [(every, slice(0, tall), i, j, every, slice(start, stop))] * (start < stop)
    return moves, outside


def _is_row(x: Array) -> bool:
    """Whether pictures have height 1, and are not as wide."""
    return bool(x.shape[2] == 1 < x.shape[3])


def _conv_forward(
    x: Array, w: Array, *, stride: Sides, dilation: Sides, padding: Frame, groups: int,
    out: Array | None = None,
) -> Array:  # fmt: skip
    if _is_row(x):
        return _conv_forward(
            x.swapaxes(2, 3), w.swapaxes(2, 3), stride=stride[::-1], dilation=dilation[::-1],
            padding=padding[::-1], groups=groups, out=None if out is None else out.swapaxes(2, 3),
        ).swapaxes(2, 3)  # fmt: skip
    m, (o, per_group, *sides) = len(x), w.shape
    size = tuple(sides)
    oh, ow = positions(x.shape[2:], size, stride, dilation, padding)
    z = by_rows((m, o, oh, ow), np.result_type(x, w)) if out is None else out
    kernels = w.reshape(groups, 1, o // groups, per_group, *size).transpose(0, 1, 2, 4, 5, 3)
    kernels = kernels.reshape(groups, 1, o // groups, per_group * math.prod(size))
    lies = _lying(z, groups)
    for (part, rows, across), patches in _strips(x, o, size, stride, dilation, padding, groups):
        there = lies[:, rows, :, across, part]
        if there.shape[4] == m and lies.flags.c_contiguous:
            np.matmul(kernels, patches, out=there.reshape(*there.shape[:3], -1))
        else:
            found = np.matmul(kernels, patches)
            there[:] = found.reshape(*there.shape[:4], -1)[..., : there.shape[4]]
    return z


def _conv_weight_forward(
    x: Array, g: Array, *, shape: Sides, stride: Sides, dilation: Sides, padding: Frame, groups: int
) -> Array:
    if _is_row(x):
        total = _conv_weight_forward(
            x.swapaxes(2, 3), g.swapaxes(2, 3), shape=(*shape[:2], *shape[:1:-1]),
            stride=stride[::-1], dilation=dilation[::-1], padding=padding[::-1], groups=groups,
        )  # fmt: skip
        return np.ascontiguousarray(total.swapaxes(2, 3))
    (o, per_group, *sides), size = shape, shape[2:]
    total = np.zeros((groups, per_group * math.prod(size), o // groups), np.result_type(x, g))
    lies = _lying(_brought(g), groups)
    # Products are faster with g by rows, (positions, o), 0.51 in place of 0.80 ms as above and 1.02
    # in place of 1.70 in float64; not where kernels have few numbers, 0.49 against 0.81 of 25.
    turns = total.shape[1] >= 64
    for (part, rows, across), patches in _strips(x, o, size, stride, dilation, padding, groups):
        there = lies[:, rows, :, across, part]
        few = patches.shape[3] // there.shape[3]
        if few > there.shape[4]:  # the last pictures: what else lies in the patches counts for 0
            there, few = np.zeros((*there.shape[:4], few), g.dtype), there
            there[..., : few.shape[4]] = few
        turned = there.reshape(*there.shape[:3], -1).swapaxes(2, 3)
        if turns:
            turned = np.ascontiguousarray(turned)
        total += np.matmul(patches, turned).sum(axis=1)
    parted = total.reshape(groups, *sides, per_group, o // groups).transpose(0, 4, 3, 1, 2)
    return parted.reshape(shape)


def _turned(w: Array, groups: int) -> Array:
    """Turn kernels around, and exchange what goes in and what comes out of each group."""
    o, per_group, *size = w.shape
    parts = w[:, :, ::-1, ::-1].reshape(groups, o // groups, per_group, *size)
    return parts.swapaxes(1, 2).reshape(groups * per_group, o // groups, *size)


def _conv_transpose_forward(
    g: Array, w: Array, *, shape: Sides, stride: Sides, dilation: Sides, padding: Frame,
    groups: int, out: Array | None = None,
) -> Array:  # fmt: skip
    c, o, size = shape[1], len(w), w.shape[2:]
    frame = tuple(
        (d * (k - 1) - before, d * (k - 1) - behind)
        for k, d, (before, behind) in zip(size, dilation, padding, strict=True)
    )
    few = o <= 4 * c or max(size) == 1
    if max(stride) == 1 and few and min(map(min, frame)) >= 0:
        # Then it is a convolution itself, 0.7 ms in place of 1.3 for 64 pictures, 16 x 14 x 14, by
        # 16 kernels of 5 x 5 over 4 channels; with five times as many channels in g both take as
        # long, with twenty it loses, 4.5 against 3.0.
        return _conv_forward(
            g, _turned(w, groups), stride=stride, dilation=dilation, padding=frame, groups=groups,
            out=out,
        )  # fmt: skip
    x = by_rows(shape, np.result_type(g, w)) if out is None else out
    _add_up(x, g, w, groups, stride, dilation, padding)
    return x


def _add_up(
    x: Array, g: Array, w: Array, groups: int, stride: Sides, dilation: Sides, padding: Frame
) -> None:
    """Lay down what each position gives to all that it sees, and add it there.

    So for as many rows of positions at a time as stay in the cache.
    """
    m, o, oh, ow = g.shape
    size = w.shape[2:]
    kernels = w.reshape(groups, 1, o // groups, -1, *size).transpose(0, 1, 4, 5, 3, 2)
    kernels = kernels.reshape(groups, 1, -1, o // groups)
    into, from_there = _lying(x, groups), _lying(_brought(g), groups)
    into[:] = 0
    line = x.itemsize * (x.shape[1] * math.prod(size) + o)
    few = min(max(1, m), MOST)
    high = _even(oh, LAID_BYTES // (line * ow * few))
    for part, rows in itertools.product(_pieces(m, few), _pieces(oh, high)):
        own = from_there[:, rows, :, :, part]
        given = np.matmul(kernels, own.reshape(*own.shape[:3], -1))
        given = given.reshape(*own.shape[:2], *size, -1, *own.shape[3:])
        frame = (padding[0][0] - rows.start * stride[0], 0), padding[1]
        there = places(x.shape[2:], (rows.stop - rows.start, ow), size, stride, dilation, frame)
        for (i, j), (_, down, across), (_, *read) in there:
            part_of = into[:, read[0], :, read[1], part]
            part_of += given[:, down, i, j, :, across]


def _maps_pictures(call: Any, axes: Sequence[int | None]) -> int | None:
    """Say that each picture becomes one, where the kernels are the same for all."""
    return 0 if axes[0] == 0 and axes[1] is None else None


def _sums_pictures(call: Any, axes: Sequence[int | None]) -> int | str | None:
    """Say that it adds up over the pictures."""
    return SUM if axes[0] == axes[1] == 0 else None


conv: Function = define(
    "conv",
    _conv_forward,
    "z[o, p] = sum of w[o, c, k] x[c, s p + d k - before] over c, k",
    lambda g, z, x, w, **how: conv_transpose(g, w, shape=x.shape, **how),
    lambda g, z, x, w, **how: conv_weight(x, g, shape=w.shape, **how),
    numpy=(),
    rows=_maps_pictures,
    memory=Memory.OUT,
)

conv_transpose: Function = define(
    "conv_transpose",
    _conv_transpose_forward,
    "z[c, s p + d k - before] = sum of w[o, c, k] x[o, p] over o, k and p that lead there",
    lambda g, z, x, w, shape, **how: conv(g, w, **how),
    lambda g, z, x, w, shape, **how: conv_weight(g, x, shape=w.shape, **how),
    numpy=(),
    rows=_maps_pictures,
    memory=Memory.OUT,
)

conv_weight: Function = define(
    "conv_weight",
    _conv_weight_forward,
    "z[o, c, k] = sum of y[o, p] x[c, s p + d k - before] over pictures and p",
    lambda g, z, x, y, shape, **how: conv_transpose(y, g, shape=x.shape, **how),
    lambda g, z, x, y, shape, **how: conv(x, g, **how),
    numpy=(),
    rows=_sums_pictures,
    memory=Memory.NEW,
)
