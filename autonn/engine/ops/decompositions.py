"""Matrices taken apart: singular values, eigenvalues of symmetric ones, QR, pseudo-inverses.

An op has one result, so a decomposition is one row of numbers for each matrix, its factors laid
behind one another, and reading them apart is left to `getitem`: then what the gradients of the
factors have in common is computed once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from autonn.engine.apply import define, implements
from autonn.engine.op import Function, Memory, mixes_rows
from autonn.engine.ops.comparisons import question
from autonn.engine.ops.products import swap_last
from autonn.engine.ops.safe import safe_divide
from autonn.engine.tensor import Array, Operand, refuse_tracing, values_of

Shapes = Sequence[tuple[int, ...]]


def laid_behind(lead: tuple[int, ...], *factors: Any) -> Any:
    """Lay the factors behind one another, in one row for each matrix; `taken_apart` reads them."""
    rows = [f.reshape(*lead, math.prod(f.shape[len(lead) :])) for f in factors]
    return np.concatenate(rows, axis=-1)


def taken_apart(row: Any, shapes: Shapes) -> list[Any]:
    """Read factors of these shapes, each the last axes alone, from a row."""
    found, start = [], 0
    for shape in shapes:
        end = start + math.prod(shape)
        found.append(np.reshape(row[..., start:end], (*row.shape[:-1], *shape)))
        start = end
    return found


def _with_diagonal(x: Any) -> Any:
    """Make diagonal matrices of the vectors in the last axis."""
    return np.expand_dims(x, -1) * np.eye(x.shape[-1], dtype=x.dtype)


# ---- singular values


def _svd_shapes(shape: tuple[int, ...]) -> Shapes:
    m, n = shape[-2:]
    k = min(m, n)
    return (m, k), (k,), (k, n)


def _svd_forward(x: Any) -> Any:
    _require_finite(x, "svd")
    return laid_behind(x.shape[:-2], *np.linalg.svd(x, full_matrices=False))


def _require_finite(x: Any, name: str) -> None:
    """Refuse inf, of which LAPACK may look for U and V for ever, and NaN, which NumPy refuses."""
    if not np.isfinite(x).all():
        raise np.linalg.LinAlgError(
            f"{name}: a matrix with inf or NaN has no singular vectors; see where they come from, "
            "as `with debug():` does"
        )


def _svd_rule(g: Any, z: Any, x: Any) -> Any:
    """Compute ``U (F * (U' gU - gU' U) S + S F * (V' gV - gV' V) + diag(gs)) V'``.

    F is ``1 / (s_j^2 - s_i^2)``; what turns out of the spaces of U and V comes to that, over S.
    See Townsend (2016), "Differentiating the singular value decomposition". Equal singular values
    have no directions of their own: a gradient of zero by those stays zero.
    """
    shapes = _svd_shapes(x.shape)
    u, s, vt = taken_apart(z, shapes)
    gu, gs, gvt = taken_apart(g, shapes)
    v, gv = swap_last(vt), swap_last(gvt)
    ut = swap_last(u)
    across, down = np.expand_dims(s, -2), np.expand_dims(s, -1)
    gap = (across - down) * (across + down) + np.eye(s.shape[-1], dtype=s.dtype)
    in_u, in_v = np.matmul(ut, gu), np.matmul(vt, gv)
    turn_u = safe_divide(in_u - swap_last(in_u), gap) * across
    turn_v = down * safe_divide(in_v - swap_last(in_v), gap)
    total = np.matmul(u, np.matmul(turn_u + turn_v + _with_diagonal(gs), vt))
    if u.shape[-2] > u.shape[-1]:
        total = total + np.matmul(safe_divide(gu - np.matmul(u, in_u), across), vt)
    if v.shape[-2] > v.shape[-1]:
        out = safe_divide(gv - np.matmul(v, in_v), across)
        total = total + np.matmul(u, swap_last(out))
    return total


_svd: Function = define(
    "svd",
    _svd_forward,
    "X = U S V', the factors U, s and V' behind one another",
    _svd_rule,
    numpy=(),
    kinks="Of equal singular values only what does not depend on their directions is right.",
    rows=mixes_rows,
    memory=Memory.NEW,
    raises=True,
)

singular_values: Function = define(
    "singular_values",
    lambda x: np.linalg.svd(x, compute_uv=False),
    "s = the singular values of X, the largest first",
    lambda g, z, x: _from_values(g * np.sign(z), x),
    numpy=(np.linalg.svdvals,),
    kinks="Those that are 0 have the gradient 0.",
    rows=mixes_rows,
    memory=Memory.NEW,
    raises=True,
)


def _from_values(g: Any, x: Any) -> Any:
    """Compute ``U diag(g) V'``."""
    u, _, vt = taken_apart(_svd(x), _svd_shapes(x.shape))
    return np.matmul(u * np.expand_dims(g, -2), vt)


