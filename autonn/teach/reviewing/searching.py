"""The search for the wrong line: repairs are tried until all gradients come out right.

What a line computed and is known to be right is not suspected, unless by a factor alone. Of
several repairs the smallest is believed, and of equals the earliest.
"""

from __future__ import annotations

import ast
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from autonn.engine.tensor import Array
from autonn.teach.reviewing.atoms import atoms_of, callees_of, counted
from autonn.teach.reviewing.causes import told_apart
from autonn.teach.reviewing.edits import Edit, Slots, Surroundings
from autonn.teach.reviewing.expression_edits import (
    factor_edits,
    flow_edits,
    form_edits,
    other_edits,
    simple_edits,
)
from autonn.teach.reviewing.judging import Judgement, Program
from autonn.teach.reviewing.larger_edits import (
    Helpers,
    bias_edits,
    factor_slope_edits,
    moves,
    placed_edits,
    slope_edits,
    step_edits,
    term_edits,
)
from autonn.teach.reviewing.matching import Entry, Match, Pool
from autonn.teach.reviewing.programs import HOOKS
from autonn.teach.reviewing.watching import Event, Hooks, Line

__all__ = ["Finding", "Search"]


@dataclass
class Finding:
    """A line and what repairs it: a change of its text, or another value after it."""

    line: Line
    cost: float
    cause: str
    expected: str
    edit: Edit | None = None
    entry: Entry | None = None


class TooLong(Exception):
    """A changed program does not come to an end."""


class _Running(Helpers):
    """What a changed program may call; its loops and functions ask whether it takes too long."""

    def __init__(self, seconds: float) -> None:
        self.end = time.thread_time() + seconds

    def tick(self) -> None:
        """Go on, or raise."""
        if time.thread_time() > self.end:
            raise TooLong


