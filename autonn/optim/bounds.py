"""Bounds: between what a search keeps the parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autonn.checks import number
from autonn.engine.tensor import Array, Tensor
from autonn.optim.selection import dealt

__all__ = ["Bounds", "checked_bounds", "limits"]

Pair = tuple[float | None, float | None]
Bounds = Pair | Mapping[Any, Pair]


def checked_bounds(name: str, value: Any) -> Bounds | None:
    """Check a pair of bounds, or some by the keys of a dict, and return what was given.

    >>> checked_bounds("LBFGS: bounds", (0, None))
    (0, None)
    >>> checked_bounds("LBFGS: bounds", (1, 0))
    Traceback (most recent call last):
    ValueError: LBFGS: bounds are from low to high, not from 1.0 to 0.0
    """
    if isinstance(value, Mapping):
        for key, pair in value.items():
            _require_pair(f"{name}[{key!r}]", pair)
    elif value is not None:
        _require_pair(name, value)
    return value  # type: ignore[no-any-return]  # itself, as scikit-learn's clone asks


def _require_pair(name: str, value: Any) -> None:
    """Refuse what is no pair from low to high."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise TypeError(
            f"{name} is a pair (low, high) of numbers or None, or a dict of such pairs by patterns "
            f"of names, not {value!r}"
        )
    low, high = (_limit(name, limit) for limit in value)
    if low is not None and high is not None and low > high:
        raise ValueError(f"{name} are from low to high, not from {low} to {high}")


def _limit(name: str, value: Any) -> float | None:
    """Return a bound; an infinity is none."""
    if value is None or (isinstance(value, float) and math.isinf(value)):
        return None
    return number(f"{name}: each of them", value)


def limits(
    bounds: Bounds, parameters: Sequence[Tensor], names: Mapping[str, Tensor]
) -> tuple[Array, Array]:
    """Return the lowest and the highest values of all parameters, as two vectors.

    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> limits((0.0, None), [x], {"x": x})
    (array([0., 0.]), array([inf, inf]))
    """
    if isinstance(bounds, Mapping):
        found, _ = dealt("LBFGS: bounds", bounds, names)
        pairs = {id(names[name]): bounds[key] for key, own in found.items() for name in own}
    else:
        pairs = {id(parameter): bounds for parameter in parameters}
    low, high = [], []
    for parameter in parameters:
        below, above = pairs.get(id(parameter), (None, None))
        low.append(np.full(parameter.size, -np.inf if below is None else below))
        high.append(np.full(parameter.size, np.inf if above is None else above))
    return np.concatenate(low), np.concatenate(high)
