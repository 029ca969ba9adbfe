"""`fit`: the steps, the seeds, and what is refused."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from oracles import reference
from tools.pairs import combinations
from tools.refusals import assert_refused
from tools.runs import OPTIMIZERS, X, Y, network, train

from autonn import (
    CrossEntropy,
    Layer,
    MeanSquaredError,
    Sequential,
    Sigmoid,
    SoftmaxCrossEntropy,
    Tensor,
    fit,
    load_digits,
    optim,
)
from autonn.training import History, accuracy, top_k

Array = NDArray[Any]


def test_gradient_descent_takes_the_tutorials_steps() -> None:
    model = network()
    theta1, theta2 = model[0].theta, model[2].theta
    costs = []
    for _ in range(20):
        cost, gradient1, gradient2 = reference.looped(theta1, theta2, X, np.eye(3)[Y], 1.0)
        costs.append(cost)
        theta1, theta2 = theta1 - 0.8 * gradient1, theta2 - 0.8 * gradient2
    optimizer = optim.SGD(lr=0.8)
    history = train(model, optimizer=optimizer, l2=1.0, epochs=20)
    np.testing.assert_allclose(history.cost, costs, rtol=1e-12)
    assert optimizer.costs == history.cost
    for theta, layer in ((theta1, model[0]), (theta2, model[2])):
        np.testing.assert_allclose(layer.theta, theta, rtol=1e-11)


def test_lbfgs_finds_the_minimum_of_a_convex_cost_and_keeps_the_costs() -> None:
    model = Sequential(Layer(5, 3, rng=0), Sigmoid())
    optimizer = optim.LBFGS()
    history = train(model, optimizer=optimizer, l2=1.0, epochs=200)
    assert optimizer.costs == history.cost
    assert len(history) < 200
    assert np.all(np.diff(history.cost) <= 0)
    loss = CrossEntropy()(model(X), Y)
    loss.backward()
    gradient = model[0].weight.grad + model[0].weight.data / len(X)
    assert np.abs(gradient).max() < 1e-4
    slower = train(Sequential(Layer(5, 3, rng=1), Sigmoid()), l2=1.0, epochs=1000)
    assert slower.cost[-1] == pytest.approx(history.cost[-1], rel=1e-4)


def test_mini_batches_show_every_row_once_an_epoch_in_a_new_order() -> None:
    seen: list[Array] = []

    class Spy(CrossEntropy):
        def __call__(self, probabilities: Any, targets: Any, weights: Any = None) -> Tensor:
            seen.append(np.array(targets))  # what reads values can't be compiled
            return super().__call__(probabilities, targets)

    y = np.arange(60) % 3
    model = network()
    history = fit(
        model, X, y, loss=Spy(), optimizer=optim.SGD(lr=0.1), epochs=3, batch_size=25, seed=0
    )
    assert [len(rows) for rows in seen] == [25, 25, 10] * 3
    for epoch in range(3):
        rows = np.concatenate(seen[3 * epoch : 3 * epoch + 3])
        assert np.array_equal(np.sort(rows), np.sort(y))
    assert not np.array_equal(seen[0], seen[3])
    assert len(history) == 3


def test_the_same_seed_gives_the_same_bits() -> None:
    def run(seed: int) -> Array:
        model = network()
        train(model, batch_size=7, seed=seed)
        weights: Array = model[0].weight.numpy()
        return weights

    assert np.array_equal(run(1), run(1))
    assert not np.array_equal(run(1), run(2))


def test_one_batch_of_everything_is_full_batch_training() -> None:
    one, other = network(), network()
    costs = train(one, l2=1.0).cost
    assert train(other, l2=1.0, batch_size=60, seed=0).cost == pytest.approx(costs, rel=1e-13)
    np.testing.assert_allclose(one[0].theta, other[0].theta, rtol=1e-11)


@pytest.mark.parametrize("options", [{}, {"batch_size": 20}, {"optimizer": optim.LBFGS()}])
def test_callbacks_see_each_epoch_and_may_stop(options: dict[str, Any]) -> None:
    seen: list[int] = []

    def callback(history: History) -> None:
        seen.append(len(history))
        if len(history) == 3:
            raise StopIteration

    history = train(network(), callbacks=[callback], **options)
    assert seen == [1, 2, 3]
    assert len(history) == 3
    assert not history.interrupted


def test_an_exception_in_a_callback_leaves_the_last_step_and_the_handler() -> None:
    def fail(history: History) -> None:
        raise KeyError("mine")

    model, handler = network(), signal.getsignal(signal.SIGINT)
    old = model[0].theta
    for optimizer in (optim.SGD(lr=0.5), optim.LBFGS()):
        with pytest.raises(KeyError, match="mine"):
            train(model, optimizer=optimizer, callbacks=[fail])
        assert not np.array_equal(model[0].theta, old)
        assert np.isfinite(model[0].theta).all()
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.parametrize(
    ("options", "compiled", "patience"),
    combinations([{}, {"batch_size": 20}, {"optimizer": optim.LBFGS()}], [None, False], [None, 1]),
)
def test_a_parameter_that_is_replaced_while_training_is_noticed(
    options: dict[str, Any], compiled: bool | None, patience: int | None
) -> None:
    def replaces(model: Any) -> None:
        model[0].weight = Tensor(np.zeros((4, 5)), requires_grad=True)

    def adds(model: Any) -> None:
        model[2].extra = Tensor(1.0, requires_grad=True)

    def freezes(model: Any) -> None:
        model[2].bias.requires_grad = False

    def removes(model: Any) -> None:
        model.modules = model.modules[:1]

    changes: list[tuple[Callable[[Any], None], str]] = [
        (replaces, "0.weight"),
        (adds, "2.extra"),
        (freezes, "2.bias"),
        (removes, "2.weight, 2.bias"),
    ]
    for change, name in changes:
        model, seen = network(), list[int]()

        def callback(history: History, model: Any = model, change: Any = change) -> None:
            seen.append(len(history))  # noqa: B023
            if len(history) == 2:
                change(model)

        given = {"validation": (X, Y), "patience": patience, "compile": compiled, "seed": 0}
        with pytest.raises(RuntimeError, match=f"fit: {name} is not what it was"):
            train(model, callbacks=[callback], **given | options)
        assert seen == [1, 2]


def test_what_a_callback_writes_into_a_parameter_is_trained_on() -> None:
    def callback(history: History) -> None:
        if len(history) == 2:
            model[0].weight.data = np.zeros((4, 5))
            model[2].weight.data[:] = 1.0

    histories = []
    for compiled in (None, False):
        model = network()
        histories.append(train(model, callbacks=[callback], compile=compiled))
        assert not np.array_equal(model[0].weight.data, np.zeros((4, 5)))
    np.testing.assert_allclose(histories[0].cost, histories[1].cost, rtol=1e-13)
    assert histories[0].cost[:2] == train(network(), epochs=2).cost
    assert histories[0].cost[2] != train(network(), epochs=3).cost[2]


def test_losses_and_optimisers_go_by_name_and_in_their_places() -> None:
    models = [Sequential(*network().modules[:-1]) for _ in range(2)]  # which give logits
    named = fit(models[0], X, Y, "cross_entropy", "Adam", epochs=3)
    plain = fit(models[1], X, Y, loss=SoftmaxCrossEntropy(), optimizer=optim.Adam(), epochs=3)
    assert named == plain


BAD: list[tuple[Callable[[], Any], type[Exception], list[str]]] = [
    (lambda: train(network(), epochs=0), ValueError, ["epochs"]),
    (lambda: train(network(), batch_size=0), ValueError, ["batch_size"]),
    (lambda: train(network(), batch_size=9, optimizer=optim.LBFGS()), ValueError, ["LBFGS"]),
    (lambda: train(network(), validation=(X, Y[:3])), ValueError, ["validation", "60", "3"]),
    (lambda: train(network(), l2=-1.0), ValueError, ["lambda"]),
    (lambda: train(Sequential(Sigmoid())), ValueError, ["no parameters"]),
    (lambda: accuracy(network(), X, Y[:1]), ValueError, ["60 examples", "1 targets"]),
    (lambda: accuracy(network(), X, Y + 1), IndexError, ["class 3 of 3", "row"]),
    (lambda: top_k(network(), X, Y, 4), ValueError, ["top_k", "3 classes", "4"]),
    (lambda: train(network(), patience=0), ValueError, ["patience", "0"]),
    (lambda: train(network(), patience=2), ValueError, ["patience", "validation="]),
    (lambda: train(network(), resume=True), ValueError, ["resume", "checkpoint="]),
    (lambda: train(network(), every=3), ValueError, ["every", "checkpoint="]),
    (lambda: train(network(), every=0, checkpoint="x"), ValueError, ["every", "0"]),
    (lambda: train(network(), class_weight=[1, 2]), ValueError, ["class_weight has 2", "0 to 2"]),
    (lambda: train(network(), class_weight=[[1, 2]]), ValueError, ["class_weight", "(1, 2)"]),
    (lambda: train(network(), sample_weight=[1.0]), ValueError, ["sample_weight", "(1,)", "60"]),
    (lambda: train(network(), sample_weight=-np.ones(60)), ValueError, ["at least 0", "-1"]),
    (lambda: train(network(), class_weight=[1, 2, np.nan]), ValueError, ["nan", "row 2"]),
    (
        lambda: train(network(), loss=lambda a, y: np.sum(a), sample_weight=np.ones(60)),
        TypeError,
        ["weights", "loss"],
    ),
    (lambda: train(network(), epochs=1e1), TypeError, ["epochs", "10.0", "write 10"]),
    (lambda: train(network(), batch_size=2.5), TypeError, ["batch_size", "2.5", "//"]),
    (lambda: train(network(), batch_size=60 / 3), TypeError, ["batch_size", "20.0", "write 20"]),
    (lambda: train(network(), batch_size=True), TypeError, ["batch_size", "True"]),
    (lambda: train(network(), l2="some"), TypeError, ["l2", "lambda", "'some'"]),
    (lambda: train(network(), l2=np.nan), ValueError, ["l2", "nan"]),
    (lambda: train(network(), loss=CrossEntropy), TypeError, ["class", "loss=CrossEntropy()"]),
    (lambda: train(network(), loss="mae"), ValueError, ["loss", "'mae'", "HuberLoss()", "mse"]),
    (lambda: train(network(), loss=None), TypeError, ["loss", "None", "CrossEntropy()"]),
    (lambda: train(network(), optimizer=optim.SGD), TypeError, ["optimizer=optim.SGD(...)"]),
    (lambda: train(network(), optimizer="sgd"), TypeError, ["'sgd'", "optim.SGD(lr=0.1)"]),
    (lambda: train(network(), optimizer=None), TypeError, ["optimizer", "None", "optim.Adam()"]),
    (lambda: train(Sequential), TypeError, ["Module", "Sequential(...)"]),  # type: ignore[arg-type]
    (lambda: train(np.sin), TypeError, ["Module", "sin"]),  # type: ignore[arg-type]
    (lambda: train(network(), class_weights=[1, 2, 3]), TypeError, ["write class_weight="]),
    (lambda: train(network(), sample_weights=X[:, 0]), TypeError, ["write sample_weight="]),
    (lambda: train(network(), validation_data=(X, Y)), TypeError, ["validation=(X, y)"]),
    (lambda: train(network(), lr=0.1), TypeError, ["'lr'", "optim.SGD(lr=0.1)"]),
    (lambda: train(network(), batchsize=20), TypeError, ["'batchsize'", "write batch_size="]),
    (lambda: train(network(), compile="yes"), ValueError, ["compile", "None or True or False"]),
    (lambda: train(network(), zzz=1), TypeError, ["'zzz'", "there are loss, optimizer, l2"]),
]


@pytest.mark.parametrize(("call", "error", "words"), BAD, ids=range(len(BAD)))
def test_bad_calls_say_what_came_and_what_to_do(
    call: Callable[[], Any], error: type[Exception], words: list[str]
) -> None:
    assert_refused(call, error, words)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_none_are_found_by_row_and_column(bad: float) -> None:
    x = X.copy()
    x[7, 3] = bad
    with pytest.raises(ValueError, match=rf"X has {bad} in row 7, column 3"):
        fit(network(), x, Y, loss=CrossEntropy(), optimizer=optim.SGD(lr=1.0))
    with pytest.raises(ValueError, match=rf"y has {bad} in row 7, column 3"):
        fit(network(), X, x, loss=MeanSquaredError(), optimizer=optim.SGD(lr=1.0))
    with pytest.raises(ValueError, match="no examples"):
        fit(network(), x[:0], Y[:0], loss=CrossEntropy(), optimizer=optim.SGD(lr=1.0))


def test_the_digits_are_learned() -> None:
    """A short search on every tenth digit; the whole of it is in the closing figures."""
    digits = load_digits()
    X, y = digits.X[::10], digits.y[::10]
    rng = np.random.default_rng(0)
    model = Sequential(Layer(400, 25, rng=rng), Sigmoid(), Layer(25, 10, rng=rng), Sigmoid())
    history = fit(model, X, y, loss=CrossEntropy(), optimizer=optim.LBFGS(), l2=0.1, epochs=60)
    assert history.accuracy[-1] > 0.98
    assert accuracy(model, digits.X, digits.y) > 0.8


# ---- small and odd data


@pytest.mark.parametrize("batch_size", [None, 1, 1000])
@pytest.mark.parametrize("way", ["SGD", "LBFGS"])
def test_one_sample_one_feature_and_a_batch_larger_than_the_data(
    way: str, batch_size: int | None
) -> None:
    if way == "LBFGS" and batch_size:
        return
    model = Sequential(Layer(1, 2, rng=0), Sigmoid())
    history = fit(
        model, [[0.5]], [1], loss=CrossEntropy(), optimizer=OPTIMIZERS[way](), epochs=30,
        batch_size=batch_size, validation=([[0.5]], [1]), seed=0,
    )  # fmt: skip
    assert history.accuracy[-1] == history.validation_accuracy[-1] == 1.0
    assert history.cost[-1] < history.cost[0]


def test_labels_may_miss_a_class() -> None:
    history = fit(
        network(), X, np.where(Y == 1, 0, Y), loss=CrossEntropy(), optimizer=optim.SGD(lr=0.5),
        epochs=50, class_weight=[1.0, 7.0, 1.0],
    )  # fmt: skip
    assert history.accuracy[-1] > 0.6


def test_two_parameters_of_one_name_are_refused() -> None:
    class Twins(Sequential):
        def held(self) -> Any:
            return [("a", self.modules[0]), ("a", self.modules[2])]

    with pytest.raises(ValueError, match="same name"):
        train(Twins(*network().modules))
