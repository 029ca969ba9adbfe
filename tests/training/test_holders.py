"""Rows that others hold: the sums over them have the bits of the program on one machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autonn as an
from autonn import Dropout, Layer, Sequential, Sigmoid, Tanh, fit, optim
from autonn.distributed import Held, NoSumError, Rows, Threads
from autonn.engine.modes import CannotCompileError
from autonn.training import History

M = 5000
DIGITS = an.load_digits()
X, y = DIGITS.X[:, ::8].copy(), DIGITS.y


class Ranks:
    """Workers in turn, as ranks of MPI would be: each holds some slices and is asked by name.

    This is all that workers of another kind need: to deal rows out, and to ask.
    """

    def __init__(self, count: int) -> None:
        self.count, self.asked = count, list[str]()

    def take(self, array: Any, start: int, stop: int) -> Any:
        raise NotImplementedError  # nobody gives them arrays of Dask's

    def deal(self, rows: Rows) -> Ranks:
        self.held = []
        for some in np.array_split(np.arange(len(rows.slices)), self.count):
            ends = [rows.slices[k] for k in some]
            parts = [[array[a:b].copy() for a, b in ends] for array in rows.arrays]
            self.held.append(Held(ends, parts, lambda part, slices: list(map(part, slices))))
        return self

    def ask(self, what: str, *args: Any) -> list[Any]:
        self.asked.append(what)
        return [a for held in self.held for a in getattr(held, what)(*args)]  # in their order

    def close(self) -> None:
        self.held.clear()


def network(*hidden: Any) -> Sequential:
    layers = hidden or (Sigmoid(),)
    return Sequential(Layer(50, 8, rng=0), *layers, Layer(8, 10, rng=1), Sigmoid())


def trained(optimizer: Any, model: Any = None, **how: Any) -> tuple[History, Any]:
    model = network() if model is None else model
    given: dict[str, Any] = {
        "X": X,
        "y": y,
        "loss": an.CrossEntropy(),
        "l2": 1.0,
        "epochs": 4,
    }
    return fit(model, optimizer=optimizer, **(given | how)), model


def assert_same(one: tuple[History, Any], other: tuple[History, Any]) -> None:
    """Demand the same bits of costs, accuracies and weights."""
    assert one[0].cost == other[0].cost
    assert one[0].accuracy == other[0].accuracy
    for a, b in zip(one[1].parameters(), other[1].parameters(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize(
    "optimizer", [optim.LBFGS(), optim.SGD(lr=1.0, momentum=0.9), optim.Newton()], ids=repr
)
def test_the_bits_are_those_of_one_machine(optimizer: Any) -> None:
    alone = trained(optimizer)
    for workers in (Threads(), Threads(1), Ranks(1), Ranks(2)):
        assert_same(alone, trained(optimizer, workers=workers))


@pytest.mark.parametrize("m", [4097, 8192, 20_000])
def test_the_program_of_many_rows_is_that_of_their_number(m: int) -> None:
    rows = np.arange(m) % M
    alone = trained(optim.LBFGS(), X=X[rows], y=y[rows], epochs=2)
    assert_same(alone, trained(optim.LBFGS(), X=X[rows], y=y[rows], epochs=2, workers=Ranks(3)))


def test_other_losses_weights_and_dtypes() -> None:
    weight = np.random.default_rng(0).uniform(0, 2, M)
    narrow = X.astype(np.float32)
    one_hot = np.eye(10)[y]
    many: tuple[dict[str, Any], ...] = (
        {"loss": "cross_entropy", "sample_weight": weight, "model": bare},
        {"loss": "cross_entropy", "class_weight": "balanced", "l1": 0.1, "model": bare},
        {"y": one_hot},
        {"loss": "mse", "y": X[:, :10]},
        {"loss": "cross_entropy", "X": narrow, "model": lambda: bare(np.float32)},
        {"loss": lambda a, t: 0.3 * np.mean((a - t) ** 2) + 0.7 * np.sum(a) / len(a),
         "y": one_hot},
    )  # fmt: skip
    for how in many:
        make = how.pop("model", network)
        alone, away = (
            trained(optim.LBFGS(), make(), **how, **more) for more in ({}, {"workers": Ranks(2)})
        )
        assert_same(alone, away)


def bare(dtype: Any = np.float64) -> Sequential:
    return Sequential(Layer(50, 8, rng=0, dtype=dtype), Tanh(), Layer(8, 10, rng=1, dtype=dtype))


class Two(an.Module):
    """A model of two inputs, with a column to predict."""

    def __init__(self) -> None:
        self.left, self.right = Layer(10, 1, rng=0), Layer(20, 1, rng=1)

    def forward(self, left: Any, right: Any) -> Any:  # type: ignore[override]
        return np.tanh(self.left(left)) + self.right(right)


def test_several_inputs_and_targets_in_a_row_for_a_column() -> None:
    left, right = X[:, :10].copy(), X[:, 10:30].copy()
    given: dict[str, Any] = {"X": {"left": left, "right": right}, "y": X[:, 9] * 2, "loss": "mse"}
    alone = trained(optim.LBFGS(), Two(), **given)
    assert_same(alone, trained(optim.LBFGS(), Two(), **given, workers=Ranks(2)))


def test_memory_maps_stay_on_the_disk(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", X)
    there = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert_same(trained(optim.LBFGS()), trained(optim.LBFGS(), X=there, workers=Threads()))


def test_what_stays_with_the_caller(tmp_path: Path) -> None:
    """Callbacks, validation, patience, and checkpoints, from which any other run goes on."""
    path = tmp_path / "run.npz"
    how: dict[str, Any] = {"validation": (X[:100], y[:100]), "patience": 50, "epochs": 6}
    whole = trained(optim.Adam(lr=0.01), **how)
    for first, then in ((Ranks(2), None), (None, Ranks(2)), (Threads(), Ranks(1))):
        seen: list[float] = []
        path.unlink(missing_ok=True)

        def stop(history: History, seen: list[float] = seen) -> None:
            seen.append(history.cost[-1])
            if len(history) == 3:
                raise StopIteration

        trained(optim.Adam(lr=0.01), **how, workers=first, callbacks=stop, checkpoint=path)
        assert seen == whole[0].cost[:3]
        rest = trained(optim.Adam(lr=0.01), **how, workers=then, checkpoint=path, resume=True)
        assert_same(whole, rest)
        assert rest[0].validation_cost == whole[0].validation_cost
    with pytest.raises(an.files.FileFormatError, match="X has other numbers"):
        trained(optim.Adam(lr=0.01), **how, X=X + 1, workers=Ranks(1), checkpoint=path, resume=True)


def test_a_program_is_derived_anew_where_what_it_reads_changes() -> None:
    def cost(a: Any, t: Any) -> Any:
        return scale[0] * np.mean((a - t) ** 2)

    def change(history: History) -> None:
        scale[0] = 0.5

    results = []
    for workers in (None, Ranks(2)):
        scale, made = [1.0], network()
        how: dict[str, Any] = {"loss": cost, "y": np.eye(10)[y], "callbacks": change}
        results.append(trained(optim.SGD(lr=0.1), made, **how, workers=workers))
        scale[0] = 1.0
    assert_same(*results)


# ---- what is refused


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": lambda: network(an.BatchNorm1d(8))}, "BatchNorm1d.* sets a buffer.*LayerNorm"),
        ({"model": lambda: network(Dropout(0.5, rng=0))}, "draws random numbers.*leave workers"),
        ({"loss": lambda a, t: np.sqrt(np.mean(a**2))}, "needs all rows"),
        ({"loss": lambda a, t: np.mean(a - np.mean(a, axis=0)) ** 2}, "needs all rows"),
        ({"loss": lambda a, t: np.mean(a) if float(np.sum(a)) > 1 else np.sum(a)}, "can't be one"),
    ],
    ids=["batch norm", "dropout", "root", "centred", "reads values"],
)  # fmt: skip
def test_what_is_no_sum_over_rows_is_refused(change: dict[str, Any], words: str) -> None:
    make = change.pop("model", network)
    with pytest.raises(CannotCompileError, match=words) as told:
        trained(optim.SGD(lr=0.1), make(), **change, workers=Ranks(2))
    assert isinstance(told.value, NoSumError) or "can't be one" in words


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"workers": Threads}, "pip install|workers is a client"),
        ({"batch_size": 50}, "mini-batch.* leave batch_size=None"),
        ({"validation": 0.2}, "give held-out examples"),
        ({"metrics": "accuracy"}, r"give validation=\(X, y\)"),
        ({"augment": lambda X, rng: X}, "leave augment out"),
        ({"compile": False}, "leave compile=False out"),
        ({"X": lambda: (X, y), "y": None}, "give arrays X and y"),
        ({"X": np.where(np.arange(M)[:, None] == 4321, np.nan, X)}, "nan in row 4321, column 0"),
        ({"y": y[:-1]}, "5000 examples against 4999 targets"),
        ({"y": np.where(np.arange(M) == 4321, 10, y)}, "4321|10"),
    ],
    ids=["no client", "mini-batches", "share", "metrics", "augment", "compile", "stream", "nan",
         "length", "class"],
)  # fmt: skip
def test_what_does_not_go_with_workers_says_what_to_do(how: dict[str, Any], words: str) -> None:
    with pytest.raises((ValueError, TypeError, ImportError, IndexError), match=words):
        trained(optim.SGD(lr=0.1), **({"workers": Ranks(2)} | how))


def test_rows_that_no_weights_make_finite_are_named() -> None:
    huge = X.copy()
    huge[4321] = 1e300
    loss = lambda a, t: np.mean(np.square(a))  # noqa: E731
    model = Sequential(Layer(50, 1, rng=0))
    with pytest.raises(FloatingPointError, match="that of row 4321,"):
        trained(optim.LBFGS(), model, X=huge, loss=loss, workers=Ranks(2))


def test_an_error_among_the_holders_arrives() -> None:
    class Broken(Ranks):
        def ask(self, what: str, *args: Any) -> list[Any]:
            if what == "sums":
                raise MemoryError("none left")
            return super().ask(what, *args)

    ranks = Broken(2)
    with pytest.raises(MemoryError, match="none left"):
        trained(optim.SGD(lr=0.1), workers=ranks)
    assert ranks.held == []  # they were let go


def test_who_holds_rows_is_asked_once_a_step() -> None:
    ranks = Ranks(2)
    trained(optim.SGD(lr=0.1), workers=ranks, epochs=3)
    count: Sequence[str] = [what for what in ranks.asked if what == "sums"]
    assert len(count) == 3
    assert ranks.asked.count("learn") == 1
