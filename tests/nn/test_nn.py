"""Modules, layers, losses and initialisers: what they hold, compute and refuse."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tools.refusals import assert_refused

from autonn import (
    CrossEntropy,
    Dropout,
    Flatten,
    Layer,
    MeanSquaredError,
    Module,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    SoftmaxCrossEntropy,
    Tanh,
    Tensor,
    l2_penalty,
    one_hot,
    sigmoid,
    softmax,
)
from autonn.nn.init import glorot_uniform, normal, uniform


def network(seed: int = 0) -> Sequential:
    rng = np.random.default_rng(seed)
    return Sequential(Layer(4, 3, rng=rng), Sigmoid(), Layer(3, 2, rng=rng), Sigmoid())


class Nested(Module):
    """Parameters in every kind of place."""

    def __init__(self) -> None:
        self.first = Layer(2, 2)
        self.several = [Layer(2, 2), Tanh()]
        self.named = {"gate": Layer(2, 1), "scale": Tensor(1.0, requires_grad=True)}
        self.pair = (Tensor([1.0], requires_grad=True), Tensor([2.0]))
        self.again = self.first
        self.count = 3


def test_parameters_are_found_in_attributes_lists_tuples_and_dicts() -> None:
    assert list(Nested().named_parameters()) == [
        "first.weight", "first.bias", "several.0.weight", "several.0.bias", "named.gate.weight",
        "named.gate.bias", "named.scale", "pair.0",
    ]  # fmt: skip
    assert list(Sequential(network(), Layer(2, 2)).named_parameters())[-4:] == [
        "0.2.weight", "0.2.bias", "1.weight", "1.bias",
    ]  # fmt: skip


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


def test_summary_and_repr_show_shapes_and_counts() -> None:
    assert network().summary().splitlines() == [
        "module         parameter  shape   count",
        "0  Layer(4, 3) weight     (3, 4)     12",
        "               bias       (3,)        3",
        "1  Sigmoid()",
        "2  Layer(3, 2) weight     (2, 3)      6",
        "               bias       (2,)        2",
        "3  Sigmoid()",
        "total                                23",
    ]
    assert repr(network()) == "Sequential(Layer(4, 3), Sigmoid(), Layer(3, 2), Sigmoid())"
    assert repr(Nested()).startswith("Nested(first=Layer(2, 2), several.0=Layer(2, 2), several.1=")
    assert Nested().summary().splitlines()[1].split() == ["Nested", "named.scale", "()", "1"]


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


def test_a_slice_of_a_sequential_is_one_that_shares_its_parameters() -> None:
    model = network()
    first = model[:2]
    assert isinstance(first, Sequential)
    shared = [*first.parameters(), *model[2:].parameters()]
    assert all(a is b for a, b in zip(shared, model.parameters(), strict=True))
    x = np.ones((5, 4))
    np.testing.assert_array_equal(model[2:].predict(first.predict(x)), model.predict(x))
    assert model[-1] is model.modules[3]


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


def test_modules_can_be_copied_and_pickled() -> None:
    model = network()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert np.array_equal(other.predict(np.ones((2, 4))), model.predict(np.ones((2, 4))))
        other[0].weight.data += 1
        assert not np.array_equal(other[0].weight.data, model[0].weight.data)


def test_cross_entropy_on_probabilities_equals_the_formula() -> None:
    rng = np.random.default_rng(0)
    a, y = rng.uniform(0.1, 0.9, (6, 3)), rng.uniform(0, 1, (6, 3))
    expected = -np.sum(y * np.log(a) + (1 - y) * np.log(1 - a)) / 6
    assert CrossEntropy()(a, y).item() == pytest.approx(expected, rel=1e-15)
    t = Tensor(a, requires_grad=True)
    CrossEntropy()(t, y).backward()
    np.testing.assert_allclose(t.grad, ((1 - y) / (1 - a) - y / a) / 6, rtol=1e-13)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i8", "?"])
def test_targets_from_0_to_1_are_taken_whatever_their_dtype(dtype: str) -> None:
    a = sigmoid(Tensor([[0.5, -2.0, 3.0], [1.0, 2.0, -1.0]], requires_grad=True))
    y = np.array([[0.0, 1.0, -0.0], [1.0, 0.0, 1.0]])
    right = CrossEntropy()(a, y).item()
    assert CrossEntropy()(a, y.astype(dtype)).item() == pytest.approx(right, rel=1e-14)


@pytest.mark.parametrize("bad", [-1e-45, -0.5, 1 + 2**-23, 1.5, -np.inf, np.inf, np.nan])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_single_target_outside_of_0_to_1_is_found(dtype: str, bad: float) -> None:
    y = np.full((3, 4), 0.5, dtype)
    y[1, 2] = bad
    with pytest.raises(ValueError, match=r"targets are from 0 to 1, not .* as at \(1, 2\)"):
        CrossEntropy()(sigmoid(Tensor(np.zeros((3, 4), dtype))), y)


def test_certain_and_right_probabilities_cost_nothing() -> None:
    a = Tensor([[0.0, 1.0]], requires_grad=True)
    with np.errstate(all="raise"):
        loss = CrossEntropy()(a, [1])
        loss.backward()
    assert loss.item() == 0
    np.testing.assert_array_equal(a.grad, [[1, -1]])
    assert CrossEntropy()(np.array([[1.0, 0.0]]), [1]).item() == np.inf


def test_classes_and_one_hot_rows_cost_the_same() -> None:
    model, x, y = network(), np.ones((3, 4)), np.array([0, 1, 1])
    loss = CrossEntropy()
    assert loss(model(x), y).item() == loss(model(x), np.eye(2)[y]).item()
    assert loss(model(x), Tensor(np.eye(2)[y])).item() == loss(model(x), y).item()


def test_softmax_cross_entropy_takes_logits_or_what_softmax_made_of_them() -> None:
    z = Tensor(np.random.default_rng(0).standard_normal((4, 3)), requires_grad=True)
    y = np.array([0, 2, 1, 1])
    loss = SoftmaxCrossEntropy()(z, y)
    a = np.exp(z.data) / np.exp(z.data).sum(axis=1, keepdims=True)
    assert loss.item() == pytest.approx(-np.log(a[np.arange(4), y]).mean(), rel=1e-14)
    loss.backward()
    np.testing.assert_allclose(z.grad, (a - np.eye(3)[y]) / 4, rtol=1e-13, atol=1e-16)
    assert SoftmaxCrossEntropy()(Softmax()(z), np.eye(3)[y]).item() == loss.item()


def test_softmax_cross_entropy_is_exact_where_softmax_saturates() -> None:
    z = Tensor([[1e4, 0.0], [0.0, 1e4]], requires_grad=True)
    with np.errstate(all="raise", under="ignore"):
        loss = SoftmaxCrossEntropy()(Softmax()(z), [0, 0])
        loss.backward()
    assert loss.item() == 5e3
    np.testing.assert_array_equal(z.grad, [[0, 0], [-0.5, 0.5]])


def test_cross_entropy_on_a_softmax_equals_the_formula() -> None:
    rng = np.random.default_rng(0)
    z = Tensor(3 * rng.standard_normal((5, 4)), requires_grad=True)
    y = rng.uniform(0, 1, (5, 4))
    loss = CrossEntropy()(Softmax()(z), y)
    a = softmax(z)
    formula = -np.sum(y * np.log(a) + (1 - y) * np.log(1 - a)) / 5
    assert loss.item() == pytest.approx(formula.item(), rel=1e-14)
    loss.backward()
    exact = z.grad
    z.grad = None
    formula.backward()
    np.testing.assert_allclose(exact, z.grad, rtol=1e-12)


@pytest.mark.parametrize("recorded", [True, False])
def test_cross_entropy_is_exact_where_softmax_saturates(recorded: bool) -> None:
    z = Tensor([[1e4, 0.0, -1e4], [1e4, 0.0, -1e4]], requires_grad=recorded)
    with np.errstate(all="raise", under="ignore"):
        loss = CrossEntropy()(Softmax()(z), [1, 0])
        if recorded:
            loss.backward()
            np.testing.assert_array_equal(z.grad, [[1, -1, 0], [0, 0, 0]])
    assert loss.item() == 1e4


def test_cross_entropy_on_a_single_softmax_is_that_of_certainty() -> None:
    z = Tensor([[3.0]], requires_grad=True)
    with np.errstate(all="raise"):
        loss = CrossEntropy()(Softmax()(z), np.ones((1, 1)))
        loss.backward()
    assert loss.item() == 0
    assert z.grad == 0
    assert CrossEntropy()(Softmax()(z), np.zeros((1, 1))).item() == np.inf


@pytest.mark.parametrize("loss", [CrossEntropy(), SoftmaxCrossEntropy()])
def test_a_softmax_over_the_examples_is_not_undone(loss: Any) -> None:
    z = Tensor([[1.0, 2.0], [3.0, 5.0]], requires_grad=True)
    for a in (softmax(z, axis=0), softmax(z, 0), softmax(z, -2)):
        assert loss(a, [0, 1]).item() == loss(a.detach(), [0, 1]).item()
    assert loss(softmax(z, axis=1), [0, 1]).item() == loss(softmax(z), [0, 1]).item()


def test_softmax_cross_entropy_cancels_no_digits_where_it_is_sure() -> None:
    z = Tensor([[50.0, 0.0, -3.0]], requires_grad=True)
    SoftmaxCrossEntropy()(z, [0]).backward()
    rest = np.exp([-50.0, -53.0])
    np.testing.assert_allclose(z.grad, [[-rest.sum(), *rest]], rtol=1e-14)


def test_mean_squared_error_is_a_mean_over_all_numbers() -> None:
    a = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    loss = MeanSquaredError()(a, np.zeros((2, 2)))
    assert loss.item() == 30 / 4
    loss.backward()
    np.testing.assert_array_equal(a.grad, a.data / 2)


def test_dropout_silences_its_share_while_training_and_nothing_in_evaluation() -> None:
    model = Sequential(Dropout(0.25, rng=0), Flatten())
    x = np.ones((100, 20, 10))
    silenced = (model(x).data == 0).mean()
    assert abs(silenced - 0.25) < 0.01
    assert set(np.unique(model(x).data)) == {0, 1 / 0.75}
    assert not np.array_equal(model(x).data, model(x).data)
    assert np.all(model.predict(x) == 1)
    assert model[0].training
    assert np.all(model.eval()(x).data == 1)
    assert not model[0].training
    assert np.all(model.train()[0].training)
    first, second = (Dropout(0.5, rng=3)(x).data for _ in range(2))
    assert np.array_equal(first, second)
    assert Dropout(0.5, rng=0)(np.ones(4, np.float32)).dtype == np.float32


def test_dropouts_gradient_passes_where_the_unit_was_kept() -> None:
    x = Tensor(np.ones(50), requires_grad=True)
    y = Dropout(0.5, rng=0)(x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, y.data)


P = np.full((2, 3), 0.5)
BAD: list[tuple[Callable[[], Any], type[Exception], list[str]]] = [
    (lambda: Layer(-1, 2), ValueError, ["Layer(-1, 2)", "at least 1"]),
    (lambda: Layer("a", 2), TypeError, ["Layer('a', 2)", "whole"]),  # type: ignore[arg-type]
    (lambda: Layer(2.5, 2), TypeError, ["Layer(2.5, 2)", "whole"]),  # type: ignore[arg-type]
    (lambda: Layer(2, 3, weight=np.ones((2, 3))), ValueError, ["(2, 3)", "(3, 2)"]),
    (lambda: network()(np.ones((5, 3))), ValueError, ["Layer(4, 3)", "(5, 3)", "(..., 4)"]),
    (lambda: Layer(4, 3)(2.0), ValueError, ["Layer(4, 3)", "()"]),
    (lambda: Sequential(Sigmoid), TypeError, ["Sequential", "class", "Sigmoid()"]),
    (lambda: Sequential("relu"), TypeError, ["Sequential", "'relu'", "ReLU()"]),
    (lambda: Sequential([Sigmoid(), None]), TypeError, ["Sequential", "None"]),
    (lambda: Sequential(CrossEntropy()), TypeError, ["Sequential", "CrossEntropy()", "loss"]),
    (lambda: Sequential(np.tanh)(["a"]), TypeError, ["U1"]),
    (lambda: Module()(1), NotImplementedError, ["forward"]),
    (lambda: CrossEntropy()(P, [0, 3]), IndexError, ["class 3 of 3", "row 1"]),
    (lambda: CrossEntropy()(P, [-1, 0]), IndexError, ["class -1 of 3", "never wrap"]),
    (lambda: CrossEntropy()(P, [0.0, 1.0]), TypeError, ["integers", "float64"]),
    (lambda: CrossEntropy()(P, [0.0, np.nan]), ValueError, ["NaN", "row 1"]),
    (lambda: CrossEntropy()(P, [0, 1, 2]), ValueError, ["CrossEntropy", "2 pred", "3 targets"]),
    (lambda: CrossEntropy()(P, np.ones((2, 1))), ValueError, ["(2, 1)", "(2, 3)", "y.ravel()"]),
    (lambda: CrossEntropy()(P[0], [1]), ValueError, ["CrossEntropy", "(3,)"]),
    (lambda: CrossEntropy()(P * 3, [0, 1]), ValueError, ["probabilities", "1.5", "(0, 0)"]),
    (lambda: CrossEntropy()(P, P - 1), ValueError, ["targets", "-0.5"]),
    (lambda: CrossEntropy()(P * np.nan, [0, 1]), ValueError, ["nan"]),
    (lambda: l2_penalty(network(), -1.0, 5), ValueError, ["lambda", "-1.0"]),
    (lambda: l2_penalty(network(), 1.0, 0), ValueError, ["0 examples"]),
    (lambda: l2_penalty(Sigmoid(), 1.0, 5), ValueError, ["no weights"]),
    (lambda: SoftmaxCrossEntropy()(P, P), ValueError, ["row 0", "sum to 1.5"]),
    (lambda: SoftmaxCrossEntropy()(P, [3, 0]), IndexError, ["class 3 of 3"]),
    (lambda: MeanSquaredError()(P, P[:, :1]), ValueError, ["(2, 1)", "(2, 3)"]),
    (lambda: Dropout(1.0), ValueError, ["below 1"]),
    (lambda: Dropout("a"), TypeError, ["'a'"]),  # type: ignore[arg-type]
    (lambda: one_hot([1], classes=0), ValueError, ["classes"]),
]


@pytest.mark.parametrize(("call", "error", "words"), BAD, ids=range(len(BAD)))
def test_bad_calls_say_what_came_and_what_to_do(
    call: Callable[[], Any], error: type[Exception], words: list[str]
) -> None:
    assert_refused(call, error, words)


def test_parameters_that_come_and_go_are_found() -> None:
    """The way through a module is remembered only as long as nothing was set on it."""
    model = Sequential(Layer(2, 3, rng=0), Sigmoid())
    assert len(model.parameters()) == 2
    model[0].extra = Tensor(1.0, requires_grad=True)
    assert len(model.parameters()) == 3
    model[0].extra.requires_grad = False
    assert len(model.parameters()) == 2
    model[0].extra.requires_grad = True
    assert len(model.parameters()) == 3
    del model[0].extra
    assert len(model.parameters()) == 2
    model[1].scales = [Tensor(1.0, requires_grad=True)]
    assert len(model.parameters()) == 3
    model[1].scales.append(Tensor(2.0, requires_grad=True))  # a list changes unseen
    assert len(model.parameters()) == 4
    model[1].inner = {"a": Layer(1, 1)}
    model[1].inner["b"] = Layer(1, 1)
    assert len(model.parameters()) == 8
    model.modules = (*model.modules, Layer(3, 1))
    assert len(model.parameters()) == 10
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert [p is q for p, q in zip(model.parameters(), twin.parameters(), strict=True)] == (
            [False] * 10
        )
        twin[0].more = Tensor(1.0, requires_grad=True)
        assert len(twin.parameters()) == 11
