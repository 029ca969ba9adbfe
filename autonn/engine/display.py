"""How a notebook shows a Tensor: its numbers, what they are, and a matrix as a picture too."""

from __future__ import annotations

import base64
import struct
import zlib
from html import escape

import numpy as np

from autonn.engine.modes import is_tracing
from autonn.engine.tensor import Array, Tensor, values_of

__all__ = ["pixels_of", "png", "shown"]

# A matrix is shown as a picture of at most so many pixels, which is 4 kB of text.
SIDE = 54
LEAST = 64  # below so many numbers they say all by themselves


def shown(x: Tensor) -> str | None:
    """Lay out a Tensor in HTML; None while its values are not known."""
    if is_tracing():
        return None
    values = values_of(x)
    facts = [f"shape {values.shape}", str(values.dtype)]
    facts += ["requires a gradient"] if x.requires_grad else []
    if values.size > 1 and values.dtype.kind == "f":
        facts.append(_range(values))
    picture = ""
    if values.ndim == 2 and values.size >= LEAST and values.dtype.kind in "biuf":
        source = base64.b64encode(png(pixels_of(values))).decode()
        picture = (
            f'<img src="data:image/png;base64,{source}" style="image-rendering: pixelated; '
            f'min-height: 80px; max-height: 200px" alt="blue below 0, red above">'
        )
    return f"<pre>{escape(repr(x))}</pre><div><small>{', '.join(facts)}</small></div>{picture}"


def _range(values: Array) -> str:
    finite = values[np.isfinite(values)]
    gaps = values.size - finite.size
    if not finite.size:
        return "none finite"
    said = f"from {finite.min():.3g} to {finite.max():.3g}, mean {finite.mean():.3g}"
    return said + (f", {gaps} not finite" if gaps else "")


def pixels_of(matrix: Array) -> Array:
    """Return colours for the palette of `png`: 0 is the least, 128 zero, 255 the largest number.

    Of a larger matrix every k-th row and column is shown.

    >>> pixels_of(np.array([[-1.0, 0.0, 0.5, 1.0]]))
    array([[  1, 128, 192, 255]], dtype=uint8)
    """
    rows, columns = (-(-length // SIDE) for length in matrix.shape)
    seen = np.nan_to_num(matrix[::rows, ::columns].astype(float), posinf=0.0, neginf=0.0)
    largest = np.abs(seen).max(initial=0.0) or 1.0
    pixels: Array = 128 + np.rint(seen / largest * 127)
    return pixels.astype(np.uint8)


def png(pixels: Array) -> bytes:
    """Write bytes as a PNG of a palette from blue over white to red.

    Source: W3C, "Portable Network Graphics (PNG) Specification", third edition, sections 5 and 11.
    """
    height, width = pixels.shape
    blue, white, red = np.array([0, 114, 178]), np.full(3, 255), np.array([213, 94, 0])
    t = np.linspace(-1, 1, 256)[:, None]
    palette = np.where(t < 0, white + t * (white - blue), white + t * (red - white))
    lines = np.pad(pixels, ((0, 0), (1, 0)))  # a 0 before each: the line is not filtered
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", palette.round().astype(np.uint8).tobytes()),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum
