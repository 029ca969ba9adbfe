"""Calling an op: what it computes, and what the result has to remember.

`define` declares an op and returns the function that applies it. On arrays that is the forward;
where a Tensor is among the arguments, the result is a Tensor that remembers the call, if a
gradient may be asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import CO_VARARGS, CO_VARKEYWORDS
from typing import Any, NoReturn, cast

import numpy as np
from numpy import ndarray

from autonn.engine.modes import Notes, is_recording, is_tracing
from autonn.engine.op import (
    OPS,
    Function,
    Memory,
    NotDifferentiableError,
    Op,
    Rows,
    Rule,
    is_elementwise_ufunc,
)
from autonn.engine.ownership import COPY_BYTES, ReadOnlyLock, protect_saved
from autonn.engine.tensor import (
    Array,
    Tensor,
    implementations,
    leaf,
    new_tensor,
    next_index,
    record,
)
from autonn.habits import refuse_keywords

__all__ = ["call_of", "define", "implements", "op", "operand", "stands_for"]


def define(
    name: str,
    forward: Callable[..., Any],
    formula: str,
    *rules: Rule | None,
    numpy: tuple[Callable[..., Any], ...] | None = None,
    listed: bool = True,
    composite: bool = False,
    example: str = "",
    **traits: Any,
) -> Function:
    """Declare an op and return the function that applies it to Tensors and to plain arrays.

    Parameters
    ----------
    name, forward, formula, rules
        As in `Op`.
    numpy
        The NumPy or SciPy functions that lead here when they are given a Tensor: the forward
        itself, if nothing is said.
    listed
        Whether it is one of the library's own, which `OPS` lists.
    composite
        Whether the forward is written in other ops itself, so that it is also `decompose`.
    example
        How it is called and what comes out, for its docstring.
    traits
        The other fields of `Op`. An op with residuals has a forward `with_residuals`.
    """
    if composite:
        takes = (lambda *values: forward(*values)[0]) if traits.get("residuals") else forward
        traits["decompose"] = takes
    declared = Op(name, forward, formula, rules, **traits)
    if listed:
        OPS[name] = declared
    general = _general(declared)
    short = {1: _unary, 2: _binary}.get(_arity(declared))
    call = cast(Function, short(declared, general) if short else general)
    if short is None:  # what `help` shows; of a short call Python tells it
        call.__signature__ = declared.signature()  # type: ignore[attr-defined]
    call.__name__ = call.__qualname__ = name
    call.__doc__ = _describe(declared) + example
    call.op = declared
    for function in (declared.forward,) if numpy is None else numpy:
        implementations[function] = call
    return call


def op(
    *rules: Rule | None,
    formula: str = "",
    kinks: str = "",
    rows: Rows | None = None,
    memory: Memory | None = None,
    decompose: Callable[..., Any] | None = None,
) -> Callable[[Any], Function]:
    """Declare an op of one's own: decorate its forward, a NumPy function, with a rule per argument.

    A rule takes the incoming gradient, the output and the arguments, and returns the gradient for
    its argument; written in NumPy it serves every order. `gradcheck` tells whether it is right.

    Parameters
    ----------
    rules
        One for each operand, in order; None where there is no gradient.
    formula, kinks
        What it computes, as text, and what its gradient is where the derivative does not exist.
    rows, memory, decompose
        What a compiled program may do with it, see `autonn.engine.op.Op`: with
        ``rows=elementwise`` large batches are shared out among threads.

    Raises
    ------
    TypeError
        For a rule or a forward that is no function; when it is called, for a Tensor that wants a
        gradient where there is no rule.

    Examples
    --------
    >>> from autonn import grad
    >>> @op(lambda g, z, x: g * 3 * x**2, formula="z = x^3")
    ... def cube(x):
    ...     return x * x * x
    >>> grad(grad(cube))(2.0)
    array(12.)
    """
    for rule in rules:
        if rule is not None and not callable(rule):
            raise TypeError(
                f"op: a rule is a function of (g, z, x, ...), or None, not {rule!r}; write "
                "@op(rule, formula=...) above the forward"
            )

    def declare(forward: Callable[..., Any]) -> Function:
        """Declare the op that a function of NumPy is the forward of."""
        if not callable(forward):
            raise TypeError(
                f"op decorates the forward, a function, not {type(forward).__name__}; write "
                "@op(rule, ...) above it, or op(rule, ...)(forward)"
            )
        name = getattr(forward, "__name__", "op")
        declared = define(
            name, forward, formula or name, *rules, numpy=(), listed=False,
            kinks=kinks, rows=rows, memory=memory, decompose=decompose,
        )  # fmt: skip
        declared.__doc__ = getattr(forward, "__doc__", None) or declared.__doc__
        return declared

    return declare


def implements(*functions: Callable[..., Any]) -> Callable[[Any], Any]:
    """Decorate a function written with ops as what the given NumPy functions do on Tensors."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for known in functions:
            implementations[known] = function
        return function

    return decorate