class Search:
    """Tries repairs of a program whose gradients are wrong, for a limited time."""

    def __init__(
        self, judgement: Judgement, program: Program, pool: Pool, sizes: dict[int, str],
        seconds: float,
    ) -> None:  # fmt: skip
        self.judgement, self.program, self.pool, self.sizes = judgement, program, pool, sizes
        self.end = time.thread_time() + seconds
        self.slots = _slots(program)
        self.tried = 0
        start = time.thread_time()
        judgement.call.run()
        self.patience = 10 * (time.thread_time() - start) + 0.01
        self.matches = {line.number: _matches(self, line) for line in program.lines}
        self.found: list[Finding] = []
        self.order: dict[int, int] = {}
        self.passing: dict[int, bool] = {}
        self.surroundings: dict[int, Surroundings] = {}

    # ---- which lines

    def suspects(self) -> list[Line]:
        """List the lines that the cost does not depend on, in the order in which they first ran."""
        first: dict[int, int] = {}
        wrong: dict[int, int] = {}  # when it first computed what is no derived value
        for k, event in enumerate(self.judgement.events):
            first.setdefault(event.line.number, k)
            if event.line.number not in wrong and not self._is_found(event):
                wrong[event.line.number] = k
        self._count_loops(first)
        lines = [line for line in self.program.lines if line.number in first]

        def turn(line: Line) -> int:
            """Take a copy of what is right in its turn: a step may be left out after it."""
            at = first[line.number]
            return at if self._is_copy(line) else wrong.get(line.number, at)

        lines.sort(key=turn)
        forward = self._forward() if self.judgement.cost_is_right else set()
        return [line for line in lines if line.number not in forward]

    def _forward(self) -> set[int]:
        """Return the lines that the cost is computed by."""
        inside = {id(node) for node in self.judgement.derivation.nodes}
        return {
            event.line.number
            for event in self.judgement.events
            if event.nodes and all(id(node) in inside for node in event.nodes)
            and not self._is_copy(event.line)
        }  # fmt: skip

    def _count_loops(self, first: dict[int, int]) -> None:
        """Say of loops, too, when they first ran: with the first of the lines inside."""
        for line in self.program.lines:
            if isinstance(line.statement, ast.For):
                inside_it = {getattr(n, "number", None) for n in ast.walk(line.statement)}
                runs = [k for number, k in first.items() if number in inside_it]
                if runs:
                    first[line.number] = min(runs)
                    line.env = self.judgement.events[min(runs)].line.env

    def _is_found(self, event: Event) -> bool:
        """Whether what a line computed at one time are derived values."""
        if isinstance(event.line.statement, ast.AugAssign) and event.line.loops:
            return True
        return all(self.pool.find(value) is not None for value in event.values)

    def is_known(self, line: Line) -> bool:
        """Whether all that a line computed are derived values, up to m or 1/m."""
        found = self.matches[line.number]
        m = self.pool.examples or 1
        clean = (1.0, float(m), 1.0 / m)
        return bool(found) and all(
            f is not None and any(abs(f.factor / c - 1) < 1e-6 for c in clean) for f in found
        )

    def _doubt(self, line: Line, edit: Edit) -> float:
        """Say how unlikely a line is, for what it computed: what is exactly right is no mistake.

        A factor m runs through a program whose deltas are sums, and ends where a gradient does.
        """
        if self._is_copy(line):
            return self._doubt_of_copy(line, edit)
        if edit.times and self._passes_on(line):
            return 0.4
        if edit.scales and self._is_partly_known(line) and self._was_right_before(line):
            return -0.05
        if 1 <= edit.cost < 1.2 and self._is_sure(line):  # slopes; terms come from 1.2 on
            return 0.03
        if not self.is_known(line) or edit.cost >= 1 or edit.flows:
            return 0.0
        return self._doubt_of_known(line, edit)

    def _doubt_of_copy(self, line: Line, edit: Edit) -> float:
        """Say it of a line that copies what another computed."""
        if edit.times and (not edit.late or isinstance(line.statement.value, ast.Call)):
            return 0.4
        if isinstance(line.statement.value, ast.Call):
            return -0.1
        return 0.4 if isinstance(line.statement.targets[0], ast.Subscript) else -0.1

    def _doubt_of_known(self, line: Line, edit: Edit) -> float:
        """Say it of a line whose values are derived values, but for a factor."""
        if not self._is_sure(line):
            returned = isinstance(line.statement, ast.Return) and self._is_gradient(line)
            return 0.0 if returned and edit.scales else 0.6
        found = self.matches[line.number]
        if all(f is not None and abs(f.factor - 1) < 1e-6 for f in found):
            return 3.0
        if any(f is not None and f.entry.kind == "gradient" for f in found):
            return 0.0
        if not edit.scales:
            return 3.0
        return -0.05 if self._was_right_before(line) else 0.5

    def _is_partly_known(self, line: Line) -> bool:
        """Whether a line computed slopes of J at some times, and at others what nothing needs."""
        found = [f for f in self.matches[line.number] if f is not None]
        return 1 < len(found) < len(self.matches[line.number])

    def _was_right_before(self, line: Line) -> bool:
        """Whether a slope of J was computed before a line, with no factor: it came in there."""
        for number, place in self.order.items():
            found = self.matches[number]
            if place < self.order[line.number] and found:
                slopes = (f for f in found if f is not None and f.entry.kind in ("slope", "sent"))
                if any(abs(f.factor - 1) < 1e-6 for f in slopes):
                    return True
        return False

    def _is_copy(self, line: Line) -> bool:
        """Whether a line gives what another gave before, to be changed after it."""
        value = getattr(line.statement, "value", None)
        if isinstance(value, ast.Call):
            name = value.func.attr if isinstance(value.func, ast.Attribute) else ""
            return name in ("copy", "array", "asarray", "deepcopy")
        return isinstance(value, ast.Name) and isinstance(line.statement, ast.Assign)

    def _passes_on(self, line: Line) -> bool:
        """Whether a line gives only what a function of the learner's has just returned."""
        if line.number not in self.passing:
            events = self.judgement.events
            at = next((k for k, e in enumerate(events) if e.line is line), 0)
            before, now = events[at - 1], events[at]
            self.passing[line.number] = (
                isinstance(getattr(line.statement, "value", None), ast.Call)
                and isinstance(before.line.statement, ast.Return)
                and before.line.part is not line.part
                and len(before.values) == len(now.values) > 0
                and all(map(np.array_equal, before.values, now.values))
            )
        return self.passing[line.number]

    # ---- the search

    def run(self) -> Finding | None:
        """Find the best repair; None where none was found in time."""
        lines = self.suspects()
        self.order = {line.number: k for k, line in enumerate(lines)}
        computing = [line for line in lines if self._computes(line)]
        counting = [line for line in lines if not self._computes(line)]
        sure = [line for line in computing if self._is_sure(line)]
        open_ones = [line for line in computing if line not in sure]
        self._try_kinds(lines, moves)
        self._try_kinds(computing, flow_edits, factor_edits)
        for part in _returns_last(open_ones):
            self._try_kinds(part, simple_edits)
        self._try_kinds(counting, form_edits)
        self._try_kinds(computing, placed_edits)
        if self._least() > 2:
            self._try_larger(lines, computing)
        if self._least() > 2:
            self._try_kinds(open_ones, other_edits)
        if not self.found:
            self._try_kinds(sure, simple_edits, other_edits)
        return self.best()

    def _try_larger(self, lines: list[Line], computing: list[Line]) -> None:
        """Put right values in, and try the larger changes first up to where these help."""
        self._try_values(lines)
        proved = [self.order[f.line.number] for f in self.found]
        last = min(proved, default=len(lines))
        early = [line for line in computing if self.order[line.number] <= last]
        for kind in (bias_edits, factor_slope_edits, term_edits, slope_edits, step_edits):
            self._try_kinds(early, kind)
            if self._least() > 2:
                self._try_kinds([line for line in computing if line not in early], kind)
            if self._least() < 2:
                break

    def _computes(self, line: Line) -> bool:
        """Whether a line gives numbers, not counts nor the zeros that a sum starts from."""
        events = [e for e in self.judgement.events if e.line is line]
        return any(value.any() for e in events for value in e.values)

    def _least(self) -> float:
        return min((f.cost for f in self.found), default=9.0)

    def _is_sure(self, line: Line) -> bool:
        """Whether a line computed what is right, and is no copy that was to be changed.

        A value of the forward pass may stand where its slope should.
        """
        slopes = all(f is not None and f.entry.kind != "value" for f in self.matches[line.number])
        return self.is_known(line) and slopes and not self._is_copy(line)

    def _try_kinds(self, lines: list[Line], *kinds: Any) -> None:
        """Try the changes of some kinds on some lines."""
        for kind in kinds:
            for line in lines:
                self._try_all(line, kind(self._around(line)))

    def best(self) -> Finding | None:
        """Return the smallest repair, of equals the earliest."""

        def key(f: Finding) -> tuple[float, int]:
            """Where a mean is missing, it is where the sum is taken: late."""
            late = f.edit is not None and f.edit.late and not self._came_in(f.line)
            return round(f.cost, 3), self.order[f.line.number] * (-1 if late else 1)

        return min(self.found, key=key, default=None)

    def _came_in(self, line: Line) -> bool:
        """Whether a factor came in at a line or after one that was right: the first has it."""
        return not self._is_gradient(line) and self._was_right_before(line)

    def _is_gradient(self, line: Line) -> bool:
        found = self.matches[line.number]
        return any(f is not None and f.entry.kind == "gradient" for f in found)

    def _around(self, line: Line) -> Surroundings:
        """Collect what a line could have been made of."""
        if line.number not in self.surroundings:
            atoms = atoms_of(line)
            self.surroundings[line.number] = Surroundings(
                line, self.slots, atoms, callees_of(line.part, self.program.parts, line),
                self.sizes | counted(atoms, line), self.program.parts,
            )  # fmt: skip
        return self.surroundings[line.number]

    def _try_all(self, line: Line, edits: Iterator[Edit]) -> None:
        """Try the changes of a line, until one repairs or the time is over."""
        for edit in edits:
            if time.thread_time() > self.end:
                return
            cost = edit.cost + self._doubt(line, edit)
            if cost > self._least() or (cost == self._least() and not edit.late):
                earlier = self.best()
                if cost > self._least() or (
                    earlier and self.order[earlier.line.number] <= self.order[line.number]
                ):
                    continue
            text = self._tried(line, edit)
            if text is not None:
                self.found.append(Finding(line, cost, edit.cause, text, edit))

    def _tried(self, line: Line, edit: Edit) -> str | None:
        """Run the program with one change; return the changed line if all comes out right."""
        self.tried += 1
        statement = line.statement
        slot = self.slots[id(statement)]
        undo = edit.do()
        try:
            code = line.part.compiled()
            if code is None:
                return None
            result = self.judgement.call.run({line.part: code}, _Running(self.patience))
            if not self.judgement.met_by(result):
                return None
            body = getattr(slot[0], slot[1])
            elsewhere = slot[2] is None or slot[2] >= len(body)
            return _shown(statement if elsewhere or statement in body else body[slot[2]])
        except Exception:
            return None
        finally:
            undo()

    # ---- another value in place of what a line computed

    def _try_values(self, lines: list[Line]) -> None:
        """Put derived values in the place of what lines computed, the earliest first."""
        for line in lines:
            events = [e for e in self.judgement.events if e.line is line and len(e.values) == 1]
            if not events or self._is_sure(line) or not self._computes(line):
                continue
            last, value = len(events) - 1, events[-1].values[0]
            for entry in list(self.pool.of_shape(value.shape))[:12]:
                for factor in self._scales():
                    if time.thread_time() > self.end + 0.5:
                        return
                    if self._repairs(line, last, entry.value * factor):
                        times = "" if factor == 1 else f"{factor:g} * "
                        self.found.append(
                            Finding(line, 4.0, self._told(line, value, entry.value * factor),
                                    f"{line.target} = {times}{entry.label}", None, entry)
                        )  # fmt: skip
                        break

    def _told(self, line: Line, wrong: Array, right: Array) -> str:
        return told_apart(line.target, wrong, right, self.pool, self._around(line).atoms)

    def _scales(self) -> list[float]:
        m = self.pool.examples
        return [1.0, float(m), 1.0 / m] if m else [1.0]

    def _repairs(self, line: Line, which: int, value: Array) -> bool:
        """Whether all comes out right with another value after a run of a line."""
        hooks = Hooks(self.program.lines, record=False)

        def replaced(given: Any, count: int) -> Any:
            """Put the value there, at its time."""
            if count != which:
                return given
            if isinstance(given, np.ndarray):
                given[...] = value
                return given
            return value

        hooks.replace[line.number] = replaced
        try:
            return self.judgement.met_by(self.judgement.call.run(self.program.watched, hooks))
        except Exception:
            return False


