"""MATLAB's files are read as SciPy reads them, and no damage to our own goes unseen."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.io import loadmat, savemat, whosmat
from scipy.io.matlab import MatlabOpaque
from scipy.sparse import csc_matrix
from tools.made_files import ROWS, assert_not_loaded, mat, network, refused, same_bits
from tools.refusals import assert_refused

from autonn.data import read_examples
from autonn.files import FileFormatError, read_weights, save_weights, write_weights
from autonn.files import mat5 as room
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


# Level 4, as `save -v4` writes it.


@pytest.mark.parametrize("code", ["f8", "f4", "i4", "i2", "u2", "u1"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_level_4_is_read_too(tmp_path: Path, code: str, order: str) -> None:
    """Every kind of number in either byte order, beside what is none."""
    X, path = np.array([[1, 0, 3], [0, 5, 6]]).astype(code), tmp_path / "d.mat"
    others = {"note": "text", "z": X * 1j, "sparse": csc_matrix(X.astype(float))}
    savemat(path, {**others, "y": [1.0, 10.0]}, format="4")
    kind = 1000 * (order == ">") + 10 * ["f8", "f4", "i4", "i2", "u2", "u1"].index(code)
    numbers = X.astype(order + code).tobytes("F")
    header = struct.pack(f"{order}5i", kind, 2, 3, 0, 2) + b"X\0"
    path.write_bytes(path.read_bytes() + header + numbers)
    (tmp_path / "alone.mat").write_bytes(header + numbers)  # SciPy reads one order in a file
    assert_array_equal(loadmat(tmp_path / "alone.mat")["X"], X)
    again, y = read_examples(path)
    assert_array_equal(again, X)
    assert y.tolist() == [1, 0]
    words = {key: value for key, value in read_mat(path).items() if isinstance(value, str)}
    assert words == {"note": "text", "z": "complex", "sparse": "sparse"}


def test_weights_of_level_4(tmp_path: Path, thetas: list[Any]) -> None:
    last = np.roll(thetas[1], -1, axis=0)
    savemat(tmp_path / "w.mat", {"Theta1": thetas[0], "Theta2": last}, format="4")
    assert all(map(same_bits, read_weights(tmp_path / "w.mat"), thetas))


@pytest.mark.parametrize(
    ("numbers", "name", "says"),
    [
        ((0, 1, 2, 0, 2), b"X\0", "a variable of 16 bytes has only 8"),
        ((0, 2**31 - 1, 2**31 - 1, 1, 2), b"X\0", "has only 8"),
        ((0, -1, -1, 0, 2), b"X\0", "a variable of -1 x -1 numbers"),
        ((0, 1, 1, 2, 2), b"X\0", "numbers"),
        ((60, 1, 1, 0, 2), b"X\0", "no known type"),
        ((3, 1, 1, 0, 2), b"X\0", "no known type"),
        ((2000, 1, 1, 0, 2), b"X\0", "no known type"),
        ((0, 1, 1, 0, 2), b"XX", "without a name"),
        ((0, 1, 1, 0, 1), b"\0", "without a name"),
        ((0, 1, 1, 0, 4), b"X\0X\0", "without a name"),
        ((0, 1, 1, 0, -2), b"", "without a name"),
        ((0, 1, 1, 0, 2**31 - 1), b"X\0", "without a name"),
    ],
)
def test_level_4_with_a_wrong_header(
    tmp_path: Path, numbers: tuple[int, ...], name: bytes, says: str
) -> None:
    path = tmp_path / "w.mat"
    path.write_bytes(struct.pack("<5i", *numbers) + name + bytes(8))
    refused(read_mat, path, says=("w.mat: content", says, "-v4, -v6 or -v7"))


@pytest.mark.parametrize("kind", [2000, 3000])
def test_level_4_of_machines_long_gone(tmp_path: Path, kind: int) -> None:
    """A VAX's and a Cray's numbers were others."""
    path = tmp_path / "w.mat"
    path.write_bytes(struct.pack(">5i", 1000, 1, 0, 0, 2) + b"X\0")
    assert read_mat(path).keys() == {"X"}
    path.write_bytes(struct.pack(">5i", kind, 1, 0, 0, 2) + b"X\0")
    refused(read_mat, path, says=("no known type",))


def test_level_4_of_two_variables_of_one_name(tmp_path: Path) -> None:
    savemat(tmp_path / "w.mat", {"Theta1": ROWS}, format="4")
    (tmp_path / "w.mat").write_bytes(2 * (tmp_path / "w.mat").read_bytes())
    refused(read_mat, tmp_path / "w.mat", says=("two variables are called Theta1",))


def test_level_4_cut_off_or_damaged(tmp_path: Path, thetas: list[Any]) -> None:
    """Each cut is found but one between two variables; there is no checksum for the rest."""
    path, rng = tmp_path / "w.mat", np.random.default_rng(0)
    savemat(path, {"Theta1": thetas[0], "Theta2": thetas[1]}, format="4")
    content = path.read_bytes()
    whole = 20 + 7 + thetas[0].nbytes
    for size in range(1, len(content)):
        path.write_bytes(content[:size])
        if size != whole:
            refused(read_mat, path, says=("w.mat: content", "found"))
    for _ in range(300):
        broken = bytearray(content)
        at = int(rng.integers(len(content)))
        broken[at : at + 4] = rng.bytes(4)
        path.write_bytes(broken)
        try:
            assert all(np.isfinite(theta).all() for theta in read_weights(path))
        except FileFormatError as error:
            assert "w.mat" in str(error)  # noqa: PT017


# MATLAB's own objects beside the numbers.


def element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def opaque(name: str, of: str) -> bytes:
    """Return a variable of a class of MATLAB's own, as its files have them: without sides."""
    words = b"".join(element(1, word.encode()) for word in (name, "MCOS", of))
    return element(14, element(6, struct.pack("<II", 17, 0)) + words + unnamed(np.ones(6)))


