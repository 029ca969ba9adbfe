"""What a function reads from around it changes: its program follows, or there is none.

Each case says what the function is and what changes between its calls; the oracle is the function
itself, run as it is on the same state. A program may be refused, and must never differ.
"""

from __future__ import annotations

import dataclasses
import functools
import random
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.stats

from autonn import (
    Dropout,
    Layer,
    Module,
    SoftmaxCrossEntropy,
    Tensor,
    compile,
    hvp,
    l2_penalty,
    op,
    value_and_grad,
)
from autonn.compiler import watching
from autonn.compiler.trace import run_traced
from autonn.compiler.watching import is_users
from autonn.engine.modes import CannotCompileError
from autonn.engine.tensor import values_of
from autonn.engine.trees import tree_leaves

X3 = np.array([1.0, 2.0, 3.0])
ROWS = np.arange(6.0).reshape(2, 3)

scale = 2.0
weights = np.array([1.0, 2.0, 3.0])
labels = np.array([0, 1, 2])


def set_scale(k: int) -> None:
    global scale
    scale = float(k)


def agree(a: Any, b: Any) -> bool:
    left, right = tree_leaves(a), tree_leaves(b)
    pairs = zip(map(values_of, left), map(values_of, right), strict=True)
    return len(left) == len(right) and all(
        np.shape(x) == np.shape(y) and np.allclose(x, y, rtol=1e-9, equal_nan=True)
        for x, y in pairs
    )


def outcomes(f: Callable[..., Any], calls: list[Any], change: Callable[[int], Any]) -> set[str]:
    """Call a function and its program in turn, and say what came of it."""
    compiled, seen = compile(f), set()
    for k, given in enumerate(calls):
        change(k)
        args, named = given if isinstance(given, tuple) else ((given,), {})
        states = np.random.get_state(), random.getstate()  # noqa: NPY002
        expected = f(*args, **named)
        np.random.set_state(states[0])  # noqa: NPY002
        random.setstate(states[1])
        try:
            seen.add("right" if agree(compiled(*args, **named), expected) else "wrong")
        except CannotCompileError:
            seen.add("refused")
    return seen


# ---- followed: each change is seen


class Box:
    w = 1.0

    def __init__(self) -> None:
        self.inner: Any = SimpleNamespace(lam=1.0)

    def __call__(self, x: Any) -> Any:
        return x * scale

    @staticmethod
    def twice(x: Any) -> Any:
        return x * scale * 2

    def method(self, x: Any) -> Any:
        return x * self.inner.lam


class Stack(Module):
    def __init__(self) -> None:
        self.layers = [Layer(3, 3, rng=0)]
        self.by_name = {"first": Layer(3, 3, rng=1)}
        self.factor = 1.0

    def forward(self, x: Any) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        for layer in self.by_name.values():
            x = layer(x)
        scaled: Tensor = x * self.factor
        return scaled


class Text:
    __slots__ = "value"

    def __init__(self) -> None:
        self.value = 1.0


class Slotted(Text):
    """Has a dict beside a slot that is written as a string."""


class Private:
    __slots__ = ("__w",)

    def __init__(self) -> None:
        self.__w = 1.0

    def get(self) -> float:
        return self.__w

    def put(self, k: int) -> None:
        self.__w = k + 0.5


def default(x: Any, s: float = 1.0, *, t: float = 1.0) -> Any:
    return x * s * t


def inner(x: Any) -> Any:
    def multiplied(y: Any) -> Any:
        return y * scale

    return multiplied(x)