class SVDResult(NamedTuple):
    """The factors of a singular value decomposition."""

    U: Any
    S: Any
    Vh: Any


@implements(np.linalg.svd)
def svd(
    a: Operand, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    """Compute singular values and their directions; ``full_matrices=False`` of oblong matrices."""
    if not compute_uv:
        return singular_values(a)
    if full_matrices and a.shape[-1] != a.shape[-2]:
        raise TypeError(
            f"svd of shape {a.shape}: the directions beyond the singular values have no "
            "gradient; pass full_matrices=False"
        )
    return SVDResult(*taken_apart(_svd(a), _svd_shapes(a.shape)))


# ---- eigenvalues of symmetric matrices


def _eigh_forward(x: Any, UPLO: Any) -> Any:
    return laid_behind(x.shape[:-2], *np.linalg.eigh(x, UPLO))


def _in_triangle(g: Any, upper: bool) -> Any:
    """Give what a symmetric matrix would get to the one triangle that is read."""
    n = g.shape[-1]
    triangle = np.tri(n, dtype=g.dtype)
    both = g + swap_last(g)
    return both * ((triangle.T if upper else triangle) - np.eye(n, dtype=g.dtype) / 2)


def _eigh_rule(g: Any, z: Any, x: Any, UPLO: str) -> Any:
    """Compute ``V (F * (V' gV) + diag(gw)) V'``, symmetric, F being ``1 / (w_j - w_i)``."""
    n = x.shape[-1]
    w, v = taken_apart(z, ((n,), (n, n)))
    gw, gv = taken_apart(g, ((n,), (n, n)))
    gap = np.expand_dims(w, -2) - np.expand_dims(w, -1) + np.eye(n, dtype=w.dtype)
    inside = np.matmul(swap_last(v), gv)
    turn = safe_divide(inside - swap_last(inside), gap) / 2
    middle = turn + _with_diagonal(gw)
    full = np.matmul(v, np.matmul(middle, swap_last(v)))
    return _in_triangle(full, UPLO == "U")


_eigh: Function = define(
    "eigh",
    _eigh_forward,
    "X = V diag(w) V', the eigenvalues w and the vectors V behind one another",
    _eigh_rule,
    numpy=(),
    kinks="Only one triangle of X is read, so only it gets a gradient. Of equal eigenvalues only "
    "what does not depend on their directions is right.",
    rows=mixes_rows,
    memory=Memory.NEW,
    raises=True,
)


class EighResult(NamedTuple):
    """The eigenvalues of a symmetric matrix, in ascending order, and its eigenvectors."""

    eigenvalues: Any
    eigenvectors: Any


@implements(np.linalg.eigh)
def eigh(a: Operand, UPLO: str = "L") -> EighResult:
    """Compute the eigenvalues and eigenvectors of a symmetric matrix, of which one half is read."""
    n = a.shape[-1]
    return EighResult(*taken_apart(_eigh(a, UPLO.upper()), ((n,), (n, n))))


@implements(np.linalg.eigvalsh)
def eigvalsh(a: Operand, UPLO: str = "L") -> Any:
    """Compute the eigenvalues of a symmetric matrix, in ascending order."""
    return eigh(a, UPLO).eigenvalues


# ---- QR


def _qr_forward(x: Any) -> Any:
    return laid_behind(x.shape[:-2], *np.linalg.qr(x))


def _qr_rule(g: Any, z: Any, x: Any) -> Any:
    """Compute ``(gQ + Q M) R^-T``, M the lower half of ``R gR' - gQ' Q``, made symmetric.

    See Walter and Lehmann (2018), "Algorithmic differentiation of linear algebra functions".
    """
    m, n = x.shape[-2:]
    q, r = taken_apart(z, ((m, n), (n, n)))
    gq, gr = taken_apart(g, ((m, n), (n, n)))
    gr = np.triu(gr)
    inner = np.matmul(r, swap_last(gr)) - np.matmul(swap_last(gq), q)
    low = np.tril(inner, -1)
    middle = np.tril(inner) + swap_last(low)
    right = gq + np.matmul(q, middle)
    return swap_last(np.linalg.solve(r, swap_last(right)))


_qr: Function = define(
    "qr",
    _qr_forward,
    "X = Q R, the factors behind one another",
    _qr_rule,
    numpy=(),
    kinks="Of matrices with at least as many rows as columns, which are independent.",
    rows=mixes_rows,
    memory=Memory.NEW,
)


class QRResult(NamedTuple):
    """The factors of a QR decomposition."""

    Q: Any
    R: Any


@implements(np.linalg.qr)
def qr(a: Operand, mode: str = "reduced") -> Any:
    """Compute orthonormal columns and an upper triangle whose product is the matrix."""
    m, n = a.shape[-2:]
    if mode not in ("reduced", "r", "complete") or (mode == "complete" and m > n):
        raise TypeError(f"qr of shape {a.shape} with mode={mode!r} is not differentiable here; "
                        "use mode='reduced'")  # fmt: skip
    k = min(m, n)
    q, r = taken_apart(_qr(a[..., :k]), ((m, k), (k, k)))
    if n > k:
        r = np.concatenate([r, np.matmul(swap_last(q), a[..., k:])], axis=-1)
    return r if mode == "r" else QRResult(q, r)


# ---- pseudo-inverses


def _pinv_rule(g: Any, z: Any, x: Any, rcond: Any = None) -> Any:
    """Compute ``(I - X Z) g' Z Z' + Z' Z g' (I - Z X) - Z' g Z'``, where Z' is Z transposed.

    See Golub and Pereyra (1973), "The differentiation of pseudo-inverses".
    """
    zt, gt = swap_last(z), swap_last(g)
    left = gt - np.matmul(x, np.matmul(z, gt))
    right = gt - np.matmul(gt, np.matmul(z, x))
    turned = np.matmul(zt, np.matmul(g, zt))
    return np.matmul(left, np.matmul(z, zt)) + np.matmul(np.matmul(zt, z), right) - turned


def _pinv_forward(x: Array, rcond: Any = None) -> Array:
    _require_finite(x, "pinv")
    return np.linalg.pinv(x, rcond)


pinv_: Function = define(
    "pinv",
    _pinv_forward,
    "Z = the pseudo-inverse of X",
    _pinv_rule,
    numpy=(),
    kinks="Right as long as the rank stays what it is.",
    rows=mixes_rows,
    memory=Memory.NEW,
    raises=True,
)


@implements(np.linalg.pinv)
def pinv(a: Operand, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    """Compute the pseudo-inverse of Moore and Penrose."""
    return pinv_(a, rcond=rcond if rtol is None else rtol)


def _lstsq_forward(a: Array, b: Array, rcond: Any = None) -> Any:
    return np.linalg.lstsq(a, b, rcond=rcond)[0]


def _columns(x: Any) -> Any:
    return np.expand_dims(x, -1) if x.ndim == 1 else x


def _lstsq_left(g: Any, z: Any, a: Any, b: Any, rcond: Any = None) -> Any:
    """Use the rule of the pseudo-inverse of A, for the gradient ``g B'``."""
    inverse = pinv_(a, rcond=rcond)
    return _pinv_rule(np.matmul(_columns(g), swap_last(_columns(b))), inverse, a)


least_squares: Function = define(
    "least_squares",
    _lstsq_forward,
    "Z = the least of all that make A Z - B least",
    _lstsq_left,
    lambda g, z, a, b, rcond=None: np.matmul(swap_last(pinv_(a, rcond=rcond)), g),
    numpy=(),
    kinks="Right as long as the rank stays what it is.",
    rows=mixes_rows,
    memory=Memory.NEW,
    raises=True,
)


@implements(np.linalg.lstsq)
def lstsq(a: Operand, b: Operand, rcond: Any = None) -> tuple[Any, Any, Any, Any]:
    """Return solution, squares of the residuals, rank and singular values, as NumPy does."""
    for x in (a, b):
        refuse_tracing(x, "np.linalg.lstsq, whose rank is read, of")
    rank = np.linalg.lstsq(values_of(a), values_of(b), rcond=rcond)[2]
    solution = least_squares(a, b, rcond=rcond)
    m, n = a.shape
    rest = b - np.matmul(a, solution)
    squares = np.sum(_columns(rest) ** 2, axis=0) if rank == n and m > n else np.zeros(0)
    return solution, squares, rank, singular_values(a)


question(np.linalg.matrix_rank, rows=mixes_rows)
