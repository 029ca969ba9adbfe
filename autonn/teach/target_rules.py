"""Rules of the targets, and of how they fit what the model predicts and what the loss takes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from autonn.engine import ops
from autonn.engine.lineage import op_of, operands_of
from autonn.engine.tensor import Array, Tensor, values_of
from autonn.nn.class_losses import HingeLoss
from autonn.nn.losses import MeanSquaredError
from autonn.nn.regression_losses import HuberLoss
from autonn.teach.trial import Trial
from autonn.training import Finding
from autonn.training.certain import (
    Sight,
    laid_out,
    named_place,
    one_softmax,
    softmax_of_rows,
    squashed_twice,
)
from autonn.training.certain import broadcast_targets as broadcast
from autonn.training.structures import forms

# Between what numbers the last op of a model keeps its outputs.
_REACH = {
    ops.sigmoid.op: ("a sigmoid", 0.0, 1.0),
    ops.softmax.op: ("a softmax", 0.0, 1.0),
    ops.tanh.op: ("a tanh", -1.0, 1.0),
    ops.relu.op: ("a ReLU", 0.0, np.inf),
}


def sight_of(trial: Trial) -> Sight | None:
    """Give the rules of what is certain what they look at; None if the loss refused."""
    look = trial.training
    cost = look.cost
    if not isinstance(cost, Tensor):
        return None
    return Sight(trial.model, look.predictions, cost, trial.y)


def certain_of_output(trial: Trial) -> Iterator[Finding]:
    """Find what `fit` warns of too: a softmax of a softmax, of one output, m by m pairs."""
    sight = sight_of(trial)
    if sight is not None:
        for rule in (squashed_twice, one_softmax, softmax_of_rows, broadcast):
            yield from rule(sight)


def refused_targets(trial: Trial) -> Iterator[Finding]:
    """Find targets that the loss refuses, with what it says of them."""
    error = trial.training.error
    if error is None or _are_shifted(trial):
        return
    shapes = trial.training.predictions.shape[1:], (forms(trial.examples.y) or [()])[0]
    yield Finding(
        "loss-and-output",
        "loss",
        f"{type(error).__name__}: {error} (each prediction has shape {shapes[0]}, each target "
        f"{shapes[1]})",
        _cure_of_shapes(*shapes, isinstance(error, IndexError)),
    )


def _cure_of_shapes(predicted: tuple[int, ...], target: tuple[int, ...], of_classes: bool) -> str:
    if predicted == (1,) and target == () and not of_classes:
        return "give the targets the shape (m, 1), as y[:, None] has it, or take a loss of classes"
    if len(predicted) == 1 and target == ():
        return (
            "for k classes give the model k outputs and the loss classes 0 to k - 1; for numbers "
            "give it one output and MeanSquaredError()"
        )
    return "let the targets have the shape of the predictions, or be classes, one a row"


def _are_shifted(trial: Trial) -> bool:
    """Whether the labels are 1..k of k outputs: the loss refuses the last one."""
    labels, k = trial.examples.classes, trial.training.predictions.shape[-1]
    return labels is not None and k > 1 and (int(labels.min()), int(labels.max())) == (1, k)


def shifted_labels(trial: Trial) -> Iterator[Finding]:
    """Find labels that begin with 1, where the first output stands for class 0."""
    labels, shape = trial.examples.classes, trial.training.predictions.shape
    if labels is None or len(shape) != 2 or shape[1] < 3:
        return
    k = shape[1]
    there = np.unique(labels)
    if trial.training.error is not None and _are_shifted(trial):
        seen = f"labels run from 1 to {k}, and the {k} outputs stand for the classes 0 to {k - 1}"
    elif trial.classes and np.array_equal(there, np.arange(1, k)) and len(labels) >= 10 * k:
        seen = (
            f"labels run from 1 to {k - 1}: all but 0 are there, and output 0 of {k} is never "
            "wanted"
        )
    else:
        return
    yield Finding(
        "labels-from-1",
        "y",
        seen,
        "subtract 1 from the labels; or let the label that is k stand for class 0, as y % k does",
    )


def unwanted_outputs(trial: Trial) -> Iterator[Finding]:
    """Find outputs whose class no row has, of rows that are too many for chance."""
    labels, k = trial.examples.classes, trial.classes
    if labels is None or k is None or k > 100 or len(labels) < 10 * k:
        return
    counts = np.bincount(labels, minlength=k)
    missing = np.flatnonzero(counts[:k] == 0)
    if not missing.size or any(shifted_labels(trial)):
        return
    shown = ", ".join(map(str, missing[:10]))
    yield Finding(
        "missing-class",
        f"y, output {shown}",
        f"no row of {len(labels):,} has class {shown}; the other {k - len(missing)} of {k} classes "
        f"have {int(np.median(counts[counts > 0])):,} rows each at the median. Such an output "
        "only learns to say no",
        "look whether rows were lost, as by cutting a file that is sorted; or give the model as "
        "many outputs as there are classes",
    )


def targets_out_of_reach(trial: Trial) -> Iterator[Finding]:
    """Find numbers as targets that the last op of the model can never give."""
    predictions = trial.training.predictions
    last = laid_out(predictions)
    op = op_of(last) if isinstance(last, Tensor) else None
    if op not in _REACH or not _compares_numbers(trial):
        return
    word, low, high = _REACH[op]
    y: Array = trial.examples.y
    outside = float(np.mean((y < low) | (y > high)))
    if outside:
        reach = "below 0" if high == np.inf else f"outside {low:g} to {high:g}"
        yield Finding(
            "targets-out-of-reach",
            named_place(trial.model, last),
            f"the model ends in {word}, and {outside:.1%} of the targets are {reach}: they run "
            f"from {y.min():.4g} to {y.max():.4g}",
            "leave out the last activation for numbers of any size; for class numbers take an "
            "output for each class and SoftmaxCrossEntropy()",
        )


def _compares_numbers(trial: Trial) -> bool:
    """Whether the loss subtracts predictions and targets, or is known to."""
    if isinstance(trial.loss, MeanSquaredError | HuberLoss):
        return True
    sight = sight_of(trial)
    if sight is None or np.shape(trial.y) != trial.training.predictions.shape:
        return False
    differences = [operands_of(t) for t in sight.of_loss if op_of(t) is ops.subtract.op]
    return any(
        any(values_of(a) is trial.y for a in pair) and any(sight.is_models(a) for a in pair)
        for pair in differences
    )


def bounded_scores(trial: Trial) -> Iterator[Finding]:
    """Find logits or scores that an activation keeps from saying no, or from being sure."""
    sight = sight_of(trial)
    if sight is None:
        return
    last = laid_out(trial.training.predictions)
    op = op_of(last) if isinstance(last, Tensor) else None
    of_logits = [t for t in sight.of_loss if op_of(t) in _OF_LOGITS]
    if op is ops.relu.op and of_logits:
        negative = float(np.mean(trial.training.predictions.numpy() == 0))
        yield Finding(
            "logits-cut-off",
            named_place(trial.model, last),
            f"the loss takes logits, and a ReLU makes 0 of all that are negative: {negative:.0%} "
            "of them, which get no gradient",
            "end the model in a Layer, without an activation",
        )
    if isinstance(trial.loss, HingeLoss) and op in (ops.sigmoid.op, ops.softmax.op):
        yield Finding(
            "logits-cut-off",
            named_place(trial.model, last),
            f"HingeLoss wants scores {trial.loss.margin:g} ahead of the others, and those of "
            f"{_REACH[op][0]} are between 0 and 1",
            "end the model in a Layer, without an activation",
        )


_OF_LOGITS = (ops.softmax_cross_entropy.op, ops.sigmoid_cross_entropy.op)

RULES = (
    certain_of_output,
    refused_targets,
    shifted_labels,
    unwanted_outputs,
    targets_out_of_reach,
    bounded_scores,
)
