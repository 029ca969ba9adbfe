"""Optimisers that take one step per gradient, and so learn from mini-batches too."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autonn.checks import not_negative, positive, whole
from autonn.engine.modes import CannotCompileError, is_tracing
from autonn.engine.ownership import writable
from autonn.engine.row_gradients import RowGradient
from autonn.engine.tensor import Array, Tensor, leaf, values_of
from autonn.optim.base import Callback, Cost, Optimizer, Parameters
from autonn.optim.schedules import Rate, rate_at
from autonn.optim.slots import SWEEP, Slot
from autonn.optim.together import Together, gathered


def _rate(name: str, value: Any) -> Any:
    return value if callable(value) else not_negative(name, value)


def _limit(name: str, value: Any) -> float | None:
    return None if value is None else positive(name, value)


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

    Examples
    --------
    >>> from autonn import Tensor
    >>> class Signs(StepOptimizer):  # theta = theta - lr sign(g)
    ...     def _new_state(self, parameter):
    ...         return {}
    ...     def _update(self, theta, g, state, lr):
    ...         theta -= lr * np.sign(g)
    """

    ranges = Optimizer.ranges | {"lr": _rate, "clip_norm": _limit}
    full_batch = False
    # Whether `_update` treats each number alike, so that small parameters may take their step as
    # one; a class says so for itself, and not for those that are derived from it.
    elementwise = False
    _groups: list[Together] | None = None

    def __init__(
        self, parameters: Parameters | None, lr: Rate, clip_norm: float | None = None
    ) -> None:
        # 0 may be set for a while, to stand still; to begin with, it is a mistake.
        self.lr = lr if callable(lr) else positive(f"{type(self).__name__}: lr", lr)
        self.clip_norm = clip_norm
        self.steps = 0
        self._slots: list[Slot] = []
        super().__init__(parameters)

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        rate = rate_at(self.lr, self.steps)
        if type(rate) is float and 0 <= rate < math.inf:
            return rate  # as nearly always: 1 microsecond sooner than by all the questions
        return not_negative(f"{type(self).__name__}: lr at step {self.steps}", rate)

    def step(self) -> None:
        """Change the parameters by the gradients that `backward` left in them.

        Raises
        ------
        RuntimeError
            If none has a gradient: a step that changes nothing is never what was meant.
        """
        gradients = [parameter.grad for parameter in self.parameters]
        if gradients and all(gradient is None for gradient in gradients):
            raise RuntimeError(
                f"{type(self).__name__}.step: none of its parameters has a gradient; call "
                "backward() on a cost that they make. If the model was copied or replaced, "
                "bind(model) tells which parameters there are now"
            )
        self.apply(gradients)

    def apply(self, gradients: Sequence[Array | Tensor | RowGradient | None]) -> None:
        """Change the parameters by gradients given in their order; None changes nothing.

        Parameters are updated in place, with one buffer for each; the gradients are only read. Of
        a `RowGradient` only its rows change where that is the same, or was asked for.

        >>> from autonn.optim import SGD
        >>> x = Tensor([1.0, 2.0], requires_grad=True)
        >>> SGD([x], lr=0.5).apply([np.array([2.0, 0.0])])
        >>> x
        Tensor([0., 2.], requires_grad=True)
        """
        self._require_parameters()
        if is_tracing():
            raise CannotCompileError(
                f"{type(self).__name__}: a step within a compiled function would be taken once, "
                "while it is derived; return the gradients, and take the step outside"
            )
        arrays = self._checked_gradients(gradients)
        lr = self.learning_rate
        scale = 1.0
        if self.clip_norm is not None:
            scale = _clipping(arrays, self.clip_norm, type(self).__name__)
        self.steps += 1
        done = self._step_together(arrays, lr, scale)
        for place, (slot, gradient) in enumerate(zip(self._slots, arrays, strict=True)):
            if gradient is not None and place not in done:
                data = writable(slot.parameter)
                if data.dtype is not slot.scratch.dtype:
                    slot.follow()
                if type(gradient) is RowGradient:
                    self._update_rows(data, gradient, lr, scale, slot)
                else:
                    self._update(data, gradient, lr, scale, slot)
        if self.steps % SWEEP == 0:
            for slot in self._slots:
                slot.sweep()

    def _step_together(self, gradients: Sequence[Array | None], lr: float, scale: float) -> Any:
        """Let small parameters take their step as one; return the places of those that did."""
        if not type(self).__dict__.get("elementwise"):
            return ()
        if self._groups is None:
            self._groups = gathered(self._slots)
        done: set[int] = set()
        fit = [group for group in self._groups if group.fits(gradients)]
        for group in fit:
            group.update(self._update, gradients, lr, scale)
            done.update(group.places)
        if len(fit) < len(self._groups):
            self._groups = None  # some take another number of steps: they are looked at anew
        return done

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what lies together: copies of its parts would not be parts of its copy."""
        return {name: value for name, value in vars(self).items() if name != "_groups"}

    def require_step(self, gradients: Sequence[Array | None]) -> None:
        """Raise what `apply` would, of a rate and of gradients that are clipped; change nothing.

        >>> from autonn.optim import SGD
        >>> optimizer = SGD([Tensor([1.0], requires_grad=True)], lr=0.1, clip_norm=1.0)
        >>> optimizer.require_step([np.array([np.inf])])
        Traceback (most recent call last):
        FloatingPointError: SGD: inf in a gradient; the parameters are left as they were. A \
