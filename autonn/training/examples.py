"""Examples: what is shown to the model, checked once, and cut into batches of rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self, cast

import numpy as np
from numpy.typing import ArrayLike

from autonn import checks
from autonn.engine.tensor import Array
from autonn.engine.trees import tree_leaves
from autonn.training.digests import digest_of_data
from autonn.training.structures import mapped, rows_of

# How much each class counts: an array (k,), weights by class, or "balanced".
ClassWeight = ArrayLike | Mapping[int, float] | str


@dataclass
class Examples:
    """Examples and their targets; also as classes, where the targets are that; and weights.

    X and y are arrays, or tuples and dicts of arrays with one row for each example; y may be None,
    where the loss needs no targets.
    """

    X: Any
    y: Any
    classes: Array | None
    weights: Array | None = None

    @classmethod
    def checked(cls, X: Any, y: Any, name: str) -> Self:
        """Take what is full, finite and of one length; refuse the rest by its row and column."""
        X = mapped(_rows, X, f"{name}: X")
        y = None if y is None else mapped(_rows, y, f"{name}: y")
        require_arrays(f"{name}: X", X)
        rows = rows_of(X)
        mapped(lambda part, values: require_length(name, part, values, rows), X, "X")
        if y is not None:
            require_arrays(f"{name}: y", y)
            mapped(lambda part, values: require_length(name, part, values, rows), y, "y")
        if rows == 0:
            raise ValueError(f"{name}: there are no examples")
        return cls(X, y, as_classes(y))

    def weighted(self, by_class: ClassWeight | None, by_sample: ArrayLike | None) -> Self:
        """Take in how much each example counts: the product of both weights."""
        given = []
        if by_class is not None:
            given.append(_by_class(by_class, self.classes))
        if by_sample is not None:
            given.append(_checked_weights("fit: sample_weight", by_sample, len(self)))
        for weights in given:
            if self.is_narrow:
                weights = weights.astype(np.float32)
            self.weights = weights if self.weights is None else self.weights * weights
        return self

    @property
    def is_narrow(self) -> bool:
        """Whether the inputs are float32."""
        kinds = {leaf.dtype for leaf in tree_leaves(self.X) if leaf.dtype.kind == "f"}
        return kinds == {np.dtype(np.float32)}

    def part(self, rows: Any) -> Examples:
        """Return some of the rows."""
        return Examples(*self[rows])

    def take_targets(self, y: Array) -> None:
        """Take the targets in another shape."""
        self.y, self.classes = y, as_classes(y)

    def targets(self) -> Iterator[Any]:
        """Yield the targets in one piece; they are more where they can't be held at once."""
        yield self.y

    def digests(self, by_slices: bool = False) -> dict[str, Any]:
        """Return short names of X, y and the weights, by which a run knows its data again.

        `by_slices` gives those that are known where others hold the slices.
        """
        each = {"X": self.X, "y": self.y, "weights": self.weights}
        return {name: digest_of_data(part, by_slices) for name, part in each.items()}

    def __len__(self) -> int:
        return len(self.X) if isinstance(self.X, np.ndarray) else rows_of(self.X)

    def __getitem__(self, rows: Any) -> Batch:
        y = _of(self.y, rows)
        classes = y if self.classes is self.y else _of(self.classes, rows)
        return _of(self.X, rows), y, classes, _of(self.weights, rows)


# Rows of examples: X, y, the classes and the weights of the rows, where there are any.
Batch = tuple[Any, Any, Array | None, Array | None]


def held_out_examples(validation: Any, caller: str = "fit") -> Examples:
    """Take the pair of held-out examples and targets, and refuse what is no pair."""
    if not isinstance(validation, tuple | list) or len(validation) != 2:
        many = isinstance(validation, tuple | list)
        what = f"{len(validation)} things" if many else f"a {type(validation).__name__}"
        raise TypeError(
            f"{caller}: validation is a pair of examples and targets, (X, y), or a share from 0 "
            f"to 1 of the examples, or batches as X may be, not {what}"
        )
    X, y = validation
    return Examples.checked(X, y, f"{caller}: validation")


def _of(values: Any, rows: Any) -> Any:
    """Take rows of an array, or of all the arrays of a structure; nothing of None."""
    if isinstance(values, np.ndarray):
        return _taken(values, rows)
    return None if values is None else mapped(lambda _, part: _of(part, rows), values)


def _taken(values: Array, rows: Any) -> Array:
    if isinstance(rows, np.ndarray) and values.flags.c_contiguous:
        return values.take(rows, axis=0)  # for 32 rows of 400 in 7 microseconds, by index in 12
    return cast(Array, values[rows])


