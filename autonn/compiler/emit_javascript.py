"""Writing a graph down in JavaScript: one flat function of typed arrays, which stands alone.

Each call of the graph becomes a line or a loop, with the same names and formulas as the NumPy
program; what is computed element by element and read once is written where it is read. Values lie
in buffers that are made once, and are used again when a value is not needed any more; only what is
returned is made anew at each call.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autonn.compiler.graph import Argument, Given, Graph, Node
from autonn.compiler.javascript_arrays import ARRAYS, Rule, copied
from autonn.compiler.javascript_loops import View, contiguous, loops
from autonn.compiler.javascript_numbers import HELPERS, NUMBERS
from autonn.compiler.javascript_products import PRODUCTS
from autonn.compiler.javascript_windows import WINDOWS
from autonn.compiler.sources import identifier
from autonn.compiler.unrolling import unrolled
from autonn.engine import ops
from autonn.engine.lineage import whereabouts
from autonn.engine.op import Memory, elementwise
from autonn.engine.tensor import Array

__all__ = ["write_javascript"]

# Words of JavaScript that Python's identifiers may be, and what the program itself names.
_RESERVED = frozenset(re.findall(r"\w+", (
    "abstract arguments await boolean break byte case catch char class const continue "
    "debugger default delete do double else enum eval export extends false final finally "
    "float for function goto if implements import in instanceof int interface let long native "
    "new null package private protected public return short static super switch synchronized "
    "this throw throws transient true try typeof var void volatile while with yield NaN "
    "Infinity undefined Math Number Object Array program random rest best count mean top "
    "total rows Float64Array Float32Array Uint8Array Int32Array "
)))  # fmt: skip

# Whole numbers are numbers like others there, exact up to 2^53.
_ARRAYS = {"f4": "Float32Array", "f8": "Float64Array", "b1": "Uint8Array"}
_ARRAYS |= {f"{kind}{size}": "Float64Array" for kind in "iu" for size in (1, 2, 4, 8)}
_MOST = 200_000  # numbers of a constant that are written out; a program of more is no text

_LONGEST = 6  # calls in one expression, so that a person can read it

_TABLE: dict[Any, Rule] = ARRAYS | PRODUCTS | WINDOWS


def write_javascript(
    graph: Graph, fresh: bool = True, onto: Mapping[int, int] | None = None
) -> str:
    """Return the text of a graph in JavaScript: a function ``program``, and what it needs.

    It takes what the NumPy program takes, in the same order: typed arrays row by row, and numbers
    where there are no axes. It returns a list where that returns a tuple or list; the arrays in it
    are the caller's own, or those of the last call again where they need not be `fresh`. A step of
    the digit network with its update takes 0.054 ms in place of 0.088 without making them.

    `onto` says which outputs are written over which inputs, by their places: as new weights over
    the old ones, which a step needs no more. They are the same arrays after the call.

    Raises
    ------
    NotImplementedError
        For what can't be written, with its op and its layer.
    """
    plain = unrolled(graph)
    over = {plain.outputs[k]: plain.inputs[i] for k, i in (onto or {}).items()}
    writer = _Writer(plain, fresh, over)
    return "\n".join(writer.text()) + "\n"


class _Writer:
    """Writes one graph, call by call."""

    def __init__(self, graph: Graph, fresh: bool, onto: Mapping[Argument, Node]) -> None:
        self.graph, self.is_fresh, self.onto = graph, fresh, onto
        self.order = graph.nodes()
        self.inlined = _inlined(self.order, graph.outputs)
        self.lines: list[str] = []  # of the function
        self.puts: list[str] = []  # at its end: what could not be written where it is to lie
        self.header: list[str] = []  # before it: constants, buffers
        self.views: dict[Node, View] = {}
        self.taken: set[str] = set(_RESERVED) | set(HELPERS)
        self.numbers: dict[str, int] = {}
        self.draws = False
        self.tables: dict[bytes, str] = {}
        self.buffers: dict[str, tuple[str, int]] = {}  # by name: kind and size
        self.free: dict[str, list[str]] = {}
        self.roots: dict[Node, str] = {}  # in which buffer a value lies
        self.alias: dict[str, str] = {}  # names of buffers for the while of a value
        self.until: dict[str, int] = {}
        self.step = 0
        self.last = self._last_uses()

    # ---- the whole

    def text(self) -> list[str]:
        """Return the lines of the program."""
        given = [n for n in self.order if n.given in (Given.PARAMETER, Given.ARRAY)]
        parameters = [*self.graph.inputs, *given]
        for node in parameters:
            self.view_of_given(node)
        for step, node in enumerate(self.order):
            self.step = step
            if node.is_constant:
                self.constant(node)
            elif node.op is not None and node not in self.inlined:
                self.call(node)
            self.release()
        result = self.returned(self.graph.form, iter([*map(self.output, self.graph.outputs)]))
        self.lines += self.puts
        names = [self.views[n].name for n in parameters] + ["random = Math.random"] * self.draws
        told = [f"// {self.views[n].name}: {_told(n)}" for n in parameters]
        body = [*self.lines, f"return {result};"]
        used = "\n".join([*self.header, *body])
        buffers = [f"const {b} = new {kind}({n});" for b, (kind, n) in self.buffers.items()]
        return [
            f"// {identifier(self.graph.name, 'f')}, derived by autonn. Arrays lie row by row.",
            *told,
            *self.header,
            *buffers,
            *_helpers(used),
            "",
            f"function program({', '.join(names)}) {{",
            *(f"  {line}" for line in body),
            "}",
        ]

    def returned(self, form: Any, outputs: Any) -> str:
        """Write the result in its form; what is given beyond that stands in one row."""
        if isinstance(form, dict):
            inside = (f"[{_text(k)}]: {self.returned(v, outputs)}" for k, v in form.items())
            text = f"{{{', '.join(inside)}}}"
        elif isinstance(form, list | tuple):
            text = f"[{', '.join([self.returned(v, outputs) for v in form])}]"
        else:
            text = next(outputs)
        if form is self.graph.form:
            more = list(outputs)
            text = f"[{', '.join([text, *more])}]" if more else text
        return text

    def output(self, output: Argument) -> str:
        """Write a result, which is the caller's own."""
        if not isinstance(output, Node):
            return _text(output)
        view = self.views[output]
        if output.shape == ():
            return view.at()
        over = self.onto.get(output)
        into = self.views[over].name if over is not None else ""
        name = view.name
        if name != into and (self.roots.get(output) != name or name in self.buffers):
            fresh = self.make(output, self.fresh(output.label or "result"))
            copied(self, view, fresh)
            name = fresh.name
        if into and name != into:  # not before all that is returned was read
            self.puts.append(f"{into}.set({name});")
        return into or name

    # ---- one call

    def call(self, node: Node) -> None:
        """Write the call of an op."""
        op = node.op
        assert op is not None
        start = len(self.lines)
        if op.rows is elementwise and op.memory is Memory.VIEW:
            self.views[node] = self.view(node.args[0])
        elif _template(node):
            self.views[node] = self.element_by_element(node)
        elif op.draws:
            self.views[node] = self.random(node)
        else:
            rule = _TABLE.get(op) or _TABLE.get(op.forward)
            if rule is None:
                raise NotImplementedError(
                    f"JavaScript: {op.name}{whereabouts(node.place, ' in layer {path}')} is not "
                    "among the ops that are written in it; the NumPy program has it"
                )
            self.views[node] = rule(self, node)
        lies = self.alias.get(self.views[node].name, self.views[node].name)
        source = next((lies for a in node.nodes() if self.roots.get(a) == lies), None)
        if source is not None:
            self.roots.setdefault(node, source)
        name = self.roots.get(node)
        if name is not None:
            self.until[name] = max(self.until.get(name, 0), self.last.get(node, 0))
        if len(self.lines) > start:
            self.lines.insert(start, self.comment(node, op.formula))

    def comment(self, node: Node, formula: str) -> str:
        """Tell what a call computes, and what that has a name is written within it."""
        shape = f"{node.shape} " if node.shape else ""
        within = "".join(f", {_plain(a.label)} within it" for a in self.within(node) if a.label)
        return f"// {self.views[node].name}: {shape}{' '.join(formula.split())}{within}"

    def within(self, node: Node) -> list[Node]:
        """List the calls that are written within one."""
        inner = [a for a in node.nodes() if a in self.inlined]
        return [*inner, *(b for a in inner for b in self.within(a))]

    def element_by_element(self, node: Node) -> View:
        """Write an element-wise call: of numbers as an expression, of arrays as one loop."""
        views: list[View] = []
        template = self.composed(node, node.shape, views)
        target = self.in_place(node, views) or self.result(node)
        self.lines += loops(
            node.shape, [target, *views], lambda t: [f"{t[0]} = {_filled(template, t[1:])};"]
        )
        return target

    def in_place(self, node: Node, views: Sequence[View]) -> View | None:
        """Return the input that a result goes over, if nothing else of it is read from now on."""
        given = self.onto.get(node)
        if given is None or (given.shape, given.dtype) != (node.shape, node.dtype):
            return None
        own = self.views[given]
        same = own.broadcast(node.shape)
        moved = any(v.name == own.name and v != same for v in views)
        later = any(v.name == own.name and self.last.get(n, 0) > self.step
                    for n, v in self.views.items())  # fmt: skip
        return None if moved or later or own.is_number else own

    def composed(self, node: Node, shape: tuple[int, ...], views: list[View]) -> str:
        """Compose the expression of a call and of those that are written within it."""
        parts = []
        for a in node.args:
            if isinstance(a, Node) and a in self.inlined:
                parts.append(f"({self.composed(a, shape, views)})")
            else:
                parts.append(f"{{{len(views)}}}")
                views.append(self.view(a).broadcast(shape))
        return _template(node).format(*parts)

    def random(self, node: Node) -> View:
        """Draw numbers, by a function that may be given last."""
        self.draws = True
        target = self.result(node)
        self.lines += loops(node.shape, [target], lambda t: [f"{t[0]} = random();"])
        return target

    # ---- values

    def view(self, a: Argument) -> View:
        """Return where an operand lies; a number is written as it is."""
        if isinstance(a, Node):
            if a not in self.views:
                self.constant(a)
            return self.views[a]
        if isinstance(a, np.ndarray | np.generic):
            return self.view(Node.constant(a))
        return View(_text(a), (), (), 0, True)

    def array(self, a: Argument) -> View:
        """Return where an operand lies, in an array."""
        view = self.view(a)
        if not view.is_number or not view.shape:
            return view
        return self.compact(view, force=True)

    def whole(self, a: Node) -> View:
        """Return an operand whose numbers lie one behind another; or copy it so."""
        return self.compact(self.view(a))

    def compact(self, view: View, force: bool = False) -> View:
        """Copy a view where its numbers do not lie one behind another."""
        if (view.is_whole and not force) or (view.is_number and not force):
            return view
        name = self.fresh("copy")
        self.header.append(f"const {name} = new Float64Array({view.size});")
        copy = View(name, view.shape, contiguous(view.shape))
        copied(self, view, copy)
        return copy

    def result(self, node: Node, zero: bool = False) -> View:
        """Make where a result lies: a variable, a buffer, or what is returned."""
        if node.shape == ():
            name = self.fresh(node.label or "t")
            self.lines.append(f"let {name} = 0;")
            return View(name, (), (), 0, True)
        if any(node is output for output in self.graph.outputs):
            view = self.make(node, self.fresh(node.label or "t"))
            self.roots[node] = view.name
            if zero and not self.is_fresh:
                self.lines.append(f"{view.name}.fill(0);")
            return view
        kind = _kind(node.dtype)
        name = self.buffer(kind, node.size)
        self.roots[node] = name
        if node.label:  # as the NumPy program calls it
            label = self.fresh(node.label)
            self.alias[label] = name
            self.lines.append(f"const {label} = {name};")
            name = label
        if zero:
            self.lines.append(f"{name}.fill(0, 0, {node.size});")
        return View(name, node.shape, contiguous(node.shape))

    def make(self, node: Node, name: str) -> View:
        """Make an array that is returned."""
        line = f"const {name} = new {_kind(node.dtype)}({node.size});"
        (self.lines if self.is_fresh else self.header).append(line)
        return View(name, node.shape, contiguous(node.shape))

    def buffer(self, kind: str, size: int) -> str:
        """Take a buffer that is free, the smallest that is large enough or the largest."""
        idle = self.free.setdefault(kind, [])
        if idle:
            idle.sort(key=lambda b: self.buffers[b][1])
            name = next((b for b in idle if self.buffers[b][1] >= size), idle[-1])
            idle.remove(name)
        else:
            name = self.fresh("b")
            self.buffers[name] = kind, 0
        self.buffers[name] = kind, max(size, self.buffers[name][1])
        return name

    def release(self) -> None:
        """Give back the buffers of which nothing is needed after this step."""
        for name, until in list(self.until.items()):
            if until <= self.step and name in self.buffers:
                self.free.setdefault(self.buffers[name][0], []).append(name)
                del self.until[name]

    def _last_uses(self) -> dict[Node, int]:
        """Tell which step is the last that reads each value; of what is returned there is none."""
        last: dict[Node, int] = {}
        step = {node: k for k, node in enumerate(self.order)}
        for node in reversed(self.order):  # what is written within another is read there
            k = last[node] if node in self.inlined else step[node]
            for a in node.nodes():
                last[a] = max(last.get(a, 0), k)
        return last | {o: len(self.order) + 1 for o in self.graph.outputs if isinstance(o, Node)}

    # ---- what is given

    def view_of_given(self, node: Node) -> None:
        """Name an argument: a number where it has no axes."""
        name = self.fresh(node.label or "p")
        self.views[node] = View(name, node.shape, contiguous(node.shape), 0, node.shape == ())

    def constant(self, node: Node) -> None:
        """Write a constant: a number as it is, an array before the function."""
        value = np.asarray(node.value)
        if value.shape == ():
            self.views[node] = View(_text(value.item()), (), (), 0, True)
            return
        name = self.table(value.reshape(-1), _kind(value.dtype), node.label or "constant")
        self.views[node] = View(name, node.shape, contiguous(node.shape))

    def table(self, values: Array, kind: str = "Int32Array", label: str = "places") -> str:
        """Write an array of constants before the function, once for all of the same bits."""
        key = kind.encode() + values.tobytes()
        if key not in self.tables:
            if values.size > _MOST:
                raise NotImplementedError(
                    f"JavaScript: a constant of {values.size:,} numbers would have to be written "
                    "out; make it an argument of the function"
                )
            self.tables[key] = self.fresh(label)
            even = values.size > 1 and bool((values == values[0]).all())
            if even:
                text = f"new {kind}({values.size}).fill({_text(values[0].item())})"
            else:
                text = f"{kind}.of({', '.join(_text(v) for v in values.tolist())})"
            self.header.append(f"const {self.tables[key]} = {text};")
        return self.tables[key]

    def fresh(self, label: str) -> str:
        """Take a name that nothing has yet: the label, or b0, b1, ... and t0, t1, ..."""
        label = _plain(label)
        counted = label in ("b", "t")
        number = self.numbers.get(label, 0)
        while True:
            name = f"{label}{number}" if counted else f"{label}_{number}" if number else label
            number += 1
            if name not in self.taken and not _is_index(name):
                break
        self.numbers[label] = number
        self.taken.add(name)
        return name


