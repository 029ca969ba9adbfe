"""Reading places, and its adjoint: what was read twice gets the sum of both gradients."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from autonn.engine.apply import define, implements
from autonn.engine.lineage import attribute_of, op_of, operands_of
from autonn.engine.op import SUM, Function, Memory, mixes_rows
from autonn.engine.ops.rowwise import counted_axis
from autonn.engine.ops.safe import is_known
from autonn.engine.refusals import no_output
from autonn.engine.tensor import Array, Operand, Tensor, refuse_tracing


def is_basic(key: Any) -> bool:
    """Whether NumPy gives a view for a key: whole numbers, slices, None and dots."""
    keys = key if isinstance(key, tuple) else (key,)
    plain = (int, slice, np.integer, type(None), type(Ellipsis))
    return all(isinstance(k, plain) for k in keys)


def _memory_of_key(call: Any) -> Memory:
    """Say what NumPy gives for a key: a view for a basic one, and for the names of fields."""
    key = call.attribute("key")
    if is_basic(key):
        return Memory.VIEW
    named = isinstance(key, str) or (isinstance(key, list) and all(isinstance(k, str) for k in key))
    return Memory.MAY_ALIAS if named else Memory.NEW


def _sides(key: Any, ndim: int) -> Iterator[tuple[int | None, int | None, Any]]:
    """Yield, for each part of a basic key, the axis of x, that of x[key], and the part.

    >>> list(_sides((0, ..., None), 2))
    [(0, None, 0), (1, 0, slice(None, None, None)), (None, 1, None)]
    """
    keys = list(key) if isinstance(key, tuple) else [key]
    free = ndim - sum(k is not None and k is not Ellipsis for k in keys)
    at = keys.index(Ellipsis) if Ellipsis in keys else len(keys)
    keys[at : at + 1] = [slice(None)] * free
    axes, places = itertools.count(), itertools.count()
    for k in keys:
        yield (
            None if k is None else next(axes),
            next(places) if k is None or isinstance(k, slice) else None,
            k,
        )


def _is_all(k: Any, n: int) -> bool:
    """Whether a part of a key takes all n places in order, and so all of fewer places too."""
    return isinstance(k, slice) and range(n)[k] == range(n)


def _reads_all_rows(call: Any, axes: Sequence[int | None]) -> int | None:
    """Say that it reads within each row where a basic key takes all of the axis of the rows.

    Where indices stand apart from each other, NumPy puts their axes first, before the rows.
    """
    (rows, x), key = (axes[0], call.args[0]), call.attribute("key")
    if rows is None or not is_basic(key):
        return None
    sides = _sides(key, x.ndim)
    return next((p for axis, p, k in sides if axis == rows and _is_all(k, x.shape[rows])), None)


def _puts_all_rows(call: Any, axes: Sequence[int | None]) -> int | None:
    """Say that it puts within each row where a basic key takes all of the axis of the rows."""
    key = call.attribute("key")
    if axes[0] is None or not is_basic(key):
        return None
    axis, k = next((axis, k) for axis, p, k in _sides(key, call.ndim) if p == axes[0])
    return axis if axis is not None and _is_all(k, call.shape[axis]) else None


def _put_forward(g: Array, key: Any, shape: tuple[int, ...]) -> Array:
    """Make zeros with g at the key; where places repeat, their sum."""
    if are_rows(g, key, shape):
        return summed_rows(g, key, shape)
    out = np.zeros(shape, g.dtype)
    if is_basic(key):
        out[key] = g
    else:
        np.add.at(out, key, g)
    return out


# From so many numbers on a product with a sparse matrix adds rows up faster than `np.add.at`, of
# which each row takes a microsecond: 512 x 64 in 67 in place of 427, 4,096 x 64 in 130 in place of
# 3,800, and to the same bits. Below, the matrix takes longer to make, 30 microseconds.
_MANY_NUMBERS, _MANY_ROWS = 4096, 128


def are_rows(g: Array, key: Any, shape: tuple[int, ...]) -> bool:
    """Whether a key is an array of the numbers of rows, and there are many numbers in them."""
    if not isinstance(key, np.ndarray) or g.size < _MANY_NUMBERS or g.dtype.char not in "fd":
        return False
    return key.dtype.kind in "iu" and key.size >= _MANY_ROWS and g.shape == key.shape + shape[1:]


def summed_rows(g: Array, rows: Array, shape: tuple[int, ...]) -> Array:
    """Add rows up, each where its number says, in their order, as `np.add.at` does.

    >>> summed_rows(np.array([[1.0], [2.0], [4.0]]), np.array([2, 0, 2]), (3, 1))
    array([[2.],
           [0.],
           [5.]])
    """
    count = shape[0]
    if count > 2 * rows.size:
        out = np.zeros(shape, g.dtype)
        there, sums = sums_of_rows(g, rows, count)
        out[there] = sums
        return out
    rows = _from_the_start(rows, count)
    return np.reshape(_product_of_ones(g.reshape(rows.size, -1), rows, count), shape)


def sums_of_rows(g: Array, rows: Array, count: int) -> tuple[Array, Array]:
    """Return which rows something is added to, each once and in order, and their sums.

    Rows that repeat are added in their order: all the first ones, all the second ones, and so on.
    Of 1,536 among 10,000 rows of 64 numbers that takes 77 microseconds, and a product with a
    matrix of ones 112; where one row comes often, the product is faster.

    >>> sums_of_rows(np.array([[1.0], [2.0], [4.0]]), np.array([2, 0, 2]), 3)
    (array([0, 2]), array([[2.],
           [5.]]))
    """
    g = g.reshape(rows.size, *g.shape[rows.ndim :])
    rows = _from_the_start(rows, count)
    order = np.argsort(rows, kind="stable")
    inorder = rows[order]
    is_first = np.ones(rows.size, bool)
    np.not_equal(inorder[1:], inorder[:-1], out=is_first[1:])
    first = np.flatnonzero(is_first)
    repeats = np.diff(first, append=rows.size)
    if repeats.max(initial=0) > _OFTEN:
        places = np.empty_like(order)
        places[order] = np.cumsum(is_first) - 1
        sums = _product_of_ones(g.reshape(rows.size, -1), places, len(first))
        return inorder[first], sums.reshape(len(first), *g.shape[1:])
    sums = g[order[first]] + g.dtype.type(0)  # -0.0 is 0.0 once it is added to something
    for k in range(1, int(repeats.max(initial=1))):
        more = np.flatnonzero(repeats > k)
        sums[more] += g[order[first[more] + k]]
    return inorder[first], sums


def _from_the_start(rows: Array, count: int) -> Array:
    """Return numbers of rows in a line, those from the end too, in a dtype that holds them all."""
    flat = rows.reshape(-1).astype(np.intp, copy=False)
    return np.where(flat < 0, flat + count, flat)


_OFTEN = 8


def _product_of_ones(g: Array, places: Array, height: int) -> Array:
    """Add rows up by a product with a sparse matrix of ones, which adds them in their order."""
    from scipy import sparse  # takes 50 ms to import: for whom it saves that

    n = len(places)
    ones = np.ones(n, g.dtype)
    matrix = sparse.csc_matrix((ones, places, np.arange(n + 1)), shape=(height, n))
    return np.asarray(matrix @ g)


put: Function = define(
    "put",
    _put_forward,
    "z = 0 but z[key] = x, repeated keys add up",
    lambda g, z, x, key, shape: getitem(g, key),
    rows=_puts_all_rows,
    memory=Memory.NEW,
)


class Slot(int):
    """Stands in a key for the n-th of the indices that are given beside it."""


def _indexed(call: Any, text: Callable[[Any], str]) -> str:
    """Write ``x[key]``, the indices that are data by their names."""

    def part(key: Any) -> str:
        """Write one part of a key."""
        if isinstance(key, slice):
            ends = ["" if e is None else repr(e) for e in (key.start, key.stop, key.step)]
            return ":".join(ends if key.step is not None else ends[:2])
        if isinstance(key, Slot):
            return text(call.args[1 + key])
        return "..." if key is Ellipsis else text(key)

    key = call.attribute("key")
    keys = key if isinstance(key, tuple) else (key,)
    inside = ", ".join(map(part, keys)) if keys else "()"
    return f"{text(call.args[0])}[{inside}]"


getitem: Function = define(
    "getitem",
    lambda x, key: x[key],
    "z = x[key]",
    lambda g, z, x, key: put(g, key, x.shape),
    kinks="An element read several times gets the sum of the gradients.",
    rows=_reads_all_rows,
    memory=_memory_of_key,
    prints=_indexed,
)


def _filled(key: Any, indices: Sequence[Any]) -> Any:
    if isinstance(key, tuple):
        return tuple(_filled(k, indices) for k in key)
    return indices[key] if isinstance(key, Slot) else key


def _scattered(call: Any, text: Callable[[Any], str]) -> str:
    """Write the call of what puts, the indices that are data by their names."""
    g, *indices = call.args
    key = _key_text(call.attribute("key"), [text(index) for index in indices], text)
    return f"{text(_put_forward)}({text(g)}, {key}, {call.shape})"


def _key_text(key: Any, names: Sequence[str], text: Callable[[Any], str]) -> str:
    """Write a key, with the names of the indices that are data in its slots."""
    if isinstance(key, tuple):
        parts = ", ".join(_key_text(part, names, text) for part in key)
        return f"({parts}{',' * (len(key) == 1)})"
    return names[key] if isinstance(key, Slot) else text(key)


def _looks_rows_up(call: Any, axes: Sequence[int | None]) -> int | None:
    """Say that a row looks others up, in what is the same for all, as a table of words is."""
    return axes[1] if _are_rows_of(call) and axes[0] is None else None


def _adds_rows_up(call: Any, axes: Sequence[int | None]) -> str | None:
    """Say that rows which looked others up give those their parts of a sum."""
    return SUM if _are_rows_of(call) and None not in axes and axes[0] == axes[1] else None


def _are_rows_of(call: Any) -> bool:
    """Whether the indices are all of the key, so that they are the numbers of rows."""
    key = call.attribute("key")
    return isinstance(key[0] if isinstance(key, tuple) and len(key) == 1 else key, Slot)


scatter: Function = define(
    "scatter",
    lambda g, *indices, key, shape: _put_forward(g, _filled(key, indices), shape),
    "z = 0 but z[indices] = x, repeated ones add up",
    lambda k, g, z, x, *indices, key, shape: gather(g, *indices, key=key),
    variadic=True,
    rows=_adds_rows_up,
    memory=Memory.NEW,
    prints=_scattered,
)


def _read_memory(call: Any) -> Memory:
    """Say that indices without axes read as whole numbers do: NumPy gives a view for them."""
    single = all(len(getattr(a, "shape", ())) == 0 for a in call.args[1:])
    return Memory.MAY_ALIAS if single else Memory.NEW


gather: Function = define(
    "gather",
    lambda x, *indices, key: x[_filled(key, indices)],
    "z = x[indices], which are data too",
    lambda k, g, z, x, *indices, key: scatter(g, *indices, key=key, shape=x.shape),
    variadic=True,
    rows=_looks_rows_up,
    memory=_read_memory,
    prints=_indexed,
)


def _slotted(key: Any, indices: list[Tensor]) -> Any:
    """Put the indices that are traced into a list, and slots of their numbers into the key."""
    if isinstance(key, tuple):
        return tuple(_slotted(part, indices) for part in key)
    if not isinstance(key, Tensor) or is_known(key):
        return copied_key(key)
    if key.dtype == bool:
        refuse_tracing(key, "the number of elements that x[mask] reads depends on the values of")
    indices.append(key)
    return Slot(len(indices) - 1)


def read(x: Any, key: Any) -> Any:
    """Read ``x[key]``; indices that are being traced are arguments of the op, as data are."""
    indices: list[Tensor] = []
    key = _slotted(key, indices)
    return gather(x, *indices, key=key) if indices else getitem(x, key)


def rows_read(z: Tensor, x: Tensor) -> Any:
    """Return the numbers of rows of x that z was read by; None where z was made otherwise.

    >>> x = Tensor([[1.0], [2.0]], requires_grad=True)
    >>> rows_read(x[[1, 1]], x)
    array([1, 1])
    """
    if op_of(z) not in (getitem.op, gather.op) or operands_of(z)[0] is not x:
        return None
    key = attribute_of(z, "key")
    rows = operands_of(z)[1 + key] if isinstance(key, Slot) else key
    is_table = isinstance(rows, ndarray | Tensor) and rows.ndim > 0
    return rows if is_table and rows.dtype.kind in "iu" else None


def copied_key(key: Any) -> Any:
    """Copy what could be changed before the gradient comes back; take the values of Tensors."""
    if type(key) is int:
        return key
    if isinstance(key, tuple):
        return tuple(copied_key(k) for k in key)
    if isinstance(key, Tensor):
        return key.numpy()
    if isinstance(key, list) and not key:
        return np.array(key, int)
    if isinstance(key, np.integer):
        return int(key)
    if isinstance(key, slice):
        ends = (key.start, key.stop, key.step)
        return slice(*(int(e) if isinstance(e, np.integer) else e for e in ends))
    return np.array(key) if isinstance(key, ndarray | list) else key


_set: Function = define(
    "set",
    lambda x, v, key: _replaced(x, v, key),
    "z = x but z[key] = v",
    lambda g, z, x, v, key: _set(g, 0.0, key),
    lambda g, z, x, v, key: getitem(g, key),
    rows=mixes_rows,
    memory=Memory.NEW,
)


def _replaced(x: Array, v: Any, key: Any) -> Array:
    out = np.array(x)
    out[key] = v
    return out


class At:
    """``t.at[key].set(v)`` and ``t.at[key].add(v)``: a new Tensor, where arrays are written to."""

    def __init__(self, tensor: Tensor, key: Any = None) -> None:
        self._tensor, self._at = tensor, key

    def __getitem__(self, key: Any) -> At:
        return At(self._tensor, copied_key(key))

    def set(self, value: Operand) -> Tensor:
        """Replace the elements; where an index repeats, `ValueError`, for the last is not known."""
        rows = np.arange(self._tensor.size).reshape(self._tensor.shape)[self._at]
        if np.unique(rows).size < rows.size:
            raise ValueError(
                "at[...].set with an index that repeats: which value stays is not said"
            )
        result: Tensor = _set(self._tensor, value, self._at)
        return result

    def add(self, value: Operand) -> Tensor:
        """Add to the elements; where an index repeats, each time."""
        shape = np.empty(self._tensor.shape, bool)[self._at].shape
        spread = np.broadcast_to(value, shape)
        result: Tensor = self._tensor + put(spread, self._at, self._tensor.shape)
        return result


def _held_in(indices: Any, n: int, mode: str) -> Any:
    """Bring positions into range, as NumPy's modes do."""
    if mode == "raise":
        return indices
    if mode not in ("wrap", "clip"):
        raise ValueError(f"take: mode is 'raise', 'wrap' or 'clip', not {mode!r}")
    indices = indices if isinstance(indices, Tensor) else np.asarray(indices)
    return indices % n if mode == "wrap" else np.clip(indices, 0, n - 1)


