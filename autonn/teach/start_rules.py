"""Rules of the start: the first cost, equal units, units that are flat or dead, faded gradients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from autonn.engine import ops
from autonn.engine.lineage import ancestors, op_of, operands_of, tensors_of
from autonn.engine.tensor import Array, Tensor, values_of
from autonn.nn.class_losses import HingeLoss, SigmoidCrossEntropy
from autonn.nn.losses import CrossEntropy, MeanSquaredError, SoftmaxCrossEntropy
from autonn.nn.normalisation import BatchNorm, GroupNorm, LayerNorm
from autonn.nn.regression_losses import HuberLoss
from autonn.teach.trial import Trial, first_operand
from autonn.training import Finding
from autonn.training.certain import laid_out, named_place

# How many times the cost of chance the first cost may be. For inputs about 1 Glorot's weights give
# 1.0 to 1.3, He's up to 2 before a softmax; for inputs about 6, as of the irises, which learn too,
# up to 9. Margins and squares grow with the predictions: there chance is a coarser measure.
FAR, FAR_OF_MARGINS, FAR_OF_NUMBERS = 10.0, 20.0, 100.0


# ---- the first cost


def cost_of_chance(trial: Trial) -> float | None:
    """Return what it costs to know nothing: each class as likely, of numbers always their mean.

    That is k ln 2 for k sigmoids by `CrossEntropy`, ln k for a softmax; None for other losses.
    """
    a = trial.training.predictions
    if trial.training.cost is None:
        return None
    guess: Any
    if isinstance(trial.loss, CrossEntropy):
        of_softmax = op_of(laid_out(a)) is ops.softmax.op if a.ndim else False
        guess = np.full(a.shape, 1 / a.shape[-1] if of_softmax and a.shape[-1] > 1 else 0.5)
    elif isinstance(trial.loss, SoftmaxCrossEntropy | SigmoidCrossEntropy | HingeLoss):
        guess = np.zeros(a.shape)
    elif isinstance(trial.loss, MeanSquaredError | HuberLoss) and trial.y.shape == a.shape:
        guess = np.broadcast_to(trial.y.mean(axis=0), a.shape).astype(float)
    else:
        return None
    with np.errstate(all="ignore"):
        return float(trial.loss(Tensor(guess), trial.y))


def first_cost(trial: Trial) -> Iterator[Finding]:
    """Find a first cost far above that of chance."""
    if trial.training.cost is None:
        return
    chance, cost = cost_of_chance(trial), float(trial.training.cost.detach())
    of_numbers = isinstance(trial.loss, MeanSquaredError | HuberLoss)
    far = FAR_OF_MARGINS if isinstance(trial.loss, HingeLoss) else FAR
    far = FAR_OF_NUMBERS if of_numbers else far
    if chance is None or not chance or cost <= far * chance:
        return
    if of_numbers:
        mean, deviation = trial.y.mean(), trial.y.std()
        means = (
            f"always to say their mean would cost {chance:.4g}; the targets have mean {mean:.4g} "
            f"and standard deviation {deviation:.4g}"
        )
        cure = "learn (y - mean) / standard deviation, and turn the predictions back afterwards"
    else:
        means = (
            f"to know nothing costs {chance:.4g}{_formula(trial)}: the network is sure, and wrong, "
            "before it has learned"
        )
        cure = "scale the inputs; take smaller initial weights, as Layer makes them by itself"
    yield Finding("first-cost", "loss", f"the first cost is {cost:.4g}; {means}", cure)


def is_learned(trial: Trial) -> bool:
    """Whether nine of ten rows are right, or the cost is far below chance: it may well be flat."""
    chance, cost = cost_of_chance(trial), trial.training.cost
    classes = trial.examples.classes
    if trial.classes is not None and classes is not None:
        read = values_of(trial.training.predictions).argmax(axis=1)
        if np.mean(read == classes[trial.rows]) >= 0.9:
            return True
    return chance is not None and cost is not None and float(cost.detach()) < 0.3 * chance


def _formula(trial: Trial) -> str:
    """Write the cost of chance as the textbook does, where it is one of two formulas."""
    a = trial.training.predictions
    if isinstance(trial.loss, CrossEntropy) and op_of(laid_out(a)) is ops.sigmoid.op:
        return f", {a.shape[-1]} ln 2"
    plain = isinstance(trial.loss, SoftmaxCrossEntropy) and not trial.loss.label_smoothing
    return f", ln {a.shape[-1]}" if plain else ""


def not_finite(trial: Trial) -> Iterator[Finding]:
    """Find a first cost that is NaN or inf, and the first result that is."""
    cost = trial.training.cost
    if cost is None or np.isfinite(values_of(cost)):
        return
    for tensor in ancestors([cost], tensors_of):
        values, op = values_of(tensor), op_of(tensor)
        if op is None or values.dtype.kind != "f" or np.isfinite(values).all():
            continue
        wrong = np.flatnonzero(~np.isfinite(values.ravel()))
        index = tuple(int(k) for k in np.unravel_index(wrong[0], values.shape))
        given = [values_of(a) for a in operands_of(tensor)]
        ranges = [f"{a.min():.4g} to {a.max():.4g}" for a in given if np.size(a) and _is_array(a)]
        yield Finding(
            "not-finite",
            named_place(trial.model, tensor),
            f"the first cost is {float(cost.detach()):g}; {op.name}, {op.formula}, is the first to "
            f"give {values[index]} of finite numbers, as at {index}, in {len(wrong):,} of "
            f"{values.size:,} places; it was given {', '.join(ranges)}",
            "keep its operands where it is defined, as by np.clip, or take an op that is exact "
            "there, as log_softmax or softplus; scale the inputs",
        )
        return


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "fiu"


# ---- symmetry


def equal_units(trial: Trial) -> Iterator[Finding]:
    """Find layers whose units all have the same weights and the same gradients, and so for ever."""
    for name, slope in trial.slopes.items():
        values = values_of(trial.names[name])
        if values.ndim < 2 or not trial.is_reached(trial.names[name]):
            continue
        for axis in (0, 1):
            units = np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)
            theirs = np.moveaxis(slope, axis, 0).reshape(values.shape[axis], -1)
            if len(units) > 1 and _are_equal(units) and _are_equal(theirs) and units.size > 2:
                yield Finding(
                    "equal-units",
                    name,
                    f"all {len(units)} units of {name}, of shape {values.shape}, have the same "
                    f"weights, as {units[0, 0]:.4g}, and the same gradients, as "
                    f"{theirs[0, 0]:.3g}: each step leaves them equal, and they are worth one unit",
                    "draw the initial weights by chance, as Layer(inputs, outputs, rng=rng) does",
                )
                return


def _are_equal(rows: Array) -> bool:
    size = np.abs(rows).max(initial=0)
    return bool(np.abs(rows - rows[0]).max(initial=0) <= 1e-9 * size)


# ---- units

# Beyond these |z| the slope is below 2 % of the steepest.
FLAT = {ops.sigmoid.op: 5.3, ops.tanh.op: 2.65}


def saturated_units(trial: Trial) -> Iterator[Finding]:
    """Find hidden sigmoids and tanhs that are flat for most of what they are fed."""
    if is_learned(trial):
        return
    last = laid_out(trial.training.predictions)
    for op, limit in FLAT.items():
        for tensor in trial.training.results(op):
            z = values_of(first_operand(tensor))
            share = float(np.mean(np.abs(z) > limit)) if np.size(z) else 0.0
            if tensor is last or share < 0.5:
                continue
            yield Finding(
                "saturated-units",
                named_place(trial.model, tensor),
                f"{share:.0%} of its {np.size(z):,} values stand where it is flat, |z| > {limit}, "
                f"with a slope below 2 % of the steepest; the root mean square of z is "
                f"{np.sqrt(np.mean(np.square(z))):.3g}",
                "scale the inputs to about 1; take smaller initial weights, within "
                "sqrt(6 / (inputs + outputs)) of 0",
            )


def dead_units(trial: Trial) -> Iterator[Finding]:
    """Find layers of ReLUs of which most give 0 for every row, and so get no gradient.

    For inputs that are all positive, half of the units are dead by chance, and the others learn; so
    there have to be 3.2 standard deviations more, of a binomial distribution.
    """
    if len(trial.rows) < 10 or is_learned(trial):
        return
    for tensor in trial.training.graph:
        if not is_rectified(tensor) or tensor.ndim < 2:
            continue
        dead, units = dead_of(values_of(tensor))
        if units > 1 and dead >= min(units, units / 2 + 1.6 * units**0.5):
            yield Finding(
                "dead-units",
                named_place(trial.model, tensor),
                f"{dead} of {units} units give 0 for all {len(trial.rows)} rows, so that no "
                "gradient reaches their weights",
                "scale the inputs to mean 0; begin with biases of 0 and He's weights "
                "(nn.init.he_normal); take a smaller learning rate, or LeakyReLU()",
            )


def is_rectified(tensor: Tensor) -> bool:
    """Whether it is ``relu(x)``, or ``maximum(x, 0)``."""
    op = op_of(tensor)
    if op is ops.relu.op:
        return True
    zero = [a for a in operands_of(tensor) if not isinstance(a, Tensor) and np.size(a) == 1]
    return op is ops.maximum.op and bool(zero) and float(np.asarray(zero[0]).item()) == 0


def dead_of(values: Array) -> tuple[int, int]:
    """Count the units that are never positive, and all of them, along either axis of units."""
    axes = (1,) if values.ndim != 3 else (1, 2)
    counts = []
    for axis in axes:
        alive = np.any(values > 0, axis=tuple(k for k in range(values.ndim) if k != axis))
        counts.append((int(np.count_nonzero(~alive)), values.shape[axis]))
    return min(counts, key=lambda count: count[0] / count[1])


def small_weights(trial: Trial) -> Iterator[Finding]:
    """Find layers whose results hardly differ from row to row, though what they are fed does."""
    products = (ops.affine.op, ops.matmul.op, ops.conv.op)
    for tensor in trial.training.graph:
        if op_of(tensor) not in products or len(trial.rows) < 2:
            continue
        fed = values_of(first_operand(tensor))
        if np.shape(fed)[:1] != (len(trial.rows),) or np.asarray(fed).dtype.kind != "f":
            continue
        before, after = (float(np.mean(np.std(a, axis=0))) for a in (fed, values_of(tensor)))
        if before > 1e-3 and 0 < after < FAINT * before:
            yield Finding(
                "weights-too-small",
                named_place(trial.model, tensor),
                f"from row to row its results vary by {after:.2g} where what it is fed varies by "
                f"{before:.2g}: nearly nothing of the rows is left for the layers above",
                "draw weights within sqrt(6 / (inputs + outputs)) of 0, as Layer does by itself",
            )
            return


FAINT = 1e-3  # weights of standard deviation 0.02, as of large language models, leave 0.2


# ---- how large the gradients are, layer by layer

FADED, BURST = 1e-4, 100.0

# Before one of these the size of a weight does not count, and its gradient may be next to 0.
_NORMS = (BatchNorm, LayerNorm, GroupNorm)


def faded_gradients(trial: Trial) -> Iterator[Finding]:
    """Find weights whose gradient, beside their size, is a tiny part of what others get."""
    shares = _relative(trial)
    if len(shares) < 2:
        return
    least, most = min(shares, key=shares.__getitem__), max(shares, key=shares.__getitem__)
    is_normalised = any(isinstance(m, _NORMS) for _, m in trial.model.named_modules())
    if 0 < shares[least] < FADED * shares[most] and not is_normalised:
        yield Finding(
            "vanishing-gradient",
            least,
            f"||gradient|| / ||weight|| is {shares[least]:.2g}, and {shares[most]:.2g} of {most}: "
            f"{shares[most] / shares[least]:.1g} times as much. By the layers: "
            f"{_by_layer(shares)}",
            "fewer layers, or ReLU in place of sigmoids; He's or Glorot's weights; normalisation "
            "between the layers, or a way around them, x + f(x)",
        )
    if shares[most] > BURST:
        yield Finding(
            "exploding-gradient",
            most,
            f"||gradient|| / ||weight|| is {shares[most]:.3g}, so that a step of lr 0.01 moves it "
            f"by {shares[most]:.3g} % of its size. By the layers: {_by_layer(shares)}",
            "scale inputs and targets to about 1; smaller initial weights; clip_norm=1 for "
            "recurrent networks",
        )


def _relative(trial: Trial) -> dict[str, float]:
    """Return ||gradient|| / ||weight|| of each weight that has both."""
    found = {}
    weights = {id(weight) for weight in trial.model.weights()}
    for name, slope in trial.slopes.items():
        parameter = trial.names[name]
        if id(parameter) in weights and parameter.ndim > 1:
            size, steep = (float(np.linalg.norm(a)) for a in (values_of(parameter), slope))
            if size and steep and np.isfinite(steep):
                found[name] = steep / max(size, 0.01 * parameter.size**0.5)
    return found


def _by_layer(shares: dict[str, float]) -> str:
    listed = [f"{name} {share:.1g}" for name, share in shares.items()]
    return ", ".join(listed if len(listed) <= 6 else [*listed[:3], "...", *listed[-3:]])


RULES = (
    not_finite,
    first_cost,
    equal_units,
    saturated_units,
    dead_units,
    small_weights,
    faded_gradients,
)
