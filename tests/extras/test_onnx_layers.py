"""Every layer of the library goes out as ONNX, and normalisations as the nodes that tools know."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from tools.exit_networks import trained
from tools.onnx_files import furthest

from autonn import grad, nn
from autonn.exits.onnx_export import onnx_model
from autonn.exits.onnx_import import OnnxModule

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

ROW, PLACES, PICTURE = (6,), (6, 10), (4, 5, 4)
Case = tuple[Any, tuple[int, ...]]


class Cell(nn.Module):
    """A cell for one step, from a state that is a share of x."""

    def __init__(self, cell: Any) -> None:
        self.cell = cell

    def forward(self, x: Any) -> Any:
        state = x[:, :3] * 0.5
        z = self.cell(x, (state, state) if type(self.cell) is nn.LSTMCell else state)
        return z[0] if isinstance(z, tuple) else z


def sequence(kind: Any, *settings: Any, **more: Any) -> Case:
    return nn.Sequential(kind(10, 3, *settings, rng=0, **more), nn.Outputs()), PLACES


# By layer, networks of it, each with the shape of a row; of whole numbers where they are asked for.
LAYERS: dict[str, list[Case]] = {
    "Layer": [(nn.Layer(6, 3, rng=0), ROW), (nn.Layer(10, 3, rng=0), PLACES)],
    "Linear": [(nn.Linear(6, 3, bias=False, rng=0), ROW)],
    **{name: [(getattr(nn, name)(), ROW), (getattr(nn, name)(), PLACES)] for name in (
        "ELU", "GELU", "LeakyReLU", "LogSoftmax", "ReLU", "SiLU", "Sigmoid", "Softmax", "Softplus",
        "Tanh", "Identity")},
    "RNN": [sequence(nn.RNN), sequence(nn.RNN, "relu"), sequence(nn.RNN, layers=2, bias=False)],
    "GRU": [sequence(nn.GRU, layers=2), sequence(nn.GRU, bidirectional=True)],
    "LSTM": [sequence(nn.LSTM), sequence(nn.LSTM, layers=2, bidirectional=True)],
    "Last": [(nn.Sequential(nn.LSTM(10, 3, rng=0), nn.Last()), PLACES)],
    "Outputs": [sequence(nn.GRU)],
    "RNNCell": [(Cell(nn.RNNCell(6, 3, rng=0)), ROW)],
    "GRUCell": [(Cell(nn.GRUCell(6, 3, rng=0)), ROW)],
    "LSTMCell": [(Cell(nn.LSTMCell(6, 3, rng=0)), ROW)],
    "Conv1d": [(nn.Conv1d(6, 4, 3, stride=2, padding=1, rng=0), PLACES),
               (nn.Conv1d(6, 4, 3, dilation=2, groups=2, bias=False, rng=0), PLACES)],
    "Conv2d": [(nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=1, groups=2, rng=0), PICTURE)],
    "ConvTranspose2d": [(nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, rng=0), PICTURE)],
    "MaxPool1d": [(nn.MaxPool1d(3, 2, padding=1), PLACES)],
    "MaxPool2d": [(nn.MaxPool2d(2), PICTURE), (nn.MaxPool2d(3, 1, padding=1), PICTURE)],
    "AvgPool1d": [(nn.AvgPool1d(3, 2, padding=1, count_include_pad=False), PLACES)],
    "AvgPool2d": [(nn.AvgPool2d(2), PICTURE), (nn.AvgPool2d(3, 2, padding=1), PICTURE)],
    "GlobalAveragePool": [(nn.GlobalAveragePool(), PICTURE), (nn.GlobalAveragePool(), PLACES)],
    "Upsample": [(nn.Upsample(2), PICTURE), (nn.Upsample((3, 1)), PICTURE)],
    "BatchNorm": [(nn.BatchNorm(6, momentum=1), ROW), (nn.BatchNorm(4, momentum=1), PICTURE)],
    "BatchNorm1d": [(nn.BatchNorm1d(6, momentum=1), ROW),
                    (nn.BatchNorm1d(6, momentum=1, affine=False), PLACES)],
    "BatchNorm2d": [(nn.BatchNorm2d(4, momentum=1, eps=1e-3), PICTURE)],
    "LayerNorm": [(nn.LayerNorm(6), ROW), (nn.LayerNorm((5, 4), affine=False), PICTURE),
                  (nn.LayerNorm((6, 10), eps=1e-2), PLACES)],
    "GroupNorm": [(nn.GroupNorm(3, 6), ROW), (nn.GroupNorm(2, 4), PICTURE),
                  (nn.GroupNorm(1, 6, affine=False), PLACES), (nn.GroupNorm(4, 4), PICTURE)],
    "Dropout": [(nn.Dropout(0.5, rng=0), ROW)],
    "Flatten": [(nn.Flatten(), PICTURE)],
    "Embedding": [(nn.Embedding(11, 3, rng=0), (7,))],
    "PositionEncoding": [(nn.PositionEncoding(10, 9), PLACES)],
    "MultiheadAttention": [(nn.MultiheadAttention(10, 2, rng=0), PLACES)],
    "Lambda": [(nn.Sequential(nn.Lambda(lambda x: np.tanh(x) * 2)), ROW)],
    "Sequential": [(nn.Sequential(nn.Layer(6, 3, rng=0), nn.Sequential(nn.Tanh())), ROW)],
    "Module": [(Cell(nn.RNNCell(6, 3, rng=0)), ROW)],
}  # fmt: skip


def fed(model: Any, shape: tuple[int, ...], mean: float = 0.3) -> Any:
    """Draw rows, and let what is learned be no 1 and no 0; all of numbers that float32 has."""
    rng = np.random.default_rng(7)
    if type(model) is nn.Embedding:
        return rng.integers(0, 11, (6, *shape))
    for p in model.parameters():
        p.data = p.data + rng.normal(size=p.shape) * 0.3
    x = (rng.normal(size=(6, *shape)) + mean).astype(np.float32).astype(float)
    for tensor in trained(model, x).named_tensors().values():
        tensor.data = tensor.data.astype(np.float32).astype(float)
    return x


def test_every_layer_has_a_row() -> None:
    modules = {
        name for name in nn.__all__
        if inspect.isclass(getattr(nn, name)) and issubclass(getattr(nn, name), nn.Module)
    }  # fmt: skip
    assert modules == LAYERS.keys()


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_is_computed_alike_at_any_number_of_rows(name: str) -> None:
    for model, shape in LAYERS[name]:
        assert furthest(model, fed(model, shape), (1, 3, 500)) < 1e-6


# ---- normalisations

NODES = {"BatchNorm": "BatchNormalization", "BatchNorm1d": "BatchNormalization",
         "BatchNorm2d": "BatchNormalization", "LayerNorm": "LayerNormalization",
         "GroupNorm": "InstanceNormalization"}  # fmt: skip
CASES = [(name, k) for name in NODES for k in range(len(LAYERS[name]))]


@pytest.mark.parametrize(("name", "k"), CASES)
def test_normalisations_are_one_node_each_and_come_in_again(name: str, k: int) -> None:
    """Also with opset 21, where axes are no attributes; they stay layers of ours meanwhile."""
    model, shape = LAYERS[name][k]
    x = fed(model, shape)
    for opset in (17, 21):
        made = onnx_model(nn.Sequential(model), x[:1], opset=opset)
        assert [n.op_type for n in made.graph.node].count(NODES[name]) == 1
        assert "forward" not in vars(model)
        back = OnnxModule(made)
        own = {f"0.{key}" for key, _ in model.named_parameters()}
        assert {key for key, _ in back.named_parameters()} == own
        np.testing.assert_allclose(back.predict(x.astype(np.float32)), model.predict(x), atol=3e-6)


@pytest.mark.parametrize("name", NODES)
@pytest.mark.parametrize("mean", [30.0, 1000.0, -1e5])
def test_numbers_far_from_zero_lose_nothing(name: str, mean: float) -> None:
    """Where nodes alone are off by 1e-4, and in onnxruntime 1.15.1 by all."""
    for model, shape in LAYERS[name]:
        assert furthest(model, fed(model, shape, mean), (3,)) < 1e-6


def test_a_network_that_asks_for_gradients_goes_out_too() -> None:
    """As of its own input, through a normalisation, which is then written op by op."""

    class Slope(nn.Module):
        def __init__(self) -> None:
            self.norm = nn.LayerNorm(6)

        def forward(self, x: Any) -> Any:
            return grad(lambda x: np.sum(np.sin(self.norm(x))))(x)

    model = Slope()
    assert furthest(model, fed(model, ROW), (1, 3)) < 1e-6
