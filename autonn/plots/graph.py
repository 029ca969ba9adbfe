"""The computation graph of a loss as a diagram: its boxes and arrows, drawn.

What the boxes say is read off the graph in `graph_boxes`, where they stand is found in plain
numbers in `graph_layout`, and only then is anything drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autonn.engine.tensor import Tensor
from autonn.nn.module import Module
from autonn.plots.graph_boxes import (
    Box,
    Key,
    body_place,
    boxes_of,
    font,
    size_in_points,
    title_place,
)
from autonn.plots.graph_layout import HEAD, Layout, lay_out
from autonn.plots.style import (
    BLUE,
    DARK,
    GREY,
    PALE_BLUE,
    PALE_VERMILION,
    PALEST,
    VERMILION,
    new_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
        arrays, such as ``{**dict(model.named_parameters()), "X": X}``.
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
    boxes = boxes_of(loss, names, limit)
    layout = lay_out(boxes)
    ax = _sheet(layout, ax)
    points = _in_points(layout, ax)
    for key in boxes:
        _draw_box(ax, layout, key, points)
        _draw_arrows(ax, layout, key, points)
    return ax


def _sheet(layout: Layout, ax: Axes | None) -> Axes:
    """Make axes as large as the layout needs, or see that those given are."""
    left, right, top, bottom = layout.bounds()
    width, height = right - left, bottom - top
    if ax is None:
        ax = new_axes(width / 72, height / 72)
        ax.figure.figure.set_layout_engine("none")
        ax.set_position((0, 0, 1, 1))
    ax.set_axis_off()
    figure = ax.figure.figure
    figure.draw_without_rendering()  # lets the layout make the axes as large as they will be
    across, down = size_in_points(figure, ax)
    if across < width - 1 or down < height - 1:
        raise ValueError(
            f"computation_graph: got axes of {across / 72:.1f} x {down / 72:.1f} inches, expected "
            f"at least {width / 72:.1f} x {height / 72:.1f}; without ax the figure is made to fit"
        )
    return ax


def _in_points(layout: Layout, ax: Axes) -> Any:
    """Return the transform from the layout's points to the middle of the axes.

    Boxes thus stay as large as their texts if the axes change their size later.
    """
    from matplotlib.transforms import Affine2D, ScaledTranslation

    left, right, top, bottom = layout.bounds()
    centred = Affine2D().translate(-(left + right) / 2, -(top + bottom) / 2).scale(1 / 72, -1 / 72)
    axes: Any = ax.transAxes
    return centred + ax.figure.dpi_scale_trans + ScaledTranslation(0.5, 0.5, axes)


def _draw_box(ax: Axes, layout: Layout, key: Key, points: Any) -> None:
    """Draw the frame of a box, its title and its lines."""
    from matplotlib.patches import FancyBboxPatch

    box, x, top = layout.boxes[key], layout.x[key], layout.top(key)
    corner = (x - box.width / 2, top)
    frame = FancyBboxPatch(corner, box.width, box.height, transform=points, **_look(box))
    ax.add_patch(frame).set_clip_on(False)
    _text(ax, x, top + title_place(box), box.title, points, bold=True)
    _text(ax, x, top + body_place(box), "\n".join(box.lines), points)


def _text(ax: Axes, x: float, y: float, text: str, points: Any, *, bold: bool = False) -> None:
    ax.text(x, y, text, transform=points, ha="center", va="top", **font(bold))


def _look(box: Box) -> dict[str, Any]:
    """Choose a frame: corners, dashes and thickness tell the kinds apart where colours don't."""
    if box.tensor is None:
        square = {"boxstyle": "square,pad=0", "facecolor": PALEST}
        return square | {"edgecolor": GREY, "linewidth": 0.8, "linestyle": "--"}
    if box.tensor.is_leaf:
        square = {"boxstyle": "square,pad=0", "facecolor": PALE_BLUE}
        return square | {"edgecolor": BLUE, "linewidth": 1.6}
    rounded = {"boxstyle": "round,pad=0,rounding_size=6"}
    if box.rank == 0:
        return rounded | {"facecolor": PALE_VERMILION, "edgecolor": VERMILION, "linewidth": 1.6}
    return rounded | {"facecolor": "white", "edgecolor": "black", "linewidth": 0.8}


def _draw_arrows(ax: Axes, layout: Layout, key: Key, points: Any) -> None:
    """Draw an arrow from each argument of a box, with its letter, side by side as they come."""
    from matplotlib.patches import FancyArrowPatch

    look: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 8, "color": DARK}
    box, above = layout.boxes[key], layout.above[key]
    order = sorted(range(len(above)), key=lambda k: layout.x[above[k]])
    for place, k in enumerate(order):
        port = layout.x[key] + box.width * ((place + 0.5) / len(above) - 0.5)
        path = _route(layout, key, above[k], port)
        ax.add_patch(FancyArrowPatch(path=path, transform=points, **look)).set_clip_on(False)
        if box.letters:
            _text(ax, port, layout.top(key) + 3, box.letters[k], points)


def _route(layout: Layout, key: Key, first: Key, port: float) -> Any:
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
        end, begin = layout.y[rank][1], layout.y[rank - 1][0] - HEAD
        middle = (end + begin) / 2
        here = points[-1][0]
        points += [(here, end), (here, middle), (x, middle), (x, begin)]
        codes += [Path.LINETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
        rank -= 1
    return Path([*points, (port, layout.top(key))], [*codes, Path.LINETO])
