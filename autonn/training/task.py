"""What is made small, and the step that tells in which direction."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autonn.engine.higher import hessian_products
from autonn.engine.modes import no_grad
from autonn.engine.tensor import Tensor
from autonn.engine.transforms import gradients
from autonn.nn.losses import logits_of
from autonn.nn.module import Module
from autonn.nn.penalties import l2_penalty
from autonn.training.examples import Examples
from autonn.training.loss import Loss, boundary, check_targets, classifies, weighed
from autonn.training.metrics import count_correct

# Of a batch: the cost, the number of right predictions, and the gradients.
Step = Callable[..., tuple[Any, Any, Sequence[Any]]]


@dataclass
class Task:
    """What is made small: the cost of examples and, whatever is shown, the penalty of the whole."""

    model: Module
    loss: Loss
    l2: float
    examples: Examples
    held_out: Examples | None = None
    looked: bool = False  # whether the first predictions were looked at
    form: tuple[int, ...] | None = None  # of each prediction, where there is one for each row
    counts: bool = False  # whether predictions can be told to be right
    names: dict[str, Tensor] = field(init=False)  # of the parameters

    def __post_init__(self) -> None:
        self.names = dict(self.model.named_parameters())
        self.parameters = self.model.parameters()
        if len(self.names) < len(self.parameters):
            raise ValueError("fit: two parameters of the model have the same name; rename one")
        self.weighed = weighed(self.loss)
        if self.examples.weights is not None and self.weighed is None:
            raise TypeError(
                f"fit: the loss {self.loss!r} takes no weights of examples; write one that is a "
                "function of predictions, targets and weights"
            )

    def cost(self, X: Any, y: Any, classes: Any = None, weights: Any = None) -> tuple[Tensor, Any]:
        """Compute the cost, and how many were predicted rightly if the targets are classes."""
        predictions = self.model(X)
        if not self.looked:
            self.look_at(predictions, len(X))
        if weights is None or self.weighed is None:
            total = self.loss(predictions, y)
        else:
            total = self.weighed(predictions, y, weights)
        _require_one_number(total, self.loss)
        if self.l2:
            total = total + l2_penalty(self.model, self.l2, len(self.examples))
        if classes is None or not self.counts:
            return total, None
        return total, self.count_correct(predictions, classes)

    def count_correct(self, predictions: Tensor, classes: Any) -> Any:
        """Count the right ones, by the logits as the loss needs them: that saves probabilities."""
        logits = logits_of(predictions)
        half = boundary(self.loss) if logits is predictions else 0.0
        return count_correct(logits, classes, half)

    def require_width(self) -> None:
        """Refuse held-out examples that the model can't take, before anything is learned."""
        X, held_out = self.examples.X, self.held_out
        if held_out is None or held_out.X.shape[1:] == X.shape[1:]:
            return
        try:
            self.model.predict(held_out.X[:1])
        except Exception as error:
            raise ValueError(
                f"fit: validation: X has shape {held_out.X.shape}, that of the training {X.shape}, "
                f"and the model can't take it: {error}"
            ) from error

    def look_at(self, predictions: Any, rows: int) -> None:
        """Look once at what the model predicts for some rows, and let the loss see all targets."""
        if not isinstance(predictions, Tensor):
            raise TypeError(
                f"fit: the model returned a {type(predictions).__name__}; forward(x) returns one "
                "Tensor"
            )
        self.form = predictions.shape[1:] if predictions.shape[:1] == (rows,) else None
        self.show_targets()
        self.counts = predictions.ndim == 2 and self.has_classes(predictions)
        self.looked = True

    def show_targets(self) -> None:
        """Let the loss see all targets, where there is a prediction for each."""
        for examples in (self.examples, self.held_out):
            if examples is not None and self.form is not None:
                check_targets(self.loss, examples.y, (len(examples), *self.form))

    def has_classes(self, predictions: Tensor) -> bool:
        """Whether the predictions are those of classes: the loss says so, or else they look so."""
        says = classifies(self.loss)
        if says is not None:
            return says
        return predictions.shape[1] > 1 or logits_of(predictions) is not predictions

    def step(self, X: Any, y: Any, classes: Any, weights: Any) -> tuple[Any, Any, list[Any]]:
        """Compute the cost, the number of right predictions, and the gradients."""
        total, correct = self.cost(X, y, classes, weights)
        return total.detach(), correct, gradients(total, self.parameters)

    def product(self, X: Any, y: Any, weights: Any, vectors: list[Any]) -> list[Any]:
        """Compute the product of the Hessian and a vector; only while it is compiled."""
        total, _ = self.cost(X, y, None, weights)
        return hessian_products(total, self.parameters)(vectors)

    def require_same_parameters(self) -> None:
        """Refuse to go on with Tensors that the model no longer has, or lets rest."""
        now = self.model.parameters()
        if len(now) == len(self.parameters) and all(map(operator.is_, now, self.parameters)):
            return
        old, new = self.names, dict(self.model.named_parameters())
        changed = [name for name in {**old, **new} if old.get(name) is not new.get(name)]
        raise RuntimeError(
            f"fit: {', '.join(changed)} is not what it was when training began: a callback or a "
            "forward replaced it, added it or set its requires_grad. Write into its .data, or do "
            "this between two calls of fit"
        )

    def validate(self, held_out: Examples) -> tuple[float, float | None]:
        """Measure the cost of held-out examples, and the accuracy if there is one."""
        with no_grad(), self.model.evaluating():
            predictions = self.model(held_out.X)
            cost = float(self.loss(predictions, held_out.y))
        if held_out.classes is None or not self.counts:
            return cost, None
        return cost, int(self.count_correct(predictions, held_out.classes)) / len(held_out)

    def is_finite(self, rows: Any) -> bool:
        """Whether cost and gradients of some rows are finite at the present weights."""
        with self.model.evaluating(), np.errstate(all="ignore"):
            cost, _, found = self.step(*self.examples[rows])
        return math.isfinite(cost) and all(bool(np.isfinite(g).all()) for g in found)


def _require_one_number(total: Any, loss: Loss) -> None:
    if not isinstance(total, Tensor) or total.shape != ():
        is_tensor = isinstance(total, Tensor)
        what = f"shape {total.shape}" if is_tensor else f"a {type(total).__name__}"
        cure = "take np.mean of it" if is_tensor else "compute with the predictions as they come"
        raise TypeError(f"fit: the loss {loss!r} returned {what}, expected one Tensor (); {cure}")
