"""Loops over arrays that lie in memory with strides, as text in JavaScript.

A value is a typed array with a shape, strides and an offset: so a transpose, a slice and what is
broadcast cost nothing, and only the loops that read them look at other places.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

__all__ = ["View", "block", "contiguous", "loop_of", "loops", "over"]

_LETTERS = "ijklpqruvw"


@dataclass(frozen=True)
class View:
    """Where the numbers of a value lie: in the array `name`, or in a variable if it has no array.

    `strides` and `offset` are counted in numbers, not in bytes.
    """

    name: str
    shape: tuple[int, ...]
    strides: tuple[int, ...] = ()
    offset: int = 0
    is_number: bool = False

    def at(self, *index: str) -> str:
        """Write the element at an index, which is texts."""
        if self.is_number:
            return self.name
        parts = [_times(i, s) for i, s in zip(index, self.strides, strict=True) if s]
        place = " + ".join(p for p in parts if p != "0")
        if self.offset or not place:
            place = f"{place} + {self.offset}" if place else str(self.offset)
        return f"{self.name}[{place}]"

    def broadcast(self, shape: tuple[int, ...]) -> View:
        """Stretch it to a shape, as NumPy does."""
        if self.is_number:
            return replace(self, shape=shape, strides=(0,) * len(shape))
        lead = len(shape) - len(self.shape)
        pairs = zip(self.shape, self.strides, strict=True)
        strides = [0] * lead + [0 if n == 1 else s for n, s in pairs]
        return replace(self, shape=shape, strides=tuple(strides))

    def transposed(self, axes: Sequence[int]) -> View:
        """Put the axes into another order."""
        return replace(
            self,
            shape=tuple(self.shape[a] for a in axes),
            strides=tuple(self.strides[a] for a in axes),
        )

    def laid_out(self, shape: Sequence[int]) -> View:
        """Take the numbers, which lie one behind another, in another shape."""
        return replace(self, shape=tuple(shape), strides=contiguous(shape))

    @property
    def is_whole(self) -> bool:
        """Whether its numbers lie one behind another."""
        return self.is_number or self.strides == contiguous(self.shape)

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return math.prod(self.shape)


def _times(index: str, stride: int) -> str:
    if index == "0":
        return "0"
    text = f"({index})" if any(c in index for c in " +-") and stride != 1 else index
    return text if stride == 1 else f"{stride} * {text}"


def contiguous(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the strides of an array whose numbers lie one behind another.

    >>> contiguous((2, 3, 4))
    (12, 4, 1)
    """
    return tuple(math.prod(shape[k + 1 :]) for k in range(len(shape)))


def block(lines: Iterable[str]) -> list[str]:
    """Put lines between braces, so that their names are their own."""
    return ["{", *(f"  {line}" for line in lines), "}"]


def loop_of(letter: str, n: int, body: Sequence[str], step: int = 1) -> list[str]:
    """Write a loop around lines: of one line in one."""
    more = f"{letter}++" if step == 1 else f"{letter} += {step}"
    head = f"for (let {letter} = 0; {letter} < {n}; {more})"
    if len(body) == 1:
        return [f"{head} {body[0]}"]
    return [f"{head} {{", *(f"  {line}" for line in body), "}"]


def over(
    lengths: Sequence[int],
    body: Callable[[list[str]], Iterable[str]],
    first: int = 0,
    step: int = 1,
) -> list[str]:
    """Write loops around a body, which is told the indices; of a length of 1 there is no loop.

    The last index is counted in steps of `step`, which divides its length.
    """
    index, heads = [], []
    depth = 0
    for k, n in enumerate(lengths):
        stride = step if k == len(lengths) - 1 else 1
        if n == stride:
            index.append("0")
            continue
        letter = _LETTERS[(first + depth) % len(_LETTERS)]
        letter *= 1 + (first + depth) // len(_LETTERS)
        index.append(letter)
        more = f"{letter}++" if stride == 1 else f"{letter} += {stride}"
        heads.append(f"for (let {letter} = 0; {letter} < {n}; {more}) {{")
        depth += 1
    lines = [f"{'  ' * k}{head}" for k, head in enumerate(heads)]
    lines += [f"{'  ' * depth}{line}" for line in body(index)]
    return lines + [f"{'  ' * k}}}" for k in reversed(range(depth))]


def loops(
    shape: Sequence[int], views: Sequence[View], body: Callable[[list[str]], Iterable[str]]
) -> list[str]:
    """Write loops over all elements of views of one shape; the body is told those, as texts.

    Axes along which all of them lie one behind another are taken as one. What stays the same in
    the innermost loop is read before it, which the engine can't do by itself: it does not know
    that nothing is written there. The first of the views is left alone, as what is written to.
    """
    lengths, flat = _merged(shape, views)
    kept = {
        k: f"c{k}"
        for k, v in enumerate(flat)
        if k and lengths and not v.is_number and v.strides[-1] == 0
    }
    if not kept:
        return over(lengths, lambda index: body([v.at(*index) for v in flat]))

    def row(index: list[str]) -> list[str]:
        """Write what is read before, and the innermost loop."""
        held = [f"const {name} = {flat[k].at(*index, '0')};" for k, name in kept.items()]

        def element(last: list[str]) -> Iterable[str]:
            return body([kept.get(k) or v.at(*index, *last) for k, v in enumerate(flat)])

        return [*held, *over(lengths[-1:], element, len(index))]

    lines = over(lengths[:-1], row)
    return lines if len(lengths) > 1 else block(lines)


def _merged(shape: Sequence[int], views: Sequence[View]) -> tuple[list[int], list[View]]:
    """Take axes as one along which all views lie one behind another, and leave out those of 1."""
    lengths = [n for n in shape if n != 1]
    strides = [
        [s for n, s in zip(shape, v.strides, strict=True) if n != 1] if not v.is_number else None
        for v in views
    ]
    axis = len(lengths) - 2
    while axis >= 0:
        n = lengths[axis + 1]
        if all(s is None or s[axis] == s[axis + 1] * n for s in strides):
            lengths[axis : axis + 2] = [lengths[axis] * n]
            for s in strides:
                if s is not None:
                    s[axis : axis + 2] = [s[axis + 1]]
        axis -= 1
    return lengths, [
        v if s is None else replace(v, shape=tuple(lengths), strides=tuple(s))
        for v, s in zip(views, strides, strict=True)
    ]
