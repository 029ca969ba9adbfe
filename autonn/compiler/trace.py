"""Running a function once on Tensors, and reading what it did as a graph.

The graph has the calls as they were made, `affine` and `sigmoid` among them, those of the backward
pass too: rules are NumPy, and so leave the same trace.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy import ndarray

from autonn.compiler.graph import Argument, Given, Graph, Node
from autonn.compiler.loops import Body
from autonn.compiler.reads import Reads
from autonn.compiler.search import reads_of
from autonn.compiler.watching import watched
from autonn.engine.backward import seed
from autonn.engine.lineage import (
    age_of,
    ancestors,
    attributes_of,
    op_of,
    operands_of,
    place_of,
    saved_values,
    sources_since,
    tensors_of,
    whereabouts,
)
from autonn.engine.looping import PICK, SCAN, STEP_INPUT, Key, Loop
from autonn.engine.modes import CannotCompileError, Trace, is_recording, noting, tracing
from autonn.engine.op import STOP_GRADIENT
from autonn.engine.ops import affine, positive
from autonn.engine.ownership import held_by_locks
from autonn.engine.tensor import Tensor, leaf, values_of
from autonn.engine.transforms import Kind, pulled_back
from autonn.engine.trees import Tree, tree_form, tree_leaves, tree_unflatten

__all__ = ["Traced", "as_array", "run_traced", "trace"]


@dataclass
class Traced:
    """A graph, and what else the trace told.

    Attributes
    ----------
    graph
        What was computed.
    modules
        The modules that were called.
    outside
        The parameters that the result depends on; their gradients are outputs after the results
        where `has_gradients`.
    buffers
        The buffers that are set; what they are set to are the last outputs.
    reads
        What the function reads from around it.
    tensors, tracked
        Which leaves of the result were Tensors, and which lead to parameters.
    """

    graph: Graph
    modules: list[Any] = field(default_factory=list)
    outside: list[Tensor] = field(default_factory=list)
    has_gradients: bool = False
    buffers: list[Tensor] = field(default_factory=list)
    reads: Reads = field(default_factory=Reads)
    tensors: list[bool] = field(default_factory=list)
    tracked: list[bool] = field(default_factory=list)


def trace(f: Callable[..., Any], *args: Any, **kwargs: Any) -> Graph:
    """Run a function once and return what it computed as a graph.

    Arrays among the arguments, also in lists, tuples and dicts, are its inputs; numbers are part
    of the graph.

    Raises
    ------
    CannotCompileError
        If `f` reads a value, as ``if loss > 1`` does: it is not known in a graph.

    Examples
    --------
    >>> print(trace(lambda x: np.sum(np.exp(x)), np.ones(3)))
    <lambda>:
      x = input  # (3,) float64
      t1 = exp(x)  # (3,) float64
      t2 = sum(t1)  # () float64
      return t2
    """
    leaves = [as_array(a) for a in tree_leaves((args, kwargs))]
    return run_traced(f, args, kwargs, leaves).graph


def as_array(a: Any) -> Any:
    """Turn Tensors and NumPy's numbers into arrays, and leave all else as it is."""
    if isinstance(a, Tensor):
        return values_of(a)
    floating = isinstance(a, np.inexact)  # a whole number may be a size or a place
    return np.asarray(a) if floating else a


def run_traced(
    f: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    leaves: Sequence[Any],
    near: Reads | None = None,
) -> Traced:
    """Run a function on Tensors in the place of the arrays among the leaves of its arguments.

    Of what it could read, `near`, iterators are refused before they are asked for anything.
    """
    start = age_of(leaf(np.zeros(()))) + 1
    inputs = {k: leaf(a) for k, a in enumerate(leaves) if isinstance(a, ndarray)}
    stand_ins = [inputs.get(k, a) for k, a in enumerate(leaves)]
    full, named = tree_unflatten((args, kwargs), stand_ins)
    notes = Trace(start)
    token = tracing.set(notes)
    try:
        with np.errstate(all="ignore"), _places():  # the program warns, as f would
            with watched(near.iterators if near else {}) as seen:
                result = _called(f, full, named, notes)
            outputs = tree_leaves(result)
            outside, gradients = _closed_over(outputs, start)
    finally:
        tracing.reset(token)
    if notes.refusal is not None:  # the function swallowed it, and went another way
        raise notes.refusal
    seen.refuse()
    reads = reads_of(f, (*full, *named.values()), seen)
    reading = _Reading(start, _names(f, full, named, notes), notes.writes, reads)
    written = {age_of(buffer): (buffer, value) for buffer, value, _ in notes.writes}
    values = [value for _, value in written.values()]
    nodes = reading.read([*outputs, *gradients, *values], list(inputs.values()))
    _label_gradients(notes, reading.nodes)
    graph = Graph(
        [reading.nodes[age_of(t)] for t in inputs.values()],
        nodes,
        getattr(f, "__name__", "f"),
        tree_form(result),
    )
    tensors = [isinstance(t, Tensor) for t in outputs]
    tracked = [isinstance(t, Tensor) and t.requires_grad and bool(outside) for t in outputs]
    buffers = [buffer for buffer, _ in written.values()]
    return Traced(graph, notes.modules, outside, bool(gradients), buffers, reads, tensors, tracked)


