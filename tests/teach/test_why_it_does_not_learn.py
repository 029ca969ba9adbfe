"""The example of six trainings that do not learn: `lint` names each mistake, and mended they do."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "why_it_does_not_learn.py"

NAMES = [
    "squashed-twice",
    "unscaled-inputs",
    "broadcast-targets",
    "equal-units",
    "learning-rate-too-large",
    "stale-gradients",
]


def test_each_of_the_six_is_named_and_mended(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    parts = re.split(r"^\d\. ", capsys.readouterr().out, flags=re.M)[1:]
    assert len(parts) == len(NAMES)
    for name, part in zip(NAMES, parts, strict=True):
        lines = part.splitlines()
        was, mended = (float(re.findall(r"[\d.]+", line)[0]) for line in lines[1:3])
        if "%" in lines[1]:
            assert was < 80 < 90 < mended
        else:
            assert was > 4 * mended
        assert lines[3].startswith(f"  {name}, in ")
        assert "    cure: " in part
        assert ("fit warns of this" in part) == (name == "squashed-twice")
