"""Arrays that keep a record of what became of them, so that plain programs can be differentiated.

A learner's function fills arrays in place, loops over examples and turns costs into floats; a
Tensor allows none of that. A `Watched` array is a NumPy array that computes what NumPy computes,
and beside it writes down the calls. `replay` runs them again on Tensors. What is not understood
gives a plain value: its record ends there, and who relies on one has to check it.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autonn.engine.op import Op
from autonn.engine.tensor import Array

__all__ = ["Node", "Watched", "called", "indexed", "node_of", "plain", "put", "watch"]


class Node:
    """One value of a record: a call of a function on values, or something given.

    Attributes
    ----------
    function, args, kwargs
        The call; among the arguments nodes stand for arrays. `function` is None for what is given.
    value
        A copy of the numbers.
    tracked
        Whether it depends on what is differentiated by.
    """

    __slots__ = ("args", "function", "kwargs", "tracked", "value")

    def __init__(
        self,
        value: Array,
        function: Callable[..., Any] | None = None,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        tracked: bool = False,
    ) -> None:
        self.value, self.function, self.args = value, function, args
        self.kwargs, self.tracked = kwargs or {}, tracked


def put(x: Any, key: Any, value: Any) -> Any:
    """Return an array with a part replaced: what an item assignment does."""
    if hasattr(x, "at"):
        return x.at[key].set(value)
    raise TypeError("an array that is no Tensor is not written to")


def add_at(x: Any, key: Any, value: Any) -> Any:
    """Return an array with values added at places that may be named twice."""
    return x.at[key].add(value)


def _part(x: Any, key: Any) -> Any:
    return x[key]


def _method(name: str) -> Callable[..., Any]:
    """Make the function that calls a method, of an array or of a Tensor."""

    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(x, name)(*args, **kwargs)

    call.__name__ = name
    call.is_method = True  # type: ignore[attr-defined]
    return call


class Watched(np.ndarray):
    """An array of floating point that knows the node of its value; views write to their roots."""

    _node: Node | None
    _root: Watched | None  # of which it is a view
    _way: tuple[Callable[..., Any], tuple[Any, ...]] | None  # how the view is taken of the root
    _seen: Any  # the node of the root when its own was written down

    def __array_finalize__(self, obj: Any) -> None:
        """Start without a record: what NumPy makes by itself has none."""
        self._node = self._root = self._way = self._seen = None

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """Compute with plain arrays, and write down the call."""
        if method == "at":
            return _added_at(ufunc, inputs)
        out = options.pop("out", None)
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        result = _recorded(function, inputs, options)
        if out is None:
            return result
        target = out[0]
        if isinstance(target, Watched):
            target[...] = result
        else:
            target[...] = plain(result)
        return target

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Compute with plain arrays, and write down the call."""
        if func in _WRITERS:
            func(*plain(args), **plain(kwargs))
            if isinstance(args[0], Watched):
                _set_node(args[0], Node(np.array(plain(args[0]))))
            return None
        if func in _VIEWS:
            return getattr(args[0], func.__name__)(*args[1:], **kwargs)
        return _recorded(func, args, kwargs)

    def __getitem__(self, key: Any) -> Any:
        """Read a part; one that shares memory remembers of what it is a view."""
        raw = plain(self)[plain(key)]
        return _viewed(self, raw, _part, (_copied(plain(key)),))

    def __setitem__(self, key: Any, value: Any) -> None:
        """Write to a part, and write that down."""
        before, given = node_of(self), node_of(value)
        raw_key = plain(key)
        plain(self)[raw_key] = plain(value)
        after = np.array(plain(self))
        if not before.tracked and not given.tracked:
            _set_node(self, Node(after))
            return
        source = given if given.tracked else Node(np.array(plain(value)))
        _set_node(self, Node(after, put, (before, _copied(raw_key), source), tracked=True))

    def __iter__(self) -> Any:
        return (self[k] for k in range(len(self)))

    def _in_place(self, function: Any, other: Any) -> Any:
        """Change an array in place, but make a new number: numbers do not change."""
        result = function(self, other)
        if self.ndim == 0 and self._root is None:
            return result
        self[...] = result
        return self

    def __iadd__(self, other: Any) -> Any:  # type: ignore[misc]
        return self._in_place(np.add, other)

    def __isub__(self, other: Any) -> Any:  # type: ignore[misc]
        return self._in_place(np.subtract, other)

    def __imul__(self, other: Any) -> Any:  # type: ignore[misc]
        return self._in_place(np.multiply, other)

    def __itruediv__(self, other: Any) -> Any:  # type: ignore[misc]
        return self._in_place(np.divide, other)

    @property
    def T(self) -> Any:
        """The transpose, a view."""
        return _viewed(self, plain(self).T, np.transpose, ())

    def reshape(self, *shape: Any, **options: Any) -> Any:
        """Reshape, by a view where NumPy gives one."""
        return _viewed(
            self, plain(self).reshape(*shape, **options), _method("reshape"), shape, options
        )

    def transpose(self, *axes: Any) -> Any:
        """Permute the axes, a view."""
        return _viewed(self, plain(self).transpose(*axes), _method("transpose"), axes)

    def ravel(self, *order: Any, **options: Any) -> Any:
        """Unroll, by a view where NumPy gives one."""
        return _viewed(self, plain(self).ravel(*order, **options), _method("ravel"), order, options)

    def item(self, *args: Any) -> Any:
        """Give the only number, with its record."""
        return (
            _recorded(_method("reshape"), (self, ()), {})
            if self.size == 1
            else plain(self).item(*args)
        )


