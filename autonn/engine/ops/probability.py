"""Sigmoid, softmax and their logarithms: exact where the network is sure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import special

from autonn.engine.apply import define
from autonn.engine.lineage import op_of, tensors_of
from autonn.engine.op import Function, Memory, elementwise
from autonn.engine.ops.arithmetic import BROADCAST, negative
from autonn.engine.ops.reductions import restored
from autonn.engine.ops.rowwise import Axis, spelled_axes
from autonn.engine.tensor import Array, Tensor


def sigmoid_forward(x: Any) -> tuple[Any, Any]:
    """Use ``1 / (1 + e^-x)`` where NumPy's vectorised exp is faster and cannot overflow.

    There s(-x) is kept. SciPy's `expit` takes about 4 times as long for many elements, less for a
    few hundred.
    """
    x = np.asarray(x)
    if x.dtype.kind == "c":
        return 1 / (1 + np.exp(-x)), None
    if x.size < 500 or x.dtype.kind != "f" or not x.min() >= -odds_limit(x.dtype):  # NaN neither
        z = special.expit(x)
        if np.count_nonzero(z) < z.size:  # expit is 0 from -710 on, e^x only from -746 on
            z = np.where(np.equal(z, 0), np.exp(np.minimum(x, 0)), z)
        return z, None
    e = np.negative(x)
    np.exp(e, out=e)
    z = 1 + e
    opposite = np.divide(e, z, out=e)
    return np.reciprocal(z, out=z), opposite


def _sigmoid_rule(g: Any, z: Any, x: Any, opposite: Any) -> Any:
    """Use ``g s'(x), s'(x) = s(x) s(-x)``, the latter kept or found anew."""
    if opposite is None:
        return times_slope(g, x)
    slope = z * opposite
    slope *= g
    return slope


def odds_limit(dtype: Any) -> float:
    """Return up to which x a dtype has e^x: from a little more on, e^x would overflow."""
    return {2: 11.0, 4: 88.0}.get(dtype.itemsize, 709.0)


def capped_exp(x: Any, out: Any = None) -> Any:
    """Compute e^x where some x may lie beyond the limit, and are taken for that."""
    return np.exp(np.minimum(x, odds_limit(np.asarray(x).dtype)), out=out)


def far_divide(x: Any) -> Callable[..., Any]:
    """Return what divides n by 1 + e^x where some x may lie beyond the limit."""
    far = np.greater(x, odds_limit(np.asarray(x).dtype))
    small = np.exp(-np.maximum(x, 0))

    def divide(n: Any, u: Any, out: Any = None) -> Any:
        exact = n * small  # before the division, whose result may lie where n does
        z = np.divide(n, u, out=out)
        if out is None:
            return np.where(far, exact, z)
        np.copyto(out, exact, where=far)
        return out

    return divide


# Programs look first whether there is one beyond, see `autonn/compiler/emit_faster.py`.
odds: Function = define(
    "odds",
    capped_exp,
    "z = e^x, held where it would overflow",
    None,
    listed=False,
    numpy=(),
    pointwise=True,
)

over_odds: Function = define(
    "over_odds",
    lambda n, u, x, out=None: far_divide(x)(n, u, out=out),
    "z = n / u of u = 1 + e^x, n e^-x where e^x is held",
    None,
    None,
    None,
    listed=False,
    numpy=(),
    pointwise=True,
)


def _without_minus(x: Any) -> tuple[Any, bool]:
    """Return y and True of x = -y, so that both sides of a sigmoid share e^y; else x and False."""
    turned = isinstance(x, Tensor) and op_of(x) is negative.op
    return (tensors_of(x)[0] if turned else x), turned


def _sigmoid_parts(x: Any) -> Any:
    """Use ``e^x / (1 + e^x)``; of -x ``1 / (1 + e^x)``."""
    x, turned = _without_minus(x)
    e = odds(x)
    return over_odds(1, 1 + e, x) if turned else e / (1 + e)


def _times_slope_parts(g: Any, x: Any) -> Any:
    """Use ``g s(x) / (1 + e^x)``; the slope of -x is that of x."""
    x, _ = _without_minus(x)
    e = odds(x)
    return g * over_odds(e / (1 + e), 1 + e, x)


sigmoid: Function = define(
    "sigmoid",
    sigmoid_forward,
    "z = s(x) = 1 / (1 + e^-x)",
    _sigmoid_rule,
    numpy=(special.expit,),
    keeps_input=True,
    residuals=True,
    decompose=_sigmoid_parts,
    rows=elementwise,
    memory=Memory.NEW,
    example="""
