"""What eager raises by its values a program raises too, also where nobody uses the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tools.planting import planted_trait

from autonn import Tensor, compile, grad, one_hot, op, scan, vmap
from autonn.engine import ops
from autonn.engine.op import OPS
from autonn.nn.targets import as_probabilities

RNG = np.random.default_rng(0)
GOOD, BAD = np.eye(2) + 0.1, np.array([[1.0, 1.0], [1.0, 1.0]])
BELOW = np.array([[-1.0, 0.0], [0.0, -1.0]])
ROW = np.array([0.0, 1.0])
NONE = np.full((2, 2), np.nan)

# A call that can raise, values that it takes, and some that it does not.
RAISING: dict[str, tuple[Callable[[Any], Any], Any, Any]] = {
    "inv": (np.linalg.inv, GOOD, BAD),
    "solve": (lambda a: np.linalg.solve(a, a[0]), GOOD, BAD),
    "cholesky": (np.linalg.cholesky, GOOD, BELOW),
    "svd": (np.linalg.svd, GOOD, NONE),
    "singular_values": (lambda a: np.linalg.svd(a, compute_uv=False), GOOD, NONE),
    "eigh": (np.linalg.eigh, np.eye(3), np.full((3, 3), np.nan)),
    "pinv": (np.linalg.pinv, GOOD, NONE),
    "least_squares": (lambda a: ops.least_squares(a, a), GOOD, NONE),
    "real_sqrtm": (ops.sqrtm, np.eye(3), np.full((3, 3), np.nan)),
    "solve_triangular": (lambda a: ops.solve_triangular(a, a), GOOD, GOOD * 0),
    "gather": (lambda k: (k * 1.0)[k], np.array([0, 1]), np.array([0, 3])),
    "take": (lambda k: np.take(k * 1.0, k), np.array([0, 1]), np.array([0, 3])),
    "one_hot": (lambda k: one_hot(k, 3), np.array([0, 2]), np.array([0, 3])),
    "probabilities": (
        lambda p: as_probabilities(p * 1, "p", "p") if isinstance(p, Tensor) else check(p),
        ROW, ROW * 2,
    ),
    "power": (lambda k: np.power(k, k), np.array([0, 2]), np.array([0, -2])),
}  # fmt: skip


def check(p: Any) -> None:
    as_probabilities(Tensor(p), "p", "p")


def assert_raises_as_eager(f: Callable[..., Any], good: Any, bad: Any) -> None:
    program = compile(f)
    for _ in range(2):
        np.testing.assert_allclose(program(good), f(good), rtol=1e-12)
    with np.errstate(all="ignore"), pytest.raises(Exception) as eager:  # noqa: PT011
        f(bad)
    with np.errstate(all="ignore"), pytest.raises(type(eager.value)):
        program(bad)
    np.testing.assert_allclose(program(good), f(good), rtol=1e-12)


@pytest.mark.parametrize("name", RAISING)
def test_an_error_is_raised_where_nobody_uses_what_was_computed(name: str) -> None:
    call, good, bad = RAISING[name]

    def f(x: Any) -> Any:
        call(x)
        return np.sum(x * 2, axis=0)

    assert_raises_as_eager(f, good, bad)
    if good.dtype.kind == "f":
        assert_raises_as_eager(grad(lambda x: np.sum(f(x))), good, bad)


def test_an_error_in_a_step_of_a_loop_is_raised() -> None:
    def f(xs: Any) -> Any:
        def step(c: Any, x: Any) -> Any:
            np.linalg.cholesky(x)
            return c + x, None

        return scan(step, np.zeros((2, 2)), xs)[0]

    good, bad = np.stack([GOOD] * 3), np.stack([GOOD, BELOW, GOOD])
    assert_raises_as_eager(f, good, bad)
    assert_raises_as_eager(grad(lambda xs: np.sum(f(xs) ** 2)), good, bad)


def test_what_raises_within_vmap_and_loops_back_does_not_stand_outside_of_them() -> None:
    a = np.stack([GOOD, GOOD * 2])

    def looked_up(table: Any) -> Any:
        def step(c: Any, k: Any) -> Any:
            return c * np.sin(table[k]) + c[::-1], None

        return np.sum(scan(step, np.ones(2), np.array([[0, 1], [2, 2]]))[0])

    inverse: Any = vmap(lambda a: np.linalg.inv(a)[0])
    calls: list[tuple[Any, Any]] = [(lambda a: inverse(a), a), (grad(looked_up), np.arange(3.0))]
    for f, x in calls:
        program = compile(f)
        for _ in range(2):
            np.testing.assert_allclose(program(x), f(x), rtol=1e-12)


def test_an_error_of_values_is_not_taken_for_one_of_attributes_or_shapes() -> None:
    x = Tensor(np.full((3, 3), np.nan), requires_grad=True)
    with pytest.raises(np.linalg.LinAlgError, match="converge"):
        np.linalg.eigh(x)
    with pytest.raises(ValueError, match="NaN"):
        ops.solve_triangular(x, np.ones((3, 2)))


def test_of_an_op_of_ones_own_nothing_is_taken_for_granted() -> None:
    @op(lambda g, z, x: g)
    def positive(x: Any) -> Any:
        if np.any(x < 0):
            raise ValueError("below 0")
        return x

    assert_raises_as_eager(lambda x: (positive(x), x * 2)[1], ROW, -ROW)


def test_javascript_has_nothing_for_its_errors_alone() -> None:
    program = compile(lambda x: (np.linalg.inv(x), x * 2)[1])
    program(GOOD)
    assert "2 * " in program.javascript or "* 2" in program.javascript


def test_nothing_is_kept_that_is_used_or_that_cannot_raise() -> None:
    used = compile(lambda x: np.linalg.inv(x))
    used(GOOD)
    assert used.source.count("np.linalg.inv") == 1
    assert "after" not in used.source
    spared = compile(lambda x: (np.exp(x), x * 2)[1])
    spared(GOOD)
    assert "np.exp" not in spared.source


def test_without_the_trait_nothing_is_raised() -> None:
    with planted_trait(OPS["inv"], raises=False):
        program = compile(lambda x: (np.linalg.inv(x), x)[1])
        program(GOOD)
        program(BAD)
