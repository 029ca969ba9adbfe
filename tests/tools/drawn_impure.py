"""Random functions that read what changes, as scripts: a set-up, a function, and calls of it."""

from __future__ import annotations

import dataclasses
from string import Template
from typing import Any

import numpy as np
from tools.drawn_arguments import ARGUMENTS, ARRAYS, FLOAT_USES
from tools.drawn_ops import HOSTILE, HOSTILE_KEYS, OP_NAMES, OPS_OF_ONES_OWN, RELOADS, RESULTS
from tools.drawn_reads import NUMBERS, PLACES, READS, USES
from tools.script import Script

__all__ = ["HOSTILE_KEYS", "draw_impure", "filled", "indented", "one_of", "reading"]

Random = np.random.Generator
X = ["np.array([1.0, -2.0, 0.5])", "np.array([3.0, 0.0, -0.0])", "np.array([1, 2, 3])",
     "np.array([0.5, 1.5, 2.5], 'f4')"]  # fmt: skip


def one_of(rng: Random, options: Any) -> Any:
    """Draw one of several."""
    options = list(options)
    return options[int(rng.integers(len(options)))]


def indented(text: str) -> str:
    """Write lines as the body of a function."""
    return "".join(f"    {line}\n" for line in text.splitlines())


def _values(rng: Random) -> dict[str, str]:
    first, second = (str(n) for n in rng.choice(NUMBERS, 2, replace=False))
    if rng.random() < 0.3:  # equal, and yet not the same
        first, second = one_of(
            rng, [("1", "True"), ("1", "1.0"), ("True", "1.0"), ("0.0", "-0.0"), ("-0.0", "0.0")]
        )
    return {"v": first, "w": second}


def filled(text: str, **values: str) -> str:
    """Put values into a text."""
    return Template(text).safe_substitute(values)


def draw_impure(seed: int) -> Script:
    """Draw a script."""
    rng = np.random.default_rng(seed)
    kind = rng.random()
    if kind < 0.5:
        return _reading(rng)
    if kind < 0.65:
        return _with_arrays(rng)
    if kind < 0.8:
        return _with_arguments(rng)
    return _with_ops(rng) if kind < 0.95 else _with_texts(rng)


def _calls(rng: Random, change: str, x: str) -> list[str]:
    """Draw calls with a change between them, and one or two without."""
    again = [f"F({x})"] * int(rng.integers(1, 3))
    return [f"F({x})", *again[1:], change, *again, f"F({one_of(rng, X[:2])})"]


def _reading(rng: Random) -> Script:
    """Draw a function that reads a number from somewhere."""
    values = _values(rng)
    source, place = one_of(rng, READS), one_of(rng, PLACES)
    clock = READS[source].clock
    use = one_of(rng, USES[:2] if clock else USES)
    slopes = rng.random() < 0.25
    x = one_of(rng, X[:1] if clock else X[:2] if slopes else X)
    script = reading(source, place, "np.sum(x * $e)" if slopes else use, values)
    calls = _calls(rng, filled(READS[source].change, **values), x)
    return dataclasses.replace(script, calls=calls, slopes=slopes)


def reading(source: str, place: str, use: str, values: dict[str, str]) -> Script:
    """Make a function that reads something at a place, called before a change and after."""
    read, where = READS[source], PLACES[place]
    reads = filled(read.read, **values)
    number = filled(where.value, r=reads)
    body = f"{filled(where.inside, r=reads)}\nreturn {filled(use, e=number)}"
    setup = filled(read.setup, **values) + "\n" + filled(where.before, r=reads)
    calls = [f"F({X[0]})", filled(read.change, **values), f"F({X[0]})"]
    return Script(
        f"{setup}\ndef f(x):\n{indented(body.strip())}", calls, False,
        source, draws=read.draws, clock=read.clock,
    )  # fmt: skip


def _with_arrays(rng: Random) -> Script:
    """Draw a function that reads an array, which is written in place, or replaced."""
    setup, change, uses = one_of(rng, ARRAYS)
    use = one_of(rng, uses)
    slopes = rng.random() < 0.3
    body = f"return np.sum({use})" if slopes else f"return {use}"
    calls = _calls(rng, change, X[0])
    return Script(f"{setup}\ndef f(x):\n{indented(body)}", calls, slopes, f"array {setup} in {use}")


def _with_arguments(rng: Random) -> Script:
    """Draw a function whose second argument changes, or is equal and not the same."""
    if rng.random() < 0.4:
        use = one_of(rng, FLOAT_USES)
        numbers = [one_of(rng, ["0.5", "1.0", "2.0", "1.5", "-0.0", "0.0"]) for _ in range(4)]
        setup, arguments, kind = "", numbers, f"a float in {use}"
    else:
        name, (setup, use, arguments) = one_of(rng, ARGUMENTS.items())
        kind = f"argument: {name}"
    word = "a=" if rng.random() < 0.4 else ""
    calls = []
    for text in arguments:
        before, _, argument = text.rpartition("; ")
        calls += [before] if before else []
        calls.append(f"F({X[0]}, {word}{argument})")
    return Script(f"{setup}\ndef f(x, a):\n    return {use}\n", calls, False, kind)


def _with_ops(rng: Random) -> Script:
    """Draw a function with an op of the user's own."""
    choice = rng.random()
    slopes = rng.random() < 0.5
    name = one_of(rng, OP_NAMES)
    if choice < 0.5:
        setup, change, kind = _op_named(rng, name), "", f"op named {name}"
    elif choice < 0.75:
        kind, (setup, name, change) = one_of(rng, OPS_OF_ONES_OWN.items())
    else:
        kind, (setup, name, change) = one_of(rng, RELOADS.items())
    used = one_of(rng, [f"{name}(x)", f"{name}(x) * 2 + x", f"{name}({name}(x)) * {name}(x)"])
    body = f"return np.sum({used})" if slopes else f"return {used}"
    setup = f"{setup}\ndef f(x):\n{indented(body)}"
    return Script(setup, _calls(rng, change, X[0]), slopes, kind)


def _op_named(rng: Random, name: str) -> str:
    forward, rule = one_of(
        rng, [("x * 3.0", "g * 3.0"), ("x * x + 1.0", "g * 2.0 * x"), ("np.exp(-x)", "-g * z"),
              ("np.cumsum(x)", "np.flip(np.cumsum(np.flip(g)))")],
    )  # fmt: skip
    return f"@an.op(lambda g, z, x: {rule})\ndef {name}(x):\n    return {forward}"


def _with_texts(rng: Random) -> Script:
    """Draw a function whose name, or result, is no plain text or array."""
    name = HOSTILE if rng.random() < 0.5 else one_of(rng, HOSTILE_KEYS)
    use, kind = one_of(rng, RESULTS.items())
    if rng.random() < 0.3:
        use, kind = f"{{{name!r}: x * 2}}", "key of a result"
    after = "" if rng.random() < 0.5 else f"f.__name__ = {name!r}"
    kind += " under a hostile name" if after else ""
    setup = "class E(enum.Enum):\n    A = 1\nclass I(enum.IntEnum):\n    A = 1\n"
    setup += "P = collections.namedtuple('P', 'p q')\n"
    return Script(
        f"{setup}def f(x):\n    return {use}\n{after}\n", _calls(rng, "", X[0]), False, kind
    )
