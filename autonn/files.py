"""Weights in and out of a model: every parameter by its name, or the course's matrices.

A ``.npz`` or ``.safetensors`` file holds all parameters by their names, such as ``0.weight``. The
course's ``.mat`` and ``.in`` files hold the tutorials' matrices, ``Theta_l = [bias | weight]``,
one for each `Layer`; its last output unit stands for the digit 0; here unit k means digit k.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from autonn.engine.tensor import Tensor
from autonn.formats import (
    MAX_BYTES,
    Array,
    ArrayHeader,
    FileFormatError,
    FileNamesError,
    Floats,
    PathLike,
    complaint,
    finite_matrix,
    is_mat,
    read_mat,
    read_npz,
    read_safetensors,
    read_text,
    require_finite,
    require_names,
    write_fields,
    write_npz,
    write_safetensors,
)
from autonn.nn.linear import Layer
from autonn.nn.module import Module


def load_weights(model: Module, *paths: PathLike) -> None:
    """Set the model's parameters from the file, or the files, that `save_weights` writes.

    One ``.npz`` or ``.safetensors`` file needs the very names, shapes and dtypes of the model; one
    ``.mat`` file, or one ``.in`` file per layer, the shapes of its layers. All numbers are finite.
    Nothing is ever unpickled, and nothing is set unless everything is right.

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
    pairs = _by_name(model, *paths) if _is_named(paths) else _by_layer(model, paths)
    for parameter, array in pairs:
        parameter.data = array


def save_weights(model: Module, *paths: PathLike) -> None:
    """Write the model's parameters to one or several files, whole or not at all.

    One ``.npz`` or ``.safetensors`` file holds all parameters of any model by name. PyTorch loads
    the latter straight into the same network: ``Layer`` is its ``Linear``, ``Sequential`` numbers
    its modules alike, weights are (outputs, inputs) in both. One ``.mat`` file, or one ``.in`` file
    per layer, is in the course's format, as `write_weights` says.

    Raises
    ------
    ValueError
        For parameters that are not finite, that the format can't hold, or of which there are none.
    FileNotFoundError, OSError
        For a missing folder and a full disk; the old file is then untouched.
    ImportError
        For a ``.safetensors`` file without the package: ``pip install 'autonn[safetensors]'``.

    Examples
    --------
    >>> import tempfile
    >>> from autonn import Sequential, Sigmoid
    >>> model = Sequential(Layer(3, 2), Sigmoid(), Layer(2, 1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "model.npz"
    ...     save_weights(model, path)
    ...     load_weights(model, path)
    ...     sorted(np.load(path))
    ['0.bias', '0.weight', '2.bias', '2.weight']
    """
    if not _is_named(paths):
        write_weights([layer.theta for layer in _layers(model)], *paths)
        return
    arrays = {name: parameter.numpy() for name, parameter in _parameters(model).items()}
    for name, array in arrays.items():
        require_finite(f"save_weights: {name}", array, ValueError)
    write = write_npz if _suffix(paths[0]) == ".npz" else write_safetensors
    write(paths[0], arrays)


# ---- parameters by name


def _suffix(path: PathLike) -> str:
    return Path(path).suffix.lower()


def _is_named(paths: Sequence[PathLike]) -> bool:
    """Whether it is the one file of all parameters by name."""
    if not any(_suffix(path) in (".npz", ".safetensors") for path in paths):
        return False
    if len(paths) > 1:
        raise ValueError(f"one .npz or .safetensors file holds the whole model; got {paths}")
    return True


def _parameters(model: Module) -> dict[str, Tensor]:
    parameters = model.named_parameters()
    if not parameters:
        raise ValueError(f"{model!r} has no parameters, so there are no weights")
    if len(parameters) < len(model.parameters()):
        raise ValueError(f"two parameters of {model!r} have the same name; rename an attribute")
    return parameters


def _by_name(model: Module, path: PathLike) -> list[tuple[Tensor, Array]]:
    """Pair each parameter with what the file holds under its name."""
    parameters = _parameters(model)
    wanted = {name: ArrayHeader(p.dtype, p.shape) for name, p in parameters.items()}
    most = max(MAX_BYTES, 2 * sum(p.size * p.dtype.itemsize for p in parameters.values()))

    def accept(found: Mapping[str, ArrayHeader]) -> None:
        _require_same(os.fspath(path), found, wanted)

    if _suffix(path) == ".npz":
        arrays = read_npz(path, accept, most)
    else:
        arrays = read_safetensors(path, most)
        accept({name: ArrayHeader(array.dtype, array.shape) for name, array in arrays.items()})
    _require_all_finite({f"{path}: {name}": arrays[name] for name in wanted})
    return [(p, arrays[name].astype(p.dtype)) for name, p in parameters.items()]


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


# ---- the course's matrices, one for each layer


def _by_layer(model: Module, paths: Sequence[PathLike]) -> list[tuple[Tensor, Array]]:
    """Pair each layer's weight and bias with the file's matrix."""
    layers = _layers(model)
    thetas = read_weights(*paths)
    where = ", ".join(os.fspath(path) for path in paths)
    names = _theta_names(max(len(thetas), len(layers)))
    found = {name: ArrayHeader(t.dtype, t.shape) for name, t in zip(names, thetas, strict=False)}
    shapes = [(layer.outputs, layer.inputs + 1) for layer in layers]
    float64 = np.dtype(np.float64)  # in these files, whatever the model's dtype is
    wanted = {name: ArrayHeader(float64, s) for name, s in zip(names, shapes, strict=False)}
    _require_same(where, found, wanted)
    with np.errstate(over="ignore"):  # what becomes infinite in float32 is refused below
        rounded = [t.astype(layer.weight.dtype) for t, layer in zip(thetas, layers, strict=True)]
    described = zip(names, rounded, strict=True)
    _require_all_finite({f"{where}: {name} as {t.dtype}": t for name, t in described})
    pairs = zip(layers, rounded, strict=True)
    return [pair for k, t in pairs for pair in ((k.weight, t[:, 1:]), (k.bias, t[:, 0]))]