def stands_for(op: Function, call: Callable[..., Any]) -> Function:
    """Let a function that leads to an op, in its usual call, stand for it on the pages."""
    function = cast(Function, call)
    function.__name__ = function.__qualname__ = op.__name__
    function.__doc__, function.op = op.__doc__, op.op
    return function


def _describe(op: Op) -> str:
    return f"{op.formula}\n\nWorks on Tensors and on arrays alike. {op.kinks}".rstrip() + "\n"


# ---- the general call, of any number of arguments of any kind

_NUMBERS = frozenset({float, int, bool, complex, np.float64, np.float32, np.int64, np.bool_})


def _general(op: Op) -> Callable[..., Any]:
    """Make the call of an op with any arguments: arrays, numbers, Tensors, lists."""
    forward, operands = op.with_residuals, op.operands if not op.variadic else 1 << 30

    def general(*args: Any, **attributes: Any) -> Any:
        """Apply the op, and remember the call where a gradient may be asked for."""
        values = []
        tracked = None  # None: no Tensor so far; then whether one of them wants a gradient
        shared = 0  # the place of the one array that others may write to, -1 if there are several
        for a in args:
            if type(a) is Tensor:
                values.append(a._data)
                tracked = a._tracked or bool(tracked)
                if a._aliased:
                    shared = -1
            elif type(a) is ndarray:
                values.append(a)
                shared = -1 if shared else len(values)
            elif type(a) in _NUMBERS or len(values) >= operands:
                values.append(a)
            else:
                values.append(operand(a, op.name))
                if isinstance(a, ndarray):
                    shared = -1  # and the array itself is kept: a view of it would not hold it
                if not isinstance(a, ndarray) or is_tracing():
                    args = (*args[: len(values) - 1], values[-1], *args[len(values) :])
        try:
            data = forward(*values, **attributes)
        except (TypeError, ValueError) as error:
            refuse_keywords(op.name, "axis()", attributes)
            _explain(error, op, values)
        if tracked is None:
            return data[0] if op.residuals else data
        return _result(op, args, values, attributes, data, tracked, shared)

    return general


def _refuse_without_rule(op: Op, args: Sequence[Any]) -> None:
    """Refuse a Tensor that wants a gradient where no rule was given: it would be 0 in silence."""
    ruled = len(args) if op.variadic else len(op.rules)
    for k, a in enumerate(args[ruled:], ruled):
        if ruled and type(a) is Tensor and a._tracked:
            raise TypeError(
                f"{op.name}: argument {k} is to have a gradient, and the op has {ruled} "
                f"rule{'s' * (ruled > 1)}; give one for each operand, or None where there is no "
                "gradient"
            )


