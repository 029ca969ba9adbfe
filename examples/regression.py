"""Fit a curve through noisy points, and see how near to the truth it comes.

    python examples/regression.py

The points are made here, from a known function and with noise of a known size. So we can measure
what nobody knows of real data: how far the network is from the truth. The noise of a new point
can't be foreseen by any model, so even the truth is off by as much.
"""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from autonn import Layer, MeanSquaredError, Sequential, Tanh, fit, optim

PLOTS = Path("plots")
NOISE = 0.2


def truth(x: Any) -> Any:
    """Compute the function that the points are made from; the network never sees it."""
    return np.sin(2 * x) + x / 2


def examples(count: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """Draw points (x, y): one example a row, so both have the shape (count, 1)."""
    x = rng.uniform(-3, 3, (count, 1))
    return x, truth(x) + rng.normal(0, NOISE, x.shape)


def error(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the root of the mean squared error, which has the unit of y."""
    return float(np.sqrt(MeanSquaredError()(a, b)))


def draw(model: Sequential, x: NDArray[np.float64], y: NDArray[np.float64]) -> Figure:
    """Draw the points, what the network made of them, and what they were made from."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    ax = figure.subplots()
    line = np.linspace(-3, 3, 300)[:, None]
    ax.plot(x, y, "o", color="#999999", markersize=4, label=f"{len(x)} examples, noise {NOISE}")
    ax.plot(line, truth(line), "--", color="black", label="truth")
    ax.plot(line, model.predict(line), color="#0072B2", linewidth=2, label="network")
    ax.set(xlabel="x", ylabel="y")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)
    return figure


def main() -> None:
    """Train the network on 80 points, compare it with 1,000 new ones, and draw it."""
    rng = np.random.default_rng(0)
    x, y = examples(80, rng)
    x_new, y_new = examples(1000, rng)
    model = Sequential(
        Layer(1, 16, rng=rng), Tanh(), Layer(16, 16, rng=rng), Tanh(), Layer(16, 1, rng=rng)
    )
    fit(model, x, y, loss=MeanSquaredError(), optimizer=optim.LBFGS(), epochs=300)

    learned = error(model.predict(x), y)
    print("How far off, as the root of the mean square:")
    print(f"  noise that was added            {NOISE:.3f}")
    print(
        f"  network on {len(x)} examples learned  {learned:.3f}  some of their noise is learned too"
    )
    print(f"  network on {len(x_new):,} new examples   {error(model.predict(x_new), y_new):.3f}")
    print(
        f"  truth on the new examples       {error(truth(x_new), y_new):.3f}  no model does better"
    )
    print(f"  network from the truth          {error(model.predict(x_new), truth(x_new)):.3f}")

    PLOTS.mkdir(exist_ok=True)
    draw(model, x, y).savefig(PLOTS / "regression.png", dpi=150)
    print(f"\nThe curve is in {PLOTS / 'regression.png'}")


if __name__ == "__main__":
    main()
