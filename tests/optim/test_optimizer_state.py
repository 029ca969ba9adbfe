"""What an optimiser remembers can be kept, copied and taken up again."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tools.descents import (
    GRADIENTS,
    MAKERS,
    WAYS,
    Make,
    X,
    Y,
    network,
    tensors,
    walked,
)
from tools.refusals import assert_refused

from autonn import CrossEntropy, Tensor, fit, optim


def through_file(optimizer: optim.StepOptimizer, make: Make) -> optim.StepOptimizer:
    file = io.BytesIO()
    np.savez(file, **optimizer.state_dict())
    file.seek(0)
    parameters = [Tensor(p.data, requires_grad=True) for p in optimizer.parameters]
    other = make(parameters, lr=optimizer.lr)
    with np.load(file, allow_pickle=False) as state:
        other.load_state_dict(dict(state))
    return other


TRANSPORTS: dict[str, Callable[[Any, Make], optim.StepOptimizer]] = {
    "file": through_file,
    "pickle": lambda optimizer, make: pickle.loads(pickle.dumps(optimizer)),
    "deepcopy": lambda optimizer, make: copy.deepcopy(optimizer),
}


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("way", WAYS)
def test_training_goes_on_bit_for_bit(way: str, dtype: Any, transport: str) -> None:
    whole = MAKERS[way](tensors(dtype), lr=optim.cosine(0.01, steps=60))
    walked(whole, GRADIENTS[:20])
    resumed = TRANSPORTS[transport](whole, MAKERS[way])
    expected = walked(whole, GRADIENTS[20:])
    for one, other in zip(walked(resumed, GRADIENTS[20:]), expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not any(a is b for a, b in zip(resumed.parameters, whole.parameters, strict=True))
    assert resumed.steps == 50


def test_a_state_is_a_copy_both_ways() -> None:
    optimizer = optim.Adam(tensors())
    optimizer.apply(GRADIENTS[0])
    state = optimizer.state_dict()
    m = state["m.0"].copy()
    other = optim.Adam(tensors())
    other.load_state_dict(state)
    optimizer.apply(GRADIENTS[1])
    other.apply(GRADIENTS[1])
    np.testing.assert_array_equal(state["m.0"], m)


def test_a_state_may_be_that_of_the_beginning() -> None:
    assert optim.SGD(lr=1.0).state_dict() == {"steps": 0}
    stepped = optim.Adam(tensors())
    stepped.apply(GRADIENTS[0])
    stepped.load_state_dict(optim.Adam(tensors()).state_dict())
    assert stepped.steps == 0
    assert not any(np.any(value) for value in stepped.state_dict().values())


def test_binding_the_same_parameters_again_keeps_the_moments() -> None:
    model, other = network(), network()
    options: dict[str, Any] = {"loss": CrossEntropy(), "batch_size": 20}
    twice, once = optim.Adam(lr=0.1), optim.Adam(lr=0.1)
    rng = np.random.default_rng(0)
    for _ in range(2):
        fit(model, X, Y, optimizer=twice, epochs=3, seed=rng, **options)
    fit(other, X, Y, optimizer=once, epochs=6, seed=0, **options)
    np.testing.assert_array_equal(model[0].theta, other[0].theta)
    twice.bind(network())
    state = twice.state_dict()
    assert state.pop("steps") == 0
    assert not any(np.any(value) for value in state.values())


def test_a_state_of_another_kind_is_refused_whole() -> None:
    optimizer = optim.Adam(tensors())
    optimizer.apply(GRADIENTS[0])
    good = optimizer.state_dict()
    bad = good | {"m.0": good["m.0"][:1], "s.1": good["s.1"].astype(complex), "t.0": -1, "u": 1}
    del bad["t.1"]
    words = ["Adam", "t.1 is missing", "u is unknown", "m.0", "(1, 4)", "complex128", "t.0 is -1"]
    assert_refused(lambda: optimizer.load_state_dict(bad), ValueError, words)
    for name, value in optimizer.state_dict().items():
        np.testing.assert_array_equal(value, good[name])
    lbfgs = optim.LBFGS(tensors())
    lbfgs.load_state_dict(lbfgs.state_dict())
    assert_refused(lambda: lbfgs.load_state_dict(good), ValueError, ["LBFGS", "m.0 is unknown"])
