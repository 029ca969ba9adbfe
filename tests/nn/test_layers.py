"""The affine layer and its initialisers, and what modules take."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tools.refusals import assert_refused

from autonn import (
    CrossEntropy,
    Layer,
    Linear,
    Module,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
    Tensor,
    l2_penalty,
    nn,
)
from autonn.nn.init import (
    glorot_uniform,
    he_normal,
    he_uniform,
    kaiming_normal,
    kaiming_uniform,
    normal,
    orthogonal,
    truncated_normal,
    uniform,
)


def test_theta_is_the_bias_beside_the_weights() -> None:
    layer = Layer(2, 3, weight=np.arange(6.0).reshape(3, 2), bias=[7.0, 8.0, 9.0])
    np.testing.assert_array_equal(layer.theta, [[7, 0, 1], [8, 2, 3], [9, 4, 5]])
    layer.theta = 2 * layer.theta
    np.testing.assert_array_equal(layer.weight.data, 2 * np.arange(6.0).reshape(3, 2))
    np.testing.assert_array_equal(layer.bias.data, [14, 16, 18])
    with pytest.raises(ValueError, match=r"theta of shape \(3, 2\) for Layer\(2, 3\)"):
        layer.theta = np.ones((3, 2))


def test_layers_compute_the_affine_map_for_any_leading_axes() -> None:
    layer = Layer(3, 2, rng=0)
    for shape in ((3,), (5, 3), (4, 5, 3), (0, 3)):
        x = np.random.default_rng(1).standard_normal(shape)
        expected = x @ layer.weight.data.T + layer.bias.data
        np.testing.assert_allclose(layer.predict(x), expected, rtol=1e-15)
    assert layer([[1, 2, 3]]).shape == (1, 2)


@pytest.mark.parametrize("module", [Sigmoid(), Tanh(), ReLU(), Layer(2, 2), Sequential()])
def test_modules_take_arrays_and_tensors(module: Module) -> None:
    x = np.array([[-1.0, 2.0]])
    assert isinstance(module(x), Tensor)
    np.testing.assert_array_equal(module(x).data, module(Tensor(x)).data)


def test_float32_layers_keep_float32() -> None:
    model = Sequential(Layer(4, 3, dtype=np.float32), Tanh(), Layer(3, 2, dtype=np.float32))
    loss = CrossEntropy()(Sigmoid()(model(np.ones((5, 4), np.float32))), np.zeros(5, int))
    (loss + l2_penalty(model, 1.0, examples=5)).backward()
    assert {p.grad.dtype for p in model.parameters()} == {np.dtype(np.float32)}
    assert model[0].theta.dtype == np.float32


def test_initialisers_draw_what_they_say() -> None:
    rng = np.random.default_rng(0)
    limit = np.sqrt(6 / 425)
    w = glorot_uniform((25, 400), rng)
    assert limit * 0.999 < np.abs(w).max() <= limit
    assert np.abs(uniform(0.12)((25, 400), rng)).max() <= 0.12
    n = normal((25, 400), rng)
    assert abs(n.std() - 1) < 0.05
    assert np.all(Layer(3, 2).bias.data == 0)
    drawn = Layer(3, 2, weight=normal, bias=normal, rng=3)
    assert np.array_equal(drawn.theta, Layer(3, 2, weight=normal, bias=normal, rng=3).theta)
    assert np.all(drawn.bias.data != 0)


@pytest.mark.parametrize("shape", [(300, 50), (30, 10, 5, 10)])
def test_those_for_rectifiers_have_the_variance_of_two_per_input(shape: tuple[int, ...]) -> None:
    fed_by = int(np.prod(shape[1:]))
    for start in (he_uniform, he_normal):
        drawn = start(shape, np.random.default_rng(0))
        assert drawn.shape == shape
        assert drawn.var() == pytest.approx(2 / fed_by, rel=0.03)
    assert (kaiming_uniform, kaiming_normal) == (he_uniform, he_normal)
    assert np.abs(he_uniform(shape, np.random.default_rng(0))).max() <= np.sqrt(6 / fed_by)
    limit = np.sqrt(6 / (fed_by + shape[0] * np.prod(shape[2:])))
    glorot = np.abs(glorot_uniform(shape, np.random.default_rng(0)))
    assert 0.99 * limit < glorot.max() <= limit


@pytest.mark.parametrize("shape", [(3, 7), (7, 3), (4, 4), (3, 2, 2, 2), (5, 1)])
def test_orthogonal_rows_or_columns_have_one_length(shape: tuple[int, ...]) -> None:
    w = orthogonal(shape, np.random.default_rng(0), gain=2.0)
    assert w.shape == shape
    flat = w.reshape(shape[0], -1)
    square = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
    np.testing.assert_allclose(square, 4 * np.eye(len(square)), atol=1e-14)


def test_rotations_are_drawn_evenly() -> None:
    """Without R's signs, the first number of Q would always be negative."""
    rng = np.random.default_rng(0)
    drawn = np.array([orthogonal((2, 2), rng) for _ in range(2000)])
    np.testing.assert_allclose(np.mean(drawn, axis=0), 0, atol=0.05)
    assert np.mean(np.linalg.det(drawn) > 0) == pytest.approx(0.5, abs=0.05)


