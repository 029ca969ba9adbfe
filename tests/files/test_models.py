"""Whole models in a file: every module of the library comes back, bit for bit; the rest is told."""

from __future__ import annotations

import functools
import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tools.refusals import assert_refused

from autonn import (
    BatchNorm1d,
    Conv2d,
    CrossEntropy,
    Dropout,
    Flatten,
    Lambda,
    Layer,
    Module,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
    Tensor,
    fit,
    load_model,
    load_weights,
    nn,
    optim,
    relu,
    save_model,
)
from autonn.files import FileFormatError
from autonn.files.architecture import KINDS
from autonn.files.npz import write_npz

MADE: dict[str, Any] = {
    "Conv1d": lambda: nn.Conv1d(2, 4, 3, stride=2, padding=1, groups=2, bias=False, rng=0),
    "Conv2d": lambda: nn.Conv2d(2, 4, (3, 1), padding="same", dilation=2, rng=0, dtype=np.float32),
    "ConvTranspose2d": lambda: nn.ConvTranspose2d(2, 3, 2, stride=2, output_padding=1, rng=0),
    "MaxPool1d": lambda: nn.MaxPool1d(2), "MaxPool2d": lambda: nn.MaxPool2d(3, 2, 1),
    "AvgPool1d": lambda: nn.AvgPool1d(2), "Embedding": lambda: nn.Embedding(5, 3, padding_idx=1),
    "AvgPool2d": lambda: nn.AvgPool2d((2, 1), count_include_pad=False),
    "BatchNorm": lambda: nn.BatchNorm(3, momentum=0.3),
    "BatchNorm1d": lambda: nn.BatchNorm1d(4, eps=1e-3, momentum=0.2),
    "BatchNorm2d": lambda: nn.BatchNorm2d(2, affine=False),
    "LayerNorm": lambda: nn.LayerNorm((2, 3), dtype=np.float32),
    "GroupNorm": lambda: nn.GroupNorm(2, 4, eps=0.1),
    "Dropout": lambda: nn.Dropout(0.25, rng=3), "ELU": lambda: nn.ELU(0.5),
    "LeakyReLU": lambda: nn.LeakyReLU(0.2), "GELU": lambda: nn.GELU("tanh"),
    "Softmax": lambda: nn.Softmax(1), "LogSoftmax": lambda: nn.LogSoftmax(1),
    "RNN": lambda: nn.RNN(3, 2, "relu", layers=2, bidirectional=True, rng=0),
    "GRU": lambda: nn.GRU(3, 2, bias=False, rng=0), "LSTM": lambda: nn.LSTM(3, 2, rng=0),
    "RNNCell": lambda: nn.RNNCell(3, 2, rng=0), "GRUCell": lambda: nn.GRUCell(3, 2, rng=0),
    "LSTMCell": lambda: nn.LSTMCell(3, 2, bias=False, dtype=np.float32, rng=0),
    "MultiheadAttention": lambda: nn.MultiheadAttention(4, 2, bias=False, rng=0),
    "PositionEncoding": lambda: nn.PositionEncoding(4, 9), "Upsample": lambda: nn.Upsample((2, 3)),
    "Layer": lambda: Layer(3, 2, bias=False, dtype=np.float32), "Lambda": lambda: Lambda(np.tanh),
    "Sequential": lambda: Sequential(Layer(2, 2), [np.exp, relu][0], relu, Sequential(Tanh())),
}  # fmt: skip


