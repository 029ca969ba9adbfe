"""Hypothesis profiles: `dev` for every day, `ci` and `brief` derandomised, `deep` for a night.

Choose with ``HYPOTHESIS_PROFILE=deep python -m pytest``. Examples are never timed: a slow machine
is no error.
"""

import gc
import importlib.util
import os
import signal
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tools.profiles import PROFILE

# A shell starts what runs in the background deaf to Ctrl-C, and so would be the tests of it.
signal.signal(signal.SIGINT, signal.default_int_handler)

quiet = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("dev", max_examples=20, deadline=None, suppress_health_check=quiet)
settings.register_profile(
    "ci", max_examples=60, deadline=None, derandomize=True, suppress_health_check=quiet
)
settings.register_profile(
    "brief", max_examples=10, deadline=None, derandomize=True, suppress_health_check=quiet
)
settings.register_profile("deep", max_examples=2000, deadline=None, suppress_health_check=quiet)
settings.load_profile(PROFILE)


def pytest_configure(config: pytest.Config) -> None:
    """Let each worker have a core: BLAS threads of their own would wait for each other.

    BLAS reads it when NumPy is imported, so the process that starts the workers says so.
    """
    if config.getoption("numprocesses", None):
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


@given(st.none())
def first(nothing: None) -> None:
    """Let hypothesis make the generator of its own, which older releases look for among objects."""


def pytest_collection_finish() -> None:
    """Keep thousands of tests and their modules from being looked through at each collection.

    And collect seldom: nothing here waits for the collector, whose default after each 700 objects
    takes a twentieth of the time of a run.
    """
    first()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 10)


@pytest.fixture
def no_gc() -> Iterator[None]:
    """Leave memory to the reference counts alone."""
    gc.freeze()  # what was there before is not looked through again and again
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def X() -> Any:
    """Twelve rows of four values."""
    return np.random.default_rng(1).normal(size=(12, 4))


@pytest.fixture
def y() -> Any:
    """Twelve digits, all ten of them among these."""
    return np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 3])


@pytest.fixture
def thetas() -> list[Any]:
    """Weights of a 4-3-10 network."""
    rng = np.random.default_rng(2)
    return [rng.normal(size=(3, 5)), rng.normal(size=(10, 4))]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the example of a docstring that needs an extra which is not installed."""
    if importlib.util.find_spec("onnx") is not None:
        return
    for item in items:
        if item.name == "autonn.exits.onnx_import.OnnxModule":
            item.add_marker(pytest.mark.skip(reason="needs onnx"))
