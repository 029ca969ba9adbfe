"""What a test tries every day has every two of its choices together."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tools.pairs import pairwise


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_every_two_values_of_two_choices_meet(sizes: list[int]) -> None:
    choices: list[Any] = [[f"{place}.{k}" for k in range(n)] for place, n in enumerate(sizes)]
    rows = pairwise(*choices)
    assert set(rows) <= set(itertools.product(*choices))
    assert len(rows) == len(set(rows))
    for one, other in itertools.combinations(range(len(sizes)), 2):
        assert {(row[one], row[other]) for row in rows} == set(
            itertools.product(choices[one], choices[other])
        )


def test_many_fewer_are_as_good_as_all() -> None:
    assert len(pairwise("ab", [None, 1, 4], [None, 25], [False, True])) <= 8  # of 24
