"""A step that is written down elsewhere does what the optimisers do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tools.exit_networks import NETWORKS
from tools.javascript import NODE, furthest, program_of, run_javascript

import autonn as an
from autonn import nn, optim
from autonn.exits.learning import learning_step, start_of

OPTIMISERS: list[Any] = [
    lambda: optim.SGD(lr=0.1), lambda: optim.SGD(lr=0.1, momentum=0.9),
    lambda: optim.SGD(lr=0.1, momentum=0.9, nesterov=True), lambda: optim.Adam(lr=0.01),
]  # fmt: skip


@pytest.mark.parametrize("make", OPTIMISERS)
def test_many_steps_are_those_of_the_optimiser(make: Any) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, 3)), np.array([0, 1, 1, 0])
    model = nn.Sequential(nn.Layer(3, 5, rng=0), nn.Tanh(), nn.Layer(5, 2, rng=1))
    loss = an.SoftmaxCrossEntropy()
    step = learning_step(model, loss, make())
    parameters = model.state_dict()
    state = start_of(make(), parameters)
    optimizer = make().bind(model)
    for _ in range(20):
        optimizer.zero_grad()
        cost = loss(model(x), y)
        cost.backward()
        optimizer.step()
        own, parameters, state = step(parameters, state, x, y)
        np.testing.assert_allclose(own, cost.item(), rtol=1e-12)
    for name, array in model.state_dict().items():
        np.testing.assert_allclose(parameters[name], array, rtol=1e-11, atol=1e-13)


@pytest.mark.skipif(NODE is None, reason="node, which runs JavaScript, is not there")
@pytest.mark.parametrize("make", OPTIMISERS)
def test_in_javascript_too(make: Any) -> None:
    model, x = NETWORKS["digits"][0](), NETWORKS["digits"][1][:1]
    step = learning_step(model, an.CrossEntropy(), make())
    parameters, y = model.state_dict(), np.array([3])
    state = start_of(make(), parameters)
    for _ in range(2):
        _, parameters, state = step(parameters, state, x, y)
    args = parameters, state, x, y
    (result,) = run_javascript([program_of(step, *args)])
    assert furthest(result, step(*args)) < 1e-12


def test_what_is_no_plain_step_is_refused() -> None:
    model = nn.Layer(2, 1)
    with pytest.raises(TypeError, match="SGD and Adam are"):
        learning_step(model, an.MeanSquaredError(), optim.LBFGS())
    with pytest.raises(ValueError, match="fixed rate alone"):
        learning_step(model, an.MeanSquaredError(), optim.SGD(lr=0.1, weight_decay=0.1))
