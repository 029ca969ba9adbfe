"""The affine layer: a function of the data with weights of its own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike, DTypeLike

from autonn.checks import whole
from autonn.engine import ops
from autonn.engine.tensor import Array, Tensor
from autonn.nn.addresses import would_fit
from autonn.nn.init import Initialiser, glorot_uniform, initial, zeros
from autonn.nn.module import Module, brought


class Layer(Module):
    """An affine layer, ``z = x W' + b``, for x of shape (..., inputs).

    Parameters
    ----------
    inputs, outputs
        How many numbers each example has before and after.
    weight, bias
        Initialisers, or given arrays of shape (outputs, inputs) and (outputs,). With
        ``bias=False`` or None there is none: ``z = x W'``, and the attribute `bias` is None.
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

    bias: Any  # a Tensor, or None

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        weight: Initialiser | ArrayLike = glorot_uniform,
        bias: Initialiser | ArrayLike | None = zeros,
        rng: np.random.Generator | int | None = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        called = f"{type(self).__name__}({inputs!r}, {outputs!r})"
        self.inputs = whole(f"{called}: inputs", inputs)
        self.outputs = whole(f"{called}: outputs", outputs)
        generator = np.random.default_rng(rng)
        start = initial(weight, (self.outputs, self.inputs), generator)
        self.weight = Tensor(start, requires_grad=True, dtype=dtype)
        self.bias = None
        if bias is not None and bias is not False:
            start = initial(zeros if bias is True else bias, (self.outputs,), generator)
            self.bias = Tensor(start, requires_grad=True, dtype=dtype)

    @property
    def theta(self) -> Array:
        """The tutorials' matrix, bias column first: ``[b | W]``, shape (outputs, inputs + 1).

        Without a bias the column is 0, and has to be where the matrix is set.
        """
        if self.bias is None:
            return np.pad(self.weight.numpy(), ((0, 0), (1, 0)))
        return np.column_stack([self.bias.numpy(), self.weight.numpy()])

    @theta.setter
    def theta(self, value: ArrayLike) -> None:
        theta = np.asarray(value, dtype=self.weight.dtype)
        expected = (self.outputs, self.inputs + 1)
        if theta.shape != expected:
            raise ValueError(f"theta of shape {theta.shape} for {self!r}, which needs {expected}")
        if self.bias is not None:
            self.bias.data = theta[:, 0]
        elif theta[:, 0].any():
            raise ValueError(f"theta with a bias column for {self!r}, which has no bias")
        self.weight.data = theta[:, 1:]

    def forward(self, x: Any) -> Tensor:
        """Compute ``x W' + b``, or ``x W'``."""
        if type(x) is not Tensor and type(x) is not ndarray:
            x = np.asarray(x)
        weight = self.weight
        if x.dtype is not weight.dtype:  # by itself: the call takes 2 % of a small network's step
            x = brought(x, weight)
        try:
            if self.bias is None:
                z: Tensor = ops.matmul(x, weight.T)
            else:
                z = ops.affine(x, weight, self.bias)
        except ValueError as error:
            raise ValueError(
                f"{self!r} was fed shape {x.shape}; it takes (..., {self.inputs}), "
                f"one example a row{self._cure(x.shape)}"
            ) from error
        return z

    def _cure(self, shape: tuple[int, ...]) -> str:
        """Say what to do about x of this shape, where that can be told from it."""
        if len(shape) > 2 and math.prod(shape[1:]) == self.inputs:
            return "; write Flatten() before it, which makes a row of each example"
        if len(shape) == 1 and self.inputs == 1:
            return "; write x[:, None], of shape (m, 1)"
        if len(shape) == 2 and shape[0] == self.inputs:
            return "; write x.T where each example is a column"
        if not shape:
            return ""
        return would_fit(self, shape[-1], self.outputs)

    def __repr__(self) -> str:
        without = ", bias=False" if self.bias is None else ""
        return f"{type(self).__name__}({self.inputs}, {self.outputs}{without})"


Linear = Layer  # what PyTorch calls it
