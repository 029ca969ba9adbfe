"""Trainings in which nothing is wrong: of every example, and of every kind of layer and loss."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import autonn as an
from autonn import Layer, Sequential, optim

EXAMPLES = str(Path(__file__).parents[2] / "examples")

# What `lint` is given: model, X, y, and the rest by name.
Given = tuple[Any, Any, Any, dict[str, Any]]


@cache
def example(name: str) -> Any:
    """Import an example."""
    sys.path.insert(0, EXAMPLES)
    try:
        return __import__(name)
    finally:
        sys.path.remove(EXAMPLES)


@cache
def blobs(classes: int = 3, rows: int = 200, width: int = 4) -> tuple[Any, Any]:
    """Draw places around the middle of each class; these overlap a little."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, classes, rows)
    return rng.normal(size=(classes, width))[y] * 2 + rng.normal(size=(rows, width)), y


# ---- the examples


def xor() -> Given:
    module = example("xor")
    rng = np.random.default_rng(module.SEED)
    model = Sequential(Layer(2, 2, rng=rng), an.Sigmoid(), Layer(2, 1, rng=rng), an.Sigmoid())
    return model, module.X, module.y, {
        "loss": an.CrossEntropy(), "optimizer": optim.SGD(lr=1.0, momentum=0.9),
    }  # fmt: skip


def digits() -> Given:
    module = example("digits")
    (X, y), held_out = module.split_digits()
    return module.network(), X, y, {
        "loss": an.CrossEntropy(), "optimizer": optim.SGD(lr=0.8), "l2": 1.0,
        "validation": held_out,
    }  # fmt: skip


def digits_deep() -> Given:
    module = example("digits_deep")
    (X, y), watched, _ = module.examples()
    return module.network(0), X, y, {
        "loss": an.SoftmaxCrossEntropy(), "batch_size": module.BATCH, "validation": watched,
        "optimizer": optim.Adam(lr=optim.one_cycle(0.002, 3500)),
    }  # fmt: skip


def regression() -> Given:
    module = example("regression")
    rng = np.random.default_rng(0)
    x, y = module.examples(80, rng)
    layers = Layer(1, 16, rng=rng), Layer(16, 16, rng=rng), Layer(16, 1, rng=rng)
    model = Sequential(layers[0], an.Tanh(), layers[1], an.Tanh(), layers[2])
    return model, x, y, {"loss": an.MeanSquaredError(), "optimizer": optim.LBFGS()}


def spirals() -> Given:
    module = example("spirals")
    rng = np.random.default_rng(0)
    X, y = module.spirals(100, rng)
    return module.network(rng), X, y, {
        "loss": an.SoftmaxCrossEntropy(), "optimizer": optim.Adam(lr=0.03),
        "validation": module.spirals(100, rng),
    }  # fmt: skip


def _pictures() -> Any:
    """Take every tenth digit, as a picture of one channel."""
    digits = an.load_digits()
    return digits.X[::10].reshape(-1, 1, 20, 20).astype(np.float32), digits.y[::10]


def digits_conv() -> Given:
    return example("digits_conv").network(0), *_pictures(), {
        "loss": an.SoftmaxCrossEntropy(), "optimizer": optim.Adam(lr=1e-3), "batch_size": 64,
    }  # fmt: skip


def resnet() -> Given:
    return example("resnet").network(2, True), *_pictures(), {
        "loss": an.SoftmaxCrossEntropy(), "optimizer": optim.Adam(lr=1e-3), "batch_size": 50,
    }  # fmt: skip


def names() -> Given:
    module, rng = example("names"), np.random.default_rng(0)
    model = Sequential(
        an.Embedding(27, 8, rng=rng), an.GRU(8, 32, rng=rng), an.Outputs(),
        an.Dropout(0.5, rng=rng), an.Linear(32, 27, rng=rng),
    )  # fmt: skip
    return model, *module.as_sequences(module.NAMES), {
        "loss": an.SoftmaxCrossEntropy(ignore_index=-1), "optimizer": optim.AdamW(lr=0.01),
        "batch_size": 16,
    }  # fmt: skip


