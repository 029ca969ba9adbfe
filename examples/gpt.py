"""Teach a small GPT to write like the manual of Python, and watch it learn.

    python examples/gpt.py                 train, write some lines now and then, draw the cost
    python examples/gpt.py --steps 300     in less time, and not quite so well

It reads the texts behind `help()`, half a million characters that come with Python, and learns to
say which character comes next. Each place of the text looks at those before it (attention) and
thinks about what it saw (two layers), twice over. At first it writes noise, then letters in their
right numbers, then words and keywords, and at last what looks like the manual, though it means
nothing: a network of 115,000 numbers doesn't know more. 40 seconds of one core bring the cost of a
character from 5.0 to 1.5; to guess it from the one before costs 2.46 at best.
"""

import argparse
import pydoc_data.topics
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from autonn import (
    GELU,
    Embedding,
    LayerNorm,
    Linear,
    Module,
    MultiheadAttention,
    Sequential,
    SoftmaxCrossEntropy,
    optim,
    softmax,
    train_step,
)

PLOTS = Path("plots")
TEXT = "\n".join(pydoc_data.topics.topics.values())
ALPHABET = sorted(set(TEXT))
CONTEXT, WIDTH, HEADS, BLOCKS, BATCH = 32, 64, 4, 2, 32


class Block(Module):
    """Look at what came before, then think about it; each adds to what is known already."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.norm1, self.norm2 = LayerNorm(WIDTH), LayerNorm(WIDTH)
        self.attention = MultiheadAttention(WIDTH, HEADS, rng=rng)
        self.think = Sequential(
            Linear(WIDTH, 4 * WIDTH, rng=rng), GELU(), Linear(4 * WIDTH, WIDTH, rng=rng)
        )

    def forward(self, x: Any) -> Any:
        """Take and give (batch, places, width)."""
        x = x + self.attention(self.norm1(x), causal=True)
        return x + self.think(self.norm2(x))


class GPT(Module):
    """From characters, as numbers, to the logits of the next one at each place."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.characters = Embedding(len(ALPHABET), WIDTH, rng=rng)
        self.places = Embedding(CONTEXT, WIDTH, rng=rng)
        self.blocks = Sequential([Block(rng) for _ in range(BLOCKS)])
        self.end = Sequential(LayerNorm(WIDTH), Linear(WIDTH, len(ALPHABET), rng=rng))

    def forward(self, x: Any) -> Any:
        """Take (batch, places), and give (batch, places, characters)."""
        z = self.characters(x) + self.places(np.arange(x.shape[1]))
        return self.end(self.blocks(z))


def write(model: GPT, count: int, rng: np.random.Generator) -> str:
    """Draw one character after another, each from what the network thinks of those before it."""
    text = [ALPHABET.index("\n")]
    for _ in range(count):
        logits = model.predict(np.array([text[-CONTEXT:]]))[0, -1]
        chances = softmax(
            logits.astype(np.float64) / 0.8
        )  # below 1, it keeps to what it is sure of
        text.append(int(rng.choice(len(ALPHABET), p=chances)))
    return "".join(ALPHABET[k] for k in text).strip()


def cost_of_pairs(text: NDArray[np.int64]) -> float:
    """Return the cost of the best guess from one character, by counting all pairs in the text."""
    counts = np.zeros((len(ALPHABET), len(ALPHABET)))
    np.add.at(counts, (text[:-1], text[1:]), 1)
    chances = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return float(-np.mean(np.log(chances[text[:-1], text[1:]])))


def main() -> None:
    """Train the network, let it write, and draw how the cost fell."""
    parser = argparse.ArgumentParser(description="Teach a small GPT to write like a manual.")
    parser.add_argument("--steps", type=int, default=1000, help="(default: 1000)")
    steps = parser.parse_args().steps

    rng = np.random.default_rng(0)
    text = np.searchsorted(ALPHABET, list(TEXT))
    model = GPT(rng).astype(np.float32)
    step = train_step(model, SoftmaxCrossEntropy(), optim.AdamW(lr=optim.one_cycle(0.005, steps)))
    print(f"{len(text):,} characters, {len(ALPHABET)} different ones\n{model.summary()}")
    costs: list[float] = []
    for k in range(steps):
        starts = rng.integers(len(text) - CONTEXT, size=(BATCH, 1))
        read = text[starts + np.arange(CONTEXT + 1)]
        costs.append(step(read[:, :-1], read[:, 1:]))
        if k in (0, 30, 100, 300, steps - 1):
            print(f"\n--- step {k + 1}, cost {costs[-1]:.2f}\n{write(model, 200, rng)}", flush=True)

    pairs = cost_of_pairs(text)
    print(f"\ncost, last 50 steps    {np.mean(costs[-50:]):.3f}")
    print(f"cost of the best pairs {pairs:.3f}")
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    ax = figure.subplots()
    ax.plot(costs, lw=0.8)
    ax.axhline(pairs, color="0.4", ls="--")
    ax.text(len(costs), pairs, "the best guess from one character  ", ha="right", va="bottom")
    ax.set(xlabel="step", ylabel="cost of a character", ylim=(0, None))
    PLOTS.mkdir(exist_ok=True)
    figure.savefig(PLOTS / "gpt.png", dpi=150)
    print(f"\nHow the cost fell is in {PLOTS / 'gpt.png'}")


if __name__ == "__main__":
    with threadpool_limits(1):  # small products: threads would wait for each other
        main()
