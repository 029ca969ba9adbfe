"""compile: the flat NumPy program that a person would have written, derived from a function.

A function is run once on Tensors; what it computed, and what its derivatives computed through the
rules, is read as a graph (`trace`), made shorter (`simplify`), written down as one flat function
(`emit`) and run from then on. Guards see to it that a program only runs on what it was derived
from.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from numpy import ndarray

from autonn.compiler.arguments import Numbers, as_arrays, form_of
from autonn.compiler.emit import emit, template_of, write_program
from autonn.compiler.guards import MISS, Guards
from autonn.compiler.results import Finish, on_tensors, wrapping
from autonn.compiler.search import reads_near
from autonn.compiler.simplify import simplify
from autonn.compiler.sources import Source
from autonn.compiler.verify import as_it_is, trace_twice, verify, watch_arrays
from autonn.compiler.widths import narrowed, widened
from autonn.engine.modes import Notes, is_recording, is_tracing
from autonn.engine.tensor import Array, Tensor, values_of
from autonn.engine.trees import tree_leaves
from autonn.habits import answers_keywords
from autonn.threads import share

__all__ = ["Compiled", "compile"]

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

    Examples
    --------
    >>> step = compile(lambda x: np.sum(x * x))
    >>> float(step(np.array([1.0, 2.0])))
    5.0
    >>> step.source.count("def ")
    1
    """

    programs: Programs
    __name__: str

    def __new__(cls, f: Callable[..., Any], share_rows: bool = True) -> Self:
        """Compile a function."""
        programs = Programs(f, share_rows)
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
        return self.programs.latest.source.text()

    @property
    def javascript(self) -> str:
        """The program of the last call in JavaScript: one function of typed arrays, ``program``.

        It takes what the NumPy program takes, in the same order, and gives a list for a tuple.
        What it has no words for is a NotImplementedError, which names op and layer.

        >>> step = compile(lambda x: np.sum(x * x))
        >>> step(np.ones(3))
        np.float64(3.0)
        >>> print(step.javascript.partition("function ")[2])
        program(x) {
          // t0: z = sum x y
          let t0 = 0;
          for (let i = 0; i < 3; i++) {
            t0 += x[i] * x[i];
          }
          return t0;
        }
        <BLANKLINE>
        """
        assert self.source  # or it says that there is none yet
        latest = self.programs.latest
        assert latest is not None
        return emit(latest.graph, "javascript")

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Bind it to an instance, where it decorates a method."""
        return self if instance is None else functools.partial(self, instance)

    def __reduce__(self) -> tuple[Any, ...]:
        return compile, (self.programs.f, self.programs.share_rows)

    def __repr__(self) -> str:
        return f"<compiled {self.__name__}>"


class Programs:
    """The programs that were derived from a function so far."""

    def __init__(self, f: Callable[..., Any], share_rows: bool) -> None:
        self.f, self.share_rows = f, share_rows
        self.kept: dict[Any, list[Program]] = {}
        self.numbers: dict[Any, Numbers] = {}
        self.latest: Program | None = None
        self.quick: Callable[[tuple[Any, ...]], Any] = _miss
        # by the shapes of the arguments, the program that was last run on such: among batches of
        # several lengths it is found in 3 microseconds in place of 30 to 60
        self.by_shapes: dict[Any, Program] = {}

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute what the function computes."""
        if not kwargs:
            result = self.quick(args)
            if result is not MISS:
                return result
            program = self.by_shapes.get(_shapes(args))
            if program is not None:
                result = program.quick(args)
                if result is not MISS:
                    self.latest, self.quick = program, program.quick
                    return result
        leaves = tree_leaves((args, kwargs))
        if is_tracing() or any(isinstance(a, Tensor) and a.requires_grad for a in leaves):
            return self.f(*args, **kwargs)  # it is differentiated or compiled from outside
        mode = is_recording()
        if isinstance(mode, Notes) and mode.running():
            return on_tensors(self.f, args, kwargs)
        program, leaves = self.find(args, kwargs, leaves)
        return program.run([a for a in leaves if isinstance(a, ndarray)], args, kwargs)

    def find(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], leaves: list[Any]
    ) -> tuple[Program, list[Any]]:
        """Find the program for such arguments, or derive it; return the arguments as arrays too."""
        form = form_of((args, kwargs))
        numbers = self.numbers.setdefault(form, Numbers())
        key = form, numbers.fixed([a for a in leaves if type(a) is float])
        arrays = as_arrays(leaves, numbers.varying)
        candidates = self.kept.setdefault(key, [])
        program = next((candidate for candidate in candidates if candidate.guards.hold()), None)
        if program is None:
            try:
                program = Program(self.f, args, kwargs, arrays, self.share_rows, candidates)
            except Exception:
                if not numbers.varying:
                    raise
                numbers.never()  # the function reads them, as `if lam > 0` does
                return self.find(args, kwargs, leaves)
            candidates.append(program)
            self.forget()
        self.latest = program
        self.quick = program.quick
        if not kwargs:
            self.by_shapes[_shapes(args)] = program
        return program, arrays

    def forget(self) -> None:
        """Drop the oldest programs where there are too many, and what is known of their numbers."""
        if len(self.by_shapes) > _KEPT:
            self.by_shapes.clear()
        while sum(map(len, self.kept.values())) > _KEPT:
            key, candidates = next(iter(self.kept.items()))
            self.by_shapes.clear()
            if len(candidates) > 1:
                candidates.pop(0)
            else:
                del self.kept[key]
        forms = {form for form, _ in self.kept}
        for form in self.numbers.keys() - forms:
            del self.numbers[form]


