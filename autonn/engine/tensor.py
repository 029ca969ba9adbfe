"""A Tensor is an array that remembers where it came from.

Everything else in the engine follows from that memory: an op makes a Tensor out of Tensors and
keeps what its derivative rules will need; the backward pass (`autodiff.py`) walks from newest to
oldest. NumPy's own dispatch protocols lead ``np.exp(t)`` and ``array @ t`` here, so a derivative
rule, or a user's cost function, is plain NumPy and works on arrays and on Tensors alike.
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from inspect import CO_VARARGS, CO_VARKEYWORDS
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike, DTypeLike, NDArray

Array = NDArray[Any]
Operand = Any  # a Tensor, an array, a Python number or nested lists of them
Rule = Callable[..., Any]
Function = Callable[..., Any]  # an op as it is called: Tensors give Tensors, arrays give arrays


@dataclass
class Trace:
    """What `compile` learns while a function runs, beside the graph that its results remember."""

    modules: list[Any] = field(default_factory=list)  # those called: their modes are guarded
    gradients: dict[int, int] = field(default_factory=dict)  # of which tensor one is the gradient


class Changes:
    """Counts what is set on modules, and which Tensors require gradients, anywhere.

    Programs compare one number with this one, and look at their modules only where it is another:
    looking at each costs 2 of 60 microseconds of a small network's step.
    """

    __slots__ = ("count",)

    def __init__(self, count: int = 0) -> None:
        self.count = count


changes = Changes()

# The thread-local switches of the package. ContextVars start anew in every thread and task.
_recording: ContextVar[bool] = ContextVar("recording", default=True)
_tracing: ContextVar[Trace | None] = ContextVar("tracing", default=None)

# The modes that modules are in for a while, by id, whatever mode they were set to.
evaluated: ContextVar[dict[int, bool] | None] = ContextVar("evaluated", default=None)
_is_recording = _recording.get
_is_tracing = _tracing.get

# A tensor can only be made from older ones, so this number orders every graph.
_next_index = itertools.count(1).__next__

# Up to this size a copy is no dearer than keeping the caller from writing, which takes a step of a
# small network 5 microseconds, what lets go of the array included: of 100 KB a copy spares 2 %.
_COPY_BYTES = 131072


# Where a result came from: the op, its arguments as given, their values as the op saw them (a rule
# never reads a tensor's present data) and what it keeps, its static arguments, and what prevents
# others from writing to the values. The arguments are None once the graph was freed.
Origin = tuple[Any, Any, Any, Any, Any]


class TracedValueError(RuntimeError):
    """A value was read while a function was being compiled, when it is not known yet."""


class NotDifferentiableError(TypeError, RuntimeError):
    """A gradient was asked for where there is none: integers, booleans, complex numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class Op:
    """One differentiable operation: its forward, its formula and one rule per argument.

    A rule takes the incoming gradient, the output and the op's own arguments, and returns the
    gradient for its argument, up to broadcasting. `None` in place of a rule means that the
    argument has no gradient. A variadic op has one rule for all its arguments, which is told
    the argument's position first. The forward of a composite op is written in other ops, so that
    `compile` may look inside. An op that `keeps` has a forward, `whole`, that returns the result
    and what the rules would have to compute again; they take it last, or None where the arguments
    are Tensors, whose derivatives are wanted too.
    """

    name: str
    forward: Callable[..., Any]
    formula: str
    rules: tuple[Rule | None, ...]
    kinks: str = ""
    cure: str = ""
    variadic: bool = False
    keeps_input: bool = False
    composite: bool = False
    keeps: bool = False
    whole: Callable[..., Any] = field(init=False)
    freed: Origin = field(init=False)  # what a result remembers once its graph was freed

    def __post_init__(self) -> None:
        object.__setattr__(self, "freed", (self, None, None, None, None))
        object.__setattr__(self, "whole", self.forward)
        if self.keeps:
            object.__setattr__(self, "forward", lambda *values: self.whole(*values)[0])

    def __repr__(self) -> str:
        return f"<op {self.name}: {self.formula}>"


