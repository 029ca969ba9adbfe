"""compile: what it computes is what the function computes, and the source is what it runs."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from optable import TABLE, Row

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
    compile,
    gradients,
    l2_penalty,
    value_and_grad,
)
from autonn.engine.compile import Compiled

Array = NDArray[Any]
SEEDS = st.integers(0, 2**32 - 1)


def leaves(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return [leaf for branch in tree.values() for leaf in leaves(branch)]
    if isinstance(tree, list | tuple):
        return [leaf for branch in tree for leaf in leaves(branch)]
    return [tree.data if isinstance(tree, Tensor) else np.asarray(tree)]


def assert_agree(compiled: Any, eager: Any, tolerance: float = 1e-13) -> None:
    """Demand the same structure, shapes, dtypes and, relative to the largest, values."""
    ours, theirs = leaves(compiled), leaves(eager)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        scale = 2e8 * tolerance if a.dtype == np.float32 else tolerance
        finite = np.abs(b[np.isfinite(b)]) if b.dtype.kind == "f" else np.abs(b.ravel())
        largest = float(finite.max(initial=0))
        np.testing.assert_allclose(a, b, rtol=scale, atol=scale * largest)


def standalone(f: Compiled, *given: Any) -> Any:
    """Run the source in a namespace of its own, as if it were pasted into a file."""
    namespace: dict[str, Any] = {}
    exec(f.source, namespace)
    return namespace["program"](*given)


# ---- every op


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_every_op_compiled_equals_itself(row: Row) -> None:
    rng = np.random.default_rng(sum(map(ord, row.name)))
    for _ in range(2):
        args = row.draw(rng, True)

        def weighted(w: Any, *args: Any) -> Any:
            return np.sum(row.f(*args) * w)

        weights = rng.uniform(0.5, 1.5, np.shape(row.f(*(Tensor(a) for a in args))))
        everything = tuple(range(1, len(args) + 1))
        for f, of in ((row.f, args), (value_and_grad(weighted, everything), (weights, *args))):
            eager = f(*(Tensor(a) for a in of))
            compiled = compile(f)
            ours = compiled(*of)
            assert_agree(ours, eager, 1e-12)
            for a, b in zip(leaves(standalone(compiled, *of)), leaves(ours), strict=True):
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
        compiled(X, y).backward()
    total = [p.grad for p in model.parameters()]
    model.zero_grad()
    loss(model(X), y).backward()
    assert_agree(total, [3 * p.grad for p in model.parameters()], 1e-12)
