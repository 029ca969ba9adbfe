"""Rows of linear algebra: decompositions, norms of matrices, functions of matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg
from tools.oprows import NONZERO, SMALL, Array, Random, Row, whole

from autonn.engine import ops


def apart(*shape: int) -> Callable[..., tuple[Array, ...]]:
    """Draw matrices whose singular values lie well apart."""

    def draw(rng: Random, tame: bool = False) -> tuple[Array, ...]:
        *lead, m, n = shape
        k = min(m, n)
        u = np.linalg.qr(rng.standard_normal((*lead, m, k)))[0]
        v = np.linalg.qr(rng.standard_normal((*lead, n, k)))[0]
        s = 0.7 + np.arange(k) + rng.uniform(0, 0.3, (*lead, k))
        return (np.matmul(u * s[..., None, :], np.swapaxes(v, -1, -2)),)

    return draw


def symmetric(rng: Random, tame: bool = False) -> tuple[Array, ...]:
    """Draw a matrix whose lower half is that of one with eigenvalues well apart."""
    q = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    w = np.array([-1.0, 0.5, 2.0]) + rng.uniform(0, 0.3, 3)
    return ((q * w) @ q.T + np.triu(rng.standard_normal((3, 3)), 1),)


def unturned(matrices: Any) -> Callable[..., tuple[Array, ...]]:
    """Draw until no pivot is near 0, where the signs of Q's columns change."""

    def draw(rng: Random, tame: bool = False) -> tuple[Array, ...]:
        while True:
            (x,) = matrices(rng)
            reflectors, tau = np.linalg.qr(x, mode="raw")
            if np.abs(np.diagonal(reflectors) * (1 - tau)).min() > 0.1:
                return (x,)

    return draw


def mild(rng: Random, tame: bool = False) -> tuple[Array, ...]:
    return (SMALL.draw(rng, (3, 3)) / 2,)


def wide(rng: Random, tame: bool = False) -> tuple[Array, ...]:
    """Draw a matrix of two rows, whose first two columns are far from dependent."""
    return (np.hstack([*apart(2, 2)(rng), rng.standard_normal((2, 1))]),)


def crosswise(rng: Random, tame: bool = False) -> tuple[Array, ...]:
    """Draw matrices that lie in the first and the last axis."""
    return (np.array(np.moveaxis(apart(3, 2, 2)(rng)[0], 0, 1)),)


def beside(matrices: Any, *shapes: tuple[int, ...]) -> Callable[..., tuple[Array, ...]]:
    def draw(rng: Random, tame: bool = False) -> tuple[Array, ...]:
        return (*matrices(rng, tame), *(SMALL.draw(rng, s) for s in shapes))

    return draw


def regular(rng: Random, tame: bool = False) -> tuple[Array, ...]:
    return (SMALL.draw(rng, (3, 3)) / 3 + np.diag([3.0, -3.0, 3.0]),)


def rooted(rng: Random, tame: bool = False) -> tuple[Array, ...]:
    return (SMALL.draw(rng, (3, 3)) / 4 + 2 * np.eye(3),)


def definite(rng: Random, tame: bool = False) -> tuple[Array, ...]:
    half = SMALL.draw(rng, (3, 3)) / 2
    return (half @ half.T + 2 * np.eye(3),)


def by_lower(x: Array) -> Array:
    """Make the symmetric matrix that a lower half stands for."""
    low = np.tril(x, -1)
    return np.asarray(np.tril(x) + low.T)


def by_upper(x: Array) -> Array:
    return by_lower(x.T)


def eigenvalues(x: Array) -> Array:
    """Correct those of the real part by one step: exact of what is infinitely close to real."""
    w, v = np.linalg.eigh(x.real)
    return np.asarray(w + 1j * np.einsum("ij,ik,kj->j", v, x.imag, v))


def singular(x: Array) -> Array:
    u, s, v = np.linalg.svd(x.real, full_matrices=False)
    return np.asarray(s + 1j * np.einsum("...ij,...ik,...jk->...j", u, x.imag, v))


