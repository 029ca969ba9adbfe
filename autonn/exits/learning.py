"""One step of training as a function of everything, so that it can be written down elsewhere.

`fit` changes parameters in place; a program in another language is given them and returns new
ones. The formulas are those of `autonn.optim`, and are held against them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from autonn.engine.tensor import Array
from autonn.engine.transforms import value_and_grad
from autonn.nn.functional import functional_call
from autonn.nn.module import Module
from autonn.optim.adaptive import Adam
from autonn.optim.sgd import SGD

__all__ = ["learning_step", "start_of"]

State = Mapping[str, Any]


def start_of(optimizer: Any, parameters: Mapping[str, Array]) -> dict[str, Any]:
    """Return what an optimiser remembers before its first step: zeros, and no steps.

    >>> start_of(SGD(lr=0.1, momentum=0.9), {"w": np.ones(2)})
    {'velocity': {'w': array([0., 0.])}}
    """

    def zeros() -> dict[str, Array]:
        return {name: np.zeros_like(a) for name, a in parameters.items()}

    if isinstance(optimizer, SGD):
        return {"velocity": zeros()} if optimizer.momentum else {}
    return {"m": zeros(), "s": zeros(), "t": np.zeros(())}


def learning_step(model: Module, loss: Any, optimizer: Any) -> Callable[..., Any]:
    """Return ``step(parameters, state, x, y)``, which gives the cost and both after one step.

    It is written in NumPy: `compile` makes one program of forward, gradients and update, and its
    ``.javascript`` is the same for a browser.

    Parameters
    ----------
    model, loss
        The network and what its output costs.
    optimizer
        `SGD`, with momentum or not, or `Adam`, of a fixed rate, without decay and clipping.

    Raises
    ------
    TypeError, ValueError
        For another optimiser; for a schedule, weight decay and clipping.

    Examples
    --------
    >>> from autonn import Layer, MeanSquaredError
    >>> model, sgd = Layer(1, 1, weight=[[0.0]]), SGD(lr=0.5)
    >>> step = learning_step(model, MeanSquaredError(), sgd)
    >>> cost, parameters, state = step(model.state_dict(), {}, np.ones((1, 1)), np.ones((1, 1)))
    >>> parameters
    {'weight': array([[1.]]), 'bias': array([1.])}
    """
    update = _update_of(optimizer)
    trained = set(dict(model.named_parameters()))

    def step(parameters: State, state: State, x: Any, y: Any) -> Any:
        """Compute the cost, and parameters and state after the step."""

        def cost_of(values: State) -> Any:
            return loss(functional_call(model, {**parameters, **values}, x), y)

        learned = {k: a for k, a in parameters.items() if k in trained}
        cost, gradients = value_and_grad(cost_of)(learned)
        new, after = update(learned, gradients, state)
        return cost, {k: new.get(k, a) for k, a in parameters.items()}, after

    return step


def _update_of(optimizer: Any) -> Callable[..., Any]:
    """Return the formula of an optimiser, as a function."""
    if type(optimizer) not in (SGD, Adam):
        raise TypeError(f"a step of {optimizer!r} is not written down; SGD and Adam are")
    lr, decay = optimizer.lr, getattr(optimizer, "weight_decay", 0.0)
    if not isinstance(lr, float | int) or decay or optimizer.clip_norm is not None:
        raise ValueError(
            f"a step of {optimizer!r} is written down with a fixed rate alone: no schedule, no "
            "weight_decay, no clip_norm"
        )

    def sgd(w: State, g: State, state: State) -> Any:
        """Compute ``v = momentum v + g``, ``w = w - lr v``."""
        if not optimizer.momentum:
            return {k: w[k] - lr * g[k] for k in w}, state
        before = state["velocity"]
        v = {k: optimizer.momentum * before[k] + g[k] if k in w else before[k] for k in before}
        ahead = {k: g[k] + optimizer.momentum * v[k] if optimizer.nesterov else v[k] for k in w}
        return {k: w[k] - lr * ahead[k] for k in w}, {"velocity": v}

    def adam(w: State, g: State, state: State) -> Any:
        """Compute the moving means, and the step by their quotient."""
        b1, b2, t = optimizer.beta1, optimizer.beta2, state["t"] + 1.0
        m = {k: b1 * a + (1 - b1) * g[k] if k in w else a for k, a in state["m"].items()}
        s = {k: b2 * a + (1 - b2) * g[k] ** 2 if k in w else a for k, a in state["s"].items()}
        root, rate = np.sqrt(1 - b2**t), lr / (1 - b1**t)
        new = {k: w[k] - rate * root * (m[k] / (np.sqrt(s[k]) + optimizer.eps * root)) for k in w}
        return new, {"m": m, "s": s, "t": t}

    return sgd if type(optimizer) is SGD else adam
