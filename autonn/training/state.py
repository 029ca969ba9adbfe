"""The state of a run: all that it depends on between two steps, and where that lives meanwhile.

Weights and buffers live in the model, moments in the optimiser, states in the generators; what is
left is `Progress`. `capture` brings them together as one value by name, and `restore` puts them
back, so that a run goes on bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from autonn.distributed.sums import Sums
from autonn.engine.ownership import writable
from autonn.engine.tensor import Array, Tensor, values_of
from autonn.nn.module import Module
from autonn.optim.averages import Average
from autonn.optim.base import Optimizer
from autonn.training.examples import Batch
from autonn.training.history import History
from autonn.training.hooks import Hooks
from autonn.training.interrupts import Interrupts
from autonn.training.task import Task


@dataclass
class Values:
    """What a model holds at a moment: copies of its parameters and of its buffers, by name."""

    weights: dict[str, Array]
    buffers: dict[str, Array]

    @classmethod
    def of(cls, model: Module) -> Values:
        """Copy what the model holds."""
        return cls(_copied(dict(model.named_parameters())), _copied(dict(model.named_buffers())))

    def put_into(self, model: Module) -> None:
        """Write the values into the Tensors that still have these names and shapes."""
        _write(dict(model.named_parameters()), self.weights)
        _write(dict(model.named_buffers()), self.buffers)

    def move_to(self, model: Module, share: float, average: Average) -> None:
        """Move the values by a share towards those of the model, as the average does."""
        for held, now in (
            (self.weights, dict(model.named_parameters())),
            (self.buffers, dict(model.named_buffers())),
        ):  # fmt: skip
            for name, values in held.items():
                if name in now:
                    average.move(values, values_of(now[name]), share)


@dataclass
class Progress:
    """How far a run is."""

    history: History = field(default_factory=History)
    steps: int = 0
    # within an epoch: the batches shown, their mean cost so far, and how many were correct
    batch: int = 0
    cost: float = 0.0
    correct: int | None = None
    order: Mapping[str, Any] | None = None  # the state of the generator before it drew the order
    best: Values | None = None  # those of the best validation, where there is patience
    rows: int = 0  # shown in this epoch
    counted: int = 0  # of these, those that could be told to be right or wrong
    digest: str = ""  # of the batches shown in this epoch, where they come from elsewhere
    average: Values | None = None  # where weights are averaged
    averaged: int = 0  # how many were

    def add(self, cost: float, correct: Any, rows: int) -> None:
        """Count a batch, by its part of the epoch's cost."""
        self.batch += 1
        self.rows += rows
        self.cost += cost
        if correct is not None:
            self.correct = (self.correct or 0) + int(correct)
            self.counted += rows

    def end_epoch(self, examples: int | None) -> tuple[float, float | None]:
        """Return the epoch's cost, and its accuracy if all rows had one; begin a new one.

        Of examples whose number was not known, what was added up were costs times rows.
        """
        cost = self.cost if examples is not None else self.cost / max(self.rows, 1)
        told = self.correct is not None and self.counted == self.rows
        accuracy = (self.correct or 0) / self.rows if told else None
        self.batch, self.cost, self.correct, self.order = 0, 0.0, None, None
        self.rows, self.counted, self.digest = 0, 0, ""
        return cost, accuracy


@dataclass
class RunState:
    """All that the next step depends on, as one value."""

    values: Values
    optimizer: dict[str, Any]
    random: dict[str, Any]  # the states of generators
    progress: Progress


class Source(Protocol):
    """What gives a run its batches: see `feeds`."""

    examples: int | None
    batch_rows: int | None

    def epoch(self, rng: np.random.Generator, progress: Progress) -> Iterator[tuple[Batch, Any]]:
        """Yield the batches that are still to come, and their rows where these are known."""
        ...

    def is_last(self, progress: Progress) -> bool:
        """Whether no batch is to come in this epoch, as far as can be told."""
        ...

    def trials(self, rng: np.random.Generator) -> list[Batch]:
        """List one batch of each size that there will be, where they are known."""
        ...


