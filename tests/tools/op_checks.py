"""What is checked of a row of the ops' table: its value, gradients of both orders, and the rest."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from tools.oprows import Array, Random, Row
from tools.optable import TABLE
from tools.profiles import DEEP, THOROUGH

from autonn import (
    Tensor,
    vjp,
)

# The table has over 500 rows for some 290 ops. Every day each row is drawn four times, in the ci
# profile each op 40 times, its rows by turns, and 400 in a night; of what is checked beside values
# and slopes, one thing at each draw. Of 800 faults planted in rules by lot, 689 are caught by the
# first and 711 by the second; 657 by all that can be checked of two draws, which takes as long.
# A seed cannot be shrunk, and to draw one by Hypothesis takes as long as what is checked: so it
# draws a few, and each of them gives several.
PER_OP = settings(max_examples=20 if DEEP else 2, phases=(Phase.generate,))
ROUNDS = 20 if THOROUGH else 2

CHECKED = settings(max_examples=20 if DEEP else 1, phases=(Phase.generate,))

SEEDS = st.integers(0, 2**32 - 1)

ELEMENTWISE = [row for row in TABLE if row.arity]

BINARY = [row for row in ELEMENTWISE if row.arity == 2]

Arrays = tuple[Array, ...]

Option = TypeVar("Option")

Check = Callable[[Row, Arrays, Random], None]

NAMES = list(dict.fromkeys(row.name for row in TABLE))

every_op = pytest.mark.parametrize("name", NAMES)

every_elementwise_row = pytest.mark.parametrize(
    "row", ELEMENTWISE, ids=[f"{row.name}-{i}" for i, row in enumerate(ELEMENTWISE)]
)

every_binary_row = pytest.mark.parametrize(
    "row", BINARY, ids=[f"{row.name}-{i}" for i, row in enumerate(BINARY)]
)


def in_turn(options: Sequence[Option], turn: int) -> Option:
    """Return one of them, after so many turns."""
    return options[turn % len(options)]


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
    lay, lay_v = in_turn(LAYOUTS, int(rng.integers(len(LAYOUTS))))
    laid = tuple(lay(a) for a in args)
    value, others = run(row, laid, lay_v(v))
    exact = alike and np.array_equal(row.value(*laid), row.value(*args))
    for got, right in zip([value, *others], [expected, *gradients], strict=True):
        if exact:
            assert_same(got, right)
        else:
            assert_close(got, right, 1e-14)


FAR = np.array([0.0, -0.0, 40, -40, 300, -300, 500, -500, 745, -745, 1e4, -1e4, 1e8, -1e8])


def check_saturation(row: Row, args: Arrays, rng: Random) -> None:
    if row.arity:
        far = [rng.choice(FAR, a.shape) for a in args]
        silently(row, far, np.ones(np.broadcast_shapes(*(a.shape for a in far))))


OTHER_CHECKS: list[Check] = [check_kinks, check_float32, check_layouts, check_saturation]
