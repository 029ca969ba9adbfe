"""A text file is cut or spoilt in no way that hides a digit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tools.made_files import refused, text

from autonn.files import read_weights, write_weights


def test_text_cut_inside_a_number_is_found(tmp_path: Path, thetas: list[Any]) -> None:
    """Every cut but one at the end of a line."""
    W1, W2 = tmp_path / "W1.in", tmp_path / "W2.in"
    write_weights(thetas, W1, W2)
    content = W2.read_bytes()
    for size in range(len(content)):
        W2.write_bytes(content[:size])
        if not content[:size].endswith(b"\n"):
            says = "found that the last line has no end, expected" if size else "the file is empty"
            refused(read_weights, W1, W2, says=("W2.in: Theta2", says))


@pytest.mark.parametrize("stray", "#%\"'_x;\0")
def test_a_stray_character_is_no_comment(tmp_path: Path, stray: str) -> None:
    """It would hide the end of a row's last number."""
    path = text(tmp_path / "W1.in", f"1,2.5\n3,4.5{stray}25\n")
    refused(read_weights, path, says=("W1.in: Theta1",))
