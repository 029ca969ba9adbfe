"""A loop over steps, as one call: `scan`. Where a function is compiled, the loop stays a loop.

As it is, the steps run one after the other. In a trace `f` runs once, on Tensors that stand for
what one step is given, and what it did is the body of a single op: its operands are the first
carry, the arrays whose slices the steps read, and all that the body reads from around it. The
derivative is a loop again, from the last step to the first, whose body is the body pulled back:
what it needs of a step is stacked by the first loop and sliced by the second. So each kind of
value has its counterpart on the way back: a carry a carry, a slice a stack, what is read from
around the loop a sum over its steps, and the other way round. As the second loop is made of the
same op, it can be differentiated again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from autonn.engine.backward import pull_back
from autonn.engine.lineage import age_of, ancestors, attributes_of, op_of, operands_of, tensors_of
from autonn.engine.modes import CannotCompileError, enable_grad, is_recording, is_tracing
from autonn.engine.op import STOP_GRADIENT, Memory, Op
from autonn.engine.tensor import Tensor, leaf, record, values_of
from autonn.engine.trees import Tree, tree_form, tree_leaves, tree_unflatten

__all__ = ["PICK", "SCAN", "STEP_INPUT", "Key", "Loop", "scan"]

Key = tuple[str, int]  # a result of a loop: "carry", "stack" or "sum", and which of them


def scan(
    f: Callable[[Tree, Tree], tuple[Tree, Tree]],
    carry: Tree,
    xs: Tree = None,
    *,
    length: int | None = None,
    reverse: bool = False,
    lengths: Any = None,
) -> tuple[Tree, Tree]:
    """Go through steps, ``carry, y_t = f(carry, x_t)``, and return the last carry and all y.

    A compiled function keeps it as a loop: its program is as long for three hundred steps as for
    three, and so is the one of its derivatives, of any order. Gradients reach the carry, the xs
    and all that `f` reads from around it, a model's parameters too.

    Parameters
    ----------
    f
        Takes a carry and the x of a step, and returns the next carry, of the same form, shapes
        and dtypes, and a y, which may be None. It is called once for all steps where it is
        compiled, and must do the same at each.
    carry
        What the first step is given: an array, or a list, tuple or dict of such.
    xs
        Arrays, or a tree of them, along whose first axis the steps go; None if there are none.
    length
        The number of steps, where there are no xs.
    reverse
        Whether to go from the last step to the first; y_t stands at the place of x_t then, too.
    lengths
        Whole numbers of shape (batch,), if each example of a batch ends by itself: the axis of
        the batch is the first of a carry, of an x_t and of a y_t. In later steps its carry stays
        as it is, and its y is 0.

    Raises
    ------
    TypeError
        For an `f` that returns no pair, and a carry that changes its form or dtype.
    ValueError
        For xs of different lengths or of none, and a carry that changes its shape.

    Examples
    --------
    >>> scan(lambda total, x: (total + x, total * x), 0.0, np.array([1.0, 2.0, 3.0]))
    (np.float64(6.0), array([0., 2., 9.]))
    """
    rows = [] if xs is None else [_as_array(x, "xs") for x in tree_leaves(xs)]
    steps = _count(rows, length)
    first = [_as_array(c, "the carry") for c in tree_leaves(carry)]
    step = _Step(f, tree_form(carry), first, xs)
    if lengths is not None:
        step, rows = _masked(step, rows, steps, lengths)
    way = _kept if is_tracing() else _unrolled
    last, ys = way(step, first, rows, steps, bool(reverse))
    return tree_unflatten(step.form, last), tree_unflatten(step.form_of_y, ys)


# ---- one step


class _Step:
    """One step on leaves, which are flat lists, and checked: see `scan`."""

    def __init__(self, f: Any, form: Tree, first: Sequence[Any], xs: Tree) -> None:
        self.f, self.form = f, form
        self.form_of_x = () if xs is None else (tree_form(xs),)
        self.kinds = [(np.shape(c), values_of(c).dtype) for c in first]
        self.form_of_y: Tree = None

    def __call__(self, carry: Sequence[Any], x: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Return the leaves of the next carry and of y."""
        given = tree_unflatten(self.form_of_x[0], x) if self.form_of_x else None
        result = self.f(tree_unflatten(self.form, carry), given)
        if not (isinstance(result, tuple) and len(result) == 2):
            raise TypeError(
                f"a step of scan returns the pair (carry, y), not {type(result).__name__}; "
                "y may be None"
            )
        new, y = result
        self.form_of_y = tree_form(y)
        return self.checked(new), tree_leaves(y)

    def checked(self, carry: Tree) -> list[Any]:
        """Demand that the next carry is like the last."""
        if repr(tree_form(carry)) != repr(self.form):
            raise TypeError(
                f"a step of scan was given a carry of the form {self.form} and returned "
                f"{tree_form(carry)}; they must be the same"
            )
        leaves = [_as_array(c, "the carry") for c in tree_leaves(carry)]
        for c, (shape, dtype) in zip(leaves, self.kinds, strict=True):
            if c.shape != shape:
                raise ValueError(
                    f"a carry of scan had shape {shape} and after a step {c.shape}; it must keep "
                    "its shape, so let the first one have it"
                )
            if c.dtype != dtype:
                raise TypeError(
                    f"a carry of scan was {dtype} and after a step {c.dtype}; cast the first "
                    "one, or what the step returns"
                )
        return leaves


