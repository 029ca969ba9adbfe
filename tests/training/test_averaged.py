"""Averages in loops of one's own are those of `fit`; statistics are measured anew for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tools.refusals import assert_refused
from tools.runs import X, Y, close, network

from autonn import BatchNorm1d, CrossEntropy, Dropout, Layer, Sequential, fit, optim, train_step
from autonn.training import Averaged, renew_statistics

AVERAGES: list[Any] = [optim.EMA(0.7), optim.SWA(start=3, every=2)]


@pytest.mark.parametrize("kind", AVERAGES, ids=repr)
def test_a_loop_of_ones_own_averages_as_a_run_does(kind: Any) -> None:
    model, twin = network(), network()
    fit(twin, X, Y, loss=CrossEntropy(), optimizer=optim.Adam(lr=0.1), epochs=9, average=kind)
    step = train_step(model, CrossEntropy(), optim.Adam(lr=0.1))
    average = Averaged(model, kind)
    for _ in range(9):
        step(X, Y)
        average.update()
    last = model[0].weight.numpy()
    with average.applied():
        close(model, twin, 0.0)
    assert np.array_equal(model[0].weight.data, last)
    average.apply()
    close(model, twin, 0.0)


def test_nothing_is_applied_before_anything_counted() -> None:
    model, same = network(), network()
    average = Averaged(model, optim.SWA(start=5))
    average.update()
    with average.applied():
        close(model, same, 0.0)
    average.apply()
    close(model, same, 0.0)
    assert_refused(lambda: Averaged(model, 0.9), TypeError, ["EMA", "0.9"])  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [None, 20, 16])
def test_statistics_are_means_over_batches_by_their_rows(size: int | None) -> None:
    first = Layer(5, 4, rng=0)
    model = Sequential(first, Dropout(0.5, rng=0), BatchNorm1d(4, momentum=0.3))
    norm = model[2]
    norm.running_mean.data = np.full(4, 7.0)
    model.eval()
    renew_statistics(model, X, batch_size=size)
    z = first.predict(X)
    parts = [z[k : k + (size or 60)] for k in range(0, 60, size or 60)]
    shares = [len(part) / 60 for part in parts]
    means = np.average([part.mean(axis=0) for part in parts], axis=0, weights=shares)
    variances = np.average([part.var(axis=0, ddof=1) for part in parts], axis=0, weights=shares)
    np.testing.assert_allclose(norm.running_mean.data, means, rtol=1e-12)
    np.testing.assert_allclose(norm.running_var.data, variances, rtol=1e-12)
    assert (norm.momentum, norm.training) == (0.3, False)


def test_an_x_that_cannot_be_measured_is_refused_and_nothing_else_changes() -> None:
    norm = BatchNorm1d(5)
    assert_refused(lambda: renew_statistics(norm, X[:0]), ValueError, ["no examples"])
    with pytest.raises(ValueError, match="no batch of one row"):
        renew_statistics(norm, X, batch_size=1)
    assert norm.momentum == 0.1
    assert norm.training