@implements(np.take)
def take(
    x: Operand, indices: Any, axis: int | None = None, out: Any = None, mode: str = "raise"
) -> Any:
    """Read the elements, or the slices along an axis, with these positions."""
    if out is not None:
        raise no_output(np.take)
    if axis is None:
        return read(np.ravel(x), _held_in(indices, np.size(x), mode))
    x = np.reshape(x, (1,)) if np.ndim(x) == 0 else x  # a number is a row of one to NumPy
    axis = counted_axis(axis, x.ndim)
    return read(x, (slice(None),) * axis + (_held_in(indices, x.shape[axis], mode),))


@implements(np.take_along_axis)
def take_along_axis(x: Operand, indices: Any, axis: int | None = -1) -> Any:
    """Read along an axis, at each place its own position; the other axes are broadcast."""
    if axis is None:
        return read(np.ravel(x), indices)
    index = indices if isinstance(indices, Tensor) else np.asarray(indices)
    if index.ndim != np.ndim(x):
        raise ValueError(
            f"take_along_axis of {np.ndim(x)} axes takes as many of the positions, not {index.ndim}"
        )
    grid: list[Any] = list(np.ogrid[tuple(slice(n) for n in x.shape)])
    grid[counted_axis(axis, x.ndim)] = index
    return read(x, tuple(grid))


@implements(np.sort)
def sort(
    x: Operand, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> Any:
    """Sort along an axis; the gradient follows the permutation, equal elements keep their order.

    Whatever `kind` says: only by keeping their order does a gradient not hang on chance.
    """
    axis = axis if axis is None else counted_axis(axis, x.ndim)
    found = np.argsort(x, axis=axis, kind="stable")
    return take_along_axis(x, found, axis)
