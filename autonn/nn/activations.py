"""Activations: the bends between the layers, without which a network would be one flat map."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autonn.checks import number, one_of, whole
from autonn.engine import ops
from autonn.engine.tensor import Tensor
from autonn.nn.module import Module, as_tensor


class Sigmoid(Module):
    """The sigmoid, ``s(z) = 1 / (1 + e^-z)``: a probability for each unit.

    >>> Sigmoid()(Tensor([0.0]))
    Tensor([0.5])
    """

    def forward(self, x: Any) -> Tensor:
        """Compute s(x), element by element."""
        return as_tensor(ops.sigmoid(x))


class Tanh(Module):
    """The hyperbolic tangent, between -1 and 1.

    >>> Tanh()(Tensor([0.0]))
    Tensor([0.])
    """

    def forward(self, x: Any) -> Tensor:
        """Compute tanh(x), element by element."""
        return as_tensor(np.tanh(x))


class ReLU(Module):
    """The rectifier, ``max(x, 0)``; its gradient at 0 is 0.

    >>> ReLU()(Tensor([-1.0, 2.0]))
    Tensor([0., 2.])
    """

    def forward(self, x: Any) -> Tensor:
        """Compute max(x, 0), element by element."""
        return as_tensor(ops.relu(x))


class LeakyReLU(Module):
    """The rectifier that lets a little through, ``z = x`` above 0 and ``slope x`` below.

    At 0 the gradient is the slope. Source: Maas, Hannun and Ng (2013), "Rectifier nonlinearities
    improve neural network acoustic models".

    >>> LeakyReLU(0.1)(Tensor([-1.0, 2.0]))
    Tensor([-0.1,  2. ])
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = number("LeakyReLU: negative_slope", negative_slope)

    def forward(self, x: Any) -> Tensor:
        """Compute x or slope x, element by element."""
        return as_tensor(ops.leaky_relu(x, self.negative_slope))

    def __repr__(self) -> str:
        return f"LeakyReLU({self.negative_slope})"


class ELU(Module):
    """The exponential linear unit, ``z = x`` above 0 and ``alpha (e^x - 1)`` below.

    At 0 the gradient is alpha. Source: Clevert, Unterthiner and Hochreiter (2016), "Fast and
    accurate deep network learning by exponential linear units", equation 15.

    >>> ELU()(Tensor([-1000.0, 2.0]))
    Tensor([-1.,  2.])
    """

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = number("ELU: alpha", alpha)

    def forward(self, x: Any) -> Tensor:
        """Compute x or alpha (e^x - 1), element by element."""
        return as_tensor(ops.elu(x, self.alpha))

    def __repr__(self) -> str:
        return f"ELU({self.alpha})"


class SiLU(Module):
    """The sigmoid linear unit or swish, ``z = x s(x)``.

    Source: Elfwing, Uchibe and Doya (2018), "Sigmoid-weighted linear units for neural network
    function approximation in reinforcement learning", equation 1.

    >>> SiLU()(Tensor([0.0, 1000.0]))
    Tensor([   0., 1000.])
    """

    def forward(self, x: Any) -> Tensor:
        """Compute x s(x), element by element."""
        return as_tensor(ops.silu(x))


class Softplus(Module):
    """The smooth rectifier, ``z = ln(1 + e^x)``, which is always positive.

    >>> Softplus()(Tensor([0.0, 1000.0]))
    Tensor([6.93147181e-01, 1.00000000e+03])
    """

    def forward(self, x: Any) -> Tensor:
        """Compute ln(1 + e^x), element by element."""
        return as_tensor(ops.softplus(x))


class GELU(Module):
    """The Gaussian error linear unit, ``z = x Phi(x)``, Phi the normal distribution.

    Source: Hendrycks and Gimpel (2016), "Gaussian error linear units", section 2.

    Parameters
    ----------
    approximate
        "none"; or "tanh" for ``x/2 (1 + tanh u)``, ``u = sqrt(2 / pi) (x + 0.044715 x^3)``, as
        networks need it that were trained so.

    Raises
    ------
    ValueError
        For another word.

    Examples
    --------
    >>> GELU()(Tensor([0.0, 1.0]))
    Tensor([0.        , 0.84134475])
    >>> GELU(approximate="tanh")(Tensor([0.0, 1.0]))
    Tensor([0.        , 0.84119199])
    """

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = one_of("GELU: approximate", approximate, ("none", "tanh"))

    def forward(self, x: Any) -> Tensor:
        """Compute x Phi(x), element by element."""
        if self.approximate == "none":
            return as_tensor(ops.gelu(x))
        x = as_tensor(x)
        # (1 + tanh u) / 2 is s(2u), which cancels no digits where it is small.
        return as_tensor(x * ops.sigmoid(x * (_SCALE + 0.044715 * _SCALE * np.square(x))))

    def __repr__(self) -> str:
        return "GELU()" if self.approximate == "none" else "GELU(approximate='tanh')"


_SCALE = 2 * math.sqrt(2 / math.pi)


class Softmax(Module):
    """The softmax, ``e^z_k / sum_j e^z_j`` along an axis: probabilities that sum to 1.

    >>> Softmax()(Tensor([0.0, 0.0]))
    Tensor([0.5, 0.5])
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = whole("Softmax: axis", axis, least=-64, most=63)

    def forward(self, x: Any) -> Tensor:
        """Compute softmax(x) along the axis."""
        return as_tensor(ops.softmax(x, axis=self.axis))

    def __repr__(self) -> str:
        return "Softmax()" if self.axis == -1 else f"Softmax(axis={self.axis})"


class LogSoftmax(Module):
    """The logarithm of the softmax, ``z_k - ln sum_j e^z_j`` along an axis.

    >>> LogSoftmax()(Tensor([0.0, -1000.0]))
    Tensor([    0., -1000.])
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = whole("LogSoftmax: axis", axis, least=-64, most=63)

    def forward(self, x: Any) -> Tensor:
        """Compute ln softmax(x) along the axis."""
        return as_tensor(ops.log_softmax(x, axis=self.axis))

    def __repr__(self) -> str:
        return "LogSoftmax()" if self.axis == -1 else f"LogSoftmax(axis={self.axis})"


class Identity(Module):
    """No bend at all, ``z = x``: for a place where an activation or a layer may stand or not.

    >>> Identity()(Tensor([-1.0, 2.0]))
    Tensor([-1.,  2.])
    """

    def forward(self, x: Any) -> Tensor:
        """Give x itself."""
        return as_tensor(x)
