"""Teach a small network to tell the arms of a spiral apart, and draw where it sees which.

    python examples/spirals.py

Each example is a place in the plane, and its class is the arm that it lies on. No straight lines
part the arms, but two hidden layers of 16 units can bend the plane until some do. The last layer
gives a number for each arm, and the largest is the answer; the softmax, which makes probabilities
of them, is in the loss.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from autonn import Layer, Sequential, SoftmaxCrossEntropy, Tanh, fit, optim, plots
from autonn.training import accuracy

PLOTS = Path("plots")
ARMS = 3


def spirals(count: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Draw places on arms that wind once around the middle, so many on each, a little scattered."""
    arm = np.repeat(np.arange(ARMS), count)
    radius = np.sqrt(rng.uniform(0.02, 1, ARMS * count))  # the root spreads them evenly
    angle = 2 * np.pi * (1.2 * radius + arm / ARMS)
    X = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return X + rng.normal(0, 0.03, X.shape), arm


def network(rng: np.random.Generator) -> Sequential:
    """Build it: two numbers come in, and one for each arm goes out."""
    return Sequential(
        Layer(2, 16, rng=rng), Tanh(), Layer(16, 16, rng=rng), Tanh(), Layer(16, ARMS, rng=rng)
    )


def main() -> None:
    """Train the network on some places, ask it about others, and draw the whole plane."""
    rng = np.random.default_rng(0)
    X, y = spirals(100, rng)
    X_new, y_new = spirals(100, rng)
    model = network(rng)
    print(model.summary())

    optimizer = optim.Adam(lr=0.03)
    history = fit(model, X, y, loss=SoftmaxCrossEntropy(), optimizer=optimizer, epochs=400)
    print(f"\ncost after epoch 1         {history.cost[0]:8.4f}")
    print(f"cost after epoch {len(history)}       {history.cost[-1]:8.4f}")
    print(f"accuracy, {len(y)} learned     {accuracy(model, X, y):8.1%}")
    print(f"accuracy, {len(y_new)} new         {accuracy(model, X_new, y_new):8.1%}")

    figure = Figure(figsize=(7, 6), layout="constrained")
    plots.decision_boundary(model, X_new, y_new, ax=figure.subplots())
    PLOTS.mkdir(exist_ok=True)
    figure.savefig(PLOTS / "spirals.png", dpi=150)
    print(f"\nWhat it takes each place for is in {PLOTS / 'spirals.png'}")


if __name__ == "__main__":
    main()
