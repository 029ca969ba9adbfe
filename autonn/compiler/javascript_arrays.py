"""How ops of whole arrays are written in JavaScript, as loops: one entry an op.

A rule is given the writer and the call, and adds lines; it returns where the result lies. What an
op does that only moves numbers is asked of its own forward, by giving it their places.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from autonn.compiler.graph import Argument, Node
from autonn.compiler.javascript_loops import View, block, loops, over
from autonn.compiler.parts import PARTS
from autonn.engine import ops
from autonn.engine.lineage import op_behind
from autonn.engine.ops.indexing import is_basic
from autonn.engine.ops.rowwise import counted_axis, spelled_axes
from autonn.engine.tensor import Array

__all__ = ["ARRAYS", "Rule", "Writing", "copied"]


class Writing(Protocol):
    """What a rule asks of the writer: where operands lie, and where the result is to."""

    lines: list[str]

    def view(self, a: Argument) -> View:
        """Return where an operand lies."""

    def array(self, a: Argument) -> View:
        """Return where an operand lies, in an array."""

    def whole(self, a: Node) -> View:
        """Return an operand whose numbers lie one behind another."""

    def compact(self, view: View) -> View:
        """Copy a view where its numbers do not lie one behind another."""

    def result(self, node: Node, zero: bool = False) -> View:
        """Make where a result lies, of zeros if need be."""

    def table(self, values: Array) -> str:
        """Name an array of whole numbers that is written out."""


Rule = Callable[[Any, Node], View]


def copied(writer: Writing, source: View, target: View) -> None:
    """Copy numbers of one shape."""
    writer.lines += loops(
        target.shape, [target, source.broadcast(target.shape)], lambda t: [f"{t[0]} = {t[1]};"]
    )


# ---- other looks at the same numbers


def _reshape(writer: Writing, call: Node) -> View:
    view = writer.whole(call.args[0])
    return view.laid_out(call.shape)


def _transpose(writer: Writing, call: Node) -> View:
    axes = call.attribute("axes")
    order = range(call.ndim)[::-1] if axes is None else [int(a) % call.ndim for a in axes]
    return writer.array(call.args[0]).transposed(list(order))


def _broadcast_to(writer: Writing, call: Node) -> View:
    return writer.view(call.args[0]).broadcast(call.shape)


def _flip(writer: Writing, call: Node) -> View:
    x = writer.array(call.args[0])
    axes = spelled_axes(call.attribute("axis"), call.ndim)
    strides = tuple(-s if k in axes else s for k, s in enumerate(x.strides))
    turned = (x.strides[k] * (x.shape[k] - 1) for k in axes if x.shape[k])
    return View(x.name, x.shape, strides, x.offset + sum(turned))


def _basic(x: View, key: Any) -> View:
    """Read by whole numbers, slices and new axes: of an array with the same strides NumPy tells."""
    size = 1 + sum(abs(s) * (n - 1) for n, s in zip(x.shape, x.strides, strict=True) if n)
    start = -sum(s * (n - 1) for n, s in zip(x.shape, x.strides, strict=True) if s < 0 and n)
    block = np.zeros(max(size, 1), np.int8)
    laid = np.lib.stride_tricks.as_strided(block[start:], x.shape, x.strides)
    part = laid[key]
    if not isinstance(part, np.ndarray):
        part = laid[key if isinstance(key, tuple) and Ellipsis in key else (*_tuple(key), ...)]
    place = part.__array_interface__["data"][0] - block.__array_interface__["data"][0]
    offset = place - start if part.size else 0
    return View(x.name, part.shape, tuple(part.strides), x.offset + offset)


def _tuple(key: Any) -> tuple[Any, ...]:
    return key if isinstance(key, tuple) else (key,)


def _getitem(writer: Writing, call: Node) -> View:
    key = call.attribute("key")
    if is_basic(key):
        return _basic(writer.array(call.args[0]), key)
    return _moved(writer, call)


def _moved(writer: Writing, call: Node) -> View:
    """Take numbers from the places that the forward itself tells, given all places."""
    x = call.args[0]
    assert call.op is not None
    places = np.arange(x.size).reshape(x.shape)
    found = call.op.forward(places, *call.args[1:], **call.attributes)
    source, target = writer.whole(x), writer.result(call)
    table = writer.table(found.reshape(-1))
    flat = View(source.name, (x.size,), (1,), source.offset, source.is_number)
    body = f"{target.name}[i] = {flat.at(f'{table}[i]')};"
    writer.lines += [f"for (let i = 0; i < {call.size}; i++) {body}"]
    return target


# ---- putting and reading by places that are data


def _put(writer: Writing, call: Node) -> View:
    """Make zeros, and add at the places of the key."""
    source, target = writer.view(call.args[0]), writer.result(call, zero=True)
    key = call.attribute("key")
    if is_basic(key):
        copied(writer, source, _basic(target, key))
        return target
    places = np.arange(call.size).reshape(call.shape)[key]
    table = writer.table(places.reshape(-1))
    spread = writer.compact(source.broadcast(places.shape))
    flat = View(spread.name, (places.size,), (1,), spread.offset, spread.is_number)
    body = f"{target.name}[{table}[i]] += {flat.at('i')};"
    writer.lines += [f"for (let i = 0; i < {places.size}; i++) {body}"]
    return target


def _added(writer: Writing, call: Node) -> View:
    """Make zeros, and add each part at the places of its key, which is one of slices."""
    target = writer.result(call, zero=True)
    for part, key in zip(call.args, call.attribute("keys"), strict=True):
        views = [_basic(target, key), writer.view(part)]
        writer.lines += loops(views[0].shape, views, lambda t: [f"{t[0]} += {t[1]};"])
    return target


def _indexed(writer: Writing, key: Any, places: Sequence[Any], x: View) -> Any:
    """Return what writes an element of x for an index of x[key], whose indices may be data."""
    keys = list(_tuple(key))
    named = sum(k is not None and k is not Ellipsis for k in keys)
    at = next((i for i, k in enumerate(keys) if k is Ellipsis), len(keys))
    keys[at : at + 1] = [slice(None)] * (len(x.shape) - named)
    arrays: dict[int, View] = {}
    for i, k in enumerate(keys):
        if isinstance(k, ops.Slot) or not is_basic(k):
            arrays[i] = writer.view(places[k] if isinstance(k, ops.Slot) else np.asarray(k))
    spots = list(arrays)
    spread = np.broadcast_shapes(*(a.shape for a in arrays.values()))
    together = spots == list(range(spots[0], spots[-1] + 1))  # or NumPy puts their axes first
    lead = sum(isinstance(k, slice) or k is None for k in keys[: spots[0]]) if together else 0

    def element(index: Sequence[str]) -> str:
        """Write the element of x that an index of the result reads."""
        inner = index[lead : lead + len(spread)]
        rest = iter([*index[:lead], *index[lead + len(spread) :]])
        found: list[str] = []
        for i, k in enumerate(keys):
            if k is None:
                next(rest)
            else:
                value = arrays[i].broadcast(spread).at(*inner) if i in arrays else ""
                found.append(_part(k, x.shape[len(found)], value, rest))
        return x.at(*found)

    return element


def _part(k: Any, n: int, value: str, rest: Iterator[str]) -> str:
    """Write the place along one axis, of n places, that a part of a key reads."""
    if value:
        return f"({value} < 0 ? {value} + {n} : {value})"
    if not isinstance(k, slice):
        return str(int(k) % n)
    start, _, step = k.indices(n)
    i = next(rest)
    text = i if step == 1 else f"{step} * {i}"
    return f"{text} + {start}" if start else text


def _gather(writer: Writing, call: Node) -> View:
    x, *places = call.args
    element = _indexed(writer, call.attribute("key"), places, writer.array(x))
    target = writer.result(call)
    writer.lines += over(call.shape, lambda i: [f"{target.at(*i)} = {element(i)};"])
    return target


def _scatter(writer: Writing, call: Node) -> View:
    g, *places = call.args
    source, target = writer.view(g), writer.result(call, zero=True)
    element = _indexed(writer, call.attribute("key"), places, target)
    writer.lines += over(g.shape, lambda i: [f"{element(i)} += {source.at(*i)};"])
    return target


def _one_hot(writer: Writing, call: Node) -> View:
    """Make zeros, and a 1 for each label."""
    labels, target = writer.view(call.args[0]), writer.result(call, zero=True)
    ignored = call.attribute("ignored")

    def body(index: list[str]) -> list[str]:
        label = labels.at(*index)
        line = f"{target.at(*index, label)} = 1;"
        return [line if ignored is None else f"if ({label} !== {ignored}) {line}"]

    writer.lines += over(call.args[0].shape, body)
    return target


def _concatenate(writer: Writing, call: Node) -> View:
    """Copy the operands behind one another."""
    axis, target = counted_axis(call.attribute("axis"), call.ndim), writer.result(call)
    start = 0
    for a in call.args:
        n = a.shape[axis]
        part = _basic(target, (*[slice(None)] * axis, slice(start, start + n)))
        copied(writer, writer.view(a), part)
        start += n
    return target


# ---- over axes


def _reduction(begin: str, step: str, end: str = "{s}") -> Rule:
    """Write a reduction: `step` of the element ``{x}`` and what there is so far, ``{s}``."""

    def rule(writer: Writing, call: Node) -> View:
        """Write the loops over what stays, and within them over what is reduced."""
        x = writer.view(call.args[0])
        axes = spelled_axes(call.attribute("axis"), len(x.shape))
        kept = [k for k in range(len(x.shape)) if k not in axes]
        order = x.transposed([*kept, *axes]) if not x.is_number else x
        target = writer.result(call)
        shape = [x.shape[k] for k in kept]
        flat = target.laid_out(shape)

        def body(index: list[str]) -> list[str]:
            inner = over([x.shape[a] for a in axes], lambda j: [
                step.format(s="s", x=order.at(*index, *j))], len(index))  # fmt: skip
            store = f"{flat.at(*index)} = {end.format(s='s')};"
            return [f"let s = {begin};", *inner, store]

        lines = over(shape, body)
        if call.shape == () or all(n == 1 for n in shape):
            lines = block(lines)
        writer.lines += lines
        return target

    return rule


def _sum(writer: Writing, call: Node) -> View:
    """Add up; where the last axis stays, row after row, as they lie in memory."""
    x = writer.view(call.args[0])
    axes = spelled_axes(call.attribute("axis"), len(x.shape))
    if x.is_number or not axes or len(x.shape) - 1 in axes or not x.is_whole:
        return _reduction("0", "{s} += {x};")(writer, call)
    target = writer.result(call, zero=True)
    kept = [k for k in range(len(x.shape)) if k not in axes]
    shape = [x.shape[k] for k in kept]
    flat = target.laid_out(shape)
    lines = over(x.shape, lambda i: [f"{flat.at(*(i[k] for k in kept))} += {x.at(*i)};"])
    writer.lines += lines
    return target


def _variance(writer: Writing, call: Node) -> View:
    """Write the variance, or its root, in two passes: first the mean."""
    x = writer.view(call.args[0])
    axes = spelled_axes(call.attribute("axis"), len(x.shape))
    n = math.prod(x.shape[a] for a in axes)
    kept = [k for k in range(len(x.shape)) if k not in axes]
    order = x.transposed([*kept, *axes])
    target, shape = writer.result(call), [x.shape[k] for k in kept]
    flat = target.laid_out(shape)
    inside = [x.shape[a] for a in axes]
    root = "Math.sqrt" if call.calls(ops.std) else ""

    def body(index: list[str]) -> list[str]:
        first = over(inside, lambda j: [f"m += {order.at(*index, *j)} / {n};"], len(index))
        second = over(inside, lambda j: [f"s += ({order.at(*index, *j)} - m) ** 2;"], len(index))
        end = f"{flat.at(*index)} = {root}(s / {n - call.attribute('ddof')});"
        return ["let m = 0, s = 0;", *first, *second, end]

    lines = over(shape, body)
    writer.lines += block(lines)
    return target


def _place(better: str) -> Rule:
    """Write where the largest or least is, the first of them."""

    def rule(writer: Writing, call: Node) -> View:
        """Write the loops over what stays, and within them the search."""
        x, axis = writer.view(call.args[0]), call.attributes.get("axis")
        if axis is None:
            x, axis = writer.whole(call.args[0]), 0
            x = View(x.name, (x.size,), (1,), x.offset)
        axis %= len(x.shape)
        kept = [k for k in range(len(x.shape)) if k != axis]
        order = x.transposed([*kept, axis])
        target, shape = writer.result(call), [x.shape[k] for k in kept]
        flat = target.laid_out(shape)

        def body(index: list[str]) -> list[str]:
            test = f"if ({order.at(*index, 'n')} {better} {order.at(*index, 'best')}) best = n;"
            return [
                "let best = 0;",
                f"for (let n = 1; n < {x.shape[axis]}; n++) {test}",
                f"{flat.at(*index)} = best;",
            ]

        writer.lines += block(over(shape, body))
        return target

    return rule


def _argsort(writer: Writing, call: Node) -> View:
    """Sort the places along an axis; JavaScript keeps the order of equal elements."""
    x = writer.view(call.args[0])
    axis = counted_axis(call.attributes.get("axis", -1), call.ndim)
    kept = [k for k in range(call.ndim) if k != axis]
    target = writer.result(call)
    order, out = x.transposed([*kept, axis]), target.transposed([*kept, axis])

    def body(i: list[str]) -> list[str]:
        compared = f"{order.at(*i, 'a')} - {order.at(*i, 'b')}"
        return [
            f"const rows = Array.from({{length: {call.shape[axis]}}}, (_, n) => n);",
            f"rows.sort((a, b) => {compared});",
            f"for (let n = 0; n < {call.shape[axis]}; n++) {out.at(*i, 'n')} = rows[n];",
        ]

    writer.lines += block(over([call.shape[k] for k in kept], body))
    return target


def _running(step: str) -> Rule:
    """Write what adds up, or multiplies, along an axis."""

    def rule(writer: Writing, call: Node) -> View:
        """Write the loops over the other axes, and within them the running value."""
        x, axis = writer.view(call.args[0]), call.attribute("axis") % call.ndim
        kept = [k for k in range(call.ndim) if k != axis]
        target = writer.result(call)
        order, out = x.transposed([*kept, axis]), target.transposed([*kept, axis])

        def body(index: list[str]) -> list[str]:
            update = f"s {step} {order.at(*index, 'n')};"
            return [
                f"let s = {int(step == '*=')};",
                f"for (let n = 0; n < {call.shape[axis]}; n++) {{",
                f"  {update}",
                f"  {out.at(*index, 'n')} = s;",
                "}",
            ]

        writer.lines += block(over([call.shape[k] for k in kept], body))
        return target

    return rule


ARRAYS: dict[Any, Rule] = {
    ops.reshape.op: _reshape,
    ops.transpose.op: _transpose,
    ops.broadcast_to.op: _broadcast_to,
    ops.flip.op: _flip,
    ops.roll.op: _moved,
    ops.getitem.op: _getitem,
    ops.put.op: _put,
    PARTS: _added,
    ops.gather.op: _gather,
    ops.scatter.op: _scatter,
    ops.one_hot_rows.op: _one_hot,
    op_behind(lambda x: np.concatenate([x, x])): _concatenate,
    ops.sum.op: _sum,
    ops.max.op: _reduction("-Infinity", "{s} = Math.max({s}, {x});"),
    ops.min.op: _reduction("Infinity", "{s} = Math.min({s}, {x});"),
    ops.prod.op: _reduction("1", "{s} *= {x};"),
    op_behind(np.linalg.norm): _reduction("0", "{s} += {x} ** 2;", "Math.sqrt({s})"),
    np.any: _reduction("0", "if ({x}) {s} = 1;"),
    np.all: _reduction("1", "if (!{x}) {s} = 0;"),
    np.count_nonzero: _reduction("0", "if ({x}) {s} += 1;"),
    ops.var.op: _variance,
    ops.std.op: _variance,
    np.argmax: _place(">"),
    np.argmin: _place("<"),
    np.argsort: _argsort,
    op_behind(lambda x: np.cumsum(x, axis=0)): _running("+="),
    op_behind(lambda x: np.cumprod(x, axis=0)): _running("*="),
}
