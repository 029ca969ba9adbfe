"""The door out: what is missing is said, and what is written is whole or not there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autonn as an
from autonn import nn


@pytest.mark.parametrize("call", ["out", "in"])
def test_without_the_package_it_says_how_to_install_it(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    path = tmp_path / "net.onnx"
    if call == "in":
        path.write_bytes(b"?")

    def leave_or_come() -> None:
        if call == "out":
            an.export(nn.Layer(2, 1), path, example=np.ones((1, 2)))
        else:
            an.from_onnx(path)

    with pytest.raises(ImportError, match=r"pip install 'autonn\[onnx\]'"):
        leave_or_come()
    assert path.exists() == (call == "in")


def test_an_example_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give a row, as example="):
        an.export(nn.Layer(2, 1), tmp_path / "net.onnx")


def test_the_room_is_read_when_it_is_asked_for_and_its_packages_are_not() -> None:
    code = (
        "import sys, autonn; print('autonn.exits' in sys.modules); autonn.export; "
        "print('autonn.exits' in sys.modules, {'onnx', 'torch', 'selenium'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["False", "True set()"]


@pytest.mark.parametrize(
    ("path", "settings", "said"),
    [
        ("a.html", {"input": (20, 20)}, "no setting input; did you mean inputs.*takes inputs, cl"),
        ("a.html", {"opset": 17}, "no setting opset; only .onnx has it; it takes inputs"),
        ("a.onnx", {"input_names": "x"}, "did you mean input_name.*takes input_name, output_name"),
        ("a.py", {"dtype": "float32"}, "only .onnx has it; it takes framework"),
        ("a.onnx", {"metadata": [1]}, "metadata is a dict"),
        ("a.onnx", {"metadata": {"a": {1}}}, r"metadata\['a'\] can't be written as JSON"),
        ("a.onnx", {"input_name": 3}, "a name or a list of names, not 3"),
    ],
)
def test_settings_that_are_not_known_are_told_what_there_is(
    path: str, settings: dict[str, Any], said: str, tmp_path: Path
) -> None:
    if "onnx" in path and "input_names" not in settings:
        pytest.importorskip("onnx")
    with pytest.raises(TypeError, match=f"^export: .*{said}"):
        an.export(nn.Layer(400, 2), tmp_path / path, np.ones((1, 400)), **settings)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("model", "path", "said"),
    [
        ("a.html", nn.Layer(2, 1), "path is of type Layer; give the model first"),
        (nn.Layer(2, 1), None, "path is of type NoneType"),
        (nn.Layer, "a.onnx", r"Layer is a class; give a model, as Layer\(...\)"),
        ({"w": 1}, "a.onnx", "of type dict; give a Module, or a function of arrays"),
        (np.tanh, "a.html", "of type ufunc; give a Module$"),
    ],
)
def test_what_is_no_model_or_no_path_is_refused(model: Any, path: Any, said: str) -> None:
    with pytest.raises(TypeError, match=f"^export: .*{said}"):
        an.export(model, path, np.ones((1, 2)))


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no such folder to write into.*nowhere"):
        an.export(nn.Layer(400, 2), tmp_path / "nowhere" / "a.html")
