"""Rules of chance and of batches: noise in evaluation, noise that is frozen, batches of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from autonn.engine.lineage import op_of, operands_of
from autonn.engine.ownership import writable
from autonn.engine.tensor import Array, Tensor, values_of
from autonn.nn.dropout import Dropout
from autonn.nn.normalisation import BatchNorm, BatchNorm1d
from autonn.optim.base import Optimizer
from autonn.teach.trial import Look, Trial, arrays_in, chance_kept, taken
from autonn.training import Finding, TrainStep
from autonn.training.certain import named_place


def noise_in_evaluation(trial: Trial) -> Iterator[Finding]:
    """Find a model that gives another answer each time, though it is set to evaluation."""
    first, second = _twice(trial, train=False)
    a, b = (values_of(look.predictions) for look in (first, second))
    if a.shape == b.shape and np.array_equal(a, b, equal_nan=True):
        return
    apart = float(np.nanmax(np.abs(a - b))) if a.shape == b.shape else np.inf
    yield Finding(
        "noise-in-evaluation",
        named_place(trial.model, _parting(first, second)),
        f"asked twice about the same {len(trial.rows)} rows, in evaluation, it gives answers that "
        f"are up to {apart:.3g} apart",
        "draw only while self.training, as Dropout does: `if not self.training: return x`",
    )


def _parting(first: Look, second: Look) -> Tensor:
    """Return the first result that is another one the second time."""
    for a, b in zip(first.graph, second.graph, strict=False):
        if op_of(a) is not op_of(b) or a.shape != b.shape:
            return a
        is_result = op_of(a) is not None
        if is_result and not np.array_equal(values_of(a), values_of(b), equal_nan=True):
            return a
    return first.predictions


def frozen_noise(trial: Trial) -> Iterator[Finding]:
    """Find masks that are the same at each step, and there only in training: drawn once for all.

    A mask is an array with a row for each example that the model makes itself, the same of other
    examples; and that evaluation does not know, or in which there is only 0 and one other number.
    """
    with chance_kept(trial.chance):
        first = trial.run(trial.X, trial.y, True)
        backwards = slice(None, None, -1)
        second = trial.run(taken(trial.X, backwards), taken(trial.y, backwards), True)
    masks = _masks(trial, first)
    again = {name: mask for name, (mask, _) in _masks(trial, second).items()}
    quiet = _masks(trial, trial.look(trial.X, trial.y, False))
    for name, (mask, tensor) in masks.items():
        is_same = name in again and np.array_equal(mask, again[name])
        if not is_same or (name in quiet and not _silences(mask)):
            continue
        evaluation = "the same is there too" if name in quiet else "there is none"
        yield Finding(
            "frozen-noise",
            named_place(trial.model, tensor),
            f"in training it is combined with an array of shape {mask.shape} that is made in "
            f"forward and is the same in two steps, of other rows; in evaluation {evaluation}. "
            f"{_shares(mask)}",
            "make the generator once, in __init__, and draw in forward by ops.random(self.rng, "
            "shape); or take a Dropout",
        )
        return


def _silences(mask: Array) -> bool:
    """Whether it is a mask as dropout's: 0 and one number above, and not one of pairs of rows."""
    values = np.unique(mask).astype(float)
    is_one_of_pairs = len(set(mask.shape)) == 1
    return not is_one_of_pairs and len(values) == 2 and values[0] == 0 < values[1] < np.inf


def _shares(mask: Array) -> str:
    silent = float(np.mean(mask == 0))
    return f"{silent:.0%} of it is 0" if silent else f"Its numbers have deviation {mask.std():.3g}"


def _is_part_of(values: Array, X: Any) -> bool:
    """Whether an array lies in the memory of the inputs."""
    return any(np.may_share_memory(values, part) for part in arrays_in(X).values())


def _masks(trial: Trial, look: Look) -> dict[tuple[str, int], tuple[Array, Tensor]]:
    """Find arrays with other numbers in each row that no Tensor of the model, nor X, holds."""
    m = len(trial.rows)
    held = {id(values_of(t)) for t in trial.model.named_tensors().values()}
    found: dict[tuple[str, int], tuple[Array, Tensor]] = {}
    for tensor in look.graph:
        for operand in operands_of(tensor):
            values = values_of(operand)
            is_leaf = not isinstance(operand, Tensor) or operand.is_leaf
            if not is_leaf or not isinstance(values, np.ndarray) or values.ndim < 2:
                continue
            if len(values) != m or id(values) in held or _is_part_of(values, trial.X):
                continue
            if values.dtype.kind in "bf" and m > 1 and not (values == values[0]).all():
                place = named_place(trial.model, tensor)
                found[place, sum(place == other for other, _ in found)] = values, tensor
    return found


