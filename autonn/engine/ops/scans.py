"""Running sums and products along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from autonn.engine.apply import define, implements
from autonn.engine.op import Memory
from autonn.engine.ops.rowwise import along_axis
from autonn.engine.tensor import Operand


def _flipped_cumsum(g: Any, axis: int) -> Any:
    """Compute ``g_k + g_(k+1) + ...``, the sums from behind."""
    return np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis)


_cumsum = define(
    "cumsum",
    lambda x, axis: np.cumsum(x, axis=axis),
    "z_k = x_0 + ... + x_k along axis",
    lambda g, z, x, axis: _flipped_cumsum(g, axis),
    numpy=(),
    rows=along_axis,
    memory=Memory.NEW,
)


@implements(np.cumsum)
def cumsum(x: Operand, axis: int | None = None) -> Any:
    """Add up along an axis; all elements in C order without one."""
    return _cumsum(np.ravel(x), 0) if axis is None else _cumsum(x, axis)


def _cumprod_rule(g: Any, z: Any, x: Any, axis: int) -> Any:
    """Use ``t_k`` times the product before k, where ``t_k = g_k + x_(k+1) t_(k+1)``.

    These are summed up by doubling. Nothing is divided, so zeros and tiny numbers lose no digits.
    """
    x, t = np.moveaxis(x, axis, -1), np.moveaxis(g, axis, -1)
    n = x.shape[-1]
    zeros = np.zeros(x.shape, x.dtype)
    ones = zeros[..., :1] + 1
    before = np.cumprod(np.concatenate([ones, x[..., :-1]], axis=-1), axis=-1)
    factor = np.concatenate([x[..., 1:], zeros[..., :1]], axis=-1)
    for step in (2**k for k in range(max(n - 1, 0).bit_length())):
        later = (np.concatenate([y[..., step:], zeros[..., :step]], axis=-1) for y in (t, factor))
        t, factor = (part + factor * y for part, y in zip((t, 0), later, strict=True))
    return np.moveaxis(before * t, -1, axis)


_cumprod = define(
    "cumprod",
    lambda x, axis: np.cumprod(x, axis=axis),
    "z_k = x_0 ... x_k along axis",
    _cumprod_rule,
    numpy=(),
    kinks="Right with zeros.",
    rows=along_axis,
    memory=Memory.NEW,
)


@implements(np.cumprod)
def cumprod(x: Operand, axis: int | None = None) -> Any:
    """Multiply up along an axis; all elements in C order without one."""
    return _cumprod(np.ravel(x), 0) if axis is None else _cumprod(x, axis)
