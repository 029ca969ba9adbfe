"""Feeds: where the batches of an epoch come from, and how they come again when a run is resumed."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np

from autonn.data import batches
from autonn.engine.tensor import Array, Tensor
from autonn.training.digests import digest_of
from autonn.training.examples import Batch, Examples
from autonn.training.state import Progress
from autonn.training.structures import mapped

__all__ = [
    "Augment",
    "Feed",
    "RowFeed",
    "Shown",
    "StreamFeed",
    "augmenting",
    "is_stream",
    "same_state",
]

Generator = np.random.Generator
Augment = Callable[[Any, Any, Generator], tuple[Any, Any]]


# A batch on its way to the step, and the rows that it was made of, if these are known.
Shown = tuple[Batch, Any]


class Feed:
    """What gives the batches of an epoch: rows of arrays, or a stream of one's own."""

    examples: int | None = None  # how many an epoch has, if that is known
    batch_rows: int | None = None  # how many a batch has at most, if that is known
    keeps_digest = False  # of what was shown, where a run may have to be resumed

    def __init__(self, augment: Augment | None = None) -> None:
        self.augment = augment

    def epoch(self, rng: Generator, progress: Progress) -> Iterator[Shown]:
        """Yield the batches that are still to come in this epoch."""
        raise NotImplementedError

    def is_last(self, progress: Progress) -> bool:
        """Whether no batch is to come in this epoch, as far as can be told."""
        return False

    def trials(self, rng: Generator) -> list[Batch]:
        """List one batch of each size that there will be, where they are known."""
        return []

    def changed(self, batch: Batch, rng: Generator) -> Batch:
        """Let the batch be augmented, if anybody wants it to be; its dtypes stay."""
        if self.augment is None:
            return batch
        X, y, _, weights = batch
        new_X, new_y = self.augment(X, y, rng)
        made = Examples.checked(_as_before(new_X, X), _as_before(new_y, y), "fit: augment")
        if weights is not None and len(made) != len(weights):
            raise ValueError(
                f"fit: augment made {len(made)} rows of {len(weights)}, and there are weights of "
                "examples; keep the number of rows"
            )
        made.weights = weights
        return made[:]


class RowFeed(Feed):
    """Rows of arrays, in a new order each epoch; without a size all at once, in theirs."""

    def __init__(
        self, held: Examples, batch_size: int | None, augment: Augment | None = None
    ) -> None:
        super().__init__(augment)
        self.held, self.batch_size, self.examples = held, batch_size, len(held)
        self.batch_rows = min(batch_size or len(held), len(held))

    def epoch(self, rng: Generator, progress: Progress) -> Iterator[Shown]:
        """Yield the batches that are still to come in this epoch."""
        if self.batch_size is None:
            yield self.changed(self.held[:], rng), slice(None)
            return
        generator, now = rng.bit_generator, None
        if progress.order is not None:  # resumed within an epoch: draw the same order again
            now, generator.state = generator.state, progress.order
        progress.order = generator.state
        drawn = batches(len(self.held), self.batch_size, rng)
        if now is not None:
            generator.state = now
        held, augment = self.held, self.augment
        for rows in islice(drawn, progress.batch, None):
            batch = held[rows]
            yield (batch if augment is None else self.changed(batch, rng)), rows

    def trials(self, rng: Generator) -> list[Batch]:
        """List one batch of each size that there will be: the last of an epoch may be short."""
        m, state = len(self.held), rng.bit_generator.state
        size = min(self.batch_size or m, m)
        found = [self.changed(self.held[:k], rng) for k in (size, m % size) if k]
        rng.bit_generator.state = state
        return found

    def is_last(self, progress: Progress) -> bool:
        """Whether all rows were shown."""
        return progress.batch * (self.batch_size or len(self.held)) >= len(self.held)


