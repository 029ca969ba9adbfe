"""Sequences of lengths of their own: padded, with lengths or a mask, and sorted by buckets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from autonn import checks
from autonn.engine.tensor import Array

__all__ = ["SequenceBatches", "sequence_batches"]

IGNORED = -100  # what a target of a place is where there is none, as PyTorch's ignore_index


class SequenceBatches:
    """What `sequence_batches` returns: gives batches to `fit`, anew each epoch.

    Attributes
    ----------
    lengths
        Of each sequence, (m,).
    bounds
        To what length the sequences of each bucket are padded.
    examples
        How many sequences there are.

    Examples
    --------
    >>> batches = sequence_batches([[1, 2], [3, 4, 5], [6]], [0, 1, 0], batch_size=2)
    """

    def __init__(
        self,
        sequences: list[Array],
        targets: Any,
        batch_size: int,
        bounds: list[int],
        pad: float,
        gives: str,
    ) -> None:
        self.sequences, self.targets, self.batch_size = sequences, targets, batch_size
        self.bounds, self.pad, self.gives = bounds, pad, gives
        self.lengths = np.array([len(sequence) for sequence in sequences])
        self.examples = len(sequences)
        self.bucket = np.searchsorted(bounds, self.lengths)

    def __len__(self) -> int:
        counts = np.bincount(self.bucket)
        return int(sum(-(-count // self.batch_size) for count in counts))

    def __call__(self, rng: np.random.Generator) -> Iterator[tuple[Any, Any]]:
        """Yield all sequences once, in batches of one bucket each, in an order that is drawn."""
        dealt = []
        for k in range(len(self.bounds)):
            rows = rng.permutation(np.flatnonzero(self.bucket == k))
            starts = range(0, len(rows), self.batch_size)
            dealt += [(k, rows[start : start + self.batch_size]) for start in starts]
        for place in rng.permutation(len(dealt)):
            k, rows = dealt[place]
            yield self.batch(rows, self.bounds[k])

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """Yield all sequences once, in the same order each time, as to predict or to validate."""
        for k, bound in enumerate(self.bounds):
            rows = np.flatnonzero(self.bucket == k)
            for start in range(0, len(rows), self.batch_size):
                yield self.batch(rows[start : start + self.batch_size], bound)

    def batch(self, rows: Any, time: int) -> tuple[Any, Any]:
        """Pad some sequences to a length, and give their lengths or mask beside them."""
        x = padded([self.sequences[row] for row in rows], time, self.pad)
        lengths = self.lengths[rows]
        beside = lengths if self.gives == "lengths" else np.arange(time) < lengths[:, None]
        y = self.targets
        if isinstance(y, list):
            y = padded([y[row] for row in rows], time, _without(y[0]))
        elif y is not None:
            y = y[rows]
        return {"x": x, self.gives: beside}, y

    def __repr__(self) -> str:
        return (
            f"sequence_batches({self.examples} sequences, batch_size={self.batch_size}, "
            f"buckets={self.bounds}, pad={self.pad}, gives={self.gives!r})"
        )


def sequence_batches(
    X: Sequence[ArrayLike],
    y: Any = None,
    *,
    batch_size: int = 32,
    buckets: int | Sequence[int] = 4,
    pad: float = 0,
    gives: str = "lengths",
) -> SequenceBatches:
    """Make batches for `fit` of sequences that have lengths of their own.

    Sequences of about the same length stand in one bucket, and are padded to the longest length of
    it; so a compiled step has a program for each bucket, and one more where the last batch of it is
    short.

    Parameters
    ----------
    X
        Sequences, each (time,) or (time, ...), of one place at least.
    y
        One target for each sequence, (m, ...); or a list of targets for each place, of the lengths
        of X, which are padded by -100, as ``SoftmaxCrossEntropy(ignore_index=-100)`` ignores it, or
        by 0 where they are no whole numbers; or None.
    batch_size
        Sequences a step; the last batch of a bucket may be short.
    buckets
        How many, with about as many sequences in each; or the lengths to pad to, of which the last
        is that of the longest at least.
    pad
        What stands after the end of a sequence.
    gives
        "lengths": the model is called as ``model(x=..., lengths=...)``, as `RNN`, `GRU` and `LSTM`
        take them, shape (batch,); or "mask": as ``model(x=..., mask=...)``, True where there is
        something, shape (batch, time).

    Returns
    -------
    What `fit` takes as X, and as `validation`; and what gives the same batches in the same order
    when it is gone through by hand.

    Raises
    ------
    TypeError, ValueError
        For sequences that are empty, not finite, or of several forms; for targets of other lengths;
        for buckets that are shorter than the longest sequence.

    Examples
    --------
    >>> made = sequence_batches([[1.0], [2.0, 3.0], [4.0, 5.0, 6.0]], [0, 1, 1], buckets=[1, 3])
    >>> for X, y in made:
    ...     print(X["x"].tolist(), X["lengths"], y)
    [[1.0]] [1] [0]
    [[2.0, 3.0, 0.0], [4.0, 5.0, 6.0]] [2 3] [1 1]
    """
    checks.one_of("sequence_batches: gives", gives, ("lengths", "mask"))
    checks.whole("sequence_batches: batch_size", batch_size)
    sequences = [_sequence(f"sequence_batches: X[{k}]", given) for k, given in enumerate(X)]
    if not sequences:
        raise ValueError("sequence_batches: there are no sequences")
    for k, each in enumerate(sequences):
        if each.shape[1:] != sequences[0].shape[1:] or each.dtype.kind != sequences[0].dtype.kind:
            raise ValueError(
                f"sequence_batches: X[{k}] is {each.dtype} with {each.shape[1:]} a place, the "
                f"first {sequences[0].dtype} with {sequences[0].shape[1:]}; give all in one form"
            )
    lengths = np.array([len(each) for each in sequences])
    bounds = _bounds(buckets, lengths)
    return SequenceBatches(sequences, _targets(y, lengths), batch_size, bounds, pad, gives)


def padded(sequences: Sequence[Array], time: int, pad: float) -> Array:
    """Lay sequences in one array (m, time, ...), with `pad` after their ends.

    >>> padded([np.array([1, 2]), np.array([3])], 3, 0)
    array([[1, 2, 0],
           [3, 0, 0]])
    """
    first = sequences[0]
    dtype = np.result_type(*{each.dtype for each in sequences})
    made = np.full((len(sequences), time, *first.shape[1:]), pad, dtype)
    for k, each in enumerate(sequences):
        made[k, : len(each)] = each
    return made


def _sequence(name: str, given: Any) -> Array:
    array = checks.plain(name, given)
    if array.ndim == 0 or len(array) == 0:
        raise ValueError(f"{name} has no place; a sequence has one at least")
    if array.dtype.kind in "fc":
        checks.finite(name, array)
    return array


def _bounds(buckets: int | Sequence[int], lengths: Array) -> list[int]:
    """Return to what lengths sequences are padded, without those that nobody needs."""
    if isinstance(buckets, list | tuple | np.ndarray):
        given = sorted(checks.whole("sequence_batches: buckets: each", each) for each in buckets)
        if not given or given[-1] < lengths.max():
            raise ValueError(
                f"sequence_batches: the longest sequence has {lengths.max()} places, and buckets "
                f"end at {given[-1] if given else 0}; let the last be at least as long"
            )
    else:
        count = checks.whole("sequence_batches: buckets", buckets)
        parts = np.array_split(np.sort(lengths), min(count, len(lengths)))
        given = sorted({int(part[-1]) for part in parts})
    used = set(np.searchsorted(given, lengths).tolist())
    return [bound for k, bound in enumerate(given) if k in used]


def _targets(y: Any, lengths: Array) -> Any:
    """Take a target for each sequence, as an array; or for each place, as a list of arrays."""
    if y is None:
        return None
    if len(y) != len(lengths):
        raise ValueError(f"sequence_batches: {len(lengths)} sequences against {len(y)} targets")
    if not isinstance(y, np.ndarray) and np.ndim(y[0]) > 0:
        places = [_sequence(f"sequence_batches: y[{k}]", given) for k, given in enumerate(y)]
        if [len(each) for each in places] == lengths.tolist():
            return places
        if len({each.shape for each in places}) > 1:
            k = next(k for k, each in enumerate(places) if len(each) != lengths[k])
            raise ValueError(
                f"sequence_batches: y[{k}] has {len(places[k])} targets for {lengths[k]} places; "
                "give one for each place, or one for each sequence"
            )
    return checks.plain("sequence_batches: y", y)


def _without(target: Array) -> float:
    """Return what stands for no target: -100, or 0 of what are no whole numbers."""
    return IGNORED if target.dtype.kind == "i" else 0
