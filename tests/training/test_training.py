"""`fit`: the steps, the history, the seeds, Ctrl-C, and what is refused."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from oracles import reference
from tools.refusals import assert_refused

from autonn import (
    CrossEntropy,
    Dropout,
    Layer,
    MeanSquaredError,
    Sequential,
    Sigmoid,
    Tensor,
    fit,
    load_digits,
    optim,
    training,
)
from autonn.checkpoints import read_checkpoint, write_checkpoint
from autonn.files import FileFormatError
from autonn.training import History, ProgressBar, accuracy, confusion_matrix, top_k

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


@pytest.mark.parametrize("compiled", [True, False])
def test_the_larger_of_two_probabilities_that_round_to_one_is_counted(compiled: bool) -> None:
    model = Sequential(Layer(1, 2, weight=[[50.0], [60.0]]), Sigmoid())
    options: dict[str, Any] = {"loss": CrossEntropy(), "optimizer": optim.SGD(lr=1e-9)}
    assert fit(model, [[1.0]], [1], compile=compiled, **options).accuracy == [1.0]


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
    (lambda: accuracy(network(), X, Y + 1), IndexError, ["class 3 of 3", "row"]),
    (lambda: top_k(network(), X, Y, 4), ValueError, ["top_k", "3 classes", "4"]),
    (lambda: train(network(), patience=0), ValueError, ["patience", "0"]),
    (lambda: train(network(), patience=2), ValueError, ["patience", "validation="]),
    (lambda: train(network(), resume=True), ValueError, ["resume", "checkpoint="]),
    (lambda: train(network(), every=3), ValueError, ["every", "checkpoint="]),
    (lambda: train(network(), every=0, checkpoint="x"), ValueError, ["every", "0"]),
    (lambda: train(network(), class_weights=[1, 2]), ValueError, ["2 class_weights", "0 to 2"]),
    (lambda: train(network(), class_weights=[[1, 2]]), ValueError, ["class_weights", "(1, 2)"]),
    (lambda: train(network(), sample_weights=[1.0]), ValueError, ["sample_weights", "(1,)", "60"]),
    (lambda: train(network(), sample_weights=-np.ones(60)), ValueError, ["at least 0", "-1"]),
    (lambda: train(network(), class_weights=[1, 2, np.nan]), ValueError, ["nan", "row 2"]),
    (
        lambda: train(network(), loss=lambda a, y: np.sum(a), sample_weights=np.ones(60)),
        TypeError,
        ["weights", "loss"],
    ),
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


# ---- compiled steps


class Counting(Sequential):
    """Lists how often it really computes, and not from a derived program."""

    def __init__(self, *modules: Any) -> None:
        super().__init__(*modules)
        self.calls: list[int] = []

    def forward(self, x: Any) -> Tensor:
        self.calls.append(0)
        return super().forward(x)


def dropping(dtype: Any = np.float64) -> Counting:
    rng = np.random.default_rng(0)
    return Counting(
        Layer(5, 4, rng=rng, dtype=dtype), Sigmoid(), Dropout(0.3, rng=1),
        Layer(4, 3, rng=rng, dtype=dtype), Sigmoid(),
    )  # fmt: skip


def close(one: Any, other: Any, tolerance: float) -> None:
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=tolerance, atol=tolerance)


OPTIMIZERS: dict[str, Callable[[], optim.Optimizer]] = {
    "SGD": lambda: optim.SGD(lr=0.5, momentum=0.9, weight_decay=0.01),
    "Adam": lambda: optim.Adam(lr=0.05),
    "LBFGS": optim.LBFGS,
    "Newton": optim.Newton,
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("batch_size", [None, 25])
@pytest.mark.parametrize("way", OPTIMIZERS)
def test_compiled_and_eager_training_agree(way: str, batch_size: int | None, dtype: Any) -> None:
    steps = way in ("SGD", "Adam")
    if batch_size and not steps:
        return
    results = []
    for compiled in (True, False):
        model = dropping(dtype)
        if not steps:
            model[2].p = 0.0  # a search needs a cost that stays as it is
        history = fit(
            model, X.astype(dtype), Y, loss=CrossEntropy(), optimizer=OPTIMIZERS[way](), l2=0.5,
            epochs=4, batch_size=batch_size, seed=0, compile=compiled,
            validation=(X[:10].astype(dtype), Y[:10]),
            class_weights=[1.0, 2.0, 0.5], sample_weights=np.linspace(0, 2, 60),
        )  # fmt: skip
        results.append((model, history))
    (one, seen), (other, expected) = results
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    close(one, other, tolerance)
    np.testing.assert_allclose(seen.cost, expected.cost, rtol=tolerance)
    assert seen.accuracy == expected.accuracy
    assert seen.validation_accuracy == expected.validation_accuracy
    assert one[0].weight.dtype == dtype
    # Beside the validation it only runs while being traced, for gradients and for products, and
    # once before a search.
    assert len(one.calls) - len(seen.cost) <= 3 < len(other.calls) - len(expected.cost)


class Reads(Sequential):
    def forward(self, x: Any) -> Tensor:
        out = super().forward(x)
        return out if float(np.sum(out)) < 1e9 else out * 0.0


class Draws(Sequential):
    """Draws its numbers in plain NumPy: a program would use the first ones for ever."""

    def __init__(self, *modules: Any) -> None:
        super().__init__(*modules)
        self.rng = np.random.default_rng(3)

    def forward(self, x: Any) -> Tensor:
        return super().forward(x) * self.rng.uniform(0.5, 1.0, 3)


class Remembers(Sequential):
    """Scales by what it saw before, as a layer that normalises does."""

    def forward(self, x: Any) -> Tensor:
        self.shown = getattr(self, "shown", 0) + len(x)
        return super().forward(x) * (1 + 1 / self.shown)


@pytest.mark.parametrize("kind", [Reads, Draws, Remembers])
@pytest.mark.parametrize("way", OPTIMIZERS)
def test_what_cannot_be_compiled_is_trained_all_the_same(kind: Any, way: str) -> None:
    models, histories = [], []
    for compiled in (True, False):
        models.append(kind(*network().modules))
        histories.append(train(models[-1], optimizer=OPTIMIZERS[way](), compile=compiled))
    assert histories[0] == histories[1]
    close(models[0], models[1], 0.0)
    assert len(set(histories[0].cost)) > 1


# ---- weights of examples and classes


def test_a_weight_counts_like_so_many_copies_of_the_example() -> None:
    counts = np.arange(60) % 4
    model, other = network(), network()
    train(model, sample_weights=counts * (60 / counts.sum()))
    fit(
        other, np.repeat(X, counts, axis=0), np.repeat(Y, counts),
        loss=CrossEntropy(), optimizer=optim.SGD(lr=0.5), epochs=5,
    )  # fmt: skip
    close(model, other, 1e-12)
    by_class = np.array([0.5, 1.0, 3.0])
    one, same = network(), network()
    histories = [
        train(one, class_weights=by_class, batch_size=20, seed=0),
        train(same, sample_weights=by_class[Y], batch_size=20, seed=0),
    ]
    assert histories[0] == histories[1]
    assert histories[0].cost != train(network(), batch_size=20, seed=0).cost


# ---- early stopping


def test_patience_ends_with_the_best_weights() -> None:
    costs = iter([3.0, 2.0, 2.5, 1.0, 1.5, 1.0, 4.0, 9.0, 9.0])
    kept: list[Array] = []
    model = network()

    def script(history: History) -> None:
        kept.append(model[0].theta)

    class Scripted(CrossEntropy):
        def __call__(self, a: Any, y: Any, weights: Any = None) -> Tensor:
            return Tensor(next(costs)) if len(y) == 7 else super().__call__(a, y, weights)

    options: dict[str, Any] = {"validation": (X[:7], Y[:7]), "epochs": 9, "callbacks": [script]}
    history = train(model, loss=Scripted(), patience=3, **options)
    assert history.validation_cost == [3.0, 2.0, 2.5, 1.0, 1.5, 1.0, 4.0]  # a tie is no new best
    assert np.array_equal(model[0].theta, kept[3])
    assert not np.array_equal(model[0].theta, kept[-1])


def test_patience_keeps_the_best_weights_however_training_ends() -> None:
    kept: list[Array] = []
    costs: list[float] = []
    model = network()

    def fail(history: History) -> None:
        kept.append(model[0].theta)
        costs[:] = history.validation_cost
        if len(history) == 40:
            raise KeyError("mine")

    flipped = (X, (Y + 1) % 3)  # the better it learns, the worse this
    with pytest.raises(KeyError):
        train(model, validation=flipped, patience=99, callbacks=[fail], epochs=99)
    best = int(np.argmin(costs))
    assert best < 39
    assert np.array_equal(model[0].theta, kept[best])


# ---- the same bits


JOB = """
import sys
import numpy as np
from autonn import *

