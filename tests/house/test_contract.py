"""The gradient contract is the declarations' own: fresh, whole, and linked to what runs."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from autonn.engine.apply import define
from autonn.engine.op import OPS

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
    assert (DOCS / "gradient-contract.md").read_text() == generator().page(), (
        "run: python docs/gradient_contract.py"
    )


def test_every_op_has_its_row_with_as_many_rules_as_it_has_arguments() -> None:
    rows = {}
    for line in generator().page().splitlines():
        cells = line.replace("\\|", "or").split(" | ")
        if line.startswith("| `") and len(cells) == 6:
            rows[cells[0].strip("| `")] = cells
    assert set(rows) == set(OPS)
    for name, op in OPS.items():
        assert rows[name][2].strip(), f"{name} has no formula"
        if any(op.rules) and not op.variadic and rows[name][3] != "`0`":
            assert len(rows[name][3].split("<br>")) == len(op.rules)


def test_a_changed_declaration_makes_the_page_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    define("new_op", lambda x: x, "z = x", lambda g, z, x: g, numpy=(), kinks="None.")
    try:
        assert (DOCS / "gradient-contract.md").read_text() != generator().page()
    finally:
        del OPS["new_op"]
