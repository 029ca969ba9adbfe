"""The backward pass, and the functions that are made of it.

Newest first is always a valid order, because a tensor can only be made from older ones. So the
pass is a loop over the tensors behind the result, sorted by age: no recursion, however long the
chain. Each gradient is spent as soon as its tensor has passed it on.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from functools import partial
from heapq import heappop, heappush
from typing import Any, cast

import numpy as np
from numpy import ndarray

from autonn.engine import ops
from autonn.engine.tensor import Op, Tensor, _enable_grad, _leaf


def _stretches_to(shape: tuple[int, ...], larger: tuple[int, ...]) -> bool:
    """Whether broadcasting could have made the larger shape out of the other."""
    last = larger[len(larger) - len(shape) :]
    return len(shape) <= len(larger) and all(a in (b, 1) for a, b in zip(shape, last, strict=True))


def _fit(gradient: Any, value: Any, op: Op) -> Any:
    """Bring what a rule returned to the shape and dtype of its argument.

    Summing is right only over what broadcasting added or stretched: anything else is a wrong
    rule, and is not allowed to pass as one.
    """
    if gradient.shape != value.shape:
        if not _stretches_to(value.shape, gradient.shape):
            raise AssertionError(
                f"a rule of {op.name} returned shape {gradient.shape} for an argument of shape "
                f"{value.shape}, which broadcasting cannot explain"
            )
        gradient = ops.sum_to(gradient, value.shape)
    if gradient.dtype != value.dtype:
        gradient = ops.cast(gradient, value.dtype)
    return gradient


def _inputs(args: Sequence[Any], values: Sequence[Any]) -> list[Any]:
    """Give a rule its arguments as Tensors, so that what it computes can be differentiated.

    A leaf that was given new data since would be differentiated at the wrong place.
    """
    inputs: list[Any] = []
    for a, value in zip(args, values, strict=True):
        if not isinstance(a, Tensor):
            inputs.append(value)
        elif a._data is value or np.array_equal(a._data, value, equal_nan=True):
            inputs.append(a)
        else:
            raise RuntimeError(
                f"a Tensor of shape {a.shape} got new data between an op and its gradient "
                "with create_graph=True; compute the result again"
            )
    return inputs


def _between(root: Tensor, wanted: Sequence[Tensor]) -> set[int]:
    """Find which tensors lie on a way from the wanted ones to the root: no other is needed."""
    seen = {root._index: root}
    stack = [root]
    while stack:
        for a in _tensors(stack.pop()):
            if a._index not in seen:
                seen[a._index] = a
                stack.append(a)
    useful = {tensor._index for tensor in wanted}
    for index in sorted(seen):
        if any(a._index in useful for a in _tensors(seen[index])):
            useful.add(index)
    return useful


def _tensors(tensor: Tensor) -> list[Tensor]:
    args = tensor._origin[1] if tensor._origin else None
    return [a for a in args or () if isinstance(a, Tensor) and a._tracked]


def _pull(
    root: Tensor,
    gradient: Any,
    *,
    symbolic: bool = False,
    retain: bool = False,
    wanted: Sequence[Tensor] | None = None,
) -> list[list[Any]]:
    """Pull a gradient back from the root and return ``[tensor, gradient]`` for each end reached.

    The ends are the leaves, or the `wanted` tensors. A `symbolic` pass runs the rules on Tensors,
    so that its result is a graph again; it retains what it reads.
    """
    useful = None if wanted is None else _between(root, wanted)
    ends = () if wanted is None else {tensor._index for tensor in wanted}
    pending = {root._index: (root, gradient)}
    newest = [-root._index]  # a heap: the smallest number is the youngest tensor
    ours: set[int] = set()  # sums that this pass allocated, and may add to in place
    arrived: list[list[Any]] = []
    while newest:
        tensor, g = pending.pop(-heappop(newest))
        if tensor._origin is None or tensor._index in ends:
            arrived.append([tensor, g])
            if tensor._origin is None:
                continue
        op, args, values, static, _ = tensor._origin
        if args is None:
            raise RuntimeError(
                f"the graph behind this result ({op.name}) was freed by an earlier backward(); "
                "pass retain_graph=True there, or compute the result again"
            )
        z, inputs = (tensor, _inputs(args, values)) if symbolic else (tensor._data, values)
        rules = [partial(op.rules[0], k) for k in range(len(args))] if op.variadic else op.rules
        for rule, a, value in zip(rules, args, values, strict=False):
            if rule is None or not isinstance(a, Tensor) or not a._tracked:
                continue
            index = a._index
            if useful is not None and index not in useful:
                continue
            d = rule(g, z, *inputs, **static)
            if d.shape != value.shape or d.dtype is not value.dtype:
                d = _fit(d, value, op)
            if index not in pending:
                pending[index] = (a, d)
                heappush(newest, -index)
                continue
            before = pending[index][1]
            if index in ours:
                before += d
                continue
            pending[index] = (a, before + d)
            if d.ndim and not symbolic:  # a sum of 0-d arrays is a NumPy scalar
                ours.add(index)
        if not retain:
            tensor._origin = (op, None, None, None, None)
    return arrived


def backward(
    self: Tensor, gradient: Any = None, retain_graph: bool = False, create_graph: bool = False
) -> None:
    """Add d self / d leaf, times the gradient given, to the ``.grad`` of every leaf behind.

    Parameters
    ----------
    gradient
        The incoming gradient, of this tensor's shape; may be left out for a single element.
    retain_graph
        Keep the graph for another pass; otherwise its memory is given back on the way.
    create_graph
        Make the gradients Tensors, which can be differentiated again; retains the graph.

    Raises
    ------
    RuntimeError
        If nothing behind it requires a gradient, if the graph was freed by an earlier pass, or
        without a gradient where there are several elements.
    ValueError, TypeError
        For a gradient of another shape or dtype.

    Examples
    --------
    >>> x = Tensor(3.0, requires_grad=True)
    >>> (x**3).backward(create_graph=True)
    >>> x.grad
    Tensor(27., requires_grad=True)
    """
    if not self._tracked:
        raise RuntimeError(
            "backward() on a Tensor that nothing with requires_grad=True led to; "
            "make the parameters with requires_grad=True, outside no_grad"
        )
    seed = _seed(self, gradient, create_graph)
    if create_graph:
        with _enable_grad():
            arrived = _pull(self, seed, symbolic=True, retain=True)
    else:
        arrived = _pull(self, seed, retain=retain_graph)
        del seed
    for end in arrived:
        leaf = end[0]
        if leaf.grad is not None:
            leaf.grad = leaf.grad + end[1]
        elif create_graph or _is_sole_owner(end):
            leaf.grad = end[1]
        else:
            leaf.grad = np.array(end[1], order="C")


setattr(Tensor, "backward", backward)  # noqa: B010


def _seed(root: Tensor, gradient: Any, symbolic: bool) -> Any:
    """Check the incoming gradient, or make the 1 that a single element starts from."""
    if gradient is None:
        if root.size != 1:
            raise RuntimeError(
                f"backward() on a Tensor of shape {root.shape} needs a gradient of that shape; "
                "only a single number, as a mean or a sum gives, may go without"
            )
        gradient = np.ones(root.shape, root.dtype)
    elif isinstance(gradient, Tensor):
        gradient = gradient if symbolic else gradient._data
    elif not isinstance(gradient, ndarray):
        gradient = Tensor(gradient)._data
        if gradient.dtype.kind in "iuf":
            gradient = gradient.astype(root.dtype)
    if gradient.dtype != root.dtype:
        raise TypeError(
            f"an incoming gradient of {gradient.dtype} for a Tensor of {root.dtype}; cast it first"
        )
    if gradient.shape != root.shape:
        raise ValueError(
            f"an incoming gradient of shape {gradient.shape} for a Tensor of shape {root.shape}; "
            "they must be the same"
        )
    return _leaf(gradient) if symbolic and not isinstance(gradient, Tensor) else gradient


def _count(end: list[Any]) -> int:
    return sys.getrefcount(end[1])


_SOLE = _count([None, np.zeros(1)])


def _is_sole_owner(end: list[Any]) -> bool:
    """Whether the gradient is nobody else's, so that a leaf may keep it without a copy."""
    gradient = end[1]
    if type(gradient) is not ndarray or gradient.base is not None:
        return False
    del gradient
    return _count(end) == _SOLE


