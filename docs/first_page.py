"""Draw what-it-learned.png for the first page: three pictures of networks that learned something.

python docs/first_page.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure, SubFigure

from autonn import SoftmaxCrossEntropy, data, fit, optim, plots

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
import digits
import spirals

PICTURE = Path(__file__).with_name("what-it-learned.png")


def draw_digits(reading: SubFigure, units: SubFigure) -> None:
    """Train the network of the main example, and draw what it reads, and what it looks for."""
    training, held_out = digits.split_digits()
    model = digits.network()
    optimizer = optim.SGD(lr=0.8)
    digits.learn(model, training, None, optimizer=optimizer, iterations=800, penalty=1.0)
    some = np.random.default_rng(1).permutation(len(held_out.y))[:30]
    read = model.predict(held_out.X[some]).argmax(axis=1)
    wrong = read != held_out.y[some]
    plots.digits(data.as_images(held_out.X[some]), read, wrong=wrong, columns=6, figure=reading)
    plots.hidden_units(model[0].weight.data, figure=units)


def draw_spirals(plane: SubFigure) -> None:
    """Train the network of the spirals, and draw what it takes each place for."""
    rng = np.random.default_rng(0)
    X, y = spirals.spirals(100, rng)
    model = spirals.network(rng)
    fit(model, X, y, loss=SoftmaxCrossEntropy(), optimizer=optim.Adam(lr=0.03), epochs=400)
    ax = plots.decision_boundary(model, X, y, ax=plane.subplots())
    ax.set(xlabel="", ylabel="", xticks=[], yticks=[], title="the arms of a spiral, told apart")
    ax.legend_ = None


def main() -> None:
    """Draw the three beside one another."""
    figure = Figure(figsize=(13, 5), layout="constrained")
    reading, units, plane = figure.subfigures(1, 3, squeeze=False, width_ratios=[1.25, 1, 1])[0]
    reading.suptitle("digits that it never saw, as it reads them")
    units.suptitle("what its hidden units look for")
    draw_digits(reading, units)
    draw_spirals(plane)
    figure.savefig(PICTURE, dpi=90)


if __name__ == "__main__":
    main()
