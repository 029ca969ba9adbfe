"""The short examples run, and print what they promise."""

from __future__ import annotations

import itertools
import re
import runpy
import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from tools.profiles import THOROUGH

import autonn
from autonn.data import Digits

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give it a folder of its own; pictures are written there at a third of their resolution."""
    monkeypatch.chdir(tmp_path)
    savefig = Figure.savefig
    coarse = lambda figure, path, dpi: savefig(figure, path, dpi=dpi / 3)  # noqa: E731
    monkeypatch.setattr(Figure, "savefig", coarse)


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
        assert all(500 < 3 * int.from_bytes(head[k : k + 4], "big") < 2000 for k in (16, 20))


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


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed("explain.py", capsys)
    formulas = [line.split("  #")[0].strip() for line in lines if "  # " in line]
    assert formulas[:2] == ["a1 = X", "z2 = np.c_[np.ones(m), a1] @ Theta1.T"]
    assert "delta2 = (delta3 @ Theta2[:, 1:]) * a2 * (1 - a2)" in formulas
    number, terms = starting(lines, "dJ/dTheta1[0, 2] ="), lines[lines.index("forward") :]
    parts = [line for line in terms if re.match(r" +delta2\[\d, 0\] \* a1\[\d, 1\] / m ", line)]
    assert len(parts) == 4
    assert sum(float(line.split("=")[1]) for line in parts) == pytest.approx(
        float(number.split("=")[1]), rel=1e-4
    )
    assert float(starting(lines, "run as printed").split()[-1]) < 1e-15
    assert float(starting(lines, "moved by").split()[-1]) < 1e-9
    assert_written("explain.png")


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


def test_digits_conv(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One of its forty epochs, every day with half of the digits: it reads 61 % then, and 84."""
    digits, every = autonn.load_digits(), 1 if THOROUGH else 2
    some = Digits(digits.X[::every], digits.y[::every], digits.images[::every])
    monkeypatch.setattr(autonn, "load_digits", lambda: some)
    lines = printed("digits_conv.py --epochs 1", capsys)
    assert numbers(lines[0]) == [5000 // every - 1000, 1000]
    assert numbers(starting(lines, "held-out accuracy"))[-1] > (0.7 if THOROUGH else 0.4)
    assert_written("conv_shown.png", "conv_worst_mistakes.png")


def test_gpt(capsys: pytest.CaptureFixture[str]) -> None:
    """The first twelve of its thousand steps; the text differs with the version of Python."""
    lines = printed("gpt.py --steps 12", capsys)
    characters, different = numbers(lines[0])
    assert characters > 200_000 > 1000 > different > 80
    costs = [float(line.split()[-1]) for line in lines if line.startswith("--- step")]
    assert len(costs) == 2
    assert 5.5 > costs[0] > 4.6 > costs[-1] > 2.5
    assert 2.2 < numbers(starting(lines, "cost of the best pairs"))[-1] < 2.7
    assert_written("gpt.png")


def test_names(capsys: pytest.CaptureFixture[str]) -> None:
    """Three of its twenty epochs; all reach 2.3."""
    lines = printed("names.py --epochs 3", capsys)
    assert numbers(lines[0]) == [353, 40]
    pairs = numbers(starting(lines, "cost of a character, by counting"))[-1]
    for title in ("cost, from three", "cost, from all"):
        assert 2.2 < numbers(starting(lines, title))[-1] < pairs + 0.3
        (invented,) = (b for a, b in itertools.pairwise(lines) if a.startswith(title))
        assert re.fullmatch(r"[a-z]+( [a-z]+){11}", invented)
    assert_written("names.png")


def test_vae(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed("vae.py --epochs 2", capsys)
    first, last = (numbers(line)[-1] for line in lines if line.startswith("epoch"))
    assert 250 > last < first / 1.5
    assert_written("vae.png")


def test_gan(capsys: pytest.CaptureFixture[str]) -> None:
    """A twentieth of the game, after which the points have left the heap."""
    lines = printed("gan.py --steps 300", capsys)
    shares = [float(line.split("%")[0].split()[-1]) for line in lines if line.startswith("step")]
    assert len(shares) == 6
    assert shares[0] < 1 < shares[-1]
    assert_written("gan.png")


def test_pinn(capsys: pytest.CaptureFixture[str]) -> None:
    """Sixty of its iterations."""
    lines = printed("pinn.py --iterations 60", capsys)
    first, last = (
        numbers(starting(lines, f"cost after iteration {k}"))[-1] for k in ("1 ", "  60")
    )
    assert 1.3 < first < 2
    assert last < 0.3 * first
    assert numbers(starting(lines, "error"))[-1] < 0.4
    assert_written("pinn.png")


def test_policy(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed("policy.py --updates 10", capsys)
    pushes = [numbers(line.replace("update", ""))[-1] for line in lines if "pushes" in line]
    assert pushes[0] < 25
    assert pushes[-1] > 4 * pushes[0]
    assert_written("policy.png")


def test_word2vec(capsys: pytest.CaptureFixture[str]) -> None:
    """One of its five epochs: of what it finds, this is found first."""
    lines = printed("word2vec.py --epochs 1", capsys)
    assert "false" in starting(lines, "true:")
    assert_written("word2vec.png")


def test_resnet(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed("resnet.py --epochs 1 --blocks 1", capsys)
    without, cost = (float(line.split("cost")[1].split(",")[0]) for line in lines[:2])
    assert 1 < cost < 2.25 > without > 1
    assert_written("resnet.png")


def test_maml(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed("maml.py --steps 20", capsys)
    for name in ("learned to learn", "learned the mean"):
        before, after, later = numbers(starting(lines, name))
        assert later < before < 10
        assert 0 < after < 10
    assert_written("maml.png")


def test_hmc(capsys: pytest.CaptureFixture[str]) -> None:
    """A tenth of its networks: where there are points, they agree; where there are none, less."""
    lines = printed("hmc.py --samples 50", capsys)
    assert float(lines[0].split("%")[0].split()[-1]) > 70
    spread = {line.split()[0]: float(line.split("+-")[1]) for line in lines if "+-" in line}
    for place in ("-3.0", "-2.0", "2.0"):
        assert spread[place] < 0.08 < 0.2 < spread["0.0"]
        assert spread[place] < spread["5.0"]
    assert_written("hmc.png")


def test_homework(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed("homework.py", capsys)
    (wrong,) = (line for line in lines if "✗" in line)
    assert "delta2 = delta3 @ Theta2[:, 1:]" in wrong
    number = wrong.split()[0]
    cause = starting(lines, f"line {number}, delta2:")
    assert "slope of the activation is missing" in cause
    assert "a(1 - a)" in cause
    assert starting(lines, "mended:").endswith("the cost and all gradients are right")
