"""The networks that people follow tutorials to, each with its cost, as one writes them in autonn.

A function makes one: it takes a generator and returns the model, and the cost of a batch as a
function of the arrays of `batches.py`, which has a function of the same name, as has `twins.py`,
where the same stands in PyTorch's words. The names of the parameters are the same, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autonn import (
    GELU,
    GRU,
    LSTM,
    RNN,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    Embedding,
    Flatten,
    GlobalAveragePool,
    HuberLoss,
    Last,
    LayerNorm,
    Linear,
    MaxPool2d,
    MeanSquaredError,
    Module,
    MultiheadAttention,
    ReLU,
    Sequential,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
    Tanh,
    TripletLoss,
    grad,
    logsumexp,
    relu,
)

Rng = np.random.Generator
Network = tuple[Module, Callable[..., Any]]


def digits(rng: Rng) -> Network:
    """Read digits by a perceptron."""
    model = Sequential(Linear(400, 64, rng=rng), ReLU(), Linear(64, 10, rng=rng))
    return model, lambda x, y: SoftmaxCrossEntropy()(model(x), y)


def normalised(rng: Rng) -> Network:
    """Read them by a deeper one, with batch normalisation."""
    model = Sequential(
        Linear(400, 128, rng=rng), BatchNorm1d(128), ReLU(),
        Linear(128, 128, rng=rng), BatchNorm1d(128), ReLU(), Linear(128, 10, rng=rng),
    )  # fmt: skip
    return model, lambda x, y: SoftmaxCrossEntropy()(model(x), y)


def lenet(rng: Rng) -> Network:
    """LeCun et al. (1998), with ReLU and max-pooling."""
    model = Sequential(
        Conv2d(1, 6, 5, padding=2, rng=rng), ReLU(), MaxPool2d(2),
        Conv2d(6, 16, 5, rng=rng), ReLU(), MaxPool2d(2), Flatten(),
        Linear(400, 120, rng=rng), ReLU(), Linear(120, 84, rng=rng), ReLU(),
        Linear(84, 10, rng=rng),
    )  # fmt: skip
    return model, lambda x, y: SoftmaxCrossEntropy()(model(x), y)


class Residual(Module):
    """A block of `resnet`."""

    def __init__(self, rng: Rng) -> None:
        self.inner = Sequential(
            Conv2d(16, 16, 3, padding=1, bias=False, rng=rng), BatchNorm2d(16), ReLU(),
            Conv2d(16, 16, 3, padding=1, bias=False, rng=rng), BatchNorm2d(16),
        )  # fmt: skip

    def forward(self, x: Any) -> Any:
        """Add to what comes in."""
        return relu(x + self.inner(x))


def resnet(rng: Rng) -> Network:
    """He et al. (2016), three blocks of it."""
    model = Sequential(
        Conv2d(1, 16, 3, padding=1, bias=False, rng=rng), BatchNorm2d(16), ReLU(),
        Residual(rng), Residual(rng), Residual(rng), GlobalAveragePool(), Linear(16, 10, rng=rng),
    )  # fmt: skip
    return model, lambda x, y: SoftmaxCrossEntropy()(model(x), y)


def autoencoder(rng: Rng) -> Network:
    """Squeeze 400 pixels into 32 numbers, and draw them again."""
    model = Sequential(
        Linear(400, 128, rng=rng), ReLU(), Linear(128, 32, rng=rng), ReLU(),
        Linear(32, 128, rng=rng), ReLU(), Linear(128, 400, rng=rng),
    )  # fmt: skip
    return model, lambda x: MeanSquaredError()(model(x), x)


def picture_autoencoder(rng: Rng) -> Network:
    """Do so by convolutions, which halve the pictures and double them again."""
    model = Sequential(
        Conv2d(1, 8, 3, stride=2, padding=1, rng=rng), ReLU(),
        Conv2d(8, 16, 3, stride=2, padding=1, rng=rng), ReLU(),
        ConvTranspose2d(16, 8, 2, stride=2, rng=rng), ReLU(),
        ConvTranspose2d(8, 1, 2, stride=2, rng=rng),
    )  # fmt: skip
    return model, lambda x: MeanSquaredError()(model(x), x)


class Places(Module):
    """The network of `vae`."""

    def __init__(self, rng: Rng) -> None:
        self.encoder = Sequential(Linear(400, 256, rng=rng), ReLU(), Linear(256, 4, rng=rng))
        self.decoder = Sequential(Linear(2, 256, rng=rng), ReLU(), Linear(256, 400, rng=rng))

    def forward(self, x: Any, noise: Any) -> Any:  # type: ignore[override]
        """Give what is drawn again, the places, and how far around them."""
        code = self.encoder(x)
        place, log_variance = code[:, :2], code[:, 2:]
        return self.decoder(place + np.exp(log_variance / 2) * noise), place, log_variance


def vae(rng: Rng) -> Network:
    """Kingma and Welling (2014), on pictures of digits."""
    model = Places(rng)

    def cost(x: Any, noise: Any) -> Any:
        logits, place, log_variance = model(x, noise)
        told = np.sum(place**2 + np.exp(log_variance) - log_variance - 1) / 2
        return 400 * SigmoidCrossEntropy()(logits, x) + told / len(x)

    return model, cost


def gan(rng: Rng) -> Network:
    """Goodfellow et al. (2014): what the generator would learn, through the critic."""
    generator = Sequential(Linear(16, 64, rng=rng), ReLU(), Linear(64, 2, rng=rng))
    critic = Sequential(Linear(2, 64, rng=rng), ReLU(), Linear(64, 1, rng=rng))
    model = Sequential(generator, critic)
    return model, lambda noise: SigmoidCrossEntropy()(model(noise), np.ones((len(noise), 1)))


def names(rng: Rng) -> Network:
    """Bengio et al. (2003): the next character, from three."""
    model = Sequential(
        Embedding(27, 10, rng=rng), Flatten(), Linear(30, 200, rng=rng), Tanh(),
        Linear(200, 27, rng=rng),
    )  # fmt: skip
    return model, lambda x, y: SoftmaxCrossEntropy()(model(x), y)


class SkipGram(Module):
    """The network of `word2vec`."""

    def __init__(self, rng: Rng) -> None:
        self.word = Embedding(10_000, 64, rng=rng)
        self.company = Embedding(10_000, 64, rng=rng)

    def forward(self, word: Any, company: Any) -> Any:  # type: ignore[override]
        """Give logits for each of the company of each word."""
        return np.sum(self.word(word) * self.company(company), axis=2)


def word2vec(rng: Rng) -> Network:
    """Mikolov et al. (2013): skip-gram, with negative samples."""
    model = SkipGram(rng)
    return model, lambda word, near, seen: SigmoidCrossEntropy()(model(word, near), seen)


def rnn(rng: Rng) -> Network:
    """Elman (1990): a class for each sequence."""
    model = Sequential(RNN(16, 64, rng=rng), Last(), Linear(64, 10, rng=rng))
    return model, lambda x, y: SoftmaxCrossEntropy()(model(x), y)


def gru(rng: Rng) -> Network:
    """Cho et al. (2014), on the same."""
    model = Sequential(GRU(16, 64, rng=rng), Last(), Linear(64, 10, rng=rng))
    return model, lambda x, y: SoftmaxCrossEntropy()(model(x), y)


def lstm(rng: Rng) -> Network:
    """Hochreiter and Schmidhuber (1997), on the same."""
    model = Sequential(LSTM(16, 64, rng=rng), Last(), Linear(64, 10, rng=rng))
    return model, lambda x, y: SoftmaxCrossEntropy()(model(x), y)


class Block(Module):
    """A block of `gpt`."""

    def __init__(self, rng: Rng) -> None:
        self.norm1, self.norm2 = LayerNorm(64), LayerNorm(64)
        self.attention = MultiheadAttention(64, 4, rng=rng)
        self.think = Sequential(Linear(64, 256, rng=rng), GELU(), Linear(256, 64, rng=rng))

    def forward(self, x: Any) -> Any:
        """Look at what came before, then think about it."""
        x = x + self.attention(self.norm1(x), causal=True)
        return x + self.think(self.norm2(x))


class Gpt(Module):
    """The network of `gpt`."""

    def __init__(self, rng: Rng) -> None:
        self.characters = Embedding(100, 64, rng=rng)
        self.places = Embedding(32, 64, rng=rng)
        self.blocks = Sequential(Block(rng), Block(rng))
        self.end = Sequential(LayerNorm(64), Linear(64, 100, rng=rng))

    def forward(self, x: Any) -> Any:
        """Give the logits of the next character at each place."""
        return self.end(self.blocks(self.characters(x) + self.places(np.arange(x.shape[1]))))


def gpt(rng: Rng) -> Network:
    """Radford et al. (2019), small."""
    model = Gpt(rng)
    return model, lambda x, y: SoftmaxCrossEntropy()(model(x), y)


def siamese(rng: Rng) -> Network:
    """One network for three pictures, of which two show the same (Schroff et al., 2015)."""
    model = Sequential(Linear(400, 128, rng=rng), ReLU(), Linear(128, 16, rng=rng))
    return model, lambda x: TripletLoss()(model(x))


def mixture(rng: Rng) -> Network:
    """Bishop (1994): not one answer but a density, of five bells."""
    model = Sequential(Linear(1, 32, rng=rng), Tanh(), Linear(32, 15, rng=rng))

    def cost(x: Any, y: Any) -> Any:
        z = model(x)
        share, mean, log_width = z[:, :5], z[:, 5:10], z[:, 10:]
        bells = -(((y - mean) / np.exp(log_width)) ** 2) / 2 - log_width
        return np.mean(logsumexp(share, axis=1) - logsumexp(share + bells, axis=1))

    return model, cost


def pinn(rng: Rng) -> Network:
    """Raissi et al. (2019): how far a network is from solving Burgers' equation."""
    model = Sequential(
        Linear(2, 20, rng=rng), Tanh(), Linear(20, 20, rng=rng), Tanh(), Linear(20, 1, rng=rng)
    )

    def u(t: Any, x: Any) -> Any:
        return model(np.stack([t, x], axis=1))[:, 0]

    def cost(t: Any, x: Any) -> Any:
        u_t, u_x = (grad(lambda t, x: np.sum(u(t, x)), argnums=k) for k in (0, 1))
        u_xx = grad(lambda t, x: np.sum(u_x(t, x)), argnums=1)
        return np.mean((u_t(t, x) + u(t, x) * u_x(t, x) - 0.03 * u_xx(t, x)) ** 2)

    return model, cost


def policy(rng: Rng) -> Network:
    """Williams (1992): pushes that were followed by better things are made likelier."""
    model = Sequential(Linear(4, 32, rng=rng), Tanh(), Linear(32, 2, rng=rng))
    return model, lambda x, y, better: SoftmaxCrossEntropy()(model(x), y, better)


def dqn(rng: Rng) -> Network:
    """Mnih et al. (2015): what an action is worth, from what was seen next."""
    model = Sequential(
        Linear(4, 64, rng=rng), ReLU(), Linear(64, 64, rng=rng), ReLU(), Linear(64, 2, rng=rng)
    )
    return model, lambda x, action, worth: HuberLoss()(model(x)[np.arange(len(x)), action], worth)


ALL = (
    digits, normalised, lenet, resnet, autoencoder, picture_autoencoder, vae, gan, names, word2vec,
    rnn, gru, lstm, gpt, siamese, mixture, pinn, policy, dqn,
)  # fmt: skip
