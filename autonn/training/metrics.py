"""Metrics: how often a model is right, and what it takes for what."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from autonn.engine.tensor import Array
from autonn.nn.module import Module
from autonn.training.examples import Examples


def accuracy(model: Module, X: ArrayLike, y: ArrayLike) -> float:
    """Return the share of examples whose most probable class is the right one.

    >>> from autonn import Layer
    >>> accuracy(Layer(2, 2, weight=np.eye(2)), np.eye(2), [0, 0])
    0.5
    """
    predictions, classes = _predicted(model, X, y, "accuracy")
    return int(right(predictions, classes)) / len(classes)


def top_k(model: Module, X: ArrayLike, y: ArrayLike, k: int = 5) -> float:
    """Return the share of examples whose right class is among the k most probable.

    Equal probabilities do not help: a class is among the k if fewer than k others reach its own.

    >>> from autonn import Layer
    >>> top_k(Layer(3, 3, weight=np.eye(3)), [[0.2, 0.5, 0.3]] * 3, [0, 1, 2], k=2)
    0.6666666666666666
    """
    predictions, classes = _predicted(model, X, y, "top_k")
    if not 1 <= k <= predictions.shape[1]:
        raise ValueError(f"top_k: k is from 1 to the {predictions.shape[1]} classes, not {k}")
    own = np.take_along_axis(predictions, classes[:, None], axis=1)
    reach = np.count_nonzero(predictions >= own, axis=1)  # itself among them
    return float(np.mean(reach <= k))


def confusion_matrix(model: Module, X: ArrayLike, y: ArrayLike) -> Array:
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
    counts = np.bincount(actual * classes + read, minlength=classes**2)
    return counts.reshape(classes, classes)


def _predicted(model: Module, X: ArrayLike, y: ArrayLike, name: str) -> tuple[Array, Array]:
    """Return the predictions (m, k) and the right classes, each of which is below k."""
    examples = Examples.checked(X, y, name)
    if examples.classes is None:
        raise ValueError(f"{name}: targets are classes of shape (m,), or one-hot rows")
    predictions = model.predict(examples.X)
    if predictions.ndim != 2:
        raise ValueError(
            f"{name}: the model predicts shape {predictions.shape}, expected (examples, classes)"
        )
    k = predictions.shape[1]
    outside = (examples.classes < 0) | (examples.classes >= k)
    if outside.any():
        row = int(outside.argmax())
        raise IndexError(f"{name}: class {examples.classes[row]} of {k} in row {row}")
    return predictions, examples.classes


def right(predictions: Any, classes: Any) -> Any:
    """Count the rows whose most probable class is the right one."""
    return np.count_nonzero(np.equal(np.argmax(predictions, axis=1), classes))
