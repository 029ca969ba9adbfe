"""Writing a loop down: one step as a function of its own, and the lines that call it in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autonn.compiler.graph import Given, Node
from autonn.compiler.loops import Body
from autonn.compiler.lowering import FILLED
from autonn.compiler.sources import dtype_text
from autonn.engine import ops
from autonn.engine.ops.indexing import is_basic

__all__ = ["loop_lines", "memory_line"]

# So many rows at most are looked up in a list that is made once, in 20 nanoseconds; a view that is
# made at each step takes 80, and a step of an LSTM takes 25 of them.
_LISTED = 1000

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
    n = body.carries
    k = emitter.fresh("step_k")
    name, more, dests = _step_of(emitter, node, write)
    carries = [emitter.fresh(given.label or "carry") for given in body.inputs[:n]]
    before, given = _given(emitter, node, k)
    lines = before + [f"    {emitter.names[dest]}.fill(0)" for dest in dests[body.stacks :]]
    spots = []
    for at, dest in enumerate(dests[: body.stacks]):
        later = at in node.attributes["starts"] and not body.reverse  # the row after its own
        spots.append(_row(emitter, dest, emitter.names[dest], f"{k} + 1" if later else k))
    for at, carry in node.attributes["starts"].items():
        first = emitter.names[dests[at]], body.steps if body.reverse else 0
        lines.append(f"    {first[0]}[{first[1]}] = {emitter.text(node.args[carry])}")
    spots += [emitter.names[dest] for dest in dests[body.stacks :]]
    row = f"{', '.join(carries)}{',' * (n == 1)}"
    if n:
        starts = ", ".join(emitter.text(a) for a in node.args[:n])
        lines.append(f"    {row} = {starts}{',' * (n == 1)}")
    order = f"range({body.steps})"
    lines.append(f"    for {k} in {f'reversed({order})' if body.reverse else order}:")
    call = f"{name}({', '.join([*carries, *given, *spots, *more])})"
    lines.append(f"        {f'{row} = ' * (n > 0)}{call}")
    for pick in picks:
        carry = pick.attributes.get("k")
        emitter.names[pick] = emitter.names[pick.args[0]] if carry is None else carries[carry]
    return lines


def _step_of(emitter: Any, node: Node, write: WriteStep) -> tuple[str, list[str], Sequence[Node]]:
    """Write the step; return its name, what more it takes, and the memory that it writes to."""
    body: Body = node.attributes["body"]
    dests = node.args[len(body.inputs) :]
    spots = [_spot(dest, stack=k < body.stacks) for k, dest in enumerate(dests)]
    values = zip(body.outputs[body.carries :], spots, strict=True)
    placed = [(value, spot, k >= body.stacks) for k, (value, spot) in enumerate(values)]
    name = emitter.source.reserve("step")
    taken = write(name, [*body.inputs, *spots], body.outputs[: body.carries], placed)
    more = [emitter.take(extra) for extra in taken[len(body.inputs) + len(spots) :]]
    return name, more, dests


def _given(emitter: Any, node: Node, k: str) -> tuple[list[str], list[str]]:
    """Write what a step is given beside the carry, and the lines that name it before the loop."""
    body: Body = node.attributes["body"]
    lines: list[str] = []

    def held(a: Any, label: str) -> str:
        """Name what is read at each step."""
        text: str = emitter.text(a)
        if text.isidentifier():
            return text
        if a.calls(ops.transpose) and label == "around":
            # At once, where BLAS would do it in each step: a product of 32 x 64 and (256 x 64)'
            # takes 20 microseconds, and of what is turned 10 (float32; 28 and 21 in float64).
            text = f"np.ascontiguousarray({text})"
        own: str = emitter.fresh(label)
        lines.append(f"    {own} = {text}")
        return own

    first = body.carries + body.slices
    rows = [_row(emitter, a, held(a, "rows"), k) for a in node.args[body.carries : first]]
    around = [held(a, "around") for a in node.args[first : len(body.inputs)]]
    return lines, [*rows, *around]


def _spot(dest: Node, stack: bool) -> Node:
    """Make the input of a step for the memory that it writes a result to."""
    shape = dest.shape[1:] if stack else dest.shape
    made = Node(None, (), {}, shape, dest.dtype)
    made.given, made.label = Given.INPUT, "into" if stack else "total"
    return made


def _row(emitter: Any, x: Any, name: str, k: str) -> str:
    """Write the part of an array that belongs to a step: a view also where it is a number."""
    if x.ndim == 1:
        return f"{name}[{k}, ...]"
    lies = _lies(emitter, x) if x.shape[0] <= _LISTED else None
    if lies is None:
        return f"{name}[{k}]"
    if x not in emitter.lists:
        emitter.lists[x] = emitter.fresh(f"{name}_rows")
        emitter.workspace[emitter.lists[x]] = f"list({lies})"
    return f"{emitter.lists[x]}[{k}]"


def _lies(emitter: Any, x: Any) -> str | None:
    """Write where in the workspace an array lies, or a part of one; None if elsewhere."""
    if x.op is FILLED:
        return _lies(emitter, x.args[0])
    if x.calls(ops.getitem) and is_basic(x.attribute("key")):
        whole = _lies(emitter, x.args[0])
        named = {x.args[0]: whole}
        return None if whole is None else x.op.prints(x, lambda a: named.get(a) or emitter.text(a))
    if not emitter.is_ours(x):
        return None
    return f"{emitter.flat_of(emitter.plan.stretches[x])}.reshape({x.shape})"
