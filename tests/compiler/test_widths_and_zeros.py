"""Programs keep the width of numbers, the sign of zeros, and what NumPy refuses by value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

import autonn as an
from autonn.engine import ops
from autonn.engine.ops.matrix_functions import sqrtm

NUMBERS = st.floats(1e-3, 1e3)
ZEROS = st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, -2.0])


def _same_bits(found: Any, expected: Any) -> bool:
    a, b = np.asarray(found), np.asarray(expected)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def _results(a: float, b: float, x: Any) -> tuple[Any, ...]:
    return a * 3, a * np.int32(3), (a * b) * x, x + a / b, a * np.arange(3) + x.astype(int)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=4))
def test_a_number_that_changes_is_as_wide_as_in_python(
    pairs: list[tuple[float, float]],
) -> None:
    x = np.array([0.25, -1.0, 3.0], np.float32)
    compiled = an.compile(_results)
    for a, b in pairs:
        for found, expected in zip(compiled(a, b, x), _results(a, b, x), strict=True):
            wide = np.asarray(expected).dtype == np.float64
            assert np.asarray(found).dtype == np.asarray(expected).dtype
            np.testing.assert_allclose(found, expected, rtol=1e-15 if wide else 1e-6)
    if len({a for a, _ in pairs}) > 1:  # it is data by now, and no part of a program
        assert "def program(a" in compiled.source


def test_numbers_alone_neither_overflow_nor_vanish_beside_float32() -> None:
    x = np.ones(2, np.float32)
    compiled = an.compile(lambda a, b, x: (a * b) * x)
    for a, b in ((0.5, 2.0), (1e-300, 1e300), (1e200, 1e-200)):
        np.testing.assert_allclose(compiled(a, b, x), 1.0, rtol=1e-6)


def test_a_number_is_no_array_to_a_function_however_often_it_is_called() -> None:
    compiled = an.compile(lambda a: a[None])
    for number in (0.5, 0.7, 0.9):
        with pytest.raises(TypeError, match="subscriptable"):
            compiled(number)


@pytest.mark.parametrize(
    "f",
    [
        lambda x, y: ops.safe_multiply(x, y),
        lambda x, y: ops.safe_divide(x, y),
        lambda x, y: -x * 0,
        lambda x, y: y * -(x * 0),
        lambda x, y: an.grad(lambda x: np.sum((x / 2) ** 2))(x),
        lambda x, y: an.grad(lambda x: np.sum((x / 1) ** 2 + y))(x),
        lambda x, y: an.grad(lambda x: np.sum(x * 0 * -1))(x),
    ],
)
@given(x=st.lists(ZEROS, min_size=3, max_size=3), y=st.lists(ZEROS, min_size=3, max_size=3))
def test_a_zero_keeps_its_sign(f: Callable[..., Any], x: list[float], y: list[float]) -> None:
    a, b = np.array(x), np.array(y)
    with np.errstate(all="ignore"):
        assert _same_bits(an.compile(f)(a, b), f(a, b))


def test_a_zero_gradient_stays_zero_and_hides_no_infinity() -> None:
    x = np.array([0.0, -0.0, 2.0])
    assert _same_bits(ops.safe_multiply(x, np.array([np.inf, np.nan, 3.0])), [0.0, -0.0, 6.0])
    with np.errstate(divide="ignore"):
        assert _same_bits(ops.safe_divide(x, np.array([0.0, np.nan, 0.0])), [0.0, -0.0, np.inf])


@pytest.mark.parametrize(
    ("f", "good", "bad", "error"),
    [
        (lambda w: np.cov(np.eye(3), aweights=w), [1.0, 2.0, 1.0], [1.0, -1.0, 1.0], ValueError),
        (
            lambda w: np.average(np.arange(2.0), weights=w),
            [1.0, 3.0],
            [1.0, -1.0],
            ZeroDivisionError,
        ),
        (lambda w: np.cov(np.eye(2), aweights=w), [1.0, 2.0], [0.0, 0.0], ZeroDivisionError),
        (sqrtm, np.eye(2), -np.eye(2), ValueError),
    ],
)
def test_what_is_refused_by_value_is_refused_by_the_program_too(
    f: Any, good: Any, bad: Any, error: type[Exception]
) -> None:
    compiled = an.compile(f)
    np.testing.assert_allclose(compiled(np.array(good)), f(np.array(good)), rtol=1e-12)
    with pytest.raises(error):
        compiled(np.array(bad))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.take(x[0], [0, -1], axis=0),
        lambda x: np.diff(x, n=0, prepend=np.zeros(2)),
        lambda x: np.fabs(x > 0),
        lambda x: np.vecdot(x.astype(np.int8), x.astype(np.int8)),
    ],
)
def test_odd_corners_are_as_numpy_has_them(f: Callable[..., Any]) -> None:
    x = np.array([1.0, -2.0, 3.0])
    expected = f(x)
    assert _same_bits(an.engine.tensor.values_of(f(an.Tensor(x))), expected)
    assert _same_bits(an.compile(f)(x), expected)


@pytest.mark.parametrize("number", [-0.0, 0.0, 2.0])
def test_gradients_of_single_numbers_have_the_same_sign_of_zero(number: float) -> None:
    """NumPy's dot of one number and 1 keeps -0, its sum makes 0 of it."""
    slope = an.value_and_grad(lambda a, t: np.sum(np.sin(np.outer(t, a))))
    given = np.array(1.0), np.array(number)
    for found, right in zip(an.compile(slope)(*given), slope(*given), strict=True):
        assert _same_bits(np.asarray(found), np.asarray(right))


def test_a_mean_of_what_a_single_number_is_taken_from_compiles() -> None:
    def f(a: Any, b: Any, c: Any) -> Any:
        return np.add(c, np.mean(np.square(b - a))).sum()

    given = np.array(1.0, np.float32), np.array([[1.0], [3.0]]), np.array([1.0], np.float32)
    np.testing.assert_allclose(an.compile(f)(*given), f(*given), rtol=1e-12)


def test_even_factors_lead_from_a_negative_number_to_another() -> None:
    def f(a: Any, b: Any) -> Any:
        return np.geomspace(a, b, 4)

    ends = np.array([-1.0, 2.0]), np.array([-8.0, 54.0])
    np.testing.assert_allclose(f(*map(an.Tensor, ends)).numpy(), f(*ends), rtol=1e-12)
    np.testing.assert_allclose(an.compile(f)(*ends), f(*ends), rtol=1e-12)


def test_a_root_is_real_where_only_rounding_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a matrix with complex eigenvalues, whose root is real, SciPy 1.13 gives 1e-17 of i."""
    x, right = np.array([[2.0, 0.5], [-0.5, 2.0]]), scipy.linalg.sqrtm
    for part, kind in ((1e-17j, "f"), (1e-3j, "c")):
        with monkeypatch.context() as patched:
            patched.setattr(scipy.linalg, "sqrtm", lambda a, part=part: right(a) + part)
            assert sqrtm(x).dtype.kind == kind
