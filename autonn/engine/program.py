"""A graph of calls, written down as one flat NumPy function, with memory that is used again.

Each value that a later call may overwrite is overwritten; what else is needed in between lies in a
workspace that is made once. Only what is returned is made anew at each call.
"""

from __future__ import annotations

import ast
import copy
import functools
import inspect
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
from numpy import ndarray
from scipy import special

from autonn.engine.graph import Argument, Node, behind
from autonn.engine.ops import _is_basic, _Slot
from autonn.engine.tensor import OPS, Array

# Calls that give another look at the memory of their first argument.
VIEWS = frozenset({"reshape", "transpose", "broadcast_to"})
# Calls that make new memory and keep nothing of their arguments: it may be overwritten.
MAKERS = frozenset({"where", "over", "times", "cast", "random"})
# Calls that can write to given memory, beside the ufuncs.
WRITERS = frozenset({"sum", "max", "min", "matmul"})


@dataclass
class Program:
    """The source of a flat function, and what it takes besides the inputs."""

    source: str
    names: list[str]  # of its parameters, inputs first
    given: list[Node]  # the live Tensors, arrays and generators that it takes after the inputs
    flat: bool  # whether it returns its results in one row
    outside: dict[str, Any] = field(default_factory=dict)  # functions without a source to print

    def load(self) -> dict[str, Any]:
        """Run the source and return its names: `program` and `workspace` among them."""
        namespace: dict[str, Any] = dict(self.outside)
        exec(compile(self.source, "<compiled by autonn>", "exec"), namespace)
        return namespace


def write(
    outputs: Sequence[Argument], inputs: Sequence[Node], shape: str | None, title: str
) -> Program:
    """Write the program of these outputs.

    `shape` is the expression that it returns, with ``{0}``, ``{1}`` in the place of the outputs;
    None returns them in one row.
    """
    return _Writer(outputs, inputs).write(shape, title)


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


def _is_ufunc(node: Node) -> bool:
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
    return _is_ufunc(node) or node.is_call(*WRITERS)


