"""What the tests of this room share."""

from __future__ import annotations

import pytest
from tools.drawings import Picture, mnist

from autonn import load_digits
from autonn.data import Digits


@pytest.fixture(scope="session")
def digits() -> Digits:
    """Load the digits once for all tests."""
    return load_digits()


@pytest.fixture(scope="session")
def seven() -> Picture:
    """A 7 that MNIST has, among others."""
    ink: Picture = mnist()[3600]
    return ink
