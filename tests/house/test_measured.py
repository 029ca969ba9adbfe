"""The figures that pages show are those that the benchmarks wrote down."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    for name in ("figures", "report"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import figures

    return figures


def test_the_pages_are_fresh(figures: Any) -> None:
    for page in figures.PAGES:
        text = page.read_text()
        assert "<!-- figures: " in text, page
        assert figures.renewed(text) == text, "run: python benchmarks/figures.py"


def test_another_figure_is_seen(figures: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    page = figures.PAGES[-1].read_text()
    found = figures.figures("models.json")
    slower = [type(f)(**(vars(f) | {"median": 2 * f.median})) for f in found]
    monkeypatch.setattr(figures, "figures", lambda name: slower)
    assert figures.renewed(page) != page


def test_the_table_has_every_network(figures: Any) -> None:
    written = json.loads((BENCHMARKS / "models.json").read_text())["figures"]
    titles = {f["title"].rpartition(", ")[0] for f in written}
    assert figures.models().count("\n") == len(titles) + 1
