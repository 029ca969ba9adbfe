"""A run looks at its own program: what no guard can see is found after a few steps."""

from __future__ import annotations

import decimal
from typing import Any

import numpy as np
import pytest
from tools.runs import close, network, train

from autonn import (
    Linear,
    MeanSquaredError,
    Sequential,
    Tensor,
    fit,
    optim,
    random,
    train_step,
)
from autonn.training.selfcheck import CheckedStep, is_unsteady


class Hidden(Sequential):
    """Reads what nothing follows: a state that an operator of C computes by."""

    def forward(self, x: Any) -> Tensor:
        scaled: Tensor = super().forward(x) * float(3 * (decimal.Decimal(1) / 3))
        return scaled


@pytest.mark.parametrize("step", [1, 2, 3, 5, 9])
def test_a_change_that_nothing_guards_is_found_within_twice_the_steps(
    step: int,
) -> None:
    found: list[int] = []

    def callback(history: Any) -> None:
        if len(history) == step:
            decimal.getcontext().prec = 1
        if history.compiled is False and not found:
            found.append(len(history))

    with decimal.localcontext(), pytest.warns(RuntimeWarning, match="given up"):
        history = train(Hidden(*network().modules), epochs=40, callbacks=[callback])
    assert found[0] <= 2 * step + 1
    assert f"in step {found[0]}" in history.why_not


def test_a_step_that_differs_is_given_up_with_a_warning() -> None:
    class Wrong:
        def __init__(self, right: Any) -> None:
            self.right = right

        def __call__(self, *batch: Any) -> Any:
            cost, correct, gradients = self.right(*batch)
            return cost, correct, [2 * g for g in gradients]

    seen = []
    original = CheckedStep.__init__

    def planted(self: CheckedStep, run: Any, program: Any) -> None:
        original(self, run, Wrong(program))
        seen.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CheckedStep, "__init__", planted)
        with pytest.warns(RuntimeWarning, match="given up"):
            history = train(network(), epochs=6)
    assert history.compiled is False
    assert "in step 2" in history.why_not
    assert seen[0].count == 6


def test_looking_leaves_no_trace() -> None:
    models, costs = [], []
    for checked in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            if not checked:
                patch.setattr(CheckedStep, "compare", lambda *args: None)
            models.append(network())
            costs.append(train(models[-1], epochs=9).cost)
    assert costs[0] == costs[1]
    close(models[0], models[1], 0.0)


@pytest.mark.parametrize("by_step", [False, True])
def test_a_generator_beside_the_model_is_given_back_too(by_step: bool) -> None:
    """Of a module's or a function's surroundings, as where the noise of a VAE comes from."""

    def trained(compile: bool | None) -> tuple[Any, list[float]]:
        rng = np.random.default_rng(0)

        class Noisy(Sequential):
            def forward(self, x: Any) -> Any:
                return super().forward(x) + random.normal(rng, (len(x), 1))

        model, X = Noisy(Linear(2, 1, rng=0)), np.random.default_rng(1).normal(size=(20, 2))
        if by_step:
            step = train_step(model, MeanSquaredError(), optim.SGD(lr=0.1), compile=compile)
            return step, [step(X, X[:, :1]) for _ in range(9)]
        history = fit(
            model, X, X[:, :1], MeanSquaredError(), optim.SGD(lr=0.1), epochs=9, compile=compile
        )
        return history, history.cost

    told, costs = trained(None)
    assert told.compiled
    np.testing.assert_allclose(costs, trained(False)[1], rtol=1e-12)


def test_what_a_rounding_of_the_inputs_moves_is_no_fault() -> None:
    """As the slope of a relu does at its kink, which may be 0 or 1 by the last digit."""

    def step(X: Any, y: Any) -> Any:
        return float(np.sum(y)), (), [np.where(X["x"] > 1, 1.0, 0.0), X["k"]]

    y, counts = np.ones(2), np.arange(3)
    for x, unsteady in ((1.0, True), (1.1, False), (0.9, False)):
        batch = {"x": np.full(2, x), "k": counts}, y
        assert is_unsteady(step, batch, step(*batch), network()) is unsteady
