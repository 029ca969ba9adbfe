"""Dropout: noise in training, so that no unit relies on another."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from autonn.checks import share
from autonn.engine import ops
from autonn.engine.tensor import Tensor
from autonn.nn.module import Module, as_tensor


class Dropout(Module):
    """Silences each unit with a probability while training, so that no unit relies on another.

    The others are scaled by ``1 / (1 - p)``, which keeps the expected sum; in evaluation, after
    ``model.eval()``, nothing is changed. Source: Srivastava et al. (2014), JMLR 15.

    Parameters
    ----------
    p
        The share of units to silence, at least 0 and below 1.
    rng
        A `numpy.random.Generator`, or a seed for one.

    Raises
    ------
    ValueError, TypeError
        For a share out of its range; for one that is no number.

    Examples
    --------
    >>> layer = Dropout(0.5, rng=0)
    >>> layer(np.ones(4))
    Tensor([2., 0., 0., 0.])
    >>> layer.eval()(np.ones(4))
    Tensor([1., 1., 1., 1.])
    """

    def __init__(self, p: float = 0.5, *, rng: np.random.Generator | int | None = None) -> None:
        self.p = share("Dropout: p", p)
        self.rng = np.random.default_rng(rng)

    def forward(self, x: Any) -> Tensor:
        """Multiply by 0 or by 1 / (1 - p), drawn anew for each number."""
        units = as_tensor(x)
        if not self.training or self.p == 0:
            return units
        kept = (ops.random(self.rng, units.shape) >= self.p).astype(units.dtype)
        return cast(Tensor, units * (kept / (1 - self.p)))

    def __repr__(self) -> str:
        return f"Dropout({self.p})"
