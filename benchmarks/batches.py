"""The batches that the networks of `networks.py` are measured on, made at random.

A function has the name of its network, and says what a row is, and how many there are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator
Batch = tuple[NDArray[Any], ...]


def digits(rng: Rng) -> Batch:
    """Rows, 32."""
    return rng.random((32, 400)), rng.integers(10, size=32)


def normalised(rng: Rng) -> Batch:
    """Rows, 64."""
    return rng.random((64, 400)), rng.integers(10, size=64)


def lenet(rng: Rng) -> Batch:
    """Pictures of 28 x 28, 64."""
    return rng.random((64, 1, 28, 28)), rng.integers(10, size=64)


def resnet(rng: Rng) -> Batch:
    """Pictures of 20 x 20, 32."""
    return rng.random((32, 1, 20, 20)), rng.integers(10, size=32)


def autoencoder(rng: Rng) -> Batch:
    """Rows, 64."""
    return (rng.random((64, 400)),)


def picture_autoencoder(rng: Rng) -> Batch:
    """Pictures of 20 x 20, 32."""
    return (rng.random((32, 1, 20, 20)),)


def vae(rng: Rng) -> Batch:
    """Rows, 64."""
    return rng.random((64, 400)), rng.normal(size=(64, 2))


def gan(rng: Rng) -> Batch:
    """Rows, 128."""
    return (rng.normal(size=(128, 16)),)


def names(rng: Rng) -> Batch:
    """Rows, 32."""
    return rng.integers(27, size=(32, 3)), rng.integers(27, size=32)


def word2vec(rng: Rng) -> Batch:
    """Pairs of 10,000 words, 256."""
    word, near = rng.integers(10_000, size=(256, 1)), rng.integers(10_000, size=(256, 6))
    return word, near, np.tile(np.arange(6) == 0.0, (256, 1)).astype(float)


def rnn(rng: Rng) -> Batch:
    """Sequences of 20, 32."""
    return rng.normal(size=(32, 20, 16)), rng.integers(10, size=32)


gru = lstm = rnn


def gpt(rng: Rng) -> Batch:
    """Texts of 32, 32."""
    return rng.integers(100, size=(32, 32)), rng.integers(100, size=(32, 32))


def siamese(rng: Rng) -> Batch:
    """Rows, 64."""
    return (rng.random((64, 3, 400)),)


def mixture(rng: Rng) -> Batch:
    """Rows, 256."""
    return rng.normal(size=(256, 1)), rng.normal(size=(256, 1))


def pinn(rng: Rng) -> Batch:
    """Places, 1,000."""
    return rng.random(1000), rng.uniform(-1, 1, 1000)


def policy(rng: Rng) -> Batch:
    """Rows, 1,000."""
    return rng.normal(size=(1000, 4)), rng.integers(2, size=1000), rng.normal(size=1000)


def dqn(rng: Rng) -> Batch:
    """Rows, 64."""
    return rng.normal(size=(64, 4)), rng.integers(2, size=64), rng.normal(size=64)
