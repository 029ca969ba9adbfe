"""Which op each operator and method of a Tensor is: all of them, in one table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autonn.engine.ops import (
    arithmetic,
    arranging,
    comparisons,
    indexing,
    products,
    reductions,
    scans,
    selection,
    shapes,
    statistics,
)
from autonn.engine.tensor import Tensor, implementations


def _reflected(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, other: function(other, self)


def _asked(function: str) -> Callable[..., Any]:
    """Return what answers for a NumPy function that asks about values."""
    return implementations[getattr(np, function)]


def _spread(args: tuple[Any, ...]) -> Any:
    return args[0] if len(args) == 1 else args


def _reshape(self: Tensor, *shape: Any) -> Any:
    return shapes.reshape(self, _spread(shape))


def _transpose(self: Tensor, *axes: Any) -> Any:
    return shapes.transpose(self, _spread(axes) if axes else None)


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
    "sum": reductions.sum_,
    "mean": reductions.mean,
    "max": reductions.max_,
    "min": reductions.min_,
    "prod": reductions.prod,
    "var": statistics.var,
    "std": statistics.std,
    "cumsum": scans.cumsum,
    "cumprod": scans.cumprod,
    "clip": selection.clip,
    "round": selection.round_,
    "dot": products.dot,
    "any": _asked("any"),
    "all": _asked("all"),
    "argmax": _asked("argmax"),
    "argmin": _asked("argmin"),
    "argsort": _asked("argsort"),
    "astype": shapes.cast,
    "ravel": shapes.ravel,
    "squeeze": shapes.squeeze,
    "swapaxes": shapes.swapaxes,
    "reshape": _reshape,
    "transpose": _transpose,
    "repeat": arranging.repeat,
    "take": indexing.take,
    "diagonal": arranging.diagonal,
    "trace": arranging.trace,
}

for _name, _method in METHODS.items():
    setattr(Tensor, _name, _method)
