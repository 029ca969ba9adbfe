"""A graph of calls, written down as a flat NumPy function, with memory that is used again.

Each value that a later call may overwrite is overwritten; what else is needed in between lies in a
workspace that is made once. Only what is returned is made anew at each call.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from typing import Any

import numpy as np
from numpy import ndarray
from scipy.linalg import blas

from autonn.engine.graph import Argument, Node, behind
from autonn.engine.helpers import Helpers, dtype_text, literal
from autonn.engine.ops import _is_basic, _Slot
from autonn.engine.tensor import OPS, Array

# Calls that give another look at the memory of their first argument.
VIEWS = frozenset({"reshape", "transpose", "broadcast_to"})
# Calls that make new memory and keep nothing of their arguments: it may be overwritten.
MAKERS = frozenset({"where", "over", "times", "cast", "random"})
# Up to this size BLAS adds a multiple of an array in the caller's own thread; beyond, the threads
# that SciPy's BLAS has of its own would wake up and fight with NumPy's.
AXPY_SIZE = 10_000
# Calls that can write to given memory, beside the ufuncs.
WRITERS = frozenset({"sum", "max", "min", "matmul"})


class Sheet:
    """The source of a program: its imports, constants and helpers, and the functions in it.

    `given` collects what its functions take besides their inputs: live Tensors, arrays and
    generators, as nodes.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self.helpers = Helpers()
        self.taken: set[str] = {"np", "special", "blas"}  # names that all functions see
        self.local: set[str] = set()  # names in one function or another: the others avoid them
        self.header: list[str] = []
        self.functions: list[str] = []
        self.given: list[Node] = []
        self.numbers: dict[tuple[str, Any], str] = {}
        self.constants: dict[int, tuple[Node, str]] = {}

    def text(self) -> str:
        """Return the whole source."""
        lines = [f'"""{self.title}"""', ""]
        body = "\n".join([*self.header, *self.functions])
        lines += self.helpers.imports("special." in body, "blas." in body)
        lines += ["", *self.header] if self.header else []
        lines += [*self.helpers.text(), *self.functions, ""]
        return "\n".join(lines)

    def load(self) -> dict[str, Any]:
        """Run the source and return its names."""
        namespace: dict[str, Any] = dict(self.helpers.outside)
        exec(compile(self.text(), f"<{self.title}>", "exec"), namespace)
        return namespace

    def reserve(self, label: str) -> str:
        """Take a name for something that all functions see."""
        used = self.taken | self.local
        free = (f"{label}_{k}" if k else label for k in range(len(used) + 1))
        name = next(name for name in free if name not in used)
        self.taken.add(name)
        return name

    def constant(self, node: Node) -> str | None:
        """Name a constant, and write it into the header; None where it is too large to write."""
        value: Array = node.args[0]
        if id(node) not in self.constants:
            if value.size and (value == value.flat[0]).all():
                number = literal(value.flat[0].item())
                text = f"np.full({value.shape}, {number}, {dtype_text(value.dtype)})"
            elif value.size <= 256:
                numbers = literal(value.ravel().tolist())
                text = f"np.array({numbers}, {dtype_text(value.dtype)}).reshape({value.shape})"
            else:
                return None
            name = self.reserve(node.label or "k")
            self.header.append(f"{name} = {text}")
            self.constants[id(node)] = node, name  # the node too, so that its id stays its own
        return self.constants[id(node)][1]

    def number(self, number: float, dtype: np.dtype[Any]) -> str:
        """Name a number as an array without axes: a ufunc takes it 0.3 microseconds sooner."""
        key = repr(float(number)), dtype  # as text, which tells -0.0 from 0.0
        if key not in self.numbers:
            known = {"1.0": "one", "0.0": "zero", "-1.0": "minus_one", "2.0": "two", "0.5": "half"}
            name = self.reserve(known.get(key[0], f"c{len(self.numbers)}"))
            self.header.append(f"{name} = np.array({literal(number)}, {dtype_text(dtype)})")
            self.numbers[key] = name
        return self.numbers[key]

    def ones(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
        """Name ones, which sum rows and columns as a product."""
        return self.full(shape, 1, dtype)

    def full(self, shape: tuple[int, ...], number: float, dtype: np.dtype[Any]) -> str:
        """Name an array of equal numbers."""
        key = f"{literal(number)} {shape}", dtype
        if key not in self.numbers:
            known = "ones" if number == 1 else "zeros" if number == 0 else "full"
            self.numbers[key] = self.reserve("_".join([known, *map(str, shape)]))
            value = f", {literal(number)}" if known == "full" else ""
            text = f"np.{known}({literal(shape)}{value}, {dtype_text(dtype)})"
            self.header.append(f"{self.numbers[key]} = {text}")
        return self.numbers[key]

    def write(
        self, name: str, inputs: Sequence[Node], outputs: Sequence[Argument], template: str | None
    ) -> list[Node]:
        """Add the function that computes these outputs; return what it takes, in order.

        `template` is the expression that it returns, with ``{}`` in the places of the outputs;
        None returns them in one row.
        """
        self.reserve(name)
        writer = _Writer(self, outputs)
        self.functions += ["", "", *writer.write(name, inputs, template)]
        return writer.parameters


def _order(outputs: Iterable[Argument]) -> list[Node]:
    """List the nodes that the outputs need in the order in which they were made.

    A call of what is given alone waits until it is needed: its result would only take up memory.
    """
    order: dict[int, Node] = {}
    waiting: list[Node] = []
    for node in behind(outputs):
        if node.given is None and node.args and all(a.given for a in node.nodes()):
            waiting.append(node)
            continue
        for a in node.nodes():
            order.setdefault(a.serial, a)
        order[node.serial] = node
    return [*order.values(), *(node for node in waiting if node.serial not in order)]


def _is_view(node: Node) -> bool:
    if node.is_call("getitem"):
        return bool(_is_basic(node.args[1]))
    return node.is_call(*VIEWS)


def is_ufunc(node: Node) -> bool:
    """Whether it calls a plain ufunc, element by element; matmul is none."""
    return node.op is not None and isinstance(node.op.forward, np.ufunc) and (
        node.op.forward.signature is None
    )  # fmt: skip


def _is_scalar(a: Argument) -> bool:
    return not isinstance(a, Node) or a.shape == ()


def _writes(node: Node) -> bool:
    """Whether the call takes memory to write its result to."""
    if node.shape == ():
        return False
    if node.is_call("matmul"):
        return node.ndim >= 2 and all(a.dtype == node.dtype for a in node.nodes())
    if node.is_call("sum"):
        return bool(node.args[0].dtype == node.dtype)
    return is_ufunc(node) or node.is_call(*WRITERS)


def _is_product(node: Node) -> bool:
    """Whether it is a product of two plain matrices."""
    return node.is_call("matmul") and all(
        isinstance(a, Node) and a.ndim == 2 and a.dtype == node.dtype for a in node.args
    )


def _by_columns(calls: Sequence[Node], outputs: Sequence[Argument]) -> set[int]:
    """Choose, by id, the values that are laid out column by column.

    Where there are more rows than columns, as in a hidden layer, BLAS is faster at W X' than at
    X W' in float64 (12 % at 128 x 25, 17 % at 2,500 x 25; in float32 it is slower), and a bias is
    added to long columns, not to short rows. All values of one shape that meet in element-wise
    calls are laid out alike; where one of them is given by rows, is returned, or is used in
    another way, all stay as they are.
    """
    groups: dict[int, list[Node]] = {}
    fixed: set[int] = set()  # ids of lists in groups
    tall: dict[int, Node] = {}
    for node in calls:
        high = node.ndim == 2 and node.shape[0] > node.shape[1] and node.dtype == np.float64
        if high and (is_ufunc(node) or _is_product(node)):
            tall[id(node)] = node
            groups[id(node)] = [node]
    for node in calls:
        whole = is_ufunc(node)
        for a in node.nodes():
            if id(a) in tall and not (
                (whole and a.shape == node.shape and id(node) in tall)
                or _is_product(node)
                or (node.is_call("transpose"))
                or (node.is_call("sum") and node.static["axis"] == (0,) and node.ndim == 1)
            ):
                fixed.add(id(groups[id(a)]))
            if whole and id(node) in tall and a.shape == node.shape:
                if id(a) not in tall:
                    fixed.add(id(groups[id(node)]))
                elif groups[id(a)] is not groups[id(node)]:
                    joined, other = groups[id(a)], groups[id(node)]
                    joined += other
                    if id(other) in fixed:
                        fixed.add(id(joined))
                    for member in other:
                        groups[id(member)] = joined
    for output in outputs:
        if id(output) in tall:
            fixed.add(id(groups[id(output)]))
    return {
        key for key in tall
        if id(groups[key]) not in fixed and any(_is_product(n) for n in groups[key])
    }  # fmt: skip


class _Memory:
    """One stretch of memory and the values that lie in it, one after the other."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.last: float = first
        self.returned = False  # then it is made anew at each call
        self.name = ""
        self.flat = ""  # the expression of its numbers in one row
        self.looks: dict[tuple[int, ...], str] = {}  # other looks at it, by shape: their names


class _Writer:
    """Plans the memory of a function, then writes it line by line."""

    def __init__(self, sheet: Sheet, outputs: Sequence[Argument]) -> None:
        self.sheet, self.outputs = sheet, outputs
        self.order = _order(outputs)
        self.calls = [node for node in self.order if node.given is None]
        self.roots: dict[int, list[Node]] = {}
        self.last: dict[int, float] = {}
        self.memory: dict[int, _Memory] = {}
        self.by_columns: set[int] = set()
        self.names: dict[int, str] = {}
        self.local = {"work"}
        self.numbers: dict[str, int] = {}  # how many names were made of a label
        self.parameters: list[Node] = []
        self.views: dict[str, str] = {}  # what the workspace holds: expressions by name
        self.sums: dict[int, tuple[float, Node, Node]] = {}  # by id, what is a x + y: a, x and y
        self.spared: set[int] = set()  # by id, the a x of these

    # ---- memory

    def plan(self) -> None:
        """Decide what each call writes to."""
        self.by_columns = _by_columns(self.calls, self.outputs)
        for node in self.parameters:
            if node.given == "owned" and node.shape:
                self.roots[id(node)], self.memory[id(node)] = [node], _Memory(-1)
        for k, node in enumerate(self.calls):
            self.roots[id(node)] = self.owners(node)
            for a in node.nodes():
                for root in self.roots.get(id(a), ()):
                    self.last[id(root)] = k
        for output in self.outputs:
            for root in self.roots.get(id(output), ()):
                self.last[id(root)] = math.inf
        self.find_sums()
        for k, node in enumerate(self.calls):
            if id(node) in self.spared:
                continue
            if _writes(node) or node.is_call(*MAKERS):
                memory = self.overwritten(k, node) or _Memory(k)
                self.memory[id(node)] = memory
                memory.last = max(memory.last, self.last.get(id(node), k))
                memory.returned |= any(node is output for output in self.outputs)

    def owners(self, node: Node) -> list[Node]:
        """List the calls in whose memory a value may lie."""
        if _is_view(node):
            return self.roots.get(id(node.args[0]), [])
        if _writes(node) or node.is_call(*MAKERS) or node.shape == ():
            return [node]
        inherited = [root for a in node.nodes() for root in self.roots.get(id(a), ())]
        return [node, *inherited]  # a function of the user's may return what it was given

    def find_sums(self) -> None:
        """Find the ``a x + y`` that BLAS can add to y where it lies: a product that dies there.

        So a weight decay is added in one go, and its multiple needs no memory.
        """
        uses = Counter(id(a) for node in self.calls for a in node.nodes())
        uses.update(map(id, self.outputs))
        for k, node in enumerate(self.calls):
            if not node.is_call("add") or not 0 < node.size <= AXPY_SIZE:
                continue
            for scaled, y in (node.args, node.args[::-1]):
                if (
                    isinstance(scaled, Node) and isinstance(y, Node)
                    and scaled.is_call("multiply") and uses[id(scaled)] == 1
                    and isinstance(x := scaled.args[0], Node) and isinstance(scaled.args[1], float)
                    and x.shape == y.shape == node.shape
                    and x.dtype == y.dtype == node.dtype in (np.float32, np.float64)
                    and _is_product(y) and self.last[id(y)] == k
                    and not {id(y), id(node)} & self.by_columns
                ):  # fmt: skip
                    self.sums[id(node)] = scaled.args[1], x, y
                    self.spared.add(id(scaled))
                    y.label = y.label or node.label
                    for root in self.roots.get(id(x), ()):
                        self.last[id(root)] = max(self.last[id(root)], k)
                    break

    def overwritten(self, k: int, node: Node) -> _Memory | None:
        """Find an argument that is not needed any more, and has the form of the result."""
        if id(node) in self.sums:
            return self.memory[id(self.sums[id(node)][2])]
        if not is_ufunc(node):
            return None
        for a in node.nodes():
            if (
                id(a) in self.memory
                and (a.shape, a.dtype) == (node.shape, node.dtype)
                and (id(a) in self.by_columns) == (id(node) in self.by_columns)
                and self.last[id(a)] == k
                and not any(a in self.roots.get(id(b), ()) for b in node.nodes() if b is not a)
            ):
                return self.memory[id(a)]
        return None

    def workspace(self) -> list[str]:
        """Share buffers out, each to values that are never needed at the same time.

        Returns the lines that make them; `views` says what each call writes to.
        """
        firsts: dict[int, tuple[_Memory, Node]] = {}
        for node in self.calls:
            memory = self.memory.get(id(node))
            if memory is not None:
                firsts.setdefault(id(memory), (memory, node))
        sizes: list[int] = []  # of each buffer
        dtypes: list[np.dtype[Any]] = []
        busy: list[tuple[float, int]] = []  # a heap: until when a buffer is needed, and which
        free: dict[Any, list[tuple[int, int]]] = {}  # by dtype, in order of size: (size, which)
        for memory, node in firsts.values():
            if memory.returned or memory.first < 0 or not _writes(node):
                continue
            while busy and busy[0][0] < memory.first:
                k = heappop(busy)[1]
                insort(free.setdefault(dtypes[k], []), (sizes[k], k))
            idle = free.get(node.dtype)
            if idle:  # the smallest that is large enough, or else the largest, which then grows
                k = idle.pop(min(bisect_left(idle, (node.size, 0)), len(idle) - 1))[1]
            else:
                k = len(sizes)
                sizes.append(0)
                dtypes.append(node.dtype)
            sizes[k] = max(sizes[k], node.size)
            heappush(busy, (memory.last, k))
            memory.name, memory.flat = self.fresh("b"), f"m{k}[:{node.size}]"
            columns = id(node) in self.by_columns
            shape = f"{node.shape[::-1]}).T" if columns else f"{node.shape})"
            self.views[memory.name] = f"{memory.flat}.reshape({shape}"
        buffers = enumerate(zip(dtypes, sizes, strict=True))
        return [f"    m{k} = np.empty({n}, {dtype_text(dtype)})" for k, (dtype, n) in buffers]

    def look(self, memory: _Memory, shape: tuple[int, ...], ending: str) -> str:
        """Name another look at memory, which is made with the workspace and not at each call."""
        if shape not in memory.looks:
            memory.looks[shape] = self.fresh(f"{memory.name}_{ending}")
            self.views[memory.looks[shape]] = f"{memory.flat}.reshape({shape})"
        return memory.looks[shape]

    # ---- text

    def write(self, name: str, inputs: Sequence[Node], template: str | None) -> list[str]:
        """Return the lines of the function."""
        maker, spare = self.sheet.reserve("workspace"), self.sheet.reserve("spare")
        self.parameters = list(inputs)
        for node in inputs:
            self.name(node)
        self.plan()
        workspace = self.workspace()
        for node in self.order:
            if node.given in ("live", "array"):
                self.take(node)
            elif node.given == "constant":
                self.constant(node)
        calls = (pair for pair in enumerate(self.calls) if not self.inlined(pair[1]))
        body = [line for k, node in calls for line in self.lines(k, node)]
        returned = [self.returned(k, output) for k, output in enumerate(self.outputs)]
        row = f"({', '.join(returned)}{',' * (len(returned) == 1)})"
        expression = row if template is None else template.format(*returned)
        lines = [f"def {name}({', '.join(self.names[id(node)] for node in self.parameters)}):"]
        if not self.views:
            return [*lines, *body, f"    return {expression}"]
        return [
            f"def {maker}():",
            '    """Make the memory that a call writes to; parts of it are used in turn."""',
            *workspace,
            "    return (",
            *(f"        {view}," for view in self.views.values()),
            "    )",
            "",
            "",
            f"{spare} = []  # workspaces that no call is using",
            "",
            "",
            *lines,
            f"    work = {spare}.pop() if {spare} else {maker}()",
            f"    {', '.join(self.views)}{',' * (len(self.views) == 1)} = work",
            *body,
            f"    {spare}.append(work)",
            f"    return {expression}",
        ]

    def name(self, node: Node) -> str:
        """Name a node once, after its label."""
        if id(node) not in self.names:
            self.names[id(node)] = self.fresh(node.label if node.label.isidentifier() else "t")
        return self.names[id(node)]

    def fresh(self, label: str) -> str:
        """Take a name in this function: the label, or b0, b1, ... and t0, t1, ..."""
        counted = label in ("b", "t")
        number = self.numbers.get(label, 0)
        while True:
            name = f"{label}{number}" if counted else f"{label}_{number}" if number else label
            number += 1
            if name not in self.sheet.taken and name not in self.local:
                break
        self.numbers[label] = number
        self.local.add(name)
        self.sheet.local.add(name)
        return name

    def take(self, node: Node) -> str:
        """Make something given a parameter of the function."""
        if id(node) not in self.names:
            node.label = node.label or ("p" if node.given == "live" else "array")
            self.name(node)
            self.parameters.append(node)
            if not any(node is known for known in self.sheet.given):
                self.sheet.given.append(node)
        return self.names[id(node)]

    def constant(self, node: Node) -> str:
        """Name a constant of the source; a large one becomes a parameter."""
        name = self.sheet.constant(node)
        if name is None:
            return self.take(node)
        self.names[id(node)] = name
        return name

    def inlined(self, node: Node) -> bool:
        """Whether it is written where it is used: another look at memory costs next to nothing."""
        spared = id(node) in self.spared
        return spared or (
            node.is_call("transpose", "reshape") and not any(node is o for o in self.outputs)
        )

    def text(self, a: Argument, dtype: np.dtype[Any] | None = None) -> str:
        """Write an argument: a name, a view, a number."""
        if not isinstance(a, Node):
            if dtype is not None and type(a) in (int, float) and dtype.kind == "f":
                return self.sheet.number(a, dtype)
            return self.literal(a)
        if a.given is None and self.inlined(a):
            return self.expression(a)
        return self.name(a)

    def flat(self, x: Node) -> str:
        """Write the elements of an array in one row; of a workspace that is another look at it."""
        if self.is_ours(x):
            return self.look(self.memory[id(x)], (x.size,), "flat")
        return self.text(x) if x.ndim == 1 else f"{self.text(x)}.ravel()"

    def is_ours(self, x: Node) -> bool:
        """Whether a value lies in the workspace, row by row."""
        memory = self.memory.get(id(x))
        return memory is not None and bool(memory.name) and id(x) not in self.by_columns

    def turned(self, x: Node) -> str:
        """Write the transpose of a matrix."""
        if x.given is None and x.is_call("transpose") and x.static["axes"] == (1, 0):
            return self.text(x.args[0])
        return f"{self.text(x)}.T"

    def literal(self, a: Argument) -> str:
        """Write a value that an op was given: an axis, a shape, an index, a generator."""
        if isinstance(a, Node):
            return self.text(a)
        if isinstance(a, list | tuple):
            inside = ", ".join(map(self.literal, a))
            return f"[{inside}]" if isinstance(a, list) else f"({inside}{',' * (len(a) == 1)})"
        if isinstance(a, ndarray):
            return self.constant(Node(None, (a,), {}, a, "constant"))
        if isinstance(a, np.random.Generator):
            known = next((node for node in self.sheet.given if node.args[0] is a), None)
            if known is None:
                known = Node(None, (a,), {}, np.zeros(()), "array")
                known.label = "rng"
            return self.take(known)
        return literal(a)

    def lines(self, k: int, node: Node) -> list[str]:
        """Write one call: ``name = call  # shape, formula``."""
        assert node.op is not None
        formula = f"{f'{node.shape} ' if node.shape else ''}{node.op.formula}"
        memory = self.memory.get(id(node))
        if id(node) in self.sums:
            return [self.sum_in_place(node)]
        if memory is not None and memory.name and _writes(node):
            if _is_product(node) and id(node) in self.by_columns:
                out = self.look(memory, node.shape[::-1], "T")
                call = f"{self.expression(node).removesuffix('.T')[:-1]}, out={out})"
                return [_commented(call, formula), *self.renamed(node, memory)]
            long = self.in_long_rows(node, memory) if memory.first < k else None
            if long is not None:
                *before, call = long
                return [*before, _commented(call, formula), *self.renamed(node, memory)]
        call = self.expression(node)
        if memory is not None and _writes(node):
            out = self.overwritten_name(node, memory) if memory.first < k else memory.name
            call = f"{call[:-1]}, out={out})" if out else call
        return [_commented(f"{self.name(node)} = {call}", formula)]

    def overwritten_name(self, node: Node, memory: _Memory) -> str:
        """Name the argument in whose memory the result is to lie."""
        inside = (a for a in node.nodes() if self.memory.get(id(a)) is memory)
        return self.names[id(next(inside))]

    def renamed(self, node: Node, memory: _Memory) -> list[str]:
        """Let a value that was written through another look at its memory have its own name."""
        if node.label:
            return [f"    {self.name(node)} = {memory.name}"]
        self.names[id(node)] = memory.name
        return []

    def sum_in_place(self, node: Node) -> str:
        """Write ``y = a x + y``."""
        a, x, y = self.sums[id(node)]
        self.names[id(node)] = self.name(y)
        axpy = blas.daxpy if node.dtype == np.float64 else blas.saxpy
        function = self.sheet.helpers.path(axpy, "axpy")
        call = f"{function}({self.flat(x)}, {self.flat(y)}, a={literal(a)})"
        return _commented(call, f"{node.shape} y = a x + y")

    def in_long_rows(self, node: Node, memory: _Memory) -> list[str] | None:
        """Write a call that overwrites its argument, by few long rows in place of many short ones.

        NumPy goes row by row where a bias is added, and one number at a time where float32 is
        bounded by a number: 500 x 25 of them take 9 microseconds to add a bias and 7 to be capped.
        With the bias, or the bound, repeated for a row of some thousand, it is 3 and 2.
        """
        if not is_ufunc(node) or len(node.args) != 2 or node.ndim != 2 or node.size < 256:
            return None
        m, n = node.shape
        k = 1 if self.memory.get(id(node.args[0])) is memory else 0
        other = node.args[k]
        is_bias = (
            isinstance(other, Node) and other.shape == (n,) and id(node) not in self.by_columns
        )
        is_bound = isinstance(other, int | float) and node.is_call("minimum", "maximum")
        count = max((d for d in range(1, min(m, 2048 // n) + 1) if m % d == 0), default=1)
        if is_bias and n <= 64 and node.size >= 2048 and count >= 8:
            repeated = self.fresh("rows")
            self.views[repeated] = f"np.empty(({count}, {n}), {dtype_text(node.dtype)})"
            copy = f"np.copyto({repeated}, {self.text(other)})"
            lines = [_commented(copy, f"{(count, n)} the same in each row")]
        elif is_bound and node.dtype == np.float32 and count * n >= 256:
            repeated, lines = self.sheet.full((count, n), other, node.dtype), []
        else:
            return None
        wide = self.look(memory, (m // count, count, n), "wide")
        pair = (wide, repeated) if k == 1 else (repeated, wide)
        assert node.op is not None
        function = self.sheet.helpers.path(node.op.forward, node.op.name)
        return [*lines, f"{function}({', '.join(pair)}, out={wide})"]

    def returned(self, k: int, output: Argument) -> str:
        """Write a result: the caller's own, never memory that is used again or given twice."""
        if not isinstance(output, Node):
            return literal(output)
        text = self.text(output)
        if output.shape == ():
            if output.op is not None and output.op.name in _INFIX:
                return text  # NumPy's operators return its numbers, never arrays without axes
            known = output.op is None or is_ufunc(output) or output.op.name in _WRITTEN
            return f"{text}[()]" if known else f"np.asarray({text})[()]"  # it may be Python's own
        again = any(output is earlier for earlier in self.outputs[:k])
        own = id(output) in self.memory and not again
        return text if own else f"np.array({text}, order='C')"

    # ---- calls

    def expression(self, node: Node) -> str:
        """Write the call of a node, without the memory that it writes to."""
        assert node.op is not None
        name = node.op.name
        if node.shape == () and all(map(_is_scalar, node.args)) and name in _INFIX:
            return _INFIX[name].format(*(self.operand(a) for a in node.args))
        if name in _WRITTEN:
            return _WRITTEN[name](self, node)
        function = self.sheet.helpers.path(node.op.forward, name)
        others = [a.dtype for a in node.nodes()]
        dtype = others[0] if is_ufunc(node) and others and node.shape else None
        args = [self.text(a, dtype) for a in node.args]
        args += [f"{key}={self.literal(value)}" for key, value in node.static.items()]
        return f"{function}({', '.join(args)})"

    def operand(self, a: Argument) -> str:
        text = self.text(a)
        return f"({text})" if text.startswith("-") else text


def _commented(code: str, comment: str) -> str:
    return f"    {code:<72}  # {comment}"


_INFIX = {
    "add": "{} + {}",
    "subtract": "{} - {}",
    "multiply": "{} * {}",
    "divide": "{} / {}",
    "negative": "-{}",
}


def _reduction(function: str) -> Callable[[_Writer, Node], str]:
    def written(writer: _Writer, node: Node) -> str:
        axis = node.static.get("axis", node.args[1] if len(node.args) > 1 else None)
        axis = axis[0] if isinstance(axis, tuple) and len(axis) == 1 else axis
        keepdims = ", keepdims=True" if node.static.get("keepdims") else ""
        return f"{function}.reduce({writer.text(node.args[0])}, axis={axis!r}{keepdims})"

    return written


def _sum(writer: _Writer, node: Node) -> str:
    """Sum rows and columns of matrices as a product with ones: 2 to 3 times as fast.

    So too all of some ten thousand numbers; of more, NumPy's sum by halves has the smaller error.
    """
    x, axes = node.args[0], node.static["axis"]
    if node.shape == () and x.dtype.kind == "f" and 0 < x.size <= 2**15:
        return f"np.dot({writer.sheet.ones((x.size,), x.dtype)}, {writer.flat(x)})"
    if x.ndim != 2 or len(axes) != 1 or x.dtype.kind != "f":
        return _reduction("np.add")(writer, node)
    n, kept = x.shape[axes[0]], node.static["keepdims"]
    if axes == (0,):
        return f"np.dot({writer.sheet.ones((1, n) if kept else (n,), x.dtype)}, {writer.text(x)})"
    return f"np.dot({writer.text(x)}, {writer.sheet.ones((n, 1) if kept else (n,), x.dtype)})"


def _dot(writer: _Writer, node: Node) -> str:
    """Take `dot` of two rows where both are at hand: vdot makes them, 0.3 microseconds a call."""
    if all(writer.is_ours(a) for a in node.nodes()):
        return f"np.dot({', '.join(map(writer.flat, node.nodes()))})"
    return f"np.vdot({', '.join(map(writer.text, node.args))})"


def _matmul(writer: _Writer, node: Node) -> str:
    """Take `dot` for plain matrices: the same product, called 0.5 microseconds sooner."""
    plain = all(isinstance(a, Node) and a.ndim == 2 for a in node.args)
    if id(node) in writer.by_columns:
        x, y = map(writer.turned, node.args)
        return f"np.dot({y}, {x}).T"
    return f"np.{'dot' if plain else 'matmul'}({', '.join(map(writer.text, node.args))})"


def _view(template: str) -> Callable[[_Writer, Node], str]:
    def written(writer: _Writer, node: Node) -> str:
        return template.format(writer.text(node.args[0]), shape=node.shape)

    return written


def _transpose(writer: _Writer, node: Node) -> str:
    x, axes = writer.text(node.args[0]), node.static["axes"]
    return f"{x}.T" if axes == tuple(range(node.ndim))[::-1] else f"{x}.transpose({axes})"


def _masked(function: str) -> Callable[[_Writer, Node], str]:
    """Write a product or quotient that stays 0 where an operand that must not is 0."""

    def written(writer: _Writer, node: Node) -> str:
        x, y = map(writer.text, node.args)
        where = f"np.not_equal({x}, 0)"
        if function == "multiply":
            where += f" & np.not_equal({y}, 0)"
        zeros = f"np.zeros({node.shape}, {dtype_text(node.dtype)})"
        return f"np.{function}({x}, {y}, out={zeros}, where={where})"

    return written


def _getitem(writer: _Writer, node: Node) -> str:
    def part(key: Any) -> str:
        if isinstance(key, slice):
            ends = ["" if e is None else repr(e) for e in (key.start, key.stop, key.step)]
            return ":".join(ends if key.step is not None else ends[:2])
        if isinstance(key, _Slot):
            return writer.text(node.args[1 + key])
        return "..." if key is Ellipsis else writer.literal(key)

    key = node.args[1] if node.is_call("getitem") and len(node.args) > 1 else node.static["key"]
    keys = key if isinstance(key, tuple) else (key,)
    inside = ", ".join(map(part, keys)) if keys else "()"
    return f"{writer.text(node.args[0])}[{inside}]"


def _scatter(writer: _Writer, node: Node) -> str:
    g, *indices = node.args
    names = [writer.text(i) for i in indices]

    def part(key: Any) -> str:
        if isinstance(key, tuple):
            return f"({', '.join(map(part, key))}{',' * (len(key) == 1)})"
        return names[key] if isinstance(key, _Slot) else writer.literal(key)

    put = writer.sheet.helpers.path(OPS["put"].forward, "put")
    return f"{put}({writer.text(g)}, {part(node.static['key'])}, {node.static['shape']})"


def _cast(writer: _Writer, node: Node) -> str:
    return f"{writer.text(node.args[0])}.astype({dtype_text(node.dtype)})"


def _method(writer: _Writer, node: Node) -> str:
    """Call an array's own method, which is 1.2 microseconds sooner than NumPy's function of it."""
    assert node.op is not None
    x, *others = map(writer.text, node.args)
    others += [f"{key}={writer.literal(value)}" for key, value in node.static.items()]
    return f"{x}.{node.op.name}({', '.join(others)})"


def _random(writer: _Writer, node: Node) -> str:
    return f"{writer.literal(node.static['rng'])}.random({node.shape})"


_WRITTEN: dict[str, Callable[[_Writer, Node], str]] = {
    "sum": _sum,
    "max": _reduction("np.maximum"),
    "min": _reduction("np.minimum"),
    "matmul": _matmul,
    "dot": _dot,
    "reshape": _view("{}.reshape({shape})"),
    "broadcast_to": _view("np.broadcast_to({}, {shape})"),
    "transpose": _transpose,
    "over": _masked("divide"),
    "times": _masked("multiply"),
    "getitem": _getitem,
    "gather": _getitem,
    "scatter": _scatter,
    "cast": _cast,
    "random": _random,
    "argmax": _method,
    "argmin": _method,
}
