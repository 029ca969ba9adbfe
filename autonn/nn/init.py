"""How the parameters start: small, random and different, or every unit would learn the same.

An initialiser takes ``(shape, rng)`` and returns an array; the shape of a layer's weights is
``(out, in)``, of kernels ``(out, in, h, w)``. The first two are the tutorials' own, the last is the
other tutorial's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autonn.engine.tensor import Array

Initialiser = Callable[[Sequence[int], np.random.Generator], Array]


def glorot_uniform(shape: Sequence[int], rng: np.random.Generator) -> Array:
    """Draw from +-sqrt(6 / (in + out)), which keeps signals and gradients at one scale.

    Of kernels, each place counts: in and out are the numbers of channels times h w.

    Source: Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward
    neural networks", equation 16.

    >>> weights = glorot_uniform((10, 25), np.random.default_rng(0))
    >>> bool(np.abs(weights).max() <= np.sqrt(6 / 35))
    True
    """
    return uniform(math.sqrt(6 / (sum(shape[:2]) * math.prod(shape[2:]))))(shape, rng)


def uniform(limit: float) -> Initialiser:
    """Make the initialiser that draws from +-limit; the course uses 0.12.

    >>> uniform(0.12)((2, 3), np.random.default_rng(0)).shape
    (2, 3)
    """
    return lambda shape, rng: rng.uniform(-limit, limit, shape)


def normal(shape: Sequence[int], rng: np.random.Generator) -> Array:
    """Draw from the standard normal distribution, as `numpy.random.randn` does.

    >>> normal((2, 3), np.random.default_rng(0)).shape
    (2, 3)
    """
    return rng.standard_normal(shape)


def zeros(shape: Sequence[int], rng: np.random.Generator) -> Array:
    """Give zeros: right for biases, useless for weights, which would never become different.

    >>> zeros((2,), np.random.default_rng(0))
    array([0., 0.])
    """
    return np.zeros(shape)


def initial(start: Initialiser | Any, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Take an initialiser or a given array, and check that the array has the shape.

    >>> initial([1.0, 2.0], (2,), np.random.default_rng())
    array([1., 2.])
    """
    array = np.asarray(start(shape, rng) if callable(start) else start)
    if array.shape != shape:
        raise ValueError(f"initial values of shape {array.shape} where {shape} is needed")
    return array
