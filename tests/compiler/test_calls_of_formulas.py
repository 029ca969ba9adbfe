"""What a formula becomes: as few calls as a person would write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autonn
from autonn import Tensor, compile, value_and_grad
from autonn.compiler import Compiled


def calls(f: Compiled) -> list[str]:
    """List the lines of a source that call something: each has a comment with its formula."""
    return [line for line in f.source.splitlines() if "  # " in line and "(" in line]


LIMITS: dict[str, tuple[Callable[..., Any], int, int]] = {
    "gelu": (autonn.gelu, 1, 15),
    "silu": (autonn.silu, 1, 15),
    "elu": (autonn.elu, 1, 15),
    "erf": (autonn.erf, 1, 8),
    "cbrt": (np.cbrt, 1, 6),
    "exp2": (np.exp2, 1, 4),
    "divide": (np.divide, 2, 8),
    "logaddexp": (np.logaddexp, 2, 16),
    "hypot": (np.hypot, 2, 4),
}


@pytest.mark.parametrize("name", LIMITS)
def test_value_and_gradient_take_no_more_calls_than_this(name: str) -> None:
    f, operands, most = LIMITS[name]
    args = np.random.default_rng(0).uniform(0.5, 2, (operands, 9))
    compiled = compile(value_and_grad(lambda *xs: np.sum(f(*xs)), tuple(range(operands))))
    value, gradients = compiled(*args)
    assert 3 <= len(calls(compiled)) <= most, compiled.source
    assert value == pytest.approx(np.sum(f(*args)), rel=1e-14)
    expected = value_and_grad(lambda *xs: np.sum(f(*xs)), tuple(range(operands)))(*args)[1]
    np.testing.assert_allclose(gradients, expected, rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("f", [autonn.gelu, autonn.silu, autonn.erf])
def test_a_formula_holds_far_out_as_well(f: Callable[..., Any], dtype: Any) -> None:
    x = np.array([-3e38, -1e30, -700, -100, -88, -1.3, -0.0, 0, 90, 710, 1e30, 3e38], dtype)
    step = value_and_grad(lambda x: np.sum(f(x) * 1e-3))
    value, slopes = compile(step)(x)
    expected = step(x)
    np.testing.assert_allclose(value, expected[0], rtol=8 * np.finfo(dtype).eps)
    np.testing.assert_allclose(slopes, expected[1], rtol=0, atol=8e-3 * np.finfo(dtype).eps)
    assert slopes.dtype == dtype


def test_the_gradient_of_a_compiled_loss_ends_at_what_it_reads() -> None:
    """A tensor that it reads may be made of another one that it reads too."""
    w = Tensor([1.0, 2.0], requires_grad=True)
    for make in (lambda f: f, compile):
        w.grad = None
        h = w * 3
        make(lambda x, h=h: np.sum(h * w * x))(np.ones(2)).backward()
        assert w.grad.tolist() == [6.0, 12.0]
