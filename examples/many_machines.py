"""Train on rows that no one machine holds, while one of the machines dies.

    pip install 'autonn[dask]'
    python examples/many_machines.py

Here the machines are processes of this one, two workers of a Dask cluster; elsewhere they are as
many as one has, and nothing else changes: ``Client(address)`` in place of the cluster. The rows are
the digits ten times over. Each worker makes the chunks that it holds, so that no row is ever here:
only the weights go out, and what each slice of the rows adds to cost and gradients comes back.

In the middle of it a worker is killed. Its rows are made again on the one that takes its place, the
step is asked for again, and the search ends at the same weights, to the last bit.
"""

import argparse
import os
import signal
from pathlib import Path
from typing import Any

import dask
import dask.array
import numpy as np
from distributed import Client, LocalCluster
from matplotlib.figure import Figure

from autonn import CrossEntropy, Layer, Sequential, Sigmoid, fit, load_digits, optim
from autonn.training import History

PLOTS = Path("plots")
COPIES = 10


def chunk(name: str) -> Any:
    """Read a chunk of rows, on the worker that will hold it: from a file, if it were not here."""
    return getattr(load_digits(), name)


def in_chunks(name: str, width: tuple[int, ...], dtype: type) -> Any:
    """Say what the rows are, without a single one: chunks that will be read where they are held."""
    made = [dask.delayed(chunk)(name, dask_key_name=f"{name}-{k}") for k in range(COPIES)]
    parts = [dask.array.from_delayed(part, (5000, *width), dtype) for part in made]
    return dask.array.concatenate(parts)


def network() -> Sequential:
    """Build the tutorials' network, each time with the same weights."""
    rng = np.random.default_rng(0)
    return Sequential(Layer(400, 25, rng=rng), Sigmoid(), Layer(25, 10, rng=rng), Sigmoid())


def train(client: Client, iterations: int, kill_at: int | None) -> tuple[History, Sequential]:
    """Search by L-BFGS on all rows, and kill a worker after so many iterations."""

    def kill(history: History) -> None:
        if len(history) == kill_at:
            pids = client.run(os.getpid)
            address = min(pids)
            os.kill(pids[address], signal.SIGKILL)
            print(f"iteration {kill_at}: the worker at {address} was killed")

    X, y = in_chunks("X", (400,), np.float64), in_chunks("y", (), np.int64)
    model = network()
    history = fit(
        model, X, y, loss=CrossEntropy(), optimizer=optim.LBFGS(), l2=1.0, epochs=iterations,
        callbacks=kill, workers=client,
    )  # fmt: skip
    return history, model


def main() -> None:
    """Train twice, once with all workers alive to the end, and compare."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--iterations", type=int, default=40)
    iterations = parser.parse_args().iterations

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50)
        as cluster,
        Client(cluster) as client,
    ):  # fmt: skip
        print(f"{COPIES * 5000:,} rows on {len(client.nthreads())} workers")
        killed, model = train(client, iterations, kill_at=iterations // 2)
        whole, other = train(client, iterations, kill_at=None)

    pairs = zip(model.parameters(), other.parameters(), strict=True)
    same = all(np.array_equal(a.numpy(), b.numpy()) for a, b in pairs)
    print(f"cost after iteration 1   {killed.cost[0]:8.4f}")
    print(f"cost after iteration {len(killed):<3} {killed.cost[-1]:8.4f}")
    print(f"accuracy                 {killed.accuracy[-1]:8.1%}")
    print(f"the same bits as without a death: {same and killed.cost == whole.cost}")

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(range(1, len(whole) + 1), whole.cost, linewidth=5, alpha=0.3, label="nobody died")
    axes.plot(range(1, len(killed) + 1), killed.cost, label="a worker was killed")
    axes.axvline(iterations // 2, linestyle=":", color="black")
    axes.set_xlabel("iteration of L-BFGS")
    axes.set_ylabel("cost")
    axes.legend()
    PLOTS.mkdir(exist_ok=True)
    figure.savefig(PLOTS / "many_machines.png", dpi=150)
    print(f"\nBoth curves are in {PLOTS / 'many_machines.png'}")


if __name__ == "__main__":
    main()
