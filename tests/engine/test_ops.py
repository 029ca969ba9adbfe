"""Every op, from one table: values, gradients of both orders, kinks, dtypes, warnings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from tools import optable
from tools.directions import along
from tools.op_checks import (
    CHECKED,
    ELEMENTWISE,
    FAR,
    OTHER_CHECKS,
    PER_OP,
    ROUNDS,
    SEEDS,
    Check,
    check_first_order,
    check_kinks,
    check_second_order,
    every_binary_row,
    every_elementwise_row,
    every_op,
    in_turn,
    silently,
)
from tools.oprows import Row
from tools.optable import OTHER_AT_THE_EDGES, TABLE
from tools.planting import planted
from tools.profiles import THOROUGH

import autonn
from autonn import (
    Tensor,
    gradcheck,
)
from autonn.engine.op import OPS
from autonn.engine.tensor import implementations

ANSWERS = {
    np.any, np.all, np.argmax, np.argmin, np.argsort, np.count_nonzero, np.nonzero, np.array_equal,
    np.allclose, np.isclose, np.array2string, np.array_repr, np.array_str, np.shape, np.ndim,
    np.size, np.zeros_like, np.ones_like, np.result_type, np.equal, np.not_equal, np.less,
    np.less_equal, np.greater, np.greater_equal, np.bitwise_and, np.bitwise_or, np.invert,
    np.logical_and, np.logical_or, np.logical_not, np.signbit, np.isnan, np.isinf, np.isfinite,
    np.argpartition, np.searchsorted, np.digitize, np.argwhere, np.flatnonzero, np.isin,
    np.lexsort, np.nanargmax, np.nanargmin, np.array_equiv, np.iscomplexobj, np.isrealobj,
    np.iscomplex, np.isreal, np.isneginf, np.isposinf, np.may_share_memory, np.shares_memory,
    np.empty_like, np.linalg.matrix_rank,
}  # fmt: skip


def test_every_op_with_rules_stands_in_the_table() -> None:
    tested = {row.name for row in TABLE}
    assert {op.name for op in OPS.values() if any(op.rules)} <= tested


def test_every_numpy_function_with_a_gradient_stands_in_the_table() -> None:
    tested = {function for row in TABLE for function in row.functions}
    functions = {f for f in implementations if not isinstance(f, tuple)}  # or a ufunc's method
    public = {f for f in functions if not f.__name__.startswith(("_", "<"))}
    assert {f.__name__ for f in public - ANSWERS - tested} == set()


PROMISED = """add subtract multiply divide power negative positive absolute sign square sqrt cbrt
reciprocal exp expm1 exp2 log log1p log2 log10 sin cos tan arcsin arccos arctan arctan2 sinh cosh
tanh arcsinh arccosh arctanh hypot logaddexp maximum minimum clip where floor ceil round sum mean
prod max min var std linalg.norm cumsum cumprod argmax argmin matmul dot inner outer tensordot
einsum trace transpose linalg.inv linalg.solve linalg.det linalg.slogdet linalg.cholesky reshape
ravel swapaxes moveaxis expand_dims squeeze broadcast_to concatenate stack vstack hstack split pad
flip roll tile repeat diag diagonal tril triu take take_along_axis sort"""

METHODS = """clip round sum mean prod max min var std cumsum cumprod argmax argmin dot trace
transpose reshape ravel swapaxes squeeze repeat diagonal take"""

OURS = """sigmoid log_sigmoid softplus relu leaky_relu elu gelu silu erf logsumexp softmax
log_softmax"""


@pytest.mark.parametrize("name", PROMISED.split())
def test_every_promised_function_works_on_tensors(name: str) -> None:
    function: Any = np
    for part in name.split("."):
        function = getattr(function, part)
    assert function in implementations


@pytest.mark.parametrize("name", METHODS.split())
def test_what_numpy_has_as_a_method_is_one_here(name: str) -> None:
    assert callable(getattr(np.ndarray, name))
    assert callable(getattr(Tensor, name, None))


@pytest.mark.parametrize("name", OURS.split())
def test_our_own_functions_take_arrays_and_tensors(name: str) -> None:
    function = getattr(autonn, name)
    x = np.array([-1.0, 0.0, 2.0])
    assert type(function(Tensor(x))) is Tensor
    assert isinstance(function(x), np.ndarray | np.generic)
    np.testing.assert_array_equal(function(Tensor(x)).data, function(x))


@every_op
@CHECKED
@given(seed=SEEDS)
def test_the_public_checker_passes_full_jacobians_of_both_orders(name: str, seed: int) -> None:
    """Of one way to call each op every day, and of all where there are many examples.

    It asks a function for its slope by each number: by all of the operands for one way, where a
    run is thorough, and else by how far they are moved along each of two directions, which shows
    a wrong slope of any of them: of 669 rules planted, 566 are caught either way.
    """
    rows = optable.rows(name)
    for row in rows if THOROUGH else rows[:1]:
        rng = np.random.default_rng(seed)
        args = row.draw(rng, True)
        if row.jumps or not row.keeps32 or (row.distance and np.any(row.distance(*args) < 0.05)):
            continue
        f, projections = row.f, None if sum(map(np.size, args)) < 9 else 2
        if not THOROUGH or row is not rows[0]:
            f, args, projections = along(row.f, args, rng), (np.zeros(2),), 2
        with np.errstate(all="ignore"):  # 1 / d^2 of a subnormal d
            assert gradcheck(f, *args, order=2, projections=projections)


@pytest.mark.parametrize("row", [r for r in ELEMENTWISE if r.distance], ids=lambda row: row.name)
def test_every_row_with_a_convention_is_seen_at_its_kink(row: Row) -> None:
    found = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        args = row.draw(rng, True)
        assert row.distance is not None
        found += int(np.sum(row.distance(*args) == 0))
        check_kinks(row, args, rng)
    assert found > 0


@every_binary_row
@pytest.mark.parametrize("other", [2.0, 2, np.float64(2), np.array([2.0, 2.0]), np.float32(2)])
def test_float32_beside_other_numbers_is_promoted_as_numpy_does(row: Row, other: Any) -> None:
    x = np.array([0.5, 1.5], np.float32)
    calls: list[Callable[[Any], Any]] = [lambda t: row.f(t, other), lambda t: row.f(other, t)]
    for call in calls:
        t = Tensor(x, requires_grad=True)
        result = call(t)
        assert result.dtype == np.asarray(call(x)).dtype
        result.backward(np.ones(2, result.dtype))
        assert t.grad.dtype == np.float32


@every_elementwise_row
def test_numpy_warns_of_nothing_at_saturation(row: Row) -> None:
    for x in FAR:
        silently(row, (np.array(x),) * row.arity, np.ones(()))


@every_op
@PER_OP
@given(seed=SEEDS)
def test_the_op_is_right_in_every_way(name: str, seed: int) -> None:
    if name in OTHER_AT_THE_EDGES:
        pytest.skip("the forward has other values at the edges before SciPy 1.14")
    rows, rng = optable.rows(name), np.random.default_rng(seed)
    for turn in map(int, rng.integers(2**32, size=ROUNDS)):
        for row in [in_turn(rows, turn)] if THOROUGH else rows:
            wild, tame = row.draw(rng, False), row.draw(rng, True)
            other = in_turn(OTHER_CHECKS, turn // len(rows))
            for check in (check_first_order, check_second_order, other):
                args = wild if check is check_first_order else tame
                try:
                    check(row, args, rng)
                except AssertionError as error:
                    error.add_note(f"{name}, row {rows.index(row)} of its rows, of {args}")
                    raise


def slightly(d: Any, *args: Any) -> Any:
    return d * (1 + 1e-9)


def negated(d: Any, *args: Any) -> Any:
    return -d


def first_rule(name: str) -> int:
    """Find the first operand that has a gradient: the order of a Bessel function has none."""
    rules = enumerate(OPS[name].rules)
    return next(k for k, rule in rules if getattr(rule, "__name__", "") != "refuse")


FAULTS: list[tuple[str, int, Callable[..., Any]]] = [
    *((name, first_rule(name), slightly) for name in sorted({r.name for r in TABLE} & {
        name for name, op in OPS.items() if op.rules and op.rules[0] is not None
    }) if not all(r.jumps for r in TABLE if r.name == name)),
    ("subtract", 1, negated),
    ("divide", 1, slightly),
    ("power", 1, slightly),
    ("matmul", 1, negated),
    ("where", 2, lambda d, g, z, c, x, y: g),
    ("maximum", 1, lambda d, g, z, x, y: np.where(np.greater_equal(y, x), g, 0)),
    ("absolute", 0, lambda d, g, z, x: g * np.where(np.greater_equal(x, 0), 1, -1)),
    ("relu", 0, lambda d, g, z, x: g * np.heaviside(x, 0.5)),
    ("clip", 0, lambda d, g, z, x, a, b: np.where(np.less_equal(x, a), 0, d)),
    ("solve", 1, negated),
    ("affine", 2, slightly),
    ("set", 1, negated),
    ("floor", 0, lambda d, g, z, x: g),
    ("hypot", 1, slightly),
    ("heaviside", 1, negated),
    ("sigmoid_cross_entropy", 1, slightly),
    ("cross_entropy", 1, slightly),
    ("safe_divide", 1, slightly),
]  # fmt: skip


@pytest.mark.parametrize(("name", "position", "wrong"), FAULTS)
def test_a_wrong_rule_is_caught(name: str, position: int, wrong: Callable[..., Any]) -> None:
    def caught(row: Row, check: Check, tame: bool) -> bool:
        for seed in range(30):
            rng = np.random.default_rng(seed)
            try:
                check(row, row.draw(rng, tame), rng)
            except AssertionError:
                return True
        return False

    rows = optable.rows(name)
    with planted(name, position, wrong):
        assert any(caught(row, check_first_order, False) for row in rows) or any(
            caught(row, check_kinks, True) for row in rows
        )


def test_a_rule_that_is_wrong_at_second_order_only_is_caught() -> None:
    def detached(d: Any, g: Any, z: Any, x: Any) -> Any:
        return g * (autonn.stop_gradient(z) if isinstance(z, Tensor) else z)

    row = optable.rows("exp")[0]
    with planted("exp", 0, detached):
        rng = np.random.default_rng(0)
        args = row.draw(rng, True)
        check_first_order(row, args, rng)
        with pytest.raises(AssertionError):
            check_second_order(row, args, rng)