# ---- layers of every kind


def convolutions() -> Given:
    some = an.load_digits()
    rng = np.random.default_rng(0)
    rows = np.arange(0, 5000, 25)
    model = Sequential(
        an.Conv2d(1, 6, 5, rng=rng), an.BatchNorm2d(6), an.ReLU(), an.MaxPool2d(2), an.Flatten(),
        an.Dropout(0.2, rng=1), Layer(6 * 64, 10, rng=rng),
    )  # fmt: skip
    return model, some.images[rows][:, None], some.y[rows], {
        "loss": an.SoftmaxCrossEntropy(), "optimizer": optim.AdamW(lr=0.01), "batch_size": 32,
    }  # fmt: skip


def recurrent() -> Given:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 8, 3))
    model = Sequential(an.LSTM(3, 8, rng=rng), an.Last(), Layer(8, 2, rng=rng))
    return model, X, (X.sum(axis=(1, 2)) > 0).astype(int), {
        "loss": an.SoftmaxCrossEntropy(), "optimizer": optim.Adam(lr=0.01),
    }  # fmt: skip


class Attending(an.Module):
    """Words, their places, attention with a way around it, a norm, one answer."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.words = an.Embedding(20, 8, rng=rng)
        self.places = an.PositionEncoding(8, 6)
        self.attention = an.MultiheadAttention(8, 2, rng=rng)
        self.norm, self.last = an.LayerNorm(8), Layer(8, 2, rng=rng)

    def forward(self, x: Any) -> Any:
        x = self.places(self.words(x))
        x = self.norm(x + self.attention(x, x, x))
        return self.last(np.mean(x, axis=1))


def attention() -> Given:
    X = np.random.default_rng(1).integers(0, 20, (150, 6))
    return Attending(), X, (X[:, 0] > 9).astype(int), {
        "loss": an.SoftmaxCrossEntropy(label_smoothing=0.1),
        "optimizer": optim.Adam(lr=0.003, clip_norm=1.0),
    }  # fmt: skip


class Residual(an.Module):
    """A way around two layers, whose last begins with 0."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.first = Layer(4, 8, rng=rng)
        self.inner, self.zero = Layer(8, 8, rng=rng), Layer(8, 8, weight=np.zeros((8, 8)))
        self.last = Layer(8, 3, rng=rng)

    def forward(self, x: Any) -> Any:
        x = np.tanh(self.first(x))
        return self.last(x + self.zero(an.relu(self.inner(x))))


def residual() -> Given:
    X, y = blobs()
    optimizer = optim.SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
    return Residual(), X, y, {"loss": an.SoftmaxCrossEntropy(), "optimizer": optimizer}


def batch_norms() -> Given:
    X, y = blobs()
    rng = np.random.default_rng(0)
    model = Sequential(
        an.BatchNorm1d(4), Layer(4, 16, rng=rng), an.BatchNorm1d(16), an.ReLU(),
        Layer(16, 3, rng=rng), an.Softmax(),
    )  # fmt: skip
    X = X * [1.0, 50.0, 1e4, 1e-3]  # which the first norm sees to
    return model, X, y, {
        "loss": an.CrossEntropy(), "optimizer": optim.RMSprop(lr=0.01), "batch_size": 20,
    }  # fmt: skip


# ---- losses of every kind


def logistic() -> Given:
    X, y = blobs(2)
    model = Sequential(Layer(4, 1, rng=0), an.Sigmoid())
    return model, X, y, {"loss": an.CrossEntropy(), "optimizer": optim.SGD(lr=0.5), "l2": 1.0}


def logits_of_one() -> Given:
    X, y = blobs(2)
    model = Sequential(Layer(4, 8, rng=0), an.Tanh(), Layer(8, 1, rng=1))
    return model, X, y, {"loss": an.SigmoidCrossEntropy(), "optimizer": optim.Adam(lr=0.01)}


