"""The text of a program, and the sources of the functions that it calls, so that it stands alone.

What is not a plain NumPy call is printed along with the program: the forward of an op, and what
that calls in turn, found in the files that they came from. Whatever the text takes from outside
is a checked identifier or a literal; a function whose file says something else than its code in
memory, or which reads what no literal can say, is handed over as it is.
"""

from __future__ import annotations
import __future__

import ast
import copy
import functools
import inspect
import keyword
import math
import pickle
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
from scipy import special
from scipy.linalg import blas

from autonn.compiler.graph import Node, is_even
from autonn.engine.op import Op

__all__ = ["Source", "dtype_text", "identifier", "literal"]

# What a program calls by its own name, and how it calls the module.
_MODULES = {"np": np, "np.linalg": np.linalg, "special": special, "blas": blas}


def identifier(name: Any, otherwise: str) -> str:
    """Return a name if it can stand in a program as one, or else another.

    >>> identifier("weight_0", "t"), identifier("x = 1; y", "t"), identifier("lambda", "t")
    ('weight_0', 't', 't')
    """
    plain = type(name) is str and name.isidentifier() and name.isascii()
    return name if plain and not keyword.iskeyword(name) else otherwise


@functools.lru_cache
def dtype_text(dtype: np.dtype[Any]) -> str:
    """Write a dtype: a number's by its name, of others, as of a time's, what NumPy calls it.

    >>> dtype_text(np.dtype(np.float32)), dtype_text(np.dtype("m8[s]"))
    ('np.float32', "np.dtype('<m8[s]')")
    """
    if dtype.kind not in "biufc":
        return f"np.dtype({dtype.str!r})"
    return "bool" if dtype.kind == "b" else f"np.{dtype.name}"


def literal(a: Any) -> str:
    """Write a Python value so that it can be read again; `TypeError` for what is no literal.

    >>> literal((1, -0.0, "a", slice(None), None, np.float32))
    "(1, -0.0, 'a', slice(None, None, None), None, np.float32)"
    """
    for kinds, write in _LITERALS:
        if isinstance(a, kinds):
            return write(a)
    if isinstance(a, type) and (issubclass(a, np.generic) or a in (bool, int, float, complex)):
        return f"np.{np.dtype(a).name}" if issubclass(a, np.generic) else a.__name__
    raise TypeError(f"cannot be written into a program: {type(a).__name__}")


def _row(a: Any) -> str:
    inside = ", ".join(map(literal, a))
    return f"[{inside}]" if isinstance(a, list) else f"({inside}{',' * (len(a) == 1)})"


def _float(a: float) -> str:
    if math.isfinite(a):
        return repr(float(a))
    return "np.nan" if a != a else f"{'-' * (a < 0)}np.inf"


def _slice(a: slice) -> str:
    return f"slice({literal(a.start)}, {literal(a.stop)}, {literal(a.step)})"


# How each kind of value is written: of a subclass, as an enumeration's, the plain value.
_LITERALS: list[tuple[Any, Callable[[Any], str]]] = [
    ((tuple, list), _row),
    ((bool, type(None), type(Ellipsis)), repr),
    (float, _float),
    (complex, lambda a: f"complex({literal(a.real)}, {literal(a.imag)})"),  # repr loses signs of 0
    (int, lambda a: repr(int(a))),
    (str, lambda a: repr(str(a))),
    (bytes, lambda a: repr(bytes(a))),
    (np.integer, lambda a: f"np.{a.dtype.name}({int(a)})"),
    (np.dtype, dtype_text),
    (slice, _slice),
]


