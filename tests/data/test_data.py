"""The digits are the course's own, and no file, however damaged, gets past the readers unseen."""

import hashlib
import os
import pickle
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.io import loadmat, savemat

import autonn.data as room
from autonn import one_hot
from autonn.data import (
    Digits,
    as_images,
    batches,
    load_digits,
    read_examples,
    resampling_matrix,
    shrink,
    split,
    unroll,
    write_examples,
)
from autonn.files import read_weights, write_weights
from autonn.formats import FileFormatError, atomic_write, read_mat

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=64)
SIDES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=6)


@pytest.fixture(scope="module")
def digits() -> Digits:
    """Load the digits once for all tests."""
    return load_digits()


@pytest.fixture
def X() -> Any:
    """Twelve rows of four values."""
    return np.random.default_rng(1).normal(size=(12, 4))


@pytest.fixture
def y() -> Any:
    """Twelve digits, all ten of them among these."""
    return np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 3])


@pytest.fixture
def thetas() -> list[Any]:
    """Weights of a 4-3-10 network."""
    rng = np.random.default_rng(2)
    return [rng.normal(size=(3, 5)), rng.normal(size=(10, 4))]


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


def mat(path: Path, **fields: Any) -> Path:
    """Write a .mat file by SciPy, as an outsider would."""
    savemat(path, fields)
    return path


def text(path: Path, content: str) -> Path:
    """Write a text file."""
    path.write_text(content)
    return path


# The digits.


def test_digits_have_the_promised_form(digits: Digits) -> None:
    """Shapes, dtypes, order, and rows that are the pictures."""
    parts = digits.X, digits.y, digits.images
    assert [part.shape for part in parts] == [(5000, 400), (5000,), (5000, 20, 20)]
    assert [part.dtype.name for part in parts] == ["float64", "int64", "float64"]
    assert_array_equal(digits.y, np.repeat(np.arange(10), 500))
    assert_array_equal(digits.X[7].reshape(20, 20, order="F"), digits.images[7])
    assert not np.shares_memory(digits.X, digits.images)
    assert repr(digits) == "Digits(X=(5000, 400), y=(5000,), images=(5000, 20, 20))"


def test_digits_meet_the_published_checks(digits: Digits) -> None:
    """The range and the first entries of the course's X."""
    assert_allclose(digits.X.min(), -0.1319632301985256, rtol=0, atol=1e-13)
    assert_allclose(digits.X.max(), 1.1276882991588875, rtol=0, atol=1e-13)
    first = digits.X[0][digits.X[0] != 0][:3]
    assert_allclose(first, [8.5605968e-06, 1.9403595e-06, -7.3743873e-04], rtol=1e-7)


def test_a_one_is_upright(digits: Digits) -> None:
    """A 1 is taller than wide; lying on its side it would not be."""
    ink = digits.images[digits.y == 1].mean(axis=0) > 0.2
    assert ink.any(axis=1).sum() > 1.5 * ink.any(axis=0).sum()


def test_the_shipped_file_is_the_one_described() -> None:
    """The fingerprints in data/README.md."""
    with np.load(room._digits_file(), allow_pickle=False) as archive:
        prints = {name: hashlib.sha256(archive[name]).hexdigest()[:16] for name in archive}
    assert prints == {"images": "2913c6b6527114b7", "labels": "41b7b0a9d94690a3"}


def test_published_costs_and_accuracy(digits: Digits) -> None:
    """The course's weights on our digits give the course's figures."""
    folder = os.environ.get("AUTONN_COURSE_DATA")
    if not folder:
        pytest.skip("AUTONN_COURSE_DATA names no folder with ex4weights.mat")
    thetas = read_weights(Path(folder) / "ex4weights.mat")
    a = digits.X
    for theta in thetas:
        a = 1 / (1 + np.exp(-(theta[:, 0] + a @ theta[:, 1:].T)))
    target = np.eye(10)[digits.y]
    cost = -np.sum(target * np.log(a) + (1 - target) * np.log(1 - a)) / 5000
    penalty = sum(np.sum(theta[:, 1:] ** 2) for theta in thetas) / (2 * 5000)
    assert abs(cost - 0.28762916516131876) < 1e-12
    assert abs(cost + penalty - 0.38376985909092381) < 1e-12
    assert np.sum(a.argmax(axis=1) == digits.y) == 4876  # 97.52 %


def npz(path: Path, **arrays: Any) -> Path:
    """Write an archive as digits.npz is."""
    np.savez_compressed(path, **arrays)
    return path


