"""Targets: brought to rows that predictions can be compared with, or refused."""

from __future__ import annotations

from typing import Any

import numpy as np

from autonn.checks import finite, place, plain
from autonn.engine import ops
from autonn.engine.apply import define
from autonn.engine.modes import is_tracing
from autonn.engine.op import Memory, elementwise
from autonn.engine.tensor import Array, Tensor, values_of


def target_values(targets: Any, name: str) -> Array:
    """Return the array behind targets, which may be anything but a Tensor of results."""
    if type(targets) is np.ndarray and targets.dtype.kind in "biuf":
        return targets  # as nearly always
    return values_of(targets) if isinstance(targets, Tensor) else plain(f"{name}: targets", targets)


def target_rows(
    targets: Any, a: Tensor, name: str, single: bool, sums: bool = False,
    ignored: int | None = None,
) -> Any:  # fmt: skip
    """Bring the targets to one row of probabilities for each row of predictions.

    `single` says that there is one output that takes the classes 0 and 1, `sums` that rows of
    probabilities have to sum to 1; a class that is `ignored` gets a row of zeros.
    """
    y = target_values(targets, name)
    _require_fitting(y, a.shape, name, ignored)
    if y.ndim < a.ndim:
        return _class_rows(targets, y, a, single, ignored)
    return probabilities_like(targets, y, a, name, sums)


def probabilities_like(targets: Any, y: Array, a: Tensor, name: str, sums: bool = False) -> Any:
    """Take targets, whose numbers are y, that are probabilities, in the dtype of predictions."""
    if isinstance(targets, Tensor):
        looked_at = as_probabilities(targets, name, "targets", sums)
        return looked_at if y.dtype == a.dtype else looked_at.astype(a.dtype)
    check_probabilities(y, name, "targets", sums)
    return y.astype(a.dtype, copy=False)


def values_like(targets: Any, a: Tensor, name: str) -> Any:
    """Take targets that are numbers of any size, in the shape and the dtype of predictions."""
    y = targets if isinstance(targets, Tensor) else target_values(targets, name)
    require_same_shape(y.shape, a.shape, name)
    return y if y.dtype == a.dtype else y.astype(a.dtype)


def check_values(targets: Any, shape: tuple[int, ...], name: str) -> None:
    """Refuse targets that are not of the shape of so many predictions."""
    y = target_values(targets, name)
    require_same_shape(y.shape, with_rows_of(y, shape), name)


def require_same_shape(targets: tuple[int, ...], predictions: tuple[int, ...], name: str) -> None:
    """Refuse targets that are not of the shape of the predictions."""
    if targets != predictions:
        cure = "reshape one"
        if predictions == (*targets, 1):
            cure = "write y[:, None], which makes a column of the targets"
        elif targets == (*predictions, 1):
            cure = "write y[:, 0], which takes the targets out of their column"
        raise ValueError(
            f"{name}: targets of shape {targets} against predictions of shape {predictions}; they "
            f"must be equal, {cure}"
        )


def check_targets(
    targets: Any, shape: tuple[int, ...], name: str, single: bool, sums: bool = False,
    ignored: int | None = None,
) -> None:  # fmt: skip
    """Refuse targets that predictions of this shape, of as many rows, could not be told."""
    y = target_values(targets, name)
    shape = with_rows_of(y, shape)
    _require_fitting(y, shape, name, ignored)
    if y.ndim < len(shape):
        _labels_of(y, shape[-1], single, ignored)
    else:
        check_probabilities(y, name, "targets", sums)


