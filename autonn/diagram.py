"""The computation graph of a loss as a diagram: what its boxes say, where they stand, the drawing.

The boxes and their arrows are read off the graph (`_boxes`), their places are found in plain
numbers (`_laid_out`), and only then is anything drawn.
"""

from __future__ import annotations

import inspect
import itertools
import math
import textwrap
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy import ndarray

from autonn.engine.lineage import (
    age_of,
    ancestors,
    attributes_of,
    is_freed,
    op_of,
    operands_of,
    saved_values,
)
from autonn.engine.op import Op
from autonn.engine.tensor import Array, Tensor, values_of
from autonn.engine.transforms import gradients
from autonn.nn.module import Module

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Two of Okabe and Ito's colours, which differ for every kind of colour vision. In grey print they
# are close: dashes, markers, frames and words always say the same.
_BLUE = "#0072B2"
_VERMILION = "#D55E00"


def computation_graph(
    loss: Tensor,
    names: Module | Mapping[str, object] | None = None,
    *,
    limit: int = 40,
    ax: Axes | None = None,
) -> Axes:
    """Draw how a loss was computed: a box for each value, arrows from what it was computed from.

    The box of an op holds its name, its formula, the value z and the gradient dloss/dz; where
    several arrows arrive, each has its letter of the formula. Up to four elements are written out,
    of more the shape and the norm. Leaves are blue with square corners, constants grey and dashed;
    the loss is at the bottom. Nothing is changed: no ``.grad`` is written, the graph stays whole.

    Parameters
    ----------
    loss
        A Tensor with a single element, before its `backward()`, or after
        ``backward(retain_graph=True)``.
    names
        A module, whose parameters are called by their names, or a mapping of names to Tensors and
        arrays, such as ``{**model.named_parameters(), "X": X}``.
    limit
        How many boxes may be drawn; more than some 40 are hard to take in.
    ax
        The axes to draw on; without them the figure is as large as the graph needs.

    Raises
    ------
    TypeError
        If `loss` isn't a Tensor, or `names` neither a module nor a mapping.
    RuntimeError
        If no graph leads to the loss, or an earlier `backward()` freed it.
    ValueError
        If the loss has several elements, the graph more boxes than the limit, or `ax` is too small.

    Examples
    --------
    >>> w = Tensor(3.0, requires_grad=True)
    >>> ax = computation_graph(w * w + 1.0, {"w": w})
    >>> print(ax.texts[-1].get_text())
    value 3
    gradient 6
    """
    _check_root(loss)
    boxes = _boxes(loss, _names(names))
    _check_limit(boxes, limit)
    for box in boxes.values():
        _write(box, loss)
    layout = _laid_out(boxes)
    ax = _sheet(layout, ax)
    points = _in_points(layout, ax)
    for key in boxes:
        _draw_box(ax, layout, key, points)
        _draw_arrows(ax, layout, key, points)
    return ax


# ---- what the boxes say


Key = Hashable  # of a tensor its index, of a constant and of a bend in an arrow a tuple
Arrows = dict[Key, list[Key]]
Measure = Mapping[Key, float]

_SIZE = 8  # of the letters, in points, as are all lengths below
_PAD = 5.0


@dataclass
class _Box:
    """One value of a computation graph, and what will be written into its box."""

    title: str
    value: Any
    tensor: Tensor | None = None  # None for a constant
    sources: list[tuple[Key, str]] = field(default_factory=list)  # with the letter in the formula
    lines: list[str] = field(default_factory=list)
    rank: int = 0  # the longest way to the loss
    width: float = 0.0
    height: float = 0.0

    @property
    def letters(self) -> list[str]:
        """The names of the arguments, where there is more than one."""
        return [letter for _, letter in self.sources] if len(self.sources) > 1 else []


def _check_root(loss: Tensor) -> None:
    here = "computation_graph"
    if not isinstance(loss, Tensor):
        raise TypeError(f"{here}: got a {type(loss).__name__}, expected the Tensor of a loss")
    if not loss.requires_grad or loss.is_leaf:
        raise RuntimeError(
            f"{here}: no graph leads to this Tensor of shape {loss.shape}; compute it from "
            "something with requires_grad=True, outside no_grad"
        )
    if loss.size != 1:
        raise ValueError(
            f"{here}: got a Tensor of shape {loss.shape}, expected a single number; "
            "sum or average it first"
        )


def _names(names: Module | Mapping[str, object] | None) -> dict[int, str]:
    """Return the names by the identity of what they name."""
    if isinstance(names, Module):
        names = names.named_parameters()
    if not isinstance(names, Mapping | None):
        raise TypeError(
            f"computation_graph: names is a {type(names).__name__}, expected a Module or a "
            'mapping like {"w": w}'
        )
    return {id(value): name for name, value in (names or {}).items()}