class Source:
    """The source of a program: its imports, constants and helpers, and the functions in it.

    `given` collects what its functions take besides their inputs: parameters, arrays and
    generators, as nodes; `outside` what it calls that has no text.
    """

    def __init__(self, name: Any) -> None:
        self.name = identifier(name, "f")
        self.taken: set[str] = {"np", "special", "blas"}  # names that all functions see
        self.local: set[str] = set()  # names in one function or another: the others avoid them
        self.header: list[str] = []
        self.functions: list[str] = []
        self.given: list[Node] = []
        self.outside: dict[str, Any] = {}
        self._named: dict[Any, str] = {}
        self._helpers = _Helpers(self)

    def text(self) -> str:
        """Return the whole source."""
        lines = [f'"""{self.name}, derived by autonn.compile"""', ""]
        body = "\n".join([*self.header, *self.functions])
        lines += self._helpers.imports("special." in body, "blas." in body)
        lines += ["", *self.header] if self.header else []
        lines += [*self._helpers.text(), *self.functions, ""]
        return "\n".join(lines)

    def load(self) -> dict[str, Any]:
        """Run the source and return its names."""
        namespace: dict[str, Any] = {"__name__": __name__, **self.outside}
        exec(compile(self.text(), f"<{self.name}, derived by autonn.compile>", "exec"), namespace)
        return namespace

    def reserve(self, label: str) -> str:
        """Take a name for something that all functions see."""
        used = self.taken | self.local
        free = (f"{label}_{k}" if k else label for k in range(len(used) + 1))
        name = next(name for name in free if name not in used)
        self.taken.add(name)
        return name

    def in_header(self, key: Any, label: str, text: str) -> str:
        """Name what a text in the header gives; one name for each key."""
        if key not in self._named:
            self._named[key] = self.reserve(label)
            self.header.append(f"{self._named[key]} = {text}")
        return self._named[key]

    def constant(self, node: Node) -> str | None:
        """Name a constant, and write it into the header; None for what is too large or no text."""
        value, dtype = node.value, dtype_text(node.dtype)
        if value.dtype.kind not in "biufcSU":
            return None
        if value.size and is_even(value.reshape(-1)):
            text = f"np.full({value.shape}, {literal(value.flat[0].item())}, {dtype})"
        elif value.size <= 256:
            numbers = literal(value.ravel().tolist())
            text = f"np.array({numbers}, {dtype}).reshape({value.shape})"
        else:
            return None
        return self.in_header(node, identifier(node.label, "k"), text)

    def number(self, number: float, dtype: np.dtype[Any]) -> str:
        """Name a number as an array without axes: a ufunc takes it 0.3 microseconds sooner."""
        key = repr(float(number)), dtype  # as text, which tells -0.0 from 0.0
        known = {"1.0": "one", "0.0": "zero", "-1.0": "minus_one", "2.0": "two", "0.5": "half"}
        label = known.get(key[0], f"c{len(self._named)}")
        return self.in_header(key, label, f"np.array({literal(number)}, {dtype_text(dtype)})")

    def full(self, shape: tuple[int, ...], number: float, dtype: np.dtype[Any]) -> str:
        """Name an array of equal numbers."""
        plain = number == 0 and math.copysign(1, number) > 0
        known = "ones" if number == 1 else "zeros" if plain else "full"
        value = f", {literal(number)}" if known == "full" else ""
        text = f"np.{known}({literal(shape)}{value}, {dtype_text(dtype)})"
        return self.in_header(text, "_".join([known, *map(str, shape)]), text)

    def starts(self, count: int, step: int) -> str:
        """Name the places where rows of so many numbers start."""
        text = f"np.arange(0, {count}, {step})"
        return self.in_header(text, f"starts_{count // step}_{step}", text)

    def function(self, function: Any, name: Any) -> str:
        """Say how the program calls a function, which is printed where it is no NumPy function."""
        return self._helpers.path(function, name)

    def hand_over(self, value: Any, name: Any) -> str:
        """Name something that has no text, and that the program is given as it is."""
        own = self.reserve(identifier(name, "given"))
        self.outside[own] = value
        kind = identifier(type(value).__name__, "object")
        self._helpers.texts[own] = [f"# {own}, which this needs, is a {kind} without a text here."]
        return own


