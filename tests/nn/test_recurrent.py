"""Recurrent layers against loops over examples and steps; their lengths, states and directions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracles import sequences
from tools.directions import check_along
from tools.refusals import assert_refused

import autonn
from autonn import (
    GRU,
    LSTM,
    RNN,
    GRUCell,
    Last,
    Layer,
    LSTMCell,
    MeanSquaredError,
    Outputs,
    RNNCell,
    Sequential,
    Tensor,
    compile,
    fit,
    gradients,
    optim,
)
from autonn.engine import scanning
from autonn.nn import cells

Array = NDArray[Any]
KINDS: dict[str, Callable[..., Any]] = {
    "tanh": RNN,
    "relu": functools.partial(RNN, nonlinearity="relu"),
    "GRU": GRU,
    "LSTM": LSTM,
}
CELLS: dict[str, Callable[..., Any]] = {
    "tanh": RNNCell,
    "relu": functools.partial(RNNCell, nonlinearity="relu"),
    "GRU": GRUCell,
    "LSTM": LSTMCell,
}
each = pytest.mark.parametrize("kind", KINDS)


def agree(got: Any, expected: Any, tolerance: float = 1e-12) -> None:
    got = got.data if isinstance(got, Tensor) else got
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


def parts(state: Any) -> tuple[Any, ...]:
    return state if isinstance(state, tuple) else (state,)


def given_state(kind: str, h: Any, c: Any) -> Any:
    return (h, c) if kind == "LSTM" else h


def hold(
    kind: str, seed: int = 0, batch: int = 3, time: int = 4, layers: int = 1, both: bool = True,
    bias: bool = True,
) -> None:  # fmt: skip
    """Demand outputs and last states as by loops, from a given state, each to its own length."""
    rng = np.random.default_rng(seed)
    options = {"layers": layers, "bidirectional": both, "bias": bias}
    layer = KINDS[kind](2, 3, **options, rng=seed)
    x = rng.standard_normal((batch, time, 2))
    h, c = rng.standard_normal((2, layers * (1 + both), batch, 3))
    lengths = rng.integers(0, time + 1, batch)
    for given_lengths in (None, lengths):
        steps = [time] * batch if given_lengths is None else lengths.tolist()
        expected = sequences.recurrent(
            kind, layer.state_dict(), x, (h, c), steps, layers, 1 + both
        )  # fmt: skip
        outputs, last = layer(x, given_state(kind, h, c), lengths=given_lengths)
        agree(outputs, expected[0])
        for got, wanted in zip(parts(last), expected[1:], strict=False):
            agree(got, wanted)


# ---- the formulas


@given(
    kind=st.sampled_from(list(KINDS)), seed=st.integers(0, 2**32 - 1), batch=st.integers(1, 3),
    time=st.integers(1, 5), layers=st.integers(1, 2), both=st.booleans(), bias=st.booleans(),
)  # fmt: skip
def test_a_layer_is_the_loop_over_its_steps(kind: str, seed: int, **sizes: Any) -> None:
    hold(kind, seed, **sizes)


@each
def test_a_cell_is_one_step_of_the_layer_and_no_state_is_zeros(kind: str) -> None:
    layer, cell = KINDS[kind](2, 3, rng=0), CELLS[kind](2, 3, rng=0)
    assert [f"{name}_l0" for name in cell.state_dict()] == list(layer.state_dict())
    x = np.random.default_rng(0).standard_normal((4, 3, 2))
    outputs, last = layer(x)
    state: Any = None
    for t in range(3):
        state = cell(x[:, t], state)
        agree(parts(state)[0], outputs.data[:, t])
    for got, wanted in zip(parts(state), parts(last), strict=True):
        agree(got, wanted.data[0])


@each
def test_a_sequence_may_be_read_in_parts(kind: str) -> None:
    layer = KINDS[kind](2, 3, layers=2, rng=0)
    x = np.random.default_rng(0).standard_normal((2, 7, 2))
    whole, end = layer(x)
    first, state = layer(x[:, :3])
    second, state = layer(x[:, 3:], state)
    agree(np.concatenate([first, second], axis=1), whole.data)
    for got, wanted in zip(parts(state), parts(end), strict=True):
        agree(got, wanted.data)


@each
def test_what_is_beyond_the_lengths_changes_nothing(kind: str) -> None:
    layer = KINDS[kind](2, 3, layers=2, bidirectional=True, rng=0)
    x = np.random.default_rng(0).standard_normal((3, 4, 2))
    lengths = np.array([4, 2, 0])
    other = np.where(np.arange(4)[:, None] < lengths[:, None, None], x, np.nan)
    found = []
    for rows in (x, other):
        t = Tensor(rows, requires_grad=True)
        layer.zero_grad()
        outputs, state = layer(t, None, lengths)
        (np.sum(np.sin(outputs)) + sum(np.sum(np.sin(part)) for part in parts(state))).backward()
        found.append([outputs.data, t.grad, *(p.grad for p in layer.parameters())])
        alone, _ = layer(rows[1:2, :2])
        agree(outputs.data[1:2, :2], alone.data)
    assert not found[0][0][1, 2:].any()
    assert not found[0][1][1, 2:].any()
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


# ---- gradients, programs, dtypes


@each
def test_gradients_are_the_slopes_of_the_loop(kind: str) -> None:
    rng = np.random.default_rng(1)
    layer = KINDS[kind](2, 2, bidirectional=True, rng=1)
    x, factor = rng.standard_normal((2, 3, 2)), rng.standard_normal((2, 3, 4))
    h, c = rng.standard_normal((2, 2, 2, 2))
    lengths = [3, 2]
    names = list(layer.state_dict())

    def slow(x: Any, h: Any, c: Any, *arrays: Any) -> Any:
        named = dict(zip(names, arrays, strict=True))
        outputs, h, c = sequences.recurrent(kind, named, x, (h, c), lengths, 1, 2)
        return (outputs * factor).sum() + (h * h).sum() + (c * c * (kind == "LSTM")).sum()

    leaves = [Tensor(a, requires_grad=True) for a in (x, h, c)]
    outputs, state = layer(leaves[0], given_state(kind, *leaves[1:]), lengths)
    total: Any = np.sum(outputs * factor)
    for part in parts(state):
        total = total + np.sum(part * part)
    total.backward()
    wanted = sequences.slopes(slow, [x, h, c, *layer.state_dict().values()])
    for leaf, slope in zip([*leaves, *layer.parameters()], wanted, strict=True):
        agree(np.zeros(leaf.shape) if leaf.grad is None else leaf.grad, slope, 1e-11)


@each
def test_second_derivatives_are_those_of_the_first(kind: str) -> None:
    layer = KINDS[kind](1, 1 if kind == "LSTM" else 2, rng=0)
    x = np.random.default_rng(0).standard_normal((2, 2, 1))

    def f(x: Any, w: Any, b: Any) -> Any:
        layer.weight_hh_l0, layer.bias_hh_l0 = w, b
        return np.sin(layer(x, None, [2, 1])[0])

    arrays = x, layer.weight_hh_l0.data, layer.bias_hh_l0.data
    check_along(f, *arrays)


def step_of(layer: Any) -> Callable[..., Any]:
    def step(x: Any, lengths: Any, h: Any, c: Any) -> Any:
        state = (h, c) if isinstance(layer, LSTM) else h
        outputs, state = layer(x, state, lengths)
        cost = np.mean(np.square(outputs)) + np.mean(np.sin(parts(state)[-1]))
        return cost.detach(), gradients(cost, layer.parameters())

    return step


@each
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_compiled_step_is_the_eager_one_and_keeps_the_dtype(kind: str, dtype: Any) -> None:
    rng = np.random.default_rng(0)
    step = step_of(KINDS[kind](2, 3, bidirectional=True, rng=0, dtype=dtype))
    program = compile(step)
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    for lengths in ([3, 1, 2], [0, 3, 3]):  # data of the program, no part of it
        x = rng.standard_normal((3, 3, 2)).astype(dtype)
        h, c = rng.standard_normal((2, 2, 3, 3)).astype(dtype)
        (cost, grads), (expected, others) = (f(x, np.array(lengths), h, c) for f in (program, step))
        assert cost.item() == pytest.approx(expected.item(), rel=10 * tolerance)
        for got, wanted in zip(grads, others, strict=True):
            assert np.asarray(got).dtype == np.asarray(wanted).dtype == dtype
            agree(np.asarray(got), np.asarray(wanted), tolerance)
    assert "autonn" not in program.source.split('"""')[2]


