"""A compiled function gives what the function gives: arrays, Tensors, numbers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autonn as an
from autonn import Layer, MeanSquaredError, Sequential, Tanh, Tensor, compile

Function = Callable[[Any], Any]


def network(frozen: bool = False) -> Sequential:
    model = Sequential(Layer(3, 4, rng=0), Tanh(), Layer(4, 1, rng=0))
    for parameter in model.parameters():
        parameter.requires_grad = not frozen
    return model


NETWORK, FROZEN, WEIGHT, ARRAY = network(), network(True), Tensor(np.ones(3), True), np.ones(3)

COSTS: dict[str, Function] = {
    "plain": lambda x: np.sum(np.sin(x) ** 2),
    "of a network": lambda x: np.sum(NETWORK(x[None]) ** 2),
    "of a frozen network": lambda x: np.sum(FROZEN(x[None]) ** 2),
    "of a loss": lambda x: MeanSquaredError()(NETWORK(x[None]), np.ones((1, 1))),
    "of a Tensor": lambda x: np.sum(np.sin(x) * WEIGHT),
    "of an array": lambda x: np.sum(np.sin(x) * ARRAY),
    "of a Tensor alone": lambda x: np.sum(WEIGHT * WEIGHT),
}
VECTORS: dict[str, Function] = {
    "plain": lambda x: np.sin(x) ** 2,
    "of a network": lambda x: NETWORK(x[None])[0] ** 2,
    "of a frozen network": lambda x: FROZEN(x[None])[0] ** 2,
    "of a Tensor": lambda x: np.sin(x) * WEIGHT,
}


def pulled(f: Function, x: Any) -> Any:
    value, pullback = an.vjp(f, x)
    return value, pullback(np.ones(np.shape(value), value.dtype))


def with_slopes(f: Function, x: Any) -> Any:
    cost = f(x)
    return cost, an.gradients(cost, [*NETWORK.parameters(), WEIGHT])


TRANSFORMS: dict[str, tuple[Callable[[Function], Function], dict[str, Function]]] = {
    "itself": (lambda f: f, COSTS),
    "itself, a vector": (lambda f: f, VECTORS),
    "grad": (an.grad, COSTS),
    "value_and_grad": (an.value_and_grad, COSTS),
    "value_and_grad by places": (lambda f: an.value_and_grad(f, argnums=(0,)), COSTS),
    "hvp": (lambda f: lambda x: an.hvp(f, x, np.ones(3)), COSTS),
    "hessian": (an.hessian, COSTS),
    "jacobian": (an.jacobian, VECTORS),
    "vjp": (lambda f: lambda x: pulled(f, x), VECTORS),
    "vmap": (lambda f: lambda x: an.vmap(f)(np.stack([x, x])), VECTORS),
    "vmap of grad": (lambda f: lambda x: an.vmap(an.grad(f))(np.stack([x, x])), COSTS),
    "grad of grad": (lambda f: an.grad(lambda x: np.sum(an.grad(f)(x) ** 2)), COSTS),
    "gradients": (lambda f: lambda x: with_slopes(f, x), {"of a loss": COSTS["of a loss"]}),
    "checkpoint": (an.checkpoint, VECTORS),
    "no_grad": (lambda f: an.no_grad()(f), VECTORS),
}
GIVEN = {
    "an array": np.array([0.1, 0.2, 0.3]),
    "float32": np.array([0.1, 0.2, 0.3], np.float32),
    "a Tensor": Tensor([0.1, 0.2, 0.3]),
    "a Tensor with a gradient": Tensor([0.1, 0.2, 0.3], requires_grad=True),
}


def kind(result: Any) -> Any:
    """Describe a result but for its numbers."""
    if isinstance(result, tuple | list):
        return [type(result), *map(kind, result)]
    if isinstance(result, Tensor):
        return Tensor, result.shape, result.dtype, result.requires_grad
    return type(result), np.shape(result), np.asarray(result).dtype


def outcome(f: Function, x: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return kind(f(x))
        except Exception as error:
            return type(error)


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("name", TRANSFORMS)
def test_it_is_that_of_the_function(name: str, given: str) -> None:
    transform, functions = TRANSFORMS[name]
    x = GIVEN[given]
    for what, f in functions.items():
        expected, compiled = outcome(transform(f), x), compile(transform(f))
        assert outcome(compiled, x) == expected, what
        assert outcome(compiled, x) == expected, what  # by the quick look, too
        assert not isinstance(expected, type), what


def test_a_gradient_by_a_tensor_that_wants_none_keeps_no_graph() -> None:
    x = Tensor([0.1, 0.2, 0.3])
    value, slope = an.value_and_grad(COSTS["plain"])(x)
    assert value.is_leaf
    assert slope.is_leaf
    assert not slope.requires_grad
    through: Any = an.grad(COSTS["of a network"])(x)
    assert through.requires_grad  # to the weights
