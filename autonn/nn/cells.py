"""One step of a recurrence: from the numbers of now and the state of before to the state of now.

All kinds have the same two products, ``a = x W_ih' + b_ih`` and ``b = h W_hh' + b_hh``, and differ
in what a step makes of them. Names, and the order in which the gates lie in the rows of the
weights, are PyTorch's, so that states can be taken over.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from autonn.checks import one_of, true_or_false, whole
from autonn.engine import ops
from autonn.engine.tensor import Tensor
from autonn.nn.addresses import would_fit
from autonn.nn.init import uniform
from autonn.nn.module import Module, as_tensor, brought


def tanh_step(a: Any, b: Any, h: Any) -> tuple[Any, ...]:
    """Compute ``h = tanh(a + b)``."""
    return (np.tanh(a + b),)


def relu_step(a: Any, b: Any, h: Any) -> tuple[Any, ...]:
    """Compute ``h = max(a + b, 0)``."""
    return (ops.relu(a + b),)


NONLINEARITIES = {"tanh": tanh_step, "relu": relu_step}  # PyTorch's words


def gru_step(a: Any, b: Any, h: Any) -> tuple[Any, ...]:
    """Compute ``h = (1 - z) n + z h``, the gates reset, update and new in this order."""
    a_r, a_z, a_n = np.split(a, 3, axis=-1)
    b_r, b_z, b_n = np.split(b, 3, axis=-1)
    r, z = ops.sigmoid(a_r + b_r), ops.sigmoid(a_z + b_z)
    n = np.tanh(a_n + r * b_n)
    return (n + z * (h - n),)


def lstm_step(a: Any, b: Any, h: Any, c: Any) -> tuple[Any, ...]:
    """Compute ``c = f c + i g`` and ``h = o tanh(c)``, the gates i, f, g, o in this order."""
    i, f, g, o = np.split(a + b, 4, axis=-1)
    c = ops.sigmoid(f) * c + ops.sigmoid(i) * np.tanh(g)
    return ops.sigmoid(o) * np.tanh(c), c


class Recurrence:
    """What cells and layers share: the gates, the step, the parameters and their names."""

    gates: ClassVar[int]  # how many times `units` rows the weights have
    states: ClassVar[int] = 1  # 2 with a memory cell beside h
    adds: ClassVar[bool] = True  # whether a step reads nothing but the sum of the products
    step: Any

    def __init__(self, inputs: int, units: int, bias: bool) -> None:
        called = f"{type(self).__name__}({inputs!r}, {units!r})"
        self.inputs = whole(f"{called}: inputs", inputs)
        self.units = whole(f"{called}: units", units)
        self.bias = true_or_false(f"{called}: bias", bias)

    def draw(self, suffix: str, inputs: int, rng: np.random.Generator, dtype: DTypeLike) -> None:
        """Make the parameters of a suffix, from +-1 / sqrt(units), as PyTorch does."""
        rows = self.gates * self.units
        start = uniform(1 / math.sqrt(self.units))
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, inputs),
            "weight_hh": (rows, self.units),
            "bias_ih": (rows,),
            "bias_hh": (rows,),
        }
        for name, shape in shapes.items():
            drawn = self.bias or name.startswith("weight")
            value = Tensor(start(shape, rng), requires_grad=True, dtype=dtype) if drawn else None
            setattr(self, name + suffix, value)

    def product(self, side: str, suffix: str, x: Any) -> Any:
        """Compute ``x W' + b`` of the inputs, for the side "ih", or of the state, for "hh"."""
        weight = getattr(self, f"weight_{side}{suffix}")
        if not self.bias:
            return ops.matmul(x, weight.T)
        return ops.affine(x, weight, getattr(self, f"bias_{side}{suffix}"))

    def of_inputs(self, suffix: str, x: Any) -> Any:
        """Compute the product of the inputs, with the state's bias too where a step adds it."""
        weight, bias = getattr(self, f"weight_ih{suffix}"), getattr(self, f"bias_ih{suffix}")
        if not (self.bias and self.adds):
            return self.product("ih", suffix, x)
        return ops.affine(x, weight, bias + getattr(self, f"bias_hh{suffix}"))

    def of_state(self, suffix: str, h: Any) -> Any:
        """Compute the product of the state, without what `of_inputs` has added already."""
        if not self.adds:
            return self.product("hh", suffix, h)
        return ops.matmul(h, getattr(self, f"weight_hh{suffix}").T)

    def started(self, state: Any, shape: tuple[int, ...], dtype: Any) -> tuple[Any, ...]:
        """Take a state of this shape, its parts in a tuple; zeros if there is none."""
        if state is None:
            return (np.zeros(shape, dtype),) * self.states
        if self.states == 1:
            parts = (state,)
        elif isinstance(state, tuple | list) and len(state) == self.states:
            parts = tuple(state)
        else:
            raise TypeError(f"{self!r}: the state is a pair (h, c), not {_told(state)}")
        tensors = map(as_tensor, parts)
        found = tuple(t.astype(dtype) if t.dtype.kind == "f" else t for t in tensors)
        for name, part in zip("hc", found, strict=False):
            if part.shape != shape:
                raise ValueError(f"{self!r}: {name} of the state is {part.shape}, expected {shape}")
        return found

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.inputs}, {self.units}{self._settings()})"

    def _settings(self) -> str:
        """Say which settings are not the usual ones."""
        return ", bias=False" * (not self.bias)


