"""Training and evaluation: the mode of a module, in each thread its own."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from autonn import (
    Dropout,
    Module,
    Sequential,
    Tensor,
    compile,
)

RNG = np.random.default_rng(0)


class Modes(Module):
    """It waits for the other threads while it is in use, and notes in which mode it was."""

    def __init__(self, barrier: threading.Barrier) -> None:
        self.barrier = barrier
        self.inner = Dropout(0.5, rng=0)

    def forward(self, x: Any) -> Tensor:
        seen = [(self.training, self.inner.training)]
        self.barrier.wait(timeout=30)
        seen.append((self.training, self.inner.training))
        self.barrier.wait(timeout=30)
        return Tensor(np.array([*seen, (self.training, self.inner.training)]))


def test_calls_that_overlap_in_threads_keep_their_own_modes() -> None:
    """By predict, in evaluation; directly, in whatever mode the model was set to."""
    model = Modes(threading.Barrier(4))
    with ThreadPoolExecutor(4) as pool:
        for mode in (True, False, True):
            model.train(mode)
            predicted = [pool.submit(model.predict, 0.0) for _ in range(2)]
            called = [pool.submit(lambda: model(0.0).numpy()) for _ in range(2)]
            assert not any(np.any(future.result()) for future in predicted)
            assert all(np.all(future.result() == mode) for future in called)
            assert model.training is model.inner.training is mode


def test_the_mode_for_a_while_ends_as_it_began_whatever_happens_within() -> None:
    model = Sequential(Dropout(0.5, rng=0), Sequential(Dropout(0.5, rng=0)))
    model[0].training = False

    def within() -> None:
        with model.evaluating():
            assert not any(module.training for _, module in model.named_modules())
            with model[1].evaluating():
                model.train()  # for a while as well
                assert model[0].training
                assert model[1][0].training
            assert not model[1][0].training
            raise KeyError

    with pytest.raises(KeyError):
        within()
    assert [module.training for _, module in model.named_modules()] == [True, False, True, True]
    model.eval()
    with model.evaluating():
        model.train()
    assert not any(module.training for _, module in model.named_modules())
    del model[0].training
    assert model[0].training


def test_a_compiled_function_knows_the_mode_for_a_while() -> None:
    """Also where the two kinds of call overlap, and the first was traced in either mode."""
    x = np.ones((2, 50))
    for first in (True, False):
        model = Dropout(0.5, rng=0)
        call = compile(lambda x, model=model: model(x).detach())
        for evaluating in (not first, first, *RNG.integers(0, 2, 20).astype(bool)):
            if evaluating:
                with model.evaluating():
                    assert np.all(call(x) == 1)
            else:
                assert set(np.unique(call(x).data)) == {0, 2}

    def within() -> bool:
        with model.evaluating():
            barrier.wait(timeout=30)
            alone = np.all(call(x) == 1)
            barrier.wait(timeout=30)
            return bool(alone and np.all(call(x) == 1))

    barrier = threading.Barrier(2)
    with ThreadPoolExecutor(1) as pool:
        for _ in range(5):
            future = pool.submit(within)
            barrier.wait(timeout=30)
            assert np.any(call(x) == 0)
            barrier.wait(timeout=30)
            assert np.any(call(x) == 0)
            assert future.result()
