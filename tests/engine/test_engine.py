"""The engine: every rule against differences, graphs that behave, errors that help."""

from __future__ import annotations

import contextlib
import copy
import gc
import pickle
import threading
import tracemalloc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tools.refusals import assert_refused

import autonn
from autonn import Tensor, grad, no_grad, value_and_grad
from autonn.engine.op import OPS

Array = NDArray[Any]
RNG = np.random.default_rng(0)


def rows(*shape: int, low: float = -2.0, high: float = 2.0) -> Array:
    return RNG.uniform(low, high, shape)


def differences(f: Callable[..., Array], args: tuple[Array, ...], k: int, v: Array) -> Array:
    """Differentiate <v, f> by argument k: central differences, extrapolated to order h^4."""
    gradient = np.zeros_like(args[k])
    for index in np.ndindex(gradient.shape):

        def slope(h: float, index: tuple[int, ...] = index) -> Any:
            sides: list[Any] = []
            for sign in (1, -1):
                moved = [np.array(a) for a in args]
                moved[k][index] += sign * h
                sides.append(np.vdot(v, f(*moved)))
            return (sides[0] - sides[1]) / (2 * h)

        gradient[index] = (4 * slope(5e-4) - slope(1e-3)) / 3
    return gradient


def assert_close(got: Array, expected: Array, tolerance: float) -> None:
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= tolerance * max(1, np.abs(expected).max())


def test_a_rule_of_the_wrong_shape_cannot_hide() -> None:
    right = OPS["exp"].rules
    object.__setattr__(OPS["exp"], "rules", (lambda g, z, x: np.sum(g * z),))
    try:
        with pytest.raises(AssertionError, match="rule of exp returned shape"):
            np.exp(Tensor(np.ones(3), requires_grad=True)).sum().backward()
    finally:
        object.__setattr__(OPS["exp"], "rules", right)


# ---- NumPy citizenship


def test_numpy_functions_and_operators_give_tensors() -> None:
    x = Tensor(rows(3, 3), requires_grad=True)
    a = rows(3, 3)
    for result in (
        np.exp(x), np.sum(x, axis=0), a @ x, x @ a, a * x, a - x, np.float64(2) * x, 2 / x, x.T,
        np.where(a > 0, x, 0), np.concatenate([a, x]), -x, abs(x), 2**x, x**2, np.float32(1) + x,
    ):  # fmt: skip
        assert isinstance(result, Tensor)
        assert result.requires_grad
    assert (x > 0).dtype == bool
    assert not (x > 0).requires_grad
    assert isinstance(np.argmax(x, axis=1), np.ndarray)
    assert np.shape(x) == (3, 3)
    assert np.ndim(x) == 2
    assert np.size(x) == len(x) ** 2
    assert [row.shape for row in x] == [(3,)] * 3


def test_functions_of_arrays_give_arrays() -> None:
    assert type(autonn.sigmoid(np.zeros(2))) is np.ndarray
    assert autonn.relu(-1.0) == 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: np.fft.fft(x), "np.fft.fft"),
        (lambda x: np.linalg.eig(x), "np.linalg.eig"),
        (lambda x: np.nextafter(x, 2), "np.nextafter"),
        (lambda x: np.add.at(x, 0, 1), "np.add.at"),
        (lambda x: np.add.reduceat(x, [0, 1]), "np.add.reduceat"),
        (lambda x: np.exp(x, where=np.ones(2, bool)), "np.exp with where="),
        (lambda x: np.asarray(x), "does not turn into an array"),
        (lambda x: np.array([x, x]), "does not turn into an array"),
        (lambda x: x + "a", "add takes Tensors, arrays and numbers, not 'a'"),
        (lambda x: x * None, "multiply takes"),
        (lambda x: x @ "a", "matmul takes"),
    ],
)
def test_what_has_no_op_is_a_type_error_that_names_it(
    call: Callable[[Tensor], Any], words: str
) -> None:
    with pytest.raises(TypeError) as caught:
        call(Tensor(np.ones((2, 2)), requires_grad=True))
    assert words in str(caught.value)