def _behind(loss: Tensor) -> list[Tensor]:
    """List the tensors behind a loss that have gradients, newest first."""
    found = ancestors([loss])
    for tensor in found:
        if is_freed(tensor):
            raise RuntimeError(
                f"computation_graph: the graph behind {_op_name(tensor)} was freed by an "
                "earlier backward(); draw before it, pass retain_graph=True there, or compute "
                "the loss again"
            )
    return found[::-1]


def _boxes(loss: Tensor, names: Mapping[int, str]) -> dict[Key, _Box]:
    """Make a box for each value and connect it to those that it was computed from."""
    boxes: dict[Key, _Box] = {age_of(loss): _box(loss, values_of(loss), names)}
    for tensor in _behind(loss):  # newest first: whatever was computed from it has been seen
        if op_of(tensor) is not None:
            _connect(boxes, tensor, names)
    return boxes


def _box(a: Tensor | Array, value: Any, names: Mapping[int, str]) -> _Box:
    name = names.get(id(a))
    if not _is_tracked(a):
        return _Box(name or "constant", value)
    tensor = cast(Tensor, a)
    op = op_of(tensor)
    if op is None:
        return _Box(name or "leaf", value, tensor)
    return _Box(f"{name}: {op.name}" if name else op.name, value, tensor)


def _op_name(tensor: Tensor) -> str:
    op = op_of(tensor)
    return op.name if op is not None else "leaf"


def _connect(boxes: dict[Key, _Box], tensor: Tensor, names: Mapping[int, str]) -> None:
    """Complete the box of an op: its formula, plain numbers in it, and boxes for the others."""
    box = boxes[age_of(tensor)]
    op, args, values = op_of(tensor), operands_of(tensor), saved_values(tensor)
    assert op is not None
    box.lines = textwrap.wrap(op.formula, 30)
    given = values[: len(args)]  # behind them may be what the op keeps, which has no letter
    for letter, a, value in zip(_letters(op, len(args)), args, given, strict=True):
        if not _has_box(a):
            box.lines += _plain(letter, value)
            continue
        source: Key = age_of(a) if _is_tracked(a) else ("constant", id(a))
        # The value that the op saw: a leaf may have got new data since.
        above = boxes.setdefault(source, _box(a, value, names))
        above.rank = max(above.rank, box.rank + 1)
        box.sources.append((source, letter))
    for option, value in attributes_of(tensor).items():
        box.lines += _plain(option, value)


def _is_tracked(a: Any) -> bool:
    return isinstance(a, Tensor) and a.requires_grad


def _has_box(a: Any) -> bool:
    return _is_tracked(a) or (isinstance(a, Tensor | ndarray) and a.ndim > 0)


def _letters(op: Op, count: int) -> list[str]:
    """Read off a rule how the formula calls the arguments; numbers where it doesn't say."""
    rule = None if op.variadic else next(filter(None, op.rules), None)
    try:
        named = list(inspect.signature(rule).parameters)[2:] if rule else []
    except ValueError:  # of a rule that was not written in Python
        named = []
    numbers = [str(k) for k in range(len(named), count)]
    return [_as_written(name, op.formula) for name in named[:count]] + numbers


def _as_written(name: str, formula: str) -> str:
    """Write a matrix as its formula does: a rule calls x what is X in Z = X Y."""
    words = "".join(c if c.isalnum() or c == "_" else " " for c in formula).split()
    return name.upper() if name not in words and name.upper() in words else name


def _plain(letter: str, value: Any) -> list[str]:
    """Write a number or an option such as an axis; nothing for what is left at its default."""
    if value is False:
        return []
    if isinstance(value, ndarray | np.generic | float):
        return [f"{letter} = {_written(np.asarray(value))}"]
    if isinstance(value, int | str | tuple | list | slice | np.dtype):
        return [f"{letter} = {textwrap.shorten(_index(value), 24, placeholder='...')}"]
    return []


def _index(value: Any) -> str:
    """Write an index as between brackets, 1:, 0; anything else as it is."""
    if isinstance(value, slice):
        parts = (value.start, value.stop) + (() if value.step is None else (value.step,))
        return ":".join("" if part is None else str(part) for part in parts)
    return ", ".join(map(_index, value)) if isinstance(value, tuple) else str(value)


def _written(array: Array) -> str:
    """Write the elements of a small array; the shape and the norm, or the dtype, of a large one."""
    if array.size <= 4:
        with np.printoptions(precision=3):
            text = f"{array.item():.4g}" if array.ndim == 0 else np.array2string(array)
        return " ".join(text.split())
    shape = " x ".join(map(str, array.shape))
    if array.dtype.kind == "f":
        return f"{shape}, norm {_norm(array):.3g}"
    return f"{shape} {array.dtype}"


