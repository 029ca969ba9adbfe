"""`help` and `inspect.signature` say how an op is called."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from tools.optable import TABLE

import autonn as an
from autonn.engine import ops
from autonn.engine.lineage import ancestors, attributes_of, op_of, operands_of
from autonn.engine.op import OPS, Op
from autonn.engine.trees import tree_leaves

EMPTY = inspect.Parameter.empty


@pytest.mark.parametrize("k", range(len(TABLE)), ids=[row.name for row in TABLE])
def test_calls_fit_what_is_said_of_them(k: int) -> None:
    row, rng = TABLE[k], np.random.default_rng(k)
    given = [
        an.Tensor(a, requires_grad=np.asarray(a).dtype.kind == "f") for a in row.draw(rng, True)
    ]
    made = [t for t in tree_leaves(row.f(*given)) if type(t) is an.Tensor]
    calls = [t for t in ancestors(made) if op_of(t) is not None]
    for t in calls:
        op: Any = op_of(t)
        bound = op.signature().bind(*operands_of(t), **attributes_of(t))
        named = op.bind(operands_of(t), attributes_of(t))[1]
        by_name = {n: v for n, v in bound.arguments.items() if n in op.signature().parameters}
        assert all(by_name[name] is value for name, value in named.items() if name in by_name)


@pytest.mark.parametrize("name", OPS)
def test_defaults_are_those_of_the_op(name: str) -> None:
    op: Op = OPS[name]
    told = op.signature().parameters.values()
    defaults = {p.name: p.default for p in told if p.default is not EMPTY}
    assert defaults.items() <= op.defaults().items()
    operands = [p for p in told if p.kind is p.POSITIONAL_ONLY]
    assert len(operands) == (op.operands if not op.variadic else len(operands))
    assert all(p.default is EMPTY and p.annotation is EMPTY for p in operands)


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (an.elu, "(x, /, alpha=1.0)"),
        (an.leaky_relu, "(x, /, slope=0.01)"),
        (an.softmax, "(x, /, axis=-1)"),
        (an.logsumexp, "(x, /, axis=None, *, keepdims=False)"),
        (ops.floor, "(x, /)"),
        (ops.greater, "(x, y, /)"),
        (OPS["concatenate"], "(*xs, axis)"),
        (OPS["softplus"], "(x, /)"),
    ],
)
def test_what_is_said(function: Any, told: str) -> None:
    found = function.signature() if isinstance(function, Op) else inspect.signature(function)
    assert str(found) == told


def test_reductions_and_methods_tell_their_keywords_too() -> None:
    assert list(inspect.signature(an.Tensor.sum).parameters) == [
        "x", "axis", "dtype", "out", "keepdims", "initial", "where",
    ]  # fmt: skip
    assert "axis" in inspect.signature(an.Tensor.argmax).parameters


def test_an_op_of_ones_own_tells_it_too() -> None:
    @an.op(lambda g, z, x, power: g * power * x ** (power - 1))
    def raised(x: Any, power: int = 2) -> Any:
        return x**power

    assert str(inspect.signature(raised)) == "(x, /, power=2)"