def test_a_truncated_normal_ends_at_two_deviations() -> None:
    drawn = truncated_normal(0.5)((300, 300), np.random.default_rng(0))
    assert 0.99 < np.abs(drawn).max() <= 1
    assert drawn.std() == pytest.approx(0.5 * 0.8796, rel=0.01)
    layer = Layer(3, 2, weight=truncated_normal(0.02), dtype=np.float32)
    assert layer.weight.dtype == np.float32
    assert_refused(lambda: truncated_normal(0), ValueError, ["truncated_normal: deviation"])


@pytest.mark.parametrize("bias", [None, False])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_layer_may_have_no_bias(bias: Any, dtype: Any) -> None:
    layer = Layer(3, 2, bias=bias, rng=0, dtype=dtype)
    assert layer.bias is None
    assert repr(layer) == "Layer(3, 2, bias=False)"
    assert list(dict(layer.named_parameters())) == list(layer.state_dict()) == ["weight"]
    assert layer.weights() == [layer.weight]
    assert layer.summary().splitlines()[1].split() == [
        "Layer(3,", "2,", "bias=False)", "weight", "(2,", "3)", "6",
    ]  # fmt: skip
    for shape in ((3,), (5, 3), (4, 5, 3), (0, 3)):
        x = np.random.default_rng(1).standard_normal(shape).astype(dtype)
        z = layer(x)
        assert z.dtype == dtype
        np.testing.assert_allclose(z.data, x @ layer.weight.data.T, rtol=1e-6)
    with_bias = Layer(3, 2, weight=layer.weight.data, dtype=dtype)
    t = Tensor(np.random.default_rng(2).standard_normal((5, 3)).astype(dtype), requires_grad=True)
    np.testing.assert_allclose(with_bias(t).data, layer(t).data, rtol=1e-6)
    (layer(t) ** 2).sum().backward()
    ours, its = layer.weight.grad, t.grad
    t.grad = None
    (with_bias(t) ** 2).sum().backward()
    np.testing.assert_allclose(ours, with_bias.weight.grad, rtol=1e-5)
    np.testing.assert_allclose(its, t.grad, rtol=1e-5)
    np.testing.assert_allclose(
        l2_penalty(layer, 2.0, 5).data, l2_penalty(with_bias, 2.0, 5).data, rtol=1e-6
    )


def test_theta_of_a_layer_without_a_bias_has_a_column_of_zeros() -> None:
    layer = Layer(2, 3, weight=np.arange(6.0).reshape(3, 2), bias=False)
    np.testing.assert_array_equal(layer.theta, [[0, 0, 1], [0, 2, 3], [0, 4, 5]])
    layer.theta = 2 * layer.theta
    np.testing.assert_array_equal(layer.weight.data, 2 * np.arange(6.0).reshape(3, 2))
    words = ["bias column", "Layer(2, 3, bias=False)", "no bias"]
    assert_refused(lambda: setattr(layer, "theta", np.ones((3, 3))), ValueError, words)
    np.testing.assert_array_equal(layer.weight.data, 2 * np.arange(6.0).reshape(3, 2))


def test_a_bias_may_be_asked_for() -> None:
    assert np.all(Layer(2, 3, bias=True).bias.data == 0)
    assert Linear is nn.Linear is Layer


def test_the_room_exports_its_modules_and_those_are_modules() -> None:
    exported = {name: getattr(nn, name) for name in nn.__all__}
    assert {"Sequential", "Layer", "Linear", "ReLU", "Lambda", "CrossEntropy"} <= exported.keys()
    files = [path.stem for path in Path(nn.__file__).parent.glob("*.py") if path.stem[0] != "_"]
    for stem in files:
        home = importlib.import_module(f"autonn.nn.{stem}")
        for name, value in vars(home).items():
            ours = isinstance(value, type) and value.__module__ == home.__name__
            if ours and issubclass(value, Module) and name[0] != "_":
                assert exported[name] is value
