"""The record of a run, differentiated: the values on the way to a cost, and its slope at each.

The calls are run again on Tensors, so that the derivatives are autonn's. Each operand passes
through a step of its own that changes nothing: the gradient there is what this call alone sends
back, before what other calls send is added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autonn.engine import ops
from autonn.engine.modes import enable_grad
from autonn.engine.tensor import Array, Tensor
from autonn.engine.transforms import gradients
from autonn.teach.reviewing.recording import Node, add_at, put

__all__ = ["Derivation", "NotDifferentiated", "behind", "derive"]


class NotDifferentiated(Exception):
    """A cost whose record cannot be differentiated."""


@dataclass
class Derivation:
    """What was derived of a cost.

    Attributes
    ----------
    nodes
        The values that it depends on and that depend on the arguments, in the order of the run.
    slopes
        The gradient of the cost for each of them.
    sent
        By the position of a value, what each call that used it sends back, with that call's own
        position.
    """

    nodes: list[Node] = field(default_factory=list)
    slopes: list[Array] = field(default_factory=list)
    sent: dict[int, list[tuple[int, Array]]] = field(default_factory=dict)


def _inside(x: Any) -> Iterable[Node]:
    """Yield the nodes in an argument, also in lists and tuples."""
    if isinstance(x, Node):
        yield x
    elif isinstance(x, list | tuple):
        for part in x:
            yield from _inside(part)


def behind(roots: Iterable[Node]) -> list[Node]:
    """List the tracked nodes that some depend on, themselves included, the first computed first."""
    order: list[Node] = []
    seen: set[int] = set()
    stack = [(root, False) for root in roots if root.tracked]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            parts = _inside([node.args, list(node.kwargs.values())])
            stack += [(a, False) for a in parts if a.tracked and id(a) not in seen]
    return order


def derive(cost: Node, extra: Iterable[Node] = ()) -> Derivation:
    """Differentiate a cost by every value that it depends on; `NotDifferentiated` if it fails."""
    nodes = behind([cost])
    if not nodes:
        raise NotDifferentiated("the cost does not depend on what it is differentiated by")
    place = {id(node): k for k, node in enumerate(nodes)}
    tensors: list[Tensor] = []
    uses: list[tuple[int, int, Tensor]] = []
    with enable_grad(), np.errstate(all="ignore"):
        for k, node in enumerate(nodes):
            tensors.append(_again(node, k, place, tensors, uses))
        result: Any = tensors[-1].reshape(()) if tensors[-1].shape else tensors[-1]
        if not result.requires_grad:
            raise NotDifferentiated("the cost does not depend on what it is differentiated by")
        found = gradients(result, [*tensors, *(tensor for _, _, tensor in uses)])
    slopes = found[: len(tensors)]
    sent: dict[int, list[tuple[int, Array]]] = {}
    for (source, user, _), slope in zip(uses, found[len(tensors) :], strict=True):
        sent.setdefault(source, []).append((user, slope))
    return Derivation(nodes, slopes, sent)


def _in_place(x: Any, k: int, place: dict[int, int], tensors: list[Tensor], uses: list[Any]) -> Any:
    """Put Tensors in the place of nodes, and note that the call k uses them."""
    if isinstance(x, Node):
        if id(x) not in place:
            return x.value
        step = ops.positive(tensors[place[id(x)]])
        uses.append((place[id(x)], k, step))
        return step
    if type(x) in (list, tuple):
        return type(x)(_in_place(part, k, place, tensors, uses) for part in x)
    return x


def _again(
    node: Node, k: int, place: dict[int, int], tensors: list[Tensor], uses: list[Any]
) -> Tensor:
    """Run one call again, on Tensors; check that it gives what it gave."""
    if node.function is None:
        return Tensor(node.value, requires_grad=True)

    args = [_in_place(a, k, place, tensors, uses) for a in node.args]
    named = {key: _in_place(a, k, place, tensors, uses) for key, a in node.kwargs.items()}
    on_first = node.function in (put, add_at) or hasattr(node.function, "is_method")
    if on_first and not isinstance(args[0], Tensor):
        args[0] = Tensor(args[0])  # an array's own method does not ask what it is given
    try:
        out = node.function(*args, **named)
    except Exception as error:
        out = _moved(node, args, named, error)
    if not isinstance(out, Tensor) or out.shape != node.value.shape:
        raise NotDifferentiated(f"{_name(node.function)} gave no Tensor")
    if not np.allclose(out.numpy(), node.value, rtol=1e-9, atol=1e-12, equal_nan=True):
        raise NotDifferentiated(f"{_name(node.function)} gave another value")
    return out


def _moved(node: Node, args: list[Any], named: dict[str, Any], error: Exception) -> Any:
    """Do as a function that only puts numbers elsewhere, as `np.delete`: run it on their places."""
    here = [k for k, a in enumerate(args) if isinstance(a, Tensor)]
    if len(here) != 1 or any(isinstance(a, Tensor) for a in named.values()):
        raise NotDifferentiated(f"{_name(node.function)}: {error}") from error
    (k,) = here
    function = node.function
    assert function is not None

    def marked(shift: float) -> Any:
        """Run it on numbers that say where they stood."""
        marks = shift - np.arange(args[k].size).reshape(args[k].shape)
        out = np.asarray(function(*args[:k], marks, *args[k + 1 :], **named))
        return out, np.rint(shift - out).astype(int)

    try:
        (first, index), (second, again) = marked(-7.25), marked(-1234567.5)
    except Exception:
        raise NotDifferentiated(f"{_name(node.function)}: {error}") from error
    fixed = first == second
    inside = (index >= 0) & (index < args[k].size) & (index == again)
    exact = inside & (-7.25 - index == first) & (-1234567.5 - again == second)
    if not np.all(fixed | exact):
        raise NotDifferentiated(f"{_name(node.function)}: {error}") from error
    read = np.reshape(args[k], -1)[np.where(exact, index, 0)]
    return np.where(exact, read, node.value)


def _name(function: Callable[..., Any] | None) -> str:
    return getattr(function, "__name__", "a call")
