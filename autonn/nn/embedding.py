"""Embeddings: for each of many things, as words, a row of numbers that is learned."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from autonn.checks import place, plain, whole
from autonn.engine.apply import define
from autonn.engine.op import Memory, elementwise
from autonn.engine.tensor import Array, Tensor
from autonn.nn.init import Initialiser, initial, normal
from autonn.nn.module import Module, as_tensor


class Embedding(Module):
    """Looks up a learned row for each number, ``z[...] = weight[x[...]]``.

    The gradient of a row is the sum over all places where it was looked up. ``weight.grad`` is an
    array as large as the weight, 0 where nothing was; `fit` and `train_step` compute only the rows
    that were looked up where the optimiser changes no others, as SGD without momentum, and Adam
    with ``lazy=True``.

    Parameters
    ----------
    count, size
        How many rows there are, and how many numbers each has.
    padding_idx
        The number that fills up short examples, if there is one: its row starts as 0 and has no
        gradient, so that it stays what it is, but for what weight decay and L2 do to it.
    weight
        An initialiser, or a given array of shape (count, size), of which a row of padding is kept.
    rng
        A `numpy.random.Generator`, or a seed for one.
    dtype
        float64 or float32.

    Raises
    ------
    ValueError, TypeError
        For sizes that are not whole or not positive; for a padding outside 0..count-1; when
        called, for x that is not of whole numbers.
    IndexError
        When called, for a number outside 0..count-1, with its place: -1 does not wrap.

    Examples
    --------
    >>> embedding = Embedding(3, 2, weight=[[0.0, 0.5], [1.0, 1.5], [2.0, 2.5]])
    >>> embedding([2, 0])
    Tensor([[2. , 2.5],
            [0. , 0.5]], requires_grad=True)
    >>> Embedding(100, 8, rng=0)(np.zeros((5, 4), int)).shape
    (5, 4, 8)
    """

    def __init__(
        self,
        count: int,
        size: int,
        padding_idx: int | None = None,
        *,
        weight: Initialiser | ArrayLike = normal,
        rng: np.random.Generator | int | None = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        called = f"Embedding({count!r}, {size!r})"
        self.count = whole(f"{called}: count", count)
        self.size = whole(f"{called}: size", size)
        self.padding_idx = None
        start = initial(weight, (self.count, self.size), np.random.default_rng(rng))
        if padding_idx is not None:
            most = self.count - 1
            self.padding_idx = whole(f"{called}: padding_idx", padding_idx, least=0, most=most)
            if callable(weight):
                start = start.copy()
                start[self.padding_idx] = 0
        self.weight = Tensor(start, requires_grad=True, dtype=dtype)

    def forward(self, x: Any) -> Tensor:
        """Look the rows up."""
        indices = self._checked(x)
        rows: Any = self.weight[indices]
        if self.padding_idx is not None:
            is_padding = np.expand_dims(np.equal(indices, self.padding_idx), -1)
            rows = np.where(is_padding, rows.detach(), rows)
        return as_tensor(rows)

    def _checked(self, x: Any) -> Any:
        """Refuse what are no numbers of rows."""
        rows: Any = x if isinstance(x, Tensor) else plain(f"{self!r}: x", x)
        if rows.dtype.kind not in "iu":
            raise TypeError(
                f"{self!r} was fed {rows.dtype}; it takes whole numbers, those of its rows, as "
                "x.astype(int) makes them"
            )
        return _CHECKED(rows, count=self.count, name=repr(self))

    def __repr__(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"Embedding({self.count}, {self.size}{padding})"


def _within(x: Array, count: int, name: str) -> Array:
    """Refuse numbers outside 0..count-1, by the first."""
    outside = (x < 0) | (x >= count)
    if np.count_nonzero(outside):
        index = np.unravel_index(int(outside.argmax()), x.shape)
        where = f" {place(index)}" if index else ""
        raise IndexError(
            f"{name} was fed {x[index]}{where}; its rows are numbered from 0 to {count - 1}, "
            "and never wrap"
        )
    return x


# As an op, so that a compiled step looks at the numbers of each call.
_CHECKED = define(
    "rows_within",
    _within,
    "z = x, which is looked at",
    None,
    numpy=(),
    listed=False,
    rows=elementwise,
    memory=Memory.VIEW,
    undivided=True,  # an error names the row among all
)
