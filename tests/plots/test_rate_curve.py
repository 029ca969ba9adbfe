"""The picture of a search for a rate."""

from __future__ import annotations

import numpy as np
import pytest

from autonn.plots import rate_curve
from autonn.training import RateSearch

FOUND = RateSearch([1e-3, 1e-2, 1e-1, 1.0], [2.0, 1.5, 1.0, 9.0], [2.0, 1.7, 1.4, 3.0], 1e-2)


def test_costs_means_and_the_suggestion_are_drawn() -> None:
    (ax,) = rate_curve(FOUND).axes
    drawn = [np.column_stack(line.get_data()).tolist() for line in ax.lines]
    assert drawn[0] == [[r, c] for r, c in zip(FOUND.rates, FOUND.costs, strict=True)]
    assert drawn[1] == [[r, c] for r, c in zip(FOUND.rates, FOUND.smooth, strict=True)]
    assert drawn[2] == [[1e-2, 1.7]]
    assert ax.get_xscale() == "log"
    assert ax.get_ylim()[1] < 4
    bare = RateSearch(FOUND.rates, FOUND.costs, FOUND.smooth, None)
    assert len(rate_curve(bare).axes[0].lines) == 2


def test_what_is_no_search_is_refused() -> None:
    with pytest.raises(TypeError, match="rate_curve: got a dict"):
        rate_curve({})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="got 0 rates"):
        rate_curve(RateSearch())