def _shapes(args: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple([a.shape if type(a) is ndarray else None for a in args])


def _miss(args: tuple[Any, ...]) -> Any:
    """Look quickly where there is no program yet, or none that can be told quickly."""
    return MISS


class Program:
    """A program that is ready to run, and what must hold for it to be the right one.

    The function is run three times for it: traced twice, as what differs then depends on chance,
    on the time or on how often it ran; and once as it is, since it may go another way for arrays
    than for the Tensors of a trace. What they were told of random numbers is as if only one ran.
    """

    def __init__(
        self,
        f: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        leaves: Sequence[Any],
        share_rows: bool,
        before: Sequence[Program] = (),
    ) -> None:
        near = reads_near(f, (*args, *kwargs.values()))
        narrow = narrowed(tree_leaves((args, kwargs)), leaves)
        traced = trace_twice(f, args, kwargs, narrow, near)
        graph = self.graph = simplify(widened(traced.graph, narrow, leaves))
        expected, tensors = as_it_is(f, args, kwargs, leaves, near, traced)
        template = None if traced.outside or traced.buffers else template_of(graph.form)
        self.source = Source(graph.name)
        shared = write_program(self.source, graph, template, share_rows)
        self.function = self.source.load()["program"]
        if shared:
            self.function = functools.partial(self.function, share=share)
        self.live = [node.value for node in self.source.given]
        self.buffers = traced.buffers
        self.finish: Callable[..., Any] | None = None
        if template is None:
            self.finish = Finish(f, traced, tensors)
        elif any(tensors):
            self.finish = wrapping(graph.form, tensors)
        self.guards = Guards(traced.reads, traced.modules, self.live)
        self.arrays = watch_arrays(self, traced.reads, before)
        verify(self, f, expected, args, kwargs, leaves, near)
        self.quick: Callable[[tuple[Any, ...]], Any] = _miss
        if not kwargs and _count_arrays(args) == len(graph.inputs):
            self.quick = self.guards.quick(args, self.function, self.finish)

    def run(self, inputs: Sequence[Array], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run it on the inputs, and on the parameters as they are now."""
        result = self.function(*inputs, *map(values_of, self.live))
        return result if self.finish is None else self.finish(result, args, kwargs)


def _count_arrays(args: tuple[Any, ...]) -> int:
    """Count the arrays among arguments; -1 where there may be others inside something else."""
    if any(isinstance(a, list | tuple | dict | Tensor | np.generic) for a in args):
        return -1
    return sum(type(a) is ndarray for a in args)


@answers_keywords("compile()")
def compile(f: Callable[..., Any], share_rows: bool = True) -> Compiled:
    """Make the function that computes the same by a flat NumPy program, derived from `f`.

    `f` is run on Tensors and what it did is written down, derivatives included: constants are
    computed, what occurs twice is computed once, what is not needed is left out, and memory is
    used again. Read the result in ``.source``. Before it is trusted, `f` is run twice more; what it
    draws and sets then is put back.

    Parameters
    ----------
    f
        A function of arrays, Tensors, or lists, tuples and dicts of them, as `value_and_grad`
        makes them too. It may close over a model, whose parameters are read at each call and whose
        buffers are written back, and over arrays, which are read where they stand. All else that
        it reads from around it, names, attributes, lists and what else is computed from arrays, is
        looked at before each call: where it changed, another program is derived.
    share_rows
        Whether to compute on slices of the rows in threads where there are 4,096 rows or more, or
        some dozens of pictures, and the result is made of sums over them: see `partition`.

    Returns
    -------
    A function of the same arguments, which gives what `f` gives: arrays where it gives arrays, and
    Tensors where it gives Tensors, the caller's own. Another shape, dtype, train/eval mode, other
    value of an argument that is not an array, or other thing behind a name that `f` reads makes
    another program; numbers among the arguments that are seen to change are data from then on.
    Where the result depends on parameters that require gradients, `backward` works.

    Raises
    ------
    CannotCompileError
        When called, a RuntimeError: if `f` reads a value, as ``if loss > 1`` does, which is not
        known yet; if it does what a program can't repeat, as to draw random numbers in plain
        NumPy, to read the clock, or to change what it reads; if it returns what can't be written
        down, or computes from a closed-over array of more than 1 MB in plain NumPy. The message
        names the line, or what it is.

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
