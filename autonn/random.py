"""Random numbers that a compiled program draws anew at each call, from a generator that is given.

`numpy.random.Generator` draws while a function is traced, once for all; these draw whenever the
program runs, and from the same generator in the same order as the function itself. What they draw
is moved and stretched by the parameters of the distribution, so that gradients reach these (Kingma
and Welling, 2014, "Auto-encoding variational Bayes").
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from autonn.engine import ops
from autonn.engine.ops.safe import is_known
from autonn.engine.tensor import Operand, Tensor, values_of
from autonn.habits import answers_of

__all__ = ["bernoulli", "normal", "uniform"]

__getattr__ = answers_of(__name__)

Shape = int | tuple[int, ...]


def normal(
    rng: np.random.Generator, shape: Shape, mean: Operand = 0.0, std: Operand = 1.0,
    dtype: DTypeLike | None = None,
) -> Any:  # fmt: skip
    """Draw normal numbers, ``z = mean + std e`` with e of mean 0 and standard deviation 1.

    The gradient of the mean is that of z, the gradient of std that of z times e.

    Parameters
    ----------
    rng
        A `numpy.random.Generator`.
    shape
        That of the result; mean and std are stretched to it.
    mean, std
        Numbers, arrays or Tensors; std is not negative.
    dtype
        float64 or float32; the default is that of mean and std, float64 of plain numbers.

    Raises
    ------
    TypeError
        For a seed in the place of a generator: it would draw the same numbers each time.
    ValueError
        For a negative std, and what can't be stretched to the shape.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> normal(rng, 2, mean=10.0)
    array([10.12573022,  9.86789514])
    >>> std = Tensor(2.0, requires_grad=True)
    >>> np.sum(normal(rng, (1000,), 0.0, std)).backward()
    >>> std.grad.shape
    ()
    """
    shape, kind = _form("normal", rng, shape, (mean, std), dtype)
    if is_known(std) and np.any(values_of(std) < 0):
        raise ValueError("normal: std is not negative; take np.exp or softplus of what is learned")
    drawn = ops.standard_normal(rng, shape, kind)
    return _cast(mean, kind) + _cast(std, kind) * drawn


def uniform(
    rng: np.random.Generator, shape: Shape, low: Operand = 0.0, high: Operand = 1.0,
    dtype: DTypeLike | None = None,
) -> Any:  # fmt: skip
    """Draw uniform numbers, ``z = low + (high - low) u`` with u from [0, 1).

    The gradient of low is that of z times 1 - u, the gradient of high that of z times u. Parameters
    and errors are those of `normal`, but for the bounds, of which low is not above high.

    >>> uniform(np.random.default_rng(0), (2,), -1.0, 1.0)
    array([ 0.27392337, -0.46042657])
    """
    shape, kind = _form("uniform", rng, shape, (low, high), dtype)
    if is_known(low) and is_known(high) and np.any(np.greater(values_of(low), values_of(high))):
        raise ValueError("uniform: low is above high; give the lower bound first")
    drawn = ops.random(rng, shape, kind)
    low, high = _cast(low, kind), _cast(high, kind)
    return low + (high - low) * drawn


def bernoulli(rng: np.random.Generator, shape: Shape, p: Operand = 0.5) -> Any:
    """Draw True with probability p, and else False.

    There is no gradient for p, nor is there a derivative: see `uniform` for what is smooth.
    Parameters and errors are those of `normal`, but for p, which is from 0 to 1.

    >>> bernoulli(np.random.default_rng(0), (4,), 0.3)
    array([False,  True,  True,  True])
    """
    shape, kind = _form("bernoulli", rng, shape, (p,), None)
    values = values_of(p)
    if is_known(p) and not np.all((np.asarray(values) >= 0) & (np.asarray(values) <= 1)):
        raise ValueError("bernoulli: p is a probability, from 0 to 1")
    return ops.random(rng, shape, kind) < p


def _form(
    name: str, rng: Any, shape: Shape, given: tuple[Any, ...], dtype: DTypeLike | None
) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Check what was given, and return the shape and the dtype of the result."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"{name} draws from a numpy.random.Generator, not {type(rng).__name__}; make one by "
            "np.random.default_rng(seed), once"
        )
    shape = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    shapes = [np.shape(a) for a in given]
    try:
        fits = np.broadcast_shapes(shape, *shapes) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{name}: parameters of shapes {shapes} can't be stretched to {shape}")
    dtypes = [a.dtype for a in given if isinstance(a, Tensor | np.ndarray | np.generic)]
    floating = [d for d in dtypes if d.kind == "f"]
    kind = np.dtype(np.result_type(*floating) if dtype is None and floating else dtype or float)
    if kind not in (np.float32, np.float64):
        raise TypeError(f"{name} draws float64 or float32, not {kind}")
    return shape, kind


def _cast(a: Any, dtype: np.dtype[Any]) -> Any:
    """Bring what has another dtype to that of the result; plain numbers take it by themselves."""
    has = isinstance(a, Tensor | np.ndarray | np.generic)
    return a.astype(dtype) if has and a.dtype != dtype else a
