"""`scan` as it is: its numbers and gradients are those of the loop, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tools.refusals import assert_refused

from autonn import Tensor, gradcheck, scan
from autonn.engine import scanning

X = np.arange(12.0).reshape(4, 3) / 10


def loop(f: Any, carry: Any, xs: Any, order: Any) -> Any:
    """Do the same with plain lists."""
    ys: list[Any] = [None] * len(xs)
    for t in order:
        carry, ys[t] = f(carry, xs[t])
    return carry, np.stack(ys)


@pytest.mark.parametrize("reverse", [False, True])
def test_it_is_the_loop_over_the_first_axis(reverse: bool) -> None:
    def f(c: Any, x: Any) -> Any:
        return np.sin(c) + x, c * x

    order = range(3, -1, -1) if reverse else range(4)
    got, expected = scan(f, np.ones(3), X, reverse=reverse), loop(f, np.ones(3), X, order)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_carries_xs_and_ys_are_trees_and_y_may_be_none() -> None:
    def f(c: Any, x: Any) -> Any:
        return {"n": c["n"] + 1, "s": [c["s"][0] + x["a"]]}, (x["b"], None, c["n"])

    start = {"n": 0, "s": [np.zeros(3)]}
    last, (b, none, n) = scan(f, start, {"a": X, "b": X[:, 0]})
    assert last["n"] == 4
    np.testing.assert_array_equal(last["s"][0], X.sum(axis=0))
    np.testing.assert_array_equal(b, X[:, 0])
    np.testing.assert_array_equal(n, range(4))
    assert none is None
    assert scan(lambda c, x: (c * 2, None), 1.0, length=5) == (32.0, None)


def test_each_example_ends_by_itself() -> None:
    xs = np.arange(24.0).reshape(4, 3, 2)
    lengths = [4, 0, 2]
    last, ys = scan(lambda c, x: (c + x, x[:, 0]), np.ones((3, 2)), xs, lengths=lengths)
    for k, n in enumerate(lengths):
        np.testing.assert_array_equal(last[k], 1 + xs[:n, k].sum(axis=0))
        np.testing.assert_array_equal(ys[:, k], np.where(np.arange(4) < n, xs[:, k, 0], 0))


def test_gradients_reach_the_carry_the_xs_and_what_is_around_in_both_orders() -> None:
    def f(carry: Any, xs: Any, w: Any) -> Any:
        last, ys = scan(lambda c, x: (np.tanh(c @ w + x), np.sin(c)), carry, xs, reverse=True)
        return np.sum(ys * xs) + np.sum(last * last)

    w = np.random.default_rng(0).standard_normal((3, 3))
    assert gradcheck(f, X[0], X, w, order=2, projections=1)


def test_the_steps_of_a_tensor_are_cut_by_halves() -> None:
    rows = scanning.steps_of(Tensor(X, requires_grad=True))
    np.testing.assert_array_equal(np.stack(rows).data, X)


def give(carry: Any) -> Callable[..., Any]:
    return lambda c, x: (carry, None)


BAD: list[tuple[Callable[[], Any], type[Exception], list[str]]] = [
    (lambda: scan(lambda c, x: c, 0.0, X), TypeError, ["pair (carry, y)", "ndarray"]),
    (lambda: scan(give(np.zeros(2)), np.zeros(3), X), ValueError, ["shape (3,)", "(2,)", "keep"]),
    (lambda: scan(give(np.zeros(3, np.float32)), np.zeros(3), X), TypeError, ["float64", "cast"]),
    (lambda: scan(give((0.0,)), 0.0, X), TypeError, ["form None", "(None,)"]),
    (lambda: scan(give(None), None, X), TypeError, ["the carry", "NoneType"]),
    (lambda: scan(give(0.0), 0.0, [X, X[:2]]), ValueError, ["(4, 3)", "(2, 3)", "first axis"]),
    (lambda: scan(give(0.0), 0.0, X, length=3), ValueError, ["(4, 3)", "length=3"]),
    (lambda: scan(give(0.0), 0.0), ValueError, ["length=None"]),
    (lambda: scan(give(0.0), 0.0, 1.0), ValueError, ["xs of shapes [()]"]),
    (lambda: scan(give(0.0), 0.0, length=0), ValueError, ["no steps"]),
    (lambda: scan(give(X[0]), X[0], X, lengths=[1.0]), TypeError, ["whole numbers", "float64"]),
    (lambda: scan(give(X[0]), X[0], X, lengths=[1, 2]), ValueError, ["2 examples", "(3,)"]),
]


@pytest.mark.parametrize(("call", "error", "words"), BAD, ids=range(len(BAD)))
def test_bad_calls_say_what_came_and_what_to_do(
    call: Callable[[], Any], error: type[Exception], words: list[str]
) -> None:
    assert_refused(call, error, words)
