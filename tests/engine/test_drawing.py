"""`autonn.random`: what is drawn, that programs draw anew, and gradients by what moves it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tools.refusals import assert_refused

from autonn import Tensor, compile, grad, value_and_grad
from autonn.random import bernoulli, normal, uniform

RNG = np.random.default_rng(0)


def fresh() -> np.random.Generator:
    return np.random.default_rng(3)


def test_they_draw_what_the_generator_draws() -> None:
    twin, rng = fresh(), fresh()
    np.testing.assert_array_equal(
        normal(rng, (2, 3), 1.0, 2.0), 1 + 2 * twin.standard_normal((2, 3))
    )
    low, high = np.zeros(3), np.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(uniform(rng, (2, 3), low, high), high * twin.random((2, 3)))
    np.testing.assert_array_equal(bernoulli(rng, 5, 0.3), twin.random(5) < 0.3)
    zeros = bernoulli(rng, 9, 0.0), bernoulli(rng, 9, 1.0)
    assert not zeros[0].any()
    assert zeros[1].all()


def test_gradients_reach_what_moves_and_stretches() -> None:
    e, u = fresh().standard_normal((4, 2)), fresh().random((4, 2))
    a, b = np.array([0.5, -1.0]), np.array([2.0, 3.0])
    found = grad(lambda a, b: np.sum(normal(fresh(), (4, 2), a, b) ** 2), (0, 1))(a, b)
    z = a + b * e
    np.testing.assert_allclose(found[0], np.sum(2 * z, axis=0), rtol=1e-13)
    np.testing.assert_allclose(found[1], np.sum(2 * z * e, axis=0), rtol=1e-13)
    found = grad(lambda a, b: np.sum(uniform(fresh(), (4, 2), a, b) ** 2), (0, 1))(a, b)
    z = a + (b - a) * u
    np.testing.assert_allclose(found[0], np.sum(2 * z * (1 - u), axis=0), rtol=1e-13)
    np.testing.assert_allclose(found[1], np.sum(2 * z * u, axis=0), rtol=1e-13)
    second = grad(lambda b: grad(lambda b: np.sum(normal(fresh(), (4, 2), a, b) ** 2))(b)[0])(b)
    np.testing.assert_allclose(second, [np.sum(2 * e[:, 0] ** 2), 0], rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_program_draws_anew_and_what_the_function_draws(dtype: Any) -> None:
    def cost(m: Any, s: Any, rng: Any) -> Any:
        z = normal(rng, (5, 3), m, s) * bernoulli(rng, (5, 3), 0.7)
        return np.sum(z * z) + np.mean(uniform(rng, 4, np.sum(m), np.sum(m) + 1))

    rng, twin = fresh(), fresh()
    program = compile(value_and_grad(lambda m, s: cost(m, s, rng), (0, 1)))
    m, s = np.zeros(3, dtype), np.ones(3, dtype)
    values = set()
    for _ in range(4):
        (value, slopes), expected = program(m, s), value_and_grad(cost, (0, 1))(m, s, twin)
        values.add(float(value))
        np.testing.assert_allclose(value, expected[0], rtol=1e-5)
        for a, b in zip(slopes, expected[1], strict=True):
            assert a.dtype == b.dtype == dtype
            np.testing.assert_allclose(a, b, rtol=1e-5)
    assert len(values) == 4
    assert "rng.standard_normal" in program.source


def test_the_dtype_is_that_of_the_parameters_or_as_said() -> None:
    one = Tensor(np.ones(2, np.float32))
    assert normal(RNG, (2,), one).dtype == np.float32
    assert normal(RNG, (2,), one, dtype=float).dtype == np.float64
    assert uniform(RNG, 2, 0, 1, np.float32).dtype == np.float32
    assert normal(RNG, 2, 0, 1).dtype == np.float64


BAD: list[tuple[Callable[[], Any], type[Exception], list[str]]] = [
    (lambda: normal(0, (2,)), TypeError, ["normal", "Generator, not int", "default_rng"]),  # type: ignore[arg-type]
    (lambda: normal(RNG, (2,), 0.0, -1.0), ValueError, ["std is not negative"]),
    (lambda: normal(RNG, (2,), np.zeros(3)), ValueError, ["(3,)", "stretched to (2,)"]),
    (lambda: normal(RNG, (2,), dtype=int), TypeError, ["float64 or float32", "int64"]),
    (lambda: uniform(RNG, (2,), 1.0, 0.0), ValueError, ["low is above high"]),
    (lambda: bernoulli(RNG, (2,), 1.5), ValueError, ["probability", "from 0 to 1"]),
]


@pytest.mark.parametrize(("call", "error", "words"), BAD, ids=range(len(BAD)))
def test_bad_calls_say_what_came_and_what_to_do(
    call: Callable[[], Any], error: type[Exception], words: list[str]
) -> None:
    assert_refused(call, error, words)