def settings(module: Module) -> dict[str, Any]:
    """Return all that a module holds, Tensors as their numbers, generators as their states."""
    found: dict[str, Any] = {}
    for place, part in module.named_modules():
        for name, value in vars(part).items():
            if isinstance(value, np.random.Generator):
                value = json.dumps(value.bit_generator.state, default=np.ndarray.tolist)
            if isinstance(value, Tensor):
                value = (value.requires_grad, value.dtype.name, value.numpy().tolist())
            if isinstance(value, np.ndarray):
                value = value.tolist()
            if name not in ("edits", "modules") and not isinstance(value, Module):
                found[f"{place}.{name}"] = value
    return found


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_module_comes_back_as_it_was(kind: str, tmp_path: Path) -> None:
    model = MADE[kind]() if kind in MADE else KINDS[kind]()
    path = tmp_path / "model.npz"
    save_model(model, path)
    twin = load_model(path)
    assert type(twin) is type(model)
    assert repr(twin) == repr(model)
    assert settings(twin) == settings(model)
    assert all(type(a) is type(b) for a, b in zip(vars(twin).values(), vars(model).values()))  # noqa: B905


def test_each_argument_of_each_constructor_is_tried_beside_its_default() -> None:
    tried = {kind: settings(make()) for kind, make in MADE.items()}
    for kind, module in KINDS.items():
        needed = [p for p in inspect.signature(module).parameters.values() if p.name != "rng"]
        assert not needed or kind in tried, kind


def trained() -> Sequential:
    """Train a model of many kinds for a few steps, with all that training changes."""
    model = Sequential(
        Conv2d(1, 2, 3, rng=0), ReLU(), Flatten(), Layer(32, 6, rng=1), BatchNorm1d(6),
        Dropout(0.3, rng=2), np.tanh, Layer(6, 3, rng=3), Sigmoid(),
    )  # fmt: skip
    X = np.random.default_rng(0).normal(size=(40, 1, 6, 6))
    fit(model, X, np.arange(40) % 3, loss=CrossEntropy(), optimizer=optim.Adam(), epochs=3,
        batch_size=16, seed=0)  # fmt: skip
    return model


def test_a_trained_model_goes_on_as_if_it_had_never_been_away(tmp_path: Path) -> None:
    model, path = trained(), tmp_path / "model.npz"
    model[0].weight.requires_grad = False
    model[4].eval()
    save_model(model, path)
    twin: Any = load_model(path)
    assert twin[0].weight.requires_grad is False
    assert (twin[4].training, twin[5].training) == (False, True)
    X = np.random.default_rng(1).normal(size=(20, 1, 6, 6))
    assert np.array_equal(twin.predict(X), model.predict(X))
    for each in (model, twin):
        fit(each, X, np.arange(20) % 3, loss=CrossEntropy(), optimizer=optim.Adam(), epochs=3)
    for name, array in model.state_dict().items():
        assert np.array_equal(twin.state_dict()[name], array), name
    save_model(model, path)
    other = trained()
    other[0].weight.requires_grad = False
    load_weights(other, path)
    assert np.array_equal(other.predict(X), model.predict(X))
    code = f"import autonn, numpy; print(autonn.load_model({str(path)!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == repr(model)


def test_what_is_shared_is_shared_again(tmp_path: Path) -> None:
    layer, path = Layer(3, 3, rng=0), tmp_path / "model.npz"
    save_model(Sequential(layer, Tanh(), Sequential(layer, Tanh())), path)
    twin: Any = load_model(path)
    assert twin[0] is twin[2][0]
    assert len(twin.parameters()) == 2
    tied = Sequential(Layer(3, 3), Layer(3, 3))
    tied[1].weight = tied[0].weight
    assert_refused(lambda: save_model(tied, path), ValueError, ["1.weight is shared"])


class Own(Module):
    def forward(self, x: Any) -> Any:
        return x


def untold(x: Any) -> Any:
    return x