def test_another_file_of_the_same_form(tmp_path: Path) -> None:
    """Any number of pictures will do."""
    images = np.full((3, 28, 28), 255, np.uint8)
    path = npz(tmp_path / "own.npz", images=images, labels=np.array([7, 0, 9], np.uint8))
    own = load_digits(path)
    assert_allclose(own.X, np.ones((3, 400)), rtol=1e-14)
    assert_array_equal(own.y, [7, 0, 9])


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"images": np.zeros((3, 28, 28), np.uint8)}, "labels"),
        ({"images": np.zeros((3, 28, 27), np.uint8), "labels": np.zeros(3, np.uint8)}, "images"),
        ({"images": np.zeros((3, 28, 28)), "labels": np.zeros(3, np.uint8)}, "images"),
        ({"images": np.zeros((0, 28, 28), np.uint8), "labels": np.zeros(0, np.uint8)}, "images"),
        ({"images": np.zeros((3, 28, 28), np.uint8), "labels": np.zeros(2, np.uint8)}, "images"),
        ({"images": np.zeros((3, 28, 28), np.uint8), "labels": np.uint8(1)}, "images"),
        (
            {"images": np.zeros((1, 28, 28), np.uint8), "labels": np.zeros((1, 1), np.uint8)},
            "labels",
        ),
        (
            {"images": np.zeros((3, 28, 28), np.uint8), "labels": np.array([0, 10, 1], "u1")},
            "row 1",
        ),
    ],
)
def test_digits_of_the_wrong_form(tmp_path: Path, fields: dict[str, Any], field: str) -> None:
    """The message names the file and the field."""
    path = npz(tmp_path / "own.npz", **fields)
    refused(load_digits, path, says=("own.npz", field))


def test_missing_digits_name_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both a missing file and a missing installation are FileNotFoundErrors."""
    with pytest.raises(FileNotFoundError):
        load_digits(tmp_path / "none.npz")
    monkeypatch.setattr(room, "__file__", str(tmp_path / "autonn" / "data.py"))
    with pytest.raises(FileNotFoundError, match=r"build_digits.py.*digits.npz"):
        load_digits()


def test_digits_beside_the_package_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installed package has its digits inside."""
    monkeypatch.setattr(room, "__file__", str(tmp_path / "data.py"))
    path = npz(tmp_path / "digits.npz", images=np.zeros((1, 28, 28), "u1"), labels=np.ones(1, "u1"))
    assert load_digits().y.tolist() == load_digits(path).y.tolist() == [1]


# Pictures.


def test_resampling_matrix_of_the_digits() -> None:
    """Entries worked out by hand from Keys' formula, one in each piece of the kernel."""
    M = resampling_matrix()
    assert M.shape == (20, 28)
    centre, a = 1.4 * 10.5 - 0.5, -0.5  # 14.2

    def keys(x: float) -> float:
        x = abs(x) / 1.4
        if x <= 1:
            return (a + 2) * x**3 - (a + 3) * x**2 + 1
        return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0

    row = np.array([keys(j - centre) for j in range(28)])
    assert_allclose(M[10], row / row.sum(), rtol=0, atol=1e-15)
    assert (M[10] < 0).any()


def test_pixels_beyond_the_edge_repeat_the_edge() -> None:
    """Padding the line with its ends changes nothing; the weights fold onto the ends."""
    line = np.random.default_rng(0).normal(size=28)
    padded = np.pad(line, 14, mode="edge")
    assert_allclose(resampling_matrix(56, 40)[10:30] @ padded, resampling_matrix() @ line, 1e-13)


def test_a_window_shows_a_part_of_the_line() -> None:
    """Away from its ends it is what the same part of a longer line gives; half a pixel moves it."""
    line = np.random.default_rng(0).normal(size=56)
    part = resampling_matrix(56, 20, window=(14, 42)) @ line
    assert_allclose(part[3:-3], (resampling_matrix(56, 40) @ line)[13:27], rtol=1e-12)
    assert_array_equal(resampling_matrix(9, 9, window=(0, 9)), np.eye(9))
    ramp = resampling_matrix(30, 10, window=(10.5, 20.5)) @ np.arange(30.0)
    assert_allclose(ramp, np.arange(10, 20) + 0.5, rtol=1e-12)
    beyond = resampling_matrix(5, 4, window=(5, 9)) @ np.arange(5.0)
    assert_allclose(beyond[-2:], 4, rtol=1e-12)


