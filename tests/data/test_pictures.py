"""A digit on paper is read as well as MNIST's pixels."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.ndimage import gaussian_filter
from tools.drawings import DRAWINGS, EVERY, Picture, coloured, cropped, enlarged, mnist, write
from tools.profiles import THOROUGH
from tools.read_photos import HeldOut
from tools.refusals import assert_refused

from autonn.data import digit_from_image, read_digit, shrink, unroll
from autonn.data import pictures as room

# Of the 1,000 digits held out 10 are drawn every day, 50 before a change lands, 100 in a night.
STEP = EVERY if THOROUGH else 100


@pytest.mark.parametrize("drawing", DRAWINGS)
def test_a_drawing_is_read_nearly_as_well_as_the_original(
    drawing: str, held_out: HeldOut, tmp_path: Path
) -> None:
    model, inks, y = held_out.model, held_out.inks[::STEP], held_out.y[::STEP]
    (kind, draw), rng = DRAWINGS[drawing], np.random.default_rng(1)
    seen = np.empty((len(inks), 20, 20))
    for row, ink in enumerate(inks):
        path = tmp_path / str(row)  # writing over a file would wait for the disk
        write(draw(ink, rng), kind, path)
        seen[row] = read_digit(path)
    original, drawn = (
        (model.predict(unroll(images)).argmax(axis=1) == y).mean()
        for images in (shrink(inks, 20), seen)
    )
    assert original > (0.92 if THOROUGH else 0.85)  # of 10, at most one is misread itself
    assert drawn > original - max(0.035, 1.5 / len(y))  # of 10 or 50, one fewer


# Where the ink goes.


def test_mnists_own_pixels_come_back_as_they_are_kept() -> None:
    some = mnist()[:: 5 * EVERY]
    seen = np.array([digit_from_image(ink) for ink in some])
    # MNIST's grey edges widen its boxes by a fraction of a pixel, here they do not.
    assert np.sqrt(np.mean((seen - shrink(some)) ** 2)) < 0.07
    moved = np.roll(shrink(some), 1, axis=2)
    assert np.sqrt(np.mean((seen - moved) ** 2)) > 0.2


def test_ink_at_the_border_is_not_taken_for_light() -> None:
    some, seen = mnist()[:: 5 * EVERY], {}
    for k, ink in enumerate(some):
        with contextlib.suppress(ValueError):  # of 20 pixels, to the very ink: a few are in doubt
            seen[k] = digit_from_image(1 - cropped(ink))
    assert len(seen) >= 0.98 * len(some)
    wanted = shrink(some[list(seen)])
    assert np.sqrt(np.mean((list(seen.values()) - wanted) ** 2)) < 0.11  # 0.16 if light had its way


def test_the_ink_fills_20_pixels_around_its_centre_of_mass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "shrink", lambda picture, size: picture)  # look at the 28 x 28
    picture = np.ones((300, 400))
    picture[100:200, 60:90] = 0  # a stem of 100 x 30 pixels, and a foot
    picture[180:200, 60:140] = 0
    seen = digit_from_image(picture)
    assert seen.shape == (28, 28)
    assert_allclose(seen.sum(), (100 * 30 + 20 * 50) / 5**2, rtol=0.02)
    assert_allclose([np.ptp(where) + 1 for where in np.nonzero(seen > 0.4)], [20, 16], atol=1)
    mass = np.array([seen.sum(axis=1), seen.sum(axis=0)])
    assert_allclose(mass @ np.arange(28) / seen.sum(), 14, atol=0.05)
    assert seen.max() == 1
    assert seen.min() == 0


@pytest.mark.parametrize(
    "other",
    [
        lambda a: 1 - a,
        lambda a: 0.3 + 0.2 * a,
        lambda a: np.pad(a, ((30, 100), (0, 7))),
        lambda a: (255 * a).round().astype(np.uint8),
        lambda a: (65535 * (1 - a)).round().astype(np.uint16),
        lambda a: coloured(a, [0.9, 0.2, 0.1], [0.1, 0.8, 0.7]),
        lambda a: a > 0.5,
    ],
)
def test_tone_margin_and_type_make_no_difference(other: Any, seven: Picture) -> None:
    picture = enlarged(seven, 140)
    assert_allclose(digit_from_image(other(picture)), digit_from_image(picture), atol=0.12)


def test_a_thin_line_is_as_dark_as_a_thick_one() -> None:
    stroke = np.zeros((300, 300))
    stroke[50:250, 149:151] = 1
    assert 0.5 < digit_from_image(stroke).max() < 1.2


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (np.ones((40, 30)), ["picture: found a single colour", "one handwritten digit", "darker"]),
        (np.zeros((1, 1)), ["a single colour"]),
        (0.5 + 0.04 * np.eye(30), ["a single colour"]),
        (np.random.default_rng(0).random((100, 100)), ["noise only", "crop the picture to it"]),
        (np.random.default_rng(0).random((200, 200)) < 0.01, ["specks only"]),
        (np.random.default_rng(0).normal(0.9, 0.05, (200, 200)), ["specks only"]),
        (gaussian_filter(np.random.default_rng(0).random((200, 200)), 2), ["specks only"]),
        (np.pad(np.ones((2, 2)), 20), ["specks only", "draw it larger"]),
        (np.ones(30), ["float64 of shape (30,)", "(h, w, 3)"]),
        (np.ones((0, 30)), ["shape (0, 30)"]),
        (np.ones((3, 3), int), ["int64 of shape (3, 3)"]),
        (np.ones((30, 30, 4)), ["4 channels", "lay it on its paper first"]),
        (np.full((30, 30), np.nan), ["values from nan to nan", "expected 0..1"]),
        (np.full((30, 30), -np.inf), ["values from -inf"]),
        (255 * np.eye(30), ["values from 0 to 255", "divide by the largest"]),
    ],
)
def test_a_picture_without_a_digit_is_refused(picture: Any, words: list[str]) -> None:
    assert_refused(lambda: digit_from_image(picture), ValueError, words)
