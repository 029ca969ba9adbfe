"""Metrics: how often a model is right, and what it takes for what."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from autonn import checks
from autonn.engine.modes import no_grad
from autonn.engine.tensor import Array
from autonn.nn.module import Module
from autonn.training.examples import Examples
from autonn.training.structures import arrays_of, call, way_of_calling


def accuracy(model: Module, X: Any, y: ArrayLike) -> float:
    """Return the share of examples whose most probable class is the right one.

    A model of one output gives the probability of class 1, and reads class 1 above 1/2. X may be a
    tuple or a dict of several inputs, as for `fit`.

    >>> from autonn import Layer
    >>> accuracy(Layer(2, 2, weight=np.eye(2)), np.eye(2), [0, 0])
    0.5
    """
    predictions, classes = _predicted(model, X, y, "accuracy")
    return int(count_correct(predictions, classes)) / len(classes)


def top_k(model: Module, X: Any, y: ArrayLike, k: int = 5) -> float:
    """Return the share of examples whose right class is among the k most probable.

    Equal probabilities do not help: a class is among the k if fewer than k others reach its own.

    >>> from autonn import Layer
    >>> top_k(Layer(3, 3, weight=np.eye(3)), [[0.2, 0.5, 0.3]] * 3, [0, 1, 2], k=2)
    0.6666666666666666
    """
    predictions, classes = _predicted(model, X, y, "top_k")
    checks.whole(f"top_k: k, of {predictions.shape[1]} classes,", k, most=predictions.shape[1])
    own = np.take_along_axis(predictions, classes[:, None], axis=1)
    reach = np.count_nonzero(predictions >= own, axis=1)  # itself among them
    return float(np.mean(reach <= k))


def confusion_matrix(model: Module, X: Any, y: ArrayLike) -> Array:
    """Count which class was read as which: a row for each actual class, a column for each read.

    >>> from autonn import Layer
    >>> confusion_matrix(Layer(2, 2, weight=np.eye(2)), np.eye(2), [0, 0])
    array([[1, 1],
           [0, 0]])
    """
    predictions, classes = _predicted(model, X, y, "confusion_matrix")
    return count_readings(classes, predictions.argmax(axis=1), predictions.shape[1])


def count_readings(actual: Array, read: Array, classes: int) -> Array:
    """Count the pairs of class numbers, a row for each actual class.

    >>> count_readings(np.array([0, 0, 1]), np.array([0, 1, 1]), classes=2)
    array([[1, 1],
           [0, 1]])
    """
    pairs = actual.astype(np.intp) * classes + read  # int8 would wrap around from 128 on
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def count_correct(predictions: Any, classes: Any, half: float = 0.5) -> Any:
    """Count the rows whose most probable class is the right one.

    One column tells of class 1: above `half`, which is 1/2 for probabilities and 0 for logits.

    >>> int(count_correct(np.array([[0.2, 0.8], [0.9, 0.1]]), np.array([1, 1])))
    1
    >>> int(count_correct(np.array([[0.2], [0.9]]), np.array([1, 1])))
    1
    """
    if predictions.shape[1] == 1:
        return np.count_nonzero(np.equal(np.greater(predictions[:, 0], half), np.equal(classes, 1)))
    return np.count_nonzero(np.equal(np.argmax(predictions, axis=1), classes))


def _predicted(model: Module, X: Any, y: ArrayLike, name: str) -> tuple[Array, Array]:
    """Return the predictions (m, k) and the right classes, each of which is below k.

    One column of probabilities p becomes two, 1 - p and p.
    """
    examples = Examples.checked(X, y, name)
    if examples.classes is None:
        raise ValueError(f"{name}: targets are classes of shape (m,), or one-hot rows")
    with no_grad(), model.evaluating():
        way = way_of_calling(model, examples.X)
        predictions = arrays_of(call(model, examples.X, way))
    if not isinstance(predictions, np.ndarray):
        raise TypeError(
            f"{name}: the model returned a {type(predictions).__name__}, and it is of one output; "
            "of several give fit metrics={'mine': ('output', 'accuracy')}"
        )
    if predictions.ndim != 2:
        raise ValueError(
            f"{name}: the model predicts shape {predictions.shape}, expected (examples, classes)"
        )
    if predictions.shape[1] == 1:
        predictions = _both_classes(predictions, name)
    k = predictions.shape[1]
    outside = (examples.classes < 0) | (examples.classes >= k)
    if outside.any():
        row = int(outside.argmax())
        raise IndexError(f"{name}: class {examples.classes[row]} of {k} in row {row}")
    return predictions, examples.classes


def _both_classes(p: Array, name: str) -> Array:
    """Make of the probability of class 1 those of both classes."""
    outside = ~((p >= 0) & (p <= 1))
    if outside.any():
        row = int(outside.argmax())
        raise ValueError(
            f"{name}: one output is the probability of class 1, from 0 to 1, not {p[row, 0]} as in "
            f"row {row}; end the model with Sigmoid()"
        )
    return np.concatenate([1 - p, p], axis=1)
