"""Calls with random shapes, axes and keywords: the same value, shape and dtype as NumPy's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tools.oprows import Array, Random

from autonn import Tensor

Call = tuple[Callable[..., Any], tuple[Any, ...]]
METHODS = [
    "linear", "lower", "higher", "nearest", "midpoint", "hazen", "weibull", "median_unbiased",
    "normal_unbiased", "inverted_cdf", "averaged_inverted_cdf", "closest_observation",
    "interpolated_inverted_cdf",
]  # fmt: skip


class Draw:
    """A random array, an axis of it, several axes or none, and whether they are kept."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.shape = tuple(int(n) for n in rng.integers(1, 4, rng.integers(1, 4)))
        self.x = rng.standard_normal(self.shape)
        self.axis = int(rng.integers(-self.x.ndim, self.x.ndim))
        self.axes: Any = self.pick([None, self.axis, (0,), tuple(range(self.x.ndim))])
        self.keep = bool(rng.integers(2))

    def pick(self, options: Any) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def array(self, *shape: int) -> Array:
        return self.rng.standard_normal(shape or int(self.rng.integers(1, 7)))


def reductions(d: Draw) -> Iterator[Call]:
    mask, holes = d.rng.random(d.shape) < 0.6, np.where(d.rng.random(d.shape) < 0.3, np.nan, d.x)
    named = {"axis": d.axes, "keepdims": d.keep}
    f: Any
    for f in (np.sum, np.prod, np.mean, np.var, np.std):
        yield lambda x, f=f: f(x, where=mask, **named), (d.x,)
    for f in (np.max, np.min, np.sum, np.prod):
        yield lambda x, f=f: f(x, where=mask, initial=0.5, **named), (d.x,)
    for f in (np.nansum, np.nanmean, np.nanvar, np.nanstd, np.nanmax, np.nanmin, np.nanprod):
        yield lambda x, f=f: f(x, **named), (holes,)
    q, method = d.pick([0.0, 1.0, 0.3, [0.2, 0.7], [[0.1], [0.9]]]), d.pick(METHODS)
    yield lambda x: np.quantile(x, q, method=method, **named), (d.x,)
    yield lambda x: np.median(x, **named), (holes,)
    weights = np.abs(d.array(*d.shape)) + 0.1
    yield lambda x, w: np.average(x, weights=w, **named), (d.x, weights)
    ord: Any = d.pick([None, 0, 0.5, 1, 2, 3, -1, np.inf, -np.inf])
    yield lambda x: np.linalg.norm(x, ord, d.axis, d.keep), (d.x,)
    of_matrix: Any = d.pick([None, "fro", "nuc", 1, -1, 2, -2, np.inf, 3, "x"])
    yield lambda x: np.linalg.norm(x, of_matrix), (d.x,)


def arrangements(d: Draw) -> Iterator[Call]:
    widths = d.rng.integers(0, 5, (d.x.ndim, 2)).tolist()
    mode: Any = d.pick(
        ["edge", "reflect", "symmetric", "wrap", "mean", "maximum", "median", "linear_ramp"]
    )
    n, quarters, order = d.shape[d.axis], d.pick([-3, 1, 2]), d.pick("CFA")
    behind, count = d.pick([None, d.axis]), d.pick([0, 1, 4])
    places = d.rng.integers(-n, n + 1, 2).tolist()
    yield lambda x: np.pad(x, widths, mode), (d.x,)
    yield lambda x: np.pad(x, widths, constant_values=2), (d.x,)
    yield lambda x: np.rot90(x, quarters, (0, -1)), (d.x,)
    yield lambda x: np.insert(x, places[0], 7.0, axis=d.axis), (d.x,)
    yield lambda x: np.insert(x, places, 2.5, axis=d.axis), (d.x,)
    yield lambda x: np.delete(x, places, axis=d.axis), (d.x,)
    yield lambda x: np.append(x, x, behind), (d.x,)
    yield lambda x: np.take(x, places, axis=d.axis, mode="wrap"), (d.x,)
    yield lambda x: np.unique(np.round(x), axis=d.axis), (d.x,)
    yield lambda x: np.ravel(x, order), (np.asfortranarray(d.x),)
    yield lambda x: np.linspace(x, 2.0, count, endpoint=d.keep, axis=-1), (d.x,)
    yield lambda x: np.maximum.accumulate(x, axis=d.axis), (np.round(d.x),)
    yield lambda x: np.apply_along_axis(np.sort, d.axis, x), (d.x,)
    yield np.kron, (d.x, d.array(*d.rng.integers(1, 3, d.rng.integers(0, 4))))


def curves(d: Draw) -> Iterator[Call]:
    mode, order = d.pick(["full", "same", "valid"]), d.pick([1, 2])
    a, b, points = d.array(), d.array(), np.sort(d.array(4))
    yield lambda x, y: np.convolve(x, y, mode), (a, b)
    yield lambda x, y: np.correlate(x, y, mode), (a, b)
    yield lambda x: np.diff(x, order, d.axis), (d.x,)
    yield lambda x: np.gradient(x, 0.5, axis=d.axis, edge_order=order), (d.x,)
    yield lambda x: np.gradient(x, np.cumsum(np.abs(a)) + 1, axis=0), (d.array(len(a), 2),)
    yield lambda x: np.trapezoid(x, axis=d.axis), (d.x,)
    yield np.interp, (np.append(points, d.array(3)), points, d.array(4))
    yield lambda x, y, w: np.polyfit(x, y, 1, w=w), (points, d.array(4, 2), np.abs(d.array(4)))
    yield lambda x, y: np.cross(x, y, axisa=0, axisc=0), (d.array(3, 2), d.array(2, 3))
    yield lambda x: np.cov(x, rowvar=d.keep, ddof=order), (d.array(3, 4),)
    yield lambda x, y: np.linalg.lstsq(x, y, rcond=None)[0], (d.array(4, 2), d.array(4, 3))


def same_as_numpy(f: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Demand the same array, or an error where NumPy has one."""
    with np.errstate(all="ignore"):
        try:
            expected = np.asarray(f(*args))
        except (ValueError, TypeError, IndexError):
            with pytest.raises((ValueError, TypeError, IndexError)):
                f(*map(Tensor, args))
            return
        got = f(*(Tensor(a, requires_grad=True) for a in args)).data
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("calls", [reductions, arrangements, curves])
@given(seed=st.integers(0, 2**32 - 1))
def test_calls_at_random_are_numpys(calls: Callable[[Draw], Iterator[Call]], seed: int) -> None:
    for f, args in calls(Draw(np.random.default_rng(seed))):
        same_as_numpy(f, args)
