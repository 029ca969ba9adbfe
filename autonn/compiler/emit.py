"""Writing a graph down as a program that stands alone, in NumPy or in JavaScript."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autonn.compiler.emit_javascript import write_javascript
from autonn.compiler.emit_numpy import write_function
from autonn.compiler.graph import Graph, Node, behind
from autonn.compiler.partition import Parts, partition
from autonn.compiler.sources import Source, identifier, literal
from autonn.engine.errors import after

__all__ = ["emit", "template_of", "write_parts", "write_program"]


def emit(graph: Graph, target: str = "numpy", share_rows: bool = True) -> str:
    """Return the text of a program that computes a graph; its function is called ``program``.

    Parameters
    ----------
    graph
        As `trace` and `simplify` return it.
    target
        "numpy", or "javascript": one function of typed arrays.
    share_rows
        Whether to compute in slices of the rows, where there are many: see `partition`.

    Raises
    ------
    NotImplementedError
        For what JavaScript has no program of, with its op and its layer.

    Examples
    --------
    >>> import numpy as np
    >>> from autonn.compiler.simplify import simplify
    >>> from autonn.compiler.trace import trace
    >>> print(emit(simplify(trace(lambda x: x * 2, np.ones(3)))).partition("def ")[2])
    program(x):
        t0 = np.multiply(x, two)                                                  # (3,) z = x y
        return t0
    <BLANKLINE>
    """
    if target == "javascript":
        return write_javascript(_without_errors(graph))
    if target != "numpy":
        raise ValueError(f"emit writes 'numpy' or 'javascript', not {target!r}")
    source = Source(graph.name)
    write_program(source, graph, template_of(graph.form), share_rows)
    return source.text()


def _without_errors(graph: Graph) -> Graph:
    """Leave out what is made for its errors alone: JavaScript's numbers raise none."""
    outputs = [a.args[0] if isinstance(a, Node) and a.calls(after) else a for a in graph.outputs]
    return Graph(graph.inputs, outputs, graph.name, graph.form)


def write_program(source: Source, graph: Graph, template: str | None, share_rows: bool) -> bool:
    """Add the function ``program`` to a source; say whether it shares rows out.

    It returns the outputs by a template, or in one row where that is None.
    """
    parts = partition(graph) if share_rows else None
    if parts is None:
        write_function(source, "program", graph.inputs, graph.outputs, template)
        return False
    write_parts(source, parts, template)
    return True


def write_parts(source: Source, parts: Parts, template: str | None) -> None:
    """Add the function ``program`` of a graph that was cut, and those that it is made of."""
    graph = parts.graph
    calls: dict[str, list[Node]] = {}  # what each function takes
    if parts.early:
        used = _used(graph.inputs, parts.early)
        calls["before"] = write_function(source, "before", used, parts.early, None)
    for length, (inputs, stands_for, results) in parts.parts.items():
        taken = write_function(source, f"part_{length}", inputs, results, None)
        back = dict(zip(inputs, stands_for, strict=True))
        calls[f"part_{length}"] = [back.get(node, node) for node in taken]
    inputs = [*_used(graph.inputs, parts.finals), *parts.ends()]
    calls["after"] = write_function(source, "after", inputs, parts.finals, template)
    source.functions += _driver(source, parts, calls).splitlines()


def _used(inputs: Sequence[Node], outputs: Sequence[Any]) -> list[Node]:
    needed = set(behind(outputs))
    return [node for node in inputs if node in needed]


_DRIVER = '''

SLICES = [{slices}]


def added(first, *others):
    """Add up what the slices gave, in their order."""
    for other in others:
        first += other
    return first


def program({parameters}, share=map):
{before}
    def part(rows):
{part}

{sums}
    return {after}'''

_GO_ON = """\
    parts = [part(rows) for rows in SLICES]

    def go_on(*totals):
        return share(lambda part: part.send(totals), parts)
"""


_OF_DRIVER = (
    "program", "part", "parts", "rows", "go_on", "totals", "sums", "own", "share", "map", "zip",
    "np", "added", "slice", "SLICES",
)  # fmt: skip


