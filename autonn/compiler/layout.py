"""How values lie in memory where that is faster: by columns, pictures last, in long rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from autonn.compiler.graph import Argument, Node
from autonn.engine import ops

__all__ = [
    "ScaledSum",
    "by_columns",
    "is_product",
    "is_ufunc",
    "laid",
    "pictures_last",
    "repeats",
    "scaled_sums",
    "shape_by_rows",
]

# Up to this size BLAS adds a multiple of an array in the caller's own thread; beyond, the threads
# that SciPy's BLAS has of its own would wake up and fight with NumPy's.
AXPY_SIZE = 10_000


def is_ufunc(node: Node) -> bool:
    """Whether it calls a plain ufunc, or what works as one, element by element."""
    return node.op is not None and node.op.pointwise


def is_product(node: Node) -> bool:
    """Whether it is a product of two plain matrices of one dtype, of several numbers each."""
    return node.calls(ops.matmul) and all(
        isinstance(a, Node) and a.ndim == 2 and a.size != 1 and a.dtype == node.dtype
        for a in node.args
    )


# ---- by columns


class _Groups:
    """Values that have to be laid out alike, joined where they meet in one call."""

    def __init__(self) -> None:
        self.of: dict[Node, list[Node]] = {}
        self.fixed: set[int] = set()  # the ids of lists whose values stay by rows

    def add(self, node: Node) -> None:
        self.of[node] = [node]

    def fix(self, node: Node) -> None:
        self.fixed.add(id(self.of[node]))

    def is_fixed(self, node: Node) -> bool:
        return id(self.of[node]) in self.fixed

    def join(self, a: Node, b: Node) -> None:
        joined, other = self.of[a], self.of[b]
        if joined is other:
            return
        joined += other
        if id(other) in self.fixed:
            self.fixed.add(id(joined))
        for member in other:
            self.of[member] = joined


def by_columns(calls: Sequence[Node], outputs: Sequence[Argument]) -> set[Node]:
    """Choose the values that are laid out column by column.

    Where there are more rows than columns, as in a hidden layer, BLAS is faster at W X' than at
    X W' in float64 (12 % at 128 x 25, 17 % at 2,500 x 25; in float32 it is slower), and a bias is
    added to long columns, not to short rows. All values of one shape that meet in element-wise
    calls are laid out alike; where one of them is given by rows, is returned, or is used in
    another way, all stay as they are.
    """
    groups = _Groups()
    for node in filter(_is_tall, calls):
        groups.add(node)
    for node in calls:
        for a in node.nodes():
            _meet(groups, node, a)
    for output in outputs:
        if isinstance(output, Node) and output in groups.of:
            groups.fix(output)
    products = {id(groups.of[node]) for node in groups.of if is_product(node)}
    return {
        node for node in groups.of
        if not groups.is_fixed(node) and id(groups.of[node]) in products
    }  # fmt: skip


def _is_tall(node: Node) -> bool:
    """Whether columns could be the better way for it."""
    tall = node.ndim == 2 and node.shape[0] > node.shape[1] and node.dtype == np.float64
    return tall and (is_ufunc(node) or is_product(node))


def _meet(groups: _Groups, node: Node, a: Node) -> None:
    """Join a call and an operand that it lays out alike, or fix what it can't take so."""
    alike = is_ufunc(node) and node in groups.of and a.shape == node.shape
    if a not in groups.of:
        if alike:
            groups.fix(node)
    elif alike:
        groups.join(a, node)
    elif not _takes_columns(node):
        groups.fix(a)


def _takes_columns(node: Node) -> bool:
    """Whether a call that is not element by element takes columns as well as rows."""
    if is_product(node) or node.calls(ops.transpose):
        return True
    return node.calls(ops.sum) and node.attribute("axis") == (0,) and node.ndim == 1


# ---- pictures last


def pictures_last(calls: Sequence[Node]) -> set[Node]:
    """Choose the values that lie row by row of all pictures, as convolutions leave them.

    So does what is made of them number by number, or by pooling, and a row of numbers that was
    taken for a picture of height 1.
    """
    chosen: set[Node] = set()
    for node in calls:
        if node.calls(ops.conv, ops.conv_transpose) or (
            node.ndim in (3, 4)
            and (is_ufunc(node) or node.calls(ops.pool_max, ops.share_max, ops.reshape))
            and any(a in chosen and _stay_pictures(a, node) for a in node.nodes())
        ):
            chosen.add(node)
    return chosen


