"""Any network as sections of steps: each layer's values, and on the way back its gradients.

A value that leaves its layer has a letter: z of what has weights, a of what has none, with the
number of its layer. What is needed once is written where it is needed; what is needed again is a
step of its own, t1, t2, ...
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from autonn.engine.lineage import age_of, ancestors, attributes_of, op_of, tensors_of
from autonn.engine.tensor import Tensor, values_of
from autonn.teach.formulas import Piece, Writer, evaluate, is_close
from autonn.teach.recording import ModuleCall, Pull, Recorded, label_of
from autonn.teach.steps import Section, Step

__all__ = ["general_sections"]

_LONG = 60  # letters: a longer formula is a step of its own, if it is needed in another
_SHORT = 16  # a shorter one may stand in several, as a view of a weight


def general_sections(
    recorded: Recorded, given: dict[int, str], names: dict[str, Any]
) -> list[Section]:
    """Write all steps of a network, forward and back.

    Parameters
    ----------
    recorded
        The run.
    given
        How Tensors and arrays are called, by their ids: parameters, X, y, and of a loss that was
        computed by the caller, the caller's own variables.
    names
        What formulas are evaluated with; what they need besides is added.
    """
    return _Sections(recorded, given, names).all()


@dataclass
class _Sections:
    recorded: Recorded
    given: dict[int, str]
    names: dict[str, Any]
    called: dict[int, str] = field(default_factory=dict)  # by age: the steps
    pieces: dict[int, Piece] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)
    inner: set[int] = field(default_factory=set)  # the ages of steps on the way, and
    gradients: set[int] = field(default_factory=set)  # of what is called a gradient

    def __post_init__(self) -> None:
        self.writer = Writer(self.names, self.name)
        root = self.recorded.loss
        self.forward = [t for t in ancestors([root], tensors_of) if op_of(t) is not None]
        self.pulls: dict[int, Pull] = {}  # by the age of what a rule made
        for pull in self.recorded.pulls:
            if isinstance(pull.given, Tensor) and age_of(pull.given) > pull.when:
                self.pulls[age_of(pull.given)] = pull
        self.known = {age_of(t) for t in self.forward}
        self.call_parameters()
        named = {age_of(t): self.given.pop(id(t)) for t in self.forward if id(t) in self.given}
        self.called |= named

    def name(self, a: Any) -> str:
        """Return how something is called, "" if it has no name (yet)."""
        if isinstance(a, Tensor) and age_of(a) in self.called:
            return self.called[age_of(a)]
        return self.given.get(id(a), "")

    def all(self) -> list[Section]:
        """Write the sections, in the order in which they are computed."""
        self.call_forward()
        ends = self.call_gradients()
        needed = self.needed([self.recorded.loss, *ends])
        uses = Counter(age_of(a) for t in needed for a in self.children(t))
        sections: list[Section] = []
        places: list[Any] = []
        for t in needed:
            if self.name(t) and age_of(t) not in self.called:
                continue  # it was given
            steps = self.steps(t, uses)
            if not steps:
                continue
            place = self.place(t)
            if not places or places[-1] is not place or sections[-1].back is self.is_forward(t):
                title = self.title(place)
                sections.append(Section(title, not self.is_forward(t)))
                places.append(place)
            sections[-1].steps += steps
        self.add_aliases(sections)
        return sections

    # ---- letters

    def call_parameters(self) -> None:
        """Call what requires a gradient and has no name w1, w2, ..., and let formulas know it."""
        leaves = [t for t in ancestors([self.recorded.loss]) if op_of(t) is None]
        for t in leaves:
            if not self.name(t):
                number = next(k for k in range(1, 10**6) if self.free(f"w{k}") == f"w{k}")
                self.given[id(t)] = f"w{number}"
                self.names[f"w{number}"] = values_of(t)

    def call_forward(self) -> None:
        """Give what leaves its layer a letter with a number."""
        runs = list(self.runs())
        number = 1
        self.called[age_of(self.recorded.loss)] = "J"
        for k, (call, tensors) in enumerate(runs):
            later = [t for _, more in runs[k + 1 :] for t in more]
            leaving = self.leaving(tensors, later)
            if call is None or not leaving:
                continue
            sources = _sources(tensors)
            weighs = any(a.requires_grad and a.is_leaf for a in sources)
            before = {self.name(a) for a in sources} - {""}
            number += weighs or before != {f"z{number}"} or len(leaving) > 1  # or it bends z
            self.call_leaving(leaving, f"{'z' if weighs else 'a'}{number}")

    def leaving(self, tensors: list[Tensor], later: list[Tensor]) -> list[Tensor]:
        """List what others need of what a layer computed, and what has no name yet."""
        used = {age_of(a) for t in later for a in tensors_of(t)} | self.outputs()
        return [t for t in tensors if age_of(t) in used and age_of(t) not in self.called]

    def call_leaving(self, leaving: list[Tensor], name: str) -> None:
        """Call the last one by a name, and the others by the same with a number."""
        for j, t in enumerate(reversed(leaving)):
            if not self.name(t):
                self.called[age_of(t)] = self.free(name + f"_{j + 1}" * (j > 0))

    def outputs(self) -> set[int]:
        """Return the ages of what the model returned."""
        output = self.recorded.output
        parts = output if isinstance(output, tuple | list) else [output]
        return {age_of(t) for t in parts if isinstance(t, Tensor)}

    def free(self, name: str) -> str:
        """Return a name that nothing has."""
        taken = {*self.called.values(), *self.given.values(), *self.names}
        return name if name not in taken else self.free(f"{name}_")

    def runs(self) -> Iterator[tuple[ModuleCall | None, list[Tensor]]]:
        """Yield what was computed in a row in one call of a module."""
        last: Any = ()
        run: list[Tensor] = []
        for t in self.forward:
            call = self.recorded.call_at(age_of(t))
            if run and call is not last:
                yield last, run
                run = []
            last = call
            run.append(t)
        yield last, run

    def call_gradients(self) -> list[Tensor]:
        """Call the gradient of what has a name after it; return those gradients."""
        ends = []
        for t in ancestors([self.recorded.loss]):
            g = self.recorded.gradients.get(age_of(t))
            if g is None or not self.name(t) or t is self.recorded.loss:
                continue
            ends.append(g)
            if age_of(g) not in self.known:
                self.gradients.add(age_of(g))
                self.called.setdefault(age_of(g), self.free(f"d{self.name(t)}"))
        return ends

    # ---- formulas

    def piece(self, t: Tensor) -> Piece:
        """Find, once, how a value is written."""
        age = age_of(t)
        if age not in self.pieces:
            pull = self.pulls.get(age)
            found = self.writer.pulled(pull) if pull is not None else None
            if found is None:
                found = self.writer.piece(t) if op_of(t) else self.writer.opaque(t, "k")
            self.pieces[age] = found
        return self.pieces[age]

    def children(self, t: Tensor) -> list[Tensor]:
        """List the Tensors that a value is written with."""
        if self.name(t) and age_of(t) not in self.called:
            return []
        if op_of(t) is None:
            return []
        return [a for a in self.piece(t).children if isinstance(a, Tensor)]

    def needed(self, ends: Iterable[Tensor]) -> list[Tensor]:
        """List what the ends are written with, the oldest first."""
        return ancestors(ends, self.children)

    def steps(self, t: Tensor, uses: Counter[int]) -> list[Step]:
        """Write a value: as a step if it has a name or needs one, or else for who needs it."""
        age = age_of(t)
        if op_of(t) is None:
            is_start = age in self.called  # the 1 that a pass begins with
            return [self.start(t)] if is_start else []
        if age in self.called:
            return self.as_steps(t, inner=False)
        text = self.text(t)
        is_view = text.isascii() and len(text) <= _SHORT and "(" not in text
        if is_view or (uses[age] <= 1 and len(text) <= _LONG):
            self.texts[age] = text
            return []
        return self.promoted(t)

    def start(self, t: Tensor) -> Step:
        """Make the step of the 1 that a pass begins with, where it is the gradient of something."""
        return Step(self.called[age_of(t)], "np.ones(())", values_of(t), is_gradient=True)

    def promoted(self, t: Tensor) -> list[Step]:
        """Write a value on the way as a step of its own."""
        self.texts.pop(age_of(t), None)
        self.inner.add(age_of(t))
        self.called[age_of(t)] = self.free(f"t{len(self.inner)}")
        return self.as_steps(t, inner=True)

    def as_steps(self, t: Tensor, inner: bool) -> list[Step]:
        """Make the step of a value, and let formulas know its numbers.

        Each call was tried on the engine's numbers. Where a formula of several does not give them,
        because roundings on the way are all that is left of a difference, these are steps too.
        """
        name, value, text = self.called[age_of(t)], values_of(t), self.text(t)
        before: list[Step] = []
        if not is_close(evaluate(text, self.names), value):
            for a in self.piece(t).children:
                if isinstance(a, Tensor) and age_of(a) in self.texts:
                    before += self.promoted(a)
            text = self.text(t)
        self.names[name] = value
        op = op_of(t)
        says = op.formula if op is not None and self.is_forward(t) else ""
        if "again" in attributes_of(t):  # a compiled program, or a checkpoint
            says = "computed as a whole; explain the function itself to see what is inside"
        return [*before, Step(name, text, value, says, inner, age_of(t) in self.gradients)]

    def text(self, t: Tensor) -> str:
        """Write the formula of a value, of what has a name and what was written before."""
        piece = self.piece(t)
        return piece.write([self.written(a) for a in piece.children])

    def written(self, a: Any) -> str:
        """Write an operand."""
        if isinstance(a, Tensor) and not self.name(a) and age_of(a) in self.texts:
            return self.texts[age_of(a)]
        return self.writer.operand(a)

    def add_aliases(self, sections: list[Section]) -> None:
        """Add the gradients that are the very same as another's, behind it: of a sum's parts."""
        places = {step.name: section for section in sections for step in section.steps}
        for t in reversed(ancestors([self.recorded.loss])):
            g = self.recorded.gradients.get(age_of(t))
            if g is None or self.name(t)[:1] in ("", "J") or age_of(t) in self.inner:
                continue
            name, same = f"d{self.name(t)}", self.name(g)
            if name not in places and name not in self.names and same in places:
                self.names[name] = values_of(g)
                steps = places[same].steps
                behind = 1 + next(k for k, step in enumerate(steps) if step.name == same)
                steps.insert(behind, Step(name, same, values_of(g), is_gradient=True))

    # ---- sections

    def is_forward(self, t: Tensor) -> bool:
        return age_of(t) in self.known

    def place(self, t: Tensor) -> ModuleCall | None:
        """Return the call that a value belongs to; a gradient to that whose rule gave it."""
        if self.is_forward(t):
            return self.recorded.call_at(age_of(t))
        pull = self.pulls.get(age_of(t))
        source = pull.tensor if pull is not None else self.recorded.pulled_at(age_of(t))
        return None if source is None else self.recorded.call_at(age_of(source))

    def title(self, place: ModuleCall | None) -> str:
        """Call a section after its module; what belongs to none is the loss, if there are any."""
        return label_of(place) or ("loss" if self.recorded.calls else "")


def _sources(tensors: list[Tensor]) -> list[Tensor]:
    """List what some results were computed from, beside one another."""
    inside = {age_of(t) for t in tensors}
    return [a for t in tensors for a in tensors_of(t) if age_of(a) not in inside]