def following() -> Iterator[tuple[str, Callable[..., Any], Callable[[int], Any]]]:
    yield "a global", lambda x: x * scale, set_scale
    yield "in a comprehension", lambda x: sum([x * scale for _ in range(2)]), set_scale
    yield "in an inner function", inner, set_scale
    yield "in a lambda", lambda x: (lambda y: y * scale)(x), set_scale
    yield "in a partial", functools.partial(lambda s, x: x * scale * s, 2.0), set_scale
    yield "in a callable object", Box(), set_scale
    yield "in a static method", lambda x: Box.twice(x), set_scale
    table = {"f": lambda x: x * scale}
    yield "in a function in a dict", lambda x: table["f"](x), set_scale
    other = compile(lambda x: x * scale)
    yield "in another compiled function", lambda x: other(x) + 1, set_scale
    box = Box()
    yield "an attribute of an attribute", box.method, lambda k: setattr(box.inner, "lam", k + 0.5)
    yield (
        "another object behind a name",
        box.method,
        lambda k: setattr(box, "inner", SimpleNamespace(lam=k + 0.5)),
    )
    yield "an attribute of a class", lambda x: x * Box.w, lambda k: setattr(Box, "w", float(k))
    slotted, private = Slotted(), Private()
    yield "a slot", lambda x: x * slotted.value, lambda k: setattr(slotted, "value", k + 0.5)
    yield "a private slot", lambda x: x * private.get(), private.put
    numbers = [1.0]
    yield "a list", lambda x: x * sum(numbers), numbers.append
    known = {"a": 1.0}
    yield "a dict", lambda x: x * known["a"], lambda k: known.update(a=k + 0.5)
    names = {1}
    yield "a set", lambda x: x * len(names), lambda k: names.add(k + 5)
    yield "a default", lambda x: default(x), lambda k: setattr(default, "__defaults__", (k + 0.5,))
    yield (
        "a default by name",
        lambda x: default(x),
        lambda k: setattr(default, "__kwdefaults__", {"t": k + 0.5}),
    )
    cell = 1.0

    def set_cell(k: int) -> None:
        nonlocal cell
        cell = k + 0.5

    yield "a cell", lambda x: x * cell, set_cell
    yield (
        "an index array",
        lambda x: x[labels],
        lambda k: labels.__setitem__(slice(None), np.roll(labels, 1)),
    )
    yield "a mask", lambda x: np.where(labels > 0, x, 0), lambda k: labels.__setitem__(0, k % 2)

    def grow(k: int) -> None:
        weights[:] += 1

    yield "an operand", lambda x: x * weights, grow
    yield "an operand in another dtype", lambda x: x * weights.astype(np.float32), grow
    yield "a Tensor made of an array", lambda x: x * Tensor(weights), grow
    yield "an operand and its sum", lambda x: x * weights + weights.sum(), grow
    yield "a gradient beside an operand", value_and_grad(lambda x: np.sum(x * weights)), grow
    seen = np.linspace(-1, 1, 6).reshape(2, 3)  # nobody else holds what it is a view of

    def along(x: Any) -> Any:
        return hvp(lambda x: np.sum(np.tanh(seen @ x) ** 2), x, X3)

    yield "a view, and another in a rule", along, lambda k: np.add(seen, 0.25, out=seen)


@pytest.mark.parametrize(("f", "change"), [c[1:] for c in following()],
                         ids=[c[0] for c in following()])  # fmt: skip
def test_what_changes_is_followed(f: Callable[..., Any], change: Callable[[int], Any]) -> None:
    assert outcomes(f, [X3] * 5, change) == {"right"}


def test_modules_are_followed_also_where_they_are_not_called() -> None:
    stack, drop = Stack(), Dropout(0.5, rng=0)
    run = lambda x: stack(x).detach()  # noqa: E731
    penalty = lambda x: np.sum(x) + l2_penalty(stack, 1.0, examples=2).detach()  # noqa: E731
    for f in (run, penalty):
        assert outcomes(f, [ROWS] * 3, lambda k: stack.layers.append(Layer(3, 3, rng=k))) == {
            "right"
        }
        assert outcomes(
            f, [ROWS] * 3, lambda k: stack.by_name.update(first=Layer(3, 3, rng=k))
        ) == {"right"}
    assert outcomes(run, [ROWS] * 3, lambda k: setattr(stack, "factor", k + 0.5)) == {"right"}
    assert outcomes(run, [ROWS] * 3, lambda k: stack.train(k % 2 == 0)) == {"right"}
    assert outcomes(lambda x: x * drop.p, [X3] * 3, lambda k: setattr(drop, "p", 0.1 * k)) == {
        "right"
    }


def test_what_is_put_back_behind_a_modules_back_is_seen() -> None:
    layer = Layer(3, 2, rng=0)
    kept, others = dict(vars(layer)), [Tensor(np.full((2, 3), float(k)), True) for k in range(4)]

    def change(k: int) -> None:
        vars(layer).update(kept)
        layer.weight = others[k]

    assert outcomes(lambda x: layer(x).detach(), [ROWS] * 4, change) == {"right"}


# ---- arguments that are no arrays


@dataclasses.dataclass
class Setting:
    a: float


class Alike:
    def __init__(self, a: float) -> None:
        self.a = a

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Alike)

    def __hash__(self) -> int:
        return 1


