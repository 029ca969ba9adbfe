"""Optimisers: how the gradients change the parameters.

Two families share the cost function, the history of costs and the refusals. Those that take one
step per gradient (`SGD`, `RMSprop`, `Adam`, `AdamW`) learn from mini-batches too; their learning
rate may follow a schedule. Those that hand the whole search to SciPy (`LBFGS`, `Newton`) look at
all the data at each step, and choose the lengths of their steps themselves.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import scipy
from threadpoolctl import ThreadpoolController

from autonn.engine.higher import hessian_products as _hessian_products
from autonn.engine.ownership import writable
from autonn.engine.tensor import Array, Tensor
from autonn.nn.module import Module
from autonn.threads import libraries_beside

# What an optimiser makes small: the cost as a Tensor, or its value and the gradients by the
# parameters, in their order, as a compiled function returns them.
Cost = Callable[[], Tensor | tuple[Any, Sequence[Any]]]
Callback = Callable[[float], Any]
Parameters = Module | Iterable[Tensor]
Product = Callable[[list[Array]], Sequence[Any]]  # vectors, one array a parameter -> H v
Schedule = Callable[[int], float]
Rate = float | Schedule


# ---- schedules: functions of the step, which counts the updates already made: 0 for the first


def constant(lr: float) -> Schedule:
    """Make the schedule that a bare number stands for, ``lr(t) = lr``.

    >>> constant(0.1)(1000)
    0.1
    """
    return _Scheduled(_constant, lr=_number(lr, "constant: lr"))


def step_decay(lr: float, every: int, factor: float = 0.1) -> Schedule:
    """Make the schedule that falls in steps, ``lr(t) = lr factor^floor(t / every)``.

    >>> falling = step_decay(0.8, every=100, factor=0.5)
    >>> falling(99), falling(100), falling(200)
    (0.8, 0.4, 0.2)
    """
    return _Scheduled(
        _step_decay,
        lr=_number(lr, "step_decay: lr"),
        every=_count(every, "step_decay: every"),
        factor=_number(factor, "step_decay: factor"),
    )


def cosine(lr: float, steps: int, end: float = 0.0) -> Schedule:
    """Make the schedule that falls from `lr` to `end` along half a cosine, and stays there.

    ``lr(t) = end + (lr - end) (1 + cos(pi t / steps)) / 2``, without the restarts of Loshchilov &
    Hutter, "SGDR", 2017.

    >>> falling = cosine(1.0, steps=100)
    >>> falling(0), falling(50), falling(100), falling(500)
    (1.0, 0.5, 0.0, 0.0)
    """
    return _Scheduled(
        _cosine,
        lr=_number(lr, "cosine: lr"),
        steps=_count(steps, "cosine: steps"),
        end=_number(end, "cosine: end", _NOT_NEGATIVE),
    )


def one_cycle(
    lr: float, steps: int, rise: float = 0.3, start: float = 0.04, end: float = 4e-6
) -> Schedule:
    """Make the schedule that rises to `lr` and falls far below where it began.

    Smith & Topin, "Super-convergence", 2018, with halves of a cosine in place of their straight
    lines. It stays at the end once it is there.

    Parameters
    ----------
    lr
        The highest rate.
    steps
        The length of the cycle: ``epochs * ceil(examples / batch_size)``.
    rise
        The share of the steps in which it rises, below 1; the peak is at ``rise * steps - 1``.
    start, end
        The first rate and the last, as shares of `lr`.

    Examples
    --------
    >>> cycle = one_cycle(1.0, steps=100)
    >>> [round(cycle(t), 6) for t in (0, 29, 99, 200)]
    [0.04, 1.0, 4e-06, 4e-06]
    """
    return _Scheduled(
        _one_cycle,
        lr=_number(lr, "one_cycle: lr"),
        steps=_count(steps, "one_cycle: steps"),
        rise=_number(rise, "one_cycle: rise", _BELOW_ONE),
        start=_number(start, "one_cycle: start"),
        end=_number(end, "one_cycle: end", _NOT_NEGATIVE),
    )


def warm_up(lr: Rate, steps: int) -> Schedule:
    """Make the schedule that lets another one begin gently, ``min(1, (t + 1) / steps) lr(t)``.

    >>> gentle = warm_up(0.4, steps=4)
    >>> [gentle(t) for t in range(6)]
    [0.1, 0.2, 0.30000000000000004, 0.4, 0.4, 0.4]
    >>> warm_up(cosine(0.4, steps=100), steps=4)
    warm_up(lr=cosine(lr=0.4, steps=100, end=0.0), steps=4)
    """
    rate = lr if callable(lr) else _number(lr, "warm_up: lr")
    return _Scheduled(_warm_up, lr=rate, steps=_count(steps, "warm_up: steps"))


class _Scheduled(functools.partial[float]):
    """A schedule with its arguments; unlike a closure, it can be pickled and reads as written."""

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.keywords.items())
        return f"{self.func.__name__[1:]}({arguments})"


def _constant(step: int, lr: float) -> float:
    return lr


def _step_decay(step: int, lr: float, every: int, factor: float) -> float:
    return lr * factor ** (step // every)


def _cosine(step: int, lr: float, steps: int, end: float) -> float:
    return _along_cosine(lr, end, step / steps)


def _one_cycle(step: int, lr: float, steps: int, rise: float, start: float, end: float) -> float:
    peak = max(rise * steps - 1, 0.0)
    if step < peak:
        return _along_cosine(lr * start, lr, step / peak)
    fall = steps - 1 - peak
    return _along_cosine(lr, lr * end, (step - peak) / fall if fall > 0 else 1.0)


def _warm_up(step: int, lr: Rate, steps: int) -> float:
    return _at(lr, step) * min(1.0, (step + 1) / steps)


def _at(lr: Rate, step: int) -> float:
    return lr(step) if callable(lr) else lr


def _along_cosine(first: float, last: float, share: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * min(share, 1.0))) / 2


# ---- what all optimisers share


class Optimizer:
    """What all optimisers share: the parameters they change and the costs they have seen.

    The parameters may be given at once or later, by `bind`, as `fit` does.
    """

    def __init__(self, parameters: Parameters | None = None) -> None:
        self.parameters: list[Tensor] = []
        self.costs: list[float] = []
        if parameters is not None:
            self.bind(parameters)

    def bind(self, parameters: Parameters) -> Self:
        """Take the parameters to change: those of a module, or a list of Tensors.

        A module says which of its parameters are biases, which weight decay leaves alone; of bare
        Tensors all decay. Binding the same parameters again goes on where it was: moments and
        steps are kept.

        Raises
        ------
        ValueError, TypeError
            For no parameters, for duplicates, for results of ops; for what is not a Tensor.
        """
        weights: list[Tensor] | None = None
        if isinstance(parameters, Module):
            weights, parameters = parameters.weights(), parameters.parameters()
        found = self._checked_parameters(parameters)
        decaying = {id(weight) for weight in (found if weights is None else weights)}
        is_new = [id(p) for p in found] != [id(p) for p in self.parameters]
        self.parameters = found
        self._prepare([id(parameter) in decaying for parameter in found], is_new)
        return self

    def _checked_parameters(self, parameters: Iterable[Tensor]) -> list[Tensor]:
        name = type(self).__name__
        if isinstance(parameters, Tensor):
            raise TypeError(f"{name} takes a module or a list of Tensors; write [tensor] for one")
        found = list(parameters)
        if not found:
            raise ValueError(f"{name} was given no parameters; is model.parameters() empty?")
        for parameter in found:
            if not isinstance(parameter, Tensor):
                raise TypeError(f"{name} takes Tensors, not {type(parameter).__name__}")
            if not parameter.is_leaf or not parameter.requires_grad:
                raise ValueError(
                    f"{name} was given a Tensor of shape {parameter.shape} that is not a "
                    "parameter: it takes leaves with requires_grad=True"
                )
        if len({id(parameter) for parameter in found}) < len(found):
            raise ValueError(f"{name} was given the same parameter twice; list each once")
        return found

    def _prepare(self, decays: list[bool], is_new: bool) -> None:
        """Make room for what is remembered of each parameter; a search remembers nothing."""

    def zero_grad(self) -> None:
        """Forget the gradients, which would otherwise add up."""
        for parameter in self.parameters:
            parameter.grad = None

    def minimize(self, cost: Cost, iterations: int, callback: Callback | None = None) -> None:
        """Make the cost smaller, at most so many times.

        Parameters
        ----------
        cost
            Computes the cost, one number, from the parameters as they are; see `evaluate`.
        iterations
            The steps to take.
        callback
            Is told the cost after each step, and stops the search by raising `StopIteration`.
        """
        raise NotImplementedError

    def evaluate(self, cost: Cost) -> float:
        """Compute the cost and leave its gradients in the parameters' ``.grad``.

        All optimisers come through here and read ``.grad`` afterwards, whichever way the gradients
        came: a cost function returns a Tensor, whose `backward` is run, or the pair of the value
        and the gradients, one array for each parameter in their order, or None, which are not
        copied.
        """
        self._require_parameters()
        self.zero_grad()
        result = cost()
        if isinstance(result, tuple):
            value, gradients = result
            arrays = self._checked_gradients(gradients)
            for parameter, array in zip(self.parameters, arrays, strict=True):
                parameter.grad = array
            return float(value)
        if not isinstance(result, Tensor):
            raise TypeError(
                f"{type(self).__name__}: the cost function returned {type(result).__name__}; "
                "it returns a Tensor, or the pair of the cost and the gradients"
            )
        result.backward()
        return float(result)

    def state_dict(self) -> dict[str, Any]:
        """Return copies of what the next step depends on, beside parameters and arguments.

        Numbers and arrays by name and position of the parameter, as ``m.0``. A search by SciPy
        begins anew each time: its state is empty.
        """
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that `state_dict` gave, bit for bit.

        Raises
        ------
        ValueError
            If an entry is missing, unknown or of another shape or type; then nothing changes.
        """
        wrong = _differences(self.state_dict(), state)
        if wrong:
            raise ValueError(
                f"{type(self).__name__}: the state is not one of this optimiser with these "
                f"parameters: {'; '.join(wrong)}"
            )

    def _checked_gradients(self, gradients: Sequence[Any]) -> list[Array | None]:
        """Take the arrays out of Tensors, and refuse what does not belong to the parameters."""
        name = type(self).__name__
        if len(gradients) != len(self.parameters):
            raise ValueError(
                f"{name}: {len(gradients)} gradients for {len(self.parameters)} parameters; "
                "give one for each, or None, in the order in which the parameters were bound"
            )
        arrays = [g if g is None or type(g) is np.ndarray else _array(g) for g in gradients]
        for k, (parameter, array) in enumerate(zip(self.parameters, arrays, strict=True)):
            if array is not None and array.shape != parameter._data.shape:
                raise ValueError(
                    f"{name}: a gradient of shape {array.shape} for parameter {k} of shape "
                    f"{parameter.shape}; they must be the same"
                )
        return arrays

    def _require_parameters(self) -> None:
        if not self.parameters:
            raise RuntimeError(f"{type(self).__name__} has no parameters yet; call bind(model)")

    def __repr__(self) -> str:
        """Show the arguments that are not the usual ones."""
        shown = []
        for name, argument in inspect.signature(type(self)).parameters.items():
            value = getattr(self, name, argument.default)
            if name != "parameters" and value != argument.default:
                shown.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


