"""Functions of functions: what turns a function into its gradient, its products and its matrices.

They take functions of arrays, or of trees of them, and return functions of the same arguments.
Arrays give arrays and Tensors give Tensors; so does a function that reads tracked Tensors beside
its arguments, as a loss made of a derivative by the inputs does: the weights keep their gradient.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, cast

import numpy as np

from autonn.engine import ops
from autonn.engine.backward import backpropagate, pull_back, seed
from autonn.engine.lineage import age_of, sources_since
from autonn.engine.modes import depth, enable_grad, is_recording, is_tracing, stepping, transforming
from autonn.engine.op import NotDifferentiableError
from autonn.engine.row_gradients import Wanted
from autonn.engine.tensor import Tensor, leaf
from autonn.engine.trees import Tree, tree_leaves, tree_unflatten

__all__ = [
    "Evaluation",
    "Kind",
    "grad",
    "gradients",
    "hung",
    "numbers",
    "positions_of",
    "pulled_back",
    "stop_gradient",
    "value_and_grad",
    "value_of",
    "vjp",
    "within",
]

Scalar = Callable[..., Any]  # a function that returns a single number


class Kind(IntEnum):
    """What a transform returns: arrays, Tensors by themselves, or Tensors with their graph.

    Those by themselves stand for arrays while `compile` traces, too.
    """

    ARRAYS = 0
    ALONE = 1
    TENSORS = 2


class Evaluation:
    """A function evaluated on arguments that were lifted to Tensors, ready to be pulled back.

    Attributes
    ----------
    tensors
        The lifted leaves of the arguments, by which to differentiate.
    result
        What the function returned, a tree; `outputs` are its leaves.
    kind
        What the transform has to return.
    """

    def __init__(
        self,
        f: Callable[..., Any],
        args: Sequence[Any],
        positions: Sequence[int],
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        leaves = [leaf for k in positions for leaf in tree_leaves(args[k])]
        start = age_of(leaf(np.zeros(())))
        self.kind = self._kind_of(leaves)
        self.tensors = [_lift(leaf) for leaf in leaves]
        supply = iter(self.tensors)
        full = list(args)
        for k in positions:
            full[k] = tree_unflatten(args[k], supply)
        with _one_deeper(), enable_grad():
            self.result = _called(f, full, kwargs or {})
        self.outputs = tree_leaves(self.result)
        if self.kind is not Kind.TENSORS and _reads_tracked(self.outputs, start):
            self.kind = Kind.TENSORS

    @staticmethod
    def _kind_of(leaves: Sequence[Any]) -> Kind:
        """Tell what the transform returns: what its arguments are."""
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        if transforming() > 0 or any(t.requires_grad for t in tensors):
            return Kind.TENSORS
        return Kind.ALONE if tensors or is_tracing() else Kind.ARRAYS

    def value(self) -> Tree:
        """Return what the function returned, as the transform returns it."""
        return tree_unflatten(self.result, (_value(a, self.kind) for a in self.outputs))

    def pull(self, gradients: Sequence[Any], kind: Kind | None = None) -> list[Any]:
        """Pull one gradient for each output back to the lifted leaves."""
        roots = [
            (output, seed(output, g, bool(self.kind if kind is None else kind)))
            for output, g in zip(self.outputs, gradients, strict=True)
            if isinstance(output, Tensor) and output.requires_grad
        ]
        return pulled_back(roots, self.tensors, self.kind if kind is None else kind)


def _called(f: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Call a function; say what a gradient was lost to where NumPy says something else.

    Of ``out[i] = x`` it says "setting an array element with a sequence", whatever the cause.
    """
    try:
        return f(*args, **kwargs)
    except ValueError as error:
        cause = error.__cause__
        if isinstance(cause, NotDifferentiableError):
            raise cause.with_traceback(error.__traceback__) from None
        raise


def _reads_tracked(outputs: Sequence[Any], start: int) -> bool:
    """Whether what was computed depends on tracked Tensors that the caller had before.

    Under `no_grad` nobody asks for their gradients.
    """
    if not is_recording():
        return False
    tracked = (t for t in outputs if isinstance(t, Tensor) and t.requires_grad)
    return any(age_of(s) < start for t in tracked for s in sources_since(t, start))


@contextmanager
def _one_deeper() -> Iterator[None]:
    """Let what is evaluated know that it is being differentiated.

    An inner transform gives Tensors then, so that the outer one can differentiate what it
    computed, and a Tensor does not become a Python number.
    """
    token = depth.set(depth.get() + 1)
    try:
        yield
    finally:
        depth.reset(token)


def _lift(x: Any) -> Tensor:
    """Make a tensor to differentiate with respect to: a new leaf, or a node on the caller's graph.

    Nothing is copied: the graph lives no longer than the call.
    """
    if isinstance(x, Tensor) and (x.requires_grad or is_tracing()):
        node = cast(Tensor, ops.positive(x))
        node.requires_grad = True
        return node
    lifted = leaf(x._data if isinstance(x, Tensor) else Tensor(x, copy=False)._data)
    if lifted.dtype.kind == "c" and stepping.get():
        lifted._tracked = True
    elif lifted.dtype.kind == "c":
        raise NotDifferentiableError(
            "complex numbers have no gradient here; differentiate by their real and imaginary "
            "parts, as two real arguments"
        )
    else:
        lifted.requires_grad = True
    return lifted


