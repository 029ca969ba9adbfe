"""The switches of a thread: whether ops record a graph, and whether a function is being traced.

Both are ContextVars, so that each thread and task has its own, and an exception puts them back.
What a trace has to know of modules and of the gradients' names it is told here too, and so the
engine below and the modules above need not know the compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ContextDecorator, contextmanager, nullcontext
from contextvars import ContextVar, Token
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

from autonn.engine.lines import shown_line, users_line

__all__ = [
    "CannotCompileError",
    "Changes",
    "Notes",
    "Place",
    "Trace",
    "TracedModule",
    "TracedValueError",
    "called",
    "changes",
    "depth",
    "enable_grad",
    "evaluated",
    "is_recording",
    "is_tracing",
    "no_grad",
    "noting",
    "stepping",
    "surroundings",
    "tracing",
    "transforming",
]


class TracedModule(Protocol):
    """What the compiler may ask of a module: its mode, how often it was set, its parameters."""

    training: bool
    edits: int

    def named_parameters(self) -> Any:
        """Return the parameters by name."""

    def parameters(self) -> Any:
        """Return the parameters."""

    def buffers(self) -> Any:
        """Return the buffers, which a step may change."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output."""


@dataclass
class Trace:
    """What `compile` learns while a function runs, beside the graph that its results remember."""

    start: int = 0  # the age of what was made first
    modules: list[TracedModule] = field(default_factory=list)  # those called: modes are guarded
    gradients: dict[int, int] = field(default_factory=dict)  # of which tensor one is the gradient
    refusal: Exception | None = None  # raised at the end, where the function swallowed it
    writes: list[tuple[Any, Any, int]] = field(default_factory=list)  # buffer, value, and when
    loops: bool = True  # whether a scan stays a loop; or else its steps follow one another

    @contextmanager
    def unrolled(self) -> Iterator[None]:
        """Trace on, and let the steps of loops follow one another meanwhile."""
        inner = replace(self, loops=False)
        token = tracing.set(inner)
        try:
            yield
        finally:
            tracing.reset(token)
            self.refusal = inner.refusal


class Place(NamedTuple):
    """Where in the user's code, and in which modules, a result was computed."""

    line: str  # "file:number"
    modules: tuple[Any, ...]  # those whose calls were under way, the outermost first

    @property
    def shown(self) -> str:
        """The line as its writer knows it, as "net.py:3" or "cell In[3], line 2"."""
        return shown_line(self.line)


class Notes:
    """Turns the noting of places on while it is what `recording` holds; `modules` is a stack.

    Ops and passes tell it what they do, so that other kinds can look closer; where it is off, they
    do not ask.
    """

    __slots__ = ("modules",)

    keeps_all = False  # whether results without a gradient remember their call too

    def __init__(self) -> None:
        self.modules: list[Any] = []

    def made(self, result: Any, op: Any, args: Any, values: Any) -> None:
        """Take note of a result, of the op that made it, of the operands and their values."""
        result._place = Place(users_line(), tuple(self.modules))

    def gave(self, module: Any, result: Any) -> None:
        """Take note of what a module gave."""

    def within(self, recording: bool) -> Notes | bool:
        """Return what `enable_grad` or `no_grad` turns it into for a while."""
        return self if recording else False

    def passing(self, pull: Callable[..., Any]) -> Callable[..., Any]:
        """Return what a backward pass does for each tensor, in the place of what it would do."""
        return pull

    def running(self) -> bool:
        """Whether compiled functions run as they are, so that their ops are seen."""
        return False


class Changes:
    """Counts what is set on modules, and which Tensors require gradients, anywhere.

    Programs compare one number with this one, and look at their modules only where it is another:
    looking at each costs 2 of 60 microseconds of a small network's step.
    """

    __slots__ = ("count",)

    def __init__(self, count: int = 0) -> None:
        self.count = count


changes = Changes()

# The two switches. A ContextVar starts anew in every thread and task.
recording: ContextVar[bool | Notes] = ContextVar("recording", default=True)
tracing: ContextVar[Trace | None] = ContextVar("tracing", default=None)
is_recording = recording.get
is_tracing = tracing.get

# Which modules a thread has set to evaluation for a while, by id: see `Module.evaluating`.
evaluated: ContextVar[dict[int, bool] | None] = ContextVar("evaluated", default=None)

# How many transforms, as `grad`, are evaluating a function in this thread.
depth: ContextVar[int] = ContextVar("depth", default=0)
transforming = depth.get


# Whether gradcheck's complex step is under way, which alone may differentiate at complex numbers.
stepping: ContextVar[bool] = ContextVar("stepping", default=False)

# What a function that is computed a second time has to be within: see `nn.functional_call`.
surroundings: ContextVar[Callable[[], AbstractContextManager[Any]]] = ContextVar(
    "surroundings", default=nullcontext
)


class CannotCompileError(RuntimeError):
    """A function can't be compiled: it does what a flat program can't repeat.

    >>> from autonn import Tensor, compile
    >>> try:
    ...     compile(lambda x: x if x > 1 else -x)(Tensor(2.0))
    ... except CannotCompileError as error:
    ...     print(type(error).__name__)
    TracedValueError
    """


class TracedValueError(CannotCompileError):
    """A value was read while a function was being compiled, when it is not known yet.

    >>> from autonn import Tensor, compile
    >>> try:
    ...     compile(lambda x: float(x))(Tensor(2.0))
    ... except TracedValueError as error:
    ...     print("the value is not known yet" in str(error))
    True
    """


class no_grad(ContextDecorator):
    """Within it ops record no graph, in this thread alone; a context manager and a decorator.

    >>> from autonn import Tensor
    >>> x = Tensor(3.0, requires_grad=True)
    >>> with no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    _value = False

    def __enter__(self) -> None:
        self._tokens: list[Token[Any]] = getattr(self, "_tokens", [])
        mode = recording.get()
        inner = mode.within(self._value) if isinstance(mode, Notes) else self._value
        self._tokens.append(recording.set(inner))

    def __exit__(self, *exception: object) -> None:
        recording.reset(self._tokens.pop())

    def _recreate_cm(self) -> no_grad:
        return type(self)()  # a decorated function may run in several threads at once


class enable_grad(no_grad):
    """Within it ops record again, also inside `no_grad`.

    >>> from autonn import Tensor
    >>> with no_grad(), enable_grad():
    ...     (Tensor(3.0, requires_grad=True) * 2).requires_grad
    True
    """

    _value = True


@contextmanager
def noting(notes: Notes | None = None) -> Iterator[Notes]:
    """Let results remember their place, the user's line and the modules, for a while.

    Or let `notes` of another kind take note of what they look for.
    """
    notes = notes or Notes()
    token = recording.set(notes)
    try:
        yield notes
    finally:
        recording.reset(token)


def called(module: TracedModule, *args: Any, **kwargs: Any) -> Any:
    """Call a module's forward, and tell a trace and the notes of places of it."""
    trace, notes = is_tracing(), is_recording()
    if trace is not None:
        trace.modules.append(module)
    if not isinstance(notes, Notes):
        return module.forward(*args, **kwargs)
    notes.modules.append(module)
    try:
        result = module.forward(*args, **kwargs)
        notes.gave(module, result)
        return result
    finally:
        notes.modules.pop()
