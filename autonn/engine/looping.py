"""A loop in a trace: a single op, whose body is what one step did, as Tensors.

Its operands are the first carry, the arrays whose slices the steps read, and all that the body
reads from around it. The derivative is a loop again, from the last step to the first, whose body is
the body pulled back: what it needs of a step is stacked by the first loop and sliced by the second.
So each kind of value has its counterpart on the way back: a carry a carry, a slice a stack, what is
read from around the loop a sum over its steps, and the other way round. As the second loop is made
of the same op, it can be differentiated again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from autonn.engine.backward import pull_back
from autonn.engine.lineage import (
    age_of,
    ancestors,
    attributes_of,
    op_of,
    operands_of,
    tensors_of,
)
from autonn.engine.modes import enable_grad, is_recording, is_tracing
from autonn.engine.op import STOP_GRADIENT, Memory, Op, mixes_rows
from autonn.engine.tensor import Tensor, leaf, record, values_of

__all__ = ["PICK", "SCAN", "STEP_INPUT", "Key", "Loop", "as_tensor", "stand_in"]

Key = tuple[str, int]  # a result of a loop: "carry", "stack" or "total", and which of them


_NEVER = "a loop is only written into programs"


def _never(*args: Any, **attributes: Any) -> Any:
    raise RuntimeError(_NEVER)


def _scan_rule(k: int, g: Any, z: Tensor, *inputs: Any, loop: Loop) -> Any:
    return loop.gradients(g, z, inputs)[k]


def _pick_rule(g: Any, z: Any, s: Any, key: Key) -> Tensor:
    """Say which result a gradient is for, in a Tensor that only `Loop.gradients` looks into."""
    tied = leaf(np.zeros(()))
    record(tied, _TIE, (g,), (values_of(g),), {"key": key})
    return tied


# A loop, whose results `pick` takes one by one: it has no value of its own, and stands for all.
SCAN = Op(
    "scan", _never, "carry, y_t = f(carry, x_t), step by step", (_scan_rule,),
    variadic=True, rows=mixes_rows, memory=Memory.NEW,
)  # fmt: skip
PICK = Op(
    "pick", _never, "a result of a loop", (_pick_rule,), rows=mixes_rows, memory=Memory.NEW
)  # fmt: skip
_TIE = Op(
    "tie", _never, "the gradient of one result of a loop", (None,),
    rows=mixes_rows, memory=Memory.NEW,
)  # fmt: skip

# What a step is given: known only inside the loop.
STEP_INPUT = Op(
    "step_input", _never, "what a step is given", (), rows=mixes_rows, memory=Memory.NEW
)  # fmt: skip


def stand_in(example: Any) -> Tensor:
    """Make the Tensor that stands for what each step is given, by the numbers of the first."""
    made = leaf(np.array(example))
    record(made, STEP_INPUT, (), (), {})
    made._tracked = made.dtype.kind == "f"
    return made


# What a step makes: the next carry, what is stacked, and what is added up.
Results = tuple[list[Tensor], list[Tensor], list[Tensor]]


class Loop:
    """The body of a loop as Tensors, from what a step is given to what it gives.

    Attributes
    ----------
    carries, slices
        What stands for the carry and for the slices that a step is given.
    carried, stacked, summed
        What it makes of them: the next carry, what is stacked over the steps, and what is added
        up over them.
    around
        What it reads from around the loop.
    inside
        The ages of all that is another in each step.
    """

    def __init__(
        self, steps: int, reverse: bool, start: int, carries: list[Tensor], slices: list[Tensor],
        results: Results, forward: Loop | None = None,
    ) -> None:  # fmt: skip
        self.steps, self.reverse, self.start = steps, reverse, start
        self.carries, self.slices = carries, slices
        self.carried, self.stacked, self.summed = results
        self.inside = {age_of(t) for t in (*carries, *slices)}
        self.around: list[Tensor] = []
        self.draws = False
        self.forward = forward  # of which it is the way back
        self.pulled: tuple[Any, list[Any]] | None = None
        self._look_around(frozenset(self.inside))

    def _look_around(self, ends: frozenset[int]) -> None:
        """Find what is another in each step, and what it reads that is not."""

        def inner(tensor: Tensor) -> list[Tensor]:
            is_outer = age_of(tensor) <= self.start or age_of(tensor) in ends
            return [] if is_outer else tensors_of(tensor)

        results = [*self.carried, *self.stacked, *self.summed]
        found: dict[int, Tensor] = {}
        for tensor in ancestors(results, inner):
            operands = tensors_of(tensor)
            if age_of(tensor) <= self.start or age_of(tensor) in ends:
                continue
            draws = self.forward is None and _draws(tensor)  # a way back slices them
            if draws or any(map(self.has, operands)):
                self.draws |= draws
                self.inside.add(age_of(tensor))
                found |= {age_of(a): a for a in operands if not self.has(a)}
        found |= {age_of(t): t for t in results if not self.has(t)}
        self.around = list(found.values())

    def has(self, tensor: Tensor) -> bool:
        """Whether a Tensor is another in each step."""
        return age_of(tensor) in self.inside

    def node(self, operands: Sequence[Any]) -> Tensor:
        """Make the Tensor of the loop, of the first carry and of what is sliced."""
        args = (*operands, *self.around)
        made = leaf(np.zeros(()))
        record(made, SCAN, args, tuple(map(values_of, args)), {"loop": self})
        tracked = any(isinstance(a, Tensor) and a.requires_grad for a in args)
        made._tracked = bool(is_recording()) and tracked
        return made

    def result(self, key: Key) -> Tensor:
        """Return the Tensor of one step that a result is made of."""
        kind, k = key
        return {"carry": self.carried, "stack": self.stacked, "total": self.summed}[kind][k]

    def pick(self, loop: Tensor, key: Key) -> Tensor:
        """Make the Tensor of one result; its numbers are those of one step."""
        one = self.result(key)
        value = values_of(one)
        if key[0] == "stack":
            value = np.broadcast_to(value, (self.steps, *value.shape))
        made = leaf(value)
        record(made, PICK, (loop,), (values_of(loop),), {"key": key})
        made._tracked = loop.requires_grad and one.requires_grad
        return made

    # ---- the loop back

    def gradients(self, g: Tensor, loop: Tensor, inputs: Sequence[Any]) -> list[Any]:
        """Return the gradients for all operands of the loop, of one loop back for each g."""
        if self.pulled is None or self.pulled[0] is not g:
            self.pulled = g, self._pulled(dict(_told(g)), loop, inputs)
        return self.pulled[1]

    def _pulled(self, given: dict[Key, Any], loop: Tensor, inputs: Sequence[Any]) -> list[Any]:
        """Make the loop back for the gradients of its results."""
        moving = [k for k, c in enumerate(self.carries) if c.requires_grad]
        stacks = [k for kind, k in given if kind == "stack"]
        carries = [stand_in(self.carries[k]._data) for k in moving]
        slices = [stand_in(self.stacked[k]._data) for k in stacks]
        roots = self._roots(given, moving, [*carries, *slices])
        before = age_of(leaf(np.zeros(())))
        with enable_grad():
            parts = self._pulled_step(roots)
            kept = self._residuals([t for part in parts for t in part], before)
            first = [given.get(("carry", k), _zeros(self.carries[k])) for k in moving]
            sliced = [g for (kind, _), g in given.items() if kind == "stack"]
            sliced += self._stacks(kept, loop, inputs)
            back = Loop(
                self.steps, not self.reverse, self.start, carries, slices + kept, parts, self
            )  # fmt: skip
            node = back.node([*first, *sliced])
            return self._in_order(back, node)

    def _roots(
        self, given: dict[Key, Any], moving: Sequence[int], leaves: Sequence[Tensor]
    ) -> list[tuple[Tensor, Any]]:
        """Pair what a step gives with its gradient: another in each step, or one for all."""
        keys: list[Key] = [("carry", k) for k in moving]
        keys += [key for key in given if key[0] == "stack"]
        roots: list[tuple[Tensor, Any]]
        roots = [(self.result(key), d) for key, d in zip(keys, leaves, strict=True)]
        return roots + [(self.result(key), g) for key, g in given.items() if key[0] == "total"]

    def _pulled_step(self, roots: list[tuple[Tensor, Any]]) -> Results:
        """Pull gradients for what a step gives back to what it is given, and to what is around."""
        groups = self.carries, self.slices, self.around
        wanted = [t for group in groups for t in group if t.requires_grad]
        trace = is_tracing()
        calls = len(trace.raising) if trace else 0
        ends = pull_back([root for root in roots if root[0].requires_grad], wanted, beyond=False)
        if trace:  # what can raise here is of a step back, as what is used of it
            del trace.raising[calls:]
        found = {age_of(t): as_tensor(d) for t, d in ends}
        carried, stacked, summed = (
            [found.get(age_of(t), _zeros(t)) for t in group if t.requires_grad] for group in groups
        )
        return carried, stacked, summed

    def _in_order(self, back: Loop, node: Tensor) -> list[Any]:
        """List the gradients in the order of the operands; None where there is none."""
        found: list[Any] = []
        kinds = "carry", "stack", "total"
        for kind, group in zip(kinds, (self.carries, self.slices, self.around), strict=True):
            k = 0
            for t in group:
                found.append(back.pick(node, (kind, k)) if t.requires_grad else None)
                k += t.requires_grad
        return found

    def _residuals(self, results: Sequence[Tensor], before: int) -> list[Tensor]:
        """List what a step back needs of the step: all that was there before it was pulled back."""
        needed: dict[int, Tensor] = {}

        def inner(tensor: Tensor) -> list[Tensor]:
            if self._is_of_the_step(tensor, before):
                needed[age_of(tensor)] = tensor
                return []
            return tensors_of(tensor) if age_of(tensor) > self.start else []

        ancestors(results, inner)
        return [needed[age] for age in sorted(needed)]

    def _is_of_the_step(self, tensor: Tensor, before: int) -> bool:
        """Whether it was computed in a step; what was stacked in a loop inside for it, too."""
        if self.has(tensor) or op_of(tensor) is not PICK:
            return self.has(tensor)
        (loop,) = tensors_of(tensor)
        return self.has(loop) and age_of(loop) < before

    def _stacks(self, kept: Sequence[Tensor], loop: Tensor, inputs: Sequence[Any]) -> list[Any]:
        return [self._stack(tensor, loop, inputs) for tensor in kept]

    def _stack(self, tensor: Tensor, loop: Tensor, inputs: Sequence[Any]) -> Any:
        """Return what a Tensor of a step was in all steps: what was sliced, or stacked for this."""
        for k, t in enumerate(self.slices):
            if t is tensor:
                return inputs[len(self.carries) + k]
        places = [k for k, t in enumerate(self.stacked) if t is tensor]
        if not places:
            places = [len(self.stacked)]
            self.stacked.append(tensor)
        return self.pick(loop, ("stack", places[0]))


def _draws(tensor: Tensor) -> bool:
    op = op_of(tensor)
    if op is SCAN:
        return bool(_loop_of(tensor).draws)
    return op is not None and op.draws


def _loop_of(tensor: Tensor) -> Loop:
    found: Loop = attributes_of(tensor)["loop"]
    return found


def _told(g: Tensor) -> Iterable[tuple[Key, Any]]:
    """Yield the gradient for each result that has one, of the sum of what `pick` tied."""
    found: dict[Key, Any] = {}
    stack = [g]
    while stack:
        tied = stack.pop()
        if op_of(tied) is not _TIE:
            stack += tensors_of(tied)
            continue
        key, (gradient,) = attributes_of(tied)["key"], operands_of(tied)
        found[key] = found[key] + gradient if key in found else as_tensor(gradient)
    return sorted(found.items())


def _zeros(like: Tensor) -> Tensor:
    return leaf(np.zeros(like.shape, like.dtype))


def as_tensor(a: Any) -> Tensor:
    """Let an array be a Tensor, which tells a trace that it was read."""
    if isinstance(a, Tensor):
        return a
    made = leaf(np.array(a))  # a copy: whether others hold the array is told by who refers to it
    record(made, STOP_GRADIENT, (a,), (made._data,), {})
    return made
