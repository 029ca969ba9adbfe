"""Small parameters take their step as one: to the bit what each would take alone."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autonn import Layer, Sequential, Tanh, Tensor, optim
from autonn.optim import together
from autonn.optim.steps import StepOptimizer

SHAPES = [(3, 4), (3,), (70, 70), (1,), (), (2, 3, 2)]
MAKERS: dict[str, Callable[..., Any]] = {
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.1),
    "Adam": lambda p: optim.Adam(p, lr=0.1, clip_norm=2.0),
    "AdamW": lambda p: optim.AdamW(p, lr=optim.cosine(0.1, 300)),
}
each = pytest.mark.parametrize("name", MAKERS)


def parameters(dtype: Any = np.float64) -> list[Tensor]:
    rng = np.random.default_rng(0)
    return [Tensor(rng.standard_normal(s), requires_grad=True, dtype=dtype) for s in SHAPES]


def drawn(rng: np.random.Generator, dtype: Any = np.float64) -> list[Any]:
    return [np.asarray(rng.standard_normal(s)).astype(dtype) for s in SHAPES]


def alone(optimizer: Any) -> Any:
    """Let each parameter take its step alone."""
    optimizer._step_together = lambda gradients, lr, scale: ()
    return optimizer


def same(a: Any, b: Any) -> None:
    for x, y in zip(a.parameters, b.parameters, strict=True):
        assert x.data.tobytes() == y.data.tobytes()
    states = a.state_dict(), b.state_dict()
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        assert np.asarray(value).tobytes() == np.asarray(states[1][name]).tobytes(), name


@each
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_bits_are_those_of_each_alone_whoever_is_without_a_gradient(
    name: str, dtype: Any
) -> None:
    one, other = MAKERS[name](parameters(dtype)), alone(MAKERS[name](parameters(dtype)))
    rng = np.random.default_rng(1)
    for k in range(140):  # beyond the sweep at 128
        gradients = drawn(rng, dtype)
        if k in (3, 4, 20):
            gradients[k % 3] = None
        if k == 7:
            gradients[0] = gradients[0].astype(np.float64)
        for optimizer in (one, other):
            optimizer.apply([g if g is None else g.copy() for g in gradients])
        assert k != 2 or [len(g.places) for g in one._groups] == [5]
    same(one, other)


@each
def test_states_and_copies_go_on_bit_for_bit(name: str) -> None:
    one = MAKERS[name](parameters())
    rng = np.random.default_rng(1)
    for _ in range(3):
        one.apply(drawn(rng))
    twins = [copy.deepcopy(one), pickle.loads(pickle.dumps(one))] if name != "AdamW" else []
    fresh = MAKERS[name](copy.deepcopy(one.parameters))
    fresh.apply(drawn(rng))
    for p, q in zip(fresh.parameters, one.parameters, strict=True):
        p.data = q.data
    fresh.load_state_dict(one.state_dict())
    gradients = drawn(rng)
    for optimizer in (one, fresh, *twins):
        optimizer.apply([g.copy() for g in gradients])
    for optimizer in (fresh, *twins):
        same(one, optimizer)


def test_biases_do_not_decay_and_another_dtype_is_followed() -> None:
    models = [Sequential(Layer(3, 4, rng=0), Tanh(), Layer(4, 2, rng=1)) for _ in range(2)]
    one, other = (optim.AdamW(m, lr=0.1, weight_decay=0.5) for m in models)
    alone(other)
    rng = np.random.default_rng(0)
    for k in range(6):
        if k == 3:
            for model in models:
                model.astype(np.float32)
        gradients = [rng.standard_normal(p.shape).astype(p.dtype) for p in one.parameters]
        for optimizer in (one, other):
            optimizer.apply(gradients)
    same(one, other)
    assert sorted(len(g.places) for g in one._groups or ()) == [2, 2]


def test_momentum_may_be_set_later_and_is_then_remembered_together() -> None:
    one, other = optim.SGD(parameters(), lr=0.1), alone(optim.SGD(parameters(), lr=0.1))
    rng = np.random.default_rng(0)
    for k in range(6):
        one.momentum = other.momentum = 0.9 * (k > 2)
        gradients = drawn(rng)
        one.apply(gradients)
        other.apply(gradients)
    same(one, other)


def test_parameters_in_the_same_memory_take_their_steps_in_turn() -> None:
    def pair() -> list[Tensor]:
        held = np.ones(4)
        return [Tensor(held, requires_grad=True, copy=False) for _ in range(2)]

    one, other = optim.RMSprop(pair(), lr=0.1), alone(optim.RMSprop(pair(), lr=0.1))
    for optimizer in (one, other):
        optimizer.apply([np.ones(4), np.ones(4)])
    same(one, other)


class ByNorm(optim.Adam):
    """A step that looks at the parameter as a whole."""

    def _update(self, data: Any, gradient: Any, lr: float, scale: float, slot: Any) -> None:
        data -= lr * gradient / np.linalg.norm(gradient)


def test_an_optimiser_of_ones_own_takes_each_parameter_alone() -> None:
    ps = parameters()
    before, gradients = [p.numpy() for p in ps], drawn(np.random.default_rng(0))
    ByNorm(ps, lr=0.5).apply(gradients)
    for p, start, g in zip(ps, before, gradients, strict=True):
        np.testing.assert_allclose(p.data, start - 0.5 * g / np.linalg.norm(g), rtol=1e-12)
    assert not StepOptimizer.elementwise


def test_a_wrong_place_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = together.Together.__init__

    def wrong(self: Any, *args: Any) -> None:
        right(self, *args)
        self.parts[0] = self.parts[0][::-1]

    monkeypatch.setattr(together.Together, "__init__", wrong)
    with pytest.raises(AssertionError):
        test_the_bits_are_those_of_each_alone_whoever_is_without_a_gradient("Adam", np.float64)
