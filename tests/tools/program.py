"""A drawn program: text that is compiled, called several times, and compared with itself, eager."""

from __future__ import annotations

import copy
import inspect
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy import special
from tools.agreement import disagreement, leaves_of, moved
from tools.drawn_arrays import SCOPE
from tools.optable import TABLE
from tools.trials import Trial

import autonn
from autonn.engine import ops
from autonn.engine.modes import CannotCompileError
from autonn.engine.tensor import Tensor, values_of

__all__ = ["NAMES", "Outcome", "Program", "examine", "outcome"]

# Each row of the table has a name of its own: a program that named the whole table would be
# compiled only after all that its 500 rows could read was looked through.
ROWS: dict[str, Any] = {f"row{k}": row.f for k, row in enumerate(TABLE)}
NAMES: dict[str, Any] = SCOPE | {"an": autonn, "ops": ops, "special": special} | ROWS
RUNS = 6  # with rounding errors, where two results differ


_IMPORTS = {
    "an[.]": "import autonn as an",
    "np[.]": "import numpy as np",
    "inf|nan": "from numpy import inf, nan",
    "ops[.]": "from autonn.engine import ops",
    "special[.]": "from scipy import special",
    "TABLE": "from tools.optable import TABLE",
    "read_only": "from tools.drawn_arrays import read_only",
}


@dataclass(frozen=True)
class Program:
    """The text of a program.

    Attributes
    ----------
    calls
        For each call its arguments, as expressions that may name earlier ones.
    lines, result
        The body of the function f, and what it returns.
    transform
        What is compiled: ``f``, or an expression of it.
    around, writes
        Arrays that f closes over, and what is done to them before each call.
    """

    calls: tuple[dict[str, str], ...]
    lines: tuple[str, ...]
    result: str
    transform: str = "f"
    around: dict[str, str] = field(default_factory=dict)
    writes: tuple[str, ...] = ()

    def definition(self) -> str:
        """Write what is around f, and f."""
        around = [f"{name} = {value}" for name, value in self.around.items()]
        body = [f"    {line}" for line in (*self.lines, f"return {self.result}")]
        return "\n".join([*around, f"def f({', '.join(self.calls[0])}):", *body])

    def text(self) -> str:
        """Write a script that shows the calls."""
        calls = []
        for k, call in enumerate(self.calls):
            calls += [self.writes[k]] if k < len(self.writes) and self.writes[k] else []
            calls += [f"{name} = {value}" for name, value in call.items()]
            row = ", ".join(call)
            calls.append(f"print(F({row}), C({row}), sep='\\n')")
        compiled = [f"F = {self.transform}", "C = an.compile(F)"]
        numbers = sorted({int(k) for line in self.lines for k in re.findall(r"\brow(\d+)\(", line)})
        rows = [f"row{k} = TABLE[{k}].f" for k in numbers]
        body = "\n".join([*rows, self.definition(), *compiled, *calls])
        needed = [line for word, line in _IMPORTS.items() if re.search(word, body)]
        return "\n".join([*needed, body])

    def load(self, run: int | None = None) -> tuple[Callable[..., Any], dict[str, Any]]:
        """Make what is to be compiled, and return it with its names.

        With the number of a run, each value in it is moved by a rounding error.
        """
        program = self if run is None else self.shaken()
        names = NAMES | {"moved": lambda x: moved(x, run or 0)}
        exec(compile(program.definition(), "<drawn program>", "exec"), names)
        return eval(program.transform, names), names

    def shaken(self) -> Program:
        """Write it with a rounding error in each line."""
        parts = [line.split(" = ", 1) for line in self.lines]
        first = tuple(f"{name} = moved({name})" for name in self.calls[0])
        lines = tuple(f"{name} = moved({value})" for name, value in parts)
        return Program(self.calls, first + lines, self.result, self.transform, self.around)

    def arguments(self, call: int, names: Mapping[str, Any]) -> list[Any]:
        """Make the arguments of a call anew, after what is written before it."""
        scope = dict(names)
        if call < len(self.writes):
            exec(self.writes[call], scope)
        for name, value in self.calls[call].items():
            scope[name] = eval(value, scope)
        return [scope[name] for name in self.calls[call]]


@dataclass
class Outcome:
    """What came of a call: a result, or an error."""

    value: Any = None
    error: Exception | None = None

    @property
    def word(self) -> str:
        """Name the error."""
        return type(self.error).__name__