def unnamed(numbers: Any) -> bytes:
    """Return a variable without a name, in which the content of the others is kept."""
    sides = element(5, struct.pack("<ii", 1, len(numbers)))
    content = element(9, numbers.tobytes())
    return element(14, element(6, struct.pack("<II", 6, 0)) + sides + element(1, b"") + content)


@pytest.mark.parametrize("squeeze", [False, True])
def test_matlabs_own_objects_beside_the_weights(
    tmp_path: Path, thetas: list[Any], squeeze: bool
) -> None:
    """Two strings and a table, which are stepped over; asked for, they say what they are."""
    path = tmp_path / "w.mat"
    savemat(path, {"Theta1": thetas[0]}, do_compression=squeeze)
    others = [opaque("note", "string"), opaque("author", "string"), opaque("y", "table")]
    others += [unnamed(np.ones(3)), unnamed(np.zeros(4))]
    if squeeze:
        packed = map(zlib.compress, others)
        others = [struct.pack("<II", 15, len(part)) + part for part in packed]
    path.write_bytes(path.read_bytes() + b"".join(others))
    assert [same_bits(theta, np.roll(thetas[0], 1, axis=0)) for theta in read_weights(path)] == [1]
    assert read_mat(path).keys() == {"Theta1", "note", "author", "y"}
    savemat(tmp_path / "d.mat", {"X": ROWS})
    path.write_bytes((tmp_path / "d.mat").read_bytes() + b"".join(others))
    refused(read_examples, path, says=("w.mat: y", "MATLAB table", "a full matrix"))


def test_scipy_takes_the_made_objects_for_matlabs(tmp_path: Path) -> None:
    """Or else they would prove nothing."""
    savemat(tmp_path / "w.mat", {"Theta1": ROWS})
    content = (tmp_path / "w.mat").read_bytes() + opaque("note", "string")
    (tmp_path / "w.mat").write_bytes(content)
    with warnings.catch_warnings(action="ignore"):
        theirs = loadmat(tmp_path / "w.mat")
    [found] = [value for value in theirs.values() if isinstance(value, MatlabOpaque)]
    assert [found[0][part] for part in ("s0", "s1", "s2")] == [b"note", b"MCOS", b"string"]


def test_hdf5_is_called_by_its_name(tmp_path: Path) -> None:
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    for content in (header + b"\x89HDF" * 50, b"\x89HDF\r\n\x1a\n" + bytes(500)):
        (tmp_path / "w.mat").write_bytes(content)
        refused(
            read_mat,
            tmp_path / "w.mat",
            says=("found a file of MATLAB 7.3, which is HDF5, expected", "`save -v7`"),
        )


def test_scipy_finds_doubles_in_our_files(tmp_path: Path, thetas: list[Any]) -> None:
    write_weights(thetas, tmp_path / "w.mat")
    assert whosmat(tmp_path / "w.mat") == [
        ("Theta1", (3, 5), "double"),
        ("Theta2", (10, 4), "double"),
    ]
    assert (tmp_path / "w.mat").read_bytes().startswith(b"MATLAB 5.0 MAT-file, written by autonn ")
