"""A checker is trusted only after it was seen to fail: here a wrong rule is planted for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from autonn.engine.op import OPS


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
