"""A trial: a model looked at with some of its examples, and left bit for bit as it was."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from autonn.compiler.search import reads_near
from autonn.engine.lineage import age_of, ancestors, op_of, operands_of, tensors_of
from autonn.engine.modes import noting
from autonn.engine.op import Op
from autonn.engine.tensor import Array, Tensor, values_of
from autonn.engine.transforms import gradients
from autonn.nn.module import Module
from autonn.nn.penalties import l2_penalty
from autonn.optim.base import Optimizer
from autonn.training.compiling import untouched
from autonn.training.examples import Examples
from autonn.training.loss import Loss, check_targets, needs_targets
from autonn.training.state import generators, random_states, set_random_states
from autonn.training.structures import Way, call, mapped, way_of_calling

# So many rows are looked at, spread over all: files are often sorted by class.
ROWS = 512


@dataclass
class Look:
    """One run of the model and of the loss: what came out, with the graph behind it."""

    predictions: Tensor
    cost: Tensor | None = None  # without the penalty
    error: Exception | None = None  # that the loss raised

    @cached_property
    def graph(self) -> list[Tensor]:
        """All that the predictions were made from, and they, the oldest first."""
        return ancestors([self.predictions], tensors_of)

    def results(self, op: Op) -> list[Tensor]:
        """List the results of an op on the way to the predictions, the first first."""
        return [t for t in self.graph if op_of(t) is op]


@dataclass
class Trial:
    """What `lint` was given, and what its rules ask for."""

    model: Module
    examples: Examples
    loss: Loss
    optimizer: Optimizer | None
    l2: float
    batch_size: int | None
    held_out: Examples | None
    step: Callable[[Any, Any], Any] | None
    rows: Array = field(init=False)
    way: Way = field(init=False)  # how the model is called

    def __post_init__(self) -> None:
        m = len(self.examples)
        self.rows = np.linspace(0, m - 1, min(m, ROWS)).astype(int)
        self.X, self.y, *_ = self.examples[self.rows]
        self.way = way_of_calling(self.model, self.X)
        self.names = dict(self.model.named_parameters())

    @cached_property
    def chance(self) -> list[np.random.Generator]:
        """The random generators that the model, the loss or the step may draw from."""
        return generators_near([x for x in (self.model, self.loss, self.step) if x is not None])

    @cached_property
    def training(self) -> Look:
        """The model as it is trained, with dropout at work, on the rows that are looked at."""
        look = self.look(self.X, self.y, True)
        shape = look.predictions.shape
        told = self.y is not None or not needs_targets(self.loss)
        if look.error is None and told and shape[:1] == (len(self.rows),):
            try:
                check_targets(self.loss, self.examples.y, shape)
            except (ValueError, IndexError, TypeError) as error:
                return Look(look.predictions, error=error)
        return look

    @cached_property
    def slopes(self) -> dict[str, Array]:
        """The gradient of the cost by each parameter, by name; {} where there is no cost."""
        cost = self.training.cost
        if cost is None or not cost.requires_grad:
            return {}
        with np.errstate(all="ignore"):
            found = gradients(cost, list(self.names.values()))
        return dict(zip(self.names, map(values_of, found), strict=True))

    @cached_property
    def reached(self) -> set[int]:
        """The ages of all that the cost depends on."""
        cost = self.training.cost
        return set() if cost is None else {age_of(t) for t in ancestors([cost])}

    def is_reached(self, parameter: Tensor) -> bool:
        """Whether the cost depends on a parameter."""
        return age_of(parameter) in self.reached

    def forget(self) -> None:
        """Look anew when asked next, as the model has learned."""
        for name in ("training", "slopes", "reached"):
            vars(self).pop(name, None)

    @property
    def classes(self) -> int | None:
        """How many classes the model tells apart, one output each; None if it does not."""
        shape = self.training.predictions.shape
        says = getattr(self.loss, "classifies", None)
        if says is False or self.examples.classes is None or len(shape) != 2:
            return None
        return shape[1] if shape[1] > 1 else None

    def look(self, X: Any, y: Any, train: bool) -> Look:
        """Run the model and the loss once, and leave no trace."""
        with chance_kept(self.chance):
            return self.run(X, y, train)

    def run(self, X: Any, y: Any, train: bool) -> Look:
        """Run the model and the loss once; what was drawn by chance stays drawn."""
        with self.kept(train, chance=False), noting():
            predictions = call(self.model, X, self.way)
            if not isinstance(predictions, Tensor):
                raise TypeError(
                    f"lint: the model returned a {type(predictions).__name__}, and it "
                    "looks at one Tensor; give it a Module whose forward returns one of the "
                    "outputs, and the loss and the targets of that one"
                )
            try:
                cost = self.loss(predictions, y)
            except (ValueError, IndexError, TypeError) as error:
                return Look(predictions, error=error)
            if not isinstance(cost, Tensor) or cost.shape != ():
                shape = f"shape {cost.shape}" if isinstance(cost, Tensor) else repr(cost)
                raise TypeError(
                    f"lint: the loss {self.loss!r} returned {shape}, expected one Tensor (), "
                    "computed with the predictions as they come"
                )
            return Look(predictions, cost)

    def total(self, X: Any, y: Any) -> Tensor:
        """Compute the cost with the penalty; only within `kept`."""
        cost = self.loss(call(self.model, X, self.way), y)
        if self.l2:
            cost = cost + l2_penalty(self.model, self.l2, len(self.examples))
        return cost

    @contextmanager
    def kept(self, train: bool, chance: bool = True) -> Iterator[None]:
        """Set the mode for a while, and give back all that a run could change."""
        modules = [module for _, module in self.model.named_modules()]
        modes = [vars(module).get("training") for module in modules]
        slopes = [(p, p.grad) for p in self.names.values()]
        around = chance_kept(self.chance) if chance else nullcontext()
        found = generators(self.model)
        try:
            with around, untouched(self.model), np.errstate(all="ignore"):
                self.model.train(train)
                yield
                drawn = random_states(found)
            if not chance:
                set_random_states(found, drawn)
        finally:
            for module, mode in zip(modules, modes, strict=True):
                if mode is None:
                    del module.training
                else:
                    module.training = mode
            for parameter, slope in slopes:
                parameter.grad = slope

    def twin(self) -> Optimizer | None:
        """Copy the optimiser, bound to the very parameters; None where there is none."""
        if self.optimizer is None:
            return None
        held = {id(p): p for p in (*self.names.values(), *self.optimizer.parameters)}
        twin = copy.deepcopy(self.optimizer, dict(held))
        return twin if twin.parameters else twin.bind(self.model)


def arrays_in(value: Any, name: str = "X") -> dict[str, Array]:
    """List the arrays of examples or targets by how one writes them.

    >>> list(arrays_in(np.ones(3))), list(arrays_in({"left": np.ones(3), "right": np.ones(3)}))
    (['X'], ["X['left']", "X['right']"])
    """
    found: dict[str, Array] = {}
    if value is not None:
        mapped(lambda part, array: found.update({part: array}), value, name)
    return found


def taken(value: Any, rows: Any) -> Any:
    """Take rows of an array, or of all arrays of a tuple or a dict; nothing of None.

    >>> taken((np.arange(3), np.arange(3) * 2), slice(2))
    (array([0, 1]), array([0, 2]))
    """
    return None if value is None else mapped(lambda _, array: array[rows], value)


@contextmanager
def chance_kept(found: Sequence[np.random.Generator]) -> Iterator[None]:
    """Give random generators, and the ones of NumPy and Python, their states back at the end."""
    states = [generator.bit_generator.state for generator in found]
    of_python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)  # noqa: NPY002
        for generator, state in zip(found, states, strict=True):
            generator.bit_generator.state = state


def generators_near(owners: Sequence[Any]) -> list[np.random.Generator]:
    """Find the generators that modules and functions hold, also in closures and in lists.

    >>> from autonn import Dropout, Sequential
    >>> rng = np.random.default_rng(0)
    >>> generators_near([Sequential(Dropout(rng=rng), Dropout(rng=rng))]) == [rng]
    True
    """
    found: dict[int, np.random.Generator] = {}
    for owner in owners:
        modules = [m for _, m in owner.named_modules()] if isinstance(owner, Module) else []
        functions = [type(m).forward for m in modules] or [owner]
        for function in functions:
            near = reads_near(function, (owner, *modules)).generators
            found |= {id(g): g for g in near if isinstance(g, np.random.Generator)}
        for module in modules:
            held = [v for v in vars(module).values() if isinstance(v, np.random.Generator)]
            found |= {id(g): g for g in held}
    return list(found.values())


def first_operand(tensor: Tensor) -> Any:
    """Return what an op was given first.

    >>> x = Tensor(1.0, requires_grad=True)
    >>> first_operand(np.exp(x)) is x
    True
    """
    return operands_of(tensor)[0]
