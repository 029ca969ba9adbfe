"""Chance: numbers that a compiled program draws anew at each call."""

from __future__ import annotations

from typing import Any

import numpy as np

from autonn.engine.modes import is_tracing
from autonn.engine.op import Memory, Op, mixes_rows
from autonn.engine.tensor import leaf, record

_F8 = np.dtype(np.float64)


def _drawing(method: str, formula: str) -> Op:
    """Declare the op that draws by a method of the generator."""
    dtype = "{shape}, dtype={dtype}"
    return Op(
        method, lambda *, rng, shape, dtype: getattr(rng, method)(shape, dtype), formula, (),
        rows=mixes_rows, memory=Memory.NEW, prints=f"{{rng}}.{method}({dtype})", draws=True,
    )  # fmt: skip


_UNIFORM = _drawing("random", "z uniform in [0, 1)")
_NORMAL = _drawing("standard_normal", "z normal, of mean 0 and standard deviation 1")


def random(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any] = _F8) -> Any:
    """Draw uniform numbers from [0, 1): an array; in a compiled function, anew at each call.

    >>> random(np.random.default_rng(0), (2,))
    array([0.63696169, 0.26978671])
    """
    return _drawn(_UNIFORM, rng, shape, dtype)


def standard_normal(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any] = _F8
) -> Any:
    """Draw normal numbers of mean 0 and standard deviation 1, as `random` draws.

    >>> standard_normal(np.random.default_rng(0), (2,))
    array([ 0.12573022, -0.13210486])
    """
    return _drawn(_NORMAL, rng, shape, dtype)


def _drawn(op: Op, rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    if not is_tracing():
        return op.forward(rng=rng, shape=shape, dtype=dtype)
    drawn = leaf(np.full(shape, 0.5, dtype))  # tracing draws nothing: the first call does
    record(drawn, op, (), (), {"rng": rng, "shape": shape, "dtype": dtype})
    return drawn