class StreamFeed(Feed):
    """Batches that come from elsewhere: see `fit` for what may be given.

    A function of `rng` that returns a batch is called for each step. All else is begun anew each
    epoch; to resume within one, what was shown is drawn again and left out.
    """

    def __init__(
        self,
        source: Any,
        steps: int | None = None,
        augment: Augment | None = None,
        name: str = "fit: X",
    ) -> None:
        super().__init__(augment)
        self.source, self.steps, self.name = source, steps, name
        self.takes_rng = callable(source) and _takes_rng(source)
        if not callable(source) and isinstance(source, Iterator):
            raise TypeError(
                f"{name} is a {type(source).__name__}, which is used up after one epoch; give the "
                "function that makes it, or what can be gone through again"
            )

    def epoch(self, rng: Generator, progress: Progress) -> Iterator[Shown]:
        """Yield the batches that are still to come in this epoch."""
        generator, shown, now = rng.bit_generator, progress.batch, None
        if shown:
            now, generator.state = generator.state, progress.order or {}
        progress.order = generator.state
        then, progress.digest = progress.digest, ""
        count = 0
        for count, raw in enumerate(self.raw(rng), 1):
            batch = self.changed(self.checked(raw, count - 1), rng)
            if self.keeps_digest:
                progress.digest = str(digest_of((progress.digest, batch)))
            if count == shown:
                self.require_same(same_state(generator.state, now) and progress.digest == then)
            if count > shown:
                yield batch, None
        self.require_same(count >= shown)
        if count == 0:
            raise ValueError(f"{self.name} gave no batch; an epoch has one at least")

    def raw(self, rng: Generator) -> Iterator[Any]:
        """Begin anew, and yield what the source gives."""
        source = self.source
        if not callable(source):
            return islice(iter(source), self.steps)
        first = source(rng) if self.takes_rng else source()
        if isinstance(first, Iterable) and not (isinstance(first, tuple) and _is_batch(first)):
            return islice(iter(first), self.steps)
        return self.drawn(first, rng)

    def drawn(self, first: Any, rng: Generator) -> Iterator[Any]:
        """Yield batches of a function that returns one at each call."""
        yield first
        for _ in range((self.steps or 1) - 1):
            yield self.source(rng) if self.takes_rng else self.source()

    def checked(self, raw: Any, k: int) -> Batch:
        """Take a batch apart, and refuse what is none with its number."""
        name = f"{self.name}, batch {k}"
        if not _is_batch(raw):
            raise TypeError(f"{name} is a {type(raw).__name__}, expected (X, y) or (X, y, weights)")
        X, y, *weights = raw
        return Examples.checked(X, y, name).weighted(None, weights[0] if weights else None)[:]

    def is_last(self, progress: Progress) -> bool:
        """Whether this was the last of so many steps; else nobody knows."""
        return self.steps is not None and progress.batch >= self.steps

    def require_same(self, same: bool) -> None:
        """Refuse to go on with other batches than those that were shown."""
        if not same:
            raise ValueError(
                f"{self.name}: the batches of this epoch did not come again as they were when the "
                "checkpoint was written, so the run can't go on from there; give a function of "
                "rng, the generator to draw from, or begin anew with resume=False"
            )

    def first(self, rng: Generator) -> Batch:
        """Return the first batch of an epoch, the generator left as it is."""
        state = rng.bit_generator.state
        try:
            for raw in self.raw(rng):
                return self.checked(raw, 0)
        finally:
            rng.bit_generator.state = state
        raise ValueError(f"{self.name} gave no batch; an epoch has one at least")

    def require_repeatable(self, rng: Generator) -> str:
        """Return the digest of the first batch, if it is the same twice; it is left in place."""
        one, other = digest_of(self.first(rng)), digest_of(self.first(rng))
        if one != other:
            raise ValueError(
                f"{self.name}: an epoch does not begin twice with the same batch, so a run could "
                "not go on from its checkpoint bit for bit; give a function of rng, the generator "
                "to draw from, or leave checkpoint out"
            )
        return str(one)


# ---- what was given


def is_stream(X: Any) -> bool:
    """Whether X gives batches by itself, and is no array, tuple or dict of arrays.

    >>> is_stream(lambda rng: ([[1.0]], [0])), is_stream([([[1.0]], [0])]), is_stream([[1.0]])
    (True, True, False)
    """
    if isinstance(X, np.ndarray | Tensor | tuple | Mapping | str | bytes | range):
        return False
    if hasattr(X, "__array__") or hasattr(X, "toarray"):
        return False
    if isinstance(X, list):
        return bool(X) and all(isinstance(b, tuple) and _is_batch(b) for b in X)
    return callable(X) or isinstance(X, Iterable)


