"""`train_step`: one step of training as a function, for loops that `fit` does not know."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from autonn import checks
from autonn.compiler import compile as compiled
from autonn.engine.modes import CannotCompileError
from autonn.engine.ownership import writable
from autonn.engine.tensor import Array, Tensor, values_of
from autonn.engine.transforms import gradients, value_of
from autonn.engine.trees import tree_leaves
from autonn.nn.module import Module
from autonn.nn.penalties import l2_penalty
from autonn.optim.base import Optimizer
from autonn.optim.steps import StepOptimizer
from autonn.training.compiling import attempt, untouched
from autonn.training.loss import Loss, check_targets, require_targets, weighed
from autonn.training.losses import as_loss
from autonn.training.parts import checked_parts
from autonn.training.selfcheck import fault_of
from autonn.training.state import drawn_from
from autonn.training.structures import Way, call, is_structure, way_of_calling

# What is computed from a batch: the cost, the shape of the predictions, and the gradients.
Computed = tuple[Any, Any, list[Any]]


@dataclass(frozen=True)
class Objective:
    """What a step computes from a batch.

    It is apart from the step, which counts: what changes here, a program would be derived anew for.
    """

    model: Module
    loss: Loss
    weighed: Callable[[Any, Any, Any], Tensor] | None
    l2: float
    examples: int | None
    parameters: list[Tensor]
    way: Way = None  # how the model is called
    by_rows: bool = False  # whether of the gradient of a table some rows are enough

    def compute(self, X: Any, y: Any, weights: Any) -> Computed:
        """Compute the cost, the shape of the predictions if they have one, and the gradients."""
        predictions = call(self.model, X, self.way)
        if weights is None or self.weighed is None:
            total = self.loss(predictions, y)
        else:
            total = self.weighed(predictions, y, weights)
        _require_one_number(total, self.loss)
        if self.l2:
            total = total + l2_penalty(self.model, self.l2, self.examples or _rows(X))
        shape = predictions.shape if isinstance(predictions, Tensor) else ()
        found = gradients(total, self.parameters, by_rows=self.by_rows)
        return value_of(total), np.array(shape, int), found


class TrainStep:
    """What `train_step` returns: call it as ``cost = step(X, y=None, weights=None)``.

    Attributes
    ----------
    compiled
        Whether the last step ran as a flat program; None before the first.
    why_not
        Why it did not, in words; empty if it did.

    Examples
    --------
    >>> from autonn import Layer, MeanSquaredError, optim
    >>> step = train_step(Layer(1, 1, rng=0), MeanSquaredError(), optim.SGD(lr=0.1))
    >>> cost = step([[1.0], [2.0]], [[2.0], [4.0]])
    >>> step.compiled, step.why_not
    (True, '')
    """

    def __init__(
        self,
        model: Module,
        loss: Loss,
        optimizer: StepOptimizer,
        l2: float,
        examples: int | None,
        compile: bool | None,
    ) -> None:
        self.model, self.loss, self.optimizer = model, loss, optimizer
        held = optimizer.parameters
        self.objective = Objective(
            model, loss, weighed(loss), l2, examples, held, by_rows=optimizer.takes_rows
        )
        self.compiled: bool | None = None
        self.why_not = ""
        self.asked = compile is True
        self.count = 0
        # Whether it learns all that the model has, and so has to learn what is added, too.
        self.all = len(held) == len(model.parameters())
        self.program: Callable[..., Computed] | None = compiled(self.objective.compute)
        if compile is False:
            self.give_up("compile=False")

    def __call__(self, X: Any, y: Any = None, weights: Any = None) -> float:
        """Take a step, and return the cost before it: see `train_step`."""
        self.require_parameters()
        X, y = _given("X", X), _given("y", y)
        require_targets("train_step", y, self.loss)
        if is_structure(X) or self.objective.way is not None:
            self.take_way(X)
        rows = _rows(X)
        batch = X, y, self.checked_weights(weights, X, rows)
        before = [(buffer, values_of(buffer).copy()) for buffer in self.model.buffers()]
        try:
            self.count += 1
            cost, shape, found = self.computed(batch)
            if len(shape) and shape[0] == rows:
                check_targets(self.loss, y, tuple(map(int, shape)))
            if not math.isfinite(cost):
                raise RuntimeError(
                    f"train_step: the cost is {float(cost):g}, and nothing was changed; look at X "
                    "and y, or take a smaller learning rate"
                )
            self.optimizer.apply(found)
        except Exception:
            for buffer, values in before:
                writable(buffer)[...] = values
            raise
        return float(cost)

    def computed(self, batch: tuple[Any, ...]) -> Computed:
        """Compute it by the program, if there is one that can be trusted."""
        if self.program is not None and self.count & (self.count - 1) == 0 and self.count > 1:
            self.compare(self.program, batch)
        if self.program is None:
            return self.objective.compute(*batch)
        try:
            result = self.program(*batch)
        except CannotCompileError as error:
            self.give_up(str(error))
        except Exception:
            # What is wrong without a program too is raised here, and said better.
            made = attempt(self.objective.compute, self.model, [batch], self.program)
            if made.program is not None:
                raise
            self.give_up(made.why_not)
        else:
            self.compiled, self.why_not = True, ""
            return result
        return self.objective.compute(*batch)

    def compare(self, program: Callable[..., Computed], batch: tuple[Any, ...]) -> None:
        """Run both at steps 2, 4, 8, ..., as `fit` does, and leave no trace of it."""
        chance = drawn_from(self.objective.compute, batch)
        try:
            with untouched(self.model, chance), np.errstate(all="ignore"):
                found = program(*batch)
        except Exception:
            return  # the step itself will come to it
        with untouched(self.model, chance), np.errstate(all="ignore"):
            expected = self.objective.compute(*batch)
        what = fault_of(self.objective.compute, batch, expected, found, self.model)
        if what:
            self.asked = True
            self.give_up(f"in step {self.count} it did not give what the step gives ({what})", 5)

    def give_up(self, why: str, level: int = 4) -> None:
        """Go on without a program, and say so where one was asked for or was wrong."""
        self.program, self.compiled, self.why_not = None, False, why
        if self.asked:
            warnings.warn(
                f"train_step: the step runs as it is, not compiled: {why}",
                RuntimeWarning,
                stacklevel=level,  # the line that takes the step
            )

    def require_parameters(self) -> None:
        """Take what was bound since, and refuse what the model no longer has, or lets rest."""
        held = self.optimizer.parameters
        now = {id(parameter) for parameter in self.model.parameters()}
        if held is not self.objective.parameters:  # it was bound since
            by_rows = self.optimizer.takes_rows
            self.objective = replace(self.objective, parameters=held, by_rows=by_rows)
            self.all = len(held) == len(now)
            if self.program is not None:
                self.program = compiled(self.objective.compute)
        is_whole = not self.all or len(held) == len(now)
        if not is_whole or not now.issuperset(map(id, held)):
            raise RuntimeError(
                f"train_step: {self.optimizer!r} holds other parameters than the model has: one "
                "was replaced, added, or its requires_grad was set. Call optimizer.bind(model), "
                "or bind it to the part of the model that it is to train"
            )

    def take_way(self, X: Any) -> None:
        """Take in how the model is called with inputs of this form."""
        way = way_of_calling(self.model, X)
        if way != self.objective.way:
            self.objective = replace(self.objective, way=way)
            if self.program is not None:
                self.program = compiled(self.objective.compute)

    def checked_weights(self, weights: Any, X: Any, rows: int) -> Array | None:
        """Return one finite number a row, float32 where X is; a negative one climbs."""
        if weights is None:
            return None
        if self.objective.weighed is None:
            raise TypeError(
                f"train_step: the loss {self.loss!r} takes no weights of examples; write one that "
                "is a function of predictions, targets and weights"
            )
        array = checks.plain("train_step: weights", values_of(weights))
        if array.shape != (rows,):
            raise ValueError(f"train_step: weights have shape {array.shape}, expected ({rows},)")
        checks.finite("train_step: weights", array)
        narrow = isinstance(X, np.ndarray) and X.dtype == np.float32
        return array.astype(np.float32 if narrow else np.float64)

    def __repr__(self) -> str:
        return f"train_step({self.model!r}, {self.loss!r}, {self.optimizer!r})"


def train_step(
    model: Module,
    loss: Any,
    optimizer: Optimizer | str,
    l2: float = 0.0,
    *,
    examples: int | None = None,
    compile: bool | None = None,
) -> TrainStep:
    """Make the function that takes one step of training, for loops of one's own.

    ``cost = step(X, y)`` computes ``J = loss(model(X), y) + l2 / (2m) sum of squares``, as `fit`
    does for a batch, lets the optimiser change the parameters by the gradients, and returns J as it
    was before. Everything else is the loop's: the order, the epochs, and the mode, which `fit` sets
    by ``model.train()``.

    Parameters
    ----------
    model
        The module whose parameters are changed, in place. It may hold more than the optimiser
        does: what the optimiser does not hold stays as it is.
    loss
        A function of predictions and targets, as for `fit`, or a tuple or dict of some; of what the
        model returns, where that is no single Tensor.
    optimizer
        One that takes steps, as `SGD` or `Adam`. If it holds no parameters yet, it is bound to the
        model's.
    l2
        The tutorials' lambda; biases are never penalised.
    examples
        Their m in the penalty, the number of all examples; None is for the rows of the batch.
    compile
        As for `fit`: None derives a program where it can be done, True also warns where it can't,
        False never does.

    Returns
    -------
    A function ``step(X, y, weights=None)`` of arrays with one example a row, or of tuples and dicts
    of arrays, which the model is given as by `fit`; y may be None if the loss knows what to do.
    `weights` (m,)
    are factors of the rows' parts of the loss, and may be negative. Another shape, as of a smaller
    last batch, makes another program. ``step.compiled`` and ``step.why_not`` say whether the last
    step ran as a program.

    Raises
    ------
    TypeError, ValueError
        For what is no model, loss or optimiser, and for a search as `LBFGS`; for an optimiser that
        holds none of the model's parameters. By a step, for what the model or the loss can't
        take, as its `check` says.
    RuntimeError
        By a step, for a cost that is not one finite number, and where a parameter was replaced;
        then parameters and buffers are as before.

    Examples
    --------
    >>> from autonn import Layer, MeanSquaredError, Sequential, optim
    >>> model = Sequential(Layer(1, 1, weight=[[0.0]]))
    >>> step = train_step(model, MeanSquaredError(), optim.SGD(lr=0.1))
    >>> [round(step([[1.0], [2.0]], [[3.0], [5.0]]), 3) for _ in range(3)]
    [17.0, 1.685, 0.169]
    >>> step.compiled
    True
    """
    optimizer = checked_parts("train_step", model, optimizer)
    loss = as_loss(loss, "train_step")
    if not isinstance(optimizer, StepOptimizer):
        raise TypeError(
            f"train_step: {optimizer!r} searches with all examples at once and takes no single "
            "steps; give it to fit"
        )
    checks.number("train_step: l2, the tutorials' lambda,", l2, least=0)
    checks.one_of("train_step: compile", compile, (None, True, False))
    if examples is not None:
        checks.whole("train_step: examples", examples)
    if not optimizer.parameters:
        optimizer.bind(model)
    held = {id(parameter) for parameter in model.parameters()}
    if not held.issuperset(map(id, optimizer.parameters)):
        raise ValueError(
            f"train_step: {optimizer!r} holds parameters that are not the model's, which would "
            "never change; bind it to the model, or give the model that holds both"
        )
    return TrainStep(model, loss, optimizer, l2, examples, compile)


def _given(name: str, value: Any) -> Any:
    """Take numbers as an array; tuples and dicts that hold arrays, and None, as they are."""
    if value is None:
        return None
    if isinstance(value, dict):
        return {key: _given(name, part) for key, part in value.items()}
    if type(value) is tuple and any(isinstance(part, np.ndarray | Tensor) for part in value):
        return tuple(_given(name, part) for part in value)
    return checks.plain(f"train_step: {name}", values_of(value))


def _rows(X: Any) -> int:
    """Count the rows of what was given, or of the first array in it."""
    first = next(iter(tree_leaves(X)), None)
    if first is None or np.ndim(first) == 0:
        raise ValueError("train_step: X is no array of rows; give one row for each example")
    return len(first)


def _require_one_number(total: Any, loss: Loss) -> None:
    if not isinstance(total, Tensor):
        raise TypeError(
            f"train_step: the loss {loss!r} returned a {type(total).__name__}, expected one "
            "Tensor (); compute with the predictions as they come"
        )
    if total.shape != ():
        raise RuntimeError(
            f"train_step: the loss {loss!r} returned shape {total.shape}, expected one number, "
            "shape (); take np.mean of it"
        )
