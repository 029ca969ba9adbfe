"""Combinations for a test of several choices: every day each two together, in CI all."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from tools.profiles import THOROUGH

__all__ = ["combinations", "pairwise"]

Combination = tuple[Any, ...]


def pairwise(*choices: Iterable[Any]) -> list[Combination]:
    """Pick a few combinations in which every two values of two choices meet.

    A fault that takes no more than two choices to show, as most do (Kuhn, Wallace and Gallo 2004,
    IEEE Transactions on Software Engineering 30), shows in one of them.
    """
    values = tuple(map(tuple, choices))
    every = list(itertools.product(*(range(len(some)) for some in values)))
    left = set().union(*map(_meeting, every))
    picked: list[tuple[int, ...]] = []
    while left:
        picked.append(max(every, key=lambda row: len(left & _meeting(row))))
        left -= _meeting(picked[-1])
    return [tuple(v[i] for v, i in zip(values, row, strict=True)) for row in sorted(picked)]


def _meeting(row: Sequence[int]) -> set[Any]:
    """Return which two places of a row have which values; of a row of one, that one."""
    return set(itertools.combinations(enumerate(row), min(2, len(row))))


def combinations(*choices: Iterable[Any]) -> list[Combination]:
    """Return all combinations where a run is thorough, and every two together every day."""
    values = tuple(map(tuple, choices))
    return list(itertools.product(*values)) if THOROUGH else pairwise(*values)
