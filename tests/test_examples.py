"""The short examples run, and print what they promise."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def printed(name: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    return capsys.readouterr().out.splitlines()


def test_custom_op(capsys: pytest.CaptureFixture[str]) -> None:
    right, wrong, square, huber = printed("custom_op.py", capsys)
    assert right == "the rule is right: True"
    assert "index (0,): -3.0, but the slope is -6.0" in wrong
    assert "y = 1.53 t + 1.74" in square
    assert "y = 2.05 t + 0.99" in huber
