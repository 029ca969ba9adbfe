"""What the tests of this room share."""

from __future__ import annotations

import pytest
from tools.drawings import Picture, mnist
from tools.read_photos import HeldOut
from tools.read_photos import held_out as trained

from autonn import load_digits, optim
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


@pytest.fixture(scope="session")
def held_out() -> HeldOut:
    """Train a network on 4,000 digits; return it with the others and what these are."""
    return trained(optim.LBFGS(), 40)
