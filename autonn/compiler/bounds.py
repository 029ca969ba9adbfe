"""What numbers a value can hold: a variance and a little more is never 0.

So a gradient is divided plainly by the deviation of a norm, where 0 / 0 would else be looked for.
That one is not a number is left out of account: then what it was computed from is none either.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from autonn.compiler.graph import Argument, Node
from autonn.engine import ops
from autonn.engine.op import Op

__all__ = ["is_above_zero", "is_bounded"]

_DEPTH = 8  # how many calls are looked through


def is_above_zero(a: Argument, dtype: np.dtype[np.floating]) -> bool:
    """Whether all its numbers are above 0, as are those of ``sqrt(x^2 + 1e-5)``."""
    return _least(a, dtype, _DEPTH) > 0


def is_bounded(a: Argument, dtype: np.dtype[np.floating]) -> bool:
    """Whether its numbers are above 0 and finite: it is a number, or one over what is above 0.

    Over what is infinite it is 0, which is left out of account as well: it makes a finite number 0.
    """
    if isinstance(a, Node) and a.calls(ops.divide):
        above, below = a.args
        return is_bounded(above, dtype) and _least(below, dtype, _DEPTH) > _TINY
    low, high = _ends(a, dtype)
    return low > 0 and high < math.inf


_TINY = 1e-30


def _ends(a: Argument, dtype: np.dtype[np.floating]) -> tuple[float, float]:
    """Return the least and the largest of what is known, as it is in a dtype: 1e-50 may be 0."""
    value = a.value if isinstance(a, Node) and a.is_constant else a
    if isinstance(value, bool) or not isinstance(value, int | float | np.ndarray):
        return -math.inf, math.inf
    with np.errstate(over="ignore"):
        known = np.asarray(value, dtype)
    return (float(known.min()), float(known.max())) if known.size else (-math.inf, math.inf)


def _least(a: Argument, dtype: np.dtype[np.floating], depth: int) -> float:
    """Return a number that no number of a value is below; -inf where none is known."""
    if not isinstance(a, Node) or a.is_constant:
        return _ends(a, dtype)[0]
    rule = _RULES.get(a.op)
    if rule is None or depth == 0 or a.dtype != dtype:
        return -math.inf
    return rule(*(_least(b, dtype, depth - 1) for b in a.args))


def _of_product(x: float, y: float) -> float:
    return x * y if x >= 0 and y >= 0 else -math.inf


def _not_negative(*of: float) -> float:
    """Return 0 for what is made of numbers from 0 on: their sum, or their quotient."""
    return 0.0 if min(of) >= 0 else -math.inf


_RULES: dict[Op | None, Callable[..., float]] = {
    ops.square.op: lambda x: 0.0,
    ops.absolute.op: lambda x: 0.0,
    ops.exp.op: lambda x: 0.0,
    ops.sqrt.op: lambda x: math.sqrt(max(x, 0.0)),
    ops.add.op: lambda x, y: x + y,
    ops.multiply.op: _of_product,
    ops.divide.op: _not_negative,
    ops.sum.op: _not_negative,
    ops.maximum.op: max,
    ops.reshape.op: lambda x: x,
    ops.transpose.op: lambda x: x,
    ops.broadcast_to.op: lambda x: x,
}