def cholesky_factor(x: Array) -> Array:
    """Compute the factor column by column, without a conjugate, of the lower half."""
    z = np.zeros(x.shape, x.dtype)
    for j in range(len(x)):
        z[j, j] = np.sqrt(x[j, j] - np.sum(z[j, :j] * z[j, :j]))
        for i in range(j + 1, len(x)):
            z[i, j] = (x[i, j] - np.sum(z[i, :j] * z[j, :j])) / z[j, j]
    return z


def triangle(x: Array) -> Array:
    """Compute the R of QR by Cholesky's factor of X'X, with LAPACK's signs."""
    n = min(x.shape)
    left = x[:, :n]
    signs = np.sign(np.diagonal(np.linalg.qr(left.real)[1]))
    return np.asarray(signs[:, None] * cholesky_factor(left.T @ left).T)


def orthogonal(x: Array) -> Array:
    return np.asarray(np.linalg.solve(triangle(x).T, x[:, : min(x.shape)].T).T)


def pseudo_inverse(x: Array) -> Array:
    m, n = x.shape
    return np.asarray(np.linalg.solve(x.T @ x, x.T) if m >= n else np.linalg.solve(x @ x.T, x).T)


def powered(x: Array, n: int) -> Array:
    return np.asarray(np.linalg.matrix_power(x, n))


def exponential(x: Array) -> Array:
    """Add up the series, of a sixteenth, and square four times."""
    total, term = np.eye(len(x), dtype=x.dtype), np.eye(len(x), dtype=x.dtype)
    for k in range(1, 25):
        term = term @ x / (16 * k)
        total = total + term
    for _ in range(4):
        total = total @ total
    return np.asarray(total)


def root(x: Array) -> Array:
    """Take the root of the real part, and one step of Newton's: the rest solves Z E + E Z = X."""
    z = scipy.linalg.sqrtm(x.real).real
    return np.asarray(z + 1j * scipy.linalg.solve_sylvester(z, z, x.imag))


def _reassembled(f: Callable[[Any], Any], name: str) -> Callable[..., Any]:
    """Put a matrix together again with other singular values, or eigenvalues."""

    def svd(x: Any) -> Any:
        u, s, v = np.linalg.svd(x, full_matrices=False)
        return np.matmul(u * np.expand_dims(f(s), -2), v)

    def eigh(x: Any) -> Any:
        triangle: Any = name[-1]
        w, v = np.linalg.eigh(x, triangle)
        return np.matmul(v * np.expand_dims(f(w), -2), np.swapaxes(v, -1, -2))

    return svd if name == "svd" else eigh


def cube(s: Any) -> Any:
    return s * s * s


def _one(f: Any, k: int) -> Any:
    return lambda *xs: f(*xs)[k]


def _vecdot_of_columns(x: Any, y: Any) -> Any:
    options: Any = {"axis": 0}
    return np.vecdot(x, y, **options)


def _diagonals(x: Array, y: Array) -> Array:
    return np.asarray(scipy.linalg.block_diag(x, y))