# ---- functions of functions


Tree = Any  # a Tensor, an array or a number, or a list, tuple or dict of trees
Scalar = Callable[..., Any]  # a function that returns a single number

# How many transforms are evaluating a function in this thread: an inner one gives Tensors, so that
# the outer one can differentiate what it computed.
_depth: ContextVar[int] = ContextVar("depth", default=0)


def _leaves(tree: Tree) -> list[Any]:
    """List what hangs on a tree, in order; a dict's by its order of insertion."""
    if isinstance(tree, dict):
        return [leaf for branch in tree.values() for leaf in _leaves(branch)]
    if isinstance(tree, list | tuple):
        return [leaf for branch in tree for leaf in _leaves(branch)]
    return [tree]


def _rebuild(tree: Tree, leaves: Iterator[Any]) -> Tree:
    """Hang other leaves on a tree of the same form."""
    if isinstance(tree, dict):
        return type(tree)({key: _rebuild(branch, leaves) for key, branch in tree.items()})
    if isinstance(tree, list | tuple):
        branches = [_rebuild(branch, leaves) for branch in tree]
        return type(tree)(*branches) if hasattr(tree, "_fields") else type(tree)(branches)
    return next(leaves)


def _lift(leaf: Any) -> Tensor:
    """Make a tensor to differentiate with respect to: a new leaf, or a node on the caller's graph.

    Nothing is copied: the graph lives no longer than the call.
    """
    if isinstance(leaf, Tensor) and leaf._tracked:
        return cast(Tensor, ops.positive(leaf))
    lifted = _leaf(leaf._data if isinstance(leaf, Tensor) else Tensor(leaf, copy=False)._data)
    lifted.requires_grad = True
    return lifted