def _layers(model: Module) -> list[Any]:
    layers = [module for _, module in model.named_modules() if isinstance(module, Layer)]
    if not layers:
        raise ValueError(f"{model!r} has no Layer, so no weights in the course's sense")
    held = {id(parameter) for layer in layers for parameter in (layer.weight, layer.bias)}
    others = [name for name, p in model.named_parameters().items() if id(p) not in held]
    if others:
        raise ValueError(
            f"{', '.join(others)}: in no Layer, so the course's files have no place for it; "
            "use a .npz or .safetensors file"
        )
    return layers


def read_weights(*paths: PathLike) -> list[Floats]:
    r"""Read the course's weights [Theta1, Theta2, ...]: each (out, in + 1), the bias column first.

    One `.mat` file holds `Theta1`, `Theta2` and so on (ex4weights.mat); or each comma-separated
    text file (W1.in, W2.in, or TrainedW1.in, TrainedW2.in) holds one. The course's last output
    unit stands for the digit 0, so the last matrix is rolled down by one row and row k means
    digit k. This is so for any number of rows K: class K becomes row 0.

    Wrong content, or matrices that don't chain (Theta2 needs one column for each unit of
    Theta1 and one for the bias), raises FileFormatError; a missing file FileNotFoundError.
    Neither format says how many matrices there were: a file cut off exactly between two reads
    as a shorter network. In text, one digit that became another can't be noticed.

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "W1.in"
    ...     _ = path.write_text("0,1\n0,2\n0,3\n")
    ...     read_weights(path)[0][:, 1]
    array([3., 1., 2.])
    """
    _require_weight_paths(paths)
    thetas = _chained(_read_thetas(paths), FileFormatError)
    return [*thetas[:-1], np.roll(thetas[-1], 1, axis=0)]


def write_weights(thetas: Sequence[ArrayLike], *paths: PathLike) -> None:
    """Write [Theta1, Theta2, ...] in the course's form and order; `read_weights` undoes it.

    One `.mat` path takes all of them; otherwise there is one text path for each. Every number
    comes back bit for bit. Matrices that don't chain or are not finite raise ValueError.

    >>> write_weights([np.ones((2, 3)), np.ones((1, 2))], "never-written.mat")
    Traceback (most recent call last):
    ValueError: Theta2: found shape (1, 2), expected 3 columns, the bias and 2 inputs
    """
    _require_weight_paths(paths)
    names = _theta_names(len(thetas))
    if not names or len(paths) not in ({1} if is_mat(paths[0]) else {len(names)}):
        raise ValueError(
            f"write_weights: {len(names)} matrices do not fit {len(paths)} paths; "
            "give one .mat path, or one text path for each matrix"
        )
    given = {name: np.asarray(theta) for name, theta in zip(names, thetas, strict=True)}
    matrices = _chained(given, ValueError)
    matrices[-1] = np.roll(matrices[-1], -1, axis=0)
    write_fields(paths, dict(zip(names, matrices, strict=True)))


def _require_weight_paths(paths: Sequence[PathLike]) -> None:
    mats = [is_mat(path) for path in paths]
    if _is_named(paths):
        raise ValueError(f"{paths[0]} holds parameters by name: use load_weights, save_weights")
    if not paths or (any(mats) and len(mats) > 1):
        raise ValueError(f"weights take one .mat path, or text paths W1.in, W2.in; got {paths}")


def _theta_names(count: int) -> list[str]:
    return [f"Theta{number}" for number in range(1, count + 1)]


def _read_thetas(paths: Sequence[PathLike]) -> dict[str, Array | str]:
    """Return each matrix under the name that a message should give it: its file and field."""
    if not is_mat(paths[0]):
        names = _theta_names(len(paths))
        pairs = zip(paths, names, strict=True)
        return {f"{path}: {name}": read_text(path, name) for path, name in pairs}
    fields = read_mat(paths[0])
    names = _theta_names(max(1, sum(bool(re.fullmatch(r"Theta\d+", key)) for key in fields)))
    require_names(paths[0], fields, names)
    return {f"{paths[0]}: {name}": fields[name] for name in names}


def _chained(thetas: Mapping[str, Array | str], error: type[ValueError]) -> list[Floats]:
    """Return the matrices if each fits onto the one before it, or raise `error`."""
    matrices = [_theta(where, values, error) for where, values in thetas.items()]
    for where, (lower, upper) in zip(list(thetas)[1:], pairwise(matrices), strict=True):
        units = len(lower)
        if upper.shape[1] != units + 1:
            expected = f"{units + 1} columns, the bias and {units} inputs"
            raise error(complaint(where, f"shape {upper.shape}", expected))
    return matrices


def _theta(where: str, values: Array | str, error: type[ValueError]) -> Floats:
    theta = finite_matrix(where, values, error)
    if theta.shape[1] < 2:
        expected = "two columns or more, the bias first"
        raise error(complaint(where, f"shape {theta.shape}", expected))
    return theta
