"""Calls that are written in another way than their op says, since they are faster so."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from autonn.compiler.graph import Given, Node
from autonn.compiler.layout import shape_by_rows
from autonn.compiler.parts import PARTS
from autonn.compiler.simplify import DOT
from autonn.engine import ops
from autonn.engine.op import Op
from autonn.engine.ops.probability import capped_exp, far_divide, odds, odds_limit, over_odds
from autonn.engine.tensor import values_of

__all__ = ["FASTER", "bounds", "in_one_row", "matrix_of", "parts_at", "sums_of_matrix"]

_FLOATS = (np.float32, np.float64)


def _sum(emitter: Any, node: Node) -> str:
    """Sum rows and columns of matrices as a product with ones: 2 to 3 times as fast.

    So too all of some ten thousand numbers; of more, NumPy's sum by halves has the smaller error.
    """
    x, axes = node.args[0], node.attribute("axis")
    plain = x.dtype in _FLOATS and x.dtype == node.dtype and axes is not None
    if not plain or x.size == node.size:  # x 1 leaves -0 as it is, a sum begins with 0
        return _as_told(emitter, node)
    if node.shape == () and 0 < x.size <= 2**15:
        return f"np.dot({emitter.source.full((x.size,), 1, x.dtype)}, {emitter.flat(x)})"
    if x.ndim > 2 and axes == (0, *range(2, x.ndim)) and emitter.is_in_workspace(x):
        return _sum_of_channels(emitter, node, x)
    return _sum_along(emitter, node, x, axes)


def _sum_along(emitter: Any, node: Node, x: Node, axes: tuple[int, ...]) -> str:
    """Write sums over the first axes, or the last, as a product, and others as told."""
    stretch = emitter.plan.stretches.get(node)
    if node.ndim == 1 and not (stretch and stretch.placed) and matrix_of(emitter, node) is not None:
        return sums_of_matrix(emitter, node)
    told = x.ndim != 2 or len(axes) != 1
    return (_as_told if told else _sum_of_matrix)(emitter, node)


def _as_told(emitter: Any, node: Node) -> str:
    """Write a call as its op says."""
    assert node.op is not None
    assert callable(node.op.prints)
    return node.op.prints(node, emitter.text)


def _sum_of_channels(emitter: Any, node: Node, x: Node) -> str:
    """Sum what lies side by side of each channel by a product, and then the rest.

    Of 32 x 16 x 20 x 20 it takes 14 microseconds in place of 44, in float64 24 in place of 46.
    """
    lies = shape_by_rows(x.shape)[0] if x in emitter.plan.pictures else x.shape
    first, c, n = lies[0], lies[1], math.prod(lies[2:])
    rows = emitter.view(emitter.plan.stretches[x], (first * c, n), "rows")
    each = f"np.dot({rows}, {emitter.source.full((n,), 1, x.dtype)})"
    shape = (first, *node.shape[1:]) if node.attribute("keepdims") else (first, c)
    kept = ", keepdims=True" if node.attribute("keepdims") else ""
    return f"np.add.reduce({each}.reshape({shape}), axis=0{kept})"


def _sum_of_matrix(emitter: Any, node: Node) -> str:
    """Write the sums of a matrix along one axis."""
    x, axes = node.args[0], node.attribute("axis")
    n, kept = x.shape[axes[0]], node.attribute("keepdims")
    if axes == (0,):
        ones = emitter.source.full((1, n) if kept else (n,), 1, x.dtype)
        return f"np.dot({ones}, {emitter.text(x)})"
    return f"np.dot({emitter.text(x)}, {emitter.source.full((n, 1) if kept else (n,), 1, x.dtype)})"


def matrix_of(emitter: Any, node: Node) -> tuple[int, int] | None:
    """Say of which matrix the sums of the first axes, or the last, are the sums; None of others.

    Of 1,024 rows of 64 numbers the sums within rows take 4 microseconds in place of 28, those over
    the rows 4 in place of 20 (float32; 7 and 6 in place of 28 and 24 in float64). What may not lie
    row by row would be copied.
    """
    if not node.calls(ops.sum) or node.args[0].calls(ops.transpose, ops.getitem, ops.broadcast_to):
        return None
    x, axes = node.args[0], node.attribute("axis")
    if (
        x in emitter.plan.pictures
        or x.dtype not in _FLOATS
        or x.dtype != node.dtype
        or x.size == node.size
        or x.ndim < 3
    ):
        return None
    n = len(axes) if axes is not None else x.ndim
    first, last = tuple(range(n)), tuple(range(x.ndim - n, x.ndim))
    if not 0 < n < x.ndim or axes not in (first, last):
        return None
    edge = n if axes == first else x.ndim - n
    return math.prod(x.shape[:edge]), math.prod(x.shape[edge:])


def sums_of_matrix(emitter: Any, node: Node) -> str:
    """Write these sums, in one row."""
    x, shape = node.args[0], matrix_of(emitter, node)
    assert shape is not None
    rows = f"{emitter.text(x)}.reshape({shape})"
    if node.attribute("axis")[0] == 0:
        return f"np.dot({emitter.source.full(shape[:1], 1, x.dtype)}, {rows})"
    return f"np.dot({rows}, {emitter.source.full(shape[1:], 1, x.dtype)})"


def in_one_row(emitter: Any, node: Node) -> str | None:
    """Write what gives its numbers in one row: some sums, and extremes; None for other calls."""
    if matrix_of(emitter, node) is not None:
        return sums_of_matrix(emitter, node)
    return _extremes_of_rows(emitter, node) if node.calls(ops.max, ops.min) else None


def _extremes_of_rows(emitter: Any, node: Node) -> str | None:
    """Write the largest or smallest of each row of what lies by rows, by where the rows start.

    Of 512 rows of 10 numbers it takes 10 microseconds in place of 23, of 2,048 of 32 50 in place
    of 107, in float32 and in float64.
    """
    x, axis = node.args[0], node.attribute("axis")
    if x.ndim < 2 or axis not in (-1, x.ndim - 1, (-1,), (x.ndim - 1,)) or x.dtype not in _FLOATS:
        return None
    ours = any(b.shape == x.shape and emitter.is_ours(b) for b in x.nodes())
    chosen = x.calls(ops.where) and ours  # then it lies as that does
    if x.size == 0 or not (chosen or emitter.is_ours(x)):
        return None
    row = f"{emitter.text(x)}.reshape(-1)" if chosen else emitter.flat(x)
    function = "np.maximum" if node.calls(ops.max) else "np.minimum"
    return f"{function}.reduceat({row}, {emitter.source.starts(x.size, x.shape[-1])})"


def parts_at(emitter: Any, node: Node, spot: str) -> list[str] | None:
    """Write the parts of a whole where they belong; None where they are not all there is."""
    if node.op is not PARTS or not node.attributes["whole"]:
        return None
    keys = (_spelled(key) for key in node.attributes["keys"])
    pairs = [(emitter.text(a), f"{spot}[{key}]") for a, key in zip(node.args, keys, strict=True)]
    if node in emitter.plan.beside:
        pairs = [emitter.blocks_of(node, spot)]
    if not node.attributes.get("signs", True):
        return [f"np.copyto({to}, {part})" for part, to in pairs]
    zero = emitter.source.number(0.0, node.dtype)  # -0 becomes 0, as in a sum
    return [f"np.add({part}, {zero}, out={to})" for part, to in pairs]


def _spelled(key: Any) -> str:
    """Write a key of slices as one does.

    >>> _spelled((slice(None), slice(0, 64)))
    ':, 0:64'
    """
    ends = [["" if e is None else str(e) for e in (k.start, k.stop, k.step)] for k in key]
    return ", ".join(":".join(e if e[2] else e[:2]) for e in ends)


def bounds(node: Node) -> bool:
    """Whether float32 is bounded by a number, which NumPy does one at a time, and by rows faster.

    Of 32 x 64 numbers within rows of 256 it takes 2.1 microseconds, and by as many bounds 1.5; of
    20 x 32 x 64 numbers 15.4 and 4.1.
    """
    is_bound = node.calls(ops.minimum, ops.maximum) and node.dtype == np.float32
    return is_bound and 256 <= node.size <= 2**16


def _dot(emitter: Any, node: Node) -> str:
    """Take `dot` of two rows where both are at hand: vdot makes them, 0.3 microseconds a call.

    Of one number each, `dot` is no sum, which begins with 0, and so may be -0.
    """
    known = node.args[0].size != 1 and all(map(emitter.is_in_workspace, node.args))
    if known and len({a in emitter.plan.pictures for a in node.args}) == 1:
        return f"np.dot({', '.join(map(emitter.flat, node.args))})"
    return f"np.vdot({', '.join(map(emitter.text, node.args))})"


def _matmul(emitter: Any, node: Node) -> str:
    """Take `dot` for plain matrices: the same product, called 0.5 microseconds sooner.

    Where one of them is a single number, `dot` multiplies by that, and if it is 0 not even inf.
    """
    if node in emitter.plan.columns:
        x, y = map(emitter.turned, node.args)
        return f"np.dot({y}, {x}).T"
    x, y = node.args
    if x.ndim == y.ndim == 2 and x.size != 1 and y.size != 1:
        return f"np.dot({emitter.text(x)}, {emitter.text(y)})"
    if y.calls(ops.transpose):
        # Else it is copied for each matrix of x: 32 of 32 x 64 by (256 x 64)' take 291 microseconds
        # in place of 593 (float32; 583 in place of 817 in float64).
        return f"np.matmul({emitter.text(x)}, np.ascontiguousarray({emitter.text(y)}))"
    return f"np.matmul({emitter.text(x)}, {emitter.text(y)})"


def _read(emitter: Any, node: Node) -> str:
    """Take rows by their numbers, as NumPy does sooner than it reads by a key.

    256 x 6 of 10,000 rows of 64 take 11 microseconds in place of 27, 1 of 27 rows of 10 takes 0.3
    in place of 0.9 (float64: 23 in place of 39). Of what may not lie row by row all is copied.
    """
    x, key = node.args[0], node.attribute("key")
    (key,) = key if isinstance(key, tuple) and len(key) == 1 else (key,)
    rows = node.args[1] if isinstance(key, ops.Slot) else key
    numbers = isinstance(rows, Node | np.ndarray) and rows.dtype.kind in "iu" and rows.ndim
    if numbers and np.can_cast(rows.dtype, np.intp) and _lies_by_rows(emitter, x):
        return f"{emitter.text(x)}.take({emitter.text(rows)}, axis=0)"
    return _as_told(emitter, node)


def _lies_by_rows(emitter: Any, x: Node) -> bool:
    """Whether an array is known to lie in memory row by row."""
    if x.given is Given.PARAMETER:
        return bool(values_of(x.value).flags.c_contiguous)
    return x in emitter.plan.stretches and x.given is None and x not in emitter.plan.columns


def _odds(emitter: Any, node: Node) -> str:
    """Choose a plain exponential while no number is beyond its limit."""
    (x,) = node.args
    capped = emitter.source.function(capped_exp, "capped_exp")
    return f"(np.exp if {_within(emitter, x)} else {capped})({emitter.text(x)})"


def _over_odds(emitter: Any, node: Node) -> str:
    """Choose a plain division while no number is beyond the limit of its exponential."""
    n, u, x = (emitter.number_or_text(node, a) for a in node.args)
    far = emitter.source.function(far_divide, "far_divide")
    return f"(np.divide if {_within(emitter, node.args[2])} else {far}({x}))({n}, {u})"


def _within(emitter: Any, x: Node) -> str:
    """Write whether no number is beyond the limit of its exponential, or none at all.

    By `argmax` it takes 0.3 microseconds for 32 x 25 numbers in the workspace, and by `max` 1.1;
    from some ten thousand on `max` is faster. To cap as many takes 0.7, of 5,000 x 25 four times
    as long.
    """
    stretch = emitter.plan.stretches.get(x)
    ours = stretch is not None and stretch.buffer is not None
    largest = emitter.text(x)
    if x.shape:
        largest += ".max()" if x.size else ".max(initial=0)"
    if ours and 0 < x.size < 2**14:
        flat = emitter.view(stretch, (x.size,), "flat")
        largest = f"{flat}.item({flat}.argmax())"
    return f"{largest} <= {odds_limit(x.dtype)}"


FASTER: dict[Op, Callable[[Any, Node], str]] = {
    ops.gather.op: _read,
    ops.getitem.op: _read,
    ops.sum.op: _sum,
    ops.matmul.op: _matmul,
    DOT: _dot,
    odds.op: _odds,
    over_odds.op: _over_odds,
}
