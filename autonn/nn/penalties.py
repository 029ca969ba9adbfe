"""Penalties: what is added to a cost so that weights stay small."""

from __future__ import annotations

from typing import cast

import numpy as np

from autonn.engine import ops
from autonn.engine.tensor import Tensor
from autonn.nn.module import Module


def l2_penalty(model: Module, strength: float, examples: int) -> Tensor:
    """Return the tutorials' ``lambda / (2m)`` times the sum of squares of all weights.

    The biases are left out: a module says which parameters they are, see `Module.weights`.

    Parameters
    ----------
    model
        The module whose weights are penalised.
    strength
        The tutorials' lambda, not negative.
    examples
        Their m, the number of examples that the cost is a mean over.

    Examples
    --------
    >>> from autonn import Layer
    >>> l2_penalty(Layer(2, 1, weight=[[1.0, 2.0]], bias=[9.0]), 1.0, examples=5)
    Tensor(0.5, requires_grad=True)
    """
    if not 0 <= strength < np.inf:
        raise ValueError(f"l2_penalty: lambda is at least 0 and finite, not {strength}")
    if examples < 1:
        raise ValueError(f"l2_penalty: a mean over {examples} examples; it takes at least 1")
    weights = model.weights()
    if not weights:
        raise ValueError(f"l2_penalty: {model!r} has no weights to penalise")
    return cast(Tensor, ops.sum_of_squares(*weights, factor=strength / (2 * examples)))
