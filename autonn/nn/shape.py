"""Modules that change the shape of the data and nothing else."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autonn.engine import ops
from autonn.engine.tensor import Tensor
from autonn.nn.module import Module, as_tensor
from autonn.nn.sliding import Sides, shown, sides


class Flatten(Module):
    """Lays each example out in one row: (m, a, b, ...) becomes (m, a b ...).

    >>> import numpy as np
    >>> Flatten()(np.zeros((5, 20, 20))).shape
    (5, 400)
    """

    def forward(self, x: Any) -> Tensor:
        """Keep the first axis, and join the others."""
        rows = as_tensor(x)
        return rows.reshape(len(rows), math.prod(rows.shape[1:]))


class Upsample(Module):
    """Makes pictures larger, each pixel a block: (m, channels, h, w) to (m, channels, s h, s w).

    Parameters
    ----------
    scale_factor
        How many times as long each axis after the first two becomes: a whole number, or one for
        each.
    mode
        "nearest": each new pixel is the old one that lies there.

    Raises
    ------
    TypeError, ValueError
        For a factor that is not whole or not positive, and for another mode; when called, for x
        that has no axis after the first two, or not as many as there are factors.

    Examples
    --------
    >>> Upsample(2)(np.array([[[[1.0, 2.0]]]]))
    Tensor([[[[1., 1., 2., 2.],
              [1., 1., 2., 2.]]]])
    """

    def __init__(self, scale_factor: Sides = 2, mode: str = "nearest") -> None:
        axes = len(scale_factor) if isinstance(scale_factor, tuple | list) else 1
        self.scale_factor = sides("Upsample: scale_factor", scale_factor, axes)
        if mode != "nearest":
            raise ValueError(f"Upsample: mode is 'nearest', not {mode!r}")
        self.mode = mode

    def forward(self, x: Any) -> Tensor:
        """Lay each pixel down as often as its block is large: the adjoint of a sum over blocks."""
        x = as_tensor(x)
        lengths, n = x.shape[2:], x.ndim - 2
        factors = self.scale_factor * n if len(self.scale_factor) == 1 else self.scale_factor
        if n < 1 or len(factors) != n:
            needed = len(self.scale_factor) if len(self.scale_factor) > 1 else "one or more"
            raise ValueError(
                f"{self} was fed shape {x.shape}; it takes (m, channels, ...), {needed} axes after "
                "the channels"
            )
        blocks = np.broadcast_to(
            np.expand_dims(x, tuple(range(2, 2 + n))), (*x.shape[:2], *factors, *lengths)
        )
        wide = (*x.shape[:2], *(k * s for k, s in zip(lengths, factors, strict=True)))
        once, none = (1,) * n, ((0, 0),) * n
        how = {"size": factors, "stride": factors, "dilation": once, "padding": none}
        return as_tensor(ops.add_windows(blocks, shape=wide, **how))

    def __repr__(self) -> str:
        return f"Upsample({shown(self.scale_factor)})"
