"""Examples: what is shown to the model, checked once, and cut into batches of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self, cast

import numpy as np
from numpy.typing import ArrayLike

from autonn.engine.tensor import Array


@dataclass
class Examples:
    """Examples and their targets; also as classes, where the targets are that; and weights."""

    X: Array
    y: Array
    classes: Array | None
    weights: Array | None = None

    @classmethod
    def checked(cls, X: ArrayLike, y: ArrayLike, name: str) -> Self:
        X, y = np.asarray(X), np.asarray(y)
        if len(X) != len(y):
            raise ValueError(f"{name}: {len(X)} examples against {len(y)} targets")
        if len(X) == 0:
            raise ValueError(f"{name}: there are no examples")
        _require_finite(X, f"{name}: X")
        if y.dtype.kind == "f":
            _require_finite(y, f"{name}: y")
        return cls(X, y, _as_classes(y))

    def weighted(self, by_class: ArrayLike | None, by_sample: ArrayLike | None) -> Self:
        """Take in how much each example counts: the product of both weights."""
        for name, given, count in (
            ("class_weights", by_class, None),
            ("sample_weights", by_sample, len(self)),
        ):
            if given is None:
                continue
            weights = _checked_weights(f"fit: {name}", given, count)
            if count is None:
                if self.classes is None:
                    raise ValueError("fit: class_weights need targets that are classes")
                if self.classes.max() >= len(weights) or self.classes.min() < 0:
                    raise ValueError(
                        f"fit: {len(weights)} class_weights, but the classes run from "
                        f"{self.classes.min()} to {self.classes.max()}; give one for each"
                    )
                weights = weights[self.classes]
            if self.X.dtype == np.float32:
                weights = weights.astype(np.float32)
            self.weights = weights if self.weights is None else self.weights * weights
        return self

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, rows: Any) -> Batch:
        y = _taken(self.y, rows)
        classes = y if self.classes is self.y else _of(self.classes, rows)
        return _taken(self.X, rows), y, classes, _of(self.weights, rows)


# Rows of examples: X, y, the classes and the weights of the rows, where there are any.
Batch = tuple[Array, Array, Array | None, Array | None]


def _of(values: Array | None, rows: Any) -> Array | None:
    return None if values is None else _taken(values, rows)


def _taken(values: Array, rows: Any) -> Array:
    if isinstance(rows, np.ndarray) and values.flags.c_contiguous:
        return values.take(rows, axis=0)  # for 32 rows of 400 in 7 microseconds, by index in 12
    return cast(Array, values[rows])


def _require_finite(values: Array, name: str) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        row, *rest = (int(k) for k in np.unravel_index(int(finite.argmin()), values.shape))
        column = f", column {', '.join(map(str, rest))}" if rest else ""
        raise ValueError(f"{name} has {values[row, *rest]} in row {row}{column}")


def _checked_weights(name: str, given: ArrayLike, count: int | None) -> Array:
    weights = np.asarray(given, np.float64)
    if weights.ndim != 1 or (count is not None and len(weights) != count):
        wanted = "k" if count is None else count
        raise ValueError(f"{name} has shape {weights.shape}, expected ({wanted},)")
    _require_finite(weights, name)
    if weights.min(initial=0) < 0:
        raise ValueError(f"{name} are at least 0, not {weights.min()} as in row {weights.argmin()}")
    return weights


def _as_classes(y: Array) -> Array | None:
    """Return the classes if the targets are whole numbers in one row, or one-hot rows."""
    if y.ndim == 1 and y.dtype.kind in "iu":
        return y
    if y.ndim == 2 and np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all():
        return cast(Array, y.argmax(axis=1))
    return None