def _norm(array: Array) -> float:
    # np.linalg.norm squares first, which overflows at 1e154, and in float32 at 2e19.
    largest = float(np.max(np.abs(array), initial=0))
    if not 0 < largest < math.inf:
        return largest
    return largest * float(np.linalg.norm((array / largest).ravel()))


def _check_limit(boxes: Mapping[Key, _Box], limit: int) -> None:
    if len(boxes) > limit:
        kinds = Counter(box.title for box in boxes.values()).most_common(5)
        most = ", ".join(f"{count:,} {title}" for title, count in kinds)
        raise ValueError(
            f"computation_graph: got a graph of {len(boxes):,} boxes (most often {most}), expected "
            f"at most {limit}; draw a smaller case, such as a single step or layer, or raise limit"
        )


def _write(box: _Box, loss: Tensor) -> None:
    """Write value and gradient, and make the box as large as its texts."""
    box.lines.append(f"value {_written(np.asarray(box.value))}")
    if box.tensor is not None:
        (gradient,) = gradients(loss, [box.tensor])
        shown = _written(gradient) if gradient.size <= 4 else f"norm {_norm(gradient):.3g}"
        box.lines.append(f"gradient {shown}")
    title, body = _extent(box.title, bold=True), _extent("\n".join(box.lines))
    letters = _extent("\n".join(box.letters))
    box.width = max(title[0], body[0], len(box.sources) * (letters[0] + _PAD)) + 2 * _PAD
    box.height = _body_place(box) + body[1] + _PAD


def _extent(text: str, *, bold: bool = False) -> tuple[float, float]:
    from matplotlib.figure import Figure

    figure = Figure()
    return _size_in_points(figure, figure.text(0, 0, text, **_font(bold)))


def _size_in_points(figure: Figure, artist: Artist) -> tuple[float, float]:
    extent = artist.get_window_extent()
    return extent.width * 72 / figure.dpi, extent.height * 72 / figure.dpi


def _font(bold: bool) -> dict[str, Any]:
    weight = "bold" if bold else "normal"
    return {"size": _SIZE, "weight": weight, "parse_math": False}


def _title_place(box: _Box) -> float:
    """Return how far below the box's top its title is, under the letters of the arrows."""
    return _PAD + (_SIZE + 3 if box.letters else 0)


def _body_place(box: _Box) -> float:
    return _title_place(box) + 1.5 * _SIZE


# ---- where they stand


_GAP = 14.0  # between boxes beside each other
_DROP = 24.0  # between layers, for the arrows
_HEAD = 6.0  # of it for their heads, which come straight from above


@dataclass
class _Layout:
    """Where the boxes and the bends of the arrows stand, in points, y downwards."""

    boxes: Mapping[Key, _Box]
    above: Arrows  # what stands one layer above, an entry for each arrow
    x: Mapping[Key, float]  # of the middle
    y: list[tuple[float, float]]  # of each layer's begin and end, the loss's first

    def top(self, key: Key) -> float:
        begin, end = self.y[self.boxes[key].rank]
        return (begin + end - self.boxes[key].height) / 2

    def bounds(self) -> tuple[float, float, float, float]:
        """Return left, right, top and bottom, with a margin."""
        halves = {key: box.width / 2 for key, box in self.boxes.items()}
        left = min(x - halves.get(key, 0) for key, x in self.x.items())
        right = max(x + halves.get(key, 0) for key, x in self.x.items())
        return left - _GAP, right + _GAP, self.y[-1][0] - _GAP, self.y[0][1] + _GAP


def _laid_out(boxes: Mapping[Key, _Box]) -> _Layout:
    layers, above = _layered(boxes)
    below = _below(above)
    _untangle(layers, above, below)
    return _Layout(boxes, above, _across(layers, above, below, boxes), _down(layers, boxes))


def _layered(boxes: Mapping[Key, _Box]) -> tuple[list[list[Key]], Arrows]:
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
    total = 0
    for lower, upper in itertools.pairwise(layers):
        place = {key: k for k, key in enumerate(upper)}
        ends = [(k, place[source]) for k, key in enumerate(lower) for source in above[key]]
        total += sum((a - c) * (b - d) < 0 for (a, b), (c, d) in itertools.combinations(ends, 2))
    return total


