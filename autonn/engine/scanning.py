"""A loop over steps, as one call: `scan`. Where a function is compiled, the loop stays a loop.

As it is, the steps run one after the other. In a trace `f` runs once, on Tensors that stand for
what one step is given, and what it did is the body of a loop: see `looping`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from autonn.engine.errors import tied
from autonn.engine.lineage import age_of
from autonn.engine.looping import Loop, as_tensor, stand_in
from autonn.engine.modes import CannotCompileError, is_tracing
from autonn.engine.tensor import Tensor, leaf, values_of
from autonn.engine.trees import Tree, tree_form, tree_leaves, tree_unflatten

__all__ = ["scan"]


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
    trace = is_tracing()
    way = _kept if trace is not None and trace.loops else _unrolled
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
        if tree_form(carry) != self.form:
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


def _kept(
    step: _Step, carry: list[Any], rows: Sequence[Any], steps: int, reverse: bool
) -> tuple[list[Any], list[Any]]:
    """Run one step, and keep the loop over all as one op."""
    trace = is_tracing()
    assert trace is not None
    writes, calls = len(trace.writes), len(trace.raising)
    start = age_of(leaf(np.zeros(())))
    carries = [stand_in(values_of(c)) for c in carry]
    slices = [stand_in(values_of(x)[0]) for x in rows]
    new, ys = step(carries, slices)
    if len(trace.writes) > writes:
        trace.refusal = CannotCompileError(
            "a step of scan sets a buffer, as the running mean of a batch norm, which a program "
            "does not do in a loop; keep it in the carry"
        )
        raise trace.refusal
    carried = list(map(as_tensor, new))
    stacked = [as_tensor(_as_array(y, "y")) for y in ys if y is not None]
    ends = tied([*carried, *stacked], trace.raising[calls:])
    carried, stacked = ends[: len(carried)], ends[len(carried) :]
    del trace.raising[calls:]
    loop = Loop(steps, reverse, start, carries, slices, (carried, stacked, []))
    node = loop.node([*carry, *rows])
    last = [loop.pick(node, ("carry", k)) for k in range(len(carried))]
    found = iter([loop.pick(node, ("stack", k)) for k in range(len(stacked))])
    return last, [None if y is None else next(found) for y in ys]
