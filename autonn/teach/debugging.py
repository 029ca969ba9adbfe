"""`debug`: where a NaN or an inf was born, on the way forward and on the way back.

An op that gives a number that is not finite, of operands that are, is its birthplace. What is born
is followed from result to result, and is an error only where it arrives: in what a backward pass
begins with, in a gradient, or in what is left at the end. What is thrown away on the way, as the
branch of a ``where`` that is not taken, is no fault.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy import ndarray

from autonn.engine import ops
from autonn.engine.lineage import (
    age_of,
    attributes_of,
    op_of,
    operands_of,
    place_of,
    saved_values,
)
from autonn.engine.lines import shown_line, source_of
from autonn.engine.modes import Notes, Place, is_recording, recording
from autonn.engine.op import Op, elementwise
from autonn.engine.tensor import Array, Tensor, values_of
from autonn.nn.addresses import address_of

__all__ = ["NonFiniteError", "debug"]

Index = tuple[int, ...]


class NonFiniteError(FloatingPointError):
    """A NaN or an inf, and where it was born.

    Attributes
    ----------
    op
        The name of the op; "" where it was given from outside.
    layer
        The path and the module, as "model.1 Layer(25, 10)"; "" outside any.
    line
        The user's line, as "file.py:12", or "cell In[3], line 2" of a notebook.
    index
        The first place where it is.
    values
        The numbers of the operands there, by their letters; of an op that mixes its numbers, their
        range.
    back
        Whether it was born on the way back, in the gradient of what the op was given.
    branch
        "x" or "y", where it was born in the branch of a ``where`` that is not taken there.

    Examples
    --------
    >>> import numpy as np
    >>> from autonn import Tensor
    >>> try:
    ...     with debug():
    ...         y = np.log(Tensor([1.0, 0.0]))
    ... except NonFiniteError as error:
    ...     print(error.op, error.index, error.values)
    log (1,) {'x': 0.0}
    """

    def __init__(self, message: str, birth: _Birth | None = None) -> None:
        super().__init__(message)
        if birth is None:
            return  # it is unpickled, and given its attributes next
        self.op, self.layer, self.line = birth.op, birth.layer, shown_line(birth.line)
        self.index, self.values = birth.index, birth.values
        self.back, self.branch = birth.back, birth.branch


@dataclass
class _Birth:
    """Where a number that is not finite came from."""

    op: str
    number: float
    index: Index
    shape: Index
    formula: str = ""
    layer: str = ""
    line: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    given: str = ""  # how an operand is called that was not finite already
    back: bool = False
    branch: str = ""
    where: str = ""  # the line of the `where` whose branch it is
    then: str = ""  # what made NaN of an inf
    told: bool = False  # whether an error said so already, which was caught since

    def message(self) -> str:
        """Say what happened, where, and with which numbers."""
        place = f" at {list(self.index)}" if self.index else ""
        of = f" of shape {self.shape}" if self.shape else ""
        lines = [f"{self.subject()} {self.number}{place}{of}"]
        if self.layer:
            lines.append(f"in {self.layer}")
        if self.line:
            shown, source = shown_line(self.line), source_of(self.line)
            line = f"line {shown}" if shown == self.line else f"in {shown}"
            lines.append(f"{line}: {source}" if source else line)
        if self.formula:
            lines.append(f"formula {self.formula}")
        if self.values:
            lines.append(f"there {', '.join(f'{k} = {v}' for k, v in self.values.items())}")
        lines += [line for line in (self.then, self.cure()) if line]
        return "\n  ".join(lines)

    def subject(self) -> str:
        """Say which op did it, which way."""
        if self.given:
            return f"{self.given}, given to {self.op}, is"
        if self.back:
            return f"on the way back, the rule of {self.op} gave a gradient of"
        return f"{self.op} gave"

    def cure(self) -> str:
        """Say what to do, where that is known."""
        if not self.branch:
            return ""
        return (
            f"It is in branch {self.branch} of the where at {shown_line(self.where)}, which is not "
            "taken there: its gradient is 0, and 0 times inf is NaN. Choose before, too: "
            "np.where(c, f(np.where(c, x, 1)), 0)"
        )


class _Watch(Notes):
    """Looks at each result and each gradient, and follows what is not finite."""

    __slots__ = ("births", "left", "refs", "rule_of")

    def __init__(self) -> None:
        super().__init__()
        self.births: dict[int, _Birth] = {}  # by the age of results that are not finite, alive
        self.refs: dict[int, Any] = {}
        self.left: dict[int, _Birth] = {}  # of those that no op has taken yet
        self.rule_of: Tensor | None = None  # whose rules are under way

    def within(self, recording: bool) -> Notes:
        """Go on looking within `no_grad`, where nothing is recorded."""
        return self if recording else _Quiet(self)

    def running(self) -> bool:
        """Let compiled functions run as they are."""
        return True

    # ---- forward

    def made(self, result: Any, op: Any, args: Any, values: Any) -> None:
        """Look at a result."""
        if self.rule_of is not None:  # a step of a rule is told by whose rule it is
            result._place = place_of(self.rule_of)
            return
        super().made(result, op, args, values)
        for a in args:
            if type(a) is Tensor:
                self.left.pop(age_of(a), None)
        wrong = _wrong(values_of(result))
        if wrong is None:
            return
        birth = self.inherited(args, values_of(result)[wrong], op)
        birth = birth or self.born(result, op, args, values)
        age = age_of(result)
        self.births[age] = self.left[age] = birth
        self.refs[age] = weakref.ref(result, lambda _: self.forget(age))
        while len(self.left) > 64:  # of a long training that throws them away
            del self.left[next(iter(self.left))]

    def forget(self, age: int) -> None:
        """Drop what is known of a result that is gone."""
        self.births.pop(age, None)
        self.refs.pop(age, None)

    def inherited(self, args: Any, number: Any, op: Op) -> _Birth | None:
        """Return the birth of what an operand brought along, if one did.

        An inf that was given, as for a mask, may be meant: only the NaN that comes of it is born.
        """
        for a in args:
            birth = self.births.get(age_of(a)) if type(a) is Tensor else None
            if birth is None or (birth.given and np.isinf(birth.number) and np.isnan(number)):
                continue
            if np.isinf(birth.number) and np.isnan(number) and not birth.then:
                birth.then = f"of which {op.name} made nan"
            return birth
        return None

    def born(self, result: Any, op: Op, args: Any, values: Any) -> _Birth:
        """Note the birth of a number: in this op, or before, in what it was given."""
        z, place = values_of(result), place_of(result)
        index = _wrong(z)
        assert index is not None
        layer, line = _where(place)
        makes_nan = np.isnan(z[index])
        for k, value in enumerate(values[: len(args)]):
            bad = _wrong(value)
            if bad is not None and not (makes_nan and np.isinf(np.asarray(value)[bad])):
                given = np.asarray(value)
                name = _name_of(args[k], place) or f"operand {_letters(op)[k]}"
                return _Birth(
                    op.name, float(given[bad]), bad, given.shape, "", layer, line, {}, name
                )
        there = _there(op, values[: len(args)], index, z.shape)
        return _Birth(op.name, float(z[index]), index, z.shape, op.formula, layer, line, there)

    # ---- back

    def passing(self, pull: Callable[..., Any]) -> Callable[..., Any]:
        """Look at each gradient of a pass."""
        first, untaken = [True], _Branches()

        def looked(tensor: Tensor, *rest: Any) -> Any:
            if first[0] and age_of(tensor) in self.births:
                raise _error(self.births[age_of(tensor)])
            first[0] = False
            before = self.rule_of
            self.rule_of = None if "again" in attributes_of(tensor) else tensor
            try:
                result = pull(tensor, *rest)
            finally:
                self.rule_of = before
            untaken.follow(tensor)
            if len(rest) == 2:  # (k, g) of the pass on Tensors
                _look_back(tensor, rest[1], result, untaken)
            else:
                _look_at_pending(tensor, rest, untaken)
            return result

        return looked

    def finish(self) -> None:
        """Raise for what is left at the end, if anything is."""
        for birth in self.left.values():
            if not (birth.told or (birth.given and np.isinf(birth.number))):
                raise _error(birth)


def _look_at_pending(tensor: Tensor, rest: Sequence[Any], untaken: _Branches) -> None:
    """Look at the gradients that an op's rules have just added to those that wait."""
    _, args, g, pending, _ = rest
    for a in args:
        if type(a) is Tensor and age_of(a) in pending.ends:
            _look_back(tensor, g, pending.ends[age_of(a)][1], untaken)


