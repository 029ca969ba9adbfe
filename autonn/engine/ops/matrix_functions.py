"""What users of ``scipy.linalg`` write: functions of matrices and triangular systems.

SciPy's own take arrays alone, so these are called by their names here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg

from autonn.engine.apply import define
from autonn.engine.op import Function, Memory, mixes_rows
from autonn.engine.ops.joining import brought, concatenate
from autonn.engine.ops.products import swap_last
from autonn.engine.tensor import Array, Operand


def _beside(a: Any, e: Any) -> Any:
    """Make the matrix [[A, E], [0, A]], whose function has the derivative of A's, along E, as E."""
    zero = np.zeros(a.shape, a.dtype)
    upper, lower = np.concatenate([a, e], axis=-1), np.concatenate([zero, a], axis=-1)
    return np.concatenate([upper, lower], axis=-2)


def _derived(function: Function, g: Any, x: Any) -> Any:
    """Compute the upper right block of ``f([[X', g], [0, X']])``.

    So a function of square matrices is differentiated: its derivative is the function of a matrix
    twice as large; see Higham (2008), "Functions of Matrices", theorem 3.6.
    """
    n = x.shape[-1]
    return function(_beside(swap_last(x), g))[..., :n, n:]


def _is_rounding(part: Array, of: Array) -> bool:
    """Whether a part is no larger than roundings: SciPy 1.13 leaves 1e-17 of i in roots."""
    largest = float(np.max(np.abs(of), initial=0))
    return bool(np.max(np.abs(part), initial=0) <= 10 * np.finfo(of.dtype).eps * largest)


def _sqrtm_forward(x: Array) -> Any:
    if not np.any(x):
        return np.zeros_like(x)  # SciPy warns of it, as of all that is singular
    root = scipy.linalg.sqrtm(x)
    if x.dtype.kind == "f" and root.dtype.kind == "c" and _is_rounding(root.imag, root.real):
        root = root.real
    return root.astype(x.dtype) if root.dtype.kind == x.dtype.kind else root


expm: Function = define(
    "expm",
    lambda x: scipy.linalg.expm(x),
    "Z = e^X = I + X + X X / 2 + ...",
    lambda g, z, x: _derived(expm, g, x),
    numpy=(),
    rows=mixes_rows,
    memory=Memory.NEW,
)


def _real_sqrtm_forward(x: Array) -> Any:
    root = _sqrtm_forward(x)
    if root.dtype.kind != x.dtype.kind:
        raise ValueError(
            "sqrtm: the root is complex, as that of a matrix with negative eigenvalues; its "
            "gradient, and a compiled program of it, are of real roots only"
        )
    return root


_real_sqrtm: Function = define(
    "real_sqrtm",
    _real_sqrtm_forward,
    "Z Z = X, real",
    lambda g, z, x: _derived(_real_sqrtm, g, x),
    numpy=(),
    listed=False,
    rows=mixes_rows,
    memory=Memory.NEW,
    raises=True,
)

sqrtm: Function = define(
    "sqrtm",
    _sqrtm_forward,
    "Z Z = X",
    lambda g, z, x: _derived(sqrtm, g, x),
    numpy=(),
    kinks="Of matrices without negative eigenvalues.",
    rows=mixes_rows,
    memory=Memory.NEW,
    decompose=_real_sqrtm,  # a program's dtypes are fixed: no root may turn complex later
    raises=True,
)


def _triangular_forward(a: Array, b: Array, lower: bool = False, unit: bool = False) -> Any:
    return scipy.linalg.solve_triangular(a, b, lower=lower, unit_diagonal=unit)


def _triangular_right(
    g: Any, z: Any, a: Any, b: Any, lower: bool = False, unit: bool = False
) -> Any:
    """Use ``A^-T g``."""
    return _triangular(swap_last(a), g, lower=not lower, unit=unit)


def _triangular_left(
    g: Any, z: Any, a: Any, b: Any, lower: bool = False, unit: bool = False
) -> Any:
    """Use ``-(A^-T g) Z'``, of which the triangle is kept that was read."""
    right = _triangular(swap_last(a), g, lower=not lower, unit=unit)
    if b.ndim == 1:
        right, z = np.expand_dims(right, -1), np.expand_dims(z, -1)
    full = -np.matmul(right, swap_last(z))
    return np.tril(full, -int(unit)) if lower else np.triu(full, int(unit))


_triangular: Function = define(
    "solve_triangular",
    _triangular_forward,
    "Z = A^-1 B, A a triangle",
    _triangular_left,
    _triangular_right,
    numpy=(),
    kinks="Only the triangle of A that is read gets a gradient.",
    hint="A is (n, n) and B (n,) or (n, k)",
    rows=mixes_rows,
    memory=Memory.NEW,
    raises=True,
)


def solve_triangular(
    a: Operand, b: Operand, trans: int | str = 0, lower: bool = False, unit_diagonal: bool = False
) -> Any:
    """Solve ``A Z = B`` where A is a triangle, as `scipy.linalg.solve_triangular` does.

    >>> solve_triangular(np.array([[2.0, 0.0], [1.0, 1.0]]), np.array([2.0, 3.0]), lower=True)
    array([1., 2.])
    """
    if trans in (0, "N"):
        return _triangular(a, b, lower=lower, unit=unit_diagonal)
    return _triangular(swap_last(a), b, lower=not lower, unit=unit_diagonal)


def cho_solve(factor: tuple[Operand, bool], b: Operand) -> Any:
    """Solve ``A Z = B`` by Cholesky's factor of A, given as ``(factor, lower)``.

    >>> cho_solve((np.array([[2.0, 0.0], [0.0, 1.0]]), True), np.array([4.0, 1.0]))
    array([1., 1.])
    """
    c, lower = factor
    first = solve_triangular(c, b, trans=0 if lower else 1, lower=lower)
    return solve_triangular(c, first, trans=1 if lower else 0, lower=lower)


def block_diag(*matrices: Operand) -> Any:
    """Set matrices along the diagonal, with zeros beside them.

    >>> block_diag(np.ones((1, 2)), 3.0)
    array([[1., 1., 0.],
           [0., 0., 3.]])
    """
    blocks = [brought(m) for m in matrices]
    blocks = [b if b.ndim == 2 else np.reshape(b, (1, -1)) for b in blocks]
    width, start, rows = sum(b.shape[1] for b in blocks), 0, []
    for b in blocks:
        m, n = b.shape
        left, right = np.zeros((m, start), b.dtype), np.zeros((m, width - start - n), b.dtype)
        rows.append(concatenate([left, b, right], axis=1))
        start += n
    return concatenate(rows, axis=0)
