"""Balance a pole on a cart by trial and error; nobody says which push would have been right.

    python examples/policy.py                 learn, and draw how it went
    python examples/policy.py --updates 10    in less time

A cart on a track carries a pole, and must be pushed left or right fifty times a second so that the
pole stays up (Barto, Sutton and Anderson, 1983). The network sees where both are and how fast they
move, and gives the chance of a push to the right. After each batch of trials, pushes that were
followed by a longer life than usual are made likelier, others less likely: REINFORCE (Williams,
1992), which is cross-entropy with weights. At first the pole falls after 17 pushes, in a third of a
second; after 20 updates and some seconds of learning it stays up for all 500.
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from autonn import Linear, Sequential, SoftmaxCrossEntropy, Tanh, optim, softmax, train_step

PLOTS = Path("plots")
Array = NDArray[np.float64]
CARTS, LONGEST = 20, 500
SCALE = np.array([2.4, 2.0, 0.21, 2.0])  # places and speeds, of cart and pole, as the network sees


def moved(state: Array, right: NDArray[np.bool_]) -> Array:
    """Push carts for 0.02 s; a state is the cart's place and speed, the pole's angle and speed."""
    _, speed, angle, turning = state.T
    sine, cosine = np.sin(angle), np.cos(angle)
    push = (np.where(right, 10.0, -10.0) + 0.05 * turning**2 * sine) / 1.1  # masses: 1 and 0.1 kg
    falling = (9.8 * sine - cosine * push) / (0.5 * (4 / 3 - 0.1 * cosine**2 / 1.1))
    gaining = push - 0.05 * falling * cosine / 1.1
    return state + 0.02 * np.stack([speed, gaining, turning, falling], axis=1)


def trials(model: Sequential, rng: np.random.Generator) -> tuple[Array, NDArray[np.int64], Array]:
    """Let several carts run; return all states, pushes and lives: (pushes, carts, ...).

    A life is 1 for each push before the pole fell by 12 degrees, or the cart left the track.
    """
    state, alive = rng.uniform(-0.05, 0.05, (CARTS, 4)), np.ones(CARTS, bool)
    states: list[Array] = []
    pushes: list[NDArray[np.int64]] = []
    lives: list[Array] = []
    while alive.any() and len(states) < LONGEST:
        chances = np.asarray(softmax(model.predict(state / SCALE)))
        right = rng.random(CARTS) < chances[:, 1]
        states.append(state)
        pushes.append(right.astype(int))
        lives.append(alive.astype(float))
        state = moved(state, right)
        alive &= (np.abs(state[:, 0]) < 2.4) & (np.abs(state[:, 2]) < np.radians(12))
    return np.array(states), np.array(pushes), np.array(lives)


def advantages(lives: Array) -> Array:
    """Return how much longer each life went on than others at that time, in the usual spread."""
    left = np.cumsum(lives[::-1], axis=0)[::-1]
    left = np.minimum(left, 100)  # what is far off has hardly to do with this push
    usual = np.sum(left * lives, axis=1) / np.maximum(lives.sum(axis=1), 1)
    better: Array = (left - usual[:, None]) * lives
    better /= better[lives > 0].std() + 1e-8
    return better


def draw(lengths: Array, states: Array) -> None:
    """Draw how long the poles stayed up, and the last trial of one cart."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    updates = np.arange(len(lengths))
    left.fill_between(updates, lengths.min(axis=1), lengths.max(axis=1), color="0.85")
    left.plot(updates, lengths.mean(axis=1))
    left.set(xlabel="update", ylabel="pushes until it fell", title="mean, worst and best of 20")
    time = 0.02 * np.arange(len(states))
    right.plot(time, states[:, 0], label="place of the cart, m")
    right.plot(time, np.degrees(states[:, 2]), label="angle of the pole, degrees")
    right.set(xlabel="seconds", ylim=(-8, 8), title="the last trial")
    right.legend(loc="upper right")
    PLOTS.mkdir(exist_ok=True)
    figure.savefig(PLOTS / "policy.png", dpi=150)


def main() -> None:
    """Learn to balance, and draw how it went."""
    parser = argparse.ArgumentParser(description="Balance a pole by trial and error.")
    parser.add_argument("--updates", type=int, default=40, help="(default: 40)")
    updates = parser.parse_args().updates

    rng = np.random.default_rng(0)
    model = Sequential(Linear(4, 32, rng=rng), Tanh(), Linear(32, 2, rng=rng))
    step = train_step(model, SoftmaxCrossEntropy(), optim.Adam(lr=0.02))
    lengths = []
    for k in range(updates):
        states, pushes, lives = trials(model, rng)
        lengths.append(lives.sum(axis=0))
        X, y, weights = states.reshape(-1, 4) / SCALE, pushes.ravel(), advantages(lives).ravel()
        chosen = rng.choice(np.flatnonzero(lives), 1000)  # as many each time: one program
        step(X[chosen], y[chosen], weights[chosen])
        if k in (0, 4, 9, 19, updates - 1):
            print(f"update {k + 1:3}   {lengths[-1].mean():5.1f} pushes", flush=True)
    draw(np.array(lengths), states[:, 0])
    print(f"\nHow it went is in {PLOTS / 'policy.png'}")


if __name__ == "__main__":
    main()