def test_value_and_grad_of_a_layer_is_compiled() -> None:
    layer = GRU(2, 3, rng=0)
    x = np.random.default_rng(0).standard_normal((2, 4, 2))

    def cost(x: Any) -> Any:
        return np.sum(np.square(layer(x)[0]))

    f = autonn.value_and_grad(cost)
    (value, slope), (expected, other) = compile(f)(x), f(x)
    assert float(value) == pytest.approx(float(expected), rel=1e-13)
    agree(slope, other.data)


@each
def test_float32_stays_float32(kind: str) -> None:
    layer = KINDS[kind](2, 3, layers=2, rng=0, dtype=np.float32)
    x = np.ones((2, 3, 2), np.float32)
    for lengths in (None, [3, 1]):
        outputs, state = layer(x, lengths=lengths)
        assert {outputs.dtype, *(part.dtype for part in parts(state))} == {np.dtype(np.float32)}


def test_networks_of_them_learn_and_are_saved(tmp_path: Path) -> None:
    """Whether the first number of a sequence was positive is told after the last."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 5, 1))
    y = np.sign(x[:, 0])
    model = Sequential(LSTM(1, 8, rng=0), Last(), Layer(8, 1, rng=1))
    history = fit(
        model, x, y, loss=MeanSquaredError(), optimizer=optim.Adam(lr=0.03), epochs=25,
        batch_size=32, seed=0,
    )  # fmt: skip
    assert history.cost[-1] < 0.3 * history.cost[0]
    autonn.save_weights(model, tmp_path / "net.npz")
    other = Sequential(LSTM(1, 8), Last(), Layer(8, 1))
    autonn.load_weights(other, tmp_path / "net.npz")
    np.testing.assert_array_equal(other.predict(x), model.predict(x))


# ---- what is passed on, names, initial values


def test_outputs_and_last_take_their_part() -> None:
    x = np.random.default_rng(0).standard_normal((2, 4, 3))
    for layer in (
        RNN(3, 2, rng=0), GRU(3, 2, layers=2, rng=0), LSTM(3, 2, layers=2, bidirectional=True)
    ):  # fmt: skip
        outputs, _ = layer(x)
        agree(Sequential(layer, Outputs())(x), outputs.data)
        ends = [outputs.data[:, -1, :2], outputs.data[:, 0, 2:]]  # what each read last
        agree(Sequential(layer, Last())(x), np.concatenate(ends, axis=-1))
        got: Any = Sequential(layer).predict(x)
        assert isinstance(got, tuple)
        np.testing.assert_array_equal(got[0], outputs.data)


def test_parameters_have_the_names_shapes_and_start_that_pytorch_has() -> None:
    layer = LSTM(3, 5, layers=2, bidirectional=True, rng=0)
    names = "weight_ih", "weight_hh", "bias_ih", "bias_hh"
    ends = "_l0", "_l0_reverse", "_l1", "_l1_reverse"
    state = layer.state_dict()
    assert list(state) == [name + end for end in ends for name in names]
    assert [state[f"weight_ih{end}"].shape for end in ends] == [
        (20, 3),
        (20, 3),
        (20, 10),
        (20, 10),
    ]
    assert state["weight_hh_l0"].shape == (20, 5)
    assert state["bias_hh_l1_reverse"].shape == (20,)
    assert [p.ndim for p in layer.weights()] == [2] * 8
    for array in state.values():
        assert 0.5 / np.sqrt(5) < np.abs(array).max() <= 1 / np.sqrt(5)
    assert GRU(3, 5).state_dict()["weight_hh_l0"].shape == (15, 5)
    assert list(RNN(3, 5, bias=False).state_dict()) == ["weight_ih_l0", "weight_hh_l0"]
    first, second = (kind(3, 5, rng=3).parameters()[-1].data for kind in (GRU, GRUCell))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    "text",
    [
        "RNN(2, 3)",
        "RNN(2, 3, nonlinearity='relu', layers=2, bidirectional=True, bias=False)",
        "GRU(2, 3, bias=False)",
        "LSTM(2, 3, layers=3)",
        "RNNCell(2, 3, nonlinearity='relu')",
        "LSTMCell(2, 3, bias=False)",
        "Last()",
        "Outputs()",
    ],
)
def test_a_layer_is_shown_as_it_is_called(text: str) -> None:
    assert repr(eval(text)) == text


def test_an_empty_batch_and_whole_numbers_are_read() -> None:
    assert GRU(2, 3)(np.zeros((0, 4, 2)))[0].shape == (0, 4, 3)
    assert LSTM(2, 3)(np.ones((1, 4, 2), int))[0].dtype == np.float64


# ---- bad calls

X, S = np.ones((2, 4, 3)), np.ones((1, 2, 5))
BAD: list[tuple[Callable[[], Any], type[Exception], list[str]]] = [
    (lambda: LSTM(0, 5), ValueError, ["LSTM(0, 5)", "inputs", "at least 1"]),
    (lambda: GRU(3, 2.5), TypeError, ["GRU(3, 2.5)", "units", "whole"]),  # type: ignore[arg-type]
    (lambda: GRU(3, 5, layers=0), ValueError, ["GRU: layers", "at least 1"]),
    (lambda: GRU(3, 5, bidirectional=2), TypeError, ["bidirectional", "True or False"]),  # type: ignore[arg-type]
    (lambda: LSTM(3, 5, bias=None), TypeError, ["bias", "True or False"]),  # type: ignore[arg-type]
    (lambda: RNN(3, 5, "sigmoid"), ValueError, ["RNN: nonlinearity", "'tanh' or 'relu'"]),
    (lambda: RNNCell(3, 5, "sigmoid"), ValueError, ["RNNCell: nonlinearity", "'sigmoid'"]),
    (lambda: LSTM(4, 5)(X), ValueError, ["LSTM(4, 5)", "(2, 4, 3)", "(batch, time, 4)"]),
    (lambda: LSTM(3, 5)(X[0]), ValueError, ["(4, 3)", "x[None]"]),
    (lambda: LSTM(1, 5)(X[0]), ValueError, ["(4, 3)", "x[..., None]"]),
    (lambda: LSTM(1, 5)(X[0][:, :1]), ValueError, ["(4, 1)", "x[None]"]),
    (lambda: LSTM(3, 5)(X[:, :0]), ValueError, ["(2, 0, 3)", "one step at least"]),
    (lambda: LSTM(3, 5)(X, S), TypeError, ["LSTM(3, 5)", "a pair (h, c)", "shape (1, 2, 5)"]),
    (lambda: LSTM(3, 5)(X, (S, S, S)), TypeError, ["a pair (h, c)", "tuple of 3"]),
    (lambda: LSTM(3, 5)(X, (S, S[0])), ValueError, ["c of the state", "(2, 5)", "(1, 2, 5)"]),
    (lambda: GRU(3, 5, layers=2)(X, S), ValueError, ["h of the state", "(1, 2, 5)", "(2, 2, 5)"]),
    (lambda: GRU(3, 5)(X, None, [4]), ValueError, ["lengths", "(1,)", "(2,)"]),
    (lambda: GRU(3, 5)(X, None, [4, 5]), ValueError, ["lengths", "from 0 to 4", "not 5"]),
    (lambda: GRU(3, 5)(X, None, [-1, 5]), ValueError, ["lengths", "from 0 to 4", "not -1"]),
    (lambda: GRU(3, 5)(X, None, [4.0, 5]), TypeError, ["lengths", "whole numbers", "float64"]),
    (lambda: GRUCell(3, 5)(X), ValueError, ["GRUCell(3, 5)", "(2, 4, 3)", "(m, 3)"]),
    (lambda: LSTMCell(3, 5)(X[0], S), TypeError, ["LSTMCell(3, 5)", "pair (h, c)"]),
    (
        lambda: Sequential(LSTM(3, 5), Layer(5, 1))(X),
        TypeError,
        ["Layer(5, 1)", "2 results of LSTM(3, 5)", "Outputs() or Last()"],
    ),
    (lambda: Last()(X), TypeError, ["Last", "the pair of outputs and state", "ndarray"]),
    (lambda: Outputs()(Tensor(X)), TypeError, ["Outputs", "Tensor", "right after"]),
]


@pytest.mark.parametrize(("call", "error", "words"), BAD, ids=range(len(BAD)))
def test_bad_calls_say_what_came_and_what_to_do(
    call: Callable[[], Any], error: type[Exception], words: list[str]
) -> None:
    assert_refused(call, error, words)


# ---- what is wrong is seen


def other_gates(*order: int) -> Any:
    """Take the gates in another order."""

    def wrong(a: Any, b: Any, *state: Any) -> Any:
        a, b = (np.concatenate([np.split(v, len(order), -1)[k] for k in order], -1) for v in (a, b))
        right: Any = cells.lstm_step if len(state) == 2 else cells.gru_step
        return right(a, b, *state)

    return staticmethod(wrong)


def reset_first(a: Any, b: Any, h: Any) -> Any:
    """Let the bias of the state escape the reset gate, as it does where r h is multiplied."""
    r, z, n = (u + v for u, v in zip(np.split(a, 3, -1), np.split(b, 3, -1), strict=True))
    z = autonn.sigmoid(z)
    return ((1 - z) * np.tanh(n * autonn.sigmoid(r)) + z * h,)


scan_steps = scanning.steps_of
WRONG: list[tuple[str, Any, str, Any]] = [
    ("LSTM", LSTM, "step", other_gates(1, 0, 2, 3)),
    ("LSTM", LSTM, "step", other_gates(0, 1, 3, 2)),
    ("GRU", GRU, "step", other_gates(1, 0, 2)),
    ("GRU", GRU, "step", staticmethod(reset_first)),
    ("tanh", RNN, "step", staticmethod(cells.relu_step)),
    ("tanh", scanning, "reversed", lambda order: order),
    ("tanh", scanning, "steps_of", lambda x: scan_steps(x)[::-1]),
    ("GRU", GRU, "_valid", lambda self, lengths, batch, time: None),
    ("GRU", GRU, "_valid", lambda self, *args: inverted(RNN._valid(self, *args))),
]


def inverted(valid: Any) -> Any:
    return None if valid is None else ~valid


def test_the_right_ones_hold() -> None:
    for kind in KINDS:
        hold(kind)


@pytest.mark.parametrize(("kind", "thing", "name", "wrong"), WRONG, ids=range(len(WRONG)))
def test_a_planted_fault_is_caught(kind: str, thing: Any, name: str, wrong: Any) -> None:
    had = name in vars(thing)
    before = vars(thing).get(name)
    setattr(thing, name, wrong)
    try:
        with pytest.raises(AssertionError):
            hold(kind)
    finally:
        if had:
            setattr(thing, name, before)
        else:
            delattr(thing, name)
