"""The one table of the ops: each row says how an op is called, on what, and what it must equal.

A row's `twin` is the same function written so that it is analytic: the complex step through it
gives the slopes to the last digits, also at 1e8 and beside a kink. Where NumPy's own function is
analytic as written, it is its own twin. The gradient at a kink follows from the slopes on both
sides, by the row's convention.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import scipy
from scipy import special
from tools.oprows import (
    AWAY,
    EPS,
    EXPONENT,
    INSIDE,
    NONZERO,
    POSITIVE,
    REAL,
    SMALL,
    ZERO_OR_NOT,
    Array,
    Function,
    Random,
    Row,
    between,
    distinct,
    each,
    from_left,
    lower,
    middle,
    upper,
    whole,
)
from tools.rows_arrays import ARRAY_ROWS
from tools.rows_matrices import MATRIX_ROWS, cholesky_factor
from tools.rows_special import SPECIAL_ROWS
from tools.rows_windows import WINDOW_ROWS

import autonn
from autonn.engine import ops

# ---- twins: the same functions, analytic as written


def by_sign(x: Array, below: Function, above: Function) -> Array:
    """Evaluate each side on its own numbers, so that neither can overflow on the other's."""
    x = np.asarray(x)
    negative = x.real < 0
    left, right = below(np.where(negative, x, -1)), above(np.where(negative, 1, x))
    return np.asarray(np.where(negative, left, right))


def _sigmoid(x: Array) -> Array:
    return by_sign(x, lambda x: np.exp(x) / (1 + np.exp(x)), lambda x: 1 / (1 + np.exp(-x)))


def _bell_of_sigmoid(x: Array) -> Array:
    """Compute s(x) s(-x), which as it stands has lost digits of its slope beside 0."""
    return np.where(np.abs(x.real) > 1400, 0, np.square(0.5 / np.cosh(x / 2)))


def _softplus(x: Array) -> Array:
    return by_sign(x, lambda x: np.log1p(np.exp(x)), lambda x: x + np.log1p(np.exp(-x)))


def _absolute(x: Array) -> Array:
    return by_sign(x, lambda x: -x, lambda x: x)


def _cbrt(x: Array) -> Array:
    return by_sign(x, lambda x: -((-x) ** (1 / 3)), lambda x: x ** (1 / 3))


def _relu(x: Array) -> Array:
    return np.where(np.real(x) > 0, x, 0)


def _cdf(x: Array) -> Array:
    return np.asarray(special.ndtr(x))


def _larger(x: Array, y: Array) -> Array:
    return np.where(np.real(x) > np.real(y), x, y)


def _smaller(x: Array, y: Array) -> Array:
    return np.where(np.real(x) < np.real(y), x, y)


def _logaddexp(x: Array, y: Array) -> Array:
    first = np.real(x) > np.real(y)
    top, low = np.where(first, x, y), np.where(first, y, x)
    return np.asarray(top + np.log1p(np.exp(low - top)))


def _angle(y: Array, x: Array) -> Array:
    flat = np.abs(x.real) > np.abs(y.real)
    turned = np.where(y.real > 0, np.pi / 2, -np.pi / 2)
    behind = np.where(x.real > 0, 0, np.where(y.real >= 0, np.pi, -np.pi))
    return np.where(
        flat,
        np.arctan(y / np.where(flat, x, 1)) + behind,
        turned - np.arctan(x / np.where(flat, 1, y)),
    )


def _steps(f: Function) -> Function:
    return lambda x: f(np.real(x)) + 0j * x


def _heaviside(x: Array, y: Array) -> Array:
    return np.where(np.real(x) == 0, y, np.real(x) > 0)


def _var(x: Array, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Array:
    deviation = x - np.mean(x, axis=axis, keepdims=True)
    total = np.sum(deviation * deviation, axis=axis, keepdims=keepdims)
    return np.asarray(total / (x.size / total.size - ddof))


def _norm(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    return np.asarray(np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims)))


