"""Structures: tuples and dicts of arrays, where a model has several inputs or outputs.

A list of numbers is an array, and so is a tuple of nothing but numbers. Other tuples and dicts are
structures, and they may be nested.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from autonn.engine.tensor import Tensor
from autonn.engine.trees import tree_leaves
from autonn.nn.module import Module
from autonn.nn.parts import refuse_other_names

__all__ = ["arrays_of", "call", "forms", "is_structure", "mapped", "rows_of", "way_of_calling"]


def is_structure(value: Any) -> bool:
    """Whether a value is a tuple or a dict, and no array.

    >>> is_structure(([1.0], [2.0])), is_structure([[1.0], [2.0]]), is_structure((1.0, 2.0))
    (True, False, False)
    """
    if isinstance(value, tuple) and value:  # of numbers, it is a row of targets
        return not all(isinstance(part, int | float | complex | np.generic) for part in value)
    return isinstance(value, tuple | Mapping)


def mapped(f: Callable[[str, Any], Any], value: Any, name: str = "") -> Any:
    """Call ``f(name, part)`` for each part that is no structure; return the same form of results.

    >>> mapped(lambda name, part: f"{name}: {part}", {"a": [1], "b": ([2], [3])}, "X")
    {'a': "X['a']: [1]", 'b': ("X['b'][0]: [2]", "X['b'][1]: [3]")}
    """
    if not is_structure(value):
        return f(name, value)
    if isinstance(value, Mapping):
        return {key: mapped(f, part, f"{name}[{key!r}]") for key, part in value.items()}
    return tuple(mapped(f, part, f"{name}[{k}]") for k, part in enumerate(value))


def rows_of(value: Any) -> int:
    """Count the rows of an array, or of the first one in a structure.

    >>> rows_of((np.ones((3, 2)), np.ones(3)))
    3
    """
    first = next((leaf for leaf in tree_leaves(value) if leaf is not None), None)
    if first is None or np.ndim(first) == 0:
        raise ValueError("there is no array of rows; give one row for each example")
    return len(first)


def forms(value: Any) -> list[tuple[int, ...]]:
    """List the shapes of one row of each array.

    >>> forms({"a": np.ones((3, 2)), "b": np.ones(3)})
    [(2,), ()]
    """
    return [np.shape(leaf)[1:] for leaf in tree_leaves(value) if leaf is not None]


def arrays_of(value: Any) -> Any:
    """Return predictions as arrays: of a Tensor the array, of a structure the same form."""
    if isinstance(value, list):
        value = tuple(value)
    if is_structure(value):
        return mapped(lambda _, part: arrays_of(part), value)
    return value.numpy() if isinstance(value, Tensor) else np.asarray(value)


# ---- how a model is called

Way = tuple[str, ...] | None  # None: X is one argument; names: those that are given in their order


def way_of_calling(model: Module, X: Any) -> Way:
    """Say how a model takes X: as one argument, or by the parts of a structure.

    A tuple is given one part after the other, and a dict by name, where `forward` takes so many or
    has all these names; or else the structure is the one argument that `forward` takes.

    >>> class Two(Module):
    ...     def forward(self, left, right):
    ...         return left + right
    >>> [way_of_calling(Two(), X) for X in ([1], ([1], [2]), {"right": 2, "left": 1})]
    [None, (), ('left', 'right')]
    """
    if not is_structure(X):
        return None
    signature = inspect.signature(model.forward)
    try:
        if isinstance(X, Mapping):
            bound = signature.bind(**X)
            names = [*bound.signature.parameters][: len(bound.args)]
            return tuple(names) or None  # a module is called with one argument at least
        signature.bind(*X)
    except TypeError:
        if isinstance(X, Mapping):
            refuse_other_names(model.forward, X)
        return None
    return ()


def call(model: Module, X: Any, way: Way) -> Any:
    """Call the model as `way_of_calling` says.

    >>> class Two(Module):
    ...     def forward(self, left, right):
    ...         return left - right
    >>> call(Two(), {"right": 2, "left": 1}, ("left", "right"))
    -1
    """
    if way is None:
        return model(X)
    if isinstance(X, tuple):
        return model(*X)
    named = {name: part for name, part in X.items() if name not in way}
    return model(*(X[name] for name in way), **named)
