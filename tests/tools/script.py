"""A drawn script: run once eager and once compiled, and compared call by call."""

from __future__ import annotations

import builtins
import copy
import io
import linecache
import random
import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from tools.agreement import disagreement
from tools.program import Outcome
from tools.trials import Trial

import autonn
from autonn.engine.modes import CannotCompileError

__all__ = ["Script", "examine_script", "shortened"]

IMPORTS = """\
import array, collections, contextlib, contextvars, copy, ctypes, dataclasses, datetime, enum
import fractions, functools, itertools, json, logging, math, mmap, operator, os, random, statistics
import sys, threading, time, types, weakref
import numpy as np
import autonn as an
from autonn import optim
from math import nan
"""
MODULE = "drawn_script"
_CALLS = ("F(", "G(")


@dataclass(frozen=True)
class Script:
    """The text of a script.

    Attributes
    ----------
    setup
        Its definitions, the function f among them.
    calls
        Calls of F and statements between them, one by one.
    slopes
        Whether F is the value and gradient of f.
    kind
        What it is about.
    draws, clock
        Whether each call gives another result; whether not even a second run gives the same.
    tolerance
        How far results may be apart, of numbers about 1; 0 where rounding is as good as none.
    compiles
        Whether F is to be compiled; otherwise it reads the name COMPILED itself.
    edited
        Whether the statements between the calls belong to the kind.
    """

    setup: str
    calls: list[str]
    slopes: bool
    kind: str
    draws: bool = False
    clock: bool = False
    tolerance: float = 0.0
    compiles: bool = True
    edited: bool = False
    seed: int = 0

    @property
    def transform(self) -> str:
        """Write what is compiled."""
        if not self.compiles:
            return "F"
        return "an.value_and_grad(f)" if self.slopes else "f"

    def text(self) -> str:
        """Write it out, to be run both ways."""
        calls = [f"print({c})" if c.startswith(_CALLS) else c for c in self.calls if c]
        made = [f"F = {self.transform}", "F = an.compile(F)  # or without"]
        made = made if self.compiles else ["COMPILED = True  # or False"]
        return "\n".join([IMPORTS, self.setup, *made, *calls])

    def run(self, compiled: bool) -> list[Outcome]:
        """Run it, and return what each call gave."""
        with _module(IMPORTS + self.setup) as names:
            np.random.seed(self.seed)  # noqa: NPY002 - scripts draw from the global one too
            random.seed(self.seed)
            names["COMPILED"] = compiled
            names["F"] = eval(self.transform, names)
            if compiled and self.compiles:
                names["F"] = autonn.compile(names["F"])
            found = []
            for line in filter(None, self.calls):
                if line.startswith(_CALLS):
                    found.append(_outcome(line, names))
                else:
                    with suppress(Exception):  # an edit that is not possible now is none
                        exec(line, names)
            return found


def _outcome(line: str, names: dict[str, Any]) -> Outcome:
    """Run one call; the result is copied, as scripts write to arrays in place."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return Outcome(copy.deepcopy(eval(line, names)))
        except Exception as error:
            return Outcome(error=error)


@contextmanager
def _module(text: str) -> Iterator[dict[str, Any]]:
    """Run a text as a module whose lines can be read, and changed, as those of a file."""
    module = types.ModuleType(MODULE)
    name = f"<{MODULE}>"

    def show(text: str) -> None:
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)

    show(text)
    sys.modules[MODULE] = module
    names = vars(module)
    names["edit"] = lambda old, new: show(text.replace(old, new))
    options = np.get_printoptions()
    try:
        with redirect_stdout(io.StringIO()):
            exec(compile(text, name, "exec"), names)
            yield names
    finally:
        np.set_printoptions(**options)
        del sys.modules[MODULE], linecache.cache[name]


def shortened(script: Script, finding: str) -> Script:
    """Leave out calls and statements that a fault does not need."""
    k = 0
    while k < len(script.calls):
        fewer = replace(script, calls=script.calls[:k] + script.calls[k + 1 :])
        if _finding(_compared(fewer)) == finding:
            script = fewer
        else:
            k += 1
    return script


def _finding(trial: Trial) -> str:
    return trial.finding.split(" at ")[0]


def examine_script(script: Script, shorten: bool = True) -> Trial:
    """Run a script both ways and compare; shorten one with a fault, and name its kind."""
    trial = _compared(script)
    if trial.finding and shorten:
        short = shortened(script, _finding(trial))
        trial.text = short.text()
        edits = [line for line in short.calls if not line.startswith(_CALLS)]
        trial.kind = f"{_finding(trial)}: {script.kind}"
        if script.edited:
            trial.kind += " | " + " | ".join(edits)
    return trial


def _compared(script: Script) -> Trial:
    trial = Trial()
    wanted = script.run(False)
    got = script.run(True)
    if hasattr(builtins, "TAKEN_IN"):
        del builtins.TAKEN_IN
        trial.finding = "code in a name is run"
    for k, (a, b) in enumerate(zip(got, wanted, strict=True)):
        word = _word(trial, script, a, b, got[:k])
        if word and not trial.finding:
            trial.finding = f"{word} at call {k}"
        if a.error is not None and script.draws:
            break  # what was drawn before it was refused does not come back
    return trial


def _word(trial: Trial, script: Script, got: Outcome, want: Outcome, before: list[Outcome]) -> str:
    """Say how two outcomes differ."""
    if isinstance(got.error, CannotCompileError) or want.error is not None:
        trial.refused += 1
        return "" if got.error is not None else "accepted"
    if got.error is not None:
        return f"error {got.word}"
    trial.compared += 1
    if script.clock:  # no two calls give the same, unless a first reading is kept
        kept = [o for o in before if o.error is None and not disagreement(got.value, o.value)]
        return "the first reading is kept" if kept else ""
    return disagreement(got.value, want.value, tolerance=script.tolerance)
