"""Products and quotients in which a gradient of zero stays zero.

Where a derivative is infinite, as that of ln x at 0, what a ``where`` has masked out would come
back as 0 times inf, NaN. A rule that can be infinite divides by `safe_divide`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autonn.engine.apply import define
from autonn.engine.modes import is_tracing
from autonn.engine.op import Function, Memory, elementwise
from autonn.engine.tensor import Tensor


def _safe_multiply_forward(x: Any, y: Any) -> Any:
    with np.errstate(invalid="ignore"):
        z = np.multiply(x, y)
    return np.where(np.equal(x, 0) | np.equal(y, 0), 0, z) if np.any(np.isnan(z)) else z


safe_multiply: Function = define(
    "safe_multiply",
    _safe_multiply_forward,
    "z = x y, and 0 where either is 0",
    lambda g, z, x, y: safe_multiply(g, y),
    lambda g, z, x, y: safe_multiply(g, x),
    kinks="0 times inf is 0, and so is its gradient.",
    rows=elementwise,
    memory=Memory.NEW,
    prints=(
        "np.multiply({0}, {1}, out=np.zeros({shape}, {dtype}), "
        "where=np.not_equal({0}, 0) & np.not_equal({1}, 0))"
    ),
)


def _safe_divide_forward(g: Any, d: Any) -> Any:
    if np.all(g):
        return g / d
    shape = np.broadcast_shapes(np.shape(g), np.shape(d))
    return np.divide(g, d, out=np.zeros(shape, np.result_type(g, d)), where=np.not_equal(g, 0))


safe_divide: Function = define(
    "safe_divide",
    _safe_divide_forward,
    "z = g / d, and 0 where g = 0",
    lambda c, z, g, d: safe_divide(c, d),
    lambda c, z, g, d: -safe_divide(safe_multiply(c, z), d),
    kinks="0 / 0 is 0, and so is its gradient for d.",
    rows=elementwise,
    memory=Memory.NEW,
    prints=("np.divide({0}, {1}, out=np.zeros({shape}, {dtype}), where=np.not_equal({0}, 0))"),
)


def is_known(x: Any) -> bool:
    """Whether its values may be looked at: not while a function of it is being compiled."""
    return not (isinstance(x, Tensor) and is_tracing())
