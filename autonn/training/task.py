"""What is made small, and the step that tells in which direction."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autonn.engine.autodiff import _hessian_products, gradients
from autonn.engine.tensor import Tensor
from autonn.nn.losses import logits_of
from autonn.nn.module import Module
from autonn.nn.penalties import l2_penalty
from autonn.training.examples import Examples
from autonn.training.metrics import right

Loss = Callable[..., Tensor]  # of predictions, targets and, where there are any, weights of rows

Step = Callable[..., tuple[Any, Any, Sequence[Any]]]


@dataclass
class Task:
    """What is made small: the cost of examples and, whatever is shown, the penalty of the whole."""

    model: Module
    loss: Loss
    l2: float
    examples: Examples

    def __post_init__(self) -> None:
        self.parameters = self.model.parameters()

    def cost(self, X: Any, y: Any, classes: Any = None, weights: Any = None) -> tuple[Tensor, Any]:
        """Compute the cost, and how many were predicted rightly if the targets are classes."""
        predictions = self.model(X)
        total = self.loss(predictions, y) if weights is None else self.loss(predictions, y, weights)
        if self.l2:
            total = total + l2_penalty(self.model, self.l2, len(self.examples))
        counts = classes is not None and predictions.ndim == 2
        # Of the logits, as the loss needs them: the probabilities need not be computed.
        return total, right(logits_of(predictions), classes) if counts else None

    def step(self, X: Any, y: Any, classes: Any, weights: Any) -> tuple[Any, Any, list[Any]]:
        """Compute the cost, the number of right predictions, and the gradients."""
        total, right = self.cost(X, y, classes, weights)
        return total.detach(), right, gradients(total, self.parameters)

    def product(self, X: Any, y: Any, weights: Any, vectors: list[Any]) -> list[Any]:
        """Compute the product of the Hessian and a vector; only while it is compiled."""
        total, _ = self.cost(X, y, None, weights)
        return _hessian_products(total, self.parameters)(vectors)

    def is_finite(self, rows: Any) -> bool:
        """Whether cost and gradients of some rows are finite at the present weights."""
        with self.model.evaluating(), np.errstate(all="ignore"):
            cost, _, slopes = self.step(*self.examples[rows])
        return math.isfinite(cost) and all(bool(np.isfinite(g).all()) for g in slopes)


def takes_weights(loss: Loss) -> bool:
    try:
        inspect.signature(loss).bind(None, None, None)
    except TypeError:
        return False
    return True
