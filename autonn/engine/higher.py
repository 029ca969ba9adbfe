"""Higher orders: products with Jacobians and Hessians, and these matrices themselves.

All are made of the two passes: what `pull_back` returns is a graph, and can be pulled back again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from autonn.engine.backward import seed
from autonn.engine.tensor import Tensor, leaf
from autonn.engine.transforms import (
    Evaluation,
    Kind,
    Scalar,
    grad,
    hung,
    numbers,
    positions_of,
    pulled_back,
    within,
)
from autonn.engine.trees import Tree, tree_leaves, tree_unflatten

__all__ = ["hessian", "hessian_products", "hvp", "jacobian", "jvp"]


def jvp(f: Callable[..., Any], args: Tree, tangents: Tree) -> tuple[Any, Any]:
    """Return ``f(x)`` and its derivative in a direction, ``J v``.

    It is the vjp of the vjp: ``v' J`` is linear in v, and pulling back through that gives J.
    Several arguments are given as a tuple, and so are their tangents.

    >>> jvp(np.sin, 0.0, 2.0)
    (np.float64(0.0), array(2.))
    """
    args, tangents = _as_tuple(args), _as_tuple(tangents)
    at = Evaluation(f, args, range(len(args)))
    directions = _matching(tangents, at.tensors, "jvp")
    kind = at.kind
    if not kind and any(isinstance(d, Tensor) for d in directions):
        kind = Kind.TENSORS
    dummies = [_dummy(output) for output in at.outputs]
    pulled = at.pull(dummies, Kind.TENSORS)
    along = sum(np.sum(g * d) for g, d in zip(pulled, directions, strict=True))
    found: list[Any] = [np.zeros(np.shape(output)) for output in at.outputs]
    if isinstance(along, Tensor) and along.requires_grad:
        found = pulled_back([(along, seed(along, None, bool(kind)))], dummies, kind)
    return at.value(), tree_unflatten(at.result, found)


def _dummy(output: Any) -> Tensor:
    """Make the cotangent that what is pulled back is linear in."""
    dtype = output.dtype if isinstance(output, Tensor) else np.float64
    dummy = leaf(np.zeros(np.shape(output), dtype))
    dummy._tracked = True  # of complex numbers too, which gradcheck's complex step brings
    return dummy


def hvp(f: Scalar, args: Tree, vectors: Tree) -> Tree:
    """Return the Hessian times a vector, ``H v``, as the gradient of ``<df/dx, v>``.

    Several arguments are given as a tuple, and so are their vectors; then so is the result.

    >>> hvp(lambda x: np.sum(x**3), np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    array([6., 0.])
    """
    many = _as_tuple(args)
    positions = tuple(range(len(many)))
    directions = _matching(_as_tuple(vectors), tree_leaves(many), "hvp")

    def along(*inner: Any) -> Any:
        gradients = tree_leaves(grad(f, positions)(*inner))
        return sum(np.sum(g * d) for g, d in zip(gradients, directions, strict=True))

    product = grad(along, positions)(*many)
    return product if isinstance(args, tuple) else product[0]


def hessian_products(
    result: Tensor, parameters: Sequence[Tensor]
) -> Callable[[Sequence[Any]], list[Any]]:
    """Return ``v -> H v`` at the parameters as they are; one graph serves all the products.

    H is the Hessian of a single number, v and H v have one array for each parameter.
    """
    slopes = pulled_back([(result, seed(result, None, True))], parameters, Kind.TENSORS)

    def product(vectors: Sequence[Any]) -> list[Any]:
        kind = numbers()
        along = sum(np.sum(g * v) for g, v in zip(slopes, vectors, strict=True))
        tracked = isinstance(along, Tensor) and along.requires_grad  # not of a linear result
        roots = [(along, seed(along, None, bool(kind)))] if tracked else []
        return pulled_back(roots, parameters, kind)

    return product


def jacobian(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """Make the function that returns all derivatives, ``J[i, j] = df_i / dx_j``.

    Its shape is that of the output followed by that of the argument; an argument that is a list,
    tuple or dict gets one array for each of its leaves. `TypeError` where `f` returns such a tree.

    >>> jacobian(lambda x: np.sum(x) * x)(np.array([1.0, 2.0]))
    array([[4., 1.],
           [2., 5.]])
    """
    positions = positions_of(argnums)

    @functools.wraps(f)
    def derivatives(*args: Any, **kwargs: Any) -> Any:
        """Return the Jacobian at these arguments."""
        at = Evaluation(f, args, within(positions, args), kwargs)
        if isinstance(at.result, dict | list | tuple) or at.result is None:
            raise TypeError(
                f"jacobian needs a function that returns one array, not {type(at.result).__name__};"
                " join the outputs with np.concatenate, or take one at a time"
            )
        shape = np.shape(at.result)
        rows = [at.pull([unit]) for unit in _units(at.result, at.kind)]
        blocks = [
            _stacked([row[k] for row in rows], (*shape, *tensor.shape), at.kind)
            for k, tensor in enumerate(at.tensors)
        ]
        return hung(args, argnums, blocks)

    return derivatives


def hessian(f: Scalar, argnums: int = 0) -> Callable[..., Any]:
    """Make the function that returns all second derivatives by one array argument.

    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    return jacobian(grad(f, argnums), argnums)


def _as_tuple(args: Tree) -> tuple[Tree, ...]:
    return args if isinstance(args, tuple) and not hasattr(args, "_fields") else (args,)


def _matching(vectors: Tree, tensors: Sequence[Any], name: str) -> list[Any]:
    """Take the leaves of the vectors, and check that each has the shape of its argument."""
    directions = [
        d if isinstance(d, Tensor) else np.asarray(d, dtype=np.float64)
        for d in tree_leaves(vectors)
    ]
    given, needed = [d.shape for d in directions], [np.shape(t) for t in tensors]
    if given != needed:
        raise ValueError(f"{name}: vectors of shapes {given} for arguments of shapes {needed}")
    return directions


def _units(result: Any, kind: int) -> Iterator[Any]:
    """Yield, for each element of the result, the gradient that picks it out."""
    for index in np.ndindex(np.shape(result)):
        unit = np.zeros(np.shape(result), result.dtype)
        unit[index] = 1
        yield leaf(unit) if kind else unit


def _stacked(rows: list[Any], shape: tuple[int, ...], kind: int) -> Any:
    if not rows:
        return leaf(np.zeros(shape)) if kind else np.zeros(shape)
    return np.reshape(np.stack(rows), shape)
