"""Trainings with one thing wrong in each, by the name of the finding that has to tell of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from tools.healthy import Given, blobs

import autonn as an
from autonn import Layer, Sequential, optim
from autonn.nn import init

Case = Callable[[], Given]


def net(*layers: Any, out: int = 3, last: Any = None) -> Sequential:
    """Build 4-8-out with a tanh, unless layers say otherwise."""
    hidden = layers or (Layer(4, 8, rng=0), an.Tanh())
    return Sequential(*hidden, Layer(8, out, rng=1), *([last] if last else []))


def classes(model: Any, loss: Any = None, **given: Any) -> Given:
    X, y = blobs()
    return model, X, y, {"loss": loss or an.SoftmaxCrossEntropy(), **given}


# ---- what fits not together


def softmax_of_sigmoid() -> Given:
    return classes(net(last=an.Sigmoid()))


def softmax_of_softmax() -> Given:
    return classes(net(an.Identity(), Layer(4, 8, rng=0), an.Tanh(), last=an.Softmax()), _own_nll)


def _own_nll(a: Any, y: Any) -> Any:
    return -np.mean(np.sum(an.one_hot(y, 3) * an.log_softmax(a), axis=-1))


def two_softmaxes() -> Given:
    return classes(Sequential(net(last=an.Softmax()), an.Softmax()), an.CrossEntropy())


def sigmoid_of_sigmoid_reshaped() -> Given:
    X, y = blobs(2)
    model = net(out=1, last=an.Sigmoid())

    def loss(a: Any, y: Any) -> Any:
        return -np.mean(y * an.log_sigmoid(a[:, 0]) + (1 - y) * an.log_sigmoid(-a.reshape(-1)))

    return model, X, y, {"loss": loss}


def softmax_of_one() -> Given:
    X, y = blobs(2)
    model = net(out=1, last=an.Softmax())
    return model, X, y[:, None].astype(float), {"loss": an.MeanSquaredError()}


def column_against_row() -> Given:
    X, _ = blobs()
    y = np.round(3 * X[:, 0] * X[:, 1]).astype(int)  # which may be classes: `fit` lays out floats
    return net(out=1), X, y, {"loss": lambda a, y: np.mean((a - y) ** 2)}


def two_columns_against_one() -> Given:
    X, _ = blobs()
    return net(out=1), X, X[:, :2], {"loss": an.MeanSquaredError()}


def classes_for_one_output() -> Given:
    return classes(net(out=1, last=an.Sigmoid()), an.CrossEntropy())


def class_numbers_by_sigmoid() -> Given:
    X, y = blobs()
    return net(out=1, last=an.Sigmoid()), X, y[:, None] * 1.0, {"loss": an.MeanSquaredError()}


def negative_numbers_by_relu() -> Given:
    X, _ = blobs()
    return net(out=1, last=an.ReLU()), X, X[:, :1], {"loss": an.HuberLoss()}


def own_squares_by_tanh() -> Given:
    X, _ = blobs()
    loss = lambda a, y: np.mean(np.square(y - a))  # noqa: E731
    return net(out=1, last=an.Tanh()), X, X[:, :1], {"loss": loss}


def softmax_of_rows() -> Given:
    return classes(net(last=an.Softmax(axis=0)), an.CrossEntropy())


def logits_by_relu() -> Given:
    return classes(net(last=an.ReLU()))


def margins_of_probabilities() -> Given:
    return classes(net(last=an.Softmax()), an.HingeLoss())


def labels_from_1() -> Given:
    X, y = blobs()
    return net(), X, y + 1, {"loss": an.SoftmaxCrossEntropy()}


def labels_from_1_with_room() -> Given:
    X, y = blobs()
    return net(out=4), X, y + 1, {"loss": an.SoftmaxCrossEntropy()}


def a_class_is_cut_off() -> Given:
    X, y = blobs(5, 400)
    return net(out=5), X[y != 3], y[y != 3], {"loss": an.SoftmaxCrossEntropy()}


# ---- data


def pixels() -> Given:
    some = an.load_digits()
    X = np.round(np.clip(some.X[::20], 0, 1) * 255)
    model = Sequential(Layer(400, 25, rng=0), an.Sigmoid(), Layer(25, 10, rng=1), an.Sigmoid())
    return model, X, some.y[::20], {"loss": an.CrossEntropy()}


def one_wide_column() -> Given:
    X, y = blobs()
    return net(), X * [1, 1, 5000.0, 1], y, {"loss": an.SoftmaxCrossEntropy()}


def pictures_of_bytes() -> Given:
    some = an.load_digits()
    X = np.round(np.clip(some.images[::25], 0, 1) * 255)[:, None]
    model = Sequential(
        an.Conv2d(1, 4, 5, rng=0), an.ReLU(), an.MaxPool2d(4), an.Flatten(), Layer(64, 10, rng=1)
    )
    return model, X, some.y[::25], {"loss": an.SoftmaxCrossEntropy()}


def tiny_inputs() -> Given:
    X, y = blobs()
    return net(), X * 1e-5, y, {"loss": an.SoftmaxCrossEntropy()}


def a_constant_column() -> Given:
    X, y = blobs()
    X = np.column_stack([np.ones(len(X)), X[:, 1:]])
    return net(), X, y, {"loss": an.SoftmaxCrossEntropy()}


def a_copied_column() -> Given:
    X, y = blobs()
    return net(), X[:, [0, 1, 2, 1]], y, {"loss": an.SoftmaxCrossEntropy()}


def tested_with_training_rows() -> Given:
    X, y = blobs()
    return classes(net(), validation=(X[::7], y[::7]))


# ---- the start


def numbers_of_a_thousand() -> Given:
    X, _ = blobs()
    return net(out=1), X, 1000 + X[:, :1], {"loss": an.MeanSquaredError()}


def logarithms_of_all() -> Given:
    return classes(net(Layer(4, 8, rng=0), an.Lambda(np.log)))


def wide_weights() -> Given:
    wide = init.uniform(20.0)
    return classes(net(Layer(4, 8, weight=wide, rng=0), an.ReLU()))


def tiny_weights() -> Given:
    tiny = init.uniform(1e-5)
    return classes(net(Layer(4, 8, weight=tiny, rng=0), an.Tanh()))


def equal_weights() -> Given:
    flat = np.full((8, 4), 0.1)
    return classes(
        Sequential(
            Layer(4, 8, weight=flat), an.Tanh(), Layer(8, 3, weight=flat[:3] @ np.ones((4, 8)))
        )
    )


def no_weights() -> Given:
    zero = init.zeros
    return classes(Sequential(Layer(4, 8, weight=zero), an.ReLU(), Layer(8, 3, weight=zero)))


def flat_units() -> Given:
    X, y = blobs()
    wide = init.uniform(9.0)
    return (
        net(Layer(4, 8, weight=wide, rng=0), an.Sigmoid()),
        X,
        y,
        {"loss": an.SoftmaxCrossEntropy()},
    )


def dead_units() -> Given:
    return classes(net(Layer(4, 8, bias=np.full(8, -30.0), rng=0), an.ReLU()))


class Rectified(an.Module):
    """A ReLU by `np.maximum`, with biases that kill it."""

    def __init__(self) -> None:
        self.first, self.last = Layer(4, 8, bias=np.full(8, -30.0), rng=0), Layer(8, 3, rng=1)

    def forward(self, x: Any) -> Any:
        return self.last(np.maximum(self.first(x), 0))


def dead_maximum() -> Given:
    return classes(Rectified())


def deep_sigmoids() -> Given:
    rng = np.random.default_rng(0)
    layers = [part for _ in range(12) for part in (Layer(8, 8, rng=rng), an.Sigmoid())]
    return classes(Sequential(Layer(4, 8, rng=rng), *layers, Layer(8, 3, rng=rng)))


def growing_layers() -> Given:
    rng = np.random.default_rng(0)
    layers = [Layer(8, 8, weight=init.normal, rng=rng) for _ in range(8)]
    return classes(Sequential(Layer(4, 8, rng=rng), *layers, Layer(8, 3, rng=rng)))


# ---- gradients


class Cut(an.Module):
    """Two layers, the first of which a detach() cuts off."""

    def __init__(self) -> None:
        self.first, self.last = Layer(4, 8, rng=0), Layer(8, 3, rng=1)

    def forward(self, x: Any) -> Any:
        return self.last(np.tanh(self.first(x).detach()))


def cut_off() -> Given:
    return classes(Cut())


def half_held() -> Given:
    model = net()
    return classes(model, optimizer=optim.SGD(model[2], lr=0.1))


def of_a_copy() -> Given:
    model = net()
    return classes(copy.deepcopy(model), optimizer=optim.Adam(model, lr=0.01))


def own_penalty_of_all() -> Given:
    model = net()

    def loss(a: Any, y: Any) -> Any:
        penalty: Any = sum(np.sum(p * p) for p in model.parameters())
        return an.SoftmaxCrossEntropy()(a, y) + 0.01 * penalty

    return classes(model, loss)


def decay_of_bare_tensors() -> Given:
    model = net()
    return classes(model, optimizer=optim.SGD(model.parameters(), lr=0.1, weight_decay=0.01))


class Shifted(an.Module):
    """A layer of one's own, whose bias nobody would know by its name."""

    def __init__(self) -> None:
        self.first, self.last = Layer(4, 8, rng=0), Layer(8, 3, rng=1)
        self.shift = an.Tensor(np.zeros(8), requires_grad=True)

    def forward(self, x: Any) -> Any:
        return self.last(np.tanh(self.first(x) + self.shift))


