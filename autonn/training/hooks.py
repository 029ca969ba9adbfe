"""Hooks: what is called while a model learns, and what it may see of the run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from autonn.engine.row_gradients import RowGradient
from autonn.engine.tensor import Array, values_of
from autonn.nn.module import Module
from autonn.optim.base import Optimizer
from autonn.training.history import History

__all__ = ["HOOKS", "Hooks", "Seen"]

# The methods that a callback may have, beside being callable with the history after each epoch.
HOOKS = ("on_begin", "on_step", "on_epoch", "on_end")


class Seen:
    """What a callback with hooks sees of a run; it is the same object throughout.

    Attributes
    ----------
    model, optimizer, history
        Those of `fit`, the history with an entry for each epoch that has ended.
    epoch, step, batch
        How many epochs have ended, how many updates were made, and how many batches of this epoch
        were shown.
    cost
        That of the last batch, penalty included; None before the first.

    Examples
    --------
    >>> class Stop:  # below a cost of 0.1
    ...     def on_step(self, seen):
    ...         if seen.cost < 0.1:
    ...             raise StopIteration
    """

    def __init__(self, model: Module, optimizer: Optimizer, history: History) -> None:
        self.model, self.optimizer, self.history = model, optimizer, history
        self.epoch = self.step = self.batch = 0
        self.cost: float | None = None
        self._found: Sequence[Any] = ()

    @property
    def gradients(self) -> dict[str, Array]:
        """The gradients of the last update, by the names of the parameters; not to be changed."""
        pairs = zip(self.model.named_parameters(), self._found, strict=False)
        return {
            name: g.dense(parameter.shape) if isinstance(g, RowGradient) else values_of(g)
            for (name, parameter), g in pairs
        }

    @property
    def learning_rate(self) -> float | None:
        """The rate of the next step; None for a search, which has none."""
        return getattr(self.optimizer, "learning_rate", None)

    def __repr__(self) -> str:
        return f"Seen(epoch={self.epoch}, step={self.step}, batch={self.batch}, cost={self.cost})"


class Hooks:
    """The callbacks of a run, and what they see.

    A callback is called with the history after each epoch, if it is callable; and it may have
    methods ``on_begin``, ``on_step``, ``on_epoch`` and ``on_end``, which get what is `Seen`. Each
    may end training by raising `StopIteration`: the others are still called.
    """

    def __init__(self, callbacks: Iterable[Any]) -> None:
        self.callbacks = tuple(callbacks)
        for callback in self.callbacks:
            if isinstance(callback, type):
                raise TypeError(
                    f"fit: a callback is the class {callback.__name__}; give one of its kind, "
                    f"{callback.__name__}(...)"
                )
            if not callable(callback) and not any(hasattr(callback, name) for name in HOOKS):
                raise TypeError(
                    f"fit: the callback {callback!r} is no function of the history, and has none "
                    f"of {', '.join(HOOKS)}"
                )
        self.seen: Seen | None = None
        self.each_step = any(hasattr(callback, "on_step") for callback in self.callbacks)

    def begin(self, model: Module, optimizer: Optimizer, history: History) -> bool:
        """Tell that training begins; return whether one of them wants to stop, as all do."""
        self.seen = Seen(model, optimizer, history)
        return self.tell("on_begin")

    def note(self, step: int, batch: int, cost: float | None = None, found: Any = ()) -> None:
        """Bring what is seen up to date."""
        if self.seen is not None:
            seen = self.seen
            seen.epoch, seen.step, seen.batch = len(seen.history), step, batch
            if cost is not None:
                seen.cost, seen._found = cost, found

    def tell(self, name: str) -> bool:
        """Call the method of that name of all that have it."""
        stop = False
        for callback in self.callbacks:
            method = getattr(callback, name, None)
            if method is not None:
                try:
                    method(self.seen)
                except StopIteration:
                    stop = True
        return stop

    def after_epoch(self, history: History) -> bool:
        """Call those that are functions of the history, and the methods for epochs."""
        stop = False
        for callback in self.callbacks:
            if callable(callback):
                try:
                    callback(history)
                except StopIteration:
                    stop = True
        return self.tell("on_epoch") or stop