def _look_back(tensor: Tensor, g: Any, gradient: Any, untaken: _Branches) -> None:
    """Raise where a gradient is not finite that a rule gave of another that is."""
    found = values_of(gradient) if gradient is not None else None
    index = None if found is None else _wrong(found)
    op = op_of(tensor)
    if found is None or index is None or op is None:
        return
    given = saved_values(tensor)[: len(operands_of(tensor))]
    there = {"g": g, "z": values_of(tensor)} | dict(zip(_letters(op), given, strict=False))
    shape = np.shape(found)
    numbers = {name: _at(value, index, shape, op) for name, value in there.items()}
    layer, line = _where(place_of(tensor))
    birth = _Birth(
        op.name, float(np.asarray(found)[index]), index, shape, op.formula, layer, line,
        numbers, back=True,
    )  # fmt: skip
    birth.branch, birth.where = untaken.at(tensor, index, shape)
    raise _error(birth)


class _Branches:
    """Which results of a pass lead to a branch of a ``where``, and where it is not taken."""

    def __init__(self) -> None:
        # By age: the branch, the line, and a mask of where it is not taken, if the shape is known.
        self.known: dict[int, tuple[str, str, Array | None]] = {}

    def follow(self, tensor: Tensor) -> None:
        """Note what an op was given, if it is a ``where`` or leads to one."""
        op, args = op_of(tensor), operands_of(tensor)
        if op is ops.where.op:
            taken = np.broadcast_to(np.asarray(saved_values(tensor)[0], bool), tensor.shape)
            _, line = _where(place_of(tensor))
            for k, letter, untaken in ((1, "x", ~taken), (2, "y", taken)):
                self.note(args[k], letter, line, untaken)
        elif age_of(tensor) in self.known:
            for a in args:
                self.note(a, *self.known[age_of(tensor)])

    def note(self, a: Any, letter: str, line: str, mask: Array | None) -> None:
        """Note an operand, once; a mask of another shape says nothing of it."""
        if type(a) is Tensor:
            same = mask is not None and a.shape == mask.shape
            self.known.setdefault(age_of(a), (letter, line, mask if same else None))

    def at(self, tensor: Tensor, index: Index, shape: Index) -> tuple[str, str]:
        """Return the branch and the line of a place where it is not taken; "" where it is."""
        branch, line, mask = self.known.get(age_of(tensor), ("", "", None))
        if mask is not None and not (mask.shape == shape and mask[index]):
            return "", ""
        return branch, line


