"""Rows: what an op says it does to them is true, and lets every row-wise op be shared out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from tools.drawn_row_costs import few_rows_are_shared
from tools.oprows import REAL, each
from tools.optable import OTHER_AT_THE_EDGES, TABLE, rows
from tools.planting import planted_trait
from tools.profiles import THOROUGH
from tools.rows import Case, assert_elementwise, assert_rows_pass, cases, passing

import autonn
from autonn import Tensor, compile, op, value_and_grad
from autonn.engine import ops
from autonn.engine.op import OPS, Memory, Op, elementwise, mixes_rows
from autonn.engine.ops.indexing import Slot

MANY = 29  # in seven slices, the last of five
NAMES = list(dict.fromkeys(row.name for row in TABLE))


@pytest.fixture(autouse=True)
def _small() -> Iterator[None]:
    with few_rows_are_shared():
        yield


WORDS = Tensor(np.arange(9.0).reshape(3, 3))

# Where the table has no call of an op through which rows pass.
ALSO: dict[str, Callable[[Any], Any]] = {
    "flip": lambda x: np.flip(x, 1),
    "roll": lambda x: np.roll(x, 1, axis=1),
    "reshape": lambda x: np.reshape(x, (len(x), 3, 1)),
    "reshape to more rows": lambda x: np.reshape(x, (-1, 1)),
    "reshape and back": lambda x: np.reshape(np.sin(np.reshape(x, (-1,))), (-1, 3)),
    "expand_dims": lambda x: np.expand_dims(x, -1),
    "broadcast_to": lambda x: np.broadcast_to(x, (2, *x.shape)),
    "getitem": lambda x: x[:, 1:],
    "getitem of a column": lambda x: x[..., None, 1],
    "gather": lambda x: x * WORDS[np.argmax(x, axis=1)],
    "put": lambda x: ops.put(x, (slice(None), slice(1, 4)), (len(x), 5)),
    "pad": lambda x: np.pad(x, ((0, 0), (1, 2))),
    "put at last": lambda x: ops.put(x, (..., slice(1, 4), 0), (len(x), 5, 2)),
    "sum": lambda x: np.sum(x, axis=1),
    "min": lambda x: np.min(x, axis=1),
    "argmax": lambda x: x * np.argmax(x, axis=1, keepdims=True),
    "argmin": lambda x: x * np.argmin(x, axis=1, keepdims=True),
    "argsort": lambda x: x * np.argsort(x, axis=1),
    "any": lambda x: np.where(np.any(x > 1, axis=1, keepdims=True), x, 0),
    "all": lambda x: np.where(np.all(x > 0, axis=1, keepdims=True), x, 0),
    "count_nonzero": lambda x: x * np.count_nonzero(x > 0, axis=1, keepdims=True),
    "isclose": lambda x: np.where(np.isclose(x, 0.5, atol=0.1), x, 0),
    "bitwise_and": lambda x: np.where((x > 0) & (x < 1) | ~(x > -1), x, 0),
    "logical_or": lambda x: np.where(
        np.logical_or(np.logical_and(x > 0, x < 1), np.logical_not(x > -1)), x, 0
    ),
    "not_equal": lambda x: np.where((x != 1) & (x == x) & (x <= 2) & (x >= -2), x, 0),
    "signbit": lambda x: np.where(np.signbit(x) | np.isnan(x) | np.isinf(x), x, np.isfinite(x)),
}

# Those that only ever add up over the rows.
HOW = {"stride": (2, 1), "dilation": (1, 1), "padding": ((1, 0), (0, 1)), "groups": 1}
ADD_UP: dict[str, Callable[[Any], Any]] = {
    "conv_weight": lambda x: ops.conv_weight(
        np.reshape(x, (len(x), 1, 1, 3)), np.reshape(x, (len(x), 1, 1, 3)), shape=(1, 1, 2, 2),
        **HOW,
    ),
    "scatter": lambda x: ops.scatter(x, np.argmax(x, axis=1), key=Slot(0), shape=(3, 3)),
}  # fmt: skip


def shared(f: Any) -> bool:
    return "\nSLICES = [" in f.source


def assert_cut(f: Callable[..., Any], *args: Any) -> None:
    """See that a function is computed in parts, and that they agree with the whole."""
    cut = compile(f)
    with np.errstate(all="ignore"):
        found, expected = cut(*args), f(*map(as_tensors, args))
    assert shared(cut), "not cut"
    for a, b in zip(leaves(found), leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9 * np.max(np.abs(b), initial=1e-300))


def as_tensors(tree: Any) -> Any:
    return tuple(map(as_tensors, tree)) if isinstance(tree, tuple) else Tensor(tree)


def leaves(tree: Any) -> list[Any]:
    if isinstance(tree, tuple):
        return [x for part in tree for x in leaves(part)]
    return [tree.data if isinstance(tree, Tensor) else tree]


def assert_cut_both_ways(case: Case) -> None:
    """See that a sum over the rows of a call is cut, and so is its gradient by factors of them."""
    call, which = case.f, case.long  # alone: all that a function reads is looked through

    def total(factors: Any, *args: Any) -> Any:
        scaled = [a * c if long else a for a, c, long in zip(args, factors, which, strict=True)]
        return np.sum(np.sin(1 + call(*scaled)))

    factors = tuple(np.array(1.0) for _ in case.args)
    if THOROUGH:  # every day the cost is a part of what gives its gradient, too
        assert_cut(total, factors, *case.args)
    assert_cut(value_and_grad(total), factors, *case.args)


def all_cases(m: int) -> Iterator[Case]:
    """Yield a case of each call; what is said to work element by element is seen to on the way."""
    rng = np.random.default_rng(m)
    for row in TABLE * 3:  # lengths are drawn anew, 1 among them
        for case in cases(row, rng, m):
            if row.name in OPS and OPS[row.name].rows is elementwise:
                assert_elementwise(case)
            yield case
    for f in ALSO.values():
        also = passing(f, (rng.uniform(-2, 2, (m, 3)),))
        assert also is not None
        yield also


# ---- every op that says rows pass through


def test_slices_of_the_arguments_give_slices_of_the_result() -> None:
    seen: set[str] = set()
    for case in all_cases(7):
        seen |= case.names
        if case.names & OTHER_AT_THE_EDGES:
            continue
        for start, stop in ((0, 3), (2, 7), (4, 6)):
            assert_rows_pass(case, start, stop)
    says = {name for name, o in OPS.items() if o.rows not in (None, mixes_rows)}
    assert says - seen - ADD_UP.keys() == set(), "no case shows that rows pass through these"


@pytest.mark.parametrize("name", NAMES)
def test_a_sum_over_rows_is_cut_on_both_ways(name: str) -> None:
    rng = np.random.default_rng(0)
    found = (case for row in rows(name) for case in cases(row, rng, MANY))
    case = next(found, None)
    if case is not None:
        assert_cut_both_ways(case)
    else:
        assert OPS[name].rows is not elementwise if name in OPS else True


@pytest.mark.parametrize("name", ALSO)
def test_so_are_the_other_ops(name: str) -> None:
    x = np.random.default_rng(0).uniform(-2, 2, (MANY, 3))
    case = passing(ALSO[name], (x,))
    assert case is not None
    assert_cut_both_ways(case)


@pytest.mark.parametrize("name", ADD_UP)
def test_what_adds_up_over_rows_is_cut_on_both_ways(name: str) -> None:
    x = np.random.default_rng(0).uniform(-2, 2, (MANY, 3))

    def total(c: Any, x: Any) -> Any:
        return np.sum(ADD_UP[name](x * np.sin(c)))

    assert_cut(total, np.array(1.0), x)
    assert_cut(value_and_grad(total), np.array(1.0), x)


@op(lambda g, z, x: g / (1 + np.absolute(x)) ** 2, rows=elementwise, memory=Memory.NEW)
def squashed(x: Any) -> Any:
    return x / (1 + np.absolute(x))


@pytest.mark.parametrize(
    ("f", "operands"),
    [
        (autonn.gelu, 1), (autonn.silu, 1), (lambda x: np.clip(x, -0.5, 1), 1),
        (np.logaddexp, 2), (squashed, 1),
    ],
)  # fmt: skip
def test_the_activations_and_an_op_of_ones_own_are_cut(
    f: Callable[..., Any], operands: int
) -> None:
    args = tuple(np.random.default_rng(0).uniform(-2, 2, (operands, MANY, 3)))
    case = passing(f, args)
    assert case is not None
    assert_rows_pass(case, 2, 9)
    assert_cut_both_ways(case)


@pytest.mark.parametrize("shape", [(1, MANY * 3), (3, MANY), (MANY * 3, 1), (MANY, 3, 1)])
def test_a_row_may_become_several_but_not_a_part_of_one(shape: tuple[int, ...]) -> None:
    """A cost of 32 texts of 32 characters is shared out by the texts, and so are its matrices."""
    x, w = np.random.default_rng(0).uniform(-2, 2, (MANY, 3)), np.arange(1.0, shape[-1] + 1)[None]
    cost = value_and_grad(lambda w, x: np.sum(np.sin(np.reshape(x * 2, shape) * w)))
    compiled = compile(cost)
    for got, expected in zip(compiled(w, x), cost(w, x), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12)
    assert shared(compiled) is (shape[0] >= MANY)


def test_what_is_made_before_the_rows_are_dealt_out_has_a_row_for_each() -> None:
    """Labels are looked at before, as an error names the row among all."""
    x, w = np.random.default_rng(0).uniform(-2, 2, (MANY, 3)), np.ones((1, 4))
    y = np.arange(MANY * 3).reshape(MANY, 3) % 4
    cost = value_and_grad(
        lambda w, x, y: np.sum(np.reshape(x, (-1, 1)) * w * autonn.one_hot(np.reshape(y, (-1,)), 4))
    )
    for got, expected in zip(compile(cost)(w, x, y), cost(w, x, y), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12)


# ---- what is wrong is seen


@pytest.mark.parametrize(
    "wrong", [lambda x: np.cumsum(x, axis=0), lambda x: x - np.mean(x), lambda x: x[::-1] + 0]
)
def test_an_op_that_mixes_rows_and_says_it_does_not_is_seen(wrong: Callable[..., Any]) -> None:
    liar = op(lambda g, z, x: g, rows=elementwise, memory=Memory.NEW)(wrong)
    (case,) = cases(each("liar", liar, REAL), np.random.default_rng(0), 7)
    with pytest.raises(AssertionError, match="rows do not pass"):
        assert_rows_pass(case, 2, 7)


@pytest.mark.parametrize("liar", [OPS["cumsum"], OPS["softmax_residual"], OPS["sum"]])
def test_a_wrong_trait_of_the_library_is_seen(liar: Op) -> None:
    wrong = planted_trait(liar, rows=elementwise, decompose=None)
    with wrong, pytest.raises(AssertionError, match=r"rows do not pass|not element by element"):
        test_slices_of_the_arguments_give_slices_of_the_result()


def test_an_op_of_ones_own_without_traits_is_not_cut() -> None:
    silent = op(lambda g, z, x: g * 2)(lambda x: x * 2)
    x = np.ones((MANY, 3))
    compiled = compile(lambda x: np.sum(silent(x)))
    assert compiled(x) == 6 * MANY
    assert not shared(compiled)
    assert passing(silent, (x,)) is None
