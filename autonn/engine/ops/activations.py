"""The bends between layers: relu and its smooth kin."""

from __future__ import annotations

import numpy as np

from autonn.engine.apply import define
from autonn.engine.ops.elementary import normal_cdf, normal_density
from autonn.engine.ops.probability import sigmoid

relu = define(
    "relu",
    lambda x: np.maximum(x, 0),
    "z = max(x, 0)",
    lambda g, z, x: g * np.sign(z),  # sign keeps NaN, x > 0 would hide it
    kinks="At 0 the gradient is 0, at NaN it is NaN.",
    composite=True,
    example="""
>>> x = Tensor([-1.0, 0.0, 2.0], requires_grad=True)
>>> relu(x)
Tensor([0., 0., 2.], requires_grad=True)
>>> np.sum(relu(x)).backward()
>>> x.grad
array([0., 0., 1.])
""",
)

leaky_relu = define(
    "leaky_relu",
    lambda x, slope=0.01: np.where(np.greater(x, 0), x, np.multiply(slope, x)),
    "z = x above 0, slope x below",
    lambda g, z, x, slope=0.01: g * np.where(np.greater(x, 0), 1, slope),
    kinks="At 0 the gradient is the slope.",
    composite=True,
    example="""
>>> leaky_relu(np.array([-1.0, 2.0]), slope=0.1)
array([-0.1,  2. ])
""",
)

elu = define(
    "elu",
    lambda x, alpha=1.0: np.where(np.greater(x, 0), x, alpha * np.expm1(np.minimum(x, 0))),
    "z = x above 0, alpha (e^x - 1) below",
    lambda g, z, x, alpha=1.0: g * np.where(np.greater(x, 0), 1, alpha * np.exp(np.minimum(x, 0))),
    kinks="At 0 the gradient is alpha.",
    composite=True,
    example="""
>>> elu(np.array([-1.0, 2.0]), alpha=0.5)
array([-0.31606028,  2.        ])
""",
)


silu = define(
    "silu",
    lambda x: x * sigmoid(x),
    "z = x s(x)",
    lambda g, z, x: g * (sigmoid(x) * (1 + np.clip(x, -1000, 1000) * sigmoid(-x))),
    composite=True,
    example="""
>>> silu(np.array([-1.0, 0.0, 2.0]))
array([-0.26894142,  0.        ,  1.76159416])
""",
)

gelu = define(
    "gelu",
    lambda x: x * normal_cdf(x),
    "z = x Phi(x), Phi the normal distribution",
    lambda g, z, x: g * (normal_cdf(x) + np.clip(x, -40, 40) * normal_density(x)),
    composite=True,
    example="""
>>> gelu(np.array([-1.0, 0.0, 2.0]))
array([-0.15865525,  0.        ,  1.95449974])
""",
)
