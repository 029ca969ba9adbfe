"""An autodiff so plain that one sees it is right: what the engine is compared with.

What moves numbers (indexing, broadcasting, joining) is `arrange`: NumPy shows how by moving their
numbers. The rest is formulas and sums. Gradients are made of the same nodes: they have gradients.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from scipy.special import expit

Formula = Callable[["Node"], "Node"]


class Node:
    """A value, and for each parent the function that takes a gradient back to it."""

    ages = itertools.count()

    def __init__(self, value: Any, *parents: tuple[Node, Formula]) -> None:
        self.value = np.array(value, float)  # nobody else can change it
        self.parents, self.age = parents, next(self.ages)

    def __add__(self, other: Node) -> Node:
        x, y = aligned(self, other)
        return Node(x.value + y.value, (x, lambda g: g), (y, lambda g: g))

    def __mul__(self, other: Node) -> Node:
        x, y = aligned(self, other)
        return Node(x.value * y.value, (x, lambda g: g * y), (y, lambda g: g * x))

    def __pow__(self, n: float) -> Node:
        return Node(self.value**n, (self, lambda g: g * Node(n) * self ** (n - 1 if n else 1)))


def arrange(xs: Sequence[Node], how: Callable[..., Any]) -> Node:
    """Move elements as `how` moves their numbers; the xs are numbered one after another."""
    flat, k = np.concatenate([x.value.ravel() for x in xs]), 0
    numbers = [np.arange(k, k := k + x.value.size).reshape(x.value.shape) for x in xs]
    parents = ((x, partial(pick, at=n)) for n, x in zip(numbers, xs, strict=True))
    return pick(Node(flat, *parents), np.asarray(how(*numbers)))


def pick(x: Node, at: Any) -> Node:
    return Node(x.value[at], (x, lambda g: scatter(g, at, x.value.size)))


def scatter(x: Node, at: Any, size: int) -> Node:
    """Add each element of x to its place among `size` zeros; the way back is `pick`."""
    return Node(np.bincount(at.ravel(), x.value.ravel(), size), (x, lambda g: pick(g, at)))


def aligned(*xs: Node) -> list[Node]:
    shape = np.broadcast_shapes(*(x.value.shape for x in xs))
    wide = partial(np.broadcast_to, shape=shape)
    return [x if x.value.shape == shape else arrange([x], wide) for x in xs]


def sum_over(x: Node, axis: Any) -> Node:
    kept = np.sum(x.value, axis=axis, keepdims=True)
    places = np.broadcast_to(np.arange(kept.size).reshape(kept.shape), x.value.shape)
    return arrange([scatter(x, places, kept.size)], lambda n: n.reshape(kept.shape))


def matmul(x: Node, y: Node) -> Node:
    ends = (-2, *(i for i, a in ((-3, x), (-1, y)) if a.value.ndim == 1))
    rows = arrange([x], lambda n: np.atleast_2d(n)[..., :, :, None])
    columns = arrange([y], lambda n: (n if n.ndim > 1 else n[:, None])[..., None, :, :])
    return arrange([sum_over(rows * columns, -2)], lambda n: np.squeeze(n, ends))


def formula(f: Callable[[Any], Any], slope: Formula) -> Formula:
    return lambda x: Node(f(x.value), (x, lambda g: g * slope(x)))


exp: Formula = formula(np.exp, lambda x: exp(x))
log: Formula = formula(np.log, lambda x: x**-1)
sin: Formula = formula(np.sin, lambda x: sin(x + Node(np.pi / 2)))
tanh: Formula = formula(np.tanh, lambda x: Node(1) + Node(-1) * tanh(x) ** 2)
sigmoid: Formula = formula(expit, lambda x: sigmoid(x) * sigmoid(Node(-1) * x))


def gradients(root: Node, wanted: Sequence[Node]) -> tuple[list[Node], float]:
    """Return d root / d each wanted, and the largest number met: rounding is relative to it."""
    total, largest, ready = {root: Node(np.ones(root.value.shape))}, 1.0, {root}
    while ready:
        node = max(ready, key=lambda n: n.age)  # whatever uses a node is younger
        ready.remove(node)
        for parent, back in node.parents:
            part = back(total[node])
            total[parent] = total[parent] + part if parent in total else part
            largest = max(largest, np.abs(part.value).max(initial=0))
            ready.add(parent)
    return [total.get(w, Node(np.zeros(w.value.shape))) for w in wanted], largest
