"""Activations: the bends between the layers, without which a network would be one flat map."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, cast

import numpy as np

from autonn.engine import ops
from autonn.engine.tensor import Tensor
from autonn.nn.module import Module


class Sigmoid(Module):
    """The sigmoid, ``s(z) = 1 / (1 + e^-z)``: a probability for each unit.

    >>> Sigmoid()(Tensor([0.0]))
    Tensor([0.5])
    """

    def forward(self, x: Any) -> Tensor:
        """Compute s(x), element by element."""
        return _tensor(ops.sigmoid(x))


class Tanh(Module):
    """The hyperbolic tangent, between -1 and 1.

    >>> Tanh()(Tensor([0.0]))
    Tensor([0.])
    """

    def forward(self, x: Any) -> Tensor:
        """Compute tanh(x), element by element."""
        return _tensor(np.tanh(x))


class ReLU(Module):
    """The rectifier, ``max(x, 0)``; its gradient at 0 is 0.

    >>> ReLU()(Tensor([-1.0, 2.0]))
    Tensor([0., 2.])
    """

    def forward(self, x: Any) -> Tensor:
        """Compute max(x, 0), element by element."""
        return _tensor(ops.relu(x))


class Softmax(Module):
    """The softmax, ``e^z_k / sum_j e^z_j`` along the last axis: probabilities that sum to 1.

    >>> Softmax()(Tensor([0.0, 0.0]))
    Tensor([0.5, 0.5])
    """

    def forward(self, x: Any) -> Tensor:
        """Compute softmax(x) along the last axis."""
        return _tensor(ops.softmax(x))


class Flatten(Module):
    """Lays each example out in one row: (m, a, b, ...) becomes (m, a b ...).

    >>> Flatten()(np.zeros((5, 20, 20))).shape
    (5, 400)
    """

    def forward(self, x: Any) -> Tensor:
        """Keep the first axis, and join the others."""
        rows = _tensor(x)
        return rows.reshape(len(rows), math.prod(rows.shape[1:]))


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

    Examples
    --------
    >>> layer = Dropout(0.5, rng=0)
    >>> layer(np.ones(4))
    Tensor([2., 0., 0., 0.])
    >>> layer.eval()(np.ones(4))
    Tensor([1., 1., 1., 1.])
    """

    def __init__(self, p: float = 0.5, *, rng: np.random.Generator | int | None = None) -> None:
        given: Any = p
        if not isinstance(given, Real) or isinstance(given, bool):
            raise TypeError(f"Dropout({p!r}): p is a number")
        if not 0 <= p < 1:
            raise ValueError(f"Dropout({p}): p is at least 0 and below 1")
        self.p: float = p
        self.rng = np.random.default_rng(rng)

    def forward(self, x: Any) -> Tensor:
        """Multiply by 0 or by 1 / (1 - p), drawn anew for each number."""
        units = _tensor(x)
        if not self.training or self.p == 0:
            return units
        kept = (ops.random(self.rng, units.shape) >= self.p).astype(units.dtype)
        return cast(Tensor, units * (kept / (1 - self.p)))

    def __repr__(self) -> str:
        return f"Dropout({self.p})"


def _tensor(x: Any) -> Tensor:
    """Let an activation that is fed an array give a Tensor, as layers do."""
    return x if isinstance(x, Tensor) else Tensor(x)
