"""Models and files made for the tests: good ones, and such as no writer would write."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.lib import format as npy
from scipy.io import savemat
from tools.refusals import assert_refused

from autonn import Layer, Module, Sequential, Sigmoid, Tensor
from autonn.files import FileFormatError, load_weights
from autonn.files.npz import write_npz
from autonn.files.safetensors import write_safetensors

NAMED = ["model.npz", "model.safetensors"]
EVERY = [["w.npz"], ["w.safetensors"], ["w.mat"], ["W1.in", "W2.in"]]
KEYS = ["0.weight", "0.bias", "2.weight", "2.bias"]
FINITE = st.floats(allow_nan=False, allow_infinity=False, width=64)
ROWS = np.ones((3, 2))


def network(seed: int = 0, dtype: Any = np.float64, hidden: int = 3) -> Sequential:
    """Build a 4-3-10 network whose parameters all have different shapes."""
    rng = np.random.default_rng(seed)
    layers = [Layer(4, hidden, bias=rng.normal(size=hidden), rng=rng, dtype=dtype)]
    layers += [Layer(hidden, 10, bias=rng.normal(size=10), rng=rng, dtype=dtype)]
    return Sequential(layers[0], Sigmoid(), layers[1])


class Oddities(Module):
    """Parameters of every kind of shape, in no Layer."""

    def __init__(self, fill: float, dtype: Any = np.float64) -> None:
        self.file = Tensor(fill, True, dtype=dtype)  # a name that numpy.savez could not take
        self.empty = Tensor(np.zeros((0, 3)), True, dtype=dtype)
        self.cube = [Tensor(fill * np.arange(24.0).reshape(2, 3, 4).T, True, dtype=dtype)]


def values(model: Module) -> dict[str, bytes]:
    return {name: p.numpy().tobytes() for name, p in model.named_parameters()}


def arrays(model: Module) -> dict[str, Any]:
    return {name: p.numpy() for name, p in model.named_parameters()}


def in_folder(folder: Path, names: list[str]) -> list[Path]:
    return [folder / name for name in names]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def same_bits(a: Any, b: Any) -> bool:
    """Compare as bytes, so that -0.0 is not 0.0."""
    return bool(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes())


def refused(call: Callable[..., object], *paths: Path, says: tuple[str, ...]) -> str:
    """Demand a FileFormatError whose message holds every one of `says`."""
    with pytest.raises(FileFormatError) as caught:
        call(*paths)
    message = str(caught.value)
    assert all(part in message for part in says), message
    assert "found" in message
    assert "expected" in message
    return message


def write(path: Path, fields: Mapping[str, Any]) -> Path:
    (write_npz if path.suffix == ".npz" else write_safetensors)(path, fields)
    return path


def assert_not_loaded(path: Path, error: type[Exception], words: list[str]) -> str:
    model = network(1)
    before = values(model)
    assert_refused(lambda: load_weights(model, path), error, [str(path), *words])
    assert values(model) == before
    with pytest.raises(error) as caught:
        load_weights(model, path)
    return str(caught.value)


def mat(path: Path, **fields: Any) -> Path:
    """Write a .mat file by SciPy, as an outsider would."""
    savemat(path, fields)
    return path


def text(path: Path, content: str) -> Path:
    """Write a text file."""
    path.write_text(content)
    return path


def npz(path: Path, **arrays: Any) -> Path:
    """Write an archive as digits.npz is."""
    np.savez_compressed(path, **arrays)
    return path


def npy_bytes(array: Any) -> bytes:
    stream = io.BytesIO()
    npy.write_array(stream, array, allow_pickle=True)
    return stream.getvalue()


def zipped(members: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive, pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_, **__: None)  # of names that come twice
        for name, content in members:
            archive.writestr(name, content)
    return stream.getvalue()


def members_of(fields: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    return [(f"{name}.npy", npy_bytes(array)) for name, array in fields.items()]


def claiming(shape: str) -> bytes:
    """Return the header of an .npy file of float64 with this shape."""
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def tensors(header: Any, data: bytes, length: int | None = None) -> bytes:
    """Return a .safetensors file, of a header that may be anything."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def parsed(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Read a .safetensors file as its format says, without the package."""
    end = 8 + struct.unpack_from("<Q", content)[0]
    return json.loads(content[8:end]), content[end:]
