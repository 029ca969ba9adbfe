"""Embeddings: rows that are looked up, their gradients, and numbers that are no rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import layers
from tools.refusals import assert_refused

from autonn import (
    Embedding,
    Flatten,
    Layer,
    Sequential,
    SoftmaxCrossEntropy,
    Tensor,
    compile,
    fit,
    gradcheck,
    gradients,
    optim,
)
from autonn.nn.init import zeros

RNG = np.random.default_rng(0)


@given(st.integers(0, 2**32 - 1))
def test_rows_are_looked_up_and_get_the_sum_of_their_gradients(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count, size = (int(n) for n in rng.integers(1, 6, 2))
    padding = int(rng.integers(count)) if rng.random() < 0.5 else None
    embedding = Embedding(count, size, padding, rng=rng)
    x = rng.integers(0, count, tuple(rng.integers(0, 4, rng.integers(0, 4))))
    x = x.astype(rng.choice(["i8", "u1", "i4"]))
    z = embedding(x if rng.random() < 0.5 else Tensor(x))
    np.testing.assert_array_equal(z.data, layers.looked_up(embedding.weight.data, x))
    factor = rng.standard_normal(z.shape)
    np.sum(z * factor).backward()
    expected = layers.looked_up_back(factor, x, count, padding)
    np.testing.assert_allclose(embedding.weight.grad, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("padding", [None, 1])
def test_gradients_of_both_orders_are_the_slopes(padding: int | None) -> None:
    embedding = Embedding(4, 3, padding, rng=0)
    x = np.array([[0, 2], [3, 3]])  # a row of padding has another slope than its gradient

    def f(weight: Any) -> Any:
        embedding.weight = weight
        return np.sum(np.sin(embedding(x)) ** 2)

    assert gradcheck(f, embedding.weight.data, order=2)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_program_looks_up_other_rows_at_each_call(dtype: Any) -> None:
    embedding = Embedding(5, 3, padding_idx=1, rng=0, dtype=dtype)

    def step(x: Any) -> Any:
        cost: Any = np.mean(np.square(embedding(x)))
        return cost.detach(), gradients(cost, embedding.parameters())

    program = compile(step)
    for _ in range(3):
        x = RNG.integers(0, 5, (6, 2))
        (cost, (d_weight,)), (expected, (its,)) = program(x), step(x)
        assert cost.item() == pytest.approx(expected.item(), rel=1e-6)
        assert d_weight.dtype == dtype
        np.testing.assert_allclose(d_weight, its, rtol=1e-6)
    x[3, 1] = 5
    for call in (program, step):
        assert_refused(partial(call, x), IndexError, ["fed 5 in row 3, column 1"])


def test_the_row_of_padding_starts_as_0_and_stays_so() -> None:
    X, y = RNG.integers(0, 5, (40, 2)), RNG.integers(0, 3, 40)
    for compiled in (True, False):
        model = Sequential(Embedding(5, 3, padding_idx=1, rng=0), Flatten(), Layer(6, 3, rng=0))
        history = fit(
            model, X, y, loss=SoftmaxCrossEntropy(), optimizer=optim.Adam(lr=0.1), epochs=20,
            batch_size=10, seed=0, compile=compiled,
        )  # fmt: skip
        assert history.compiled is compiled
        assert history.cost[-1] < history.cost[0]
        np.testing.assert_array_equal(model[0].weight.data[1], 0)
        assert np.all(model[0].weight.data[[0, 2, 3, 4]] != 0)
    given = np.ones((3, 2))
    np.testing.assert_array_equal(Embedding(3, 2, 1, weight=given).weight.data, given)


def test_it_says_what_it_is_and_starts_as_it_is_told() -> None:
    embedding = Embedding(1000, 50, rng=0)
    assert repr(embedding) == "Embedding(1000, 50)"
    assert repr(Embedding(3, 2, padding_idx=-0)) == "Embedding(3, 2, padding_idx=0)"
    assert list(embedding.state_dict()) == ["weight"]
    assert embedding.weights() == [embedding.weight]
    assert embedding.weight.data.std() == pytest.approx(1, rel=0.02)
    assert not Embedding(3, 2, weight=zeros).weight.data.any()
    assert Embedding(3, 2, rng=0, dtype=np.float32)([0]).dtype == np.float32
    assert np.array_equal(Embedding(3, 2, rng=1).weight.data, Embedding(3, 2, rng=1).weight.data)


E = Embedding(3, 2, rng=0)
BAD: list[tuple[Callable[[], Any], type[Exception], list[str]]] = [
    (lambda: Embedding(0, 2), ValueError, ["Embedding(0, 2): count", "at least 1"]),
    (lambda: Embedding(2, 2.5), TypeError, ["Embedding(2, 2.5): size", "whole"]),  # type: ignore[arg-type]
    (lambda: Embedding(3, 2, 3), ValueError, ["padding_idx", "at most 2", "3"]),
    (lambda: Embedding(3, 2, -1), ValueError, ["padding_idx", "at least 0", "-1"]),
    (lambda: Embedding(3, 2, weight=np.ones((2, 3))), ValueError, ["(2, 3)", "(3, 2)"]),
    (lambda: E([0, 3]), IndexError, ["Embedding(3, 2)", "fed 3 in row 1", "0 to 2"]),
    (lambda: E([[0, 1], [-1, 5]]), IndexError, ["fed -1 in row 1, column 0", "never wrap"]),
    (lambda: E(7), IndexError, ["fed 7;"]),
    (lambda: E([0.0, 1.0]), TypeError, ["float64", "x.astype(int)"]),
    (lambda: E([True]), TypeError, ["bool"]),
    (lambda: E(["a"]), TypeError, ["Embedding(3, 2): x", "<U1"]),
    (lambda: E(np.ma.masked_equal([0, 1], 1)), TypeError, ["masked array"]),
]


@pytest.mark.parametrize(("call", "error", "words"), BAD, ids=range(len(BAD)))
def test_bad_calls_say_what_came_and_what_to_do(
    call: Callable[[], Any], error: type[Exception], words: list[str]
) -> None:
    assert_refused(call, error, words)
