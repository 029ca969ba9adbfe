"""``p -= step``: in place on a parameter within `no_grad`, and nowhere else.

Elsewhere Python gives the name to a new Tensor, which is right of results and of plain data. On a
parameter it would look like a step of training and be none, so it is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autonn.engine.modes import is_recording, transforming
from autonn.engine.ownership import writable
from autonn.engine.refusals import not_in_place
from autonn.engine.tensor import Tensor, refuse_tracing, values_of


def in_place(function: np.ufunc, symbol: str) -> Callable[[Tensor, Any], Any]:
    """Make the operator in place that a ufunc stands for.

    >>> from autonn import no_grad
    >>> p = Tensor([1.0, 2.0], requires_grad=True)
    >>> with no_grad():
    ...     p -= 0.5
    >>> p
    Tensor([0.5, 1.5], requires_grad=True)
    """

    def operator(self: Tensor, other: Any) -> Any:
        if not (self.is_leaf and self.requires_grad) or (is_recording() and transforming()):
            return function(self, other)
        if is_recording():
            raise not_in_place(symbol)
        refuse_tracing(self, f"{symbol}= on")
        data = writable(self)
        function(data, values_of(other), out=data, casting="same_kind")
        return self

    return operator


IN_PLACE: dict[str, Any] = {
    "__iadd__": in_place(np.add, "+"),
    "__isub__": in_place(np.subtract, "-"),
    "__imul__": in_place(np.multiply, "*"),
    "__itruediv__": in_place(np.divide, "/"),
    "__ifloordiv__": in_place(np.floor_divide, "//"),
    "__imod__": in_place(np.remainder, "%"),
    "__ipow__": in_place(np.power, "**"),
}
