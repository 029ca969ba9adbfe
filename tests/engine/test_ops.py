"""Every op, from one table: values, gradients of both orders, layouts, dtypes, conventions."""

from __future__ import annotations

import gc
import itertools
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tools import optable
from tools.optable import TABLE, Array, Random, Row
from tools.planting import planted
from tools.refusals import assert_refused

import autonn
from autonn import (
    Tensor,
    checkpoint,
    grad,
    gradcheck,
    hessian,
    hvp,
    jacobian,
    jvp,
    op,
    stop_gradient,
    value_and_grad,
    vjp,
)
from autonn.engine.gradcheck import GradientError
from autonn.engine.op import OPS
from autonn.engine.tensor import implementations

# The table has over 200 rows for some 100 ops. Every day each row gets two examples of all there is
# to check; in the ci profile each op gets 200, the rows by turns.
EXAMPLES = settings.default.max_examples if settings.default else 30
MANY = EXAMPLES >= 200
# A seed cannot be shrunk.
PER_OP = settings(max_examples=EXAMPLES if MANY else 2, phases=(Phase.generate,))
CHECKED = settings(max_examples=max(1, EXAMPLES // 100), phases=(Phase.generate,))
SEEDS = st.integers(0, 2**32 - 1)
ELEMENTWISE = [row for row in TABLE if row.arity]
BINARY = [row for row in ELEMENTWISE if row.arity == 2]

Arrays = tuple[Array, ...]
Check = Callable[[Row, Arrays, Random], None]

NAMES = list(dict.fromkeys(row.name for row in TABLE))

every_op = pytest.mark.parametrize("name", NAMES)
every_elementwise_row = pytest.mark.parametrize(
    "row", ELEMENTWISE, ids=[f"{row.name}-{i}" for i, row in enumerate(ELEMENTWISE)]
)
every_binary_row = pytest.mark.parametrize(
    "row", BINARY, ids=[f"{row.name}-{i}" for i, row in enumerate(BINARY)]
)


def by_turns(options: Sequence[Any], turn: int) -> Sequence[Any]:
    """Return all of them every day, and one after the other where there are many examples."""
    return [options[turn % len(options)]] if MANY else options


def assert_same(got: Array, expected: Array) -> None:
    """Compare to the last bit, dtype and shape included; 0 equals -0."""
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    if got.tobytes() != expected.tobytes():
        np.testing.assert_array_equal(got, expected)


def assert_close(got: Array, expected: Array, tolerance: float, scale: Any = 0.0) -> None:
    """Compare relative to the largest entry, or to a scale given."""
    assert np.shape(got) == np.shape(expected)
    size = np.maximum(np.max(np.abs(expected), initial=1), scale)
    wrong = ~(np.abs(got - expected) <= tolerance * size)
    assert not np.any(wrong), f"{got} instead of {expected}, first at {np.argwhere(wrong)[0]}"


def on_arrays(row: Row, *args: Array) -> Array:
    """Run the op without a graph."""
    return np.asarray(row.f(*map(Tensor, args)).data)


def weights_for(row: Row, args: Arrays, rng: Random, near: float = 0.0) -> Array:
    """Draw the incoming gradient; 0 at kinks, where there is no slope to compare with."""
    v = np.asarray(rng.standard_normal(on_arrays(row, *args).shape))
    return v if row.distance is None else np.where(row.distance(*args) <= near, 0, v)


# ---- the table is complete


ANSWERS = {
    np.any, np.all, np.argmax, np.argmin, np.argsort, np.count_nonzero, np.nonzero, np.array_equal,
    np.allclose, np.isclose, np.array2string, np.array_repr, np.array_str, np.shape, np.ndim,
    np.size, np.zeros_like, np.ones_like, np.result_type, np.equal, np.not_equal, np.less,
    np.less_equal, np.greater, np.greater_equal, np.bitwise_and, np.bitwise_or, np.invert,
    np.logical_and, np.logical_or, np.logical_not, np.signbit, np.isnan, np.isinf, np.isfinite,
}  # fmt: skip


def test_every_op_with_rules_stands_in_the_table() -> None:
    tested = {row.name for row in TABLE}
    assert {op.name for op in OPS.values() if any(op.rules)} <= tested


def test_every_numpy_function_with_a_gradient_stands_in_the_table() -> None:
    tested = {function for row in TABLE for function in row.functions}
    public = {f for f in implementations if not f.__name__.startswith(("_", "<"))}
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


# ---- values and gradients


def stepped(row: Row, args: Arrays, k: int, at: Any = ...) -> Array:
    """Differentiate the twin by elements of argument k, exactly but for rounding."""
    h = np.where(np.abs(args[k]) < 1e-200, 1e-100, 1e-100 * np.minimum(1, np.abs(args[k])))
    moved = [a.astype(complex) for a in args]
    moved[k][at] += 1j * h[at]
    out = np.asarray(row.twin(*moved)).imag
    result: Array = out / (h if at is ... else h[at])
    return result


def slopes(row: Row, args: Arrays, k: int, v: Array) -> tuple[Array, Any]:
    """Return the gradient of <v, f> by argument k as the complex step has it, and its scale."""
    if row.arity:
        wide = tuple(np.array(np.broadcast_to(a, v.shape)) for a in args)
        parts = np.where(v == 0, 0, v * np.where(v == 0, 0, stepped(row, wide, k)))
        shape = args[k].shape
        return summed(parts, shape), summed(np.abs(parts), shape)
    gradient = np.zeros_like(args[k])
    for index in np.ndindex(gradient.shape):
        gradient[index] = np.vdot(v, stepped(row, args, k, index))
    return gradient, 0


def stepped_along(
    row: Row, args: Sequence[Array], directions: Sequence[Array], v: Array, bend: float = 0
) -> float:
    """Differentiate <v, f + bend f^2 / 2> along directions of all arguments, with one step."""
    moved = (a + 1e-100j * d for a, d in zip(args, directions, strict=True))
    z = np.asarray(row.twin(*moved))
    slope = (z.imag + bend * z.real * z.imag) / 1e-100
    return float(np.sum(np.where(v == 0, 0, v * slope)))


def dot(xs: Sequence[Array], ys: Sequence[Array]) -> float:
    return float(sum(np.vdot(x, y) for x, y in zip(xs, ys, strict=True)))


def summed(x: Array, shape: tuple[int, ...]) -> Array:
    """Undo broadcasting, the long way."""
    lead = x.ndim - len(shape)
    x = x.sum(axis=tuple(range(lead)))
    stretched = tuple(i for i, n in enumerate(shape) if n == 1)
    return np.asarray(x.sum(axis=stretched, keepdims=True).reshape(shape))


def check_gradients(
    row: Row, args: Arrays, v: Array, gradients: Sequence[Array], rng: Random
) -> None:
    """Compare with the complex step: by each element, or at first along one random direction."""
    for gradient, a in zip(gradients, args, strict=True):
        assert (gradient.dtype, gradient.shape) == (np.dtype(np.float64), a.shape)
    if not row.arity:
        directions = [rng.standard_normal(a.shape) for a in args]
        slope = stepped_along(row, args, directions, v)
        size = dot([np.abs(g) for g in gradients], [np.abs(d) for d in directions])
        if abs(dot(gradients, directions) - slope) <= 1e-13 * max(1, abs(slope), size):
            return
    for k, gradient in enumerate(gradients):
        expected, scale = slopes(row, args, k, v)
        assert_close(gradient, expected, 1e-13, scale)
    assert row.arity, (row.name, args, "right by each element, wrong along a direction")


def check_first_order(row: Row, args: Arrays, rng: Random) -> None:
    """Compare value and gradient; see that nothing warns, is changed or is shared."""
    with np.errstate(all="ignore"):
        expected = np.asarray(row.value(*args))
        value = on_arrays(row, *args)
    v = np.asarray(rng.standard_normal(value.shape))
    if row.distance is not None:  # no gradient where there is no slope to compare with
        v = np.where(row.distance(*args) == 0, 0, v)
    assert_value(row, value, expected)
    before = [a.tobytes() for a in (*args, v)]
    recorded, gradients = silently(row, args, v)
    assert_same(recorded, value)
    assert [a.tobytes() for a in (*args, v)] == before, "an argument or the gradient has changed"
    check_ownership(gradients, [*args, v])
    with np.errstate(all="ignore"):
        check_gradients(row, args, v, gradients, rng)


def assert_value(row: Row, got: Array, expected: Array) -> None:
    if row.exact and (got.dtype == np.float64 or not row.name.startswith("leaky")):
        assert_same(got, expected)
    else:
        assert got.dtype == expected.dtype
        assert_close(got, expected, 64 * float(np.finfo(got.dtype).eps))


def check_ownership(gradients: Sequence[Array], others: Sequence[Array]) -> None:
    for k, gradient in enumerate(gradients):
        assert gradient.flags.writeable
        for other in [*gradients[:k], *others]:
            assert not np.may_share_memory(gradient, other) or not np.shares_memory(gradient, other)


def run(row: Row, args: Sequence[Array], v: Array) -> tuple[Array, list[Array]]:
    """Return value and gradients by way of Tensors that share the arrays given."""
    tensors = [Tensor(a, requires_grad=True, copy=False) for a in args]
    result = row.f(*tensors)
    if result.requires_grad:
        result.backward(v)
    return result.data, [np.zeros_like(t.data) if t.grad is None else t.grad for t in tensors]


def silently(row: Row, args: Sequence[Array], v: Array) -> tuple[Array, list[Array]]:
    """Run it; NumPy may warn only where the value or a gradient is not finite."""
    try:
        with np.errstate(all="raise", under="ignore"):
            return run(row, args, v)
    except FloatingPointError as warning:
        with np.errstate(all="ignore"):
            value, gradients = run(row, args, v)
        finite = all(np.all(np.isfinite(a)) for a in (value, *gradients))
        if finite:
            raise AssertionError(row.name, args) from warning
        return value, gradients


def differentiated(f: Callable[[float], Any]) -> Array:
    """Differentiate at 0 by central differences, extrapolated twice to order h^6."""
    first = [(f(h) - f(-h)) / (2 * h) for h in (2e-3, 1e-3, 5e-4)]
    second = [(4 * b - a) / 3 for a, b in itertools.pairwise(first)]
    return np.asarray((16 * second[1] - second[0]) / 15)


def twice_pulled(row: Row, args: Arrays, v: Array, w: Sequence[Array]) -> list[Array]:
    """Return the gradient of <w, the gradient of <v, f + f^2 / 2>>.

    The square makes a linear op show when it is cut out of the gradient's graph.
    """
    tensors = [Tensor(a, requires_grad=True) for a in args]
    z = row.f(*tensors)
    bent = z + z * z / 2
    if bent.requires_grad:
        bent.backward(v, create_graph=True)
    firsts = [t.grad for t in tensors]
    for t in tensors:
        t.grad = None
    along: Any = sum(np.sum(g * d) for g, d in zip(firsts, w, strict=True) if g is not None)
    if isinstance(along, Tensor) and along.requires_grad:
        along.backward()
    return [np.zeros_like(t.data) if t.grad is None else t.grad for t in tensors]


def check_second_order(row: Row, args: Arrays, rng: Random) -> None:
    """Compare, along random directions, the gradient of the gradient with the twin's."""
    with np.errstate(all="ignore"):
        v = weights_for(row, args, rng, near=0.2)  # all differences on one side, and smooth
        w = [rng.standard_normal(a.shape) for a in args]
        u = [rng.standard_normal(a.shape) * (not row.jumps) for a in args]

        pulled = twice_pulled(row, args, v, w)
        expected = differentiated(
            lambda t: stepped_along(
                row, [a + t * d for a, d in zip(args, u, strict=True)], w, v, bend=1
            )
        )
        size = dot([np.abs(d) for d in u], [np.abs(g) for g in pulled])
    assert_close(np.asarray(dot(u, pulled)), expected, 1e-9, size)


@every_op
@CHECKED
@given(seed=SEEDS)
def test_the_public_checker_passes_full_jacobians_of_both_orders(name: str, seed: int) -> None:
    for row in optable.rows(name):
        rng = np.random.default_rng(seed)
        args = row.draw(rng, True)
        if row.jumps or not row.keeps32 or (row.distance and np.any(row.distance(*args) < 0.05)):
            continue
        projections = None if sum(map(np.size, args)) < 9 else 2
        with np.errstate(all="ignore"):  # 1 / d^2 of a subnormal d
            assert gradcheck(row.f, *args, order=2, projections=projections)


# ---- kinks are found, not assumed


def one_sided(row: Row, args: Arrays, k: int, h: float) -> tuple[Array, Array]:
    """Return the slopes by argument k on both sides, from the function itself."""

    def at(step: float) -> Array:
        return np.asarray(row.f(*(a + step if i == k else a for i, a in enumerate(args))))

    return (at(0) - at(-h)) / h, (at(h) - at(0)) / h


def check_kinks(row: Row, args: Arrays, rng: Random) -> None:
    """Where the slopes of both sides stay apart there must be a kink, with its convention."""
    if row.jumps or not row.arity:
        return
    shape = np.broadcast_shapes(*(a.shape for a in args))
    args = tuple(np.array(np.broadcast_to(a, shape)) for a in args)
    distance = np.full(shape, np.inf) if row.distance is None else row.distance(*args)
    gradients = vjp(row.f, *args)[1](np.ones(shape))
    for k, gradient in enumerate(gradients):
        with np.errstate(all="ignore"):
            wide, (left, right) = (one_sided(row, args, k, h) for h in (1e-4, 1e-6))
        gap = np.abs(right - left)
        kinked = (gap > 0.5 * np.abs(wide[1] - wide[0])) & (gap > 1e-2)
        clear = (distance == 0) | (distance > 1e-3)
        assert not np.any(kinked & clear & (distance > 0)), "a kink that the table does not know"
        at_kink = kinked & (distance == 0)
        if np.any(at_kink):
            assert_close(gradient[at_kink], row.convention[k](left, right)[at_kink], 1e-4)


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


# ---- dtypes


def check_float32(row: Row, args: Arrays, rng: Random) -> None:
    """See that single precision goes in and comes out, with NumPy's own values."""
    with np.errstate(all="ignore"):
        wild = [a.astype(np.float32) for a in row.draw(rng, False)]
        assert_value(row, on_arrays(row, *wild), np.asarray(row.value(*wild)))
    args = tuple(a.astype(np.float32) for a in args)
    expected = np.asarray(row.value(*args))
    v = rng.standard_normal(expected.shape).astype(np.float32)
    value, gradients = run(row, args, v.astype(expected.dtype))
    assert value.dtype == (np.float32 if row.keeps32 else np.float64)
    assert_value(row, value, expected)
    wide = run(row, [a.astype(float) for a in args], v.astype(float))[1]
    for gradient, right in zip(gradients, wide, strict=True):
        assert gradient.dtype == np.float32
        assert_close(gradient, right, 1e-3)


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


# ---- broadcasting


SIDES = [s for rank in range(5) for s in itertools.product((1, 2), repeat=rank)]
PAIRS = list(itertools.product(SIDES, repeat=2))


def check_broadcast(f: Any, left: tuple[int, ...], right: tuple[int, ...]) -> None:
    """Compare with the same op on operands that were stretched before."""
    rng = np.random.default_rng(len(left) + 7 * len(right))
    x, y = rng.uniform(0.3, 0.9, left), rng.uniform(1.1, 1.9, right)
    shape = np.broadcast_shapes(left, right)
    value, pullback = vjp(f, x, y)
    assert np.shape(value) == shape
    v = rng.standard_normal(shape)
    full = vjp(f, *(np.array(np.broadcast_to(a, shape)) for a in (x, y)))[1](v)
    for got, wide, a in zip(pullback(v), full, (x, y), strict=True):
        assert got.shape == a.shape
        assert_close(got, summed(wide, a.shape), 1e-13)


def test_broadcasting_is_undone_for_all_961_pairs_of_shapes() -> None:
    assert len(PAIRS) == 961
    for left, right in PAIRS:
        check_broadcast(np.multiply, left, right)


@every_binary_row
def test_broadcasting_is_undone_by_every_op_of_two(row: Row) -> None:
    for left, right in PAIRS if MANY else PAIRS[::31]:
        check_broadcast(row.f, left, right)


EMPTY = [((0,), ()), ((0, 3), (3,)), ((2, 0), (2, 1)), ((1, 0), (2, 1)), ((0,), (1,)), ((0,), (0,))]


@every_binary_row
@pytest.mark.parametrize(("left", "right"), EMPTY)
def test_sides_of_length_zero_have_zero_gradients(
    row: Row, left: tuple[int, ...], right: tuple[int, ...]
) -> None:
    args = np.full(left, 0.5), np.full(right, 0.7)
    value, pullback = vjp(row.f, *args)
    for gradient, a in zip(pullback(np.ones(np.shape(value))), args, strict=True):
        assert gradient.shape == a.shape
        assert np.all(gradient == 0)


@every_elementwise_row
def test_empty_arrays_have_empty_gradients_of_both_orders(row: Row) -> None:
    args = [np.ones((0, 2))] * row.arity
    for f in (row.f, lambda *xs: grad(lambda *ys: np.sum(row.f(*ys)))(*xs)):
        value, pullback = vjp(f, *args)
        assert np.shape(value) == (0, 2)
        assert all(g.shape == (0, 2) for g in pullback(np.ones((0, 2))))


# ---- memory layouts


def stepped_copy(x: Array) -> Array:
    key: Any = (*(slice(None, None, 2),) * x.ndim, ...)
    out: Array = np.zeros([2 * n for n in x.shape])[key]
    out[...] = x
    return out


def backwards(x: Array) -> Array:
    turn: Any = (*(slice(None, None, -1),) * x.ndim, ...)
    turned: Array = np.array(x[turn])[turn]
    return turned


def locked(x: Array) -> Array:
    out = np.array(x)
    out.flags.writeable = False
    return out


def fortran(x: Array) -> Array:
    return np.array(x, order="F")


Layout = Callable[[Array], Array]
LAYOUTS: list[tuple[Layout, Layout]] = [  # of the arguments and of the incoming gradient
    (fortran, fortran), (stepped_copy, fortran), (backwards, stepped_copy), (locked, backwards),
    (fortran, locked),
]  # fmt: skip


def check_layouts(row: Row, args: Arrays, rng: Random) -> None:
    """See that how the arguments and the incoming gradient lie in memory makes no difference."""
    v = np.asarray(rng.standard_normal(on_arrays(row, *args).shape))
    expected, gradients = run(row, args, v)
    # a few of NumPy's own functions, as cbrt, differ in the last bit when strided, and so do
    # the sums over what was broadcast
    alike = row.arity > 0 and len({a.shape for a in args}) == 1
    for lay, lay_v in by_turns(LAYOUTS, int(rng.integers(len(LAYOUTS)))):
        laid = tuple(lay(a) for a in args)
        value, others = run(row, laid, lay_v(v))
        exact = alike and np.array_equal(row.value(*laid), row.value(*args))
        for got, right in zip([value, *others], [expected, *gradients], strict=True):
            if exact:
                assert_same(got, right)
            else:
                assert_close(got, right, 1e-14)


@every_elementwise_row
def test_arrays_with_strides_of_zero_are_as_good_as_others(row: Row) -> None:
    args = [
        np.broadcast_to(d.draw(np.random.default_rng(1), (), True), (2, 3)) for d in row.domains
    ]
    v = np.broadcast_to(0.7, (2, 3))
    expected, gradients = run(row, tuple(map(np.array, args)), np.array(v))
    value, others = run(row, tuple(args), v)
    for got, right in zip([value, *others], [expected, *gradients], strict=True):
        np.testing.assert_array_equal(got, right, strict=True)


@every_binary_row
def test_an_operand_used_twice_gets_both_gradients(row: Row) -> None:
    x = np.array([0.5, 1.5, 2.5])
    left, right = vjp(row.f, x, x.copy())[1](np.ones(3))
    (both,) = vjp(lambda t: row.f(t, t), x)[1](np.ones(3))
    np.testing.assert_array_equal(both, left + right)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x @ x.T, lambda x: x @ x, lambda x: np.where(x > 0, x, x),
        lambda x: np.concatenate([x, x]), lambda x: np.stack([x, x, x]), lambda x: x + x.T,
        lambda x: np.einsum("ij,jk,kl", x, x, x), lambda x: np.linalg.solve(x, x @ x),
        lambda x: x.at[0].set(x[1]), lambda x: np.outer(x, x), lambda x: x / x,
    ],
)  # fmt: skip
def test_repeated_operands_in_products_and_joins(f: Any) -> None:
    gradcheck(f, np.array([[2.0, 0.5], [-0.3, 1.0]]), order=2)


