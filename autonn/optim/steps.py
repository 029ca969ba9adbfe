"""Optimisers that take one step per gradient, and so learn from mini-batches too."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autonn.engine.tensor import Array, Tensor
from autonn.optim.base import Callback, Cost, Optimizer, Parameters
from autonn.optim.refusals import _BELOW_ONE, _NOT_NEGATIVE, _number
from autonn.optim.schedules import Rate, _at


@dataclass
class _Slot:
    """What is kept of one parameter: its state, and a buffer to compute in."""

    parameter: Tensor
    state: dict[str, Any]  # arrays and numbers by name
    decays: bool = True
    scratch: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.scratch = np.empty_like(self.parameter._data)

    def __reduce__(self) -> tuple[Any, ...]:  # what is in the buffer means nothing
        return _Slot, (self.parameter, self.state, self.decays)


class StepOptimizer(Optimizer):
    """Those that take one step per gradient, and so can learn from mini-batches.

    A parameter without a gradient stays as it is, its moments too, and it does not decay.

    Parameters
    ----------
    parameters
        A module, or a list of Tensors; or None, and `bind` later. See `bind`.
    lr
        The learning rate, a positive number; or a schedule, a function of the step that returns
        it. A step is one update, of a mini-batch or of all; the first is step 0.
    clip_norm
        Gradients whose common norm, ``sqrt(sum of all squares)``, is larger are scaled down to
        it. Then inf or NaN in a gradient is an error, and nothing changes; without clipping they
        go into the parameters as the formula says.

    Raises
    ------
    ValueError, TypeError
        For arguments out of their range; for those that are not numbers.
    FloatingPointError
        By a step with `clip_norm`, for inf or NaN in a gradient.
    """

    weight_decay = 0.0

    def __init__(
        self, parameters: Parameters | None, lr: Rate, clip_norm: float | None = None
    ) -> None:
        name = type(self).__name__
        self.lr = lr if callable(lr) else _number(lr, f"{name}: lr")
        self.clip_norm = clip_norm
        if clip_norm is not None:
            self.clip_norm = _number(clip_norm, f"{name}: clip_norm")
        self.steps = 0
        self._slots: list[_Slot] = []
        super().__init__(parameters)

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        rate = _at(self.lr, self.steps)
        if type(rate) is float and 0 <= rate < math.inf:
            return rate  # as nearly always: 1 microsecond sooner than by all the questions
        return _number(rate, f"{type(self).__name__}: lr at step {self.steps}", _NOT_NEGATIVE)

    def step(self) -> None:
        """Change the parameters by the gradients that `backward` left in them."""
        self.apply([parameter.grad for parameter in self.parameters])

    def apply(self, gradients: Sequence[Array | Tensor | None]) -> None:
        """Change the parameters by gradients given in their order; None changes nothing.

        Parameters are updated in place, with one buffer for each; the gradients are only read.

        >>> x = Tensor([1.0, 2.0], requires_grad=True)
        >>> SGD([x], lr=0.5).apply([np.array([2.0, 0.0])])
        >>> x
        Tensor([0., 2.], requires_grad=True)
        """
        self._require_parameters()
        arrays = self._checked_gradients(gradients)
        lr = self.learning_rate
        scale = 1.0
        if self.clip_norm is not None:
            scale = _clipping(
                [g for g in arrays if g is not None], self.clip_norm, type(self).__name__
            )
        self.steps += 1
        for slot, gradient in zip(self._slots, arrays, strict=True):
            if gradient is not None:
                self._update(slot.parameter._writable(), gradient, lr, scale, slot)

    def _update(self, data: Array, gradient: Array, lr: float, scale: float, slot: _Slot) -> None:
        """Change one parameter in place by `scale` times the gradient, without temporaries."""
        raise NotImplementedError

    def _new_state(self, data: Array) -> dict[str, Any]:
        """Return what is remembered of a parameter before its first step: numbers and arrays."""
        return {}

    def _prepare(self, decays: list[bool], is_new: bool) -> None:
        if is_new:
            self.steps = 0
            self._slots = [_Slot(p, self._new_state(p._data)) for p in self.parameters]
        for slot, decay in zip(self._slots, decays, strict=True):
            slot.decays = decay

    def minimize(self, cost: Cost, iterations: int, callback: Callback | None = None) -> None:
        """Take so many steps; the costs kept are those before each step."""
        for _ in range(iterations):
            self.costs.append(self.evaluate(cost))
            self.step()
            if callback is not None:
                try:
                    callback(self.costs[-1])
                except StopIteration:
                    return

    def state_dict(self) -> dict[str, Any]:
        """Return copies of the moments and the number of steps, as `Optimizer.state_dict` says.

        >>> optimizer = SGD([Tensor([1.0, 2.0], requires_grad=True)], lr=0.1, momentum=0.9)
        >>> optimizer.state_dict()
        {'steps': 0, 'velocity.0': array([0., 0.])}
        """
        state: dict[str, Any] = {"steps": self.steps}
        for k, slot in enumerate(self._slots):
            for name, value in slot.state.items():
                state[f"{name}.{k}"] = value.copy() if isinstance(value, np.ndarray) else value
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that `state_dict` gave, as `Optimizer.load_state_dict` says."""
        self._require_parameters()
        super().load_state_dict(state)
        self.steps = int(state["steps"])
        for k, slot in enumerate(self._slots):
            for name, value in slot.state.items():
                new = state[f"{name}.{k}"]
                is_array = isinstance(value, np.ndarray)
                slot.state[name] = np.array(new, value.dtype) if is_array else int(new)


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
    >>> x = Tensor(1.0, requires_grad=True)
    >>> optimizer = SGD([x], lr=0.25)
    >>> optimizer.minimize(lambda: x * x, iterations=2)
    >>> x, optimizer.costs
    (Tensor(0.25, requires_grad=True), [1.0, 0.25])
    """

    def __init__(
        self,
        parameters: Parameters | None = None,
        *,
        lr: Rate,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        self.momentum = _number(momentum, "SGD: momentum", _BELOW_ONE)
        self.nesterov = nesterov
        self.weight_decay = _number(weight_decay, "SGD: weight_decay", _NOT_NEGATIVE)
        if nesterov and not momentum:
            raise ValueError("SGD: nesterov looks ahead along the momentum, which is 0; set it")
        super().__init__(parameters, lr, clip_norm)

    def _new_state(self, data: Array) -> dict[str, Any]:
        return {"velocity": np.zeros_like(data)} if self.momentum else {}

    def _update(self, data: Array, gradient: Array, lr: float, scale: float, slot: _Slot) -> None:
        scratch = slot.scratch
        decay = self.weight_decay if slot.decays else 0.0
        if self.momentum:
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
    >>> x = Tensor([1.0, 100.0], requires_grad=True)
    >>> RMSprop([x], lr=0.1, beta=0.75).minimize(lambda: np.sum(x * x), iterations=1)
    >>> np.round(x.data, 6)
    array([ 0.8, 99.8])
    """

    def __init__(
        self,
        parameters: Parameters | None = None,
        *,
        lr: Rate = 0.001,
        beta: float = 0.9,
        eps: float = 1e-8,
        clip_norm: float | None = None,
    ) -> None:
        self.beta = _number(beta, "RMSprop: beta", _BELOW_ONE)
        self.eps = _number(eps, "RMSprop: eps")
        super().__init__(parameters, lr, clip_norm)

    def _new_state(self, data: Array) -> dict[str, Any]:
        return {"s": np.zeros_like(data)}

    def _update(self, data: Array, gradient: Array, lr: float, scale: float, slot: _Slot) -> None:
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
    eps
        Keeps the step finite where all gradients were 0; positive.

    Raises
    ------
    ValueError, TypeError
        For arguments out of their range; for those that are not numbers.

    Examples
    --------
    >>> x = Tensor([1.0, 100.0], requires_grad=True)
    >>> Adam([x], lr=0.1).minimize(lambda: np.sum(x * x), iterations=1)
    >>> np.round(x.data, 6)
    array([ 0.9, 99.9])
    """

    def __init__(
        self,
        parameters: Parameters | None = None,
        *,
        lr: Rate = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        clip_norm: float | None = None,
    ) -> None:
        name = type(self).__name__
        self.beta1 = _number(beta1, f"{name}: beta1", _BELOW_ONE)
        self.beta2 = _number(beta2, f"{name}: beta2", _BELOW_ONE)
        self.eps = _number(eps, f"{name}: eps")
        super().__init__(parameters, lr, clip_norm)

    def _new_state(self, data: Array) -> dict[str, Any]:
        return {"t": 0, "m": np.zeros_like(data), "s": np.zeros_like(data)}

    def _update(self, data: Array, gradient: Array, lr: float, scale: float, slot: _Slot) -> None:
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
    parameters, lr, beta1, beta2, eps, clip_norm
        As for `Adam`.
    weight_decay
        Pulls weights towards 0, at least 0. Biases of a module are left alone; see `bind`.

    Raises
    ------
    ValueError, TypeError
        For arguments out of their range; for those that are not numbers.

    Examples
    --------
    >>> x = Tensor([1.0, 100.0], requires_grad=True)
    >>> AdamW([x], lr=0.1, weight_decay=0.5).minimize(lambda: np.sum(x * x), iterations=1)
    >>> np.round(x.data, 6)
    array([ 0.85, 94.9 ])
    """

    def __init__(
        self,
        parameters: Parameters | None = None,
        *,
        lr: Rate = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        clip_norm: float | None = None,
    ) -> None:
        self.weight_decay = _number(weight_decay, "AdamW: weight_decay", _NOT_NEGATIVE)
        super().__init__(parameters, lr=lr, beta1=beta1, beta2=beta2, eps=eps, clip_norm=clip_norm)

    def _update(self, data: Array, gradient: Array, lr: float, scale: float, slot: _Slot) -> None:
        if slot.decays:
            data *= 1 - lr * self.weight_decay
        super()._update(data, gradient, lr, scale, slot)


def _average_square(
    mean: Array, beta: float, gradient: Array, scale: float, scratch: Array
) -> None:
    """Take the square of the scaled gradient into a moving mean."""
    mean *= beta
    np.multiply(gradient, scale * math.sqrt(1 - beta), out=scratch)
    mean += np.square(scratch, out=scratch)


def _clipping(gradients: Sequence[Array], limit: float, name: str) -> float:
    """Return the factor that brings the common norm down to the limit, or 1."""
    total = sum(float(np.vdot(g, g)) for g in gradients)
    if total < math.inf:
        norm = math.sqrt(total)
        return limit / norm if norm > limit else 1.0
    largest = float(np.max([np.max(np.abs(g), initial=0) for g in gradients]))
    if not largest < math.inf:
        raise FloatingPointError(
            f"{name}: {largest} in a gradient; the parameters are left as they were. "
            "A smaller lr may keep the cost finite"
        )
    # the squares alone were too large for the dtype
    ratio = math.sqrt(sum(float(np.sum(np.square(g / largest))) for g in gradients))
    return min(1.0, limit / largest / ratio)
