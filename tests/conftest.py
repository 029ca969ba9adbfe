"""Hypothesis profiles: `dev` for every day, `ci` and `brief` derandomised, `deep` for a night.

Choose with ``HYPOTHESIS_PROFILE=deep python -m pytest``. Examples are never timed: a slow machine
is no error.
"""

import gc
import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# Of workers side by side, each has a core: BLAS threads of their own would wait for each other.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# A shell starts what runs in the background deaf to Ctrl-C, and so would be the tests of it.
signal.signal(signal.SIGINT, signal.default_int_handler)

quiet = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("dev", max_examples=20, deadline=None, suppress_health_check=quiet)
settings.register_profile(
    "ci", max_examples=200, deadline=None, derandomize=True, suppress_health_check=quiet
)
settings.register_profile(
    "brief", max_examples=10, deadline=None, derandomize=True, suppress_health_check=quiet
)
settings.register_profile("deep", max_examples=2000, deadline=None, suppress_health_check=quiet)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


@pytest.fixture
def no_gc() -> Iterator[None]:
    """Leave memory to the reference counts alone."""
    gc.freeze()  # what was there before is not looked through again and again
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()
