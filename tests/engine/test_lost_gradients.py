"""A gradient is not lost in silence: to a Python number, to an array, to an operator in place."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.integrate

import autonn
from autonn import Tensor, compile, grad, gradcheck, gradients, hvp, jacobian, jvp, no_grad, vjp
from autonn.engine.op import NotDifferentiableError

X = np.array([0.5, 1.5, 2.5])


def filled(x: Any) -> Any:
    out = np.zeros(3)
    for i in range(3):
        out[i] = x[i] ** 2
    return np.sum(out)


def filled_at_once(x: Any) -> Any:
    out = np.zeros(3)
    out[:] = x
    return np.sum(out)


LOST: list[tuple[Callable[..., Any], Any]] = [
    (math.sin, 1.0),
    (lambda x: math.exp(x) * x, 1.0),
    (lambda x: float(x) * x, 1.0),
    (lambda x: int(x) * x, 2.0),
    (lambda x: complex(x).real * x, 1.0),
    (lambda x: np.float64(x) * x, 1.0),
    (lambda x: [0.0, 1.0, 2.0][x] * x, 1.0),
    (lambda x: sum(x.tolist()), X),
    (lambda x: np.sum(np.fromiter(iter(x), float)), X),
    (lambda x: np.array([float(v) for v in x]).sum(), X),
    (filled, X),
    (filled_at_once, X),
    (lambda x: scipy.integrate.quad(lambda t: t * x, 0, 1)[0], 2.0),
    (lambda x: np.vectorize(math.sin)(x).sum(), X),
    (lambda x: np.add(np.ones(3), x, out=np.zeros(3)).sum(), X),
    (lambda x: np.sum(np.array([x, x])), 1.0),
]


@pytest.mark.parametrize(("f", "x"), LOST, ids=range(len(LOST)))
def test_a_gradient_is_not_lost_to_a_number(f: Callable[..., Any], x: Any) -> None:
    with pytest.raises((TypeError, RuntimeError), match=r"gradient|graph|no index") as caught:
        grad(f)(x)
    assert "use" in str(caught.value)


@pytest.mark.parametrize(
    "transform",
    [
        lambda f: autonn.value_and_grad(f)(1.0),
        lambda f: jacobian(f)(1.0),
        lambda f: autonn.hessian(f)(1.0),
        lambda f: vjp(f, 1.0),
        lambda f: jvp(f, 1.0, 1.0),
        lambda f: hvp(f, 1.0, 1.0),
        lambda f: grad(lambda y: grad(f)(y) * y)(1.0),
    ],
)
def test_every_transform_sees_it(transform: Callable[..., Any]) -> None:
    with pytest.raises(NotDifferentiableError, match="gradient would be lost"):
        transform(lambda x: math.sin(x) * x)


def test_the_error_names_the_line_that_filled_an_array() -> None:
    with pytest.raises(NotDifferentiableError) as caught:
        grad(filled)(X)
    assert any(entry.name == "filled" for entry in caught.traceback)


def test_an_error_of_the_users_own_stays_as_it_is() -> None:
    def f(x: Any) -> Any:
        raise ValueError("mine") from KeyError("why")

    with pytest.raises(ValueError, match="mine") as caught:
        grad(f)(1.0)
    assert isinstance(caught.value.__cause__, KeyError)


def test_what_is_not_differentiated_may_be_a_number_inside_a_transform() -> None:
    c = Tensor(3.0)
    assert grad(lambda x: x * float(c) * math.sqrt(Tensor(4.0)) * x.item())(2.0) == 12
    assert grad(lambda x: x * x if x > 1 else x)(2.0) == 4


def test_noting_a_cost_stays_legal_outside() -> None:
    w = Tensor(X, requires_grad=True)
    costs = np.zeros(2)
    for k in range(2):
        loss: Any = np.sum(w * w)
        costs[k] = loss
        loss.backward()
    assert costs.tolist() == [8.75, 8.75]
    assert (float(loss), int(loss), complex(loss), round(float(loss), 1)) == (8.75, 8, 8.75, 8.8)
    assert f"{loss:.1f}" == "8.8"
    assert math.sqrt(np.sum(Tensor([4.0]))) == 2


def test_rounding_is_an_op_without_a_slope() -> None:
    assert grad(lambda x: round(x, 1) * x)(1.26) == pytest.approx(1.3)
    assert round(Tensor(2.5)).data == 2


def test_there_is_no_gradient_at_complex_numbers() -> None:
    for x in (1j, np.array([1j, 2.0]), Tensor(1j)):
        with pytest.raises(NotDifferentiableError, match="real and imaginary"):
            grad(lambda x: np.sum(abs(x * x)))(x)
    assert gradcheck(lambda x: np.sin(x) * x, X, order=3)
    with pytest.raises(NotDifferentiableError, match="complex128"):
        grad(lambda x: np.sum(x * 1j))(X)


def test_gradients_by_intermediate_results_are_right() -> None:
    w = Tensor(3.0, requires_grad=True)
    h: Any = w * w
    u: Any = np.sin(h)
    got = gradients(u * h, [u, h, w])
    by_h = math.cos(9.0) * 9 + math.sin(9.0)
    np.testing.assert_allclose(got, [9, by_h, by_h * 6])
    assert h.grad is None


# ---- in place


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("p += 1", [2, 3, 5]), ("p -= 0.5 * p.grad", [0, 0, 0]), ("p *= p", [1, 4, 16]),
        ("p /= 2", [0.5, 1, 2]), ("p //= 2", [0, 1, 2]), ("p %= 2", [1, 0, 0]),
        ("p **= 2", [1, 4, 16]), ("p -= Tensor([1.0, 1.0, 1.0])", [0, 1, 3]),
    ],
)  # fmt: skip
def test_an_operator_in_place_changes_a_parameter_within_no_grad(
    step: str, expected: list[float]
) -> None:
    p = Tensor([1.0, 2.0, 4.0], requires_grad=True)
    np.sum(p * p).backward()
    again: Any = np.sum(p * p)  # a pending graph keeps the old values
    scope: dict[str, Any] = {"p": p, "Tensor": Tensor}
    with no_grad():
        exec(step, scope)
    assert scope["p"] is p
    assert p.data.tolist() == expected
    assert p.requires_grad
    p.grad = None
    again.backward()
    assert p.grad.tolist() == [2, 4, 8]


def test_a_loop_of_gradient_descent_by_hand_trains() -> None:
    weights = [Tensor(X, requires_grad=True), Tensor(1.0, requires_grad=True)]
    for _ in range(200):
        loss = np.sum((weights[0] - weights[1] + 1) ** 2) + weights[1] ** 2
        loss.backward()
        with no_grad():
            for p in weights:
                p -= 0.1 * p.grad
                p.grad = None
    assert loss.item() < 1e-6


@pytest.mark.parametrize("step", ["p += 1", "p -= p.data", "p *= 2", "p /= 2", "p **= 2", "p %= 2"])
def test_elsewhere_it_is_an_error_on_a_parameter(step: str) -> None:
    p = Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(RuntimeError, match=r"p\.data .*no_grad"):
        exec(step, {"p": p})
    assert p.data.tolist() == [1, 2]


def test_of_results_and_of_data_it_makes_a_new_tensor() -> None:
    p = Tensor([1.0, 2.0], requires_grad=True)
    first = y = p * 2
    y += p
    y *= y
    assert first.data.tolist() == [2, 4]
    np.sum(y).backward()
    assert p.grad.tolist() == [18, 36]
    old = x = Tensor([1.0])
    x += 1
    assert [old.data.tolist(), x.data.tolist()] == [[1], [2]]


def test_of_the_argument_of_a_transform_it_is_right_in_every_order() -> None:
    def f(x: Any) -> Any:
        x *= 2
        x += 1
        return np.sum(x**3)

    x = X.copy()
    np.testing.assert_allclose(grad(f)(x), 6 * (2 * X + 1) ** 2)
    np.testing.assert_allclose(np.diag(autonn.hessian(f)(x)), 24 * (2 * X + 1))
    np.testing.assert_allclose(compile(grad(f))(x), grad(f)(x))
    np.testing.assert_array_equal(x, X)


def test_a_compiled_function_cannot_step_in_place() -> None:
    p = Tensor(X, requires_grad=True)

    @no_grad()
    def step(g: Any) -> Any:
        nonlocal p
        p -= g
        return np.sum(p)

    with pytest.raises(autonn.engine.modes.TracedValueError, match="test_lost_gradients"):
        compile(step)(X)
    np.testing.assert_array_equal(p.data, X)


def test_a_shape_that_does_not_fit_in_place_is_numpys_error() -> None:
    p = Tensor(1.0, requires_grad=True)
    with no_grad(), pytest.raises(ValueError, match="broadcast"):
        p += np.ones(3)