# ---- one step per gradient


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
                self._update(writable(slot.parameter), gradient, lr, scale, slot)

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


# ---- the whole search by SciPy


class _Search(Optimizer):
    """Those that give SciPy the cost as a function of one vector that holds all parameters.

    While SciPy searches, its BLAS is held to one thread: NumPy and SciPy bring an OpenBLAS each,
    and their two thread pools, fighting over the cores, made a search of 200 iterations by L-BFGS
    take 9.2 instead of 1.9 seconds on two cores.
    """

    def _search(self, cost: Cost, callback: Callback | None, **how: Any) -> None:
        """Run SciPy's minimiser; whatever happens, the parameters end at the best iterate."""
        from scipy import optimize  # 90 ms to import, so only where it is needed

        best = self._joined([parameter._data for parameter in self.parameters])
        tried = best.copy()

        def evaluate(point: Array) -> tuple[float, Array]:
            tried[:] = point
            self._assign(point)
            value = self.evaluate(cost)
            return value, self._joined([_gradient(parameter) for parameter in self.parameters])

        def after_each(intermediate_result: optimize.OptimizeResult) -> None:
            best[:] = intermediate_result.x
            self.costs.append(float(intermediate_result.fun))
            if callback is not None:
                if not np.array_equal(tried, best):  # the last point tried was no improvement
                    evaluate(best)
                callback(self.costs[-1])

        try:
            with _scipy_on_one_thread():
                optimize.minimize(evaluate, best.copy(), jac=True, callback=after_each, **how)
        finally:  # also when the search was interrupted between two iterations
            self._assign(best)

    def _joined(self, arrays: Iterable[Array]) -> Array:
        """Put all in one new float64 vector: SciPy keeps the gradients it was given."""
        return np.concatenate([array.ravel() for array in arrays], dtype=np.float64)

    def _split(self, vector: Array) -> list[Array]:
        """Cut a vector into views of the parameters' shapes."""
        parts, start = [], 0
        for parameter in self.parameters:
            stop = start + parameter.size
            parts.append(vector[start:stop].reshape(parameter.shape))
            start = stop
        return parts

    def _assign(self, vector: Array) -> None:
        for parameter, part in zip(self.parameters, self._split(vector), strict=True):
            writable(parameter)[...] = part


