"""Ctrl-C and SIGTERM: a step is finished before training stops."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class Interrupts:
    """How often a run was asked to stop, and whether it may be stopped at once."""

    count: int = 0
    updating: bool = False  # within an update of the parameters

    def note(self, number: int, frame: FrameType | None) -> None:
        """Take the first signal as a note, and stop at the second, but within no update."""
        self.count += 1
        if self.count > 1 and not self.updating:
            raise KeyboardInterrupt


@contextmanager
def noted_in(interrupts: Interrupts) -> Iterator[None]:
    """Turn the first Ctrl-C or SIGTERM into a note, so that no step is left half done."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread gets signals
        return
    # One that is ignored, as under nohup, stays so; None is a handler that Python can't set again.
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    ours = {n: old for n, old in before.items() if old not in (signal.SIG_IGN, None)}
    for number in ours:
        signal.signal(number, interrupts.note)
    try:
        yield
    finally:
        for number, old in ours.items():
            signal.signal(number, old)
