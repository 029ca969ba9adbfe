"""What all pictures share: texts that can be read, and no trace left behind."""

from __future__ import annotations

import subprocess
import sys

from matplotlib.figure import Figure
from tools.pictures import unreadable


def test_a_collision_a_clipped_and_a_small_text_are_seen() -> None:
    """The check that every picture must pass fails where it must."""
    figure = Figure()
    for x in (0.50, 0.51, 0.99):
        figure.text(x, 0.5, "some words")
    figure.text(0.1, 0.1, "whispered", fontsize=7)
    assert unreadable(figure) == [
        "whispered is small",
        "some words is clipped",
        "some words on some words",
    ]


def test_pictures_leave_no_trace() -> None:
    """Importing needs no Matplotlib; drawing needs no pyplot, which would keep every figure."""
    program = (
        "import sys, autonn.plots as plots\n"
        "assert 'matplotlib' not in sys.modules\n"
        "plots.learning_curve({'cost': [2.0, 1.0]}).savefig(sys.stdout.buffer)\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.startswith(b"\x89PNG")