def call_of(op: Op) -> Callable[..., Any]:
    """Return the call of an op that is known by its declaration alone.

    >>> from autonn.engine.op import OPS
    >>> call_of(OPS["exp"])(0.0)
    np.float64(1.0)
    """
    return _general(op)


def operand(a: Any, name: str) -> Any:
    """Bring an operand of another kind to an array that rules can read.

    A list and what turns into an array are copied; of a subclass, as a memory map, the plain
    array is taken. Masks and matrices compute something else with ``*`` than rules do.
    """
    if isinstance(a, np.ma.MaskedArray | np.matrix):
        cure = "np.asarray(x)" if isinstance(a, np.matrix) else "x.filled(value), or np.where"
        raise TypeError(
            f"{name} takes Tensors, arrays and numbers, not {type(a).__name__}, whose own "
            f"rules the gradient would not know; use {cure}"
        )
    if isinstance(a, ndarray):
        return a.view(ndarray)
    if isinstance(a, list | tuple) or (hasattr(a, "__array__") and not isinstance(a, np.generic)):
        return np.array(a)
    return a


def _result(
    op: Op, args: Any, values: Any, attributes: dict[str, Any], data: Any, tracked: bool,
    shared: int,
) -> Tensor:  # fmt: skip
    """Wrap what an op computed, and record where it came from if a gradient may be asked for."""
    if op.residuals:
        data, residuals = data
        values = [*values, residuals]
    if type(data) is not ndarray:
        data = np.asarray(data)
    if len(args) > len(op.rules):
        _refuse_without_rule(op, args)
    mode = is_recording()
    if tracked and not shared and data.dtype.kind == "f" and mode is True:  # most come by here
        out = new_tensor(Tensor)  # as `leaf` and `record` do: two calls take 3 % of a small step
        out._data, out.grad, out._aliased, out._tracked = data, None, False, True
        out._op, out._args, out._saved = op, args, values
        out._attributes, out._locks, out._index = attributes, None, next_index()
        return out
    return _recorded(op, args, values, attributes, data, tracked, shared)


def _recorded(
    op: Op, args: Any, values: Any, attributes: dict[str, Any], data: Array, tracked: bool,
    shared: int,
) -> Tensor:  # fmt: skip
    """Wrap a result whose operands others may write to, or that is not recorded as usual."""
    mode = is_recording()
    if shared and (data.base is not None or any(data is value for value in values)):
        data = data.copy("K")  # or it would be, or look at, what others may write to
    recorded = tracked and bool(mode)
    if recorded and data.dtype.kind != "f":
        recorded = _differentiable(op, data, args)
    out = leaf(data)
    out._tracked = recorded
    if not recorded:
        values = values[: len(args)]  # residuals are for a gradient alone
    if recorded or op.keeps_input or is_tracing() or getattr(mode, "keeps_all", False):
        record(out, op, args, values, attributes, _protect(args, values, shared))
    if isinstance(mode, Notes):
        mode.made(out, op, args, values)
    return out


def _protect(args: Any, values: Any, shared: int) -> Sequence[ReadOnlyLock] | None:
    """Copy or lock the saved values that others may write to: one of them, or several."""
    if shared < 0:
        return protect_saved(args, values)
    if not shared:
        return None
    if values[shared - 1].nbytes > COPY_BYTES:
        return (ReadOnlyLock(values[shared - 1]),)
    values[shared - 1] = values[shared - 1].copy("K")
    return None


def _differentiable(op: Op, data: Array, args: tuple[Any, ...]) -> bool:
    """Whether a result that is not of floating point still carries a gradient.

    Complex numbers do for the complex step alone, which makes its own leaves of them.
    """
    if data.dtype.kind in "iub":
        return False
    if any(isinstance(a, Tensor) and a._tracked and a._data.dtype.kind == "c" for a in args):
        return True
    raise NotDifferentiableError(
        f"{op.name} gave {data.dtype}, which has no gradient here; "
        "only floating-point numbers do, operands included"
    )


