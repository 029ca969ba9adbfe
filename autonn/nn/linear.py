"""The affine layer: a function of the data with weights of its own."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike, DTypeLike

from autonn.engine import ops
from autonn.engine.tensor import Array, Tensor
from autonn.nn.init import Initialiser, glorot_uniform, initial, zeros
from autonn.nn.module import Module


class Layer(Module):
    """An affine layer, ``z = x W' + b``, for x of shape (..., inputs).

    Parameters
    ----------
    inputs, outputs
        How many numbers each example has before and after.
    weight, bias
        Initialisers, or given arrays of shape (outputs, inputs) and (outputs,).
    rng
        A `numpy.random.Generator`, or a seed for one.
    dtype
        float64 or float32.

    Raises
    ------
    TypeError, ValueError
        For sizes that are not whole or not positive; when called, for x of another width.

    Examples
    --------
    >>> layer = Layer(3, 2, rng=0)
    >>> layer(np.ones((5, 3))).shape
    (5, 2)
    >>> layer.theta.shape
    (2, 4)
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        weight: Initialiser | ArrayLike = glorot_uniform,
        bias: Initialiser | ArrayLike = zeros,
        rng: np.random.Generator | int | None = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        for size in (inputs, outputs):
            if not isinstance(size, Integral) or isinstance(size, bool):
                raise TypeError(f"Layer({inputs!r}, {outputs!r}): sizes are whole numbers")
            if size < 1:
                raise ValueError(f"Layer({inputs}, {outputs}): sizes are at least 1")
        self.inputs, self.outputs = int(inputs), int(outputs)
        generator = np.random.default_rng(rng)
        start = initial(weight, (self.outputs, self.inputs), generator)
        self.weight = Tensor(start, requires_grad=True, dtype=dtype)
        self.bias = Tensor(initial(bias, (self.outputs,), generator), True, dtype=dtype)

    @property
    def theta(self) -> Array:
        """The tutorials' matrix, bias column first: ``[b | W]``, shape (outputs, inputs + 1)."""
        return np.column_stack([self.bias.numpy(), self.weight.numpy()])

    @theta.setter
    def theta(self, value: ArrayLike) -> None:
        theta = np.asarray(value, dtype=self.weight.dtype)
        expected = (self.outputs, self.inputs + 1)
        if theta.shape != expected:
            raise ValueError(f"theta of shape {theta.shape} for {self!r}, which needs {expected}")
        self.bias.data = theta[:, 0]
        self.weight.data = theta[:, 1:]

    def forward(self, x: Any) -> Tensor:
        """Compute ``x W' + b``."""
        if type(x) is not Tensor and type(x) is not ndarray:
            x = np.asarray(x)
        try:
            z: Tensor = ops.affine(x, self.weight, self.bias)
        except ValueError as error:
            raise ValueError(
                f"{self!r} was fed shape {x.shape}; it takes (..., {self.inputs}), "
                "one example a row"
            ) from error
        return z

    def __repr__(self) -> str:
        return f"Layer({self.inputs}, {self.outputs})"
