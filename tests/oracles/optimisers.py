"""The formulas of the optimisers as the papers have them, one element-wise line after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Naive = Callable[[Array, Sequence[Array]], Array]  # the start and the gradients -> the end


def gradient_descent(theta: Array, gradients: Sequence[Array], lr: float) -> Array:
    for g in gradients:
        theta = theta - lr * g
    return theta


def momentum(
    theta: Array, gradients: Sequence[Array], lr: float, mu: float, decay: float = 0.0
) -> Array:
    """Sutskever et al. 2013, equations 1 and 2: the rate is within the velocity."""
    v = np.zeros_like(theta)
    for g in gradients:
        v = mu * v - lr * (g + decay * theta)
        theta = theta + v
    return theta


def nesterov(
    theta: Array, gradients: Sequence[Array], lr: float, mu: float, decay: float = 0.0
) -> Array:
    """The same, equations 3 and 4: g and the decay are those at ``theta + mu v``, the result too.

    What is followed here is theta itself; the optimiser's parameters are the point ahead.
    """
    v = np.zeros_like(theta)
    for g in gradients:
        ahead = theta + mu * v
        v = mu * v - lr * (g + decay * ahead)
        theta = theta + v
    return theta + mu * v


def rmsprop(theta: Array, gradients: Sequence[Array], lr: float, beta: float, eps: float) -> Array:
    """Tieleman & Hinton 2012, lecture 6.5; eps as in PyTorch."""
    mean_square = np.zeros_like(theta)
    for g in gradients:
        mean_square = beta * mean_square + (1 - beta) * g**2
        theta = theta - lr * g / (np.sqrt(mean_square) + eps)
    return theta


def adam(
    theta: Array,
    gradients: Sequence[Array],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    decay: float = 0.0,
) -> Array:
    """Kingma & Ba 2015, Algorithm 1; with decay, Loshchilov & Hutter 2019, Algorithm 2."""
    m, v, t = np.zeros_like(theta), np.zeros_like(theta), 0
    for g in gradients:
        t = t + 1
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        m_hat = m / (1 - beta1**t)
        v_hat = v / (1 - beta2**t)
        theta = theta - lr * m_hat / (np.sqrt(v_hat) + eps) - lr * decay * theta
    return theta
