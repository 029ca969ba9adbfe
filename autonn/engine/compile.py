"""compile: the flat NumPy program that a person would have written, derived from a function.

A function is run once on Tensors; what it computed, and what its derivatives computed through the
rules, is read as a graph (`graph.py`), written down as one flat function (`program.py`) and run
from then on. Guards see to it that a program only runs on what it was derived from.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Hashable, Iterator, Sequence
from types import CellType, FunctionType
from typing import Any, Self

import numpy as np
from numpy import ndarray

from autonn.engine import graph, rows
from autonn.engine.autodiff import (
    Tree,
    _Again,
    _computed_again,
    _gradients,
    _leaves,
    _read_from_outside,
    _rebuild,
    _seed,
)
from autonn.engine.graph import Node
from autonn.engine.program import Sheet
from autonn.engine.tensor import (
    Array,
    Changes,
    Tensor,
    Trace,
    TracedValueError,
    _is_recording,
    _is_tracing,
    _leaf,
    _tracing,
    changes,
    evaluated,
)

# What a quick look returns where anything is not as it was.
_MISS = object()


def _miss(args: tuple[Any, ...]) -> Any:
    """Look quickly where there is no program yet, or none that can be told quickly."""
    return _MISS


# How many programs a compiled function keeps: one for each set of shapes, dtypes and modes.
_KEPT = 64


class Compiled(functools.partial[Any]):
    """What `compile` returns: call it as the function itself.

    It is a partial, of the function that looks for the program, since calling one starts half a
    microsecond sooner than a method ``__call__``.

    Attributes
    ----------
    source
        The program of the last call, as text that runs by itself with NumPy and SciPy.
    """

    programs: _Programs
    __name__: str

    def __new__(cls, f: Callable[..., Any], share_rows: bool = True) -> Self:
        """Compile a function."""
        programs = _Programs(f, share_rows)
        self = super().__new__(cls, programs.call)
        functools.update_wrapper(self, f)
        self.programs = programs
        self.__name__ = getattr(f, "__name__", "f")
        return self

    @property
    def source(self) -> str:
        """The program of the last call: see the class."""
        if self.programs.latest is None:
            raise RuntimeError(
                f"{self.__name__} has no program yet: it depends on the shapes and dtypes of the "
                "arguments; call it once"
            )
        return self.programs.latest.sheet.text()

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Bind it to an instance, where it decorates a method."""
        return self if instance is None else functools.partial(self, instance)

    def __reduce__(self) -> tuple[Any, ...]:
        return compile, (self.programs.f, self.programs.share_rows)

    def __repr__(self) -> str:
        return f"<compiled {self.__name__}>"


