"""A Tensor is an array that remembers where it came from.

Everything else in the engine follows from that memory: an op makes a Tensor out of Tensors and
keeps what its derivative rules will need; the backward pass walks from newest to oldest. NumPy's
own dispatch protocols lead ``np.exp(t)`` and ``array @ t`` here, so a derivative rule, or a
user's cost function, is plain NumPy and works on arrays and on Tensors alike.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike, DTypeLike, NDArray

from autonn.engine import refusals
from autonn.engine.modes import Place, Trace, changes, is_tracing
from autonn.engine.op import STOP_GRADIENT, NotDifferentiableError, Op
from autonn.engine.ownership import writable
from autonn.habits import Count

__all__ = [
    "Array",
    "Operand",
    "Tensor",
    "implementations",
    "leaf",
    "record",
    "refuse_tracing",
    "values_of",
]

Array = NDArray[Any]
Operand = Any  # a Tensor, an array, a Python number or nested lists of them

# A tensor can only be made from older ones, so this number orders every graph.
next_index = itertools.count(1).__next__

# Which function does what a NumPy function does, on Tensors: filled by `apply` when the ops are
# read, and only read after that. A ufunc's method stands by the pair, ``(np.add, "reduce")``.
implementations: dict[Any, Callable[..., Any]] = {}


class Tensor:
    """An array with a memory: ``Tensor(data, requires_grad=False, dtype=None, copy=True)``.

    Parameters
    ----------
    data
        Numbers, nested lists of them, or an array; copied unless ``copy=False``.
    requires_grad
        Whether `backward` leaves the gradient of this tensor in ``.grad``. What is computed from
        it has none there: `gradients` gives those of intermediate results.
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

    __slots__ = (
        "__weakref__", "_aliased", "_args", "_attributes", "_data", "_index", "_locks", "_op",
        "_place", "_saved", "_tracked", "grad",
    )  # fmt: skip

    _data: Array
    _aliased: bool  # whether the caller may hold the array, or a view of it
    _index: int
    _tracked: bool
    grad: Any  # None, an array, or a Tensor after backward(create_graph=True)

    # Where a result came from; the slots of a leaf but the first are never read.
    _op: Op | None  # None for a leaf
    _args: tuple[Any, ...] | None  # as given; None once the graph was freed
    _saved: Any  # the values of the arguments as the op saw them, then its residuals, if any
    _attributes: dict[str, Any]  # what else the op was given by name
    _locks: Any  # what keeps others from writing to the saved values
    _place: Place  # where it was computed; set only within `noting`

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
        self._aliased = not copy
        self._op = self.grad = None
        self._index = next_index()
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
        if self._op is not None:
            return _read_only(self._data)
        data = writable(self)
        self._aliased = True
        return data

    @data.setter
    def data(self, value: ArrayLike) -> None:
        """Hold another array of the same shape and dtype."""
        if value is self._data:  # what `t.data -= step` does last
            return
        trace = is_tracing()
        if trace is not None and self._index < trace.start and not self._tracked:
            _note_write(trace, self, value)
            return
        self._refuse_tracing("setting .data of")
        if self._op is not None:
            raise RuntimeError(
                f"the data of a result ({self._op.name}) cannot be set, a graph may need "
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
        self._aliased = False

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to this tensor."""
        return self._tracked

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        """Let gradients flow to a leaf, or no longer."""
        if value and self._data.dtype.kind != "f":
            raise NotDifferentiableError(
                f"a Tensor of {self.dtype} cannot require a gradient, only floating point can; "
                "pass dtype=float, or write 3.0 for 3"
            )
        if not value and self._op is not None and self._tracked:
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
        return Count(self._data.size)

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user rather than by a recorded op."""
        return self._op is None

    @property
    def T(self) -> Tensor:
        """The transpose: axes reversed."""
        transposed: Tensor = implementations[np.transpose](self)
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
        out = leaf(self._data.copy("K") if self._aliased else self._data)
        if is_tracing():
            record(out, STOP_GRADIENT, (self,), (self._data,), {})
        return out

    # ---- what it is to Python

    def __repr__(self) -> str:
        if is_tracing():
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
        self._refuse_number("float() of")
        return float(self._data.item())

    def __complex__(self) -> complex:
        self._refuse_number("complex() of")
        return complex(self._data.item())

    def __int__(self) -> int:
        self._refuse_number("int() of")
        return int(self._data.item())

    def __index__(self) -> int:
        self._refuse_number("the index of")
        if self.dtype.kind not in "iu":
            raise TypeError(
                f"a Tensor of {self.dtype} is no index nor a count; use int(x.item()) where no "
                "gradient is wanted"
            )
        return int(self._data.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)

    def __hash__(self) -> int:
        self._refuse_as_number("the hash of")
        return object.__hash__(self)

    def __setitem__(self, key: object, value: object) -> NoReturn:
        raise RuntimeError(
            "item assignment on a Tensor would change what a graph may need; "
            "build the value with np.where, or write to a leaf's .data"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a leaf by its array and gradient; a result has a graph, which is not pickled."""
        self._refuse_tracing("copying or pickling")
        if self._op is not None and self._tracked:
            raise RuntimeError(
                f"a result ({self._op.name}) cannot be copied or pickled without its graph; "
                "use detach() first"
            )
        return _unpickle, (self._data, self._tracked, self.grad)

    def _refuse_number(self, action: str) -> None:
        self._refuse_tracing(action)
        if self._tracked:
            refusals.lost_as_number(action)

    def _refuse_as_number(self, action: str) -> None:  # that a leaf of a trace may stand for
        trace, leaf = is_tracing(), self._op is None and not self.ndim
        if trace is not None and leaf and self._index >= trace.start:
            self._refuse_tracing(action)

    def _refuse_tracing(self, action: str, cure: str = "use np.where, or leave this") -> None:
        trace = is_tracing()
        if trace is not None:
            trace.refusal = refusals.not_known_yet(action, cure)
            raise trace.refusal

    # ---- what it is to NumPy

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NoReturn:
        raise refusals.no_array()

    @property
    def _mask(self) -> NoReturn:
        """Refuse what `numpy.ma` asks for: it would take ``_data``, and drop the graph."""
        raise refusals.masked_beside()

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Do what stands for a ufunc of NumPy that was called with a Tensor."""
        implementation = implementations.get(ufunc)
        if implementation is not None and method == "__call__" and not options:
            return implementation(*inputs)
        if any(out is not None for out in options.pop("out", ())):
            raise refusals.no_output(ufunc)
        whole = implementations.get((ufunc, method))
        if whole is not None:
            return whole(*inputs, **options)
        if implementation is not None and method == "outer" and not options:
            x, y = inputs
            return implementation(np.reshape(x, np.shape(x) + (1,) * np.ndim(y)), y)
        suffix = "" if method == "__call__" else f".{method}"
        given = f" with {', '.join(options)}=" if implementation and not suffix else ""
        raise refusals.unsupported(ufunc, suffix + given)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any
    ) -> Any:
        implementation = implementations.get(function)
        if implementation is None:
            raise refusals.unsupported(function)
        return implementation(*args, **kwargs)

    if TYPE_CHECKING:  # set by `ops.methods`, and `backward` by the pass; a test compares them

        def __add__(self, other: Operand) -> Tensor: ...
        def __radd__(self, other: Operand) -> Tensor: ...
        def __sub__(self, other: Operand) -> Tensor: ...
        def __rsub__(self, other: Operand) -> Tensor: ...
        def __mul__(self, other: Operand) -> Tensor: ...
        def __rmul__(self, other: Operand) -> Tensor: ...
        def __truediv__(self, other: Operand) -> Tensor: ...
        def __rtruediv__(self, other: Operand) -> Tensor: ...
        def __floordiv__(self, other: Operand) -> Tensor: ...
        def __rfloordiv__(self, other: Operand) -> Tensor: ...
        def __mod__(self, other: Operand) -> Tensor: ...
        def __rmod__(self, other: Operand) -> Tensor: ...
        def __divmod__(self, other: Operand) -> tuple[Tensor, Tensor]: ...
        def __rdivmod__(self, other: Operand) -> tuple[Tensor, Tensor]: ...
        def __pow__(self, other: Operand) -> Tensor: ...
        def __rpow__(self, other: Operand) -> Tensor: ...
        def __matmul__(self, other: Operand) -> Tensor: ...
        def __rmatmul__(self, other: Operand) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __pos__(self) -> Tensor: ...
        def __abs__(self) -> Tensor: ...
        def __round__(self, decimals: int | None = None) -> Tensor: ...
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
        @property
        def real(self) -> Tensor: ...
        @property
        def imag(self) -> Tensor: ...
        @property
        def mT(self) -> Tensor: ...
        def sum(self, axis: Any = None, *more: Any, **options: Any) -> Tensor: ...
        def mean(self, axis: Any = None, *more: Any, **options: Any) -> Tensor: ...
        def max(self, axis: Any = None, *more: Any, **options: Any) -> Tensor: ...
        def min(self, axis: Any = None, *more: Any, **options: Any) -> Tensor: ...
        def prod(self, axis: Any = None, *more: Any, **options: Any) -> Tensor: ...
        def var(self, axis: Any = None, *more: Any, **options: Any) -> Tensor: ...
        def std(self, axis: Any = None, *more: Any, **options: Any) -> Tensor: ...
        def cumsum(self, axis: int | None = None, dtype: Any = None) -> Tensor: ...
        def cumprod(self, axis: int | None = None, dtype: Any = None) -> Tensor: ...
        def clip(
            self, a_min: Operand = None, a_max: Operand = None, *, min: Any = None, max: Any = None
        ) -> Tensor: ...
        def dot(self, b: Operand) -> Tensor: ...
        def any(self, axis: Any = None) -> Any: ...
        def all(self, axis: Any = None) -> Any: ...
        def argmax(self, axis: int | None = None) -> Any: ...
        def argmin(self, axis: int | None = None) -> Any: ...
        def argsort(self, axis: int | None = -1, kind: Any = None) -> Any: ...
        def argpartition(self, kth: Any, axis: int | None = -1) -> Any: ...
        def nonzero(self) -> Any: ...
        def searchsorted(self, v: Any, side: Any = "left", sorter: Any = None) -> Any: ...
        def tolist(self) -> Any: ...
        def copy(self, order: str = "C") -> Tensor: ...
        def conj(self) -> Tensor: ...
        def conjugate(self) -> Tensor: ...
        def flatten(self, order: str = "C") -> Tensor: ...
        def compress(self, condition: Any, axis: int | None = None) -> Tensor: ...
        def choose(self, choices: Any, mode: Any = "raise") -> Tensor: ...
        def round(self, decimals: int = 0) -> Tensor: ...
        def astype(self, dtype: DTypeLike, **options: Any) -> Tensor: ...
        def ravel(self, order: str = "C") -> Tensor: ...
        def squeeze(self, axis: Any = None) -> Tensor: ...
        def swapaxes(self, axis1: int, axis2: int) -> Tensor: ...
        def repeat(self, repeats: Any, axis: int | None = None) -> Tensor: ...
        def take(self, indices: Any, axis: Any = None, mode: str = "raise") -> Tensor: ...
        def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor: ...
        def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor: ...
        def reshape(self, *shape: Any, order: str = "C", copy: Any = None) -> Tensor: ...
        def transpose(self, *axes: Any) -> Tensor: ...
        def backward(
            self, gradient: Any = None, retain_graph: bool = False, create_graph: bool = False
        ) -> None: ...


new_tensor = Tensor.__new__


def leaf(data: Array) -> Tensor:
    """Wrap an array that is ours, without a look at it."""
    out = new_tensor(Tensor)
    out._data = data
    out._op = out.grad = None
    out._aliased = out._tracked = False
    out._index = next_index()
    return out


def record(
    out: Tensor, op: Op, args: Any, saved: Any, attributes: dict[str, Any], locks: Any = None
) -> None:
    """Let a result remember the call it came from."""
    out._op, out._args, out._saved = op, args, saved
    out._attributes, out._locks = attributes, locks


def values_of(x: Any) -> Any:
    """Return the array behind a Tensor, or x itself: to be read, and never to be written to."""
    return x._data if type(x) is Tensor else x


def refuse_tracing(x: Any, action: str) -> None:
    """Raise `TracedValueError` where a Tensor's values are asked for while it is traced."""
    if type(x) is Tensor:
        x._refuse_tracing(action)


def _note_write(trace: Trace, buffer: Tensor, value: Any) -> None:
    """Note what a buffer is set to while a function is traced: a program writes it back."""
    value = value if isinstance(value, Tensor) else Tensor(value)
    if value.shape != buffer.shape or value.dtype != buffer.dtype:
        raise ValueError(
            f"data of shape {value.shape}, {value.dtype} set on a tensor of shape {buffer.shape}, "
            f"{buffer.dtype}; reshape or cast it first, or make a new Tensor"
        )
    trace.writes.append((buffer, value, next_index()))


def _unpickle(data: Array, requires_grad: bool, grad: Any) -> Tensor:
    out = Tensor(data, requires_grad=requires_grad)
    out.grad = grad
    return out


def _numbers(data: Any, dtype: DTypeLike | None, copy: bool) -> Array:
    """Make the array that a Tensor holds: numbers, copied unless they are not to be."""
    if isinstance(data, Tensor):
        data._refuse_tracing("Tensor() of", "for its gradient take value_and_grad(f); or leave it")
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