def _extreme(sign: int) -> Function:
    """Take the element that is largest, or smallest, along one axis or of all."""

    def pick(x: Array, axis: int | None = None) -> Array:
        x = x.reshape(-1) if axis is None else x
        at = np.expand_dims(np.argmax(sign * x.real, axis=axis or 0), axis or 0)
        return np.asarray(np.take_along_axis(x, at, axis or 0).sum(axis or 0))

    return pick


_max, _min = _extreme(1), _extreme(-1)


def _sort(x: Array, axis: int = -1) -> Array:
    return np.take_along_axis(x, np.argsort(x.real, axis, kind="stable"), axis)


def _logsumexp(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    return np.asarray(np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims)))


def _softmax(x: Array, axis: int = -1) -> Array:
    return np.asarray(np.exp(x) / np.sum(np.exp(x), axis=axis, keepdims=True))


def _log_rest(x: Array) -> Array:
    e, n = np.exp(x), x.shape[-1]
    others = np.sum(e[..., None, :] * (1 - np.eye(n, dtype=x.dtype)), axis=-1)
    return np.asarray(np.log(others / np.sum(e, axis=-1, keepdims=True)))


def _replaced(x: Array, key: Any, v: Any) -> Array:
    out = np.array(x, dtype=np.result_type(x, v))
    out[key] = v
    return out


def _added(x: Array, key: Any, v: Any) -> Array:
    out = np.array(x, dtype=np.result_type(x, v))
    np.add.at(out, key, v)
    return out


def _put(x: Array, key: Any, shape: tuple[int, ...]) -> Array:
    return _added(np.zeros(shape, x.dtype), key, x)


def _cross_entropy(a: Array, y: Array) -> Array:
    return np.asarray(-np.sum(y * np.log(a) + (1 - y) * np.log(1 - a)) / len(a))


# ---- matrices


def _matrix(n: int, *more: int) -> Callable[..., tuple[Array, ...]]:
    """Draw a matrix far from singular, and arrays of the shapes (n, more)."""

    def draw(rng: Random, tame: bool = False) -> tuple[Array, ...]:
        return (
            SMALL.draw(rng, (n, n)) / n + np.diag(rng.choice([-3.0, 3.0], n)),
            *(SMALL.draw(rng, (n, k) if k else (n,)) for k in more),
        )

    return draw


def _matrices(rng: Random, tame: bool = False) -> tuple[Array, ...]:
    return (SMALL.draw(rng, (2, 3, 3)) / 3 + 3 * np.eye(3), SMALL.draw(rng, (1, 3, 2)))


def _singular(rng: Random, tame: bool = False) -> tuple[Array, ...]:
    return (np.outer(rng.uniform(0.5, 2, 3), rng.uniform(0.5, 2, 3)) + np.diag([0, 0, 1.0]),)


def _definite(rng: Random, tame: bool = False) -> tuple[Array, ...]:
    half = SMALL.draw(rng, (3, 3)) / 2
    return (half @ half.T + 2 * np.eye(3),)


M = np.array([[True, False, True], [False, False, True]])
ROWS3 = np.array([0, 2, 2])

# ---- the table