def _across(
    layers: list[list[Key]], above: Arrows, below: Arrows, boxes: Mapping[Key, _Box]
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


def _down(layers: list[list[Key]], boxes: Mapping[Key, _Box]) -> list[tuple[float, float]]:
    """Return where each layer begins and ends, counted downwards from the last."""
    heights = [max(boxes[key].height for key in layer if key in boxes) for layer in layers]
    ends = np.cumsum([height + _DROP for height in heights[::-1]])[::-1]
    return [(end - _DROP - height, end - _DROP) for end, height in zip(ends, heights, strict=True)]


# ---- the drawing


def _sheet(layout: _Layout, ax: Axes | None) -> Axes:
    """Make axes as large as the layout needs, or see that those given are."""
    from matplotlib.figure import Figure

    left, right, top, bottom = layout.bounds()
    width, height = right - left, bottom - top
    if ax is None:
        new = Figure((width / 72, height / 72))
        new.set_layout_engine("none")
        ax = new.add_axes((0, 0, 1, 1))
    ax.set_axis_off()
    figure = ax.figure.figure
    figure.draw_without_rendering()  # lets the layout make the axes as large as they will be
    across, down = _size_in_points(figure, ax)
    if across < width - 1 or down < height - 1:
        raise ValueError(
            f"computation_graph: got axes of {across / 72:.1f} x {down / 72:.1f} inches, expected "
            f"at least {width / 72:.1f} x {height / 72:.1f}; without ax the figure is made to fit"
        )
    return ax


def _in_points(layout: _Layout, ax: Axes) -> Any:
    """Return the transform from the layout's points to the middle of the axes.

    Boxes thus stay as large as their texts if the axes change their size later.
    """
    from matplotlib.transforms import Affine2D, ScaledTranslation

    left, right, top, bottom = layout.bounds()
    centred = Affine2D().translate(-(left + right) / 2, -(top + bottom) / 2).scale(1 / 72, -1 / 72)
    axes: Any = ax.transAxes
    return centred + ax.figure.dpi_scale_trans + ScaledTranslation(0.5, 0.5, axes)


def _draw_box(ax: Axes, layout: _Layout, key: Key, points: Any) -> None:
    from matplotlib.patches import FancyBboxPatch

    box, x, top = layout.boxes[key], layout.x[key], layout.top(key)
    corner = (x - box.width / 2, top)
    frame = FancyBboxPatch(corner, box.width, box.height, transform=points, **_look(box))
    ax.add_patch(frame).set_clip_on(False)
    _text(ax, x, top + _title_place(box), box.title, points, bold=True)
    _text(ax, x, top + _body_place(box), "\n".join(box.lines), points)


def _text(ax: Axes, x: float, y: float, text: str, points: Any, *, bold: bool = False) -> None:
    ax.text(x, y, text, transform=points, ha="center", va="top", **_font(bold))


def _look(box: _Box) -> dict[str, Any]:
    # Corners, dashes and thickness tell the kinds apart where colours don't.
    if box.tensor is None:
        square = {"boxstyle": "square,pad=0", "facecolor": "#F2F2F2"}
        return square | {"edgecolor": "#666666", "linewidth": 0.8, "linestyle": "--"}
    if box.tensor.is_leaf:
        square = {"boxstyle": "square,pad=0", "facecolor": "#DCEFFB"}
        return square | {"edgecolor": _BLUE, "linewidth": 1.6}
    rounded = {"boxstyle": "round,pad=0,rounding_size=6"}
    if box.rank == 0:
        return rounded | {"facecolor": "#FDEBD9", "edgecolor": _VERMILION, "linewidth": 1.6}
    return rounded | {"facecolor": "white", "edgecolor": "black", "linewidth": 0.8}


def _draw_arrows(ax: Axes, layout: _Layout, key: Key, points: Any) -> None:
    """Draw an arrow from each argument of a box, with its letter, side by side as they come."""
    from matplotlib.patches import FancyArrowPatch

    look: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 8, "color": "#444444"}
    box, above = layout.boxes[key], layout.above[key]
    order = sorted(range(len(above)), key=lambda k: layout.x[above[k]])
    for place, k in enumerate(order):
        port = layout.x[key] + box.width * ((place + 0.5) / len(above) - 0.5)
        path = _route(layout, key, above[k], port)
        ax.add_patch(FancyArrowPatch(path=path, transform=points, **look)).set_clip_on(False)
        if box.letters:
            _text(ax, port, layout.top(key) + 3, box.letters[k], points)


def _route(layout: _Layout, key: Key, first: Key, port: float) -> Any:
    """Lead an arrow to a box: straight down through the layers, and in an S between them."""
    from matplotlib.path import Path

    stops = [first]
    while stops[-1] not in layout.boxes:
        stops += layout.above[stops[-1]]
    source = stops[-1]
    points = [(layout.x[source], layout.top(source) + layout.boxes[source].height)]
    codes = [Path.MOVETO]
    rank = layout.boxes[source].rank
    for x in [*(layout.x[stop] for stop in stops[-2::-1]), port]:
        end, begin = layout.y[rank][1], layout.y[rank - 1][0] - _HEAD
        middle = (end + begin) / 2
        here = points[-1][0]
        points += [(here, end), (here, middle), (x, middle), (x, begin)]
        codes += [Path.LINETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
        rank -= 1
    return Path([*points, (port, layout.top(key))], [*codes, Path.LINETO])