class _Memory:
    """One stretch of memory and the values that lie in it, one after the other."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.last: float = first
        self.returned = False  # then it is made anew at each call
        self.name = ""


class _Writer:
    """Plans the memory of a program, then writes it line by line."""

    def __init__(self, outputs: Sequence[Argument], inputs: Sequence[Node]) -> None:
        self.outputs, self.inputs = outputs, inputs
        self.order = _order(outputs)
        self.calls = [node for node in self.order if node.given is None]
        self.roots: dict[int, list[Node]] = {}
        self.last: dict[int, float] = {}
        self.memory: dict[int, _Memory] = {}
        self.names: dict[int, str] = {}
        self.taken: set[str] = {"np", "special", "work", "workspace", "program"}
        self.numbers: dict[tuple[float, Any], str] = {}
        self.header: list[str] = []
        self.helpers = Helpers()
        self.given: list[Node] = []
        self.own: list[Node] = []  # nodes made here: their ids stay theirs

    # ---- memory

    def plan(self) -> None:
        """Decide what each call writes to."""
        for k, node in enumerate(self.calls):
            self.roots[id(node)] = self.owners(node)
            for a in node.nodes():
                for root in self.roots.get(id(a), ()):
                    self.last[id(root)] = k
        for output in self.outputs:
            for root in self.roots.get(id(output), ()):
                self.last[id(root)] = math.inf
        for k, node in enumerate(self.calls):
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

    def overwritten(self, k: int, node: Node) -> _Memory | None:
        """Find an argument that is not needed any more, and has the form of the result."""
        if not _is_ufunc(node):
            return None
        for a in node.nodes():
            if (
                id(a) in self.memory
                and (a.shape, a.dtype) == (node.shape, node.dtype)
                and self.last[id(a)] == k
                and not any(a in self.roots.get(id(b), ()) for b in node.nodes() if b is not a)
            ):
                return self.memory[id(a)]
        return None

    def workspace(self) -> list[str]:
        """Share buffers out, each to values that are never needed at the same time."""
        firsts: dict[int, tuple[_Memory, Node]] = {}
        for node in self.calls:
            memory = self.memory.get(id(node))
            if memory is not None:
                firsts.setdefault(id(memory), (memory, node))
        buffers: list[list[Any]] = []  # [dtype, elements, needed until]
        views: list[str] = []
        for memory, node in firsts.values():
            if memory.returned or not _writes(node):
                continue
            free = [b for b in buffers if b[0] == node.dtype and b[2] < memory.first]
            # the smallest that is large enough, or else the largest, which then grows
            fits = sorted(free, key=lambda b: (b[1] < node.size, abs(b[1] - node.size)))
            if not fits:
                buffers.append([node.dtype, 0, -1])
            buffer = fits[0] if fits else buffers[-1]
            buffer[1], buffer[2] = max(buffer[1], node.size), memory.last
            memory.name = f"b{len(views)}"
            k = next(i for i, b in enumerate(buffers) if b is buffer)
            views.append(f"m{k}[:{node.size}].reshape({node.shape})")
        lines = [f"    m{k} = np.empty({b[1]}, {_dtype(b[0])})" for k, b in enumerate(buffers)]
        return [
            "def workspace():",
            '    """Make the memory of one call at a time: b0, b1, ..., some of it in turn."""',
            *lines,
            f"    return [{', '.join(views)}]",
        ]

    # ---- text

    def write(self, shape: str | None, title: str) -> Program:
        """Put the whole together."""
        self.plan()
        workspace = self.workspace()
        parameters = [self.name(node) for node in self.inputs]
        for node in self.order:
            if node.given in ("live", "array"):
                self.take(node)
            elif node.given == "constant":
                self.constant(node)
        body = [self.line(k, node) for k, node in enumerate(self.calls) if not self.inlined(node)]
        parameters += [self.names[id(node)] for node in self.given]
        returned = [self.returned(k, output) for k, output in enumerate(self.outputs)]
        flat = shape is None
        expression = f"({', '.join(returned)},)" if shape is None else shape.format(*returned)
        buffers = [m.name for m in self.memory.values() if m.name]
        unpack = f"    {', '.join(dict.fromkeys(buffers))}, = work or workspace()"
        imports = ["import numpy as np"]
        imports += ["from scipy import special"] * any("special." in line for line in body)
        text = [
            f'"""{title}"""',
            "",
            *self.helpers.imports(imports),
            *(["", *self.header] if self.header else []),
            *self.helpers.text(),
            "",
            "",
            *workspace,
            "",
            "",
            f"def program({', '.join([*parameters, 'work=None'])}):",
            *([unpack] if buffers else []),
            *body,
            f"    return {expression}",
            "",
        ]
        return Program("\n".join(text), parameters, self.given, flat, self.helpers.outside)

    def name(self, node: Node) -> str:
        """Name a node once, after its label."""
        if id(node) not in self.names:
            label = node.label if node.label.isidentifier() else "t"
            free = (f"{label}_{k}" if k else label for k in range(len(self.taken) + 2))
            if label == "t":
                free = (f"t{k}" for k in range(len(self.taken) + 2))
            self.names[id(node)] = next(name for name in free if name not in self.taken)
            self.taken.add(self.names[id(node)])
        return self.names[id(node)]

    def take(self, node: Node) -> None:
        """Make something given a parameter of the program."""
        if id(node) not in self.names:
            node.label = node.label or {"live": "p", "array": "array"}[node.given or "array"]
            self.name(node)
            self.given.append(node)

    def constant(self, node: Node) -> None:
        """Write a constant into the header; a large one becomes a parameter."""
        value: Array = node.args[0]
        if value.size and (value == value.flat[0]).all():
            text = (
                f"np.full({value.shape}, {_literal(value.flat[0].item())}, {_dtype(value.dtype)})"
            )
        elif value.size <= 256:
            numbers = _literal(value.ravel().tolist())
            text = f"np.array({numbers}, {_dtype(value.dtype)}).reshape({value.shape})"
        else:
            node.given = "array"
            self.take(node)
            return
        node.label = node.label or "k"
        self.header.append(f"{self.name(node)} = {text}")

    def number(self, number: float, dtype: np.dtype[Any]) -> str:
        """Name a number as an array without axes: a ufunc takes it 0.3 microseconds sooner."""
        key = (number, dtype)
        if key not in self.numbers:
            known = {1: "one", 0: "zero", -1: "minus_one", 2: "two", 0.5: "half"}
            base = known.get(number, f"c{len(self.numbers)}")
            name = base if base not in self.taken else f"{base}_{dtype.name}"
            self.taken.add(name)
            self.numbers[key] = name
            self.header.append(f"{name} = np.array({_literal(number)}, {_dtype(dtype)})")
        return self.numbers[key]

    def inlined(self, node: Node) -> bool:
        """Whether it is written where it is used: another look at memory costs next to nothing."""
        return node.is_call("transpose", "reshape") and not any(node is o for o in self.outputs)

    def text(self, a: Argument, dtype: np.dtype[Any] | None = None) -> str:
        """Write an argument: a name, a view, a number."""
        if not isinstance(a, Node):
            if dtype is not None and type(a) in (int, float) and dtype.kind == "f":
                return self.number(a, dtype)
            return self.literal(a)
        if a.given is None and self.inlined(a):
            return self.expression(a)
        return self.name(a)

    def literal(self, a: Argument) -> str:
        """Write a value that an op was given: an axis, a shape, an index, a generator."""
        if isinstance(a, Node):
            return self.text(a)
        if isinstance(a, list | tuple):
            inside = ", ".join(map(self.literal, a))
            return f"[{inside}]" if isinstance(a, list) else f"({inside}{',' * (len(a) == 1)})"
        if isinstance(a, ndarray):
            node = Node(None, (a,), {}, a, "constant")
            self.own.append(node)
            self.constant(node)
            return self.names[id(node)]
        if isinstance(a, np.random.Generator):
            known = next((node for node in self.given if node.args[0] is a), None)
            if known is None:
                known = Node(None, (a,), {}, np.zeros(()), "array")
                known.label = "rng"
                self.take(known)
            return self.names[id(known)]
        return _literal(a)

    def line(self, k: int, node: Node) -> str:
        """Write one call: ``name = call  # shape, formula``."""
        assert node.op is not None
        call = self.expression(node)
        memory = self.memory.get(id(node))
        if memory is not None and _writes(node):
            if memory.first < k:
                out = next(
                    self.names[id(a)] for a in node.nodes() if self.memory.get(id(a)) is memory
                )
                call = f"{call[:-1]}, out={out})"
            elif memory.name:
                call = f"{call[:-1]}, out={memory.name})"
        shape = f"{node.shape} " if node.shape else ""
        return f"    {f'{self.name(node)} = {call}':<72}  # {shape}{node.op.formula}"

    def returned(self, k: int, output: Argument) -> str:
        """Write a result: the caller's own, never memory that is used again or given twice."""
        if not isinstance(output, Node):
            return _literal(output)
        text = self.text(output)
        if output.shape == ():
            return f"{text}[()]"
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
        function = self.helpers.path(node.op.forward, name)
        others = [a.dtype for a in node.nodes()]
        dtype = others[0] if _is_ufunc(node) and others and node.shape else None
        args = [self.text(a, dtype) for a in node.args]
        args += [f"{key}={self.literal(value)}" for key, value in node.static.items()]
        return f"{function}({', '.join(args)})"

    def operand(self, a: Argument) -> str:
        text = self.text(a)
        return f"({text})" if text.startswith("-") else text


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
    """Sum rows and columns of matrices as a product with ones: 2 to 3 times as fast."""
    x, axes = node.args[0], node.static["axis"]
    if x.ndim != 2 or len(axes) != 1 or x.dtype.kind != "f" or node.static["keepdims"]:
        return _reduction("np.add")(writer, node)
    ones = f"ones_{x.shape[axes[0]]}"
    if ones not in writer.taken:
        writer.taken.add(ones)
        writer.header.append(f"{ones} = np.ones({x.shape[axes[0]]}, {_dtype(x.dtype)})")
    pair = (ones, writer.text(x)) if axes == (0,) else (writer.text(x), ones)
    return f"np.dot({', '.join(pair)})"


