"""Turning the arrays that a program returns into what the function would have returned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from autonn.compiler.trace import Traced
from autonn.engine.lineage import age_of, sources_since
from autonn.engine.recompute import Recomputed, recomputed_op
from autonn.engine.tensor import Array, Tensor, leaf, values_of
from autonn.engine.trees import tree_leaves, tree_unflatten

__all__ = ["Finish", "on_tensors", "wrapping"]


def on_tensors(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run a function without a program, but on Tensors, so that all that it computes is seen.

    >>> on_tensors(lambda x: x * 2, (np.array([1.0]),), {})
    array([2.])
    """
    leaves = tree_leaves((args, kwargs))
    given = any(isinstance(a, Tensor) for a in leaves)
    start = age_of(leaf(np.zeros(())))
    lifted = [leaf(np.array(a)) if isinstance(a, np.ndarray) else a for a in leaves]
    full, named = tree_unflatten((args, kwargs), lifted)
    result = f(*full, **named)
    found = [a if given else _plain(a, start) for a in tree_leaves(result)]
    return tree_unflatten(result, found)


def _plain(a: Any, start: int) -> Any:
    """Return an array for a Tensor, but for one that leads to parameters that were there before."""
    if not isinstance(a, Tensor):
        return a
    before = [t for t in sources_since(a, start) if age_of(t) < start and t.requires_grad]
    return a if before else values_of(a)[()]


def wrapping(form: Any, tensors: Sequence[bool]) -> Callable[[Any, Any, Any], Any]:
    """Return what makes Tensors of some of the arrays in a result, of plain tuples, lists, dicts.

    It is a flat expression: that takes 0.4 microseconds, and `Finish` 1.7, of 40 of a small step.

    >>> wrapping((None, [None]), [True, False])((np.ones(1), [2.0]), (), {})
    (Tensor([1.]), [2.0])
    """
    text = _wrapped(form, iter(tensors), "result")
    names = {"leaf": leaf, "asarray": np.asarray}
    made: Callable[[Any, Any, Any], Any] = eval(f"lambda result, args, kwargs: {text}", names)
    return made


def _wrapped(form: Any, tensors: Iterator[bool], path: str) -> str:
    """Write the expression of a result, where those that are no Tensors are taken as they stand."""
    if form is None:
        return f"leaf(asarray({path}))" if next(tensors) else path
    keys = list(form) if isinstance(form, dict) else list(range(len(form)))
    parts = [(key, f"{path}[{key!r}]") for key in keys]
    texts = [_wrapped(form[key], tensors, part) for key, part in parts]
    if texts == [part for _, part in parts]:
        return path
    if isinstance(form, dict):
        pairs = zip(keys, texts, strict=True)
        return "{" + "".join(f"{key!r}: {text}, " for key, text in pairs) + "}"
    inside = "".join(f"{text}, " for text in texts)
    return f"[{inside}]" if isinstance(form, list) else f"({inside})"


class Finish:
    """Hangs results on the form of the function's own; a loss gets a graph to its parameters."""

    def __init__(self, f: Callable[..., Any], traced: Traced, tensors: Sequence[bool]) -> None:
        self.f, self.form, self.outside = f, traced.graph.form, traced.outside
        self.ready, self.tracked, self.tensors = traced.has_gradients, traced.tracked, tensors
        self.buffers = traced.buffers

    def __call__(self, row: tuple[Any, ...], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the result of a call of the program."""
        for buffer, value in zip(self.buffers, row[len(row) - len(self.buffers) :], strict=True):
            buffer.data = value
        leaves = list(row[: len(self.tensors)])
        for k, value in enumerate(leaves):
            if self.tracked[k]:
                leaves[k] = self.node(k, np.asarray(value), row, args, kwargs)
            elif self.tensors[k]:
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