def unknown_bias() -> Given:
    return classes(Shifted(), l2=1.0)


def gradients_twice() -> Given:
    model, X, y, given = classes(net())
    for _ in range(2):
        given["loss"](model(X), y).backward()
    return model, X, y, given


def never_zeroed() -> Given:
    model, X, y, given = classes(net())
    optimizer = optim.SGD(model, lr=0.05)
    for _ in range(12):
        given["loss"](model(X), y).backward()
        optimizer.step()
    return model, X, y, given | {"optimizer": optimizer}


def never_zeroed_by_adam() -> Given:
    model, X, y, given = classes(net())
    optimizer = optim.Adam(model, lr=0.002)
    for _ in range(60):
        given["loss"](model(X), y).backward()
        optimizer.step()
    return model, X, y, given | {"optimizer": optimizer}


def step_without_zero() -> Given:
    model, X, y, given = classes(net())
    optimizer = optim.Adam(model, lr=0.01)

    def step(X: Any, y: Any) -> Any:
        cost = given["loss"](model(X), y)
        cost.backward()
        optimizer.step()
        return float(cost.detach())

    return model, X, y, given | {"optimizer": optimizer, "step": step}


# ---- chance and batches


class Noisy(an.Module):
    """Noise that does not ask for the mode."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)

    def forward(self, x: Any) -> Any:
        return x * (self.rng.random(x.shape) > 0.3)


def noise_in_evaluation() -> Given:
    return classes(net(Layer(4, 8, rng=0), an.Tanh(), Noisy()))


class Frozen(an.Module):
    """A generator that begins anew at each call."""

    def forward(self, x: Any) -> Any:
        if not self.training:
            return x
        return x * (np.random.default_rng(0).random(x.shape) > 0.3)


def same_mask() -> Given:
    return classes(net(Layer(4, 8, rng=0), an.Tanh(), Frozen()))


def dropout_made_anew() -> Given:
    again = an.Lambda(lambda x: an.Dropout(0.5, rng=0)(x))
    return classes(net(Layer(4, 8, rng=0), an.Tanh(), again))


def frozen_step() -> Given:
    model, X, y, given = classes(net(Layer(4, 8, rng=0), an.Tanh(), an.Dropout(0.5, rng=2)))
    optimizer = optim.SGD(model, lr=0.1)
    mask = model[2](np.ones((len(X), 8)))  # drawn once, outside

    def cost(first: Any, last: Any, X: Any, y: Any) -> Any:
        hidden = np.tanh(X @ first.T) * mask
        return an.SoftmaxCrossEntropy()(hidden @ last.T, y)

    compiled = an.compile(an.value_and_grad(cost, argnums=(0, 1)))

    def step(X: Any, y: Any) -> Any:
        value, (first, last) = compiled(model[0].weight.data, model[3].weight.data, X, y)
        optimizer.apply([first, None, last, None])
        return value

    return model, X, y, given | {"optimizer": optimizer, "step": step}


def batch_of_one() -> Given:
    X, y = blobs(3, 65)
    model = net(Layer(4, 8, rng=0), an.BatchNorm1d(8), an.Tanh())
    return model, X, y, {"loss": an.SoftmaxCrossEntropy(), "batch_size": 32}


# ---- steps


def far_too_fast() -> Given:
    return classes(net(), optimizer=optim.SGD(lr=300.0))


def adam_too_fast() -> Given:
    return classes(net(), optimizer=optim.Adam(lr=20.0))


def far_too_slow() -> Given:
    return classes(net(), optimizer=optim.SGD(lr=1e-7))


def nothing_to_learn_by() -> Given:
    X, y = blobs(2)
    model = Sequential(
        Layer(4, 8, rng=0), an.Lambda(lambda z: z * 1e-12), Layer(8, 2, rng=1, bias=None)
    )
    return model, X, y, {"loss": an.SoftmaxCrossEntropy()}


def linear_xor() -> Given:
    X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    model = Sequential(Layer(2, 1, rng=0), an.Sigmoid())
    return model, X, np.array([0, 1, 1, 0]), {"loss": an.CrossEntropy()}


BROKEN: dict[str, tuple[Case, ...]] = {
    "squashed-twice": (
        softmax_of_sigmoid, softmax_of_softmax, two_softmaxes, sigmoid_of_sigmoid_reshaped,
    ),
    "softmax-of-one": (softmax_of_one,),
    "broadcast-targets": (column_against_row,),
    "loss-and-output": (two_columns_against_one, classes_for_one_output),
    "targets-out-of-reach": (
        class_numbers_by_sigmoid, negative_numbers_by_relu, own_squares_by_tanh,
    ),
    "softmax-of-rows": (softmax_of_rows,),
    "logits-cut-off": (logits_by_relu, margins_of_probabilities),
    "labels-from-1": (labels_from_1, labels_from_1_with_room),
    "missing-class": (a_class_is_cut_off,),
    "unscaled-inputs": (pixels, pictures_of_bytes, one_wide_column, tiny_inputs),
    "constant-column": (a_constant_column,),
    "duplicated-column": (a_copied_column,),
    "rows-in-both": (tested_with_training_rows,),
    "not-finite": (logarithms_of_all,),
    "first-cost": (numbers_of_a_thousand, wide_weights),
    "weights-too-small": (tiny_weights,),
    "equal-units": (equal_weights, no_weights),
    "saturated-units": (pixels, flat_units),
    "dead-units": (dead_units, dead_maximum),
    "vanishing-gradient": (deep_sigmoids,),
    "exploding-gradient": (growing_layers,),
    "no-gradient": (cut_off,),
    "unheld-parameters": (half_held, of_a_copy),
    "penalised-biases": (own_penalty_of_all, decay_of_bare_tensors, unknown_bias),
    "stale-gradients": (
        gradients_twice, never_zeroed, never_zeroed_by_adam, step_without_zero,
    ),
    "noise-in-evaluation": (noise_in_evaluation,),
    "frozen-noise": (same_mask, dropout_made_anew, frozen_step),
    "batch-of-one": (batch_of_one,),
    "learning-rate-too-large": (far_too_fast, adam_too_fast),
    "learning-rate-too-small": (far_too_slow,),
    "cannot-memorise": (nothing_to_learn_by, linear_xor),
}  # fmt: skip
