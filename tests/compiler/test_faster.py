"""What is written or computed in another way where that is faster gives the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special
from tools.drawn_row_costs import few_rows_are_shared
from tools.pairs import combinations

from autonn import (
    LSTM,
    BatchNorm1d,
    Embedding,
    LayerNorm,
    Linear,
    Module,
    MultiheadAttention,
    Sequential,
    SoftmaxCrossEntropy,
    Tensor,
    compile,
    gradients,
    value_and_grad,
)
from autonn.compiler import loops, products
from autonn.engine import ops

RNG = np.random.default_rng(0)
X, W = RNG.normal(size=(5, 6, 4)), RNG.normal(size=(3, 4))


def assert_same(cost: Callable[..., Any], *args: Any) -> str:
    """See that a cost and its gradients are the same compiled; return the program."""
    f = value_and_grad(cost, argnums=tuple(range(len(args))))
    compiled = compile(f)
    value, slopes = compiled(*args)
    expected, right = f(*args)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    for got, slope in zip(slopes, right, strict=True):
        np.testing.assert_allclose(got, slope, rtol=1e-11, atol=1e-13)
    return compiled.source


@pytest.mark.parametrize(
    ("axis", "keepdims", "turned"),
    combinations([0, 2, -1, (0, 1), (1, 2), (0, 2), 1], [False, True], [False, True]),
)
def test_sums_over_the_first_axes_or_the_last(axis: Any, keepdims: bool, turned: bool) -> None:
    def cost(x: Any) -> Any:
        z = np.sin(x)
        z = np.transpose(z, (2, 0, 1)) if turned else z
        return np.sum(np.exp(np.sum(z, axis=axis, keepdims=keepdims)))

    source = assert_same(cost, X)
    is_edge = axis not in (1, (0, 2)) and not turned
    assert ("np.add.reduce" not in source) is is_edge


@pytest.mark.parametrize("limit", [0, 10**6])
def test_a_stack_times_a_matrix(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_SMALL", limit)
    source = assert_same(lambda x, w: np.sum(np.sin(x @ w.T)), X, W)
    assert ("np.ascontiguousarray(" in source) is (limit > 0)


@pytest.mark.parametrize("rows", [3, 4])
def test_a_stack_of_few_rows_each_is_one_matrix(rows: int) -> None:
    source = assert_same(lambda x, w: np.sum(np.sin(x @ w.T)), X[:, :rows], W)
    assert ("np.dot(x.reshape(" in source) is (rows < 4)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize(
    ("left", "right", "axis"),
    [
        ((2, 1, 40), (2, 6, 40), 2),  # rows of y
        ((2, 6, 40), (2, 1, 40), -1),  # rows of x
        ((2, 9, 1), (2, 9, 20), 1),  # columns of y
        ((9, 1, 4), (1, 8, 4), 2),  # x by y, no stack
        ((1, 9, 4), (8, 1, 4), 2),  # y by x
        ((3, 9, 1, 8), (3, 1, 7, 8), 3),
        ((3, 9, 5, 1), (3, 1, 5, 7), 2),
        ((3, 5, 9, 1), (3, 5, 1, 7), 1),
        ((5, 6, 1), (5, 1, 7), 0),
        ((8, 5), (5,), 1),  # a vector
        ((6, 5), (6, 1), 0),
    ],
)
def test_a_sum_of_stretched_products_is_one_of_matrices(
    left: tuple[int, ...], right: tuple[int, ...], axis: int, keepdims: bool
) -> None:
    x, y = RNG.normal(size=left), RNG.normal(size=right)
    source = assert_same(
        lambda x, y: np.sum(np.sin(np.sum(np.cos(x) * np.exp(y), axis=axis, keepdims=keepdims))),
        x, y,
    )  # fmt: skip
    forward = source.partition("d_")[0]
    assert "np.matmul(" in forward or forward.count("np.dot(") > 1
    assert "np.add.reduce(" not in forward


@pytest.mark.parametrize(
    ("left", "right", "axis"),
    [
        ((5, 6, 4), (5, 6, 4), 2),  # nothing is stretched
        ((5, 6, 4), (5, 6, 1), 2),  # along the sum it is
        ((5, 6, 4), (6, 4), (0, 2)),  # over two axes
        ((5, 1, 2), (5, 3, 2), 2),  # too small
        ((5, 6, 1, 4), (1, 6, 7, 4), 3),  # the stack lies inside
        ((200, 1, 1), (200, 1, 7), 1),  # a sum of one
        ((40, 3, 1), (40, 3, 5), 0),  # over the rows, in a stack
    ],
)
def test_other_sums_of_products_stay_sums(
    left: tuple[int, ...], right: tuple[int, ...], axis: Any
) -> None:
    x, y = RNG.normal(size=left), RNG.normal(size=right)
    compiled = compile(lambda x, y: np.sum(x * y, axis=axis))
    np.testing.assert_allclose(compiled(x, y), np.sum(x * y, axis=axis), rtol=1e-12, atol=1e-14)
    assert "np.multiply(" in compiled.source


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.int8])
def test_rows_are_taken_by_their_numbers(dtype: Any) -> None:
    table, rows = Tensor(W, requires_grad=True), np.array([[2, 0], [0, 1]], dtype)
    compiled = compile(lambda rows: table[rows] + table[(rows,)] + table[np.array([1, -1])])
    got, expected = compiled(rows), W[rows] * 2 + W[[1, -1]]
    np.testing.assert_array_equal(got.numpy(), expected)
    assert compiled.source.count(".take(") == 3
    with pytest.raises(IndexError, match="out of bounds"):
        compiled(np.full_like(rows, 3))


@pytest.mark.parametrize("rows", [np.array([True, False, True]), np.array([1], np.uint64), 1])
def test_what_cannot_be_taken_is_read(rows: Any) -> None:
    table = Tensor(W, requires_grad=True)
    compiled = compile(lambda x: x + table[rows])
    np.testing.assert_array_equal(compiled(np.zeros(4)).numpy(), W[rows] + np.zeros(4))
    assert ".take(" not in compiled.source


def test_rows_of_what_does_not_lie_by_rows_are_read() -> None:
    table = Tensor(np.asfortranarray(W), requires_grad=True, copy=False)
    compiled = compile(lambda rows: table[rows])
    np.testing.assert_array_equal(compiled(np.array([2, 1])).numpy(), W[[2, 1]])
    assert ".take(" not in compiled.source


def test_results_in_another_shape_are_not_copied() -> None:
    def f(x: Any) -> Any:
        z = np.sin(x)
        return np.reshape(z, (-1,)), np.cos(z), np.reshape(z, (6, 20)), np.reshape(x, (-1,))

    compiled = compile(f)
    first, again = compiled(X), compiled(X + 1)
    assert compiled.source.count("np.array(") == 2  # the second of z, and what the caller holds
    arrays = [X, *first, *again]
    assert not any(np.shares_memory(a, b) for k, a in enumerate(arrays) for b in arrays[:k])
    for got, right in zip(first, f(X), strict=True):
        np.testing.assert_array_equal(got, right)
        assert got.flags.c_contiguous


@pytest.mark.parametrize(
    ("deviation", "plain"),
    [
        (lambda x: np.sqrt(np.sum(x**2, axis=1, keepdims=True) + 1e-5), True),
        (lambda x: np.sqrt(1e-5 + np.mean(np.abs(x), axis=1, keepdims=True)), True),
        (lambda x: np.sqrt(np.exp(x).reshape(30, 4) * 2 + 1e-5).reshape(x.shape), True),
        (lambda x: np.sqrt(np.maximum(x, 0.25)), True),
        (lambda x: np.sqrt(np.sum(x**2, axis=1, keepdims=True)), False),
        (lambda x: np.sqrt(np.sum(x, axis=1, keepdims=True) ** 2 + 0), False),
        (lambda x: np.sqrt(x**2 + 1e-5 + np.abs(x) * -1e-9), False),
    ],
)
def test_what_is_above_zero_divides_plainly(deviation: Callable[..., Any], plain: bool) -> None:
    source = assert_same(lambda x: np.sum(np.sin(x) / deviation(x)), X)
    assert ("where=" not in source) is plain


def test_norms_divide_plainly() -> None:
    for norm in (BatchNorm1d(4), LayerNorm(4)):
        below = Sequential(Linear(4, 4, rng=0), norm)

        def step(x: Any, model: Any = below) -> Any:
            return gradients(np.sum(np.sin(model(x))), model.parameters())

        compiled = compile(step)
        for got, right in zip(compiled(X[0]), step(X[0]), strict=True):
            np.testing.assert_allclose(got, getattr(right, "data", right), rtol=1e-10, atol=1e-12)
        assert "where=" not in compiled.source


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("extreme", [np.max, np.min])
@pytest.mark.parametrize("mask", [None, np.tri(6, 4, dtype=bool)])
def test_extremes_of_rows_are_found_by_where_they_start(
    keepdims: bool, extreme: Any, mask: Any
) -> None:
    def f(x: Any) -> Any:
        z = np.sin(x) if mask is None else np.where(mask, np.sin(x), -2.0)
        return np.exp(extreme(z, axis=-1, keepdims=keepdims)[:, ::-1])

    compiled = compile(f)
    x = X.copy()
    x[1, 2, 3] = np.nan
    for given in (X, x):
        with np.errstate(invalid="ignore"):
            np.testing.assert_array_equal(compiled(given), f(given))
    assert ".reduceat(" in compiled.source


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.max(np.transpose(np.sin(x), (0, 2, 1)), axis=-1),
        lambda x: np.max(x, axis=-1),  # the caller's may lie in any way
        lambda x: np.max(np.where(np.tri(6, 5, dtype=bool), x.T, 0.0), axis=-1),
        lambda x: np.max(np.sin(x), axis=1),
        lambda x: np.max(np.sin(x), axis=(1, 2)),
    ],
)
def test_other_extremes_are_reduced(f: Any) -> None:
    compiled = compile(lambda x: np.exp(f(x)[::-1]))
    for x in (X, np.asfortranarray(X)):
        np.testing.assert_array_equal(compiled(x), np.exp(f(x)[::-1]))
    assert ".reduceat(" not in compiled.source


def test_numbers_are_laid_out_anew_once() -> None:
    def cost(x: Any, w: Any) -> Any:
        rows = np.reshape(np.transpose(np.sin(x), (1, 0, 2)), (6, 20))
        return np.sum(np.cos(rows @ w)) + np.sum(np.exp(rows)) + np.sum(rows.reshape(12, 10)[0])

    source = assert_same(cost, X, RNG.normal(size=(20, 3)))
    assert source.count(".transpose((1, 0, 2)).reshape(") == 1


@pytest.mark.parametrize("causal", [True, False])
def test_where_each_query_has_a_key_none_is_looked_for_twice(causal: bool) -> None:
    model, mask = MultiheadAttention(4, 2, rng=0), np.arange(6) < 4

    def f(x: Any) -> Any:
        return model(x, mask=None if causal else mask[None] & mask[:, None], causal=causal)

    compiled = compile(f)
    np.testing.assert_allclose(compiled(X).data, f(X).data, rtol=1e-12)
    assert compiled.source.count("np.where(") == 2 - causal


def test_a_product_that_is_turned_around() -> None:
    x, y = X[0], RNG.normal(size=(6, 3))
    source = assert_same(lambda x, y: np.sum(np.sin((x.T @ y).T)), x, y)
    assert "np.dot(y.T, x" in source


@pytest.mark.parametrize("bytes_at_once", [0, 1 << 15])
@pytest.mark.parametrize("layers", [1, 2])
def test_slopes_of_a_loop_at_once_or_step_by_step(
    bytes_at_once: int, layers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loops, "_SHORT", bytes_at_once)
    model = LSTM(4, 3, layers=layers, bidirectional=True, rng=0)

    def step(x: Any) -> Any:
        outputs, (h, c) = model(x)
        cost = np.sum(np.sin(outputs)) + np.sum(h * c)
        return cost.detach(), gradients(cost, model.parameters())

    got, expected = compile(step)(X), step(X)
    np.testing.assert_allclose(got[0].data, expected[0].data, rtol=1e-12)
    for a, b in zip(got[1], expected[1], strict=True):
        np.testing.assert_allclose(a, getattr(b, "data", b), rtol=1e-11, atol=1e-13)


def test_phi_of_many_numbers_of_float32() -> None:
    """SciPy's is right to the last digit; ours to 2e-7, and of x below 0 to 4e-6 of itself."""
    x = RNG.uniform(-13, 13, 40_000).astype(np.float32)
    x[:6] = [np.inf, -np.inf, np.nan, 1e30, -1e30, 0]
    found, right = ops.normal_cdf(x.reshape(2, -1)).reshape(-1), special.ndtr(x.astype(float))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-37)
    np.testing.assert_allclose(found, right, rtol=0, atol=2.5e-7)


class Reader(Module):
    """Reads texts: a table of characters, attention, a norm."""

    def __init__(self) -> None:
        self.table, self.norm = Embedding(7, 4, rng=0), LayerNorm(4)
        self.attention, self.end = MultiheadAttention(4, 2, rng=1), Linear(4, 7, rng=2)

    def forward(self, x: Any) -> Any:
        """Give the logits of each place."""
        z = self.table(x)
        return self.end(z + self.attention(self.norm(z), causal=True))


def test_a_step_on_texts_is_shared_out_by_rows() -> None:
    texts, model = RNG.integers(7, size=(9, 5)), Reader()

    def step(x: Any, y: Any) -> Any:
        cost = SoftmaxCrossEntropy()(model(x), y)
        return cost.detach(), gradients(cost, model.parameters())

    with few_rows_are_shared():
        compiled = compile(step)
        value, slopes = compiled(texts, texts)
    expected, right = step(texts, texts)
    assert "\nSLICES = [" in compiled.source
    np.testing.assert_allclose(value.data, expected.data, rtol=1e-12)
    for a, b in zip(slopes, right, strict=True):
        np.testing.assert_allclose(a, getattr(b, "data", b), rtol=1e-10, atol=1e-13)
