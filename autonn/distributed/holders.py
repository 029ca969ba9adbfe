"""Who hold rows and give sums: what one of them does, and how all are asked the same."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from autonn import checks
from autonn.distributed.rows import Rows, digest_of_rows, is_of_dask
from autonn.engine.tensor import Array
from autonn.threads import share

__all__ = ["Held", "Holders", "Threads", "Workers"]

Share = Callable[[Callable[[slice], Any], Sequence[slice]], Sequence[Any]]


class Holders(Protocol):
    """All who hold rows: several `Held`, which together have all slices.

    For workers of another kind, as ranks of MPI, write these two methods, and `Workers.deal`; all
    that is asked is a method of `Held`, by its name.

    >>> holders = Threads().deal(Rows([np.array([[1.0], [np.nan]])]))
    >>> holders.ask("faults", 0)
    ['', 'nan in row 1, column 0']
    >>> holders.close()
    """

    def ask(self, what: str, *args: Any) -> list[Any]:
        """Let every `Held` do the same, and return its answers, one a slice, in their order."""
        ...

    def close(self) -> None:
        """Let the rows go."""
        ...


class Workers(Protocol):
    """Who can be given rows to hold: what `fit` takes as `workers`, beside a client of Dask's.

    >>> workers: Workers = Threads(2)
    >>> len(workers.deal(Rows([np.ones((5000, 1))])).ask("digests", 0))
    2
    """

    def deal(self, rows: Rows) -> Holders:
        """Hand each slice of the rows to one who holds it from then on."""
        ...

    def take(self, array: Any, start: int, stop: int) -> Array:
        """Take some rows of one of Dask's arrays into memory; refuse it where that can't be."""
        ...


class Held:
    r"""Some slices of the rows, and the programs that are run on them.

    Each method gives a list with one answer for each of its slices, in their order.

    Parameters
    ----------
    slices
        The first row of each slice, and the one after its last, among all rows.
    arrays
        For each array the rows of each slice.
    share
        Computes the slices: `map`, or `autonn.threads.share`, side by side.

    Examples
    --------
    >>> held = Held([(0, 2), (2, 3)], [[np.ones((2, 1)), np.ones((1, 1))]], map)
    >>> held.learn("total", "def program(x, *, share):\n"
    ...     "    share(lambda rows: (x[rows].sum(),), [slice(0, 2), slice(2, 3)])", [0], {})
    [None, None]
    >>> held.sums("total", [])
    [(np.float64(2.0),), (np.float64(1.0),)]
    """

    def __init__(
        self,
        slices: Sequence[tuple[int, int]],
        arrays: Sequence[Sequence[Array]],
        share: Share = share,
    ) -> None:
        self.slices, self.share = [slice(*ends) for ends in slices], share
        # Arrays that came by a message may lie anywhere in it: products take 1.7 times as long.
        self.arrays = [_Views(self.slices, map(_aligned, rows)) for rows in arrays]
        self.programs: dict[str, Any] = {}

    def learn(
        self, name: str, text: str, order: Sequence[int], outside: Mapping[str, Any]
    ) -> list[None]:
        """Take a program: its text, what it takes, and what it calls that has no text.

        `order` says for each argument which array it is, or is -1 where the caller gives it.
        """
        namespace = {"__name__": __name__, **outside}
        exec(compile(text, f"<{name}, derived by autonn.compile>", "exec"), namespace)
        self.programs[name] = namespace["program"], list(order)
        return [None for _ in self.slices]

    def sums(self, name: str, values: Sequence[Array]) -> list[tuple[Any, ...]]:
        """Compute what each slice adds to the sums, the caller's values given."""
        program, order = self.programs[name]
        given = iter(values)
        arguments = [next(given) if k < 0 else self.arrays[k] for k in order]
        try:
            program(*arguments, share=self._shared)
        except _Computed as done:
            return list(done.sums)
        raise RuntimeError(f"the program {name} asks for no sums")

    def _shared(self, part: Callable[[slice], Any], slices: Sequence[slice]) -> Any:
        """Stand where a program shares its rows out: what follows is the caller's."""
        raise _Computed(self.share(part, self.slices))

    def faults(self, k: int) -> list[str]:
        """Say for each slice where an array has its first NaN or infinity, if it has one."""
        return [
            checks.not_finite(rows, self.slices[i].start) if rows.dtype.kind in "fc" else ""
            for i, rows in enumerate(self.arrays[k].rows)
        ]

    def digests(self, k: int) -> list[bytes]:
        """Return for each slice a short name of its rows of an array."""
        return [digest_of_rows(rows) for rows in self.arrays[k].rows]


class _Computed(Exception):
    """Carries the sums out of a program, the rest of which is the caller's."""

    def __init__(self, sums: Any) -> None:
        self.sums = sums


class _Views:
    """An array of which only some slices are here: what a program takes rows from."""

    def __init__(self, slices: Sequence[slice], rows: Any) -> None:
        self.rows = list(rows)
        self.by_start = {place.start: part for place, part in zip(slices, self.rows, strict=True)}

    def __getitem__(self, place: slice) -> Array:
        part: Array = self.by_start[place.start]
        return part


def _aligned(rows: Array) -> Array:
    return np.require(rows, requirements=["ALIGNED", "C_CONTIGUOUS"])


class Threads:
    """Workers that are threads of this process: for arrays in memory, and for memory maps.

    A memory map stays on the disk, and is read through at each step. Nothing is copied.

    Parameters
    ----------
    count
        How many threads; None is for as many as there are cores.

    Examples
    --------
    >>> from autonn import CrossEntropy, Layer, Sequential, Sigmoid, fit, optim
    >>> X, y = np.linspace(-1, 1, 6)[:, None], np.array([0, 0, 0, 1, 1, 1])
    >>> model = Sequential(Layer(1, 2, rng=0), Sigmoid())
    >>> history = fit(model, X, y, CrossEntropy(), optim.LBFGS(), epochs=20, workers=Threads())
    >>> history.accuracy[-1]
    1.0
    """

    def __init__(self, count: int | None = None) -> None:
        self.count = None if count is None else checks.whole("Threads: count", count)

    def take(self, array: Any, start: int, stop: int) -> Array:
        """Refuse what these threads can't compute."""
        raise TypeError(
            "Threads: X or y is a Dask array, which may not fit in memory; give workers=client of "
            "Dask's, or X.compute() if it does"
        )

    def deal(self, rows: Rows) -> Holders:
        """Take views of the rows."""
        for array in filter(is_of_dask, rows.arrays):
            self.take(array, 0, 0)
        parts = [[array[a:b] for a, b in rows.slices] for array in rows.arrays]
        return OneHolder(Held(rows.slices, parts, functools.partial(share, most=self.count)))


class OneHolder:
    """Holders where one, here, has all the slices."""

    def __init__(self, held: Held) -> None:
        self.held = held

    def ask(self, what: str, *args: Any) -> list[Any]:
        """Let it do as it is asked."""
        answers: list[Any] = getattr(self.held, what)(*args)
        return answers

    def close(self) -> None:
        """Let the rows go."""
        del self.held
