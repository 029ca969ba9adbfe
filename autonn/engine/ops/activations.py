"""The bends between layers: relu and its smooth kin."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from autonn.engine.apply import define
from autonn.engine.op import Function, Memory, elementwise
from autonn.engine.ops.elementary import bell, scaled_normal_cdf
from autonn.engine.ops.probability import sigmoid, sigmoid_forward

relu = define(
    "relu",
    lambda x: np.maximum(x, 0),
    "z = max(x, 0)",
    lambda g, z, x: g * np.sign(z),  # sign keeps NaN, x > 0 would hide it
    kinks="At 0 the gradient is 0, at NaN it is NaN.",
    composite=True,
)

leaky_relu = define(
    "leaky_relu",
    lambda x, slope=0.01: np.where(np.greater(x, 0), x, np.multiply(slope, x)),
    "z = x above 0, slope x below",
    lambda g, z, x, slope=0.01: g * np.where(np.greater(x, 0), 1, slope),
    kinks="At 0 the gradient is the slope.",
    composite=True,
)

elu = define(
    "elu",
    lambda x, alpha=1.0: np.where(np.greater(x, 0), x, alpha * np.expm1(np.minimum(x, 0))),
    "z = x above 0, alpha (e^x - 1) below",
    lambda g, z, x, alpha=1.0: g * np.where(np.greater(x, 0), 1, alpha * np.exp(np.minimum(x, 0))),
    kinks="At 0 the gradient is alpha.",
    composite=True,
)


def _silu_forward(x: Any) -> Any:
    if x.dtype.kind == "c" or np.min(x, initial=0) >= -80:
        return x * sigmoid_forward(x)[0]
    return sigmoid_forward(np.maximum(x, -80))[0] * x * np.exp(np.minimum(x + 80, 0))


# Where silu' is 0, in two parts; float64 beside float32 too, which has too few digits there.
_SILU_ROOT, _SILU_REST = np.float64(-1.2784645427610737), -1.0946994183093437e-16


def _silu_slope(x: Any) -> Any:
    """Use ``s(x) (1 + x s(-x))``, and below -1/2 ``s(x) s(-x) (1 + x + e^x)``.

    With t the distance to the root r of 1 + x + e^x, that is t + e^r (e^t - 1): it cancels nothing.
    """
    x = np.clip(x, -1000, 1000)  # where it is 0 and 1 to all digits
    t = (np.minimum(x, 0) - _SILU_ROOT) - _SILU_REST
    left = t - (1 + _SILU_ROOT + _SILU_REST) * np.expm1(t)
    far = np.less(x, -0.5)
    slope = sigmoid(-x) * np.where(far, left, x) + np.where(far, 0, 1)
    return sigmoid(np.maximum(x, -80)) * slope * np.exp(np.minimum(x + 80, 0))


silu = define(
    "silu",
    lambda x: _silu_forward(np.asarray(x)),
    "z = x s(x)",
    lambda g, z, x: g * _silu_slope(x),
    rows=elementwise,
    memory=Memory.NEW,
)

_GELU_ROOT, _GELU_REST = -0.7517915246935645, 1.4956759177009883e-17  # where gelu' is 0

_GELU_LEAST = -0.12890414518515478  # gelu' at -sqrt(2), where it is least

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(9)  # on [-1, 1]; on [0, 1] with phi's factor:

_NODES, _WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / math.sqrt(8 * math.pi)

scaled_cdf: Function = define(
    "scaled_cdf",
    lambda x: 0.5 * special.erfcx(x * -math.sqrt(0.5)),
    "z = Phi(x) e^(x^2 / 2)",
    lambda g, z, x: g * (x * z + 1 / math.sqrt(2 * math.pi)),
    rows=elementwise,
    memory=Memory.NEW,
)


def _gelu_slope(x: Any) -> Any:
    """Use ``Phi(x) + x phi(x)`` below 0, of which it is the complement above.

    From -2 to 0, where that cancels, integrate (2 - u^2) phi(u) from the root or from the minimum:
    with 9 nodes Gauss' rule is exact to the last digit.
    """
    x = np.clip(x, -50, 50)  # where it is 0 and 1 to all digits
    v = np.where(np.less(x, 0), x, -x)
    tail = np.less(v, -37.66)  # from where on the bell loses digits: its root has them all
    density = np.where(tail, bell(v, c=0.25), bell(v, c=0.5))
    far = density * (scaled_cdf(v) + v / math.sqrt(2 * math.pi)) * np.where(tail, density, 1)
    low = np.less(v, -1.1)
    start = np.where(low, -math.sqrt(2), _GELU_ROOT)
    t = np.clip((v - start) - np.where(low, 0, _GELU_REST), -0.6, 0.76)
    near: Any = 0
    for node, weight in zip(_NODES.tolist(), _WEIGHTS.tolist(), strict=True):
        u = start + t * node
        near = near + weight * (2 - u * u) * np.exp(u * u / -2)
    near = np.where(low, _GELU_LEAST, 0) + t * near
    below = np.where(np.greater(v, -2), near, far)
    return np.where(np.less(x, 0), below, 1 - below)


gelu = define(
    "gelu",
    lambda x: scaled_normal_cdf(x, x),
    "z = x Phi(x), Phi the normal distribution",
    lambda g, z, x: g * _gelu_slope(x),
    rows=elementwise,
    memory=Memory.NEW,
)
