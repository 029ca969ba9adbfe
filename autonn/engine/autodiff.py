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
from enum import IntEnum
from heapq import heappop, heappush
from typing import Any, cast

import numpy as np
from numpy import ndarray

from autonn.engine import ops
from autonn.engine.tensor import (
    Function,
    Op,
    Rule,
    Tensor,
    _enable_grad,
    _is_tracing,
    _leaf,
    _shelter,
    define,
)


def _stretches_to(shape: tuple[int, ...], larger: tuple[int, ...]) -> bool:
    """Whether broadcasting could have made the larger shape out of the other."""
    last = larger[len(larger) - len(shape) :]
    if shape == last:  # axes were added in front, as to a bias
        return True
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
        summed = ops._sum_to_forward if type(gradient) is ndarray else ops.sum_to
        gradient = summed(gradient, value.shape)
    if gradient.dtype != value.dtype:
        gradient = ops.cast(gradient, value.dtype)
    return gradient


def _inputs(args: Sequence[Any], values: Sequence[Any]) -> list[Any]:
    """Give a rule its arguments as Tensors, so that what it computes can be differentiated.

    A leaf that was given new data since would be differentiated at the wrong place. What the op
    kept has no derivative: the rule does without it.
    """
    inputs: list[Any] = []
    for a, value in zip(args, values, strict=False):
        if not isinstance(a, Tensor):
            inputs.append(a if _is_tracing() else value)  # compiled: read where it stands
        elif a._data is value or np.array_equal(a._data, value, equal_nan=True):
            inputs.append(a)
        else:
            raise RuntimeError(
                f"a Tensor of shape {a.shape} got new data between an op and its gradient "
                "with create_graph=True; compute the result again"
            )
    return inputs + [None] * (len(values) - len(args))


def _between(root: Tensor, wanted: Sequence[Tensor]) -> set[int]:
    """Find which tensors lie on a way from the wanted ones to the root: no other is needed."""
    useful = {tensor._index for tensor in wanted}
    seen = {root._index: root}
    stack = [root]
    while stack:
        for a in _tensors(stack.pop()):
            if a._index not in seen and a._index not in useful:
                seen[a._index] = a
                stack.append(a)
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
) -> list[tuple[Tensor, Any]]:
    """Pull a gradient back from the root and return ``(tensor, gradient)`` for each end reached.

    The ends are the leaves, or the `wanted` tensors. A `symbolic` pass runs the rules on Tensors,
    so that its result is a graph again; it retains what it reads.
    """
    useful = None if wanted is None else _between(root, wanted)
    ends = frozenset() if wanted is None else {tensor._index for tensor in wanted}
    pending = {root._index: (root, gradient)}
    newest = [-root._index]  # what is pending but the leaves, as a heap: the youngest comes first
    ours: set[int] = set()  # what this pass alone holds, and may add to in place
    arrived: list[tuple[Tensor, Any]] = []
    while newest:
        tensor, g = pending.pop(-heappop(newest))
        if symbolic:
            _note(g, tensor)
        origin = tensor._origin
        if origin is None or tensor._index in ends:
            arrived.append((tensor, g))
            continue
        op, args, values, static, _ = origin
        if args is None:
            raise RuntimeError(
                f"the graph behind this result ({op.name}) was freed by an earlier backward(); "
                "pass retain_graph=True there, or compute the result again"
            )
        inputs = values
        z: Any = tensor._data
        rules = op.rules * len(args) if op.variadic else op.rules
        if symbolic:
            z, inputs = tensor, _inputs(args, values)
        k = -1
        for rule in rules:
            k += 1  # by hand: zip takes longer
            if k == len(args):
                break  # what is left out has no gradient
            a = args[k]
            if type(a) is not Tensor or not a._tracked or rule is None:
                continue
            value, index = values[k], a._index
            if useful is not None and index not in useful:
                continue
            if op.variadic:
                d = rule(k, g, z, *inputs, **static)
            else:
                d = rule(g, z, *inputs, **static) if static else rule(g, z, *inputs)
            if d.shape != value.shape or d.dtype is not value.dtype:
                d = _fit(d, value, op)
            if index not in pending:
                pending[index] = (a, d)
                if a._origin is not None:  # a leaf waits for what others add until the end
                    heappush(newest, -index)
                continue
            if not symbolic and d.nbytes > 4096 and _is_sole_owner(pending[index]):
                ours.add(index)  # below, a sum of its own costs less than the question
            before = pending[index][1]
            if index in ours:
                before += d
                continue
            pending[index] = (a, before + d)
            if d.ndim and not symbolic:  # a sum of 0-d arrays is a NumPy scalar
                ours.add(index)
        if not retain:
            tensor._origin = op.freed
    for tensor, g in pending.values() if symbolic else ():
        _note(g, tensor)
    return [*arrived, *pending.values()]


