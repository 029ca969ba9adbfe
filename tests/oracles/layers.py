"""Layers as their formulas say, one number at a time: slow, and importing nothing of the engine."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
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


# ---- norms


def moments(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and the variance over n."""
    mean = math.fsum(values) / len(values)
    return mean, math.fsum((v - mean) ** 2 for v in values) / len(values)


def standardised(x: Array, groups: Iterator[Any], eps: float) -> Array:
    """Give each group of places of x mean 0 and variance 1."""
    z = np.empty(x.shape)
    for places in groups:
        mean, variance = moments(x[places].ravel().tolist())
        z[places] = (x[places] - mean) / math.sqrt(variance + eps)
    return z


def channels(x: Array) -> Iterator[Any]:
    """Yield the places of each channel, in all rows."""
    return ((slice(None), k) for k in range(x.shape[1]))


def scaled(z: Array, weight: Array, bias: Array) -> Array:
    """Scale and shift each channel, along axis 1."""
    z = z.copy()
    for k in range(z.shape[1]):
        z[:, k] = weight[k] * z[:, k] + bias[k]
    return z


def batch_norm(x: Array, weight: Array, bias: Array, eps: float = 1e-5) -> Array:
    return scaled(standardised(x, channels(x), eps), weight, bias)


def running(
    batches: Sequence[Array], momentum: float = 0.1
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean and variance that run along with the batches, from 0 and 1."""
    k = batches[0].shape[1]
    mean, variance = np.zeros(k), np.ones(k)
    for x in batches:
        for j in range(k):
            values = x[:, j].ravel().tolist()
            of_batch, over_n = moments(values)
            unbiased = over_n * len(values) / (len(values) - 1)
            mean[j] += momentum * (of_batch - mean[j])
            variance[j] += momentum * (unbiased - variance[j])
    return mean, variance


def evaluated(
    x: Array, mean: Array, variance: Array, weight: Array, bias: Array, eps: float = 1e-5
) -> Array:
    """Normalise each channel by a mean and a variance that are known."""
    z = x.copy()
    for k in range(x.shape[1]):
        z[:, k] = (x[:, k] - mean[k]) / math.sqrt(variance[k] + eps)
    return scaled(z, weight, bias)


def layer_norm(
    x: Array, lengths: tuple[int, ...], weight: Array, bias: Array, eps: float = 1e-5
) -> Array:
    lead = x.shape[: x.ndim - len(lengths)]
    return standardised(x, iter(np.ndindex(*lead)), eps) * weight + bias


def group_norm(x: Array, groups: int, weight: Array, bias: Array, eps: float = 1e-5) -> Array:
    size = x.shape[1] // groups
    places = ((i, slice(k * size, (k + 1) * size)) for i in range(len(x)) for k in range(groups))
    return scaled(standardised(x, places, eps), weight, bias)


# ---- embeddings


def looked_up(weight: Array, indices: Array) -> Array:
    found = [weight[int(k)].tolist() for k in indices.ravel()]
    return np.array(found).reshape(*indices.shape, weight.shape[1])


def looked_up_back(g: Array, indices: Array, count: int, padding: int | None = None) -> Array:
    """Add the gradient of each place to that of its row, but for the row of padding."""
    total = np.zeros((count, g.shape[-1]))
    for place in np.ndindex(*indices.shape):
        if indices[place] != padding:
            total[indices[place]] += g[place]
    return total