class _Programs:
    """The programs that were derived from a function so far."""

    def __init__(self, f: Callable[..., Any], share_rows: bool) -> None:
        self.f, self.share_rows = f, share_rows
        self.kept: dict[Any, list[_Ready]] = {}
        self.numbers: dict[Any, _Numbers] = {}
        self.latest: _Ready | None = None
        self.quick: Callable[[tuple[Any, ...]], Any] = _miss

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute what the function computes."""
        if not kwargs:
            result = self.quick(args)
            if result is not _MISS:
                return result
        leaves = _leaves((args, kwargs))
        if _is_tracing() or any(isinstance(a, Tensor) and a._tracked for a in leaves):
            return self.f(*args, **kwargs)  # it is differentiated or compiled from outside
        ready, leaves = self.find(args, kwargs, leaves)
        return ready.run([a for a in leaves if isinstance(a, ndarray)], args, kwargs)

    def find(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], leaves: list[Any]
    ) -> tuple[_Ready, list[Any]]:
        """Find the program for such arguments, or derive it; return the arguments as arrays too."""
        form = _form((args, kwargs))
        numbers = self.numbers.setdefault(form, _Numbers())
        key = form, numbers.fixed([a for a in leaves if type(a) is float])
        arrays = _as_arrays(leaves, numbers.varying)
        candidates = self.kept.setdefault(key, [])
        ready = next((candidate for candidate in candidates if candidate.guards()), None)
        if ready is None:
            try:
                ready = _derive(self.f, args, kwargs, arrays, self.share_rows)
            except TracedValueError:
                if not numbers.varying:
                    raise
                numbers.never()  # the function reads them, as `if lam > 0` does
                return self.find(args, kwargs, leaves)
            candidates.append(ready)
            self.forget()
        self.latest = ready
        self.quick = ready.quick
        return ready, arrays

    def forget(self) -> None:
        """Drop the oldest programs where there are too many."""
        while sum(map(len, self.kept.values())) > _KEPT:
            key, candidates = next(iter(self.kept.items()))
            if len(candidates) > 1:
                candidates.pop(0)
            else:
                del self.kept[key]


def compile(f: Callable[..., Any], share_rows: bool = True) -> Compiled:
    """Make the function that computes the same by a flat NumPy program, derived from `f`.

    `f` is run once on Tensors and what it did is written down, derivatives included: constants
    are computed, what occurs twice is computed once, what is not needed is left out, and memory
    is used again. Read the result in ``.source``.

    Parameters
    ----------
    f
        A function of arrays, Tensors, or lists, tuples and dicts of them, as `value_and_grad`
        makes them too. It may close over a model, whose parameters are read at each call, and
        over arrays, which are read where they stand; but what it computes from them in plain
        NumPy, without a Tensor, is computed once.
    share_rows
        Whether to compute on slices of the rows in threads where there are 4,096 rows or more and
        the result is made of sums over them: see `rows.py`.

    Returns
    -------
    A function of the same arguments. Arrays give arrays and Tensors give Tensors, the caller's
    own. Another shape, dtype, train/eval mode, other value of an argument that is not an array,
    or other thing behind a name that `f` reads makes another program; numbers among the arguments
    that are seen to change are data from then on. Where the result depends on parameters that
    require gradients, it is a Tensor, and `backward` works.

    Raises
    ------
    RuntimeError
        When called, if `f` reads a value, as ``if loss > 1`` does: it is not known yet. The
        message names the line.

    Examples
    --------
    >>> from autonn import value_and_grad
    >>> step = compile(value_and_grad(lambda w: np.sum(np.sin(w) ** 2)))
    >>> step(np.array([0.0, 1.0]))
    (np.float64(0.7080734182735712), array([0.        , 0.90929743]))
    >>> for line in step.source.splitlines()[-7:]:
    ...     print(line.partition("#")[0].strip())
    t0 = np.sin(w)
    t1 = np.vdot(t0, t0)
    t2 = np.multiply(t0, two, out=t0)
    t3 = np.cos(w, out=b0)
    d_w = np.multiply(t2, t3, out=t2)
    spare.append(work)
    return (t1[()], d_w)
    """
    return Compiled(f, share_rows)


def _form(tree: Tree) -> Any:
    """Describe what a program depends on: structure, shapes, dtypes, and values of the rest."""
    if isinstance(tree, dict):
        return "dict", tuple((key, _form(branch)) for key, branch in tree.items())
    if isinstance(tree, list | tuple):
        return type(tree), tuple(map(_form, tree))
    if isinstance(tree, ndarray | np.generic | Tensor):
        return isinstance(tree, Tensor), tree.shape, tree.dtype
    if type(tree) is float:
        return float
    return type(tree), tree if isinstance(tree, Hashable) else id(tree)


class _Numbers:
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


def _as_arrays(leaves: list[Any], varying: set[int]) -> list[Any]:
    """Turn the data among the leaves into arrays; numbers too, where they were seen to change.

    A number never widens float32: it becomes an array of what the others are.
    """
    narrow = any(getattr(a, "dtype", None) == np.float32 for a in leaves)
    wide = any(getattr(a, "dtype", None) == np.float64 for a in leaves)
    dtype = np.float32 if narrow and not wide else np.float64
    position = -1
    arrays: list[Any] = []
    for leaf in leaves:
        position += type(leaf) is float
        if isinstance(leaf, Tensor):
            leaf = leaf._data
        elif isinstance(leaf, np.generic | ndarray):
            leaf = np.asarray(leaf)
        elif type(leaf) is float and position in varying:
            leaf = np.asarray(leaf, dtype)
        arrays.append(leaf)
    return arrays


class _Ready:
    """A program that is ready to run, and what must hold for it to be the right one."""

    def __init__(
        self,
        sheet: Sheet,
        trace: Trace,
        scope: _Scope,
        inputs: int,
        args: tuple[Any, ...] | None,
        finish: Any,
        shared: bool,
    ) -> None:
        self.sheet = sheet
        self.function = sheet.load()["program"]
        if shared:
            self.function = functools.partial(self.function, share=rows.share)
        self.live = [node.args[0] for node in sheet.given]
        modules = {id(module): module for module in trace.modules}.values()
        self.modules = [(module, module.training, module.edits) for module in modules]
        self.finish = finish
        self.known: dict[str, Any] = {}  # what the guards compare with, by name
        self.known["seen"] = Changes(-1)  # at which count the modules were last as they were
        look = ["count = changes.count", f"if {' and '.join(self.about_modules())}:"]
        # Modes for a while are not counted: where there are any, each module is asked.
        look += ["    if evaluated() is None:", "        seen.count = count"]
        look += ["    return True", "return False"]
        self.known["modules_hold"] = self.made("modules_hold", [], look)
        counted = "changes.count == seen.count and evaluated() is None"
        tests = [f"({counted} or modules_hold())", *self.about_names(scope)]
        self.guards = self.made("guards", [], [f"return {' and '.join(tests)}"])
        self.quick: Callable[[tuple[Any, ...]], Any] = _miss
        if args is not None and _count_arrays(args) == inputs:
            self.quick = self.quick_way(args, tests)

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
            "ndarray": ndarray, "tracing": _is_tracing, "recording": _is_recording,
            "is_same": _is_same, "function": self.function, "finish": self.finish, "MISS": _MISS,
            "changes": changes, "evaluated": evaluated.get,
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
                tests.append(f"{self.named(thing)}._tracked is {thing._tracked}")
        return tests

    def about_names(self, scope: _Scope) -> list[str]:
        """Write the tests whether what the function reads from around it is as it was."""
        tests = [f"recording() is {_is_recording()}"]
        for cell, value in scope.cells:
            tests.append(self.unchanged(f"{self.named(cell)}.cell_contents", value))
        for names, key, value in scope.names:
            tests.append(self.unchanged(f"{self.named(names)}.get({key!r})", value))
        return tests

    def quick_way(self, args: tuple[Any, ...], tests: list[str]) -> Callable[..., Any]:
        """Write the function that looks whether all is as it was, and only then runs the program.

        It is as flat as the program: the same in loops takes 2 microseconds more, of 50.
        """
        inputs, parameters = [], [f"a{k}" for k in range(len(args))]
        row = "".join(f"{name}, " for name in parameters)
        tests = ["tracing() is None", *tests]
        for name, a in zip(parameters, args, strict=True):
            if type(a) is ndarray:
                inputs.append(name)
                tests += [f"type({name}) is ndarray", f"{name}.shape == {a.shape}"]
                tests.append(f"{name}.dtype is {self.named(a.dtype)}")
            else:
                tests.append(self.unchanged(name, a))
        for thing in self.live:
            inputs.append(self.named(thing) + ("._data" if type(thing) is Tensor else ""))
        call = f"function({', '.join(inputs)})"
        if self.finish is not None:
            call = f"finish({call}, args, {{}})"
        body = [f"if len(args) == {len(args)}:", f"    {row}= args"] if args else ["if not args:"]
        body += [f"    if {' and '.join(tests)}:", f"        return {call}", "return MISS"]
        return self.made("quick", ["args"], body)

    def run(self, inputs: Sequence[Array], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run it on the inputs, and on the parameters as they are now."""
        given = [a._data if type(a) is Tensor else a for a in self.live]
        result = self.function(*inputs, *given)
        return result if self.finish is None else self.finish(result, args, kwargs)


