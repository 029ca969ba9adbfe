"""The cross-entropies as one op each, where the mathematics has a name for the whole."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from autonn.engine.apply import define
from autonn.engine.op import Function, Memory, mixes_rows
from autonn.engine.ops.probability import (
    less_targets,
    log_others,
    log_softmax,
    minus_size,
    row_sum,
    sigmoid_residual,
    softmax,
    step_less,
)
from autonn.engine.ops.safe import safe_divide, safe_multiply
from autonn.engine.ops.shapes import cast
from autonn.engine.tensor import Operand


def _sum_log1p(q: Any) -> Any:
    """Compute the sum of ln(1 + q), for q in [0, 1].

    NumPy's log1p takes 2 to 6 times as long as its log, from a few hundred numbers on: so add to
    ln u, where u = 1 + q is rounded, what the rounding lost, q - (u - 1). (It should be divided by
    u; but where u is not 1, that is less than half of the last digit of ln u.)
    """
    if q.size < 500:
        return np.log1p(q).sum()
    u = 1 + q
    return (np.log(u) + (q - (u - 1))).sum()


def _cross_entropy_forward(x: Any, y: Any) -> Any:
    """Share q = e^-|x| and ``[x > 0] - y`` with the gradient: no term is negative, none cancels."""
    step, q = step_less(x, y), np.exp(minus_size(x))
    return (np.vdot(x, step) + _sum_log1p(q)) / x.shape[0], (step, q)


def _cross_entropy_rule(g: Any, z: Any, x: Any, y: Any, kept: Any) -> Any:
    """Use ``(s(x) - y) / m``."""
    residual = sigmoid_residual(x, y) if kept is None else less_targets(x, *kept)
    return g / x.shape[0] * residual


sigmoid_cross_entropy = define(
    "sigmoid_cross_entropy",
    _cross_entropy_forward,
    "J = -1/m sum [y ln s(x) + (1 - y) ln(1 - s(x))] = 1/m sum [x ([x > 0] - y) + ln(1 + e^-|x|)]",
    _cross_entropy_rule,
    lambda g, z, x, y, kept: -g / x.shape[0] * x,
    composite=True,
    residuals=True,
)


def softmax_parts(x: Any) -> tuple[Any, Any, Any]:
    """Compute ``s = x - max x``, ``e^s``, and the sum of each row's e^s but one that is 1.

    So ``sum e^s = 1 + rest`` keeps all digits of the rest, however sure the row is.
    """
    s = x - x.max(axis=-1, keepdims=True)
    e = np.exp(s)
    top = cast(np.equal(e, 1), e.dtype)
    rest = (e - top).sum(axis=-1, keepdims=True) + (top.sum(axis=-1, keepdims=True) - 1)
    return s, e, rest


def _softmax_cross_entropy_forward(x: Any, y: Any) -> Any:
    """Use ``-sum y ln p = sum y ln(1 + rest) - sum y s``: no term is negative, none cancels."""
    s, e, rest = softmax_parts(x)
    right = np.where(np.equal(y, 0), 0.0, s)  # 0 ln 0 is 0
    total = row_sum(y)
    return (np.vdot(total, np.log1p(rest)) - np.vdot(right, y)) / x.shape[0], (e, rest)


def _softmax_less_targets(y: Any, e: Any, rest: Any) -> Any:
    """Use ``p sum y - y = ((e^s sum y - y) - y rest) / (1 + rest)``, exact where e^s = y = 1."""
    return ((e * row_sum(y) - y) - y * rest) / (1 + rest)


def _softmax_residual_rule(g: Any, z: Any, x: Any, y: Any) -> Any:
    """Use ``(sum y) p (g - sum g p)``, p = softmax x."""
    p = softmax(x)
    return row_sum(y) * (p * (g - row_sum(g * p)))


softmax_residual: Function = define(
    "softmax_residual",
    lambda x, y: _softmax_less_targets(y, *softmax_parts(x)[1:]),
    "z = softmax(x) sum y - y, along the last axis",
    _softmax_residual_rule,
    lambda g, z, x, y: row_sum(g * softmax(x)) - g,
    numpy=(),
    composite=True,
)


def _softmax_cross_entropy_rule(g: Any, z: Any, x: Any, y: Any, kept: Any) -> Any:
    """Use ``(softmax(x) sum y - y) / m``."""
    residual = softmax_residual(x, y) if kept is None else _softmax_less_targets(y, *kept)
    return g / x.shape[0] * residual


softmax_cross_entropy = define(
    "softmax_cross_entropy",
    _softmax_cross_entropy_forward,
    "J = -1/m sum y ln softmax(x)",
    _softmax_cross_entropy_rule,
    lambda g, z, x, y, kept: -g / x.shape[0] * log_softmax(x),
    numpy=(),
    composite=True,
    residuals=True,
)


def softmax_each_cross_entropy(x: Operand, y: Operand) -> Any:
    """Compute ``-1/m sum [y ln a + (1 - y) ln(1 - a)]`` with a = softmax(x), from x itself."""
    return weighted_cross_entropy(log_softmax(x), log_others(x), y)


def weighted_cross_entropy(log_a: Any, log_rest: Any, y: Operand, weights: Any = None) -> Any:
    """Compute ``-1/m sum w [y ln a + (1 - y) ln(1 - a)]`` from both logarithms, 0 ln 0 = 0."""
    parts = safe_multiply(y, log_a) + safe_multiply(1 - y, log_rest)
    return np.sum(parts if weights is None else parts * weights) / -log_a.shape[0]


cross_entropy = define(
    "cross_entropy",
    lambda a, y: -np.sum(special.xlogy(y, a) + special.xlog1py(1 - y, -a)) / a.shape[0],
    "J = -1/m sum [y ln a + (1 - y) ln(1 - a)], where 0 ln 0 = 0",
    lambda g, z, a, y: g / a.shape[0] * (safe_divide(1 - y, 1 - a) - safe_divide(y, a)),
    lambda g, z, a, y: g / a.shape[0] * (np.log(1 - a) - np.log(a)),
    rows=mixes_rows,
    memory=Memory.NEW,
)