def with_rows_of(y: Array, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of predictions if they had as many rows as the targets.

    >>> with_rows_of(np.zeros(100), (10, 3))
    (100, 3)
    """
    return (len(y), *shape[1:]) if y.ndim else shape


def _require_fitting(
    y: Array, shape: tuple[int, ...], name: str, ignored: int | None = None
) -> None:
    """Refuse targets whose shape is neither (m, ...) nor that of the predictions, (m, ..., k)."""
    if len(shape) < 2:
        raise ValueError(f"{name}: predictions of shape {shape}; they are (examples, ..., classes)")
    if y.shape == shape[:-1]:
        return
    if y.ndim == 1 and len(shape) == 2:
        raise ValueError(f"{name}: {shape[0]} predictions against {len(y)} targets")
    if y.shape != shape:
        ravel = ", as y.ravel() may" if len(shape) == 2 else ""
        raise ValueError(
            f"{name}: targets of shape {y.shape} against predictions of shape {shape}; give "
            f"classes of shape {shape[:-1]}{ravel}, or one-hot rows of shape {shape}"
        )
    if ignored is not None:
        raise TypeError(
            f"{name}: ignore_index={ignored} is among classes, and targets of shape {y.shape} are "
            "probabilities; give classes, or rows of weight 0"
        )


def _labels_of(y: Array, outputs: int, single: bool, ignored: int | None = None) -> Array:
    """Return the classes that so many outputs take; a `single` one takes 0 and 1, as two do."""
    labels = y.astype(np.int64) if y.dtype.kind == "b" and outputs <= 2 else y
    try:
        return ops.class_labels(labels, 2 if single else outputs, ignored)
    except IndexError as error:
        if outputs > 1:
            raise
        outside = (labels < 0) | (labels > single)
        if ignored is not None:
            outside &= labels != ignored
        index = np.unravel_index(int(outside.argmax()), labels.shape)
        takes = "the classes 0 and 1" if single else "class 0 alone, as its softmax is always 1"
        raise IndexError(
            f"class {labels[index]} of 1 {place(index)}: a single output takes {takes}; for k "
            "classes give the model k outputs, for two of them perhaps one and a Sigmoid"
        ) from error


def _class_rows(targets: Any, y: Array, a: Tensor, single: bool, ignored: int | None = None) -> Any:
    """Turn classes into the rows that the predictions are to be near."""
    outputs = a.shape[-1]
    labels = targets if is_tracing() else y
    if outputs == 1 and not is_tracing():
        labels = _labels_of(y, outputs, single, ignored)
    elif y.dtype.kind == "b" and outputs <= 2:
        labels = labels.astype(np.int64)
    if single:
        return ops.one_hot_rows(labels, classes=2, dtype=a.dtype)[..., 1:]
    if ignored is None:
        return ops.one_hot_rows(labels, classes=outputs, dtype=a.dtype)
    return ops.one_hot_rows(labels, classes=outputs, dtype=a.dtype, ignored=ignored)


def weight_column(weights: Any, a: Tensor, name: str) -> Any:
    """Bring one weight a row to the shape of the predictions."""
    w = weights
    if not isinstance(w, Tensor):
        w = plain(f"{name}: weights", w)
    if w.dtype != a.dtype:
        w = w.astype(a.dtype)
    if w.shape != a.shape[:1]:
        raise ValueError(
            f"{name}: weights of shape {w.shape} for predictions of shape {a.shape}; give one a "
            f"row, shape {a.shape[:1]}"
        )
    return w.reshape(-1, *[1] * (a.ndim - 1))


def class_weights(name: str, given: Any) -> Array:
    """Return how much each class counts, (k,) numbers from 0.

    >>> class_weights("loss: class_weight", [1, 2])
    array([1., 2.])
    """
    weights = np.array(plain(name, given), np.float64)
    if weights.ndim != 1 or not weights.size:
        raise ValueError(f"{name} has shape {weights.shape}; give one number for each class, (k,)")
    finite(name, weights)
    if weights.min() < 0:
        raise ValueError(f"{name} is at least 0, not {weights.min()} as of {weights.argmin()}")
    return weights


def check_probabilities(p: Array, name: str, what: str, sums: bool = False) -> None:
    """Refuse numbers that are not from 0 to 1, or rows that do not sum to 1: with the first."""
    good = (p >= 0) & (p <= 1)
    if np.count_nonzero(good) < good.size:  # a microsecond less than good.all()
        at = np.unravel_index(int(good.argmin()), p.shape)
        cure = "; of logits use SoftmaxCrossEntropy, or end the model in a Sigmoid"
        if sums:
            cure = "; end the model in a Softmax"
        raise ValueError(
            f"{name}: {what} are from 0 to 1, not {p[at]} as at {tuple(map(int, at))}"
            + (cure if what == "probabilities" else "")
        )
    if sums:
        total = p.sum(axis=-1)
        wrong = np.abs(total - 1) > 1e-5  # rows of float32 probabilities sum to 1 within 1e-6
        if wrong.any():
            row = np.unravel_index(int(wrong.argmax()), wrong.shape)
            raise ValueError(f"{name}: the {what} {place(row)} sum to {total[row]:g}, not to 1")


def _checked(p: Array, name: str, what: str, sums: bool) -> Array:
    check_probabilities(p, name, what, sums)
    return p


# As an op, so that a compiled cost looks at the numbers of each call.
_CHECKED = define(
    "probabilities",
    _checked,
    "z = p, which is looked at",
    lambda g, z, p, name, what, sums: g,
    numpy=(),
    listed=False,
    rows=elementwise,
    memory=Memory.VIEW,
    undivided=True,  # an error names the row among all
    raises=True,
)


def as_probabilities(p: Tensor, name: str, what: str, sums: bool = False) -> Any:
    """Check the numbers of a Tensor, in a compiled program at each call."""
    if is_tracing():
        return _CHECKED(p, name=name, what=what, sums=sums)
    check_probabilities(values_of(p), name, what, sums)
    return p
