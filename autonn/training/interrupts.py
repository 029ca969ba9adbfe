"""Ctrl-C and SIGTERM: a step is finished before training stops."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from autonn.training.loop import Run


@contextmanager
def interruptible(run: Run) -> Iterator[None]:
    """Turn the first Ctrl-C or SIGTERM into a note, so that no step is left half done."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread gets signals
        return

    def note(number: int, frame: FrameType | None) -> None:
        run.signals += 1
        if run.signals > 1 and not run.updating:
            raise KeyboardInterrupt

    # One that is ignored, as under nohup, stays so; None is a handler that Python can't set again.
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    ours = {n: old for n, old in before.items() if old not in (signal.SIG_IGN, None)}
    for number in ours:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number, old in ours.items():
            signal.signal(number, old)