def test_what_cannot_be_described_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    extra = Sequential(Layer(2, 2))
    extra[0].scale = Tensor(np.ones(2), requires_grad=True)
    nan = Layer(2, 2)
    nan.weight.data = np.full((2, 2), np.nan)

    class ReLU(Own):
        """A module of one's own with the name of a known one."""

    for model, error, words in (
        (Sequential(Sequential(Own())), ValueError, ["Own at '0.0'", "save_weights"]),
        (Sequential(ReLU()), ValueError, ["ReLU at '0'"]),
        (Sequential(Tanh(), untold), ValueError, ["Lambda at '1'", "'untold'", "np.tanh"]),
        (Sequential(lambda x: x), ValueError, ["<lambda>"]),
        (extra, ValueError, ["0.scale", "no constructor"]), (nan, ValueError, ["weight", "nan"]),
        (3, TypeError, ["Module", "3"]),
    ):  # fmt: skip
        given: Any = model
        assert_refused(functools.partial(save_model, given, path), error, words)
    assert_refused(lambda: save_model(Tanh(), tmp_path / "a.pt"), ValueError, [".npz"])
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "none.npz")
    with pytest.raises(FileNotFoundError):
        save_model(Tanh(), tmp_path / "none" / "model.npz")
    assert not list(tmp_path.iterdir())


def written(path: Path, notes: Any, **arrays: Any) -> Path:
    text = notes if isinstance(notes, bytes) else json.dumps(notes).encode()
    named = {name.replace("__", "/"): array for name, array in arrays.items()}
    write_npz(path, {"model": np.frombuffer(text, np.uint8), **named})
    return path


LAYER = {"module": "Layer", "arguments": {"inputs": 1, "outputs": 1, "bias": False}}
HOSTILE: list[tuple[Any, str]] = [
    (b"{", "JSONDecodeError"), ([], "TypeError"), ({"format": 2}, "newer autonn"),
    ({"module": "Module"}, "'Module'"), ({"module": "os"}, "'os'"), ({"module": []}, "TypeError"),
    ({"module": "Layer", "arguments": {"inputs": 1}}, "TypeError"),
    ({"module": "Layer", "arguments": {"inputs": 10**6, "outputs": 10**6}}, "1,000,000 times"),
    ({"module": "LayerNorm", "arguments": {"shape": [10**5, 10**5]}}, "100,000 times"),
    ({"module": "Layer", "arguments": {"inputs": {"a": 1}}}, "inputs is {'a': 1}"),
    ({"module": "Layer", "arguments": {"inputs": -1, "outputs": 2}}, "ValueError"),
    ({"module": "Lambda", "function": "os.system"}, "KeyError"),
    ({"module": "Lambda", "function": "numpy.load"}, "KeyError"),
    ({"module": "Sequential", "modules": [{"same": "9"}]}, "KeyError"),
    ({"module": "Dropout", "arguments": {}, "rng": {"bit_generator": "os"}}, "KeyError"),
    (LAYER, "other arrays"),
]  # fmt: skip


@pytest.mark.parametrize(("told", "word"), HOSTILE, ids=range(len(HOSTILE)))
def test_a_file_of_somebody_elses_runs_nothing_and_is_refused(
    told: Any, word: str, tmp_path: Path
) -> None:
    whole = isinstance(told, dict) and "module" in told
    notes = {"format": 1, "model": told, "frozen": []} if whole else told
    path = written(tmp_path / "model.npz", notes)
    assert_refused(lambda: load_model(path), FileFormatError, [str(path), word])


def test_other_numbers_and_a_deep_nest_are_refused(tmp_path: Path) -> None:
    path, notes = tmp_path / "model.npz", {"format": 1, "model": LAYER, "frozen": []}
    model: Any = load_model(written(path, notes, weights__weight=np.ones((1, 1))))
    assert model.weight.item() == 1.0
    for array in (np.ones((1, 2)), np.ones((1, 1), np.float32), np.full((1, 1), np.inf)):
        written(path, notes, weights__weight=array)
        assert_refused(lambda: load_model(path), FileFormatError, ["weight"])
    deep = b'{"module": "Sequential", "modules": [' * 5000 + b"3" + b"]}" * 5000
    written(path, b'{"format": 1, "frozen": [], "model": ' + deep + b"}")
    assert_refused(lambda: load_model(path), FileFormatError, ["RecursionError"])
