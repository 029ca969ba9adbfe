"""What is certainly wrong with a training: read off the graph of its first cost, without a guess.

A rule is a function of a `Sight` that returns its findings. No values are looked at, so that they
hold whatever is learned, and while the step is being compiled.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from autonn.engine import ops
from autonn.engine.lineage import (
    age_of,
    ancestors,
    attribute_of,
    op_of,
    operands_of,
    path_of,
    place_of,
    tensors_of,
)
from autonn.engine.op import Memory, Op, elementwise
from autonn.engine.tensor import Tensor, values_of
from autonn.nn.module import Module
from autonn.training.findings import Finding

# What only lays numbers out in another way.
_LAYOUT = frozenset(
    function.op
    for function in (
        ops.reshape, ops.transpose, ops.expand_dims, ops.swapaxes, ops.moveaxis, ops.squeeze,
        ops.getitem, ops.flip,
    )
)  # fmt: skip

# What makes probabilities, and what takes logits: the loss makes probabilities of them itself.
_SIGMOID, _SOFTMAX = ops.sigmoid.op, ops.softmax.op
_TAKES = {
    _SIGMOID: _SIGMOID, ops.sigmoid_cross_entropy.op: _SIGMOID, ops.log_sigmoid.op: _SIGMOID,
    _SOFTMAX: _SOFTMAX, ops.softmax_cross_entropy.op: _SOFTMAX, ops.log_softmax.op: _SOFTMAX,
    ops.log_others.op: _SOFTMAX,
}  # fmt: skip

UNREACHED = "no-gradient"


@dataclass
class Sight:
    """What is seen of a first step: the model, what it predicted, and the cost without penalty."""

    model: Module
    predictions: Tensor
    cost: Tensor
    targets: Any

    @cached_property
    def of_model(self) -> set[int]:
        """The ages of all that the predictions were made from, and their own."""
        return {age_of(t) for t in ancestors([self.predictions], tensors_of)}

    @cached_property
    def of_loss(self) -> list[Tensor]:
        """What was computed from the predictions and the targets, the oldest first."""
        return ancestors([self.cost], tensors_of, self.of_model)

    def is_models(self, value: Any) -> bool:
        """Whether something is a Tensor that the predictions were made from, or they themselves."""
        return isinstance(value, Tensor) and age_of(value) in self.of_model


def certain(sight: Sight) -> list[Finding]:
    """List what is certainly wrong, each with its evidence and its cure.

    >>> from autonn import Layer, Sequential, Sigmoid, SoftmaxCrossEntropy
    >>> model = Sequential(Layer(2, 3, rng=0), Sigmoid())
    >>> a = model([[1.0, 2.0]])
    >>> [f.name for f in certain(Sight(model, a, SoftmaxCrossEntropy()(a, [0]), [0]))]
    ['squashed-twice']
    """
    rules = (
        squashed_twice, one_softmax, softmax_of_rows, broadcast_targets, penalised_biases,
        no_gradient,
    )  # fmt: skip
    return [finding for rule in rules for finding in rule(sight)]


def squashed_twice(sight: Sight) -> Iterator[Finding]:
    """Find a softmax or a sigmoid of what is one already."""
    for outer in [sight.predictions, *sight.of_loss]:
        taken = _taken(outer)
        if taken is None:
            continue
        inner = laid_out(operands_of(outer)[0])
        made = op_of(inner) if sight.is_models(inner) else None
        if made in (_SIGMOID, _SOFTMAX) and inner is not outer:
            yield _twice(sight, inner, outer, made, taken)
            return


def _twice(sight: Sight, inner: Tensor, outer: Tensor, made: Op, taken: Op) -> Finding:
    who = "the model" if outer is sight.predictions else "the loss"
    low, high = 0.5, 1 / (1 + math.exp(-1))
    if taken is _SOFTMAX:  # of one 0 or 1 among k - 1 others; those of a softmax sum to 1
        k = inner.shape[-1]
        others = (k - 1) * math.e if made is _SIGMOID else math.e + k - 2
        low, high = 1 / (1 + others), math.e / (math.e + k - 1)
    return Finding(
        "squashed-twice",
        named_place(sight.model, inner),
        f"{who} takes the {taken.name} of numbers that a {made.name} made: they are between 0 and "
        f"1, so that each probability is between {low:.3f} and {high:.3f} whatever is learned",
        f"leave out the {made.name} at the end of the model; or else take a loss of probabilities, "
        "CrossEntropy()",
    )


def one_softmax(sight: Sight) -> Iterator[Finding]:
    """Find a softmax over a single output, which is always 1."""
    for tensor in [sight.predictions, *sight.of_loss]:
        op = op_of(tensor)
        if _taken(tensor) is not _SOFTMAX:
            continue
        source = operands_of(tensor)[0]
        has_axis = op not in (ops.softmax_cross_entropy.op, ops.log_others.op)
        axis = attribute_of(tensor, "axis") if has_axis else -1
        shape = getattr(source, "shape", ())
        if sight.is_models(source) and isinstance(axis, int) and shape and shape[axis] == 1:
            yield Finding(
                "softmax-of-one",
                named_place(sight.model, tensor),
                f"a softmax along an axis of length 1, of shape {shape}, is 1 whatever is learned: "
                "no gradient passes it",
                "give the model an output for each class; or of two classes one output, a "
                "Sigmoid() and CrossEntropy()",
            )
            return


def softmax_of_rows(sight: Sight) -> Iterator[Finding]:
    """Find a softmax at the end of the model that goes over the examples, and not the classes."""
    a = sight.predictions
    if op_of(a) is not _SOFTMAX or a.ndim != 2 or attribute_of(a, "axis") not in (0, -2):
        return
    yield Finding(
        "softmax-of-rows",
        named_place(sight.model, a),
        f"the softmax of predictions {a.shape} goes along axis 0: what an example is taken for "
        "depends on the others of its batch, and the probabilities of its classes do not sum to 1",
        "write Softmax(), which goes along the last axis",
    )


def broadcast_targets(sight: Sight) -> Iterator[Finding]:
    """Find predictions (m, 1) that meet targets (m,), or the other way round: all m by m pairs."""
    shapes = [tuple(getattr(x, "shape", ())) for x in (sight.predictions, sight.targets)]
    short, long = sorted(shapes, key=len)
    if len(short) != 1 or long != (short[0], 1) or short[0] < 2:
        return
    m = short[0]
    for tensor in sight.of_loss:
        op = op_of(tensor)
        if op is None or op.rows is not elementwise or tensor.shape != (m, m):
            continue
        given = [laid_out(a) for a in operands_of(tensor)]
        if any(sight.is_models(a) for a in given) and any(_is(a, sight.targets) for a in given):
            yield Finding(
                "broadcast-targets",
                "loss",
                f"predictions {shapes[0]} meet targets {shapes[1]}, and NumPy stretches them to "
                f"{(m, m)}: each prediction is compared with the targets of all rows, and the "
                "best it can do is their mean",
                "give both one shape: y[:, None] or y.ravel() of the targets, or "
                "predictions[:, 0] in the loss",
            )
            return


def penalised_biases(sight: Sight) -> Iterator[Finding]:
    """Find biases that stand in the cost by themselves, as a penalty has them."""
    weights = {id(weight) for weight in sight.model.weights()}
    penalised = _penalised(sight)
    parameters = dict(sight.model.named_parameters())
    biases = {name: p for name, p in parameters.items() if id(p) not in weights}
    found = {name: p for name, p in biases.items() if age_of(p) in penalised}
    if found:
        name, bias = next(iter(found.items()))
        yield Finding(
            "penalised-biases",
            ", ".join(found),
            f"{len(found)} of {len(parameters)} parameters, as {name} of shape {bias.shape}, are "
            "in the penalty that the loss adds, which pulls them to 0, though they are no weights "
            "between units",
            "sum over model.weights() in place of model.parameters(); or leave the penalty to "
            "fit(l2=...)",
        )


def _penalised(sight: Sight) -> set[int]:
    """Return the ages of what the loss uses without anything that the model computed from it."""
    made: set[int] = set()  # of what depends on the predictions
    alone: set[int] = set()
    beside: set[int] = set()
    for tensor in sight.of_loss:
        given = tensors_of(tensor)
        depends = any(age_of(a) in made or (sight.is_models(a) and not a.is_leaf) for a in given)
        made |= {age_of(tensor)} if depends else set()
        (beside if depends else alone).update(age_of(a) for a in given)
    return alone - beside


def no_gradient(sight: Sight) -> Iterator[Finding]:
    """Find parameters that the cost does not depend on."""
    if not sight.cost.requires_grad:
        return
    reached = {age_of(t) for t in ancestors([sight.cost])}
    parameters = dict(sight.model.named_parameters())
    left = {name: p for name, p in parameters.items() if age_of(p) not in reached}
    if not left:
        return
    numbers = sum(parameter.size for parameter in left.values())
    yield Finding(
        UNREACHED,
        ", ".join(left),
        f"{len(left)} of {len(parameters)} parameters, {numbers:,} numbers, are in no way behind "
        "the cost: their gradient is 0, and they stay as they are",
        "use them in forward; look for .detach(), .data, .numpy() or stop_gradient on the way; if "
        "they are to rest, set requires_grad = False",
    )


# ---- what the rules share


def laid_out(value: Any) -> Any:
    """Go back over what only lays numbers out in another way, as reshape and transpose do.

    >>> x = Tensor([[1.0, 2.0]], requires_grad=True)
    >>> laid_out(x.T.reshape(2)) is x
    True
    """
    while isinstance(value, Tensor):
        op = op_of(value)
        if op is None or not (op in _LAYOUT or op.memory is Memory.VIEW):
            return value
        if not isinstance(operands_of(value)[0], Tensor):
            return value
        value = operands_of(value)[0]
    return value


def _is(value: Any, other: Any) -> bool:
    """Whether two are the same thing, or the same array."""
    a, b = values_of(value), values_of(other)
    return value is other or a is b or (getattr(a, "base", None) is b and b is not None)


def named_place(model: Module, tensor: Tensor) -> str:
    """Say in which module a result was computed, by its path, as "model.1 Sigmoid()".

    >>> from autonn import Layer, Sequential, Sigmoid
    >>> from autonn.engine.modes import noting
    >>> model = Sequential(Layer(2, 1, rng=0), Sigmoid())
    >>> with noting():
    ...     a = model(Tensor([[1.0, 2.0]]))
    >>> named_place(model, a)
    'model.1 Sigmoid()'
    """
    place = place_of(tensor)
    if place is None or not place.modules or place.modules[0] is not model:
        return "model" if place is None or place.modules else "loss"
    path, module = path_of(place), place.modules[-1]
    kind = repr(module) if not list(module.children()) else type(module).__name__
    return f"model.{path} {kind}" if path else f"model {kind}"


def _taken(tensor: Tensor) -> Op | None:
    """Return whether the op that made a Tensor takes a sigmoid or a softmax of its operand."""
    op = op_of(tensor)
    return None if op is None else _TAKES.get(op)