class LBFGS(_Search):
    """The limited-memory quasi-Newton search of SciPy's L-BFGS-B.

    It looks at the whole data at each step, and needs nothing but costs and gradients.

    Parameters
    ----------
    parameters
        A module, or a list of Tensors; or None, and `bind` later.
    memory
        How many of the last steps tell how the cost curves. Byrd, Lu, Nocedal & Zhu, "A limited
        memory algorithm for bound constrained optimization", 1995, advise 3 to 20. With 7 the digit
        network comes as far in 400 iterations as with the 10 that SciPy would take (costs 0.305,
        0.305 and 0.311 from three seeds; 0.304, 0.305 and 0.311), and each takes SciPy less time.

    Raises
    ------
    ValueError, TypeError
        For a memory below 1; for one that is not a whole number.

    Examples
    --------
    >>> x = Tensor([3.0, -4.0], requires_grad=True)
    >>> optimizer = LBFGS([x])
    >>> optimizer.minimize(lambda: np.sum((x - 1) ** 2), iterations=10)
    >>> bool(np.allclose(x.data, 1))
    True
    """

    def __init__(self, parameters: Parameters | None = None, *, memory: int = 7) -> None:
        self.memory = _count(memory, "LBFGS: memory")
        super().__init__(parameters)

    def minimize(self, cost: Cost, iterations: int, callback: Callback | None = None) -> None:
        """Search for so many iterations, or until nothing improves; keep the cost after each."""
        self._require_parameters()
        # maxfun: the line search seldom needs more than two evaluations per iteration
        options = {"maxiter": iterations, "maxfun": 20 * iterations, "maxcor": self.memory}
        self._search(cost, callback, method="L-BFGS-B", options=options)


