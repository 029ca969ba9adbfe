"""Whether two results are the same: to the bit in all but rounding, and rounding is measured.

How far apart rounding may take two ways to compute the same depends on the function: so where two
results are not the same to a few digits, the function is run again with each value in it moved by
a rounding error, and only what lies far beyond that counts as a difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autonn.engine.tensor import Tensor, values_of

__all__ = ["disagreement", "leaves_of", "moved"]

Array = NDArray[Any]

ROUNDINGS = 64  # so many rounding errors, of each number, are never a difference
BEYOND = 50  # nor is what stays within so many times what rounding errors inside made of it


def leaves_of(tree: Any) -> list[Any]:
    """List what stands in lists, tuples and dicts."""
    if isinstance(tree, dict):
        return [leaf for key in tree for leaf in leaves_of(tree[key])]
    if isinstance(tree, list | tuple):
        return [leaf for branch in tree for leaf in leaves_of(branch)]
    return [tree]


def form_of(tree: Any) -> Any:
    """Describe the containers, with the keys of dicts in their order."""
    if isinstance(tree, dict):
        return dict, [(key, form_of(tree[key])) for key in tree]
    if isinstance(tree, list | tuple):
        return type(tree).__qualname__, [form_of(branch) for branch in tree]
    return "leaf"


def disagreement(got: Any, want: Any, others: Sequence[Any] = (), tolerance: float = 0.0) -> str:
    """Say in a word how two results differ, or nothing where they don't.

    `others` are what rounding errors inside the function made of the wanted result; `tolerance`
    is what numbers about 1 may be apart without a look at those.
    """
    if form_of(got) != form_of(want):
        return "form"
    rows = [leaves_of(other) for other in others if form_of(other) == form_of(want)]
    for k, (a, b) in enumerate(zip(leaves_of(got), leaves_of(want), strict=True)):
        word = _leaf_differs(a, b, [row[k] for row in rows], tolerance)
        if word:
            return word
    return ""


def _is_number(a: Any) -> bool:
    return isinstance(a, Tensor | np.ndarray | np.generic | bool | int | float | complex)


def _leaf_differs(got: Any, want: Any, others: Sequence[Any], tolerance: float) -> str:
    if isinstance(got, Tensor) and not isinstance(want, Tensor):
        return "kind of result"  # the other way round it is said: arrays give arrays
    if not (_is_number(got) and _is_number(want)):
        return "" if type(got) is type(want) and got == want else "kind of result"
    arrays = [np.asarray(values_of(a)) for a in (got, want, *others)]
    a, b = arrays[:2]
    if a.shape != b.shape:
        return "shape"
    if a.dtype != b.dtype:
        return "dtype"
    near = [c for c in arrays[2:] if c.shape == b.shape and c.dtype == b.dtype]
    if b.dtype.kind == "c":
        return _floats_differ(a.real, b.real, [c.real for c in near], 0.0) or _floats_differ(
            a.imag, b.imag, [c.imag for c in near], 0.0
        )
    if b.dtype.kind == "f":
        return _floats_differ(a, b, near, tolerance)
    steady = np.ones(b.shape, bool)
    for c in near:
        steady &= c == b
    return "value" if np.any((a != b) & steady) else ""


def _floats_differ(a: Array, b: Array, near: Sequence[Array], tolerance: float) -> str:
    """Compare places of NaN and of infinities, the signs of zeros, and then the numbers."""
    with np.errstate(all="ignore"):
        spread = np.zeros(b.shape)
        for c in near:
            apart = np.abs(c.astype(float) - b.astype(float))
            spread = np.maximum(spread, np.where(_same_kind(c, b), np.nan_to_num(apart), np.inf))
        still = spread < np.inf
        if np.any((np.isnan(a) != np.isnan(b)) & still):
            return "NaN"
        if np.any((np.isinf(a) != np.isinf(b)) & still & ~np.isnan(b)):
            return "infinity"
        zeros = (a == 0) & (b == 0) & (spread == 0)
        if not tolerance and np.any((np.signbit(a) != np.signbit(b)) & zeros):
            return "sign of zero"
        info = np.finfo(b.dtype)
        small = ROUNDINGS * float(info.smallest_subnormal)
        bound = ROUNDINGS * float(info.eps) * np.abs(b.astype(float)) + BEYOND * spread + small
        bound += tolerance * np.maximum(1, np.abs(b))
        wrong = ~(np.abs(a.astype(float) - b.astype(float)) <= bound) & (a != b) & still
        return "value" if np.any(wrong & ~np.isnan(b)) else ""


def _same_kind(c: Array, b: Array) -> Any:
    """Whether numbers are both finite, both not a number, or the same infinity."""
    alike = (np.isfinite(c) & np.isfinite(b)) | (np.isnan(c) & np.isnan(b)) | (c == b)
    return alike & ((c != 0) | (b != 0) | (np.signbit(c) == np.signbit(b)))


# ---- rounding errors, moved into a function


def moved(x: Any, run: int) -> Any:
    """Return x with each number moved by about a rounding error, equal numbers by the same.

    So that ties stay ties; in every other run also equal numbers are moved apart.
    """
    a = values_of(x)
    if not isinstance(a, np.ndarray | np.generic) or a.dtype.kind not in "fc":
        return x
    real = np.asarray(a.real if a.dtype.kind == "c" else a)
    eps = np.finfo(real.dtype).eps
    steps = _steps(real, run)
    if isinstance(x, Tensor) or a.dtype.kind == "c":
        return x * (1 + eps * steps).astype(real.dtype)
    tiny = np.abs(real) < np.finfo(real.dtype).tiny / eps
    apart = steps * np.finfo(real.dtype).smallest_subnormal
    scaled = real * (1 + eps * steps).astype(real.dtype)
    scaled = np.where(np.isnan(real), np.copysign(real, run % 2 - 0.5), scaled)  # it has no sign
    return np.where(tiny & (real != 0), real + apart, scaled).astype(real.dtype)[()]


def _steps(a: Array, run: int) -> Array:
    """Draw -1, 0 or 1 for each number: by its bits, or in every other run by its place."""
    width = np.dtype(f"u{a.dtype.itemsize}") if a.dtype.itemsize in (2, 4, 8) else None
    if width is None or run % 2:
        return np.random.default_rng(run).integers(-1, 2, a.shape)
    with np.errstate(over="ignore"):
        bits = np.abs(a).view(width).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        bits = (bits + np.uint64(run * 7919)) * np.uint64(0xBF58476D1CE4E5B9)
    return (bits >> np.uint64(40)).astype(int) % 3 - 1
