"""Many numbers to one: sums, means, extremes, products and norms; and back to many."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autonn.engine.apply import define
from autonn.engine.op import Memory
from autonn.engine.ops.rowwise import Axis, reduces, spelled_axes, sums
from autonn.engine.ops.safe import safe_divide
from autonn.engine.ops.shapes import inverse_order
from autonn.engine.tensor import Array


def _out_of_its_dtype(call: Any) -> Memory:
    """Take ``out=`` where the sum has the dtype of what is summed; of booleans it has not."""
    return Memory.OUT if call.args[0].dtype == call.dtype else Memory.NEW


def _reduced(function: str) -> Callable[..., str]:
    """Call the reduction of a ufunc, which starts sooner than NumPy's function around it."""

    def prints(call: Any, text: Callable[[Any], str]) -> str:
        axis = call.attribute("axis")
        axis = axis[0] if isinstance(axis, tuple) and len(axis) == 1 else axis
        keepdims = ", keepdims=True" if call.attributes.get("keepdims") else ""
        return f"{function}.reduce({text(call.args[0])}, axis={axis!r}{keepdims})"

    return prints


def restored(g: Any, axis: Axis, keepdims: bool) -> Any:
    """Return ``g`` with the axes that a reduction took away, of length 1."""
    return g if axis is None or keepdims else np.expand_dims(g, axis)


