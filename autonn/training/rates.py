"""Which learning rate to take: the cost while the rate grows from step to step."""

from __future__ import annotations

import copy
import functools
import math
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autonn import checks
from autonn.nn.module import Module
from autonn.optim.base import Optimizer
from autonn.optim.grouped import Groups
from autonn.optim.steps import StepOptimizer
from autonn.training.fitting import fit
from autonn.training.hooks import Seen
from autonn.training.parts import checked_parts

__all__ = ["RateSearch", "find_rate"]

# How many of the costs before count, and how far above the lowest the search ends; both are those
# of Howard & Gugger's fastai, "Deep Learning for Coders", chapter 5.
KEPT = 0.98
TOO_HIGH = 4.0


@dataclass
class RateSearch:
    """What `find_rate` saw: rates, the cost before the step of each, and a rate to begin with.

    >>> search = RateSearch(rates=[0.01, 0.1, 1.0], costs=[0.7, 0.5, 9.0], suggestion=0.1)
    >>> len(search), search.suggestion
    (3, 0.1)
    """

    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    smooth: list[float] = field(default_factory=list)  # the moving means of the costs
    suggestion: float | None = None  # None where the cost fell nowhere

    def __len__(self) -> int:
        return len(self.rates)


def find_rate(
    model: Module,
    X: Any,
    y: Any = None,
    *,
    loss: Any,
    optimizer: Optimizer,
    low: float = 1e-6,
    high: float = 10.0,
    steps: int = 100,
    batch_size: int | None = 32,
    seed: int | None = 0,
    **options: Any,
) -> RateSearch:
    """Train a copy of the model with a rate that grows at each step, and see where the cost falls.

    The rate of step k is ``low (high / low)^(k / (steps - 1))``. Where the smoothed cost falls most
    steeply along the logarithm of the rate, before its lowest point, is the rate that is suggested.
    Model and optimiser stay as they are. Source: Smith (2017), "Cyclical learning rates for
    training neural networks", section 3.3.

    Parameters
    ----------
    model, X, y, loss
        As for `fit`.
    optimizer
        One of single steps; its own rate does not matter.
    low, high
        The first rate and the last. It ends sooner, where the smoothed cost is above four times its
        lowest, or where the cost is no longer finite.
    steps
        How many rates are tried.
    batch_size, seed, options
        As for `fit`; where X gives batches, there is no batch size.

    Raises
    ------
    TypeError, ValueError
        For an optimiser that takes no single steps, and for `optim.groups`; for rates that are not
        positive or do not grow; and what `fit` raises.

    Examples
    --------
    >>> from autonn import Layer, MeanSquaredError, optim
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> found = find_rate(
    ...     Layer(3, 1, rng=0), X, X @ [[1.0], [2.0], [3.0]], loss=MeanSquaredError(),
    ...     optimizer=optim.SGD(lr=1.0),
    ... )
    >>> 0.01 < found.suggestion < 1
    True
    """
    checked_parts("find_rate", model, optimizer)
    if isinstance(optimizer, Groups) or not isinstance(optimizer, StepOptimizer):
        raise TypeError(
            f"find_rate: {optimizer!r} has not one rate that could grow; give one of single steps, "
            "as SGD(lr=0.1) or Adam()"
        )
    low, high = checks.positive("find_rate: low", low), checks.positive("find_rate: high", high)
    if low >= high:
        raise ValueError(f"find_rate: the rates grow from low to high, not from {low} to {high}")
    count = checks.whole("find_rate: steps", steps, least=3)
    for name in ("epochs", "callbacks", "checkpoint"):
        if name in options:
            raise TypeError(f"find_rate takes no {name}: it ends after so many steps; give steps=")
    if y is not None:
        options["batch_size"] = batch_size
    rate = functools.partial(_rate, low=low, high=high, steps=count)
    twin = copy.deepcopy(model)
    growing = type(optimizer)(**(optimizer.get_params() | {"lr": rate}))
    found = RateSearch()
    watcher = _Watcher(found, rate, count)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.filterwarnings("ignore", "fit: .*training ends", RuntimeWarning)
        fit(twin, X, y, loss=loss, optimizer=growing, epochs=count, seed=seed,
            callbacks=[watcher], **options)  # fmt: skip
    found.suggestion = _steepest(found)
    return found


def _rate(step: int, low: float, high: float, steps: int) -> float:
    """Return the rate of a step; those after the last have that of the last."""
    share = min(step, steps - 1) / (steps - 1)
    return low * math.exp(share * math.log(high / low))


class _Watcher:
    """Notes rate and cost of each step, and ends the search."""

    def __init__(self, found: RateSearch, rate: Any, steps: int) -> None:
        self.found, self.rate, self.steps, self.mean = found, rate, steps, 0.0

    def on_step(self, seen: Seen) -> None:
        """Note the cost before the step, and stop where it is too high."""
        assert seen.cost is not None
        found, k = self.found, len(self.found)
        self.mean = KEPT * self.mean + (1 - KEPT) * seen.cost
        found.rates.append(self.rate(k))
        found.costs.append(seen.cost)
        found.smooth.append(self.mean / (1 - KEPT ** (k + 1)))
        too_high = found.smooth[-1] > TOO_HIGH * min(found.smooth) > 0
        if too_high or len(found) == self.steps:
            raise StopIteration


def _steepest(found: RateSearch) -> float | None:
    """Return the rate where the smoothed cost falls most steeply, before its lowest point.

    What goes up and down by chance before a tenth of the whole fall is gone does not count: the
    first means are of few batches.
    """
    lowest = int(np.argmin(found.smooth)) if found.smooth else 0
    costs, rates = np.array(found.smooth[: lowest + 1]), np.array(found.rates[: lowest + 1])
    if lowest < 2 or not np.isfinite(costs).all():
        return None
    start = float(np.mean(costs[: max(1, lowest // 10)]))
    begins = int(np.flatnonzero(costs >= start - 0.1 * (start - costs[-1]))[-1])
    if begins == lowest:
        return None  # it fell nowhere
    slopes = np.gradient(costs, np.log(rates))
    return float(rates[begins + int(slopes[begins:].argmin())])
