"""Recurrent layers as one call each, so that they go out as one node and not step by step.

While a network is traced for a file, a layer that reads whole sequences from zero states is a call
of the op below, whose result is computed by the layer itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from autonn.engine.apply import define
from autonn.engine.op import Function, Memory, mixes_rows
from autonn.engine.tensor import Array, values_of
from autonn.nn.cells import tanh_step
from autonn.nn.recurrent import GRU, LSTM, RNN

__all__ = ["GATES", "as_one_call", "layer_call"]

# How the gates of ours lie in the weights of ONNX, whose orders are i o f c, and z r h.
GATES: dict[type, list[int]] = {RNN: [0], GRU: [1, 0, 2], LSTM: [0, 3, 1, 2]}


def _read(x: Array, *weights: Array, module: Any, which: int) -> Array:
    """Compute the outputs of all steps, 0, or a last state, from 1 on."""
    outputs, state = type(module).forward(module, x)
    states = state if isinstance(state, tuple) else (state,)
    result: Array = values_of((outputs, *states)[which])
    return np.array(result)


layer_call: Function = define(
    "recurrent_layer",
    _read,
    "z = the outputs of a recurrent layer, or its last state",
    None,
    numpy=(),
    listed=False,
    variadic=True,
    rows=mixes_rows,
    memory=Memory.NEW,
)


@contextmanager
def as_one_call(modules: list[Any]) -> Iterator[None]:
    """Let recurrent layers among modules be one call each, for a while.

    Not those with relu, which `onnx.reference` does not know.
    """
    hooked = [m for m in modules if type(m) in GATES and "forward" not in vars(m)]
    hooked = [m for m in hooked if type(m) is not RNN or m.step is tanh_step]

    def forward_of(module: Any) -> Any:
        """Make the forward that stands in for that of a layer."""
        weights = module.parameters()

        def forward(x: Any, state: Any = None, lengths: Any = None) -> Any:
            """Read whole sequences from zero states in one call; all else as usual."""
            if state is not None or lengths is not None:
                return type(module).forward(module, x, state, lengths)
            parts = [
                layer_call(x, *weights, module=module, which=k) for k in range(1 + module.states)
            ]
            return parts[0], (tuple(parts[1:]) if module.states > 1 else parts[1])

        return forward

    for module in hooked:
        vars(module)["forward"] = forward_of(module)
    try:
        yield
    finally:
        for module in hooked:
            del vars(module)["forward"]