class _Quiet(Notes):
    """The same within `no_grad`: it looks, and nothing is recorded."""

    __slots__ = ("watch",)

    def __init__(self, watch: _Watch) -> None:
        self.watch, self.modules = watch, watch.modules

    def __bool__(self) -> bool:
        return False

    def within(self, recording: bool) -> Notes:
        """Record again, or go on as it is."""
        return self.watch if recording else self

    def running(self) -> bool:
        """Let compiled functions run as they are."""
        return True

    def made(self, result: Any, op: Any, args: Any, values: Any) -> None:
        """Look at a result."""
        self.watch.made(result, op, args, values)

    def passing(self, pull: Callable[..., Any]) -> Callable[..., Any]:
        """Look at each gradient of a pass."""
        return self.watch.passing(pull)


@contextmanager
def debug() -> Iterator[None]:
    """Within it, a NaN or an inf is an error that says where it was born.

    It names the op, the layer, the user's line, the index and the operands' numbers there; on the
    way back, too, where it says so if it comes from the branch of a ``where`` that is not taken.
    Compiled functions run as they are meanwhile, `fit` too. A step of a small network takes three
    times as long as uncompiled; outside, nothing is looked at.

    Raises
    ------
    NonFiniteError
        A FloatingPointError: when a backward pass begins with such a number, when a gradient is
        one, and at the end for what is left. What is thrown away, masked out, or was raised and
        caught within, is none.

    Examples
    --------
    >>> with debug():
    ...     x = Tensor([4.0, 0.0], requires_grad=True)
    ...     np.sum(np.log(x)).backward()
    Traceback (most recent call last):
    autonn.teach.debugging.NonFiniteError: log gave -inf at [1] of shape (2,)
      ...
      formula z = ln x
      there x = 0.0
    """
    watch = _Watch()
    outer = is_recording()
    token = recording.set(watch if outer else _Quiet(watch))
    try:
        with np.errstate(all="ignore"):
            yield
    except NonFiniteError:
        raise
    except Exception as error:
        for birth in [birth for birth in watch.left.values() if not birth.told][:1]:
            error.add_note(f"debug: before this, {birth.message()}")
        raise
    finally:
        recording.reset(token)
        watch.refs.clear()  # they hold the watch
    watch.finish()


