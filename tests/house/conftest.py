"""What the tests of the house share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tools import habits


@pytest.fixture(autouse=True, scope="package")
def _trees_are_dropped() -> Iterator[None]:
    """Let go of the files' trees: a million objects, which each collection would look through."""
    yield
    habits.parsed.cache_clear()
    habits.nodes.cache_clear()
