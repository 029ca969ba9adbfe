"""What the README shows is run: every Python block, in order, in one session."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tools import pages

README = (pages.ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return pages.blocks(README, language)


def test_every_python_block_runs(capsys: pytest.CaptureFixture[str]) -> None:
    session: dict[str, Any] = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), session)
    printed = capsys.readouterr().out.splitlines()
    assert printed[12].split() == ["total", "34,635"]
    cost, held_out = re.fullmatch(r"cost (0\.\d{3}), held out (\d\d\.\d)%", printed[13]).groups()  # type: ignore[union-attr]
    assert float(cost) < 0.1
    assert float(held_out) > 92
    assert printed[14] == "(25, 400)"
    assert float(printed[15]) == pytest.approx(-2 * 0.46211715726 * (1 - 0.46211715726**2))
    excerpt = [
        line for block in blocks("text") for line in block.splitlines() if line[:4] == "    "
    ]
    assert len(excerpt) > 5
    assert set(excerpt) <= set(printed), "the source that it shows is what is printed"
    assert printed[-3] == "[0. 0. 0.]"
    assert printed[-1] == "True"


def test_the_commands_are_single_lines_that_make_their_own_environment() -> None:
    commands = blocks("sh")
    assert len(commands) == 2
    for command in commands:
        assert len(command.splitlines()) == 1
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install")
    assert commands[0].rstrip().endswith("examples/digits.py")
    assert commands[1].rstrip().endswith("-m pytest -q")