def _explain(error: Exception, op: Op, values: Sequence[Any]) -> NoReturn:
    """Say in one sentence which op failed, on what, and what to do about it."""
    for value in values:
        if value is None or isinstance(value, str | bytes):
            raise TypeError(
                f"{op.name} takes Tensors, arrays and numbers, not {value!r}"
            ) from error
    if type(error) is TypeError:
        raise TypeError(str(error).replace("<lambda>()", op.name)) from error
    if type(error) is ValueError and op.hint and not _stretch(op, values):
        shapes = " and ".join(str(np.shape(v)) for v in values if isinstance(v, ndarray))
        raise ValueError(f"{op.name} of shapes {shapes} does not fit: {op.hint}") from error
    raise error


def _stretch(op: Op, values: Sequence[Any]) -> bool:
    """Whether the operands of an element-wise op fit, so that the error is about something else."""
    try:
        np.broadcast_shapes(*map(np.shape, values))
    except ValueError:
        return False
    return is_elementwise_ufunc(op.forward)


# ---- the usual call
#
# Most ops take one or two arguments and nothing else, and most of their operands are results,
# which nobody else can write to. Such a call looks at its arguments without the loop of the general
# case, which does all the rest.

_NO_ATTRIBUTES: dict[str, Any] = {}
_PYTHONS = frozenset({float, int})


def _arity(op: Op) -> int:
    """Count the arguments of an op that takes nothing but operands; -1 for any other."""
    n = len(op.rules)
    takes = n + 2 + op.residuals
    fits = _takes(op.with_residuals) == n and all(_takes(rule) == takes for rule in op.rules)
    return n if fits else -1


def _takes(function: Any) -> int:
    """Count the arguments of a function that takes so many by position, no more and no others."""
    code = getattr(function, "__code__", None)
    if code is None:
        return getattr(function, "nin", -1)  # a ufunc
    more = code.co_kwonlyargcount or code.co_flags & (CO_VARARGS | CO_VARKEYWORDS)
    return -1 if more or getattr(function, "__defaults__", None) else code.co_argcount


def _unary(op: Op, general: Callable[..., Any]) -> Callable[..., Any]:
    """Make the call of an op of one argument, a result most of the time."""
    forward = op.with_residuals

    def call(x: Any) -> Any:
        """Apply the op; what is not usual is left to the general call."""
        if type(x) is not Tensor or x._aliased or not x._tracked:
            return general(x)
        value = x._data
        try:
            data = forward(value)
        except (TypeError, ValueError) as error:
            _explain(error, op, (value,))
        return _result(op, (x,), (value,), _NO_ATTRIBUTES, data, True, 0)

    return call


def _binary(op: Op, general: Callable[..., Any]) -> Callable[..., Any]:
    """Make the call of an op of two arguments, most of them results or small."""
    forward = op.with_residuals

    def call(x: Any, y: Any) -> Any:
        """Apply the op; what is not usual is left to the general call."""
        tracked = False
        a, b = x, y
        if type(x) is Tensor:
            if x._aliased:
                return general(x, y)
            a, tracked = x._data, x._tracked
        elif type(y) is not Tensor:
            return general(x, y)
        elif type(x) is ndarray and x.nbytes <= COPY_BYTES:
            a = x.copy("K")
        elif type(x) not in _PYTHONS:
            return general(x, y)
        if type(y) is Tensor:
            if y._aliased:
                return general(x, y)
            b, tracked = y._data, tracked or y._tracked
        elif type(y) is ndarray and y.nbytes <= COPY_BYTES:
            b = y.copy("K")
        elif type(y) not in _PYTHONS:
            return general(x, y)
        if not tracked:
            return general(x, y)
        try:
            data = forward(a, b)
        except (TypeError, ValueError) as error:
            _explain(error, op, (a, b))
        return _result(op, (x, y), (a, b), _NO_ATTRIBUTES, data, True, 0)

    return call
