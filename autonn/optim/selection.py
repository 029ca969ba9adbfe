"""Which parameters are meant: by patterns of their names, or by the modules that hold them."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from typing import Any

from autonn.engine.tensor import Tensor
from autonn.nn.module import Module

__all__ = ["dealt", "matches", "named_tensors"]


def matches(name: str, pattern: str) -> bool:
    """Whether the name of a parameter fits a pattern, or is below a module of that name.

    ``*`` stands for anything, also for dots; ``?`` and ``[...]`` as in the names of files.

    >>> [matches("0.weight", pattern) for pattern in ("0", "*.weight", "0.*", "1", "weight")]
    [True, True, True, False, False]
    """
    return name.startswith(f"{pattern}.") or fnmatch.fnmatchcase(name, pattern)


def dealt(
    name: str, keys: Iterable[Any], parameters: Mapping[str, Tensor]
) -> tuple[dict[Any, list[str]], list[str]]:
    """Deal names out to the first key each that they fit; return them, and those that fit none.

    Parameters
    ----------
    name
        What messages begin with.
    keys
        Patterns, modules, or Tensors.
    parameters
        All there are, by name.

    Raises
    ------
    ValueError, TypeError
        For a key that none fits, with all names; for one of another kind.

    Examples
    --------
    >>> from autonn import Layer, Sequential
    >>> model = Sequential(Layer(2, 3), Layer(3, 1))
    >>> dealt("groups", ["*.bias", "0"], dict(model.named_parameters()))
    ({'*.bias': ['0.bias', '1.bias'], '0': ['0.weight']}, ['1.weight'])
    """
    left = list(parameters)
    found: dict[Any, list[str]] = {}
    for key in keys:
        fitting = [each for each in parameters if _fits(name, key, each, parameters[each])]
        if not fitting:
            shown = repr(key) if not isinstance(key, Tensor) else f"a Tensor {key.shape}"
            raise ValueError(
                f"{name}: no parameter fits {shown}; there are {', '.join(parameters)}"
            )
        found[key] = [each for each in fitting if each in left]
        left = [each for each in left if each not in found[key]]
    return found, left


def named_tensors(parameters: Module | Iterable[Tensor]) -> dict[str, Tensor]:
    """Return parameters by name: a module's by their own, those of a list by their position.

    >>> list(named_tensors([Tensor(1.0, requires_grad=True)]))
    ['0']
    """
    if isinstance(parameters, Module):
        return dict(parameters.named_parameters())
    return {str(k): parameter for k, parameter in enumerate(parameters)}


def _fits(name: str, key: Any, each: str, parameter: Tensor) -> bool:
    if isinstance(key, str):
        return matches(each, key)
    if isinstance(key, Module):
        return any(parameter is held for held in key.parameters())
    if isinstance(key, Tensor):
        return parameter is key
    raise TypeError(
        f"{name}: parameters are meant by patterns of their names, as '*.bias', or by modules, not "
        f"by {key!r}"
    )
