"""Where the results of loops lie, for `memory` to plan: stacks are memory that a loop fills.

A node of a loop becomes three kinds: the memory, the loop that fills it, what it is then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from autonn.compiler.blocks import in_blocks
from autonn.compiler.graph import Argument, Given, Node, behind, remade, uses_of
from autonn.compiler.loops import Body, input_like
from autonn.compiler.packs import Place, packed, packed_body
from autonn.compiler.parts import PARTS, unsigned
from autonn.engine import ops
from autonn.engine.looping import PICK, SCAN, Key
from autonn.engine.op import Memory, Op, mixes_rows

__all__ = ["EMPTY", "FILLED", "LAST", "LOOP", "lowered"]


def _never(*args: Any) -> Any:
    raise RuntimeError("this is only written into programs")


# Memory for a stack; the loop that fills it; what it is then; and a carry after the last step.
EMPTY = Op(
    "empty", _never, "memory for all steps", (), rows=mixes_rows, memory=Memory.OUT, draws=True
)  # fmt: skip
LOOP = Op(
    "loop", _never, "step by step", (None,), variadic=True, rows=mixes_rows, memory=Memory.NEW
)  # fmt: skip
FILLED = Op(
    "filled", _never, "all steps", (None, None), rows=mixes_rows, memory=Memory.VIEW
)  # fmt: skip
LAST = Op(
    "last", _never, "after the last step", (None,),
    variadic=True, rows=mixes_rows, memory=Memory.MAY_ALIAS,
)  # fmt: skip


def lowered(outputs: Sequence[Argument]) -> list[Argument]:
    """Let loops fill memory that is made before them, and leave out what nobody asks of them."""
    if not any(node.op is SCAN for node in behind(outputs)):
        return list(outputs)
    made = _Lowering(outputs).made
    return packed([made[a] if isinstance(a, Node) else a for a in outputs], 1)[0]


class _Lowering:
    """Makes loops of a graph that fill memory, and all that reads their results."""

    def __init__(self, outputs: Sequence[Argument]) -> None:
        nodes = behind(outputs)
        self.used: dict[Node, set[Key]] = {}
        self.seen: set[tuple[Node, Key]] = set()  # the results of which the signs of zeros show
        self.uses, unseen = uses_of(outputs), unsigned(outputs, outputs)
        self.made: dict[Node, Node] = {}
        self.parts: dict[tuple[Node, Key], Node] = {}
        for node in nodes:
            if node.op is PICK:
                loop, key = node.args[0], node.attributes["key"]
                self.used.setdefault(loop, set()).add(key)
                self.seen |= {(loop, key)} if node not in unseen else set()
        for node in nodes:
            self.made[node] = self.again(node)

    def again(self, node: Node) -> Node:
        """Make a node again, where it is another or reads others."""
        if node.op is SCAN:
            return self.filling(node)
        if node.op is PICK:
            part = self.parts[node.args[0], node.attributes["key"]]
            part.label = node.label
            return part
        if node.given is not None or not _is_moved(node, self.made):
            return node
        args = tuple(self.made[a] if isinstance(a, Node) else a for a in node.args)
        return node.copy_with(args, node.attributes, node.shape)

    def filling(self, node: Node) -> Node:
        """Make a loop that fills memory, and what its results are then."""
        used = self.used.get(node, set())
        kept: list[Key] = sorted(key for key in used if key[0] != "carry")
        body, args = _pruned(node.attributes["body"], node.args, kept)
        args = tuple(self.made[a] if isinstance(a, Node) else a for a in args)
        body = _without_signs(body, [(node, key) in self.seen for key in kept])
        body, args = _turned_before(body, args)
        body, args = _without_unread(*in_blocks(body, args, self.uses))
        body, places = packed_body(body)
        body, places, starts = _with_carries(body, places)
        dests = []
        for k, value in enumerate(body.outputs[body.carries :]):
            rows = (body.steps + (k in starts),) * (k < body.stacks)
            dests.append(Node(EMPTY, (), {}, (*rows, *value.shape), value.dtype))
        attributes = {"body": body, "dests": len(dests), "starts": starts}
        loop = Node(LOOP, (*args, *dests), attributes, (), np.dtype(np.float64))
        filled = [Node(FILLED, (dest, loop), {}, dest.shape, dest.dtype) for dest in dests]
        places += [(k, ()) for k in range(body.stacks, len(dests))]
        for key, (k, place) in zip(kept, places, strict=True):
            self.parts[node, key] = _part(filled[k], place)
        for k in range(body.carries):
            value = body.of(("carry", k))
            row = (loop, args[k], *dests)
            self.parts[node, ("carry", k)] = Node(LAST, row, {"k": k}, value.shape, value.dtype)
        return loop


def _without_signs(body: Body, seen: Sequence[bool]) -> Body:
    """Let parts that only products read leave -0 as it is; `seen` tells of each stack and sum."""
    n = body.carries
    pairs = zip(body.outputs[n:], seen, strict=True)
    shown = [*body.outputs[:n], *(a for a, is_seen in pairs if is_seen)]
    made = {
        node: node.copy_with(node.args, {**node.attributes, "signs": False}, node.shape)
        for node in unsigned(body.outputs, shown) if node.op is PARTS
    }  # fmt: skip
    return replace(body, outputs=remade(body.outputs, made)) if made else body


def _part(x: Node, key: tuple[Any, ...]) -> Node:
    """Take a part of a stack, if there is a key."""
    if not key:
        return x
    shape = np.broadcast_to(np.empty(()), x.shape)[key].shape
    return Node(ops.getitem.op, (x,), {"key": key}, shape, x.dtype)


def _with_carries(body: Body, places: list[Place]) -> tuple[Body, list[Place], dict[int, int]]:
    """Let a carry be written where it is stacked, one row further, in place of being copied.

    Returns the body, where its stacks lie, and which of the new ones begin with the first of which
    carry. What is stacked of a carry, and of what becomes of it, is the same but for one row.
    """
    n = body.carries
    stacks = body.outputs[n : n + body.stacks]
    of = _stacks_of_carries(body, stacks)
    left = [k for k in range(len(stacks)) if k not in of]
    before, after = slice(0, body.steps), slice(1, body.steps + 1)
    if body.reverse:
        before, after = after, before
    longer = {at for at, _ in of.values()}
    moved: list[Place] = []
    for k, key in places:
        if k in of:
            moved.append((left.index(of[k][0]), (before,)))
        else:
            moved.append((left.index(k), (after, *key[1:]) if k in longer else key))
    outputs = [*body.outputs[:n], *(stacks[k] for k in left), *body.outputs[n + body.stacks :]]
    starts = {left.index(at): carry for at, carry in of.values()}
    return body.with_outputs(outputs, len(left)), moved, starts


def _stacks_of_carries(body: Body, stacks: list[Node]) -> dict[int, tuple[int, int]]:
    """Say for stacks of a carry in which other one they lie, and which carry it is.

    What becomes of a carry is added to the stacks where it was not stacked.
    """
    found: dict[int, tuple[int, int]] = {}
    for k, value in enumerate(stacks[:]):
        carry = next((j for j in range(body.carries) if body.inputs[j] is value), None)
        if carry is None or body.outputs[carry].given is not None:
            continue
        new = body.outputs[carry]
        at = next((at for at, s in enumerate(stacks) if s is new), len(stacks))
        if all(at != other for other, _ in found.values()):
            stacks[at:] = stacks[at:] or [new]
            found[k] = at, carry
    return found


def _is_moved(node: Node, made: dict[Node, Node]) -> bool:
    """Whether a node is made again: of another operand, or to keep its place among the draws."""
    draws = node.op is not None and node.op.draws
    return draws or any(made[a] is not a for a in node.nodes())


def _pruned(
    body: Body, args: tuple[Argument, ...], kept: Sequence[Key]
) -> tuple[Body, tuple[Argument, ...]]:
    """Leave out of a body the stacks and sums that are not used, and what only they read."""
    outputs = [*body.outputs[: body.carries], *map(body.of, kept)]
    stacks = sum(kind == "stack" for kind, _ in kept)
    return _without_unread(replace(body, outputs=outputs, stacks=stacks), args)


def _without_unread(body: Body, args: tuple[Argument, ...]) -> tuple[Body, tuple[Argument, ...]]:
    """Leave out what a body is given and does not read."""
    needed = set(behind(body.outputs))
    n, first = body.carries, body.carries + body.slices
    places = [k for k, given in enumerate(body.inputs) if k < n or given in needed]
    slices = sum(n <= k < first for k in places)
    inputs = [body.inputs[k] for k in places]
    return replace(body, inputs=inputs, slices=slices), tuple(args[k] for k in places)


def _turned_before(body: Body, args: tuple[Argument, ...]) -> tuple[Body, tuple[Argument, ...]]:
    """Take the transposes of matrices that are the same in each step out of the loop."""
    around = body.carries + body.slices
    outer = dict(zip(body.inputs[around:], args[around:], strict=True))
    made: dict[Node, Node] = {}
    more: list[tuple[Node, Node]] = []
    for node in behind(body.outputs):
        same = None
        if node.calls(ops.transpose) and node.ndim == 2:
            x = node.args[0]
            same = outer.get(x, x if _is_live(x) else None)
        if isinstance(same, Node):
            made[node] = input_like(node)
            more.append((made[node], node.copy_with((same,), node.attributes, node.shape)))
    if not more:
        return body, args
    outputs = remade(body.outputs, made)
    inputs = [*body.inputs, *(given for given, _ in more)]
    return replace(body, inputs=inputs, outputs=outputs), (*args, *(a for _, a in more))


def _is_live(node: Node) -> bool:
    """Whether it is read where it stands, as a parameter is."""
    return node.given in (Given.PARAMETER, Given.ARRAY)
