"""Examples and their weights."""

from __future__ import annotations

import numpy as np
from tools.runs import X, Y, close, network, train

from autonn import (
    CrossEntropy,
    fit,
    optim,
)


def test_a_weight_counts_like_so_many_copies_of_the_example() -> None:
    counts = np.arange(60) % 4
    model, other = network(), network()
    train(model, sample_weights=counts * (60 / counts.sum()))
    fit(
        other, np.repeat(X, counts, axis=0), np.repeat(Y, counts),
        loss=CrossEntropy(), optimizer=optim.SGD(lr=0.5), epochs=5,
    )  # fmt: skip
    close(model, other, 1e-12)
    by_class = np.array([0.5, 1.0, 3.0])
    one, same = network(), network()
    histories = [
        train(one, class_weights=by_class, batch_size=20, seed=0),
        train(same, sample_weights=by_class[Y], batch_size=20, seed=0),
    ]
    assert histories[0] == histories[1]
    assert histories[0].cost != train(network(), batch_size=20, seed=0).cost
