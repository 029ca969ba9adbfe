"""What the recurrent nodes of ONNX compute, step by step, in our ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autonn.engine import ops
from autonn.exits.onnx_arithmetic import Call, Rule, plain, unsupported

__all__ = ["RECURRENT"]

# One step: from the products with the input and with the state, and the state, to the new state.
# `more` is the product's weights and bias of the state, for what is computed after a reset.
Step = Callable[..., tuple[Any, ...]]


def _rnn(call: Call, x: Any, h: Any, state: Any, recurrent: Any) -> tuple[Any, ...]:
    bends = {_name(f) for f in call.get("activations", ["Tanh"])}
    return (np.tanh(x + h) if bends == {"Tanh"} else ops.relu(x + h),)


def _lstm(call: Call, x: Any, h: Any, state: Any, recurrent: Any) -> tuple[Any, ...]:
    """Compute ``c = f c + i g`` and ``h = o tanh(c)``, the gates in the order i, o, f, g."""
    i, o, f, g = np.split(x + h, 4, axis=-1)
    c = ops.sigmoid(f) * state[1] + ops.sigmoid(i) * np.tanh(g)
    return ops.sigmoid(o) * np.tanh(c), c


def _gru(call: Call, x: Any, h: Any, state: Any, recurrent: Any) -> tuple[Any, ...]:
    """Compute ``h = (1 - z) n + z h``, the gates in the order z, r, n."""
    x_z, x_r, x_n = np.split(x, 3, axis=-1)
    h_z, h_r, h_n = np.split(h, 3, axis=-1)
    z, r = ops.sigmoid(x_z + h_z), ops.sigmoid(x_r + h_r)
    if not call.get("linear_before_reset", 0):
        weight, bias = (np.split(a, 3, axis=0)[2] for a in recurrent)
        h_n = (r * state[0]) @ weight.T + bias
        return ((1 - z) * np.tanh(x_n + h_n) + z * state[0],)
    return ((1 - z) * np.tanh(x_n + r * h_n) + z * state[0],)


# By type: the step, how many gates there are, how many states, the usual functions.
_KINDS: dict[str, tuple[Step, int, int, list[str]]] = {
    "RNN": (_rnn, 1, 1, ["Tanh"]),
    "GRU": (_gru, 3, 1, ["Sigmoid", "Tanh"]),
    "LSTM": (_lstm, 4, 2, ["Sigmoid", "Tanh", "Tanh"]),
}


def _name(function: Any) -> str:
    return function.decode() if isinstance(function, bytes) else str(function)


def _usual(call: Call, functions: list[str], directions: int) -> None:
    """Refuse settings that the steps here have not."""
    given = call["activations"]
    names = functions * directions if given is None else [_name(f) for f in given]
    if call.kind == "RNN" and names == ["Relu"] * directions:
        names = functions * directions
    plain_ones = not {"clip", "activation_alpha", "activation_beta"} & {*call.attributes}
    if names != functions * directions or not plain_ones or call.get("input_forget", 0):
        raise unsupported(call, f"with other functions than {', '.join(functions)}")
    if call.input(7) is not None:
        raise unsupported(call, "with peepholes")


def _recurrent(call: Call) -> Any:
    """Read the sequences in each direction; give all outputs, and the last state."""
    step, gates, states, functions = _KINDS[call.kind]
    x, w, r = call.inputs[:3]
    way, units = call.get("direction", "forward"), r.shape[-1]
    _usual(call, functions, w.shape[0])
    if call.get("layout", 0):
        x = np.swapaxes(x, 0, 1)
    time, batch = x.shape[:2]
    lengths = plain(call.input(4))
    if lengths is not None and np.any(np.asarray(lengths) != time):
        raise unsupported(call, "with sequences that end before others")
    found, ends = [], []
    for k in range(w.shape[0]):
        bias = call.input(3)
        b = np.zeros(2 * gates * units, w.dtype) if bias is None else bias[k]
        b_x, b_h = b[: gates * units], b[gates * units :]
        state = tuple(_start(call, 5 + n, k, (batch, units), x.dtype) for n in range(states))
        backwards = way == "reverse" or k == 1
        outputs: list[Any] = [None] * time
        for t in reversed(range(time)) if backwards else range(time):
            a = x[t] @ w[k].T + b_x
            state = step(call, a, state[0] @ r[k].T + b_h, state, (r[k], b_h))
            outputs[t] = state[0]
        found.append(np.stack(outputs))
        ends.append(state)
    z = np.stack(found, axis=1)
    last = tuple(np.stack(parts) for parts in zip(*ends, strict=True))
    if call.get("layout", 0):
        z = np.transpose(z, (2, 0, 1, 3))
        last = tuple(np.swapaxes(part, 0, 1) for part in last)
    return (z, *last)


def _start(call: Call, at: int, k: int, shape: tuple[int, int], dtype: Any) -> Any:
    """Take the state that is given for a direction, or zeros."""
    given = call.input(at)
    if given is None:
        return np.zeros(shape, dtype)
    return given[:, k] if call.get("layout", 0) else given[k]


RECURRENT: dict[str, Rule] = dict.fromkeys(_KINDS, _recurrent)
