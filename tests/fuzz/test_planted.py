"""A fuzzer is trusted only after it found planted errors: three for each, or more.

An error counts as found where a seed shows a fault with it, and none without it.
"""

from __future__ import annotations

import copy
import sys
import types
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
from fuzz import fits, impure, networks, programs, row_costs
from tools.drawn_impure import reading
from tools.planting import another, planted_trait
from tools.script import examine_script
from tools.trials import Trial

import autonn
from autonn.engine.op import OPS, Memory

Plant = Callable[[], AbstractContextManager[None]]
SEEDS = 400
# The first seed that shows an error, where that takes long to find; should it show it no longer,
# as programs are drawn in another way, the others are tried from the first to the last.
SHOWN_BY = {
    "some rows read taken for all": 46,
    "the largest taken for a sum": 139,
    "sums within rows taken for all": 81,
    "x * 0 taken for 0": 21,
    "a view taken for new memory": 22,
    "x + 0.5 taken for x": 135,
    "parameters of the first call": 10,
    "arguments told apart by type": 15,
}


def finds(trial: Callable[..., Trial], name: str, plant: Plant) -> bool:
    """Whether one of the seeds shows the error, and nothing without it."""
    for seed in (SHOWN_BY.get(name, 0), *range(SEEDS)):
        with plant():
            found = trial(seed, shorten=False)
        if found.finding and not trial(seed, shorten=False).finding:
            return True
    return False


def trait(op: str, **traits: Any) -> Plant:
    return lambda: planted_trait(OPS[op], **traits)


# ---- programs


def drops_small_terms() -> AbstractContextManager[None]:
    """Take ``x + c`` for x where c is a number below 1."""
    rules: Any = sys.modules["autonn.compiler.simplify"]
    right = rules._OF_FLOATS[OPS["add"]]

    def wrong(builder: Any, node: Any) -> Any:
        for x, y in (node.args, node.args[::-1]):
            if isinstance(y, int | float) and abs(y) < 1:
                return x
        return right(builder, node)

    return another(rules._OF_FLOATS, OPS["add"], wrong)


def forgets_signs_of_zeros() -> AbstractContextManager[None]:
    """Take ``x * 0`` for 0, which is -0 where x is negative."""
    rules: Any = sys.modules["autonn.compiler.simplify"]
    right = rules._OF_FLOATS[OPS["multiply"]]

    def wrong(builder: Any, node: Any) -> Any:
        if any(isinstance(x, int | float) and x == 0 for x in node.args):
            return builder.constant(np.zeros(node.shape, node.dtype))
        return right(builder, node)

    return another(rules._OF_FLOATS, OPS["multiply"], wrong)


