"""Sums over all rows that the slices of the rows wait for, as batch normalisation does.

A slice computes what it adds to such sums, gives that away, and is given the sums over all slices
before it goes on: in the text of a program that is ``total, = yield (own,)``. All sums that can be
given away together are one round.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autonn.compiler.graph import Node
from autonn.engine.op import Memory, Op, mixes_rows

__all__ = ["ADDED", "added_nodes", "rounds_of"]


def _alone(*own: Any, index: int, turn: int) -> Any:
    """Return the sum where there is one slice alone."""
    return own[index]


# What other slices read too is never overwritten, and so it is nobody's own memory.
ADDED = Op(
    "added", _alone, "z = sum of x over the slices", (None,),
    variadic=True, rows=mixes_rows, memory=Memory.MAY_ALIAS,
)  # fmt: skip


def added_nodes(own: Sequence[Node], turn: int) -> list[Node]:
    """Make what stands for the sums over all slices, in one round."""
    made = []
    for index, node in enumerate(own):
        total = Node(ADDED, tuple(own), {"index": index, "turn": turn}, node.shape, node.dtype)
        total.label = node.label
        made.append(total)
    return made


def rounds_of(calls: Sequence[Node]) -> list[list[Node]]:
    """List the sums that are given away in each round, of the calls of a slice."""
    found = {node.attributes["turn"]: list(node.args) for node in calls if node.op is ADDED}
    return [found[turn] for turn in sorted(found)]
