"""Linear algebra: inverses, solutions, determinants, Cholesky's factor."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from autonn.engine.apply import define, implements
from autonn.engine.op import Function, Memory, mixes_rows
from autonn.engine.ops.products import swap_last
from autonn.engine.ops.reductions import product_of_others
from autonn.engine.tensor import Array, Operand

inv: Function = define(
    "inv",
    np.linalg.inv,
    "Z = X^-1",
    lambda g, z, x: -np.matmul(swap_last(z), np.matmul(g, swap_last(z))),
    rows=mixes_rows,
    memory=Memory.NEW,
)


def _solve_right(g: Any, z: Any, a: Any, b: Any) -> Any:
    """Use ``A^-T G``."""
    return np.linalg.solve(swap_last(a), g)


def _solve_left(g: Any, z: Any, a: Any, b: Any) -> Any:
    """Use ``-(A^-T G) Z'``."""
    right = np.linalg.solve(swap_last(a), g)
    if b.ndim == 1:
        right, z = np.expand_dims(right, -1), np.expand_dims(z, -1)
    return -np.matmul(right, swap_last(z))


solve = define(
    "solve",
    np.linalg.solve,
    "Z = A^-1 B",
    _solve_left,
    _solve_right,
    hint="A is (..., n, n) and B (n,) or (..., n, k)",
    rows=mixes_rows,
    memory=Memory.NEW,
)


def _cofactor_forward(x: Array) -> Any:
    """Use ``X = U S V'``: the cofactors are det(U V') U S* V', S* the products of the others."""
    u, s, v = np.linalg.svd(x)
    direction = np.linalg.det(np.matmul(u, v))[..., None, None]
    return direction * np.matmul(u * product_of_others(s)[..., None, :], v)


def _cofactor_rule(g: Any, z: Any, x: Any) -> Any:
    """Use ``sum(G X^-T) Z - Z G' X^-T``, which at a singular X is an error of `inv`."""
    inverse = np.linalg.inv(x)
    total = np.sum(g * swap_last(inverse), axis=(-2, -1), keepdims=True)
    return total * z - np.matmul(z, np.matmul(swap_last(g), swap_last(inverse)))


cofactor: Function = define(
    "cofactor",
    _cofactor_forward,
    "Z = det(X) X^-T, also of singular X",
    _cofactor_rule,
    rows=mixes_rows,
    memory=Memory.NEW,
)

det = define(
    "det",
    np.linalg.det,
    "z = det X",
    lambda g, z, x: np.expand_dims(g, (-2, -1)) * cofactor(x),
    kinks="Right for singular matrices too, at first order.",
    rows=mixes_rows,
    memory=Memory.NEW,
)

_logdet = define(
    "logdet",
    lambda x: np.linalg.slogdet(x)[1],
    "z = ln |det X|",
    lambda g, z, x: np.expand_dims(g, (-2, -1)) * swap_last(np.linalg.inv(x)),
    rows=mixes_rows,
    memory=Memory.NEW,
)

_detsign = define(
    "detsign",
    lambda x: np.linalg.slogdet(x)[0],
    "z = sign of det X",
    None,
    listed=False,
    numpy=(),
    rows=mixes_rows,
    memory=Memory.NEW,
)


class SlogdetResult(NamedTuple):
    """The sign of a determinant, which has no gradient, and the logarithm of its size."""

    sign: Any
    logabsdet: Any


@implements(np.linalg.slogdet)
def slogdet(x: Operand) -> SlogdetResult:
    """Compute sign and logarithm of the determinant."""
    return SlogdetResult(_detsign(x).detach(), _logdet(x))


def _half_diagonal(x: Any) -> Any:
    """Keep the lower triangle, half of the diagonal."""
    n = x.shape[-1]
    return x * (np.tri(n, dtype=x.dtype) - np.eye(n, dtype=x.dtype) / 2)


def _cholesky_rule(g: Any, z: Any, x: Any) -> Any:
    """Use ``Z^-T H(Z' G) Z^-1``, H the lower triangle and half of the diagonal, made symmetric.

    This is equation 10 of Murray (2016), "Differentiation of the Cholesky decomposition".
    """
    inverse = np.linalg.inv(z)
    middle = _half_diagonal(np.matmul(swap_last(z), g))
    s = np.matmul(swap_last(inverse), np.matmul(middle, inverse))
    return _half_diagonal(s + swap_last(s))


cholesky = define(
    "cholesky",
    np.linalg.cholesky,
    "X = Z Z', Z lower triangular",
    _cholesky_rule,
    kinks="Only the lower triangle of X is read, so only it gets a gradient.",
    rows=mixes_rows,
    memory=Memory.NEW,
)