TABLE: list[Row] = [
    # arithmetic
    each("add", np.add, REAL, REAL),
    each("subtract", np.subtract, REAL, REAL),
    each("multiply", np.multiply, REAL, REAL),
    each("divide", np.divide, REAL, AWAY),
    each("safe_multiply", ops.safe_multiply, REAL, REAL, value=np.multiply),
    each("safe_divide", ops.safe_divide, REAL, AWAY, value=np.divide),
    each("reciprocal", np.reciprocal, AWAY),
    each("negative", np.negative, REAL),
    each("positive", np.positive, REAL),
    each("power", np.power, between(0.2, 3, 0.5, 1e8), between(-3, 3, -1, 1)),
    each("power", lambda x: x**3, REAL),
    each("power", lambda x: x**1, REAL),
    each("power", lambda x: x**0, REAL),
    each("power", lambda x: x**2.0, REAL),
    each("power", lambda x: x**-2.0, AWAY),
    each("power", lambda x: x**-1.5, between(0.3, 3, EPS, 1e8, small=EPS)),
    each("power", lambda x: x**0.5, POSITIVE, exact=False),  # older NumPy takes the root
    each("power", lambda x: 2.0**x, EXPONENT),
    each("square", np.square, REAL),
    # functions of one number
    each(
        "absolute", np.absolute, REAL, twin=_absolute, distance=np.abs, convention=(middle,),
        also=(np.fabs,),
    ),
    each("absolute", np.fabs, REAL, twin=_absolute, distance=np.abs, convention=(middle,)),
    each("sqrt", np.sqrt, POSITIVE),
    each("cbrt", np.cbrt, POSITIVE, twin=_cbrt),
    each("cbrt", np.cbrt, between(-3, -0.3, -1e8, -EPS, small=EPS), twin=_cbrt),
    each("exp", np.exp, EXPONENT),
    each("exp2", np.exp2, EXPONENT),
    each("expm1", np.expm1, EXPONENT),
    each("log", np.log, POSITIVE),
    each("log2", np.log2, POSITIVE),
    each("log10", np.log10, POSITIVE),
    each("log1p", np.log1p, between(-0.7, 3, -0.5, 1e8)),
    each("sin", np.sin, REAL),
    each("cos", np.cos, REAL),
    each("tan", np.tan, between(-1.2, 1.2)),
    each("arcsin", np.arcsin, INSIDE),
    each("arccos", np.arccos, INSIDE),
    each("arctan", np.arctan, REAL),
    each("sinh", np.sinh, between(-3, 3, -1, 1)),
    each("cosh", np.cosh, between(-3, 3, -1, 1)),
    each("tanh", np.tanh, REAL),
    each(
        "tanh_slope", ops.tanh_slope, between(-9, 9, -1, 1, 300), exact=False,  # cosh overflows
        value=lambda x: 1 / np.cosh(x) ** 2, twin=lambda x: 1 / np.cosh(x) ** 2,
    ),
    each("arcsinh", np.arcsinh, REAL),
    each("arccosh", np.arccosh, between(1.2, 4, 2, 1e8)),
    each("arctanh", np.arctanh, INSIDE),
    each("erf", autonn.erf, REAL, value=special.erf, also=(special.erf,)),
    each("normal_cdf", special.ndtr, REAL),
    # steps
    *(
        each(f.__name__, f, REAL, twin=_steps(f), jumps=True)
        for f in (np.sign, np.floor, np.ceil, np.trunc, np.rint)
    ),
    each("round", np.round, REAL, twin=_steps(np.round), jumps=True, also=(np.around,)),
    each(
        "round", lambda x: np.round(x, 1), REAL, twin=_steps(lambda x: np.round(x, 1)), jumps=True
    ),
    each("heaviside", np.heaviside, REAL, REAL, twin=_heaviside, jumps=True),
    # activations
    each(
        "sigmoid", autonn.sigmoid, REAL, value=special.expit, twin=_sigmoid, also=(special.expit,)
    ),
    each(
        "times_slope", ops.times_slope, REAL, REAL, exact=False,
        value=lambda g, x: g * (special.expit(x) * special.expit(-x)),
        twin=lambda g, x: g * _bell_of_sigmoid(x),
    ),
    each(
        "sigmoid_residual", ops.sigmoid_residual, REAL, REAL, exact=False,
        value=lambda x, y: special.expit(x) - y, twin=lambda x, y: _sigmoid(x) - y,
    ),
    each(
        "log_sigmoid", autonn.log_sigmoid, REAL, value=special.log_expit,
        twin=lambda x: -_softplus(-x), also=(special.log_expit,),
    ),
    each(
        "softplus", autonn.softplus, REAL,
        value=lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))), twin=_softplus,
    ),
    each(
        "relu", autonn.relu, REAL, value=lambda x: np.maximum(x, 0), twin=_relu, distance=np.abs,
        convention=(from_left,),
    ),
    each(
        "leaky_relu", lambda x: autonn.leaky_relu(x, 0.1), REAL,
        value=lambda x: np.where(x > 0, x, 0.1 * x),
        twin=lambda x: by_sign(x, lambda x: 0.1 * x, lambda x: x), distance=np.abs,
        convention=(from_left,),
    ),
    each(
        "elu", autonn.elu, REAL, value=lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
        twin=lambda x: by_sign(x, np.expm1, lambda x: x), distance=np.abs,
        convention=(from_left,),
    ),
    each(
        "elu", lambda x: autonn.elu(x, 2.0), REAL,
        value=lambda x: np.where(x > 0, x, 2 * np.expm1(np.minimum(x, 0))),
        twin=lambda x: by_sign(x, lambda x: 2 * np.expm1(x), lambda x: x), distance=np.abs,
        convention=(from_left,),
    ),
    each(
        "silu", autonn.silu, REAL, value=lambda x: x * special.expit(x),
        twin=lambda x: x * _sigmoid(x),
    ),
    each("gelu", autonn.gelu, REAL, value=lambda x: x * special.ndtr(x)),
    # functions of two numbers
    each(
        "hypot", np.hypot, ZERO_OR_NOT, ZERO_OR_NOT,
        twin=lambda x, y: np.sqrt(x * x + y * y), distance=lambda x, y: np.hypot(x, y),
        convention=(middle, middle),
    ),
    each("arctan2", np.arctan2, AWAY, AWAY, twin=_angle),
    each("logaddexp", np.logaddexp, REAL, REAL, twin=_logaddexp),
    each(
        "copysign", np.copysign, REAL, AWAY, twin=lambda x, y: _absolute(x) * np.sign(y.real),
        distance=lambda x, y: np.abs(x), convention=(middle, middle),
    ),
    each(
        "maximum", np.maximum, REAL, REAL, twin=_larger, distance=lambda x, y: np.abs(x - y),
        convention=(middle, middle),
    ),
    each(
        "minimum", np.minimum, REAL, REAL, twin=_smaller, distance=lambda x, y: np.abs(x - y),
        convention=(middle, middle),
    ),
    each(
        "clip", np.clip, REAL, between(-2, -0.2, -1, -0.5), between(0.2, 2, 0.5, 1),
        twin=lambda x, a, b: _smaller(_larger(x, a), b),
        distance=lambda x, a, b: np.minimum(np.abs(x - a), np.abs(x - b)),
        convention=(upper, lower, lower),
    ),
    each(
        "clip", lambda x: np.clip(x, None, 0.5), REAL, twin=lambda x: _smaller(x, np.array(0.5)),
        distance=lambda x: np.abs(x - 0.5), convention=(upper,),
    ),
    each(
        "where", lambda c, x, y: np.where(np.greater(c, 0), x, y), NONZERO, REAL, REAL,
        twin=lambda c, x, y: np.where(np.real(c) > 0, x, y), also=(np.where,),
    ),
    # reductions
    whole("sum", np.sum, "mn"),
    whole("sum", lambda x: np.sum(x, axis=(0, -1)), "mnk"),
    whole("sum", lambda x: x.sum(axis=-1, keepdims=True), "mnk"),
    whole("sum", lambda x: np.add.reduce(x), "mn"),
    whole("mean", np.mean, "mn"),
    whole("mean", lambda x: x.mean(axis=(0, 2), keepdims=True), "mnk"),
    whole("mean", lambda x: np.mean(x, -2), "mnk"),
    whole("prod", np.prod, "mn"),
    whole("prod", lambda x: np.prod(x, axis=-1), "mn"),
    whole("prod", lambda x: x.prod(axis=(0, -1), keepdims=True), "mnk"),
    whole("prod", lambda x: np.multiply.reduce(x, axis=1), "mn"),
    whole("max", np.max, distinct((2, 3)), np.amax, twin=_max),
    whole("max", lambda x: x.max(axis=1), distinct((2, 3)), twin=lambda x: _max(x, 1)),
    whole(
        "max", lambda x: np.max(x, axis=-1, keepdims=True), distinct((2, 3)),
        twin=lambda x: np.expand_dims(_max(x, 1), 1),
    ),
    whole("min", np.min, distinct((2, 3)), np.amin, twin=_min),
    whole("min", lambda x: x.min(axis=(0,)), distinct((3, 2)), twin=lambda x: _min(x, 0)),
    whole("var", np.var, distinct((2, 3)), twin=_var),
    whole(
        "var", lambda x: np.var(x, axis=1, ddof=1), distinct((2, 3)),
        twin=lambda x: _var(x, 1, 1),
    ),
    whole(
        "var", lambda x: x.var(axis=(0, -1), keepdims=True), distinct((2, 3, 2)),
        twin=lambda x: _var(x, (0, -1), 0, True),
    ),
    whole("std", np.std, distinct((2, 3)), twin=lambda x: np.sqrt(_var(x))),
    whole(
        "std", lambda x: x.std(axis=-1, ddof=1, keepdims=True), distinct((2, 3)),
        twin=lambda x: np.sqrt(_var(x, 1, 1, True)),
    ),
    whole("norm", np.linalg.norm, "mn", domain=NONZERO, twin=_norm),
    whole(
        "norm", lambda x: np.linalg.norm(x, axis=1, keepdims=True), "mn", domain=NONZERO,
        twin=lambda x: _norm(x, 1, True),
    ),
    whole(
        "norm", lambda x: np.linalg.norm(x, "fro", axis=(0, 1)), "mnk", domain=NONZERO,
        twin=lambda x: _norm(x, (0, 1)),
    ),
    whole("norm", lambda x: np.linalg.norm(x, 2), "m", domain=NONZERO, twin=_norm, exact=False),
    whole(
        "norm", lambda x: np.linalg.norm(x, 3, axis=0), "mn", domain=NONZERO,
        twin=lambda x: np.sum(_absolute(x) ** 3, axis=0) ** (1 / 3), exact=False,
    ),
    whole(
        "norm", lambda x: np.linalg.norm(x, 1), distinct((2, 3), False),
        twin=lambda x: _max(np.sum(_absolute(x), axis=0)), exact=False,
    ),
    whole(
        "norm", lambda x: np.linalg.norm(x, -np.inf), distinct((2, 3), False),
        twin=lambda x: _min(np.sum(_absolute(x), axis=1)), exact=False,
    ),
    whole(
        "norm", lambda x: np.linalg.norm(x, np.inf, axis=1), distinct((2, 3)),
        twin=lambda x: _max(_absolute(x), 1), exact=False,
    ),
    whole(
        "logsumexp", autonn.logsumexp, "mn", value=special.logsumexp,
        twin=_logsumexp, exact=False,
    ),
    whole(
        "logsumexp", lambda x: autonn.logsumexp(x, axis=-1, keepdims=True), "mn",
        value=lambda x: special.logsumexp(x, axis=-1, keepdims=True),
        twin=lambda x: _logsumexp(x, -1, True), exact=False,
    ),
    whole(
        "softmax", autonn.softmax, "mn", value=lambda x: special.softmax(x, axis=-1),
        twin=_softmax, exact=False,
    ),
    whole(
        "softmax", lambda x: autonn.softmax(x, axis=0), "mn",
        value=lambda x: special.softmax(x, axis=0), twin=lambda x: _softmax(x, 0), exact=False,
    ),
    whole(
        "log_softmax", autonn.log_softmax, "mn", value=lambda x: special.log_softmax(x, axis=-1),
        twin=lambda x: np.log(_softmax(x)), exact=False,
    ),
    whole("cumsum", np.cumsum, "mn"),
    whole("cumsum", lambda x: x.cumsum(axis=-1), "mn"),
    whole("cumprod", np.cumprod, "mn"),
    whole("cumprod", lambda x: x.cumprod(axis=0), "mn"),
    whole("cumprod", lambda x: np.cumprod(x, axis=-1), "mn", domain=NONZERO),
    # products of matrices
    *(
        whole("matmul", np.matmul, shapes)
        for shapes in (
            "mn nk", "n nk", "mn n", "n n", "bmn nk", "cbmn bnk", "cmn 1nk", "bmn n", "n bnk"
        )
    ),
    *(
        whole("dot", np.dot, shapes, np.dot, exact="b" not in shapes)
        for shapes in ["mn nk", "n n", ". m", "m .", "mn n", "bmn cnk", "bmn n"]
    ),
    whole("dot", lambda x, y: x.dot(y), "mn nk"),
    whole("vdot", np.vdot, "mn mn", twin=lambda x, y: np.sum(x * y)),
    *(
        whole("inner", np.inner, shapes, exact=False)
        for shapes in ["n n", "mn kn", "mn n", ". mn", "bmn kn"]
    ),
    whole("outer", np.outer, "m n"),
    whole("outer", np.outer, "mn k"),
    whole("tensordot", np.tensordot, "bmn mnk", exact=False),
    whole(
        "tensordot", lambda x, y: np.tensordot(x, y, axes=((0, -1), (1, 0))), "mnk kmb",
        np.tensordot, exact=False,
    ),
    whole("tensordot", lambda x, y: np.tensordot(x, y, 0), "mn k", exact=False),
    *(
        whole(
            "einsum", lambda *xs, s=s: np.einsum(s, *xs), shapes, np.einsum,
            exact=False,
        )
        for s, shapes in (
            ("ij,jk->ik", "mn nk"), ("ii", "nn"), ("ii->i", "nn"), ("iij->ij", "nnm"),
            ("...j,jk->...k", "bmn nk"), ("...ij,...jk", "bmn 1nk"), ("ij->j", "mn"),
            ("ij->", "mn"), ("ij,jk,kl->il", "mn nk kb"), ("i,j", "m n"), ("ii,i", "nn n"),
            ("ba", "mn"), ("...i->...", "bmn"), ("i,i,i", "n n n"), ("ii,jj->ij", "nn mm"),
        )
    ),
    whole(
        "affine", ops.affine, "mn kn k", value=lambda x, w, b: x @ w.T + b
    ),
    whole(
        "affine", ops.affine, "bmn kn k", value=lambda x, w, b: x @ w.T + b
    ),
    whole("affine", ops.affine, "n kn k", value=lambda x, w, b: x @ w.T + b),
    # linear algebra
    whole("inv", np.linalg.inv, _matrix(3)),
    whole("inv", lambda x, _: np.linalg.inv(x), _matrices),
    whole("solve", np.linalg.solve, _matrix(3, 0)),
    whole("solve", np.linalg.solve, _matrix(2, 3)),
    whole("solve", np.linalg.solve, _matrices),
    whole("det", np.linalg.det, _matrix(3)),
    whole("det", lambda x, _: np.linalg.det(x), _matrices),
    whole(
        "cofactor", ops.cofactor, _matrix(3), twin=lambda x: np.linalg.det(x) * np.linalg.inv(x).T,
        value=lambda x: np.linalg.det(x) * np.linalg.inv(x).T, exact=False,
    ),
    whole(
        "logdet", lambda x: np.linalg.slogdet(x)[1], _matrix(3), np.linalg.slogdet,
        twin=lambda x: np.log(np.linalg.det(x) * np.sign(np.linalg.det(x.real))),

    ),
    whole("cholesky", np.linalg.cholesky, _definite, twin=cholesky_factor),
    # shapes
    whole("transpose", np.transpose, "mn"),
    whole("transpose", lambda x: x.transpose(2, 0, 1), "mnk"),
    whole("transpose", lambda x: np.transpose(x, (-1, 0, 1)), "mnk"),
    whole("transpose", lambda x: x.T, "mnk"),
    whole("reshape", lambda x: np.reshape(x, (3, -1)), "m3", np.reshape),
    whole("reshape", lambda x: x.reshape(3, 2), "23"),
    whole("ravel", np.ravel, "mn"),
    whole("ravel", lambda x: x.ravel(), "mn"),
    whole("expand_dims", lambda x: np.expand_dims(x, (0, -1)), "mn", np.expand_dims),
    whole("squeeze", np.squeeze, "m1n1"),
    whole("squeeze", lambda x: x.squeeze(axis=-1), "mn1"),
    whole("swapaxes", lambda x: np.swapaxes(x, 0, -1), "mnk", np.swapaxes),
    whole("moveaxis", lambda x: np.moveaxis(x, 0, -1), "mnk", np.moveaxis),
    whole("moveaxis", lambda x: np.moveaxis(x, (0, -1), (1, 0)), "mnk"),
    whole("broadcast_to", lambda x: np.broadcast_to(x, (2, 3, 3)), "31", np.broadcast_to),
    whole(
        "sum_to", lambda x: ops.sum_to(x, (3,)), "m3", value=lambda x: x.sum(0), exact=False
    ),
    whole(
        "sum_to", lambda x: ops.sum_to(x, (1, 3)), "mn3",
        value=lambda x: x.sum((0, 1)).reshape(1, 3), exact=False,
    ),
    whole(
        "cast", lambda x: x.astype(np.float64), "mn", twin=lambda x: x, keeps32=False
    ),
    whole("flip", np.flip, "mn"),
    whole("flip", lambda x: np.flip(x, (0, -1)), "mnk"),
    whole("roll", lambda x: np.roll(x, 1), "mn", np.roll),
    whole("roll", lambda x: np.roll(x, (1, -2), axis=(0, 1)), "mn"),
    whole("tile", lambda x: np.tile(x, (2, 1, 2)), "mn", np.tile),
    whole("tile", lambda x: np.tile(x, 2), "mn"),
    whole("repeat", lambda x: np.repeat(x, 2), "mn", np.repeat),
    whole("repeat", lambda x: x.repeat([1, 0, 2], axis=1), "m3"),
    whole("diag", np.diag, "n"),
    whole("diag", lambda x: np.diag(x, 2), "n"),
    whole("diag", lambda x: np.diag(x, -1), "mn"),
    whole("diagonal", np.diagonal, "nn"),
    whole("diagonal", lambda x: x.diagonal(1, 0, 2), "mnk"),
    whole("trace", np.trace, "nn", exact=False),
    whole("trace", lambda x: x.trace(-1), "nm", exact=False),
    whole("tril", np.tril, "mn"),
    whole("tril", lambda x: np.tril(x, -1), "bmn"),
    whole("triu", np.triu, "mn"),
    whole("triu", lambda x: np.triu(x, 1), "bmn"),
    whole("pad", lambda x: np.pad(x, 1), "mn", np.pad),
    whole("pad", lambda x: np.pad(x, ((1, 0), (2, 1)), constant_values=2.0), "mn"),
    # indexing
    whole("getitem", lambda x: x[1, ::2], "2n"),
    whole("getitem", lambda x: x[..., None, -1], "mn"),
    whole("getitem", lambda x: x[::-1], "mn"),
    whole("getitem", lambda x: x[np.array([0, 1, 1, -1])], "2n"),
    whole("getitem", lambda x: x[[1, 0], [2, 2]], "23"),
    whole("getitem", lambda x: x[M], "23"),
    whole("getitem", lambda x: x[:, [0, 0]], "mnk"),
    whole("take", lambda x: np.take(x, [0, 0, 1], axis=1), "m2", np.take),
    whole("take", lambda x: x.take([5, 0, 5]), "23"),
    whole(
        "take_along_axis", lambda x: np.take_along_axis(x, np.array([[0, 0], [1, 2]]), axis=1),
        "23", np.take_along_axis,
    ),
    whole("sort", np.sort, distinct((2, 3)), twin=_sort),
    whole("sort", lambda x: np.sort(x, axis=0), distinct((3, 2)), twin=lambda x: _sort(x, 0)),
    whole(
        "put", lambda x: ops.put(x, ROWS3, (4,)), "3", value=lambda x: _put(x, ROWS3, (4,))
    ),
    whole(
        "put", lambda x: ops.put(x, (slice(None), 1), (3, 2)), "3",
        value=lambda x: _put(x, (slice(None), 1), (3, 2)),
    ),
    whole(
        "gather", lambda x: ops.gather(x, ROWS3, key=(slice(None), ops.Slot(0))), "m3",
        value=lambda x: x[:, ROWS3],
    ),
    whole(
        "scatter", lambda x: ops.scatter(x, ROWS3, key=ops.Slot(0), shape=(4,)), "3",
        value=lambda x: _put(x, ROWS3, (4,)),
    ),
    whole("set", lambda x, v: x.at[1].set(v), "2n n", value=lambda x, v: _replaced(x, 1, v)),
    whole("set", lambda x, v: x.at[:, [2, 0]].set(v), "m3 2",
          value=lambda x, v: _replaced(x, (slice(None), [2, 0]), v)),
    whole("at.add", lambda x, v: x.at[[1, 1]].add(v), "2n n",
          value=lambda x, v: _added(x, [1, 1], v), exact=False),
    whole("at.add", lambda x, v: x.at[:, 0].add(v), "mn m",
          value=lambda x, v: _added(x, (slice(None), 0), v)),
    # joining and splitting
    whole(
        "concatenate", lambda x, y: np.concatenate([x, y, x], axis=-1), "mn mk", np.concatenate
    ),
    whole("concatenate", lambda x, y: np.concatenate((x, y), axis=None), "mn k"),
    whole("stack", lambda x, y: np.stack([x, y], axis=1), "mn mn", np.stack),
    whole("vstack", lambda x, y: np.vstack([x, y]), "n mn", np.vstack),
    whole("hstack", lambda x, y: np.hstack([x, y]), "mn mk", np.hstack),
    whole("hstack", lambda x, y: np.hstack([x, y]), "m n"),
    whole("split", lambda x: np.split(x, 2, axis=1)[1], "m2", np.split),
    whole("split", lambda x: np.split(x, [1, 2])[1], "3n"),
    whole("array_split", lambda x: np.array_split(x, 2, axis=-1)[0], "m3", np.array_split),
    # losses
    whole(
        "sigmoid_cross_entropy", ops.sigmoid_cross_entropy,
        "mn mn", domain=between(0.1, 0.9, 0, 1),
        value=lambda x, y: np.sum(
            np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))) - x * y
        ) / len(x),
        twin=lambda x, y: np.sum(_softplus(x) - x * y) / len(x), exact=False,
    ),
    whole("log_others", ops.log_others, "m3", value=_log_rest, exact=False),
    whole(
        "log_others", lambda x: ops.log_others(9 * x), "m4", value=lambda x: _log_rest(9 * x),
        exact=False,
    ),
    whole(
        "softmax_residual", ops.softmax_residual, "mn mn", exact=False,
        value=lambda x, y: _softmax(x) * np.sum(y, axis=-1, keepdims=True) - y,
    ),
    whole(
        "softmax_cross_entropy", ops.softmax_cross_entropy, "mn mn",
        value=lambda x, y: -np.sum(y * np.log(_softmax(x))) / len(x), exact=False,
    ),
    whole(
        "cross_entropy", ops.cross_entropy, "mn mn", domain=between(0.1, 0.9, 0.5, 0.5),
        value=_cross_entropy, exact=False,
    ),
    whole("sum_of_squares", ops.sum_of_squares, "mn", value=lambda x: np.sum(x * x), exact=False),
    whole(
        "sum_of_squares", ops.sum_of_squares, "mn k .", exact=False,
        value=lambda x, y, n: np.sum(x * x) + np.sum(y * y) + n * n,
    ),
    *ARRAY_ROWS,
    *MATRIX_ROWS,
    *SPECIAL_ROWS,
    *WINDOW_ROWS,
]  # fmt: skip


@cache
def rows(*names: str) -> Sequence[Row]:
    """Return the rows of these ops."""
    return tuple(row for row in TABLE if row.name in names)


# Ops whose forward, or derivative, is SciPy's own and has other values at the edges before 1.14:
# nan next to zero, a complex root of a real matrix. Newer ones are held to the table in full.
OTHER_AT_THE_EDGES: frozenset[str] = (
    frozenset({"sqrtm", "sinc", "spherical_bessel", "gammainc", "gammaincc"})
    if np.lib.NumpyVersion(scipy.__version__) < "1.14.0"
    else frozenset()
)
