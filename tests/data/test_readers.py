"""No file, however damaged, gets past the readers unseen."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat
from tools.made_files import npz, refused

from autonn import load_digits
from autonn.data import Digits, read_examples, write_examples
from autonn.files import FileFormatError, read_weights, write_weights


class Bomb:
    """An object that would make a noise if it were unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return exec, ("import os; os.environ['AUTONN_BOMB'] = '1'",)


def garbage(kind: str) -> bytes:
    """Return the content of a file that is none of ours."""
    return {
        "empty": b"",
        "noise": np.random.default_rng(0).bytes(5000),
        "zeros": bytes(5000),
        "prose": b"These are not the digits you are looking for.\n" * 20,
        "pickle": pickle.dumps({"X": np.ones((3, 2)), "y": Bomb()}),
        "hdf5": b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x89HDF" * 50,
        "one byte": b"\x01",
    }[kind]


READERS: list[tuple[Callable[..., object], list[str], str]] = [
    (read_examples, ["d.mat"], "content"),
    (read_examples, ["X.in", "y.in"], "X"),
    (read_weights, ["w.mat"], "content"),
    (read_weights, ["W1.in", "W2.in"], "Theta1"),
    (load_digits, ["digits.npz"], "content"),
]


@pytest.mark.parametrize(("reader", "names", "field"), READERS)
@pytest.mark.parametrize("kind", ["empty", "noise", "zeros", "prose", "pickle", "hdf5", "one byte"])
def test_garbage(
    tmp_path: Path, reader: Callable[..., object], names: list[str], field: str, kind: str
) -> None:
    """One exception for all of it, and nothing is unpickled."""
    paths = [tmp_path / name for name in names]
    for path in paths:
        path.write_bytes(garbage(kind))
    refused(reader, *paths, says=(f"{names[0]}: {field}",))
    assert "AUTONN_BOMB" not in os.environ


@pytest.mark.parametrize(("reader", "names", "field"), READERS)
def test_missing_files_and_folders(
    tmp_path: Path, reader: Callable[..., object], names: list[str], field: str
) -> None:
    """A missing file stays FileNotFoundError; a folder has the wrong content."""
    paths = [tmp_path / name for name in names]
    with pytest.raises(FileNotFoundError, match=names[0]):
        reader(*paths)
    paths[0].mkdir()
    refused(reader, *paths, says=(f"{names[0]}: content", "a folder"))


def test_the_bomb_would_be_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or else its silence would prove nothing."""
    monkeypatch.setenv("AUTONN_BOMB", "0")
    pickle.loads(pickle.dumps(Bomb()))
    assert os.environ["AUTONN_BOMB"] == "1"


def test_a_pickle_inside_an_archive(tmp_path: Path) -> None:
    """An object array in .npz is refused without being loaded."""
    images = np.array([Bomb()], dtype=object)
    path = npz(tmp_path / "digits.npz", images=images, labels=np.zeros(1, "u1"))
    refused(load_digits, path, says=("digits.npz", "pickle"))


# A format without checksums can't tell a flipped bit in the middle of a number from another
# number, so damage may pass if what comes out is still finite and well formed. Our own .mat files
# are compressed, and zlib's checksum finds it there.


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Cut the content off, flip some of its bits, or overwrite a stretch of it."""
    broken = bytearray(content)
    kind = rng.integers(3)
    if kind == 0:
        return content[: rng.integers(len(content))]
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(len(content)))
        if kind == 1:
            broken[at] ^= 1 << int(rng.integers(8))
        else:
            broken[at : at + 8] = rng.bytes(int(rng.integers(16)))
    return bytes(broken)


def sound(result: Any) -> bool:
    """Tell whether what a reader returned has the right form and is finite."""
    if isinstance(result, list):
        chained = all(b.shape[1] == len(a) + 1 for a, b in pairwise(result))
        return chained and all(theta.ndim == 2 and np.isfinite(theta).all() for theta in result)
    X, y = (result.X, result.y) if isinstance(result, Digits) else result
    return bool(
        X.ndim == 2
        and y.shape == (len(X),)
        and np.isfinite(X).all()
        and np.isin(y, range(10)).all()
    )


@pytest.mark.parametrize(("reader", "names", "field"), READERS)
@pytest.mark.parametrize("squeeze", [False, True])
def test_damaged_files(
    tmp_path: Path,
    reader: Callable[..., Any],
    names: list[str],
    field: str,
    squeeze: bool,
    X: Any,
    y: Any,
    thetas: list[Any],
) -> None:
    """Nothing but FileFormatError, or a sound result: no other exception, no warning, no crash."""
    if reader is load_digits:
        images = np.random.default_rng(5).integers(0, 256, (2, 28, 28)).astype(np.uint8)
        np.savez_compressed(tmp_path / names[0], images=images, labels=np.arange(2, dtype=np.uint8))
    elif names == ["d.mat"]:
        savemat(tmp_path / "d.mat", {"X": X, "y": y + 1.0}, do_compression=squeeze)
    elif names == ["w.mat"]:
        savemat(
            tmp_path / "w.mat", {"Theta1": thetas[0], "Theta2": thetas[1]}, do_compression=squeeze
        )
    elif reader is read_examples:
        write_examples(X, y, *[tmp_path / name for name in names])
    else:
        write_weights(thetas, *[tmp_path / name for name in names])
    rng = np.random.default_rng(7)
    paths = [tmp_path / name for name in names]
    refusals = 0
    for _ in range(100):
        path = paths[rng.integers(len(paths))]
        content = path.read_bytes()
        path.write_bytes(damaged(content, rng))
        try:
            assert sound(reader(*paths))
        except FileFormatError as error:
            assert any(name in str(error) for name in names)  # noqa: PT017
            refusals += 1
        path.write_bytes(content)
    assert refusals >= 40
    assert sound(reader(*paths))