def _called(f: Any, args: Any, kwargs: Any, notes: Trace) -> Any:
    """Call a function; raise a refusal also where it made another error of it."""
    try:
        return f(*args, **kwargs)
    except Exception as error:
        if notes.refusal is None or error is notes.refusal:
            raise
        raise notes.refusal from error


def _places() -> AbstractContextManager[Any]:
    """Note places where a graph is recorded at all."""
    return noting() if is_recording() else nullcontext()


def _closed_over(outputs: list[Any], start: int) -> tuple[list[Tensor], list[Any]]:
    """List the parameters that a function closes over, and their gradients.

    The gradients are part of the program where a single number depends on them: a loss.
    """
    tracked = [t for t in outputs if isinstance(t, Tensor) and t.requires_grad]
    sources = {age_of(p): p for t in tracked for p in sources_since(t, start) if p.requires_grad}
    outside = [sources[age] for age in sorted(sources) if age < start]
    if len(tracked) != 1 or tracked[0].shape != () or not outside:
        return outside, []
    root = (tracked[0], seed(tracked[0], None, True))
    return outside, pulled_back([root], outside, Kind.TENSORS, beyond=False)


class _Reading:
    """Reads Tensors as nodes; `nodes` says by age which became which."""

    def __init__(
        self,
        start: int,
        names: dict[int, str],
        writes: Sequence[tuple[Tensor, Tensor, int]],
        reads: Reads,
    ) -> None:
        self.start, self.names, self.writes, self.reads = start, names, writes, reads
        self.nodes: dict[int, Node] = {}
        self.given: dict[int, Node] = {}  # by the id of what was given, which the nodes keep alive
        self.private: set[int] = set()
        self.used: dict[int, list[Key]] = {}  # by the age of a loop, its results that are read

    def read(self, outputs: Sequence[Any], inputs: Sequence[Tensor]) -> list[Argument]:
        """Return the node, or plain value, of each output."""
        for tensor in inputs:
            node = Node.of(Given.INPUT, None, values_of(tensor), self.names.get(age_of(tensor), ""))
            self.nodes[age_of(tensor)] = node
        tensors = ancestors(
            [t for t in outputs if isinstance(t, Tensor)], self.inside, self.nodes
        )  # fmt: skip
        own = {age_of(t): t for t in tensors if age_of(t) >= self.start}
        self.private = _private_arrays(list(_with_steps(own).values()))
        self.name_all(tensors)
        return [self.nodes[age_of(t)] if isinstance(t, Tensor) else self.plain(t) for t in outputs]

    def name_all(self, tensors: Sequence[Tensor]) -> None:
        """Make the nodes of Tensors, the oldest first."""
        for tensor in tensors:
            if op_of(tensor) is PICK:
                self.used.setdefault(age_of(tensors_of(tensor)[0]), []).append(_key_of(tensor))
        for tensor in tensors:
            node = self.node(tensor)
            node.label = node.label or self.names.get(age_of(tensor), "") or _layer_label(node)
            self.nodes[age_of(tensor)] = node

    def body(self, loop: Loop, used: Sequence[Key]) -> Body:
        """Read what a step of a loop computes, as far as it is used."""
        inner = _Reading(self.start, self.names, (), self.reads)
        inner.given, inner.private = self.given, self.private
        for group, label in ((loop.carries, "carry"), (loop.slices, "x"), (loop.around, "")):
            for t in group:
                name = self.names.get(age_of(t), "") or label
                inner.nodes[age_of(t)] = Node.of(Given.INPUT, None, values_of(t), name)
        inputs = list(inner.nodes.values())
        carries: list[Key] = [("carry", k) for k in range(len(loop.carries))]
        results = [loop.result(key) for key in [*carries, *_others(used)]]
        inner.name_all(ancestors(results, tensors_of, inner.nodes))
        stacks = sum(key[0] == "stack" for key in _others(used))
        return Body(
            inputs, [inner.nodes[age_of(t)] for t in results], "step", None, loop.steps,
            loop.reverse, len(carries), len(loop.slices), stacks, loop, loop.forward,
        )  # fmt: skip

    def loop_attributes(self, tensor: Tensor, attributes: dict[str, Any]) -> dict[str, Any]:
        """Give the call of a loop its body, and that of a result its place among those used."""
        op = op_of(tensor)
        if op is STEP_INPUT:
            raise CannotCompileError(
                "a value of a step of scan is used outside of the loop, where it is another at "
                "each step; return it in the carry or as a y"
            )
        if op is SCAN:
            return {"body": self.body(attributes["loop"], self.used.get(age_of(tensor), ()))}
        if op is PICK and attributes["key"][0] != "carry":
            kind, _ = key = attributes["key"]
            used = [k for k in _others(self.used[age_of(tensors_of(tensor)[0])]) if k[0] == kind]
            return {"key": (kind, used.index(key))}
        return attributes

    def inside(self, tensor: Tensor) -> list[Tensor]:
        """List what to follow: not what lies behind what was there before."""
        if age_of(tensor) < self.start:
            return []
        found = tensors_of(tensor)
        return [self.as_of(a, age_of(tensor)) for a in found] if self.writes else found

    def node(self, tensor: Tensor) -> Node:
        """Make the node of a Tensor whose operands have theirs."""
        op, values = op_of(tensor), values_of(tensor)
        if age_of(tensor) < self.start:
            return self.give(Given.PARAMETER, tensor, values)
        if op is None:
            return Node.constant(values)
        if values.dtype == object:  # of which NumPy makes arrays here and plain objects there
            raise CannotCompileError(
                f"{op.name}{whereabouts(place_of(tensor))} computes with an array of Python "
                "objects (dtype object); turn it into numbers before, as by astype(float)"
            )
        operands, attributes = op.bind(operands_of(tensor), attributes_of(tensor))
        args = tuple(
            self.nodes[age_of(self.as_of(a, age_of(tensor)))]
            if isinstance(a, Tensor)
            else self.beside(a)
            for a in operands
        )
        attributes = self.loop_attributes(tensor, attributes)
        node = Node(op, args, attributes, values.shape, values.dtype)
        node.place = place_of(tensor)
        return node

    def as_of(self, a: Tensor, age: int) -> Tensor:
        """Return what a buffer was last set to before an age, or the Tensor itself."""
        values = [value for buffer, value, when in self.writes if buffer is a and when < age]
        return self.as_of(values[-1], age_of(values[-1])) if values else a

    def beside(self, a: Any) -> Argument:
        """Take what an op was given beside Tensors.

        An array of the user's is read where it stands, at each call; one that the graph alone
        holds, as derivative rules make them, nobody can change.
        """
        if isinstance(a, np.generic):
            return Node.constant(a)
        if not isinstance(a, ndarray):
            return a
        if id(a) in self.private:
            return Node.constant(a)
        return self.give(Given.ARRAY, a, a)

    def plain(self, a: Any) -> Argument:
        """Take what a function returned that is not a Tensor: its own arrays are constants."""
        if isinstance(a, np.number | np.bool):
            return Node.constant(a)
        if not isinstance(a, ndarray):
            return a
        root = a
        while isinstance(root.base, ndarray) and id(root) not in self.reads.arrays:
            root = root.base
        known = id(root) in self.reads.arrays
        return self.give(Given.ARRAY, a, a) if known else Node.constant(np.array(a))

    def give(self, given: Given, thing: Any, array: Any) -> Node:
        """Make the node of something given, one for each."""
        if id(thing) not in self.given:
            self.given[id(thing)] = Node.of(given, thing, array)
        return self.given[id(thing)]