@given(st.integers(1, 40), st.integers(1, 40))
def test_resampling_matrix_of_any_size(old: int, new: int) -> None:
    """Rows sum to 1, a mirrored line gives a mirrored result, the same size changes nothing."""
    M = resampling_matrix(old, new)
    assert M.shape == (new, old)
    assert_allclose(M.sum(axis=1), 1, rtol=1e-14)
    assert_allclose(M, M[::-1, ::-1], rtol=0, atol=1e-13)
    assert_array_equal(resampling_matrix(old, old), np.eye(old))


def test_straight_lines_stay_straight() -> None:
    """Away from the edges the kernel reproduces a line exactly when it enlarges."""
    line = resampling_matrix(20, 40) @ np.arange(20.0)
    assert_allclose(np.diff(line)[6:-6], 0.5, rtol=1e-12)


def test_shrink_takes_stacks_and_oblong_pictures() -> None:
    """Each picture on its own: M @ image @ M.T."""
    images = np.random.default_rng(0).normal(size=(2, 3, 28, 14))
    small = shrink(images, 10)
    assert small.shape == (2, 3, 10, 10)
    expected = resampling_matrix(28, 10) @ images[1, 2] @ resampling_matrix(14, 10).T
    assert_allclose(small[1, 2], expected, rtol=1e-13)


@given(
    hnp.arrays(
        np.float64, st.tuples(st.integers(0, 3), *[st.shared(st.integers(1, 6), key="n")] * 2)
    )
)
def test_unroll_and_as_images_undo_each_other(images: Any) -> None:
    """Column by column, and back."""
    rows = unroll(images)
    assert rows.shape == (len(images), images.shape[1] ** 2)
    for row, image in zip(rows, images, strict=True):
        assert same_bits(row, image.ravel(order="F"))
    assert same_bits(as_images(rows), images)


@pytest.mark.parametrize(
    "call",
    [
        lambda: unroll(np.zeros((2, 3, 4))),
        lambda: unroll(np.zeros(4)),
        lambda: as_images(np.zeros((2, 5))),
        lambda: as_images(3.0),
        lambda: shrink(np.zeros(4)),
        lambda: shrink(np.zeros((4, 4)), 0),
        lambda: resampling_matrix(0, 3),
        lambda: resampling_matrix(3, -1),
        lambda: resampling_matrix(3, 2, window=(1, 1)),
        lambda: resampling_matrix(3, 2, window=(0, np.nan)),
    ],
)
def test_pictures_of_the_wrong_shape(call: Callable[[], object]) -> None:
    """A ValueError at the call."""
    with pytest.raises(ValueError, match=r"shrink|unroll|as_images|must be|window="):
        call()


# Labels and rows.


@given(st.lists(st.integers(0, 6)), st.sampled_from([np.float64, np.float32, np.int64]))
def test_one_hot(labels: list[int], dtype: Any) -> None:
    """A single 1 in each row, at the label."""
    rows = one_hot(np.array(labels, dtype=np.uint8), classes=7, dtype=dtype)
    assert rows.shape == (len(labels), 7)
    assert rows.dtype == dtype
    assert_array_equal(rows.sum(axis=1), 1)
    assert rows.argmax(axis=1).tolist() == labels


@pytest.mark.parametrize(
    ("labels", "error", "says"),
    [
        ([0, 3], IndexError, "class 3 of 3 in row 1"),
        ([-1, 3], IndexError, "class -1 of 3 in row 0; labels run from 0 to 2 and never wrap"),
        ([0.0, 1.0], TypeError, "float64"),
        ([True, False], TypeError, "bool"),
        (["a"], TypeError, "integers"),
        ([0.0, np.nan], ValueError, "NaN in row 1"),
        ([[0], [1]], ValueError, "y.ravel()"),
        (1, ValueError, "vector"),
    ],
)
def test_labels_that_one_hot_refuses(labels: Any, error: type[Exception], says: str) -> None:
    """Each kind of wrong label gets its own exception."""
    with pytest.raises(error) as caught:
        one_hot(labels, classes=3)
    assert says in str(caught.value)


def test_one_hot_needs_a_class() -> None:
    """No classes, no rows."""
    with pytest.raises(ValueError, match="classes is at least 1, not 0"):
        one_hot([], classes=0)


