"""Modules in a row, and functions as modules."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from oracles.digit_networks import small_network as network
from tools.refusals import assert_refused

from autonn import (
    CrossEntropy,
    Lambda,
    Layer,
    Module,
    ReLU,
    Sequential,
    Tanh,
    Tensor,
)


def test_a_slice_of_a_sequential_is_one_that_shares_its_parameters() -> None:
    model = network()
    first = model[:2]
    assert isinstance(first, Sequential)
    shared = [*first.parameters(), *model[2:].parameters()]
    assert all(a is b for a, b in zip(shared, model.parameters(), strict=True))
    x = np.ones((5, 4))
    np.testing.assert_array_equal(model[2:].predict(first.predict(x)), model.predict(x))
    assert model[-1] is model.modules[3]


def test_modules_may_be_given_in_a_list() -> None:
    parts = network().modules
    x = np.ones((5, 4))
    for model in (Sequential(list(parts)), Sequential(tuple(parts)), Sequential(*parts)):
        assert model.modules == parts
        np.testing.assert_array_equal(model.predict(x), network().predict(x))
    assert len(Sequential([])) == len(Sequential()) == 0


def halve(x: Any) -> Any:
    return x / 2


def test_a_function_among_modules_becomes_one() -> None:
    model = Sequential(Layer(2, 3, rng=0), np.tanh, halve, lambda x: x + 1)
    assert repr(model) == "Sequential(Layer(2, 3), Lambda(tanh), Lambda(halve), Lambda(<lambda>))"
    x = np.random.default_rng(0).standard_normal((5, 2))
    expected = np.tanh(model[0].predict(x)) / 2 + 1
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-15)
    model(x).sum().backward()
    own = Sequential(model[0], Tanh())
    grad = model[0].weight.grad.copy()
    model.zero_grad()
    (own(x) / 2).sum().backward()
    np.testing.assert_allclose(grad, model[0].weight.grad, rtol=1e-14)
    assert list(dict(model.named_parameters())) == ["0.weight", "0.bias"]
    twin = pickle.loads(pickle.dumps(Sequential(np.tanh, halve)))
    np.testing.assert_array_equal(twin.predict(x), np.tanh(x) / 2)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (ReLU, ["ReLU is a class", "ReLU()"]),
        (ReLU(), ["ReLU() is a module already"]),
        (CrossEntropy(), ["function of one argument", "CrossEntropy()", "loss"]),
        (lambda a, b: a, ["function of one argument", "lambda"]),
        ("relu", ["'relu'"]),
        (np.ones(2), ["function of one argument"]),
    ],
)
def test_what_is_no_function_of_one_argument_is_no_module(wrong: Any, words: list[str]) -> None:
    assert_refused(lambda: Lambda(wrong), TypeError, ["Lambda", *words])
    if not isinstance(wrong, Module):
        assert_refused(lambda: Sequential(Tanh(), wrong), TypeError, ["Sequential"])


def test_a_lambda_gives_a_tensor_whatever_the_function_gives() -> None:
    assert isinstance(Lambda(lambda x: 3.0)(1.0), Tensor)
    assert isinstance(Lambda(np.tanh)(np.ones(2)), Tensor)


def test_a_module_is_put_in_the_place_of_another() -> None:
    model = Sequential(Layer(4, 3, rng=0), Tanh(), Layer(3, 10, rng=1))
    kept, X = model[0], np.ones((2, 4))
    model[-1] = Layer(3, 2, rng=2)
    model[1] = np.sin
    assert model[0] is kept
    assert len(model.parameters()) == 4
    np.testing.assert_array_equal(model.predict(X), model[2].predict(np.sin(kept.predict(X))))
    with pytest.raises(TypeError):
        model[0] = 3
    with pytest.raises(IndexError):
        model[3] = Tanh()
