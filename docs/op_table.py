"""What a compiled program does with each op, as Markdown: its rows, and the lines that it becomes.

The programs are made here, of operands that the tests' own table of the ops draws.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from tools import optable

from autonn.compiler import emit, simplify, trace
from autonn.engine.apply import call_of
from autonn.engine.op import OPS, Op, elementwise, mixes_rows

INTRODUCTION = """\
# The op table

What [`compile`](../explanations/architecture.md) does with each op. Rows of a batch can be shared
out among threads as long as what becomes of one does not depend on the others. The program is that
of one call: an op that is written in others is taken apart, so that a value and its gradient share
what they have in common. `t0 = ...; t1 = ...` are its lines; buffers are those of its own memory.
What the gradient of each op is, and at its kinks, stands in [the gradient
contract](gradient-contract.md).

"""


def rows(op: Op) -> str:
    """Say what the op does to rows, in the words of its trait."""
    known = {elementwise: "element by element", mixes_rows: "mixes rows"}
    if op.rows is None:
        return "as its parts"
    if op.rows in known:
        return known[op.rows]
    sentence = (inspect.getdoc(op.rows) or "").split("\n")[0].rstrip(".")
    return re.sub(r"^Say that (it )?", "", sentence)


def operands(op: Op) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Return a call of an op, and operands for it: those of its first row in the tests' table."""
    for row in optable.rows(op.name)[:1]:
        rng = np.random.default_rng(0)
        shapes = [d.draw(rng, (2, 3), True) for d in row.domains]
        return row.f, tuple(shapes) or row.draw(rng, True)
    flags = np.ones((2, 3), bool)  # a comparison or a logical op, which has no slopes to test
    return call_of(op), (flags,) * op.operands


def program(op: Op) -> list[str]:
    """Return the lines that compute one call, without those that fetch and return memory.

    >>> program(OPS["exp"])
    ['np.exp(x)']
    >>> program(OPS["silu"])[0]
    't0 = (np.exp if x.max() <= 709.0 else capped_exp)(x)'
    """
    call, given = operands(op)
    with np.errstate(all="ignore"):
        text = emit(simplify(trace(call, *given)), share_rows=False)
    body = text.partition("def program(")[2].splitlines()[1:]
    lines = [line.split("  # (")[0].partition("   #")[0].strip() for line in body]
    lines = [x for x in lines if x and not re.match(r"work = |b\d+.* = work|spare\.|return t", x)]
    made = [line.removeprefix("return ") for line in lines]
    return [re.sub(r"^t0 = ", "", made[0])] if len(made) == 1 else made


def nouns() -> dict[str, list[Op]]:
    """Return the ops by the file in which they are declared."""
    found: dict[str, list[Op]] = {}
    for op in OPS.values():
        homes = [getattr(f, "__module__", None) for f in (op.decompose, *op.rules, op.forward) if f]
        home = next((h for h in homes if h and h.startswith("autonn.engine.ops.")), "comparisons")
        found.setdefault(home.rpartition(".")[2], []).append(op)
    return found


def row(op: Op) -> str:
    """Lay one op out as a row of its table."""
    code = "<br>".join(f"`{line}`" for line in program(op))
    cells = [f"`{op.name}`", op.formula.replace("*", "\\*"), rows(op), code]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def page() -> str:
    """Make the whole page."""
    parts = [INTRODUCTION]
    for noun, inside in nouns().items():
        title = noun.replace("_", " ").capitalize()
        head = "| op | formula | rows | its program |\n|---|---|---|---|"
        parts.append("\n".join([f"## {title}\n", head, *map(row, inside), ""]))
    return "\n".join(parts)
