"""Biases and penalties: what L2 leaves alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from oracles.digit_networks import small_network as network

from autonn import (
    Module,
    Tensor,
    l2_penalty,
    optim,
)


def test_biases_are_known_by_their_role() -> None:
    class Shift(Module):
        biases = ("shift",)

        def __init__(self) -> None:
            self.shift = Tensor(np.ones((2, 2)), requires_grad=True)
            self.bias = Tensor(np.ones(3), requires_grad=True)

    assert [w.shape for w in Shift().weights()] == [(3,)]
    assert [w.shape for w in network().weights()] == [(3, 4), (2, 3)]


def test_the_penalty_is_the_tutorials_and_leaves_biases_alone() -> None:
    model = network()
    model[0].bias.data = np.full(3, 100.0)
    squares = sum(np.sum(layer.weight.data**2) for layer in (model[0], model[2]))
    assert l2_penalty(model, 3.0, examples=7).item() == pytest.approx(3 / 14 * squares, rel=1e-15)
    l2_penalty(model, 3.0, examples=7).backward()
    assert model[0].bias.grad is None
    np.testing.assert_allclose(model[0].weight.grad, 3 / 7 * model[0].weight.data, rtol=1e-15)


class Own(Module):
    """A network as people write it by hand."""

    def __init__(self) -> None:
        self.W1, self.b1 = vector((3, 2)), vector(3)
        self.w_2, self.b_2 = vector((1, 3)), vector((1, 1))
        self.more = {"W": vector((2, 2)), "b": vector(2), "hidden_bias": vector(2)}
        self.pairs = [(vector((2, 2)), vector(2))]
        self.bias3, self._bias, self.b = vector((1, 4)), vector(()), vector((4, 1))
        self.beta, self.ab, self.bias_matrix = vector(2), vector(2), vector((2, 2))


def vector(shape: Any) -> Tensor:
    return Tensor(np.ones(shape), requires_grad=True)


def test_biases_of_a_module_of_ones_own_are_known_by_name_and_shape() -> None:
    model = Own()
    weights = {id(w) for w in model.weights()}
    names = [name for name, p in model.named_parameters() if id(p) in weights]
    assert names == [
        "W1", "w_2", "more.W", "pairs.0.0", "pairs.0.1", "beta", "ab", "bias_matrix",
    ]  # fmt: skip
    l2_penalty(model, 1.0, examples=2).backward()
    grads = {name: p.grad for name, p in model.named_parameters()}
    assert [name for name, grad in grads.items() if grad is not None] == names
    optimizer = optim.SGD(model, lr=0.5, weight_decay=0.5)
    optimizer.apply([np.zeros(p.shape) for p in optimizer.parameters])
    decayed = [name for name, p in model.named_parameters() if np.all(p.data < 1)]
    assert decayed == names


def test_the_names_that_a_class_gives_are_the_only_ones() -> None:
    class Given(Own):
        biases = ("W1",)

    model = Given()
    weights = {id(w) for w in model.weights()}
    left = [name for name, p in model.named_parameters() if id(p) not in weights]
    assert left == ["W1"]
