"""The methods of a Tensor: what type checkers are told is what there is."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autonn import Tensor
from autonn.engine import backward
from autonn.engine import tensor as home
from autonn.engine.ops import METHODS

BOUND: dict[str, Any] = {**METHODS, "backward": backward.backward}


def stubs() -> dict[str, ast.FunctionDef]:
    """Read the methods that stand under TYPE_CHECKING in the class."""
    tree = ast.parse(Path(str(home.__file__)).read_text())
    (body,) = (n.body for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Tensor")
    (told,) = (n.body for n in body if isinstance(n, ast.If))
    return {n.name: n for n in told if isinstance(n, ast.FunctionDef)}


STUBS = stubs()


def told(stub: ast.FunctionDef) -> list[tuple[str, str]]:
    """List the parameters of a stub but the first, each with its default."""
    a = stub.args
    by_position = [*a.posonlyargs, *a.args]
    defaults = [""] * (len(by_position) - len(a.defaults)) + [ast.unparse(d) for d in a.defaults]
    rest = [("*" + a.vararg.arg, "")] if a.vararg else []
    named = [
        (k.arg, ast.unparse(d) if d is not None else "")
        for k, d in zip(a.kwonlyargs, a.kw_defaults, strict=True)
    ]
    pairs = [(p.arg, d) for p, d in zip(by_position, defaults, strict=True)]
    return [*pairs[1:], *rest, *named]


def there_is(method: Any) -> list[tuple[str, str]] | None:
    """List the parameters of what is bound; None of a call that takes what NumPy takes."""
    function = getattr(getattr(method, "op", None), "with_residuals", method)
    code = getattr(inspect.unwrap(method), "__code__", None)
    if code is not None and "options" in code.co_varnames:
        return None
    if isinstance(function, np.ufunc):  # which tells its signature only since NumPy 2.4
        return [(f"of {function.nin}", "")]
    _, *rest = inspect.signature(function).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in rest):
        return None
    star = inspect.Parameter.VAR_POSITIONAL
    return [
        ("*" * (p.kind is star) + p.name, "" if p.default is p.empty else repr(p.default))
        for p in rest
        if p.name != "out"  # nothing is written into a Tensor
    ]


def differences(stubs: dict[str, ast.FunctionDef], bound: dict[str, Any]) -> Iterator[str]:
    """Name what is told and is not there, what is there and not told, and what is called else."""
    yield from (f"{name} is not bound" for name in sorted(stubs.keys() - bound.keys()))
    yield from (f"{name} is not told" for name in sorted(bound.keys() - stubs.keys()))
    for name in sorted(stubs.keys() & bound.keys()):
        if isinstance(bound[name], property):
            if not any(ast.unparse(d) == "property" for d in stubs[name].decorator_list):
                yield f"{name} is a property"
            continue
        of_stub, of_method = told(stubs[name]), there_is(bound[name])
        if name.startswith("__"):  # of operators only the number counts
            of_method = of_method and (of_method if of_method[0][0].startswith("of") else None)
            of_stub = [(f"of {1 + len(of_stub)}", "")]
        if of_method is not None and of_stub != of_method:
            yield f"{name}{of_stub} is {of_method}"


def test_type_checkers_are_told_what_there_is() -> None:
    assert list(differences(STUBS, BOUND)) == []


@pytest.mark.parametrize("name", BOUND)
def test_every_method_of_the_table_is_bound(name: str) -> None:
    assert vars(Tensor)[name] is BOUND[name]


@pytest.mark.parametrize(
    ("name", "wrong", "said"),
    [
        ("round", None, "round is not told"),
        ("cumsum", lambda self, axis=0: self, r"cumsum\[\('axis', 'None'\).* is \[\('axis', '0'\)"),
        ("clip", lambda self, low=None, a_max=None: self, r"clip.* is .*low"),
        ("__neg__", np.add, r"__neg__.*of 1.* is .*of 2"),
        ("at", lambda self, key: self, r"at\[\] is \[\('key', ''\)\]"),
        ("reshape", lambda self, shape: self, r"reshape\[\('\*shape', ''\).* is"),
    ],
)
def test_a_difference_is_named(name: str, wrong: Callable[..., Any] | None, said: str) -> None:
    told = {key: stub for key, stub in STUBS.items() if wrong is not None or key != name}
    bound = {**BOUND, name: wrong or BOUND[name]}
    (difference,) = differences(told, bound)
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(difference)


@pytest.mark.parametrize("name", ["any", "all", "argmax", "argmin", "argsort"])
def test_questions_take_the_parameters_that_are_told(name: str) -> None:
    known = inspect.signature(getattr(np, name)).parameters
    for parameter, default in told(STUBS[name]):
        assert repr(known[parameter].default) == default
