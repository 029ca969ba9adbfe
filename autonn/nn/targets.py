"""Targets: brought to rows that predictions can be compared with, or refused."""

from __future__ import annotations

from typing import Any

import numpy as np

from autonn.checks import plain
from autonn.engine import ops
from autonn.engine.modes import is_tracing
from autonn.engine.tensor import Array, Tensor, values_of


def target_values(targets: Any, name: str) -> Array:
    """Return the array behind targets, which may be anything but a Tensor of results."""
    if type(targets) is np.ndarray and targets.dtype.kind in "biuf":
        return targets  # as nearly always
    return values_of(targets) if isinstance(targets, Tensor) else plain(f"{name}: targets", targets)


def target_rows(targets: Any, a: Tensor, name: str, single: bool) -> Any:
    """Bring the targets to one row of probabilities for each row of predictions.

    `single` says that there is one output that takes the classes 0 and 1.
    """
    y = target_values(targets, name)
    _require_fitting(y, a.shape, name)
    if y.ndim == 1:
        return _class_rows(targets, y, a, single)
    check_probabilities(y, name, "targets")  # compiled: once, while tracing
    return targets if isinstance(targets, Tensor) else y.astype(a.dtype, copy=False)


def check_targets(targets: Any, shape: tuple[int, ...], name: str, single: bool) -> Array:
    """Refuse targets that predictions of this shape, of as many rows, could not be told."""
    y = target_values(targets, name)
    shape = with_rows_of(y, shape)
    _require_fitting(y, shape, name)
    if y.ndim == 1:
        _labels_of(y, shape[1], single)
    else:
        check_probabilities(y, name, "targets")
    return y


def with_rows_of(y: Array, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of predictions if they had as many rows as the targets.

    >>> with_rows_of(np.zeros(100), (10, 3))
    (100, 3)
    """
    return (len(y), *shape[1:]) if y.ndim else shape


def _require_fitting(y: Array, shape: tuple[int, ...], name: str) -> None:
    """Refuse targets whose shape is neither (m,) nor that of the predictions, (m, k)."""
    if len(shape) != 2:
        raise ValueError(f"{name}: predictions of shape {shape}; they are (examples, classes)")
    if y.ndim == 1:
        if len(y) != shape[0]:
            raise ValueError(f"{name}: {shape[0]} predictions against {len(y)} targets")
    elif y.shape != shape:
        raise ValueError(
            f"{name}: targets of shape {y.shape} against predictions of shape {shape}; give "
            f"classes of shape ({shape[0]},), as y.ravel() may, or one-hot rows of shape {shape}"
        )


def _labels_of(y: Array, outputs: int, single: bool) -> Array:
    """Return the classes that so many outputs take; a `single` one takes 0 and 1, as two do."""
    labels = y.astype(np.int64) if y.dtype.kind == "b" and outputs <= 2 else y
    try:
        return ops.class_labels(labels, 2 if single else outputs)
    except IndexError as error:
        if outputs > 1:
            raise
        row = int(np.argmax((labels < 0) | (labels > single)))
        takes = "the classes 0 and 1" if single else "class 0 alone, as its softmax is always 1"
        raise IndexError(
            f"class {labels[row]} of 1 in row {row}: a single output takes {takes}; for k classes "
            "give the model k outputs, for two of them perhaps one and a Sigmoid"
        ) from error


def _class_rows(targets: Any, y: Array, a: Tensor, single: bool) -> Any:
    """Turn classes into the rows that the predictions are to be near."""
    outputs = a.shape[1]
    labels = targets if is_tracing() else y
    if outputs == 1 and not is_tracing():
        labels = _labels_of(y, outputs, single)
    elif y.dtype.kind == "b" and outputs <= 2:
        labels = labels.astype(np.int64)
    if single:
        return ops.one_hot_rows(labels, classes=2, dtype=a.dtype)[:, 1:]
    return ops.one_hot_rows(labels, classes=outputs, dtype=a.dtype)


def weight_column(weights: Any, a: Tensor, name: str) -> Any:
    """Bring one weight a row to the shape of the predictions."""
    w = weights
    if not isinstance(w, Tensor):
        w = plain(f"{name}: weights", w).astype(a.dtype, copy=False)
    if w.shape != a.shape[:1]:
        raise ValueError(
            f"{name}: weights of shape {w.shape} for predictions of shape {a.shape}; give one a "
            f"row, shape {a.shape[:1]}"
        )
    return w.reshape(-1, *[1] * (a.ndim - 1))


# Without a sign the bits of floating-point numbers are in the order of the numbers, and those of
# negative numbers and of NaN are beyond all others: so one comparison with the bits of 1 will do.
_BITS = {
    np.dtype(dtype): (np.dtype(bits), np.array(1, dtype).view(bits))
    for dtype, bits in ((np.float32, np.uint32), (np.float64, np.uint64))
}


def check_probabilities(p: Array, name: str, what: str) -> None:
    """Refuse numbers that are not from 0 to 1, with the place of the first."""
    bits = _BITS.get(p.dtype)
    if bits and np.count_nonzero(p.view(bits[0]) > bits[1]) == 0:  # a third of the time
        return
    good = (p >= 0) & (p <= 1)
    if np.count_nonzero(good) < good.size:  # a microsecond less than good.all()
        at = np.unravel_index(int(good.argmin()), p.shape)
        cure = "; of logits use SoftmaxCrossEntropy, or end the model in a Sigmoid"
        raise ValueError(
            f"{name}: {what} are from 0 to 1, not {p[at]} as at {tuple(map(int, at))}"
            + (cure if what == "probabilities" else "")
        )


def check_sums(y: Array, name: str) -> None:
    """Refuse rows of targets that do not sum to 1, with the first of them."""
    sums = y.sum(axis=1)
    wrong = np.abs(sums - 1) > 1e-5  # rows of float32 probabilities sum to 1 within 1e-6
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(f"{name}: the targets in row {row} sum to {sums[row]:g}, not to 1")
