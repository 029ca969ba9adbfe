"""What the README shows is run: every Python block, in order, in one session."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tools import pages

README = (pages.ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return pages.blocks(README, language)


def test_every_python_block_runs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    session: dict[str, Any] = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), session)
    (line,) = capsys.readouterr().out.splitlines()
    cost, held_out = re.fullmatch(r"cost (0\.\d{3}), held out (\d\d\.\d)%", line).groups()  # type: ignore[union-attr]
    assert float(cost) < 0.25
    assert float(held_out) > 89
    assert session["history"].compiled
    assert "<canvas" in (tmp_path / "digits.html").read_text()


def test_it_fits_on_one_screen() -> None:
    assert len(README.splitlines()) <= 80


def test_the_commands_are_single_lines_that_make_their_own_environment() -> None:
    commands = blocks("sh")
    assert len(commands) == 2
    for command in commands:
        assert len(command.splitlines()) == 1
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install")
    assert commands[0].rstrip().endswith("examples/digits.py")
    assert commands[1].rstrip().endswith("-m pytest -q")
