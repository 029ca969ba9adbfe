"""Running a model once while every op is kept, with the module that it was computed in."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from autonn.engine.backward import pull_back, seed
from autonn.engine.lineage import age_of, ancestors
from autonn.engine.modes import Notes, enable_grad, recording
from autonn.engine.ownership import restored
from autonn.engine.tensor import Tensor, leaf
from autonn.nn.addresses import title_of
from autonn.nn.module import Module

__all__ = [
    "ModuleCall",
    "Pull",
    "Recorded",
    "label_of",
    "record_backward",
    "record_forward",
    "unchanged",
]


def _now() -> int:
    """Return an age that all that is made from now on exceeds."""
    return age_of(leaf(np.zeros(())))


@dataclass
class ModuleCall:
    """One call of a module: its path from the model, and the ages of what was made meanwhile."""

    path: str
    module: Any
    first: int
    last: int = 0


class Pull(NamedTuple):
    """That a rule was asked, of the k-th operand of the op that made a Tensor, and what it gave."""

    when: int  # an age
    tensor: Tensor
    k: int
    incoming: Any
    given: Any


@dataclass
class Recorded:
    """A loss, what led to it and what came back.

    Attributes
    ----------
    loss, output
        The loss, and what the model returned; None without a model.
    calls
        Those of the modules, the outer before the inner.
    gradients
        By age of a Tensor, that of the loss for it.
    pulls
        What the rules gave on the way back, in the order in which they were asked.
    """

    loss: Tensor
    output: Any = None
    calls: list[ModuleCall] = field(default_factory=list)
    gradients: dict[int, Tensor] = field(default_factory=dict)
    pulls: list[Pull] = field(default_factory=list)

    def call_at(self, age: int) -> ModuleCall | None:
        """Return the innermost call that was under way at an age."""
        inside = [call for call in self.calls if call.first < age < call.last]
        return inside[-1] if inside else None

    def pulled_at(self, age: int) -> Tensor | None:
        """Return the Tensor whose rules were asked at an age, or last before."""
        k = bisect.bisect_left(self.pulls, age, key=lambda pull: pull.when)
        return self.pulls[k - 1].tensor if k else None


class _UnderWay(list[Any]):
    """The modules under way, which notes when each call began and ended."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[ModuleCall] = []
        self.open: list[ModuleCall] = []

    def append(self, module: Any) -> None:
        """Begin a call."""
        path = ""
        if self.open:
            outer = self.open[-1]
            names = [name for name, child in outer.module.children() if child is module]
            path = ".".join(filter(None, [outer.path, names[0]])) if names else ""
        call = ModuleCall(path, module, _now())
        self.calls.append(call)
        self.open.append(call)
        super().append(module)

    def pop(self, index: Any = -1) -> Any:
        """End a call."""
        self.open.pop().last = _now()
        return super().pop(index)


class _Keeping(Notes):
    """Keeps the calls of all ops, those of modules, and whose rules were asked when."""

    __slots__ = ("pulls",)

    keeps_all = True

    def __init__(self) -> None:
        self.modules = _UnderWay()
        self.pulls: list[Pull] = []

    def made(self, result: Any, op: Any, args: Any, values: Any) -> None:
        """Take no note of lines, which would take longer than the ops."""

    def running(self) -> bool:
        """Let compiled functions run as they are."""
        return True

    def passing(self, pull: Callable[..., Any]) -> Callable[..., Any]:
        """Note which rules are asked, and what they give."""

        def noted(tensor: Tensor, k: int, incoming: Any) -> Any:
            when = _now()
            given = pull(tensor, k, incoming)
            self.pulls.append(Pull(when, tensor, k, incoming, given))
            return given

        return noted


@contextmanager
def _keeping() -> Iterator[_Keeping]:
    notes = _Keeping()
    token = recording.set(notes)
    try:
        with np.errstate(all="ignore"):
            yield notes
    finally:
        recording.reset(token)


def record_forward(compute: Callable[[], tuple[Any, Tensor]]) -> Recorded:
    """Run what returns an output and its loss, and keep all that it does."""
    with _keeping() as notes:
        output, loss = compute()
    return Recorded(loss, output, notes.modules.calls)  # type: ignore[attr-defined]


def record_backward(recorded: Recorded) -> None:
    """Pull 1 back from the loss to all that it was computed from, and keep what that does."""
    with _keeping() as notes, enable_grad():
        start = seed(recorded.loss, None, True)
        reached = pull_back([(recorded.loss, start)], ancestors([recorded.loss]))
    recorded.gradients = {age_of(t): g for t, g in reached if isinstance(g, Tensor)}
    recorded.pulls = notes.pulls


@contextmanager
def unchanged(model: Module) -> Iterator[None]:
    """Give a model's buffers and generators their states back at the end."""
    holders = [vars(module).values() for _, module in model.named_modules()]
    generators = [g for held in holders for g in held if isinstance(g, np.random.Generator)]
    states: Sequence[Any] = [g.bit_generator.state for g in generators]
    try:
        with restored(model.buffers()):
            yield
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.bit_generator.state = state


def label_of(call: ModuleCall | None) -> str:
    """Call a module by its path and what it is, as "1 Layer(25, 10)"; a container by its class.

    >>> from autonn import Layer
    >>> label_of(ModuleCall("encoder.1", Layer(25, 10), 0))
    'encoder.1 Layer(25, 10)'
    """
    if call is None:
        return ""
    return f"{call.path} {title_of(call.module)}".strip()
