"""Picture files in: whatever a camera or a scanner writes becomes red, green and blue in 0..1."""

from __future__ import annotations

import io
import math
import re
import warnings
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from autonn.files.errors import Damage, FileFormatError, complaint, parsing
from autonn.files.reading import Floats, PathLike, read_bytes

if TYPE_CHECKING:
    from PIL import Image

# Phones take photos of 50 million pixels. Unpacked, a pixel takes 4 bytes, or 8 while its
# transparency is averaged; a large JPEG is averaged as it is decoded.
MAX_PIXELS = 80_000_000
MAX_FILE_BYTES = 2**28
MAX_SIDE = 1000  # a digit of a twentieth of that is still larger than MNIST's
IMAGE_CURE = "export the picture as PNG or JPEG"
SMALLER = "scale the picture down"

# The first bytes of each kind, in which a dot may be any byte, by the names that Pillow gives them.
KINDS = {
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "JPEG": rb"\xff\xd8\xff",
    "BMP": rb"BM",
    "GIF": rb"GIF8",
    "WEBP": rb"RIFF....WEBP",
    "TIFF": rb"II\*\0|MM\0\*",
}
PICTURE = "a PNG, JPEG, BMP, GIF, WebP or TIFF picture"


def read_image(path: PathLike) -> Floats:
    """Read a picture file: (height, width, 3), red, green and blue in 0..1.

    It is of any kind of PNG, JPEG, BMP, GIF, WebP or TIFF; of several pictures the first is taken.
    A picture with a side above 1,000 pixels is averaged over squares of k x k pixels, with the
    least k that ends below; a photo is turned upright as its EXIF data say. What is transparent
    shows the paper: the border's colour, or else white behind a dark drawing and black behind a
    light one. Files above 256 MiB or 80 million pixels are refused before they are unpacked. Of a
    damaged TIFF file, libtiff may complain to stderr by itself.

    Any other content raises FileFormatError, a missing file FileNotFoundError.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from matplotlib.image import imsave
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "red.png"
    ...     imsave(path, np.full((2, 1), 0.5), cmap="Reds", vmin=0.5, vmax=1.0)
    ...     read_image(path).shape
    (2, 1, 3)
    """
    content = read_bytes(path, most=MAX_FILE_BYTES)
    where = f"{path}: content"
    kind = next((k for k, start in KINDS.items() if re.match(start, content, re.DOTALL)), None)
    if kind is None:
        found = "no such kind's first bytes" if content else "nothing"
        raise FileFormatError(complaint(where, found, PICTURE, IMAGE_CURE))
    with parsing(where, f"a whole {kind} picture", "export it again, or fetch a fresh copy"):
        return _on_paper(_decoded(where, content, kind))


def _decoded(where: str, content: bytes, kind: str) -> Floats:
    """Return an upright picture (h, w, 4) of red, green, blue and opacity in 0..1."""
    # Pillow comes with Matplotlib, which can't read a JPEG without it.
    from PIL import Image, ImageOps, UnidentifiedImageError, features

    def opened() -> Image.Image:
        return Image.open(io.BytesIO(content), formats=[kind])

    # Pillow warns of odd but legible metadata, as some phones write; its limit of size is not ours.
    with warnings.catch_warnings(action="ignore"):
        limit = f"at most {MAX_PIXELS:,}"
        try:
            image = opened()
        except UnidentifiedImageError as error:
            if kind == "WEBP" and not features.check("webp"):
                raise Damage("that Pillow was built without WebP") from error
            raise Damage("that the header is damaged") from error
        except Image.DecompressionBombError as error:
            raise FileFormatError(complaint(where, "far more pixels", limit, SMALLER)) from error
        if math.prod(image.size) > MAX_PIXELS:
            found = f"{image.width:,} x {image.height:,} pixels"
            raise FileFormatError(complaint(where, found, limit, SMALLER))
        image.verify()  # a PNG file's checksums, which decoding alone passes over
        white = 65535 if image.mode.startswith("I") else 1
        return _rgba(ImageOps.exif_transpose(_reduced(opened())), white)


def _reduced(image: Image.Image) -> Image.Image:
    """Average squares of pixels, as many as it takes for no side to pass MAX_SIDE."""
    image.draft(None, (MAX_SIDE, MAX_SIDE))  # a JPEG can be averaged as it is decoded
    if image.mode.startswith(("I", "F")):
        image = image.convert("F")  # 16 bits of grey, or floats; only these can be averaged
    elif image.mode in ("1", "P", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
    return image.reduce(math.ceil(max(image.size) / MAX_SIDE))


def _rgba(image: Image.Image, white: int) -> Floats:
    """Return red, green, blue and opacity in 0..1; `white` is the highest level of mode F."""
    if image.mode == "F":
        grey = np.asarray(image, np.float64)[..., None] / white
        if not ((grey >= 0) & (grey <= 1)).all():
            raise Damage(f"levels of grey from {grey.min():g} to {grey.max():g}, not 0 to 1")
        return np.concatenate([grey, grey, grey, np.ones_like(grey)], axis=2)
    return np.asarray(image.convert("RGBA"), np.float64) / 255


def _on_paper(picture: Floats) -> Floats:
    """Lay a picture (h, w, 4) on paper, which shows where it is transparent: (h, w, 3)."""
    colours, opacity = picture[..., :3], picture[..., 3:]
    rim = border(*opacity.shape[:2])
    opaque = rim & (opacity[..., 0] > 0.5)
    if 2 * opaque.sum() > rim.sum():
        paper = np.median(colours[opaque], axis=0)
    else:
        dark = (opacity * (colours - 0.5)).sum() < 0
        paper = np.full(3, float(dark or not opacity.any()))
    return colours * opacity + paper * (1 - opacity)


def border(height: int, width: int) -> NDArray[np.bool_]:
    """Return a mask of the border, as wide as a twentieth of the shorter side."""
    wide = max(1, min(height, width) // 20)
    rim = np.ones((height, width), dtype=bool)
    rim[wide:-wide, wide:-wide] = False
    return rim
