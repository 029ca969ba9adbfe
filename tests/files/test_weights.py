"""Weights come back bit for bit, or not at all, with every difference told."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tools.made_files import (
    EVERY,
    KEYS,
    NAMED,
    Oddities,
    arrays,
    assert_not_loaded,
    in_folder,
    network,
    values,
    write,
)
from tools.refusals import assert_refused

import autonn
from autonn import (
    CrossEntropy,
    Layer,
    MeanSquaredError,
    Module,
    Sequential,
    Sigmoid,
    Tensor,
    fit,
    optim,
)
from autonn.files import FileFormatError, FileNamesError, load_weights, read_weights, save_weights


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


class Norm(Module):
    """It keeps what no optimiser learns: a mean, a count, a frozen factor."""

    def __init__(self, start: float) -> None:
        self.scale = Tensor([start, -0.0], requires_grad=True)
        self.mean = Tensor(np.full(2, start, np.float32))
        self.count = Tensor(int(start))
        self.frozen = Tensor([start], requires_grad=False)

    def forward(self, x: Any) -> Any:
        return x * self.scale - self.mean


@pytest.mark.parametrize("name", NAMED)
def test_buffers_go_with_the_parameters(tmp_path: Path, name: str) -> None:
    saved, other = Sequential(Layer(2, 2, rng=0), Norm(7.0)), Sequential(Layer(2, 2), Norm(1.0))
    save_weights(saved, tmp_path / name)
    load_weights(other, tmp_path / name)
    for key, array in saved.state_dict().items():
        found = other.state_dict()[key]
        assert (found.dtype, found.tobytes()) == (array.dtype, array.tobytes()), key
    words = ["1.count is missing", "1.mean is missing"]
    without = {k: v for k, v in saved.state_dict().items() if k not in ("1.count", "1.mean")}
    write(tmp_path / name, without)
    assert_refused(lambda: load_weights(other, tmp_path / name), FileNamesError, words)


def test_buffers_of_a_checkpoint_are_loaded_too(tmp_path: Path) -> None:
    X, y = np.random.default_rng(0).normal(size=(20, 2)), np.zeros((20, 2))
    saved, other = Sequential(Layer(2, 2, rng=0), Norm(7.0)), Sequential(Layer(2, 2), Norm(1.0))
    fit(
        saved,
        X,
        y,
        loss=MeanSquaredError(),
        optimizer=optim.SGD(lr=0.1),
        epochs=2,
        checkpoint=tmp_path / "run.npz",
    )
    load_weights(other, tmp_path / "run.npz")
    for key, array in saved.state_dict().items():
        assert other.state_dict()[key].tobytes() == array.tobytes(), key


@pytest.mark.parametrize("name", ["weights.mat", "Theta1.in"])
def test_a_layer_without_a_bias_has_a_column_of_zeros(tmp_path: Path, name: str) -> None:
    saved, other = Layer(3, 2, bias=None, rng=0), Layer(3, 2, bias=None, rng=1)
    save_weights(saved, tmp_path / name)
    load_weights(other, tmp_path / name)
    assert other.weight.data.tobytes() == saved.weight.data.tobytes()
    save_weights(Layer(3, 2, bias=[1.0, 0.0]), tmp_path / name)
    refused = ["Theta1 has a bias column for Layer(3, 2, bias=False)"]
    assert_refused(lambda: load_weights(other, tmp_path / name), FileFormatError, refused)


def test_the_courses_files_have_no_place_for_buffers(tmp_path: Path) -> None:
    model = Sequential(Layer(2, 2), Norm(1.0))
    words = ["1.scale", "1.mean", "1.count", "use a .npz or .safetensors file"]
    assert_refused(lambda: save_weights(model, tmp_path / "weights.mat"), ValueError, words)


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


# Refusals.


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


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("w.pt", ["the ending .pt", ".npz, .safetensors or .mat", "PyTorch exchanges weights by"]),
        ("w.PTH", ["the ending .pth", "PyTorch exchanges weights by .safetensors"]),
        ("w.pkl", ["the ending .pkl", "a pickle can run anybody's code"]),
        ("w.h5", ["the ending .h5", "Keras's weights", "numpy.savez"]),
        ("w.npy", ["the ending .npy", "one array alone"]),
        ("w.onnx", ["the ending .onnx", "or one of .in, .txt, .csv for each layer"]),
        ("weights", ["no ending", "give the path an ending"]),
    ],
)
@pytest.mark.parametrize("layers", [1, 2])
def test_endings_of_other_formats(tmp_path: Path, name: str, words: list[str], layers: int) -> None:
    """Also where one matrix would fit one path: nobody finds text in a .pt file."""
    model, path = Sequential(*network().modules[: 2 * layers - 1]), tmp_path / name
    assert_refused(lambda: save_weights(model, path), ValueError, [str(path), "expected", *words])
    assert not list(tmp_path.iterdir())
    with pytest.raises(FileNotFoundError, match=name):
        load_weights(model, path)
    save_weights(model, tmp_path / "w.npz")
    (tmp_path / "w.npz").rename(path)
    assert_not_loaded(path, FileFormatError, ["expected", *words])


def test_a_matrix_may_have_the_ending_of_any_text(tmp_path: Path) -> None:
    paths = [tmp_path / "W1.csv", tmp_path / "W2.TXT"]
    save_weights(network(1), *paths)
    other = network(2)
    load_weights(other, *paths)
    assert values(other) == values(network(1))


def test_the_weights_of_a_checkpoint(tmp_path: Path) -> None:
    """All its other arrays are left aside; what does not fit is told by the model's names."""
    path, model, other = tmp_path / "run.npz", network(1), network(2)
    X, y = np.random.default_rng(0).normal(size=(20, 4)), np.arange(20) % 10
    training: dict[str, Any] = {"loss": CrossEntropy(), "optimizer": optim.Adam(), "epochs": 3}
    model = Sequential(*model.modules, Sigmoid())
    fit(model, X, y, **training, checkpoint=path, patience=2, validation=(X, y))
    load_weights(Sequential(*other.modules, Sigmoid()), path)
    assert values(other) == values(model)
    words = ["0.weight is float64 of shape (3, 4), expected float64 of shape (5, 4)"]
    assert_refused(lambda: load_weights(network(0, hidden=5), path), FileFormatError, words)
    words = ["1.bias is missing", "2.bias is unknown"]
    shallow = Sequential(network()[0], network()[2])
    assert_refused(lambda: load_weights(shallow, path), FileNamesError, words)
    with pytest.raises(FileNamesError) as caught:
        load_weights(shallow, path)
    assert "optimizer" not in str(caught.value)


def test_the_front_door_has_them() -> None:
    assert autonn.save_weights is save_weights
    assert autonn.load_weights is load_weights


@pytest.mark.parametrize("names", EVERY)
def test_missing_files_and_folders(tmp_path: Path, names: list[str]) -> None:
    paths = in_folder(tmp_path, names)
    with pytest.raises(FileNotFoundError, match=names[0]):
        load_weights(network(), *paths)
    with pytest.raises(FileNotFoundError, match="no such folder to write into"):
        save_weights(network(), *in_folder(tmp_path / "none", names))
    paths[0].mkdir()
    assert_refused(lambda: load_weights(network(), *paths), FileFormatError, ["a folder"])
