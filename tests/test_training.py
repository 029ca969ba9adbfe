"""`fit`: the steps, the history, the seeds, Ctrl-C, and what is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reference
from numpy.typing import NDArray
from refusals import assert_refused

from autonn import CrossEntropy, Layer, Sequential, Sigmoid, Tensor, fit, load_digits, optim
from autonn.training import History, ProgressBar, accuracy

Array = NDArray[Any]
RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((60, 5)), RNG.integers(0, 3, 60)


def network(seed: int = 0, dtype: Any = np.float64) -> Sequential:
    rng = np.random.default_rng(seed)
    return Sequential(
        Layer(5, 4, rng=rng, dtype=dtype), Sigmoid(), Layer(4, 3, rng=rng, dtype=dtype), Sigmoid()
    )


def train(model: Sequential, **options: Any) -> History:
    given: dict[str, Any] = {"loss": CrossEntropy(), "optimizer": optim.SGD(lr=0.5), "epochs": 5}
    return fit(model, X, Y, **(given | options))


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


def test_history_holds_accuracy_and_validation_of_the_right_weights() -> None:
    model, held_out = network(), (X[:20], Y[:20])
    before = accuracy(model, X, Y)
    history = train(model, validation=held_out)
    assert history.accuracy[0] == before
    assert len(history.accuracy) == len(history.validation_cost) == 5
    assert history.validation_accuracy[-1] == accuracy(model, *held_out)
    expected = CrossEntropy()(model(X[:20]), Y[:20]).item()
    assert history.validation_cost[-1] == pytest.approx(expected, rel=1e-15)


def test_one_hot_targets_count_as_classes_and_others_do_not() -> None:
    assert (
        train(network()).accuracy
        == fit(
            network(), X, np.eye(3)[Y], loss=CrossEntropy(), optimizer=optim.SGD(lr=0.5), epochs=5
        ).accuracy
    )
    soft = np.full((60, 3), 0.5)
    history = fit(network(), X, soft, loss=CrossEntropy(), optimizer=optim.SGD(lr=0.5))
    assert history.accuracy == []
    with pytest.raises(ValueError, match="classes"):
        accuracy(network(), X, soft)


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


@pytest.mark.parametrize("options", [{}, {"batch_size": 20}, {"optimizer": optim.LBFGS()}])
def test_ctrl_c_finishes_the_step_and_keeps_what_was_learned(options: dict[str, Any]) -> None:
    def press(history: History) -> None:
        if len(history) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    model, same = network(), network()
    history = train(model, callbacks=[press], epochs=50, seed=0, **options)
    assert history.interrupted
    assert len(history) == 2
    assert signal.getsignal(signal.SIGINT) is handler
    options = options | ({"optimizer": optim.LBFGS()} if "optimizer" in options else {})
    train(same, epochs=2, seed=0, **options)
    np.testing.assert_allclose(model[0].theta, same[0].theta, rtol=1e-12)


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


def test_the_progress_bar_is_quiet_where_there_is_no_terminal() -> None:
    code = (
        "import numpy as np\n"
        "from autonn import *\n"
        "from autonn.training import ProgressBar\n"
        "with ProgressBar(3) as bar:\n"
        "    fit(Sequential(Layer(2, 2), Sigmoid()), np.ones((4, 2)), np.ones(4, int),\n"
        "        loss=CrossEntropy(), optimizer=optim.SGD(lr=1.0), epochs=3, callbacks=[bar])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == done.stderr == ""


def test_the_progress_bar_shows_cost_and_accuracy(monkeypatch: pytest.MonkeyPatch) -> None:
    with ProgressBar(5) as bar:
        monkeypatch.setattr(bar._bar, "disable", False)
        shown: list[dict[str, str]] = []
        monkeypatch.setattr(bar._bar, "set_postfix", lambda d, **_: shown.append(d))
        monkeypatch.setattr(bar._bar, "update", lambda epochs: None)
        bar(History(cost=[1.23456], accuracy=[0.5], validation_accuracy=[0.25]))
        monkeypatch.setattr(bar._bar, "disable", True)
    assert shown == [{"cost": "1.2346", "accuracy": "50.00%", "held out": "25.00%"}]


BAD: list[tuple[Callable[[], Any], type[Exception], list[str]]] = [
    (lambda: train(network(), epochs=0), ValueError, ["epochs"]),
    (lambda: train(network(), batch_size=0), ValueError, ["batch_size"]),
    (lambda: train(network(), batch_size=9, optimizer=optim.LBFGS()), ValueError, ["LBFGS"]),
    (lambda: train(network(), validation=(X, Y[:3])), ValueError, ["validation", "60", "3"]),
    (lambda: train(network(), l2=-1.0), ValueError, ["lambda"]),
    (lambda: train(Sequential(Sigmoid())), ValueError, ["no parameters"]),
    (lambda: accuracy(network(), X, Y[:1]), ValueError, ["60 examples", "1 targets"]),
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
