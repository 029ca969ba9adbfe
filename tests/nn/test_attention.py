"""Attention against loops over examples, places and heads; masks, causality, positions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracles import sequences
from tools.directions import check_along
from tools.planting import another
from tools.refusals import assert_refused

import autonn
from autonn import (
    Layer,
    LayerNorm,
    Module,
    MultiheadAttention,
    PositionEncoding,
    Sequential,
    Tensor,
    compile,
    gradients,
)
from autonn.nn import attention

Array = NDArray[Any]


def agree(got: Any, expected: Any, tolerance: float = 1e-12) -> None:
    got = got.data if isinstance(got, Tensor) else got
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


def settled(rng: np.random.Generator, width: int, heads: int, **options: Any) -> Any:
    """Make a layer whose biases are not 0."""
    layer = MultiheadAttention(width, heads, **options)
    for p in layer.parameters():
        p.data = rng.standard_normal(p.shape).astype(p.dtype)
    return layer


def hold(
    seed: int = 0, heads: int = 2, d: int = 2, batch: int = 2, queries: int = 3, keys: int = 4,
    bias: bool = True,
) -> None:  # fmt: skip
    """Demand what loops give, for the query itself, for others, and with masks of each shape."""
    rng = np.random.default_rng(seed)
    layer = settled(rng, heads * d, heads, bias=bias)
    state = layer.state_dict()
    query = rng.standard_normal((batch, queries, heads * d))
    key, value = rng.standard_normal((2, batch, keys, heads * d))
    all_of_it = np.ones((batch, heads, queries, keys), bool)
    agree(
        layer(query, key, value),
        sequences.attention(state, query, key, value, heads, all_of_it),
    )
    agree(layer(query, key), sequences.attention(state, query, key, key, heads, all_of_it))
    for shape in ((queries, keys), (batch, 1, keys), (1, queries, keys), all_of_it.shape):
        mask = rng.random(shape) < 0.6
        may = all_of_it & (mask[:, None] if mask.ndim == 3 else mask)
        expected = sequences.attention(state, query, key, value, heads, may)
        agree(layer(query, key, value, mask=mask), expected)
    before = np.arange(queries)[:, None] >= np.arange(queries)
    itself = np.broadcast_to(before, (batch, heads, queries, queries))
    expected = sequences.attention(state, query, query, query, heads, itself)
    agree(layer(query, causal=True), expected)
    mask = rng.random((queries, queries)) < 0.6
    expected = sequences.attention(state, query, query, query, heads, itself & mask)
    agree(layer(query, causal=True, mask=mask), expected)


@given(
    seed=st.integers(0, 2**32 - 1), heads=st.integers(1, 3), d=st.integers(1, 3),
    batch=st.integers(1, 2), queries=st.integers(1, 4), keys=st.integers(1, 4), bias=st.booleans(),
)  # fmt: skip
def test_it_is_what_loops_give(seed: int, **sizes: Any) -> None:
    hold(seed, **sizes)


def test_a_later_input_changes_no_earlier_output() -> None:
    rng = np.random.default_rng(0)
    layer = settled(rng, 4, 2)
    x = rng.standard_normal((2, 5, 4))
    before = layer(x, causal=True).data
    for t in range(5):
        other = x.copy()
        other[:, t] += 100 * rng.standard_normal((2, 4))
        after = layer(other, causal=True).data
        np.testing.assert_array_equal(after[:, :t], before[:, :t])
        assert np.abs(after[:, t] - before[:, t]).min() > 1e-9
    jacobian = autonn.jacobian(lambda x: layer(x, causal=True)[0, :, 0])(x[:1])
    slopes = np.abs(np.asarray(jacobian.data)).sum(axis=(1, 3))
    assert np.all((slopes > 0) == np.tri(5, dtype=bool))


def test_padding_is_not_looked_at_and_who_may_look_nowhere_finds_0() -> None:
    rng = np.random.default_rng(0)
    layer = settled(rng, 4, 2)
    x = rng.standard_normal((2, 5, 4))
    lengths = np.array([5, 3])
    padding = np.arange(5) >= lengths[:, None]
    agree(layer(x, mask=~padding[:, None])[1:, :3], layer(x[1:, :3]).data)
    t = Tensor(x, requires_grad=True)
    with np.errstate(all="raise", under="ignore"):
        z = layer(t, mask=np.zeros((5, 5), bool))
        np.sum(np.sin(z)).backward()
    agree(z, np.broadcast_to(layer.out_proj.bias.data, z.shape))
    assert not t.grad.any()


def test_scores_of_any_size_are_no_trouble() -> None:
    layer = settled(np.random.default_rng(0), 4, 2)
    x = 1e6 * np.random.default_rng(1).standard_normal((2, 3, 4))
    t = Tensor(x, requires_grad=True)
    np.sum(layer(t, causal=True)).backward()
    assert np.isfinite(t.grad).all()


# ---- gradients, programs, dtypes


def test_gradients_are_the_slopes_of_the_loops() -> None:
    rng = np.random.default_rng(1)
    layer = settled(rng, 4, 2)
    query, key, value = (rng.standard_normal((2, n, 4)) for n in (2, 3, 3))
    mask = np.array([[True, False, True], [True, True, False]])
    factor = rng.standard_normal(query.shape)
    names = list(layer.state_dict())

    def slow(query: Any, key: Any, value: Any, *arrays: Any) -> Any:
        named = dict(zip(names, arrays, strict=True))
        may = np.broadcast_to(mask, (2, 2, 2, 3))
        return (factor * sequences.attention(named, query, key, value, 2, may)).sum()

    leaves = [Tensor(a, requires_grad=True) for a in (query, key, value)]
    np.sum(layer(*leaves, mask=mask) * factor).backward()
    wanted = sequences.slopes(slow, [query, key, value, *layer.state_dict().values()])
    for leaf, slope in zip([*leaves, *layer.parameters()], wanted, strict=True):
        agree(leaf.grad, slope, 1e-11)


@pytest.mark.parametrize("causal", [False, True])
def test_second_derivatives_are_those_of_the_first(causal: bool) -> None:
    layer = settled(np.random.default_rng(0), 2, 1)

    def f(x: Any, w: Any, b: Any) -> Any:
        layer.in_proj_weight, layer.in_proj_bias = w, b
        return np.sin(layer(x, causal=causal))

    x = np.random.default_rng(1).standard_normal((1, 2, 2))
    arrays = x, layer.in_proj_weight.data, layer.in_proj_bias.data
    check_along(f, *arrays)


class Block(Module):
    """A block of a transformer, as one would write it."""

    def __init__(self, dtype: Any) -> None:
        self.places = PositionEncoding(4, 10)
        self.attention = MultiheadAttention(4, 2, rng=0, dtype=dtype)
        self.norm = LayerNorm(4, dtype=dtype)
        self.further = Sequential(
            Layer(4, 8, rng=1, dtype=dtype), np.tanh, Layer(8, 4, dtype=dtype)
        )

    def forward(self, x: Any, mask: Any = None) -> Any:
        x = self.places(x)
        x = self.norm(x + self.attention(x, mask=mask, causal=True))
        return x + self.further(x)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_compiled_step_is_the_eager_one_and_keeps_the_dtype(dtype: Any) -> None:
    rng = np.random.default_rng(0)
    block = Block(dtype)

    def step(x: Any, mask: Any) -> Any:
        cost: Any = np.mean(np.sin(block(x, mask)))
        return cost.detach(), gradients(cost, block.parameters())

    program = compile(step)
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    for _ in range(2):
        x, mask = rng.standard_normal((3, 5, 4)).astype(dtype), rng.random((3, 1, 5)) < 0.7
        (cost, grads), (expected, others) = program(x, mask), step(Tensor(x), mask)
        assert cost.item() == pytest.approx(expected.item(), rel=10 * tolerance)
        for got, wanted in zip(grads, others, strict=True):
            assert np.asarray(got).dtype == np.asarray(wanted).dtype == dtype
            agree(np.asarray(got), np.asarray(wanted), tolerance)
    assert block(x, mask).dtype == dtype
    assert "autonn" not in program.source.split('"""')[2]