def pulled_back(
    roots: Sequence[tuple[Tensor, Any]], wanted: Sequence[Tensor], kind: int, beyond: bool = True
) -> list[Any]:
    """Pull gradients back to the wanted tensors; what the roots do not depend on gets zeros."""
    with enable_grad():
        if kind:
            ends = pull_back(list(roots), wanted, beyond=beyond)
        else:
            ends = backpropagate(list(roots), retain=True, wanted=wanted, beyond=beyond)
    reached = {age_of(tensor): gradient for tensor, gradient in ends}
    return [_own(reached.get(age_of(w)), w, kind) for w in wanted]


def _own(gradient: Any, tensor: Tensor, kind: int) -> Any:
    """Make a gradient the caller's own; zeros where there is none."""
    if gradient is None:
        gradient = np.zeros(tensor.shape, tensor.dtype)
        return leaf(gradient) if kind else gradient
    if kind == Kind.ALONE:
        return gradient.detach() if isinstance(gradient, Tensor) else leaf(gradient)
    return gradient if kind else np.array(gradient, order="C")


def _value(output: Any, kind: int) -> Any:
    if not isinstance(output, Tensor) or kind == Kind.TENSORS:
        return output
    return output.detach() if kind else output._data[()]


def _scalar(result: Any, name: str) -> Any:
    """Check that a function returned one number, which alone has a gradient."""
    if isinstance(result, dict | list | tuple) or result is None:
        raise TypeError(
            f"{name} needs a function that returns a single number, not {type(result).__name__}; "
            "return the cost alone, or (cost, other) with has_aux=True"
        )
    if np.ndim(result) != 0 and np.size(result) != 1:
        raise RuntimeError(
            f"{name} needs a function that returns a single number, not shape {np.shape(result)}; "
            "sum or average it, or use jacobian"
        )
    return result


def positions_of(argnums: int | tuple[int, ...]) -> tuple[int, ...]:
    """List the positions to differentiate by, each once."""
    given = argnums if isinstance(argnums, tuple | list) else (argnums,)
    positions = tuple(operator.index(k) for k in given)
    if len(set(positions)) < len(positions):
        raise ValueError(f"argnums={argnums} names an argument twice; name each once")
    return positions


def within(positions: Sequence[int], args: Sequence[Any]) -> tuple[int, ...]:
    """Count positions from the front; `ValueError` where there is no such argument."""
    for k in positions:
        if not -len(args) <= k < len(args):
            raise ValueError(
                f"argnums names argument {k} of a call with {len(args)} by position; "
                "give what is differentiated by position"
            )
    return tuple(k % len(args) for k in positions)


def hung(args: Sequence[Tree], argnums: int | tuple[int, ...], leaves: Sequence[Any]) -> Any:
    """Hang the leaves on the trees of the arguments: one tree, or a tuple for several."""
    supply = iter(leaves)
    trees = tuple(tree_unflatten(args[k], supply) for k in within(positions_of(argnums), args))
    return trees if isinstance(argnums, tuple | list) else trees[0]


