"""The largest number of each window, whose gradient is shared by all that are as large.

By the places in a window, one pass over the result for each, so that nothing as large as all
windows is made. The mean of each needs no op: it is that of `windows`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autonn.engine.apply import define
from autonn.engine.op import Function, Memory
from autonn.engine.ops.windows import Frame, Sides, keeps_leading, overlap, places, positions
from autonn.engine.tensor import Array


def _pool_max_forward(
    x: Array, *, size: Sides, stride: Sides, dilation: Sides, padding: Frame,
    out: Array | None = None,
) -> Array:  # fmt: skip
    """Compare place by place; what lies in the frame is never the largest."""
    lengths = x.shape[-len(size) :]
    counts = positions(lengths, size, stride, dilation, padding)
    there = places(lengths, counts, size, stride, dilation, padding)
    # In the order of x: convolutions leave the pictures last.
    top = np.empty_like(x, shape=(*x.shape[: -len(size)], *counts)) if out is None else out
    if any(map(any, padding)):
        top.fill(-np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min)
    else:
        np.copyto(top, x[next(there)[2]])
    for _, windows, read in there:
        np.maximum(top[windows], x[read], out=top[windows])
    return top


def _largest(x: Array, z: Array, **how: Any) -> tuple[list[Any], list[Array], Array]:
    """Tell at which places of its window x is the largest, z, and how often in each window."""
    n = len(how["size"])
    there = list(places(x.shape[-n:], z.shape[-n:], **how))
    unknown = np.isnan(z) if np.isnan(z).any() else None
    hits = [np.zeros_like(z, bool) for _ in there]
    count = np.zeros_like(z, np.min_scalar_type(len(there)))
    for hit, (_, windows, read) in zip(hits, there, strict=True):
        np.equal(x[read], z[windows], out=hit[windows])
        if unknown is not None:  # NaN is where NaN came from
            hit[windows] |= unknown[windows] & np.isnan(x[read])
        count += hit.view(np.uint8)  # five times as fast as numbers are made of booleans
    return there, hits, np.maximum(count, 1, out=count)  # 0 in windows of nothing but the frame


def _share_max_forward(
    g: Array, x: Array, z: Array, *, size: Sides, stride: Sides, dilation: Sides, padding: Frame,
    out: Array | None = None,
) -> Array:  # fmt: skip
    there, hits, count = _largest(
        x, z, size=size, stride=stride, dilation=dilation, padding=padding
    )
    # In the order of z, though g may come from a flat layer: then 32 pictures of 6 x 28 x 28 take
    # 0.23 ms in place of 0.72.
    part = np.divide(g, count, out=np.empty_like(z, np.result_type(g, z)))
    total = np.empty_like(x, part.dtype) if out is None else out
    apart = not overlap(size, stride, dilation)
    if not apart or any(map(any, padding)) or z.size * len(there) < x.size:  # else all is written
        total.fill(0)
    for hit, (_, windows, read) in zip(hits, there, strict=True):
        if apart:
            np.multiply(part[windows], hit[windows], out=total[read])
        else:
            total[read] += part[windows] * hit[windows]
    return total


def _mean_at_max_forward(
    c: Array, x: Array, z: Array, *, size: Sides, stride: Sides, dilation: Sides, padding: Frame
) -> Array:
    there, hits, count = _largest(
        x, z, size=size, stride=stride, dilation=dilation, padding=padding
    )
    total = np.zeros_like(z, c.dtype)
    for hit, (_, windows, read) in zip(hits, there, strict=True):
        total[windows] += c[read] * hit[windows]
    return total / count


pool_max: Function = define(
    "pool_max",
    _pool_max_forward,
    "z = the largest x of each window",
    lambda g, z, x, **how: share_max(g, x, z, **how),
    numpy=(),
    kinks="k equal maxima of a window get 1/k of its gradient each; the frame gets none.",
    rows=keeps_leading,
    memory=Memory.OUT,
)

share_max: Function = define(
    "share_max",
    _share_max_forward,
    "z = sum of g / k over the windows in which x is one of k that are the largest, y",
    lambda c, z, g, x, y, **how: mean_at_max(c, x, y, **how),
    None,
    None,
    numpy=(),
    rows=keeps_leading,
    memory=Memory.OUT,
)

mean_at_max: Function = define(
    "mean_at_max",
    _mean_at_max_forward,
    "z = mean of c over the places of each window at which x is the largest, y",
    lambda g, z, c, x, y, **how: share_max(g, x, y, **how),
    None,
    None,
    numpy=(),
    rows=keeps_leading,
    memory=Memory.NEW,
)
