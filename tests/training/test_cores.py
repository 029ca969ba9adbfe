"""BLAS has one thread while a run of shared rows or small products lasts, and then what it had."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits
from tools.runs import X, Y

from autonn import CrossEntropy, Layer, Sequential, Sigmoid, fit, optim
from autonn.threads import libraries_beside


def now() -> list[int]:
    return [library.num_threads for library in libraries_beside(np) if library.user_api == "blas"]


class Looks:
    """Notes how many threads BLAS has at each step and epoch, and may fail."""

    def __init__(self, fails: bool = False) -> None:
        self.seen: list[int] = []
        self.fails = fails

    def on_step(self, seen: Any) -> None:
        self.seen += now()

    def on_epoch(self, seen: Any) -> None:
        self.seen += now()
        if self.fails:
            raise KeyError("mine")


def run(rows: int, width: int, looks: Looks, **options: Any) -> None:
    model = Sequential(Layer(5, width, rng=0), Sigmoid(), Layer(width, 3, rng=1), Sigmoid())
    repeats = -(-rows // 60)
    x, y = np.tile(X, (repeats, 1))[:rows], np.tile(Y, repeats)[:rows]
    metrics = {"threads": lambda a, y: max(now(), default=1)}
    history = fit(model, x, y, loss=CrossEntropy(), optimizer=optim.SGD(lr=0.1), epochs=2,
                  metrics=metrics, validation=(x[:9], y[:9]), callbacks=[looks],
                  **options)  # fmt: skip
    looks.seen += map(int, history.metrics["threads"])


@pytest.mark.skipif(not now(), reason="NumPy brings no BLAS of its own here")
def test_one_thread_for_a_whole_run_and_the_callers_again() -> None:
    with threadpool_limits(2, user_api="blas"):
        before = now()
        for rows, width, options in ((60, 4, {}), (60, 4, {"batch_size": 7}), (5000, 300, {})):
            looks = Looks()
            run(rows, width, looks, **options)
            assert set(looks.seen) == {1}
            assert now() == before
        large = Looks()
        run(4000, 300, large, compile=False)  # nobody else shares these out
        assert set(large.seen) == set(before)
        with pytest.raises(KeyError, match="mine"):
            run(60, 4, Looks(fails=True))
        assert now() == before