# ---- warnings


FAR = np.array([0.0, -0.0, 40, -40, 300, -300, 500, -500, 745, -745, 1e4, -1e4, 1e8, -1e8])


def check_saturation(row: Row, args: Arrays, rng: Random) -> None:
    if row.arity:
        far = [rng.choice(FAR, a.shape) for a in args]
        silently(row, far, np.ones(np.broadcast_shapes(*(a.shape for a in far))))


@every_elementwise_row
def test_numpy_warns_of_nothing_at_saturation(row: Row) -> None:
    for x in FAR:
        silently(row, (np.array(x),) * row.arity, np.ones(()))


# ---- all of it

OTHER_CHECKS: list[Check] = [check_kinks, check_float32, check_layouts, check_saturation]


@every_op
@PER_OP
@given(seed=SEEDS)
def test_the_op_is_right_in_every_way(name: str, seed: int) -> None:
    rows, rng = optable.rows(name), np.random.default_rng(seed)
    for row in by_turns(rows, seed):
        wild, tame = row.draw(rng, False), row.draw(rng, True)
        others = by_turns(OTHER_CHECKS, seed // len(rows))
        for check in (check_first_order, check_second_order, *others):
            args = wild if check is check_first_order else tame
            try:
                check(row, args, rng)
            except AssertionError as error:
                error.add_note(f"{name}, row {rows.index(row)} of its rows, of {args}")
                raise


# ---- the conventions


def slope(f: Any, *x: Any) -> Any:
    """Return the gradient at a number, or for a list the list of gradients."""
    if len(x) == 1:
        return grad(f)(np.array(x[0], float)).tolist()
    return [g.tolist() for g in grad(f, tuple(range(len(x))))(*(np.array(a, float) for a in x))]


def test_the_slope_of_the_absolute_value_is_0_at_0() -> None:
    assert slope(np.abs, 0.0) == 0
    assert slope(np.fabs, -0.0) == 0


def test_the_slope_of_relu_is_0_at_0_and_nan_at_nan() -> None:
    assert slope(autonn.relu, 0.0) == 0
    assert np.isnan(slope(autonn.relu, np.nan))


def test_equal_operands_of_maximum_and_minimum_get_half_each() -> None:
    assert slope(np.maximum, 1.0, 1.0) == [0.5, 0.5]
    assert slope(np.minimum, 1.0, 1.0) == [0.5, 0.5]
    assert slope(lambda x: np.maximum(x, x), 1.0) == 1


def test_equal_maxima_of_a_reduction_share_evenly() -> None:
    assert slope(np.max, [1.0, 4, 4, 4, 4]) == [0, 0.25, 0.25, 0.25, 0.25]
    assert slope(np.min, [1.0, 1, 2]) == [0.5, 0.5, 0]
    assert slope(lambda x: np.sum(np.max(x, axis=1)), [[1.0, 1], [1, 2]]) == [[0.5, 0.5], [0, 1]]


def test_clip_passes_the_whole_gradient_at_its_bounds() -> None:
    assert slope(lambda x: np.sum(np.clip(x, -1, 1)), [-2.0, -1, 0, 1, 2]) == [0, 1, 1, 1, 0]


@pytest.mark.parametrize("x", [0.0, 1.5, 3.0])
def test_clip_with_crossed_bounds_is_its_upper_bound(x: float) -> None:
    assert grad(np.clip, argnums=(0, 1, 2))(x, 2.0, 1.0) == (0, 0, 1)


@every_elementwise_row
def test_square_arguments_keep_their_places(row: Row) -> None:
    """A transposed gradient shows only in a square that is not symmetric."""
    rng = np.random.default_rng(0)
    args = tuple(d.draw(rng, (3, 3), True) for d in row.domains)
    before = [a.copy() for a in args]
    for k in range(len(args)):
        whole = grad(lambda *a: np.sum(row.f(*a)), k)(*args)
        single = [
            grad(lambda *a: np.sum(row.f(*a)), k)(*(a[i, j] for a in args))
            for i, j in np.ndindex(3, 3)
        ]
        np.testing.assert_allclose(whole.ravel(), single, rtol=1e-13)
    for a, old in zip(args, before, strict=True):
        np.testing.assert_array_equal(a, old)


def test_the_slope_of_sqrt_is_infinite_at_0() -> None:
    with np.errstate(divide="ignore"):
        assert slope(np.sqrt, 0.0) == np.inf
        assert slope(np.cbrt, 0.0) == np.inf


def test_the_gradient_of_norm_is_0_at_0() -> None:
    assert slope(np.linalg.norm, [0.0, 0, 0]) == [0, 0, 0]
    assert slope(lambda x: np.sum(np.linalg.norm(x, axis=1)), [[0.0, 0], [3, 4]]) == [
        [0, 0],
        [0.6, 0.8],
    ]
    assert slope(np.hypot, 0.0, 0.0) == [0, 0]


@pytest.mark.parametrize("x", [0.0, -0.0, 2.0, -2.0])
@pytest.mark.parametrize("zero", [0, 0.0, np.float64(0)])
def test_the_slope_of_a_power_of_zero_is_0(x: float, zero: Any) -> None:
    assert slope(lambda t: t**zero, x) == 0
    assert slope(lambda t: t ** np.full((), zero), x) == 0


def test_powers_of_one_and_two_have_their_slopes_at_0() -> None:
    assert slope(lambda x: x**1, 0.0) == 1
    assert slope(lambda x: x**2, 0.0) == 0
    assert slope(lambda x: x**1.5, 0.0) == 0


@pytest.mark.parametrize("y", [0.0, 0.5, 1.0, 3.0])
def test_the_slope_of_a_power_of_base_0_by_its_exponent_is_0(y: float) -> None:
    assert slope(lambda t: 0.0**t, y) == 0
    assert slope(lambda t: np.power(np.zeros(()), t), y) == 0


def test_the_gradient_of_a_product_is_right_with_zeros() -> None:
    assert slope(np.prod, [0.0, 2, 3]) == [6, 0, 0]
    assert slope(np.prod, [0.0, 0, 3]) == [0, 0, 0]
    assert slope(lambda x: np.sum(np.cumprod(x)), [2.0, 0, 3]) == [1, 8, 0]


def test_equal_values_have_no_gradient_of_var_and_std() -> None:
    for value in (0.1, 1e8, 0.0):
        assert slope(np.var, [value] * 3) == [0, 0, 0]
        assert slope(np.std, [value] * 3) == [0, 0, 0]


def test_logsumexp_of_nothing_but_minus_infinity_is_that_with_gradient_0() -> None:
    x = np.full(3, -np.inf)
    with np.errstate(all="raise"):
        value, pullback = vjp(autonn.logsumexp, x)
        assert value == -np.inf
        assert pullback(np.array(1.0))[0].tolist() == [0, 0, 0]


def test_the_max_of_nothing_is_an_error_and_the_mean_of_nothing_is_nan() -> None:
    for f in (np.max, np.min):
        with pytest.raises(ValueError, match="zero-size"):
            f(Tensor(np.ones(0)))
    with pytest.warns(RuntimeWarning):
        assert np.isnan(np.mean(Tensor(np.ones(0), requires_grad=True)).item())


def test_steps_have_no_gradient_anywhere() -> None:
    for f in (np.sign, np.floor, np.ceil, np.trunc, np.rint, np.round):
        assert slope(lambda x, f=f: np.sum(f(x)), [-1.0, 0, 0.5, 1, 2.5]) == [0] * 5


def test_leaky_relu_and_elu_have_the_slope_from_the_left_at_0() -> None:
    assert slope(lambda x: autonn.leaky_relu(x, 0.1), 0.0) == 0.1
    assert slope(lambda x: autonn.elu(x, 2.0), 0.0) == 2


def test_equal_elements_keep_their_order_when_sorted() -> None:
    weights = np.array([1.0, 2, 3, 4])
    assert slope(lambda x: np.sum(weights * np.sort(x)), [5.0, 1, 5, 1]) == [3, 1, 4, 2]


def test_a_nan_in_a_maximum_takes_the_gradient() -> None:
    assert slope(np.max, [1.0, np.nan, 3]) == [0, 1, 0]


def test_the_determinant_of_a_singular_matrix_has_its_gradient() -> None:
    assert_close(np.array(slope(np.linalg.det, [[1.0, 2], [2, 4]])), np.array([[4.0, -2], [-2, 1]]),
                 1e-14)  # fmt: skip
    assert slope(np.linalg.det, [[0.0, 0], [0, 0]]) == [[0, 0], [0, 0]]


def test_the_slopes_of_sigmoid_and_tanh_are_exact_where_they_saturate() -> None:
    for z in (-740.0, -40.0, 40.0, 500.0):
        assert slope(autonn.sigmoid, z) == pytest.approx(np.exp(-abs(z)), rel=1e-14)
    assert slope(np.tanh, 50.0) == pytest.approx(4 * np.exp(-100.0), rel=1e-14)


SINGULAR: list[tuple[str, Callable[..., Any], float, float]] = [
    ("log", np.log, 0, 2),
    ("log2", np.log2, 0, 2),
    ("log10", np.log10, 0, 2),
    ("log1p", np.log1p, -1, 2),
    ("sqrt", np.sqrt, 0, 2),
    ("cbrt", np.cbrt, 0, 2),
    ("reciprocal", np.reciprocal, 0, 2),
    ("divide", lambda x: 3 / x, 0, 2),
    ("divide by itself", lambda x: (x + 1) / (x * x), 0, 2),
    ("power 0.5", lambda x: x**0.5, 0, 2),
    ("power -1", lambda x: x**-1.0, 0, 2),
    ("power -0.5", lambda x: x**-0.5, 0, 2),
    ("power of an array", lambda x: np.power(x, np.array([0.5, -1.5])), 0, 2),
    ("power of itself", lambda x: x**x, 0, 2),
    ("arcsin", np.arcsin, 1, 0.5),
    ("arcsin, left", np.arcsin, -1, 0.5),
    ("arccos", np.arccos, 1, 0.5),
    ("arccos, left", np.arccos, -1, 0.5),
    ("arccosh", np.arccosh, 1, 2),
    ("arctanh", np.arctanh, 1, 0.5),
    ("arctanh, left", np.arctanh, -1, 0.5),
    ("hypot", lambda x: np.hypot(x, x), 0, 2),
    ("arctan2", lambda x: np.arctan2(x, x * 2), 0, 2),
    ("norm", lambda x: np.linalg.norm(np.stack([x, x]), axis=0), 0, 2),
    ("norm of order 3", lambda x: np.linalg.norm(np.stack([x, x]), 3, axis=0), 0, 2),
    ("std", lambda x: np.std(np.stack([x, -x]), axis=0), 0, 2),
    ("log of a sum", lambda x: np.log(x + x), 0, 2),
    ("sqrt of a square", lambda x: np.sqrt(x * x), 0, 2),
    ("prod", lambda x: 1 / np.prod(np.stack([x, x]), axis=0), 0, 2),
]


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    ("name", "f", "singular", "regular"), SINGULAR, ids=[name for name, *_ in SINGULAR]
)
def test_a_zero_gradient_stays_zero_where_the_slope_is_infinite(
    name: str, f: Callable[..., Any], singular: float, regular: float, order: int
) -> None:
    """The masked element gets 0, and the other the gradient that it has alone."""

    def derived(g: Callable[..., Any], x: Array) -> Array:
        for _ in range(order):
            g = grad(lambda t, g=g: np.sum(g(t)))
        with np.errstate(all="ignore"):
            return np.asarray(g(x))

    masked = lambda x: np.where([False, True], f(x), 0)  # noqa: E731
    got = derived(masked, np.array([singular, regular], float))
    assert got[0] == 0
    np.testing.assert_allclose(
        got[1], derived(f, np.array([regular, regular], float))[1], rtol=1e-12, atol=1e-300
    )