for _name in (
    "sum", "mean", "dot", "flatten", "copy", "astype", "max", "min", "clip", "squeeze", "std",
    "var", "cumsum", "prod", "trace", "repeat", "take", "swapaxes", "round", "diagonal",
):  # fmt: skip

    def _bound(self: Watched, *args: Any, _name: str = _name, **kwargs: Any) -> Any:
        return _recorded(_method(_name), (self, *args), kwargs)

    setattr(Watched, _name, _bound)

_WRITERS = {np.copyto, np.put, np.place, np.putmask, np.fill_diagonal}
_VIEWS = {np.reshape, np.transpose, np.ravel}


def plain(x: Any) -> Any:
    """Return the same without records: arrays for watched ones, also in lists, tuples and dicts."""
    if isinstance(x, Watched):
        return x.view(np.ndarray)
    if type(x) in (list, tuple):
        return type(x)(plain(a) for a in x)
    if type(x) is dict:
        return {key: plain(a) for key, a in x.items()}
    return x


def _copied(key: Any) -> Any:
    if isinstance(key, np.ndarray):
        return np.array(key)
    return tuple(map(_copied, key)) if isinstance(key, tuple) else key


def watch(x: Any, tracked: bool = False) -> Any:
    """Make a watched copy of an array of floating point; leave all else as it is."""
    if isinstance(x, np.ndarray) and x.dtype.kind == "f":
        out = np.array(plain(x)).view(Watched)
        out._node = Node(np.array(plain(x)), tracked=tracked)
        return out
    return x


def node_of(x: Any) -> Node:
    """Return the node of a value as it is now."""
    if not isinstance(x, Watched):
        return Node(np.asarray(plain(x)))
    root = x._root
    if root is not None and x._way is not None and node_of(root) is not x._seen:
        function, args = x._way
        source = node_of(root)
        x._node = Node(np.array(plain(x)), function, (source, *args), tracked=source.tracked)
        x._seen = source
    if x._node is None:
        x._node = Node(np.array(plain(x)))
    return x._node


def _set_node(x: Watched, node: Node) -> None:
    """Give an array that was written to its new node, and its root as well."""
    root, way = x._root, x._way
    x._node = node
    if root is None or way is None:
        return
    function, args = way
    before = node_of(root)
    if function is _part:
        new: tuple[Any, tuple[Any, ...]] = (put, (before, args[0], node))
    elif function is np.transpose:
        new = (np.transpose, (node,))
    else:
        new = (_method("reshape"), (node, root.shape))
    tracked = before.tracked or node.tracked
    _set_node(root, Node(np.array(plain(root)), *new, tracked=tracked))
    x._seen = node_of(root)


def _viewed(
    x: Watched, raw: Any, function: Callable[..., Any], args: tuple[Any, ...], options: Any = None
) -> Any:
    """Wrap a part or another look at an array."""
    if not isinstance(raw, np.ndarray) or not np.may_share_memory(raw, plain(x)) or options:
        node = node_of(x)
        return _wrapped(raw, Node(np.array(raw), function, (node, *args), options, node.tracked))
    source = node_of(x)
    out = raw.view(Watched)
    out._node = Node(np.array(raw), function, (source, *args), tracked=source.tracked)
    out._root, out._way, out._seen = x, (function, args), source
    return out


def _wrapped(raw: Any, node: Node) -> Any:
    """Give a result its record, where it is of floating point."""
    if isinstance(raw, np.floating):
        raw = np.asarray(raw)
    if not isinstance(raw, np.ndarray) or raw.dtype.kind != "f":
        return raw
    out = raw.view(Watched)
    out._node = node
    return out


