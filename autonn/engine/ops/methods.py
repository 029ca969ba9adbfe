"""Which op each operator and method of a Tensor is: all of them, in one table."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from autonn.engine.display import shown
from autonn.engine.ops import (
    arithmetic,
    arranging,
    comparisons,
    indexing,
    numbers,
    products,
    rearranging,
    remainders,
    scans,
    selection,
    shapes,
    totals,
)
from autonn.engine.ops.in_place import IN_PLACE
from autonn.engine.tensor import Tensor, implementations, values_of
from autonn.habits import answer_attributes, take_keywords


def _reflected(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, other: function(other, self)


def _asked(function: str) -> Callable[..., Any]:
    """Return what answers for a NumPy function that asks about values."""
    asked: Callable[..., Any] = implementations[getattr(np, function)]
    taken: Callable[..., Any] = take_keywords(asked, "axis()", function)
    taken.__signature__ = inspect.signature(getattr(np, function))  # type: ignore[attr-defined]
    return taken


def _spread(args: tuple[Any, ...]) -> Any:
    return args[0] if len(args) == 1 else args


def _reshape(self: Tensor, *shape: Any, order: str = "C", copy: Any = None) -> Any:
    return shapes.reshaped(self, _spread(shape), order)


def _transpose(self: Tensor, *axes: Any) -> Any:
    return shapes.transpose(self, _spread(axes) if axes else None)


def _astype(self: Tensor, dtype: Any, **options: Any) -> Any:
    """Cast, with ``casting=`` as NumPy takes it; the result is a new Tensor, also if not `copy`."""
    unknown = options.keys() - {"order", "casting", "subok", "copy"}
    if unknown:
        raise TypeError(f"astype got an unexpected keyword argument {sorted(unknown)[0]!r}")
    if not np.can_cast(self.dtype, dtype, options.get("casting", "unsafe")):
        raise TypeError(f"astype from {self.dtype} to {np.dtype(dtype)}: {options['casting']!r}")
    return shapes.cast(self, dtype)


def _conjugate(self: Tensor) -> Any:
    return numbers.conj(self)


def _copy(self: Tensor, order: str = "C") -> Any:
    return numbers.copy(self)


def _round(self: Tensor, decimals: int | None = None) -> Any:
    if decimals is None:
        self._refuse_as_number("round() of")  # of a number it is a whole number, which has no -0
    return selection.round_(self, decimals or 0)


def _tolist(self: Tensor) -> Any:
    self._refuse_number("tolist() of")
    return values_of(self).tolist()


def _squeeze(self: Tensor, axis: Any = None) -> Any:
    return shapes.squeeze(self, axis=axis)


def _compress(self: Tensor, condition: Any, axis: int | None = None) -> Any:
    return rearranging.compress(condition, self, axis)


def _transposed_matrices(self: Tensor) -> Any:
    """Transpose the matrices in the last two axes."""
    if self.ndim < 2:
        raise ValueError(f".mT takes at least two axes, not shape {self.shape}")
    return shapes.swapaxes(self, -1, -2)


def _imag(self: Tensor) -> Any:
    """Return the imaginary part: 0 of real numbers."""
    return numbers.imag(self)


def _real(self: Tensor) -> Any:
    """Return the real part: itself of real numbers."""
    return numbers.real(self)


METHODS: dict[str, Any] = {
    "__add__": arithmetic.add,
    "__radd__": _reflected(arithmetic.add),
    "__sub__": arithmetic.subtract,
    "__rsub__": _reflected(arithmetic.subtract),
    "__mul__": arithmetic.multiply,
    "__rmul__": _reflected(arithmetic.multiply),
    "__truediv__": arithmetic.divide,
    "__rtruediv__": _reflected(arithmetic.divide),
    "__pow__": arithmetic.power,
    "__rpow__": _reflected(arithmetic.power),
    "__matmul__": products.matmul,
    "__rmatmul__": _reflected(products.matmul),
    "__floordiv__": remainders.floor_divide,
    "__rfloordiv__": _reflected(remainders.floor_divide),
    "__mod__": remainders.remainder,
    "__rmod__": _reflected(remainders.remainder),
    "__divmod__": remainders.divmod_,
    "__rdivmod__": _reflected(remainders.divmod_),
    "__round__": _round,
    "__neg__": arithmetic.negative,
    "__pos__": arithmetic.positive,
    "__abs__": arithmetic.absolute,
    "__eq__": comparisons.equal,
    "__ne__": comparisons.not_equal,
    "__lt__": comparisons.less,
    "__le__": comparisons.less_equal,
    "__gt__": comparisons.greater,
    "__ge__": comparisons.greater_equal,
    "__and__": comparisons.bitwise_and,
    "__rand__": _reflected(comparisons.bitwise_and),
    "__or__": comparisons.bitwise_or,
    "__ror__": _reflected(comparisons.bitwise_or),
    "__invert__": comparisons.invert,
    "__getitem__": indexing.read,
    "at": property(indexing.At, doc=indexing.At.__doc__),
    "sum": totals.total,
    "mean": totals.average_of_all,
    "max": totals.largest,
    "min": totals.smallest,
    "prod": totals.product,
    "var": totals.variance,
    "std": totals.deviation,
    "cumsum": take_keywords(scans.cumsum, "axis()", "cumsum"),
    "cumprod": scans.cumprod,
    "clip": selection.clip,
    "round": selection.round_,
    "dot": products.dot,
    "any": _asked("any"),
    "all": _asked("all"),
    "argmax": _asked("argmax"),
    "argmin": _asked("argmin"),
    "argsort": _asked("argsort"),
    "nonzero": _asked("nonzero"),
    "searchsorted": _asked("searchsorted"),
    "argpartition": _asked("argpartition"),
    "astype": _astype,
    "copy": _copy,
    "tolist": _tolist,
    "ravel": shapes.ravel,
    "flatten": shapes.ravel,
    "squeeze": take_keywords(_squeeze, "axis()", "squeeze"),
    "conj": _conjugate,
    "conjugate": _conjugate,
    "compress": _compress,
    "choose": rearranging.choose,
    "real": property(_real, doc=_real.__doc__),
    "imag": property(_imag, doc=_imag.__doc__),
    "mT": property(_transposed_matrices, doc=_transposed_matrices.__doc__),
    "swapaxes": shapes.swapaxes,
    "reshape": _reshape,
    "transpose": _transpose,
    "repeat": arranging.repeat,
    "take": indexing.take,
    "diagonal": arranging.diagonal,
    "trace": arranging.trace,
}

for _name, _method in (METHODS | IN_PLACE).items():
    setattr(Tensor, _name, _method)

setattr(Tensor, "_repr_html_", shown)  # noqa: B010  # what IPython asks of a value that it shows
answer_attributes(Tensor)