X = Tensor(np.ones((2, 3)), requires_grad=True)
BAD: list[tuple[Callable[[], Any], type[Exception], list[str]]] = [
    (lambda: X @ np.ones((2, 3)), ValueError, ["matmul", "(2, 3) and (2, 3)", ".T"]),
    (lambda: X @ Tensor(2.0), ValueError, ["matmul"]),
    (lambda: X + np.ones(4), ValueError, ["add", "(2, 3) and (4,)", "equal or 1"]),
    (lambda: X.reshape(4, 2), ValueError, ["reshape"]),
    (lambda: np.concatenate([X, np.ones((2, 2))]), ValueError, ["concatenate", "(2, 2)"]),
    (lambda: np.concatenate([]), ValueError, ["concatenate"]),
    (lambda: X.sum(axis=5), np.exceptions.AxisError, ["axis 5"]),
    (lambda: X.sum(axis=(0, 0)), ValueError, ["duplicate"]),
    (lambda: X.transpose(0, 0), ValueError, ["axis"]),
    (lambda: X[5], IndexError, ["index 5"]),
    (lambda: X["a"], IndexError, ["indices"]),
    (lambda: X[1.5], IndexError, ["indices"]),
    (lambda: X[np.ones(3, bool)], IndexError, ["boolean"]),
    (lambda: X.__setitem__(0, 1), RuntimeError, ["np.where"]),
    (lambda: np.add(X, 1, out=(np.ones((2, 3)),)), RuntimeError, ["np.add", "out="]),
    (lambda: X.backward(), RuntimeError, ["(2, 3)", "gradient"]),
    (lambda: Tensor(1.0).backward(), RuntimeError, ["requires_grad=True"]),
    (lambda: (X * 1).backward(np.ones(3)), ValueError, ["(3,)", "(2, 3)"]),
    (lambda: (X * 1).backward(np.ones((2, 3), "f4")), TypeError, ["float32", "float64"]),
    (lambda: (X * 1).backward("a"), TypeError, ["numbers"]),
    (lambda: Tensor([1, 2], requires_grad=True), TypeError, ["int64", "dtype=float"]),
    (lambda: Tensor([True], requires_grad=True), RuntimeError, ["bool"]),
    (lambda: Tensor([1j], requires_grad=True), TypeError, ["complex"]),
    (lambda: X * 1j, TypeError, ["multiply", "complex128"]),
    (lambda: Tensor(["a"]), TypeError, ["numbers"]),
    (lambda: Tensor(None), TypeError, ["numbers"]),  # type: ignore[arg-type]
    (lambda: Tensor([[1.0], [1.0, 2.0]]), ValueError, ["inhomogeneous"]),
    (lambda: Tensor([X, X]), TypeError, ["np.stack"]),
    (lambda: float(X), ValueError, ["size 1"]),
    (lambda: X.item(), ValueError, ["size 1"]),
    (lambda: bool(X), ValueError, ["ambiguous"]),
    (lambda: setattr(X, "data", np.ones(3)), ValueError, ["(3,)", "(2, 3)"]),
    (lambda: setattr(X, "data", np.ones((2, 3), "f4")), ValueError, ["float32"]),
    (lambda: setattr(X * 1, "data", np.ones((2, 3))), RuntimeError, ["multiply"]),
    (lambda: grad(lambda x: x)(np.ones(2)), RuntimeError, ["single number", "(2,)"]),
    (lambda: grad(lambda x: x)(1), TypeError, ["int64"]),
    (lambda: pickle.dumps(X * 2), RuntimeError, ["detach"]),
]


@pytest.mark.parametrize(("call", "error", "words"), BAD, ids=range(len(BAD)))
def test_bad_calls_say_what_came_and_what_to_do(
    call: Callable[[], Any], error: type[Exception], words: list[str]
) -> None:
    assert_refused(call, error, words)


# ---- graphs


def test_backward_twice_needs_a_retained_graph_and_is_exactly_twice() -> None:
    x = Tensor(rows(3), requires_grad=True)
    y = np.sum(np.exp(x) * x)
    y.backward(retain_graph=True)
    once = x.grad.copy()
    y.backward()
    np.testing.assert_array_equal(x.grad, 2 * once)
    with pytest.raises(RuntimeError, match=r"freed by an earlier backward.*retain_graph=True"):
        y.backward()
    np.testing.assert_array_equal(x.grad, 2 * once)


def test_a_part_shared_by_two_graphs_is_freed_by_the_first() -> None:
    x = Tensor(2.0, requires_grad=True)
    shared = x * x
    (shared * 1).backward()
    with pytest.raises(RuntimeError, match=r"multiply.*was freed"):
        (shared * 2).backward()
    assert x.grad == 4


