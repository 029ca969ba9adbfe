"""Ctrl-C and SIGTERM."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tools.runs import close, network, train

from autonn import CrossEntropy, Tensor, optim
from autonn.training import History


@pytest.mark.parametrize("options", [{}, {"batch_size": 20}, {"optimizer": optim.LBFGS()}])
def test_ctrl_c_finishes_the_step_and_keeps_what_was_learned(options: dict[str, Any]) -> None:
    def press(history: History) -> None:
        if len(history) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    model, same = network(), network()
    history = train(model, callbacks=[press], epochs=50, seed=0, **options)
    assert history.interrupted
    assert len(history) == 2
    assert signal.getsignal(signal.SIGINT) is handler
    options = options | ({"optimizer": optim.LBFGS()} if "optimizer" in options else {})
    train(same, epochs=2, seed=0, **options)
    np.testing.assert_allclose(model[0].theta, same[0].theta, rtol=1e-12)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_epoch_is_taken_up_where_it_was(number: int, tmp_path: Path) -> None:
    seen: list[int] = []

    class Interrupting(CrossEntropy):
        def __call__(self, a: Any, y: Any, weights: Any = None) -> Tensor:
            np.array(y)  # so that it is not compiled, and called at each step
            seen.append(0)
            if len(seen) == 5:
                os.kill(os.getpid(), number)
            return super().__call__(a, y, weights)

    options: dict[str, Any] = {"checkpoint": tmp_path / "run.npz", "batch_size": 20, "seed": 0}
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    model, resumed, plain = network(), network(), network()
    history = train(model, loss=Interrupting(), **options)
    assert (len(seen), len(history), history.interrupted) == (5, 1, True)
    history = train(resumed, loss=Interrupting(), resume=True, **options)
    assert history == train(plain, batch_size=20, seed=0, compile=False)
    close(resumed, plain, 0.0)
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


def test_no_signal_leaves_the_weights_half_updated() -> None:
    class Impatient(optim.SGD):
        def _update(self, *args: Any) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            super()._update(*args)

    model, same = network(), network()
    history = train(model, optimizer=Impatient(lr=0.5))  # four signals within the first update
    assert history.interrupted
    train(same, epochs=1)
    close(model, same, 0.0)


def test_a_second_signal_stops_at_once() -> None:
    def press(history: History) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("not reached")

    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt):
        train(network(), callbacks=[press])
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        history = train(network(), callbacks=[lambda _: os.kill(os.getpid(), signal.SIGINT)])
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(history) == 5


def test_training_works_in_any_thread() -> None:
    model, same = network(), network()
    thread = threading.Thread(target=train, args=(model,))
    thread.start()
    thread.join()
    train(same)
    close(model, same, 0.0)