@given(st.lists(st.integers(0, 5), max_size=60), st.data())
def test_split_is_fair(labels: list[int], data: st.DataObject) -> None:
    """Every row lands on one side; each class gives its share, rounded up or down."""
    y, m = np.array(labels, dtype=int), len(labels)
    test = data.draw(st.integers(0, m))
    rows = np.arange(m)
    train_rows, y_train, test_rows, y_test = split(rows, y, test, rng=data.draw(st.integers(0, 9)))
    assert len(test_rows) == test
    assert_array_equal(np.sort(np.concatenate([train_rows, test_rows])), rows)
    assert_array_equal(y_train, y[train_rows])
    assert_array_equal(y_test, y[test_rows])
    assert_array_equal(train_rows, np.sort(train_rows))
    for label in set(labels):
        share = test * np.sum(y == label) / m
        assert np.floor(share) <= np.sum(y_test == label) <= np.ceil(share)


def test_split_gives_the_odd_rows_to_the_largest_remainders() -> None:
    """Shares 2.4, 1.8 and 0.8 of 5 rows: the last two are rounded up, the first down."""
    y = np.repeat([0, 1, 2], [12, 9, 4])
    *_, y_test = split(y, y, 5, rng=0)
    assert np.bincount(y_test).tolist() == [2, 2, 1]


def test_split_of_the_digits(digits: Digits) -> None:
    """4,000 and 1,000, a hundred of each digit; the seed decides which."""
    parts = split(digits.X, digits.y, rng=3)
    assert [len(part) for part in parts] == [4000, 4000, 1000, 1000]
    assert np.bincount(parts[3]).tolist() == [100] * 10
    again = split(digits.X, digits.y, rng=np.random.default_rng(3))
    assert all(same_bits(a, b) for a, b in zip(parts, again, strict=True))
    assert not np.array_equal(split(digits.X, digits.y, rng=4)[2], parts[2])


@pytest.mark.parametrize(
    ("rows", "labels", "test", "says"),
    [
        (4, 4, -1, "test must be 0 or more, not -1"),
        (4, 4, 5, "test=5 rows, but the data has only 4"),
        (3, 4, 1, "does not match 4 labels"),
        (4, (4, 1), 1, "vector of labels"),
    ],
)
def test_splits_that_cannot_be(rows: int, labels: Any, test: int, says: str) -> None:
    """A ValueError that says which number is wrong."""
    with pytest.raises(ValueError, match=says):
        split(np.zeros((rows, 2)), np.zeros(labels, dtype=int), test, rng=0)


def test_split_needs_a_whole_number() -> None:
    """A fraction is not taken for a number of rows."""
    with pytest.raises(TypeError):
        split(np.zeros(4), np.zeros(4), 0.25, rng=0)  # type: ignore[arg-type]


@given(st.integers(0, 50), st.integers(1, 60), st.integers(0, 5))
def test_batches_deal_every_row_once(m: int, size: int, seed: int) -> None:
    """All full but the last, in an order that the seed decides."""
    hands = list(batches(m, size, seed))
    assert all(len(hand) == size for hand in hands[:-1])
    assert all(0 < len(hand) <= size for hand in hands)
    dealt = np.concatenate([*hands, np.empty(0, int)])
    assert_array_equal(np.sort(dealt), np.arange(m))
    assert_array_equal(dealt, np.random.default_rng(seed).permutation(m))


@pytest.mark.parametrize(("m", "size"), [(-1, 2), (4, 0), (4, -3)])
def test_batches_refuse_at_the_call(m: int, size: int) -> None:
    """Not only at the first batch."""
    with pytest.raises(ValueError, match="must be"):
        batches(m, size, 0)


# The course's files, there and back.


@given(hnp.arrays(np.float64, SIDES, elements=FINITE), st.data())
def test_examples_come_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, X: Any, data: st.DataObject
) -> None:
    """Both forms, any finite numbers, -0.0 and subnormal ones too."""
    y = data.draw(hnp.arrays(np.int64, len(X), elements=st.integers(0, 9)))
    folder = tmp_path_factory.getbasetemp()
    for names in (["X.mat"], ["X.in", "y.in"]):
        paths = [folder / name for name in names]
        write_examples(X, y, *paths)
        X_again, y_again = read_examples(*paths)
        assert same_bits(X_again, X)
        assert same_bits(y_again, y)


