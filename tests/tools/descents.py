"""Optimisers to be tried in turn, with what they are to make small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from oracles.optimisers import Array, Naive, adam, gradient_descent, momentum, nesterov, rmsprop

from autonn import CrossEntropy, Layer, Module, Sequential, Sigmoid, Tanh, Tensor, optim

Steps = list[list[Array]]  # for each step the gradients, one for each parameter

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((60, 5)), RNG.integers(0, 3, 60)
STARTS: list[Array] = [RNG.standard_normal((3, 4)), RNG.standard_normal(3), np.array(0.7)]
# Gradients of sizes between 1e-4 and 100, for steps long enough for momentum and moments to matter.
GRADIENTS: Steps = [
    [np.asarray(RNG.standard_normal(s.shape) * 10 ** RNG.uniform(-4, 2, s.shape)) for s in STARTS]
    for _ in range(50)
]


def tensors(dtype: Any = np.float64) -> list[Tensor]:
    return [Tensor(start, requires_grad=True, dtype=dtype) for start in STARTS]


def rosenbrock(x: Any) -> Any:
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


def network(seed: int = 0, dtype: Any = np.float64) -> Sequential:
    rng = np.random.default_rng(seed)
    return Sequential(
        Layer(5, 4, rng=rng, dtype=dtype), Tanh(), Layer(4, 3, rng=rng, dtype=dtype), Sigmoid()
    )


def cost_of(model: Module) -> Tensor:
    return CrossEntropy()(model(X), Y)


Make = Callable[..., optim.StepOptimizer]

# The optimiser, the formula, and the optimiser of PyTorch with its arguments.
WAYS: dict[str, tuple[Make, Naive, str, dict[str, Any]]] = {
    "SGD": (
        lambda p=None, **o: optim.SGD(p, **{"lr": 0.01} | o),
        lambda theta, g: gradient_descent(theta, g, 0.01),
        "SGD", {"lr": 0.01},
    ),
    "SGD, decay": (
        lambda p=None, **o: optim.SGD(p, **{"lr": 0.01} | o, weight_decay=0.5),
        lambda theta, g: momentum(theta, g, 0.01, 0.0, 0.5),
        "SGD", {"lr": 0.01, "weight_decay": 0.5},
    ),
    "momentum": (
        lambda p=None, **o: optim.SGD(p, **{"lr": 0.01} | o, momentum=0.9),
        lambda theta, g: momentum(theta, g, 0.01, 0.9),
        "SGD", {"lr": 0.01, "momentum": 0.9},
    ),
    "momentum, decay": (
        lambda p=None, **o: optim.SGD(p, **{"lr": 0.01} | o, momentum=0.9, weight_decay=0.5),
        lambda theta, g: momentum(theta, g, 0.01, 0.9, 0.5),
        "SGD", {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.5},
    ),
    "Nesterov": (
        lambda p=None, **o: optim.SGD(p, **{"lr": 0.01} | o, momentum=0.9, nesterov=True),
        lambda theta, g: nesterov(theta, g, 0.01, 0.9),
        "SGD", {"lr": 0.01, "momentum": 0.9, "nesterov": True},
    ),
    "Nesterov, decay": (
        lambda p=None, **o: optim.SGD(
            p, **{"lr": 0.01} | o, momentum=0.9, nesterov=True, weight_decay=0.5
        ),
        lambda theta, g: nesterov(theta, g, 0.01, 0.9, 0.5),
        "SGD", {"lr": 0.01, "momentum": 0.9, "nesterov": True, "weight_decay": 0.5},
    ),
    "RMSprop": (
        lambda p=None, **o: optim.RMSprop(p, **{"lr": 0.01} | o, beta=0.95, eps=1e-3),
        lambda theta, g: rmsprop(theta, g, 0.01, 0.95, 1e-3),
        "RMSprop", {"lr": 0.01, "alpha": 0.95, "eps": 1e-3},
    ),
    "Adam": (
        lambda p=None, **o: optim.Adam(p, **{"lr": 0.01} | o, beta1=0.8, beta2=0.95, eps=1e-3),
        lambda theta, g: adam(theta, g, 0.01, 0.8, 0.95, 1e-3),
        "Adam", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3},
    ),
    "AdamW": (
        lambda p=None, **o: optim.AdamW(
            p, **{"lr": 0.01} | o, beta1=0.8, beta2=0.95, eps=1e-3, weight_decay=0.5
        ),
        lambda theta, g: adam(theta, g, 0.01, 0.8, 0.95, 1e-3, 0.5),
        "AdamW", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.5},
    ),
}  # fmt: skip

MAKERS = {name: make for name, (make, *_) in WAYS.items()}


def walked(optimizer: optim.StepOptimizer, steps: Steps) -> list[Array]:
    """Let it take the steps and return its parameters."""
    for gradients in steps:
        dtypes = [parameter.dtype for parameter in optimizer.parameters]
        optimizer.apply([g.astype(d) for g, d in zip(gradients, dtypes, strict=True)])
    return [parameter.numpy() for parameter in optimizer.parameters]


SEARCHES: dict[str, Callable[..., Any]] = {
    "LBFGS": optim.LBFGS,
    "trust-ncg": optim.Newton,
    "newton-cg": lambda *parameters: optim.Newton(*parameters, method="newton-cg"),
}
ALL: dict[str, Callable[..., Any]] = {**MAKERS, **SEARCHES}
