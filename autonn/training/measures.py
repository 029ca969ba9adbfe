"""Measures: what `fit` is asked for by ``metrics=``, of predictions and targets as arrays."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from autonn.engine.tensor import Array, values_of

__all__ = ["MEASURES", "Measure", "measures"]

# Of all predictions and all targets, as arrays or in the form that the model and y have.
Measure = Callable[[Any, Any], float]


def accuracy(predictions: Array, targets: Array, half: float = 0.5) -> float:
    """Return the share of the rows whose most probable class is the right one.

    One output tells of class 1, above `half`; predictions may be (m, ..., k), with a class for
    each place.

    >>> accuracy(np.array([[0.2], [0.9], [0.7]]), np.array([0, 1, 0]))
    0.6666666666666666
    >>> accuracy(np.array([[[0.2, 0.8], [0.9, 0.1]]]), np.array([[1, 1]]))
    0.5
    """
    classes = _classes("accuracy", predictions, targets)
    if predictions.ndim == classes.ndim or predictions.shape[-1] == 1:
        read = predictions.reshape(classes.shape) > half
        return float(np.mean(read == (classes == 1)))
    return float(np.mean(predictions.argmax(axis=-1) == classes))


def label_accuracy(predictions: Array, targets: Array, half: float = 0.5) -> float:
    """Return the share of right answers of all labels, where each row has several of 0 and 1.

    >>> label_accuracy(np.array([[0.2, 0.9], [0.7, 0.8]]), np.array([[0, 1], [0, 1]]))
    0.75
    """
    _require_labels("label_accuracy", predictions, targets)
    return float(np.mean((predictions > half) == (targets == 1)))


def exact_match(predictions: Array, targets: Array, half: float = 0.5) -> float:
    """Return the share of the rows of which all labels are right.

    >>> exact_match(np.array([[0.2, 0.9], [0.7, 0.8]]), np.array([[0, 1], [0, 1]]))
    0.5
    """
    _require_labels("exact_match", predictions, targets)
    right = (predictions > half) == (targets == 1)
    return float(np.mean(right.reshape(len(right), -1).all(axis=1)))


def f1(predictions: Array, targets: Array, half: float = 0.5) -> float:
    """Return ``2 tp / (2 tp + fp + fn)`` over all labels of 0 and 1; 0 where there is none.

    >>> f1(np.array([[0.2], [0.9], [0.7]]), np.array([0, 1, 0]))
    0.6666666666666666
    """
    _require_arrays("f1", predictions, targets)
    if (*targets.shape, 1) == predictions.shape or targets.shape == (*predictions.shape, 1):
        targets = targets.reshape(predictions.shape)  # of one output, a column or not
    _require_labels("f1", predictions, targets)
    read, true = predictions > half, targets == 1
    both, either = np.sum(read & true), np.sum(read) + np.sum(true)
    return float(2 * both / either) if either else 0.0


def top_k_of(k: int) -> Measure:
    """Make the share of the rows whose right class is among the k most probable.

    Equal predictions do not help, as in `top_k`.

    >>> top_k_of(2)(np.array([[0.2, 0.5, 0.3]] * 3), np.array([0, 1, 2]))
    0.6666666666666666
    """

    def measure(predictions: Array, targets: Array) -> float:
        classes = _classes(f"top_{k}", predictions, targets)
        if predictions.ndim != classes.ndim + 1 or not 1 <= k <= predictions.shape[-1]:
            raise ValueError(
                f"top_{k}: the model predicts shape {predictions.shape}, expected (..., classes) "
                f"with at least {k} classes"
            )
        own = np.take_along_axis(predictions, classes[..., None].astype(np.intp), axis=-1)
        reach = np.count_nonzero(predictions >= own, axis=-1)
        return float(np.mean(reach <= k))

    return measure


def mean_error(predictions: Array, targets: Array) -> float:
    """Return the mean absolute error, ``1/n sum |a - y|``.

    >>> mean_error(np.array([[1.0], [4.0]]), np.array([2.0, 2.0]))
    1.5
    """
    return float(np.mean(np.abs(_differences("mean_error", predictions, targets))))


def root_mean_square(predictions: Array, targets: Array) -> float:
    """Return the root of the mean square of the errors, ``sqrt(1/n sum (a - y)^2)``.

    >>> root_mean_square(np.array([1.0, 5.0]), np.array([2.0, -2.0]))
    5.0
    """
    return float(np.sqrt(np.mean(_differences("root_mean_square", predictions, targets) ** 2)))


def r2(predictions: Array, targets: Array) -> float:
    """Return the share of the variance that is explained, ``1 - sum (a - y)^2 / sum (y - mean)^2``.

    >>> r2(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 6.0]))
    0.3571428571428571
    """
    errors = _differences("r2", predictions, targets) ** 2
    spread = (targets - targets.mean(axis=0)) ** 2
    return float(1 - errors.sum() / spread.sum()) if spread.sum() else float("nan")


def perplexity(predictions: Array, targets: Array) -> float:
    """Return ``exp(-mean ln p)`` for the probabilities p of the right classes.

    Predictions are probabilities where none is negative and all rows sum to 1, or else logits.

    >>> round(perplexity(np.array([[0.25, 0.75], [0.5, 0.5]]), np.array([0, 1])), 12)
    2.828427124746
    >>> round(perplexity(np.zeros((3, 8)), np.array([0, 1, 2])), 12)
    8.0
    """
    classes = _classes("perplexity", predictions, targets)
    if predictions.ndim != classes.ndim + 1 or predictions.shape[-1] < 2:
        raise ValueError(
            f"perplexity: the model predicts shape {predictions.shape} for targets of shape "
            f"{targets.shape}, expected (..., classes)"
        )
    a = predictions.astype(np.float64)
    index = classes[..., None].astype(np.intp)
    with np.errstate(divide="ignore"):
        if (a >= 0).all() and np.allclose(a.sum(axis=-1), 1, atol=1e-5):
            logs = np.log(np.take_along_axis(a, index, axis=-1))
        else:
            a = a - a.max(axis=-1, keepdims=True)
            sums = np.log(np.exp(a).sum(axis=-1, keepdims=True))
            logs = np.take_along_axis(a, index, axis=-1) - sums
        return float(np.exp(-np.mean(logs)))


# The words of `metrics`; those of the first line are told where the boundary is.
_AT_A_BOUNDARY = {
    "accuracy": accuracy, "label_accuracy": label_accuracy, "exact_match": exact_match, "f1": f1,
}  # fmt: skip
MEASURES: dict[str, Any] = _AT_A_BOUNDARY | {
    "mean_error": mean_error, "root_mean_square": root_mean_square, "r2": r2,
    "perplexity": perplexity,
}  # fmt: skip


def measures(given: Any, half: float = 0.5) -> dict[str, Measure]:
    """Return the measures by their names: see `fit` for what may be given.

    >>> list(measures(["accuracy", "top_3", np.allclose]))
    ['accuracy', 'top_3', 'allclose']
    >>> measures(["acuracy"])
    Traceback (most recent call last):
    ValueError: fit: metrics: there is no 'acuracy'; did you mean 'accuracy'?
    """
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return {str(name): _measure(value, half) for name, value in given.items()}
    if isinstance(given, str) or callable(given):
        given = [given]
    if not isinstance(given, list | tuple):
        raise TypeError(
            f"fit: metrics is a list of names and functions, or a dict by names, not {given!r}"
        )
    found: dict[str, Measure] = {}
    for value in given:
        name = value if isinstance(value, str) else getattr(value, "__name__", type(value).__name__)
        if name in found:
            raise ValueError(f"fit: metrics has {name!r} twice; give a dict with names of your own")
        found[name] = _measure(value, half)
    return found


def _measure(value: Any, half: float) -> Measure:
    """Return the function that a name stands for, of one output where a pair names it."""
    if isinstance(value, tuple) and len(value) == 2:
        key, inner = value[0], _measure(value[1], half)
        return lambda predictions, targets: inner(
            _output(key, predictions, "predictions"), _output(key, targets, "targets")
        )
    if callable(value):
        return _checked(value)
    if not isinstance(value, str):
        raise TypeError(f"fit: metrics: {value!r} is neither a name nor a function")
    top = re.fullmatch(r"top_(\d+)", value)
    if top:
        return top_k_of(int(top[1]))
    if value in _AT_A_BOUNDARY:
        return lambda predictions, targets: _AT_A_BOUNDARY[value](predictions, targets, half)
    if value in MEASURES:
        return MEASURES[value]  # type: ignore[no-any-return]
    near = difflib.get_close_matches(value, MEASURES, 1)
    meant = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(MEASURES)}, top_3"
    raise ValueError(f"fit: metrics: there is no {value!r}; {meant}")


def _checked(function: Callable[[Any, Any], Any]) -> Measure:
    """Let a function of one's own return one number."""

    def measure(predictions: Any, targets: Any) -> float:
        value = np.asarray(values_of(function(predictions, targets)))
        if value.shape != () or value.dtype.kind not in "biuf":
            name = getattr(function, "__name__", function)
            raise TypeError(
                f"fit: the metric {name} returned {value.dtype} of shape {value.shape}, expected "
                "one number"
            )
        return float(value)

    return measure


