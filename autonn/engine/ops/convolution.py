"""Convolution of pictures, as products of the kernels with the patches that they lie over.

The three ops are the three ways to read one sum, ``sum of g x w`` over pictures, positions and
places: what it is to g, to x and to w. So each one's rules are the other two, of every order.

Patches take as much memory as there are places in a kernel times the pictures: they are made for
so few pictures at a time that they stay in the cache, and are made anew on the way back. Whole,
the product of 64 pictures, 16 x 28 x 28, with kernels of 3 x 3 takes 1.3 to 2 times as long (one
thread of a Xeon with 2 MB of L2). As columns, `(c kh kw, oh ow)`, they are copied by whole rows of
a picture, and the product lies as the result does, channels first; as rows, `(oh ow, kh kw c)`,
which a product likes as well, both have to be turned around: 4.0 against 1.1 ms for 64 pictures of
28 x 28 by 16 kernels of 5 x 5, and level where there are many channels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from autonn.engine.apply import define
from autonn.engine.op import SUM, Function, Memory
from autonn.engine.ops.windows import Frame, Sides, patches, places, positions
from autonn.engine.tensor import Array

PATCH_BYTES = 2**19  # a quarter of a common second-level cache: the product reads and writes too


def _slices(m: int, numbers: int, itemsize: int) -> Iterator[slice]:
    """Cut m pictures, of so many numbers in patches, into slices that stay in the cache.

    Of a power of 2: rows of 8 pictures lie better in memory than those of 13 (1.9 against 2.4 ms).
    """
    few = 1 << max(0, (PATCH_BYTES // max(1, numbers * itemsize)).bit_length() - 1)
    return (slice(start, start + few) for start in range(0, m, few))


def _columns(x: Array, groups: int, size: Sides, *how: Any) -> Array:
    """Lay the patches of pictures out: (m, groups, places of a group's kernel, positions).

    Where there is one place alone, this is another look at x, without a copy.
    """
    found = patches(x, size, *how)
    m, c = x.shape[:2]
    return found.reshape(m, groups, c // groups * math.prod(size), math.prod(found.shape[4:]))


def _conv_forward(
    x: Array, w: Array, *, stride: Sides, dilation: Sides, padding: Frame, groups: int,
    out: Array | None = None,
) -> Array:  # fmt: skip
    (m, c), (o, per_group, *sides) = x.shape[:2], w.shape
    size = tuple(sides)
    counts = positions(x.shape[2:], size, stride, dilation, padding)
    z = np.empty((m, o, *counts), np.result_type(x, w)) if out is None else out
    flat = z.reshape(m, groups, o // groups, math.prod(counts))
    kernels = w.reshape(groups, o // groups, per_group * math.prod(size))
    for part in _slices(m, c * math.prod(size + counts), x.itemsize):
        columns = _columns(x[part], groups, size, stride, dilation, padding)
        np.matmul(kernels, columns, out=flat[part])
    return z


def _conv_weight_forward(
    x: Array, g: Array, *, shape: Sides, stride: Sides, dilation: Sides, padding: Frame, groups: int
) -> Array:
    (m, c), o, size = x.shape[:2], g.shape[1], shape[2:]
    flat = g.reshape(m, groups, o // groups, math.prod(g.shape[2:])).swapaxes(2, 3)
    total = np.zeros((groups, c // groups * math.prod(size), o // groups), np.result_type(x, g))
    for part in _slices(m, c * math.prod(size + g.shape[2:]), x.itemsize):
        columns = _columns(x[part], groups, size, stride, dilation, padding)
        total += np.matmul(columns, flat[part]).sum(axis=0)
    return total.swapaxes(1, 2).reshape(shape)


def _turned(w: Array, groups: int) -> Array:
    """Turn kernels around, and exchange what goes in and what comes out of each group."""
    o, per_group, *size = w.shape
    parts = w[:, :, ::-1, ::-1].reshape(groups, o // groups, per_group, *size)
    return parts.swapaxes(1, 2).reshape(groups * per_group, o // groups, *size)


def _conv_transpose_forward(
    g: Array, w: Array, *, shape: Sides, stride: Sides, dilation: Sides, padding: Frame, groups: int
) -> Array:
    c, o, size = shape[1], len(w), w.shape[2:]
    frame = tuple(
        (d * (k - 1) - before, d * (k - 1) - behind)
        for k, d, (before, behind) in zip(size, dilation, padding, strict=True)
    )
    if max(stride) == 1 and o <= 2 * c and min(map(min, frame)) >= 0:
        # Then it is a convolution itself, 6.5 ms in place of 15 for 64 pictures, 16 x 28 x 28, by
        # 16 kernels of 3 x 3; with twice as many channels in g both take as long, with more it
        # loses: 16 against 2.5 from 16 channels to 1.
        return _conv_forward(
            g, _turned(w, groups), stride=stride, dilation=dilation, padding=frame, groups=groups
        )
    return _added_up(g, w, shape, size, stride, dilation, padding, groups)


def _added_up(g: Array, w: Array, shape: Sides, size: Sides, *how: Any) -> Array:
    """Lay down columns of patches, and add them where they lie over each other.

    With the pictures last, for then whole rows of all pictures are added in one go: 1.2 ms in
    place of 2.4 for 64 pictures, 6 x 12 x 12, by 16 kernels of 5 x 5, where rows are short.
    """
    *slides, groups = how
    (m, c), o, counts = shape[:2], len(w), g.shape[2:]
    n = math.prod(counts)
    x = np.empty(shape, np.result_type(g, w))
    rows = g.reshape(m, o * n)
    kernels = w.reshape(groups, o // groups, c // groups * math.prod(size)).swapaxes(1, 2)
    there = list(places(shape[2:], counts, size, *slides))
    for part in _slices(m, c * math.prod(size + counts), g.itemsize):
        last = np.ascontiguousarray(rows[part].T).reshape(groups, o // groups, -1)
        columns = np.matmul(kernels, last).reshape(c, *size, *counts, -1)
        total = np.zeros((*shape[1:], columns.shape[-1]), x.dtype)
        for place, windows, read in there:
            total[(slice(None), *read[1:])] += columns[(slice(None), *place, *windows[1:])]
        x[part] = np.moveaxis(total, -1, 0)
    return x


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
    memory=Memory.NEW,
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
