"""The digit network written in three ways, and random cases of it to compare them on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from autonn import (
    CrossEntropy,
    Layer,
    Module,
    Sequential,
    Sigmoid,
    Tanh,
    Tensor,
    l2_penalty,
    sigmoid,
)

Array = NDArray[Any]
Network = Callable[[Array, Array, Array, Array, float], tuple[Any, Array, Array]]


def small_network(seed: int = 0) -> Sequential:
    rng = np.random.default_rng(seed)
    return Sequential(Layer(4, 3, rng=rng), Sigmoid(), Layer(3, 2, rng=rng), Sigmoid())


class Nested(Module):
    """Parameters in every kind of place."""

    def __init__(self) -> None:
        self.first = Layer(2, 2)
        self.several = [Layer(2, 2), Tanh()]
        self.named = {"gate": Layer(2, 1), "scale": Tensor(1.0, requires_grad=True)}
        self.pair = (Tensor([1.0], requires_grad=True), Tensor([2.0]))
        self.again = self.first
        self.count = 3


@dataclass
class Case:
    """One network with its data: thetas, inputs, one-hot or soft targets, lambda."""

    theta1: Array
    theta2: Array
    x: Array
    y: Array
    lam: float

    def run(self, network: Network) -> tuple[Any, Array, Array]:
        """Run it; OpenBLAS's float32 products may read, and flag, a number beyond a short row."""
        with np.errstate(invalid="ignore"):
            return network(self.theta1, self.theta2, self.x, self.y, self.lam)


@st.composite
def cases(draw: st.DrawFn, dtype: Any) -> Case:
    """Draw sizes, scales, weights, inputs, targets and lambda."""
    m, n, h, k = (draw(st.integers(1, limit)) for limit in (12, 9, 7, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    # Written out, the cost loses digits in 1 - a where a is near 1: not for the case of float32.
    scale = draw(st.sampled_from([0.12, 1.0] if dtype == np.float32 else [0.12, 1.0, 2.0]))
    y = np.eye(k)[rng.integers(0, k, m)]
    if draw(st.booleans()):
        y = rng.uniform(0, 1, (m, k))
    lam = draw(st.sampled_from([0.0, 0.1, 1.0, 30.0]))
    return Case(
        rng.uniform(-scale, scale, (h, n + 1)).astype(dtype),
        rng.uniform(-scale, scale, (k, h + 1)).astype(dtype),
        rng.standard_normal((m, n)).astype(dtype),
        y.astype(dtype),
        lam,
    )


def with_modules(theta1: Array, theta2: Array, x: Array, y: Array, lam: float) -> Any:
    """Write it with modules, as the README does."""
    layers = [Layer(t.shape[1] - 1, len(t), dtype=t.dtype) for t in (theta1, theta2)]
    for layer, theta in zip(layers, (theta1, theta2), strict=True):
        layer.theta = theta
    model = Sequential(layers[0], Sigmoid(), layers[1], Sigmoid())
    cost = CrossEntropy()(model(x), y) + l2_penalty(model, lam, examples=len(x))
    cost.backward()
    return cost.data, *(np.column_stack([layer.bias.grad, layer.weight.grad]) for layer in layers)


def with_operators(theta1: Array, theta2: Array, x: Array, y: Array, lam: float) -> Any:
    """Write it with operators on Tensors, biases apart."""
    parts = (theta1[:, 0], theta1[:, 1:], theta2[:, 0], theta2[:, 1:])
    b1, w1, b2, w2 = tensors = [Tensor(part, requires_grad=True) for part in parts]
    a2 = sigmoid(x @ w1.T + b1)
    a3 = sigmoid(a2 @ w2.T + b2)
    m = len(x)
    cost = -(y * np.log(a3) + (1 - y) * np.log(1 - a3)).sum() / m
    cost = cost + lam / (2 * m) * ((w1**2).sum() + (w2**2).sum())
    cost.backward()
    b1g, w1g, b2g, w2g = (t.grad for t in tensors)
    return cost.data, np.column_stack([b1g, w1g]), np.column_stack([b2g, w2g])


def tutorial_cost(theta1: Any, theta2: Any, x: Array, y: Array, lam: float) -> Any:
    """Compute the cost as the first tutorial does, bias columns and all; thetas may be Tensors."""
    m = x.shape[0]
    ones = np.ones((m, 1), x.dtype)
    a1 = np.concatenate((ones, x), axis=1)
    a2 = 1 / (1 + np.exp(-(a1 @ theta1.T)))
    a2 = np.concatenate((ones, a2), axis=1)
    a3 = 1 / (1 + np.exp(-(a2 @ theta2.T)))
    cost = 1 / m * np.sum(np.sum(-y * np.log(a3) - (1 - y) * np.log(1 - a3), axis=1))
    penalty = lam / (2 * m) * (np.sum(theta1[:, 1:] ** 2) + np.sum(theta2[:, 1:] ** 2))
    return cost + penalty


def with_tutorial_cost(theta1: Array, theta2: Array, x: Array, y: Array, lam: float) -> Any:
    """Run the tutorial's own cost expression on Tensors."""
    t1, t2 = Tensor(theta1, requires_grad=True), Tensor(theta2, requires_grad=True)
    cost = tutorial_cost(t1, t2, x, y, lam)
    cost.backward()
    return cost.data, t1.grad, t2.grad


WAYS: dict[str, Network] = {
    "modules": with_modules,
    "operators": with_operators,
    "tutorial cost": with_tutorial_cost,
}
