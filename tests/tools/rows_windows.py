"""Rows of the ops that slide windows: their values by loops, on shapes that leave no axis alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from oracles import convolutions
from tools.oprows import SMALL, Array, Random, Row, distinct, whole

from autonn.engine import ops

HOW = ((2, 1), (1, 2), ((1, 0), (2, 1)))  # stride, dilation, padding
PLAIN = ((1, 1), (1, 1), ((1, 1), (0, 1)))
APART = ((2, 2), (1, 1), ((0, 0), (0, 0)))
ROWS = ((1,), (1,), ((1, 0),))  # along one axis


def named(how: Any) -> dict[str, Any]:
    return dict(zip(("stride", "dilation", "padding"), how, strict=True))


def _drawn(*shapes: tuple[int, ...]) -> Callable[..., tuple[Array, ...]]:
    def draw(rng: Random, tame: bool = False) -> tuple[Array, ...]:
        return tuple(SMALL.draw(rng, shape, tame) for shape in shapes)

    return draw


def _beside(*shapes: tuple[int, ...]) -> Callable[..., tuple[Array, ...]]:
    """Draw an array, and one of numbers no two of which are close."""

    def draw(rng: Random, tame: bool = False) -> tuple[Array, ...]:
        return SMALL.draw(rng, shapes[0], tame), *distinct(shapes[1])(rng)

    return draw


def _conv(x: tuple[int, ...], w: tuple[int, ...], groups: int, how: Any) -> list[Row]:
    """Make the rows of the three ways to read one sum."""
    z = (x[0], w[0], *convolutions.counts(x[2:], w[2:], how))
    more = {"groups": groups} | named(how)
    return [
        whole(
            "conv", lambda a, b: ops.conv(a, b, **more), _drawn(x, w), exact=False,
            value=lambda a, b: convolutions.conv2d(a, b, groups, how),
        ),
        whole(
            "conv_transpose", lambda a, b: ops.conv_transpose(a, b, shape=(len(a), *x[1:]), **more),
            _drawn(z, w), exact=False,
            value=lambda a, b: convolutions.conv_transpose2d(a, b, x[2:], groups, how),
        ),
        whole(
            "conv_weight", lambda a, b: ops.conv_weight(a, b, shape=w, **more),
            _drawn(x, z), exact=False,
            value=lambda a, b: convolutions.conv_weight(a, b, w, groups, how),
        ),
    ]  # fmt: skip


def _pool(x: tuple[int, ...], size: Any, how: Any) -> list[Row]:
    z = (*x[:2], *convolutions.counts(x[2:], size, how))
    more = {"size": size} | named(how)
    return [
        whole(
            "windows", lambda a: ops.windows(a, **more), _drawn(x),
            value=lambda a: convolutions.windows(a, size, how),
        ),
        whole(
            "add_windows", lambda a: ops.add_windows(a, shape=(len(a), *x[1:]), **more),
            _drawn((*z[:2], *size, *z[2:])), exact=False,
            value=lambda a: convolutions.add_windows(a, x[2:], size, how),
        ),
        whole(
            "pool_max", lambda a: ops.pool_max(a, **more), distinct(x),
            value=lambda a: convolutions.max_pool2d(a, size, how),
        ),
        whole(
            "share_max", lambda g, a: ops.share_max(g, a, ops.pool_max(a, **more), **more),
            _beside(z, x), exact=False,
            value=lambda g, a: convolutions.share_max(g, a, size, how),
        ),
        whole(
            "mean_at_max", lambda c, a: ops.mean_at_max(c, a, ops.pool_max(a, **more), **more),
            _beside(x, x), exact=False,
            value=lambda c, a: convolutions.mean_at_max(c, a, size, how),
        ),
    ]  # fmt: skip


def _one_axis(x: Array) -> Array:
    """Lay out pairs of neighbours, the first with a zero before it."""
    return np.stack([np.concatenate([np.zeros_like(x[:, :1]), x[:, :-1]], axis=1), x], axis=1)


WINDOW_ROWS: list[Row] = [
    *_pool((2, 1, 3, 4), (2, 2), HOW),
    *_pool((1, 2, 4, 3), (2, 2), APART),
    whole(
        "windows", lambda a: ops.windows(a, size=(2,), **named(ROWS)), "mn", value=_one_axis
    ),
    *_conv((2, 2, 3, 4), (1, 2, 2, 2), 1, HOW),
    *_conv((1, 2, 3, 2), (2, 1, 2, 2), 2, PLAIN),
    *_conv((2, 2, 3, 3), (3, 2, 1, 1), 1, APART),
]  # fmt: skip
