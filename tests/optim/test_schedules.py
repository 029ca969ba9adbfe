"""Schedules: the rate of each step."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tools.descents import (
    GRADIENTS,
    MAKERS,
    STARTS,
    WAYS,
    X,
    Y,
    network,
    tensors,
    walked,
)
from tools.refusals import assert_refused

from autonn import CrossEntropy, fit, optim


def test_schedules_give_the_rate_of_each_step() -> None:
    assert [optim.constant(0.3)(t) for t in (0, 7)] == [0.3, 0.3]
    falling = optim.step_decay(1.0, every=3, factor=0.5)
    assert [falling(t) for t in range(7)] == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]
    curve = optim.cosine(1.0, steps=4, end=0.2)
    expected = [0.2 + 0.4 * (1 + math.cos(math.pi * t / 4)) for t in range(4)]
    assert [curve(t) for t in range(6)] == pytest.approx([*expected, 0.2, 0.2], rel=1e-15)
    gentle = optim.warm_up(falling, steps=4)
    assert [gentle(t) for t in range(5)] == [0.25, 0.5, 0.75, 0.5, 0.5]
    cycle = optim.one_cycle(2.0, steps=10, rise=0.3, start=0.1, end=0.01)
    rates = [cycle(t) for t in range(12)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[1] == pytest.approx(1.1)
    assert rates[2] == max(rates) == 2.0
    assert np.all(np.diff(rates[2:10]) < 0)
    assert rates[9:] == [0.02] * 3
    assert optim.one_cycle(2.0, steps=2, rise=0.0)(0) == 2.0
    for steps in (1, 2, 3):
        assert optim.one_cycle(2.0, steps=steps)(steps) == pytest.approx(8e-6)


def test_schedules_are_those_of_pytorch() -> None:
    torch: Any = pytest.importorskip("torch")
    schedulers = torch.optim.lr_scheduler
    triples: list[tuple[optim.Schedule, int, Callable[[Any], Any]]] = [
        (optim.step_decay(0.5, 4, 0.3), 30, lambda o: schedulers.StepLR(o, 4, 0.3)),
        (optim.cosine(0.5, 30, 0.01), 30, lambda o: schedulers.CosineAnnealingLR(o, 30, 0.01)),
        (optim.one_cycle(0.5, 30), 30, lambda o: schedulers.OneCycleLR(o, 0.5, 30)),
        (optim.one_cycle(0.5, 7), 7, lambda o: schedulers.OneCycleLR(o, 0.5, 7)),
    ]
    for schedule, steps, scheduler_of in triples:
        theirs = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
        scheduler = scheduler_of(theirs)
        for step in range(steps):
            if step:
                theirs.step()
                scheduler.step()
            expected = theirs.param_groups[0]["lr"]
            assert schedule(step) == pytest.approx(expected, rel=1e-12), (schedule, step)


@pytest.mark.parametrize("way", WAYS)
def test_a_schedule_stands_wherever_a_rate_does(way: str) -> None:
    rates = [0.1, 0.02, 0.3, 0.0]
    scheduled = MAKERS[way](tensors(), lr=lambda step: rates[step])
    by_hand = MAKERS[way](tensors())
    for rate, gradients in zip(rates, GRADIENTS, strict=False):
        assert scheduled.learning_rate == rate
        by_hand.lr = rate
        scheduled.apply(gradients)
        by_hand.apply(gradients)
    for one, other in zip(scheduled.parameters, by_hand.parameters, strict=True):
        np.testing.assert_array_equal(one.data, other.data)


def test_momentum_feels_a_new_rate_at_once() -> None:
    """As in PyTorch, whose velocity is without the rate."""
    optimizer = optim.SGD(tensors(), lr=optim.step_decay(0.1, every=10), momentum=0.9)
    theta, velocity = STARTS[0], np.zeros((3, 4))
    for step, gradients in enumerate(GRADIENTS):
        velocity = 0.9 * velocity + gradients[0]
        theta = theta - 0.1 * 0.1 ** (step // 10) * velocity
    np.testing.assert_allclose(walked(optimizer, GRADIENTS)[0], theta, rtol=1e-13)


def test_a_step_is_a_mini_batch() -> None:
    seen: list[int] = []

    def schedule(step: int) -> float:
        seen.append(step)
        return 0.1

    optimizer = optim.SGD(lr=schedule)
    fit(network(), X, Y, loss=CrossEntropy(), optimizer=optimizer, epochs=2, batch_size=25, seed=0)
    assert seen == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("rate", [-1.0, math.nan, math.inf, "a"])
def test_a_schedule_that_gives_no_rate_is_refused_before_anything_changes(rate: Any) -> None:
    optimizer = optim.Adam(tensors(), lr=lambda step: rate if step == 1 else 0.1)
    optimizer.apply(GRADIENTS[0])
    state = pickle.dumps(optimizer.state_dict())
    error = TypeError if rate == "a" else ValueError
    assert_refused(lambda: optimizer.apply(GRADIENTS[1]), error, ["Adam: lr at step 1", str(rate)])
    assert pickle.dumps(optimizer.state_dict()) == state
