"""Guards: what must hold for a program to be the right one, and the quick look whether it does.

A program was derived from one run of a function. It runs again only on arguments of the same form,
with the modules in the same mode, and with the same things behind the names that the function
reads. The guards are written as text, one flat expression: the same in loops takes 2 microseconds
more, of 50.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Sequence
from types import CellType, FunctionType
from typing import Any

import numpy as np
from numpy import ndarray

from autonn.engine.modes import (
    Changes,
    TracedModule,
    changes,
    evaluated,
    is_recording,
    is_tracing,
)
from autonn.engine.tensor import Tensor, values_of
from autonn.engine.trees import Tree

__all__ = ["MISS", "Guards", "Numbers", "Scope", "form_of"]

# What a quick look returns where anything is not as it was.
MISS = object()


def form_of(tree: Tree) -> Any:
    """Describe what a program depends on: structure, shapes, dtypes, and values of the rest."""
    if isinstance(tree, dict):
        return "dict", tuple((key, form_of(branch)) for key, branch in tree.items())
    if isinstance(tree, list | tuple):
        return type(tree), tuple(map(form_of, tree))
    if isinstance(tree, ndarray | np.generic | Tensor):
        return isinstance(tree, Tensor), tree.shape, tree.dtype
    if type(tree) is float:
        return float
    return type(tree), tree if isinstance(tree, Hashable) else id(tree)


class Numbers:
    """Which of the numbers among the arguments were seen to change: these become data."""

    def __init__(self) -> None:
        self.first: list[float] | None = None
        self.varying: set[int] = set()
        self.may_vary = True

    def fixed(self, numbers: list[float]) -> tuple[float | None, ...]:
        """Compare with the first ones; return those that are still part of the program."""
        self.first = self.first or numbers
        if self.may_vary:
            pairs = enumerate(zip(self.first, numbers, strict=True))
            self.varying |= {k for k, (a, b) in pairs if a != b}
        return tuple(None if k in self.varying else number for k, number in enumerate(numbers))

    def never(self) -> None:
        """Make them part of the program for good."""
        self.may_vary, self.varying = False, set()


class Scope:
    """The names that a function reads from around it, and what they stood for.

    Functions that it holds are looked into as well: a transform holds the one it transforms.
    """

    def __init__(self, f: Any) -> None:
        self.cells: list[tuple[CellType, Any]] = []
        self.names: list[tuple[dict[str, Any], str, Any]] = []
        self.enter(f, set())

    def enter(self, f: Any, seen: set[int]) -> None:
        """Look into a function, once."""
        f = getattr(f, "__func__", f)
        if not isinstance(f, FunctionType) or id(f) in seen:
            return
        seen.add(id(f))
        if not (f.__module__ or "").startswith("autonn."):
            for name in f.__code__.co_names:
                if name in f.__globals__:
                    self.names.append((f.__globals__, name, f.__globals__[name]))
                    self.enter(f.__globals__[name], seen)
        for cell in f.__closure__ or ():
            with contextlib.suppress(ValueError):  # it is empty: not assigned yet
                self.cells.append((cell, cell.cell_contents))
                self.enter(cell.cell_contents, seen)


class Guards:
    """What a program depends on beside its arguments, and the functions that look at it.

    Attributes
    ----------
    hold
        Whether all is as it was when the program was derived.
    """

    def __init__(self, modules: Sequence[TracedModule], live: Sequence[Any], scope: Scope) -> None:
        once = {id(module): module for module in modules}.values()
        self.modules = [(module, module.training, module.edits) for module in once]
        self.live = live
        self.known: dict[str, Any] = {}  # what the guards compare with, by name
        self.known["seen"] = Changes(-1)  # at which count the modules were last as they were
        look = ["count = changes.count", f"if {' and '.join(self.about_modules())}:"]
        # Modes for a while are not counted: where there are any, each module is asked.
        look += ["    if evaluated() is None:", "        seen.count = count"]
        look += ["    return True", "return False"]
        self.known["modules_hold"] = self.made("modules_hold", [], look)
        counted = "changes.count == seen.count and evaluated() is None"
        self.tests = [f"({counted} or modules_hold())", *self.about_names(scope)]
        self.hold = self.made("guards", [], [f"return {' and '.join(self.tests)}"])

    def named(self, value: Any) -> str:
        """Name something for the guards."""
        name = f"v{len(self.known)}"
        self.known[name] = value
        return name

    def unchanged(self, now: str, value: Any) -> str:
        """Write the test whether an expression is what it was."""
        old = self.named(value)
        return f"({now} is {old} or is_same({now}, {old}))"

    def made(self, name: str, parameters: list[str], body: list[str]) -> Callable[..., Any]:
        """Make a function of a few lines that see what is known."""
        lines = [f"def {name}({', '.join(parameters)}):", *(f"    {line}" for line in body)]
        scope = self.known | {
            "ndarray": ndarray, "tracing": is_tracing, "recording": is_recording,
            "is_same": _is_same, "MISS": MISS, "changes": changes, "values_of": values_of,
            "evaluated": evaluated.get,
        }  # fmt: skip
        exec("\n".join(lines), scope)
        function: Callable[..., Any] = scope[name]
        return function

    def about_modules(self) -> list[str]:
        """Write the tests whether modules and parameters are as they were."""
        tests = ["True"]
        for module, training, edits in self.modules:
            name = self.named(module)
            tests.append(f"{name}.training is {training} and {name}.edits == {edits}")
        for thing in self.live:
            if type(thing) is Tensor:
                tests.append(f"{self.named(thing)}.requires_grad is {thing.requires_grad}")
        return tests

    def about_names(self, scope: Scope) -> list[str]:
        """Write the tests whether what the function reads from around it is as it was."""
        tests = [f"recording() is {is_recording()}"]
        for cell, value in scope.cells:
            tests.append(self.unchanged(f"{self.named(cell)}.cell_contents", value))
        for names, key, value in scope.names:
            tests.append(self.unchanged(f"{self.named(names)}.get({key!r})", value))
        return tests

    def quick(self, args: tuple[Any, ...], function: Any, finish: Any) -> Callable[..., Any]:
        """Write the function that looks whether all is as it was, and only then runs the program.

        It is as flat as the program: the same in loops takes 2 microseconds more, of 50.
        """
        self.known |= {"function": function, "finish": finish}
        inputs, parameters = [], [f"a{k}" for k in range(len(args))]
        row = "".join(f"{name}, " for name in parameters)
        tests = ["tracing() is None", *self.tests]
        for name, a in zip(parameters, args, strict=True):
            if type(a) is ndarray:
                inputs.append(name)
                tests += [f"type({name}) is ndarray", f"{name}.shape == {a.shape}"]
                tests.append(f"{name}.dtype is {self.named(a.dtype)}")
            else:
                tests.append(self.unchanged(name, a))
        for thing in self.live:
            name = self.named(thing)
            inputs.append(f"values_of({name})" if type(thing) is Tensor else name)
        call = f"function({', '.join(inputs)})"
        if finish is not None:
            call = f"finish({call}, args, {{}})"
        body = [f"if len(args) == {len(args)}:", f"    {row}= args"] if args else ["if not args:"]
        body += [f"    if {' and '.join(tests)}:", f"        return {call}", "return MISS"]
        return self.made("quick", ["args"], body)


def _is_same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and isinstance(a, bool | int | float | str) and a == b
