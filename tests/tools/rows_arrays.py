"""Rows of NumPy's functions that are written with the ops, and of the keywords that they take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tools.oprows import (
    SMALL,
    Array,
    Random,
    Row,
    between,
    distinct,
    whole,
)

POSITIVE = between(0.4, 3, 0.5, 1)
MASK = np.array([[True, False, True], [True, True, False]])
PLACES = np.array([2, 0, 1, 2])


def ordered(x: Array, axis: int = -1) -> Array:
    """Sort complex numbers by their real parts."""
    return np.asarray(np.take_along_axis(x, np.argsort(x.real, axis, kind="stable"), axis))


def _median(x: Array, axis: int = -1) -> Array:
    n = x.shape[axis]
    middle = np.take(ordered(x, axis), range((n - 1) // 2, n // 2 + 1), axis)
    return np.asarray(middle.mean(axis))


def _quantile(x: Array, q: float, axis: int = -1) -> Array:
    place = q * (x.shape[axis] - 1)
    low = int(place)
    x = ordered(x, axis)
    below, above = np.take(x, low, axis), np.take(x, min(low + 1, x.shape[axis] - 1), axis)
    return np.asarray(below + (above - below) * (place - low))


def _interp(x: Array, xp: Array, fp: Array) -> Array:
    k = np.clip(np.searchsorted(xp.real, x.real, side="right") - 1, 0, len(xp) - 2)
    inside = fp[k] + (x - xp[k]) * (fp[k + 1] - fp[k]) / (xp[k + 1] - xp[k])
    beyond = np.where(x.real < xp[0].real, fp[0], fp[-1])
    outside = (x.real < xp[0].real) | (x.real >= xp[-1].real)
    return np.asarray(np.where(outside, beyond, inside))


def _curve(rng: Random, tame: bool = False) -> tuple[Array, ...]:
    xp = np.cumsum(rng.uniform(0.5, 1, 4))
    before = rng.integers(0, 5, 5)  # which point comes next: a slope's end is no place to step over
    x = np.concatenate([[xp[0] - 1], xp])[before] + rng.uniform(0.1, 0.4, 5)
    return x, xp, SMALL.draw(rng, (4,))


def _around(x: Array) -> Array:
    """Compute the variance of what the mask keeps, by its definition."""
    kept = x[MASK]
    return np.asarray(np.sum((kept - kept.mean()) ** 2) / 4)


def _points(count: int, *more: tuple[int, ...]) -> Callable[..., tuple[Array, ...]]:
    """Draw places in ascending order, well apart, and values."""

    def draw(rng: Random, tame: bool = False) -> tuple[Array, ...]:
        return (np.cumsum(rng.uniform(0.5, 1, count)), *(SMALL.draw(rng, s) for s in more))

    return draw


def _polyfit(x: Array, y: Array, deg: int) -> Array:
    left = np.vander(x, deg + 1)
    return np.asarray(np.linalg.solve(left.T @ left, left.T @ y))


def _correlation(x: Array) -> Array:
    apart = x - x.mean(1, keepdims=True)
    c = apart @ apart.T
    s = np.sqrt(np.diagonal(c))
    return np.asarray(c / s / s[:, None])


def _weighted_cov(x: Array, w: Array) -> Array:
    total = w.sum()
    apart = x - (x * w).sum(1, keepdims=True) / total
    return np.asarray((apart * w) @ apart.T / (total - (w * w).sum() / total))


def _nan(x: Any) -> Any:
    """Put NaN where the mask is False."""
    return np.where(MASK, x, np.nan)


def _kept(f: Callable[..., Any], nothing: float = 0.0) -> Callable[..., Any]:
    return lambda x: f(np.where(MASK, x, nothing), axis=1)


ARRAY_ROWS: list[Row] = [
    # keywords of reductions
    whole("sum", lambda x: np.sum(x, where=MASK), "23", exact=False),
    whole("sum", lambda x: np.sum(x, axis=0, where=MASK, initial=2.0), "23", exact=False),
    whole(
        "sum", lambda x: np.sum(x, axis=1, dtype=np.float64), "mn", keeps32=False,
        twin=lambda x: np.sum(x, axis=1),
    ),
    whole("prod", lambda x: np.prod(x, axis=0, where=MASK, initial=2.0), "23", exact=False),
    whole("mean", lambda x: np.mean(x, axis=1, where=MASK), "23", exact=False),
    whole("mean", lambda x: x.mean(where=MASK, keepdims=True), "23", exact=False),
    whole(
        "max", lambda x: np.max(x, axis=1, initial=-9.0, where=MASK), distinct((2, 3)),
        twin=lambda x: ordered(np.where(MASK, x, -9))[:, -1],
    ),
    whole(
        "max", lambda x: np.maximum.reduce(x), distinct((2, 3)), twin=lambda x: ordered(x, 0)[-1]
    ),
    whole(
        "min", lambda x: x.min(axis=0, initial=9.0), distinct((2, 3)),
        twin=lambda x: ordered(x, 0)[0],
    ),
    whole("var", lambda x: np.var(x, where=MASK), distinct((2, 3)), exact=False, twin=_around),
    whole(
        "std", lambda x: np.std(x, where=MASK, correction=0), distinct((2, 3)), exact=False,
        twin=lambda x: np.sqrt(_around(x)),
    ),
    whole("cumsum", lambda x: np.add.accumulate(x), "mn"),
    whole("cumprod", lambda x: np.multiply.accumulate(x, 1), "mn"),
    whole(
        "maximum.accumulate", lambda x: np.maximum.accumulate(x, axis=1), distinct((2, 4)),
        twin=lambda x: np.take_along_axis(
            x, np.array([[np.argmax(r[: k + 1]) for k in range(4)] for r in x.real]), 1
        ),
    ),
    whole("multiply.outer", lambda x, y: np.multiply.outer(x, y), "mn k"),
    whole("subtract.outer", lambda x, y: np.subtract.outer(x, y), "m n"),
    # keywords of shapes and places
    whole("reshape", lambda x: np.reshape(x, (3, -1), order="F"), "m3"),
    whole("reshape", lambda x: x.reshape(3, 2, order="F"), "23"),
    whole("ravel", lambda x: x.flatten(), "mn"),
    whole("ravel", lambda x: x.flatten("F"), "mn"),
    whole("ravel", lambda x: np.ravel(x, order="F"), "mnk"),
    whole("swapaxes", lambda x: x.mT, "mnk"),
    whole(
        "clip", lambda x: np.clip(x, -0.75, 0.75), distinct((2, 3)),
        twin=lambda x: np.where(np.abs(x.real) < 0.75, x, np.sign(x.real) * 0.75),
    ),
    whole("sort", lambda x: np.sort(x, kind="mergesort"), distinct((2, 3)), twin=ordered),
    whole("take", lambda x: np.take(x, [-4, 5], axis=1, mode="wrap"), "m3"),
    whole("take", lambda x: x.take([-4, 5], mode="clip"), "3"),
    whole("cast", lambda x: x.astype(x.dtype, copy=False), "mn"),
    whole("cast", lambda x: np.astype(x, x.dtype), "mn", np.astype),
    whole("einsum", lambda x, y: np.einsum(x, [0, 1], y, [1, 2], [2, 0]), "mn nk", exact=False),
    whole("einsum", lambda x, y: np.einsum(x, [..., 1], y, [1]), "mn n", exact=False),
    whole("einsum", lambda x, y: np.einsum("ij,ij->i", x, y), "34 31", exact=False),
    whole("einsum", lambda x, y: np.einsum("ij,ij->j", x, y), "14 34", exact=False),
    # taking elsewhere
    whole("fliplr", np.fliplr, "mn"),
    whole("flipud", np.flipud, "mn"),
    *(whole("rot90", lambda x, k=k: np.rot90(x, k), "mn", np.rot90) for k in (-1, 0, 1, 2)),
    whole("rot90", lambda x: np.rot90(x, 1, (2, 0)), "mnk"),
    whole("resize", lambda x: np.resize(x, (3, 4)), "mn", np.resize),
    whole("delete", lambda x: np.delete(x, 1, axis=1), "m3", np.delete),
    whole("delete", lambda x: np.delete(x, [0, 2]), "m3"),
    whole("append", lambda x, y: np.append(x, y), "mn k", np.append),
    whole("append", lambda x, y: np.append(x, y, axis=0), "mn kn"),
    whole("insert", lambda x, y: np.insert(x, 1, y, axis=1), "m3 m", np.insert),
    whole("insert", lambda x: np.insert(x, [0, 2], 1.5), "m3"),
    whole("insert", lambda x, y: np.insert(x, 0, y, axis=0), "mn n"),
    whole(
        "partition", lambda x: np.partition(x, 2, axis=1)[:, 2], distinct((2, 4)), np.partition,
        twin=lambda x: ordered(x)[:, 2],
    ),
    whole(
        "unique", np.unique, distinct((2, 3)), twin=lambda x: ordered(x.ravel()), compiles=False,
    ),
    whole("compress", lambda x: np.compress([True, False, True], x, 1), "m3", np.compress),
    whole("extract", lambda x: np.extract(MASK, x), "23", np.extract),
    whole(
        "select", lambda x, y: np.select([MASK, ~MASK[:, ::-1]], [x, y], 2.0), "23 23", np.select
    ),
    whole(
        "choose", lambda x, y: np.choose([[0, 1, 1], [1, 0, 0]], [x, y]), "23 3", np.choose
    ),
    whole(
        "bincount", lambda x: np.bincount(PLACES, weights=x, minlength=4), "4", np.bincount,
        twin=lambda x: np.array([x[k == PLACES].sum() for k in range(4)]), keeps32=False,
        exact=False,
    ),
    whole("where", lambda x: x[np.where(MASK)], "23"),
    whole("repeat", lambda x: np.repeat(x, 3), "."),
    whole("tril", lambda x: np.tril(x), "3"),
    whole("take_along_axis", lambda x: np.take_along_axis(x, np.array([[0, 2, 2]]), 1), "m3"),
    # assembling
    whole("atleast_1d", np.atleast_1d, "."),
    whole("atleast_2d", np.atleast_2d, "n"),
    whole("atleast_3d", lambda x, y: np.atleast_3d(x, y)[1], ". mn", np.atleast_3d),
    whole("column_stack", lambda x, y: np.column_stack([x, y]), "m mn", np.column_stack),
    whole("dstack", lambda x, y: np.dstack([x, y]), "n 1n", np.dstack),
    whole("dsplit", lambda x: np.dsplit(x, [1])[1], "mn3", np.dsplit),
    whole("hsplit", lambda x: np.hsplit(x, 3)[1], "m3", np.hsplit),
    whole("vsplit", lambda x: np.vsplit(x, 3)[2], "3n", np.vsplit),
    *(
        [whole("unstack", lambda x: np.unstack(x, axis=1)[1], "m3", np.unstack)]
        if hasattr(np, "unstack")  # since NumPy 2.1
        else []
    ),
    whole("block", lambda x, y: np.block([[x, y], [y, x]]), "mn mn", np.block),
    whole("block", lambda x, y: np.block([x, 2.0, y]), "n m", keeps32=False),
    whole(
        "broadcast_arrays", lambda x, y: np.add(*np.broadcast_arrays(x, y)), "mn n",
        np.broadcast_arrays,
    ),
    whole(
        "meshgrid", lambda x, y: np.multiply(*np.meshgrid(x, y)), "m n", np.meshgrid
    ),
    whole(
        "meshgrid", lambda x, y: np.multiply(*np.meshgrid(x, y, indexing="ij", sparse=True)), "m n"
    ),
    whole("ix_", lambda x, y: np.multiply(*np.ix_(x, y)), "m n", np.ix_),
    whole("full_like", lambda x, y: np.full_like(x, y) * x, "mn n", np.full_like),
    whole(
        "linspace", lambda x, y: np.linspace(x, y, 4), "n n", np.linspace, exact=False
    ),
    whole("linspace", lambda x: np.linspace(x, 1.0, 3, endpoint=False, axis=-1), "n", exact=False),
    whole(
        "logspace", lambda x: np.logspace(x, 1.0, 3), "n", np.logspace, exact=False,
        twin=lambda x: 10 ** np.linspace(x, 1, 3),
    ),
    whole(
        "geomspace", lambda x: np.geomspace(x, 4.0, 3), "n", np.geomspace, exact=False,
        keeps32=False, domain=POSITIVE, twin=lambda x: np.exp(np.linspace(np.log(x), np.log(4), 3)),
    ),
    whole(
        "apply_along_axis", lambda x: np.apply_along_axis(lambda r: r * r[0], 0, x), "3n",
        np.apply_along_axis,
    ),
    whole(
        "apply_along_axis",
        lambda x: np.apply_along_axis(lambda r: r[:, None] * r[None, :], 1, x), "m3k",
    ),
    whole("rollaxis", lambda x: np.rollaxis(x, 2), "mnk", np.rollaxis),
    # frames
    *(
        whole("pad", lambda x, mode=mode: np.pad(x, ((1, 2), (0, 3)), mode), "23")
        for mode in ("edge", "reflect", "symmetric", "wrap")
    ),
    *(
        whole("pad", lambda x, mode=mode: np.pad(x, ((1, 2), (0, 3)), mode), "23", exact=False)
        for mode in ("mean", "linear_ramp")
    ),
    whole(
        "pad", lambda x: np.pad(x, 2, "linear_ramp", end_values=1.5), "23", exact=False
    ),
    whole("pad", lambda x: np.pad(x, 1, "mean", stat_length=2), "23", exact=False),
    # statistics
    whole(
        "median", lambda x: np.median(x, axis=1), distinct((2, 4)), np.median, twin=_median,
        exact=False,
    ),
    whole(
        "median", lambda x: np.median(x), distinct((3, 3)), exact=False,
        twin=lambda x: _median(x.ravel()),
    ),
    whole(
        "quantile", lambda x: np.quantile(x, 0.3, axis=0), distinct((4, 2)), np.quantile,
        twin=lambda x: _quantile(x, 0.3, 0), exact=False,
    ),
    whole(
        "quantile", lambda x: np.quantile(x, [0.1, 0.8], axis=1, keepdims=True), distinct((2, 4)),
        twin=lambda x: np.stack([_quantile(x, q) for q in (0.1, 0.8)])[..., None], exact=False,
        keeps32=False,
    ),
    whole(
        "percentile", lambda x: np.percentile(x, 40, method="lower"), distinct((2, 4)),
        np.percentile, twin=lambda x: ordered(x.ravel())[2], exact=False,
    ),
    whole(
        "ptp", lambda x: np.ptp(x, axis=1), distinct((2, 3)), np.ptp,
        twin=lambda x: ordered(x)[:, -1] - ordered(x)[:, 0],
    ),
    whole(
        "average", lambda x, w: np.average(x, weights=w), "mn mn", np.average, domain=POSITIVE,
        exact=False,
    ),
    whole(
        "average", lambda x, w: np.average(x, axis=1, weights=w), "mn n", domain=POSITIVE,
        exact=False,
    ),
    whole("average", lambda x: np.average(x, axis=0), "mn", exact=False),
    whole("cov", lambda x: np.cov(x), "24", np.cov, exact=False, keeps32=False,
          twin=lambda x: (x - x.mean(1, keepdims=True)) @ (x - x.mean(1, keepdims=True)).T / 3),
    whole("cov", lambda x, y: np.cov(x, y, rowvar=False, bias=True), "42 4", exact=False,
          keeps32=False,
          twin=lambda x, y: (lambda a: a @ a.T / 4)(
              (lambda z: z - z.mean(1, keepdims=True))(np.vstack([x.T, y])))),
    whole(
        "cov", lambda x, w: np.cov(x, aweights=w), "24 4", exact=False, domain=POSITIVE,
        keeps32=False, twin=_weighted_cov,
    ),
    whole(
        "corrcoef", lambda x: np.corrcoef(x), distinct((2, 4)), np.corrcoef, exact=False,
        keeps32=False, twin=_correlation,
    ),
    whole("nansum", lambda x: np.nansum(_nan(x), axis=1), "23", np.nansum, twin=_kept(np.sum)),
    whole("nanprod", lambda x: np.nanprod(_nan(x), axis=1), "23", np.nanprod,
          twin=_kept(np.prod, 1.0)),
    whole("nancumsum", lambda x: np.nancumsum(_nan(x), 1), "23", np.nancumsum,
          twin=_kept(np.cumsum)),
    whole("nancumprod", lambda x: np.nancumprod(_nan(x), 1), "23", np.nancumprod,
          twin=_kept(np.cumprod, 1.0)),
    whole("nanmean", lambda x: np.nanmean(_nan(x), axis=1), "23", np.nanmean, exact=False,
          twin=lambda x: np.where(MASK, x, 0).sum(1) / 2),
    whole("nanvar", lambda x: np.nanvar(_nan(x)), distinct((2, 3)), np.nanvar, exact=False,
          twin=_around),
    whole("nanstd", lambda x: np.nanstd(_nan(x)), distinct((2, 3)), np.nanstd, exact=False,
          twin=lambda x: np.sqrt(_around(x))),
    whole("nanmax", lambda x: np.nanmax(_nan(x), axis=1), distinct((2, 3)), np.nanmax,
          twin=lambda x: ordered(np.where(MASK, x, -9))[:, -1]),
    whole("nanmin", lambda x: np.nanmin(_nan(x), axis=1), distinct((2, 3)), np.nanmin,
          twin=lambda x: ordered(np.where(MASK, x, 9))[:, 0]),
    # calculus
    whole("diff", lambda x: np.diff(x), "m3", np.diff),
    whole("diff", lambda x: np.diff(x, 2, 0, prepend=1.0), "3n", keeps32=False),
    whole("ediff1d", lambda x: np.ediff1d(x, to_end=[1.0]), "m3", np.ediff1d),
    whole("trapezoid", lambda y: np.trapezoid(y, dx=0.5), "mn", np.trapezoid, exact=False),
    whole("trapezoid", lambda x, y: np.trapezoid(y, x, axis=0), _points(3, (3, 2)), exact=False),
    whole("gradient", lambda f: np.gradient(f), "5", np.gradient, exact=False),
    whole("gradient", lambda f: np.gradient(f, 0.5, axis=0, edge_order=2), "42", exact=False),
    whole(
        "gradient", lambda x, f: np.gradient(f, x, edge_order=2), _points(5, (5,)), exact=False,
        twin=lambda x, f: _gradient(x, f),
    ),
    whole("interp", np.interp, _curve, twin=_interp, exact=False, keeps32=False),
    *(
        whole("convolve", lambda x, y, m=m: np.convolve(x, y, m), s, np.convolve, exact=False)
        for m, s in (("full", "4 3"), ("same", "4 3"), ("valid", "2 5"), ("same", "2 5"))
    ),
    *(
        whole(
            "correlate", lambda x, y, m=m: np.correlate(x, y, m), s, np.correlate, exact=False,
            twin=lambda x, y, m=m: np.convolve(x, y[::-1], m) if len(x) >= len(y)
            else np.convolve(y[::-1], x, m)
            if m != "same" else np.convolve(x, y[::-1])[len(x) // 2 :][: len(y)],
        )
        for m, s in (
            ("full", "4 3"), ("same", "4 3"), ("valid", "2 5"), ("same", "2 5"), ("same", "3 5"),
            ("valid", "5 2"), ("same", "4 2"),
        )
    ),
    whole("polyval", np.polyval, "3 mn", exact=False),
    whole("vander", lambda x: np.vander(x, 4), "3", np.vander, exact=False, keeps32=False),
    whole("vander", lambda x: np.vander(x, 3, increasing=True), "3", exact=False, keeps32=False),
    whole(
        "polyfit", lambda x, y: np.polyfit(x, y, 2), _points(5, (5,)), np.polyfit, exact=False,
        keeps32=False,
        twin=lambda x, y: _polyfit(x, y, 2),
    ),
    whole("kron", np.kron, "mn kn", exact=False),
    whole("kron", np.kron, "m nk", exact=False),
    whole("cross", np.cross, "m3 m3", np.linalg.cross),
    whole("cross", lambda x, y: np.cross(x, y, axis=0), "3n 3n"),
]  # fmt: skip


def _gradient(x: Array, f: Array) -> Array:
    """Fit a parabola through each three points, and take its slope at the one that is asked for."""
    out = []
    for k in range(len(x)):
        i = min(max(k - 1, 0), len(x) - 3)
        a, b, c = x[i : i + 3]
        t = x[k]
        weights = [
            (2 * t - b - c) / ((a - b) * (a - c)),
            (2 * t - a - c) / ((b - a) * (b - c)),
            (2 * t - a - b) / ((c - a) * (c - b)),
        ]
        out.append(sum(w * v for w, v in zip(weights, f[i : i + 3], strict=True)))
    return np.array(out)
