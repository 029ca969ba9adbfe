"""Where the boxes of a computation graph stand, found in plain numbers.

Layer by layer, the loss at the bottom: first the order within each layer, then the places.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from autonn.plots.graph_boxes import Box, Key

Arrows = dict[Key, list[Key]]
Measure = Mapping[Key, float]
_GAP = 14.0  # between boxes beside each other
_DROP = 24.0  # between layers, for the arrows
HEAD = 6.0  # of it for their heads, which come straight from above


@dataclass
class Layout:
    """Where the boxes and the bends of the arrows stand, in points, y downwards."""

    boxes: Mapping[Key, Box]
    above: Arrows  # what stands one layer above, an entry for each arrow
    x: Mapping[Key, float]  # of the middle
    y: list[tuple[float, float]]  # of each layer's begin and end, the loss's first

    def top(self, key: Key) -> float:
        """Return where a box begins, in the middle of its layer."""
        begin, end = self.y[self.boxes[key].rank]
        return (begin + end - self.boxes[key].height) / 2

    def bounds(self) -> tuple[float, float, float, float]:
        """Return left, right, top and bottom, with a margin."""
        halves = {key: box.width / 2 for key, box in self.boxes.items()}
        left = min(x - halves.get(key, 0) for key, x in self.x.items())
        right = max(x + halves.get(key, 0) for key, x in self.x.items())
        return left - _GAP, right + _GAP, self.y[-1][0] - _GAP, self.y[0][1] + _GAP


def lay_out(boxes: Mapping[Key, Box]) -> Layout:
    """Find a place for each box and each bend of an arrow."""
    layers, above = _layered(boxes)
    below = _below(above)
    _untangle(layers, above, below)
    return Layout(boxes, above, _across(layers, above, below, boxes), _down(layers, boxes))


def _layered(boxes: Mapping[Key, Box]) -> tuple[list[list[Key]], Arrows]:
    """Lay out the layers, the loss alone in the first, with a bend where an arrow passes a layer.

    Returned with them is what stands one layer above each box, an entry for each arrow, and above
    each bend.
    """
    above: Arrows = {key: [] for key in boxes}
    for key, box in boxes.items():
        for k, (source, _) in enumerate(box.sources):
            end = key
            for rank in range(box.rank + 1, boxes[source].rank):
                bend = ("bend", key, k, rank)
                above[end].append(bend)
                above[bend] = []
                end = bend
            above[end].append(source)
    layers = [[next(iter(boxes))]]
    while row := list(dict.fromkeys(source for key in layers[-1] for source in above[key])):
        layers.append(row)
    return layers, above


def _below(above: Arrows) -> Arrows:
    below: Arrows = {key: [] for key in above}
    for key, sources in above.items():
        for source in sources:
            below[source].append(key)
    return below


def _untangle(layers: list[list[Key]], above: Arrows, below: Arrows) -> None:
    """Sort each layer by the mean place of its neighbours, and keep the order with least crossings.

    The barycentre method of Sugiyama, Tagawa and Toda, "Methods for visual understanding of
    hierarchical system structures" (1981).
    """
    best, fewest = [list(layer) for layer in layers], _crossings(layers, above)
    for neighbours, way in _sweeps(12, layers, above, below):
        for fixed, free in itertools.pairwise(way):
            _sort_layer(free, fixed, neighbours)
        crossings = _crossings(layers, above)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    layers[:] = best


def _sweeps(
    count: int, layers: list[list[Key]], above: Arrows, below: Arrows
) -> Iterator[tuple[Arrows, list[list[Key]]]]:
    """Go up from the loss and down to it, so many ways, each with the neighbours one comes from."""
    for k in range(count):
        yield (above, layers[::-1]) if k % 2 else (below, layers)


def _sort_layer(free: list[Key], fixed: list[Key], neighbours: Arrows) -> None:
    place = {key: k for k, key in enumerate(fixed)}
    own = {key: k * len(fixed) / len(free) for k, key in enumerate(free)}
    equal = dict.fromkeys(fixed, 1.0)
    mean = {key: _mean(neighbours[key], place, equal, own[key]) for key in free}
    free.sort(key=mean.__getitem__)


def _crossings(layers: list[list[Key]], above: Arrows) -> int:
    """Count the pairs of arrows that cross each other between two layers."""
    total = 0
    for lower, upper in itertools.pairwise(layers):
        place = {key: k for k, key in enumerate(upper)}
        ends = [(k, place[source]) for k, key in enumerate(lower) for source in above[key]]
        total += sum((a - c) * (b - d) < 0 for (a, b), (c, d) in itertools.combinations(ends, 2))
    return total


def _across(
    layers: list[list[Key]], above: Arrows, below: Arrows, boxes: Mapping[Key, Box]
) -> dict[Key, float]:
    """Place each box and bend as near to the mean of its neighbours as the others allow.

    Leaves and constants weigh little and give way, so that the ops of a deep network stay in line.
    """
    widths = {key: boxes[key].width if key in boxes else 0.0 for key in above}
    weights = {key: 100.0 if above[key] else 1.0 for key in above}
    x: dict[Key, float] = dict.fromkeys(above, 0.0)
    # The last way is up from the loss: what serves one box only ends straight above it.
    for neighbours, way in _sweeps(21, layers, above, below):
        for layer in way:
            wishes = [_mean(neighbours[key], x, weights, x[key]) for key in layer]
            x |= zip(layer, _spread(layer, wishes, widths, weights), strict=True)
    return x


def _mean(keys: list[Key], values: Measure, weights: Measure, default: float) -> float:
    if not keys:
        return default
    return sum(weights[key] * values[key] for key in keys) / sum(weights[key] for key in keys)


def _spread(
    layer: list[Key], wishes: Sequence[float], widths: Measure, weights: Measure
) -> list[float]:
    """Move boxes as little as possible (least squares), until none overlaps the next.

    Without their own widths their places must not decrease: that is isotonic regression.
    """
    from scipy.optimize import isotonic_regression

    room = np.array([widths[key] for key in layer]) + _GAP
    packed = np.cumsum(room) - room / 2
    heavy = [weights[key] for key in layer]
    return list(isotonic_regression(np.array(wishes) - packed, weights=heavy).x + packed)


def _down(layers: list[list[Key]], boxes: Mapping[Key, Box]) -> list[tuple[float, float]]:
    """Return where each layer begins and ends, counted downwards from the last."""
    heights = [max(boxes[key].height for key in layer if key in boxes) for layer in layers]
    ends = np.cumsum([height + _DROP for height in heights[::-1]])[::-1]
    return [(end - _DROP - height, end - _DROP) for end, height in zip(ends, heights, strict=True)]
