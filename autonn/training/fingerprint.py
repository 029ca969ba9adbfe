"""What has to be the same for a run to be continued, in a few words each."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any, SupportsIndex, cast

import numpy as np

from autonn.training.digests import digest_of, is_by_slices
from autonn.training.examples import Examples
from autonn.training.feeds import StreamFeed
from autonn.training.loss import described
from autonn.training.state import Run

# What is told where it is not this.
MORE: dict[str, Any] = {
    "l1": 0.0, "accumulate": 1, "average": None, "augment": None, "steps": None,
}  # fmt: skip

# These are known by a digest of their numbers.
DIGESTS = {"X": "X", "y": "y", "weights": "the weights of the examples", "validation": "validation"}


def fingerprint(run: Run, held: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Say what a run is made of, beside the model: what JSON knows, the same in every process.

    What was given and is not the usual is told, too, so that older checkpoints stay good.
    """
    examples = run.task.examples
    if examples is not None:
        data = {"examples": len(examples), **examples.digests()}
    else:
        first = cast(StreamFeed, run.feed).require_repeatable(run.rng)
        data = {"examples": run.task.count, "X": first}
    return data | {
        "validation": _of_held_out(held),
        "loss": described(run.task.loss),
        "l2": given["l2"],
        "optimizer": described(run.optimizer),
        "batch_size": given["batch_size"],
        "seed": _seed(given["seed"]),
        **{name: _text(given[name]) for name, usual in MORE.items() if given[name] != usual},
    }


def told_as(kind: Mapping[str, Any], then: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """Return a fingerprint whose data are named as in that of the checkpoint, to be compared.

    Workers name data by slices, and a run without them in one: either goes on from the other.
    """
    by_slices = is_by_slices(then.get("X"))
    if run.task.examples is None or is_by_slices(kind.get("X")) == by_slices:
        return kind
    return {**kind, **run.task.examples.digests(by_slices)}


def other_run(now: Mapping[str, Any], then: Mapping[str, Any]) -> list[str]:
    """List in what a run is another one than that of the checkpoint.

    >>> other_run({"l2": 1.0, "X": "ab"}, {"l2": 0.5, "X": "cd"})
    ['l2 is 0.5, not 1.0', 'X has other numbers']
    """
    found = []
    for name in {**now, **then}:
        before, value = (run.get(name, _text(MORE.get(name))) for run in (then, now))
        if before != value:
            told = f"{name} is {before}, not {value}"
            found.append(f"{DIGESTS[name]} has other numbers" if name in DIGESTS else told)
    return found


def _of_held_out(held: Any) -> str | None:
    """Return a digest of held-out examples, or of the first batch of them."""
    if held is None:
        return None
    if isinstance(held, Examples):
        return f"{digest_of(held.X)} {digest_of(held.y)}"
    return held.require_repeatable(np.random.default_rng(0))  # type: ignore[no-any-return]


def _seed(seed: Any) -> int | str | None:
    """Return the number; of a generator, whose state goes on by itself, the kind."""
    if seed is None or isinstance(seed, SupportsIndex):
        return None if seed is None else operator.index(seed)
    return described(seed)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else described(value)
