"""What `fit` may be told beside: hooks, metrics, penalties by groups, accumulation, averages."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tools.refusals import assert_refused
from tools.runs import OPTIMIZERS, X, Y, close, dropping, every_checkpoint, network, train

from autonn import (
    BatchNorm1d,
    CrossEntropy,
    Layer,
    Module,
    Sequential,
    Sigmoid,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
    Tanh,
    fit,
    optim,
)
from autonn.training import History, Seen, accuracy, measures, top_k
from autonn.training.state import Values

# ---- hooks


class Watcher:
    """Notes all that it is told, and may stop."""

    def __init__(self, stop: tuple[str, int] = ("", 0)) -> None:
        self.told: list[tuple[str, int, int, int]] = []
        self.costs: list[float | None] = []
        self.stop = stop

    def note(self, name: str, seen: Seen) -> None:
        self.told.append((name, seen.epoch, seen.step, seen.batch))
        if self.stop == (name, seen.step):
            raise StopIteration

    def on_begin(self, seen: Seen) -> None:
        self.note("begin", seen)

    def on_step(self, seen: Seen) -> None:
        self.costs.append(seen.cost)
        self.note("step", seen)

    def on_epoch(self, seen: Seen) -> None:
        self.note("epoch", seen)

    def on_end(self, seen: Seen) -> None:
        self.note("end", seen)

    def __call__(self, history: History) -> None:
        self.told.append(("history", len(history), 0, 0))


def test_hooks_are_told_in_order_what_is_seen() -> None:
    watcher = Watcher()
    history = train(network(), epochs=2, batch_size=25, seed=0, callbacks=[watcher])
    steps = [("step", e, 3 * e + k, k) for e in range(2) for k in (1, 2, 3)]
    ends = [(("history", e, 0, 0), ("epoch", e, 3 * e, 0)) for e in (1, 2)]
    expected = [("begin", 0, 0, 0), *steps[:3], *ends[0], *steps[3:], *ends[1], ("end", 2, 6, 0)]
    assert watcher.told == expected
    shares = np.array([25, 25, 10]) / 60
    np.testing.assert_allclose(np.array(watcher.costs[:3], float) @ shares, history.cost[0])


@pytest.mark.parametrize("way", ["SGD", "LBFGS"])
def test_hooks_see_the_model_as_it_is_and_its_gradients(way: str) -> None:
    costs = []

    class Recomputes:
        def on_step(self, seen: Seen) -> None:
            costs.append(float(CrossEntropy()(seen.model(X), Y)))
            if way == "SGD":
                assert list(seen.gradients) == list(dict(seen.model.named_parameters()))
                assert seen.gradients["0.weight"].shape == (4, 5)
                assert seen.learning_rate == 0.5

    history = train(network(), optimizer=OPTIMIZERS[way](), epochs=5, callbacks=[Recomputes()])
    seen = costs[:-1] if way == "SGD" else costs
    expected = history.cost[1:] if way == "SGD" else history.cost
    np.testing.assert_allclose(seen, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("stop", "steps", "epochs"),
    [(("begin", 0), 0, 0), (("step", 2), 2, 0), (("step", 3), 3, 1), (("epoch", 3), 3, 1)],
)
def test_each_hook_may_stop_and_the_run_goes_on_from_there(
    stop: tuple[str, int], steps: int, epochs: int, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"batch_size": 25, "seed": 0, "epochs": 3}
    path = tmp_path / "run.npz"
    watcher, other = Watcher(stop), Watcher()
    model = network()
    history = train(model, callbacks=[watcher, other], checkpoint=path, **options)
    assert len(history) == epochs
    assert watcher.told[-1] == ("end", epochs, steps, 0 if epochs else steps)
    assert other.told == watcher.told
    model, whole = network(), network()
    train(model, checkpoint=path, resume=True, **options)
    train(whole, **options)
    close(model, whole, 0.0)


def test_what_is_no_callback_is_refused_and_parameters_stay() -> None:
    assert_refused(lambda: train(network(), callbacks=[3]), TypeError, ["callback 3", "on_step"])
    assert_refused(lambda: train(network(), callbacks=[Watcher]), TypeError, ["Watcher(...)"])

    class Replaces:
        def on_step(self, seen: Seen) -> None:
            seen.model[0].weight = network(1)[0].weight  # type: ignore[index]

    with pytest.raises(RuntimeError, match=r"0\.weight is not what it was"):
        train(network(), callbacks=[Replaces()])


# ---- metrics


def test_metrics_are_measured_on_the_validation_or_else_on_all() -> None:
    def largest(predictions: Any, targets: Any) -> Any:
        return predictions.max()

    asked = ["accuracy", "top_2", largest]
    for held in (None, (X[:20], Y[:20])):
        model = network()
        history = train(model, validation=held, metrics=asked)
        x, y = (X, Y) if held is None else held
        assert history.metrics["accuracy"][-1] == accuracy(model, x, y)
        assert history.metrics["top_2"][-1] == top_k(model, x, y, 2)
        assert history.metrics["largest"][-1] == model.predict(x).max()
        assert [len(values) for values in history.metrics.values()] == [5, 5, 5]
    named = train(network(), metrics={"mine": "top_2"})
    assert list(named.metrics) == ["mine"]


def test_a_single_output_and_several_labels_are_read_at_their_boundary() -> None:
    labels = (X[:, :2] + X[:, 2:4] > 0).astype(float)
    for loss, last, targets, asked in (
        (SigmoidCrossEntropy(), [], labels[:, :1], ["accuracy", "f1"]),
        (CrossEntropy(), [Sigmoid()], labels[:, 0].astype(int), ["accuracy"]),
        (SigmoidCrossEntropy(), [], labels, ["label_accuracy", "exact_match", "f1"]),
        (CrossEntropy(), [Sigmoid()], labels, ["label_accuracy", "exact_match", "f1"]),
    ):
        width = targets.shape[1] if targets.ndim == 2 else 1
        model = Sequential(Layer(5, width, rng=0), *last)
        history = fit(model, X, targets, loss=loss, optimizer=optim.Adam(lr=0.1), epochs=30,
                      metrics=asked)  # fmt: skip
        read = model.predict(X) > (0.5 if last else 0.0)
        right = read == (targets.reshape(read.shape) == 1)
        found = {name: values[-1] for name, values in history.metrics.items()}
        assert found.get("exact_match", right.all(axis=1).mean()) == right.all(axis=1).mean()
        for name in ("accuracy", "label_accuracy"):
            assert found.get(name, right.mean()) == right.mean()
        assert right.mean() > 0.8


def test_measures_against_their_formulas() -> None:
    logits = np.random.default_rng(0).normal(size=(4, 6, 5))
    classes = np.random.default_rng(1).integers(0, 5, (4, 6))
    cost = float(SoftmaxCrossEntropy()(logits, classes))
    by_name = measures.measures(["perplexity", "accuracy", "mean_error", "root_mean_square", "r2"])
    assert by_name["perplexity"](logits, classes) == pytest.approx(np.exp(cost), rel=1e-13)
    p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    assert by_name["perplexity"](p, classes) == pytest.approx(np.exp(cost), rel=1e-13)
    assert by_name["accuracy"](logits, classes) == np.mean(logits.argmax(-1) == classes)
    one_hot = np.eye(5)[classes]
    assert by_name["accuracy"](logits, one_hot) == np.mean(logits.argmax(-1) == classes)
    a, y = np.array([[1.0], [2.0], [4.0]]), np.array([1.0, 3.0, 2.0])
    assert by_name["mean_error"](a, y) == 1.0
    assert by_name["root_mean_square"](a, y) == pytest.approx(np.sqrt(5 / 3), rel=1e-15)
    assert by_name["r2"](a, y) == pytest.approx(1 - 5 / 2, rel=1e-15)


@pytest.mark.parametrize(
    ("metrics", "error", "words"),
    [
        (["acuracy"], ValueError, ["'acuracy'", "did you mean 'accuracy'"]),
        (["top_9"], ValueError, ["top_9", "(60, 3)"]),
        (["accuracy", "accuracy"], ValueError, ["twice"]),
        (3, TypeError, ["metrics", "3"]),
        ([3], TypeError, ["3", "neither"]),
        ([lambda a, y: a], TypeError, ["<lambda>", "(60, 3)", "one number"]),
        (["label_accuracy"], ValueError, ["label_accuracy", "(60, 3)"]),
        (["mean_error"], ValueError, ["mean_error", "(60,)"]),
        (["f1"], ValueError, ["f1", "(60, 3)", "'accuracy'"]),
    ],
    ids=range(9),
)
def test_what_is_no_metric_is_refused(metrics: Any, error: Any, words: list[str]) -> None:
    assert_refused(lambda: train(network(), metrics=metrics), error, words)


def test_an_accuracy_of_numbers_that_are_no_classes_is_refused() -> None:
    values = X[:, :1] * 0.3
    assert_refused(
        lambda: fit(Layer(5, 1), X, values, "mse", optim.Adam(), metrics="accuracy"),
        ValueError,
        ["accuracy", "classes", "'mean_error'"],
    )


# ---- penalties


@pytest.mark.parametrize("compiled", [True, False])
def test_penalties_by_groups_are_what_the_formula_says(compiled: bool) -> None:
    model = network()
    first, second = model[0].weight.numpy(), model[2].weight.numpy()
    plain = train(network(), epochs=1).cost[0]

    def cost(**options: Any) -> float:
        return train(network(), epochs=1, compile=compiled, **options).cost[0] - plain

    squares = [np.sum(w**2) / 120 for w in (first, second)]
    sizes = [np.abs(w).sum() / 60 for w in (first, second)]
    for options, expected in (
        ({"l2": 2.0}, 2 * sum(squares)), ({"l2": {"0": 2.0}}, 2 * squares[0]),
        ({"l1": 3.0}, 3 * sum(sizes)), ({"l1": {"2.*": 3.0}}, 3 * sizes[1]),
        ({"l2": {"0": 1.0, "*": 0.5}, "l1": {"2": 0.25}},
         squares[0] + squares[1] / 2 + sizes[1] / 4),
        ({"l2": {"0": 0.0, "*": 0.5}}, squares[1] / 2),
    ):  # fmt: skip
        assert cost(**options) == pytest.approx(expected, rel=1e-11)
    close_to = train(network(), l2={"*": 0.7}, compile=compiled).cost
    np.testing.assert_allclose(train(network(), l2=0.7, compile=compiled).cost, close_to)


def test_penalties_that_are_none_are_refused() -> None:
    for options, error, words in (
        ({"l1": -1}, ValueError, ["l1", "-1"]), ({"l2": {"0": "a"}}, TypeError, ["l2['0']", "'a'"]),
        ({"l2": {"5": 1.0}}, ValueError, ["'5'", "0.weight, 2.weight"]),
        ({"l1": {"*.bias": 1.0}}, ValueError, ["no biases", "'*.bias'"]),
    ):  # fmt: skip
        assert_refused(functools.partial(train, network(), **options), error, words)


# ---- accumulation


@pytest.mark.parametrize("compiled", [True, False])
def test_batches_that_add_up_are_as_one(compiled: bool) -> None:
    """Of 60 rows, batches of 8 are 7 and a short one: 3, 3 and 2 of them make an update."""
    models, costs = [], []
    options: dict[str, Any] = {"l2": 1.0, "l1": 0.1, "epochs": 3, "seed": 0, "compile": compiled}
    for more in ({"batch_size": 24}, {"batch_size": 8, "accumulate": 3}):
        models.append(network())
        optimizer = optim.Adam(lr=0.05)
        costs.append(train(models[-1], optimizer=optimizer, **options, **more).cost)
        assert optimizer.steps == 9
    close(models[0], models[1], 1e-11)
    assert costs[0][0] != costs[1][0]  # each of them is the cost before its own step
    stream = network()
    rows = [np.random.default_rng(0).permutation(60)[k : k + 8] for k in range(0, 60, 8)]
    fit(stream, [(X[r], Y[r]) for r in rows], loss=CrossEntropy(), optimizer=optim.Adam(lr=0.05),
        l2=1.0, l1=0.1, examples=60, accumulate=3, compile=compiled)  # fmt: skip
    one = network()
    fit(one, X, Y, loss=CrossEntropy(), optimizer=optim.Adam(lr=0.05), l2=1.0, l1=0.1, seed=0,
        batch_size=8, accumulate=3, compile=compiled)  # fmt: skip
    close(stream, one, 1e-11)


# ---- averages


class Normed(Module):
    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.first, self.norm, self.last = (
            Layer(5, 4, rng=rng),
            BatchNorm1d(4),
            Layer(4, 3, rng=rng),
        )
        self.bend = Tanh()

    def forward(self, x: Any) -> Any:
        return self.last(self.bend(self.norm(self.first(x))))


AVERAGES: dict[str, Any] = {
    "ema": optim.EMA(0.8), "swa": optim.SWA(start=4, every=2), "late": optim.SWA(start=99),
}  # fmt: skip


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("kind", AVERAGES)
def test_the_average_is_that_of_the_weights_on_their_way(kind: str, compiled: bool) -> None:
    way: list[Values] = []

    class Follows:
        def on_step(self, seen: Seen) -> None:
            way.append(Values.of(seen.model))

    model = Normed()
    history = fit(
        model, X, Y, loss=SoftmaxCrossEntropy(), optimizer=optim.SGD(lr=0.3), epochs=3, seed=0,
        batch_size=16, average=AVERAGES[kind], validation=(X, Y), callbacks=[Follows()],
        compile=compiled,
    )  # fmt: skip
    assert len(way) == 12
    for name in way[0].weights | way[0].buffers:
        steps = [(values.weights | values.buffers)[name] for values in way]
        floating = steps[0].dtype.kind == "f"
        expected: Any = steps[-1]
        if kind == "ema" and floating:
            expected = steps[0]
            for t, values in enumerate(steps[1:], 2):
                decay = min(0.8, t / (t + 9))
                expected = decay * expected + (1 - decay) * values
        elif kind == "swa" and floating:
            expected = np.mean([steps[t - 1] for t in (4, 6, 8, 10, 12)], axis=0)
        np.testing.assert_allclose(model.state_dict()[name], expected, rtol=1e-12, err_msg=name)
    cost = float(SoftmaxCrossEntropy()(model.predict(X), Y))
    assert history.validation_cost[-1] == pytest.approx(cost, rel=1e-12)


@pytest.mark.parametrize("kind", ["ema", "swa"])
def test_averages_and_sums_go_on_bit_for_bit(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.npz"

    def run(**saving: Any) -> tuple[Any, History]:
        model = dropping()
        history = train(
            model, average=AVERAGES[kind], accumulate=2, batch_size=9, seed=0, epochs=3,
            optimizer=optim.Adam(lr=0.05), validation=0.2, metrics=["accuracy"], patience=9,
            compile=False, **saving,
        )  # fmt: skip
        return model, history

    expected, history = run()
    versions = every_checkpoint(path, monkeypatch, lambda: run(checkpoint=path, every=1))
    assert len(versions) == 10
    for version in versions:
        path.write_bytes(version)
        model, resumed = run(checkpoint=path, resume=True)
        close(model, expected, 0.0)
        assert resumed == history


def test_averages_that_are_none_are_refused() -> None:
    assert_refused(lambda: train(network(), average=0.9), TypeError, ["average", "EMA", "0.9"])
    assert_refused(lambda: optim.EMA(1.0), ValueError, ["decay", "below 1"])
    assert_refused(lambda: optim.SWA(every=0), ValueError, ["every", "at least 1"])
    assert_refused(
        lambda: train(network(), average=optim.EMA(), optimizer=optim.LBFGS()), ValueError,
        ["LBFGS", "average"],
    )  # fmt: skip
    assert_refused(lambda: train(network(), accumulate=0), ValueError, ["accumulate"])
    assert_refused(
        lambda: train(network(), accumulate=2, optimizer=optim.LBFGS()), ValueError, ["accumulate"]
    )
