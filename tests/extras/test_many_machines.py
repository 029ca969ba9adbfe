"""Rows on the workers of Dask: the same bits, whoever holds which rows and whoever dies."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autonn as an
from autonn import Layer, Sequential, Sigmoid, fit, optim
from autonn.distributed import Threads
from autonn.training import History

dask: Any = pytest.importorskip("dask", reason="the extra `dask` is not installed")
distributed: Any = pytest.importorskip("distributed", reason="the extra `dask` is not installed")
da: Any = pytest.importorskip("dask.array")

DIGITS = an.load_digits()
M = 10_000
ROWS = np.arange(M) % 5000
X, y = DIGITS.X[ROWS, ::8].copy(), DIGITS.y[ROWS]

# What Dask does at the end of a cluster is no error of ours.
pytestmark = pytest.mark.filterwarnings("ignore")


def network() -> Sequential:
    return Sequential(Layer(50, 8, rng=0), Sigmoid(), Layer(8, 10, rng=1), Sigmoid())


def trained(workers: Any = None, optimizer: Any = None, **how: Any) -> tuple[History, Any]:
    model = network()
    given: dict[str, Any] = {
        "X": X,
        "y": y,
        "loss": an.CrossEntropy(),
        "l2": 1.0,
        "epochs": 5,
    }
    optimizer = optimizer or optim.LBFGS()
    return fit(model, optimizer=optimizer, workers=workers, **(given | how)), model


@pytest.fixture(scope="module")
def alone() -> tuple[History, Any]:
    return trained()


def assert_same(one: tuple[History, Any], other: tuple[History, Any]) -> None:
    assert one[0].cost == other[0].cost
    assert one[0].accuracy == other[0].accuracy
    for a, b in zip(one[1].parameters(), other[1].parameters(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@contextlib.contextmanager
def cluster(workers: int, processes: bool) -> Iterator[Any]:
    how = {"threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50}
    made = distributed.LocalCluster(n_workers=workers, processes=processes, **how)
    client = distributed.Client(made)
    try:
        yield client
    finally:
        client.close()
        with contextlib.suppress(TimeoutError):  # of a worker that was only just begun
            made.close(timeout=60)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """Two workers in processes of their own, which may be killed: others take their places."""
    with cluster(2, processes=True) as made:
        yield made


def lazily(array: Any, chunk: int) -> Any:
    """Make a Dask array, each chunk by a call of its own, as one reads them from files."""
    parts = [(k, min(k + chunk, len(array))) for k in range(0, len(array), chunk)]
    shapes = [(b - a, *array.shape[1:]) for a, b in parts]
    made = [
        da.from_delayed(dask.delayed(_rows)(array.shape[1:], a, b), shape, array.dtype)
        for (a, b), shape in zip(parts, shapes, strict=True)
    ]
    return da.concatenate(made)


def _rows(width: tuple[int, ...], a: int, b: int) -> Any:
    """Read rows where the worker is."""
    digits, rows = an.load_digits(), np.arange(a, b) % 5000
    return digits.X[rows, ::8] if width else digits.y[rows]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_bits_are_those_of_one_machine(count: int, alone: Any) -> None:
    with cluster(count, processes=False) as made:
        assert_same(alone, trained(made))


def test_products_of_the_hessian_and_steps_of_one_s_own(client: Any) -> None:
    for make in (lambda: optim.Newton(), lambda: optim.SGD(lr=1.0, momentum=0.9)):
        how: dict[str, Any] = {"epochs": 2}
        assert_same(trained(None, make(), **how), trained(client, make(), **how))


def test_arrays_of_dask_in_chunks_of_any_length(client: Any, alone: Any) -> None:
    assert_same(alone, trained(client, X=lazily(X, 3000), y=lazily(y, 4100)))
    kept = client.persist(lazily(X, 2048))
    one_hot = np.eye(10)[y]
    mixed = trained(client, X=kept, y=one_hot)
    assert_same(trained(y=one_hot), mixed)


def test_a_column_for_a_row_and_weights(client: Any) -> None:
    """Targets, weights and classes are worked out by blocks, as on one machine."""
    weight = np.random.default_rng(0).uniform(0, 2, M)
    for how in ({"y": y == 3, "sample_weight": weight}, {"y": (y == 3) * 1.0}):
        model = [Sequential(Layer(50, 1, rng=0), Sigmoid()) for _ in range(2)]
        made = []
        for k, workers in enumerate((None, client)):
            given = how if workers is None else how | {"X": lazily(X, 4000)}
            if workers is not None:
                given = given | {"y": da.from_array(how["y"], chunks=3000)}
            arguments: dict[str, Any] = {"X": X} | given
            history = fit(
                model[k], **arguments, loss=an.CrossEntropy(), optimizer=optim.LBFGS(), epochs=3,
                workers=workers,
            )  # fmt: skip
            made.append((history, model[k]))
        assert_same(*made)


def test_memory_maps_are_dealt_out(client: Any, alone: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", X)
    assert_same(alone, trained(client, X=np.load(tmp_path / "X.npy", mmap_mode="r")))


def kill_one(client: Any, which: int) -> None:
    """Kill a worker as a machine dies: without a word."""
    pids = client.run(os.getpid)
    os.kill(sorted(pids.values())[which % len(pids)], signal.SIGKILL)


def test_a_worker_that_dies_changes_nothing(client: Any, alone: Any) -> None:
    def kill(history: History) -> None:
        if len(history) == 2:
            kill_one(client, 0)

    given: dict[str, Any] = {"X": lazily(X, 3000), "y": y}
    assert_same(alone, trained(client, **given, callbacks=kill))


LOST = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    how = {"threads_per_worker": 1, "dashboard_address": None, "processes": False}
    with LocalCluster(n_workers=1, **how) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


def test_a_scheduler_that_dies_leaves_what_was_learned(tmp_path: Path, alone: Any) -> None:
    """The run goes on elsewhere: on one machine, or on others."""
    script, path = tmp_path / "lost.py", tmp_path / "run.npz"
    script.write_text(
        LOST.replace('"processes": False', '"processes": False, "protocol": "tcp://"')
    )
    pipe = subprocess.PIPE
    running = subprocess.Popen([sys.executable, script], stdin=pipe, stdout=pipe, text=True)
    how: dict[str, Any] = {"optimizer": optim.SGD(lr=1.0), "checkpoint": path}
    model = network()
    try:
        assert running.stdout is not None
        with dask.config.set({"distributed.comm.timeouts.connect": "500ms"}):
            lost = distributed.Client(running.stdout.readline().strip())

            def kill(history: History) -> None:
                if len(history) == 2:
                    running.kill()
                    running.wait()

            with pytest.raises(ConnectionError, match=r"scheduler .* is gone.*resume=True"):
                fit(model, X, y, loss=an.CrossEntropy(), l2=1.0, epochs=5, callbacks=kill,
                    workers=lost, **how)  # fmt: skip
            lost.close(timeout=1)
    finally:
        running.kill()
        running.communicate()
    assert not np.array_equal(model[0].weight.numpy(), network()[0].weight.numpy())
    whole = trained(None, optim.SGD(lr=1.0))
    assert_same(whole, trained(Threads(), optim.SGD(lr=1.0), checkpoint=path, resume=True))


def seventh() -> Any:
    return da.arange(M, chunks=3000) == 7000


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"X": lambda: lazily(X, 3000).rechunk((3000, 25))}, r"give X.rechunk\(\(rows, -1\)\)"),
        ({"X": lambda: lazily(X, 3000)[lazily(y, 3000) > 2]}, r"X.compute_chunk_sizes\(\)"),
        ({"X": lambda: lazily(X, 3000).astype(str)}, "expected numbers"),
        ({"X": lambda: dask.delayed(X)}, "Dask's Delayed"),
        ({"y": lambda: lazily(y, 3000)[:-1]}, "10000 examples against 9999 targets"),
        ({"X": lambda: da.where(seventh()[:, None], np.nan, lazily(X, 3000))},
         "X has nan in row 7000, column 0"),
        ({"y": lambda: da.where(seventh(), 10, lazily(y, 3000))}, "10"),
    ],
    ids=["columns", "unknown", "text", "delayed", "length", "nan", "class"],
)  # fmt: skip
def test_what_can_t_be_dealt_out_says_what_to_do(client: Any, how: Any, words: str) -> None:
    with pytest.raises((ValueError, TypeError, IndexError), match=words):
        trained(client, **{name: make() for name, make in how.items()})


def test_arrays_of_dask_are_loaded_by_nobody_who_was_not_asked() -> None:
    with pytest.raises(TypeError, match=r"give X.compute\(\) if it does.*workers=client"):
        trained(X=lazily(X, 3000))
    with pytest.raises(TypeError, match="give workers=client of Dask's"):
        trained(Threads(), X=lazily(X, 3000))


@pytest.mark.parametrize("given", [4, "tcp://127.0.0.1:1", distributed.Client])
def test_what_is_no_client_is_refused(given: Any) -> None:
    with pytest.raises(TypeError, match=r"workers is a client of Dask's, as distributed.Client"):
        trained(given)


def test_the_example_tells_what_happened(tmp_path: Path) -> None:
    example = Path(__file__).parents[2] / "examples" / "many_machines.py"
    command = [sys.executable, "-W", "ignore", str(example), "--iterations", "3"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "50,000 rows on 2 workers"
    assert lines[1].startswith("iteration 1: the worker at tcp://")
    assert "the same bits as without a death: True" in lines
    assert (tmp_path / "plots" / "many_machines.png").read_bytes()[:4] == b"\x89PNG"


def test_sweeps_run_on_the_workers() -> None:
    """scikit-learn's searches, with estimators of autonn's: the same scores as at home."""
    sklearn = pytest.importorskip("sklearn.model_selection")
    joblib = pytest.importorskip("joblib")
    from autonn.sklearn import NetClassifier

    few, classes = X[:600], y[:600]
    net = NetClassifier(epochs=3, random_state=0)
    grid = {"l2": [0.0, 1.0], "optimizer__lr": [0.01, 0.001]}
    kept = NetClassifier(optimizer=optim.Adam(lr=0.01), epochs=3, random_state=0)
    at_home = sklearn.GridSearchCV(kept, grid, cv=2).fit(few, classes)
    with cluster(2, processes=False), joblib.parallel_config(backend="dask"):
        away = sklearn.GridSearchCV(kept, grid, cv=2).fit(few, classes)
    assert net.get_params()["epochs"] == 3
    scores = "mean_test_score"
    np.testing.assert_array_equal(at_home.cv_results_[scores], away.cv_results_[scores])
