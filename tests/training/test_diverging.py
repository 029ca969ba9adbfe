"""Costs that are no number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tools.runs import X, Y, close, network, train

from autonn import CrossEntropy, Layer, MeanSquaredError, Sequential, Tensor, fit, optim
from autonn.training.checkpoints import read_checkpoint

Array = NDArray[Any]


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("batch_size", [None, 20])
def test_a_diverging_loss_stops_with_the_last_finite_weights(
    batch_size: int | None, compiled: bool, tmp_path: Path
) -> None:
    path = tmp_path / "run.npz"
    model = Sequential(Layer(5, 2, rng=0))
    options: dict[str, Any] = {"checkpoint": path, "batch_size": batch_size, "seed": 0}
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match="smaller learning rate"):
        history = fit(
            model, X, X[:, :2], loss=MeanSquaredError(), optimizer=optim.SGD(lr=1e80), epochs=50,
            compile=compiled, **options,
        )  # fmt: skip
    assert history.diverged
    assert not history.interrupted
    assert len(history) < 50
    assert np.isfinite(history.cost).all()
    assert all(np.isfinite(p.data).all() for p in model.parameters())
    assert np.abs(model[0].weight.data).max() > 1e70
    arrays, _ = read_checkpoint(path)  # and no checkpoint of what was lost
    assert np.isfinite(arrays["weights/0.weight"]).all()


def test_a_step_to_weights_that_are_no_numbers_is_undone() -> None:
    model = Sequential(Layer(5, 3, rng=0))
    theta = model[0].theta

    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match="led to weights"):
        history = train(model, loss=lambda a, y: np.sum(a) * 1e-300, optimizer=Wild())
    assert history.diverged
    assert np.array_equal(model[0].theta, theta)


class Wild(optim.SGD):
    def __init__(self) -> None:
        super().__init__(lr=1.0)

    def _update(self, data: Array, *args: Any) -> None:
        data[0] = np.inf


@pytest.mark.parametrize("options", [{}, {"batch_size": 20}, {"optimizer": optim.LBFGS()}])
def test_rows_that_give_no_number_are_named(options: dict[str, Any]) -> None:
    class Log(Sequential):
        def forward(self, x: Any) -> Tensor:
            return super().forward(np.log(x))

    x = np.abs(X) + 1
    x[17, 2] = -1.0
    x[41, 0] = 0.0
    model, same = Log(*network().modules), network()
    given: dict[str, Any] = {"loss": CrossEntropy(), "optimizer": optim.SGD(lr=0.5), "seed": 0}
    named = r"row (17|41|17, 41), or its gradient, was not finite"
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match=named):
        fit(model, x, Y, **given | options)
    assert np.isfinite(model[0].theta).all()
    if "batch_size" not in options:
        close(model, same, 0.0)
