"""Threads: workers that share rows out, and the pools of BLAS, which must not fight with them.

NumPy and SciPy each bring an OpenBLAS with threads of its own. While rows are shared out, each
worker calls BLAS for its part, and so BLAS is held to one thread.

Who runs several processes says by environment variables how many threads each may have, and loky
and Dask say so to their workers: that limit holds here too. Threads that share rows out at the same
time divide the cores among them.
"""

from __future__ import annotations

import contextvars
import functools
import itertools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

__all__ = ["LIMITS", "OURS", "cores", "libraries_beside", "one_thread", "share"]


@functools.cache
def _workers(count: int) -> ThreadPoolExecutor:
    """Start the threads that help the caller's own; they end with the process."""
    return ThreadPoolExecutor(max(1, count - 1), "autonn-rows")


# By what a process is told how many threads it may have; ours, where it is set, tells alone.
OURS = "AUTONN_THREADS"
LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")


def cores() -> int:
    """Return how many threads may compute at once: the cores, unless the caller set a limit."""
    usable = getattr(os, "sched_getaffinity", None)
    count = len(usable(0)) if usable else os.cpu_count() or 1
    names = (OURS,) if _limit(OURS) else LIMITS
    return min([count, *filter(None, map(_limit, names))])


def _limit(name: str) -> int | None:
    """Read a number of threads, the first of "4,2"; None where there is none, or no number."""
    first = os.environ.get(name, "").partition(",")[0].strip()
    return int(first) or None if first.isdecimal() else None


def share(
    part: Callable[[slice], Any], slices: Sequence[slice], most: int | None = None
) -> list[Any]:
    """Compute the parts side by side, NumPy's BLAS held to one thread each; as `map` does.

    In as many threads as there are `cores`, or `most`, where the caller was given so many.
    """
    results: list[Any] = [None] * len(slices)
    count = most or cores()
    turns = itertools.count()

    def work() -> None:
        while (k := next(turns)) < len(slices):
            results[k] = part(slices[k])

    with one_thread:
        helpers = [
            _workers(count).submit(contextvars.copy_context().run, work)
            for _ in range(min(count - one_thread.callers, len(slices) - 1))
        ]
        try:
            work()
        finally:
            for helper in helpers:
                helper.result()
    return results


def libraries_beside(package: ModuleType) -> list[Any]:
    """List the controllers of the libraries with threads that a package brings.

    They are told by the folder: wheels keep theirs in numpy.libs or scipy.libs, or in .dylibs
    within the package on a Mac.
    """
    return _beside(package, ThreadpoolController().lib_controllers)


def _beside(package: ModuleType, found: Sequence[Any]) -> list[Any]:
    home = Path(str(package.__file__)).parent
    folders = {home, home.with_name(f"{home.name}.libs")}
    return [library for library in found if folders & set(Path(library.filepath).parents)]


@functools.cache
def _blas() -> list[Any]:
    """Find NumPy's own BLAS: what it brings, or all there are where it brings none."""
    found = ThreadpoolController().lib_controllers  # 8 ms: it looks at all that is loaded
    there = [library for library in found if library.user_api == "blas"]
    return _beside(np, there) or there


class OneThread:
    """Holds NumPy's BLAS to one thread while any caller is inside; counts the callers."""

    def __init__(self) -> None:
        self.lock, self.callers, self.before = threading.Lock(), 0, [0]

    def __enter__(self) -> None:
        with self.lock:
            if self.callers == 0:
                self.before = [library.num_threads for library in _blas()]
                for library in _blas():
                    library.set_num_threads(1)
            self.callers += 1

    def __exit__(self, *exception: object) -> None:
        with self.lock:
            self.callers -= 1
            if self.callers == 0:
                for library, threads in zip(_blas(), self.before, strict=True):
                    library.set_num_threads(threads)


one_thread = OneThread()


def _begin_anew() -> None:
    """Forget the threads: a forked child has none of its parent's, but a copy of its locks."""
    _workers.cache_clear()
    one_thread.__init__()  # type: ignore[misc]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