def _driver(source: Source, parts: Parts, calls: dict[str, list[Node]]) -> str:
    """Write the function that deals the rows out and adds up what comes back."""
    nodes = *parts.graph.inputs, *source.given, *parts.early, *parts.ends()
    own = *_OF_DRIVER, *calls, *(f"slices_{k}" for k in range(len(parts.joined)))
    names = _names(nodes, own, parts)

    def called(function: str, dealt: bool = False) -> str:
        rows = {True: "[rows]", False: ""}
        texts = [names[n] + rows[dealt and n in parts.rows] for n in calls[function]]
        return f"{function}({', '.join(texts)})"

    lengths = sorted({stop - start for start, stop in parts.slices})
    first, *others = (called(f"part_{length}", dealt=True) for length in lengths)
    part = [f"        return {first}"]
    if others:
        part = [
            f"        if rows.stop - rows.start == {lengths[0]}:",
            f"            return {first}",
        ]
        part += [f"        return {others[0]}"]
    early = _row(names[n] for n in parts.early)
    before = f"    {early} = {called('before')}\n" if parts.early else ""
    return _DRIVER.format(
        slices=", ".join(f"slice({a}, {b})" for a, b in parts.slices),
        parameters=", ".join(names[n] for n in (*parts.graph.inputs, *source.given)),
        before=before,
        part="\n".join(part),
        sums=_sums(parts, names),
        after=called("after"),
    )


def _sums(parts: Parts, names: dict[Node, str]) -> str:
    """Write how the sums over all slices are made, and given to those that wait for them."""
    rows = [_row(names[n] for n in totals) for totals in (*parts.rounds, parts.totals)]
    calls = ["share(part, SLICES)"]
    if parts.rounds:
        calls = ["share(next, parts)", *(f"go_on({row.rstrip(',')})" for row in rows[:-1])]
    lines = [f"    {row} = map(added, *{call})" for row, call in zip(rows, calls, strict=True)]
    if parts.joined:
        lines[-1:] = _joined_lines(parts, names, rows[-1], calls[-1])
    return "\n".join([_GO_ON] * bool(parts.rounds) + lines)


def _joined_lines(parts: Parts, names: dict[Node, str], totals: str, call: str) -> list[str]:
    """Write how results with rows are joined, which the slices give after their sums."""
    slices = [f"slices_{k}" for k in range(len(parts.joined))]
    whole = zip(parts.joined, slices, strict=True)
    return [
        f"    *sums, {', '.join(slices)} = zip(*{call})",
        *([f"    {totals} = (added(*own) for own in sums)"] if totals else []),
        *(f"    {names[node]} = np.concatenate({own})" for node, own in whole),
    ]


def _names(nodes: Sequence[Node], taken: Sequence[str], parts: Parts) -> dict[Node, str]:
    """Name what the driver hands around, each by its label."""
    names: dict[Node, str] = {}
    used = set(taken)
    for node in nodes:
        label = identifier(node.label, "x" if node in parts.early else "total")
        free = (f"{label}_{k}" if k else label for k in range(len(used) + 1))
        names[node] = next(name for name in free if name not in used)
        used.add(names[node])
    return names


def _row(names: Any) -> str:
    listed = list(names)
    return ", ".join(listed) + "," * (len(listed) == 1)


# ---- the form of what it returns


def template_of(form: Any) -> str | None:
    """Write the expression of a result, ``({}, [{}])``, to be filled with names.

    None where it cannot be written as one: it is made of other things than tuples, lists and
    dicts with plain keys.
    """
    if isinstance(form, dict):
        if type(form) is not dict or any(type(key) not in (str, int, bool) for key in form):
            return None
        keys = [literal(key).replace("{", "{{").replace("}", "}}") for key in form]
        return _joined("{{", "}}", list(form.values()), [f"{key}: " for key in keys])
    if type(form) is list:
        return _joined("[", "]", form)
    if type(form) is tuple:
        return _joined("(", f"{',' * (len(form) == 1)})", form)
    return None if isinstance(form, list | tuple) else "{}"


def _joined(first: str, last: str, branches: Sequence[Any], keys: Sequence[str] = ()) -> str | None:
    texts: list[str] = []
    write: Callable[[Any], str | None] = template_of
    for k, branch in enumerate(branches):
        text = write(branch)
        if text is None:
            return None
        texts.append(f"{keys[k]}{text}" if keys else text)
    return f"{first}{', '.join(texts)}{last}"
