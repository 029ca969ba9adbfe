"""Networks that go out: each kind of layer, and random ones that are composed of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import autonn as an
from autonn import nn

__all__ = ["NETWORKS", "Residual", "drawn_network", "trained"]

Random = np.random.Generator


class Residual(an.Module):
    """A network that is no row of modules."""

    def __init__(self, width: int, rng: Any = 0) -> None:
        generator = np.random.default_rng(rng)
        self.first = an.Layer(width, width, rng=generator)
        self.second = an.Layer(width, width, rng=generator)

    def forward(self, x: Any) -> Any:
        return x + self.second(np.tanh(self.first(x)))


class TwoEnds(an.Module):
    """A network of two inputs and two outputs."""

    def __init__(self) -> None:
        self.layer = an.Layer(3, 2, rng=0)

    def forward(self, x: Any, y: Any = None) -> Any:
        return self.layer(x) * y, np.sum(x, axis=1)


def trained(model: Any, x: Any) -> Any:
    """Give the running means of a network something to be."""
    model.train()
    model(x)
    return model.eval()


def _rows(*shape: int) -> Any:
    return np.random.default_rng(5).normal(size=(6, *shape))


def _digits() -> Any:
    return nn.Sequential(
        nn.Layer(400, 25, rng=0), nn.Sigmoid(), nn.Layer(25, 10, rng=1), nn.Sigmoid()
    )


def _pictures() -> Any:
    return nn.Sequential(
        nn.Conv2d(1, 4, 5, padding=2, rng=0), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, stride=2, groups=2, rng=1), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5),
        nn.Layer(6 * 4 * 4, 10, rng=2), nn.LogSoftmax(),
    )  # fmt: skip


# By name: what makes the network, and what it is fed.
NETWORKS: dict[str, tuple[Callable[[], Any], Any]] = {
    "digits": (_digits, _rows(400)),
    "residual": (lambda: Residual(5), _rows(5)),
    "pictures": (lambda: trained(_pictures(), _rows(1, 20, 20)), _rows(1, 20, 20)),
    "conv1d": (
        lambda: nn.Sequential(
            nn.Conv1d(2, 3, 3, dilation=2, rng=0), nn.AvgPool1d(2, padding=1), nn.BatchNorm1d(3),
            nn.MaxPool1d(2, 1), nn.GlobalAveragePool(),
        ).eval(),
        _rows(2, 14),
    ),
    "upsampling": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3, stride=2, padding=1, rng=0), nn.SiLU(), nn.Upsample(2),
            nn.ConvTranspose2d(4, 2, 3, stride=2, padding=1, output_padding=1, rng=1),
            nn.AvgPool2d(3, 2, padding=1, count_include_pad=False),
        ),
        _rows(2, 8, 8),
    ),
    "norms": (
        lambda: nn.Sequential(nn.Layer(5, 6, rng=0), nn.LayerNorm(6), nn.GroupNorm(2, 6)),
        _rows(5),
    ),
    "lstm": (lambda: nn.Sequential(nn.LSTM(3, 4, layers=2, rng=0), nn.Last()), _rows(5, 3)),
    "gru": (
        lambda: nn.Sequential(nn.GRU(3, 4, bidirectional=True, rng=0), nn.Outputs(),
                              nn.Layer(8, 2, rng=1)),
        _rows(5, 3),
    ),
    "rnn": (lambda: nn.Sequential(nn.RNN(3, 4, "relu", rng=0), nn.Last()), _rows(4, 3)),
    "attention": (
        lambda: nn.Sequential(
            nn.Embedding(11, 8, rng=0), nn.PositionEncoding(8, 9),
            nn.MultiheadAttention(8, 2, rng=1), nn.LayerNorm(8), nn.Layer(8, 3, rng=2),
        ),
        np.random.default_rng(0).integers(0, 11, (6, 7)),
    ),
    "bends": (
        lambda: nn.Sequential(
            nn.Layer(4, 6, rng=0), nn.GELU(), nn.Layer(6, 6, rng=1), nn.ELU(0.7),
            nn.LeakyReLU(0.2), nn.Softplus(), nn.Layer(6, 6, rng=2), nn.SiLU(), nn.Tanh(),
            nn.Softmax(),
        ),
        _rows(4),
    ),
}  # fmt: skip


# ---- random ones

# What keeps the shape (m, width), written as a user would.
_FUNCTIONS: list[Callable[[Any], Any]] = [
    np.tanh, np.exp, np.sin, np.absolute, np.square, np.sign, np.arctan, np.floor,
    lambda x: np.log1p(np.square(x)), lambda x: np.sqrt(np.absolute(x) + 1), lambda x: x[:, ::-1],
    lambda x: np.roll(x, 1, axis=1), lambda x: x - np.mean(x, axis=1, keepdims=True),
    lambda x: np.concatenate([x[:, 2:], x[:, :2]], axis=1), lambda x: np.clip(x, -1, 0.5),
    lambda x: np.where(x > 0, x, 0.1 * x), lambda x: np.maximum(x, x[:, :1]),
    lambda x: x / (1 + np.max(np.absolute(x), axis=-1, keepdims=True)),
    lambda x: x - an.logsumexp(x, axis=1, keepdims=True),
    lambda x: np.reshape(np.swapaxes(np.reshape(x, (len(x), 2, -1)), 1, 2), x.shape),
    lambda x: np.einsum("ij,ij->ij", x, x), lambda x: np.cumsum(x, axis=1),
    lambda x: np.pad(x, ((0, 0), (1, 1)))[:, 1:-1] * 2, lambda x: x @ np.eye(x.shape[1])[::-1],
    lambda x: np.sort(x, axis=1), lambda x: x * np.arange(1.0, 1 + x.shape[1]),
    lambda x: np.stack([x, -x], axis=1)[:, 0], lambda x: np.std(x, axis=1, keepdims=True) + x,
    lambda x: np.take(x, [0, 0, *range(2, x.shape[1])], axis=1), lambda x: x / len(x),
    lambda x: x - np.mean(x, axis=0), lambda x: np.expand_dims(x, 1)[:, 0, :] + x[..., 0:1],
    lambda x: np.tile(x, (1, 2))[:, : x.shape[1]], lambda x: np.prod(x, axis=1, keepdims=True) + x,
]  # fmt: skip
_MODULES: list[Callable[[int, Random], Any]] = [
    lambda n, rng: nn.Layer(n, n, rng=rng), lambda n, rng: nn.Sigmoid(), lambda n, rng: nn.ReLU(),
    lambda n, rng: nn.GELU(), lambda n, rng: nn.LayerNorm(n), lambda n, rng: nn.Softmax(),
    lambda n, rng: nn.Softplus(), lambda n, rng: Residual(n, rng), lambda n, rng: nn.Dropout(0.3),
    lambda n, rng: nn.BatchNorm1d(n),
]  # fmt: skip


def drawn_network(seed: int) -> tuple[Any, Any]:
    """Draw a row of layers and functions of NumPy, and what it is fed."""
    rng = np.random.default_rng(seed)
    width = int(rng.choice([4, 6]))
    parts: list[Any] = []
    for _ in range(int(rng.integers(1, 6))):
        if rng.random() < 0.5:
            parts.append(_FUNCTIONS[rng.integers(len(_FUNCTIONS))])
        else:
            parts.append(_MODULES[rng.integers(len(_MODULES))](width, rng))
    return nn.Sequential(*parts).eval(), rng.normal(size=(3, width))
