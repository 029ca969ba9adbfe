"""Fields by name in whichever format a path asks for: one .mat file, or a text file each."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from autonn.files.atomic import write_together
from autonn.files.errors import FileFormatError, complaint
from autonn.files.mat import mat_bytes, read_mat
from autonn.files.reading import Array, PathLike, require_names
from autonn.files.text import read_text, text_bytes

NAMED = (".npz", ".safetensors")
TEXT = (".in", ".txt", ".csv")
WEIGHTS = (
    f"{', '.join(NAMED)} or .mat for the whole model, or one of {', '.join(TEXT)} for each layer"
)
CURES = {  # of the suffixes that others give to weights
    **dict.fromkeys((".pt", ".pth", ".ckpt", ".bin"), "PyTorch exchanges weights by .safetensors"),
    **dict.fromkeys((".pkl", ".pickle"), "a pickle can run anybody's code when it is read"),
    **dict.fromkeys((".h5", ".hdf5", ".keras"), "Keras's weights go into .npz by numpy.savez"),
    ".npy": "it holds one array alone; numpy.savez writes several by name to .npz",
    "": "give the path an ending",
}


def suffix(path: PathLike) -> str:
    """Return how a path ends, in lower case: ``".npz"``."""
    return Path(path).suffix.lower()


def is_mat(path: PathLike) -> bool:
    """Whether a path is that of a MATLAB file."""
    return suffix(path) == ".mat"


def is_named(paths: Sequence[PathLike]) -> bool:
    """Whether it is the one file of all parameters by name."""
    if not any(suffix(path) in NAMED for path in paths):
        return False
    if len(paths) > 1:
        raise ValueError(f"one .npz or .safetensors file holds the whole model; got {paths}")
    return True


def require_weights_suffix(paths: Sequence[PathLike], error: type[ValueError]) -> None:
    """Refuse paths whose endings are those of no file of weights.

    >>> require_weights_suffix(["w.pt"], ValueError)
    Traceback (most recent call last):
    ValueError: w.pt: found the ending .pt, expected .npz, .safetensors or .mat for the whole \
model, or one of .in, .txt, .csv for each layer; PyTorch exchanges weights by .safetensors
    """
    for path in paths:
        ending = suffix(path)
        if ending not in (*NAMED, ".mat", *TEXT):
            if error is FileFormatError:
                os.stat(path)  # for a missing file, FileNotFoundError says more
            found = f"the ending {ending}" if ending else "no ending"
            raise error(complaint(os.fspath(path), found, WEIGHTS, CURES.get(ending, "")))


def read_fields(paths: Sequence[PathLike], names: Sequence[str]) -> dict[str, Array | str]:
    """Read the named fields from one .mat file, or one from each text file."""
    if not is_mat(paths[0]):
        return {name: read_text(path, name) for path, name in zip(paths, names, strict=True)}
    fields = read_mat(paths[0])
    require_names(paths[0], fields, names)
    return fields


def write_fields(paths: Sequence[PathLike], fields: Mapping[str, Array]) -> None:
    """Write all fields to one .mat file, or one to each text file."""
    if is_mat(paths[0]):
        write_together(paths, [mat_bytes(fields)])
    else:
        write_together(paths, [text_bytes(values) for values in fields.values()])
