"""The networks of `networks.py` once more, as one writes them in PyTorch.

They have the same names, and so have their parameters: PyTorch's are those of autonn's state.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

torch: Any = importlib.import_module("torch")
nn: Any = torch.nn
functional: Any = nn.functional
Network = tuple[Any, Callable[..., Any]]


def digits() -> Network:
    """Read digits by a perceptron."""
    model = nn.Sequential(nn.Linear(400, 64), nn.ReLU(), nn.Linear(64, 10))
    return model, lambda x, y: functional.cross_entropy(model(x), y)


def normalised() -> Network:
    """Read them by a deeper one, with batch normalisation."""
    model = nn.Sequential(
        nn.Linear(400, 128), nn.BatchNorm1d(128), nn.ReLU(),
        nn.Linear(128, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip
    return model, lambda x, y: functional.cross_entropy(model(x), y)


def lenet() -> Network:
    """LeCun et al. (1998), with ReLU and max-pooling."""
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
        nn.Linear(84, 10),
    )  # fmt: skip
    return model, lambda x, y: functional.cross_entropy(model(x), y)


class Residual(nn.Module):
    """A block of `resnet`."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16),
        )  # fmt: skip

    def forward(self, x: Any) -> Any:
        """Add to what comes in."""
        return torch.relu(x + self.inner(x))


def resnet() -> Network:
    """He et al. (2016), three blocks of it."""
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        Residual(), Residual(), Residual(),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), nn.Linear(16, 10),
    )  # fmt: skip
    return model, lambda x, y: functional.cross_entropy(model(x), y)


def autoencoder() -> Network:
    """Squeeze 400 pixels into 32 numbers, and draw them again."""
    model = nn.Sequential(
        nn.Linear(400, 128), nn.ReLU(), nn.Linear(128, 32), nn.ReLU(),
        nn.Linear(32, 128), nn.ReLU(), nn.Linear(128, 400),
    )  # fmt: skip
    return model, lambda x: functional.mse_loss(model(x), x)


def picture_autoencoder() -> Network:
    """Do so by convolutions, which halve the pictures and double them again."""
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU(),
        nn.ConvTranspose2d(16, 8, 2, stride=2), nn.ReLU(),
        nn.ConvTranspose2d(8, 1, 2, stride=2),
    )  # fmt: skip
    return model, lambda x: functional.mse_loss(model(x), x)


class Places(nn.Module):
    """The network of `vae`."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(400, 256), nn.ReLU(), nn.Linear(256, 4))
        self.decoder = nn.Sequential(nn.Linear(2, 256), nn.ReLU(), nn.Linear(256, 400))

    def forward(self, x: Any, noise: Any) -> Any:
        """Give what is drawn again, the places, and how far around them."""
        place, log_variance = self.encoder(x).chunk(2, dim=1)
        return self.decoder(place + torch.exp(log_variance / 2) * noise), place, log_variance


def vae() -> Network:
    """Kingma and Welling (2014), on pictures of digits."""
    model = Places()

    def cost(x: Any, noise: Any) -> Any:
        logits, place, log_variance = model(x, noise)
        told = torch.sum(place**2 + torch.exp(log_variance) - log_variance - 1) / 2
        return 400 * functional.binary_cross_entropy_with_logits(logits, x) + told / len(x)

    return model, cost


def gan() -> Network:
    """Goodfellow et al. (2014): what the generator would learn, through the critic."""
    generator = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 2))
    critic = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 1))
    model = nn.Sequential(generator, critic)
    return model, lambda noise: functional.binary_cross_entropy_with_logits(
        model(noise), torch.ones((len(noise), 1), dtype=noise.dtype)
    )


def names() -> Network:
    """Bengio et al. (2003): the next character, from three."""
    model = nn.Sequential(
        nn.Embedding(27, 10), nn.Flatten(), nn.Linear(30, 200), nn.Tanh(), nn.Linear(200, 27)
    )
    return model, lambda x, y: functional.cross_entropy(model(x), y)


class SkipGram(nn.Module):
    """The network of `word2vec`."""

    def __init__(self) -> None:
        super().__init__()
        self.word = nn.Embedding(10_000, 64, sparse=True)
        self.company = nn.Embedding(10_000, 64, sparse=True)

    def forward(self, word: Any, company: Any) -> Any:
        """Give logits for each of the company of each word."""
        return torch.sum(self.word(word) * self.company(company), dim=2)


def word2vec() -> Network:
    """Mikolov et al. (2013): skip-gram, with negative samples."""
    model = SkipGram()
    return model, lambda word, near, seen: functional.binary_cross_entropy_with_logits(
        model(word, near), seen
    )


def rnn() -> Network:
    """Elman (1990): a class for each sequence."""
    layer, last = nn.RNN(16, 64, batch_first=True), nn.Linear(64, 10)
    model = nn.ModuleDict({"0": layer, "2": last})
    return model, lambda x, y: functional.cross_entropy(last(layer(x)[0][:, -1]), y)


def gru() -> Network:
    """Cho et al. (2014), on the same."""
    layer, last = nn.GRU(16, 64, batch_first=True), nn.Linear(64, 10)
    model = nn.ModuleDict({"0": layer, "2": last})
    return model, lambda x, y: functional.cross_entropy(last(layer(x)[0][:, -1]), y)


def lstm() -> Network:
    """Hochreiter and Schmidhuber (1997), on the same."""
    layer, last = nn.LSTM(16, 64, batch_first=True), nn.Linear(64, 10)
    model = nn.ModuleDict({"0": layer, "2": last})
    return model, lambda x, y: functional.cross_entropy(last(layer(x)[0][:, -1]), y)


class Block(nn.Module):
    """A block of `gpt`."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(64), nn.LayerNorm(64)
        self.attention = nn.MultiheadAttention(64, 4, batch_first=True)
        self.think = nn.Sequential(nn.Linear(64, 256), nn.GELU(), nn.Linear(256, 64))

    def forward(self, x: Any) -> Any:
        """Look at what came before, then think about it."""
        later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        z = self.norm1(x)
        x = x + self.attention(z, z, z, attn_mask=later, need_weights=False)[0]
        return x + self.think(self.norm2(x))


