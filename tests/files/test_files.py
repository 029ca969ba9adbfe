"""Weights come back bit for bit, or not at all: no damaged or hostile file gets past a reader."""

from __future__ import annotations

import builtins
import errno
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib import format as npy
from scipy.io import savemat
from tools.refusals import assert_refused

from autonn import Layer, Module, Sequential, Sigmoid, Tensor, load_digits
from autonn import formats as room
from autonn.data import read_examples, shrink, unroll, write_examples
from autonn.files import load_weights, read_weights, save_weights
from autonn.formats import (
    FileFormatError,
    FileNamesError,
    read_mat,
    read_npz,
    write_npz,
    write_safetensors,
)

NAMED = ["model.npz", "model.safetensors"]
EVERY = [["w.npz"], ["w.safetensors"], ["w.mat"], ["W1.in", "W2.in"]]
KEYS = ["0.weight", "0.bias", "2.weight", "2.bias"]


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
    return {name: p.numpy().tobytes() for name, p in model.named_parameters().items()}


def arrays(model: Module) -> dict[str, Any]:
    return {name: p.numpy() for name, p in model.named_parameters().items()}


def in_folder(folder: Path, names: list[str]) -> list[Path]:
    return [folder / name for name in names]


# There and back.


@pytest.mark.parametrize("names", EVERY)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_weights_come_back_bit_for_bit(tmp_path: Path, names: list[str], dtype: Any) -> None:
    saved, other = network(1, dtype), network(2, dtype)
    paths = in_folder(tmp_path, names)
    save_weights(saved, *paths)
    load_weights(other, *paths)
    assert values(other) == values(saved)
    before = [path.read_bytes() for path in paths]
    save_weights(other, *paths)
    assert [path.read_bytes() for path in paths] == before
    assert sorted(os.listdir(tmp_path)) == sorted(names)


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_parameters_of_any_shape(tmp_path: Path, name: str, dtype: Any) -> None:
    other = Oddities(-0.0, dtype)
    save_weights(Oddities(0.3, dtype), tmp_path / name)
    load_weights(other, tmp_path / name)
    assert values(other) == values(Oddities(0.3, dtype))
    assert [(p.shape, p.dtype) for p in other.parameters()] == [
        ((), dtype),
        ((0, 3), dtype),
        ((4, 3, 2), dtype),
    ]


@pytest.mark.parametrize("name", NAMED)
def test_arrays_may_lie_in_any_order(tmp_path: Path, name: str) -> None:
    fields = {k: np.asfortranarray(v) for k, v in arrays(network(1)).items()}
    other = network(2)
    load_weights(other, write(tmp_path / name, fields))
    assert values(other) == values(network(1))


def test_numpy_reads_ours_and_we_read_numpys(tmp_path: Path) -> None:
    path, model = tmp_path / "w.npz", network(1)
    save_weights(model, path)
    with np.load(path) as theirs:
        assert sorted(theirs) == sorted(KEYS)
        assert all(theirs[k].tobytes() == v.tobytes() for k, v in arrays(model).items())
    for order, save in [("<", np.savez), (">", np.savez_compressed)]:
        fields = {k: np.asfortranarray(v).astype(f"{order}f8") for k, v in arrays(model).items()}
        save(path, **fields)  # type: ignore[arg-type]
        other = network(2)
        load_weights(other, path)
        assert values(other) == values(model)


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
    assert list(twin.state_dict()) == list(model.named_parameters())
    twin.load_state_dict(codec.load_file(path))  # strict: every key, no other
    x = np.random.default_rng(0).normal(size=(5, 4))
    np.testing.assert_allclose(twin(torch.tensor(x)).detach().numpy(), model.predict(x), rtol=1e-14)
    theirs = nn.Sequential(nn.Linear(4, 3), nn.Sigmoid(), nn.Linear(3, 10))
    codec.save_file(theirs.state_dict(), path)
    ours = network(2, np.float32)
    load_weights(ours, path)
    assert values(ours) == {k: v.numpy().tobytes() for k, v in theirs.state_dict().items()}


# Refusals.


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


