"""Vitals: what tells of a network while it learns, measured with some rows and undone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from autonn.engine.lineage import op_of
from autonn.engine.tensor import Array, values_of
from autonn.optim import StepOptimizer
from autonn.teach.start_rules import FLAT, dead_of, is_rectified
from autonn.teach.trial import Look, Trial, first_operand
from autonn.training.certain import laid_out, named_place


class Vitals(NamedTuple):
    """What was measured after an epoch; each number by the name of a weight, or of a layer.

    >>> vitals = Vitals(3, {"0.weight": 1e-7}, {"0.weight": 2e-6}, {"1 ReLU()": 0.9})
    >>> [name for name, share in vitals.quiet.items() if share > 0.5]
    ['1 ReLU()']
    """

    epoch: int
    gradients: dict[str, float]  # ||gradient|| / ||weight||
    updates: dict[str, float]  # ||update|| / ||weight|| of the next step
    quiet: dict[str, float]  # of ReLUs the share that is dead, of others that is flat


def vitals_of(trial: Trial, epoch: int) -> Vitals:
    """Measure a network as it is.

    >>> from autonn import Layer, ReLU, Sequential, SoftmaxCrossEntropy
    >>> from autonn.training.examples import Examples
    >>> model = Sequential(Layer(2, 4, rng=0, bias=[-9.0, 0, 0, 0]), ReLU(), Layer(4, 2, rng=1))
    >>> examples = Examples.checked(np.eye(2), [0, 1], "X")
    >>> trial = Trial(model, examples, SoftmaxCrossEntropy(), None, 0.0, None, None, None)
    >>> list(vitals_of(trial, 1).gradients)
    ['0.weight', '2.weight']
    """
    trial.forget()
    slopes = trial.slopes
    weights = {id(weight) for weight in trial.model.weights()}
    names = [n for n, p in trial.names.items() if id(p) in weights and p.ndim > 1 and n in slopes]
    sizes = {name: _norm(values_of(trial.names[name])) or np.nan for name in names}
    steep = {name: _norm(slopes[name]) / sizes[name] for name in names}
    moved = {name: size / sizes[name] for name, size in _updates(trial, names).items()}
    return Vitals(epoch, steep, moved, _quiet(trial, trial.training))


def _updates(trial: Trial, names: list[str]) -> dict[str, float]:
    """Let a copy of the optimiser take the step that these rows would lead to, and undo it."""
    twin = trial.twin()
    if not isinstance(twin, StepOptimizer) or not trial.slopes:
        return {}
    slopes = {id(p): trial.slopes[name] for name, p in trial.names.items()}
    before = {name: values_of(trial.names[name]).copy() for name in names}
    with trial.kept(True):
        twin.apply([slopes.get(id(p)) for p in twin.parameters])
        return {name: _norm(values_of(trial.names[name]) - before[name]) for name in names}


def _quiet(trial: Trial, look: Look) -> dict[str, float]:
    """Return the share of units that give nothing, or of values that are flat, by the layer."""
    last = laid_out(look.predictions)
    found = {}
    for tensor in look.graph:
        op = op_of(tensor)
        if is_rectified(tensor) and tensor.ndim > 1:
            dead, units = dead_of(values_of(tensor))
            found[named_place(trial.model, tensor)] = dead / units
        elif op in FLAT and tensor is not last:
            z = values_of(first_operand(tensor))
            found[named_place(trial.model, tensor)] = float(np.mean(np.abs(z) > FLAT[op]))
    return found


def _norm(array: Array) -> float:
    return float(np.linalg.norm(array))
