"""Read handwritten digits better: a deeper network, and what is usual today beside it.

    python examples/digits_deep.py              train, measure, draw
    python examples/digits_deep.py --seed 1     from another start
    python examples/digits_deep.py --epochs 5   in less time, and not quite so well

The digits are those of `examples/digits.py`, and so is the thousand that is held out. New are:
ReLU in place of the sigmoid, a second hidden layer, dropout, softmax, Adam on small batches with
a learning rate that rises and falls, and five times the examples: a digit that is moved by a pixel
is still the same digit.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from autonn import (
    Dropout,
    Layer,
    ReLU,
    Sequential,
    SoftmaxCrossEntropy,
    data,
    fit,
    load_digits,
    optim,
    plots,
    softmax,
)
from autonn.training import History, ProgressBar, accuracy

Array = NDArray[np.float32]
Examples = tuple[Array, NDArray[np.int64]]

PLOTS = Path("plots")
BATCH = 100


def examples() -> list[Examples]:
    """Return digits to learn from, to watch while learning, and to hold out until the end.

    Pixels are normalised, by mean and standard deviation of those to learn from; and they get 32
    bits in place of 64, which is exact enough for learning, and half the work.
    """
    digits = load_digits()
    X, y, X_held_out, y_held_out = data.split(digits.X, digits.y, test=1000, rng=0)
    X, y, X_watched, y_watched = data.split(X, y, test=500, rng=0)
    parts = ((X, y), (X_watched, y_watched), (X_held_out, y_held_out))
    return [(((x - X.mean()) / X.std()).astype(np.float32), labels) for x, labels in parts]


def in_five_places(X: Array, y: NDArray[np.int64]) -> Examples:
    """Show each picture also moved by a pixel: down, up, right and left.

    What is pushed out on one side comes in on the other; there, it is nearly always paper.
    """
    images = data.as_images(X)
    moved = [np.roll(images, step, axis) for axis in (1, 2) for step in (1, -1)]
    return data.unroll(np.concatenate([images, *moved])), np.tile(y, 5)


def network(seed: int) -> Sequential:
    """Build the network. What comes out are logits: their softmax are the probabilities."""
    rng = np.random.default_rng(seed)
    return Sequential(
        Layer(400, 256, rng=rng, dtype=np.float32),
        ReLU(),
        Dropout(0.3, rng=rng),  # at each step three units in ten are silent, and others step in
        Layer(256, 128, rng=rng, dtype=np.float32),
        ReLU(),
        Dropout(0.3, rng=rng),
        Layer(128, 10, rng=rng, dtype=np.float32),
    )


def learn(model: Sequential, shown: Examples, watched: Examples, epochs: int, seed: int) -> History:
    """Train the network; no weight depends on the digits that are watched."""
    steps = epochs * -(-len(shown[0]) // BATCH)  # -(-a // b) is a / b rounded up
    # Products of so few rows are as fast on one core. Two have to wait for each other; where the
    # machine has other work too, they do hardly anything else: 80 seconds in place of 8.
    with threadpool_limits(1), ProgressBar(epochs) as bar:
        return fit(
            model,
            *shown,
            loss=SoftmaxCrossEntropy(),
            optimizer=optim.Adam(lr=optim.one_cycle(0.002, steps)),
            epochs=epochs,
            batch_size=BATCH,
            validation=watched,
            seed=seed,
            callbacks=[bar],
        )


def draw(model: Sequential, history: History, X: Array, y: NDArray[np.int64]) -> None:
    """Draw how the training went, and the mistakes that are left among some digits."""
    PLOTS.mkdir(exist_ok=True)
    curve = plots.learning_curve(history, xlabel="epoch")
    curve.savefig(PLOTS / "deep_learning_curve.png", dpi=150)
    images = data.as_images(X - np.median(X))  # paper, which is most of it, becomes 0 again
    probabilities = np.asarray(softmax(model.predict(X)))
    mistakes = plots.worst_mistakes(images, probabilities, y)
    mistakes.savefig(PLOTS / "deep_worst_mistakes.png", dpi=150)
    print("\nWritten:")
    print(f"  {PLOTS / 'deep_learning_curve.png'}  training is measured with dropout at work")
    print(f"  {PLOTS / 'deep_worst_mistakes.png'}  held-out digits that it was sure of, wrongly")


def main() -> None:
    """Train the network, measure it, and draw pictures."""
    parser = argparse.ArgumentParser(description="Read handwritten digits better.")
    parser.add_argument("--epochs", type=int, default=20, help="(default: 20)")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random (default: 0)")
    options = parser.parse_args()

    training, watched, held_out = examples()
    shown, model = in_five_places(*training), network(options.seed)
    print(f"{len(training[1]):,} digits to learn from, each in five places: {len(shown[1]):,}")
    print(f"{len(watched[1]):,} digits to watch, {len(held_out[1]):,} held out\n")
    print(model.summary(), flush=True)

    start = time.perf_counter()
    history = learn(model, shown, watched, options.epochs, options.seed)
    print(f"\ntime               {time.perf_counter() - start:8.1f} s")
    print(f"training cost      {history.cost[-1]:8.4f}")
    print(f"training accuracy  {accuracy(model, *training):8.2%}")
    print(f"held-out accuracy  {accuracy(model, *held_out):8.2%}")

    draw(model, history, *held_out)


if __name__ == "__main__":
    main()
