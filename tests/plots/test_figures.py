"""What all pictures share: figures that show themselves, one palette, and no trace left behind."""

from __future__ import annotations

import copy
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from tools.pictures import network, penalised_loss, rendered, trained_once, unreadable, whole

from autonn import Layer, MeanSquaredError, plots
from autonn.plots import style
from autonn.training import RateSearch

# One of each: small, for they are only shown here.
SHOWN: dict[str, Callable[[], Any]] = {
    "computation_graph": lambda: plots.computation_graph(penalised_loss(network())),
    "confusion_matrix": lambda: plots.confusion_matrix([0, 1], [0, 0], classes=2),
    "decision_boundary": lambda: plots.decision_boundary(Layer(2, 2, rng=0), np.eye(2), [0, 1]),
    "digits": lambda: plots.digits(np.ones((1, 2, 2))),
    "gradient_flow": lambda: plots.gradient_flow(trained_once(network())),
    "hidden_units": lambda: plots.hidden_units(np.ones((1, 4))),
    "learning_curve": lambda: plots.learning_curve({"cost": [2.0, 1.0]}),
    "loss_surface": lambda: plots.loss_surface(
        Layer(1, 1, rng=0), MeanSquaredError(), np.ones((2, 1)), np.ones((2, 1)), rng=0, points=3
    ),
    "probability_bars": lambda: plots.probability_bars([0.2, 0.8]),
    "rate_curve": lambda: plots.rate_curve(RateSearch([0.1, 1.0], [2.0, 1.0], [2.0, 1.5], 0.1)),
    "readings": lambda: plots.readings(np.ones((1, 2, 2)), [[0.2, 0.8]]),
    "worst_mistakes": lambda: plots.worst_mistakes(np.ones((1, 2, 2)), [[0.2, 0.8]], [0]),
}


def test_each_picture_is_shown_here() -> None:
    """All that the room exports, but for the shape of a grid, which is no picture."""
    assert sorted(SHOWN) == [name for name in plots.__all__ if name != "grid_shape"]


@pytest.mark.parametrize("name", SHOWN)
def test_a_picture_shows_itself_in_a_notebook(name: str) -> None:
    """IPython asks for the bytes of a PNG; figures and axes of all kinds have one way to them."""
    picture = SHOWN[name]()
    figure = picture.figure.figure
    assert isinstance(figure, Figure)
    assert type(figure) is type(plots.digits(np.ones((1, 2, 2))))
    shows: Any = type(figure)
    assert type(picture)._repr_png_ is shows._repr_png_  # of axes it is the same picture


@pytest.mark.parametrize("name", ["learning_curve", "probability_bars"])  # a figure, and axes
def test_what_is_shown_is_the_whole_figure_at_its_own_resolution(name: str) -> None:
    picture = SHOWN[name]()
    png = picture._repr_png_()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    size = [int.from_bytes(png[k : k + 4], "big") for k in (16, 20)]
    figure = picture.figure.figure
    np.testing.assert_allclose(size, figure.get_size_inches() * figure.dpi, atol=1)


def test_pictures_are_copied_and_pickled() -> None:
    """As figures of Matplotlib are, though their class is made when it is first needed."""
    figure = whole(plots.probability_bars([0.2, 0.8]))
    again = [pickle.loads(pickle.dumps(figure)), copy.deepcopy(figure)]
    pixels = rendered(figure)
    for other in again:
        assert type(other) is type(figure)
        assert type(other.axes[0]) is type(figure.axes[0])
        np.testing.assert_array_equal(rendered(other), pixels)
    with pytest.raises(AttributeError, match="has no attribute 'Canvass'"):
        style.Canvass  # noqa: B018


def test_colours_stand_in_the_palette_alone() -> None:
    """No other file of the room writes one down in numbers."""
    for path in Path(style.__file__).parent.glob("*.py"):
        written = re.findall(r"#[0-9A-Fa-f]{6}\b", path.read_text())
        assert bool(written) == (path.name == "style.py"), path


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
        "assert plots.probability_bars([0.2, 0.8])._repr_png_().startswith(b'\\x89PNG')\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.startswith(b"\x89PNG")