def _noted(x: Any) -> tuple[Any, bool]:
    """Replace watched arrays by nodes, and say whether one of them is tracked."""
    if isinstance(x, Watched):
        node = node_of(x)
        return node, node.tracked
    if type(x) in (list, tuple):
        pairs = [_noted(a) for a in x]
        return type(x)(a for a, _ in pairs), any(tracked for _, tracked in pairs)
    return (np.array(x), False) if type(x) is np.ndarray else (x, False)


def _recorded(function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Call a function on plain arrays, and write the call down where it is tracked."""
    raw = function(*plain(tuple(args)), **plain(kwargs))
    noted, tracked = _noted(tuple(args))
    named = {key: _noted(a)[0] for key, a in kwargs.items()}
    if isinstance(raw, list | tuple):
        several = [
            _wrapped(a, Node(np.array(a), _picked(function, k), noted, named, tracked))
            for k, a in enumerate(raw)
        ]
        return type(raw)(several) if type(raw) in (list, tuple) else several
    if not tracked:
        return _wrapped(raw, Node(np.array(raw)))
    return _wrapped(raw, Node(np.array(raw), function, noted, named, tracked))


def _picked(function: Callable[..., Any], k: int) -> Callable[..., Any]:
    return lambda *args, **kwargs: function(*args, **kwargs)[k]


def _added_at(ufunc: Any, inputs: Any) -> None:
    """Do what a ufunc's `at` does; of `np.add.at` the record goes on."""
    target, key, *values = inputs
    ufunc.at(plain(target), plain(key), *plain(tuple(values)))
    if not isinstance(target, Watched):
        return
    before, after = node_of(target), np.array(plain(target))
    given = node_of(values[0]) if values else Node(after)
    if ufunc is np.add and (before.tracked or given.tracked):
        args = (before, _copied(plain(key)), given)
        _set_node(target, Node(after, add_at, args, tracked=True))
    else:
        _set_node(target, Node(after))


# ---- calls that NumPy does not lead here


def _built(values: Any, *args: Any, **kwargs: Any) -> Any:
    """Make an array of nested lists of watched numbers, as `np.array` does."""
    if isinstance(values, Watched):
        return values.copy()
    if isinstance(values, list | tuple) and _holds(values):
        parts = [_built(v) if isinstance(v, list | tuple) else v for v in values]
        return np.stack([p if isinstance(p, Watched) else np.asarray(p, float) for p in parts])
    return np.array(values, *args, **kwargs)


def _holds(values: Any) -> bool:
    """Whether a watched array is somewhere in nested lists."""
    if isinstance(values, list | tuple):
        return any(_holds(v) for v in values)
    return isinstance(values, Watched)


def _same(values: Any, *args: Any, **kwargs: Any) -> Any:
    """Stand for `np.asarray`: what is an array stays the same."""
    return values if isinstance(values, Watched) else _built(values, *args, **kwargs)


def _number(x: Any = 0.0) -> Any:
    """Stand for `float`: a watched number stays one."""
    if isinstance(x, Watched) and x.size == 1:
        return x.item()
    return float(x)


def _like(x: Any) -> Callable[..., Any]:
    return lambda v, *args, **kwargs: x(plain(v), *args, **kwargs)


_STANDS_FOR: dict[Any, Callable[..., Any]] = {
    np.array: _built, np.asarray: _same, np.asanyarray: _same, np.ascontiguousarray: _same,
    np.asfortranarray: _same, float: _number, np.float64: _number,
    np.zeros_like: _like(np.zeros_like), np.ones_like: _like(np.ones_like),
    np.empty_like: _like(np.empty_like),
    math.exp: np.exp, math.log: np.log, math.sqrt: np.sqrt, math.tanh: np.tanh,
    math.sin: np.sin, math.cos: np.cos, math.log1p: np.log1p, math.fabs: np.abs,
    math.pow: np.power, math.fsum: sum,
}  # fmt: skip


def called(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Call what a program calls; new arrays are watched, so that what fills them is seen."""
    if isinstance(getattr(function, "op", None), Op) and _holds(list(args)):
        return _recorded(function, args, kwargs)  # one of autonn's own, as `sigmoid`
    with contextlib.suppress(TypeError):  # what cannot be hashed stands for itself
        function = _STANDS_FOR.get(function, function)
    result = function(*args, **kwargs)
    return watch(result) if type(result) is np.ndarray and result.base is None else result


def indexed(thing: Any, key: Any) -> Any:
    """Read an item; `np.c_` and `np.r_`, which copy what they join, by the functions they are."""
    parts = key if isinstance(key, tuple) else (key,)
    if (thing is np.c_ or thing is np.r_) and not any(isinstance(p, slice | str) for p in parts):
        if thing is np.c_:
            return np.column_stack(parts)
        return np.concatenate([np.atleast_1d(p) for p in parts])
    return thing[key]
