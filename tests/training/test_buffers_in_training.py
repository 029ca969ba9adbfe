"""Buffers, which a module carries without a gradient: kept, restored and resumed as weights are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tools.runs import OPTIMIZERS, X, Y, close, every_checkpoint, network

from autonn import CrossEntropy, MeanSquaredError, Sequential, Tensor, fit, optim
from autonn.files import FileFormatError
from autonn.training import History, compiling, read_checkpoint, write_checkpoint

Array = NDArray[Any]


class Centred(Sequential):
    """Takes the mean of what it is shown away: while training of the batch, later a running one."""

    def __init__(self, *modules: Any) -> None:
        super().__init__(*modules)
        self.mean = Tensor(np.zeros(5))
        self.seen = Tensor(np.array(0))  # whole numbers may be kept too

    def held(self) -> Any:
        return [*super().held(), ("mean", self.mean), ("seen", self.seen)]

    def forward(self, x: Any) -> Tensor:
        if not self.training:
            return super().forward(x - self.mean)
        mean = np.mean(x, axis=0)
        self.mean.data = 0.9 * self.mean.data + 0.1 * np.asarray(mean)
        self.seen.data = self.seen.data + 1
        return super().forward(x - mean)


def centred(seed: int = 0) -> Centred:
    return Centred(*network(seed).modules)


def run(model: Any, **options: Any) -> History:
    given: dict[str, Any] = {
        "loss": CrossEntropy(), "optimizer": optim.SGD(lr=0.5), "epochs": 3, "batch_size": 25,
        "seed": 0, "validation": (X[:9] + 1, Y[:9]), "compile": False,
    }  # fmt: skip
    return fit(model, X, Y, **given | options)


def same(one: Any, other: Any) -> bool:
    close(one, other, 0.0)
    return np.array_equal(one.mean.data, other.mean.data) and int(one.seen) == int(other.seen)


def test_buffers_are_changed_in_training_alone() -> None:
    model, plain, mean = centred(), network(), np.zeros(5)
    run(model, batch_size=None, epochs=4)
    for _ in range(4):
        mean = 0.9 * mean + 0.1 * X.mean(axis=0)
    assert np.array_equal(model.mean.data, mean)
    assert int(model.seen) == 4
    fit(
        plain, X - X.mean(axis=0), Y,
        loss=CrossEntropy(), optimizer=optim.SGD(lr=0.5), epochs=4, compile=False,
    )  # fmt: skip
    close(model, plain, 0.0)


@pytest.mark.parametrize("way", OPTIMIZERS)
def test_whether_it_can_be_compiled_is_found_out_without_a_trace(way: str) -> None:
    one, other = centred(), centred()
    options: dict[str, Any] = {"batch_size": None, "epochs": 2}
    histories = [
        run(model, optimizer=OPTIMIZERS[way](), compile=compiled, **options)
        for model, compiled in ((one, None), (other, False))
    ]
    np.testing.assert_allclose(histories[0].cost, histories[1].cost, rtol=1e-12)
    close(one, other, 1e-12)
    np.testing.assert_allclose(one.mean.data, other.mean.data, rtol=1e-12)
    if way in ("SGD", "Adam"):
        assert int(one.seen) == int(other.seen) == 2


def test_a_trial_of_a_program_leaves_weights_and_buffers_as_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, untouched = centred(), centred()

    def changes(x: Any) -> Any:
        model[0].weight.data[0] = 7.0
        return model(x)

    with monkeypatch.context() as patch:
        patch.setattr(compiling, "compiled", lambda f: f)  # a program that writes to them
        program, why_not = compiling.attempt(changes, model, [(X,), (X[:10],)])
    assert (program, why_not) == (changes, "")
    assert same(model, untouched)


@pytest.mark.parametrize("every", [None, 1, 2])
def test_training_goes_on_with_the_same_buffers_bit_for_bit(
    every: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, plain = tmp_path / "run.npz", centred()
    expected = run(plain, patience=1)
    saving: dict[str, Any] = {"checkpoint": path, "every": every, "patience": 1}
    versions = every_checkpoint(path, monkeypatch, lambda: run(centred(), **saving))
    assert len(versions) >= 3
    for version in versions:
        path.write_bytes(version)
        model = centred(1)
        assert run(model, resume=True, **saving) == expected
        assert same(model, plain)


def test_the_best_weights_come_with_their_buffers() -> None:
    kept: list[tuple[Array, int]] = []

    def note(history: History) -> None:
        kept.append((model.mean.numpy(), int(model.seen)))

    flipped = (X + 1, (Y + 1) % 3)  # the better it learns, the worse this
    model = centred()
    history = run(model, validation=flipped, patience=2, epochs=99, callbacks=[note])
    best = int(np.argmin(history.validation_cost))
    assert best == len(history) - 3
    assert np.array_equal(model.mean.data, kept[best][0])
    assert int(model.seen) == kept[best][1] != kept[-1][1]


@pytest.mark.parametrize("batch_size", [None, 20])
def test_a_run_that_diverges_goes_back_to_finite_buffers(batch_size: int | None) -> None:
    class Averages(Centred):
        """Keeps what it predicted, which grows with the weights."""

        def forward(self, x: Any) -> Tensor:
            out = Sequential.forward(self, x)
            if self.training:
                self.seen.data = self.seen.data + 1
                self.mean.data = np.full(5, float(np.sum(np.square(out.detach()))))
            return out

    model = Averages(network()[0])
    kept: list[tuple[Array, int]] = [(model.mean.numpy(), 0)]

    def note(history: History) -> None:
        kept.append((model.mean.numpy(), int(model.seen)))

    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match="smaller learning rate"):
        history = fit(
            model, X, X[:, :4], loss=MeanSquaredError(), optimizer=optim.SGD(lr=1e80), epochs=50,
            batch_size=batch_size, seed=0, compile=False, callbacks=[note],
        )  # fmt: skip
    assert history.diverged
    assert np.isfinite(model.mean.data).all()
    assert np.array_equal(model.mean.data, kept[-1][0])
    assert int(model.seen) == kept[-1][1]


def test_buffers_of_another_run_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    run(centred(), checkpoint=path)
    arrays, notes = read_checkpoint(path)
    assert {"buffers/mean", "buffers/seen"} <= set(arrays)
    model, untouched = centred(1), centred(1)
    spoilt: list[tuple[dict[str, Any], str]] = [
        ({k: a for k, a in arrays.items() if k != "buffers/mean"}, "buffers/mean is missing"),
        (arrays | {"buffers/more": np.ones(1)}, "buffers/more is unknown"),
        (arrays | {"buffers/mean": np.ones(4)}, r"buffers/mean is float64 \(4,\), expected"),
        (arrays | {"buffers/seen": np.array(0.5)}, r"buffers/seen is float64 \(\), expected"),
    ]
    for changed, words in spoilt:
        write_checkpoint(path, changed, notes)
        with pytest.raises(FileFormatError, match=words):
            run(model, checkpoint=path, resume=True)
        assert same(model, untouched)


def test_a_buffer_that_was_never_finite_does_not_end_training() -> None:
    class Masked(Sequential):
        def __init__(self, *modules: Any) -> None:
            super().__init__(*modules)
            self.mask = Tensor(np.array([0.0, -np.inf]))

        def held(self) -> Any:
            return [*super().held(), ("mask", self.mask)]

    model = Masked(*network().modules)
    history = run(model, validation=None)
    assert not history.diverged
    assert len(history) == 3
