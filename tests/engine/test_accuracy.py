"""Derivatives to the last digit: every rule against mpmath at 60 digits, in ulps.

The bar, at an incoming gradient of 1, over the whole range of float64: 4 ulp for functions of one
number, 8 for each argument of functions of two. An ulp is the spacing of float64 at the exact
result, so that below 2^-1022 it is the spacing of the subnormal numbers; inf counts as 2^1024, the
number that would come after the largest one. Of the functions in `WRITTEN`, whose rules are the
formula and no more, it is the spacing at the result or at 1, whichever is larger: in a tail, where
the derivative is nearly 0, they may lose digits of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import pytest
from mpmath import mp, mpf
from numpy.typing import NDArray
from tools.profiles import PROFILE

import autonn
from autonn import Tensor
from autonn.engine import ops

Array = NDArray[Any]
Exact = Callable[..., Any]

POINTS = {"ci": 1000, "deep": 10_000}.get(PROFILE, 250)  # of each kind below, per op
TOP = mpf(2) ** 1024
SLOPE, ALPHA = mpf(0.01), mpf(1)


@pytest.fixture(autouse=True)
def sixty_digits() -> Iterable[None]:
    with mp.workdps(60):
        yield


# ---- the measure


def ulps(found: float, exact: Any, least: float = 0.0) -> float:
    """Give the error of `found` in units of the last place of the exact result, or of `least`.

    It is 0 where no number is closer, which most results are: that is seen at once.
    """
    if math.isnan(found):
        return math.inf
    if found == float(exact):
        return 0.0
    size = min(abs(exact), TOP)
    exact = size if exact > 0 else -size
    number = mpf(found) if math.isfinite(found) else TOP * int(math.copysign(1, found))
    wide = max(size, mpf(least))
    exponent = -1022 if wide == 0 else min(max(mp.frexp(wide)[1] - 1, -1022), 1023)
    return float(mp.ldexp(abs(number - exact), 52 - exponent))


def worst(
    found: Array, exact: Exact, *points: Array, least: float = 0.0
) -> tuple[float, tuple[float, ...]]:
    """Give the largest error in ulps, and where it is."""
    errors = []
    for value, at in zip(
        found.tolist(), zip(*(p.tolist() for p in points), strict=True), strict=True
    ):
        errors.append((ulps(value, exact(*map(mpf, at)), least), at))
    return max(errors)


def slopes(f: Callable[..., Any], *points: Array) -> list[Array]:
    """Pull a gradient of 1 back through f."""
    tensors = [Tensor(p, requires_grad=True) for p in points]
    with np.errstate(all="ignore"):
        z = f(*tensors)
        z.backward(np.ones_like(z.numpy()))
    return [t.grad for t in tensors]


WRITTEN = {
    "erf", "normal_cdf", "silu", "gelu",
    "divide", "safe_divide", "power", "hypot", "arctan2", "logaddexp",
}  # fmt: skip


def least(name: str) -> float:
    """Give the size below which the digits of a derivative don't count."""
    return 1.0 if name in WRITTEN else 0.0


# ---- the points

EDGES = np.array([0, 0.5, 1, 2, 19.06, 26.6, 37, 38.6, 354.9, 709.78, 710.47, 745.13, 1024, 1075])


def wide(rng: np.random.Generator, n: int) -> Array:
    """Draw from all exponents alike, subnormal numbers included."""
    sizes = np.ldexp(rng.uniform(1, 2, n), rng.integers(-1074, 1024, n))
    return np.asarray(sizes * rng.choice([-1, 1], n))


def narrow(rng: np.random.Generator, n: int) -> Array:
    """Draw where functions do what they are known for."""
    return np.asarray(rng.uniform(-1, 1, n) * rng.choice([1, 3, 10, 40, 750, 1100], n))


def beside(rng: np.random.Generator, n: int, edges: Array = EDGES) -> Array:
    """Draw beside the edges: domains, saturation, overflow; from 1 down to an ulp away."""
    edge = rng.choice(np.concatenate([edges, -edges]), n)
    away = np.ldexp(rng.uniform(-1, 1, n), -rng.integers(0, 56, n))
    return np.asarray(edge + away * np.maximum(np.abs(edge), 1))


