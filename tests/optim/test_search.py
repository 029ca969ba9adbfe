"""The searches by SciPy."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info
from tools.descents import (
    SEARCHES,
    X,
    Y,
    cost_of,
    network,
    rosenbrock,
)

from autonn import CrossEntropy, Tensor, fit, optim


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_ends_at_the_best_iterate_also_when_it_is_interrupted(name: str) -> None:
    for limit in range(3, 30):
        x = Tensor([-1.2, 1.0], requires_grad=True)
        calls: list[int] = []

        def cost(calls: list[int] = calls, limit: int = limit, x: Tensor = x) -> Any:
            calls.append(0)
            if len(calls) == limit:
                raise KeyboardInterrupt
            return rosenbrock(x)

        optimizer = SEARCHES[name]([x])
        with pytest.raises(KeyboardInterrupt):
            optimizer.minimize(cost, 50)
        assert [24.2, *optimizer.costs][-1] == pytest.approx(rosenbrock(x.numpy()), rel=1e-12)


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_holds_scipys_blas_to_one_thread_and_leaves_numpys_alone(name: str) -> None:
    def threads() -> dict[str, int]:
        return {p["filepath"]: p["num_threads"] for p in threadpool_info()}

    import scipy.optimize  # noqa: F401  so that its library is loaded before

    before, during = threads(), []
    x = Tensor([3.0], requires_grad=True)

    def cost() -> Tensor:
        during.append(threads())
        return np.sum(x * x)

    SEARCHES[name]([x]).minimize(cost, 3)
    assert threads() == before
    for path, count in during[0].items():
        assert count == (1 if "scipy.libs" in path else before[path])


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_works_in_float32(name: str) -> None:
    model = network(dtype=np.float32)
    optimizer = SEARCHES[name](model)

    def cost() -> Tensor:
        return CrossEntropy()(model(X.astype(np.float32)), Y)

    optimizer.minimize(cost, 20)
    assert optimizer.costs[-1] < 0.8 * cost_of(network()).item()
    assert cost().item() == pytest.approx(optimizer.costs[-1], rel=1e-5)
    assert model[0].weight.dtype == np.float32


@pytest.mark.parametrize("name", SEARCHES)
def test_a_parameter_that_the_cost_does_not_need_stays(name: str) -> None:
    x, idle = Tensor([3.0], requires_grad=True), Tensor([[7.0]], requires_grad=True)
    SEARCHES[name]([idle, x]).minimize(lambda: np.sum((x - 1) ** 2), 5)
    assert x.data == pytest.approx(1)
    assert idle.data == 7


@pytest.mark.parametrize("method", ["trust-ncg", "newton-cg"])
def test_newton_finds_the_bottom_of_rosenbrocks_valley(method: str) -> None:
    x = Tensor([-1.2, 1.0], requires_grad=True)
    optimizer = optim.Newton([x], method=method)
    optimizer.minimize(lambda: rosenbrock(x), 100)
    np.testing.assert_allclose(x.data, 1, atol=1e-8)
    assert np.all(np.diff(optimizer.costs) <= 0)
    assert len(optimizer.costs) < 100


@pytest.mark.parametrize("method", ["trust-ncg", "newton-cg"])
def test_newton_solves_a_quadratic_at_once_by_exact_products(method: str) -> None:
    A = np.array([[4.0, 1.0, 0.0], [1.0, 3.0, 0.5], [0.0, 0.5, 2.0]])
    x = Tensor(np.zeros(3), requires_grad=True)
    b = np.array([0.1, -0.2, 0.3])
    optimizer = optim.Newton([x], method=method)
    optimizer.minimize(lambda: x @ A @ x / 2 - x @ b, 20)
    np.testing.assert_allclose(x.data, np.linalg.solve(A, b), rtol=1e-12)
    assert len(optimizer.costs) <= 4


def test_one_graph_serves_all_the_products_at_a_point() -> None:
    model = network()
    calls: list[int] = []

    def cost() -> Tensor:
        calls.append(0)
        return cost_of(model)

    optimizer = optim.Newton(model)
    optimizer.minimize(cost, 10)  # with about 100 products
    assert len(calls) <= 1 + 2 * len(optimizer.costs)


def test_lbfgs_takes_the_iterations_it_was_given_however_many_costs_they_need() -> None:
    x = Tensor([-1.2, 1.0], requires_grad=True)
    calls: list[int] = []

    def cost() -> Any:
        calls.append(0)
        return rosenbrock(x)

    optimizer = optim.LBFGS([x])
    optimizer.minimize(cost, 20)
    assert len(optimizer.costs) == 20 < len(calls)


def test_lbfgs_remembers_as_many_steps_as_it_is_told() -> None:
    costs = {}
    for memory in (1, 2, 7):
        x = Tensor([-1.2, 1.0], requires_grad=True)
        optimizer = optim.LBFGS([x], memory=memory)
        optimizer.minimize(functools.partial(rosenbrock, x), 12)
        costs[memory] = optimizer.costs
    assert costs[1][:2] == costs[2][:2] == costs[7][:2]  # there is one step to remember
    assert costs[1][3:] != costs[2][3:]
    assert costs[2][4:] != costs[7][4:]


def test_newton_brings_a_network_further_than_gradient_descent() -> None:
    start = cost_of(network()).item()
    costs = {}
    for name, optimizer in (("Newton", optim.Newton()), ("SGD", optim.SGD(lr=0.5))):
        model = network()
        options: dict[str, Any] = {"loss": CrossEntropy(), "optimizer": optimizer, "l2": 1.0}
        history = fit(model, X, Y, epochs=40, **options)
        costs[name] = history.cost[-1]
    assert costs["Newton"] < costs["SGD"] < start


def test_the_callback_of_newton_sees_the_iterate_not_the_point_last_tried() -> None:
    """trust-ncg tries steps that it then does not take: a history must not show those."""
    x = Tensor([-1.2, 1.0], requires_grad=True)
    optimizer = optim.Newton([x])
    seen: list[float] = []
    optimizer.minimize(lambda: rosenbrock(x), 60, lambda cost: seen.append(rosenbrock(x.numpy())))
    assert seen == pytest.approx(optimizer.costs, rel=1e-13)
    assert len(set(seen)) < len(seen)  # there were such steps