# ---- keywords as NumPy has them


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(x, axis=1, keepdims=True),
        lambda x: np.swapaxes(x, axis1=0, axis2=1), lambda x: np.round(x, decimals=1),
        lambda x: np.moveaxis(x, source=0, destination=1), lambda x: np.expand_dims(x, axis=1),
        lambda x: np.transpose(x, axes=(1, 0)), lambda x: np.broadcast_to(x, shape=(2, 2, 3)),
        lambda x: np.clip(x, a_min=-1, a_max=1), lambda x: np.roll(x, shift=1, axis=0),
        lambda x: np.tile(x, reps=(2, 1)), lambda x: np.repeat(x, repeats=2, axis=0),
        lambda x: np.diag(x, k=1), lambda x: np.tril(x, k=1), lambda x: np.flip(x, axis=0),
        lambda x: np.take(x, indices=[0, 0], axis=1), lambda x: np.squeeze(x[:, :1], axis=1),
        lambda x: np.split(x, indices_or_sections=2, axis=0)[0],
        lambda x: np.array_split(x, indices_or_sections=2, axis=0)[0],
        lambda x: np.pad(x, pad_width=1, mode="constant"), lambda x: np.trace(x, offset=1),
        lambda x: np.linalg.norm(x, ord=2, axis=0), lambda x: np.cumsum(x, axis=0),
        lambda x: np.tensordot(x, x, axes=((0, 1), (0, 1))), lambda x: np.stack([x, x], axis=2),
        lambda x: np.concatenate([x, x], axis=1), lambda x: np.sort(x, axis=0),
        lambda x: np.var(x, axis=0, ddof=1), lambda x: np.max(x, axis=0, keepdims=True),
    ],
)  # fmt: skip
def test_functions_take_numpys_keywords(f: Callable[..., Any]) -> None:
    x = np.array([[0.3, -1.2, 0.7], [1.4, 0.2, -0.6]])
    t = Tensor(x, requires_grad=True)
    result = f(t)
    assert_close(result.data, np.asarray(f(x)), 1e-14)
    result.backward(np.ones(result.shape))
    assert t.grad.shape == x.shape


