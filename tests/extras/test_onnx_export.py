"""What goes out as ONNX is computed alike by onnxruntime and by onnx itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tools.exit_networks import NETWORKS, TwoEnds, drawn_network
from tools.onnx_files import furthest, session
from tools.planting import another

import autonn as an
from autonn import nn
from autonn.engine import ops
from autonn.engine.tensor import values_of
from autonn.exits.onnx_export import TABLE, onnx_model

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("name", NETWORKS)
def test_every_kind_of_layer_is_computed_alike_at_any_number_of_rows(name: str) -> None:
    make, x = NETWORKS[name]
    assert furthest(make(), x, (1, 3, 5000 if name == "digits" else 40)) < 1e-6


def test_recurrent_layers_are_one_node_each_and_step_by_step_in_float64() -> None:
    make, x = NETWORKS["lstm"]
    model = make()
    made = onnx_model(model, x[:1])
    assert [n.op_type for n in made.graph.node].count("LSTM") == 2
    assert "forward" not in vars(model[0])
    assert {i.name for i in made.graph.initializer} >= {"0.weight_ih_l0", "0.bias_l1"}
    assert "LSTM" not in [n.op_type for n in onnx_model(model, x[:1], dtype="float64").graph.node]
    assert furthest(model, x, (3,), "float64") < 1e-14


def test_in_float64_it_is_the_same_to_rounding() -> None:
    make, x = NETWORKS["digits"]
    assert furthest(make(), x, (3,), "float64") < 1e-14


class Scanned(an.Module):
    """Goes through the places of a sequence by a loop, each row to its own length."""

    def __init__(self) -> None:
        self.cell = nn.GRUCell(3, 2, rng=0)

    def forward(self, x: Any, lengths: Any) -> Any:  # type: ignore[override]
        def step(state: Any, given: Any) -> Any:
            place, x_t = given
            state = np.where((place < lengths)[:, None], self.cell(x_t, state), state)
            return state, state

        places = np.arange(x.shape[1])
        last, states = an.scan(step, np.zeros((len(x), 2)), (places, np.swapaxes(x, 0, 1)))
        return last, np.swapaxes(states, 0, 1)


def test_a_loop_of_ones_own_goes_out_step_by_step(tmp_path: Path) -> None:
    path, rng = tmp_path / "net.onnx", np.random.default_rng(0)
    x, lengths = rng.normal(size=(5, 4, 3)), np.array([2, 4, 1, 3, 4])
    an.export(Scanned(), path, (x[:2], lengths[:2]), input_name=["x", "lengths"],
              output_name=["last", "states"])  # fmt: skip
    session = onnxruntime.InferenceSession(path)
    found = session.run(None, {"x": x.astype(np.float32), "lengths": lengths})
    for a, b in zip(found, Scanned().predict(x, lengths), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_dict_of_inputs_is_refused_with_what_goes_instead(tmp_path: Path) -> None:
    example = {"x": np.ones((2, 4, 3)), "lengths": np.array([2, 4])}
    with pytest.raises(TypeError, match="dict of x, lengths; give a tuple"):
        an.export(nn.GRU(3, 2), tmp_path / "net.onnx", example)


@pytest.mark.parametrize("seed", range(25))
def test_random_networks_go_out_or_are_refused_and_never_differ(seed: int) -> None:
    model, x = drawn_network(seed)
    try:
        difference = furthest(model, x, (1, 4))
    except NotImplementedError as refused:
        difference, said = 0.0, str(refused)
        if "in layer" not in said:
            raise
    assert difference < 1e-6


def test_a_wrong_entry_of_the_table_is_noticed() -> None:
    make, x = NETWORKS["digits"]
    with another(TABLE, ops.sigmoid.op, TABLE[ops.tanh.op]):
        assert furthest(make(), x, (1,)) > 1e-3


def test_the_file_loads_in_old_runtimes_and_tells_its_names(tmp_path: Path) -> None:
    model, x = NETWORKS["digits"][0](), NETWORKS["digits"][1]
    path = tmp_path / "digits.onnx"
    facts = {"classes": list("0123456789"), "preprocessing": "centred, in columns"}
    an.export(model, path, example=x[:1], input_name="image", output_name="digit", metadata=facts)
    made = onnx.load(path)
    onnx.checker.check_model(made, full_check=True)
    assert (made.ir_version, made.opset_import[0].version) == (8, 17)
    assert {a.name for a in made.graph.initializer} == set(dict(model.named_parameters()))
    assert [n.op_type for n in made.graph.node] == ["Gemm", "Sigmoid"] * 2 + ["Identity"]
    (given,), (result,) = made.graph.input, made.graph.output
    assert given.name == "image"
    assert result.name == "digit"
    assert given.type.tensor_type.shape.dim[0].dim_param == "batch"
    told = session(made).get_modelmeta().custom_metadata_map
    assert json.loads(told["classes"]) == facts["classes"]
    assert told["preprocessing"] == facts["preprocessing"]
    assert list(tmp_path.iterdir()) == [path]


def test_several_inputs_and_outputs_have_their_names() -> None:
    x, y = np.ones((2, 3)), np.full((2, 2), 2.0)
    made = onnx_model(TwoEnds(), (x, y), input_name=["a", "b"], output_name=["c", "d"])
    got = session(made).run(None, {"a": x.astype(np.float32), "b": y.astype(np.float32)})
    for array, expected in zip(got, TwoEnds()(x, y), strict=True):
        np.testing.assert_allclose(array, np.asarray(values_of(expected)), rtol=1e-6)


def test_what_was_drawn_in_training_is_not_exported() -> None:
    model = nn.Sequential(nn.Dropout(0.5, rng=0), nn.Layer(4, 2, rng=0)).train()
    made = onnx_model(model, np.ones((1, 4)))
    assert "Dropout" not in [n.op_type for n in made.graph.node]
    assert model.training


class Solves(an.Module):
    def forward(self, x: Any) -> Any:
        return np.linalg.inv(x.T @ x + np.eye(3))[:1] + x


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (nn.Sequential(nn.Layer(3, 3, rng=0), Solves()), "inv in layer 1, Solves"),
        (nn.Sequential(np.tanh, lambda x: x / len(x)), "divide in layer 1.*number of rows"),
        (nn.Sequential(lambda x: x[: len(x) // 2]), "getitem in layer 0"),
        (nn.Sequential(lambda x: x + np.arange(float(len(x)))[:, None]), "not all the same"),
    ],
)
def test_what_cannot_go_says_so_with_op_and_layer(model: Any, said: str) -> None:
    with pytest.raises(NotImplementedError, match=said):
        onnx_model(model, np.ones((2, 3)))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"opset": 5}, "opset is 17"),
        ({"dtype": "float16"}, "dtype is 'float32'"),
        ({"input_name": ["a", "b"]}, "expected 1"),
        ({"output_name": "input"}, "share a name"),
        ({"example": np.ones((0, 3))}, "give one row"),
    ],
)
def test_settings_out_of_their_range_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        onnx_model(nn.Layer(3, 2), **{"example": np.ones((1, 3))} | settings)
