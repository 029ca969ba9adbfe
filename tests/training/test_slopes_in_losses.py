"""Losses made of a derivative by the inputs keep the gradients of the weights: WGAN-GP, PINN."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autonn
from autonn import (
    Layer,
    MeanSquaredError,
    Module,
    Sequential,
    Tanh,
    Tensor,
    compile,
    fit,
    grad,
    gradients,
    optim,
)
from autonn.engine.tensor import values_of

RNG = np.random.default_rng(0)
REAL, FAKE = RNG.standard_normal((6, 2)), RNG.standard_normal((6, 2)) + 1


def critic() -> Sequential:
    return Sequential(Layer(2, 5, rng=0), Tanh(), Layer(5, 1, rng=1))


def gradient_penalty(model: Any, real: Any, fake: Any, share: Any) -> Any:
    """Compute E[f(fake)] - E[f(real)] + 10 E[(|df/dx| - 1)^2] between them."""
    between = share * real + (1 - share) * fake
    slope = grad(lambda x: np.sum(model(x)))(between)
    norm = np.sqrt(np.sum(slope * slope, axis=1))
    return np.mean(model(fake)) - np.mean(model(real)) + 10 * np.mean((norm - 1) ** 2)


def by_hand(model: Any, real: Any, fake: Any, share: Any) -> float:
    """Compute the same in plain NumPy, for differences."""
    w1, b1, w2, b2 = (p.data for p in model.parameters())

    def f(x: Any) -> Any:
        return np.tanh(x @ w1.T + b1) @ w2.T + b2

    between = share * real + (1 - share) * fake
    slope = ((1 - np.tanh(between @ w1.T + b1) ** 2) * w2) @ w1
    norm = np.sqrt((slope**2).sum(axis=1))
    return float(f(fake).mean() - f(real).mean() + 10 * ((norm - 1) ** 2).mean())


def differences(model: Any, cost: Callable[[], float], step: float = 1e-6) -> list[Any]:
    found = []
    for p in model.parameters():
        slope = np.empty(p.shape)
        for place in np.ndindex(*p.shape):
            values = []
            for sign in (1, -1):
                p.data[place] += sign * step
                values.append(cost())
                p.data[place] -= sign * step
            slope[place] = (values[0] - values[1]) / (2 * step)
        found.append(slope)
    return found


def test_a_gradient_penalty_trains_the_critic_eager_and_compiled() -> None:
    model, share = critic(), RNG.random((6, 1))

    def step(real: Any, fake: Any, share: Any) -> Any:
        cost = gradient_penalty(model, real, fake, share)
        return cost.detach(), gradients(cost, model.parameters())

    given = REAL, FAKE, share
    expected = differences(model, lambda: by_hand(model, *given))
    program = compile(step)
    for run in (step, program, program):
        cost, slopes = run(*given)
        assert float(values_of(cost)) == pytest.approx(by_hand(model, *given), rel=1e-12)
        for a, b in zip(slopes, expected, strict=True):
            np.testing.assert_allclose(np.asarray(a), b, rtol=1e-6, atol=1e-7)
    model.zero_grad()
    gradient_penalty(model, *given).backward()
    for p, b in zip(model.parameters(), expected, strict=True):
        slope = np.zeros(p.shape) if p.grad is None else p.grad  # the last bias has none
        np.testing.assert_allclose(slope, b, rtol=1e-6, atol=1e-7)


class Slope(Module):
    """Gives the derivative of a network by its input, as a force is of an energy."""

    def __init__(self) -> None:
        self.net = critic()
        self.net[2].bias.requires_grad = False  # no slope depends on it

    def forward(self, x: Any) -> Any:
        slope = grad(lambda x: np.sum(self.net(x)))(x)
        return slope if isinstance(slope, Tensor) else Tensor(slope)  # where nothing is recorded


def test_fit_and_train_step_learn_a_network_by_its_slope() -> None:
    x = RNG.standard_normal((64, 2))
    y = np.stack([np.cos(x[:, 0]), -0.5 * np.ones(64)], axis=1)
    costs = []
    for compiled in (True, False):
        model = Slope()
        history = fit(
            model, x, y, loss=MeanSquaredError(), optimizer=optim.Adam(lr=0.02), epochs=30,
            batch_size=32, seed=0, compile=compiled,
        )  # fmt: skip
        costs.append(history.cost)
    assert costs[0][-1] < 0.2 * costs[0][0]
    np.testing.assert_allclose(costs[0], costs[1], rtol=1e-9)
    model = Slope()
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    step = autonn.train_step(model, MeanSquaredError(), optimizer)
    first = float(step(x, y))
    assert float([step(x, y) for _ in range(40)][-1]) < 0.5 * first