def _told(state: Any) -> str:
    """Say what a state is, without its numbers.

    >>> _told(np.zeros(3)), _told((1, 2, 3))
    ('ndarray of shape (3,)', 'tuple of 3')
    """
    kind = type(state).__name__
    if isinstance(state, tuple | list):
        return f"{kind} of {len(state)}"
    return f"{kind} of shape {np.shape(state)}"


class _Cell(Recurrence, Module):
    """A single step, with parameters of its own: a layer's loop for whoever writes it himself."""

    weight_ih: Any
    weight_hh: Any
    bias_ih: Any  # a Tensor, or None
    bias_hh: Any

    def __init__(
        self,
        inputs: int,
        units: int,
        *,
        bias: bool = True,
        rng: np.random.Generator | int | None = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        super().__init__(inputs, units, bias)
        self.draw("", self.inputs, np.random.default_rng(rng), dtype)

    def forward(self, x: Any, state: Any = None) -> Any:
        """Compute the next state from x of shape (m, inputs) and a state, zeros if it is None."""
        x = brought(as_tensor(x), self.weight_hh)
        if x.ndim != 2 or x.shape[1] != self.inputs:
            cure = would_fit(self, x.shape[1], self.units) if x.ndim == 2 else ""
            raise ValueError(f"{self!r} was fed shape {x.shape}; it takes (m, {self.inputs}){cure}")
        a = self.product("ih", "", x)
        parts = self.started(state, (len(x), self.units), a.dtype)
        new = self.step(a, self.product("hh", "", parts[0]), *parts)
        return new if self.states > 1 else new[0]


class RNNCell(_Cell):
    """A step of a plain recurrence, ``h = tanh(x W_ih' + b_ih + h W_hh' + b_hh)``.

    Called with x of shape (m, inputs) and h of shape (m, units), zeros if there is none, it gives
    the new h. Source: Elman (1990), "Finding structure in time".

    Parameters
    ----------
    inputs, units
        How many numbers each example and its state have.
    nonlinearity
        "tanh", or "relu" for ``max(., 0)`` in its place.
    bias
        Whether there are a `bias_ih` and a `bias_hh`; without, both are None.
    rng
        A `numpy.random.Generator`, or a seed for one; the start is drawn from +-1 / sqrt(units).
    dtype
        float64 or float32.

    Raises
    ------
    ValueError, TypeError
        For numbers out of their range; when called, for x or a state of another shape.

    Examples
    --------
    >>> cell = RNNCell(3, 2, rng=0)
    >>> h = cell(np.ones((5, 3)))
    >>> cell(np.ones((5, 3)), h).shape
    (5, 2)
    """

    gates = 1

    def __init__(
        self,
        inputs: int,
        units: int,
        nonlinearity: str = "tanh",
        *,
        bias: bool = True,
        rng: np.random.Generator | int | None = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        super().__init__(inputs, units, bias=bias, rng=rng, dtype=dtype)
        self.nonlinearity = one_of("RNNCell: nonlinearity", nonlinearity, NONLINEARITIES)

    @property
    def step(self) -> Any:
        """What a step makes of the products."""
        return NONLINEARITIES[self.nonlinearity]

    def _settings(self) -> str:
        usual = self.step is tanh_step
        return f", nonlinearity={self.nonlinearity!r}" * (not usual) + super()._settings()


class GRUCell(_Cell):
    """A step of a gated recurrence, which mixes the state with a new one: ``h = (1 - z) n + z h``.

    ``r = s(x W_ir' + b_ir + h W_hr' + b_hr)``, ``z = s(x W_iz' + b_iz + h W_hz' + b_hz)`` and
    ``n = tanh(x W_in' + b_in + r (h W_hn' + b_hn))``, where s is the sigmoid and the weights lie
    below one another as r, z, n. Parameters, shapes and errors are those of `RNNCell`. Source: Cho
    et al. (2014), "Learning phrase representations using RNN encoder-decoder", with r after the
    product as PyTorch has it.

    >>> GRUCell(3, 2, rng=0)(np.ones((5, 3))).shape
    (5, 2)
    """

    gates = 3
    step = staticmethod(gru_step)


class LSTMCell(_Cell):
    """A step of a long short-term memory: ``c = f c + i g`` is kept, ``h = o tanh(c)`` is shown.

    ``i, f, o = s(x W_i' + b_i + h W_h' + b_h)`` and ``g = tanh(...)`` of the same form; each has
    its own weights, which lie below one another as i, f, g, o, and s is the sigmoid. The state that
    it takes and gives is the pair (h, c), each of shape (m, units). Parameters and errors are those
    of `RNNCell`. Sources: Hochreiter and Schmidhuber (1997), "Long short-term memory"; Gers,
    Schmidhuber and Cummins (2000), "Learning to forget".

    >>> h, c = LSTMCell(3, 2, rng=0)(np.ones((5, 3)))
    >>> h.shape, c.shape
    ((5, 2), (5, 2))
    """

    gates = 4
    states = 2
    step = staticmethod(lstm_step)