class _Scope:
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


def _count_arrays(args: tuple[Any, ...]) -> int:
    """Count the arrays among arguments; -1 where there may be others inside something else."""
    if any(isinstance(a, list | tuple | dict | Tensor | np.generic) for a in args):
        return -1
    return sum(type(a) is ndarray for a in args)


def _is_same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and isinstance(a, bool | int | float | str) and a == b


def _derive(
    f: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    leaves: list[Any],
    share_rows: bool,
) -> _Ready:
    """Trace the function, read and simplify what it did, and write the program."""
    start = _leaf(np.zeros(()))._index + 1
    inputs = {k: _leaf(a) for k, a in enumerate(leaves) if isinstance(a, ndarray)}
    stand_ins = iter([inputs.get(k, a) for k, a in enumerate(leaves)])
    full, named = _rebuild((args, kwargs), stand_ins)
    trace = Trace()
    token = _tracing.set(trace)
    try:
        with np.errstate(all="ignore"):  # the program warns, as f would
            result = f(*full, **named)
            outputs = _leaves(result)
            outside, gradients = _behind(outputs, start)
    finally:
        _tracing.reset(token)
    row = [*outputs, *gradients]
    nodes, where = graph.read(row, list(inputs.values()), start, _names(f, full, named, trace))
    _label_gradients(trace, where)
    wraps = any(isinstance(a, Tensor) for a in _leaves((args, kwargs)))
    direct = not outside and not wraps and _is_plain(result)
    title = f"{getattr(f, '__name__', 'f')}, derived by autonn.compile"
    parameters = [where[t._index] for t in inputs.values()]
    sheet = Sheet(title)
    template = _template(result) if direct else None
    shared = share_rows and rows.cut(sheet, parameters, nodes, template)
    if not shared:
        sheet.write("program", parameters, nodes, template)
    finish = None if direct else _Finish(f, result, outside, bool(gradients), wraps)
    own = None if kwargs else args
    return _Ready(sheet, trace, _Scope(f), len(inputs), own, finish, shared)