rng = np.random.default_rng(0)
X, y = rng.standard_normal((40, 3)), rng.integers(0, 2, 40)
model = Sequential(Layer(3, 4, rng=rng), Tanh(), Dropout(0.2, rng=rng), Layer(4, 2, rng=rng))

def run(**options):
    history = fit(model, X, y, loss=SoftmaxCrossEntropy(), optimizer=optim.Adam(lr=0.05), seed=rng,
                  batch_size=16, validation=(X[:9], y[:9]), patience=500, **options)
    weights = [p.data.tobytes().hex() for p in model.parameters()]
    return repr((weights, history))
"""


def run_job(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", JOB + code],
        capture_output=True, text=True, check=True, env=os.environ | environment,
    )  # fmt: skip
    return done.stdout


def test_two_processes_give_the_same_bits() -> None:
    one, other = (run_job("print(run(epochs=5))", PYTHONHASHSEED=seed) for seed in ("1", "2"))
    assert one == other
    assert len(one) > 500


# ---- checkpoints


def every_checkpoint(
    path: Path, monkeypatch: pytest.MonkeyPatch, job: Callable[[], Any]
) -> list[bytes]:
    """Do the job, and return the checkpoint as it was after each time that it was written."""
    versions: list[bytes] = []

    def write(*args: Any) -> None:
        write_checkpoint(*args)
        versions.append(path.read_bytes())

    with monkeypatch.context() as patch:
        patch.setattr(training, "write_checkpoint", write)
        job()
    return versions


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("batch_size", [None, 25])
@pytest.mark.parametrize("every", [None, 1, 4])
@pytest.mark.parametrize("way", ["SGD", "Adam"])
def test_training_goes_on_from_any_checkpoint_bit_for_bit(
    way: str, every: int | None, batch_size: int | None, shared: bool,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    path = tmp_path / "run.npz"

    def run(resume: bool = False, **other: Any) -> tuple[Sequential, History, Any]:
        model, rng = dropping(), np.random.default_rng(7)
        if shared:  # the order of rows and dropout draw from one generator
            model[2].rng = rng
        optimizer = OPTIMIZERS[way]()
        options: dict[str, Any] = {
            "loss": CrossEntropy(), "optimizer": optimizer, "epochs": 3, "seed": rng, "l2": 0.1,
            "batch_size": batch_size, "validation": (X[:9], Y[:9]), "patience": 2,
        }  # fmt: skip
        history = fit(model, X, Y, **options | other, resume=resume)
        return model, history, (optimizer.state_dict(), rng.random(), optimizer.costs)

    plain = run()
    saving: dict[str, Any] = {"checkpoint": path, "every": every}
    versions = every_checkpoint(path, monkeypatch, lambda: run(**saving))
    per_epoch = 1 if batch_size is None else 3
    written = 3 if every is None else 3 * per_epoch // every
    assert len(versions) == 1 + written + bool(every and 3 * per_epoch % every)
    for version in versions:
        path.write_bytes(version)
        model, history, rest = run(resume=True, **saving)
        close(model, plain[0], 0.0)
        assert history == plain[1]
        np.testing.assert_equal(rest, plain[2])


def test_a_finished_run_is_not_run_again_and_a_longer_one_goes_on(tmp_path: Path) -> None:
    options: dict[str, Any] = {"checkpoint": tmp_path / "run.npz", "resume": True}
    model, again, longer, plain = (network() for _ in range(4))
    history = train(model, **options)  # there is no file yet
    assert train(again, **options) == history
    close(model, again, 0.0)
    assert train(longer, epochs=8, **options) == train(plain, epochs=8)
    close(longer, plain, 0.0)


def test_a_search_goes_on_from_its_weights(tmp_path: Path) -> None:
    options: dict[str, Any] = {"checkpoint": tmp_path / "run.npz", "resume": True, "l2": 1.0}
    first = train(network(), optimizer=optim.LBFGS(), epochs=6, **options)
    history = train(network(1), optimizer=optim.LBFGS(), epochs=12, **options)
    assert history.cost[:6] == first.cost
    assert len(history) == 12
    assert history.cost[6] < history.cost[5]


KILLS = {"ci": 50, "deep": 50}.get(os.environ.get("HYPOTHESIS_PROFILE", ""), 5)
KILLING = """
import os, random, signal, time
from pathlib import Path

