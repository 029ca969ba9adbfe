"""How much a run of the tests tries, by the name of its profile; conftest.py tells Hypothesis.

Where time is short, what is tried are choices and counts like these, never what is demanded.
"""

from __future__ import annotations

import os

__all__ = ["DEEP", "PROFILE", "THOROUGH"]

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "dev")
DEEP = PROFILE == "deep"  # for a night
THOROUGH = PROFILE in ("ci", "deep")  # also what takes long and finds seldom
