"""An op of one's own does what the library's do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autonn import (
    Tensor,
    grad,
    gradcheck,
    hessian,
    jvp,
    op,
)


def test_an_op_of_ones_own_works_in_every_transform() -> None:
    @op(lambda g, z, x: g * 3 * x**2, formula="z = x^3")
    def cube(x: Any) -> Any:
        """Raise to the third power."""
        return x * x * x

    x = np.array([0.5, -1.5])
    assert cube.__doc__ == "Raise to the third power."
    assert type(cube(x)) is np.ndarray
    assert gradcheck(cube, x, order=2)
    np.testing.assert_allclose(hessian(lambda x: np.sum(cube(x)))(x), np.diag(6 * x))
    assert jvp(cube, x, np.ones(2))[1].tolist() == (3 * x**2).tolist()


def test_an_op_of_ones_own_may_lack_a_rule_for_an_argument() -> None:
    @op(lambda g, z, x, n: g * (n * x ** (n - 1)), None)
    def raised(x: Any, n: Any) -> Any:
        return x**n

    assert grad(raised)(3.0, 2.0) == 6
    assert grad(raised, argnums=1)(3.0, 2.0) == 0


def test_an_op_of_ones_own_may_leave_an_operand_out_or_take_an_option() -> None:
    @op(lambda g, z, x, y=1.0: g * y, lambda g, z, x, y: g * x)
    def scaled(x: Any, y: Any = 1.0) -> Any:
        return x * y

    assert grad(scaled)(3.0) == 1
    assert grad(scaled, argnums=(0, 1))(3.0, 2.0) == (2, 3)

    @op(lambda g, z, x: g * (1 + 0 * x))
    def shifted(x: Any, *, by: float = 0.0) -> Any:
        return x + by

    assert shifted(1.0, by=2.0) == 3
    assert shifted(Tensor(1.0), by=2.0).item() == 3
    assert grad(shifted)(3.0) == 1


def test_an_op_of_one_or_two_arguments_counts_them() -> None:
    @op(lambda g, z, x: g)
    def same(x: Any) -> Any:
        return +x

    with pytest.raises(TypeError, match=r"same\(\) takes 1 positional argument but 2"):
        same(Tensor(1.0, requires_grad=True), 2.0)
    with pytest.raises(TypeError, match=r"add\(\) missing 1 required positional argument: 'y'"):
        Tensor(1.0, requires_grad=True).__add__()  # type: ignore[call-arg]


def test_a_result_without_a_gradient_is_no_fault_of_the_short_way() -> None:
    @op(lambda g, z, x: g)
    def counted(x: Any) -> Any:
        return np.isfinite(x).astype(int)

    result = counted(Tensor([1.0, np.inf], requires_grad=True))
    assert result.data.tolist() == [1, 0]
    assert not result.requires_grad


def test_what_is_no_rule_or_no_forward_is_refused() -> None:
    with pytest.raises(TypeError, match=r"op: a rule is a function of .*, not 'cube'"):
        op("cube", lambda g, z, x: g)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="op decorates the forward, a function, not ndarray"):
        op(lambda g, z, x: g)(np.ones(2))


def test_a_gradient_without_a_rule_is_refused_and_not_zero() -> None:
    forgetful = op(lambda g, z, x, y: g * y)(lambda x, y: x * y)
    assert grad(forgetful)(2.0, 3.0) == 3
    with pytest.raises(TypeError, match=r"argument 1 is to have a gradient.* 1 rule;.*or None"):
        grad(forgetful, 1)(2.0, 3.0)
    told = op(lambda g, z, x, y: g * y, None)(lambda x, y: x * y)
    assert grad(told, 1)(2.0, 3.0) == 0
