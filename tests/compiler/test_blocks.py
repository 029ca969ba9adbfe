"""What a loop computes block by block, several blocks at once, and where its stacks lie."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autonn import GRU, LSTM, compile, grad, gradients, scan, sigmoid, value_and_grad
from autonn.compiler import lowering
from autonn.compiler.graph import Node, behind
from autonn.engine.tensor import values_of
from autonn.engine.trees import tree_leaves

RNG = np.random.default_rng(0)
X, W, H = RNG.normal(size=(5, 4, 12)), RNG.normal(size=(3, 12)) / 2, RNG.normal(size=(4, 3))
BIAS = RNG.normal(size=12)
TOLERANCE = {np.float64: 1e-12, np.float32: 1e-5}


def alike(f: Callable[..., Any], *args: Any, dtype: Any = np.float64) -> str:
    """Demand that a program gives what the steps one by one give, and twice; return its text."""
    given = [a.astype(dtype) for a in args]
    program, expected = compile(f), tree_leaves(f(*given))
    first = tree_leaves(program(*given))
    kept = [np.array(values_of(a)) for a in first]
    again = tree_leaves(program(*given))
    for a, b, right, was in zip(first, again, expected, kept, strict=True):
        right = np.asarray(values_of(right))
        assert np.asarray(values_of(a)).dtype == right.dtype == dtype
        for found in (a, b):
            np.testing.assert_allclose(
                values_of(found), right, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype]
            )
        np.testing.assert_array_equal(values_of(a), was)  # the second call left it alone
    return program.source


def step_of(source: str) -> str:
    """Return the text of the first step."""
    return source.split("def step(")[1].split("\n\n")[0]


# ---- blocks


def gated(x: Any, w: Any, h: Any) -> Any:
    """Like an LSTM, of which three gates that are not side by side are sigmoids."""

    def step(h: Any, x: Any) -> Any:
        i, f, g, o = np.split(x + h @ w, 4, axis=-1)
        h = sigmoid(o) * np.tanh(sigmoid(f) * h + sigmoid(i) * np.tanh(g))
        return h, h

    last, hs = scan(step, h, np.tanh(x @ np.eye(12, dtype=x.dtype) + BIAS.astype(x.dtype)))
    return np.sum(last * hs[2])


def biased(x: Any, w: Any, h: Any) -> Any:
    """Like a GRU: a bias in the step, and one slice of what each step is given."""

    def step(h: Any, x: Any) -> Any:
        a, b, c = np.split(h @ w[:, :9] + BIAS[:9].astype(x.dtype), 3, axis=-1)
        u, v, _ = np.split(x[:, :9], 3, axis=-1)
        return np.tanh(u + a) * h + sigmoid(v + b) * c, None

    return np.sum(scan(step, h, x)[0] ** 2)


def late(x: Any, w: Any, h: Any) -> Any:
    """Does the same to the last two blocks alone."""

    def step(h: Any, x: Any) -> Any:
        a, b, c, d = np.split(x + h @ w, 4, axis=-1)
        return np.tanh(a) * np.exp(b) - sigmoid(c) * sigmoid(d), c

    last, cs = scan(step, h, x)
    return np.sum(last * cs[2])


def read_whole(x: Any, w: Any, h: Any) -> Any:
    """Reads what is cut as a whole, too."""

    def step(h: Any, x: Any) -> Any:
        z = x + h @ w
        a, b, c, d = np.split(z, 4, axis=-1)
        return np.tanh(a) * sigmoid(b) + np.tanh(c * d), np.sum(z, axis=1)

    last, sums = scan(step, h, x)
    return np.sum(last) + np.sum(sums**2)


def read_around(x: Any, w: Any, h: Any) -> Any:
    """Reads what the steps are given outside of the loop, too."""
    z = np.tanh(x @ np.eye(12, dtype=x.dtype))
    last, _ = scan(lambda h, z: (h * z[:, :3] + z[:, 3:6] * z[:, 6:9] - z[:, 9:], None), h, z)
    return np.sum(last) + np.sum(z)


def uneven(x: Any, w: Any, h: Any) -> Any:
    """Cuts blocks of several widths, and the same twice."""

    def step(h: Any, x: Any) -> Any:
        z = x + h @ w
        return np.tanh(z[:, :3]) * z[:, 3:4] + np.tanh(z[:, 5:8]) * z[:, :3], z[:, 4:]

    last, rest = scan(step, h, x)
    return np.sum(last) + np.sum(rest**2)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("cost", [gated, biased, late, read_whole, read_around, uneven])
def test_gates_are_the_same_in_blocks(cost: Any, dtype: Any) -> None:
    alike(cost, X, W, H, dtype=dtype)
    alike(value_and_grad(cost, argnums=(0, 1, 2)), X, W, H, dtype=dtype)


def test_what_is_read_around_the_loop_too_is_computed_once() -> None:
    assert alike(read_around, X, W, H).count("np.tanh(") == 1


def test_slopes_of_slopes_are_the_same_in_blocks() -> None:
    alike(grad(lambda w: np.sum(grad(gated, argnums=1)(X, w, H) ** 2)), W)


def test_what_the_same_is_done_to_is_one_call() -> None:
    step = step_of(alike(gated, X, W, H))
    assert "np.matmul(" in step
    assert "(4, 4, 3)" in step  # four blocks of 4 x 3, each in one piece
    assert step.count("np.exp if") == step.count("np.divide(") == 1  # of three gates at once
    assert step.count("np.tanh(") == 2
    for cost in (read_whole, uneven):
        whole = step_of(alike(cost, X, W, H))
        assert "np.dot(" in whole
        assert "np.matmul(" not in whole


def test_blocks_that_are_all_kept_are_stacked_at_once() -> None:
    """So nothing is copied, and the slopes of three gates are one call too."""
    source = alike(value_and_grad(gated, argnums=(0, 1, 2)), X, W, H)
    assert "np.copyto" not in step_of(source)
    assert source.split("def program(")[1].count("far_divide(") == 1


@pytest.mark.parametrize("layer", [LSTM(3, 2, rng=0, bidirectional=True), GRU(3, 2, rng=0)])
def test_layers_read_backwards_and_to_their_lengths_in_blocks(layer: Any) -> None:
    def cost(x: Any) -> Any:
        outputs, state = layer(x, lengths=np.array([5, 2, 0]))
        loss = np.sum(outputs**2) + sum(np.sum(s) for s in tree_leaves(state))
        return loss, outputs, gradients(loss, layer.parameters())

    assert "np.matmul(carry" in alike(cost, RNG.normal(size=(3, 5, 3)))


# ---- stacks of carries


def two_carries(x: Any, w: Any, h: Any) -> Any:
    """Stacks what the steps are given and what they give, of carries that change places."""

    def step(carry: Any, x: Any) -> Any:
        a, b, n = carry
        new = np.tanh(a @ w[:, :3] + x[:, :3] * b)
        return (new, a, n + 1), {"old": a, "new": new, "two": b * 1.0, "number": n}

    start = (h, h * 2, np.zeros((), x.dtype))
    last, ys = scan(step, start, x)
    return last, ys


@pytest.mark.parametrize("reverse", [False, True])
def test_a_carry_is_stacked_where_it_is_written(reverse: bool) -> None:
    def back(x: Any, h: Any) -> Any:
        return scan(lambda h, x: (np.tanh(h * x[:, :3]), h), h, x, reverse=reverse)

    source = alike(back, X, H)
    assert "np.copyto" not in source
    assert "[step_k + 1]" in source or reverse

    def cost(x: Any, h: Any) -> Any:
        last, hs = back(x, h)
        return np.sum(last * hs[1])

    alike(value_and_grad(cost, argnums=(0, 1)), X, H)


def test_carries_that_change_places_keep_their_stacks() -> None:
    alike(two_carries, X, W, H)


def test_long_loops_do_not_keep_a_view_of_each_row() -> None:
    for steps, lists in ((3, True), (1001, False)):
        x = RNG.normal(size=(steps, 2, 3))

        def cost(x: Any) -> Any:
            return np.sum(scan(lambda h, x: (np.tanh(h * x), h), x[0], x)[0])

        source = alike(
            grad(lambda x: np.sum(scan(lambda h, x: (np.tanh(h * x), h), x[0], x)[0])), x
        )
        assert ("list(" in source) == lists


# ---- signs of zeros


def test_signs_of_zeros_show_where_more_than_products_read_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def slopes(x: Any, h: Any) -> Any:
        def step(h: Any, x: Any) -> Any:
            a, b, c, d = np.split(x, 4, axis=-1)
            return h + (a * b - c * d), None

        return grad(lambda x: np.sum(scan(step, h, x)[0]))(x)

    zeros = np.zeros_like(X)
    zeros[:, :, :3] = -0.0
    expected = np.signbit(slopes(zeros, H))
    assert (np.signbit(compile(slopes)(zeros, H)) == expected).all()

    def all_of_them(outputs: Any, seen: Any) -> set[Node]:
        return set(behind(outputs))

    monkeypatch.setattr(lowering, "unsigned", all_of_them)
    assert (np.signbit(compile(slopes)(zeros, H)) != expected).any()


def test_products_read_parts_as_they_are() -> None:
    source = alike(grad(gated, argnums=1), X, W, H)
    assert "zero, out=into" not in source
    assert ".transpose((1, 0, 2)), blocks)" in source  # the four at once