class _Helpers:
    """Collects the sources of the functions that a program calls, and of what those call."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.modules: dict[str, str] = {}  # alias: import line
        self.texts: dict[str, list[str]] = {}
        self.known: dict[int, tuple[Any, str]] = {}  # with the thing, so that its id stays its own

    def imports(self, special: bool, blas: bool) -> list[str]:
        """List the import lines."""
        first = ["import numpy as np", *["from scipy import special"] * special]
        first += ["from scipy.linalg import blas"] * blas
        plain = dict.fromkeys([*self.modules.values(), *first])
        return sorted(plain, key=lambda line: (line.startswith("from"), "numpy" in line, line))

    def text(self) -> list[str]:
        """List the lines of all sources."""
        return [line for lines in self.texts.values() for line in ["", *lines]]

    def path(self, function: Any, name: Any) -> str:
        """Say how the program calls a function."""
        base = str(getattr(function, "__name__", "")).removeprefix("function ")  # of f2py's daxpy
        for prefix, module in _MODULES.items():
            if getattr(module, base, None) is function:
                return f"{prefix}.{base}"
        if id(function) not in self.known:
            keeps = isinstance(function, functools._lru_cache_wrapper)
            plain = function.__wrapped__ if keeps else function
            text, scope = _definition(plain), getattr(plain, "__globals__", {})
            if text is None:
                self.known[id(function)] = function, self.source.hand_over(function, name)
            else:
                own = self.source.reserve(identifier(name, "helper"))
                self.known[id(function)] = function, own

                def filled(hole: re.Match[str]) -> str:
                    key = hole[1]
                    return self.refer(scope[key], key) if key in scope else key or own

                self.texts[own] = []  # before what it calls, and so that a recursion ends
                again = [f"{own} = {self.keeping(function)}({own})"] if keeps else []
                self.texts[own] = ["", *_HOLE.sub(filled, text).splitlines(), *again]
        return self.known[id(function)][1]

    def keeping(self, function: Any) -> str:
        """Write what lets a function keep what it returned, as it was declared to."""
        known = function.cache_parameters()
        name = self.module(functools, "functools")
        return f"{name}.lru_cache(maxsize={known['maxsize']}, typed={known['typed']})"

    def refer(self, value: Any, name: str) -> str:
        """Make what a printed function reads under this name available; return its new name."""
        if isinstance(value, ModuleType):
            return self.module(value, name)
        if id(value) in self.known:
            return self.known[id(value)][1]
        op = getattr(value, "op", None)
        if op is not None and op.residuals:
            return self.without_residuals(op, name)
        if callable(value) and not isinstance(value, type):
            return self.path(getattr(op, "forward", value), name)
        text = _constant_text(value)
        if text is None:
            own = self.source.hand_over(value, name)
        else:
            own = self.source.reserve(identifier(name, "k"))
            self.texts[own] = [f"{own} = {text}"]
        self.known[id(value)] = value, own
        return own

    def without_residuals(self, op: Op, name: str) -> str:
        """Print what calls the forward of an op, and returns the result alone."""
        inner = self.path(op.with_residuals, f"{name}_and_residuals")
        own = self.source.reserve(identifier(name, "helper"))
        self.texts[own] = ["", f"def {own}(*values):", f"    return {inner}(*values)[0]"]
        self.known[id(op.forward)] = op.forward, own
        return own

    def module(self, module: ModuleType, name: str) -> str:
        """Import a module under the name that a printed function reads."""
        path, _, last = module.__name__.rpartition(".")
        parts = [*path.split("."), last] if path else [last]
        if any(identifier(part, "") != part for part in (*parts, name)):
            return self.source.hand_over(module, name)
        line = f"from {path} import {last}" if path else f"import {last}"
        self.modules[name] = line if last == name else f"{line} as {name}"
        return name


def _constant_text(value: Any) -> str | None:
    """Write a constant that a printed function reads; None for what may change in place."""
    if isinstance(value, np.number) and value.dtype.kind != "m":
        return f"{dtype_text(value.dtype)}({literal(value.item())})"
    try:
        hash(value)
        return literal(value)
    except TypeError:
        return None


# Where a text of a function names what is outside: the name stands between these, "" for its own.
_OPEN, _SHUT = "\u27e6", "\u27e7"  # printable, or they would be escaped within f-strings
_HOLE = re.compile(f"{_OPEN}(.*?){_SHUT}")


def _hole(name: str) -> ast.Name:
    return ast.Name(f"{_OPEN}{name}{_SHUT}")  # which is written as it is


class _WithHoles(ast.NodeTransformer):
    """Strips types and documentation from a function, and makes holes of its globals."""

    def __init__(self, code: CodeType) -> None:
        self.local = _local_names(code)

    def visit_Name(self, node: ast.Name) -> Any:
        return node if node.id in self.local else _hole(node.id)

    def visit_arg(self, node: ast.arg) -> Any:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        node.returns, node.decorator_list = None, []
        if ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        if node.value is None:
            return ast.Pass()
        return self.visit(ast.copy_location(ast.Assign([node.target], node.value), node))


def _local_names(code: CodeType) -> set[str]:
    inner = (c for c in code.co_consts if isinstance(c, CodeType))
    return {*code.co_varnames, *code.co_cellvars, *(n for c in inner for n in _local_names(c))}


# ---- finding definitions


def _definition(function: Any) -> str | None:
    """Find the text of a function, with holes, in the file it came from, if that is what it runs.

    A function that closes over something, or whose file was edited or loaded anew since, is not
    what the text says; so it has none.
    """
    if type(function) is not FunctionType or function.__closure__:
        return None
    if function.__module__ not in sys.modules:
        return None
    try:
        text = _definition_in(
            inspect.getsource(sys.modules[function.__module__]), function.__code__
        )
        return text and _DEFAULT.sub(lambda hole: literal(_default(function, hole[1])), text)
    except (OSError, TypeError, LookupError):  # it has no source, or a default is no literal
        return None


# Where a default stands: as it is now, it may be another. A keyword's has its name, others a place.
_DEFAULT = re.compile(f"{_OPEN}=(.*?){_SHUT}")


def _default(function: FunctionType, key: str) -> Any:
    if key.isdecimal():
        return (function.__defaults__ or ())[int(key)]
    return (function.__kwdefaults__ or {})[key]


@functools.lru_cache(maxsize=1024)
def _definition_in(text: str, code: CodeType) -> str | None:
    """Find the definition in a text that gives this code, and write it with holes."""
    functions, imports = _functions_by_line(text)
    if _OPEN in text:
        return None
    for node in functions.get(code.co_firstlineno, ()):
        name = "<lambda>" if isinstance(node, ast.Lambda) else node.name
        alike = (_same_code(c, code) for c in _compiled(node, imports))
        if name == code.co_name and any(alike):
            own = pickle.loads(pickle.dumps(node))  # in a third of the time of a deep copy
            return _with_holes(own, code)
    return None


def _with_holes(tree: ast.FunctionDef | ast.Lambda, code: CodeType) -> str:
    tree = _WithHoles(code).visit(tree)
    args = tree.args
    args.defaults = [_hole(f"={k}") for k in range(len(args.defaults))]
    args.kw_defaults = [
        d and _hole(f"={a.arg}") for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True)
    ]
    if isinstance(tree, ast.Lambda):
        return f"def {_OPEN}{_SHUT}({ast.unparse(args)}):\n    return {ast.unparse(tree.body)}"
    tree.name = _OPEN + _SHUT
    return ast.unparse(tree)


def _compiled(
    tree: ast.FunctionDef | ast.Lambda, imports: Sequence[ast.stmt]
) -> Iterator[CodeType]:
    """Compile a definition by itself, to be compared with code in memory.

    With the imports of its file, as Python calls methods of modules in another way.
    """
    statement: ast.stmt = ast.Expr(tree) if isinstance(tree, ast.Lambda) else copy.copy(tree)
    if isinstance(statement, ast.FunctionDef):
        statement.decorator_list = []
    module = ast.fix_missing_locations(ast.Module([*imports, statement], []))
    for flags in (__future__.annotations.compiler_flag, 0):  # as the file may begin
        codes = compile(module, "<text>", "exec", flags=flags, dont_inherit=True).co_consts
        yield from (c for c in codes if isinstance(c, CodeType))


def _same_code(a: CodeType, b: CodeType) -> bool:
    """Whether two codes do the same, wherever they stand."""
    if (a.co_code, a.co_names, a.co_varnames) != (b.co_code, b.co_names, b.co_varnames):
        return False
    if len(a.co_consts) != len(b.co_consts):
        return False
    return all(
        _same_code(x, y) if isinstance(x, CodeType) and isinstance(y, CodeType)
        else (type(x), repr(x)) == (type(y), repr(y))
        for x, y in zip(a.co_consts, b.co_consts, strict=True)
    )  # fmt: skip


_Found = tuple[dict[int, list[ast.FunctionDef | ast.Lambda]], list[ast.stmt]]


@functools.lru_cache(maxsize=32)
def _functions_by_line(text: str) -> _Found:
    found: dict[int, list[ast.FunctionDef | ast.Lambda]] = {}
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return found, []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
            found.setdefault(first, []).append(node)
    kinds = (ast.Import, ast.ImportFrom)
    imports: list[ast.stmt] = [
        node for node in tree.body
        if isinstance(node, kinds) and getattr(node, "module", "") != "__future__"
    ]  # fmt: skip
    return found, imports
