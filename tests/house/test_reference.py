"""The reference has an entry, with an example that runs, for every name that is public."""

from __future__ import annotations

import doctest
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tools.pages import ROOT

import autonn
from autonn.engine import ops
from autonn.engine.op import OPS
from autonn.engine.ops.methods import METHODS
from autonn.habits import HABITS

DOCS = ROOT / "docs"
sys.path[:0] = [str(DOCS), str(DOCS / "extensions")]

import foreign_words  # noqa: E402
import op_table  # noqa: E402
import public  # noqa: E402


def installed(path: str) -> bool:
    return path != "autonn.sklearn" or importlib.util.find_spec("sklearn") is not None


def without_example(entries: Iterator[public.Entry] | list[public.Entry]) -> list[str]:
    """List the functions and classes whose docstring shows no call."""
    return [
        entry.name for entry in entries
        if entry.kind != "data" and ">>> " not in (inspect.getdoc(entry.thing) or "")
    ]  # fmt: skip


def test_every_name_of_every_room_has_its_entry_on_one_page() -> None:
    entries = public.entries()
    for path in filter(installed, public.ROOMS):
        room = importlib.import_module(path)
        for name in getattr(room, "__all__", ()):
            assert f"{path}.{name}" in entries or inspect.ismodule(getattr(room, name)), name
    told = [entry.name for inside in public.pages().values() for entry in inside]
    assert len(told) == len(set(told)) > 200
    assert set(told) == {entry.name for entry in entries.values()}


def test_every_room_that_says_what_is_public_is_told_of() -> None:
    rooms = {f"autonn.{room}" for room in re.findall(r"^ {4}(\w+)  ", autonn.__doc__ or "", re.M)}
    serving = {"autonn.checks", "autonn.habits", "autonn.threads", "autonn.engine"}
    assert rooms - serving == {room for room in public.ROOMS if room.count(".") == 1}


def test_every_public_function_and_class_has_an_example() -> None:
    assert without_example(public.unique()) == []


def untold(function: Any) -> bool:
    """Whether `help` says nothing of how a function is called."""
    kinds = [parameter.kind for parameter in inspect.signature(function).parameters.values()]
    any_places, any_names = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    return kinds == [any_places, any_names]


def test_help_shows_how_each_is_called() -> None:
    functions = {e.name: e.thing for e in public.unique() if e.kind == "function"}
    functions |= {f"ops.{name}": getattr(ops, name) for name in ops.__all__}
    functions |= {f"Tensor.{name}": m for name, m in METHODS.items() if callable(m)}
    functions = {name: f for name, f in functions.items() if inspect.isroutine(f)}
    assert len(functions) > 300
    assert [name for name, f in functions.items() if untold(f)] == []
    assert untold(lambda *args, **options: 0)


def test_what_has_no_example_is_seen() -> None:
    def silent() -> None:
        """Say nothing."""

    assert without_example([public.Entry("autonn.silent", silent, "autonn.x")]) == ["autonn.silent"]


def test_a_name_that_is_left_out_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    public.entries.cache_clear()
    monkeypatch.setattr(public, "names_of", lambda room: list(room.__all__)[1:])
    monkeypatch.setattr(public, "ROOMS", ("autonn.optim",))
    try:
        assert "autonn.optim.EMA" not in public.entries()
        assert "autonn.optim.LBFGS" in public.entries()
    finally:
        public.entries.cache_clear()


def test_what_the_sentences_of_names_are_made_of_runs() -> None:
    """Of ops, since doctest finds them in no module; and of what writes the pages."""
    session: dict[str, Any] = {name: getattr(autonn, name) for name in autonn.__all__}
    session["np"] = np
    tried = 0
    for entry in public.unique():
        if entry.kind == "function" and hasattr(entry.thing, "op"):
            tried += failures_in(inspect.getdoc(entry.thing) or "", entry.name, session)
    assert tried >= 12
    for module in (public, op_table, foreign_words):
        found = doctest.testmod(module)
        assert (found.failed, found.attempted > 0) == (0, True), module


def failures_in(text: str, name: str, session: dict[str, Any]) -> int:
    """Run the examples of a text; return how many there are."""
    test = doctest.DocTestParser().get_doctest(text, dict(session), name, name, 0)
    found = doctest.DocTestRunner(verbose=False).run(test)
    assert found.failed == 0, name
    return found.attempted


def test_a_wrong_example_is_seen() -> None:
    with pytest.raises(AssertionError):
        failures_in(">>> 1 + 1\n3\n", "wrong", {})


# ---- the op table


def test_the_table_has_each_op_with_its_rows_and_its_program() -> None:
    found = {}
    for line in op_table.page().splitlines():
        cells = line.replace("\\|", "¦").strip("| ").split(" | ")
        if line.startswith("| `"):
            found[cells[0].strip("`")] = cells[1:]
    assert set(found) == set(OPS)
    for name, (formula, rows, program) in found.items():
        assert formula
        assert rows
        assert re.fullmatch(r"`[^`]+`(<br>`[^`]+`)*", program), name


# ---- the words of other libraries


@pytest.mark.parametrize("library", ["PyTorch", "Keras", "JAX", "scikit-learn", "NumPy"])
def test_the_table_of_a_library_has_all_its_words(library: str) -> None:
    told = {
        (place, word)
        for place, rows in foreign_words.table(library).items()
        for words, _ in rows
        for word in words
    }
    wanted = {key for key, habit in HABITS.items() if library in habit.libraries.split(", ")}
    assert told == wanted
    assert wanted


def test_a_library_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match=r"there are those of .*PyTorch"):
        foreign_words.table("Torch")