def _plain(label: str) -> str:
    """Make a name of a label, which may have dots in it."""
    return identifier(re.sub(r"\W", "_", label), "t")


def _template(node: Node) -> str:
    """Return the expression of an element-wise call; "" for any other.

    A column times a row is one too: so a step of descent needs no array for the gradient of W.
    """
    return "{0} * {1}" if _is_outer(node) else NUMBERS.get(node.op, "")


def _is_outer(node: Node) -> bool:
    """Whether a call is a column times a row."""
    matrices = node.calls(ops.matmul) and [a.ndim for a in node.nodes()] == [2, 2]
    return matrices and node.args[0].shape[1] == 1


def _inlined(order: Sequence[Node], outputs: Sequence[Argument]) -> set[Node]:
    """Tell which calls are written within another: element by element, and read once."""
    readers: dict[Node, list[Node]] = {}
    for node in order:
        for a in node.nodes():
            readers.setdefault(a, []).append(node)
    found: set[Node] = set()
    weight: dict[Node, int] = {}  # how many calls are written as one
    for node in order:
        if _template(node):
            weight[node] = 1 + sum(weight[a] for a in node.nodes() if a in found)
            own = any(node is output for output in outputs)
            if not own and weight[node] <= _LONGEST and _fits_within(node, readers.get(node, [])):
                found.add(node)
    return found