class Newton(_Search):
    """Newton's method by SciPy, with exact products of the Hessian and a vector.

    Each step minimises the quadratic model of the cost by conjugate gradients, for which it needs
    ``H v`` and never H: the gradient of ``<dJ/dtheta, v>``, which takes about as long as one and a
    half gradients of the cost. Close to a minimum the number of right digits doubles with each
    step. The cost should be smooth: at a kink, as relu has it, the model knows one side alone.

    Parameters
    ----------
    parameters
        A module, or a list of Tensors; or None, and `bind` later.
    method
        SciPy's ``"trust-ncg"``, which trusts the model within a radius, or ``"newton-cg"``, which
        searches along a line.
    tolerance
        When to stop: trust-ncg at a gradient of this norm, newton-cg at a step whose elements are
        on average this large.

    Raises
    ------
    ValueError, TypeError
        For a method of another name; for a tolerance that is not a positive, finite number.

    Examples
    --------
    >>> x = Tensor([-1.2, 1.0], requires_grad=True)
    >>> optimizer = Newton([x])
    >>> optimizer.minimize(lambda: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2, iterations=100)
    >>> bool(np.allclose(x.data, 1, atol=1e-8))
    True
    """

    def __init__(
        self,
        parameters: Parameters | None = None,
        *,
        method: str = "trust-ncg",
        tolerance: float = 1e-8,
    ) -> None:
        if method not in ("trust-ncg", "newton-cg"):
            raise ValueError(f"Newton: method is 'trust-ncg' or 'newton-cg', not {method!r}")
        self.method = method
        self.tolerance = _number(tolerance, "Newton: tolerance")
        super().__init__(parameters)

    def minimize(
        self,
        cost: Cost,
        iterations: int,
        callback: Callback | None = None,
        product: Product | None = None,
    ) -> None:
        """Search for so many iterations, or until nothing improves; keep the cost after each.

        Parameters
        ----------
        cost, iterations, callback
            As for `Optimizer.minimize`.
        product
            Computes ``H v`` from the parameters as they are and from v, one array for each of
            them. If it is None, the graph of the cost is differentiated, and so the cost function
            has to return a Tensor.
        """
        self._require_parameters()
        here: list[Any] = [None, product]  # a point, and the products there

        def curvature(point: Array, vector: Array) -> Array:
            self._assign(point)
            if product is None and not np.array_equal(here[0], point):
                here[:] = point.copy(), _products(cost, self.parameters)
            parts = zip(self._split(vector), self.parameters, strict=True)
            vectors = [part.astype(parameter.dtype) for part, parameter in parts]
            return self._joined(map(_array, here[1](vectors)))

        self._search(
            cost, callback, method=self.method, hessp=curvature, tol=self.tolerance,
            options={"maxiter": iterations},
        )  # fmt: skip


