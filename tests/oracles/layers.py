"""Layers as their formulas say, one number at a time: slow, and importing nothing of the engine."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# ---- activations, of one number


def leaky_relu(x: float, slope: float = 0.01) -> float:
    return x if x > 0 else slope * x


def elu(x: float, alpha: float = 1.0) -> float:
    return x if x > 0 else alpha * math.expm1(x)


def silu(x: float) -> float:
    return x / (1 + math.exp(-x))


def softplus(x: float) -> float:
    return max(x, 0) + math.log1p(math.exp(-abs(x)))


def gelu(x: float) -> float:
    return x * math.erfc(-x / math.sqrt(2)) / 2


def gelu_by_tanh(x: float) -> float:
    return x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def each(function: Callable[[float], float], x: Array) -> Array:
    return np.array([function(float(v)) for v in x.ravel()]).reshape(x.shape)


def log_softmax(x: Array, axis: int = -1) -> Array:
    rows = np.moveaxis(np.array(x), axis, -1)
    for place in np.ndindex(*rows.shape[:-1]):
        top = rows[place].max()
        total = math.fsum(math.exp(v - top) for v in rows[place])
        rows[place] = [v - top - math.log(total) for v in rows[place]]
    return np.moveaxis(rows, -1, axis)