@pytest.mark.parametrize("name", NAMED)
def test_all_differences_are_told_and_nothing_is_loaded(tmp_path: Path, name: str) -> None:
    good = arrays(network(2))
    rest = {k: v for k, v in good.items() if k != "0.bias"} | {"scale": np.ones(2)}
    rest |= {"2.weight": good["2.weight"].T, "2.bias": good["2.bias"].astype(np.float32)}
    words = ["0.bias is missing", "scale is unknown"]
    kinds = ["2.weight is float64 of shape (3, 10), expected float64 of shape (10, 3)"]
    kinds += ["2.bias is float32 of shape (10,), expected float64 of shape (10,)"]
    message = assert_not_loaded(write(tmp_path / name, rest), FileNamesError, words + kinds)
    assert message.startswith(str(tmp_path))  # no quotes around it, as KeyError would have
    assert issubclass(FileNamesError, KeyError)
    assert issubclass(FileNamesError, FileFormatError)
    misshapen = good | {k: rest[k] for k in ("2.weight", "2.bias")}
    assert_not_loaded(write(tmp_path / name, misshapen), FileFormatError, kinds)
    with pytest.raises(FileFormatError) as caught:
        load_weights(network(), tmp_path / name)
    assert not isinstance(caught.value, KeyError)  # no name is missing


@pytest.mark.parametrize("name", NAMED)
def test_all_that_is_not_finite_is_told(tmp_path: Path, name: str) -> None:
    fields = arrays(network(2))
    fields["0.weight"][1, 2], fields["2.bias"][4] = np.nan, -np.inf
    words = ["0.weight: found nan in row 1, column 2", "2.bias: found -inf at index (4,)"]
    assert_not_loaded(write(tmp_path / name, fields), FileFormatError, words)
    model = network(1)
    model[0].bias.data = np.array([0.0, np.inf, 0.0])
    assert_refused(
        lambda: save_weights(model, tmp_path / "new.npz"), ValueError, ["0.bias: found inf"]
    )
    assert not (tmp_path / "new.npz").exists()


@pytest.mark.parametrize("names", EVERY[2:])
def test_the_courses_files_of_another_network(tmp_path: Path, names: list[str]) -> None:
    paths = in_folder(tmp_path, names)
    save_weights(network(0, hidden=5), *paths)
    model = network(1)
    before = values(model)
    words = ["Theta1 is float64 of shape (5, 5), expected float64 of shape (3, 5)", "Theta2"]
    assert_refused(lambda: load_weights(model, *paths), FileFormatError, words)
    deeper = Sequential(*network().modules, Layer(10, 2))
    words = ["Theta3 is missing", "Theta1 is float64 of shape (5, 5)"]
    assert_refused(lambda: load_weights(deeper, *paths), FileNamesError, words)
    shallow = Sequential(network()[0])
    assert_refused(lambda: load_weights(shallow, *paths), KeyError, ["Theta2 is unknown"])
    assert values(model) == before


def test_what_is_finite_in_float64_alone_is_refused(tmp_path: Path) -> None:
    model = network(0)
    model[2].weight.data = np.full((10, 3), 1e300)
    save_weights(model, tmp_path / "w.mat")
    words = ["w.mat: Theta2 as float32", "inf in row 0, column 1"]
    small = network(0, np.float32)
    before = values(small)
    assert_refused(lambda: load_weights(small, tmp_path / "w.mat"), FileFormatError, words)
    assert values(small) == before


