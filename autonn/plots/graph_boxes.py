"""What the boxes of a computation graph say, read off the graph, and how large they are.

Nothing is drawn here: a box is made of texts, and measured with the font that will write them.
"""

from __future__ import annotations

import inspect
import textwrap
from collections import Counter
from collections.abc import Hashable, Mapping
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
from autonn.plots.arguments import norm

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure


Key = Hashable  # of a tensor its age, of a constant and of a bend in an arrow a tuple
_SIZE = 8  # of the letters, in points, as are all lengths below
_PAD = 5.0


@dataclass
class Box:
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


def boxes_of(
    loss: Tensor, names: Module | Mapping[str, object] | None, limit: int
) -> dict[Key, Box]:
    """Make a box for each value that led to a loss, the loss first, all written and measured."""
    _check_root(loss)
    boxes = _boxes(loss, _names(names))
    _check_limit(boxes, limit)
    for box in boxes.values():
        _write(box, loss)
    return boxes


def _check_root(loss: Tensor) -> None:
    """Refuse what no graph leads to, and what has several elements."""
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
        names = dict(names.named_parameters())
    if not isinstance(names, Mapping | None):
        raise TypeError(
            f"computation_graph: names is a {type(names).__name__}, expected a Module or a "
            'mapping like {"w": w}'
        )
    return {id(value): name for name, value in (names or {}).items()}


def _boxes(loss: Tensor, names: Mapping[int, str]) -> dict[Key, Box]:
    """Make a box for each value and connect it to those that it was computed from."""
    boxes: dict[Key, Box] = {age_of(loss): _box(loss, values_of(loss), names)}
    # Newest first: whatever was computed from a value has been seen before it.
    for tensor in reversed(ancestors([loss])):
        op = op_of(tensor)
        if op is not None:
            _refuse_freed(tensor, op)
            _connect(boxes, tensor, op, names)
    return boxes


def _refuse_freed(tensor: Tensor, op: Op) -> None:
    """Refuse a result that no longer knows what it was computed from."""
    if is_freed(tensor):
        raise RuntimeError(
            f"computation_graph: the graph behind {op.name} was freed by an earlier backward(); "
            "draw before it, pass retain_graph=True there, or compute the loss again"
        )


def _box(a: Tensor | Array, value: Any, names: Mapping[int, str]) -> Box:
    """Make the box of a value, called by its name, its op or its kind."""
    name = names.get(id(a))
    if not _is_tracked(a):
        return Box(name or "constant", value)
    tensor = cast(Tensor, a)
    op = op_of(tensor)
    if op is None:
        return Box(name or "leaf", value, tensor)
    return Box(f"{name}: {op.name}" if name else op.name, value, tensor)


def _connect(boxes: dict[Key, Box], tensor: Tensor, op: Op, names: Mapping[int, str]) -> None:
    """Complete the box of an op: its formula, plain numbers in it, and boxes for the others."""
    box, operands = boxes[age_of(tensor)], operands_of(tensor)
    box.lines = textwrap.wrap(op.formula, 30)
    given = saved_values(tensor)[: len(operands)]  # behind them are residuals, without a letter
    for letter, a, value in zip(_letters(op, len(operands)), operands, given, strict=True):
        if not _has_box(a):
            box.lines += _plain(letter, value)
            continue
        source: Key = age_of(a) if _is_tracked(a) else ("constant", id(a))
        # The value that the op saw: a leaf may have got new data since.
        above = boxes.setdefault(source, _box(a, value, names))
        above.rank = max(above.rank, box.rank + 1)
        box.sources.append((source, letter))
    for name, value in attributes_of(tensor).items():
        box.lines += _plain(name, value)


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
    """Write a number or an attribute such as an axis; nothing for what is left at its default."""
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
        return f"{shape}, norm {norm(array):.3g}"
    return f"{shape} {array.dtype}"


def _check_limit(boxes: Mapping[Key, Box], limit: int) -> None:
    """Refuse a graph that nobody could take in, before a pass is run for each of its boxes."""
    if len(boxes) > limit:
        kinds = Counter(box.title for box in boxes.values()).most_common(5)
        most = ", ".join(f"{count:,} {title}" for title, count in kinds)
        raise ValueError(
            f"computation_graph: got a graph of {len(boxes):,} boxes (most often {most}), expected "
            f"at most {limit}; draw a smaller case, such as a single step or layer, or raise limit"
        )


def _write(box: Box, loss: Tensor) -> None:
    """Write value and gradient, and make the box as large as its texts."""
    box.lines.append(f"value {_written(np.asarray(box.value))}")
    if box.tensor is not None:
        # A pass for each box, as one pass stops at the tensors that it is asked for.
        (gradient,) = gradients(loss, [box.tensor])
        shown = _written(gradient) if gradient.size <= 4 else f"norm {norm(gradient):.3g}"
        box.lines.append(f"gradient {shown}")
    title, body = _extent(box.title, bold=True), _extent("\n".join(box.lines))
    letters = _extent("\n".join(box.letters))
    box.width = max(title[0], body[0], len(box.sources) * (letters[0] + _PAD)) + 2 * _PAD
    box.height = body_place(box) + body[1] + _PAD


def _extent(text: str, *, bold: bool = False) -> tuple[float, float]:
    from matplotlib.figure import Figure

    figure = Figure()
    return size_in_points(figure, figure.text(0, 0, text, **font(bold)))


def size_in_points(figure: Figure, artist: Artist) -> tuple[float, float]:
    """Return the width and the height of something drawn, whatever the resolution."""
    extent = artist.get_window_extent()
    return extent.width * 72 / figure.dpi, extent.height * 72 / figure.dpi


def font(bold: bool) -> dict[str, Any]:
    """Choose how texts are written: a $ is itself, not the begin of a formula."""
    weight = "bold" if bold else "normal"
    return {"size": _SIZE, "weight": weight, "parse_math": False}


def title_place(box: Box) -> float:
    """Return how far below the top of a box its title is, under the letters of the arrows."""
    return _PAD + (_SIZE + 3 if box.letters else 0)


def body_place(box: Box) -> float:
    """Return how far below the top of a box its lines begin."""
    return title_place(box) + 1.5 * _SIZE
