"""Weights in and out of a model: all Tensors by their names, or the course's matrices.

A ``.npz`` or ``.safetensors`` file holds all parameters and buffers by their names, such as
``0.weight``. The course's ``.mat`` and ``.in`` files hold one matrix for each `Layer`, as `thetas`
says.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from autonn.engine.tensor import Tensor
from autonn.files.errors import FileFormatError, FileNamesError
from autonn.files.fields import is_named, require_weights_suffix, suffix
from autonn.files.npz import read_npz, write_npz
from autonn.files.reading import MAX_BYTES, Array, ArrayHeader, PathLike, require_finite
from autonn.files.safetensors import read_safetensors, write_safetensors
from autonn.files.thetas import read_weights, theta_names, write_weights
from autonn.nn.linear import Layer
from autonn.nn.module import Module

Entry = TypeVar("Entry")

# How many batches a normalisation of PyTorch's has seen, which nothing is computed from here.
_COUNTS = "num_batches_tracked"


def load_weights(model: Module, *paths: PathLike) -> None:
    """Set parameters and buffers from the file, or the files, that `save_weights` writes.

    One ``.npz`` or ``.safetensors`` file needs the very names, shapes and dtypes of the model; one
    ``.mat`` file, or one ``.in`` file per layer, the shapes of its layers. All numbers are finite.
    Nothing is ever unpickled, and nothing is set unless everything is right. From a checkpoint of
    `fit` the weights of its last step are taken, without the optimiser's state.

    A bit that flips on a disk is noticed in ``.npz`` and in our ``.mat``, by their checksums. In
    ``.safetensors`` and ``.in`` it is only if it harms the form: another number is not seen.

    Raises
    ------
    FileNotFoundError, FileFormatError
        For a file that is missing or whose content is wrong, with all differences from the model.
        If arrays are missing or unknown, it is a `FileNamesError`, which is a KeyError as well.
    ImportError
        For a ``.safetensors`` file without the package: ``pip install 'autonn[safetensors]'``.

    Examples
    --------
    >>> from autonn import Sequential
    >>> load_weights(Sequential(Layer(400, 25), Layer(25, 10)), "ex4weights.mat")
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'ex4weights.mat'
    """
    _require_model(model, "load_weights")
    require_weights_suffix(paths, FileFormatError)
    pairs = _by_name(model, *paths) if is_named(paths) else _by_layer(model, paths)
    for parameter, array in pairs:
        parameter.data = array


def save_weights(model: Module, *paths: PathLike) -> None:
    """Write the model's parameters and buffers to one or several files, whole or not at all.

    One ``.npz`` or ``.safetensors`` file holds those of any model by name. PyTorch loads
    the latter straight into the same network: ``Layer`` is its ``Linear``, ``Sequential`` numbers
    its modules alike, weights are (outputs, inputs) in both, and those of convolutions,
    normalisations, recurrent layers and attention have its names and shapes too. One ``.mat`` file,
    or one ``.in`` file per layer, is in the course's format, as `write_weights` says.

    Raises
    ------
    ValueError
        For parameters that are not finite, that the format can't hold, or of which there are none;
        for a path with the ending of another format.
    FileNotFoundError, OSError
        For a missing folder and a full disk; the old file is then untouched.
    ImportError
        For a ``.safetensors`` file without the package: ``pip install 'autonn[safetensors]'``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from autonn import Sequential, Sigmoid
    >>> model = Sequential(Layer(3, 2), Sigmoid(), Layer(2, 1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "model.npz"
    ...     save_weights(model, path)
    ...     load_weights(model, path)
    ...     sorted(np.load(path))
    ['0.bias', '0.weight', '2.bias', '2.weight']
    """
    _require_model(model, "save_weights")
    require_weights_suffix(paths, ValueError)
    if not is_named(paths):
        write_weights([layer.theta for layer in _layers(model)], *paths)
        return
    _require_parameters(model)
    arrays = model.state_dict()
    for name, array in arrays.items():
        require_finite(f"save_weights: {name}", array, ValueError)
    write = write_npz if suffix(paths[0]) == ".npz" else write_safetensors
    write(paths[0], arrays)


def _require_model(model: Any, name: str) -> None:
    if not isinstance(model, Module):
        raise TypeError(
            f"{name} takes a model first, not {model!r:.60}; write {name}(model, 'model.npz')"
        )


def _require_parameters(model: Module) -> None:
    if not model.parameters():
        raise ValueError(f"{model!r} has no parameters, so there are no weights")


def _by_name(model: Module, path: PathLike) -> list[tuple[Tensor, Array]]:
    """Pair each parameter and buffer with what the file holds under its name."""
    _require_parameters(model)
    tensors = model.named_tensors()
    wanted = {name: ArrayHeader(p.dtype, p.shape) for name, p in tensors.items()}
    # A checkpoint has the moments of the optimiser and the best weights, too.
    most = max(MAX_BYTES, 6 * sum(p.size * p.dtype.itemsize for p in tensors.values()))

    def accept(found: Mapping[str, ArrayHeader]) -> None:
        _require_same(os.fspath(path), _weights_among(found), wanted)

    arrays: Mapping[str, Array]
    if suffix(path) == ".npz":
        arrays = _weights_among(read_npz(path, accept, most))
    else:
        found = read_safetensors(path, most)
        arrays = {
            name: array
            for name, array in found.items()
            if name in wanted or name.rpartition(".")[2] != _COUNTS
        }
        accept({name: ArrayHeader(array.dtype, array.shape) for name, array in arrays.items()})
    _require_all_finite({f"{path}: {name}": arrays[name] for name in wanted})
    return [(p, arrays[name].astype(p.dtype)) for name, p in tensors.items()]


def _weights_among(fields: Mapping[str, Entry]) -> Mapping[str, Entry]:
    """Return a checkpoint's weights, by the model's names; of other files everything is weights."""
    starts = ("weights/", "buffers/")
    weights = {k.partition("/")[2]: v for k, v in fields.items() if k.startswith(starts)}
    return weights or fields


def _require_same(
    where: str, found: Mapping[str, ArrayHeader], wanted: Mapping[str, ArrayHeader]
) -> None:
    """Refuse a file whose arrays are not the model's, with every difference."""
    names = [f"{name} is missing" for name in wanted if name not in found]
    names += [f"{name} is unknown" for name in found if name not in wanted]
    kinds = [
        f"{name} is {found[name]}, expected {wanted[name]}"
        for name in wanted
        if name in found and not _same(found[name], wanted[name])
    ]
    if names or kinds:
        error = FileNamesError if names else FileFormatError
        raise error(
            f"{where}: found other arrays than the model expects: {'; '.join(names + kinds)}; "
            "make the model with the names, the sizes and the dtype of the file"
        )


def _same(a: ArrayHeader, b: ArrayHeader) -> bool:
    """Whether shape and dtype are equal; in which order the bytes lie does not matter."""
    return a.shape == b.shape and a.dtype.newbyteorder("=") == b.dtype


def _require_all_finite(arrays: Mapping[str, Array]) -> None:
    """Refuse NaN and infinities, with every array that has some."""
    complaints = []
    for where, array in arrays.items():
        try:
            require_finite(where, array, FileFormatError)
        except FileFormatError as error:
            complaints.append(str(error))
    if complaints:
        raise FileFormatError("; ".join(complaints))


def _by_layer(model: Module, paths: Sequence[PathLike]) -> list[tuple[Tensor, Array]]:
    """Pair each layer's weight and bias with the file's matrix."""
    layers = _layers(model)
    thetas = read_weights(*paths)
    where = ", ".join(os.fspath(path) for path in paths)
    names = theta_names(max(len(thetas), len(layers)))
    found = {name: ArrayHeader(t.dtype, t.shape) for name, t in zip(names, thetas, strict=False)}
    shapes = [(layer.outputs, layer.inputs + 1) for layer in layers]
    float64 = np.dtype(np.float64)  # in these files, whatever the model's dtype is
    wanted = {name: ArrayHeader(float64, s) for name, s in zip(names, shapes, strict=False)}
    _require_same(where, found, wanted)
    with np.errstate(over="ignore"):  # what becomes infinite in float32 is refused below
        rounded = [t.astype(layer.weight.dtype) for t, layer in zip(thetas, layers, strict=True)]
    described = zip(names, rounded, strict=True)
    _require_all_finite({f"{where}: {name} as {t.dtype}": t for name, t in described})
    pairs: list[tuple[Tensor, Array]] = []
    for name, layer, theta in zip(names, layers, rounded, strict=True):
        pairs.append((layer.weight, theta[:, 1:]))
        if layer.bias is not None:
            pairs.append((layer.bias, theta[:, 0]))
        elif theta[:, 0].any():
            raise FileFormatError(f"{where}: {name} has a bias column for {layer!r}, without one")
    return pairs


def _layers(model: Module) -> list[Any]:
    """Return all layers, if no parameter is outside of them."""
    layers = [module for _, module in model.named_modules() if isinstance(module, Layer)]
    if not layers:
        raise ValueError(f"{model!r} has no Layer, so no weights in the course's sense")
    held = {id(parameter) for layer in layers for parameter in (layer.weight, layer.bias)}
    others = [name for name, p in model.named_tensors().items() if id(p) not in held]
    if others:
        raise ValueError(
            f"{', '.join(others)}: in no Layer, so the course's files have no place for it; "
            "use a .npz or .safetensors file"
        )
    return layers
