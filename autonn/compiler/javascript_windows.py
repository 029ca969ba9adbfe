"""How what slides windows, and the losses' own ops, are written in JavaScript: one entry an op."""

from __future__ import annotations

from typing import Any

from autonn.compiler.graph import Node
from autonn.compiler.javascript_arrays import Rule, Writing
from autonn.compiler.javascript_loops import View, block, loops, over
from autonn.engine import ops

__all__ = ["WINDOWS"]


def _inside(place: list[str], lengths: Any) -> str:
    """Write the question whether a place lies inside of x."""
    tests = (f"{p} >= 0 && {p} < {n}" for p, n in zip(place, lengths, strict=True))
    return " && ".join(tests)


def _places(call: Node, at: list[str], within: list[str]) -> list[str]:
    """Write ``s p + d k - before`` along each axis."""
    how = (call.attribute(name) for name in ("stride", "dilation", "padding"))
    axes = zip(at, within, *how, strict=True)
    return [f"({s} * {p} + {d} * {k} - {before})" for p, k, s, d, (before, _) in axes]


def _slid(x: int, w: int, z: int) -> Rule:
    """Write one of the three sums of products: -1 stands for the result, 0 and 1 for operands.

    `x` are the pictures, `w` the kernels, `z` what a convolution makes of them.
    """

    def rule(writer: Writing, call: Node) -> View:
        """Write the loops over pictures, groups, kernels, their places and positions."""
        views = [*map(writer.view, call.args), writer.result(call, zero=True)]
        pictures, kernels, made = views[x], views[w], views[z]
        groups = call.attribute("groups")
        o, per_group, *size = kernels.shape
        n = len(size)
        each = o // groups
        counts, lengths = made.shape[2:], pictures.shape[2:]

        def body(i: list[str]) -> list[str]:
            """Write one product, where its place lies inside."""
            m, g, q, c = i[:4]
            within, at = i[4 : 4 + n], i[4 + n :]
            place = _places(call, at, within)
            unit = f"{each} * {g} + {q}" if groups > 1 else q
            channel = f"{per_group} * {g} + {c}" if groups > 1 else c
            texts = [
                pictures.at(m, channel, *place),
                kernels.at(unit, c, *within),
                made.at(m, unit, *at),
            ]
            roles = {x: 0, w: 1, z: 2}
            first, second, result = (texts[roles[k]] for k in (0, 1, -1))
            return [f"if ({_inside(place, lengths)}) {result} += {first} * {second};"]

        sides = [made.shape[0], groups, each, per_group, *size, *counts]
        writer.lines += over(sides, body)
        return views[-1]

    return rule


def _pool_max(writer: Writing, call: Node) -> View:
    """Compare place by place; what lies in the frame is never the largest."""
    x, z = writer.view(call.args[0]), writer.result(call)
    size = call.attribute("size")
    n, lead = len(size), call.ndim - len(size)
    writer.lines += [f"{z.name}.fill(-Infinity, 0, {call.size});"]

    def body(i: list[str]) -> list[str]:
        place = _places(call, i[lead : lead + n], i[lead + n :])
        out = z.at(*i[: lead + n])
        read = x.at(*i[:lead], *place)
        return [f"if ({_inside(place, x.shape[lead:])}) {out} = Math.max({out}, {read});"]

    writer.lines += over([*call.shape, *size], body)
    return z


def _at_max(forward: bool) -> Rule:
    """Write what shares numbers among the largest of each window, and what takes their mean."""

    def rule(writer: Writing, call: Node) -> View:
        """Write the loops over windows, and twice over the places in each."""
        g, x, top = map(writer.view, call.args)
        out = writer.result(call, zero=True)
        size = call.attribute("size")
        lead = call.ndim - len(size)

        def body(i: list[str]) -> list[str]:
            """Write one window."""

            def each(line: str) -> list[str]:
                """Write what is done at each place of the window that is as large."""

                def inner(k: list[str]) -> list[str]:
                    place = _places(call, i[lead:], k)
                    v = x.at(*i[:lead], *place)
                    inside = _inside(place, x.shape[lead:])
                    at = (g if not forward else out).at(*i[:lead], *place)
                    return [f"if ({inside} && {v} === top) {line.format(at=at)}"]

                return over(size, inner, len(i))

            first = [f"const top = {top.at(*i)};", "let count = 0, mean = 0;"]
            if forward:
                share = f"{{at}} += {g.at(*i)} / count;"
                return [*first, *each("count += 1;"), *each(share)]
            last = f"{out.at(*i)} = count ? mean / count : 0;"
            return [*first, *each("{{ count += 1; mean += {at}; }}"), last]

        writer.lines += block(over(top.shape, body))
        return out

    return rule


