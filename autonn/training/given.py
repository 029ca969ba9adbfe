"""What `fit` is given to learn from, brought into one form: a feed, and what is held out."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from autonn import checks
from autonn.distributed.actors import as_workers
from autonn.distributed.holders import Workers
from autonn.training.away import Away
from autonn.training.examples import ClassWeight, Examples
from autonn.training.feeds import Augment, Feed, RowFeed, StreamFeed, is_stream
from autonn.training.validation import held_out_rows, validation_of

__all__ = ["Data", "Shares", "given_data"]


class Shares(NamedTuple):
    """How much classes and examples count."""

    by_class: ClassWeight | None
    by_sample: ArrayLike | None


class Data(NamedTuple):
    """What there is to learn from."""

    feed: Feed
    examples: Examples | None  # None: they come in batches
    held: Examples | StreamFeed | None
    m: int | None  # that of penalties
    drew_rows: bool = False  # whether it was drawn which are held out


def given_data(
    X: Any,
    y: Any,
    validation: Any,
    rng: np.random.Generator,
    shares: Shares,
    batch_size: int | None,
    steps: int | None,
    examples: int | None,
    augment: Augment | None,
    workers: Any = None,
) -> Data:
    """Look at all that was given, and refuse what does not go together."""
    if workers is not None:
        return _given_away(X, y, validation, shares, as_workers(workers))
    is_share = isinstance(validation, int | float | np.number) and not isinstance(validation, bool)
    if y is None and is_stream(X):
        _refuse_beside_batches(shares, batch_size, is_share)
        for name, value in {"steps": steps, "examples": examples}.items():
            if value is not None:
                checks.whole(f"fit: {name}", value)
        if examples is None:  # as `sequence_batches` knows it
            examples = getattr(X, "examples", None)
        return Data(StreamFeed(X, steps, augment), None, validation_of(validation), examples)
    for name, value in {"steps": steps, "examples": examples}.items():
        if value is not None:
            raise ValueError(f"fit: {name} speaks of an X that gives batches; leave it out")
    held = Examples.checked(X, y, "fit").weighted(None, shares.by_sample)
    if not is_share:
        held = held.weighted(shares.by_class, None)
        return Data(_rows(held, batch_size, augment), held, validation_of(validation), len(held))
    kept, out = held_out_rows(validation, held, rng)
    held, apart = held.part(kept).weighted(shares.by_class, None), held.part(out)
    apart.weights = None  # a validation is without weights, as one that is given
    return Data(_rows(held, batch_size, augment), held, apart, len(held), True)


def _given_away(X: Any, y: Any, validation: Any, shares: Shares, workers: Workers) -> Data:
    """Look at the rows that workers are to hold, of which few come here."""
    if y is None and is_stream(X):
        raise TypeError("fit: workers hold rows; give arrays X and y, and no batches")
    if isinstance(validation, int | float | np.number):
        raise ValueError(
            "fit: validation is a share of the examples, which workers are to hold; give held-out "
            "examples that fit here, validation=(X, y)"
        )
    held = Away(X, y, workers).weighted(*shares)
    return Data(RowFeed(held, None), held, validation_of(validation), len(held))


def _rows(held: Examples, batch_size: int | None, augment: Augment | None) -> RowFeed:
    if batch_size is not None:
        checks.whole("fit: batch_size", batch_size)
    return RowFeed(held, batch_size, augment)


def _refuse_beside_batches(shares: Shares, batch_size: int | None, is_share: bool) -> None:
    """Refuse what has no meaning where X gives batches."""
    cures = {
        "batch_size": (batch_size, "X gives batches, and says how large they are"),
        "class_weight": (shares.by_class, "give batches of (X, y, weights)"),
        "sample_weight": (shares.by_sample, "give batches of (X, y, weights)"),
    }
    for name, (value, cure) in cures.items():
        if value is not None:
            raise ValueError(f"fit: {name} is for an X of rows; {cure}")
    if is_share:
        raise ValueError(
            "fit: validation is a share of examples, and X gives batches; give what gives batches "
            "to validate with"
        )
