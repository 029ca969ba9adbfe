"""What pictures are given is checked before anything is drawn."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from autonn.engine.tensor import Array, Tensor
from autonn.nn.module import Module


def _require(fits: bool, message: str) -> None:
    if not fits:
        raise ValueError(message)


def _array(where: str, values: ArrayLike, *axes: str) -> Array:
    array = np.asarray(values)
    shape = ", ".join(axes) + ("," if len(axes) == 1 else "")
    _require(
        array.ndim == len(axes) and array.size > 0,
        f"{where} has shape {array.shape}, expected ({shape}), not empty",
    )
    _require(
        array.dtype.kind in "biuf" and bool(np.isfinite(array).all()),
        f"{where} ({array.dtype}) holds something else than finite real numbers",
    )
    return array


def _mask(where: str, values: ArrayLike, count: int) -> Array:
    mask = np.asarray(values)
    _require(
        mask.dtype == bool and mask.shape == (count,),
        f"{where} is {mask.dtype} of shape {mask.shape}, expected bool of shape ({count},)",
    )
    return mask


def _classes(where: str, values: ArrayLike, classes: int) -> Array:
    numbers = _array(where, values, "n")
    _require(numbers.dtype.kind in "iu", f"{where} is {numbers.dtype}, expected whole numbers")
    low, high = numbers.min(), numbers.max()
    _require(
        low >= 0 and high < classes,
        f"{where} holds {low} to {high}, expected classes from 0 to {classes - 1}",
    )
    # A uint8 label would overflow where classes are counted.
    return numbers.astype(np.intp)


def _fractions(where: str, values: Array) -> Array:
    # float32 softmax may pass 1 by a rounding error; a logit or a percentage passes it by far.
    if values.size:
        low, high = values.min(), values.max()
        _require(
            bool(low > -1e-5 and high < 1 + 1e-5),
            f"{where} holds {low:g} to {high:g}, expected numbers within [0, 1]",
        )
    return values


def _probabilities(function: str, values: ArrayLike, *axes: str) -> Array:
    where = f"{function}: probabilities"
    return _fractions(where, _array(where, values, *axes))


def _same_length(where: str, **arrays: Array) -> None:
    lengths = ", ".join(f"{len(array)} {name}" for name, array in arrays.items())
    _require(
        len({len(array) for array in arrays.values()}) <= 1,
        f"{where}: got {lengths}, expected equally many",
    )


def _parameters(where: str, model: Module) -> dict[str, Tensor]:
    if not isinstance(model, Module):
        raise TypeError(f"{where}: got a {type(model).__name__}, expected a Module")
    parameters = model.named_parameters()
    _require(bool(parameters), f"{where}: {model!r} has no parameters, expected at least one")
    return parameters


def _norm(array: Array) -> float:
    # np.linalg.norm squares first, which overflows at 1e154, and in float32 at 2e19.
    largest = float(np.max(np.abs(array), initial=0))
    if not 0 < largest < math.inf:
        return largest
    return largest * float(np.linalg.norm((array / largest).ravel()))