def _note(gradient: Any, tensor: Tensor) -> None:
    """Tell a trace whose gradient this is: compiled source is named after it."""
    trace = _is_tracing()
    if trace is not None and isinstance(gradient, Tensor):
        trace.gradients.setdefault(gradient._index, tensor._index)


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
    self._refuse_tracing("backward() on")
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


def _seed(root: Tensor, gradient: Any, symbolic: int) -> Any:
    """Check the incoming gradient, or make the 1 that a single element starts from."""
    if gradient is None:
        if root.size != 1:
            raise RuntimeError(
                f"backward() on a Tensor of shape {root.shape} needs a gradient of that shape; "
                "only a single number, as a mean or a sum gives, may go without"
            )
        if symbolic:
            return _leaf(np.ones(root.shape, root.dtype))
        return np.ones(root.shape, root.dtype) if root.ndim else root.dtype.type(1)
    if isinstance(gradient, Tensor):
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


def _count(end: Sequence[Any]) -> int:
    return sys.getrefcount(end[1])


_SOLE = _count([None, np.zeros(1)])


def _is_sole_owner(end: Sequence[Any]) -> bool:
    """Whether the gradient is nobody else's, so that it may be kept or added to without a copy."""
    return _count(end) == _SOLE and type(end[1]) is ndarray and end[1].base is None


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
    if isinstance(leaf, Tensor) and (leaf._tracked or _is_tracing()):
        node = cast(Tensor, ops.positive(leaf))
        node.requires_grad = True
        return node
    lifted = _leaf(leaf._data if isinstance(leaf, Tensor) else Tensor(leaf, copy=False)._data)
    if lifted.dtype.kind == "c":  # the complex step of gradcheck
        lifted._tracked = True
    else:
        lifted.requires_grad = True
    return lifted


