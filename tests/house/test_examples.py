"""The short examples run, and print what they promise."""

from __future__ import annotations

import itertools
import re
import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def printed(command: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Run an example as from the command line, and return the lines that it prints."""
    name, *options = command.split()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [name, *options])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    return capsys.readouterr().out.splitlines()


def numbers(line: str) -> list[float]:
    """Return the numbers that stand alone in a line, percentages as parts of 1."""
    words = (word.replace(",", "") for word in line.split())
    found = [re.fullmatch(r"(-?\d+(?:\.\d+)?)(%?)", word) for word in words]
    return [round(float(m[1]) / (100 if m[2] else 1), 6) for m in found if m]


def starting(lines: list[str], words: str) -> str:
    """Return the one line that starts with these words."""
    (line,) = (line.strip() for line in lines if line.strip().startswith(words))
    return line


def assert_written(*names: str) -> None:
    """Demand these pictures, of a sensible size, and no other file."""
    assert sorted(str(path) for path in Path().rglob("*.*")) == [f"plots/{n}" for n in names]
    for name in names:
        head = Path("plots", name).read_bytes()[:24]
        assert head[:8] == b"\x89PNG\r\n\x1a\n"
        assert all(500 < int.from_bytes(head[k : k + 4], "big") < 2000 for k in (16, 20))


def test_custom_op(capsys: pytest.CaptureFixture[str]) -> None:
    right, wrong, square, huber = printed("custom_op.py", capsys)
    assert right == "the rule is right: True"
    assert "index (0,): -3.0, but the slope is -6.0" in wrong
    assert "y = 1.53 t + 1.74" in square
    assert "y = 2.05 t + 0.99" in huber


def test_xor(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed("xor.py", capsys)
    assert numbers(starting(lines, "cost of a single layer")) == [0.6931]
    assert numbers(starting(lines, "cost with a hidden layer"))[0] < 0.01
    rows = [numbers(line) for line in lines[4:8]]
    assert [row[:4] for row in rows] == [
        [0, 0, 0, 0.5],
        [0, 1, 1, 0.5],
        [1, 0, 1, 0.5],
        [1, 1, 0, 0.5],
    ]
    # As the last line says: the hidden units stand for `neither` and `both`.
    hidden = [[round(unit) for unit in row[4:6]] for row in rows]
    assert hidden == [[1, 0], [0, 0], [0, 0], [0, 1]]
    assert [row[6] for row in rows] == pytest.approx([row[2] for row in rows], abs=0.02)


def test_spirals(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed("spirals.py", capsys)
    assert numbers(starting(lines, "accuracy, 300 learned"))[-1] > 0.99
    assert numbers(starting(lines, "accuracy, 300 new"))[-1] > 0.95
    assert_written("spirals.png")


def test_regression(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed("regression.py", capsys)
    noise, learned, new, truth, apart = (numbers(line)[-1] for line in lines[1:6])
    assert learned < noise < new < 1.25 * noise
    assert truth == pytest.approx(noise, rel=0.05)
    assert apart < 0.6 * noise
    assert new == pytest.approx((truth**2 + apart**2) ** 0.5, rel=0.05)
    assert_written("regression.png")


def test_second_order(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed("second_order.py", capsys)
    count, _, largest = numbers(starting(lines, "17 of them"))
    assert count == 17
    assert numbers(starting(lines, "the largest, h"))[-1] == largest
    before, after = numbers(starting(lines, "1.9 / h"))[1:]
    assert after == pytest.approx(before * 0.9**25, rel=0.05)
    before, after = numbers(starting(lines, "2.1 / h"))[1:]
    assert after == pytest.approx(before * 1.1**25, rel=0.05)
    table = [numbers(line) for line in lines[lines.index("") :] if re.match(r" +\d+ ", line)]
    newton = [row[1] for row in table if len(row) == 3]
    assert newton[-1] > 8
    assert len(newton) <= 6
    assert all(b > 1.5 * a for a, b in itertools.pairwise(newton))
    descent = {int(row[0]): row[-1] for row in table}
    assert descent[4] < 1 < descent[100] < descent[300] < descent[1000]


def test_digits_deep(capsys: pytest.CaptureFixture[str]) -> None:
    """Two of its epochs; all twenty reach 96.9 to 97.8 % on the held-out digits."""
    lines = printed("digits_deep.py --epochs 2 --seed 3", capsys)
    assert numbers(lines[0]) == [3500, 17500]
    assert numbers(lines[1]) == [500, 1000]
    assert numbers(starting(lines, "training cost"))[-1] < 0.5
    training = numbers(starting(lines, "training accuracy"))[-1]
    held_out = numbers(starting(lines, "held-out accuracy"))[-1]
    assert 0.91 < held_out == round(held_out, 3) < training  # a share of 1,000
    assert_written("deep_learning_curve.png", "deep_worst_mistakes.png")


def test_homework(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed("homework.py", capsys)
    (wrong,) = (line for line in lines if "✗" in line)
    assert "delta2 = delta3 @ Theta2[:, 1:]" in wrong
    number = wrong.split()[0]
    cause = starting(lines, f"line {number}, delta2:")
    assert "slope of the activation is missing" in cause
    assert "a(1 - a)" in cause
    assert starting(lines, "mended:").endswith("the cost and all gradients are right")