def test_models_and_paths_that_do_not_fit(tmp_path: Path) -> None:
    model, npz = network(), tmp_path / "w.npz"
    twins = Oddities(1.0)
    twins.cube.append(twins.file)
    setattr(twins, "cube.0", Tensor(1.0, True))
    mixed = Sequential(network(), Oddities(1.0))
    for call in (save_weights, load_weights):
        refusals: list[tuple[Any, list[Path], list[str]]] = [
            (model, [npz, npz], ["one .npz or .safetensors file"]),
            (Sigmoid(), [npz], ["Sigmoid()", "no parameters"]),
            (twins, [npz], ["same name"]),
            (mixed, [tmp_path / "w.mat"], ["1.file, 1.empty, 1.cube.0", "use a .npz"]),
            (Sigmoid(), [tmp_path / "w.mat"], ["no Layer"]),
        ]
        for given, paths, words in refusals:
            assert_refused(partial(call, given, *paths), ValueError, words)
    assert_refused(lambda: read_weights(npz), ValueError, ["use load_weights"])
    wide = Oddities(1.0, np.longdouble)
    path = tmp_path / "w.safetensors"
    assert_refused(lambda: save_weights(wide, path), ValueError, ["file", "use .npz"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("names", EVERY)
def test_missing_files_and_folders(tmp_path: Path, names: list[str]) -> None:
    paths = in_folder(tmp_path, names)
    with pytest.raises(FileNotFoundError, match=names[0]):
        load_weights(network(), *paths)
    with pytest.raises(FileNotFoundError, match="no such folder to write into"):
        save_weights(network(), *in_folder(tmp_path / "none", names))
    paths[0].mkdir()
    assert_refused(lambda: load_weights(network(), *paths), FileFormatError, ["a folder"])


# What a hostile file only claims to hold costs neither memory nor time.


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


def inflated_mat(claim: int, zeros: int) -> bytes:
    """Return a .mat file whose packed variable claims a size, and unpacks to as many zeros."""
    packed = zlib.compress(struct.pack("<II", 14, claim) + bytes(zeros))
    return b"".ljust(124) + b"\x00\x01IM" + struct.pack("<II", 15, len(packed)) + packed


BOMB = 2**26
HOSTILE = [
    "zeros.npz",
    "header.npz",
    "padded.npz",
    "claim.npz",
    "negative.npz",
    "lzma.npz",
    "length.safetensors",
    "almost.safetensors",
    "shape.safetensors",
    "deep.safetensors",
    "claim.mat",
    "more.mat",
    "less.mat",
    "room.mat",
]


@pytest.fixture(scope="module")
def hostile() -> dict[str, bytes]:
    """Return files of less than 512 kB that claim to be large, or would be if they were read."""
    good = arrays(network())
    deflated = zipfile.ZIP_DEFLATED
    weight = {"dtype": "F64", "shape": [2**62, 2**62], "data_offsets": [0, 96]}
    deep = b'{"a":' + b"[" * 100_000
    return {
        "zeros.npz": zipped(
            [("0.weight.npy", claiming(f"({BOMB // 8},)") + bytes(BOMB))], deflated
        ),
        "header.npz": zipped(
            [("0.weight.npy", b"\x93NUMPY\x02\x00" + b"\xff\xff\xff\x7f" + bytes(BOMB))], deflated
        ),
        "padded.npz": zipped(
            [
                ("0.weight.npy", claiming("(3, 4)") + bytes(BOMB)),
                *members_of({k: v for k, v in good.items() if k != "0.weight"}),
            ],
            deflated,
        ),
        "claim.npz": zipped([("0.weight.npy", claiming(f"({2**60}, {2**60})"))]),
        "negative.npz": zipped([("0.weight.npy", claiming("(-3, -4)") + bytes(96))]),
        "lzma.npz": zipped(members_of(good), zipfile.ZIP_LZMA),
        "length.safetensors": tensors(b"{}", b"", 2**63),
        "almost.safetensors": tensors(b"{}", b"", 2**26),
        "shape.safetensors": tensors({"0.weight": weight}, bytes(96)),
        "deep.safetensors": tensors(deep, b""),
        "claim.mat": inflated_mat(2**31, 100),
        "more.mat": inflated_mat(96, BOMB),
        "less.mat": inflated_mat(2**28, 100),
        "room.mat": inflated_mat(room.MAX_BYTES + 8, 100),
    }


def test_every_hostile_file_is_tried(hostile: dict[str, bytes]) -> None:
    assert list(hostile) == HOSTILE


@pytest.mark.parametrize("name", HOSTILE)
def test_bombs_are_refused_before_memory_is_spent(
    tmp_path: Path, hostile: dict[str, bytes], name: str
) -> None:
    path, model = tmp_path / name, network()
    path.write_bytes(hostile[name])
    assert path.stat().st_size < 2**19
    tracemalloc.start()
    began = time.perf_counter()
    try:
        with pytest.raises(FileFormatError, match=name):
            load_weights(model, path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**22
    assert time.perf_counter() - began < 5


def test_an_archive_that_unpacks_to_too_much_is_not_unpacked(tmp_path: Path) -> None:
    path, seen = tmp_path / "w.npz", list[Any]()
    np.savez_compressed(path, a=np.zeros(300), b=np.zeros(300))
    assert set(read_npz(path, seen.append, most=5200)) == {"a", "b"}
    assert_refused(
        lambda: read_npz(path, seen.append, most=5000), FileFormatError, ["unpacks to", "5,000"]
    )
    assert len(seen) == 1


def test_a_mat_file_that_unpacks_to_too_much_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variables of 176 and 376 bytes together."""
    save_weights(network(1), tmp_path / "w.mat")
    monkeypatch.setattr(room, "MAX_BYTES", 600)
    assert read_mat(tmp_path / "w.mat")
    monkeypatch.setattr(room, "MAX_BYTES", 500)
    words = ["w.mat", "unpack to more than 500 bytes"]
    assert_refused(lambda: read_mat(tmp_path / "w.mat"), FileFormatError, words)


def test_a_packed_variable_without_its_checksum_is_refused(tmp_path: Path) -> None:
    save_weights(network(1), tmp_path / "w.mat")
    content = (tmp_path / "w.mat").read_bytes()
    size = struct.unpack_from("<I", content, 132)[0]
    start, rest = content[:132], content[136 + size :]
    cut = content[136 : 136 + size - 4]  # Adler-32 takes the last 4 bytes (RFC 1950)
    (tmp_path / "w.mat").write_bytes(start + struct.pack("<I", size - 4) + cut + rest)
    assert_not_loaded(tmp_path / "w.mat", FileFormatError, ["has no end"])


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("../0.weight.npy", "../0.weight is unknown"),
        ("/0.weight.npy", "/0.weight is unknown"),
        ("0.weight.npy!.npy", r"'0.weight.npy\x00.npy'"),
        ("0.weight", "'0.weight', not NAME.npy"),
        ("0.weight.npy/", "not NAME.npy"),
        ("0.bias.npy", "two arrays are called 0.bias"),
    ],
)
def test_names_of_members_are_never_paths(tmp_path: Path, name: str, says: str) -> None:
    (_, content), *rest = members_of(arrays(network()))
    path = tmp_path / "w.npz"
    path.write_bytes(zipped([(name, content), *rest]).replace(b"!.npy", b"\0.npy"))
    assert_not_loaded(path, FileFormatError, [says])
    assert list(tmp_path.iterdir()) == [path]


# A disk that fills.


class FullDisk(io.FileIO):
    """A file on a disk that has room for some bytes, for all files together."""

    room = 0

    def write(self, content: Any) -> int:
        taken = min(FullDisk.room, len(content))
        if not taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        FullDisk.room -= taken
        return super().write(bytes(content[:taken]))


def open_on_full_disk(path: Any, mode: str) -> Any:
    if mode == "xb":
        return io.BufferedWriter(FullDisk(path, mode))
    return builtins.open(path, mode)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("names", [*EVERY, ["d.mat"], ["X.in", "y.in"]])
def test_a_disk_that_fills_at_any_byte_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str]
) -> None:
    small = Sequential(Layer(1, 1, rng=0), Layer(1, 2, rng=1))
    paths = in_folder(tmp_path, names)

    def save() -> None:
        if names in EVERY:
            save_weights(small, *paths)
        else:
            write_examples([[0.1], [0.2]], [3, 0], *paths)

    save()
    size = sum(map(len, contents(tmp_path).values()))
    for path in paths:
        path.write_bytes(b"old")
    old = contents(tmp_path)
    monkeypatch.setattr(room, "open", open_on_full_disk, raising=False)
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # slow, and not what is tested
    for byte in range(size):
        FullDisk.room = byte
        with pytest.raises(OSError, match="No space left"):
            save()
        assert contents(tmp_path) == old
    FullDisk.room = size
    save()
    assert contents(tmp_path) != old


# A thousand corrupted files. Each is refused, or what it says is read exactly: most formats carry
# checksums, so that it is then the original; text has none, so Python's own `float` is the judge.


class Bomb:
    """An object that would end the judge's process if it were unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return os._exit, (3,)


EXAMPLES = np.random.default_rng(3).normal(size=(6, 3)), np.array([0, 9, 3, 0, 1, 5])
PICTURES = {
    "images": np.random.default_rng(4).integers(0, 256, (2, 28, 28)).astype(np.uint8),
    "labels": np.array([7, 0], np.uint8),
}
KINDS = {
    "npz": ["w.npz"],
    "safetensors": ["w.safetensors"],
    "mat": ["w.mat"],
    "in": ["W1.in", "W2.in"],
    "examples-mat": ["d.mat"],
    "examples-in": ["X.in", "y.in"],
    "digits": ["digits.npz"],
}


def write_good(kind: str, folder: Path) -> None:
    paths = in_folder(folder, KINDS[kind])
    if kind.startswith("examples"):
        write_examples(*EXAMPLES, *paths)
    elif kind == "digits":
        np.savez_compressed(paths[0], **PICTURES)  # type: ignore[arg-type]
    else:
        save_weights(network(1), *paths)


def read(kind: str, folder: Path) -> list[bytes]:
    """Read the files of a kind; weights through a model that must not change if they are bad."""
    paths = in_folder(folder, KINDS[kind])
    if kind.startswith("examples"):
        return [array.tobytes() for array in read_examples(*paths)]
    if kind == "digits":
        digits = load_digits(*paths)
        return [digits.X.tobytes(), digits.y.tobytes()]
    model = network(2)
    before = values(model)
    try:
        load_weights(model, *paths)
    except FileFormatError:
        assert values(model) == before, "something was loaded"
        raise
    return list(values(model).values())


def said(kind: str, folder: Path) -> list[bytes]:
    """Return what text files say, or for other kinds, what they said before they were damaged."""
    if kind.endswith("in"):
        texts = [path.read_text() for path in in_folder(folder, KINDS[kind])]
        first, second = (
            np.array([[float(x) for x in line.split(",")] for line in text.split()])
            for text in texts
        )
        if kind == "examples-in":
            return [first.tobytes(), ((second.argmax(axis=1) + 1) % 10).tobytes()]
        second = np.roll(second, 1, axis=0)
        return [part.tobytes() for t in (first, second) for part in (t[:, 1:], t[:, 0])]
    if kind.startswith("examples"):
        return [array.tobytes() for array in EXAMPLES]
    if kind == "digits":
        X = unroll(shrink(PICTURES["images"] / 255.0, 20))
        return [X.tobytes(), PICTURES["labels"].astype(np.int64).tobytes()]
    return list(values(network(1)).values())


def judged(kind: str, folder: Path) -> str:
    """Say what became of a file: "refused", "read", or in which way the reader was wrong."""
    try:
        found = read(kind, folder)
    except FileFormatError as error:
        named = any(str(folder / name) in str(error) for name in KINDS[kind])
        return "refused" if named else f"names no file: {error}"
    except Exception as error:
        return f"raised {error!r}"
    return "read" if found == said(kind, folder) else "loaded silently wrong"


def judge_all(folder: Path) -> None:
    for case in sorted(folder.iterdir()):
        print(f"{case.name}: ", end="", flush=True)
        print(judged(case.name.split("_")[1], case), flush=True)


def damaged(content: bytes, rng: np.random.Generator, until: int | None = None) -> bytes:
    """Cut, flip, overwrite, drop or double a part; flips and overwriting stay below `until`."""
    broken, end = bytearray(content), until or len(content)
    a, b = sorted(rng.integers(len(content) + 1, size=2).tolist())
    match rng.integers(7):
        case 0:
            return content[:a]
        case 1:
            return content[: int(rng.choice([0, 1, 8, 128, len(content) - 1]))]
        case 2 | 3:
            for _ in range(rng.integers(1, 4)):
                broken[rng.integers(end)] ^= 1 << int(rng.integers(8))
        case 4:
            at = int(rng.integers(end))
            stretch = min(int(rng.integers(1, 16)), end - at)
            broken[at : at + stretch] = bytes(stretch) if rng.integers(2) else rng.bytes(stretch)
        case 5:
            del broken[a : max(b, a + 1)]
        case 6:
            broken[a:a] = content[a:b] or b"\0"
    return bytes(broken)


def other_things(rng: np.random.Generator) -> bytes:
    """Return the content of a file that is none of ours."""
    things = [b"", rng.bytes(int(rng.integers(1, 3000))), bytes(1000), b"no digits\n" * 9]
    things += [pickle.dumps({"0.weight": Bomb()}), b"PK\x05\x06" + bytes(18), npy_bytes(np.ones(3))]
    return things[rng.integers(len(things))]


def with_wrong_fields(
    fields: Mapping[str, Any], rng: np.random.Generator, dtypes: str = "i4 f2 c16 ? U5"
) -> dict[str, Any]:
    """Change one array, or the names, so that they are no longer those of the original."""
    names = list(fields)
    name, other = rng.permutation(names)[:2]
    array = fields[name]
    spoilt = array.astype(np.float64)
    spoilt.flat[rng.integers(array.size)] = rng.choice([np.nan, np.inf, -np.inf])
    changes: list[dict[str, Any]] = [
        {name: spoilt},
        {name: array[:-1]},
        {name: np.concatenate([array, array])},
        {name: array.ravel()[:, None, None]},
        {name: array.reshape(-1)[:0]},
        {name: array.astype(rng.choice(dtypes.split()))},
        {name: array.astype(object)},
        {name: np.array([Bomb()], dtype=object)},
        {name: fields[other], other: array},
        {f"{name}!": array, name: None},
        {name: None},
    ]
    changed = {**fields, **changes[rng.integers(len(changes))]}
    return {key: value for key, value in changed.items() if value is not None}


def npz_with_tricks(fields: Mapping[str, Any], rng: np.random.Generator) -> bytes:
    """Names that climb out of folders, come twice or hide, and headers that lie."""
    (name, content), *rest = members_of(fields)
    trick = ["../" + name, "/" + name, "C:\\" + name, name + "/", name[:-4], name + "!.npy"]
    lie = claiming(str(tuple(rng.integers(-9, 9, size=2).tolist()))) + content[-96:]
    doubled = [(name, content), (name, content)]
    choices = [[(t, content)] for t in trick] + [[(name, lie)], doubled, [("evil.pkl", content)]]
    packed = zipped(choices[rng.integers(len(choices))] + rest)
    return packed.replace(b"!.npy", b"\0.npy")  # Python would not write this one


def safetensors_with_tricks(content: bytes, rng: np.random.Generator) -> bytes:
    """Wrong lengths, and places that overlap, leave gaps, or lie outside of the file."""
    header, data = parsed(content)
    name, other = rng.permutation(list(header))[:2]
    start, end = header[name]["data_offsets"]
    entry = header[name]
    length = len(json.dumps(header))
    wrong: list[bytes] = [
        tensors(header, data, length + int(rng.choice([-9, -1, 1, 8, 2**20, 2**40, 2**62]))),
        tensors(header | {name: entry | {"data_offsets": [start + 8, end + 8]}}, data),
        tensors(header | {name: entry | {"data_offsets": [end, start]}}, data),
        tensors(header | {name: entry | {"data_offsets": header[other]["data_offsets"]}}, data),
        tensors(header | {name: entry | {"data_offsets": [-8, end]}}, data),
        tensors(header | {name: entry | {"data_offsets": [start, 2**64 - 1]}}, data),
        tensors(header | {name: entry | {"shape": [*entry["shape"], 0]}}, data),
        tensors(header | {name: entry | {"shape": [*entry["shape"][::-1], 1]}}, data),
        tensors(
            header | {name: entry | {"dtype": str(rng.choice(["F32", "I64", "BF16", "X"]))}}, data
        ),
        tensors(header, data + b"\0" * 8),
        tensors(header, data[:-8]),
        tensors({k: v for k, v in header.items() if k != name}, data),
        tensors([header], data),
        tensors(header | {name: None}, data),
        tensors(header | {"extra": {"dtype": "F64", "shape": [0], "data_offsets": [0, 0]}}, data),
    ]
    return wrong[rng.integers(len(wrong))]


def safetensors_of(fields: Mapping[str, Any]) -> bytes:
    header, data = {}, b""
    words = {"f8": "F64", "i4": "I32", "f2": "F16", "c16": "C64", "b1": "BOOL", "O8": "F64"}
    for name, array in fields.items():
        content = array.tobytes()
        word = words.get(array.dtype.str[1:], "U8")
        offsets = [len(data), len(data) + len(content)]
        header[name] = {"dtype": word, "shape": list(array.shape), "data_offsets": offsets}
        data += content
    return tensors(header, data)


def text_of(array: Any) -> bytes:
    return "".join(",".join(map(str, np.ravel(row))) + "\n" for row in array).encode()


def corrupted(kind: str, folder: Path, rng: np.random.Generator) -> None:
    """Corrupt one of the good files in a folder."""
    path = folder / KINDS[kind][rng.integers(len(KINDS[kind]))]
    content = path.read_bytes()
    way = rng.integers(10)
    if way == 0:
        path.write_bytes(other_things(rng))
    elif way < 6:
        end = 8 + struct.unpack_from("<Q", content)[0] if kind == "safetensors" else None
        path.write_bytes(damaged(content, rng, end))
    elif kind in ("npz", "digits"):
        fields = PICTURES if kind == "digits" else arrays(network(1))
        tricks = npz_with_tricks(fields, rng)
        wrong = zipped(members_of(with_wrong_fields(fields, rng)))
        path.write_bytes(tricks if way == 6 else wrong)
    elif kind == "safetensors":
        wrong = safetensors_of(with_wrong_fields(arrays(network(1)), rng))
        path.write_bytes(safetensors_with_tricks(content, rng) if way < 8 else wrong)
    elif kind.endswith("mat"):
        numbers = {k: v for k, v in read_mat(path).items() if not isinstance(v, str)}
        spoilt = with_wrong_fields(numbers, rng, "c16 U5")  # of real numbers, MATLAB takes any type
        cells = {k: {"a": 1} if v.dtype.hasobject else v for k, v in spoilt.items()}  # to a struct
        savemat(path, cells, do_compression=bool(rng.integers(2)))
    else:
        matrix = np.loadtxt(path, delimiter=",", ndmin=2)
        wrong_fields = with_wrong_fields({"a": matrix, "b": matrix[::-1, :-1]}, rng)
        path.write_bytes(text_of(next(iter(wrong_fields.values()))))


def test_a_thousand_corrupted_files(tmp_path: Path) -> None:
    """In a process of their own, since a crash or a hang can't be caught from inside."""
    rng = np.random.default_rng(2026)
    kinds, good = list(KINDS), {}
    for kind in kinds:
        write_good(kind, tmp_path)
        good[kind] = {name: (tmp_path / name).read_bytes() for name in KINDS[kind]}
    folders = tmp_path / "cases"
    folders.mkdir()
    for k in range(1000):
        kind = kinds[k % len(kinds)]
        folder = folders / f"{k:04}_{kind}"
        folder.mkdir()
        for name, content in good[kind].items():
            (folder / name).write_bytes(content)
        while contents(folder) == good[kind]:
            corrupted(kind, folder, rng)
    code = f"import pathlib, test_files; test_files.judge_all(pathlib.Path({str(folders)!r}))"
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, (lines[-1:], done.stderr)
    verdicts = dict(line.split(": ", 1) for line in lines)
    assert len(verdicts) == 1000
    assert {n: v for n, v in verdicts.items() if v not in ("refused", "read")} == {}
    for kind in kinds:  # most damage is found, or the test would hold of a reader that never looks
        mine = [verdict for name, verdict in verdicts.items() if name.endswith(f"_{kind}")]
        assert mine.count("refused") > 0.6 * len(mine), kind


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_judge_sees_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    write_good(kind, tmp_path)
    assert judged(kind, tmp_path) == "read"
    monkeypatch.setattr(sys.modules[__name__], "read", lambda *_: [b"other"])
    assert judged(kind, tmp_path) == "loaded silently wrong"
    monkeypatch.setattr(sys.modules[__name__], "read", lambda *_: vars()["x"])
    assert judged(kind, tmp_path) == "raised KeyError('x')"
