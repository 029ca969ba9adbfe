"""The door out: what is missing is said, and what is written is whole or not there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
