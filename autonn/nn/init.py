"""How the parameters start: small, random and different, or every unit would learn the same.

An initialiser takes ``(shape, rng)`` and returns an array; the shape of a layer's weights is
``(out, in)``, or ``(out, in, ...)`` where each output is fed by several places. `glorot_uniform`,
`uniform` and `normal` are the tutorials' own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from autonn.checks import positive
from autonn.engine.tensor import Array
from autonn.habits import answers_of

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


def he_uniform(shape: Sequence[int], rng: np.random.Generator) -> Array:
    """Draw from +-sqrt(6 / in), of the same variance as `he_normal`: right before a ReLU.

    >>> weights = he_uniform((10, 24), np.random.default_rng(0))
    >>> bool(np.abs(weights).max() <= 0.5)
    True
    """
    return uniform(math.sqrt(6 / math.prod(shape[1:])))(shape, rng)


def he_normal(shape: Sequence[int], rng: np.random.Generator) -> Array:
    """Draw from the normal distribution of variance 2 / in, as a ReLU silences half of its inputs.

    Source: He et al. (2015), "Delving deep into rectifiers", equation 10.

    >>> he_normal((2, 3), np.random.default_rng(0)).shape
    (2, 3)
    """
    return math.sqrt(2 / math.prod(shape[1:])) * rng.standard_normal(shape)


kaiming_uniform, kaiming_normal = he_uniform, he_normal  # what PyTorch calls them


def orthogonal(shape: Sequence[int], rng: np.random.Generator, gain: float = 1.0) -> Array:
    """Draw orthogonal rows, or columns if those are fewer, of length `gain`: W W' = gain^2 I.

    Each rotation is as likely as any other: the Q of a normal matrix has the signs of R's diagonal.
    Sources: Saxe, McClelland and Ganguli (2014), "Exact solutions to the nonlinear dynamics of
    learning in deep linear neural networks"; Mezzadri (2007), "How to generate random matrices from
    the classical compact groups", section 5.

    >>> weights = orthogonal((2, 3), np.random.default_rng(0))
    >>> bool(np.allclose(weights @ weights.T, np.eye(2)))
    True
    """
    rows, columns = shape[0], math.prod(shape[1:])
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q *= gain * np.sign(np.diagonal(r))
    return np.ascontiguousarray(q if rows >= columns else q.T).reshape(shape)


def truncated_normal(deviation: float) -> Initialiser:
    """Make the initialiser that draws from +-2 deviations of a normal distribution of mean 0.

    Evenly drawn shares of the distribution between its ends are turned into their quantiles.

    >>> weights = truncated_normal(0.02)((10, 25), np.random.default_rng(0))
    >>> bool(np.abs(weights).max() <= 0.04)
    True
    """
    scale, end = positive("truncated_normal: deviation", deviation), float(special.ndtr(2))

    def draw(shape: Sequence[int], rng: np.random.Generator) -> Array:
        """Draw from between the ends."""
        return np.asarray(scale * special.ndtri(rng.uniform(1 - end, end, shape)))

    return draw


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


if not TYPE_CHECKING:
    __getattr__ = answers_of(__name__)
