"""Questions that every room asks of its arguments, each asked once and in one voice.

A value of the wrong kind is a `TypeError`, a bad value of the right kind a `ValueError`. Each takes
first the name that the message begins with, as ``"fit: epochs"``.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

__all__ = [
    "Array",
    "NamesError",
    "differences",
    "finite",
    "floating",
    "not_finite",
    "not_negative",
    "number",
    "one_of",
    "place",
    "plain",
    "positive",
    "share",
    "true_or_false",
    "whole",
]

Array = np.ndarray[Any, Any]


class NamesError(ValueError, KeyError):
    """Entries are missing or unknown: a ValueError, and a KeyError for whoever expects that.

    >>> error = NamesError("weights: 'bias' is missing")
    >>> print(error)
    weights: 'bias' is missing
    >>> isinstance(error, ValueError), isinstance(error, KeyError)
    (True, True)
    """

    __str__ = ValueError.__str__  # that of KeyError puts the sentence in quotation marks


def whole(name: str, value: Any, least: int = 1, most: float = math.inf) -> int:
    """Return a whole number from `least` to `most`, as a Python int.

    Raises
    ------
    TypeError, ValueError
        For what is no whole number, 3.0 among it; for one outside the range.

    Examples
    --------
    >>> whole("fit: epochs", np.int64(3))
    3
    >>> whole("fit: batch_size", 100 / 8)
    Traceback (most recent call last):
    TypeError: fit: batch_size is a whole number, not 12.5; divide by //, or round with int(...)
    >>> whole("fit: epochs", 0)
    Traceback (most recent call last):
    ValueError: fit: epochs is at least 1, not 0
    """
    if not _is_a(Integral, value):
        cure = ""
        if _is_a(Real, value) and math.isfinite(value):
            is_round = value == int(value)
            cure = f"; write {int(value)}" if is_round else "; divide by //, or round with int(...)"
        raise TypeError(f"{name} is a whole number, not {value!r}{cure}")
    if not least <= value <= most:
        bound = f"at least {least}" if value < least else f"at most {most}"
        raise ValueError(f"{name} is {bound}, not {value}")
    return int(value)


def number(
    name: str,
    value: Any,
    *,
    least: float | None = None,
    above: float | None = None,
    below: float | None = None,
    most: float | None = None,
) -> float:
    """Return a finite number within bounds, as a Python float, which never widens a float32 array.

    Parameters
    ----------
    name, value
        What the message begins with, and what was given.
    least, above
        The lower bound, one of both: `least` is allowed itself, `above` is not.
    most, below
        The upper bound: `most` is allowed itself, `below` is not.

    Raises
    ------
    TypeError, ValueError
        For what is no number; for NaN, an infinity and what is outside the bounds.

    Examples
    --------
    >>> number("SGD: lr", 1, above=0)
    1.0
    >>> number("SGD: momentum", 1.5, least=0, below=1)
    Traceback (most recent call last):
    ValueError: SGD: momentum is at least 0 and below 1, not 1.5
    """
    if not _is_a(Real, value):
        raise TypeError(f"{name} is a number, not {value!r}")
    within = (
        math.isfinite(value)
        and (least is None or value >= least)
        and (above is None or value > above)
        and (below is None or value < below)
        and (most is None or value <= most)
    )
    if not within:
        raise ValueError(f"{name} is {_bounds(least, above, below, most)}, not {value}")
    return float(value)


def positive(name: str, value: Any) -> float:
    """Return a number above 0.

    >>> positive("SGD: lr", 0)
    Traceback (most recent call last):
    ValueError: SGD: lr is positive and finite, not 0
    """
    return number(name, value, above=0)


def not_negative(name: str, value: Any) -> float:
    """Return a number from 0.

    >>> not_negative("fit: l2", 0)
    0.0
    """
    return number(name, value, least=0)


def share(name: str, value: Any) -> float:
    """Return a number from 0 to below 1.

    >>> share("Dropout: p", 1)
    Traceback (most recent call last):
    ValueError: Dropout: p is at least 0 and below 1, not 1
    """
    return number(name, value, least=0, below=1)


def true_or_false(name: str, value: Any) -> bool:
    """Return a truth value, as a Python bool.

    >>> true_or_false("SGD: nesterov", np.True_)
    True
    """
    if not isinstance(value, bool | np.bool):
        raise TypeError(f"{name} is True or False, not {value!r}")
    return bool(value)


def _is_a(kind: type, value: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _bounds(
    least: float | None, above: float | None, below: float | None, most: float | None
) -> str:
    """Say a range in words, as "at least 0 and below 1" or "positive and finite"."""
    lower = "positive" if above == 0 else f"above {above}" if above is not None else ""
    lower = f"at least {least}" if least is not None else lower
    upper = f"below {below}" if below is not None else ""
    upper = f"at most {most}" if most is not None else upper
    return " and ".join(part for part in (lower, upper or "finite") if part)


def one_of(name: str, value: Any, choices: Collection[Any]) -> Any:
    """Return what is among the choices, or raise `ValueError` with all of them.

    >>> one_of("Newton: method", "bfgs", ("trust-ncg", "newton-cg"))
    Traceback (most recent call last):
    ValueError: Newton: method is 'trust-ncg' or 'newton-cg', not 'bfgs'
    """
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        raise ValueError(f"{name} is {' or '.join(map(repr, choices))}, not {value!r}")
    return value


def plain(name: str, value: Any) -> Array:
    """Return the plain array of numbers or booleans that a value is, copied only where it must be.

    Raises
    ------
    TypeError
        For what means more than its numbers, as a masked array, an `np.matrix` or a sparse matrix;
        for strings, objects and None.
    ValueError
        For a ragged list; for NaN and infinities in a frame, with the name of the column.

    Examples
    --------
    >>> plain("fit: y", [1, 2])
    array([1, 2])
    >>> plain("fit: y", np.ma.masked_equal([1, 2], 2))
    Traceback (most recent call last):
    TypeError: fit: y is a masked array; fill the gaps by y.filled(value), or drop those rows
    """
    if _is_frame(value):
        return _of_frame(name, value)
    cure = _more_than_numbers(value)
    if cure:
        raise TypeError(f"{name} is {cure.format(name.rpartition(' ')[2])}")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} is a ragged list; its rows need one length ({error})") from error
    if array.dtype.kind not in "biufc":
        what = f"{value!r}" if value is None else f"an array of {array.dtype}"
        own = name.rpartition(" ")[2]
        labels = f"; np.unique({own}, return_inverse=True)[1] makes them of labels"
        cure = ".astype(float) makes them of some" + (labels if array.ndim == 1 else "")
        raise TypeError(f"{name} is {what}, expected numbers; {cure}")
    return array


def _more_than_numbers(value: Any) -> str:
    """Say what a value is, and the cure, if taking it for its numbers would lose something."""
    if isinstance(value, np.ma.MaskedArray):
        return "a masked array; fill the gaps by {}.filled(value), or drop those rows"
    if isinstance(value, np.matrix):
        return "an np.matrix, whose * means another thing; give np.asarray({})"
    if hasattr(value, "toarray") and hasattr(value, "nnz"):
        return "a sparse matrix; give {}.toarray()"
    if hasattr(value, "__dask_graph__"):
        return (
            "a Dask collection, which may not fit in memory; give {}.compute() if it does; what "
            "fit learns from may stay where it is, with workers=client"
        )
    return ""


def _is_frame(value: Any) -> bool:
    """Whether a value is a table with named columns, as of pandas or polars."""
    return getattr(value, "dtypes", None) is not None and hasattr(value, "columns")


def _of_frame(name: str, frame: Any) -> Array:
    """Take the numbers out of a frame, where booleans beside numbers come as objects."""
    if hasattr(frame, "__dask_graph__"):
        raise TypeError(f"{name} is {_more_than_numbers(frame).format(name.rpartition(' ')[2])}")
    values, columns = np.asarray(frame), list(frame.columns)
    if values.dtype.kind == "O":
        for index, value in np.ndenumerate(values):
            if not isinstance(value, Real | np.bool_):
                gap = value is None or type(value).__name__ == "NAType"
                cure = "fill the gaps, or drop those rows" if gap else (
                    "a model takes numbers: leave such columns out, or put numbers in their place"
                )  # fmt: skip
                raise TypeError(f"{name} has {value!r} {_in_column(index, columns)}; {cure}")
        values = values.astype(np.float64)
    if values.dtype.kind not in "biufc":
        raise TypeError(f"{name} is a frame of {values.dtype}, expected numbers")
    wrong = ~np.isfinite(values)
    if wrong.any():
        index = np.unravel_index(int(wrong.argmax()), wrong.shape)
        raise ValueError(f"{name} has {values[index]} {_in_column(index, columns)}")
    return values


def _in_column(index: Any, columns: list[Any]) -> str:
    return f"in row {int(index[0])}, column {columns[int(index[1])]!r}"


def not_finite(values: Array, first: int = 0) -> str:
    """Say which is the first number that is NaN or infinite, and where; empty if there is none.

    `first` is the number of the first row, where the values are a part of something.

    >>> not_finite(np.array([[0.0, 1.0], [np.nan, np.inf]]))
    'nan in row 1, column 0'
    """
    wrong = ~np.isfinite(values)
    if not wrong.any():
        return ""
    index = np.unravel_index(int(wrong.argmax()), wrong.shape)
    counted = (index[0] + first, *index[1:]) if index else index
    return f"{values[index]} {place(counted)}".rstrip()


def finite(name: str, values: Array, error: type[ValueError] = ValueError) -> None:
    """Refuse NaN and infinities by `error`, with the place of the first.

    >>> finite("fit: X", np.array([[0.0, 1.0], [np.nan, 2.0]]))
    Traceback (most recent call last):
    ValueError: fit: X has nan in row 1, column 0
    """
    found = not_finite(values)
    if found:
        raise error(f"{name} has {found}")


def floating(name: str, dtype: Any) -> np.dtype[Any]:
    """Return a floating dtype, of one, its name or its type; `TypeError` for another.

    >>> floating("Layer: dtype", "float32")
    dtype('float32')
    >>> floating("Layer: dtype", int)
    Traceback (most recent call last):
    TypeError: Layer: dtype is a floating dtype, such as np.float32, not <class 'int'>
    """
    try:
        found: np.dtype[Any] | None = None if dtype is None else np.dtype(dtype)
    except TypeError:
        found = None
    if found is None or found.kind != "f":
        raise TypeError(f"{name} is a floating dtype, such as np.float32, not {dtype!r}")
    return found


def place(index: Collection[Any]) -> str:
    """Say where an index points: in which row, in which column of it.

    >>> place((3,)), place((3, 1)), place((3, 1, 4))
    ('in row 3', 'in row 3, column 1', 'in row 3, column 1, 4')
    """
    if not index:
        return ""
    row, *columns = map(int, index)
    return f"in row {row}" + (f", column {', '.join(map(str, columns))}" if columns else "")


def differences(
    expected: Mapping[str, Any], given: Mapping[str, Any], casting: Any = "safe"
) -> list[str]:
    """List all in which named arrays differ from the expected ones, in names, shapes and dtypes.

    Parameters
    ----------
    expected, given
        Arrays, numbers, or whatever says its `shape` and `dtype`, by name.
    casting
        Which dtypes will do, as `numpy.can_cast` has it: "safe" lets float32 stand for float64,
        "same_kind" also the reverse, "equiv" neither.

    Examples
    --------
    >>> differences({"a": np.ones(2), "b": 1.0}, {"a": np.ones(3), "c": 1.0})
    ['b is missing', 'c is unknown', 'a is float64 (3,), expected float64 (2,)']
    """
    found = [f"{name} is missing" for name in expected if name not in given]
    found += [f"{name} is unknown" for name in given if name not in expected]
    for name in expected:
        if name in given:
            (dtype, shape), (own_dtype, own_shape) = _form(given[name]), _form(expected[name])
            if shape != own_shape or not np.can_cast(dtype, own_dtype, casting):
                found.append(f"{name} is {dtype} {shape}, expected {own_dtype} {own_shape}")
    return found


def _form(value: Any) -> tuple[np.dtype[Any], tuple[int, ...]]:
    if not hasattr(value, "dtype") or not hasattr(value, "shape"):
        value = np.asarray(value)
    return value.dtype, tuple(value.shape)
