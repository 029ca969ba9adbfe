"""What a cost function may return, and what a callback is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from oracles.optimisers import Array
from tools.descents import (
    ALL,
    SEARCHES,
    X,
    Y,
    cost_of,
    network,
)

from autonn import CrossEntropy, Module, Sigmoid, hvp


def hessian_product(model: Module) -> Callable[[list[Array]], Any]:
    def cost(*values: Any) -> Any:
        affine1, affine2 = values[:2], values[2:]
        hidden = np.tanh(X @ affine1[0].T + affine1[1])
        z = hidden @ affine2[0].T + affine2[1]
        return CrossEntropy()(Sigmoid()(z), Y)

    return lambda vectors: hvp(cost, tuple(p.numpy() for p in model.parameters()), tuple(vectors))


@pytest.mark.parametrize("name", ALL)
def test_a_cost_function_may_return_the_gradients_itself(name: str) -> None:
    model, other = network(), network()
    by_tensor, by_pair = ALL[name](model), ALL[name](other)

    def pair() -> tuple[float, list[Array]]:
        loss = cost_of(other)
        other.zero_grad()
        loss.backward()
        return loss.item(), [p.grad for p in other.parameters()]

    more = {} if name not in ("trust-ncg", "newton-cg") else {"product": hessian_product(other)}
    by_tensor.minimize(lambda: cost_of(model), 8)
    by_pair.minimize(pair, 8, **more)
    assert by_pair.costs == pytest.approx(by_tensor.costs, rel=1e-13 if not more else 1e-9)
    assert by_tensor.costs[-1] < by_tensor.costs[0]
    if not more:
        np.testing.assert_array_equal(model[0].theta, other[0].theta)


@pytest.mark.parametrize("name", ALL)
def test_the_callback_is_told_each_cost_and_may_stop(name: str) -> None:
    model = network()
    told: list[float] = []
    here: list[float] = []

    def callback(cost: float) -> None:
        told.append(cost)
        here.append(cost_of(model).item())
        if len(told) == 3:
            raise StopIteration

    optimizer = ALL[name](model)
    optimizer.minimize(lambda: cost_of(model), 50, callback)
    assert told == optimizer.costs
    assert len(told) == 3
    if name in SEARCHES:  # of a search, the costs are those after each step
        assert here == pytest.approx(told, rel=1e-14)
        assert cost_of(model).item() == pytest.approx(told[-1], rel=1e-14)
    else:
        assert here[:2] == told[1:]
