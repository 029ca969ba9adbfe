"""What is written or computed in another way where that is faster gives the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special
from tools.drawn_row_costs import few_rows_are_shared

from autonn import (
    LSTM,
    Embedding,
    LayerNorm,
    Linear,
    Module,
    MultiheadAttention,
    SoftmaxCrossEntropy,
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


@pytest.mark.parametrize("axis", [0, 2, -1, (0, 1), (1, 2), (0, 2), 1])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("turned", [False, True])
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
