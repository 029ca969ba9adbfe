"""Rows held by the workers of Dask: an actor on each, which keeps its slices while a run lasts.

An actor is not made again by Dask when its worker dies. Here it is: from the same rows, on another
worker, and what was asked is asked again. As the slices and their order stay, so do the bits.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from autonn.distributed.holders import Held, Holders, Workers
from autonn.distributed.rows import BLOCK, Rows, is_of_dask
from autonn.engine.tensor import Array
from autonn.threads import share

__all__ = ["as_workers"]

# Seconds: how long an answer is waited for before it is asked whether its worker is still there;
# how long for a new worker in the place of a lost one, before the others take its rows; and how
# long for any worker at all.
PATIENCE, REPLACEMENT, ANYONE = 2.0, 5.0, 300.0

# How often rows are lost at one step until it is no accident.
ATTEMPTS = 8


def as_workers(given: Any, name: str = "fit: workers") -> Workers:
    """Return who can be given rows: a client of Dask's as such, or what has a `deal` itself.

    Raises
    ------
    TypeError, ValueError
        For what is neither; for a client that is asynchronous.
    ImportError
        For what is neither, where Dask is not installed.

    Examples
    --------
    >>> from autonn.distributed.holders import Threads
    >>> as_workers(Threads(2)).count
    2
    """
    if callable(getattr(given, "deal", None)) and not isinstance(given, type):
        workers: Workers = given
        return workers
    client = _distributed().Client
    if not isinstance(given, client):
        raise TypeError(
            f"{name} is a client of Dask's, as distributed.Client(address), or another object with "
            f"deal(rows), as autonn.distributed.Threads(), not {given!r}"
        )
    if given.asynchronous:
        raise ValueError(f"{name} is an asynchronous client; give Client(address)")
    return DaskWorkers(given)


def _distributed() -> Any:
    """Import Dask's distributed, or say how to install it."""
    try:
        return importlib.import_module("distributed")
    except ImportError as error:
        raise ImportError(
            "workers of Dask need its package distributed, which is not there; "
            "write pip install 'autonn[dask]'"
        ) from error


