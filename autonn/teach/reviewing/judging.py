"""What the gradients should be: the slopes of the learner's own cost, and whether they are met."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

import numpy as np

from autonn.engine.tensor import Array
from autonn.teach.reviewing.programs import Part, parts_of
from autonn.teach.reviewing.recording import Node, Watched, node_of, watch
from autonn.teach.reviewing.replaying import Derivation, NotDifferentiated, derive
from autonn.teach.reviewing.trials import Call, Outputs, agrees
from autonn.teach.reviewing.watching import Event, Hooks, Line, instrumented, lines_of

__all__ = ["Judgement", "Program", "judged"]

_MOST_NUMBERS = 4000  # that are differentiated by one after the other, where all else fails


@dataclass
class Program:
    """The learner's functions and their lines, as found in one run."""

    parts: list[Part]
    lines: list[Line]
    watched: dict[Part, CodeType]
    unread: list[str] = field(default_factory=list)  # functions whose text is not to be had

    @classmethod
    def of(cls, call: Call) -> Program:
        """Find the functions that a call runs."""
        parts, unread = parts_of(call.f, call.run)
        return cls(parts, lines_of(parts), instrumented(parts), unread)


@dataclass
class Judgement:
    """What was found of the gradients of a call.

    Attributes
    ----------
    call, outputs
        The call, and what it gave.
    names, rights
        By output: what it belongs to, and what it should be.
    wrong
        The positions of the outputs that are something else.
    cost
        What the cost should be.
    events, derivation
        What the lines assigned, and the derivatives on the way; none where they could not be had.
    how
        How the right gradients were found.
    """

    call: Call
    outputs: Outputs
    names: list[str]
    rights: list[Array]
    cost: float
    events: list[Event]
    derivation: Derivation
    how: str
    leaves: list[tuple[str, Node]] = field(default_factory=list)

    @functools.cached_property
    def wanted(self) -> list[tuple[str, Array]]:
        """What is differentiated by, with names."""
        return self.call.leaves()

    @property
    def is_finite(self) -> bool:
        """Whether there is a cost and a gradient to compare with."""
        return bool(np.isfinite(self.cost) and all(np.isfinite(r).all() for r in self.rights))

    @property
    def cost_is_right(self) -> bool:
        """Whether the cost is what it should be."""
        return abs(self.outputs.cost - self.cost) <= 1e-7 * max(1e-3, abs(self.cost))

    @property
    def wrong(self) -> list[int]:
        """The positions of the gradients that are not right."""
        pairs = zip(self.outputs.gradients, self.rights, strict=True)
        return [k for k, (given, right) in enumerate(pairs) if not agrees(given, right)]

    @property
    def is_right(self) -> bool:
        """Whether all is as it should be."""
        return self.cost_is_right and not self.wrong

    def met_by(self, result: Any) -> bool:
        """Whether what another run returned is right."""
        outputs = Outputs(result, self.wanted)
        if len(outputs.gradients) != len(self.rights):
            return False
        if not abs(outputs.cost - self.cost) <= 1e-7 * max(1e-3, abs(self.cost)):
            return False
        pairs = zip(outputs.gradients, self.rights, strict=True)
        return all(agrees(given, right) for given, right in pairs)


def judged(call: Call, program: Program, cost: Callable[..., Any] | None = None) -> Judgement:
    """Run a call, differentiate its cost, and compare; `cost` is asked in place of its own."""
    outputs = Outputs(call.run(), call.leaves())
    if not outputs.gradients:
        raise TypeError("review needs gradients after the cost: return (J, *gradients)")
    lifted: list[Watched] = []
    starts: list[Node] = []

    def lift(x: Any, is_wanted: bool) -> Any:
        """Watch the arrays among the arguments, and follow what is differentiated by."""
        out = watch(x, tracked=is_wanted) if isinstance(x, np.ndarray) else x
        if is_wanted:
            lifted.append(out)
            starts.append(node_of(out))
        return out

    hooks = Hooks(program.lines)
    try:
        recorded: Any = Outputs(call.run(program.watched, hooks, lift), call.leaves()).raw_cost
    except Exception:
        recorded = None
    of_cost = call
    if cost is not None:
        of_cost = Call(cost, call.args, call.positions)
        own = Program.of(of_cost)
        cost_hooks = Hooks(own.lines)
        starts.clear()
        recorded = _number_of(of_cost.run(own.watched, cost_hooks, lift))
    value = outputs.cost if cost is None else float(_number_of(of_cost.run()))
    derivation, how = Derivation(), "differentiated by autonn"
    try:
        derivation = derive(node_of(recorded))
        slopes = _slopes(derivation, starts)
        _confirm(of_cost, slopes)
    except NotDifferentiated:
        derivation, how = Derivation(), "taken from differences of the cost"
        slopes = _by_differences(of_cost)
    names = [name for name, _ in call.leaves()]
    names, rights = _aligned(names, slopes, outputs.gradients)
    leaves = list(zip([name for name, _ in call.leaves()], starts, strict=False))
    return Judgement(call, outputs, names, rights, value, hooks.events, derivation, how, leaves)


