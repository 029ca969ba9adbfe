"""Solve a differential equation by a network: how a wave steepens, without a grid.

    python examples/pinn.py                     solve it, measure the error, draw the wave
    python examples/pinn.py --iterations 200    in less time, and less exactly

Burgers' equation, ``u_t + u u_x = nu u_xx`` for -1 < x < 1, says how a wave runs: the higher it is,
the faster, so that it steepens, while viscosity smooths it. The network is the function u(t, x)
itself, and its cost is by how much the equation is missed at 1,000 places (Raissi et al., 2019);
that u is -sin(pi x) at first and 0 at both ends is built in. The derivatives in the cost, up to the
second by x, are those of the network, and the cost is differentiated once more by its parameters.
The exact solution, by Cole and Hopf, is only compared with: after five seconds the wave is right to
a hundredth, and the picture shows both.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from autonn import Linear, MeanSquaredError, Module, Sequential, Tanh, fit, grad, optim

PLOTS = Path("plots")
Vector = NDArray[np.float64]
NU = 0.1 / np.pi
PLACES = 1000


class Wave(Module):
    """A wave u(t, x): what is known, and what the network adds where nothing is known."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.network = Sequential(
            Linear(2, 20, rng=rng), Tanh(), Linear(20, 20, rng=rng), Tanh(),
            Linear(20, 20, rng=rng), Tanh(), Linear(20, 1, rng=rng),
        )  # fmt: skip

    def u(self, t: Any, x: Any) -> Any:
        """Compute u, which is -sin(pi x) at t = 0 and 0 at x = -1 and 1 whatever is learned."""
        added = self.network(np.stack([t, x], axis=1))[:, 0]
        return t * (1 - x * x) * added - np.sin(np.pi * x)


class Missed(Module):
    """By how much a wave misses the equation, ``u_t + u u_x - nu u_xx``."""

    def __init__(self, wave: Wave) -> None:
        self.wave = wave

    def forward(self, places: Any) -> Any:
        """Take the places (m, 2), each a t and an x."""

        def total(
            t: Any, x: Any
        ) -> Any:  # each u has its own t and x: its derivatives, side by side
            return np.sum(self.wave.u(t, x))

        t, x = places[:, 0], places[:, 1]
        u_x = grad(total, argnums=1)
        u_xx = grad(lambda t, x: np.sum(u_x(t, x)), argnums=1)
        return grad(total)(t, x) + self.wave.u(t, x) * u_x(t, x) - NU * u_xx(t, x)


def exact(t: Vector, x: Vector) -> Vector:
    """Compute Cole and Hopf's solution, an integral over all places from which the wave came."""
    z, weights = np.polynomial.hermite.hermgauss(80)
    y = x[:, None] - z * np.sqrt(4 * NU * t[:, None])
    came = weights * np.exp(-np.cos(np.pi * y) / (2 * np.pi * NU))
    u: Vector = -np.sum(np.sin(np.pi * y) * came, axis=1) / np.sum(came, axis=1)
    return u


def draw(wave: Wave) -> None:
    """Draw the wave in time and space, and at four times beside the exact one."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    x = np.linspace(-1, 1, 201)
    times = np.linspace(0, 1, 101)
    field = [wave.u(np.full_like(x, t), x).numpy() for t in times]
    shown = left.pcolormesh(times, x, np.transpose(field), cmap="RdBu_r", rasterized=True)
    figure.colorbar(shown, ax=left, label="u")
    left.set(xlabel="t", ylabel="x")
    for k in (0, 25, 50, 100):
        right.plot(x, exact(np.full_like(x, times[k]), x), color="0.8", lw=5)
        right.plot(x, field[k], label=f"t = {times[k]:.2f}")
    right.set(xlabel="x", ylabel="u", title="by the network, on grey: exact")
    right.legend()
    PLOTS.mkdir(exist_ok=True)
    figure.savefig(PLOTS / "pinn.png", dpi=150)


def main() -> None:
    """Solve the equation, measure the error, and draw the wave."""
    parser = argparse.ArgumentParser(description="Solve a differential equation by a network.")
    parser.add_argument("--iterations", type=int, default=800, help="(default: 800)")
    iterations = parser.parse_args().iterations

    rng = np.random.default_rng(0)
    wave = Wave(rng)
    places = rng.uniform((0, -1), (1, 1), (PLACES, 2))
    history = fit(
        Missed(wave), places, np.zeros(PLACES), loss=MeanSquaredError(), optimizer=optim.LBFGS(),
        epochs=iterations,
    )  # fmt: skip
    t, x = rng.uniform((0, -1), (1, 1), (5000, 2)).T
    right, found = exact(t, x), wave.u(t, x).numpy()
    print(f"cost after iteration 1         {history.cost[0]:12.7f}")
    print(f"cost after iteration {len(history):4}      {history.cost[-1]:12.7f}")
    error = np.linalg.norm(found - right) / np.linalg.norm(right)
    print(f"error, as a share of the wave  {error:12.7f}")
    draw(wave)
    print(f"\nThe wave is in {PLOTS / 'pinn.png'}")


if __name__ == "__main__":
    main()
