"""The table that a module is shown as."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from autonn.engine.modes import Notes, noting
from autonn.engine.tensor import Tensor
from autonn.nn.parts import parts_of
from autonn.nn.walk import own_tensors

Row = tuple[str, ...]


class Summary(str):
    """The table as text, which a notebook shows as a table; the rows stand in `rows`."""

    rows: Sequence[Row]

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """Lay the rows out for a notebook: the last cell of each is a number."""
        lines = []
        for k, row in enumerate(self.rows):
            kind = "th" if k == 0 else "td"
            sides = ["left"] * (len(row) - 1) + ["right"]
            cells = (
                f'<{kind} style="text-align: {side}">{escape(cell)}</{kind}>'
                for cell, side in zip(row, sides, strict=True)
            )
            lines.append(f"<tr>{''.join(cells)}</tr>")
        return f"<table>{''.join(lines)}</table>"


def table(rows: Sequence[Row]) -> Summary:
    """Lay out rows of several cells, the last of which is a number.

    >>> table([("a", "b", "c", "1"), ("", "long", "", "10")])
    a b     c   1
      long     10
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *more, last in rows:
        cells = [f"{cell:<{width}}" for cell, width in zip(more, widths[1:-1], strict=True)]
        lines.append(f"{first:<{widths[0]}} {'  '.join(cells)}  {last:>{widths[-1]}}".rstrip())
    summary = Summary("\n".join(lines))
    summary.rows = rows
    return summary


def summary_of(module: Any, example: Sequence[Any] = ()) -> Summary:
    """Make the table of a module; with what it gives for an example, if there is one."""
    given = _given(module, example) if example else None
    head = ("module", "parameter", "shape", "count")
    rows: list[Row] = [head if given is None else (head[0], "gives", *head[1:])]
    for prefix, part in module.named_modules():
        own, inner = own_tensors(part), list(part.children())
        if inner and not own:
            continue
        shown = type(part).__name__ if inner else repr(part)
        label = [f"{prefix}  {shown}" if prefix else shown]
        label += [] if given is None else [given.get(id(part), "")]
        entries = [_entry(name, tensor) for name, tensor in own.items()] or [("", "", "")]
        rows.append((*label, *entries[0]))
        rows += [(*[""] * len(label), *entry) for entry in entries[1:]]
    rows += [(name, *[""] * (len(rows[0]) - 2), f"{n:,}") for name, n in _counts(module).items()]
    return table(rows)


def _entry(name: str, tensor: Tensor) -> Row:
    """Return the cells of a Tensor that a module holds."""
    shown = name if tensor.requires_grad else f"{name} (not trainable)"
    return shown, str(tensor.shape), f"{tensor.size:,}"


def _counts(module: Any) -> dict[str, int]:
    """Count the numbers of a module; apart, where some are not trainable.

    >>> from autonn import BatchNorm1d, Layer
    >>> _counts(Layer(2, 3)), _counts(BatchNorm1d(3))
    ({'total': 9}, {'total': 12, 'trainable': 6, 'not trainable': 6})
    """
    learned, others = (
        sum(t.size for t in tensors) for tensors in (module.parameters(), module.buffers())
    )
    apart = {"trainable": learned, "not trainable": others} if others else {}
    return {"total": learned + others} | apart


class _Given(Notes):
    """Notes the shapes that modules give, and nothing of the ops."""

    __slots__ = ("shapes",)

    def __init__(self) -> None:
        super().__init__()
        self.shapes: dict[int, str] = {}

    def made(self, result: Any, op: Any, args: Any, values: Any) -> None:
        """Leave it."""

    def gave(self, module: Any, result: Any) -> None:
        """Note its shape, or those of several."""
        self.shapes[id(module)] = _shape(result)


def _given(module: Any, example: Sequence[Any]) -> dict[int, str]:
    """Return what each module gives, by its id; where it is called several times, at last."""
    notes = _Given()
    with module.evaluating(), noting(notes):
        more, named = tuple(example), dict[str, Any]()
        if len(example) == 1 and isinstance(example[0], tuple | dict):
            more, named = parts_of(module.forward, example[0])
        module(*more, **named)
    return notes.shapes


def _shape(result: Any) -> str:
    """Say the shape of a Tensor, or the shapes of several.

    >>> import numpy as np
    >>> _shape((np.ones(1), {"a": np.ones(())}))
    '(1,), a: ()'
    """
    if isinstance(result, dict):
        return ", ".join(f"{key}: {_shape(part)}" for key, part in result.items())
    if isinstance(result, tuple | list):
        return ", ".join(map(_shape, result))
    return str(getattr(result, "shape", ""))
