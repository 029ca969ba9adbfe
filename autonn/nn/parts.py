"""What a dict or a tuple of several inputs is to the `forward` of a module."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from contextlib import suppress
from typing import Any


def parts_of(forward: Any, x: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return what a dict or a tuple is to `forward`: several arguments, or else the only one.

    >>> parts_of(lambda left, right: ..., {"right": 1, "left": 2})
    ((2, 1), {})
    >>> parts_of(lambda x: ..., {"right": 1, "left": 2})
    (({'right': 1, 'left': 2},), {})
    """
    signature = inspect.signature(forward)
    with suppress(TypeError):  # it has other names, or takes another number
        if isinstance(x, dict):
            bound = signature.bind(**x)
            return (bound.args, bound.kwargs) if bound.args else ((x,), {})
        if len(needed_by(forward)) > 1:
            bound = signature.bind(*x)
            return bound.args, bound.kwargs
    if isinstance(x, dict):
        refuse_other_names(forward, x)
    return (x,), {}


def needed_by(forward: Any) -> list[str]:
    """Name the arguments that `forward` can't do without.

    >>> needed_by(lambda x, lengths, state=None: ...)
    ['x', 'lengths']
    """
    takes = inspect.signature(forward).parameters.values()
    return [p.name for p in takes if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]


def refuse_other_names(forward: Any, given: Iterable[str]) -> None:
    """Raise `TypeError` for a dict of other names, where it can't be the one argument either.

    >>> refuse_other_names(lambda left, right: ..., {"left": 1, "rihgt": 2})
    Traceback (most recent call last):
    TypeError: forward takes left, right, and a dict of left, rihgt was given; name them alike
    """
    needed = needed_by(forward)
    if len(needed) > 1:
        owner = getattr(forward, "__self__", None)
        who = "forward" if owner is None else f"{type(owner).__name__}.forward"
        raise TypeError(
            f"{who} takes {', '.join(needed)}, and a dict of {', '.join(map(str, given))} was "
            "given; name them alike"
        )
