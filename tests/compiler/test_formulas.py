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


def test_the_gradient_of_a_compiled_loss_ends_at_what_it_reads() -> None:
    """A tensor that it reads may be made of another one that it reads too."""
    w = Tensor([1.0, 2.0], requires_grad=True)
    for make in (lambda f: f, compile):
        w.grad = None
        h = w * 3
        make(lambda x, h=h: np.sum(h * w * x))(np.ones(2)).backward()
        assert w.grad.tolist() == [6.0, 12.0]
