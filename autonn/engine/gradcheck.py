"""Gradients are checked against the function itself, which cannot be wrong about its own slopes.

The complex step, ``f'(x) = Im f(x + ih) / h``, subtracts nothing and so is exact to rounding
(Squire and Trapp 1998, SIAM Review 40). It needs functions that are analytic as written: NumPy's
`abs`, `sign` or `std` silently are not. So central differences, extrapolated, always run too;
where the two disagree, or complex numbers are refused, the differences count.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autonn.engine.modes import no_grad, stepping
from autonn.engine.tensor import Array, Tensor
from autonn.engine.transforms import grad, vjp
from autonn.engine.trees import Tree, tree_leaves, tree_unflatten

__all__ = ["GradientError", "gradcheck"]

_COMPLEX_STEP = 1e-100  # small enough that its square vanishes beside any number
_STEP = 1e-3  # of central differences, relative; extrapolated twice, the error is of order h^6

Function = Callable[..., Any]


class GradientError(AssertionError):
    """A gradient is not the slope of its function.

    >>> from autonn import op
    >>> @op(lambda g, z, x: g * x)
    ... def square(x):
    ...     return x * x
    >>> try:
    ...     gradcheck(square, np.array(3.0))
    ... except GradientError as error:
    ...     print(str(error).partition(";")[0])
    gradient of order 1 for argument 0, index (): 3.0, but the slope is 6.0 (by complex step)
    """


@dataclass(frozen=True)
class _Slope:
    """What the function says of one derivative of all its outputs, and how sure that is."""

    value: Array
    tolerance: Array
    left: Array
    right: Array
    method: str


def gradcheck(
    f: Function,
    *inputs: Tree,
    order: int = 1,
    projections: int | None = None,
    rng: np.random.Generator | int = 0,
) -> bool:
    """Compare the gradient of a function with its slopes; return True or raise `GradientError`.

    Parameters
    ----------
    f
        A function of float64 arrays, or of lists, tuples and dicts of them, written in NumPy or
        with Tensors; it returns one array of any shape.
    inputs
        Where to check it.
    order
        Up to which order: 2 also checks the gradient of the gradient, along a random projection.
    projections
        How many random sums of the outputs to check. None checks each output by itself, the full
        Jacobian, up to 100 outputs, and 3 projections beyond.
    rng
        For the projections: a `numpy.random.Generator` or a seed.

    Raises
    ------
    GradientError
        Naming the argument, the index, the gradient and the slope. At a kink, where the slopes to
        the left and to the right differ, the gradient has to lie between them.
    TypeError
        For inputs that are not float64: in float32 the slopes would be too coarse.

    Examples
    --------
    >>> gradcheck(lambda x: np.sin(x) * x, np.array([1.0, 2.0]), order=2)
    True
    """
    generator = np.random.default_rng(rng)
    for level in range(1, order + 1):
        _check_once(f, inputs, projections, generator, level)
        if level < order:
            f = _gradient_along(f, inputs, generator)
    return True


def _check_once(
    f: Function, inputs: Sequence[Tree], projections: int | None, rng: Any, level: int
) -> None:
    """Check the gradients of one order, by each element of each argument."""
    leaves = [_float64(leaf) for leaf in tree_leaves(list(inputs))]
    with np.errstate(all="ignore"):
        value, pullback = vjp(f, *inputs)
        weights = _weights(np.shape(value), projections, rng)
        rows = [tree_leaves(list(pullback(w))) for w in weights]
    for k, leaf in enumerate(leaves):
        for index in np.ndindex(leaf.shape):
            slope = _slope(f, inputs, leaves, k, index)
            for w, row in zip(weights, rows, strict=True):
                _compare(row[k][index], slope, w, f"argument {k}, index {index}", level)


def _float64(leaf: Any) -> Array:
    array = leaf.numpy() if isinstance(leaf, Tensor) else np.asarray(leaf)
    if array.dtype != np.float64:
        raise TypeError(f"gradcheck takes float64, not {array.dtype}; use x.astype(float)")
    return array


def _weights(shape: tuple[int, ...], projections: int | None, rng: Any) -> list[Array]:
    size = int(np.prod(shape))
    if projections is None and size <= 100:
        return [unit.reshape(shape) for unit in np.eye(size)]
    return [rng.standard_normal(shape) for _ in range(projections or 3)]


def _gradient_along(f: Function, inputs: Sequence[Tree], rng: Any) -> Function:
    """Make the function that returns the gradient of a random sum of outputs, in one row."""
    v = rng.standard_normal(np.shape(vjp(f, *inputs)[0]))
    positions = tuple(range(len(inputs)))

    def gradient(*args: Any) -> Any:
        parts = tree_leaves(list(grad(lambda *a: np.sum(v * f(*a)), positions)(*args)))
        return np.concatenate([np.ravel(part) for part in parts])

    return gradient


def _slope(
    f: Function, inputs: Sequence[Tree], leaves: list[Array], k: int, index: tuple[int, ...]
) -> _Slope:
    """Differentiate all outputs by one number."""

    def at(step: complex) -> Array:
        """Evaluate the function with that one number moved by a step."""
        moved = [np.array(leaf, dtype=np.result_type(leaf, step)) for leaf in leaves]
        moved[k][index] += step
        args = tree_unflatten(list(inputs), iter([Tensor(m, copy=False) for m in moved]))
        token = stepping.set(True)
        try:
            with no_grad(), np.errstate(all="ignore"):
                result = f(*args)
        finally:
            stepping.reset(token)
        return result.data if isinstance(result, Tensor) else np.asarray(result)

    slope = _by_differences(at, abs(leaves[k][index]))
    try:
        with warnings.catch_warnings(action="error", category=np.exceptions.ComplexWarning):
            exact = at(1j * _COMPLEX_STEP).imag / _COMPLEX_STEP
    except (TypeError, ValueError, RuntimeError, np.exceptions.ComplexWarning):
        return slope  # the function is not for complex numbers
    with np.errstate(invalid="ignore"):
        agree = np.abs(exact - slope.value) <= 1e-5 * np.maximum(1, np.abs(exact))
    if not np.all(agree):
        return slope
    tolerance = 1e-12 * np.maximum(1, np.abs(exact))
    return _Slope(exact, tolerance, exact, exact, "complex step")


def _by_differences(at: Callable[[complex], Array], size: float) -> _Slope:
    """Take slopes at three steps and extrapolate; see on both sides whether there is a kink."""
    h = _STEP * max(1.0, size)
    middle = at(0.0)
    left, right = [], []
    for step in (h, h / 2, h / 4):
        left.append((middle - at(-step)) / step)
        right.append((at(step) - middle) / step)
    central = [(a + b) / 2 for a, b in zip(left, right, strict=True)]
    coarse, fine = ((4 * central[i + 1] - central[i]) / 3 for i in (0, 1))
    best = (16 * fine - coarse) / 15
    kinked = _jumps(left, right)
    tolerance = 1e-7 * np.maximum(1, np.abs(best)) + 10 * np.abs(best - fine)
    return _Slope(
        np.where(kinked, np.nan, best),
        tolerance,
        np.where(kinked, np.minimum(left[-1], right[-1]), best),
        np.where(kinked, np.maximum(left[-1], right[-1]), best),
        "central differences",
    )


def _jumps(left: list[Array], right: list[Array]) -> Array:
    """Whether the two slopes stay apart as the step shrinks; smooth ones draw together."""
    gaps = [np.abs(b - a) for a, b in zip(left, right, strict=True)]
    apart: Array = (gaps[2] > 0.75 * gaps[0]) & (gaps[2] > 1e-6 * (1 + np.abs(left[2])))
    return apart


def _compare(gradient: Any, slope: _Slope, weight: Array, where: str, level: int) -> None:
    """Demand that a gradient lies between the slopes on both sides, to their tolerance."""
    low = np.sum(np.where(weight < 0, slope.right, slope.left) * weight)
    high = np.sum(np.where(weight < 0, slope.left, slope.right) * weight)
    tolerance = np.sum(slope.tolerance * np.abs(weight))
    if not low - tolerance <= gradient <= high + tolerance:
        expected = f"{low!s}" if low == high else f"between {low} and {high}"
        raise GradientError(
            f"gradient of order {level} for {where}: {gradient}, but the slope is {expected} "
            f"(by {slope.method}); the rule of an op on the way is wrong"
        )
