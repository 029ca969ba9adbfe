"""Slopes along random directions: a wrong one of any number shows, in two questions for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tools.oprows import Array, Random

from autonn import gradcheck

__all__ = ["along", "check_along"]


def along(f: Callable[..., Any], args: tuple[Array, ...], rng: Random) -> Callable[..., Any]:
    """Make a function of how far its arguments are moved along each of two directions."""
    ways = [rng.uniform(-1, 1, (2, *a.shape)) for a in args]

    def moved(t: Any) -> Any:
        return f(*(a + t[0] * u + t[1] * v for a, (u, v) in zip(args, ways, strict=True)))

    return moved


def check_along(f: Callable[..., Any], *args: Array) -> None:
    """Check gradients of both orders by `gradcheck`, which asks for a slope by each number."""
    moved = along(f, args, np.random.default_rng(0))
    assert gradcheck(moved, np.zeros(2), order=2, projections=2)