path, kills, wanted = Path(sys.argv[1]), 0, int(sys.argv[2])
while kills < wanted:  # a run from its beginning to its end, killed again and again
    path.unlink(missing_ok=True)
    status = 1
    while status:
        child = os.fork()  # a new process, without the third of a second that imports take
        if child == 0:
            options = {"checkpoint": path, "every": 1, "resume": True}
            path.with_suffix(".txt").write_text(run(epochs=10, compile=False, **options))
            os._exit(0)
        if kills < wanted:
            time.sleep(random.uniform(0.0, 0.15))
            os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        assert not status or os.WIFSIGNALED(status), status
        kills += bool(status)
    print(path.with_suffix(".txt").read_text())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_any_moment_training_goes_on_bit_for_bit(tmp_path: Path) -> None:
    undisturbed = run_job("print(run(epochs=10, compile=False))")
    job = [sys.executable, "-W", "ignore", "-c", JOB + KILLING, str(tmp_path / "run.npz")]
    done = subprocess.run([*job, str(KILLS)], capture_output=True, text=True, check=True)
    assert set(done.stdout.splitlines()) == {undisturbed.strip()}


@pytest.mark.parametrize("writes", range(1, 8))
def test_a_full_disk_leaves_what_was_learned_and_the_checkpoint_before(
    writes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.npz"
    calls = iter(range(100))
    sync = os.fsync

    def fsync(handle: int) -> None:
        if next(calls) == 3 * writes:  # each write syncs the file twice, then the folder
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    model, same, resumed = network(), network(), network()
    plain = train(network(), epochs=8)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(OSError, match="the one before still stands") as caught:
            train(model, checkpoint=path, epochs=8)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(path)
    train(same, epochs=writes)
    close(model, same, 0.0)
    assert [p.name for p in tmp_path.iterdir()] == ["run.npz"]
    assert train(resumed, checkpoint=path, resume=True, epochs=8) == plain


def test_a_checkpoint_that_cannot_be_written_is_known_before_training(tmp_path: Path) -> None:
    model, same = network(), network()
    with pytest.raises(FileNotFoundError, match="there is none"):
        train(model, checkpoint=tmp_path / "missing" / "run.npz")
    with pytest.raises(OSError, match="could not be written"):
        train(model, checkpoint=tmp_path)
    close(model, same, 0.0)


def test_a_damaged_checkpoint_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    train(network(), checkpoint=path, batch_size=25, seed=0)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    arrays, notes = read_checkpoint(path)
    model, same = network(1), network(1)

    def refused(*words: str) -> None:
        with pytest.raises(FileFormatError) as caught:
            train(model, checkpoint=path, batch_size=25, resume=True)
        assert all(word in str(caught.value) for word in ("run.npz", *words)), caught.value
        close(model, same, 0.0)

    for length in [0, 1, 100, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:length])
        refused()
    start = whole.index(b"\x93NUMPY") + 128  # within the first array's numbers
    for at in rng.integers(start, start + 100, 20):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 64]) + whole[at + 1 :])
        refused("content")
    for gone in ("run", "random", "at"):
        write_checkpoint(path, arrays, {k: v for k, v in notes.items() if k != gone})
        refused(gone)
    write_checkpoint(path, {k: a for k, a in arrays.items() if "history" not in k}, notes)
    refused("history/cost")
    np.savez(path, a=np.array([{}], dtype=object), allow_pickle=True)
    refused("content")
    np.savez(path, a=np.zeros(1))
    refused("notes")


