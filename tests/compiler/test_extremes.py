"""At infinities, zeros of either sign and numbers that are none, a program gives eager's bits."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mp, mpf
from numpy.typing import NDArray
from tools.agreement import disagreement

from autonn import compile, grad, log_sigmoid, sigmoid, softplus, value_and_grad
from autonn.engine import ops

Array = NDArray[Any]

SIZES = [
    0,
    0.5,
    1,
    10.9,
    11.2,
    37,
    87.9,
    88.1,
    88.8,
    95,
    103.9,
    104,
    708.5,
    709.5,
    709.9,
    720,
    745,
    746,
    1e30,
]
EDGES = np.array([*SIZES, np.inf, np.nan])
EDGES = np.concatenate([EDGES, -EDGES])
ZEROS = [0.0, -0.0, 1.0, -1.0, -0.7, np.inf, -np.inf, np.nan]


def assert_same_bits(f: Any, *args: Any) -> None:
    compiled = compile(f)
    for _ in range(2):
        with np.errstate(all="ignore"):
            got, want = compiled(*args), f(*args)
        assert disagreement(got, want) == "", f"{got} {want}\n{compiled.source}"


# ---- the sigmoid, where e^x overflows

SIGMOIDS: dict[str, Any] = {
    "sigmoid": sigmoid,
    "of -x": lambda x: sigmoid(-x),
    "slope": grad(lambda x: np.sum(sigmoid(x))),
    "slope of -x": grad(lambda x: np.sum(sigmoid(-x))),
    "slope times": grad(lambda x: np.sum(sigmoid(x) * np.where(x == 0, np.inf, x))),
    "second slope": grad(lambda x: np.sum(grad(lambda x: np.sum(sigmoid(x)))(x))),
    "times_slope": lambda x: ops.times_slope(x, x),
    "log_sigmoid": value_and_grad(lambda x: np.sum(np.where(x > -750, log_sigmoid(x), 0))),
    "softplus": value_and_grad(lambda x: np.sum(np.where(x < 750, softplus(x), 0))),
}


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", SIGMOIDS)
def test_a_sigmoid_and_its_slopes_are_exact_where_e_to_the_x_overflows(
    name: str, dtype: str
) -> None:
    f = SIGMOIDS[name]
    x = EDGES.astype(dtype)
    within = x[np.abs(x) < 80]
    for some in (x, within, x[:0]):
        assert_same_bits(f, some)
    assert_same_bits(lambda x: f(x + 0.0), x)  # in memory of the program's own, to be overwritten
    assert_same_bits(lambda x: f((x + 0.0)[::2]), x)
    assert_same_bits(lambda x: f(x @ np.eye(3, dtype=dtype)), np.tile(x[np.isfinite(x)], (3, 1)).T)
    for number in x[::9]:
        assert_same_bits(f, np.asarray(number))
    for number in (1.0, 2.0, 800.0):  # an argument that is no array
        assert_same_bits(lambda x: x * sigmoid(x), number)
        assert_same_bits(lambda x, n: ops.times_slope(x, n), np.ones((), dtype), number)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("count", [20, 600])
@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf])
def test_one_number_of_many_changes_nothing_for_the_others(
    hole: float, count: int, dtype: str
) -> None:
    """Where there are many, eager and program look first whether there is one beyond the limit."""
    x = np.tile(EDGES[np.abs(EDGES) < 1e4], count).astype(dtype)
    x[7] = hole

    def f(x: Any) -> Any:
        return sigmoid(x), sigmoid(-x), grad(lambda x: np.sum(sigmoid(x)))(x)

    assert_same_bits(f, x)
    assert_same_bits(lambda x: f(x + 0.0), x)
    with np.errstate(all="ignore"):
        whole, alone = f(x), f(x[:100])
    assert disagreement([a[8:100] for a in whole], [a[8:100] for a in alone]) == ""


@given(st.integers(0, 2**32))
def test_the_sigmoids_of_a_program_are_within_4_ulp_over_the_whole_range(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.uniform(-750, 750, 20), rng.normal(0, 30, 20), [-745.1, 709.79, 744.4]])
    both = compile(lambda x: (sigmoid(x), sigmoid(-x), grad(lambda x: np.sum(sigmoid(x)))(x)))
    with mp.workdps(400):
        for value, opposite, slope, at in zip(*both(x), x, strict=True):
            e = mp.exp(mpf(float(at)))
            exact = (e / (1 + e), 1 / (1 + e), e / (1 + e) ** 2)
            for found, right in zip((value, opposite, slope), exact, strict=True):
                assert abs(mpf(float(found)) - right) <= 4 * mpf(float(np.spacing(float(right))))


# ---- products of single numbers, zeros and infinities

SHAPES = list(itertools.product((1, 2, 5), repeat=3))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@given(st.data())
def test_products_keep_the_signs_of_zeros_and_what_is_made_of_0_and_inf(
    dtype: str, data: Any
) -> None:
    m, k, n = data.draw(st.sampled_from(SHAPES))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    x, y = (rng.choice(ZEROS, shape).astype(dtype) for shape in ((m, k), (k, n)))
    assert_same_bits(lambda x, y: (x + 0.0) @ (y * 1.5), x, y)
    assert_same_bits(lambda x, y: ((x + 0.0).T @ (x * 1.5)).T, x, y)
    assert_same_bits(lambda x, y: (x + 0.0) @ y[:, 0], x, y)
    assert_same_bits(lambda x, y: (x[0] + 0.0) @ (y[:, 0] * 1.5), x, y)
    assert_same_bits(lambda x, y: np.sum((x.T + 0.0) * (x.T * 1.5)), x, y)
    assert_same_bits(lambda x, y: -np.mean(x[0, :1] * y[0, :1]), x, y)
    assert_same_bits(lambda x, y: np.mean(np.broadcast_to(x[0, 0], (3,))), x, y)


@pytest.mark.parametrize("factor", [0.0, 1e-60, 0.5])
def test_what_is_added_to_a_product_is_so_also_times_0(factor: float) -> None:
    x = np.array([[np.inf, 1.0], [-1.0, np.nan]], np.float32)
    a = np.arange(4, dtype=np.float32).reshape(2, 2)
    assert_same_bits(lambda x, a: a @ a + x * factor, x, a)