def _windows(writer: Writing, call: Node) -> View:
    """Copy what each window reads; the frame is zeros."""
    x, z = writer.view(call.args[0]), writer.result(call, zero=True)
    size = call.attribute("size")
    n, lead = len(size), len(x.shape) - len(size)

    def body(i: list[str]) -> list[str]:
        place = _places(call, i[lead + n :], i[lead : lead + n])
        read = x.at(*i[:lead], *place)
        return [f"if ({_inside(place, x.shape[lead:])}) {z.at(*i)} = {read};"]

    writer.lines += over(call.shape, body)
    return z


def _add_windows(writer: Writing, call: Node) -> View:
    """Add each window up where it read."""
    x, z = writer.view(call.args[0]), writer.result(call, zero=True)
    size = call.attribute("size")
    n, lead = len(size), call.ndim - len(size)

    def body(i: list[str]) -> list[str]:
        place = _places(call, i[lead + n :], i[lead : lead + n])
        into = z.at(*i[:lead], *place)
        return [f"if ({_inside(place, call.shape[lead:])}) {into} += {x.at(*i)};"]

    writer.lines += over(x.shape, body)
    return z


# ---- losses


def _cross_entropy(writer: Writing, call: Node) -> View:
    """Write ``-1/m sum [y ln a + (1 - y) ln(1 - a)]``, where 0 ln 0 = 0."""
    a, y = map(writer.view, call.args)
    target = writer.result(call)

    def body(t: list[str]) -> list[str]:
        p, label = t
        yes = f"if ({label} !== 0) {target.name} -= {label} * Math.log({p}) / {a.shape[0]};"
        rest = f"{target.name} -= (1 - {label}) * Math.log1p(-{p}) / {a.shape[0]};"
        return [yes, f"if ({label} !== 1) {rest}"]

    writer.lines += loops(a.shape, [a, y.broadcast(a.shape)], body)
    return target


def _log_others(writer: Writing, call: Node) -> View:
    """Write ``ln(1 - p)`` up to p = 1/2; beyond, where it cancels, the others' own sum."""
    x, z = writer.view(call.args[0]), writer.result(call)
    classes = call.shape[-1]

    def body(i: list[str]) -> list[str]:
        """Write one row: its largest, its sum, and for each class that of the others."""

        def each(name: str, line: str) -> str:
            return f"for (let {name} = 0; {name} < {classes}; {name}++) {line}"

        value = x.at(*i, "n")
        return [
            "let top = -Infinity, total = 0;",
            each("n", f"top = Math.max(top, {value});"),
            each("n", f"total += Math.exp({value} - top);"),
            f"for (let k = 0; k < {classes}; k++) {{",
            f"  const p = Math.exp({x.at(*i, 'k')} - top) / total;",
            "  let rest = 0;",
            f"  {each('n', f'if (n !== k) rest += Math.exp({value} - top);')}",
            f"  {z.at(*i, 'k')} = p > 0.5 ? Math.log(rest / total) : Math.log1p(-p);",
            "}",
        ]

    lines = over(call.shape[:-1], body, 5)
    writer.lines += block(lines)
    return z


WINDOWS: dict[Any, Rule] = {
    ops.conv.op: _slid(0, 1, -1),
    ops.conv_transpose.op: _slid(-1, 1, 0),
    ops.conv_weight.op: _slid(0, -1, 1),
    ops.pool_max.op: _pool_max,
    ops.share_max.op: _at_max(forward=True),
    ops.mean_at_max.op: _at_max(forward=False),
    ops.windows.op: _windows,
    ops.add_windows.op: _add_windows,
    ops.cross_entropy.op: _cross_entropy,
    ops.log_others.op: _log_others,
}
