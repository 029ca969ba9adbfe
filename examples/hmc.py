"""Ask a network how sure it is: all the curves that go through some points, not the best alone.

    python examples/hmc.py                  sample 500 networks, and draw what they say
    python examples/hmc.py --samples 100    in less time

Training finds one network that fits. By Bayes' rule every network has its probability, the higher
the better it fits and the smaller its weights. Hamiltonian Monte Carlo (Duane et al., 1987; Neal,
2011) walks among them in these shares: it lets a ball roll over the landscape of the cost for a
while, from a push in a random direction, which takes one gradient for each step of its way, and
starts anew from where it came. After ten seconds the picture shows what was to be shown: near the
points all networks agree within the noise, and where there are none they say that they don't know.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.optimize import minimize

from autonn import compile, value_and_grad

PLOTS = Path("plots")
Array = NDArray[np.float64]
HIDDEN, NOISE = 20, 0.1
COUNT = 3 * HIDDEN + 1


def examples(rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw points of a curve, in two groups, with noise."""
    x = np.concatenate([rng.uniform(-4, -1.5, 20), rng.uniform(1, 3, 20)])
    return x, np.sin(x) + rng.normal(0, NOISE, len(x))


def curve(theta: Any, x: Any) -> Any:
    """Compute a network of one hidden layer, whose parameters stand in one vector."""
    w1, b1, w2, b2 = np.split(theta, [HIDDEN, 2 * HIDDEN, 3 * HIDDEN])
    return np.tanh(x[:, None] * w1 + b1) @ w2 / np.sqrt(HIDDEN) + b2


def energy(theta: Any, x: Any, y: Any) -> Any:
    """Compute -ln of the probability: of points with such noise, and weights of variance 4."""
    missed = (curve(theta, x) - y) / NOISE
    return np.sum(np.square(missed)) / 2 + np.sum(np.square(theta)) / 8


def roll(
    slope: Any, theta: Array, speed: Array, step: float, count: int
) -> tuple[float, Array, Array]:
    """Let a ball roll over the energy by leaps: half a push, a way, a push, ..., half a push."""
    _, push = slope(theta)
    for _ in range(count):
        speed = speed - step / 2 * push
        theta = theta + step * speed
        height, push = slope(theta)
        speed = speed - step / 2 * push
    return float(height), theta, speed


def walk(slope: Any, theta: Array, samples: int, rng: np.random.Generator) -> tuple[Array, float]:
    """Return so many networks, and the share of ways that were taken.

    A ball keeps its energy. If the leaps lost or gained some, the way counts with exp(-gain) only.
    """
    found, taken = [], 0
    height = float(slope(theta)[0])
    for _ in range(samples):
        speed = rng.normal(size=COUNT)
        before = height + speed @ speed / 2
        new, there, speed = roll(slope, theta, speed, rng.uniform(0.005, 0.01), 150)
        if np.log(rng.random()) < before - new - speed @ speed / 2:
            theta, height, taken = there, new, taken + 1
        found.append(theta)
    return np.array(found), taken / samples


def draw(x: Array, y: Array, line: Array, curves: Array, best: Array) -> None:
    """Draw the points, the best network, some that were sampled, and where nine in ten lie."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    ax = figure.subplots()
    low, high = np.percentile(curves, [5, 95], axis=0)
    ax.fill_between(line, low, high, color="#0072B2", alpha=0.15, label="nine of ten networks")
    ax.plot(line, curves[:: max(1, len(curves) // 12)].T, color="#0072B2", lw=0.6)
    ax.plot(line, best, color="#D55E00", label="the best network")
    ax.plot(x, y, "k.", label="the points")
    ax.set(ylim=(-2.5, 2.5), xlabel="x", ylabel="y")
    ax.legend()
    PLOTS.mkdir(exist_ok=True)
    figure.savefig(PLOTS / "hmc.png", dpi=150)


def main() -> None:
    """Find the best network, walk among the others from there, and see where they disagree."""
    parser = argparse.ArgumentParser(description="Ask a network how sure it is.")
    parser.add_argument("--samples", type=int, default=500, help="(default: 500)")
    samples = parser.parse_args().samples

    rng = np.random.default_rng(0)
    x, y = examples(rng)
    program = compile(value_and_grad(energy))

    def slope(theta: Array) -> Any:
        return program(theta, x, y)

    best = minimize(slope, rng.normal(size=COUNT), jac=True, method="L-BFGS-B").x
    found, taken = walk(slope, best, samples + samples // 5, rng)
    line = np.linspace(-6, 6, 200)
    curves = np.array(
        [curve(theta, line) for theta in found[samples // 5 :]]
    )  # on its way at first
    print(f"{samples} networks of {COUNT} parameters; {taken:.0%} of the ways were taken\n")
    print("   x    sin x    networks, and their spread")
    for place in (-5.5, -3.0, -2.0, 0.0, 2.0, 5.0):
        said = curves[:, np.abs(line - place).argmin()]
        print(f"{place:5.1f}   {np.sin(place):6.2f}   {said.mean():6.2f} +- {said.std():.2f}")
    draw(x, y, line, curves, curve(best, line))
    print(f"\nWhat they say is in {PLOTS / 'hmc.png'}")


if __name__ == "__main__":
    main()