@dataclass
class Run:
    """One call of `fit`: what it is about, what it works with, and how far it is."""

    task: Task
    optimizer: Optimizer
    rng: np.random.Generator
    feed: Source
    hooks: Hooks
    patience: int | None = None
    accumulate: int = 1  # batches an update
    average: Average | None = None
    sums: Sums | None = None  # the step, where others hold the rows
    stopping: bool = False  # asked by a hook at the last step of an epoch
    progress: Progress = field(default_factory=Progress)
    interrupts: Interrupts = field(default_factory=Interrupts)

    def __post_init__(self) -> None:
        self.start = self.finite = Values.of(self.model)  # the last that were finite

    @property
    def model(self) -> Module:
        """What is trained."""
        return self.task.model

    @property
    def history(self) -> History:
        """What was seen so far."""
        return self.progress.history

    def add_to_average(self) -> None:
        """Let the weights after a step count in their average, as it says."""
        assert self.average is not None
        progress = self.progress
        share = self.average.share(progress.steps, progress.averaged)
        if share == 0:
            return
        progress.averaged += 1
        if progress.average is None:
            progress.average = Values.of(self.model)
        else:
            progress.average.move_to(self.model, share, self.average)

    @property
    def batch_rows(self) -> int | None:
        """How many rows a batch has at most; None where that is not known."""
        return self.feed.batch_rows

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Let the model have the averaged weights for a while, if there are some."""
        if self.progress.average is None:
            yield
            return
        here = Values.of(self.model)
        self.progress.average.put_into(self.model)
        try:
            yield
        finally:
            here.put_into(self.model)

    def keep_the_best(self) -> None:
        """End with the weights of the best validation, or the average, if they were kept."""
        progress = self.progress
        if progress.best is not None:
            progress.best.put_into(self.model)
        elif progress.average is not None and not self.history.diverged:
            progress.average.put_into(self.model)

    def generators(self) -> dict[str, np.random.Generator]:
        """Find all the generators that the run draws from, by name."""
        return {"fit: seed": self.rng} | generators(self.model)


def capture(run: Run) -> RunState:
    """Bring together what the next step depends on."""
    return RunState(
        values=Values.of(run.model),
        optimizer=run.optimizer.state_dict(),
        random=random_states(run.generators()),
        progress=run.progress,
    )


def restore(run: Run, state: RunState) -> None:
    """Go on from a state, which was checked."""
    state.values.put_into(run.model)
    run.optimizer.load_state_dict(state.optimizer)
    run.optimizer.costs.extend(state.progress.history.cost)
    set_random_states(run.generators(), state.random)
    run.progress = state.progress


def _copied(tensors: Mapping[str, Tensor]) -> dict[str, Array]:
    return {name: values_of(tensor).copy() for name, tensor in tensors.items()}


def _write(tensors: Mapping[str, Tensor], values: Mapping[str, Array]) -> None:
    for name, tensor in tensors.items():
        if name in values and values[name].shape == tensor.shape:
            writable(tensor)[...] = values[name]


# ---- random generators


def generators(model: Module) -> dict[str, np.random.Generator]:
    """Find the random generators that a model holds, as `Dropout` does, by dotted name.

    >>> from autonn import Dropout, Sequential
    >>> list(generators(Sequential(Dropout(0.5, rng=0))))
    ['0.rng']
    """
    return {
        f"{place}.{name}" if place else name: value
        for place, module in model.named_modules()
        for name, value in vars(module).items()
        if isinstance(value, np.random.Generator)
    }


def random_states(found: Mapping[str, np.random.Generator]) -> dict[str, Any]:
    """Return the states of generators: dicts of numbers, and for some kinds of arrays.

    >>> random_states({"a": np.random.default_rng(0)})["a"]["bit_generator"]
    'PCG64'
    """
    return {name: generator.bit_generator.state for name, generator in found.items()}


def set_random_states(found: Mapping[str, np.random.Generator], states: Mapping[str, Any]) -> None:
    """Set generators to states of the same names and kinds."""
    for name, generator in found.items():
        generator.bit_generator.state = states[name]


def check_random_states(
    found: Mapping[str, np.random.Generator], states: Mapping[str, Any]
) -> None:
    """Raise `ValueError` or `TypeError` for states that the generators can't be set to."""
    kinds = {name: type(generator.bit_generator).__name__ for name, generator in found.items()}
    given = {name: state["bit_generator"] for name, state in states.items()}
    if kinds != given:
        raise ValueError(f"random generators: found {given}, expected {kinds}")
    for name, generator in found.items():
        type(generator.bit_generator)(0).state = states[name]  # another one of its kind
