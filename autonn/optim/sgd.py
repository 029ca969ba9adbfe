"""Gradient descent, with and without momentum."""

from __future__ import annotations

from typing import Any

import numpy as np

from autonn.checks import not_negative, share, true_or_false
from autonn.engine.tensor import Array
from autonn.optim.base import Parameters
from autonn.optim.schedules import Rate
from autonn.optim.slots import Slot
from autonn.optim.steps import StepOptimizer


class SGD(StepOptimizer):
    """Gradient descent, ``theta = theta - lr dJ/dtheta``; the tutorials' alpha is `lr`.

    With momentum mu, it is the velocity that moves theta:

        v = mu v + g,   theta = theta - lr v,   by Nesterov: theta = theta - lr (g + mu v)

    where ``g = dJ/dtheta + weight_decay theta``. This is the form of PyTorch; that of Sutskever et
    al., "On the importance of initialization and momentum in deep learning", 2013, has lr within
    the velocity, and gives the same steps as long as lr is the same. Their Nesterov looks at the
    gradient ahead, at ``theta + mu v``: here theta *is* the point ahead.

    Parameters
    ----------
    parameters, lr, clip_norm
        As for `StepOptimizer`.
    momentum
        The share of the velocity that is kept at each step, from 0 to below 1.
    nesterov
        Whether the step looks ahead.
    weight_decay
        Pulls weights towards 0, at least 0. Biases of a module are left alone; see `bind`.

    Raises
    ------
    ValueError, TypeError
        For arguments out of their range; for those that are not numbers.

    Examples
    --------
    >>> from autonn import Tensor
    >>> x = Tensor(1.0, requires_grad=True)
    >>> optimizer = SGD([x], lr=0.25)
    >>> optimizer.minimize(lambda: x * x, iterations=2)
    >>> x, optimizer.costs
    (Tensor(0.25, requires_grad=True), [1.0, 0.25])
    """

    elementwise = True
    ranges = StepOptimizer.ranges | {
        "momentum": share, "nesterov": true_or_false, "weight_decay": not_negative,
    }  # fmt: skip

    def __init__(
        self,
        parameters: Parameters | None = None,
        lr: Rate | None = None,
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        if lr is None:
            raise TypeError("SGD: lr, the learning rate, is missing; write SGD(lr=0.1)")
        self.momentum, self.nesterov = momentum, nesterov
        self.weight_decay = weight_decay
        if nesterov and not momentum:
            raise ValueError("SGD: nesterov looks ahead along the momentum, which is 0; set it")
        super().__init__(parameters, lr, clip_norm)

    def _new_state(self, data: Array) -> dict[str, Any]:
        return {"velocity": np.zeros_like(data)} if self.momentum else {}

    def _steps_by_rows(self, k: int) -> bool:
        moves_all = self.momentum or (self.weight_decay and self._slots[k].decays)
        return not moves_all and bool(type(self).__dict__.get("elementwise"))

    def _update(self, data: Array, gradient: Array, lr: float, scale: float, slot: Slot) -> None:
        scratch = slot.scratch
        decay = self.weight_decay if slot.decays else 0.0
        if self.momentum:
            if not slot.state:  # the momentum was set later
                slot.state.update(self._new_state(data))
            velocity = slot.state["velocity"]
            velocity *= self.momentum
            velocity += gradient if scale == 1 else np.multiply(gradient, scale, out=scratch)
            if decay:
                velocity += np.multiply(data, decay, out=scratch)
        if not self.momentum or self.nesterov:
            if decay:
                data *= 1 - lr * decay
            data -= np.multiply(gradient, lr * scale, out=scratch)
        if self.momentum:
            along = lr * self.momentum if self.nesterov else lr
            data -= np.multiply(velocity, along, out=scratch)
