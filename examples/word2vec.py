"""Learn which words are alike from the company that they keep.

    python examples/word2vec.py                train, and print the neighbours of some words
    python examples/word2vec.py --epochs 1     in less time, and not quite so well

The texts behind `help()`, 58,000 words that come with Python, are read five times, and for each
word those up to four places away are noted. Each word has a row of 32 numbers, and another for its
part as company. Pairs that were seen shall have a large product of their rows, pairs made up at
random a small one (skip-gram with negative samples, Mikolov et al., 2013). Nobody says what a word
means, but after ten seconds the nearest to "true" is "false", and "integer" is by "float" and
"complex". The picture shows some words in the two main directions of their rows.
"""

import argparse
import collections
import pydoc_data.topics
import re
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from autonn import Embedding, Module, SigmoidCrossEntropy, data, optim, train_step

PLOTS = Path("plots")
Numbers = NDArray[np.int64]
WORDS, WIDTH, WINDOW, MADE_UP, BATCH = 1000, 32, 4, 5, 500
GROUPS = [
    "integer float complex decimal digits number", "true false boolean", "if while else for",
    "raised exception handler except", "module package import", "class instance method attribute",
    "list tuple dictionary set", "string bytes characters unicode",
]  # fmt: skip


class SkipGram(Module):
    """The logit that two words were seen together: the product of their rows."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.word = Embedding(WORDS, WIDTH, weight=rng.normal(0, 0.1, (WORDS, WIDTH)))
        self.company = Embedding(WORDS, WIDTH, weight=rng.normal(0, 0.1, (WORDS, WIDTH)))

    def forward(self, pairs: Any) -> Any:
        """Take words (m, 1) and company (m, k); give logits (m, k)."""
        words, company = pairs
        return np.sum(self.word(words) * self.company(company), axis=2)


def read_text() -> tuple[list[str], Numbers]:
    """Return the commonest words, and the text as their numbers."""
    text = " ".join(pydoc_data.topics.topics.values()).lower()
    found = re.findall(r"[a-z_]+", text)
    words = [word for word, _ in collections.Counter(found).most_common(WORDS)]
    number = {word: k for k, word in enumerate(words)}
    return words, np.array([number[word] for word in found if word in number])


def pairs_of(text: Numbers, rng: np.random.Generator) -> tuple[Numbers, Numbers]:
    """Return pairs of words and company; of the commonest words, as "the", only a few."""
    share = np.bincount(text) / len(text)
    keep = text[rng.random(len(text)) < np.sqrt(1e-3 / share[text])]
    near = [(keep[:-k], keep[k:]) for k in range(1, WINDOW + 1)]
    both = [(a, b) for x, y in near for a, b in ((x, y), (y, x))]
    return np.concatenate([a for a, _ in both]), np.concatenate([b for _, b in both])


def neighbours(rows: NDArray[np.float64], k: int, count: int) -> Numbers:
    """Return the words whose rows point most in the same direction."""
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return np.argsort(-units @ units[k])[1 : count + 1]


def draw(rows: NDArray[np.float64], words: list[str]) -> None:
    """Draw words where their rows lie, in the two directions of largest spread."""
    group = [k for k, names in enumerate(GROUPS) for _ in names.split()]
    shown = " ".join(GROUPS).split()
    units = rows[[words.index(word) for word in shown]]
    units = units / np.linalg.norm(units, axis=1, keepdims=True)
    units -= units.mean(axis=0)
    places = units @ np.linalg.svd(units)[2][:2].T
    figure = Figure(figsize=(7.5, 6.5), layout="constrained")
    ax = figure.subplots()
    ax.scatter(places[:, 0], places[:, 1], c=group, cmap="tab10", s=12)
    ax.margins(0.1)
    for word, place in zip(shown, places, strict=True):
        ax.annotate(word, place, xytext=(4, 2), textcoords="offset points", fontsize=10)
    PLOTS.mkdir(exist_ok=True)
    figure.savefig(PLOTS / "word2vec.png", dpi=150)


def main() -> None:
    """Train, print which words are alike, and draw some."""
    parser = argparse.ArgumentParser(description="Learn which words are alike.")
    parser.add_argument("--epochs", type=int, default=5, help="(default: 5)")
    epochs = parser.parse_args().epochs

    rng = np.random.default_rng(0)
    words, text = read_text()
    model = SkipGram(rng)
    chances = np.bincount(text) ** 0.75  # of being made up; the power is Mikolov's
    chances /= chances.sum()
    print(f"{len(text):,} words, {len(words):,} different ones")
    step = train_step(model, SigmoidCrossEntropy(), optim.Adam(lr=0.005))
    seen = np.zeros((BATCH, 1 + MADE_UP))
    seen[:, 0] = 1
    for epoch in range(epochs):
        word, company = pairs_of(text, rng)
        costs = []
        for rows in data.batches(len(word) // BATCH * BATCH, BATCH, rng):
            made_up = rng.choice(WORDS, (BATCH, MADE_UP), p=chances)
            shown = np.column_stack([company[rows], made_up])
            costs.append(step((word[rows, None], shown), seen))
        print(f"epoch {epoch + 1}   cost {np.mean(costs):.4f}", flush=True)
    learned = np.asarray(model.word.weight.numpy(), dtype=np.float64)
    print()
    for name in ("list", "true", "raised", "integer", "first", "module", "if", "add"):
        near = (words[k] for k in neighbours(learned, words.index(name), 5))
        print(f"{name:>10}: {', '.join(near)}")
    draw(learned, words)
    print(f"\nSome of them are in {PLOTS / 'word2vec.png'}")


if __name__ == "__main__":
    main()
