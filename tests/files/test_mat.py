"""MATLAB's files are read as SciPy reads them, and no damage to our own goes unseen."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.io import loadmat, savemat
from tools.made_files import (
    assert_not_loaded,
    mat,
    network,
    refused,
    same_bits,
)
from tools.refusals import assert_refused

from autonn.data import (
    read_examples,
)
from autonn.files import (
    FileFormatError,
    read_weights,
    save_weights,
    write_weights,
)
from autonn.files import mat as room
from autonn.files.mat import read_mat


@pytest.mark.parametrize("squeeze", [False, True])
@pytest.mark.parametrize("code", ["f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "?"])
def test_the_mat_reader_agrees_with_scipy(tmp_path: Path, code: str, squeeze: bool) -> None:
    """Every kind of number, beside variables that the reader has to step over."""
    X = np.array([[1, 0, 3], [0, 5, 6]]).astype(code)
    others = {
        "note": "text",
        "s": {"a": 1.0},
        "c": np.array([1, "a"], object),
        "e": np.zeros((0, 0)),
    }
    savemat(tmp_path / "d.mat", {**others, "X": X, "y": [1, 2]}, do_compression=squeeze)
    again, _ = read_examples(tmp_path / "d.mat")
    assert_array_equal(again, loadmat(tmp_path / "d.mat")["X"])


def test_a_mat_file_of_the_other_byte_order(tmp_path: Path) -> None:
    """As a big-endian machine writes it, with an element that shares its type's word."""

    def element(kind: int, content: bytes) -> bytes:
        return struct.pack(">II", kind, len(content)) + content + bytes(-len(content) % 8)

    def variable(name: str, *numbers: float) -> bytes:
        parts = element(6, struct.pack(">II", 6, 0)) + element(5, struct.pack(">ii", 1, 2))
        small = struct.pack(">HH4s", len(name), 1, name.encode())
        return element(14, parts + small + element(9, struct.pack(">2d", *numbers)))

    header = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(">H2s", 0x0100, b"MI")
    path = tmp_path / "w.mat"
    path.write_bytes(header + variable("T", 1.0, 1.0) + variable("Theta", 0.0, 0.0)[:0])
    refused(read_weights, path, says=("w.mat", "Theta1", "only T"))
    path.write_bytes(header + variable("X", 0.5, -2.0) + variable("y", 10.0, 1.0))
    refused(read_examples, path, says=("w.mat", "y", "2 labels"))
    assert read_mat(path)["X"].tolist() == [[0.5, -2.0]]  # type: ignore[union-attr]


def test_mat_files_are_the_same_on_any_day(tmp_path: Path, thetas: list[Any]) -> None:
    """No date in the header, so equal weights are equal files."""
    write_weights(thetas, tmp_path / "a.mat")
    write_weights([np.asfortranarray(t) for t in thetas], tmp_path / "b.mat")
    assert (tmp_path / "a.mat").read_bytes() == (tmp_path / "b.mat").read_bytes()


def test_two_variables_of_one_name(tmp_path: Path) -> None:
    """Which of them was meant can't be known."""
    path = mat(tmp_path / "w.mat", Theta1=np.ones((2, 3)))
    path.write_bytes(path.read_bytes() + path.read_bytes()[128:])
    refused(read_weights, path, says=("w.mat: content", "two variables are called Theta1"))


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


def test_any_flipped_bit_in_our_own_mat_body_is_found(tmp_path: Path, thetas: list[Any]) -> None:
    """Beyond the header only a few bits of the first tag's length and type are at stake."""
    path = tmp_path / "w.mat"
    write_weights(thetas, path)
    content = path.read_bytes()
    for at in range(128 + 8, len(content), 7):
        broken = bytearray(content)
        broken[at] ^= 1 << at % 8
        path.write_bytes(broken)
        try:
            again = read_weights(path)
        except FileFormatError:
            continue
        # The window size and level in zlib's own header may differ without harm to the data.
        assert all(same_bits(a, b) for a, b in zip(again, thetas, strict=True))
