"""Arrays by name in .safetensors files, as PyTorch and others exchange them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from autonn.files.atomic import write_together
from autonn.files.errors import complaint, parsing
from autonn.files.reading import FRESH_COPY, MAX_BYTES, Array, PathLike, read_bytes


def read_safetensors(path: PathLike, most: int = MAX_BYTES) -> dict[str, Array]:
    """Read the arrays of a .safetensors file of at most `most` bytes, by the package safetensors.

    The format (github.com/huggingface/safetensors, "Format") is a header and plain numbers without
    gaps: the header's length, names, types, shapes and places are checked against one another and
    against the file's length. There is no checksum: a bit that flips in a number goes unseen.
    """
    codec = _safetensors()
    content = read_bytes(path, most)
    with parsing(f"{path}: content", "a whole .safetensors file of NumPy's types", FRESH_COPY):
        arrays: dict[str, Array] = codec.load(content)
        return arrays


def write_safetensors(path: PathLike, fields: Mapping[str, Array]) -> None:
    """Write arrays to a .safetensors file, whole or not at all.

    The same arrays give the same bytes on any day. Types that the format does not know, such as
    longdouble, raise ValueError.
    """
    codec = _safetensors()
    for name, values in fields.items():
        if values.dtype.kind not in "biuf" or values.dtype.itemsize > 8:
            expected = "integers or floats of at most 64 bits, as .safetensors knows them"
            raise ValueError(complaint(f"{path}: {name}", values.dtype, expected, "use .npz"))
    # The package passes on an array's memory as it lies there, so it has to lie in order.
    content = codec.save({name: np.asarray(a, order="C") for name, a in fields.items()})
    write_together([path], [content])


def _safetensors() -> Any:
    """Return the package, or say how to install it."""
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            ".safetensors files need the package safetensors, which is not installed; "
            "install it with: pip install 'autonn[safetensors]'",
            name="safetensors",
        ) from error
    return safetensors.numpy
