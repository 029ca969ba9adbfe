"""Read a thousand made photos: ``PYTHONPATH=tests python -m tools.read_photos --count 50``.

It trains the network of `examples/digits.py` and shows it, of each of the twenty kinds, photos of
digits that were held out. A refusal is right where there is no digit, or more than one; a claim is
the network's largest output.
"""

from __future__ import annotations

import argparse
import time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tools.drawings import Picture, mnist
from tools.made_photos import EASY, HARD, NO_DIGIT

from autonn import CrossEntropy, Layer, Sequential, Sigmoid, fit, load_digits, optim
from autonn.data import digit_from_image, shrink, split, unroll

KINDS = {**EASY, **HARD}


class HeldOut(NamedTuple):
    """A network that was trained on 4,000 digits, and 1,000 others: 28 x 28, and what they are."""

    model: Sequential
    inks: Picture
    y: NDArray[np.int64]


class Shares(NamedTuple):
    """How many photos were read rightly, refused, read wrongly, and that with a claim above 0.5.

    `clean` is how many MNIST's own pixels of the same digits are read rightly.
    """

    right: int
    refused: int
    wrong: int
    sure: int
    clean: int


def held_out(optimizer: optim.Optimizer, epochs: int) -> HeldOut:
    """Train the network of the tutorials."""
    digits, rng = load_digits(), np.random.default_rng(0)
    rows = np.arange(len(digits.y))[:, None]
    known, y, others, y_others = split(rows, digits.y, test=1000, rng=0)
    model = Sequential(Layer(400, 25, rng=rng), Sigmoid(), Layer(25, 10, rng=rng), Sigmoid())
    X = digits.X[known[:, 0]]
    fit(model, X, y, loss=CrossEntropy(), optimizer=optimizer, l2=1.0, epochs=epochs)
    return HeldOut(model, mnist()[others[:, 0]], y_others)


def shares(kind: str, count: int, of: HeldOut, seed: int = 0) -> Shares:
    """Take and read so many photos of a kind."""
    rng = np.random.default_rng([seed, list(KINDS).index(kind)])
    rows = rng.choice(len(of.y), count, replace=False)
    refused = wrong = sure = 0
    for row in rows:
        try:
            seen = digit_from_image(KINDS[kind](of.inks[row], rng))
        except ValueError:
            refused += 1
            continue
        outputs = of.model.predict(unroll(seen[None]))[0]
        if kind in NO_DIGIT or outputs.argmax() != of.y[row]:
            wrong += 1
            sure += int(outputs.max() > 0.5)
    clean = of.model.predict(unroll(shrink(of.inks[rows], 20))).argmax(axis=1) == of.y[rows]
    return Shares(count - refused - wrong, refused, wrong, sure, int(clean.sum()))


def main() -> None:
    """Print a table of all kinds, or of some."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}")
    parser.add_argument("--count", type=int, default=50, help="photos of each kind (default: 50)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    of, start = held_out(optim.SGD(lr=0.8), 800), time.perf_counter()
    print(f"{'':15}" + "".join(f"{name:>9}" for name in Shares._fields))
    for kind in options.kinds or KINDS:
        found = shares(kind, options.count, of, options.seed)
        print(f"{kind:15}" + "".join(f"{n / options.count:9.0%}" for n in found), flush=True)
    print(f"{time.perf_counter() - start:.0f} seconds")


if __name__ == "__main__":
    main()
