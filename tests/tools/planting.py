"""A checker is trusted only after it was seen to fail: here a wrong rule is planted for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from autonn.engine.op import OPS, Op


@contextmanager
def planted(op: str, position: int, wrong: Callable[..., Any]) -> Iterator[None]:
    """Replace one rule of an op; the wrong one is told the right result first."""
    rules = OPS[op].rules
    right = rules[position]
    assert right is not None
    replaced = [*rules]
    replaced[position] = lambda *args, **static: wrong(right(*args, **static), *args)
    object.__setattr__(OPS[op], "rules", tuple(replaced))
    try:
        yield
    finally:
        object.__setattr__(OPS[op], "rules", rules)


@contextmanager
def planted_trait(op: Op, **wrong: Any) -> Iterator[None]:
    """Let an op say something else of itself."""
    right = {name: getattr(op, name) for name in wrong}
    for name, value in wrong.items():
        object.__setattr__(op, name, value)
    try:
        yield
    finally:
        for name, value in right.items():
            object.__setattr__(op, name, value)


@contextmanager
def another(thing: Any, name: Any, value: Any) -> Iterator[None]:
    """Replace what a name of a module, or an entry of a dict, stands for."""
    if isinstance(thing, dict):
        before = thing[name]
        thing[name] = value
    else:
        before = getattr(thing, name)
        setattr(thing, name, value)
    try:
        yield
    finally:
        if isinstance(thing, dict):
            thing[name] = before
        else:
            setattr(thing, name, before)