>>> sigmoid(np.array([-1000.0, 0.0, 2.0]))
array([0.        , 0.5       , 0.88079708])
""",
)


def _times_slope_forward(g: Any, x: Any) -> Any:
    """Compute ``g q / (1 + q)^2`` in two arrays, as many as it needs."""
    if x.dtype.kind == "c":
        z = sigmoid(x)
        return g * (z * (1 - z))
    q = np.exp(-np.absolute(x))
    square = 1 + q
    square *= square
    q /= square
    return g * q


times_slope: Function = define(
    "times_slope",
    lambda g, x: _times_slope_forward(g, np.asarray(x)),
    "z = g s'(x), s'(x) = s(x) s(-x) = q / (1 + q)^2 with q = e^-|x|",
    lambda c, z, g, x: times_slope(c, x),
    lambda c, z, g, x: times_slope(-c * g, x) * np.tanh(x / 2),
    decompose=_times_slope_parts,
    rows=elementwise,
    memory=Memory.NEW,
)


def step_less(x: Any, y: Any) -> Any:
    """Compute ``[x > 0] - y`` as ``(1/2 - y) +- 1/2``: exact for y = 0 and 1, also beside -0."""
    return (0.5 - y) + np.copysign(0.5, x)


def less_targets(x: Any, step: Any, q: Any) -> Any:
    """Use ``s(x) - y = [x > 0] - y -+ q / (1 + q)``."""
    return step - np.copysign(q / (1 + q), x)


def minus_size(x: Any) -> Any:
    """Compute -|x|: of a few numbers in one call, of more in two that are vectorised."""
    return np.copysign(x, -1.0) if np.size(x) < 1000 else -np.absolute(x)


sigmoid_residual: Function = define(
    "sigmoid_residual",
    lambda x, y: less_targets(x, step_less(x, y), np.exp(minus_size(x))),
    "z = s(x) - y, which cancels no digits for y = 0 nor for y = 1",
    lambda g, z, x, y: times_slope(g, x),
    lambda g, z, x, y: -g,
    composite=True,
)

log_sigmoid: Function = define(
    "log_sigmoid",
    special.log_expit,
    "z = ln s(x)",
    lambda g, z, x: g * sigmoid(-x),
    decompose=lambda x: -softplus(-x),
    example="""
>>> log_sigmoid(np.array([-1000.0, 0.0]))
array([-1.00000000e+03, -6.93147181e-01])
""",
)

softplus: Function = define(
    "softplus",
    lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.absolute(x))),
    "z = ln(1 + e^x)",
    lambda g, z, x: g * sigmoid(x),
    composite=True,
    example="""
>>> softplus(np.array([-1.0, 0.0, 1000.0]))
array([3.13261688e-01, 6.93147181e-01, 1.00000000e+03])
""",
)


def finite_or_zero(x: Any) -> Any:
    """Return ``x`` where it is finite, and 0 elsewhere."""
    return np.where(np.isfinite(x), x, 0)


def _logsumexp_forward(x: Array, axis: Axis = None, keepdims: bool = False) -> Any:
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):  # the logarithm of 0 is the answer where all are -inf
        z = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return z if keepdims else np.squeeze(z, spelled_axes(axis, x.ndim))


logsumexp = define(
    "logsumexp",
    lambda x, axis=None, *, keepdims=False: _logsumexp_forward(np.asarray(x), axis, keepdims),
    "z = ln sum e^x over axis",
    lambda g, z, x, axis=None, keepdims=False: (
        restored(g, axis, keepdims) * np.exp(x - finite_or_zero(restored(z, axis, keepdims)))
    ),
    numpy=(),
    decompose=lambda x, axis=None, *, keepdims=False: _logsumexp_forward(x, axis, keepdims),
    kinks="Where all x are -inf, so is z, and the gradient is 0.",
    example="""