def _evaluate(f: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    token = _depth.set(_depth.get() + 1)
    try:
        with _enable_grad():
            return f(*args, **kwargs)
    finally:
        _depth.reset(token)


def _lifted(
    args: Sequence[Any], positions: Sequence[int]
) -> tuple[list[Any], list[Tensor], list[Tree], bool]:
    """Lift the arguments at the positions; say whether the result has to be Tensors."""
    trees = [args[k] for k in positions]
    leaves = [leaf for tree in trees for leaf in _leaves(tree)]
    symbolic = _depth.get() > 0 or any(isinstance(leaf, Tensor) for leaf in leaves)
    tensors = [_lift(leaf) for leaf in leaves]
    supply = iter(tensors)
    full = list(args)
    for k in positions:
        full[k] = _rebuild(args[k], supply)
    return full, tensors, trees, symbolic


def _gradients(root: Any, seed: Any, wanted: Sequence[Tensor], symbolic: bool) -> list[Any]:
    """Pull a gradient back to the wanted tensors; what the root does not depend on gets zeros."""
    arrived: dict[int, Any] = {}
    if isinstance(root, Tensor) and root._tracked:
        with _enable_grad():
            ends = _pull(root, seed, symbolic=symbolic, retain=True, wanted=wanted)
        arrived = {tensor._index: gradient for tensor, gradient in ends}
    return [_own(arrived.get(w._index), w, symbolic) for w in wanted]


def _own(gradient: Any, tensor: Tensor, symbolic: bool) -> Any:
    if gradient is None:
        gradient = np.zeros(tensor.shape, tensor.dtype)
        return _leaf(gradient) if symbolic else gradient
    return gradient if symbolic else np.array(gradient, order="C")


def _value(result: Any, symbolic: bool) -> Any:
    return result._data[()] if isinstance(result, Tensor) and not symbolic else result


def _scalar(result: Any, name: str) -> Any:
    if np.ndim(result) != 0 and np.size(result) != 1:
        raise RuntimeError(
            f"{name} needs a function that returns a single number, not shape {np.shape(result)}; "
            "sum or average it, or use jacobian"
        )
    return result


def value_and_grad(f: Scalar, argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """Make the function that returns ``(f(x), df/dx)``.

    Parameters
    ----------
    f
        A function of arrays, or of lists, tuples and dicts of them, that returns one number.
    argnums
        Which argument to differentiate by; a tuple of positions gives a tuple of gradients.

    Returns
    -------
    A function of the same arguments. The gradient has the form of the argument; arrays give
    arrays, Tensors give Tensors.

    Raises
    ------
    RuntimeError
        When called, if `f` returns more than a single number.
    TypeError
        When called with integers, which have no gradient.

    Examples
    --------
    >>> value_and_grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
    (np.float64(5.0), array([2., 4.]))
    """
    positions = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    @functools.wraps(f)
    def both(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        full, tensors, trees, symbolic = _lifted(args, positions)
        result = _scalar(_evaluate(f, full, kwargs), "grad")
        seed = None
        if isinstance(result, Tensor):
            seed = _seed(result, None, symbolic)
        supply = iter(_gradients(result, seed, tensors, symbolic))
        gradients = tuple(_rebuild(tree, supply) for tree in trees)
        return _value(result, symbolic), gradients[0] if isinstance(argnums, int) else gradients

    return both


def grad(f: Scalar, argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """Make the function that returns ``df/dx``, as `value_and_grad` without the value.

    >>> grad(grad(lambda x: x**3))(2.0)
    array(12.)
    """
    both = value_and_grad(f, argnums)

    @functools.wraps(f)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        return both(*args, **kwargs)[1]

    return gradient
