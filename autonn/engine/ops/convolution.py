"""Convolution of pictures, as products of the kernels with the patches that they lie over.

The three ops are the three ways to read one sum, ``sum of g x w`` over pictures, positions and
places: what it is to g, to x and to w. So each one's rules are the other two, of every order.

Patches take as much memory as there are places in a kernel times the pictures: they are made for
so few pictures at a time that they stay in the cache, in memory that is used again, and are made
anew on the way back. They lie as columns, `(c kh kw, pictures oh ow)`, channels first, so that one
product serves the few pictures. A few are laid into a frame of zeros first; where the stride is 1,
a column is then read from there in one go, over the ends of the rows, and what it has there is
left out of the result: 438 numbers at a time in place of 20, for 10 % more of them in the product.
Of 32 pictures, 16 x 20 x 20, by 16 kernels of 3 x 3, the product takes 1.2 ms so and the gradient
for the kernels 1.3, in place of 1.5 and 2.0 with columns of each picture, row by row; in float64
2.3 and 2.7 in place of 2.7 and 3.6 (one thread of an EPYC 9004 with 1 MB of L2).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from autonn.engine.apply import define
from autonn.engine.op import SUM, Function, Memory
from autonn.engine.ops.windows import Frame, Sides, places, positions
from autonn.engine.tensor import Array

PATCH_BYTES = 2**19  # half of a common second-level cache: the product reads and writes too
LAID_BYTES = 2**21  # more where rows of all pictures are added: there longer ones count for more
SMALL = 10**6  # OpenBLAS has kernels of their own for products of so few multiplications


def _few(numbers: int, itemsize: int, most: int) -> int:
    """Say how many pictures, of so many numbers in patches, stay in the cache together.

    A power of 2: then columns begin at an even place in memory (1.2 ms against 1.8 with 3 for 64
    pictures in float64, 6 x 14 x 14, by 16 kernels of 5 x 5).
    """
    return 1 << max(0, (most // max(1, numbers * itemsize)).bit_length() - 1)


def _room(
    x: Array, o: int, size: Sides, stride: Sides, dilation: Sides, padding: Frame
) -> tuple[Array, Array]:
    """Make a frame of zeros for a few pictures; view where they go, and the windows over them.

    The views are (few, c, h, w) and (c, kh, kw, few, oh, across): where the stride is 1, the
    windows go on across the frame, to the end of its rows, and otherwise across is ow.
    """
    m, c, *lengths = x.shape
    oh, ow = positions(tuple(lengths), size, stride, dilation, padding)
    high, wide = (n + sum(around) for n, around in zip(lengths, padding, strict=True))
    across = wide if max(stride) == 1 else ow
    few = min(max(m, 1), _few((c * math.prod(size) + o) * oh * across, x.itemsize, PATCH_BYTES))
    room = np.zeros(c * few * high * wide + wide, x.dtype)  # the last row has a frame, too
    (top, _), (left, _) = padding
    inside = room[:-wide].reshape(c, few, high, wide).swapaxes(0, 1)
    inside = inside[..., top : top + lengths[0], left : left + lengths[1]]
    steps = few * high * wide, dilation[0] * wide, dilation[1], high * wide, stride[0] * wide
    strides = (*(x.itemsize * step for step in steps), x.itemsize * stride[1])
    shape = c, *size, few, oh, across
    return inside, np.lib.stride_tricks.as_strided(room, shape, strides, writeable=False)


def _columns(x: Array, groups: int, inside: Array, windows: Array) -> Iterator[tuple[slice, Array]]:
    """Yield slices of a few pictures, and their patches: (groups, places, few oh across)."""
    few = len(inside)
    columns = np.empty(windows.shape, x.dtype)
    flat = columns.reshape(groups, math.prod(windows.shape[:3]) // groups, -1)
    for start in range(0, len(x), few):
        part = slice(start, start + few)
        inside[: len(x) - start] = x[part]
        np.copyto(columns, windows)
        yield part, flat


def _pieces(n: int, each: int) -> Iterator[slice]:
    """Cut n columns, of so many multiplications each, in pieces for products that are small.

    Those pack nothing: of 32 pictures, 16 x 20 x 20, by 16 kernels of 3 x 3, all takes 1.05 in
    place of 1.24 ms in float32, 1.8 in place of 2.3 in float64 (OpenBLAS 0.3.31 on AVX-512). Where
    pieces would be narrow, as of 64 kernels over 32 channels, they are not cut: 5 % slower.
    """
    piece = SMALL // max(1, each) // 16 * 16
    step = piece if piece >= 64 else max(1, n)
    return (slice(start, start + step) for start in range(0, n, step))


def _is_pointwise(size: Sides, stride: Sides, padding: Frame) -> bool:
    """Whether windows are single pixels, all of them, so that x is its own patches."""
    return max(*size, *stride) == 1 and not any(map(any, padding))


def _conv_forward(
    x: Array, w: Array, *, stride: Sides, dilation: Sides, padding: Frame, groups: int,
    out: Array | None = None,
) -> Array:  # fmt: skip
    m, (o, per_group, *sides) = len(x), w.shape
    size = tuple(sides)
    oh, ow = positions(x.shape[2:], size, stride, dilation, padding)
    z = np.empty((m, o, oh, ow), np.result_type(x, w)) if out is None else out
    kernels = w.reshape(groups, o // groups, per_group * math.prod(size))
    if _is_pointwise(size, stride, padding):
        pixels: Array = x.reshape(m, groups, per_group, oh * ow)
        np.matmul(kernels, pixels, out=z.reshape(m, groups, o // groups, oh * ow))
        return z
    inside, windows = _room(x, o, size, stride, dilation, padding)
    few, across = len(inside), windows.shape[-1]
    found = np.empty((groups, o // groups, few * oh * across), z.dtype)
    pictures = found.reshape(o, few, oh, across)[..., :ow].swapaxes(0, 1)
    for part, columns in _columns(x, groups, inside, windows):
        for piece in _pieces(columns.shape[2], kernels[0].size):
            np.matmul(kernels, columns[..., piece], out=found[..., piece])
        z[part] = pictures[: len(z[part])]
    return z


def _zeros(shape: Sides, last: bool, dtype: Any) -> Array:
    """Make zeros whose last axis is the last in memory too, or else the second."""
    if last:
        return np.zeros(shape, dtype)
    return np.moveaxis(np.zeros((shape[0], shape[-1], *shape[1:-1]), dtype), 1, -1)


def _conv_weight_forward(
    x: Array, g: Array, *, shape: Sides, stride: Sides, dilation: Sides, padding: Frame, groups: int
) -> Array:
    (m, c), (o, oh, ow), size = x.shape[:2], g.shape[1:], shape[2:]
    parted = g.reshape(m, groups, o // groups, oh, ow)
    per_kernel = c // groups * math.prod(size)
    total = np.zeros((groups, per_kernel, o // groups), np.result_type(x, g))
    if _is_pointwise(size, stride, padding):
        turned = parted.reshape(*parted.shape[:3], oh * ow).swapaxes(2, 3)
        np.matmul(x.reshape(m, groups, per_kernel, oh * ow), turned).sum(axis=0, out=total)
        return total.swapaxes(1, 2).reshape(shape)
    inside, windows = _room(x, o, size, stride, dilation, padding)
    few, across = len(inside), windows.shape[-1]
    # Small products are faster with g by rows, (positions, o), 1.2 in place of 1.4 ms as above and
    # 2.2 in place of 2.7 in float64; not where kernels have few numbers, 0.75 against 0.52 of 25.
    small = per_kernel >= 64 and 64 * total[0].size <= SMALL
    laid = _zeros((groups, few, oh, across, o // groups), small, g.dtype)
    pictures = laid[:, :, :, :ow].transpose(1, 0, 4, 2, 3)  # what lies between them stays 0
    flat = laid.reshape(groups, -1, o // groups)
    for part, columns in _columns(x, groups, inside, windows):
        count = len(parted[part])
        pictures[:count], pictures[count:] = parted[part], 0
        for piece in _pieces(columns.shape[2], total[0].size if small else SMALL):
            total += np.matmul(columns[..., piece], flat[:, piece])
    return total.swapaxes(1, 2).reshape(shape)


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
    few = o <= 2 * c or max(size) == 1
    if max(stride) == 1 and few and min(map(min, frame)) >= 0:
        # Then it is a convolution itself, 4.1 ms in place of 7.8 for 64 pictures, 16 x 28 x 28, by
        # 16 kernels of 3 x 3; with two to four times as many channels in g both take as long, with
        # more it loses.
        return _conv_forward(
            g, _turned(w, groups), stride=stride, dilation=dilation, padding=frame, groups=groups,
            out=out,
        )  # fmt: skip
    x = np.empty(shape, np.result_type(g, w)) if out is None else out
    _add_up(x, g, w, groups, stride, dilation, padding)
    return x


def _add_up(x: Array, g: Array, w: Array, groups: int, *slides: Any) -> None:
    """Lay down columns of patches, and add them where they lie over each other.

    With the pictures last, for then whole rows of many pictures are added in one go: of 64
    pictures, 6 x 14 x 14, by 16 kernels of 5 x 5, in float32 by 32 pictures 1.0 ms, by 8 1.6.
    """
    (m, c), lengths = x.shape[:2], x.shape[2:]
    o, size, counts = len(w), w.shape[2:], g.shape[2:]
    n = math.prod(counts)
    rows = g.reshape(m, o * n)
    kernels = w.reshape(groups, o // groups, c // groups * math.prod(size)).swapaxes(1, 2)
    there = list(places(lengths, counts, size, *slides))
    few = min(max(m, 1), _few(c * math.prod(size + counts), g.itemsize, LAID_BYTES))
    last = np.empty((o * n, few), g.dtype)
    columns = np.empty((c, *size, *counts, few), x.dtype)
    total = np.empty((c, *lengths, few), x.dtype)
    products = columns.reshape(groups, -1, n * few)
    for part in (slice(start, start + few) for start in range(0, m, few)):
        count = len(g[part])
        last[:, :count] = rows[part].T
        np.matmul(kernels, last.reshape(groups, o // groups, n * few), out=products)
        total.fill(0)
        for place, windows, read in there:
            total[(slice(None), *read[1:])] += columns[(slice(None), *place, *windows[1:])]
        x[part] = np.moveaxis(total[..., :count], -1, 0)


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
