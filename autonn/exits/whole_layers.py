"""Layers as one call each, so that they go out as one node and not step by step.

While a network is traced for a file, a layer of the kinds below is a call of one op, whose result
is computed by the layer itself: a recurrent one that reads whole sequences from zero states, and a
normalisation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from autonn.engine.apply import define
from autonn.engine.op import Function, Memory, NotDifferentiableError, mixes_rows
from autonn.engine.tensor import Array, values_of
from autonn.engine.trees import tree_leaves
from autonn.nn.cells import tanh_step
from autonn.nn.recurrent import GRU, LSTM, RNN

__all__ = ["RECURRENT", "as_one_call", "layer_call"]

RECURRENT: tuple[type, ...] = (RNN, GRU, LSTM)


def _read(x: Array, *weights: Array, module: Any, which: int) -> Array:
    """Compute the result of a layer, or one of them: of all steps, 0, or a last state, from 1."""
    results = tree_leaves(type(module).forward(module, x))
    return np.array(values_of(results[which]))


def _refused(k: int, g: Any, *call: Any, **attributes: Any) -> Any:
    raise NotDifferentiableError("a layer that is one call has no rule; trace it op by op")


layer_call: Function = define(
    "whole_layer",
    _read,
    "z = the result of a layer, or one of several",
    _refused,
    numpy=(),
    listed=False,
    variadic=True,
    rows=mixes_rows,
    memory=Memory.NEW,
)


@contextmanager
def as_one_call(modules: list[Any], kinds: Collection[type]) -> Iterator[None]:
    """Let layers of these kinds among modules be one call each, for a while.

    Not recurrent ones with relu, which `onnx.reference` does not know.
    """
    hooked = [m for m in modules if type(m) in kinds and "forward" not in vars(m)]
    hooked = [m for m in hooked if type(m) is not RNN or m.step is tanh_step]
    for module in hooked:
        made = _recurrent if type(module) in RECURRENT else _norm
        vars(module)["forward"] = made(module)
    try:
        yield
    finally:
        for module in hooked:
            del vars(module)["forward"]


def _norm(module: Any) -> Any:
    """Make the forward that stands in for that of a normalisation."""
    weights = module.named_tensors().values()

    def forward(x: Any) -> Any:
        """Normalise in one call."""
        return layer_call(x, *weights, module=module, which=0)

    return forward


def _recurrent(module: Any) -> Any:
    """Make the forward that stands in for that of a recurrent layer."""
    weights = module.parameters()

    def forward(x: Any, state: Any = None, lengths: Any = None) -> Any:
        """Read whole sequences from zero states in one call; all else as usual."""
        if state is not None or lengths is not None:
            return type(module).forward(module, x, state, lengths)
        parts = [layer_call(x, *weights, module=module, which=k) for k in range(1 + module.states)]
        return parts[0], (tuple(parts[1:]) if module.states > 1 else parts[1])

    return forward
