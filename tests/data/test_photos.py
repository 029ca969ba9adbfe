"""Every kind of picture file shows the same, and none gets past the reader unseen."""

from __future__ import annotations

import io
import os
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image, features
from tools.drawings import EVERY, Picture, enlarged, write
from tools.refusals import assert_refused

from autonn.data import digit_from_image, read_digit, read_image
from autonn.data import photos as room
from autonn.files import FileFormatError


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def claiming(width: int, height: int) -> bytes:
    """Return a PNG of a few pixels whose header speaks of many more."""
    content = bytearray(saved(Image.new("1", (9, 9))))
    content[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


def corner() -> Image.Image:
    """Return 40 x 60 pixels of grey, the left upper eighth dark: any flip or turn shows."""
    pixels = np.full((40, 60), 204, np.uint8)
    pixels[:20, :15] = 51
    return Image.fromarray(pixels)


def with_palette() -> Image.Image:
    return corner().convert("RGB").quantize(4)


def sixteen_bits() -> Image.Image:
    return Image.fromarray(np.asarray(corner()).astype(np.uint16) * 257)


def high_byte_first() -> Image.Image:
    return Image.fromarray((np.asarray(corner()).astype(np.uint16) * 257).astype(">u2"))


def floats(scale: float = 1 / 255) -> Image.Image:
    return Image.fromarray((np.asarray(corner()) * scale).astype(np.float32))


def turned() -> tuple[Image.Image, Image.Exif]:
    """Return the corner as a camera on its side keeps it, and the note that says so."""
    note = Image.Exif()
    note[0x0112] = 6  # orientation: the first row is the right side
    return corner().transpose(Image.Transpose.ROTATE_90), note


def on_glass(mode: str, ink: int) -> Image.Image:
    """Return a picture in which only the corner is not transparent."""
    colour = Image.new("L", (60, 40), ink)
    opacity = corner().point([255 * (grey < 100) for grey in range(256)])
    image = Image.merge("LA", [colour, opacity])
    return image.convert(mode)


FILES: dict[str, Callable[[], bytes]] = {
    "grey": lambda: saved(corner()),
    "colour": lambda: saved(corner().convert("RGB")),
    "palette": lambda: saved(with_palette()),
    "opaque": lambda: saved(corner().convert("RGBA")),
    "16 bits": lambda: saved(sixteen_bits()),
    "grey JPEG": lambda: saved(corner(), "JPEG", quality=95),
    "colour JPEG": lambda: saved(corner().convert("RGB"), "JPEG", quality=95),
    "printer's JPEG": lambda: saved(corner().convert("CMYK"), "JPEG", quality=95),
    "turned JPEG": lambda: saved(turned()[0], "JPEG", quality=95, exif=turned()[1]),
    "turned PNG": lambda: saved(turned()[0], exif=turned()[1]),
    "BMP": lambda: saved(corner(), "BMP"),
    "BMP with palette": lambda: saved(with_palette(), "BMP"),
    "GIF": lambda: saved(corner(), "GIF"),
    "GIF of two": lambda: saved(
        corner(), "GIF", save_all=True, append_images=[Image.new("L", (60, 40))]
    ),
    "WebP": lambda: saved(corner().convert("RGB"), "WEBP", quality=95),
    "turned WebP": lambda: saved(turned()[0], "WEBP", lossless=True, exif=turned()[1]),
    "TIFF": lambda: saved(corner(), "TIFF"),
    "packed TIFF": lambda: saved(corner().convert("RGB"), "TIFF", compression="tiff_lzw"),
    "TIFF of 16 bits": lambda: saved(sixteen_bits(), "TIFF"),
    "high byte first": lambda: saved(high_byte_first(), "TIFF"),
    "TIFF of floats": lambda: saved(floats(), "TIFF"),
    "printer's TIFF": lambda: saved(corner().convert("CMYK"), "TIFF"),
    "turned TIFF": lambda: saved(turned()[0], "TIFF", exif=turned()[1]),
    "enlarged": lambda: saved(corner().resize((3840, 2560), Image.Resampling.NEAREST)),
    "enlarged JPEG": lambda: saved(
        corner().resize((3840, 2560), Image.Resampling.NEAREST), "JPEG", quality=95
    ),
}


@pytest.mark.parametrize("kind", FILES)
def test_every_kind_of_file_shows_the_same(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "picture"  # the name says nothing
    path.write_bytes(FILES[kind]())
    image = read_image(path)
    scale, rest = divmod(len(image), 40)
    assert (scale, rest) == (16 if kind.startswith("enlarged") else 1, 0)
    assert image.shape == (40 * scale, 60 * scale, 3)
    small = image.reshape(40, scale, 60, scale, 3).mean(axis=(1, 3))
    expected = np.asarray(corner())[..., None] / 255
    assert_allclose(small, np.broadcast_to(expected, small.shape), atol=0.03)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize(("ink", "paper"), [(0, 1), (100, 1), (160, 0), (255, 0)])
def test_ink_on_glass_gets_a_paper_that_shows_it(
    mode: str, ink: int, paper: int, tmp_path: Path
) -> None:
    glass = on_glass(mode, ink).transpose(Image.Transpose.ROTATE_180)
    glass = glass.crop((10, 10, 70, 50))  # so that the border is transparent all round
    (tmp_path / "glass.png").write_bytes(saved(glass))
    image = read_image(tmp_path / "glass.png")
    assert_allclose(image[0, 0], paper)
    assert_allclose(image[20, 40], ink / 255)


def test_transparent_corners_of_an_opaque_picture_are_paper(tmp_path: Path) -> None:
    card = corner().convert("RGBA")
    card.paste((0, 0, 0, 0), (55, 35, 60, 40))
    (tmp_path / "card.png").write_bytes(saved(card))
    assert_allclose(read_image(tmp_path / "card.png")[38, 58], 0.8)


def test_a_palette_with_a_transparent_colour(tmp_path: Path) -> None:
    image = with_palette()
    paper = image.getpixel((59, 39))
    (tmp_path / "palette.png").write_bytes(saved(image, transparency=paper))
    seen = read_image(tmp_path / "palette.png")
    assert_allclose([seen[0, 0, 0], seen[39, 59, 0]], [0.2, 1], atol=0.01)


def test_a_photo_of_twelve_million_pixels_is_read_and_reduced(
    seven: Picture, tmp_path: Path
) -> None:
    page = np.full((3000, 4000), 230, np.uint8)
    page[500:1900, 900:2300] -= (200 * enlarged(seven, 1400)).astype(np.uint8)
    path = tmp_path / "photo.jpg"
    Image.fromarray(page).convert("RGB").save(path)
    assert read_image(path).shape == (750, 1000, 3)
    expected = digit_from_image(enlarged(seven, 400))
    assert_allclose(read_digit(path), expected, atol=0.1)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["found nothing", "a PNG, JPEG, BMP, GIF, WebP or TIFF picture", "PNG or JPEG"]),
        (b"hello", ["no such kind's first bytes", "export the picture as PNG or JPEG"]),
        (saved(corner(), "PPM"), ["no such kind's first bytes"]),
        (b"RIFF\x04\0\0\0WAVE" + bytes(99), ["no such kind's first bytes"]),
        (saved(floats(3.0), "TIFF"), ["levels of grey from 153 to 612, not 0 to 1", "whole TIFF"]),
        (saved(floats(np.nan), "TIFF"), ["levels of grey from nan"]),
        (saved(corner(), "TIFF")[:300], ["whole TIFF picture", "export it again"]),
        (saved(corner(), "GIF")[:100], ["whole GIF picture", "export it again"]),
        (saved(corner(), "BMP")[:1200], ["truncated", "whole BMP picture"]),
        (saved(corner(), "WEBP", lossless=True)[:30], ["whole WEBP picture"]),
        (saved(corner())[:8], ["the header is damaged", "fetch a fresh copy"]),
        (saved(corner())[:80], ["OSError", "whole PNG"]),
        (saved(corner(), "JPEG")[:400], ["truncated", "export it again"]),
        (claiming(9000, 9000), ["9,000 x 9,000", "at most 80,000,000", "scale"]),
        (claiming(20000, 20000), ["far more", "at most 80,000,000", "scale"]),
        (saved(Image.new("L", (9, 9))), ["picture: found a single colour", "expected one"]),
    ],
)
def test_a_file_that_is_no_picture_of_a_digit_is_refused(
    content: bytes, words: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_refused(lambda: read_digit(path), FileFormatError, [str(path), *words])


def test_a_folder_a_missing_and_an_endless_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_refused(lambda: read_digit(tmp_path), FileFormatError, [str(tmp_path), "a folder"])
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        read_digit(tmp_path / "none.png")
    monkeypatch.setattr(room, "MAX_FILE_BYTES", 999)
    (tmp_path / "long.png").write_bytes(saved(corner()) + bytes(1000))
    found = ["long.png", "more than 999 bytes", "make it smaller"]
    assert_refused(lambda: read_digit(tmp_path / "long.png"), FileFormatError, found)
    if os.path.exists("/dev/zero"):
        assert_refused(lambda: read_digit("/dev/zero"), FileFormatError, ["more than 999 bytes"])


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Cut some bytes off, flip a bit, or write over twenty bytes."""
    bad = bytearray(content)
    way, where = rng.integers(3), rng.integers(len(bad) - 20)
    if way == 0:
        del bad[where:]
    elif way == 1:
        bad[where] ^= 1 << rng.integers(8)
    else:
        bad[where : where + 20] = rng.bytes(20)
    return bytes(bad)


def test_a_damaged_png_is_refused_or_shows_the_same(seven: Picture, tmp_path: Path) -> None:
    rng, path, complaints = np.random.default_rng(0), tmp_path / "damaged.png", []
    write(enlarged(seven, 60), "alpha0", path)
    good, right = path.read_bytes(), read_image(path)
    for _ in range(300):
        path.unlink()  # writing over it would wait for the disk
        path.write_bytes(damaged(good, rng))
        try:
            assert_array_equal(read_image(path), right)
        except FileFormatError as error:
            complaints.append(str(error))
    assert len(complaints) > 280
    assert all(text.startswith(f"{path}: content: found ") for text in complaints)


def test_a_damaged_jpeg_raises_nothing_but_our_error(seven: Picture, tmp_path: Path) -> None:
    rng, path, complaints = np.random.default_rng(0), tmp_path / "damaged.jpg", []
    write(enlarged(seven, 60), "jpg", path)
    good = path.read_bytes()
    for _ in range(2000 // EVERY):
        path.unlink()  # writing over it would wait for the disk
        path.write_bytes(damaged(good, rng))
        try:
            assert np.isfinite(read_digit(path)).all()  # the format has no checksum
        except FileFormatError as error:
            complaints.append(str(error))
    assert len(complaints) > 600 // EVERY
    assert all(text.startswith(f"{path}: ") for text in complaints)


@pytest.mark.parametrize("kind", ["BMP", "GIF", "WebP", "packed TIFF", "TIFF of 16 bits"])
def test_other_damaged_pictures_raise_nothing_but_our_error(kind: str, tmp_path: Path) -> None:
    rng, path, complaints = np.random.default_rng(0), tmp_path / "damaged", []
    good = FILES[kind]()
    for k in range(2000 // EVERY):
        path = tmp_path / str(k)  # writing over a file would wait for the disk
        path.write_bytes(damaged(good, rng))
        try:
            image = read_image(path)
        except FileFormatError as error:
            complaints.append(str(error))
            assert str(error).startswith(f"{path}: content: found ")  # noqa: PT017
            continue
        assert image.min() >= 0  # most of these have no checksum
        assert image.max() <= 1
    assert len(complaints) > 400 // EVERY


def test_a_pillow_without_webp_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.webp"
    path.write_bytes(b"RIFF\x04\0\0\0WEBP" + bytes(99))
    assert_refused(lambda: read_image(path), FileFormatError, ["the header is damaged"])
    monkeypatch.setattr(features, "check", lambda name: name != "webp")
    words = ["Pillow was built without WebP", "w.webp"]
    assert_refused(lambda: read_image(path), FileFormatError, words)