def mean_and_a_bit(x: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    total = np.sum(x, axis=axis, keepdims=keepdims)
    return total * (1 + 1e-9) / (x.size / max(np.size(total), 1))


PROGRAMS = {
    "x * 0 taken for 0": forgets_signs_of_zeros,
    "a mean off by 1e-9": trait("mean", decompose=mean_and_a_bit),
    "a view taken for new memory": trait("transpose", memory=Memory.NEW),
    "x + 0.5 taken for x": drops_small_terms,  # the compiler itself refuses most of these
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_find(name: str) -> None:
    assert finds(programs.trial, name, PROGRAMS[name])


# ---- costs of rows

ROW_COSTS = {
    "some rows read taken for all": trait("getitem", rows=lambda call, axes: axes[0]),
    "the largest taken for a sum": trait("max", rows=lambda call, axes: "sum"),
    "sums within rows taken for all": trait("sum", rows=lambda call, axes: "sum"),
}


@pytest.mark.parametrize("name", ROW_COSTS)
def test_row_costs_find(name: str) -> None:
    assert finds(row_costs.trial, name, ROW_COSTS[name])


# ---- what changes between calls

compiled = autonn.compile


def rebuilt(f: Any) -> Any:
    """Make the function over names that nobody sets anew."""
    if isinstance(f, types.FunctionType) and f.__name__ == "f":
        code, defaults = f.__code__, f.__defaults__
        return types.FunctionType(code, dict(f.__globals__), "f", defaults, f.__closure__)
    return f


def by_identity(f: Any) -> Any:
    """Tell a second argument apart by its type alone."""
    kept: dict[Any, Any] = {}
    run = compiled(f)

    def call(x: Any, *args: Any, **named: Any) -> Any:
        others = [type(a) for a in (*args, *named.values())]
        key = str((np.shape(x), np.asarray(x).tobytes(), others))
        if not others:
            return run(x)
        if key not in kept:
            kept[key] = run(x, *args, **named)
        return kept[key]

    return call


def first_gradient(f: Any) -> Any:
    """Give the gradient of the first call for ever."""
    run = compiled(f)
    first: list[Any] = []

    def call(*args: Any, **named: Any) -> Any:
        result = run(*args, **named)
        if isinstance(result, tuple) and np.shape(result[0]) == ():
            first.append(result[1])
            return result[0], first[0]
        return result

    return call


def compiling(wrong: Callable[[Any], Any]) -> Plant:
    return lambda: another(autonn, "compile", lambda f, **_: wrong(f))


def forgetful(f: Any) -> Any:
    """Read only the attributes whose names the code loads, as if there were no `getattr`."""
    search: Any = sys.modules["autonn.compiler.search"]
    watching: Any = sys.modules["autonn.compiler.watching"]
    run = compiled(f)

    def call(*args: Any, **named: Any) -> Any:
        with (
            another(watching, "_LOADED_BY_ANY_NAME", frozenset()),
            another(watching, "BY_ANY_NAME", frozenset()),
            another(search, "BY_ANY_NAME", frozenset()),
        ):
            return run(*args, **named)

    return call


IMPURE = {
    "names of the first call": compiling(lambda f: compiled(rebuilt(f))),
    "arguments told apart by type": compiling(by_identity),
    "the gradient of the first call": compiling(first_gradient),
}


@pytest.mark.parametrize("name", IMPURE)
def test_impure_finds(name: str) -> None:
    assert finds(impure.trial, name, IMPURE[name])


@pytest.mark.parametrize("source", ["vars", "getattr by a text", "an object's dict", "attrgetter"])
def test_attributes_without_a_name_in_the_code_are_missed_where_they_are_not_looked_for(
    source: str,
) -> None:
    script = reading(source, "the function", "x * $e", {"v": "2.0", "w": "3.0"})
    with compiling(forgetful)():
        assert examine_script(script).finding
    assert not examine_script(script).finding


# ---- networks


def with_first(kinds: tuple[type, ...]) -> Callable[[Any], Any]:
    """Make a compile that reads those attributes of a network as they were at the first call."""

    def wrong(f: Any) -> Any:
        run, net = compiled(f), f.__globals__["net"]
        first: dict[str, Any] = {}

        def call(*args: Any) -> Any:
            now = dict(vars(net))
            found = {k: copy.copy(v) for k, v in now.items() if type(v) in kinds}
            first.update({k: v for k, v in found.items() if k not in first})
            vars(net).update({k: v for k, v in first.items() if k in now})
            result = run(*args)
            vars(net).update(now)
            return result

        return call

    return wrong


def first_parameters(f: Any) -> Any:
    """Read the parameters as they were at the first call."""
    run, net = compiled(f), f.__globals__["net"]
    first: dict[int, tuple[Any, Any]] = {}

    def call(*args: Any) -> Any:
        now = [(p, p.data) for p in net.parameters()]
        for p, values in now:
            first.setdefault(id(p), (p, np.array(values)))
            p.data = first[id(p)][1]
        result = run(*args)
        for p, values in now:
            p.data = values
        return result

    return call


NETWORKS = {
    "lists and dicts of the first call": compiling(with_first((list, dict))),
    "a loss off by a millionth": compiling(lambda f: lambda *args: compiled(f)(*args) * 1.000001),
    "parameters of the first call": compiling(first_parameters),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_find(name: str) -> None:
    assert finds(networks.trial, name, NETWORKS[name])


# ---- trainings

fit = autonn.fit


def training(change: Callable[[dict[str, Any]], None]) -> Plant:
    """Plant a fit that compiles, and is given something else."""

    def wrong(*args: Any, **named: Any) -> Any:
        if named["compile"]:
            change(named)
        return fit(*args, **named)

    return lambda: another(autonn, "fit", wrong)


FITS = {
    "no callbacks": training(lambda named: named.update(callbacks=())),
    "a penalty off by a millionth": training(
        lambda named: named.update(l2=named["l2"] * (1 + 1e-6))
    ),
    "batches in another order": training(lambda named: named.update(seed=4)),
}


@pytest.mark.parametrize("name", FITS)
def test_fits_find(name: str) -> None:
    assert finds(fits.trial, name, FITS[name])
