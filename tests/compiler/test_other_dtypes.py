"""Compiled functions of arrays that hold no numbers: as NumPy has it, or an error that says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autonn import compile
from autonn.engine.modes import CannotCompileError

STEPS = np.array([3, -1, 2, 0], "m8[s]")
DAYS = np.array(["2026-11-26", "2026-11-27", "NaT"], "M8[D]")
POINTS = np.zeros(3, [("x", float), ("y", np.float32)])
WORDS = np.array(["a", "b", "a"])

FUNCTIONS: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "durations": (STEPS, lambda d: np.where(d > np.timedelta64(0), d, -d)),
    "durations as numbers": (STEPS, lambda d: (d / np.timedelta64(2, "s")) ** 2),
    "a duration that is closed over": (STEPS, lambda d: d + np.timedelta64(5, "s")),
    "sums of durations": (STEPS, lambda d: np.sum(d) + d),
    "dates": (DAYS, lambda d: np.sort(d)[::-1]),
    "dates and durations": (DAYS, lambda d: d + np.timedelta64(1, "D")),
    "a field": (POINTS, lambda p: p["x"] + 1),
    "two fields": (POINTS, lambda p: p[["x", "y"]]["y"] + 1),
    "words": (WORDS, lambda w: np.where(w == "a", 2.0, 3.0)),
    "objects as they are": (np.array([None, 1]), lambda o: o),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_program_gives_what_numpy_gives_and_leaves_its_arguments(name: str) -> None:
    array, f = FUNCTIONS[name]
    wanted, before = f(array.copy()), array.copy()
    program = compile(f)
    for _ in range(3):
        found = program(array)
        assert found.dtype == wanted.dtype
        assert found.tobytes() == wanted.tobytes()
        assert array.tobytes() == before.tobytes()


def test_a_field_is_a_view_so_nothing_is_written_into_it() -> None:
    points = np.array([(1.0, 2.0)], POINTS.dtype)
    shifted = compile(lambda p: np.exp(p["x"] - 1.0))
    assert [float(shifted(points)[0]) for _ in range(3)] == [1.0, 1.0, 1.0]


def test_arrays_of_objects_are_refused_where_they_are_computed_with() -> None:
    objects = np.array([1.0, 2.0], dtype=object)
    with pytest.raises(CannotCompileError, match=r"multiply at .*astype\(float\)"):
        compile(lambda o: np.sum(o * o))(objects)