def _key_of(pick: Tensor) -> Key:
    key: Key = attributes_of(pick)["key"]
    return key


def _others(used: Sequence[Key]) -> list[Key]:
    """List the stacks and sums among results, in order."""
    return sorted({key for key in used if key[0] != "carry"})


def _with_steps(tensors: dict[int, Tensor]) -> dict[int, Tensor]:
    """Add what the steps of loops compute, by age."""
    found = dict(tensors)
    waiting = list(tensors.values())
    while waiting:
        tensor = waiting.pop()
        if op_of(tensor) is not SCAN:
            continue
        loop: Loop = attributes_of(tensor)["loop"]
        ends = {age_of(t) for t in (*loop.carries, *loop.slices, *loop.around)}
        results = [*loop.carried, *loop.stacked, *loop.summed]
        inside = ancestors(results, tensors_of, ends)
        waiting += [t for t in inside if age_of(t) not in found]
        found |= {age_of(t): t for t in inside}
    return found


def _private_arrays(tensors: Sequence[Tensor]) -> set[int]:
    """Find the arrays, by id, that nobody but these tensors holds, and so nobody can change.

    CPython counts the references: one for each time that an op was given the array, one for each
    view of it, and as many as a new array has that only stands in the list.
    """
    found: list[list[Any]] = [[np.zeros(1), 0]]
    place: dict[int, int] = {}

    def hold_all() -> None:  # a function, whose variables are gone when the counting begins
        for tensor in tensors:
            for a in (*operands_of(tensor), *saved_values(tensor)):
                while isinstance(a, ndarray):
                    is_new = id(a) not in place
                    if is_new:
                        place[id(a)] = len(found)
                        found.append([a, 0])
                    found[place[id(a)]][1] += 1
                    a = a.base if is_new else None
        for a in held_by_locks(tensors):
            if id(a) in place:
                found[place[id(a)]][1] += 1

    hold_all()
    others = [sys.getrefcount(array) - count for array, count in found]
    alone = {key for key, k in place.items() if others[k] == others[0]}
    bases = {key: id(found[k][0].base) for key, k in place.items() if found[k][0].base is not None}
    for key in (
        place.keys() - alone
    ):  # through their view, as X[:, None], others reach what it is of
        while (key := bases.get(key, 0)) in alone:
            alone.discard(key)
    return {key for key in alone if bases.get(key, key) in alone}


