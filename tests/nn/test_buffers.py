"""Buffers and states: what a module keeps beside its parameters, and what goes into a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from oracles.digit_networks import Nested
from oracles.digit_networks import small_network as network
from tools.refusals import assert_refused

from autonn import (
    Layer,
    Module,
    Sequential,
    Tensor,
    optim,
)


class Norm(Module):
    """It keeps a running mean, which no optimiser learns."""

    def __init__(self) -> None:
        self.scale = Tensor(np.ones(2), requires_grad=True)
        self.mean = Tensor(np.zeros(2))
        self.count = Tensor(0)
        self.past = [Tensor([1.0]), {"old": Tensor(np.ones((1, 2), np.float32))}]

    def forward(self, x: Any) -> Any:
        if self.training:
            self.count.data = self.count.data + 1
            self.mean.data = 0.5 * self.mean.data + 0.5 * x.numpy().mean(axis=0)
        return x * self.scale - self.mean


def normed() -> Sequential:
    return Sequential(Layer(2, 2, rng=0), Norm())


def test_buffers_are_the_tensors_without_a_gradient_wherever_they_stand() -> None:
    model = normed()
    names = ["1.mean", "1.count", "1.past.0", "1.past.1.old"]
    assert list(dict(model.named_buffers())) == names
    assert all(
        a is b for a, b in zip(model.buffers(), dict(model.named_buffers()).values(), strict=True)
    )
    assert list(dict(model.named_parameters())) == ["0.weight", "0.bias", "1.scale"]
    assert list(model.state_dict()) == ["0.weight", "0.bias", "1.scale", *names]
    model[1].twin = model[1].mean
    assert list(dict(model.named_buffers())) == names  # one that is shared has one name
    model[1].scale.requires_grad = False  # frozen: a buffer, until it is set free
    assert list(dict(model.named_buffers())) == ["1.scale", *names]
    assert list(model.state_dict()) == ["0.weight", "0.bias", "1.scale", *names]
    model[1].scale.requires_grad = True
    assert list(dict(model.named_buffers())) == names


def test_a_buffer_follows_the_training_and_no_optimizer() -> None:
    model = normed()
    X = np.random.default_rng(0).standard_normal((5, 2))
    model(Tensor(X).detach())
    fed = model[0].predict(X).mean(axis=0)
    np.testing.assert_allclose(model[1].mean.data, fed / 2, rtol=1e-15)
    assert model[1].count.data == 1
    model.predict(X)
    assert model[1].count.data == 1
    optimizer = optim.SGD(model, 0.1)
    assert len(optimizer.parameters) == 3
    assert all(p.requires_grad for p in optimizer.parameters)


@pytest.mark.parametrize("make", [network, normed, Nested])
def test_a_state_goes_from_one_model_to_another(make: Callable[[], Module]) -> None:
    model, other = make(), make()
    rng = np.random.default_rng(1)
    for tensor in [*model.parameters(), *model.buffers()]:
        tensor.data = rng.integers(1, 9, tensor.shape).astype(tensor.dtype)
    state = model.state_dict()
    other.load_state_dict(state)
    for name, array in other.state_dict().items():
        assert array.dtype == state[name].dtype
        np.testing.assert_array_equal(array, state[name])
    for array in state.values():
        array[...] = 0  # they are copies, both ways
    assert not any(np.any(t.data == 0) for t in [*model.parameters(), *other.parameters()])


def test_a_state_that_differs_is_refused_whole_with_all_differences() -> None:
    model = normed()
    before = model.state_dict()
    state = model.state_dict() | {"0.weight": np.ones((3, 2)), "1.scale": np.ones(2, complex)}
    words = ["Layer(2, 2)", "0.weight is float64 (3, 2)", "float64 (2, 2)", "1.scale is complex128"]
    assert_refused(lambda: model.load_state_dict(state), ValueError, words)
    del state["1.mean"]
    state["more"] = np.ones(1)
    words += ["1.mean is missing", "more is unknown"]
    assert_refused(lambda: model.load_state_dict(state), ValueError, words)
    assert_refused(lambda: model.load_state_dict(state), KeyError, words)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    model.load_state_dict(before | {"1.scale": np.array([2, 3], np.float32)})  # as exact as before
    assert model[1].scale.dtype == np.float64
    model.a = [Tensor(1.0)]
    setattr(model[1], "past.0", Tensor(1.0))
    assert_refused(model.state_dict, ValueError, ["same name"])


def test_modules_made_in_a_call_have_their_buffers() -> None:
    class Lazy(Module):
        inner: Any = None

        def forward(self, x: Any) -> Any:
            if self.inner is None:
                self.inner = Norm()
                self.weight = Tensor(1.0, requires_grad=True)
            return self.inner(Tensor(x)) * self.weight

    model = Lazy()
    model(np.ones((3, 2)))
    assert set(dict(model.named_parameters())) == {"inner.scale", "weight"}
    assert set(dict(model.named_buffers())) == {
        f"inner.{name}" for name, _ in Norm().named_buffers()
    }
