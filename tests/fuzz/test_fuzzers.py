"""The fuzzers over a fixed number of seeds: twenty each every day, 200 each before a change lands.

For the night there is ``PYTHONPATH=tests python -m fuzz.run programs --seeds 0 100000``. A fuzzer
whose programs are nearly all refused would prove nothing, so the shares are asserted too.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from fuzz import fits, impure, networks, programs, row_costs
from hypothesis import settings
from tools.agreement import disagreement, moved
from tools.drawn_arrays import array_text
from tools.drawn_fits import draw_fit
from tools.drawn_impure import draw_impure, reading
from tools.drawn_networks import draw_network
from tools.drawn_programs import draw_program
from tools.drawn_reads import READS
from tools.drawn_row_costs import draw_row_cost
from tools.profiles import THOROUGH
from tools.program import NAMES
from tools.script import Script, examine_script
from tools.trials import summary

FUZZERS = {
    "programs": programs.trial, "row_costs": row_costs.trial, "impure": impure.trial,
    "networks": networks.trial, "fits": fits.trial,
}  # fmt: skip
# Which share of the calls has to be compared, over seeds enough: what reads time may be refused.
LEAST = {"programs": 0.8, "row_costs": 0.85, "impure": 0.4, "networks": 0.65, "fits": 0.75}
PARTS = 4  # which workers side by side share out
COUNT = max(settings().max_examples, 100 if THOROUGH else 0)


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", FUZZERS)
def test_compiled_gives_what_eager_gives_or_is_refused(name: str, part: int) -> None:
    found = summary(FUZZERS[name], range(part, max(COUNT, PARTS), PARTS))
    assert not found.kinds, found.text()
    assert not THOROUGH or found.share > LEAST[name], found.text()


def test_rows_are_shared_out_in_many_of_the_costs() -> None:
    seeds = range(60 if THOROUGH else 12)
    assert summary(row_costs.trial, seeds).shared > len(seeds) // 6


@pytest.mark.parametrize("source", READS)
def test_whatever_is_read_is_followed_wherever_that_stands(source: str) -> None:
    places = ("the function", "a helper's helper")
    for place in places if THOROUGH else [places[list(READS).index(source) % 2]]:
        trial = examine_script(reading(source, place, "x * $e", {"v": "2.0", "w": "3.0"}))
        assert not trial.finding, trial.text
        assert trial.refused == 0 or READS[source].draws, trial.text


# ---- the fuzzers themselves


@pytest.mark.parametrize("draw", [draw_program, draw_row_cost, draw_impure, draw_network, draw_fit])
def test_a_seed_gives_the_same_program_again(draw: Any) -> None:
    texts = [[draw(seed).text() for seed in range(20)] for _ in range(2)]
    assert texts[0] == texts[1]
    assert len(set(texts[0])) > 15


@pytest.mark.parametrize("draw", [draw_impure, draw_network, draw_fit])
def test_nothing_is_found_where_both_runs_are_eager(
    draw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Script.run
    monkeypatch.setattr(Script, "run", lambda self, compiled: run(self, False))
    for seed in range(min(COUNT, 40)):
        script = dataclasses.replace(draw(seed), clock=False)
        trial = examine_script(script)
        assert not trial.finding or draw(seed).clock, trial.text


def test_an_array_is_written_so_that_its_bits_come_back() -> None:
    for seed in range(100):
        program = draw_program(seed)
        for text in program.calls[0].values():
            value = eval(text, NAMES | {name: np.zeros(()) for name in program.calls[0]})
            if isinstance(value, np.ndarray):
                again = eval(array_text(value), NAMES)
                assert (again.dtype, again.shape) == (value.dtype, value.shape)
                assert again.tobytes() == np.ascontiguousarray(value).tobytes()


# ---- what counts as a difference


@pytest.mark.parametrize(
    ("got", "want", "word"),
    [
        (np.array([1.0]), np.array([1.0 + 1e-15]), ""),
        (np.array([1.0]), np.array([1.0 + 1e-12]), "value"),
        (np.array([0.0]), np.array([-0.0]), "sign of zero"),
        (np.array([np.nan]), np.array([1.0]), "NaN"),
        (np.array([np.inf]), np.array([-np.inf]), "value"),
        (np.array([np.inf]), np.array([1.0]), "infinity"),
        (np.float32(1.0), np.float64(1.0), "dtype"),
        (np.ones(1), np.ones(()), "shape"),
        (np.array([True]), np.array([False]), "value"),
        (np.array([1 + 0j]), np.array([complex(1, -0.0)]), "sign of zero"),
        ([1.0], (1.0,), "form"),
        ({"a": 1.0, "b": 2.0}, {"b": 2.0, "a": 1.0}, "form"),
        ("a", "b", "kind of result"),
        (None, None, ""),
    ],
)
def test_what_counts_as_a_difference(got: Any, want: Any, word: str) -> None:
    assert disagreement(got, want) == word


def test_what_rounding_errors_do_is_no_difference() -> None:
    want, nearby = np.array([1e-9, 1.0]), [np.array([2e-9, 1.0])]
    assert disagreement(np.array([1.5e-9, 1.0]), want, nearby) == ""
    assert disagreement(np.array([1.5e-9, 1.1]), want, nearby) == "value"
    assert disagreement(np.array([9e-8, 1.0]), want, nearby) == "value"


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "c16", "i8", "?"])
def test_a_rounding_error_moves_little_and_keeps_ties_and_zeros(dtype: str) -> None:
    x = np.array([0.0, -0.0, 1.0, 1.0, 3.0], dtype)
    for run in range(0, 6, 2):
        y = moved(x, run)
        assert y.dtype == x.dtype
        assert y[2] == y[3]
        assert np.array_equal(np.signbit(y.real[:2]), np.signbit(x.real[:2])) or dtype in "i8?"
        assert np.allclose(y, x, rtol=2e-3, atol=0)
    assert dtype in "i8?" or any(np.any(moved(x, run) != x) for run in range(6))