# ---- names


def _layer_label(node: Node) -> str:
    """Call ``x W' + b`` z, and what an activation makes of it a, with the number of its layer."""
    labels = [a.label for a in node.nodes()]
    if node.calls(positive) or node.op is STOP_GRADIENT:
        return labels[0]  # the same values
    if node.calls(affine):
        return next(("z" + label[6:] for label in labels if label.startswith("weight_")), "")
    if len(labels) == len(node.args) == 1 and labels[0].startswith("z_"):
        return "a" + labels[0][1:]
    return ""


def _names(f: Callable[..., Any], args: Any, kwargs: Any, notes: Trace) -> dict[int, str]:
    """Tell by age what tensors are called: as arguments, or as parameters of a model."""
    names = {age_of(t): name for name, t in _named_arguments(f, args, kwargs)}
    for module in notes.modules:
        for name, parameter in module.named_parameters():
            place, _, own = name.rpartition(".")
            label = f"{own}_{place}".replace(".", "_").rstrip("_")
            names.setdefault(age_of(parameter), label)
    return names


def _label_gradients(notes: Trace, nodes: dict[int, Node]) -> None:
    """Call the gradient of x d_x; that of a layer's z delta, as the tutorials do."""
    for gradient, of in notes.gradients.items():
        g, source = nodes.get(gradient), nodes.get(of)
        if g is not None and source is not None and source.label and not g.label:
            z = source.label.startswith("z_")
            g.label = f"delta{source.label[1:]}" if z else f"d_{source.label}"


def _named_arguments(f: Any, args: Any, kwargs: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield the Tensors among the arguments, each named after its parameter and its place."""
    try:
        bound = inspect.signature(f).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):
        bound = {f"x{k}": a for k, a in enumerate(args)} | kwargs
    for name, value in bound.items():
        for path, x in _paths(value, name):
            if isinstance(x, Tensor):
                yield path, x


def _paths(tree: Tree, name: str) -> list[tuple[str, Any]]:
    """List the leaves of a tree, each named after its place."""
    if isinstance(tree, dict):
        return [p for key, branch in tree.items() for p in _paths(branch, f"{name}_{key}")]
    if isinstance(tree, list | tuple):
        return [p for k, branch in enumerate(tree) for p in _paths(branch, f"{name}_{k}")]
    return [(name, tree)]
