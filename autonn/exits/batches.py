"""One evaluation as a graph in which the number of rows is free: traced with two sizes.

What differs between the two graphs is what follows from the number of rows: a length is
``a m + b`` of it. So a file that goes out takes any batch, whatever the example was; with one size
alone nobody can tell the 1 of a single row from that of a broadcast.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autonn.compiler.graph import Given, Graph, Node
from autonn.compiler.trace import trace
from autonn.compiler.unrolling import unrolled
from autonn.engine.lineage import whereabouts
from autonn.engine.op import NotDifferentiableError
from autonn.engine.tensor import Array, Tensor
from autonn.engine.trees import tree_leaves
from autonn.exits.whole_layers import as_one_call
from autonn.nn.module import Module

__all__ = ["SIZES", "BatchGraph", "Length", "evaluated_graph", "refusal"]

SIZES = 7, 11  # primes, neither a usual number of units: a length of 7 is hardly a coincidence


@dataclass(frozen=True)
class Length:
    """The length of an axis, ``a m + b`` of m rows; a is 0 where it is fixed."""

    a: int
    b: int

    @classmethod
    def of(cls, first: int, second: int) -> Length | None:
        """Tell it from the lengths with both numbers of rows; None where it is no such sum."""
        a, left = divmod(second - first, SIZES[1] - SIZES[0])
        return None if left else cls(a, first - a * SIZES[0])


@dataclass
class BatchGraph:
    """A graph, and its twin of another number of rows.

    Attributes
    ----------
    graph, outputs
        The graph with `SIZES[0]` rows; of its outputs those that the model returns.
    twin
        By node, the same node with `SIZES[1]` rows.
    names
        By the id of a parameter or buffer, its dotted name in the model.
    buffers
        The names of those that are not trained.
    """

    graph: Graph
    outputs: list[Node]
    twin: dict[Node, Node]
    names: dict[int, str] = field(default_factory=dict)
    buffers: list[str] = field(default_factory=list)

    def lengths(self, node: Node) -> list[Length]:
        """Tell the lengths of a node's axes by the number of rows."""
        found = []
        for first, second in zip(node.shape, self.twin[node].shape, strict=True):
            length = Length.of(first, second)
            if length is None:
                raise refusal(node, "has a length that is no multiple of the number of rows")
            found.append(length)
        return found

    def is_fixed(self, node: Node) -> bool:
        """Whether the shape does not depend on the number of rows."""
        return node.shape == self.twin[node].shape


def evaluated_graph(
    model: Any, examples: Sequence[Any], whole: Collection[type] = ()
) -> BatchGraph:
    """Trace ``model(*examples)`` in evaluation mode, with two numbers of rows.

    Parameters
    ----------
    model
        A Module, or another function of arrays.
    examples
        The arguments, each with one row or more along its first axis; the rows are repeated.
    whole
        The types of those layers that are one call each: see `as_one_call`.

    Raises
    ------
    NotImplementedError
        Where it does something else for other numbers of rows.
    ValueError, TypeError
        For an example without rows, and for what the model refuses.
    CannotCompileError
        Where it reads values, as ``if x.sum() > 0`` does.

    Examples
    --------
    >>> from autonn import Layer
    >>> made = evaluated_graph(Layer(3, 2, rng=0), [np.ones((1, 3))])
    >>> made.lengths(made.outputs[0])
    [Length(a=1, b=0), Length(a=0, b=2)]
    """
    arrays = [_example(x) for x in examples]
    try:
        graphs, count = _traced(model, arrays, whole)
    except NotDifferentiableError:
        if not whole:
            raise
        graphs, count = _traced(model, arrays, ())  # the model itself asks for gradients
    outputs = [o for o in graphs[0].outputs[:count] if isinstance(o, Node)]
    made = BatchGraph(graphs[0], outputs, _twins(*graphs))
    if isinstance(model, Module):
        made.names = {id(t): name for name, t in model.named_tensors().items()}
        made.buffers = [name for name, _ in model.named_buffers()]
    return made


def _traced(model: Any, arrays: Sequence[Array], whole: Collection[type]) -> tuple[Any, int]:
    """Return the graphs of both sizes, and how many of their outputs the model returns."""
    counted: list[int] = []

    def evaluation(*xs: Any) -> Any:
        """Count the results, since gradients may follow them in a graph."""
        result = model(*xs)
        counted.append(len(tree_leaves(result)))
        return result

    graphs = []
    layers = [m for _, m in model.named_modules()] if isinstance(model, Module) else []
    with as_one_call(layers, whole), model.evaluating() if layers else nullcontext():
        for size in SIZES:
            rows = [x[np.arange(size) % len(x)] for x in arrays]
            graphs.append(unrolled(trace(evaluation, *rows)))  # a file has no loops
    return graphs, counted[0]


def _example(x: Any) -> Array:
    """Take an example of numbers, with one row at least."""
    if isinstance(x, Mapping):
        raise TypeError(
            f"export: example is a dict of {', '.join(map(str, x))}; give a tuple of the arrays, "
            "in the order in which forward takes them, and their names as input_name=[...]"
        )
    array = np.asarray(x.data if isinstance(x, Tensor) else x)
    if array.ndim < 1 or not array.shape[0] or array.dtype.kind not in "fiub":
        raise ValueError(
            f"export: example has shape {array.shape} and dtype {array.dtype}; give one row of "
            "what the model takes, or several, as X[:1]"
        )
    return array


# ---- the two graphs side by side


def _twins(first: Graph, second: Graph) -> dict[Node, Node]:
    """Pair the nodes of both graphs, which have to do the same."""
    before, after = first.nodes(), second.nodes()
    twin = dict(zip(before, after, strict=False))
    twin |= dict(zip(first.inputs, second.inputs, strict=True))
    for node, other in zip(before, after, strict=False):
        _require_same(node, other, twin)
    if len(before) != len(after):
        raise NotImplementedError(
            f"export: with {SIZES[0]} rows the model computes in {len(before)} steps, with "
            f"{SIZES[1]} in {len(after)}; what goes out has one program for all batches"
        )
    return twin


def _require_same(node: Node, other: Node, twin: dict[Node, Node]) -> None:
    """Refuse a node that is another one in the other graph."""
    if node.op is not other.op or node.given is not other.given or node.ndim != other.ndim:
        raise refusal(node, f"is something else with {SIZES[1]} rows than with {SIZES[0]}")
    for a, b in itertools.zip_longest(node.args, other.args):
        same = twin.get(a) is b if isinstance(a, Node) else _same(a, b)
        if not same:
            raise refusal(node, "depends on the number of rows, as x / len(x) does")
    for name in node.attributes:
        if name not in ("shape", "key") and not _same(
            node.attributes[name], other.attributes[name]
        ):
            raise refusal(node, f"has another {name}, that depends on the number of rows")
    own = node.given in (Given.CONSTANT, Given.ARRAY)
    if own and node.shape == other.shape and not _same(node.value, other.value):
        raise refusal(node, "has numbers that depend on the number of rows")


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind == "f")
    return bool(a is b or (type(a) is type(b) and (a == b or repr(a) == repr(b))))


# ---- what can't go


def refusal(node: Node, why: str, cure: str = "") -> NotImplementedError:
    """Make the error of a node that can't go out, which names its op and its layer."""
    what = node.op.name if node.op is not None else "a constant"
    return NotImplementedError(
        f"export: {what}{whereabouts(node.place)} {why}{'; ' * bool(cure)}{cure}"
    )
