"""Running the learner's function, as it is and changed, and comparing its gradients with others."""

from __future__ import annotations

import copy
import functools
import inspect
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import CodeType
from typing import Any

import numpy as np

from autonn.engine.tensor import Array, Tensor
from autonn.engine.trees import tree_leaves
from autonn.teach.reviewing.programs import Part, swapped
from autonn.teach.reviewing.recording import plain

__all__ = ["TOLERANCE", "Call", "Outputs", "agrees", "names_of"]

# How far a gradient may be from the right one, of its largest element: constants that keep
# logarithms from 0 (1e-8 or so) are in many costs, and in few gradients.
TOLERANCE = 1e-5


class Outputs:
    """What a call gave: the cost, and the gradients as leaves, each with its name."""

    def __init__(self, result: Any, wanted: Sequence[tuple[str, Array]]) -> None:
        if not isinstance(result, tuple | list) or len(result) < 2:
            raise TypeError(
                "review needs a function that returns (J, *gradients) or (J, gradients), not "
                f"{type(result).__name__}; return the cost, then the gradients"
            )
        self.cost = float(np.reshape(plain(result[0]), -1)[0])
        rest = result[1] if len(result) == 2 else result[1:]
        self.raw_cost = result[0]
        leaves = _ordered(rest, wanted)
        if len(leaves) != len(wanted) and len(result) > 2:
            first = _ordered(result[1], wanted)
            leaves = first if len(first) == len(wanted) else leaves[: len(wanted)]
        self.raw = leaves
        self.gradients = [np.asarray(plain(leaf), dtype=float) for leaf in leaves]


def _ordered(tree: Any, wanted: Sequence[tuple[str, Array]]) -> list[Any]:
    """List the leaves of the gradients in the order of what they belong to; dicts by their keys."""
    if isinstance(tree, dict):
        keys = [str(key) for key in tree]
        order = []
        for name, _ in wanted:
            own = name.rpartition(".")[2]
            fitting = [k for k in keys if k == own] or [k for k in keys if k.endswith(own)]
            fitting = fitting or [k for k in keys if k.startswith(own)]
            order += fitting[:1]
        if len(set(order)) == len(wanted):
            by_name = {str(key): value for key, value in tree.items()}
            return [by_name[key] for key in order]
    return tree_leaves(tree)


def names_of(f: Callable[..., Any], args: Sequence[Any]) -> list[str]:
    """Name the arguments of a call by the function's parameters."""
    try:
        bound = inspect.signature(f).bind(*args).arguments
    except (TypeError, ValueError):
        return [f"argument {k}" for k in range(len(args))]
    names: list[str] = []
    for name, value in bound.items():
        kind = inspect.signature(f).parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            names += [f"{name}[{k}]" for k in range(len(value))]
        else:
            names.append(name)
    return names


class Call:
    """A function and its arguments, called on copies each time, with the same random numbers."""

    def __init__(
        self, f: Callable[..., Any], args: Sequence[Any], positions: Sequence[int]
    ) -> None:
        self.f, self.positions = f, tuple(positions)
        self.args = [
            _as_arrays(a) if k in positions else _plain_data(a) for k, a in enumerate(args)
        ]
        self.owner = getattr(f, "__self__", None)
        self.names = names_of(f, self.args)
        self.draws = True  # whether a run may change the global generators

    def leaves(self) -> list[tuple[str, Array]]:
        """List what is differentiated by, with names."""
        return [p for k in self.positions for p in _named(self.args[k], self.names[k])]

    def with_leaves(self, leaves: Sequence[Any]) -> Call:
        """Make the same call at other parameters."""
        supply = iter(leaves)
        other = copy.copy(self)
        other.args = [
            _hung(a, supply) if k in self.positions else a for k, a in enumerate(self.args)
        ]
        return other

    def run(
        self,
        codes: Mapping[Part, CodeType] | None = None,
        hooks: Any = None,
        lift: Callable[[Any, bool], Any] | None = None,
    ) -> Any:
        """Call it, with functions in changed forms; `lift` makes of each array what is given."""

        def given(x: Any, is_wanted: bool) -> Any:
            """Give a copy of an array, or what `lift` makes of it."""
            return lift(x, is_wanted) if lift else _copied(x)

        args = [
            _mapped(a, functools.partial(given, is_wanted=k in self.positions))
            for k, a in enumerate(self.args)
        ]
        f: Any = self.f
        if self.owner is not None and not isinstance(self.owner, type):
            try:
                f = f.__func__.__get__(copy.deepcopy(self.owner))
            except Exception:  # what cannot be copied is called as it is
                f = self.f
        with np.errstate(all="ignore"), swapped(codes or {}, hooks):
            if not self.draws:
                return f(*args)
            with _same_random_numbers() as before:
                result = f(*args)
                self.draws = _global_numbers() != before
                return result