@given(st.lists(st.integers(1, 5), min_size=2, max_size=4), st.data())
def test_weights_come_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, units: list[int], data: st.DataObject
) -> None:
    """Both forms, any number of layers."""
    thetas = [
        data.draw(hnp.arrays(np.float64, (units[i + 1], units[i] + 1), elements=FINITE))
        for i in range(len(units) - 1)
    ]
    folder = tmp_path_factory.getbasetemp()
    for paths in ([folder / "w.mat"], [folder / f"W{i}.in" for i in range(len(thetas))]):
        write_weights(thetas, *paths)
        again = read_weights(*paths)
        assert len(again) == len(thetas)
        assert all(same_bits(a, b) for a, b in zip(again, thetas, strict=True))


def test_the_course_lists_zero_last(tmp_path: Path, thetas: list[Any]) -> None:
    """Class 10 in y, the last column in y.in, the last row of the last Theta stand for 0."""
    X = np.arange(6.0).reshape(3, 2)
    write_examples(X, [0, 1, 9], tmp_path / "d.mat")
    assert loadmat(tmp_path / "d.mat")["y"].tolist() == [[10], [1], [9]]
    write_examples(X, [0, 1, 9], tmp_path / "X.in", tmp_path / "y.in")
    assert (tmp_path / "y.in").read_text().split() == [
        "0,0,0,0,0,0,0,0,0,1",
        "1,0,0,0,0,0,0,0,0,0",
        "0,0,0,0,0,0,0,0,1,0",
    ]
    assert (tmp_path / "X.in").read_text() == "0.0,1.0\n2.0,3.0\n4.0,5.0\n"
    write_weights(thetas, tmp_path / "w.mat")
    theirs = loadmat(tmp_path / "w.mat")
    assert same_bits(theirs["Theta1"].copy(), np.asfortranarray(thetas[0]).copy())
    assert_array_equal(theirs["Theta2"][9], thetas[1][0])
    assert_array_equal(theirs["Theta2"][:9], thetas[1][1:])


def test_files_from_elsewhere(tmp_path: Path, X: Any, y: Any) -> None:
    """SciPy's files and NumPy's text, labels as a row, a column or small integers."""
    classes = np.where(y == 0, 10, y)
    for labels in (classes, classes[:, None], classes[None], classes.astype(np.uint8)):
        for squeeze in (False, True):
            savemat(tmp_path / "d.mat", {"X": X, "y": labels}, do_compression=squeeze)
            X_again, y_again = read_examples(tmp_path / "d.mat")
            assert same_bits(X_again, X)
            assert same_bits(y_again, y)
    np.savetxt(tmp_path / "X.in", X, delimiter=",")
    np.savetxt(tmp_path / "y.in", np.roll(np.eye(10)[y], -1, axis=1), delimiter=",")
    X_again, y_again = read_examples(str(tmp_path / "X.in"), str(tmp_path / "y.in"))
    assert same_bits(X_again, X)
    assert same_bits(y_again, y)


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


def test_other_numbers_of_outputs_are_rolled_too(tmp_path: Path) -> None:
    """The last class is row 0, for any number of classes; hidden layers keep their order."""
    thetas = [np.arange(6.0).reshape(3, 2), np.arange(12.0).reshape(3, 4)]
    savemat(tmp_path / "w.mat", {"Theta1": thetas[0], "Theta2": thetas[1]})
    first, last = read_weights(tmp_path / "w.mat")
    assert_array_equal(first, thetas[0])
    assert_array_equal(last, thetas[1][[2, 0, 1]])


# Files whose content is wrong.

ROWS = np.ones((3, 2))
LABELS = np.array([[1.0], [10.0], [2.0]])


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"X": ROWS}, ("y", "only X")),
        ({"a": ROWS, "y": LABELS}, ("X", "only a, y")),
        ({"X": ROWS, "y": LABELS[:2]}, ("y", "2 labels", "3, as in X")),
        ({"X": ROWS[:0], "y": LABELS}, ("X", "shape (0, 2)")),
        ({"X": np.ones((3, 2, 2)), "y": LABELS}, ("X", "shape (3, 2, 2)")),
        ({"X": ROWS, "y": np.ones((3, 2))}, ("y", "shape (3, 2)", "vector")),
        ({"X": ROWS, "y": LABELS - 1}, ("y", "label 0 in row 0", "1..10")),
        ({"X": ROWS, "y": LABELS + 1}, ("y", "label 11 in row 1", "1..10")),
        ({"X": ROWS, "y": LABELS / 4}, ("y", "label 0.25 in row 0", "whole numbers")),
        ({"X": ROWS, "y": LABELS * np.nan}, ("y", "nan in row 0", "finite")),
        ({"X": ROWS * [1, np.nan], "y": LABELS}, ("X", "nan in row 0, column 1")),
        ({"X": ROWS * [[1], [1], [-np.inf]], "y": LABELS}, ("X", "-inf in row 2, column 0")),
        ({"X": ROWS * 1j, "y": LABELS}, ("X", "complex", "real numbers")),
        ({"X": "words", "y": LABELS}, ("X", "text", "real numbers")),
        ({"X": {"a": 1}, "y": LABELS}, ("X", "struct", "real numbers")),
        ({"X": np.array([[1, "a"]], object), "y": LABELS}, ("X", "cell", "real numbers")),
    ],
)
@pytest.mark.parametrize("squeeze", [False, True])
def test_examples_with_wrong_fields(
    tmp_path: Path, fields: dict[str, Any], says: tuple[str, ...], squeeze: bool
) -> None:
    """File, field, what was found, what was expected."""
    savemat(tmp_path / "d.mat", fields, do_compression=squeeze)
    refused(read_examples, tmp_path / "d.mat", says=("d.mat", *says))