def _stay_pictures(a: Node, node: Node) -> bool:
    """Whether pictures become as many others, in the same order."""
    if node.calls(ops.reshape):
        return a.shape[:2] == node.shape[:2] and _sides(a.shape) == _sides(node.shape)
    return a.shape[:2] == node.shape[:2] and (not is_ufunc(node) or a.shape == node.shape)


def _sides(shape: tuple[int, ...]) -> list[int]:
    return [n for n in shape[2:] if n != 1]


def shape_by_rows(shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shape of memory for pictures, (h, c, w, m), and how its axes are exchanged.

    >>> shape_by_rows((32, 16, 20, 30)), shape_by_rows((32, 16, 100))
    (((20, 16, 30, 32), (3, 1, 0, 2)), ((100, 16, 32), (2, 1, 0)))
    """
    if len(shape) == 3:
        return shape[::-1], (2, 1, 0)
    m, c, h, w = shape
    if h == 1:
        return (w, c, h, m), (3, 1, 2, 0)
    return (h, c, w, m), (3, 1, 0, 2)


def laid(node: Node, plan: Any) -> str:
    """Write how numbers in one row are given the shape of a value, by what a plan says of it."""
    if node in plan.pictures:
        return ".reshape({}).transpose({})".format(*shape_by_rows(node.shape))
    return f".reshape({node.shape[::-1]}).T" if node in plan.columns else f".reshape({node.shape})"


# ---- sums where they lie


class ScaledSum(NamedTuple):
    """The parts of ``a x + y``."""

    a: float
    x: Node
    y: Node


def scaled_sums(
    calls: Sequence[Node], outputs: Sequence[Argument], last: dict[Node, float], columns: set[Node]
) -> tuple[dict[Node, ScaledSum], set[Node]]:
    """Find the ``a x + y`` that BLAS can add to y where it lies: a product that dies there.

    So a weight decay is added in one go, and its multiple needs no memory. Returns the sums, and
    the multiples that are spared.
    """
    uses = Counter(a for node in calls for a in node.nodes())
    uses.update(output for output in outputs if isinstance(output, Node))
    sums: dict[Node, ScaledSum] = {}
    spared: set[Node] = set()
    for k, node in enumerate(calls):
        if not node.calls(ops.add) or not 0 < node.size <= AXPY_SIZE:
            continue
        for scaled, y in (node.args, node.args[::-1]):
            fits = _is_scaled(scaled, node) and _is_sum_of(node, scaled.args[0], y, columns)
            if fits and uses[scaled] == 1 and last.get(y) == k:
                sums[node] = ScaledSum(scaled.args[1], scaled.args[0], y)
                spared.add(scaled)
                break
    return sums, spared


def _is_scaled(a: Argument, node: Node) -> bool:
    return (
        isinstance(a, Node)
        and a.calls(ops.multiply)
        and isinstance(a.args[0], Node)
        and isinstance(a.args[1], float)
        and node.dtype.type(a.args[1]) != 0  # times 0 BLAS leaves inf out
        and a.args[0].shape == node.shape
    )


def _is_sum_of(node: Node, x: Node, y: Any, columns: set[Node]) -> bool:
    return (
        isinstance(y, Node)
        and y.shape == node.shape
        and x.dtype == y.dtype == node.dtype
        and node.dtype in (np.float32, np.float64)
        and is_product(y)
        and not {y, node} & columns
    )


# ---- few long rows in place of many short ones


def repeats(node: Node, other: Argument, is_column: bool) -> int:
    """Say how many rows to take as one where a bias, or a bound, is repeated for them; 0: none.

    NumPy goes row by row where a bias is added, and one number at a time where float32 is bounded
    by a number: 500 x 25 of them take 9 microseconds to add a bias and 7 to be capped. With the
    bias, or the bound, repeated for a row of some thousand, it is 3 and 2.
    """
    if not is_ufunc(node) or len(node.args) != 2 or node.ndim != 2 or node.size < 256:
        return 0
    n = node.shape[1]
    count = _most_rows(*node.shape)
    if isinstance(other, Node):
        short = other.shape == (n,) and not is_column and n <= 64
        return count if short and node.size >= 2048 and count >= 8 else 0
    is_bound = isinstance(other, int | float) and node.calls(ops.minimum, ops.maximum)
    return count if is_bound and node.dtype == np.float32 and count * n >= 256 else 0


def _most_rows(m: int, n: int) -> int:
    """Find the largest divisor of m so that as many rows of n numbers are at most 2,048."""
    return max((d for d in range(1, min(m, 2048 // n) + 1) if m % d == 0), default=1)
