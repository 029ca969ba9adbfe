"""Operands of other kinds: lists, memory maps, subclasses, objects with ``__array__``, masks."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autonn
from autonn import Tensor, grad
from autonn.engine import ops
from autonn.engine.ownership import COPY_BYTES

SMALL, LARGE = 4, COPY_BYTES // 8 + 1000


class Plain(np.ndarray[Any, Any]):
    """A subclass that changes nothing."""


class Holder:
    """An object that gives its array, its own one, when it is asked for one."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return self.array if not copy else self.array.copy()

    def __setitem__(self, key: Any, value: Any) -> None:
        self.array[key] = value


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("maps")


def made(kind: str, n: int, folder: Path) -> Any:
    """Make the numbers 1, 2, ..., n as something that can be written to."""
    values = np.arange(1.0, n + 1)
    if kind == "map":
        mapped = np.memmap(folder / f"{n}.bin", float, "w+", shape=(n,))
        mapped[:] = values
        return mapped
    if kind == "view of a map":
        return made("map", 2 * n, folder)[:n]
    kinds: dict[str, Any] = {
        "list": values.tolist(), "subclass": values.view(Plain), "object": Holder(values),
        "array": values,
    }  # fmt: skip
    return kinds[kind]


KINDS = ["array", "list", "map", "view of a map", "subclass", "object"]
OPERATIONS: list[Callable[[Any, Any], Any]] = [
    np.multiply, lambda t, a: np.multiply(a, t), np.divide, np.arctan2, np.dot, np.logaddexp,
    lambda t, a: np.sum(np.where(t > 0, a, t) * t), lambda t, a: np.concatenate([t, a]) ** 2,
    lambda t, a: np.convolve(t, a) if np.shape(a)[0] < 9 else t * a, np.maximum,
]  # fmt: skip


def written(a: Any) -> bool:
    """Write to all of it, if it is not held."""
    try:
        a[:] = [-7.0] * len(a) if isinstance(a, list) else -7.0
    except ValueError as error:
        return "read-only" not in str(error)
    return True


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [SMALL, LARGE])
@pytest.mark.parametrize("operation", OPERATIONS, ids=range(len(OPERATIONS)))
def test_writing_before_backward_gives_the_right_gradient_or_an_error(
    operation: Callable[[Any, Any], Any], n: int, kind: str, folder: Path
) -> None:
    a = made(kind, n, folder)
    x = np.linspace(0.5, 2.5, n)
    expected = grad(lambda t: np.sum(operation(t, np.arange(1.0, n + 1))))(x)
    t = Tensor(x, requires_grad=True)
    result = np.sum(operation(t, a))
    if not written(a):
        assert n == LARGE
    result.backward()
    np.testing.assert_array_equal(t.grad, expected)
    del result
    gc.collect()
    a[0] = 3.0  # whoever wrote to it may do so again


def test_all_that_an_operand_is_a_view_of_is_held(folder: Path) -> None:
    view = made("view of a map", LARGE, folder)
    t = Tensor(np.ones(LARGE), requires_grad=True)
    result: Any = np.sum(t * np.asarray(view))
    assert not written(view)
    result.backward()
    assert t.grad[0] == 1
    del result
    gc.collect()
    assert written(view)


@pytest.mark.parametrize("kind", KINDS)
@given(
    f=st.sampled_from([np.add, np.subtract, np.multiply, np.hypot, np.power, np.fmod]),
    n=st.integers(1, 5),
)
def test_any_op_of_two_takes_them_as_arrays(kind: str, f: Any, n: int, folder: Path) -> None:
    a, b = made(kind, n, folder), np.arange(1.0, n + 1)
    calls: list[Callable[[Any, Any], Any]] = [lambda t, a: f(t, a), lambda t, a: f(a, t)]
    for call in calls:
        found = []
        for other in (a, b):
            t = Tensor(np.full(n, 1.5), requires_grad=True)
            result: Any = call(t, other)
            assert type(result) is Tensor
            assert type(result.data) is np.ndarray
            result.backward(np.ones(n))
            found.append((result.data.tolist(), t.grad.tolist()))
        assert found[0] == found[1]


MASKED: Any = np.ma.masked_array([1.0, 2.0], [False, True])
OPERATORS: list[Callable[[Any, Any], Any]] = [
    lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / b,
    lambda a, b: a**b, lambda a, b: a // b, lambda a, b: a % b, lambda a, b: a < b,
    lambda a, b: a == b, lambda a, b: a @ b, np.multiply, np.maximum, np.dot,
    np.ma.multiply, np.ma.add, lambda a, b: np.concatenate([a, b]), lambda a, b: np.stack([a, b]),
    lambda a, b: np.where(a > 0, a, b), lambda a, b: np.column_stack([a, b]), np.convolve, np.kron,
]  # fmt: skip


@pytest.mark.parametrize("operator", OPERATORS, ids=range(len(OPERATORS)))
@pytest.mark.parametrize("tracked", [True, False])
def test_masked_arrays_are_refused_on_both_sides(
    operator: Callable[[Any, Any], Any], tracked: bool
) -> None:
    t = Tensor([3.0, 4.0], requires_grad=tracked)
    calls: list[Callable[[], Any]] = [lambda: operator(MASKED, t), lambda: operator(t, MASKED)]
    for call in calls:
        with pytest.raises(TypeError, match=r"filled|np\.stack"):
            call()


@pytest.mark.parametrize("operator", OPERATORS[:3], ids=range(3))
def test_matrices_are_refused_on_both_sides(operator: Callable[[Any, Any], Any]) -> None:
    with pytest.warns(PendingDeprecationWarning):
        m = np.matrix([[1.0, 2.0], [3.0, 4.0]])
    t = Tensor(np.eye(2), requires_grad=True)
    calls: list[Callable[[], Any]] = [lambda: operator(m, t), lambda: operator(t, m)]
    for call in calls:
        with pytest.raises(TypeError, match=r"np\.asarray"):
            call()


def test_a_list_of_tensors_is_refused_with_the_cure() -> None:
    t = Tensor(1.0, requires_grad=True)
    with pytest.raises(TypeError, match=r"np\.stack"):
        np.multiply(Tensor([1.0, 2.0]), [t, t])


def test_numbers_of_numpy_and_of_python_are_operands() -> None:
    for n in (2, 2.0, True, np.float64(2), np.int64(2), np.float32(2)):
        assert grad(lambda x, n=n: ops.multiply(x, n))(3.0) == n
    with pytest.raises(TypeError, match="add takes"):
        autonn.Tensor(1.0) + "a"
