"""Quotients in whole numbers and what they leave: ``//``, ``%`` and their kin."""

from __future__ import annotations

from typing import Any

import numpy as np

from autonn.engine.apply import define, implements
from autonn.engine.ops.arithmetic import BROADCAST, power
from autonn.engine.tensor import Operand, Tensor


def _no_slope(g: Any, z: Any, x: Any, y: Any) -> Any:
    """Return ``0``: it is constant between its jumps."""
    return np.zeros(z.shape, z.dtype)


floor_divide = define(
    "floor_divide",
    np.floor_divide,
    "z = the next whole number below x / y",
    _no_slope,
    _no_slope,
    kinks="The gradients are 0 everywhere.",
    symbol="{0} // {1}",
    hint=BROADCAST,
)

remainder = define(
    "remainder",
    np.remainder,
    "z = x - y floor(x / y)",
    lambda g, z, x, y: g,
    lambda g, z, x, y: -g * np.floor_divide(x, y),
    kinks="At its jumps the gradients are those on the side where it is continuous.",
    symbol="{0} % {1}",
    hint=BROADCAST,
)

fmod = define(
    "fmod",
    np.fmod,
    "z = x - y trunc(x / y)",
    lambda g, z, x, y: g,
    lambda g, z, x, y: -g * np.trunc(x / y),
    kinks="At its jumps the gradients are those on the side where it is continuous.",
    hint=BROADCAST,
)


@implements(np.divmod)
def divmod_(x: Operand, y: Operand) -> tuple[Any, Any]:
    """Return ``x // y`` and ``x % y``."""
    return floor_divide(x, y), remainder(x, y)


@implements(np.modf)
def modf(x: Operand) -> tuple[Any, Any]:
    """Return the parts behind and before the point, both with the sign of x."""
    return np.fmod(x, 1.0), np.trunc(x)


@implements(np.float_power)
def float_power(x: Operand, y: Operand) -> Any:
    """Raise to a power in float64, whatever the dtypes."""
    wide = (a.astype(np.float64) if isinstance(a, Tensor) else np.float64(a) for a in (x, y))
    return power(*wide)
