"""What is printed for PyTorch makes the same network, with the weights that were saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tools.exit_networks import NETWORKS, Residual

import autonn as an
from autonn import nn
from autonn.exits.torch_source import torch_source

torch: Any = pytest.importorskip("torch")
codec: Any = pytest.importorskip("safetensors.torch")

MORE: dict[str, Any] = {
    "settings": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, (3, 2), stride=(2, 1), padding=(1, 0), bias=False, rng=0),
            nn.BatchNorm2d(4, eps=1e-3, momentum=0.3, affine=False), nn.GELU("tanh"),
            nn.BatchNorm(4),
            nn.MaxPool2d(2, 1, dilation=2), nn.Sequential(nn.Flatten(), nn.Identity()), np.tanh,
        ).eval(),
        np.random.default_rng(0).normal(size=(3, 2, 8, 8)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted({*NETWORKS, *MORE} - {"residual"}))
def test_it_computes_the_same(name: str, tmp_path: Path) -> None:
    make, x = (NETWORKS | MORE)[name]
    model = make().eval()
    source, weights = tmp_path / "model.py", tmp_path / "model.safetensors"
    an.export(model, source, framework="pytorch")
    an.save_weights(model, weights)
    space: dict[str, Any] = {}
    exec(source.read_text(), space)
    twin = space["load"](weights)
    with torch.no_grad():
        result = twin(torch.as_tensor(x)).numpy()
    np.testing.assert_allclose(result, model.predict(x), rtol=1e-10, atol=1e-12)
    codec.save_file(twin.state_dict(), weights)  # and back, with what PyTorch counts besides
    again = make().eval()
    an.load_weights(again, weights)
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_it_is_short_and_readable() -> None:
    text = torch_source(NETWORKS["digits"][0]())
    assert text.count("\n") < 25
    assert "        nn.Linear(400, 25),\n        nn.Sigmoid(),\n" in text


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Residual(3), "Residual.*any forward goes out as .onnx"),
        (nn.Sequential(nn.ReLU(), lambda x: x + 1), r"at 1 has no word in PyTorch"),
    ],
)
def test_what_has_no_word_is_named(model: Any, said: str) -> None:
    with pytest.raises(NotImplementedError, match=said):
        torch_source(model)


def test_another_framework_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="framework is 'pytorch'"):
        an.export(nn.Layer(1, 1), tmp_path / "model.py", framework="keras")
