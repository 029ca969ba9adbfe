"""Memory is given back by reference counts alone: no cycles, no growth, whatever was done."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autonn
from autonn import CrossEntropy, Layer, Sequential, Sigmoid, Tensor, l2_penalty, optim

X = np.random.default_rng(0).standard_normal((20, 5))


def loss_of(model: Sequential) -> Tensor:
    cost = CrossEntropy()(model(X), np.arange(20) % 3)
    return cost + l2_penalty(model, 1.0, examples=20)


def model() -> Sequential:
    return Sequential(Layer(5, 4, rng=0), Sigmoid(), Layer(4, 3, rng=1), Sigmoid())


def backward(net: Sequential) -> None:
    loss_of(net).backward()


def dropped(net: Sequential) -> None:
    loss_of(net)


def retained(net: Sequential) -> None:
    loss_of(net).backward(retain_graph=True)


def refused(net: Sequential) -> None:
    loss = loss_of(net)
    loss.backward()
    with pytest.raises(RuntimeError, match="freed"):
        loss.backward()


def second_order(net: Sequential) -> None:
    x = Tensor(X, requires_grad=True)
    np.sum(net(x)).backward(create_graph=True)
    first, x.grad = x.grad, None
    net.zero_grad()
    np.sum(first * first).backward()
    net.zero_grad()


def transforms(net: Sequential) -> None:
    autonn.hvp(lambda x: np.sum(net(x) ** 2), X, X)
    autonn.jacobian(lambda x: net(x)[0])(X)
    autonn.jvp(lambda x: net(x), X, X)


def checkpointed(net: Sequential) -> None:
    np.sum(autonn.checkpoint(net)(X)).backward()


def evaluated(net: Sequential) -> None:
    net.predict(X)


def stepped(net: Sequential) -> None:
    optimizer = optim.SGD(net.parameters(), lr=0.01)
    backward(net)
    optimizer.step()


WORK = [
    backward, dropped, retained, refused, second_order, transforms, checkpointed, evaluated,
    stepped,
]  # fmt: skip


@pytest.mark.parametrize("work", WORK)
def test_nothing_is_left_for_the_garbage_collector(
    work: Callable[[Sequential], None], no_gc: None
) -> None:
    net = model()
    work(net)
    gc.collect()
    net.zero_grad()
    work(net)
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        left = [x for x in gc.garbage if isinstance(x, Tensor | np.ndarray)]
        assert left == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


@pytest.mark.parametrize("work", [backward, dropped, stepped, checkpointed])
def test_three_hundred_steps_more_take_no_more_memory(
    work: Callable[[Sequential], None], no_gc: None
) -> None:
    net = model()

    def steps(count: int) -> int:
        for _ in range(count):
            net.zero_grad()
            work(net)
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = steps(50)
        assert steps(300) - before < 6_000  # 20 bytes a step: no object is as small
    finally:
        tracemalloc.stop()


def test_a_checkpoint_forgets_what_is_inside(no_gc: None) -> None:
    x = Tensor(np.ones(100_000), requires_grad=True)

    def chain(v: Any) -> Any:
        for _ in range(10):
            v = np.sin(v)
        return v

    def held(f: Callable[[Any], Any]) -> float:
        before = tracemalloc.get_traced_memory()[0]
        y = f(x)
        return (tracemalloc.get_traced_memory()[0] - before) / float(y.data.nbytes)

    tracemalloc.start()
    try:
        assert held(chain) == pytest.approx(10, abs=0.1)
        assert held(autonn.checkpoint(chain)) == pytest.approx(1, abs=0.1)
    finally:
        tracemalloc.stop()


net_of_traces = model()

TRACED: dict[str, Callable[[Any], Any]] = {
    "gradients": lambda x: autonn.gradients(np.sum(net_of_traces(x)), net_of_traces.parameters()),
    "indices that are data": lambda x: x[np.argmax(x, axis=1), 0] + x[0][np.argsort(x[0])][0],
    "hvp": lambda x: autonn.hvp(lambda z: np.sum(np.tanh(z) ** 3), x, x),
    "vmap": lambda x: autonn.vmap(lambda row: np.interp(row, [-1.0, 0.0, 2.0], [0.0, 1.0, 3.0]))(x),
    "vmap of grad": autonn.vmap(autonn.grad(lambda row: np.sum(np.sort(row) * np.arange(5.0)))),
    "scan": lambda x: autonn.scan(lambda c, row: (c + row, c * row), x[0], x),
    "cases": lambda x: np.where(x > 0, np.clip(x, 0.1, 1.0), np.cumsum(x, axis=1)),
}


@pytest.mark.parametrize("name", TRACED)
def test_a_trace_leaves_nothing_to_the_garbage_collector(no_gc: None, name: str) -> None:
    step = autonn.compile(TRACED[name])
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)  # what is left is kept, to be looked at
    try:
        step(X)
        gc.collect()
        left = [a for a in gc.garbage if getattr(a, "__module__", "") != "ast"]  # of Python's own
        assert {type(a).__name__ for a in left} <= {"cell", "tuple"}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


@pytest.mark.parametrize("name", TRACED)
def test_nor_does_an_eager_run(no_gc: None, name: str) -> None:
    TRACED[name](X)
    gc.collect()
    TRACED[name](X)
    assert gc.collect() == 0
