"""Examples that others hold: here are only their shapes, a few rows, and where the rest is."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from autonn.distributed.holders import Holders, Workers
from autonn.distributed.rows import Rows, blocks, checked_source, is_of_dask
from autonn.distributed.sums import Sums
from autonn.engine.tensor import Array
from autonn.engine.trees import tree_leaves
from autonn.training.digests import by_slices_of, digest_of_data, digest_of_pieces
from autonn.training.examples import (
    Batch,
    ClassWeight,
    Examples,
    as_classes,
    require_arrays,
    require_length,
)
from autonn.training.structures import mapped, rows_of

__all__ = ["Away"]

# So many rows stand for all when the step is derived.
SAMPLED = 64


class Away(Examples):
    """Examples whose rows are dealt out to workers, slice by slice.

    X, y, classes and weights are arrays of the right shapes and dtypes that take no memory; their
    numbers are zeros. A slice from the first row on gives true rows, of a small sample.

    Attributes
    ----------
    source
        X, y, classes and weights from which rows can be taken.
    holders
        Who hold the rows, while a run lasts.
    """

    def __init__(self, X: Any, y: Any, workers: Workers) -> None:
        self.workers = workers
        self.holders: Holders | None = None
        X = mapped(checked_source, X, "fit: X")
        y = None if y is None else mapped(checked_source, y, "fit: y")
        require_arrays("fit: X", X)
        self.count = rows_of(X)
        mapped(lambda part, values: require_length("fit", part, values, self.count), X, "X")
        if y is not None:
            require_arrays("fit: y", y)
            mapped(lambda part, values: require_length("fit", part, values, self.count), y, "y")
        if self.count == 0:
            raise ValueError("fit: there are no examples")
        self.source: Batch = (X, y, None, None)
        self._lay((X, y, self._classes_of(y), None))

    def _lay(self, source: Batch) -> None:
        """Take other arrays as the source, and stand-ins for them."""
        self.source = source
        X, y, classes, weights = (_stand_ins(part) for part in source)
        super().__init__(X, y, y if source[2] is source[1] else classes, weights)
        self.__dict__.pop("sample", None)

    @functools.cached_property
    def sample(self) -> Examples:
        """The first rows, in memory."""
        return Examples(*self.taken(0, min(SAMPLED, self.count)))

    def weighted(self, by_class: ClassWeight | None, by_sample: ArrayLike | None) -> Any:
        """Take in how much each example counts; these numbers, one a row, are held here too."""
        if by_class is None and by_sample is None:
            return self
        X, y, classes, _ = self.source
        if is_of_dask(by_sample):
            given: Any = by_sample
            by_sample = self._rows(given, 0, given.shape[0])
        known = None if classes is None else self._rows(classes, 0, self.count)
        whole = Examples(self.X, None, known).weighted(by_class, by_sample)
        self._lay((X, y, classes, whole.weights))
        return self

    def take_targets(self, y: Any) -> None:
        """Take the targets in the shape that their stand-ins were given."""
        X, source, _, weights = self.source
        changed = _as_stand_in(source, y)
        self._lay((X, changed, self._classes_of(changed), weights))

    def _classes_of(self, y: Any) -> Any:
        """Return the classes as `Examples` tells them, of arrays that are looked at in blocks."""
        if not hasattr(y, "dtype"):
            return None
        if y.ndim == 1 and y.dtype.kind in "biu":
            return y.astype(np.int64) if y.dtype.kind == "b" else y
        if y.ndim != 2 or y.shape[1] == 0:
            return None
        for start, stop in blocks([y]):
            if as_classes(self._rows(y, start, stop)) is None:
                return None
        return y[:, 0].astype(np.int64) if y.shape[1] == 1 else y.argmax(axis=1)

    # ---- rows

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, rows: Any) -> Batch:
        if isinstance(rows, slice) and rows == slice(None):
            return self.X, self.y, self.classes, self.weights
        return self.sample[rows]

    def taken(self, start: int, stop: int) -> Batch:
        """Take true rows into memory."""
        X, y, classes, weights = self.source
        own = None if classes is y else self._of(classes, start, stop)
        targets = self._of(y, start, stop)
        return (
            self._of(X, start, stop), targets, targets if classes is y else own,
            self._of(weights, start, stop),
        )  # fmt: skip

    def _of(self, values: Any, start: int, stop: int) -> Any:
        """Take rows of an array, or of all the arrays of a structure; nothing of None."""
        if values is None:
            return None
        return mapped(lambda _, a: self._rows(a, start, stop), values)

    def _rows(self, array: Any, start: int, stop: int) -> Array:
        if is_of_dask(array):
            return self.workers.take(array, start, stop)
        return np.asarray(array[start:stop])

    def sampled(self, m: int) -> Batch:
        """Return true rows, again and again, until there are m of them."""
        return self.sample[np.arange(m) % len(self.sample)]

    def targets(self) -> Iterator[Any]:
        """Yield true targets, as many as can be held, until all were shown."""
        y = self.source[1]
        if y is None:
            yield None
            return
        for start, stop in blocks([leaf for leaf in tree_leaves(y) if leaf is not None]):
            yield self._of(y, start, stop)

    # ---- while a run lasts

    @contextmanager
    def dealt(self) -> Iterator[None]:
        """Let the workers hold the rows, which are looked at there."""
        rows, names = self.held_arrays()
        self.holders = self.workers.deal(Rows(rows))
        try:
            for k, name in enumerate(names):
                fault = next(filter(None, self.holders.ask("faults", k)), "")
                if fault:
                    raise ValueError(f"{name} has {fault}")
            yield
        finally:
            self.holders.close()

    def held_arrays(self) -> tuple[list[Any], list[str]]:
        """List the arrays that are dealt out, each once, and what they are called."""
        found: dict[int, tuple[Any, str]] = {}
        for name, part in zip(("X", "y", "classes", "sample_weight"), self.source, strict=True):
            if part is not None:
                mapped(lambda own, a: found.setdefault(id(a), (a, own)), part, f"fit: {name}")
        return [a for a, _ in found.values()], [name for _, name in found.values()]

    def places(self) -> list[int]:
        """Tell for each array of a batch which of those that are dealt out it is."""
        held = [id(a) for a in self.held_arrays()[0]]
        return [held.index(id(a)) for a in tree_leaves(self.source) if a is not None]

    def sums(
        self, f: Callable[..., Any], around: Callable[[], AbstractContextManager[Any]]
    ) -> Sums:
        """Return a function of a batch, and of others, for all the rows: see `Sums`."""
        assert self.holders is not None  # they were dealt out
        return Sums(f, self.sampled, self.count, self.holders, self.places(), around)

    def digests(self, by_slices: bool = True) -> dict[str, Any]:
        """Return short names of X, y and weights: of what the workers hold, slice by slice.

        In one, as a run without workers names them, all rows come here once.
        """
        X, y, _, weights = self.source
        each = {"X": X, "y": y, "weights": weights}
        of_array = self._by_slices if by_slices else self._in_one
        return {
            name: None if part is None else digest_of_data(mapped(of_array, part), by_slices)
            for name, part in each.items()
        }

    def _by_slices(self, _: str, array: Any) -> str:
        assert self.holders is not None  # they were dealt out
        k = [id(a) for a in self.held_arrays()[0]].index(id(array))
        return by_slices_of(array, self.holders.ask("digests", k))

    def _in_one(self, _: str, array: Any) -> str:
        pieces = (self._rows(array, *ends) for ends in blocks([array]))
        return digest_of_pieces(array, pieces)


def _stand_ins(values: Any) -> Any:
    """Return arrays of the same shapes that take no memory; nothing of None."""
    if values is None:
        return None
    return mapped(lambda _, a: np.broadcast_to(np.zeros((), a.dtype), a.shape), values)


def _as_stand_in(source: Any, wanted: Any) -> Any:
    """Give targets, or each of several, the column that its stand-in was given, or take it away."""
    if isinstance(source, Mapping):
        return {key: _as_stand_in(part, wanted[key]) for key, part in source.items()}
    if isinstance(source, tuple):
        return tuple(_as_stand_in(a, b) for a, b in zip(source, wanted, strict=True))
    if source.ndim == wanted.ndim:
        return source
    return source[:, None] if wanted.ndim == 2 else source[:, 0]