def test_create_graph_gives_gradients_of_gradients() -> None:
    x = Tensor(3.0, requires_grad=True)
    (x**4).backward(create_graph=True)
    first, x.grad = x.grad, None
    assert first.item() == 4 * 3**3
    first.backward()
    assert x.grad == 12 * 3**2

    def penalty(c: Any) -> Any:
        (slope,) = autonn.gradients(c * x**4, [x], create_graph=True)
        return autonn.gradients(slope**2, [x])

    for f in (penalty, autonn.compile(penalty)):
        assert f(np.array(2.0)) == [2 * (8 * 3**3) * (24 * 3**2)]
    with pytest.raises(ValueError, match="leave by_rows out"):
        autonn.gradients(x**2, [x], by_rows=True, create_graph=True)


def test_detach_and_no_grad_cut_the_graph() -> None:
    x = Tensor(3.0, requires_grad=True)
    (x * x.detach()).backward()
    assert x.grad == 3
    with no_grad():
        assert not (x * x).requires_grad

    @no_grad()
    def f() -> Tensor:
        return x * x

    assert not f().requires_grad
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert (x * x).requires_grad


def test_no_grad_is_for_one_thread_alone() -> None:
    x = Tensor(3.0, requires_grad=True)
    seen: list[bool] = []
    inside, leave = threading.Event(), threading.Event()

    def quiet() -> None:
        with no_grad():
            inside.set()
            leave.wait(10)
            seen.append((x * x).requires_grad)

    thread = threading.Thread(target=quiet)
    thread.start()
    inside.wait(10)
    seen.append((x * x).requires_grad)
    leave.set()
    thread.join()
    assert seen == [True, False]


