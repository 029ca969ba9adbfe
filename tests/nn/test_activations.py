"""Activations as modules: their formulas, in every order, dtype and program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracles import layers
from tools.directions import check_along
from tools.refusals import assert_refused

from autonn import (
    ELU,
    GELU,
    Identity,
    LeakyReLU,
    LogSoftmax,
    Module,
    Sequential,
    SiLU,
    Softmax,
    Softplus,
    Tensor,
    compile,
    value_and_grad,
)

Array = NDArray[Any]
BENDS: list[tuple[Module, Callable[[float], float]]] = [
    (GELU(), layers.gelu),
    (GELU(approximate="tanh"), layers.gelu_by_tanh),
    (LeakyReLU(), layers.leaky_relu),
    (LeakyReLU(0.3), lambda x: layers.leaky_relu(x, 0.3)),
    (ELU(), layers.elu),
    (ELU(1.7), lambda x: layers.elu(x, 1.7)),
    (SiLU(), layers.silu),
    (Softplus(), layers.softplus),
    (Identity(), lambda x: x),
]
ALL: list[Module] = [*(bend for bend, _ in BENDS), LogSoftmax(), LogSoftmax(axis=0), Softmax(0)]
every = pytest.mark.parametrize("module", ALL, ids=repr)


@pytest.mark.parametrize(
    ("module", "formula"), BENDS, ids=map(repr, next(zip(*BENDS, strict=True)))
)
@given(st.integers(0, 2**32 - 1))
def test_an_activation_is_its_formula_number_by_number(
    module: Module, formula: Callable[[float], float], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(tuple(rng.integers(0, 4, rng.integers(0, 4)))) * rng.choice([1, 10])
    expected = layers.each(formula, x)
    np.testing.assert_allclose(module(x).data, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_log_softmax_goes_along_its_axis(axis: int) -> None:
    x = 5 * np.random.default_rng(0).standard_normal((2, 3, 4))
    expected = layers.log_softmax(x, axis)
    np.testing.assert_allclose(LogSoftmax(axis)(x).data, expected, rtol=1e-13)
    np.testing.assert_allclose(Softmax(axis)(x).data, np.exp(expected), rtol=1e-13)


@every
def test_gradients_of_both_orders_are_the_slopes(module: Module) -> None:
    x = np.random.default_rng(1).uniform(0.1, 2, (3, 2)) * [[1, -1], [-1, 1], [1, 1]]
    factor = np.random.default_rng(2).standard_normal((3, 2))
    check_along(lambda x: np.sum(module(x) * factor), x)


@every
def test_a_program_computes_the_same_and_float32_stays(module: Module) -> None:
    x = np.random.default_rng(3).standard_normal((5, 4))

    def f(x: Any) -> Any:
        return np.sum(np.square(module(x)))

    for found, expected in zip(compile(value_and_grad(f))(x), value_and_grad(f)(x), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-13)
    narrow = Tensor(x.astype(np.float32), requires_grad=True)
    z = module(narrow)
    np.sum(z).backward()
    assert z.dtype == narrow.grad.dtype == np.float32
    np.testing.assert_allclose(z.data, module(x).data, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("module", [bend for bend, _ in BENDS], ids=repr)
def test_far_from_0_nothing_overflows(module: Module) -> None:
    for dtype in (np.float64, np.float32):
        x = Tensor(np.array([-1e8, -1e4, 1e4, 1e8], dtype), requires_grad=True)
        with np.errstate(all="raise", under="ignore"):
            z = module(x)
            np.sum(z).backward()
        assert np.isfinite(z.data).all()
        assert np.isfinite(x.grad).all()
        np.testing.assert_array_equal(z.data[2:], x.data[2:])


def test_they_say_what_they_are() -> None:
    shown = [repr(module) for module in ALL]
    assert shown == [
        "GELU()", "GELU(approximate='tanh')", "LeakyReLU(0.01)", "LeakyReLU(0.3)", "ELU(1.0)",
        "ELU(1.7)", "SiLU()", "Softplus()", "Identity()", "LogSoftmax()", "LogSoftmax(axis=0)",
        "Softmax(axis=0)",
    ]  # fmt: skip
    assert Sequential(*ALL).parameters() == []
    same = Tensor([1.0])
    assert Identity()(same) is same


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: GELU(approximate="erf"), ValueError, ["GELU", "'none' or 'tanh'", "'erf'"]),
        (lambda: LeakyReLU("a"), TypeError, ["LeakyReLU: negative_slope", "'a'"]),  # type: ignore[arg-type]
        (lambda: LeakyReLU(np.nan), ValueError, ["LeakyReLU: negative_slope", "nan"]),
        (lambda: ELU(np.inf), ValueError, ["ELU: alpha", "inf"]),
        (lambda: LogSoftmax(1.5), TypeError, ["LogSoftmax: axis", "1.5"]),  # type: ignore[arg-type]
        (lambda: LogSoftmax(2)(np.ones((2, 2))), ValueError, ["axis 2"]),
    ],
)
def test_bad_calls_are_refused(call: Any, error: type[Exception], words: list[str]) -> None:
    assert_refused(call, error, words)