def test_value_and_grad_is_compiled() -> None:
    layer = settled(np.random.default_rng(0), 4, 2)
    x = np.random.default_rng(1).standard_normal((2, 3, 4))
    f = autonn.value_and_grad(lambda x: np.sum(np.square(layer(x, causal=True))))
    (value, slope), (expected, other) = compile(f)(x), f(x)
    assert float(value) == pytest.approx(float(expected.data), rel=1e-13)
    agree(slope, other.data)


# ---- positions, names, initial values


@pytest.mark.parametrize("width", [1, 2, 5, 8])
def test_positions_are_the_sines_and_cosines_of_their_formula(width: int) -> None:
    layer = PositionEncoding(width, 7)
    x = np.random.default_rng(0).standard_normal((2, 5, width))
    agree(layer(x), x + sequences.positions(7, width)[:5])
    assert layer(x.astype(np.float32)).dtype == np.float32
    assert layer(np.zeros((5, width), int)).dtype == np.float64
    assert layer.state_dict() == {}


def test_parameters_have_the_names_shapes_and_start_that_pytorch_has() -> None:
    layer = MultiheadAttention(8, 2, rng=0)
    shapes = {name: array.shape for name, array in layer.state_dict().items()}
    assert shapes == {
        "in_proj_weight": (24, 8), "in_proj_bias": (24,), "out_proj.weight": (8, 8),
        "out_proj.bias": (8,),
    }  # fmt: skip
    assert list(MultiheadAttention(8, 2, bias=False).state_dict()) == [
        "in_proj_weight", "out_proj.weight",
    ]  # fmt: skip
    assert [p.ndim for p in layer.weights()] == [2, 2]
    for array, limit in ((layer.in_proj_weight, 6 / 32), (layer.out_proj.weight, 1 / 8)):
        assert 0.9 * np.sqrt(limit) < np.abs(array.data).max() <= np.sqrt(limit)
    assert not layer.in_proj_bias.data.any()
    assert not layer.out_proj.bias.data.any()
    for text in (
        "MultiheadAttention(8, 2)", "MultiheadAttention(8, 2, bias=False)",
        "PositionEncoding(8, 20)",
    ):  # fmt: skip
        assert repr(eval(text)) == text


