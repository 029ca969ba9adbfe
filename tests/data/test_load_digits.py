"""The digits are the course's own."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tools.made_files import npz, refused

from autonn import load_digits
from autonn.data import Digits
from autonn.data import digits as room
from autonn.files import read_weights


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
    monkeypatch.setattr(room, "__file__", str(tmp_path / "autonn" / "data" / "digits.py"))
    with pytest.raises(FileNotFoundError, match=r"build_digits.py.*digits.npz"):
        load_digits()


def test_digits_beside_the_package_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installed package has its digits inside."""
    monkeypatch.setattr(room, "__file__", str(tmp_path / "data" / "digits.py"))
    path = npz(tmp_path / "digits.npz", images=np.zeros((1, 28, 28), "u1"), labels=np.ones(1, "u1"))
    assert load_digits().y.tolist() == load_digits(path).y.tolist() == [1]
