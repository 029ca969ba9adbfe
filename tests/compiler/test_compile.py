"""compile: what it computes is what the function computes, and the source is what it runs."""

from __future__ import annotations

import copy
import itertools
import os
import pickle
import re
import threading
import warnings
from collections import namedtuple
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tools.oprows import Row
from tools.optable import OTHER_AT_THE_EDGES, TABLE
from tools.profiles import THOROUGH

import autonn
from autonn import (
    CrossEntropy,
    Dropout,
    Layer,
    MeanSquaredError,
    Module,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    SoftmaxCrossEntropy,
    Tanh,
    Tensor,
    checkpoint,
    compile,
    grad,
    gradients,
    hessian,
    hvp,
    jacobian,
    jvp,
    l2_penalty,
    no_grad,
    op,
    sigmoid,
    stop_gradient,
    threads,
    value_and_grad,
    vjp,
)
from autonn.compiler import Compiled
from autonn.compiler.partition import LEAST_ROWS
from autonn.engine.modes import TracedValueError

Array = NDArray[Any]
SEEDS = st.integers(0, 2**32 - 1)


def leaves(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return [leaf for branch in tree.values() for leaf in leaves(branch)]
    if isinstance(tree, list | tuple):
        return [leaf for branch in tree for leaf in leaves(branch)]
    return [tree.data if isinstance(tree, Tensor) else np.asarray(tree)]


def largest(a: Array) -> float:
    finite = np.abs(a[np.isfinite(a)]) if a.dtype.kind == "f" else np.abs(a.ravel())
    return float(finite.max(initial=0))


def assert_agree(compiled: Any, eager: Any, tolerance: float = 1e-13) -> None:
    """Demand the same structure, shapes, dtypes and, relative to the largest, values.

    Terms that cancel leave their last digits: 8 of them are allowed, of the largest of all.
    """
    ours, theirs = leaves(compiled), leaves(eager)
    assert len(ours) == len(theirs)
    of_all = max(map(largest, theirs), default=0.0)
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        scale = 2e8 * tolerance if a.dtype == np.float32 else tolerance
        digits = 8 * float(np.finfo(a.dtype).eps) * of_all if a.dtype.kind == "f" else 0.0
        atol = max(scale * largest(b), min(tolerance / 1e-13, 1) * digits)
        np.testing.assert_allclose(a, b, rtol=scale, atol=atol)


def standalone(f: Compiled, *given: Any) -> Any:
    """Run the source in a namespace of its own, as if it were pasted into a file."""
    namespace: dict[str, Any] = {}
    exec(f.source, namespace)
    assert f.programs.latest is not None
    closed_over = [a for a in f.programs.latest.live if isinstance(a, np.ndarray)]
    return namespace["program"](*given, *closed_over)


# ---- every op


@pytest.mark.parametrize("row", [r for r in TABLE if not r.compiles], ids=lambda row: row.name)
def test_what_has_shapes_that_depend_on_values_is_refused(row: Row) -> None:
    args = row.draw(np.random.default_rng(0), True)
    with pytest.raises(TracedValueError, match=r"test_.*|rows_.*"):
        compile(row.f)(*args)


@pytest.mark.parametrize("row", [r for r in TABLE if r.compiles], ids=lambda row: row.name)
def test_every_op_compiled_equals_itself(row: Row) -> None:
    if row.name in OTHER_AT_THE_EDGES:
        pytest.skip("the forward has other values at the edges before SciPy 1.14")
    call, rng = row.f, np.random.default_rng(sum(map(ord, row.name)))

    def weighted(w: Any, *args: Any) -> Any:  # whatever it reads is looked through: not the row
        return np.sum(call(*args) * w)

    draws = [row.draw(rng, True) for _ in range(2)]
    both = value_and_grad(weighted, tuple(range(1, len(draws[0]) + 1)))
    # To derive a program takes longer than all the rest: every day each is derived of one draw,
    # and where a run is thorough of both, whose shapes may differ.
    pairs = [(row.f, draws[: 1 + THOROUGH]), (both, draws[not THOROUGH :])]
    for f, drawn in pairs:
        compiled = compile(f)
        for args in drawn:
            weights = rng.uniform(0.5, 1.5, np.shape(row.f(*(Tensor(a) for a in args))))
            of = args if f is row.f else (weights, *args)
            ours = compiled(*of)
            assert_agree(ours, f(*(Tensor(a) for a in of)), 1e-12)
            for same in (standalone(compiled, *of), compiled(*of)):  # `ours` is not written over
                for a, b in zip(leaves(same), leaves(ours), strict=True):
                    assert np.array_equal(a, b, equal_nan=True)


# ---- networks


@st.composite
def problems(draw: Any) -> Any:
    """Draw a network, a cost, and data for it."""
    rng = np.random.default_rng(draw(SEEDS))
    dtype = draw(st.sampled_from([np.float64, np.float32]))
    sizes = draw(st.lists(st.integers(1, 6), min_size=2, max_size=4))
    kinds = [Sigmoid, Tanh, ReLU]
    modules: list[Module] = []
    for a, b in itertools.pairwise(sizes):
        modules += [Layer(a, b, rng=rng, dtype=dtype), draw(st.sampled_from(kinds))()]
        if draw(st.booleans()):
            modules.append(Dropout(0.3, rng=int(rng.integers(1000))))
    last = draw(st.sampled_from(["sigmoid", "softmax", "logits", "squares"]))
    modules = modules[: -1 - isinstance(modules[-1], Dropout)]
    if last in ("sigmoid", "softmax"):
        modules.append(Sigmoid() if last == "sigmoid" else Softmax())
    loss: Any = {
        "sigmoid": CrossEntropy(),
        "softmax": SoftmaxCrossEntropy(),
        "logits": SoftmaxCrossEntropy(),
        "squares": MeanSquaredError(),
    }[last]
    return Sequential(*modules), loss, sizes, dtype, rng, last, draw(st.floats(0, 2))


def data(m: int, sizes: list[int], dtype: Any, rng: Any, last: str) -> tuple[Array, Array]:
    X = rng.standard_normal((m, sizes[0])).astype(dtype)
    if last == "squares":
        return X, rng.standard_normal((m, sizes[-1])).astype(dtype)
    return X, rng.integers(0, sizes[-1], m)


@given(problems(), st.integers(1, 5))
def test_a_network_compiled_equals_itself(problem: Any, m: int) -> None:
    model, loss, sizes, dtype, rng, last, lam = problem

    def step(X: Any, y: Any) -> Any:
        cost = loss(model(X), y) + l2_penalty(model, lam, examples=m)
        return cost.detach(), gradients(cost, model.parameters())

    compiled = compile(step)
    twin = copy.deepcopy(model)  # its dropout draws the same
    for _ in range(3):  # with other data and other parameters each time
        X, y = data(m, sizes, dtype, rng, last)
        ours = compiled(X, y)
        cost = loss(twin(X), y) + l2_penalty(twin, lam, examples=m)
        assert_agree(ours, (cost.data, gradients(cost, twin.parameters())), 1e-12)
        for a, b in zip(model.parameters(), twin.parameters(), strict=True):
            a.data -= 0.1 * np.sign(a.data)
            b.data = a.data


@given(problems(), st.integers(1, 4))
def test_a_compiled_loss_has_its_gradients_with_it(problem: Any, m: int) -> None:
    model, loss, sizes, dtype, rng, last, _ = problem
    model.eval()
    X, y = data(m, sizes, dtype, rng, last)
    compiled = compile(lambda X, y: loss(model(X), y))
    for _ in range(3):
        ours = compiled(X, y)
        ours.backward()
    total = [p.grad for p in model.parameters()]
    model.zero_grad()
    cost = loss(model(X), y)
    cost.backward()
    assert_agree([ours, *total], [cost, *(3 * p.grad for p in model.parameters())], 1e-12)


# ---- transforms of transforms


def curve(x: Any) -> Any:
    return np.sum(np.sin(x) * np.exp(x / 3)) + np.prod(x)


X3 = np.array([0.3, -1.2, 2.0])
V3 = np.array([1.0, 0.5, -2.0])


@pytest.mark.parametrize(
    "f",
    [
        grad(curve),
        value_and_grad(curve),
        jacobian(lambda x: np.tanh(x) * np.sum(x)),
        hessian(curve),
        grad(lambda x: grad(curve)(x) @ V3),
        lambda x: hvp(curve, x, V3),
        lambda x: jvp(np.tanh, x, V3),
        lambda x: vjp(np.tanh, x)[1](V3),
        lambda x: np.sum(stop_gradient(x) * x),
        grad(lambda x: np.sum(stop_gradient(x) * x)),
        grad(checkpoint(lambda x: np.sum(np.sin(np.cos(x))))),
        grad(lambda x: np.sum(x ** np.array([2.0, 3.0, 1.0]) + np.sort(x)[1])),
    ],
)
def test_transforms_are_compiled_and_compiled_functions_transformed(f: Any) -> None:
    assert_agree(compile(f)(X3), f(X3))
    assert_agree(compile(compile(f))(X3), f(X3))


def test_a_compiled_function_can_be_differentiated() -> None:
    assert_agree(grad(compile(curve))(X3), grad(curve)(X3))
    assert_agree(hessian(compile(curve))(X3), hessian(curve)(X3))
    x = Tensor(X3, requires_grad=True)
    compile(curve)(x).backward()
    assert_agree(x.grad, grad(curve)(X3))


# ---- what it takes and gives

Pair = namedtuple("Pair", ["first", "second"])


@pytest.mark.parametrize(
    "tree",
    [
        {"a": X3, "b": [V3, X3]},
        (X3, (V3, X3)),
        [X3, {"c": V3, "d": X3}],
        Pair(X3, [V3, X3]),
    ],
)
def test_trees_of_arrays_come_and_go(tree: Any) -> None:
    def f(tree: Any) -> Any:
        a, b, c = leaves_of(tree)
        return np.sum(a * np.sin(b) * c)

    def leaves_of(tree: Any) -> Any:
        if isinstance(tree, dict):
            return [leaf for branch in tree.values() for leaf in leaves_of(branch)]
        if isinstance(tree, list | tuple):
            return [leaf for branch in tree for leaf in leaves_of(branch)]
        return [tree]

    ours, theirs = compile(grad(f))(tree), grad(f)(tree)
    assert type(ours) is type(theirs)
    assert_agree(ours, theirs)


def test_tensors_give_tensors_and_arrays_arrays() -> None:
    f = compile(lambda x: (np.sin(x), np.sum(x)))
    values, total = f(X3)
    assert (type(values), type(total)) == (np.ndarray, np.float64)
    values, total = f(Tensor(X3))
    assert (type(values), type(total)) == (Tensor, Tensor)
    assert not values.requires_grad


def test_results_are_the_callers_own() -> None:
    f = compile(lambda x, y: (x, x.T, x + y, x + y, np.reshape(x + y, -1), y))
    x, y = np.arange(6.0).reshape(2, 3), np.ones((2, 3))
    first = f(x, y)
    kept = copy.deepcopy(first)
    for a, b in itertools.combinations([x, y, *first], 2):
        assert not np.shares_memory(a, b)
    for result in first:
        result += 100.0  # whatever the caller does with them
    second = f(x, y)
    for a, b in zip(second, kept, strict=True):
        assert np.array_equal(a, b)
    f(x * 2, y)
    for a, b in zip(second, kept, strict=True):
        assert np.array_equal(a, b)


def test_numbers_are_data_once_they_change() -> None:
    def f(x: Any, lam: float, n: int) -> Any:
        return np.sum(x**n) * lam

    compiled = compile(f)
    for lam in (0.5, 0.5, 0.25, 2.0, -1.0):
        assert_agree(compiled(X3, lam, 2), f(X3, lam, 2))
        x32 = X3.astype(np.float32)
        assert_agree(compiled(x32, lam, 2), f(x32, lam, 2))
    assert sum(map(len, compiled.programs.kept.values())) == 4  # as a number, then as data
    assert_agree(compiled(X3, 2.0, 3), f(X3, 2.0, 3))


def test_numbers_that_are_read_stay_part_of_the_program() -> None:
    def f(x: Any, lam: float) -> Any:
        return np.sum(x) * lam if lam > 0 else np.sum(x)

    compiled = compile(f)
    for lam in (0.5, -1.0, 2.0, 0.5):
        assert_agree(compiled(X3, lam), f(X3, lam))


NAMES = re.findall(
    r"\w+",
    "one two zero half k c0 ones_4200 work workspace spare np special program part rows share map "
    "added slice SLICES before after t0 t1 b b0 b1 m0 t total x first others put sigmoid math",
)


def test_no_name_of_an_argument_is_mistaken_for_another() -> None:
    """Each argument, whatever it is called, keeps its value; whole and with rows shared out."""
    for m in (3, 4200):
        values = [np.linspace(k + 1, k + 2, m) for k in range(len(NAMES))]
        terms = " + ".join(f"np_.sin({name} * {k}.5 + 1.0)" for k, name in enumerate(NAMES))
        scope: dict[str, Any] = {"np_": np}
        exec(f"def f({', '.join(NAMES)}): return np_.sum({terms} * 2.0 - 0.25)", scope)
        compiled = compile(value_and_grad(scope["f"], argnums=(0, 7)))
        whole = compile(scope["f"])
        assert_agree(whole(*values), scope["f"](*values))
        assert shared(whole) == (m == 4200)
        assert_agree(compiled(*values), value_and_grad(scope["f"], argnums=(0, 7))(*values))


def test_minus_zero_is_not_zero() -> None:
    f = compile(lambda x: (np.copysign(x, -0.0), np.copysign(x, 0.0), x * -0.0, x + 1.0))
    assert_agree(f(X3), (-abs(X3), abs(X3), X3 * -0.0, X3 + 1))
    assert np.signbit(f(X3)[2]).tolist() == [True, False, True]


def test_methods_and_keywords() -> None:
    class Line:
        def __init__(self, slope: float) -> None:
            self.slope = slope

        @compile
        def at(self, x: Any, *, shift: Any = 0.0) -> Any:
            return self.slope * x + shift

    for slope in (2.0, 3.0):
        line = Line(slope)
        assert_agree(line.at(X3), slope * X3)
        assert_agree(line.at(X3, shift=V3), slope * X3 + V3)
        assert_agree(line.at(X3, shift=1.0), slope * X3 + 1.0)


def test_keywords_are_no_part_of_a_call_without_them() -> None:
    compiled = compile(lambda n=1: n + 1)
    assert (compiled(n=3), compiled(), compiled(5), compiled(n=3)) == (4, 2, 6, 4)


def test_an_op_of_ones_own_is_printed() -> None:
    @op(lambda g, z, x: g * 3 * x**2, formula="z = x^3")
    def cube(x: Any) -> Any:
        return x * x * x

    compiled = compile(value_and_grad(lambda x: np.sum(cube(x))))
    assert_agree(compiled(X3), (np.sum(X3**3), 3 * X3**2))
    assert "def cube(x):" in compiled.source
    assert_agree(standalone(compiled, X3), compiled(X3))


def test_copies_and_pickles_derive_their_programs_anew() -> None:
    compiled = compile(curve)
    compiled(X3)
    for twin in (pickle.loads(pickle.dumps(compiled)), copy.deepcopy(compiled)):
        assert_agree(twin(X3), curve(X3))


def test_eight_threads_at_once_get_their_own_results() -> None:
    compiled = compile(value_and_grad(curve))
    inputs = [X3 + k / 7 for k in range(8)]
    expected = [value_and_grad(curve)(x) for x in inputs]
    wrong: list[int] = []

    def work(k: int) -> None:
        for _ in range(200):
            _, gradient = compiled(inputs[k])
            if not np.allclose(gradient, expected[k][1], rtol=1e-12):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_finite_numbers_raise_no_warning() -> None:
    """Saturated logits, as in the eager cost."""
    model = Sequential(Layer(3, 4, rng=0), Sigmoid(), Layer(4, 2, rng=1), Sigmoid())
    step = compile(lambda X, y: CrossEntropy()(model(X), y))
    X = np.array([[1e4, -1e4, 3e3], [-1e4, 1e4, 700.0]])
    model[2].weight.data *= 1e4
    with np.errstate(all="raise", under="ignore"):
        step(X, np.array([0, 1])).backward()
    ours = [p.grad for p in model.parameters()]
    model.zero_grad()
    CrossEntropy()(model(X), np.array([0, 1])).backward()
    for a, p in zip(ours, model.parameters(), strict=True):
        np.testing.assert_allclose(a, p.grad, rtol=1e-13, atol=1e-290)  # s(-1e4) is 1e-308 here


# ---- guards


def small() -> Sequential:
    return Sequential(Layer(3, 4, rng=0), Tanh(), Dropout(0.5, rng=1), Layer(4, 2, rng=2))


def test_modes_shapes_and_dtypes_are_kept_apart() -> None:
    model = small()
    compiled = compile(lambda X: model(X))
    with no_grad():
        for _ in range(2):
            for X in (np.ones((2, 3)), np.ones((5, 3)), np.ones((2, 3), np.float32)):
                model.eval()
                assert_agree(compiled(X), model(X).data)
                model.train()
                assert compiled(X).shape == (len(X), 2)
        assert len([r for kept in compiled.programs.kept.values() for r in kept]) == 6
        draws = {compiled(np.ones((2, 3))).numpy().tobytes() for _ in range(20)}
    assert len(draws) > 5, "dropout draws anew at each call"


def test_a_changed_module_is_traced_again() -> None:
    model = small().eval()
    compiled = compile(lambda X: model(X))
    X = np.ones((2, 3))
    with no_grad():
        for change in (
            lambda: setattr(model[0], "weight", Tensor(np.ones((4, 3)), requires_grad=True)),
            lambda: model[0].bias.data.__iadd__(1.0),
            lambda: setattr(model[3].weight, "data", np.ones((2, 4))),
            lambda: setattr(model, "modules", (model[0], model[3])),
        ):
            before = compiled(X)
            change()
            assert not np.allclose(compiled(X), before)
            assert_agree(compiled(X), model(X).data)


def test_a_frozen_parameter_gets_no_gradient() -> None:
    model = small().eval()
    compiled = compile(lambda X, y: SoftmaxCrossEntropy()(model(X), y))
    X, y = np.ones((2, 3)), np.array([0, 1])
    compiled(X, y).backward()
    assert model[0].weight.grad is not None
    model.zero_grad()
    model[0].weight.requires_grad = False
    compiled(X, y).backward()
    assert model[0].weight.grad is None
    assert model[0].bias.grad is not None


def test_arrays_closed_over_are_read_where_they_stand() -> None:
    scale = np.array([1.0, 2.0, 3.0])
    compiled = compile(value_and_grad(lambda x: np.sum(x * scale)))
    assert_agree(compiled(X3), (X3 @ scale, scale))
    scale *= 10
    assert_agree(compiled(X3), (X3 @ scale, scale))


SCALE = 1.0


def test_what_a_name_stands_for_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    factor, weights = 2.0, np.ones(3)

    def f(x: Any) -> Any:
        return np.sum(x * weights) * factor * SCALE

    compiled = compile(grad(f))
    assert_agree(compiled(X3), np.full(3, 2.0))
    factor = 3.0
    assert_agree(compiled(X3), np.full(3, 3.0))
    weights = np.array([1.0, 2.0, 3.0])
    assert_agree(compiled(X3), 3 * weights)
    monkeypatch.setattr("test_compile.SCALE", 10.0)
    assert_agree(compiled(X3), 30 * weights)


def test_programs_are_not_kept_without_end() -> None:
    compiled = compile(lambda x, n: np.sum(x * n))
    for n in range(100):
        assert_agree(compiled(X3, n), np.sum(X3 * n))
    assert len(compiled.programs.kept) <= 64


def test_a_second_derivative_of_a_compiled_loss() -> None:
    w = Tensor(X3, requires_grad=True)
    loss = compile(lambda c: np.sum(np.sin(w) * c))(V3)
    loss.backward(create_graph=True)
    first = w.grad
    w.grad = None
    np.sum(first * V3).backward()
    assert_agree(w.grad, -np.sin(X3) * V3 * V3)


READERS = {
    "the truth": lambda x: x if np.sum(x) > 0 else -x,
    "float()": lambda x: x * float(np.sum(x)),
    "item()": lambda x: x * np.sum(x).item(),
    "int()": lambda x: x * int(np.sum(x)),
    "reading .data": lambda x: x * x.data,
    "numpy()": lambda x: x * x.numpy(),
    "Tensor()": lambda x: Tensor(x) * 2,
    "copying or pickling": lambda x: copy.copy(x),
    "allclose": lambda x: x if np.allclose(x, x) else -x,
    "nonzero": lambda x: x[np.nonzero(x)],
    "backward()": lambda x: np.sum(x).backward(),
    "setting .data": lambda x: setattr(x, "data", X3 * 2),
}


@pytest.mark.parametrize("what", READERS)
def test_reading_a_traced_value_names_the_line(what: str) -> None:
    with pytest.raises(RuntimeError, match="being compiled") as caught:
        compile(READERS[what])(X3)
    line = READERS[what].__code__.co_firstlineno
    assert str(caught.value).startswith(f"{__file__}:{line}: {what}")
    assert float(Tensor(1.0)) == 1.0, "the trace is over"


def test_the_source_is_not_there_before_a_call() -> None:
    with pytest.raises(RuntimeError, match="call it once"):
        _ = compile(curve).source


def test_errors_of_the_function_are_its_own() -> None:
    with pytest.raises(ValueError, match="matmul"):
        compile(lambda x: x @ np.ones((5, 5)))(X3)
    step = compile(lambda X, y: CrossEntropy()(sigmoid(X), y))
    step(np.zeros((2, 3)), np.array([0, 2]))
    with pytest.raises(IndexError, match="class 3 of 3 in row 1"):
        step(np.zeros((2, 3)), np.array([0, 3]))


# ---- what is left of the work


def calls(source: str) -> int:
    return sum(line.startswith("    ") and " = np." in line for line in source.splitlines())


def test_algebra_is_spared() -> None:
    for f, most in (
        (lambda x: x * 1.0 / 1.0 - 0.0, 0),
        (lambda x: np.negative(-x), 0),
        (lambda x: x.T.T.reshape(3).reshape(3), 0),
        (lambda x: np.sin(x) + np.sin(x), 2),
        (lambda x: np.sin(x) - -x, 2),
        (lambda x: -x + np.sin(x), 2),
        (lambda x: -(x * 3), 1),
        (lambda x: -x * np.sin(-x) * -2, 4),
        (lambda x: x * 3 / 0.2, 1),
        (lambda x: x * 0.3 / 5 / 7, 2),
        (lambda x: np.sum(np.broadcast_to(x[0], (5,))), 1),
        (lambda x: np.where(x > 0, x, x), 1),
        (lambda x: x * x, 1),
        (lambda x: 2 * (3 * x) * 4, 1),
        (lambda x: np.sum(x * x), 1),
        (lambda x: [np.cos(x), 1][1] + x * 2, 2),
        (lambda x: x + np.sum(np.ones(3)) * 2, 1),
        (lambda x: np.sin(x) + -x, 2),
        (lambda x: x**2, 1),
        (grad(lambda x: np.sum(x * x)), 1),
    ):
        compiled = compile(f)
        assert_agree(compiled(X3), f(X3))
        body = compiled.source.partition("def program")[2]
        assert calls(body) <= most, body


def test_transposes_are_taken_together() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    for first, second in itertools.product(itertools.permutations(range(3)), repeat=2):

        def f(x: Any, first: Any = first, second: Any = second) -> Any:
            return np.transpose(np.transpose(x, first), second) * 2.0

        compiled = compile(f)
        assert_agree(compiled(x), f(x))
        assert compiled.source.count("transpose(") + compiled.source.count(".T,") <= 1


def test_no_gradient_of_the_data_is_computed() -> None:
    model = Sequential(Layer(3, 4, rng=0), Sigmoid(), Layer(4, 2, rng=1), Sigmoid())

    def step(X: Any, y: Any) -> Any:
        cost = CrossEntropy()(model(X), y)
        return cost.detach(), gradients(cost, model.parameters())

    compiled = compile(step)
    compiled(np.ones((6, 3)), np.eye(2)[[0, 1] * 3])
    products = [line for line in compiled.source.splitlines() if "np.dot(" in line]
    assert len(products) == 9, products  # 5 of matrices, 2 sums for biases, 2 for the cost
    for name in ("weight_0", "d_weight_0", "delta_0", "delta_2", "d_bias_2", "z_2", "a_0"):
        assert f"{name} = " in compiled.source or f"{name}," in compiled.source, name


@settings(max_examples=max(10, settings().max_examples // 4))  # each is compiled 8 times
@example(5, 0, 0)
@example(0, 4, 0)
@given(st.integers(0, 700), st.integers(0, 70), SEEDS)
def test_short_rows_are_added_to_as_long_ones(m: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for dtype in (np.float32, np.float64):
        x, w = rng.standard_normal((m, 3)).astype(dtype), rng.standard_normal((n, 3)).astype(dtype)
        bias = rng.standard_normal(n)
        rules: list[Any] = [
            lambda x, w, b: np.maximum(x @ w.T + b, 0),
            lambda x, w, b: np.minimum(0.25, b - np.exp(x @ w.T)),
            lambda x, w, b: np.sum(np.maximum(np.exp(x @ w.T + b), 0)),
        ]
        for f, b in itertools.product(rules, (bias, bias.astype(np.float32))):
            assert_agree(compile(f)(x, w, b), f(x, w, b))


def test_few_long_rows_take_the_place_of_many_short_ones() -> None:
    x, w, b = np.ones((500, 3), np.float32), np.ones((25, 3), np.float32), np.ones(25, np.float32)
    compiled = compile(lambda x, w, b: np.sum(np.exp(np.minimum(x @ w.T + b, 1))))
    assert compiled(x, w, b) == pytest.approx(12500 * np.e, rel=1e-5)
    assert "np.copyto(rows, " in compiled.source
    assert len(re.findall(r"_wide, \w+, out=\w+_wide\)", compiled.source)) == 2


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("rows", "columns"), [(7, 5), (100, 100), (101, 100)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_decay_is_added_to_the_gradient_where_it_lies(
    rows: int, columns: int, order: Any, dtype: Any
) -> None:
    rng = np.random.default_rng(0)
    w = np.array(rng.standard_normal((rows, columns)), dtype, order=order)
    x = rng.standard_normal((9, columns)).astype(dtype)
    g = rng.standard_normal((9, rows)).astype(dtype)

    def f(w: Any, x: Any, g: Any) -> Any:
        return g.T @ x + w * 0.6

    compiled = compile(f)
    before = w.copy()
    first = compiled(w, x, g)
    assert_agree(first, f(w, x, g))
    assert np.array_equal(w, before)
    kept = first.copy()
    compiled(2 * w, x, g)
    assert np.array_equal(first, kept)
    assert ("axpy(" in compiled.source) is (rows * columns <= 10_000)
    assert np.array_equal(standalone(compiled, w, x, g), first)


def test_a_multiple_that_is_needed_twice_is_no_decay() -> None:
    rng = np.random.default_rng(0)
    w, x, g = rng.standard_normal((4, 3)), rng.standard_normal((9, 3)), rng.standard_normal((9, 4))
    for f in (
        lambda w, x, g: (g.T @ x + w * 0.5, w * 0.5),
        lambda w, x, g: (p := g.T @ x, p + w * 0.5),
        lambda w, x, g: np.tanh(g.T @ x + w * 0.5) * np.sin(w * 0.5),
    ):
        compiled = compile(f)
        assert_agree(compiled(w, x, g), f(w, x, g))
        assert "axpy(" not in compiled.source


def test_what_is_set_elsewhere_makes_no_new_program() -> None:
    model, other = small().eval(), small()
    compiled = compile(lambda X: model(X))
    X = np.ones((2, 3))
    with no_grad():
        expected = compiled(X)
        for change in (
            lambda: setattr(other, "name", "other"),
            lambda: Tensor(1.0, requires_grad=True),
            model.train,
            model.eval,
        ):
            change()
        assert np.array_equal(compiled(X), expected)
        assert len([r for kept in compiled.programs.kept.values() for r in kept]) == 1
        del model.training  # the class's own: training again
        model[2].train()
        assert not np.array_equal(compiled(X), expected)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_softmax_that_is_sure_keeps_its_digits(dtype: Any) -> None:
    z = np.array([[40, 0, 3], [0, 0, 0], [-1e4, 1e4, 0], [2, 2, -50], [0, -60, -70]], dtype)
    y = np.array([0, 1, 1, 0, 0])
    loss = SoftmaxCrossEntropy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cost, slope = compile(value_and_grad(lambda z: loss(z, y)))(z)
    wide = z.astype(np.longdouble)
    e = np.exp(wide - wide.max(axis=1, keepdims=True))
    rest = e.sum(axis=1) - 1  # e of the largest is 1
    off = (e * (np.arange(3) != y[:, None])).sum(axis=1)
    exact = np.where(np.arange(3) == y[:, None], -off[:, None], e) / (1 + rest)[:, None] / 5
    info = np.finfo(dtype)
    np.testing.assert_allclose(slope, exact, rtol=8 * info.eps, atol=info.tiny)
    right = wide[np.arange(5), y] - wide.max(axis=1)
    np.testing.assert_allclose(cost, np.mean(np.log1p(rest) - right), rtol=4 * info.eps)


# ---- rows shared out


def shared(f: Compiled) -> bool:
    return "\nSLICES = [" in f.source


@settings(max_examples=max(10, settings().max_examples // 4))  # each takes 50 milliseconds
@given(problems(), st.integers(LEAST_ROWS, 6000))
def test_rows_shared_out_agree_with_the_whole(problem: Any, m: int) -> None:
    model, loss, sizes, dtype, rng, last, lam = problem
    X, y = data(m, sizes, dtype, rng, last)

    def step(X: Any, y: Any) -> Any:
        cost = loss(model(X), y) + l2_penalty(model, lam, examples=m)
        return cost.detach(), gradients(cost, model.parameters())

    cut, whole = compile(step), compile(step, share_rows=False)
    twin = copy.deepcopy(model)
    ours = cut(X, y)
    assert shared(cut)
    for module, other in zip(model, twin, strict=True):
        if isinstance(module, Dropout):
            module.rng.bit_generator.state = other.rng.bit_generator.state
    assert_agree(ours, whole(X, y))
    assert not shared(whole)


def test_shared_rows_give_the_same_bits_each_time() -> None:
    rng = np.random.default_rng(0)
    X, w = rng.standard_normal((5000, 30)), rng.standard_normal(30)
    step = compile(value_and_grad(lambda w, X: np.mean(np.tanh(X @ w) ** 2)))
    first = step(w, X)
    for _ in range(20):
        again = step(w, X)
        assert first[0] == again[0]
        assert np.array_equal(first[1], again[1])
    assert shared(step)
    with threads.one_thread:
        assert_agree(standalone(step, w, X), first, 0.0)


UNCUT: dict[str, Any] = {
    "a normalisation by all rows": lambda X, w: np.sum(np.sin((X - np.mean(X, axis=0)) @ w)),
    "a result with rows": lambda X, w: X @ w,
    "a maximum over rows": lambda X, w: np.max(X @ w),
    "a product of rows with rows": lambda X, w: np.sum(np.sin(X @ X[:7].T)),
    "rows in another order": lambda X, w: np.sum(X * X[::-1]),
    "a product over rows": lambda X, w: np.prod(np.cos(X @ w)),
    "a sum along the rows so far": lambda X, w: np.sum(np.cumsum(X @ w) ** 2),
    "a row that is read": lambda X, w: np.sum(X @ w) * X[3, 0],
    "rows that meet other rows": lambda X, w: np.sum(np.reshape(X, (-1, 6)) ** 3),
}


@pytest.mark.parametrize("what", UNCUT)
def test_what_is_no_sum_over_rows_runs_whole(what: str) -> None:
    rng = np.random.default_rng(0)
    X, w = rng.standard_normal((4100, 3)), rng.standard_normal(3)
    compiled = compile(UNCUT[what])
    assert_agree(compiled(X, w), UNCUT[what](X, w))
    assert not shared(compiled)


CUT: dict[str, Any] = {
    "a mean": lambda X, w: np.mean((X @ w) ** 2),
    "sums of columns": lambda X, w: np.sum(X * w, axis=0) @ w,
    "a product of transposes": lambda X, w: np.sum(np.sin(X.T @ X / 4100) @ w),
    "terms without rows": lambda X, w: np.sum(np.exp(w)) * np.sum(X @ w) / np.sum(w * w),
    "a maximum in each row": lambda X, w: np.sum(np.max(X * w, axis=1)),
    "a softmax of each row": lambda X, w: np.sum(autonn.softmax(X * w)[:, 1]),
    "reshaped rows": lambda X, w: np.sum(np.reshape(X * w, (4100, 3, 1)) ** 2),
}


@pytest.mark.parametrize("what", CUT)
def test_sums_over_rows_are_cut(what: str) -> None:
    rng = np.random.default_rng(0)
    X, w = rng.standard_normal((4100, 3)), rng.standard_normal(3)
    for f in (CUT[what], grad(CUT[what], 1)):
        compiled = compile(f)
        assert_agree(compiled(X, w), f(X, w))
        assert shared(compiled)


def test_blas_gets_its_threads_back_also_after_an_error() -> None:
    before = [library.num_threads for library in threads._blas()]
    step = compile(lambda X, y: CrossEntropy()(sigmoid(X), y))
    step(np.zeros((4200, 3)), np.zeros(4200, int))
    assert shared(step)
    with pytest.raises(IndexError, match="row 4199"):
        step(np.zeros((4200, 3)), np.array([0] * 4199 + [3]))
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        compile(lambda X: np.sum(np.log(X)))(np.zeros((4200, 2)))
    assert [library.num_threads for library in threads._blas()] == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_workers_survive_a_fork() -> None:
    X = np.ones((4200, 3))
    step = compile(lambda X: np.sum(np.sin(X)))
    expected = step(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
        child = os.fork()
    if child == 0:
        os._exit(0 if step(X) == expected else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert step(X) == expected


def test_a_compiled_loss_adds_up_like_any_other() -> None:
    w = Tensor(X3, requires_grad=True)
    loss = compile(lambda x: np.sum(np.sin(w) * x))
    value = loss(V3)
    value.backward(retain_graph=True)
    first = w.grad.copy()
    value.backward(retain_graph=True)
    assert np.array_equal(w.grad, 2 * first)
    (3 * value).backward()
    np.testing.assert_allclose(w.grad, 5 * first, rtol=1e-15)
    with pytest.raises(RuntimeError, match="freed"):
        value.backward()
    assert np.array_equal(loss(V3).item(), np.sum(np.sin(X3) * V3))
