"""Batches that come from elsewhere: lists, functions, loaders; drawn, augmented, resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tools.profiles import THOROUGH
from tools.refusals import assert_refused
from tools.runs import X, Y, close, every_checkpoint, network, train

from autonn import CrossEntropy, Sequential, Tensor, fit, optim
from autonn.data import batches
from autonn.training import History

BATCHES = [(X[k : k + 25], Y[k : k + 25]) for k in range(0, 60, 25)]
GIVEN: dict[str, Any] = {"loss": CrossEntropy(), "epochs": 3, "seed": 0}


def in_order() -> Iterator[Any]:
    yield from BATCHES


def shuffled(rng: np.random.Generator) -> Iterator[Any]:
    """Deal the rows as `fit` does by itself."""
    for rows in batches(60, 25, rng):
        yield X[rows], Y[rows]


def drawn(rng: np.random.Generator) -> Any:
    rows = rng.integers(0, 60, 16)
    return X[rows], Y[rows]


class Loader:
    """Goes through rows again and again, as a loader of PyTorch's, which yields lists."""

    def __init__(self, seed: int | None = None) -> None:
        self.rng = None if seed is None else np.random.default_rng(seed)

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Iterator[Any]:
        order = np.arange(60) if self.rng is None else self.rng.permutation(60)
        for start in range(0, 60, 25):
            rows = order[start : start + 25]
            yield [X[rows], Y[rows]]


def run(given: Any, y: Any = None, **options: Any) -> tuple[Sequential, History]:
    model = network()
    optimizer = optim.SGD(lr=0.5, momentum=0.9)
    return model, fit(model, given, y, **({"optimizer": optimizer} | GIVEN | options))


@pytest.mark.parametrize("compiled", [True, False])
def test_batches_in_each_form_train_alike(compiled: bool) -> None:
    expected, seen = None, None
    for given in (BATCHES, in_order, Loader(), lambda: BATCHES)[:: 3 if compiled else 1]:
        model, history = run(given, l2=1.0, examples=60, compile=compiled)
        assert history.compiled is compiled
        assert len(history.cost) == len(history.accuracy) == 3
        if expected is None or seen is None:
            expected, seen = model, history
        close(model, expected, 0.0)
        assert history == seen
    by_rows, of_rows = run(X, Y, l2=1.0, batch_size=25, compile=compiled)
    model, history = run(shuffled, l2=1.0, examples=60, compile=compiled)
    close(model, by_rows, 1e-12)
    np.testing.assert_allclose(history.cost, of_rows.cost, rtol=1e-12)
    assert history.accuracy == of_rows.accuracy


def test_weights_come_with_batches() -> None:
    weights = np.linspace(0, 2, 60)
    model, _ = run([(X, Y, weights)])
    expected, _ = run(X, Y, sample_weight=weights)
    close(model, expected, 1e-14)


def test_batches_of_another_shape_are_compiled_anew_and_targets_are_looked_at() -> None:
    sizes = [(X[:k], Y[:k]) for k in (20, 7, 20, 1)]
    _, history = run(sizes, compile=True)
    assert history.compiled
    for compiled in (True, False):
        wrong = [(X, Y), (X, np.where(Y == 2, 3, Y))]
        with pytest.raises(IndexError, match="class 3 of 3"):
            run(wrong, compile=compiled)


def test_a_function_that_draws_is_called_for_each_step() -> None:
    counted = []

    def counting(rng: np.random.Generator) -> Any:
        counted.append(1)
        return drawn(rng)

    model, history = run(counting, steps=7)
    assert (len(counted), len(history)) == (21, 3)
    again, _ = run(drawn, steps=7)
    close(model, again, 0.0)
    other, _ = run(drawn, steps=7, seed=1)
    assert not np.array_equal(other[0].weight.data, model[0].weight.data)

    def endless(rng: np.random.Generator) -> Iterator[Any]:
        while True:
            yield drawn(rng)

    model, _ = run(endless, steps=7)
    close(model, again, 0.0)


def test_validation_by_batches_is_the_mean_over_rows_and_metrics_see_all() -> None:
    options: dict[str, Any] = {"metrics": ["accuracy", "top_2", "perplexity"]}
    _, one = run(X, Y, validation=(X, Y), **options)
    _, other = run(X, Y, validation=BATCHES, **options)
    np.testing.assert_allclose(one.validation_cost, other.validation_cost, rtol=1e-13)
    np.testing.assert_allclose(one.validation_accuracy, other.validation_accuracy, rtol=1e-13)
    for name in options["metrics"]:
        np.testing.assert_allclose(one.metrics[name], other.metrics[name], rtol=1e-13)
    assert one.metrics["accuracy"] == one.validation_accuracy


# ---- augmenting


def noisy(x: Any, rng: np.random.Generator) -> Any:
    return x + rng.normal(size=x.shape)