def _matches(search: Search, line: Line) -> list[Match | None]:
    """Find what each value that a line computed is, of the first runs of it."""
    events = [e for e in search.judgement.events if e.line is line]
    if isinstance(line.statement, ast.AugAssign) and line.loops:
        events = events[-1:]  # of a sum that is added up, the last is the sum
    events = events[:12] + events[-4:] if len(events) > 16 else events
    return [search.pool.find(value) for e in events for value in e.values]


def _slots(program: Program) -> Slots:
    """Say of each node of the learner's functions where it hangs; count the rounds of loops."""
    slots: Slots = {}
    tops = {id(part.top): part.top for part in program.parts}
    for top in tops.values():
        for node in list(ast.walk(top)):
            if isinstance(node, ast.For | ast.While | ast.FunctionDef):
                tick = ast.parse(f"{HOOKS}.tick()").body[0]
                node.body.insert(0, _located(tick, node))
        for parent in ast.walk(top):
            for name, value in ast.iter_fields(parent):
                if isinstance(value, list):
                    for k, child in enumerate(value):
                        if isinstance(child, ast.AST):
                            slots[id(child)] = (parent, name, k)
                elif isinstance(value, ast.AST):
                    slots[id(value)] = (parent, name, None)
    return slots


def _located(new: ast.stmt, at: ast.AST) -> ast.stmt:
    for node in ast.walk(new):
        ast.copy_location(node, at)
    return new


def _shown(statement: ast.AST) -> str:
    """Write a changed statement for a reader."""
    text = ast.unparse(statement).splitlines()[0]
    return text.replace(f"{HOOKS}.", "")


def _returns_last(lines: list[Line]) -> tuple[list[Line], list[Line]]:
    """Part lines that return from those before: what is returned wrongly was wrong before."""
    returns = [line for line in lines if isinstance(line.statement, ast.Return)]
    return [line for line in lines if line not in returns], returns
