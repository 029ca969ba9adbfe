"""Writing a graph down as a flat NumPy function, by a plan of its memory.

This is text and nothing else: what lies where was decided in `memory.plan`. A call is written as
its op says (`Op.prints`); a few are written in another way that starts sooner or runs faster, each
with the measurement beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from types import FunctionType
from typing import Any

import numpy as np
from numpy import ndarray
from scipy.linalg import blas

from autonn.compiler.emit_faster import FASTER, bounds, in_one_row, parts_at
from autonn.compiler.emit_loop import loop_lines, memory_line
from autonn.compiler.exchange import ADDED
from autonn.compiler.graph import Argument, Given, Node
from autonn.compiler.layout import is_product, is_ufunc, laid, repeats
from autonn.compiler.lowering import EMPTY, FILLED, LAST, LOOP, lowered
from autonn.compiler.memory import Plan, Stretch, plan, whole_of, writes
from autonn.compiler.sources import Source, dtype_text, identifier, literal
from autonn.engine import ops
from autonn.engine.modes import CannotCompileError

__all__ = ["write_function"]


def write_function(
    source: Source,
    name: str,
    inputs: Sequence[Node],
    outputs: Sequence[Argument],
    template: str | None,
) -> list[Node]:
    """Add the function that computes these outputs to a source; return what it takes, in order.

    `template` is the expression that it returns, with ``{}`` in the places of the outputs; None
    returns them in one row.
    """
    source.reserve(name)
    return _write(source, name, inputs, lowered(outputs), template)


def _write(
    source: Source, name: str, inputs: Sequence[Node], outputs: Sequence[Argument],
    template: str | None, placed: Sequence[Placed] = (),
) -> list[Node]:  # fmt: skip
    """Add a function of a graph whose loops have their memory."""
    stacked = [value for value, _, adds in placed if not adds]
    summed = [value for value, _, adds in placed if adds]
    emitter = _Emitter(source, inputs, plan(inputs, outputs, stacked, summed))
    emitter.placed = placed
    lines = emitter.function(name, template)
    source.functions += ["", "", *lines]
    return emitter.parameters


def _write_step(source: Source) -> Any:
    """Make the function that writes the step of a loop down."""

    def write(name: str, inputs: Any, outputs: Any, placed: Sequence[Placed]) -> list[Node]:
        ends = lowered([*outputs, *(value for value, _, _ in placed)])
        n = len(outputs)
        again = [(e, spot, adds) for e, (_, spot, adds) in zip(ends[n:], placed, strict=True)]
        return _write(source, name, inputs, ends[:n], None, again)

    return write


# A value, the input that it is left in, and whether it is added to what is there.
Placed = tuple[Node, Node, bool]

_OF_LOOPS = frozenset({EMPTY, LOOP, FILLED, LAST})


class _Emitter:
    """Writes one function, line by line."""

    def __init__(self, source: Source, inputs: Sequence[Node], planned: Plan) -> None:
        self.source, self.plan = source, planned
        self.parameters = list(inputs)
        self.placed: Sequence[Placed] = ()
        self.uses = Counter(a for node in planned.calls for a in node.nodes())
        self.turn = 0  # how often sums were given away for those over all slices
        self.names: dict[Node, str] = {}
        self.taken = {"work"}
        source.local |= self.taken
        self.numbers: dict[str, int] = {}  # how many names were made of a label
        self.workspace: dict[str, str] = {}  # what it holds: expressions by name
        self.at: dict[Stretch, str] = {}  # the name of each stretch in the workspace
        self.views: dict[tuple[Stretch, tuple[int, ...]], str] = {}  # other views of one
        self.lists: dict[Node, str] = {}  # what holds the rows of a value one by one

    # ---- the whole

    def function(self, name: str, template: str | None) -> list[str]:
        """Return the lines of the function, and of what makes its workspace."""
        maker, spare = self.source.reserve("workspace"), self.source.reserve("spare")
        for node in self.parameters:
            self.name(node)
        self.name_stretches()
        for node in self.plan.order:
            if node.given in (Given.PARAMETER, Given.ARRAY):
                self.take(node)
            elif node.is_constant:
                self.constant(node)
        calls = ((k, node) for k, node in enumerate(self.plan.calls) if not self.is_inlined(node))
        body = [line for k, node in calls for line in self.lines(k, node)]
        body += self.placing()
        returned = [self.returned(output, k) for k, output in enumerate(self.plan.outputs)]
        gives = "yield" if self.turn else "return"
        row = f"({', '.join(returned)}{',' * (len(returned) == 1)})"
        expression = row if template is None else template.format(*returned)
        first = f"def {name}({', '.join(self.names[node] for node in self.parameters)}):"
        if not self.workspace:
            return [first, *body, f"    {gives} {expression}"]
        names = f"{', '.join(self.workspace)}{',' * (len(self.workspace) == 1)}"
        return [
            *self.maker(maker),
            f"{spare} = []  # workspaces that no call is using",
            "",
            "",
            first,
            f"    work = {spare}.pop() if {spare} else {maker}()",
            f"    {names} = work",
            *body,
            f"    {spare}.append(work)",
            f"    {gives} {expression}",
        ]

    def maker(self, name: str) -> list[str]:
        """Write the function that makes the workspace."""
        buffers = enumerate(self.plan.buffers)
        return [
            f"def {name}():",
            '    """Make the memory that a call writes to; parts of it are used in turn."""',
            *(f"    m{k} = np.empty({n}, {dtype_text(dtype)})" for k, (dtype, n) in buffers),
            "    return (",
            *(f"        {view}," for view in self.workspace.values()),
            "    )",
            "",
            "",
        ]

    def name_stretches(self) -> None:
        """Name what lies in the workspace, in the shape of the first value there."""
        for value, spot, _ in self.placed:
            stretch = self.plan.stretches.get(value)
            if stretch is not None and stretch.placed:
                self.at[stretch] = self.name(spot)
        for node in self.plan.calls:
            stretch = self.plan.stretches.get(node)
            if stretch is None or stretch.buffer is None or stretch in self.at:
                continue
            self.at[stretch] = self.fresh("b")
            self.workspace[self.at[stretch]] = f"{self.flat_of(stretch)}{laid(node, self.plan)}"

    def flat_of(self, stretch: Stretch) -> str:
        """Write the numbers of a stretch in one row."""
        start = stretch.start
        return f"m{stretch.buffer}[{start or ''}:{start + stretch.size}]"

    def blocks_of(self, node: Node, spot: str) -> tuple[str, str]:
        """Name parts that lie behind one another, and the same blocks of the rows at a spot."""
        parts = self.plan.beside[node]
        n, (*lead, width) = len(parts), (*node.shape[:-1], node.shape[-1] // len(parts))
        first = parts[0]
        key = first, (n, *lead, width)
        if key not in self.views:
            self.views[key] = self.fresh("blocks")
            whole = f"m{first.buffer}[:{n * first.size}]"
            self.workspace[self.views[key]] = f"{whole}.reshape({key[1]})"
        axes = (len(lead), *range(len(lead)), len(lead) + 1)
        return self.views[key], f"{spot}.reshape({(*lead, n, width)}).transpose({axes})"

    def view(self, stretch: Stretch, shape: tuple[int, ...], ending: str) -> str:
        """Name another view of a stretch, made with the workspace and not at each call."""
        key = stretch, shape
        if key not in self.views:
            self.views[key] = self.fresh(f"{self.at[stretch]}_{ending}")
            self.workspace[self.views[key]] = f"{self.flat_of(stretch)}.reshape({shape})"
        return self.views[key]

    # ---- names

    def name(self, node: Node) -> str:
        """Name a node once, after its label."""
        if node not in self.names:
            self.names[node] = self.fresh(identifier(node.label, "t"))
        return self.names[node]

    def fresh(self, label: str) -> str:
        """Take a name in this function: the label, or b0, b1, ... and t0, t1, ..."""
        counted = label in ("b", "t")
        number = self.numbers.get(label, 0)
        while True:
            name = f"{label}{number}" if counted else f"{label}_{number}" if number else label
            number += 1
            if name not in self.source.taken and name not in self.taken:
                break
        self.numbers[label] = number
        self.taken.add(name)
        self.source.local.add(name)
        return name

    def take(self, node: Node) -> str:
        """Make something given a parameter of the function."""
        if node not in self.names:
            node.label = node.label or ("p" if node.given is Given.PARAMETER else "array")
            self.name(node)
            self.parameters.append(node)
            if node not in self.source.given:
                self.source.given.append(node)
        return self.names[node]

    def constant(self, node: Node) -> str:
        """Name a constant of the source; a large one becomes a parameter."""
        name = self.source.constant(node)
        if name is None:
            return self.take(node)
        self.names[node] = name
        return name

    # ---- values

    def text(self, a: Argument) -> str:
        """Write a value that an op was given: a name, a view, a number, a shape, a generator."""
        if isinstance(a, Node):
            inlined = a.given is None and self.is_inlined(a)
            return self.expression(a) if inlined else self.name(a)
        if type(a) in (tuple, list):
            inside = ", ".join(map(self.text, a))
            return f"[{inside}]" if isinstance(a, list) else f"({inside}{',' * (len(a) == 1)})"
        if isinstance(a, ndarray):
            return self.constant(Node.constant(a))
        if isinstance(a, np.random.Generator):
            return self.take(self.generator(a))
        if isinstance(a, FunctionType):
            return self.source.function(a, a.__name__.strip("_"))
        return literal(a)

    def generator(self, rng: np.random.Generator) -> Node:
        """Return the node of a generator, one for each."""
        known = (node for node in self.source.given if node.value is rng)
        return next(known, None) or Node.of(Given.ARRAY, rng, np.zeros(()), "rng")

    def is_inlined(self, node: Node) -> bool:
        """Whether it is written where it is used: another view of memory costs next to nothing.

        What lays numbers out anew does, and is written once: 32,768 take 13 microseconds.
        """
        if node in self.plan.spared:
            return True
        returned = any(node is output for output in self.plan.outputs)
        if returned or not node.calls(ops.transpose, ops.reshape):
            return False
        turned = node.args[0] in self.plan.pictures and node not in self.plan.pictures
        copied = node.calls(ops.reshape) and (turned or whole_of(node).calls(ops.transpose))
        return not copied or self.uses[node] == 1

    def flat(self, x: Node) -> str:
        """Write the elements of an array in one row; of a workspace that is another view of it."""
        if self.is_in_workspace(x):
            return self.view(self.plan.stretches[x], (x.size,), "flat")
        return self.text(x) if x.ndim == 1 else f"{self.text(x)}.ravel()"

    def is_ours(self, x: Argument) -> bool:
        """Whether a value lies in the workspace, row by row."""
        laid = isinstance(x, Node) and (x in self.plan.columns or x in self.plan.pictures)
        return not laid and self.is_in_workspace(x)

    def is_in_workspace(self, x: Argument) -> bool:
        """Whether a value lies in the workspace, in any order but by columns."""
        if not isinstance(x, Node) or x in self.plan.columns:
            return False
        stretch = self.plan.stretches.get(x)
        return stretch is not None and stretch.buffer is not None

    def turned(self, x: Node) -> str:
        """Write the transpose of a matrix."""
        if x.calls(ops.transpose) and x.attribute("axes") == (1, 0):
            return self.text(x.args[0])
        return f"{self.text(x)}.T"

    def returned(self, output: Argument, k: int = 0) -> str:
        """Write a result: the caller's own, never memory that is used again or given twice."""
        if not isinstance(output, Node):
            return _result_literal(output)
        text = self.text(output)
        if output.shape == ():
            if _is_infix(output):
                return text  # NumPy's operators return its numbers, never arrays without axes
            plain = output.op is None or is_ufunc(output) or output.op in FASTER
            known = plain or bool(output.op and output.op.prints)
            return f"{text}[()]" if known else f"np.asarray({text})[()]"  # it may be Python's own
        whole = whole_of(output)
        nodes = (a for a in self.plan.outputs[:k] if isinstance(a, Node))
        again = any(whole is whole_of(earlier) for earlier in nodes)
        own = whole in self.plan.stretches and whole not in self.plan.columns and not again
        return text if own else f"np.array({text}, order='C')"

    def placing(self) -> list[str]:
        """Write what leaves values in memory that was given for them."""
        lines = []
        for value, spot, adds in self.placed:
            own = self.name(spot)
            stretch = self.plan.stretches.get(value)
            if adds:
                lines.append(f"    np.add({own}, {self.text(value)}, out={own})")
            elif stretch is None or self.at.get(stretch) != own:
                lines.append(f"    np.copyto({own}, {self.text(value)})")
        return lines

    # ---- lines

    def lines(self, k: int, node: Node) -> list[str]:
        """Write one call: ``name = call  # shape, formula``."""
        assert node.op is not None
        if node.op in _OF_LOOPS:
            return self.of_loop(node)
        if node.op is ADDED:
            return self.of_round(node)
        formula = f"{f'{node.shape} ' if node.shape else ''}{node.op.formula}"
        stretch = self.plan.stretches.get(node)
        if node in self.plan.sums:
            return [self.sum_in_place(node)]
        if stretch is not None:
            faster = self.in_place(k, node, stretch, formula)
            if faster:
                return faster
        call = self.expression(node)
        if stretch is not None and writes(node):
            out = self.overwritten(node, stretch) if stretch.first < k else self.at.get(stretch, "")
            call = f"{call[:-1]}, out={out})" if out else call
        return [_commented(f"{self.name(node)} = {call}", formula)]

    def in_place(self, k: int, node: Node, stretch: Stretch, formula: str) -> list[str]:
        """Write a call where its memory lets it be written in a faster way; [] where not."""
        laid = parts_at(self, node, self.at[stretch]) if stretch in self.at else None
        if laid:
            *before, last = laid
            lines = [f"    {line}" for line in before]
            return [*lines, _commented(last, formula), *self.renamed(node, stretch)]
        workspace = stretch.buffer is not None and writes(node)
        return self.in_workspace(k, node, stretch, formula) if workspace else []

    def in_workspace(self, k: int, node: Node, stretch: Stretch, formula: str) -> list[str]:
        """Write a call through another view of its memory, where that is faster; [] where not."""
        if is_product(node) and node in self.plan.columns:
            out = self.view(stretch, node.shape[::-1], "T")
            call = f"{self.expression(node).removesuffix('.T')[:-1]}, out={out})"
            return [_commented(call, formula), *self.renamed(node, stretch)]
        if (numbers := in_one_row(self, node)) is not None:
            row = self.view(stretch, (node.size,), "flat")
            call = f"{numbers[:-1]}, out={row})"
            return [_commented(call, formula), *self.renamed(node, stretch)]
        long = self.in_long_rows(node, stretch) if stretch.first < k else None
        if long is None:
            return []
        *before, call = long
        return [*before, _commented(call, formula), *self.renamed(node, stretch)]

    def of_loop(self, node: Node) -> list[str]:
        """Write a loop, or the memory that it fills; its results are named with it."""
        if node.op is EMPTY:
            return memory_line(self, node, "all_steps")
        if node.op is not LOOP:
            return []
        results = (n for n in self.plan.calls if n.op in (FILLED, LAST))
        picks = [n for n in results if node in n.args]
        return loop_lines(self, node, picks, _write_step(self.source))

    def of_round(self, node: Node) -> list[str]:
        """Write how sums are given away for those over all slices, with the first of them."""
        if node.attributes["turn"] < self.turn:
            return []
        self.turn += 1
        own = [self.returned(a) for a in node.args]
        turn = node.attributes["turn"]
        calls = [n for n in self.plan.calls if n.op is ADDED and n.attributes["turn"] == turn]
        totals = {n.attributes["index"]: self.name(n) for n in calls}
        names = [totals.get(k, "_") for k in range(len(own))]
        end = "," * (len(own) == 1)
        assert node.op is not None
        call = f"{', '.join(names)}{end} = yield ({', '.join(own)}{end})"
        return [_commented(call, node.op.formula)]

    def overwritten(self, node: Node, stretch: Stretch) -> str:
        """Name the operand in whose memory the result is to lie."""
        return next(self.names[a] for a in node.nodes() if self.plan.stretches.get(a) is stretch)

    def renamed(self, node: Node, stretch: Stretch) -> list[str]:
        """Let a value that was written through another view of its memory have its own name."""
        if node.label:
            return [f"    {self.name(node)} = {self.at[stretch]}"]
        self.names[node] = self.at[stretch]
        return []

    def sum_in_place(self, node: Node) -> str:
        """Write ``y = a x + y``."""
        a, x, y = self.plan.sums[node]
        self.names[node] = self.name(y)
        axpy = blas.daxpy if node.dtype == np.float64 else blas.saxpy
        function = self.source.function(axpy, "axpy")
        call = f"{function}({self.flat(x)}, {self.flat(y)}, a={literal(a)})"
        return _commented(call, f"{node.shape} y = a x + y")

    def in_long_rows(self, node: Node, stretch: Stretch) -> list[str] | None:
        """Write a call that overwrites its operand, by few long rows: see `layout.repeats`."""
        if len(node.args) != 2:
            return None
        k = 1 if self.plan.stretches.get(node.args[0]) is stretch else 0
        other = node.args[k]
        count = repeats(node, other, node in self.plan.columns)
        if not count:
            return None
        m, n = node.shape
        lines = []
        if isinstance(other, Node):
            repeated = self.fresh("rows")
            self.workspace[repeated] = f"np.empty(({count}, {n}), {dtype_text(node.dtype)})"
            copy = f"np.copyto({repeated}, {self.text(other)})"
            lines = [_commented(copy, f"{(count, n)} the same in each row")]
        else:
            repeated = self.source.full((count, n), other, node.dtype)
        wide = self.view(stretch, (m // count, count, n), "wide")
        pair = (wide, repeated) if k == 1 else (repeated, wide)
        assert node.op is not None
        function = self.source.function(node.op.forward, node.op.name)
        return [*lines, f"{function}({', '.join(pair)}, out={wide})"]

    # ---- calls

    def expression(self, node: Node) -> str:
        """Write the call of a node, without the memory that it writes to."""
        op = node.op
        assert op is not None
        if _is_infix(node):
            return op.symbol.format(*(self.operand(a) for a in node.args))
        if op in FASTER:
            return FASTER[op](self, node)
        if callable(op.prints):
            return op.prints(node, self.text)
        if op.prints:
            named = {name: self.text(node.attribute(name)) for name in op.defaults()}
            named |= {name: self.text(value) for name, value in node.attributes.items()}
            given = {"shape": literal(node.shape), "dtype": dtype_text(node.dtype)}
            return op.prints.format(*map(self.text, node.args), **named | given)
        function = self.source.function(op.with_residuals, op.name)
        args = [self.number_or_text(node, a) for a in node.args]
        args += [f"{key}={self.text(value)}" for key, value in node.attributes.items()]
        return f"{function}({', '.join(args)}){'[0]' * op.residuals}"

    def number_or_text(self, node: Node, a: Argument) -> str:
        """Write an operand of a ufunc; a number as an array where it has the others' dtype."""
        dtypes = {b.dtype for b in node.nodes()}
        if is_ufunc(node) and node.shape and type(a) in (int, float) and len(dtypes) == 1:
            (dtype,) = dtypes
            if dtype in (np.float32, np.float64) and bounds(node):
                return self.source.full(node.shape, a, dtype)
            if dtype in (np.float32, np.float64):
                return self.source.number(a, dtype)
        return self.text(a)

    def operand(self, a: Argument) -> str:
        text = self.text(a)
        return f"({text})" if text.startswith("-") else text


def _result_literal(value: Any) -> str:
    try:
        if isinstance(value, np.dtype):  # an op takes its scalar type as well: a caller does not
            return f"np.dtype({literal(value.descr if value.names else value.str)})"
        if isinstance(value, int | float | complex | str | bytes) and type(value) not in _EXACT:
            raise TypeError(f"cannot be written into a program: {type(value).__name__}")
        return literal(value)
    except TypeError as error:
        raise CannotCompileError(
            f"the function returns what {error}; return arrays, numbers and texts"
        ) from error


_EXACT = frozenset({bool, int, float, complex, str, bytes})  # an enumeration's is a subclass


def _commented(code: str, comment: str) -> str:
    """Write a line with a comment, which may be a user's text and must not end its line."""
    return f"    {code:<72}  # {' '.join(comment.split())}"


def _is_infix(node: Node) -> bool:
    """Whether Python's operator stands for it: of numbers of a floating dtype."""
    numbers = all(not isinstance(a, Node) or a.shape == () for a in node.args)
    symbol = bool(node.op and node.op.symbol)
    return symbol and node.shape == () and numbers and node.dtype in (np.float32, np.float64)
