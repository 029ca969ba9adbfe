"""What a file may not do: grow long, take what is private to another room, know ops by name."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from tools import habits
from tools.pages import ROOT
from tools.rooms import HOUSE, module_of, room_of

from autonn.engine.op import OPS

FILES = sorted(HOUSE.rglob("*.py"))
OUTSIDE = ["benchmarks", "docs", "examples"]
LONGEST_FILE, LONGEST_FUNCTION, MOST_WAYS = 500, 40, 15


# ---- sizes


def test_files_and_functions_are_short() -> None:
    lengths = {path: path.read_text().count("\n") for path in FILES}
    assert {path: n for path, n in lengths.items() if n > LONGEST_FILE} == {}
    found = {path: habits.oversized(path.read_text(), LONGEST_FUNCTION, 10**9) for path in FILES}
    assert {path: large for path, large in found.items() if large} == {}


def test_no_function_turns_too_often() -> None:
    found = {path: habits.oversized(path.read_text(), 10**9, MOST_WAYS) for path in FILES}
    assert {path: large for path, large in found.items() if large} == {}


def function(*lines: str) -> str:
    return "\n    ".join(['def f(x):\n    """Do it."""', *lines])


@pytest.mark.parametrize(
    "wrong",
    [
        function(*["x += 1"] * 41),
        function(*["# why"] * 40, "return x"),
        function("def g(y):", *["    y += 1"] * 39, "return g"),
        function(*["if x: x += 1"] * 15),
        function(f"return {' and '.join('x' * 16)}"),
        function("return [a for a in x if a]" + " if x else x" * 13),
        function("try:", "    x += 1", *["except KeyError:", "    pass"] * 14, "while x:", "    x"),
        "async " + function(*["x += 1"] * 41),
        "class A:\n    " + function(*["if x: x += 1"] * 15).replace("\n", "\n    "),
    ],
)
def test_what_is_too_large_is_seen(wrong: str) -> None:
    assert habits.oversized(wrong, 40, 15)
    assert not habits.oversized(wrong, 41, 16)


def test_the_docstring_and_the_functions_inside_are_not_counted_twice() -> None:
    inner = ["def g(y):", *["    y = y or 1"] * 14]
    assert habits.oversized(function(*inner, *inner, "return g"), 31, 15) == []
    assert habits.oversized('def f():\n    """' + "\n" * 60 + '    """') == []


# ---- names


@cache
def private_names(path: Path) -> set[str]:
    return habits.private_names(path.read_text())


@cache
def privates(of_the_room: bool, room: str) -> set[str]:
    """Return the private names that a room defines, or those of all others."""
    files = (path for path in FILES if (room_of(module_of(path)) == room) == of_the_room)
    return {name for path in files for name in private_names(path)}


def test_a_private_name_stays_in_its_room() -> None:
    found = {}
    for path in FILES:
        room = room_of(module_of(path))
        ours, theirs = privates(True, room), privates(False, room)
        found[path] = habits.taken(path.read_text(), room, ours, theirs)
    for path in (path for folder in OUTSIDE for path in (ROOT / folder).glob("*.py")):
        found[path] = habits.taken(path.read_text(), "", private_names(path), privates(False, ""))
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "wrong",
    [
        "from autonn.engine.tensor import _leaf",
        "from autonn.engine import _ops as ops",
        "from autonn.engine import tensor\ntensor._own",
        "def f(x):\n    return x._data",
        "def f(x):\n    x._data = 1",
        "def f(x):\n    return getattr(x, '_data')",
        "def f(x):\n    object.__setattr__(x, '_data', 1)",
        "TEXT = 'y = {x}._data'",
        "def f(x):\n    return f'{x}._data[:]'",
        "class A:\n    def f(self):\n        return self._data",
    ],
)
def test_a_private_name_that_is_taken_is_seen(wrong: str) -> None:
    sound = '"""Not `x._data`."""\nfrom autonn.nn.module import _own\n\n\ndef f(x):\n    x._own\n'
    assert habits.taken(sound, "nn", {"_own"}, {"_data", "_own"}) == []
    (seen,) = habits.taken(sound + wrong, "nn", {"_own"}, {"_data", "_own"})
    assert seen.split()[-1] in ("_leaf", "_ops", "_own", "_data")


def test_private_names_are_found_wherever_they_are_defined() -> None:
    source = """
class _A:
    __slots__ = ("_slot",)
    _field: int
    _shared = 1
    def __init__(self):
        self._first, self._second = 1, 2
    def _method(self): ...
_value = 1
def _function(_): ...
"""
    assert habits.private_names(source) == {
        "_A", "_slot", "_field", "_shared", "_first", "_second", "_method", "_value", "_function",
    }  # fmt: skip


# ---- ops are known by themselves


def knows_by_name(path: Path) -> list[str]:
    """List where a file knows an op by its name; in pictures, "log" is a scale."""
    if module_of(path).startswith("engine.ops"):
        return []
    return habits.asked_by_name(
        path.read_text(), set(OPS), strict=room_of(module_of(path)) != "plots"
    )


def test_no_op_is_known_by_its_name() -> None:
    found = {
        path: knows_by_name(path)
        for path in FILES
        if path.parent.name != "reviewing"  # it reads programs of others, which call NumPy
    }
    of_others = {  # a dtype, Adam's settings, PyTorch's words for approximations, steps, scales
        "onnx_arithmetic.py": [  # the settings of nodes
            "'max'", "'min'", "'fmod'", "'tanh'", "'beta'", "'gamma'",
        ],
        "onnx_recurrent.py": ["'clip'"],
        "mat5.py": ["'i1'"], "adaptive.py": ["'beta'"], "activations.py": ["'tanh'"],
            "cells.py": ["'tanh'", "'relu'"], "recurrent.py": ["'tanh'"],
        "architecture.py": ["'affine'"],
    }  # fmt: skip
    left = {
        path: [n for n in names if n.partition(": ")[2] not in of_others.get(path.name, ())]
        for path, names in found.items()
    }
    assert {path: names for path, names in left.items() if names} == {}


@pytest.mark.parametrize(
    "wrong",
    [
        "node.op.name == 'exp'",
        "'exp' != node.name",
        "name in ('sum', 'exp')",
        "name not in {'sum', 'exp'}",
        "OPS['exp']",
        "node.is_call('exp')",
        "is_call(node, 'exp', 'square')",
        "VIEWS = {'exp', 'square'}",
        "LOWER = {'exp': f}",
        "match name:\n    case 'exp':\n        pass",
        "VIEWS = frozenset(['exp'])",
    ],
)
def test_an_op_that_is_known_by_its_name_is_seen(wrong: str) -> None:
    sound = "__all__ = ['exp', 'sum']\ndefine('exp', f)\nraise ValueError(f'of exp: {x}')\n"
    assert habits.asked_by_name(sound, {"exp"}) == []
    assert habits.asked_by_name(sound + wrong, {"exp"})
