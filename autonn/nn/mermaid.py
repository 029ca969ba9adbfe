"""A picture of a model as text: which module follows which, and which hold others."""

from __future__ import annotations

import itertools
from typing import Any

from autonn.engine.flowchart import arrow, box

__all__ = ["chart"]


def chart(model: Any, is_row: Any) -> str:
    """Write the modules of a model in Mermaid; `is_row` tells which pass x from one to the next."""
    lines = ["flowchart TD"]
    _written(model, "", lines, is_row, itertools.count(), "    ")
    return "\n".join(lines)


def _written(
    module: Any, path: str, lines: list[str], is_row: Any, numbers: Any, indent: str
) -> str:
    """Write a module and those in it; return the name of its box."""
    name, inner = f"m{next(numbers)}", list(module.children())
    own = ", ".join(
        f"{n} {'x'.join(map(str, p.shape))}" for n, p in module.own_parameters().items()
    )
    what = type(module).__name__ if inner else repr(module)
    label = f"{path}: {what}" if path else what
    if not inner:
        lines.append(f"{indent}{box(name, f'{label}, {own}' if own else label)}")
        return name
    lines.append(f"{indent}subgraph {box(name, label)}")
    parts = [
        _written(child, f"{path}.{key}" if path else key, lines, is_row, numbers, f"{indent}    ")
        for key, child in inner
    ]
    if is_row(module):
        lines += [f"{indent}    {arrow(a, b)}" for a, b in itertools.pairwise(parts)]
    lines.append(f"{indent}end")
    return name
