"""The planting of faults is itself seen to work: what is wrong is caught, what is idle is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tools import faults

TESTS = """
import numpy as np
from autonn import grad, optim

def test_one():
    assert grad(np.sinh)(0.5) == np.cosh(0.5)

def test_many():
    x = np.array([[1.0, 2.0], [2.0, 5.0]])
    assert np.array_equal(grad(lambda x: np.sum(np.sinh(x)))(x), np.cosh(x))
    assert np.all(grad(lambda x: np.sum(np.floor(x)))(x) == 0)
"""


CHANGES = r"^sinh\[0\]|^floor\[0\] twice|np.cosh -> np.sinh"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="faults are planted in forked children")
def test_faults_are_caught_and_idle_changes_are_told_apart(tmp_path: Path) -> None:
    test = tmp_path / "test_little.py"
    test.write_text(TESTS)
    command = [sys.executable, faults.__file__, "--limit", "99", "--match", CHANGES, str(test)]
    environment = {**os.environ, "PYTHONPATH": str(faults.HOUSE.parent)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    lines = done.stdout.splitlines()
    fate = {line[12:].partition("  ")[0]: line.split()[0] for line in lines if "  " in line[6:12]}
    for kind in ("sign", "nearly", "rolled by one", "without the chain"):
        assert fate[f"sinh[0] {kind}"] == "caught"
    assert fate["sinh[0] no further order"] == "survived"  # the little tests have no second order
    assert fate["floor[0] twice"] == "equivalent"
    assert [f for name, f in fate.items() if "np.cosh -> np.sinh" in name] == ["caught"]
    assert done.returncode == 1


def test_the_status_tells_of_too_many_survivors_and_of_any_sentence() -> None:
    caught = {str(k): ("caught", "a test") for k in range(19)}
    alike = {"alike": ("equivalent", "")}
    lost = {"lost": ("survived", "")}
    assert faults.summary(caught | alike | lost, set()) == 0
    assert faults.summary(caught | alike | lost, {"lost"}) == 1
    assert faults.summary(caught | lost | {"more": ("survived", "")}, {"1"}) == 1


def test_every_sentence_still_finds_its_text() -> None:
    assert len(list(faults.sentence_faults())) >= 25
