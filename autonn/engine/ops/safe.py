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
    """Multiply; where one is 0 it stays what it is, 0.0 or -0.0."""
    if np.all(x) and np.all(y):
        return np.multiply(x, y)
    zero = np.where(np.equal(x, 0), x, y)
    out = zero.astype(np.result_type(x, y), copy=False)
    return np.multiply(x, y, out=out, where=np.not_equal(x, 0) & np.not_equal(y, 0))


safe_multiply: Function = define(
    "safe_multiply",
    _safe_multiply_forward,
    "z = x y, and what is 0 where one of them is",
    lambda g, z, x, y: safe_multiply(g, y),
    lambda g, z, x, y: safe_multiply(g, x),
    kinks="0 times inf is 0, and so is its gradient.",
    rows=elementwise,
    memory=Memory.NEW,
    prints=(
        "np.multiply({0}, {1}, out=np.where(np.equal({0}, 0), {0}, {1}).astype({dtype}), "
        "where=np.not_equal({0}, 0) & np.not_equal({1}, 0))"
    ),
)


def _safe_divide_forward(g: Any, d: Any) -> Any:
    """Divide; where g is 0 it stays what it is, 0.0 or -0.0."""
    if np.all(g):
        return g / d
    shape = np.broadcast_shapes(np.shape(g), np.shape(d))
    dtype = np.result_type(g, d)
    out = np.broadcast_to(g, shape).astype(dtype if dtype.kind in "fc" else float)
    return np.divide(g, d, out=out, where=np.not_equal(g, 0))


safe_divide: Function = define(
    "safe_divide",
    _safe_divide_forward,
    "z = g / d, and g where g = 0",
    lambda c, z, g, d: safe_divide(c, d),
    lambda c, z, g, d: -safe_divide(safe_multiply(c, z), d),
    kinks="0 / 0 is 0, and so is its gradient for d.",
    rows=elementwise,
    memory=Memory.NEW,
    prints=(
        "np.divide({0}, {1}, out=np.broadcast_to({0}, {shape}).astype({dtype}), "
        "where=np.not_equal({0}, 0))"
    ),
)


def is_known(x: Any) -> bool:
    """Whether its values may be looked at: not while a function of it is being compiled."""
    return not (isinstance(x, Tensor) and is_tracing())
