"""Each kind of file gives the same pictures and labels, and nothing else is taken for one."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from tools.made_files import npz, refused, text
from tools.refusals import assert_refused

from autonn.data import images as room
from autonn.data import load_images
from autonn.files import FileFormatError

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (6, 4, 4)).astype(np.uint8)
PIXELS[0, 0, 0] = 255
LABELS = np.array([3, 0, 9, 1, 5, 3], np.uint8)
SMALL = RNG.integers(0, 17, (6, 8, 8)).astype(np.uint8)

Writer = Callable[[Path], Path]  # into a folder; it returns the path to load


def idx(array: Any, code: int = 8) -> bytes:
    """Return an idx file as its page describes it."""
    start = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return start + bytes(array.astype(array.dtype.newbyteorder(">")).tobytes())


def packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def mnist(folder: Path, ending: str = "", labels_ending: str = "") -> Path:
    """Write the two files under the names that MNIST's authors gave them."""
    labels = packed(idx(LABELS)) if labels_ending else idx(LABELS)
    write(folder / f"train-labels-idx1-ubyte{labels_ending}", labels)
    pictures = packed(idx(PIXELS)) if ending else idx(PIXELS)
    return write(folder / f"train-images-idx3-ubyte{ending}", pictures)


def keras(folder: Path) -> Path:
    parts = {"x_train": PIXELS[:4], "y_train": LABELS[:4], "x_test": PIXELS[4:]}
    return npz(folder / "mnist.npz", **parts, y_test=LABELS[4:])


def table(*columns: Any) -> str:
    rows = np.concatenate([np.asarray(c).reshape(len(LABELS), -1) for c in columns], axis=1)
    return "".join(",".join(map(str, row)) + "\n" for row in rows.tolist())


def header(*names: str, quote: str = "") -> str:
    return ",".join(f"{quote}{name}{quote}" for name in names) + "\n"


