"""Dropout: what it silences, and when."""

from __future__ import annotations

import numpy as np

from autonn import (
    Dropout,
    Flatten,
    Sequential,
    Tensor,
)


def test_dropout_silences_its_share_while_training_and_nothing_in_evaluation() -> None:
    model = Sequential(Dropout(0.25, rng=0), Flatten())
    x = np.ones((100, 20, 10))
    silenced = (model(x).data == 0).mean()
    assert abs(silenced - 0.25) < 0.01
    assert set(np.unique(model(x).data)) == {0, 1 / 0.75}
    assert not np.array_equal(model(x).data, model(x).data)
    assert np.all(model.predict(x) == 1)
    assert model[0].training
    assert np.all(model.eval()(x).data == 1)
    assert not model[0].training
    assert np.all(model.train()[0].training)
    first, second = (Dropout(0.5, rng=3)(x).data for _ in range(2))
    assert np.array_equal(first, second)
    assert Dropout(0.5, rng=0)(np.ones(4, np.float32)).dtype == np.float32


def test_dropouts_gradient_passes_where_the_unit_was_kept() -> None:
    x = Tensor(np.ones(50), requires_grad=True)
    y = Dropout(0.5, rng=0)(x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, y.data)
