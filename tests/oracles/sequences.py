"""Recurrent layers and attention by their formulas, one example and one step at a time.

Everything takes complex numbers too, so that slopes can be had by a complex step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
State = Mapping[str, Array]  # parameters by name


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def relu(x: Array) -> Array:
    return np.where(x.real > 0, x, 0)


def _row(p: State, side: str, gate: int, suffix: str, x: Array, units: int) -> Array:
    """Multiply by the rows of one gate, a unit at a time."""
    z = []
    for k in range(gate * units, (gate + 1) * units):
        total = sum(w * v for w, v in zip(p[f"weight_{side}{suffix}"][k], x, strict=True))
        bias = p.get(f"bias_{side}{suffix}")
        z.append(total + (0 if bias is None else bias[k]))
    return np.array(z)


def step(kind: str, p: State, suffix: str, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
    """Take one example one step further."""
    n = len(h)

    def a(gate: int) -> Array:
        return _row(p, "ih", gate, suffix, x, n)

    def b(gate: int) -> Array:
        return _row(p, "hh", gate, suffix, h, n)

    if kind == "LSTM":
        i, f, o = (sigmoid(a(k) + b(k)) for k in (0, 1, 3))
        c = f * c + i * np.tanh(a(2) + b(2))
        return o * np.tanh(c), c
    if kind == "GRU":
        r, z = sigmoid(a(0) + b(0)), sigmoid(a(1) + b(1))
        return (1 - z) * np.tanh(a(2) + r * b(2)) + z * h, c
    return (np.tanh if kind == "tanh" else relu)(a(0) + b(0)), c


def recurrent(
    kind: str,
    p: State,
    x: Array,
    starts: tuple[Array, Array],
    lengths: Sequence[int],
    layers: int = 1,
    directions: int = 1,
) -> tuple[Array, Array, Array]:
    """Read the sequences, each to its own end: outputs, and all last h and c."""
    batch, time, _ = x.shape
    units = starts[0].shape[-1]
    dtype = np.result_type(x, *p.values(), *starts)
    ends = np.array(starts[0], dtype), np.array(starts[1], dtype)
    outputs = np.zeros((batch, time, directions * units), dtype)
    for m in range(batch):
        below = list(x[m])
        for k in range(layers):
            above = np.zeros((time, directions * units), dtype)
            for d in range(directions):
                suffix = f"_l{k}" + "_reverse" * d
                row = k * directions + d
                h, c = starts[0][row, m], starts[1][row, m]
                steps = range(lengths[m])
                for t in steps[::-1] if d else steps:
                    h, c = step(kind, p, suffix, below[t], h, c)
                    above[t, d * units : (d + 1) * units] = h
                ends[0][row, m], ends[1][row, m] = h, c
            below = list(above)
        outputs[m] = below
    return outputs, *ends


def attention(p: State, query: Array, key: Array, value: Array, heads: int, may: Array) -> Array:
    """Let each place of each example look, head by head; may is (batch, heads, queries, keys)."""
    width = query.shape[-1]
    d = width // heads
    w = p["in_proj_weight"]
    b = p.get("in_proj_bias", np.zeros(3 * width))
    out = np.zeros(query.shape, np.result_type(query, key, value, *p.values()))
    for m in range(len(query)):
        q, k, v = (
            np.array([w[j * width : (j + 1) * width] @ row + b[j * width : (j + 1) * width]
                      for row in rows[m]])
            for j, rows in enumerate((query, key, value))
        )  # fmt: skip
        for i in range(len(q)):
            found = []
            for head in range(heads):
                at = slice(head * d, (head + 1) * d)
                seen = [j for j in range(len(k)) if may[m, head, i, j]]
                scores = np.array([(q[i, at] * k[j, at]).sum() / math.sqrt(d) for j in seen])
                total = np.zeros(d, out.dtype)
                if seen:
                    shares = np.exp(scores - scores.real.max())
                    shares = shares / shares.sum()
                    for share, j in zip(shares, seen, strict=True):
                        total = total + share * v[j, at]
                found.append(total)
            out[m, i] = p["out_proj.weight"] @ np.concatenate(found)
            out[m, i] += p.get("out_proj.bias", np.zeros(width))
    return out


def positions(length: int, width: int) -> Array:
    """Give sine and cosine of pos / 10000^(2i / width), in turn."""
    table = np.zeros((length, width))
    for pos in range(length):
        for k in range(width):
            angle = pos / 10000 ** ((k - k % 2) / width)
            table[pos, k] = math.cos(angle) if k % 2 else math.sin(angle)
    return table


def slopes(f: Any, arrays: Sequence[Array], step: float = 1e-30) -> list[Array]:
    """Differentiate a number by each entry of each array, by a complex step."""
    found = []
    for n, array in enumerate(arrays):
        slope = np.zeros(array.shape)
        for at in np.ndindex(*array.shape):
            bent = [a.astype(complex) if k == n else a for k, a in enumerate(arrays)]
            bent[n][at] += 1j * step
            slope[at] = complex(f(*bent)).imag / step
        found.append(slope)
    return found