def _products(cost: Cost, parameters: list[Tensor]) -> Product:
    """Return ``v -> H v`` at the parameters as they are; one graph serves all the products."""
    result = cost()
    if not isinstance(result, Tensor):
        raise TypeError(
            "Newton: the cost function returned no Tensor, so its Hessian is not known; return "
            "one, or give minimize(product=) a function that computes Hessian times vector"
        )
    return _hessian_products(result, parameters)


def _scipy_on_one_thread() -> Any:
    """Limit SciPy's own BLAS and leave NumPy's alone; a context manager.

    Where the two share one library nothing is limited.
    """
    paths = [library.filepath for library in libraries_beside(scipy)]
    return ThreadpoolController().select(filepath=paths).limit(limits=1)


def _array(value: Any) -> Array:
    return value._data if isinstance(value, Tensor) else np.asarray(value)


def _gradient(parameter: Tensor) -> Array:
    """Return the gradient, or zeros where the cost did not depend on the parameter."""
    if parameter.grad is None:
        return np.zeros(parameter.shape, parameter.dtype)
    return _array(parameter.grad)


# ---- what is refused

_POSITIVE = "positive and finite"
_NOT_NEGATIVE = "at least 0 and finite"
_BELOW_ONE = "at least 0 and below 1"
_RANGES: dict[str, Callable[[Any], bool]] = {
    _POSITIVE: lambda value: 0 < value < math.inf,
    _NOT_NEGATIVE: lambda value: 0 <= value < math.inf,
    _BELOW_ONE: lambda value: 0 <= value < 1,
}


def _number(value: Any, name: str, rule: str = _POSITIVE) -> float:
    """Return it as a Python float, which never widens a float32 array."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name} is a number, not {value!r}")
    if not _RANGES[rule](value):
        raise ValueError(f"{name} is {rule}, not {value}")
    return float(value)


def _count(value: Any, name: str) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name} is a whole number, not {value!r}")
    if value < 1:
        raise ValueError(f"{name} is at least 1, not {value}")
    return int(value)


def _differences(own: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """Say in which entries a state differs in kind from the optimiser's own."""
    wrong = [f"{name} is missing" for name in own if name not in given]
    wrong += [f"{name} is unknown" for name in given if name not in own]
    for name in own:
        if name in given:
            old, new = np.asarray(own[name]), np.asarray(given[name])
            if new.shape != old.shape or not np.can_cast(new.dtype, old.dtype):
                wrong.append(f"{name} is {new.dtype} {new.shape}, not {old.dtype} {old.shape}")
            elif old.dtype.kind == "i" and new < 0:
                wrong.append(f"{name} is {new}, not at least 0")
    return wrong
