"""Results that a module keeps in its attributes are neither parameters nor buffers."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from autonn import (
    Layer,
    Module,
    Tensor,
    no_grad,
    optim,
    sigmoid,
)


class Keeping(Module):
    """As well-known lectures write it: each result is kept in an attribute."""

    def __init__(self) -> None:
        self.inner = Layer(2, 2, rng=0)
        self.outs: list[Tensor] = []

    def forward(self, x: Any) -> Tensor:
        self.out = self.inner(x)
        self.squashed: Tensor = sigmoid(self.out)
        self.halves = {"one": self.out * 0.5}
        squashed: Tensor = self.squashed
        return squashed


class Twice(Module):
    """It keeps what another module made."""

    def __init__(self) -> None:
        self.first = Keeping()

    def forward(self, x: Any) -> Tensor:
        z: Tensor = self.first(x)
        setattr(self.first, "note", z + 1)  # noqa: B010
        self.keep(z)
        return z

    def keep(self, z: Tensor) -> None:
        self.last = z * 2


@pytest.mark.parametrize("way", ["recorded", "predict", "training without a graph"])
def test_a_result_that_is_kept_is_neither_a_parameter_nor_a_buffer(way: str) -> None:
    model = Twice()
    names = list(dict(model.named_parameters()))
    state = model.state_dict()
    if way == "predict":
        model.predict(np.ones((3, 2)))
    elif way == "recorded":
        model(np.ones((3, 2)))
    else:
        with no_grad():
            model(np.ones((3, 2)))
    assert isinstance(vars(model.first)["note"], Tensor)
    assert list(dict(model.named_parameters())) == names
    assert list(model.state_dict()) == list(state) == names
    assert model.buffers() == []
    assert len(optim.SGD(model, 0.1).parameters) == 2
    model.load_state_dict(state)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert list(twin.state_dict()) == names
        np.testing.assert_array_equal(twin.predict(np.ones((3, 2))), model.predict(np.ones((3, 2))))
    model.last = Tensor(1.0)  # set from outside, it is the module's own
    assert list(dict(model.named_buffers())) == ["last"]


def test_a_result_set_from_outside_is_none_of_the_module_either() -> None:
    model = Layer(2, 2, rng=0)
    names = list(model.state_dict())
    model.note = model(np.ones((3, 2)))
    assert list(dict(model.named_parameters())) == list(model.state_dict()) == names
    assert len(optim.SGD(model, 0.1).parameters) == 2
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert not hasattr(twin, "note")
        np.testing.assert_array_equal(twin.theta, model.theta)
