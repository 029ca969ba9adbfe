"""Loops in programs: as long for many steps as for few, and the numbers of the unrolled ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autonn import (
    LSTM,
    BatchNorm1d,
    Tensor,
    compile,
    grad,
    gradients,
    hvp,
    jvp,
    relu,
    scan,
    softmax,
    value_and_grad,
)
from autonn.compiler import emit, loops, simplify, trace
from autonn.compiler.unrolling import unrolled
from autonn.engine import looping, ops
from autonn.engine.modes import CannotCompileError
from autonn.engine.tensor import values_of
from autonn.engine.trees import tree_leaves
from autonn.random import bernoulli, normal

RNG = np.random.default_rng(0)
X, W, H = RNG.normal(size=(5, 4, 3)), RNG.normal(size=(3, 3)) / 2, RNG.normal(size=(4, 3))


def agree(got: Any, expected: Any, tolerance: float = 1e-12) -> None:
    for a, b in zip(tree_leaves(got), tree_leaves(expected), strict=True):
        a, b = values_of(a), values_of(b)
        assert np.asarray(a).dtype == np.asarray(b).dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def hold(f: Callable[..., Any], *args: Any, tolerance: float = 1e-12) -> None:
    """Demand that a program with loops gives what the steps one by one give; twice, as memory."""
    program = compile(f)
    for _ in range(2):
        agree(program(*args), f(*args), tolerance)
    assert "for step_k in" in program.source


# ---- what is computed


def plain(x: Any, w: Any, h: Any) -> Any:
    """A network that is read at every step and at the last."""
    last, ys = scan(lambda c, x: (np.tanh(c @ w + x), {"a": c * x, "b": np.sum(c)}), h, x)
    return np.sum(ys["a"] ** 2) + np.sum(last) * ys["b"][3]


def backwards(x: Any, w: Any, h: Any) -> Any:
    """From the last step, with an op that keeps residuals and one whose gradient is cut apart."""

    def f(c: Any, x: Any) -> Any:
        a, b, d = np.split(c @ w + x, 3, axis=-1)
        return np.concatenate([ops.sigmoid(a), relu(b) * d, d - a], axis=-1), c[:, :1]

    last, ys = scan(f, h, x, reverse=True)
    return np.sum(np.sin(ys)) + np.sum(last**3)


def nested(x: Any, w: Any, h: Any) -> Any:
    """A loop in the steps of a loop; of the inner all outputs, of the outer some."""

    def outer(c: Any, x: Any) -> Any:
        d, ys = scan(lambda d, t: (np.tanh(d @ w) * x, d * t), c, np.arange(1.0, 4.0))
        return d + 1, np.sum(ys, axis=0)

    return np.sum(np.sin(scan(outer, h, x)[1]))


def passed_on(x: Any, w: Any, h: Any) -> Any:
    """What stays as it is, changes places, is constant, is given twice, or is no number."""

    def f(c: Any, x: Any) -> Any:
        a, b, d, k = c
        return (a, d, b + x @ w, k + 1), (x, b, 1.5, x, k > 1)

    (a, b, d, k), ys = scan(f, (h, h, h, 0), x)
    later = np.where(np.reshape(ys[4], (-1, 1, 1)), ys[1], 0.0)
    return np.sum(a * ys[0]) + np.sum(b * d) * k + np.sum(ys[2]) + np.sum(ys[3] * later)


def learning(x: Any, w: Any, h: Any) -> Any:
    """A step of descent in each step: a derivative inside."""

    def f(w: Any, x: Any) -> Any:
        return w - 0.1 * grad(lambda w: np.sum(np.sin(x @ w)))(w), None

    return np.sum(scan(f, w, x)[0] * h[:3])


COSTS = [plain, backwards, nested, passed_on, learning]
each = pytest.mark.parametrize("cost", COSTS)


def with_slopes(cost: Callable[..., Any]) -> Callable[..., Any]:
    return value_and_grad(cost, (0, 1, 2))


@each
def test_a_loop_and_its_way_back_give_what_the_steps_give(cost: Any) -> None:
    hold(with_slopes(cost), X, W, H)


@each
def test_the_way_back_can_be_differentiated_again(cost: Any) -> None:
    def of_slopes(*args: Any) -> Any:
        return sum(np.sum(g * np.cos(g)) for g in grad(cost, (0, 1, 2))(*args))

    hold(with_slopes(of_slopes), X, W, H, tolerance=1e-11)


def test_products_with_curvature_and_directions() -> None:
    ones = np.ones((3, 3))
    hold(lambda x, w: hvp(lambda w: plain(x, w, H), w, ones), X, W)
    steps = lambda w: scan(lambda c, x: (np.sin(c @ w) * x, c), H, X, reverse=True)  # noqa: E731
    hold(lambda w: jvp(steps, w, ones), W)


told = looping._told


def test_float32_stays_so() -> None:
    arrays = [a.astype(np.float32) for a in (X, W, H)]
    hold(with_slopes(plain), *arrays, tolerance=1e-4)


@pytest.mark.parametrize(
    "spoil",
    [
        (looping, "_told", lambda g: list(told(g))[:1]),
        (looping.Loop, "_residuals", lambda self, results, before: []),
        (loops, "_as_product", lambda body, key: (body.inputs[0],)),
    ],
    ids=["a gradient is lost", "nothing is kept", "a wrong product"],
)
def test_a_wrong_way_back_is_seen(spoil: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*spoil)
    with pytest.raises((AssertionError, CannotCompileError, KeyError, IndexError, ValueError)):
        hold(with_slopes(backwards), X, W, H)


# ---- steps that are drawn

MAKES: list[Callable[..., Any]] = [
    lambda a, b, w: np.tanh(a + b),
    lambda a, b, w: ops.sigmoid(a) * b,
    lambda a, b, w: np.sin(a @ w),
    lambda a, b, w: relu(a - b),
    lambda a, b, w: softmax(a) + b / 10,
    lambda a, b, w: np.concatenate([a[:, :1], b[:, 1:]], axis=1),
    lambda a, b, w: a - np.mean(b, axis=0),
    lambda a, b, w: np.where(a > 0.1, a, b / 2),
    lambda a, b, w: np.tanh(w.T @ b.T).T + np.cos(a.T).T / 2,
    lambda a, b, w: np.tanh(scan(lambda c, x: (np.sin(c) * x, c), a, np.stack([b, a]))[0]),
]


def drawn_cost(seed: int) -> Callable[..., Any]:
    """Draw what a step makes of two carries and a slice, and what of it is passed on and given."""
    rng = np.random.default_rng(seed)
    calls = [(MAKES[rng.integers(len(MAKES))], *rng.integers(0, 99, 2)) for _ in range(6)]
    passed, given = rng.integers(0, 99, 2), rng.integers(0, 99, 2)
    reverse, lengths = bool(seed % 2), [3, 0, 2, 1] if seed % 3 else None

    def cost(x: Any, w: Any, h: Any) -> Any:
        def f(carry: Any, x: Any) -> Any:
            pool = [*carry, x]
            for make, i, j in calls:
                pool.append(make(pool[i % len(pool)], pool[j % len(pool)], w))
            found = [pool[k % len(pool)] for k in (*passed, *given)]
            return [np.tanh(a) for a in found[:2]], found[2:]

        last, ys = scan(f, [h, h * 2], x[:3], reverse=reverse, lengths=lengths)
        return sum(np.sum(np.sin(a)) for a in (*last, *ys))

    return cost


@pytest.mark.parametrize("seed", range(6))
def test_drawn_steps_and_their_ways_back(seed: int) -> None:
    cost = drawn_cost(seed)
    hold(with_slopes(cost), X, W, H, tolerance=1e-10)
    curved = lambda *a: sum(np.sum(g * np.cos(g)) for g in grad(cost, (0, 1, 2))(*a))  # noqa: E731
    hold(with_slopes(curved), X, W, H, tolerance=1e-8)


# ---- what is around


def test_what_is_around_is_read_at_each_call() -> None:
    p, b, n = Tensor(W, requires_grad=True), np.ones(3), np.array([5, 3, 0, 1])

    def loss(x: Any, n: Any) -> Any:
        last, ys = scan(lambda c, x: (relu(c @ p + x + b), c), np.zeros((4, 3)), x, lengths=n)
        return np.sum(ys**2) + np.sum(last)

    def step(x: Any, n: Any) -> Any:
        cost = loss(x, n)
        return cost.detach(), gradients(cost, [p])

    program = compile(step)
    agree(program(X, n), step(X, n))
    b[0], p.data = 3.0, W + 1
    agree(program(X, n[::-1].copy()), step(X, n[::-1].copy()))
    assert len(program.programs.kept) == 1
    compile(loss)(X, n).backward()
    agree(p.grad, gradients(loss(X, n), [p])[0])


def test_each_step_draws_anew_and_its_gradient_sees_the_same() -> None:
    def dropped(x: Any, rng: Any) -> Any:
        keep = lambda c, x: (c * (ops.random(rng, (4, 3)) < 0.5) + x, c)  # noqa: E731
        return np.sum(np.sin(scan(keep, np.zeros((4, 3)), x)[1]))

    rng, twin = np.random.default_rng(5), np.random.default_rng(5)
    program, f = compile(value_and_grad(lambda x: dropped(x, rng))), value_and_grad(dropped)
    for _ in range(3):
        agree(program(X), f(X, twin))


def test_draws_keep_their_order_in_loops_in_loops_and_on_all_ways_back() -> None:
    def cost(w: Any, x: Any, rng: Any) -> Any:
        def inner(c: Any, t: Any) -> Any:
            return np.sin(c * t) @ w * normal(rng, (4, 3)), c

        def outer(c: Any, x: Any) -> Any:
            d, ys = scan(inner, c, np.arange(1.0, 3.0))
            return d + x * bernoulli(rng, (4, 3)), np.sum(ys, axis=0)

        last, ys = scan(outer, H * normal(rng, (4, 3)), x)
        return np.sum(np.sin(ys)) + np.sum(last * normal(rng, (4, 3)))

    def curved(w: Any, x: Any, rng: Any) -> Any:
        return sum(np.sum(g * g) for g in grad(cost, (0, 1))(w, x, rng))

    for f in (cost, curved):
        rng, twin = np.random.default_rng(5), np.random.default_rng(5)
        program = compile(value_and_grad(lambda w, x, f=f, rng=rng: f(w, x, rng), (0, 1)))
        for _ in range(2):
            agree(program(W, X[:3]), value_and_grad(f, (0, 1))(W, X[:3], twin), 1e-10)


# ---- what it costs


def test_a_program_is_as_long_for_many_steps_and_computes_nothing_twice() -> None:
    layer = LSTM(2, 3, rng=0)

    def cost(x: Any) -> Any:
        loss: Any = np.mean(np.square(layer(x)[0]))
        return loss, gradients(loss, layer.parameters())

    lengths = []
    for time in (3, 50):
        program = compile(cost)
        program(RNG.normal(size=(2, time, 2)))
        lengths.append(len(program.source.splitlines()))
        assert program.source.count("for step_k") == 2  # one there and one back
        assert program.source.count("np.exp(") == 3  # of three gates at once, of two slopes of tanh
    assert lengths[0] == lengths[1]
    assert program.source.count(", blocks) ") == 1  # the parts of a whole, where they belong


@each
def test_a_graph_can_be_written_out_without_loops(cost: Any) -> None:
    f = with_slopes(cost)
    graph = unrolled(simplify(trace(f, X, W, H)))
    text = emit(graph)
    space: dict[str, Any] = {}
    exec(text, space)
    assert "for step_k" not in text
    agree(space["program"](X, W, H), f(X, W, H))


# ---- what it can't do


def test_what_leaves_a_step_by_another_way_is_refused() -> None:
    kept: list[Any] = []

    def leaks(x: Any) -> Any:
        kept.clear()

        def f(c: Any, x: Any) -> Any:
            kept.append(c * 2)
            return c + x, None

        return np.sum(scan(f, np.zeros((4, 3)), x)[0]) + np.sum(kept[0])

    with pytest.raises(CannotCompileError, match="outside of the loop"):
        compile(leaks)(X)


def test_a_buffer_that_a_step_sets_is_refused() -> None:
    norm = BatchNorm1d(3)
    with pytest.raises(CannotCompileError, match="sets a buffer"):
        compile(lambda x: scan(lambda c, x: (c, norm(x)), 0.0, x)[1])(X)