def _global_numbers() -> Any:
    """Return the state of the global generators."""
    state: Any = np.random.get_state()  # noqa: NPY002
    return state[1].tobytes(), state[2:], random.getstate()


@contextmanager
def _same_random_numbers() -> Iterator[Any]:
    """Put the global generators back after a run, so that each run draws the same."""
    ours, pythons = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        yield _global_numbers()
    finally:
        np.random.set_state(ours)  # noqa: NPY002
        random.setstate(pythons)


def _copied(x: Any) -> Any:
    return x.copy() if type(x) is np.ndarray else copy.deepcopy(x)


def _as_arrays(tree: Any) -> Any:
    """Make float64 of the leaves of what is differentiated by."""

    def lift(x: Any) -> Any:
        """Make float64 of what is differentiated by."""
        x = x.numpy() if isinstance(x, Tensor) else x
        if isinstance(x, np.ndarray) or np.isscalar(x):
            array = np.asarray(x)
            return array.astype(float) if array.dtype.kind in "fiu" else x
        return x

    return _mapped(tree, lift)


def _plain_data(tree: Any) -> Any:
    """Make plain arrays of the data, in float64 where they were in float32."""

    def lift(x: Any) -> Any:
        """Make float64 of float32, in which no difference could be told from rounding."""
        if isinstance(x, Tensor):
            x = x.numpy()
        return x.astype(float) if isinstance(x, np.ndarray) and x.dtype == np.float32 else x

    return _mapped(tree, lift)


def _mapped(tree: Any, function: Callable[[Any], Any]) -> Any:
    """Apply a function to the leaves of a tree."""
    if isinstance(tree, dict):
        return type(tree)({key: _mapped(a, function) for key, a in tree.items()})
    if type(tree) in (list, tuple):
        return type(tree)(_mapped(a, function) for a in tree)
    return function(tree)


def _hung(tree: Any, supply: Iterator[Any]) -> Any:
    return _mapped(tree, lambda _: next(supply))


def _named(tree: Any, name: str) -> list[tuple[str, Array]]:
    """List the leaves of an argument with their names."""
    if isinstance(tree, dict):
        return [p for key, a in tree.items() for p in _named(a, f"{name}.{key}")]
    if isinstance(tree, list | tuple):
        return [p for k, a in enumerate(tree) for p in _named(a, f"{name}[{k}]")]
    return [(name, tree)]


def agrees(given: Array, right: Array) -> bool:
    """Whether a gradient is the right one: of the same shape but for axes of length 1."""
    given = np.asarray(given)
    if given.shape != right.shape:
        if _squeezed(given) != _squeezed(right):
            return False
        given = given.reshape(right.shape)
    size = float(np.max(np.abs(right), initial=0.0))
    with np.errstate(invalid="ignore"):
        return bool(np.all(np.abs(given - right) <= TOLERANCE * size + 1e-10))


def _squeezed(a: Array) -> tuple[int, ...]:
    return tuple(n for n in a.shape if n != 1)
