"""L-BFGS with a tolerance, and between bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import optimize
from tools.refusals import assert_refused
from tools.runs import X, Y, train

from autonn import CrossEntropy, Layer, Sequential, Sigmoid, Tensor, optim


def rosenbrock(x: Any) -> Any:
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


@pytest.mark.parametrize("bounds", [(None, 0.5), (-2.0, 0.25), (1.5, None), {"0": (None, 0.7)}])
def test_the_minimum_within_bounds_is_that_of_scipy(bounds: Any) -> None:
    x = Tensor([-1.2, 2.0], requires_grad=True)
    optim.LBFGS([x], bounds=bounds).minimize(lambda: rosenbrock(x), iterations=200)
    low, high = bounds["0"] if isinstance(bounds, dict) else bounds
    found = optimize.minimize(
        rosenbrock, [-1.2, 2.0], method="L-BFGS-B", bounds=[(low, high)] * 2
    ).x
    np.testing.assert_allclose(x.data, found, rtol=1e-3)
    assert low is None or (x.data >= low).all()
    assert high is None or (x.data <= high).all()


def test_only_what_a_pattern_names_is_bound() -> None:
    def run(**options: Any) -> Sequential:
        model = Sequential(Layer(5, 3, rng=0), Sigmoid())
        train(model, optimizer=optim.LBFGS(**options), epochs=60)
        return model

    model = run(bounds={"*.weight": (0, 0.5)})
    assert model[0].weight.data.min() == 0.0
    assert model[0].weight.data.max() <= 0.5
    assert model[0].bias.data.min() < 0
    free = run()
    assert free[0].weight.data.min() < 0


def test_a_search_is_made_again_from_its_params() -> None:
    for bounds in ((0, None), {"*.weight": (None, 1.5)}, [-1, 1]):
        search = optim.LBFGS(tolerance=1e-3, bounds=bounds)  # type: ignore[arg-type]
        twin = optim.LBFGS(**search.get_params())
        assert twin.bounds is search.bounds is bounds
        assert repr(twin) == f"LBFGS(tolerance=0.001, bounds={bounds!r})"


def test_what_begins_outside_begins_at_the_bound() -> None:
    x = Tensor([5.0], requires_grad=True)
    optim.LBFGS([x], bounds=(-1, 1)).minimize(lambda: -np.sum(x), iterations=5)
    assert x.item() == 1.0


def test_a_tolerance_stops_sooner_or_later() -> None:
    counts, costs = [], []
    for tolerance in (1e-2, None, 1e-13):
        model = Sequential(Layer(5, 3, rng=0), Sigmoid())
        history = train(model, optimizer=optim.LBFGS(tolerance=tolerance), l2=1.0, epochs=500)
        counts.append(len(history))
        costs.append(history.cost[-1])
    assert counts[0] < counts[1] < counts[2] < 500
    assert costs[0] > costs[1] >= costs[2]
    (CrossEntropy()(model(X), Y)).backward()
    gradient = model[0].weight.grad + model[0].weight.data / len(X)
    assert np.abs(gradient).max() < 1e-7


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"tolerance": 0}, ValueError, ["tolerance", "positive"]),
        ({"bounds": 3}, TypeError, ["bounds", "(low, high)", "3"]),
        ({"bounds": (2, 1)}, ValueError, ["from low to high", "2.0"]),
        ({"bounds": ("a", 1)}, TypeError, ["bounds", "'a'"]),
        ({"bounds": (float("nan"), 1)}, ValueError, ["bounds", "nan"]),
        ({"bounds": {"b": (0, 1)}}, ValueError, ["'b'", "there are 0"]),
    ],
    ids=range(6),
)
def test_bounds_and_tolerances_that_are_none_are_refused(
    given: Any, error: Any, words: list[str]
) -> None:
    x = Tensor([1.0], requires_grad=True)
    assert_refused(lambda: optim.LBFGS([x], **given), error, words)