>>> logsumexp(np.array([[1.0, 1.0], [0.0, 1000.0]]), axis=1)
array([   1.69314718, 1000.        ])
""",
)


def _softmax_forward(x: Array, axis: Any) -> Any:
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    e /= np.sum(e, axis=axis, keepdims=True)
    return e


softmax = define(
    "softmax",
    lambda x, axis=-1: _softmax_forward(np.asarray(x), axis),
    "z = e^x / sum e^x along axis",
    lambda g, z, x, axis=-1: z * (g - np.sum(g * z, axis=axis, keepdims=True)),
    keeps_input=True,
    decompose=lambda x, axis=-1: _softmax_forward(x, axis),
    example="""
>>> softmax(np.array([[1.0, 1.0], [0.0, 1000.0]]), axis=1)
array([[0.5, 0.5],
       [0. , 1. ]])
""",
)


def _log_softmax_forward(x: Array, axis: Any) -> Any:
    """Subtract the largest x first: after the sum, its rounding would be that of the result."""
    top = np.max(x, axis=axis, keepdims=True)
    x = x - np.where(np.isfinite(top), top, 0)
    return x - _logsumexp_forward(x, axis, True)


log_softmax = define(
    "log_softmax",
    lambda x, axis=-1: _log_softmax_forward(np.asarray(x), axis),
    "z = x - ln sum e^x along axis",
    lambda g, z, x, axis=-1: g - np.exp(z) * np.sum(g, axis=axis, keepdims=True),
    decompose=lambda x, axis=-1: _log_softmax_forward(x, axis),
    example="""
>>> log_softmax(np.array([[1.0, 1.0], [0.0, 1000.0]]), axis=1)
array([[-6.93147181e-01, -6.93147181e-01],
       [-1.00000000e+03,  0.00000000e+00]])
""",
)


def _log_rest_forward(x: Array) -> Any:
    """Use ``ln(1 - p)`` up to p = 1/2; beyond, where it cancels, the others' own sum."""
    log_p = _log_softmax_forward(x, -1)
    most = np.greater(log_p, -math.log(2))
    rest = _logsumexp_forward(np.where(most, -np.inf, log_p), -1, True)
    return np.where(most, rest, np.log1p(-np.exp(np.where(most, -np.inf, log_p))))


def _log_rest_rule(g: Any, z: Any, x: Any) -> Any:
    """Use ``p_j (sum_(k != j) g_k / (1 - p_k) - sum g)``, p = softmax x.

    A p over 1/2 may leave nothing of 1 - p, nor of the p_j that it divides: ln p_j - z_k is exact.
    """
    p = softmax(x)
    most = np.greater(p, 0.5)
    shares = np.where(most, 0, g * np.exp(-np.where(most, 0, z)))
    small = p * (row_sum(shares) - shares - row_sum(g))
    far = np.where(most, 0, log_softmax(x) - row_sum(np.where(most, z, 0)))
    return small + np.where(most, 0, row_sum(np.where(most, g, 0)) * np.exp(far))


def _softmax_share(z: Any, x: Any, y: Any) -> Any:
    """Compute ``s(x - y) = (1 + tanh((x - y) / 2)) / 2``; of -inf it is 0, beside -inf too."""
    least = np.finfo(z.dtype).min
    return 0.5 + 0.5 * np.tanh(x / 2 - np.maximum(y, least) / 2)


logaddexp = define(
    "logaddexp",
    np.logaddexp,
    "z = ln(e^x + e^y)",
    lambda g, z, x, y: g * _softmax_share(z, x, y),
    lambda g, z, x, y: g * _softmax_share(z, y, x),
    kinks="At (-inf, -inf) both gradients are 0.",
    hint=BROADCAST,
)


def row_sum(x: Any) -> Any:
    """Compute ``sum x`` over the last axis, which stays."""
    return np.sum(x, axis=-1, keepdims=True)


def _stays_in_rows(call: Any, axes: Sequence[int | None]) -> int | None:
    """Say that rows are taken one by one, along the last axis."""
    return None if axes[0] == call.ndim - 1 else axes[0]


log_others: Function = define(
    "log_others",
    lambda x: _log_rest_forward(np.asarray(x)),
    "z_k = ln(1 - softmax(x)_k) = ln sum of the other e^x_j - ln sum e^x_j, along the last axis",
    _log_rest_rule,
    numpy=(),
    kinks="Of a single x it is -inf, with gradient 0.",
    rows=_stays_in_rows,
    memory=Memory.NEW,
)
