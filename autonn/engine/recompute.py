"""Results that compute themselves again for their gradients, in place of keeping what is inside."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autonn.engine.backward import seed
from autonn.engine.lineage import age_of, sources_since
from autonn.engine.modes import enable_grad, is_tracing, surroundings
from autonn.engine.op import Memory, Op, mixes_rows
from autonn.engine.ownership import protect_saved
from autonn.engine.tensor import Tensor, leaf, record
from autonn.engine.transforms import Kind, pulled_back

__all__ = ["Recomputed", "checkpoint", "recomputed_op"]


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """Make the function that forgets what is inside `f`, and computes it again on the way back.

    It trades time for memory: of a chain of checkpointed parts, one at a time is held. Gradients
    reach the arguments and all that `f` reads besides, a model's parameters too. `f` must compute
    the same each time.

    >>> x = Tensor([0.5, 1.0], requires_grad=True)
    >>> np.sum(checkpoint(lambda x: np.exp(np.sin(x)))(x)).backward()
    >>> bool(np.allclose(x.grad, np.exp(np.sin(x.data)) * np.cos(x.data)))
    True
    """

    @functools.wraps(f)
    def forgetful(*args: Any) -> Any:
        """Compute the result and forget all that is inside."""
        if is_tracing():  # a compiled program plans its own memory
            return f(*args)
        start = age_of(leaf(np.zeros(())))
        result = f(*args)
        if not isinstance(result, Tensor) or not result.requires_grad:
            return result
        outside = sources_since(result, start)
        return Recomputed(f, args, outside).node(_CHECKPOINT, result._data)

    return forgetful


class Recomputed:
    """Computes a function a second time, once for all the gradients of a pass.

    `outside` is what the function reads from around it and its gradients are for.
    """

    def __init__(
        self, f: Callable[..., Any], args: Sequence[Any], outside: Sequence[Tensor]
    ) -> None:
        self.f, self.args, self.outside = f, list(args), tuple(outside)
        self.values = [t._data for t in outside]
        self.locks = protect_saved(tuple(args), self.args)
        self.around = surroundings.get()
        self.pulled: tuple[Any, list[Any]] | None = None

    def node(self, op: Op, value: Any) -> Tensor:
        """Make the result, which remembers how it can be computed again."""
        out = leaf(value)
        out._tracked = True
        record(out, op, self.outside, self.values, {"again": self}, self.locks)
        return out

    def gradients(self, g: Any) -> list[Any]:
        """Return the gradients for all that is outside."""
        if self.pulled is None or self.pulled[0] is not g:
            if any(t._data is not v for t, v in zip(self.outside, self.values, strict=True)):
                raise RuntimeError(
                    "a Tensor that a checkpointed function reads got new data before backward(); "
                    "compute the result again"
                )
            with enable_grad(), self.around():
                result = self.f(*self.args)
            kind = Kind.TENSORS if isinstance(g, Tensor) else Kind.ARRAYS
            root = (result, seed(result, g, bool(kind)))
            # what lies behind the outside gets its part from the pass that asks here
            self.pulled = g, pulled_back([root], self.outside, kind, beyond=False)
        return self.pulled[1]


def recomputed_op(name: str, formula: str) -> Op:
    """Declare what stands for a whole function, whose gradients a `Recomputed` knows."""
    rule = lambda k, g, z, *inputs, again: again.gradients(g)[k]  # noqa: E731
    return Op(
        name, lambda x: x, formula, (rule,),
        variadic=True, rows=mixes_rows, memory=Memory.MAY_ALIAS,
    )  # fmt: skip


_CHECKPOINT = recomputed_op("checkpoint", "z = f(x), computed again for the gradient")
