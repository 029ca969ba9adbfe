"""What optimisers and schedules refuse."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

_POSITIVE = "positive and finite"
_NOT_NEGATIVE = "at least 0 and finite"
_BELOW_ONE = "at least 0 and below 1"
_RANGES: dict[str, Callable[[Any], bool]] = {
    _POSITIVE: lambda value: 0 < value < math.inf,
    _NOT_NEGATIVE: lambda value: 0 <= value < math.inf,
    _BELOW_ONE: lambda value: 0 <= value < 1,
}


def _number(value: Any, name: str, rule: str = _POSITIVE) -> float:
    """Return it as a Python float, which never widens a float32 array."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name} is a number, not {value!r}")
    if not _RANGES[rule](value):
        raise ValueError(f"{name} is {rule}, not {value}")
    return float(value)


def _count(value: Any, name: str) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name} is a whole number, not {value!r}")
    if value < 1:
        raise ValueError(f"{name} is at least 1, not {value}")
    return int(value)


def _differences(own: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """Say in which entries a state differs in kind from the optimiser's own."""
    wrong = [f"{name} is missing" for name in own if name not in given]
    wrong += [f"{name} is unknown" for name in given if name not in own]
    for name in own:
        if name in given:
            old, new = np.asarray(own[name]), np.asarray(given[name])
            if new.shape != old.shape or not np.can_cast(new.dtype, old.dtype):
                wrong.append(f"{name} is {new.dtype} {new.shape}, not {old.dtype} {old.shape}")
            elif old.dtype.kind == "i" and new < 0:
                wrong.append(f"{name} is {new}, not at least 0")
    return wrong
