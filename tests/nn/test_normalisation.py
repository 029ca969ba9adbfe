"""Norms: their formulas in training and evaluation, their buffers, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracles import layers
from tools.directions import check_along
from tools.refusals import assert_refused

from autonn import (
    BatchNorm,
    BatchNorm1d,
    BatchNorm2d,
    GroupNorm,
    Layer,
    LayerNorm,
    Module,
    Sequential,
    Tensor,
    compile,
    gradients,
    l2_penalty,
    no_grad,
)

Array = NDArray[Any]
Random = np.random.Generator
seeds = st.integers(0, 2**32 - 1)


def settled(module: Any, rng: Random) -> Any:
    """Draw the parameters, which start as ones and zeros."""
    for p in module.parameters():
        p.data = rng.standard_normal(p.shape).astype(p.dtype)
    return module


def drawn(rng: Random, *lengths: int, least: int = 2) -> Array:
    """Draw rows of some scale, far from 0, with the given lengths after the first."""
    shape = (int(rng.integers(least, 6)), *lengths)
    x: Array = rng.choice([0.1, 1.0, 30.0]) * rng.standard_normal(shape) + rng.standard_normal()
    return x


def batches(rng: Random, count: int = 3) -> tuple[Any, list[Array]]:
    """Draw a batch norm of one or two dimensions, and batches for it."""
    features = int(rng.integers(1, 5))
    more = tuple(rng.integers(1, 4, rng.integers(0, 3)))
    kind = BatchNorm2d if len(more) == 2 else BatchNorm1d
    return settled(kind(features), rng), [drawn(rng, features, *more) for _ in range(count)]


# ---- the formulas


@given(seeds)
def test_a_batch_is_normalised_by_itself_while_training(seed: int) -> None:
    rng = np.random.default_rng(seed)
    norm, (x, *_) = batches(rng)
    expected = layers.batch_norm(x, norm.weight.data, norm.bias.data)
    np.testing.assert_allclose(norm(x).data, expected, rtol=1e-11, atol=1e-12)


@given(seeds, st.sampled_from([0.0, 0.1, 0.3, 1.0]))
def test_the_running_mean_and_variance_follow_and_are_used_in_evaluation(
    seed: int, momentum: float
) -> None:
    rng = np.random.default_rng(seed)
    norm, several = batches(rng)
    norm.momentum = momentum
    for x in several:
        norm(x)
    mean, variance = layers.running(several, momentum)
    np.testing.assert_allclose(norm.running_mean.data, mean, rtol=1e-12, atol=1e-13)
    rounding = 1e-14 * max(np.max(x * x) for x in several)  # of squares of what lies far from 0
    np.testing.assert_allclose(norm.running_var.data, variance, rtol=1e-12, atol=rounding)
    x = several[0]
    statistics = norm.running_mean.data, norm.running_var.data  # a tiny variance enlarges errors
    expected = layers.evaluated(x, *statistics, norm.weight.data, norm.bias.data)
    before = norm.state_dict()
    np.testing.assert_allclose(norm.eval()(x).data, expected, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(norm.train().predict(x[:1]), expected[:1], rtol=1e-11, atol=1e-12)
    for name, array in norm.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@given(seeds)
def test_layer_norm_is_that_of_each_example(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = tuple(int(n) for n in rng.integers(1, 5, rng.integers(1, 3)))
    norm = settled(LayerNorm(lengths if len(lengths) > 1 else lengths[0]), rng)
    lead = rng.integers(1, 4, rng.integers(0, 2))
    x = drawn(rng, *lead, *lengths, least=1)
    expected = layers.layer_norm(x, lengths, norm.weight.data, norm.bias.data)
    np.testing.assert_allclose(norm(x).data, expected, rtol=1e-11, atol=1e-12)
    np.testing.assert_array_equal(norm(x).data, norm.eval()(x).data)


@given(seeds)
def test_group_norm_is_that_of_each_group_of_each_example(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups, size = (int(n) for n in rng.integers(1, 4, 2))
    norm = settled(GroupNorm(groups, groups * size), rng)
    x = drawn(rng, groups * size, *rng.integers(1, 4, rng.integers(0, 3)), least=1)
    expected = layers.group_norm(x, groups, norm.weight.data, norm.bias.data)
    np.testing.assert_allclose(norm(x).data, expected, rtol=1e-11, atol=1e-12)
    np.testing.assert_array_equal(norm(x).data, norm.eval()(x).data)


def test_eps_counts_and_the_affine_map_may_be_left_out() -> None:
    x, ones, zeros = np.random.default_rng(0).standard_normal((4, 6)), np.ones(6), np.zeros(6)
    for norm, expected in (
        (BatchNorm1d(6, eps=0.5, affine=False), layers.batch_norm(x, ones, zeros, 0.5)),
        (LayerNorm(6, eps=0.5, affine=False), layers.layer_norm(x, (6,), ones, zeros, 0.5)),
        (GroupNorm(2, 6, eps=0.5, affine=False), layers.group_norm(x, 2, ones, zeros, 0.5)),
    ):
        np.testing.assert_allclose(norm(x).data, expected, rtol=1e-12, atol=1e-14)
        assert norm.parameters() == []
        assert repr(norm).endswith(", eps=0.5, affine=False)")


# ---- gradients, programs, dtypes

EACH: dict[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "BatchNorm": (lambda **o: BatchNorm(3, **o), (4, 3)),
    "BatchNorm of pictures": (lambda **o: BatchNorm(2, **o), (3, 2, 2, 2)),
    "BatchNorm1d": (lambda **o: BatchNorm1d(3, **o), (4, 3)),
    "BatchNorm1d of lines": (lambda **o: BatchNorm1d(3, **o), (2, 3, 4)),
    "BatchNorm2d": (lambda **o: BatchNorm2d(2, **o), (3, 2, 2, 3)),
    "LayerNorm": (lambda **o: LayerNorm(4, **o), (3, 4)),
    "LayerNorm of tables": (lambda **o: LayerNorm((2, 3), **o), (2, 2, 3)),
    "GroupNorm": (lambda **o: GroupNorm(2, 4, **o), (3, 4)),
    "GroupNorm of pictures": (lambda **o: GroupNorm(1, 2, **o), (2, 2, 2, 2)),
}
every = pytest.mark.parametrize("name", EACH)


def case(name: str, **options: Any) -> tuple[Any, Array]:
    rng = np.random.default_rng(0)
    make, shape = EACH[name]
    return settled(make(**options), rng), rng.standard_normal(shape) + 2


@every
@pytest.mark.parametrize("training", [True, False])
def test_gradients_of_both_orders_are_the_slopes(name: str, training: bool) -> None:
    norm, x = case(name)
    norm(x)
    norm.train(training)
    factor = np.random.default_rng(1).standard_normal(x.shape)

    def f(x: Any, weight: Any, bias: Any) -> Any:
        norm.weight, norm.bias = weight, bias
        return np.sum(norm(x) * factor)

    check_along(f, x, norm.weight.data, norm.bias.data)


@every
def test_a_program_computes_the_same_and_moves_the_buffers_as_far(name: str) -> None:
    eager, x = case(name)
    compiled, _ = case(name)

    def step(norm: Any, x: Any) -> Any:
        cost = np.sum(np.sin(norm(x)))
        return cost.detach(), gradients(cost, norm.parameters())

    program = compile(lambda x: step(compiled, x))
    for k in range(3):
        found, expected = program(x + k), step(eager, Tensor(x + k))
        assert found[0].item() == pytest.approx(expected[0].item(), rel=1e-12)
        for a, b in zip(found[1], expected[1], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)
        for a, b in zip(compiled.buffers(), eager.buffers(), strict=True):
            np.testing.assert_allclose(a.data, b.data, rtol=1e-13)


@every
def test_float32_stays_float32(name: str) -> None:
    wide, x = case(name)
    norm, _ = case(name, dtype=np.float32)
    t = Tensor(x.astype(np.float32), requires_grad=True)
    z = norm(t)
    np.sum(np.sin(z)).backward()
    assert {z.dtype, t.grad.dtype, *(p.grad.dtype for p in norm.parameters())} == {
        np.dtype(np.float32)
    }
    assert all(buffer.dtype == np.float32 for buffer in norm.buffers())
    np.testing.assert_allclose(z.data, wide(x).data, rtol=1e-4, atol=1e-5)
    for narrow, full in zip(norm.buffers(), wide.buffers(), strict=True):
        np.testing.assert_allclose(narrow.data, full.data, rtol=1e-5)


@pytest.mark.parametrize(
    ("norm", "shape", "is_cut"),
    [
        (LayerNorm(3), (4096, 3), True),
        (LayerNorm((2, 2)), (4096, 2, 2), True),
        (GroupNorm(2, 4), (4096, 4), True),
        (BatchNorm1d(3).eval(), (4096, 3), True),
        (BatchNorm1d(3), (4096, 3), False),  # too few numbers for slices to wait for each other
        (BatchNorm1d(100), (4096, 100), True),
    ],
    ids=repr,
)
def test_rows_are_shared_out_where_they_are_independent(
    norm: Any, shape: tuple[int, ...], is_cut: bool
) -> None:
    x = np.random.default_rng(0).standard_normal(shape)

    def step(x: Any) -> Any:
        cost = np.mean(np.square(norm(x) + 1))
        return cost.detach(), gradients(cost, norm.parameters())

    cut, whole = compile(step), compile(step, share_rows=False)
    (cost, grads), (expected, others) = cut(x), whole(x)
    assert ("\nSLICES = [" in cut.source) is is_cut
    assert cost.item() == pytest.approx(expected.item(), rel=1e-12)
    for a, b in zip(grads, others, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)


def test_equal_values_are_normalised_to_the_bias() -> None:
    norms: list[Any] = [BatchNorm1d(2), LayerNorm(2), GroupNorm(1, 2)]
    for norm in norms:
        x = Tensor(np.full((3, 2), 0.1), requires_grad=True)
        with np.errstate(all="raise"):
            z: Any = norm(x)
            np.sum(z * [[1.0, 2.0]]).backward()
        np.testing.assert_allclose(z.data, 0, atol=1e-13)
        assert np.isfinite(x.grad).all()


# ---- states


def test_a_state_has_the_names_that_pytorch_gives() -> None:
    names = ["weight", "bias"]
    for norm in (LayerNorm(2), GroupNorm(1, 2)):
        assert list(norm.state_dict()) == names
    running = ["running_mean", "running_var"]
    for batch_norm in (BatchNorm1d(2), BatchNorm2d(2)):
        assert list(batch_norm.state_dict()) == names + running
        assert list(dict(batch_norm.named_buffers())) == running
    assert list(BatchNorm1d(2, affine=False).state_dict()) == running


def test_neither_a_penalty_nor_weight_decay_touches_a_norm() -> None:
    norms = BatchNorm1d(2), LayerNorm(2), GroupNorm(1, 2)
    model = Sequential(Layer(2, 2, rng=0), *norms)
    assert model.weights() == [model[0].weight]
    l2_penalty(model, 1.0, examples=1).backward()
    assert all(p.grad is None for norm in norms for p in norm.parameters())


def test_the_buffers_move_without_a_graph_too_and_hold_none() -> None:
    norm, x = BatchNorm1d(2), np.array([[1.0, 2.0], [3.0, 4.0]])
    with no_grad():
        norm(x)
    np.testing.assert_allclose(norm.running_mean.data, [0.2, 0.3], rtol=1e-15)
    norm(Tensor(x, requires_grad=True))
    assert not any(buffer.requires_grad for buffer in norm.buffers())
    assert all(buffer.is_leaf for buffer in norm.buffers())


def test_they_say_what_they_are() -> None:
    assert repr(BatchNorm2d(3, momentum=0.01)) == "BatchNorm2d(3, momentum=0.01)"
    assert repr(LayerNorm((2, 3))) == "LayerNorm((2, 3))"
    assert [repr(LayerNorm(n)) for n in (3, (3,), [3])] == ["LayerNorm(3)"] * 3
    assert repr(GroupNorm(2, 4, affine=False)) == "GroupNorm(2, 4, affine=False)"
    shown = Sequential(BatchNorm1d(3)).summary().splitlines()[1].split()
    assert shown == ["0", "BatchNorm1d(3)", "weight", "(3,)", "3"]


# ---- what they refuse

ONE = ["one row", "batch_size", "model.eval()"]
BAD: list[tuple[Callable[[], Any], type[Exception], list[str]]] = [
    (lambda: BatchNorm1d(0), ValueError, ["BatchNorm1d(0): features", "at least 1"]),
    (lambda: BatchNorm2d(2.5), TypeError, ["BatchNorm2d(2.5): features", "whole"]),  # type: ignore[arg-type]
    (lambda: BatchNorm1d(2, eps=-1.0), ValueError, ["BatchNorm1d: eps", "-1.0"]),
    (lambda: BatchNorm1d(2, momentum=1.5), ValueError, ["momentum", "at most 1", "1.5"]),
    (lambda: BatchNorm1d(2, momentum=None), TypeError, ["momentum", "None"]),  # type: ignore[arg-type]
    (lambda: BatchNorm1d(2, affine=1), TypeError, ["affine", "True or False"]),  # type: ignore[arg-type]
    (lambda: BatchNorm1d(2)(np.ones((3, 4))), ValueError, ["(3, 4)", "(m, 2)", "(m, 2, length)"]),
    (
        lambda: BatchNorm(2)(np.ones(2)),
        ValueError,
        ["BatchNorm(2)", "(m, 2) or (m, 2, length) or (m, 2, height, width)"],
    ),
    (lambda: BatchNorm1d(2)(np.ones(2)), ValueError, ["(2,)", "(m, 2)"]),
    (lambda: BatchNorm2d(2)(np.ones((3, 2))), ValueError, ["(3, 2)", "(m, 2, height, width)"]),
    (lambda: BatchNorm1d(2)(np.ones((1, 2))), ValueError, ["BatchNorm1d(2)", "(1, 2)", *ONE]),
    (lambda: BatchNorm2d(2)(np.ones((1, 2, 1, 1))), ValueError, ["(1, 2, 1, 1)", *ONE]),
    (lambda: BatchNorm1d(2)(np.ones((0, 2))), ValueError, ["(0, 2)", "0 value"]),
    (lambda: LayerNorm(()), ValueError, ["LayerNorm", "()"]),
    (lambda: LayerNorm((2, -1)), ValueError, ["LayerNorm((2, -1))", "at least 1"]),
    (lambda: LayerNorm("a"), TypeError, ["LayerNorm('a')", "whole"]),  # type: ignore[arg-type]
    (lambda: LayerNorm((2, 3))(np.ones((2, 2))), ValueError, ["(2, 2)", "(..., 2, 3)"]),
    (lambda: LayerNorm((2, 3))(np.ones(3)), ValueError, ["(3,)", "(..., 2, 3)"]),
    (lambda: LayerNorm(2, eps=-0.5), ValueError, ["LayerNorm: eps", "-0.5"]),
    (lambda: GroupNorm(1, 2, eps=-0.5), ValueError, ["GroupNorm: eps", "-0.5"]),
    (lambda: GroupNorm(2, 3), ValueError, ["GroupNorm(2, 3)", "2 groups", "3 channels"]),
    (lambda: GroupNorm(0, 3), ValueError, ["GroupNorm(0, 3): groups"]),
    (lambda: GroupNorm(1, 2)(np.ones((3, 4))), ValueError, ["(3, 4)", "(m, 2, ...)"]),
    (lambda: GroupNorm(1, 2)(np.ones(2)), ValueError, ["(2,)", "(m, 2, ...)"]),
]


@pytest.mark.parametrize(("call", "error", "words"), BAD, ids=range(len(BAD)))
def test_bad_calls_say_what_came_and_what_to_do(
    call: Callable[[], Any], error: type[Exception], words: list[str]
) -> None:
    assert_refused(call, error, words)


def test_a_batch_that_is_refused_moves_nothing() -> None:
    norm = BatchNorm1d(2)
    before = norm.state_dict()
    for x in (np.ones((1, 2)), np.ones((2, 3))):
        with pytest.raises(ValueError, match="BatchNorm1d"):
            norm(x)
    for name, array in norm.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_one_row_has_a_variance_where_it_has_several_places() -> None:
    x = np.random.default_rng(0).standard_normal((1, 2, 3))
    found = BatchNorm1d(2)(x).data
    np.testing.assert_allclose(found, layers.batch_norm(x, np.ones(2), np.zeros(2)), rtol=1e-12)
    module: Module = BatchNorm1d(2).eval()
    assert module(np.ones((1, 2))).shape == (1, 2)


@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 2), (4, 3, 2, 2)])
def test_one_norm_for_rows_sequences_and_pictures(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=shape)
    kind = BatchNorm2d if len(shape) == 4 else BatchNorm1d
    ours, theirs = BatchNorm(3), kind(3)
    assert ours(x).data.tobytes() == theirs(x).data.tobytes()
    assert ours.running_var.data.tobytes() == theirs.running_var.data.tobytes()
    theirs.load_state_dict(ours.state_dict())