TINY, MAX = 5e-324, 1.7976931348623157e308
SPECIAL = np.array(
    [0, 0.5, 1, 1 - 2**-53, 1 + 2**-52, 2**-52, TINY, 3 * TINY, 2**-1022, 2**-511, 1e8, 1e16, MAX]
)


def line(name: str, *, low: float = -math.inf, high: float = math.inf) -> Array:
    """Draw the points of one op: its own, always the same, inside its open domain."""
    rng = np.random.default_rng([ord(c) for c in name])
    drawn = np.concatenate(
        [SPECIAL, -SPECIAL, wide(rng, POINTS), narrow(rng, POINTS), beside(rng, POINTS)]
    )
    return drawn[(drawn > low) & (drawn < high)]


# ---- functions of one number


class Unary(NamedTuple):
    f: Callable[..., Any]
    slope: Exact
    low: float = -math.inf
    high: float = math.inf
    root: float = 0.0  # where the derivative changes its sign, more points are drawn


def tame(f: Exact) -> Exact:
    """Keep mpmath from e^(1e300): beyond 10^4 everything with an exponential has its limit."""
    return lambda x: f(max(min(x, mpf(10_000)), mpf(-10_000)))


def s(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def phi(x: Any) -> Any:
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def Phi(x: Any) -> Any:
    return mp.erfc(-x / mp.sqrt(2)) / 2


UNARY = {
    "negative": Unary(np.negative, lambda x: mpf(-1)),
    "positive": Unary(np.positive, lambda x: mpf(1)),
    "reciprocal": Unary(np.reciprocal, lambda x: -1 / x**2 if x else -mp.inf),
    "square": Unary(np.square, lambda x: 2 * x),
    "absolute": Unary(np.absolute, lambda x: mp.sign(x)),
    "sqrt": Unary(np.sqrt, lambda x: 1 / (2 * mp.sqrt(x)), low=0),
    "cbrt": Unary(np.cbrt, lambda x: 1 / (3 * mp.cbrt(abs(x)) ** 2) if x else mp.inf),
    "exp": Unary(np.exp, tame(mp.exp)),
    # from 1024 on 2^x is inf, 2^x ln 2 only from 1024.53 on
    "exp2": Unary(np.exp2, tame(lambda x: mpf(2) ** x * mp.log(2)), high=1024),
    "expm1": Unary(np.expm1, tame(mp.exp)),
    "log": Unary(np.log, lambda x: 1 / x, low=0),
    "log2": Unary(np.log2, lambda x: 1 / (x * mp.log(2)), low=0),
    "log10": Unary(np.log10, lambda x: 1 / (x * mp.log(10)), low=0),
    "log1p": Unary(np.log1p, lambda x: 1 / (1 + x), low=-1),
    "sin": Unary(np.sin, mp.cos),
    "cos": Unary(np.cos, lambda x: -mp.sin(x)),
    "tan": Unary(np.tan, lambda x: 1 / mp.cos(x) ** 2),
    "arcsin": Unary(np.arcsin, lambda x: 1 / mp.sqrt((1 - x) * (1 + x)), -1, 1),
    "arccos": Unary(np.arccos, lambda x: -1 / mp.sqrt((1 - x) * (1 + x)), -1, 1),
    "arctan": Unary(np.arctan, lambda x: 1 / (1 + x * x)),
    "sinh": Unary(np.sinh, tame(mp.cosh)),
    "cosh": Unary(np.cosh, tame(mp.sinh)),
    "tanh": Unary(np.tanh, tame(lambda x: 1 / mp.cosh(x) ** 2)),
    "arcsinh": Unary(np.arcsinh, lambda x: 1 / mp.sqrt(1 + x * x)),
    "arccosh": Unary(np.arccosh, lambda x: 1 / (mp.sqrt(x - 1) * mp.sqrt(x + 1)), low=1),
    "arctanh": Unary(np.arctanh, lambda x: 1 / ((1 - x) * (1 + x)), -1, 1),
    "erf": Unary(ops.erf, tame(lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x))),
    "normal_cdf": Unary(ops.normal_cdf, tame(phi)),
    "sigmoid": Unary(autonn.sigmoid, tame(lambda x: s(x) * s(-x))),
    "sigmoid, kept": Unary(autonn.sigmoid, tame(lambda x: s(x) * s(-x)), low=-700),
    "log_sigmoid": Unary(autonn.log_sigmoid, tame(lambda x: s(-x))),
    "softplus": Unary(autonn.softplus, tame(s)),
    "relu": Unary(autonn.relu, lambda x: mpf(1 if x > 0 else 0)),
    "leaky_relu": Unary(autonn.leaky_relu, lambda x: mpf(1) if x > 0 else SLOPE),
    "elu": Unary(autonn.elu, tame(lambda x: mpf(1) if x > 0 else ALPHA * mp.exp(x))),
    "silu": Unary(autonn.silu, tame(lambda x: s(x) * (1 + x * s(-x))), root=-1.2784645427610737),
    "gelu": Unary(autonn.gelu, tame(lambda x: Phi(x) + x * phi(x)), root=-0.7517915246935645),
}


