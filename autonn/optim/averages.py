"""Averages of the weights on their way, which often do better than the last ones."""

from __future__ import annotations

from typing import Any

from autonn.checks import number, whole
from autonn.engine.tensor import Array

__all__ = ["EMA", "SWA", "Average", "require_average"]


class Average:
    """What `fit` keeps beside the weights: ``a = a + share (theta - a)`` after some of the steps.

    Buffers that are floating, as running means, are averaged too; counts are those of the last
    step.

    >>> import numpy as np
    >>> from autonn import Layer, MeanSquaredError, fit, optim
    >>> class Half(Average):  # each step counts as much as all before
    ...     def share(self, steps, averaged):
    ...         return 0.5 if averaged else 1.0
    >>> model, X = Layer(1, 1, rng=0), np.array([[1.0], [2.0]])
    >>> history = fit(model, X, 2 * X, MeanSquaredError(), optim.SGD(lr=0.1), average=Half())
    """

    def share(self, steps: int, averaged: int) -> float:
        """Return how much the weights after so many steps count; 0 for not at all.

        Parameters
        ----------
        steps
            The steps that were taken, from 1.
        averaged
            How many weights were averaged before.
        """
        raise NotImplementedError

    def move(self, average: Array, now: Array, share: float) -> None:
        """Bring an average nearer to what is now, in place; what can't be averaged is copied.

        >>> import numpy as np
        >>> average = np.array([0.0, 2.0])
        >>> EMA(0.5).move(average, np.array([1.0, 4.0]), 0.5)
        >>> average
        array([0.5, 3. ])
        """
        if share >= 1 or average.dtype.kind != "f":
            average[...] = now
        else:
            average += average.dtype.type(share) * (now - average)


class EMA(Average):
    """The exponential moving average, ``a = decay a + (1 - decay) theta`` after each step.

    It begins with the first weights, and forgets faster at first: the decay of step t is
    ``min(decay, t / (t + 9))``, as in TensorFlow's `ExponentialMovingAverage`, so that a short run
    does not end near where it began.

    Parameters
    ----------
    decay
        How much of the average is kept, from 0 to below 1.

    Raises
    ------
    ValueError, TypeError
        For a decay out of this range.

    Examples
    --------
    >>> EMA(0.99).share(steps=1, averaged=0), EMA(0.99).share(steps=2, averaged=1)
    (1.0, 0.8181818181818181)
    >>> round(EMA(0.99).share(steps=10_000, averaged=9_999), 6)
    0.01
    """

    def __init__(self, decay: float = 0.999) -> None:
        self.decay = number("EMA: decay", decay, least=0, below=1)

    def share(self, steps: int, averaged: int) -> float:
        """Return 1 for the first weights, and then what the decay leaves over."""
        if averaged == 0:
            return 1.0
        return 1 - min(self.decay, steps / (steps + 9))

    def __repr__(self) -> str:
        return f"EMA(decay={self.decay})"


class SWA(Average):
    """The mean of the weights of many steps, ``a = (theta_1 + ... + theta_n) / n``.

    Izmailov et al., "Averaging weights leads to wider optima and better generalization", 2018; they
    measure the statistics of batch norms anew in the end, as `training.renew_statistics` does.

    Parameters
    ----------
    start
        How many steps go by before the first weights that count.
    every
        Of how many steps each the weights count; often those of an epoch.

    Raises
    ------
    ValueError, TypeError
        For what is no whole number, for a negative start, for `every` below 1.

    Examples
    --------
    >>> swa = SWA(start=10, every=5)
    >>> [swa.share(steps, averaged=1) for steps in (9, 10, 12, 15)]
    [0.0, 0.5, 0.0, 0.5]
    """

    def __init__(self, start: int = 0, every: int = 1) -> None:
        self.start = whole("SWA: start", start, least=0)
        self.every = whole("SWA: every", every)

    def share(self, steps: int, averaged: int) -> float:
        """Return that of a mean over one more, at the steps that count."""
        counts = steps >= max(self.start, 1) and (steps - self.start) % self.every == 0
        return 1 / (averaged + 1) if counts else 0.0

    def __repr__(self) -> str:
        return f"SWA(start={self.start}, every={self.every})"


def require_average(name: str, given: Any) -> Average | None:
    """Refuse what is no average, with what to write.

    >>> require_average("fit: average", 0.99)
    Traceback (most recent call last):
    TypeError: fit: average is optim.EMA(...) or optim.SWA(...), not 0.99
    """
    if given is not None and not isinstance(given, Average):
        raise TypeError(f"{name} is optim.EMA(...) or optim.SWA(...), not {given!r}")
    return given
