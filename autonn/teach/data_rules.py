"""Rules of the inputs: their scale, columns that say nothing, rows that are tested with.

A picture's blank corner is constant and two blank pixels are equal, in healthy data too: so a
constant or equal column counts only where such numbers are rare.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from autonn.engine import ops
from autonn.engine.lineage import operands_of
from autonn.engine.tensor import Array, values_of
from autonn.teach.trial import Trial, arrays_in
from autonn.training import Finding
from autonn.training.certain import laid_out

# Glorot's and He's widths are made for inputs of mean square 1. With 30 times that, the units of a
# sigmoid layer are nearly all saturated: pixels from 0 to 255 have 80 to 150.
LARGE, SMALL = 30.0, 1e-3

# From so many columns on, as 8 x 8 pixels have them, a constant one may be the corner of pictures.
PICTURE = 64


def unscaled_inputs(trial: Trial) -> Iterator[Finding]:
    """Find inputs that go into a layer as large, or as small, as they were measured."""
    for name, X in arrays_in(trial.examples.X).items():
        if X.dtype.kind in "iuf" and X.ndim > 1 and _goes_into_a_product(trial, name):
            yield from _unscaled(name, X)


def _unscaled(name: str, X: Array) -> Iterator[Finding]:
    """Find one array of inputs that is large or small."""
    columns = X.reshape(len(X), -1).astype(np.float64) if X.ndim == 2 else X.reshape(-1, 1)
    sizes = np.sqrt(np.mean(np.square(columns, dtype=np.float64), axis=0))
    worst = int(sizes.argmax())
    if SMALL < sizes[worst] < LARGE or sizes[worst] == 0:
        return
    where = f"{name}[:, {worst}]" if X.ndim == 2 else name
    column = columns[:, worst]
    others = f"; half of all columns have at most {np.median(sizes):.3g}" if len(sizes) > 1 else ""
    yield Finding(
        "unscaled-inputs",
        where,
        f"its mean is {column.mean():.4g}, its standard deviation {column.std():.4g}, its root "
        f"mean square {sizes[worst]:.4g}{others}; initial weights are made for inputs about 1",
        "subtract the mean of the training rows and divide by their standard deviation, column by "
        "column; divide pixels by 255",
    )


def _goes_into_a_product(trial: Trial, name: str) -> bool:
    """Whether an array of inputs itself is multiplied by weights, with no normalisation before."""
    products = [t for f in (ops.affine, ops.matmul, ops.conv) for t in trial.training.results(f.op)]
    X = arrays_in(trial.X)[name]
    return any(_looks_at(operand, X) for t in products for operand in operands_of(t)[:2])


def _looks_at(operand: Any, X: Array) -> bool:
    """Whether something is X, in another layout or copied into a Tensor."""
    values = values_of(laid_out(operand))
    if not isinstance(values, np.ndarray) or values.size != X.size:
        return False
    return np.may_share_memory(values, X) or np.array_equal(values.ravel(), X.ravel())


def constant_columns(trial: Trial) -> Iterator[Finding]:
    """Find columns of X that are the same number in every row, which is rare in the others."""
    for name, X in arrays_in(trial.examples.X).items():
        if X.ndim == 2 and X.dtype.kind in "biuf" and len(X) >= 10 and X.shape[1] < PICTURE:
            yield from _constant(name, X)


def _constant(name: str, X: Array) -> Iterator[Finding]:
    """Find the constant columns of one array."""
    constant = np.flatnonzero((X[0] == X).all(axis=0))
    if not 0 < len(constant) < X.shape[1]:
        return
    others = np.delete(X, constant, axis=1)
    found = [int(k) for k in constant if np.mean(others == X[0, k]) < 0.01]
    if found:
        yield Finding(
            "constant-column",
            _columns(found, name),
            f"{_columns(found, name)} is {X[0, found[0]]:g} in all {len(X):,} rows, and tells the "
            "model nothing" + ("" if len(found) == 1 else f"; so are {len(found)} columns"),
            "leave it out; a column of ones is needless too, for each unit has a bias",
        )


def duplicated_columns(trial: Trial) -> Iterator[Finding]:
    """Find columns of X that are copies of each other, in numbers that do not agree by chance."""
    for name, X in arrays_in(trial.examples.X).items():
        if X.ndim == 2 and X.dtype.kind in "iuf" and len(X) >= 20:
            yield from _duplicated(name, X)


def _duplicated(name: str, X: Array) -> Iterator[Finding]:
    """Find the columns of one array that are copies."""
    seen: dict[bytes, int] = {}
    pairs = []
    for k, column in enumerate(np.ascontiguousarray(X.T)):
        first = seen.setdefault(column.tobytes(), k)
        if first != k and len(np.unique(column)) >= 10:
            pairs.append((first, k))
    if pairs:
        first, second = pairs[0]
        yield Finding(
            "duplicated-column",
            _columns([k for _, k in pairs], name),
            f"{name}[:, {second}] is {name}[:, {first}] in all {len(X):,} rows"
            + ("" if len(pairs) == 1 else f"; there are {len(pairs)} such columns"),
            "leave the copies out: what they weigh together is learned twice as fast, and which "
            "of them weighs how much means nothing",
        )


def rows_in_both(trial: Trial) -> Iterator[Finding]:
    """Find rows of the validation that stand, with their targets, in the training set too.

    One or two may agree by chance: of the 150 irises, two do.
    """
    if trial.held_out is None or _forms(trial.held_out.X) != _forms(trial.examples.X):
        return
    own, apart = (_rows(part.X, part.y) for part in (trial.examples, trial.held_out))
    there = set(own)
    shared = [k for k, row in enumerate(apart) if row in there]
    again = 1 - len(there) / len(own)  # how often a row comes twice where nobody copied any
    if len(shared) <= 2 * again * len(apart) or len(shared) < min(3, 0.1 * len(apart)):
        return
    yield Finding(
        "rows-in-both",
        "validation",
        f"{len(shared):,} of {len(apart):,} rows stand in the training set too, with the same "
        f"targets, as row {shared[0]}; of the training rows {again:.1%} stand there twice",
        "split before anything is copied, moved or drawn again, as data.split does, and measure "
        "with what was never shown",
    )


def _forms(X: Any) -> dict[str, tuple[int, ...]]:
    return {name: values.shape[1:] for name, values in arrays_in(X).items()}


def _rows(X: Any, y: Any) -> list[bytes]:
    """Write each row as bytes, its target too; -0 is 0."""
    parts = [values for _, values in sorted((arrays_in(X) | arrays_in(y, "y")).items())]
    flat = [np.asarray(part.reshape(len(part), -1), dtype=np.float64) + 0.0 for part in parts]
    return [row.tobytes() for row in np.concatenate(flat, axis=1)]


def _columns(found: list[int], name: str = "X") -> str:
    """Name columns, of many the first.

    >>> _columns([3]), _columns([1, 2, 5, 7])
    ('X[:, 3]', 'X[:, 1], X[:, 2], X[:, 5] and more')
    """
    names = ", ".join(f"{name}[:, {k}]" for k in found[:3])
    return names + (" and more" if len(found) > 3 else "")


RULES = (unscaled_inputs, constant_columns, duplicated_columns, rows_in_both)