def mixed(x: Any, y: Any, rng: np.random.Generator) -> Any:
    other, share = rng.permutation(len(x)), rng.uniform(0.5, 1)
    one_hot = np.eye(3)[y]
    return share * x + (1 - share) * x[other], share * one_hot + (1 - share) * one_hot[other]


@pytest.mark.parametrize("augment", [noisy, mixed])
def test_augmented_batches_are_drawn_anew_compiled_or_not(augment: Any) -> None:
    models, costs = [], []
    for compiled in (True, False):
        model, history = run(X, Y, batch_size=25, augment=augment, compile=compiled)
        assert history.compiled is compiled
        models.append(model)
        costs.append(history.cost)
    close(models[0], models[1], 1e-12)
    np.testing.assert_allclose(costs[0], costs[1], rtol=1e-12)
    plain, _ = run(X, Y, batch_size=25)
    assert not np.allclose(plain[0].weight.data, models[0][0].weight.data)


def test_what_an_augmenting_function_takes_is_told_by_its_arguments() -> None:
    def scaled(X: Any, rng: Any, spread: float = 0.1) -> Any:
        return X * rng.uniform(1 - spread, 1 + spread, size=(len(X), 1))

    assert fit(network(), X, Y, CrossEntropy(), "adam", augment=scaled, seed=0).cost
    with pytest.raises(TypeError, match=r"augment is a function of X and rng.*not of \(X\)"):
        fit(network(), X, Y, CrossEntropy(), "adam", augment=lambda X: X)


def test_augmenting_keeps_the_dtype_and_every_batch_is_changed() -> None:
    shown: list[Any] = []

    def watching(x: Any, rng: np.random.Generator) -> Any:
        made = noisy(x, rng)
        shown.append(made)
        return made

    model = network(dtype=np.float32)
    fit(model, X.astype(np.float32), Y, optimizer=optim.SGD(lr=0.1), augment=watching,
        batch_size=25, compile=False, **GIVEN)  # fmt: skip
    assert model[0].weight.dtype == np.float32
    assert [len(x) for x in shown] == [25, 25, 10] * 3
    assert len({x.tobytes() for x in shown}) == 9
    cost = fit(network(dtype=np.float32), X.astype(np.float32), Y, augment=watching,
               optimizer=optim.SGD(lr=0.1), **GIVEN).cost  # fmt: skip
    assert np.float32(cost[0]) == np.float64(cost[0])  # the step computed in float32


# ---- resumed


SOURCES: dict[str, Callable[[], dict[str, Any]]] = {
    "list": lambda: {"given": BATCHES}, "generator": lambda: {"given": in_order},
    "shuffled": lambda: {"given": shuffled}, "drawn": lambda: {"given": drawn, "steps": 3},
    "augmented": lambda: {"given": shuffled, "augment": noisy},
    "rows": lambda: {"given": X, "y": Y, "batch_size": 25, "augment": mixed},
    "all": lambda: {"given": X, "y": Y, "augment": noisy},
    "legacy": lambda: {"given": shuffled, "seed": np.random.Generator(np.random.MT19937(3))},
}  # fmt: skip


