"""What a wrong value is beside the right one, for lines that no small change mends."""

from __future__ import annotations

import numpy as np

from autonn.engine.tensor import Array
from autonn.teach.reviewing.atoms import Atom
from autonn.teach.reviewing.matching import Pool

__all__ = ["told_apart"]


def told_apart(target: str, wrong: Array, right: Array, pool: Pool, atoms: list[Atom]) -> str:
    """Say how a wrong value differs from the right one: a factor, a slope, a term, an order."""
    if wrong.shape != right.shape:
        return f"`{target}` has the shape {wrong.shape}, and should have {right.shape}"
    with np.errstate(all="ignore"):
        ratio = right / wrong
    told = _factor_or_order(target, wrong, right, ratio)
    if told is not None:
        return told
    finite, difference = np.isfinite(ratio), right - wrong
    for atom in atoms:
        value = np.asarray(atom.value, float)
        if value.shape == right.shape and _is_multiple(difference, value):
            return f"a term is missing from `{target}`: a multiple of `{atom.text}`"
        if value.shape == right.shape and finite.all() and np.allclose(ratio, value):
            return f"the factor `{atom.text}` is missing from `{target}`"
    found = pool.find(difference)
    if found is not None:
        return f"a term is missing from `{target}`: {found.factor:.4g} * {found.entry.label}"
    if finite.all():
        local = pool.find(ratio)
        if local is not None and local.entry.kind == "local":
            return f"the slope of the activation is missing from `{target}`: {local.entry.label}"
    few = np.abs(difference) > 1e-9 * np.abs(right).max(initial=1e-300)
    if few.mean() < 0.6:
        return (
            f"a step is missing after `{target}` is set, or is done elsewhere: {int(few.sum())} of "
            f"its {few.size} numbers are not those of the slope of J"
        )
    return f"`{target}` is not the slope of J that is needed here"


def _factor_or_order(target: str, wrong: Array, right: Array, ratio: Array) -> str | None:
    """Say it where the numbers are right but for one factor, or stand in other places."""
    known = ratio[np.isfinite(ratio)]
    if known.size > 1 and np.allclose(known, known[0]):
        return f"`{target}` has to be multiplied by {known[0]:.6g}"
    if right.ndim == 2 and right.shape[0] == right.shape[1] and np.allclose(wrong.T, right):
        return f"`{target}` is transposed"
    if np.allclose(np.sort(wrong, axis=None), np.sort(right, axis=None)):
        return f"`{target}` has the right numbers in the wrong places: a transposition or order"
    return None


def _is_multiple(a: Array, b: Array) -> bool:
    """Whether one is a number times the other."""
    size = float(np.sum(b * b))
    if size == 0:
        return False
    factor = float(np.sum(a * b)) / size
    scale = float(np.abs(a).max(initial=0))
    return scale > 0 and bool(np.allclose(a, factor * b, rtol=1e-6, atol=1e-8 * scale))
