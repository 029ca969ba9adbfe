"""The search for a learning rate: what it tries, where it ends, and that nothing is changed."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from tools.refusals import assert_refused
from tools.runs import X, Y, dropping, network, train

from autonn import BatchNorm1d, CrossEntropy, Layer, MeanSquaredError, Sequential, fit, optim
from autonn.training import RateSearch, find_rate
from autonn.training.rates import _steepest as steepest

GIVEN: dict[str, Any] = {"loss": CrossEntropy(), "optimizer": optim.SGD(lr=0.1)}


def test_rates_grow_evenly_and_costs_are_those_of_a_run_with_them() -> None:
    model = network()
    found = find_rate(model, X, Y, low=1e-4, high=1.0, steps=9, batch_size=None, **GIVEN)
    np.testing.assert_allclose(found.rates, np.logspace(-4, 0, 9), rtol=1e-12)
    rates = found.rates
    history = train(network(), optimizer=optim.SGD(lr=lambda step: rates[step]), epochs=9)
    np.testing.assert_allclose(found.costs, history.cost, rtol=1e-12)
    means = []
    for k in range(9):
        shares = 0.98 ** np.arange(k, -1, -1)
        means.append(np.average(found.costs[: k + 1], weights=shares))
    np.testing.assert_allclose(found.smooth, means, rtol=1e-12)


def test_model_optimiser_and_chance_are_as_before() -> None:
    model = Sequential(*dropping().modules[:2], BatchNorm1d(4), *dropping().modules[2:])
    optimizer = optim.Adam(lr=0.05).bind(model)
    before = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    draws = model[3].rng.bit_generator.state
    one = find_rate(model, X, Y, loss=CrossEntropy(), optimizer=optimizer, steps=20)
    assert model[3].rng.bit_generator.state == draws
    assert optimizer.lr == 0.05
    for old, new in zip(before, (model.state_dict(), optimizer.state_dict()), strict=True):
        for name, value in old.items():
            assert np.array_equal(new[name], value), name
    assert find_rate(model, X, Y, loss=CrossEntropy(), optimizer=optimizer, steps=20) == one


def test_the_suggestion_learns_and_the_search_ends_where_it_diverges() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    y = x @ [[1.0], [2.0], [3.0]]
    options: dict[str, Any] = {"loss": MeanSquaredError(), "optimizer": optim.SGD(lr=1.0)}
    found = find_rate(Layer(3, 1, rng=0), x, y, high=1e3, **options)
    assert len(found) < 100
    assert found.suggestion is not None
    good = Layer(3, 1, rng=0)
    history = fit(good, x, y, loss=MeanSquaredError(), optimizer=optim.SGD(lr=found.suggestion),
                  epochs=5, batch_size=32, seed=0)  # fmt: skip
    assert history.cost[-1] < history.cost[0] / 10
    batches = find_rate(Layer(3, 1, rng=0), [(x, y)], steps=30, **options)
    assert len(batches) == 30


def test_the_steepest_fall_is_found_and_none_where_nothing_falls() -> None:
    rates = np.logspace(-4, 0, 41).tolist()
    costs = [2 - 1 / (1 + np.exp(-4 * (np.log10(r) + 2))) for r in rates]
    falls = RateSearch(rates, costs, costs)
    assert steepest(falls) == pytest.approx(1e-2)
    noise = [*(2.0, 1.95, 2.04), *costs[3:]]  # by chance, of which the first fall is steep
    assert steepest(RateSearch(rates, noise, noise)) == pytest.approx(1e-2)
    assert steepest(RateSearch(rates, rates, rates)) is None
    assert steepest(RateSearch()) is None


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"optimizer": optim.LBFGS()}, TypeError, ["LBFGS", "single steps"]),
        ({"optimizer": optim.groups(optim.Adam(), {"0": None})}, TypeError, ["Groups", "one rate"]),
        ({"low": 1.0, "high": 0.1}, ValueError, ["from low to high", "1.0"]),
        ({"low": 0}, ValueError, ["low", "positive"]), ({"steps": 2}, ValueError, ["steps", "3"]),
        ({"loss": 3}, TypeError, ["loss", "3"]),
        ({"epochs": 3}, TypeError, ["epochs", "give steps="]),
    ],
    ids=range(7),
)  # fmt: skip
def test_what_cannot_be_searched_is_refused(given: Any, error: Any, words: list[str]) -> None:
    assert_refused(lambda: find_rate(network(), X, Y, **(GIVEN | given)), error, words)