def _masked(step: _Step, rows: list[Any], steps: int, lengths: Any) -> tuple[Any, list[Any]]:
    """Make the step in which an example that has ended keeps its carry and gives 0."""
    counts = lengths if isinstance(lengths, Tensor) else np.asarray(lengths)
    if counts.ndim != 1 or counts.dtype.kind not in "iu":
        raise TypeError(
            f"lengths of scan are whole numbers of shape (batch,), not {counts.dtype} of shape "
            f"{counts.shape}"
        )
    going = np.arange(steps)[:, None] < counts

    class Masked(_Step):
        """The same where an example goes on."""

        def __call__(self, carry: Sequence[Any], x: Sequence[Any]) -> tuple[list[Any], list[Any]]:
            """Return the leaves of the next carry and of y."""
            *x, goes_on = x
            new, y = step(carry, x)
            self.form_of_y = step.form_of_y
            kept = [np.where(_beside(goes_on, n), n, c) for n, c in zip(new, carry, strict=True)]
            return kept, [None if a is None else _or_zero(goes_on, a) for a in y]

    return Masked(step.f, step.form, (), None), [*rows, going]


def _beside(goes_on: Any, a: Any) -> Any:
    """Give the mask of a batch as many axes as what it is laid over."""
    if np.ndim(a) < 1 or np.shape(a)[0] != goes_on.shape[0]:
        raise ValueError(
            f"scan with lengths of {goes_on.shape[0]} examples has a carry or a y of shape "
            f"{np.shape(a)}; its first axis is that of the batch"
        )
    return np.reshape(goes_on, (-1, *(1,) * (np.ndim(a) - 1)))


def _or_zero(goes_on: Any, a: Any) -> Any:
    a = _as_array(a, "y")
    return np.where(_beside(goes_on, a), a, np.zeros((), a.dtype))


def _as_array(a: Any, what: str) -> Any:
    """Bring a leaf to an array; a Tensor stays one."""
    if isinstance(a, Tensor) or type(a) is ndarray:
        return a
    array = np.asarray(a)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{what} of scan are arrays and numbers, not {type(a).__name__}")
    return array


def _count(rows: Sequence[Any], length: int | None) -> int:
    """Count the steps."""
    counts = {np.shape(x)[0] if np.ndim(x) else -1 for x in rows}
    counts |= set() if length is None else {length}
    if len(counts) != 1 or -1 in counts:
        found = f"xs of shapes {[np.shape(x) for x in rows]} and length={length}"
        raise ValueError(f"scan of {found}: one number of steps, the first axis of all xs")
    (steps,) = counts
    if steps < 1:
        raise ValueError("scan of no steps: what they give is not known; there must be one")
    return steps


# ---- as it is


def _unrolled(
    step: _Step, carry: list[Any], rows: Sequence[Any], steps: int, reverse: bool
) -> tuple[list[Any], list[Any]]:
    """Run the steps one after the other."""
    cut = [steps_of(x) for x in rows]
    order = range(steps)
    found: list[Any] = [None] * steps
    for t in reversed(order) if reverse else order:
        carry, found[t] = step(carry, [x[t] for x in cut])
    numbers = [c if isinstance(c, Tensor) or c.ndim else c[()] for c in carry]
    return numbers, [None if y[0] is None else np.stack(y) for y in zip(*found, strict=True)]


def steps_of(x: Any) -> Sequence[Any]:
    """Cut x into the slices along its first axis; a Tensor by halves.

    The gradient of each part is laid into zeros of the length of what it was cut from, and of T
    single steps that would be T^2 places.

    >>> [int(row.data) for row in steps_of(Tensor([1, 2, 3]))]
    [1, 2, 3]
    """
    if not isinstance(x, Tensor):
        return x  # type: ignore[no-any-return]
    half = len(x) // 2
    return [*steps_of(x[:half]), *steps_of(x[half:])] if half else [x[0]]


