"""Let two networks play against each other, until one makes points like those it never saw.

    python examples/gan.py                  play, and draw six moments of the game
    python examples/gan.py --steps 500      a short game

Points lie around eight places on a circle. The generator turns noise into points; the critic is
shown true and made ones and has to tell them apart. Each learns from the other: the critic from its
errors, the generator from what would have fooled the critic, which is a gradient that comes through
it (Goodfellow et al., 2014). Nobody shows the generator a true point. At first its points lie in a
heap; they fly apart, gather along the circle, and after a dozen seconds eight in ten lie where the
true ones do, at all eight places.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from autonn import LeakyReLU, Linear, Module, Sequential, SigmoidCrossEntropy, optim, train_step

PLOTS = Path("plots")
Points = NDArray[np.float64]
NOISE, BATCH = 8, 128
ANGLES = 2 * np.pi * np.arange(8) / 8
PLACES = 2 * np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)


def true_points(count: int, rng: np.random.Generator) -> Points:
    """Draw points around the eight places."""
    return PLACES[rng.integers(8, size=count)] + rng.normal(0, 0.1, (count, 2))


def network(inputs: int, outputs: int, rng: np.random.Generator) -> Sequential:
    """Build one of the two, which look alike."""
    return Sequential(
        Linear(inputs, 64, rng=rng), LeakyReLU(0.2), Linear(64, 64, rng=rng), LeakyReLU(0.2),
        Linear(64, outputs, rng=rng),
    )  # fmt: skip


def share_near(points: Points) -> tuple[float, int]:
    """Return which share of points lies where true ones do, and at how many of the places."""
    distances = np.linalg.norm(points[:, None] - PLACES, axis=2)
    near = distances.min(axis=1) < 0.4
    return float(near.mean()), len(np.unique(distances.argmin(axis=1)[near]))


def draw(moments: dict[int, Points]) -> None:
    """Draw what the generator made at some moments, over the true points."""
    figure = Figure(figsize=(10, 6.6), layout="constrained")
    true = true_points(500, np.random.default_rng(0))
    for ax, (step, points) in zip(figure.subplots(2, 3).flat, moments.items(), strict=False):
        ax.plot(*true.T, ".", color="0.8", ms=4)
        ax.plot(*points.T, ".", color="#D55E00", ms=2)
        ax.set(title=f"step {step}", xlim=(-3, 3), ylim=(-3, 3), aspect="equal")
    PLOTS.mkdir(exist_ok=True)
    figure.savefig(PLOTS / "gan.png", dpi=150)


def main() -> None:
    """Play, and draw how it went."""
    parser = argparse.ArgumentParser(description="Let two networks play against each other.")
    parser.add_argument("--steps", type=int, default=6000, help="(default: 6000)")
    steps = parser.parse_args().steps

    rng = np.random.default_rng(0)
    generator, critic = network(NOISE, 2, rng), network(2, 1, rng)
    rates: dict[str, Any] = {"lr": optim.cosine(0.001, steps), "beta1": 0.5}
    judge = train_step(critic, SigmoidCrossEntropy(), optim.Adam(**rates))
    # Both in a row: what is judged is what was made. Only the generator learns.
    both: Module = Sequential(generator, critic)
    make = train_step(both, SigmoidCrossEntropy(), optim.Adam(generator.parameters(), **rates))

    truth, lie = np.ones((BATCH, 1)), np.zeros((BATCH, 1))
    moments: dict[int, Points] = {}
    shown = rng.normal(size=(1000, NOISE))
    for k in range(steps + 1):
        if k in (0, steps // 20, steps // 10, steps // 4, steps // 2, steps):
            moments[k] = generator.predict(shown)
            near, places = share_near(moments[k])
            print(f"step {k:5}   {near:6.1%} near true ones, at {places} of 8 places", flush=True)
        noise = rng.normal(size=(BATCH, NOISE))
        points = np.concatenate([true_points(BATCH, rng), generator.predict(noise)])
        judge(points, np.concatenate([truth, lie]))
        make(noise, truth)
    draw(moments)
    print(f"\nThe game is in {PLOTS / 'gan.png'}")


if __name__ == "__main__":
    main()