class DaskWorkers:
    """The workers of a client of Dask's."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def deal(self, rows: Rows) -> Holders:
        """Hand each worker its share of the slices, by its number of threads."""
        return DaskHolders(self.client, rows)

    def take(self, array: Any, start: int, stop: int) -> Array:
        """Let the workers compute some rows, which come here."""
        chunks = Chunks(array)
        numbers = chunks.behind(start, stop)
        futures = self.client.compute([chunks.delayed[k] for k in numbers])
        starts = [int(chunks.edges[k]) for k in numbers]
        taken = self.client.submit(_rows_of, futures, starts, start, stop, pure=False)
        return np.asarray(taken.result(), array.dtype)


class Chunks:
    """The chunks of a Dask array, each computed by itself, with the keys that all others know.

    Of slices Dask makes other graphs with keys in common, one of which may wait for ever for what
    another was to compute: https://github.com/dask/dask/issues/9888.
    """

    def __init__(self, array: Any) -> None:
        self.delayed = array.to_delayed(optimize_graph=False).ravel()
        self.edges = np.cumsum([0, *array.chunks[0]])

    def behind(self, start: int, stop: int) -> range:
        """Tell which chunks some rows lie in."""
        first = int(np.searchsorted(self.edges, start, "right")) - 1
        last = int(np.searchsorted(self.edges, stop, "left"))
        return range(max(first, 0), max(last, first + 1))


def _rows_of(chunks: Sequence[Any], starts: Sequence[int], start: int, stop: int) -> Any:
    """Take rows out of chunks that begin at these rows: a view, where they lie in one."""
    parts = []
    for chunk, first in zip(chunks, starts, strict=True):
        part = np.asarray(chunk)[max(start - first, 0) : max(stop - first, 0)]
        if len(part):
            parts.append(part)
    if not parts:
        return np.asarray(chunks[0])[:0]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


class Actor:
    """Holds rows on a worker, and answers in a form that travels lightly.

    Errors of its own are answers too, so that what is raised can only be the way's.

    Parameters
    ----------
    slices
        The slices that it holds.
    arrays
        For each array the chunks that its rows lie in, the first row of each, and the dtype; or
        None, where the rows will come by `take`.
    threads
        How many slices are computed side by side.
    """

    def __init__(
        self, slices: Sequence[tuple[int, int]], arrays: Sequence[Any], threads: int
    ) -> None:
        self.slices, self.threads = slices, threads
        self.arrays: list[list[Any]] = []
        for found in arrays:
            if found is None:
                self.arrays.append([None] * len(slices))
                continue
            chunks, starts, dtype = found
            rows = (_rows_of(chunks, starts, a, b) for a, b in slices)
            self.arrays.append([part.astype(dtype, copy=False) for part in rows])
        self.held: Held | None = None

    def take(self, k: int, first: int, rows: Sequence[Any]) -> None:
        """Take the rows of some slices of an array."""
        aligned = [np.require(part, requirements=["ALIGNED", "C_CONTIGUOUS"]) for part in rows]
        self.arrays[k][first : first + len(rows)] = aligned

    def answer(self, what: str, args: Sequence[Any]) -> tuple[bool, Any]:
        """Do as `Held` is asked; return whether that could be done, and the answers."""
        try:
            if self.held is None:
                self.held = Held(self.slices, self.arrays, partial(share, most=self.threads))
                self.arrays = []
            answers = getattr(self.held, what)(*args)
        except Exception as error:
            return False, error
        if what == "sums":  # an array of all slices, of each sum: 4 in place of 320 messages
            answers = [np.stack(column) for column in zip(*answers, strict=True)]
        return True, answers


@dataclass
class Group:
    """Slices next to each other, which one worker holds."""

    first: int
    slices: list[tuple[int, int]]
    address: str = ""
    future: Any = None
    actor: Any = None


class _LostError(Exception):
    """The worker of a group is not there any more."""


class DaskHolders:
    """Actors on the workers, and how they are asked; one that is lost is made again."""

    def __init__(self, client: Any, rows: Rows) -> None:
        self.client, self.rows, self.lessons = client, rows, list[Any]()
        self.chunks: dict[int, Chunks] = {}  # by the id of an array, which the rows keep
        # Whether workers are asked past the scheduler, and whether one has ever answered.
        self.direct, self.reached = True, False
        with self.reachable():
            self.groups = self.divided(rows.slices)
            self.settle(self.groups)

    # ---- what holders do

    def ask(self, what: str, *args: Any) -> list[Any]:
        """Ask all actors at once; those that are lost are made again, and asked again."""
        if what == "learn":
            self.lessons.append(args)
        answers: dict[int, list[Any]] = {}
        with self.reachable():
            for _ in range(ATTEMPTS):
                waiting = [group for group in self.groups if group.first not in answers]
                calls = [(group, self.sent(group, what, args)) for group in waiting]
                for group, call in calls:
                    try:
                        answers[group.first] = _unpacked(what, self.result(group, call))
                    except _LostError:
                        group.actor = None
                lost = [group for group in self.groups if group.first not in answers]
                if not lost:
                    return [a for group in self.groups for a in answers[group.first]]
                self.settle(lost)
        raise RuntimeError(
            f"workers were lost {ATTEMPTS} times at one step; their log says why, and memory for "
            f"their rows is the usual cause: more workers hold fewer rows each"
        )

    def close(self) -> None:
        """Let the actors and their rows go."""
        for group in self.groups:
            group.actor, group.future = None, None

    # ---- asking one

    def sent(self, group: Group, what: str, args: Sequence[Any]) -> Any:
        """Ask one actor; None where it is known to be lost."""
        try:
            return group.actor.answer(what, args)
        except RuntimeError:  # Dask knows it already
            return None

    def result(self, group: Group, call: Any) -> Any:
        """Wait for an answer; `_LostError` where nobody is there to give it."""
        if call is None:
            raise _LostError
        done, answers = self.waited(group, call)
        if not done:
            raise answers
        return answers

    def waited(self, group: Group, call: Any) -> Any:
        """Wait for what a worker computes, as long as it is there."""
        while True:
            try:
                answer = call.result(timeout=PATIENCE)
                self.reached = True
                return answer
            except TimeoutError:
                if group.address not in self.threads():
                    raise _LostError from None
            except Exception as error:
                if not self.reached:  # not from here, perhaps: by the scheduler, then
                    self.direct = self.client.direct_to_workers = False
                raise _LostError from error

    def threads(self) -> dict[str, int]:
        """Ask which workers there are, and how many threads each has."""
        found: dict[str, int] = self.client.nthreads()
        return found

    @contextmanager
    def reachable(self) -> Iterator[None]:
        """Let the client talk to workers past the scheduler for a while: 2.1 ms a step for 5.7.

        Where the scheduler itself is lost, say so.
        """
        before = self.client.direct_to_workers
        self.client.direct_to_workers = before or self.direct
        try:
            yield
        except Exception as error:
            if self.client.status == "running" and not _is_lost(error):
                raise
            raise ConnectionError(
                "the scheduler of the workers is gone; start another, and give its client. The "
                "model keeps what it learned; with checkpoint= and resume=True the run goes on"
            ) from error
        finally:
            self.client.direct_to_workers = before

    # ---- handing rows out

    def divided(self, slices: Sequence[tuple[int, int]]) -> list[Group]:
        """Divide the slices among the workers by their threads."""
        self.anyone()
        threads = self.threads()
        total, taken, groups = sum(threads.values()), 0, []
        for address in sorted(threads):
            start = round(len(slices) * taken / total)
            taken += threads[address]
            stop = round(len(slices) * taken / total)
            if stop > start:
                groups.append(Group(start, list(slices[start:stop]), address))
        return groups

    def settle(self, groups: Sequence[Group]) -> None:
        """Make the actors of groups, on workers that are there, until each has one."""
        for _ in range(ATTEMPTS):
            waiting = [group for group in groups if group.actor is None]
            for group in waiting:
                self.begin(group)
            for group in waiting:
                try:
                    self.fill(group)
                except _LostError:
                    group.actor = None
            if all(group.actor is not None for group in groups):
                return
        raise RuntimeError("workers were lost again and again while they took their rows")

    def begin(self, group: Group) -> None:
        """Let Dask compute its rows where they will be held."""
        if group.future is not None or not group.address:
            group.address = self.another()
        arrays = [self.chunks_of(array, group) for array in self.rows.arrays]
        threads = self.threads().get(group.address, 1)
        group.future = self.client.submit(
            Actor, group.slices, arrays, threads, actor=True, pure=False, workers=[group.address]
        )

    def chunks_of(self, array: Any, group: Group) -> Any:
        """Let Dask compute the chunks that a group's rows lie in; None of what is no Dask array.

        Rather on its own worker, but not only there: a chunk that two groups share would wait for a
        worker that died.
        """
        if not is_of_dask(array):
            return None
        if id(array) not in self.chunks:
            self.chunks[id(array)] = Chunks(array)
        chunks = self.chunks[id(array)]
        numbers = chunks.behind(group.slices[0][0], group.slices[-1][1])
        futures = self.client.compute(
            [chunks.delayed[k] for k in numbers], workers=[group.address], allow_other_workers=True
        )
        return futures, [int(chunks.edges[k]) for k in numbers], array.dtype

    def fill(self, group: Group) -> None:
        """Hand an actor the rows that are here, and all that was learned."""
        group.actor = self.waited(group, group.future)
        for k, array in enumerate(self.rows.arrays):
            if is_of_dask(array):
                continue
            for first, last in _handfuls(array, group.slices):
                parts = [np.asarray(array[a:b]) for a, b in group.slices[first:last]]
                try:
                    self.waited(group, group.actor.take(k, first, parts))
                except RuntimeError as error:
                    raise _LostError from error
        for lesson in self.lessons:
            self.result(group, self.sent(group, "learn", lesson))

    def anyone(self) -> None:
        """Wait until there is a worker."""
        try:
            self.client.wait_for_workers(1, timeout=ANYONE)
        except TimeoutError as error:
            raise RuntimeError(f"there is no worker, and none came in {ANYONE:g} s") from error

    def another(self) -> str:
        """Choose a worker for a group that lost its own: one that holds nothing, if one comes."""
        until = time.monotonic() + REPLACEMENT
        while True:
            self.anyone()
            held = dict.fromkeys(self.threads(), 0)
            for group in self.groups:
                if group.address in held:
                    held[group.address] += len(group.slices)
            least = min(held, key=lambda address: held[address]) if held else ""
            if least and (held[least] == 0 or time.monotonic() > until):
                return least
            time.sleep(0.05)


def _is_lost(error: BaseException) -> bool:
    return isinstance(error, OSError) and "scheduler" in str(error).lower()


def _unpacked(what: str, answers: list[Any]) -> list[Any]:
    """Take the sums apart again, one row of arrays a slice."""
    return list(zip(*answers, strict=True)) if what == "sums" else answers


def _handfuls(array: Any, slices: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield ranges of slices whose rows make a message of some 8 MB."""
    start = 0
    width = int(np.prod(array.shape[1:], dtype=int)) or 1
    while start < len(slices):
        stop, count = start, 0
        while stop < len(slices) and (stop == start or count * width < BLOCK):
            count += slices[stop][1] - slices[stop][0]
            stop += 1
        yield start, stop
        start = stop
