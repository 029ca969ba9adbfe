"""Rules of gradients and penalties: who gets a gradient, of which step, and who is pulled to 0."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from autonn.engine import ops
from autonn.engine.lineage import op_of, operands_of
from autonn.engine.ownership import writable
from autonn.engine.tensor import Array, Tensor, values_of
from autonn.engine.transforms import gradients
from autonn.optim import SGD, StepOptimizer
from autonn.teach.target_rules import sight_of
from autonn.teach.trial import Trial
from autonn.training import Finding
from autonn.training.certain import no_gradient, penalised_biases

# Further back a sum of gradients is not unwound: it takes a step for each.
MOST_STEPS = 200


def certain_of_gradients(trial: Trial) -> Iterator[Finding]:
    """Find what `fit` warns of too: parameters without a gradient, biases in a penalty."""
    sight = sight_of(trial)
    if sight is not None:
        for rule in (no_gradient, penalised_biases):
            yield from rule(sight)


def unheld_parameters(trial: Trial) -> Iterator[Finding]:
    """Find parameters that the optimiser does not hold, and what it holds of another model."""
    if trial.optimizer is None or not trial.optimizer.parameters:
        return
    held = {id(p) for p in trial.optimizer.parameters}
    own = {id(p) for p in trial.names.values()}
    left = [name for name, p in trial.names.items() if id(p) not in held]
    foreign = len(held - own)
    if left or foreign:
        others = f"; it holds {foreign} that are none of the model's" if foreign else ""
        yield Finding(
            "unheld-parameters",
            ", ".join(left) or "optimizer",
            f"{type(trial.optimizer).__name__} holds {len(held & own)} of the model's {len(own)} "
            f"parameters{others}: its steps leave the rest as they are",
            "call optimizer.bind(model), after the model was copied, loaded or changed",
        )


def decaying_biases(trial: Trial) -> Iterator[Finding]:
    """Find biases that the optimiser's weight decay pulls to 0."""
    optimizer, decay = trial.optimizer, getattr(trial.optimizer, "weight_decay", 0.0)
    if not isinstance(optimizer, StepOptimizer) or not decay:
        return
    weights = {id(weight) for weight in trial.model.weights()}
    biases = {name: p for name, p in trial.names.items() if id(p) not in weights}
    pulled = [name for name in biases if _decays(trial, biases[name])]
    if pulled:
        yield Finding(
            "penalised-biases",
            ", ".join(pulled),
            f"weight_decay={decay} of {type(optimizer).__name__} pulls {len(pulled)} biases to "
            "0, for it was given bare Tensors and does not know them",
            "give it the model: optimizer.bind(model)",
        )


def unknown_biases(trial: Trial) -> Iterator[Finding]:
    """Find parameters that are used as biases, and that a penalty pulls to 0 as weights."""
    decay = getattr(trial.optimizer, "weight_decay", 0.0)
    if not trial.l2 and not decay:
        return
    weights = {id(weight) for weight in trial.model.weights()}
    unknown = [name for name, p in trial.names.items() if id(p) in weights and _is_added(trial, p)]
    if unknown:
        what = f"l2={trial.l2}" if trial.l2 else f"weight_decay={decay}"
        yield Finding(
            "penalised-biases",
            ", ".join(unknown),
            f"{what} pulls {unknown[0]}, of shape {trial.names[unknown[0]].shape}, to 0: it is "
            "added to each row, as a bias is, and nothing tells that it is one",
            f'name it b or bias; or write biases = ("{unknown[0].rpartition(".")[2]}",) into its '
            "class",
        )


def _decays(trial: Trial, bias: Tensor) -> bool:
    """Whether a step without any gradient moves a bias, set to 1, when there is decay."""
    after = []
    for decay in (True, False):
        twin = trial.twin()
        assert isinstance(twin, StepOptimizer)
        if not any(bias is p for p in twin.parameters):
            return False
        if not decay:
            setattr(twin, "weight_decay", 0.0)  # noqa: B010  # not every StepOptimizer has one
        with trial.kept(True):
            writable(bias)[...] = 1
            twin.apply([np.zeros_like(values_of(p)) for p in twin.parameters])
            after.append(values_of(bias).copy())
    return not np.array_equal(*after)