def outcome(f: Callable[..., Any], args: list[Any]) -> Outcome:
    """Call a function, in silence, and return what came of it."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return Outcome(f(*args))
        except Exception as error:
            return Outcome(error=error)


def examine(program: Program, share_rows: bool = True) -> Trial:
    """Call a program compiled and eager, and compare all there is to compare."""
    trial = Trial()
    f, names = program.load()
    compiled = autonn.compile(f, share_rows)
    kept: list[tuple[Any, Any]] = []
    for call in range(len(program.calls)):
        want = _eager(program, call)
        args = program.arguments(call, names)
        before = copy.deepcopy(args)
        got = outcome(compiled, args)
        word = _compared(trial, program, call, got, want)
        word = word or ("argument written" if not _same_bits(args, before) else "")
        if got.error is None:
            trial.shared |= "SLICES" in compiled.source
            word = word or _alone(compiled, program, args, got.value)
            if want.error is None:
                word = word or _memory(got.value, want.value, args)
            kept.append((got.value, copy.deepcopy(got.value)))
        if any(not _same_bits(*pair) for pair in kept):
            word = word or "kept result written"
        if word:
            trial.finding = f"{word}, call {min(call, 1)}"
            return trial
    return trial


def _compared(trial: Trial, program: Program, call: int, got: Outcome, want: Outcome) -> str:
    """Compare two outcomes, and count whether there was something to compare."""
    if want.error is not None:
        trial.refused += 1
        accepted = got.error is None and not _is_dead(program, call)
        return "accepted" if accepted else ""
    if isinstance(got.error, CannotCompileError) or "a compiled program of it" in str(got.error):
        trial.refused += 1  # of a complex root it can say so only when it has the numbers
        return ""
    if got.error is not None:
        trial.refused += 1
        return "" if _refuses(program, call) else f"error {got.word}"
    trial.compared += 1
    if not disagreement(got.value, want.value):
        return ""
    word = disagreement(got.value, want.value, _nearby(program, call))
    if word and _agrees_with_tensors(program, call, got):  # then compiling is not at fault
        known = word == "sign of zero" or (word == "NaN" and _multiplies_by_a_number(program))
        return "" if known else f"eager {word}"
    return word


def _multiplies_by_a_number(program: Program) -> bool:
    """Whether NumPy's `dot` is called, which leaves out what is multiplied by a single 0.

    Of 0 and NaN, or inf, it makes 0, where `multiply`, which it stands for there, makes NaN.
    """
    return any("np.dot(" in line for line in program.lines)


def _eager(program: Program, call: int) -> Outcome:
    """Call it eager on arrays; where NumPy refuses, on Tensors, which know some more."""
    f, names = program.load()
    for k in range(call):
        program.arguments(k, names)  # what is written before earlier calls
    plain = outcome(f, program.arguments(call, names))
    if plain.error is None:
        return plain
    tensors = _on_tensors(program, call)
    return plain if tensors.error is not None else Outcome(_as_arrays(tensors.value))


def _as_arrays(tree: Any) -> Any:
    """Take the Tensors in a result as arrays."""
    if isinstance(tree, dict):
        return {key: _as_arrays(branch) for key, branch in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(map(_as_arrays, tree))
    return values_of(tree)[()] if isinstance(tree, Tensor) else tree


def _is_dead(program: Program, call: int) -> bool:
    """Whether it is a line without use that is refused: compiled, such a line is left out."""
    lines: list[str] = []
    used = program.result
    for line in reversed(program.lines):
        if re.search(rf"\b{line.split(' = ')[0]}\b", used):
            lines.insert(0, line)
            used += line
    return _eager(replace(program, lines=tuple(lines)), call).error is None


def _nearby(program: Program, call: int) -> list[Any]:
    """Run it with rounding errors inside."""
    found = []
    for run in range(RUNS):
        f, names = program.load(run)
        for k in range(call):
            program.arguments(k, names)
        found.append(outcome(f, program.arguments(call, names)))
    return [o.value for o in found if o.error is None]


def _on_tensors(program: Program, call: int) -> Outcome:
    f, names = program.load()
    for k in range(call):
        program.arguments(k, names)
    args = program.arguments(call, names)
    return outcome(f, [Tensor(a) if isinstance(a, np.ndarray | np.generic) else a for a in args])


def _refuses(program: Program, call: int) -> bool:
    """Whether it is autonn's eager Tensors that refuse it."""
    return _on_tensors(program, call).error is not None


def _agrees_with_tensors(program: Program, call: int, got: Outcome) -> bool:
    """Whether eager Tensors differ from NumPy in the same way."""
    eager = _on_tensors(program, call)
    if eager.error is not None:
        return False
    pairs = zip(leaves_of(got.value), leaves_of(eager.value), strict=False)
    return not any(disagreement(values_of(a), values_of(b)) for a, b in pairs)


def _same_bits(a: Any, b: Any) -> bool:
    """Whether nothing was written to: compares the numbers, NaN included."""
    pairs = [(values_of(x), values_of(y)) for x, y in zip(leaves_of(a), leaves_of(b), strict=True)]
    return all(
        x.tobytes() == y.tobytes()
        for x, y in pairs
        if isinstance(x, np.ndarray) and isinstance(y, np.ndarray)
    )


def _alone(compiled: Any, program: Program, args: list[Any], value: Any) -> str:
    """Run the printed program by itself, where it takes only the arguments."""
    if program.around or any(isinstance(a, float | int) for a in args):
        return ""
    names: dict[str, Any] = {}
    exec(compile(compiled.source, "<source alone>", "exec"), names)
    needed = [p for p in inspect.signature(names["program"]).parameters if p != "share"]
    if len(needed) != len(args):
        return ""  # it takes what f closes over, too
    alone = outcome(names["program"], [np.asarray(values_of(a)) for a in args])
    if alone.error is not None:
        return f"source alone, error {alone.word}"
    word = disagreement(alone.value, value)
    return f"source alone, {word}" if word else ""


def _memory(got: Any, want: Any, args: list[Any]) -> str:
    """Look whether a result lies in the memory of an argument where the eager one does not."""
    arrays = [a for a in args if isinstance(a, np.ndarray)]
    for a, b in zip(leaves_of(got), leaves_of(want), strict=True):
        if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
            if any(np.shares_memory(a, x) for x in arrays) and b.flags.owndata:
                return "result shares an argument's memory"
            if b.flags.writeable and not a.flags.writeable:
                return "result is read-only"
    return ""
