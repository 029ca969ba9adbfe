"""The course's matrices come back bit for bit; the last unit, which stands for 0, comes first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal
from scipy.io import savemat
from tools.made_files import FINITE, ROWS, mat, refused, same_bits, text

from autonn.files import FileFormatError, read_weights, write_weights


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


def test_other_numbers_of_outputs_are_rolled_too(tmp_path: Path) -> None:
    """The last class is row 0, for any number of classes; hidden layers keep their order."""
    thetas = [np.arange(6.0).reshape(3, 2), np.arange(12.0).reshape(3, 4)]
    savemat(tmp_path / "w.mat", {"Theta1": thetas[0], "Theta2": thetas[1]})
    first, last = read_weights(tmp_path / "w.mat")
    assert_array_equal(first, thetas[0])
    assert_array_equal(last, thetas[1][[2, 0, 1]])


# Files and matrices that are wrong.


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


@pytest.mark.parametrize("paths", [(), ("a.mat", "b.mat"), ("a.mat", "W2.in")])
def test_weights_take_one_mat_or_texts(paths: tuple[str, ...]) -> None:
    """Anything else is a mistake of the caller, not of a file."""
    with pytest.raises(ValueError, match=r"one \.mat path, or text paths"):
        read_weights(*paths)
    with pytest.raises(ValueError, match=r"one \.mat path, or text paths"):
        write_weights([ROWS], *paths)


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
