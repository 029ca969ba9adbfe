"""`Module.astype`: another floating dtype for all that a model holds, in place."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autonn import (
    BatchNorm1d,
    Layer,
    MeanSquaredError,
    Sequential,
    Sigmoid,
    Tensor,
    compile,
    fit,
    gradients,
    nn,
    optim,
)
from autonn.engine.trees import tree_leaves

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((20, 3)), RNG.standard_normal((20, 2))
LOSS = MeanSquaredError()
MAKERS: dict[str, Callable[[Any], optim.StepOptimizer]] = {
    "SGD": lambda model: optim.SGD(model, lr=0.1, momentum=0.9, weight_decay=0.01),
    "RMSprop": lambda model: optim.RMSprop(model, lr=0.01),
    "Adam": lambda model: optim.Adam(model, lr=0.01),
    "AdamW": lambda model: optim.AdamW(model, lr=0.01),
}


def plain() -> Sequential:
    return Sequential(Layer(3, 4, rng=0), Sigmoid(), Layer(4, 2, rng=1))


def network() -> Any:
    model: Any = Sequential(Layer(3, 4, rng=0), BatchNorm1d(4), Sigmoid(), Layer(4, 2, rng=1))
    model.count = Tensor(3)
    model.extra = [Tensor(1.0, requires_grad=True)]
    return model


@pytest.mark.parametrize("dtype", [np.float32, "float16", np.dtype(np.float32)])
def test_all_floating_tensors_change_and_stay_the_same_ones(dtype: Any) -> None:
    model = network()
    before = model.named_tensors()
    numbers = model.state_dict()
    np.sum(model(X)).backward()
    assert model.astype(dtype) is model
    for name, tensor in model.named_tensors().items():
        assert tensor is before[name]
        assert tensor.dtype == (np.dtype(dtype) if numbers[name].dtype.kind == "f" else int)
        assert tensor.grad is None
    weight = numbers["0.weight"].astype(dtype)
    np.testing.assert_array_equal(model[0].weight.data, weight)
    model.astype(np.float64)
    np.testing.assert_array_equal(model[0].weight.data, weight.astype(float))


@pytest.mark.parametrize("wrong", [int, "int32", complex, bool, None, "words", 3, np.ones(2)])
def test_what_is_no_floating_dtype_is_refused(wrong: Any) -> None:
    model = network()
    with pytest.raises(TypeError, match=r"Sequential\.astype: dtype is a floating dtype, such as"):
        model.astype(wrong)
    assert model[0].weight.dtype == np.float64


def test_the_same_dtype_changes_nothing() -> None:
    model = network()
    np.sum(model(X)).backward()
    array, gradient = model[0].weight.data, model[0].weight.grad
    model.astype(float)
    assert model[0].weight.data is array
    assert model[0].weight.grad is gradient


@pytest.mark.parametrize("dtypes", [(np.float64, np.float32), (np.float32, np.float64)])
@pytest.mark.parametrize("way", MAKERS)
def test_an_optimiser_goes_on_with_moments_that_follow(way: str, dtypes: Any) -> None:
    first, then = dtypes
    model = plain().astype(first)
    optimizer = MAKERS[way](model)
    fit(model, X.astype(first), Y.astype(first), loss=LOSS, optimizer=optimizer, epochs=2)
    other, its = copy.deepcopy((model, optimizer))
    model.astype(then)
    state = optimizer.state_dict()
    assert all(v.dtype == then for v in state.values() if isinstance(v, np.ndarray))
    optimizer.load_state_dict(state)
    fit(model, X.astype(then), Y.astype(then), loss=LOSS, optimizer=optimizer, epochs=3)
    fit(other, X.astype(first), Y.astype(first), loss=LOSS, optimizer=its, epochs=3)
    assert optimizer.steps == 5
    for parameter, expected in zip(model.parameters(), other.parameters(), strict=True):
        assert parameter.dtype == then
        np.testing.assert_allclose(parameter.data, expected.data, rtol=1e-3, atol=1e-4)
    assert all(slot.scratch.dtype == then for slot in optimizer._slots)


def test_an_update_follows_at_once() -> None:
    model = Sequential(Layer(2, 1, rng=0))
    optimizer = optim.Adam(model, lr=0.1)
    optimizer.apply([np.ones((1, 2)), np.ones(1)])
    model.astype(np.float32)
    optimizer.apply([np.ones((1, 2), np.float32), np.ones(1, np.float32)])
    assert model[0].weight.dtype == np.float32
    assert {slot.state["m"].dtype for slot in optimizer._slots} == {np.dtype(np.float32)}


def test_a_compiled_function_is_derived_anew() -> None:
    model = network().eval()
    own = [p for p in model.parameters() if p is not model.extra[0]]
    step = compile(lambda x, y: gradients(LOSS(model(x), y), own))
    program = compile(lambda x: model(x).detach())
    free = Tensor(np.ones(3), requires_grad=True)
    alone = compile(lambda: np.sum(free * 2.0).detach())
    for dtype in (np.float64, np.float32, np.float64):
        model.astype(dtype)
        x, y = X.astype(dtype), Y.astype(dtype)
        expected = gradients(LOSS(model(x), y), own)
        for found, gradient in zip(step(x, y), expected, strict=True):
            assert found.dtype == gradient.dtype == dtype
            np.testing.assert_allclose(found, gradient, rtol=1e-4, atol=1e-6)
        assert program(x).dtype == dtype
        assert program(X).dtype == dtype
        assert float(alone()) == 6.0


def test_a_graph_that_waits_keeps_the_old_numbers() -> None:
    model = Sequential(Layer(3, 2, rng=0))
    cost = LOSS(model(X), Y)
    expected = gradients(LOSS(model(X), Y), model.parameters())
    model.astype(np.float32)
    cost.backward()
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        np.testing.assert_allclose(parameter.grad, gradient, rtol=1e-6)


def test_data_of_another_dtype_are_brought_to_the_models() -> None:
    for dtype, other in ((np.float32, np.float64), (np.float64, np.float32)):
        model = plain().astype(dtype)
        assert model(X.astype(other)).dtype == model.predict(X.astype(other)).dtype == dtype
        assert compile(lambda x: model(x).detach())(X.astype(other)).dtype == dtype  # noqa: B023
        normed = network().astype(dtype)
        assert normed(X.astype(other)).dtype == dtype
        x = Tensor(X.astype(other), requires_grad=True)
        np.sum(model(x)).backward()
        assert x.grad.dtype == other
        assert model[0].weight.grad.dtype == dtype


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(3, 2, rng=0), (4, 3)),
        (nn.Linear(3, 2, bias=False, rng=0), (4, 3)),
        (nn.Conv1d(2, 3, 2, rng=0), (1, 2, 5)),
        (nn.Conv2d(2, 3, 2, rng=0), (1, 2, 4, 4)),
        (nn.ConvTranspose2d(2, 3, 2, rng=0), (1, 2, 4, 4)),
        (nn.BatchNorm(3), (4, 3)),
        (nn.BatchNorm(3, affine=False), (4, 3)),
        (nn.LayerNorm(3), (4, 3)),
        (nn.GroupNorm(1, 2), (4, 2, 3)),
        (nn.RNN(3, 2, rng=0), (2, 4, 3)),
        (nn.LSTM(3, 2, rng=0), (2, 4, 3)),
        (nn.GRUCell(3, 2, rng=0), (4, 3)),
        (nn.MultiheadAttention(4, 2, rng=0), (2, 3, 4)),
    ],
    ids=repr,
)
def test_each_layer_computes_in_the_dtype_of_its_weights(layer: Any, shape: Any) -> None:
    layer = copy.deepcopy(layer).astype(np.float32)
    x = np.random.default_rng(0).normal(size=shape)
    results = layer(x), layer(Tensor(x))
    assert {t.dtype for t in tree_leaves(results)} == {np.dtype(np.float32)}
    if isinstance(layer, nn.LSTM):
        state = np.zeros((1, 2, 2)), np.zeros((1, 2, 2))
        assert layer(x, state)[0].dtype == np.float32


def test_it_is_no_part_of_a_compiled_function() -> None:
    model = Sequential(Layer(3, 2, rng=0))
    with pytest.raises(RuntimeError, match="dtype"):
        compile(lambda x: model.astype(np.float32)(x))(X)
    assert model[0].weight.dtype == np.float64
