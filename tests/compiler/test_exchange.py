"""Rows that need sums over all rows: slices that wait for each other give what the whole gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from tools.drawn_row_costs import few_rows_are_shared
from tools.planting import another

from autonn import BatchNorm1d, Linear, ReLU, Sequential, compile, gradients, value_and_grad
from autonn.compiler import centred, partition
from autonn.engine.modes import CannotCompileError
from autonn.engine.trees import tree_leaves

SEEN = "its program does not give what it gives as it is"
M = 13  # in three slices, of four and five rows


@pytest.fixture(autouse=True)
def _small() -> Iterator[None]:
    with few_rows_are_shared():
        yield


def spread(x: Any) -> Any:
    return np.sqrt(np.mean(np.square(x - np.mean(x, axis=0)), axis=0) + 0.1)


WAITING: dict[str, tuple[int, Callable[..., Any]]] = {
    "none": (0, lambda w, X: np.sum(np.tanh(X @ w))),
    "for a mean": (1, lambda w, X: np.sum(np.sin(X - np.mean(X * w, axis=0)))),
    "for a number": (1, lambda w, X: np.sum(np.sin(X @ w) * np.sum(X))),
    "for two at once": (1, lambda w, X: np.sum(np.cos(X * np.sum(X * w, 0) - np.sum(X**2, 0)))),
    "twice": (2, lambda w, X: np.sum(np.sin((X - np.mean(X, axis=0)) / spread(X) * w))),
    "for what is asked for at the end too": (
        1, lambda w, X: np.sum(np.sin(X / np.sum(X * w))) + np.sum(X * w) ** 2,
    ),
    "for a product of rows": (1, lambda w, X: np.sum(np.tanh(X @ (X.T @ X)) @ w)),
}  # fmt: skip


def data(dtype: Any = np.float64) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.standard_normal(3).astype(dtype), rng.standard_normal((M, 3)).astype(dtype)


def waits(compiled: Any) -> int:
    """Count how often the slices wait for each other, of one length of slices."""
    assert "\nSLICES = [" in compiled.source, "not cut"
    return int(compiled.source.count("go_on(") - (" go_on(" in compiled.source))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("what", WAITING)
def test_slices_wait_for_sums_over_all_rows(what: str, dtype: Any) -> None:
    count, f = WAITING[what]
    w, X = data(dtype)
    tolerance = 1e-11 if dtype == np.float64 else 1e-4
    step, slope = compile(f), compile(value_and_grad(f))
    for _ in range(3):
        np.testing.assert_allclose(step(w, X), f(w, X), rtol=tolerance)
        assert step(w, X).dtype == dtype
        for got, expected in zip(slope(w, X), value_and_grad(f)(w, X), strict=True):
            np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)
        X = X[::-1] * dtype(1.5)
    assert waits(step) == count
    assert waits(slope) >= count


def test_a_program_that_waits_stands_alone_and_gives_the_same_bits() -> None:
    w, X = data()
    step = compile(value_and_grad(WAITING["twice"][1]))
    first = step(w, X)
    space: dict[str, Any] = {}
    exec(step.source, space)
    for again in (step(w, X), space["program"](w, X)):
        for a, b in zip(first, again, strict=True):
            assert np.array_equal(a, b)


def test_an_error_in_a_slice_ends_the_call_and_spoils_none() -> None:
    w, X = data()
    step = compile(lambda w, X: np.sum(np.log(X**2 / np.sum(X * w))))
    with np.errstate(all="ignore"):
        expected = step(w, X)
        assert waits(step) == 1
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        step(w, X * 0)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(step(w, X), expected)


PICTURES: dict[str, Callable[..., Any]] = {
    "for which there is a gradient": value_and_grad(lambda x, w: np.sum(np.sin(x * w)), (0, 1)),
    "beside a sum": lambda x, w: (x * w, np.sum(x) + np.sum(w)),
    "that waited": lambda x, w: np.sin(x / np.sum(x * w)),
    "that waited, beside a sum": lambda x, w: (np.cos(x - np.mean(x * w)), np.sum(x * w), x * 2),
    "one of them twice": lambda x, w: (x * w, np.sum(x), x * w),
}


@pytest.mark.parametrize("what", PICTURES)
def test_slices_of_pictures_are_joined(what: str) -> None:
    rng = np.random.default_rng(2)
    x, w = rng.standard_normal((M, 2, 3)), rng.standard_normal((2, 3))
    step = compile(PICTURES[what])
    for _ in range(2):
        found, expected = tree_leaves(step(x, w)), tree_leaves(PICTURES[what](x, w))
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10)
            assert not any(np.shares_memory(a, other) for other in found if other is not a)
        x = x[::-1] * 1.5
    assert "np.concatenate(slices_0)" in step.source


def norm_step(share_rows: bool = True) -> Any:
    rng = np.random.default_rng(1)
    model = Sequential(Linear(3, 5, rng=rng), BatchNorm1d(5), ReLU(), Linear(5, 2, rng=rng))

    def step(X: Any) -> Any:
        cost: Any = np.mean(np.square(model(X) - 1))
        return cost.detach(), gradients(cost, model.parameters())

    def buffers() -> Any:
        return [model[1].running_mean.data.copy(), model[1].running_var.data.copy()]

    return compile(step, share_rows), buffers


def test_batch_normalisation_waits_three_times_and_keeps_its_statistics() -> None:
    """For the mean, for the variance, and on the way back for what leads to both."""
    _, X = data()
    (cut, ours), (whole, theirs) = norm_step(), norm_step(False)
    for _ in range(2):
        (cost, slopes), (expected, others) = cut(X), whole(X)
        np.testing.assert_allclose(cost.data, expected.data, rtol=1e-12)
        for a, b in zip([*slopes, *ours()], [*others, *theirs()], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)
    assert waits(cut) == 3


def test_what_is_small_is_not_worth_the_waits() -> None:
    w, X = data()
    with another(partition, "BYTES_A_ROUND", 2**22):
        step = compile(WAITING["twice"][1])
        step(w, X)
    assert "SLICES" not in step.source


def test_slices_that_do_not_wait_are_seen() -> None:
    w, X = data()
    wrong = another(partition, "_waits", lambda sums, joined: [])
    with wrong, pytest.raises(CannotCompileError, match=SEEN):
        compile(WAITING["twice"][1])(w, X)


# ---- what adds up to 0


CENTRED: dict[str, tuple[bool, Callable[..., Any]]] = {
    "itself": (True, lambda w, X: X - np.mean(X, axis=0, keepdims=True)),
    "by a number for each column": (
        True, lambda w, X: w[None] * (2.5 * (X - np.mean(X, axis=0, keepdims=True))),
    ),
    "by what differs between rows": (
        False, lambda w, X: X[:, :1] * (X - np.mean(X, axis=0, keepdims=True)),
    ),
    "along another axis": (False, lambda w, X: X - np.mean(X, axis=1, keepdims=True)),
    "by another count": (False, lambda w, X: X - np.sum(X, axis=0, keepdims=True) / 5),
    "by another mean": (False, lambda w, X: X - np.mean(X * X, axis=0, keepdims=True)),
    "the other way round": (False, lambda w, X: np.mean(X, axis=0, keepdims=True) - 2 * X),
}  # fmt: skip


@pytest.mark.parametrize("what", CENTRED)
def test_numbers_less_their_mean_are_left_out_of_sums(what: str) -> None:
    """Of ``x + c`` there is the sum of x alone; the sum for the mean is not needed, either."""
    left_out, f = CENTRED[what]
    w, X = data()

    def total(w: Any, X: Any) -> Any:
        return np.sum(np.exp(X) + f(w, X), axis=0)

    step = compile(total, share_rows=False)
    np.testing.assert_allclose(step(w, X), total(w, X), rtol=1e-11)
    assert (np.dot.__name__ in step.source and step.source.count("np.subtract") == 0) is left_out


def test_a_sum_that_is_left_out_though_it_is_none_is_seen() -> None:
    wrong = another(centred, "_is_mean", lambda *given: True)
    with wrong, pytest.raises(CannotCompileError, match=SEEN):
        test_numbers_less_their_mean_are_left_out_of_sums("by another mean")