def _is_added(trial: Trial, parameter: Tensor) -> bool:
    """Whether a parameter of one axis is added to each row on the way to the predictions."""
    if parameter.ndim != 1 or parameter.size < 2:
        return False
    for tensor in trial.training.graph:
        given = operands_of(tensor)
        if op_of(tensor) is ops.affine.op and given[2] is parameter:
            return True
        if op_of(tensor) is ops.add.op and tensor.ndim > 1 and any(a is parameter for a in given):
            return True
    return False


# ---- gradients of another step


def stale_gradients(trial: Trial) -> Iterator[Finding]:
    """Find a ``.grad`` in which the gradients of several steps were added up."""
    slopes = [p.grad for p in trial.names.values()]
    if trial.training.cost is None or not slopes or any(slope is None for slope in slopes):
        return
    held = [np.array(values_of(slope)) for slope in slopes]
    count = _multiple(trial, held) or _unwound(trial, held)
    known = f"of {count}" if count else "of many" if _is_piled_up(trial, held) else ""
    if known:
        fresh = float(np.sqrt(sum(np.sum(g * g) for g in trial.slopes.values())))
        yield Finding(
            "stale-gradients",
            ", ".join(trial.names),
            f".grad is the sum of the gradients {known} steps: its norm is {_norm(held):.3g}, "
            f"and that of the gradient at these weights {fresh:.3g}",
            "call optimizer.zero_grad() before each backward(), for backward() adds to .grad",
        )


def _fresh(trial: Trial) -> list[Array]:
    """Compute the gradients of all rows; only within `kept`."""
    total = trial.total(trial.examples.X, trial.examples.y)
    return [values_of(g) for g in gradients(total, list(trial.names.values()))]


def _multiple(trial: Trial, held: Sequence[Array]) -> int:
    """Return how many times the gradient at these weights it is, if twice or more; or else 0."""
    with trial.kept(True):
        fresh = _fresh(trial)
    square = _norm(fresh) ** 2
    times = sum(float(np.vdot(g, f)) for g, f in zip(held, fresh, strict=True)) / (square or 1)
    count = round(times) if np.isfinite(times) else 0
    left = _norm([g - count * f for g, f in zip(held, fresh, strict=True)])
    return count if count > 1 and left < 1e-6 * _norm(held) else 0


def _unwound(trial: Trial, held: Sequence[Array]) -> int:
    """Take the steps of plain descent back, each by the gradient that it was taken with.

    Before the last step the weights were ``theta + lr g``. If g without the gradient there is not
    0, it should be what the step before was taken with, and so on; if 0 comes out, that is proof.
    """
    optimizer = trial.optimizer
    if not _is_plain(optimizer) or not isinstance(optimizer, SGD):
        return 0
    start, left = _norm(held), list(held)
    with trial.kept(True):
        for count in range(1, min(optimizer.steps, MOST_STEPS) + 1):
            for parameter, slope in zip(trial.names.values(), left, strict=True):
                writable(parameter)[...] += optimizer.learning_rate * slope
            left = [g - f for g, f in zip(left, _fresh(trial), strict=True)]
            if not np.isfinite(_norm(left)):
                return 0
            if _norm(left) < 1e-5 * start:
                return count if count > 1 else 0
    return 0


def _is_piled_up(trial: Trial, held: Sequence[Array]) -> bool:
    """Whether it is far larger than the gradient at these weights, and has its direction.

    One batch may have a far larger gradient than all rows, but then by chance, and the more so the
    less in the same direction: of 10 times the size, the cosine is about 1/10.
    """
    steps = getattr(trial.optimizer, "steps", 0)
    fresh = list(trial.slopes.values())
    sizes = _norm(held), _norm(fresh)
    if steps < 20 or not all(np.isfinite(sizes)) or sizes[0] <= 10 * sizes[1] or not sizes[1]:
        return False
    along = sum(float(np.vdot(g, f)) for g, f in zip(held, fresh, strict=True))
    return along > 0.5 * sizes[0] * sizes[1]


def _is_plain(optimizer: object) -> bool:
    """Whether it is descent by the gradient alone, at one rate."""
    return isinstance(optimizer, SGD) and not (
        optimizer.momentum
        or optimizer.weight_decay
        or optimizer.clip_norm
        or callable(optimizer.lr)
        or optimizer.steps < 2
    )


def _norm(arrays: Sequence[Array]) -> float:
    return float(np.sqrt(sum(float(np.vdot(a, a)) for a in arrays)))


RULES = (
    certain_of_gradients,
    unheld_parameters,
    decaying_biases,
    unknown_biases,
    stale_gradients,
)