PLACES = [f"pixel{k}" for k in range(16)]
FIRST = table(LABELS, PIXELS)
KINDS: dict[str, Writer] = {
    "idx": mnist,
    "idx.gz": lambda folder: mnist(folder, ".gz", ".gz"),
    "idx.gz and idx": lambda folder: mnist(folder, ".gz"),
    "idx and idx.gz": lambda folder: mnist(folder, "", ".gz"),
    "mnist.npz": keras,
    "images and labels": lambda folder: npz(folder / "d.npz", images=PIXELS, labels=LABELS),
    "label first": lambda folder: text(folder / "mnist_train.csv", FIRST),
    "packed": lambda folder: write(folder / "mnist_train.csv.gz", packed(FIRST.encode())),
    "Windows": lambda folder: write(folder / "a.csv", FIRST.replace("\n", "\r\n").encode()),
    "Excel": lambda folder: write(folder / "a.csv", b"\xef\xbb\xbf" + FIRST.encode()),
    "Kaggle": lambda folder: text(folder / "train.csv", header("label", *PLACES) + FIRST),
    "quoted": lambda folder: text(folder / "a.csv", header("Label", *PLACES, quote='"') + FIRST),
    "class last": lambda folder: text(
        folder / "mnist_784.csv", header(*PLACES, "class") + table(PIXELS, LABELS)
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_gives_the_same(tmp_path: Path, kind: str) -> None:
    for path in (KINDS[kind](tmp_path), str(KINDS[kind](tmp_path))):
        images, labels = load_images(path)
        assert [images.dtype.name, labels.dtype.name] == ["float64", "int64"]
        assert_array_equal(images, PIXELS / 255)
        assert_array_equal(labels, LABELS)


def test_optdigits_have_17_levels_and_their_label_last(tmp_path: Path) -> None:
    places = [f"pixel_{row}_{column}" for row in range(8) for column in range(8)]
    for path in (
        text(tmp_path / "optdigits.tra", table(SMALL, LABELS)),
        text(tmp_path / "last.csv", header(*places, "target") + table(SMALL, LABELS)),
        text(tmp_path / "first.csv", header("y", *places) + table(LABELS, SMALL)),
    ):
        images, labels = load_images(path)
        assert_array_equal(images, SMALL / 16)
        assert_array_equal(labels, LABELS)


@pytest.mark.parametrize(("levels", "last"), [(255, 0), (16, 16)])
def test_eight_by_eight_pixels_with_the_label_first(tmp_path: Path, levels: int, last: int) -> None:
    """That they are not optdigits shows in a level above 16, or in a last column of no digit."""
    pixels = SMALL.copy()
    pixels[:, 7, 7] %= 10
    pixels[2, 3, 3], pixels[1, 7, 7] = levels, last
    images, labels = load_images(text(tmp_path / "small.csv", table(LABELS, pixels)))
    assert_array_equal(images, pixels / levels)
    assert_array_equal(labels, LABELS)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_labels_packed_like_the_pictures_come_first(tmp_path: Path, ending: str) -> None:
    path = mnist(tmp_path, ending, ending)
    other = "" if ending else ".gz"
    write(tmp_path / f"train-labels-idx1-ubyte{other}", idx(LABELS[::-1]))
    assert_array_equal(load_images(path)[1], LABELS)


def test_labels_under_another_name(tmp_path: Path) -> None:
    path, labels = write(tmp_path / "a", idx(PIXELS)), write(tmp_path / "b", packed(idx(LABELS)))
    assert_array_equal(load_images(path, labels)[1], LABELS)
    assert_array_equal(load_images(path, labels=str(labels))[0], PIXELS / 255)
    wide = write(tmp_path / "c", idx(LABELS.astype(np.int32), 12))
    assert_array_equal(load_images(path, wide)[1], LABELS)
    assert_refused(lambda: load_images(path), ValueError, [str(path), "give labels=path"])
    mine = write(tmp_path / "my-images.idx", idx(PIXELS))
    assert_refused(lambda: load_images(mine), ValueError, ["no file my-labels.idx", "beside it"])
    own = keras(tmp_path)
    assert_refused(lambda: load_images(own, labels), ValueError, ["has its own", str(labels)])
    with pytest.raises(FileNotFoundError, match="none"):
        load_images(path, tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="none"):
        load_images(tmp_path / "none")


def with_header(path: Path, *numbers: int) -> Path:
    """Write an idx file of pictures whose header says something else."""
    return write(path, struct.pack(f">4B{len(numbers) - 4}I", *numbers) + PIXELS.tobytes())


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda f: write(f / "p", idx(PIXELS)[:-1]), ("only 95 bytes where 96", "(6, 4, 4)")),
        (lambda f: write(f / "p", idx(PIXELS) + b"\0"), ("more bytes where 96",)),
        (lambda f: write(f / "p", idx(PIXELS)[:9]), ("p: content",)),
        (lambda f: write(f / "p", packed(idx(PIXELS))[:-9]), ("p: content", "EOFError")),
        (lambda f: write(f / "p", packed(idx(PIXELS)) + b"x"), ("p: content",)),
        (lambda f: with_header(f / "p", 0, 0, 8, 3, 2**31, 2**31, 2**31), ("more than",)),
        (lambda f: with_header(f / "p", 0, 0, 8, 255, 1), ("p: content",)),
        (lambda f: write(f / "p", idx(LABELS)), ("uint8 of shape (6,)", "(m, h, w)")),
        (lambda f: write(f / "p", idx(PIXELS[:0])), ("shape (0, 4, 4)", "not empty")),
        (lambda f: write(f / "p", idx(PIXELS / 255, 14)), (">f8 of shape", "uint8")),
        (lambda f: write(f / "p", idx(PIXELS[..., None])), ("shape (6, 4, 4, 1)",)),
    ],
)
def test_pictures_that_are_no_idx_file_of_pictures(
    tmp_path: Path, made: Writer, says: tuple[str, ...]
) -> None:
    labels = write(tmp_path / "labels", idx(LABELS))
    path = made(tmp_path)
    refused(lambda p: load_images(p, labels), path, says=(str(path), *says))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (idx(LABELS[:5]), ("uint8 of shape (5,)", "shape (6,), a label for each picture")),
        (idx(PIXELS), ("shape (6, 4, 4)", "a label for each picture")),
        (idx(LABELS.astype(float), 14), (">f8",)),
        (idx(LABELS.astype(np.int8) - 1, 9), ("-1 in row 1", "labels from 0 on")),
        (b"", ("nothing",)),
        (b"3,0,9", ("whole idx file",)),
        (packed(b"3,0,9"), ("other first bytes than an idx file's",)),
    ],
)
def test_labels_that_are_none(tmp_path: Path, content: bytes, says: tuple[str, ...]) -> None:
    path, labels = write(tmp_path / "p", idx(PIXELS)), write(tmp_path / "labels", content)
    refused(lambda p: load_images(p, labels), path, says=(str(labels), *says))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"x_train": PIXELS, "y_train": LABELS}, ("x_test, y_test", "only x_train, y_train")),
        ({"images": PIXELS}, ("labels", "only images")),
        ({"images": PIXELS, "labels": LABELS[:2]}, ("npz: labels", "shape (2,)", "(6,)")),
        ({"images": PIXELS / 255, "labels": LABELS}, ("npz: images", "float64", "uint8")),
        ({"images": PIXELS[..., None], "labels": LABELS}, ("npz: images", "(6, 4, 4, 1)")),
        ({"images": PIXELS, "labels": LABELS / 2}, ("npz: labels", "float64")),
        ({"images": PIXELS, "labels": -LABELS.astype(int)}, ("npz: labels", "-3 in row 0")),
        (
            {"x_train": PIXELS, "y_train": LABELS, "x_test": SMALL, "y_test": LABELS},
            ("x_train, x_test", "(6, 4, 4) and (6, 8, 8)", "one size"),
        ),
        ({"images": np.array([{}]), "labels": LABELS}, ("npz: content", "unpickled")),
    ],
)
def test_archives_of_something_else(
    tmp_path: Path, fields: dict[str, Any], says: tuple[str, ...]
) -> None:
    refused(load_images, npz(tmp_path / "mnist.npz", **fields), says=("mnist.npz", *says))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", ("the file is empty",)),
        ("hello\n", ("content",)),
        (FIRST[:-1], ("the last line has no end", "each line ended")),
        (FIRST + "1,2\n", ("content", "parted by commas")),
        (FIRST.replace(",", " "), ("content",)),
        (table(PIXELS), ("columns: found 6 rows of 16 columns", "1 + 28 * 28 = 785")),
        (table(LABELS), ("columns: found 6 rows of 1 columns",)),
        (header("label", *PLACES), ("content",)),
        (header(*PLACES, "x") + table(PIXELS, LABELS), ("header", "from pixel0 to x", "label")),
        (header(*PLACES) + table(PIXELS), ("columns: found 6 rows of 16 columns",)),
        (FIRST.replace("255", "256", 1), ("256 in line 1, column 2", "0 to 255")),
        (FIRST + "1," * 16 + "0.5\n", ("0.5 in line 7, column 17", "whole numbers")),
        (FIRST + "-1" + ",1" * 16 + "\n", ("-1 in line 7, column 1",)),
        (FIRST + "1," * 16 + "nan\n", ("nan in line 7, column 17",)),
        (header("label", *PLACES) + FIRST + "1e9" + ",1" * 16 + "\n", ("1e+09 in line 8",)),
    ],
)
def test_tables_of_something_else(tmp_path: Path, content: str, says: tuple[str, ...]) -> None:
    refused(load_images, text(tmp_path / "train.csv", content), says=("train.csv", *says))
    path = write(tmp_path / "train.csv.gz", packed(content.encode()))
    refused(load_images, path, says=("train.csv.gz", *says))


