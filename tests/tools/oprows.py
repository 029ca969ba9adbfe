"""A row of the table of ops: how an op is called, on what, and what it must equal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Function = Callable[..., Any]
Random = np.random.Generator

# ---- where arguments are drawn from

EPS, TINY, SUBNORMAL = 2.0**-52, float(np.finfo(float).tiny), 5e-324
POINTS = (0.0, 1.0, EPS, TINY, SUBNORMAL, 0.5, 1e8)
SPECIAL = (*POINTS, *(-p for p in POINTS))


@dataclass(frozen=True)
class Domain:
    """A range to draw from evenly, and the points, out of the special ones, to draw often."""

    low: float
    high: float
    points: tuple[float, ...]

    def draw(self, rng: Random, shape: tuple[int, ...], tame: bool = False) -> Array:
        """Draw with two special points out of five; `tame` ones lie within the range."""
        x = rng.uniform(self.low, self.high, shape)
        points = self.tame_points if tame else np.array(self.points)
        if not points.size:
            return np.asarray(x)
        return np.where(rng.random(shape) < 0.4, points[rng.integers(points.size, size=shape)], x)

    @cached_property
    def tame_points(self) -> Array:
        return np.array([p for p in self.points if self.low <= p <= self.high])


def between(
    low: float, high: float, least: float = -1e8, most: float = 1e8, small: float = 0.0
) -> Domain:
    """Make a domain with the special points from `least` to `most`, none closer to 0 than small."""
    points = (p for p in (*SPECIAL, 1e-150) if least <= p <= most and abs(p) >= small)
    return Domain(low, high, tuple(points))


REAL = between(-3, 3)
SMALL = between(-2, 2, -1, 1)
EXPONENT = between(-3, 3, -1e8, 1)
POSITIVE = between(0.2, 3, 1e-150, 1e8, small=1e-150)
AWAY = between(0.3, 3, -1e8, 1e8, small=EPS)  # not zero
INSIDE = between(-0.9, 0.9, -0.5, 0.5)
ZERO_OR_NOT = Domain(-3, 3, (0.0, -0.0, *between(0, 0, small=EPS).points))  # nothing tiny
NONZERO = between(0.3, 2, -1, 1, small=0.5)


# ---- the rows


def middle(left: Array, right: Array) -> Array:
    return np.asarray((left + right) / 2)


def lower(left: Array, right: Array) -> Array:
    return np.minimum(left, right)


def upper(left: Array, right: Array) -> Array:
    return np.maximum(left, right)


def from_left(left: Array, right: Array) -> Array:
    return left


@dataclass(frozen=True)
class Row:
    """How to call an op, how to draw its arguments, and what it must equal."""

    name: str  # of the op in OPS, or of the NumPy function for one that is made of others
    f: Function  # as users call it; on plain arrays it is NumPy's own function, unless `value` is
    draw: Callable[[Random, bool], tuple[Array, ...]]
    value: Function  # a formula in plain NumPy whose bits the result must have
    twin: Function
    functions: tuple[Any, ...] = ()  # the NumPy functions that the row stands for
    arity: int = 0  # the number of arguments of an element-wise op, 0 for the others
    domains: tuple[Domain, ...] = ()
    distance: Function | None = None  # how far the arguments are from the kink
    convention: tuple[Callable[[Array, Array], Array], ...] = ()  # for each argument, at the kink
    jumps: bool = False
    keeps32: bool = True
    compiles: bool = True  # False where its shapes depend on values
    exact: bool = True  # False where the value may differ from NumPy's by rounding

    @property
    def complex_safe(self) -> bool:
        """Whether NumPy's own function is analytic as written."""
        return self.twin is self.value


def broadcastable(rng: Random, count: int) -> list[tuple[int, ...]]:
    """Draw shapes that broadcast: sides of 1 and missing axes."""
    base = [int(n) for n in rng.integers(1, 4, rng.integers(0, 3))]
    cuts = rng.integers(0, len(base) + 1, count) * (rng.random(count) < 0.4)
    return [tuple(1 if rng.random() < 0.15 else n for n in base[cut:]) for cut in cuts]


def _elementwise(domains: tuple[Domain, ...]) -> Callable[[Random, bool], tuple[Array, ...]]:
    def draw(rng: Random, tame: bool = False) -> tuple[Array, ...]:
        shapes = broadcastable(rng, len(domains))
        args = [d.draw(rng, s, tame) for d, s in zip(domains, shapes, strict=True)]
        for k in range(1, len(args)):  # some elements equal those of another operand
            if domains[k] == domains[0] and args[k].shape == args[0].shape:
                args[k] = np.where(rng.random(args[k].shape) < 0.2, args[0], args[k])
        return tuple(args)

    return draw


def each(
    name: str,
    f: Function,
    *domains: Domain,
    value: Function | None = None,
    twin: Function | None = None,
    also: tuple[Any, ...] = (),
    **more: Any,
) -> Row:
    """Make the row of an element-wise op."""
    value = value or f
    row = Row(
        name, f, _elementwise(domains), value, twin or value, (f, *also), len(domains), domains
    )
    return Row(**{**vars(row), **more})


def sized(shapes: str, domain: Domain) -> Callable[[Random, bool], tuple[Array, ...]]:
    """Draw one array for each word: a letter is a length from 1 to 3, a digit that length."""

    def draw(rng: Random, tame: bool = False) -> tuple[Array, ...]:
        lengths = {c: int(rng.integers(1, 4)) for c in sorted(set(shapes)) if c.isalpha()}
        lengths |= {c: int(c) for c in shapes if c.isdigit()}
        words = [word.strip(".") for word in shapes.split()]  # a lone dot is a number
        return tuple(domain.draw(rng, tuple(lengths[c] for c in word), tame) for word in words)

    return draw


def distinct(shape: tuple[int, ...], shuffled: bool = True) -> Callable[..., tuple[Array, ...]]:
    """Draw one array of numbers no two of which, nor their sizes, are close.

    Unless shuffled, the sizes grow, so that no two sums of rows or columns are close either.
    """

    def draw(rng: Random, tame: bool = False) -> tuple[Array, ...]:
        size = int(np.prod(shape))
        x = 0.2 + 0.2 * np.arange(size) + rng.uniform(0, 0.1, size)
        x *= rng.choice([-1, 1], size)
        return ((rng.permutation(x) if shuffled else x).reshape(shape),)

    return draw


def whole(
    name: str,
    f: Function,
    shapes: str | Callable[..., tuple[Array, ...]],
    functions: Any = (),
    *,
    value: Function | None = None,
    twin: Function | None = None,
    domain: Domain = SMALL,
    **more: Any,
) -> Row:
    """Make the row of an op that mixes elements."""
    value = value or f
    draw = sized(shapes, domain) if isinstance(shapes, str) else shapes
    found = functions if isinstance(functions, tuple) else (functions,)
    return Row(name, f, draw, value, twin or value, (f, *found), **more)


def dual(f: Function, *slopes: Function) -> Function:
    """Make a twin of a function that is not for complex numbers, from a slope for each argument.

    The slopes are another statement of the derivative than the rule's; that they are right the
    central differences of the public checker tell.
    """

    def twin(*xs: Array) -> Array:
        real = [np.real(x) for x in xs]
        tilted = sum(np.imag(x) * d(*real) for x, d in zip(xs, slopes, strict=True))
        return np.asarray(f(*real) + 1j * tilted)

    return twin
