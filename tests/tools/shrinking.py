"""A program of a few lines instead of a dozen, that shows the same fault."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from tools.drawn_arrays import array_text, number_text
from tools.program import NAMES, Program

__all__ = ["kind_of", "shrunk"]

TRIES = 150


def shrunk(program: Program, still: Callable[[Program], bool]) -> Program:
    """Return a smaller program of which `still` is true as it is of this one."""
    tries = TRIES
    found = True
    while found and tries > 0:
        found = False
        for smaller in _smaller(program):
            tries -= 1
            if _holds(smaller, still):
                program, found = smaller, True
                break
            if tries <= 0:
                break
    return program


def _holds(program: Program, still: Callable[[Program], bool]) -> bool:
    try:
        return still(program)
    except Exception:  # such a program is none
        return False


def _smaller(program: Program) -> Iterator[Program]:
    """List programs that are one step simpler, the greatest steps first."""
    for k in range(len(program.calls)):
        if len(program.calls) > 1:
            writes = tuple(w for j, w in enumerate(program.writes) if j != k)
            rest = tuple(c for j, c in enumerate(program.calls) if j != k)
            yield replace(program, calls=rest, writes=writes)
    yield from _simpler_results(program)
    used = [program.result, *program.lines]
    for k, line in enumerate(program.lines):
        name = line.split(" = ")[0]
        others = [u for j, u in enumerate(used) if j != k + 1]
        if not any(re.search(rf"\b{name}\b", u) for u in others):
            yield replace(program, lines=program.lines[:k] + program.lines[k + 1 :])
    yield from _without_arguments(program, used)
    yield from _cut_off(program)
    yield from _simpler_arguments(program)
    if program.transform != "f":
        yield replace(program, transform="f")


def _simpler_results(program: Program) -> Iterator[Program]:
    names = list(dict.fromkeys(re.findall(r"\b(?:[tacW]\d+|[XY])\b", program.result)))
    for name in names:
        if program.result != name and program.transform == "f":
            yield replace(program, result=name)
    terms = program.result.split(" + ")
    if program.transform != "f":
        for k in range(len(terms)):
            if len(terms) > 1:
                yield replace(program, result=" + ".join(terms[:k] + terms[k + 1 :]))
        if program.result != f"np.sum({names[0]})" and len(names) == 1:
            yield replace(program, result=f"np.sum({names[0]})")


def _without_arguments(program: Program, used: list[str]) -> Iterator[Program]:
    """Leave out arguments that nothing uses; with derivatives their numbers count, so not there."""
    for name in [*program.calls[0], *program.around]:
        if program.transform != "f" or any(re.search(rf"\b{name}\b", u) for u in used):
            continue
        if any(re.search(rf"\b{name}\b", text) for call in program.calls for text in call.values()):
            continue
        calls = tuple({n: t for n, t in call.items() if n != name} for call in program.calls)
        around = {n: t for n, t in program.around.items() if n != name}
        if calls[0]:
            yield replace(program, calls=calls, around=around)


def _cut_off(program: Program) -> Iterator[Program]:
    """Give what a line computes as an argument instead."""
    for k in reversed(range(len(program.lines))):
        name, _ = program.lines[k].split(" = ", 1)
        calls = []
        for j, call in enumerate(program.calls):
            value = _value(program, j, name)
            if value is None:
                break
            calls.append(call | {name: value})
        else:
            yield replace(
                program, calls=tuple(calls), lines=program.lines[:k] + program.lines[k + 1 :]
            )


def _value(program: Program, call: int, name: str) -> str | None:
    """Write what a name of the program stands for, in plain NumPy."""
    probe = replace(program, result=name, transform="f")
    f, names = probe.load()
    try:
        with np.errstate(all="ignore"):
            value: Any = f(*probe.arguments(call, names))
    except Exception:
        return None
    return _text(value)


def _text(value: Any) -> str | None:
    if isinstance(value, np.ndarray | np.generic):
        return array_text(np.asarray(value))
    return number_text(value) if isinstance(value, bool | int | float) else None


def _simpler_arguments(program: Program) -> Iterator[Program]:
    """Write arguments in plain layout, and with plain numbers."""
    for k, call in enumerate(program.calls):
        known: dict[str, Any] = {}
        for name, text in call.items():
            known[name] = eval(text, NAMES | known)
            for other in _plainer(known[name]):
                if other is not None and len(other) < len(text):
                    calls = list(program.calls)
                    calls[k] = call | {name: other}
                    yield replace(program, calls=tuple(calls))


def _plainer(value: Any) -> Iterator[str | None]:
    yield _text(value)
    if isinstance(value, np.ndarray) and value.size:
        yield array_text(np.ones_like(value))
        yield array_text(np.round(value))
        yield array_text(value[:1]) if value.ndim else None
        yield array_text(value[..., :1]) if value.ndim else None
        yield array_text(value[0]) if value.ndim else None


_ARRAYS = (
    "np.array",
    "np.zeros",
    "np.broadcast",
    "np.repeat",
    "np.asfor",
    "read_only",
    "a",
    "t",
    "X",
)


def kind_of(program: Program, finding: str) -> str:
    """Name the kind of a fault: how it differs, and the calls of the shrunk program."""
    calls = [line.split(" = ", 1)[1] for line in program.lines]
    plain = [re.sub(r"\b([tacW]\d+|[XY])\b", "_", call) for call in calls]
    if program.around and "call 1" in finding:
        return f"{finding} [closure]"
    plain = [re.sub(r"(?<![\w.])-?\d+(\.\d+)?(e-?\d+)?", "#", call) for call in plain]
    wrapped = "" if program.transform == "f" else " " + program.transform.split("(")[0]
    with_number = any(not text.startswith(_ARRAYS) for c in program.calls for text in c.values())
    marks = " [number]" * with_number + " [closure]" * bool(program.around)
    return f"{finding}{wrapped}{marks}: {'; '.join(plain)}"
