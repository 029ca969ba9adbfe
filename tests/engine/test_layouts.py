"""Every op on arrays of any shape, broadcast or empty, and however they lie in memory."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from tools.op_checks import (
    assert_close,
    every_binary_row,
    every_elementwise_row,
    run,
    summed,
)
from tools.oprows import Row
from tools.profiles import DEEP, THOROUGH

from autonn import (
    grad,
    gradcheck,
    vjp,
)

SIDES = [s for rank in range(5) for s in itertools.product((1, 2), repeat=rank)]

PAIRS = list(itertools.product(SIDES, repeat=2))


def check_broadcast(f: Any, left: tuple[int, ...], right: tuple[int, ...]) -> None:
    """Compare with the same op on operands that were stretched before."""
    rng = np.random.default_rng(len(left) + 7 * len(right))
    x, y = rng.uniform(0.3, 0.9, left), rng.uniform(1.1, 1.9, right)
    shape = np.broadcast_shapes(left, right)
    value, pullback = vjp(f, x, y)
    assert np.shape(value) == shape
    v = rng.standard_normal(shape)
    full = vjp(f, *(np.array(np.broadcast_to(a, shape)) for a in (x, y)))[1](v)
    for got, wide, a in zip(pullback(v), full, (x, y), strict=True):
        assert got.shape == a.shape
        assert_close(got, summed(wide, a.shape), 1e-13)


def test_broadcasting_is_undone_for_all_961_pairs_of_shapes() -> None:
    assert len(PAIRS) == 961
    for left, right in PAIRS:
        check_broadcast(np.multiply, left, right)


@every_binary_row
def test_broadcasting_is_undone_by_every_op_of_two(row: Row) -> None:
    # Each step has no factor in common with the 31 shapes: both sides take all of them, or most.
    for left, right in PAIRS[:: 1 if DEEP else 7 if THOROUGH else 37]:
        check_broadcast(row.f, left, right)


EMPTY = [((0,), ()), ((0, 3), (3,)), ((2, 0), (2, 1)), ((1, 0), (2, 1)), ((0,), (1,)), ((0,), (0,))]


@every_binary_row
@pytest.mark.parametrize(("left", "right"), EMPTY)
def test_sides_of_length_zero_have_zero_gradients(
    row: Row, left: tuple[int, ...], right: tuple[int, ...]
) -> None:
    args = np.full(left, 0.5), np.full(right, 0.7)
    value, pullback = vjp(row.f, *args)
    for gradient, a in zip(pullback(np.ones(np.shape(value))), args, strict=True):
        assert gradient.shape == a.shape
        assert np.all(gradient == 0)


@every_elementwise_row
def test_empty_arrays_have_empty_gradients_of_both_orders(row: Row) -> None:
    args = [np.ones((0, 2))] * row.arity
    for f in (row.f, lambda *xs: grad(lambda *ys: np.sum(row.f(*ys)))(*xs)):
        value, pullback = vjp(f, *args)
        assert np.shape(value) == (0, 2)
        assert all(g.shape == (0, 2) for g in pullback(np.ones((0, 2))))


@every_elementwise_row
def test_arrays_with_strides_of_zero_are_as_good_as_others(row: Row) -> None:
    args = [
        np.broadcast_to(d.draw(np.random.default_rng(1), (), True), (2, 3)) for d in row.domains
    ]
    v = np.broadcast_to(0.7, (2, 3))
    expected, gradients = run(row, tuple(map(np.array, args)), np.array(v))
    value, others = run(row, tuple(args), v)
    for got, right in zip([value, *others], [expected, *gradients], strict=True):
        np.testing.assert_array_equal(got, right, strict=True)


@every_binary_row
def test_an_operand_used_twice_gets_both_gradients(row: Row) -> None:
    x = np.array([0.5, 1.5, 2.5])
    left, right = vjp(row.f, x, x.copy())[1](np.ones(3))
    (both,) = vjp(lambda t: row.f(t, t), x)[1](np.ones(3))
    np.testing.assert_array_equal(both, left + right)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x @ x.T, lambda x: x @ x, lambda x: np.where(x > 0, x, x),
        lambda x: np.concatenate([x, x]), lambda x: np.stack([x, x, x]), lambda x: x + x.T,
        lambda x: np.einsum("ij,jk,kl", x, x, x), lambda x: np.linalg.solve(x, x @ x),
        lambda x: x.at[0].set(x[1]), lambda x: np.outer(x, x), lambda x: x / x,
    ],
)  # fmt: skip
def test_repeated_operands_in_products_and_joins(f: Any) -> None:
    gradcheck(f, np.array([[2.0, 0.5], [-0.3, 1.0]]), order=2)


@every_elementwise_row
def test_square_arguments_keep_their_places(row: Row) -> None:
    """A transposed gradient shows only in a square that is not symmetric."""
    rng = np.random.default_rng(0)
    args = tuple(d.draw(rng, (3, 3), True) for d in row.domains)
    before = [a.copy() for a in args]
    for k in range(len(args)):
        whole = grad(lambda *a: np.sum(row.f(*a)), k)(*args)
        single = [
            grad(lambda *a: np.sum(row.f(*a)), k)(*(a[i, j] for a in args))
            for i, j in np.ndindex(3, 3)
        ]
        np.testing.assert_allclose(whole.ravel(), single, rtol=1e-13)
    for a, old in zip(args, before, strict=True):
        np.testing.assert_array_equal(a, old)
