"""What the tests of training share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="package")
def _no_power_is_lost() -> Iterator[None]:
    """Wait for no disk: a checkpoint is written at each step here, and none outlives its test.

    That files are synchronised before they take their place is seen to in tests/files.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield
