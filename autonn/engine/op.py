"""An op says everything about itself: its formula, its forward, its rules, and its traits.

The traits are what others have to know of it: how it is taken apart (`decompose`), what it does
to rows (`rows`), where its result lies (`memory`), and how a program writes it (`prints`). The
engine, the compiler and the pages read them here, so that a new op is declared in one place.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

import numpy as np

__all__ = [
    "OPS",
    "STOP_GRADIENT",
    "SUM",
    "Call",
    "Function",
    "Memory",
    "NotDifferentiableError",
    "Op",
    "Rows",
    "Rule",
    "elementwise",
    "is_elementwise_ufunc",
    "mixes_rows",
]

Rule = Callable[..., Any]


class Function(Protocol):
    """An op as it is called: Tensors give Tensors, arrays give arrays; `op` declares it."""

    __name__: str
    __qualname__: str
    op: Op

    def __call__(self, *args: Any, **attributes: Any) -> Any:
        """Apply the op."""


class NotDifferentiableError(TypeError, RuntimeError):
    """A gradient was asked for where there is none: integers, booleans, complex numbers.

    >>> from autonn import Tensor
    >>> try:
    ...     Tensor([1, 2], requires_grad=True)
    ... except NotDifferentiableError as error:
    ...     print(str(error).partition(";")[0])
    a Tensor of int64 cannot require a gradient, only floating point can
    """


# A call of an op in a graph, as traits see it: `op`, `args` (the operands, calls or numbers, each
# with `shape`, `dtype` and `ndim`), `attributes` by name, `attribute(name)` with defaults, and the
# `shape`, `dtype` and `ndim` of the result; no values.
Call = Any


# ---- what an op does to rows
#
# A trait is told along which axis the rows of each operand lie, None where it has none, and
# returns along which axis those of the result lie, `SUM` where the result is a sum over rows, or
# None where it is neither, so that the graph can't be cut there. A row may lie there as several:
# of 32 texts of 32 characters a matrix has 1,024 rows; that their number is a multiple is seen to
# by who cuts the graph.

SUM = "sum"
Axes = Sequence[int | None]
Rows = Callable[[Any, Axes], int | str | None]


def mixes_rows(call: Call, axes: Axes) -> None:
    """Say that what becomes of a row depends on the other rows.

    >>> OPS["inv"].rows is mixes_rows
    True
    """
    return


def elementwise(call: Call, axes: Axes) -> int | None:
    """Say that each number of the result is made of those at its own place, after stretching.

    Rows must lie along the same axis, and what has none must be stretched along it.

    >>> OPS["exp"].rows is elementwise, OPS["sin"].rows is elementwise
    (True, True)
    """
    pairs = [(a, axis) for a, axis in zip(call.args, axes, strict=True) if hasattr(a, "shape")]
    places = {axis - len(a.shape) for a, axis in pairs if axis is not None}
    if len(places) != 1:
        return None
    (from_last,) = places
    for a, axis in pairs:
        if axis is None and len(a.shape) >= -from_last and a.shape[from_last] != 1:
            return None
    return int(call.ndim) + from_last


# ---- where a result lies


class Memory(Enum):
    """Where the result of an op lies, for who plans the memory of a program.

    >>> OPS["exp"].memory, OPS["transpose"].memory
    (<Memory.OUT: 'out'>, <Memory.VIEW: 'view'>)
    """

    NEW = "new"  # in memory of its own, and it keeps nothing of its operands
    OUT = "out"  # so too, and its forward takes ``out=``
    VIEW = "view"  # it is another look at the memory of its first operand
    MAY_ALIAS = "may alias"  # it may be, or look at, any of its operands


def is_elementwise_ufunc(function: Any) -> bool:
    """Whether it is a plain ufunc, element by element; `numpy.matmul` is none."""
    return isinstance(function, np.ufunc) and function.signature is None


@dataclass(frozen=True, slots=True, eq=False)
class Op:
    """One differentiable operation.

    A rule takes the incoming gradient, the output and the op's own arguments, and returns the
    gradient for its argument, up to broadcasting. `None` in place of a rule means that the
    argument has no gradient. A variadic op has one rule for all its arguments, which is told
    the argument's position first.

    Attributes
    ----------
    name, forward, formula, rules
        What it is called, what it computes in NumPy, as text, and one rule per operand.
    kinks, hint
        What the gradient is where the derivative does not exist; what to do about operands
        that do not fit.
    keeps_input
        Whether a result remembers its input even where nothing is recorded, as the losses need
        it of sigmoid and softmax.
    residuals
        Whether `with_residuals` returns the result and what the rules would have to compute
        again; they take it last, or None where the arguments are Tensors, whose derivatives
        are wanted too.
    decompose
        The same written in other ops, so that a program may share parts of it; None leaves it
        whole.
    rows, memory
        What it does to rows, see `elementwise`; where its result lies, or a function of a call
        that says so. A plain ufunc is element-wise and takes ``out=``; of any other op nothing
        is taken for granted.
    pointwise
        Whether it can be called as a plain ufunc: element by element, in any layout, and ``out=``
        may be one of its operands.
    prints
        How a program writes it: an expression with ``{0}``, ``{1}`` for the operands and
        ``{shape}``, ``{dtype}``, ``{axis}`` and so on, or a function of a call, and of what
        writes a value, that returns it; "" calls the forward by its name.
    symbol
        The operator of Python that stands for it, as ``{0} + {1}``, if one does.
    draws
        Whether each call gives another result, as random numbers do.
    undivided
        Whether it is computed for all rows at once, before they are shared out.
    raises
        Whether it can raise by the values that it is given, or a function of the result that says
        so: then a program makes the call also where nobody uses it.

    Examples
    --------
    >>> sine = OPS["sin"]
    >>> sine.formula, sine.rows is elementwise
    ('z = sin x', True)
    >>> (rule,) = sine.rules
    >>> float(rule(3.0, 0.0, 0.0))  # g cos x
    3.0
    """

    name: str
    forward: Callable[..., Any]
    formula: str
    rules: tuple[Rule | None, ...]
    kinks: str = ""
    hint: str = ""
    variadic: bool = False
    keeps_input: bool = False
    residuals: bool = False
    decompose: Callable[..., Any] | None = None
    rows: Rows | None = None
    memory: Memory | Callable[[Any], Memory] | None = None
    pointwise: bool = False
    prints: str | Callable[..., str] = ""
    symbol: str = ""
    draws: bool = False
    undivided: bool = False
    raises: bool | Callable[[Any], bool] = False
    with_residuals: Callable[..., Any] = field(init=False)
    _defaults: dict[str, Any] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Complete what follows from the rest: the forward, the traits of a plain ufunc."""
        put = functools.partial(object.__setattr__, self)
        put("with_residuals", self.forward)
        if self.residuals:
            put("forward", lambda *values: self.with_residuals(*values)[0])
        if self.pointwise or is_elementwise_ufunc(self.forward):
            put("rows", self.rows or elementwise)
            put("memory", self.memory or Memory.OUT)
            put("pointwise", True)

    def __repr__(self) -> str:
        return f"<op {self.name}: {self.formula}>"

    @property
    def operands(self) -> int:
        """How many of its positional arguments are operands; -1: all of them."""
        if self.variadic:
            return -1
        return max(len(self.rules), getattr(self.forward, "nin", 0))

    def bind(self, args: Sequence[Any], named: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Split the arguments of a call into operands and attributes by name."""
        n = len(args) if self.variadic else self.operands
        given = dict(zip(self.defaults(), args[n:], strict=False)) if len(args) > n else {}
        return tuple(args[:n]), given | dict(named)

    def defaults(self) -> dict[str, Any]:
        """List the arguments that are no operands, with their defaults; None without one.

        >>> from autonn.engine import ops
        >>> ops.softmax.op.defaults()
        {'axis': -1}
        """
        if self._defaults is None:
            object.__setattr__(self, "_defaults", self._read_defaults())
        return self._defaults or {}

    def signature(self) -> inspect.Signature:
        """Tell how it is called: operands by position, then attributes, with their defaults.

        >>> from autonn.engine import ops
        >>> print(ops.leaky_relu.op.signature())
        (x, /, slope=0.01)
        """
        function, count = self.with_residuals, self.operands
        kind, empty = inspect.Parameter, inspect.Parameter.empty
        try:
            told = [*inspect.signature(function).parameters.values()]
        except ValueError:  # as of `defaults`
            told = []
        if isinstance(function, np.ufunc) or not told:
            told = [kind(name, kind.POSITIONAL_ONLY) for name in "xyzw"[:count]]
        place = next((k for k, p in enumerate(told) if p.kind is kind.VAR_POSITIONAL), count)
        taken = [p.replace(annotation=empty) for p in told if p.name != "out"]
        operands = [p.replace(kind=kind.POSITIONAL_ONLY, default=empty) for p in taken[:place]]
        return inspect.Signature(operands + taken[place:])

    def _read_defaults(self) -> dict[str, Any]:
        """Read the defaults off the forward; a ufunc has nothing but operands."""
        function = self.with_residuals
        if isinstance(function, np.ufunc):
            return {}
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except ValueError:  # np.where and its like tell their parameters since NumPy 2.4
            return {}
        kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        rest = parameters if self.variadic else parameters[self.operands :]
        empty = inspect.Parameter.empty
        return {
            p.name: None if p.default is empty else p.default for p in rest if p.kind not in kinds
        }


# Every op of the library by name, in the order of declaration.
OPS: dict[str, Op] = {}

# What detach() leaves in a traced graph: the values pass, the gradient does not.
STOP_GRADIENT = Op(
    "stop_gradient", lambda x: x, "z = x, without a gradient", (None,),
    rows=elementwise, memory=Memory.MAY_ALIAS,
)  # fmt: skip
