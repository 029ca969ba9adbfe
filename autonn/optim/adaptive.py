"""Optimisers that give each element a step of its own, by the mean square of its gradient."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autonn.checks import not_negative, positive, share, true_or_false
from autonn.engine.tensor import Array
from autonn.optim.base import Parameters
from autonn.optim.schedules import Rate
from autonn.optim.slots import Slot
from autonn.optim.steps import StepOptimizer


class RMSprop(StepOptimizer):
    """Each element by a step of its own: the gradient over its root mean square.

        s = beta s + (1 - beta) g^2,   theta = theta - lr g / (sqrt(s) + eps)

    Tieleman & Hinton, lecture 6.5 of "Neural Networks for Machine Learning", 2012, with eps added
    to the root as in PyTorch.

    Parameters
    ----------
    parameters, lr, clip_norm
        As for `StepOptimizer`.
    beta
        How slowly the mean square forgets, from 0 to below 1.
    eps
        Keeps the step finite where all gradients were 0; positive.

    Raises
    ------
    ValueError, TypeError
        For arguments out of their range; for those that are not numbers.

    Examples
    --------
    >>> from autonn import Tensor
    >>> x = Tensor([1.0, 100.0], requires_grad=True)
    >>> RMSprop([x], lr=0.1, beta=0.75).minimize(lambda: np.sum(x * x), iterations=1)
    >>> np.round(x.data, 6)
    array([ 0.8, 99.8])
    """

    elementwise = True
    ranges = StepOptimizer.ranges | {"beta": share, "eps": positive}

    def __init__(
        self,
        parameters: Parameters | None = None,
        lr: Rate = 0.001,
        *,
        beta: float = 0.9,
        eps: float = 1e-8,
        clip_norm: float | None = None,
    ) -> None:
        self.beta, self.eps = beta, eps
        super().__init__(parameters, lr, clip_norm)

    def _new_state(self, data: Array) -> dict[str, Any]:
        return {"s": np.zeros_like(data)}

    def _update(self, data: Array, gradient: Array, lr: float, scale: float, slot: Slot) -> None:
        s, scratch = slot.state["s"], slot.scratch
        _average_square(s, self.beta, gradient, scale, scratch)
        np.sqrt(s, out=scratch)
        scratch += self.eps
        np.divide(gradient, scratch, out=scratch)
        scratch *= lr * scale
        data -= scratch


class Adam(StepOptimizer):
    """Moving means of the gradient and of its square, freed of their start at 0.

        m = beta1 m + (1 - beta1) g,   s = beta2 s + (1 - beta2) g^2
        theta = theta - lr m^ / (sqrt(s^) + eps),   m^ = m / (1 - beta1^t),   s^ = s / (1 - beta2^t)

    Kingma & Ba, "Adam: a method for stochastic optimization", 2015, Algorithm 1, in the order at
    the end of their section 2, which divides once. t counts the updates of each parameter, from 1.

    Parameters
    ----------
    parameters, lr, clip_norm
        As for `StepOptimizer`.
    beta1, beta2
        How slowly the two means forget, from 0 to below 1.
    betas
        Both at once, ``(beta1, beta2)``, in their place.
    eps
        Keeps the step finite where all gradients were 0; positive.
    lazy
        Whether rows of an embedding that a batch does not look up stay as they are, their means
        too; t still counts the updates of the whole table. That is PyTorch's SparseAdam, and for
        large tables much quicker. False: they move on by the mean of their gradients.

    Raises
    ------
    ValueError, TypeError
        For arguments out of their range; for those that are not numbers.

    Examples
    --------
    >>> from autonn import Tensor
    >>> x = Tensor([1.0, 100.0], requires_grad=True)
    >>> Adam([x], lr=0.1).minimize(lambda: np.sum(x * x), iterations=1)
    >>> np.round(x.data, 6)
    array([ 0.9, 99.9])
    """

    elementwise = True
    ranges = StepOptimizer.ranges | {
        "beta1": share, "beta2": share, "eps": positive, "lazy": true_or_false,
    }  # fmt: skip

    def __init__(
        self,
        parameters: Parameters | None = None,
        lr: Rate = 0.001,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        betas: tuple[float, float] | None = None,
        eps: float = 1e-8,
        lazy: bool = False,
        clip_norm: float | None = None,
    ) -> None:
        self.beta1, self.beta2 = (beta1, beta2) if betas is None else _pair(betas)
        self.eps, self.lazy = eps, lazy
        super().__init__(parameters, lr, clip_norm)

    def _new_state(self, data: Array) -> dict[str, Any]:
        return {"t": 0, "m": np.zeros_like(data), "s": np.zeros_like(data)}

    def _steps_by_rows(self, k: int) -> bool:
        return self.lazy and bool(type(self).__dict__.get("elementwise"))

    def _update(self, data: Array, gradient: Array, lr: float, scale: float, slot: Slot) -> None:
        m, s, scratch = slot.state["m"], slot.state["s"], slot.scratch
        slot.state["t"] += 1
        unbiased1 = 1 - self.beta1 ** slot.state["t"]
        unbiased2 = math.sqrt(1 - self.beta2 ** slot.state["t"])
        m *= self.beta1
        m += np.multiply(gradient, (1 - self.beta1) * scale, out=scratch)
        _average_square(s, self.beta2, gradient, scale, scratch)
        np.sqrt(s, out=scratch)
        scratch += self.eps * unbiased2
        np.divide(m, scratch, out=scratch)
        scratch *= lr * unbiased2 / unbiased1
        data -= scratch


class AdamW(Adam):
    """`Adam` with weight decay apart from the gradient: theta also loses ``lr weight_decay theta``.

    Loshchilov & Hutter, "Decoupled weight decay regularization", 2019, Algorithm 2; as in PyTorch,
    the decay follows lr and its schedule. A penalty in the cost, as `fit` has by `l2`, would be
    divided by the root mean square like any gradient; this is not.

    Parameters
    ----------
    parameters, lr, beta1, beta2, betas, eps, lazy, clip_norm
        As for `Adam`.
    weight_decay
        Pulls weights towards 0, at least 0. Biases of a module are left alone; see `bind`. With
        `lazy`, rows that a batch does not look up do not decay by it.

    Raises
    ------
    ValueError, TypeError
        For arguments out of their range; for those that are not numbers.

    Examples
    --------
    >>> from autonn import Tensor
    >>> x = Tensor([1.0, 100.0], requires_grad=True)
    >>> AdamW([x], lr=0.1, weight_decay=0.5).minimize(lambda: np.sum(x * x), iterations=1)
    >>> np.round(x.data, 6)
    array([ 0.85, 94.9 ])
    """

    elementwise = True
    ranges = Adam.ranges | {"weight_decay": not_negative}

    def __init__(
        self,
        parameters: Parameters | None = None,
        lr: Rate = 0.001,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        betas: tuple[float, float] | None = None,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        lazy: bool = False,
        clip_norm: float | None = None,
    ) -> None:
        self.weight_decay = weight_decay
        super().__init__(
            parameters, lr, beta1=beta1, beta2=beta2, betas=betas, eps=eps, lazy=lazy,
            clip_norm=clip_norm,
        )  # fmt: skip

    def _update(self, data: Array, gradient: Array, lr: float, scale: float, slot: Slot) -> None:
        if slot.decays:
            data *= 1 - lr * self.weight_decay
        super()._update(data, gradient, lr, scale, slot)


def _pair(betas: Any) -> tuple[float, float]:
    if not isinstance(betas, tuple | list) or len(betas) != 2:
        raise TypeError(f"Adam: betas are two numbers, (beta1, beta2), not {betas!r}")
    return betas[0], betas[1]


def _average_square(
    mean: Array, beta: float, gradient: Array, scale: float, scratch: Array
) -> None:
    """Take the square of the scaled gradient into a moving mean."""
    mean *= beta
    np.multiply(gradient, scale * math.sqrt(1 - beta), out=scratch)
    mean += np.square(scratch, out=scratch)