def unary_points(name: str) -> Array:
    op = UNARY[name]
    drawn = line(name, low=op.low, high=op.high)
    if not op.root:
        return drawn
    rng = np.random.default_rng(1)
    return np.concatenate([drawn, beside(rng, POINTS, np.array([op.root]))])


@pytest.mark.parametrize("name", UNARY)
def test_the_derivative_of_every_function_of_one_number_is_within_4_ulp(name: str) -> None:
    x = unary_points(name)
    found = slopes(UNARY[name].f, x)[0]
    error, at = worst(found, UNARY[name].slope, x, least=least(name))
    assert error <= 4, f"{error:.3g} ulp at x = {at[0]!r}"


@pytest.mark.parametrize("name", UNARY)
def test_no_rule_warns_where_value_and_derivative_are_finite(name: str) -> None:
    x = unary_points(name)
    with np.errstate(all="ignore"):
        z = UNARY[name].f(x)
    x = x[np.isfinite(z) & np.isfinite(slopes(UNARY[name].f, x)[0])]
    with np.errstate(all="raise", under="ignore"):
        t = Tensor(x, requires_grad=True)
        UNARY[name].f(t).backward(np.ones_like(x))


@pytest.mark.parametrize("name", sorted(set(UNARY) - {"negative", "positive"}))
def test_float32_derivatives_are_within_4_ulp_of_float32(name: str) -> None:
    op = UNARY[name]
    low, high = max(op.low, -8.0), min(op.high, 8.0)
    x = np.random.default_rng(2).uniform(low, high, 600).astype(np.float32)
    x = x[(x > low) & (x < high)]
    found = slopes(op.f, x)[0]
    exact = slopes(op.f, x.astype(np.float64))[0]
    assert found.dtype == np.float32
    size = np.maximum(np.abs(exact), least(name)).astype(np.float32)
    error = np.max(np.abs(found - exact) / np.spacing(size))
    assert error <= 4, f"{error:.3g} ulp of float32"


# ---- functions of two numbers


def pairs(name: str) -> tuple[Array, Array]:
    """Draw numbers that have nothing to do with each other, and numbers of the same size."""
    rng, n = np.random.default_rng([ord(c) for c in name]), POINTS
    x = np.concatenate([wide(rng, n), narrow(rng, n), wide(rng, n), narrow(rng, n), wide(rng, n)])
    near = x[4 * n :] / 2 * rng.uniform(-2, 2, n)
    y = np.concatenate([wide(rng, n), narrow(rng, n), narrow(rng, n), wide(rng, n), near])
    usual = (x != 0) & (y != 0) & (x != y)
    return x[usual], y[usual]


def powers(name: str) -> tuple[Array, Array]:
    """Draw bases above 0, and exponents that bring the result anywhere in the range.

    Bases are no subnormal numbers: ``x^(1-y)``, by which the rule divides, is one as well then.
    """
    rng, n = np.random.default_rng(3), POINTS
    bases = [wide(rng, n), wide(rng, n), narrow(rng, n), wide(rng, n), beside(rng, n, np.ones(1))]
    x = np.abs(np.concatenate(bases))
    x[x < np.finfo(float).tiny] = 1
    logarithm = np.log(x[3 * n :])
    logarithm[logarithm == 0] = 1
    aimed = rng.uniform(-750, 720, 2 * n) / logarithm
    return x, np.concatenate([narrow(rng, n), wide(rng, n), narrow(rng, n), aimed])


