"""Taking elements to other places: whatever only moves them is a reading of places.

NumPy's own function is asked where each element goes, by giving it the places themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autonn.engine.apply import implements
from autonn.engine.ops.indexing import put, read, take, take_along_axis
from autonn.engine.ops.joining import concatenate
from autonn.engine.ops.rowwise import counted_axis
from autonn.engine.ops.shapes import flip, swapaxes
from autonn.engine.tensor import Operand, Tensor, refuse_tracing, values_of


def rearranged(x: Operand, places: Callable[[Any], Any]) -> Any:
    """Read the elements where a function of an array puts their places."""
    found = places(np.arange(np.size(x)).reshape(np.shape(x)))
    return read(np.ravel(x), found)


@implements(np.fliplr)
def fliplr(x: Operand) -> Any:
    """Turn the order of the columns around, the second axis."""
    if np.ndim(x) < 2:
        raise ValueError(f"fliplr takes at least two axes, not shape {np.shape(x)}")
    return flip(x, 1)


@implements(np.flipud)
def flipud(x: Operand) -> Any:
    """Turn the order of the rows around, the first axis."""
    if np.ndim(x) < 1:
        raise ValueError(f"flipud takes at least one axis, not shape {np.shape(x)}")
    return flip(x, 0)


@implements(np.rot90)
def rot90(x: Operand, k: int = 1, axes: Sequence[int] = (0, 1)) -> Any:
    """Turn by so many quarters, from the first axis towards the second."""
    first, second = (counted_axis(a, np.ndim(x)) for a in axes)
    if first == second:
        raise ValueError(f"rot90 turns in two different axes, not in {tuple(axes)}")
    if k % 4 == 0:
        return x[...]
    if k % 4 == 2:
        return flip(x, (first, second))
    turned = flip(x, second if k % 4 == 1 else first)
    return swapaxes(turned, first, second)


@implements(np.resize)
def resize(x: Operand, new_shape: Any) -> Any:
    """Fill a shape with the elements, again and again in C order."""
    return rearranged(x, lambda places: np.resize(places, new_shape))


@implements(np.delete)
def delete(x: Operand, obj: Any, axis: int | None = None) -> Any:
    """Leave out the elements, or the slices along an axis, with these positions."""
    return rearranged(x, lambda places: np.delete(places, obj, axis))


@implements(np.append)
def append(x: Operand, values: Operand, axis: int | None = None) -> Any:
    """Join values behind x; without an axis both in one row."""
    return concatenate([x, values], axis)


@implements(np.insert)
def insert(x: Operand, obj: Any, values: Operand, axis: int | None = None) -> Any:
    """Put values in before these positions; NumPy's function is told the places of both."""
    size, count = np.size(x), np.size(values)
    old = np.arange(size).reshape(np.shape(x))
    new = (size + np.arange(count)).reshape(np.shape(values))
    both = concatenate([np.ravel(x), np.ravel(values).astype(x.dtype)])
    return read(both, np.insert(old, obj, new, axis))


@implements(np.partition)
def partition(x: Operand, kth: Any, axis: int | None = -1, kind: str = "introselect") -> Any:
    """Bring the k-th smallest to its place, what is smaller before it and the others behind it."""
    order = np.argpartition(x, kth, axis=axis)
    return take_along_axis(x, order, axis)


@implements(np.unique)
def unique(
    x: Operand, return_index: bool = False, return_inverse: bool = False,
    return_counts: bool = False, axis: int | None = None, **options: Any,
) -> Any:  # fmt: skip
    """Sort the different elements; of equal ones the first gets the gradient."""
    refuse_tracing(x, "np.unique of")
    asking: Any = np.unique  # its overloads depend on what is asked for
    _, index, *others = asking(
        values_of(x), True, return_inverse, return_counts, axis=axis, **options
    )
    values = take(x, index, axis)
    asked = [index] * return_index + others
    return (values, *asked) if asked else values


@implements(np.compress)
def compress(condition: Any, x: Operand, axis: int | None = None) -> Any:
    """Read the elements, or the slices along an axis, where a condition holds."""
    refuse_tracing(condition, "np.compress by")
    return take(x, np.flatnonzero(values_of(condition)), axis)


@implements(np.extract)
def extract(condition: Any, x: Operand) -> Any:
    """Read the elements where a condition holds."""
    return compress(np.ravel(condition), np.ravel(x))


@implements(np.select)
def select(condlist: Sequence[Any], choicelist: Sequence[Operand], default: Operand = 0) -> Any:
    """Take, at each place, the choice of the first condition that holds."""
    if len(condlist) != len(choicelist) or not condlist:
        raise ValueError(
            f"select of {len(condlist)} conditions and {len(choicelist)} choices: as many of both"
        )
    result: Any = default
    for condition, choice in reversed(list(zip(condlist, choicelist, strict=True))):
        result = np.where(condition, choice, result)
    return result


@implements(np.choose)
def choose(a: Any, choices: Sequence[Operand], out: Any = None, mode: Any = "raise") -> Any:
    """Take, at each place, the choice with the number that stands there."""
    refuse_tracing(a, "np.choose by")
    index = np.asarray(values_of(a))
    picked = (
        list(choices)
        if isinstance(choices, list | tuple)
        else [choices[k] for k in range(len(choices))]
    )
    shape = np.broadcast_shapes(index.shape, *(np.shape(c) for c in picked))
    stacked = np.stack([np.broadcast_to(c, shape) for c in picked])
    numbers: Any = list(range(len(picked)))
    places = np.choose(np.broadcast_to(index, shape), numbers, mode=mode)
    return take_along_axis(stacked, places[None], 0)[0]


@implements(np.bincount)
def bincount(x: Any, /, weights: Operand | None = None, minlength: int = 0) -> Any:
    """Add up the weights of each whole number in x."""
    refuse_tracing(x, "np.bincount of")
    places = np.asarray(values_of(x))
    size = len(np.bincount(places, minlength=minlength))
    if weights is None:
        return np.bincount(places, minlength=minlength)
    if np.shape(weights) != places.shape:
        raise ValueError(
            f"bincount of {places.shape} numbers with {np.shape(weights)} weights: one for each"
        )
    wide = weights.astype(np.float64) if isinstance(weights, Tensor) else weights
    return put(wide, (places,), (size,))
