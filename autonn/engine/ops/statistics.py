"""Variance and standard deviation, whose gradient of equal values is 0."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autonn.engine.apply import define
from autonn.engine.op import Memory
from autonn.engine.ops.reductions import restored
from autonn.engine.ops.rowwise import Axis, reduces


def _deviation(x: Any, axis: Axis) -> tuple[Any, Any]:
    """Compute ``x - mean x``, of equal values exactly 0, and where all are equal.

    Their mean is their maximum, whose gradient they share evenly, as they do that of the mean.
    """
    if not x.size:
        return x, np.equal(x, x)
    top = np.max(x, axis=axis, keepdims=True)
    equal = np.equal(top, np.min(x, axis=axis, keepdims=True))
    return x - np.where(equal, top, np.mean(x, axis=axis, keepdims=True)), equal


def _freedom(x: Any, z: Any, ddof: float) -> Any:
    """Compute ``n - ddof``, NaN for 0."""
    freedom = x.size / max(z.size, 1) - ddof
    return freedom if freedom else math.nan


var = define(
    "var",
    lambda x, axis=None, *, ddof=0, keepdims=False: np.var(
        x, axis=axis, ddof=ddof, keepdims=keepdims
    ),
    "z = sum (x - mean)^2 / (n - ddof) over axis",
    lambda g, z, x, axis=None, ddof=0, keepdims=False: (
        restored(g, axis, keepdims) * (_deviation(x, axis)[0] * (2 / _freedom(x, z, ddof)))
    ),
    numpy=(),
    kinks="The gradient of equal values is 0.",
    rows=reduces,
    memory=Memory.NEW,
)


def _std_slope(z: Any, x: Any, axis: Axis, freedom: float) -> Any:
    """Use ``(x - mean) / (n - ddof) / z``, and 0 at the kink, equal values, in every order."""
    deviation, equal = _deviation(x, axis)
    kink = equal | np.equal(z, 0)  # z of equal values may be 1e-17
    return np.where(kink, 0, deviation / freedom) / np.where(kink, 1, z)


std = define(
    "std",
    lambda x, axis=None, *, ddof=0, keepdims=False: np.std(
        x, axis=axis, ddof=ddof, keepdims=keepdims
    ),
    "z = sqrt(sum (x - mean)^2 / (n - ddof)) over axis",
    lambda g, z, x, axis=None, ddof=0, keepdims=False: (
        restored(g, axis, keepdims)
        * _std_slope(restored(z, axis, keepdims), x, axis, _freedom(x, z, ddof))
    ),
    numpy=(),
    kinks="The gradient of equal values is 0.",
    rows=reduces,
    memory=Memory.NEW,
)