def spread_back(g: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    """Return ``g`` repeated along the axes that were reduced, to the shape of x.

    NumPy takes the axes 0 and -1 of a number too, of which there is none to be put back.
    """
    if not x.shape:
        return g
    return np.broadcast_to(restored(g, axis, keepdims), x.shape)


sum_ = define(
    "sum",
    lambda x, axis=None, *, keepdims=False: np.sum(x, axis=axis, keepdims=keepdims),
    "z = sum of x over axis",
    lambda g, z, x, axis=None, keepdims=False: spread_back(g, x, axis, keepdims),
    numpy=(),
    rows=sums,
    memory=_out_of_its_dtype,
    prints=_reduced("np.add"),
)


def _mean_parts(x: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    total = np.sum(x, axis=axis, keepdims=keepdims)
    return total / (x.size / max(1, total.size))


mean = define(
    "mean",
    lambda x, axis=None, *, keepdims=False: np.mean(x, axis=axis, keepdims=keepdims),
    "z = sum of x over axis / n",
    lambda g, z, x, axis=None, keepdims=False: spread_back(
        g * (z.size / max(x.size, 1)), x, axis, keepdims
    ),
    numpy=(),
    kinks="The mean of nothing is NaN.",
    decompose=_mean_parts,
)


def summed_to(x: Array, shape: tuple[int, ...]) -> Any:
    """Sum over the axes that broadcasting a shape to that of x added or stretched."""
    lead = x.ndim - len(shape)
    plain = x.dtype.kind == "f" and x.size > 1  # a dot of one number is no sum: -0 stays -0
    if plain and lead == 1 and x.ndim == 2 and x.shape[1:] == shape:
        row = np.empty(x.shape[0], x.dtype)
        row.fill(1)
        return row.dot(x)  # 4 times as fast as x.sum(axis=0) when narrow
    ones = tuple(lead + i for i, n in enumerate(shape) if n == 1)
    return np.sum(x, axis=(*range(lead), *ones), keepdims=True).reshape(shape)


def _sum_to_parts(x: Any, shape: tuple[int, ...]) -> Any:
    lead = x.ndim - len(shape)
    stretched = (lead + i for i, n in enumerate(shape) if n == 1 and x.shape[lead + i] != 1)
    axes = (*range(lead), *stretched)
    return np.reshape(np.sum(x, axis=axes) if axes else x, shape)


sum_to = define(
    "sum_to",
    summed_to,
    "z = x summed over the axes that broadcasting added or stretched",
    lambda g, z, x, shape: np.broadcast_to(g, x.shape),
    numpy=(),
    decompose=_sum_to_parts,
)


def _stretches(call: Any, axes: Sequence[int | None]) -> int | None:
    """Say that axes are added in front of that of the rows."""
    return None if axes[0] is None else call.ndim - call.args[0].ndim + axes[0]


broadcast_to = define(
    "broadcast_to",
    np.broadcast_to,
    "z = x repeated to the shape",
    lambda g, z, x, shape: g,  # the edge sums it back
    rows=_stretches,
    memory=Memory.VIEW,
    prints="np.broadcast_to({0}, {shape})",
)


def _extreme(g: Any, z: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Use ``g / k`` where x = z, of which there are k, and 0 elsewhere."""
    z = restored(z, axis, keepdims)
    hit = np.equal(x, z) | (np.not_equal(x, x) & np.not_equal(z, z))  # NaN is where NaN came from
    count = np.sum(np.where(hit, 1.0, 0.0), axis=axis, keepdims=True)
    return np.where(hit, restored(g, axis, keepdims) / count, 0)


max_ = define(
    "max",
    lambda x, axis=None, *, keepdims=False: np.max(x, axis=axis, keepdims=keepdims),
    "z = the largest x over axis",
    _extreme,
    numpy=(),
    kinks="k equal maxima get 1/k of the gradient each.",
    rows=reduces,
    memory=Memory.OUT,
    prints=_reduced("np.maximum"),
)

min_ = define(
    "min",
    lambda x, axis=None, *, keepdims=False: np.min(x, axis=axis, keepdims=keepdims),
    "z = the smallest x over axis",
    _extreme,
    numpy=(),
    kinks="k equal minima get 1/k of the gradient each.",
    rows=reduces,
    memory=Memory.OUT,
    prints=_reduced("np.minimum"),
)


def product_of_others(x: Any) -> Any:
    """Multiply, for each element along the last axis, all the others: right with zeros too."""
    ones = np.ones((*x.shape[:-1], 1), x.dtype)
    n = x.shape[-1]
    before = np.cumprod(np.concatenate([ones, x], axis=-1)[..., :n], axis=-1)
    after = np.cumprod(np.concatenate([ones, np.flip(x, -1)], axis=-1)[..., :n], axis=-1)
    return before * np.flip(after, -1)


def _prod_rule(g: Any, z: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Use ``g`` times the product of all x but the own.

    The reduced axes are laid side by side at the end, the others multiplied, and laid back.
    """
    axes = spelled_axes(axis, x.ndim)
    kept = [a for a in range(x.ndim) if a not in axes]
    order = (*kept, *axes)
    rows = np.transpose(x, order)
    flat = np.reshape(rows, (*rows.shape[: len(kept)], math.prod(rows.shape[len(kept) :])))
    others = np.reshape(product_of_others(flat), rows.shape)
    return spread_back(g, x, axis, keepdims) * np.transpose(others, inverse_order(order, x.ndim))


prod = define(
    "prod",
    lambda x, axis=None, *, keepdims=False: np.prod(x, axis=axis, keepdims=keepdims),
    "z = product of x over axis",
    _prod_rule,
    numpy=(),
    kinks="Right with zeros: each element's gradient is the product of the others.",
    rows=reduces,
    memory=Memory.NEW,
)

euclidean = define(
    "norm",
    lambda x, axis=None, *, keepdims=False: np.linalg.norm(x, axis=axis, keepdims=keepdims),
    "z = sqrt(sum x^2) over axis",
    lambda g, z, x, axis=None, keepdims=False: (
        restored(g, axis, keepdims) * safe_divide(x, restored(z, axis, keepdims))
    ),
    numpy=(),
    kinks="At 0 the gradient is 0.",
    rows=reduces,
    memory=Memory.NEW,
)


def _sum_of_squares_forward(*xs: Any, factor: float = 1.0) -> Any:
    total: Any = 0
    for x in xs:
        total = total + np.vdot(x, x)
    return factor * total


def _sum_of_squares_parts(*xs: Any, factor: float = 1.0) -> Any:
    return factor * functools.reduce(np.add, (np.sum(np.square(x)) for x in xs))


sum_of_squares = define(
    "sum_of_squares",
    _sum_of_squares_forward,
    "z = factor times the sum of the squares of all elements of all x",
    lambda k, g, z, *xs, factor=1.0: g * (2 * factor) * xs[k],
    variadic=True,
    decompose=_sum_of_squares_parts,
)