smaller lr may keep the cost finite
        """
        assert self.learning_rate >= 0
        if self.clip_norm is not None:
            _clipping(gradients, self.clip_norm, type(self).__name__)

    def _update(self, data: Array, gradient: Array, lr: float, scale: float, slot: Slot) -> None:
        """Change one parameter in place by `scale` times the gradient, without temporaries."""
        raise NotImplementedError

    def _update_rows(
        self, data: Array, gradient: RowGradient, lr: float, scale: float, slot: Slot
    ) -> None:
        """Change some rows of one parameter, and what is remembered of them."""
        rows = gradient.rows
        part = data[rows]
        kept = {k: v[rows] if isinstance(v, np.ndarray) else v for k, v in slot.state.items()}
        own = Slot(leaf(part), kept, slot.decays)
        self._update(part, gradient.values, lr, scale, own)
        data[rows] = part
        for name, value in own.state.items():
            if isinstance(value, np.ndarray):
                slot.state[name][rows] = value
            else:
                slot.state[name] = value

    def _new_state(self, data: Array) -> dict[str, Any]:
        """Return what is remembered of a parameter before its first step: numbers and arrays."""
        return {}

    def _prepare(self, decays: list[bool], is_new: bool) -> None:
        self._groups = None
        if is_new:
            self.steps = 0
            self._slots = [Slot(p, self._new_state(values_of(p))) for p in self.parameters]
        for slot, decay in zip(self._slots, decays, strict=True):
            slot.decays = decay

    def minimize(self, cost: Cost, iterations: int, callback: Callback | None = None) -> None:
        """Take so many steps; the costs kept are those before each step."""
        for _ in range(whole(f"{type(self).__name__}: iterations", iterations, least=0)):
            self.costs.append(self.evaluate(cost))
            self.step()
            if callback is not None:
                try:
                    callback(self.costs[-1])
                except StopIteration:
                    return

    def state_dict(self) -> dict[str, Any]:
        """Return copies of the moments and the number of steps, as `Optimizer.state_dict` says.

        >>> from autonn.optim import SGD
        >>> optimizer = SGD([Tensor([1.0, 2.0], requires_grad=True)], lr=0.1, momentum=0.9)
        >>> optimizer.state_dict()
        {'steps': 0, 'velocity.0': array([0., 0.])}
        """
        state: dict[str, Any] = {"steps": self.steps}
        for k, slot in enumerate(self._slots):
            slot.follow()
            for name, value in slot.state.items():
                state[f"{name}.{k}"] = value.copy() if isinstance(value, np.ndarray) else value
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that `state_dict` gave, as `Optimizer.load_state_dict` says."""
        self._require_parameters()
        super().load_state_dict(state)
        self.steps, self._groups = int(state["steps"]), None
        for k, slot in enumerate(self._slots):
            for name, value in slot.state.items():
                new = state[f"{name}.{k}"]
                is_array = isinstance(value, np.ndarray)
                slot.state[name] = np.array(new, value.dtype) if is_array else int(new)


def _clipping(given: Sequence[Any], limit: float, name: str) -> float:
    """Return the factor that brings the common norm down to the limit, or 1."""
    there = (g.values if type(g) is RowGradient else g for g in given)
    gradients = [g for g in there if g is not None]
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
