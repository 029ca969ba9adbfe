"""Choosing among numbers: the larger, the nearest whole one, where a condition holds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autonn.engine.apply import define, implements, stands_for
from autonn.engine.op import Function, Memory, elementwise
from autonn.engine.ops.arithmetic import BROADCAST
from autonn.engine.refusals import no_output
from autonn.engine.tensor import Operand, refuse_tracing, values_of

# Steps are constant between their jumps, so that their gradient is zero everywhere.


def no_slope(g: Any, z: Any, x: Any, *rest: Any, **attributes: Any) -> Any:
    """Use ``0``: it is constant between its jumps."""
    return np.zeros(np.shape(x), z.dtype)


def _step(function: Any, formula: str, *more: Any, **traits: Any) -> Function:
    """Declare a function that is constant between its jumps."""
    return define(
        function.__name__,
        function,
        formula,
        no_slope,
        numpy=(function, *more),
        kinks="The gradient is 0 everywhere.",
        **traits,
    )


sign = _step(np.sign, "z = -1, 0 or 1")

floor = _step(np.floor, "z = the next whole number below")

ceil = _step(np.ceil, "z = the next whole number above")

trunc = _step(np.trunc, "z = the next whole number towards 0")

rint = _step(np.rint, "z = the nearest whole number")

round_ = _step(
    np.round, "z = x to so many decimals", np.around, rows=elementwise, memory=Memory.MAY_ALIAS
)

heaviside = define(
    "heaviside",
    np.heaviside,
    "z = 0 below 0, y at 0, 1 above",
    no_slope,
    lambda g, z, x, y: np.where(np.equal(x, 0), g, 0),
    kinks="The gradient for x is 0 everywhere.",
)


def _share(g: Any, first: Any, equal: Any) -> Any:
    """Use ``g`` where the first holds, ``g / 2`` where both are equal, and 0 elsewhere."""
    return np.where(equal, g / 2, np.where(first, g, 0))


maximum = define(
    "maximum",
    np.maximum,
    "z = max(x, y)",
    lambda g, z, x, y: _share(g, np.greater(x, y), np.equal(x, y)),
    lambda g, z, x, y: _share(g, np.greater(y, x), np.equal(x, y)),
    kinks="Equal operands get half the gradient each.",
    hint=BROADCAST,
)

minimum = define(
    "minimum",
    np.minimum,
    "z = min(x, y)",
    lambda g, z, x, y: _share(g, np.less(x, y), np.equal(x, y)),
    lambda g, z, x, y: _share(g, np.less(y, x), np.equal(x, y)),
    kinks="Equal operands get half the gradient each.",
    hint=BROADCAST,
)

_clip = define(
    "clip",
    lambda x, low, high: np.clip(x, low, high),
    "z = min(max(x, low), high)",
    lambda g, z, x, low, high: np.where(np.less(x, low) | np.greater(x, high), 0, g),
    lambda g, z, x, low, high: np.where(np.less(x, low) & np.less_equal(low, high), g, 0),
    lambda g, z, x, low, high: np.where(np.greater(x, high) | np.greater(low, high), g, 0),
    numpy=(),
    kinks="At its bounds it passes the whole gradient to x.",
    hint=BROADCAST,
    rows=elementwise,
    memory=Memory.OUT,
    prints="np.clip({0}, {1}, {2})",
)


@implements(np.clip)
def clip(
    x: Operand, a_min: Operand = None, a_max: Operand = None, out: Any = None,
    *, min: Operand = None, max: Operand = None,
) -> Any:  # fmt: skip
    """Limit x to the range from `a_min` to `a_max`; None leaves a side open."""
    if out is not None:
        raise no_output(np.clip)
    low, high = (a if a is not None else b for a, b in ((a_min, min), (a_max, max)))
    return _clip(
        x, *(_open(x, side) if end is None else end for side, end in ((-1, low), (1, high)))
    )


def _open(x: Any, side: int) -> Any:
    """Take a bound that nothing lies beyond, in a dtype that leaves that of x as it is."""
    dtype = np.result_type(x)
    if dtype.kind not in "iu":
        return side * math.inf
    return np.asarray(np.iinfo(dtype).max if side > 0 else np.iinfo(dtype).min, dtype)


copysign = define(
    "copysign",
    np.copysign,
    "z = |x| with the sign of y",
    lambda g, z, x, y: g * (np.sign(x) * np.copysign(1.0, y)),
    lambda g, z, x, y: np.zeros(np.shape(y), z.dtype),
    kinks="At x = 0 the gradient is 0; for y it is 0 everywhere.",
    hint=BROADCAST,
)

where = define(
    "where",
    np.where,
    "z = x where the condition holds, else y",
    None,
    lambda g, z, c, x, y: np.where(c, g, 0),
    lambda g, z, c, x, y: np.where(c, 0, g),
    numpy=(),
    kinks="Each branch gets only its own part.",
    hint=BROADCAST,
    rows=elementwise,
    memory=Memory.NEW,
)


def _where_or_places(condition: Any, *choices: Any) -> Any:
    if choices:
        return where(condition, *choices)
    refuse_tracing(condition, "np.where, which gives places, of")
    return np.nonzero(values_of(condition))


implements(np.where)(stands_for(where, _where_or_places))
