"""Schedules: learning rates as functions of the step.

The step counts the updates already made: it is 0 for the first.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

from autonn.checks import not_negative, positive, share, whole

#: A learning rate as a function of the step, 0 for the first: ``lambda t: 0.1 / (1 + t)``.
Schedule = Callable[[int], float]
Rate = float | Schedule


def constant(lr: float) -> Schedule:
    """Make the schedule that a bare number stands for, ``lr(t) = lr``.

    >>> constant(0.1)(1000)
    0.1
    """
    return _Scheduled(_constant, lr=positive("constant: lr", lr))


def step_decay(lr: float, every: int, factor: float = 0.1) -> Schedule:
    """Make the schedule that falls in steps, ``lr(t) = lr factor^floor(t / every)``.

    >>> falling = step_decay(0.8, every=100, factor=0.5)
    >>> falling(99), falling(100), falling(200)
    (0.8, 0.4, 0.2)
    """
    return _Scheduled(
        _step_decay,
        lr=positive("step_decay: lr", lr),
        every=whole("step_decay: every", every),
        factor=positive("step_decay: factor", factor),
    )


def cosine(lr: float, steps: int, end: float = 0.0) -> Schedule:
    """Make the schedule that falls from `lr` to `end` along half a cosine, and stays there.

    ``lr(t) = end + (lr - end) (1 + cos(pi t / steps)) / 2``, without the restarts of Loshchilov &
    Hutter, "SGDR", 2017.

    >>> falling = cosine(1.0, steps=100)
    >>> falling(0), falling(50), falling(100), falling(500)
    (1.0, 0.5, 0.0, 0.0)
    """
    return _Scheduled(
        _cosine,
        lr=positive("cosine: lr", lr),
        steps=whole("cosine: steps", steps),
        end=not_negative("cosine: end", end),
    )


def one_cycle(
    lr: float, steps: int, rise: float = 0.3, start: float = 0.04, end: float = 4e-6
) -> Schedule:
    """Make the schedule that rises to `lr` and falls far below where it began.

    Smith & Topin, "Super-convergence", 2018, with halves of a cosine in place of their straight
    lines. It stays at the end once it is there.

    Parameters
    ----------
    lr
        The highest rate.
    steps
        The length of the cycle: ``epochs * ceil(examples / batch_size)``.
    rise
        The share of the steps in which it rises, below 1; the peak is at ``rise * steps - 1``.
    start, end
        The first rate and the last, as shares of `lr`.

    Examples
    --------
    >>> cycle = one_cycle(1.0, steps=100)
    >>> [round(cycle(t), 6) for t in (0, 29, 99, 200)]
    [0.04, 1.0, 4e-06, 4e-06]
    """
    return _Scheduled(
        _one_cycle,
        lr=positive("one_cycle: lr", lr),
        steps=whole("one_cycle: steps", steps),
        rise=share("one_cycle: rise", rise),
        start=positive("one_cycle: start", start),
        end=not_negative("one_cycle: end", end),
    )


def warm_up(lr: Rate, steps: int) -> Schedule:
    """Make the schedule that lets another one begin gently, ``min(1, (t + 1) / steps) lr(t)``.

    >>> gentle = warm_up(0.4, steps=4)
    >>> [gentle(t) for t in range(6)]
    [0.1, 0.2, 0.30000000000000004, 0.4, 0.4, 0.4]
    >>> warm_up(cosine(0.4, steps=100), steps=4)
    warm_up(lr=cosine(lr=0.4, steps=100, end=0.0), steps=4)
    """
    rate = lr if callable(lr) else positive("warm_up: lr", lr)
    return _Scheduled(_warm_up, lr=rate, steps=whole("warm_up: steps", steps))


class _Scheduled(functools.partial[float]):
    """A schedule with its arguments; unlike a closure, it can be pickled and reads as written."""

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.keywords.items())
        return f"{self.func.__name__[1:]}({arguments})"


def _constant(step: int, lr: float) -> float:
    return lr


def _step_decay(step: int, lr: float, every: int, factor: float) -> float:
    return lr * factor ** (step // every)


def _cosine(step: int, lr: float, steps: int, end: float) -> float:
    return _along_cosine(lr, end, step / steps)


def _one_cycle(step: int, lr: float, steps: int, rise: float, start: float, end: float) -> float:
    peak = max(rise * steps - 1, 0.0)
    if step < peak:
        return _along_cosine(lr * start, lr, step / peak)
    fall = steps - 1 - peak
    return _along_cosine(lr, lr * end, (step - peak) / fall if fall > 0 else 1.0)


def _warm_up(step: int, lr: Rate, steps: int) -> float:
    return rate_at(lr, step) * min(1.0, (step + 1) / steps)


def rate_at(lr: Rate, step: int) -> float:
    """Return the learning rate of a step, whether it follows a schedule or not."""
    return lr(step) if callable(lr) else lr


def _along_cosine(first: float, last: float, share: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * min(share, 1.0))) / 2