def _number_of(result: Any) -> Any:
    """Return the cost of what a cost function returned."""
    return result[0] if isinstance(result, tuple | list) else result


def _slopes(derivation: Derivation, starts: Sequence[Node]) -> list[Array]:
    """Return the gradient for each argument; zeros where the cost does not depend on it."""
    place = {id(node): k for k, node in enumerate(derivation.nodes)}
    return [
        np.asarray(derivation.slopes[place[id(s)]]) if id(s) in place else np.zeros(s.value.shape)
        for s in starts
    ]


def _cost_at(call: Call, leaves: Sequence[Array]) -> float:
    result = _number_of(call.with_leaves(leaves).run())
    return float(np.reshape(result, -1)[0])


def _confirm(call: Call, slopes: Sequence[Array]) -> None:
    """Compare with differences of the cost in two directions: what a record lost would show."""
    rng = np.random.default_rng(0)
    leaves = [leaf for _, leaf in call.leaves()]
    for _ in range(2):
        way = [rng.standard_normal(np.shape(leaf)) for leaf in leaves]
        expected = sum(float(np.sum(s * w)) for s, w in zip(slopes, way, strict=True))
        off = []
        for h in (1e-5, 1e-6, 1e-7):
            up, down = (
                _cost_at(call, [leaf + t * w for leaf, w in zip(leaves, way, strict=True)])
                for t in (h, -h)
            )
            off.append(abs((up - down) / (2 * h) - expected))
        size = max(abs(expected), sum(float(np.abs(s).max(initial=0)) for s in slopes))
        if not min(off) <= 1e-4 * size + 1e-8:
            raise NotDifferentiated("the record of the cost is not complete")


def _by_differences(call: Call) -> list[Array]:
    """Differentiate a cost by central differences, number by number."""
    leaves = [np.array(leaf, dtype=float) for _, leaf in call.leaves()]
    if sum(leaf.size for leaf in leaves) > _MOST_NUMBERS:
        raise ValueError(
            f"the cost could not be differentiated, and there are more than {_MOST_NUMBERS} "
            "numbers to take differences by; give the cost as a function of its own, cost="
        )
    slopes = [np.zeros(leaf.shape) for leaf in leaves]
    for leaf, slope in zip(leaves, slopes, strict=True):
        for index in np.ndindex(leaf.shape):
            old = leaf[index]
            h = 1e-5 * max(1.0, float(abs(old)))
            at = []
            for step in (h, -h):
                leaf[index] = old + step
                at.append(_cost_at(call, leaves))
            leaf[index] = old
            slope[index] = (at[0] - at[1]) / (2 * h)
    return slopes


def _aligned(
    names: list[str], slopes: list[Array], given: list[Array]
) -> tuple[list[str], list[Array]]:
    """Bring the right gradients into the form of those given: apart, or in one flat vector."""
    if len(given) == len(slopes):
        return names, [_like(s, g) for s, g in zip(slopes, given, strict=True)]
    total = sum(s.size for s in slopes)
    if len(given) == 1 and given[0].size == total:
        flat = [np.concatenate([s.ravel(order) for s in slopes]) for order in ("C", "F")]
        best = min(flat, key=lambda r: float(np.abs(r - given[0].ravel()).sum()))
        return [" and ".join(names)], [best]
    if len(slopes) == 1 and sum(g.size for g in given) == slopes[0].size:
        rights, at = [], 0
        for g in given:
            rights.append(slopes[0].ravel()[at : at + g.size].reshape(g.shape))
            at += g.size
        return [f"part {k + 1} of {names[0]}" for k in range(len(given))], rights
    raise ValueError(
        f"{len(given)} gradients were returned for {len(slopes)} arguments ({', '.join(names)}); "
        "return one for each of argnums, or one flat vector"
    )


def _like(right: Array, given: Array) -> Array:
    """Flatten where the gradient of a matrix is given as a flat vector of its size."""
    if given.ndim == 1 and right.ndim > 1 and given.size == right.size:
        flat = [right.ravel(order) for order in ("C", "F")]
        return min(flat, key=lambda r: float(np.abs(r - given).sum()))
    if right.ndim == 1 and given.ndim == 2 and given.size == right.size and 1 not in given.shape:
        return right.reshape(given.shape)
    return right
