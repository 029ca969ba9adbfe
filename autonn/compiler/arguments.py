"""The arguments of a compiled function: which program they ask for, and the arrays among them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy import ndarray

from autonn.compiler.trace import as_array
from autonn.engine.modes import CannotCompileError
from autonn.engine.tensor import Tensor
from autonn.engine.trees import Tree

__all__ = ["Numbers", "as_arrays", "form_of"]

# What is told apart by its value; all else by being the very same thing.
_BY_VALUE = (bool, int, str, bytes, complex, type(None), type(Ellipsis), range, np.dtype)


class _Same:
    """Stands in a key for one thing, which it keeps alive: equal only to itself."""

    __slots__ = ("thing",)

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.thing is other.thing

    def __hash__(self) -> int:
        return id(self.thing)


def form_of(tree: Tree) -> Any:
    """Describe what a program depends on: structure, shapes, dtypes, and values of the rest.

    Objects are told apart by being the very same, which the key keeps alive; what they hold is
    looked at by the guards. A set, and a dataclass of values, is what it holds.
    """
    if isinstance(tree, dict):
        return type(tree), tuple((form_of(key), form_of(branch)) for key, branch in tree.items())
    if isinstance(tree, list | tuple):
        return type(tree), tuple(map(form_of, tree))
    if isinstance(tree, np.generic) and not isinstance(tree, np.inexact):
        return type(tree), tree.dtype, tree.tobytes()
    if isinstance(tree, ndarray | np.generic | Tensor):
        return isinstance(tree, Tensor), tree.shape, tree.dtype
    if type(tree) is float:
        return float
    if isinstance(tree, _BY_VALUE):
        return type(tree), tree, repr(tree)
    if isinstance(tree, set | frozenset):
        return type(tree), frozenset(_value_in_set(item) for item in tree)
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type) and _is_of_values(tree):
        return type(tree), tuple((k, repr(v), form_of(v)) for k, v in vars(tree).items())
    return _Same(tree)


def _value_in_set(item: Any) -> Any:
    if not isinstance(item, (float, tuple, *_BY_VALUE)):
        raise CannotCompileError(
            f"a set among the arguments holds {type(item).__name__}, which can't be compared; "
            "pass a tuple"
        )
    return type(item), item, repr(item)


def _is_of_values(thing: Any) -> bool:
    """Whether an object holds nothing but values, so that another that holds the same is alike."""
    held = getattr(thing, "__dict__", None)
    return held is not None and all(type(v) in (float, *_BY_VALUE) for v in held.values())


class Numbers:
    """Which of the numbers among the arguments were seen to change: these become data."""

    def __init__(self) -> None:
        self.first: list[float] | None = None
        self.varying: set[int] = set()
        self.may_vary = True

    def fixed(self, numbers: list[float]) -> tuple[str | None, ...]:
        """Compare with the first ones; return those that are still part of the program."""
        self.first = self.first or numbers
        if self.may_vary:
            pairs = enumerate(zip(self.first, numbers, strict=True))
            self.varying |= {k for k, (a, b) in pairs if repr(a) != repr(b)}
        return tuple(
            None if k in self.varying else repr(number) for k, number in enumerate(numbers)
        )

    def never(self) -> None:
        """Make them part of the program for good."""
        self.may_vary, self.varying = False, set()


def as_arrays(leaves: list[Any], varying: set[int]) -> list[Any]:
    """Turn the data among the leaves into arrays; numbers too, where they were seen to change."""
    position = -1
    arrays: list[Any] = []
    for leaf in leaves:
        position += type(leaf) is float
        varies = type(leaf) is float and position in varying
        arrays.append(np.asarray(leaf) if varies else as_array(leaf))
    return arrays
