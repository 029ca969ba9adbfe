"""Several inputs and outputs: tuples and dicts of arrays in, a loss for each or one for all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tools.refusals import assert_refused
from tools.runs import X, Y, close

from autonn import (
    CrossEntropy,
    GaussianNLL,
    Layer,
    MeanSquaredError,
    Module,
    Tanh,
    Tensor,
    TripletLoss,
    fit,
    optim,
    softmax,
    train_step,
)
from autonn.training import Losses, accuracy
from autonn.training.structures import call, way_of_calling

LEFT, RIGHT = X[:, :2], X[:, 2:]
VALUES = X.sum(axis=1, keepdims=True)
OUT: dict[str, Any] = {"class": Y, "value": VALUES}


class Two(Module):
    """Two inputs, two outputs."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.left, self.right = Layer(2, 4, rng=rng), Layer(3, 4, rng=rng)
        self.kind, self.value, self.bend = Layer(4, 3, rng=rng), Layer(4, 1, rng=rng), Tanh()

    def forward(self, left: Any, right: Any) -> Any:  # type: ignore[override]
        hidden = self.bend(self.left(left) + self.right(right))
        return {"class": softmax(self.kind(hidden)), "value": self.value(hidden)}


class Pair(Two):
    """The same, which returns a tuple."""

    def forward(self, left: Any, right: Any) -> Any:  # type: ignore[override]
        return tuple(super().forward(left, right).values())


class Whole(Two):
    """The same, which takes a structure as one argument."""

    def forward(self, parts: Any) -> Any:  # type: ignore[override]
        left, right = parts.values() if isinstance(parts, dict) else parts
        return super().forward(left, right)


LOSSES: dict[str, Any] = {"class": CrossEntropy(), "value": MeanSquaredError()}
RUN: dict[str, Any] = {"epochs": 4, "batch_size": 30, "seed": 0}


def all_at_once(predictions: Any, targets: Any) -> Tensor:
    """Compute by hand what the losses of `LOSSES` give together."""
    cost = CrossEntropy()(predictions["class"], targets["class"])
    return cost + MeanSquaredError()(predictions["value"], targets["value"])


INPUTS: dict[str, Any] = {
    "tuple": (Two, (LEFT, RIGHT)), "dict": (Two, {"right": RIGHT, "left": LEFT}),
    "one tuple": (Whole, (LEFT, RIGHT)), "one dict": (Whole, {"a": LEFT, "b": RIGHT}),
}  # fmt: skip


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("kind", INPUTS)
def test_inputs_in_each_form_and_losses_in_each_give_the_same(kind: str, compiled: bool) -> None:
    histories, models = [], []
    make, given = INPUTS[kind]
    ways: list[tuple[Any, Any, Any, Any]] = [
        (Two, (LEFT, RIGHT), OUT, all_at_once),
        (make, given, OUT, Losses(LOSSES, weights={"class": 1}) if make is Two else LOSSES),
    ]
    if kind == "dict":
        ways.append((Pair, given, (Y, VALUES), tuple(LOSSES.values())))
    for made, shown, targets, loss in ways:
        models.append(made())
        optimizer = optim.SGD(lr=0.1, momentum=0.9)
        held_out = (shown, targets)
        histories.append(
            fit(models[-1], shown, targets, loss=loss, optimizer=optimizer, l2=1.0,
                validation=held_out, compile=compiled, **RUN)
        )  # fmt: skip
        assert histories[-1].compiled is compiled
        assert not histories[-1].accuracy
    for history, model in zip(histories, models, strict=True):
        np.testing.assert_allclose(history.cost, histories[0].cost, rtol=1e-12)
        expected = histories[0].validation_cost
        np.testing.assert_allclose(history.validation_cost, expected, rtol=1e-12)
        close(model, models[0], 1e-12)


def test_several_large_inputs_are_data_as_one_is() -> None:
    class Wide(Module):
        def __init__(self) -> None:
            self.left = self.right = Layer(1000, 1, rng=0)

        def forward(self, left: Any, right: Any) -> Any:  # type: ignore[override]
            return self.left(left) - self.right(right)

    large = np.zeros((150, 1000))  # more than the megabyte that is compared at each call
    history = fit(
        Wide(), {"left": large, "right": large}, np.ones((150, 1)), MeanSquaredError(),
        optim.SGD(lr=0.1), validation=0.1, seed=0,
    )  # fmt: skip
    assert history.compiled, history.why_not


