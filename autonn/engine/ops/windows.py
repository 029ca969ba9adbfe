"""Windows that slide over an array along its last axes, and their adjoint, which adds them back.

The windows of pictures (m, c, h, w) are laid out as columns, (m, c, kh, kw, oh, ow): so NumPy
copies and adds whole rows of a picture, and ``reshape(m, c kh kw, oh ow)``, which costs nothing,
gives the matrix that a product with the kernels takes. Whatever slides has the same attributes,
with one entry an axis: `size` of the window, `stride` from one to the next, `dilation` between the
numbers within one, and `padding`, the zeros before and behind.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from autonn.engine.apply import define
from autonn.engine.op import Function, Memory
from autonn.engine.tensor import Array

Sides = tuple[int, ...]  # one entry for each axis that the windows slide along
Frame = tuple[tuple[int, int], ...]  # so many zeros before and behind, along each


def positions(lengths: Sides, size: Sides, stride: Sides, dilation: Sides, padding: Frame) -> Sides:
    """Count the windows along each axis, ``(n + before + behind - d (k - 1) - 1) // s + 1``.

    >>> positions((28, 28), (5, 5), (2, 1), (1, 1), ((2, 2), (0, 0)))
    (14, 24)
    """
    if min(*size, *stride, *dilation) < 1 or min(itertools.chain(*padding)) < 0:
        raise ValueError(
            f"windows of size {size}, stride {stride} and dilation {dilation} with padding "
            f"{padding}: each is at least 1, and no padding is negative"
        )
    counts = tuple(
        (n + before + behind - d * (k - 1) - 1) // s + 1
        for n, k, s, d, (before, behind) in zip(
            lengths, size, stride, dilation, padding, strict=True
        )
    )
    if min(counts) < 1:
        raise ValueError(
            f"no window of size {size} with dilation {dilation} fits into {lengths} with "
            f"padding {padding}"
        )
    return counts


def framed(x: Array, padding: Frame) -> Array:
    """Surround x with zeros along its last axes; np.pad takes 20 microseconds before it begins."""
    lengths = x.shape[-len(padding) :]
    inside: list[Any] = [...]
    sides = []
    for length, (before, behind) in zip(lengths, padding, strict=True):
        inside.append(slice(before, before + length))
        sides.append(before + length + behind)
    wide = np.zeros((*x.shape[: -len(padding)], *sides), x.dtype)
    wide[tuple(inside)] = x
    return wide


def patches(x: Array, size: Sides, stride: Sides, dilation: Sides, padding: Frame) -> Array:
    """View the windows of x, or of x in a frame of zeros: (..., size, positions)."""
    n = len(size)
    counts = positions(x.shape[-n:], size, stride, dilation, padding)
    if any(map(any, padding)):
        x = framed(x, padding)
    steps = x.strides[-n:]
    within = (d * step for d, step in zip(dilation, steps, strict=True))
    between = (s * step for s, step in zip(stride, steps, strict=True))
    shape, strides = (*x.shape[:-n], *size, *counts), (*x.strides[:-n], *within, *between)
    return np.lib.stride_tricks.as_strided(x, shape, strides, writeable=False)


def places(
    lengths: Sides, counts: Sides, size: Sides, stride: Sides, dilation: Sides, padding: Frame
) -> Iterator[tuple[tuple[int, ...], tuple[Any, ...], tuple[Any, ...]]]:
    """Yield each place in a window, which windows have it inside of x, and where they read there.

    What is read in the frame is left out, so that no copy with a frame has to be made.

    >>> for place, windows, read in places((3,), (3,), (2,), (1,), (1,), ((1, 0),)):
    ...     print(place, windows[1:], read[1:])
    (0,) (slice(1, 3, None),) (slice(0, 2, 1),)
    (1,) (slice(0, 3, None),) (slice(0, 3, 1),)
    """
    for place in np.ndindex(*size):
        windows: list[Any] = [...]
        read: list[Any] = [...]
        axes = zip(place, lengths, counts, stride, dilation, padding, strict=True)
        for k, length, count, s, d, (before, _) in axes:
            start = k * d - before  # where the first window reads
            first = max(0, -(start // s))
            last = max(first, min(count, -((start - length) // s)))
            windows.append(slice(first, last))
            read.append(slice(start + first * s, max(0, start + (last - 1) * s + 1), s))
        yield place, tuple(windows), tuple(read)


def overlap(size: Sides, stride: Sides, dilation: Sides) -> bool:
    """Whether two windows see the same number, so that what is put there has to be added up."""
    axes = zip(size, stride, dilation, strict=True)
    return any(d * (k - 1) >= s for k, s, d in axes)


def keeps_leading(call: Any, axes: Sequence[int | None]) -> int | None:
    """Say that each row stays one, where the windows do not slide along the rows."""
    spared = min(a.ndim for a in call.args) - len(call.attribute("size"))
    return axes[0] if len(set(axes)) == 1 and axes[0] is not None and axes[0] < spared else None


# ---- the windows, and what adds them back


def _windows_forward(
    x: Array, *, size: Sides, stride: Sides, dilation: Sides, padding: Frame
) -> Array:
    return patches(x, size, stride, dilation, padding).copy()


def _add_windows_forward(
    x: Array, *, shape: Sides, size: Sides, stride: Sides, dilation: Sides, padding: Frame
) -> Array:
    n = len(size)
    total = np.zeros(shape, x.dtype)
    apart = not overlap(size, stride, dilation)
    for place, windows, read in places(shape[-n:], x.shape[-n:], size, stride, dilation, padding):
        values = x[(..., *place, *windows[1:])]
        if apart:
            total[read] = values  # once each: a third of the time of adding
        else:
            total[read] += values
    return total


windows: Function = define(
    "windows",
    _windows_forward,
    "z[..., k, p] = x[..., s p + d k - before], and 0 in the frame",
    lambda g, z, x, **how: add_windows(g, shape=x.shape, **how),
    numpy=(),
    rows=keeps_leading,
    memory=Memory.NEW,
)

add_windows: Function = define(
    "add_windows",
    _add_windows_forward,
    "z[..., s p + d k - before] = sum of x[..., k, p], over all k and p that lead there",
    lambda g, z, x, shape, **how: windows(g, **how),
    numpy=(),
    rows=keeps_leading,
    memory=Memory.NEW,
)
