"""Lay all handwritten digits out on a map, and draw those that nobody wrote.

    python examples/vae.py                 train, and draw the map
    python examples/vae.py --epochs 10     in less time, and less sharp

A variational autoencoder (Kingma and Welling, 2014) squeezes each picture of 400 pixels into two
numbers, a place on a map, and draws it again from there. But it never hits the place exactly: it
gets a cloud around it, so that what lies close together must look alike, and a second cost keeps
all clouds near the middle. So the map has no holes, and each place of it is a digit. Ten seconds
bring the cost from 264 after the first epoch to 84. The picture shows where the digits lie, by
their kind, of which the network was told nothing, and what it draws at each place.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.special import expit, ndtri
from threadpoolctl import threadpool_limits

from autonn import (
    Linear,
    Module,
    ReLU,
    Sequential,
    SigmoidCrossEntropy,
    data,
    load_digits,
    optim,
    train_step,
)

PLOTS = Path("plots")
BATCH = 100


class Autoencoder(Module):
    """From pictures to places, and from places to pictures."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.encoder = Sequential(Linear(400, 256, rng=rng), ReLU(), Linear(256, 4, rng=rng))
        self.decoder = Sequential(
            Linear(2, 128, rng=rng),
            ReLU(),
            Linear(128, 256, rng=rng),
            ReLU(),
            Linear(256, 400, rng=rng),
        )

    def forward(self, given: Any) -> Any:
        """From pictures (m, 400) and noise (m, 2) draw the pictures again, as logits.

        With them come the places, and the logarithms of the clouds' variances.
        """
        pictures, noise = given
        code = self.encoder(pictures)
        place, log_variance = code[:, :2], code[:, 2:]
        return self.decoder(place + np.exp(log_variance / 2) * noise), place, log_variance


def cost(results: Any, pictures: Any) -> Any:
    """Add what the pictures lack to what the places tell, KL(N(place, variance) || N(0, 1))."""
    logits, place, log_variance = results
    told = np.sum(np.square(place) + np.exp(log_variance) - log_variance - 1) / 2
    return 400 * SigmoidCrossEntropy()(logits, pictures) + told / len(pictures)


def draw(model: Autoencoder, pictures: NDArray[np.float32], y: NDArray[np.int64]) -> None:
    """Draw where the digits lie, and what the network draws at places all over the map."""
    figure = Figure(figsize=(12, 6), layout="constrained")
    left, right = figure.subplots(1, 2)
    places = model.encoder.predict(pictures)[:, :2]
    dots = left.scatter(*places.T, c=y, s=5, cmap="tab10", vmin=-0.5, vmax=9.5)
    figure.colorbar(dots, ax=left, ticks=range(10), shrink=0.7)
    left.set(title="where the digits lie", aspect="equal", xlim=(-3.5, 3.5), ylim=(-3.5, 3.5))
    steps = ndtri(np.linspace(0.02, 0.98, 18))  # as many digits lie between each two of them
    grid = np.stack(np.meshgrid(steps, steps[::-1]), axis=-1).reshape(-1, 2)
    drawn = data.as_images(expit(model.decoder.predict(grid.astype(np.float32))))
    sheet = drawn.reshape(18, 18, 20, 20).swapaxes(1, 2).reshape(360, 360)
    right.imshow(sheet, cmap="Greys", extent=(-2.05, 2.05, -2.05, 2.05))
    right.set(title="what it draws there", xticks=[], yticks=[])
    PLOTS.mkdir(exist_ok=True)
    figure.savefig(PLOTS / "vae.png", dpi=150)


def main() -> None:
    """Train the network, and draw the map."""
    parser = argparse.ArgumentParser(description="Lay all handwritten digits out on a map.")
    parser.add_argument("--epochs", type=int, default=40, help="(default: 40)")
    epochs = parser.parse_args().epochs

    rng = np.random.default_rng(0)
    digits = load_digits()
    X = np.clip(digits.X, 0, 1).astype(np.float32)  # shares of ink
    model = Autoencoder(rng).astype(np.float32)
    step = train_step(model, cost, optim.Adam(lr=optim.one_cycle(0.003, epochs * len(X) // BATCH)))
    for epoch in range(epochs):
        costs = []
        for rows in data.batches(len(X), BATCH, rng):
            noise = rng.standard_normal((len(rows), 2), dtype=np.float32)
            costs.append(step((X[rows], noise), X[rows]))
        if epoch in (0, 4, 9, 19, epochs - 1):
            print(f"epoch {epoch + 1:3}   cost {np.mean(costs):7.2f}", flush=True)
    draw(model, X, digits.y)
    print(f"\nThe map is in {PLOTS / 'vae.png'}")


if __name__ == "__main__":
    with threadpool_limits(1):  # small products: threads would wait for each other
        main()