def test_each_loss_counts_as_its_weight_says_and_none_is_left_out() -> None:
    predicted = {"class": np.full((60, 3), 0.25), "value": np.zeros((60, 1)), "more": np.ones(1)}
    a, b = (float(LOSSES[key](predicted[key], OUT[key])) for key in LOSSES)
    assert float(Losses(LOSSES)(predicted, OUT)) == pytest.approx(a + b, rel=1e-14)
    weighed = Losses(LOSSES, weights={"value": 0.25})
    assert float(weighed(predicted, OUT)) == pytest.approx(a + b / 4, rel=1e-14)
    pair = tuple(predicted.values()), tuple(OUT.values())
    assert float(Losses((None, MeanSquaredError()))(*pair)) == pytest.approx(b, rel=1e-14)
    rows = np.linspace(0, 2, 60)
    heavy = float(LOSSES["value"](predicted["value"], VALUES, rows))
    found = float(Losses((None, MeanSquaredError()))(*pair, weights=rows))
    assert found == pytest.approx(heavy, rel=1e-14)


def test_one_of_several_outputs_is_measured_by_name() -> None:
    metrics = {"right": ("class", "accuracy"), "far": ("value", "mean_error"), "both": both}
    model = Two()
    history = fit(
        model, (LEFT, RIGHT), OUT, loss=LOSSES, optimizer=optim.Adam(lr=0.01), metrics=metrics,
        validation=((LEFT[:9], RIGHT[:9]), {"class": Y[:9], "value": VALUES[:9]}), epochs=2,
    )  # fmt: skip
    predicted = call(model, (LEFT[:9], RIGHT[:9]), ())
    right = np.mean(predicted["class"].data.argmax(axis=1) == Y[:9])
    far = np.mean(np.abs(predicted["value"].data - VALUES[:9]))
    assert history.metrics["right"][-1] == right
    assert history.metrics["far"][-1] == pytest.approx(far, rel=1e-14)
    assert history.metrics["both"] == [2.0, 2.0]


def both(predictions: Any, targets: Any) -> float:
    assert type(predictions["class"]) is np.ndarray
    assert predictions.keys() == targets.keys()
    return len(predictions)


def likely(out: Any, y: Any) -> Tensor:
    return GaussianNLL()(np.concatenate(out, axis=1), y)


def test_an_unsupervised_loss_and_one_of_two_outputs_for_one_target() -> None:
    class Spread(Module):
        def __init__(self) -> None:
            self.mean, self.scale = Layer(5, 1, rng=0), Layer(5, 1, rng=1)

        def forward(self, x: Any) -> Any:
            return self.mean(x), self.scale(x)

    costs = []
    for compiled in (True, False):
        history = fit(
            Spread(), X, VALUES, loss=likely,
            optimizer=optim.Adam(lr=0.05), epochs=5, compile=compiled,
        )  # fmt: skip
        assert history.compiled is compiled
        costs.append(history.cost)
    np.testing.assert_allclose(costs[0], costs[1], rtol=1e-12)
    squeeze = fit(
        Layer(5, 5, rng=0), X, loss=lambda out, nothing: np.mean(out**2),
        optimizer=optim.SGD(lr=0.1), epochs=30,
    )  # fmt: skip
    assert squeeze.cost[-1] < squeeze.cost[0] / 2


def test_a_run_of_several_resumes_bit_for_bit(tmp_path: Path) -> None:
    def run(epochs: int, **saving: Any) -> Two:
        model = Two()
        fit(model, {"left": LEFT, "right": RIGHT}, OUT, loss=LOSSES, optimizer=optim.Adam(),
            metrics={"far": ("value", "mean_error")}, compile=False, **(RUN | {"epochs": epochs}),
            **saving)  # fmt: skip
        return model

    path = tmp_path / "run.npz"
    run(2, checkpoint=path, every=1)
    close(run(5, checkpoint=path, resume=True), run(5), 0.0)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"X": (LEFT, RIGHT[:9])}, ValueError, ["X[1]", "9 rows", "60"]),
        (
            {"y": {**OUT, "value": VALUES[:9]}},
            ValueError,
            ["y['value']", "60 examples", "9 targets"],
        ),
        ({"X": (LEFT, np.where(RIGHT > 1, np.nan, RIGHT))}, ValueError, ["X[1]", "nan", "row"]),
        ({"X": ()}, ValueError, ["X", "empty"]),
        ({"y": {"class": Y}}, TypeError, ["targets have no 'value'"]),
        ({"y": Y}, TypeError, ["targets are a ndarray", "a dict with"]),
        ({"loss": {**LOSSES, "more": CrossEntropy()}}, TypeError, ["have no 'more'"]),
        ({"loss": tuple(LOSSES.values())}, TypeError, ["are a dict", "a tuple"]),
        ({"loss": CrossEntropy()}, TypeError, ["returned a dict", "a loss for each"]),
        ({"loss": {"class": 3}}, TypeError, ["['class']", "3"]),
        ({"y": None}, TypeError, ["y is None", "give y"]),
        ({"class_weight": "balanced"}, ValueError, ["class_weight", "classes"]),
        ({"metrics": ["accuracy"]}, TypeError, ["accuracy", "one output", "('output'"]),
    ],
    ids=range(13),
)
def test_what_does_not_fit_is_refused(given: Any, error: Any, words: list[str]) -> None:
    options = {"X": (LEFT, RIGHT), "y": OUT, "loss": LOSSES, "optimizer": optim.SGD(lr=0.1)} | given
    assert_refused(lambda: fit(Two(), **options), error, words)