# ---- bad calls

A = MultiheadAttention(4, 2)
X = np.ones((2, 3, 4))
BAD: list[tuple[Callable[[], Any], type[Exception], list[str]]] = [
    (lambda: MultiheadAttention(5, 2), ValueError, ["MultiheadAttention(5, 2)", "2 heads", "5"]),
    (lambda: MultiheadAttention(4, 0), ValueError, ["heads", "at least 1"]),
    (lambda: MultiheadAttention(4.0, 2), TypeError, ["width", "whole"]),  # type: ignore[arg-type]
    (lambda: MultiheadAttention(4, 2, 1), TypeError, ["bias", "True or False"]),  # type: ignore[arg-type]
    (lambda: A(X[0]), ValueError, ["query", "(3, 4)", "(batch, places, 4)", "x[None]"]),
    (lambda: A(X, X[..., :2]), ValueError, ["key", "(2, 3, 2)", "(batch, places, 4)"]),
    (lambda: A(X, X, X[:, :2]), ValueError, ["(2, 3, 4)", "(2, 2, 4)", "each key has a value"]),
    (lambda: A(X, X[:1]), ValueError, ["(2, 3, 4)", "(1, 3, 4)", "batch"]),
    (lambda: A(X, X[:, :2], causal=True), ValueError, ["causal", "3 queries", "2 keys"]),
    (lambda: A(X, causal=1), TypeError, ["causal", "True or False"]),
    (lambda: A(X, mask=np.ones((3, 3))), TypeError, ["boolean", "may look", "float64"]),
    (lambda: A(X, mask=np.ones((2, 3), bool)), ValueError,
     ["(2, 3)", "(3, 3)", "(2, 3, 3)", "(2, 2, 3, 3)"]),
    (lambda: A(X, mask=np.ones(3, bool)), ValueError, ["(3,)", "expected (3, 3)"]),
    (lambda: A(X, mask=np.ones((1, 1, 1, 3, 3), bool)), ValueError, ["(1, 1, 1, 3, 3)"]),
    (lambda: PositionEncoding(4, 0), ValueError, ["length", "at least 1"]),
    (lambda: PositionEncoding(4, 2)(X), ValueError, ["(2, 3, 4)", "2 places at most"]),
    (lambda: PositionEncoding(3, 5)(X), ValueError, ["(2, 3, 4)", "(..., places, 3)"]),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "words"), BAD, ids=range(len(BAD)))
def test_bad_calls_say_what_came_and_what_to_do(
    call: Callable[[], Any], error: type[Exception], words: list[str]
) -> None:
    assert_refused(call, error, words)


# ---- what is wrong is seen

right = attention.look
WRONG: dict[str, Callable[..., Any]] = {
    "the scale is forgotten": lambda q, k, v, may, sure: right(
        q * np.sqrt(q.shape[-1]), k, v, may, sure
    ),
    "the scale is 1 / d": lambda q, k, v, may, sure: right(
        q / np.sqrt(q.shape[-1]), k, v, may, sure
    ),
    "the mask is inverted": lambda q, k, v, may, sure: right(
        q, k, v, None if may is None else ~may, sure
    ),
    "the mask is forgotten": lambda q, k, v, may, sure: right(q, k, v),
    "key and value are exchanged": lambda q, k, v, may, sure: right(q, v, k, may, sure),
    "query and key are exchanged": lambda q, k, v, may, sure: (
        right(k, q, v, may, sure) if k.shape == q.shape else right(q, k, v, may, sure)
    ),
    "a key is taken for granted": lambda q, k, v, may, sure: right(q, k, v, may, True),
    "the heads are exchanged": lambda q, k, v, may, sure: right(q, k, v, may, sure)[:, ::-1],
}


def test_the_right_one_holds() -> None:
    hold()


@pytest.mark.parametrize("fault", WRONG)
def test_a_planted_fault_is_caught(fault: str) -> None:
    with another(attention, "look", WRONG[fault]), pytest.raises(AssertionError):
        hold()


def test_a_mask_that_changes_in_place_is_read_where_it_stands() -> None:
    layer, mask = MultiheadAttention(4, 2, rng=0), np.ones((3, 3), bool)
    x = np.random.default_rng(0).normal(size=(2, 3, 4))

    def f(x: Any) -> Any:
        return layer(x, mask=mask)

    program = autonn.compile(f)
    for far in (1, 2, -1, -2):  # changes that leave each query a key
        mask[:] = ~np.eye(3, k=far, dtype=bool)
        agree(program(x), f(x).data)
    for blind in range(3):
        mask[blind] = False
        agree(program(x), f(x).data)
