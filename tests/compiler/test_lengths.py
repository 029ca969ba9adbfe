"""Programs for batches of several lengths: each is derived once, and found again by the shapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from autonn import Tensor, compile
from autonn.compiler import compiled

W = Tensor(np.arange(3.0), requires_grad=True)


def test_a_length_that_came_before_is_found_without_looking_at_all(monkeypatch: Any) -> None:
    program = compile(lambda x, scale: np.sum(np.sin(x @ W.detach()) * scale))
    batches = [np.ones((n, 3)) for n in (2, 3, 4)]
    for x in batches:
        program(x, 2)
    monkeypatch.setattr(compiled.Programs, "find", None)  # it may not be asked any more
    for x in [*batches, *reversed(batches)]:
        assert float(program(x, 2)) == 2 * len(x) * np.sin(3.0)
        assert f"({len(x)}," in program.source


def test_what_is_found_by_shapes_is_still_looked_at() -> None:
    """Another number, dtype or mode than that of the last program of such shapes."""
    scale = [1.0]
    program = compile(lambda x, k: np.sum(x) * k * scale[0])
    a, b = np.ones((2, 3)), np.ones((4, 3))
    for _ in range(2):
        assert [float(program(x, k)) for x in (a, b) for k in (1, 2)] == [6, 12, 12, 24]
        assert program(b.astype(np.float32), 1).dtype == np.float32
        assert program(a, 1).dtype == np.float64
    scale[0] = 10.0
    assert [float(program(x, 1)) for x in (a, b, a)] == [60, 120, 60]


def test_what_is_forgotten_is_derived_again(monkeypatch: Any) -> None:
    monkeypatch.setattr(compiled, "_KEPT", 2)
    program = compile(lambda x: np.sum(x * x))
    for _ in range(2):
        for n in range(1, 6):
            assert float(program(np.ones(n))) == n
    assert sum(map(len, program.programs.kept.values())) <= 2
    assert len(program.programs.by_shapes) <= 3