def _fits_within(node: Node, readers: Sequence[Node]) -> bool:
    """Whether a call is read once, by another of the same shape, and needs no rounding between."""
    if len(readers) != 1 or (node.label and not _is_outer(node)) or node.shape == ():
        return False
    (by,) = readers
    once = _template(by).count(f"{{{by.args.index(node)}}}") == 1
    exact = node.dtype.kind != "f" or node.dtype == np.float64
    return once and exact and by.shape == node.shape


def _is_index(name: str) -> bool:
    """Whether loops may use a name for what they count, or inside."""
    return re.fullmatch(r"([abijklmnpqrsuvw])\1*|s\d|c\d*", name) is not None


def _filled(template: str, texts: Sequence[str]) -> str:
    """Put operands into an expression, in brackets where they are no names or elements."""
    return template.format(*(t if re.fullmatch(r"[\w.\[\] +*()]+", t) else f"({t})" for t in texts))


def _kind(dtype: np.dtype[Any]) -> str:
    """Name the typed array of a dtype."""
    kind = _ARRAYS.get(np.dtype(dtype).str[1:])
    if kind is None:
        raise NotImplementedError(f"JavaScript: it has no arrays of {dtype}; use float64")
    return kind


def _text(a: Any) -> str:
    """Write a Python value."""
    if isinstance(a, bool | np.bool):
        return str(int(a))
    if a is None:
        return "null"
    if isinstance(a, int | np.integer):
        return str(int(a))
    if isinstance(a, float | np.floating):
        if math.isfinite(a):
            return repr(float(a))
        return "NaN" if a != a else "-Infinity" if a < 0 else "Infinity"
    return json.dumps(str(a))


def _told(node: Node) -> str:
    return f"{_kind(node.dtype)} {node.shape}" if node.shape else "a number"


def _helpers(text: str) -> list[str]:
    """List the helpers that a text calls, and those they call."""
    found: dict[str, str] = {}
    rest = text
    while rest:
        new = [n for n in HELPERS if n not in found and re.search(rf"\b{n}\(", rest)]
        found |= {name: HELPERS[name] for name in new}
        rest = "\n".join(HELPERS[name] for name in new)
    return [line for text in found.values() for line in ["", *text.splitlines()]]