def _matmul(writer: _Writer, node: Node) -> str:
    """Take `dot` for plain matrices: the same product, called 0.5 microseconds sooner."""
    plain = all(isinstance(a, Node) and a.ndim == 2 for a in node.args)
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
        zeros = f"np.zeros({node.shape}, {_dtype(node.dtype)})"
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

    put = writer.helpers.path(OPS["put"].forward, "put")
    return f"{put}({writer.text(g)}, {part(node.static['key'])}, {node.static['shape']})"


def _cast(writer: _Writer, node: Node) -> str:
    return f"{writer.text(node.args[0])}.astype({_dtype(node.dtype)})"


def _random(writer: _Writer, node: Node) -> str:
    return f"{writer.literal(node.static['rng'])}.random({node.shape})"


_WRITTEN: dict[str, Callable[[_Writer, Node], str]] = {
    "sum": _sum,
    "max": _reduction("np.maximum"),
    "min": _reduction("np.minimum"),
    "matmul": _matmul,
    "dot": lambda writer, node: f"np.vdot({', '.join(map(writer.text, node.args))})",
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
}


def _dtype(dtype: np.dtype[Any]) -> str:
    return "bool" if dtype.kind == "b" else f"np.{dtype.name}"


def _literal(a: Any) -> str:
    """Write a Python value so that it can be read again."""
    if isinstance(a, tuple):
        return f"({', '.join(map(_literal, a))}{',' * (len(a) == 1)})"
    if isinstance(a, list):
        return f"[{', '.join(map(_literal, a))}]"
    if isinstance(a, float) and not math.isfinite(a):
        return "np.nan" if a != a else f"{'-' * (a < 0)}np.inf"
    if isinstance(a, np.dtype):
        return _dtype(a)
    if isinstance(a, type) and issubclass(a, np.generic):
        return f"np.{a.__name__}"
    if isinstance(a, int) and not isinstance(a, bool):
        return repr(int(a))
    return a.__name__ if isinstance(a, type) else repr(a)