MATRIX_ROWS: list[Row] = [
    *(
        whole(
            "singular_values", f, apart(*shape), np.linalg.svdvals, twin=singular, exact=False
        )
        for f, shape in (
            (np.linalg.svdvals, (3, 2)),
            (lambda x: np.linalg.svd(x, compute_uv=False), (2, 3)),
            (lambda x: np.linalg.svd(x, full_matrices=False).S, (2, 3, 2)),
        )
    ),
    *(
        whole(
            "svd", _reassembled(cube, "svd"), apart(*shape), np.linalg.svd, exact=False,
            twin=lambda x: np.matmul(np.matmul(x, np.swapaxes(x, -1, -2)), x),
        )
        for shape in ((3, 3), (3, 2), (2, 3), (2, 3, 2))
    ),
    whole(
        "eigh", _reassembled(cube, "eigh L"), symmetric, np.linalg.eigh, exact=False,
        twin=lambda x: powered(by_lower(x), 3),
    ),
    whole(
        "eigh", _reassembled(cube, "eigh U"), lambda rng, tame=False: (symmetric(rng)[0].T,),
        exact=False, twin=lambda x: powered(by_upper(x), 3),
    ),
    whole(
        "eigh", np.linalg.eigvalsh, symmetric, np.linalg.eigvalsh, exact=False,
        twin=lambda x: eigenvalues(by_lower(x)),
    ),
    *(
        whole("qr", _one(np.linalg.qr, 0), draw, np.linalg.qr, twin=orthogonal,
              exact=False)
        for draw in map(unturned, (apart(3, 3), apart(3, 2), wide))
    ),
    whole("qr", _one(np.linalg.qr, 1), unturned(apart(3, 2)), twin=triangle, exact=False),
    whole(
        "qr", lambda x: np.linalg.qr(x, mode="r"), unturned(wide), exact=False,
        twin=lambda x: np.hstack([triangle(x), orthogonal(x).T @ x[:, 2:]]),
    ),
    *(
        whole("pinv", np.linalg.pinv, apart(*shape), np.linalg.pinv, twin=pseudo_inverse,
              exact=False)
        for shape in ((3, 3), (3, 2), (2, 3))
    ),
    *(
        whole(
            "least_squares", ops.least_squares, beside(apart(4, 2), shape),
            value=lambda a, b: np.linalg.lstsq(a, b, rcond=None)[0].astype(a.dtype),
            twin=lambda a, b: pseudo_inverse(a) @ b, exact=False,
        )
        for shape in ((4,), (4, 3))
    ),
    whole(
        "lstsq", lambda a, b: np.linalg.lstsq(a, b)[1], beside(apart(4, 2), (4,)),
        np.linalg.lstsq, exact=False, compiles=False,
        twin=lambda a, b: np.array([np.sum((a @ (pseudo_inverse(a) @ b) - b) ** 2)]),
    ),
    *(
        whole("matrix_power", lambda x, n=n: np.linalg.matrix_power(x, n), regular,
              np.linalg.matrix_power, exact=False)
        for n in (-2, 0, 1, 3, 6)
    ),
    whole(
        "multi_dot", lambda x, y, z: np.linalg.multi_dot([x, y, z]), "n nm mk",
        np.linalg.multi_dot, exact=False,
    ),
    whole(
        "multi_dot", lambda x, y, z, w: np.linalg.multi_dot([x, y, z, w]), "mn nk k2 23",
        exact=False,
    ),
    # norms
    whole(
        "norm", lambda x: np.linalg.norm(x, 2), apart(3, 2), exact=False,
        twin=lambda x: singular(x)[0],
    ),
    whole(
        "norm", lambda x: np.linalg.norm(x, -2, axis=(0, 2), keepdims=True), crosswise,
        value=lambda x: np.linalg.norm(x, -2, axis=(0, 2), keepdims=True), exact=False,
        twin=lambda x: singular(np.moveaxis(x, 1, 0))[:, -1].reshape(1, 3, 1),
    ),
    whole(
        "norm", lambda x: np.linalg.norm(x, "nuc"), apart(2, 3), exact=False,
        twin=lambda x: singular(x).sum(),
    ),
    whole(
        "norm", lambda x: np.linalg.norm(x, 0, axis=1), "m3", domain=NONZERO,
        twin=lambda x: np.sum(x.real != 0, axis=1) + 0j,
    ),
    whole(
        "vector_norm", lambda x: np.linalg.vector_norm(x, axis=(0, 2), keepdims=True), "mnk",
        np.linalg.vector_norm, domain=NONZERO, exact=False,
        twin=lambda x: np.sqrt(np.sum(x * x, axis=(0, 2), keepdims=True)),
    ),
    whole(
        "vector_norm", lambda x: np.linalg.vector_norm(x, ord=3), "mn", domain=NONZERO,
        exact=False, twin=lambda x: np.sum(np.where(x.real < 0, -x, x) ** 3) ** (1 / 3),
    ),
    whole(
        "matrix_norm", np.linalg.matrix_norm, apart(2, 3, 2), exact=False,
        twin=lambda x: np.sqrt(np.sum(x * x, axis=(-2, -1))),
    ),
    whole(
        "cond", np.linalg.cond, apart(3, 3), exact=False,
        twin=lambda x: singular(x)[0] / singular(x)[-1],
    ),
    whole(
        "cond", lambda x: np.linalg.cond(x, "fro"), apart(3, 3), exact=False,
        twin=lambda x: np.sqrt(np.sum(x * x) * np.sum(np.linalg.inv(x) ** 2)),
    ),
    *(
        whole(name, f, "nn" if name != "matrix_transpose" else "mnk", f, exact=False)
        for name, f in (
            ("diagonal", np.linalg.diagonal), ("trace", np.linalg.trace),
            ("matrix_transpose", np.linalg.matrix_transpose),
            ("matrix_transpose", np.matrix_transpose),
        )
    ),
    *(
        whole(name, f, shapes, f, exact=False)
        for name, f, shapes in (
            ("matmul", np.linalg.matmul, "mn nk"), ("outer", np.linalg.outer, "m n"),
            ("tensordot", np.linalg.tensordot, "bmn mnk"),
        )
    ),
    whole("vecdot", np.vecdot, "mn mn", np.linalg.vecdot, exact=False,
          twin=lambda x, y: np.sum(x * y, axis=-1)),
    whole("vecdot", _vecdot_of_columns, "mn mn", exact=False,
          twin=lambda x, y: np.sum(x * y, axis=0)),
    # what is scipy.linalg's
    whole("expm", ops.expm, mild, value=scipy.linalg.expm, twin=exponential, exact=False),
    whole(
        "sqrtm", ops.sqrtm, rooted, value=lambda x: scipy.linalg.sqrtm(x).real.astype(x.dtype),
        twin=root, exact=False,
    ),
    whole(
        "solve_triangular", lambda a, b: ops.solve_triangular(a, b, lower=True),
        beside(regular, (3,)), value=lambda a, b: np.linalg.solve(np.tril(a), b), exact=False,
    ),
    whole(
        "solve_triangular", lambda a, b: ops.solve_triangular(a, b, trans=1, unit_diagonal=True),
        beside(regular, (3, 2)), exact=False,
        value=lambda a, b: np.linalg.solve((np.triu(a, 1) + np.eye(3, dtype=a.dtype)).T, b),
    ),
    whole(
        "cho_solve", lambda a, b: ops.cho_solve((a, True), b), beside(regular, (3, 2)),
        value=lambda a, b: np.linalg.solve(np.tril(a) @ np.tril(a).T, b), exact=False,
    ),
    whole(
        "cho_solve", lambda a, b: ops.cho_solve((a, False), b), beside(regular, (3,)),
        value=lambda a, b: np.linalg.solve(np.triu(a).T @ np.triu(a), b), exact=False,
    ),
    whole("block_diag", ops.block_diag, "mn kn", value=_diagonals),
    whole("block_diag", ops.block_diag, "n mn", value=_diagonals),
    whole(
        "multivariate_normal_logpdf",
        lambda c, x, m: ops.multivariate_normal_logpdf(x, m, c), beside(definite, (2, 3), (3,)),
        exact=False,
        value=lambda c, x, m: scipy.stats.multivariate_normal.logpdf(x - m, np.zeros(3), c).astype(
            c.dtype
        ),
        twin=lambda c, x, m: (
            -np.sum((x - m) * np.linalg.solve(by_lower(c), (x - m).T).T, axis=1) / 2
            - np.log(np.linalg.det(by_lower(c))) / 2 - 1.5 * np.log(2 * np.pi)
        ),
    ),
]  # fmt: skip