def test_wrong_weights_of_losses_are_refused() -> None:
    assert_refused(lambda: Losses(LOSSES, weights={"c": 1}), ValueError, ["'c'", "'class'"])
    assert_refused(lambda: Losses(LOSSES, weights={"class": -1}), ValueError, ["class", "-1"])
    assert_refused(lambda: Losses(LOSSES, weights=2), TypeError, ["weights", "2"])
    assert_refused(lambda: Losses({}), ValueError, ["no loss"])
    assert "weights={'value': 0.5}" in repr(Losses(LOSSES, weights={"value": 0.5}))


def test_how_a_model_is_called_is_told_by_its_forward() -> None:
    class Optional(Module):
        def forward(  # type: ignore[override]
            self, left: Any, x: Any, state: Any = None, *, scale: Any = 1
        ) -> Any:
            return left, x, state, scale

    model = Optional()
    for given in ({"x": 2, "left": 1, "scale": 4}, {"left": 1, "x": 2, "scale": 4}):
        assert call(model, given, way_of_calling(model, given)) == (1, 2, None, 4)
    both = [1], [2]
    assert call(model, both, way_of_calling(model, both)) == ([1], [2], None, 1)
    assert way_of_calling(model, (1, 2)) is None  # a row of numbers
    assert way_of_calling(model, {"other": 1}) is None
    assert way_of_calling(model, [1, 2]) is None


@pytest.mark.parametrize("compiled", [True, False])
def test_a_step_of_ones_own_takes_structures_as_a_run_does(compiled: bool) -> None:
    costs = []
    for kind in ("dict", "one tuple"):
        make, given = INPUTS[kind]
        model, twin = make(), make()
        step = train_step(model, LOSSES, optim.Adam(lr=0.1), compile=compiled)
        costs.append([step(given, OUT) for _ in range(5)])
        assert step.compiled is compiled
        history = fit(twin, given, OUT, loss=LOSSES, optimizer=optim.Adam(lr=0.1), epochs=5)
        np.testing.assert_allclose(costs[-1], history.cost, rtol=1e-12)
        close(model, twin, 1e-11)
        np.testing.assert_allclose(costs[-1], costs[0], rtol=1e-12)
    alternating = train_step(Whole(), LOSSES, optim.SGD(lr=0.1), compile=compiled)
    for given in ((LEFT, RIGHT), {"a": LEFT, "b": RIGHT}) * 2:
        assert alternating(given, OUT) > 0


def test_several_inputs_are_predicted_as_the_model_is_called() -> None:
    model = Two()
    one = model.predict(LEFT, RIGHT)
    parts: list[Any] = [(LEFT, RIGHT), {"right": RIGHT, "left": LEFT}]
    for other in (model.predict(LEFT, right=RIGHT), *map(model.predict, parts)):
        for key in OUT:
            assert type(one[key]) is np.ndarray
            assert np.array_equal(one[key], other[key])
    whole = Whole().predict(parts[0])  # as the one argument that forward takes
    assert np.array_equal(whole["value"], one["value"])
    assert Layer(2, 1).predict(((1.0, 2.0), (3.0, 4.0))).shape == (2, 1)


def test_the_accuracy_of_several_inputs_is_that_of_fit() -> None:
    class Kind(Two):
        def forward(self, left: Any, right: Any) -> Any:  # type: ignore[override]
            return self.kind(self.bend(self.left(left) + self.right(right)))

    inputs: list[Any] = [(LEFT, RIGHT), {"right": RIGHT, "left": LEFT}]
    for given in inputs:
        model = Kind()
        del model.value
        history = fit(model, given, Y, "cross_entropy", "adam", epochs=3, metrics="accuracy")
        assert accuracy(model, given, Y) == history.metrics["accuracy"][-1]
    assert_refused(
        lambda: accuracy(Two(), (LEFT, RIGHT), Y), TypeError, ["dict", "one output", "metrics="]
    )


def test_a_loss_that_reads_no_targets_goes_without() -> None:
    triplets = np.random.default_rng(0).normal(size=(20, 3, 5))
    runs = [
        fit(
            Layer(5, 2, rng=0), triplets, y, loss=TripletLoss(2.0),
            optimizer=optim.SGD(lr=0.1), epochs=3, batch_size=7, seed=0,
        )
        for y in (None, np.zeros(20))
    ]  # fmt: skip
    assert runs[0].cost == runs[1].cost
    assert runs[0].cost[-1] < runs[0].cost[0]
    assert_refused(
        lambda: fit(Layer(5, 2), X, loss=TripletLoss(), optimizer="adam"),
        ValueError,
        ["TripletLoss", "np.stack([a, p, n], axis=1)"],
    )
