"""See six networks that do not learn, let `lint` say why, mend them, and see them learn.

    python examples/why_it_does_not_learn.py

Each of the six has one of the mistakes that everybody makes once, and none of them raises an error.
So each is trained first as it is, to see how little it learns. Then `lint` is asked; what it finds
is printed as it says it, with its numbers and its cure. At the end the same network is trained
again with that one thing mended.

The data are five hundred of the handwritten digits, of which one in ten is read rightly by chance;
and, for two of the six, the sum of two numbers, which is off by 1.4 for who always says 0.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autonn import (
    Layer,
    MeanSquaredError,
    ReLU,
    Sequential,
    Sigmoid,
    SoftmaxCrossEntropy,
    fit,
    lint,
    load_digits,
    nn,
    optim,
)
from autonn.training import LintWarning, accuracy

DIGITS = load_digits()
X, y = DIGITS.X[::10], DIGITS.y[::10]
PLACES = np.random.default_rng(0).normal(size=(200, 2))
SUMS = PLACES.sum(axis=1)


@dataclass
class Training:
    """All that a training is made of; what differs from the mended one is the mistake."""

    model: Sequential
    optimizer: optim.StepOptimizer
    loss: Any = field(default_factory=SoftmaxCrossEntropy)
    X: Any = field(default_factory=lambda: X)
    y: Any = field(default_factory=lambda: y)
    clears: bool | None = None  # of a loop of one's own: whether it clears the gradients

    def learn(self, epochs: int) -> None:
        """Train it by `fit`, or by a loop of its own."""
        if self.clears is None:
            fit(self.model, self.X, self.y, loss=self.loss, optimizer=self.optimizer, epochs=epochs)
            return
        self.optimizer.bind(self.model)
        for _ in range(epochs):
            if self.clears:
                self.optimizer.zero_grad()
            self.loss(self.model(self.X), self.y).backward()
            self.optimizer.step()

    def result(self) -> str:
        """Say how well it does now."""
        if self.y is y:
            return f"{accuracy(self.model, self.X, self.y):.1%} right"
        error = float(np.sqrt(np.mean((self.model.predict(self.X)[:, 0] - self.y.ravel()) ** 2)))
        return f"off by {error:.2f}"


def network(*last: Any, weight: Any = nn.init.he_normal) -> Sequential:
    """Build a small network for the digits; `last` comes after its ten outputs."""
    rng = np.random.default_rng(0)
    layers = Layer(400, 32, weight=weight, rng=rng), ReLU(), Layer(32, 10, weight=weight, rng=rng)
    return Sequential(*layers, *last)


def adder() -> Sequential:
    """Build a network that shall add two numbers."""
    rng = np.random.default_rng(0)
    return Sequential(Layer(2, 16, rng=rng), ReLU(), Layer(16, 1, rng=rng))


# --- The six, each as it was written and as it was meant -----------------------------------------


def squashed_twice(mended: bool) -> Training:
    """End in a sigmoid, before a loss that takes the softmax of it."""
    model = network() if mended else network(Sigmoid())
    return Training(model, optim.SGD(lr=0.3))


def raw_pixels(mended: bool) -> Training:
    """Take pixels from 0 to 255, as pictures have them."""
    return Training(network(), optim.SGD(lr=0.3), X=X if mended else X * 255)


def column_and_row(mended: bool) -> Training:
    """Subtract targets (m,) from predictions (m, 1): NumPy makes m by m differences of them.

    So does a loop of one's own; `fit` would put the targets into a column.
    """
    targets = SUMS[:, None] if mended else SUMS
    return Training(adder(), optim.Adam(lr=0.02), own_loss, PLACES, targets, clears=True)


def own_loss(a: Any, y: Any) -> Any:
    """Compute the mean of the squares, without a look at the shapes."""
    return np.mean((a - y) ** 2)


def equal_weights(mended: bool) -> Training:
    """Begin with weights of 0, so that all hidden units are one."""
    weight = nn.init.he_normal if mended else nn.init.zeros
    return Training(network(weight=weight), optim.SGD(lr=0.3))


def too_fast(mended: bool) -> Training:
    """Take a learning rate that was good for another optimiser."""
    return Training(network(), optim.Adam(lr=0.005 if mended else 5.0))


def never_cleared(mended: bool) -> Training:
    """Write a loop that adds up all gradients that there ever were."""
    loss = MeanSquaredError()
    return Training(adder(), optim.SGD(lr=0.1), loss, PLACES, SUMS[:, None], clears=mended)


SIX: dict[str, Callable[[bool], Training]] = {
    "A sigmoid before a loss that takes logits": squashed_twice,
    "Pixels from 0 to 255": raw_pixels,
    "A column of predictions, a row of targets": column_and_row,
    "Weights that all begin with 0": equal_weights,
    "A learning rate far too large": too_fast,
    "Gradients that are never cleared": never_cleared,
}


def show(title: str, training: Callable[[bool], Training]) -> None:
    """Train it with the mistake, ask `lint`, and train it without."""
    print(title)
    wrong = training(False)
    findings = lint(wrong.model, wrong.X, wrong.y, loss=wrong.loss, optimizer=wrong.optimizer)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        wrong.learn(60)
    if not findings:  # what only the steps themselves show
        findings = lint(wrong.model, wrong.X, wrong.y, loss=wrong.loss, optimizer=wrong.optimizer)
    right = training(True)
    right.learn(60)
    print(f"  as it was   {wrong.result()}")
    print(f"  mended      {right.result()}")
    print("  " + str(findings[0]).replace("\n", "\n  "))
    if any(warning.category is LintWarning for warning in told):
        print("  (fit warns of this by itself)")
    print()


def main() -> None:
    """Show all six."""
    for number, (title, training) in enumerate(SIX.items(), 1):
        show(f"{number}. {title}", training)


if __name__ == "__main__":
    main()
