"""The tutorials' backprop as derived by hand, in plain NumPy: what the engine is held against.

Both tutorials compute the same cost and gradients for x -> sigmoid -> sigmoid networks:

    J = -1/m sum_i sum_k [y ln a3 + (1 - y) ln(1 - a3)] + lambda/2m sum of squares but the biases
    delta3 = a3 - y,   delta2 = Theta2' delta3 (bias row dropped) * a2 (1 - a2)
    dJ/dTheta_l = 1/m sum_i delta_{l+1} [1; a_l]' + lambda/m Theta_l (bias column 0)

Here they stand twice, as a loop over the examples and with matrices; thetas are (out, in + 1),
bias column first. Nothing of autonn is imported, so that the two can only agree by being right.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Gradients = tuple[Any, Array, Array]


def sigmoid(z: Any) -> Any:
    """Compute 1 / (1 + e^-z) as the tutorials do, which overflows below z = -709."""
    return 1 / (1 + np.exp(-z))


def penalty(theta1: Array, theta2: Array, lam: float, m: int) -> Any:
    """Compute the regularisation, bias columns left out."""
    return lam / (2 * m) * (np.sum(theta1[:, 1:] ** 2) + np.sum(theta2[:, 1:] ** 2))


def without_bias(theta: Array) -> Array:
    """Copy a theta with zeros in its bias column: what regularisation adds to the gradient."""
    regularised = theta.copy()
    regularised[:, 0] = 0
    return regularised


def cross_entropy(a: Array, y: Array) -> Any:
    """Compute the cost on probabilities, summed over all examples and classes."""
    return -np.sum(y * np.log(a) + (1 - y) * np.log(1 - a))


def looped(theta1: Array, theta2: Array, x: Array, y: Array, lam: float) -> Gradients:
    """Return (J, dJ/dTheta1, dJ/dTheta2), one example at a time, as the tutorials do."""
    m = len(x)
    cost = penalty(theta1, theta2, lam, m)
    gradient1, gradient2 = np.zeros_like(theta1), np.zeros_like(theta2)
    for xi, yi in zip(x, y, strict=True):
        a1 = np.insert(xi, 0, 1)
        a2 = np.insert(sigmoid(theta1 @ a1), 0, 1)
        a3 = sigmoid(theta2 @ a2)
        cost = cost + cross_entropy(a3, yi) / m
        delta3 = a3 - yi
        delta2 = (theta2.T @ delta3)[1:] * a2[1:] * (1 - a2[1:])
        gradient1 += np.outer(delta2, a1)
        gradient2 += np.outer(delta3, a2)
    gradient1 = gradient1 / m + lam / m * without_bias(theta1)
    gradient2 = gradient2 / m + lam / m * without_bias(theta2)
    return cost, gradient1, gradient2


def vectorised(theta1: Array, theta2: Array, x: Array, y: Array, lam: float) -> Gradients:
    """Return (J, dJ/dTheta1, dJ/dTheta2) with matrices, as the tutorials' forward pass does."""
    m = len(x)
    ones = np.ones((m, 1), x.dtype)
    a1 = np.hstack([ones, x])
    a2 = np.hstack([ones, sigmoid(a1 @ theta1.T)])
    a3 = sigmoid(a2 @ theta2.T)
    cost = cross_entropy(a3, y) / m + penalty(theta1, theta2, lam, m)
    delta3 = a3 - y
    delta2 = (delta3 @ theta2)[:, 1:] * a2[:, 1:] * (1 - a2[:, 1:])
    gradient1 = delta2.T @ a1 / m + lam / m * without_bias(theta1)
    gradient2 = delta3.T @ a2 / m + lam / m * without_bias(theta2)
    return cost, gradient1, gradient2
