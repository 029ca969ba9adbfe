"""A refusal is worth its sentence: the right exception, naming what came and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def assert_refused(call: Callable[[], Any], error: type[Exception], words: list[str]) -> None:
    """Demand the exception, and each of the words in its message."""
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value), caught.value
