"""Linear algebra: inverses, solutions, determinants, Cholesky's factor."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from autonn.engine.apply import define, implements
from autonn.engine.op import Function, Memory, mixes_rows
from autonn.engine.ops.arranging import diagonal
from autonn.engine.ops.joining import brought
from autonn.engine.ops.products import matmul, outer, swap_last, tensordot, vecdot
from autonn.engine.ops.reductions import product_of_others
from autonn.engine.refusals import no_output
from autonn.engine.tensor import Array, Operand

inv: Function = define(
    "inv",
    np.linalg.inv,
    "Z = X^-1",
    lambda g, z, x: -np.matmul(swap_last(z), np.matmul(g, swap_last(z))),
    rows=mixes_rows,
    memory=Memory.NEW,
    raises=True,
)


def _transposed_solution(g: Any, a: Any, b: Any) -> Any:
    """Solve ``A' Y = G``, Y as columns: a vector b is one, also beside a stack of matrices."""
    return np.linalg.solve(swap_last(a), np.expand_dims(g, -1) if b.ndim == 1 else g)


def _solve_right(g: Any, z: Any, a: Any, b: Any) -> Any:
    """Use ``A^-T G``."""
    right = _transposed_solution(g, a, b)
    return right[..., 0] if b.ndim == 1 else right


def _solve_left(g: Any, z: Any, a: Any, b: Any) -> Any:
    """Use ``-(A^-T G) Z'``."""
    z = np.expand_dims(z, -1) if b.ndim == 1 else z
    return -np.matmul(_transposed_solution(g, a, b), swap_last(z))


solve = define(
    "solve",
    np.linalg.solve,
    "Z = A^-1 B",
    _solve_left,
    _solve_right,
    hint="A is (..., n, n) and B (n,) or (..., n, k)",
    rows=mixes_rows,
    memory=Memory.NEW,
    raises=True,
)


def _cofactor_forward(x: Array) -> Any:
    """Use ``X = U S V'``: the cofactors are det(U V') U S* V', S* the products of the others.

    Of a matrix that is not finite they are NaN: LAPACK may look for its U and V for ever.
    """
    finite = np.isfinite(x).all(axis=(-2, -1), keepdims=True)
    u, s, v = np.linalg.svd(np.where(finite, x, 0))
    direction = np.linalg.det(np.matmul(u, v))[..., None, None]
    return np.where(
        finite, direction * np.matmul(u * product_of_others(s)[..., None, :], v), np.nan
    )


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
    raises=True,
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


_cholesky = define(
    "cholesky",
    lambda x: np.linalg.cholesky(x),
    "X = Z Z', Z lower triangular",
    _cholesky_rule,
    numpy=(),
    kinks="Only the lower triangle of X is read, so only it gets a gradient.",
    rows=mixes_rows,
    memory=Memory.NEW,
    raises=True,
)


@implements(np.linalg.cholesky)
def cholesky(a: Operand, /, *, upper: bool = False) -> Any:
    """Compute Cholesky's factor, or with `upper` its transpose, of the upper triangle."""
    return swap_last(_cholesky(swap_last(a))) if upper else _cholesky(a)


@implements(np.linalg.matrix_power)
def matrix_power(a: Operand, n: int) -> Any:
    """Multiply a matrix with itself, by squaring; a negative power is one of the inverse."""
    n = operator.index(n)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise np.linalg.LinAlgError(f"matrix_power takes square matrices, not shape {a.shape}")
    if n < 0:
        return matrix_power(inv(a), -n)
    if n == 0:
        return np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape) + 0 * a
    half = matrix_power(a, n // 2) if n > 1 else None
    square = a if half is None else np.matmul(half, half)
    return np.matmul(square, a) if n % 2 and half is not None else square


@implements(np.linalg.multi_dot)
def multi_dot(arrays: Sequence[Operand], *, out: Any = None) -> Any:
    """Multiply a row of matrices, in the order that takes the fewest multiplications."""
    if out is not None:
        raise no_output(np.linalg.multi_dot)
    xs = [brought(x) for x in arrays]
    if len(xs) < 2:
        raise ValueError(f"multi_dot of {len(xs)} matrices: it takes at least two")
    left, right = xs[0].ndim == 1, xs[-1].ndim == 1
    xs[0] = np.expand_dims(xs[0], 0) if left else xs[0]
    xs[-1] = np.expand_dims(xs[-1], -1) if right else xs[-1]
    z = _multiplied(xs, _best_cuts([x.shape[0] for x in xs] + [xs[-1].shape[1]]), 0, len(xs) - 1)
    if left and right:
        return z[0, 0]
    return z[0] if left else z[:, 0] if right else z


def _best_cuts(sizes: Sequence[int]) -> dict[tuple[int, int], int]:
    """Find, for each row of matrices, where to cut it: see "matrix chain multiplication"."""
    n = len(sizes) - 1
    cost = {(i, i): 0 for i in range(n)}
    cuts: dict[tuple[int, int], int] = {}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            costs = {
                k: cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1]
                for k in range(i, j)
            }
            cuts[i, j] = min(costs, key=costs.__getitem__)
            cost[i, j] = costs[cuts[i, j]]
    return cuts


def _multiplied(xs: Sequence[Any], cuts: dict[tuple[int, int], int], i: int, j: int) -> Any:
    if i == j:
        return xs[i]
    k = cuts[i, j]
    return np.matmul(_multiplied(xs, cuts, i, k), _multiplied(xs, cuts, k + 1, j))


# ---- the names of the array standard


@implements(np.linalg.diagonal)
def matrix_diagonal(x: Operand, /, *, offset: int = 0) -> Any:
    """Read a diagonal of the matrices in the last two axes."""
    return diagonal(x, offset, -2, -1)


@implements(np.linalg.trace)
def matrix_trace(x: Operand, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """Add up a diagonal of the matrices in the last two axes."""
    return np.sum(matrix_diagonal(x, offset=offset), axis=-1, dtype=dtype)


@implements(np.matrix_transpose, np.linalg.matrix_transpose)
def matrix_transpose(x: Operand, /) -> Any:
    """Transpose the matrices in the last two axes."""
    if np.ndim(x) < 2:
        raise ValueError(f"matrix_transpose takes at least two axes, not shape {np.shape(x)}")
    return swap_last(x)


implements(np.linalg.matmul)(matmul)
implements(np.linalg.outer)(outer)
implements(np.linalg.tensordot)(tensordot)
implements(np.linalg.vecdot)(vecdot)