# ---- bad input names the op


X = Tensor(np.ones((2, 3)), requires_grad=True)
BAD: list[tuple[Callable[[], Any], type[Exception], list[str]]] = [
    *(
        (lambda f=f: f(X, np.ones(4)), ValueError, [f.__name__, "(2, 3) and (4,)"])
        for f in (np.add, np.subtract, np.multiply, np.divide, np.power, np.maximum, np.minimum,
                  np.hypot, np.arctan2, np.logaddexp)
    ),
    (lambda: X @ np.ones((2, 3)), ValueError, ["matmul", ".T"]),
    (lambda: Tensor(2.0) @ np.ones(3), ValueError, ["matmul"]),
    (lambda: np.where(np.ones(4, bool), X, 0), ValueError, ["where", "(4,)"]),
    (lambda: X.reshape(4, 2), ValueError, ["reshape"]),
    (lambda: np.concatenate([X, np.ones((2, 2))]), ValueError, ["concatenate", "(2, 2)"]),
    (lambda: np.concatenate([]), ValueError, ["concatenate"]),
    (lambda: np.stack([X, np.ones(3)]), ValueError, ["stack", "(3,)"]),
    (lambda: np.split(X, 2, axis=1), ValueError, ["split", "array_split"]),
    (lambda: np.max(Tensor(np.ones((0, 2)))), ValueError, ["zero-size"]),
    *(
        (lambda f=f: f(X, axis=5), np.exceptions.AxisError, ["axis 5"])
        for f in (np.sum, np.mean, np.prod, np.max, np.min, np.var, np.std, np.cumsum, np.cumprod)
    ),
    (lambda: X.sum(axis=(0, 0)), ValueError, ["duplicate"]),
    (lambda: X.transpose(0, 0), ValueError, ["axis"]),
    (lambda: X[5], IndexError, ["index 5"]),
    (lambda: X["a"], IndexError, ["indices"]),
    (lambda: X[1.5], IndexError, ["indices"]),
    (lambda: X[np.ones(3, bool)], IndexError, ["boolean"]),
    (lambda: X.at[[0, 0]].set(1.0), ValueError, ["repeats"]),
    (lambda: X.at[5].set(1.0), IndexError, ["index 5"]),
    (lambda: np.einsum("ij,jk", X, X), ValueError, ["einsum", "(2, 3) and (2, 3)"]),
    (lambda: np.einsum("ij,jk", X), ValueError, ["einsum", "'ij,jk'"]),
    (lambda: np.tensordot(X, X, 1), ValueError, ["tensordot", "axis"]),
    (lambda: np.linalg.solve(X, np.ones(2)), np.linalg.LinAlgError, ["square"]),
    (lambda: np.linalg.inv(Tensor(np.zeros((2, 2)))), np.linalg.LinAlgError, ["Singular"]),
    (lambda: np.pad(X, 1, mode="edge"), TypeError, ["np.pad", "'edge'"]),
    (lambda: np.linalg.norm(X, 2), TypeError, ["norm", "2"]),
    (lambda: np.linalg.norm(X, "nuc"), TypeError, ["norm", "'nuc'"]),
    (lambda: np.linalg.svd(X), TypeError, ["numpy.linalg.svd"]),
    (lambda: np.median(X), TypeError, ["numpy.median"]),
    (lambda: np.fmod(X, 2), TypeError, ["np.fmod"]),
    *(
        (lambda f=f, bad=bad: f(X, bad), TypeError, [f.__name__, repr(bad)])
        for f in (np.add, np.multiply, np.power, np.maximum, np.matmul)
        for bad in ("a", None)
    ),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "words"), BAD, ids=range(len(BAD)))