HOT = "0,0,0,0,0,0,0,0,0,1\n"


@pytest.mark.parametrize(
    ("X", "y", "says"),
    [
        ("1,2\n", HOT.replace("1", "0"), ("y.in: y", "row 0", "a single 1")),
        ("1,2\n3,4\n", HOT + HOT.replace("0", "1", 1), ("y.in: y", "row 1", "a single 1")),
        ("1,2\n", HOT.replace("1", "0.5"), ("y.in: y", "row 0", "a single 1")),
        ("1,2\n", HOT.replace("1", "nan"), ("y.in: y", "nan in row 0, column 9")),
        ("1,2\n", "10\n", ("y.in: y", "shape (1, 1)", "10 columns")),
        ("1,2\n", HOT + HOT, ("y.in: y", "2 labels", "1, as in X")),
        ("1,2\n1\n", HOT, ("X.in: X", "equal rows")),
        ("1,2\n1,b\n", HOT, ("X.in: X", "comma-separated numbers")),
        ("1,\n", HOT, ("X.in: X",)),
        ("1 2\n", HOT, ("X.in: X",)),
        ("1,inf\n", HOT, ("X.in: X", "inf in row 0, column 1")),
        ("1,1e999\n", HOT, ("X.in: X", "inf")),
        ("1,2", HOT, ("X.in: X", "the last line has no end", "each line ended")),
        ("", HOT, ("X.in: X", "the file is empty")),
        ("\n\n", HOT, ("X.in: X",)),
        ("1,2\n", "", ("y.in: y", "the file is empty")),
    ],
)
def test_text_examples_with_wrong_content(
    tmp_path: Path, X: str, y: str, says: tuple[str, ...]
) -> None:
    """The message names the one of the two files that is wrong."""
    paths = text(tmp_path / "X.in", X), text(tmp_path / "y.in", y)
    refused(read_examples, *paths, says=says)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"W": np.ones((2, 3))}, ("Theta1", "only W")),
        ({"Theta2": np.ones((2, 3))}, ("Theta1", "only Theta2")),
        ({"Theta1": np.ones((2, 3)), "Theta3": np.ones((2, 3))}, ("Theta2", "Theta1, Theta3")),
        ({"Theta1": np.ones((2, 3)), "Theta2": np.ones((2, 4))}, ("Theta2", "(2, 4)", "3 columns")),
        ({"Theta1": np.ones((2, 1))}, ("Theta1", "(2, 1)", "the bias first")),
        ({"Theta1": np.ones((2, 3)) * np.nan}, ("Theta1", "nan in row 0, column 0")),
        ({"Theta1": np.ones((2, 3)) * np.inf}, ("Theta1", "inf in row 0, column 0")),
        ({"Theta1": np.ones((2, 3)) * 1j}, ("Theta1", "complex")),
        ({"Theta1": {"a": 1}}, ("Theta1", "struct")),
    ],
)
def test_weights_with_wrong_fields(
    tmp_path: Path, fields: dict[str, Any], says: tuple[str, ...]
) -> None:
    """File, field, what was found, what was expected."""
    refused(read_weights, mat(tmp_path / "w.mat", **fields), says=("w.mat", *says))


