"""What a gradient is where the derivative does not exist, or is infinite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tools.op_checks import (
    assert_close,
)
from tools.oprows import Array

import autonn
from autonn import (
    Tensor,
    grad,
    vjp,
)


def slope(f: Any, *x: Any) -> Any:
    """Return the gradient at a number, or for a list the list of gradients."""
    if len(x) == 1:
        return grad(f)(np.array(x[0], float)).tolist()
    return [g.tolist() for g in grad(f, tuple(range(len(x))))(*(np.array(a, float) for a in x))]


def test_the_slope_of_the_absolute_value_is_0_at_0() -> None:
    assert slope(np.abs, 0.0) == 0
    assert slope(np.fabs, -0.0) == 0


def test_the_slope_of_relu_is_0_at_0_and_nan_at_nan() -> None:
    assert slope(autonn.relu, 0.0) == 0
    assert np.isnan(slope(autonn.relu, np.nan))


def test_equal_operands_of_maximum_and_minimum_get_half_each() -> None:
    assert slope(np.maximum, 1.0, 1.0) == [0.5, 0.5]
    assert slope(np.minimum, 1.0, 1.0) == [0.5, 0.5]
    assert slope(lambda x: np.maximum(x, x), 1.0) == 1


def test_equal_maxima_of_a_reduction_share_evenly() -> None:
    assert slope(np.max, [1.0, 4, 4, 4, 4]) == [0, 0.25, 0.25, 0.25, 0.25]
    assert slope(np.min, [1.0, 1, 2]) == [0.5, 0.5, 0]
    assert slope(lambda x: np.sum(np.max(x, axis=1)), [[1.0, 1], [1, 2]]) == [[0.5, 0.5], [0, 1]]


def test_clip_passes_the_whole_gradient_at_its_bounds() -> None:
    assert slope(lambda x: np.sum(np.clip(x, -1, 1)), [-2.0, -1, 0, 1, 2]) == [0, 1, 1, 1, 0]


@pytest.mark.parametrize("x", [0.0, 1.5, 3.0])
def test_clip_with_crossed_bounds_is_its_upper_bound(x: float) -> None:
    assert grad(np.clip, argnums=(0, 1, 2))(x, 2.0, 1.0) == (0, 0, 1)


def test_the_slope_of_sqrt_is_infinite_at_0() -> None:
    with np.errstate(divide="ignore"):
        assert slope(np.sqrt, 0.0) == np.inf
        assert slope(np.cbrt, 0.0) == np.inf


def test_the_gradient_of_norm_is_0_at_0() -> None:
    assert slope(np.linalg.norm, [0.0, 0, 0]) == [0, 0, 0]
    assert slope(lambda x: np.sum(np.linalg.norm(x, axis=1)), [[0.0, 0], [3, 4]]) == [
        [0, 0],
        [0.6, 0.8],
    ]
    assert slope(np.hypot, 0.0, 0.0) == [0, 0]


@pytest.mark.parametrize("x", [0.0, -0.0, 2.0, -2.0])
@pytest.mark.parametrize("zero", [0, 0.0, np.float64(0)])
def test_the_slope_of_a_power_of_zero_is_0(x: float, zero: Any) -> None:
    assert slope(lambda t: t**zero, x) == 0
    assert slope(lambda t: t ** np.full((), zero), x) == 0


def test_powers_of_one_and_two_have_their_slopes_at_0() -> None:
    assert slope(lambda x: x**1, 0.0) == 1
    assert slope(lambda x: x**2, 0.0) == 0
    assert slope(lambda x: x**1.5, 0.0) == 0


@pytest.mark.parametrize("y", [0.0, 0.5, 1.0, 3.0])
def test_the_slope_of_a_power_of_base_0_by_its_exponent_is_0(y: float) -> None:
    assert slope(lambda t: 0.0**t, y) == 0
    assert slope(lambda t: np.power(np.zeros(()), t), y) == 0


def test_the_gradient_of_a_product_is_right_with_zeros() -> None:
    assert slope(np.prod, [0.0, 2, 3]) == [6, 0, 0]
    assert slope(np.prod, [0.0, 0, 3]) == [0, 0, 0]
    assert slope(lambda x: np.sum(np.cumprod(x)), [2.0, 0, 3]) == [1, 8, 0]


def test_equal_values_have_no_gradient_of_var_and_std() -> None:
    for value in (0.1, 1e8, 0.0):
        assert slope(np.var, [value] * 3) == [0, 0, 0]
        assert slope(np.std, [value] * 3) == [0, 0, 0]


def test_logsumexp_of_nothing_but_minus_infinity_is_that_with_gradient_0() -> None:
    x = np.full(3, -np.inf)
    with np.errstate(all="raise"):
        value, pullback = vjp(autonn.logsumexp, x)
        assert value == -np.inf
        assert pullback(np.array(1.0))[0].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("x", "y", "slopes"),
    [
        (-np.inf, -np.inf, [0, 0]), (-np.inf, 2.0, [0, 1]), (2.0, -np.inf, [1, 0]),
        (8e307, -8e307, [1, 0]), (3.0, 3.0, [0.5, 0.5]), (-1e4, 1e4, [0, 1]),
    ],
)  # fmt: skip
def test_logaddexp_has_its_gradients_beside_minus_infinity(
    x: float, y: float, slopes: list[float]
) -> None:
    with np.errstate(all="raise", under="ignore"):
        assert slope(np.logaddexp, x, y) == slopes
        assert grad(np.logaddexp)(np.float32(x / 1e300), np.float32(y / 1e300)).dtype == np.float32


@pytest.mark.parametrize("f", [autonn.gelu, autonn.silu])
def test_the_slopes_of_gelu_and_silu_end_at_0_and_1(f: Any) -> None:
    far = [-1e300, -1e200, -800.0, 800.0, 1e200, 1e300]
    with np.errstate(all="raise", under="ignore"):
        assert slope(lambda x: np.sum(f(x)), far) == [0, 0, 0, 1, 1, 1]
    with np.errstate(invalid="ignore"):
        assert slope(lambda x: np.sum(f(x)), [-np.inf, np.inf]) == [0, 1]
    assert np.isnan(slope(f, np.nan))


@pytest.mark.parametrize(("x", "y"), [(0.0, -1.0), (-0.0, -1.0), (0.0, -2.0), (0.0, 0.5)])
def test_the_slope_of_a_power_at_0_is_infinite_below_1(x: float, y: float) -> None:
    with np.errstate(divide="ignore"):
        assert slope(lambda t: t**y, x) == np.copysign(np.inf, y)
        assert slope(lambda t: np.power(t, np.full((), y)), x) == np.copysign(np.inf, y)
        assert slope(lambda t: t**y, np.inf) == 0


def test_the_max_of_nothing_is_an_error_and_the_mean_of_nothing_is_nan() -> None:
    for f in (np.max, np.min):
        with pytest.raises(ValueError, match="zero-size"):
            f(Tensor(np.ones(0)))
    with pytest.warns(RuntimeWarning):
        assert np.isnan(np.mean(Tensor(np.ones(0), requires_grad=True)).item())


def test_steps_have_no_gradient_anywhere() -> None:
    for f in (np.sign, np.floor, np.ceil, np.trunc, np.rint, np.round):
        assert slope(lambda x, f=f: np.sum(f(x)), [-1.0, 0, 0.5, 1, 2.5]) == [0] * 5


def test_leaky_relu_and_elu_have_the_slope_from_the_left_at_0() -> None:
    assert slope(lambda x: autonn.leaky_relu(x, 0.1), 0.0) == 0.1
    assert slope(lambda x: autonn.elu(x, 2.0), 0.0) == 2


def test_equal_elements_keep_their_order_when_sorted() -> None:
    weights = np.array([1.0, 2, 3, 4])
    assert slope(lambda x: np.sum(weights * np.sort(x)), [5.0, 1, 5, 1]) == [3, 1, 4, 2]


def test_a_nan_in_a_maximum_takes_the_gradient() -> None:
    assert slope(np.max, [1.0, np.nan, 3]) == [0, 1, 0]


def test_the_determinant_of_a_singular_matrix_has_its_gradient() -> None:
    assert_close(np.array(slope(np.linalg.det, [[1.0, 2], [2, 4]])), np.array([[4.0, -2], [-2, 1]]),
                 1e-14)  # fmt: skip
    assert slope(np.linalg.det, [[0.0, 0], [0, 0]]) == [[0, 0], [0, 0]]


def test_the_slopes_of_sigmoid_and_tanh_are_exact_where_they_saturate() -> None:
    for z in (-740.0, -40.0, 40.0, 500.0):
        assert slope(autonn.sigmoid, z) == pytest.approx(np.exp(-abs(z)), rel=1e-14)
    assert slope(np.tanh, 50.0) == pytest.approx(4 * np.exp(-100.0), rel=1e-14)


def test_higher_derivatives_of_tanh_are_right_also_at_0_and_short() -> None:
    """By rules of |x|, which the slope is computed with, the third one was 0 at 0."""
    f: Any = np.tanh
    for _ in range(3):
        f = autonn.grad(lambda x, f=f: np.sum(f(x)))
    x = np.array([-2.0, -0.5, 0.0, 1.0])
    t = np.tanh(x)
    assert_close(f(x), -2 * (1 - t * t) * (1 - 3 * t * t), 1e-14)
    program = autonn.compile(f)
    assert_close(program(x), f(x), 1e-15)
    assert program.source.count("np.exp") == program.source.count("np.tanh") == 1
    assert "where" not in program.source


SINGULAR: list[tuple[str, Callable[..., Any], float, float]] = [
    ("log", np.log, 0, 2),
    ("log2", np.log2, 0, 2),
    ("log10", np.log10, 0, 2),
    ("log1p", np.log1p, -1, 2),
    ("sqrt", np.sqrt, 0, 2),
    ("cbrt", np.cbrt, 0, 2),
    ("reciprocal", np.reciprocal, 0, 2),
    ("divide", lambda x: 3 / x, 0, 2),
    ("divide by itself", lambda x: (x + 1) / (x * x), 0, 2),
    ("power 0.5", lambda x: x**0.5, 0, 2),
    ("power -1", lambda x: x**-1.0, 0, 2),
    ("power -0.5", lambda x: x**-0.5, 0, 2),
    ("power of an array", lambda x: np.power(x, np.array([0.5, -1.5])), 0, 2),
    ("power of itself", lambda x: x**x, 0, 2),
    ("arcsin", np.arcsin, 1, 0.5),
    ("arcsin, left", np.arcsin, -1, 0.5),
    ("arccos", np.arccos, 1, 0.5),
    ("arccos, left", np.arccos, -1, 0.5),
    ("arccosh", np.arccosh, 1, 2),
    ("arctanh", np.arctanh, 1, 0.5),
    ("arctanh, left", np.arctanh, -1, 0.5),
    ("hypot", lambda x: np.hypot(x, x), 0, 2),
    ("arctan2", lambda x: np.arctan2(x, x * 2), 0, 2),
    ("norm", lambda x: np.linalg.norm(np.stack([x, x]), axis=0), 0, 2),
    ("norm of order 3", lambda x: np.linalg.norm(np.stack([x, x]), 3, axis=0), 0, 2),
    ("std", lambda x: np.std(np.stack([x, -x]), axis=0), 0, 2),
    ("log of a sum", lambda x: np.log(x + x), 0, 2),
    ("sqrt of a square", lambda x: np.sqrt(x * x), 0, 2),
    ("prod", lambda x: 1 / np.prod(np.stack([x, x]), axis=0), 0, 2),
]


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    ("name", "f", "singular", "regular"), SINGULAR, ids=[name for name, *_ in SINGULAR]
)
def test_a_zero_gradient_stays_zero_where_the_slope_is_infinite(
    name: str, f: Callable[..., Any], singular: float, regular: float, order: int
) -> None:
    """The masked element gets 0, and the other the gradient that it has alone."""

    def derived(g: Callable[..., Any], x: Array) -> Array:
        for _ in range(order):
            g = grad(lambda t, g=g: np.sum(g(t)))
        with np.errstate(all="ignore"):
            return np.asarray(g(x))

    masked = lambda x: np.where([False, True], f(x), 0)  # noqa: E731
    got = derived(masked, np.array([singular, regular], float))
    assert got[0] == 0
    np.testing.assert_allclose(
        got[1], derived(f, np.array([regular, regular], float))[1], rtol=1e-12, atol=1e-300
    )


def test_the_second_derivative_of_the_variance_of_equal_values() -> None:
    """It is constant, 2/n (1 - 1/n) on the diagonal; that of the deviation is 0 at its kink."""
    for value in (0.0, 0.1, -1e8):
        x = np.full(3, value)
        expected = 2 / 3 * (np.eye(3) - 1 / 3)
        np.testing.assert_allclose(autonn.hessian(np.var)(x), expected, rtol=1e-15, atol=1e-16)
        assert not autonn.hessian(np.std)(x).any()
        assert not grad(np.var)(x).any()


def test_the_determinant_of_what_is_not_finite_has_a_gradient_of_nan() -> None:
    """LAPACK's singular values of such a matrix were looked for without an end."""
    x = np.array([[np.inf, 0.5, -1.41], [1.8e308, 0.5, -0.52], [-0.0, 1.0, 1.8e308]])
    x = np.where(np.isinf(x), np.inf, np.minimum(x, 1.7976931348623157e308))
    with np.errstate(all="ignore"):
        assert np.isnan(autonn.grad(np.linalg.det)(np.stack([x, np.eye(3)])[0])).all()
        both = autonn.grad(lambda x: np.sum(np.linalg.det(x)))(np.stack([x, np.eye(3)]))
    assert np.isnan(both[0]).all()
    np.testing.assert_array_equal(both[1], np.eye(3))
