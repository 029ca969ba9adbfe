"""The checker of gradients is checked: it takes what is right, and names what is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autonn
from autonn import (
    gradcheck,
    op,
    stop_gradient,
)
from autonn.engine.gradcheck import GradientError


def faulty(factor: Any = 1.0, *, index: Any = (), at: int = 0) -> Any:
    """Make ``x y``, whose rule for argument `at` has a wrong factor, at one index or everywhere."""

    def spoilt(d: Any) -> Any:
        weights = np.ones(d.shape)
        weights[index] = factor
        return d * weights

    @op(
        lambda g, z, x, y: spoilt(g * y) if at == 0 else g * y,
        lambda g, z, x, y: spoilt(g * x) if at == 1 else g * x,
    )
    def product(x: Any, y: Any) -> Any:
        return x * y

    return product


P, Q = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])


def test_the_checker_accepts_what_is_right() -> None:
    assert gradcheck(faulty(), P, Q, order=2)
    assert gradcheck(lambda t: t["a"] * t["b"][0], {"a": P, "b": [Q]}, order=2)
    assert gradcheck(lambda x: np.sum(x, axis=0), np.ones((20, 3)), projections=4)


@pytest.mark.parametrize("factor", [1 + 1e-9, -1.0, 0.0, 2.0, np.nan])
def test_the_checker_catches_a_wrong_factor(factor: float) -> None:
    with pytest.raises(GradientError, match=r"order 1 for argument 0, index \(0,\)"):
        gradcheck(faulty(factor), P, Q)
    with pytest.raises(GradientError):
        gradcheck(faulty(factor), P, Q, projections=1)


def test_the_checker_names_the_one_wrong_index_and_both_values() -> None:
    with pytest.raises(GradientError, match=r"argument 0, index \(2,\): 12.0.* slope is 6.0"):
        gradcheck(faulty(2.0, index=2), P, Q)


def test_the_checker_names_the_second_argument() -> None:
    with pytest.raises(GradientError, match=r"argument 1, index \(1,\)"):
        gradcheck(faulty(1 + 1e-9, index=1, at=1), P, Q)


def test_the_checker_catches_a_wrong_second_order() -> None:
    @op(lambda g, z, x: g * 3 * stop_gradient(x) ** 2)
    def cube(x: Any) -> Any:
        return x * x * x

    assert gradcheck(cube, P)
    with pytest.raises(GradientError, match="order 2"):
        gradcheck(cube, P, order=2)


def test_the_checker_catches_faults_where_complex_numbers_are_refused() -> None:
    @op(lambda g, z, x, y: g * x / z, lambda g, z, x, y: g * y / z * 1.00001)
    def length(x: Any, y: Any) -> Any:
        return np.hypot(x, y)

    with pytest.raises(GradientError, match=r"argument 1.*central differences"):
        gradcheck(length, P, Q)


def test_the_checker_refuses_float32() -> None:
    with pytest.raises(TypeError, match="float32"):
        gradcheck(np.sin, np.ones(2, np.float32))


def test_at_a_kink_the_checker_takes_what_lies_between_both_slopes() -> None:
    x = np.array([0.0, 1.0, -1.0])
    assert gradcheck(np.abs, x)
    assert gradcheck(autonn.relu, x)
    assert gradcheck(lambda x: np.maximum(x, 1.0), x)
    beyond = op(lambda g, z, x: g * np.where(np.equal(x, 0), 1.1, np.sign(x)))(np.abs)
    with pytest.raises(GradientError, match=r"index \(0,\): 1.1.*between -1.0 and 1.0"):
        gradcheck(beyond, x)
