"""Fields by name in whichever format a path asks for: one .mat file, or a text file each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from autonn.files.atomic import write_together
from autonn.files.mat import mat_bytes, read_mat
from autonn.files.reading import Array, PathLike, require_names
from autonn.files.text import read_text, text_bytes


def suffix(path: PathLike) -> str:
    """Return how a path ends, in lower case: ``".npz"``."""
    return Path(path).suffix.lower()


def is_mat(path: PathLike) -> bool:
    """Whether a path is that of a MATLAB file."""
    return suffix(path) == ".mat"


def is_named(paths: Sequence[PathLike]) -> bool:
    """Whether it is the one file of all parameters by name."""
    if not any(suffix(path) in (".npz", ".safetensors") for path in paths):
        return False
    if len(paths) > 1:
        raise ValueError(f"one .npz or .safetensors file holds the whole model; got {paths}")
    return True


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