def _is_batch(value: Any) -> bool:
    """Whether it is a pair of arrays or structures, or three with the weights of the rows."""
    if not isinstance(value, tuple | list) or len(value) not in (2, 3):
        return False
    parts: list[Any] = []
    mapped(lambda _, part: parts.append(part), value[0])
    return any(isinstance(part, list) or np.ndim(part) > 0 for part in parts)


def same_state(one: Any, other: Any) -> bool:
    """Whether two states of a generator are the same; some kinds hold arrays.

    >>> rng = np.random.Generator(np.random.MT19937(0))
    >>> before = rng.bit_generator.state
    >>> same_state(rng.bit_generator.state, before), rng.random() < 1
    (True, True)
    >>> same_state(rng.bit_generator.state, before)
    False
    """
    return _text(one) == _text(other)


def _text(state: Any) -> str:
    return json.dumps(state, default=np.ndarray.tolist, sort_keys=True)


def _takes_rng(source: Callable[..., Any]) -> bool:
    """Whether a function wants the generator: by the name `rng`, or as what it must be given."""
    try:
        parameters = inspect.signature(source).parameters
    except (TypeError, ValueError):  # it is written in C
        return False
    named = [p for p in parameters.values() if p.kind is not p.VAR_KEYWORD]
    needed = [p for p in named if p.default is p.empty]
    return "rng" in parameters or bool(needed and needed[0].kind is not needed[0].VAR_POSITIONAL)


def augmenting(augment: Any) -> Augment | None:
    """Return the function as one of X, y and rng that returns both; of two, it changes X alone.

    >>> flip = augmenting(lambda X, rng: X[:, ::-1])
    >>> flip(np.array([[1, 2]]), "y", None)
    (array([[2, 1]]), 'y')
    """
    if augment is None:
        return None
    if not callable(augment):
        raise TypeError(
            f"fit: augment is a function of X and rng, or of X, y and rng, not {augment!r}"
        )
    try:
        signature = inspect.signature(augment)
    except (TypeError, ValueError):  # it is written in C
        return _of_both(augment)
    names = [*signature.parameters]
    if len(names) == 2 or "rng" in names[1:2]:
        return lambda X, y, rng: (augment(X, rng), y)
    try:
        signature.bind(None, None, None)
    except TypeError:
        raise TypeError(
            f"fit: augment is a function of X and rng, or of X, y and rng, not of "
            f"({', '.join(names)})"
        ) from None
    return _of_both(augment)


def _of_both(augment: Callable[..., Any]) -> Augment:
    def both(X: Any, y: Any, rng: Generator) -> tuple[Any, Any]:
        made = augment(X, y, rng)
        if not isinstance(made, tuple | list) or len(made) != 2:
            raise TypeError(
                f"fit: augment returned a {type(made).__name__}, expected (X, y); a function of "
                "X and rng alone returns X"
            )
        return made[0], made[1]

    return both


def _as_before(new: Any, old: Any) -> Any:
    """Bring floating numbers to the dtype that they had, where the form is the same."""
    if isinstance(old, np.ndarray):
        array = new if isinstance(new, np.ndarray) else np.asarray(new)
        narrow = array.dtype.kind == "f" and old.dtype.kind == "f"
        return _cast(array, old.dtype) if narrow else array
    if isinstance(old, Mapping) and isinstance(new, Mapping) and old.keys() == new.keys():
        return {key: _as_before(new[key], part) for key, part in old.items()}
    if isinstance(old, tuple) and isinstance(new, tuple) and len(old) == len(new):
        return tuple(_as_before(a, b) for a, b in zip(new, old, strict=True))
    return new if old is None else mapped(lambda _, part: np.asarray(part), new)


def _cast(array: Array, dtype: Any) -> Array:
    return array.astype(dtype, copy=False)
