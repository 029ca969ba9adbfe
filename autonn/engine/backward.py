"""The backward pass: from a result to everything behind it, the newest first.

That order is always valid, because a tensor can only be made from older ones: no recursion,
however long the chain. Each cotangent, the gradient of the result for one tensor, is spent as soon
as that tensor has passed it on.

There are two passes that do the same. `pull_back` is the one to read: it runs the rules on
Tensors, so that what it returns can be differentiated again. `backpropagate` runs them on arrays,
and is tuned: it touches only what is there, and adds in place what nobody else holds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from heapq import heappop, heappush
from typing import Any

import numpy as np
from numpy import ndarray

from autonn.engine import ops
from autonn.engine.lineage import ancestors, inputs_of
from autonn.engine.modes import Notes, enable_grad, is_recording, is_tracing
from autonn.engine.op import Op
from autonn.engine.tensor import Tensor, leaf, refuse_tracing

__all__ = ["backpropagate", "backward", "pull_back", "seed"]

Ends = list[tuple[Tensor, Any]]  # tensors that a pass was to reach, each with its gradient


def pull_back(roots: Ends, wanted: Sequence[Tensor] | None = None, *, beyond: bool = True) -> Ends:
    """Pull cotangents back from the roots to the leaves, or to the wanted tensors, on Tensors.

    Of wanted tensors one may be made of another, which gets what comes through the first as well,
    unless the pass is not to go `beyond` any.
    """
    ends = {tensor._index for tensor in wanted or ()}
    behind = _behind(roots, ends, beyond)
    useful = None if wanted is None else _useful(behind, ends)
    cotangents: dict[int, Any] = {}
    for root, g in roots:
        _add(cotangents, root, g)
    pull = _vjp if is_recording() is True else _passing(_vjp)
    reached: Ends = []
    for tensor in reversed(behind):
        if tensor._index not in cotangents:
            continue
        g = cotangents.pop(tensor._index)
        _note(g, tensor)
        is_end = tensor._index in ends
        if is_end or tensor._op is None:
            reached.append((tensor, g))
        if beyond or not is_end:
            for k, a in _tracked_arguments(tensor):
                if useful is None or a._index in useful:
                    _add(cotangents, a, pull(tensor, k, g))
    return reached


def _passing(pull: Callable[..., Any]) -> Callable[..., Any]:
    """Let who takes notes look at what a pass does."""
    mode = is_recording()
    return mode.passing(pull) if isinstance(mode, Notes) else pull


def _tracked_arguments(tensor: Tensor) -> list[tuple[int, Tensor]]:
    """List the arguments that a gradient goes to, each with its position."""
    pairs = enumerate(_arguments(tensor))
    return [(k, a) for k, a in pairs if type(a) is Tensor and a._tracked]


def _add(cotangents: dict[int, Any], tensor: Tensor, g: Any) -> None:
    """Add up what reaches a tensor on several ways; None is nothing."""
    if g is not None:
        before = cotangents.get(tensor._index)
        cotangents[tensor._index] = g if before is None else before + g


def _vjp(tensor: Tensor, k: int, g: Any) -> Any:
    """Apply the rule of the k-th argument to Tensors; None where there is no gradient."""
    op, inputs = tensor._op, _inputs(tensor)
    assert op is not None
    if op.variadic:
        d = op.rules[0](k, g, tensor, *inputs, **tensor._attributes)  # type: ignore[misc]
    elif k < len(op.rules) and (rule := op.rules[k]) is not None:
        d = rule(g, tensor, *inputs, **tensor._attributes)
    else:
        return None
    return _fit(d, tensor._saved[k], op)


def _arguments(tensor: Tensor) -> Sequence[Any]:
    """Return what an op was given; `RuntimeError` where the graph was freed."""
    if tensor._op is None:
        return ()
    if tensor._args is None:
        raise RuntimeError(
            f"the graph behind this result ({tensor._op.name}) was freed by an earlier backward(); "
            "pass retain_graph=True there, or compute the result again"
        )
    return tensor._args


def _inputs(tensor: Tensor) -> list[Any]:
    """Give a rule its arguments as Tensors, so that what it computes can be differentiated.

    A leaf that was given new data since would be differentiated at the wrong place. Residuals
    have no derivative: the rule does without them.
    """
    inputs: list[Any] = []
    args, saved = _arguments(tensor), tensor._saved
    for a, value in zip(args, saved, strict=False):
        if not isinstance(a, Tensor):
            inputs.append(a if is_tracing() else value)  # compiled: read where it stands
        elif a._data is value or np.array_equal(a._data, value, equal_nan=True):
            inputs.append(a)
        else:
            raise RuntimeError(
                f"a Tensor of shape {a.shape} got new data between an op and its gradient "
                "with create_graph=True; compute the result again"
            )
    return inputs + [None] * (len(saved) - len(args))


def _behind(roots: Ends, ends: set[int], beyond: bool) -> list[Tensor]:
    """List what lies behind the roots, the oldest first: not beyond the ends, if it is not to."""

    def inputs(tensor: Tensor) -> list[Tensor]:
        return [] if not beyond and tensor._index in ends else inputs_of(tensor)

    return ancestors((root for root, _ in roots), inputs)


def _useful(behind: Sequence[Tensor], ends: set[int]) -> set[int]:
    """Find which tensors lie on a way from the ends to the roots: no other is needed."""
    useful = set(ends)
    for tensor in behind:
        if any(a._index in useful for a in inputs_of(tensor)):
            useful.add(tensor._index)
    return useful


def _note(gradient: Any, tensor: Tensor) -> None:
    """Tell a trace whose gradient this is: compiled source is named after it."""
    trace = is_tracing()
    if trace is not None and isinstance(gradient, Tensor):
        trace.gradients.setdefault(gradient._index, tensor._index)


# ---- the edge: shapes and dtypes


def _fit(gradient: Any, value: Any, op: Op) -> Any:
    """Bring what a rule returned to the shape and dtype of its argument.

    Summing is right only over what broadcasting added or stretched: anything else is a wrong
    rule, and is not allowed to pass as one.
    """
    if gradient.shape != value.shape:
        if not _stretches_to(value.shape, gradient.shape):
            raise AssertionError(
                f"a rule of {op.name} returned shape {gradient.shape} for an argument of shape "
                f"{value.shape}, which broadcasting cannot explain"
            )
        summed = ops.summed_to if type(gradient) is ndarray else ops.sum_to
        gradient = summed(gradient, value.shape)
    if gradient.dtype != value.dtype:
        gradient = ops.cast(gradient, value.dtype)
    return gradient


def _stretches_to(shape: tuple[int, ...], larger: tuple[int, ...]) -> bool:
    """Whether broadcasting could have made the larger shape out of the other."""
    last = larger[len(larger) - len(shape) :]
    if shape == last:  # axes were added in front, as to a bias
        return True
    return len(shape) <= len(larger) and all(a in (b, 1) for a, b in zip(shape, last, strict=True))


# ---- the tuned pass, on arrays


class _Pending:
    """The gradients that were not passed on yet, the youngest tensor first.

    `newest` is a heap of all but the leaves, which wait for what others add until the end; `ours`
    are those that this pass alone holds, and may add to in place.
    """

    __slots__ = ("ends", "newest", "ours")

    def __init__(self, roots: Ends) -> None:
        self.ends: dict[int, tuple[Tensor, Any]] = {}
        self.newest: list[int] = []
        self.ours: set[int] = set()
        for root, g in roots:
            if root._index in self.ends:
                self.add(root._index, g)
            else:
                self.ends[root._index] = (root, g)
                if root._op is not None:
                    heappush(self.newest, -root._index)

    def add(self, index: int, d: Any) -> None:
        """Add to the gradient of a tensor that has one."""
        if d.nbytes > 4096 and _is_sole_owner(self.ends[index]):
            self.ours.add(index)  # below, a sum of its own costs less than the question
        tensor, gradient = self.ends[index]
        if index in self.ours:
            gradient += d
            return
        self.ends[index] = (tensor, gradient + d)
        if d.ndim:  # a sum of 0-d arrays is a NumPy scalar
            self.ours.add(index)


def backpropagate(
    roots: Ends,
    *,
    retain: bool = False,
    wanted: Sequence[Tensor] | None = None,
    beyond: bool = True,
) -> Ends:
    """Pull arrays back from the roots, and return ``(tensor, gradient)`` for each end reached.

    The ends are the leaves, or the `wanted` tensors, `beyond` which the pass goes to others, as in
    `pull_back`. The graph is given back on the way, unless it is to be retained.
    """
    through = {tensor._index for tensor in wanted or ()}
    useful = None if wanted is None else _useful(_behind(roots, through, beyond), through)
    pending, passed = _Pending(roots), []
    ends, newest = pending.ends, pending.newest
    spend = _spend if is_recording() is True else _passing(_spend)  # once a pass: 0.05 us
    while newest:
        tensor, g = ends.pop(-heappop(newest))
        if tensor._index in through:
            passed.append((tensor, g))
            if not beyond:
                continue
        op, args = tensor._op, tensor._args
        if op is None or args is None:
            _arguments(tensor)  # which says that the graph was freed
            continue
        spend(tensor, op, args, g, pending, useful)
        if not retain:
            tensor._args = tensor._saved = tensor._locks = None
    return [*passed, *ends.values()]


def _spend(
    tensor: Tensor, op: Op, args: Any, g: Any, pending: _Pending, useful: set[int] | None
) -> None:
    """Give each argument of the op that made a tensor its part of the gradient."""
    z, saved, attributes = tensor._data, tensor._saved, tensor._attributes
    ends, n, k = pending.ends, len(args), -1
    for rule in op.rules if not op.variadic else _rules_by_place(op, n):
        k += 1  # by hand: zip takes longer
        if k == n:
            break  # what is left out has no gradient
        a = args[k]
        if type(a) is not Tensor or not a._tracked or rule is None:
            continue
        index, value = a._index, saved[k]
        if useful is not None and index not in useful:
            continue
        d = rule(g, z, *saved, **attributes) if attributes else rule(g, z, *saved)
        if d.shape != value.shape or d.dtype is not value.dtype:
            d = _fit(d, value, op)
        if index in ends:
            pending.add(index, d)
            continue
        ends[index] = (a, d)  # here, not by a call: that takes 3 % of a small network's step
        if a._op is not None:
            heappush(pending.newest, -index)


def _rules_by_place(op: Op, n: int) -> list[Any]:
    """Make the rules of the arguments of a variadic op, which has one that asks for the place."""
    (rule,) = op.rules
    assert rule is not None
    return [partial(rule, k) for k in range(n)]


def _count(end: Sequence[Any]) -> int:
    return sys.getrefcount(end[1])


_SOLE = _count([None, np.zeros(1)])


def _is_sole_owner(end: Sequence[Any]) -> bool:
    """Whether the gradient is nobody else's, so that it may be kept or added to without a copy."""
    return _count(end) == _SOLE and type(end[1]) is ndarray and end[1].base is None


