"""What gzip packed, unpacked no further than it is asked for."""

from __future__ import annotations

import gzip
import io

PIECE = 2**20  # Python takes the memory for all that it may read before it reads


def unpacked(content: bytes, most: int) -> bytes:
    """Return the first `most` bytes of what gzip packed; of what it did not pack, these bytes.

    If there are no more, the checksum is compared.

    >>> unpacked(gzip.compress(b"picture"), 3), unpacked(b"picture", 3)
    (b'pic', b'pic')
    """
    if not content.startswith(b"\x1f\x8b"):
        return content[:most]
    pieces: list[bytes] = []
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
        while most and (piece := file.read(min(most, PIECE))):
            pieces.append(piece)
            most -= len(piece)
    return b"".join(pieces)
