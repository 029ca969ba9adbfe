"""Functions of functions, and results that compute themselves again."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from tools.op_checks import (
    SEEDS,
    Arrays,
    assert_close,
    differentiated,
)
from tools.oprows import Array

from autonn import (
    Tensor,
    checkpoint,
    grad,
    gradcheck,
    gradients,
    hessian,
    hvp,
    jacobian,
    jvp,
    stop_gradient,
    value_and_grad,
    vjp,
)

A, B = np.array([[0.3, -1.2], [0.7, 0.4]]), np.array([[1.1, 0.2], [-0.5, 0.9]])


def mixed(x: Any, y: Any) -> Any:
    """Mix all elements of two matrices, smoothly."""
    return np.tanh(x @ y) * np.exp(-x) + np.sin(y.T)


def in_direction(f: Any, args: Arrays, directions: tuple[Array, ...]) -> Array:
    return differentiated(
        lambda t: np.asarray(f(*(a + t * d for a, d in zip(args, directions, strict=True))))
    )


@given(seed=SEEDS)
def test_jvp_is_the_derivative_in_a_direction_and_agrees_with_vjp(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y, u, w, v = rng.uniform(-1, 1, (5, 2, 2))
    value, tangent = jvp(mixed, (x, y), (u, w))
    np.testing.assert_array_equal(value, mixed(x, y))
    assert_close(tangent, in_direction(mixed, (x, y), (u, w)), 1e-9)
    by_x, by_y = vjp(mixed, x, y)[1](v)
    assert np.vdot(v, tangent) == pytest.approx(np.vdot(by_x, u) + np.vdot(by_y, w), abs=1e-13)


@given(seed=SEEDS)
def test_jacobians_and_hessians_agree_with_products_with_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, u, v = rng.uniform(-1, 1, (3, 2, 2))
    f: Callable[[Any], Any] = lambda x: mixed(x, B)  # noqa: E731
    rows = jacobian(f)(x)
    assert rows.shape == (2, 2, 2, 2)
    assert_close(np.tensordot(rows, u), jvp(f, x, u)[1], 1e-13)
    assert_close(np.tensordot(v, rows), vjp(f, x)[1](v)[0], 1e-13)

    def total(x: Any) -> Any:
        return np.sum(f(x) * v)

    second: Array = hessian(total)(x)
    assert_close(np.tensordot(second, u), hvp(total, x, u), 1e-12)
    assert_close(second, np.transpose(second, (2, 3, 0, 1)), 1e-12)
    assert_close(hvp(total, x, u), in_direction(grad(total), (x,), (u,)), 1e-9)


def test_transforms_take_trees_and_give_them_back() -> None:
    tree = {"w": A, "b": [B, (B[0],)]}

    def f(p: Any) -> Any:
        return np.sum(p["w"] @ p["b"][0]) * np.sum(p["b"][1][0] ** 2)

    value, gradient = value_and_grad(f)(tree)
    assert value == pytest.approx(f(tree))
    assert [type(gradient["b"]), type(gradient["b"][1])] == [list, tuple]
    (pulled,) = vjp(f, tree)[1](np.array(1.0))
    np.testing.assert_array_equal(pulled["b"][1][0], gradient["b"][1][0])
    assert jvp(f, tree, tree)[1] == pytest.approx(4 * value)
    assert jacobian(f)(tree)["b"][0].shape == (2, 2)
    product = hvp(f, (tree,), (tree,))[0]
    assert_close(product["w"], 3 * gradient["w"], 1e-13)


def test_transforms_nest() -> None:
    cube = lambda x: x**3  # noqa: E731
    assert jvp(lambda x: jvp(cube, x, 1.0)[1], 2.0, 1.0)[1] == 12
    assert grad(lambda x: jvp(cube, x, 1.0)[1])(2.0) == 12
    assert grad(lambda x: vjp(cube, x)[1](1.0)[0])(2.0) == 12
    assert hessian(lambda x: np.sum(hvp(lambda y: np.sum(y**4), x, x)))(np.array([2.0])) == 144
    assert jacobian(jacobian(lambda x: x * x))(np.array([3.0])).tolist() == [[[2.0]]]


def test_a_pullback_may_be_called_again_and_is_linear() -> None:
    _, pullback = vjp(lambda x: np.exp(x), np.array([1.0, 2.0]))
    once = pullback(np.array([1.0, 0.5]))[0]
    np.testing.assert_array_equal(pullback(np.array([1.0, 0.5]))[0], once)
    np.testing.assert_array_equal(pullback(np.array([2.0, 1.0]))[0], 2 * once)


def test_vectors_of_the_wrong_shape_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"jvp: vectors of shapes .*\(3,\).*\(2,\)"):
        jvp(np.sin, np.ones(2), np.ones(3))
    with pytest.raises(ValueError, match="hvp"):
        hvp(lambda x: np.sum(x), np.ones(2), np.ones(3))
    with pytest.raises(ValueError, match=r"\(3,\)"):
        vjp(np.sin, np.ones(2))[1](np.ones(3))
    with pytest.raises(RuntimeError, match="jacobian"):
        grad(np.sin)(np.ones(2))


def test_stop_gradient_keeps_values_and_stops_every_order() -> None:
    assert grad(lambda x: x * stop_gradient(x))(3.0) == 3
    assert grad(grad(lambda x: x * x * stop_gradient(x)))(3.0) == 6
    tree = stop_gradient({"a": Tensor(2.0, requires_grad=True), "b": (1.0,)})
    assert not tree["a"].requires_grad
    assert tree["a"].item() == 2
    assert tree["b"] == (1.0,)


def block(w: Any, x: Any) -> Any:
    return np.tanh(x @ w) + np.sin(x) * np.exp(-x * x)


@pytest.mark.parametrize("times", [1, 2])
def test_checkpointed_gradients_reach_arguments_and_parameters(times: int) -> None:
    w, x = Tensor(A, requires_grad=True), Tensor(B, requires_grad=True)
    found = []
    for wrap in (lambda f: f, checkpoint, lambda f: checkpoint(checkpoint(f))):
        w.grad = x.grad = None
        part = wrap(lambda t: block(w, t))
        y: Any = x
        for _ in range(times):
            y = part(y)
        loss = np.sum(y * x)
        loss.backward()
        found.append((loss.item(), w.grad, x.grad))
    for value, *pulled in found[1:]:
        assert value == found[0][0]
        for got, expected in zip(pulled, found[0][1:], strict=True):
            assert_close(got, expected, 1e-14)


def test_checkpoints_have_higher_orders_and_transforms() -> None:
    plain = lambda x: np.sum(block(A, block(A, x)))  # noqa: E731
    saved = lambda x: np.sum(checkpoint(lambda t: block(A, checkpoint(block)(A, t)))(x))  # noqa: E731
    assert_close(hessian(saved)(B), hessian(plain)(B), 1e-14)
    assert_close(hvp(saved, B, A), hvp(plain, B, A), 1e-14)
    assert jvp(saved, B, A)[1] == pytest.approx(jvp(plain, B, A)[1], rel=1e-14)
    assert gradcheck(saved, B, order=2)


def test_second_order_passes_through_a_checkpoint_to_parameters() -> None:
    found = []
    for wrap in (lambda f: f, checkpoint):
        w = Tensor(A, requires_grad=True)
        (pulled,) = vjp(wrap(lambda t, w=w: block(w, t)), Tensor(B))[1](Tensor(A))
        np.sum(pulled * pulled).backward()
        found.append(w.grad)
    assert_close(found[1], found[0], 1e-14)


def test_a_checkpoint_forgets_what_is_inside() -> None:
    x = Tensor(np.linspace(0, 1, 50_000), requires_grad=True)

    def chain(t: Any) -> Any:
        for _ in range(10):
            t = np.sin(t) * 1.1
        return t

    def held(f: Callable[[Any], Any]) -> int:
        gc.collect()
        tracemalloc.start()
        try:
            result = f(x)
            assert result.requires_grad
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()

    assert held(chain) > 10 * x.data.nbytes
    assert held(checkpoint(chain)) < 1.5 * x.data.nbytes


def test_a_checkpoint_is_computed_once_more_on_the_way_back_and_no_oftener() -> None:
    calls = []

    def f(x: Any, y: Any) -> Any:
        calls.append(1)
        return x * y * y

    x, y = Tensor(2.0, requires_grad=True), Tensor(3.0, requires_grad=True)
    checkpoint(f)(x, y).backward()
    assert len(calls) == 2
    assert (x.grad, y.grad) == (9, 12)


def test_a_wanted_tensor_gets_what_comes_through_another_one() -> None:
    w = Tensor(2.0, requires_grad=True)
    h = 4 * w
    by_h, by_w = gradients(3 * h, [h, w])
    assert (by_h, by_w) == (3, 12)
    by_w, by_h = gradients(h * w, [w, h])
    assert (by_w, by_h) == (16, 2)
    with_graph = np.sum(vjp(lambda x: x * h * w, Tensor(1.0))[1](Tensor(1.0))[0])
    assert [float(g) for g in gradients(with_graph, [h, w])] == [2, 16]