def test_text_weights_with_wrong_content(tmp_path: Path) -> None:
    """The message names the file of the matrix that is wrong."""
    W1, W2 = text(tmp_path / "W1.in", "1,2,3\n4,5,6\n"), text(tmp_path / "W2.in", "1,2\n")
    refused(read_weights, W1, W2, says=("W2.in: Theta2", "shape (1, 2)", "3 columns"))
    refused(read_weights, W1, text(W2, "1,2,nan\n"), says=("W2.in: Theta2", "nan in row 0"))
    refused(read_weights, text(W1, "1\n"), says=("W1.in: Theta1", "the bias first"))


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


def test_two_variables_of_one_name(tmp_path: Path) -> None:
    """Which of them was meant can't be known."""
    path = mat(tmp_path / "w.mat", Theta1=np.ones((2, 3)))
    path.write_bytes(path.read_bytes() + path.read_bytes()[128:])
    refused(read_weights, path, says=("w.mat: content", "two variables are called Theta1"))


@pytest.mark.parametrize("paths", [(), ("X.in",), ("a.mat", "b.mat"), ("a.mat", "y.in"), "XYZ"])
def test_examples_take_one_or_two_paths(paths: tuple[str, ...]) -> None:
    """Anything else is a mistake of the caller, not of a file."""
    with pytest.raises(ValueError, match=r"one \.mat path, or two text paths") as caught:
        read_examples(*paths)
    assert not isinstance(caught.value, FileFormatError)
    with pytest.raises(ValueError, match=r"one \.mat path, or two text paths"):
        write_examples(ROWS, [1, 2, 3], *paths)


@pytest.mark.parametrize("paths", [(), ("a.mat", "b.mat"), ("a.mat", "W2.in")])
def test_weights_take_one_mat_or_texts(paths: tuple[str, ...]) -> None:
    """Anything else is a mistake of the caller, not of a file."""
    with pytest.raises(ValueError, match=r"one \.mat path, or text paths"):
        read_weights(*paths)
    with pytest.raises(ValueError, match=r"one \.mat path, or text paths"):
        write_weights([ROWS], *paths)


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


def test_text_cut_inside_a_number_is_found(tmp_path: Path, thetas: list[Any]) -> None:
    """Every cut but one at the end of a line."""
    W1, W2 = tmp_path / "W1.in", tmp_path / "W2.in"
    write_weights(thetas, W1, W2)
    content = W2.read_bytes()
    for size in range(len(content)):
        W2.write_bytes(content[:size])
        if not content[:size].endswith(b"\n"):
            refused(read_weights, W1, W2, says=("W2.in: Theta2",))


@pytest.mark.parametrize("stray", "#%\"'_x;\0")
def test_a_stray_character_is_no_comment(tmp_path: Path, stray: str) -> None:
    """It would hide the end of a row's last number."""
    path = text(tmp_path / "W1.in", f"1,2.5\n3,4.5{stray}25\n")
    refused(read_weights, path, says=("W1.in: Theta1",))


# Writing.


@pytest.mark.parametrize(
    ("X", "y", "error", "says"),
    [
        (ROWS, [1, 2], ValueError, "3 rows in X, but 2 labels in y"),
        (ROWS, [1, 2, 10], IndexError, "class 10 of 10 in row 2"),
        (ROWS, [1.0, 2.0, 3.0], TypeError, "integers"),
        (ROWS * np.nan, [1, 2, 3], ValueError, "X: found nan in row 0, column 0"),
        (ROWS[0], [1, 2], ValueError, r"X: found shape \(2,\)"),
        (ROWS * 1j, [1, 2, 3], ValueError, "X: found complex128"),
        (np.full((3, 2), "a"), [1, 2, 3], ValueError, "X: found <U1"),
    ],
)
@pytest.mark.parametrize("names", [["d.mat"], ["X.in", "y.in"]])
def test_examples_that_are_not_written(
    tmp_path: Path, X: Any, y: Any, error: type[Exception], says: str, names: list[str]
) -> None:
    """The arguments are at fault, so it is no FileFormatError; no file appears."""
    with pytest.raises(error, match=says) as caught:
        write_examples(X, y, *[tmp_path / name for name in names])
    assert not isinstance(caught.value, FileFormatError)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("thetas", "names", "says"),
    [
        ([], ["w.mat"], "0 matrices"),
        ([np.ones((2, 3))], ["W1.in", "W2.in"], "1 matrices do not fit 2 paths"),
        ([np.ones((2, 3)), np.ones((1, 3))], ["W1.in"], "2 matrices do not fit 1 paths"),
        ([np.ones((2, 3)), np.ones((1, 2))], ["w.mat"], "Theta2: found shape"),
        ([np.ones((2, 3)) * np.inf], ["w.mat"], "Theta1: found inf in row 0"),
        ([np.ones(3)], ["W1.in"], "Theta1: found shape"),
        ([np.ones((2, 3)), np.ones((1, 3))], ["W.in", "W.in"], "a path of its own"),
    ],
)
def test_weights_that_are_not_written(
    tmp_path: Path, thetas: list[Any], names: list[str], says: str
) -> None:
    """A ValueError that says why; no file appears."""
    with pytest.raises(ValueError, match=says) as caught:
        write_weights(thetas, *[tmp_path / name for name in names])
    assert not isinstance(caught.value, FileFormatError)
    assert not list(tmp_path.iterdir())


