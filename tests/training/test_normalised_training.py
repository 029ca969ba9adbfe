"""Networks with norms in `fit`: running statistics are kept, resumed and restored bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tools.profiles import THOROUGH
from tools.runs import X, Y, every_checkpoint

from autonn import (
    BatchNorm1d,
    CrossEntropy,
    GroupNorm,
    Layer,
    LayerNorm,
    ReLU,
    Sequential,
    Sigmoid,
    fit,
    load_weights,
    optim,
    save_weights,
)
from autonn.training import History


def network(seed: int = 0, dtype: Any = np.float64) -> Sequential:
    rng = np.random.default_rng(seed)
    return Sequential(
        Layer(5, 4, rng=rng, dtype=dtype), BatchNorm1d(4, dtype=dtype), ReLU(),
        LayerNorm(4, dtype=dtype), GroupNorm(2, 4, dtype=dtype),
        Layer(4, 3, rng=rng, dtype=dtype), Sigmoid(),
    )  # fmt: skip


def run(model: Any, **options: Any) -> History:
    given: dict[str, Any] = {
        "loss": CrossEntropy(), "optimizer": optim.Adam(lr=0.02), "epochs": 3, "batch_size": 25,
        "seed": 0, "validation": (X[:20] + 0.5, Y[:20]),
    }  # fmt: skip
    return fit(model, X, Y, **given | options)


def assert_same(one: Any, other: Any, tolerance: float = 0.0) -> None:
    state, its = one.state_dict(), other.state_dict()
    for name in state:
        np.testing.assert_allclose(state[name], its[name], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_program_of_a_step_moves_the_buffers_as_the_step_does(dtype: Any) -> None:
    one, other = network(dtype=dtype), network(dtype=dtype)
    X32 = X.astype(dtype)
    options: dict[str, Any] = {
        "loss": CrossEntropy(), "optimizer": optim.SGD(lr=0.1), "epochs": 3, "batch_size": 25,
        "seed": 0,
    }  # fmt: skip
    history = fit(one, X32, Y, compile=True, **options)
    fit(other, X32, Y, compile=False, **options)
    assert history.compiled
    assert {p.dtype for p in [*one.parameters(), *one.buffers()]} == {np.dtype(dtype)}
    assert_same(one, other, 1e-10 if dtype == np.float64 else 1e-4)
    assert np.all(one[1].running_mean.data != 0)


@pytest.mark.parametrize("compiled", [True, False])
def test_training_goes_on_with_the_same_statistics_bit_for_bit(
    compiled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, plain = tmp_path / "run.npz", network()
    expected = run(plain, patience=2, compile=compiled)
    saving: dict[str, Any] = {"checkpoint": path, "every": 2, "patience": 2, "compile": compiled}
    versions = every_checkpoint(path, monkeypatch, lambda: run(network(), **saving))
    assert len(versions) >= 4
    for version in versions[:: 3 if compiled and not THOROUGH else 1]:
        path.write_bytes(version)
        model = network(1)
        assert run(model, resume=True, **saving) == expected
        assert_same(model, plain)


@pytest.mark.parametrize("compiled", [True, False])
def test_the_best_weights_come_with_their_statistics(compiled: bool) -> None:
    model, kept = network(), []

    def note(history: History) -> None:
        kept.append(model.state_dict())

    flipped = (X[:20], (Y[:20] + 1) % 3)  # the better it learns, the worse this
    history = run(
        model, validation=flipped, patience=2, epochs=99, callbacks=[note], compile=compiled
    )
    best = int(np.argmin(history.validation_cost))
    assert best == len(history) - 3
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, kept[best][name])
    assert not np.array_equal(kept[-1]["1.running_mean"], kept[best]["1.running_mean"])


@pytest.mark.parametrize("ending", ["npz", "safetensors"])
def test_statistics_are_saved_and_loaded(ending: str, tmp_path: Path) -> None:
    model, other = network(), network(1)
    run(model)
    save_weights(model, tmp_path / f"w.{ending}")
    load_weights(other, tmp_path / f"w.{ending}")
    assert_same(model, other)
    np.testing.assert_array_equal(model.predict(X), other.predict(X))


@pytest.mark.parametrize("compiled", [None, False])
def test_a_last_batch_of_one_row_is_an_error_with_its_cure(compiled: bool | None) -> None:
    with pytest.raises(ValueError, match=r"BatchNorm1d\(4\) .* batch of one row"):
        run(network(), batch_size=59, compile=compiled)