def _behind(outputs: list[Any], start: int) -> tuple[list[Tensor], list[Tensor]]:
    """List the parameters that a function closes over, and their gradients.

    The gradients are part of the program where a single number depends on them: a loss.
    """
    tracked = [t for t in outputs if isinstance(t, Tensor) and t._tracked]
    found = {p._index: p for t in tracked for p in _read_from_outside(t, start) if p._tracked}
    outside = [found[index] for index in sorted(found) if index < start]
    if len(tracked) != 1 or tracked[0].shape != () or not outside:
        return outside, []
    return outside, _gradients(tracked[0], _seed(tracked[0], None, True), outside, True)


class _Finish:
    """Turns the row of arrays that a program returns into what the function would return."""

    def __init__(
        self, f: Callable[..., Any], result: Tree, outside: list[Tensor], ready: bool, wraps: bool
    ) -> None:
        self.f, self.result, self.outside = f, result, outside
        self.ready, self.wraps = ready, wraps
        outputs = _leaves(result)
        self.tracked = [isinstance(t, Tensor) and t._tracked and bool(outside) for t in outputs]
        self.tensors = [isinstance(t, Tensor) for t in outputs]

    def __call__(self, row: tuple[Any, ...], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        leaves = list(row[: len(self.tensors)])
        for k, value in enumerate(leaves):
            if self.tracked[k]:
                leaves[k] = self.node(k, np.asarray(value), row, args, kwargs)
            elif self.wraps and self.tensors[k]:
                leaves[k] = _leaf(np.asarray(value))
        return _rebuild(self.result, iter(leaves))

    def node(
        self, k: int, value: Array, row: tuple[Any, ...], args: tuple[Any, ...], kwargs: Any
    ) -> Tensor:
        """Make a Tensor that knows its gradients, or how to compute itself again for them."""
        again = _AgainCompiled(
            lambda *args: _leaves(self.f(*args, **kwargs))[k], args, self.outside
        )  # fmt: skip
        again.ready = row[len(self.tensors) :] if self.ready else None
        return again.node(_COMPILED, value)


class _AgainCompiled(_Again):
    """The gradients of a compiled result: those that its program computed, or computed again."""

    ready: tuple[Array, ...] | None = None

    def gradients(self, g: Any) -> list[Any]:
        if self.ready is None or isinstance(g, Tensor):
            return super().gradients(g)
        if self.pulled is None or self.pulled[0] is not g:
            self.pulled = g, [r if g == 1 else g * r for r in self.ready]
        return self.pulled[1]


_COMPILED = _computed_again("compiled", "z = f(x), compiled")


# ---- the form of what it returns


def _is_plain(tree: Tree) -> bool:
    """Whether a result can be written as an expression: tuples, lists and dicts themselves."""
    if isinstance(tree, dict):
        keys = all(isinstance(key, str | int) for key in tree)
        return type(tree) is dict and keys and all(map(_is_plain, tree.values()))
    if isinstance(tree, list | tuple):
        return type(tree) in (list, tuple) and all(map(_is_plain, tree))
    return True


def _template(tree: Tree) -> str:
    """Write the expression of a result, ``({0}, [{1}])``, to be filled with names."""
    if isinstance(tree, dict):
        return "{{" + ", ".join(f"{key!r}: {_template(b)}" for key, b in tree.items()) + "}}"
    if isinstance(tree, list):
        return f"[{', '.join(map(_template, tree))}]"
    if isinstance(tree, tuple):
        return f"({', '.join(map(_template, tree))}{',' * (len(tree) == 1)})"
    return "{}"


# ---- names


def _names(f: Callable[..., Any], args: Any, kwargs: Any, trace: Trace) -> dict[int, str]:
    """Tell by index what tensors are called: as arguments, or as parameters of a model."""
    names = {t._index: name for name, t in _named_arguments(f, args, kwargs)}
    for module in trace.modules:
        for name, parameter in module.named_parameters().items():
            place, _, own = name.rpartition(".")
            names.setdefault(parameter._index, f"{own}_{place}".replace(".", "_").rstrip("_"))
    return names


def _label_gradients(trace: Trace, where: dict[int, Any]) -> None:
    """Call the gradient of x d_x; that of a layer's z delta, as the tutorials do."""
    for gradient, of in trace.gradients.items():
        g, source = where.get(gradient), where.get(of)
        if isinstance(g, Node) and isinstance(source, Node) and source.label and not g.label:
            z = source.label.startswith("z_")
            g.label = f"delta{source.label[1:]}" if z else f"d_{source.label}"


def _named_arguments(f: Any, args: Any, kwargs: Any) -> Iterator[tuple[str, Tensor]]:
    try:
        bound = inspect.signature(f).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):
        bound = {f"x{k}": a for k, a in enumerate(args)} | kwargs
    for name, value in bound.items():
        for path, leaf in _paths(value, name):
            if isinstance(leaf, Tensor):
                yield path, leaf


def _paths(tree: Tree, name: str) -> list[tuple[str, Any]]:
    """List the leaves of a tree, each named after its place."""
    if isinstance(tree, dict):
        return [p for key, branch in tree.items() for p in _paths(branch, f"{name}_{key}")]
    if isinstance(tree, list | tuple):
        return [p for k, branch in enumerate(tree) for p in _paths(branch, f"{name}_{k}")]
    return [(name, tree)]