class Tensor:
    """An array with a memory: ``Tensor(data, requires_grad=False, dtype=None, copy=True)``.

    Parameters
    ----------
    data
        Numbers, nested lists of them, or an array; copied unless ``copy=False``.
    requires_grad
        Whether `backward` leaves the gradient of this tensor in ``.grad``.
    dtype
        As for `numpy.array`; the default keeps the data's own (Python floats give float64).
    copy
        With ``copy=False`` the tensor shares the caller's array where it can.

    Raises
    ------
    TypeError
        For data that are not numbers, and for integers or booleans that require a gradient.
    ValueError
        For ragged lists.

    Examples
    --------
    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> np.sum(x * x).backward()
    >>> x.grad
    array([2., 4.])
    """

    __slots__ = ("__weakref__", "_data", "_exposed", "_index", "_origin", "_tracked", "grad")

    _data: Array
    _exposed: bool  # whether the caller may hold the array, or a view of it
    _index: int
    _origin: Origin | None  # None for a leaf
    _tracked: bool
    grad: Any  # None, an array, or a Tensor after backward(create_graph=True)

    def __init_subclass__(cls) -> None:
        raise TypeError("Tensor has no subclasses: ops look for the type itself, as it is faster")

    def __init__(
        self,
        data: ArrayLike | Tensor,
        requires_grad: bool = False,
        dtype: DTypeLike | None = None,
        copy: bool = True,
    ) -> None:
        self._data = _numbers(data, dtype, copy)
        self._exposed = not copy
        self._origin = self.grad = None
        self._index = _next_index()
        self._tracked = False
        self.requires_grad = requires_grad

    # ---- what it holds

    @property
    def data(self) -> Array:
        """The array itself for a leaf, a read-only view for the result of an op.

        Writing into a leaf's array is safe at any time: a graph that needs the old values keeps
        them. Assigning takes an array of the same shape and dtype (`ValueError` otherwise).

        >>> w = Tensor([1.0, 2.0], requires_grad=True)
        >>> w.data -= 0.5
        >>> w
        Tensor([0.5, 1.5], requires_grad=True)
        """
        self._refuse_tracing("reading .data of")
        if self._origin is not None:
            return _read_only(self._data)
        self._writable()
        self._exposed = True
        return self._data

    @data.setter
    def data(self, value: ArrayLike) -> None:
        if value is self._data:  # what `t.data -= step` does last
            return
        self._refuse_tracing("setting .data of")
        if self._origin is not None:
            raise RuntimeError(
                f"the data of a result ({self._origin[0].name}) cannot be set, a graph may need "
                "it; set the data of a leaf, or make a new one with Tensor(array)"
            )
        if isinstance(value, Tensor):
            value = value._data
        new = np.array(value)
        if new.dtype != self.dtype and not isinstance(value, ndarray | np.generic):
            new = new.astype(self.dtype, casting="same_kind")
        if new.shape != self.shape or new.dtype != self.dtype:
            raise ValueError(
                f"data of shape {new.shape}, {new.dtype} set on a tensor of shape {self.shape}, "
                f"{self.dtype}; reshape or cast it first, or make a new Tensor"
            )
        self._data = new
        self._exposed = False

    def _writable(self) -> Array:
        """Give the array to be updated in place: no pending graph will see it.

        CPython's reference count tells whether anyone shares it, graphs and views included. An
        array that the caller may hold is theirs to share, unless a graph keeps it read-only.
        """
        shared = self._data.base is not None or _references(self) > _ALONE
        if not self._data.flags.writeable or (shared and not self._exposed):
            self._data = self._data.copy("K")
        return self._data

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to this tensor."""
        return self._tracked

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value and self._data.dtype.kind != "f":
            raise NotDifferentiableError(
                f"a Tensor of {self.dtype} cannot require a gradient, only floating point can; "
                "pass dtype=float"
            )
        if not value and self._origin is not None and self._tracked:
            raise RuntimeError("a result keeps requires_grad; use detach() to cut it off")
        if bool(value) != self._tracked:
            self._tracked = bool(value)
            changes.count += 1

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self._data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the numbers."""
        return self._data.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._data.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._data.size

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user rather than by a recorded op."""
        return self._origin is None

    @property
    def T(self) -> Tensor:
        """The transpose: axes reversed."""
        transposed: Tensor = _IMPLEMENTATIONS[np.transpose](self)
        return transposed

    def item(self) -> Any:
        """Return the only element as a Python number; `ValueError` if there are several."""
        self._refuse_tracing("item() of")
        return self._data.item()

    def numpy(self) -> Array:
        """Return a copy of the values, the caller's own."""
        self._refuse_tracing("numpy() of")
        return self._data.copy()

    def detach(self) -> Tensor:
        """Return the same values as a new leaf that no gradient passes through."""
        out = _leaf(self._data.copy("K") if self._exposed else self._data)
        if _is_tracing():
            out._origin = (STOP_GRADIENT, (self,), (self._data,), {}, None)
        return out

    # ---- what it is to Python

    def __repr__(self) -> str:
        if _is_tracing():
            return f"<Tensor {self.shape} {self.dtype} being traced>"
        body = np.array2string(self._data, separator=", ", prefix="Tensor(")
        dtype = "" if self.dtype in (np.float64, np.int64, np.bool_) else f", dtype={self.dtype}"
        return f"Tensor({body}{dtype}{', requires_grad=True' if self._tracked else ''})"

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self._data)))

    def __bool__(self) -> bool:
        self._refuse_tracing("the truth of")
        return bool(self._data)

    def __float__(self) -> float:
        self._refuse_tracing("float() of")
        return float(self._data.item())

    def __int__(self) -> int:
        self._refuse_tracing("int() of")
        return int(self._data.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)

    __hash__ = object.__hash__

    def __setitem__(self, key: object, value: object) -> NoReturn:
        raise RuntimeError(
            "item assignment on a Tensor would change what a graph may need; "
            "build the value with np.where, or write to a leaf's .data"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        self._refuse_tracing("copying or pickling")
        if self._origin is not None and self._tracked:
            raise RuntimeError(
                f"a result ({self._origin[0].name}) cannot be copied or pickled without its graph; "
                "use detach() first"
            )
        return _unpickle, (self._data, self._tracked, self.grad)

    def _refuse_tracing(self, action: str) -> None:
        if _is_tracing():
            raise TracedValueError(
                f"{_users_line()}: {action} a Tensor while its function is being compiled: the "
                "value is not known yet; use np.where, or leave this out of what is compiled"
            )

    # ---- what it is to NumPy

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NoReturn:
        raise TypeError(
            "a Tensor does not turn into an array by itself, its gradient would be lost; "
            "use .data or .numpy()"
        )

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        implementation = _IMPLEMENTATIONS.get(ufunc)
        if implementation is not None and method == "__call__" and not options:
            return implementation(*inputs)
        if "out" in options:
            raise RuntimeError(
                f"np.{ufunc.__name__} cannot write into out=, a graph may need what was there; "
                "use the result, or write to a leaf's .data"
            )
        if method == "reduce" and ufunc in _REDUCTIONS:
            reduction = _IMPLEMENTATIONS[_REDUCTIONS[ufunc]]
            return reduction(*inputs, **({"axis": 0} | options))
        suffix = "" if method == "__call__" else f".{method}"
        given = f" with {', '.join(options)}=" if implementation and not suffix else ""
        raise _unsupported(f"np.{ufunc.__name__}{suffix}{given}")

    def __array_function__(
        self,
        function: Callable[..., Any],
        types: tuple[type, ...],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        implementation = _IMPLEMENTATIONS.get(function)
        if implementation is None:
            raise _unsupported(f"{function.__module__}.{function.__name__}")
        return implementation(*args, **kwargs)

    if TYPE_CHECKING:  # each is set where it is declared: ops in ops.py, backward in autodiff.py

        def __add__(self, other: Operand) -> Tensor: ...
        def __radd__(self, other: Operand) -> Tensor: ...
        def __sub__(self, other: Operand) -> Tensor: ...
        def __rsub__(self, other: Operand) -> Tensor: ...
        def __mul__(self, other: Operand) -> Tensor: ...
        def __rmul__(self, other: Operand) -> Tensor: ...
        def __truediv__(self, other: Operand) -> Tensor: ...
        def __rtruediv__(self, other: Operand) -> Tensor: ...
        def __pow__(self, other: Operand) -> Tensor: ...
        def __rpow__(self, other: Operand) -> Tensor: ...
        def __matmul__(self, other: Operand) -> Tensor: ...
        def __rmatmul__(self, other: Operand) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __pos__(self) -> Tensor: ...
        def __abs__(self) -> Tensor: ...
        def __eq__(self, other: object) -> Tensor: ...  # type: ignore[override]
        def __ne__(self, other: object) -> Tensor: ...  # type: ignore[override]
        def __lt__(self, other: Operand) -> Tensor: ...
        def __le__(self, other: Operand) -> Tensor: ...
        def __gt__(self, other: Operand) -> Tensor: ...
        def __ge__(self, other: Operand) -> Tensor: ...
        def __getitem__(self, key: Any) -> Tensor: ...
        def __and__(self, other: Operand) -> Tensor: ...
        def __rand__(self, other: Operand) -> Tensor: ...
        def __or__(self, other: Operand) -> Tensor: ...
        def __ror__(self, other: Operand) -> Tensor: ...
        def __invert__(self) -> Tensor: ...
        @property
        def at(self) -> Any: ...
        def sum(self, axis: Any = None, *, keepdims: bool = False) -> Tensor: ...
        def mean(self, axis: Any = None, *, keepdims: bool = False) -> Tensor: ...
        def max(self, axis: Any = None, *, keepdims: bool = False) -> Tensor: ...
        def min(self, axis: Any = None, *, keepdims: bool = False) -> Tensor: ...
        def prod(self, axis: Any = None, *, keepdims: bool = False) -> Tensor: ...
        def var(self, axis: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Tensor: ...
        def std(self, axis: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Tensor: ...
        def cumsum(self, axis: int | None = None) -> Tensor: ...
        def cumprod(self, axis: int | None = None) -> Tensor: ...
        def clip(self, a_min: Operand = None, a_max: Operand = None) -> Tensor: ...
        def dot(self, b: Operand) -> Tensor: ...
        def any(self, axis: Any = None) -> Any: ...
        def all(self, axis: Any = None) -> Any: ...
        def argmax(self, axis: int | None = None) -> Any: ...
        def argmin(self, axis: int | None = None) -> Any: ...
        def argsort(self, axis: int | None = -1) -> Any: ...
        def astype(self, dtype: DTypeLike) -> Tensor: ...
        def ravel(self) -> Tensor: ...
        def squeeze(self, axis: Any = None) -> Tensor: ...
        def swapaxes(self, axis1: int, axis2: int) -> Tensor: ...
        def repeat(self, repeats: Any, axis: int | None = None) -> Tensor: ...
        def take(self, indices: Any, axis: int | None = None) -> Tensor: ...
        def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor: ...
        def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor: ...
        def reshape(self, *shape: Any) -> Tensor: ...
        def transpose(self, *axes: Any) -> Tensor: ...
        def backward(
            self,
            gradient: Any = None,
            retain_graph: bool = False,
            create_graph: bool = False,
        ) -> None: ...


class no_grad(ContextDecorator):
    """Within it ops record no graph, in this thread alone; a context manager and a decorator.

    >>> x = Tensor(3.0, requires_grad=True)
    >>> with no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    _value = False

    def __enter__(self) -> None:
        self._tokens: list[Token[bool]] = getattr(self, "_tokens", [])
        self._tokens.append(_recording.set(self._value))

    def __exit__(self, *exception: object) -> None:
        _recording.reset(self._tokens.pop())

    def _recreate_cm(self) -> no_grad:
        return type(self)()  # a decorated function may run in several threads at once


class _enable_grad(no_grad):
    """Within it ops record again: the backward pass of create_graph needs it."""

    _value = True


def define(
    name: str,
    forward: Callable[..., Any],
    formula: str,
    *rules: Rule | None,
    numpy: tuple[Callable[..., Any], ...] | None = None,
    method: str = "",
    reflected: str = "",
    kinks: str = "",
    cure: str = "",
    variadic: bool = False,
    keeps_input: bool = False,
    composite: bool = False,
    keeps: bool = False,
    listed: bool = True,
) -> Function:
    """Declare an op and return the function that applies it to Tensors and to plain arrays.

    Parameters
    ----------
    name, forward, formula, rules, kinks, cure, variadic, keeps_input, composite, keeps
        As in `Op`: `kinks` says what the gradient is where the derivative does not exist, `cure`
        what to do when the operands do not fit; `keeps_input` remembers the input even where
        nothing is recorded, as the losses need it of sigmoid and softmax; with `keeps`, `forward`
        is the `whole`.
    numpy
        The NumPy or SciPy functions that lead here when they are given a Tensor: the forward
        itself, if nothing is said.
    method, reflected
        The methods of Tensor that it becomes, as in ``__sub__`` and ``__rsub__``.
    listed
        Whether it is one of the library's own, which `OPS` lists.
    """
    op = Op(name, forward, formula, rules, kinks, cure, variadic, keeps_input, composite, keeps)
    if listed:
        OPS[name] = op
    whole = op.whole

    def general(*args: Any, **static: Any) -> Any:
        values = []
        tracked = None  # None: no Tensor so far; then whether one of them wants a gradient
        shared = 0  # the place of the one array that others may write to, -1 if there are several
        for a in args:
            if type(a) is Tensor:
                values.append(a._data)
                if a._tracked:
                    tracked = True
                elif tracked is None:
                    tracked = False
                if a._exposed:
                    shared = -1
            else:
                values.append(a)
                if type(a) is ndarray:
                    shared = -1 if shared else len(values)
        try:
            data = whole(*values, **static)
        except (TypeError, ValueError) as error:
            _explain(error, op, values)
        if tracked is None:
            return data[0] if keeps else data
        return _result(op, args, values, static, data, tracked, shared)

    short = {1: _unary, 2: _binary}.get(_arity(op))
    call = short(op, general) if short else general
    call.__name__ = call.__qualname__ = name
    call.__doc__ = _describe(op)
    setattr(call, "op", op)  # noqa: B010  (so that a function's declaration can be looked up)
    _register(call, (op.forward,) if numpy is None else numpy, method, reflected)
    return call


def _result(
    op: Op, args: Any, values: Any, static: Any, data: Any, tracked: bool, shared: int
) -> Tensor:
    """Wrap what an op computed, and record where it came from if a gradient may be asked for."""
    if op.keeps:
        data, kept = data
        values = [*values, kept]
    if type(data) is not ndarray:
        data = np.asarray(data)
    if tracked and not shared and data.dtype.kind == "f" and _is_recording():  # most come by here
        out = _leaf(data)
        out._tracked = True
        out._origin = (op, args, values, static, None)
        return out
    if shared and (data.base is not None or any(data is value for value in values)):
        data = data.copy("K")  # or it would be, or look at, what others may write to
    recorded = tracked and _is_recording()
    if recorded and data.dtype.kind != "f":
        recorded = _differentiable(op, data, args)
    out = _leaf(data)
    out._tracked = recorded
    if not recorded:
        values = values[: len(args)]  # what it keeps is for a gradient alone
    if recorded or op.keeps_input or _is_tracing():
        holds: Sequence[_Hold] | None = None
        if shared:
            if shared < 0:
                holds = _shelter(args, values)
            elif values[shared - 1].nbytes <= _COPY_BYTES:
                values[shared - 1] = values[shared - 1].copy("K")
            else:
                holds = (_Hold(values[shared - 1]),)
        out._origin = (op, args, values, static, holds)
    return out


# Most ops take one or two arguments and nothing else, and most of their operands are results,
# which nobody else can write to. Such a call looks at its arguments without the loop of the general
# case, which does all the rest.

_NO_STATIC: dict[str, Any] = {}


def _arity(op: Op) -> int:
    """Count the arguments of an op that takes nothing but operands; -1 for any other."""
    n = len(op.rules)
    takes = n + 2 + op.keeps
    return n if _takes(op.whole) == n and all(_takes(rule) == takes for rule in op.rules) else -1


def _takes(function: Any) -> int:
    """Count the arguments of a function that takes so many by position, no more and no others."""
    code = getattr(function, "__code__", None)
    if code is None:
        return getattr(function, "nin", -1)  # a ufunc
    more = code.co_kwonlyargcount or code.co_flags & (CO_VARARGS | CO_VARKEYWORDS)
    return -1 if more or function.__defaults__ else code.co_argcount


def _unary(op: Op, general: Function) -> Function:
    whole = op.whole

    def call(x: Any) -> Any:
        if type(x) is not Tensor or x._exposed or not x._tracked:
            return general(x)
        value = x._data
        try:
            data = whole(value)
        except (TypeError, ValueError) as error:
            _explain(error, op, (value,))
        return _result(op, (x,), (value,), _NO_STATIC, data, True, 0)

    return call


def _binary(op: Op, general: Function) -> Function:
    whole = op.whole

    def call(x: Any, y: Any) -> Any:
        tracked = False
        a, b = x, y
        if type(x) is Tensor:
            if x._exposed:
                return general(x, y)
            a, tracked = x._data, x._tracked
        elif type(y) is not Tensor:
            return general(x, y)
        elif type(x) is ndarray and x.nbytes <= _COPY_BYTES:
            a = x.copy("K")
        elif type(x) is not float and type(x) is not int:
            return general(x, y)
        if type(y) is Tensor:
            if y._exposed:
                return general(x, y)
            b, tracked = y._data, tracked or y._tracked
        elif type(y) is ndarray and y.nbytes <= _COPY_BYTES:
            b = y.copy("K")
        elif type(y) is not float and type(y) is not int:
            return general(x, y)
        if not tracked:
            return general(x, y)
        try:
            data = whole(a, b)
        except (TypeError, ValueError) as error:
            _explain(error, op, (a, b))
        return _result(op, (x, y), (a, b), _NO_STATIC, data, True, 0)

    return call


def _describe(op: Op) -> str:
    return f"{op.formula}\n\nWorks on Tensors and on arrays alike. {op.kinks}".rstrip() + "\n"


def _register(
    call: Callable[..., Any], numpy: tuple[Callable[..., Any], ...], method: str, reflected: str
) -> None:
    for function in numpy:
        _IMPLEMENTATIONS[function] = call
    if method:
        setattr(Tensor, method, call)
    if reflected:
        setattr(Tensor, reflected, lambda self, other: call(other, self))


def implements(*functions: Callable[..., Any], method: str = "") -> Callable[[Any], Any]:
    """Decorate a function written with ops as what the given NumPy functions do on Tensors."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        _register(function, functions, method, "")
        return function

    return decorate


def _users_line() -> str:
    """Name the line outside this package from which it was called, for a message."""
    frame: FrameType | None = sys._getframe(1)
    ours = ("autonn", "numpy", "copy")
    while frame and frame.f_globals.get("__name__", "").partition(".")[0] in ours:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "unknown line"


# Every op of the library by name, in the order of declaration.
OPS: dict[str, Op] = {}

# What detach() leaves in a traced graph: the values pass, the gradient does not.
STOP_GRADIENT = Op("stop_gradient", lambda x: x, "z = x, without a gradient", (None,))

# Which op stands behind each NumPy function: filled by `define` and `implements` when ops.py is
# read, only read after that.
_IMPLEMENTATIONS: dict[Any, Callable[..., Any]] = {}
_REDUCTIONS: dict[np.ufunc, Any] = {np.add: np.sum, np.multiply: np.prod}

_new = Tensor.__new__


def _leaf(data: Array) -> Tensor:
    """Wrap an array that is ours, without a look at it."""
    out = _new(Tensor)
    out._data = data
    out._origin = out.grad = None
    out._exposed = out._tracked = False
    out._index = _next_index()
    return out


def input_of(tensor: Tensor, name: str) -> Tensor | None:
    """Return what the op of that name made the tensor from, if that is still there unchanged."""
    if tensor._origin is None or tensor._origin[0] is not OPS[name] or tensor._origin[1] is None:
        return None
    source, value = tensor._origin[1][0], tensor._origin[2][0]
    return source if source._data is value else None


def _unpickle(data: Array, requires_grad: bool, grad: Any) -> Tensor:
    out = Tensor(data, requires_grad=requires_grad)
    out.grad = grad
    return out


def _numbers(data: Any, dtype: DTypeLike | None, copy: bool) -> Array:
    if isinstance(data, Tensor):
        data._refuse_tracing("Tensor() of")
        copy = copy or not data.is_leaf  # a result stays as it is
        data = data._data if copy else data.data
    elif isinstance(data, list | tuple) and any(isinstance(x, Tensor) for x in data):
        raise TypeError("a list of Tensors does not make a Tensor; use np.stack")
    array = np.array(data, dtype=dtype) if copy else np.asarray(data, dtype=dtype)
    if array.dtype.kind not in "fiubc":
        raise TypeError(f"a Tensor holds numbers, not {array.dtype} (from {type(data).__name__})")
    return array


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


def _references(tensor: Tensor) -> int:
    return sys.getrefcount(tensor._data)


_ALONE = _references(Tensor(0.0))


# By the id of an owner: how many graphs need its values, and which arrays they made read-only.
_holds: dict[int, list[Any]] = {}
_holds_lock = threading.RLock()  # the garbage collector may let a hold go while another is taken


class _Hold:
    """Keeps a caller's array read-only for as long as a pending graph needs its values.

    It covers the array that owns the memory too, so that neither it nor a view of it made from
    now on can be written to. (A view made earlier can: NumPy has no way to reach it.)
    """

    __slots__ = ("owner",)

    def __init__(self, array: Array) -> None:
        owner = array
        while isinstance(owner.base, ndarray):
            owner = owner.base
        self.owner = owner  # alive as long as its id is in use
        with _holds_lock:
            held = _holds.get(id(owner))
            if held is None:
                held = _holds[id(owner)] = [0, []]
            held[0] += 1
            if owner.flags.writeable:
                owner.setflags(write=False)
                held[1].append(owner)
            if array is not owner and array.flags.writeable:
                array.setflags(write=False)
                held[1].append(array)

    def __del__(self) -> None:
        with _holds_lock:
            held = _holds[id(self.owner)]
            held[0] -= 1
            if held[0] == 0:
                del _holds[id(self.owner)]
                for array in held[1]:  # the owner came first: a view follows what it looks at
                    array.setflags(write=True)


def _shelter(args: tuple[Any, ...], values: list[Any]) -> list[_Hold] | None:
    """See to it that the saved values survive writes by others: copy the small, hold the large."""
    holds = None
    k = -1
    for a in args:
        k += 1  # by hand: enumerate takes 60 ns more
        if type(a) is ndarray:
            value = a
        elif type(a) is Tensor and a._exposed and not _is_private_again(a, values):
            value = a._data
        else:
            continue
        if value.nbytes <= _COPY_BYTES:
            values[k] = value.copy("K")
        else:
            holds = [*(holds or ()), _Hold(value)]
    return holds


def _is_private_again(tensor: Tensor, values: list[Any]) -> bool:
    """Whether the caller has let go of an exposed array, so that only the tensor can change it."""
    ours = sum(value is tensor._data for value in values)
    if tensor._data.base is None and _references(tensor) - ours <= _ALONE:
        tensor._exposed = False
    return not tensor._exposed


def _unsupported(function: str) -> TypeError:
    return TypeError(
        f"{function} is not differentiable here: no op stands for it; "
        "use another function, or .data where no gradient is needed"
    )


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
    if type(error) is ValueError and op.cure:
        shapes = " and ".join(str(np.shape(v)) for v in values if isinstance(v, ndarray))
        raise ValueError(f"{op.name} of shapes {shapes} does not fit: {op.cure}") from error
    raise error
