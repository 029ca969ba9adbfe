"""Parts laid side by side in one go, as the gradients of what `split` cut apart.

Each part is laid into zeros of the whole and the wholes are added up: of four gates of a recurrent
layer, 32 x 64 numbers each, that takes 21 microseconds, and one array of zeros to which all parts
are added 8; where the parts are all there is, they need no zeros, and it takes 4. The numbers are
the same, the signs of zeros too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autonn.compiler.graph import Argument, Node, behind
from autonn.engine import ops
from autonn.engine.op import Memory, Op

__all__ = ["PARTS", "blocks_of_rows", "joined", "unsigned"]


def added_parts(
    *parts: Any, keys: Any, shape: Any, whole: bool = False, signs: bool = True, out: Any = None
) -> Any:
    """Add parts to zeros, each at its key; together they are the `whole`, or need not be.

    A sum makes 0 of -0; without `signs` a whole need not.
    """
    out = np.empty(shape, parts[0].dtype) if out is None else out
    if not whole:
        out.fill(0)
    for key, part in zip(keys, parts, strict=True):
        spot = out[key]
        if signs or not whole:
            np.add(part, 0 if whole else spot, out=spot)
        else:
            spot[...] = part
    return out


def are_whole(keys: Sequence[Any], shape: tuple[int, ...]) -> bool:
    """Whether the places of the keys are all there are, each once.

    >>> are_whole([(slice(0, 2),), (slice(2, 5),)], (5,)), are_whole([(slice(0, 2),)] * 2, (4,))
    (True, False)
    """
    count = np.zeros(shape, np.int8)
    for key in keys:
        count[key] += 1
    return bool((count == 1).all())


def blocks_of_rows(node: Any) -> list[Node]:
    """List the parts from left to right, if they are all there is and columns of one width.

    >>> x, y = (Node(None, (), {}, (3, 2), np.dtype(float)) for _ in range(2))
    >>> keys = (slice(None), slice(2, 4)), (slice(None), slice(0, 2))
    >>> node = Node(PARTS, (x, y), {"keys": keys, "whole": True}, (3, 4), np.dtype(float))
    >>> blocks_of_rows(node) == [y, x]
    True
    """
    *lead, width = node.args[0].shape
    alike = all(a.shape == (*lead, width) for a in node.args) and tuple(lead) == node.shape[:-1]
    if not (node.attributes["whole"] and alike and lead):
        return []
    pairs = zip(node.attributes["keys"], node.args, strict=True)
    places = [(key[-1].indices(node.shape[-1]), a) for key, a in pairs if len(key) == node.ndim]
    found = sorted(places, key=lambda place: place[0][0])
    return [a for (start, stop, step), a in found if step == 1 and stop > start]


def unsigned(outputs: Sequence[Any], seen: Sequence[Any]) -> set[Node]:
    """Find the values of which nobody sees the signs of zeros, where those that are `seen` show.

    They are read by nothing but products of matrices and sums of rows, which begin with 0.

    >>> from autonn.compiler.trace import trace
    >>> (y,) = trace(lambda x: np.ones((2, 3)) @ np.exp(x), np.ones((3, 2))).outputs
    >>> [node.op.name for node in unsigned([y], [y]) if node.op]
    ['exp']
    """
    nodes = behind(outputs)
    signed = {a for a in seen if isinstance(a, Node)}
    for node in reversed(nodes):
        is_sum = node.calls(ops.matmul) or (node.calls(ops.sum) and node.size < node.args[0].size)
        is_view = node.calls(ops.transpose, ops.reshape)
        if not is_sum and (node in signed or not is_view):
            signed.update(node.nodes())
    return set(nodes) - signed


def _keeps_rows(call: Any, axes: Sequence[int | None]) -> int | None:
    """Say that rows stay rows where each part takes all of them."""
    rows, keys = axes[0], call.attributes["keys"]
    if rows is None or any(axis != rows for axis in axes):
        return None
    whole = range(call.shape[rows])
    takes_all = (len(key) <= rows or whole[key[rows]] == whole for key in keys)
    return rows if all(takes_all) else None


PARTS = Op(
    "parts", added_parts, "z = 0 but z[key_k] += x_k", (None,),
    variadic=True, rows=_keeps_rows, memory=Memory.OUT,
)  # fmt: skip


def joined(builder: Any, node: Node) -> Argument | None:
    """Make one call of the sum of two values that were laid into zeros."""
    found = [_parts_of(a) for a in node.args]
    if not all(found) or node.shape == () or any(a.shape != node.shape for a in node.args):
        return None
    pairs = [pair for parts in found for pair in parts]
    keys = tuple(key for _, key in pairs)
    whole = are_whole(keys, node.shape)
    attributes = {"keys": keys, "shape": node.shape, "whole": whole}
    values = tuple(value for value, _ in pairs)
    made: Argument = builder.make(PARTS, values, attributes, node.shape, node.dtype)
    return made


def _parts_of(a: Argument) -> list[tuple[Node, Any]]:
    """List the parts of a value and their keys; none where it is not made of such."""
    if not isinstance(a, Node):
        return []
    if a.op is PARTS:
        return list(zip(a.args, a.attributes["keys"], strict=True))
    if not a.calls(ops.put) or not isinstance(a.args[0], Node):
        return []
    key = a.attributes["key"]
    plain = isinstance(key, tuple) and all(isinstance(k, slice) for k in key)
    return [(a.args[0], key)] if plain and a.args[0].dtype == a.dtype else []