# ---- in a trace

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
    variadic=True, memory=Memory.NEW,
)  # fmt: skip
PICK = Op("pick", _never, "a result of a loop", (_pick_rule,), memory=Memory.NEW)
_TIE = Op("tie", _never, "the gradient of one result of a loop", (None,))

# What a step is given: known only inside the loop.
STEP_INPUT = Op("step_input", _never, "what a step is given", ())


def _stand_in(example: Any) -> Tensor:
    """Make the Tensor that stands for what each step is given, by the numbers of the first."""
    made = leaf(np.array(example))
    record(made, STEP_INPUT, (), (), {})
    made._tracked = made.dtype.kind == "f"
    return made


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
        results: tuple[list[Tensor], list[Tensor], list[Tensor]],
    ) -> None:  # fmt: skip
        self.steps, self.reverse, self.start = steps, reverse, start
        self.carries, self.slices = carries, slices
        self.carried, self.stacked, self.summed = results
        self.inside = {age_of(t) for t in (*carries, *slices)}
        self.around: list[Tensor] = []
        self.draws = False
        self.forward: Loop | None = None  # of which it is the way back
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
            draws = _draws(tensor)
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
        return {"carry": self.carried, "stack": self.stacked, "sum": self.summed}[kind][k]

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
        stacks = [key[1] for key in given if key[0] == "stack"]
        carries = [_stand_in(self.carries[k]._data) for k in moving]
        slices = [_stand_in(self.stacked[k]._data) for k in stacks]
        roots = [(self.carried[k], d) for k, d in zip(moving, carries, strict=True)]
        roots += [(self.stacked[k], d) for k, d in zip(stacks, slices, strict=True)]
        roots += [(self.summed[key[1]], g) for key, g in given.items() if key[0] == "sum"]
        wanted = [t for t in (*self.carries, *self.slices, *self.around) if t.requires_grad]
        before = age_of(leaf(np.zeros(())))
        with enable_grad():
            ends = pull_back([r for r in roots if r[0].requires_grad], wanted, beyond=False)
            found = {age_of(t): _as_tensor(d) for t, d in ends}
            parts = [
                [found.get(age_of(t), _zeros(t)) for t in group if t.requires_grad]
                for group in (self.carries, self.slices, self.around)
            ]
            kept = self._residuals([t for part in parts for t in part], before)
            first = [given.get(("carry", k), _zeros(self.carries[k])) for k in moving]
            sliced = [given["stack", k] for k in stacks]
            sliced += [self._stack(t, loop, inputs) for t in kept]
            back = Loop(
                self.steps, not self.reverse, self.start, carries, slices + kept,
                (parts[0], parts[1], parts[2]),
            )  # fmt: skip
            back.forward = self
            node = back.node([*first, *sliced])
            return self._in_order(back, node)

    def _in_order(self, back: Loop, node: Tensor) -> list[Any]:
        """List the gradients in the order of the operands; None where there is none."""
        found: list[Any] = []
        kinds = "carry", "stack", "sum"
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
        found[key] = found[key] + gradient if key in found else _as_tensor(gradient)
    return sorted(found.items())


def _zeros(like: Tensor) -> Tensor:
    return leaf(np.zeros(like.shape, like.dtype))


def _as_tensor(a: Any) -> Tensor:
    """Let an array be a Tensor, which tells a trace that it was read."""
    if isinstance(a, Tensor):
        return a
    made = leaf(np.array(a))  # a copy: whether others hold the array is told by who refers to it
    record(made, STOP_GRADIENT, (a,), (made._data,), {})
    return made


def _kept(
    step: _Step, carry: list[Any], rows: Sequence[Any], steps: int, reverse: bool
) -> tuple[list[Any], list[Any]]:
    """Run one step, and keep the loop over all as one op."""
    trace = is_tracing()
    assert trace is not None
    writes = len(trace.writes)
    start = age_of(leaf(np.zeros(())))
    carries = [_stand_in(values_of(c)) for c in carry]
    slices = [_stand_in(values_of(x)[0]) for x in rows]
    new, ys = step(carries, slices)
    if len(trace.writes) > writes:
        trace.refusal = CannotCompileError(
            "a step of scan sets a buffer, as the running mean of a batch norm, which a program "
            "does not do in a loop; keep it in the carry"
        )
        raise trace.refusal
    carried = list(map(_as_tensor, new))
    stacked = [_as_tensor(_as_array(y, "y")) for y in ys if y is not None]
    loop = Loop(steps, reverse, start, carries, slices, (carried, stacked, []))
    node = loop.node([*carry, *rows])
    last = [loop.pick(node, ("carry", k)) for k in range(len(carried))]
    found = iter([loop.pick(node, ("stack", k)) for k in range(len(stacked))])
    return last, [None if y is None else next(found) for y in ys]
