"""Densities of the normal distribution, whose SciPy functions take arrays alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from autonn.engine.ops.joining import brought
from autonn.engine.ops.linalg import cholesky
from autonn.engine.ops.matrix_functions import solve_triangular
from autonn.engine.ops.products import swap_last
from autonn.engine.tensor import Operand

_HALF_LOG_TAU = math.log(2 * math.pi) / 2


def norm_logpdf(x: Operand, loc: Operand = 0.0, scale: Operand = 1.0) -> Any:
    """Compute ``-z^2 / 2 - ln(scale sqrt(2 pi))``, z = (x - loc) / scale, as `scipy.stats.norm`.

    >>> norm_logpdf(np.array([0.0, 1.0]))
    array([-0.91893853, -1.41893853])
    """
    z = np.divide(np.subtract(x, loc), scale)
    return np.square(z) * -0.5 - _HALF_LOG_TAU - np.log(scale)


def norm_pdf(x: Operand, loc: Operand = 0.0, scale: Operand = 1.0) -> Any:
    """Compute the density of the normal distribution, ``e^norm_logpdf``."""
    z = np.divide(np.subtract(x, loc), scale)
    return np.exp(np.square(z) * -0.5) / math.sqrt(2 * math.pi) / scale


def norm_cdf(x: Operand, loc: Operand = 0.0, scale: Operand = 1.0) -> Any:
    """Compute the share of the normal distribution below x.

    >>> norm_cdf(np.array([0.0, 1.0]))
    array([0.5       , 0.84134475])
    """
    return special.ndtr(np.divide(np.subtract(x, loc), scale))


def norm_logcdf(x: Operand, loc: Operand = 0.0, scale: Operand = 1.0) -> Any:
    """Compute the logarithm of `norm_cdf`, right far to the left too."""
    return special.log_ndtr(np.divide(np.subtract(x, loc), scale))


def multivariate_normal_logpdf(x: Operand, mean: Operand = 0.0, cov: Operand = 1.0) -> Any:
    """Compute the log-density of the normal distribution of several dimensions.

    Parameters
    ----------
    x
        Points, in the last axis (..., k); a vector is one point, unless `mean` and `cov` are of
        one dimension.
    mean
        Of shape (k,), or a number for all.
    cov
        A symmetric positive definite matrix (k, k), a number or a vector for a diagonal one.
        By Cholesky's factor its lower triangle alone gets a gradient.

    Raises
    ------
    LinAlgError
        If `cov` is not positive definite.

    Examples
    --------
    >>> multivariate_normal_logpdf(np.zeros(2), np.zeros(2), np.eye(2)).round(6)
    np.float64(-1.837877)
    """
    x, mean, cov = (brought(a) for a in (x, mean, cov))
    apart = x - mean
    k = max(cov.shape[-1] if cov.ndim else 1, mean.shape[-1] if mean.ndim else 1)
    if k == 1 and (not apart.ndim or apart.shape[-1] != 1):
        apart = np.expand_dims(apart, -1)
    matrix = cov if cov.ndim == 2 else cov * np.eye(k)
    factor = cholesky(matrix)
    flat = np.reshape(apart, (-1, k))
    rest = solve_triangular(factor, swap_last(flat), lower=True)
    squares = np.reshape(np.sum(np.square(rest), axis=0), apart.shape[:-1])
    half_logdet = np.sum(np.log(np.diagonal(factor)))
    return squares * -0.5 - half_logdet - k * _HALF_LOG_TAU


def multivariate_normal_pdf(x: Operand, mean: Operand = 0.0, cov: Operand = 1.0) -> Any:
    """Compute the density of the normal distribution of several dimensions."""
    return np.exp(multivariate_normal_logpdf(x, mean, cov))
