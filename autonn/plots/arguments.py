"""What pictures are given, checked before anything is drawn: an error names the argument.

Each check takes first where the value came from, such as ``"digits: images"``.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from autonn.engine.tensor import Array, Tensor, values_of
from autonn.nn.module import Module


def require(fits: bool, message: str) -> None:
    """Raise `ValueError` unless something fits."""
    if not fits:
        raise ValueError(message)


def finite_array(where: str, values: ArrayLike, *axes: str) -> Array:
    """Return finite real numbers, a Tensor's too, as an array that has these axes and is not empty.

    >>> finite_array("digits: images", [1.0, 2.0], "n", "height", "width")
    Traceback (most recent call last):
    ValueError: digits: images has shape (2,), expected (n, height, width), not empty
    """
    array = np.asarray(values_of(values))
    shape = ", ".join(axes) + ("," if len(axes) == 1 else "")
    require(
        array.ndim == len(axes) and array.size > 0,
        f"{where} has shape {array.shape}, expected ({shape}), not empty",
    )
    require(
        array.dtype.kind in "biuf" and bool(np.isfinite(array).all()),
        f"{where} ({array.dtype}) holds something else than finite real numbers",
    )
    return array


def mask_of(where: str, values: ArrayLike, count: int) -> Array:
    """Return so many booleans; indices are refused, for they would mark the wrong ones."""
    mask = np.asarray(values)
    require(
        mask.dtype == bool and mask.shape == (count,),
        f"{where} is {mask.dtype} of shape {mask.shape}, expected bool of shape ({count},)",
    )
    return mask


def class_numbers(where: str, values: ArrayLike, classes: int) -> Array:
    """Return whole numbers, (n,), from 0 to below `classes`."""
    numbers = finite_array(where, values, "n")
    require(numbers.dtype.kind in "iu", f"{where} is {numbers.dtype}, expected whole numbers")
    low, high = numbers.min(), numbers.max()
    require(
        low >= 0 and high < classes,
        f"{where} holds {low} to {high}, expected classes from 0 to {classes - 1}",
    )
    # A uint8 label would overflow where classes are counted.
    return numbers.astype(np.intp)


def fractions(where: str, values: Array) -> Array:
    """Return numbers that lie within [0, 1], but for rounding."""
    # float32 softmax may pass 1 by a rounding error; a logit or a percentage passes it by far.
    if values.size:
        low, high = values.min(), values.max()
        require(
            bool(low > -1e-5 and high < 1 + 1e-5),
            f"{where} holds {low:g} to {high:g}, expected numbers within [0, 1]",
        )
    return values


def class_probabilities(function: str, values: ArrayLike, *axes: str) -> Array:
    """Return the probabilities that a function was given, with these axes."""
    where = f"{function}: probabilities"
    return fractions(where, finite_array(where, values, *axes))


def require_same_length(where: str, **arrays: Array) -> None:
    """Raise `ValueError` unless all have equally many entries; their names are in the message."""
    lengths = ", ".join(f"{len(array)} {name}" for name, array in arrays.items())
    require(
        len({len(array) for array in arrays.values()}) <= 1,
        f"{where}: got {lengths}, expected equally many",
    )


def parameters_of(where: str, model: Module) -> dict[str, Tensor]:
    """Return the parameters of a module by name, of which there must be some."""
    if not isinstance(model, Module):
        raise TypeError(f"{where}: got a {type(model).__name__}, expected a Module")
    parameters = dict(model.named_parameters())
    require(bool(parameters), f"{where}: {model!r} has no parameters, expected at least one")
    return parameters


def norm(array: Array) -> float:
    """Return the root of the sum of squares, also where the squares would overflow.

    >>> norm(np.array([0.0, -1e200]))
    1e+200
    """
    # np.linalg.norm squares first, which overflows at 1e154, and in float32 at 2e19.
    largest = float(np.max(np.abs(array), initial=0))
    if not 0 < largest < math.inf:
        return largest
    return largest * float(np.linalg.norm((array / largest).ravel()))