def test_eight_threads_at_once_get_their_own_gradients() -> None:
    w = Tensor(rows(20, 20))
    found: dict[int, bool] = {}

    def work(k: int) -> None:
        x = Tensor(np.full((20, 20), float(k)), requires_grad=True)
        for _ in range(50):
            x.grad = None
            np.sum(x * x @ w).backward()
        found[k] = np.array_equal(x.grad, 2 * k * np.broadcast_to(w.data.sum(axis=1), (20, 20)))

    def exact(k: int) -> None:
        x = Tensor(np.full((20, 20), float(k)), requires_grad=True)
        for _ in range(50):
            x.grad = None
            np.sum(x * x * w).backward()
            found[k] = found.get(k, True) and np.array_equal(x.grad, k * w.data + k * w.data)

    threads = [threading.Thread(target=exact, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == dict.fromkeys(range(8), True)


def chain(x: Tensor, length: int) -> Tensor:
    y = x
    for _ in range(length):
        y = y * 1.0
    return y.sum()


def test_a_hundred_thousand_ops_are_neither_pulled_nor_dropped_by_recursion(no_gc: None) -> None:
    x = Tensor(np.ones(10), requires_grad=True)
    chain(x, 100_000).backward()
    np.testing.assert_array_equal(x.grad, 1)
    chain(x, 100_000)


@pytest.mark.parametrize("backward", [True, False])
def test_the_memory_of_a_chain_comes_back_without_the_garbage_collector(
    backward: bool, no_gc: None
) -> None:
    x = Tensor(np.ones(10), requires_grad=True)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        loss = chain(x, 10_000)
        assert tracemalloc.get_traced_memory()[0] - before > 1_000_000
        if backward:
            loss.backward()
        del loss
        # what is left is in the interpreter's free lists, which have a limit
        assert tracemalloc.get_traced_memory()[0] - before < 400_000
    finally:
        tracemalloc.stop()


def test_dropping_the_loss_frees_the_graph_without_the_garbage_collector() -> None:
    gc.disable()
    try:
        x = Tensor(rows(3), requires_grad=True)
        middle = np.exp(x)
        alive = weakref.ref(middle)
        loss = middle.sum()
        del middle
        assert alive() is not None
        del loss
        assert alive() is None
    finally:
        gc.enable()


def test_many_paths_and_many_uses_take_linear_time() -> None:
    x = Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(40):
        y = y + y
    y.backward()
    assert x.grad == 2.0**40
    x.grad = None
    total = x * 0
    for _ in range(5000):
        total = total + x
    total.backward()
    assert x.grad == 5000


def test_gradients_are_never_shared() -> None:
    x, y = (Tensor(rows(3), requires_grad=True) for _ in range(2))
    incoming = np.ones(3)
    (x + y).backward(incoming)
    assert not np.shares_memory(x.grad, y.grad)
    assert not np.shares_memory(x.grad, incoming)
    z = Tensor(rows(3), requires_grad=True)
    z.backward(incoming)
    assert not np.shares_memory(z.grad, incoming)


@pytest.mark.parametrize("size", [3, 2000])
def test_a_gradient_that_a_rule_keeps_is_not_added_to(size: int) -> None:
    kept = np.full(size, 5.0)

    @autonn.op(lambda g, z, x: kept)
    def fixed(x: Any) -> Any:
        return 5 * x

    @autonn.op(lambda g, z, x: kept[:])
    def viewed(x: Any) -> Any:
        return 5 * x

    x = Tensor(np.ones(size), requires_grad=True)
    for f in (fixed, viewed):
        x.grad = None
        np.sum(f(x) + f(x) + f(x)).backward()
        assert np.all(x.grad == 15)
        assert np.all(kept == 5)

    x.grad = None
    incoming = np.full(size, 2.0)
    (x + x + x).backward(incoming)
    assert np.all(x.grad == 6)
    assert np.all(incoming == 2)


@pytest.mark.parametrize("size", [3, 20_000])
def test_changed_arrays_never_give_a_wrong_gradient(size: int) -> None:
    """Small ones are copied, large ones are read-only while a graph needs them."""

    def attempt(write: Callable[[], None]) -> None:
        with contextlib.suppress(ValueError):
            write()

    constant = np.full(size, 3.0)
    view = constant[1:]
    x = Tensor(np.full(size, 2.0), requires_grad=True)
    y: Tensor = np.sum(x * constant * view.base)
    attempt(lambda: constant.__setitem__(0, 100.0))
    y.backward()
    assert np.all(x.grad == 9)
    constant[0] = view[0] = 5.0  # writable again

    x.grad = None
    y = np.sum(x * x)
    x.data[0] = 100.0
    y.backward()
    assert np.all(x.grad == 4)
    assert x.data[0] == 100

    x = Tensor(np.full(size, 2.0), requires_grad=True)
    alias = x.data
    y = np.sum(x * x)
    attempt(lambda: alias.__setitem__(0, 7.0))
    y.backward()
    assert np.all(x.grad == 4)
    alias[0] = 1.0
    assert x.data[0] == 1

    x = Tensor(np.full(size, 2.0), requires_grad=True)
    y = np.sum(x * x)
    x.data = np.zeros(size)
    y.backward(retain_graph=True)
    assert np.all(x.grad == 4)
    with pytest.raises(RuntimeError, match="got new data"):
        y.backward(create_graph=True)


def test_an_array_is_read_only_until_the_last_graph_that_needs_it_is_gone() -> None:
    array = np.full((2, 20_000), 3.0)
    x = Tensor(np.ones(20_000), requires_grad=True)
    graphs = [x * array, x * array[0], x * array[1], x * array]
    graphs.pop()
    np.sum(graphs[2]).backward()
    np.sum(graphs[0]).backward()
    with pytest.raises(ValueError, match="read-only"):
        array[:] = 1
    np.sum(graphs[1]).backward()
    array[:] = 1
    assert np.all(x.grad == 12)


def test_a_shared_array_is_protected_too() -> None:
    array = np.full(20_000, 2.0)
    x = Tensor(array, requires_grad=True, copy=False)
    flat = x.reshape(100, 200)
    y: Tensor = np.sum(flat * flat)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    y.backward()
    array[0] = 1
    assert np.all(x.grad == 4)


def test_results_are_read_only_and_leaves_are_not() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(ValueError, match="read-only"):
        (x * 2).data[0] = 1
    x.data -= 0.5
    np.testing.assert_array_equal(x.data, [0.5, 1.5])
    x.numpy()[0] = 9
    assert x.data[0] == 0.5


def test_leaves_can_be_copied_and_pickled() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    x.grad = np.ones(2)
    for y in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert y.requires_grad
        np.testing.assert_array_equal(y.data, x.data)
        np.testing.assert_array_equal(y.grad, x.grad)
        assert not np.shares_memory(y.data, x.data)


# ---- functions of functions


def test_gradients_have_the_form_of_the_arguments() -> None:
    tree = {"w": np.ones((2, 3)), "x": [np.arange(3.0), (2.0,)]}
    value, gradient = value_and_grad(lambda p: np.sum(p["w"] @ p["x"][0]) * p["x"][1][0])(tree)
    assert value == 12
    assert list(gradient) == ["w", "x"]
    np.testing.assert_array_equal(gradient["w"], 2 * np.tile(np.arange(3.0), (2, 1)))
    np.testing.assert_array_equal(gradient["x"][0], [4, 4, 4])
    assert gradient["x"][1] == (6,)


def test_argnums_keywords_and_unused_arguments() -> None:
    def f(x: Any, y: Any, *, scale: float) -> Any:
        return scale * x * x

    assert grad(f, argnums=(0, 1))(3.0, 2.0, scale=2.0) == (12, 0)
    assert grad(lambda x: 5.0)(1.0) == 0


def test_nested_gradients_keep_their_variables_apart() -> None:
    assert grad(grad(grad(lambda x: x**4)))(2.0) == 48
    assert grad(lambda x: x * grad(lambda y: x * y * y)(3.0))(2.0) == 24
    assert grad(lambda x: grad(lambda y: x * y)(x))(5.0) == 1


def test_gradients_leave_parameters_alone() -> None:
    w = Tensor(2.0, requires_grad=True)
    with no_grad():
        gradient = grad(lambda x: w * x)(3.0)
    assert type(gradient) is np.ndarray
    assert gradient == 2
    assert w.grad is None


def test_a_derivative_by_inputs_leads_to_the_parameters() -> None:
    w = Tensor(3.0, requires_grad=True)
    slope = grad(lambda x: w * x * x)(2.0)
    ((slope - 1) ** 2 + 0 * w).backward()
    assert w.grad == 88


def test_tensors_in_tensors_out() -> None:
    x = Tensor(3.0, requires_grad=True)
    gradient = grad(lambda x: x**3)(x)
    gradient.backward()
    assert x.grad == 18


@given(st.integers(0, 2**32 - 1))
def test_random_graphs_agree_with_differences(seed: int) -> None:
    """Draw a graph that reuses what it has, and compare its gradient with differences."""
    plan = np.random.default_rng(seed)
    mask = plan.random((3, 3)) < 0.5
    steps = [(plan.integers(7), plan.integers(100), plan.integers(100)) for _ in range(8)]

    def f(x: Any) -> Any:
        pool = [x, np.broadcast_to(np.sum(x, axis=0), (3, 3)), x.T]
        for kind, i, j in steps:
            a, b = pool[i % len(pool)], pool[j % len(pool)]
            made = [
                lambda a, b: a + b, lambda a, b: a * b, lambda a, b: a @ b, lambda a, b: np.tanh(a),
                lambda a, b: a - np.mean(b), lambda a, b: np.where(mask, a, b / 2),
                lambda a, b: autonn.sigmoid(a)[::-1],
            ][kind](a, b)  # fmt: skip
            pool.append(np.tanh(made))
        return sum(np.sum(node) for node in pool)

    x = plan.uniform(0.2, 1, (3, 3))
    numeric = lambda a: np.asarray(f(Tensor(a)).data)  # noqa: E731
    assert_close(grad(f)(x), differences(numeric, (x,), 0, np.ones(())), 1e-7)


@pytest.mark.parametrize("same", [np.squeeze, np.ravel, np.positive, lambda x: x[...]])
def test_a_result_that_is_its_argument_shares_nothing_with_an_exposed_leaf(same: Any) -> None:
    x = Tensor(np.array([1.0, 2.0, 3.0]), requires_grad=True)
    data = x.data
    y = same(x)
    z = np.sum(y * y)
    data[...] = 10.0
    z.backward()
    assert x.grad.tolist() == [2.0, 4.0, 6.0]


def test_gradients_leave_grad_alone_and_have_none_themselves() -> None:
    x, y = (Tensor(v, requires_grad=True) for v in (2.0, 5.0))
    (dx, dy) = autonn.gradients(x**3, [x, y])
    assert (dx, dy, x.grad) == (12.0, 0.0, None)
    results: list[Any] = [np.float64(dx), Tensor(1.0)]
    for result in results:
        with pytest.raises(RuntimeError, match="requires_grad=True"):
            autonn.gradients(result, [x])
    second = autonn.compile(lambda c: autonn.gradients(autonn.gradients(c * x**3, [x])[0], [x]))
    with pytest.raises(RuntimeError, match="second derivatives"):
        second(np.array(1.0))
