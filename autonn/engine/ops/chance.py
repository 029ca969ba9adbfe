"""Chance: numbers that a compiled program draws anew at each call."""

from __future__ import annotations

from typing import Any

import numpy as np

from autonn.engine.modes import is_tracing
from autonn.engine.op import Memory, Op, mixes_rows
from autonn.engine.tensor import leaf, record

_RANDOM = Op(
    "random",
    lambda *, rng, shape: rng.random(shape),
    "z uniform in [0, 1)",
    (),
    rows=mixes_rows,
    memory=Memory.NEW,
    prints="{rng}.random({shape})",
    draws=True,
)


def random(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Draw uniform numbers from [0, 1): an array; in a compiled function, anew at each call.

    >>> random(np.random.default_rng(0), (2,))
    array([0.63696169, 0.26978671])
    """
    if not is_tracing():
        return rng.random(shape)
    drawn = leaf(np.full(shape, 0.5))  # tracing draws nothing: the first call gets the first draw
    record(drawn, _RANDOM, (), (), {"rng": rng, "shape": shape})
    return drawn