def _evaluate(f: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    token = _depth.set(_depth.get() + 1)
    try:
        with _enable_grad():
            return f(*args, **kwargs)
    finally:
        _depth.reset(token)


class _Result(IntEnum):
    """What a transform returns: arrays, what stands for arrays while `compile` traces, Tensors."""

    ARRAYS = 0
    TRACED = 1
    TENSORS = 2


def _lifted(
    args: Sequence[Any], positions: Sequence[int]
) -> tuple[list[Any], list[Tensor], _Result]:
    """Lift the arguments at the positions; say what the result has to be."""
    leaves = [leaf for k in positions for leaf in _leaves(args[k])]
    tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    symbolic = _Result.ARRAYS
    if _depth.get() > 0 or any(t._tracked for t in tensors):
        symbolic = _Result.TENSORS
    elif _is_tracing():
        symbolic = _Result.TRACED
    elif tensors:
        symbolic = _Result.TENSORS
    tensors = [_lift(leaf) for leaf in leaves]
    supply = iter(tensors)
    full = list(args)
    for k in positions:
        full[k] = _rebuild(args[k], supply)
    return full, tensors, symbolic


def _gradients(root: Any, seed: Any, wanted: Sequence[Tensor], symbolic: int) -> list[Any]:
    """Pull a gradient back to the wanted tensors; what the root does not depend on gets zeros."""
    arrived: dict[int, Any] = {}
    if isinstance(root, Tensor) and root._tracked:
        with _enable_grad():
            ends = _pull(root, seed, symbolic=bool(symbolic), retain=True, wanted=wanted)
        arrived = {tensor._index: gradient for tensor, gradient in ends}
    return [_own(arrived.get(w._index), w, symbolic) for w in wanted]


def _own(gradient: Any, tensor: Tensor, symbolic: int) -> Any:
    if gradient is None:
        gradient = np.zeros(tensor.shape, tensor.dtype)
        return _leaf(gradient) if symbolic else gradient
    if symbolic is _Result.TRACED:
        return gradient.detach() if isinstance(gradient, Tensor) else _leaf(gradient)
    return gradient if symbolic else np.array(gradient, order="C")


def _value(result: Any, symbolic: int) -> Any:
    if not isinstance(result, Tensor) or symbolic is _Result.TENSORS:
        return result
    return result.detach() if symbolic else result._data[()]


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
    positions = _positions(argnums)

    @functools.wraps(f)
    def both(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        full, tensors, symbolic = _lifted(args, positions)
        result = _scalar(_evaluate(f, full, kwargs), "grad")
        seed = _seed(result, None, symbolic) if isinstance(result, Tensor) else None
        gradients = _gradients(result, seed, tensors, symbolic)
        return _value(result, symbolic), _hung(args, argnums, gradients)

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


def gradients(result: Tensor, parameters: Sequence[Tensor]) -> list[Any]:
    """Return ``d result / d p`` for each parameter, and leave their ``.grad`` alone.

    `result` is a single number. Its graph is kept; a parameter that it does not depend on gets
    zeros. In a compiled function this gives what a training step needs. What it returns has no
    graph: for second derivatives take `grad` or `backward(create_graph=True)`. `RuntimeError` if
    nothing behind the result requires a gradient.

    >>> w = Tensor([1.0, 2.0], requires_grad=True)
    >>> gradients(np.sum(w * w), [w])
    [array([2., 4.])]
    """
    if not isinstance(result, Tensor) or not result._tracked:
        raise RuntimeError(
            "gradients() of a result that nothing with requires_grad=True led to; what gradients() "
            "returns is such a result too, take grad(grad(f)) for second derivatives"
        )
    symbolic = _numbers()
    return _gradients(result, _seed(result, None, symbolic), parameters, symbolic)


def _numbers() -> _Result:
    """Say what stands for arrays at present."""
    return _Result.TRACED if _is_tracing() else _Result.ARRAYS


def _hessian_products(
    result: Tensor, parameters: Sequence[Tensor]
) -> Callable[[Sequence[Any]], list[Any]]:
    """Return ``v -> H v`` at the parameters as they are; one graph serves all the products.

    H is the Hessian of a single number, v and H v have one array for each parameter.
    """
    slopes = _gradients(result, _seed(result, None, True), parameters, symbolic=True)

    def product(vectors: Sequence[Any]) -> list[Any]:
        symbolic = _numbers()
        along = sum(np.sum(g * v) for g, v in zip(slopes, vectors, strict=True))
        return _gradients(along, _seed(along, None, symbolic), parameters, symbolic)

    return product


def vjp(f: Callable[..., Any], *args: Tree) -> tuple[Any, Callable[[Any], tuple[Tree, ...]]]:
    """Return ``f(x)`` and the function that pulls a gradient back, ``v -> v' J``.

    The pullback may be called any number of times; it returns one gradient for each argument.

    >>> value, pullback = vjp(lambda x, y: x * y, np.array([1.0, 2.0]), 3.0)
    >>> pullback(np.array([1.0, 10.0]))
    (array([ 3., 30.]), array(21.))
    """
    full, tensors, symbolic = _lifted(args, range(len(args)))
    result = _evaluate(f, full, {})

    def pullback(gradient: Any) -> tuple[Tree, ...]:
        through = symbolic or (_Result.TENSORS if isinstance(gradient, Tensor) else symbolic)
        seed = _seed(result, gradient, through) if isinstance(result, Tensor) else None
        pulled = _gradients(result, seed, tensors, through)
        hung: tuple[Tree, ...] = _hung(args, tuple(range(len(args))), pulled)
        return hung

    return _value(result, symbolic), pullback


def jvp(f: Callable[..., Any], args: Tree, tangents: Tree) -> tuple[Any, Any]:
    """Return ``f(x)`` and its derivative in a direction, ``J v``.

    It is the vjp of the vjp: ``v' J`` is linear in v, and pulling back through that gives J.
    Several arguments are given as a tuple, and so are their tangents.

    >>> jvp(np.sin, 0.0, 2.0)
    (np.float64(0.0), array(2.))
    """
    args, tangents = _as_tuple(args), _as_tuple(tangents)
    full, tensors, symbolic = _lifted(args, range(len(args)))
    directions = _matching(tangents, tensors, "jvp")
    if not symbolic and any(isinstance(d, Tensor) for d in directions):
        symbolic = _Result.TENSORS
    result = _evaluate(f, full, {})
    if not isinstance(result, Tensor):
        return result, np.zeros(np.shape(result))
    dummy = _leaf(np.zeros(result.shape, result.dtype))
    dummy._tracked = True
    pulled = _gradients(result, dummy, tensors, symbolic=True)
    along = sum(np.sum(g * d) for g, d in zip(pulled, directions, strict=True))
    one = _seed(along, None, symbolic) if isinstance(along, Tensor) else None
    (tangent,) = _gradients(along, one, [dummy], symbolic)
    return _value(result, symbolic), tangent


def hvp(f: Scalar, args: Tree, vectors: Tree) -> Tree:
    """Return the Hessian times a vector, ``H v``, as the gradient of ``<df/dx, v>``.

    Several arguments are given as a tuple, and so are their vectors; then so is the result.

    >>> hvp(lambda x: np.sum(x**3), np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    array([6., 0.])
    """
    many = _as_tuple(args)
    positions = tuple(range(len(many)))
    directions = _matching(_as_tuple(vectors), _leaves(many), "hvp")

    def along(*inner: Any) -> Any:
        gradients = _leaves(grad(f, positions)(*inner))
        return sum(np.sum(g * d) for g, d in zip(gradients, directions, strict=True))

    product = grad(along, positions)(*many)
    return product if isinstance(args, tuple) else product[0]


def jacobian(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """Make the function that returns all derivatives, ``J[i, j] = df_i / dx_j``.

    Its shape is that of the output followed by that of the argument; an argument that is a list,
    tuple or dict gets one array for each of its leaves.

    >>> jacobian(lambda x: np.sum(x) * x)(np.array([1.0, 2.0]))
    array([[4., 1.],
           [2., 5.]])
    """
    positions = _positions(argnums)

    @functools.wraps(f)
    def derivatives(*args: Any, **kwargs: Any) -> Any:
        full, tensors, symbolic = _lifted(args, positions)
        result = _evaluate(f, full, kwargs)
        shape = np.shape(result)
        rows = [_gradients(result, seed, tensors, symbolic) for seed in _units(result, symbolic)]
        blocks = [
            _stacked([row[k] for row in rows], (*shape, *tensor.shape), symbolic)
            for k, tensor in enumerate(tensors)
        ]
        return _hung(args, argnums, blocks)

    return derivatives


def hessian(f: Scalar, argnums: int = 0) -> Callable[..., Any]:
    """Make the function that returns all second derivatives by one array argument.

    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    return jacobian(grad(f, argnums), argnums)


def stop_gradient(x: Tree) -> Tree:
    """Return the same values, through which no gradient passes.

    >>> grad(lambda x: x * stop_gradient(x))(3.0)
    array(3.)
    """
    leaves = (leaf.detach() if isinstance(leaf, Tensor) else leaf for leaf in _leaves(x))
    return _rebuild(x, leaves)


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """Make the function that forgets what is inside `f`, and computes it again on the way back.

    It trades time for memory: of a chain of checkpointed parts, one at a time is held. Gradients
    reach the arguments and all that `f` reads besides, a model's parameters too. `f` must compute
    the same each time.

    >>> x = Tensor([0.5, 1.0], requires_grad=True)
    >>> np.sum(checkpoint(lambda x: np.exp(np.sin(x)))(x)).backward()
    >>> bool(np.allclose(x.grad, np.exp(np.sin(x.data)) * np.cos(x.data)))
    True
    """

    @functools.wraps(f)
    def forgetful(*args: Any) -> Any:
        if _is_tracing():  # a compiled program plans its own memory
            return f(*args)
        start = _leaf(np.zeros(()))._index
        result = f(*args)
        if not isinstance(result, Tensor) or not result._tracked:
            return result
        return _Again(f, args, _read_from_outside(result, start)).node(_CHECKPOINT, result._data)

    return forgetful


class _Again:
    """Computes a function a second time, once for all the gradients of a pass.

    `outside` is what the function reads from around it and its gradients are for.
    """

    def __init__(
        self, f: Callable[..., Any], args: Sequence[Any], outside: Sequence[Tensor]
    ) -> None:
        self.f, self.args, self.outside = f, list(args), tuple(outside)
        self.values = [t._data for t in outside]
        self.holds = _shelter(tuple(args), self.args)
        self.pulled: tuple[Any, list[Any]] | None = None

    def node(self, op: Op, value: Any) -> Tensor:
        """Make the result, which remembers how it can be computed again."""
        out = _leaf(value)
        out._tracked = True
        out._origin = (op, self.outside, self.values, {"again": self}, self.holds)
        return out

    def gradients(self, g: Any) -> list[Any]:
        if self.pulled is None or self.pulled[0] is not g:
            if any(t._data is not v for t, v in zip(self.outside, self.values, strict=True)):
                raise RuntimeError(
                    "a Tensor that a checkpointed function reads got new data before backward(); "
                    "compute the result again"
                )
            with _enable_grad():
                result = self.f(*self.args)
            self.pulled = g, _gradients(result, g, self.outside, isinstance(g, Tensor))
        return self.pulled[1]


def _computed_again(name: str, formula: str) -> Op:
    """Declare what stands for a whole function, whose gradients an `_Again` knows."""
    rule = lambda k, g, z, *inputs, again: again.gradients(g)[k]  # noqa: E731
    return Op(name, lambda x: x, formula, (rule,), variadic=True)


_CHECKPOINT = _computed_again("checkpoint", "z = f(x), computed again for the gradient")


def _read_from_outside(result: Tensor, start: int) -> list[Tensor]:
    """List what a result depends on that was there before `start`."""
    outside: dict[int, Tensor] = {}
    seen = {result._index}
    stack = [result]
    while stack:
        tensor = stack.pop()
        if tensor._index < start or tensor._origin is None:
            outside[tensor._index] = tensor
            continue
        for a in _tensors(tensor):
            if a._index not in seen:
                seen.add(a._index)
                stack.append(a)
    return [outside[index] for index in sorted(outside)]


def op(*rules: Rule | None, formula: str = "", kinks: str = "") -> Callable[[Any], Function]:
    """Declare an op of one's own: decorate its forward, a NumPy function, with a rule per argument.

    A rule takes the incoming gradient, the output and the arguments, and returns the gradient for
    its argument; written in NumPy it serves every order. `gradcheck` tells whether it is right.

    >>> @op(lambda g, z, x: g * 3 * x**2, formula="z = x^3")
    ... def cube(x):
    ...     return x * x * x
    >>> grad(grad(cube))(2.0)
    array(12.)
    """

    def declare(forward: Callable[..., Any]) -> Function:
        name = getattr(forward, "__name__", "op")
        declared = define(
            name, forward, formula or name, *rules, numpy=(), kinks=kinks, listed=False
        )
        declared.__doc__ = forward.__doc__ or declared.__doc__
        return declared

    return declare


# ---- what these have in common


def _positions(argnums: int | tuple[int, ...]) -> tuple[int, ...]:
    return (argnums,) if isinstance(argnums, int) else tuple(argnums)


def _as_tuple(args: Tree) -> tuple[Tree, ...]:
    return args if isinstance(args, tuple) and not hasattr(args, "_fields") else (args,)


def _hung(args: Sequence[Tree], argnums: int | tuple[int, ...], leaves: Sequence[Any]) -> Any:
    """Hang the leaves on the trees of the arguments: one tree, or a tuple for several."""
    supply = iter(leaves)
    trees = tuple(_rebuild(args[k], supply) for k in _positions(argnums))
    return trees[0] if isinstance(argnums, int) else trees


def _matching(vectors: Tree, tensors: Sequence[Any], name: str) -> list[Any]:
    """Take the leaves of the vectors, and check that each has the shape of its argument."""
    directions = [
        d if isinstance(d, Tensor) else np.asarray(d, dtype=np.float64) for d in _leaves(vectors)
    ]
    given, needed = [d.shape for d in directions], [np.shape(t) for t in tensors]
    if given != needed:
        raise ValueError(f"{name}: vectors of shapes {given} for arguments of shapes {needed}")
    return directions


def _units(result: Any, symbolic: int) -> Iterator[Any]:
    """Yield, for each element of the result, the gradient that picks it out."""
    for index in np.ndindex(np.shape(result)):
        unit = np.zeros(np.shape(result), result.dtype)
        unit[index] = 1
        yield _leaf(unit) if symbolic else unit


def _stacked(rows: list[Any], shape: tuple[int, ...], symbolic: int) -> Any:
    if not rows:
        return _leaf(np.zeros(shape)) if symbolic else np.zeros(shape)
    return np.reshape(np.stack(rows), shape)
