"""The networks of the benchmark: each has its batch and its twin, and all compute the same."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
INDEX = (ROOT / "examples" / "README.md").read_text()


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what imports a file of the benchmarks, where they import each other."""
    for path in BENCHMARKS.glob("*.py"):  # a fuzzer has the name of one
        monkeypatch.delitem(sys.modules, path.stem, raising=False)
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if (BENCHMARKS / f"{name}.py").is_file():
            del sys.modules[name]


def functions(name: str) -> set[str]:
    tree = ast.parse((BENCHMARKS / name).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_each_network_has_a_twin_and_a_batch(benchmark: Any) -> None:
    names = set(benchmark("models").NAMES)
    assert functions("networks.py") == functions("twins.py") == names
    assert functions("batches.py") == names - {"gru", "lstm"}  # those of rnn


def test_each_network_keeps_to_float32_and_compiles_to_the_same(benchmark: Any) -> None:
    models = benchmark("models")
    for name in models.NAMES:
        expected = models.results(*models.ours(name, "float32", compiled=False))
        assert np.isfinite(expected["cost"]), name
        assert {a.dtype for a in expected.values()} == {np.dtype(np.float32)}, name
        if name in ("gan", "names", "mixture", "policy", "dqn"):  # what is compiled in a moment
            found = models.results(*models.ours(name, "float32", compiled=True))
            assert models.differences(found, expected, "float32") == [], name


def test_twins_compute_the_same_and_what_is_wrong_is_seen(
    benchmark: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    models, networks = benchmark("models"), benchmark("networks")
    for name in models.NAMES:
        assert apart(models, name) == [], name
    model, cost = networks.policy(np.random.default_rng(0))
    monkeypatch.setattr(networks, "policy", lambda rng: (model, lambda *b: 1.001 * cost(*b)))
    assert len(apart(models, "policy")) == 5  # the cost, and each of four parameters


def apart(models: Any, name: str) -> Any:
    """List what a twin computes otherwise."""
    expected = models.results(*models.ours(name, "float64", compiled=False))
    found = models.results(*models.torchs(name, "float64"))
    assert found.keys() == expected.keys()
    return models.differences(found, expected, "float64")


# ---- how the cost grows


@pytest.mark.parametrize("sizes", [(8, 16, 2, 0), (4, 16, 0, 3)])
def test_who_is_measured_as_it_grows_computes_the_same(
    benchmark: Any, sizes: tuple[int, int, int, int]
) -> None:
    growth = benchmark("growth")
    expected = growth.prepare(growth.OURS, sizes)
    assert len(expected) == 1 + (2 * (sizes[2] + 1) if sizes[2] else 6)
    for name, package in growth.PACKAGES.items():
        if importlib.util.find_spec(package):
            found = growth.prepare(name, sizes)
            assert growth.apart(found, expected) < 1e-4, name
            assert growth.apart(found, [1.01 * a for a in expected]) > 1e-3


def test_a_panel_is_drawn_for_all_that_grows(benchmark: Any, tmp_path: Path) -> None:
    growth = benchmark("growth")
    found = {
        panel: {name: [1.0 + k for k in range(len(sizes))] for name in growth.PACKAGES}
        for panel, sizes in growth.PANELS.items()
    }
    assert found.keys() == growth.GROWS.keys()
    growth.draw(str(tmp_path / "growth.png"), found)
    head = (tmp_path / "growth.png").read_bytes()[:24]
    assert int.from_bytes(head[16:20], "big") > 3 * int.from_bytes(head[20:24], "big")


# ---- the index of the examples


def rows() -> dict[str, list[str]]:
    """Return the rows of the index, by the name of the example."""
    found = [re.split(r" *\| *", line.strip("| ")) for line in INDEX.splitlines()]
    return {m[1]: row for row in found if (m := re.match(r"\[`(\w+\.py)`\]", row[0]))}


def test_the_index_has_each_example_and_counts_its_lines(benchmark: Any) -> None:
    lines = benchmark("lines")
    files = {path.name: path for path in (ROOT / "examples").glob("*.py")}
    assert rows().keys() == files.keys()
    counted = {name: len(lines.code_lines(path.read_text())) for name, path in files.items()}
    assert {name: int(row[3]) for name, row in rows().items()} == counted


def test_the_index_counts_the_lines_of_networks_and_their_twins(benchmark: Any) -> None:
    lines = benchmark("lines")
    ours, theirs = (lines.of_each(BENCHMARKS / name) for name in ("networks.py", "twins.py"))
    said = re.findall(r"^\| (\w+) \| (\d+) \| (\d+) \|$", INDEX, re.M)
    assert {name: (int(a), int(b)) for name, a, b in said} == {
        name: (ours[name], theirs[name]) for name in theirs
    } | {"all": (sum(ours[name] for name in theirs), sum(theirs.values()))}


def test_lines_without_code_are_not_counted(benchmark: Any) -> None:
    source = '"""Say."""\n\nx = 1  # one\n# two\n\n\ndef f():\n    """Say\n    more."""\n'
    source += "    return (\n        x\n    )\n"
    assert benchmark("lines").code_lines(source) == {3, 7, 10, 11, 12}