@pytest.mark.parametrize("content", [b"\x00", bytes(5000), RNG.bytes(5000), b"\x1f\x8b", b"PK\3\4"])
def test_garbage_is_no_set_of_pictures(tmp_path: Path, content: bytes) -> None:
    refused(load_images, write(tmp_path / "p", content), says=("p: content",))


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    """A header of a few pictures, and 64 million zeros behind it, packed to 64 kB."""
    path = write(tmp_path / "p", packed(idx(PIXELS) + bytes(2**26)))
    labels = write(tmp_path / "labels", idx(LABELS))
    header_alone = struct.pack(">4B3I", 0, 0, 8, 3, 2**9, 2**10, 2**10)
    claim = write(tmp_path / "q", packed(header_alone))
    tracemalloc.start()
    try:
        refused(lambda p: load_images(p, labels), path, says=("more bytes where 96",))
        refused(lambda p: load_images(p, labels), claim, says=("only 0 bytes",))
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()


def test_a_table_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.csv.gz", packed(100 * FIRST.encode()))
    assert len(load_images(path)[1]) == 600
    monkeypatch.setattr(room, "MAX_BYTES", 99 * len(FIRST))
    refused(load_images, path, says=("a.csv.gz: content", "more than"))


def damaged(content: bytes) -> bytes:
    """Cut, flip, overwrite, drop or double a part."""
    broken, at = bytearray(content), int(RNG.integers(len(content)))
    match RNG.integers(5):
        case 0:
            return content[:at]
        case 1:
            broken[at] ^= 1 << int(RNG.integers(8))
        case 2:
            broken[at : at + 8] = RNG.bytes(8)
        case 3:
            del broken[at : at + 5]
        case 4:
            broken[at:at] = content[at : at + 20]
    return bytes(broken)


@pytest.mark.parametrize("kind", ["idx", "idx.gz", "mnist.npz", "Kaggle", "packed"])
def test_damaged_files_are_refused_or_sound(tmp_path: Path, kind: str) -> None:
    """Where there is a checksum, in .gz and .npz, they are refused or the original."""
    path = KINDS[kind](tmp_path)
    good, refusals = path.read_bytes(), 0
    for _ in range(200):
        path.write_bytes(damaged(good))
        try:
            images, labels = load_images(path)
        except FileFormatError as error:
            assert str(path) in str(error)  # noqa: PT017
            refusals += 1
            continue
        assert images.min() >= 0
        assert images.max() <= 1
        assert labels.shape == (len(images),)
        if kind in ("idx.gz", "mnist.npz", "packed"):
            assert_array_equal(images, PIXELS / 255)
            assert_array_equal(labels, LABELS)
    assert refusals > (60 if kind == "idx" else 100)
