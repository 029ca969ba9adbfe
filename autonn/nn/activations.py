"""Activations: the bends between the layers, without which a network would be one flat map."""

from __future__ import annotations

from typing import Any

import numpy as np

from autonn.engine import ops
from autonn.engine.tensor import Tensor
from autonn.nn.module import Module, as_tensor


class Sigmoid(Module):
    """The sigmoid, ``s(z) = 1 / (1 + e^-z)``: a probability for each unit.

    >>> Sigmoid()(Tensor([0.0]))
    Tensor([0.5])
    """

    def forward(self, x: Any) -> Tensor:
        """Compute s(x), element by element."""
        return as_tensor(ops.sigmoid(x))


class Tanh(Module):
    """The hyperbolic tangent, between -1 and 1.

    >>> Tanh()(Tensor([0.0]))
    Tensor([0.])
    """

    def forward(self, x: Any) -> Tensor:
        """Compute tanh(x), element by element."""
        return as_tensor(np.tanh(x))


class ReLU(Module):
    """The rectifier, ``max(x, 0)``; its gradient at 0 is 0.

    >>> ReLU()(Tensor([-1.0, 2.0]))
    Tensor([0., 2.])
    """

    def forward(self, x: Any) -> Tensor:
        """Compute max(x, 0), element by element."""
        return as_tensor(ops.relu(x))


class Softmax(Module):
    """The softmax, ``e^z_k / sum_j e^z_j`` along the last axis: probabilities that sum to 1.

    >>> Softmax()(Tensor([0.0, 0.0]))
    Tensor([0.5, 0.5])
    """

    def forward(self, x: Any) -> Tensor:
        """Compute softmax(x) along the last axis."""
        return as_tensor(ops.softmax(x))