def _output(key: Any, values: Any, what: str) -> Any:
    try:
        return values[key]
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"fit: metrics: the {what} have no {key!r}") from error


def _classes(name: str, predictions: Any, targets: Any) -> Array:
    """Return the right classes, of classes or of one-hot rows."""
    _require_arrays(name, predictions, targets)
    classes = targets
    if targets.shape == predictions.shape and predictions.ndim > 1 and predictions.shape[-1] > 1:
        if not (np.isin(targets, (0, 1)).all() and (targets.sum(axis=-1) == 1).all()):
            raise ValueError(
                f"fit: metrics: {name} is of one class a row, and the targets have several labels; "
                "take 'label_accuracy' or 'exact_match'"
            )
        classes = targets.argmax(axis=-1)
    elif targets.shape == predictions.shape and targets.ndim > 1:
        classes = targets[..., 0]
    if classes.shape not in (predictions.shape[:-1], predictions.shape):
        raise ValueError(
            f"fit: metrics: {name}: targets of shape {targets.shape} for predictions of shape "
            f"{predictions.shape}"
        )
    if classes.dtype.kind == "f" and not (classes == np.floor(classes)).all():
        raise ValueError(
            f"fit: metrics: {name} is of classes, and the targets are numbers of any size; take "
            "'mean_error', 'root_mean_square' or 'r2'"
        )
    return classes  # type: ignore[no-any-return]


def _require_labels(name: str, predictions: Any, targets: Any) -> None:
    _require_arrays(name, predictions, targets)
    if predictions.shape != targets.shape or not np.isin(targets, (0, 1)).all():
        raise ValueError(
            f"fit: metrics: {name} takes labels of 0 and 1 in the shape of the predictions, "
            f"{predictions.shape}, not {targets.dtype} of shape {targets.shape}; for "
            "one class a row take 'accuracy', or a function of your own"
        )


def _differences(name: str, predictions: Any, targets: Any) -> Any:
    """Subtract; a column stands for the numbers in it."""
    _require_arrays(name, predictions, targets)
    if predictions.shape == (*targets.shape, 1):
        predictions = predictions[..., 0]
    if predictions.shape != targets.shape:
        raise ValueError(
            f"fit: metrics: {name}: predictions of shape {predictions.shape} against targets of "
            f"shape {targets.shape}"
        )
    return predictions - targets


def _require_arrays(name: str, predictions: Any, targets: Any) -> None:
    if not isinstance(predictions, np.ndarray) or not isinstance(targets, np.ndarray):
        raise TypeError(
            f"fit: metrics: {name} is of one output; of several give a dict that says which, "
            f"as {{'mine': ('output', {name!r})}}"
        )
