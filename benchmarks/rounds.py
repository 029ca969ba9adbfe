"""Processes that take turns: each contender in one of its own, one of them running at a time.

Two thread pools in one process fight over the cores, and a slow minute of the machine must hit
everybody alike. So each worker is built once and then runs in short bursts, in rounds; between
them it waits on a pipe, and it answers only when its threads have stopped spinning.
"""

from __future__ import annotations

import multiprocessing
import time
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

BURST = 0.15  # seconds; long enough to forget that caches were cold and threads asleep
SLOW = 0.1  # seconds; what takes longer is run in few rounds


class Failed(Exception):
    """A worker could not do what it was asked to; the message is its own error's."""


class Worker:
    """A process that calls functions of this program when it is asked to.

    What a function leaves in its module stays there, in this process alone.
    """

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would share thread pools
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function of a module there, and wait for its result."""
        self._pipe.send((function, args))
        good, answer = self._pipe.recv()
        if not good:
            raise Failed(answer)
        return answer

    def close(self) -> None:
        """Let the process end."""
        self._pipe.close()
        self._process.join(10)
        self._process.kill()


def _serve(pipe: Connection) -> None:
    """Answer until the pipe is closed."""
    while True:
        try:
            function, args = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            answer = True, function(*args)
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            text = str(error).strip().partition("\n")[0]
            answer = False, f"{type(error).__name__}: {text} ({last.filename}:{last.lineno})"
        _come_to_rest()
        pipe.send(answer)


def _come_to_rest() -> None:
    """Wait until no thread of this process computes; OpenBLAS's spin for about 30 ms."""
    for _ in range(100):
        before = time.process_time()
        time.sleep(0.004)
        if time.process_time() - before < 0.0004:
            return


def burst(evaluate: Callable[[], Any]) -> float:
    """Call it for a while; return the median seconds of a call.

    The first one wakes the thread pool, and counts only if it is slow.
    """
    first = seconds(evaluate)
    if first > SLOW:
        return first
    times: list[float] = []
    end = time.perf_counter() + BURST
    while not times or time.perf_counter() < end:
        times.append(seconds(evaluate))
    return float(np.median(times))


def seconds(call: Callable[[], Any]) -> float:
    """Time one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def in_turn(
    turns: Mapping[str, Callable[[], float]], duration: float, least: int = 3
) -> dict[str, list[float]]:
    """Deal rounds out for so many seconds; return the figure that each turn gave, also in seconds.

    Who takes more than a tenth of a second for one call is left out after three rounds.
    """
    figures: dict[str, list[float]] = {name: [] for name in turns}
    end = time.perf_counter() + duration
    done = 0
    while done < least or time.perf_counter() < end:
        for name, turn in turns.items():
            if len(figures[name]) < 3 or min(figures[name]) < SLOW:
                figures[name].append(turn())
        done += 1
    return figures
