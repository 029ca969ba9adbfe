"""`vmap` against a loop over the examples: as it is, compiled, and differentiated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tools.refusals import assert_refused

import autonn
from autonn import (
    GELU,
    LSTM,
    Embedding,
    Lambda,
    Last,
    Layer,
    LayerNorm,
    MultiheadAttention,
    Sequential,
    SoftmaxCrossEntropy,
    Tensor,
    compile,
    functional_call,
    grad,
    hessian,
    logsumexp,
    nn,
    scan,
    softmax,
    vmap,
)
from autonn.engine import batching
from autonn.engine.tensor import values_of
from autonn.engine.trees import tree_leaves, tree_unflatten

RNG = np.random.default_rng(0)
X, A, W = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 3, 3)), RNG.normal(size=(4, 3))
TABLES = RNG.normal(size=(5, 4, 3))
Y, IDS = RNG.integers(0, 4, 5), RNG.integers(0, 4, (5, 6))


def agree(got: Any, expected: Any, tolerance: float = 1e-12) -> None:
    for a, b in zip(tree_leaves(got), tree_leaves(expected), strict=True):
        assert np.asarray(values_of(a)).dtype == np.asarray(values_of(b)).dtype
        np.testing.assert_allclose(values_of(a), values_of(b), rtol=tolerance, atol=tolerance)


def one_by_one(f: Any, axes: Any, args: Any) -> list[Any]:
    """Compute the examples in turn, and stack what they give."""
    at = next(k for k, axis in enumerate(axes) if axis is not None)
    rows = []
    for k in range(np.shape(tree_leaves(args[at])[0])[axes[at]]):
        example = [
            a if axis is None
            else tree_unflatten(a, [np.take(x, k, axis=axis) for x in tree_leaves(a)])
            for a, axis in zip(args, axes, strict=True)
        ]  # fmt: skip
        rows.append(tree_leaves(f(*example)))
    return [np.stack(column) for column in zip(*rows, strict=True)]


def hold(f: Any, axes: Any, *args: Any, tolerance: float = 1e-12) -> None:
    expected = one_by_one(f, axes, args)
    agree(tree_leaves(vmap(f, axes)(*args)), expected, tolerance)
    agree(tree_leaves(compile(vmap(f, axes))(*args)), expected, tolerance)


def squared(p: Any, x: Any, y: Any) -> Any:
    return np.sum(np.square(autonn.sigmoid(p["w"] @ x + p["b"]) - y))


def through_a_cut(x: Any) -> Any:
    joined = np.concatenate([x[1:], x[:1] ** 2, x[[0, 2, 0]]])
    spread = np.broadcast_to(np.reshape(x, (3, 1)), (3, 2)).T
    return np.sum(np.cumsum(joined) * np.max(x)) * np.linalg.norm(spread) + np.var(x * 2)


def convolved(w: Any, x: Any) -> Any:
    return nn.max_pool2d(nn.conv2d(x, w, padding=1), 2)


PICTURES, KERNELS = RNG.normal(size=(3, 2, 2, 4, 4)), RNG.normal(size=(3, 2, 3, 3))
MANY_KERNELS = RNG.normal(size=(3, 3, 2, 3, 3))
P = {"w": W, "b": RNG.normal(size=4)}
FUNCTIONS: list[tuple[Any, Any, tuple[Any, ...]]] = [
    (lambda x: (np.sin(x), {"a": np.sum(x), "b": 1.5}), (0,), (X,)),
    (grad(squared), (None, 0, 0), (P, X, Y)),
    (lambda p, x: softmax(p["w"] @ x + p["b"]) * logsumexp(x), (None, 0), (P, X)),
    (grad(through_a_cut), (1,), (X.T.copy(),)),
    (grad(lambda a, x: np.sum((a @ x)[:, None] @ x[None]) + np.sum(x @ a)), (0, 0), (A, X)),
    (grad(lambda a, x: np.einsum("i,ij,j->", x, a, x) * np.dot(x, x)), (None, 0), (A[0], X)),
    (grad(lambda w, i: np.sum(np.tanh(w[i]) ** 2)), (None, 0), (W, IDS)),
    (grad(lambda w, i: np.sum(np.tanh(w[i]) ** 2)), (0, 0), (TABLES, IDS)),
    (grad(lambda w, i: np.sum(np.tanh(w[i]) ** 2)), (0, None), (TABLES, IDS[0])),
    (grad(lambda a, x: np.sum(np.where(x > 0, x, a[0]).T * 2 + np.flip(x))), (None, 0), (A[0], X)),
    (grad(lambda x, y: np.sum(autonn.one_hot(y[None], 4) @ W * x)), (0, 0), (X, Y)),
    (hessian(lambda x: np.sum(np.sin(x) * x[0] ** 2)), (0,), (X,)),
    # what has no rule of its own is called for each example
    (grad(lambda a: np.sum(np.sin(np.linalg.inv(a[:3, :3] + 3 * np.eye(3))))), (0,), (A,)),
    (grad(lambda a: np.sum(np.sin(a[[0, 1], :, [0, 1]]))), (0,), (MANY_KERNELS,)),
    (grad(lambda a, i: np.sum(np.sin(a[1, i]))), (0, 0), (A, IDS % 3)),
    (grad(lambda x: scan(lambda c, y: (np.sin(c + y), c), 0.0, x)[0] ** 2), (0,), (X,)),
    (grad(lambda w, x: np.sum(np.sin(convolved(w, x)))), (None, 0), (KERNELS, PICTURES)),
    (grad(lambda x: np.sum(np.sin(convolved(KERNELS, x)))), (0,), (PICTURES,)),
    (grad(lambda w: np.sum(np.sin(convolved(w, PICTURES[0])))), (0,), (MANY_KERNELS,)),
]  # fmt: skip


@pytest.mark.parametrize("k", range(len(FUNCTIONS)))
def test_all_examples_at_once_are_the_examples_in_turn(k: int) -> None:
    f, axes, args = FUNCTIONS[k]
    hold(f, axes, *args)


def test_float32_stays_so() -> None:
    few = {name: a.astype(np.float32) for name, a in P.items()}
    hold(grad(squared), (None, 0, 0), few, X.astype(np.float32), Y, tolerance=1e-5)


def test_gradients_of_each_example_by_the_weights_of_networks() -> None:
    loss = SoftmaxCrossEntropy()
    words = Sequential(
        Embedding(4, 3, rng=0), Lambda(lambda e: np.mean(e, axis=-2)), LayerNorm(3), GELU(),
        Layer(3, 4, rng=1),
    )  # fmt: skip

    def cost(p: Any, x: Any, y: Any) -> Any:
        return loss(functional_call(words, p, x[None]), y[None])

    state = words.state_dict()
    hold(grad(cost), (None, 0, 0), state, IDS, Y)
    each = vmap(grad(cost), in_axes=(None, 0, 0))(state, IDS, Y)
    mean = grad(lambda p: loss(functional_call(words, p, IDS), Y))(state)
    agree([np.mean(each[name], axis=0) for name in mean], list(mean.values()))
    reads = Sequential(LSTM(4, 3, rng=0), Last(), Layer(3, 4, rng=1))
    read = lambda p, x, y: loss(functional_call(reads, p, x[None]), y[None])  # noqa: E731
    weights = {name: p.numpy() for name, p in reads.named_parameters()}
    hold(grad(read), (None, 0, 0), weights, RNG.normal(size=(5, 2, 4)), Y)
    looks = MultiheadAttention(4, 2, rng=0)
    looked = lambda p, x: np.sum(np.square(functional_call(looks, p, x[None])))  # noqa: E731
    hold(grad(looked), (None, 0), looks.state_dict(), RNG.normal(size=(5, 3, 4)))


def test_what_it_gives_has_gradients_and_it_may_be_nested() -> None:
    inner = grad(lambda w, x: np.sum(np.sin(w @ x)))
    penalty = lambda w: np.sum(vmap(inner, (None, 0))(w, X) ** 2)  # noqa: E731
    slow = lambda w: sum(np.sum(inner(w, x) ** 2) for x in X)  # noqa: E731
    agree(grad(penalty)(W), grad(slow)(W))
    closed = Tensor(W, requires_grad=True)
    result: Any = np.sum(vmap(lambda x: np.sin(closed @ x))(X))
    result.backward()
    agree(closed.grad, np.cos(X @ W.T).T @ X)
    table = vmap(vmap(lambda x, y: x * y, (None, 0)), (0, None), out_axes=1)
    np.testing.assert_array_equal(table(X[0], X[1]), np.outer(X[1], X[0]))


BAD: list[tuple[Callable[[], Any], type[Exception], list[str]]] = [
    (
        lambda: vmap(lambda x: x * autonn.random.normal(RNG, 3))(X),
        NotImplementedError,
        ["standard_normal draws", "draw before"],
    ),
    (lambda: vmap(lambda x, y: x + y)(X, X[:2]), ValueError, ["[2, 5] examples"]),
    (lambda: vmap(np.sum)(np.zeros((0, 2))), ValueError, ["[0] examples"]),
    (lambda: vmap(np.sum, 2)(X), ValueError, ["no axis 2", "(5, 3)", "in_axes=None"]),
    (lambda: vmap(np.sum, (0, 0))(X), ValueError, ["in_axes=(0, 0)", "1 arguments"]),
    (lambda: vmap(lambda x: x if x[0] > 0 else -x)(X), RuntimeError, ["not known yet"]),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "words"), BAD, ids=range(len(BAD)))
def test_bad_calls_say_what_came_and_what_to_do(
    call: Callable[[], Any], error: type[Exception], words: list[str]
) -> None:
    assert_refused(call, error, words)


@pytest.mark.parametrize("op", batching._RULES, ids=lambda op: op.name)
def test_a_wrong_rule_is_seen(op: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    right: Any = batching._RULES[op]
    monkeypatch.setitem(batching._RULES, op, lambda call: right(call)[::-1])

    def is_seen(f: Any, axes: Any, args: Any) -> bool:
        try:
            agree(tree_leaves(vmap(f, axes)(*args)), one_by_one(f, axes, args))
        except (AssertionError, ValueError, IndexError):
            return True
        return False

    assert any(is_seen(*function) for function in FUNCTIONS)
