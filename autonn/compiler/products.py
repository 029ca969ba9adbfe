"""Products of matrices in another way, which is faster: stacks as one, and the right way round.

And what is a product of matrices though it was written as a sum of products.
"""

from __future__ import annotations

import math
from typing import Any

from autonn.compiler.graph import Argument, Node
from autonn.engine import ops

__all__ = ["as_one", "contracted", "turned"]

# Up to so many multiplications OpenBLAS has products that prepare nothing, on x86; but where each
# of the stack has fewer rows than `_FEW`, they are slow.
_SMALL, _FEW = 10**6, 4

# Of a stack of products, from so many multiplications each on BLAS is faster than a sum.
_WORTH = 64


def as_one(builder: Any, node: Node) -> Argument | None:
    """Multiply a stack of matrices by one as a single matrix, all rows below one another.

    NumPy calls BLAS for each of the stack, and it prepares the one anew each time, but not where
    the products are small: 32 of 32 x 256 by 256 x 64 take 291 microseconds one by one, and 337 at
    once (float32; 583 and 718 in float64). Of few rows each, 64 of 3 x 400 by 400 x 128 take
    309 one by one, and 198 at once (726 and 422 in float64).
    """
    x, y = node.args
    if not (isinstance(x, Node) and isinstance(y, Node) and x.ndim > 2 and y.ndim == 2):
        return None
    if x.shape[-2] >= _FEW and x.shape[-2] * y.size <= _SMALL:
        return None
    rows = builder.call(ops.reshape, x, shape=(math.prod(x.shape[:-1]), x.shape[-1]))
    made: Argument = builder.call(ops.reshape, builder.call(ops.matmul, rows, y), shape=node.shape)
    return made


def turned(builder: Any, product: Node) -> Argument | None:
    """Make ``(X' Y)'`` as ``Y' X``, which needs no copy to lie by rows; None for stacks."""
    left, right = product.args
    if not (isinstance(left, Node) and isinstance(right, Node) and left.ndim == right.ndim == 2):
        return None
    back = builder.call(ops.transpose, right, axes=(1, 0))
    made: Argument = builder.call(ops.matmul, back, left.args[0])
    return made


def contracted(builder: Any, node: Node) -> Argument | None:
    """Make the sum over an axis of x y a product of matrices, where one is stretched to the other.

    What lies along the axis only in x is a row of the result, what only in y a column, and what in
    both counts the stack. The product of 256 x 1 x 64 and 256 x 6 x 64 numbers, summed over the
    last axis, takes 32 microseconds and as matrices 16; of 256 x 6 x 1 and 256 x 6 x 64, over the
    second, 67 and 12 (float32; 59 and 25, 104 and 22 in float64).
    """
    product, axes = node.args[0], node.attribute("axis")
    x, y = product.args
    if len(axes) != 1 or not (isinstance(x, Node) and isinstance(y, Node)):
        return None
    shapes = [(1,) * (product.ndim - a.ndim) + a.shape for a in (x, y)]
    sides = [_side(*sizes) for sizes in zip(*shapes, strict=True)]
    if sides[axes[0]] != "both" or product.shape[axes[0]] == 1:
        return None
    sides[axes[0]] = "added"
    others = [side for side in sides if side != "added"]
    lead = others.count("both")
    if others[:lead] != ["both"] * lead or others[lead:] not in _MATRICES:
        return None
    if lead and not _is_worth_it(node, lead):
        return None
    first, second = ("x", "y") if others[lead] == "x" else ("y", "x")
    pairs = {"x": (x, shapes[0]), "y": (y, shapes[1])}
    left = _matrix(builder, *pairs[first], sides, first, rows=True)
    right = _matrix(builder, *pairs[second], sides, second, rows=False)
    made = builder.call(ops.matmul, left, right)
    result: Argument = builder.call(ops.reshape, made, shape=node.shape)
    return result


# What is left of the sum: rows of x or of y, or both.
_MATRICES = (["x"], ["y"], ["x", "y"], ["y", "x"])


def _is_worth_it(node: Node, lead: int) -> bool:
    """Whether the products of a stack are large enough, whatever the number of rows.

    Where the rows are added up, it would depend on how many there are.
    """
    each = math.prod(node.args[0].shape) // max(1, math.prod(node.shape[:lead]))
    return bool(node.attribute("axis") != (0,) and each >= _WORTH)


def _side(m: int, n: int) -> str:
    """Say in which of two operands there is something along an axis."""
    return "both" if m == n else "x" if n == 1 else "y"


def _matrix(
    builder: Any, a: Node, shape: tuple[int, ...], sides: list[str], own: str, rows: bool
) -> Argument:
    """Lay out an operand as a stack of matrices: its own axis is that of the rows, or columns."""
    lead = [n for n, side in zip(shape, sides, strict=True) if side == "both"]
    inside = [(n, side) for n, side in zip(shape, sides, strict=True) if side in (own, "added")]
    if len(inside) == 1:
        inside.insert(0, (1, own))
    (m, side), (n, _) = inside
    made = builder.call(ops.reshape, a, shape=(*lead, m, n))
    if (side == own) is rows:
        return made
    order = (*range(len(lead)), len(lead) + 1, len(lead))
    turned_round: Argument = builder.call(ops.transpose, made, axes=order)
    return turned_round
