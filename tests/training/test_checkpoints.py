"""Checkpoints: the same bits, however a run was broken off."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tools.pairs import combinations
from tools.profiles import THOROUGH
from tools.runs import OPTIMIZERS, X, Y, close, dropping, every_checkpoint, network, train

from autonn import CrossEntropy, Layer, Sequential, Sigmoid, fit, optim, random
from autonn.files import FileFormatError
from autonn.training import History
from autonn.training.checkpoints import read_checkpoint, write_checkpoint

JOB = """
import sys
from dataclasses import fields
import numpy as np
from autonn import *

rng = np.random.default_rng(0)
X, y = rng.standard_normal((40, 3)), rng.integers(0, 2, 40)
model = Sequential(Layer(3, 4, rng=rng), Tanh(), Dropout(0.2, rng=rng), Layer(4, 2, rng=rng))

def run(**options):
    history = fit(model, X, y, loss=SoftmaxCrossEntropy(), optimizer=optim.Adam(lr=0.05), seed=rng,
                  batch_size=16, validation=(X[:9], y[:9]), patience=500, **options)
    weights = [p.data.tobytes().hex() for p in model.parameters()]
    # not whether its steps were compiled: a run that was killed after its last one takes none
    return repr((weights, [vars(history)[f.name] for f in fields(history) if f.compare]))
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


@pytest.mark.parametrize(
    ("way", "every", "batch_size", "shared"),
    combinations(["SGD", "Adam"], [None, 1, 4], [None, 25], [False, True]),
)
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
            "compile": every is None,  # each run would compile anew, and most of these are many
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


def test_a_last_batch_of_one_row_is_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, plain = tmp_path / "run.npz", network()
    options: dict[str, Any] = {"batch_size": 59, "seed": 0, "epochs": 2, "compile": False}
    expected = train(plain, **options)
    saving = options | {"checkpoint": path, "every": 1}
    for version in every_checkpoint(path, monkeypatch, lambda: train(network(), **saving)):
        path.write_bytes(version)
        model = network(1)
        assert train(model, resume=True, **saving) == expected
        close(model, plain, 0.0)


def test_a_search_goes_on_from_its_weights(tmp_path: Path) -> None:
    options: dict[str, Any] = {"checkpoint": tmp_path / "run.npz", "resume": True, "l2": 1.0}
    first = train(network(), optimizer=optim.LBFGS(), epochs=6, **options)
    history = train(network(1), optimizer=optim.LBFGS(), epochs=12, **options)
    assert history.cost[:6] == first.cost
    assert len(history) == 12
    assert history.cost[6] < history.cost[5]


KILLS = 50 if THOROUGH else 5
KILLING = """
import os, random, signal, time
from pathlib import Path

path, kills, wanted = Path(sys.argv[1]), 0, int(sys.argv[2])
if os.fork() == 0:
    print(run(epochs=10, compile=False), flush=True)
    os._exit(0)
os.wait()
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
    job = [sys.executable, "-W", "ignore", "-c", JOB + KILLING, str(tmp_path / "run.npz")]
    done = subprocess.run([*job, str(KILLS)], capture_output=True, text=True, check=True)
    undisturbed, *others = done.stdout.splitlines()
    assert len(undisturbed) > 500
    assert set(others) == {undisturbed}


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
    plain = train(network(), epochs=8, compile=False)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(OSError, match="the one before still stands") as caught:
            train(model, checkpoint=path, epochs=8, compile=False)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(path)
    train(same, epochs=writes, compile=False)
    close(model, same, 0.0)
    assert [p.name for p in tmp_path.iterdir()] == ["run.npz"]
    assert train(resumed, checkpoint=path, resume=True, epochs=8, compile=False) == plain


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
        "0.weight is float64 (4, 5), expected float64 (3, 5)", "2.weight is unknown",
        "m.0.weight is missing",
        "batch_size is 25, not 20", "optimizer is SGD(lr=0.5), not Adam()", "resume=False",
    ]  # fmt: skip
    assert all(word in str(caught.value) for word in words), caught.value
    other = np.random.Generator(np.random.MT19937(0))
    with pytest.raises(FileFormatError, match="MT19937"):
        train(network(), checkpoint=path, batch_size=25, resume=True, seed=other)


@pytest.mark.parametrize("kind", ["MT19937", "Philox", "SFC64", "PCG64DXSM"])
def test_any_generator_of_numpy_may_be_resumed(kind: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"batch_size": 9, "compile": False}
    saving: dict[str, Any] = options | {"checkpoint": tmp_path / "run.npz", "resume": True}

    def seed() -> np.random.Generator:
        return np.random.Generator(getattr(np.random, kind)(1))

    train(network(), epochs=2, seed=seed(), **saving)
    history = train(network(), epochs=4, seed=seed(), **saving)
    assert history == train(network(), epochs=4, seed=seed(), **options)


def test_a_generator_beside_the_model_goes_on_where_it_was(tmp_path: Path) -> None:
    """As the noise of a VAE, from a generator that is a name of the file."""

    def run(epochs: int, **more: Any) -> list[float]:
        rng = np.random.default_rng(5)

        class Noisy(Layer):
            def forward(self, x: Any) -> Any:
                return super().forward(x + random.normal(rng, x.shape))

        model, inputs = Noisy(5, 1, rng=0), np.random.default_rng(0).normal(size=(40, 5))
        return fit(
            model, inputs, inputs[:, :1], "mse", optim.Adam(lr=0.01), epochs=epochs, seed=0,
            batch_size=10, **more,
        ).cost  # fmt: skip

    path = tmp_path / "run.ckpt"
    run(2, checkpoint=path)
    assert run(4, checkpoint=path, resume=True) == run(4)