# ---- backward, and what it starts from


def backward(
    self: Tensor, gradient: Any = None, retain_graph: bool = False, create_graph: bool = False
) -> None:
    """Add d self / d leaf, times the gradient given, to the ``.grad`` of every leaf behind.

    Parameters
    ----------
    gradient
        The incoming gradient, of this tensor's shape; may be left out for a single element.
    retain_graph
        Keep the graph for another pass; otherwise its memory is given back on the way.
    create_graph
        Make the gradients Tensors, which can be differentiated again; retains the graph.

    Raises
    ------
    RuntimeError
        If nothing behind it requires a gradient, if the graph was freed by an earlier pass, or
        without a gradient where there are several elements.
    ValueError, TypeError
        For a gradient of another shape or dtype.

    Examples
    --------
    >>> x = Tensor(3.0, requires_grad=True)
    >>> (x**3).backward(create_graph=True)
    >>> x.grad
    Tensor(27., requires_grad=True)
    """
    refuse_tracing(self, "backward() on")
    if not self._tracked:
        raise RuntimeError(
            "backward() on a Tensor that nothing with requires_grad=True led to; "
            "make the parameters with requires_grad=True, outside no_grad"
        )
    start = seed(self, gradient, create_graph)
    if create_graph:
        with enable_grad():
            reached = pull_back([(self, start)])
    else:
        reached = backpropagate([(self, start)], retain=retain_graph)
        del start
    for end in reached:
        tensor = end[0]
        if tensor.grad is not None:
            tensor.grad = tensor.grad + end[1]
        elif create_graph or _is_sole_owner(end):
            tensor.grad = end[1]
        else:
            tensor.grad = np.array(end[1], order="C")