def drawn(name: str) -> tuple[Array, Array]:
    """Draw the points of one op: those where its value is a number that keeps all its digits.

    The rules of these are made of it, and it is none where it overflows, or is subnormal.
    """
    x, y = powers(name) if name == "power" else pairs(name)
    f = np.hypot if name == "arctan2" else BINARY[name][0]
    with np.errstate(all="ignore"):
        size = np.abs(f(x, y))
    usual = np.full(x.shape, True)
    if name in ("divide", "safe_divide", "power"):
        usual = np.isfinite(size)
    elif name in ("hypot", "arctan2"):
        usual = size >= np.finfo(float).tiny
    return x[usual], y[usual]


def raised(x: Any, y: Any, factor: Any) -> Any:
    """Compute ``factor x^y``, without numbers that mpmath has no room for."""
    return factor * mp.exp(max(min(y * mp.log(x), mpf(10_000)), mpf(-10_000)))


BINARY: dict[str, tuple[Callable[..., Any], Exact, Exact]] = {
    "add": (np.add, lambda x, y: mpf(1), lambda x, y: mpf(1)),
    "subtract": (np.subtract, lambda x, y: mpf(1), lambda x, y: mpf(-1)),
    "multiply": (np.multiply, lambda x, y: y, lambda x, y: x),
    "divide": (np.divide, lambda x, y: 1 / y, lambda x, y: -x / y**2),
    "safe_divide": (ops.safe_divide, lambda x, y: 1 / y, lambda x, y: -x / y**2),
    # above 0 the exponent y - 1 is rounded to a float64 first, which alone may cost 350 ulp
    "power": (
        np.power,
        lambda x, y: raised(x, mpf(float(y) - 1) if y > 0 else y - 1, y),
        lambda x, y: raised(x, y, mp.log(x)),
    ),
    "hypot": (np.hypot, lambda x, y: x / mp.hypot(x, y), lambda x, y: y / mp.hypot(x, y)),
    "arctan2": (
        np.arctan2,
        lambda y, x: x / (x * x + y * y),
        lambda y, x: -y / (x * x + y * y),
    ),
    "logaddexp": (np.logaddexp, lambda x, y: tame(s)(x - y), lambda x, y: tame(s)(y - x)),
    "maximum": (np.maximum, lambda x, y: mpf(int(x > y)), lambda x, y: mpf(int(y > x))),
    "minimum": (np.minimum, lambda x, y: mpf(int(x < y)), lambda x, y: mpf(int(y < x))),
}


@pytest.mark.parametrize("name", BINARY)
def test_both_derivatives_of_every_function_of_two_numbers_are_within_8_ulp(name: str) -> None:
    f, *exact = BINARY[name]
    x, y = drawn(name)
    for k, (found, slope) in enumerate(zip(slopes(f, x, y), exact, strict=True)):
        error, at = worst(found, slope, x, y, least=least(name))
        assert error <= 8, f"{error:.3g} ulp for argument {k} at {at!r}"


@pytest.mark.parametrize("name", BINARY)
def test_no_rule_of_two_numbers_warns_where_all_is_finite(name: str) -> None:
    f = BINARY[name][0]
    x, y = drawn(name)
    with np.errstate(all="ignore"):
        finite = np.isfinite([f(x, y), *slopes(f, x, y)]).all(axis=0)
    tensors = [Tensor(p[finite], requires_grad=True) for p in (x, y)]
    with np.errstate(all="raise", under="ignore"):
        f(*tensors).backward(np.ones(np.count_nonzero(finite)))


# ---- values and losses

VALUES: dict[str, tuple[Callable[..., Any], Exact, float]] = {
    "sigmoid": (autonn.sigmoid, s, 4),
    "sigmoid, kept": (lambda x: autonn.sigmoid(np.maximum(x, -700)), lambda x: s(max(x, -700)), 4),
    "log_sigmoid": (autonn.log_sigmoid, lambda x: -mp.log1p(mp.exp(-x)), 4),
    "softplus": (autonn.softplus, lambda x: mp.log1p(mp.exp(x)), 4),
    "silu": (autonn.silu, lambda x: x * s(x), 4),
    "elu": (autonn.elu, lambda x: x if x > 0 else mp.expm1(x), 4),
    "erf": (ops.erf, mp.erf, 4),
    "gelu": (autonn.gelu, lambda x: x * Phi(x), 4),
    "normal_cdf": (ops.normal_cdf, Phi, 4),
}


