"""Backprop written by hand in plain NumPy, as fast as we can: what `compile` is held against.

Each class owns its parameters, in one vector, and all the memory that a call writes to, so that a
call returns views that the next one overwrites. Weights are (out, in) and biases stand apart, so
that no column of ones is built; every ufunc writes where it is told to; sums are products with
ones; the costs are computed from the logits, and stay exact where a probability rounds to 0 or 1.
Whoever makes one of these faster improves the product: see backprop.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Result = tuple[Any, ...]


def in_one_vector(arrays: Sequence[Array]) -> tuple[Array, list[Array]]:
    """Copy the arrays into one new vector; return it, and views of their shapes."""
    vector = np.concatenate([a.ravel() for a in arrays])
    ends = np.cumsum([a.size for a in arrays])
    views = [vector[e - a.size : e].reshape(a.shape) for a, e in zip(arrays, ends, strict=True)]
    return vector, views


class Digits:
    """The network x -> sigmoid -> sigmoid with the tutorials' regularised cost."""

    def __init__(
        self, weights: Sequence[Array], biases: Sequence[Array], m: int, lam: float
    ) -> None:
        self.vector, self.weights = in_one_vector(weights)
        self.slope, self.slopes = in_one_vector([np.zeros_like(w) for w in weights])
        self.decay = np.empty_like(self.vector)
        self.biases = [b.copy() for b in biases]
        dtype, (hidden, outputs) = self.vector.dtype, map(len, biases)
        # 0-d arrays: a Python number costs each call 0.4 us more
        self.zero, self.one = np.array(0, dtype), np.array(1, dtype)
        self.share, self.pull = np.array(1 / m, dtype), np.array(lam / m, dtype)
        self.penalty = lam / (2 * m)
        self.minus = np.empty(hidden, dtype)
        self.a2, self.s2, self.d2 = (np.empty((m, hidden), dtype) for _ in range(3))
        self.z3, self.d3, self.e, self.t = (np.empty((m, outputs), dtype) for _ in range(4))
        self.sure = np.empty((m, outputs), bool)
        self.db = [np.empty(hidden, dtype), np.empty(outputs, dtype)]
        self.ones, self.all = np.ones(m, dtype), np.ones(m * outputs, dtype)
        self.flat = np.empty(m * outputs, dtype)
        self.log, self.few = self.flat.reshape(m, outputs), m * outputs < 500

    def __call__(self, x: Array, y: Array) -> Result:
        """Return J, dJ/dW1, dJ/db1, dJ/dW2, dJ/db2."""
        (w1, w2), (b1, b2), (dw1, dw2), (db1, db2) = self.weights, self.biases, self.slopes, self.db
        one, a2, s2, d2, z3, d3 = self.one, self.a2, self.s2, self.d2, self.z3, self.d3
        e, t, log, sure = self.e, self.t, self.log, self.sure

        np.dot(x, w1.T, a2)  # a2 = 1 / (1 + e^-z2)
        np.subtract(np.negative(b1, self.minus), a2, a2)
        with np.errstate(over="ignore"):  # to inf, and a2 to 0
            np.exp(a2, a2)
        np.add(a2, one, a2)
        np.divide(one, a2, a2)  # twice as fast as np.reciprocal
        np.dot(a2, w2.T, z3)
        np.add(z3, b2, z3)

        np.greater_equal(z3, self.zero, sure)  # J = sum z3 ([z3 >= 0] - y) + ln(1 + e^-|z3|)
        np.subtract(sure, y, d3)
        np.absolute(z3, e)
        np.negative(e, e)
        np.exp(e, e)
        np.add(e, one, t)
        if self.few:
            np.log1p(e, log)
            cost = np.dot(self.all, self.flat)
        else:  # half the time: ln(1 + e) as ln t, and what the rounding of t lost, e - (t - 1)
            np.log(t, log)
            cost = np.dot(self.all, self.flat)
            np.subtract(e, np.subtract(t, one, log), log)
            cost += np.dot(self.all, self.flat)
        cost = (cost + np.vdot(z3, d3)) / len(x)
        cost += np.vdot(self.vector, self.vector) * self.penalty

        # delta3 = (a3 - y) / m, where a3 = [z3 >= 0] -+ e^-|z3| / (1 + e^-|z3|)
        np.divide(e, t, e)
        np.copysign(e, z3, e)
        np.subtract(d3, e, d3)
        np.multiply(d3, self.share, d3)
        np.dot(d3, w2, d2)  # delta2 = delta3 W2 * a2 (1 - a2)
        np.subtract(one, a2, s2)
        np.multiply(s2, a2, s2)
        np.multiply(d2, s2, d2)

        np.dot(d3.T, a2, dw2)
        np.dot(d2.T, x, dw1)
        np.multiply(self.vector, self.pull, self.decay)
        np.add(self.slope, self.decay, self.slope)
        np.dot(self.ones, d2, db1)
        np.dot(self.ones, d3, db2)
        return cost, dw1, db1, dw2, db2

    def descend(self, rate: float) -> None:
        """Take a step along the last gradients."""
        np.multiply(self.slope, rate, self.decay)
        np.subtract(self.vector, self.decay, self.vector)
        for bias, slope in zip(self.biases, self.db, strict=True):
            bias -= rate * slope


