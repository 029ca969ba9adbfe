"""The gradient contract is the declarations' own: fresh, whole, and linked to what runs."""

from __future__ import annotations

import ast
import builtins
import functools
import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scipy.special

from autonn.engine.apply import define
from autonn.engine.op import OPS

# The page shows the defaults of NumPy's own functions, which older ones do not tell.
if np.lib.NumpyVersion(np.__version__) < "2.4.0":
    pytest.skip("NumPy's functions tell their parameters since 2.4", allow_module_level=True)

DOCS = Path(__file__).parents[2] / "docs"


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "gradient_contract", DOCS / "gradient_contract.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_fresh() -> None:
    assert (DOCS / "reference" / "gradient-contract.md").read_text() == generator().page(), (
        "run: python docs/gradient_contract.py"
    )


def cells_by_op(page: str) -> dict[str, list[str]]:
    """Read the table of the ops off the page."""
    found = {}
    for line in page.splitlines():
        cells = line.replace("\\|", "¦").split(" | ")
        if line.startswith("| `") and len(cells) == len(PAGE.HEAD):
            found[cells[0].split("`")[1]] = cells
    return found


PAGE = generator()


@functools.cache
def cells() -> dict[str, list[str]]:
    """Write the page, once, in the process that runs the tests of it."""
    return cells_by_op(PAGE.page())


every_op = pytest.mark.parametrize("name", OPS)
IS_TOLD = re.compile(r"`(\w+)\(.*\)` is ")


def test_every_op_has_its_row() -> None:
    assert set(cells()) == set(OPS)


@every_op
def test_a_row_has_a_formula_and_as_many_rules_as_there_are_arguments(name: str) -> None:
    _, _, formula, rules, _, _ = cells()[name]
    op = OPS[name]
    assert formula.strip(), "no formula"
    shown = [text for text in rules.split("<br>") if not IS_TOLD.match(text)]
    if any(op.rules):
        assert len(shown) == len(op.rules)
        assert all(text == "-" or "`" in text for text in shown)


@every_op
def test_no_rule_is_a_name_that_only_the_source_explains(name: str) -> None:
    cell = cells()[name][3]
    assert not re.search(r"(?<![\w.])_\w", cell), "a private name"
    told = {match[1] for text in cell.split("<br>") if (match := IS_TOLD.match(text))}
    for rule in OPS[name].rules:
        if rule is not None and rule.__name__ == "<lambda>":
            assert unexplained(PAGE.rule_text(rule, {}), told) == []


def unexplained(code: str, told: set[str]) -> list[str]:
    """List what a rule calls that is no function of NumPy's, SciPy's, an op, nor told."""
    tree = ast.parse(code.strip("`"), mode="eval")
    called = [ast.unparse(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)]
    return [c for c in called if not (known(c) or c in OPS or c in told or hasattr(builtins, c))]


def known(name: str) -> bool:
    """Whether NumPy or SciPy has it, or an array as a method."""
    head, *path = name.split(".")
    thing: Any = {"np": np, "scipy": scipy}.get(head)
    for part in path:
        thing = getattr(thing, part, None)
    return thing is not None


def _bent(x: Any) -> Any:
    """Compute ``1 + x^2``, always positive."""
    return 1 + x * x


def _silent(x: Any) -> Any:
    return x


def test_what_a_rule_calls_is_told_by_its_formula() -> None:
    told: dict[str, str] = {}
    assert PAGE.rule_text(lambda g, z, x: g * _bent(x), told) == "`g * bent(x)`"
    assert told == {"bent": "`bent(x)` is `1 + x^2`, always positive"}
    assert unexplained("`g * bent(x)`", set()) == ["bent"]
    assert unexplained("`g * np.cosine(x) + np.cos(x)`", set()) == ["np.cosine"]
    assert PAGE.rule_text(_bent, {}) == "`1 + x^2`, always positive"


@pytest.mark.parametrize("rule", [_silent, lambda g, z, x: g * _silent(x)])
def test_a_rule_without_a_formula_is_refused(rule: Any) -> None:
    with pytest.raises(ValueError, match="_silent needs a docstring with its formula"):
        PAGE.rule_text(rule, {})


def test_a_changed_declaration_makes_the_page_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    define("new_op", lambda x: x, "z = x", lambda g, z, x: g, numpy=(), kinks="None.")
    try:
        assert (DOCS / "reference" / "gradient-contract.md").read_text() != generator().page()
    finally:
        del OPS["new_op"]
