"""Averages in loops of one's own, and the statistics that belong to averaged weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from autonn import checks
from autonn.engine.modes import no_grad
from autonn.nn.module import Module
from autonn.nn.normalisation import BatchNorm
from autonn.optim.averages import Average, require_average
from autonn.training.examples import Examples
from autonn.training.state import Values
from autonn.training.structures import call, way_of_calling

__all__ = ["Averaged", "renew_statistics"]


class Averaged:
    """The average of a model's weights and floating buffers, for loops that `fit` does not know.

    ``average.update()`` after each step lets the weights count as the average says. Within
    ``average.applied()`` the model has the averaged ones; ``average.apply()`` leaves them there.

    Parameters
    ----------
    model
        The module whose weights are averaged.
    average
        `optim.EMA` or `optim.SWA`.

    Raises
    ------
    TypeError
        For what is no average.

    Examples
    --------
    >>> from autonn import Layer, optim
    >>> model = Layer(1, 1, weight=[[0.0]], bias=False)
    >>> average = Averaged(model, optim.SWA())
    >>> for value in (1.0, 2.0, 6.0):
    ...     model.weight.data = [[value]]
    ...     average.update()
    >>> with average.applied():
    ...     model.weight.item()
    3.0
    >>> model.weight.item()
    6.0
    """

    def __init__(self, model: Module, average: Average) -> None:
        if average is None:
            raise TypeError("Averaged: average is optim.EMA(...) or optim.SWA(...), not None")
        self.model, self.average = model, require_average("Averaged: average", average)
        self.steps = self.counted = 0
        self.values: Values | None = None  # None: none counted yet

    def update(self) -> None:
        """Let the weights after another step count."""
        assert self.average is not None
        self.steps += 1
        share = self.average.share(self.steps, self.counted)
        if share == 0:
            return
        self.counted += 1
        if self.values is None:
            self.values = Values.of(self.model)
        else:
            self.values.move_to(self.model, share, self.average)

    def apply(self) -> None:
        """Give the model the averaged weights, if any counted."""
        if self.values is not None:
            self.values.put_into(self.model)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the model have the averaged weights for a while."""
        here = Values.of(self.model)
        self.apply()
        try:
            yield
        finally:
            here.put_into(self.model)


def renew_statistics(model: Module, X: Any, *, batch_size: int | None = None) -> None:
    """Measure the running statistics of all batch norms anew, as means over batches of X.

    Averaged weights give other activations than those that the statistics were gathered from; so
    Izmailov et al., "Averaging weights leads to wider optima and better generalization", 2018, pass
    over the examples once more. Weights and all other modules stay as in evaluation.

    Parameters
    ----------
    model
        The module, with the weights that it is to keep.
    X
        Examples as for `fit`, an array, or a tuple or dict of some.
    batch_size
        Examples at a time; None is for all. Each batch counts by its rows.

    Raises
    ------
    ValueError, TypeError
        For what `fit` refuses of X; for a batch of one row, which has no variance.

    Examples
    --------
    >>> from autonn import BatchNorm
    >>> norm = BatchNorm(1)
    >>> renew_statistics(norm, [[1.0], [3.0]])
    >>> norm.running_mean, norm.running_var
    (Tensor([2.]), Tensor([2.]))
    """
    examples = Examples.checked(X, None, "renew_statistics")
    m = len(examples)
    if batch_size is not None:
        checks.whole("renew_statistics: batch_size", batch_size)
    size = min(batch_size or m, m)
    norms = [module for _, module in model.named_modules() if isinstance(module, BatchNorm)]
    before = [norm.momentum for norm in norms]
    way = way_of_calling(model, examples.X)
    try:
        with no_grad(), model.evaluating():
            for norm in norms:
                norm.training = True
            for start in range(0, m, size):
                batch = examples.part(slice(start, start + size))
                for norm in norms:  # a mean over the rows so far
                    norm.momentum = len(batch) / (start + len(batch))
                call(model, batch.X, way)
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum
