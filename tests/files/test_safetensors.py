"""The .safetensors file is the one that PyTorch reads and writes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tools.made_files import KEYS, arrays, network, parsed, values
from tools.refusals import assert_refused

from autonn.files import load_weights, save_weights


def test_the_safetensors_file_is_the_one_of_pytorch(tmp_path: Path) -> None:
    """Of `torch.nn.Sequential(Linear(4, 3), Sigmoid(), Linear(3, 10)).state_dict()`."""
    for dtype, word in [(np.float64, "F64"), (np.float32, "F32")]:
        model = network(1, dtype)
        save_weights(model, tmp_path / "w.safetensors")
        header, data = parsed((tmp_path / "w.safetensors").read_bytes())
        assert sorted(header) == sorted(KEYS)
        for key, array in arrays(model).items():
            start, end = header[key]["data_offsets"]
            assert (header[key]["dtype"], header[key]["shape"]) == (word, list(array.shape))
            assert data[start:end] == array.tobytes("C")
        shapes = [header[key]["shape"] for key in KEYS]
        assert shapes == [[3, 4], [3], [10, 3], [10]]


def test_pytorch_loads_ours_and_we_load_pytorchs(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    codec = pytest.importorskip("safetensors.torch")
    path, model = tmp_path / "w.safetensors", network(1)
    nn = torch.nn
    twin = nn.Sequential(nn.Linear(4, 3), nn.Sigmoid(), nn.Linear(3, 10)).double()
    save_weights(model, path)
    assert list(twin.state_dict()) == list(dict(model.named_parameters()))
    twin.load_state_dict(codec.load_file(path))  # strict: every key, no other
    x = np.random.default_rng(0).normal(size=(5, 4))
    np.testing.assert_allclose(twin(torch.tensor(x)).detach().numpy(), model.predict(x), rtol=1e-14)
    theirs = nn.Sequential(nn.Linear(4, 3), nn.Sigmoid(), nn.Linear(3, 10))
    codec.save_file(theirs.state_dict(), path)
    ours = network(2, np.float32)
    load_weights(ours, path)
    assert values(ours) == {k: v.numpy().tobytes() for k, v in theirs.state_dict().items()}


@pytest.mark.parametrize("call", [load_weights, save_weights])
def test_without_the_package_the_cure_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Callable[..., None]
) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.delitem(sys.modules, "safetensors.numpy", raising=False)
    cure = "pip install 'autonn[safetensors]'"
    assert_refused(lambda: call(network(), tmp_path / "w.safetensors"), ImportError, [cure])
    assert not list(tmp_path.iterdir())
    save_weights(network(), tmp_path / "w.npz")  # which needs no package