class Deep:
    """The network x -> relu -> relu -> softmax with the cross-entropy of rows that sum to 1."""

    def __init__(self, weights: Sequence[Array], biases: Sequence[Array], m: int) -> None:
        self.weights, self.biases = [w.copy() for w in weights], [b.copy() for b in biases]
        dtype = weights[0].dtype
        first, second, outputs = map(len, biases)
        self.a1, self.d1 = np.empty((m, first), dtype), np.empty((m, first), dtype)
        self.a2, self.d2 = np.empty((m, second), dtype), np.empty((m, second), dtype)
        self.on1, self.on2 = np.empty((m, first), bool), np.empty((m, second), bool)
        self.z, self.p = np.empty((m, outputs), dtype), np.empty((m, outputs), dtype)
        self.top, self.sums = np.empty((m, 1), dtype), np.empty(m, dtype)
        self.logs, self.share = np.empty(m, dtype), np.array(1 / m, dtype)
        self.dw = [np.empty_like(w) for w in weights]
        self.db = [np.empty_like(b) for b in biases]
        self.ones, self.each = np.ones(m, dtype), np.ones(outputs, dtype)
        self.zero = np.array(0, dtype)
        # the larger of two arrays is vectorised; the larger of an array and a number is not
        self.zeros1, self.zeros2 = np.zeros((m, first), dtype), np.zeros((m, second), dtype)

    def __call__(self, x: Array, y: Array) -> Result:
        """Return J, and dJ/dW and dJ/db of each layer."""
        (w1, w2, w3), (b1, b2, b3) = self.weights, self.biases
        (dw1, dw2, dw3), (db1, db2, db3) = self.dw, self.db
        a1, a2, d1, d2, z, p = self.a1, self.a2, self.d1, self.d2, self.z, self.p

        np.dot(x, w1.T, a1)
        np.add(a1, b1, a1)
        np.maximum(a1, self.zeros1, a1)
        np.dot(a1, w2.T, a2)
        np.add(a2, b2, a2)
        np.maximum(a2, self.zeros2, a2)
        np.dot(a2, w3.T, z)
        np.add(z, b3, z)

        np.subtract(z, np.max(z, 1, self.top, True), z)  # J = mean of ln sum e^z - z y
        np.exp(z, p)
        np.dot(p, self.each, self.sums)
        cost = np.dot(self.ones, np.log(self.sums, self.logs)) - np.vdot(z, y)

        np.divide(p, self.sums[:, None], p)  # delta = (p - y) / m
        np.subtract(p, y, p)
        np.multiply(p, self.share, p)
        np.dot(p, w3, d2)
        np.multiply(d2, np.greater(a2, self.zero, self.on2), d2)
        np.dot(d2, w2, d1)
        np.multiply(d1, np.greater(a1, self.zero, self.on1), d1)

        np.dot(p.T, a2, dw3)
        np.dot(d2.T, a1, dw2)
        np.dot(d1.T, x, dw1)
        np.dot(self.ones, p, db3)
        np.dot(self.ones, d2, db2)
        np.dot(self.ones, d1, db1)
        return cost / len(x), dw1, db1, dw2, db2, dw3, db3


def deep_with_bias_columns(thetas: Sequence[Array], x: Array, y: Array) -> Result:
    """Return J and dJ/dTheta of each layer of the deep network, as one writes it first."""
    m = len(x)
    ones = np.ones((m, 1), x.dtype)
    inputs = [np.hstack([ones, x])]
    for theta in thetas[:-1]:
        inputs.append(np.hstack([ones, np.maximum(inputs[-1] @ theta.T, 0)]))
    z = inputs[-1] @ thetas[-1].T
    z = z - z.max(axis=1, keepdims=True)
    a = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    cost = -np.sum(y * np.log(a)) / m
    delta = a - y
    slopes = [delta.T @ inputs[-1] / m]
    for theta, a in zip(thetas[:0:-1], inputs[:0:-1], strict=True):
        delta = (delta @ theta)[:, 1:] * (a[:, 1:] > 0)
        slopes.append(delta.T @ inputs[len(thetas) - 1 - len(slopes)] / m)
    return cost, *slopes[::-1]