def require_arrays(name: str, values: Any) -> None:
    """Refuse a structure without arrays."""
    if not tree_leaves(values):
        raise ValueError(f"{name} is an empty structure; give an array, or some in a tuple or dict")


def require_length(name: str, part: str, values: Array, rows: int) -> None:
    """Refuse a part of X or y that has not so many rows."""
    if len(values) == rows:
        return
    if part.startswith("y"):
        told = "" if part == "y" else f" in {part}"
        raise ValueError(f"{name}: {rows} examples against {len(values)} targets{told}")
    raise ValueError(f"{name}: {part} has {len(values)} rows, but the first input has {rows}")


def _rows(name: str, given: Any) -> Array:
    """Return finite numbers, one row an example."""
    try:
        values = checks.plain(name, given)
    except ValueError as error:
        if _are_sequences(given):
            raise ValueError(
                f"{name} is a ragged list; its rows need one length, or, if they are sequences, "
                "let sequence_batches(X, y) of autonn.training make batches, which fit takes as X"
            ) from error
        raise
    if values.ndim == 0:
        raise ValueError(f"{name} is the single number {values}; give one row for each example")
    if values.dtype.kind in "fc":
        checks.finite(name, values)
    return values


def _are_sequences(given: Any) -> bool:
    """Whether it is a list of arrays, each of them numbers, that are not equally long."""
    if not isinstance(given, list) or not all(isinstance(x, np.ndarray | list) for x in given):
        return False
    try:
        return len({np.shape(x)[:1] for x in given}) > 1
    except ValueError:  # each is ragged by itself
        return False


def as_classes(y: Any) -> Array | None:
    """Return the classes if the targets are whole numbers in one row, or one-hot rows.

    Booleans are the classes 0 and 1, and so is one column of zeros and ones.
    """
    if not isinstance(y, np.ndarray):
        return None  # which of several the accuracy would be of, metrics may say
    if y.ndim == 1 and y.dtype.kind in "biu":
        return y.astype(np.int64) if y.dtype.kind == "b" else y
    if y.ndim == 2 and y.shape[1] > 0 and np.isin(y, (0, 1)).all():
        if y.shape[1] == 1:
            return y[:, 0].astype(np.int64)
        if (y.sum(axis=1) == 1).all():
            return cast(Array, y.argmax(axis=1))
    return None


# ---- how much they count


def _checked_weights(name: str, given: ArrayLike, count: int | None) -> Array:
    """Return so many weights, finite and at least 0, as float64; None is for any number."""
    weights = checks.plain(name, given).astype(np.float64)
    if weights.ndim != 1 or (count is not None and len(weights) != count):
        wanted = "k" if count is None else count
        raise ValueError(f"{name} has shape {weights.shape}, expected ({wanted},)")
    checks.finite(name, weights)
    if weights.min(initial=0) < 0:
        raise ValueError(f"{name} is at least 0, not {weights.min()} as in row {weights.argmin()}")
    return weights


def _by_class(given: ClassWeight, classes: Array | None) -> Array:
    """Return the weight of each example, which is that of its class."""
    if classes is None:
        raise ValueError(
            "fit: class_weight needs targets that are classes, one a row; where there are several "
            "labels or outputs, give each row its weight by sample_weight="
        )
    if isinstance(given, str):
        checks.one_of("fit: class_weight, as a word,", given, ["balanced"])
        return _balanced(classes)
    if isinstance(given, Mapping):
        return _by_name(given, classes)
    weights = _checked_weights("fit: class_weight", given, None)
    if classes.max() >= len(weights) or classes.min() < 0:
        raise ValueError(
            f"fit: class_weight has {len(weights)} numbers, but the classes run from "
            f"{classes.min()} to {classes.max()}; give one for each"
        )
    return weights[classes]


def _balanced(classes: Array) -> Array:
    """Let each class count as much as any other: ``m / (k m_c)`` for one of its m_c examples."""
    _, places, counts = np.unique(classes, return_inverse=True, return_counts=True)
    return (len(classes) / (len(counts) * counts))[places]


def _by_name(given: Mapping[int, float], classes: Array) -> Array:
    """Let classes count as a dict says, and those that it leaves out 1."""
    there = set(np.unique(classes).tolist())
    unknown = [key for key in given if key not in there]
    if unknown:
        raise ValueError(
            f"fit: class_weight speaks of {', '.join(map(repr, unknown))}, but the classes of the "
            f"examples are {', '.join(map(str, sorted(there)))}"
        )
    weights = np.ones(len(classes))
    for key, weight in given.items():
        weights[classes == key] = checks.number(f"fit: class_weight[{key!r}]", weight, least=0)
    return weights