@pytest.mark.parametrize(
    ("f", "calls"),
    [
        (lambda x, cfg: x * max(cfg), [((X3,), {"cfg": {k, k + 1}}) for k in range(9)]),
        (lambda x, cfg: x * cfg.a, [((X3,), {"cfg": Setting(k + 0.5)}) for k in range(9)]),
        (lambda x, cfg: x * cfg.a, [((X3,), {"cfg": Alike(k + 0.5)}) for k in range(9)]),
        (lambda x, cfg: x * cfg[0].a, [((X3, [Alike(k + 0.5)]), {}) for k in range(9)]),
        (lambda x, n: x / n, [((X3, n), {}) for n in (0.0, -0.0, 1, 1.0, True, 2)]),
        (lambda x, n: x * float(f"{n}"), [((X3, 0.1 * k), {}) for k in range(4)]),
        (lambda x, n: x * round(n, 1), [((X3, 0.13 * k), {}) for k in range(4)]),
        (lambda x, n: x * (n // 0.2), [((X3, 0.13 * k), {}) for k in range(4)]),
        (lambda x, n: x * (2 if isinstance(n, float) else 3), [((X3, n), {}) for n in (1.0, 2.0)]),
        (lambda x, n: x * np.full(3, n), [((X3, 0.13 * k), {}) for k in range(4)]),
        (lambda n: np.ones(n), [((n,), {}) for n in (3, 4, 3)]),
    ],
)
def test_arguments_are_told_apart(f: Any, calls: list[Any]) -> None:
    with np.errstate(divide="ignore"):
        assert outcomes(f, calls, lambda k: None) == {"right"}


def test_large_arrays_that_are_made_on_the_way_are_nobodys() -> None:
    """A graph locks what is large while it is pending, and its locks hold it, too."""
    rows, classes = np.ones((5000, 3)), np.arange(5000) % 10
    model = Layer(3, 10, rng=0)

    def f(x: Any) -> Any:
        return SoftmaxCrossEntropy()(model(x), classes) + np.sum(x * np.tile(ROWS, (2500, 1)))

    def change(k: int) -> None:
        classes[:] = (classes + 1) % 10

    assert outcomes(f, [rows] * 3, change) == {"right"}


def test_a_vocabulary_that_is_not_read_is_in_nobodys_way() -> None:
    class Words(Module):
        def __init__(self) -> None:
            self.known = {str(k): k for k in range(20_000)}
            self.layer = Layer(3, 2, rng=0)

        def forward(self, x: Any) -> Any:
            return self.layer(x)

    model = Words()

    def change(k: int) -> None:
        model.known[f"more {k}"] = k

    assert outcomes(model, [ROWS] * 3, change) == {"right"}


# ---- refused: a program can't repeat it

GENERATOR = np.random.default_rng(0)
COUNT = [0]
ITEMS = iter([1.0] * 100)


def counting(x: Any) -> Any:
    COUNT[0] += 1
    return x * COUNT[0]


def swallowing(x: Any) -> Any:
    try:
        return x * float(np.sum(x))
    except RuntimeError:
        return x * 0


@pytest.mark.parametrize(
    ("f", "words"),
    [
        (lambda x: x * np.random.uniform(), "random"),  # noqa: NPY002
        (lambda x: x * random.random(), "random"),
        (lambda x: x * random.uniform(1, 2), "random"),
        (lambda x: x * GENERATOR.uniform(), "random"),
        (lambda x: x * [GENERATOR][0].uniform(), "random"),
        (lambda x: x * np.random.default_rng().uniform(), "another answer"),
        (lambda x: x * time.time(), "time"),
        (lambda x: x * next(iter([1.0])) * next(ITEMS), "iterator"),
        (lambda x: x * 2 if isinstance(x, np.ndarray) else x * 3, "as it is"),
        (counting, "changes what it reads (COUNT)"),
        (swallowing, "float()"),
        (lambda x: x[x > 0], "mask"),
        (value_and_grad(lambda x: np.mean(x[x > 0] ** 2)), "mask"),
    ],
)
def test_what_cannot_be_repeated_is_refused(f: Any, words: str) -> None:
    with pytest.raises(CannotCompileError) as caught:
        compile(f)(X3)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("f", "call"),
    [
        (lambda x: x * random.random(), "random.random()"),
        (lambda x: x * np.random.default_rng().uniform(), "np.random.default_rng()"),
        (lambda x: x * scipy.stats.qmc.Sobol(3).random(1), "scipy.stats.qmc.Sobol()"),
        (lambda x: x * secrets.randbelow(3), "secrets.randbelow()"),
        (lambda x: x * len(tempfile.mkdtemp()), "tempfile.mkdtemp()"),
        (lambda x: x * len(Path(__file__).read_text()), "Path(__file__).read_text()"),
        (lambda x: x * random.sample([1, 2], 1)[0], "random.sample()"),
    ],
)
def test_what_the_user_called_is_named_and_its_line(f: Any, call: str) -> None:
    with pytest.raises(CannotCompileError) as caught:
        compile(f)(X3)
    code = f.__code__
    here = f"{code.co_filename}:{code.co_firstlineno}: {call} may give another answer"
    assert str(caught.value).startswith(here)


def test_what_a_module_draws_while_it_is_loaded_is_its_own_affair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_INSTALLED", (*watching._INSTALLED, str(tmp_path)))
    is_users.cache_clear()
    (tmp_path / "loaded_late.py").write_text(
        "import secrets\nkey = secrets.randbelow(3)\nthree = 3\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    def f(x: Any) -> Any:
        import loaded_late  # type: ignore[import-not-found]

        return np.sum(x) * loaded_late.three

    try:
        assert compile(f)(X3) == 18
    finally:
        is_users.cache_clear()


def legacy_state() -> Any:
    state: Any = np.random.get_state()  # noqa: NPY002
    return state[1].tolist()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("m", [3, 100, 3000])
def test_what_is_0_but_for_rounding_need_not_agree(dtype: Any, m: int) -> None:
    """The mean takes each shift away, so that its gradient is a sum that cancels."""

    def f(x: Any, shift: Any) -> Any:
        z = np.tanh(x) + shift
        z = z - np.mean(z, axis=0)
        return np.mean(np.square(z / np.sqrt(np.mean(np.square(z), axis=0) + 1e-5) - 1) ** 2)

    x = np.random.default_rng(m).standard_normal((m, 4)).astype(dtype)
    shift = np.array([0.1, -3.0, 2.0, 0.7], dtype)
    eager, program = (value_and_grad(f, argnums=(0, 1)), compile(value_and_grad(f, argnums=(0, 1))))
    (cost, (d_x, _)), (its_cost, (its_d_x, d_shift)) = eager(x, shift), program(x, shift)
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(its_cost, cost, rtol=tolerance)
    np.testing.assert_allclose(its_d_x, d_x, rtol=tolerance, atol=tolerance * np.abs(d_x).max())
    assert np.abs(d_shift).max() <= 64 * np.finfo(dtype).eps * cost


def test_a_small_number_beside_large_ones_is_still_compared() -> None:
    def f(x: Any) -> Any:
        return x, np.sum(x) * (1e-12 if isinstance(x, np.ndarray) else 2e-12)

    with pytest.raises(CannotCompileError, match="output 1 differs"):
        compile(f)(X3)


def test_a_refusal_leaves_chance_as_it_was() -> None:
    for f in (lambda x: x * GENERATOR.uniform(), lambda x: x * np.random.uniform()):  # noqa: NPY002
        before = GENERATOR.bit_generator.state, legacy_state()
        with pytest.raises(CannotCompileError):
            compile(f)(X3)
        after = GENERATOR.bit_generator.state, legacy_state()
        assert before == after


# ---- names and ops


def test_an_op_of_ones_own_is_not_taken_for_the_librarys() -> None:
    for name in ("softmax", "sigmoid", "mean", "sum", "max", "cast", "negative", "transpose"):

        def forward(x: Any) -> Any:
            return np.exp(x) / np.sum(np.exp(x), axis=0)

        forward.__name__ = name
        own = op(lambda g, z, x: g, formula="of my own")(forward)
        assert outcomes(lambda x, own=own: own(x), [ROWS] * 2, lambda k: None) == {"right"}


@pytest.mark.parametrize("name", ['f"""\nraise SystemExit', "x y", "lambda", "", "é"])
def test_no_text_from_outside_is_run(name: str) -> None:
    def f(x: Any) -> Any:
        return {name: x * 2}

    f.__name__ = name
    own = op(lambda g, z, x: g, formula=f"z\n{name}")(lambda x: x + 1)
    own.op.formula  # noqa: B018
    compiled = compile(lambda x: (f(x), own(x)))
    assert agree(compiled(X3), (f(X3), own(X3)))
    exec(compiled.source, {})


def test_ops_that_have_no_text_are_compiled_too() -> None:
    def with_default(x: Any, k: Any = weights.shape[0]) -> Any:
        return x * k

    for forward in (lambda x: x * 2, np.vectorize(lambda x: x + 1.0), with_default, Box().__call__):
        own = op(lambda g, z, x: g)(forward)
        assert outcomes(lambda x, own=own: own(x), [X3] * 2, lambda k: None) == {"right"}


def test_another_thread_that_draws_now_and_then_blames_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Random generators of Python and NumPy are of the whole process: clients of Dask draw too."""
    left = [3]

    def beside_another(*args: Any) -> Any:
        if left[0]:
            left[0] -= 1
            random.random()
        return run_traced(*args)

    monkeypatch.setattr("autonn.compiler.verify.run_traced", beside_another)
    over = threading.Event()
    another = threading.Thread(target=over.wait)
    another.start()
    try:
        assert compile(lambda x: x * 2)(np.ones(2)).tolist() == [2.0, 2.0]
    finally:
        over.set()
        another.join()
    assert left == [0]