def _twice(trial: Trial, train: bool) -> tuple[Look, Look]:
    """Look twice, with chance going on in between, and give it back at the end."""
    with chance_kept(trial.chance):
        first = trial.run(trial.X, trial.y, train)
        return first, trial.run(trial.X, trial.y, train)


# ---- batches


def batches_of_one(trial: Trial) -> Iterator[Finding]:
    """Find a batch of one row where a norm takes mean and variance of the batch."""
    norms = {n: m for n, m in trial.model.named_modules() if isinstance(m, BatchNorm)}
    m = len(trial.examples)
    size = min(trial.batch_size or m, m)
    if not norms or (size > 1 and m % size != 1):
        return
    name, norm = next(iter(norms.items()))
    if size > 1 and not isinstance(norm, BatchNorm1d) and np.ndim(trial.X) != 2:
        return
    left = f"{m:,} rows in batches of {size} leave one of 1" if size > 1 else "batches have one row"
    yield Finding(
        "batch-of-one",
        f"model.{name} {norm!r}" if name else repr(norm),
        f"{left}: of one value mean and variance say nothing, x - mean is 0",
        f"choose another batch_size, as {_other_size(m, size)}; or LayerNorm, which looks at each "
        "row by itself",
    )


def _other_size(m: int, size: int) -> int:
    """Return the next larger size that leaves no batch of one row.

    >>> _other_size(65, 32), _other_size(5, 1)
    (33, 3)
    """
    return next((k for k in range(max(size + 1, 2), m) if m % k != 1), m)


# ---- a step of one's own


def own_step(trial: Trial) -> Iterator[Finding]:
    """Take a step of the caller's own twice from the same weights, and look at what it left."""
    if trial.step is None or trial.optimizer is None:
        return
    first, second = _steps_of_ones_own(trial, trial.step, trial.optimizer)
    if first.slopes and second.slopes and first.size:
        apart = [b - 2 * a for a, b in zip(first.slopes, second.slopes, strict=True)]
        if Stepped(0, apart, True).size < 1e-6 * second.size:
            yield Finding(
                "stale-gradients",
                "step",
                f"of two steps from the same weights, the second leaves twice the .grad of the "
                f"first: the norms are {first.size:.4g} and {second.size:.4g}",
                "call optimizer.zero_grad() before backward(), which adds to .grad",
            )
    noisy = [n for n, m in trial.model.named_modules() if isinstance(m, Dropout) and m.p > 0]
    if noisy and first.cost is not None and first.cost == second.cost and not second.drew:
        yield Finding(
            "frozen-noise",
            "step",
            f"two steps from the same weights cost {first.cost:.6g} to the last bit, and the "
            f"generator of {', '.join(noisy)} stands still: what it drew is the same each time",
            "compile the step with the model in training mode, model.train(), and draw within it",
        )


class Stepped:
    """What a step left: its cost, the gradients, and whether a generator went on."""

    def __init__(self, cost: Any, slopes: list[Array], drew: bool) -> None:
        self.cost, self.slopes, self.drew = cost, slopes, drew

    @property
    def size(self) -> float:
        """The common norm of the gradients."""
        return float(np.sqrt(sum(float(np.vdot(g, g)) for g in self.slopes)))


def _steps_of_ones_own(
    trial: Trial, step: Callable[[Any, Any], Any], optimizer: Optimizer
) -> tuple[Stepped, Stepped]:
    """Take two steps, each from the weights as they are, and undo both."""
    state, costs = optimizer.state_dict(), list(optimizer.costs)
    own = dict(vars(step)) if isinstance(step, TrainStep) else None
    before = {name: values_of(p).copy() for name, p in trial.names.items()}
    found = []
    try:
        with trial.kept(True):
            trial.model.zero_grad()
            for _ in range(2):
                for name, parameter in trial.names.items():
                    writable(parameter)[...] = before[name]
                found.append(_step(trial, step))
    finally:
        optimizer.load_state_dict(state)
        optimizer.costs[:] = costs
        if own is not None:
            vars(step).clear()
            vars(step).update(own)
    return found[0], found[1]


def _step(trial: Trial, step: Callable[[Any, Any], Any]) -> Stepped:
    """Take one step, and look at what it leaves."""
    dropouts = [m for _, m in trial.model.named_modules() if isinstance(m, Dropout)]
    before = [m.rng.bit_generator.state for m in dropouts]
    cost = step(trial.X, trial.y)
    drew = before != [m.rng.bit_generator.state for m in dropouts]
    slopes = [p.grad for p in trial.names.values()]
    held = [np.array(values_of(g)) for g in slopes if g is not None]
    return Stepped(None if cost is None else float(cost), held, drew)


RULES = (noise_in_evaluation, frozen_noise, batches_of_one, own_step)
