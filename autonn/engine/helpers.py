"""The sources of the functions that a compiled program calls, so that it stands alone.

What is not a plain NumPy call is printed along with the program: the forward of an op, and what
that calls in turn, found in the files that they came from.
"""

from __future__ import annotations

import ast
import copy
import functools
import inspect
import math
import sys
from types import ModuleType
from typing import Any

import numpy as np
from numpy import ndarray
from scipy import special
from scipy.linalg import blas

# What a program calls by its own name, and how it calls the module.
_MODULES = {"np": np, "np.linalg": np.linalg, "special": special, "blas": blas}


def dtype_text(dtype: np.dtype[Any]) -> str:
    """Write a dtype."""
    return "bool" if dtype.kind == "b" else f"np.{dtype.name}"


def literal(a: Any) -> str:
    """Write a Python value so that it can be read again."""
    if isinstance(a, tuple):
        return f"({', '.join(map(literal, a))}{',' * (len(a) == 1)})"
    if isinstance(a, list):
        return f"[{', '.join(map(literal, a))}]"
    if isinstance(a, float) and not math.isfinite(a):
        return "np.nan" if a != a else f"{'-' * (a < 0)}np.inf"
    if isinstance(a, np.dtype):
        return dtype_text(a)
    if isinstance(a, type) and issubclass(a, np.generic):
        return f"np.{a.__name__}"
    if isinstance(a, int) and not isinstance(a, bool):
        return repr(int(a))
    return a.__name__ if isinstance(a, type) else repr(a)


class Helpers:
    """Collects the sources of the functions that a program calls, and of what those call."""

    def __init__(self) -> None:
        self.modules: dict[str, str] = {}  # alias: import line
        self.texts: dict[str, list[str]] = {}
        self.known: dict[int, str] = {}
        self.outside: dict[str, Any] = {}

    def imports(self, special: bool, blas: bool) -> list[str]:
        """List the import lines."""
        first = ["import numpy as np", *["from scipy import special"] * special]
        first += ["from scipy.linalg import blas"] * blas
        plain = dict.fromkeys([*self.modules.values(), *first])
        return sorted(plain, key=lambda line: (line.startswith("from"), "numpy" in line, line))

    def text(self) -> list[str]:
        """List the lines of all sources."""
        return [line for lines in self.texts.values() for line in ["", *lines]]

    def path(self, function: Any, name: str) -> str:
        """Say how the program calls a function."""
        base = getattr(function, "__name__", "").removeprefix("function ")  # as f2py names daxpy
        for prefix, module in _MODULES.items():
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
            self.texts[name] = [f"{name} = {literal(value)}"]
            if isinstance(value, np.number):
                self.texts[name] = [f"{name} = np.{value.dtype.name}({literal(value.item())})"]
            return name
        if isinstance(value, ndarray):
            self.texts[name] = [f"{name} = np.array({value.tolist()}, {dtype_text(value.dtype)})"]
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