def test_a_checkpoint_of_another_run_is_refused_with_all_differences(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    train(network(), checkpoint=path, batch_size=25, seed=0)
    model = Sequential(Layer(5, 3, rng=0), Sigmoid())
    with pytest.raises(FileFormatError) as caught:
        train(model, optimizer=optim.Adam(), checkpoint=path, batch_size=20, resume=True)
    words = [
        "0.weight is float64 (4, 5), not float64 (3, 5)", "2.weight is unknown", "m.0 is missing",
        "batch_size is 25, not 20", "optimizer is SGD, not Adam", "resume=False",
    ]  # fmt: skip
    assert all(word in str(caught.value) for word in words), caught.value
    other = np.random.Generator(np.random.MT19937(0))
    with pytest.raises(FileFormatError, match="MT19937"):
        train(network(), checkpoint=path, batch_size=25, resume=True, seed=other)


@pytest.mark.parametrize("kind", ["MT19937", "Philox", "SFC64", "PCG64DXSM"])
def test_any_generator_of_numpy_may_be_resumed(kind: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"checkpoint": tmp_path / "run.npz", "resume": True, "batch_size": 9}

    def seed() -> np.random.Generator:
        return np.random.Generator(getattr(np.random, kind)(1))

    train(network(), epochs=2, seed=seed(), **options)
    history = train(network(), epochs=4, seed=seed(), **options)
    assert history == train(network(), epochs=4, seed=seed(), batch_size=9)


# ---- signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_epoch_is_taken_up_where_it_was(number: int, tmp_path: Path) -> None:
    seen: list[int] = []

    class Interrupting(CrossEntropy):
        def __call__(self, a: Any, y: Any, weights: Any = None) -> Tensor:
            np.array(y)  # so that it is not compiled, and called at each step
            seen.append(0)
            if len(seen) == 5:
                os.kill(os.getpid(), number)
            return super().__call__(a, y, weights)

    options: dict[str, Any] = {"checkpoint": tmp_path / "run.npz", "batch_size": 20, "seed": 0}
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    model, resumed, plain = network(), network(), network()
    history = train(model, loss=Interrupting(), **options)
    assert (len(seen), len(history), history.interrupted) == (5, 1, True)
    history = train(resumed, loss=Interrupting(), resume=True, **options)
    assert history == train(plain, batch_size=20, seed=0, compile=False)
    close(resumed, plain, 0.0)
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


def test_no_signal_leaves_the_weights_half_updated() -> None:
    class Impatient(optim.SGD):
        def _update(self, *args: Any) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            super()._update(*args)

    model, same = network(), network()
    history = train(model, optimizer=Impatient(lr=0.5))  # four signals within the first update
    assert history.interrupted
    train(same, epochs=1)
    close(model, same, 0.0)


def test_a_second_signal_stops_at_once() -> None:
    def press(history: History) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("not reached")

    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt):
        train(network(), callbacks=[press])
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        history = train(network(), callbacks=[lambda _: os.kill(os.getpid(), signal.SIGINT)])
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(history) == 5


