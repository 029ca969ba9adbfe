"""The course's examples, there and back: its order and its unrolling stay at the border."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal
from scipy.io import loadmat, savemat
from tools.made_files import FINITE, ROWS, refused, same_bits, text

from autonn.data import as_images, read_examples, unroll, write_examples
from autonn.files import FileFormatError, write_weights

SIDES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=6)


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


# Files whose content is wrong.
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


@pytest.mark.parametrize("paths", [(), ("X.in",), ("a.mat", "b.mat"), ("a.mat", "y.in"), "XYZ"])
def test_examples_take_one_or_two_paths(paths: tuple[str, ...]) -> None:
    """Anything else is a mistake of the caller, not of a file."""
    with pytest.raises(ValueError, match=r"one \.mat path, or two text paths") as caught:
        read_examples(*paths)
    assert not isinstance(caught.value, FileFormatError)
    with pytest.raises(ValueError, match=r"one \.mat path, or two text paths"):
        write_examples(ROWS, [1, 2, 3], *paths)


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
