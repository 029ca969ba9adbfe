"""Convolution and pooling from their formulas, by loops over every number: slow, and plain to see.

Pictures are (m, c, h, w), kernels (o, c / groups, kh, kw). `how` is (stride, dilation, padding), a
pair for each of the two axes, padding a pair of pairs. Numbers may be complex, so that a complex
step goes through.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
How = tuple[Any, Any, Any]


def count(n: int, k: int, stride: int, dilation: int, frame: tuple[int, int]) -> int:
    """Count the windows along an axis, by laying them down one after the other."""
    found = 0
    while found * stride + (k - 1) * dilation < n + sum(frame):
        found += 1
    return found


def counts(sides: Any, size: Any, how: How) -> tuple[int, int]:
    axes = zip(sides, size, *how, strict=True)
    first, second = (count(*axis) for axis in axes)
    return first, second


def reads(sides: Any, size: Any, how: How) -> Iterator[tuple[Any, Any, Any]]:
    """Yield each window, each place in it, and where in the picture that is, if it is inside."""
    stride, dilation, padding = how
    for p in np.ndindex(*counts(sides, size, how)):
        for k in np.ndindex(*size):
            axes = range(2)
            at = tuple(p[a] * stride[a] + k[a] * dilation[a] - padding[a][0] for a in axes)
            if all(0 <= at[a] < sides[a] for a in axes):
                yield p, k, at


def windows(x: Array, size: Any, how: How) -> Array:
    sides = x.shape[2:]
    z = np.zeros((*x.shape[:2], *size, *counts(sides, size, how)), x.dtype)
    for p, k, at in reads(sides, size, how):
        z[(..., *k, *p)] = x[(..., *at)]
    return z


def add_windows(z: Array, sides: Any, size: Any, how: How) -> Array:
    x = np.zeros((*z.shape[:2], *sides), z.dtype)
    for p, k, at in reads(sides, size, how):
        x[(..., *at)] += z[(..., *k, *p)]
    return x


def channels(w: Array, groups: int) -> Iterator[tuple[int, int, int]]:
    """Yield each channel that comes out, that which goes in, and the kernel's number of it."""
    o, per_group = w.shape[:2]
    for out, k in itertools.product(range(o), range(per_group)):
        yield out, out // (o // groups) * per_group + k, k


def conv2d(x: Array, w: Array, groups: int, how: How) -> Array:
    sides, size = x.shape[2:], w.shape[2:]
    z = np.zeros((len(x), len(w), *counts(sides, size, how)), np.result_type(x, w))
    for p, k, at in reads(sides, size, how):
        for out, into, c in channels(w, groups):
            z[(slice(None), out, *p)] += w[(out, c, *k)] * x[(slice(None), into, *at)]
    return z


def conv_transpose2d(g: Array, w: Array, sides: Any, groups: int, how: How) -> Array:
    x = np.zeros((len(g), w.shape[1] * groups, *sides), np.result_type(g, w))
    for p, k, at in reads(sides, w.shape[2:], how):
        for out, into, c in channels(w, groups):
            x[(slice(None), into, *at)] += w[(out, c, *k)] * g[(slice(None), out, *p)]
    return x


def conv_weight(x: Array, g: Array, shape: Any, groups: int, how: How) -> Array:
    w = np.zeros(shape, np.result_type(x, g))
    for p, k, at in reads(x.shape[2:], shape[2:], how):
        for out, into, c in channels(w, groups):
            w[(out, c, *k)] += np.sum(g[(slice(None), out, *p)] * x[(slice(None), into, *at)])
    return w


def gathered(x: Array, size: Any, how: How) -> dict[Any, list[Any]]:
    """List where each window reads."""
    found: dict[Any, list[Any]] = {p: [] for p in np.ndindex(*counts(x.shape[2:], size, how))}
    for p, _, at in reads(x.shape[2:], size, how):
        found[p].append(at)
    return found


def max_pool2d(x: Array, size: Any, how: How) -> Array:
    z = np.full((*x.shape[:2], *counts(x.shape[2:], size, how)), -np.inf, x.dtype)
    for p, ats in gathered(x, size, how).items():
        for i in np.ndindex(*x.shape[:2]):
            for at in ats:
                if x[(*i, *at)].real > z[(*i, *p)].real or np.isnan(x[(*i, *at)]):
                    z[(*i, *p)] = x[(*i, *at)]
    return z


def share_max(g: Array, x: Array, size: Any, how: How) -> Array:
    """Give each window's g in equal parts to its largest numbers."""
    total = np.zeros(x.shape, g.dtype)
    top = max_pool2d(x, size, how)
    for p, ats in gathered(x, size, how).items():
        for i in np.ndindex(*x.shape[:2]):
            largest = [at for at in ats if x[(*i, *at)].real == top[(*i, *p)].real]
            for at in largest:
                total[(*i, *at)] += g[(*i, *p)] / len(largest)
    return total


def mean_at_max(c: Array, x: Array, size: Any, how: How) -> Array:
    """Take the mean of c over the places of the largest x of each window."""
    top = max_pool2d(x, size, how)
    total = np.zeros(top.shape, c.dtype)
    for p, ats in gathered(x, size, how).items():
        for i in np.ndindex(*x.shape[:2]):
            largest = [at for at in ats if x[(*i, *at)].real == top[(*i, *p)].real]
            if largest:
                values = [c[(*i, *at)] for at in largest]
                total[(*i, *p)] = np.sum(values) / len(largest)
    return total


def avg_pool2d(x: Array, size: Any, how: How, count_include_pad: bool = True) -> Array:
    z = np.zeros((*x.shape[:2], *counts(x.shape[2:], size, how)), x.dtype)
    for p, ats in gathered(x, size, how).items():
        for at in ats:
            z[(..., *p)] += x[(..., *at)]
        z[(..., *p)] /= size[0] * size[1] if count_include_pad else len(ats)
    return z