def test_training_works_in_any_thread() -> None:
    model, same = network(), network()
    thread = threading.Thread(target=train, args=(model,))
    thread.start()
    thread.join()
    train(same)
    close(model, same, 0.0)


# ---- costs that are no number


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
        epochs=50, class_weights=[1.0, 7.0, 1.0],
    )  # fmt: skip
    assert history.accuracy[-1] > 0.6


def test_whole_numbers_may_be_targets_of_a_regression() -> None:
    class Flat(Sequential):
        def forward(self, x: Any) -> Tensor:
            return super().forward(x)[:, 0]

    model = Flat(Layer(5, 1, rng=0))
    options: dict[str, Any] = {"loss": MeanSquaredError(), "optimizer": optim.SGD(lr=0.1)}
    history = fit(model, X, Y, epochs=3, validation=(X, Y), **options)
    assert history.accuracy == history.validation_accuracy == []
    assert history.cost[2] < history.cost[0]


# ---- metrics


def test_metrics_count_what_they_say() -> None:
    model = network()
    predictions = model.predict(X)
    ranks = np.array([list(np.argsort(-row)).index(y) for row, y in zip(predictions, Y)])  # noqa: B905
    for k in (1, 2, 3):
        assert top_k(model, X, Y, k) == pytest.approx(np.mean(ranks < k))
    assert top_k(model, X, Y, 1) == accuracy(model, X, Y)
    counts = confusion_matrix(model, X, np.eye(3)[Y])
    expected = np.zeros((3, 3), int)
    for row, y in zip(predictions, Y, strict=True):
        expected[y, row.argmax()] += 1
    assert np.array_equal(counts, expected)
    flat = Layer(5, 3, weight=np.zeros((3, 5)))
    assert top_k(flat, X, Y, 2) == 0.0  # where all are equal, none is among the best two
