"""What is made small, and the step that tells in which direction."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autonn.engine.higher import hessian_products
from autonn.engine.modes import is_tracing, no_grad
from autonn.engine.tensor import Tensor
from autonn.engine.transforms import gradients, value_of
from autonn.engine.trees import tree_leaves
from autonn.nn.losses import logits_of
from autonn.nn.module import Module
from autonn.training.certain import UNREACHED, Sight, certain
from autonn.training.examples import Batch, Examples
from autonn.training.findings import Finding, warn_of
from autonn.training.loss import (
    Loss,
    boundary,
    check_targets,
    classifies,
    has_check,
    needs_targets,
    require_targets,
    weighed,
)
from autonn.training.losses import Losses
from autonn.training.measures import Measure
from autonn.training.metrics import count_correct
from autonn.training.penalties import Penalty
from autonn.training.structures import Way, arrays_of, call, forms, rows_of, way_of_calling

# Of a batch: the cost, the number of right predictions, and the gradients.
Step = Callable[..., tuple[Any, Any, Sequence[Any]]]


@dataclass
class Task:
    """What is made small: the cost of examples and, whatever is shown, the penalty of the whole."""

    model: Module
    loss: Loss
    penalties: list[Penalty]
    count: int | None  # of all the examples, where that is known
    examples: Examples | None = None  # None: they come in batches
    held_out: Examples | None = None
    measures: Mapping[str, Measure] = field(default_factory=dict)
    looked: bool = False  # whether the first predictions were looked at
    way: Way = None  # how the model is called
    form: Any = None  # of each prediction, where there is one for each row
    counts: bool = False  # whether predictions can be told to be right
    by_rows: bool = False  # whether of the gradient of a table some rows are enough
    findings: list[Finding] | None = None  # what is wrong, until told; None: not seen yet
    names: dict[str, Tensor] = field(init=False)  # of the parameters

    def __post_init__(self) -> None:
        self.names = dict(self.model.named_parameters())
        self.parameters = self.model.parameters()
        if len(self.names) < len(self.parameters):
            raise ValueError("fit: two parameters of the model have the same name; rename one")
        self.weighed = weighed(self.loss)
        if self.examples is not None:
            self.begin(self.examples)

    def begin(self, batch: Examples) -> None:
        """Take in how the model is called with such examples, before any of them is shown."""
        self.way = way_of_calling(self.model, batch.X)
        require_targets("fit", batch.y, self.loss)
        if batch.weights is not None and self.weighed is None:
            raise TypeError(
                f"fit: the loss {self.loss!r} takes no weights of examples; write one that is a "
                "function of predictions, targets and weights"
            )

    def cost(self, X: Any, y: Any, classes: Any = None, weights: Any = None) -> tuple[Tensor, Any]:
        """Compute the cost, and how many were predicted rightly if the targets are classes."""
        predictions = call(self.model, X, self.way)
        if not self.looked:
            self.look_at(predictions, rows_of(X))
        total: Any
        if weights is None or self.weighed is None:
            total = self.loss(predictions, y)
        else:
            total = self.weighed(predictions, y, weights)
        _require_one_number(total, self.loss)
        if self.findings is None:
            self.findings = self.certain_findings(predictions, total, y)
            if not is_tracing():
                self.tell(compiled=False)
        for penalty in self.penalties:
            total = penalty.added_to(total, self.count or rows_of(X))
        if classes is None or not self.counts:
            return total, None
        return total, self.count_correct(predictions, classes)

    def certain_findings(self, predictions: Any, total: Tensor, y: Any) -> list[Finding]:
        """Find what is certainly wrong, where there is one output to look at."""
        if not isinstance(predictions, Tensor):
            return []
        return certain(Sight(self.model, predictions, total, y))

    def tell(self, compiled: bool) -> None:
        """Warn, once, of what the first cost showed.

        Without a program, other rows may go other ways, and reach other parameters.
        """
        found, self.findings = self.findings, []
        warn_of(f for f in found or [] if compiled or f.name != UNREACHED)

    def count_correct(self, predictions: Tensor, classes: Any) -> Any:
        """Count the right ones, by the logits as the loss needs them: that saves probabilities."""
        logits = logits_of(predictions)
        half = boundary(self.loss) if logits is predictions else 0.0
        return count_correct(logits, classes, half)

    def require_width(self) -> None:
        """Refuse held-out examples that the model can't take, before anything is learned."""
        held_out = self.held_out
        if held_out is None or self.examples is None:
            return
        if forms(held_out.X) == forms(self.examples.X):
            return
        try:
            self.predict(held_out.part(slice(1)).X)
        except Exception as error:
            raise ValueError(
                f"fit: validation: X has shape {_shape(held_out.X)}, that of the training "
                f"{_shape(self.examples.X)}, and the model can't take it: {error}"
            ) from error

    def look_at(self, predictions: Any, rows: int) -> None:
        """Look once at what the model predicts for some rows, and let the loss see all targets."""
        if not isinstance(predictions, Tensor):
            self.require_structure(predictions)
        self.form = _form(predictions, rows)
        self.show_targets()
        is_table = isinstance(predictions, Tensor) and predictions.ndim == 2
        self.counts = is_table and self.has_classes(predictions)
        self.looked = True

    def require_structure(self, predictions: Any) -> None:
        """Refuse what is no Tensor, but for several where the loss may know what to do."""
        several = isinstance(predictions, tuple | list | dict)
        if several and (isinstance(self.loss, Losses) or not has_check(self.loss)):
            return
        if isinstance(predictions, tuple) and getattr(self.loss, "takes_tuple", False):
            return
        cure = "give a loss for each, as loss=(..., ...) or a dict, or a function of all; or let "
        raise TypeError(
            f"fit: the model returned a {type(predictions).__name__}, and {self.loss!r} takes one "
            f"Tensor; {cure if several else ''}forward(x) return{'' if several else 's'} one Tensor"
        )

    def show_targets(self) -> None:
        """Let the loss see all targets, where there is a prediction for each."""
        for examples in (self.examples, self.held_out):
            if examples is None or self.form is None:
                continue
            for y in examples.targets():
                if y is not None or not needs_targets(self.loss):
                    rows = len(examples) if y is None else rows_of(y)
                    check_targets(self.loss, y, _with_rows(self.form, rows))

    def has_classes(self, predictions: Tensor) -> bool:
        """Whether the predictions are those of classes: the loss says so, or else they look so."""
        says = classifies(self.loss)
        if says is not None:
            return says
        return predictions.shape[1] > 1 or logits_of(predictions) is not predictions

    def step(self, X: Any, y: Any, classes: Any, weights: Any) -> tuple[Any, Any, list[Any]]:
        """Compute the cost, the number of right predictions, and the gradients."""
        total, correct = self.cost(X, y, classes, weights)
        found = gradients(total, self.parameters, by_rows=self.by_rows)
        return value_of(total), correct, found

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

    def predict(self, X: Any) -> Any:
        """Predict in evaluation mode, without a graph."""
        with no_grad(), self.model.evaluating():
            return call(self.model, X, self.way)

    def validate(self, held_out: Batch) -> tuple[float, float | None, Any]:
        """Measure the cost of held-out examples, the accuracy if there is one; and predict them."""
        X, y, classes, weights = held_out
        with no_grad(), self.model.evaluating():
            predictions = call(self.model, X, self.way)
            if weights is None or self.weighed is None:
                cost = float(self.loss(predictions, y))
            else:
                cost = float(self.weighed(predictions, y, weights))
        if classes is None or not self.counts:
            return cost, None, predictions
        correct = int(self.count_correct(predictions, classes))
        return cost, correct / rows_of(X), predictions

    def measure(self, predictions: Any, y: Any) -> dict[str, float]:
        """Measure what was asked for."""
        arrays = arrays_of(predictions)
        return {name: float(measure(arrays, y)) for name, measure in self.measures.items()}

    def is_finite(self, batch: Batch) -> bool:
        """Whether cost and gradients of a batch are finite at the present weights."""
        with self.model.evaluating(), np.errstate(all="ignore"):
            cost, _, found = self.step(*batch)
        return math.isfinite(cost) and all(bool(np.isfinite(g).all()) for g in tree_leaves(found))