class Gpt(nn.Module):
    """The network of `gpt`."""

    def __init__(self) -> None:
        super().__init__()
        self.characters = nn.Embedding(100, 64)
        self.places = nn.Embedding(32, 64)
        self.blocks = nn.Sequential(Block(), Block())
        self.end = nn.Sequential(nn.LayerNorm(64), nn.Linear(64, 100))

    def forward(self, x: Any) -> Any:
        """Give the logits of the next character at each place."""
        return self.end(self.blocks(self.characters(x) + self.places(torch.arange(x.shape[1]))))


def gpt() -> Network:
    """Radford et al. (2019), small."""
    model = Gpt()
    return model, lambda x, y: functional.cross_entropy(model(x).flatten(0, 1), y.flatten())


def siamese() -> Network:
    """One network for three pictures, of which two show the same (Schroff et al., 2015)."""
    model = nn.Sequential(nn.Linear(400, 128), nn.ReLU(), nn.Linear(128, 16))
    return model, lambda x: functional.triplet_margin_loss(*model(x).unbind(1), eps=0)


def mixture() -> Network:
    """Bishop (1994): not one answer but a density, of five bells."""
    model = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 15))

    def cost(x: Any, y: Any) -> Any:
        share, mean, log_width = model(x).chunk(3, dim=1)
        bells = -(((y - mean) / torch.exp(log_width)) ** 2) / 2 - log_width
        return torch.mean(torch.logsumexp(share, 1) - torch.logsumexp(share + bells, 1))

    return model, cost


def pinn() -> Network:
    """Raissi et al. (2019): how far a network is from solving Burgers' equation."""
    model = nn.Sequential(
        nn.Linear(2, 20), nn.Tanh(), nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, 1)
    )

    def cost(t: Any, x: Any) -> Any:
        t, x = t.clone().requires_grad_(), x.clone().requires_grad_()
        u = model(torch.stack([t, x], dim=1))[:, 0]
        u_t, u_x = torch.autograd.grad(u.sum(), (t, x), create_graph=True)
        (u_xx,) = torch.autograd.grad(u_x.sum(), x, create_graph=True)
        return torch.mean((u_t + u * u_x - 0.03 * u_xx) ** 2)

    return model, cost


def policy() -> Network:
    """Williams (1992): pushes that were followed by better things are made likelier."""
    model = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2))
    return model, lambda x, y, better: torch.mean(
        better * functional.cross_entropy(model(x), y, reduction="none")
    )


def dqn() -> Network:
    """Mnih et al. (2015): what an action is worth, from what was seen next."""
    model = nn.Sequential(
        nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2)
    )
    return model, lambda x, action, worth: functional.huber_loss(
        model(x).gather(1, action[:, None])[:, 0], worth
    )