def test_arguments_are_left_alone(tmp_path: Path, X: Any, y: Any, thetas: list[Any]) -> None:
    """Writing rolls and converts copies."""
    before = [a.copy() for a in (X, y, *thetas)]
    write_examples(X, y, tmp_path / "d.mat")
    write_weights(thetas, tmp_path / "w.mat")
    assert all(same_bits(a, b) for a, b in zip(before, (X, y, *thetas), strict=True))


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file in the folder, hidden ones too."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def fails(*_: object) -> None:
    """Stand in for a system call on a full disk."""
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_a_failed_write_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, X: Any, y: Any, thetas: list[Any]
) -> None:
    """The old files are whole and no temporary one is left."""
    for name in ("d.mat", "X.in", "y.in", "w.mat", "W1.in", "W2.in"):
        (tmp_path / name).write_bytes(b"old")
    before = contents(tmp_path)
    monkeypatch.setattr(os, call, fails)
    writes: list[Callable[[], None]] = [
        lambda: write_examples(X, y, tmp_path / "d.mat"),
        lambda: write_examples(X, y, tmp_path / "X.in", tmp_path / "y.in"),
        lambda: write_weights(thetas, tmp_path / "w.mat"),
        lambda: write_weights(thetas, tmp_path / "W1.in", tmp_path / "W2.in"),
    ]
    for write in writes:
        with pytest.raises(OSError, match="No space left"):
            write()
        assert contents(tmp_path) == before


def test_neither_file_changes_if_the_second_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, X: Any, y: Any
) -> None:
    """Both are on the disk before either takes its place."""
    paths = [text(tmp_path / "X.in", "old"), text(tmp_path / "y.in", "old")]
    before, sync = contents(tmp_path), os.fsync
    calls: Iterator[Callable[[int], None]] = iter([os.fsync, fails])
    monkeypatch.setattr(os, "fsync", lambda handle: next(calls, sync)(handle))
    with pytest.raises(OSError, match="No space left"):
        write_examples(X, y, *paths)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, GeneratorExit])
def test_a_writer_that_raises_changes_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    """Ctrl-C in the middle of a file is as harmless."""
    path = text(tmp_path / "note", "old")
    with ExitStack() as stack:
        stack.enter_context(pytest.raises(error))
        stack.enter_context(atomic_write(path)).write(b"ne")
        raise error
    assert contents(tmp_path) == {"note": b"old"}


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path: Path) -> None:
    """Readers never see a half-written file."""
    path = text(tmp_path / "note", "old")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert contents(tmp_path) == {"note": b"new"}


def test_a_missing_folder_is_named(tmp_path: Path, thetas: list[Any]) -> None:
    """Not the temporary file, which the caller has never heard of."""
    with pytest.raises(FileNotFoundError, match=r"no such folder to write into: '.*none'$"):
        write_weights(thetas, tmp_path / "none" / "w.mat")
    with pytest.raises(OSError, match="folder"):
        write_weights(thetas, text(tmp_path / "folder", "a file"), tmp_path / "folder" / "w.in")


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions and links")
def test_permissions_and_links_survive(tmp_path: Path) -> None:
    """A private file stays private, a link keeps pointing; a new file obeys the umask."""
    path = text(tmp_path / "note", "old")
    path.chmod(0o600)
    link = tmp_path / "link"
    link.symlink_to(path)
    with atomic_write(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    with atomic_write(tmp_path / "fresh") as file:
        file.write(b"")
    assert (tmp_path / "fresh").stat().st_mode == text(tmp_path / "plain", "").stat().st_mode


def test_a_path_that_is_a_folder(tmp_path: Path) -> None:
    """It can't be replaced, and nothing is left beside it."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"), atomic_write(tmp_path / "folder") as file:
        file.write(b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
