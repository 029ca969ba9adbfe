"""The same numbers in another shape, order or dtype."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autonn.engine.apply import define, implements
from autonn.engine.op import Memory, elementwise
from autonn.engine.ops.rowwise import along_axis
from autonn.engine.tensor import Operand, refuse_tracing, values_of


def inverse_order(axes: Sequence[int] | None, ndim: int) -> tuple[int, ...] | None:
    """Return ``the axes`` that undo a permutation."""
    if axes is None:
        return None
    axes = axes if isinstance(axes, Sequence) else (axes,)
    return tuple(int(i) for i in np.argsort([a % ndim for a in axes]))


def _given_order(axes: Any, ndim: int) -> list[int]:
    """Spell out the axes that a transpose was given; none reverse them."""
    return list(range(ndim))[::-1] if axes is None else np.atleast_1d(axes).tolist()


def _permutes(call: Any, axes: Sequence[int | None]) -> int | None:
    """Say that rows lie along the axis that they are put to."""
    order = _given_order(call.attribute("axes"), call.ndim)
    return None if axes[0] is None else [a % call.ndim for a in order].index(axes[0])


def _keeps_first(call: Any, axes: Sequence[int | None]) -> int | None:
    """Say that rows along the first axis stay there: as they are, or each as several or a part.

    Their numbers stay in order, and so each becomes as many rows as any other. (Who cuts a graph
    sees to it that this is a whole number.)
    """
    x = call.args[0]
    return 0 if axes[0] == 0 and call.ndim and call.size > 0 and x.shape[0] > 0 else None


def _blank(x: Any) -> Any:
    """Make an array of x's shape that takes no memory, to ask NumPy about shapes."""
    return np.broadcast_to(np.zeros(()), x.shape)


def _order(function: Callable[..., Any], x: Any, *args: Any) -> tuple[int, ...]:
    """Tell which axis comes where when axes are exchanged: by their steps in memory."""
    labelled = np.lib.stride_tricks.as_strided(np.zeros(1), x.shape, tuple(range(x.ndim)))
    return tuple(function(labelled, *args).strides)


def _transposed(call: Any, text: Callable[[Any], str]) -> str:
    x, axes = text(call.args[0]), call.attribute("axes")
    reverse = _given_order(axes, call.ndim) == list(range(call.ndim))[::-1]
    return f"{x}.T" if reverse else f"{x}.transpose({text(axes)})"


transpose = define(
    "transpose",
    np.transpose,
    "z = x with its axes permuted",
    lambda g, z, x, axes=None: np.transpose(g, inverse_order(axes, x.ndim)),
    rows=_permutes,
    memory=Memory.VIEW,
    prints=_transposed,
)

reshape = define(
    "reshape",
    lambda x, shape: np.reshape(x, shape),
    "z = x in another shape, C order",
    lambda g, z, x, shape: np.reshape(g, x.shape),
    numpy=(),
    rows=_keeps_first,
    memory=Memory.VIEW,
    prints="{0}.reshape({shape})",
)

expand_dims = define(
    "expand_dims",
    np.expand_dims,
    "z = x with new axes of length 1",
    lambda g, z, x, axis: np.reshape(g, x.shape),
    decompose=lambda x, axis: np.reshape(x, np.expand_dims(_blank(x), axis).shape),
)

swapaxes = define(
    "swapaxes",
    np.swapaxes,
    "z = x with two axes exchanged",
    lambda g, z, x, axis1, axis2: np.swapaxes(g, axis1, axis2),
    decompose=lambda x, axis1, axis2: np.transpose(x, _order(np.swapaxes, x, axis1, axis2)),
)

moveaxis = define(
    "moveaxis",
    np.moveaxis,
    "z = x with axes moved to other places",
    lambda g, z, x, source, destination: np.moveaxis(g, destination, source),
    decompose=lambda x, source, destination: np.transpose(
        x, _order(np.moveaxis, x, source, destination)
    ),
)

squeeze = define(
    "squeeze",
    lambda x, axis=None: np.squeeze(x, axis=axis),
    "z = x without axes of length 1",
    lambda g, z, x, axis=None: np.reshape(g, x.shape),
    numpy=(np.squeeze,),
    decompose=lambda x, axis=None: np.reshape(x, np.squeeze(_blank(x), axis).shape),
)

cast = define(
    "cast",
    lambda x, dtype: x.astype(dtype),
    "z = x in another dtype",
    lambda g, z, x, dtype: g,  # the edge casts it back
    numpy=(),
    rows=elementwise,
    memory=Memory.NEW,
    prints="{0}.astype({dtype})",
)

flip = define(
    "flip",
    lambda x, axis=None: np.flip(x, axis),
    "z = x backwards along axes",
    lambda g, z, x, axis=None: np.flip(g, axis),
    numpy=(np.flip,),
    rows=along_axis,
    memory=Memory.VIEW,
)

roll = define(
    "roll",
    lambda x, shift, axis=None: np.roll(x, shift, axis),
    "z = x shifted around along axes",
    lambda g, z, x, shift, axis=None: np.roll(g, _opposite(shift), axis),
    numpy=(np.roll,),
    rows=along_axis,
    memory=Memory.NEW,
)


def _opposite(shift: Any) -> Any:
    """Compute ``-shift``, of each axis."""
    return tuple(-s for s in shift) if isinstance(shift, tuple | list) else -shift


# ---- orders of memory


def _is_by_columns(x: Any, order: str) -> bool:
    """Whether an order names the columns first: "F", and "A" where x lies so in memory."""
    if order not in ("C", "F", "A"):
        raise ValueError(f"order is 'C', 'F' or 'A', not {order!r}")
    if order == "A":
        refuse_tracing(x, "order='A', which asks how it lies in memory, of")
        flags = values_of(x).flags
        return bool(flags.f_contiguous and not flags.c_contiguous)
    return order == "F"


@implements(np.reshape)
def reshaped(
    x: Operand, /, shape: Any = None, order: str = "C", *, newshape: Any = None, copy: Any = None
) -> Any:
    """Give x another shape, its elements in the order of rows, or of columns."""
    shape = newshape if shape is None else shape
    if order == "C" or not _is_by_columns(x, order):
        return reshape(x, shape)
    sides = (shape,) if np.ndim(shape) == 0 else tuple(shape)
    return transpose(reshape(transpose(x), sides[::-1]))


@implements(np.ravel)
def ravel(x: Operand, order: str = "C") -> Any:
    """Lay all elements in one row, in C order."""
    return reshape(x, (-1,)) if order == "C" else reshaped(x, -1, order)
