"""Loops in a graph: the body of a loop is a graph of its own, from what a step is given.

A node calls `SCAN` of the first carry, of what is sliced and of what is read from around it; nodes
that call `PICK` take its results one by one. `again` makes a loop shorter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from autonn.compiler.graph import Argument, Given, Graph, Node, behind, signature
from autonn.engine import ops
from autonn.engine.looping import PICK, SCAN, Key
from autonn.engine.op import is_elementwise_ufunc
from autonn.engine.ops.indexing import is_basic

__all__ = ["Body", "Cut", "Loops", "again", "input_like"]

# So much memory at most is stacked to make one product of the products of all steps.
_STACKED_BYTES = 1 << 26

_SHORT = 1 << 15  # bytes: what is computed for all steps at once has no more in each


@dataclass
class Body(Graph):
    """What one step computes.

    The inputs are the carry, the slices and what is read from around the loop, in this order; the
    outputs the next carry, what is stacked and what is added up.
    """

    steps: int = 1
    reverse: bool = False
    carries: int = 0
    slices: int = 0
    stacks: int = 0
    loop: Any = None  # as the engine has it, and of which other one it is the way back
    forward: Any = None

    def place(self, key: Key) -> int:
        """Say which of the outputs a result is made of."""
        kind, k = key
        return k + {"carry": 0, "stack": self.carries, "total": self.carries + self.stacks}[kind]

    def around(self) -> list[Node]:
        """List what stands for what is read from around the loop."""
        return self.inputs[self.carries + self.slices :]

    def of(self, key: Key) -> Node:
        """Return the value of one step that a result is made of."""
        found: Node = self.outputs[self.place(key)]
        return found

    def results(self) -> list[Key]:
        """List the results in the order of the outputs."""
        sums = len(self.outputs) - self.carries - self.stacks
        counts = {"carry": self.carries, "stack": self.stacks, "total": sums}
        return [(kind, k) for kind, n in counts.items() for k in range(n)]

    def with_outputs(self, outputs: list[Argument], stacks: int) -> Body:
        """Make the body with other outputs."""
        return replace(self, outputs=outputs, stacks=stacks)


# ---- shorter


class Loops:
    """The loops of a graph that is being made shorter.

    Attributes
    ----------
    picked
        What stands for results of loops, so that these need not make them.
    known
        The loops by what they compute, so that none is made twice.
    roots
        By the engine's loop, those that are no way back: the node, and what made its body, so that
        the way back shares what it computes.
    """

    def __init__(self) -> None:
        self.picked: dict[tuple[Node, Key], Argument] = {}
        self.known: dict[Any, Node] = {}
        self.roots: dict[Any, tuple[Node, Any]] = {}


def again(builder: Any, node: Node, args: tuple[Argument, ...]) -> Node:
    """Make a loop of these operands again, its body made shorter.

    `builder` makes the nodes, see `simplify`. The way back is made shorter together with the loop
    that it is of, so that it may take what that computed: an exponential, say.
    """
    body: Body = node.attributes["body"]
    root, inner = builder.loops.roots.get(body.forward, (None, type(builder)()))
    made: dict[Node, Argument] = _stand_ins(body, args, root, inner)
    for inside in behind(body.outputs, made):
        made[inside] = inner.again(inside, made)
    body = replace(body, outputs=[made[a] for a in body.outputs])
    if root is not None:
        body, args = Cut(builder, root, body, args).parts()
    loop = _with_products(builder, body, args)
    if body.forward is None:
        builder.loops.roots[body.loop] = loop, inner
    return loop


def _stand_ins(
    body: Body, args: tuple[Argument, ...], root: Node | None, inner: Any
) -> dict[Node, Argument]:
    """Say what inputs of a body stand for: constants, and values of the loop that it is back of."""
    known: dict[Node, Argument] = {}
    shared: dict[Any, Node] = {}
    if root is not None:
        of = root.attributes["body"]
        shared = dict(zip(root.args[of.carries :], of.inputs[of.carries :], strict=True))
    for place, (given, a) in enumerate(zip(body.inputs, args, strict=True)):
        if place < body.carries or not isinstance(a, Node):
            continue
        is_slice = place < body.carries + body.slices
        given.label = given.label or ("" if is_slice else a.label)
        if root is not None and is_slice and a.op is PICK and a.args[0] is root:
            known[given] = root.attributes["body"].of(a.attributes["key"])
        elif a in shared and (shared[a].shape == given.shape):
            known[given] = shared[a]
        elif a.is_constant and not is_slice:
            known[given] = inner.constant(a.value, a.label)
    return known


class Cut:
    """Cuts a body that goes on from the values of another loop off from it.

    What the other can compute is stacked there and sliced here; views of it, and what is the same
    in each step, are made again.
    """

    def __init__(self, builder: Any, root: Node, body: Body, args: tuple[Argument, ...]) -> None:
        self.builder, self.root, self.body = builder, root, body
        of: Body = root.attributes["body"]
        self.own = dict(zip(body.inputs, args, strict=True))
        self.of = dict(zip(of.inputs, root.args, strict=True))
        self.carries = set(of.inputs[: of.carries])
        self.slices = set(of.inputs[of.carries : of.carries + of.slices])
        self.computed = set(behind(of.outputs))
        self.there: dict[Node, tuple[bool, bool]] = {}
        self.made: dict[Node, Node] = {}
        self.more: list[tuple[Node, Argument, bool]] = []  # inputs, operands, whether sliced

    def parts(self) -> tuple[Body, tuple[Argument, ...]]:
        """Return the body that stands alone, and what it takes."""
        body = self.body
        for node in behind(body.outputs):
            self.there[node] = self.whether_there(node)
        outputs = [self.cut(node) for node in body.outputs]
        needed = set(behind(outputs))
        first = body.carries + body.slices
        rows = [(g, self.own[g]) for g in body.inputs[body.carries : first] if g in needed]
        rows += [(g, a) for g, a, is_slice in self.more if is_slice]
        around = [(g, self.own[g]) for g in body.inputs[first:] if g in needed]
        around += [(g, a) for g, a, is_slice in self.more if not is_slice]
        carries = [(g, self.own[g]) for g in body.inputs[: body.carries]]
        pairs = [*carries, *rows, *around]
        short = replace(body, inputs=[g for g, _ in pairs], outputs=list(outputs), slices=len(rows))
        return short, tuple(a for _, a in pairs)

    def whether_there(self, node: Node) -> tuple[bool, bool]:
        """Tell whether the other loop can compute it, and whether it is another in each step."""
        if node.given is not None:
            outer = node.is_constant or node.given in (Given.PARAMETER, Given.ARRAY)
            return node in self.of or outer, node in self.carries or node in self.slices
        below = [self.there[a] for a in node.nodes()]
        if node.op is not None and (node.op.draws or node.op is SCAN):
            return node in self.computed, True
        return all(there for there, _ in below), any(varies for _, varies in below)

    def cut(self, node: Node) -> Node:
        """Make a node of the body that stands alone."""
        if node not in self.made:
            there, varies = self.there[node]
            if node in self.of:
                self.made[node] = self.stacked(node) if node in self.carries else self.read(node)
            elif node.given is not None:
                self.made[node] = node
            elif there and varies and not _is_view(node):
                at_once = None if node in self.computed else self.of_all_steps(node)
                self.made[node] = self.stacked(node) if at_once is None else self.sliced(at_once)
            else:
                args = tuple(self.cut(a) if isinstance(a, Node) else a for a in node.args)
                same = all(a is b for a, b in zip(args, node.args, strict=True))
                self.made[node] = (
                    node if same else node.copy_with(args, node.attributes, node.shape)
                )
        return self.made[node]

    def read(self, node: Node) -> Node:
        """Read what the other loop reads, too."""
        made = input_like(node)
        self.more.append((made, self.of[node], node in self.slices))
        return made

    def stacked(self, node: Node) -> Node:
        """Let the other loop stack a value, and slice the stack."""
        return self.sliced(self.stack(node))

    def sliced(self, stack: Any) -> Node:
        """Make what stands for the slices of a stack."""
        made = Node(None, (), {}, stack.shape[1:], stack.dtype)
        made.given, made.label = Given.INPUT, stack.label
        self.more.append((made, stack, True))
        return made

    def stack(self, node: Node) -> Argument:
        """Let the other loop stack a value."""
        of: Body = self.root.attributes["body"]
        stacks = of.outputs[of.carries :][: of.stacks]
        places = [k for k, value in enumerate(stacks) if value is node]
        if not places:
            places = [len(stacks)]
            sums = of.outputs[of.carries + of.stacks :]
            outputs = [*of.outputs[: of.carries], *stacks, node, *sums]
            self.root.attributes["body"] = of.with_outputs(outputs, of.stacks + 1)
        shape = (of.steps, *node.shape)
        attributes = {"key": ("stack", places[0])}
        made: Argument = self.builder.make(PICK, (self.root,), attributes, shape, node.dtype)
        return made

    def of_all_steps(self, node: Node) -> Node | None:
        """Compute a value in one call for all steps, of what the other stacks; None: not so.

        So the slopes of an LSTM's gates, of 20 steps of 32 x 64 numbers, take 20 calls and not 400,
        of which most of the time is the start. Many numbers would leave the cache meanwhile.
        """
        if node in self.slices:
            found: Any = self.of[node]
        elif node in self.carries or (node in self.computed and not self.is_cut_from_stack(node)):
            found = self.stack(node)
        elif node.calls(ops.getitem) and is_basic(node.attribute("key")):
            x, key = self.of_all_steps(node.args[0]), node.attribute("key")
            whole = (slice(None), *(key if isinstance(key, tuple) else (key,)))
            found = None if x is None else self.builder.call(ops.getitem, x, key=whole)
        else:
            found = self._made_of_all(node)
        is_stack = isinstance(found, Node) and found.shape == (self.body.steps, *node.shape)
        return found if is_stack else None

    def is_cut_from_stack(self, node: Node) -> bool:
        """Whether it is a part of what is sliced, or stacked already."""
        of: Body = self.root.attributes["body"]
        there = of.outputs[of.carries :][: of.stacks]
        x = node.args[0]
        return node.calls(ops.getitem) and (x in self.slices or any(x is s for s in there))

    def _made_of_all(self, node: Node) -> Argument:
        """Make a call, element by element, of what its operands are in all steps."""
        if node.op is None or not is_elementwise_ufunc(node.op.forward):
            return None
        args = [self._operand_of_all(a, node) for a in node.args]
        if node.size * node.dtype.itemsize > _SHORT or None in args:
            return None
        shape = (self.body.steps, *node.shape)
        made: Argument = self.builder.make(node.op, tuple(args), node.attributes, shape, node.dtype)
        return made

    def _operand_of_all(self, a: Argument, node: Node) -> Argument:
        """Return an operand for all steps; a number, or a constant, as it is."""
        if not isinstance(a, Node):
            return a
        if a.is_constant and a.ndim <= node.ndim:
            constant: Node = self.builder.constant(a.value, a.label)
            return constant
        return self.of_all_steps(a) if a.shape == node.shape and self.there[a][1] else None


def input_like(node: Node) -> Node:
    """Make what stands in a body for a value from outside."""
    made = Node(None, (), {}, node.shape, node.dtype)
    made.given, made.label = Given.INPUT, node.label
    return made


def _is_view(node: Node) -> bool:
    """Whether it is made again at once: another look at a value of which nothing is left out."""
    return node.calls(ops.transpose, ops.reshape, ops.broadcast_to)


def _with_products(builder: Any, body: Body, args: tuple[Argument, ...]) -> Node:
    """Make the node of a loop, or find it; products of all steps are made of its stacks."""
    outputs = body.outputs
    products = {key: _as_product(body, key) for key in body.results() if key[0] == "total"}
    stacked = outputs[body.carries :][: body.stacks]
    for factors in products.values():
        stacked += [f for f in factors if all(f is not s for s in stacked)]
    outputs = [*outputs[: body.carries], *stacked, *outputs[body.carries + body.stacks :]]
    whole = body.with_outputs(outputs, len(stacked))
    key = (signature(whole), whole.steps, whole.reverse, whole.stacks, *map(_identity, args))
    if not any(node.op is not None and node.op.draws for node in behind(outputs)):
        known: Node | None = builder.loops.known.get(key)
        if known is not None:
            return known
    loop = Node(SCAN, args, {"body": whole}, (), np.dtype(np.float64))
    builder.loops.known[key] = loop
    for result in whole.results():
        found = _found(builder, loop, whole, result, products.get(result, ()))
        if found is not None:
            builder.loops.picked[loop, result] = found
    return loop


def _identity(a: Argument) -> Any:
    return a if isinstance(a, Node) else (type(a), repr(a))


def _as_product(body: Body, key: Key) -> tuple[Node, ...]:
    """Return the factors of what is added up, if one product can be made of those of all steps.

    It is ``D' H``, as of a weight's gradient, or the sum of the rows of D, as of a bias's.
    """
    value = body.of(key)
    if value.calls(ops.matmul) and value.ndim == 2:
        left, right = value.args
        if left.calls(ops.transpose) and left.args[0].ndim == right.ndim == 2:
            factors = left.args[0], right
            return factors if _is_worth_it(body, factors) else ()
    if value.calls(ops.sum) and value.attribute("axis") == (0,):
        rows = value.args[0]
        known = any(rows is s for s in body.outputs[body.carries :][: body.stacks])
        return (rows,) if known or _is_worth_it(body, (rows,)) else ()
    return ()


def _is_worth_it(body: Body, factors: Sequence[Node]) -> bool:
    """Whether so much may be stacked; what is computed anyway only as one more product."""
    sizes = (f.size * f.dtype.itemsize * body.steps for f in factors if f.given is None)
    return sum(sizes) <= _STACKED_BYTES and all(f.given is None or f.ndim for f in factors)


def _found(
    builder: Any, loop: Node, body: Body, key: Key, factors: tuple[Node, ...]
) -> Argument | None:
    """Find what stands for a result of a loop, if it need not be made by it."""
    value = body.of(key)
    if key[0] == "carry":
        return None
    if key[0] == "stack":
        return _stack_of(builder, loop, body, value, key)
    if not factors:
        return None
    rows = [_rows(builder, loop, body, f) for f in factors]
    if len(rows) == 2:
        turned = builder.call(ops.transpose, rows[0], axes=(1, 0))
        return builder.call(ops.matmul, turned, rows[1])
    kept = bool(value.attribute("keepdims"))
    return builder.call(ops.sum, rows[0], axis=(0,), keepdims=kept)


def _stack_of(builder: Any, loop: Node, body: Body, value: Node, key: Key) -> Argument | None:
    """Find what is sliced, or what is the same in each step, in the place of a stack."""
    place = next((k for k, given in enumerate(body.inputs) if given is value), None)
    shape = (body.steps, *value.shape)
    if value.is_constant:
        return builder.call(ops.broadcast_to, value, shape=shape)
    if place is None or place < body.carries:
        return None
    if place < body.carries + body.slices:
        return loop.args[place]
    return builder.call(ops.broadcast_to, loop.args[place], shape=shape)


def _rows(builder: Any, loop: Node, body: Body, factor: Node) -> Argument:
    """Return a factor of all steps, all rows below one another."""
    outputs = body.outputs[body.carries :][: body.stacks]
    key = "stack", next(k for k, s in enumerate(outputs) if s is factor)
    shape = (body.steps, *factor.shape)
    stack = builder.make(PICK, (loop,), {"key": key}, shape, factor.dtype)
    flat = (body.steps * factor.shape[0], *factor.shape[1:])
    return builder.call(ops.reshape, stack, shape=flat)