@pytest.mark.parametrize("name", VALUES)
def test_the_values_of_our_own_functions_are_as_exact(name: str) -> None:
    f, exact, bar = VALUES[name]
    x = line(name, low=-10_000, high=10_000)
    error, at = worst(f(x), exact, x, least=least(name))
    assert error <= bar, f"{error:.3g} ulp at x = {at[0]!r}"


def test_logsumexp_is_within_4_ulp() -> None:
    rows = np.random.default_rng(4).uniform(-800, 800, (POINTS, 5))
    found = autonn.logsumexp(rows, axis=1)
    for value, row in zip(found.tolist(), rows.tolist(), strict=True):
        assert ulps(value, mp.log(mp.fsum(mp.exp(mpf(x)) for x in row))) <= 4


@pytest.mark.parametrize("offset", [0.0, 800.0])
def test_the_logarithms_of_a_softmax_and_of_what_it_leaves_keep_their_digits(offset: float) -> None:
    rng = np.random.default_rng(5)
    rows = offset + rng.uniform(-1, 1, (POINTS, 5)) * rng.choice([0.1, 1, 10, 300], (POINTS, 1))
    logs, rests = autonn.log_softmax(rows).tolist(), ops.log_others(rows).tolist()
    for row, log, rest in zip(rows.tolist(), logs, rests, strict=True):
        e = [mp.exp(mpf(x)) for x in row]
        for k in range(5):
            others = mp.fsum(e[:k] + e[k + 1 :])
            true, left = -mp.log1p(others / e[k]), -mp.log1p(e[k] / others)
            assert abs(log[k] - true) <= 4 * 2**-52 * max(1, abs(true))
            # e^x has an error of that of x, times x
            assert abs(rest[k] - left) <= 4 * 2**-52 * max(1, abs(true)) * abs(left)


@pytest.mark.parametrize("y", [0.0, 1.0])
def test_sigmoid_cross_entropy_cancels_no_digits_for_either_label(y: float) -> None:
    x = line("sigmoid", low=-10_000, high=10_000)
    labels = np.full((1, x.size), y)
    found = slopes(lambda t: ops.sigmoid_cross_entropy(t, labels), x[None])[0]
    assert worst(found[0], lambda x: s(x) if y == 0 else -s(-x), x)[0] <= 4


def test_the_second_derivative_of_sigmoid_cancels_no_digits() -> None:
    x = unary_points("sigmoid")
    found = slopes(lambda t: ops.times_slope(np.ones_like(x), t), x)[0]
    error, at = worst(found, tame(lambda x: -s(x) * s(-x) * mp.tanh(x / 2)), x)
    assert error <= 4, f"{error:.3g} ulp at x = {at[0]!r}"


# ---- the measure is measured


def test_an_ulp_is_the_spacing_at_the_exact_result() -> None:
    assert ulps(1.0, mpf(1)) == 0
    assert ulps(1 + 2**-52, mpf(1)) == 1
    assert ulps(TINY, mpf(0)) == 1
    assert ulps(math.inf, mpf(MAX)) == 1
    assert ulps(math.inf, mp.inf) == ulps(-math.inf, -(mpf(10) ** 400)) == 0
    assert ulps(math.nan, mpf(1)) == math.inf


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, -1, -2])
def test_powers_by_whole_numbers_keep_all_digits_of_the_slope(n: int) -> None:
    x = line("power")
    with np.errstate(all="ignore"):
        x = x[np.isfinite(x**n) & (np.abs(x) ** float(n) >= np.finfo(float).tiny)]
    error, at = worst(slopes(lambda t: t**n, x)[0], lambda x: n * x ** (n - 1), x)
    assert error <= 4, f"{error:.3g} ulp at x = {at[0]!r}"


@pytest.mark.parametrize("name", ["exp", "log", "sigmoid", "tanh", "silu", "gelu"])
def test_a_factor_of_8e_15_too_much_is_caught(name: str) -> None:
    x = unary_points(name)
    wrong = slopes(UNARY[name].f, x)[0] * (1 + 8e-15)
    assert worst(wrong, UNARY[name].slope, x)[0] > 4


def test_the_textbook_slope_of_sigmoid_is_caught() -> None:
    x = unary_points("sigmoid")
    z = autonn.sigmoid(x)
    assert worst(z * (1 - z), UNARY["sigmoid"].slope, x)[0] > 1e15
