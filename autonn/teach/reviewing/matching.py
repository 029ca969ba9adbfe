"""Which of the derived values a line computed: the same numbers, up to a factor and their order.

A value is known by what neither a transposition, a sign nor a factor changes: how many numbers
there are and how their sizes are spread. What looks alike is then compared number by number.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from autonn.engine.tensor import Array
from autonn.teach.reviewing.judging import Judgement

__all__ = ["Entry", "Match", "Pool"]

_MOST_ENTRIES = 6000


@dataclass
class Entry:
    """One derived value: its numbers, what it is called, and of which kind it is."""

    value: Array
    label: str
    kind: str  # "value", "slope", "sent", "local", "gradient"


@dataclass
class Match:
    """A value found to be a factor times a derived one."""

    entry: Entry
    factor: float
    transposed: bool = False


class Pool:
    """The derived values, looked up by their numbers."""

    def __init__(self, judgement: Judgement, examples: int | None) -> None:
        self.examples = examples
        self.names = _names(judgement)
        self.entries: list[Entry] = []
        self._by_size: dict[int, tuple[list[Entry], Array]] = {}
        self._prints: list[tuple[int, float, float]] = []
        self._fill(judgement)
        self._index()

    def _fill(self, judgement: Judgement) -> None:
        """Take in the right gradients, values, slopes and what each call sends back."""
        for name, right in zip(judgement.names, judgement.rights, strict=True):
            self._add(right, f"dJ/d{name}", "gradient")
        derived = judgement.derivation
        for k, (node, slope) in enumerate(zip(derived.nodes, derived.slopes, strict=True)):
            name = self.names.get(id(node), "")
            self._add(node.value, name or "a value of the forward pass", "value")
            self._add(np.asarray(slope), f"dJ/d{name}" if name else "a slope of J", "slope")
            for user, sent in derived.sent.get(k, []):
                via = self.names.get(id(derived.nodes[user]), "")
                what = f"the part of dJ/d{name or '...'} that comes through {via or 'one term'}"
                if len(derived.sent[k]) > 1:
                    self._add(sent, what, "sent")
            if len(self.entries) > _MOST_ENTRIES:
                break
        self._add_local(judgement)

    def _add_local(self, judgement: Judgement) -> None:
        """Take in the slopes of activations: what dJ/dz is beside dJ/da, number by number."""
        derived = judgement.derivation
        slopes = [np.asarray(slope) for slope in derived.slopes[:400]]
        for before, below in enumerate(slopes):
            for after in range(before + 1, min(before + 9, len(slopes))):
                above = slopes[after]
                if below.shape != above.shape or below.size < 2 or not above.all():
                    continue
                local = below / above
                if np.all(np.abs(local) < 1e6) and not np.allclose(local, local.flat[0]):
                    a, z = (self.names.get(id(derived.nodes[k]), "") for k in (after, before))
                    label = f"d{a}/d{z}" if a and z else "the slope of an activation"
                    self._add(local, label, "local")

    def _add(self, value: Array, label: str, kind: str) -> None:
        """Take in one value, and its parts: without the bias, one example of the batch."""
        value = np.asarray(value, dtype=float)
        self.entries.append(Entry(value, label, kind))
        if value.ndim == 2:
            self.entries.append(Entry(value[:, 1:], f"{label} without its first column", kind))
            self.entries.append(Entry(value[1:], f"{label} without its first row", kind))
            if kind == "value":
                ones = np.ones((len(value), 1))
                self.entries.append(
                    Entry(np.hstack([ones, value]), f"{label} with a column of 1", kind)
                )
                row = np.ones((1, value.shape[1]))
                self.entries.append(
                    Entry(np.vstack([row, value]), f"{label} with a row of 1", kind)
                )
        elif value.ndim == 1 and value.size > 1:
            self.entries.append(Entry(value[1:], f"{label} without its first entry", kind))
            if kind == "value":
                self.entries.append(
                    Entry(np.append(1.0, value), f"{label} with a 1 in front", kind)
                )
        m = self.examples
        if m is not None and value.ndim >= 1 and m <= 20:
            for axis in {0, value.ndim - 1}:
                if value.shape[axis] == m:
                    for i in range(m):
                        part = np.take(value, i, axis)
                        self.entries.append(Entry(part, f"{label}, example {i}", kind))

    def _index(self) -> None:
        """Sort the entries by size, with what they are known by."""
        groups: dict[int, list[tuple[Entry, tuple[float, float]]]] = {}
        for entry in self.entries:
            known = _known_by(entry.value)
            if known is not None:
                groups.setdefault(entry.value.size, []).append((entry, known))
        self._by_size = {
            size: ([e for e, _ in pairs], np.array([p for _, p in pairs]))
            for size, pairs in groups.items()
        }

    def find(self, value: Array) -> Match | None:
        """Find the derived value that a value is, up to a factor and a transposition."""
        known = _known_by(value)
        if known is None or value.size not in self._by_size:
            return None
        entries, prints = self._by_size[value.size]
        alike = np.flatnonzero(np.all(np.abs(prints - known) <= 1e-7 * (1 + prints), axis=1))
        best: Match | None = None
        for k in alike:
            match = _compared(value, entries[k])
            if match is None or (value.size == 1 and match.factor != 1):
                continue
            if best is None or _rank(match) < _rank(best):
                best = match
        return best

    def of_shape(self, shape: tuple[int, ...]) -> Iterable[Entry]:
        """Yield the derived values of a shape, gradients and slopes first."""
        found = [e for e in self.entries if e.value.shape == shape and e.kind != "value"]
        order = {"gradient": 0, "slope": 1, "sent": 2, "local": 3}
        yield from sorted(found, key=lambda e: order[e.kind])


def _rank(match: Match) -> tuple[bool, bool, bool, int, int]:
    """Say how good a match is: the same numbers before a multiple, gradients before parts."""
    order = {"gradient": 0, "value": 1, "slope": 2, "sent": 3, "local": 4}
    exact = abs(match.factor - 1) < 1e-9
    return (
        match.entry.kind == "local",
        not exact,
        match.transposed,
        order[match.entry.kind],
        len(match.entry.label),
    )


def _known_by(value: Array) -> tuple[float, float] | None:
    """Return two numbers that a transposition and a factor leave as they are."""
    flat = np.abs(np.asarray(value, dtype=float)).ravel()
    square = float(np.sqrt(np.sum(flat * flat)))
    if not np.isfinite(square) or square == 0:
        return None
    flat = flat / square
    return float(flat.sum()), float((flat**3).sum())


def _compared(value: Array, entry: Entry) -> Match | None:
    """Compare number by number, in the same order or transposed."""
    mine = value.ravel()
    for transposed in (False, True):
        other = (entry.value.T if transposed else entry.value).ravel()
        factor = float(mine @ other / (other @ other))
        if np.allclose(mine, factor * other, rtol=1e-6, atol=1e-9 * float(np.abs(mine).max())):
            near = round(factor) if abs(factor - round(factor)) < 1e-9 else factor
            return Match(entry, float(near), transposed)
    return None


def _names(judgement: Judgement) -> dict[int, str]:
    """Name the values of the forward pass as the learner does: by what they are assigned to."""
    names: dict[int, str] = {id(node): name for name, node in judgement.leaves}
    inside = {id(node) for node in judgement.derivation.nodes}
    for event in judgement.events:
        for node in event.nodes:
            if id(node) in inside and len(event.nodes) == 1:
                target = event.line.target
                if target != "the returned value":
                    names.setdefault(id(node), target)
    return names