def probabilities_to_logits_loss() -> Given:
    X, y = blobs()
    model = Sequential(Layer(4, 8, rng=0), an.ELU(), Layer(8, 3, rng=1), an.Softmax())
    return model, X, y, {"loss": an.SoftmaxCrossEntropy(), "optimizer": optim.Adam(lr=0.01)}


def hinge() -> Given:
    X, y = blobs()
    return Layer(4, 3, rng=0), X, y, {"loss": an.HingeLoss(), "optimizer": optim.SGD(lr=0.05)}


def autoencoder() -> Given:
    X = an.load_digits().X[::20]
    rng = np.random.default_rng(0)
    model = Sequential(Layer(400, 30, rng=rng), an.ReLU(), Layer(30, 400, rng=rng), an.Sigmoid())
    return model, X, np.clip(X, 0, 1), {
        "loss": an.MeanSquaredError(), "optimizer": optim.Adam(lr=0.003),
    }  # fmt: skip


def likelihood() -> Given:
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (150, 1))
    y = np.sin(2 * x) + rng.normal(size=x.shape) * 0.1 * (2 + x)
    model = Sequential(Layer(1, 16, rng=rng), an.Tanh(), Layer(16, 2, rng=rng))
    return model, x, y, {"loss": an.GaussianNLL(), "optimizer": optim.Adam(lr=0.01)}


def own_penalty() -> Given:
    X, y = blobs()
    model = Sequential(Layer(4, 8, rng=0), an.SiLU(), Layer(8, 3, rng=1))

    def loss(a: Any, y: Any) -> Any:
        penalty: Any = sum(np.sum(np.square(weight)) for weight in model.weights())
        return an.SoftmaxCrossEntropy()(a, y) + 1e-3 * penalty

    return model, X, y, {"loss": loss, "optimizer": optim.SGD(lr=0.1)}


def own_loop() -> Given:
    X, y = blobs()
    model = Sequential(Layer(4, 8, rng=0), an.Tanh(), an.Dropout(0.3, rng=2), Layer(8, 3, rng=1))
    optimizer, loss = optim.SGD(model, lr=0.1), an.SoftmaxCrossEntropy()

    def step(X: Any, y: Any) -> float:
        optimizer.zero_grad()
        cost = loss(model(X), y)
        cost.backward()
        optimizer.step()
        return float(cost.detach())

    for _ in range(5):
        step(X, y)
    return model, X, y, {"loss": loss, "optimizer": optimizer, "step": step}


def plain_loop() -> Given:
    model, X, y, given = own_loop()
    plain = Sequential(model[0], model[1], model[3])
    optimizer = optim.SGD(plain, lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        given["loss"](plain(X), y).backward()
        optimizer.step()
    return plain, X, y, {"loss": given["loss"], "optimizer": optimizer}


def compiled_step() -> Given:
    model, X, y, given = own_loop()
    step = an.train_step(model, given["loss"], optim.Adam(lr=0.01))
    step(X, y)
    return model, X, y, {"loss": given["loss"], "step": step}


def trained() -> Given:
    X, y = blobs()
    model = Sequential(Layer(4, 8, rng=0), an.ReLU(), Layer(8, 3, rng=1))
    optimizer, loss = optim.Adam(lr=0.02), an.SoftmaxCrossEntropy()
    an.fit(model, X, y, loss=loss, optimizer=optimizer, epochs=200)
    return model, X, y, {"loss": loss, "optimizer": optimizer}


def trained_spirals() -> Given:
    model, X, y, given = spirals()
    an.fit(model, X, y, loss=given["loss"], optimizer=given["optimizer"], epochs=200)
    return model, X, y, given


HEALTHY: tuple[Callable[[], Given], ...] = (
    xor, digits, digits_deep, regression, spirals, digits_conv, resnet, names, convolutions,
    recurrent, attention, residual, batch_norms, logistic, logits_of_one,
    probabilities_to_logits_loss, hinge, autoencoder, likelihood, own_penalty, own_loop,
    plain_loop, compiled_step, trained, trained_spirals,
)  # fmt: skip
