"""What is added to the cost so that weights stay small: squares and sizes, also by groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from autonn import checks
from autonn.engine import ops
from autonn.engine.tensor import Tensor
from autonn.nn.module import Module
from autonn.optim.selection import dealt

__all__ = ["Penalty", "penalties", "strength"]

# The tutorials' lambda, for all weights or by patterns of their names.
Strength = float | Mapping[str, float]

_TOLD = {"l2": "l2, the tutorials' lambda,", "l1": "l1"}


class Penalty(NamedTuple):
    """One part: ``lambda / (2m) sum of w^2`` for l2, ``lambda / m sum of |w|`` for l1."""

    kind: str
    strength: float
    weights: tuple[Tensor, ...]

    def added_to(self, total: Any, examples: int) -> Any:
        """Add it to the cost of so many examples."""
        if self.kind == "l2":
            factor = self.strength / (2 * examples)
            return total + ops.sum_of_squares(*self.weights, factor=factor)
        sizes: Any = sum(np.sum(np.abs(weight)) for weight in self.weights)
        return total + self.strength / examples * sizes


def strength(kind: str, given: Any) -> float | dict[str, float]:
    """Check a lambda, or each of a dict of some.

    >>> strength("l2", {"0.*": 1})
    {'0.*': 1.0}
    """
    if isinstance(given, Mapping):
        return {
            key: checks.number(f"fit: {kind}[{key!r}]", value, least=0)
            for key, value in given.items()
        }
    return checks.number(f"fit: {_TOLD[kind]}", given, least=0)


def penalties(model: Module, **given: float | dict[str, float]) -> list[Penalty]:
    """List what is added, for the weights that the model has now; biases are never penalised.

    >>> from autonn import Layer, Sequential
    >>> model = Sequential(Layer(2, 3), Layer(3, 1))
    >>> [(part.kind, len(part.weights)) for part in penalties(model, l2=1.0, l1={"0": 0.5})]
    [('l2', 2), ('l1', 1)]
    """
    weights = {id(weight) for weight in model.weights()}
    names = {name: p for name, p in dict(model.named_parameters()).items() if id(p) in weights}
    found = []
    for kind, value in given.items():
        groups = value if isinstance(value, dict) else {"*": value}
        if not any(groups.values()):
            continue
        if not names:
            raise ValueError(f"fit: {kind}: {model!r} has no weights to penalise")
        chosen, _ = dealt(f"fit: {kind}, of weights that are no biases", groups, names)
        for key, own in chosen.items():
            if groups[key] and own:
                found.append(Penalty(kind, groups[key], tuple(names[name] for name in own)))
    return found
