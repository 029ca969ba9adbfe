"""Turning the arrays that a program returns into what the function would have returned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autonn.compiler.trace import Traced
from autonn.engine.recompute import Recomputed, recomputed_op
from autonn.engine.tensor import Array, Tensor, leaf
from autonn.engine.trees import tree_leaves, tree_unflatten

__all__ = ["Finish"]


class Finish:
    """Hangs results on the form of the function's own; a loss gets a graph to its parameters."""

    def __init__(self, f: Callable[..., Any], traced: Traced, wraps: bool) -> None:
        self.f, self.form, self.outside = f, traced.graph.form, traced.outside
        self.ready, self.wraps = traced.has_gradients, wraps
        self.tracked, self.tensors = traced.tracked, traced.tensors
        self.buffers = traced.buffers

    def __call__(self, row: tuple[Any, ...], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the result of a call of the program."""
        for buffer, value in zip(self.buffers, row[len(row) - len(self.buffers) :], strict=True):
            buffer.data = value
        leaves = list(row[: len(self.tensors)])
        for k, value in enumerate(leaves):
            if self.tracked[k]:
                leaves[k] = self.node(k, np.asarray(value), row, args, kwargs)
            elif self.wraps and self.tensors[k]:
                leaves[k] = leaf(np.asarray(value))
        return tree_unflatten(self.form, leaves)

    def node(
        self, k: int, value: Array, row: tuple[Any, ...], args: tuple[Any, ...], kwargs: Any
    ) -> Tensor:
        """Make a Tensor that knows its gradients, or how to compute itself again for them."""
        again = _RecomputedProgram(
            lambda *args: tree_leaves(self.f(*args, **kwargs))[k], args, self.outside
        )
        gradients = row[len(self.tensors) : len(self.tensors) + len(self.outside)]
        again.ready = gradients if self.ready else None
        return again.node(_COMPILED, value)


class _RecomputedProgram(Recomputed):
    """The gradients of a compiled result: those that its program computed, or computed again."""

    ready: tuple[Array, ...] | None = None

    def gradients(self, g: Any) -> list[Any]:
        if self.ready is None or isinstance(g, Tensor):
            return super().gradients(g)
        if self.pulled is None or self.pulled[0] is not g:
            self.pulled = g, [r if g == 1 else g * r for r in self.ready]
        return self.pulled[1]


_COMPILED = recomputed_op("compiled", "z = f(x), compiled")
