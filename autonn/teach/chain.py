"""Finding a network of layers behind a loss: affine maps in a row, what bends them, the cost.

It is read off the graph, so that it does not matter how the network was written: with modules or in
plain NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import numpy as np

from autonn.engine import ops
from autonn.engine.lineage import attribute_of, op_of, operands_of
from autonn.engine.op import Function, Op
from autonn.engine.tensor import Array, Tensor, values_of

__all__ = ["BENDS", "Chain", "Cost", "Link", "chain_of"]

# What may stand between two layers, with a slope that the textbooks have.
BENDS = frozenset({ops.sigmoid.op, ops.tanh.op, ops.relu.op, ops.softplus.op})


class Cost(Enum):
    """What is made small."""

    SIGMOID = "the cross-entropy of sigmoids"
    SOFTMAX = "the cross-entropy of a softmax"
    EACH = "the cross-entropy of each class of a softmax"
    SQUARES = "the mean of the squares"


@dataclass
class Link:
    """One layer: ``z = a Theta'``, and the op that bends it, None of the last if there is none."""

    a: Any  # what it is given: a Tensor, or the array X
    weight: Tensor
    bias: Tensor | None
    z: Tensor
    bend: Op | None = None


@dataclass
class Chain:
    """A network of layers that was found behind a loss.

    Attributes
    ----------
    links
        Its layers, the first one first.
    cost, is_mean
        What is made small, and whether it is divided by the number of outputs too.
    y
        The targets, a row for each example.
    penalised, strength
        The weights under the L2 penalty, and the lambda of the course; none and 0 without one.
    """

    links: list[Link]
    cost: Cost
    is_mean: bool
    y: Array
    penalised: list[Tensor]
    strength: float


class _Ending(NamedTuple):
    """What a cost is, the last z, what bends it, and the targets."""

    cost: Cost
    z: Tensor
    bend: Op | None
    y: Array
    is_mean: bool = False


def chain_of(loss: Tensor) -> Chain | None:
    """Find the layers behind a loss; None where it is no network of layers in a row.

    >>> from autonn import CrossEntropy, Layer, Sequential, Sigmoid
    >>> model = Sequential(Layer(2, 3, rng=0), Sigmoid(), Layer(3, 1, rng=0), Sigmoid())
    >>> chain = chain_of(CrossEntropy()(model(Tensor(np.ones((4, 2)))), np.ones((4, 1))))
    >>> [link.z.shape for link in chain.links], chain.cost.value
    ([(4, 3), (4, 1)], 'the cross-entropy of sigmoids')
    """
    cost, penalty = loss, None
    if _calls(loss, ops.add) and _calls(operands_of(loss)[1], ops.sum_of_squares):
        cost, penalty = operands_of(loss)
    end = _ending(cost)
    links = [] if end is None else _links(end.z, end.bend)
    if end is None or not links or end.z.ndim != 2 or end.y.shape != end.z.shape:
        return None
    weights = [] if penalty is None else list(operands_of(penalty))
    if not {id(w) for w in weights} <= {id(link.weight) for link in links}:
        return None
    factor = 0.0 if penalty is None else attribute_of(penalty, "factor")
    return Chain(links, end.cost, end.is_mean, end.y, weights, factor * 2 * len(end.y))


def _calls(a: Any, function: Function) -> bool:
    return isinstance(a, Tensor) and op_of(a) is function.op


def _inside(a: Any, *functions: Function) -> list[Any]:
    """Return the operands of the last of some ops, each the first operand of the one before."""
    given = [a]
    for function in functions:
        if not _calls(given[0], function):
            return []
        given = list(operands_of(given[0]))
    return given


def _ending(cost: Tensor) -> _Ending | None:
    """Read what a cost is off its ops."""
    given = operands_of(cost)
    if _calls(cost, ops.multiply) and isinstance(given[1], float):
        end = _ending(given[0])  # a mean over the outputs too, of sigmoids
        fits = end is not None and end.cost is Cost.SIGMOID and given[1] * end.y.shape[-1] == 1.0
        return end._replace(is_mean=given[1] != 1.0) if end is not None and fits else None
    for function, kind in (
        (ops.sigmoid_cross_entropy, Cost.SIGMOID), (ops.softmax_cross_entropy, Cost.SOFTMAX),
    ):  # fmt: skip
        if _calls(cost, function) and isinstance(given[0], Tensor):
            return _Ending(kind, given[0], None, np.asarray(values_of(given[1])))
    return _squares(cost) or _each(cost)


def _squares(cost: Tensor) -> _Ending | None:
    """Read the mean of squares of a - y."""
    given = _inside(cost, ops.mean, ops.square, ops.subtract)
    if not given or not isinstance(given[0], Tensor):
        return None
    output, y = given
    bend = op_of(output)
    y = np.asarray(values_of(y))
    if bend not in BENDS:
        return _Ending(Cost.SQUARES, output, None, y)
    return _Ending(Cost.SQUARES, operands_of(output)[0], bend, y)


def _each(cost: Tensor) -> _Ending | None:
    """Read the cross-entropy of each class of a softmax."""
    parts = _inside(cost, ops.divide, ops.sum, ops.add)
    if not parts or not all(_calls(part, ops.safe_multiply) for part in parts):
        return None
    (y, log_a), (_, log_rest) = map(operands_of, parts)
    first, second = _inside(log_a, ops.log_softmax), _inside(log_rest, ops.log_others)
    if not first or not second or first[0] is not second[0] or not isinstance(first[0], Tensor):
        return None
    return _Ending(Cost.EACH, first[0], None, np.asarray(values_of(y)))


def _links(z: Any, bend: Op | None) -> list[Link]:
    """Follow the layers from the last z to X; [] where something else stands between."""
    links: list[Link] = []
    while True:
        link = _link(z, bend)
        if link is None:
            return []
        links.insert(0, link)
        if not isinstance(link.a, Tensor) or link.a.is_leaf:
            return links if values_of(link.a).ndim == 2 else []
        bend = op_of(link.a)
        if bend not in BENDS:
            return []
        z = operands_of(link.a)[0]


def _link(z: Any, bend: Op | None) -> Link | None:
    """Read one layer off its z."""
    if _calls(z, ops.affine):
        a, weight, bias = operands_of(z)
    elif _calls(z, ops.matmul) and _calls(operands_of(z)[1], ops.transpose):
        a, turned = operands_of(z)
        weight, bias = operands_of(turned)[0], None
    else:
        return None
    leaves = [t for t in (weight, bias) if t is not None]
    plain = all(isinstance(t, Tensor) and t.requires_grad and t.is_leaf for t in leaves)
    return Link(a, weight, bias, z, bend) if plain and weight.ndim == 2 else None