# ---- numbers


def _error(birth: _Birth) -> NonFiniteError:
    birth.told = True
    return NonFiniteError(birth.message(), birth)


def _wrong(value: Any) -> Index | None:
    """Return the first place of a number that is not finite; None where all are.

    >>> _wrong(np.array([[0.0, np.nan]])), _wrong(np.inf), _wrong(np.arange(3))
    ((0, 1), (), None)
    """
    a = np.asarray(value) if isinstance(value, ndarray | np.generic | float) else None
    if a is None or a.dtype.kind not in "fc":
        return None
    finite = np.isfinite(a)
    if finite.all():
        return None
    return tuple(int(i) for i in np.unravel_index(int(np.argmin(finite)), a.shape))


def _letters(op: Op) -> list[str]:
    """Return the letters of the operands in an op's formula, as its rules call them."""
    for rule in op.rules:
        code = getattr(rule, "__code__", None)
        if code is not None and not op.variadic and code.co_argcount > 2:
            return [*code.co_varnames[2 : code.co_argcount], *"xyzw"]
    return [f"x_{k}" for k in range(64)] if op.variadic else [*"xyzw"]


def _there(op: Op, values: Sequence[Any], index: Index, shape: Index) -> dict[str, Any]:
    """Return the operands' numbers at a place, by letter."""
    pairs = zip(_letters(op), values, strict=False)
    return {letter: _at(value, index, shape, op) for letter, value in pairs}


def _at(value: Any, index: Index, shape: Index, op: Op) -> Any:
    """Return a number of an operand; of an op that mixes its numbers, their range."""
    a = np.asarray(values_of(value) if isinstance(value, Tensor) else value)
    if a.dtype.kind not in "fiub":
        return value
    if not a.shape:
        return a.item()
    if op.rows is elementwise or isinstance(op.forward, np.ufunc) or a.shape == shape:
        try:
            return np.broadcast_to(a, shape)[index].item()
        except ValueError:
            pass  # it is no operand that is stretched to the result
    if not a.size:
        return f"nothing, {a.shape}"
    return f"{a.shape} from {a.min():.6g} to {a.max():.6g}"


def _where(place: Place | None) -> tuple[str, str]:
    """Return the layer and the line of a place."""
    return ("", "") if place is None else (address_of(place.modules), place.line)


def _name_of(a: Any, place: Place | None) -> str:
    """Call a parameter by its name in the model; what else is given by what it is."""
    for module in place.modules[:1] if place is not None else ():
        for name, tensor in module.named_tensors().items():
            if tensor is a:
                return f"{name} of the model"
    return ""