setattr(Tensor, "backward", backward)  # noqa: B010


def seed(root: Tensor, gradient: Any, create_graph: bool) -> Any:
    """Check the incoming gradient, or make the 1 that a single element starts from."""
    if gradient is None:
        if root._data.size != 1:
            raise RuntimeError(
                f"backward() on a Tensor of shape {root.shape} needs a gradient of that shape; "
                "only a single number, as a mean or a sum gives, may go without"
            )
        if create_graph:
            return leaf(np.ones(root.shape, root.dtype))
        return np.ones(root.shape, root.dtype) if root.ndim else root.dtype.type(1)
    if isinstance(gradient, Tensor):
        gradient = gradient if create_graph else gradient._data
    elif not isinstance(gradient, ndarray):
        gradient = Tensor(gradient)._data
        if gradient.dtype.kind in "iuf":
            gradient = gradient.astype(root.dtype)
    if gradient.dtype != root.dtype:
        raise TypeError(
            f"an incoming gradient of {gradient.dtype} for a Tensor of {root.dtype}; cast it first"
        )
    if gradient.shape != root.shape:
        raise ValueError(
            f"an incoming gradient of shape {gradient.shape} for a Tensor of shape {root.shape}; "
            "they must be the same"
        )
    return leaf(gradient) if create_graph and not isinstance(gradient, Tensor) else gradient
