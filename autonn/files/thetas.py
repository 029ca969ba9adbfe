"""The course's weights: the tutorials' matrices, ``Theta_l = [bias | weight]``, one for each layer.

They stand in one ``.mat`` file, or in one ``.in`` file each. The course's last output unit stands
for the digit 0; here unit k means digit k.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from autonn.files.errors import FileFormatError, complaint
from autonn.files.fields import is_mat, is_named, write_fields
from autonn.files.mat import read_mat
from autonn.files.reading import Array, Floats, PathLike, finite_matrix, require_names
from autonn.files.text import read_text


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
    names = theta_names(len(thetas))
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
    if is_named(paths):
        raise ValueError(f"{paths[0]} holds parameters by name: use load_weights, save_weights")
    if not paths or (any(mats) and len(mats) > 1):
        raise ValueError(f"weights take one .mat path, or text paths W1.in, W2.in; got {paths}")


def theta_names(count: int) -> list[str]:
    """Name so many matrices as the course does: Theta1, Theta2, ..."""
    return [f"Theta{number}" for number in range(1, count + 1)]


def _read_thetas(paths: Sequence[PathLike]) -> dict[str, Array | str]:
    """Return each matrix under the name that a message should give it: its file and field."""
    if not is_mat(paths[0]):
        names = theta_names(len(paths))
        pairs = zip(paths, names, strict=True)
        return {f"{path}: {name}": read_text(path, name) for path, name in pairs}
    fields = read_mat(paths[0])
    names = theta_names(max(1, sum(bool(re.fullmatch(r"Theta\d+", key)) for key in fields)))
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