# ---- functions that are printed along with the program


class Helpers:
    """Collects the sources of the functions that a program calls, and of what those call."""

    def __init__(self) -> None:
        self.modules: dict[str, str] = {}  # alias: import line
        self.texts: dict[str, list[str]] = {}
        self.known: dict[int, str] = {}
        self.outside: dict[str, Any] = {}

    def imports(self, first: list[str]) -> list[str]:
        """List the import lines."""
        plain = dict.fromkeys([*self.modules.values(), *first])
        return sorted(plain, key=lambda line: (line.startswith("from"), "numpy" in line, line))

    def text(self) -> list[str]:
        """List the lines of all sources."""
        return [line for lines in self.texts.values() for line in ["", *lines]]

    def path(self, function: Any, name: str) -> str:
        """Say how the program calls a function."""
        for prefix, module in (("np", np), ("np.linalg", np.linalg), ("special", special)):
            base = getattr(function, "__name__", "")
            if getattr(module, base, None) is function:
                return f"{prefix}.{base}"
        if id(function) not in self.known:
            free = (f"{name}{'_' * k}" for k in range(100))
            taken = {*self.texts, *self.outside}
            own = next(n for n in free if n not in taken)
            self.known[id(function)] = own
            self.define(function, own)
        return self.known[id(function)]

    def define(self, function: Any, name: str) -> None:
        """Print a function, what it calls, and the constants it reads; or take it as it is."""
        found = _definition(function)
        if found is None or inspect.getclosurevars(function).nonlocals:
            self.outside[name] = function
            self.texts[name] = [f"# {name}, which this needs, is {function!r}: it has no source."]
            return
        body = _Renamed(self, function).visit(found)
        ast.fix_missing_locations(body)
        if isinstance(body, ast.Lambda):
            text = f"def {name}({ast.unparse(body.args)}):\n    return {ast.unparse(body.body)}"
        else:
            body.name = name
            text = ast.unparse(body)
        self.texts[name] = ["", *text.splitlines()]

    def refer(self, value: Any, name: str) -> str | None:
        """Make what a printed function reads under this name available; return its new name."""
        if isinstance(value, ModuleType):
            path, _, last = value.__name__.rpartition(".")
            line = f"from {path} import {last}" if path else f"import {last}"
            self.modules[name] = line if last == name else f"{line} as {name}"
            return name
        if isinstance(value, int | float | np.number):
            self.texts[name] = [f"{name} = {_literal(value)}"]
            if isinstance(value, np.number):
                self.texts[name] = [f"{name} = np.{value.dtype.name}({_literal(value.item())})"]
            return name
        if isinstance(value, ndarray):
            self.texts[name] = [f"{name} = np.array({value.tolist()}, {_dtype(value.dtype)})"]
            return name
        if callable(value) and not isinstance(value, type):
            return self.path(getattr(getattr(value, "op", None), "forward", value), name)
        return None


class _Renamed(ast.NodeTransformer):
    """Strips types and documentation from a function and points its names to what is printed."""

    def __init__(self, helpers: Helpers, function: Any) -> None:
        self.helpers, self.scope = helpers, function.__globals__
        code = function.__code__
        self.local = {*code.co_varnames, *code.co_cellvars}

    def visit_Name(self, node: ast.Name) -> Any:
        if node.id in self.local or node.id not in self.scope:
            return node
        renamed = self.helpers.refer(self.scope[node.id], node.id)
        return node if renamed is None else ast.parse(renamed, mode="eval").body

    def visit_arg(self, node: ast.arg) -> Any:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        node.returns, node.decorator_list = None, []
        if ast.get_docstring(node):
            node.body = node.body[1:]
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        if node.value is None:
            return None
        return self.visit(ast.Assign([node.target], node.value))


def _definition(function: Any) -> ast.FunctionDef | ast.Lambda | None:
    """Find the definition of a function in the file it came from."""
    code = getattr(function, "__code__", None)
    if code is None or function.__module__ not in sys.modules:
        return None
    for node in _definitions(function.__module__).get(code.co_firstlineno, ()):
        name = "<lambda>" if isinstance(node, ast.Lambda) else node.name
        if name == code.co_name:
            return copy.deepcopy(node)
    return None


@functools.cache
def _definitions(module: str) -> dict[int, list[ast.FunctionDef | ast.Lambda]]:
    """List the functions of a file by the line that their code says they start on."""
    found: dict[int, list[ast.FunctionDef | ast.Lambda]] = {}
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (OSError, TypeError):
        return found
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
            found.setdefault(first, []).append(node)
    return found
