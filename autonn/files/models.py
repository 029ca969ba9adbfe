"""Whole models in one file: what they are made of, and all their numbers. Nothing is pickled."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from autonn.engine.tensor import Tensor
from autonn.files.architecture import built, described
from autonn.files.errors import Damage, FileFormatError, complaint, parsing
from autonn.files.fields import suffix
from autonn.files.npz import read_npz, write_npz
from autonn.files.reading import (
    FRESH_COPY,
    MAX_BYTES,
    Array,
    PathLike,
    require_finite,
    require_names,
)
from autonn.nn.module import Module

__all__ = ["load_model", "save_model"]

FORMAT = 1
MODEL = "model"


def save_model(model: Module, path: PathLike) -> None:
    """Write a model to an ``.npz`` file: its modules by their arguments, and all its numbers.

    Parameters and buffers, which of them are frozen, the modes, and the states of generators, as
    `Dropout` has one, come back by `load_model` without the code that made the model. Where modules
    are shared, they are shared again. The file is written whole or not at all, and is read by
    `load_weights` too.

    Parameters
    ----------
    model
        A module of the library's own, as a `Sequential` of some. Functions in it are NumPy's ufuncs
        or autonn's own.
    path
        Where to, with the ending ``.npz``.

    Raises
    ------
    ValueError
        For a module of one's own and a function without a public name, with its place; for
        Tensors that two modules share, or that no constructor makes; for numbers that are not
        finite; for a path of another ending.
    OSError
        For a missing folder and a full disk; the old file is then untouched.

    Examples
    --------
    >>> import tempfile
    >>> from autonn import Layer, Sequential, Sigmoid
    >>> model = Sequential(Layer(3, 2), Sigmoid())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(model, os.path.join(folder, "model.npz"))
    ...     twin = load_model(os.path.join(folder, "model.npz"))
    >>> twin, bool(np.all(twin.predict(np.ones((1, 3))) == model.predict(np.ones((1, 3)))))
    (Sequential(Layer(3, 2), Sigmoid()), True)
    """
    if not isinstance(model, Module):
        raise TypeError(f"save_model: model is a Module, not {model!r}")
    if suffix(path) != ".npz":
        raise ValueError(f"{os.fspath(path)}: a whole model is written to .npz; give it this end")
    told = described(model)
    twin = built(told)
    own, made = model.named_tensors(), twin.named_tensors()
    _require_alike(model, own, made)
    frozen = [name for name in own if made[name].requires_grad > own[name].requires_grad]
    notes = {"format": FORMAT, "model": told, "frozen": frozen}
    arrays: dict[str, Array] = {}
    for name, tensor in own.items():
        array = tensor.numpy()
        require_finite(f"save_model: {name}", array, ValueError)
        arrays[f"{'weights' if tensor.requires_grad else 'buffers'}/{name}"] = array
    text = json.dumps(notes, default=np.ndarray.tolist).encode()
    write_npz(path, {MODEL: np.frombuffer(text, np.uint8), **arrays})


def _require_alike(model: Module, own: Mapping[str, Tensor], made: Mapping[str, Tensor]) -> None:
    """Refuse a model that its description does not make again."""
    wrong = [f"{name} is made by no constructor" for name in own if name not in made]
    wrong += [
        f"{name} is shared with another module, or was taken away"
        for name in made
        if name not in own
    ]
    for name in own.keys() & made.keys():
        a, b = own[name], made[name]
        if (a.shape, a.dtype) != (b.shape, b.dtype) or a.requires_grad > b.requires_grad:
            wrong.append(f"{name} is {a.dtype} {a.shape}, and {b.dtype} {b.shape} as it is made")
    if wrong:
        raise ValueError(
            f"save_model: {model!r} can't be described by the arguments of its modules: "
            f"{'; '.join(sorted(wrong))}. save_weights writes the numbers of any model"
        )


def load_model(path: PathLike) -> Module:
    """Make the model that `save_model` wrote, with all its numbers.

    Only modules of autonn's own are made, by the arguments that the file tells; nothing in it is
    run or unpickled.

    Raises
    ------
    FileNotFoundError, FileFormatError
        For a file that is missing; for one that is damaged, of a newer format, or that holds no
        whole model.

    Examples
    --------
    >>> import tempfile
    >>> from autonn import Layer, Sequential, Sigmoid
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(Sequential(Layer(3, 2, rng=0), Sigmoid()), f"{folder}/model.npz")
    ...     model = load_model(f"{folder}/model.npz")
    >>> model
    Sequential(Layer(3, 2), Sigmoid())
    """
    arrays = read_npz(path, lambda headers: require_names(path, headers, [MODEL]), MAX_BYTES)
    with parsing(f"{path}: content", "a model that save_model wrote", FRESH_COPY):
        notes = json.loads(arrays.pop(MODEL).tobytes())
        if notes["format"] > FORMAT:
            cure = "it was written by a newer autonn; update this one"
            found, wanted = notes["format"], f"at most {FORMAT}"
            raise FileFormatError(complaint(f"{path}: format", found, wanted, cure))
        model = built(notes["model"])
        _fill(model, {name.partition("/")[2]: array for name, array in arrays.items()})
        for name in notes["frozen"]:
            model.named_tensors()[name].requires_grad = False
    return model


def _fill(model: Module, arrays: Mapping[str, Any]) -> None:
    """Set all numbers, if they are those of the model."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise Damage(f"numbers in {name} that are not finite")
    tensors = model.named_tensors()
    wrong = list(tensors.keys() ^ arrays.keys())
    wrong += [
        name
        for name in tensors.keys() & arrays.keys()
        if (tensors[name].shape, tensors[name].dtype) != (arrays[name].shape, arrays[name].dtype)
    ]
    if wrong:
        raise Damage(f"other arrays than the model has: {', '.join(sorted(wrong))}")
    for name, tensor in tensors.items():
        tensor.data = arrays[name]
