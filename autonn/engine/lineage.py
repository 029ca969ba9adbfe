"""Looking at a graph: where a Tensor came from, and what lies behind it.

Nobody else reads what a Tensor remembers but the ops that wrote it and the passes that spend it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from autonn.engine.modes import Place
from autonn.engine.op import Function, Op
from autonn.engine.tensor import Array, Tensor

__all__ = [
    "age_of",
    "ancestors",
    "attribute_of",
    "attributes_of",
    "input_of",
    "inputs_of",
    "is_freed",
    "op_behind",
    "op_of",
    "operands_of",
    "path_of",
    "place_of",
    "saved_values",
    "sources_since",
    "tensors_of",
    "whereabouts",
]


def op_of(tensor: Tensor) -> Op | None:
    """Return the op that made a Tensor; None for a leaf.

    >>> from autonn import Tensor, relu
    >>> op_of(relu(Tensor(1.0, requires_grad=True)))
    <op relu: z = max(x, 0)>
    """
    return tensor._op


def op_behind(call: Callable[[Tensor], Any]) -> Op:
    """Return the op that a function of NumPy leads to, where it has no name of its own here.

    >>> op_behind(lambda x: np.concatenate([x, x]))
    <op concatenate: z = the x_k behind one another along an axis>
    """
    op = op_of(call(Tensor(np.ones((1, 1)), requires_grad=True)))
    assert op is not None
    return op


def is_freed(tensor: Tensor) -> bool:
    """Whether the graph behind a result was given back by `backward`."""
    return tensor._op is not None and tensor._args is None


def operands_of(tensor: Tensor) -> tuple[Any, ...]:
    """Return what the op was given, by position: Tensors, arrays, numbers; () of a leaf."""
    return (tensor._args or ()) if tensor._op is not None else ()


def attributes_of(tensor: Tensor) -> dict[str, Any]:
    """Return what else the op was given by name, as an axis; {} of a leaf."""
    return tensor._attributes if tensor._op is not None else {}


def attribute_of(tensor: Tensor, name: str) -> Any:
    """Return what an op was given as an attribute, by name, by position or by default.

    >>> from autonn import Tensor, softmax
    >>> attribute_of(softmax(Tensor([1.0, 2.0])), "axis")
    -1
    """
    assert tensor._op is not None
    given = tensor._op.bind(operands_of(tensor), tensor._attributes)[1]
    return given[name] if name in given else tensor._op.defaults()[name]


def saved_values(tensor: Tensor) -> tuple[Array, ...]:
    """Return the values of the operands as the op saw them, then its residuals, if any."""
    return tuple(tensor._saved) if tensor._op is not None and tensor._args is not None else ()


def tensors_of(tensor: Tensor) -> list[Tensor]:
    """List the Tensors among the operands of the op that made it."""
    return [a for a in operands_of(tensor) if type(a) is Tensor]


def inputs_of(tensor: Tensor) -> list[Tensor]:
    """List the Tensors that a gradient of the result goes to."""
    return [a for a in operands_of(tensor) if type(a) is Tensor and a._tracked]


def place_of(tensor: Tensor) -> Place | None:
    """Return where a result was computed: the user's line, and the modules under way.

    It is known of what was computed within `noting`, or while a function was traced.
    """
    return getattr(tensor, "_place", None)


def path_of(place: Place) -> str:
    """Name the innermost module of a place by its path from the outermost, as "1.layer".

    >>> from autonn import Layer, Sequential, Tensor
    >>> from autonn.engine.modes import noting
    >>> model = Sequential(Layer(2, 3, rng=0), Layer(3, 1, rng=0))
    >>> with noting():
    ...     z = model(Tensor([[1.0, 2.0]]))
    >>> path_of(place_of(z))
    '1'
    """
    names = []
    for outer, inner in itertools.pairwise(place.modules):
        names += [name for name, child in outer.children() if child is inner][:1]
    return ".".join(names)


def whereabouts(place: Place | None, in_layer: str = " in layer {path}, {module!r}") -> str:
    """Name the layer that something was computed in, or else the user's line; "" where neither is.

    >>> from autonn.engine.modes import Place
    >>> whereabouts(Place("net.py:3", ()))
    ' at net.py:3'
    """
    if place is None:
        return ""
    path = path_of(place)
    if path:
        return in_layer.format(path=path, module=place.modules[-1])
    return f" at {place.shown}" if place.line else ""


def age_of(tensor: Tensor) -> int:
    """Return the number that orders Tensors by when they were made."""
    return tensor._index


def ancestors(
    roots: Iterable[Tensor],
    inputs: Callable[[Tensor], list[Tensor]] = inputs_of,
    known: Any = frozenset(),
) -> list[Tensor]:
    """List what lies behind some Tensors, themselves included, the oldest first.

    Parameters
    ----------
    roots
        Where to begin.
    inputs
        What to follow: `inputs_of`, those with a gradient, or `tensors_of`, all.
    known
        The ages of Tensors that are left out, and with them what lies behind them alone.

    Examples
    --------
    >>> x = Tensor(2.0, requires_grad=True)
    >>> [str(op_of(t)) for t in ancestors([x * x + 1])]
    ['None', '<op multiply: z = x y>', '<op add: z = x + y>']
    """
    found: dict[int, Tensor] = {}
    stack = list(roots)
    while stack:
        tensor = stack.pop()
        if tensor._index not in found and tensor._index not in known:
            found[tensor._index] = tensor
            stack += inputs(tensor)
    return [found[index] for index in sorted(found)]


def sources_since(result: Tensor, start: int) -> list[Tensor]:
    """List what a result depends on that was there before the age `start`, and its own leaves."""

    def inputs(tensor: Tensor) -> list[Tensor]:
        return inputs_of(tensor) if tensor._index >= start else []

    return [t for t in ancestors([result], inputs) if t._index < start or t._op is None]


def input_of(tensor: Tensor, function: Function) -> Tensor | None:
    """Return what that op made the tensor from, if it is still there unchanged.

    >>> from autonn import Tensor, sigmoid
    >>> x = Tensor([0.0], requires_grad=True)
    >>> input_of(sigmoid(x), sigmoid) is x
    True
    """
    if tensor._op is not function.op or tensor._args is None:
        return None
    source, value = tensor._args[0], tensor._saved[0]
    return source if source._data is value else None
