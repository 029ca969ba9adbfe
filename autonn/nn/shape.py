"""Modules that change the shape of the data and nothing else."""

from __future__ import annotations

import math
from typing import Any

from autonn.engine.tensor import Tensor
from autonn.nn.module import Module, as_tensor


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