def _form(predictions: Any, rows: int) -> Any:
    """Return the shape of each prediction, of several in their form; None where there is none."""
    if isinstance(predictions, Tensor):
        return predictions.shape[1:] if predictions.shape[:1] == (rows,) else None
    if isinstance(predictions, dict):
        return {key: _form(part, rows) for key, part in predictions.items()}
    if isinstance(predictions, tuple | list):
        return [_form(part, rows) for part in predictions]
    return None


def _with_rows(form: Any, rows: int) -> Any:
    """Put so many rows before each shape."""
    if isinstance(form, dict):
        return {key: _with_rows(part, rows) for key, part in form.items()}
    if isinstance(form, list):
        return [_with_rows(part, rows) for part in form]
    return None if form is None else (rows, *form)


def _shape(X: Any) -> Any:
    return X.shape if isinstance(X, np.ndarray) else f"{forms(X)} a row"


def _require_one_number(total: Any, loss: Loss) -> None:
    if not isinstance(total, Tensor) or total.shape != ():
        is_tensor = isinstance(total, Tensor)
        what = f"shape {total.shape}" if is_tensor else f"a {type(total).__name__}"
        cure = "take np.mean of it" if is_tensor else "compute with the predictions as they come"
        raise TypeError(f"fit: the loss {loss!r} returned {what}, expected one Tensor (); {cure}")