@pytest.mark.parametrize("kind", SOURCES)
def test_a_run_goes_on_bit_for_bit_from_every_step(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.npz"
    compiled = kind == "augmented"
    saving: dict[str, Any] = {"checkpoint": path, "every": 1, "compile": compiled}
    versions = every_checkpoint(path, monkeypatch, lambda: run(**SOURCES[kind](), **saving))
    expected, history = run(**SOURCES[kind](), compile=compiled)
    assert len(versions) >= 4
    for version in versions[:: 3 if compiled else 1 if THOROUGH else 2]:
        path.write_bytes(version)
        model, resumed = run(**SOURCES[kind](), checkpoint=path, resume=True, compile=compiled)
        close(model, expected, 0.0)
        assert resumed == history


def test_batches_that_do_not_come_again_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    assert_refused(
        lambda: run(Loader(seed=1), checkpoint=path), ValueError,
        ["does not begin twice", "function of rng", "checkpoint"],
    )  # fmt: skip
    run(Loader(seed=1))  # without a checkpoint nobody minds
    calls: list[int] = []

    def drifting(rng: np.random.Generator) -> Iterator[Any]:
        calls.append(1)
        yield X[:25], Y[:25]
        yield X[25:50] + len(calls), Y[25:50]
        yield X[50:], Y[50:]

    def stop(history: History) -> None:
        raise StopIteration

    run(drifting, checkpoint=path, every=2, epochs=1, callbacks=[Stops(2)])
    assert_refused(
        lambda: run(drifting, checkpoint=path, resume=True), ValueError, ["did not come again"]
    )
    path.unlink()
    run(BATCHES, checkpoint=path, epochs=1, l2=1.0, examples=60)
    with pytest.raises(ValueError, match="examples is 60, not 30"):
        run(BATCHES, checkpoint=path, resume=True, l2=1.0, examples=30)
    path.unlink()
    run(BATCHES, checkpoint=path, epochs=1)
    changed = [(X[:25] + 1, Y[:25]), *BATCHES[1:]]
    with pytest.raises(ValueError, match="X has other numbers"):
        run(changed, checkpoint=path, resume=True)


class Stops:
    """Ends training after so many steps."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_step(self, seen: Any) -> None:
        if seen.step == self.steps:
            raise StopIteration


# ---- refused


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"given": in_order()}, TypeError, ["generator", "used up", "the function"]),
        ({"given": iter(BATCHES)}, TypeError, ["used up"]),
        ({"given": lambda: iter([])}, ValueError, ["no batch"]),
        ({"given": lambda: [X, Y]}, TypeError, ["batch 0", "ndarray", "(X, y)"]),
        ({"given": [(X, Y), (X[:, :2] * np.nan, Y)]}, ValueError, ["batch 1: X", "nan", "row 0"]),
        ({"given": BATCHES, "batch_size": 5}, ValueError, ["batch_size", "how large"]),
        ({"given": BATCHES, "sample_weight": Y}, ValueError, ["sample_weight", "(X, y, weights)"]),
        ({"given": BATCHES, "validation": 0.2}, ValueError, ["share", "batches"]),
        ({"given": BATCHES, "l2": 1.0}, ValueError, ["l2", "examples=m"]),
        ({"given": BATCHES, "l2": 1.0, "examples": 0}, ValueError, ["examples", "at least 1"]),
        ({"given": BATCHES, "optimizer": optim.LBFGS()}, ValueError, ["LBFGS", "all examples"]),
        ({"given": X, "y": Y, "steps": 3}, ValueError, ["steps", "leave it out"]),
        ({"given": X, "y": Y, "augment": 3}, TypeError, ["augment", "3"]),
        ({"given": X, "y": Y, "augment": lambda x, y, rng: x}, TypeError, ["augment", "(X, y)"]),
        ({"given": X, "y": Y, "augment": lambda x, rng: x * np.inf}, ValueError, ["augment"]),
        ({"given": X, "y": Y, "augment": lambda x, rng: x[1:]}, ValueError, ["augment", "60"]),
        (
            {"given": X, "y": Y, "augment": noisy, "optimizer": optim.LBFGS()},
            ValueError, ["augment", "LBFGS"],
        ),
    ],
    ids=range(17),
)  # fmt: skip
def test_what_gives_no_batches_is_refused(given: Any, error: Any, words: list[str]) -> None:
    assert_refused(lambda: run(**given), error, words)


def test_a_list_of_numbers_stays_an_array() -> None:
    one, _ = run(X.tolist(), Y.tolist())
    other, _ = run(X, Y)
    close(one, other, 0.0)


def test_what_cannot_be_compiled_trains_by_batches_too_and_the_history_says_why() -> None:
    class Reads(Sequential):
        def forward(self, x: Any) -> Tensor:
            out = super().forward(x)
            return out if float(np.sum(out)) < 1e9 else out * 0.0

    def again(compiled: bool | None) -> Any:
        model = Reads(*network().modules)
        return fit(model, BATCHES, optimizer=optim.SGD(lr=0.1), compile=compiled, **GIVEN)

    history = again(None)
    assert history.compiled is False
    assert "float() of a Tensor" in history.why_not
    assert history == again(False)
    with pytest.warns(RuntimeWarning, match="float"):
        again(True)


def test_a_share_is_held_out_of_each_class() -> None:
    model, history = run(X, Y, validation=0.25, batch_size=20)
    assert len(history.validation_cost) == 3
    again, _ = run(X, Y, validation=0.25, batch_size=20)
    close(model, again, 0.0)
    one, _ = run(X[Y < 2], Y[Y < 2], validation=0.5, class_weight="balanced", sample_weight=None)
    assert np.isfinite(one[0].weight.data).all()
    assert_refused(lambda: run(X[:1], Y[:1], validation=0.5), ValueError, ["none to learn from"])
    with pytest.raises(ValueError, match="give seed="):
        train(network(), validation=0.2, checkpoint="never.npz")


def test_a_loader_of_pytorchs_is_gone_through_as_it_is() -> None:
    torch = pytest.importorskip("torch")
    rows = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    model, history = run(torch.utils.data.DataLoader(rows, batch_size=25))
    expected, seen = run(BATCHES)
    close(model, expected, 0.0)
    assert history == seen


def test_an_accuracy_is_that_of_all_rows_or_of_none() -> None:
    """Where rows have several labels, those of a batch may look one-hot by chance."""
    labels = np.eye(3)[Y]
    labels[30:, 0] = 1.0
    several = [(X[:30], labels[:30]), (X[30:], labels[30:])]
    _, history = run(several, validation=several)
    assert not history.accuracy
    assert not history.validation_accuracy
    _, history = run(several[:1], validation=several[:1])
    assert len(history.accuracy) == len(history.validation_accuracy) == 3
