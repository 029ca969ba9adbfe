"""Checkpoints: all that a training run depends on, in one file that is always whole.

An ``.npz`` of arrays, one of them the bytes of a JSON text of everything else; nothing is ever
pickled. What stands in it is the business of `training.py`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from autonn.files.errors import FileFormatError, complaint, parsing
from autonn.files.npz import read_npz, write_npz
from autonn.files.reading import MAX_BYTES, Array, PathLike, require_names
from autonn.nn.module import Module

NOTES = "notes"
EXPECTED = "a checkpoint that `fit` wrote"
CURE = "take an older one, or start anew with resume=False"


def write_checkpoint(path: PathLike, arrays: Mapping[str, Array], notes: Any) -> None:
    """Write arrays by name, and notes of what JSON knows, NumPy's arrays as lists.

    The file takes its place when it is whole and on the disk; until then the one before stands.

    Raises
    ------
    OSError
        If the folder is missing or can't be written to, if the disk is full: the old file stands.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "run.npz")
    ...     write_checkpoint(path, {"w": np.ones(2)}, {"epoch": 3})
    ...     read_checkpoint(path)
    ({'w': array([1., 1.])}, {'epoch': 3})
    """
    text = json.dumps(notes, default=np.ndarray.tolist).encode()
    try:
        write_npz(path, {NOTES: np.frombuffer(text, np.uint8), **arrays})
    except OSError as error:
        said = f"the checkpoint could not be written ({error.strerror or error}); " + (
            "the one before still stands" if os.path.exists(path) else "there is none"
        )
        raise type(error)(error.errno, said, os.fspath(path)) from error


def read_checkpoint(path: PathLike) -> tuple[dict[str, Array], Any]:
    """Read the arrays by name, and the notes.

    Raises
    ------
    FileNotFoundError, FileFormatError
        For a file that is missing; for one that is damaged or something else.
    """
    most = max(MAX_BYTES, os.path.getsize(path))  # nothing in it is packed
    arrays = read_npz(path, lambda headers: require_names(path, headers, [NOTES]), most)
    with reading(path):
        notes = json.loads(arrays.pop(NOTES).tobytes())
    return arrays, notes


def reading(path: PathLike) -> AbstractContextManager[None]:
    """Turn whatever goes wrong in making sense of a file into a `FileFormatError`.

    >>> try:
    ...     with reading("run.npz"):
    ...         {}["weights"]
    ... except FileFormatError as error:
    ...     print(str(error)[:49])
    run.npz: content: found KeyError ('weights'), exp
    """
    return parsing(f"{path}: content", EXPECTED, CURE)


def generators(model: Module) -> dict[str, np.random.Generator]:
    """Find the random generators that a model holds, as `Dropout` does, by dotted name.

    >>> from autonn import Dropout, Sequential
    >>> list(generators(Sequential(Dropout(0.5, rng=0))))
    ['0.rng']
    """
    return {
        f"{place}.{name}" if place else name: value
        for place, module in model.named_modules()
        for name, value in vars(module).items()
        if isinstance(value, np.random.Generator)
    }


def random_states(found: Mapping[str, np.random.Generator]) -> dict[str, Any]:
    """Return the states of generators: dicts of numbers, and for some kinds of arrays.

    >>> random_states({"a": np.random.default_rng(0)})["a"]["bit_generator"]
    'PCG64'
    """
    return {name: generator.bit_generator.state for name, generator in found.items()}


def restore_random_states(
    found: Mapping[str, np.random.Generator], states: Mapping[str, Any]
) -> None:
    """Set generators to states of the same names and kinds, or raise `ValueError` and set none."""
    kinds = {name: type(generator.bit_generator).__name__ for name, generator in found.items()}
    given = {name: state["bit_generator"] for name, state in states.items()}
    if kinds != given:
        raise ValueError(f"random generators: found {given}, expected {kinds}")
    for name, generator in found.items():
        generator.bit_generator.state = states[name]


def group(arrays: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    """Return the arrays whose names begin with ``prefix/``, by the rest of their names.

    >>> group({"a/x": np.zeros(1), "b/x": np.ones(1)}, "b")
    {'x': array([1.])}
    """
    start = f"{prefix}/"
    return {name[len(start) :]: a for name, a in arrays.items() if name.startswith(start)}


def refuse_differences(path: PathLike, differences: list[str]) -> None:
    """Raise `FileFormatError` with all that keeps a checkpoint from being that of this run."""
    if differences:
        raise FileFormatError(
            complaint(str(path), "; ".join(differences), "a checkpoint of this very run", CURE)
        )
