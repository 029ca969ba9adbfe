"""Weights in and out of a model, in the course's formats.

The files hold the tutorials' matrices, ``Theta_l = [bias | weight]``, one for each `Layer`. The
course's last output unit stands for the digit 0; here unit k means digit k.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from autonn.formats import (
    Array,
    FileFormatError,
    Floats,
    PathLike,
    complaint,
    finite_matrix,
    is_mat,
    read_mat,
    read_text,
    require_names,
    write_fields,
)
from autonn.nn.layers import Layer
from autonn.nn.module import Module


def load_weights(model: Module, *paths: PathLike) -> None:
    """Set the model's layers from one ``.mat`` file, or from one ``.in`` file per layer.

    Raises
    ------
    FileNotFoundError, FileFormatError
        For a file that is missing or whose content is wrong; the model is then left as it was.

    Examples
    --------
    >>> from autonn import Sequential
    >>> load_weights(Sequential(Layer(400, 25), Layer(25, 10)), "ex4weights.mat")
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'ex4weights.mat'
    """
    layers = _layers(model)
    thetas = read_weights(*paths)
    found, needed = [t.shape for t in thetas], [layer.theta.shape for layer in layers]
    if found != needed:
        names = ", ".join(os.fspath(path) for path in paths)
        raise FileFormatError(
            f"{names}: weights of shapes {found} for layers that need {needed}; "
            "make the model with the sizes of the file"
        )
    for layer, theta in zip(layers, thetas, strict=True):
        layer.theta = theta


def save_weights(model: Module, *paths: PathLike) -> None:
    """Write the model's layers to one ``.mat`` file, or to one ``.in`` file per layer.

    The files are written whole or not at all.
    """
    write_weights([layer.theta for layer in _layers(model)], *paths)


def _layers(model: Module) -> list[Any]:
    layers = [module for _, module in model.named_modules() if isinstance(module, Layer)]
    if not layers:
        raise ValueError(f"{model!r} has no Layer, so no weights in the course's sense")
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
    as a shorter network.

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
