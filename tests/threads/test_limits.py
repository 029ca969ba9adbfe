"""How many threads share rows out: no more than whoever runs the process allows."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Any

import pytest

from autonn import threads


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    for name in (threads.OURS, *threads.LIMITS):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("said", "count"),
    [
        ({}, 8),
        ({"OMP_NUM_THREADS": "1"}, 1),
        ({"OMP_NUM_THREADS": "4,2"}, 4),
        ({"OPENBLAS_NUM_THREADS": "2", "LOKY_MAX_CPU_COUNT": "3"}, 2),
        ({"MKL_NUM_THREADS": "64"}, 8),
        ({"OMP_NUM_THREADS": "many"}, 8),
        ({"OMP_NUM_THREADS": "0"}, 8),
        ({"OMP_NUM_THREADS": "1", "AUTONN_THREADS": "5"}, 5),
        ({"AUTONN_THREADS": "99"}, 8),
    ],
)
def test_a_limit_of_the_caller_holds(
    said: dict[str, str], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    assert threads.cores() == count


def used(count: int) -> set[str]:
    """Share out so many slices, each of which waits for the others; name the threads."""
    names: set[str] = set()
    gate = threading.Barrier(count)

    def part(rows: slice) -> None:
        names.add(threading.current_thread().name)
        with contextlib.suppress(threading.BrokenBarrierError):
            gate.wait(0.2)

    threads.share(part, [slice(k, k + 1) for k in range(count)])
    return names


@pytest.mark.parametrize(("limit", "most"), [("1", 1), ("3", 3)])
def test_so_many_threads_compute(limit: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", limit)
    threads._workers.cache_clear()
    try:
        assert len(used(3)) == most
    finally:
        threads._workers.cache_clear()


def test_those_who_share_rows_out_at_once_divide_the_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    found: list[Any] = []
    with threads.one_thread:  # as while another thread does so
        found.append(len(used(2)))
    assert found == [1]