def value_and_grad(
    f: Scalar, argnums: int | tuple[int, ...] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Make the function that returns ``(f(x), df/dx)``.

    Parameters
    ----------
    f
        A function of arrays, or of lists, tuples and dicts of them, that returns one number.
    argnums
        Which argument to differentiate by; a tuple of positions gives a tuple of gradients.
    has_aux
        Whether `f` returns ``(number, other)``, of which the number is differentiated: then the
        value is that pair.

    Returns
    -------
    A function of the same arguments. The gradient has the form of the argument; arrays give
    arrays, Tensors give Tensors. Where `f` reads Tensors that require gradients beside its
    arguments, as the parameters of a model, the results are Tensors that lead to them; arrays
    within `no_grad`.

    Raises
    ------
    RuntimeError
        When called, if `f` returns more than a single number.
    TypeError
        When called with integers, which have no gradient; if `f` returns a tuple or a dict.
    ValueError
        For an argument named twice, or one that was not given.

    Examples
    --------
    >>> value_and_grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
    (np.float64(5.0), array([2., 4.]))
    """
    positions = positions_of(argnums)

    @functools.wraps(f)
    def both(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """Return the value and the gradient at these arguments."""
        at = Evaluation(f, args, within(positions, args), kwargs)
        cost = _cost_of(at.result, has_aux)
        roots = []
        if isinstance(cost, Tensor) and cost.requires_grad:
            roots = [(cost, seed(cost, None, bool(at.kind)))]
        found = pulled_back(roots, at.tensors, at.kind)
        return at.value(), hung(args, argnums, found)

    return both


def _cost_of(result: Any, has_aux: bool) -> Any:
    """Return the number of what a function returned, which is it, or the first of a pair."""
    if not has_aux:
        return _scalar(result, "grad")
    if not (isinstance(result, tuple) and len(result) == 2):
        raise TypeError(
            f"has_aux=True needs a function that returns (number, other), not {type(result)}"
        )
    return _scalar(result[0], "grad")


def grad(
    f: Scalar, argnums: int | tuple[int, ...] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Make the function that returns ``df/dx``, as `value_and_grad` without the value.

    With ``has_aux=True`` it returns ``(df/dx, other)``.

    >>> grad(grad(lambda x: x**3))(2.0)
    array(12.)
    """
    both = value_and_grad(f, argnums, has_aux)

    @functools.wraps(f)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, found = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient


def gradients(
    result: Tensor, parameters: Sequence[Tensor], *, by_rows: bool = False,
    create_graph: bool = False,
) -> list[Any]:  # fmt: skip
    """Return ``d result / d p`` for each parameter, and leave their ``.grad`` alone.

    `result` is a single number. Its graph is kept; a parameter that it does not depend on gets
    zeros. In a compiled function this gives what a training step needs. They are arrays; with
    ``create_graph=True`` they are Tensors, which can be differentiated again. `RuntimeError` if
    nothing behind the result requires a gradient.

    With `by_rows`, the gradient of a table of which few rows were looked up, as by an `Embedding`,
    is a `RowGradient` of those; optimisers take it as it is.

    >>> w = Tensor([1.0, 2.0], requires_grad=True)
    >>> gradients(np.sum(w * w), [w])
    [array([2., 4.])]
    >>> (slope,) = gradients(np.sum(w**3), [w], create_graph=True)
    >>> gradients(np.sum(slope), [w])
    [array([ 6., 12.])]
    >>> table = Tensor(np.ones((3000, 2)), requires_grad=True)
    >>> gradients(np.sum(table[[7, 9]]), [table], by_rows=True)
    [RowGradient(rows=array([7, 9]), values=array([[1., 1.],
           [1., 1.]]))]
    """
    if not isinstance(result, Tensor) or not result.requires_grad:
        raise RuntimeError(
            "gradients() of a result that nothing with requires_grad=True led to; what gradients() "
            "returns is such a result too: for second derivatives write create_graph=True, or "
            "grad(grad(f))"
        )
    if create_graph and by_rows:
        raise ValueError(
            "gradients: rows of a table have no graph; leave by_rows out, or create_graph"
        )
    kind = Kind.TENSORS if create_graph else numbers()
    roots = [(result, seed(result, None, bool(kind)))]
    if not by_rows:
        return pulled_back(roots, parameters, kind)
    wanted = Wanted(result, parameters)
    return wanted.gradients(pulled_back(roots, wanted.tensors(), kind))


def numbers() -> Kind:
    """Say what stands for arrays at present."""
    return Kind.ALONE if is_tracing() else Kind.ARRAYS


def value_of(output: Tensor) -> Any:
    """Return the numbers of a Tensor without its graph, or what stands for them at present.

    >>> value_of(Tensor(2.0, requires_grad=True))
    np.float64(2.0)
    """
    return _value(output, numbers())


def vjp(f: Callable[..., Any], *args: Tree) -> tuple[Any, Callable[[Any], tuple[Tree, ...]]]:
    """Return ``f(x)`` and the function that pulls a gradient back, ``v -> v' J``.

    The pullback may be called any number of times; it returns one gradient for each argument.
    Where `f` returns a tuple, list or dict, it takes gradients of the same form.

    >>> value, pullback = vjp(lambda x, y: x * y, np.array([1.0, 2.0]), 3.0)
    >>> pullback(np.array([1.0, 10.0]))
    (array([ 3., 30.]), array(21.))
    """
    args = tree_unflatten(args, map(_own_copy, tree_leaves(args)))  # the pullback outlives the call
    positions = tuple(range(len(args)))
    at = Evaluation(f, args, positions)

    def pullback(gradient: Any) -> tuple[Tree, ...]:
        """Pull a gradient of the outputs back to the arguments."""
        given = _of_form(gradient, at.result)
        kind = at.kind
        if not kind and any(isinstance(g, Tensor) for g in given):
            kind = Kind.TENSORS
        trees: tuple[Tree, ...] = hung(args, positions, at.pull(given, kind))
        return trees

    return at.value(), pullback


def _own_copy(x: Any) -> Any:
    return np.array(x) if isinstance(x, np.ndarray) else x


def _of_form(gradient: Tree, result: Tree) -> list[Any]:
    """List the gradients for the outputs, and check that there is one for each."""
    given, outputs = tree_leaves(gradient), tree_leaves(result)
    if len(given) != len(outputs):
        raise ValueError(
            f"the pullback was given {len(given)} gradients for {len(outputs)} outputs; give them "
            "in the form of the result"
        )
    return given


def stop_gradient(x: Tree) -> Tree:
    """Return the same values, through which no gradient passes.

    >>> grad(lambda x: x * stop_gradient(x))(3.0)
    array(3.)
    """
    leaves = (x.detach() if isinstance(x, Tensor) else x for x in tree_leaves(x))
    return tree_unflatten(x, leaves)
