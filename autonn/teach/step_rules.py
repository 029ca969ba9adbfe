"""Rules of learning: what the first steps do, and whether ten examples can be learned by heart."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from autonn.engine.tensor import Array, Tensor, values_of
from autonn.engine.transforms import gradients
from autonn.optim import Adam, StepOptimizer
from autonn.teach.start_rules import cost_of_chance, is_learned
from autonn.teach.trial import Trial, arrays_in, chance_kept, taken
from autonn.training import Finding

STEPS = 10
TOO_LITTLE, TOO_MUCH = 1e-6, 1e-1  # of the size of the weights, in a step


@dataclass
class Walk:
    """What the first steps did: the costs before each and after the last, and how far they went."""

    costs: list[float]
    moves: dict[str, float]  # ||update|| / ||weight|| of the first step, of each weight

    @property
    def rises(self) -> bool:
        """Whether they end far above where they began, or are far above in between.

        The first steps of RMSprop or momentum may go three times as high, and down right after; and
        at the end of a training the cost goes up and down a little.
        """
        first, later = self.costs[0], self.costs[1:]
        if not all(map(math.isfinite, later)):
            return True
        ends_above = min(later[-3:]) > first + 0.5 * abs(first)
        return ends_above or max(later) > first + 9 * abs(first)


def walk_of(trial: Trial, lr: float | None = None) -> Walk | None:
    """Let a copy of the optimiser take some steps on the same rows, with the same chance."""
    optimizer = trial.twin()
    if not isinstance(optimizer, StepOptimizer) or trial.training.cost is None:
        return None
    optimizer.lr = optimizer.lr if lr is None else lr
    X, y = trial.X, trial.y
    if trial.batch_size is not None:
        m = len(trial.rows)
        few = np.linspace(0, m - 1, min(trial.batch_size, m)).astype(int)
        X, y = taken(X, few), taken(y, few)
    costs: list[float] = []
    moves: dict[str, float] = {}
    with trial.kept(True):
        for _ in range(STEPS):
            cost, slopes = _slopes(trial, X, y, optimizer.parameters)
            costs.append(cost)
            if not math.isfinite(cost) or not all(np.isfinite(g).all() for g in slopes):
                return Walk([*costs, math.nan], moves)
            before = {name: values_of(p).copy() for name, p in trial.names.items()}
            optimizer.apply(slopes)
            moves = moves or _moves(trial, before, optimizer.parameters)
        costs.append(_slopes(trial, X, y, optimizer.parameters)[0])
    return Walk(costs, moves)


def _slopes(trial: Trial, X: Any, y: Any, parameters: list[Tensor]) -> tuple[float, list[Array]]:
    with chance_kept(trial.chance):
        total = trial.total(X, y)
    if not total.requires_grad:
        return math.nan, []
    return float(total.detach()), [values_of(g) for g in gradients(total, parameters)]


def _moves(trial: Trial, before: dict[str, Array], held: list[Tensor]) -> dict[str, float]:
    """Measure how far each weight went, beside its size; biases begin with 0, and have none."""
    weights = {id(weight) for weight in trial.model.weights()} & set(map(id, held))
    found = {}
    for name, parameter in trial.names.items():
        size = float(np.linalg.norm(before[name]))
        if id(parameter) in weights and size:
            found[name] = float(np.linalg.norm(values_of(parameter) - before[name])) / size
    return found


def first_steps(trial: Trial) -> Iterator[Finding]:
    """Find a learning rate that makes the first steps rise, or that moves next to nothing."""
    walk = walk_of(trial)
    if walk is None or not math.isfinite(walk.costs[0]):
        return
    optimizer = trial.optimizer
    assert isinstance(optimizer, StepOptimizer)
    largest = max(walk.moves, key=walk.moves.__getitem__, default="")
    if walk.rises and not is_learned(trial):
        moved = ""
        if largest:
            moved = f"the first step moves {largest} by {walk.moves[largest]:.2g} of its size"
            moved += ", more than 0.1" if walk.moves[largest] > TOO_MUCH else ""
        shown = " ".join(f"{cost:.4g}" for cost in walk.costs[:6])
        yield Finding(
            "learning-rate-too-large",
            repr(optimizer),
            f"on the same rows the cost goes {shown} ...; {moved or 'it is no number'}",
            _smaller(trial, optimizer.learning_rate),
        )
    elif 0 < walk.moves.get(largest, 0) < TOO_LITTLE and not callable(optimizer.lr):
        yield Finding(
            "learning-rate-too-small",
            repr(optimizer),
            f"a step moves no weight by more than {walk.moves[largest]:.2g} of its size, as "
            f"{largest}: it takes {1 / walk.moves[largest]:.1g} steps to go as far as it is long",
            "take a larger learning rate, a thousandth of the weights' size a step; and look "
            "whether the gradient vanishes",
        )


def _smaller(trial: Trial, lr: float) -> str:
    """Say with which learning rate the same steps lead down, tried by tenths."""
    for power in range(1, 7):
        walk = walk_of(trial, lr / 10**power)
        if walk is not None and not walk.rises:
            first, last = walk.costs[0], walk.costs[-1]
            return (
                f"take a smaller learning rate: with {lr / 10**power:.1g} these steps lead down, "
                f"from {first:.4g} to {last:.4g}"
            )
    return "no smaller rate leads down, down to a millionth of it: look at the other findings first"


# ---- by heart

TEN, TRIES, BY_HEART = 10, 300, 0.6
HOPELESS = 60  # after so many tries without a thousandth less, there will not be more


def cannot_memorise(trial: Trial) -> Iterator[Finding]:
    """Find a model that can't even learn ten examples by heart, whatever the learning rate.

    In evaluation mode, and by Adam with three learning rates. Three fifths of the cost of chance
    are enough; a model of one layer, which need not be able to, has to get below it at all.
    """
    rows = _ten(trial)
    if trial.training.cost is None or not trial.slopes or len(rows) < 2:
        return
    X, y, *_ = trial.examples[rows]
    few = Trial(trial.model, trial.examples, trial.loss, None, 0.0, None, None, None)
    few.X, few.y, few.rows = X, y, rows
    chance = cost_of_chance(few) if _goes_to_zero(few) else None
    if chance == 0:
        return  # all ten are the same
    deep = sum(p.ndim > 1 for p in trial.model.weights()) > 1
    start = _best(few, 0.0, 0, math.nan)
    base = start if chance is None else chance
    enough = base - (1 - (BY_HEART if deep and chance is not None else 0.99)) * abs(base)
    if not math.isfinite(base) or start <= enough:
        return
    best = start
    for lr in (0.01, 0.1, 0.001):
        best = min(best, _best(few, lr, TRIES, enough))
        if best <= enough:
            return
    known = "" if chance is None else f"; to know nothing costs {chance:.4g}"
    yield Finding(
        "cannot-memorise",
        "model",
        f"{len(rows)} rows, shown {TRIES} times with lr 0.01, 0.1 and 0.001, cost {start:.4g} at "
        f"first and {best:.4g} at best{known}",
        "look for what keeps the gradient from the weights, and whether loss and targets say what "
        "is meant; a model for so few rows needs more units, or a hidden layer",
    )


def _goes_to_zero(trial: Trial) -> bool:
    """Whether the best cost is 0, as it is where targets are classes or numbers: not shares."""
    if getattr(trial.loss, "label_smoothing", 0):
        return False
    says = getattr(trial.loss, "classifies", None)
    return says is False or trial.examples.classes is not None


def _ten(trial: Trial) -> Array:
    """Choose ten rows with different inputs, of as many classes as there are."""
    examples = trial.examples
    order = trial.rows
    if examples.classes is not None:
        labels = examples.classes[order]
        turn = np.array([int(np.sum(labels[:k] == label)) for k, label in enumerate(labels)])
        order = order[np.argsort(turn, kind="stable")]
    chosen: dict[bytes, int] = {}
    for row in order:
        inputs = b"".join(X[row].tobytes() for X in arrays_in(examples.X).values())
        chosen.setdefault(inputs, int(row))
        if len(chosen) == TEN:
            break
    return np.array(sorted(chosen.values()))


def _best(trial: Trial, lr: float, steps: int, enough: float) -> float:
    """Return the least cost on the way, in evaluation mode; nothing is left changed."""
    least, first = math.inf, math.nan
    with trial.kept(False):
        optimizer = Adam(trial.model, lr=lr or 1.0)
        for step in range(steps + 1):
            cost, slopes = _slopes(trial, trial.X, trial.y, optimizer.parameters)
            if not math.isfinite(cost):
                break
            first = cost if step == 0 else first
            least = min(least, cost)
            hopeless = step == HOPELESS and least > first - 1e-3 * abs(first)
            if least <= enough or step == steps or hopeless:
                break
            optimizer.apply(slopes)
    return least


RULES = (first_steps, cannot_memorise)
