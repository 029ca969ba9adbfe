"""Recurrent layers: sequences read step by step, with a state that remembers what came before.

The inputs of all steps are multiplied in one product, and get both biases where a step only adds
them; then comes the loop over the steps, `scan`, with the product of the state. A program keeps it
as a loop.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from autonn.checks import one_of, plain, true_or_false, whole
from autonn.engine.ops.safe import is_known
from autonn.engine.scanning import scan
from autonn.engine.tensor import Tensor
from autonn.nn.addresses import would_fit
from autonn.nn.cells import NONLINEARITIES, Recurrence, gru_step, lstm_step, tanh_step
from autonn.nn.module import Module, as_tensor, brought


class _Layer(Recurrence, Module):
    """What the layers share: the loop over steps, the directions, and the layers on each other."""

    weight_hh_l0: Any

    def __init__(
        self,
        inputs: int,
        units: int,
        *,
        layers: int = 1,
        bidirectional: bool = False,
        bias: bool = True,
        rng: np.random.Generator | int | None = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        super().__init__(inputs, units, bias)
        name = type(self).__name__
        self.layers = whole(f"{name}: layers", layers)
        self.bidirectional = true_or_false(f"{name}: bidirectional", bidirectional)
        generator = np.random.default_rng(rng)
        directions = 1 + self.bidirectional
        for k in range(self.layers):
            width = directions * self.units if k else self.inputs
            for suffix in self._suffixes(k):
                self.draw(suffix, width, generator, dtype)

    def _suffixes(self, k: int) -> tuple[str, ...]:
        """Name the directions of a layer, as PyTorch does."""
        return (f"_l{k}", f"_l{k}_reverse")[: 1 + self.bidirectional]

    def forward(self, x: Any, state: Any = None, lengths: Any = None) -> Any:
        """Read the sequences, and give the outputs of all steps and the last state."""
        x = brought(as_tensor(x), self.weight_hh_l0)
        if x.ndim != 3 or x.shape[2] != self.inputs or not x.shape[1]:
            cure = "; one sequence alone is x[None]" if x.ndim == 2 else ""
            if x.ndim == 2 and self.inputs == 1 != x.shape[1]:
                cure = "; sequences of one number a step are x[..., None]"
            if x.ndim == 3 and x.shape[2] != self.inputs:
                cure = would_fit(self, x.shape[2], self.units)
            raise ValueError(
                f"{self!r} was fed shape {x.shape}; it takes (batch, time, {self.inputs}), of one "
                f"step at least{cure}"
            )
        batch, time, _ = x.shape
        z: Any = np.swapaxes(x, 0, 1)
        valid = self._valid(lengths, batch, time)
        if valid is not None:
            z = np.where(valid, z, 0)  # a NaN there would be one in the gradient of the weights
        count = self.layers * (1 + self.bidirectional)
        dtype = np.result_type(x.dtype, self.weight_hh_l0.dtype)
        starts = self.started(state, (count, batch, self.units), dtype)
        ends: list[tuple[Any, ...]] = []
        for k in range(self.layers):
            found = []
            for suffix in self._suffixes(k):
                start = tuple(part[len(ends)] for part in starts)
                outputs, end = self._read(z, start, valid, suffix)
                found.append(outputs)
                ends.append(end)
            z = np.concatenate(found, axis=-1)
        last = tuple(np.stack(parts) for parts in zip(*ends, strict=True))
        return np.swapaxes(z, 0, 1), (last if self.states > 1 else last[0])

    def _read(self, x: Any, state: tuple[Any, ...], valid: Any, suffix: str) -> tuple[Any, Any]:
        """Go through x of shape (time, batch, ...) in one direction, step by step."""
        products = self.of_inputs(suffix, x)

        def step(state: Any, a: Any) -> tuple[Any, Any]:
            now, goes_on = a if masked else (a, True)
            new = self.step(now, self.of_state(suffix, state[0]), *state)
            if masked:  # where the sequence has ended, the state stays
                new = tuple(np.where(goes_on, n, s) for n, s in zip(new, state, strict=True))
            return new, new[0]

        masked = valid is not None
        given = (products, valid) if masked else products
        state, h = scan(step, state, given, reverse=suffix.endswith("_reverse"))
        return (np.where(valid, h, 0) if masked else h), state

    def _valid(self, lengths: Any, batch: int, time: int) -> Any:
        """Say which steps belong to each sequence, in shape (time, batch, 1)."""
        if lengths is None:
            return None
        name = f"{self!r}: lengths"
        n = lengths if isinstance(lengths, Tensor) else plain(name, lengths)
        if n.dtype.kind not in "iu":
            raise TypeError(f"{name} are whole numbers, not {n.dtype}; .astype(int) makes them")
        if n.shape != (batch,):
            raise ValueError(f"{name} have shape {n.shape}, expected ({batch},), one a sequence")
        if is_known(n):
            values = np.asarray(n.data if isinstance(n, Tensor) else n)
            wrong = values[(values < 0) | (values > time)]
            if wrong.size:
                raise ValueError(f"{name} are from 0 to {time}, the steps of x, not {wrong[0]}")
        return np.arange(time)[:, None, None] < np.reshape(n, (1, batch, 1))

    def _settings(self) -> str:
        layers = f", layers={self.layers}" if self.layers > 1 else ""
        return layers + ", bidirectional=True" * self.bidirectional + super()._settings()


class RNN(_Layer):
    """A plain recurrent layer, ``h_t = tanh(x_t W_ih' + b_ih + h_(t-1) W_hh' + b_hh)``.

    ``layer(x, state=None, lengths=None)`` takes x of shape (batch, time, inputs) and gives the pair
    of the outputs h_1 ... h_T, (batch, time, units), and the last state, (layers, batch, units),
    which may be given to the next call. In a `Sequential`, `Outputs` or `Last` after it takes what
    is to be passed on. With `lengths` of shape (batch,), whole numbers from 0 to time, each
    sequence ends by itself: later steps leave the state as it is, and the outputs there are 0.

    Of several layers each reads the outputs of the one below. With ``bidirectional=True`` another
    set of weights, whose names end in ``_reverse``, reads from the last step to the first; the
    outputs lie beside one another, (batch, time, 2 units), and the state has twice as many rows:
    forwards and reverse of the first layer, then of the next. Source: Elman (1990), "Finding
    structure in time"; Schuster and Paliwal (1997), "Bidirectional recurrent neural networks".

    Parameters
    ----------
    inputs, units
        How many numbers each step has, and how many the state.
    nonlinearity
        "tanh", or "relu" for ``max(., 0)`` in its place.
    layers
        How many lie on each other; the parameters of the k-th, from 0, end in ``_l{k}``.
    bidirectional
        Whether the sequences are read backwards too.
    bias
        Whether there are biases; without, the attributes are None.
    rng
        A `numpy.random.Generator`, or a seed for one; the start is drawn from +-1 / sqrt(units).
    dtype
        float64 or float32.

    Raises
    ------
    ValueError, TypeError
        For numbers out of their range; when called, for x, a state or lengths of another shape,
        and for lengths that are not whole numbers from 0 to time.

    Examples
    --------
    >>> layer = RNN(3, 2, rng=0)
    >>> outputs, state = layer(np.ones((5, 7, 3)))
    >>> outputs.shape, state.shape
    ((5, 7, 2), (1, 5, 2))
    >>> list(layer.state_dict())
    ['weight_ih_l0', 'weight_hh_l0', 'bias_ih_l0', 'bias_hh_l0']
    >>> more, state = layer(np.ones((5, 4, 3)), state)
    """

    gates = 1

    def __init__(
        self,
        inputs: int,
        units: int,
        nonlinearity: str = "tanh",
        *,
        layers: int = 1,
        bidirectional: bool = False,
        bias: bool = True,
        rng: np.random.Generator | int | None = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        super().__init__(
            inputs, units, layers=layers, bidirectional=bidirectional, bias=bias, rng=rng,
            dtype=dtype,
        )  # fmt: skip
        self.nonlinearity = one_of("RNN: nonlinearity", nonlinearity, NONLINEARITIES)

    @property
    def step(self) -> Any:
        """What a step makes of the products."""
        return NONLINEARITIES[self.nonlinearity]

    def _settings(self) -> str:
        usual = self.step is tanh_step
        return f", nonlinearity={self.nonlinearity!r}" * (not usual) + super()._settings()


class GRU(_Layer):
    """A gated recurrent layer, whose state is mixed with a new one: ``h = (1 - z) n + z h_(t-1)``.

    ``r = s(x W_ir' + b_ir + h W_hr' + b_hr)``, ``z = s(x W_iz' + b_iz + h W_hz' + b_hz)`` and
    ``n = tanh(x W_in' + b_in + r (h W_hn' + b_hn))`` with the h of the step before, where s is the
    sigmoid and the weights lie below one another as r, z, n. Parameters, shapes, calls and errors
    are those of `RNN`, but for the nonlinearity. Source: Cho et al. (2014), "Learning phrase
    representations using RNN encoder-decoder", with r after the product as PyTorch has it.

    >>> outputs, state = GRU(3, 2, bidirectional=True, rng=0)(np.ones((5, 7, 3)))
    >>> outputs.shape, state.shape
    ((5, 7, 4), (2, 5, 2))
    """

    gates = 3
    adds = False  # r is multiplied with a part of one of them
    step = staticmethod(gru_step)


class LSTM(_Layer):
    """A long short-term memory layer: ``c = f c_(t-1) + i g`` is kept, ``h = o tanh(c)`` is shown.

    ``i, f, o = s(x W_i' + b_i + h W_h' + b_h)`` and ``g = tanh(...)`` of the same form, with the h
    of the step before; each has its own weights, which lie below one another as i, f, g, o, and s
    is the sigmoid. The state that is taken and given is the pair (h, c). Parameters, shapes, calls
    and errors are those of `RNN`, but for the nonlinearity. Sources: Hochreiter and Schmidhuber
    (1997), "Long short-term memory"; Gers, Schmidhuber and Cummins (2000), "Learning to forget".

    >>> outputs, (h, c) = LSTM(3, 2, layers=2, rng=0)(np.ones((5, 7, 3)), lengths=[7, 7, 4, 2, 1])
    >>> outputs.shape, h.shape, c.shape
    ((5, 7, 2), (2, 5, 2), (2, 5, 2))
    """

    gates = 4
    states = 2
    step = staticmethod(lstm_step)


class Outputs(Module):
    """Takes the outputs of all steps from what a recurrent layer gives, and leaves the state.

    >>> from autonn import Layer, Sequential
    >>> model = Sequential(GRU(3, 8, rng=0), Outputs(), Layer(8, 2))
    >>> model(np.ones((5, 7, 3))).shape
    (5, 7, 2)
    """

    def forward(self, x: Any) -> Tensor:
        """Return the first of the pair."""
        return as_tensor(_pair("Outputs", x)[0])


class Last(Module):
    """Takes the state h after the last step from what a recurrent layer gives, of its last layer.

    It is (batch, units), or (batch, 2 units) with both directions side by side, each after the last
    step that it read.

    >>> from autonn import Layer, Sequential
    >>> model = Sequential(LSTM(3, 8, bidirectional=True, rng=0), Last(), Layer(16, 2))
    >>> model(np.ones((5, 7, 3))).shape
    (5, 2)
    """

    def forward(self, x: Any) -> Tensor:
        """Return the last rows of the state, one for each direction."""
        outputs, state = _pair("Last", x)
        h: Any = state[0] if isinstance(state, tuple) else state
        directions = outputs.shape[-1] // h.shape[-1]
        return as_tensor(np.concatenate([h[k - directions] for k in range(directions)], axis=-1))


def _pair(name: str, x: Any) -> Any:
    """Demand what a recurrent layer gives."""
    if not (isinstance(x, tuple) and len(x) == 2):
        raise TypeError(
            f"{name} takes what a recurrent layer gives, the pair of outputs and state, not "
            f"{type(x).__name__}; put it right after an RNN, a GRU or an LSTM"
        )
    return x
