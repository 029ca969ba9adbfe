"""Arrays as expressions: a drawn program is printed, and must then be the same to the bit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["DTYPES", "SCOPE", "Palette", "array_text", "draw_array", "number_text", "read_only"]

Array = NDArray[Any]
Random = np.random.Generator

# How often each dtype is drawn: most programs are of floats, and each other kind has its turn.
DTYPES = {
    "f8": 40, "f4": 20, "f2": 5, "i8": 8, "i4": 4, "i2": 1, "i1": 4, "u1": 4, "u8": 1, "?": 8,
    "c16": 4, "c8": 1,
}  # fmt: skip
FLOATS = {"f8": 70, "f4": 30}


def read_only(a: Array) -> Array:
    """Return a copy that nobody may write to."""
    a = a.copy()
    a.flags.writeable = False
    return a


# What the expressions of arrays are evaluated in.
SCOPE: dict[str, Any] = {"np": np, "nan": math.nan, "inf": math.inf, "read_only": read_only}


@dataclass(frozen=True)
class Palette:
    """What a program draws its arrays from: lengths of axes, dtypes, and how wild the numbers."""

    lengths: tuple[int, ...]
    dtypes: dict[str, int]
    wild: float  # the share of special points
    extreme: bool  # whether these may be infinite, not a number, or the largest there is

    @classmethod
    def draw(cls, rng: Random, floats: bool = False) -> Palette:
        """Draw one; a quarter of all programs has no special points, a third the extreme ones."""
        least = 0 if rng.random() < 0.12 else 1
        lengths = tuple(int(n) for n in rng.integers(least, 5, 3))
        dtypes = FLOATS if floats or rng.random() < 0.4 else DTYPES
        if rng.random() < 0.3:
            dtypes = {choice(rng, dtypes): 1}
        wild = float(rng.choice([0.0, 0.4, 0.4, 0.9]))
        return cls(lengths, dtypes, wild, wild > 0 and rng.random() < 0.4)

    def shape(self, rng: Random) -> tuple[int, ...]:
        """Draw a shape that stretches to the palette's lengths: axes left out, axes of one."""
        rank = int(rng.integers(0, len(self.lengths) + 1))
        ends = self.lengths[len(self.lengths) - rank :]
        return tuple(1 if rng.random() < 0.1 else n for n in ends)


def choice(rng: Random, weights: dict[str, int]) -> str:
    """Draw a key by its weight."""
    total = np.cumsum(list(weights.values()))
    return list(weights)[int(np.searchsorted(total, rng.random() * total[-1], side="right"))]


def _points(dtype: np.dtype[Any], extreme: bool) -> list[Any]:
    """List the special points of a dtype."""
    if dtype.kind == "b":
        return [False, True]
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return [0, 1, 2, *([info.max, info.min, info.max - 1] if extreme else [])]
    real = np.finfo(dtype)
    calm = [0.0, -0.0, 1.0, -1.0, 0.5, float(real.eps)]
    bounds = [float(real.tiny), float(real.smallest_subnormal), float(real.max)]
    return [*calm, *bounds, math.inf, -math.inf, math.nan] if extreme else calm


def _plain(rng: Random, dtype: np.dtype[Any], size: int) -> Array:
    if dtype.kind == "b":
        return np.asarray(rng.random(size) < 0.5)
    if dtype.kind in "iu":
        return np.asarray(rng.integers(0 if dtype.kind == "u" else -4, 6, size))
    return np.round(rng.uniform(-2, 2, size), 2)


def draw_numbers(rng: Random, dtype: str, shape: tuple[int, ...], palette: Palette) -> Array:
    """Draw the numbers of an array."""
    kind, size = np.dtype(dtype), math.prod(shape)
    if kind.kind == "c":
        parts = [draw_numbers(rng, "f4", shape, palette) for _ in range(2)]
        made = np.empty(shape, kind)  # not by a sum, which would lose the sign of a zero
        made.real, made.imag = parts
        return made
    values = _plain(rng, kind, size).astype(kind)
    points = np.array(_points(kind, palette.extreme), kind)
    special = points[rng.integers(len(points), size=size)]
    return np.where(rng.random(size) < palette.wild, special, values).astype(kind).reshape(shape)


def number_text(value: Any) -> str:
    """Write a number so that its bits can be read again, the sign of a zero in them."""
    if isinstance(value, complex):
        return f"complex({value.real!r}, {value.imag!r})"
    return repr(value)


def _nested(values: Any) -> str:
    if isinstance(values, list):
        return f"[{', '.join(map(_nested, values))}]"
    return number_text(values)


def array_text(a: Array) -> str:
    """Write an array: of no elements by its shape, all else by its numbers."""
    name = a.dtype.str.lstrip("<|=").replace("b1", "?")
    if not a.size:
        return f"np.zeros({a.shape}, {name!r})"
    return f"np.array({_nested(a.tolist())}, {name!r})"


def draw_array(
    rng: Random, palette: Palette, dtype: str | None = None, shape: tuple[int, ...] | None = None
) -> str:
    """Draw an array, one of four in an odd layout, as an expression."""
    dtype = dtype or choice(rng, palette.dtypes)
    shape = palette.shape(rng) if shape is None else shape
    odd = rng.random() < 0.3
    return _laid_out(rng, draw_numbers(rng, dtype, shape, palette), odd)


def _laid_out(rng: Random, a: Array, odd: bool) -> str:
    if not odd:
        return array_text(a)
    ways = ["read_only({})"]
    if a.ndim:
        ways += ["np.array({})[::-1]", "np.repeat({}, 2, 0)[::2]", "np.repeat({}, 2, -1)[..., ::2]"]
    if a.ndim > 1:
        ways += ["np.asfortranarray({})", "{}[..., ::-1]"]
        way = f"np.broadcast_to({array_text(a[:1])}, {a.shape})"
        ways += [way] if a.size else []
    way = ways[int(rng.integers(len(ways)))]
    return way.format(array_text(a)) if "{}" in way else way
