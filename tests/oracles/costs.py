"""Costs as their formulas say, one row at a time: slow, and importing nothing of the engine.

Each takes predictions and targets and, where rows may count differently, weights of the examples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from oracles.layers import log_softmax

Array = NDArray[Any]


def weight_of(weights: Array | None, place: tuple[int, ...]) -> float:
    return 1.0 if weights is None else float(weights[place[0]])


def entropy(y: float, log_a: float) -> float:
    """Compute -y ln a, where 0 ln 0 = 0."""
    return -y * log_a if y else 0.0


def softmax_cross_entropy(
    z: Array, y: Array, weights: Array | None = None, smoothing: float = 0.0,
    ignored: int | None = None, class_weight: Array | None = None,
) -> float:  # fmt: skip
    """Take classes (m, ...), or probabilities of the shape of z."""
    k, logs, terms, counted = z.shape[-1], log_softmax(z), [], 0
    for place in np.ndindex(*z.shape[:-1]):
        if y.ndim < z.ndim and y[place] == ignored:
            continue
        counted += 1
        for j in range(k):
            target = float(y[place][j] if y.ndim == z.ndim else y[place] == j)
            target = (1 - smoothing) * target + smoothing / k
            scale = 1.0 if class_weight is None else float(class_weight[j])
            scale *= weight_of(weights, place)
            terms.append(scale * entropy(target, float(logs[place][j])))
    return math.fsum(terms) / max(counted, 1)


def cross_entropy(a: Array, y: Array, weights: Array | None = None) -> float:
    """Take probabilities, and classes (m, ...) or probabilities as targets."""
    terms, rows = [], list(np.ndindex(*a.shape[:-1]))
    for place in rows:
        for j in range(a.shape[-1]):
            target = float(y[place][j] if y.ndim == a.ndim else y[place] == j)
            p = float(a[place][j])
            cost = entropy(target, math.log(p)) + entropy(1 - target, math.log1p(-p))
            terms.append(weight_of(weights, place) * cost)
    return math.fsum(terms) / len(rows)


def places(a: Array) -> Iterator[tuple[int, ...]]:
    return iter(np.ndindex(*a.shape))


def sigmoid_cross_entropy(z: Array, y: Array, weights: Array | None = None) -> float:
    terms = []
    for place in places(z):
        x, target = float(z[place]), float(y[place])
        log_s = -max(-x, 0) - math.log1p(math.exp(-abs(x)))
        terms.append(weight_of(weights, place) * -(target * log_s + (1 - target) * (log_s - x)))
    return math.fsum(terms) / z.size


def hinge(z: Array, y: Array, weights: Array | None = None, margin: float = 1.0) -> float:
    """Take scores of k classes, or of one, and classes."""
    terms = []
    for place in places(y):
        scores, right = z[place].tolist(), int(y[place])
        if len(scores) == 1:
            lacks = max(0.0, margin - (1 if right else -1) * scores[0])
        else:
            others = (s for j, s in enumerate(scores) if j != right)
            lacks = math.fsum(max(0.0, margin + s - scores[right]) for s in others)
        terms.append(weight_of(weights, place) * lacks)
    return math.fsum(terms) / y.size


def kl_divergence(a: Array, y: Array, weights: Array | None = None) -> float:
    terms = [
        weight_of(weights, place) * float(y[place]) * math.log(y[place] / a[place])
        for place in places(a)
        if y[place]
    ]
    return math.fsum(terms) / math.prod(a.shape[:-1])


def squares(a: Array, y: Array, weights: Array | None = None) -> float:
    terms = (weight_of(weights, p) * math.pow(a[p] - y[p], 2) for p in places(a))
    return math.fsum(terms) / a.size


def huber(a: Array, y: Array, weights: Array | None = None, delta: float = 1.0) -> float:
    terms = []
    for place in places(a):
        size = abs(float(a[place] - y[place]))
        part = size**2 / 2 if size <= delta else delta * (size - delta / 2)
        terms.append(weight_of(weights, place) * part)
    return math.fsum(terms) / a.size


def gaussian_nll(a: Array, y: Array, weights: Array | None = None) -> float:
    """Take means, and behind them as many logarithms of variances."""
    k = a.shape[-1] // 2
    y, terms = y.reshape(*a.shape[:-1], k), []
    for place in places(y):
        mean, log_variance = float(a[place]), float(a[(*place[:-1], place[-1] + k)])
        variance = math.exp(log_variance)
        part = (log_variance + (float(y[place]) - mean) ** 2 / variance) / 2
        terms.append(weight_of(weights, place) * part)
    return math.fsum(terms) / y.size


def cosine(a: Array, y: Array, weights: Array | None = None) -> float:
    rows, terms = list(np.ndindex(*a.shape[:-1])), []
    for place in rows:
        lengths = math.hypot(*a[place]) * math.hypot(*y[place])
        terms.append(weight_of(weights, place) * (1 - math.fsum(a[place] * y[place]) / lengths))
    return math.fsum(terms) / len(rows)


def triplets(a: Array, y: Any, weights: Array | None = None, margin: float = 1.0) -> float:
    terms = []
    for i in range(len(a)):
        near, far = math.dist(a[i, 0], a[i, 1]), math.dist(a[i, 0], a[i, 2])
        terms.append(weight_of(weights, (i,)) * max(0.0, near - far + margin))
    return math.fsum(terms) / len(a)