def test_errors_have_their_class_and_name_the_op(
    call: Callable[[], Any], error: type[Exception], words: list[str]
) -> None:
    assert_refused(call, error, words)


# ---- the table catches wrong rules


def slightly(d: Any, *args: Any) -> Any:
    return d * (1 + 1e-9)


def negated(d: Any, *args: Any) -> Any:
    return -d


FAULTS: list[tuple[str, int, Callable[..., Any]]] = [
    *((name, 0, slightly) for name in sorted({r.name for r in TABLE} & {
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


# ---- functions of functions


A, B = np.array([[0.3, -1.2], [0.7, 0.4]]), np.array([[1.1, 0.2], [-0.5, 0.9]])


def mixed(x: Any, y: Any) -> Any:
    """Mix all elements of two matrices, smoothly."""
    return np.tanh(x @ y) * np.exp(-x) + np.sin(y.T)


def in_direction(f: Any, args: Arrays, directions: tuple[Array, ...]) -> Array:
    return differentiated(
        lambda t: np.asarray(f(*(a + t * d for a, d in zip(args, directions, strict=True))))
    )


@given(seed=SEEDS)
def test_jvp_is_the_derivative_in_a_direction_and_agrees_with_vjp(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y, u, w, v = rng.uniform(-1, 1, (5, 2, 2))
    value, tangent = jvp(mixed, (x, y), (u, w))
    np.testing.assert_array_equal(value, mixed(x, y))
    assert_close(tangent, in_direction(mixed, (x, y), (u, w)), 1e-9)
    by_x, by_y = vjp(mixed, x, y)[1](v)
    assert np.vdot(v, tangent) == pytest.approx(np.vdot(by_x, u) + np.vdot(by_y, w), abs=1e-13)


@given(seed=SEEDS)
def test_jacobians_and_hessians_agree_with_products_with_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, u, v = rng.uniform(-1, 1, (3, 2, 2))
    f: Callable[[Any], Any] = lambda x: mixed(x, B)  # noqa: E731
    rows = jacobian(f)(x)
    assert rows.shape == (2, 2, 2, 2)
    assert_close(np.tensordot(rows, u), jvp(f, x, u)[1], 1e-13)
    assert_close(np.tensordot(v, rows), vjp(f, x)[1](v)[0], 1e-13)

    def total(x: Any) -> Any:
        return np.sum(f(x) * v)

    second: Array = hessian(total)(x)
    assert_close(np.tensordot(second, u), hvp(total, x, u), 1e-12)
    assert_close(second, np.transpose(second, (2, 3, 0, 1)), 1e-12)
    assert_close(hvp(total, x, u), in_direction(grad(total), (x,), (u,)), 1e-9)


def test_transforms_take_trees_and_give_them_back() -> None:
    tree = {"w": A, "b": [B, (B[0],)]}

    def f(p: Any) -> Any:
        return np.sum(p["w"] @ p["b"][0]) * np.sum(p["b"][1][0] ** 2)

    value, gradient = value_and_grad(f)(tree)
    assert value == pytest.approx(f(tree))
    assert [type(gradient["b"]), type(gradient["b"][1])] == [list, tuple]
    (pulled,) = vjp(f, tree)[1](np.array(1.0))
    np.testing.assert_array_equal(pulled["b"][1][0], gradient["b"][1][0])
    assert jvp(f, tree, tree)[1] == pytest.approx(4 * value)
    assert jacobian(f)(tree)["b"][0].shape == (2, 2)
    product = hvp(f, (tree,), (tree,))[0]
    assert_close(product["w"], 3 * gradient["w"], 1e-13)


def test_transforms_nest() -> None:
    cube = lambda x: x**3  # noqa: E731
    assert jvp(lambda x: jvp(cube, x, 1.0)[1], 2.0, 1.0)[1] == 12
    assert grad(lambda x: jvp(cube, x, 1.0)[1])(2.0) == 12
    assert grad(lambda x: vjp(cube, x)[1](1.0)[0])(2.0) == 12
    assert hessian(lambda x: np.sum(hvp(lambda y: np.sum(y**4), x, x)))(np.array([2.0])) == 144
    assert jacobian(jacobian(lambda x: x * x))(np.array([3.0])).tolist() == [[[2.0]]]


def test_a_pullback_may_be_called_again_and_is_linear() -> None:
    _, pullback = vjp(lambda x: np.exp(x), np.array([1.0, 2.0]))
    once = pullback(np.array([1.0, 0.5]))[0]
    np.testing.assert_array_equal(pullback(np.array([1.0, 0.5]))[0], once)
    np.testing.assert_array_equal(pullback(np.array([2.0, 1.0]))[0], 2 * once)


def test_vectors_of_the_wrong_shape_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"jvp: vectors of shapes .*\(3,\).*\(2,\)"):
        jvp(np.sin, np.ones(2), np.ones(3))
    with pytest.raises(ValueError, match="hvp"):
        hvp(lambda x: np.sum(x), np.ones(2), np.ones(3))
    with pytest.raises(ValueError, match=r"\(3,\)"):
        vjp(np.sin, np.ones(2))[1](np.ones(3))
    with pytest.raises(RuntimeError, match="jacobian"):
        grad(np.sin)(np.ones(2))


def test_stop_gradient_keeps_values_and_stops_every_order() -> None:
    assert grad(lambda x: x * stop_gradient(x))(3.0) == 3
    assert grad(grad(lambda x: x * x * stop_gradient(x)))(3.0) == 6
    tree = stop_gradient({"a": Tensor(2.0, requires_grad=True), "b": (1.0,)})
    assert not tree["a"].requires_grad
    assert tree["a"].item() == 2
    assert tree["b"] == (1.0,)


# ---- checkpoint


def block(w: Any, x: Any) -> Any:
    return np.tanh(x @ w) + np.sin(x) * np.exp(-x * x)


@pytest.mark.parametrize("times", [1, 2])
def test_checkpointed_gradients_reach_arguments_and_parameters(times: int) -> None:
    w, x = Tensor(A, requires_grad=True), Tensor(B, requires_grad=True)
    found = []
    for wrap in (lambda f: f, checkpoint, lambda f: checkpoint(checkpoint(f))):
        w.grad = x.grad = None
        part = wrap(lambda t: block(w, t))
        y: Any = x
        for _ in range(times):
            y = part(y)
        loss = np.sum(y * x)
        loss.backward()
        found.append((loss.item(), w.grad, x.grad))
    for value, *gradients in found[1:]:
        assert value == found[0][0]
        for got, expected in zip(gradients, found[0][1:], strict=True):
            assert_close(got, expected, 1e-14)


def test_checkpoints_have_higher_orders_and_transforms() -> None:
    plain = lambda x: np.sum(block(A, block(A, x)))  # noqa: E731
    saved = lambda x: np.sum(checkpoint(lambda t: block(A, checkpoint(block)(A, t)))(x))  # noqa: E731
    assert_close(hessian(saved)(B), hessian(plain)(B), 1e-14)
    assert_close(hvp(saved, B, A), hvp(plain, B, A), 1e-14)
    assert jvp(saved, B, A)[1] == pytest.approx(jvp(plain, B, A)[1], rel=1e-14)
    assert gradcheck(saved, B, order=2)


def test_second_order_passes_through_a_checkpoint_to_parameters() -> None:
    found = []
    for wrap in (lambda f: f, checkpoint):
        w = Tensor(A, requires_grad=True)
        (pulled,) = vjp(wrap(lambda t, w=w: block(w, t)), Tensor(B))[1](Tensor(A))
        np.sum(pulled * pulled).backward()
        found.append(w.grad)
    assert_close(found[1], found[0], 1e-14)


def test_a_checkpoint_forgets_what_is_inside() -> None:
    x = Tensor(np.linspace(0, 1, 50_000), requires_grad=True)

    def chain(t: Any) -> Any:
        for _ in range(10):
            t = np.sin(t) * 1.1
        return t

    def held(f: Callable[[Any], Any]) -> int:
        gc.collect()
        tracemalloc.start()
        try:
            result = f(x)
            assert result.requires_grad
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()

    assert held(chain) > 10 * x.data.nbytes
    assert held(checkpoint(chain)) < 1.5 * x.data.nbytes


def test_a_checkpoint_is_computed_once_more_on_the_way_back_and_no_oftener() -> None:
    calls = []

    def f(x: Any, y: Any) -> Any:
        calls.append(1)
        return x * y * y

    x, y = Tensor(2.0, requires_grad=True), Tensor(3.0, requires_grad=True)
    checkpoint(f)(x, y).backward()
    assert len(calls) == 2
    assert (x.grad, y.grad) == (9, 12)


# ---- one's own op


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


# ---- the checker is checked


def faulty(factor: Any = 1.0, *, index: Any = (), at: int = 0) -> Any:
    """Make ``x y``, whose rule for argument `at` has a wrong factor, at one index or everywhere."""

    def spoilt(d: Any) -> Any:
        weights = np.ones(d.shape)
        weights[index] = factor
        return d * weights

    @op(
        lambda g, z, x, y: spoilt(g * y) if at == 0 else g * y,
        lambda g, z, x, y: spoilt(g * x) if at == 1 else g * x,
    )
    def product(x: Any, y: Any) -> Any:
        return x * y

    return product


P, Q = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])


def test_the_checker_accepts_what_is_right() -> None:
    assert gradcheck(faulty(), P, Q, order=2)
    assert gradcheck(lambda t: t["a"] * t["b"][0], {"a": P, "b": [Q]}, order=2)
    assert gradcheck(lambda x: np.sum(x, axis=0), np.ones((20, 3)), projections=4)


@pytest.mark.parametrize("factor", [1 + 1e-9, -1.0, 0.0, 2.0, np.nan])
def test_the_checker_catches_a_wrong_factor(factor: float) -> None:
    with pytest.raises(GradientError, match=r"order 1 for argument 0, index \(0,\)"):
        gradcheck(faulty(factor), P, Q)
    with pytest.raises(GradientError):
        gradcheck(faulty(factor), P, Q, projections=1)


def test_the_checker_names_the_one_wrong_index_and_both_values() -> None:
    with pytest.raises(GradientError, match=r"argument 0, index \(2,\): 12.0.* slope is 6.0"):
        gradcheck(faulty(2.0, index=2), P, Q)


def test_the_checker_names_the_second_argument() -> None:
    with pytest.raises(GradientError, match=r"argument 1, index \(1,\)"):
        gradcheck(faulty(1 + 1e-9, index=1, at=1), P, Q)


def test_the_checker_catches_a_wrong_second_order() -> None:
    @op(lambda g, z, x: g * 3 * stop_gradient(x) ** 2)
    def cube(x: Any) -> Any:
        return x * x * x

    assert gradcheck(cube, P)
    with pytest.raises(GradientError, match="order 2"):
        gradcheck(cube, P, order=2)


def test_the_checker_catches_faults_where_complex_numbers_are_refused() -> None:
    @op(lambda g, z, x, y: g * x / z, lambda g, z, x, y: g * y / z * 1.00001)
    def length(x: Any, y: Any) -> Any:
        return np.hypot(x, y)

    with pytest.raises(GradientError, match=r"argument 1.*central differences"):
        gradcheck(length, P, Q)


def test_the_checker_refuses_float32() -> None:
    with pytest.raises(TypeError, match="float32"):
        gradcheck(np.sin, np.ones(2, np.float32))


def test_at_a_kink_the_checker_takes_what_lies_between_both_slopes() -> None:
    x = np.array([0.0, 1.0, -1.0])
    assert gradcheck(np.abs, x)
    assert gradcheck(autonn.relu, x)
    assert gradcheck(lambda x: np.maximum(x, 1.0), x)
    beyond = op(lambda g, z, x: g * np.where(np.equal(x, 0), 1.1, np.sign(x)))(np.abs)
    with pytest.raises(GradientError, match=r"index \(0,\): 1.1.*between -1.0 and 1.0"):
        gradcheck(beyond, x)


def test_the_second_derivative_of_the_variance_of_equal_values() -> None:
    """It is constant, 2/n (1 - 1/n) on the diagonal; that of the deviation is 0 at its kink."""
    for value in (0.0, 0.1, -1e8):
        x = np.full(3, value)
        expected = 2 / 3 * (np.eye(3) - 1 / 3)
        np.testing.assert_allclose(autonn.hessian(np.var)(x), expected, rtol=1e-15, atol=1e-16)
        assert not autonn.hessian(np.std)(x).any()
        assert not grad(np.var)(x).any()
