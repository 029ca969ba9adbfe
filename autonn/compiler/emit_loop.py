"""Writing a loop down: one step as a function of its own, and the lines that call it in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autonn.compiler.graph import Given, Node
from autonn.compiler.loops import Body
from autonn.compiler.sources import dtype_text

__all__ = ["loop_lines", "memory_line"]

# Writes a function of these inputs; what it returns, and what it leaves in which of its inputs,
# added to what is there or in its place. Returns what the function takes.
WriteStep = Callable[[str, Sequence[Node], Sequence[Node], list[tuple[Node, Node, bool]]], Any]


def memory_line(emitter: Any, node: Node, label: str) -> list[str]:
    """Write the line that makes the memory for a stack, where it is not in the workspace."""
    stretch = emitter.plan.stretches.get(node)
    if stretch in emitter.at:
        emitter.names[node] = emitter.at[stretch]
        return []
    node.label = node.label or label
    made = f"np.empty({node.shape}, {dtype_text(node.dtype)})"
    return [f"    {emitter.name(node)} = {made}"]


def loop_lines(emitter: Any, node: Node, picks: Sequence[Node], write: WriteStep) -> list[str]:
    """Write a loop, of which the `picks` are the results that are read."""
    body: Body = node.attributes["body"]
    dests = node.args[len(body.inputs) :]
    spots = [_spot(dest, stack=k < body.stacks) for k, dest in enumerate(dests)]
    values = body.outputs[body.carries :]
    placed = [
        (value, spot, k >= body.stacks)
        for k, (value, spot) in enumerate(zip(values, spots, strict=True))
    ]
    name = emitter.source.reserve("step")
    taken = write(name, [*body.inputs, *spots], body.outputs[: body.carries], placed)
    more = [emitter.take(extra) for extra in taken[len(body.inputs) + len(spots) :]]
    lines: list[str] = []

    def held(a: Any, label: str) -> str:
        """Name what is read at each step."""
        text: str = emitter.text(a)
        if text.isidentifier():
            return text
        own: str = emitter.fresh(label)
        lines.append(f"    {own} = {text}")
        return own

    n, first = body.carries, body.carries + body.slices
    k = emitter.fresh("step_k")
    carries = [emitter.fresh(given.label or "carry") for given in body.inputs[:n]]
    starts = [emitter.text(a) for a in node.args[:n]]
    given = [*carries]
    given += [_row(held(a, "rows"), k, a.ndim) for a in node.args[n:first]]
    given += [held(a, "around") for a in node.args[first : len(body.inputs)]]
    for place, dest in enumerate(dests):
        own = emitter.names[dest]
        given.append(_row(own, k, dest.ndim) if place < body.stacks else own)
        if place >= body.stacks:
            lines.append(f"    {own}.fill(0)")
    row = f"{', '.join(carries)}{',' * (n == 1)}"
    if n:
        lines.append(f"    {row} = {', '.join(starts)}{',' * (n == 1)}")
    order = f"range({body.steps})"
    order = f"reversed({order})" if body.reverse else order
    lines.append(f"    for {k} in {order}:")
    lines.append(f"        {f'{row} = ' * (n > 0)}{name}({', '.join([*given, *more])})")
    for pick in picks:
        whole = "k" in pick.attributes
        emitter.names[pick] = (
            carries[pick.attributes["k"]] if whole else emitter.names[pick.args[0]]
        )
    return lines


def _spot(dest: Node, stack: bool) -> Node:
    """Make the input of a step for the memory that it writes a result to."""
    shape = dest.shape[1:] if stack else dest.shape
    made = Node(None, (), {}, shape, dest.dtype)
    made.given, made.label = Given.INPUT, "into" if stack else "total"
    return made


def _row(name: str, k: str, ndim: int) -> str:
    """Write the part of an array that belongs to a step: a view also where it is a number."""
    return f"{name}[{k}{', ...' * (ndim == 1)}]"
